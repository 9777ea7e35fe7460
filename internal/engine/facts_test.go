package engine_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// seen returns what health says beside the targets, and the number of its requests.
func (s *harness) seen(all ...backup.Plan) (health.TimersHealth, int) {
	s.t.Helper()
	s.storage.calls = 0
	_, timers, err := s.engine.Health(s.t.Context(), plans.Active{Plans: all})
	if err != nil {
		s.t.Fatal(err)
	}
	return timers, s.storage.calls
}

// restores returns the restores that health tells of, as a text, and the number of its requests.
func (s *harness) restores(all ...backup.Plan) (string, int) {
	s.t.Helper()
	timers, calls := s.seen(all...)
	var words []string
	for _, r := range timers.Restores {
		if r.Created.IsZero() || r.State.Final() == r.Ended.IsZero() || r.Plan != "nightly" || r.Source != target || r.Target != standby && r.Target != target {
			s.t.Errorf("%+v", r)
		}
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s", r.State, r.Extent)))
	}
	return strings.Join(words, ", "), calls
}

// TestHealthKnowsRestores: into a target, and into a service that is in no plan, from the request to the end. A timer run writes it down, so
// that health costs no more than without.
func TestHealthKnowsRestores(t *testing.T) {
	for _, into := range []string{standby, ""} {
		s, r, _ := restorable(t)
		all := restoring(false)
		s.runSchedule(all...)
		s.now = s.now.Add(10 * time.Minute)
		s.runSchedule(all...)
		want := func(state string) {
			t.Helper()
			if got, _ := s.restores(all...); got != state {
				t.Errorf("into %q: %q before a timer run, want %q", into, got, state)
			}
			s.now = s.now.Add(time.Minute)
			s.runSchedule(all...)
			if got, calls := s.restores(all...); got != state || calls != 2 {
				t.Errorf("into %q: %q after a timer run in %d requests, want %q in 2", into, got, calls, state)
			}
		}
		want("")
		r.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
		q := order("first")
		q.Into = into
		id := s.restore(q, all).ID
		want("queued")
		s.step()
		want("waiting")
		r.can = nil
		for s.run(id).State != backup.Running {
			s.now = s.now.Add(time.Minute)
			s.step()
		}
		want("running")
		s.finish()
		s.rescueAll()
		want("succeeded all")
		r.starts = func(backup.Restore) (backup.Operation, error) {
			return backup.Operation{}, fault(backup.Refused, "Conflict")
		}
		q.ID = "second"
		s.restore(q, all)
		s.finish()
		s.rescueAll()
		want("failed nothing")
		r.starts = nil
		for id, told := range map[string]func() (backup.Operation, error){
			"succeeded part": func() (backup.Operation, error) { return backup.Operation{Done: true, Partly: true}, nil },
			"failed nothing": func() (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, backup.CodeNothingRestored)
			},
			"failed": func() (backup.Operation, error) { return backup.Operation{}, fault(backup.Refused, "InternalError") },
		} {
			r.told = told
			q.ID = id
			s.restore(q, all)
			s.finish()
			s.rescueAll()
			want(id)
		}
	}
}

// TestHealthKnowsThatARestoreHasBegun: its safety backup may take hours, and publishes nothing. One call to storage of its first step fails,
// made or not.
func TestHealthKnowsThatARestoreHasBegun(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 0; ; k++ {
			s, _, _ := restorable(t)
			all := restoring(true)
			s.runSchedule(all...)
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
			id := s.restore(order("first"), all).ID
			s.runSchedule(all...)
			if got, _ := s.restores(all...); got != "queued" {
				t.Fatalf("health says %q at first", got)
			}
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.step()
			reached := s.storage.calls >= k
			s.storage.failAt = 0
			for range 5 {
				s.step()
				s.now = s.now.Add(time.Minute)
				s.runSchedule(all...)
			}
			if got, _ := s.restores(all...); got == "queued" || got != string(s.run(id).State) {
				t.Errorf("call %d fails (made: %t): it is %s, and health says %q", k, made, s.run(id).State, got)
			}
			if !reached {
				break
			}
		}
	}
}

