package handler

import (
	"context"

	"github.com/rs/zerolog"
)

// deadletter keeps what the host gave up after five deliveries. A wake-up is only a hint: the sweep sends it again, and
// losing it changes no run.
func (h *handler) deadletter(queue string) function {
	return func(ctx context.Context, in invocation, line *zerolog.Event) error {
		message, err := in.message("message")
		if err != nil {
			return err
		}
		line.Str("queue", queue).Int("bytes", len(message))
		return h.Engine.DeadLetter(ctx, queue, message, "the host gave the message up after five failed deliveries: "+
			"see the log of the function of the queue for why")
	}
}
