package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/restore"
)

// HoldSafety is the time for which a safety backup is kept in any case, unless the restore is confirmed before.
const HoldSafety = 7 * 24 * time.Hour

// waits sets the run to waiting. It publishes that once for a restore.
func (s *step) waits() error {
	r := &s.run
	if err := move(r, postpones); err != nil {
		return err
	}
	if r.Restore != nil && !r.Restore.Told {
		r.Restore.Told = true
		s.owe(event.Restore(*r, event.RestoreWaiting, s.clock())...)
	}
	return nil
}

// takeRestore makes the one next step of a run that restores. While it makes its safety backup it is a backup.
func (s *step) takeRestore(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	restorer, ok := provider.(backup.Restorer)
	if !ok {
		return s.end(ctx, fails, backup.NewReason("NoProvider", r.Target+" cannot be restored into", ""))
	}
	switch waits := r.State == backup.Queued || r.State == backup.Waiting; {
	case waits && r.Restore.Step == backup.StepSecuring && (r.Attempt > 0 || r.Check != ""):
		// A start was rejected, or lost: look for that first. Or the service still checks whether it can make one.
		return s.start(ctx, provider)
	case waits:
		return s.guard(ctx, provider, restorer)
	case r.Restore.Step == backup.StepChecking:
		return s.check(ctx, restorer)
	case r.Restore.Step == backup.StepRestoring && r.State == backup.Starting:
		return s.trace(ctx, restorer)
	case r.Restore.Step == backup.StepRestoring:
		return s.pollRestore(ctx, restorer)
	}
	switch r.State {
	case backup.Starting:
		return s.look(ctx, provider)
	case backup.Running:
		return s.poll(ctx, provider)
	default:
		return s.verify(ctx, provider)
	}
}

// guard asks every guard again, before anything is changed, and then begins.
func (s *step) guard(ctx context.Context, provider backup.Provider, restorer backup.Restorer) error {
	r, q := &s.run, s.run.Restore
	before := s.Now()
	if why := s.expired(); why != nil {
		return s.end(ctx, refuses, *why)
	}
	p, err := s.RecoveryPoint(ctx, q.Point)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return s.end(ctx, refuses, *backup.Refuse("RecoveryPointNotFound", "", "the recovery point %s is not there any more", q.Point))
	case errors.Is(err, backup.ErrUnreadable):
		return s.end(ctx, refuses, *restore.RestoresNothing(err))
	case err != nil:
		return err
	}
	if why := restore.Usable(p, s.service(p.Target), s.now); why != nil {
		return s.end(ctx, refuses, *why)
	}
	if p.State == backup.Deleting {
		return s.postpone(ctx, &backup.Fault{
			Kind: backup.Deferred, Code: "RecoveryPointDeleting", Message: "cleanup tries whether storage still keeps the recovery point " + p.ID,
		})
	}
	// From here on cleanup leaves it alone. A deletion changes the same row under the same ETag.
	if !slices.Contains(p.Readers, r.ID) {
		p.Readers = append(p.Readers, r.ID)
		switch _, err := s.Catalog.Apply(ctx, p.Replace()); {
		case errors.Is(err, backup.ErrChanged), errors.Is(err, backup.ErrNotFound):
			return s.postpone(ctx, &backup.Fault{Kind: backup.Deferred, Code: "RecoveryPointChanged", Message: "somebody else changed the recovery point"})
		case err != nil:
			return fmt.Errorf("hold the recovery point %s for restore %s: %w", p.ID, r.ID, err)
		}
	}
	q.Reading = true
	// Acquire the permit and the lock first, because every retry reads the artifact again. The permit comes before the lock: a woken
	// run leaves the line here. If its destination is busy, it would otherwise keep all runs behind it waiting.
	if in, err := s.admit(ctx); err != nil || !in {
		return err
	}
	switch _, _, err := s.Catalog.Get(ctx, r.LockKey()); {
	case err == nil:
		return s.postpone(ctx, busyTarget)
	case !errors.Is(err, backup.ErrNotFound):
		return fmt.Errorf("see whether %s is free for restore %s: %w", r.Target, r.ID, err)
	}
	switch why, err := s.legible(ctx, q.Source, r.Target); {
	case err != nil:
		return err
	case why != nil:
		return s.end(ctx, refuses, *why)
	}
	_, err = within(ctx, func(ctx context.Context) (any, error) {
		return nil, restorer.PreflightRestore(ctx, r.ProviderRestore())
	})
	switch f := backup.AsFault(err); {
	case f != nil && f.Kind == backup.Refused:
		return s.end(ctx, refuses, f.Reason())
	case f != nil:
		return s.postpone(ctx, f)
	}
	v, err := within(ctx, func(ctx context.Context) (backup.Verification, error) {
		return provider.Verify(ctx, r.ProviderRestore().ProviderAttempt(p.ID), r.Hashing)
	})
	switch f := backup.AsFault(err); {
	case f != nil && f.Kind == backup.Refused:
		return s.end(ctx, refuses, f.Reason())
	case f != nil:
		return s.postpone(ctx, f)
	}
	r.Hashing = v.Hashing
	if !v.Done {
		r.Reason = backup.NewReason("Preparing", "the artifact is read once more before anything is changed", "")
		if r.CheckSince.IsZero() {
			r.CheckSince = s.now
		}
		delay := time.Duration(0)
		if v.Awaits {
			delay = s.pollDelay(r.CheckSince, v.RetryAfter)
		}
		return s.advance(ctx, delay)
	}
	r.CheckSince = time.Time{}
	r.Hashing = backup.Hashing{}
	if why := restore.Changed(p, v); why != nil {
		return s.end(ctx, refuses, *why)
	}
	// The lease and the deadline of the next request count from here.
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	if q.Safety {
		q.Step = backup.StepSecuring
		return s.start(ctx, provider)
	}
	return s.check(ctx, restorer)
}

