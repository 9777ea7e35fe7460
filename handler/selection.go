package handler

import (
	"errors"
	"net/http"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// getSelection tells which targets the plans select, as of the last look, and what waits for a person. It asks Azure nothing.
func (h *handler) getSelection(w http.ResponseWriter, r *http.Request) error {
	is, picks, waiting, err := h.Engine.Selection(r.Context())
	if err != nil {
		return err
	}
	v := api.Selection{Looked: is.Looked, Tried: is.Tried, Plans: viewPicks(picks)}
	if is.Failed.Code != "" {
		v.Error = &api.Problem{Code: is.Failed.Code, Message: is.Failed.Message, Details: details(is.Failed)}
	}
	if is.Waiting != "" {
		v.Waiting = &api.WaitingSelection{ID: is.Waiting, Since: is.Since, Plans: viewPicks(waiting), Leaving: []string{}}
		for _, p := range waiting {
			v.Waiting.Leaving = append(v.Waiting.Leaving, p.Gone...)
		}
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

func viewPicks(picks []backup.Pick) []api.Selected {
	v := []api.Selected{}
	for _, p := range picks {
		v = append(v, api.Selected{Plan: p.Plan, Key: p.Key, Targets: p.Targets})
	}
	return v
}

// acceptSelection lets count what waits under the ID.
func (h *handler) acceptSelection(w http.ResponseWriter, r *http.Request) error {
	text, err := bodyOf(r)
	if err != nil {
		return err
	}
	fields := request.NewReader(request.Read(text, ""))
	id := fields.Texts("id")["id"]
	fields.End()
	if err := fields.Err(); err != nil {
		return invalid(err)
	}
	if id == "" {
		return refuse(http.StatusBadRequest, request.InvalidRequest, "id", "the ID of what waits is missing: GET /api/selection has it")
	}
	err = h.Engine.AcceptSelection(r.Context(), id)
	if errors.Is(err, engine.ErrSelectionChanged) {
		return refuse(http.StatusConflict, "SelectionChanged", id, "nothing waits under this ID: another look has found other services since")
	}
	if err != nil {
		return err
	}
	return h.getSelection(w, r)
}
