package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// many returns the plan with n targets.
func many(n int) backup.Plan {
	plan := nightly()
	plan.Targets = nil
	for i := range n {
		plan.Targets = append(plan.Targets, fmt.Sprint(target, "-", i))
	}
	return plan
}

// TestJitter: each target begins after its own share, always the same, and never so late that its window is over.
func TestJitter(t *testing.T) {
	for _, test := range []struct {
		name           string
		jitter, window time.Duration
		most           time.Duration
	}{
		{"as the plan says", 20 * time.Minute, 0, 20 * time.Minute},
		{"before the next scheduled time", 72 * time.Hour, 0, day},
		{"before the window ends", 72 * time.Hour, time.Hour, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan := many(100)
			plan.Jitter, plan.Window = test.jitter, test.window
			var shares [2]map[string]time.Duration
			for i := range shares {
				shares[i] = map[string]time.Duration{}
				s := newHarness(t)
				s.runSchedule(plan)
				s.now = begin.Add(time.Duration(i+1) * day)
				for _, id := range s.runSchedule(plan).Created {
					run := s.run(id)
					if !run.ScheduledTime.Equal(s.now) || run.Due.Before(s.now) {
						t.Errorf("the run's scheduled time is %s, and it is due at %s", run.ScheduledTime, run.Due)
					}
					shares[i][run.Target] = run.Due.Sub(run.ScheduledTime)
				}
				tenths := map[time.Duration]int{}
				for _, share := range shares[i] {
					if share >= test.most || share%time.Second != 0 {
						t.Errorf("begins %s after the scheduled time, want less than %s", share, test.most)
					}
					tenths[share*10/test.most]++
				}
				for tenth := range time.Duration(10) {
					if n := tenths[tenth]; n < 2 || n > 25 {
						t.Errorf("%d of 100 targets begin in tenth %d of the jitter", n, tenth)
					}
				}
			}
			for target, share := range shares[0] {
				if shares[1][target] != share {
					t.Errorf("%s begins after %s one day and %s the other", target, share, shares[1][target])
				}
			}
		})
	}
}

// TestJitterHoldsBack: a run begins when its share is over, not before, even if messages get lost; and the wait for it is not
// counted as one for the target.
func TestJitterHoldsBack(t *testing.T) {
	plan := nightly()
	plan.Schedule.Weekday, plan.Jitter = 1<<begin.Weekday(), 6*day
	for _, lost := range []bool{false, true} {
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(7 * day)
		run := s.run(s.runSchedule(plan).Created[0])
		if run.State != backup.Queued || run.Due.Before(s.now.Add(day)) || !run.Start.Equal(run.Due) {
			t.Fatalf("the test wants more than a day of jitter: %+v", run)
		}
		if run.Reason.Code != "Jitter" || !strings.Contains(run.Reason.Message, run.Start.Format(time.RFC3339)) {
			t.Errorf("nobody is told why it waits: %+v", run.Reason)
		}
		began := time.Time{}
		s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
			began = s.now
			return backup.Operation{Token: "token"}, nil
		}
		if lost {
			for _, m := range s.storage.queue.Messages("execute") {
				if !m.Visible.Equal(run.Due) {
					t.Errorf("the step message comes at %s, want %s", m.Visible, run.Due)
				}
			}
			// The first step message vanishes when it becomes visible.
			s.now = run.Due
			for _, m := range s.storage.queue.Receive("execute", 32, time.Minute) {
				if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
					t.Fatal(err)
				}
			}
			s.now = run.Due.Add(5 * time.Minute)
			if r := s.runSchedule(plan); r.Requeued != 1 {
				t.Errorf("the rescuer did %+v", r)
			}
		}
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
		if late := began.Sub(run.Due); late < 0 || late > 5*time.Minute || late > 0 && !lost {
			t.Errorf("it began %s after its share", late)
		}
	}
}

