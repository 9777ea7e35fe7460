package handler

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

// TestNoPlansAreAPlan checks that a new deployment, whose plan.yaml has no plan yet, is healthy: its timers run, and each answer says
// that there is no such target or plan.
func TestNoPlansAreAPlan(t *testing.T) {
	reader := config.NewReader(services.All().Known())
	d := newApp(func(c *Config) {
		c.Plans.Read = func(context.Context) ([]byte, error) { return []byte("version: 1\nplans: []\n"), nil }
		c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
			plans, _, err := reader.Parse("plan.yaml", text)
			return plans, err
		}
	})
	for range 2 {
		d.timer(t, http.StatusOK)
	}
	if w := d.call("POST", "/cleanup", envelope(t, "timer.json")); w.Code != http.StatusOK {
		t.Errorf("cleanup: %d %s", w.Code, w.Body)
	}
	if v := d.health(t, http.StatusOK); len(v.Targets) != 0 || v.Plan.Refused || v.OverallStatus == "unprotected" {
		t.Errorf("health: %+v", v)
	}
	if m := d.scrape(t); m[`{__name__="lifeboat_plan_refused"}`] != 0 {
		t.Errorf("metrics: %v", m)
	}
	for body, code := range map[string]string{`{"target":"` + target + `"}`: "UnknownTarget", `{"plan":"nightly"}`: "UnknownPlan"} {
		w := d.call("POST", "/api/backups", body, "Repeatability-Request-ID", "one")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), code) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}
