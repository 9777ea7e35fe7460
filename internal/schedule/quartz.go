package schedule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const noYear = "a year cannot be said here"

// ofAWS turns minutes, hours, days, months, days of the week and years into five fields.
func ofAWS(texts []string) *Refusal {
	r := formOf(aws, ", with the minutes first and the year last")
	line := slices.Clone(texts[:5])
	for i := range line {
		switch {
		case line[i] == "?":
			line[i] = "*"
		case i < 2 && strings.HasPrefix(line[i], "0/"), i > 1 && i < 4 && strings.HasPrefix(line[i], "1/"):
			line[i] = "*" + line[i][1:]
		}
		if line[i] == "*/1" {
			line[i] = "*"
		}
	}
	if numbered, ok := quartzDays.read(line[4]); ok && line[4] != "*" && numbered != strings.ToUpper(line[4]) {
		r.Reason += ", where " + line[4] + " is " + numbered
		line[4] = numbered
	}
	if texts[5] != "*" {
		r.Reason += "; " + noYear
	}
	r.Write = []string{strings.Join(line, " ")}
	return r
}

// ofQuartz names the days of the week, and leaves the year out.
func ofQuartz(texts []string) *Refusal {
	line := slices.Clone(texts[:6])
	r := formOf(spring, "")
	if len(texts) == 7 {
		r = formOf(quartz, ", whose seventh field is the year")
		if texts[6] != "*" {
			r.Reason += "; " + noYear
		}
	}
	theirs, ok := quartzDays.read(line[5])
	if !ok || !digits.MatchString(line[5]) {
		r.Write = []string{strings.Join(line, " ")}
		return r
	}
	r.Reason += ": " + line[5] + " is " + theirs + " in Quartz"
	r.Write = []string{with(line, 5, theirs)}
	if other, ok := springDays.read(line[5]); ok && len(texts) == 6 && other != theirs {
		r.Reason += " and " + other + " in Spring"
		r.Write = append(r.Write, with(line, 5, other))
	}
	return r
}

// numbering is a dialect's way to number the days of the week.
type numbering struct{ sunday, last int }

var (
	quartzDays = numbering{sunday: 1, last: 7}
	springDays = numbering{sunday: 0, last: 7}
)

// read returns the field of the days of the week with names; false if it has no clear meaning.
func (n numbering) read(text string) (string, bool) {
	text = strings.ToUpper(text)
	if counted := regexp.MustCompile(`^(\d)(L|#[1-5])$`).FindStringSubmatch(text); counted != nil {
		i, ok := n.day(counted[1])
		return short(weekday.names[i]) + counted[2], ok
	}
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		base, step, stepped := strings.Cut(item, "/")
		low, high, ranged := strings.Cut(base, "-")
		from, ok := n.day(low)
		to, by := from, 1
		switch {
		case low == "*":
			from, to, ok = 0, 6, true
			if n == springDays { // a week in Spring begins on Monday
				from, to = 1, 7
			}
		case ranged:
			var good bool
			to, good = n.day(high)
			ok = ok && good
		case stepped:
			to = n.last - n.sunday
		}
		if stepped {
			var good bool
			by, good = number(step)
			ok = ok && good && by > 0
			if n == quartzDays && low >= "A" { // Quartz reads no step behind a name
				by = 7
				if ranged {
					by = 1
				}
			}
		}
		if !ok {
			return "", false
		}
		if from > to {
			to += 7
		}
		for ; from <= to; from += by {
			set |= 1 << (from % 7)
		}
	}
	return weekday.write(set), true
}

// day returns the day of the week, from 0 for Sunday, of a number or a name.
func (n numbering) day(text string) (int, bool) {
	if i, err := strconv.Atoi(text); err == nil {
		return (i - n.sunday + 7) % 7, i >= n.sunday && i <= n.last
	}
	i, wrong := weekday.value(text)
	return i, wrong == nil
}
