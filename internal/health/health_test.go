package health_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/schedule"
)

const (
	day    = 24 * time.Hour
	target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.ApiManagement/service/contoso"
)

var begin = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

// nightly is a plan with a scheduled time each day at the time of begin.
func nightly() backup.Plan {
	return backup.Plan{Name: "nightly", Targets: []string{target}, Schedule: *timers(1<<2, 1<<30, 127)}
}

// azureSaid is a reason in Azure's words.
var azureSaid = backup.Reason{
	Code: "AuthorizationFailed", Message: "does not have authorization", Hint: "Give it the role.",
}

// pointOf makes the recovery point of the run of day n: the plan has a scheduled time each day at the time of begin, and a run
// takes an hour.
func pointOf(n int) backup.Point {
	created := begin.AddDate(0, 0, n).Add(time.Hour)
	return backup.Point{ID: fmt.Sprint("run", n), State: backup.Live, Target: target, Plan: "nightly", Created: created}
}

func suspectOf(n int) backup.Point {
	p := pointOf(n)
	p.State, p.Suspicion = backup.Suspect, backup.Reason{Code: "SizeSuspect", Message: "too small", Hint: "accept it"}
	return p
}

func runOf(n int, state backup.State) backup.Run {
	r := backup.Run{ID: fmt.Sprint("run", n), State: state, Target: target, Created: begin.AddDate(0, 0, n)}
	if state != backup.Succeeded {
		r.Reason = azureSaid
	}
	return r
}

