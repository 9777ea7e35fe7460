// Package deletion deletes the artifact of a recovery point that is past its time, and tells of an artifact that it could not
// delete. It may be killed anywhere: a repeat goes on where the last one stopped.
package deletion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/restore"
	"lifeboat/internal/retention"
)

// Deletion has the things that the deletion of a recovery point needs.
type Deletion struct {
	Catalog  backup.Catalog
	Provider backup.Provider
	// Announce sends an event, or keeps it until its queue takes it.
	Announce func(context.Context, ...backup.Event) error
	// MayBegin returns an error while nothing may be deleted.
	MayBegin func(context.Context) error
	// CallTime limits each call of the provider. Recheck is the least time after which a failed deletion is tried again.
	CallTime, Recheck time.Duration
	// Now is the time by the catalog's clock.
	Now time.Time
	// Pace is the one of the target. It counts each point that its decision says.
	Pace *retention.Pace
}

// ErrPaceChanged: another cleanup of the target has let a recovery point go meanwhile.
var ErrPaceChanged = errors.New("another cleanup deletes recovery points of the target")

// LongestKept is the longest time before a kept point is tried again, whatever storage says, in Recheck: a week.
const LongestKept = 28

// Delete deletes the point's artifact, which has these files if it is more than one blob of its name. First it saves the decision,
// under the ETag that was read, then it deletes the artifact, then it sets the point to expired. If nothing of the artifact was
// deleted, the point is again as before the decision; so is a touched artifact whose content was only read in part. Delete returns
// the point as it is then.
func (d Deletion) Delete(ctx context.Context, decided retention.Decision, files []backup.File) (backup.Point, error) {
	p := decided.Point
	former := p.State
	// Where an earlier deletion was begun, a part of the artifact may be gone.
	begun := former == backup.Deleting
	switch {
	case !begun:
	case p.KeptByStorage.Reason.Code == backup.CodeAltered:
		former = backup.Altered
	case p.Unaccepted():
		former = backup.Suspect
	default:
		former = backup.Live
	}
	// Save also if the decision is an old one: another cleanup, to which storage refused the artifact, must not restore the
	// state of a point that this one deletes.
	if err := d.begin(ctx, &p, decided); err != nil {
		return p, err
	}
	decided.Paced = false
	a := p.ProviderAttempt()
	a.Files = files
	f, altered := d.remove(ctx, a, p.ETag), false
	if f != nil && f.Kind == backup.Touched {
		if !begun { // this call deleted nothing: the point can be restored while it is read
			p.State, p.Reason = former, reading(p).Reason()
			if err := d.save(ctx, &p); err != nil {
				return p, err
			}
		}
		var etag string
		if etag, f, altered = d.readAgain(ctx, a, &p); f == nil {
			if err := d.begin(ctx, &p, decided); err != nil {
				return p, err
			}
			f = d.remove(ctx, a, etag)
		}
	}
	if f == nil {
		return d.expired(ctx, p, decided)
	}
	p.Reason = f.Reason()
	if !begun && undone(f.Kind) {
		p.State = former
	}
	if f.Code == backup.CodeTouched {
		return p, d.save(ctx, &p)
	}
	var failed error
	var noted []backup.Write
	wait := min(max(f.Until.Sub(d.Now), d.Recheck), LongestKept*d.Recheck)
	switch {
	case altered:
		p.State, wait = backup.Altered, LongestKept*d.Recheck // each try reads all of it
		if former != backup.Altered {
			noted = event.OutboxWrites(p.Key().Partition, []backup.Event{manifest.Note(p, manifest.Altered, d.Now)})
		}
	case f.Kind == backup.Kept:
		p.State = former
	case f.Until.IsZero():
		failed = fmt.Errorf("delete the artifact %s of run %s: %w", p.Artifact, p.ID, f)
	}
	if p.State != backup.Deleting {
		p.KeptByStorage = backup.KeptByStorage{Until: f.Until, Again: d.Now.Add(wait), Reason: f.Reason()}
	}
	if f.Kind == backup.Kept {
		p.Reason = backup.NewReason("KeptByStorage", p.KeptByStorage.String(), f.Hint)
	}
	return p, errors.Join(failed, d.publish(ctx, &p, f, altered, noted...), d.save(ctx, &p, noted...))
}

