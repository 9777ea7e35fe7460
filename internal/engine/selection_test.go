package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
)

// TestSelectDies: whatever dies in a look, or behind its effect, the next one finds what the plans select, and what counts can always be read.
func TestSelectDies(t *testing.T) {
	resource, err := backup.ParseResource(target)
	if err != nil {
		t.Fatal(err)
	}
	subscription := resource.Subscription
	plan := nightly()
	plan.Targets, plan.Select = nil, &backup.Select{Subscriptions: []string{subscription}}
	for k, made := 1, false; ; k, made = k+map[bool]int{true: 1}[made], !made {
		s := newHarness(t)
		found := 4
		s.engine.Search = func(context.Context, []string) (backup.Inventory, error) {
			there := backup.Inventory{Subscriptions: []string{subscription}}
			for range found {
				there.Services = append(there.Services, backup.Found{ID: target + strings.Repeat("-x", len(there.Services)), Type: "Microsoft.ApiManagement/service", Tier: "Premium"})
			}
			return there, nil
		}
		look := func() error {
			t.Helper()
			s.now = s.now.Add(61 * time.Minute)
			row, _, err := s.engine.Catalog.Get(t.Context(), backup.SelectionKey)
			if err != nil && !errors.Is(err, backup.ErrNotFound) {
				return err
			}
			_, picks, _, err := s.engine.Selection(t.Context())
			if err != nil {
				return err
			}
			active := plan
			for _, one := range picks {
				active.Targets = one.Targets
			}
			return s.engine.Select(t.Context(), []backup.Plan{plan}, []backup.Plan{active}, row)
		}
		counts := func(want int) (is plans.Selection) {
			t.Helper()
			is, picks, _, err := s.engine.Selection(t.Context())
			if err != nil || len(picks) != 1 || len(picks[0].Targets) != want {
				t.Fatalf("with a death at call %d: %+v, %v, want %d", k, picks, err, want)
			}
			return is
		}
		if err := look(); err != nil {
			t.Fatal(err)
		}
		counts(4)
		found = 1
		s.storage.failAt, s.storage.made = s.storage.calls+k, made
		failed := look() != nil
		s.storage.failAt = 0
		counts(4)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		waiting := counts(4).Waiting
		if waiting == "" {
			t.Fatalf("with a death at call %d nothing waits", k)
		}
		s.storage.failAt, s.storage.made = s.storage.calls+k, made
		again := s.engine.AcceptSelection(t.Context(), waiting) != nil
		s.storage.failAt = 0
		if err := s.engine.AcceptSelection(t.Context(), waiting); err != nil {
			t.Fatalf("with a death at call %d: %v", k, err)
		}
		counts(1)
		if !failed && !again {
			if k < 3 {
				t.Errorf("only %d deaths", k)
			}
			return
		}
	}
}
