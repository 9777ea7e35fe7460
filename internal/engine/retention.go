package engine

import (
	"context"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
	"lifeboat/internal/retention"
)

// Retention says what a cleanup at a time would decide about the recovery points of a target.
type Retention struct {
	At time.Time
	// Stopped says why nothing goes now whatever stands here; "" if cleanup deletes.
	Stopped string
	Points  []retention.Explanation
}

// KeepEdit is an edit of the keep of a plan that is not active yet.
type KeepEdit = retention.Edit

// Retention says which recovery points of a target a cleanup at the time would delete that looks at all of them, and which stay, and why:
// the newest run's first, without the expired ones. Until then nothing but time changes: no backup comes, no restore ends, no person
// does anything, and a cleanup that comes before only makes room in the pace of the target. Points get older all the same, as if backups
// worked from now on. Zero is now by the catalog's clock. It changes nothing. It reads each recovery point of the
// target once, a thousand by one request. The error is a *[request.Error] for a time before now, or for a zone that there is not.
//
// Edited are rules of plans that a person has not put in their place: the answer takes them as if the target's next backup, with which
// an edit acts, had been made. Rules of a plan without points of the target change nothing.
//
// A cleanup reads the newest points and the due ones alone. So it may go on deleting where this says that nothing goes, because another
// row cannot be read. Storage may keep what goes.
func (e *Engine) Retention(ctx context.Context, target string, at time.Time, edited ...KeepEdit) (Retention, error) {
	stopped, now, err := e.Ownership().Stop(ctx)
	if err != nil {
		return Retention{}, err
	}
	if at.IsZero() {
		at = now
	}
	if at.Before(now) {
		return Retention{}, request.Malformed("at", "%s is earlier than now, %s: what went before stands in the recovery points",
			at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	review := retention.NewReview(at, e.service(target).Restorable)
	review.AskedAt(now)
	for _, edit := range edited {
		if err := edit.Check(); err != nil {
			return Retention{}, request.Malformed("keep", "plan %s: %v", request.Short(edit.Plan), err)
		}
		zone, err := e.zone(edit.Settings.KeepCounts.Zone)
		if err != nil {
			return Retention{}, request.Malformed("keep", "%v", err)
		}
		review.Edit(edit, zone, now)
	}
	var points []backup.Point
	for page, err := range backup.PointPages(ctx, e.Catalog, target, backup.PaceRow, backup.Behind(backup.PointPrefix)) {
		if err != nil {
			return Retention{}, err
		}
		if page.Pace.Row != "" {
			review.SetPace(retention.ReadPace(page.Pace))
		}
		for _, row := range page.Counted {
			review.Count(e.countedRow(row))
		}
		for _, p := range page.Points {
			if len(p.Readers) > 0 {
				reader, err := e.reading(ctx, p)
				if err != nil {
					return Retention{}, err
				}
				if p.Readers = nil; reader != "" {
					p.Readers = []string{reader}
				}
			}
			if review.Add(p); p.State != backup.Expired {
				points = append(points, p)
			}
		}
	}
	return Retention{At: at, Stopped: stopped.Why(), Points: review.Explain(points)}, nil
}
