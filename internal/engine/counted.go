package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/retention"
)

// counting is the change that a verified recovery point makes beside itself where its plan has counts.
type counting struct {
	// writes change the row of the plan's counts, in the transaction that makes the point.
	writes []backup.Write
	// out are the points that no count holds any more. Their entries are written before that transaction: after a death in between
	// cleanup finds that the row still holds them.
	out []string
	// events tell of an edit that lets many points expire.
	events []backup.Event
}

// rowOf returns the row of the run's plan among the rows of its target; the zero value if there is none.
func rowOf(run backup.Run, rows []backup.Row) (retention.Counted, error) {
	at := slices.IndexFunc(rows, func(row backup.Row) bool { return row.Key == backup.CountedKey(run.Target, run.Plan) })
	if at < 0 {
		return retention.Counted{}, nil
	}
	return retention.ReadCounted(rows[at])
}

// settle gives a new point of the run its Idle, and lowers the one of points that are accepted. A row that cannot be read leaves them: they
// count as younger than they are.
func settle(run backup.Run, rows []backup.Row, now time.Time, known []backup.Point, fresh *backup.Point, accepted ...*backup.Point) {
	if is, err := rowOf(run, rows); err == nil {
		is.Plan = run.Plan
		is.Settle(run.Settings.KeepGrace, now, known, fresh, accepted...)
	}
}

func pointers(points []backup.Point) (all []*backup.Point) {
	for i := range points {
		all = append(all, &points[i])
	}
	return all
}

