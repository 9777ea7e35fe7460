package handler

import (
	"net/http"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// healthView is the answer to a monitor. Status is the worst target's status, or unprotected if a timer is silent: then no target
// will stay protected.
type healthView struct {
	Status  health.Protection `json:"status"`
	Checked *time.Time        `json:"checkedDateTime,omitempty"`
	Plan    planHealthView    `json:"plan"`
	// TimeZones is the version of the time zones of schedules, such as 2026f.
	TimeZones string             `json:"timeZones"`
	Timers    []timerView        `json:"timers,omitempty"`
	Targets   []targetHealthView `json:"targets"`
	// Poison are the queues with messages that the host gave up and that Lifeboat has not handled yet.
	Poison []poisonView `json:"poison,omitempty"`
}

// timerView says whether the host still calls a timer's function.
type timerView struct {
	Timer  string `json:"timer"`
	Silent bool   `json:"silent"`
	// LastTick is up to five minutes before the last tick; it is missing if none has ever come.
	LastTick *time.Time `json:"lastTickDateTime,omitempty"`
	Reason   *apiError  `json:"reason,omitempty"`
}

// planHealthView says whether plan.yaml as it is now is in force. Error has its mistakes if it is not.
type planHealthView struct {
	Refused bool `json:"refused"`
	// RefusedSince is missing until a tick of the schedule has seen the text.
	RefusedSince *time.Time `json:"refusedSinceDateTime,omitempty"`
	// InForceSince is the time since when the last good plan is in force, while plan.yaml is refused.
	InForceSince *time.Time `json:"inForceSinceDateTime,omitempty"`
	Error        *apiError  `json:"error,omitempty"`
}

type targetHealthView struct {
	Target string            `json:"target"`
	Plan   string            `json:"plan"`
	Status health.Protection `json:"status"`
	// Reason says why the target is not protected.
	Reason   *apiError  `json:"reason,omitempty"`
	Verified *pointTime `json:"lastVerified,omitempty"`
	// Interval is the time between the plan's slots, in seconds.
	Interval int64      `json:"intervalInSeconds,omitempty"`
	NextSlot *time.Time `json:"nextSlot,omitempty"`
	LastRun  *lastRun   `json:"lastRun,omitempty"`
}

// pointTime is the newest verified recovery point: its ID is also its run's.
type pointTime struct {
	ID      string    `json:"id"`
	Created time.Time `json:"createdDateTime"`
	Age     int64     `json:"ageInSeconds"`
	// CopyOnly says that it is a copy: Azure can restore nothing from it.
	CopyOnly bool `json:"copyOnly,omitempty"`
}

type lastRun struct {
	ID    string       `json:"id"`
	State backup.State `json:"state"`
	Ended *time.Time   `json:"endedDateTime,omitempty"`
}

// getHealth answers 200 if every target of the plans in force has a verified recovery point within two intervals of its
// plan, or may still get its first. It answers 503 if a target has none, or if the host no longer fires a timer. While plan.yaml
// is refused, it measures the last good plans; if there are none, the status is unprotected.
func (h *handler) getHealth(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	body := healthView{Status: health.Protected, TimeZones: h.TimeZones, Targets: []targetHealthView{}}
	force, noPlan := h.Plans.Current(r.Context())
	if force.Refused != nil {
		why := planError(force.Refused)
		if why.Details != nil {
			why.Message = "plan.yaml is refused; the last good plan stays in force"
		}
		body.Plan = planHealthView{
			Refused: true, RefusedSince: when(force.RefusedSince), InForceSince: when(force.Since), Error: why,
		}
	}
	if noPlan != nil {
		body.Status, body.Plan.Refused, body.Plan.Error = health.Unprotected, true, planError(noPlan)
		force.Plans = nil
	}
	targets, clockwork, err := h.Engine.Health(r.Context(), force)
	body.Poison = h.poisoned(r.Context())
	if err != nil && noPlan == nil {
		no := refuse(http.StatusInternalServerError, "InternalError", "", "%v", err)
		no.Details = poisonDetails(body.Poison)
		return no
	}
	body.Checked = when(clockwork.Now)
	for _, t := range clockwork.Timers {
		body.Timers = append(body.Timers, timerView{
			Timer: t.Timer, Silent: t.Silent, LastTick: when(t.Last), Reason: viewReason(t.Reason, ""),
		})
		if t.Silent {
			body.Status = health.Unprotected
		}
	}
	for _, t := range targets {
		body.Targets = append(body.Targets, viewHealth(t))
		if t.Status.Severity() > body.Status.Severity() {
			body.Status = t.Status
		}
	}
	status := http.StatusOK
	if body.Status == health.Unprotected {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body)
	return nil
}

func viewHealth(t health.TargetHealth) targetHealthView {
	v := targetHealthView{
		Target: t.Target, Plan: t.Plan, Status: t.Status, Interval: int64(t.Interval.Seconds()), NextSlot: when(t.NextSlot),
	}
	if t.Reason.Code != "" || t.Reason.Message != "" {
		v.Reason = &apiError{Code: t.Reason.Code, Message: t.Reason.Message, Details: details(t.Reason)}
	}
	if p := t.Point; p != nil {
		v.Verified = &pointTime{ID: p.ID, Created: p.Created, Age: int64(t.Age.Seconds()), CopyOnly: p.CopyOnly}
	}
	if r := t.LastRun; r != nil {
		v.LastRun = &lastRun{ID: r.ID, State: r.State, Ended: when(r.Ended)}
	}
	return v
}
