package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
)

// step is one invocation's work on one run.
type step struct {
	*Engine
	invocation string
	wakeup     backup.Wakeup
	run        backup.Run
	// was is the state in the catalog. It shows whether the run holds the lock.
	was backup.State
	// now is the catalog's clock when the run was read; read is our own just before.
	now, read time.Time
	// owed are events that the next save puts into the outbox; saved are events that stand there and are to be sent.
	owed, saved []backup.Event
	// inherited tells that an earlier step put events there, and may not have sent them.
	inherited bool
}

// newStep makes a step on a run as it was read, when the catalog's clock said now; read is our own just before.
func (e *Engine) newStep(run backup.Run, now, read time.Time) *step {
	return &step{Engine: e, run: run, was: run.State, now: now, read: read, inherited: run.Owes}
}

var (
	// errLost: another invocation changed the run meanwhile, and finds out by itself what this step found out.
	errLost = errors.New("somebody else changed the run")
	// errBusy: another run holds the target's lock.
	errBusy = errors.New("another run holds the target's lock")
	// errTaken: the artifact that was to become a recovery point belongs to another one.
	errTaken = errors.New("the artifact belongs to another recovery point")
)

// take makes the one next step of the run.
func (s *step) take(ctx context.Context) error {
	provider, err := s.provider(s.run.Target)
	if err != nil {
		return s.end(ctx, fails, backup.NewReason("NoProvider", err.Error(), ""))
	}
	if s.run.Restore != nil {
		return s.takeRestore(ctx, provider)
	}
	switch s.run.State {
	case backup.Queued, backup.Waiting:
		return s.start(ctx, provider)
	case backup.Starting:
		return s.look(ctx, provider)
	case backup.Running:
		return s.poll(ctx, provider)
	case backup.Verifying:
		return s.verify(ctx, provider)
	default:
		return fmt.Errorf("run %s is in the state %q, which this version does not know", s.run.ID, s.run.State)
	}
}

// start begins a run that waits, unless its time is over.
func (s *step) start(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	var found string
	var unseen error
	if r.Lost > 0 {
		// An attempt whose answer was lost may have made an artifact since.
		found, unseen = s.find(ctx, provider, r.ProviderAttempt(""))
	}
	waited := r.Waited(s.now)
	switch {
	case ambiguous(unseen):
		return s.end(ctx, loses, backup.AsFault(unseen).Reason())
	case found != "":
		return s.found(ctx, found)
	case !r.Until.IsZero() && !s.now.Before(r.Until):
		return s.giveUp(ctx, misses, s.missed())
	case !r.NextSlot.IsZero() && !s.now.Before(r.NextSlot):
		return s.giveUp(ctx, supersedes, backup.NewReason("Superseded", "the plan's next slot came due while the run waited", ""))
	case r.Restore != nil && s.expired() != nil: // its safety backup was rejected until then
		return s.giveUp(ctx, refuses, *s.expired())
	case r.Restore == nil && waited >= s.Waits.Operation:
		return s.giveUp(ctx, fails, r.Reason.Reword("WaitedTooLong", fmt.Sprintf("the run could not begin for %s; at last: %s",
			waited.Round(time.Second), r.Reason.Message), "See what else is changing the service, then ask for the backup again."))
	}
	if in, err := s.admit(ctx); err != nil || !in {
		return err
	}
	if unseen != nil { // out of the line, so that no run behind it has to wait
		return s.postpone(ctx, backup.AsFault(unseen))
	}
	if r.Attempt == 0 {
		return s.preflight(ctx, provider)
	}
	return s.attempt(ctx, provider)
}

// busyTarget says why a run waits for another one.
var busyTarget = &backup.Fault{Kind: backup.Deferred, Code: "TargetBusy", Message: "another run of the target is under way"}

// missed says why the run could not begin in time.
func (s *step) missed() backup.Reason {
	why := "nobody looked at the run before"
	if s.run.Reason.Code != "" {
		why = "at last: " + s.run.Reason.Message
	}
	return s.run.Reason.Reword("Missed", fmt.Sprintf("the window of the slot %s ended at %s, and the run had not begun; %s",
		s.run.Slot.Format(time.RFC3339), s.run.Until.Format(time.RFC3339), why),
		"The plan's next slot makes a run of its own; ask for a backup by hand if that is too late.")
}

// giveUp ends a run that waits. With a lost start behind it, it is unknown whether there is a backup.
func (s *step) giveUp(ctx context.Context, c cause, why backup.Reason) error {
	if s.run.Lost > 0 {
		c = loses
	}
	return s.end(ctx, c, why)
}

// finished goes on to verify the artifact after the service says that it is done.
func (s *step) finished(ctx context.Context, operation backup.Operation) error {
	s.run.Finished, s.run.Artifact = s.clock(), cmp.Or(operation.Artifact, s.run.Artifact)
	s.run.SKU = operation.SKU
	if err := move(&s.run, finishes); err != nil {
		return err
	}
	return s.advance(ctx, 0)
}

