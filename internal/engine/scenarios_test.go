package engine_test

// These are the scenarios in which schedules fail in the world, one test each. Some of it is in the tests of single parts, and
// stands here once more as a whole: timer runs, deaths, deliveries, the end of the runs.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/testing/figures"
)

// scheduledTimes returns the scheduled times of all runs, each with its number of runs.
func (s *harness) scheduledTimes() map[string]int {
	s.t.Helper()
	scheduledTimes := map[string]int{}
	for _, row := range s.storage.catalog.Rows() {
		if rest, ok := strings.CutPrefix(row.Row, "run-"); ok {
			scheduledTimes[s.run(row.Partition+"-"+rest).ScheduledTime.Format(time.RFC3339)]++
		}
	}
	return scheduledTimes
}

// another makes another engine on the same storage, as in a second process or deployment: IDs of its own, a clock of its own.
func (s *harness) another(skew time.Duration) *engine.Engine {
	e := *s.engine
	own, ids := s.engine.Now, 0
	e.Now = func() time.Time { return own().Add(skew) }
	e.NewID = func() string {
		ids++
		return fmt.Sprintf("other%d", ids)
	}
	return &e
}

// health returns the health of the one target of the plan.
func (s *harness) health(plan backup.Plan) health.TargetHealth {
	s.t.Helper()
	health, _, err := s.engine.Health(s.t.Context(), plans.Active{Plans: []backup.Plan{plan}})
	if err != nil {
		s.t.Fatal(err)
	}
	return health[0]
}

// nights has the plan's next n scheduled times, one after the other, with the sizes that the function gives.
func (s *harness) nights(n int, size func(night int) int64) (ids []string) {
	s.t.Helper()
	s.runSchedule(nightly())
	for night := range n {
		s.now = nightly().Schedule.Next(s.now)
		s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
			n := size(night)
			if n == 0 {
				return backup.Verification{}, fault(backup.Refused, "ArtifactEmpty")
			}
			return backup.Verification{
				Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: n, SHA256: "beef", Modified: s.now,
			}, nil
		}
		ids = append(ids, s.runSchedule(nightly()).Created...)
		s.finish()
	}
	return ids
}

// TestScenario01SilentEmptiness: the service says that all went well, and there is nothing, or far less than ever before. The run
// has not succeeded, or its recovery point is suspect; that is published, nothing of it counts as good, and health says why.
func TestScenario01SilentEmptiness(t *testing.T) {
	for _, test := range []struct {
		name  string
		size  int64
		state backup.State
		code  string // the code of the run's reason
		says  string // the words of health
	}{
		{"nothing", 0, backup.Failed, "ArtifactEmpty", "ArtifactEmpty"},
		{"one byte", 1, backup.Succeeded, "SizeSuspect", "SuspectRecoveryPoint"},
		{"just under half", 499, backup.Succeeded, "SizeSuspect", "SuspectRecoveryPoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			good := s.nights(5, func(int) int64 { return 1000 })
			bad := s.nights(1, func(int) int64 { return test.size })[0]
			s.ended(bad, test.state, test.code)
			_, told := s.told(bad + "." + string(test.state))
			if !strings.Contains(fmt.Sprint(told["reason"]), test.code) || told["recoveryPointState"] == "live" {
				t.Errorf("told: %v", told)
			}
			s.now = s.now.Add(12 * time.Hour)
			h := s.health(nightly())
			if h.Status != health.Late || h.Point == nil || h.Point.ID != good[4] || h.Reason.Code != test.says {
				t.Errorf("health: %s, %+v", h.Status, h.Reason)
			}
			s.now = s.now.Add(60 * day)
			s.cleanup()
			if state := s.state(good[4]); state != backup.Live {
				t.Errorf("the last good one is %s", state)
			}
		})
	}
}

