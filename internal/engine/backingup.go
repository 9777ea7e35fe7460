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
	"lifeboat/internal/checkpoint"
)

// backingUp is the operation that makes a backup: the run's own, or the safety backup of a restore.
type backingUp struct {
	*step
	provider backup.Provider
}

// start begins a run that waits, unless its time is over.
func (s backingUp) start(ctx context.Context) error {
	r := &s.run
	var found string
	var unseen error
	if r.Lost > 0 {
		// An attempt whose answer was lost may have made an artifact since.
		found, unseen = s.find(ctx, s.provider, r.ProviderAttempt(""))
	}
	waited := r.Waited(s.now)
	over, why, isOver := s.timeOver()
	switch {
	case unidentifiable(unseen):
		return s.end(ctx, loses, backup.AsFault(unseen).Reason())
	case found != "":
		return s.found(ctx, found)
	case isOver:
		return s.giveUp(ctx, over, why)
	case r.Restore != nil && s.expired() != nil: // its safety backup was rejected until then
		return s.giveUp(ctx, refuses, *s.expired())
	case r.Restore == nil && waited >= s.Timings.Operation:
		return s.giveUp(ctx, fails, r.Reason.Reword("WaitedTooLong", fmt.Sprintf("the run could not begin for %s; at last: %s",
			waited.Round(time.Second), r.Reason.Message), "See what else is changing the service, then ask for the backup again."))
	case r.Early(s.now):
		return s.advance(ctx, r.RetryAt.Sub(s.now))
	}
	if in, err := s.acquirePermits(ctx); err != nil || !in {
		return err
	}
	if unseen != nil { // out of the wait queue, so that no run behind it has to wait
		return s.postpone(ctx, backup.AsFault(unseen))
	}
	if len(r.Failed) > 0 && r.Request == "" { // a scheduled run begins no further attempt then
		if stopped, _, err := s.Ownership().Stop(ctx); err != nil {
			return err
		} else if stopped.Backups() != "" {
			return s.postpone(ctx, backup.AsFault(stopped.Err()))
		}
	}
	if r.Attempt > 0 {
		return s.attempt(ctx, s)
	}
	if why := checkKeep(r.Settings); why != nil {
		return s.end(ctx, refuses, *why)
	}
	return s.preflight(ctx, s)
}

// timeOver says how and why a run ends once no attempt of it may begin any more: after the window of its scheduled time, or when the
// plan's next one is due.
func (s backingUp) timeOver() (c cause, why backup.Reason, over bool) {
	switch r := s.run; {
	case !r.Until.IsZero() && !s.now.Before(r.Until):
		return misses, checkpoint.Missed(r), true
	case !r.NextScheduledTime.IsZero() && !s.now.Before(r.NextScheduledTime):
		return supersedes, backup.NewReason("Superseded", "the plan's next scheduled time came due while the run waited", ""), true
	}
	return "", backup.Reason{}, false
}

func (s backingUp) words() words {
	return words{
		checking: "the service looks whether it can make the backup",
		died:     fmt.Sprintf("the process that started attempt %d ended before it saw the answer", s.run.Attempt),
		silent:   "the service accepted the operation but no longer shows it",
		tooLong:  "the service accepted the operation %s ago and still does not say that it is done",
		hint:     "Look at the service in the Azure portal; its backup may still be written to the container as " + s.run.Artifact + ".",
	}
}

// sendCheck asks whether the service can be backed up at all, and makes the things that the backup needs.
func (s backingUp) sendCheck(ctx context.Context) (backup.Operation, error) {
	a := s.run.ProviderAttempt("")
	if s.run.Check == "" {
		if err := s.provider.Preflight(ctx, a); err != nil {
			return backup.Operation{}, err
		}
	}
	return s.provider.Prepare(ctx, a, s.run.Check)
}

func (s backingUp) checked(ctx context.Context, f *backup.Fault) (bool, error) {
	if f == nil {
		return false, nil
	}
	if f.Code == backup.ServiceFailed && s.run.Restore != nil { // a restore does not wait a day for a person to mend it
		f.Kind = backup.Refused
	}
	return true, s.refuseOrPostpone(ctx, f)
}

func (s backingUp) intend() {
	r := &s.run
	r.Artifact, r.RetryAt = r.ArtifactName(r.Attempt), time.Time{}
	if r.Started.IsZero() {
		r.Started = s.now
	}
}

func (s backingUp) sendStart(ctx context.Context) (backup.Operation, error) {
	return s.provider.Begin(ctx, s.run.ProviderAttempt(s.run.Artifact))
}

