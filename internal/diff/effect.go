package diff

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/schedule"
)

// basis is the knowledge from which the effect of an edit on scheduled times is told: a timer run that comes now, and the
// checkpoints by the names of their plans.
type basis struct {
	checkpoint.Look

	checkpoints map[string]checkpoint.Checkpoint
	// words say where that comes from.
	words string
}

// basis asks the app for its checkpoints, if the edit changes anything that they matter for. If it cannot be asked, the basis is
// that timer runs came all along under the old plans, and the last one comes now.
func (e Edit) basis(ctx context.Context) basis {
	now := e.Now.UTC().Truncate(time.Second)
	b := basis{Look: checkpoint.Look{Now: now, Looked: now}, checkpoints: map[string]checkpoint.Checkpoint{}}
	why := "LIFEBOAT_URL is not set"
	if strings.TrimSpace(e.App) != "" && !slices.EqualFunc(e.Old, e.New, keepsTimes) {
		err := e.ask(ctx, &b)
		if err == nil {
			return b
		}
		why = strings.TrimSpace(err.Error())
	}
	for _, plan := range e.Old {
		b.checkpoints[plan.Name] = b.Assume(plan)
	}
	b.words = fmt.Sprintf("assumed: the app has run all along under the old plans, and the timer run comes at %s; the app was not asked: %s",
		now.Format(time.RFC3339), why)
	return b
}

// keepsTimes says that the edited plan makes the same runs at the same times as the old one, whatever the app has done.
func keepsTimes(old, edited backup.Plan) bool {
	return old.Name == edited.Name && !rescheduled(old, edited) && old.Paused == edited.Paused && old.Window == edited.Window &&
		slices.Equal(old.Targets, edited.Targets)
}

// ask reads the checkpoints of the app.
func (e Edit) ask(ctx context.Context, b *basis) error {
	v, err := e.Ask(ctx)
	if err != nil {
		return err
	}
	b.Now, b.Looked, b.Stopped = v.Checked, v.Checked, v.Stopped
	for _, t := range v.Timers {
		if t.Timer == "schedule" && t.Silent {
			b.Looked = t.LastRun
		}
	}
	for _, c := range v.Checkpoints {
		b.checkpoints[c.Plan] = c.Checkpoint()
	}
	b.words = fmt.Sprintf("by the checkpoints of the app at %s, as if the timer run came at %s", strings.Trim(e.App, " /\n"),
		b.Now.UTC().Format(time.RFC3339))
	return nil
}

// outcome says what the next timer run does with the plan.
func (b basis) outcome(plan backup.Plan) checkpoint.Outcome {
	if c, ok := b.checkpoints[plan.Name]; ok {
		return b.Run(&c, plan)
	}
	return b.Run(nil, plan)
}

// effect says in words what the next timer run does with the plan.
func (b basis) effect(plan backup.Plan) string {
	o := b.outcome(plan)
	var parts []string
	for _, at := range o.Made {
		parts = append(parts, "the next timer run backs up at once, for the scheduled time "+local(plan, at))
	}
	if m := o.Missed; m.Count > 0 {
		parts = append(parts, fmt.Sprintf("the next timer run notes as missed %s from %s to %s: %s", text.Count(m.Count, "scheduled time"),
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
func (b basis) begins(plan backup.Plan) string {
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
func (b basis) same(old, plan backup.Plan) bool {
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
	return text.Local(scheduledTime, p.Schedule.Zone) + " " + p.Schedule.Zone.String()
}
