package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// failing has the service fail the first operations with this kind of fault, each at its first poll; it tells when each began.
func (s *harness) failing(operations int, kind backup.FaultKind) (began *[]time.Time) {
	began = &[]time.Time{}
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		*began = append(*began, s.now)
		return backup.Operation{Token: "token"}, nil
	}
	s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
		if len(*began) > operations {
			return backup.Operation{Done: true}, nil
		}
		return backup.Operation{}, fault(kind, "InternalServerError")
	}
	return began
}

// TestAPassingFailureIsTriedAgain: three times at the most, after 5, 15 and 45 minutes; then the run ends as the service says. A
// definite no is never tried again.
func TestAPassingFailureIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures int
		kind     backup.FaultKind
		began    string
		state    backup.State
		code     string
		says     string
	}{
		{"once", 1, backup.Passing, "[0s 6m0s]", backup.Succeeded, "", ""},
		{"three times", 3, backup.Passing, "[0s 6m0s 22m0s 1h8m0s]", backup.Succeeded, "", ""},
		{"always", 9, backup.Passing, "[0s 6m0s 22m0s 1h8m0s]", backup.Failed, "InternalServerError", "the last of 4 attempts"},
		{"a definite no", 1, backup.Refused, "[0s]", backup.Failed, "InternalServerError", "in the words"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			began := s.failing(test.failures, test.kind)
			run := s.ask("request-1")
			s.finish()
			run = s.ended(run.ID, test.state, test.code)
			var after []time.Duration
			for _, at := range *began {
				after = append(after, at.Sub(begin))
			}
			if fmt.Sprint(after) != test.began || !strings.Contains(run.Reason.Message, test.says) {
				t.Errorf("the attempts began after %v, want %s; the reason is %+v", after, test.began, run.Reason)
			}
			if want := min(test.failures, 4); test.kind == backup.Passing && len(run.Failed) != want || test.kind == backup.Refused && run.Failed != nil {
				t.Errorf("the history has the failures %+v", run.Failed)
			}
			if !run.RetryAt.IsZero() && test.state == backup.Succeeded {
				t.Errorf("it is still to be tried again at %s", run.RetryAt)
			}
			if names := slices.Compact(slices.Sorted(slices.Values(s.provider.begun))); len(names) != len(s.provider.begun) {
				t.Errorf("two attempts have one name: %q", s.provider.begun)
			}
			if test.state == backup.Succeeded && !slices.Equal(s.provider.deleted, []string{"all but " + run.Artifact}) {
				t.Errorf("of the torn artifacts the run deleted %q", s.provider.deleted)
			}
		})
	}
}

// TestWhileItWaitsForAFurtherAttempt the run holds neither target nor permit, says why it waits and until when, and no message makes it
// begin early.
func TestWhileItWaitsForAFurtherAttempt(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	began := s.failing(1, backup.Passing)
	id := s.ask("request-1").ID
	s.step()
	s.step()
	s.free()
	run := s.run(id)
	at := begin.Add(6 * time.Minute)
	if run.State != backup.Waiting || !run.RetryAt.Equal(at) || !run.Due.Equal(at) || run.Artifact != "" || run.Token != "" {
		t.Errorf("the run is %s, due at %s, to be tried again at %s: %+v", run.State, run.Due, run.RetryAt, run.Progress)
	}
	if f := run.Failed; len(f) != 1 || f[0].Attempt != 1 || f[0].Code != "InternalServerError" || !f[0].Time.Equal(begin.Add(time.Minute)) {
		t.Errorf("the history has %+v", f)
	}
	want := "attempt 2 of 4 begins at 2026-01-15T02:36:00Z, since the service failed the one before at 2026-01-15T02:31:00Z: in the words of the service"
	if run.Reason.Code != "InternalServerError" || run.Reason.Message != want {
		t.Errorf("it waits because of %+v", run.Reason)
	}
	// The message is lost: the rescuer sends it again, once it is overdue. Before that it changes nothing.
	s.storage.queue.Receive("execute", 32, 30*day)
	for _, minutes := range []time.Duration{1, 3} {
		s.now = begin.Add(minutes * time.Minute)
		if out, err := s.execute("early", backup.Encode(run.StepMessage())); err != nil || len(*began) != 1 {
			t.Errorf("a message after %d minutes made %+v, %v", minutes, out, err)
		}
		run = s.run(id)
		s.storage.queue.Receive("execute", 32, 30*day)
	}
	s.now = at.Add(10 * time.Minute)
	if report := s.runSchedule(); report.Requeued != 1 {
		t.Errorf("the rescuer sent %d messages again", report.Requeued)
	}
	s.finish()
	s.ended(id, backup.Succeeded, "")
	s.free()
}

