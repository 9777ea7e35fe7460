package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// restoreClaim is the row of a request for a restore. It fixes the ID of the run, and is never deleted: a request that is
// repeated after years is still the same.
type restoreClaim struct {
	// Request is the ID of the request, "" once its run was pruned.
	Request     string    `json:"Request,omitempty"`
	Fingerprint string    `json:"Fingerprint"`
	Run         string    `json:"Run"`
	Time        time.Time `json:"Time"`
	// State and Ended say how the run ended, once it was pruned or is about to be.
	State backup.State `json:"State,omitempty"`
	Ended time.Time    `json:"Ended,omitzero"`

	backup.Carried
}

// Restore makes the run that the request asks for, queued or refused, and publishes which; or returns the run that the request
// made before. It returns ErrRequestReused if the ID stands for another request, and ErrCarriedOut if the run was pruned.
//
// The claim comes first, then the run, then the answer. If a process dies in between, the request is repeated, and the next
// process goes on: the claim fixes the run's ID, and the insertion of its row settles the answers of the guards.
func (e *Engine) Restore(ctx context.Context, q restore.Request, plans []backup.Plan) (backup.Run, error) {
	return e.claimRestore(ctx, q, func(now time.Time) (restore.Preview, error) { return e.outline(ctx, q, plans, now) })
}

// claimRestore makes or finds the run of the request. It asks for the preview of the restore only if there is no run yet.
func (e *Engine) claimRestore(ctx context.Context, q restore.Request, outline func(now time.Time) (restore.Preview, error)) (backup.Run, error) {
	read := e.Now()
	key := backup.RestoreClaimKey(q.ID)
	var claim restoreClaim
	row, now, err := e.Catalog.Get(ctx, key)
	switch {
	case err == nil:
		claim, err = backup.Decode[restoreClaim](row)
	case errors.Is(err, backup.ErrNotFound):
		claim = restoreClaim{
			Request: q.ID, Fingerprint: q.Fingerprint(), Time: now, Run: backup.NewRunID(q.Destination(), now, "restore "+q.ID),
		}
		_, err = e.Catalog.Apply(ctx, backup.Write{Op: backup.Insert, Key: key, Body: backup.Encode(claim)})
		if errors.Is(err, backup.ErrExists) {
			return e.claimRestore(ctx, q, outline)
		}
	}
	switch {
	case err != nil:
		return backup.Run{}, fmt.Errorf("claim restore request %s: %w", q.ID, err)
	case claim.Fingerprint != q.Fingerprint():
		return backup.Run{}, fmt.Errorf("%w: %s", ErrRequestReused, q.ID)
	}
	if err := claim.over(); err != nil {
		return backup.Run{}, err
	}
	run, _, err := e.load(ctx, claim.Run)
	var events []backup.Event
	if errors.Is(err, backup.ErrNotFound) {
		if err := e.neverMade(ctx, row); err != nil {
			return backup.Run{}, err
		}
		var p restore.Preview
		if p, err = outline(now); err == nil {
			run, events, err = e.createRestore(ctx, q, p, claim, now)
		}
	}
	if err != nil {
		return backup.Run{}, err
	}
	s := e.newStep(run, now, read)
	s.saved, s.inherited = events, s.inherited && events == nil
	switch {
	case run.State.Final():
		return run, s.releaseAndPublish(ctx)
	case events == nil:
		return run, nil // its own steps publish its events, and an invocation may be starting the restore
	}
	return run, s.publish(ctx)
}

// createRestore makes the run with its first events, or returns the run that another process has just made.
func (e *Engine) createRestore(
	ctx context.Context, q restore.Request, p restore.Preview, claim restoreClaim, now time.Time,
) (backup.Run, []backup.Event, error) {
	run := p.NewRun(q, claim.Run, claim.Time)
	kind := event.RestoreAccepted
	if why := p.Refusal(); why != nil {
		if err := move(&run, refuses); err != nil {
			return backup.Run{}, nil, err
		}
		run.Reason, run.Ended = *why, now
		kind = event.RestoreEnded(run)
	}
	run.Created = now
	events := event.Restore(run, kind, now)
	mine, err := e.create(ctx, &run, now, events...)
	if err != nil && !mine {
		return backup.Run{}, nil, err
	}
	if !mine {
		run, _, err = e.load(ctx, run.ID)
		return run, nil, err
	}
	return run, events, nil // if its first step message could not be sent, the rescuer sends it
}

// ErrNotWaiting: the restore has begun, or has ended.
var ErrNotWaiting = errors.New("the restore does not wait any more")

// CancelRestore ends a restore that has not begun. If its safety backup is being made, that comes to its end first, and the restore
// keeps its lock until then. One that was canceled before stays so. It returns ErrNotFound if there is none with the ID, and
// ErrNotWaiting if it is too late.
func (e *Engine) CancelRestore(ctx context.Context, id, by string) (backup.Run, error) {
	return e.intervene(ctx, id, func(s *step) (cause, backup.Reason, error) {
		if s.run.Restore == nil {
			return "", backup.Reason{}, fmt.Errorf("%w: %s is a backup", backup.ErrNotFound, id)
		}
		switch restore.Cancel(s.run) {
		case restore.CanceledBefore:
			return "", backup.Reason{}, nil
		case restore.CancelsNothing:
			return "", backup.Reason{}, fmt.Errorf("%w: it is %s", ErrNotWaiting, s.run.State)
		case restore.CancelsLater:
			restore.NoteCancel(&s.run, by)
			return notes, backup.Reason{}, nil
		}
		return cancels, restore.Canceled(by, backup.Reason{}), nil
	})
}

