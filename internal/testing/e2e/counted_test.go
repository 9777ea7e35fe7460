package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/stack"
)

// TestCountsHoldTheNewest: a plan that counts the last two keeps these two of each scheduled time's recovery points, and cleanup deletes the
// artifacts of the others.
func TestCountsHoldTheNewest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	plan := strings.Replace(planFor("*/5 * * * * *", "1d", service), "keep: {within: 1d}", "keep: {last: 2}", 1)
	a := newPlanApp(t, false, stack.AppConfig{Plan: plan, ScheduleTimer: "* * * * * *"})
	for {
		all := a.points(ctx, service)
		if len(all) >= 7 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("there are %+v", all)
		case <-time.After(time.Second):
		}
	}
	if err := a.Invoke(ctx, "cleanup"); err != nil {
		t.Fatal(err)
	}
	all := a.points(ctx, service)
	for i, p := range all {
		if i < 2 && p.State != "live" || i >= 4 && p.State == "live" { // two new ones may have come behind the cleanup
			t.Errorf("point %d of %d is %s", i+1, len(all), p.State)
		}
	}
	if out := a.lifeboat(ctx, t, 0, "points", stack.Service(service)); !strings.Contains(out, "no rule of keep holds it") {
		t.Errorf("points: %s", out)
	}
}