// begin saves that the deletion begins, or goes on, unless nothing may be deleted.
func (d Deletion) begin(ctx context.Context, p *backup.Point, decided retention.Decision) error {
	if err := d.MayBegin(ctx); err != nil {
		return err
	}
	if p.State != backup.Deleting {
		p.State, p.Reason = backup.Deleting, backup.NewReason("Expired", decided.Reason, "")
	}
	return d.letGo(ctx, p, decided)
}

// letGo saves the point, and in the same transaction the pace of its target, if that counts the point from now on.
func (d Deletion) letGo(ctx context.Context, p *backup.Point, decided retention.Decision) error {
	if !decided.Paced {
		return d.save(ctx, p)
	}
	pace := d.Pace.With(d.Now)
	etags, err := d.Catalog.Apply(ctx, p.Replace(), pace.Write(p.Target))
	if raced, ok := errors.AsType[*backup.WriteError](err); ok && raced.Index == 1 {
		return ErrPaceChanged
	}
	if err != nil {
		return fmt.Errorf("save that the recovery point of run %s goes: %w", p.ID, err)
	}
	p.RowETag, *d.Pace = etags[0], pace.Saved(etags[1])
	return nil
}

// undone tells whether such a fault says that this deletion deleted nothing.
func undone(k backup.FaultKind) bool {
	return k == backup.Retryable || k == backup.Throttled || k == backup.Unobservable || k == backup.Touched
}

// reading says how far a touched artifact was read again.
func reading(p backup.Point) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Retryable, Code: backup.CodeTouched, Message: "its ETag is another one, so Lifeboat reads it again: " +
			fmt.Sprintf("%d of %d bytes", p.Undeleted.Hashing.Offset, p.Size), Hint: "You need not act.",
	}
}

// readAgain reads a part of a touched artifact. Without a fault all of its content is known to be the verified content, under the ETag.
// Altered tells that it is not, and the fault says why.
func (d Deletion) readAgain(ctx context.Context, a backup.Attempt, p *backup.Point) (etag string, f *backup.Fault, altered bool) {
	within, cancel := context.WithTimeout(ctx, d.CallTime)
	defer cancel()
	v, err := d.Provider.Hash(within, a, p.Undeleted.Hashing)
	p.Undeleted.Hashing = backup.Hashing{}
	switch f := backup.AsFault(err); {
	case f != nil && f.Code == "ArtifactMissing":
		return p.ETag, nil, false // it is gone meanwhile
	case f != nil && f.Kind == backup.Refused:
		return "", &backup.Fault{
			Kind: f.Kind, Code: backup.CodeAltered, Message: f.Message, Said: f.Said, RequestID: f.RequestID, Hint: hintAltered,
		}, true
	case f != nil:
		return "", f, false
	case !v.Done:
		p.Undeleted.Hashing = v.Hashing
		return "", reading(*p), false
	}
	if why := restore.Changed(*p, v); why == nil {
		p.ETag = v.Hashing.ETag
	} else if !isRest(v.Files, a.Files) {
		return "", &backup.Fault{Kind: backup.Refused, Code: backup.CodeAltered, Message: why.Message, Hint: hintAltered}, true
	}
	return v.Hashing.ETag, nil, false
}

const hintAltered = "It is kept. If you do not need it, delete it in the Azure portal; Lifeboat finds that within a week. If the account keeps " +
	"older versions of blobs, bring the verified one back: then the recovery point can be restored by its ID."

// isRest tells whether files have verified content only, as the rest after an interrupted deletion has.
func isRest(files, verified []backup.File) bool {
	type content struct {
		name, hash string
		size       int64
	}
	known := map[content]bool{}
	for _, f := range verified {
		known[content{f.Name, f.SHA256, f.Size}] = true
	}
	for _, f := range files {
		if !known[content{f.Name, f.SHA256, f.Size}] {
			return false
		}
	}
	return len(files) > 0
}