// TestJitterSurvivesKills lets every call of the timer run that makes a run with jitter fail.
func TestJitterSurvivesKills(t *testing.T) {
	plan := many(2)
	plan.Jitter = 20 * time.Minute
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.runSchedule(plan)
			s.now = begin.Add(day)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
			if s.storage.calls < k {
				break
			}
			s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
				if at := s.run(a.Run).Start; s.now.Before(at) {
					t.Errorf("call %d fails (made: %v): begins at %s, before its share at %s", k, made, s.now, at)
				}
				return backup.Operation{Token: "token"}, nil
			}
			for range 40 {
				s.now = s.now.Add(time.Minute)
				s.runSchedule(plan)
				s.deliver()
			}
			s.finish()
			if s.rows("run-") != 2 || s.rows("point-") != 2 || len(s.provider.begun) != 2 || len(s.missedRuns()) != 0 {
				t.Errorf("call %d fails (made: %v): %d runs, begun %q", k, made, s.rows("run-"), s.provider.begun)
			}
		}
	}
}

// TestMissed: a run whose window ends before its turn comes asks nothing of Azure, and says why it had to wait.
func TestMissed(t *testing.T) {
	plan := nightly()
	plan.Window = 3 * time.Hour
	t.Run("the target is busy all the while", func(t *testing.T) {
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
			return backup.Operation{Token: "token", Done: s.now.After(begin.Add(day + 4*time.Hour))}, nil
		}
		byHand := s.ask("request-1")
		s.deliver()
		id := s.runSchedule(plan).Created[0]
		s.finish()
		run := s.ended(id, backup.Missed, "Missed")
		if late := run.Ended.Sub(begin.Add(day + 3*time.Hour)); late < 0 || late > 10*time.Minute {
			t.Errorf("missed %s after the window", late)
		}
		if !strings.Contains(run.Reason.Message, "another run of the target is under way") || run.Reason.Hint == "" {
			t.Errorf("the reason is %+v", run.Reason)
		}
		if s.ended(byHand.ID, backup.Succeeded, ""); len(s.provider.begun) != 1 {
			t.Errorf("begun %q", s.provider.begun)
		}
	})
	t.Run("nobody took its message", func(t *testing.T) {
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		id := s.runSchedule(plan).Created[0]
		s.now = begin.Add(3 * day)
		s.finish()
		s.ended(id, backup.Missed, "Missed")
		if len(s.provider.begun) != 0 {
			t.Errorf("begun %q", s.provider.begun)
		}
	})
	t.Run("with a lost start behind it, nobody knows", func(t *testing.T) {
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
			if strings.HasSuffix(a.Artifact, ".1") {
				return backup.Operation{}, errors.New("no answer")
			}
			return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
		}
		id := s.runSchedule(plan).Created[0]
		s.finish()
		s.ended(id, backup.Unknown, "Missed")
	})
}

// TestTimerRunDiesBeforeTheNextScheduledTime: a timer run dies while it makes the runs of a scheduled time, and the next one
// comes after a further scheduled time. No scheduled time is both missed and run, none is forgotten.
func TestTimerRunDiesBeforeTheNextScheduledTime(t *testing.T) {
	plan := many(2)
	completed := 0
	for _, window := range []time.Duration{0, time.Hour} {
		plan.Window = window
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newHarness(t)
				s.runSchedule(plan)
				s.now = begin.Add(day)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
				if s.storage.calls < k {
					break
				}
				what := fmt.Sprintf("window %s, call %d fails (made: %v)", window, k, made)
				runs := map[string]int{}
				for range 2 {
					s.now = s.now.Add(day)
					s.runSchedule(plan)
					s.finish()
				}
				s.now = s.now.Add(time.Hour)
				s.runSchedule(plan)
				for _, row := range s.storage.catalog.Rows() {
					if strings.HasPrefix(row.Row, "run-") {
						id := row.Partition + "-" + strings.TrimPrefix(row.Row, "run-")
						runs[s.run(id).ScheduledTime.Format(time.DateOnly)]++
					}
				}
				first := begin.Add(day).Format(time.DateOnly)
				switch missedRuns := s.missedRuns(); {
				case len(missedRuns) == 0 && runs[first] == 2:
					completed++
				case len(missedRuns) == 1 && runs[first] == 0 && missedRuns[0].Count == 1 && missedRuns[0].First.Equal(begin.Add(day)):
				default:
					t.Errorf("%s: the runs are %v, the missed periods %+v", what, runs, missedRuns)
				}
				if s.rows("inflight") != 0 {
					t.Errorf("%s: %d entries are left", what, s.rows("inflight"))
				}
			}
		}
	}
	if completed == 0 {
		t.Error("no timer run died between a run and the checkpoint")
	}
}