// postpone leaves a busy target alone, and releases its lock and the permits: the next run in the line need not wait for that
// target. A run that the service rejected keeps the permits, and comes back after twice as long each time.
func (s *step) postpone(ctx context.Context, f *backup.Fault) error {
	r := &s.run
	r.Reason = f.Reason()
	if err := s.waits(); err != nil {
		return err
	}
	if f.Kind == backup.Throttled {
		delay := min(s.Waits.Busy<<min(r.TurnedAway, 10), s.Waits.PollMax)
		r.TurnedAway++
		// Runs that were rejected together shall not come back together.
		apart := time.Duration(backup.Fraction(fmt.Sprintf("%s %d", r.ID, r.TurnedAway), uint64(delay/4)+1))
		return s.advance(ctx, max(f.Wait(), delay)+apart)
	}
	permits := r.Permits
	r.TurnedAway, r.Permits = 0, nil
	if err := s.advance(ctx, max(f.Wait(), min(max(s.Waits.Busy, r.Waited(s.now)/10), s.Waits.PollMax))); err != nil {
		return err
	}
	return s.release(ctx, s.run, permits, "")
}

// poll asks once how the operation is getting on.
func (s *step) poll(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	operation, err := within(ctx, func(ctx context.Context) (backup.Operation, error) {
		return provider.Poll(ctx, r.ProviderAttempt(r.Artifact), r.Token)
	})
	r.Polls++
	if err == nil && operation.Done {
		return s.finished(ctx, operation)
	}
	delay := s.pollDelay(r.Accepted, operation.RetryAfter)
	if err == nil {
		r.Token, r.Reason, r.DeniedSince = operation.Token, backup.Reason{}, time.Time{}
	} else {
		f := backup.AsFault(err)
		switch {
		case f.Kind == backup.Lapsed && !r.Lapsed:
			r.Lapsed, r.Token = true, ""
			return s.attempt(ctx, provider)
		case f.Kind == backup.Refused || f.Kind == backup.Lapsed:
			return s.end(ctx, fails, f.Reason())
		}
		r.Reason = f.Reason()
		delay = max(f.Wait(), s.pollDelay(r.Accepted, 0))
		if f.Kind == backup.Denied {
			return s.denied(ctx, provider, delay)
		}
	}
	if s.now.Sub(r.Accepted) >= s.Waits.Operation {
		return s.end(ctx, loses, backup.NewReason("OperationTooLong", fmt.Sprintf("the service accepted the operation %s ago and still "+
			"does not say that it is done", s.now.Sub(r.Accepted).Round(time.Second)), "Look at the service in the Azure portal; "+
			"its backup may still be written to the container as "+r.Artifact+"."))
	}
	return s.advance(ctx, delay)
}

// denied looks for the artifact of an operation that the service no longer tells of, as long as there is patience.
func (s *step) denied(ctx context.Context, provider backup.Provider, delay time.Duration) error {
	r := &s.run
	accepted := r.ProviderAttempt("")
	accepted.Lost = []backup.Window{{From: r.Intent, To: r.Accepted}}
	switch found, err := s.find(ctx, provider, accepted); {
	case ambiguous(err):
		return s.end(ctx, loses, backup.AsFault(err).Reason())
	case err == nil && found != "":
		return s.found(ctx, found)
	}
	if r.DeniedSince.IsZero() {
		r.DeniedSince = s.now
	}
	if s.now.Sub(r.DeniedSince) >= s.Waits.Patience {
		why := r.Reason
		why.Message = "the service accepted the operation but no longer tells what became of it: " + why.Message
		return s.end(ctx, loses, why)
	}
	return s.advance(ctx, delay)
}

// verify reads the artifact, a part an invocation, and makes it a recovery point at the end.
func (s *step) verify(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	v, err := within(ctx, func(ctx context.Context) (backup.Verification, error) {
		return provider.Verify(ctx, r.ProviderAttempt(r.Artifact), r.Hashing)
	})
	tooLong := s.now.Sub(r.Finished) >= s.Waits.Operation
	if err != nil {
		f := backup.AsFault(err)
		switch {
		case f.Kind == backup.Refused:
			return s.end(ctx, fails, f.Reason())
		case tooLong:
			return s.end(ctx, loses, f.Reason().Reword(f.Code, "the artifact could not be read: "+f.Message, f.Hint))
		}
		r.Reason = f.Reason()
		return s.advance(ctx, max(f.Wait(), s.Waits.Poll))
	}
	if !v.Done && tooLong {
		return s.end(ctx, loses, backup.NewReason("VerifyTooLong", fmt.Sprintf("only %d of %d bytes of the artifact could be read in %s",
			v.Hashing.Offset, v.Size, s.now.Sub(r.Finished).Round(time.Second)), "See how the function app reaches the storage account."))
	}
	r.Hashing, r.Reason = v.Hashing, backup.Reason{}
	switch {
	case v.Awaits:
		return s.advance(ctx, s.pollDelay(r.Finished, v.RetryAfter))
	case !v.Done:
		return s.advance(ctx, 0)
	}
	if r.Attempt > 1 {
		// These are extra copies of lost attempts. One that cannot be deleted, or comes later, goes with the point.
		_ = remove(ctx, provider, r.ProviderAttempt(r.Artifact), "", true)
	}
	return s.succeed(ctx, backup.NewPoint(s.run, v, s.Services.CopyOnly(r.Target, r.Settings)), v.Files)
}