// expired refuses a restore that has not begun in time, and says why it had to wait.
func (s *step) expired() *backup.Reason {
	why := restore.Expired(s.run.Restore.Expires, s.now)
	if why != nil && s.run.Reason.Code != "" {
		why.Message += "; at last: " + s.run.Reason.Message
	}
	return why
}

// secured keeps the safety backup as a recovery point, and goes on to the restore in the same save.
func (s *step) secured(ctx context.Context, p backup.Point, files []backup.File) error {
	r := &s.run
	p.Safety = true
	p.Held = backup.Hold{
		Until:  s.clock().Add(HoldSafety),
		Reason: "the safety backup of restore " + r.ID + ", which nobody has confirmed",
	}
	if err := s.putDue(ctx, p.Expires, p); err != nil {
		return err
	}
	undo := s.snapshot()
	if err := move(r, secures); err != nil {
		return err
	}
	r.Progress = backup.Progress{}
	r.Restore.Step, r.Restore.Secured = backup.StepChecking, s.clock()
	r.Reason = backup.NewReason("Preparing", "the safety backup is done; next the service looks whether it can restore", "")
	err := s.advance(ctx, 0, p.Insert(files)...)
	if errors.Is(err, errTaken) {
		undo() // no row holds the mark of the wake-up that was sent
		return s.end(ctx, loses, artifactTaken(p))
	}
	return err
}

// check has the service itself check whether it can restore, and then begins at once.
func (s *step) check(ctx context.Context, restorer backup.Restorer) error {
	r, q := &s.run, s.run.Restore
	q.Step = backup.StepChecking
	prepared, f := s.prepare(ctx, func(ctx context.Context) (backup.Operation, error) {
		return restorer.PrepareRestore(ctx, r.ProviderRestore(), r.Check)
	})
	old := restore.Beyond(s.service(q.Source), q.Written, s.now)
	switch {
	case old != nil: // it came to be so while the safety backup was made
		return s.giveUp(ctx, refuses, *old)
	case f == nil && prepared.Done:
		return s.attemptRestore(ctx, restorer)
	case f == nil:
		r.Reason = backup.NewReason("Preparing", "the service looks whether it can restore", "")
		return s.advance(ctx, s.pollDelay(r.CheckSince, prepared.RetryAfter))
	case r.Lost == 0 && (f.Kind == backup.Refused || f.Kind == backup.Denied):
		return s.end(ctx, refuses, f.Reason())
	}
	return s.holdOff(ctx, f)
}

