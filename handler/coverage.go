package handler

import (
	"net/http"
	"slices"

	"lifeboat/internal/api"
	"lifeboat/internal/health"
)

// getCoverage tells which services in the subscriptions of the targets no plan has, as of the last look. It asks Azure nothing.
func (h *handler) getCoverage(w http.ResponseWriter, r *http.Request) error {
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	row, err := h.Engine.Coverage(r.Context())
	if err != nil {
		return err
	}
	c := row.In(active.Plans)
	v := api.Coverage{Looked: c.At, Tried: c.Tried, Omitted: c.Omitted, Subscriptions: []api.CoveredSubscription{}, Services: []api.Uncovered{}}
	if c.Failed.Code != "" {
		v.Error = &api.Problem{Code: c.Failed.Code, Message: c.Failed.Message, Details: details(c.Failed)}
	}
	for _, one := range c.Looked {
		n := 0
		for _, services := range one.Uncovered {
			n += services
		}
		v.Subscriptions = append(v.Subscriptions, api.CoveredSubscription{ID: one.Subscription, Status: api.LookedThrough, Uncovered: &n})
	}
	for _, one := range c.Unseen(active.Plans) {
		v.Subscriptions = append(v.Subscriptions, api.CoveredSubscription{ID: one, Status: notLooked(c, one)})
	}
	for _, one := range c.Services {
		v.Services = append(v.Services, api.Uncovered{ID: one.ID, Location: one.Location, Unfit: one.Unfit})
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// notLooked is the status of a subscription that was not looked through.
func notLooked(c health.Coverage, subscription string) string {
	if c.Failed.Code != "" || slices.Contains(c.NotShown, subscription) {
		return api.CouldNotLook
	}
	return api.NotYet
}
