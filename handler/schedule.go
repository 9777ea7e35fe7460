package handler

import (
	"context"
	"errors"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
)

// schedule makes a timer run: it makes runs of the due scheduled times, and sends lost step messages again. While plan.yaml is
// broken the last good plan stays active; if there is none, nothing new is scheduled, and the invocation fails. Runs under way go
// on in any case.
func (h *handler) schedule(ctx context.Context, _ invocation) (fields, error) {
	active, unsettled := h.Plans.Reconcile(ctx)
	if active.Refused != nil {
		h.Log.Warn().Str("function", "schedule").Str("reason", active.Refused.Error()).Time("activeSince", active.Since).
			Msg("plan.yaml is refused")
	}
	h.warn()
	asked := h.Now()
	report, err := h.Engine.Schedule(ctx, active.Plans)
	_ = h.standing.learn(err, asked)
	if err == nil || report.ActivePlan.ETag != "" { // the unreadable row may be another one
		h.Plans.Observe(report.ActivePlan)
	}
	did := fields{
		"created": report.Created, "missed": report.Missed, "scanned": report.Scanned, "requeued": report.Requeued,
		"unprotected": len(report.Unprotected), "unsent": report.Unsent,
	}
	if report.Owns {
		selected := h.Engine.Select(ctx, h.Plans.Asked(ctx, active), active.Plans, report.Selection)
		if f, ok := errors.AsType[*backup.Fault](unsettled); ok && f.Code == plans.NotLooked && selected == nil {
			unsettled = nil // the next timer run has them
		}
		err = errors.Join(err, selected, h.Engine.CheckPlans(ctx, active, report.Check))
	}
	return did, did.stands(errors.Join(unsettled, err))
}

// warn logs the warnings about plan.yaml: once a process for each text that has other warnings than the last one.
func (h *handler) warn() {
	if h.Warnings == nil {
		return
	}
	warnings := h.Warnings()
	h.warning.Lock()
	defer h.warning.Unlock()
	if slices.Equal(warnings, h.warned) {
		return
	}
	h.warned = warnings
	for _, text := range warnings {
		h.Log.Warn().Str("function", "schedule").Str("reason", text).Msg("plan.yaml has a warning")
	}
}
