package metrics

import (
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// Family is a metric with its samples. All are gauges.
type Family struct {
	Name   string
	Labels []string
	Help   string
	// Missing says when a sample is missing; "" if never.
	Missing string
	// Reads says which rows the value comes from.
	Reads string

	write func(s State, out samples)
}

// samples takes the samples of a family, each with the values of the labels.
type samples func(value float64, labels ...string)

// Metrics read these rows.
const (
	nothing     = "nothing"
	timerRows   = "timer rows"
	facts       = "facts"
	outbox      = "outbox"
	deadLetters = "dead letters"
)

// Families are all metrics, in the order of the body. docs/metrics.md has them as a table.
//
// A label target makes a sample for each target, which takes some 200 bytes. So all that can be computed of another metric is left out,
// such as the age of a recovery point, and a state is counted by plan.
var Families = []Family{
	{
		"lifeboat_build_info",
		[]string{"version", "goversion"},
		"The source of this process.", "", nothing,
		func(s State, out samples) { out(1, s.Version, s.GoVersion) },
	},
	{
		"lifeboat_time_zones_info",
		[]string{"version"},
		"The time zones by which schedules are read.", "", nothing,
		func(s State, out samples) { out(1, s.TimeZones) },
	},
	{
		"lifeboat_plan_refused", nil, "1 if plan.yaml as it is now is not active.", "", nothing,
		func(s State, out samples) { out(flag(s.Refused)) },
	},
	{
		"lifeboat_stopped", nil, "1 if a person stopped the app: nothing is deleted, and no restore begins.", "", timerRows,
		func(s State, out samples) { out(flag(s.Timers.Stopped.Why() != "")) },
	},
	{
		"lifeboat_other_apps", nil, "Other apps with the same storage account, seen in the last hour.", "", timerRows,
		func(s State, out samples) {
			others := len(s.Timers.Apps.Others)
			if !s.Timers.Apps.Owns() {
				others++
			}
			out(float64(others))
		},
	},
	{
		"lifeboat_events_waiting", nil, "Events, and resources with events or manifests, that wait for their queue or container; up to 1,000.", "", outbox,
		func(s State, out samples) { out(float64(s.EventsWaiting)) },
	},
	{
		"lifeboat_events_undeliverable", nil, "Events and manifests that were given up since the beginning.", "", outbox,
		func(s State, out samples) { out(float64(s.EventsUndeliverable)) },
	},
	{
		"lifeboat_timer_last_run_timestamp_seconds",
		[]string{"timer"},
		"When a run of the timer was noted last, once in five minutes.",
		"the timer never ran", timerRows,
		func(s State, out samples) {
			for _, t := range s.Timers.Timers {
				if !t.Last.IsZero() {
					out(seconds(t.Last), t.Timer)
				}
			}
		},
	},
	{
		"lifeboat_timer_deadline_timestamp_seconds",
		[]string{"timer"},
		"When the timer counts as silent unless it runs before, or since when it does.",
		"its schedule has no end of the wait", timerRows,
		func(s State, out samples) {
			for _, t := range s.Timers.Timers {
				if !t.Deadline.IsZero() {
					out(seconds(t.Deadline), t.Timer)
				}
			}
		},
	},
	{
		"lifeboat_plan_next_scheduled_timestamp_seconds",
		[]string{"plan"},
		"When the plan makes its next runs.", "the plan makes none", nothing,
		func(s State, out samples) {
			for _, plan := range s.Plans {
				i := slices.IndexFunc(s.Targets, func(t health.TargetHealth) bool { return t.Plan == plan })
				if i >= 0 && !s.Targets[i].NextScheduledTime.IsZero() {
					out(seconds(s.Targets[i].NextScheduledTime), plan)
				}
			}
		},
	},
	{
		"lifeboat_plan_last_missed_timestamp_seconds",
		[]string{"plan"},
		"The last scheduled time that passed without runs.", "there never was one", timerRows,
		func(s State, out samples) {
			for _, c := range s.Timers.Checkpoints {
				if slices.Contains(s.Plans, c.Plan) && c.LastMissedRuns.Count > 0 {
					out(seconds(c.LastMissedRuns.Last), c.Plan)
				}
			}
		},
	},
	{
		"lifeboat_plan_targets",
		[]string{"plan", "status"},
		"Targets of the plan by their status.", "", facts,
		func(s State, out samples) {
			count(s, health.Protections, func(t health.TargetHealth) health.Protection { return t.Status }, out)
		},
	},
	{
		"lifeboat_plan_last_runs",
		[]string{"plan", "state"},
		"Targets of the plan by the state of their newest run.", "", facts,
		func(s State, out samples) { count(s, backup.States, lastRun, out) },
	},
	perTarget("lifeboat_target_deadline_timestamp_seconds", "When the target turns unprotected unless it gets a newer recovery point, or when it did.",
		"its schedule never ends", func(t health.TargetHealth) (float64, bool) { return seconds(t.Deadline), !t.Deadline.IsZero() }),
	perTarget("lifeboat_target_unprotected", "1 if the target is unprotected.", "",
		func(t health.TargetHealth) (float64, bool) { return flag(t.Status == health.Unprotected), true }),
	perTarget("lifeboat_recovery_point_timestamp_seconds", "The instant whose state the target's newest verified recovery point has.",
		"there is none, or a newer copy", newest(false)),
	perTarget("lifeboat_copy_timestamp_seconds", "The instant whose state the target's newest verified copy has; Azure restores nothing from it.",
		"there is none, or a newer recovery point", newest(true)),
	perTarget("lifeboat_catalog_incomplete", "1 if storage has artifacts of the target that the catalog does not know.", "it knows all",
		func(t health.TargetHealth) (float64, bool) { return 1, t.Incomplete }),
	{
		"lifeboat_recovery_points_undeleted",
		[]string{"target"},
		"Recovery points of the target past their time that could not be deleted.",
		"there are none", timerRows,
		func(s State, out samples) {
			for _, u := range s.Timers.Undeleted {
				out(float64(u.Points), u.Target)
			}
		},
	},
}

// perTarget makes a family with a sample for each target that has a value.
func perTarget(name, help, missing string, value func(t health.TargetHealth) (float64, bool)) Family {
	return Family{name, []string{"target", "plan"}, help, missing, facts, func(s State, out samples) {
		for _, t := range s.Targets {
			if v, ok := value(t); ok {
				out(v, t.Target, t.Plan)
			}
		}
	}}
}

// newest returns the value of a metric about the newest verified recovery point, which is a copy or none.
func newest(copies bool) func(t health.TargetHealth) (float64, bool) {
	return func(t health.TargetHealth) (float64, bool) {
		if t.Point == nil || t.Point.CopyOnly != copies {
			return 0, false
		}
		return seconds(t.Point.StateTime()), true
	}
}
