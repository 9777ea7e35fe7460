package retention_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/retention"
)

// history makes the points of backups that began at these times, each with the sum that its clock had then.
func history(grace time.Duration, times ...time.Time) (points []retention.Point) {
	var clock retention.Clock
	for i, t := range times {
		p := retention.Point{ID: fmt.Sprintf("p%05d", i), Began: t, Worked: clock.At(t, grace)}
		points, clock = append(points, p), clock.Advance(p, grace, t)
	}
	return points
}

// clockOf returns the clock after all points up to now.
func clockOf(r retention.Rules, points []retention.Point, now time.Time) (c retention.Clock) {
	for _, p := range slices.SortedFunc(slices.Values(points), func(a, b retention.Point) int { return a.Began.Compare(b.Began) }) {
		c = c.Advance(p, r.Grace, now)
	}
	return c
}

// each returns the times from the first to the last day, at the same times of the day.
func each(zone *time.Location, from, to string, clocks ...string) (times []time.Time) {
	last := on(zone, to+" 23:59")
	for d := 0; ; d++ {
		for _, clock := range clocks {
			t := on(zone, from+" "+clock)
			if t = time.Date(t.Year(), t.Month(), t.Day()+d, t.Hour(), t.Minute(), 0, 0, zone); t.After(last) {
				return times
			}
			times = append(times, t)
		}
	}
}

func on(zone *time.Location, text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		panic(err)
	}
	return t
}

// keeps returns the points that the rules keep, the newest first, in a layout and the zone of the rules.
func keeps(r retention.Rules, points []retention.Point, now time.Time, layout string) string {
	type kept struct {
		began time.Time
		id    string
	}
	var all []kept
	for i, v := range r.Evaluate(points, clockOf(r, points, now), now) {
		if v.Keep {
			all = append(all, kept{points[i].Began.In(r.Zone), v.ID})
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(b.began.Compare(a.began), cmp.Compare(b.id, a.id)) })
	var texts []string
	for _, k := range all {
		texts = append(texts, cmp.Or(k.began.Format(layout), k.id))
	}
	return strings.Join(texts, " ")
}

const (
	byDay  = "2006-01-02"
	byTime = "02T15:04"
)

