package health_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/health"
	"lifeboat/internal/schedule"
)

// timers makes an NCRONTAB expression of these hours and minutes, in UTC.
func timers(hours, minutes, weekdays uint64) *schedule.Schedule {
	const every = 1<<32 - 1
	return &schedule.Schedule{Second: 1, Minute: minutes, Hour: hours, Day: every, Month: every, Weekday: weekdays, Zone: time.UTC}
}

// minutely is "0 * * * * *".
var minutely = timers(1<<24-1, 1<<60-1, 127)

// TestASilentTimer: three timer runs after the last noted one, but not before a quarter of an hour or an hour.
func TestASilentTimer(t *testing.T) {
	office := timers(1<<19-1<<8, 1<<60-1, 62) // 0 * 8-18 * * 1-5
	friday := time.Date(2026, 1, 16, 18, 57, 30, 0, time.UTC)
	for _, c := range []struct {
		name, timer string
		schedule    health.TimerSchedule
		last        time.Time
		// loud is the last instant at which the timer is not silent.
		loud time.Time
	}{
		{"each minute", "schedule", health.TimerSchedule{Schedule: minutely}, begin, begin.Add(15 * time.Minute)},
		{"each ten minutes", "schedule", health.TimerSchedule{Schedule: timers(1<<24-1, 1|1<<10|1<<20|1<<30|1<<40|1<<50, 127)}, begin, begin.Add(30 * time.Minute)},
		{"each five minutes", "schedule", health.TimerSchedule{Schedule: timers(1<<24-1, 1|1<<5|1<<10|1<<15|1<<20|1<<25|1<<30|1<<35|1<<40|1<<45|1<<50|1<<55, 127)}, begin, begin.Add(15 * time.Minute)},
		{"in office hours", "schedule", health.TimerSchedule{Schedule: office}, friday, time.Date(2026, 1, 19, 8, 2, 0, 0, time.UTC)},
		{"a setting that cannot be read", "schedule", health.TimerSchedule{Setting: "LIFEBOAT_SCHEDULE_TIMER", Wrong: errors.New("nonsense")}, begin, begin.Add(15 * time.Minute)},
		{"cleanup each minute", "cleanup", health.TimerSchedule{Schedule: minutely}, begin, begin.Add(time.Hour)},
		{"cleanup each day", "cleanup", health.TimerSchedule{Schedule: timers(1, 1, 127)}, begin, time.Date(2026, 1, 18, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			look := func(last, now time.Time) health.TimerHealth {
				return c.schedule.Evaluate(c.timer, last, last, timeout(t, c.timer), now, nil)
			}
			for now := c.last; !now.After(c.loud); now = now.Add(c.loud.Sub(c.last) / 8) {
				if h := look(c.last, now); h.Silent || (h.Reason.Code == "TimerUnreadable") != (c.schedule.Wrong != nil) || (h.Reason.Code == "") == (c.schedule.Wrong != nil) || !h.Last.Equal(c.last) || !h.Deadline.Equal(c.loud) {
					t.Fatalf("at %s: %+v", now, h)
				}
			}
			now := c.loud.Add(time.Second)
			h := look(c.last, now)
			if !h.Silent || h.Reason.Code != "TimerSilent" || !strings.Contains(h.Reason.Message, c.last.Format(time.RFC3339)) ||
				!strings.HasPrefix(h.Reason.Hint, "First see that the app has the role Storage Blob Data Owner on its own storage account") {
				t.Errorf("a second later: %+v", h)
			}
			if c.schedule.Wrong != nil && !strings.Contains(h.Reason.Message, "the app setting LIFEBOAT_SCHEDULE_TIMER cannot be read: nonsense") {
				t.Errorf("what is wrong with the setting is not told: %+v", h)
			}
			if h := look(now, now); h.Silent || !h.Last.Equal(now) {
				t.Errorf("it runs again: %+v", h)
			}
		})
	}
	t.Run("no three timer runs to wait for", func(t *testing.T) {
		never := *minutely
		never.Day, never.Month = 1<<30, 1<<2
		h := health.TimerSchedule{Schedule: &never}.Evaluate("schedule", begin, begin, timeout(t, "schedule"), begin.AddDate(5, 0, 0), nil)
		if h.Silent || !h.Deadline.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

// timeout returns the time that the timer has at least.
func timeout(t *testing.T, timer string) time.Duration {
	t.Helper()
	for _, known := range health.Timers {
		if known.Name == timer {
			return known.Limit
		}
	}
	t.Fatalf("health knows no timer %s", timer)
	return 0
}

// TestATimerWithoutATimerRun: the deadline counts from the time since which a timer run is waited for. A row that cannot be read
// makes no timer silent.
func TestATimerWithoutATimerRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		now    time.Time
		unread error
		silent bool
		code   string
		words  string
	}{
		{"at once", begin, nil, false, "", ""},
		{"at the deadline", begin.Add(15 * time.Minute), nil, false, "", ""},
		{
			"just after the deadline", begin.Add(15*time.Minute + time.Nanosecond), nil, true, "TimerSilent",
			"the timer schedule has never run to its end; health has waited for its first run since 2026-01-15T02:30:00Z",
		},
		{"years later", begin.AddDate(5, 0, 0), nil, true, "TimerSilent", "has never run"},
		{"a clock that was wrong", begin.AddDate(-5, 0, 0), nil, false, "", ""},
		{"its row cannot be read", begin.AddDate(5, 0, 0), errors.New("row p/r cannot be read"), false, "RowUnreadable", "row p/r cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := health.TimerSchedule{Schedule: minutely}.Evaluate("schedule", time.Time{}, begin, 15*time.Minute, test.now, test.unread)
			if h.Timer != "schedule" || !h.Last.IsZero() || h.Silent != test.silent || h.Reason.Code != test.code ||
				!strings.Contains(h.Reason.Message, test.words) || h.Deadline.IsZero() != (test.unread != nil) {
				t.Errorf("%+v", h)
			}
		})
	}
}
