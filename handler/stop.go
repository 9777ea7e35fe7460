package handler

import (
	"net/http"

	"lifeboat/internal/api"
	"lifeboat/internal/request"
	"lifeboat/internal/stop"
)

// postStop stops the app: nothing is deleted, and no restore begins, from then on. A repeat changes nothing.
func (h *handler) postStop(w http.ResponseWriter, r *http.Request) error {
	text, err := bodyOf(r)
	if err != nil {
		return err
	}
	fields := request.NewReader(request.Read(text, ""))
	q := stop.Request{ID: h.requestID(r), By: h.caller(r), Backups: fields.Flag("backups")}
	_, q.Reason = fields.Words(fields.Texts("reason"))
	fields.End()
	if err := fields.Err(); err != nil {
		return invalid(err)
	}
	if err := q.Check(); err != nil {
		return refuse(http.StatusBadRequest, request.InvalidRequest, "reason", "%v", err)
	}
	s, err := h.Engine.Ownership().SetStop(r.Context(), q)
	return answerStop(w, s, err)
}

// postResume ends the stop. A repeat changes nothing.
func (h *handler) postResume(w http.ResponseWriter, r *http.Request) error {
	s, err := h.Engine.Ownership().Resume(r.Context(), h.requestID(r), h.caller(r))
	return answerStop(w, s, err)
}

func answerStop(w http.ResponseWriter, s stop.State, err error) error {
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewStop(s))
	return nil
}

func viewStop(s stop.State) api.Stop {
	v := api.Stop{Reason: s.Why(), Backups: s.Backups() != "", Setting: s.Setting != ""}
	if v.Stopped = v.Reason != ""; s.Switch.On() {
		v.Since, v.By = s.Switch.Since, s.Switch.By
	}
	return v
}
