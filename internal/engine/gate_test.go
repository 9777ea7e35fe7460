package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// operations is a service whose backups take their time. It counts the operations under way.
type operations struct {
	stage *harness
	takes time.Duration
	ends  map[string]time.Time
	// most is the greatest number under way at once; began are the targets in the order of their starts.
	most  int
	began []string
}

func (s *harness) operate(takes time.Duration) *operations {
	o := &operations{stage: s, takes: takes, ends: map[string]time.Time{}}
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		o.ends[a.Target] = s.now.Add(takes)
		o.began = append(o.began, a.Target)
		o.most = max(o.most, o.underway())
		return backup.Operation{Token: "token"}, nil
	}
	s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
		return backup.Operation{Token: "token", Done: !s.now.Before(o.ends[a.Target])}, nil
	}
	s.provider.find = func(a backup.Attempt) (string, error) {
		if end, ok := o.ends[a.Target]; ok && !s.now.Before(end) {
			return a.Run + ".1", nil
		}
		return "", nil
	}
	return o
}

func (o *operations) underway() (n int) {
	for _, end := range o.ends {
		if end.After(o.stage.now) {
			n++
		}
	}
	return n
}

// minutes lets time pass with a timer run each minute, until all runs have ended or the time is over.
func (s *harness) minutes(n int, plans ...backup.Plan) {
	s.t.Helper()
	for range n {
		s.now = s.now.Add(time.Minute)
		_, _ = s.engine.Schedule(s.t.Context(), plans)
		for range 3 {
			s.deliver()
			s.now = s.now.Add(10 * time.Second)
		}
	}
}

// runStates counts the runs by their state.
func (s *harness) runStates() map[backup.State]int {
	states := map[backup.State]int{}
	for _, row := range s.storage.catalog.Rows() {
		if rest, ok := strings.CutPrefix(row.Row, "run-"); ok {
			states[s.run(row.Partition+"-"+rest).State]++
		}
	}
	return states
}

// gateIsOpen checks that no run holds a permit or stands in the wait queue.
func (s *harness) gateIsOpen() {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "permit-") || strings.HasPrefix(row.Row, "enqueued-") {
			s.t.Errorf("left: %s %s", row.Row, row.Body)
		}
	}
}

// TestConcurrency: no more operations are under way than may be, all runs get their turn, the first in the wait queue begin
// first, and each costs the same after any wait.
func TestConcurrency(t *testing.T) {
	for _, test := range []struct {
		name           string
		all, plan      int
		targets, hours int
		most           int
	}{
		{name: "no bound", targets: 20, hours: 1, most: 20},
		{name: "all plans", all: 4, targets: 20, hours: 3, most: 3},
		{name: "one plan", plan: 2, targets: 9, hours: 2, most: 2},
		{name: "both", all: 5, plan: 2, targets: 9, hours: 2, most: 2},
		{name: "one at a time", all: 1, plan: 1, targets: 5, hours: 2, most: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.engine.Concurrency = test.all
			plan := many(test.targets)
			plan.Settings.Concurrency = test.plan
			o := s.operate(8 * time.Minute)
			s.runSchedule(plan)
			s.now = begin.Add(day)
			s.runSchedule(plan)
			s.storage.calls = 0
			s.minutes(test.hours*60, plan)
			if got := s.runStates(); got[backup.Succeeded] != test.targets || len(got) != 1 {
				t.Errorf("the runs ended %v", got)
			}
			if o.most != test.most || len(o.began) != test.targets {
				t.Errorf("%d operations, %d at once, want %d", len(o.began), o.most, test.most)
			}
			s.gateIsOpen()
			if left := s.storage.queue.Messages("execute"); test.all+test.plan == 0 && len(left) > 0 {
				t.Errorf("%d messages are left", len(left))
			}
		})
	}
}

