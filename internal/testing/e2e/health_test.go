package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// health is the answer of the function health, as far as the tests read it.
type health struct {
	OverallStatus string
	Plan          struct {
		Refused              bool
		RefusedSinceDateTime time.Time
		ActiveSinceDateTime  time.Time
		Error                struct{ Details []struct{ Message string } }
	}
	Timers []struct {
		Timer  string
		Silent bool
		Reason struct {
			Code, Message string
			Details       []struct{ Code, Message string }
		}
	}
	Poison []struct {
		Queue                string
		Messages             int
		FirstDeletedDateTime time.Time
		Reason               struct{ Code, Message string }
	}
	Error   struct{ Code, Message string }
	Targets []struct {
		Target, Plan, Status string
		Reason               struct{ Code, Message string }
		LastVerified         struct {
			ID           string
			AgeInSeconds int64
		}
		IntervalInSeconds int64
		NextScheduledTime time.Time
	}
}

// health requests the health with the function's own key.
func (a *app) health(ctx context.Context) (int, health, string) {
	a.t.Helper()
	var h health
	response, text, err := a.request(ctx, "GET", "/api/health", "", map[string]string{"x-functions-key": a.Key("health")})
	if err != nil {
		return 0, h, err.Error()
	}
	if err := json.Unmarshal(text, &h); err != nil && response.StatusCode != http.StatusInternalServerError {
		a.t.Errorf("%s: %v", text, err)
	}
	return response.StatusCode, h, string(text)
}

// healthUntil repeats the request until the answer is as wanted.
func (a *app) healthUntil(ctx context.Context, what string, wanted func(status int, h health) bool) health {
	a.t.Helper()
	for {
		status, h, text := a.health(ctx)
		if wanted(status, h) {
			return h
		}
		if ctx.Err() != nil {
			a.t.Fatalf("never %s: %d %s", what, status, text)
		}
		pause(ctx)
	}
}

