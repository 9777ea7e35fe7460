package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

// healthHandler is a handler whose plan has a scheduled time each day, which the first timer run has seen.
func healthHandler(t *testing.T) *app {
	t.Helper()
	d := newApp(nil)
	plans, err := d.plans()
	if err != nil {
		t.Fatal(err)
	}
	const every = 1<<32 - 1
	plans[0].Schedule = schedule.Schedule{
		Second: 1, Minute: 1, Hour: 1, Day: every, Month: every, Weekday: every, Zone: time.UTC,
	}
	d.plans = func() ([]backup.Plan, error) { return plans, nil }
	if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.log.Reset()
	return d
}

// put writes a row of the target.
func (d *app) put(t *testing.T, row string, value any) {
	t.Helper()
	w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`, "Repeatability-Request-ID", "partition")
	var run struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.log.Reset()
	d.row(t, target, row, value)
}

func (d *app) health(t *testing.T, status int) api.Health {
	t.Helper()
	w := d.call("GET", "/api/health", "")
	var v api.Health
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if w.Code != status || w.Header().Get("Content-Type") != "application/json" ||
		w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), `"0001-01-01`) { // a time that is not known is left out
		t.Errorf("%d %v %s, want %d", w.Code, w.Header(), w.Body, status)
	}
	return v
}

func TestHealth(t *testing.T) {
	d := healthHandler(t)
	v := d.health(t, 200)
	if len(v.Targets) != 1 || v.OverallStatus != health.Pending || v.Targets[0].Target != target ||
		v.Targets[0].Plan != "nightly" ||
		v.Targets[0].Interval != 24*60*60 || v.Targets[0].NextScheduledTime.IsZero() || v.Plan.Refused || v.Checked.IsZero() {
		t.Errorf("a new plan: %+v", v)
	}
	if len(v.Checkpoints) != 1 || v.Checkpoints[0].Plan != "nightly" || v.Checkpoints[0].Schedule.Zone != "UTC" || v.Checkpoints[0].Paused != "" ||
		v.Checked.Sub(v.Checkpoints[0].At) > time.Minute || v.Stopped != "" {
		t.Errorf("the checkpoints are %+v, and stopped is %q", v.Checkpoints, v.Stopped)
	}
	if lines := d.lines(t); len(lines) != 1 || lines[0]["function"] != "health" || lines[0]["level"] != "info" {
		t.Errorf("logs %v", lines)
	}
	old := time.Now().AddDate(0, 0, -3)
	d.put(t, "run-9999999999-000000000000", backup.Run{
		ID: "r", Target: target, State: backup.Failed, Created: old, Ended: old,
		Reason: backup.Reason{Code: "AuthorizationFailed", Message: "does not have authorization", Hint: "Give it the role."},
	})
	// The run by hand beside the row has not ended: the reason comes from the last ended run.
	v = d.health(t, 503)
	if v.OverallStatus != health.Unprotected || v.Targets[0].Reason == nil || v.Targets[0].Reason.Code != "AuthorizationFailed" ||
		!strings.Contains(v.Targets[0].Reason.Message, "does not have authorization") ||
		len(v.Targets[0].Reason.Details) != 1 || v.Targets[0].LastRun == nil || v.Targets[0].LastRun.State != backup.Queued {
		t.Errorf("failed for three days: %+v", v)
	}
	d.put(t, "point-8000000000-000000000000", backup.Point{
		ID: "p", State: backup.Live, Target: target, Created: time.Now(),
	})
	v = d.health(t, 200)
	if v.OverallStatus != health.Protected || v.Targets[0].Reason != nil || v.Targets[0].Verified == nil ||
		v.Targets[0].Verified.ID != "p" || v.Targets[0].Verified.Age > 60 {
		t.Errorf("backed up: %+v", v)
	}
}

