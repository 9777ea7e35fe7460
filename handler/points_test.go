package handler

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestAccept checks that a suspect point becomes live, and that a deleted one answers 409.
func TestAccept(t *testing.T) {
	for _, test := range []struct {
		state  backup.PointState
		body   string
		status int
		want   string
	}{
		{backup.Suspect, "", 200, `"state":"live"`},
		{backup.Suspect, `{}`, 200, `"acceptedBy":"invocation invocation-1"`},
		{backup.Suspect, `{"reason":"looked at it"}`, 200, `"acceptedReason":"looked at it"`},
		{backup.Suspect, `{"reason":7}`, 400, "InvalidRequest"},
		{backup.Live, "", 200, `"state":"live"`},
		{backup.Deleting, "", 409, "RecoveryPointGone"},
		{backup.Expired, "", 409, "is expired: keep.within ended"},
	} {
		d := newApp(nil)
		w := d.call("POST", "/api/recovery-points/"+d.point(t, test.state)+"/accept", test.body)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s, %s: %d %s, want %d %s", test.state, test.body, w.Code, w.Body, test.status, test.want)
		}
	}
}

// point makes a recovery point that was suspect, in the state, and returns its ID.
func (d *app) point(t *testing.T, state backup.PointState) string {
	t.Helper()
	var run struct{ ID string }
	if err := json.Unmarshal(d.call("POST", "/api/backups", `{"target":"`+target+`"}`).Body.Bytes(), &run); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(backup.Point{
		ID: run.ID, State: state, Target: target, Plan: "nightly", Suspicion: backup.Reason{Code: "SizeSuspect"},
		Reason: backup.Reason{Code: "Expired", Message: "keep.within ended"},
	})
	if err != nil {
		t.Fatal(err)
	}
	partition, row, _ := strings.Cut(run.ID, "-")
	key := backup.Key{Partition: partition, Row: "point-" + row}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	return run.ID
}

// TestKeptByStorage checks that a point that storage keeps has the reason in the answer, and the time if it is known.
func TestKeptByStorage(t *testing.T) {
	begin := time.Date(2026, 11, 3, 2, 30, 0, 0, time.UTC)
	refusal := backup.Reason{Code: "BlobImmutableDueToPolicy", Message: "the blob is immutable", Hint: "end the policy"}
	for want, kept := range map[string]backup.KeptByStorage{
		`"keptByStorage":{"untilDateTime":"2026-11-05T02:30:00Z","nextTryDateTime":"2026-11-05T02:30:00Z","error":{` +
			`"code":"BlobImmutableDueToPolicy","message":"the blob is immutable","target":"` + target + `","details":[{"code":"Hint",` +
			`"message":"end the policy"}]}}`: {Until: begin.Add(48 * time.Hour), Again: begin.Add(48 * time.Hour), Reason: refusal},
		`"keptByStorage":{"nextTryDateTime":"2026-11-03T08:30:00Z","error":`: {Again: begin.Add(6 * time.Hour), Reason: refusal},
	} {
		d := newApp(nil)
		var run struct{ ID string }
		if err := json.Unmarshal(d.call("POST", "/api/backups", `{"target":"`+target+`"}`).Body.Bytes(), &run); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(backup.Point{ID: run.ID, State: backup.Live, Target: target, Plan: "nightly", KeptByStorage: kept})
		if err != nil {
			t.Fatal(err)
		}
		partition, row, _ := strings.Cut(run.ID, "-")
		key := backup.Key{Partition: partition, Row: "point-" + row}
		if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/api/recovery-points/" + run.ID, "/api/recovery-points?target=" + target} {
			if w := d.call("GET", path, ""); w.Code != 200 || !strings.Contains(w.Body.String(), want) ||
				!strings.Contains(w.Body.String(), `"state":"live"`) {
				t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want)
			}
		}
	}
}
