package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// Health says how well every target of the active plans is protected, in the order of the plans, and how the timers are. It costs
// one request, and two for each target, however long the history; more only if all of a target's newest recovery points are
// suspect. It writes only one thing, once: since when it waits for a timer that has never run.
func (e *Engine) Health(ctx context.Context, active plans.Active) ([]health.TargetHealth, health.TimersHealth, error) {
	state, err := e.schedulerState(ctx)
	now := state.clock
	if now.IsZero() {
		return nil, health.TimersHealth{}, err
	}
	timers := e.timersHealth(ctx, state.timers, state.apps.Apps(e.App, now), now)
	timers.Undeleted, timers.Stopped = state.undeleted, state.apps.Stopped(e.Stopped)
	for _, name := range slices.Sorted(maps.Keys(state.checkpoints)) {
		if name != "" { // else a newer version knows what the row is
			timers.Checkpoints = append(timers.Checkpoints, *state.checkpoints[name])
		}
	}
	since := now // no timer run has seen the text yet
	// A row that cannot be read tells as little as none; the timer run says so.
	if head, err := plans.ReadHead(state.activePlan); err == nil && state.activePlan.ETag != "" {
		if head.Hash == active.Hash {
			since = head.Since
		}
		if timers.Departed, timers.Omitted, err = e.departed(ctx, head, active.Plans, now); err != nil {
			return nil, timers, err
		}
	}
	var sights []health.Snapshot
	for _, plan := range active.Plans {
		for _, target := range plan.Targets {
			s := health.Snapshot{
				Plan: plan, Since: since, Paused: e.paused(state, plan), Refused: active.Refused, RowError: state.unread[plan.Name],
			}
			s.Of(target, e.service(target), active.Plans)
			if i := slices.IndexFunc(state.incomplete, func(i health.Incomplete) bool { return backup.Same(i.Target, target) }); i >= 0 {
				s.Incomplete = &state.incomplete[i]
			}
			if c := state.checkpoints[plan.Name]; c != nil {
				s.AddCheckpoint(*c, now)
			}
			sights = append(sights, s)
		}
	}
	err = e.forEach(len(sights), func(i int) error { return e.recent(ctx, &sights[i]) })
	if err != nil {
		return nil, timers, err
	}
	health := make([]health.TargetHealth, 0, len(sights))
	for _, s := range sights {
		health = append(health, s.Evaluate(now))
	}
	return health, timers, nil
}

// departed returns the targets that no plan has any more, and how many more there are.
func (e *Engine) departed(ctx context.Context, head plans.Head, all []backup.Plan, now time.Time) ([]health.Departed, int, error) {
	if e.Left == nil || all == nil {
		return nil, 0, nil
	}
	// A text that cannot be read leaves its targets out: health has more to say.
	left, _ := e.Left(ctx, head, all, now)
	seen := map[string]bool{}
	left = slices.DeleteFunc(left, func(l plans.Left) bool {
		here := backup.Partition(l.Target)
		again := seen[here]
		seen[here] = true
		return !l.Gone || again
	})
	omitted := max(len(left)-health.MostDeparted, 0)
	gone, err := e.readDeparted(ctx, left[:len(left)-omitted])
	return gone, omitted, err
}

// recent reads the newest runs and recovery points of the target. Retention deletes the oldest first, so the newest live point is
// among the newest of all, unless many are suspect.
func (e *Engine) recent(ctx context.Context, s *health.Snapshot) error {
	var err error
	s.Points, err = e.recentPoints(ctx, s.Target, func(points []backup.Point) bool {
		return slices.ContainsFunc(points, backup.Point.Live)
	})
	if err != nil {
		return fmt.Errorf("health of %s: %w", s.Target, err)
	}
	for _, p := range s.Points {
		if p.State == backup.Unreadable && s.RowError == nil {
			s.RowError = errors.New(p.Reason.Message)
		}
	}
	if err := e.recentRuns(ctx, s); err != nil {
		return fmt.Errorf("health of %s: %w", s.Target, err)
	}
	return nil
}

// recentRuns reads the target's newest runs that are backups, newest first. It leaves out a run that cannot be read.
func (e *Engine) recentRuns(ctx context.Context, s *health.Snapshot) error {
	rows, _, err := e.Catalog.List(ctx, backup.Partition(s.Target), backup.RunPrefix, backup.Behind(backup.RunPrefix), health.RecentRows)
	if err != nil {
		return fmt.Errorf("list the newest runs: %w", err)
	}
	s.Runs = nil
	for _, row := range rows {
		s.AddRun(row)
	}
	return nil
}

// runs returns the runs of a target, newest first, up to the row key.
func (e *Engine) runs(ctx context.Context, target, to string) ([]backup.Run, error) {
	var all []backup.Run
	for from := backup.RunPrefix; ; {
		runs, err := e.listRuns(ctx, target, from, to, 1000)
		all = append(all, runs...)
		if err != nil || len(runs) < 1000 {
			return all, err
		}
		from = runs[999].Key().Row + "!"
	}
}

// listRuns returns at most n runs of a target, backups and restores, newest first.
func (e *Engine) listRuns(ctx context.Context, target, from, to string, n int) ([]backup.Run, error) {
	rows, _, err := e.Catalog.List(ctx, backup.Partition(target), from, to, n)
	if err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", target, err)
	}
	runs := make([]backup.Run, 0, len(rows))
	for _, row := range rows {
		run, err := backup.Decode[backup.Run](row)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}
