package cli

import (
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/schedule"
)

// TestProgressOfARun checks the line for each state of a run.
func TestProgressOfARun(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for want, v := range map[string]run{
		"running":                                   {State: "running", Status: "Running"},
		"running, asked Azure 1 time":               {State: "running", Status: "Running", Polls: 1},
		"running, asked Azure 2 times":              {State: "running", Status: "Running", Polls: 2},
		"failed":                                    {State: "failed", Status: "Failed", Polls: 2},
		"waiting: Busy: it is  at it":               {State: "waiting", Status: "NotStarted", Polls: 2, Waiting: &api.Problem{Code: "Busy", Message: "it is\x1b at it"}},
		"succeeded: 1.0 KiB, kept as its plan says": {State: "succeeded", Status: "Succeeded", Polls: 2, Point: &api.Point{State: "live", Size: 1024}},
		"succeeded: 7 B, suspect, kept as its plan says: smaller": {
			State: "succeeded", Status: "Succeeded", Point: &api.Point{State: "suspect", Size: 7, Suspicion: &api.Problem{Code: "C", Message: "smaller"}},
		},
	} {
		v.LastUpdated = at
		if got := v.progress(text.Clock{}); got != "2026-01-02T02:04:05Z  "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for status, over := range map[string]bool{
		"Succeeded": true, "Failed": true, "Canceled": true, "NotStarted": false, "Running": false, "": false,
	} {
		if (run{Status: status}).over() != over || (batch{Status: status}).over() != over {
			t.Errorf("%q: over is not %t", status, over)
		}
	}
}

// TestScheduledTimesOfAPausedPlanAreNone checks that a paused plan has no scheduled times.
func TestScheduledTimesOfAPausedPlanAreNone(t *testing.T) {
	const every = 1<<32 - 1
	p := backup.Plan{Schedule: schedule.Schedule{Second: 1, Minute: 1, Hour: 1, Day: every, Month: every, Weekday: every, Zone: time.UTC}}
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if got := scheduledTimes(p, at, 2); len(got) != 2 || !got[0].Equal(at.AddDate(0, 0, 1)) || !got[1].Equal(at.AddDate(0, 0, 2)) {
		t.Errorf("%v", got)
	}
	p.Paused = true
	if got := scheduledTimes(p, at, 2); len(got) != 0 {
		t.Errorf("paused: %v", got)
	}
}
