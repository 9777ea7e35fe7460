package metrics

import (
	"maps"
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

	write func(s State, out *writer)
}

// Metrics read these rows.
const (
	nothing     = "nothing"
	timerRows   = "timer rows"
	facts       = "facts"
	custody     = "statements"
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
		func(s State, out *writer) { out.sample(1, s.Version, s.GoVersion) },
	},
	{
		"lifeboat_time_zones_info",
		[]string{"version"},
		"The time zones by which schedules are read.", "", nothing,
		func(s State, out *writer) { out.sample(1, s.TimeZones) },
	},
	{
		"lifeboat_plan_refused", nil, "1 if plan.yaml as it is now is not active.", "", nothing,
		func(s State, out *writer) { out.sample(flag(s.Refused)) },
	},
	{
		"lifeboat_stopped", nil, "1 if a person stopped the app: nothing is deleted, and no restore begins.", "", timerRows,
		func(s State, out *writer) { out.sample(flag(s.Timers.Stopped.Why() != "")) },
	},
	{
		"lifeboat_other_apps", nil, "Other apps with the same storage account, seen in the last hour.", "", timerRows,
		func(s State, out *writer) {
			others := len(s.Timers.Apps.Others)
			if !s.Timers.Apps.Owns() {
				others++
			}
			out.sample(float64(others))
		},
	},
	{
		"lifeboat_events_waiting", nil, "Events, and resources with events or manifests, that wait for their queue or container; up to 1,000.", "", outbox,
		func(s State, out *writer) { out.sample(float64(s.EventsWaiting)) },
	},
	{
		"lifeboat_events_undeliverable", nil, "Events and manifests that were given up since the beginning.", "", outbox,
		func(s State, out *writer) { out.sample(float64(s.EventsUndeliverable)) },
	},
	{
		"lifeboat_dead_letters", nil, "Messages that Lifeboat could do nothing with, and that no person has removed yet; up to 1,000.", "", deadLetters,
		func(s State, out *writer) { out.sample(float64(s.DeadLetters)) },
	},
	{
		"lifeboat_timer_last_run_timestamp_seconds",
		[]string{"timer"},
		"When a run of the timer was noted last, once in five minutes.",
		"the timer never ran", timerRows,
		func(s State, out *writer) {
			for _, t := range s.Timers.Timers {
				if !t.Last.IsZero() {
					out.sample(seconds(t.Last), t.Timer)
				}
			}
		},
	},
	{
		"lifeboat_timer_deadline_timestamp_seconds",
		[]string{"timer"},
		"When the timer counts as silent unless it runs before, or since when it does.",
		"its schedule has no end of the wait", timerRows,
		func(s State, out *writer) {
			for _, t := range s.Timers.Timers {
				if !t.Deadline.IsZero() {
					out.sample(seconds(t.Deadline), t.Timer)
				}
			}
		},
	},
	{
		"lifeboat_plan_next_scheduled_timestamp_seconds",
		[]string{"plan"},
		"When the plan makes its next runs.", "the plan makes none", nothing,
		func(s State, out *writer) {
			for _, plan := range s.Plans {
				i := slices.IndexFunc(s.Targets, func(t health.TargetHealth) bool { return t.Plan == plan.Name })
				if i >= 0 && !s.Targets[i].NextScheduledTime.IsZero() {
					out.sample(seconds(s.Targets[i].NextScheduledTime), plan.Name)
				}
			}
		},
	},
	{
		"lifeboat_plan_last_missed_timestamp_seconds",
		[]string{"plan"},
		"The last scheduled time that passed without runs.", "there never was one", timerRows,
		func(s State, out *writer) {
			for _, c := range s.Timers.Checkpoints {
				if s.plan(c.Plan) != nil && c.LastMissedRuns.Count > 0 {
					out.sample(seconds(c.LastMissedRuns.Last), c.Plan)
				}
			}
		},
	},
	{
		"lifeboat_plan_evaluated_timestamp_seconds",
		[]string{"plan"},
		"When a timer run evaluated the targets of the plan last.", "none ever did", timerRows,
		func(s State, out *writer) {
			for _, e := range s.Timers.Evaluations {
				if s.plan(e.Plan) != nil && !e.At.IsZero() { // an evaluation that could not read every target is none
					out.sample(seconds(e.At), e.Plan)
				}
			}
		},
	},
	{
		"lifeboat_plan_evaluation_due_timestamp_seconds",
		[]string{"plan"},
		"When a timer run is to evaluate the targets of the plan next.",
		"no timer run has seen the plan, or none is to", timerRows,
		func(s State, out *writer) {
			for _, plan := range s.Plans {
				if due := s.evaluationDue(plan); !due.IsZero() {
					out.sample(seconds(due), plan.Name)
				}
			}
		},
	},
	{
		"lifeboat_recovery_points",
		[]string{"plan", "state"},
		"Recovery points of the plan by their state, at the last count.", "they were never counted", timerRows,
		func(s State, out *writer) {
			for _, p := range s.stock() {
				out.sample(float64(p.Points), p.Plan, string(p.State))
			}
		},
	},
	{
		"lifeboat_recovery_points_bytes",
		[]string{"plan", "state"},
		"Bytes of these recovery points.", "they were never counted", timerRows,
		func(s State, out *writer) {
			for _, p := range s.stock() {
				out.sample(float64(p.Bytes), p.Plan, string(p.State))
			}
		},
	},
	{
		"lifeboat_recovery_points_counted_timestamp_seconds", nil, "When cleanup counted the recovery points last, once in an hour.",
		"it never did", timerRows,
		func(s State, out *writer) {
			if !s.Timers.Stock.At.IsZero() {
				out.sample(seconds(s.Timers.Stock.At))
			}
		},
	},
	{
		"lifeboat_uncovered_services",
		[]string{"subscription", "type"},
		"Services in the subscription of a target that no plan has and could be backed up, at the last look.",
		"the app could not look through the subscription, or one plan was asked for", timerRows,
		func(s State, out *writer) {
			if !s.All {
				return
			}
			for _, one := range s.Timers.Coverage.In(s.Plans).Looked {
				for _, kind := range slices.Sorted(maps.Keys(one.Uncovered)) {
					out.sample(float64(one.Uncovered[kind]), one.Subscription, kind)
				}
			}
		},
	},
	{
		"lifeboat_uncovered_services_looked_timestamp_seconds", nil, "When cleanup looked for these services last, once in an hour.",
		"it never did", timerRows,
		func(s State, out *writer) {
			if !s.Timers.Coverage.At.IsZero() {
				out.sample(seconds(s.Timers.Coverage.At))
			}
		},
	},
	{
		"lifeboat_restores",
		[]string{"state"},
		"Restores by their state: of each destination those under way, up to 60, and the newest that has ended.", "", facts,
		func(s State, out *writer) {
			n := map[backup.State]int{}
			for _, r := range s.Timers.Restores {
				n[r.State]++
			}
			for _, state := range backup.States {
				out.sample(float64(n[state]), string(state))
			}
		},
	},
	{
		"lifeboat_restore_waiting_since_timestamp_seconds",
		[]string{"target"},
		"When the restore that waits longest for this destination was asked for.",
		"none waits", facts,
		func(s State, out *writer) {
			for _, r := range s.waiting() {
				out.sample(seconds(r.Created), r.Target)
			}
		},
	},
	{
		"lifeboat_restore_incomplete_timestamp_seconds",
		[]string{"target", "restored"},
		"When the newest restore into this destination ended that restored nothing, or a part.", "it restored all, or was refused or canceled before it began", facts,
		func(s State, out *writer) {
			for _, r := range s.Timers.Restores {
				if r.Extent == backup.RestoredPart || r.Extent == backup.RestoredNothing && r.State == backup.Failed {
					out.sample(seconds(r.Ended), r.Target, string(r.Extent))
				}
			}
		},
	},
	{
		"lifeboat_plan_targets",
		[]string{"plan", "status"},
		"Targets of the plan by their status.", "", facts,
		func(s State, out *writer) {
			count(s, health.Protections, func(t health.TargetHealth) health.Protection { return t.Status }, out)
		},
	},
	{
		"lifeboat_plan_last_runs",
		[]string{"plan", "state"},
		"Targets of the plan by the state of their newest run.", "", facts,
		func(s State, out *writer) { count(s, backup.States, lastRun, out) },
	},
	perTarget("lifeboat_target_deadline_timestamp_seconds", "When the target turns unprotected unless it gets a newer recovery point, or when it did.",
		"its schedule never ends", func(t health.TargetHealth) (float64, bool) { return seconds(t.Deadline), !t.Deadline.IsZero() }),
	perTarget("lifeboat_target_unprotected", "1 if the target is unprotected.", "",
		func(t health.TargetHealth) (float64, bool) { return flag(t.Status == health.Unprotected), true }),
	perTarget("lifeboat_recovery_point_timestamp_seconds", "The instant whose state the target's newest verified recovery point has.",
		"there is none, or a newer copy", newest(false)),
	perTarget("lifeboat_copy_timestamp_seconds", "The instant whose state the target's newest verified copy has; Azure restores nothing from it.",
		"there is none, or a newer recovery point", newest(true)),
	{
		"lifeboat_target_failed_run_timestamp_seconds",
		[]string{"target", "plan", "state"},
		"When the newest ended run of the target ended without success.",
		"it succeeded, or there is none", facts,
		func(s State, out *writer) {
			for _, t := range s.Targets {
				if r := t.LastEnded; r != nil && r.State != backup.Succeeded {
					out.sample(seconds(r.Ended), t.Target, t.Plan, string(r.State))
				}
			}
		},
	},
	{
		"lifeboat_plan_custody",
		[]string{"plan", "status"},
		"Targets of the plan by whether people have proven the thing in their custody.",
		"the plan does not ask", custody,
		func(s State, out *writer) { s.countProofs(out) },
	},
	perTargetOf(custody, "lifeboat_custody_deadline_timestamp_seconds", "When the proof about the target is too old unless newer statements come.",
		"it is not proven, or the plan does not ask", func(t health.TargetHealth) (float64, bool) {
			if t.Proof == nil || t.Proof.Until.IsZero() {
				return 0, false
			}
			return seconds(t.Proof.Until), true
		}),
	perTarget("lifeboat_catalog_incomplete", "1 if storage has artifacts of the target that the catalog does not know.", "it knows all",
		func(t health.TargetHealth) (float64, bool) { return 1, t.Incomplete }),
	{
		"lifeboat_recovery_points_undeleted",
		[]string{"target"},
		"Recovery points of the target past their time that could not be deleted.",
		"there are none", timerRows,
		func(s State, out *writer) {
			for _, u := range s.Timers.Undeleted {
				out.sample(float64(u.Points), u.Target)
			}
		},
	},
}

// perTarget makes a family with a sample for each target that has a value.
func perTarget(name, help, missing string, value func(t health.TargetHealth) (float64, bool)) Family {
	return perTargetOf(facts, name, help, missing, value)
}

func perTargetOf(rows, name, help, missing string, value func(t health.TargetHealth) (float64, bool)) Family {
	return Family{name, []string{"target", "plan"}, help, missing, rows, func(s State, out *writer) {
		for _, t := range s.Targets {
			if v, ok := value(t); ok {
				out.sample(v, t.Target, t.Plan)
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
		return seconds(t.Point.AsOf), true
	}
}
