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

// ended has the run of a recovery point end.
func (d *app) ended(t *testing.T, id string) {
	t.Helper()
	key, err := backup.RunKey(id)
	if err != nil {
		t.Fatal(err)
	}
	row, _, err := d.catalog.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	run, err := backup.Decode[backup.Run](row)
	if err != nil {
		t.Fatal(err)
	}
	run.State = backup.Succeeded
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: backup.Encode(run)}); err != nil {
		t.Fatal(err)
	}
}

// TestHoldAndRelease goes through the answers about the holds of one recovery point, in their order.
func TestHoldAndRelease(t *testing.T) {
	d := newApp(nil)
	id := d.point(t, backup.Live)
	gone := newApp(nil)
	lost := gone.point(t, backup.Deleting)
	gone.ended(t, lost)
	holdID, endID := backup.HoldID("hold-1"), backup.HoldID("hold-2")
	for _, c := range []struct {
		name, call, request, body string
		status                    int
		want                      string
	}{
		{"while its run is under way", "hold", "", `{"reason":"case"}`, 409, "RestoreNotEnded"},
		{"without a reason", "hold", "", `{}`, 400, `"target":"reason"`},
		{"for a number", "hold", "", `{"reason":7}`, 400, "InvalidRequest"},
		{"for too long a reason", "hold", "", `{"reason":"` + strings.Repeat("x", 1001) + `"}`, 400, "1 to 1000 characters"},
		{"for two lines", "hold", "", `{"reason":"a\nb"}`, 400, `"target":"reason"`},
		{"until no time", "hold", "", `{"reason":"case","until":"tomorrow"}`, 400, `"target":"until"`},
		{"until nothing", "hold", "", `{"reason":"case","until":""}`, 400, `"target":"until"`},
		{"until a time that has passed", "hold", "", `{"reason":"case","until":"2020-01-01T00:00:00Z"}`, 400, "is not later than now"},
		{"with another field", "hold", "", `{"reason":"case","end":"2030-01-01T00:00:00Z"}`, 400, `"target":"end"`},
		{"with no body", "hold", "", "", 415, "UnsupportedMediaType"},
		{"what is not held", "release", "", `{"hold":"x"}`, 409, "NotHeld"},
		{"nothing", "release", "", `{}`, 400, `"target":"hold"`},
		{"until it is released", "hold", "hold-1", `{"reason":"case"}`, 200, `"holds":[{"id":"` + holdID + `","sinceDateTime":"`},
		{"the same again", "hold", "hold-1", `{"reason":"case"}`, 200, `"by":"invocation invocation-1","reason":"case"}]`},
		{"something else under the ID", "hold", "hold-1", `{"reason":"another"}`, 409, "RequestIdReused"},
		{"until a time too", "hold", "hold-2", `{"reason":"test","until":"2099-01-01T01:00:00+01:00"}`, 200, `"untilDateTime":"2099-01-01T00:00:00Z"}]`},
		{"one of them", "release", "", `{"hold":"` + holdID + `"}`, 200, `"holds":[{"id":"` + endID + `"`},
		{"it again", "release", "", `{"hold":"` + holdID + `"}`, 200, `"holds":[{"id":"` + endID + `"`},
		{"after its release", "hold", "hold-1", `{"reason":"case"}`, 409, "HoldReleased"},
		{"the other", "release", "", `{"hold":"` + endID + `"}`, 200, `"state":"live"`},
	} {
		if c.want == "is not later than now" { // it is checked behind the state of the run
			d.ended(t, id)
		}
		var header []string
		if c.request != "" {
			header = []string{"Repeatability-Request-ID", c.request}
		}
		w := d.call("POST", "/api/recovery-points/"+id+"/"+c.call, c.body, header...)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.call, c.name, w.Code, w.Body, c.status, c.want)
		}
	}
	for _, c := range []struct {
		name, call, request, body string
		status                    int
		want                      string
	}{
		{"without a reason", "delete", "", `{}`, 400, `"target":"reason"`},
		{"with an end", "delete", "", `{"reason":"why","until":"2099-01-01T00:00:00Z"}`, 400, `"target":"until"`},
		{"the newest", "delete", "", `{"reason":"why"}`, 409, "NewestRecoveryPoint"},
		{"a live one", "undelete", "", `{"reason":"why"}`, 409, "NotSoftDeleted"},
		{"without a reason", "undelete", "", `{}`, 400, `"target":"reason"`},
		{"until no time", "undelete", "", `{"reason":"why","until":"tomorrow"}`, 400, `"target":"until"`},
	} {
		w := d.call("POST", "/api/recovery-points/"+id+"/"+c.call, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.call, c.name, w.Code, w.Body, c.status, c.want)
		}
	}
	for i := range backup.MostHolds + 1 {
		w := d.call("POST", "/api/recovery-points/"+id+"/hold", `{"reason":"case"}`, "Repeatability-Request-ID", strings.Repeat("x", i+1))
		if w.Code != 200 {
			t.Errorf("the same wish under another ID: %d %s", w.Code, w.Body)
		}
	}
	for i := range backup.MostHolds {
		w := d.call("POST", "/api/recovery-points/"+id+"/hold", `{"reason":"case `+strings.Repeat("x", i+1)+`"}`, "Repeatability-Request-ID", strings.Repeat("y", i+1))
		if last := i == backup.MostHolds-1; last != (w.Code == 409) || last && !strings.Contains(w.Body.String(), "TooManyHolds") {
			t.Errorf("hold %d: %d %s", i+2, w.Code, w.Body)
		}
	}
	if w := gone.call("POST", "/api/recovery-points/"+lost+"/hold", `{"reason":"case"}`); w.Code != 409 ||
		!strings.Contains(w.Body.String(), "RecoveryPointGone") || !strings.Contains(w.Body.String(), "has begun: keep.within ended") {
		t.Errorf("hold what is being deleted: %d %s", w.Code, w.Body)
	}
	for call, body := range map[string]string{"hold": `{"reason":"case"}`, "release": `{"hold":"x"}`} {
		if w := d.call("POST", "/api/recovery-points/x/"+call, body); w.Code != 404 || !strings.Contains(w.Body.String(), "RecoveryPointNotFound") {
			t.Errorf("%s nothing: %d %s", call, w.Code, w.Body)
		}
	}
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
