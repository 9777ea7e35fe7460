// Package evaluation evaluates how well each target of the active plans is protected, by the rows of the catalog: for health, and for
// the events of a timer run.
package evaluation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/manifest"
	"lifeboat/internal/plans"
)

// Evaluator has the things that an evaluation needs, by the rows that a timer run or health has read.
type Evaluator struct {
	Catalog  backup.Catalog
	Services backup.Services
	// Finder finds artifacts that the catalog does not know, and calls a function for each target.
	Finder manifest.Finder
	// Left says what has left the plans by the row of the active plan, as [plans.Store.Left] does; nil: nothing.
	Left func(ctx context.Context, head plans.Head, all []backup.Plan, now time.Time) ([]plans.Left, error)
	// Paused says why a plan makes no runs at present, "" if it does.
	Paused func(backup.Plan) string
	// Now is the time by the catalog's clock, and Tolerance the greatest difference between two clocks.
	Now       time.Time
	Tolerance time.Duration

	Rows
}

// Report says what an evaluation found.
type Report struct {
	// Unprotected are the targets that turned so since they were evaluated last.
	Unprotected []health.TargetHealth
	// Events are the events that it put into the outbox of the timer's partition.
	Events []backup.Event
}

// Evaluate publishes which targets turned unprotected. It evaluates plans that make no runs as well: their targets are no better
// protected for it.
func (e Evaluator) Evaluate(ctx context.Context, all []backup.Plan) (Report, error) {
	var report Report
	head, err := plans.ReadHead(e.ActivePlan)
	if err != nil || e.ActivePlan.ETag == "" {
		head = plans.Head{Since: e.Now}
	}
	over, unchecked := e.Finder.Recheck(ctx, e.Incomplete, e.Now)
	report.Events = over
	errs := []error{err, e.takeBack(ctx, head, all, &report), unchecked}
	if errs[1] != nil {
		return report, errors.Join(errs...) // an evaluation would forget the alarms about what has left
	}
	for _, plan := range all {
		if e.unevaluated[plan.Name] != nil {
			continue // the timer run says so; it is not known which alerts were published
		}
		s := health.Snapshot{RowError: e.Unread[plan.Name], Plan: plan, Since: head.Since, ProcessedUntil: e.Now, Paused: e.Paused(plan)}
		if head.Refused != "" {
			s.Refused = errors.New(head.Reason)
		}
		var was health.Evaluation // a new plan may differ from an old one only by its name
		if c := e.Checkpoints[plan.Name]; c != nil {
			s.AddCheckpoint(*c, e.Now)
			was = e.evaluated[plan.Name]
		} else if s.RowError != nil {
			was = e.evaluated[plan.Name]
		}
		if was.Due(plan, e.Now, e.Now.Add(e.Tolerance)) {
			was.Plan, was.Text = plan.Name, head.Hash // it was looked for departed targets by now
			errs = append(errs, e.evaluatePlan(ctx, s, all, was, &report))
		}
	}
	return report, errors.Join(errs...)
}

// evaluatePlan evaluates each target of the plan. That costs one request for each, and one for each 100 writes. The last
// transaction saves the note that the events are published. A timer run at the same time publishes the same, under the same IDs.
func (e Evaluator) evaluatePlan(
	ctx context.Context, plan health.Snapshot, all []backup.Plan, was health.Evaluation, report *Report,
) error {
	targets := plan.Plan.Targets
	outcomes, fresh, errs := make([]health.TargetHealth, len(targets)), make([]bool, len(targets)), make([]error, len(targets))
	_ = e.Finder.ForEach(len(targets), func(i int) error {
		s := plan
		s.Of(targets[i], e.service(targets[i]), all)
		outcomes[i], fresh[i], errs[i] = e.evaluateTarget(ctx, s, was)
		return nil // the others are evaluated all the same
	})
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	var err error
	if n := len(errs); n > 0 {
		err = fmt.Errorf("%d of the %d targets of plan %s could not be evaluated: %w", n, len(targets),
			plan.Plan.Name, errs[0])
	}
	var events []backup.Event
	for i, h := range outcomes {
		if fresh[i] {
			report.Unprotected = append(report.Unprotected, h)
			events = append(events, event.TargetUnprotected(h, was.Alarm(h)))
		}
	}
	is := was.After(e.Now, outcomes, fresh, err == nil)
	rows, found, unsearched := e.Finder.Evaluated(ctx, plan.Plan, was, &is, outcomes, err == nil, e.Now)
	if err != nil && len(events)+len(found) == 0 && maps.Equal(is.Searched, was.Searched) {
		return errors.Join(err, unsearched)
	}
	unsaved := e.save(ctx, is, events, report, rows...)
	if unsaved == nil {
		report.Events = append(report.Events, found...)
	}
	return errors.Join(err, unsearched, unsaved)
}

