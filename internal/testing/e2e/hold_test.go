package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/stack"
)

// TestAHeldRecoveryPointStays: one person holds a recovery point from the shell, and another one over HTTP, who asks twice. Cleanup deletes
// it once both have released it, and other programs get an event of each change.
func TestAHeldRecoveryPointStays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1s", service)})
	old := a.recoverable(ctx, t, target)
	if out := a.lifeboat(ctx, t, 0, "hold", old.ID, "--reason", "case 4711"); !strings.HasPrefix(out, old.ID+"  live, held until it is released\n") {
		t.Errorf("hold: %s", out)
	}
	var p struct {
		State string
		Holds []struct {
			ID, By, Reason               string
			SinceDateTime, UntilDateTime time.Time
		}
	}
	ask := func(call, body string, status int) string {
		t.Helper()
		response, text, err := a.request(ctx, http.MethodPost, "/api/recovery-points/"+old.ID+"/"+call, body,
			map[string]string{"Repeatability-Request-ID": "an audit"})
		if err != nil || response.StatusCode != status {
			t.Fatalf("%s %s: %v, %v %s", call, body, err, response, text)
		}
		p.Holds = nil
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for range 2 {
		ask("hold", `{"reason":"an audit","until":"`+until.Format(time.RFC3339)+`"}`, http.StatusOK)
	}
	if len(p.Holds) != 2 || p.Holds[0].Reason != "case 4711" || !p.Holds[0].UntilDateTime.IsZero() || !p.Holds[1].UntilDateTime.Equal(until) ||
		!strings.HasPrefix(p.Holds[1].By, "invocation ") || time.Since(p.Holds[1].SinceDateTime) > 3*time.Minute || p.State != "live" {
		t.Fatalf("%+v", p)
	}
	first, second := p.Holds[0].ID, p.Holds[1].ID
	if said := ask("hold", `{"reason":"another"}`, http.StatusConflict); !strings.Contains(said, "RequestIdReused") {
		t.Errorf("another hold under the ID: %s", said)
	}
	if out := a.lifeboat(ctx, t, 0, "run", old.ID); !strings.Contains(out, ": case 4711 (hold "+first+")") || !strings.Contains(out, ": an audit (hold ") {
		t.Errorf("run: %s", out)
	}
	if out := a.lifeboat(ctx, t, 0, "points", target); !strings.Contains(out, "held: case 4711; held: an audit") {
		t.Errorf("points: %s", out)
	}

	a.recoverable(ctx, t, target)
	a.past(ctx, old)
	cleanup := func() {
		t.Helper()
		if err := a.Invoke(ctx, "cleanup"); err != nil {
			t.Fatal(err)
		}
		if p, err := a.engine.RecoveryPoint(ctx, old.ID); err != nil || p.State != backup.Live {
			t.Fatalf("the held recovery point is %s, %v", p.State, err)
		}
	}
	cleanup()
	if code, _, errs := command(ctx, t, a.URL(), a.Key("api"), "release", old.ID); code != 1 || !strings.Contains(errs, "--hold "+second) {
		t.Errorf("release of one of two: %d, %s", code, errs)
	}
	for range 2 {
		ask("release", `{"hold":"`+second+`"}`, http.StatusOK)
	}
	cleanup()
	if out := a.lifeboat(ctx, t, 0, "release", old.ID); !strings.HasPrefix(out, old.ID+"  live, kept until ") {
		t.Errorf("release: %s", out)
	}
	if said := ask("release", `{"hold":"`+second+`"}`, http.StatusConflict); !strings.Contains(said, "NotHeld") {
		t.Errorf("released what is not held: %s", said)
	}
	a.released(ctx, t, old.ID)
	a.expired(ctx, t, old.ID)
	if said := ask("hold", `{"reason":"too late"}`, http.StatusConflict); !strings.Contains(said, "RecoveryPointGone") {
		t.Errorf("held what is gone: %s", said)
	}
	told := strings.Join(a.events(ctx, t), "\n")
	for _, hold := range []string{first, second} {
		for _, word := range []string{"held", "released"} {
			if id := `"id":"` + old.ID + "." + word + "." + hold + `"`; strings.Count(told, id) != 1 {
				t.Errorf("%s is told %d times", id, strings.Count(told, id))
			}
		}
	}
}

// released makes the index entry due now that the release of the recovery point has written for ten minutes later.
func (a *app) released(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	rows, now, err := a.engine.Catalog.List(ctx, backup.DuePartition, "", "~", 1000)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, row := range rows {
		if !strings.HasSuffix(row.Row, id+"-once") {
			continue
		}
		moved++
		if row.Row > backup.TimeKey(now.Add(11*time.Minute)) {
			t.Errorf("the entry is due later: %s", row.Row)
		}
		if _, err := a.engine.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: backup.DueOnceKey(now, id), Body: row.Body}); err != nil {
			t.Fatal(err)
		}
	}
	if moved == 0 {
		t.Errorf("there is no entry of the release among %d", len(rows))
	}
}
