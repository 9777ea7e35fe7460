package retention_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestWorlds lets a target live for some months under random rules: backups on time, late, in disorder, dated after now, not verified and
// accepted later, on demand and before restores; pauses, holds, restores, lost artifacts, edits of the policy, and deaths between the
// writes. In each world:
//
//   - no point goes that the specification keeps, at any time;
//   - without losses, edits and a horizon, judging the whole history once leaves the same points;
//   - after an edit the same points are left as the specification keeps;
//   - no kept point changes its answer before the time that the specification gives.
func TestWorlds(t *testing.T) {
	const worlds, first = 400, 1
	events, late := 0, 0
	for seed := uint64(first); seed < first+worlds && !t.Failed(); seed++ {
		w := newWorld(t, seed)
		for range 60 {
			w.event()
			w.check()
			events++
			if t.Failed() {
				t.Logf("seed %d: %+v, zone %s", seed, w.Rules, w.Zone)
				break
			}
		}
		late += w.late
	}
	t.Logf("seeds %d to %d: %d events; %d times a point stayed some days longer, after a pause or an acceptance", first, first+worlds-1, events, late)
}

// world is a target, with all that the engine has of it.
type world struct {
	retention.Rules
	*testing.T
	rand *rand.Rand
	now  time.Time
	row  retention.Row
	// points are the rows of the points, marked or not: the whole history.
	points []retention.Point
	marked map[string]bool
	lost   map[string]bool
	// index has the time of each point that is to be added again.
	index map[string]time.Time
	// plain: all that happened leaves what judging the whole history once leaves.
	plain bool
	// calm: nothing is lost or edited.
	calm bool
	late int
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 0))
	w := &world{
		T: t, rand: r, now: time.Date(2026, 10, 1+r.IntN(90), r.IntN(24), 0, 0, 0, time.UTC),
		marked: map[string]bool{}, lost: map[string]bool{}, index: map[string]time.Time{},
	}
	w.Rules = w.draw()
	w.calm, w.plain = seed%2 == 0, w.Horizon == 0
	w.row = w.Begin(retention.Clock{})
	return w
}

// draw draws rules.
func (w *world) draw() retention.Rules {
	n := func(most int) int { return max(0, w.rand.IntN(2*most)-most+1) }
	span := func(most int) time.Duration { return time.Duration(n(most)) * day / 2 }
	r := retention.Rules{
		Policy: retention.Policy{
			Last: n(4), Hourly: n(5), Daily: n(6), Weekly: n(4), Monthly: n(4), Yearly: n(3), Within: span(30), Minimum: 1 + n(4),
		},
		Grace: retention.Grace(day), OnDemand: span(60), Safety: span(20),
	}
	if w.rand.IntN(4) == 0 {
		r.Horizon = time.Duration(5+w.rand.IntN(30)) * day
	}
	names := []string{"Europe/Zurich", "America/Santiago", "Australia/Lord_Howe", "UTC"}
	r.Zone = zone(w.T, names[w.rand.IntN(len(names))])
	return r
}

func (w *world) event() {
	switch n := w.rand.IntN(100); {
	case n < 55:
		w.pass(time.Duration(w.rand.IntN(30)) * time.Hour)
		w.backup(w.now)
	case n < 62: // it ends after a newer one
		w.backup(w.now.Add(-time.Duration(w.rand.IntN(72)) * time.Hour))
	case n < 66:
		w.backup(w.now.Add(time.Duration(w.rand.IntN(20*24)) * time.Hour))
	case n < 74:
		w.pass(time.Duration(w.rand.IntN(10*24)) * time.Hour)
	case n < 78:
		w.pass(time.Duration(w.rand.IntN(60*24)) * time.Hour)
	case n < 90 && len(w.points) > 0:
		w.change(&w.points[w.rand.IntN(len(w.points))])
	case n < 93 && len(w.points) > 0 && !w.calm:
		w.lose(w.points[w.rand.IntN(len(w.points))].ID)
	case n < 97 && !w.calm:
		w.edit()
	}
}

// backup makes a point.
func (w *world) backup(began time.Time) {
	p := retention.Point{ID: fmt.Sprintf("%02d-%03d", w.rand.IntN(100), len(w.points)), Began: began, Worked: w.row.Clock.At(began, w.Grace)}
	switch w.rand.IntN(12) {
	case 0, 1:
		p.Unverified = "suspect"
	case 2:
		p.Class = retention.OnDemand
	case 3:
		p.Class = retention.Safety
	}
	w.points = append(w.points, p)
	w.add(p)
}

// change holds, releases, reads, or accepts a point, and adds it again.
func (w *world) change(p *retention.Point) {
	if w.marked[p.ID] || w.lost[p.ID] {
		return
	}
	switch w.rand.IntN(4) {
	case 0:
		p.Held = backup.Hold{Reason: "audit"}
		if w.rand.IntN(2) == 0 {
			p.Held.Until = w.now.Add(time.Duration(w.rand.IntN(240)) * time.Hour)
		}
	case 1:
		p.InUse = "a restore"
	case 2:
		p.Held, p.InUse = backup.Hold{}, ""
	default:
		p.Unverified = ""
	}
	w.add(*p)
}

func (w *world) lose(id string) {
	if !w.marked[id] {
		w.plain, w.lost[id] = false, true
		delete(w.index, id)
		w.row = w.row.Remove(id)
	}
}

// edit judges all points anew, in pages in any order, and dies once in the middle.
func (w *world) edit() {
	w.plain = false
	w.Rules = w.draw()
	present := w.present()
	w.rand.Shuffle(len(present), func(i, j int) { present[i], present[j] = present[j], present[i] })
	w.row = w.Begin(w.row.Clock)
	clear(w.index)
	for page := range slices.Chunk(present, 1+w.rand.IntN(5)) {
		w.add(page...)
	}
	w.same("after an edit", keptIDs(w.Rules, w.present(), w.row.Clock, w.now), nil)
}

