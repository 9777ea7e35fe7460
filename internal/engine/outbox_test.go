package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestEventsGateNoBackup: while no event can be sent, every backup goes on and releases its permits; afterwards every event is
// published, once.
func TestEventsGateNoBackup(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency, s.storage.silent = 2, true
	plan := nightly()
	plan.Targets = nil
	for i := range 8 {
		plan.Targets = append(plan.Targets, fmt.Sprintf("%s%d", target, i))
	}
	s.now = begin.Add(-time.Minute)
	s.runSchedule(plan)
	s.now = begin
	for range 12 * 60 {
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan)
		for range 2 {
			s.deliver()
			s.now = s.now.Add(10 * time.Second)
		}
	}
	if len(s.provider.begun) != 8 || s.rows("point-") != 8 || s.rows("permit-") != 0 {
		t.Errorf("of 8 targets %d were backed up within 12 hours: %d recovery points, %d permits held", len(s.provider.begun),
			s.rows("point-"), s.rows("permit-"))
	}
	if told := len(s.storage.queue.Events()); told != 0 || s.rows("outbox-") == 0 {
		t.Errorf("%d events were told, %d wait", told, s.rows("outbox-"))
	}
	s.storage.silent = false
	s.runSchedule(plan)
	told := map[string]int{}
	for _, e := range s.storage.queue.Events() {
		told[e.ID]++
	}
	for _, row := range s.storage.catalog.Rows() {
		if rest, ok := strings.CutPrefix(row.Row, "run-"); ok && told[row.Partition+"-"+rest+".succeeded"] != 1 {
			t.Errorf("told of run %s: %v", rest, told)
		}
	}
	if left := s.rows("outbox-") + s.rows("pending-"); left != 0 {
		t.Errorf("%d rows of the outbox are left", left)
	}
}

// TestEventsGateNoRestore: while no event can be sent, a restore begins and ends, and afterwards its events are published in
// order, to its own queue too.
func TestEventsGateNoRestore(t *testing.T) {
	s, service, _ := restorable(t)
	s.storage.silent = true
	run := s.restore(order("incident-1"), restoring(false))
	for range 60 {
		s.now = s.now.Add(time.Minute)
		s.runSchedule()
		s.deliver()
	}
	if run = s.run(run.ID); run.State != backup.Succeeded || len(service.started) != 1 || run.Unpublished {
		t.Errorf("an hour after the request the restore is %s, %d begun, unpublished: %t", run.State, len(service.started), run.Unpublished)
	}
	s.storage.silent = false
	s.runSchedule()
	if got := s.story(run.ID); got != "accepted started succeeded" || s.answers(run.ID) != got {
		t.Errorf("told %q, answered %q", got, s.answers(run.ID))
	}
	if left := s.rows("outbox-") + s.rows("pending-"); left != 0 {
		t.Errorf("%d rows of the outbox are left", left)
	}
}

// refusing is a queue with one destination that refuses events.
type refusing struct {
	backup.Queue
	to    string
	err   error
	tries int
}

func (q *refusing) Publish(ctx context.Context, e backup.Event) error {
	if e.To == q.to {
		q.tries++
		return q.err
	}
	return q.Queue.Publish(ctx, e)
}

// TestUndeliverableEvent: an event that its queue can never take is counted with the reason, and blocks nothing: neither the run
// nor other events.
func TestUndeliverableEvent(t *testing.T) {
	s, _, _ := restorable(t)
	never := &refusing{
		Queue: s.storage, to: "answers",
		err: fmt.Errorf("%w: answer 413 RequestBodyTooLarge", backup.ErrUndeliverable),
	}
	s.engine.Queue = never
	run := s.restore(order("incident-1"), restoring(false))
	s.finish()
	s.runSchedule()
	if run = s.run(run.ID); run.State != backup.Succeeded || s.story(run.ID) != "accepted started succeeded" {
		t.Errorf("the restore is %s, told %q", run.State, s.story(run.ID))
	}
	report, err := s.engine.Outbox().Look(t.Context())
	if err != nil || report.Undeliverable != 3 || report.Waiting != 0 || never.tries != 3 ||
		!strings.Contains(report.Last, run.ID+".succeeded") || !strings.Contains(report.Last, "413 RequestBodyTooLarge") {
		t.Errorf("%+v after %d tries, %v", report, never.tries, err)
	}
}

