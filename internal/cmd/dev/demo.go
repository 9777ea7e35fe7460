package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/sim"
	"lifeboat/internal/stack"
)

// run is what the demo reads of the API's answers.
type run struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"`
	State    string    `json:"state"`
	Slot     time.Time `json:"slot"`
	Created  time.Time `json:"createdDateTime"`
	Ended    time.Time `json:"endedDateTime"`
	Attempts int       `json:"attempts"`
	Polls    int       `json:"polls"`
	Error    *struct{ Code, Message string }
	Point    *struct {
		State    string `json:"state"`
		Blob     string `json:"blob"`
		Size     int64  `json:"sizeInBytes"`
		SHA256   string `json:"sha256"`
		Decision string `json:"decision"`
	} `json:"recoveryPoint"`

	service string
}

// demoTime is far more than the demo needs.
const demoTime = 3 * time.Minute

// demo follows the scheduled runs, asks for one more, waits until an old recovery point expired, and checks it all.
func demo(ctx context.Context, s *scene) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	s.say("ready. Plan \"often\": %d services, a slot every 12 s, kept %s, but the newest always", len(services), within)
	s.say("a minute of Azure passes in half a second; nothing waits for it: the program is called, makes a step, returns")
	seen := map[string]string{}
	asked := ""
	var last []run
	for {
		history, err := s.history(ctx)
		if ctx.Err() != nil {
			showTable(last)
			return fmt.Errorf("stopped after %.0f s; still missing: %s", time.Since(s.began).Seconds(), lacks(last, asked))
		}
		if err != nil {
			return err
		}
		last = history
		s.showNews(history, seen)
		if asked == "" && succeeded(history, services[0]) > 0 {
			if asked, err = s.ask(ctx, services[0]); err != nil {
				return err
			}
		}
		if lacks(history, asked) == "" {
			fmt.Println()
			showTable(history)
			return s.check(ctx, history, asked)
		}
		select {
		case <-time.After(400 * time.Millisecond):
		case <-ctx.Done():
		case <-s.app.Done():
			return errors.New("the Functions host shut itself down: see " + s.log.Name())
		}
	}
}

// lacks says what is still to come, "" if nothing is.
func lacks(history []run, asked string) string {
	for _, name := range services {
		if succeeded(history, name) < 2 {
			return "a second scheduled backup of " + name
		}
	}
	expired := false
	done := false
	for _, r := range history {
		expired = expired || r.Point != nil && r.Point.State == "expired"
		done = done || r.ID == asked && r.State == "succeeded"
	}
	switch {
	case !done:
		return "the end of the backup on demand"
	case !expired:
		return "a recovery point that expires"
	}
	return ""
}

// succeeded counts the scheduled runs of a service that left a recovery point.
func succeeded(history []run, service string) int {
	n := 0
	for _, r := range history {
		if r.service == service && r.State == "succeeded" && !r.Slot.IsZero() {
			n++
		}
	}
	return n
}

// showNews prints what changed since the last look.
func (s *scene) showNews(history []run, seen map[string]string) {
	for i := len(history) - 1; i >= 0; i-- {
		r := history[i]
		text := r.State
		switch {
		case r.Point != nil && r.Point.State != "live":
			text = "recovery point " + r.Point.State + ": " + r.Point.Decision
		case r.Point != nil:
			text = fmt.Sprintf("succeeded: %d KiB, SHA-256 %.12s…", r.Point.Size/1024, r.Point.SHA256)
		case r.Error != nil:
			text = r.State + ": " + r.Error.Message
		case r.State == "running":
			text = fmt.Sprintf("running, poll %d", r.Polls)
		}
		if seen[r.ID] != text {
			seen[r.ID] = text
			s.say("%-13s %-14s %s", r.service, r.cause(), text)
		}
	}
}

func (r run) cause() string {
	if r.Slot.IsZero() {
		return "on demand"
	}
	return "slot " + r.Slot.Format("15:04:05")
}

func showTable(history []run) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tCAUSE\tSTATE\tTOOK\tATTEMPTS\tPOLLS\tRECOVERY POINT\tBLOB")
	for _, r := range history {
		took, point, blob := "", "", ""
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Created).Round(100 * time.Millisecond).String()
		}
		if r.Point != nil {
			point, blob = r.Point.State, r.Point.Blob
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.service, r.cause(), r.State, took, r.Attempts, r.Polls, point, blob)
	}
	w.Flush()
}

