package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// operation is one thing that a run has the service do: make a backup ([backingUp]), or restore one ([restoring]). Both take
// the same steps: preflight, attempt, look if the answer was lost, poll. The methods hold the differences.
type operation interface {
	// words are the sentences of reasons.
	words() words
	// sendCheck has the service itself check whether it can do it.
	sendCheck(ctx context.Context) (backup.Operation, error)
	// checked decides after the check: over tells that the step has ended, with the error. Without a fault the service is
	// ready, or still checks.
	checked(ctx context.Context, f *backup.Fault) (over bool, err error)
	// intend changes the run before the intent is saved.
	intend()
	// sendStart sends the one request that starts it.
	sendStart(ctx context.Context) (backup.Operation, error)
	// notStarted goes on if the service did not start it, or gave no answer.
	notStarted(ctx context.Context, f *backup.Fault) error
	// accepted changes the run once the service has accepted it.
	accepted()
	// inFlightFor is the time for which a request may still arrive after its sender died. The run does not search before.
	inFlightFor() time.Duration
	// sendSearch looks for a lost start: it returns an operation that is done or has a token, or the zero value if nothing
	// shows one.
	sendSearch(ctx context.Context) (backup.Operation, error)
	// searched decides after the search.
	searched(ctx context.Context, l search) error
	// sendPoll asks how it is getting on.
	sendPoll(ctx context.Context) (backup.Operation, error)
	// pollFailed goes on after such a question: over tells that the step has ended, with the error.
	pollFailed(ctx context.Context, f *backup.Fault) (over bool, err error)
	// finished goes on after the service says that it is done.
	finished(ctx context.Context, o backup.Operation) error
}

// words are the sentences of an operation, for the reasons of its run.
type words struct {
	// checking: the service checks whether it can do it. died: the process that started it ended before it saw the answer.
	checking, died string
	// silent: the service had accepted it, and no longer says how it is getting on.
	silent string
	// tooLong: the service has not said for a day that it is done. It has one verb, %s, for the time since it was accepted;
	// hint says what to do then.
	tooLong, hint string
}

// preflight asks whether the service can do it at all, before the first intent of the run is saved. The answer is not kept: if
// the process dies here, or another run holds the target, it is asked for again. If the service itself checks, and takes its
// time over that, the run keeps its permits meanwhile.
func (s *step) preflight(ctx context.Context, o operation) error {
	r := &s.run
	prepared, f := s.prepare(ctx, o.sendCheck)
	if f == nil && prepared.Done && r.Restore != nil && r.Restore.Step == backup.StepPreCheck { // the restore begins next
		var err error
		if f, err = s.Ownership().Holds(ctx); err != nil {
			return err
		}
	}
	switch over, err := o.checked(ctx, f); {
	case over:
		return err
	case prepared.Done:
		return s.attempt(ctx, o)
	}
	r.Reason = backup.NewReason("Preparing", o.words().checking, "")
	return s.advance(ctx, s.pollDelay(r.CheckSince, prepared.RetryAfter))
}

// prepare has the service itself check, for half a lease. The lease and the deadline of the start count from the service's
// answer: the check does not use them up.
func (s *step) prepare(
	ctx context.Context, check func(context.Context) (backup.Operation, error),
) (backup.Operation, *backup.Fault) {
	r := &s.run
	ctx, cancel := context.WithTimeout(ctx, s.Timings.Lease/2)
	defer cancel()
	before := s.Now()
	prepared, err := check(ctx)
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	if r.Check == "" {
		r.CheckSince = s.now
	}
	r.Check = prepared.Token
	return prepared, backup.AsFault(err)
}

// attempt saves the intent, with the step message's sequence number unchanged, and then sends the request that starts the
// operation. If the process dies in between, the step message comes again, finds the lease over, and looks.
func (s *step) attempt(ctx context.Context, o operation) error {
	if q := s.run.Restore; q != nil && q.CanceledBy != "" {
		return s.end(ctx, cancels, restore.Canceled(q.CanceledBy, s.run.Reason))
	}
	undo := s.snapshot()
	s.run.Attempt++
	o.intend()
	answer, sent, err := s.begin(ctx, undo, o.sendStart)
	switch {
	case !sent:
		return err
	case err == nil:
		return s.accept(ctx, o, answer)
	}
	return o.notStarted(ctx, backup.AsFault(err))
}