// TestTheWaitQueueIsFair: the first run in the wait queue begins first.
func TestTheWaitQueueIsFair(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	o := s.operate(8 * time.Minute)
	early, late := many(4), many(4)
	late.Name = "late"
	late.Targets = nil
	for i := range 4 {
		late.Targets = append(late.Targets, fmt.Sprint(target, "-late-", i))
	}
	late.Schedule = daily(time.UTC, 2, 35)
	s.runSchedule(early, late)
	s.now = begin.Add(day)
	s.runSchedule(early, late)
	s.minutes(180, early, late)
	if len(o.began) != 8 {
		t.Fatalf("began: %q", o.began)
	}
	for i, target := range o.began {
		if strings.Contains(target, "-late-") != (i >= 4) {
			t.Errorf("out of turn: %q", o.began)
			break
		}
	}
}

// TestConcurrencySurvivesFailures lets every single call fail, made or not, while three runs share one permit.
func TestConcurrencySurvivesFailures(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.engine.Concurrency = 1
			plan := many(3)
			plan.Settings.Concurrency = 1
			o := s.operate(3 * time.Minute)
			s.runSchedule(plan)
			s.now = begin.Add(day)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.minutes(60, plan)
			if s.storage.calls < k {
				break
			}
			calls++
			if got := s.runStates(); got[backup.Succeeded] != 3 || len(got) != 1 || o.most != 1 {
				t.Errorf("call %d fails (made: %v): %v, %d at once", k, made, got, o.most)
			}
			s.gateIsOpen()
			if t.Failed() {
				t.Fatalf("call %d fails (made: %v)", k, made)
			}
		}
	}
	t.Logf("%d calls failed, one at a time", calls)
}

// TestTwoInvocationsTakeOnePermit: a second delivery of the same step message happens as a whole before any one call of the
// first.
func TestTwoInvocationsTakeOnePermit(t *testing.T) {
	for waiting := range 2 {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.engine.Concurrency = 2
			o := s.operate(3 * time.Minute)
			plan := many(2 + waiting) // with three, one has to wait for a permit
			s.runSchedule(plan)
			s.now = begin.Add(day)
			s.runSchedule(plan)
			if waiting == 1 {
				s.deliver()
				s.now = s.now.Add(4 * time.Minute)
				s.deliver() // two have ended
				s.deliver()
				s.runSchedule(plan)
			}
			reached := false
			s.storage.calls = 0
			s.storage.before = func(call int) {
				if call != k || reached {
					return
				}
				reached = true
				for _, m := range s.storage.queue.Messages("execute") {
					if m.Visible.Add(-redelivery).After(s.now) {
						continue
					}
					s.ids++
					if _, err := s.engine.Execute(t.Context(), fmt.Sprint("twin", s.ids), m.Body); err != nil {
						t.Errorf("the twin fails: %v", err)
					}
				}
			}
			s.deliver()
			s.storage.before = nil
			s.minutes(30, plan)
			if got := s.runStates(); got[backup.Succeeded] != 2+waiting || len(got) != 1 || o.most > 2 || len(o.began) != 2+waiting {
				t.Fatalf("before call %d: %v, %d at once, began %q", k, got, o.most, o.began)
			}
			s.gateIsOpen()
			if !reached {
				break
			}
		}
	}
}

