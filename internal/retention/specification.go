package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// count is a rule that keeps a number of points: the newest of each bucket, until there are so many.
type count struct {
	name   string
	count  func(Policy) int
	bucket func(local) bucket
	// label is the bucket in words.
	label func(local) string
}

// bucket is the same for two points if, and only if, one of them stands for both.
type bucket [5]int

// local is the start of a point's backup by the clocks of the plan's zone: a time in UTC that shows the same, and the offset.
type local struct {
	time.Time
	offset int // in seconds
	order  int // newest first
}

// counts are the rules of a policy with a number. A day, month or year is one of the calendar, a week is an ISO week, from Monday,
// in its ISO year, and an hour has the offset of its clock, so that an hour that comes twice is two.
var counts = []count{
	{"last", func(p Policy) int { return p.Last }, func(t local) bucket { return bucket{t.order} }, func(local) string { return "" }},
	{"hourly", func(p Policy) int { return p.Hourly }, hour, func(t local) string {
		return t.Format("2006-01-02T15") + time.Time{}.In(time.FixedZone("", t.offset)).Format("-07:00")
	}},
	{"daily", func(p Policy) int { return p.Daily }, day, func(t local) string { return t.Format("2006-01-02") }},
	{"weekly", func(p Policy) int { return p.Weekly }, week, func(t local) string { w := week(t); return fmt.Sprintf("%d-W%02d", w[0], w[1]) }},
	{"monthly", func(p Policy) int { return p.Monthly }, month, func(t local) string { return t.Format("2006-01") }},
	{"yearly", func(p Policy) int { return p.Yearly }, year, func(t local) string { return t.Format("2006") }},
}

func hour(t local) bucket {
	y, m, d := t.Date()
	return bucket{y, int(m), d, t.Hour(), t.offset}
}

func day(t local) bucket   { y, m, d := t.Date(); return bucket{y, int(m), d} }
func week(t local) bucket  { y, w := t.ISOWeek(); return bucket{y, w} }
func month(t local) bucket { y, m, _ := t.Date(); return bucket{y, int(m)} }
func year(t local) bucket  { return bucket{t.Year()} }

// Evaluate judges all points of a target, in any order, and answers in the same order. It is the specification of retention:
//
//   - A point counts if it is of the schedule, verified, not after now, within the horizon, and not soft-deleted. The rules of the
//     policy see no other point, each rule looks by itself, and a point stays if any rule keeps it.
//   - The points go from the newest to the oldest, by their start, then by their ID.
//   - A count takes the newest point of each bucket that has one, until it has so many. While it has fewer, it also keeps the oldest
//     point that counts, so that a young history keeps its beginning; last does not.
//   - minimum keeps so many newest points that count, and the newest verified point of the target stays whatever comes.
//   - within keeps a point up to its age, inclusive, by the clock that runs only while backups work.
//   - A point on demand and a safety backup have a time of their own, by the same clock, and no rule of the policy sees them.
//   - A point stays while it is dated after now, not verified, held, read, or kept by storage.
func (r Rules) Evaluate(points []Point, clock Clock, now time.Time) []Verdict {
	return r.evaluate(points, clock, now, true)
}

// evaluate judges with all reasons in words, or with one for each point that a count keeps: a third of the work.
func (r Rules) evaluate(points []Point, clock Clock, now time.Time, words bool) []Verdict {
	e := evaluation{Rules: r, points: points, clock: clock, now: now, words: words}
	e.verdicts, e.order, e.taken = make([]Verdict, len(points)), make([]int, len(points)), make([]bool, len(points))
	for i := range points {
		e.order[i] = i
	}
	slices.SortFunc(e.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(points[b].Began.Unix(), points[a].Began.Unix()), cmp.Compare(points[b].ID, points[a].ID))
	})
	for _, i := range e.order {
		if p := &points[i]; p.SoftDeleted.IsZero() && p.Unverified == "" && p.Began.After(now) {
			e.future = p.Began // the earliest comes last
		}
	}
	newest := true
	for _, i := range e.order {
		e.single(i, &newest)
	}
	for _, rule := range counts {
		e.count(rule)
	}
	for i := range min(r.Minimum, len(e.counting)) {
		e.add(e.counting[i].point, Reason{Rule: Minimum, Keeps: true, N: i + 1, Of: r.Minimum})
	}
	for i := range e.verdicts {
		e.conclude(i)
	}
	return e.verdicts
}

type evaluation struct {
	Rules
	points   []Point
	clock    Clock
	now      time.Time
	words    bool
	verdicts []Verdict
	// order has the places of the points, the newest first. counting has the points that count.
	order    []int
	counting []candidate
	// taken says that a point has a reason to be in the row.
	taken []bool
	zone  zone
	// future is the start of the first verified point after now: from then on it may take the place of another.
	future time.Time
}

type candidate struct {
	local
	point int
}

// add adds a reason. A count ends for a point when the point leaves the horizon, and perhaps when one dated after now comes in.
func (e *evaluation) add(i int, r Reason) {
	if r.counted() {
		if !e.words && e.taken[i] {
			return
		}
		e.taken[i] = true
		r.Until = e.future
		if r.Rule != Newest {
			r.Until = sooner(e.future, e.beyond(i))
		}
	}
	e.verdicts[i].Reasons = append(e.verdicts[i].Reasons, r)
}