func TestEvaluate(t *testing.T) {
	on := func(days int, and time.Duration) time.Time { return begin.AddDate(0, 0, days).Add(and) }
	for _, test := range []struct {
		name   string
		change func(s *health.Snapshot)
		now    time.Time
		want   health.Protection
		code   string
		words  string
	}{
		{"fresh", nil, on(0, 2*time.Hour), health.Protected, "", ""},
		{"as old as the last run took", nil, on(1, time.Hour), health.Protected, "", ""},
		{"late", nil, on(1, time.Hour+time.Second), health.Late, "NoRecoveryPoint", ""},
		{"two intervals", nil, on(2, time.Hour), health.Late, "NoRecoveryPoint", ""},
		{"more than two intervals", nil, on(2, time.Hour+time.Second), health.Unprotected, "NoRecoveryPoint", ""},
		{"failing, but protected still", func(s *health.Snapshot) {
			s.Runs = []backup.Run{runOf(1, backup.Failed), runOf(0, backup.Succeeded)}
		}, on(1, time.Minute), health.Protected, "", ""},
		{"one failed", func(s *health.Snapshot) {
			s.Runs = []backup.Run{runOf(1, backup.Failed), runOf(0, backup.Succeeded)}
		}, on(1, 5*time.Hour), health.Late, "AuthorizationFailed", "the last run ended without a recovery point: does"},
		{"two failed", func(s *health.Snapshot) {
			s.Runs = []backup.Run{runOf(2, backup.StateRefused), runOf(1, backup.Failed), runOf(0, backup.Succeeded)}
		}, on(2, 5*time.Hour), health.Unprotected, "AuthorizationFailed", "the last 2 runs ended without a recovery point"},
		{"all that were looked at failed", func(s *health.Snapshot) {
			s.Points, s.Runs = nil, nil
			for n := range 10 {
				s.Runs = append(s.Runs, runOf(19-n, backup.Failed))
			}
		}, on(20, -time.Hour), health.Unprotected, "AuthorizationFailed", "the last 10 runs, or more, ended"},
		{
			"new, first scheduled time to come", func(s *health.Snapshot) { s.Points, s.Runs = nil, nil },
			on(1, -time.Hour), health.Pending, "NeverBackedUp", "",
		},
		{
			"new, its first run failed", func(s *health.Snapshot) { s.Points, s.Runs = nil, []backup.Run{runOf(1, backup.Failed)} },
			on(1, time.Hour), health.Pending, "AuthorizationFailed", "the last run",
		},
		{
			"new, for two intervals", func(s *health.Snapshot) { s.Points, s.Runs = nil, nil },
			on(2, time.Second), health.Unprotected, "NeverBackedUp", "",
		},
		{"an edit does not make failures forgotten", func(s *health.Snapshot) {
			s.Since = on(3, 0)
			s.Points, s.Runs = nil, []backup.Run{runOf(3, backup.Failed), runOf(2, backup.Failed), runOf(1, backup.Failed)}
		}, on(3, time.Hour), health.Unprotected, "AuthorizationFailed", "the last 3 runs ended"},
		{
			"no timer run yet", func(s *health.Snapshot) { s.Points, s.Runs, s.ProcessedUntil = nil, nil, time.Time{} },
			on(0, time.Minute), health.Pending, "PlanNotSeen", "",
		},
		{
			"no timer run any more", func(s *health.Snapshot) { s.ProcessedUntil = on(0, 0) },
			on(3, 0), health.Unprotected, "ScheduleSilent", "2026-01-16T02:30:00Z",
		},
		{
			"paused", func(s *health.Snapshot) { s.Paused, s.ProcessedUntil = "paused by nightly in plan.yaml", on(0, 0) },
			on(3, 0), health.Unprotected, "PlanPaused", "it is paused by nightly in plan.yaml",
		},
		{
			"paused, protected still", func(s *health.Snapshot) { s.Paused = "paused by nightly in plan.yaml" },
			on(0, 3*time.Hour), health.Protected, "", "",
		},
		{
			"stopped", func(s *health.Snapshot) { s.Paused = "stopped by LIFEBOAT_STOPPED: moving house" },
			on(3, 0), health.Unprotected, "PlanPaused", "moving house",
		},
		{
			"refused", func(s *health.Snapshot) { s.Refused = errors.New("plan.yaml:7: nonsense") },
			on(3, 0), health.Unprotected, "PlanRefused", "plan.yaml:7: nonsense",
		},
		{
			"missed", func(s *health.Snapshot) {
				s.MissedRuns = schedule.MissedRuns{First: on(1, 0), Last: on(3, 0), Count: 3, Why: "no timer run read"}
			},
			on(3, time.Hour), health.Unprotected, "ScheduleMissed", "3 scheduled times from 2026-01-16T02:30:00Z to 2026-01-18T",
		},
		{"a missed period before the point explains nothing", func(s *health.Snapshot) {
			s.MissedRuns = schedule.MissedRuns{First: on(-3, 0), Last: on(-1, 0), Count: 3}
		}, on(3, time.Hour), health.Unprotected, "NoRecoveryPoint", ""},
		{"under way", func(s *health.Snapshot) {
			s.Runs = []backup.Run{runOf(1, backup.Waiting), runOf(0, backup.Succeeded)}
		}, on(1, 5*time.Hour), health.Late, "RunUnderWay", "run1 is waiting since 2026-01-16T02:30:00Z: does not have"},
		{"the newest is suspect", func(s *health.Snapshot) {
			s.Points = []backup.Point{suspectOf(1), pointOf(0)}
			s.Runs = []backup.Run{runOf(1, backup.Succeeded), runOf(0, backup.Succeeded)}
		}, on(1, 5*time.Hour), health.Late, "SuspectRecoveryPoint", "the newest recovery point run1 is suspect: too small"},
		{"all of two intervals are suspect", func(s *health.Snapshot) {
			s.Points = []backup.Point{suspectOf(2), suspectOf(1), pointOf(0)}
		}, on(2, 5*time.Hour), health.Unprotected, "SuspectRecoveryPoint", "run2"},
		{"suspect, but protected still", func(s *health.Snapshot) {
			s.Points = []backup.Point{suspectOf(1), pointOf(0)}
		}, on(1, time.Minute), health.Protected, "", ""},
		{"suspect before the newest live one", func(s *health.Snapshot) {
			s.Points = []backup.Point{pointOf(1), suspectOf(0)}
		}, on(2, 5*time.Hour), health.Late, "NoRecoveryPoint", ""},
		{"a failure after the suspect one says more", func(s *health.Snapshot) {
			s.Points = []backup.Point{suspectOf(1), pointOf(0)}
			s.Runs = []backup.Run{runOf(2, backup.Failed), runOf(1, backup.Succeeded), runOf(0, backup.Succeeded)}
		}, on(2, 5*time.Hour), health.Unprotected, "AuthorizationFailed", "the last run"},
		{
			"an expired point is none", func(s *health.Snapshot) { s.Points[0].State = backup.Expired },
			on(0, 2*time.Hour), health.Pending, "NeverBackedUp", "",
		},
		{"the newest by when it was written", func(s *health.Snapshot) {
			s.Points = []backup.Point{pointOf(0), pointOf(2), pointOf(1)}
		}, on(2, 2*time.Hour), health.Protected, "", ""},
		{
			"a schedule without scheduled times", func(s *health.Snapshot) { s.Plan.Schedule.Day = 0 },
			on(30, 0), health.Protected, "", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := health.Snapshot{
				Plan: nightly(), Target: target, Since: begin, ProcessedUntil: begin.AddDate(1, 0, 0),
				Points: []backup.Point{pointOf(0)}, Runs: []backup.Run{runOf(0, backup.Succeeded)},
			}
			if test.change != nil {
				test.change(&s)
			}
			h := s.Evaluate(test.now)
			if h.Status != test.want || h.Reason.Code != test.code || !strings.Contains(h.Reason.Message, test.words) {
				t.Errorf("%s %+v, want %s %s %q", h.Status, h.Reason, test.want, test.code, test.words)
			}
			if s.Paused == "" != !h.NextScheduledTime.IsZero() && s.Plan.Schedule.Day != 0 {
				t.Errorf("the next scheduled time is %s", h.NextScheduledTime)
			}
			if h.Point != nil && h.Age != test.now.Sub(h.Point.Created) {
				t.Errorf("the age is %s", h.Age)
			}
		})
	}
}