// expired sets the point to expired. If an event told that it could not be deleted, another one tells first that it is.
func (d Deletion) expired(ctx context.Context, p backup.Point, decided retention.Decision) (backup.Point, error) {
	was := p.Undeleted.Published
	p.State, p.Deleted, p.Reason = backup.Expired, d.Now, backup.NewReason("Expired", decided.Reason, "")
	p.KeptByStorage, p.Undeleted = backup.KeptByStorage{}, backup.Undeleted{}
	if was != "" {
		if err := d.Announce(ctx, event.PointDeleted(p)); err != nil {
			return decided.Point, err
		}
	}
	if err := d.save(ctx, &p); err != nil {
		return decided.Point, err
	}
	return p, nil
}

// publish tells of the failure, once for a point: at once if storage refuses its deletion, and at the second failure if that may
// pass. Nothing tells of storage that says until when it protects the artifact: that takes back an earlier event. More is written with the
// point's new state: later calls do not know whether it was.
func (d Deletion) publish(ctx context.Context, p *backup.Point, f *backup.Fault, altered bool, more ...backup.Write) error {
	kind, repeated := event.PointUndeleted, !p.Undeleted.Since.IsZero()
	if !repeated {
		p.Undeleted.Since = d.Now
	}
	switch {
	case !f.Until.IsZero():
		return d.calm(ctx, p, f)
	case altered:
		kind = event.PointAltered
	case f.Kind == backup.Kept || f.Kind == backup.Refused || f.Kind == backup.Unobservable:
	case !repeated:
		return nil
	}
	if p.Undeleted.Published == kind && !p.Undeleted.Unsent {
		return nil
	}
	// The row says so first: if the process dies behind the event, the deletion takes it back all the same. If it dies before the
	// event, the next cleanup tries again, and does not wait as long as after a failure that was told.
	again := p.KeptByStorage.Again
	p.Undeleted.Published, p.Undeleted.Unsent, p.KeptByStorage.Again = kind, true, time.Time{}
	if err := d.save(ctx, p, more...); err != nil {
		return err
	}
	if err := d.Announce(ctx, event.PointNotDeleted(*p, kind, f.Reason(), d.Now)); err != nil {
		return err
	}
	p.Undeleted.Unsent, p.KeptByStorage.Again = false, again
	return nil
}

// calm forgets the failures before storage said until when it protects the artifact. If an event told of them, another one takes it back
// first; after a death in between that one comes twice, under the same ID. An altered point stays so.
func (d Deletion) calm(ctx context.Context, p *backup.Point, f *backup.Fault) error {
	switch p.Undeleted.Published {
	case event.PointAltered:
		return nil
	case event.PointUndeleted:
		if err := d.Announce(ctx, event.PointKept(*p, f.Reason(), d.Now)); err != nil {
			p.KeptByStorage.Again = time.Time{} // the next cleanup tries again
			return err
		}
		p.Undeleted.TakenBack++
	}
	p.Undeleted.Since, p.Undeleted.Published, p.Undeleted.Unsent = time.Time{}, "", false
	return nil
}

// remove has the provider delete the artifact with that ETag.
func (d Deletion) remove(ctx context.Context, a backup.Attempt, etag string) *backup.Fault {
	ctx, cancel := context.WithTimeout(ctx, d.CallTime)
	defer cancel()
	return backup.AsFault(d.Provider.Delete(ctx, a, etag, false))
}

func (d Deletion) save(ctx context.Context, p *backup.Point, more ...backup.Write) error {
	etags, err := d.Catalog.Apply(ctx, append([]backup.Write{p.Replace()}, more...)...)
	if err != nil {
		return fmt.Errorf("save the recovery point of run %s as %s: %w", p.ID, p.State, err)
	}
	p.RowETag = etags[0]
	return nil
}
