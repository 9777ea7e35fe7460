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
