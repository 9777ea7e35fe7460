package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/restore"
)

// These are the errors of a run that cannot be abandoned now.
var (
	// ErrOver: the run has ended.
	ErrOver = errors.New("the run has ended")
	// ErrStarting: the request that starts the run's operation may still be on its way.
	ErrStarting = errors.New("the request that starts the operation may still be on its way")
)

// Abandon ends a run that hangs: unknown if Azure may still be at work on it, canceled if nothing was begun. It frees the target
// and the permits at once. By names the request. A run that was abandoned before stays so.
//
// Abandon asks Azure about a restore that was begun. A service must not be changed while a restore may overwrite it: so the lock
// stays unless Azure answers that it shows nothing of the restore. It returns ErrNotFound if there is no run with the ID, and
// ErrOver, ErrStarting or [restore.ErrBegun] with the reason.
func (e *Engine) Abandon(ctx context.Context, id, by string) (backup.Run, error) {
	run, err := e.intervene(ctx, id, func(s *step) (cause, backup.Reason, error) {
		r := s.run
		switch {
		case r.State.Final() && r.Reason.Code == backup.Abandoned:
			return "", backup.Reason{}, nil
		case r.State.Final():
			return "", backup.Reason{}, fmt.Errorf("%w: it is %s", ErrOver, r.State)
		case r.StartingUntil().After(s.now):
			return "", backup.Reason{}, fmt.Errorf("%w: ask again after %s", ErrStarting, r.StartingUntil().UTC().Format(time.RFC3339))
		case r.MayRestore():
			if err := s.restoreOver(ctx); err != nil {
				return "", backup.Reason{}, err
			}
		}
		return s.abandons(ctx, backup.Abandoned, "abandoned by "+by)
	})
	if err != nil {
		return run, err
	}
	return run, admission.ReleaseLeft(ctx, e.Catalog, run)
}

// intervene ends a run from outside of its steps. Decide says how the run as it is shall end, or why it may not. It gets no
// cause if it has ended in that way before, or shall go on: intervene completes an end.
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
		case c == "" && run.State.Final():
			return run, s.releaseAndPublish(ctx)
		case c == "":
			return run, nil
		case c == notes:
			if err := s.save(ctx); !errors.Is(err, errConflict) {
				return s.run, err
			}
			continue
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
	late := backup.Point{ID: r.ID, Target: r.Target, Expires: s.clock().Add(s.Timings.Recheck)}
	return abandons, why, deletion.PutDue(ctx, s.Catalog, late, nil, s.clock())
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

// preempt ends the backups of the destination that wait or hang. If another run still holds it, the restore waits for that run
// before it asks for a permit: that run may have the last one, and the wait queue would never wake the restore.
func (s restoring) preempt(ctx context.Context) (waits bool, err error) {
	runs, err := s.listRuns(ctx, s.run.Target, backup.RunPrefix, backup.Behind(backup.RunPrefix), mostPreempted)
	if err != nil && !errors.Is(err, backup.ErrUnreadable) { // a row that cannot be read refuses the restore later
		return false, err
	}
	for _, r := range runs {
		if !restore.Preemptable(r, s.now, s.Timings.RetryWindow) {
			continue
		}
		ended, err := s.intervene(ctx, r.ID, func(other *step) (cause, backup.Reason, error) {
			if !restore.Preemptable(other.run, other.now, other.Timings.RetryWindow) {
				return "", backup.Reason{}, nil // it went on meanwhile
			}
			return other.abandons(ctx, backup.Preempted, "preempted by the restore "+s.run.ID)
		})
		if err == nil && ended.State.Final() {
			err = admission.ReleaseLeft(ctx, s.Catalog, ended)
		}
		if err != nil {
			return false, fmt.Errorf("preempt run %s for restore %s: %w", r.ID, s.run.ID, err)
		}
	}
	if s.run.QueueRow != "" {
		return false, nil
	}
	busy, err := s.holder(ctx)
	if err != nil || busy == nil {
		return false, err
	}
	return true, s.postpone(ctx, busy)
}

// mostPreempted is the number of the destination's newest runs among which a restore looks for backups to preempt.
const mostPreempted = 100

// holder says which run holds the target; nil if none does.
func (s *step) holder(ctx context.Context) (*backup.Fault, error) {
	row, _, err := s.Catalog.Get(ctx, s.run.LockKey())
	if errors.Is(err, backup.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("see whether %s is free for run %s: %w", s.run.Target, s.run.ID, err)
	}
	l, _ := backup.Decode[lock](row)
	other, _, _ := s.load(ctx, l.Run) // without it, the wait has fewer words
	return restore.Behind(other), nil
}