// TestEvaluateByThePlansOwnInterval: a plan for working days is not late on a Sunday, nor a leap day's in its fourth year.
func TestEvaluateByThePlansOwnInterval(t *testing.T) {
	work := nightly()
	work.Schedule.Weekday = 0b0111110
	leap := nightly()
	leap.Schedule.Month, leap.Schedule.Day = 1<<2, 1<<29
	friday := time.Date(2026, 1, 16, 3, 30, 0, 0, time.UTC)
	feb29 := time.Date(2024, 2, 29, 3, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		plan     backup.Plan
		from     time.Time
		interval time.Duration
		late     time.Time
		red      time.Time
	}{
		{"working days", work, friday, 3 * day, friday.AddDate(0, 0, 3), friday.AddDate(0, 0, 4)},
		{"by hand, before the scheduled time", work, friday.Add(-2 * time.Hour), day, friday.AddDate(0, 0, 1), friday.AddDate(0, 0, 4)},
		{"leap days", leap, feb29, 1461 * day, feb29.AddDate(4, 0, 0), feb29.AddDate(8, 0, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := health.Snapshot{
				Plan: test.plan, Target: target, ProcessedUntil: test.red.AddDate(9, 0, 0),
				Points: []backup.Point{{State: backup.Live, Created: test.from}},
			}
			for at, want := range map[time.Time]health.Protection{
				test.late.Add(-3 * time.Hour): health.Protected, test.late.Add(time.Second): health.Late,
				test.red.Add(-3 * time.Hour): health.Late, test.red.Add(time.Second): health.Unprotected,
			} {
				if h := s.Evaluate(at); h.Status != want || h.Interval != test.interval {
					t.Errorf("at %s: %s, interval %s; want %s, %s", at, h.Status, h.Interval, want, test.interval)
				}
			}
		})
	}
}

