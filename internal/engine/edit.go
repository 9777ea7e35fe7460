package engine

import (
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/retention"
)

// edited compares the reviews of a target before and after an edit of a plan that judges its points anew.
type edited struct {
	run           backup.Run
	before, after *retention.Review
	// there counts the points that are neither expired nor soft-deleted.
	there int
}

// newEdited begins the comparison. Rows are the target's rows of counts before the edit.
func (e *Engine) newEdited(run backup.Run, rows []backup.Row, now time.Time) *edited {
	service := e.service(run.Target)
	x := &edited{run: run, before: retention.NewReview(now, service.Restorable), after: retention.NewReview(now, service.Restorable)}
	for _, row := range rows {
		x.before.Count(e.countedRow(row))
		x.after.Count(e.countedRow(row))
	}
	return x
}

// add takes points.
func (x *edited) add(points ...backup.Point) {
	for _, p := range points {
		x.before.Add(p)
		x.after.Add(p)
		if p.State != backup.Expired && !p.IsSoftDeleted() {
			x.there++
		}
	}
}

// events tells of an edit that lets more than half of the target's points expire. It comes with the first backup by the edited plan.
func (x *edited) events(is retention.Counted, zone *time.Location, now time.Time) []backup.Event {
	x.after.Count(is, zone, nil)
	was, out := expiring(x.before), []backup.Point{}
	for _, p := range expiring(x.after) {
		if !slices.ContainsFunc(was, func(o backup.Point) bool { return o.ID == p.ID }) {
			out = append(out, p)
		}
	}
	if 2*len(out) <= x.there {
		return nil
	}
	return []backup.Event{event.ManyExpire(x.run, out, x.there, now)}
}

// expiring lists the points that go, now or when their turn comes.
func expiring(r *retention.Review) (points []backup.Point) {
	decisions, _ := r.Decide()
	for _, d := range decisions {
		if (!d.Keep || d.Waits) && !d.Point.IsSoftDeleted() {
			points = append(points, d.Point)
		}
	}
	return points
}
