package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// crowd lets 500 backups wait for a permit, while the operations of others go on for two hours.
func (s *harness) crowd(concurrency int) (o *operations, plan backup.Plan) {
	s.t.Helper()
	s.engine.Concurrency = concurrency
	o = s.operate(2 * time.Hour)
	plan = many(500 + max(1, concurrency-max(1, concurrency/10)))
	s.runSchedule(plan)
	s.now = begin.Add(2 * day)
	s.runSchedule(plan)
	for len(s.deliver()) > 0 {
	}
	waiting := 0
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "enqueued-") {
			waiting++
		}
	}
	if waiting != 500 {
		s.t.Fatalf("%d runs wait, and %d operate", waiting, o.underway())
	}
	return o, plan
}

// TestARestoreBeginsWhile500BackupsWait: with a permit that is kept for restores it begins at its first step. With a bound of one it
// takes the next free permit, at the timer run that finds it, before all the backups; and then they go on.
func TestARestoreBeginsWhile500BackupsWait(t *testing.T) {
	for _, concurrency := range []int{1, 10, 50} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			s, service, _ := restorable(t)
			o, plan := s.crowd(concurrency)
			began := len(o.began)
			run := s.restore(order("incident"), restoring(false))
			s.deliver()
			if concurrency > 1 {
				if now := s.run(run.ID); now.State != backup.Running || len(service.started) != 1 {
					t.Fatalf("after its first step it is %s: %+v", now.State, now.Reason)
				}
				return
			}
			if now := s.run(run.ID); now.State != backup.Waiting || now.Reason.Code != "TooManyOperations" {
				t.Fatalf("it is %s: %+v", now.State, now.Reason)
			}
			newcomer, err := s.backup("newcomer", nightly(), target)
			if err != nil {
				t.Fatal(err)
			}
			for minutes := 0; len(service.started) == 0; minutes++ {
				if minutes > 200 || len(o.began) > began {
					t.Fatalf("after %d minutes %d backups have begun, and the restore is %s: %+v", minutes, len(o.began)-began,
						s.run(run.ID).State, s.run(run.ID).Reason)
				}
				s.minutes(1, plan)
			}
			s.minutes(4*60, plan)
			if now := s.run(run.ID); now.State != backup.Succeeded || len(o.began) == began {
				t.Errorf("the restore is %s: %+v; %d backups began since", now.State, now.Reason, len(o.began)-began)
			}
			if now := s.run(newcomer.ID); now.State != backup.Waiting {
				t.Errorf("the newcomer is %s", now.State)
			}
		})
	}
}

// TestARestoreInTheWaitQueueSurvivesFailures lets every single call fail, made or not, while a restore and two backups share one
// permit: the restore begins before the backups that wait, and nothing is left behind.
func TestARestoreInTheWaitQueueSurvivesFailures(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s, service, _ := restorable(t)
			s.engine.Concurrency = 1
			o := s.operate(3 * time.Minute)
			service.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Done: true}, nil }
			plan := many(2)
			s.runSchedule(plan)
			s.now = begin.Add(2 * day)
			s.runSchedule(plan)
			for len(s.deliver()) > 0 {
			}
			run := s.restore(order("incident"), restoring(false))
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.minutes(60, plan)
			if s.storage.calls < k {
				break
			}
			calls++
			got, now := s.runStates(), s.run(run.ID)
			// A restore is never sent twice: if a call around its request fails, nothing shows how it ended, or whether it was sent.
			ended := now.State == backup.Succeeded && len(service.started) == 1 || len(service.started) < 2 && now.State == backup.Unknown && now.Reason.Code == "StartLost"
			if !ended || got[backup.Succeeded]+got[backup.Unknown] != 4 || len(o.began) != 2 {
				t.Fatalf("call %d fails (made: %v): %v, %+v; %q began", k, made, got, now.Reason, o.began)
			}
			s.gateIsOpen()
			for _, row := range s.storage.catalog.Rows() {
				if strings.HasPrefix(row.Row, "known-waiting-") {
					t.Fatalf("call %d fails (made: %v): left: %s", k, made, row.Row)
				}
			}
		}
	}
	t.Logf("%d calls failed, one at a time", calls)
}