// TestVectors has the vectors of seventeen other tools' comparison: how a history is made, the policy, the time, and the points that
// are kept. Minimum is 1 in all that do not say another.
func TestVectors(t *testing.T) {
	zurich := zone(t, "Europe/Zurich")
	daily := func(from, to string) []time.Time { return each(zurich, from, to, "02:30") }
	noons := func(to string) []time.Time {
		last := on(zurich, to+" 12:00")
		return each(zurich, last.AddDate(-10, 0, 1).Format(byDay), to, "12:00")
	}
	gfs := retention.Policy{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}
	var mondays []time.Time
	for n := range 40 {
		mondays = append(mondays, on(zurich, "2026-11-23 02:30").AddDate(0, 0, -7*(39-n)))
	}
	twoDays := each(zurich, "2026-11-20", "2026-11-21", "02:30", "08:30", "14:30", "20:30")
	paused := append(daily("2026-07-31", "2026-09-28"), on(zurich, "2026-11-08 02:30"))
	resumed := append(daily("2026-07-31", "2026-09-28"), daily("2026-11-08", "2026-12-31")...)
	var autumn []time.Time
	for n := range 8 {
		autumn = append(autumn, on(zurich, "2026-10-24 22:30").Add(time.Duration(n)*time.Hour))
	}
	future := append(daily("2026-11-01", "2026-11-27"), daily("2031-01-01", "2031-01-05")...)
	tie := []time.Time{on(zurich, "2026-11-20 02:30"), on(zurich, "2026-11-20 02:30"), on(zurich, "2026-11-21 02:30")}
	overNewYear := each(zurich, "2026-12-30", "2027-01-01", "23:55")
	var monthEnds []time.Time
	for m := range 8 {
		monthEnds = append(monthEnds, time.Date(2023, time.Month(11+m), 0, 2, 30, 0, 0, zurich))
	}
	const days = 24 * time.Hour
	for _, test := range []struct {
		name   string
		times  []time.Time
		policy retention.Policy
		now    string // "" for 30 minutes after the newest
		layout string
		want   string
	}{
		{
			"V1: ten years, every rule", noons("2025-10-15"), gfs, "", byDay,
			"2025-10-15 2025-10-14 2025-10-13 2025-10-12 2025-10-11 2025-10-10 2025-10-09 2025-10-05 2025-09-30 2025-09-28 2025-08-31 " +
				"2025-07-31 2025-06-30 2025-05-31 2025-04-30 2025-03-31 2025-02-28 2025-01-31 2024-12-31 2024-11-30 2023-12-31",
		},
		{"V1 on 6 October: 20", noons("2025-10-06"), gfs, "", byDay, "20"},
		{"V1 on 29 December: 23", noons("2024-12-29"), gfs, "", byDay, "23"},
		{
			"V2: a day without a point takes no slot", mondays,
			retention.Policy{Daily: 7},
			"", byDay,
			"2026-11-23 2026-11-16 2026-11-09 2026-11-02 2026-10-26 2026-10-19 2026-10-12",
		},
		{"V3: a young history keeps its beginning", twoDays, retention.Policy{Daily: 7}, "", byTime, "21T20:30 20T20:30 20T02:30"},
		{"V3: a full rule does not", twoDays, retention.Policy{Daily: 2}, "", byTime, "21T20:30 20T20:30"},
		{"V3: nor does one year", twoDays, retention.Policy{Yearly: 1}, "", byTime, "21T20:30"},
		{"V3: with every rule", twoDays, gfs, "", byTime, "21T20:30 20T20:30 20T02:30"},
		{
			"V4a: the pause takes nothing", paused[:60],
			retention.Policy{Daily: 7, Weekly: 4},
			"2026-11-08 02:00", byDay,
			"2026-09-28 2026-09-27 2026-09-26 2026-09-25 2026-09-24 2026-09-23 2026-09-22 2026-09-20 2026-09-13",
		},
		{
			"V4a: nor does the success after it", paused,
			retention.Policy{Daily: 7, Weekly: 4},
			"", byDay,
			"2026-11-08 2026-09-28 2026-09-27 2026-09-26 2026-09-25 2026-09-24 2026-09-23 2026-09-20",
		},
		{"V4b: within, before the pause", paused[:60], retention.Policy{Within: 30 * days}, "2026-09-28 03:00", byDay, "30"},
		{"V4b: within, in the pause", paused[:60], retention.Policy{Within: 30 * days}, "2026-10-20 03:00", byDay, "29"},
		{"V4b: within, at its end", paused[:60], retention.Policy{Within: 30 * days}, "2026-11-08 02:00", byDay, "29"},
		{"V4b: within, after it", paused, retention.Policy{Within: 30 * days}, "", byDay, "29 from 2026-09-01"},
		{"V4b: going on, 20 November", resumed[:60+13], retention.Policy{Within: 30 * days}, "", byDay, "29 from 2026-09-13"},
		{"V4b: going on, 1 December", resumed[:60+24], retention.Policy{Within: 30 * days}, "", byDay, "29 from 2026-09-24"},
		{"V4b: going on, 5 December", resumed[:60+28], retention.Policy{Within: 30 * days}, "", byDay, "29 from 2026-09-28"},
		{"V4b: going on, 8 December", resumed[:60+31], retention.Policy{Within: 30 * days}, "", byDay, "30 from 2026-11-09"},
		{
			"V5: weeks over New Year", daily("2024-11-01", "2025-01-08"),
			retention.Policy{Weekly: 4},
			"", byDay,
			"2025-01-08 2025-01-05 2024-12-29 2024-12-22",
		},
		{
			"V5: ten days of 2024 and 2025", daily("2024-12-27", "2025-01-05"),
			retention.Policy{Weekly: 10},
			"", byDay,
			"2025-01-05 2024-12-29 2024-12-27",
		},
		{
			"V5: ten days of 2025 and 2026", daily("2025-12-27", "2026-01-05"),
			retention.Policy{Weekly: 10},
			"", byDay,
			"2026-01-05 2026-01-04 2025-12-28 2025-12-27",
		},
		{
			"V6: the hour that comes twice is two", autumn,
			retention.Policy{Hourly: 4},
			"", "15:04Z07",
			"04:30+01 03:30+01 02:30+01 02:30+02",
		},
		{
			"V6: and six", autumn,
			retention.Policy{Hourly: 6},
			"", "15:04Z07",
			"04:30+01 03:30+01 02:30+01 02:30+02 01:30+02 00:30+02",
		},
		{
			"days begin by the plan's clocks", each(zurich, "2026-07-01", "2026-07-03", "00:30", "23:30"),
			retention.Policy{Daily: 2},
			"", byTime,
			"03T23:30 02T23:30",
		},
		{"V7: equal times go by ID, daily 2", tie, retention.Policy{Daily: 2}, "", "", "p00002 p00001"},
		{"V7: last 2", tie, retention.Policy{Last: 2}, "", "", "p00002 p00001"},
		{"V7: daily 3 keeps the oldest, too", tie, retention.Policy{Daily: 3}, "", "", "p00002 p00001 p00000"},
		{
			"V8: points after now take no slot, and stay", future,
			retention.Policy{Daily: 5},
			"2026-11-27 03:00", byDay,
			"2031-01-05 2031-01-04 2031-01-03 2031-01-02 2031-01-01 2026-11-27 2026-11-26 2026-11-25 2026-11-24 2026-11-23",
		},
		{
			"V9: minimum is the newest points", daily("2026-01-01", "2026-11-27"),
			retention.Policy{Monthly: 3, Minimum: 3},
			"", byDay,
			"2026-11-27 2026-11-26 2026-11-25 2026-10-31 2026-09-30",
		},
		{
			"V10: a run over midnight is of the day of its start", overNewYear,
			retention.Policy{Yearly: 2},
			"", byDay,
			"2027-01-01 2026-12-31",
		},
		{
			"V11: months that have no such day", daily("2025-01-31", "2025-03-31"),
			retention.Policy{Monthly: 3},
			"", byDay,
			"2025-03-31 2025-02-28 2025-01-31",
		},
		{"V12: within 31d", monthEnds, retention.Policy{Within: 31 * days}, "2024-05-31 03:00", byDay, "2024-05-31"},
		{
			"V12: within 92d", monthEnds,
			retention.Policy{Within: 92 * days},
			"2024-05-31 03:00", byDay,
			"2024-05-31 2024-04-30 2024-03-31 2024-02-29",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := retention.Rules{Policy: test.policy, Zone: zurich, Grace: retention.Grace(day)}
			if strings.HasPrefix(test.name, "V12") {
				r.Grace = retention.Grace(31 * day)
			}
			r.Minimum = max(r.Minimum, retention.DefaultMinimum)
			now := test.times[len(test.times)-1].Add(30 * time.Minute)
			if test.now != "" {
				now = on(zurich, test.now)
			}
			got := keeps(r, history(r.Grace, test.times...), now, test.layout)
			switch n := strings.Count(got, " ") + 1; {
			case strings.Contains(test.want, " from "):
				got = fmt.Sprintf("%d from %s", n, got[strings.LastIndex(got, " ")+1:])
			case len(test.want) == 2:
				got = fmt.Sprint(n)
			}
			if got != test.want {
				t.Errorf("kept\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// TestWeeksAndMonthsAreApart checks that months beside weeks take none of the weeks away.
func TestWeeksAndMonthsAreApart(t *testing.T) {
	zurich := zone(t, "Europe/Zurich")
	points := history(0, each(zurich, "2023-06-01", "2026-04-30", "02:30")...)
	now := points[len(points)-1].Began.Add(time.Hour)
	weekly := keeps(retention.Rules{Policy: retention.Policy{Weekly: 52, Minimum: 1}, Zone: zurich}, points, now, byDay)
	both := keeps(retention.Rules{Policy: retention.Policy{Weekly: 52, Monthly: 24, Minimum: 1}, Zone: zurich}, points, now, byDay)
	weeks := strings.Fields(weekly)
	if len(weeks) != 52 {
		t.Errorf("weekly 52 keeps %d", len(weeks))
	}
	for _, day := range weeks {
		if !strings.Contains(both, day) {
			t.Errorf("with monthly 24 beside it %s goes", day)
		}
	}
}

// TestBucketIsTakenOnce checks the night in which the clocks of Newfoundland went back from one minute past midnight: the days of the
// points are 6, 7, 6, 7, and take two slots.
func TestBucketIsTakenOnce(t *testing.T) {
	r := retention.Rules{Policy: retention.Policy{Daily: 3, Minimum: 1}, Zone: zone(t, "America/St_Johns")}
	first := time.Date(2010, 11, 7, 2, 0, 30, 0, time.UTC)
	points := history(0, first, first.Add(30*time.Minute), first.Add(time.Hour), first.Add(90*time.Minute))
	if got := keeps(r, points, first.Add(day), "02T15:04"); got != "07T00:00 06T23:30 06T23:30" {
		t.Errorf("kept %s", got)
	}
	r.Daily = 2
	if got := keeps(r, points, first.Add(day), "02T15:04Z07:00"); got != "07T00:00-03:30 06T23:30-03:30" {
		t.Errorf("kept %s", got)
	}
}

// TestUnverifiedVectors has the rest of V9: the five newest points are not verified.
func TestUnverifiedVectors(t *testing.T) {
	zurich := zone(t, "Europe/Zurich")
	r := retention.Rules{Zone: zurich, Grace: retention.Grace(day)}
	times := each(zurich, "2026-11-01", "2026-11-27", "02:30")
	points := history(r.Grace, times[:22]...)
	for n, p := range history(r.Grace, times...)[22:] {
		p.ID, p.Unverified = fmt.Sprint("suspect", n), "suspect"
		points = append(points, p)
	}
	for _, test := range []struct {
		policy retention.Policy
		want   string
	}{
		{retention.Policy{Last: 3, Minimum: 1}, "27 26 25 24 23 22 21 20"},
		{retention.Policy{Within: 3 * day, Minimum: 1}, "27 26 25 24 23 22 21"},
	} {
		r.Policy = test.policy
		if got := keeps(r, points, on(zurich, "2026-11-27 03:00"), "02"); got != test.want {
			t.Errorf("%+v keeps %s, want %s", test.policy, got, test.want)
		}
	}
}