// TestScenario13NewestBackupsAreBroken: there are twenty-five newer backups, all of them broken and no three in a row of similar
// size. They are never counted, at any age of the last good one, and expire while it stays. Once backups are good again it goes
// by its time, as ever.
func TestScenario13NewestBackupsAreBroken(t *testing.T) {
	s := newHarness(t)
	good := s.nights(3, func(int) int64 { return 1000 })
	broken := s.nights(25, func(night int) int64 { return []int64{400, 150, 3}[night%3] })
	for _, id := range broken {
		s.ended(id, backup.Succeeded, "SizeSuspect")
	}
	h := s.health(nightly())
	if h.Status != health.Unprotected || h.Point == nil || h.Point.ID != good[2] || h.Reason.Code != "SuspectRecoveryPoint" ||
		!strings.Contains(h.Reason.Message, broken[24]) {
		t.Errorf("health: %s, %+v", h.Status, h.Reason)
	}
	clean := func(days int) {
		s.now = s.now.Add(time.Duration(days) * day)
		for range 3 {
			s.unpaced()
			s.now = s.now.Add(7 * time.Hour)
		}
	}
	clean(60)
	if got := s.states(good...); got != "expired expired live" {
		t.Errorf("good ones: %s", got)
	}
	for _, id := range broken {
		if state := s.state(id); state != backup.Expired {
			t.Errorf("%s is %s", id, state)
		}
	}
	// Two more broken ones do not make it go, a good one does.
	s.nights(2, func(night int) int64 { return int64(100 + 300*night) })
	clean(31)
	if state := s.state(good[2]); state != backup.Live {
		t.Errorf("the last good one is %s", state)
	}
	again := s.nights(1, func(int) int64 { return 1000 })[0]
	clean(1)
	if got := s.states(good[2], again); got != "expired live" {
		t.Errorf("the last good one and the next: %s", got)
	}
}

// TestScenario06TimerFiresTwice: the timer fires twice within 90 ms on two instances: the second timer run happens as a whole
// before any one call of the first. The same is tested with missed scheduled times, and with a new plan.
func TestScenario06TimerFiresTwice(t *testing.T) {
	plan := many(3)
	for _, days := range []int{0, 1, 4} {
		for k := 1; ; k++ {
			s := newHarness(t)
			if days > 0 {
				s.runSchedule(plan)
			}
			s.now = begin.AddDate(0, 0, days)
			other, reached := s.another(90*time.Millisecond), false
			s.storage.calls = 0
			s.storage.before = func(call int) {
				if call != k || reached {
					return
				}
				reached = true
				if _, err := other.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
					t.Errorf("the other timer run: %v", err)
				}
			}
			s.runSchedule(plan)
			s.storage.before = nil
			if !reached {
				break
			}
			if days == 0 {
				s.now = begin.Add(day)
				s.runSchedule(plan)
			}
			s.finish()
			if s.rows("run-") != 3 || s.rows("point-") != 3 || len(s.provider.begun) != 3 {
				t.Errorf("%d days, before call %d: %d runs, begun %q", days, k, s.rows("run-"), s.provider.begun)
			}
			if days == 4 {
				s.oneMissedRuns(3, begin.Add(day), begin.Add(3*day), "no timer run read")
			}
		}
	}
}

// TestScenario07MessagesTenTimesReorderedAndLate: the queue delivers every message ten times, in any order, and once more six
// days late.
func TestScenario07MessagesTenTimesReorderedAndLate(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7))
		s := newHarness(t)
		s.runSchedule(nightly())
		s.now = begin.Add(day)
		id := s.runSchedule(nightly()).Created[0]
		var seen [][]byte
		replay := func(times int) {
			var all [][]byte
			for range times {
				all = append(all, seen...)
			}
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, body := range all {
				s.ids++
				if _, err := s.engine.Execute(t.Context(), fmt.Sprint("copy", s.ids), body); err != nil {
					t.Errorf("seed %d: a copy fails: %v", seed, err)
				}
			}
		}
		for {
			for _, m := range s.storage.queue.Messages("execute") {
				if !slices.ContainsFunc(seen, func(b []byte) bool { return string(b) == string(m.Body) }) {
					seen = append(seen, m.Body)
				}
			}
			if !s.step() {
				break
			}
			replay(10)
		}
		run := s.ended(id, backup.Succeeded, "")
		s.now = s.now.Add(6 * day)
		replay(1)
		s.finish()
		if again := s.ended(id, backup.Succeeded, ""); !reflect.DeepEqual(again, run) {
			t.Errorf("seed %d: late messages changed the run to %+v", seed, again)
		}
		if len(s.provider.begun) != 1 || len(seen) < 3 {
			t.Errorf("seed %d: begun %q after %d messages", seed, s.provider.begun, len(seen))
		}
	}
}

