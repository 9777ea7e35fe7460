package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// editEvent is an event about an edit of plan.yaml, or about what it did.
type editEvent struct {
	ID, Type, Subject string
	Data              struct {
		Changes, Attention []string
		Alarm, Plan        string
		Reason             struct{ Message string }
		Count              int
		ScheduledTime      time.Time
		LastVerified       struct{ ID string }
	}
}

// TestAnEditOfThePlanIsTold: two targets leave plan.yaml, one with a backup, one with an alarm. An event says so, as a warning, health
// names both with the newest recovery point, and the alarm is taken back. An edit that loses nothing is no warning. A plan that gets another
// name while the app is down has a missed period of the scheduled times since.
func TestAnEditOfThePlanIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 3)
	well, stays, ill := services[0], services[1], services[2]
	inject(t, ill, fakeazure.Fault{Kind: fakeazure.FailOperation, Count: 1000, Status: 400, Code: "BackupFailed", Message: "a bad mood"})
	const schedule = "*/10 * * * * *"
	var mu sync.Mutex
	levels := map[string]string{} // the level of each line about an edit, by the event's ID
	show := logTo(t)
	a := newPlanApp(t, false, stack.AppConfig{
		Plan: planFor(schedule, "1d", well, stays, ill), ScheduleTimer: "* * * * * *",
		Log: func(e fakehost.Entry) {
			show(e)
			var line struct{ Event, ID, Level string }
			if e.Category == fakehost.CategoryConsole && json.Unmarshal([]byte(e.Text), &line) == nil && line.Event == "lifeboat.plan.changed" {
				mu.Lock()
				defer mu.Unlock()
				levels[line.ID] = line.Level
			}
		},
	})
	if _, err := a.queue("lifeboat-events").Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var all []editEvent
	await := func(what string, such func(e editEvent) bool) editEvent {
		t.Helper()
		for {
			if i := slices.IndexFunc(all, such); i >= 0 {
				found := all[i]
				all = slices.Delete(all, i, i+1)
				return found
			}
			if ctx.Err() != nil {
				t.Fatalf("never: %s", what)
			}
			for _, text := range a.events(ctx, t) {
				var e editEvent
				if err := json.Unmarshal([]byte(text), &e); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				all = append(all, e)
			}
			pause(ctx)
		}
	}
	of := func(kind, service string) func(editEvent) bool {
		return func(e editEvent) bool {
			return e.Type == kind && (service == "" || e.Subject == stack.Service(service))
		}
	}
	level := func(id string) (found string) { // the queue may be faster than the log
		for found == "" && ctx.Err() == nil {
			pause(ctx)
			mu.Lock()
			found = levels[id]
			mu.Unlock()
		}
		return found
	}
	await("a backup of the first", of("lifeboat.run.succeeded", well))
	alarm := await("an alarm about the last", of("lifeboat.target.unprotected", ill))

	a.place(planFor(schedule, "1d", stays))
	edit := await("an event about the edit", of("lifeboat.plan.changed", ""))
	for _, gone := range []string{well, ill} {
		if !slices.Contains(edit.Data.Changes, "! no plan has the target "+stack.Service(gone)+" any more: it is not backed up") {
			t.Errorf("the edit is told as %q", edit.Data.Changes)
		}
	}
	if !slices.Equal(edit.Data.Attention, []string{"targets"}) || level(edit.ID) != "warn" {
		t.Errorf("attention %q, at level %q", edit.Data.Attention, level(edit.ID))
	}
	if left := await("the alarm is taken back", of("lifeboat.target.left", ill)); left.Data.Alarm != alarm.ID || left.Data.Plan != "test" {
		t.Errorf("of the alarm %s: %+v", alarm.ID, left)
	}
	_, text, err := a.request(ctx, "GET", "/api/health", "", map[string]string{"x-functions-key": a.Key("health")})
	var v api.Health
	if err != nil || json.Unmarshal(text, &v) != nil || len(v.Departed) != 2 || len(v.Targets) != 1 {
		t.Fatalf("health is %s, %v", text, err)
	}
	for _, d := range v.Departed {
		if d.Plan != "test" || time.Since(d.Left) > time.Minute || (d.Target == stack.Service(well)) != (d.Verified != nil) {
			t.Errorf("%+v", d)
		}
		if d.Verified == nil {
			continue
		}
		if s, _, err := a.engine.Status(ctx, d.Verified.ID); err != nil || s.Point == nil || s.Point.Target != stack.Service(well) {
			t.Errorf("its recovery point: %+v, %v", s, err)
		}
	}
	if _, out, _ := command(ctx, t, a.URL(), a.Key("health"), "health"); !strings.Contains(out, "no plan has "+stack.Service(well)+" since ") ||
		!strings.Contains(out, "when it left test: its newest verified recovery point ") {
		t.Errorf("as a command\n%s", out)
	}

	a.place(planFor(schedule, "2d", stays, well))
	if edit := await("an edit that loses nothing", of("lifeboat.plan.changed", "")); edit.Data.Attention != nil || level(edit.ID) != "info" {
		t.Errorf("attention %q, at level %q, of %q", edit.Data.Attention, level(edit.ID), edit.Data.Changes)
	}
	a.place(strings.Replace(planFor(schedule, "1d", stays, well), "    targets:", "    restore: {into: [itself]}\n    paused: true\n    targets:", 1))
	if edit := await("an edit that loses time", of("lifeboat.plan.changed", "")); level(edit.ID) != "warn" ||
		!slices.Equal(edit.Data.Attention, []string{"restore.into", "keep", "paused"}) {
		t.Errorf("attention %q, at level %q, of %q", edit.Data.Attention, level(edit.ID), edit.Data.Changes)
	}
	running, resumed := planFor(schedule, "1d", stays, well), time.Now()
	a.place(running)
	await("the end of the pause", of("lifeboat.plan.changed", ""))
	await("a run of its schedule", func(e editEvent) bool {
		return of("lifeboat.run.succeeded", well)(e) && e.Data.ScheduledTime.After(resumed)
	})

	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	for second := time.Now().Truncate(10 * time.Second).Add(20 * time.Second); time.Now().Before(second); { // the second scheduled time from now
		pause(ctx)
	}
	a.config.Plan = strings.Replace(running, "name: test", "name: renamed", 1)
	a.start(t)
	missed := await("a missed period of the old name", func(e editEvent) bool {
		return e.Type == "lifeboat.schedule.missed" && strings.Contains(e.Data.Reason.Message, "does not hold the plan any more")
	})
	if missed.Data.Plan != "test" || missed.Data.Count < 2 {
		t.Errorf("%+v", missed)
	}
	if edit := await("an event about the new name", of("lifeboat.plan.changed", "")); edit.Data.Attention != nil {
		// No target is backed up less than before.
		t.Errorf("attention %q of %q", edit.Data.Attention, edit.Data.Changes)
	}
}
