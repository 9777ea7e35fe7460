package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/sim"
	"lifeboat/internal/stack"
)

// verdicts are what was found of each claim.
type verdicts struct{ errs []error }

// say prints a claim, and whether it holds.
func (v *verdicts) say(claim string, ok bool, format string, args ...any) {
	mark := "ok"
	if !ok {
		mark = "MISSING"
		v.errs = append(v.errs, errors.New(claim))
	}
	fmt.Printf("  %-8s %s: %s\n", mark, claim, fmt.Sprintf(format, args...))
}

// check holds what the history says against storage and against Azure's side.
func (s *scene) check(ctx context.Context, history []run, asked string) error {
	var v verdicts
	fmt.Println()
	for _, t := range targets {
		v.say(t.name+" was backed up on schedule, and what was too old expired", succeeded(history, t) >= 2 && expired(history, t) > 0,
			"%d recovery points, %d expired", succeeded(history, t), expired(history, t))
	}
	v.say("one backup on demand", asked != "", "run %s", asked)
	if err := s.checkStored(ctx, &v, history); err != nil {
		return err
	}
	s.checkProofs(&v, history)
	if err := s.checkStarts(ctx, &v); err != nil {
		return err
	}
	if err := s.checkEvents(ctx, &v, history); err != nil {
		return err
	}
	requests, err := s.Azurite.Requests()
	if err != nil {
		return err
	}
	bearer := 0
	for _, r := range requests {
		if r.AuthScheme == "Bearer" {
			bearer++
		}
	}
	v.say("storage saw bearer tokens only", bearer == len(requests), "%d requests", len(requests))
	if len(v.errs) == 0 {
		s.say("done")
	}
	return errors.Join(v.errs...)
}

// checkStored reads what lies in the container: all of a live recovery point, nothing of one that expired. The schedule
// goes on meanwhile, so one that expires just now does not count.
func (s *scene) checkStored(ctx context.Context, v *verdicts, history []run) error {
	stored, err := s.stored(ctx)
	if err != nil {
		return err
	}
	later, err := s.history(ctx)
	if err != nil {
		return err
	}
	states := map[string]string{}
	for _, r := range later {
		if r.Point != nil {
			states[r.ID] = r.Point.State
		}
	}
	var live, gone, wrong int
	for _, r := range history {
		if r.Point == nil || states[r.ID] != r.Point.State {
			continue
		}
		found, exists := stored[r.Point.Blob]
		switch {
		case r.Point.State == "live" && exists && found == artifact{r.Point.Size, r.Point.SHA256}:
			live++
		case r.Point.State == "expired" && !exists:
			gone++
		case r.Point.State != "deleting":
			wrong++
		}
	}
	v.say("every live recovery point is stored, with its size and SHA-256", live > 0 && wrong == 0, "%d live", live)
	v.say("nothing is stored of an expired one", gone > 0 && wrong == 0, "%d expired", gone)
	return nil
}

// checkProofs asks the HSMs whether they looked at each backup, and could restore it.
func (s *scene) checkProofs(v *verdicts, history []run) {
	proven := map[string]bool{}
	for _, o := range s.Sim.HSMOperations() {
		if o.Kind == sim.RestoreCheck && o.State == sim.Succeeded {
			proven[stack.Container+"/"+o.Folder] = true
		}
	}
	var points, without int
	for _, r := range history {
		if r.Point == nil || r.target.kind != managedHSM {
			continue
		}
		points++
		if !proven[r.Point.Blob] || r.Point.Note != "" {
			without++
		}
	}
	v.say("the HSM itself could restore each of its backups (PreFullRestore)", points > 0 && without == 0, "%d of %d", points-without, points)
}

