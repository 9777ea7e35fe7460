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
// facts that timer runs have written: one request for each 1,000 targets, and one for each 1,000 with statements if a plan wants some.
// It looks at a target itself if that has changed since, or has no facts yet, and so at a target that has left: two requests at the
// most, more only if all of its newest recovery points are suspect. It shows a target that it cannot
// look at as unprotected.
func (e Evaluator) Health(ctx context.Context, active plans.Active) (found Found, err error) {
	var left []plans.Left
	var back returns
	since := e.Now // no timer run has seen the text yet
	// A row that cannot be read tells as little as none; the timer run says so.
	if head, err := plans.ReadHead(e.ActivePlan); err == nil && e.ActivePlan.ETag != "" {
		if head.Hash == active.Hash {
			since = head.Since
		}
		left, back, found.Omitted = e.departed(ctx, head, active.Plans)
	}
	stated, err := e.statements(ctx, active.Plans)
	if err != nil {
		return Found{}, err
	}
	bases := make([]health.Snapshot, 0, len(active.Plans))
	seats, n := map[string][]seat{}, 0
	for i, plan := range active.Plans {
		if was := e.last(plan); was.Plan != "" {
			found.Evaluations = append(found.Evaluations, was)
		}
		s := health.Snapshot{Plan: plan, Since: since, Paused: e.Paused(plan), Refused: active.Refused, RowError: e.Unread[plan.Name]}
		if c := e.Checkpoints[plan.Name]; c != nil {
			s.AddCheckpoint(*c, e.Now)
		}
		bases = append(bases, s)
		for _, target := range plan.Targets {
			here := backup.Partition(target)
			seats[here] = append(seats[here], seat{i, n, target})
			n++
		}
	}
	found.Targets = make([]health.TargetHealth, n)
	into := destinations(active.Plans)
	restores := map[string][]health.Restored{}
	answer := func(here string, f health.Facts, unread error) {
		of := health.Snapshot{Target: into[here]}
		of.Know(f)
		for _, seat := range seats[here] {
			of = bases[seat.plan]
			of.Of(seat.target, e.service(seat.target), active.Plans)
			if i := slices.IndexFunc(e.Incomplete, func(i health.Incomplete) bool { return backup.Same(i.Target, seat.target) }); i >= 0 {
				of.Incomplete = &e.Incomplete[i]
			}
			of.Know(f)
			of.Proof = e.proof(of.Plan, seat.target, stated)
			of.Returns = back.of(of.Plan.Name, seat.target)
			of.Unread = cmp.Or(unread, of.Unread)
			found.Targets[seat.at] = of.Evaluate(e.Now)
		}
		if len(of.Restores) > 0 {
			restores[here] = of.Restores
		}
	}
	gone := map[string]bool{}
	for _, l := range left {
		gone[backup.Partition(l.Target)] = true
	}
	was, seen, departed := map[string]health.Facts{}, map[string]bool{}, map[string]health.Facts{}
	err = e.eachFacts(ctx, func(here string, r row) {
		if _, changed := e.marks[here]; changed || r.unread {
			was[here] = r.Facts
			return
		}
		if gone[here] {
			departed[here] = r.Facts
		}
		if seen[here] = true; len(seats[here]) > 0 || into[here] != "" {
			answer(here, r.Facts, nil)
		}
	})
	if err != nil {
		return Found{Evaluations: found.Evaluations}, err
	}
	found.Departed = e.lookAtDeparted(ctx, left, departed, was)
	e.lookAtRest(ctx, seats, into, seen, was, answer)
	for _, here := range slices.SortedFunc(maps.Keys(restores), func(a, b string) int {
		return cmp.Or(first(seats[a], n)-first(seats[b], n), cmp.Compare(a, b))
	}) {
		found.Restores = append(found.Restores, restores[here]...)
	}
	return found, nil
}

// seat is the place of a target in the answer.
type seat struct {
	plan, at int
	target   string
}

// first returns the first place in the answer, or last if there is none.
func first(seats []seat, last int) int {
	if len(seats) == 0 {
		return last
	}
	return seats[0].at
}