// holdOff waits for a destination that cannot take the restore now. Once it has a safety backup it keeps the lock: the state that
// the backup secures must not change behind it.
func (s *step) holdOff(ctx context.Context, f *backup.Fault) error {
	r := &s.run
	if r.Lost > 0 { // the service may be at work on the lost start, or have made it: look for it again
		r.Restore.Step, r.Reason = backup.StepRestoring, f.Reason()
		return s.advance(ctx, max(f.Wait(), s.Waits.LookMax))
	}
	r.Restore.Step = backup.StepChecking
	if r.Restore.Secured.IsZero() {
		return s.postpone(ctx, f)
	}
	r.Reason = f.Reason()
	waited := s.now.Sub(r.Restore.Secured)
	if waited >= s.Waits.Operation {
		return s.end(ctx, fails, r.Reason.Reword("WaitedTooLong", fmt.Sprintf("the restore could not begin for %s after the safety backup; "+
			"at last: %s", waited.Round(time.Second), f.Message), "Nothing was restored. See what else is changing the service, "+
			"then ask again, under another ID."))
	}
	return s.advance(ctx, max(f.Wait(), min(max(s.Waits.Busy, waited/10), s.Waits.PollMax)))
}

// attemptRestore saves the intent, with the wake-up's number unchanged, and then sends the request that starts the restore.
func (s *step) attemptRestore(ctx context.Context, restorer backup.Restorer) error {
	undo := s.snapshot()
	r := &s.run
	r.Attempt++
	r.Restore.Step = backup.StepRestoring
	operation, answered, err := s.begin(ctx, undo, func(ctx context.Context) (backup.Operation, error) {
		return restorer.BeginRestore(ctx, r.ProviderRestore())
	})
	if !answered {
		return err
	}
	if err == nil {
		r.Accepted, r.Token = s.clock(), operation.Token
		if operation.Done {
			s.owe(event.Restore(*r, event.RestoreStarted, r.Accepted)...)
			return s.restored(ctx, operation)
		}
		if err := move(r, accepts); err != nil {
			return err
		}
		s.owe(event.Restore(*r, event.RestoreStarted, r.Accepted)...)
		return s.advance(ctx, s.pollDelay(r.Accepted, operation.RetryAfter))
	}
	switch f := backup.AsFault(err); {
	case f.Kind == backup.Deferred, f.Kind == backup.Throttled, f.Kind == backup.Refused && r.Lost > 0:
		return s.holdOff(ctx, f)
	case f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	default:
		// Hints of a lost start are about backups, because those may be started again.
		s.lost(f.Reason().Reword(f.Code, f.Message, "Nothing is sent twice: what became of it is looked for, as far as the service shows it."))
		return s.advance(ctx, s.Waits.Look)
	}
}

// trace finds out what became of a restore whose answer was lost. The restore is begun again only if the service shows nothing of
// it for the whole Patience: Azure may show a new resource only once it is done.
func (s *step) trace(ctx context.Context, restorer backup.Restorer) error {
	r := &s.run
	err := s.takeOver(ctx, backup.NewReason("StartLost", "the process that started the restore ended before it saw the answer", ""))
	if err != nil {
		return err
	}
	if end := r.LostStarts[len(r.LostStarts)-1].To; s.now.Before(end) {
		// The sender of the request has given it up, but it may still be on its way: the lock must not be free before it is there.
		return s.advance(ctx, end.Sub(s.now))
	}
	found, err := within(ctx, func(ctx context.Context) (backup.Operation, error) {
		return restorer.FindRestore(ctx, r.ProviderRestore())
	})
	r.Owner, r.LeaseUntil = "", time.Time{}
	f, waited := backup.AsFault(err), s.now.Sub(r.LostSince)
	if f != nil {
		r.ClearSince = time.Time{} // only looks that showed the service count towards the patience
	} else if r.ClearSince.IsZero() {
		r.ClearSince = s.now
	}
	unseen := s.now.Sub(r.ClearSince)
	const hint = "Look at the service before anything else: it may be as it was, or restored, or half of each. Ask again, " +
		"under another ID, only once you know."
	switch {
	case f != nil && f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case f != nil && f.Kind == backup.Denied:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the request that starts the restore was lost, and the service "+
			"does not show what became of it. It is never sent twice: "+r.Reason.Message, hint))
	case f == nil && found.Done:
		return s.restored(ctx, found)
	case f == nil && found.Token != "":
		r.Accepted, r.Token, r.Reason = s.clock(), found.Token, backup.Reason{}
		if err := move(r, accepts); err != nil {
			return err
		}
		s.owe(event.Restore(*r, event.RestoreStarted, r.Accepted)...)
		return s.advance(ctx, s.pollDelay(r.Accepted, found.RetryAfter))
	case f == nil && unseen < s.Waits.Patience:
		return s.advance(ctx, min(max(s.Waits.Look, waited/4), s.Waits.LookMax, s.Waits.Patience-unseen))
	case waited >= s.Waits.Operation:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the request that starts the restore was lost, and it could "+
			"not be found out what became of it: "+r.Reason.Message, hint))
	case f == nil && r.Lost < mostLost:
		r.Check = ""
		return s.check(ctx, restorer)
	case f == nil:
		return s.end(ctx, loses, backup.NewReason("StartLost", fmt.Sprintf("the answers to %d requests to start the restore were lost, and "+
			"nothing shows that one was started", r.Lost), hint))
	}
	r.Reason = f.Reason()
	return s.advance(ctx, min(max(s.Waits.Look, waited/4), s.Waits.LookMax))
}

