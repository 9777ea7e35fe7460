package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/schedule"
)

// TestACheckpointIsReadAsItWas: plan diff takes from the API all by which a timer run decides.
func TestACheckpointIsReadAsItWas(t *testing.T) {
	at := time.Date(2026, 3, 28, 1, 30, 0, 0, time.UTC)
	for name, c := range map[string]checkpoint.Checkpoint{
		"all of it": {
			Plan: "nightly", At: at, By: checkpoint.By{Expression: "30 2 * * *", Zone: "Europe/Zurich", Ahead: 3600}, InProgress: at.Add(time.Hour),
			InProgressBy: checkpoint.By{Expression: "30 3 * * *", Zone: "UTC"}, Paused: "stopped by LIFEBOAT_STOPPED",
			LastMissedRuns: schedule.MissedRuns{Count: 3}, ETag: "e",
		},
		"the least":                 {Plan: "nightly", At: at},
		"of an older version's row": {Plan: "nightly", At: at, Paused: "paused by nightly in plan.yaml"},
	} {
		body, err := json.Marshal(api.NewCheckpoint(c))
		if err != nil {
			t.Fatal(err)
		}
		var read api.Checkpoint
		if err := json.Unmarshal(body, &read); err != nil {
			t.Fatal(err)
		}
		want := c // a timer run never decides by these
		want.LastMissedRuns, want.ETag = schedule.MissedRuns{}, ""
		if diff := cmp.Diff(want, read.Checkpoint(), cmpopts.IgnoreTypes(backup.Carried{})); diff != "" {
			t.Errorf("%s: %s\n%s", name, body, diff)
		}
	}
}
