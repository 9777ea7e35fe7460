package engine_test

import (
	"errors"
	"fmt"
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

// TestAbandonFreesWhatADeadInvocationHeld: the first step of a run dies at each of its requests. Whatever its row knows, nothing holds its
// target or a permit once it is abandoned.
func TestAbandonFreesWhatADeadInvocationHeld(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.engine.Concurrency = 1
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
			run := s.ask("backup")
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			s.dies(func() { s.deliver() })
			over := s.storage.calls < k
			s.storage.failAt = 0
			s.now = s.now.Add(5 * time.Minute) // the lease is over
			now, err := s.engine.Abandon(t.Context(), run.ID, "a person")
			if err != nil || now.State != backup.Canceled && now.State != backup.Unknown {
				t.Errorf("call %d (made: %t): %s, %v", k, made, now.State, err)
			}
			s.free()
			if over {
				break
			}
		}
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

// TestAbandonWaitsForALostRestore: a request whose answer was lost may still arrive, and its restore must not begin once the destination
// is free.
func TestAbandonWaitsForALostRestore(t *testing.T) {
	s, r, _ := restorable(t)
	run := s.restore(order("restore-1"), restoring(false))
	r.starts = func(backup.Restore) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
	}
	for len(r.started) == 0 && s.step() {
	}
	is := s.run(run.ID)
	until := is.LostStarts[0].To
	for _, at := range []time.Duration{-time.Second, time.Second} {
		s.now = until.Add(at)
		now, err := s.engine.Abandon(t.Context(), run.ID, "a person")
		switch {
		case at > 0 && (err != nil || now.State != backup.Unknown):
			t.Errorf("the request can arrive no longer: %s, %v", now.State, err)
		case at < 0 && (!errors.Is(err, engine.ErrStarting) || !strings.Contains(err.Error(), until.UTC().Format(time.RFC3339)) || now.State != is.State):
			t.Errorf("the request may still arrive: %s, %v", now.State, err)
		}
	}
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
			return backup.Operation{}, &backup.Fault{Kind: backup.Unobservable, Gone: true, Code: "NotFound"}
		}), backup.Unknown, "while it was running"},
		"the app has no right to ask Azure": {begun(func() (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Unobservable, "AuthorizationFailed")
		}), "", "cannot be asked"},
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
			s.dies(func() { _, _ = s.engine.Abandon(t.Context(), run.ID, "a person") })
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

// TestPreempt: a restore that asks for it ends a waiting backup of its destination, or one as old as the retry window, and no other
// run. It needs no permit for that. Without the request it waits, and says for which run.
func TestPreempt(t *testing.T) {
	endless := func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
	throttled := func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Throttled, "TooManyRequests")
	}
	for name, c := range map[string]struct {
		preempt, throttled bool
		// after is the time between the start of the backup and the restore's next step.
		after time.Duration
		want  backup.State // the end of the backup
	}{
		"not asked for":         {after: 2 * time.Hour, want: backup.Running},
		"it runs":               {preempt: true, after: 15 * time.Minute, want: backup.Running},
		"it hangs":              {preempt: true, after: 45 * time.Minute, want: backup.Unknown},
		"it waits with permits": {preempt: true, throttled: true, want: backup.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			s, r, point := restorable(t)
			s.engine.Concurrency = 1
			s.provider.poll = endless
			if c.throttled {
				s.provider.begin = throttled
			}
			hangs := s.ask("hangs")
			s.deliver()
			began := s.now
			q := order("restore-1")
			q.Preempt = c.preempt
			q.Expires = s.now.Add(20 * time.Hour)
			run := s.restore(q, restoring(false))
			for s.now.Before(began.Add(c.after)) && s.step() {
			}
			for range 4 { // the restore comes back every ten minutes at most
				s.step()
			}
			s.runSchedule()
			s.deliver()
			if now := s.run(hangs.ID); now.State != c.want || now.State.Final() && (now.Reason.Code != "Preempted" || !strings.Contains(now.Reason.Message, run.ID)) {
				t.Fatalf("the backup is %s, %+v", now.State, now.Reason)
			}
			now := s.run(run.ID)
			if c.want.Final() {
				s.provider.poll, s.provider.begin = nil, nil
				s.finish()
				s.rescueAll()
				if now = s.run(run.ID); now.State != backup.Succeeded || len(r.started) != 1 {
					t.Errorf("the restore is %s, %+v", now.State, now.Reason)
				}
				s.free()
				return
			}
			if now.State != backup.Waiting || c.preempt && (now.Reason.Code != "TargetBusy" || !strings.Contains(now.Reason.Message, "the backup "+hangs.ID) ||
				!strings.Contains(now.Reason.Message, "since "+began.Format(time.RFC3339)) || !strings.Contains(now.Reason.Hint, "abandon "+hangs.ID)) {
				t.Errorf("the restore is %s, %+v", now.State, now.Reason)
			}
			s.engine.Concurrency = 0
			if len(s.readers(point)) != 1 {
				t.Errorf("read by %v", s.readers(point))
			}
		})
	}
}

