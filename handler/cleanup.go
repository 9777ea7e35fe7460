package handler

import (
	"context"
	"errors"
)

// cleanup deletes recovery points that are past their time.
func (h *handler) cleanup(ctx context.Context, _ invocation) (fields, error) {
	report, err := h.Engine.Cleanup(ctx)
	decisions := make([]fields, 0, len(report.Decisions))
	for _, d := range report.Decisions {
		decisions = append(decisions, fields{"run": d.Point.ID, "target": d.Point.Target, "keep": d.Keep, "reason": d.Reason})
	}
	return fields{"targets": report.Scanned, "decisions": decisions}, errors.Join(append(report.Failed, err)...)
}