// TestAnEditHasItsFirstInterval: an edit of the schedule, a plan that gets a target, and a new plan each have a scheduled time, and the time
// until the next, before a target with an older point is unprotected. A target that was unprotected before the edit stays so.
func TestAnEditHasItsFirstInterval(t *testing.T) {
	night := nightly().Schedule
	hourly := nightly()
	hourly.Schedule.Hour = schedule.EveryHour // at half past each
	edit := begin.Add(9*time.Hour + 35*time.Minute)
	grace := begin.Add(11 * time.Hour)
	point, run := pointOf(0), runOf(0, backup.Succeeded)
	point.Plan, run.Plan = hourly.Name, hourly.Name
	moved, movedRun := point, run
	moved.Plan, movedRun.Plan = "another", "another"
	failed := runOf(0, backup.Failed)
	failed.Plan, failed.ScheduledTime = hourly.Name, begin.Add(10*time.Hour)
	byHand := failed
	byHand.State, byHand.ScheduledTime, byHand.Created, byHand.Ended = backup.Queued, time.Time{}, edit.Add(time.Minute), time.Time{}
	for _, test := range []struct {
		name  string
		s     health.Snapshot
		until time.Time // it is not unprotected until then
	}{
		{"no edit", health.Snapshot{Points: []backup.Point{point}, Runs: []backup.Run{run}}, begin.Add(3 * time.Hour)},
		{"an edit", health.Snapshot{Scheduled: edit, Before: &night, Points: []backup.Point{point}, Runs: []backup.Run{run}}, grace},
		{"an edit before any point", health.Snapshot{Since: begin, Scheduled: edit, Before: &night, Runs: []backup.Run{runOf(0, backup.Failed)}}, grace},
		{
			"an edit behind two nights without a backup",
			health.Snapshot{Scheduled: edit.Add(48 * time.Hour), Before: &night, Points: []backup.Point{point}, Runs: []backup.Run{run}},
			begin.Add(3 * time.Hour),
		},
		{"a target of another plan", health.Snapshot{Since: edit, Points: []backup.Point{moved}, Runs: []backup.Run{movedRun}}, grace},
		{
			"a target of another plan, whose first run here has failed",
			health.Snapshot{Since: edit, Points: []backup.Point{moved}, Runs: []backup.Run{failed, movedRun}},
			grace,
		},
		{
			"a target that another plan has too",
			health.Snapshot{Since: edit, Shared: true, Points: []backup.Point{moved}, Runs: []backup.Run{failed, movedRun}},
			begin.Add(3 * time.Hour),
		},
		{
			"a target that another plan has too, and a backup by hand is under way here",
			health.Snapshot{Since: edit, Shared: true, Points: []backup.Point{moved}, Runs: []backup.Run{byHand, movedRun}},
			grace,
		},
		{
			"a target of another plan, and ten runs here have failed",
			health.Snapshot{Since: edit, Points: []backup.Point{moved}, Runs: slices.Repeat([]backup.Run{failed}, health.RecentRows)},
			begin.Add(3 * time.Hour),
		},
		{
			"a target that another plan has too, of which nothing is known",
			health.Snapshot{Since: edit, Shared: true, Points: []backup.Point{moved}, Runs: slices.Repeat([]backup.Run{movedRun}, health.RecentRows)},
			begin.Add(3 * time.Hour),
		},
		{"a new plan", health.Snapshot{Since: begin, Scheduled: edit, Points: []backup.Point{moved}, Runs: []backup.Run{movedRun}}, grace},
		{
			"an edit of something else",
			health.Snapshot{Since: edit, Points: []backup.Point{point}, Runs: []backup.Run{run}},
			begin.Add(3 * time.Hour),
		},
	} {
		s, all := test.s, []backup.Plan{{Name: "another", Targets: []string{target + "-other"}}, hourly}
		if s.Shared {
			all[0].Targets, s.Shared = []string{strings.ToUpper(target)}, false
		}
		s.Plan, s.ProcessedUntil = hourly, begin.AddDate(1, 0, 0)
		s.Of(target, backup.Service{}, all)
		for at, want := range map[time.Time]bool{test.until: false, test.until.Add(time.Second): true} {
			if h := s.Evaluate(at); (h.Status == health.Unprotected) != want || !h.Deadline.Equal(test.until) {
				t.Errorf("%s: at %s it is %s, until %s", test.name, at, h.Status, h.Deadline)
			}
		}
	}
}

