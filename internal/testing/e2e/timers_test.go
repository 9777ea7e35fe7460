package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// noted makes the note of a timer's last run look as old as the age.
func (a *app) noted(ctx context.Context, timer string, age time.Duration) {
	a.t.Helper()
	body, err := json.Marshal(map[string]time.Time{"At": time.Now().UTC().Add(-age).Truncate(time.Second)})
	if err != nil {
		a.t.Fatal(err)
	}
	key := backup.Key{Partition: "schedule", Row: "last-run-" + timer}
	if _, err := a.catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: body}); err != nil {
		a.t.Fatal(err)
	}
}

// TestWithoutABlobRoleHealthTurns: the app loses its roles on blobs. Nothing fails and nothing is logged, but no timer fires
// any more. After three missing timer runs, health is a 503 that names the role, whatever the state of the targets. It is over
// with the first timer run of each timer.
func TestWithoutABlobRoleHealthTurns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The timer fires half a day from now: no timer run comes by itself, and three are over after four days.
	daily := fmt.Sprintf("0 0 %d * * *", time.Now().UTC().Add(12*time.Hour).Hour())
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), ScheduleTimer: daily, CleanupTimer: daily})
	timers := []string{"schedule", "cleanup"}
	timer := func() {
		t.Helper()
		for _, timer := range timers {
			if err := a.Invoke(ctx, timer); err != nil {
				t.Fatal(err)
			}
		}
	}
	timer()
	if status, h, text := a.health(ctx); status != 200 || len(h.Timers) != 2 {
		t.Fatalf("both timers run: %d %s", status, text)
	}
	for _, identity := range []string{a.config.Name, stack.HostIdentity(a.config.Name)} {
		id := world.Sim.ObjectID(identity)
		world.Sim.Unassign(id, stack.Account(a.config.Account))
		world.Sim.Assign(id, stack.Account(a.config.Account), fakeazure.StorageQueueDataContributor, fakeazure.StorageTableDataContributor)
	}
	for i, timer := range timers {
		a.noted(ctx, timer, 4*24*time.Hour)
		status, h, text := a.health(ctx)
		if status != 503 || h.OverallStatus != "unprotected" || len(h.Targets) != 1 || h.Targets[0].Status != "pending" {
			t.Fatalf("%s has been silent for four days: %d %s", timer, status, text)
		}
		for j, each := range h.Timers {
			if each.Timer != timers[j] || each.Silent != (j <= i) {
				t.Errorf("%+v", each)
			}
			if each.Silent && (len(each.Reason.Details) != 1 || !strings.HasPrefix(each.Reason.Details[0].Message, "First see that the app has "+
				"the role Storage Blob Data Owner on its own storage account")) {
				t.Errorf("%s is silent, and what to look at first is not told: %s", timer, text)
			}
		}
	}
	code, out, errs := command(ctx, t, a.URL(), a.Key("health"), "health")
	if code != 1 || errs != "2 timers silent\n" || !strings.Contains(out, "timer schedule: TimerSilent: ") {
		t.Errorf("as a command: %d %s\n%s", code, errs, out)
	}
	world.Grant(a.config.Name, a.config.Account)
	timer()
	if status, _, text := a.health(ctx); status != 200 {
		t.Errorf("they run again: %d %s", status, text)
	}
}
