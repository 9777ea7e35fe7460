package evaluation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// sight has the facts that a look at a target found.
type sight struct {
	facts health.Facts
	err   error
}

// row is the row of the facts about a target. If it is unread, a newer version wrote it, and it stays as it is.
type row struct {
	health.Facts
	unread bool
}

// eachFacts calls take with the row of the facts about each target, and the target's partition. It holds one page of them at a time.
func (e Evaluator) eachFacts(ctx context.Context, take func(here string, r row)) error {
	for from := backup.FactsPrefix; ; {
		rows, _, err := e.Catalog.List(ctx, backup.SchedulePartition, from, backup.Behind(backup.FactsPrefix), 1000)
		if err != nil {
			return fmt.Errorf("list the facts about targets: %w", err)
		}
		for _, one := range rows {
			f, err := backup.Decode[health.Facts](one)
			f.ETag = one.ETag
			take(strings.TrimPrefix(one.Row, backup.FactsPrefix), row{f, err != nil})
		}
		if len(rows) < 1000 {
			return nil
		}
		from = rows[len(rows)-1].Row + "!"
	}
}

// readFacts reads the rows of all facts, by the partitions of their targets.
func (e Evaluator) readFacts(ctx context.Context) (map[string]row, error) {
	all := map[string]row{}
	return all, e.eachFacts(ctx, func(here string, r row) { all[here] = r })
}

// lookAt reads the newest recovery points and runs of the target. Retention deletes the oldest points first, so the newest live one is
// among the newest of all, unless many are suspect. A restore under way may be older than all of these: the former facts name it, and it is
// read by itself.
func (e Evaluator) lookAt(ctx context.Context, target string, was health.Facts) sight {
	s, few := health.Snapshot{Target: target}, health.RecentRows
	// Points come before runs. If there is none, the runs that follow say since when there should have been one.
	rows, _, err := e.Catalog.List(ctx, backup.Partition(target), backup.PointPrefix, backup.Behind(backup.RunPrefix), few)
	if err != nil {
		return sight{health.Facts{Target: target}, err}
	}
	points := len(rows)
	for i, row := range rows {
		if !strings.HasPrefix(row.Row, backup.PointPrefix) {
			points = i
			break
		}
		s.AddPoint(row)
	}
	if points == few && !slices.ContainsFunc(s.Points, backup.Point.Live) { // older ones may be live
		if s.Points, err = backup.AllPoints(ctx, e.Catalog, target, backup.Behind(backup.PointPrefix)); err != nil {
			return sight{health.Facts{Target: target}, err}
		}
		for _, p := range s.Points {
			if p.State == backup.Unreadable && s.Unread == nil {
				s.Unread = errors.New(p.Reason.Message)
			}
		}
	}
	runs := rows[points:]
	if len(rows) == few { // there may be more runs
		runs, _, err = e.Catalog.List(ctx, backup.Partition(target), backup.RunPrefix, backup.Behind(backup.RunPrefix), few)
		if err != nil {
			return sight{health.Facts{Target: target}, err}
		}
	}
	for _, row := range runs {
		if strings.HasPrefix(row.Row, backup.RunPrefix) {
			s.AddRun(row)
		}
	}
	if len(rows) == few && len(runs) == few {
		if err := e.addOlder(ctx, &s, was); err != nil {
			return sight{health.Facts{Target: target}, err}
		}
	}
	return sight{facts: s.Facts()}
}

// addOlder adds the restores of the former facts that are too old for the newest rows.
func (e Evaluator) addOlder(ctx context.Context, s *health.Snapshot, was health.Facts) error {
	for _, r := range s.Older(was) {
		if r.State.Final() {
			s.Restores = append(s.Restores, r)
			continue
		}
		row, _, err := e.Catalog.Get(ctx, backup.Run{ID: r.ID}.Key())
		switch {
		case errors.Is(err, backup.ErrNotFound): // its row was deleted by hand
		case err != nil && !errors.Is(err, backup.ErrUnreadable):
			return fmt.Errorf("read the restore %s again: %w", r.ID, err)
		default:
			row.Err = err
			s.AddRun(row)
		}
	}
	return nil
}

// place is a service that a plan names, or one that has left the plans in the last days.
type place struct {
	id       string
	isTarget bool
	left     time.Time
}

// known returns the targets of the plans, and the other services that they allow to restore into, by their partitions.
func known(all []backup.Plan) map[string]place {
	places := map[string]place{}
	for _, plan := range all {
		for _, id := range plan.Restore.Into {
			if here := backup.Partition(id); id != backup.Itself && places[here].id == "" {
				places[here] = place{id: id}
			}
		}
	}
	for _, plan := range all {
		for _, target := range plan.Targets {
			places[backup.Partition(target)] = place{id: target, isTarget: true}
		}
	}
	return places
}

