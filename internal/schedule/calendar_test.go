package schedule_test

import (
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // the same zones wherever the tests run

	"lifeboat/internal/schedule"
)

const (
	anyDay     = 1<<32 - 2
	anyMonth   = 1<<13 - 2
	anyWeekday = 1<<7 - 1
	anyHour    = 1<<24 - 1
)

func daily(z *time.Location, hour, minute int) schedule.Schedule {
	return schedule.Schedule{
		Second: 1, Minute: 1 << minute, Hour: 1 << hour, Day: anyDay, Month: anyMonth, Weekday: anyWeekday, Zone: z,
	}
}

func TestNext(t *testing.T) {
	zurich, newYork := zone(t, "Europe/Zurich"), zone(t, "America/New_York")
	lordHowe, santiago := zone(t, "Australia/Lord_Howe"), zone(t, "America/Santiago")
	hourly := schedule.Schedule{
		Second: 1, Minute: 1 << 30, Hour: anyHour, Day: anyDay, Month: anyMonth, Weekday: anyWeekday, Zone: zurich,
	}
	leap := daily(time.UTC, 0, 0)
	leap.Day, leap.Month = 1<<29, 1<<2
	never := leap
	never.Day = 1 << 30
	neverHourly := never
	neverHourly.Hour = anyHour
	monday := daily(time.UTC, 6, 0)
	monday.Weekday = 1 << 1
	friday13 := daily(time.UTC, 6, 0)
	friday13.Day, friday13.Weekday = 1<<13, 1<<5
	for _, test := range []struct {
		name        string
		s           schedule.Schedule
		after, want string // want "" for none
	}{
		{"later today", daily(time.UTC, 2, 30), "2026-01-15T02:29:59Z", "2026-01-15T02:30:00Z"},
		{"the scheduled time itself is not after itself", daily(time.UTC, 2, 30), "2026-01-15T02:30:00Z", "2026-01-16T02:30:00Z"},
		{"a fraction of a second before", daily(time.UTC, 2, 30), "2026-01-15T02:29:59.9Z", "2026-01-15T02:30:00Z"},
		{"over the end of the year", daily(time.UTC, 2, 30), "2026-12-31T03:00:00Z", "2027-01-01T02:30:00Z"},
		{"a weekday", monday, "2026-01-15T00:00:00Z", "2026-01-19T06:00:00Z"},
		{"day and weekday must both match", friday13, "2026-01-15T00:00:00Z", "2026-02-13T06:00:00Z"},
		{"29 February", leap, "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"30 February", never, "2026-01-01T00:00:00Z", ""},
		{"30 February, every hour", neverHourly, "2026-01-01T00:00:00Z", ""},
		{"Zurich, winter", daily(zurich, 2, 30), "2026-03-27T12:00:00Z", "2026-03-28T01:30:00Z"},
		{"Zurich, the gap: an hour later by the clock", daily(zurich, 2, 30), "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"},
		{"Zurich, after the gap", daily(zurich, 2, 30), "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"Zurich, the overlap: its first", daily(zurich, 2, 30), "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"Zurich, not its second", daily(zurich, 2, 30), "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"New York, the gap", daily(newYork, 2, 30), "2026-03-07T12:00:00Z", "2026-03-08T07:30:00Z"},
		{"New York, the overlap", daily(newYork, 1, 30), "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z"},
		{"New York, not its second", daily(newYork, 1, 30), "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		{"New York, after the gap", daily(newYork, 2, 30), "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"},
		{"Lord Howe, the gap of half an hour", daily(lordHowe, 2, 15), "2026-10-03T12:00:00Z", "2026-10-03T15:45:00Z"},
		{"Lord Howe, after the gap", daily(lordHowe, 2, 15), "2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"},
		{"Lord Howe, the overlap", daily(lordHowe, 1, 45), "2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z"},
		{"Lord Howe, not its second", daily(lordHowe, 1, 45), "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
		{"Santiago, the gap at midnight", daily(santiago, 0, 30), "2026-09-05T12:00:00Z", "2026-09-06T04:30:00Z"},
		{"Santiago, after the gap", daily(santiago, 0, 30), "2026-09-06T04:30:00Z", "2026-09-07T03:30:00Z"},
		{"Santiago, the overlap before midnight", daily(santiago, 23, 30), "2026-04-04T12:00:00Z", "2026-04-05T02:30:00Z"},
		{"Santiago, not its second", daily(santiago, 23, 30), "2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"},
		{"every hour over the gap", hourly, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"},
		{"every hour in the overlap", hourly, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"every hour after it", hourly, "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			after, err := time.Parse(time.RFC3339Nano, test.after)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if next := test.s.Next(after); !next.IsZero() {
				got = next.Format(time.RFC3339)
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestNextOncePerDay: a daily time comes once on every local day of a year, even if the clocks change.
func TestNextOncePerDay(t *testing.T) {
	for _, test := range []struct {
		zone         string
		hour, minute int
	}{
		{"UTC", 2, 30},
		{"Europe/Zurich", 2, 30},
		{"Europe/Zurich", 2, 0},
		{"Europe/Zurich", 3, 0},
		{"America/New_York", 2, 30},
		{"America/New_York", 1, 30},
		{"Australia/Lord_Howe", 2, 15},
		{"Australia/Lord_Howe", 1, 45},
		{"America/Santiago", 0, 30},
		{"America/Santiago", 23, 30},
	} {
		z := zone(t, test.zone)
		s := daily(z, test.hour, test.minute)
		seen := map[string]int{}
		at := time.Date(2025, 12, 31, 23, 59, 59, 0, z)
		end := time.Date(2027, 1, 1, 0, 0, 0, 0, z)
		for at = s.Next(at); at.Before(end); at = s.Next(at) {
			seen[at.In(z).Format(time.DateOnly)]++
		}
		for day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() == 2026; day = day.AddDate(0, 0, 1) {
			if n := seen[day.Format(time.DateOnly)]; n != 1 {
				t.Errorf("%s %02d:%02d comes %d times on %s", test.zone, test.hour, test.minute, n, day.Format(time.DateOnly))
			}
		}
		if len(seen) != 365 {
			t.Errorf("%s %02d:%02d: %d days", test.zone, test.hour, test.minute, len(seen))
		}
	}
}

// TestNextHourly: "every hour" follows elapsed time, 24 scheduled times on most days, 23 and 25 on two of them.
func TestNextHourly(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Zurich", "America/Santiago"} {
		s := daily(zone(t, name), 0, 0)
		s.Hour = anyHour
		at := s.Next(time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC))
		for range 365 * 24 {
			next := s.Next(at)
			if next.Sub(at) != time.Hour {
				t.Fatalf("%s: %s follows %s", name, next, at)
			}
			at = next
		}
	}
}

// TestNextAgainstWalk compares with a walk through all seconds, for schedules at random.
func TestNextAgainstWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bits := func(from, to, most int) (set uint64) {
		for range 1 + random.IntN(most) {
			set |= 1 << (from + random.IntN(to-from+1))
		}
		return set
	}
	zones := []*time.Location{time.UTC, zone(t, "Europe/Zurich"), zone(t, "America/New_York"), zone(t, "Asia/Kathmandu")}
	for i := range 300 {
		z := zones[i%len(zones)]
		s := schedule.Schedule{
			Second: bits(0, 59, 2), Minute: bits(0, 59, 4), Hour: bits(0, 23, 5), Day: anyDay, Month: anyMonth,
			Weekday: bits(0, 6, 4), Zone: z,
		}
		if i%3 == 0 {
			s.Hour = anyHour
		}
		// Keep away from changes of the clocks: the walk does not know them, and they have their own table.
		after := time.Date(2026, 5, 1, 0, 0, random.IntN(100*86400), 0, time.UTC)
		want := after.Add(time.Second)
		for !matches(s, want.In(z)) {
			step := time.Second
			if s.Minute>>want.In(z).Minute()&1 == 0 {
				step = time.Duration(60-want.Second()) * time.Second
			}
			want = want.Add(step)
		}
		if got := s.Next(after); !got.Equal(want) {
			t.Fatalf("%+v after %s: got %s, want %s", s, after, got, want)
		}
	}
}

func matches(s schedule.Schedule, t time.Time) bool {
	has := func(set uint64, n int) bool { return set>>n&1 == 1 }
	return has(s.Second, t.Second()) && has(s.Minute, t.Minute()) && has(s.Hour, t.Hour()) && has(s.Day, t.Day()) &&
		has(s.Month, int(t.Month())) && has(s.Weekday, int(t.Weekday()))
}

// TestScheduledTimesAreTheSameFromWhereverOneLooks: the next scheduled time after an instant is the same if the search begins
// long before, also on the days when clocks change, on any local day of the zone.
func TestScheduledTimesAreTheSameFromWhereverOneLooks(t *testing.T) {
	for name, changes := range map[string][]string{
		"America/Nuuk":         {"2026-03-29", "2026-10-25"}, // 23:00 becomes 00:00 of the next day
		"America/Scoresbysund": {"2026-03-29", "2026-10-25"},
		"America/Santiago":     {"2026-04-05", "2026-09-06"}, // 00:00 becomes 01:00
		"Africa/Cairo":         {"2026-04-24", "2026-10-30"},
		"Asia/Beirut":          {"2026-03-29", "2026-10-25"},
		"Europe/Zurich":        {"2026-03-29", "2026-10-25"},
		"Australia/Lord_Howe":  {"2026-04-05", "2026-10-04"}, // by half an hour
		"Pacific/Apia":         {"2011-12-30"},               // a day that never was
		"Pacific/Kwajalein":    {"1993-08-21"},
	} {
		for _, change := range changes {
			day, err := time.Parse(time.DateOnly, change)
			if err != nil {
				t.Fatal(err)
			}
			for _, hour := range []int{0, 1, 2, 23} {
				for _, minute := range []int{0, 30} {
					s := daily(zone(t, name), hour, minute)
					var scheduledTimes []time.Time
					for scheduledTime := range s.After(day.AddDate(0, 0, -5)) {
						if scheduledTimes = append(scheduledTimes, scheduledTime); scheduledTime.After(day.AddDate(0, 0, 5)) {
							break
						}
					}
					for at := day.Add(-18 * time.Hour); at.Before(day.Add(42 * time.Hour)); at = at.Add(15 * time.Minute) {
						next := 0
						for !scheduledTimes[next].After(at) {
							next++
						}
						if got := s.Next(at); !got.Equal(scheduledTimes[next]) {
							t.Fatalf("%02d:%02d in %s: after %s comes %s, and not %s", hour, minute, name, at, got, scheduledTimes[next])
						}
					}
				}
			}
		}
	}
}

// TestIntervals: both intervals count from the scheduled time at the instant or before it, to the two scheduled times behind it.
func TestIntervals(t *testing.T) {
	nightly, work, leap, never := daily(time.UTC, 2, 30), daily(time.UTC, 2, 30), daily(time.UTC, 2, 30), daily(time.UTC, 2, 30)
	work.Weekday = 0b0111110
	leap.Day, leap.Month = 1<<29, 1<<2
	never.Day = 0
	hourly := daily(zone(t, "Europe/Zurich"), 2, 30)
	hourly.Hour = anyHour
	for _, test := range []struct {
		name     string
		s        schedule.Schedule
		at       string
		one, two time.Duration
	}{
		{"at a scheduled time", nightly, "2026-01-16T02:30:00Z", day, 2 * day},
		{"a second before it", nightly, "2026-01-16T02:29:59Z", day, 2 * day},
		{"a second after it", nightly, "2026-01-16T02:30:01Z", day, 2 * day},
		{"the far past", nightly, "0002-01-01T00:00:00Z", day, 2 * day},
		{"the far future", nightly, "9000-01-01T00:00:00Z", day, 2 * day},
		{"a second before Friday's", work, "2026-01-16T02:29:59Z", day, 4 * day},
		{"over the weekend", work, "2026-01-16T02:30:00Z", 3 * day, 4 * day},
		{"a second before Monday's", work, "2026-01-19T02:29:59Z", 3 * day, 4 * day},
		{"at Monday's", work, "2026-01-19T02:30:00Z", day, 2 * day},
		{"leap days", leap, "2024-02-29T02:30:00Z", 1461 * day, 2922 * day},
		{"eight years without a leap day", leap, "2103-12-31T00:00:00Z", 2921 * day, 4382 * day},
		{"the clocks jump", daily(zone(t, "Europe/Zurich"), 2, 30), "2026-03-28T12:00:00Z", day, 2*day - time.Hour},
		{"an hour comes twice", daily(zone(t, "Europe/Zurich"), 2, 30), "2026-10-24T12:00:00Z", day, 2*day + time.Hour},
		{"every hour, and the clocks jump", hourly, "2026-03-29T00:59:59Z", time.Hour, 2 * time.Hour},
		{"no scheduled times", never, "2026-01-16T02:30:00Z", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, test.at)
			if err != nil {
				t.Fatal(err)
			}
			if one, two := test.s.Intervals(at); one != test.one || two != test.two {
				t.Errorf("%s and %s, want %s and %s", one, two, test.one, test.two)
			}
		})
	}
}

// TestInstant: a local time is one instant, also beside and within the hours that the clocks skip or repeat.
func TestInstant(t *testing.T) {
	for _, test := range []struct{ zone, local, want string }{
		{"UTC", "2026-01-15T02:30:00", "2026-01-15T02:30:00Z"},
		{"UTC", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"},
		{"Europe/Zurich", "2026-01-15T02:30:00", "2026-01-15T01:30:00Z"},
		{"Europe/Zurich", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"},
		{"Europe/Zurich", "2026-03-29T02:00:00", "2026-03-29T01:00:00Z"}, // never shown
		{"Europe/Zurich", "2026-03-29T02:59:59", "2026-03-29T01:59:59Z"},
		{"Europe/Zurich", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"},
		{"Europe/Zurich", "2026-10-25T01:59:59", "2026-10-24T23:59:59Z"},
		{"Europe/Zurich", "2026-10-25T02:00:00", "2026-10-25T00:00:00Z"}, // shown twice
		{"Europe/Zurich", "2026-10-25T02:59:59", "2026-10-25T00:59:59Z"},
		{"Europe/Zurich", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"},
		{"Europe/Zurich", "9000-07-01T02:30:00", "9000-07-01T00:30:00Z"},
		{"Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:45:00Z"},
		{"America/Santiago", "2026-09-06T00:00:00", "2026-09-06T04:00:00Z"},
	} {
		l, err := time.Parse("2006-01-02T15:04:05", test.local)
		if err != nil {
			t.Fatal(err)
		}
		z := zone(t, test.zone)
		want, err := time.Parse(time.RFC3339, test.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule.Instant(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), z); !got.Equal(want) {
			t.Errorf("%s in %s is %s, want %s", test.local, test.zone, got.UTC().Format(time.RFC3339), test.want)
		}
	}
	if got := schedule.Instant(2026, time.January, 32, 0, 0, 0, time.UTC); !got.Equal(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the day after the last of a month is %s", got)
	}
}
