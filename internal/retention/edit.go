package retention

import (
	"time"

	"lifeboat/internal/backup"
)

// Edit is a change of the rules of a plan that is not active yet.
type Edit struct {
	Plan string
	// Settings has the edited KeepCounts, KeepWithin and KeepMinimum.
	Settings backup.Settings
}

// Check says what is wrong with the rules, and what to write. Without any rule nothing expires.
func (e Edit) Check() error {
	s := e.Settings
	s.KeepCounts.Zone = ""
	if s.KeepCounts == (backup.Counts{}) && s.KeepWithin == 0 && s.KeepMinimum == 0 {
		return nil
	}
	return PolicyOf(s).Check()
}

// edited judges the points of a plan by the rules of an edit.
type edited struct {
	Edit
	zone   *time.Location
	now    time.Time
	was    Counted
	points []backup.Point
}

// Edit has the review judge the points of the plan as if the edit were active, and a backup of the target had been made, at
// the time. All edits come before the first row and point. The review holds all points of the plan.
func (r *Review) Edit(edit Edit, zone *time.Location, now time.Time) {
	if r.edited == nil {
		r.edited = map[string]*edited{}
	}
	r.edited[edit.Plan] = &edited{Edit: edit, zone: zone, now: now}
}

// under returns the point as it would be under an edit of its plan: the newest one says the plan's minimum.
func (r *Review) under(p backup.Point) backup.Point {
	if e := r.edited[p.Plan]; e != nil {
		p.Minimum = e.Settings.KeepMinimum
		if MayCount(p, e.Plan) {
			e.points = append(e.points, p)
		}
	}
	return p
}

// judge adds the points of each edited plan to its counts. A plan that never had counts gets none for keep.within alone, as
// its backups make none. Then it takes the points that persons delete out of all counts: a row of an earlier version may hold them.
func (r *Review) judge() {
	for plan, e := range r.edited {
		if !e.was.Judges() && !e.Settings.KeepCounts.Any() {
			continue
		}
		is, anew := e.was.Renew(e.Plan, e.Settings, r.restorable, e.zone)
		if anew {
			is, _ = is.Add(e.zone, e.now, e.points...)
		}
		r.counted[plan] = &countedIn{Counted: is, zone: e.zone}
	}
	for _, p := range r.past {
		if c := r.counted[p.Plan]; c != nil && p.SoftDeletion.Person() && c.Holds(p.ID) {
			c.Row, c.changed = c.Row.Remove(p.ID), true
		}
	}
}
