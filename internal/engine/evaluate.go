package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// evaluated is the row that says when the targets of a plan were evaluated last. It stands between the row of the active plan
// and the checkpoints, so that a timer run reads all of them at once.
type evaluated struct {
	Plan string    `json:"Plan"`
	At   time.Time `json:"At"`
	// Again is the first deadline of a target that was not unprotected; zero if there is none.
	Again time.Time `json:"Again,omitzero"`
	// Published lists the alerts that were published and still held, as the last parts of their events' IDs.
	Published []string `json:"Published,omitempty"`

	backup.Carried
}

// reevaluate is the least time between two evaluations without a scheduled time in between: each reads a row of every target.
const reevaluate = 10 * time.Minute

// due says that a scheduled time of the plan, or a target's deadline, has passed since. A time in the future comes from a clock
// that was wrong.
func (v evaluated) due(plan backup.Plan, now time.Time) bool {
	next := plan.Schedule.Next(v.At)
	return v.At.After(now.Add(clockTolerance)) || !next.IsZero() && !next.After(now) || !v.Again.IsZero() && now.After(v.Again)
}

// evaluate publishes which targets turned unprotected. It evaluates plans that make no runs as well: their targets are no better
// protected for it.
func (e *Engine) evaluate(ctx context.Context, all []backup.Plan, state schedulerState, report *ScheduleReport) error {
	now := state.clock
	head, err := plans.ReadHead(state.activePlan)
	if err != nil || state.activePlan.ETag == "" {
		head = plans.Head{Since: now}
	}
	errs := []error{err}
	for _, plan := range all {
		if state.unevaluated[plan.Name] != nil {
			continue // the timer run says so; it is not known which alerts were published
		}
		s := health.Snapshot{RowError: state.unread[plan.Name], Plan: plan, Since: head.Since, ProcessedUntil: now, Paused: e.paused(plan)}
		if head.Refused != "" {
			s.Refused = errors.New(head.Reason)
		}
		var was evaluated // a new plan may differ from an old one only by its name
		if c := state.checkpoints[plan.Name]; c != nil {
			s.ProcessedUntil, s.MissedRuns, was = c.Since(plan), c.LastMissedRuns, state.evaluated[plan.Name]
		} else if s.RowError != nil {
			was = state.evaluated[plan.Name]
		}
		if was.due(plan, now) {
			errs = append(errs, e.evaluatePlan(ctx, s, was, now, report))
		}
	}
	return errors.Join(errs...)
}

// evaluatePlan evaluates each target of the plan. That costs one request for each, and one for each 100 writes. The last
// transaction saves the note that the events are published. A timer run at the same time publishes the same, under the same IDs.
func (e *Engine) evaluatePlan(ctx context.Context, plan health.Snapshot, was evaluated, now time.Time, report *ScheduleReport) error {
	targets := plan.Plan.Targets
	outcomes, fresh, errs := make([]health.TargetHealth, len(targets)), make([]bool, len(targets)), make([]error, len(targets))
	_ = e.forEach(len(targets), func(i int) error {
		s := plan
		s.Target = targets[i]
		outcomes[i], fresh[i], errs[i] = e.evaluateTarget(ctx, s, was, now)
		return nil // the others are evaluated all the same
	})
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	var err error
	if n := len(errs); n > 0 {
		err = fmt.Errorf("%d of the %d targets of plan %s could not be evaluated: %w", n, len(targets),
			plan.Plan.Name, errs[0])
	}
	is := evaluated{Plan: plan.Plan.Name, At: now, Carried: was.Carried}
	if err != nil {
		// The next timer run evaluates again.
		is.At, is.Again, is.Published = was.At, was.Again, was.Published
	}
	var events []backup.Event
	for i, h := range outcomes {
		if fresh[i] {
			report.Unprotected = append(report.Unprotected, h)
			events = append(events, event.TargetUnprotected(h))
		}
		switch {
		case fresh[i] || err == nil && h.Status == health.Unprotected:
			is.Published = append(is.Published, h.AlertKey())
		case err == nil && !h.Deadline.IsZero() && (is.Again.IsZero() || h.Deadline.Before(is.Again)):
			is.Again = h.Deadline
		}
	}
	if err == nil && !is.Again.IsZero() {
		is.Again = backup.Later(is.Again, now.Add(reevaluate))
	}
	if err != nil && !slices.Contains(fresh, true) {
		return err
	}
	writes := event.OutboxWrites(backup.SchedulePartition, events)
	key := backup.EvaluatedKey(is.Plan)
	writes = append(writes, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(is)})
	for page := range slices.Chunk(writes, backup.MostWrites) { // the evaluated row comes last: a repeat writes the same events
		if _, saved := e.Catalog.Apply(ctx, page...); saved != nil {
			return errors.Join(err, fmt.Errorf("save that the targets of plan %s were evaluated: %w", is.Plan, saved))
		}
	}
	report.events = append(report.events, events...)
	return err
}

// evaluateTarget evaluates one target. It returns fresh if the target is unprotected and that was not published yet.
func (e *Engine) evaluateTarget(
	ctx context.Context, s health.Snapshot, was evaluated, now time.Time,
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
		if s.Points, err = e.points(ctx, s.Target, backup.Behind(backup.PointPrefix)); err != nil {
			return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
		}
	}
	h = s.Evaluate(now)
	if h.Status != health.Unprotected || slices.Contains(was.Published, h.AlertKey()) {
		return h, false, nil
	}
	if err := e.recentRuns(ctx, &s); err != nil {
		return h, false, fmt.Errorf("evaluate %s: %w", s.Target, err)
	}
	return s.Evaluate(now), true, nil
}