// TestAPointThatCannotBeRestoredProtectsNothing: its service restores no backup that is so old, however rarely the plan runs.
func TestAPointThatCannotBeRestoredProtectsNothing(t *testing.T) {
	quarterly := nightly()
	quarterly.Schedule.Day, quarterly.Schedule.Month = 1<<1, 1<<1|1<<4|1<<7|1<<10
	p := pointOf(0)
	p.Created = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		after      time.Duration
		restorable time.Duration
		want       health.Protection
		code       string
	}{
		{29 * day, 30 * day, health.Protected, ""},
		{30 * day, 30 * day, health.Protected, ""},
		{30*day + time.Second, 30 * day, health.Unprotected, "BeyondHorizon"},
		{89 * day, 30 * day, health.Unprotected, "BeyondHorizon"},
		{89 * day, 0, health.Protected, ""},
		{300 * day, 0, health.Unprotected, "NoRecoveryPoint"},
	} {
		s := health.Snapshot{
			Plan: quarterly, Target: target, Since: p.Created.AddDate(-1, 0, 0), ProcessedUntil: p.Created.AddDate(9, 0, 0),
			Points: []backup.Point{p}, Restorable: test.restorable,
		}
		if h := s.Evaluate(p.Created.Add(test.after)); h.Status != test.want || h.Reason.Code != test.code {
			t.Errorf("after %s, restorable for %s: %s, %+v", test.after, test.restorable, h.Status, h.Reason)
		}
	}
}

// TestAPointOfTheFutureHasNoAge: a storage account's clock may be ahead.
func TestAPointOfTheFutureHasNoAge(t *testing.T) {
	sight := health.Snapshot{Plan: nightly(), Target: target, Since: begin, ProcessedUntil: begin, Points: []backup.Point{pointOf(1)}}
	h := sight.Evaluate(begin.Add(day))
	if h.Age != 0 || h.Status != health.Protected || h.Point == nil {
		t.Errorf("%+v", h)
	}
}

// TestTheReasonSaysHowManyRunsFailed: it counts as many as health has read.
func TestTheReasonSaysHowManyRunsFailed(t *testing.T) {
	for failed, words := range map[int]string{1: "the last run ended", 2: "the last 2 runs ended", 9: "the last 9 runs ended", 10: "the last 10 runs, or more, ended"} {
		sight := health.Snapshot{Plan: nightly(), Target: target, Since: begin, ProcessedUntil: begin.Add(20 * day)}
		for i := range failed {
			sight.Runs = append(sight.Runs, runOf(19-i, backup.Failed))
		}
		if failed < 10 {
			sight.Runs = append(sight.Runs, runOf(0, backup.Succeeded))
		}
		if h := sight.Evaluate(begin.Add(20 * day)); !strings.HasPrefix(h.Reason.Message, words) {
			t.Errorf("%d: %+v", failed, h.Reason)
		}
	}
}

// TestTheScheduleIsSilentAfterTenMinutes: it is so if no timer run has dealt with a scheduled time for that long.
func TestTheScheduleIsSilentAfterTenMinutes(t *testing.T) {
	for after, code := range map[time.Duration]string{
		0: "NeverBackedUp", 10 * time.Minute: "NeverBackedUp", 10*time.Minute + time.Second: "ScheduleSilent", time.Hour: "ScheduleSilent",
	} {
		sight := health.Snapshot{Plan: nightly(), Target: target, Since: begin, ProcessedUntil: begin}
		if h := sight.Evaluate(begin.Add(day + after)); h.Reason.Code != code {
			t.Errorf("%s after the scheduled time: %+v", after, h.Reason)
		}
	}
}

// TestSeverity: each protection is worse than the one before it, and an unknown one is as bad as the worst.
func TestSeverity(t *testing.T) {
	for n, p := range []health.Protection{health.Protected, health.Copied, health.Pending, health.Late, health.Unprotected} {
		if p.Severity() != n {
			t.Errorf("%s has the severity %d, want %d", p, p.Severity(), n)
		}
	}
	for _, p := range []health.Protection{"", "of a newer version"} {
		if p.Severity() != health.Unprotected.Severity() {
			t.Errorf("%q has the severity %d", p, p.Severity())
		}
	}
}