// lookAtRest looks at the targets whose facts are not known, and at the other destinations that have changed.
func (e Evaluator) lookAtRest(
	ctx context.Context, seats map[string][]seat, into map[string]string, known map[string]bool, was map[string]health.Facts,
	answer func(here string, f health.Facts, unread error),
) {
	var rest, ids []string
	for _, here := range slices.Sorted(maps.Keys(seats)) {
		if !known[here] {
			rest, ids = append(rest, here), append(ids, seats[here][0].target)
		}
	}
	for _, here := range slices.Sorted(maps.Keys(into)) {
		_, changed := e.marks[here]
		if _, unread := was[here]; changed || unread {
			rest, ids = append(rest, here), append(ids, into[here])
		}
	}
	saw := make([]sight, len(rest))
	_ = e.Finder.ForEach(len(rest), func(i int) error {
		saw[i] = e.lookAt(ctx, ids[i], was[rest[i]])
		return nil // the others are shown all the same
	})
	for i, here := range rest {
		answer(here, saw[i].facts, cmp.Or(saw[i].err, ctx.Err()))
	}
}

// Found has what [Evaluator.Health] found; see [health.TimersHealth].
type Found struct {
	Targets     []health.TargetHealth
	Departed    []health.Departed
	Omitted     map[string]int
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

// destinations returns the services that are in no plan, and that a plan allows to restore into, by their partitions.
func destinations(all []backup.Plan) map[string]string {
	into := map[string]string{}
	for here, place := range known(all) {
		if !place.isTarget {
			into[here] = place.id
		}
	}
	return into
}

// returns says when targets came back into their plans, newest first, by the plan's name and the target's partition.
type returns map[[2]string][]health.Return

func returnsOf(left []plans.Left) returns {
	all := returns{}
	for _, l := range left {
		if here := [2]string{l.Plan, backup.Partition(l.Target)}; !l.Back.IsZero() {
			all[here] = append(all[here], health.Return{Left: l.At, Back: l.Back})
		}
	}
	return all
}

func (r returns) of(plan, target string) []health.Return {
	return r[[2]string{plan, backup.Partition(target)}]
}

// departed returns the targets that no plan has any more, what came back, and how many more targets of each plan there are.
func (e Evaluator) departed(
	ctx context.Context, head plans.Head, all []backup.Plan,
) (left []plans.Left, back returns, omitted map[string]int) {
	if e.Left == nil || all == nil {
		return nil, nil, nil
	}
	// A text that cannot be read leaves its targets out: health has more to say.
	left, _ = e.Left(ctx, head, all, e.Now)
	back = returnsOf(left)
	seen := map[string]bool{}
	left = slices.DeleteFunc(left, func(l plans.Left) bool {
		here := backup.Partition(l.Target)
		again := seen[here]
		seen[here] = again || l.Gone
		return !l.Gone || again
	})
	omitted = map[string]int{}
	for _, l := range left[min(len(left), health.MostDeparted):] {
		omitted[l.Plan]++
	}
	return left[:min(len(left), health.MostDeparted)], back, omitted
}

// lookAtDeparted returns what the facts tell of the targets that have left, and looks at a target itself if they are not known.
func (e Evaluator) lookAtDeparted(ctx context.Context, left []plans.Left, facts, was map[string]health.Facts) []health.Departed {
	gone := make([]health.Departed, len(left))
	_ = e.Finder.ForEach(len(left), func(i int) error {
		l := left[i]
		here := backup.Partition(l.Target)
		f, known := facts[here]
		var err error
		if !known {
			saw := e.lookAt(ctx, l.Target, was[here])
			f, err = saw.facts, cmp.Or(saw.err, ctx.Err())
		}
		gone[i] = health.NewDeparted(l.Plan, l.Target, l.At, f, err)
		return nil // the others are shown all the same
	})
	return gone
}

// service returns the service of the target; the zero value if there is none.
func (e Evaluator) service(target string) backup.Service {
	one, _ := e.Services.Of(target)
	return one
}
