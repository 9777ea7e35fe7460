package engine

import (
	"context"
	"fmt"
	"time"

	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// TakeApart sends each request of a batch to its queue as a message of its own; sent is the time at which the batch was sent. If
// the process dies on the way, some requests come twice, and a request that comes twice is one request.
func (e *Engine) TakeApart(ctx context.Context, queue string, batch [][]byte, sent time.Time) error {
	for i, message := range batch {
		if err := e.Queue.Requeue(ctx, queue, request.Postponed{Sent: sent, Message: message}.Encode(), 0); err != nil {
			return fmt.Errorf("send request %d of a batch of %d as a message of its own: %w", i+1, len(batch), err)
		}
	}
	return nil
}

// PutOff sends a request that the host gave up to its queue once more, for later. It needs no catalog. It returns false if it may
// not, as [request.Postponed.Again] says, or if a repeat is of no use: the request cannot be read, or it is for a dry run.
func (e *Engine) PutOff(ctx context.Context, queue string, p request.Postponed) (bool, error) {
	until, ok := restore.Repeatable(queue, p, e.Services, e.Now())
	if !ok {
		return false, nil
	}
	text, delay := p.Again(e.Now(), until)
	if text == nil {
		return false, nil
	}
	if err := e.Queue.Requeue(ctx, queue, text, delay); err != nil {
		return false, fmt.Errorf("put a request of the queue %s off: %w", queue, err)
	}
	return true, nil
}
