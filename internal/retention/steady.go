package retention

import (
	"time"

	"lifeboat/internal/schedule"
)

const (
	// mostCounted bounds the scheduled times at which Steady counts, mostBefore the ones just before them, and mostYears the history
	// before: it has more than 400 leap days, and begins in a year of the calendar.
	mostCounted, mostBefore = 10_000, 100_000
	mostYears               = 1800
)

// steadyFrom is the time from which on points are counted.
var steadyFrom = time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC)

// SteadySoftDeleted returns how many points of a schedule are soft-deleted at a time, once its rules are full: the least and the most. For each
// point that comes, one goes.
func SteadySoftDeleted(s schedule.Schedule, soft time.Duration) (least, most int) {
	s.Zone = time.UTC
	interval := interval(s, steadyFrom)
	if interval == 0 {
		return 0, 0
	}
	return int(soft / interval), int((soft + interval - 1) / interval)
}

// Steady returns how many points of a schedule that never fails the rules keep once they are full: the least and the most. It counts
// around 10,000 scheduled times that the rules tell apart, from a December on, on clocks that never change: 27 years of a daily schedule,
// a year of an hourly one. A rule that never gets full, because it reaches past the horizon, may keep one more. It gives the mean number
// for a keep.within of more than 100,000 scheduled times.
func (r Rules) Steady(s schedule.Schedule) (least, most int) {
	s.Zone = time.UTC
	s = r.seen(s)
	start := steadyFrom
	interval := interval(s, start)
	if interval == 0 {
		return 0, 0
	}
	t := r.tally()
	if n := t.window / interval; n > mostBefore {
		return int(n), int(n)
	}
	lead := max(t.window, time.Duration(max(r.Last, r.Minimum)+1)*interval+s.Widest())
	if lead/interval > mostBefore {
		lead = mostBefore * interval
	}
	begin := start.Add(-lead)
	hours := begin
	if r.Hourly > 0 {
		hours = begin.AddDate(0, 0, -min((r.Hourly+1)*widest(s), 100*366))
	}
	for _, at := range append(r.before(s, hours), lastOfHours(s, hours, begin)...) {
		t.pass(at)
		t.add(at)
	}
	n := 0
	for at := range s.After(begin) {
		t.pass(at)
		before := t.kept
		t.add(at)
		t.pass(at.Add(1)) // at its end, an age is still kept
		if at.Before(start) {
			continue
		}
		if n++; n == 1 {
			least = t.kept
		}
		if least, most = min(least, before, t.kept), max(most, t.kept); n == mostCounted {
			break
		}
	}
	return least, most
}

// seen returns the times that the rules tell apart: counts see the last one of each hour or day alone. So a dense schedule is counted over
// as many years as a daily one.
func (r Rules) seen(s schedule.Schedule) schedule.Schedule {
	if r.Within > 0 || r.Last > 0 || r.Minimum > DefaultMinimum {
		return s
	}
	s.Second, s.Minute = highest(s.Second), highest(s.Minute)
	if r.Hourly == 0 {
		s.Hour = highest(s.Hour)
	}
	return s
}

// tally counts the points that full rules keep. A point that comes is the newest.
type tally struct {
	Rules
	times []time.Time
	// reasons has the number of reasons for each point; kept is the number of points with any.
	reasons []int
	kept    int
	// window is the time for which all points are kept, and young is the first point within it.
	window time.Duration
	young  int
	rules  []queue
}

// queue has the points that a rule keeps, the oldest first.
type queue struct {
	count
	number int
	points []int
	newest bucket
}

func (r Rules) tally() *tally {
	t := &tally{Rules: r, window: r.Within}
	if r.Horizon > 0 {
		t.window = min(r.Within, r.Horizon)
	}
	for _, rule := range counts {
		if n := rule.count(r.Policy); n > 0 {
			t.rules = append(t.rules, queue{count: rule, number: n})
		}
	}
	t.rules = append(t.rules, queue{count: counts[0], number: max(r.Minimum, DefaultMinimum)})
	return t
}

// pass lets time pass.
func (t *tally) pass(now time.Time) {
	for ; t.window > 0 && t.young < len(t.times) && now.Sub(t.times[t.young]) > t.window; t.young++ {
		t.reason(t.young, -1)
	}
	for n := range t.rules {
		for q := &t.rules[n]; t.Horizon > 0 && len(q.points) > 0 && now.Sub(t.times[q.points[0]]) > t.Horizon; {
			t.reason(q.points[0], -1)
			q.points = q.points[1:]
		}
	}
}

// add adds a point, which stands for the bucket that it is in.
func (t *tally) add(at time.Time) {
	i := len(t.times)
	t.times, t.reasons = append(t.times, at), append(t.reasons, 0)
	for n := range t.rules {
		q := &t.rules[n]
		b := q.bucket(local{at, 0, i})
		switch last := len(q.points) - 1; {
		case last >= 0 && b == q.newest:
			t.reason(q.points[last], -1)
			q.points = q.points[:last]
		case last+1 == q.number:
			t.reason(q.points[0], -1)
			q.points = q.points[1:]
		}
		q.points, q.newest = append(q.points, i), b
		t.reason(i, 1)
	}
	if t.window > 0 {
		t.reason(i, 1)
	}
}

// reason adds a reason to a point, or takes one.
func (t *tally) reason(i, by int) {
	before := t.reasons[i]
	t.reasons[i] += by
	if before == 0 {
		t.kept++
	} else if t.reasons[i] == 0 {
		t.kept--
	}
}

// interval returns the mean time between 400 scheduled times, a second at least; 0 if there are no two within twelve years.
func interval(s schedule.Schedule, start time.Time) (mean time.Duration) {
	var first time.Time
	n := time.Duration(0)
	for t := range s.After(start) {
		switch {
		case t.After(start.AddDate(12, 0, 0)) || n == 400:
			return mean
		case first.IsZero():
			first = t
		default:
			n++
			mean = max(t.Sub(first)/n, time.Second)
		}
	}
	return mean
}

// before returns the last scheduled time of each day, for as many years before as the rules can look back: no rule but last, hourly
// and minimum sees the others.
func (r Rules) before(s schedule.Schedule, end time.Time) (times []time.Time) {
	widest, days := widest(s), 0
	for i, unit := range []int{1, 1, 1, 7, 31, 366} {
		if n := counts[i].count(r.Policy); n > 0 {
			days = max(days, (n+1)*max(unit, widest))
		}
	}
	days = max(days, (r.Minimum+1)*widest)
	days = min(days+days/16, mostYears*366) // a century may be without its leap day
	s.Hour = highest(s.Hour)                // the last hour of a day is the same in each
	return lastOfHours(s, end.AddDate(0, 0, -days), end)
}

// lastOfHours returns the last scheduled time of each hour. Its second and minute are the same in each.
func lastOfHours(s schedule.Schedule, begin, end time.Time) (times []time.Time) {
	s.Second, s.Minute = highest(s.Second), highest(s.Minute)
	for t := range s.After(begin) {
		if !t.Before(end) {
			break
		}
		times = append(times, t)
	}
	return times
}

// widest returns the days in which at least one time is scheduled.
func widest(s schedule.Schedule) int { return 1 + int(s.Widest()/(24*time.Hour)) }

// highest returns the set with its highest bit alone.
func highest(set uint64) uint64 {
	for set&(set-1) != 0 {
		set &= set - 1
	}
	return set
}
