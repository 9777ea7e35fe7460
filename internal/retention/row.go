package retention

import (
	"fmt"
	"slices"
	"time"
)

// Row holds the points of a target that a count, the minimum, or being the newest keeps. A new point is judged by these alone: judging
// at each arrival, in any order, leaves the same points as judging all at once. So no step reads a history.
//
// All other points that stay (within their time, dated after now, held) stand in an index by time. When their time comes they are
// added again.
// A step that is repeated, because the process died before the row was written, says the same again. The marks and the index are to be
// written before the row, or with it: a death between leaves the old row, and the step comes again. Where they are lost all the same,
// points stay, and none goes; a pass over all points finds them.
//
// A lost point is removed, and needs no other in its place: any of the points that are kept stay kept without the others.
type Row struct {
	// Rules is the [Rules.Key] by which the points were judged.
	Rules string `json:"rules"`
	// Reading says where a pass over all points is, in the words of its caller; "" if there is none.
	Reading string `json:"reading,omitempty"`
	Clock   Clock  `json:"clock"`
	Kept    []Kept `json:"kept"`
	// Next is the time from which on [Rules.Add] has something to do without a new point; zero for never.
	Next time.Time `json:"next,omitzero"`
}

// Kept is a point of a row.
type Kept struct {
	ID       string
	Began    int64 // Unix time
	Worked   time.Duration
	OnDemand bool
}

// MarshalText writes the point in 65 characters, for IDs as long as those of runs.
func (k Kept) MarshalText() ([]byte, error) {
	text := fmt.Appendf(nil, "%s %d %d", k.ID, k.Began, k.Worked/time.Second)
	if k.OnDemand {
		text = append(text, " d"...)
	}
	return text, nil
}

// UnmarshalText reads the point.
func (k *Kept) UnmarshalText(text []byte) error {
	var worked int64
	var class string
	n, err := fmt.Sscan(string(text), &k.ID, &k.Began, &worked, &class)
	if n < 3 {
		return fmt.Errorf("%q is no point of a row: %w", text, err)
	}
	k.Worked, k.OnDemand = time.Duration(worked)*time.Second, class == "d"
	return nil
}

// Change says what a step changes beside the row.
type Change struct {
	// Out are the points that no rule keeps any more. The row knows no holds and no readers: a point that has one is not marked, and is
	// added again at its end.
	Out []string
	// Later are points that stay, and are not in the row.
	Later []Later
}

// Later is a point for the index by time.
type Later struct {
	ID string
	// At is the time at which the point is to be added again. It is the earliest if the clock runs on. Where it stood still, or went on
	// at once because a suspect point was accepted, the point goes some days late, and never early. It is zero if an event must come
	// first: the end of a restore, a release, an acceptance.
	At time.Time
}

// Begin returns the row from which a pass over all points begins: each is added, in any order, in pages, beside new ones. The points
// that are not in the row at its end, nor were said to be for later, have fallen out. The clock goes on from the row before.
func (r Rules) Begin(clock Clock) Row { return Row{Rules: r.Key(), Clock: clock} }

// Add adds points to a row, or only lets time pass if there are none. It changes nothing of the given row.
func (r Rules) Add(row Row, now time.Time, points ...Point) (Row, Change) {
	all := make([]Point, 0, len(row.Kept)+len(points))
	for _, k := range row.Kept {
		if !slices.ContainsFunc(points, func(p Point) bool { return p.ID == k.ID }) {
			all = append(all, k.point())
		}
	}
	points = slices.SortedFunc(slices.Values(points), func(a, b Point) int { return a.Began.Compare(b.Began) })
	for _, p := range points {
		row.Clock = row.Clock.Advance(p, r.Grace, now)
	}
	all = append(all, points...)
	row.Kept, row.Next = make([]Kept, 0, len(all)), time.Time{}
	var change Change
	for i, v := range r.evaluate(all, row.Clock, now, false) {
		switch {
		case slices.ContainsFunc(v.Reasons, Reason.counted):
			row.Kept = append(row.Kept, kept(all[i]))
			row.Next = sooner(row.Next, v.ends(func(r Reason) time.Time {
				if r.counted() {
					return r.Until
				}
				return now // it leaves the row, however long another reason keeps it
			}))
		case v.Keep:
			at := v.ends(func(r Reason) time.Time { return later(r.Until, r.earliest) })
			if all[i].Began.After(now) {
				at = all[i].Began // it counts from then on, held or not
			}
			change.Later = append(change.Later, Later{ID: v.ID, At: at})
		default:
			change.Out = append(change.Out, v.ID)
		}
	}
	return row, change
}

// Remove removes a point that is gone: a person deleted it, or its artifact is lost. It changes nothing of the given row.
func (row Row) Remove(id string) Row {
	row.Kept = slices.DeleteFunc(slices.Clone(row.Kept), func(k Kept) bool { return k.ID == id })
	return row
}

func kept(p Point) Kept {
	return Kept{ID: p.ID, Began: p.Began.Unix(), Worked: p.Worked, OnDemand: p.Class == OnDemand}
}

func (k Kept) point() Point {
	p := Point{ID: k.ID, Began: time.Unix(k.Began, 0).UTC(), Worked: k.Worked}
	if k.OnDemand {
		p.Class = OnDemand
	}
	return p
}