// look looks at the targets of the due plans, at each target that has changed since its facts were written, and at the targets that a new
// text of plan.yaml brought. It writes what it found, under the ETags that it read before: so facts that are older than those of another timer
// run never take their place, and the mark of a later change stays. Before that it calls looked, and leaves the facts and marks of the
// targets that looked returns as they are. It returns nothing if it could not begin.
func (e Evaluator) look(
	ctx context.Context, head plans.Head, all []backup.Plan, due []planned, looked func(map[string]sight) (map[string]bool, error),
) (map[string]sight, error) {
	places, wanted := known(all), map[string]bool{}
	for _, plan := range due {
		for _, target := range plan.Plan.Targets {
			wanted[backup.Partition(target)] = true
		}
	}
	for here := range e.marks {
		wanted[here] = true
	}
	fresh := e.unknown(head, all, due)
	if len(wanted)+len(fresh) == 0 || all == nil {
		return map[string]sight{}, nil
	}
	facts, err := e.readFacts(ctx)
	if err != nil {
		return nil, err
	}
	e.addDeparted(places, facts)
	for _, plan := range fresh {
		for _, target := range plan.Targets {
			here := backup.Partition(target)
			if _, known := facts[here]; !known {
				wanted[here] = true
			}
		}
	}
	here := slices.DeleteFunc(slices.Sorted(maps.Keys(wanted)), func(here string) bool { return places[here].id == "" })
	saw := make([]sight, len(here))
	_ = e.Finder.ForEach(len(here), func(i int) error {
		saw[i] = e.lookAt(ctx, places[here[i]].id, facts[here[i]].Facts)
		return nil // the others are looked at all the same
	})
	sights, unread := map[string]sight{}, 0
	for i, here := range here {
		if sights[here] = saw[i]; saw[i].err != nil {
			err, unread = saw[i].err, unread+1
		}
	}
	if unread > 0 {
		err = fmt.Errorf("%d of %d targets could not be looked at: %w", unread, len(here), err)
	}
	later, unsaved := looked(sights)
	return sights, errors.Join(err, unsaved, e.write(ctx, e.changes(places, facts, sights, later)), e.noteKnown(ctx, head, fresh, unread == 0))
}

// addDeparted adds the services with facts that no plan names, for as long as health shows them: their facts are kept up.
func (e Evaluator) addDeparted(places map[string]place, facts map[string]row) {
	for here, was := range facts {
		left := was.Left
		if left.IsZero() || left.After(e.Now) {
			left = e.Now
		}
		if places[here].id == "" && was.Target != "" && !was.unread && e.Now.Sub(left) < plans.Remembered {
			places[here] = place{id: was.Target, left: left}
		}
	}
}

// unknown returns the plans whose targets may have no facts yet: a new text is active, and the plan is not due.
func (e Evaluator) unknown(head plans.Head, all []backup.Plan, due []planned) (fresh []backup.Plan) {
	for _, plan := range all {
		was, evaluated := e.evaluated[plan.Name]
		isDue := slices.ContainsFunc(due, func(d planned) bool { return d.Plan.Name == plan.Name })
		if evaluated && !isDue && was.Known != head.Hash {
			fresh = append(fresh, plan)
		}
	}
	return fresh
}

// noteKnown saves that each target of the plans has its facts. If another timer run has saved the row meanwhile, the next one does it.
func (e Evaluator) noteKnown(ctx context.Context, head plans.Head, fresh []backup.Plan, all bool) error {
	var errs []error
	for _, plan := range fresh {
		is := e.evaluated[plan.Name]
		is.Known = head.Hash
		if all {
			errs = append(errs, e.write(ctx, [][]backup.Write{{is.Write()}}))
		}
	}
	return errors.Join(errs...)
}

// changes returns the writes of new facts, each with the deletion of the target's mark. The facts and the mark of a service that no plan
// names are deleted once it has left for long. A target in later keeps its own.
func (e Evaluator) changes(places map[string]place, facts map[string]row, sights map[string]sight, later map[string]bool) (groups [][]backup.Write) {
	for _, here := range slices.Sorted(maps.Keys(sights)) {
		saw, was := sights[here], facts[here]
		if saw.err != nil || later[here] {
			continue
		}
		var group []backup.Write
		saw.facts.Carried, saw.facts.Left = was.Carried, places[here].left
		if body := backup.Encode(saw.facts); !was.unread && (was.ETag == "" || !bytes.Equal(body, backup.Encode(was.Facts))) {
			group = append(group, backup.InsertOrReplace(saw.facts.Key(), was.ETag, body))
		}
		if mark, marked := e.marks[here]; marked {
			group = append(group, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(backup.MarkPrefix + here), ETag: mark})
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	for _, here := range slices.Sorted(maps.Keys(facts)) {
		was, is := facts[here], places[here]
		if _, looked := sights[here]; looked || is.id == "" || was.unread || was.Left.Equal(is.left) {
			continue
		}
		was.Left = is.left // it has left, or is back
		groups = append(groups, []backup.Write{backup.InsertOrReplace(was.Key(), was.ETag, backup.Encode(was.Facts))})
	}
	gone := func(prefix, here, etag string) {
		if places[here].id == "" {
			groups = append(groups, []backup.Write{{Op: backup.Delete, Key: backup.ScheduleKey(prefix + here), ETag: etag}})
		}
	}
	for _, here := range slices.Sorted(maps.Keys(facts)) {
		gone(backup.FactsPrefix, here, facts[here].ETag)
	}
	for _, here := range slices.Sorted(maps.Keys(e.marks)) {
		gone(backup.MarkPrefix, here, e.marks[here])
	}
	return groups
}

// write applies groups of writes, each whole or not at all. It leaves a group out if another timer run has written one of its rows, or if
// the target has changed again.
func (e Evaluator) write(ctx context.Context, groups [][]backup.Write) error {
	for len(groups) > 0 {
		n, size := 0, 0
		for n < len(groups) && size+len(groups[n]) <= backup.MostWrites {
			size += len(groups[n])
			n++
		}
		_, err := e.Catalog.Apply(ctx, slices.Concat(groups[:n]...)...)
		if failed, ok := errors.AsType[*backup.WriteError](err); ok {
			at := 0
			for i := failed.Index; i >= len(groups[at]); at++ {
				i -= len(groups[at])
			}
			groups = slices.Delete(slices.Clone(groups), at, at+1)
			continue
		}
		if err != nil {
			return fmt.Errorf("save the facts about targets: %w", err)
		}
		groups = groups[n:]
	}
	return nil
}
