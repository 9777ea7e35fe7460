package handler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// TestTargets checks that the list has each target once a plan, with the services that it may be restored into, and that it is
// refused with the mistakes of plan.yaml while no plan is active.
func TestTargets(t *testing.T) {
	d := newApp(nil)
	standby := target + "-standby"
	d.plans = func() ([]backup.Plan, error) {
		zone := schedule.Schedule{Zone: time.UTC}
		return []backup.Plan{
			{Name: "nightly", Targets: []string{target, target + "-b"}, Schedule: zone, Restore: backup.RestorePolicy{Into: []string{backup.Itself, standby}}},
			{Name: "weekly", Targets: []string{target}, Schedule: zone},
		}, nil
	}
	want := `{"value":[{"target":"` + target + `","plan":"nightly","restoreInto":["` + target + `","` + standby + `"]},` +
		`{"target":"` + target + `-b","plan":"nightly","restoreInto":["` + target + `-b","` + standby + `"]},` +
		`{"target":"` + target + `","plan":"weekly"}]}`
	if w := d.call("GET", "/api/targets", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	none := newApp(nil)
	none.plans = func() ([]backup.Plan, error) { return nil, nil }
	if w := none.call("GET", "/api/targets", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"value":[]}` {
		t.Errorf("no plans: %d %s", w.Code, w.Body)
	}
	broken := newApp(nil)
	broken.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:3: nonsense") }
	if w := broken.call("GET", "/api/targets", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "PlanInvalid") {
		t.Errorf("a broken plan: %d %s", w.Code, w.Body)
	}
}
