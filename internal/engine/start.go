package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
)

// attempt saves the intent, with the wake-up's number unchanged, and then sends the request that starts the operation. If the
// process dies in between, the wake-up comes again, finds the lease over, and looks.
func (s *step) attempt(ctx context.Context, provider backup.Provider) error {
	undo := s.snapshot()
	r := &s.run
	r.Attempt++
	r.Artifact = r.ArtifactName(r.Attempt)
	if r.Started.IsZero() {
		r.Started = s.now
	}
	operation, answered, err := s.begin(ctx, undo, func(ctx context.Context) (backup.Operation, error) {
		return provider.Begin(ctx, r.ProviderAttempt(r.Artifact))
	})
	if !answered {
		return err
	}
	if err == nil {
		r.Accepted, r.Token, r.TurnedAway = s.clock(), operation.Token, 0
		if operation.Done {
			return s.finished(ctx, operation)
		}
		if err := move(r, accepts); err != nil {
			return err
		}
		return s.advance(ctx, s.pollDelay(r.Accepted, operation.RetryAfter))
	}
	switch f := backup.AsFault(err); {
	case r.Restore != nil && r.Lost > 0 && (f.Kind == backup.Deferred || f.Kind == backup.Throttled):
		// The service may be at work on the lost start. Its backup would not secure changes after the release of the lock: so the lock
		// is kept, and the start is looked for again.
		r.ClearSince, r.Reason = time.Time{}, f.Reason()
		return s.advance(ctx, max(f.Wait(), s.Waits.LookMax))
	case f.Kind == backup.Deferred, f.Kind == backup.Throttled:
		return s.postpone(ctx, f)
	case f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	default:
		s.lost(f.Reason())
		return s.advance(ctx, s.Waits.Look)
	}
}

// begin saves the intent of an attempt, and sends the request that starts the operation. If the intent was not saved, it sends
// nothing: another run holds the target, or another invocation changed the run; then the step is over, with the error.
func (s *step) begin(
	ctx context.Context, undo func(), start func(context.Context) (backup.Operation, error),
) (operation backup.Operation, answered bool, err error) {
	r := &s.run
	r.Intent, r.Owner, r.LeaseUntil, r.Reason = s.now, s.invocation, s.leaseEnd(), backup.Reason{}
	if err := move(r, begins); err != nil {
		return operation, false, err
	}
	switch err := s.save(ctx); {
	case errors.Is(err, errBusy):
		undo()
		return operation, false, s.postpone(ctx, busyTarget)
	case err != nil:
		return operation, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Waits.Lease-s.Waits.LeaseMargin-s.Now().Sub(s.read))
	defer cancel()
	operation, err = start(ctx)
	r.Owner, r.LeaseUntil = "", time.Time{}
	return operation, true, err
}

// snapshot remembers the run as it is, in case a save finds that another invocation was faster.
func (s *step) snapshot() (undo func()) {
	run := s.run
	var order backup.Restoring
	if run.Restore != nil {
		order = *run.Restore
	}
	return func() {
		if s.run = run; run.Restore != nil {
			*run.Restore = order
		}
	}
}

// lost notes that the answer to the latest attempt is missing.
func (s *step) lost(why backup.Reason) {
	r := &s.run
	if r.LostAttempt != r.Attempt {
		r.Lost++
		r.LostStarts = append(r.LostStarts, backup.Window{From: r.Intent, To: r.Intent.Add(backup.Resolution + s.Waits.Lease)})
		r.LostAttempt, r.LostSince, r.ClearSince = r.Attempt, s.clock(), time.Time{}
	}
	r.Reason = why
}

// takeOver saves that the invocation which sent a request has ended without an answer, and that this one looks for the result. It
// does nothing if that is saved already.
func (s *step) takeOver(ctx context.Context, why backup.Reason) error {
	r := &s.run
	if r.Owner == "" {
		return nil
	}
	s.lost(why)
	r.Owner, r.LeaseUntil = s.invocation, s.leaseEnd()
	if err := move(r, takesOver); err != nil {
		return err
	}
	return s.save(ctx)
}

// look searches for the artifact of a lost start. The lease of the request's sender is over.
func (s *step) look(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	if err := s.takeOver(ctx, backup.NewReason("StartLost", fmt.Sprintf("the process that started attempt %d ended before it saw the "+
		"answer", r.Attempt), "")); err != nil {
		return err
	}
	found, err := s.find(ctx, provider, r.ProviderAttempt(""))
	r.Owner, r.LeaseUntil = "", time.Time{}
	waited := s.now.Sub(r.LostSince)
	if err != nil {
		// Only looks that saw a settled service count towards the patience.
		r.ClearSince, r.Reason = time.Time{}, backup.AsFault(err).Reason()
	} else if r.ClearSince.IsZero() {
		r.ClearSince = s.now
	}
	switch patient := err == nil && s.now.Sub(r.ClearSince) >= s.Waits.Patience; {
	case ambiguous(err):
		return s.end(ctx, loses, backup.AsFault(err).Reason())
	case found != "":
		return s.found(ctx, found)
	case patient && r.Lost < mostLost:
		return s.attempt(ctx, provider)
	case patient:
		return s.end(ctx, loses, backup.NewReason("StartLost", fmt.Sprintf("the answers to %d attempts to start were lost, and no "+
			"backup of theirs was found", r.Lost), "See whether the service can be reached; look in the container for files named "+r.ID+"."))
	case waited >= s.Waits.Operation:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the start was lost, and it could not be found out what "+
			"became of it: "+r.Reason.Message, "See what the service is doing and what the identity may do; look in the container for "+
			"files named "+r.ID+"."))
	}
	return s.advance(ctx, min(max(s.Waits.Look, waited/4), s.Waits.LookMax))
}

// ambiguous says that no further look will tell which artifact is the run's.
func ambiguous(err error) bool {
	f := backup.AsFault(err)
	return f != nil && f.Kind == backup.Refused
}

// found takes the artifact of a lost operation for the run's own, or waits if another run took the lock meanwhile.
func (s *step) found(ctx context.Context, artifact string) error {
	undo := s.snapshot()
	s.run.Artifact, s.run.Finished = artifact, s.clock()
	if err := move(&s.run, finds); err != nil {
		return err
	}
	err := s.advance(ctx, 0)
	if errors.Is(err, errBusy) {
		// The stray wake-up that advance sent has a mark that no row will hold.
		undo()
		return s.postpone(ctx, busyTarget)
	}
	return err
}
