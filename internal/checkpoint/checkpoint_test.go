package checkpoint_test

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // the same zones wherever the tests run

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/schedule"
)

// plan returns a plan by the schedule, in the zone.
func plan(t *testing.T, expression, zone string) backup.Plan {
	t.Helper()
	e, err := schedule.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	in, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return backup.Plan{Name: "nightly", Expression: expression, Schedule: e.In(in)}
}

// at reads a time of January 2026, such as "15 02:30", in UTC.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	found, err := time.Parse("2006-01 2 15:04", "2026-01 "+text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// words writes the outcome down in the form "runs 15 02:30; missed 2, 13 02:30 to 14 02:30: why; next 16 02:30; at 15 02:30".
func words(o checkpoint.Outcome) string {
	const form = "2 15:04"
	text := ""
	for _, made := range o.Made {
		text += "runs " + made.UTC().Format(form) + "; "
	}
	if m := o.Missed; m.Count > 0 {
		text += fmt.Sprintf("missed %d, %s to %s: %s; ", m.Count, m.First.UTC().Format(form), m.Last.UTC().Format(form), m.Why)
	}
	if o.Checkpoint.Paused != "" {
		text += o.Checkpoint.Paused + "; "
	}
	if !o.Next.IsZero() {
		text += "next " + o.Next.UTC().Format(form) + "; "
	}
	return text + "at " + o.Checkpoint.At.UTC().Format(form)
}

