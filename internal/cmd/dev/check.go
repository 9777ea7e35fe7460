package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// verdicts records the claims that do not hold.
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

// check compares the demo's claims with storage and with Azure's side.
func (s *scene) check(ctx context.Context, history []run, asked string, good, bad restored) error {
	var v verdicts
	for _, t := range targets {
		v.say(t.name+" was backed up on schedule, and what was too old expired", succeeded(history, t) >= 2 && expired(history, t) > 0,
			"%d recovery points, %d expired", succeeded(history, t), expired(history, t))
	}
	r, _ := find(history, asked)
	v.say("one backup on demand", r.State == "succeeded", "run %s", asked)
	if err := s.checkStored(ctx, &v, history); err != nil {
		return err
	}
	s.checkProofs(&v, history)
	if err := s.checkStarts(ctx, &v); err != nil {
		return err
	}
	s.checkRestored(&v, history, good)
	s.checkRefused(&v, bad)
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
	v.say("blobs, queues and tables saw bearer tokens only", bearer == len(requests), "%d requests", len(requests))
	if len(v.errs) == 0 {
		fmt.Println()
		s.say("done")
	}
	return errors.Join(v.errs...)
}

// checkStored reads the account: all of a live recovery point must be there, and nothing of an expired one. The schedule
// continues meanwhile, so a recovery point that expires just now does not count.
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
		case (r.Point.State == "live" || r.Point.State == "copyOnly") && exists && found == artifact{r.Point.Size, r.Point.SHA256}:
			live++
		case r.Point.State == "expired" && !exists:
			gone++
		case r.Point.State != "deleting":
			wrong++
		}
	}
	v.say("every live recovery point, and every copy, is stored, with its size and SHA-256", live > 0 && wrong == 0, "%d live", live)
	v.say("nothing is stored of an expired one", gone > 0 && wrong == 0, "%d expired", gone)
	return nil
}

// checkProofs asks the HSMs whether they tested each backup, and could restore it.
func (s *scene) checkProofs(v *verdicts, history []run) {
	proven := map[string]bool{}
	for _, o := range s.Sim.HSMOperations() {
		if o.Kind == fakeazure.RestoreCheck && o.State == fakeazure.Succeeded {
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

// starts counts the backups that the services started, by the targets' IDs.
func (s *scene) starts() map[string]int {
	n := map[string]int{}
	for _, r := range s.Sim.BackupRequests() {
		if r.Operation != "" {
			n[r.Service]++
		}
	}
	for _, r := range s.Sim.HSMRequests() {
		if r.Kind == fakeazure.FullBackup && r.JobID != "" {
			n[r.HSM]++
		}
	}
	for _, r := range s.Sim.LedgerRequests() {
		if (r.Kind == fakeazure.LedgerBackup || r.Kind == fakeazure.LedgerExport) && r.Operation != "" {
			n[r.Ledger]++
		}
	}
	return n
}

// restores counts the requests for restores that the services received, and the accepted ones, by the targets' IDs.
func (s *scene) restores() (asked, accepted map[string]int) {
	asked, accepted = map[string]int{}, map[string]int{}
	count := func(id string, ok bool) {
		asked[id]++
		if ok {
			accepted[id]++
		}
	}
	for _, r := range s.Sim.RestoreRequests() {
		count(r.Service, r.Operation != "")
	}
	for _, r := range s.Sim.HSMRequests() {
		if r.Kind == fakeazure.FullRestore || r.Kind == fakeazure.KeyRestore {
			count(r.HSM, r.JobID != "")
		}
	}
	for _, r := range s.Sim.LedgerRequests() {
		if r.Kind == fakeazure.LedgerRestore {
			count(r.Ledger, r.Operation != "")
		}
	}
	return asked, accepted
}

// checkStarts compares the started backups with the attempts. It counts the started backups first, because an attempt is saved
// before its request is sent.
func (s *scene) checkStarts(ctx context.Context, v *verdicts) error {
	starts := s.starts()
	history, err := s.history(ctx)
	if err != nil {
		return err
	}
	attempts := map[string]int{}
	for _, r := range history {
		switch {
		case r.Kind == "backup":
			attempts[r.target.id()] += r.Attempts
		case r.Point != nil:
			attempts[r.target.id()]++ // the restore's safety backup
		}
	}
	twice, all := "", 0
	for _, t := range targets {
		all += starts[t.id()]
		if starts[t.id()] == 0 || starts[t.id()] > attempts[t.id()] {
			twice += fmt.Sprintf(", %s %d times in %d attempts", t.name, starts[t.id()], attempts[t.id()])
		}
	}
	v.say("no backup was started twice", twice == "", "%d were, each by an attempt of its own%s", all, twice)
	return nil
}

// checkRestored asks the services for their contents, and counts their requests to restore.
func (s *scene) checkRestored(v *verdicts, history []run, done restored) {
	asked, accepted := s.restores()
	for _, q := range done.requests {
		t := q.target
		v.say(t.name+" was damaged, and is as it was", maps.Equal(done.before[t], done.after[t]) &&
			len(done.before[t]) > 0 && !maps.Equal(done.before[t], done.damaged[t]), "%d of %d", same(done.before[t], done.after[t]), len(done.before[t]))
		v.say("two messages made one restore of "+t.name, asked[t.id()] == 1 && accepted[t.id()] == 1, "%d request to Azure", asked[t.id()])
		r, _ := find(history, done.ends[q.id()].Data.Run)
		if t.kind == managedCCF {
			continue // the target had nothing left to back up
		}
		v.say("what "+t.name+" held then was backed up before", r.Point != nil && r.Point.Safety && r.Point.State == "live" &&
			r.Point.Held.After(r.Ended), "held until %s", held(r))
	}
}

// same counts the things that both have.
func same(a, b map[string]string) (n int) {
	for thing, value := range a {
		if b[thing] == value {
			n++
		}
	}
	return n
}

func held(r run) string {
	if r.Point == nil {
		return "never"
	}
	return r.Point.Held.UTC().Format(time.RFC3339)
}

// checkRefused asks the services whether they received any of the refused requests.
func (s *scene) checkRefused(v *verdicts, done restored) {
	asked, _ := s.restores()
	for _, q := range done.requests {
		e := done.ends[q.id()]
		into := named(e.Subject)
		v.say(q.id()+" was refused, and "+into.name+" never heard of it", e.word() == "refused" && e.Data.Reason.Message != "" &&
			into.kind != "" && asked[into.id()] == 0, "%s", e.Data.Reason.Code)
	}
}

// checkEvents looks for the event of each end. An event is sent just after its run's end was saved.
func (s *scene) checkEvents(ctx context.Context, v *verdicts, history []run) error {
	ended, missing := 0, ""
	for deadline := time.Now().Add(10 * time.Second); ; {
		if err := s.hear(ctx); err != nil {
			return err
		}
		ended, missing = 0, ""
		for _, r := range history {
			if !r.ended() {
				continue
			}
			ended++
			if _, ok := s.events[r.ID+"."+r.State]; !ok {
				missing += ", but not " + r.ID
			}
		}
		if missing == "" || time.Now().After(deadline) {
			break
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
	v.say("every end was told on "+eventsQueue, missing == "" && ended > 0, "%d ends, %d events%s", ended, len(s.events), missing)
	lacking := 0
	for _, e := range s.answers {
		if s.events[e.ID].Type != e.Type {
			lacking++
		}
	}
	v.say("every answer on the queue "+answersQueue+" was told there, too", len(s.answers) > 0 && lacking == 0, "%d answers", len(s.answers))
	return nil
}
