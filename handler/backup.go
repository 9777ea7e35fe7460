package handler

import (
	"context"
	"errors"
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
)

// backup makes the backups that a message asks for, and answers it. An unreadable message is kept among the dead letters, and
// answered all the same.
func (h *handler) backup(ctx context.Context, in invocation, message []byte) (fields, error) {
	message = request.Original(message, in.Inserted).Message
	if change, ok := request.ParseChange(message, h.Engine.Services); ok {
		return h.changed(ctx, change)
	}
	q, err := request.ParseBackup(message, "")
	did := fields{"request": q.ID}
	active, noPlan := h.Plans.Current(ctx)
	if err != nil {
		did["note"] = err.Error()
		return did, h.Engine.RejectBackup(ctx, backup.BackupQueue, message, q, active.Plans, request.InvalidRequest, err)
	}
	if noPlan != nil {
		return did, noPlan
	}
	b, err := h.Engine.AnswerBackup(ctx, q, active.Plans, nil)
	if errors.Is(err, engine.ErrRequestReused) {
		did["note"] = err.Error()
		return did, h.Engine.RejectBackup(ctx, backup.BackupQueue, message, q, active.Plans, "RequestIdReused", err)
	}
	did.batch(b)
	return did, err
}

// changed notes that a service has changed, for a backup once its changes are over. Changes of a service for which no plan wants
// that are ignored.
func (h *handler) changed(ctx context.Context, change request.Change) (fields, error) {
	did := fields{"change": change.Type, "target": change.Target}
	if change.Target == "" {
		did["note"] = "ignored: the event tells of no change of a service that a backup has"
		return did, nil
	}
	active, err := h.Plans.Current(ctx)
	if err != nil {
		return did, err
	}
	noted, err := h.Engine.Changed(ctx, change, active.Plans)
	if did["plan"] = strings.Join(noted, ", "); len(noted) == 0 && err == nil {
		did["note"] = "ignored: no plan with onChange has the target"
	}
	return did, err
}

// batch adds the batch of a request.
func (f fields) batch(b engine.Batch) {
	f["batch"], f["plan"], f["runs"] = b.ID, b.Plan, len(b.Runs)
	if len(b.Runs) == 1 {
		f["run"], f["target"] = b.Runs[0].ID, b.Runs[0].Target
	}
	if b.Refused != nil {
		f.say(*b.Refused)
	}
}

// deadletterBackup is deadletterRestore for a request for backups.
func (h *handler) deadletterBackup(ctx context.Context, in invocation, message []byte) (fields, error) {
	const queue = backup.BackupQueue + backup.Poison
	var active plans.Active
	if h.Plans != nil { // without plans the answer goes to lifeboat-events alone
		active, _ = h.Plans.Current(ctx)
	}
	b, later, err := h.Engine.GiveUpBackup(ctx, queue, message, in.Inserted, active.Plans, givenUp)
	did := fields{"queue": queue, "bytes": len(message)}
	original := request.Original(message, in.Inserted).Message
	if q, unread := request.ParseBackup(original, ""); unread == nil {
		did["request"] = q.ID
	}
	if later {
		did["note"] = "put off: it is tried again later"
	}
	if b.ID != "" {
		did.batch(b)
	}
	return did, err
}