// TestARefusedRestorePreemptsNothing: a restore that can never begin ends no waiting backup.
func TestARefusedRestorePreemptsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *harness, r *fakeRestorer)
		code  string
	}{
		"the service says no": {func(_ *harness, r *fakeRestorer) {
			r.can = func(backup.Restore) error { return fault(backup.Refused, "TierDiffers") }
		}, "TierDiffers"},
		"a newer version wrote a row": {func(s *harness, _ *fakeRestorer) {
			s.newer(backup.Key{Partition: backup.Partition(target), Row: backup.PointPrefix + "9"})
		}, "RowUnreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r, _ := restorable(t)
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Throttled, "TooManyRequests")
			}
			waits := s.ask("waits")
			s.deliver()
			q := order("restore-1")
			q.Preempt, q.Expires = true, s.now.Add(20*time.Hour)
			run := s.restore(q, restoring(false))
			c.spoil(s, r)
			for !s.run(run.ID).State.Final() && s.step() {
			}
			if now := s.run(run.ID); now.State != backup.StateRefused || now.Reason.Code != c.code {
				t.Errorf("the restore is %s, %+v", now.State, now.Reason)
			}
			if now := s.run(waits.ID); now.State != backup.Waiting {
				t.Errorf("the backup is %s, %+v", now.State, now.Reason)
			}
		})
	}
}

// TestARestoreSaysWhichRunItWaitsFor: its reason and its event name the run, its kind and its beginning.
func TestARestoreSaysWhichRunItWaitsFor(t *testing.T) {
	s, r, _ := restorable(t)
	r.told = func() (backup.Operation, error) { return backup.Operation{Token: "restore token"}, nil }
	first := s.restore(order("restore-1"), restoring(false))
	s.deliver()
	began := s.now
	s.now = s.now.Add(time.Minute)
	second := s.restore(order("restore-2"), restoring(false))
	s.deliver()
	words := "the restore " + first.ID + " of the plan nightly has the target since " + began.Format(time.RFC3339) + ", and is running"
	if now := s.run(second.ID); now.State != backup.Waiting || now.Reason.Message != words {
		t.Errorf("%s, %+v", now.State, now.Reason)
	}
	if n, data := s.told(second.ID + ".waiting"); n == 0 || !strings.Contains(fmt.Sprint(data["reason"]), words) {
		t.Errorf("told %v", data)
	}
}

