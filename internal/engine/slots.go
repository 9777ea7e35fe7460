package engine

import (
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// slotRuns returns the runs of the slot, one for each target, as they are made now.
func slotRuns(p backup.Plan, slot, now time.Time) []backup.Run {
	next := p.Schedule.Next(slot)
	var until time.Time
	if end := slot.Add(p.Window); p.Window > 0 && (next.IsZero() || end.Before(next)) {
		until = end
	}
	last := until
	if last.IsZero() {
		last = next
	}
	runs := make([]backup.Run, 0, len(p.Targets))
	for _, target := range p.Targets {
		run := backup.Run{
			ID: slotRunID(p, target, slot), Target: target, Plan: p.Name, Slot: slot, NextSlot: next, Until: until,
			Settings: p.Settings,
		}
		if start := start(p, target, slot, now, last); start.After(now) {
			run.Start = start
			run.Reason = backup.NewReason("Jitter", "begins at "+start.Format(time.RFC3339)+
				", by the target's share of the plan's jitter of "+p.Jitter.String(), "")
		}
		runs = append(runs, run)
	}
	return runs
}

// slotRunID is the same for ever for a slot of a plan and a target: to insert the run's row is to claim it.
func slotRunID(p backup.Plan, target string, slot time.Time) string {
	return backup.NewRunID(target, slot, "plan "+p.Name)
}

// start returns the time at which the run of the target is to begin: its share of the jitter after the slot. If that has passed,
// because the slot is caught up on, the share counts from now on, so that such runs are spread as well.
func start(p backup.Plan, target string, slot, now, end time.Time) time.Time {
	if at := slot.Add(share(p, target, slot, end)); at.After(now) {
		return at
	}
	return now.Add(share(p, target, now, end))
}

// share returns the target's part of the jitter, always the same one, in whole seconds. The jitter never reaches the end.
func share(p backup.Plan, target string, from, end time.Time) time.Duration {
	span := min(p.Jitter, backup.LongestJitter)
	if !end.IsZero() {
		span = min(span, end.Sub(from))
	}
	if span <= 0 {
		return 0
	}
	return time.Duration(backup.Fraction(p.Name+"\n"+strings.ToLower(target), uint64(span))).Truncate(time.Second)
}