// TestTimerRunsDieInTwoScheduledTimes: a timer run dies among the runs of a scheduled time, the timer run after it among the runs
// of the next, and then that scheduled time's window ends. Each scheduled time has all its runs, or lies in a missed period.
func TestTimerRunsDieInTwoScheduledTimes(t *testing.T) {
	plan := many(2)
	plan.Window = time.Hour
	both := 0
	for first := 1; ; first++ {
		more := false
		for second := 1; ; second++ {
			s := newHarness(t)
			s.runSchedule(plan)
			dies := func(at time.Time, call int) (died bool) {
				s.now, s.storage.calls, s.storage.failAt = at, 0, call
				_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
				s.storage.failAt = 0
				return s.storage.calls >= call
			}
			more = dies(begin.Add(day), first)
			if !more || !dies(begin.Add(2*day+time.Minute), second) {
				break
			}
			s.now = begin.Add(2*day + 2*time.Hour)
			s.runSchedule(plan)
			s.finish()
			got := s.fates()
			for _, scheduledTime := range []time.Time{begin.Add(day), begin.Add(2 * day)} {
				if got[scheduledTime] != "2 runs" && got[scheduledTime] != "a missed period" {
					t.Errorf("calls %d and %d fail: scheduled time %s: %s", first, second, scheduledTime, got[scheduledTime])
				}
			}
			if got[begin.Add(day)] == "2 runs" && got[begin.Add(2*day)] == "2 runs" {
				both++
			}
		}
		if !more {
			break
		}
	}
	if both == 0 {
		t.Error("no two timer runs died between a run and the checkpoint")
	}
}

// TestTimerRunOvertakenByTheDead: a timer run dies once it has noted that a scheduled time is in progress, and the next one had
// read the checkpoint before. It makes the runs all the same.
func TestTimerRunOvertakenByTheDead(t *testing.T) {
	plan := many(2)
	s := newHarness(t)
	s.runSchedule(plan)
	s.now = begin.Add(day)
	const claim = 3 // the checkpoints and the runs in flight are listed before
	s.storage.calls = 0
	s.storage.before = func(call int) {
		if call != claim {
			return
		}
		s.storage.before, s.storage.calls, s.storage.failAt, s.storage.made = nil, 0, claim, true
		if _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); err == nil {
			t.Error("the timer run that notes the scheduled time does not die")
		}
		s.storage.failAt = 0
	}
	if report := s.runSchedule(plan); len(report.Created) != 2 || s.rows("run-") != 2 || len(s.missedRuns()) != 0 {
		t.Errorf("%d runs, missed periods %+v", s.rows("run-"), s.missedRuns())
	}
	s.storage.calls, s.storage.writes = 0, 0
	if s.runSchedule(plan); s.storage.writes != 1 { // it looks at the marked targets again, and deletes the marks
		t.Errorf("the timer run after it makes %d writes", s.storage.writes)
	}
}

// TestTimerRunDiesBeforeThePause lets every call fail of the timer run that makes a scheduled time's runs; the next one sees the
// plan paused. Then the scheduled time has all its runs, or it lies in the missed period of the pause, but never both.
func TestTimerRunDiesBeforeThePause(t *testing.T) {
	going := many(2)
	paused := going
	paused.Paused = true
	begun := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.runSchedule(going)
			s.now = begin.Add(day)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, _ = s.engine.Schedule(t.Context(), []backup.Plan{going})
			if s.storage.calls < k {
				break
			}
			s.storage.failAt = 0
			s.now = s.now.Add(time.Minute)
			s.runSchedule(paused)
			s.finish()
			s.now = begin.Add(2*day + time.Hour)
			s.runSchedule(going)
			runs, missedRuns := s.rows("run-"), s.missedRuns()
			switch {
			case len(missedRuns) != 1 || missedRuns[0].Why != "paused by "+going.Name+" in plan.yaml":
				t.Errorf("call %d fails (made: %v): missed periods %+v", k, made, missedRuns)
			case runs == 2 && missedRuns[0].Count == 1 && missedRuns[0].First.Equal(begin.Add(2*day)):
				begun++
			case runs == 0 && missedRuns[0].Count == 2 && missedRuns[0].First.Equal(begin.Add(day)):
			default:
				t.Errorf("call %d fails (made: %v): %d runs, and the missed period %+v", k, made, runs, missedRuns[0])
			}
		}
	}
	if begun == 0 {
		t.Error("no timer run died between a run and the checkpoint")
	}
}

