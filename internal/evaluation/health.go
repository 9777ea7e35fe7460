package evaluation

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// Health says how well every target of the active plans is protected, in the order of the plans. It goes by the
// facts that timer runs have written: one request for each 1,000 targets. It looks at a target itself if that has changed since, or has
// no facts yet: two requests at the most, more only if all of its newest recovery points are suspect. It shows a target that it cannot
// look at as unprotected.
func (e Evaluator) Health(ctx context.Context, active plans.Active) (found Found, err error) {
	since := e.Now // no timer run has seen the text yet
	// A row that cannot be read tells as little as none; the timer run says so.
	if head, err := plans.ReadHead(e.ActivePlan); err == nil && e.ActivePlan.ETag != "" {
		if head.Hash == active.Hash {
			since = head.Since
		}
		if found.Departed, found.Omitted, err = e.departed(ctx, head, active.Plans); err != nil {
			return Found{}, err
		}
	}
	var sights []health.Snapshot
	for _, plan := range active.Plans {
		if was := e.last(plan); was.Plan != "" {
			found.Evaluations = append(found.Evaluations, was)
		}
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
	facts, err := e.readFacts(ctx)
	if err != nil {
		return found, err
	}
	targets := len(sights)
	sights = append(sights, e.destinations(active.Plans, facts)...)
	_ = e.Finder.ForEach(len(sights), func(i int) error {
		s := &sights[i]
		here := backup.Partition(s.Target)
		f, known := facts[here]
		if _, changed := e.marks[here]; changed || !known || f.unread {
			saw := e.lookAt(ctx, s.Target, f.Facts)
			s.Know(saw.facts)
			s.Unread = cmp.Or(saw.err, s.Unread)
			return nil // the others are shown all the same
		}
		s.Know(f.Facts)
		return nil
	})
	found.Targets = make([]health.TargetHealth, 0, targets)
	seen := map[string]bool{}
	for i, s := range sights {
		if i < targets {
			found.Targets = append(found.Targets, s.Evaluate(e.Now))
		}
		if here := backup.Partition(s.Target); !seen[here] { // several plans may have it
			seen[here] = true
			found.Restores = append(found.Restores, s.Restores...)
		}
	}
	return found, nil
}

// Found has what [Evaluator.Health] found; see [health.TimersHealth].
type Found struct {
	Targets     []health.TargetHealth
	Departed    []health.Departed
	Omitted     int
	Evaluations []health.Evaluation
	Restores    []health.Restored
}

// last returns the last evaluation of the plan; the zero value if there is none that is known to be of it. A new plan may differ from an
// old one only by its name.
func (e Evaluator) last(plan backup.Plan) health.Evaluation {
	if e.Checkpoints[plan.Name] == nil && e.Unread[plan.Name] == nil {
		return health.Evaluation{}
	}
	return e.evaluated[plan.Name]
}

// destinations returns the services that are in no plan, that a plan allows to restore into, and that are known by their facts or marks.
func (e Evaluator) destinations(all []backup.Plan, facts map[string]row) (some []health.Snapshot) {
	places := known(all)
	for _, here := range slices.Sorted(maps.Keys(places)) {
		_, marked := e.marks[here]
		if _, there := facts[here]; !places[here].isTarget && (there || marked) {
			some = append(some, health.Snapshot{Target: places[here].id})
		}
	}
	return some
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

// recentPoints returns the newest recovery points of a target, newest run first: a few, or all if these are not enough.
func (e Evaluator) recentPoints(ctx context.Context, target string, enough func([]backup.Point) bool) ([]backup.Point, error) {
	return backup.RecentPoints(ctx, e.Catalog, target, 2*health.RecentRows, enough)
}

// service returns the service of the target; the zero value if there is none.
func (e Evaluator) service(target string) backup.Service {
	one, _ := e.Services.Of(target)
	return one
}
