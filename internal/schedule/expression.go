// Package schedule reads the cron expressions of plan.yaml: five fields, or six with the seconds first. It accepts five as the
// NCRONTAB of Azure Functions, Kubernetes and croniter read them alike, and six as NCRONTAB reads them. It refuses an expression
// with another meaning elsewhere, and names the readings and the line to write.
package schedule

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expression is a cron expression that was read: a schedule without a time zone. Its days of the week count from Sunday, 0.
type Expression struct {
	Schedule
	// Warning says what the writer should know about an accepted expression; "" for nothing.
	Warning string
}

// In returns the schedule of the expression in a time zone.
func (e Expression) In(zone *time.Location) Schedule {
	s := e.Schedule
	s.Zone = zone
	return s
}

// Refusal says why an expression is not accepted.
type Refusal struct {
	// Text is the expression as it was written.
	Text string

	// Reason goes on from the expression: "never comes due".
	Reason string
	// Write has the lines that may have been meant. Each is accepted; there may be none.
	Write []string

	// items are the differences of those lines if each is one item of a list; link stands between the lines.
	items []string
	link  string
}

// Error returns the expression, the reason and the lines to write.
func (r *Refusal) Error() string {
	said := strconv.QuoteToASCII(r.Text) + " " + r.Reason
	if len(r.Write) == 0 {
		return said
	}
	lines := `"` + strings.Join(r.Write, `"`+cmp.Or(r.link, " or ")+`"`) + `"`
	if len(r.items) > 0 {
		return said + ": write " + strings.Join(r.items, " or ") + " (" + lines + ")"
	}
	return said + ": write " + lines
}

// field is one place of an expression.
type field struct {
	name     string // such as minutes
	from, to int
	names    []string // the full names; the first is the name of from
	day      bool     // the field restricts the days
}

var (
	second = &field{name: "seconds", to: 59}
	minute = &field{name: "minutes", to: 59}
	hour   = &field{name: "hours", to: 23}
	day    = &field{name: "days of the month", from: 1, to: 31, day: true}
	month  = &field{name: "months", from: 1, to: 12, names: []string{
		"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
	}}
	weekday = &field{name: "days of the week", to: 6, day: true, names: []string{
		"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
	}}

	places = []*field{second, minute, hour, day, month, weekday}
)

// all returns the values that the field can have.
func (f *field) all() uint64 { return steps(f.from, f.to, 1) }

func steps(from, to, by int) (set uint64) {
	for ; from <= to; from += by {
		set |= 1 << from
	}
	return set
}

// Parse reads an expression. The error is a *[Refusal].
func Parse(text string) (Expression, error) {
	e, refused := parse(text)
	if refused == nil {
		return e, nil
	}
	refused.Text = text
	refused.Write = taken(refused.Write, len(places))
	return Expression{}, refused
}

// parse does not check that the lines of a refusal are accepted.
func parse(text string) (Expression, *Refusal) {
	if refused := foreign(text); refused != nil {
		return Expression{}, refused
	}
	return read(strings.Fields(text))
}

// mostLines bounds the number of lines in a refusal.
const mostLines = 6

// taken keeps the accepted lines, and replaces each other line by the lines that its own refusal proposes. It repeats this up to
// turns times, so that each field can have its turn.
func taken(lines []string, turns int) []string {
	var all []string
	for _, line := range lines {
		found := []string{line}
		if _, refused := parse(line); refused != nil {
			if found = nil; turns > 0 {
				found = taken(refused.Write, turns-1)
			}
		}
		for _, line := range found {
			if !slices.Contains(all, line) && len(all) < mostLines {
				all = append(all, line)
			}
		}
	}
	return all
}

// malformed begins the reason if a text is no cron expression anywhere, or is one that some parser accepts by accident.
const malformed = "is not a cron expression with five fields, or six with the seconds first: "

// read reads the fields of an expression, the seconds first if there are six.
func read(texts []string) (Expression, *Refusal) {
	places := places[len(places)-len(texts):]
	five := len(texts) == 5
	var e Expression
	found := map[*field]part{second: {set: 1}}
	for i, f := range places {
		p, wrong := f.read(texts[i], five)
		if wrong != nil {
			r := &Refusal{Reason: malformed + wrong.reason, items: wrong.items}
			for _, text := range wrong.fields {
				r.Write = append(r.Write, with(texts, i, text))
			}
			return e, r
		}
		if p.seven {
			e.Warning = "7 among the days of the week is Sunday here, Saturday in Quartz and AWS, and refused by NCRONTAB and " +
				`Kubernetes: write SUN ("` + with(texts, i, p.sunday) + `")`
		}
		found[f] = p
	}
	e.Second, e.Minute, e.Hour = found[second].set, found[minute].set, found[hour].set
	e.Day, e.Month, e.Weekday = found[day].set, found[month].set, found[weekday].set
	switch last := len(texts) - 1; {
	case found[day].last:
		e.Last = 1
	case found[weekday].last:
		e.Last = 7
	case texts[last] == "?" && texts[last-2] == "?":
		return e, &Refusal{
			Reason: "has two ?, which stands for the one day field that says nothing", Write: []string{with(texts, last, "*")},
		}
	}
	if n := found[weekday].nth; n > 0 {
		e.Day = steps(7*n-6, min(7*n, day.to), 1)
		if n == 5 && e.Month == 1<<2 {
			return e, &Refusal{Reason: "comes due once in 28 years"}
		}
	}
	if r := bothDays(texts, found); r != nil {
		return e, r
	}
	if e.never() {
		return e, &Refusal{Reason: "never comes due"}
	}
	return e, nil
}

// with returns the line that has another text in one field.
func with(texts []string, i int, text string) string {
	line := slices.Clone(texts)
	line[i] = text
	return strings.Join(line, " ")
}

// bothDays refuses a restriction of both the day of the month and the day of the week. The text decides, not the values: 1-31 is
// a restriction in Kubernetes.
func bothDays(texts []string, found map[*field]part) *Refusal {
	last := len(texts) - 1
	free := func(text string) bool { return text == "*" || text == "?" }
	if free(texts[last]) || free(texts[last-2]) {
		return nil
	}
	byDate, byName := with(texts, last, "*"), with(texts, last-2, "*")
	full := func(f *field) bool { p := found[f]; return p.set == f.all() && !p.last && p.nth == 0 }
	const reason = "restricts both the day of the month and the day of the week: NCRONTAB wants both to match, Kubernetes and croniter " +
		"one of them"
	either := with(strings.Fields(byDate), last-2, "*")
	switch {
	case full(day) && full(weekday):
		return &Refusal{Reason: reason, Write: []string{either}}
	case full(day):
		return &Refusal{Reason: reason + ", which is every day", Write: []string{byName, either}}
	case full(weekday):
		return &Refusal{Reason: reason + ", which is every day", Write: []string{byDate, either}}
	}
	return &Refusal{Reason: reason + "; for either, write two plans", Write: []string{byDate, byName}, link: " and "}
}

// never says that no month has such a day.
func (e Expression) never() bool {
	for m, length := range []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		if e.Month>>(m+1)&1 == 1 && (e.Last > 0 || e.Day&steps(1, length, 1) != 0) {
			return false
		}
	}
	return true
}