// TestANewestCopyIsNoProtection: a copy is as old as a backup may be, and called by its own name.
func TestANewestCopyIsNoProtection(t *testing.T) {
	p := pointOf(0)
	p.CopyOnly = true
	for after, want := range map[time.Duration]struct {
		status health.Protection
		code   string
	}{
		0: {health.Copied, "CopyOnly"}, day: {health.Copied, "CopyOnly"}, day + time.Second: {health.Late, "NoRecoveryPoint"},
		2 * day: {health.Late, "NoRecoveryPoint"}, 2*day + time.Second: {health.Unprotected, "NoRecoveryPoint"},
		5000 * day: {health.Unprotected, "NoRecoveryPoint"},
	} {
		s := health.Snapshot{Plan: nightly(), Target: target, Since: begin, ProcessedUntil: begin.AddDate(20, 0, 0), Points: []backup.Point{p}}
		if h := s.Evaluate(p.Created.Add(after)); h.Status != want.status || h.Reason.Code != want.code {
			t.Errorf("%s old: %s %+v, want %s %s", after, h.Status, h.Reason, want.status, want.code)
		}
	}
}

// TestRowsOfASnapshot: a restore is no backup, and a row that cannot be read is told, but stops no other row.
func TestRowsOfASnapshot(t *testing.T) {
	const id = "0123456789abcdef-0123456789-0123456789ab"
	row := func(name, body string) backup.Row {
		return backup.Row{Key: backup.Key{Partition: id[:16], Row: name + "-" + id[17:]}, ETag: "etag", Body: []byte(body)}
	}
	for _, test := range []struct {
		name         string
		runs, points []string
		seenRuns     int
		states       string // the points have these
		unread       string // the row that the reason names
	}{
		{"none", nil, nil, 0, "", ""},
		{"a backup", []string{`{"ID":"a"}`}, nil, 1, "", ""},
		{"a restore among backups", []string{`{"ID":"a"}`, `{"ID":"b","Restore":{}}`, `{"ID":"c"}`}, nil, 2, "", ""},
		{"a run that cannot be read", []string{`{"Created":"never"}`, `{"ID":"c"}`}, nil, 1, "", "run-"},
		{"points", nil, []string{`{"State":"live"}`, `{"State":"suspect"}`}, 0, "live suspect", ""},
		{"a point that cannot be read", nil, []string{`{"State":"live"}`, `{"Created":"never"}`, `{"State":"live"}`}, 0, "live unreadable live", "point-"},
		{"the first that cannot be read is told", []string{`{"Created":"never"}`}, []string{`{"Created":"never"}`}, 0, "unreadable", "run-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := health.Snapshot{Plan: nightly(), Target: target}
			for _, body := range test.runs {
				s.AddRun(row("run", body))
			}
			var states []string
			for i, body := range test.points {
				s.AddPoint(row("point", body))
				states = append(states, string(s.Points[i].State))
				if p := s.Points[i]; p.State == backup.Unreadable && (p.ID != id || p.Target != target || p.Reason.Code != "RowUnreadable") {
					t.Errorf("%+v", p)
				}
			}
			if len(s.Runs) != test.seenRuns || strings.Join(states, " ") != test.states {
				t.Errorf("%d runs, points %q", len(s.Runs), states)
			}
			if (s.Unread == nil) != (test.unread == "") || s.Unread != nil && !strings.Contains(s.Unread.Error(), "/"+test.unread) {
				t.Errorf("unread: %v", s.Unread)
			}
		})
	}
}

// TestAlertKey: an alert has one name, however the target is spelled and however bad it is; another plan, target or newest
// point makes another alert.
func TestAlertKey(t *testing.T) {
	first, second := pointOf(0), pointOf(1)
	of := func(plan, target string, p *backup.Point) health.TargetHealth {
		h := health.TargetHealth{Plan: plan, Target: target}
		if p != nil {
			h.Point = &health.Verified{ID: p.ID, Created: p.Created}
		}
		return h
	}
	seen := map[string]string{}
	for name, h := range map[string]health.TargetHealth{
		"no point": of("nightly", target, nil), "a point": of("nightly", target, &first), "a newer point": of("nightly", target, &second),
		"another plan": of("hourly", target, nil), "another target": of("nightly", target+"-two", nil), "nothing": {},
	} {
		key := h.AlertKey()
		if other, ok := seen[key]; ok || len(key) != 16 {
			t.Errorf("%s has the key %q, as has %s", name, key, other)
		}
		seen[key] = name
		h.Target, h.Status, h.Age, h.Deadline = strings.ToUpper(h.Target), health.Unprotected, day, begin
		if again := h.AlertKey(); again != key {
			t.Errorf("%s: in another case %s, and not %s", name, again, key)
		}
	}
}

