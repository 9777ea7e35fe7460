package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/retention"
)

// small is a calendar in which each unit has neighbours in one bucket and in two: an hour that comes twice, a Sunday before a Monday,
// the ends of a month and of a year, a week of two years, and two points of one instant.
var small = []string{
	"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T02:00:00Z", "2026-10-31T22:30:00Z",
	"2026-12-31T02:30:00Z", "2027-01-01T02:30:00Z", "2027-01-04T02:30:00Z",
}

// smallPolicies have each rule alone, and some together.
var smallPolicies = []retention.Policy{
	{Last: 1},
	{Last: 3, Minimum: 2},
	{Hourly: 2},
	{Hourly: 4},
	{Daily: 2},
	{Daily: 3},
	{Weekly: 2},
	{Weekly: 3},
	{Monthly: 2},
	{Monthly: 3},
	{Yearly: 1},
	{Yearly: 2},
	{Daily: 1, Weekly: 2, Monthly: 2, Yearly: 2},
	{Hourly: 2, Daily: 2, Minimum: 3},
	{Within: 3 * day, Yearly: 2},
	{Within: 10 * day, Minimum: 2},
}

// TestSmallScope checks the rules on all histories of up to seven points of a small calendar, each verified or not: the specification
// keeps the points that a plain restatement of the rules keeps, the row the same after each arrival, from either end; of the kept points
// none goes with another, and none goes when a count is raised.
func TestSmallScope(t *testing.T) {
	zurich := zone(t, "Europe/Zurich")
	var calendar []retention.Point
	for i, text := range small {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		calendar = append(calendar, retention.Point{ID: fmt.Sprint(i), Began: at})
	}
	states := 0
	for _, policy := range smallPolicies {
		policy.Minimum = max(policy.Minimum, retention.DefaultMinimum)
		r := retention.Rules{Policy: policy, Zone: zurich, Grace: retention.Grace(day)}
		// explore goes through all histories that begin with this one.
		var explore func(s *scope, next int)
		explore = func(s *scope, next int) {
			states++
			s.check(t)
			if t.Failed() || len(s.all) == 7 {
				return
			}
			for ; next < len(calendar); next++ {
				for _, unverified := range []string{"", "suspect"} {
					p := calendar[next]
					p.Unverified = unverified
					explore(s.with(p), next+1)
				}
			}
		}
		explore(&scope{Rules: r, row: r.Begin(retention.Clock{}), labels: map[string][]string{}}, 0)
	}
	t.Logf("%d states: %d policies, each with all histories of up to seven points of %d", states, len(smallPolicies), len(calendar))
}

// scope is a history, and the row that saw each of its points arrive.
type scope struct {
	retention.Rules
	row   retention.Row
	all   []retention.Point
	later []string
	now   time.Time
	// labels has the buckets of each point, once computed.
	labels map[string][]string
}

func (s *scope) with(p retention.Point) *scope {
	n := *s
	p.Worked = s.row.Clock.At(p.Began, s.Grace)
	n.now = p.Began.Add(30 * time.Minute)
	n.all = append(slices.Clone(s.all), p)
	offered := []retention.Point{p}
	for _, old := range s.all {
		if old.Unverified == "" && slices.Contains(s.later, old.ID) {
			offered = append(offered, old)
		}
	}
	var change retention.Change
	n.row, change = s.Add(s.row, n.now, offered...)
	n.later = slices.DeleteFunc(slices.Clone(s.later), func(id string) bool {
		return slices.ContainsFunc(offered, func(p retention.Point) bool { return p.ID == id })
	})
	for _, l := range change.Later {
		n.later = append(n.later, l.ID)
	}
	return &n
}