// checkStarts counts the requests for backups. Those are counted first: an attempt is saved before its request is sent.
func (s *scene) checkStarts(ctx context.Context, v *verdicts) error {
	starts := map[string]int{}
	for _, r := range s.Sim.BackupRequests() {
		starts[r.Service]++
	}
	for _, r := range s.Sim.HSMRequests() {
		if r.Kind == sim.FullBackup {
			starts[r.HSM]++
		}
	}
	history, err := s.history(ctx)
	if err != nil {
		return err
	}
	attempts := map[string]int{}
	for _, r := range history {
		attempts[r.target.id()] += r.Attempts
	}
	twice, all := "", 0
	for _, t := range targets {
		all += starts[t.id()]
		if starts[t.id()] == 0 || starts[t.id()] > attempts[t.id()] {
			twice += fmt.Sprintf(", %s %d times in %d attempts", t.name, starts[t.id()], attempts[t.id()])
		}
	}
	v.say("no backup was started twice", twice == "", "%d POSTs, each of an attempt of its own%s", all, twice)
	return nil
}

// checkEvents counts the messages of lifeboat-events. One is sent just after the end that it tells of was saved.
func (s *scene) checkEvents(ctx context.Context, v *verdicts, history []run) (err error) {
	ended, events := 0, 0
	for _, r := range history {
		if r.Status == "Succeeded" || r.Status == "Failed" {
			ended++
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(100 * time.Millisecond) {
		if events, err = s.events(ctx); err != nil {
			return err
		}
		if events >= ended || time.Now().After(deadline) {
			break
		}
	}
	v.say("every end was told on lifeboat-events", events >= ended, "%d events for %d ends", events, ended)
	return nil
}

func (s *scene) options() azcore.ClientOptions {
	return azcore.ClientOptions{Transport: s.Sim.Client()}
}

// artifact is what a backup left: a blob, or a folder of blobs, whose hash is that of their list.
type artifact struct {
	size   int64
	sha256 string
}

// stored are the artifacts in the container of the backups, read with an identity of the demo's own.
func (s *scene) stored(ctx context.Context) (map[string]artifact, error) {
	s.Sim.Assign(s.Sim.ObjectID("demo"), stack.Scope, sim.StorageBlobDataReader, sim.StorageQueueDataContributor)
	client, err := azblob.NewClient("https://"+stack.Backups+".blob.core.windows.net", s.Sim.Credential("demo"),
		&azblob.ClientOptions{ClientOptions: s.options()})
	if err != nil {
		return nil, err
	}
	found := map[string]artifact{}
	lists := map[string]string{} // of folders: a line for each blob, in the order of their names, as they come
	for pages := client.NewListBlobsFlatPager(stack.Container, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			size, sum, err := read(ctx, client, *b.Name)
			if err != nil {
				return nil, err
			}
			top, file, isFolder := strings.Cut(*b.Name, "/")
			name := stack.Container + "/" + top
			if isFolder {
				lists[name] += fmt.Sprintf("%s  %s\n", sum, file)
				sum = fmt.Sprintf("%x", sha256.Sum256([]byte(lists[name])))
			}
			found[name] = artifact{found[name].size + size, sum}
		}
	}
	return found, nil
}

// read reads a blob, and returns its size in bytes and its SHA-256.
func read(ctx context.Context, client *azblob.Client, name string) (size int64, sum string, err error) {
	answer, err := client.DownloadStream(ctx, stack.Container, name, nil)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, answer.Body)
	return size, fmt.Sprintf("%x", hash.Sum(nil)), err
}

// events counts the messages of lifeboat-events.
func (s *scene) events(ctx context.Context) (int, error) {
	client, err := azqueue.NewQueueClient("https://lifeboatapp.queue.core.windows.net/lifeboat-events", s.Sim.Credential("demo"),
		&azqueue.ClientOptions{ClientOptions: s.options()})
	if err != nil {
		return 0, err
	}
	properties, err := client.GetProperties(ctx, nil)
	if err != nil {
		return 0, err
	}
	return int(*properties.ApproximateMessagesCount), nil
}