// TestRevHorizonAndHealth: a point that the service restores no more protects nothing, however long the plan's interval is.
func TestRevHorizonAndHealth(t *testing.T) {
	quarterly := nightly()
	quarterly.Schedule.Day, quarterly.Schedule.Month = 1<<1, 1<<1|1<<4|1<<7|1<<10
	p := pointOf(0)
	p.Created = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	s := health.Snapshot{
		Plan: quarterly, Target: target, Since: p.Created.AddDate(-1, 0, 0), ProcessedUntil: p.Created.AddDate(9, 0, 0),
		Points: []backup.Point{p}, Restorable: 30 * day,
	}
	if h := s.Evaluate(p.Created.AddDate(0, 0, 89)); h.Status != health.Unprotected {
		t.Errorf("89 days later: %s", h.Status)
	}
}

// TestRevEditAlarms: a second after a nightly plan has become hourly, before its first scheduled time, its targets are not unprotected.
func TestRevEditAlarms(t *testing.T) {
	night, hourly := nightly().Schedule, nightly()
	hourly.Schedule.Hour = schedule.EveryHour
	noon := time.Date(2026, 1, 15, 12, 5, 0, 0, time.UTC)
	p := pointOf(0)
	p.Created, p.AsOf, p.Plan = noon.Add(-9*time.Hour), time.Time{}, hourly.Name
	s := health.Snapshot{
		Plan: hourly, Target: target, Since: noon, Scheduled: noon, Before: &night, ProcessedUntil: noon, Points: []backup.Point{p},
	}
	if h := s.Evaluate(noon.Add(time.Second)); h.Status == health.Unprotected {
		t.Errorf("%s, deadline %s", h.Status, h.Deadline)
	}
}

// TestFactsSayAllThatHealthGoesBy: the outcome is the same by the facts, as they are written and read, as by the rows themselves.
func TestFactsSayAllThatHealthGoesBy(t *testing.T) {
	other := pointOf(1)
	other.Plan = "other"
	for name, s := range map[string]health.Snapshot{
		"nothing":           {},
		"protected":         {Points: []backup.Point{pointOf(2), pointOf(1), pointOf(0)}, Runs: []backup.Run{runOf(2, backup.Succeeded), runOf(1, backup.Succeeded)}},
		"failed":            {Points: []backup.Point{pointOf(0)}, Runs: []backup.Run{runOf(3, backup.Failed), runOf(2, backup.Failed), runOf(0, backup.Succeeded)}},
		"suspect":           {Points: []backup.Point{suspectOf(2), pointOf(0)}, Runs: []backup.Run{runOf(2, backup.Succeeded), runOf(0, backup.Succeeded)}},
		"under way":         {Points: []backup.Point{pointOf(0)}, Runs: []backup.Run{runOf(2, backup.Waiting), runOf(0, backup.Succeeded)}},
		"of another plan":   {Points: []backup.Point{other}, Runs: []backup.Run{runOf(2, backup.Failed)}},
		"a broken row":      {Points: []backup.Point{pointOf(2)}, Unread: backup.ErrUnreadable},
		"never but refused": {Runs: []backup.Run{runOf(1, backup.StateRefused)}},
	} {
		s.Plan, s.Target, s.Since, s.ProcessedUntil = nightly(), target, begin, begin.AddDate(1, 0, 0)
		row := backup.Row{Key: s.Facts().Key(), Body: backup.Encode(s.Facts())}
		facts, err := backup.Decode[health.Facts](row)
		if err != nil {
			t.Fatal(err)
		}
		by := s
		by.Know(facts)
		for hours := range 100 {
			now := begin.Add(time.Duration(hours) * time.Hour)
			want, got := s.Evaluate(now), by.Evaluate(now)
			if want.Status != got.Status || want.Reason.Code != got.Reason.Code || !want.Deadline.Equal(got.Deadline) || want.Age != got.Age ||
				want.Interval != got.Interval || want.Blank != got.Blank || want.AlertKey() != got.AlertKey() {
				t.Fatalf("%s, after %d hours: %+v, by the rows %+v", name, hours, got, want)
			}
		}
	}
}
