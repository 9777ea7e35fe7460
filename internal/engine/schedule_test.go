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
	"lifeboat/internal/plans"
)

const day = 24 * time.Hour

func TestSchedule(t *testing.T) {
	two := nightly()
	two.Targets = []string{target, target + "-two"}
	s := newHarness(t)
	if r := s.runSchedule(two); len(r.Created) != 0 || s.rows("plan-") != 1 {
		t.Fatalf("a new plan begins now, and makes no run of the past: %+v", r)
	}
	s.now = begin.Add(day - time.Second)
	if r := s.runSchedule(two); len(r.Created) != 0 {
		t.Errorf("a second early: %q", r.Created)
	}
	s.now = begin.Add(day)
	r := s.runSchedule(two)
	if len(r.Created) != 2 {
		t.Fatalf("created %q, want one run for each target", r.Created)
	}
	run := s.run(r.Created[0])
	if !run.ScheduledTime.Equal(begin.Add(day)) || !run.NextScheduledTime.Equal(begin.Add(2*day)) || run.Plan != "nightly" ||
		run.Settings != two.Settings || run.Request != "" {
		t.Errorf("the run is %+v", run)
	}
	if again := s.runSchedule(two); len(again.Created) != 0 {
		t.Errorf("the same scheduled time again: %q", again.Created)
	}
	s.finish()
	for _, id := range r.Created {
		s.ended(id, backup.Succeeded, "")
	}
	s.now = begin.Add(4*day + time.Hour)
	if r := s.runSchedule(two); len(r.Created) != 2 || len(r.Missed) != 1 || r.Missed[0].Count != 2 {
		t.Errorf("after three days away: %+v", r)
	}
}

// TestIdleTimerRun holds the timer run to its price: two reads, for any number of plans and targets, and a note that it came,
// once in five minutes.
func TestIdleTimerRun(t *testing.T) {
	s := newHarness(t)
	var plans []backup.Plan
	for i := range 100 {
		p := nightly()
		p.Name = fmt.Sprint("plan-", i)
		plans = append(plans, p)
	}
	s.runSchedule(plans...)
	for minute := 1; minute <= 60; minute++ {
		s.now = begin.Add(time.Duration(minute) * time.Minute)
		s.storage.calls, s.storage.writes = 0, 0
		s.runSchedule(plans...)
		notes := 0
		if minute%5 == 0 {
			notes = 1
		}
		if s.storage.calls != 2+notes || s.storage.writes != notes {
			t.Errorf("minute %d: %d calls, %d of them writes", minute, s.storage.calls, s.storage.writes)
		}
	}
}

// TestATimerRunServesTheBook: the store learns of other processes by the row that the timer run reads anyway, and the timer run
// sends the events of the store. A timer run under a good plan costs only its two lists; under the same broken one the store also
// asks which plan is active.
func TestATimerRunServesTheBook(t *testing.T) {
	s, text, old := newHarness(t), "good one", "good old"
	book := s.bookOf(&text)
	active := func(row backup.Row, want string) {
		t.Helper()
		if head, err := plans.ReadHead(row); err != nil || head.Hash != backup.Digest(want, 32) {
			t.Errorf("the row says %+v, %v; want %s", head, err, want)
		}
	}
	cost := func(want int) {
		t.Helper()
		before := s.storage.calls
		s.settle(book)
		if n := s.storage.calls - before; n != want {
			t.Errorf("%s: %d requests for a timer run, want %d", text, n, want)
		}
	}
	s.settle(book)
	active(s.settle(book).ActivePlan, "good one")
	cost(2)
	s.settle(s.bookOf(&old))
	active(s.settle(book).ActivePlan, "good old") // it sees that
	active(s.settle(book).ActivePlan, "good one") // and puts it right
	text = "bad"
	s.settle(book)
	s.settle(book)
	cost(3)
	var told []string
	for _, e := range s.storage.queue.Events() {
		told = append(told, e.Type)
	}
	slices.Sort(told)
	if strings.Join(told, " ") != "lifeboat.plan.changed lifeboat.plan.changed lifeboat.plan.refused" || s.rows("outbox-") != 0 {
		t.Errorf("told %q, and %d events wait", told, s.rows("outbox-"))
	}
}

