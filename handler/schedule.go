package handler

import (
	"context"
	"errors"
)

// schedule is the tick of the timer: it makes runs of the slots that came due, and finds wake-ups that were lost. A plan
// that cannot be read stops neither the sweep nor the runs under way.
func (h *handler) schedule(ctx context.Context, _ invocation) (fields, error) {
	plans, broken := h.Plans()
	report, err := h.Engine.Schedule(ctx, plans)
	return fields{"created": report.Created, "missed": report.Missed, "looked": report.Looked, "resent": report.Resent}, errors.Join(broken, err)
}
