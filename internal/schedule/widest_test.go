package schedule_test

import (
	"testing"
	"time"

	"lifeboat/internal/schedule"
)

// TestWidest: the longest time between two scheduled times agrees with the scheduled times themselves, in a zone without changes.
func TestWidest(t *testing.T) {
	const all = 1<<60 - 1
	on := func(second, minute, hour, dom, month, weekday uint64) schedule.Schedule {
		return schedule.Schedule{Second: second, Minute: minute, Hour: hour, Day: dom, Month: month, Weekday: weekday, Zone: time.UTC}
	}
	const everyDay, everyMonth, anyWeekday, everyHour = 1<<32 - 2, 1<<13 - 2, 1<<7 - 1, 1<<24 - 1
	for _, s := range []schedule.Schedule{
		on(1, 1, 1<<1, everyDay, everyMonth, anyWeekday),
		on(1, 1, 1<<1, everyDay, everyMonth, 0b0111110),
		on(1, 1, 1<<1, 1<<1, 1<<1|1<<4|1<<7|1<<10, anyWeekday),
		on(1, 1, 1|1<<23, 1<<1|1<<15, everyMonth, anyWeekday),
		on(1, 1<<5|1<<50, everyHour, everyDay, everyMonth, anyWeekday),
		on(1, all, 1<<4|1<<9, everyDay, everyMonth, 1<<3),
		on(1<<9|1<<40, 1<<30, 1<<4, 1<<31, everyMonth, anyWeekday),
	} {
		var longest time.Duration
		begun := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		last := time.Time{}
		for scheduledTime := range s.After(begun) {
			if scheduledTime.After(begun.AddDate(4, 0, 0)) {
				break
			}
			if !last.IsZero() {
				longest = max(longest, scheduledTime.Sub(last))
			}
			last = scheduledTime
		}
		if got := s.Widest(); got != longest || got == 0 {
			t.Errorf("%+v: %s, and the scheduled times of four years have %s", s, got, longest)
		}
	}
	if got := on(1, 1, 1, 1<<30, 1<<2, anyWeekday).Widest(); got != 0 {
		t.Errorf("without scheduled times: %s", got)
	}
	if got := on(1, 1, 1, 1<<29, 1<<2, anyWeekday).Widest(); got != 1461*24*time.Hour {
		t.Errorf("leap days: %s", got)
	}
}
