package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

// azureSaid is a reason in Azure's words.
var azureSaid = backup.Reason{
	Code: "AuthorizationFailed", Message: "does not have authorization", Hint: "Give it the role.",
}

// pointOf makes the recovery point of the run of day n: the plan has a slot each day at the time of begin, and a run takes an
// hour.
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

func TestJudge(t *testing.T) {
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
			"new, first slot to come", func(s *health.Snapshot) { s.Points, s.Runs = nil, nil },
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
			"no tick yet", func(s *health.Snapshot) { s.Points, s.Runs, s.Dealt = nil, nil, time.Time{} },
			on(0, time.Minute), health.Pending, "PlanNotSeen", "",
		},
		{
			"no tick any more", func(s *health.Snapshot) { s.Dealt = on(0, 0) },
			on(3, 0), health.Unprotected, "ScheduleSilent", "2026-01-16T02:30:00Z",
		},
		{
			"paused", func(s *health.Snapshot) { s.Halted, s.Dealt = "paused by nightly in plan.yaml", on(0, 0) },
			on(3, 0), health.Unprotected, "PlanHalted", "it is paused by nightly in plan.yaml",
		},
		{
			"paused, protected still", func(s *health.Snapshot) { s.Halted = "paused by nightly in plan.yaml" },
			on(0, 3*time.Hour), health.Protected, "", "",
		},
		{
			"stopped", func(s *health.Snapshot) { s.Halted = "stopped by LIFEBOAT_STOPPED: moving house" },
			on(3, 0), health.Unprotected, "PlanHalted", "moving house",
		},
		{
			"refused", func(s *health.Snapshot) { s.Refused = errors.New("plan.yaml:7: nonsense") },
			on(3, 0), health.Unprotected, "PlanRefused", "plan.yaml:7: nonsense",
		},
		{
			"missed", func(s *health.Snapshot) {
				s.Gap = schedule.Gap{First: on(1, 0), Last: on(3, 0), Count: 3, Why: "nobody looked"}
			},
			on(3, time.Hour), health.Unprotected, "SlotsMissed", "3 slots from 2026-01-16T02:30:00Z to 2026-01-18T",
		},
		{"a gap before the point explains nothing", func(s *health.Snapshot) {
			s.Gap = schedule.Gap{First: on(-3, 0), Last: on(-1, 0), Count: 3}
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
			"a schedule without slots", func(s *health.Snapshot) { s.Plan.Schedule.Day = 0 },
			on(30, 0), health.Protected, "", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := health.Snapshot{
				Plan: nightly(), Target: target, Since: begin, Dealt: begin.AddDate(1, 0, 0),
				Points: []backup.Point{pointOf(0)}, Runs: []backup.Run{runOf(0, backup.Succeeded)},
			}
			if test.change != nil {
				test.change(&s)
			}
			h := s.Evaluate(test.now)
			if h.Status != test.want || h.Reason.Code != test.code || !strings.Contains(h.Reason.Message, test.words) {
				t.Errorf("%s %+v, want %s %s %q", h.Status, h.Reason, test.want, test.code, test.words)
			}
			if s.Halted == "" != !h.NextSlot.IsZero() && s.Plan.Schedule.Day != 0 {
				t.Errorf("the next slot is %s", h.NextSlot)
			}
			if h.Point != nil && h.Age != test.now.Sub(h.Point.Created) {
				t.Errorf("the age is %s", h.Age)
			}
		})
	}
}

