package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// timer returns the timer as health sees it.
func (s *harness) timer(name string) health.TimerHealth {
	s.t.Helper()
	_, timers, err := s.engine.Health(s.t.Context(), plans.Active{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, timer := range timers.Timers {
		if timer.Timer == name {
			return timer
		}
	}
	s.t.Fatalf("health knows no timer %s: %+v", name, timers)
	return health.TimerHealth{}
}

// fire runs a timer's function once.
func (s *harness) fire(timer string, e *engine.Engine) error {
	var err error
	if timer == "schedule" {
		_, err = e.Schedule(s.t.Context(), nil)
	} else {
		_, err = e.Cleanup(s.t.Context())
	}
	return err
}

func (s *harness) note(timer string) (row backup.Row, at, since time.Time) {
	s.t.Helper()
	for _, r := range s.storage.catalog.Rows() {
		if r.Key != (backup.Key{Partition: "schedule", Row: "last-run-" + timer}) {
			continue
		}
		var note struct{ At, Since time.Time }
		if err := json.Unmarshal(r.Body, &note); err != nil {
			s.t.Fatal(err)
		}
		return r, note.At, note.Since
	}
	return row, at, since
}

// TestTimerRunsAreNoted: each timer writes at most one note in five minutes, with any number of timer runs and instances, and
// none is older than that when the next timer run has come to its end.
func TestTimerRunsAreNoted(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		s := newHarness(t)
		blue, green := s.another(30*time.Second), s.another(-30*time.Second)
		etag, written := "", time.Time{}
		for s.now = begin; s.now.Before(begin.Add(time.Hour)); s.now = s.now.Add(20 * time.Second) {
			for _, e := range []*engine.Engine{blue, green} {
				if err := s.fire(timer, e); err != nil {
					t.Fatal(err)
				}
				row, at, since := s.note(timer)
				if age := s.now.Sub(at); age < 0 || age >= 5*time.Minute || !since.IsZero() {
					t.Fatalf("%s at %s: noted at %s", timer, s.now, at)
				}
				if row.ETag != etag {
					if s.now.Sub(written) < 5*time.Minute {
						t.Errorf("%s: written at %s and %s", timer, written, s.now)
					}
					etag, written = row.ETag, s.now
				}
			}
		}
	}
}

// TestACleanupThatRanOutOfTimeIsNoted: so a long one does not count as a timer that the host no longer fires.
func TestACleanupThatRanOutOfTimeIsNoted(t *testing.T) {
	s := newHarness(t)
	ctx, outOfTime := context.WithCancel(t.Context())
	s.storage.before = func(call int) {
		if call == 4 { // behind the list of due entries
			outOfTime()
		}
	}
	_, _ = s.engine.Cleanup(ctx)
	if _, at, _ := s.note("cleanup"); !at.Equal(s.now.Truncate(time.Second)) && !at.Equal(s.now) || ctx.Err() == nil {
		t.Errorf("noted at %s, %v", at, ctx.Err())
	}
}

// TestTwoTimerRunsNoteOnce: a timer run that reads an old note, and is overtaken before it writes, leaves the other's alone.
func TestTwoTimerRunsNoteOnce(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		for _, first := range []bool{true, false} {
			s, reads := newHarness(t), 3 // one of them inserts the row of the owner
			if !first {
				reads = 2
				if err := s.fire(timer, s.engine); err != nil {
					t.Fatal(err)
				}
				s.now = begin.Add(time.Hour)
			}
			s.storage.before = func(call int) {
				if call != reads+1 {
					return
				}
				s.storage.before = nil
				if err := s.fire(timer, s.another(0)); err != nil {
					t.Error(err)
				}
				s.now = s.now.Add(time.Second)
			}
			s.storage.calls = 0
			other := s.now
			if err := s.fire(timer, s.engine); err != nil {
				t.Errorf("%s: who was overtaken fails: %v", timer, err)
			}
			if _, at, _ := s.note(timer); !at.Equal(other) || s.storage.before != nil {
				t.Errorf("%s: noted at %s, want %s", timer, at, other)
			}
		}
	}
}