// TestHealthForgetsNoWaitingRestore: many backups later it is still there, and at its end.
func TestHealthForgetsNoWaitingRestore(t *testing.T) {
	s, r, _ := restorable(t)
	all := restoring(false)
	s.runSchedule(all...)
	r.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
	s.restore(order("first"), all)
	s.step()
	s.runSchedule(all...)
	for n := range 15 {
		s.now = s.now.Add(time.Minute)
		if _, err := s.backup(fmt.Sprintf("backup %d", n), all[0], target); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			s.step()
		}
		for _, evaluated := range []bool{false, true} {
			if evaluated {
				s.runSchedule(all...)
			}
			if got, _ := s.restores(all...); !strings.Contains(got, "waiting") {
				t.Fatalf("after %d backups, evaluated %t: %q", n+1, evaluated, got)
			}
		}
	}
	r.can = nil
	s.finish()
	s.rescueAll()
	for range 3 {
		s.now = s.now.Add(time.Minute)
		s.runSchedule(all...)
	}
	if got, calls := s.restores(all...); got != "succeeded all" || calls != 2 {
		t.Errorf("at its end: %q in %d requests", got, calls)
	}
}

// TestHealthNamesAWaitingRestoreThatANewerVersionWrote: also one that is older than the runs that health reads of the target.
func TestHealthNamesAWaitingRestoreThatANewerVersionWrote(t *testing.T) {
	s, r, _ := restorable(t)
	all := restoring(false)
	s.runSchedule(all...)
	r.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
	waits := s.restore(order("first"), all)
	s.step()
	for n := range health.RecentRows + 1 {
		s.runSchedule(all...)
		s.now = s.now.Add(time.Minute)
		if _, err := s.backup(fmt.Sprintf("backup %d", n), all[0], target); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			s.step()
		}
	}
	s.newer(waits.Key())
	targets, _, err := s.engine.Health(t.Context(), plans.Active{Plans: all})
	if err != nil || targets[0].Reason.Code != "RowUnreadable" || !strings.Contains(targets[0].Reason.Message, waits.Key().Row) ||
		!strings.Contains(targets[0].Reason.Message, "schema version 2") {
		t.Errorf("%+v, %v", targets, err)
	}
}

// TestHealthKnowsManyWaitingRestores: the facts about their destination have room for the oldest of them, so a timer run can save all facts.
func TestHealthKnowsManyWaitingRestores(t *testing.T) {
	s, _, _ := restorable(t)
	all := restoring(false)
	s.runSchedule(all...)
	s.stop(true)
	first := time.Time{}
	for i := range 200 {
		r := s.restore(order(fmt.Sprint("restore ", i)), all)
		if i == 0 {
			first = r.Created
		}
		if i%5 == 4 {
			s.now = s.now.Add(time.Minute)
			s.runSchedule(all...)
		}
	}
	timers, calls := s.seen(all...)
	if n := len(timers.Restores); n != 60 || calls > 5 || !timers.Restores[n-1].Created.Equal(first) {
		t.Errorf("%d restores in %d requests: %+v", n, calls, timers.Restores)
	}
}

// TestHealthHasTheEvaluations: of the active plans, and when they are due.
func TestHealthHasTheEvaluations(t *testing.T) {
	s, plan := newHarness(t), nightly()
	other := plan
	other.Name = "other"
	if timers, _ := s.seen(plan); len(timers.Evaluations) > 0 {
		t.Errorf("before the first timer run: %+v", timers.Evaluations)
	}
	s.runSchedule(plan, other)
	s.now = s.now.Add(time.Minute)
	s.runSchedule(plan, other) // the first one made the checkpoints
	timers, _ := s.seen(plan)
	if v := timers.Evaluations; len(v) != 1 || v[0].Plan != "nightly" || v[0].At.Before(begin) || !v[0].DueAt(plan).Equal(begin.Add(day)) {
		t.Errorf("%+v", v)
	}
}

// stock returns the stock that health tells of, as a text.
func (s *harness) stock(all ...backup.Plan) (text string, at time.Time) {
	s.t.Helper()
	timers, _ := s.seen(all...)
	for _, p := range timers.Stock.Points {
		text = strings.TrimSpace(fmt.Sprintf("%s %s:%s:%d:%d", text, cmp.Or(p.Plan, "-"), p.State, p.Points, p.Bytes))
	}
	return text, timers.Stock.At
}

