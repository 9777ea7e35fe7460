package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
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

// advance sends the next wake-up, and then saves the run that expects it. In this order a crash in between leaves the present
// wake-up unacknowledged, and a stray next one whose mark no row holds. If the wake-up cannot be sent, the new facts are saved
// all the same, under the present number, since that wake-up will be delivered again.
func (s *step) advance(ctx context.Context, delay time.Duration, more ...backup.Write) error {
	r := &s.run
	next := backup.Wakeup{Run: r.ID, Number: r.Wake + 1, Mark: s.NewID()}
	sent := s.Queue.Wake(ctx, next, delay)
	if sent == nil {
		r.Wake, r.Mark, r.Due = next.Number, next.Mark, s.clock().Add(delay)
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	if sent != nil {
		return fmt.Errorf("wake run %s: %w", r.ID, sent)
	}
	return s.tell(ctx)
}

// owe has the next save put events into the outbox.
func (s *step) owe(events ...backup.Event) {
	s.owed, s.run.Owes = append(s.owed, events...), true
}

// tell sends the events that the run owes, the older ones first, and saves that it owes none. An event that its queue does not
// take now becomes a tick's; a run under way tries again as well, so that later events do not overtake earlier ones.
func (s *step) tell(ctx context.Context) error {
	if !s.run.Owes {
		return nil
	}
	partition := s.run.Key().Partition
	events := s.saved
	var unread error
	if s.inherited {
		var older []backup.Event
		older, unread = s.waiting(ctx, partition)
		events = append(older, slices.DeleteFunc(events, func(e backup.Event) bool {
			return slices.ContainsFunc(older, func(o backup.Event) bool { return o.OutboxKey("") == e.OutboxKey("") })
		})...)
	}
	done, left := s.post(ctx, events, map[string]error{})
	if len(left) > 0 || unread != nil {
		if err := s.handOver(ctx, partition); err != nil {
			return err
		}
		if !s.run.State.Final() {
			return s.discard(ctx, event.Sent(partition, done))
		}
	}
	s.saved, s.inherited, s.run.Owes = nil, false, false
	if err := s.save(ctx, event.Sent(partition, done)...); err != nil && !errors.Is(err, errLost) {
		return err
	}
	return nil
}

// end saves the final state together with the event about it. Then it releases everything that the run held, and sends the event.
// The number stays: the present wake-up, delivered again, goes on there.
func (s *step) end(ctx context.Context, c cause, why backup.Reason, more ...backup.Write) error {
	r := &s.run
	if r.Restore != nil && r.Restore.Step == backup.StepSecuring && (c == fails || c == loses) {
		c, why = fails, why.Reword("SafetyBackupFailed", "nothing was restored, since the destination could not be backed up first: "+
			why.Message+" ("+why.Code+")", why.Hint)
	}
	if err := move(r, c); err != nil {
		return err
	}
	r.Ended, r.Reason, r.Token, r.Hashing = s.clock(), why, "", backup.Hashing{}
	r.Owner, r.LeaseUntil = "", time.Time{}
	if r.Restore != nil {
		s.owe(event.Restore(*r, event.RestoreEnded(*r), r.Ended)...)
	} else {
		s.owe(event.RunEnded(*r, s.Services.CopyOnly(r.Target, r.Settings)))
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	return s.settle(ctx)
}

// settle releases everything that an ended run holds, and only then sends the events that it owes: no run has to wait because an
// event cannot be sent.
func (s *step) settle(ctx context.Context) error {
	r := &s.run
	if !r.Owes {
		return nil
	}
	if err := s.release(ctx, *r, r.Permits, r.Line); err != nil {
		return fmt.Errorf("give the permits of run %s back: %w", r.ID, err)
	}
	if err := s.unread(ctx); err != nil {
		return fmt.Errorf("let go of the recovery point that restore %s read: %w", r.ID, err)
	}
	r.Permits, r.Line = nil, ""
	return s.tell(ctx)
}

// save writes the run if it was not changed since, and takes or releases the target's lock in the same transaction.
func (s *step) save(ctx context.Context, more ...backup.Write) error {
	s.run.Updated = s.clock()
	takes := s.run.State.HoldsLock() && !s.was.HoldsLock()
	gives := !s.run.State.HoldsLock() && s.was.HoldsLock()
	var locks []backup.Write
	if takes {
		locks = []backup.Write{{Op: backup.Insert, Key: s.run.LockKey(), Body: backup.Encode(lock{Run: s.run.ID})}}
	}
	if gives {
		locks = []backup.Write{{Op: backup.Delete, Key: s.run.LockKey(), ETag: cmp.Or(s.run.LockETag, "*")}}
		s.run.LockETag = ""
	}
	run := backup.Write{Op: backup.Replace, Key: s.run.Key(), ETag: s.run.RowETag, Body: backup.Encode(s.run)}
	writes := slices.Concat([]backup.Write{run}, locks, more, event.Owed(run.Partition, s.owed))
	etags, err := s.Catalog.Apply(ctx, writes...)
	if failed, ok := errors.AsType[*backup.WriteError](err); ok {
		switch clash := writes[failed.Index]; {
		case clash.Key == run.Key:
			return errLost
		case clash.Key == s.run.LockKey() && takes:
			return errBusy
		case clash.Key == s.run.LockKey():
			// The lock's row was deleted by hand, and perhaps another run has a lock of its own by now.
			s.was = s.run.State
			return s.save(ctx, more...)
		case isOutbox(clash.Row):
			// A tick has sent the event too, and has taken it out.
			return s.save(ctx, slices.DeleteFunc(more, func(w backup.Write) bool { return w.Key == clash.Key })...)
		case strings.HasPrefix(clash.Row, backup.ArtifactPrefix):
			return errTaken
		case errors.Is(err, backup.ErrChanged):
			return errLost // one of the recovery points that change with the run
		}
	}
	if err != nil {
		return fmt.Errorf("save run %s as %s: %w", s.run.ID, s.run.State, err)
	}
	s.run.RowETag, s.was = etags[0], s.run.State
	s.saved, s.owed = append(s.saved, s.owed...), nil
	if takes {
		s.run.LockETag = etags[1]
	}
	return nil
}

// lock is the row that keeps a second run off a target.
type lock struct{ Run string }

// clock is the catalog's clock now, as far as we know without asking it.
func (s *step) clock() time.Time { return s.now.Add(s.Now().Sub(s.read)) }

// leaseEnd is a lease's length from now, counted from the latest that the catalog's clock can be.
func (s *step) leaseEnd() time.Time { return s.now.Add(backup.Resolution + s.Waits.Lease) }

// pollDelay returns the delay until the next poll, if the service has been at it since then: a tenth of the time that has passed.
// It is not less than the service asked for, or than Waits.Poll if it did not, nor more than Waits.PollMax. An operation of half
// an hour takes 22 polls, one of 8 hours 73.
func (s *step) pollDelay(since time.Time, retryAfter time.Duration) time.Duration {
	if retryAfter <= 0 {
		retryAfter = s.Waits.Poll
	}
	return min(max(retryAfter, s.clock().Sub(since)/10), s.Waits.PollMax)
}
