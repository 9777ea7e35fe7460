package handler

import (
	"net/http"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// listTargets lists the targets of the active plans, in the order of plan.yaml, and the services that each may be restored into. It
// reads no run: health says how the targets are.
func (h *handler) listTargets(w http.ResponseWriter, r *http.Request) error {
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	all := api.Page[api.Target]{Value: []api.Target{}}
	for _, plan := range active.Plans {
		for _, target := range plan.Targets {
			one := api.Target{Target: target, Plan: plan.Name}
			for _, into := range plan.Restore.Into {
				if into == backup.Itself {
					into = target
				}
				one.Into = append(one.Into, into)
			}
			all.Value = append(all.Value, one)
		}
	}
	writeJSON(w, http.StatusOK, all)
	return nil
}