// begin saves the intent of an attempt, and sends the request that starts the operation. If the intent was not saved, it sends
// nothing: another run holds the target, or another invocation changed the run; then the step is over, with the error.
func (s *step) begin(
	ctx context.Context, undo func(), start func(context.Context) (backup.Operation, error),
) (answer backup.Operation, sent bool, err error) {
	r := &s.run
	r.Intent, r.Owner, r.LeaseUntil, r.Reason = s.now, s.invocation, s.leaseEnd(), backup.Reason{}
	if err := move(r, begins); err != nil {
		return answer, false, err
	}
	switch err := s.save(ctx); {
	case errors.Is(err, errBusy):
		undo()
		return answer, false, s.postpone(ctx, busyTarget)
	case err != nil:
		return answer, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timings.Lease-s.Timings.LeaseMargin-s.Now().Sub(s.read))
	defer cancel()
	answer, err = start(ctx)
	r.Owner, r.LeaseUntil = "", time.Time{}
	return answer, true, err
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

// accept goes on with an operation that the service has accepted.
func (s *step) accept(ctx context.Context, o operation, answer backup.Operation) error {
	r := &s.run
	r.Accepted, r.Token, r.Reason = s.clock(), answer.Token, backup.Reason{}
	if answer.Done {
		o.accepted()
		return o.finished(ctx, answer)
	}
	if err := move(r, accepts); err != nil {
		return err
	}
	o.accepted()
	return s.advance(ctx, s.pollDelay(r.Accepted, answer.RetryAfter))
}

// lost notes that the answer to the latest attempt is missing.
func (s *step) lost(why backup.Reason) {
	r := &s.run
	if r.LostAttempt != r.Attempt {
		r.Lost++
		r.LostStarts = append(r.LostStarts, backup.Window{From: r.Intent, To: r.Intent.Add(backup.Resolution + s.Timings.Lease)})
		r.LostAttempt, r.LostSince, r.NotFoundSince = r.Attempt, s.clock(), time.Time{}
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

// search is the result of one look for a lost start.
type search struct {
	found backup.Operation
	// fault is nil if the service answered the search.
	fault *backup.Fault
	// waited is the time since the answer is known to be lost, notFoundFor the time for which every look showed a settled service
	// without a trace of it.
	waited, notFoundFor time.Duration
}

// look searches for the outcome of a lost start. The lease of the request's sender is over.
func (s *step) look(ctx context.Context, o operation) error {
	r := &s.run
	if err := s.takeOver(ctx, backup.NewReason("StartLost", o.words().died, "")); err != nil {
		return err
	}
	if wait := o.inFlightFor(); wait > 0 {
		return s.advance(ctx, wait) // the lock must not be free before the request is there
	}
	found, err := o.sendSearch(ctx)
	r.Owner, r.LeaseUntil = "", time.Time{}
	if err != nil {
		r.NotFoundSince = time.Time{} // only looks that saw a settled service count towards the retry window
	} else if r.NotFoundSince.IsZero() {
		r.NotFoundSince = s.now
	}
	return o.searched(ctx, search{found, backup.AsFault(err), s.now.Sub(r.LostSince), s.now.Sub(r.NotFoundSince)})
}

// lookDelay is the time until the next look, ever longer.
func (s *step) lookDelay(l search) time.Duration {
	return min(max(s.Timings.Look, l.waited/4), s.Timings.LookMax)
}

// poll asks once how the operation is getting on. A service that refuses requests during the operation has not failed.
func (s *step) poll(ctx context.Context, o operation) error {
	r := &s.run
	answer, err := within(ctx, o.sendPoll)
	r.Polls++
	delay := s.pollDelay(r.Accepted, answer.RetryAfter)
	switch f := backup.AsFault(err); {
	case f == nil && answer.Done:
		return o.finished(ctx, answer)
	case f == nil:
		r.Token, r.Reason, r.UnobservableSince = answer.Token, backup.Reason{}, time.Time{}
	default:
		r.Reason = f.Reason()
		delay = max(f.Wait(), s.pollDelay(r.Accepted, 0))
		if over, err := o.pollFailed(ctx, f); over {
			return err
		}
		if f.Kind == backup.Unobservable && r.UnobservableSince.IsZero() {
			r.UnobservableSince = s.now
		}
		if f.Kind == backup.Unobservable && s.now.Sub(r.UnobservableSince) >= s.Timings.RetryWindow {
			return s.end(ctx, loses, r.Reason.Reword(f.Code, o.words().silent+": "+f.Message, f.Hint))
		}
	}
	if since := s.now.Sub(r.Accepted); since >= s.Timings.Operation {
		return s.end(ctx, loses, backup.NewReason("OperationTooLong", fmt.Sprintf(o.words().tooLong, since.Round(time.Second)), o.words().hint))
	}
	return s.advance(ctx, delay)
}
