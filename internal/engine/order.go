package engine

import (
	"context"
	"errors"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/request"
)

// AnswerBackup is Backup for a request that came by a message, and publishes the answer. It refuses the request if refuse says
// why, or no plan fits. A refusal is kept under the request's ID: a later delivery never makes a backup of a request whose sender
// was told that there would be none. A request that was accepted before stays so, and its runs are completed.
//
// The message is the promise: if the process dies before the answer, it comes again, and the answer has the same ID.
func (e *Engine) AnswerBackup(ctx context.Context, q request.Backup, plans []backup.Plan, refuse *backup.Reason) (Batch, error) {
	c, targets, no := newClaim(q, plans)
	if refuse != nil {
		targets, no = nil, refuse
	}
	c.Refused = no
	b, _, err := e.claimBackup(ctx, c, targets)
	if err != nil {
		return Batch{}, err
	}
	if len(b.Runs) > 0 && q.Target != "" {
		q.Target = b.Runs[0].Target // as it was stored
	} else {
		q.Target = backup.Spelled(plans, q.Target)
	}
	a := event.BackupAnswer{Request: q, Batch: b.ID, Plan: b.Plan, Refused: b.Refused, Time: b.Created}
	replyTo := b.ReplyTo
	if b.Refused != nil {
		replyTo = q.Replies(plans)
	}
	for _, run := range b.Runs {
		a.Runs = append(a.Runs, run.ID)
	}
	return b, e.Outbox().Announce(ctx, event.BackupAnswered(a, replyTo)...)
}

// RejectBackup keeps a request that cannot be read, or whose ID belongs to another one, among the dead letters, and answers it.
// Code is InvalidRequest, or RequestIdReused.
func (e *Engine) RejectBackup(
	ctx context.Context, queue string, message []byte, q request.Backup, plans []backup.Plan, code string, why error,
) error {
	no := backup.NewReason(code, why.Error(), correct)
	if err := e.DeadLetter(ctx, queue, message, no); err != nil {
		return err
	}
	a := event.BackupAnswer{Request: q, Refused: &no, Time: e.Now().UTC(), Message: message}
	return e.Outbox().Announce(ctx, event.BackupAnswered(a, q.Replies(plans))...)
}

// GiveUpBackup is GiveUpRequest for a request for backups.
func (e *Engine) GiveUpBackup(
	ctx context.Context, queue string, message []byte, inserted time.Time, plans []backup.Plan, why string,
) (b Batch, later bool, err error) {
	g := request.Original(message, inserted)
	q, malformed := request.ParseBackup(g.Message, "")
	_, azures := request.ParseChange(g.Message, e.Services)
	if malformed != nil && !azures {
		return Batch{}, false, e.RejectBackup(ctx, queue, g.Message, q, plans, request.InvalidRequest, malformed)
	}
	if later, err = e.PutOff(ctx, backup.BackupQueue, g); later || err != nil {
		return Batch{}, later, err
	}
	if err := e.DeadLetter(ctx, queue, g.Message, GivenUp(why)); err != nil || azures {
		return Batch{}, false, err
	}
	b, err = e.AnswerBackup(ctx, q, plans, givenUpReason("backup", why))
	if errors.Is(err, ErrRequestReused) {
		err = e.RejectBackup(ctx, queue, g.Message, q, plans, "RequestIdReused", err)
	}
	return b, false, err
}

// givenUpReason is the reason of the refusal of a request that the host gave up.
func givenUpReason(function, why string) *backup.Reason {
	return backup.Refuse("RequestGivenUp", "Fix the error in the log of the function "+function+", then send the request again, under another ID.",
		"nothing was begun: %s", why)
}