// TestHealthOfARefusedPlan checks that health measures the last good plan; if there is none, the status is unprotected.
func TestHealthOfARefusedPlan(t *testing.T) {
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) {
		return nil, errors.Join(errors.New("plan.yaml:7: nonsense"), errors.New("plan.yaml:8: more of it"))
	}
	v := d.health(t, 503)
	if v.OverallStatus != health.Unprotected || !v.Plan.Refused || !v.Plan.RefusedSince.IsZero() || v.Plan.Error == nil ||
		len(v.Plan.Error.Details) != 2 || len(v.Targets) != 0 {
		t.Errorf("never a good plan: %+v", v)
	}
	if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if v := d.health(t, 503); v.Plan.RefusedSince.IsZero() {
		t.Errorf("the timer run has found it: %+v", v.Plan)
	}
}

// TestHealthAnswersJSON checks the answer also when storage fails or there is no plan.
func TestHealthAnswersJSON(t *testing.T) {
	broken := newApp(func(c *Config) { c.Engine, c.Broken = nil, errors.New("the app setting LIFEBOAT_PLAN is missing") })
	if w := broken.call("GET", "/api/health", ""); w.Code != 503 ||
		!strings.Contains(w.Body.String(), "LIFEBOAT_PLAN is missing") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := newApp(nil).call("POST", "/api/health", "{}"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// TestArtifactsThatTheCatalogDoesNotKnowAreAnAlarm: a target that was never backed up by this catalog is pending, unless its storage shows
// that another catalog was lost.
func TestArtifactsThatTheCatalogDoesNotKnowAreAnAlarm(t *testing.T) {
	d := planned(t, daily("nightly", target, target+"-new"))
	if v := d.health(t, 200); v.OverallStatus != health.Pending {
		t.Errorf("before: %+v", v)
	}
	lost := health.Incomplete{Target: target, Plan: "nightly", Storage: backup.Storage{Account: account, Container: "c"}, Artifacts: 7, First: "a"}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: lost.Key(), Body: backup.Encode(lost)}); err != nil {
		t.Fatal(err)
	}
	if v := d.health(t, 503); v.OverallStatus != health.Unprotected || v.Targets[0].Reason == nil || v.Targets[0].Reason.Code != "CatalogIncomplete" {
		t.Errorf("with artifacts that no recovery point names: %+v", v)
	}
}

// TestHealthNamesWhatHasLeftThePlan: with its newest recovery point, if there is one.
func TestHealthNamesWhatHasLeftThePlan(t *testing.T) {
	text := "all"
	d := newApp(func(c *Config) {
		c.Engine.Left = c.Plans.Left
		c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(text), nil }
		c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
			if string(text) == "all" {
				return []backup.Plan{daily("nightly", target, target+"-well", target+"-bare")}, nil
			}
			return []backup.Plan{daily("nightly", target)}, nil
		}
	})
	d.timer(t, 200)
	d.backedUp(t, target+"-well", 90*time.Minute)
	if v := d.health(t, 200); len(v.Departed) != 0 {
		t.Errorf("before the edit: %+v", v.Departed)
	}
	text = "one"
	d.timer(t, 200)
	left := map[string]string{}
	for _, one := range d.health(t, 200).Departed {
		left[one.Target] = one.Plan
		if one.Verified != nil {
			left[one.Target] += fmt.Sprintf(" %s of %d hours", one.Verified.ID, one.Verified.Age/3600)
		}
	}
	if len(left) != 2 || left[target+"-well"] != "nightly p of 1 hours" || left[target+"-bare"] != "nightly" {
		t.Errorf("%q", left)
	}
}

