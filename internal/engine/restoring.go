package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/restore"
	"lifeboat/internal/stop"
)

// HoldSafety is the time for which a safety backup is kept in any case, unless the restore is confirmed before.
const HoldSafety = 7 * 24 * time.Hour

// restoring is the operation that restores a recovery point into a service.
type restoring struct {
	*step
	provider backup.Provider
	restorer backup.Restorer
}

// guard asks every guard again, before anything is changed, and then begins the operation, which is s or a [recreating].
func (s restoring) guard(ctx context.Context, o operation) error {
	r, q := &s.run, s.run.Restore
	before := s.Now()
	q.Elsewhere = false
	if why := s.expired(); why != nil {
		return s.end(ctx, refuses, *why)
	}
	switch f, err := s.Ownership().Holds(ctx); {
	case err != nil:
		return err
	case f != nil:
		return s.postpone(ctx, f)
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
		q.Elsewhere = true
		return s.postpone(ctx, &backup.Fault{
			Kind: backup.Retryable, Code: "RecoveryPointDeleting", Message: "cleanup tries whether storage still keeps the recovery point " + p.ID,
		})
	}
	// From here on cleanup leaves it alone. A deletion changes the same row under the same ETag.
	if !slices.Contains(p.Readers, r.ID) {
		p.Readers = append(p.Readers, r.ID)
		switch _, err := s.Catalog.Apply(ctx, p.Replace()); {
		case errors.Is(err, backup.ErrChanged), errors.Is(err, backup.ErrNotFound):
			q.Elsewhere = true
			return s.postpone(ctx, &backup.Fault{Kind: backup.Retryable, Code: "RecoveryPointChanged", Message: "another invocation changed the recovery point"})
		case err != nil:
			return fmt.Errorf("hold the recovery point %s for restore %s: %w", p.ID, r.ID, err)
		}
	}
	q.Reading = true
	// Acquire the permit and the lock first, because every retry reads the artifact again. The permit comes before the lock: a
	// woken run leaves the wait queue here. If its destination is busy, it would otherwise keep all runs behind it waiting.
	if q.Preempt { // a restore that will be refused ends no backup
		if over, _, err := s.able(ctx); over || err != nil {
			return err
		}
		if waits, err := s.preempt(ctx); err != nil || waits {
			return err
		}
	}
	if in, err := s.acquirePermits(ctx); err != nil || !in {
		return err
	}
	switch busy, err := s.holder(ctx); {
	case err != nil:
		return err
	case busy != nil:
		return s.postpone(ctx, busy)
	}
	if waits, err := s.behindOlder(ctx); err != nil || waits {
		return err
	}
	switch over, notNow, err := s.able(ctx); {
	case over || err != nil:
		return err
	case notNow != nil:
		return s.postpone(ctx, notNow)
	}
	a := r.ProviderRestore().ProviderAttempt(p.ID)
	if a.Files, err = s.Files(ctx, p); err != nil {
		return err
	}
	v, err := hash(ctx, s.provider, a, r.Hashing)
	if err != nil {
		q.Elsewhere = true
		return s.refuseOrPostpone(ctx, backup.AsFault(err))
	}
	r.Hashing = v.Hashing
	if !v.Done {
		r.Reason = backup.NewReason("Preparing", "the artifact is read once more before anything is changed", "")
		return s.advance(ctx, 0)
	}
	r.Hashing = backup.Hashing{}
	if why := restore.Changed(p, v); why != nil {
		return s.end(ctx, refuses, *why)
	}
	// The lease and the deadline of the next request count from here.
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	if q.Safety {
		q.Step = backup.StepSafetyBackup
		return backingUp{s.step, s.provider}.start(ctx)
	}
	return s.preflight(ctx, o)
}

// behindOlder lets the restore wait if an older one waits for the destination too, and wakes that one.
func (s restoring) behindOlder(ctx context.Context) (waits bool, err error) {
	runs, err := s.listRuns(ctx, s.run.Target, s.run.Key().Row+"!", backup.Behind(backup.RunPrefix), mostPreempted)
	if err != nil && !errors.Is(err, backup.ErrUnreadable) { // a row that cannot be read refuses the restore later
		return false, err
	}
	older, why := restore.Older(runs, s.now)
	if why == nil {
		return false, nil
	}
	return true, errors.Join(s.Queue.SendStep(ctx, older, 0), s.postpone(ctx, why))
}

// able asks whether the restore can begin. If it never can, over tells that the run has ended; notNow says why it cannot yet.
func (s restoring) able(ctx context.Context) (over bool, notNow *backup.Fault, err error) {
	switch why, err := s.readable(ctx, s.run.Restore.Source, s.run.Target); {
	case err != nil:
		return false, nil, err
	case why != nil:
		return true, nil, s.end(ctx, refuses, *why)
	}
	f := backup.AsFault(limited(ctx, func(ctx context.Context) error { return s.restorer.PreflightRestore(ctx, s.run.ProviderRestore()) }))
	if f != nil && f.Kind == backup.Refused {
		return true, nil, s.end(ctx, refuses, f.Reason())
	}
	return false, f, nil
}

