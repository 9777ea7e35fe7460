package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// RunsADay returns the number of times on a day on which the expression comes due. Days when clocks change may have more or
// fewer.
func (s Schedule) RunsADay() int {
	return bits.OnesCount64(s.Second) * bits.OnesCount64(s.Minute) * bits.OnesCount64(s.Hour)
}

// EveryDay says whether the expression comes due on every day of the year.
func (s Schedule) EveryDay() bool { return s.days() == "" && s.Month == month.all() }

// Words says when the expression comes due: "Mondays at 02:30", "every 30 minutes from 08:00 to 10:30 on weekdays".
func (s Schedule) Words() string {
	times, days := s.times(), s.days()
	months := ""
	if s.Month != month.all() {
		months = " in " + join(names(month, s.Month))
	}
	at := strings.HasPrefix(times, "at ")
	switch {
	case days == "" && at:
		return "every day" + months + " " + times
	case days == "":
		return times + months
	case strings.HasPrefix(days, "the "):
		if months = " of" + strings.TrimPrefix(months, " in"); s.Month == month.all() {
			months = " of every month"
		}
	}
	if at {
		return days + months + " " + times
	}
	return times + " on " + days + months
}

// InARow returns the number of successive scheduled times of a day with less than the given time between any two, and the least
// time between two scheduled times of a day; 1 and 0 if there are no two.
func (s Schedule) InARow(less time.Duration) (successive int, least time.Duration) {
	all := s.clock()
	successive = 1
	for i, row := 1, 1; i < len(all); i++ {
		apart := time.Duration(all[i]-all[i-1]) * time.Second
		if row++; apart >= less {
			row = 1
		}
		successive = max(successive, row)
		if least == 0 || apart < least {
			least = apart
		}
	}
	return successive, least
}

// times says the times of a day in words.
func (s Schedule) times() string {
	all := s.clock()
	clock := func(second int) string {
		if s.Second == 1 {
			return fmt.Sprintf("%02d:%02d", second/3600, second/60%60)
		}
		return fmt.Sprintf("%02d:%02d:%02d", second/3600, second/60%60, second%60)
	}
	const aDay = 24 * 3600
	first, last := all[0], all[len(all)-1]
	every := 0 // the interval between any two; 0 if there are several
	if len(all) > 1 {
		every = all[1] - first
	}
	for i := 1; i < len(all); i++ {
		if all[i]-all[i-1] != every {
			every = 0
		}
	}
	switch {
	case len(all) > 2 && every > 0 && len(all)*every == aDay:
		switch {
		case first == 0:
			return "every " + interval(every)
		case every == 3600 && s.Second == 1:
			return "every hour at " + count(first/60, "minute") + " past"
		}
		return "every " + interval(every) + " from " + clock(first)
	case len(all) <= 4:
		var texts []string
		for _, second := range all {
			texts = append(texts, clock(second))
		}
		return "at " + join(texts)
	case every > 0:
		return "every " + interval(every) + " from " + clock(first) + " to " + clock(last)
	}
	text := "at the "
	if s.Second != 1 {
		text += which(second, s.Second) + " of the "
	}
	text += which(minute, s.Minute) + " of "
	if s.Hour == hour.all() {
		return text + "every hour"
	}
	return text + "the " + which(hour, s.Hour)
}

// which says which values are meant: "minutes 5 and 20".
func which(f *field, set uint64) string {
	kind := f.name
	if bits.OnesCount64(set) == 1 {
		kind = strings.TrimSuffix(kind, "s")
	}
	return kind + " " + join(names(f, set))
}

const (
	workdays = 1<<6 - 1<<1
	ordinals = "first second third fourth fifth"
)

// days says the days on which it comes due; "" for all.
func (s Schedule) days() string {
	one := time.Weekday(bits.TrailingZeros64(s.Weekday)).String()
	lone := bits.OnesCount64(s.Weekday) == 1
	switch {
	case s.Last == 1:
		return "the last day"
	case s.Last > 1:
		return "the last " + one
	case lone && s.Day != day.all():
		return "the " + strings.Fields(ordinals)[bits.TrailingZeros64(s.Day)/7] + " " + one
	case s.Day != day.all():
		var dates []string
		for n := range each(s.Day) {
			dates = append(dates, ordinal(n))
		}
		return "the " + join(dates)
	case s.Weekday == workdays:
		return "weekdays"
	case s.Weekday != weekday.all():
		var plural []string
		for n := range each(s.Weekday &^ 1) {
			plural = append(plural, weekday.names[n]+"s")
		}
		if s.Weekday&1 == 1 {
			plural = append(plural, "Sundays")
		}
		return join(plural)
	}
	return ""
}

// names returns the values of a field for people: three and more in a row as one range.
func names(f *field, set uint64) []string {
	return ranges(set, " to ", func(n int) string {
		if f.names == nil {
			return strconv.Itoa(n)
		}
		return f.names[n-f.from]
	})
}

// ranges returns the names of the values, lowest first: three and more in a row as one range, with the word between its ends.
func ranges(set uint64, to string, name func(int) string) []string {
	var texts []string
	for set != 0 {
		from := bits.TrailingZeros64(set)
		length := bits.TrailingZeros64(^(set >> from))
		if length > 2 {
			texts = append(texts, name(from)+to+name(from+length-1))
			set &^= steps(from, from+length-1, 1)
			continue
		}
		texts = append(texts, name(from))
		set &^= 1 << from
	}
	return texts
}

func join(texts []string) string {
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}

// interval says the seconds in the largest unit that divides them.
func interval(seconds int) string {
	n, unit := seconds, "second"
	switch {
	case seconds%3600 == 0:
		n, unit = seconds/3600, "hour"
	case seconds%60 == 0:
		n, unit = seconds/60, "minute"
	}
	if n == 1 {
		return unit
	}
	return count(n, unit)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func ordinal(n int) string {
	ending := "th"
	if n/10 != 1 && n%10 >= 1 && n%10 <= 3 {
		ending = []string{"st", "nd", "rd"}[n%10-1]
	}
	return fmt.Sprintf("%d%s", n, ending)
}
