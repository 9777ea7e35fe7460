package handler

import (
	"net/http"
	"strings"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// getHealth answers 200 if every target of the active plans has a verified recovery point within two intervals of its
// plan, or may still get its first. It answers 503 if a target has none, if the host no longer fires a timer, if several apps have
// the same storage account, or if storage has artifacts of a target that the catalog does not know. While plan.yaml
// is refused, it measures the last good plans; if there are none, the status is unprotected. With ?plan=NAME the answer and its status
// have nothing of other plans; a silent timer and a second app concern every plan. With ?targets=false it has the numbers of the
// targets alone.
func (h *handler) getHealth(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	body := api.Health{
		OverallStatus: health.Protected, Version: h.Version, TimeZones: h.TimeZones, Targets: []api.TargetHealth{},
		Counts: map[health.Protection]int{},
	}
	active, noPlan := h.Plans.Current(r.Context())
	if active.Refused != nil {
		why := planError(active.Refused)
		if why.Details != nil {
			why.Message = "plan.yaml is refused; the last good plan stays active"
		}
		body.Plan = api.PlanHealth{
			Refused: true, RefusedSince: active.RefusedSince, ActiveSince: active.Since, Error: &why.Problem,
		}
	}
	body.Plan.Hash = active.Hash
	only, err := selectionOf(r, active, noPlan)
	if err != nil {
		return err
	}
	if noPlan != nil {
		body.OverallStatus, body.Plan.Refused, body.Plan.Error = health.Unprotected, true, &planError(noPlan).Problem
	}
	targets, timers, err := h.Engine.Health(r.Context(), active)
	if gone := r.Context().Err(); gone != nil {
		return gone
	}
	body.Poison = h.poisoned(r.Context(), active.Plans)
	if err != nil && noPlan == nil {
		no := internalError(err)
		no.Details = poisonDetails(body.Poison)
		return no
	}
	timers = only.timers(timers, active.Plans)
	body.Checked = timers.Now
	if stop := viewStop(timers.Stopped); stop.Stopped {
		body.Stop, body.Stopped = &stop, timers.Stopped.Backups()
	}
	if body.Apps = viewApps(timers.Apps); body.Apps.Reason != nil {
		body.OverallStatus = health.Unprotected
	}
	for _, t := range timers.Timers {
		body.Timers = append(body.Timers, api.TimerHealth{
			Timer: t.Timer, Silent: t.Silent, LastRun: t.Last, Reason: viewReason(t.Reason, ""),
		})
		if t.Silent {
			body.OverallStatus = health.Unprotected
		}
	}
	for _, u := range timers.Undeleted {
		body.Undeleted = append(body.Undeleted, api.Undeleted{
			Target: u.Target, Points: u.Points, Point: u.Point, Since: u.Since, Reason: viewReason(u.Reason, u.Target),
		})
	}
	for _, c := range timers.Checkpoints {
		body.Checkpoints = append(body.Checkpoints, api.NewCheckpoint(c))
	}
	for _, d := range timers.Departed {
		one := api.Departed{Target: d.Target, Plan: d.Plan, Left: d.At, Reason: viewReason(d.Reason(), "")}
		if d.Err != nil {
			h.Log.Warn().Err(d.Err).Str("target", d.Target).Str("plan", d.Plan).Msg("the target cannot be read")
		}
		if p := d.Point; p != nil {
			one.Verified = &api.Verified{ID: p.ID, Created: p.Created, Age: int64(p.Age(timers.Now).Seconds()), CopyOnly: p.CopyOnly}
		}
		body.Departed = append(body.Departed, one)
	}
	for _, n := range timers.Omitted {
		body.DepartedOmitted += n
	}
	for _, t := range only.targets(targets) {
		if t.Err != nil {
			h.Log.Warn().Err(t.Err).Str("target", t.Target).Str("plan", t.Plan).Msg("the target cannot be read")
		}
		body.Counts[t.Status]++
		if !only.brief {
			body.Targets = append(body.Targets, viewHealth(t))
		}
		if t.Incomplete {
			body.OverallStatus = health.Unprotected
		}
		if t.Status.Severity() > body.OverallStatus.Severity() {
			body.OverallStatus = t.Status
		}
	}
	status := http.StatusOK
	if body.OverallStatus == health.Unprotected {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body)
	return nil
}

// getLive answers that the process serves, for the platform's own check, which has no key. It reads nothing and names no target.
func (*handler) getLive(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	return nil
}

// planNames lists the names of plans in words.
func planNames(plans []backup.Plan) string {
	names := make([]string, 0, len(plans))
	for _, p := range plans {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func viewApps(a health.Apps) api.Apps {
	v := api.Apps{App: a.App, Owner: a.Owner, Since: a.Since, Reason: viewReason(a.Reason(), "")}
	for _, o := range a.Others {
		v.Others = append(v.Others, api.OtherApp(o))
	}
	return v
}

func viewHealth(t health.TargetHealth) api.TargetHealth {
	v := api.TargetHealth{
		Target: t.Target, Plan: t.Plan, Status: t.Status, Interval: int64(t.Interval.Seconds()), NextScheduledTime: t.NextScheduledTime,
		Custody: viewCustody(t.Proof),
	}
	if t.Reason.Code != "" || t.Reason.Message != "" {
		v.Reason = &api.Problem{Code: t.Reason.Code, Message: t.Reason.Message, Details: details(t.Reason)}
	}
	if p := t.Point; p != nil {
		v.Verified = &api.Verified{ID: p.ID, Created: p.Created, Age: int64(t.Age.Seconds()), CopyOnly: p.CopyOnly}
	}
	if r := t.LastRun; r != nil {
		v.LastRun = &api.LastRun{ID: r.ID, State: r.State, Ended: r.Ended}
	}
	return v
}