// toldUnprotected waits for the event about the service, and returns its ID.
func (a *app) toldUnprotected(ctx context.Context, t *testing.T, service string) string {
	t.Helper()
	for {
		for _, text := range a.events(ctx, t) {
			var e struct {
				ID, Type, Subject string
				Data              struct{ Reason struct{ Message string } }
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			if e.Type != "lifeboat.target.unprotected" || e.Subject != stack.Service(service) {
				continue
			}
			if !strings.HasPrefix(e.ID, "unprotected-test.") ||
				!strings.Contains(e.Data.Reason.Message, "the service is in a bad mood") {
				t.Errorf("told: %s", text)
			}
			return e.ID
		}
		if ctx.Err() != nil {
			t.Fatal("nobody was told that the target is unprotected")
		}
		pause(ctx)
	}
}

// toldProtected mends the service between two runs, and waits for the event that the alarm is over.
func (a *app) toldProtected(ctx context.Context, t *testing.T, service, alarm string) {
	t.Helper()
	for mended := false; ; pause(ctx) {
		for _, text := range a.events(ctx, t) {
			var e struct {
				ID, Type, Subject string
				Data              struct {
					Alarm, Status, Plan string
					LastVerified        struct{ ID string }
				}
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Subject != stack.Service(service):
			case e.Type == "lifeboat.run.failed" && !mended:
				mended = true
				if err := world.AddService(service); err != nil {
					t.Fatal(err)
				}
			case e.Type == "lifeboat.target.protected":
				if e.Data.Alarm != alarm || e.Data.Status != "protected" || e.Data.Plan != "test" || e.ID != "protected-"+strings.TrimPrefix(alarm, "unprotected-") {
					t.Errorf("told: %s", text)
				}
				if s, _, err := a.engine.Status(ctx, e.Data.LastVerified.ID); err != nil || s.Point == nil || s.Point.Target != stack.Service(service) {
					t.Errorf("the recovery point of %s: %+v, %v", text, s, err)
				}
				return
			}
		}
		if ctx.Err() != nil {
			t.Fatal("nobody was told that the target is protected")
		}
	}
}

// TestHealth: a service with a good backup gives 200. A service whose backups Azure refuses turns the answer into 503, in
// Azure's words, and makes an event; once it is backed up, another event closes that. A broken plan.yaml is reported first, and the targets are measured by the last good one.
func TestHealth(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	well, ill := services[0], services[1]
	a := newPlanApp(t, false, stack.AppConfig{Plan: planFor("*/10 * * * * *", "1d", well), ScheduleTimer: "* * * * * *"})

	if response, _, err := a.request(ctx, "GET", "/api/health", "", nil); err != nil || response.StatusCode != 401 {
		t.Errorf("with the key of another function: %v, %v", response, err)
	}
	status, h, text := a.health(ctx)
	if status != 200 || h.OverallStatus != "pending" || len(h.Targets) != 1 || h.Targets[0].Reason.Message == "" {
		t.Errorf("a new plan: %d %s", status, text)
	}
	h = a.healthUntil(ctx, "protected", func(status int, h health) bool {
		return status == 200 && h.OverallStatus == "protected"
	})
	if v := h.Targets[0]; v.Target != stack.Service(well) || v.Plan != "test" || v.IntervalInSeconds != 10 ||
		v.LastVerified.ID == "" || v.LastVerified.AgeInSeconds > 10 || !v.NextScheduledTime.After(time.Now().Add(-time.Minute)) {
		t.Errorf("protected: %+v", v)
	}
	if s, _, err := a.engine.Status(ctx, h.Targets[0].LastVerified.ID); err != nil || s.Point == nil {
		t.Errorf("its recovery point: %+v, %v", s, err)
	}

	inject(t, ill, fakeazure.Fault{
		Kind: fakeazure.FailOperation, Count: 1000, Status: 400, Code: "BackupFailed", Message: "the service is in a bad mood",
	})
	good := planFor("*/10 * * * * *", "1d", well, ill)
	a.place(good)
	h = a.healthUntil(ctx, "unprotected", func(status int, h health) bool {
		return status == 503 && h.OverallStatus == "unprotected" && len(h.Targets) == 2 && h.Targets[0].Status != "unprotected"
	})
	code, out, errs := command(ctx, t, a.URL(), a.Key("health"), "health")
	lines := strings.Split(out, "\n")
	if code != 1 || errs != "1 of 2 targets unprotected\n" || len(lines) != 4 ||
		!strings.HasPrefix(lines[1], ill+"  test  unprotected  never ") ||
		!strings.Contains(lines[1], "the service is in a bad mood") {
		t.Errorf("as a command: %d %s\n%s", code, errs, out)
	}
	t.Logf("health\n%s", out)
	if v := h.Targets[1]; v.Target != stack.Service(ill) || v.Status != "unprotected" ||
		!strings.Contains(v.Reason.Message, "the service is in a bad mood") {
		t.Errorf("unprotected: %+v", v)
	}
	alarm := a.toldUnprotected(ctx, t, ill)
	for name, want := range map[string]int{"test": 503, "tests": 404} {
		response, text, err := a.request(ctx, "GET", "/api/health?plan="+name, "", map[string]string{"x-functions-key": a.Key("health")})
		if err != nil || response.StatusCode != want || !strings.Contains(string(text), "test") {
			t.Errorf("of the plan %s: %v, %v, %s", name, response, err, text)
		}
	}
	if code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "points", stack.Service(well), "--top", "1"); code != 0 ||
		!strings.Contains(out, "  hash proved") {
		t.Errorf("its newest recovery point: %d %s %s", code, errs, out)
	}
	for key, want := range map[string]int{a.Key("metrics"): 200, a.Key("health"): 401, a.Key("api"): 401} {
		response, text, err := a.request(ctx, "GET", "/api/metrics", "", map[string]string{
			"x-functions-key": key, "Accept": "application/openmetrics-text",
		})
		line := fmt.Sprintf(`lifeboat_target_unprotected{target="%s",plan="test"} 1`, stack.Service(ill))
		if err != nil || response.StatusCode != want ||
			want == 200 && (!strings.Contains(string(text), line+"\n") || !strings.HasSuffix(string(text), "# EOF\n")) {
			t.Errorf("metrics: %v %v %s", response, err, text)
		}
	}

	a.toldProtected(ctx, t, ill, alarm)

	a.place(strings.Replace(good, "schedule:", "shedule:", 1))
	h = a.healthUntil(ctx, "refused", func(_ int, h health) bool {
		return h.Plan.Refused && !h.Plan.RefusedSinceDateTime.IsZero()
	})
	d := h.Plan.Error.Details
	if len(d) != 2 || !strings.Contains(d[1].Message, `plan.yaml:6: a plan has no field "shedule"`) ||
		len(h.Targets) != 2 || h.Plan.ActiveSinceDateTime.IsZero() {
		t.Errorf("refused: %+v", h)
	}
	a.place(planFor("*/10 * * * * *", "1d", well))
	a.healthUntil(ctx, "healed", func(status int, h health) bool {
		return status == 200 && !h.Plan.Refused && len(h.Targets) == 1
	})
}