func (s backingUp) notStarted(ctx context.Context, f *backup.Fault) error {
	r := &s.run
	switch rejected := f.Kind == backup.Retryable || f.Kind == backup.Throttled; {
	case f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case f.Kind == backup.Passing:
		return s.retry(ctx, f)
	case rejected && r.Restore != nil && r.Lost > 0:
		// The service may be at work on the lost start. Its backup would not secure changes after the release of the lock: so
		// the lock is kept, and the start is looked for again.
		r.NotFoundSince, r.Reason = time.Time{}, f.Reason()
		return s.advance(ctx, max(f.Wait(), s.Timings.LookMax))
	case rejected:
		return s.postpone(ctx, f)
	}
	s.lost(f.Reason())
	return s.advance(ctx, s.Timings.Look)
}

func (s backingUp) accepted() { s.run.Rejections = 0 }

// inFlightFor is zero: a late request makes an artifact under a name of its own, or one that is found by its time.
func (backingUp) inFlightFor() time.Duration { return 0 }

func (s backingUp) sendSearch(ctx context.Context) (backup.Operation, error) {
	found, err := s.find(ctx, s.provider, s.run.ProviderAttempt(""))
	return backup.Operation{Done: found != "", Artifact: found}, err
}

// searched makes a further attempt, under another name, once nothing of the lost one was seen for the whole retry window, unless the
// time of the run is over.
func (s backingUp) searched(ctx context.Context, l search) error {
	r := &s.run
	if l.fault != nil {
		r.Reason = l.fault.Reason()
	}
	late, _, isLate := s.timeOver()
	switch over := l.fault == nil && l.notFoundFor >= s.Timings.RetryWindow; {
	case unidentifiable(l.fault):
		return s.end(ctx, loses, r.Reason)
	case l.found.Done:
		return s.found(ctx, l.found.Artifact)
	case over && isLate:
		why := "the plan's next scheduled time is due"
		if late == misses {
			why = "the window of its scheduled time ended at " + r.Until.UTC().Format(time.RFC3339)
		}
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the start was lost, no backup of it was found, and no further "+
			"attempt is made, since "+why, "Ask for a backup, or wait for the plan's next one; look in the container for files named "+r.ID+"."))
	case over && r.Lost < mostLost:
		return s.attempt(ctx, s)
	case over:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", fmt.Sprintf("the answers to %d attempts to start were lost, and no "+
			"backup of theirs was found; at last: %s", r.Lost, r.Reason.Message), "See whether the service can be reached; look in the container for files named "+r.ID+"."))
	case l.waited >= s.Timings.Operation:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the start was lost, and Lifeboat could not find out "+
			"its outcome: "+r.Reason.Message, "Look at the service and at the roles of the identity; look in the container for files "+
			"named "+r.ID+"."))
	}
	return s.advance(ctx, s.lookDelay(l))
}

func (s backingUp) sendPoll(ctx context.Context) (backup.Operation, error) {
	a := s.run.ProviderAttempt(s.run.Artifact)
	a.MayDelete = s.Ownership().MayBegin
	return s.provider.Poll(ctx, a, s.run.Token)
}

// pollFailed makes a further attempt, once, if the operation's credential expired, and looks for the artifact of an operation
// that the service no longer shows.
func (s backingUp) pollFailed(ctx context.Context, f *backup.Fault) (bool, error) {
	r := &s.run
	switch {
	case f.Kind == backup.CredentialExpired && !r.CredentialExpired:
		r.CredentialExpired, r.Token = true, ""
		return true, s.attempt(ctx, s)
	case f.Kind == backup.Passing:
		return true, s.retry(ctx, f)
	case f.Kind == backup.Refused, f.Kind == backup.CredentialExpired:
		return true, s.end(ctx, fails, f.Reason())
	case f.Kind != backup.Unobservable:
		return false, nil
	}
	accepted := r.ProviderAttempt("")
	accepted.Lost = []backup.Window{{From: r.Intent, To: r.Accepted}}
	switch found, err := s.find(ctx, s.provider, accepted); {
	case unidentifiable(err):
		return true, s.end(ctx, loses, backup.AsFault(err).Reason())
	case err == nil && found != "":
		return true, s.found(ctx, found)
	}
	return false, nil
}

// retry has the run wait for a further attempt, without the lock and the permits, or ends it. The service itself has said that its
// operation is over: so others may have the target meanwhile, such as a restore.
func (s backingUp) retry(ctx context.Context, f *backup.Fault) error {
	why, again := s.run.Retry(f, s.clock(), s.Timings.Retry, s.Timings.Operation)
	if !again {
		return s.end(ctx, fails, why)
	}
	s.run.Reason, s.run.Token, s.run.Artifact, s.run.UnobservableSince = why, "", "", time.Time{}
	return s.stepAside(ctx, retries, s.run.RetryAt.Sub(s.clock()))
}

