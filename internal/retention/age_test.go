package retention_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestAgeEqualsTheSpecification lets a plan back up a target for some months, on time and late, by hand and by its schedule, with pauses,
// outages, suspect points and acceptances. At any time the review, which knows the row of the plan, lets the points go that the
// specification lets go, and none of the others.
func TestAgeEqualsTheSpecification(t *testing.T) {
	stood, went := 0, 0
	for seed := range uint64(150) {
		a := newAging(t, seed)
		for range 40 {
			a.event()
			s, w := a.check()
			stood, went = stood+s, went+w
			if t.Failed() {
				t.Fatalf("seed %d: %+v", seed, a.Rules)
			}
		}
	}
	if stood < 1000 || went < 1000 {
		t.Errorf("the worlds are too much alike: %d points stayed because the clock had stood still, %d went", stood, went)
	}
}

// TestAnAcceptedPointLosesOnlyTimeThatDidNotWork has two suspect points, of which a person accepts the older one first. The younger one was
// made when no backup had worked for longer than the grace. By its acceptance that time has worked, and newer backups have too.
func TestAnAcceptedPointLosesOnlyTimeThatDidNotWork(t *testing.T) {
	grace := 2 * day
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	point := func(id string, created time.Duration) backup.Point {
		return backup.Point{ID: id, Artifact: id, Plan: "nightly", State: backup.Live, Created: at(created), Expires: at(created + 5*day)}
	}
	row := retention.Counted{Plan: "nightly"}
	works := func(p backup.Point, now time.Duration) { row = row.Advance(grace, at(now), p) }
	fresh := func(id string, created time.Duration) backup.Point {
		p := point(id, created)
		row.Settle(grace, at(created), nil, &p)
		return p
	}
	works(fresh("a", 0), 0)
	older, younger := fresh("b", day), fresh("c", 2*day+time.Hour)
	if younger.Idle != time.Hour {
		t.Fatalf("no backup worked for %s", younger.Idle)
	}
	row.Settle(grace, at(3*day), nil, nil, &older)
	works(older, 3*day)
	for _, n := range []time.Duration{3, 6} { // an hour of the three days is lost behind the younger one
		works(fresh(fmt.Sprint("d", n), n*day), n*day)
	}
	row.Settle(grace, at(6*day+time.Hour), []backup.Point{older}, nil, &younger)
	works(younger, 6*day+time.Hour)
	if younger.Idle != 0 {
		t.Errorf("the younger one keeps %s in which backups worked", younger.Idle)
	}
	// Its day is two hours on, and no backup has worked for two hours more than the grace.
	now := at(7*day + 2*time.Hour)
	r := retention.NewReview(now, 0)
	r.Count(row, nil, nil)
	r.Add(younger)
	r.Add(point("d5", 5*day))
	decisions, _ := r.Decide()
	for _, d := range decisions {
		if !d.Keep {
			t.Errorf("%s goes at %s: %s", d.Point.ID, now, d.Reason)
		}
	}
}

// aging is a plan of a target, by the engine and by the specification.
type aging struct {
	retention.Rules
	*testing.T
	rand *rand.Rand
	now  time.Time
	row  retention.Counted
	made []backup.Point
	// clock and points are the specification's.
	clock  retention.Clock
	points []retention.Point
}

func newAging(t *testing.T, seed uint64) *aging {
	r := rand.New(rand.NewPCG(seed, 9))
	grace := retention.Grace([]time.Duration{day, 4 * day, 7 * day, 0}[r.IntN(4)])
	return &aging{
		T: t, rand: r, now: begin, row: retention.Counted{Plan: "nightly"},
		Rules: retention.Rules{
			// No age is as long as these to the instant, at which the review lets go what the specification still keeps.
			Policy: retention.Policy{Within: time.Duration(3+r.IntN(27))*day + 500*time.Millisecond, Minimum: 1}, Zone: time.UTC, Grace: grace,
			OnDemand: time.Duration(1+r.IntN(20))*day + 500*time.Millisecond,
		},
	}
}

func (a *aging) event() {
	switch n := a.rand.IntN(20); {
	case n < 14:
		a.now = a.now.Add(time.Duration(a.rand.IntN(40)) * time.Hour)
		a.backup(a.now.Add(-time.Duration(a.rand.IntN(60)) * time.Minute))
	case n < 16: // it ends after a newer one
		a.backup(a.now.Add(-time.Duration(a.rand.IntN(90)) * time.Hour))
	case n < 18:
		a.now = a.now.Add(time.Duration(a.rand.IntN(60*24)) * time.Hour)
	default:
		a.accept()
	}
}

