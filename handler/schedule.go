package handler

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
)

// schedule is the tick of the timer: it makes runs of the slots that came due, and finds wake-ups that were lost. A plan
// that cannot be read stops neither the sweep nor the runs under way.
func (h *handler) schedule(ctx context.Context, _ invocation, line *zerolog.Event) error {
	plans, broken := h.Plans()
	report, err := h.Engine.Schedule(ctx, plans)
	line.Strs("created", report.Created).Int("looked", report.Looked).Int("resent", report.Resent)
	return errors.Join(broken, err)
}