// TestScenario08HostDown14Days: the host is down for 14 days on a daily schedule: one catch-up for each target, spread by the
// jitter, and one missed period.
func TestScenario08HostDown14Days(t *testing.T) {
	plan := many(50)
	plan.Jitter = 20 * time.Minute
	s := newHarness(t)
	s.runSchedule(plan)
	back := begin.Add(14*day + 5*time.Hour)
	s.now = back
	report := s.runSchedule(plan)
	if len(report.Created) != 50 || len(report.Missed) != 1 {
		t.Fatalf("%d runs and the missed periods %+v", len(report.Created), report.Missed)
	}
	if more := s.runSchedule(plan); len(more.Created)+len(more.Missed) != 0 {
		t.Errorf("the next timer run did %+v", more)
	}
	begun := map[int]int{}
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		begun[int(s.now.Sub(back)/(5*time.Minute))]++
		return backup.Operation{Token: "token"}, nil
	}
	s.finish()
	for _, id := range report.Created {
		if run := s.ended(id, backup.Succeeded, ""); !run.ScheduledTime.Equal(begin.Add(14 * day)) {
			t.Errorf("the scheduled time caught up on is %s", run.ScheduledTime)
		}
	}
	for quarter := range 4 {
		if n := begun[quarter]; n < 5 || n > 25 || len(begun) > 4 {
			t.Errorf("begun in five minutes each: %v", begun)
		}
	}
	s.oneMissedRuns(13, begin.Add(day), begin.Add(13*day), "no timer run read")
	s.now = begin.Add(15 * day)
	if next := s.runSchedule(plan); len(next.Created) != 50 || len(next.Missed) != 0 {
		t.Errorf("the next scheduled time: %+v", next)
	}
}

// TestScenario08HostDownPastTheWindow: the host is down, and the newest scheduled time is past its window: nothing is caught up
// on, and the next scheduled time is as ever.
func TestScenario08HostDownPastTheWindow(t *testing.T) {
	plan := nightly()
	plan.Window = 3 * time.Hour
	s := newHarness(t)
	s.runSchedule(plan)
	s.now = begin.Add(14*day + 5*time.Hour)
	if r := s.runSchedule(plan); len(r.Created) != 0 {
		t.Errorf("created %q", r.Created)
	}
	s.oneMissedRuns(14, begin.Add(day), begin.Add(14*day), "no timer run read")
	s.now = begin.Add(15 * day)
	if r := s.runSchedule(plan); len(r.Created) != 1 || len(r.Missed) != 0 {
		t.Errorf("the next scheduled time: %+v", r)
	}
}

// TestScenario09ExpressionEditedWhileDown: the expression is edited while the host is down. Every scheduled time of the new one
// since the old checkpoint is accounted for, and none of the old one.
func TestScenario09ExpressionEditedWhileDown(t *testing.T) {
	s := newHarness(t)
	old := nightly()
	s.runSchedule(old)
	s.now = begin.Add(day)
	s.runSchedule(old)
	s.finish()
	edited := nightly()
	edited.Schedule = daily(time.UTC, 14, 0)
	at := func(n int) time.Time { return time.Date(2026, 1, 15+n, 14, 0, 0, 0, time.UTC) }
	s.now = at(4).Add(time.Hour)
	r := s.runSchedule(edited)
	if len(r.Created) != 1 || !s.run(r.Created[0]).ScheduledTime.Equal(at(4)) {
		t.Errorf("created %+v, want the scheduled time of 14:00 today", r)
	}
	s.oneMissedRuns(3, at(1), at(3), "no timer run read")
	s.finish()
	want := map[string]int{begin.Add(day).Format(time.RFC3339): 1, at(4).Format(time.RFC3339): 1}
	if got := s.scheduledTimes(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("runs %v, want %v", got, want)
	}
	renamed := edited
	renamed.Name = "renamed"
	if r := s.runSchedule(renamed); len(r.Created)+len(r.Missed) != 0 {
		t.Errorf("a renamed plan is a new one, and this timer run did %+v", r)
	}
}

// TestScenario10RunStuckForEver: one run is stuck for ever: it is given up after a day, and the next scheduled time's run is not.
func TestScenario10RunStuckForEver(t *testing.T) {
	s := newHarness(t)
	s.runSchedule(nightly())
	stuck := true
	s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{Token: "token", Done: !stuck}, nil
	}
	s.now = begin.Add(day)
	first := s.runSchedule(nightly()).Created[0]
	for s.now.Before(begin.Add(2 * day)) {
		s.step()
	}
	second := s.runSchedule(nightly()).Created
	if len(second) != 1 {
		t.Fatalf("the next scheduled time made %q", second)
	}
	for s.run(first).State == backup.Running {
		s.step()
	}
	stuck = false
	s.finish()
	s.ended(second[0], backup.Succeeded, "")
	run := s.ended(first, backup.Unknown, "OperationTooLong")
	if took := run.Ended.Sub(run.Created); took > day+30*time.Minute {
		t.Errorf("the target was freed after %s", took)
	}
}