// pollRestore asks once how the restore is getting on. If the service answers no requests meanwhile, or no longer knows our role,
// the restore has not failed.
func (s *step) pollRestore(ctx context.Context, restorer backup.Restorer) error {
	r := &s.run
	operation, err := within(ctx, func(ctx context.Context) (backup.Operation, error) {
		return restorer.PollRestore(ctx, r.ProviderRestore(), r.Token)
	})
	r.Polls++
	if err == nil && operation.Done {
		return s.restored(ctx, operation)
	}
	delay := s.pollDelay(r.Accepted, operation.RetryAfter)
	if err == nil {
		r.Token, r.Reason, r.DeniedSince = operation.Token, backup.Reason{}, time.Time{}
	} else {
		f := backup.AsFault(err)
		if f.Kind == backup.Refused {
			return s.end(ctx, fails, f.Reason())
		}
		r.Reason = f.Reason()
		delay = max(f.Wait(), s.pollDelay(r.Accepted, 0))
		switch {
		case f.Kind != backup.Denied:
			r.DeniedSince = time.Time{} // it answers no requests: that may take as long as the restore does
		case r.DeniedSince.IsZero():
			r.DeniedSince = s.now
		}
	}
	if !r.DeniedSince.IsZero() && s.now.Sub(r.DeniedSince) >= s.Waits.Patience {
		why := r.Reason
		why.Message = "the service began to restore but no longer tells how that went: " + why.Message
		return s.end(ctx, loses, why)
	}
	if s.now.Sub(r.Accepted) >= s.Waits.Operation {
		return s.end(ctx, loses, backup.NewReason("OperationTooLong", fmt.Sprintf("the service began to restore %s ago and still does not say "+
			"that it is done", s.now.Sub(r.Accepted).Round(time.Second)), "Look at the service in the Azure portal."))
	}
	return s.advance(ctx, delay)
}

// restored ends the run well, unless another restore may have made the result that was found after a lost start.
func (s *step) restored(ctx context.Context, operation backup.Operation) error {
	r := &s.run
	r.Finished, r.Restore.Warning = s.clock(), backup.Bounded(operation.Warning)
	if r.Lost > 0 {
		rival, err := s.rival(ctx)
		if err != nil {
			return err
		}
		if rival != "" {
			return s.end(ctx, loses, backup.NewReason("StartLost", "the service was restored, but nothing shows by which request: the answer to "+
				"this run's was lost, and what became of restore "+rival+" into it is unknown", "Look which backup it holds. Ask again, "+
				"under another ID, if that is not "+r.Restore.Point+"."))
		}
	}
	return s.end(ctx, restores, backup.Reason{})
}

// rival returns another restore into the same target that ended unknown, so lately that Azure may have been at it until now; ""
// if there is none.
func (s *step) rival(ctx context.Context) (string, error) {
	runs, err := s.newestRuns(ctx, s.run.Target, 200) // these cover two days, unless it is backed up every quarter of an hour
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(runs, func(o backup.Run) bool {
		return o.ID != s.run.ID && o.Restore != nil && o.State == backup.Unknown && s.now.Sub(o.Ended) < 2*s.Waits.Operation
	})
	if i < 0 {
		return "", nil
	}
	return runs[i].ID, nil
}
