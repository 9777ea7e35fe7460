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
	// ErrNothingToHold: the recovery point is being deleted, or expired.
	ErrNothingToHold = errors.New("there is nothing left to hold")
	// ErrNotHeld: the recovery point has no such hold by a person.
	ErrNotHeld = errors.New("it is not held so")
	// ErrHoldReleased: the request is a repeat, and its hold was released since.
	ErrHoldReleased = errors.New("the hold of this request was released since")
	// ErrTooManyHolds: the recovery point has as many holds as a point may have.
	ErrTooManyHolds = errors.New("it has too many holds")
)

// Hold holds a recovery point for a person, and publishes an event. H has the ID of the request, the caller, the reason and perhaps the
// end; its beginning is now. The same request again, or another one with that reason and end, is no second hold.
//
// It returns a *[request.Error] for a reason or an end that cannot be, ErrNotFound if there is no recovery point with the ID,
// ErrNothingToHold if cleanup was faster, [ErrNotEnded] while the restore is under way whose safety backup it is: that changes the run's
// row, too. Until a restore has ended, it holds its safety backup itself.
func (e *Engine) Hold(ctx context.Context, id string, h backup.PersonHold) (backup.Point, error) {
	if !backup.IsHoldReason(h.Reason) {
		return backup.Point{}, malformedReason("hold")
	}
	return e.changeHolds(ctx, id, func(p *backup.Point, now time.Time) ([]backup.Event, error) {
		h, news, err := addHold(p, h, now)
		if err != nil || !news {
			return nil, err
		}
		return []backup.Event{event.PointHeld(*p, h), manifest.NoteHold(*p, manifest.Held, h.ID, now)}, nil
	})
}

// addHold adds a hold to the point, from now on. That is no news if the point has it, or another one with its reason and end.
func addHold(p *backup.Point, h backup.PersonHold, now time.Time) (is backup.PersonHold, news bool, err error) {
	holds := p.HeldBy(now)
	if i := slices.IndexFunc(holds, func(is backup.PersonHold) bool { return is.ID == h.ID }); i >= 0 {
		if !holds[i].Same(h) {
			return h, false, fmt.Errorf("%w: it has held %s", ErrRequestReused, p.ID)
		}
		return h, false, nil
	}
	if p.Released.Hold == h.ID {
		return h, false, fmt.Errorf("%w, at %s by %s: hold it under another request ID", ErrHoldReleased,
			p.Released.Time.UTC().Format(time.RFC3339), p.Released.By)
	}
	if err := begun(*p, ErrNothingToHold); err != nil {
		return h, false, err
	}
	switch {
	case h.Over(now):
		return h, false, request.Malformed("until", "%s is not later than now, %s", h.Until.UTC().Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	case slices.ContainsFunc(holds, h.Same):
		return h, false, nil
	case len(holds) >= backup.MostHolds:
		return h, false, fmt.Errorf("%w: a recovery point has at most %d at a time", ErrTooManyHolds, backup.MostHolds)
	}
	h.Since = now
	p.Holds = append(holds, h)
	return h, true, nil
}

// ReleaseHold ends a person's hold of a recovery point, and publishes an event. A repeat changes nothing. It returns ErrNotFound if
// there is no recovery point with the ID, ErrNotHeld if it has no hold with that ID, and [ErrNotEnded] as Hold does.
func (e *Engine) ReleaseHold(ctx context.Context, id, hold, by string) (backup.Point, error) {
	return e.changeHolds(ctx, id, func(p *backup.Point, now time.Time) ([]backup.Event, error) {
		holds := p.HeldBy(now)
		i := slices.IndexFunc(holds, func(h backup.PersonHold) bool { return h.ID == hold })
		switch {
		case i < 0 && p.Released.Hold == hold && hold != "":
			return nil, nil
		case i < 0 && now.Before(p.Held.Until):
			return nil, fmt.Errorf("%w: the restore of the same ID holds it until %s, or until a person confirms that restore", ErrNotHeld,
				p.Held.Until.UTC().Format(time.RFC3339))
		case i < 0 && len(holds) == 0:
			return nil, fmt.Errorf("%w: no person holds the recovery point %s", ErrNotHeld, p.ID)
		case i < 0:
			return nil, fmt.Errorf("%w: no hold of the recovery point %s has the ID %q", ErrNotHeld, p.ID, request.Short(hold))
		}
		// Cleanup comes back to a held point after a week, so it gets an entry that is due soon: after the save, or cleanup would find
		// the point still held. It is written first, so that a crash leaves an entry too many.
		if err := deletion.PutReleased(ctx, e.Catalog, *p, now.Add(orphanAge), now); err != nil {
			return nil, err
		}
		h := holds[i]
		p.Holds, p.Released = slices.Delete(holds, i, i+1), backup.HoldRelease{Hold: hold, Time: now, By: by}
		return []backup.Event{event.PointReleased(*p, h, p.Released), manifest.NoteHold(*p, manifest.Released, hold, now)}, nil
	})
}

// changeHolds makes one change of the holds of a recovery point whose run has ended.
func (e *Engine) changeHolds(
	ctx context.Context, id string, change func(p *backup.Point, now time.Time) ([]backup.Event, error),
) (backup.Point, error) {
	return e.changePoint(ctx, id, func(run backup.Run, p *backup.Point, now time.Time) ([]backup.Event, error) {
		if !run.State.Final() {
			return nil, fmt.Errorf("%w: it is %s, and holds its safety backup itself", ErrNotEnded, run.State)
		}
		return change(p, now)
	})
}
