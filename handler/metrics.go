package handler

import (
	"net/http"
	"runtime"
	"slices"
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/metrics"
	"lifeboat/internal/plans"
)

// getMetrics answers in OpenMetrics 1.0, or in the older text format of Prometheus, to a scraper that does not ask for
// it. It has the facts of GET /api/health, measured at the request; it counts nothing in memory, since processes come and go.
// It answers 200 in every state of the targets: to a scraper any other status means that there are no metrics.
func (h *handler) getMetrics(w http.ResponseWriter, r *http.Request) error {
	active, noPlan := h.Plans.Current(r.Context())
	only, err := selectionOf(r, active, noPlan)
	if err != nil {
		return err
	}
	targets, timers, err := h.Engine.Health(r.Context(), active)
	if gone := r.Context().Err(); gone != nil {
		return gone
	}
	if err != nil && noPlan == nil {
		return err
	}
	events, err := h.Engine.Outbox().Look(r.Context())
	if err != nil {
		return err
	}
	letters, err := h.Engine.DeadLetters(r.Context())
	if err != nil {
		return err
	}
	s := metrics.State{
		Version: h.Version, GoVersion: runtime.Version(), TimeZones: h.TimeZones, Refused: active.Refused != nil || noPlan != nil,
		EventsWaiting: events.Waiting, EventsUndeliverable: events.Undeliverable,
		Targets: only.targets(targets), Timers: only.timers(timers, active.Plans), All: only.plan == "", Brief: only.brief, DeadLetters: letters,
	}
	for _, plan := range active.Plans {
		if only.has(plan.Name) {
			s.Plans = append(s.Plans, plan)
		}
	}
	format := metrics.Negotiate(strings.Join(r.Header.Values("Accept"), ",")) // a list may come in several lines
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", string(format))
	_ = metrics.Write(w, format, s) // else the scraper is gone
	return nil
}

// selection is the part of the targets that a request is about.
type selection struct {
	// plan is the plan whose targets are meant, "" for all plans.
	plan string
	// brief leaves the targets out of the answer, and tells their numbers.
	brief bool
}

// selectionOf reads ?plan=NAME and ?targets=false.
func selectionOf(r *http.Request, active plans.Active, noPlan error) (selection, error) {
	q := r.URL.Query()
	s := selection{plan: q.Get("plan")}
	switch targets := q.Get("targets"); targets {
	case "", "true":
	case "false":
		s.brief = true
	default:
		return s, refuse(http.StatusBadRequest, "InvalidTargets", "targets", "targets=%s is neither true nor false", targets)
	}
	if noPlan == nil && s.plan != "" && !slices.ContainsFunc(active.Plans, func(p backup.Plan) bool { return p.Name == s.plan }) {
		return s, refuse(http.StatusNotFound, "PlanNotFound", s.plan, "there is no plan %s; there are %s", s.plan, planNames(active.Plans))
	}
	return s, nil
}

// has tells whether the targets of the plan are meant.
func (s selection) has(plan string) bool { return s.plan == "" || s.plan == plan }

// targets returns the targets that are meant.
func (s selection) targets(all []health.TargetHealth) []health.TargetHealth {
	if s.plan == "" {
		return all
	}
	return slices.DeleteFunc(all, func(t health.TargetHealth) bool { return !s.has(t.Plan) })
}

// timers returns what concerns the targets that are meant, or every plan.
func (s selection) timers(t health.TimersHealth, all []backup.Plan) health.TimersHealth {
	if s.plan == "" {
		return t
	}
	return t.Only(s.plan, all)
}