// history is what the API tells about all services, newest first.
func (s *scene) history(ctx context.Context) ([]run, error) {
	var all []run
	for _, name := range services {
		var page struct{ Value []run }
		if _, err := s.call(ctx, "GET", "/api/runs?"+url.Values{"target": {stack.Service(name)}}.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Value {
			r.service = name
			all = append(all, r)
		}
	}
	return all, nil
}

// ask wants a backup by HTTP, twice with the same request ID, as somebody would who saw no answer.
func (s *scene) ask(ctx context.Context, name string) (string, error) {
	body := []byte(`{"target": "` + stack.Service(name) + `"}`)
	var first, second run
	header, err := s.call(ctx, "POST", "/api/backups", body, &first)
	if err != nil {
		return "", err
	}
	if _, err := s.call(ctx, "POST", "/api/backups", body, &second); err != nil {
		return "", err
	}
	if first.ID == "" || first.ID != second.ID {
		return "", fmt.Errorf("the same request made two runs: %q and %q", first.ID, second.ID)
	}
	s.say("%-13s POST /api/backups, sent twice: 202, one run, Operation-Location %s", name, header.Get("Operation-Location"))
	return first.ID, nil
}

func (s *scene) call(ctx context.Context, method, path string, body []byte, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.app.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-functions-key", s.app.Key("api"))
	request.Header.Set("Repeatability-Request-ID", "demo")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return response.Header, json.Unmarshal(text, into)
}

// check holds what the history says against storage and against Azure's side.
func (s *scene) check(ctx context.Context, history []run, asked string) error {
	var errs []error
	verdict := func(what string, ok bool, format string, args ...any) {
		mark := "ok"
		if !ok {
			mark = "MISSING"
			errs = append(errs, errors.New(what))
		}
		fmt.Printf("  %-8s %s: %s\n", mark, what, fmt.Sprintf(format, args...))
	}
	fmt.Println()
	blobs, err := s.blobs(ctx)
	if err != nil {
		return err
	}
	var live, expired, phantom int
	for _, r := range history {
		if r.Point == nil {
			continue
		}
		exists := blobs[r.Point.Blob] == r.Point.Size && r.Point.Size > 0
		switch {
		case r.Point.State == "live" && exists:
			live++
		case r.Point.State == "expired" && !exists:
			expired++
		case r.Point.State != "deleting":
			phantom++
		}
	}
	for _, name := range services {
		verdict(name+" was backed up on schedule", succeeded(history, name) >= 2, "%d recovery points", succeeded(history, name))
	}
	verdict("one backup on demand", asked != "", "run %s", asked)
	verdict("every live recovery point has its blob", live > 0 && phantom == 0, "%d live", live)
	verdict("an old recovery point expired and its blob is gone", expired > 0, "%d expired", expired)
	posts := map[string]int{}
	most := 0
	for _, r := range s.Sim.BackupRequests() {
		posts[r.BackupName]++
		most = max(most, posts[r.BackupName])
	}
	verdict("no backup was started twice", most == 1, "%d POSTs, each under a name of its own", len(posts))
	ended := 0
	for _, r := range history {
		if r.Status == "Succeeded" || r.Status == "Failed" {
			ended++
		}
	}
	// An event is sent just after the end that it tells of was saved.
	events := 0
	for deadline := time.Now().Add(10 * time.Second); ; {
		if events, err = s.events(ctx); err != nil {
			return err
		}
		if events >= ended || time.Now().After(deadline) {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	verdict("every end was told on lifeboat-events", events >= ended, "%d events for %d ends", events, ended)
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
	verdict("storage saw bearer tokens only", bearer == len(requests), "%d requests", len(requests))
	if len(errs) == 0 {
		s.say("done")
	}
	return errors.Join(errs...)
}

func (s *scene) options() azcore.ClientOptions {
	return azcore.ClientOptions{Transport: s.Sim.Client()}
}

// blobs are the sizes of what lies in the container of the backups, read with an identity of the demo's own.
func (s *scene) blobs(ctx context.Context) (map[string]int64, error) {
	s.Sim.Assign(s.Sim.ObjectID("demo"), stack.Scope, sim.StorageBlobDataReader, sim.StorageQueueDataContributor)
	client, err := azblob.NewClient("https://"+stack.Backups+".blob.core.windows.net", s.Sim.Credential("demo"),
		&azblob.ClientOptions{ClientOptions: s.options()})
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for pages := client.NewListBlobsFlatPager(stack.Container, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			sizes[stack.Container+"/"+*b.Name] = *b.Properties.ContentLength
		}
	}
	return sizes, nil
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