// TestScenario11RunExistsAlready: the process dies between the creation of a run and the next write: "it is there already" means
// done, the schedule advances, and the next scheduled times come.
func TestScenario11RunExistsAlready(t *testing.T) {
	for k := 1; ; k++ {
		s := newHarness(t)
		s.runSchedule(nightly())
		s.now = begin.Add(day)
		s.storage.calls, s.storage.failAt, s.storage.made = 0, k, true
		_, _ = s.engine.Schedule(t.Context(), []backup.Plan{nightly()})
		if s.storage.calls < k {
			break
		}
		for n := range 3 {
			s.now = begin.Add(time.Duration(n+1)*day + time.Minute)
			s.runSchedule(nightly())
			s.finish()
			s.now = s.now.Add(10 * time.Minute)
			s.runSchedule(nightly())
			s.finish()
		}
		if scheduledTimes := s.scheduledTimes(); len(scheduledTimes) != 3 || s.rows("run-") != 3 || s.rows("point-") != 3 || len(s.missedRuns()) != 0 {
			t.Errorf("dies after call %d: runs %v, missed periods %+v", k, scheduledTimes, s.missedRuns())
		}
	}
}

// TestScenario14ClockJumps: the clock jumps for one invocation, at the very scheduled time: nothing is deleted, no scheduled
// time is fired twice or lost, and the jump is published.
func TestScenario14ClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{400 * day, -2 * day} {
		s := newHarness(t)
		s.runSchedule(nightly())
		for n := range 2 {
			s.now = begin.Add(time.Duration(n+1) * day)
			s.runSchedule(nightly())
			s.finish()
		}
		s.now = begin.Add(3 * day)
		s.engine.Now = func() time.Time { return s.now.Add(jump) }
		if r, err := s.engine.Schedule(t.Context(), []backup.Plan{nightly()}); !errors.Is(err, engine.ErrClock) ||
			len(r.Created)+len(r.Missed) != 0 {
			t.Errorf("%s: scheduled %+v, %v", jump, r, err)
		}
		if _, err := s.engine.Cleanup(t.Context()); !errors.Is(err, engine.ErrClock) || len(s.provider.deleted) != 0 {
			t.Errorf("%s: deleted %q, %v", jump, s.provider.deleted, err)
		}
		events := s.storage.queue.Events()
		if last := events[len(events)-1]; last.Type != "lifeboat.clock.jumped" {
			t.Errorf("%s: the last event is %s", jump, last.Type)
		}
		s.engine.Now = func() time.Time { return s.now }
		for range 2 {
			s.now = s.now.Add(time.Minute)
			s.runSchedule(nightly())
			s.finish()
		}
		for scheduledTime, n := range s.scheduledTimes() {
			if n != 1 {
				t.Errorf("%s: %d runs of %s", jump, n, scheduledTime)
			}
		}
		if s.rows("run-") != 3 || s.rows("point-") != 3 || len(s.missedRuns()) != 0 {
			t.Errorf("%s: %d runs, %d points, missed periods %+v", jump, s.rows("run-"), s.rows("point-"), s.missedRuns())
		}
	}
}

// TestScenario14CheckpointInTheFuture: the storage's own clock was wrong for one timer run, and nothing could notice: the plan
// must not stand still in silence.
func TestScenario14CheckpointInTheFuture(t *testing.T) {
	s := newHarness(t)
	s.runSchedule(nightly())
	s.now = begin.Add(400 * day)
	s.runSchedule(nightly())
	s.finish()
	s.now = begin.Add(day)
	r, err := s.engine.Schedule(t.Context(), []backup.Plan{nightly()})
	if err == nil || !strings.Contains(err.Error(), "plan nightly") || !strings.Contains(err.Error(), "in the future") {
		t.Errorf("a plan that will stand still for a year: %+v, %v", r, err)
	}
	if len(r.Created) != 0 {
		t.Errorf("fired again: %q", r.Created)
	}
}

