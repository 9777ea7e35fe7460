package handler

import (
	"encoding/json"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestAccept: what is suspect becomes live, what is gone answers 409.
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
		{backup.Suspect, `{"reason":7}`, 400, "InvalidBody"},
		{backup.Live, "", 200, `"state":"live"`},
		{backup.Deleting, "", 409, "RecoveryPointGone"},
		{backup.Expired, "", 409, "is expired: keep.within ended"},
	} {
		d := newDoor(nil)
		var run struct{ ID string }
		if err := json.Unmarshal(d.call("POST", "/api/backups", `{"target":"`+target+`"}`).Body.Bytes(), &run); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(backup.Point{
			ID: run.ID, State: test.state, Target: target, Plan: "nightly", Suspicion: backup.Reason{Code: "SizeSuspect"},
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
		w := d.call("POST", "/api/recovery-points/"+run.ID+"/accept", test.body)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s, %s: %d %s, want %d %s", test.state, test.body, w.Code, w.Body, test.status, test.want)
		}
	}
}