// TestNoRunEntersTheWaitQueueWhileThereIsRoom: the second invocation begins between any two calls of the first, and the third
// happens between any two of the second's. All are of one run, or of three for which there is just room. No run is told that
// there is no room, and all come to their ends by their messages alone, without a timer run.
func TestNoRunEntersTheWaitQueueWhileThereIsRoom(t *testing.T) {
	for _, runs := range []int{1, 3} {
		var reached [2]bool
		for k := 1; k == 1 || reached[0]; k++ {
			for j := 1; j == 1 || reached[1]; j++ {
				s := newHarness(t)
				s.engine.Concurrency = 4 // one of them is kept for restores
				o := s.operate(3 * time.Minute)
				plan := many(runs)
				s.runSchedule(plan)
				s.now = begin.Add(day)
				s.runSchedule(plan)
				wake := s.storage.queue.Receive("execute", 32, redelivery)
				reached = [2]bool{}
				var invoke func(nth int)
				invoke = func(nth int) {
					s.storage.calls = 0
					s.storage.before = func(call int) {
						if at := []int{k, j}; nth < len(at) && call == at[nth] {
							reached[nth] = true
							invoke(nth + 1)
						}
					}
					m := wake[nth%len(wake)]
					if _, err := s.engine.Execute(t.Context(), fmt.Sprint("invocation", nth), m.Body); err != nil {
						t.Errorf("before calls %d and %d: %v", k, j, err)
					}
					s.storage.before = nil
					_ = s.storage.queue.Delete("execute", m.ID, m.Receipt) // the first invocation of the same run did so
				}
				invoke(0)
				for range 60 {
					for _, row := range s.storage.catalog.Rows() {
						if strings.HasPrefix(row.Row, "enqueued-") {
							t.Fatalf("before calls %d and %d: %s", k, j, row.Row)
						}
					}
					s.deliver()
					s.now = s.now.Add(10 * time.Second)
				}
				if got := s.runStates(); got[backup.Succeeded] != runs || len(o.began) != runs {
					t.Errorf("before calls %d and %d: %v, %d started", k, j, got, len(o.began))
				}
				s.gateIsOpen()
				if t.Failed() {
					return
				}
			}
		}
	}
}

// TestTheWindowEndsInTheWaitQueue: a run that finds no permit in time is missed, and says why.
func TestTheWindowEndsInTheWaitQueue(t *testing.T) {
	s := newHarness(t)
	plan := many(3)
	plan.Window, plan.Settings.Concurrency = 20*time.Minute, 1
	s.operate(time.Hour)
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.minutes(120, plan)
	if got := s.runStates(); got[backup.Missed] != 2 || got[backup.Succeeded] != 1 {
		t.Errorf("the runs ended %v", got)
	}
	for _, e := range s.storage.queue.Events() {
		if e.Type == "lifeboat.run.missed" && !strings.Contains(string(e.Data), "1 operations of the plan nightly are under way") {
			t.Errorf("the event is %s", e.Data)
		}
	}
	s.gateIsOpen()
}

// TestBusyTargetsGiveTheirPermitAway: one service that is busy for hours does not keep the others waiting.
func TestBusyTargetsGiveTheirPermitAway(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	o := s.operate(3 * time.Minute)
	plan := many(3)
	begins := s.provider.begin
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		if a.Target == plan.Targets[0] && s.now.Before(begin.Add(day+2*time.Hour)) {
			return backup.Operation{}, &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "busy"}
		}
		return begins(a)
	}
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.minutes(60, plan)
	if got := s.runStates(); got[backup.Succeeded] != 2 || got[backup.Waiting] != 1 {
		t.Errorf("after an hour: %v", got)
	}
	s.minutes(120, plan)
	if got := s.runStates(); got[backup.Succeeded] != 3 || o.most != 1 {
		t.Errorf("after three hours: %v, %d at once", got, o.most)
	}
	s.gateIsOpen()
}

// TestBusyRestoreLeavesTheWaitQueue: if the first restore in the wait queue has a busy destination, no run behind it has to wait.
func TestBusyRestoreLeavesTheWaitQueue(t *testing.T) {
	s, service, _ := restorable(t)
	s.engine.Concurrency = 1
	o := s.operate(10 * time.Minute)
	plan := many(2)
	ask := func(target string) backup.Run {
		run, err := s.backup(target, plan, target)
		if err != nil {
			t.Fatal(err)
		}
		s.deliver()
		return run
	}
	ask(plan.Targets[0])
	restore := s.restore(order("restore-1"), restoring(false))
	s.deliver()
	behind := ask(plan.Targets[1])
	busy := true
	service.can = func(backup.Restore) error {
		if busy {
			return fault(backup.Retryable, "Updating")
		}
		return nil
	}
	s.minutes(60, plan)
	if got := s.run(behind.ID); got.State != backup.Succeeded || s.run(restore.ID).Reason.Code != "Updating" {
		t.Errorf("after an hour the restore is %+v, the run behind it %s: %+v", s.run(restore.ID).Reason, got.State, got.Reason)
	}
	busy = false
	s.minutes(30, plan)
	if got := s.run(restore.ID); got.State != backup.Succeeded || o.most != 1 {
		t.Errorf("the restore is %s: %+v", got.State, got.Reason)
	}
	s.gateIsOpen()
}

