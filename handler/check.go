package handler

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// postCheck begins a check of what the app's identity may do, of all plans or of one, or goes on with it: a repeat of the request does.
// While something is left, at which timer runs look too, the answer has no endedDateTime.
func (h *handler) postCheck(w http.ResponseWriter, r *http.Request) error {
	text, err := bodyOf(r)
	if err != nil {
		return err
	}
	fields := request.NewReader(request.Read(text, ""))
	plan := fields.Texts("plan")["plan"]
	fields.End()
	if err := fields.Err(); err != nil {
		return invalid(err)
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	if plan != "" && !slices.ContainsFunc(active.Plans, func(p backup.Plan) bool { return p.Name == plan }) {
		return refuse(http.StatusNotFound, "PlanNotFound", plan, "there is no active plan %q", plan)
	}
	report, err := h.Engine.Check(r.Context(), active, h.requestID(r), plan)
	if errors.Is(err, engine.ErrCheckUnderWay) {
		return refuse(http.StatusConflict, "CheckUnderWay", report.Plan, "a check of %s is under way: ask again once it has ended, in "+
			"some minutes", cmp.Or(report.Plan, "all plans"))
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewCheck(report, h.Version))
	return nil
}

// getCheck answers the newest check.
func (h *handler) getCheck(w http.ResponseWriter, r *http.Request) error {
	report, err := h.Engine.LastCheck(r.Context())
	if errors.Is(err, engine.ErrNoCheck) {
		return refuse(http.StatusNotFound, "NoCheck", "", "there was no check yet: POST /api/check makes one")
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewCheck(report, h.Version))
	return nil
}

func viewCheck(r check.Report, version string) api.Check {
	v := api.Check{
		Version: version, PlanHash: r.Plans, Plan: r.Plan, Request: r.Request, Principal: r.Principal, Began: r.Began, Ended: r.Ended, Looked: r.Looked, Total: r.Total,
		Ok: r.Ok, Findings: []api.Finding{}, Omitted: r.Omitted,
	}
	for _, f := range r.Findings {
		v.Findings = append(v.Findings, api.Finding{
			Result: f.Result, What: f.What, Target: f.Target, Error: *viewReason(f.Reason, f.Target), Commands: f.Commands,
		})
	}
	return v
}
