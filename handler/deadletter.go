package handler

import "context"

// deadletter keeps what the host gave up after five deliveries. A wake-up is only a hint: the sweep sends it again, and
// losing it changes no run.
func (h *handler) deadletter(queue string) function {
	return func(ctx context.Context, in invocation) (fields, error) {
		message, err := in.message("message")
		if err != nil {
			return nil, err
		}
		return fields{"queue": queue, "bytes": len(message)}, h.Engine.DeadLetter(ctx, queue, message,
			"the host gave the message up after five failed deliveries: see the log of the function of the queue for why")
	}
}
