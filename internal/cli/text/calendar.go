package text

import (
	"slices"
	"strings"
	"time"
)

// These are the marks of a day in a calendar.
const (
	Stays   = "#"
	Waits   = "~"
	Goes    = "x"
	nothing = "."

	// precedence has the marks in the order in which a day with several shows one.
	precedence = Stays + Waits + Goes
)

const (
	weekdays   = "M T W T F S S"
	monthWidth = len(weekdays)
	monthGap   = 3
)

// Calendar draws the newest months with a mark, the oldest first, as many beside each other as fit the width: a week is a row, from Monday
// on, and a day is a mark. A day with several marks shows the first of Stays, Waits and Goes. Most is the number of months at most, 0 for all, and
// the second result counts the rest.
func (c Clock) Calendar(marks map[time.Time]string, width, most int) (lines []string, earlier int) {
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	days, months := map[time.Time]string{}, []time.Time{}
	for at, mark := range marks {
		year, month, day := at.In(zone).Date()
		on := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		if was := days[on]; was == "" || strings.Index(precedence, mark) < strings.Index(precedence, was) {
			days[on] = mark
		}
		months = append(months, on.AddDate(0, 0, 1-day))
	}
	slices.SortFunc(months, time.Time.Compare)
	months = slices.CompactFunc(months, time.Time.Equal)
	if most > 0 && len(months) > most {
		earlier = len(months) - most
	}
	for beside := range slices.Chunk(months[earlier:], max((width+monthGap)/(monthWidth+monthGap), 1)) {
		var rows []string
		for i, month := range beside {
			for n, week := range drawMonth(month, days) {
				if n == len(rows) {
					rows = append(rows, "")
				}
				rows[n] += strings.Repeat(" ", i*(monthWidth+monthGap)-len(rows[n])) + week
			}
		}
		lines = append(append(lines, rows...), "")
	}
	return lines, earlier
}

// drawMonth draws the month that begins on the day: its name, the days of the week, and its weeks.
func drawMonth(first time.Time, days map[time.Time]string) []string {
	weeks := []string{first.Format("2006-01"), weekdays}
	week := strings.Repeat("  ", (int(first.Weekday())+6)%7)
	for day := first; day.Month() == first.Month(); day = day.AddDate(0, 0, 1) {
		mark := days[day]
		if mark == "" {
			mark = nothing
		}
		if week += mark + " "; day.Weekday() == time.Sunday || day.AddDate(0, 0, 1).Month() != first.Month() {
			weeks, week = append(weeks, strings.TrimRight(week, " ")), ""
		}
	}
	return weeks
}
