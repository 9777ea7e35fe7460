package schedule_test

import (
	"testing"
	"time"

	"lifeboat/internal/schedule"
)

const day = 24 * time.Hour

var begin = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

func TestDue(t *testing.T) {
	for _, test := range []struct {
		name    string
		window  time.Duration
		since   int           // days since the checkpoint, which is at a scheduled time,
		and     time.Duration // and this
		newest  int           // the day of the scheduled time that becomes runs, 0 for none
		missed  int
		lastDay int
	}{
		{"the checkpoint's own scheduled time is not due", 0, 0, 0, 0, 0, 0},
		{"a second early", 0, 0, day - time.Second, 0, 0, 0},
		{"that of now is", 0, 1, 0, 1, 0, 0},
		{"the window lasts to the next scheduled time", 0, 1, day - time.Second, 1, 0, 0},
		{"only the newest", 0, 14, 5 * time.Hour, 14, 13, 13},
		{"inside the window", 3 * time.Hour, 2, 3*time.Hour - time.Second, 2, 1, 1},
		{"its window has passed", 3 * time.Hour, 1, 3 * time.Hour, 0, 1, 1},
		{"the window of the newest too", 3 * time.Hour, 14, 5 * time.Hour, 0, 14, 14},
		{"a window longer than that ends with the next scheduled time", 72 * time.Hour, 3, time.Hour, 3, 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			on := func(n int) time.Time { return begin.AddDate(0, 0, n) }
			newest, missed := daily(time.UTC, 2, 30).Due(begin, on(test.since).Add(test.and), test.window)
			if test.newest == 0 && !newest.IsZero() || test.newest > 0 && !newest.Equal(on(test.newest)) {
				t.Errorf("the scheduled time is %s, want that of day %d", newest, test.newest)
			}
			if missed.Count != test.missed ||
				test.missed > 0 && (!missed.First.Equal(on(1)) || !missed.Last.Equal(on(test.lastDay))) {
				t.Errorf("missed %+v, want %d up to day %d", missed, test.missed, test.lastDay)
			}
		})
	}
}

// TestDueAfterLong: even a year of scheduled times every minute is counted within a timer run.
func TestDueAfterLong(t *testing.T) {
	s := daily(time.UTC, 2, 30)
	s.Minute, s.Hour = 1<<60-1, anyHour>>1
	if _, missed := s.Due(begin, begin.AddDate(1, 0, 0), 0); missed.Count != 365*23*60-1 {
		t.Errorf("missed %+v", missed)
	}
}

// TestMissedScheduledTimes: all scheduled times after the checkpoint count, up to now, and each counts once.
func TestMissedScheduledTimes(t *testing.T) {
	never := daily(time.UTC, 2, 30)
	never.Day = 0
	for _, test := range []struct {
		name  string
		s     schedule.Schedule
		now   time.Time
		count int
	}{
		{"no time has passed", daily(time.UTC, 2, 30), begin, 0},
		{"now is before the checkpoint", daily(time.UTC, 2, 30), begin.AddDate(0, 0, -3), 0},
		{"a second before the first", daily(time.UTC, 2, 30), begin.Add(day - time.Second), 0},
		{"at the first", daily(time.UTC, 2, 30), begin.Add(day), 1},
		{"a second after the first", daily(time.UTC, 2, 30), begin.Add(day + time.Second), 1},
		{"a year", daily(time.UTC, 2, 30), begin.AddDate(1, 0, 0), 365},
		{"a hundred years", daily(time.UTC, 2, 30), begin.AddDate(100, 0, 0), 36_524},
		{"no scheduled times", never, begin.AddDate(100, 0, 0), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			missed := test.s.Missed(begin, test.now)
			want := schedule.MissedRuns{Count: test.count}
			if test.count > 0 {
				want.First, want.Last = begin.Add(day), begin.Add(time.Duration(test.count)*day)
			}
			if missed != want {
				t.Errorf("missed %+v, want %+v", missed, want)
			}
		})
	}
}
