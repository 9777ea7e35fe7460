package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// postponed is the message of a request that the host gave up and Lifeboat tries again later: the host gives a
// message up after five failures, within a few minutes, and storage may be away for longer. A request that was taken out of a
// batch comes in this form too, since it is as old as the batch.
type postponed struct {
	Request *givenUp `json:"lifeboatPostponed"`
}

// givenUp is a request as it was sent, the time of that, and the number of times that the host has given it up.
type givenUp struct {
	Sent    time.Time `json:"sent"`
	Rounds  int       `json:"rounds"`
	Message []byte    `json:"message"`
}

// roundDelays has the delay of a request for each time that the host gives it up: an hour in all, so that a request that ends the
// program each time does so at most twenty times.
var roundDelays = []time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute}

// OriginalRequest returns a message of the queue of requests as it was sent first, and when; inserted is the time of this one.
func OriginalRequest(message []byte, inserted time.Time) ([]byte, time.Time) {
	g := original(message, inserted)
	return g.Message, g.Sent
}

func original(message []byte, inserted time.Time) givenUp {
	var p postponed
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || p.Request == nil || p.Request.Rounds < 0 {
		return givenUp{Message: message, Sent: inserted}
	}
	if g := p.Request; !inserted.IsZero() && (g.Sent.IsZero() || g.Sent.After(inserted)) {
		g.Sent = inserted // no request is younger than its message
	}
	return *p.Request
}

// TakeApart sends each request of a batch to its queue as a message of its own; sent is the time at which the batch was sent. If
// the process dies on the way, some requests come twice, and a request that comes twice is one request.
func (e *Engine) TakeApart(ctx context.Context, queue string, batch [][]byte, sent time.Time) error {
	for i, message := range batch {
		if err := e.Queue.Requeue(ctx, queue, backup.Encode(postponed{&givenUp{Sent: sent, Message: message}}), 0); err != nil {
			return fmt.Errorf("send request %d of a batch of %d as a message of its own: %w", i+1, len(batch), err)
		}
	}
	return nil
}

// putOff sends a request that the host gave up to its queue once more, for later. It returns false if that was done often enough,
// or the request is good only until a time that has passed; zero is no such time.
func (e *Engine) putOff(ctx context.Context, queue string, g givenUp, until time.Time) (bool, error) {
	now := e.Now()
	if g.Sent.IsZero() {
		g.Sent = now
	}
	if g.Rounds >= len(roundDelays) || !until.IsZero() && !now.Before(until) {
		return false, nil
	}
	delay := roundDelays[g.Rounds]
	g.Rounds++
	text := backup.Encode(postponed{&g})
	if len(text) > request.Longest {
		return false, nil // a message of nearly that length has no room for the rest
	}
	if err := e.Queue.Requeue(ctx, queue, text, delay); err != nil {
		return false, fmt.Errorf("put a request of the queue %s off: %w", queue, err)
	}
	return true, nil
}