// TestRestoresIntoOneDestinationRunOldestFirst: three restores wait while another run has their destination, and come back in any
// order. A canceled restore holds up no other one.
func TestRestoresIntoOneDestinationRunOldestFirst(t *testing.T) {
	for _, turns := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		for _, canceled := range []bool{false, true} {
			s, service, _ := restorable(t)
			run := s.restore(order("restore-0"), restoring(false))
			lock := run.LockKey()
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: lock, Body: []byte(`{"Run":"another"}`)}); err != nil {
				t.Fatal(err)
			}
			ids := []string{run.ID}
			for i := range 2 {
				s.now = s.now.Add(time.Minute)
				ids = append(ids, s.restore(order(fmt.Sprint("restore-", i+1)), restoring(false)).ID)
			}
			s.deliver()
			for _, id := range ids {
				if now := s.run(id); now.State != backup.Waiting || now.Reason.Code != "TargetBusy" {
					t.Fatalf("%s is %s: %+v", id, now.State, now.Reason)
				}
			}
			if canceled {
				if _, err := s.engine.CancelRestore(t.Context(), ids[0], "a person"); err != nil {
					t.Fatal(err)
				}
				ids = ids[1:]
			}
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: lock, ETag: "*"}); err != nil {
				t.Fatal(err)
			}
			for _, turn := range turns {
				if turn >= len(ids) {
					continue
				}
				m := s.run(ids[turn]).StepMessage()
				if err := s.storage.queue.SendStep(t.Context(), m, 0); err != nil {
					t.Fatal(err)
				}
				s.deliver()
				if len(service.started) > 0 && s.run(ids[0]).Accepted.IsZero() {
					t.Fatalf("turns %v: a younger restore was sent first", turns)
				}
			}
			s.finish()
			for i, id := range ids {
				now := s.run(id)
				if now.State != backup.Succeeded || i > 0 && now.Accepted.Before(s.run(ids[i-1]).Ended) {
					t.Errorf("turns %v: restore %d is %s, accepted at %s: %+v", turns, i, now.State, now.Accepted, now.Reason)
				}
			}
			if len(service.started) != len(ids) {
				t.Errorf("turns %v: %d restores were sent", turns, len(service.started))
			}
		}
	}
}

// TestARestoreThatItsOwnPointHoldsUpHoldsUpNoOther: cleanup has the recovery point of the older one.
func TestARestoreThatItsOwnPointHoldsUpHoldsUpNoOther(t *testing.T) {
	s, service, point := restorable(t)
	older := s.restore(order("older"), restoring(false))
	p, err := s.engine.RecoveryPoint(t.Context(), point)
	if err != nil {
		t.Fatal(err)
	}
	p.State = backup.Deleting
	s.put(p)
	s.deliver()
	if now := s.run(older.ID); now.Reason.Code != "RecoveryPointDeleting" {
		t.Fatalf("it is %s: %+v", now.State, now.Reason)
	}
	s.now = s.now.Add(2 * time.Second)
	p.State = backup.Live
	s.put(p)
	younger := s.restore(order("younger"), restoring(false))
	if err := s.storage.queue.SendStep(t.Context(), s.run(younger.ID).StepMessage(), 0); err != nil {
		t.Fatal(err)
	}
	s.deliver()
	if now := s.run(younger.ID); len(service.started) != 1 || now.Accepted.IsZero() {
		t.Errorf("the younger one is %s: %+v", now.State, now.Reason)
	}
}

// TestARestoreWhoseArtifactCannotBeReadHoldsUpNoOther: storage does not let the older restore read its artifact, which is no matter of the
// destination. The younger one has another recovery point, and waits for a day.
func TestARestoreWhoseArtifactCannotBeReadHoldsUpNoOther(t *testing.T) {
	s, service, first := restorable(t)
	s.now = s.now.Add(time.Hour)
	second := s.ask("second")
	s.finish()
	s.rescueAll()
	p, err := s.engine.RecoveryPoint(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	s.provider.hash = func(a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
		if a.Artifact == p.Artifact {
			return backup.Verification{}, fault(backup.Retryable, "AuthorizationFailure")
		}
		good, err := s.engine.RecoveryPoint(t.Context(), second.ID)
		return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: good.ETag}, Size: good.Size, SHA256: good.SHA256, Modified: good.Created}, err
	}
	q := order("older")
	q.Point = first
	older := s.restore(q, restoring(false))
	s.deliver()
	if now := s.run(older.ID); now.State != backup.Waiting || now.Reason.Code != "AuthorizationFailure" {
		t.Fatalf("the older one is %s: %+v", now.State, now.Reason)
	}
	s.now = s.now.Add(time.Minute)
	q = order("younger")
	q.Point = second.ID
	younger := s.restore(q, restoring(false))
	for end := s.now.Add(3 * time.Hour); s.now.Before(end) && s.step(); {
	}
	if now := s.run(younger.ID); now.State != backup.Succeeded || len(service.started) != 1 {
		t.Errorf("after three hours the younger one is %s: %+v", now.State, now.Reason)
	}
}
