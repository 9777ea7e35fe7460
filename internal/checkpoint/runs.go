package checkpoint

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Runs returns the runs of a plan's scheduled time, one for each target, as they are made now.
func Runs(p backup.Plan, scheduledTime, now time.Time) []backup.Run {
	next := p.Schedule.Next(scheduledTime)
	var until time.Time
	if end := scheduledTime.Add(p.Window); p.Window > 0 && (next.IsZero() || end.Before(next)) {
		until = end
	}
	last := cmp.Or(until, next)
	runs := make([]backup.Run, 0, len(p.Targets))
	for _, target := range p.Targets {
		run := backup.Run{
			ID: runID(p, target, scheduledTime), Target: target, Plan: p.Name,
			ScheduledTime: scheduledTime, NextScheduledTime: next, Until: until, Settings: p.Settings.For(target),
		}
		if start := start(p, target, scheduledTime, now, last); start.After(now) {
			run.Start = start
			run.Reason = backup.NewReason("Jitter", "begins at "+start.Format(time.RFC3339)+
				", by the target's share of the plan's jitter of "+p.Jitter.String(), "")
		}
		runs = append(runs, run)
	}
	return runs
}

// runID is the same for ever for a scheduled time of a plan and a target: to insert the run's row is to claim it.
func runID(p backup.Plan, target string, scheduledTime time.Time) string {
	return backup.NewRunID(target, scheduledTime, "plan "+p.Name)
}

// start returns the time at which the run of the target is to begin: its share of the jitter after the scheduled time. If that
// has passed, because the scheduled time is caught up on, the share counts from now on, so that such runs are spread as well.
func start(p backup.Plan, target string, scheduledTime, now, end time.Time) time.Time {
	if at := scheduledTime.Add(share(p, target, scheduledTime, end)); at.After(now) {
		return at
	}
	return now.Add(share(p, target, now, end))
}

// share returns the target's part of the jitter, always the same one, in whole seconds. The jitter never reaches the end.
func share(p backup.Plan, target string, from, end time.Time) time.Duration {
	span := min(p.Jitter, backup.LongestJitter)
	if !end.IsZero() {
		span = max(min(span, end.Sub(from)), 0)
	}
	return time.Duration(backup.Fraction(p.Name+"\n"+strings.ToLower(target), uint64(span))).Truncate(time.Second)
}

// Missed says why the run could not begin before the end of its window.
func Missed(r backup.Run) backup.Reason {
	why := "no invocation reached the run before"
	if r.Reason.Code != "" {
		why = "at last: " + r.Reason.Message
	}
	return r.Reason.Reword("Missed", fmt.Sprintf("the window of the scheduled time %s ended at %s, and the run had not begun; %s",
		r.ScheduledTime.Format(time.RFC3339), r.Until.Format(time.RFC3339), why),
		"The plan's next scheduled time makes a run of its own; ask for a backup by hand if that is too late.")
}
