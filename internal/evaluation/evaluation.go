// Package evaluation evaluates how well each target of the active plans is protected, by the rows of the catalog: for health, and for
// the events of a timer run.
package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	var due []planned
	for _, plan := range all {
		if e.unevaluated[plan.Name] != nil {
			continue // the timer run says so; it is not known which alerts were published
		}
		s := health.Snapshot{RowError: e.Unread[plan.Name], Plan: plan, Since: head.Since, ProcessedUntil: e.Now, Paused: e.Paused(plan)}
		if head.Refused != "" {
			s.Refused = errors.New(head.Reason)
		}
		if c := e.Checkpoints[plan.Name]; c != nil {
			s.AddCheckpoint(*c, e.Now)
		}
		was := e.last(plan)
		if was.Due(plan, e.Now, e.Now.Add(e.Tolerance)) {
			was.Plan, was.Text = plan.Name, head.Hash // it was looked for departed targets by now
			due = append(due, planned{s, was})
		}
	}
	sights, err := e.look(ctx, head, all, due)
	errs = append(errs, err)
	for _, plan := range due {
		if sights != nil {
			errs = append(errs, e.evaluatePlan(ctx, plan.Snapshot, all, sights, plan.was, &report))
		}
	}
	return report, errors.Join(errs...)
}

// planned has a plan that is due, and its last evaluation.
type planned struct {
	health.Snapshot
	was health.Evaluation
}

// evaluatePlan evaluates each target of the plan by the sights. That costs one request for each 100 events. The last transaction saves
// the note that the events are published. A timer run at the same time publishes the same, under the same IDs.
func (e Evaluator) evaluatePlan(
	ctx context.Context, plan health.Snapshot, all []backup.Plan, sights map[string]sight, was health.Evaluation, report *Report,
) error {
	targets := plan.Plan.Targets
	outcomes, fresh := make([]health.TargetHealth, len(targets)), make([]bool, len(targets))
	var unread []error
	for i, target := range targets {
		s := plan
		s.Of(target, e.service(target), all)
		saw := sights[backup.Partition(target)]
		s.Know(saw.facts)
		if err := cmp.Or(saw.err, s.Unread); err != nil { // an event that comes too early would name the wrong point
			unread = append(unread, fmt.Errorf("evaluate %s: %w", target, err))
			continue // the others are evaluated all the same
		}
		outcomes[i] = s.Evaluate(e.Now)
		fresh[i] = outcomes[i].Status == health.Unprotected && !was.Told(outcomes[i])
	}
	var err error
	if n := len(unread); n > 0 {
		err = fmt.Errorf("%d of the %d targets of plan %s could not be evaluated: %w", n, len(targets), plan.Plan.Name, unread[0])
	}
	var events []backup.Event
	for i, h := range outcomes {
		if fresh[i] {
			report.Unprotected = append(report.Unprotected, h)
			events = append(events, event.TargetUnprotected(h, was.Alarm(h)))
		}
	}
	is := was.After(e.Now, outcomes, fresh, err == nil)
	if err == nil {
		is.Known = was.Text
	}
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
