package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/testing/memory"
)

// TestASurveyDiesOrComesTwice checks that a look that died before its row was saved is made again, that two looks at once leave one
// answer and no error, and that an invocation that is over leaves what was known.
func TestASurveyDiesOrComesTwice(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	const subscription = "0c0ffee0-0000-4000-8000-000000000001"
	plans := []backup.Plan{{Targets: []string{"/subscriptions/" + subscription + "/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"}}}
	looks, looked := 0, func() {}
	e := &engine.Engine{Catalog: memory.NewCatalog(clock), Now: clock, Search: func(ctx context.Context, _ []string) (backup.Inventory, error) {
		looks++
		looked()
		return backup.Inventory{Subscriptions: []string{subscription}}, ctx.Err()
	}}
	row := func() health.Coverage {
		t.Helper()
		c, err := e.Coverage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// The process dies between the look and the row.
	ctx, die := context.WithCancel(t.Context())
	looked = die
	if err := e.Survey(ctx, row(), plans, now); !errors.Is(err, context.Canceled) || !row().Tried.IsZero() {
		t.Errorf("%v, %+v", err, row())
	}
	looked = func() {}
	if c := row(); !c.Due(now, now) {
		t.Error("the next cleanup does not look again")
	}
	// Two cleanups have read the same row.
	first := row()
	for i := range 2 {
		if err := e.Survey(t.Context(), first, plans, now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Error(err)
		}
	}
	if c := row(); looks != 3 || !c.At.Equal(now) || len(c.Looked) != 1 || c.Due(now.Add(time.Minute), now.Add(time.Minute)) {
		t.Errorf("%d looks, %+v", looks, c)
	}
}