// TestAnswersAreGivenUp: an answer whose queue does not take it is tried for seven days, and then counted; events of the
// app's own queue are never given up.
func TestAnswersAreGivenUp(t *testing.T) {
	for _, to := range []string{"answers", ""} {
		s, _, _ := restorable(t)
		gone := &refusing{Queue: s.storage, to: to, err: errBroken}
		s.engine.Queue = gone
		run := s.restore(order("incident-1"), restoring(false))
		s.finish()
		s.now = s.now.Add(7*24*time.Hour - time.Hour)
		report := s.runSchedule()
		if events, err := s.engine.Outbox().Look(t.Context()); err != nil || events.Undeliverable != 0 || report.Unsent == 0 {
			t.Errorf("to %q, after six days: %+v, %d unsent, %v", to, events, report.Unsent, err)
		}
		s.now = s.now.Add(2 * time.Hour)
		s.runSchedule()
		events, err := s.engine.Outbox().Look(t.Context())
		if given := events.Undeliverable; err != nil || (to == "") != (given == 0) || (to == "") != (events.Waiting > 0) {
			t.Errorf("to %q, after seven days: %+v, %v", to, events, err)
		}
		gone.err, gone.to = nil, "nobody"
		s.runSchedule()
		if told := s.story(run.ID); told != "accepted started succeeded" {
			t.Errorf("to %q: told %q", to, told)
		}
	}
}

// TestEveryMissedPeriodIsTold: all the missed periods that come while no event can be sent are published afterwards.
func TestEveryMissedPeriodIsTold(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	s.runSchedule(plan)
	s.storage.silent = true
	const missedRuns = 60
	for range missedRuns {
		s.now = s.now.Add(3 * 24 * time.Hour)
		s.runSchedule(plan)
		s.finish()
	}
	s.storage.silent = false
	s.runSchedule(plan)
	told := map[string]bool{}
	for _, e := range s.storage.queue.Events() {
		if e.Type == "lifeboat.schedule.missed" {
			told[e.ID] = true
		}
	}
	if len(told) != missedRuns || len(s.missedRuns()) != missedRuns {
		t.Errorf("%d missed periods were told of %d", len(told), len(s.missedRuns()))
	}
}

// TestBrokenOutboxRow: a row of the outbox that cannot be read is named, and stops no other event, and no run.
func TestBrokenOutboxRow(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request-1")
	s.storage.silent = true
	s.finish()
	s.storage.silent = false
	for _, partition := range []string{run.ID[:16], "schedule"} {
		key := backup.Key{Partition: partition, Row: "outbox-lifeboat-events.aaa"}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: []byte(`{"ID":7}`)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.engine.Schedule(t.Context(), nil)
	if err == nil || strings.Count(err.Error(), "outbox-lifeboat-events.aaa") != 2 {
		t.Errorf("the rows are not named: %v", err)
	}
	s.ended(run.ID, backup.Succeeded, "")
}

// TestOneArtifactOnePoint: a run whose start was lost never makes a recovery point of another run's artifact: a provider's search
// leaves that out; and if a provider finds it all the same, nothing is saved.
func TestOneArtifactOnePoint(t *testing.T) {
	const folder = "mhsm-contoso-2026011502300000"
	lost := func() (backup.Operation, error) {
		return backup.Operation{}, &backup.Fault{Kind: backup.Ambiguous, Code: "AnswerLost"}
	}
	for _, test := range []struct {
		name  string
		finds func(a backup.Attempt) (string, error)
		// begun are the starts of both runs.
		begun int
		state backup.State
		code  string
	}{
		{"left out", func(a backup.Attempt) (string, error) {
			for _, name := range a.Taken {
				if name == folder {
					return "", nil
				}
			}
			return folder, nil
		}, 3, backup.Succeeded, ""},
		{"nothing is ambiguous for it", func(a backup.Attempt) (string, error) {
			if len(a.Taken) == 0 {
				return "", &backup.Fault{Kind: backup.Refused, Code: "Ambiguous"}
			}
			return "another folder", nil
		}, 2, backup.Succeeded, ""},
		{"found all the same", func(backup.Attempt) (string, error) { return folder, nil }, 2, backup.Unknown, "ArtifactTaken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{Done: true, Artifact: []string{folder, "another folder"}[len(s.provider.begun)/2]}, nil
			}
			first := s.ask("request-1")
			s.finish()
			s.now = s.now.Add(2 * time.Second)
			second := s.ask("request-2")
			s.provider.find = test.finds
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				s.provider.begin = nil
				return lost()
			}
			s.finish()
			if got := s.run(second.ID); got.State != test.state || got.Reason.Code != test.code {
				t.Errorf("the second run is %s: %+v", got.State, got.Reason)
			}
			if len(s.provider.begun) != test.begun {
				t.Errorf("begun %q", s.provider.begun)
			}
			if p := s.status(first.ID).Point; p == nil || p.Artifact != folder {
				t.Errorf("the first recovery point is %+v", p)
			}
			if p := s.status(second.ID).Point; (p == nil) != (test.state == backup.Unknown) || p != nil && p.Artifact == folder {
				t.Errorf("the second recovery point is %+v", p)
			}
			if test.state == backup.Unknown {
				s.ended(second.ID, backup.Unknown, "ArtifactTaken")
			}
		})
	}
}