// TestATimerRunThatCannotNoteWhatLeftFails: the checkpoint of a plan that has left is saved by the next one, and the log has the reason.
func TestATimerRunThatCannotNoteWhatLeftFails(t *testing.T) {
	plan, other := nightly(), nightly()
	other.Name = "other"
	for k, noted := 1, false; !noted; k++ {
		s := newHarness(t)
		s.runSchedule(plan, other)
		s.now = s.now.Add(time.Minute)
		s.storage.calls, s.storage.failAt, s.storage.made = 0, k, false
		_, err := s.engine.Schedule(t.Context(), []backup.Plan{plan})
		if s.storage.calls < k {
			t.Fatal("no call notes it")
		}
		if noted = err != nil && strings.Contains(err.Error(), "does not hold the plan other"); err == nil {
			t.Errorf("call %d fails, and nobody is told", k)
		}
	}
}

// TestScheduleIsRepeatable lets every storage call of a timer run fail, before and after it took effect, and then makes another
// timer run.
func TestScheduleIsRepeatable(t *testing.T) {
	plan := nightly()
	plan.Targets = []string{target, target + "-two"}
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.runSchedule(plan)
			s.now = begin.Add(2 * day)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			report, err := s.engine.Schedule(t.Context(), []backup.Plan{plan})
			if s.storage.calls < k {
				break
			}
			if err == nil && report.Unsent == 0 && !made {
				// Only the deletion of a superfluous entry may fail unseen.
				t.Errorf("call %d fails, and nobody is told", k)
			}
			for range 4 {
				s.runSchedule(plan)
				s.finish()
				s.now = s.now.Add(11 * time.Minute)
			}
			s.oneMissedRuns(1, begin.Add(day), begin.Add(day), "no timer run read")
			if s.rows("run-") != 2 || s.rows("point-") != 2 || s.rows("inflight") != 0 || s.rows("lock") != 0 {
				t.Errorf("call %d fails (made: %v): %d runs, %d points, %d entries", k, made, s.rows("run-"), s.rows("point-"),
					s.rows("inflight"))
			}
			if len(s.provider.begun) != 2 {
				t.Errorf("call %d fails (made: %v): begun %q", k, made, s.provider.begun)
			}
		}
	}
}

// TestClocksApart: nothing is scheduled or deleted on a clock that may be wrong, and an event says so.
func TestClocksApart(t *testing.T) {
	for _, apart := range []time.Duration{121 * time.Second, -121 * time.Second, 400 * day} {
		s := newHarness(t)
		s.runSchedule(nightly())
		for i := range 2 {
			s.ask(fmt.Sprint("request-", i))
			s.finish()
		}
		s.now = begin.Add(60 * day)
		s.engine.Now = func() time.Time { return s.now.Add(apart) }
		s.storage.writes = 0
		if r, err := s.engine.Schedule(t.Context(), []backup.Plan{nightly()}); !errors.Is(err, engine.ErrClock) || len(r.Created) > 0 {
			t.Errorf("%s apart, scheduled %q, %v", apart, r.Created, err)
		}
		if r, err := s.engine.Cleanup(t.Context()); !errors.Is(err, engine.ErrClock) || len(r.Deletions) > 0 {
			t.Errorf("%s apart, cleaned up %+v, %v", apart, r, err)
		}
		if len(s.provider.deleted) > 0 || s.rows("run-") != 2 {
			t.Errorf("%s apart: deleted %q, %d runs", apart, s.provider.deleted, s.rows("run-"))
		}
		events := s.storage.queue.Events()
		if last := events[len(events)-1]; last.Type != "lifeboat.clock.jumped" || last.ID != "clock-"+s.now.Format("2006010215") {
			t.Errorf("%s apart: the last event is %s %s", apart, last.Type, last.ID)
		}
	}
	s := newHarness(t)
	s.engine.Now = func() time.Time { return s.now.Add(119 * time.Second) }
	s.runSchedule(nightly())
}