// TestAFurtherAttemptStaysInsideTheTimeOfTheRun: if it would begin at the end of the window or later, at the next scheduled time, or
// after a day, the run ends at once, and so does a run that comes too late because of others.
func TestAFurtherAttemptStaysInsideTheTimeOfTheRun(t *testing.T) {
	for _, test := range []struct {
		name    string
		window  time.Duration
		poll    time.Duration // the time after which the service fails each operation
		begun   int
		message string
	}{
		{"the window has room", time.Hour, time.Minute, 3, "it would begin at 2026-01-16T03:38:00Z, and the time of the run ends at 2026-01-16T03:30:00Z"},
		{"the window ends", 6 * time.Minute, time.Minute, 1, "it would begin at 2026-01-16T02:36:00Z, and the time of the run ends at 2026-01-16T02:36:00Z"},
		{"the next scheduled time", 0, 23*time.Hour + 56*time.Minute, 1, "the time of the run ends at 2026-01-17T02:30:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			plan := nightly()
			plan.Window = test.window
			s.runSchedule(plan)
			s.now = begin.Add(day)
			id := s.runSchedule(plan).Created[0]
			s.failing(9, backup.Passing)
			fails := s.provider.poll
			s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
				if s.now.Sub(s.run(id).Accepted) < test.poll {
					return backup.Operation{Token: "token"}, nil
				}
				return fails(a)
			}
			s.finish()
			run := s.ended(id, backup.Failed, "InternalServerError")
			if len(s.provider.begun) != test.begun || !strings.Contains(run.Reason.Message, test.message) {
				t.Errorf("%q began; the reason is %s", s.provider.begun, run.Reason.Message)
			}
		})
	}
	t.Run("others hold the target until the window is over", func(t *testing.T) {
		s := newHarness(t)
		plan := nightly()
		plan.Window = 30 * time.Minute
		s.runSchedule(plan)
		s.now = begin.Add(day)
		id := s.runSchedule(plan).Created[0]
		s.failing(9, backup.Passing)
		s.step()
		s.step()
		s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
		}
		s.finish()
		run := s.ended(id, backup.Failed, "InternalServerError")
		if !strings.Contains(run.Reason.Message, "no further attempt was made") {
			t.Errorf("the reason is %+v", run.Reason)
		}
	})
}

// TestNothingInterruptsAFurtherAttempt: each call of storage fails, is made and fails, or kills the process, before and after it takes
// effect. The service makes no more operations than it should, and the run ends with one event.
func TestNothingInterruptsAFurtherAttempt(t *testing.T) {
	calls := 0
	for k := 0; k == 0 || k <= calls; k++ {
		for _, made := range []bool{false, true} {
			for _, fatal := range []bool{false, true} {
				s := newHarness(t)
				s.engine.Concurrency = 2
				began := s.failing(2, backup.Passing)
				run := s.ask("request-1")
				s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, fatal
				s.finish()
				if k == 0 {
					calls = s.storage.calls
				}
				s.storage.failAt = 0
				s.rescueAll()
				for range 30 { // a dead process may have left permits
					s.now = s.now.Add(10 * time.Minute)
					s.runSchedule()
					s.finish()
				}
				if run = s.run(run.ID); run.State != backup.Succeeded || run.Unpublished {
					t.Errorf("call %d, made %t, fatal %t: the run is %s: %+v", k, made, fatal, run.State, run.Reason)
				}
				told := map[string]bool{}
				for _, e := range s.storage.queue.Events() {
					if strings.HasPrefix(e.ID, run.ID) {
						told[e.Type+" "+e.ID] = true
					}
				}
				if !told["lifeboat.run.succeeded "+run.ID+".succeeded"] || len(told) != 1 {
					t.Errorf("call %d, made %t, fatal %t: told %v", k, made, fatal, told)
				}
				s.free()
				// A death behind the intent loses a start: then there may be one more.
				if n := len(*began); n < 3 || n > 3+run.Lost {
					t.Errorf("call %d, made %t, fatal %t: %d operations began, %d of them lost", k, made, fatal, n, run.Lost)
				}
				if len(run.Failed) < 1 || len(run.Failed) > 2 {
					t.Errorf("call %d, made %t, fatal %t: the history has %d failures", k, made, fatal, len(run.Failed))
				}
				for i, f := range run.Failed {
					if i > 0 && f.Attempt == run.Failed[i-1].Attempt {
						t.Errorf("call %d, made %t, fatal %t: attempt %d failed twice", k, made, fatal, f.Attempt)
					}
				}
			}
		}
	}
	if calls < 20 {
		t.Errorf("only %d calls were interrupted", calls)
	}
}

// TestATornArtifactIsNeverFound: after a failed attempt the answer to the next start is lost. The artifact of the failed attempt is
// no backup.
func TestATornArtifactIsNeverFound(t *testing.T) {
	s := newHarness(t)
	s.failing(1, backup.Passing)
	begins := s.provider.begin
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		if strings.HasSuffix(a.Artifact, ".2") {
			return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost")
		}
		return begins(a)
	}
	looked := 0
	s.provider.find = func(a backup.Attempt) (string, error) {
		looked++
		for _, name := range []string{a.Run + ".1"} {
			if !slices.Contains(a.Torn, name) {
				return name, nil
			}
		}
		return "", nil
	}
	run := s.ask("request-1")
	s.finish()
	if run = s.ended(run.ID, backup.Succeeded, ""); run.Artifact != run.ID+".3" || looked == 0 {
		t.Errorf("the run took %s for its backup, after %d looks", run.Artifact, looked)
	}
}

