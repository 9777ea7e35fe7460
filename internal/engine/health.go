package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/evaluation"
	"lifeboat/internal/health"
	"lifeboat/internal/manifest"
	"lifeboat/internal/plans"
)

// Health says how well every target of the active plans is protected, in the order of the plans, and how the timers are. It costs
// one request, and those of [evaluation.Evaluator.Health]. It writes only one thing, once: since when it waits for a timer that has
// never run.
func (e *Engine) Health(ctx context.Context, active plans.Active) ([]health.TargetHealth, health.TimersHealth, error) {
	state, err := e.schedulerState(ctx)
	now := state.clock
	if now.IsZero() {
		return nil, health.TimersHealth{}, err
	}
	timers := e.timersHealth(ctx, state.timers, state.apps.Apps(e.App, now), now)
	timers.Undeleted, timers.Stopped, timers.Stock, timers.Coverage = state.undeleted, state.apps.Stopped(e.Stopped), state.stock, state.coverage
	for _, name := range slices.Sorted(maps.Keys(state.Checkpoints)) {
		if name != "" { // else a newer version knows what the row is
			timers.Checkpoints = append(timers.Checkpoints, *state.Checkpoints[name])
		}
	}
	found, err := e.evaluator(state).Health(ctx, active)
	timers.Departed, timers.Omitted, timers.Evaluations, timers.Restores = found.Departed, found.Omitted, found.Evaluations, found.Restores
	return found.Targets, timers, err
}

// mark has the next timer run write the facts about the targets again, at most [backup.MostWrites]: a run was made or has ended, a restore
// goes on, or a recovery point has changed. Until then health looks at the targets themselves.
func (e *Engine) mark(ctx context.Context, targets ...string) error {
	marks := make([]backup.Write, len(targets))
	for i, target := range targets {
		marks[i] = health.Mark(target)
	}
	if err := e.apply(ctx, marks...); err != nil {
		return fmt.Errorf("note that health is to look at %d targets, the first of them %s: %w", len(targets), targets[0], err)
	}
	return nil
}

// evaluator evaluates targets by the rows that were read.
func (e *Engine) evaluator(state schedulerState) evaluation.Evaluator {
	return evaluation.Evaluator{
		Catalog: e.Catalog, Services: e.Services, Left: e.Left, Now: state.clock, Tolerance: clockTolerance, Rows: state.Rows,
		Finder: manifest.Finder{Keeper: e.keeper(), Provider: e.provider, ForEach: e.forEach, CallTime: callTime, Standing: state.Incomplete},
		Paused: func(plan backup.Plan) string {
			return checkpoint.Look{Stopped: state.apps.Stopped(e.Stopped).Backups()}.Paused(plan)
		},
	}
}
