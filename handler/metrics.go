package handler

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/health"
)

// getMetrics answers in OpenMetrics 1.0, or in the older text format of Prometheus, to a scraper that does not ask for
// it. It has the facts of GET /api/health, measured at the request; it counts nothing in memory, since processes come and go.
// It answers 200 in every state of the targets: to a scraper any other status means that there are no metrics.
func (h *handler) getMetrics(w http.ResponseWriter, r *http.Request) error {
	active, noPlan := h.Plans.Current(r.Context())
	targets, timers, err := h.Engine.Health(r.Context(), active)
	if err != nil && noPlan == nil {
		return err
	}
	events, err := h.Engine.Outbox().Look(r.Context())
	if err != nil {
		return err
	}
	var m metrics
	m.family("lifeboat_build_info", "The source of this process.")
	m.sample(1, "version", h.Version, "goversion", runtime.Version())
	m.family("lifeboat_events_waiting", "Events, and resources with events, that wait for a queue to take them.")
	m.sample(float64(events.Waiting))
	m.family("lifeboat_events_undeliverable", "Events that a queue could never take, since the beginning.")
	m.sample(float64(events.Undeliverable))
	m.family("lifeboat_time_zones_info", "The version of the time zones that schedules use.")
	m.sample(1, "version", h.TimeZones)
	m.family("lifeboat_plan_refused", "1 if plan.yaml as it is now is not active.")
	m.sample(flag(active.Refused != nil || noPlan != nil))
	m.family("lifeboat_other_apps", "Other apps with the same storage account that were seen in the last hour, the owner of the catalog among them.")
	others := len(timers.Apps.Others)
	if !timers.Apps.Owns() {
		others++
	}
	m.sample(float64(others))
	m.family("lifeboat_stopped", "1 if nothing is deleted and no restore begins, since a person stopped the app.")
	m.sample(flag(timers.Stopped.Why() != ""))
	m.family("lifeboat_timer_silent", "1 if the host seems to call the timer's function no more.")
	for _, t := range timers.Timers {
		m.sample(flag(t.Silent), "timer", t.Timer)
	}
	m.family("lifeboat_timer_last_run_timestamp_seconds", "When a run of the timer was noted last, once in five minutes.")
	for _, t := range timers.Timers {
		if !t.Last.IsZero() {
			m.sample(seconds(t.Last), "timer", t.Timer)
		}
	}
	m.family("lifeboat_recovery_points_undeleted", "Recovery points of the target that are past their time and could not be deleted.")
	for _, u := range timers.Undeleted {
		m.sample(float64(u.Points), "target", u.Target)
	}
	m.targets(targets)

	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if strings.Contains(r.Header.Get("Accept"), "application/openmetrics-text") {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		m.text.WriteString("# EOF\n")
	}
	_, _ = w.Write([]byte(m.text.String()))
	return nil
}

// metrics are a text in one of the two formats. All are gauges: for gauges the formats are the same.
type metrics struct {
	text strings.Builder
	name string
}

// family begins a family of samples; the samples follow. The help is plain text.
func (m *metrics) family(name, help string) {
	m.name = name
	fmt.Fprintf(&m.text, "# TYPE %s gauge\n# HELP %s %s\n", name, name, help)
}

// sample writes a sample of the family, with names and values of its labels by turns.
func (m *metrics) sample(value float64, labels ...string) {
	m.text.WriteString(m.name)
	for i := 0; i < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(&m.text, `%s%s="%s"`, separator, labels[i], escaped.Replace(strings.ToValidUTF8(labels[i+1], "?")))
	}
	if len(labels) > 0 {
		m.text.WriteString("}")
	}
	m.text.WriteString(" " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

// escaped returns a label's value, escaped by the rules of both formats.
var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// seconds returns the seconds from 1970 to the instant.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// targets writes the samples of all targets.
func (m *metrics) targets(targets []health.TargetHealth) {
	each := func(name, help string, value func(t health.TargetHealth) (float64, bool)) {
		m.family(name, help)
		for _, t := range targets {
			if v, ok := value(t); ok {
				m.sample(v, "target", t.Target, "plan", t.Plan)
			}
		}
	}
	m.family("lifeboat_target_status", "1 for the status that the target has by its plan, 0 for the others.")
	for _, t := range targets {
		for _, s := range health.Protections {
			m.sample(flag(t.Status == s), "target", t.Target, "plan", t.Plan, "status", string(s))
		}
	}
	each("lifeboat_catalog_incomplete", "1 if storage has artifacts of the target that the catalog does not know.",
		func(t health.TargetHealth) (float64, bool) { return flag(t.Incomplete), true })
	each("lifeboat_target_deadline_timestamp_seconds",
		"When the target turns unprotected unless it gets a newer recovery point, or when it did.",
		func(t health.TargetHealth) (float64, bool) { return seconds(t.Deadline), !t.Deadline.IsZero() })
	each("lifeboat_target_interval_seconds", "Time between the scheduled times of the plan around the target's newest recovery point.",
		func(t health.TargetHealth) (float64, bool) { return t.Interval.Seconds(), t.Interval > 0 })
	for _, kind := range []struct {
		name, help string
		copies     bool
	}{
		{"lifeboat_recovery_point", "newest verified recovery point", false},
		{"lifeboat_copy", "newest verified copy that Azure restores nothing from", true},
	} {
		each(kind.name+"_created_timestamp_seconds", "When the target's "+kind.help+" was written.", func(t health.TargetHealth) (float64, bool) {
			if t.Point == nil || t.Point.CopyOnly != kind.copies {
				return 0, false
			}
			return seconds(t.Point.Created), true
		})
		each(kind.name+"_age_seconds", "Age of the target's "+kind.help+".", func(t health.TargetHealth) (float64, bool) {
			return t.Age.Seconds(), t.Point != nil && t.Point.CopyOnly == kind.copies
		})
	}
	m.family("lifeboat_run_last_state", "1 for the state of the newest run of the target.")
	flying := 0
	for _, t := range targets {
		if t.LastRun != nil {
			m.sample(1, "target", t.Target, "plan", t.Plan, "state", string(t.LastRun.State))
			flying += int(flag(!t.LastRun.State.Final()))
		}
	}
	m.family("lifeboat_runs_in_flight", "Targets whose newest run has not ended.")
	m.sample(float64(flying))
	m.family("lifeboat_plan_next_scheduled_timestamp_seconds", "When the plan wants its next runs; missing while it makes none.")
	var seen []string
	for _, t := range targets {
		if !t.NextScheduledTime.IsZero() && !slices.Contains(seen, t.Plan) {
			seen = append(seen, t.Plan)
			m.sample(seconds(t.NextScheduledTime), "plan", t.Plan)
		}
	}
}
