package schedule

import (
	"iter"
	"math/bits"
	"slices"
	"time"
)

// Intervals returns the time from the newest scheduled time (at the instant or before it) to the first scheduled time after the
// instant, and to the second one. Both are zero if the schedule does not have these scheduled times.
func (s Schedule) Intervals(at time.Time) (one, two time.Duration) {
	first := s.Next(at)
	if first.IsZero() {
		return 0, 0
	}
	second := s.Next(first)
	if second.IsZero() {
		return 0, 0
	}
	before := s.newest(at, second.Sub(first))
	if before.IsZero() {
		before = first.Add(-second.Sub(first))
	}
	return first.Sub(before), second.Sub(before)
}

// Newest returns the newest scheduled time at the instant or before it, in UTC, or the zero time if there is none.
func (s Schedule) Newest(at time.Time) time.Time { return s.newest(at, time.Hour) }

// newest looks back by so much, and by twice as much each time, so that few scheduled times are counted.
func (s Schedule) newest(at time.Time, back time.Duration) (newest time.Time) {
	for ; newest.IsZero() && back < horizon*24*time.Hour; back *= 2 {
		for scheduledTime := range s.After(at.Add(-back)) {
			if scheduledTime.After(at) {
				break
			}
			newest = scheduledTime
		}
	}
	return newest
}

// Schedule is a cron expression in a time zone: bit n of a field is set where the value n matches. The day of the month
// and the day of the week must both match, as in the NCRONTAB of Azure Functions.
type Schedule struct {
	Second, Minute, Hour, Day, Month, Weekday uint64
	// Last, above 0, allows only that number of days at the end of each month: 1 for the last day (L), 7 for a last Friday
	// (FRIL).
	Last int
	Zone *time.Location
}

// EveryHour is the field Hour of a schedule that follows elapsed time.
const EveryHour = 1<<24 - 1

// horizon bounds the search for a scheduled time: a 29 February can be eight years away.
const horizon = 9 * 366

// FirstInterval returns the end of the first interval that begins after the instant: the second scheduled time; zero if there is none.
func (s Schedule) FirstInterval(after time.Time) time.Time {
	first := s.Next(after)
	if first.IsZero() {
		return first
	}
	return s.Next(first)
}

// Next returns the first scheduled time after the instant, in UTC, or the zero time if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	for t := range s.After(after) {
		return t
	}
	return time.Time{}
}

// After yields the scheduled times after the instant, in UTC, oldest first, until there is none.
//
// With fixed hours every local time of a day is one instant, also on the days when clocks change. If the clock jumps over a
// time, it counts by the old offset (02:30 becomes 03:30). If a time happens twice, the first one counts. With every hour ("*")
// scheduled times follow elapsed time.
func (s Schedule) After(after time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if s.Hour == EveryHour {
			for t := s.nextElapsed(after); !t.IsZero() && yield(t); {
				t = s.nextElapsed(t)
			}
			return
		}
		day := after.In(s.Zone).AddDate(0, 0, -1)
		for idle := 0; idle < horizon; idle++ {
			y, m, d := day.Date()
			if s.onDay(y, m, d, day.Weekday()) {
				for _, t := range s.ofDay(y, m, d) {
					if !t.After(after) {
						continue
					}
					if !yield(t.UTC()) {
						return
					}
					after, idle = t, 0
				}
			}
			day = time.Date(y, m, d+1, 12, 0, 0, 0, s.Zone)
		}
	}
}

func (s Schedule) onDay(y int, m time.Month, d int, w time.Weekday) bool {
	return s.Month>>m&1 == 1 && s.Day>>d&1 == 1 && s.Weekday>>w&1 == 1 &&
		(s.Last == 0 || time.Date(y, m, d+s.Last, 0, 0, 0, 0, time.UTC).Month() != m)
}

// ofDay returns the scheduled times of the local day, sorted: a scheduled time in the hour that a clock jumps over may overtake
// later ones.
func (s Schedule) ofDay(y int, m time.Month, d int) []time.Time {
	var scheduledTimes []time.Time
	for _, second := range s.clock() {
		scheduledTimes = append(scheduledTimes, Instant(y, m, d, second/3600, second/60%60, second%60, s.Zone))
	}
	slices.SortFunc(scheduledTimes, time.Time.Compare)
	return scheduledTimes
}

// nextElapsed steps through real time, by whole minutes where it can: every zone's offset is in whole minutes today.
func (s Schedule) nextElapsed(after time.Time) time.Time {
	t := after.Truncate(time.Second).Add(time.Second).In(s.Zone)
	for end := t.AddDate(0, 0, horizon); t.Before(end); {
		switch {
		case !s.onDay(t.Year(), t.Month(), t.Day(), t.Weekday()):
			y, m, d := t.Date()
			t = Instant(y, m, d+1, 0, 0, 0, s.Zone).In(s.Zone)
		case s.Minute>>t.Minute()&1 == 0:
			t = t.Add(time.Minute - time.Duration(t.Second())*time.Second)
		case s.Second>>t.Second()&1 == 0:
			t = t.Add(time.Second)
		default:
			return t.UTC()
		}
	}
	return time.Time{}
}

// each yields the numbers of the bits set, lowest first.
func each(set uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}

// Widest returns the longest time between two successive scheduled times, on clocks that never change; 0 if there are no two.
func (s Schedule) Widest() time.Duration {
	var widest time.Duration
	times := s.clock()
	for i := 1; i < len(times); i++ {
		widest = max(widest, time.Duration(times[i]-times[i-1])*time.Second)
	}
	previous := -1
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) // a leap year
	for n := range horizon {
		if day := start.AddDate(0, 0, n); !s.onDay(day.Year(), day.Month(), day.Day(), day.Weekday()) {
			continue
		}
		if previous >= 0 {
			first, last := times[0], times[len(times)-1]
			widest = max(widest, time.Duration((n-previous)*24*3600+first-last)*time.Second)
		}
		previous = n
	}
	return widest
}

// clock returns the times of a day with a scheduled time, in seconds since midnight.
func (s Schedule) clock() []int {
	var all []int
	for hour := range each(s.Hour) {
		for minute := range each(s.Minute) {
			for second := range each(s.Second) {
				all = append(all, hour*3600+minute*60+second)
			}
		}
	}
	return all
}

// Instant returns the time at which the zone's clocks show the local time: the first one if they show it twice. If they never
// show it, the offset before the change counts.
func Instant(y int, m time.Month, d, hour, minute, second int, zone *time.Location) time.Time {
	asUTC := time.Date(y, m, d, hour, minute, second, 0, time.UTC)
	near := time.Date(y, m, d, hour, minute, second, 0, zone)
	_, before := near.Add(-4 * time.Hour).Zone()
	_, later := near.Add(4 * time.Hour).Zone()
	first := asUTC.Add(-time.Duration(before) * time.Second)
	last := asUTC.Add(-time.Duration(later) * time.Second)
	if _, o := first.In(zone).Zone(); o == before {
		return first
	}
	if _, o := last.In(zone).Zone(); o == later {
		return last
	}
	return first
}
