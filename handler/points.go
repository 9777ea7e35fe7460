package handler

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"unicode/utf8"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/stop"
)

func (h *handler) viewRecoveryPoint(r *http.Request, p backup.Point) api.RecoveryPoint {
	return api.RecoveryPoint{
		ID: p.ID, Plan: p.Plan, Target: p.Target, Run: h.origin(r) + "/api/runs/" + p.ID, Point: h.viewPoint(p),
		NotIncluded: h.notIncluded(p.Target),
	}
}

// notIncluded lists what a backup of the target does not contain.
func (h *handler) notIncluded(target string) []string {
	service, _ := h.Engine.Services.Of(target)
	return service.NotIncluded
}

// listPoints lists a target's recovery points in every state, newest run first, as listRuns does its runs.
func (h *handler) listPoints(w http.ResponseWriter, r *http.Request) error {
	read := func(ctx context.Context, target, after string, top int) ([]backup.Point, string, error) {
		points, next, err := h.Engine.RecoveryPoints(ctx, target, after, top)
		return points, next, pointError(err, after)
	}
	return list(h, w, r, read, func(p backup.Point) api.RecoveryPoint { return h.viewRecoveryPoint(r, p) })
}

func (h *handler) getPoint(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.BackupID)
	var p backup.Point
	if err == nil {
		p, err = h.Engine.RecoveryPoint(r.Context(), id)
	}
	return h.answerPoint(w, r, p, err)
}

func (h *handler) answerPoint(w http.ResponseWriter, r *http.Request, p backup.Point, err error) error {
	if err != nil {
		return pointError(err, r.PathValue("id"))
	}
	note(w, backup.Run{ID: p.ID, Target: p.Target})
	writeJSON(w, http.StatusOK, h.viewRecoveryPoint(r, p))
	return nil
}

// longestAcceptance is the number of characters that the reason of an acceptance may have.
const longestAcceptance = 1000

// acceptPoint makes a suspect recovery point a live one: {"reason": why}, or no body at all. A live point stays as it is.
func (h *handler) acceptPoint(w http.ResponseWriter, r *http.Request) error {
	why := ""
	in := bufio.NewReader(r.Body)
	r.Body = io.NopCloser(in)
	if _, err := in.Peek(1); !errors.Is(err, io.EOF) {
		texts, err := readTexts(r, "reason")
		if err != nil {
			return err
		}
		why = texts["reason"]
	}
	if utf8.RuneCountInString(why) > longestAcceptance {
		return refuse(http.StatusBadRequest, "InvalidReason", "reason", "the reason is longer than %d characters", longestAcceptance)
	}
	id, err := meant(r, h.Engine.BackupID)
	var p backup.Point
	if err == nil {
		p, err = h.Engine.Accept(r.Context(), id, h.caller(r), why)
	}
	return h.answerPoint(w, r, p, err)
}

// holdPoint holds a recovery point: {"reason": why, "until": time}, where until may be missing.
func (h *handler) holdPoint(w http.ResponseWriter, r *http.Request) error {
	return h.changeHold(w, r, h.Engine.Hold)
}

// changeHold makes a change by which a person holds a recovery point.
func (h *handler) changeHold(
	w http.ResponseWriter, r *http.Request, change func(context.Context, string, backup.PersonHold) (backup.Point, error),
) error {
	texts, err := readTexts(r, "reason", "until")
	if err != nil {
		return err
	}
	hold := backup.PersonHold{ID: backup.HoldID(h.requestID(r)), By: h.caller(r), Reason: texts["reason"]}
	if until, ok := texts["until"]; ok { // an empty one is a mistake, and does not mean for ever
		if hold.Until, err = request.Moment("until", until); err != nil {
			return invalid(err)
		}
	}
	id, err := meant(r, h.Engine.BackupID)
	var p backup.Point
	if err == nil {
		p, err = change(r.Context(), id, hold)
	}
	return h.answerPoint(w, r, p, err)
}

// releasePoint ends one hold of a recovery point: {"hold": its ID}.
func (h *handler) releasePoint(w http.ResponseWriter, r *http.Request) error {
	texts, err := readTexts(r, "hold")
	if err != nil {
		return err
	}
	if texts["hold"] == "" {
		return refuse(http.StatusBadRequest, request.InvalidRequest, "hold", "the ID of the hold is missing: GET /api/recovery-points/%s has it",
			r.PathValue("id"))
	}
	id, err := meant(r, h.Engine.BackupID)
	var p backup.Point
	if err == nil {
		p, err = h.Engine.ReleaseHold(r.Context(), id, texts["hold"], h.caller(r))
	}
	return h.answerPoint(w, r, p, err)
}

// deletePoint soft-deletes a recovery point: {"reason": why}.
func (h *handler) deletePoint(w http.ResponseWriter, r *http.Request) error {
	texts, err := readTexts(r, "reason")
	if err != nil {
		return err
	}
	id, err := meant(r, h.Engine.BackupID)
	if err != nil {
		return pointError(err, r.PathValue("id"))
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	p, err := h.Engine.RecoveryPoint(r.Context(), id)
	if err == nil {
		planned := slices.ContainsFunc(active.Plans, func(plan backup.Plan) bool { return plan.Has(p.Target) })
		p, err = h.Engine.SoftDelete(r.Context(), id,
			backup.SoftDeletion{ID: backup.HoldID(h.requestID(r)), By: h.caller(r), Reason: texts["reason"]}, planned)
	}
	return h.answerPoint(w, r, p, err)
}

// undeletePoint ends the soft deletion of a recovery point, and holds it: {"reason": why, "until": time}, where until may be missing.
func (h *handler) undeletePoint(w http.ResponseWriter, r *http.Request) error {
	return h.changeHold(w, r, h.Engine.Undelete)
}

// pointError returns the error for the ID of a recovery point; nil without an error.
func pointError(err error, id string) error {
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return refuse(http.StatusNotFound, "RecoveryPointNotFound", id, "there is no recovery point %s", id)
	case errors.Is(err, engine.ErrPointGone), errors.Is(err, engine.ErrNothingToHold):
		return refuse(http.StatusConflict, "RecoveryPointGone", id, "%v", err)
	case errors.Is(err, engine.ErrNotHeld):
		return refuse(http.StatusConflict, "NotHeld", id, "%v", err)
	case errors.Is(err, engine.ErrHoldReleased):
		return refuse(http.StatusConflict, "HoldReleased", id, "%v", err)
	case errors.Is(err, engine.ErrTooManyHolds):
		return refuse(http.StatusConflict, "TooManyHolds", id, "%v", err)
	case errors.Is(err, engine.ErrNotSoftDeleted):
		return refuse(http.StatusConflict, "NotSoftDeleted", id, "%v", err)
	case errors.Is(err, engine.ErrDeletionUndone):
		return refuse(http.StatusConflict, "DeletionUndone", id, "%v", err)
	case errors.Is(err, engine.ErrHeld):
		return refuse(http.StatusConflict, "RecoveryPointHeld", id, "%v", err)
	case errors.Is(err, engine.ErrInUse):
		return refuse(http.StatusConflict, "RecoveryPointInUse", id, "%v", err)
	case errors.Is(err, engine.ErrNewest):
		return refuse(http.StatusConflict, "NewestRecoveryPoint", id, "%v", err)
	case stop.Reason(err) != "":
		return refuse(http.StatusConflict, "Stopped", id, "nothing is deleted: %v", err)
	case errors.Is(err, engine.ErrNotEnded):
		return refuse(http.StatusConflict, "RestoreNotEnded", id, "%v", err)
	}
	return invalid(err)
}
