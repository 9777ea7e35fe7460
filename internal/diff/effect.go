package diff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/schedule"
)

// Basis is the knowledge from which the effect of an edit on scheduled times is told: a timer run that comes now, and the
// checkpoints by the names of their plans.
type Basis struct {
	checkpoint.Look

	Checkpoints map[string]checkpoint.Checkpoint
	// Words say where that comes from.
	Words string
}

// Assumed is the basis of an edit if nothing is known of the app: timer runs came all along under the old plans, and the last one comes
// now. The words say that, and why nothing is known, "" if that need not be said.
func Assumed(old []backup.Plan, now time.Time, why string) Basis {
	now = now.UTC().Truncate(time.Second)
	b := Basis{Look: checkpoint.Look{Now: now, Looked: now}, Checkpoints: map[string]checkpoint.Checkpoint{}}
	for _, plan := range old {
		b.Checkpoints[plan.Name] = b.Assume(plan)
	}
	b.Words = "assumed: the app has run all along under the old plans, and the timer run comes at " + now.Format(time.RFC3339)
	if why != "" {
		b.Words += "; the app was not asked: " + why
	}
	return b
}

// KeepsTimes says that the edit makes the same runs at the same times, whatever the app has done.
func (e Edit) KeepsTimes() bool { return slices.EqualFunc(e.Old, e.New, keepsTimes) }

func keepsTimes(old, edited backup.Plan) bool {
	return old.Name == edited.Name && !rescheduled(old, edited) && old.Paused == edited.Paused && old.Window == edited.Window &&
		slices.Equal(old.Targets, edited.Targets)
}

// outcome says what the next timer run does with the plan.
func (b Basis) outcome(plan backup.Plan) checkpoint.Outcome {
	if c, ok := b.Checkpoints[plan.Name]; ok {
		return b.Run(&c, plan)
	}
	return b.Run(nil, plan)
}

// effect says in words what the next timer run does with the plan.
func (b Basis) effect(plan backup.Plan) string {
	o := b.outcome(plan)
	var parts []string
	for _, at := range o.Made {
		parts = append(parts, "the next timer run backs up at once, for the scheduled time "+local(plan, at))
	}
	if m := o.Missed; m.Count > 0 {
		parts = append(parts, fmt.Sprintf("the next timer run notes as missed %s from %s to %s: %s", count(m.Count, "scheduled time"),
			local(plan, m.First), local(plan, m.Last), m.Why))
	}
	switch {
	case o.Checkpoint.Paused != "":
		parts = append(parts, "no scheduled time makes runs: it is "+o.Checkpoint.Paused)
	case o.Next.IsZero():
		parts = append(parts, "no scheduled time comes")
	default:
		parts = append(parts, "the next scheduled time is "+local(plan, o.Next))
	}
	return strings.Join(parts, "; ")
}

// begins says when a further target of the plan gets its first run.
func (b Basis) begins(plan backup.Plan) string {
	switch o := b.outcome(plan); {
	case len(o.Made) > 0:
		return "the next timer run backs it up at once, with the plan"
	case o.Next.IsZero():
		return "not while the plan makes no runs"
	default:
		return "from the plan's next scheduled time on, " + local(plan, o.Next)
	}
}

// same says that the next timer run does the same with both plans, and goes on at the same time.
func (b Basis) same(old, plan backup.Plan) bool {
	was, is := b.outcome(old), b.outcome(plan)
	if len(was.Made) != len(is.Made) || !was.Next.Equal(is.Next) || was.Checkpoint.Paused != is.Checkpoint.Paused ||
		!sameRuns(was.Missed, is.Missed) {
		return false
	}
	for i := range was.Made {
		if !was.Made[i].Equal(is.Made[i]) {
			return false
		}
	}
	return true
}

func sameRuns(a, b schedule.MissedRuns) bool {
	return a.Count == b.Count && a.First.Equal(b.First) && a.Last.Equal(b.Last)
}

// local returns the scheduled time on the clocks of the plan's zone.
func local(p backup.Plan, scheduledTime time.Time) string {
	return scheduledTime.In(p.Schedule.Zone).Format("Mon 2006-01-02 15:04:05 -07:00") + " " + p.Schedule.Zone.String()
}