// count has the clock of the run's plan go on, and adds verified points of the plan and target to the ones that the plan's counts hold.
// Rows are the rows of the target's plans, as they were just read. The run's settings are the plan as it was when the run was made: the
// newest run says the rules. The row of a plan that never had counts has the clock and the minimum alone.
func (e *Engine) count(ctx context.Context, run backup.Run, rows []backup.Row, points []backup.Point, now time.Time) (counting, error) {
	works := slices.DeleteFunc(slices.Clone(points), func(p backup.Point) bool { return !retention.Works(p, run.Plan) })
	points = slices.DeleteFunc(slices.Clone(works), func(p backup.Point) bool { return !retention.MayCount(p, run.Plan) })
	was, err := rowOf(run, rows)
	if err != nil {
		return counting{}, nil //nolint:nilerr // cleanup names the row, and deletes nothing of the target as long as it cannot be read
	}
	if needs := run.Settings.KeepGrace > 0 || run.Settings.KeepMinimum > retention.DefaultMinimum || run.Settings.KeepCounts.Any() || was.Plan != ""; len(works) == 0 || !needs {
		return counting{}, nil
	}
	was.Plan = run.Plan
	was = was.Advance(run.Settings.KeepGrace, now, works...)
	lower := false
	if len(points) > 0 {
		was, lower = was.Ruling(run)
	}
	judges := was.Judges() || run.Settings.KeepCounts.Any()
	if len(points) == 0 || !judges && !lower {
		return counting{writes: []backup.Write{was.Write(run.Target)}}, nil
	}
	is, anew := was, false
	if judges && !run.ScheduledTime.Before(was.Row.Clock.Began) {
		zone, err := e.zone(run.Settings.KeepCounts.Zone)
		if err != nil {
			return counting{}, err
		}
		is, anew = was.Renew(run.Plan, run.Settings, e.service(run.Target).Restorable, zone)
	}
	zone, err := e.zone(is.Counts.Zone)
	if err != nil {
		return counting{}, err
	}
	var past, out []string
	var edit *edited
	if anew || lower {
		edit = e.newEdited(run, rows, now)
		all, gone, err := e.countAll(ctx, run.Target, is, zone, now, edit)
		if err != nil {
			return counting{}, err
		}
		if anew {
			is, past = all, gone
		}
	}
	if judges {
		is, out = is.Add(zone, now, points...)
	}
	for _, p := range was.Row.Kept {
		past = append(past, p.ID)
	}
	for _, id := range past {
		if !is.Holds(id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	var events []backup.Event
	if edit != nil {
		edit.add(points...)
		events = edit.events(is, zone, now)
	}
	return counting{writes: []backup.Write{is.Write(run.Target)}, out: out, events: events}, nil
}

// countMade gives the run's point, and the ones that it makes live, to the rows of their plans.
func (s *step) countMade(ctx context.Context, page backup.Page, p *backup.Point, made []backup.Point) (all counting, err error) {
	runs, fresh := []backup.Run{s.run}, p
	for _, m := range made { // the newest first: its run says the rules
		if slices.ContainsFunc(runs, func(run backup.Run) bool { return run.Plan == m.Plan }) {
			continue
		}
		switch run, _, err := s.load(ctx, m.ID); {
		case errors.Is(err, backup.ErrNotFound), errors.Is(err, backup.ErrUnreadable):
			all.out = append(all.out, m.ID) // cleanup adds it to the counts when it looks
		case err != nil:
			return counting{}, fmt.Errorf("read the run of a recovery point that becomes live: %w", err)
		default:
			runs = append(runs, run)
		}
	}
	for _, run := range runs {
		settle(run, page.Counted, s.clock(), page.Points, fresh, pointers(made)...)
		fresh = nil
	}
	for _, run := range runs {
		counted, err := s.count(ctx, run, page.Counted, append([]backup.Point{*p}, made...), s.clock())
		if err != nil {
			return counting{}, err
		}
		all.writes, all.out = append(all.writes, counted.writes...), append(all.out, counted.out...)
		all.events = append(all.events, counted.events...)
	}
	return all, nil
}

// countAll judges all points of the plan anew, since its rules have changed. It reads them in pages, and returns the ones past their day,
// or without one: their entries may be at rest, and the new rules may give them a day.
func (e *Engine) countAll(
	ctx context.Context, target string, is retention.Counted, zone *time.Location, now time.Time, edit *edited,
) (_ retention.Counted, past []string, err error) {
	for page, err := range backup.PointPages(ctx, e.Catalog, target, backup.PointPrefix, backup.Behind(backup.PointPrefix)) {
		if err != nil {
			return is, nil, err
		}
		edit.add(page.Points...)
		for _, p := range page.Points {
			if p.Plan == is.Plan && (p.State == backup.Live || p.State == backup.Suspect) && !now.Before(p.Expires) {
				past = append(past, p.ID)
			}
		}
		is, _ = is.Add(zone, now, slices.DeleteFunc(page.Points, func(p backup.Point) bool { return !retention.MayCount(p, is.Plan) })...)
	}
	return is, past, nil
}

// countAccepted adds a point that a person accepts, and has cleanup look at the ones whose places it takes.
func (e *Engine) countAccepted(ctx context.Context, run backup.Run, p *backup.Point, now time.Time) (counting, error) {
	row, _, err := e.Catalog.Get(ctx, backup.CountedKey(p.Target, p.Plan))
	rows := []backup.Row{row}
	switch {
	case errors.Is(err, backup.ErrNotFound):
		rows = nil
	case errors.Is(err, backup.ErrUnreadable):
		return counting{}, nil // cleanup names the row
	case err != nil:
		return counting{}, fmt.Errorf("read which recovery points the counts of plan %s hold: %w", p.Plan, err)
	}
	known, err := backup.RecentPoints(ctx, e.Catalog, p.Target, 2*retention.Trailing, func(points []backup.Point) bool {
		return retention.HasBefore(points, *p)
	})
	if err != nil {
		return counting{}, fmt.Errorf("read the recovery points before %s: %w", p.ID, err)
	}
	settle(run, rows, now, known, nil, p)
	counted, err := e.count(ctx, run, rows, []backup.Point{*p}, now)
	if err == nil && len(counted.out) > 0 {
		err = deletion.PutOut(ctx, e.Catalog, p.Target, counted.out, now.Add(orphanAge), now)
	}
	return counted, err
}

// recount changes the row of a point's plan, in the transaction of a change by a person: an accepted or undeleted point takes a place, and a
// deleted one leaves its place.
func (e *Engine) recount(ctx context.Context, run backup.Run, was backup.Point, p *backup.Point, now time.Time) (counting, error) {
	switch deleted := p.SoftDeletion.Person(); {
	case was.State != backup.Live && p.State == backup.Live:
		return e.countAccepted(ctx, run, p, now)
	case p.OnDemand, p.Safety, deleted == was.SoftDeletion.Person() && p.IsSoftDeleted() == was.IsSoftDeleted():
		return counting{}, nil
	case deleted:
		return e.countDeleted(ctx, *p)
	}
	return e.countUndeleted(ctx, *p, now)
}

// countDeleted takes a point that a person deletes out of its plan's row. It also writes a row without the point: so no cleanup adds
// it that read it before. Nothing is deleted while the row cannot be read.
func (e *Engine) countDeleted(ctx context.Context, p backup.Point) (counting, error) {
	c, err := e.counted(ctx, p)
	if err != nil || !c.Judges() {
		return counting{}, err
	}
	c.Row = c.Row.Remove(p.ID)
	return counting{writes: []backup.Write{c.Write(p.Target)}}, nil
}

// countUndeleted adds a point that a person undeletes to its plan's row, and has cleanup look at the ones whose places it takes. Where the
// row cannot be read, cleanup adds the point once it can.
func (e *Engine) countUndeleted(ctx context.Context, p backup.Point, now time.Time) (counting, error) {
	c, err := e.counted(ctx, p)
	if errors.Is(err, backup.ErrUnreadable) {
		return counting{}, nil
	}
	if err != nil || !c.Counts.Any() || !retention.MayCount(p, c.Plan) {
		return counting{}, err
	}
	zone, err := e.zone(c.Counts.Zone)
	if err != nil {
		return counting{}, err
	}
	c, out := c.Add(zone, now, p)
	if err := deletion.PutOut(ctx, e.Catalog, p.Target, out, now.Add(orphanAge), now); err != nil {
		return counting{}, err
	}
	return counting{writes: []backup.Write{c.Write(p.Target)}}, nil
}

// counted reads the row of a point's plan; the zero value if there is none.
func (e *Engine) counted(ctx context.Context, p backup.Point) (retention.Counted, error) {
	row, _, err := e.Catalog.Get(ctx, backup.CountedKey(p.Target, p.Plan))
	if errors.Is(err, backup.ErrNotFound) {
		return retention.Counted{}, nil
	}
	var c retention.Counted
	if err == nil {
		c, err = retention.ReadCounted(row)
	}
	if err != nil {
		return retention.Counted{}, fmt.Errorf("read which recovery points the counts of plan %s hold: %w", p.Plan, err)
	}
	return c, nil
}

// countAgain saves the rows of counts that took a point again, before anything of the target is deleted. It returns errConflict if another
// invocation was faster.
func (e *Engine) countAgain(ctx context.Context, target string, review *retention.Review, now time.Time) error {
	rows, out := review.Changed()
	if len(rows) == 0 {
		return nil
	}
	if len(out) > 0 {
		if err := deletion.PutOut(ctx, e.Catalog, target, out, now, now); err != nil {
			return err
		}
	}
	for _, row := range rows {
		_, err := e.Catalog.Apply(ctx, row.Write(target))
		if _, raced := errors.AsType[*backup.WriteError](err); raced {
			return errConflict
		}
		if err != nil {
			return fmt.Errorf("save which recovery points the counts of plan %s hold: %w", row.Plan, err)
		}
	}
	return nil
}

// zone returns the time zone of a plan's counts.
func (e *Engine) zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := e.Zone(name)
	if err != nil {
		return nil, fmt.Errorf("find the time zone by whose clocks the plan counts its recovery points: %w", err)
	}
	return zone, nil
}

// countedRow is a row of a plan's counts, with the time zone of its days.
func (e *Engine) countedRow(row backup.Row) (retention.Counted, *time.Location, error) {
	c, err := retention.ReadCounted(row)
	if err != nil {
		return c, nil, err
	}
	zone, err := e.zone(c.Counts.Zone)
	return c, zone, err
}
