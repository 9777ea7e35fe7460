package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

func TestRequests(t *testing.T) {
	t.Run("a repeat is the same run", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		s.now = s.now.Add(time.Hour)
		if again := s.ask("request-1"); again.ID != run.ID || s.rows("run-") != 1 {
			t.Errorf("%s, and then %s", run.ID, again.ID)
		}
		s.finish()
		if again := s.ask("request-1"); again.ID != run.ID || again.State != backup.Succeeded {
			t.Errorf("after its end the repeat says %s of %s", again.State, again.ID)
		}
		if len(s.provider.begun) != 1 {
			t.Errorf("begun %q", s.provider.begun)
		}
	})
	t.Run("another ID is another run", func(t *testing.T) {
		s := newHarness(t)
		if one, two := s.ask("request-1"), s.ask("request-2"); one.ID == two.ID {
			t.Error("one run for two requests")
		}
	})
	t.Run("reused for another plan or target", func(t *testing.T) {
		s := newHarness(t)
		s.ask("request-1")
		other := nightly()
		other.Name = "other"
		for _, ask := range []func() (backup.Run, error){
			func() (backup.Run, error) { return s.backup("request-1", other, target) },
			func() (backup.Run, error) { return s.backup("request-1", nightly(), target+"-two") },
		} {
			if _, err := ask(); !errors.Is(err, engine.ErrRequestReused) {
				t.Errorf("got %v", err)
			}
		}
		if s.rows("run-") != 1 {
			t.Errorf("%d runs", s.rows("run-"))
		}
	})
	t.Run("the case of the resource ID does not matter", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		if again, err := s.backup("request-1", nightly(), "/SUBSCRIPTIONS"+target[len("/subscriptions"):]); err != nil || again.ID != run.ID {
			t.Errorf("%s, %v", again.ID, err)
		}
	})
	t.Run("a run that is not there", func(t *testing.T) {
		s := newHarness(t)
		for _, id := range []string{"", "x", "0123456789abcdef-0123456789-0123456789ab"} {
			if _, _, err := s.engine.Status(t.Context(), id); !errors.Is(err, backup.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

// TestHalfDoneRequests lets every storage call of a request fail, before and after it took effect. The repeat completes it: one
// run, and it succeeds.
func TestHalfDoneRequests(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.storage.failAt, s.storage.made = k, made
			_, err := s.backup("request-1", nightly(), target)
			if s.storage.calls < k {
				break
			}
			if err != nil && !errors.Is(err, errBroken) {
				t.Errorf("call %d: %v", k, err)
			}
			s.now = s.now.Add(7 * time.Minute)
			run := s.ask("request-1")
			s.runSchedule()
			s.finish()
			s.ended(run.ID, backup.Succeeded, "")
			s.now = s.now.Add(time.Hour)
			s.runSchedule()
			if s.rows("run-") != 1 || s.rows("inflight") != 0 {
				t.Errorf("call %d fails (made: %v): %d runs, %d entries", k, made, s.rows("run-"), s.rows("inflight"))
			}
		}
	}
}

func TestHistory(t *testing.T) {
	s := newHarness(t)
	var ids []string
	for i := range 5 {
		run := s.ask(fmt.Sprint("request-", i))
		ids = append([]string{run.ID}, ids...)
		if i == 2 {
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, "BackupFailed")
			}
		}
		s.finish()
		s.provider.poll = nil
		s.now = s.now.Add(time.Hour)
	}
	var got []string
	after := ""
	for range 10 {
		page, next, err := s.engine.History(t.Context(), target, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page {
			got = append(got, h.Run.ID)
			if (h.Point != nil) != (h.Run.State == backup.Succeeded) || h.Point != nil && h.Point.ID != h.Run.ID {
				t.Errorf("run %s is %s and has the point %+v", h.Run.ID, h.Run.State, h.Point)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("got %q, want %q", got, ids)
	}
	if _, _, err := s.engine.History(t.Context(), target+"-two", ids[0], 2); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("going on from another target's run: %v", err)
	}
	if h, next, err := s.engine.History(t.Context(), target+"-two", "", 2); len(h) != 0 || next != "" || err != nil {
		t.Errorf("a target without runs: %v, %q, %v", h, next, err)
	}
}

// TestOnDemandKeepWithin: a manual backup is kept for as long as its plan says for manual ones.
func TestOnDemandKeepWithin(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.OnDemandKeepWithin = 7 * 24 * time.Hour
	run, err := s.backup("one", plan, target)
	if err != nil || run.Settings.KeepWithin != 7*24*time.Hour {
		t.Errorf("kept for %s, %v", run.Settings.KeepWithin, err)
	}
	if run := s.ask("two"); run.Settings.KeepWithin != 30*24*time.Hour {
		t.Errorf("without a word about it kept for %s", run.Settings.KeepWithin)
	}
}