// TestUnseenRunLeavesTheWaitQueue: the same holds for a run whose lost start cannot be looked for.
func TestUnseenRunLeavesTheWaitQueue(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	o := s.operate(10 * time.Minute)
	plan := many(3)
	lost, turnedAway, blind := plan.Targets[0], false, false
	operates := s.provider.begin
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		switch {
		case a.Target != lost:
			return operates(a)
		case a.Artifact == a.Run+".1":
			return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
		}
		turnedAway = true
		return backup.Operation{}, fault(backup.Retryable, "Conflict")
	}
	s.provider.find = func(backup.Attempt) (string, error) {
		if blind {
			return "", fault(backup.Retryable, "Unreachable")
		}
		return "", nil
	}
	ask := func(target string) backup.Run {
		run, err := s.backup(target, plan, target)
		if err != nil {
			t.Fatal(err)
		}
		s.deliver()
		return run
	}
	first := ask(lost)
	for !turnedAway {
		s.step()
	}
	ask(plan.Targets[1])
	for s.run(first.ID).QueueRow == "" && s.step() {
		if s.now.Sub(begin) > 5*time.Hour {
			t.Fatal("it does not line up")
		}
	}
	behind := ask(plan.Targets[2])
	blind = true
	s.minutes(60, plan)
	if got := s.run(behind.ID); got.State != backup.Succeeded || o.most != 1 {
		t.Errorf("after an hour the run behind is %s: %+v; the first: %+v", got.State, got.Reason, s.run(first.ID).Reason)
	}
}

// TestLeftPermitsAreReclaimed: permits whose runs have ended, or never came to be, do not stop the others for ever.
func TestLeftPermitsAreReclaimed(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 2
	s.operate(3 * time.Minute)
	plan := many(3)
	s.runSchedule(plan)
	ended := s.ask("earlier")
	s.finish()
	for i, run := range []string{ended.ID, "0123456789abcdef-0123456789-0123456789ab"} {
		_, err := s.storage.catalog.Apply(t.Context(), backup.Write{
			Op: backup.Insert, Key: backup.Key{Partition: "schedule", Row: fmt.Sprintf("permit-all.%04d", i)},
			Body: fmt.Appendf(nil, `{"Run": %q}`, run),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.minutes(60, plan)
	if got := s.runStates(); got[backup.Succeeded] != 4 {
		t.Errorf("the runs ended %v", got)
	}
	s.gateIsOpen()
}

// TestTurnedAway: a service that has too much to do is asked ever less often, by no more runs than may operate, and not by all of
// them at once.
func TestTurnedAway(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 4 // one of them is kept for restores
	plan := many(9)
	asked := map[string][]time.Time{}
	s.provider.ready = func(a backup.Attempt) error {
		asked[a.Target] = append(asked[a.Target], s.now)
		return &backup.Fault{Kind: backup.Throttled, Code: "TooManyRequests", Message: "later", RetryAfter: 17 * time.Second}
	}
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	for s.now.Before(begin.Add(day + time.Hour)) {
		s.now = s.now.Add(time.Second)
		s.deliver()
	}
	if len(asked) != 3 {
		t.Errorf("%d targets knocked, want the 3 with a permit", len(asked))
	}
	var seconds []time.Time
	for _, times := range asked {
		want := []time.Duration{1, 2, 4, 8, 10, 10}
		if len(times) < len(want) || len(times) > 9 {
			t.Fatalf("asked at %s", times)
		}
		for i, w := range want {
			if got := times[i+1].Sub(times[i]); got < w*time.Minute || got > w*time.Minute*5/4+2*time.Second {
				t.Errorf("the wait %d was %s, want %d minutes and up to a quarter more", i+1, got, w)
			}
		}
		seconds = append(seconds, times[len(want)])
	}
	slices.SortFunc(seconds, time.Time.Compare)
	if seconds = slices.CompactFunc(seconds, time.Time.Equal); len(seconds) != 3 {
		t.Errorf("they come back together: %s", seconds)
	}
}

// TestTheNextStepMessageOvertakes: an invocation that is slow anywhere is overtaken by the run's next step message. The
// invocation that starts an operation has a permit then, even if the slow one releases some.
func TestTheNextStepMessageOvertakes(t *testing.T) {
	for k := 1; ; k++ {
		s := newHarness(t)
		s.engine.Concurrency = 1
		o := s.operate(3 * time.Minute)
		starts, busy := s.provider.begin, true
		s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
			if busy {
				busy = false
				return backup.Operation{}, &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "busy"}
			}
			if n := s.rows("permit-all"); n != 1 {
				t.Errorf("call %d is slow: a start while %d permits are held", k, n)
			}
			return starts(a)
		}
		polls := s.provider.poll
		s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
			if n := s.rows("permit-all"); n != 1 {
				t.Errorf("call %d is slow: an operation goes on while %d permits are held", k, n)
			}
			return polls(a)
		}
		run := s.ask("slow")
		reached := false
		s.storage.before = func(call int) {
			if call == k && !reached {
				reached = true
				s.now = s.now.Add(61 * time.Second)
				for _, m := range s.storage.queue.Messages("execute") {
					if strings.Contains(string(m.Body), `"sequence":2`) && !m.Visible.After(s.now) {
						if _, err := s.engine.Execute(t.Context(), "next", m.Body); err != nil {
							t.Errorf("call %d is slow: the next step message: %v", k, err)
						}
					}
				}
			}
		}
		s.storage.calls = 0
		s.deliver()
		s.storage.before = nil
		s.minutes(30)
		if s.run(run.ID).State != backup.Succeeded || o.most != 1 {
			t.Errorf("call %d is slow: %+v", k, s.run(run.ID))
		}
		s.gateIsOpen()
		if !reached {
			break
		}
	}
}