// save saves the row with its events, behind other writes in pairs, which no transaction splits. The row comes last: a repeat
// writes the same events.
func (e Evaluator) save(
	ctx context.Context, is health.Evaluation, events []backup.Event, report *Report, pairs ...backup.Write,
) error {
	writes := append(slices.Concat(pairs, event.OutboxWrites(backup.SchedulePartition, events)), backup.Write{
		Op: backup.Put, Key: backup.EvaluatedKey(is.Plan), Body: backup.Encode(is),
	})
	for page := range slices.Chunk(writes, backup.MostWrites) {
		if _, err := e.Catalog.Apply(ctx, page...); err != nil {
			return fmt.Errorf("save that the targets of plan %s were evaluated: %w", is.Plan, err)
		}
	}
	report.Events = append(report.Events, events...)
	return nil
}

// takeBack publishes that the alarms about targets that have left a plan are over. It looks once for each text of plan.yaml, and only if
// an alarm of the plan holds; a repeat publishes the same.
func (e Evaluator) takeBack(ctx context.Context, head plans.Head, all []backup.Plan, report *Report) error {
	for _, name := range slices.Sorted(maps.Keys(e.evaluated)) {
		is := e.evaluated[name]
		if len(is.Published) == 0 || is.Text == head.Hash || all == nil || e.Left == nil {
			continue
		}
		left, err := e.Left(ctx, head, all, e.Now)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(l plans.Left) bool { return l.Plan != name })
		gone, err := e.readDeparted(ctx, left)
		if err != nil {
			return err
		}
		var events []backup.Event
		for _, d := range gone {
			var alarm string
			if is, alarm = is.TakeBack(d, e.Now); alarm != "" {
				events = append(events, event.TargetLeft(d, alarm))
			}
		}
		is.Text = head.Hash
		if err := e.save(ctx, is, events, report); err != nil {
			return err
		}
		e.evaluated[name] = is
	}
	return nil
}

// readDeparted reads the newest recovery points of what has left the plans, in its order.
func (e Evaluator) readDeparted(ctx context.Context, left []plans.Left) ([]health.Departed, error) {
	gone := make([]health.Departed, len(left))
	return gone, e.Finder.ForEach(len(left), func(i int) error {
		points, err := e.recentPoints(ctx, left[i].Target, func(points []backup.Point) bool { return slices.ContainsFunc(points, backup.Point.Live) })
		gone[i] = health.NewDeparted(left[i].Plan, left[i].Target, left[i].At, points)
		return err
	})
}

// evaluateTarget evaluates one target. It returns fresh if the target is unprotected and that was not published yet.
func (e Evaluator) evaluateTarget(
	ctx context.Context, s health.Snapshot, was health.Evaluation,
) (h health.TargetHealth, fresh bool, err error) {
	// Points come before runs. If there is none, the runs that follow say since when there should have been one.
	rows, _, err := e.Catalog.List(ctx, backup.Partition(s.Target), backup.PointPrefix, backup.Behind(backup.RunPrefix), health.RecentRows)
	if err != nil {
		return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
	}
	ofPlan := s.RowError
	s.RowError = nil
	for _, row := range rows {
		switch {
		case strings.HasPrefix(row.Row, backup.PointPrefix):
			s.AddPoint(row)
		case strings.HasPrefix(row.Row, backup.RunPrefix):
			s.AddRun(row)
		}
	}
	if s.RowError != nil { // an event that comes too early would name the wrong point
		return h, false, fmt.Errorf("evaluate %s: %w", s.Target, s.RowError)
	}
	s.RowError = ofPlan
	if len(s.Points) == health.RecentRows && !slices.ContainsFunc(s.Points, backup.Point.Live) { // older ones may be live
		if s.Points, err = backup.AllPoints(ctx, e.Catalog, s.Target, backup.Behind(backup.PointPrefix)); err != nil {
			return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
		}
	}
	if s.WantsRuns() {
		if err := e.recentRuns(ctx, &s); err != nil {
			return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
		}
	}
	h = s.Evaluate(e.Now)
	if h.Status != health.Unprotected || was.Told(h) {
		return h, false, nil
	}
	if err := e.recentRuns(ctx, &s); err != nil {
		return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
	}
	return s.Evaluate(e.Now), true, nil
}