// safetyBackedUp keeps the safety backup as a recovery point, and goes on to the restore in the same save, or ends a canceled one.
func (s *step) safetyBackedUp(ctx context.Context, p backup.Point, files []backup.File) error {
	r := &s.run
	p.Safety = true
	p.Held = backup.Hold{
		Until:  s.clock().Add(HoldSafety),
		Reason: "restore " + r.ID + " is not confirmed; this is its safety backup",
	}
	if err := deletion.PutDue(ctx, s.Catalog, p, nil, s.clock()); err != nil {
		return err
	}
	undo := s.snapshot()
	s.toOutbox(manifest.NoteMade(p, files, s.clock()))
	r.Restore.SafetyBackedUp = s.clock()
	var err error
	if by := r.Restore.CanceledBy; by != "" {
		err = s.end(ctx, cancels, restore.Canceled(by, backup.Reason{}), p.Insert(files)...)
	} else if err = move(r, keepsSafetyBackup); err == nil {
		r.Progress, r.Restore.Step = backup.Progress{}, backup.StepPreCheck
		r.Reason = backup.NewReason("Preparing", "the safety backup is done; next the service looks whether it can restore", "")
		err = s.advance(ctx, 0, p.Insert(files)...)
	}
	if errors.Is(err, errTaken) {
		undo() // no row holds the nonce of the step message that was sent
		s.pending = nil
		return s.end(ctx, loses, artifactTaken(p))
	}
	return err
}

func (restoring) words() words {
	return words{
		checking: "the service looks whether it can restore",
		died:     "the process that started the restore ended before it saw the answer",
		silent:   "the service began to restore but no longer shows the restore",
		tooLong:  "the service began to restore %s ago and still does not say that it is done",
		hint:     "Look at the service in the Azure portal.",
	}
}

func (s restoring) sendCheck(ctx context.Context) (backup.Operation, error) {
	s.run.Restore.Step = backup.StepPreCheck
	return s.restorer.PrepareRestore(ctx, s.run.ProviderRestore(), s.run.Check)
}

// checked refuses a recovery point that became too old while the safety backup was made.
func (s restoring) checked(ctx context.Context, f *backup.Fault) (bool, error) {
	q := s.run.Restore
	switch old := restore.TooOld(s.service(q.Source), q.Source, q.Written, s.now); {
	case old != nil:
		return true, s.giveUp(ctx, refuses, *old)
	case f == nil:
		return false, nil
	case f.Kind == backup.Refused, f.Kind == backup.Unobservable:
		return true, s.end(ctx, refuses, f.Reason())
	}
	return true, s.backOff(ctx, f)
}

func (s restoring) intend() { s.run.Restore.Step = backup.StepRestoring }

func (s restoring) sendStart(ctx context.Context) (backup.Operation, error) {
	return s.restorer.BeginRestore(ctx, s.run.ProviderRestore())
}

func (s restoring) notStarted(ctx context.Context, f *backup.Fault) error {
	switch f.Kind {
	case backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case backup.Retryable, backup.Throttled:
		return s.backOff(ctx, f)
	}
	// Hints of a lost start are about backups, because those may be started again.
	s.lost(f.Reason().Reword(f.Code, f.Message, "Lifeboat does not send the request again. It looks for the result as far as the service shows it."))
	return s.advance(ctx, s.Timings.Look)
}

func (s restoring) accepted() {
	s.toOutbox(event.Restore(s.run, event.RestoreStarted, s.run.Accepted)...)
}

func (s restoring) inFlightFor() time.Duration {
	return s.run.LostStarts[len(s.run.LostStarts)-1].To.Sub(s.now)
}

// sendSearch looks for nothing: a service that was restored in place does not show by which request.
func (restoring) sendSearch(context.Context) (backup.Operation, error) {
	return backup.Operation{}, nil
}

// searched ends the restore: the request is never sent twice.
func (s restoring) searched(ctx context.Context, _ search) error {
	traces := restore.Fill(s.service(s.run.Target).Restore.Traces, s.run.Target)
	return s.end(ctx, loses, s.run.Reason.Reword("StartLost", "the answer to the request that starts the restore was lost, and the service "+
		"does not show its outcome. Lifeboat never sends it twice: "+s.run.Reason.Message, strings.TrimSpace(restore.HintLost+" "+traces)))
}

func (s restoring) sendPoll(ctx context.Context) (backup.Operation, error) {
	return s.restorer.PollRestore(ctx, s.run.ProviderRestore(), s.run.Token)
}

// pollFailed ends the restore if it failed. A service that answers no requests may do so for as long as the restore takes.
func (s restoring) pollFailed(ctx context.Context, f *backup.Fault) (bool, error) {
	switch f.Kind {
	case backup.Refused:
		return true, s.end(ctx, fails, f.Reason())
	case backup.Unobservable:
	default:
		s.run.UnobservableSince = time.Time{}
	}
	return false, nil
}

// backOff waits for a destination that cannot take the restore now. Once it has a safety backup it keeps the lock: the state that
// the backup secures must not change behind it. While the app is stopped it waits until it expires.
func (s restoring) backOff(ctx context.Context, f *backup.Fault) error {
	r := &s.run
	r.Restore.Step = backup.StepPreCheck
	if r.Restore.SafetyBackedUp.IsZero() {
		return s.postpone(ctx, f)
	}
	r.Reason = f.Reason()
	if f.Code == stop.Code {
		if why := s.expired(); why != nil {
			return s.end(ctx, refuses, *why)
		}
		r.Restore.Stopped = s.now
	}
	waited := s.now.Sub(r.Restore.SafetyBackedUp)
	if s.now.Sub(backup.Later(r.Restore.SafetyBackedUp, r.Restore.Stopped)) >= s.Timings.Operation {
		return s.end(ctx, fails, r.Reason.Reword("WaitedTooLong", fmt.Sprintf("the restore could not begin for %s after the safety backup; "+
			"at last: %s", waited.Round(time.Second), f.Message), "Nothing was restored. See what else is changing the service, "+
			"then ask again, under another ID."))
	}
	return s.advance(ctx, s.busyDelay(f, waited))
}

// finished ends the run well.
func (s restoring) finished(ctx context.Context, o backup.Operation) error {
	s.run.Finished, s.run.Restore.Warning, s.run.Restore.Partly = s.clock(), backup.Bounded(o.Warning), o.Partly
	return s.end(ctx, restores, backup.Reason{})
}