// ErrNotEnded: the restore is still under way.
var ErrNotEnded = errors.New("the restore has not ended yet")

// ConfirmRestore says that the restored service is as it should be: its safety backup is held no longer, and goes when its time
// is over. A repeat changes nothing. It returns ErrNotFound if there is no restore with the ID, and ErrNotEnded if it is too
// early.
func (e *Engine) ConfirmRestore(ctx context.Context, id string) (Status, error) {
	for {
		read := e.Now()
		run, now, err := e.load(ctx, id)
		switch {
		case err != nil:
			return Status{}, err
		case run.Restore == nil:
			return Status{}, fmt.Errorf("%w: %s is a backup", backup.ErrNotFound, id)
		case !run.State.Final():
			return Status{}, fmt.Errorf("%w: it is %s", ErrNotEnded, run.State)
		case run.Restore.SafetyBackedUp.IsZero():
			return Status{Run: run}, nil
		}
		p, err := e.RecoveryPoint(ctx, id)
		if err != nil || p.Held == (backup.Hold{}) {
			return Status{Run: run, Point: &p}, err
		}
		// As in Accept: the rescuer completes it after a crash.
		if err := e.index(ctx, backup.InflightKey(now.Add(orphanAge), id, e.NewID()), id, now); err != nil {
			return Status{}, err
		}
		p.Held = backup.Hold{}
		s := e.newStep(run, now, read)
		s.toOutbox(manifest.Note(p, manifest.Confirmed, now))
		if err = s.save(ctx, p.Replace()); errors.Is(err, errConflict) {
			continue
		}
		if err == nil {
			_ = s.releaseAndPublish(ctx)
		}
		return Status{Run: s.run, Point: &p}, err
	}
}

// AnswerPreview publishes the preview of a restore that was requested as a dry run.
func (e *Engine) AnswerPreview(ctx context.Context, q restore.Request, p restore.Preview) error {
	return e.Outbox().Announce(ctx, event.RestorePreviewed(q, p)...)
}

// RefuseRequest keeps a request that cannot be understood, or whose ID belongs to another one, among the dead letters. It answers
// the request, also on its own queue for answers if that can be read. Code is InvalidRequest, or RequestIdReused.
func (e *Engine) RefuseRequest(
	ctx context.Context, message []byte, q restore.Request, plans []backup.Plan, code string, why error,
) error {
	no := backup.NewReason(code, why.Error(), correct)
	if err := e.DeadLetter(ctx, backup.RestoreQueue, message, no); err != nil {
		return err
	}
	return e.reject(ctx, message, q, plans, no)
}

const correct = "Send it again, corrected. The message is kept in the table, in the partition deadletter."

// reject answers a request that becomes no run.
func (e *Engine) reject(ctx context.Context, message []byte, q restore.Request, plans []backup.Plan, why backup.Reason) error {
	replyTo := ""
	if q.Replies(plans) {
		replyTo = q.ReplyTo
	}
	return e.Outbox().Announce(ctx, event.RequestRefused(message, q, why, replyTo, e.Now().UTC())...)
}

// GiveUpRequest handles the message of a request that the host gave up and inserted into the poison queue at the time inserted.
// If the restore can still begin, it puts the request off, three times within an hour, since storage may have failed. After that
// it keeps the request among the dead letters, and answers it: the request is refused for good under its ID, so that it has no
// later effect. If it became a run, that run goes on and answers by itself. The plans may be none, if they could not be read.
// Later: it was put off.
func (e *Engine) GiveUpRequest(
	ctx context.Context, message []byte, inserted time.Time, plans []backup.Plan, why string,
) (run backup.Run, later bool, err error) {
	g := request.Original(message, inserted)
	q, malformed := restore.ParseRequest(g.Message, "")
	if malformed == nil && !q.DryRun {
		q.Sent = g.Sent
	}
	if later, err = e.PutOff(ctx, backup.RestoreQueue, g); later || err != nil {
		return backup.Run{}, later, err
	}
	run, err = e.refuseGivenUp(ctx, g.Message, q, malformed, plans, why)
	return run, false, err
}

func (e *Engine) refuseGivenUp(
	ctx context.Context, message []byte, q restore.Request, err error, plans []backup.Plan, why string,
) (backup.Run, error) {
	if err := e.DeadLetter(ctx, backup.RestoreQueue+backup.Poison, message, GivenUp(why)); err != nil {
		return backup.Run{}, err
	}
	refusal := givenUpReason("restore", why)
	switch {
	case err != nil:
		return backup.Run{}, e.reject(ctx, message, q, plans, backup.NewReason(request.InvalidRequest, err.Error(), correct))
	case q.DryRun:
		return backup.Run{}, e.reject(ctx, message, q, plans, *refusal)
	}
	run, err := e.claimRestore(ctx, q, func(now time.Time) (restore.Preview, error) {
		p := restore.NewPreview(q, plans, now)
		p.Ask("the request can be processed", refusal)
		p.Hash = p.NewHash()
		return p, nil
	})
	switch {
	case errors.Is(err, ErrRequestReused):
		return backup.Run{}, e.reject(ctx, message, q, plans, backup.NewReason("RequestIdReused", err.Error(), correct))
	case errors.Is(err, ErrCarriedOut):
		return backup.Run{}, e.AnswerRepeat(ctx, message, q, plans, err)
	}
	return run, err
}
