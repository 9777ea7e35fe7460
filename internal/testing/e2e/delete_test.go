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

// TestASoftDeletedRecoveryPoint: a person deletes a recovery point from the shell, and takes that back over HTTP, twice. Another deletion,
// of another one, is carried out at the end of its time, and other programs get an event of each change by a person.
func TestASoftDeletedRecoveryPoint(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{Plan: strings.Replace(planFor(yearly, "1d", service), "softDelete: off", "softDelete: 15s", 1)})
	first, second := a.recoverable(ctx, t, target), a.recoverable(ctx, t, target)
	if _, _, errs := command(ctx, t, a.URL(), a.Key("api"), "delete", second.ID, "--reason", "why", "--yes"); !strings.Contains(errs, "NewestRecoveryPoint") {
		t.Errorf("the newest is deleted: %s", errs)
	}
	a.recoverable(ctx, t, target)
	for _, id := range []string{first.ID, second.ID} {
		if out := a.lifeboat(ctx, t, 0, "delete", id, "--reason", "it has a secret", "--yes"); !strings.HasPrefix(out, id+"  soft-deleted, there until ") ||
			!strings.Contains(out, ": it has a secret") {
			t.Errorf("delete: %s", out)
		}
	}
	hold := ""
	for range 2 {
		response, text, err := a.request(ctx, http.MethodPost, "/api/recovery-points/"+first.ID+"/undelete", `{"reason":"a mistake"}`,
			map[string]string{"Repeatability-Request-ID": "undo"})
		var p struct {
			State string
			Holds []struct{ ID, Reason string }
		}
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &p) != nil || p.State != "live" || len(p.Holds) != 1 ||
			p.Holds[0].Reason != "a mistake" {
			t.Fatalf("undelete: %v, %v %s", err, response, text)
		}
		hold = p.Holds[0].ID
	}
	if out := a.lifeboat(ctx, t, 0, "points", target); !strings.Contains(out, "soft-deleted") || !strings.Contains(out, "held: a mistake") {
		t.Errorf("points: %s", out)
	}
	point := func(id string) backup.Point {
		t.Helper()
		p, err := a.engine.RecoveryPoint(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	until := point(second.ID).SoftDeletion.Until
	if until.Sub(point(second.ID).SoftDeletion.Since) != 15*time.Second {
		t.Errorf("%+v", point(second.ID).SoftDeletion)
	}
	for time.Now().Before(until.Add(time.Second)) && ctx.Err() == nil {
		pause(ctx)
	}
	a.dueNow(ctx, t, second.ID)
	a.expired(ctx, t, second.ID)
	if p := point(first.ID); p.Called() != backup.Live {
		t.Errorf("the undeleted one is %s", p.Called())
	}
	told := strings.Join(a.events(ctx, t), "\n")
	for id, n := range map[string]int{
		first.ID + ".softdeleted.": 1, first.ID + ".recovered." + hold: 1, first.ID + ".held." + hold: 1, second.ID + ".softdeleted.": 1,
	} {
		if got := strings.Count(told, `"id":"`+id); got != n {
			t.Errorf("%s is told %d times", id, got)
		}
	}
}

// dueNow makes the index entry of a recovery point due now, which a deletion has moved to ten minutes later.
func (a *app) dueNow(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	rows, now, err := a.engine.Catalog.List(ctx, backup.DuePartition, "", backup.TimeKey(time.Now().Add(11*time.Minute)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if strings.HasSuffix(row.Row, "-"+id) {
			_, err = a.engine.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: backup.DueKey(now, id), Body: row.Body})
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Errorf("there is no entry of %s among %d", id, len(rows))
}