// TestTheRescuerSeesRunsThatLeftTheWaitQueue: a step message that is lost after the wait queue is found as soon as any other.
func TestTheRescuerSeesRunsThatLeftTheWaitQueue(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	o := s.operate(20 * time.Minute)
	plan := many(2)
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	for s.minutes(1, plan); len(o.began) < 2; {
		s.minutes(1, plan)
	}
	s.lose(s.now.Add(2*time.Minute), "")
	if s.minutes(60, plan); s.runStates()[backup.Succeeded] != 2 {
		t.Errorf("an hour later: %v", s.runStates())
	}
}

// TestTheEndOfTheWaitQueueComesEarly: the step message that ends the wait may come a moment before its time, and is the only one.
func TestTheEndOfTheWaitQueueComesEarly(t *testing.T) {
	s := newHarness(t)
	plan := many(2)
	plan.Window, plan.Settings.Concurrency = 20*time.Minute, 1
	s.operate(3 * time.Hour)
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.deliver()
	s.now = begin.Add(day + 20*time.Minute - 2*time.Second)
	for _, m := range s.storage.queue.Messages("execute") {
		if m.Visible.After(s.now) && m.Visible.Before(s.now.Add(time.Minute)) {
			if _, err := s.engine.Execute(t.Context(), "early", m.Body); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.lose(s.now.Add(10*time.Second), `"sequence":2`)
	s.deliver()
	if s.runStates()[backup.Missed] != 1 {
		t.Errorf("after the window: %v", s.runStates())
	}
}

// lose sets the clock to the time, and removes all messages with the text that are visible then.
func (s *harness) lose(at time.Time, with string) {
	s.t.Helper()
	s.now = at
	for _, m := range s.storage.queue.Receive("execute", 32, 0) {
		if !strings.Contains(string(m.Body), with) {
			continue
		}
		if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
			s.t.Fatal(err)
		}
	}
}
