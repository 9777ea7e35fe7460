package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// part is the meaning of one field.
type part struct {
	set uint64
	// last: the last of the month, of all days or of the one day of the week. nth: the nth of that day in a month.
	last bool
	nth  int
	// seven: a lone 7 was read as Sunday, and sunday is the field as it should be.
	seven  bool
	sunday string
}

// wrong says why a field is refused.
type wrong struct {
	reason string
	// fields are the texts that it may have been meant to have, items the new items in them.
	fields, items []string
}

// read reads a field of an expression. With five fields, the expression must also mean the same in croniter.
func (f *field) read(text string, five bool) (part, *wrong) {
	if text == "?" {
		if !f.day {
			return part{}, &wrong{reason: "a ? can stand only in a day field, not among the " + f.name, fields: []string{"*"}}
		}
		return part{set: f.all()}, nil
	}
	if p, ok := f.special(text); ok {
		return p, nil
	}
	var p part
	items := strings.Split(text, ",")
	for i, item := range items {
		set, bad := f.item(item, five)
		if bad != nil {
			if len(items) > 1 {
				for j, instead := range bad.fields {
					bad.fields[j] = f.list(items, i, instead)
				}
			}
			return p, bad
		}
		if f == weekday && set>>7 == 1 {
			p.seven, p.sunday, set = true, f.list(items, i, "SUN"), 1
		}
		p.set |= set
	}
	return p, nil
}

// list returns the list of items with another one in place of item i, or without it.
func (f *field) list(items []string, i int, instead string) string {
	if instead == "*" {
		return instead
	}
	fresh := slices.Clone(items)
	fresh[i] = instead
	fresh = slices.DeleteFunc(fresh, func(item string) bool { return item == "" })
	if len(fresh) == 0 {
		return "*"
	}
	return strings.Join(fresh, ",")
}

// special reads the items that stand alone: L, MON#1, FRIL.
func (f *field) special(text string) (part, bool) {
	text = strings.ToUpper(text)
	if f == day && text == "L" {
		return part{set: f.all(), last: true}, true
	}
	if f != weekday || len(text) < 4 {
		return part{}, false
	}
	n, bad := f.value(text[:3])
	if bad != nil || text[0] < 'A' {
		return part{}, false
	}
	p := part{set: 1 << n, last: text[3:] == "L"}
	if len(text) == 5 && text[3] == '#' && '1' <= text[4] && text[4] <= '5' {
		p.nth = int(text[4] - '0')
	}
	return p, p.last || p.nth > 0
}

// item reads one item of a list. Bit 7 of the days of the week is a lone 7.
func (f *field) item(text string, five bool) (uint64, *wrong) {
	if bad := f.unread(text); bad != nil {
		return 0, bad
	}
	base, step, stepped := strings.Cut(text, "/")
	low, high, ranged := strings.Cut(base, "-")
	from, to := f.from, f.to
	if low == "*" || low == "?" {
		if ranged || low == "?" {
			meant := []string{"*"}
			if end, bad := f.value(high); bad == nil && low == "*" && end <= f.to {
				meant = append(meant, f.write(steps(f.from, end, 1)))
			}
			return 0, f.wrong(text, "is every value in Kubernetes, and refused by NCRONTAB and croniter", meant...)
		}
	} else {
		var bad *wrong
		if from, bad = f.value(low); bad != nil {
			return 0, bad.in(text, low)
		}
		if ranged {
			if to, bad = f.value(high); bad != nil {
				return 0, bad.in(text, high)
			}
		}
	}
	by, bad := f.step(text, step, stepped)
	if bad != nil {
		return 0, bad
	}
	switch {
	case f == weekday && (from == 7 || ranged && to == 7):
		if !ranged && !stepped {
			return 1 << 7, nil
		}
		return 0, f.sunday7(text, from, to, by, ranged)
	case f == weekday && stepped && !ranged:
		return 0, f.fromDay(text, low, from, by)
	case !ranged && !stepped && low != "*":
		return 1 << from, nil
	case ranged && from > to:
		var set uint64
		for size := f.to - f.from + 1; from <= to+size; from += by {
			set |= 1 << (f.from + (from-f.from)%size)
		}
		return 0, f.wrong(text, "goes downwards: NCRONTAB swaps the two, croniter goes round the end, and Kubernetes refuses it; a "+
			"range must go upwards", f.write(set))
	case ranged && from == to && five:
		return 0, f.wrong(text, "is every value in croniter, and one elsewhere", low)
	case stepped && from+by > to:
		return 0, f.wrong(text, fmt.Sprintf("steps past the end, %d, so that one value is left", to), f.write(1<<from))
	}
	return steps(from, to, by), nil
}

// unread refuses an item that has a meaning in some places only.
func (f *field) unread(text string) *wrong {
	upper := strings.ToUpper(text)
	switch {
	case text == "":
		return &wrong{reason: "there is nothing between two commas, or beside one, among the " + f.name, fields: []string{""}}
	case strings.Contains(text, "+"):
		return f.wrong(text, "has a +, which means AND in croner", strings.ReplaceAll(text, "+", ""))
	case f == day && strings.Contains(upper, "W"):
		return f.wrong(text, "is a working day near a date, which cannot be said here")
	case f == day && strings.Contains(upper, "L"):
		return f.wrong(text, "counts from the end of the month; only L alone, the last day, can be said here")
	case f == weekday && upper == "L":
		return f.wrong(text, "alone is every Saturday in Quartz, and the last one of the month in go-quartz", "SAT", "SATL")
	case f == weekday && strings.ContainsAny(upper, "#L") && !slices.ContainsFunc(f.names, func(name string) bool {
		return strings.HasPrefix(strings.ToUpper(name), upper) // JUL is a name
	}):
		return f.nth(upper)
	}
	return nil
}

