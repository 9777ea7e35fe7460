package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/testing/memory"
)

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

// TestHealth goes through real timer runs: a plan that begins, is backed up, loses a target, misses scheduled times, and is
// paused.
func TestHealth(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.Targets = []string{target, target + "-two"}
	catalog := &counting{Catalog: s.storage.catalog}
	reader := *s.engine
	reader.Catalog = catalog
	look := func(those ...backup.Plan) []health.TargetHealth {
		t.Helper()
		catalog.n = 0
		health, timers, err := reader.Health(t.Context(), plans.Active{Plans: those})
		if err != nil || !timers.Now.Equal(s.now) {
			t.Fatalf("at %s: %v", timers.Now, err)
		}
		return health
	}
	if h := look(plan); h[0].Status != health.Pending || h[0].Reason.Code != "PlanNotSeen" {
		t.Errorf("before the first timer run: %+v", h)
	}
	s.runSchedule(plan)
	if h := look(plan); h[1].Status != health.Pending || h[1].Reason.Code != "NeverBackedUp" ||
		h[1].Target != target+"-two" {
		t.Errorf("before the first scheduled time: %+v", h)
	}
	s.now = begin.Add(day)
	s.runSchedule(plan)
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
	if h := look(one); h[0].Reason.Code != "PlanPaused" || !h[0].NextScheduledTime.IsZero() {
		t.Errorf("paused: %+v", h)
	}
	if catalog.most > 20 {
		t.Errorf("read %d rows at once: the history must not be read", catalog.most)
	}
}

// TestOneUnreadTargetHidesNoOther: a target whose rows cannot be read, or for which storage does not answer, is shown as unprotected with
// the reason, and the others as they are.
func TestOneUnreadTargetHidesNoOther(t *testing.T) {
	plan := many(3)
	s := rotten(t, plan)
	catalog := &counting{Catalog: s.storage.catalog, fail: backup.Partition(target + "-1")}
	reader := *s.engine
	reader.Catalog = catalog
	look := func() []health.TargetHealth {
		t.Helper()
		targets, _, err := reader.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
		if err != nil || len(targets) != 3 {
			t.Fatal(err)
		}
		for i := range targets {
			if i != 1 && targets[i].Status == health.Unprotected {
				t.Errorf("another one: %+v", targets[i])
			}
		}
		return targets
	}
	if _, err := s.storage.catalog.Apply(t.Context(), health.Mark(target+"-1")); err != nil {
		t.Fatal(err)
	}
	if h := look()[1]; h.Status != health.Unprotected || h.Reason.Code != "TargetUnread" || !errors.Is(h.Err, errBroken) {
		t.Errorf("storage that does not answer: %+v", h)
	}
	catalog.fail = ""
	if h := look()[1]; h.Status == health.Unprotected {
		t.Errorf("storage answers again: %+v", h)
	}
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "point-") && strings.Contains(string(row.Body), target+"-1") {
			w := backup.Write{Op: backup.Put, Key: row.Key, Body: []byte(`{"Created":"never"}`)}
			if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
	}
	if h := look()[1]; h.Status != health.Unprotected || h.Reason.Code != "RowUnreadable" {
		t.Errorf("looked at: %+v", h)
	}
	_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan}) // it writes the facts, and deletes the mark
	catalog.fail = backup.Partition(target + "-1")
	if h := look()[1]; h.Status != health.Unprotected || h.Reason.Code != "RowUnreadable" {
		t.Errorf("by its facts: %+v", h)
	}
}

// TestHealthReadsPages: health costs a request for the rows of the timer run, and one for each 1,000 targets.
func TestHealthReadsPages(t *testing.T) {
	for n, pages := range map[int]int{17: 1, 2000: 3} { // the last page is empty
		s, plan := newHarness(t), many(n)
		s.runSchedule(plan)
		catalog := &counting{Catalog: s.storage.catalog}
		reader := *s.engine
		reader.Catalog = catalog
		targets, _, err := reader.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
		if err != nil || len(targets) != n || catalog.n != 1+pages {
			t.Errorf("%d targets of %d cost %d requests, want %d: %v", len(targets), n, catalog.n, 1+pages, err)
		}
	}
}

// TestHealthRemembersTheMissedPeriod: it stays in the checkpoint after its event was sent.
func TestHealthRemembersTheMissedPeriod(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.Window = time.Hour
	s.runSchedule(plan)
	s.now = begin.Add(5*day + 2*time.Hour)
	s.runSchedule(plan)
	s.runSchedule(plan)
	health, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
	if err != nil || health[0].Reason.Code != "ScheduleMissed" || !strings.Contains(health[0].Reason.Message, "of 5 scheduled times") {
		t.Errorf("%+v, %v", health, err)
	}
}

// bookOf returns a store on the stage's catalog that reads the text: "good <name>" is one plan of that name.
func (s *harness) bookOf(text *string) *plans.Store {
	return &plans.Store{
		Catalog: s.storage,
		App:     s.engine.App,
		Read:    func(context.Context) ([]byte, error) { return []byte(*text), nil },
		Parse: func(text []byte) ([]backup.Plan, error) {
			p := nightly()
			var ok bool
			if p.Name, ok = strings.CutPrefix(string(text), "good "); !ok {
				return nil, errors.New("plan.yaml:1: broken")
			}
			return []backup.Plan{p}, nil
		},
	}
}

// settle makes one timer run of the schedule with the active plans, as the handler does.
func (s *harness) settle(book *plans.Store) engine.ScheduleReport {
	s.t.Helper()
	active, err := book.Reconcile(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	report := s.runSchedule(active.Plans...)
	book.Observe(report.ActivePlan)
	return report
}

// TestHealthByTheBook: a plan is pending from the time at which its text became active; a timer run finds that.
func TestHealthByTheBook(t *testing.T) {
	s, text := newHarness(t), "good one"
	book := s.bookOf(&text)
	look := func() health.TargetHealth {
		t.Helper()
		active, err := book.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		health, _, err := s.engine.Health(t.Context(), active)
		if err != nil {
			t.Fatal(err)
		}
		return health[0]
	}
	s.settle(book)
	s.now = begin.Add(2*day + time.Second)
	if h := look(); h.Status != health.Unprotected || h.Reason.Code != "ScheduleSilent" {
		t.Errorf("two intervals later: %+v", h)
	}
	text = "broken"
	if h := look(); h.Status != health.Unprotected {
		t.Errorf("a broken text does not begin anew: %+v", h)
	}
	text = "good two"
	if h := look(); h.Status != health.Pending || h.Reason.Code != "PlanNotSeen" {
		t.Errorf("a text that no timer run has seen: %+v", h)
	}
}
