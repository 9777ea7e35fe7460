package evaluation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// Health says how well every target of the active plans is protected, in the order of the plans. It costs two requests for each target,
// however long the history; more only if all of a target's newest recovery points are suspect. Departed are the targets that no plan has
// any more, and omitted counts more of them.
func (e Evaluator) Health(ctx context.Context, active plans.Active) (
	targets []health.TargetHealth, departed []health.Departed, omitted int, err error,
) {
	since := e.Now // no timer run has seen the text yet
	// A row that cannot be read tells as little as none; the timer run says so.
	if head, err := plans.ReadHead(e.ActivePlan); err == nil && e.ActivePlan.ETag != "" {
		if head.Hash == active.Hash {
			since = head.Since
		}
		if departed, omitted, err = e.departed(ctx, head, active.Plans); err != nil {
			return nil, nil, 0, err
		}
	}
	var sights []health.Snapshot
	for _, plan := range active.Plans {
		for _, target := range plan.Targets {
			s := health.Snapshot{
				Plan: plan, Since: since, Paused: e.Paused(plan), Refused: active.Refused, RowError: e.Unread[plan.Name],
			}
			s.Of(target, e.service(target), active.Plans)
			if i := slices.IndexFunc(e.Incomplete, func(i health.Incomplete) bool { return backup.Same(i.Target, target) }); i >= 0 {
				s.Incomplete = &e.Incomplete[i]
			}
			if c := e.Checkpoints[plan.Name]; c != nil {
				s.AddCheckpoint(*c, e.Now)
			}
			sights = append(sights, s)
		}
	}
	err = e.Finder.ForEach(len(sights), func(i int) error { return e.recent(ctx, &sights[i]) })
	if err != nil {
		return nil, departed, omitted, err
	}
	targets = make([]health.TargetHealth, 0, len(sights))
	for _, s := range sights {
		targets = append(targets, s.Evaluate(e.Now))
	}
	return targets, departed, omitted, nil
}

// departed returns the targets that no plan has any more, and how many more there are.
func (e Evaluator) departed(ctx context.Context, head plans.Head, all []backup.Plan) ([]health.Departed, int, error) {
	if e.Left == nil || all == nil {
		return nil, 0, nil
	}
	// A text that cannot be read leaves its targets out: health has more to say.
	left, _ := e.Left(ctx, head, all, e.Now)
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
func (e Evaluator) recent(ctx context.Context, s *health.Snapshot) error {
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
func (e Evaluator) recentRuns(ctx context.Context, s *health.Snapshot) error {
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

// recentPoints returns the newest recovery points of a target, newest run first: a few, or all if these are not enough.
func (e Evaluator) recentPoints(ctx context.Context, target string, enough func([]backup.Point) bool) ([]backup.Point, error) {
	return backup.RecentPoints(ctx, e.Catalog, target, 2*health.RecentRows, enough)
}

// service returns the service of the target; the zero value if there is none.
func (e Evaluator) service(target string) backup.Service {
	one, _ := e.Services.Of(target)
	return one
}