// TestScenario15ClocksChange: a year of timer runs in each zone: one run on every local day, also on the days when clocks change.
func TestScenario15ClocksChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		zone         string
		hour, minute int
	}{
		{"Europe/Zurich", 2, 30},
		{"America/New_York", 2, 30},
		{"America/New_York", 1, 30},
		{"Australia/Lord_Howe", 2, 15},
		{"Australia/Lord_Howe", 1, 45},
		{"America/Santiago", 0, 30},
		{"America/Santiago", 23, 30},
	} {
		z := zone(t, test.zone)
		plan := nightly()
		plan.Schedule = daily(z, test.hour, test.minute)
		s := newHarness(t)
		s.now = time.Date(2026, 1, 1, 0, 0, 0, 0, z)
		s.runSchedule(plan)
		days := map[string]int{}
		for end := time.Date(2027, 1, 1, 0, 1, 0, 0, z); s.now.Before(end); s.now = s.now.Add(6 * time.Hour) {
			report, err := s.engine.Schedule(t.Context(), []backup.Plan{plan})
			if err != nil || len(report.Missed) > 0 {
				t.Fatalf("%s %02d:%02d: %+v, %v", test.zone, test.hour, test.minute, report, err)
			}
			for _, id := range report.Created {
				days[s.run(id).ScheduledTime.In(z).Format(time.DateOnly)]++
			}
			if len(report.Created) > 0 {
				now := s.now
				s.finish()
				s.now = now
			}
		}
		for day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() == 2026; day = day.AddDate(0, 0, 1) {
			if n := days[day.Format(time.DateOnly)]; n != 1 {
				t.Errorf("%s %02d:%02d: %d runs on %s", test.zone, test.hour, test.minute, n, day.Format(time.DateOnly))
			}
		}
		if len(days) != 365 {
			t.Errorf("%s %02d:%02d: %d days", test.zone, test.hour, test.minute, len(days))
		}
	}
}

// TestScenario15RulesOfAZoneChange: a zone changes its rules while the app is updated: counting from the old checkpoint, no local
// day is left out, and only the day of the update can have two.
func TestScenario15RulesOfAZoneChange(t *testing.T) {
	for _, hours := range []int{-3, -1, 1, 3} {
		before, after := time.FixedZone("before", 4*3600), time.FixedZone("after", (4+hours)*3600)
		s := newHarness(t)
		plan := nightly()
		days := map[string]int{}
		update := begin.Add(10 * day)
		for ; s.now.Before(begin.Add(20 * day)); s.now = s.now.Add(30 * time.Minute) {
			z := before
			if !s.now.Before(update) {
				z = after
			}
			plan.Schedule = daily(z, 6, 30) // 02:30 UTC, the time of the update, by the old rules
			for _, id := range s.runSchedule(plan).Created {
				days[s.run(id).ScheduledTime.In(z).Format(time.DateOnly)]++
				now := s.now
				s.finish()
				s.now = now
			}
		}
		for n := range 19 {
			date := begin.Add(time.Duration(n+1) * day)
			got := days[date.Format(time.DateOnly)]
			if got < 1 || got > 2 || got == 2 && date.Sub(update).Abs() > day {
				t.Errorf("%d hours: %d runs on %s", hours, got, date.Format(time.DateOnly))
			}
		}
		if len(s.missedRuns()) != 0 {
			t.Errorf("%d hours: missed periods %+v", hours, s.missedRuns())
		}
	}
}

