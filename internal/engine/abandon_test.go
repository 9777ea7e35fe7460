package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/restore"
)

// abandon abandons the run twice: the second call changes nothing.
func (s *harness) abandon(id string, want backup.State) {
	s.t.Helper()
	for range 2 {
		run, err := s.engine.Abandon(s.t.Context(), id, "a person")
		if err != nil || run.State != want || run.Reason.Code != "Abandoned" || !strings.Contains(run.Reason.Message, "a person") {
			s.t.Fatalf("abandoned: %s, %+v, %v", run.State, run.Reason, err)
		}
	}
}

// free fails unless nothing holds the target and no permit is taken.
func (s *harness) free() {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		if row.Row == "lock" || strings.HasPrefix(row.Row, "permit-") || strings.HasPrefix(row.Row, "enqueued-") {
			s.t.Errorf("there is still %s/%s %s", row.Partition, row.Row, row.Body)
		}
	}
}

// TestAbandonABackup: in each of its states. Its target and its permits are free at once, its steps go no further, and cleanup
// deletes what Azure writes for it later.
func TestAbandonABackup(t *testing.T) {
	for name, c := range map[string]struct {
		steps func(s *harness)
		want  backup.State
		// late: cleanup looks for what it may have written.
		late bool
	}{
		"queued": {func(*harness) {}, backup.Canceled, false},
		"waiting": {func(s *harness) {
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Retryable, "ServiceUpdating")
			}
			s.deliver()
		}, backup.Canceled, false},
		"throttled, with its permit": {func(s *harness) {
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Throttled, "TooManyRequests")
			}
			s.deliver()
		}, backup.Canceled, false},
		"a lost start": {func(s *harness) {
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
			s.deliver()
		}, backup.Unknown, true},
		"running": {func(s *harness) {
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
			s.deliver()
			s.step()
		}, backup.Unknown, true},
		"verifying": {func(s *harness) {
			s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{}, fault(backup.Retryable, "StorageBusy")
			}
			s.deliver()
			s.step()
			s.step()
		}, backup.Unknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.engine.Concurrency = 1
			run := s.ask("backup")
			c.steps(s)
			s.abandon(run.ID, c.want)
			s.free()
			if late := s.rows("due") > 0; late != c.late {
				t.Errorf("cleanup looks for it: %t", late)
			}
			s.provider.deleted = nil
			s.now = s.now.Add(7 * time.Hour)
			if _, err := s.engine.Cleanup(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := []string{"all but " + run.ID + ".0"}; c.late != slices.Equal(s.provider.deleted, want) {
				t.Errorf("cleanup deleted %v", s.provider.deleted)
			}
			s.now = s.now.Add(8 * 24 * time.Hour)
			if report, err := s.engine.Cleanup(t.Context()); err != nil || len(report.Failed) > 0 || s.rows("due") > 0 {
				t.Errorf("a week later: %+v, %v, %d entries", report.Failed, err, s.rows("due"))
			}
			s.rescueAll()
			if now := s.run(run.ID); now.State != c.want {
				t.Errorf("it is %s", now.State)
			}
			s.provider.begin, s.provider.poll, s.provider.hash = nil, nil, nil
			again := s.ask("again")
			s.finish()
			if now := s.run(again.ID); now.State != backup.Succeeded {
				t.Errorf("the next backup ended %s: %+v", now.State, now.Reason)
			}
			if _, err := s.engine.Abandon(t.Context(), again.ID, "a person"); !errors.Is(err, engine.ErrOver) {
				t.Errorf("it has ended: %v", err)
			}
		})
	}
}

// TestAbandonWaitsForTheLease: while an invocation may be sending the start, the run is left alone.
func TestAbandonWaitsForTheLease(t *testing.T) {
	s := newHarness(t)
	run := s.ask("backup")
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		if _, err := s.engine.Abandon(t.Context(), run.ID, "a person"); !errors.Is(err, engine.ErrStarting) {
			t.Errorf("while it is being started: %v", err)
		}
		return backup.Operation{Token: "token"}, nil
	}
	s.deliver()
	if now := s.run(run.ID); now.State != backup.Running {
		t.Errorf("it is %s", now.State)
	}
	s.abandon(run.ID, backup.Unknown)
}

