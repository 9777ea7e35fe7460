package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/request"
)

var (
	// ErrHeld: a person, or a restore that is not confirmed, holds the recovery point.
	ErrHeld = errors.New("it is held")
	// ErrInUse: a restore reads the recovery point.
	ErrInUse = errors.New("a restore reads it")
	// ErrNewest: the recovery point is the newest verified one of a target that is backed up.
	ErrNewest = errors.New("it is the newest verified recovery point of its target")
	// ErrNotSoftDeleted: the recovery point is not soft-deleted.
	ErrNotSoftDeleted = errors.New("it is not soft-deleted")
	// ErrDeletionUndone: the request is a repeat, and its deletion was undone since.
	ErrDeletionUndone = errors.New("the deletion of this request was undone since")
)

// SoftDelete soft-deletes a recovery point for a person, and publishes an event: cleanup deletes the artifact once the point's own time
// for that is over. D has the ID of the request, the caller and the reason. Planned says that a plan has the target. The same request
// again changes nothing, and so does another one for a point that a person deletes. Where the policy has soft-deleted the point, it goes
// when it would have gone, now in any case.
//
// It returns a *[request.Error] for a reason that cannot be, ErrNotFound if there is no recovery point with the ID, ErrHeld, ErrInUse or
// ErrNewest if it must stay, [ErrPointGone] if its deletion has begun, [ErrDeletionUndone] for a repeat after an undo, [ErrNotEnded] as
// Hold does, and a [*backup.Fault] while the app is stopped.
func (e *Engine) SoftDelete(ctx context.Context, id string, d backup.SoftDeletion, planned bool) (backup.Point, error) {
	if !backup.IsHoldReason(d.Reason) {
		return backup.Point{}, malformedReason("deletion")
	}
	return e.changeHolds(ctx, id, func(p *backup.Point, now time.Time) ([]backup.Event, error) {
		soft := p.SoftDeletion
		switch {
		case soft.ID == d.ID && soft.Reason != d.Reason:
			return nil, fmt.Errorf("%w: it has deleted %s", ErrRequestReused, p.ID)
		case soft.ID == d.ID:
			return nil, nil
		case p.Undone.Deletion == d.ID:
			return nil, fmt.Errorf("%w, at %s by %s: delete it under another request ID", ErrDeletionUndone,
				p.Undone.Time.UTC().Format(time.RFC3339), p.Undone.By)
		}
		if err := begun(*p, ErrPointGone); err != nil || soft.Person() {
			return nil, err
		}
		if err := e.mustStay(ctx, *p, planned, now); err != nil {
			return nil, err
		}
		if err := e.Ownership().MayBegin(ctx); err != nil {
			return nil, err
		}
		d.Since, d.Until = now, now.Add(p.SoftDelete)
		if p.IsSoftDeleted() {
			d.Until = soft.Until
		}
		p.SoftDeletion = d
		// The entry is moved first, so that a crash leaves one that is due too early. It is due after the save, as that of a release.
		if at := backup.Later(d.Until, now.Add(orphanAge)); at.Before(p.Expires) || !now.Before(p.Expires) {
			if err := deletion.MoveDue(ctx, e.Catalog, *p, p.Expires, at, now); err != nil {
				return nil, err
			}
		} // else cleanup moves it on when the point is past its time
		return []backup.Event{event.PointSoftDeleted(*p), manifest.NoteHold(*p, manifest.SoftDeleted, d.ID, now)}, nil
	})
}

// mustStay returns an error if a person may not delete the point.
func (e *Engine) mustStay(ctx context.Context, p backup.Point, planned bool, now time.Time) error {
	if hold, held := p.LongestHold(now); held {
		return fmt.Errorf("%w: %s. Release it first: lifeboat release %s", ErrHeld, hold, p.ID)
	}
	if now.Before(p.Held.Until) {
		return fmt.Errorf("%w: the restore of the same ID holds it until %s. Confirm that restore first: lifeboat confirm %s", ErrHeld,
			p.Held.Until.UTC().Format(time.RFC3339), p.ID)
	}
	reader, err := e.reading(ctx, p)
	if err != nil {
		return err
	}
	if reader != "" {
		return fmt.Errorf("%w: the run %s. Delete it when that has ended", ErrInUse, reader)
	}
	if !planned || !p.Live() {
		return nil
	}
	newer, err := e.hasNewer(ctx, p, now)
	if err == nil && !newer {
		err = fmt.Errorf("%w, which a plan backs up. Make a newer one first: lifeboat backup %s", ErrNewest, p.Target)
	}
	return err
}

// hasNewer says whether the target has a newer live recovery point. A run that began earlier may have made it, if it took longer.
func (e *Engine) hasNewer(ctx context.Context, p backup.Point, now time.Time) (bool, error) {
	last := deletion.Due{Point: p.ID, Created: p.Created}.Reach(e.Timings.Operation)
	for page, err := range backup.PointPages(ctx, e.Catalog, p.Target, backup.PointPrefix, last) {
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(page.Points, func(o backup.Point) bool {
			return o.ID != p.ID && o.Live() && o.Created.After(p.Created) && !o.Created.After(now)
		}) {
			return true, nil
		}
	}
	return false, nil
}

// Undelete ends the soft deletion of a recovery point for a person who holds it from then on, and publishes events: without the hold the
// next cleanup would decide as before. H is as for [Engine.Hold]. A repeat changes nothing.
//
// It returns the errors of Hold, and ErrNotSoftDeleted if there is nothing to undo.
func (e *Engine) Undelete(ctx context.Context, id string, h backup.PersonHold) (backup.Point, error) {
	if !backup.IsHoldReason(h.Reason) {
		return backup.Point{}, malformedReason("hold")
	}
	return e.changeHolds(ctx, id, func(p *backup.Point, now time.Time) ([]backup.Event, error) {
		soft := p.SoftDeletion
		is, news, err := addHold(p, h, now)
		switch {
		case err != nil:
			return nil, err
		case soft.Since.IsZero() && !news:
			return nil, nil
		case soft.Since.IsZero():
			return nil, fmt.Errorf("%w: the recovery point %s is %s", ErrNotSoftDeleted, p.ID, p.Called())
		}
		p.SoftDeletion = backup.SoftDeletion{}
		if soft.Person() {
			p.Undone = backup.Undo{Deletion: soft.ID, Time: now, By: h.By}
		}
		// Cleanup looks soon, and then at the end of the hold.
		if err := deletion.MoveDue(ctx, e.Catalog, *p, soft.Until, now.Add(orphanAge), now); err != nil {
			return nil, err
		}
		var events []backup.Event
		if news {
			events = append(events, event.PointHeld(*p, is))
		}
		return append(events, event.PointRecovered(*p, h, soft, now), manifest.NoteHold(*p, manifest.Recovered, h.ID, now)), nil
	})
}

// begun returns such an error if the deletion of the point has begun.
func begun(p backup.Point, gone error) error {
	switch p.State {
	case backup.Deleting:
		return fmt.Errorf("%w: the deletion of the recovery point %s has begun: %s", gone, p.ID, p.Reason.Message)
	case backup.Expired:
		return fmt.Errorf("%w: the recovery point %s is expired: %s", gone, p.ID, p.Reason.Message)
	}
	return nil
}

func malformedReason(of string) error {
	return request.Malformed("reason", "a %s needs a reason of 1 to %d characters, none of them unreadable", of, backup.LongestHoldReason)
}