// TestScenario30RoleLostForOneSubscription: the identity loses a role at 03:00 for one of two subscriptions. Only the runs there
// end without a recovery point, one try each, and the alarm names that target alone, within one interval of when it turned
// unprotected.
func TestScenario30RoleLostForOneSubscription(t *testing.T) {
	s := newHarness(t)
	there := strings.Replace(target, "000000000001/", "000000000030/", 1)
	plan := nightly()
	plan.Targets = []string{target, there}
	lost := begin.Add(day + 30*time.Minute)
	tries := map[string]int{}
	s.provider.ready = func(a backup.Attempt) error {
		if a.Target == there && s.now.After(lost) {
			tries[s.now.Format(time.DateOnly)]++
			return &backup.Fault{Kind: backup.Refused, Code: "AuthorizationFailed", Message: "the role is gone", Hint: "Give it."}
		}
		return nil
	}
	for ; s.now.Before(begin.Add(6 * day)); s.now = s.now.Add(time.Minute) {
		s.runSchedule(plan)
		s.deliver()
	}
	for on, n := range tries {
		if n != 1 {
			t.Errorf("%d tries on %s", n, on)
		}
	}
	states := map[string]int{}
	for _, row := range s.storage.catalog.Rows() {
		if rest, ok := strings.CutPrefix(row.Row, "run-"); ok {
			run := s.run(row.Partition + "-" + rest)
			states[fmt.Sprint(run.Target == there, " ", run.State)]++
		}
	}
	if want := map[string]int{"false succeeded": 5, "true succeeded": 1, "true refused": 4}; !reflect.DeepEqual(states, want) {
		t.Errorf("the runs are %v, want %v", states, want)
	}
	var told []backup.Event
	for _, e := range s.storage.queue.Events() {
		if e.Type == "lifeboat.target.unprotected" {
			told = append(told, e)
		}
	}
	if len(told) != 1 || told[0].Subject != there || !strings.Contains(string(told[0].Data), "the role is gone") ||
		told[0].Time.After(begin.Add(3*day+time.Hour)) {
		t.Errorf("told: %+v", told)
	}
}

// TestScenario34PausedForAMonth: a plan is paused for a month, or everything is stopped, and then goes on: no burst, and the
// missed period names the reason. While it rests, a timer run costs as much as an idle one, and the note that it came.
func TestScenario34PausedForAMonth(t *testing.T) {
	for _, test := range []struct {
		why   string
		pause func(s *harness, plan *backup.Plan, on bool)
	}{
		{"paused by nightly in plan.yaml", func(_ *harness, plan *backup.Plan, on bool) { plan.Paused = on }},
		{"stopped by LIFEBOAT_STOPPED", func(s *harness, _ *backup.Plan, on bool) {
			s.engine.Stopped = ""
			if on {
				s.engine.Stopped = "stopped by LIFEBOAT_STOPPED"
			}
		}},
	} {
		s := newHarness(t)
		plan := nightly()
		s.runSchedule(plan)
		s.now = begin.Add(day)
		s.runSchedule(plan)
		s.finish()
		test.pause(s, &plan, true)
		s.now = begin.Add(day + 6*time.Hour)
		s.runSchedule(plan)
		s.storage.calls, s.storage.writes = 0, 0
		told := 0
		for timers := 1; s.now.Before(begin.Add(31 * day)); timers++ {
			s.now = s.now.Add(2 * time.Hour)
			r := s.runSchedule(plan)
			if len(r.Created)+len(r.Missed) != 0 {
				t.Fatalf("%s: %+v", test.why, r)
			}
			for _, h := range r.Unprotected {
				told++
				if h.Reason.Code != "PlanPaused" || !strings.Contains(h.Reason.Message, test.why) ||
					s.now.Sub(h.Deadline) > 2*time.Hour {
					t.Errorf("%s: told at %s of %+v", test.why, s.now, h)
				}
			}
			// The target is evaluated once a scheduled time and once at its deadline; that costs a read of its rows, one of the facts,
			// and a write. To publish it costs the message, and taking the event out of the outbox.
			evaluated := int(s.now.Sub(begin.Add(day)) / day)
			if told > 0 {
				evaluated++
			}
			if s.storage.calls != 3*timers+3*evaluated+2*told || s.storage.writes != timers+evaluated+2*told {
				t.Fatalf("%s: %d timer runs cost %d calls, %d of them writes", test.why, timers, s.storage.calls, s.storage.writes)
			}
		}
		if told != 1 {
			t.Errorf("%s: told %d times that the target is unprotected", test.why, told)
		}
		test.pause(s, &plan, false)
		s.now = begin.Add(31*day + 9*time.Hour)
		for range 3 {
			if r := s.runSchedule(plan); len(r.Created) != 0 {
				t.Errorf("%s: a burst of %d runs", test.why, len(r.Created))
			}
			s.now = s.now.Add(time.Minute)
		}
		s.oneMissedRuns(30, begin.Add(2*day), begin.Add(31*day), test.why)
		s.now = begin.Add(32 * day)
		if r := s.runSchedule(plan); len(r.Created) != 1 || len(r.Missed) != 0 {
			t.Errorf("%s: the next scheduled time made %+v", test.why, r)
		}
		s.finish()
		if s.rows("point-") != 2 {
			t.Errorf("%s: %d points", test.why, s.rows("point-"))
		}
	}
}