// TestPauseOvertakesTimerRun: a timer run is so slow with a scheduled time's runs that another one notes a pause meanwhile, at
// any of its calls. Then the scheduled time has all its runs, or it lies in the missed period of the pause.
func TestPauseOvertakesTimerRun(t *testing.T) {
	going := many(2)
	paused := going
	paused.Paused = true
	var runs, missedRuns int
	for k := 1; ; k++ {
		s := newHarness(t)
		s.runSchedule(going)
		s.now = begin.Add(day)
		if !s.overtaken(going, k, func() { s.runSchedule(paused) }) {
			break
		}
		s.finish()
		s.now = begin.Add(2*day + time.Hour)
		s.runSchedule(paused)
		s.runSchedule(going)
		switch got := s.fates(); {
		case got[begin.Add(day)] == "2 runs" && got[begin.Add(2*day)] == "a missed period":
			runs++
		case got[begin.Add(day)] == "a missed period" && got[begin.Add(2*day)] == "a missed period":
			missedRuns++
		default:
			t.Errorf("overtaken at call %d: %v", k, got)
		}
	}
	if runs == 0 || missedRuns == 0 {
		t.Errorf("%d times runs, %d times a missed period", runs, missedRuns)
	}
}

// TestNextScheduledTimeOvertakesTimerRun: a timer run that catches up on a scheduled time is very slow. Meanwhile the next
// scheduled time comes due, or the window of its own ends, and another timer run deals with that, at any of its calls. Each
// scheduled time has all its runs, or lies in a missed period.
func TestNextScheduledTimeOvertakesTimerRun(t *testing.T) {
	for _, window := range []time.Duration{0, day - time.Minute} {
		plan := many(2)
		plan.Window = window
		for k := 1; ; k++ {
			s := newHarness(t)
			s.runSchedule(plan)
			s.now = begin.Add(2*day - 2*time.Minute)
			if !s.overtaken(plan, k, func() { s.now = s.now.Add(2 * time.Minute); s.runSchedule(plan) }) {
				break
			}
			got := s.fates()
			if first := got[begin.Add(day)]; first != "2 runs" && first != "a missed period" || got[begin.Add(2*day)] != "2 runs" {
				t.Errorf("window %s, overtaken at call %d: %v", window, k, got)
			}
		}
	}
}

// TestTargetsEditedAfterDeath: a timer run dies at any of its calls, and before the next scheduled time the plan loses the target
// whose runs are made first. The scheduled time has runs, or lies in a missed period, but never both.
func TestTargetsEditedAfterDeath(t *testing.T) {
	for k := 1; ; k++ {
		s := newHarness(t)
		plan := many(3)
		s.runSchedule(plan)
		s.now, s.storage.calls, s.storage.failAt = begin.Add(day), 0, k
		_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
		if s.storage.calls < k {
			break
		}
		plan.Targets = plan.Targets[1:]
		s.now = begin.Add(2 * day)
		s.runSchedule(plan)
		got := s.fates()
		if first := got[begin.Add(day)]; first != "2 runs" && first != "3 runs" && first != "a missed period" || got[begin.Add(2*day)] != "2 runs" {
			t.Errorf("call %d fails: %v", k, got)
		}
	}
}

// overtaken makes a timer run, one call at a time, and calls by before its call k; by may also move the clock. It returns false
// if the called has fewer calls.
func (s *harness) overtaken(plan backup.Plan, k int, by func()) (reached bool) {
	s.engine.Parallelism = 1
	s.storage.calls = 0
	s.storage.before = func(call int) {
		if call == k {
			s.storage.before, reached = nil, true
			by()
		}
	}
	_, _ = s.engine.Schedule(s.t.Context(), []backup.Plan{plan})
	s.storage.before = nil
	return reached
}

