package checkpoint_test

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
)

// TestAPlanThatLeavesLosesNoScheduledTimeSilently checks the missed period of what came due since the checkpoint, and the next checkpoint.
// A plan that comes back makes no run of a missed scheduled time.
func TestAPlanThatLeavesLosesNoScheduledTimeSilently(t *testing.T) {
	nightly := checkpoint.By{Expression: "30 2 * * *", Zone: "UTC"}
	zurich := checkpoint.By{Expression: "30 2 * * *", Zone: "Europe/Zurich", Ahead: 3600}
	const gone = "no timer run had dealt with them before plan.yaml was edited, and it does not hold the plan any more"
	for _, c := range []struct {
		name, checkpoint, inProgress, paused string
		by                                   checkpoint.By
		now, want, at                        string
	}{
		{"between two scheduled times", "15 02:30", "", "", nightly, "15 12:00", "", "15 02:30"},
		{"while the app was down", "12 02:30", "", "", nightly, "15 12:00", "3, 13 02:30 to 15 02:30: " + gone, "15 12:00"},
		{"in the minute of a scheduled time", "14 02:30", "", "", nightly, "15 02:30", "1, 15 02:30 to 15 02:30: " + gone, "15 02:30"},
		{"in a zone that a plan has", "14 01:30", "", "", zurich, "15 01:30", "1, 15 01:30 to 15 01:30: " + gone, "15 01:30"},
		{"while it was paused", "13 02:30", "", "paused by nightly in plan.yaml", nightly, "15 12:00", "2, 14 02:30 to 15 02:30: paused by nightly in plan.yaml", "15 12:00"},
		{
			"amid its runs", "14 02:30", "15 02:30", "", nightly, "15 02:31",
			"1, 15 02:30 to 15 02:30: " + gone + "; some runs of 2026-01-15T02:30:00Z may have been made", "15 02:31",
		},
		{"a row of an older version", "12 02:30", "", "", checkpoint.By{}, "15 12:00", "", "12 02:30"},
		{"a checkpoint of the future", "20 02:30", "", "", nightly, "15 12:00", "", "20 02:30"},
	} {
		look := checkpoint.Look{Now: at(t, c.now), Looked: at(t, c.now)}
		was := checkpoint.Checkpoint{Plan: "nightly", At: at(t, c.checkpoint), By: c.by, Paused: c.paused, InProgress: at(t, c.inProgress)}
		left, missed := look.Leave(was, []backup.Plan{plan(t, "0 5 * * *", "Europe/Zurich")})
		got := ""
		if missed.Count > 0 {
			got, _, _ = strings.Cut(words(checkpoint.Outcome{Missed: missed}), "; next")
		}
		if c.want != "" && !strings.Contains(got, "missed "+c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if left.Paused != checkpoint.Left || !left.At.Equal(at(t, c.at)) || missed.Count > 0 && !left.InProgress.IsZero() {
			t.Errorf("%s leaves %+v", c.name, left)
		}
		back := look.Run(&left, plan(t, "30 2 * * *", "UTC"))
		for _, made := range back.Made {
			if missed.Count > 0 && !made.After(missed.Last) {
				t.Errorf("%s: back in plan.yaml it makes the runs of %s, which were called missed", c.name, made)
			}
		}
	}
}
