package handler

import (
	"errors"
	"net/http"
	"slices"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// postForget soft-deletes a page of the recovery points of a target: {"target": its resource ID, "reason": why, "dryRun": whether nothing is
// deleted, "after": the ID at the end of the page before}. A repeat goes on.
func (h *handler) postForget(w http.ResponseWriter, r *http.Request) error {
	text, err := bodyOf(r)
	if err != nil {
		return err
	}
	fields := request.NewReader(request.Read(text, ""))
	preview := fields.Flag("dryRun")
	texts := fields.Texts("target", "reason", "after")
	fields.End()
	if err := fields.Err(); err != nil {
		return invalid(err)
	}
	target := backup.ResourceID(texts["target"])
	if _, err := backup.ParseResource(target); err != nil {
		return refuse(http.StatusBadRequest, "InvalidTarget", "target", "%v", err)
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	answer, err := h.Engine.Forget(r.Context(), engine.Forgetting{
		Target:   target,
		Deletion: backup.SoftDeletion{ID: backup.HoldID(h.requestID(r)), By: h.caller(r), Reason: texts["reason"]},
		Planned:  slices.ContainsFunc(active.Plans, func(plan backup.Plan) bool { return plan.Has(target) }),
		Preview:  preview, After: texts["after"],
	})
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return refuse(http.StatusNotFound, "RecoveryPointNotFound", "after", "%s has no recovery point %s", target, texts["after"])
	case err != nil:
		return pointError(err, target)
	}
	v := api.Forgotten{Target: target, DryRun: preview, Value: []api.ForgottenPoint{}, Next: answer.Next}
	for _, one := range answer.Points {
		p := one.Point
		shown := api.ForgottenPoint{ID: p.ID, State: p.Called(), Size: p.Size, Created: p.Created, Until: p.SoftDeletion.Until}
		if one.Stays != nil {
			shown.Stays, shown.Until = one.Stays.Error(), p.SoftDeletion.Until
		}
		v.Value = append(v.Value, shown)
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}