// TestSlowTimerRunIsNoWrongClock: a timer run may take its time before it comes to the plans, and its clock is not wrong for
// that.
func TestSlowTimerRunIsNoWrongClock(t *testing.T) {
	s := newHarness(t)
	s.runSchedule(nightly())
	s.now = begin.Add(day)
	s.storage.calls = 0
	s.storage.before = func(call int) {
		if call == 2 { // the rescuer's
			s.now = s.now.Add(3 * time.Minute)
		}
	}
	if r := s.runSchedule(nightly()); len(r.Created) != 1 || len(s.storage.queue.Events()) > 0 {
		t.Errorf("scheduled %q, told %+v", r.Created, s.storage.queue.Events())
	}
}

func TestRescue(t *testing.T) {
	lose := func(s *harness) {
		for _, m := range s.storage.queue.Receive("execute", 32, time.Minute) {
			if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	t.Run("the first step message was lost", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		lose(s)
		s.now = begin.Add(5*time.Minute - time.Second)
		if r := s.runSchedule(); r.Scanned != 0 {
			t.Errorf("looked too early: %+v", r)
		}
		s.now = begin.Add(5 * time.Minute)
		if r := s.runSchedule(); r.Scanned != 1 || r.Requeued != 1 {
			t.Errorf("the rescuer did %+v", r)
		}
		if again := s.run(run.ID); again.Sequence != 1 {
			t.Errorf("the rescuer raised the sequence number to %d", again.Sequence)
		}
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
	})
	t.Run("every step message is lost once", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		for range 10 {
			s.now = s.now.Add(time.Minute)
			lose(s)
			s.now = s.now.Add(10 * time.Minute)
			s.runSchedule()
			s.deliver()
		}
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
	})
	t.Run("nothing was lost", func(t *testing.T) {
		s := newHarness(t)
		s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
		s.ask("request-1")
		for s.now.Before(begin.Add(2 * time.Hour)) {
			s.step()
			if r := s.runSchedule(); r.Requeued != 0 {
				t.Errorf("sent again at %s", s.now)
			}
		}
		if n := len(s.storage.queue.Messages("execute")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
	t.Run("a lost message is found within 8 minutes", func(t *testing.T) {
		s := newHarness(t)
		s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
		run := s.ask("request-1")
		for range 12 {
			s.step()
			s.runSchedule()
		}
		due := s.run(run.ID).Due
		s.now = due
		lose(s)
		for s.runSchedule().Requeued == 0 {
			s.now = s.now.Add(time.Minute)
		}
		if late := s.now.Sub(due); late > 8*time.Minute {
			t.Errorf("found after %s", late)
		}
	})
	t.Run("the event of an ended run is still unpublished", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		for s.run(run.ID).State != backup.Verifying {
			s.step()
		}
		s.storage.silent, s.storage.fatal = true, true
		s.step()
		s.storage.silent, s.storage.fatal = false, false
		if run = s.run(run.ID); run.State != backup.Succeeded || !run.Unpublished {
			t.Fatalf("the run is %s and unpublished: %t", run.State, run.Unpublished)
		}
		s.now = s.now.Add(time.Minute)
		lose(s)
		s.now = s.now.Add(10 * time.Minute)
		s.runSchedule()
		s.runSchedule()
		s.ended(run.ID, backup.Succeeded, "")
		if s.rows("inflight") != 0 {
			t.Error("the entry is still there")
		}
	})
	t.Run("an entry without a run is dropped when nobody can be about to make it", func(t *testing.T) {
		s := newHarness(t)
		s.storage.failAt = 5 // claim read, its entry in the index of history, claim, index, insert
		if _, err := s.backup("request-1", nightly(), target); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		s.now = begin.Add(10*time.Minute - time.Second)
		if s.runSchedule(); s.rows("inflight") != 1 {
			t.Error("dropped too early")
		}
		s.now = begin.Add(10 * time.Minute)
		if s.runSchedule(); s.rows("inflight") != 0 {
			t.Error("kept for ever")
		}
	})
}
