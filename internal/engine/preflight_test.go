package engine_test

import (
	"errors"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

var noBackup = &backup.Fault{
	Kind: backup.Refused, Code: "TierWithoutBackup", Message: "Azure's own words", Hint: "Move it to another tier.",
}

func TestARefusedPreflightStartsNothing(t *testing.T) {
	s := newHarness(t)
	s.provider.ready = func(backup.Attempt) error { return noBackup }
	run := s.ask("one")
	s.finish()
	run = s.ended(run.ID, backup.StateRefused, "TierWithoutBackup")
	if run.Reason.Message != noBackup.Message || run.Reason.Hint != noBackup.Hint || run.Attempt != 0 {
		t.Errorf("the run is %+v, want Azure's words, what to do, and no attempt", run)
	}
	if len(s.provider.begun) != 0 || len(s.provider.deleted) != 0 || s.provider.looks != 1 || s.provider.prepared != 0 {
		t.Errorf("%d looks, prepared %d times, begun %q, deleted %q; want one look and nothing else", s.provider.looks,
			s.provider.prepared, s.provider.begun, s.provider.deleted)
	}
}

// TestPrepareComesBetweenPreflightAndStart: its no ends the run refused, and after a temporary error it prepares again.
func TestPrepareComesBetweenPreflightAndStart(t *testing.T) {
	s := newHarness(t)
	s.provider.makes = func(a backup.Attempt) error {
		if len(s.provider.begun) > 0 || a.Artifact != "" || a.Storage.Container != "lifeboat" {
			t.Errorf("prepared for %+v with %q begun", a, s.provider.begun)
		}
		if s.provider.prepared == 1 {
			return &backup.Fault{Kind: backup.Retryable, Code: "ContainerBeingDeleted", Message: "later"}
		}
		return nil
	}
	run := s.ask("one")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	if s.provider.prepared != 2 || s.provider.looks != 2 {
		t.Errorf("prepared %d times, looked %d times", s.provider.prepared, s.provider.looks)
	}

	s = newHarness(t)
	s.provider.makes = func(backup.Attempt) error { return noBackup }
	run = s.ask("two")
	s.finish()
	s.ended(run.ID, backup.StateRefused, noBackup.Code)
	if len(s.provider.begun) != 0 {
		t.Errorf("begun %q", s.provider.begun)
	}
}

// TestARefusedPreflightSurvivesEveryFailure lets each outside call fail in turn, made or not: the run ends refused all the same,
// with its event, and nothing is started.
func TestARefusedPreflightSurvivesEveryFailure(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.provider.ready = func(backup.Attempt) error { return noBackup }
			run := s.ask("one")
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.finish()
			reached := s.storage.calls >= k
			s.storage.failAt = 0
			if got := s.run(run.ID); got.State != backup.StateRefused || got.Unpublished {
				t.Errorf("call %d failed (made: %t): the run is %s and unpublished: %t", k, made, got.State, got.Unpublished)
			}
			if len(s.provider.begun) != 0 {
				t.Errorf("call %d failed (made: %t): begun %q", k, made, s.provider.begun)
			}
			if !reached {
				break
			}
		}
	}
}

// TestPreflightComesOnceBeforeTheFirstIntent: a service that is busy later is not checked again, but a check is repeated if it
// could not be made.
func TestPreflightComesOnceBeforeTheFirstIntent(t *testing.T) {
	s := newHarness(t)
	s.provider.ready = func(a backup.Attempt) error {
		if a.Artifact != "" || a.Target != target || a.Storage.Container != "lifeboat" || a.Blocks != `{"identity":"accessKey"}` {
			t.Errorf("looked at %+v", a)
		}
		switch s.provider.looks {
		case 1:
			return &backup.Fault{Kind: backup.Retryable, Code: "TooManyRequests", Message: "later", RetryAfter: 7 * time.Minute}
		case 2:
			return errors.New("the connection broke")
		}
		return nil
	}
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		if len(s.provider.begun) == 1 {
			return backup.Operation{}, &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "busy"}
		}
		return backup.Operation{Token: "token"}, nil
	}
	plan := nightly()
	plan.Settings.Blocks = `{"identity":"accessKey"}`
	run, err := s.backup("one", plan, target)
	if err != nil {
		t.Fatal(err)
	}
	s.step()
	if got := s.run(run.ID); got.State != backup.Waiting || got.Reason.Code != "TooManyRequests" || got.Attempt != 0 ||
		got.Due.Sub(begin) < 7*time.Minute {
		t.Errorf("after a look put off the run is %+v", got)
	}
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	if s.provider.looks != 3 || len(s.provider.begun) != 2 {
		t.Errorf("%d looks and %d starts, want 3 looks, of which two could not be made, and 2 starts", s.provider.looks,
			len(s.provider.begun))
	}
}

// TestASlowPreflightTakesNothingFromTheStart: the lease and the deadline of the start count from its end.
func TestASlowPreflightTakesNothingFromTheStart(t *testing.T) {
	s := newHarness(t)
	s.provider.ready = func(backup.Attempt) error {
		s.now = s.now.Add(80 * time.Second)
		return nil
	}
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		run := s.run(a.Run)
		if run.LeaseUntil.Sub(s.now) < s.engine.Timings.Lease || run.Started.Before(begin.Add(80*time.Second)) {
			t.Errorf("%s into the run the lease ends at %s, and it started at %s", s.now.Sub(begin), run.LeaseUntil, run.Started)
		}
		return backup.Operation{Token: "token"}, nil
	}
	run := s.ask("one")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
}

func TestEnginePreflight(t *testing.T) {
	s := newHarness(t)
	s.provider.ready = func(backup.Attempt) error { return noBackup }
	if err := s.engine.Preflight(t.Context(), nightly(), target); !errors.Is(err, noBackup) {
		t.Errorf("got %v, want the provider's own fault", err)
	}
	if err := s.engine.Preflight(t.Context(), nightly(), account); !errors.Is(err, engine.ErrNoProvider) {
		t.Errorf("got %v for a storage account, want ErrNoProvider", err)
	}
	s.provider.ready = nil
	if err := s.engine.Preflight(t.Context(), nightly(), target); err != nil || s.provider.prepared != 0 {
		t.Errorf("%v; a look prepared %d times", err, s.provider.prepared)
	}
}
