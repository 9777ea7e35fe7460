package handler

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// getRetention says which recovery points would go, and why the others stay: ?target=resource ID, or ?recoveryPoint=ID for one of them,
// and &at=time, without which it is now. Each &keep= has the rules of a plan after an edit, an [api.Keep]. It changes nothing.
func (h *handler) getRetention(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	var at time.Time
	if query.Has("at") {
		var err error
		if at, err = request.Moment("at", query.Get("at")); err != nil {
			return invalid(err)
		}
	}
	id, target := query.Get("recoveryPoint"), backup.ResourceID(query.Get("target"))
	if query.Has("recoveryPoint") == query.Has("target") {
		return refuse(http.StatusBadRequest, request.InvalidRequest, "target", "the question names a target or a recoveryPoint: one of them")
	}
	gone := refuse(http.StatusConflict, "RecoveryPointGone", id, "the recovery point %s is expired", id)
	if query.Has("recoveryPoint") {
		p, err := h.pointMeant(r, id)
		switch {
		case err != nil:
			return pointError(err, id)
		case p.State == backup.Expired:
			gone.Message += ": " + p.Reason.Message
			return gone
		}
		id, target = p.ID, p.Target
	} else if _, err := backup.ParseResource(target); err != nil {
		return refuse(http.StatusBadRequest, "InvalidTarget", "target", "%v", err)
	}
	edited, err := readEdits(query["keep"])
	if err != nil {
		return invalid(err)
	}
	answer, err := h.Engine.Retention(r.Context(), target, at, edited...)
	if err != nil {
		return invalid(err)
	}
	v := viewRetention(target, answer)
	if query.Has("recoveryPoint") {
		v.Value = slices.DeleteFunc(v.Value, func(one api.Retained) bool { return one.ID != id })
		if len(v.Value) == 0 { // it went between the two looks
			return gone
		}
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// readEdits reads the rules of plans after an edit.
func readEdits(texts []string) ([]engine.KeepEdit, error) {
	var edited []engine.KeepEdit
	for _, text := range texts {
		var keep api.Keep
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&keep); err != nil || d.More() || keep.Plan == "" {
			return nil, request.Malformed("keep", "%q has no rules of a plan such as {\"plan\": \"nightly\", \"daily\": 7}", request.Short(text))
		}
		edited = append(edited, engine.KeepEdit{Plan: keep.Plan, Settings: keep.Settings()})
	}
	return edited, nil
}

// pointMeant reads the recovery point of the ID: its own, or the one of its request.
func (h *handler) pointMeant(r *http.Request, id string) (backup.Point, error) {
	id, err := h.Engine.BackupID(r.Context(), id)
	if err != nil {
		return backup.Point{}, err
	}
	return h.Engine.RecoveryPoint(r.Context(), id)
}

func viewRetention(target string, r engine.Retention) api.Retention {
	v := api.Retention{Target: target, At: r.At, Stopped: r.Stopped, Value: []api.Retained{}}
	for _, x := range r.Points {
		p := x.Point
		one := api.Retained{ID: p.ID, Plan: p.Plan, State: p.Called(), Size: p.Size, Created: p.Created, Stays: x.Stays, Waits: x.Waits, Next: x.Next}
		for _, c := range x.Causes {
			one.Reasons = append(one.Reasons, api.RetentionReason{Message: c.Words, Until: c.Until})
		}
		v.Value = append(v.Value, one)
	}
	return v
}