// TestHealthOfOnePlan: only the plan's targets are in the answer, and they alone decide the status; so a broken target of one plan shows
// as that plan's.
func TestHealthOfOnePlan(t *testing.T) {
	other := target + "-other"
	d := planned(t, daily("nightly", target), daily("other", other))
	d.row(t, other, "point-8000000000-000000000000", struct{ Created string }{"never"})
	for _, test := range []struct {
		query, status string
		code, targets int
	}{
		{"", "unprotected", 503, 2},
		{"?plan=nightly", "pending", 200, 1},
		{"?plan=other", "unprotected", 503, 1},
	} {
		d.log.Reset()
		w := d.call("GET", "/api/health"+test.query, "")
		var v api.Health
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if w.Code != test.code || string(v.OverallStatus) != test.status || len(v.Targets) != test.targets {
			t.Errorf("%s: %d %s", test.query, w.Code, w.Body)
		}
		for _, h := range v.Targets {
			if h.Plan == "other" && (h.Status != health.Unprotected || h.Reason == nil || h.Reason.Code != "RowUnreadable") {
				t.Errorf("%s: %+v", test.query, h)
			}
		}
		if logged := strings.Contains(d.log.String(), "the target cannot be read"); logged != (test.status == "unprotected") {
			t.Errorf("%s: the log has %s", test.query, &d.log)
		}
	}
	if w := d.call("GET", "/api/health?plan=mightly", ""); w.Code != 404 || !strings.Contains(w.Body.String(), "there are nightly, other") {
		t.Errorf("an unknown plan: %d %s", w.Code, w.Body)
	}
}

// TestHealthOfOnePlanNamesNoOther: /api/health?plan=nightly names no target of another plan, whose recovery point could not be
// deleted, nor its checkpoint.
func TestHealthOfOnePlanNamesNoOther(t *testing.T) {
	other := target + "-secret-of-another-team"
	d := planned(t, daily("nightly", target), daily("other", other))
	u := health.Undeleted{Target: other, Points: 1, IDs: []string{"p"}, Point: "p", Since: time.Now(), Reason: backup.NewReason("LeaseIdMissing", "words", "")}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: backup.DeletionKey(other), Body: backup.Encode(u)}); err != nil {
		t.Fatal(err)
	}
	d.timer(t, 200)
	w := d.call("GET", "/api/health?plan=nightly", "")
	var v api.Health
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Checkpoints) != 1 || v.Checkpoints[0].Plan != "nightly" || len(v.Targets) != 1 || len(v.Undeleted) > 0 || strings.Contains(w.Body.String(), other) {
		t.Errorf("%s", w.Body)
	}
}

// hangingUp is a catalog whose caller hangs up while it reads the rows of a target.
type hangingUp struct {
	*memory.Catalog
	at     string
	hangUp func()
}

func (c *hangingUp) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	if partition == c.at {
		c.hangUp()
		return nil, time.Time{}, fmt.Errorf("list: %w", ctx.Err())
	}
	return c.Catalog.List(ctx, partition, from, to, limit)
}

// TestAMonitorThatHangsUpIsNoError: a caller of /api/health hangs up while a target is looked at that has changed since the last timer run.
// The log has no error, and no warning that the target cannot be read.
func TestAMonitorThatHangsUpIsNoError(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	catalog := &hangingUp{Catalog: memory.NewCatalog(time.Now), hangUp: hangUp}
	d := newApp(func(c *Config) { c.Engine.Catalog, c.Plans.Catalog = catalog, catalog })
	d.timer(t, 200)
	if _, err := catalog.Apply(t.Context(), health.Mark(target)); err != nil {
		t.Fatal(err)
	}
	catalog.at = backup.Partition(target)
	d.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:8080/api/health", strings.NewReader("")))
	for _, line := range d.lines(t) {
		if line["level"] != "info" {
			t.Errorf("%v", line)
		}
	}
}

// TestACallerWhoHangsUpBeforeThePlansAreRead is no error either, and no mistake in plan.yaml.
func TestACallerWhoHangsUpBeforeThePlansAreRead(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) {
		hangUp()
		return nil, fmt.Errorf("read plan.yaml: %w", ctx.Err())
	}
	d.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:8080/api/targets", strings.NewReader("")))
	for _, line := range d.lines(t) {
		if line["level"] != "info" || line["note"] != "the caller hung up" {
			t.Errorf("%v", line)
		}
	}
}