// TestANoteThatFails: the timer run says so, and the next one writes it, whether or not the first was made.
func TestANoteThatFails(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		for _, made := range []bool{false, true} {
			s := newHarness(t)
			s.storage.failAt, s.storage.made = 4, made
			if err := s.fire(timer, s.engine); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "timer "+timer) {
				t.Errorf("%s: %v", timer, err)
			}
			s.now = begin.Add(time.Minute)
			if err := s.fire(timer, s.engine); err != nil {
				t.Error(err)
			}
			want := begin.Add(time.Minute)
			if made {
				want = begin
			}
			if _, at, _ := s.note(timer); !at.Equal(want) {
				t.Errorf("%s, made %v: noted at %s", timer, made, at)
			}
		}
	}
}

// TestATimerIsEvaluatedByItsOwnRuns: by the schedule in its own app setting, and by its own newest note.
func TestATimerIsEvaluatedByItsOwnRuns(t *testing.T) {
	s := newHarness(t)
	night := daily(time.UTC, 2, 30)
	s.engine.Timers = map[string]health.TimerSchedule{"schedule": {Schedule: &night}, "cleanup": {Setting: "LIFEBOAT_CLEANUP_TIMER", Wrong: errors.New("nonsense")}}
	for _, timer := range []string{"schedule", "cleanup"} {
		if err := s.fire(timer, s.engine); err != nil {
			t.Fatal(err)
		}
	}
	for _, look := range []struct {
		timer    string
		after    time.Duration
		deadline time.Duration
		silent   bool
		code     string
	}{
		{"schedule", 0, 3 * day, false, ""},
		{"schedule", 3 * day, 3 * day, false, ""},
		{"schedule", 3*day + time.Second, 3 * day, true, "TimerSilent"},
		{"cleanup", 0, time.Hour, false, "TimerUnreadable"},
		{"cleanup", time.Hour, time.Hour, false, "TimerUnreadable"},
		{"cleanup", time.Hour + time.Second, time.Hour, true, "TimerSilent"},
	} {
		s.now = begin.Add(look.after)
		if h := s.timer(look.timer); h.Silent != look.silent || h.Reason.Code != look.code || !h.Last.Equal(begin) || !h.Deadline.Equal(begin.Add(look.deadline)) {
			t.Errorf("%s after %s: %+v", look.timer, look.after, h)
		}
	}
	s.now = begin.Add(4 * day)
	for _, timer := range []string{"schedule", "cleanup"} {
		if err := s.fire(timer, s.engine); err != nil {
			t.Fatal(err)
		}
		if h := s.timer(timer); h.Silent || !h.Last.Equal(s.now) {
			t.Errorf("%s runs again: %+v", timer, h)
		}
	}
}

// TestATimerThatNeverRan: a new app has its time, counted from the first look by any process; and then it is reported. Looks
// write nothing more.
func TestATimerThatNeverRan(t *testing.T) {
	s := newHarness(t)
	for _, at := range []time.Duration{0, time.Minute, 15 * time.Minute} {
		s.now = begin.Add(at)
		s.engine = s.another(0)
		s.storage.writes = 0
		if h := s.timer("schedule"); h.Silent || !h.Last.IsZero() {
			t.Errorf("after %s: %+v", at, h)
		}
		if s.storage.writes > 0 != (at == 0) {
			t.Errorf("after %s: %d writes", at, s.storage.writes)
		}
	}
	s.now = begin.Add(15*time.Minute + time.Second)
	s.engine = s.another(0)
	if h := s.timer("schedule"); !h.Silent || !strings.Contains(h.Reason.Message, "the timer schedule has never run to its end") ||
		!strings.Contains(h.Reason.Hint, "Storage Blob Data Owner") {
		t.Errorf("%+v", h)
	}
	if h := s.timer("cleanup"); h.Silent {
		t.Errorf("cleanup has an hour: %+v", h)
	}
	s.runSchedule()
	if h := s.timer("schedule"); h.Silent || !h.Last.Equal(s.now) {
		t.Errorf("its first timer run: %+v", h)
	}
	// A timer run comes first, as in an app that had none of these notes: nothing is waited for.
	s = newHarness(t)
	s.runSchedule()
	if _, _, since := s.note("schedule"); s.timer("schedule").Silent || !since.IsZero() {
		t.Error("the first timer run is no sign")
	}
}

