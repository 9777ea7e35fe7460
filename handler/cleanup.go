package handler

import (
	"context"
	"errors"
)

// cleanup deletes recovery points that are past their time.
func (h *handler) cleanup(ctx context.Context, _ invocation) (fields, error) {
	asked := h.Now()
	report, err := h.Engine.Cleanup(ctx)
	_ = h.standing.learn(err, asked)
	decisions := make([]fields, 0, len(report.Decisions))
	for _, d := range report.Decisions {
		decisions = append(decisions, fields{"run": d.Point.ID, "target": d.Point.Target, "keep": d.Keep, "reason": d.Reason})
	}
	did := fields{"targets": report.Scanned, "decisions": decisions}
	return did, did.stands(errors.Join(append(report.Failed, err)...))
}
