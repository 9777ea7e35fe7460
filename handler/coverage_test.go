package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

// TestCoverage: the cleanup looks once in an hour which services no plan has, and the API and the metrics tell it and ask Azure nothing.
// A subscription that the app may not look through is no zero, and a look without an answer leaves the last one.
func TestCoverage(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	var looks [][]string
	var there backup.Inventory
	var failed error
	const mine, other = "0c0ffee0-0000-4000-8000-000000000001", "0c0ffee0-0000-4000-8000-000000000002"
	targets := []string{target, strings.Replace(target, mine, other, 1)}
	uncovered := strings.Replace(target, "contoso", "forgotten", 1)
	d := newApp(func(c *Config) {
		clock := func() time.Time { return now }
		e := c.Engine
		c.Engine = &engine.Engine{
			Services: e.Services, Catalog: memory.NewCatalog(clock), Queue: e.Queue, Manifests: e.Manifests, Timings: e.Timings, NewID: e.NewID, Now: clock,
			Search: func(_ context.Context, subscriptions []string) (backup.Inventory, error) {
				looks = append(looks, subscriptions)
				return there, failed
			},
		}
		c.Plans.Catalog, c.Now = c.Engine.Catalog, clock
		c.Plans.Read = func(context.Context) ([]byte, error) { return fmt.Append(nil, targets), nil }
	})
	d.plans = func() ([]backup.Plan, error) {
		return []backup.Plan{{Name: "nightly", Targets: targets, Schedule: schedule.Schedule{Zone: time.UTC}, Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, KeepWithin: time.Hour}}}, nil
	}
	cleanup := func() {
		t.Helper()
		if w := d.call("POST", "/cleanup", `{"Data":{"timer":{}},"Metadata":{}}`); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	told := func() (v api.Coverage, lines []string) {
		t.Helper()
		w := d.call("GET", "/api/coverage", "")
		if err := json.Unmarshal(w.Body.Bytes(), &v); w.Code != 200 || err != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for line := range strings.Lines(d.call("GET", "/api/metrics", "").Body.String()) {
			if strings.HasPrefix(line, "lifeboat_uncovered_services") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return v, lines
	}
	if v, lines := told(); len(v.Subscriptions) != 2 || v.Subscriptions[0].Status != api.NotYet || v.Subscriptions[0].Uncovered != nil || len(lines) != 0 {
		t.Errorf("before the first look: %+v, %v", v, lines)
	}
	there = backup.Inventory{Subscriptions: []string{mine}, Services: []backup.Found{
		{ID: target, Type: "Microsoft.ApiManagement/service"},
		{ID: uncovered, Type: "Microsoft.ApiManagement/service", Location: "westeurope", Tier: "Premium"},
		{ID: uncovered + "-small", Type: "Microsoft.ApiManagement/service", Tier: "Consumption"},
	}}
	cleanup()
	cleanup()
	if len(looks) != 1 || strings.Join(looks[0], " ") != mine+" "+other {
		t.Errorf("looks %v", looks)
	}
	sample := func(kind string, n string) string {
		return `lifeboat_uncovered_services{subscription="` + mine + `",type="` + kind + `"} ` + n
	}
	check := func(when string, n int, services ...string) {
		t.Helper()
		v, lines := told()
		var ids []string
		for _, one := range v.Services {
			ids = append(ids, one.ID)
		}
		if len(v.Subscriptions) != 2 || v.Subscriptions[0] != (api.CoveredSubscription{ID: mine, Status: api.LookedThrough, Uncovered: v.Subscriptions[0].Uncovered}) ||
			*v.Subscriptions[0].Uncovered != n || v.Subscriptions[1] != (api.CoveredSubscription{ID: other, Status: api.CouldNotLook}) ||
			strings.Join(ids, " ") != strings.Join(services, " ") {
			t.Errorf("%s: %+v", when, v)
		}
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, sample("Microsoft.ApiManagement/service", string(rune('0'+n)))) || !strings.Contains(text, sample("Microsoft.KeyVault/managedHSMs", "0")) ||
			strings.Contains(text, other) || !strings.Contains(text, "lifeboat_uncovered_services_looked_timestamp_seconds 1774699200") {
			t.Errorf("%s: %s", when, text)
		}
	}
	check("looked", 1, uncovered, uncovered+"-small")
	if len(looks) != 1 {
		t.Error("a question asks Azure")
	}
	failed, there, now = errors.New("no answer"), backup.Inventory{}, now.Add(time.Hour)
	cleanup()
	check("no answer", 1, uncovered, uncovered+"-small")
	if v, _ := told(); len(looks) != 2 || v.Error == nil || !strings.Contains(v.Error.Message, "no answer") || !v.Tried.Equal(now) {
		t.Errorf("%v, %+v", looks, v)
	}
	targets = append(targets, uncovered)
	check("a plan has it now", 0, uncovered+"-small")
	failed, now = nil, now.Add(time.Hour)
	cleanup()
	v, lines := told()
	if len(lines) != 1 || v.Subscriptions[0].Status != api.CouldNotLook || v.Subscriptions[1].Status != api.CouldNotLook || len(v.Services) != 0 {
		t.Errorf("the app may not look any more: %+v, %v", v, lines)
	}
}
