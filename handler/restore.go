package handler

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"lifeboat/internal/backup"
)

// restoreQueue is where other systems ask for restores.
const restoreQueue = "restore-requests"

// restore makes the restore that a message asks for, and answers it. A message that can never be understood is kept among
// the dead letters, and answered all the same.
func (h *handler) restore(ctx context.Context, in invocation) (fields, error) {
	message, err := in.message("message")
	if err != nil {
		return nil, err
	}
	q, err := backup.ParseRestoreRequest(message)
	did := fields{"request": q.ID}
	if err != nil {
		did["note"] = err.Error()
		return did, h.Engine.RefuseRequest(ctx, restoreQueue, message, q, "InvalidRequest", err)
	}
	force, err := h.Book.Current(ctx)
	if err != nil {
		return did, err
	}
	if q.DryRun {
		p, err := h.Engine.PlanRestore(ctx, q, force.Plans)
		if err != nil {
			return did, err
		}
		did["note"] = "dry run"
		return did, h.Engine.AnswerPlan(ctx, q, p)
	}
	run, err := h.Engine.Restore(ctx, q, force.Plans)
	if errors.Is(err, backup.ErrRequestReused) {
		did["note"] = err.Error()
		return did, h.Engine.RefuseRequest(ctx, restoreQueue, message, q, "RequestIdReused", err)
	}
	did["run"], did["target"], did["plan"], did["to"] = run.ID, run.Target, run.Plan, run.State
	if run.Reason.Code != "" {
		did["code"], did["reason"] = run.Reason.Code, run.Reason.Message
	}
	return did, err
}

// postRestore asks for a restore, as a message of the queue does: the ID is that of the header Repeatability-Request-ID,
// unless the body has one. A dry run answers 200 with the plan of the restore; one that a guard refused, 409.
func (h *handler) postRestore(w http.ResponseWriter, r *http.Request) error {
	var members map[string]any
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestRequest))
	r.Body = io.NopCloser(bytes.NewReader(text))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", "", "the body is longer than %d bytes", largestRequest)
	}
	if err := readBody(r, &members); err != nil {
		return err
	}
	if members["id"] == nil {
		id := r.Header.Get("Repeatability-Request-ID")
		if id == "" {
			// The host repeats a request under the same ID of its own when a connection breaks.
			id = "invocation " + cmp.Or(hostInvocation(r), h.Engine.NewID())
		}
		text, err = withID(text, id)
		if err != nil {
			return err
		}
	}
	q, err := backup.ParseRestoreRequest(text)
	if wrong, ok := errors.AsType[*backup.RequestError](err); ok {
		return refuse(http.StatusBadRequest, "InvalidRequest", wrong.Field, "%s", wrong.Message)
	}
	force, err := h.Book.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	if q.DryRun {
		p, err := h.Engine.PlanRestore(r.Context(), q, force.Plans)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, p)
		return nil
	}
	run, err := h.Engine.Restore(r.Context(), q, force.Plans)
	if err != nil {
		return err
	}
	note(w, run)
	operation := h.origin(r) + "/api/restores/" + run.ID
	if run.State == backup.StateRefused {
		w.Header().Set("Location", operation)
		e := refuse(http.StatusConflict, run.Reason.Code, run.Target, "%s", run.Reason.Message)
		if run.Reason.Hint != "" {
			e.Details = []apiError{{Code: "Hint", Message: run.Reason.Hint}}
		}
		return e
	}
	accept(w, operation, time.Second, view(backup.Status{Run: run}))
	return nil
}

// withID puts the ID into a JSON object that has none.
func withID(text []byte, id string) ([]byte, error) {
	member, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		return nil, err
	}
	body := bytes.TrimSpace(text)[1:]
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("}")) {
		return append(member[:len(member)-1], body...), nil
	}
	return append(append(member[:len(member)-1], ','), body...), nil
}

// getRestore is getRun for a restore.
func (h *handler) getRestore(w http.ResponseWriter, r *http.Request) error {
	status, _, err := h.Engine.Status(r.Context(), r.PathValue("id"))
	if errors.Is(err, backup.ErrNotFound) || err == nil && status.Run.Restore == nil {
		return noRestore(r)
	}
	if err != nil {
		return err
	}
	return h.getRun(w, r)
}

func noRestore(r *http.Request) error {
	return refuse(http.StatusNotFound, "RestoreNotFound", r.PathValue("id"), "there is no restore %s", r.PathValue("id"))
}

// cancelRestore takes a restore back that has begun nothing yet.
func (h *handler) cancelRestore(w http.ResponseWriter, r *http.Request) error {
	run, err := h.Engine.CancelRestore(r.Context(), r.PathValue("id"), "invocation "+cmp.Or(hostInvocation(r), h.Engine.NewID()))
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return noRestore(r)
	case errors.Is(err, backup.ErrNotWaiting):
		return refuse(http.StatusConflict, "RestoreNotWaiting", run.ID, "%v", err)
	case err != nil:
		return err
	}
	note(w, run)
	writeJSON(w, http.StatusOK, view(backup.Status{Run: run}))
	return nil
}

// confirmRestore lets the safety backup of a restore go when its time is over.
func (h *handler) confirmRestore(w http.ResponseWriter, r *http.Request) error {
	status, err := h.Engine.ConfirmRestore(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return noRestore(r)
	case errors.Is(err, backup.ErrNotEnded):
		return refuse(http.StatusConflict, "RestoreNotEnded", r.PathValue("id"), "%v", err)
	case err != nil:
		return err
	}
	note(w, status.Run)
	writeJSON(w, http.StatusOK, view(status))
	return nil
}
