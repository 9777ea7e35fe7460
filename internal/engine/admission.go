package engine

import (
	"context"
	"errors"
	"fmt"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// acquirePermits acquires the permits that the run needs, or puts it into the wait queue. It returns false if the run has to wait.
func (s *step) acquirePermits(ctx context.Context) (bool, error) {
	r := &s.run
	bounds := admission.Bounds(s.Concurrency, *r)
	if len(bounds) == 0 || len(r.Permits) > 0 {
		return true, nil
	}
	// The rescuer would come only at the end of the wait in the queue: once the run has left it, step messages are due sooner.
	applicant := admission.Applicant{Catalog: s.Catalog, Run: r, Bounds: bounds, Clock: s.clock, Notes: s.notes, Leaving: s.indexAgain, Beside: s.asked()}
	full, err := applicant.Acquire(ctx)
	switch {
	case errors.Is(err, admission.ErrConflict):
		return false, errConflict
	case err != nil:
		return false, err
	case full != nil:
		return false, s.enqueue(ctx, *full)
	}
	if r.QueueRow != "" {
		// The run now expects the step message in hand, and no more the one at the end of its wait.
		r.QueueRow, r.Due = "", s.now
	}
	return true, nil
}

// asked returns the mark of a target whose backup was asked for. A timer run that makes a run evaluates its target.
func (s *step) asked() []backup.Write {
	if s.run.Restore != nil || !s.run.ScheduledTime.IsZero() {
		return nil
	}
	return []backup.Write{health.Mark(s.run.Target)}
}

// enqueue lets the run wait for a permit. The timer run wakes the first in the wait queue when there is room. The run's own next
// step message comes when its time is over.
func (s *step) enqueue(ctx context.Context, full admission.Bound) error {
	r := &s.run
	// Shortly before Due, the step message in hand may be the one that ends the wait, because Due counts from the sending.
	coming := r.QueueRow != "" && r.Due.After(s.now.Add(s.Timings.Rescue))
	r.QueueRow = admission.Row(*r, s.now)
	if _, err := s.Catalog.Apply(ctx, append(admission.Enter(*r, s.now), s.asked()...)...); err != nil {
		return fmt.Errorf("put run %s into the wait queue: %w", r.ID, err)
	}
	if coming {
		return nil // the step message that ends the wait is still on its way
	}
	r.Reason = full.Full(*r)
	if err := s.markWaiting(postpones); err != nil {
		return err
	}
	until := admission.WaitEnds(*r, s.now.Add(s.Timings.Operation-r.Waited(s.now)))
	return s.advance(ctx, min(max(until.Sub(s.clock()), backup.Resolution), backup.LongestDelay))
}

// indexAgain puts a further entry into the index of runs in flight. A superfluous one does no harm.
func (s *step) indexAgain(ctx context.Context) error {
	return s.index(ctx, backup.InflightKey(s.now.Add(max(s.Timings.Rescue, backup.Resolution)), s.run.ID, s.NewID()), s.run.ID, s.now)
}
