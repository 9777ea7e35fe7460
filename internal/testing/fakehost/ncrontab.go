package fakehost

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// schedule computes the times at which a timer is due.
type schedule interface {
	// next returns the first instant after the given one; zero if there is none.
	next(after time.Time) time.Time
}

// parseSchedule reads the schedule of a timerTrigger: an NCRONTAB expression, or a TimeSpan between two starts.
func parseSchedule(text string) (schedule, error) {
	if fields := strings.Fields(text); len(fields) > 1 {
		return parseNCrontab(fields)
	}
	d, err := parseTimeSpan(text)
	if err != nil {
		return nil, fmt.Errorf("schedule is neither an NCRONTAB expression of 5 or 6 fields nor a time span: %w", err)
	}
	if d <= 0 {
		return nil, fmt.Errorf("schedule %q: a time span must be positive", text)
	}
	return every(d), nil
}

// every is the schedule of a TimeSpan.
type every time.Duration

func (e every) next(after time.Time) time.Time { return after.Add(time.Duration(e)) }

// ncrontab is the grammar of the NCrontab library. It differs from cron: names match by prefix, reversed ranges are swapped,
// Sunday is 0 alone, and day of month AND day of week must match (NCrontab CrontabFieldImpl, CrontabSchedule).
type ncrontab struct {
	second, minute, hour, day, month, weekday field
}

// field is a set of values: bit n stands for n.
type field uint64

func (f field) has(n int) bool { return f>>n&1 == 1 }

// fieldKind is the range and the names of one field.
type fieldKind struct {
	what     string
	min, max int
	names    []string
}

var (
	fieldKinds = []fieldKind{
		{"second", 0, 59, nil},
		{"minute", 0, 59, nil},
		{"hour", 0, 23, nil},
		{"day of month", 1, 31, nil},
		{"month", 1, 12, []string{
			"January", "February", "March", "April", "May", "June", "July",
			"August", "September", "October", "November", "December",
		}},
		{"day of week", 0, 6, []string{
			"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
		}},
	}
	errField = errors.New("not a number, a name, a range or a list of them")
)

// parseNCrontab reads six fields, or five, which mean second 0.
func parseNCrontab(fields []string) (ncrontab, error) {
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	if len(fields) != 6 {
		return ncrontab{}, fmt.Errorf("NCRONTAB expression %q: want 5 or 6 fields, got %d",
			strings.Join(fields, " "), len(fields))
	}
	var c ncrontab
	for i, into := range []*field{&c.second, &c.minute, &c.hour, &c.day, &c.month, &c.weekday} {
		var err error
		if *into, err = fieldKinds[i].parse(fields[i]); err != nil {
			return ncrontab{}, fmt.Errorf("NCRONTAB expression %q: %s: %w", strings.Join(fields, " "), fieldKinds[i].what, err)
		}
	}
	return c, nil
}

func (k fieldKind) parse(text string) (field, error) {
	var f field
	for item := range strings.SplitSeq(text, ",") {
		first, last, step, err := k.parseItem(item)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", item, err)
		}
		for n := first; n <= last; n += step {
			f |= 1 << n
		}
	}
	return f, nil
}

// parseItem reads *, n or a-b, each with an optional /step. A step of 0 counts as 1.
func (k fieldKind) parseItem(item string) (first, last, step int, err error) {
	item, stepText, stepped := strings.Cut(item, "/")
	step = 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 0 {
			return 0, 0, 0, fmt.Errorf("step %q is not a number", stepText)
		}
		step = max(step, 1)
	}
	if item == "*" {
		return k.min, k.max, step, nil
	}
	from, to, isRange := strings.Cut(item, "-")
	if first, err = k.value(from); err != nil {
		return 0, 0, 0, err
	}
	switch {
	case isRange:
		if last, err = k.value(to); err != nil {
			return 0, 0, 0, err
		}
		first, last = min(first, last), max(first, last)
	case stepped:
		last = k.max
	default:
		last = first
	}
	return first, last, step, nil
}

// value reads a number, or the first name that the text is a prefix of.
func (k fieldKind) value(text string) (int, error) {
	if text == "" {
		return 0, errField
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < k.min || n > k.max || text[0] == '-' || text[0] == '+' {
			return 0, fmt.Errorf("%s is not in %d-%d", text, k.min, k.max)
		}
		return n, nil
	}
	for i, name := range k.names {
		if len(text) <= len(name) && strings.EqualFold(name[:len(text)], text) {
			return i + k.min, nil
		}
	}
	return 0, errField
}

// horizon is the number of years that next searches: weekdays of a 29 February repeat after 28 years, or 40 across a century.
const horizon = 41

// next computes in UTC, as timers in Azure do.
func (c ncrontab) next(after time.Time) time.Time {
	t := after.UTC().Truncate(time.Second).Add(time.Second)
	for limit := t.Year() + horizon; t.Year() <= limit; {
		year, month, day := t.Date()
		switch {
		case !c.month.has(int(month)):
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.day.has(day) || !c.weekday.has(int(t.Weekday())):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !c.hour.has(t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.minute.has(t.Minute()):
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !c.second.has(t.Second()):
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

// everyMinute tells whether the fields from minute on are all stars, with more than one second: such a schedule, and a time
// span under a minute, have no monitor (TimerTriggerAttribute; ScheduleStatus is then null).
func everyMinute(s schedule) bool {
	switch s := s.(type) {
	case every:
		return time.Duration(s) < time.Minute
	case ncrontab:
		for i, f := range []field{s.minute, s.hour, s.day, s.month, s.weekday} {
			if all, _ := fieldKinds[i+1].parse("*"); f != all {
				return false
			}
		}
		return s.second&(s.second-1) != 0
	}
	return false
}
