package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/retention"
)

// newestRead is the number of rows that cleanup reads of a target first. They have its newest points, unless many backups have failed.
const newestRead = 64

// reading has the rows of a target that a cleanup reads.
type reading struct {
	review *retention.Review
	pace   retention.Pace
	// left has the due points, and those that an event says were not deleted: only what is needed, since a history may be long.
	left map[string]backup.Point
	// failed says which rows cannot be read.
	failed []error
}

// read reads what decides about the due points of a target: the newest points, until the review is settled, and the due ones. The points
// between stay by rules of their own, and come due by entries of their own: so a cleanup does not read more as the history grows. All says
// that these are counted. A point behind the reach of the due ones is expired, or kept for longer.
func (e *Engine) read(ctx context.Context, target string, entries []deletion.Due, now time.Time, all bool) (reading, error) {
	service, _ := e.Services.Of(target)
	r := reading{review: retention.NewReview(now, service.Restorable), left: map[string]backup.Point{}}
	last, newest := e.reach(entries, now), ""
	for page, err := range backup.FewPages(ctx, e.Catalog, target, backup.PaceRow, last, newestRead, r.review.Settled) {
		if err != nil {
			return r, err
		}
		r.rules(e, target, page)
		for _, p := range page.Points {
			if err := r.add(ctx, e, p, entries); err != nil {
				return r, err
			}
			newest = p.Key().Row
		}
	}
	behind := backup.PointsOf(ctx, e.Catalog, target, deletion.Behind(entries, newest))
	if all && newest != "" {
		behind = backup.PointPages(ctx, e.Catalog, target, newest+"!", last)
	}
	for page, err := range behind {
		if err != nil {
			return r, err
		}
		for _, p := range page.Points {
			if !isDue(entries, p) {
				r.review.Pass(p)
				continue
			}
			if err := r.add(ctx, e, p, entries); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func isDue(entries []deletion.Due, p backup.Point) bool {
	return slices.ContainsFunc(entries, func(d deletion.Due) bool { return d.Point == p.ID })
}

// rules takes the target's pace, and the counts of its plans.
func (r *reading) rules(e *Engine, target string, page backup.Page) {
	note := func(err error) {
		if err != nil {
			r.failed = append(r.failed, fmt.Errorf("nothing of %s is deleted: %w", target, err))
		}
	}
	if page.Pace.Row != "" {
		pace, err := retention.ReadPace(page.Pace)
		r.pace = pace
		r.review.SetPace(pace, err)
		note(err)
	}
	for _, row := range page.Counted {
		c, zone, err := e.countedRow(row)
		r.review.Count(c, zone, err)
		note(err)
	}
}

// add adds the point to the review, as it is without readers that have ended.
func (r *reading) add(ctx context.Context, e *Engine, p backup.Point, entries []deletion.Due) error {
	if p.State == backup.Unreadable {
		r.failed = append(r.failed, fmt.Errorf("nothing of %s is deleted: %s", p.Target, p.Reason.Message))
	}
	if r.review.Past(p) && len(p.Readers) > 0 {
		reader, err := e.reading(ctx, p)
		if err != nil {
			return err
		}
		if p.Readers = nil; reader != "" {
			p.Readers = []string{reader}
		}
	}
	r.review.Add(p)
	if p.Undeleted.Published != "" || isDue(entries, p) {
		r.left[p.ID] = p
	}
	return nil
}
