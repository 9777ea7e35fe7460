package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/restore"
)

// step is one invocation's work on one run.
type step struct {
	*Engine
	invocation  string
	stepMessage backup.StepMessage
	run         backup.Run
	// was is the state in the catalog. It shows whether the run holds the lock.
	was backup.State
	// now is the catalog's clock when the run was read; read is our own just before.
	now, read time.Time
	// pending are events that the next save puts into the outbox; saved are events that stand there and are to be sent.
	pending, saved []backup.Event
	// inherited tells that an earlier step put events there, and may not have sent them.
	inherited bool
	// notes are the rows beside the owner's, if this step has read them.
	notes []backup.Row
}

// newStep makes a step on a run as it was read, when the catalog's clock said now; read is our own just before.
func (e *Engine) newStep(run backup.Run, now, read time.Time) *step {
	return &step{Engine: e, run: run, was: run.State, now: now, read: read, inherited: run.Unpublished}
}

var (
	// errConflict: another invocation changed the run meanwhile, and makes the step itself.
	errConflict = errors.New("another invocation changed the run")
	// errBusy: another run holds the target's lock.
	errBusy = errors.New("another run holds the target's lock")
	// errTaken: the artifact that was to become a recovery point belongs to another one.
	errTaken = errors.New("the artifact belongs to another recovery point")
)

// makeStep makes the one next step of the run. A restore that makes its safety backup is a backup meanwhile.
func (s *step) makeStep(ctx context.Context) error {
	provider, err := s.provider(s.run.Target)
	if err != nil {
		return s.end(ctx, fails, backup.NewReason("NoProvider", err.Error(), ""))
	}
	making := backingUp{s, provider}
	var o operation = making
	waits := s.run.State == backup.Queued || s.run.State == backup.Waiting
	if q := s.run.Restore; q != nil {
		restoring, restores, err := s.restoration(provider)
		switch {
		case err != nil:
			return err
		case restores == nil:
			return s.end(ctx, fails, backup.NewReason("NoProvider", s.run.Target+" cannot be restored into", ""))
		case waits && q.Step == backup.StepSafetyBackup && (s.run.Attempt > 0 || s.run.Check != ""):
			// A start was rejected, or lost: look for that first. Or the service still checks whether it can make one.
		case waits:
			return restoring.guard(ctx, restores)
		case q.Step == backup.StepPreCheck:
			return s.preflight(ctx, restores)
		case q.Step == backup.StepRestoring:
			o = restores
		}
	}
	switch {
	case waits:
		return making.start(ctx)
	case s.run.State == backup.Starting:
		return s.look(ctx, o)
	case s.run.State == backup.Running:
		return s.poll(ctx, o)
	case s.run.State == backup.Verifying:
		return making.verify(ctx)
	default:
		return fmt.Errorf("run %s is in the state %q, which this version does not know", s.run.ID, s.run.State)
	}
}

// restoration returns the operation that restores, in both its forms; nil if the provider restores nothing.
func (s *step) restoration(provider backup.Provider) (restoring, operation, error) {
	restorer, ok := provider.(backup.Restorer)
	r := restoring{s, provider, restorer}
	switch shows, recreates := provider.(backup.Recreator); {
	case !s.run.Restore.Step.Known():
		return r, nil, fmt.Errorf("restore %s is at the step %q, which this version does not know", s.run.ID, s.run.Restore.Step)
	case recreates && s.service(s.run.Target).Restore.Recreates:
		return r, recreating{r, shows}, nil
	case ok:
		return r, r, nil
	}
	return r, nil, nil
}

// busyTarget says why a run waits for another one.
var busyTarget = restore.Behind(backup.Run{})

// giveUp ends a run that waits. With a lost start behind it, it is unknown whether there is a backup.
func (s *step) giveUp(ctx context.Context, c cause, why backup.Reason) error {
	if len(s.run.Failed) > 0 && (c == misses || c == supersedes) {
		c, why = fails, s.run.Unrepeated(why)
	}
	if s.run.Lost > 0 {
		c = loses
	}
	return s.end(ctx, c, why)
}

// markWaiting sets the run to waiting. It publishes that once for a restore.
func (s *step) markWaiting(c cause) error {
	r := &s.run
	if err := move(r, c); err != nil {
		return err
	}
	if r.Restore != nil && !r.Restore.WaitPublished {
		r.Restore.WaitPublished = true
		s.toOutbox(event.Restore(*r, event.RestoreWaiting, s.clock())...)
	}
	return nil
}

// busyDelay is the time until a busy target is tried again: a tenth of the time waited, or longer if the service asks for it.
func (s *step) busyDelay(f *backup.Fault, waited time.Duration) time.Duration {
	return max(f.Wait(), min(max(s.Timings.Busy, waited/10), s.Timings.PollMax))
}

// postpone leaves a busy target alone, and releases its lock and the permits: the next run in the wait queue need not wait for
// that target. A run that the service rejected keeps the permits, and comes back after twice as long each time.
func (s *step) postpone(ctx context.Context, f *backup.Fault) error {
	r := &s.run
	r.Reason = f.Reason()
	if f.Kind == backup.Throttled {
		if err := s.markWaiting(postpones); err != nil {
			return err
		}
		delay := min(s.Timings.Busy<<min(r.Rejections, 10), s.Timings.PollMax)
		r.Rejections++
		// Runs that were rejected together shall not come back together.
		apart := time.Duration(backup.Fraction(fmt.Sprintf("%s %d", r.ID, r.Rejections), uint64(delay/4)+1))
		return s.advance(ctx, max(f.Wait(), delay)+apart)
	}
	return s.stepAside(ctx, postpones, s.busyDelay(f, r.Waited(s.now)))
}

// stepAside has the run wait for the delay without the lock and the permits.
func (s *step) stepAside(ctx context.Context, c cause, delay time.Duration) error {
	r := &s.run
	if err := s.markWaiting(c); err != nil {
		return err
	}
	permits, queued := r.Permits, r.QueueRow
	if queued != "" { // it wants no permit now, so nothing behind it waits for it
		if err := s.indexAgain(ctx); err != nil {
			return err
		}
	}
	r.Rejections, r.Permits, r.QueueRow = 0, nil, ""
	if err := s.advance(ctx, delay); err != nil {
		return err
	}
	return admission.Release(ctx, s.Catalog, s.run, permits, queued)
}

// refuseOrPostpone goes on after a fault before anything was started: a definite no ends the run, and any other fault may pass.
func (s *step) refuseOrPostpone(ctx context.Context, f *backup.Fault) error {
	if f.Kind == backup.Refused {
		return s.end(ctx, refuses, f.Reason())
	}
	return s.postpone(ctx, f)
}

// expired refuses a restore that has not begun in time, and says why it had to wait.
func (s *step) expired() *backup.Reason {
	if by := s.run.Restore.CanceledBy; by != "" {
		why := restore.Canceled(by, s.run.Reason)
		return &why
	}
	why := restore.Expired(s.run.Restore.Expires, s.now)
	if why != nil && s.run.Reason.Code != "" {
		why.Message += "; at last: " + s.run.Reason.Message
	}
	return why
}
