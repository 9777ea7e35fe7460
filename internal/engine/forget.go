package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
)

// Forgetting is a person's wish that the recovery points of a target go.
type Forgetting struct {
	Target string
	// Deletion has the ID of the request, the caller and the reason.
	Deletion backup.SoftDeletion
	// Planned says that a plan has the target: its newest verified point stays.
	Planned bool
	// Preview says that nothing is deleted. After is the ID of the point behind which this page begins; "" for the first one.
	Preview bool
	After   string
}

// Forgotten is a page of a target's recovery points that are not gone, the newest run's first. Next is the After of the next page; "" at the
// end.
type Forgotten struct {
	Points []ForgottenPoint
	Next   string
}

// ForgottenPoint is a point, and why it stays; nil if it is soft-deleted, or would be.
type ForgottenPoint struct {
	Point backup.Point
	Stays error
}

// forgetPage is the greatest number of points of a page: each costs about ten requests.
const forgetPage = 25

// Forget soft-deletes a page of the recovery points of a target for a person, each as SoftDelete does. A point that is held, that a restore
// reads, or that is the newest verified one of a target in a plan stays. The same request again goes on, and changes nothing twice. The last
// page publishes an event.
//
// It returns a *[request.Error] for a reason that cannot be, ErrNotFound for an After of another target, and a [*backup.Fault] while the app
// is stopped.
func (e *Engine) Forget(ctx context.Context, f Forgetting) (Forgotten, error) {
	if !backup.IsHoldReason(f.Deletion.Reason) {
		return Forgotten{}, malformedReason("deletion")
	}
	from, err := rowAfter(f.Target, f.After)
	if err != nil {
		return Forgotten{}, err
	}
	_, now, err := e.Ownership().Stop(ctx)
	if err != nil {
		return Forgotten{}, err
	}
	newest := ""
	if f.Planned {
		if newest, err = e.newestLive(ctx, f.Target, now); err != nil {
			return Forgotten{}, err
		}
	}
	var answer Forgotten
	for page, err := range backup.PointPages(ctx, e.Catalog, f.Target, backup.PointPrefix+from, backup.Behind(backup.PointPrefix)) {
		if err != nil {
			return Forgotten{}, err
		}
		for _, p := range page.Points {
			if begun(p, ErrPointGone) != nil {
				continue
			}
			if len(answer.Points) == forgetPage {
				answer.Next = answer.Points[forgetPage-1].Point.ID
				return answer, nil
			}
			one, err := e.forget(ctx, f, p, newest, now)
			if err != nil {
				return Forgotten{}, err
			}
			answer.Points = append(answer.Points, one)
		}
	}
	if f.Preview {
		return answer, nil
	}
	return answer, e.tellForgotten(ctx, f, now)
}

// forget soft-deletes one point, unless it must stay.
func (e *Engine) forget(ctx context.Context, f Forgetting, p backup.Point, newest string, now time.Time) (ForgottenPoint, error) {
	var err error
	switch {
	case p.State == backup.Unreadable:
		return ForgottenPoint{p, errors.New(p.Reason.Message)}, nil
	case p.ID == newest:
		return ForgottenPoint{p, fmt.Errorf("%w, which a plan backs up", ErrNewest)}, nil
	case f.Preview:
		err = e.mustStay(ctx, p, false, now)
	default:
		p, err = e.SoftDelete(ctx, p.ID, f.Deletion, false)
	}
	for _, stays := range []error{ErrHeld, ErrInUse, ErrNotEnded, ErrDeletionUndone} {
		if errors.Is(err, stays) {
			return ForgottenPoint{p, err}, nil
		}
	}
	if errors.Is(err, ErrPointGone) { // cleanup was faster
		err = nil
	}
	return ForgottenPoint{Point: p}, err
}

// newestLive returns the ID of the newest live point of the target; "" if there is none.
func (e *Engine) newestLive(ctx context.Context, target string, now time.Time) (string, error) {
	var newest backup.Point
	for page, err := range backup.PointPages(ctx, e.Catalog, target, backup.PointPrefix, backup.Behind(backup.PointPrefix)) {
		if err != nil {
			return "", err
		}
		for _, p := range page.Points {
			if p.Live() && (newest.ID == "" || p.Created.After(newest.Created)) && !p.Created.After(now) {
				newest = p
			}
		}
		if newest.ID != "" {
			break
		}
	}
	return newest.ID, nil
}

// tellForgotten publishes an event with the number of points that the request has deleted. After a death the repeat of the last page
// publishes it, under the same ID.
func (e *Engine) tellForgotten(ctx context.Context, f Forgetting, now time.Time) error {
	target, deleted, stay := f.Target, 0, 0
	for page, err := range backup.PointPages(ctx, e.Catalog, f.Target, backup.PointPrefix, backup.Behind(backup.PointPrefix)) {
		if err != nil {
			return err
		}
		for _, p := range page.Points {
			switch {
			case p.SoftDeletion.ID == f.Deletion.ID:
				target = p.Target // in the spelling of its plan
				deleted++
			case p.State != backup.Expired && !p.IsSoftDeleted():
				stay++
			}
		}
	}
	if deleted == 0 {
		return nil
	}
	return e.Outbox().Announce(ctx, event.TargetForgotten(target, f.Deletion, deleted, stay, now))
}