// add makes one step: the marks and the index first, then the row. Some steps die before the row is written, and come again.
func (w *world) add(points ...retention.Point) {
	before := w.present()
	row, change := w.Add(w.row, w.now, points...)
	if w.rand.IntN(4) == 0 {
		w.apply(before, row.Clock, points, change)
		again, _ := w.Add(w.row, w.now, points...)
		if a, b := ids(row), ids(again); !slices.Equal(a, b) {
			w.Errorf("a step keeps %v, and when it is repeated %v", a, b)
		}
		row, change = w.Add(again, w.now, points...)
	}
	w.apply(before, row.Clock, points, change)
	w.row = row
}

func (w *world) apply(before []retention.Point, clock retention.Clock, added []retention.Point, change retention.Change) {
	for _, p := range added {
		delete(w.index, p.ID)
	}
	keep := keptIDs(w.Rules, before, clock, w.now)
	for _, id := range change.Out {
		p := w.points[slices.IndexFunc(w.points, func(p retention.Point) bool { return p.ID == id })]
		if w.lost[id] {
			continue
		}
		switch held := p.Held.Reason != "" && (p.Held.Until.IsZero() || w.now.Before(p.Held.Until)); {
		case p.InUse != "": // the row knows no readers and no holds: the point is added again at their end
			w.index[id] = time.Time{}
			continue
		case held:
			w.index[id] = p.Held.Until
			continue
		}
		if slices.Contains(keep, id) {
			w.Errorf("%s goes, and the specification keeps it at %s: %v", id, w.now, before)
		}
		w.marked[id] = true
		delete(w.index, id)
	}
	for _, l := range change.Later {
		w.index[l.ID] = l.At
	}
}

// pass lets time pass, and adds each point again when its time comes.
func (w *world) pass(d time.Duration) {
	turns := 0
	for end := w.now.Add(d); ; {
		next, at := "", end.Add(1)
		for id, due := range w.index {
			if !due.IsZero() && (due.Before(at) || due.Equal(at) && id < next) {
				next, at = id, due
			}
		}
		if !w.row.Next.IsZero() && w.row.Next.Before(at) {
			next, at = "", w.row.Next
		}
		if at.After(end) {
			w.now = end
			return
		}
		if turns++; turns > 10_000 {
			w.Fatalf("the time of %q comes again and again: at %s", next, at)
		}
		w.now = at
		if next == "" {
			w.add()
			continue
		}
		w.add(w.points[slices.IndexFunc(w.points, func(p retention.Point) bool { return p.ID == next })])
	}
}

// present are the points that are neither marked nor lost.
func (w *world) present() []retention.Point {
	return slices.DeleteFunc(slices.Clone(w.points), func(p retention.Point) bool { return w.marked[p.ID] || w.lost[p.ID] })
}

func ids(row retention.Row) (all []string) {
	for _, k := range row.Kept {
		all = append(all, k.ID)
	}
	slices.Sort(all)
	return all
}

// same compares the points that are left.
func (w *world) same(when string, want, late []string) {
	w.Helper()
	got := []string{}
	for _, p := range w.present() {
		if !slices.Contains(late, p.ID) {
			got = append(got, p.ID)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.Errorf("%s at %s %v are left, and the specification keeps %v of %v", when, w.now, got, want, w.points)
	}
}

func (w *world) check() {
	if row, _ := w.Add(w.row, w.now); w.row.Next.IsZero() || w.now.Before(w.row.Next) {
		if before, after := ids(w.row), ids(row); !slices.Equal(before, after) {
			w.Errorf("at %s, before %s, the row of %v changes to %v", w.now, w.row.Next, before, after)
		}
	}
	w.add() // the row does all that is due
	verdicts := w.Evaluate(w.present(), w.row.Clock, w.now)
	var late []string
	for _, v := range verdicts {
		if v.Keep {
			continue
		}
		at := w.index[v.ID]
		switch {
		case slices.ContainsFunc(v.Reasons, func(r retention.Reason) bool { return r.Rule == retention.Horizon }):
			w.Errorf("%s is left at %s beyond the horizon, its time is %s", v.ID, w.now, at)
		case w.plain && at.After(w.now) && !at.After(w.now.Add(3*w.Grace)):
			late = append(late, v.ID) // the clock stood still, or went on at once when a point was accepted or became past
		case w.plain:
			w.Errorf("%s is left at %s, its time is %s, and it goes by the specification: %v", v.ID, w.now, at, v.Reasons)
		}
	}
	if w.plain {
		w.same("of the whole history", keptIDs(w.Rules, w.points, w.row.Clock, w.now), late)
	}
	w.late += len(late)
	w.checkNext(verdicts)
}

// checkNext looks at the points between now and the times at which they may change, and at these.
func (w *world) checkNext(verdicts []retention.Verdict) {
	for _, v := range verdicts {
		if !v.Keep || w.rand.IntN(8) > 0 {
			continue
		}
		at := v.Next.Add(-1)
		if v.Next.IsZero() {
			at = w.now.Add(time.Duration(w.rand.IntN(1000)) * day)
		} else if !v.Next.After(w.now) {
			w.Errorf("%s may change at %s, which is not after %s", v.ID, v.Next, w.now)
		}
		if !slices.Contains(keptIDs(w.Rules, w.present(), w.row.Clock, at), v.ID) {
			w.Errorf("%s is kept at %s up to %s, and not at %s: %v", v.ID, w.now, v.Next, at, v.Reasons)
		}
	}
}