// kept are the points that the row, or the index by time, still has.
func (s *scope) kept() []string {
	ids := slices.Clone(s.later)
	for _, k := range s.row.Kept {
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *scope) check(t *testing.T) {
	clock := s.row.Clock
	kept := keptIDs(s.Rules, s.all, clock, s.now)
	said := func() string { return fmt.Sprintf("%+v of %v at %s", s.Policy, s.all, s.now) }
	if got := restated(s.Rules, s.all, clock, s.now, s.labels); !slices.Equal(kept, got) {
		t.Errorf("%s: the specification keeps %v, its restatement %v", said(), kept, got)
	}
	if got := s.kept(); !slices.Equal(kept, got) {
		t.Errorf("%s: the specification keeps %v, the row %v", said(), kept, got)
	}
	backwards := slices.Clone(s.all)
	slices.Reverse(backwards)
	row, index := s.Begin(clock), []string(nil)
	for _, p := range backwards {
		var change retention.Change
		row, change = s.Add(row, s.now, p)
		for _, l := range change.Later {
			index = append(index, l.ID)
		}
	}
	if got := (&scope{row: row, later: index}).kept(); !slices.Equal(kept, got) {
		t.Errorf("%s: the specification keeps %v, the row %v when the newest come first", said(), kept, got)
	}
	if len(kept) == len(s.all) { // the others are other histories
		for i := range s.all {
			rest := slices.Delete(slices.Clone(s.all), i, i+1)
			if got := keptIDs(s.Rules, rest, clock, s.now); len(got) != len(rest) {
				t.Errorf("%s: all stay, and without %s only %v", said(), s.all[i].ID, got)
			}
		}
	}
	for _, raise := range raises {
		more := s.Rules
		if raise(&more.Policy) {
			if got := keptIDs(more, s.all, clock, s.now); slices.ContainsFunc(kept, func(id string) bool { return !slices.Contains(got, id) }) {
				t.Errorf("%s: keeps %v, and with %+v only %v", said(), kept, more.Policy, got)
			}
		}
	}
}

// raises raise one rule each, if it is on.
var raises = []func(*retention.Policy) bool{
	func(p *retention.Policy) bool { return raise(&p.Last) },
	func(p *retention.Policy) bool { return raise(&p.Hourly) },
	func(p *retention.Policy) bool { return raise(&p.Daily) },
	func(p *retention.Policy) bool { return raise(&p.Weekly) },
	func(p *retention.Policy) bool { return raise(&p.Monthly) },
	func(p *retention.Policy) bool { return raise(&p.Yearly) },
	func(p *retention.Policy) bool { return raise(&p.Minimum) },
	func(p *retention.Policy) bool { p.Within += day; return p.Within > day },
}

func raise(n *int) bool { *n++; return *n > 1 }

func keptIDs(r retention.Rules, points []retention.Point, clock retention.Clock, now time.Time) []string {
	ids := []string{}
	for _, v := range r.Evaluate(points, clock, now) {
		if v.Keep {
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// restated says by the words of the rules, point by point, which points of a schedule are kept. There is no horizon.
func restated(r retention.Rules, points []retention.Point, clock retention.Clock, now time.Time, labels map[string][]string) []string {
	bucket := func(p retention.Point, unit int) string {
		if labels[p.ID] == nil {
			t := p.Began.In(r.Zone)
			monday := t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
			labels[p.ID] = []string{
				p.ID, t.Format("2006-01-02T15-07"), t.Format("2006-01-02"), monday.Format("2006-01-02"), t.Format("2006-01"), t.Format("2006"),
			}
		}
		return labels[p.ID][unit]
	}
	counts := func(p retention.Point) bool { return p.Unverified == "" && !p.Began.After(now) }
	newer := func(a, b retention.Point) bool {
		return a.Began.After(b.Began) || a.Began.Equal(b.Began) && a.ID > b.ID
	}
	ids := []string{}
	for _, p := range points {
		keep := !counts(p)
		isOldest, above := true, 0
		for _, q := range points {
			isOldest = isOldest && (!counts(q) || !newer(p, q))
			if counts(q) && newer(q, p) {
				above++
			}
		}
		keep = keep || above < r.Minimum || clock.At(now, r.Grace)-p.Worked <= r.Within
		for unit, number := range []int{r.Last, r.Hourly, r.Daily, r.Weekly, r.Monthly, r.Yearly} {
			stands := true
			all, before := map[string]bool{}, map[string]bool{}
			for _, q := range points {
				if !counts(q) {
					continue
				}
				all[bucket(q, unit)] = true
				if newer(q, p) {
					before[bucket(q, unit)] = true
					stands = stands && bucket(q, unit) != bucket(p, unit)
				}
			}
			keep = keep || number > 0 && (stands && len(before) < number || unit > 0 && isOldest && len(all) < number)
		}
		if keep {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