// TestTwoFirstLooks: if two processes look at once, one writes, and neither fails.
func TestTwoFirstLooks(t *testing.T) {
	s := newHarness(t)
	s.storage.before = func(call int) {
		if call == 2 { // after the list
			s.storage.before = nil
			s.engine = s.another(0)
			s.timer("schedule")
			s.now = s.now.Add(time.Minute)
		}
	}
	first := s.now
	s.timer("schedule")
	if _, _, since := s.note("schedule"); !since.Equal(first) {
		t.Errorf("waited for since %s", since)
	}
}

// TestANoteOfAClockThatWasWrong: a note from the future hides no silence, be it a timer run or a look that finds it.
func TestANoteOfAClockThatWasWrong(t *testing.T) {
	s := newHarness(t)
	s.now = begin.AddDate(1, 0, 0)
	s.runSchedule()
	s.now = begin
	s.runSchedule()
	if _, at, _ := s.note("schedule"); !at.Equal(begin) {
		t.Errorf("the timer run leaves the note of %s", at)
	}
	s = newHarness(t)
	s.now = begin.AddDate(1, 0, 0)
	s.runSchedule()
	s.now = begin
	if h := s.timer("schedule"); h.Silent {
		t.Errorf("at once: %+v", h)
	}
	s.now = begin.Add(15*time.Minute + time.Second)
	if h := s.timer("schedule"); !h.Silent {
		t.Errorf("hidden by a note from the future: %+v", h)
	}
}

// TestATimerRunThatDoesNothingIsNone: while the clocks disagree nothing is scheduled, and health must not say that it is.
func TestATimerRunThatDoesNothingIsNone(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		s := newHarness(t)
		if err := s.fire(timer, s.another(time.Hour)); !errors.Is(err, engine.ErrClock) {
			t.Fatal(err)
		}
		if row, _, _ := s.note(timer); row.ETag != "" {
			t.Errorf("%s: noted %s", timer, row.Body)
		}
	}
}

// TestANoteThatCannotBeRead: no process writes it; health says so, and calls nothing silent.
func TestANoteThatCannotBeRead(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		s := newHarness(t)
		key := backup.Key{Partition: "schedule", Row: "last-run-" + timer}
		s.newer(key)
		if err := s.fire(timer, s.engine); err == nil || !strings.Contains(err.Error(), key.Row) {
			t.Errorf("the timer run of %s: %v", timer, err)
		}
		s.now = begin.Add(day)
		if h := s.timer(timer); h.Silent || h.Reason.Code != "RowUnreadable" || !strings.Contains(h.Reason.Message, key.Row) {
			t.Errorf("%s: %+v", timer, h)
		}
		s.stays(key)
	}
}

// TestNotesKeepWhatANewerVersionAdded: this holds for a timer run and for a look.
func TestNotesKeepWhatANewerVersionAdded(t *testing.T) {
	for _, timer := range []string{"schedule", "cleanup"} {
		for _, at := range []time.Time{begin.Add(-time.Hour), begin.Add(time.Hour)} {
			s := newHarness(t)
			body := fmt.Sprintf(`{"At":%q,"OfANewerVersion":"kept?"}`, at.Format(time.RFC3339))
			key := backup.Key{Partition: "schedule", Row: "last-run-" + timer}
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: json.RawMessage(body)}); err != nil {
				t.Fatal(err)
			}
			if at.After(begin) {
				s.timer(timer)
			} else if err := s.fire(timer, s.engine); err != nil {
				t.Fatal(err)
			}
			row, now, since := s.note(timer)
			if !strings.Contains(string(row.Body), `"OfANewerVersion":"kept?"`) || !now.Equal(begin) && !since.Equal(begin) {
				t.Errorf("%s: %s", timer, row.Body)
			}
		}
	}
}