// TestJudgeByThePlansOwnInterval: a plan for working days is not late on a Sunday, nor a leap day's in its fourth year.
func TestJudgeByThePlansOwnInterval(t *testing.T) {
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
		{"by hand, before the slot", work, friday.Add(-2 * time.Hour), day, friday.AddDate(0, 0, 1), friday.AddDate(0, 0, 4)},
		{"leap days", leap, feb29, 1461 * day, feb29.AddDate(4, 0, 0), feb29.AddDate(8, 0, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := health.Snapshot{
				Plan: test.plan, Target: target, Dealt: test.red.AddDate(9, 0, 0),
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

// counting counts the requests to a catalog, from any goroutine, and fails those to one partition.
type counting struct {
	*memory.Catalog
	fail string

	mu      sync.Mutex
	n, most int // requests, and the most rows of a target that one asked for
}

func (c *counting) List(ctx context.Context, p, from, to string, limit int) ([]backup.Row, time.Time, error) {
	c.mu.Lock()
	c.n++
	if p != "schedule" {
		c.most = max(c.most, limit)
	}
	c.mu.Unlock()
	if p == c.fail {
		return nil, time.Time{}, errBroken
	}
	return c.Catalog.List(ctx, p, from, to, limit)
}

// TestHealth goes through real ticks: a plan that begins, is backed up, loses a target, misses slots, and is paused.
func TestHealth(t *testing.T) {
	s := newStage(t)
	plan := nightly()
	plan.Targets = []string{target, target + "-two"}
	catalog := &counting{Catalog: s.storage.catalog}
	reader := *s.engine
	reader.Catalog = catalog
	look := func(those ...backup.Plan) []health.TargetHealth {
		t.Helper()
		catalog.n = 0
		health, clockwork, err := reader.Health(t.Context(), plans.Active{Plans: those})
		if err != nil || !clockwork.Now.Equal(s.now) {
			t.Fatalf("at %s: %v", clockwork.Now, err)
		}
		targets := 0
		for _, p := range those {
			targets += len(p.Targets)
		}
		if catalog.n != 1+2*targets || len(health) != targets {
			t.Errorf("%d requests for %d targets", catalog.n, len(health))
		}
		return health
	}
	if h := look(plan); h[0].Status != health.Pending || h[0].Reason.Code != "PlanNotSeen" {
		t.Errorf("before the first tick: %+v", h)
	}
	s.tick(plan)
	if h := look(plan); h[1].Status != health.Pending || h[1].Reason.Code != "NeverBackedUp" ||
		h[1].Target != target+"-two" {
		t.Errorf("before the first slot: %+v", h)
	}
	s.now = begin.Add(day)
	s.tick(plan)
	underWay := look(plan)
	if h := underWay; h[0].Status != health.Pending || h[0].Reason.Code != "RunUnderWay" || h[1].LastRun == nil {
		t.Fatalf("while the first runs are under way: %+v", h)
	}
	// A target that the plan no longer has does not count.
	one := plan
	one.Targets = plan.Targets[:1]
	if h := look(one); len(h) != 1 || h[0].Target != target {
		t.Errorf("without the second target: %+v", h)
	}
	one.Paused = true
	if h := look(one); h[0].Reason.Code != "PlanHalted" || !h[0].NextSlot.IsZero() {
		t.Errorf("paused: %+v", h)
	}
	if catalog.most > 20 {
		t.Errorf("read %d rows at once: the history must not be read", catalog.most)
	}
	// If two fail, the first may keep the second from being asked: one of them fails.
	catalog.fail = underWay[1].LastRun.ID[:16]
	_, _, err := reader.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), target+"-two") {
		t.Errorf("storage that fails: %v", err)
	}
}

// TestHealthRemembersTheGap: it stays in the watermark after its event was sent.
func TestHealthRemembersTheGap(t *testing.T) {
	s := newStage(t)
	plan := nightly()
	plan.Window = time.Hour
	s.tick(plan)
	s.now = begin.Add(5*day + 2*time.Hour)
	s.tick(plan)
	s.tick(plan)
	health, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
	if err != nil || health[0].Reason.Code != "SlotsMissed" || !strings.Contains(health[0].Reason.Message, "of 5 slots") {
		t.Errorf("%+v, %v", health, err)
	}
}

// TestHealthByTheBook: a plan is pending from the time at which its text came into force; a tick finds that.
func TestHealthByTheBook(t *testing.T) {
	d := newDesk(t, "good one")
	look := func() health.TargetHealth {
		t.Helper()
		force, err := d.book.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		health, _, err := d.engine.Health(t.Context(), force)
		if err != nil {
			t.Fatal(err)
		}
		return health[0]
	}
	if _, _, err := d.settle(); err != nil {
		t.Fatal(err)
	}
	d.now = begin.Add(2*day + time.Second)
	if h := look(); h.Status != health.Unprotected || h.Reason.Code != "ScheduleSilent" {
		t.Errorf("two intervals later: %+v", h)
	}
	d.text = []byte("broken")
	if h := look(); h.Status != health.Unprotected {
		t.Errorf("a broken text does not begin anew: %+v", h)
	}
	d.text = []byte("good two")
	if h := look(); h.Status != health.Pending || h.Reason.Code != "PlanNotSeen" {
		t.Errorf("a text that no tick has seen: %+v", h)
	}
}