// TestCleanupCountsThePoints: once an hour, with a request for each 1,000 and one more. It knows which suspect one was accepted, and counts
// none that is expired. A count that fails leaves the last one.
func TestCleanupCountsThePoints(t *testing.T) {
	s, ids := suspicious(t, 1)
	if text, at := s.stock(nightly()); text != "" || !at.IsZero() {
		t.Errorf("before a count: %s at %s", text, at)
	}
	s.cleanup()
	counted := s.now
	if text, at := s.stock(nightly()); text != "nightly:live:3:3000 nightly:suspect:1:100" || !at.Equal(counted) {
		t.Errorf("counted %s at %s", text, at)
	}
	if _, err := s.engine.Accept(t.Context(), ids[3], "me", ""); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(health.CountEvery - time.Second)
	s.cleanup()
	if _, at := s.stock(nightly()); !at.Equal(counted) {
		t.Errorf("counted again at %s", at)
	}
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s.now = s.now.Add(2 * health.CountEvery)
			before, was := s.stock(nightly())
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, err := s.engine.Cleanup(t.Context())
			if s.storage.failAt = 0; s.storage.calls < k {
				if k < 6 {
					t.Errorf("only %d calls", k-1)
				}
				break
			}
			text, at := s.stock(nightly())
			if err == nil || (text != before || !at.Equal(was)) && (text != "nightly:live:4:3100" || !at.Equal(s.now)) {
				t.Errorf("call %d fails: %s at %s, %v", k, text, at, err)
			}
			s.cleanup()
			if text, _ := s.stock(nightly()); text != "nightly:live:4:3100" {
				t.Errorf("after call %d failed: %s", k, text)
			}
		}
	}
	s.now = begin.Add(60 * day)
	for range 3 {
		s.cleanup()
		s.now = s.now.Add(day)
	}
	if text, _ := s.stock(nightly()); text != "nightly:live:1:100" {
		t.Errorf("after the others have expired: %s", text)
	}
	s.stop(true)
	s.now = s.now.Add(health.CountEvery)
	s.cleanup()
	if _, at := s.stock(nightly()); !at.Equal(s.now) {
		t.Errorf("counted at %s while the app is stopped since %s", at, s.now)
	}
}

// TestDeadLettersAreCounted: by one request, however many there are.
func TestDeadLettersAreCounted(t *testing.T) {
	s := newHarness(t)
	for i, want := range []int{0, 1, 2, 2} {
		s.storage.calls = 0
		n, err := s.engine.DeadLetters(t.Context())
		if err != nil || n != want || s.storage.calls != 1 {
			t.Errorf("%d dead letters in %d requests, want %d: %v", n, s.storage.calls, want, err)
		}
		if err := s.engine.DeadLetter(t.Context(), "execute", []byte{byte(min(i, 1))}, backup.NewReason("Unreadable", "nobody can read it", "")); err != nil {
			t.Fatal(err)
		}
	}
	s.storage.calls, s.storage.failAt = 0, 1
	if _, err := s.engine.DeadLetters(t.Context()); err == nil {
		t.Error("storage does not answer, and there is no error")
	}
}

// TestHealthNamesTheRunThatFailed: the newest that has ended, with its reason, while the next one is under way.
func TestHealthNamesTheRunThatFailed(t *testing.T) {
	plan := nightly()
	s := rotten(t, plan)
	s.provider.begin = nil
	s.now = begin.Add(3 * day)
	s.runSchedule(plan)
	for _, looked := range []bool{true, false} {
		h := s.health(plan)
		if h.LastRun == nil || h.LastRun.State.Final() || h.LastEnded == nil || h.LastEnded.State != backup.StateRefused && h.LastEnded.State != backup.Failed ||
			h.Reason.Code != "AuthorizationFailed" || h.LastEnded.Ended.IsZero() {
			t.Errorf("marked %t: %+v, %+v", looked, h.LastRun, h.LastEnded)
		}
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan)
	}
	s.finish()
	if h := s.health(plan); h.LastEnded == nil || h.LastEnded.State != backup.Succeeded || h.LastEnded.ID != h.LastRun.ID {
		t.Errorf("at its end: %+v", h.LastEnded)
	}
}
