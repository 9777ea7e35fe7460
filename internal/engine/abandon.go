package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// These are the errors of a run that cannot be abandoned now.
var (
	// ErrOver: the run has ended.
	ErrOver = errors.New("the run has ended")
	// ErrStarting: an invocation may be sending the request that starts the run's operation.
	ErrStarting = errors.New("an invocation may be sending the request that starts the operation")
)

// Abandon ends a run that hangs: unknown if Azure may still be at work on it, canceled if nothing was begun. It frees the target
// and the permits at once. By names the request. A run that was abandoned before stays so.
//
// Abandon asks Azure about a restore that was begun. A service must not be changed while a restore may overwrite it: so the lock
// stays unless Azure answers that it shows nothing of the restore. It returns ErrNotFound if there is no run with the ID, and
// ErrOver, ErrStarting or [restore.ErrBegun] with the reason.
func (e *Engine) Abandon(ctx context.Context, id, by string) (backup.Run, error) {
	return e.intervene(ctx, id, func(s *step) (cause, backup.Reason, error) {
		r := s.run
		switch {
		case r.State.Final() && r.Reason.Code == backup.Abandoned:
			return "", backup.Reason{}, nil
		case r.State.Final():
			return "", backup.Reason{}, fmt.Errorf("%w: it is %s", ErrOver, r.State)
		case r.LeaseUntil.After(s.now):
			return "", backup.Reason{}, fmt.Errorf("%w: ask again after %s", ErrStarting, r.LeaseUntil.UTC().Format(time.RFC3339))
		case r.MayRestore():
			if err := s.restoreOver(ctx); err != nil {
				return "", backup.Reason{}, err
			}
		}
		return s.abandons(ctx, backup.Abandoned, "abandoned by "+by)
	})
}

// intervene ends a run from outside of its steps. Decide says how the run as it is shall end, or why it may not. A run that has ended
// in that way before gets no cause: intervene completes its end.
func (e *Engine) intervene(
	ctx context.Context, id string, decide func(s *step) (cause, backup.Reason, error),
) (backup.Run, error) {
	for {
		read := e.Now()
		run, now, err := e.load(ctx, id)
		if err != nil {
			return run, err
		}
		s := e.newStep(run, now, read)
		c, why, err := decide(s)
		switch {
		case err != nil:
			return run, err
		case c == "":
			return run, s.releaseAndPublish(ctx)
		}
		if err := s.publish(ctx); err != nil {
			return run, err
		}
		err = s.end(ctx, c, why)
		if errors.Is(err, errConflict) {
			continue // it went on meanwhile: see how far
		}
		return s.run, err
	}
}

// abandons returns the end of a run that is given up. If Azure may still write a backup for it, an entry for cleanup comes first.
func (s *step) abandons(ctx context.Context, code, who string) (cause, backup.Reason, error) {
	r, why := s.run, restore.GivenUp(s.run, code, who)
	switch {
	case !r.MayRun():
		return cancels, why, nil
	case r.MayRestore():
		return abandons, why, nil
	}
	return abandons, why, s.putDue(ctx, backup.Point{ID: r.ID, Target: r.Target, Expires: s.clock().Add(s.Timings.Recheck)})
}

// restoreOver asks Azure about a restore that was begun. It returns nil if the service answers that it shows nothing of it.
func (s *step) restoreOver(ctx context.Context) error {
	provider, err := s.provider(s.run.Target)
	if err != nil {
		return err
	}
	_, o, err := s.restoration(provider)
	if err != nil {
		return err
	}
	ask := o.sendSearch
	if s.run.State == backup.Running {
		ask = o.sendPoll
	}
	return restore.Over(within(ctx, ask))
}
