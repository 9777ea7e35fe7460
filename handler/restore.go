package handler

import (
	"context"
	"errors"
	"net/http"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// restore makes the restore that a message asks for, and answers it. An unreadable message is kept among the dead letters, and
// answered all the same.
func (h *handler) restore(ctx context.Context, in invocation, message []byte) (fields, error) {
	first := request.Original(message, in.Inserted)
	message, sent := first.Message, first.Sent
	q, err := restore.ParseRequest(message, "")
	q.Sent = sent
	did := fields{"request": q.ID}
	active, noPlan := h.Plans.Current(ctx)
	if err != nil {
		did["note"] = err.Error()
		return did, h.Engine.RefuseRequest(ctx, message, q, active.Plans, request.InvalidRequest, err)
	}
	if noPlan != nil {
		return did, noPlan
	}
	if q.DryRun {
		p, err := h.Engine.PreviewRestore(ctx, q, active.Plans)
		if err != nil {
			return did, err
		}
		did["note"] = "dry run"
		return did, h.Engine.AnswerPreview(ctx, q, p)
	}
	run, err := h.Engine.Restore(ctx, q, active.Plans)
	switch {
	case errors.Is(err, engine.ErrRequestReused):
		did["note"] = err.Error()
		return did, h.Engine.RefuseRequest(ctx, message, q, active.Plans, "RequestIdReused", err)
	case errors.Is(err, engine.ErrCarriedOut):
		did["note"] = err.Error()
		return did, h.Engine.AnswerRepeat(ctx, message, q, active.Plans, err)
	}
	did["run"], did["target"], did["plan"], did["to"] = run.ID, run.Target, run.Plan, run.State
	did.say(run.Reason)
	return did, err
}

// postRestore asks for a restore, as a message of the queue does; if the body has no ID, the HTTP request's ID counts.
// A dry run answers 200 with the preview of the restore; a restore that a guard refuses answers 409.
func (h *handler) postRestore(w http.ResponseWriter, r *http.Request) error {
	text, err := requestOf(r)
	if err != nil {
		return err
	}
	q, err := restore.ParseRequest(text, h.requestID(r))
	if err != nil {
		return invalid(err)
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	if q.DryRun {
		p, err := h.Engine.PreviewRestore(r.Context(), q, active.Plans)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, p)
		return nil
	}
	run, err := h.Engine.Restore(r.Context(), q, active.Plans)
	if errors.Is(err, engine.ErrRequestReused) {
		return refuse(http.StatusConflict, "RequestIdReused", "id", "%v: ask again under another ID", err)
	}
	if errors.Is(err, engine.ErrCarriedOut) {
		return refuse(http.StatusConflict, "RequestCarriedOut", "id", "%v: if you want another restore, ask for it under another ID", err)
	}
	if err != nil {
		return err
	}
	note(w, run)
	operation := "/api/restores/" + run.ID
	if run.State == backup.StateRefused {
		w.Header().Set("Location", h.origin(r)+operation)
		return &apiError{Problem: *viewEnd(run), status: http.StatusConflict}
	}
	h.accept(w, r, operation, run)
	return nil
}

// getRestore is getRun for a restore.
func (h *handler) getRestore(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.RestoreID)
	var status engine.Status
	var now time.Time
	if err == nil {
		status, now, err = h.Engine.Status(r.Context(), id)
	}
	if errors.Is(err, backup.ErrNotFound) || err == nil && status.Run.Restore == nil {
		return noRestore(r, err)
	}
	if err != nil {
		return err
	}
	h.answerStatus(w, r, "/api/restores/", status, now)
	return nil
}

func noRestore(r *http.Request, err error) error {
	return refuse(http.StatusNotFound, "RestoreNotFound", r.PathValue("id"), "there is no restore %s%s", r.PathValue("id"), because(err))
}

// cancelRestore cancels a restore that has begun nothing yet.
func (h *handler) cancelRestore(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.RestoreID)
	var run backup.Run
	if err == nil {
		run, err = h.Engine.CancelRestore(r.Context(), id, h.caller(r))
	}
	return h.answerRestore(w, r, engine.Status{Run: run}, err)
}

// confirmRestore ends the hold of a restore's safety backup: the backup is deleted when its time is over.
func (h *handler) confirmRestore(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.RestoreID)
	var status engine.Status
	if err == nil {
		status, err = h.Engine.ConfirmRestore(r.Context(), id)
	}
	return h.answerRestore(w, r, status, err)
}

// answerRestore answers with the restore after a change of it, or says why it was not changed.
func (h *handler) answerRestore(w http.ResponseWriter, r *http.Request, status engine.Status, err error) error {
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return noRestore(r, err)
	case errors.Is(err, engine.ErrNotWaiting):
		return refuse(http.StatusConflict, "RestoreNotWaiting", r.PathValue("id"), "%v", err)
	case errors.Is(err, engine.ErrNotEnded):
		return refuse(http.StatusConflict, "RestoreNotEnded", r.PathValue("id"), "%v", err)
	case err != nil:
		return err
	}
	note(w, status.Run)
	writeJSON(w, http.StatusOK, h.view(status))
	return nil
}