// beyond returns the first instant at which the point is beyond the horizon; zero for never.
func (e *evaluation) beyond(i int) time.Time {
	if e.Horizon == 0 {
		return time.Time{}
	}
	return e.points[i].Began.Add(e.Horizon + 1)
}

// single judges a point by itself, and notes that it counts.
func (e *evaluation) single(i int, newest *bool) {
	p := &e.points[i]
	switch horizon := e.beyond(i); {
	case !p.SoftDeleted.IsZero():
		e.add(i, Reason{Rule: SoftDeleted, Until: p.SoftDeleted})
	case p.Began.After(e.now):
		e.add(i, Reason{Rule: Future, Keeps: true, Until: p.Began})
	case p.Unverified != "":
		e.add(i, Reason{Rule: Unverified, Keeps: true, Why: p.Unverified})
	default:
		if *newest && p.Class != Safety {
			*newest = false
			e.add(i, Reason{Rule: Newest, Keeps: true})
		}
		limit, limited := e.limit(p.Class)
		if !limited {
			e.add(i, Reason{Rule: Unlimited, Keeps: true})
		}
		if !horizon.IsZero() && !e.now.Before(horizon) {
			e.add(i, Reason{Rule: Horizon, Limit: e.Horizon})
			return
		}
		if p.Class == Scheduled {
			t := e.zone.local(p.Began, e.Zone)
			t.order = len(e.counting)
			e.counting = append(e.counting, candidate{t, i})
		}
		if limit > 0 {
			e.within(i, limit)
		}
	}
}

// zone has the offset of the clocks from one change of theirs to the next.
type zone struct {
	from, to time.Time
	offset   int
}

// local returns the time by the clocks of a zone, which are looked up once between two changes: that is slow.
func (z *zone) local(t time.Time, in *time.Location) local {
	if t.Before(z.from) || !z.to.IsZero() && !t.Before(z.to) || z.from.IsZero() && z.to.IsZero() {
		z.from, z.to = t.In(in).ZoneBounds()
		_, z.offset = t.In(in).Zone()
	}
	return local{t.UTC().Add(time.Duration(z.offset) * time.Second), z.offset, 0}
}

// limit returns the time for which a class of points is kept, 0 without one, and whether anything limits it.
func (e *evaluation) limit(c Class) (limit time.Duration, limited bool) {
	switch c {
	case OnDemand:
		return e.OnDemand, e.OnDemand > 0
	case Safety:
		return e.Safety, e.Safety > 0
	default:
		return e.Within, e.any()
	}
}

// within judges the age of a point that is within the horizon.
func (e *evaluation) within(i int, limit time.Duration) {
	p := &e.points[i]
	r := Reason{Rule: Within, Age: max(e.clock.At(e.now, e.Grace)-p.Worked, 0), Limit: limit}
	if r.Keeps = r.Age <= limit; r.Keeps {
		left := limit - r.Age + 1
		if e.clock.At(e.now.Add(left), e.Grace)-p.Worked > limit {
			r.Until = e.now.Add(left)
		} else if e.Grace > 0 && e.now.Sub(e.clock.Began) > e.Grace {
			left = max(left, 24*time.Hour) // the clock stands still: one look a day is enough
		}
		r.Until = sooner(r.Until, e.beyond(i))
		r.earliest = sooner(e.now.Add(left), e.beyond(i))
	}
	e.add(i, r)
}

// count keeps the newest point of each bucket, wherever in the list its points are.
func (e *evaluation) count(rule count) {
	number := rule.count(e.Policy)
	if number <= 0 || len(e.counting) == 0 {
		return
	}
	taken := make(map[bucket]bool, min(number, len(e.counting)))
	var previous bucket
	last := -1
	for n, c := range e.counting {
		if len(taken) == number {
			return
		}
		b := rule.bucket(c.local)
		if n > 0 && b == previous || taken[b] {
			continue
		}
		previous, taken[b], last = b, true, n
		label := ""
		if e.words {
			label = rule.label(c.local)
		}
		e.add(c.point, Reason{Rule: Rule(rule.name), Keeps: true, Bucket: label, N: len(taken), Of: number})
	}
	if oldest := len(e.counting) - 1; rule.name != "last" && last < oldest {
		e.add(e.counting[oldest].point, Reason{Rule: Rule(rule.name), Keeps: true, Bucket: "oldest", N: len(taken), Of: number})
	}
}

// conclude makes the answer of the reasons.
func (e *evaluation) conclude(i int) {
	v := &e.verdicts[i]
	v.ID = e.points[i].ID
	v.Reasons = append(v.Reasons, e.points[i].held(e.now)...)
	for _, r := range v.Reasons {
		v.Keep = v.Keep || r.Keeps
	}
	switch {
	case v.Keep:
		v.Next = v.ends(func(r Reason) time.Time { return r.Until })
	case !e.points[i].SoftDeleted.IsZero():
		v.Next = e.points[i].SoftDeleted
	case len(v.Reasons) == 0:
		v.Reasons = []Reason{{Rule: None}}
	}
}
