package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// everyOther is the schedule of a timer that fires each two seconds.
const everyOther = "*/2 * * * * *"

// slot starts a slot of the app, on the same storage account, with an identity of its own.
func (a *app) slot(t *testing.T, plan string, settings map[string]string) *app {
	t.Helper()
	c := a.config
	c.Name, c.Plan, c.Log = a.config.Name+"-staging", plan, nil
	c.Settings = map[string]string{"WEBSITE_SITE_NAME": a.config.Name, "WEBSITE_SLOT_NAME": "staging"}
	for k, v := range settings {
		c.Settings[k] = v
	}
	return newApp(t, c)
}

// callsOfServices returns the requests of the app's program that are not about storage, from the n-th one of all on.
func (a *app) callsOfServices(n int) (calls []string) {
	for _, c := range world.Sim.Calls()[n:] {
		if c.ObjectID == a.ObjectID && strings.HasPrefix(c.Host, "management.") {
			calls = append(calls, c.Method+" "+c.Path)
		}
	}
	return calls
}

// refusedApps returns the IDs of the events about second apps.
func (a *app) refusedApps(ctx context.Context, t *testing.T, ids []string) []string {
	t.Helper()
	for _, text := range a.events(ctx, t) {
		var e struct{ ID, Type string }
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "lifeboat.app.refused" {
			continue
		}
		if !strings.Contains(text, `"app":"`+a.config.Name+`/staging"`) || !strings.Contains(text, `"owner":"`+a.config.Name+`"`) {
			t.Errorf("told %s", text)
		}
		if !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// TestTwoApps: a slot has production's storage account, is stopped, has no roles on the services and another plan.yaml. Production
// makes its backups all the same, and the slot does nothing. Both say so, with both names.
func TestTwoApps(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 6)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...), ScheduleTimer: everyOther, CleanupTimer: everyOther})
	if err := a.Invoke(ctx, "schedule"); err != nil { // it owns the catalog
		t.Fatal(err)
	}
	active, _, err := a.catalog.Get(ctx, backup.ActivePlanKey)
	if err != nil {
		t.Fatal(err)
	}
	b := a.slot(t, planFor("0 0 28 2 *", "1d", services[0]), map[string]string{"LIFEBOAT_STOPPED": "staging"})
	world.Sim.Unassign(b.ObjectID, stack.Scope)
	begun := len(world.Sim.Calls())

	production, staging := a.config.Name, a.config.Name+"/staging"
	both := func(who *app) {
		t.Helper()
		who.healthUntil(ctx, "503 for a second app", func(status int, _ health) bool { return status == 503 })
		if _, _, text := who.health(ctx); !strings.Contains(text, "the app "+production+" owns") || !strings.Contains(text, staging) {
			t.Errorf("health says %s", text)
		}
	}
	both(a)
	both(b)
	var ids []string
	for i, service := range services {
		id, err := a.backup(ctx, service, "backup"+itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		response, text, err := b.request(ctx, "POST", "/api/backups", `{"target": "`+stack.Service(service)+`"}`, nil)
		if err != nil || response.StatusCode != http.StatusConflict || !strings.Contains(string(text), "lifeboat takeover "+production) {
			t.Errorf("the slot answers %v %s", err, text)
		}
	}
	for i, id := range ids {
		status, err := a.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded || status.Run.App != production || len(posts(services[i])) != 1 {
			t.Errorf("%s of %q, %v: %+v; %d requests", status.Run.State, status.Run.App, err, status.Run.Reason, len(posts(services[i])))
		}
	}
	if calls := b.callsOfServices(begun); len(calls) != 0 {
		t.Errorf("the slot called %q", calls)
	}
	if now, _, err := a.catalog.Get(ctx, backup.ActivePlanKey); err != nil || now.ETag != active.ETag {
		t.Errorf("the active plan is now %s, %v", now.Body, err)
	}
	if c, err := row[checkpoint](ctx, a, checkpointKey); err != nil || c.Paused != "" {
		t.Errorf("the checkpoint is %+v, %v", c, err)
	}
	if told := a.refusedApps(ctx, t, nil); len(told) != 1 {
		t.Errorf("told %q", told)
	}
	if n := a.count(ctx, "execute-poison"); n != 0 {
		t.Errorf("%d messages are poisoned", n)
	}
}

// TestTwoAppsTakeover: a slot takes the catalog over by the command while production's backups are under way. The slot brings each of
// them to its end by its one operation, and production makes at most the one step of each that it was making.
func TestTwoAppsTakeover(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 4)
	plan := planFor(yearly, "1d", services...)
	a := newApp(t, stack.AppConfig{Plan: plan, ScheduleTimer: everyOther})
	if err := a.Invoke(ctx, "schedule"); err != nil { // it owns the catalog
		t.Fatal(err)
	}
	b := a.slot(t, plan, nil)
	var ids []string
	for i, service := range services {
		tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 40*time.Minute, 40*time.Minute })
		id, err := a.backup(ctx, service, "backup"+itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, service := range services {
		for len(posts(service)) == 0 && ctx.Err() == nil {
			pause(ctx)
		}
	}
	if code, out, errs := command(ctx, t, b.URL(), b.Key("api"), "takeover", "contoso", "--yes"); code != 1 || !strings.Contains(errs, a.config.Name+" does") {
		t.Errorf("the wrong name: %d %s%s", code, out, errs)
	}
	for range 2 {
		code, out, errs := command(ctx, t, b.URL(), b.Key("api"), "takeover", a.config.Name, "--yes")
		if code != 0 || !strings.HasPrefix(out, a.config.Name+"/staging works in place of "+a.config.Name+" since ") {
			t.Fatalf("%d %s%s", code, out, errs)
		}
	}
	taken := len(world.Sim.Calls())
	for i, id := range ids {
		status, err := a.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded || status.Run.App != a.config.Name+"/staging" || len(posts(services[i])) != 1 {
			t.Errorf("%s of %q, %v: %+v; %d requests", status.Run.State, status.Run.App, err, status.Run.Reason, len(posts(services[i])))
		}
	}
	after := a.callsOfServices(taken)
	figures.Report(t, "a takeover amid %d backups: %d more calls of the former owner, %d of the new one", len(ids), len(after), len(b.callsOfServices(taken)))
	if len(after) > len(ids) {
		t.Errorf("the former owner called %q", after)
	}
	if response, text, err := a.request(ctx, "POST", "/api/backups", `{"target": "`+stack.Service(services[0])+`"}`, nil); err != nil ||
		response.StatusCode != http.StatusConflict || !strings.Contains(string(text), a.config.Name+"/staging") {
		t.Errorf("the former owner answers %v %s", err, text)
	}
	a.healthUntil(ctx, "503 for the former owner", func(status int, _ health) bool { return status == 503 })
	b.healthUntil(ctx, "503 for the new owner", func(status int, _ health) bool { return status == 503 })
}