// backup makes a point. The specification counts from its start, and this one from its writing: here they are the same.
func (a *aging) backup(at time.Time) {
	id := fmt.Sprintf("%03d", len(a.made))
	p := backup.Point{ID: id, Artifact: id, Plan: "nightly", State: backup.Live, Created: at, Expires: at.Add(a.Within)}
	s := retention.Point{ID: id, Began: at, Worked: a.clock.At(at, a.Grace)}
	if a.clock.Began.IsZero() { // no time was lost yet
		s.Worked = at.Sub(time.Unix(0, 0))
	}
	s.Worked = max(s.Worked, a.until(s))
	switch a.rand.IntN(8) {
	case 0, 1:
		p.State, p.Suspicion, s.Unverified = backup.Suspect, backup.NewReason("FarSmaller", "", ""), "suspect"
	case 2:
		p.OnDemand, p.Expires, s.Class = true, at.Add(a.OnDemand), retention.OnDemand
	}
	a.row.Settle(a.Grace, a.now, a.made, &p)
	a.made, a.points = append(a.made, p), append(a.points, s)
	a.works(len(a.made) - 1)
}

// works has the clocks go on with a point that is verified.
func (a *aging) works(i int) {
	if p := a.made[i]; retention.Works(p, "nightly") {
		a.row = a.row.Advance(a.Grace, a.now, p)
		a.clock = a.clock.Advance(a.points[i], a.Grace, a.now)
	}
}

// accept makes a suspect point a live one. The clocks learn what worked in between.
func (a *aging) accept() {
	i := slices.IndexFunc(a.made, func(p backup.Point) bool { return p.State == backup.Suspect })
	if i < 0 {
		return
	}
	p := &a.made[i]
	p.State, p.Accepted = backup.Live, backup.Acceptance{Time: a.now}
	a.row.Settle(a.Grace, a.now, a.made, nil, p)
	s := &a.points[i]
	older := !p.Created.After(a.clock.Began)
	if !older {
		s.Worked = max(s.Worked, a.clock.At(p.Created, a.Grace))
	} else {
		s.Worked = max(s.Worked, a.clock.At(p.Created, 0)) // the sum that lies as far before the newest success
	}
	var before retention.Point
	for _, o := range a.points {
		if o.Unverified == "" && o.Began.Before(s.Began) && o.Began.After(before.Began) {
			before = o
		}
	}
	if older && !before.Began.IsZero() {
		s.Worked = max(s.Worked, before.Worked+min(s.Began.Sub(before.Began), cmp.Or(a.Grace, 1<<62)))
	}
	s.Worked = max(s.Worked, a.until(*s))
	s.Unverified = ""
	a.works(i)
}

// until returns the sum at a point by the success after it, whose sum counts what worked between them; the least number without one.
func (a *aging) until(p retention.Point) time.Duration {
	worked, next := time.Duration(math.MinInt64), time.Time{}
	for _, o := range a.points {
		if o.Unverified == "" && o.Began.After(p.Began) && (next.IsZero() || o.Began.Before(next)) {
			worked, next = o.Worked-min(o.Began.Sub(p.Began), cmp.Or(a.Grace, 1<<62)), o.Began
		}
	}
	return worked
}

// check compares the answers about the verified points.
func (a *aging) check() (stood, went int) {
	r := retention.NewReview(a.now, 0)
	r.Count(a.row, nil, nil)
	for _, p := range a.made {
		r.Add(p)
	}
	goes := map[string]bool{}
	decisions, _ := r.Decide()
	for _, d := range decisions {
		goes[d.Point.ID] = !d.Keep || d.Waits
	}
	for i, v := range a.Evaluate(a.points, a.clock, a.now) {
		newest := slices.ContainsFunc(v.Reasons, func(r retention.Reason) bool {
			return r.Rule == retention.Newest || r.Rule == retention.Minimum
		})
		if a.points[i].Unverified != "" || newest {
			continue
		}
		if goes[v.ID] == v.Keep {
			a.Errorf("at %s, %s of %s: cleanup lets it go: %t; the specification says %v", a.now, v.ID, a.made[i].Created, goes[v.ID], v.Reasons)
		}
		switch {
		case goes[v.ID]:
			went++
		case !a.now.Before(a.made[i].Expires):
			stood++
		}
	}
	return stood, went
}