// TestTimerRun checks what a timer run does with a plan, in exact words: above all after an edit.
func TestTimerRun(t *testing.T) {
	const down = "no timer run read the plan: the app was down, or plan.yaml could not be read"
	nightly := checkpoint.By{Expression: "30 2 * * *", Zone: "UTC"}
	zurich := checkpoint.By{Expression: "30 2 * * *", Zone: "Europe/Zurich", Ahead: 3600}
	for _, c := range []struct {
		name       string
		checkpoint string // its time; "" for none
		by         checkpoint.By
		inProgress string
		paused     string // the checkpoint's
		expression string // the plan's
		zone       string // the plan's; "" for UTC
		window     time.Duration
		pauses     bool
		now        string
		looked     string // "" if timer runs came all along
		want       string
	}{
		{name: "a new plan", expression: "30 2 * * *", now: "15 12:00", want: "next 16 02:30; at 15 12:00"},
		{name: "nothing is due", checkpoint: "15 02:30", by: nightly, expression: "30 2 * * *", now: "15 12:00", want: "next 16 02:30; at 15 02:30"},
		{name: "due", checkpoint: "14 02:30", by: nightly, expression: "30 2 * * *", now: "15 02:30", want: "runs 15 02:30; next 16 02:30; at 15 02:30"},
		{
			name: "after days", checkpoint: "12 02:30", by: nightly, expression: "30 2 * * *", now: "15 12:00", looked: "12 10:00",
			want: "runs 15 02:30; missed 2, 13 02:30 to 14 02:30: " + down + "; next 16 02:30; at 15 02:30",
		},
		{
			name: "after days in which the timer came, and the plan stood still", checkpoint: "12 02:30", by: nightly, expression: "30 2 * * *",
			now: "15 12:00", want: "runs 15 02:30; missed 2, 13 02:30 to 14 02:30: " + down + "; next 16 02:30; at 15 02:30",
		},
		{
			name: "to a later hour that has passed", checkpoint: "15 02:30", by: nightly, expression: "0 10 * * *", now: "15 15:00",
			want: "runs 15 10:00; next 16 10:00; at 15 10:00",
		},
		{
			name: "to a later hour that is to come", checkpoint: "15 02:30", by: nightly, expression: "0 10 * * *", now: "15 09:59",
			want: "next 15 10:00; at 15 09:59",
		},
		{
			name: "to a later hour, past its window", checkpoint: "15 02:30", by: nightly, expression: "0 10 * * *", window: 3 * time.Hour, now: "15 15:00",
			want: "next 16 10:00; at 15 15:00",
		},
		{
			name: "from days to minutes", checkpoint: "15 02:30", by: nightly, expression: "*/10 * * * *", now: "15 15:04",
			want: "runs 15 15:00; next 15 15:10; at 15 15:00",
		},
		{
			name: "from days to hours, while the app was down", checkpoint: "12 02:30", by: nightly, expression: "0 * * * *", now: "15 15:04", looked: "15 11:30",
			want: "runs 15 15:00; missed 3, 15 12:00 to 15 14:00: " + down + "; next 15 16:00; at 15 15:00",
		},
		{
			name: "the same, and nobody knows since when", checkpoint: "15 11:30", by: nightly, expression: "0 * * * *", now: "15 15:04", looked: "1 00:00",
			want: "runs 15 15:00; missed 3, 15 12:00 to 15 14:00: " + down + "; next 15 16:00; at 15 15:00",
		},
		{
			name: "to a zone in the east", checkpoint: "15 02:30", by: nightly, expression: "30 2 * * *", zone: "Europe/Zurich", now: "15 12:00",
			want: "next 16 01:30; at 15 12:00",
		},
		{
			name: "to a zone in the west", checkpoint: "15 01:30", by: zurich, expression: "30 2 * * *", now: "15 12:00",
			want: "runs 15 02:30; next 16 02:30; at 15 02:30",
		},
		{
			name: "paused", checkpoint: "15 02:30", by: nightly, expression: "30 2 * * *", pauses: true, now: "15 12:00",
			want: "paused by nightly in plan.yaml; at 15 02:30",
		},
		{
			name: "paused, and edited", checkpoint: "15 02:30", by: nightly, expression: "0 * * * *", pauses: true, now: "15 12:00",
			want: "paused by nightly in plan.yaml; at 15 12:00",
		},
		{
			name: "still paused, and edited", checkpoint: "10 02:30", by: nightly, paused: "paused by nightly in plan.yaml", expression: "0 * * * *", pauses: true,
			now: "15 12:00", want: "paused by nightly in plan.yaml; at 10 02:30",
		},
		{
			name: "no longer paused", checkpoint: "12 02:30", by: nightly, paused: "paused by nightly in plan.yaml", expression: "30 2 * * *", now: "15 12:00",
			want: "missed 3, 13 02:30 to 15 02:30: paused by nightly in plan.yaml; next 16 02:30; at 15 12:00",
		},
		{
			name: "no longer paused, and edited", checkpoint: "12 01:30", by: zurich, paused: "paused by nightly in plan.yaml", expression: "0 * * * *", now: "15 12:10",
			want: "missed 3, 13 01:30 to 15 01:30: paused by nightly in plan.yaml; next 15 13:00; at 15 12:10",
		},
		{
			name: "back in plan.yaml", checkpoint: "5 02:30", by: nightly, paused: checkpoint.Left, expression: "30 2 * * *", now: "15 12:00",
			want: "runs 15 02:30; next 16 02:30; at 15 02:30",
		},
		{
			name: "back in plan.yaml, and the app was down", checkpoint: "5 02:30", by: nightly, paused: checkpoint.Left, expression: "30 2 * * *", now: "15 12:00",
			looked: "6 00:00", want: "runs 15 02:30; next 16 02:30; at 15 02:30",
		},
		{
			name: "back in plan.yaml before anything is due", checkpoint: "15 02:30", by: nightly, paused: checkpoint.Left, expression: "30 2 * * *", now: "15 12:00",
			want: "next 16 02:30; at 15 12:00",
		},
		{
			name: "back in plan.yaml, paused", checkpoint: "5 02:30", by: nightly, paused: checkpoint.Left, expression: "30 2 * * *", pauses: true, now: "15 12:00",
			want: "paused by nightly in plan.yaml; at 15 12:00",
		},
		{
			name: "a scheduled time in progress", checkpoint: "13 02:30", by: nightly, inProgress: "14 02:30", expression: "30 2 * * *", now: "15 12:00",
			want: "runs 14 02:30; runs 15 02:30; next 16 02:30; at 15 02:30",
		},
		{
			name: "a scheduled time in progress, and edited", checkpoint: "13 02:30", by: nightly, inProgress: "14 02:30", expression: "0 10 * * *", now: "14 12:00",
			want: "runs 14 02:30; runs 14 10:00; next 15 10:00; at 14 10:00",
		},
		{
			name: "a row of an older version", checkpoint: "12 02:30", expression: "0 10 * * *", now: "15 15:00",
			want: "runs 15 10:00; missed 3, 12 10:00 to 14 10:00: " + down + "; next 16 10:00; at 15 10:00",
		},
	} {
		zone := c.zone
		if zone == "" {
			zone = "UTC"
		}
		p := plan(t, c.expression, zone)
		p.Window, p.Paused = c.window, c.pauses
		look := checkpoint.Look{Now: at(t, c.now), Looked: at(t, c.now)}
		if c.looked != "" {
			look.Looked = at(t, c.looked)
		}
		var from *checkpoint.Checkpoint
		if c.checkpoint != "" {
			from = &checkpoint.Checkpoint{Plan: "nightly", At: at(t, c.checkpoint), By: c.by, Paused: c.paused, InProgress: at(t, c.inProgress)}
			if c.inProgress != "" {
				from.InProgressBy = c.by
			}
		}
		o := look.Run(from, p)
		if got := words(o); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
		if again := look.Run(&o.Checkpoint, p); len(again.Made) > 0 || again.Missed.Count > 0 || again.Checkpoint.At != o.Checkpoint.At {
			t.Errorf("%s: the timer run after it does %s", c.name, words(again))
		}
	}
}