// TestAbandonARestore: it ends if the restore was not begun, or if Azure answers that it shows nothing of it.
func TestAbandonARestore(t *testing.T) {
	running := func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
	for name, c := range map[string]struct {
		steps func(s *harness, r *fakeRestorer, id string)
		want  backup.State // "": it is refused
		says  string
	}{
		"waiting": {func(s *harness, r *fakeRestorer, _ string) {
			r.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
			s.deliver()
		}, backup.Canceled, "nothing was restored"},
		"at its safety backup": {func(s *harness, _ *fakeRestorer, _ string) {
			s.provider.poll = running
			s.deliver()
			s.step()
		}, backup.Unknown, "nothing was restored"},
		"at the service's own check, after the safety backup": {func(s *harness, r *fakeRestorer, id string) {
			r.may = func(string) (backup.Operation, error) { return backup.Operation{Token: "checking"}, nil }
			for s.run(id).Restore.SafetyBackedUp.IsZero() && s.step() {
			}
			s.step()
		}, backup.Canceled, "nothing was restored"},
		"Azure says that it runs": {begun(func() (backup.Operation, error) {
			return backup.Operation{Token: "restore token"}, nil
		}), "", "Azure says that it runs"},
		"Azure says that it is done": {begun(func() (backup.Operation, error) {
			return backup.Operation{Done: true}, nil
		}), "", "has ended"},
		"Azure says that it failed": {begun(func() (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Refused, "RestoreFailed")
		}), "", "has ended"},
		"Azure cannot be asked": {begun(func() (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Retryable, "ConnectionReset")
		}), "", "cannot be asked"},
		"Azure shows nothing of it": {begun(func() (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Unobservable, "NotFound")
		}), backup.Unknown, "while it was running"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r, point := restorable(t)
			s.engine.Concurrency = 1
			run := s.restore(order("restore-1"), restoring(true))
			c.steps(s, r, run.ID)
			was := s.run(run.ID)
			if c.want == "" {
				now, err := s.engine.Abandon(t.Context(), run.ID, "a person")
				if !errors.Is(err, restore.ErrBegun) || !strings.Contains(err.Error(), c.says) || now.State != was.State || s.run(run.ID).State != was.State {
					t.Errorf("%s, %v", now.State, err)
				}
				return
			}
			s.abandon(run.ID, c.want)
			s.free()
			if now := s.run(run.ID); !strings.Contains(now.Reason.Message, c.says) {
				t.Errorf("%+v", now.Reason)
			}
			s.finish()
			s.rescueAll()
			if len(s.readers(point)) > 0 || !strings.HasSuffix(s.story(run.ID), " "+string(c.want)) {
				t.Errorf("read by %v, told %s", s.readers(point), s.story(run.ID))
			}
		})
	}
}

// begun brings a restore to the point at which it runs, and then has the service answer so.
func begun(told func() (backup.Operation, error)) func(s *harness, r *fakeRestorer, id string) {
	return func(s *harness, r *fakeRestorer, _ string) {
		r.told = func() (backup.Operation, error) { return backup.Operation{Token: "restore token"}, nil }
		for len(r.started) == 0 && s.step() {
		}
		r.told = told
	}
}

// TestAbandonSurvives lets every call to storage of an abandonment fail, made or not, and the process die before and after each. The
// person asks again. The run ends once, everything is free, and its event is told.
func TestAbandonSurvives(t *testing.T) {
	for _, how := range []string{"fails", "is made and fails", "dies before", "dies after"} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.engine.Concurrency = 1
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
			run := s.ask("backup")
			s.deliver()
			s.step()
			s.storage.calls, s.storage.failAt = 0, k
			s.storage.made = how == "is made and fails" || how == "dies after"
			s.storage.fatal = strings.HasPrefix(how, "dies")
			func() {
				defer func() {
					if p := recover(); p != nil && p != any(dead{}) {
						panic(p)
					}
				}()
				_, _ = s.engine.Abandon(t.Context(), run.ID, "a person")
			}()
			over := s.storage.calls < k
			s.storage.failAt = 0
			s.abandon(run.ID, backup.Unknown)
			s.free()
			s.rescueAll()
			if told, _ := s.told(run.ID + ".unknown"); told == 0 || s.rows("due") == 0 {
				t.Errorf("%s at call %d: told %d times, %d entries for cleanup", how, k, told, s.rows("due"))
			}
			if over {
				if k < 6 {
					t.Errorf("only %d calls", k)
				}
				break
			}
		}
	}
}