// TestNoSafetyBackup: a request may say no to the safety backup, unless a plan requires one. The preview warns of the loss, and the
// run and its events tell of it.
func TestNoSafetyBackup(t *testing.T) {
	for _, c := range []struct {
		policies []backup.SafetyPolicy
		no, hsm  bool
		code     string
		safety   bool
	}{
		{[]backup.SafetyPolicy{backup.SafetyByRequest}, false, false, "", true},
		{[]backup.SafetyPolicy{backup.SafetyByRequest}, true, false, "", false},
		{[]backup.SafetyPolicy{backup.SafetyRequired}, false, false, "", true},
		{[]backup.SafetyPolicy{backup.SafetyRequired}, true, false, "SafetyBackupRequired", false},
		{[]backup.SafetyPolicy{backup.SafetyNever}, false, false, "", false},
		{[]backup.SafetyPolicy{backup.SafetyNever}, true, false, "", false},
		{[]backup.SafetyPolicy{backup.SafetyNever, backup.SafetyByRequest}, false, false, "", true},
		{[]backup.SafetyPolicy{backup.SafetyNever, backup.SafetyByRequest}, true, false, "", false},
		{[]backup.SafetyPolicy{backup.SafetyByRequest, backup.SafetyNever}, false, false, "", true},
		{[]backup.SafetyPolicy{backup.SafetyNever, backup.SafetyRequired}, true, false, "SafetyBackupRequired", false},
		{[]backup.SafetyPolicy{backup.SafetyNever}, false, true, "", true}, // another plan's target: an HSM's own plan cannot say so
		{[]backup.SafetyPolicy{backup.SafetyByRequest}, true, true, "", false},
	} {
		s, r, _ := restorable(t)
		var plans []backup.Plan
		q := order("restore-1")
		if q.NoSafety = c.no; c.no {
			q.Reason = "it is broken"
		}
		for i, policy := range c.policies {
			p := restoring(false)[0]
			p.Name, p.Restore.Safety = fmt.Sprint("plan-", i), policy
			if c.hsm {
				q.Target, p.Targets, p.Restore.Into = vault, []string{vault}, []string{backup.Itself}
			}
			plans = append(plans, p)
		}
		p, err := s.engine.PreviewRestore(t.Context(), q, plans)
		code, warned, advised := "", "", ""
		if why := p.Refusal(); why != nil && why.Code != "NoRecoveryPoint" { // the HSM has none
			code = why.Code
		}
		for _, g := range p.Guards {
			if g.Outcome == restore.Warned {
				warned, advised = g.Reason.Message, g.Reason.Hint
			}
		}
		if err != nil || code != c.code || p.Safety != c.safety || p.NoSafety != c.no {
			t.Errorf("%+v: %q, safety backup %t, %v", c, code, p.Safety, err)
		}
		if wants := c.no && c.code == ""; wants != (warned != "") || wants && c.hsm && !strings.Contains(warned, "all keys of the HSM") {
			t.Errorf("%+v: warned %q", c, warned)
		}
		q.NoSafety = false
		if without, err := s.engine.PreviewRestore(t.Context(), q, plans); err != nil || warned != "" && without.Safety != (advised != "") {
			t.Errorf("%+v: advised %q, and without noSafetyBackup the safety backup is %t, %v", c, advised, without.Safety, err)
		}
		q.NoSafety = c.no
		if c.hsm {
			continue
		}
		run := s.restore(q, plans)
		s.finish()
		s.rescueAll()
		now := s.run(run.ID)
		_, data := s.told(run.ID + "." + string(now.State))
		if no, _ := data["noSafetyBackup"].(bool); no != c.no || now.Restore.NoSafety != c.no {
			t.Errorf("%+v: told %v, noted %t", c, data, now.Restore.NoSafety)
		}
		if c.code == "" && (now.State != backup.Succeeded || c.safety == now.Restore.SafetyBackedUp.IsZero() || len(r.started) != 1) ||
			c.code != "" && (now.State != backup.StateRefused || now.Reason.Code != c.code) {
			t.Errorf("%+v: %s, %+v", c, now.State, now.Reason)
		}
	}
}

// TestADestinationThatHasFailed: a restore ends at once, with the way out, and does not wait for a day. A backup of its own waits.
func TestADestinationThatHasFailed(t *testing.T) {
	s, r, _ := restorable(t)
	s.provider.ready = func(backup.Attempt) error { return fault(backup.Retryable, backup.ServiceFailed) }
	run := s.restore(order("restore-1"), restoring(true))
	s.deliver()
	now := s.run(run.ID)
	if now.State != backup.StateRefused || now.Reason.Code != backup.ServiceFailed || !strings.Contains(now.Reason.Hint, "--no-safety-backup") {
		t.Errorf("%s, %+v", now.State, now.Reason)
	}
	own := s.ask("own")
	s.deliver()
	if now := s.run(own.ID); now.State != backup.Waiting {
		t.Errorf("a backup is %s, %+v", now.State, now.Reason)
	}
	q := order("restore-2")
	q.NoSafety, q.Reason = true, "it has failed"
	plans := restoring(true)
	plans[0].Restore.Safety = backup.SafetyByRequest
	run = s.restore(q, plans)
	s.deliver()
	s.step()
	if now := s.run(run.ID); now.State != backup.Succeeded || len(r.started) != 1 {
		t.Errorf("%s, %+v", now.State, now.Reason)
	}
}