// TestScenario36TwoDeployments: two deployments run the same plan on one storage account, with clocks a minute apart, for a week:
// one backup a scheduled time.
func TestScenario36TwoDeployments(t *testing.T) {
	s := newHarness(t)
	plan := many(3)
	blue, green := s.another(30*time.Second), s.another(-30*time.Second)
	greens := 0
	green.NewID = func() string {
		greens++
		return fmt.Sprintf("green%d", greens)
	}
	for ; s.now.Before(begin.Add(7*day + time.Hour)); s.now = s.now.Add(20 * time.Minute) {
		for _, e := range []*engine.Engine{blue, green} {
			if _, err := e.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
				t.Fatal(err)
			}
		}
		// The queue is one, and its messages go to either.
		s.engine = blue
		if s.now.Minute() == 10 {
			s.engine = green
		}
		s.deliver()
	}
	s.finish()
	for scheduledTime, n := range s.scheduledTimes() {
		if n != 3 {
			t.Errorf("%d runs of %s, want one for each of 3 targets", n, scheduledTime)
		}
	}
	if len(s.provider.begun) != 21 || s.rows("point-") != 21 || len(s.missedRuns()) != 0 {
		t.Errorf("%d backups, %d points, missed periods %+v", len(s.provider.begun), s.rows("point-"), s.missedRuns())
	}
}

// bucket limits requests as Azure Resource Manager does: each takes one out, and a fixed number flows in each second. It is empty
// before it opens.
type bucket struct {
	opens           time.Time
	holds, left     float64
	perSecond       float64
	filled          time.Time
	asked, declined int
}

// take takes out the requests of a call, as far as they go.
func (b *bucket) take(now time.Time, requests int) error {
	b.left = min(b.holds, b.left+now.Sub(b.filled).Seconds()*b.perSecond)
	b.filled = now
	for range requests {
		b.asked++
		if now.Before(b.opens) || b.left < 1 {
			b.declined++
			return &backup.Fault{Kind: backup.Throttled, Code: "TooManyRequests", Message: "later", RetryAfter: 17 * time.Second}
		}
		b.left--
	}
	return nil
}

// TestScenario29StormAtMidnight: at midnight 500 targets of two subscriptions come due at once, and for twenty minutes every
// request is answered 429 or 503. Then a fixed number of requests a second get through. All backups end inside the window, and
// the requests in vain are less than a fifth of the rest.
func TestScenario29StormAtMidnight(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.engine.Concurrency = 50
	o := s.operate(8 * time.Minute)
	plan := many(500)
	plan.Schedule, plan.Window = daily(time.UTC, 0, 0), 6*time.Hour
	midnight := time.Date(2026, 1, 16, 0, 0, 0, 0, time.UTC)
	var arm [2]*bucket
	for i := range arm {
		arm[i] = &bucket{opens: midnight.Add(20 * time.Minute), holds: 200, perSecond: 10, filled: begin}
	}
	through := func(a backup.Attempt, requests int) error { return arm[len(a.Target)%2].take(s.now, requests) }
	starts, polls := s.provider.begin, s.provider.poll
	s.provider.ready = func(a backup.Attempt) error { return through(a, 4) }
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		if err := through(a, 1); err != nil {
			return backup.Operation{}, err
		}
		return starts(a)
	}
	s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
		if err := through(a, 1); err != nil {
			return backup.Operation{}, err
		}
		return polls(a)
	}
	s.runSchedule(plan)
	s.now = midnight
	s.runSchedule(plan)
	for s.now.Before(midnight.Add(plan.Window)) {
		s.now = s.now.Add(time.Second)
		if s.now.Second() == 0 {
			s.runSchedule(plan)
		}
		s.deliver()
	}
	if got := s.runStates(); got[backup.Succeeded] != 500 || len(got) != 1 {
		t.Errorf("at the end of the window: %v", got)
	}
	if o.most > 50 || len(o.began) != 500 {
		t.Errorf("%d operations, %d at once", len(o.began), o.most)
	}
	asked, declined := arm[0].asked+arm[1].asked, arm[0].declined+arm[1].declined
	factor := float64(asked) / float64(asked-declined)
	figures.Report(t, "500 targets in a storm of 20 minutes: %d requests to the services, %d of them declined: amplified by %.2f",
		asked, declined, factor)
	if factor > 1.2 || declined < 50 {
		t.Errorf("%d requests, %d declined: amplified by %.2f", asked, declined, factor)
	}
	s.gateIsOpen()
}