// TestEndsWhileItWaitsForAFurtherAttempt: a person abandons the run, a restore preempts it, and backups that are stopped begin no
// further attempt of a scheduled run.
func TestEndsWhileItWaitsForAFurtherAttempt(t *testing.T) {
	t.Run("abandoned", func(t *testing.T) {
		s := newHarness(t)
		s.failing(1, backup.Passing)
		run := s.ask("request-1")
		s.step()
		s.step()
		s.abandon(run.ID, backup.Canceled)
		s.finish()
		run = s.ended(run.ID, backup.Canceled, "Abandoned")
		if len(s.provider.begun) != 1 || strings.Contains(run.Reason.Message, "nothing was begun") {
			t.Errorf("%q began; the reason is %s", s.provider.begun, run.Reason.Message)
		}
	})
	t.Run("a restore does not wait for it", func(t *testing.T) {
		s, _, _ := restorable(t)
		began := s.failing(1, backup.Passing)
		run := s.ask("request-1")
		s.step()
		s.step()
		r := s.restore(order("restore-1"), restoring(false))
		s.now = s.now.Add(time.Minute)
		for range 3 {
			s.deliver()
			s.now = s.now.Add(time.Minute)
		}
		if r = s.run(r.ID); r.State != backup.Succeeded || len(*began) != 1 || s.run(run.ID).State != backup.Waiting {
			t.Errorf("the restore is %s: %+v; the backup is %s", r.State, r.Reason, s.run(run.ID).State)
		}
		s.finish()
		if run = s.run(run.ID); run.State != backup.Succeeded {
			t.Errorf("the backup ended %s: %+v", run.State, run.Reason)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		for _, backups := range []bool{false, true} {
			s := newHarness(t)
			s.runSchedule(nightly())
			s.now = begin.Add(day)
			id := s.runSchedule(nightly()).Created[0]
			began := s.failing(1, backup.Passing)
			s.step()
			s.step()
			s.stop(backups)
			for range 20 {
				s.now = s.now.Add(time.Minute)
				s.deliver()
			}
			if held := len(*began) == 1; held != backups {
				t.Errorf("with the backups stopped: %t, %d operations began", backups, len(*began))
			}
			if run := s.run(id); backups && (run.State != backup.Waiting || run.Reason.Code != "Stopped") {
				t.Errorf("the run is %s: %+v", run.State, run.Reason)
			}
			s.resume()
			s.finish()
			if run := s.run(id); run.State != backup.Succeeded || len(*began) != 2 {
				t.Errorf("after the stop the run ended %s: %+v", run.State, run.Reason)
			}
		}
	})
}

// TestASafetyBackupIsTriedAgain: as any other, as long as its restore may begin. Others may have the destination meanwhile, so it is not
// tried again once the answer to a start was lost.
func TestASafetyBackupIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures int
		expires  time.Duration
		lost     bool
		state    backup.State
		begun    int
		says     string
	}{
		{"once", 1, time.Hour, false, backup.Succeeded, 2, ""},
		{"always", 9, 3 * time.Hour, false, backup.Failed, 4, "the last of 4 attempts"},
		{"its restore expires before", 9, 10 * time.Minute, false, backup.Failed, 2, "the time of the run ends"},
		{"an earlier start was lost", 9, 6 * time.Hour, true, backup.Failed, 2, "the answer to an earlier start was lost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := restorable(t)
			began := s.failing(test.failures, backup.Passing)
			begins, lost := s.provider.begin, test.lost
			s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
				o, _ := begins(a)
				if lost {
					lost = false
					return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost")
				}
				return o, nil
			}
			q := order("restore-1")
			q.Expires = s.now.Add(test.expires)
			run := s.restore(q, restoring(true))
			s.finish()
			run = s.run(run.ID)
			if run.State != test.state || len(*began) != test.begun || !strings.Contains(run.Reason.Message, test.says) {
				t.Errorf("the restore is %s after %d safety backups: %+v", run.State, len(*began), run.Reason)
			}
			if restored := len(service.started) == 1; restored != (test.state == backup.Succeeded) {
				t.Errorf("%d restores began", len(service.started))
			}
			s.free()
		})
	}
}

// TestACanceledRestoreIsNotSecuredAgain: its safety backup fails after the cancellation.
func TestACanceledRestoreIsNotSecuredAgain(t *testing.T) {
	s, _, _ := restorable(t)
	began := s.failing(1, backup.Passing)
	run := s.restore(order("restore-1"), restoring(true))
	s.step()
	if _, err := s.engine.CancelRestore(t.Context(), run.ID, "a person"); err != nil {
		t.Fatal(err)
	}
	s.finish()
	if run = s.run(run.ID); run.State != backup.Canceled || len(*began) != 1 {
		t.Errorf("the restore is %s after %d safety backups: %+v", run.State, len(*began), run.Reason)
	}
}