// nth refuses counted days of the week if they have no name or stand in a list.
func (f *field) nth(text string) *wrong {
	count := text[1:]
	if n := int(text[0] - '0'); len(text) <= 3 && 1 <= n && n <= 7 && (count == "L" || len(count) == 2 && count[0] == '#') {
		return f.wrong(text, "counts from Sunday in Quartz and AWS, and from Monday elsewhere",
			short(f.names[n-1])+count, short(f.names[n%7])+count)
	}
	if _, ok := f.special(text); ok {
		return f.wrong(text, "can only stand alone")
	}
	return f.wrong(text, "is not read alike anywhere; a first Monday is MON#1, a last Friday FRIL")
}

// sunday7 refuses 7 in a range or with a step.
func (f *field) sunday7(text string, from, to, by int, ranged bool) *wrong {
	if !ranged {
		to = 7
	}
	if to < 7 {
		from = 0
	}
	set := steps(from, to, by)
	set = set&f.all() | set>>7
	return f.wrong(text, "has a 7, which is Sunday in croniter, Saturday in Quartz and refused by NCRONTAB and Kubernetes", f.write(set))
}

// fromDay refuses a step over the days of the week from one of them, or from all.
func (f *field) fromDay(text, low string, from, by int) *wrong {
	meant := []string{f.write(steps(from, f.to, by))}
	reason := "means other days in other schedulers (to Saturday in NCRONTAB, Kubernetes and croniter, to Sunday in Spring and " +
		"cron-parser, the first day alone in Celery, shifted by a day in Quartz)"
	if low == "*" {
		reason = "counts from Sunday in NCRONTAB, Kubernetes and croniter, and from Monday in Spring and APScheduler"
		from = 1
	}
	round := steps(from, 7, by)
	if other := f.write(round&f.all() | round>>7); other != meant[0] {
		meant = append(meant, other)
	}
	return f.wrong(text, reason, meant...)
}

// value reads a number or a name.
func (f *field) value(text string) (int, *wrong) {
	if n, ok := number(text); ok {
		if (n < f.from || n > f.to) && (f != weekday || n != 7) {
			return 0, &wrong{reason: fmt.Sprintf("%q: the %s go from %d to %d", text, f.name, f.from, f.to)}
		}
		return n, nil
	}
	var meant []string
	upper := strings.ToUpper(text)
	for i, name := range f.names {
		if upper == short(name) {
			return f.from + i, nil
		}
		if upper != "" && strings.HasPrefix(strings.ToUpper(name), upper) {
			meant = append(meant, short(name))
		}
	}
	switch {
	case len(f.names) == 0:
		return 0, &wrong{reason: fmt.Sprintf("%q is no number of one or two digits among the %s", text, f.name)}
	case len(meant) == 0:
		return 0, &wrong{reason: fmt.Sprintf("%q is neither a number nor one of the names among the %s, %s to %s", text, f.name,
			short(f.names[0]), short(f.names[len(f.names)-1]))}
	}
	return 0, f.wrong(text, "is taken by some only; names have three letters", meant...)
}

// step reads the text behind a slash.
func (f *field) step(item, text string, stepped bool) (int, *wrong) {
	if !stepped {
		return 1, nil
	}
	by, ok := number(text)
	switch base, _, _ := strings.Cut(item, "/"); {
	case !ok:
		return 0, f.wrong(item, "has no step of one or two digits behind the slash")
	case by == 0:
		return 0, f.wrong(item, "has the step 0, which is 1 in NCRONTAB and refused elsewhere", base)
	}
	return by, nil
}

// number reads one or two digits.
func number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) <= 2 && text[0] >= '0'
}

// short returns the name as it is written in an expression.
func short(name string) string { return strings.ToUpper(name[:3]) }

// wrong returns the fault of an item, and the items that may have been meant.
func (f *field) wrong(item, reason string, meant ...string) *wrong {
	return &wrong{
		reason: fmt.Sprintf("%q among the %s %s", item, f.name, reason), fields: meant, items: slices.Clone(meant),
	}
}

// in turns the fault of a value into a fault of its item.
func (w *wrong) in(item, value string) *wrong {
	for i, meant := range w.fields {
		w.fields[i] = strings.Replace(item, value, meant, 1)
	}
	return w
}

// write returns a text for the values that everybody reads alike: *, */n, or values and ranges in their order. Days of the week
// and months have names; the week begins on Monday.
func (f *field) write(set uint64) string {
	if set == f.all() {
		return "*"
	}
	for by := 2; f.names == nil && by <= (f.to-f.from)/2; by++ {
		if set == steps(f.from, f.to, by) {
			return fmt.Sprintf("*/%d", by)
		}
	}
	name := func(n int) string {
		if f.names == nil {
			return strconv.Itoa(n)
		}
		return short(f.names[n-f.from])
	}
	rest := set
	if f == weekday {
		rest &^= 1
	}
	items := ranges(rest, "-", name)
	if f == weekday && set&1 == 1 {
		items = append(items, name(0))
	}
	return strings.Join(items, ",")
}
