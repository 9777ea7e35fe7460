package handler

import (
	"context"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

const givenUp = "the host gave the message up after five failed deliveries: see the log of the function of the queue for why"

// deadletter keeps a step message that the host gave up after five deliveries. A step message is only a hint: the rescuer sends
// it again, and its loss changes no run.
func (h *handler) deadletter(ctx context.Context, _ invocation, message []byte) (fields, error) {
	const queue = backup.ExecuteQueue + backup.Poison
	return fields{"queue": queue, "bytes": len(message)}, h.Engine.DeadLetter(ctx, queue, message, engine.GivenUp(givenUp))
}

// deadletterRestore handles a request for a restore that the host gave up: it puts the request off, or keeps it and answers it,
// since its sender waits for an answer.
func (h *handler) deadletterRestore(ctx context.Context, in invocation, message []byte) (fields, error) {
	const queue = backup.RestoreQueue + backup.Poison
	var active plans.Active
	if h.Plans != nil { // without plans the answer goes to lifeboat-events alone
		active, _ = h.Plans.Current(ctx)
	}
	run, later, err := h.Engine.GiveUpRequest(ctx, message, in.Inserted, active.Plans, givenUp)
	did := fields{"queue": queue, "bytes": len(message)}
	original := request.Original(message, in.Inserted).Message
	if q, unread := restore.ParseRequest(original, ""); unread == nil {
		did["request"] = q.ID
	}
	if later {
		did["note"] = "put off: it is tried again later"
	}
	if run.ID != "" {
		did["run"], did["target"], did["to"] = run.ID, run.Target, run.State
	}
	return did, err
}