// fates says what became of each scheduled time of a daily plan.
func (s *harness) fates() map[time.Time]string {
	made, is := map[time.Time]int{}, map[time.Time]string{}
	for _, row := range s.storage.catalog.Rows() {
		if rest, ok := strings.CutPrefix(row.Row, "run-"); ok {
			made[s.run(row.Partition+"-"+rest).ScheduledTime]++
		}
	}
	for scheduledTime, n := range made {
		is[scheduledTime] = fmt.Sprintf("%d runs", n)
	}
	for _, g := range s.missedRuns() {
		for scheduledTime := g.First; !scheduledTime.After(g.Last); scheduledTime = scheduledTime.Add(day) {
			if is[scheduledTime] != "" {
				is[scheduledTime] += " and "
			}
			is[scheduledTime] += "a missed period"
		}
	}
	return is
}

// TestPauseSurvivesKills lets every call fail of the timer run that first sees a pause, and of the timer run that first sees its
// end, also if the event about the missed period cannot be sent for days.
func TestPauseSurvivesKills(t *testing.T) {
	going, paused := nightly(), nightly()
	paused.Paused = true
	for _, resumes := range []bool{false, true} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newHarness(t)
				s.runSchedule(going)
				fail := func(plan backup.Plan) {
					s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
					_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
				}
				s.now = begin.Add(time.Hour)
				if !resumes {
					fail(paused)
				}
				reached := s.storage.calls >= k
				s.storage.failAt = 0
				s.runSchedule(paused)
				s.now = begin.Add(5*day + time.Hour)
				s.runSchedule(paused)
				if resumes {
					fail(going)
					reached = s.storage.calls >= k
				}
				if !reached {
					break
				}
				s.storage.failAt, s.storage.silent = 0, true
				_, _ = s.engine.Schedule(t.Context(), []backup.Plan{going})
				s.now = begin.Add(6 * day)
				report, err := s.engine.Schedule(t.Context(), []backup.Plan{going})
				told := len(s.storage.queue.Events()) > 0
				if err != nil || !told && report.Unsent == 0 {
					t.Errorf("call %d fails: the event cannot be sent, and nobody is told: %v", k, err)
				}
				s.storage.silent = false
				s.runSchedule() // also if the plan is gone by now
				s.finish()
				s.oneMissedRuns(5, begin.Add(day), begin.Add(5*day), "paused by nightly in plan.yaml")
				if s.rows("run-") != 1 || s.rows("point-") != 1 {
					t.Errorf("call %d fails (made: %v): %d runs, want one, of day 6", k, made, s.rows("run-"))
				}
			}
		}
	}
}

// TestReasonsOfMissedPeriods: scheduled times that the app missed before a pause are not counted as paused, and one reason may
// follow another.
func TestReasonsOfMissedPeriods(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	s.runSchedule(plan)
	s.now = begin.Add(3*day + time.Hour) // no timer run came; then the plan is paused
	plan.Paused = true
	s.runSchedule(plan)
	s.oneMissedRuns(2, begin.Add(day), begin.Add(2*day), "no timer run read")
	s.now = begin.Add(5*day + time.Hour)
	s.engine.Stopped = "stopped by LIFEBOAT_STOPPED"
	s.runSchedule(plan) // still paused: the stop changes nothing
	plan.Paused = false
	s.runSchedule(plan)
	s.now = begin.Add(7*day + time.Hour)
	s.engine.Stopped = ""
	s.runSchedule(plan)
	var got []string
	for _, g := range s.missedRuns() {
		got = append(got, fmt.Sprintf("%d to %d: %s", g.First.Day()-begin.Day(), g.Last.Day()-begin.Day(), g.Why))
	}
	want := []string{"3 to 5: paused by nightly in plan.yaml", "6 to 7: stopped by LIFEBOAT_STOPPED"}
	if len(got) != 3 || got[1] != want[0] || got[2] != want[1] {
		t.Errorf("the missed periods are %q, want %q after the first", got, want)
	}
	if s.rows("run-") != 0 {
		t.Errorf("%d runs", s.rows("run-"))
	}
	if n := len(s.storage.queue.Events()); n != 3 {
		t.Errorf("%d events", n)
	}
}