// TestJitterOfRunsThatAreMadeTooLate: a timer run that died amid a scheduled time's runs may be finished after its window or behind the next
// scheduled time. No jitter is left then.
func TestJitterOfRunsThatAreMadeTooLate(t *testing.T) {
	p := plan(t, "30 2 * * *", "UTC")
	p.Targets, p.Jitter = []string{"a", "b", "c"}, 12*time.Hour
	began := at(t, "15 02:30")
	for _, c := range []struct{ window, after time.Duration }{
		{0, 24 * time.Hour}, {0, 30 * time.Hour}, {0, 900 * time.Hour}, {13 * time.Hour, 13 * time.Hour}, {13 * time.Hour, 20 * time.Hour},
	} {
		p.Window = c.window
		for _, run := range checkpoint.Runs(p, began, began.Add(c.after)) {
			if !run.Start.IsZero() || run.Reason.Code != "" {
				t.Errorf("with a window of %s, after %s: %s begins at %s", c.window, c.after, run.Target, run.Start)
			}
		}
	}
}

// TestAssume checks that the checkpoint without the app is at the newest scheduled time, or now where there is none to be made.
func TestAssume(t *testing.T) {
	now := at(t, "15 12:00")
	for expression, want := range map[string]string{
		"30 2 * * *": "next 16 02:30; at 15 02:30", "0 12 * * *": "next 16 12:00; at 15 12:00", "0 0 1 2 *": "next 1 00:00; at 1 00:00",
		"*/10 * * * *": "next 15 12:10; at 15 12:00",
	} {
		p := plan(t, expression, "UTC")
		look := checkpoint.Look{Now: now, Looked: now}
		c := look.Assume(p)
		if got := words(look.Run(&c, p)); got != want {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
		p.Paused = true
		if c := look.Assume(p); !c.At.Equal(now) || c.Paused != "paused by nightly in plan.yaml" {
			t.Errorf("%s, paused: %+v", expression, c)
		}
	}
}