// finished goes on to verify the artifact after the service says that it is done.
func (s backingUp) finished(ctx context.Context, o backup.Operation) error {
	s.run.Finished, s.run.Artifact = s.clock(), cmp.Or(o.Artifact, s.run.Artifact)
	s.run.SKU, s.run.ServiceCreated, s.run.Check = o.SKU, o.ServiceCreated, ""
	if err := move(&s.run, finishes); err != nil {
		return err
	}
	return s.advance(ctx, 0)
}

// verify hashes the artifact, a part an invocation, has the service check it, and makes it a recovery point at the end.
func (s backingUp) verify(ctx context.Context) error {
	r := &s.run
	a, since := r.ProviderAttempt(r.Artifact), s.now.Sub(r.Finished).Round(time.Second)
	tooLong := s.now.Sub(r.Finished) >= s.Timings.Operation
	if err := s.follow(ctx, &a); err != nil {
		return err
	}
	v, err := hash(ctx, s.provider, a, r.Hashing)
	switch {
	case err != nil:
		return s.unverified(ctx, "the artifact could not be read: ", tooLong, backup.AsFault(err))
	case !v.Done && tooLong:
		return s.end(ctx, loses, backup.NewReason("VerifyTooLong", fmt.Sprintf("only %d of %d bytes of the artifact could be read in %s",
			v.Hashing.Offset, v.Size, since), "See how the function app reaches the storage account."))
	}
	if v.Hashing.ETag != r.Hashing.ETag {
		r.Check = "" // it is about another content
	}
	r.Hashing, r.Reason = v.Hashing, backup.Reason{}
	if !v.Done {
		return s.advance(ctx, 0)
	}
	a = r.ProviderAttempt(r.Artifact)
	proof, err := within(ctx, func(ctx context.Context) (backup.Operation, error) { return s.provider.Prove(ctx, a, r.Check) })
	switch {
	case err != nil:
		return s.unverified(ctx, "the service could not check the artifact: ", tooLong, backup.AsFault(err))
	case !proof.Done && tooLong:
		return s.end(ctx, loses, backup.NewReason("VerifyTooLong", fmt.Sprintf("after %s the service still checks whether it could restore the "+
			"artifact", since), "Look at the service in the Azure portal."))
	}
	r.Check = proof.Token
	if !proof.Done {
		return s.advance(ctx, s.pollDelay(r.Finished, proof.RetryAfter))
	}
	v.Note = strings.TrimSpace(v.Note + " " + proof.Warning)
	s.readChange(ctx, r.Ran(v.Modified))
	if r.Attempt > 1 && s.Ownership().MayBegin(ctx) == nil {
		// These are extra copies of lost attempts. One that stays since the app is stopped, cannot be deleted, or comes later, goes with the point.
		_ = remove(ctx, s.provider, r.ProviderAttempt(r.Artifact), "", true)
	}
	p := backup.NewPoint(s.run, v, s.service(r.Target))
	p.Asked = proof.Asked
	return s.succeed(ctx, p, v.Files)
}

// follow tells the provider of the backup before, if the new one must contain it.
func (s backingUp) follow(ctx context.Context, a *backup.Attempt) error {
	if !s.service(a.Target).Contains {
		return nil
	}
	counts := func(p backup.Point) bool { return p.ID != a.Run && p.InBaseline() && p.Facts != nil }
	points, err := backup.RecentPoints(ctx, s.Catalog, a.Target, 10, func(points []backup.Point) bool {
		return slices.ContainsFunc(points, counts)
	})
	var newest backup.Point
	for _, p := range points {
		if counts(p) && p.Created.After(newest.Created) {
			newest = p
		}
	}
	a.Earlier, a.EarlierID = newest.Facts, newest.ID
	return err
}

// unverified ends the run if the artifact is refused, or was not verified for too long; otherwise it waits.
func (s backingUp) unverified(ctx context.Context, what string, tooLong bool, f *backup.Fault) error {
	switch {
	case f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case tooLong:
		return s.end(ctx, loses, f.Reason().Reword(f.Code, what+f.Message, f.Hint))
	}
	s.run.Reason = f.Reason()
	return s.advance(ctx, max(f.Wait(), s.Timings.Poll))
}

// unidentifiable says that no further look will tell which artifact is the run's.
func unidentifiable(err error) bool {
	f := backup.AsFault(err)
	return f != nil && f.Kind == backup.Refused
}

// found takes the artifact of a lost operation for the run's own, or waits if another run took the lock meanwhile.
func (s backingUp) found(ctx context.Context, artifact string) error {
	undo := s.snapshot()
	s.run.Artifact, s.run.Finished, s.run.Check = artifact, s.clock(), ""
	if err := move(&s.run, finds); err != nil {
		return err
	}
	err := s.advance(ctx, 0)
	if errors.Is(err, errBusy) {
		// The stray step message that advance sent has a nonce that no row will hold.
		undo()
		return s.postpone(ctx, busyTarget)
	}
	return err
}
