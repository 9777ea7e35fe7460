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
	"sync"
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
	// returns says when targets came back into their plans, for a timer run; nil outside.
	returns func() returns
}

// Report says what an evaluation found.
type Report struct {
	// Unprotected are the targets that turned so since they were evaluated last.
	Unprotected []health.TargetHealth
	// Events are the events that it put into the outbox of the timer's partition.
	Events []backup.Event
}

// Evaluate publishes which targets turned unprotected, and which of these are no longer so. It evaluates plans that make no runs as well:
// their targets are no better protected for it. It evaluates a target with an alarm whenever that has changed, and all targets of a plan
// with an alarm when plan.yaml has changed.
func (e Evaluator) Evaluate(ctx context.Context, all []backup.Plan) (Report, error) {
	var report Report
	head, err := plans.ReadHead(e.ActivePlan)
	if err != nil || e.ActivePlan.ETag == "" {
		head = plans.Head{Since: e.Now}
	}
	over, unchecked := e.Finder.Recheck(ctx, e.Incomplete, e.Now)
	report.Events = over
	e.returns = sync.OnceValue(func() returns {
		if e.Left == nil || all == nil {
			return nil
		}
		left, _ := e.Left(ctx, head, all, e.Now) // a text that cannot be read tells nothing
		return returnsOf(left)
	})
	edited, unread, untaken := e.takeBack(ctx, head, all, &report)
	errs := []error{err, untaken, unread, unchecked}
	if untaken != nil {
		return report, errors.Join(errs...) // an evaluation would forget the alarms about what has left
	}
	var due, others []planned
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
		text, again := edited[plan.Name]
		if again || was.Due(plan, e.Now, e.Now.Add(e.Tolerance)) {
			if !again {
				text = head.Hash
			}
			was.Plan, was.Text, was.ETag = plan.Name, text, e.evaluated[plan.Name].ETag // it was looked for departed targets by now
			due = append(due, planned{s, was})
		} else if len(was.Published) > 0 {
			others = append(others, planned{s, was})
		}
	}
	sights, err := e.look(ctx, head, all, due, func(sights map[string]sight) (map[string]bool, error) {
		return e.endAlarms(ctx, others, all, sights, &report)
	})
	errs = append(errs, err)
	var asking []backup.Plan
	for _, plan := range due {
		asking = append(asking, plan.Plan)
	}
	stated, unstated := e.statements(ctx, asking)
	for _, plan := range due {
		untold := cmp.Or(unstated, e.tellProofs(ctx, plan.Plan, all, stated, &report)) // before the save that the plan is evaluated
		if sights == nil {
			errs = append(errs, untold)
			continue
		}
		errs = append(errs, e.evaluatePlan(ctx, plan, all, sights, stated, untold, &report))
	}
	return report, errors.Join(errs...)
}

// planned has a plan, and its last evaluation.
type planned struct {
	health.Snapshot
	was health.Evaluation
}

// evaluatePlan evaluates each target of the plan by the sights. That costs one request for each 100 events. The last transaction saves
// the note that the events are published. A timer run at the same time publishes the same, under the same IDs. If the proofs of the plan are
// untold, the next timer run evaluates it again.
func (e Evaluator) evaluatePlan(
	ctx context.Context, plan planned, all []backup.Plan, sights map[string]sight, stated statements, untold error, report *Report,
) error {
	was, targets := plan.was, plan.Plan.Targets
	outcomes := make([]health.TargetHealth, len(targets))
	var unread []error
	for i, target := range targets {
		s := plan.Snapshot
		s.Of(target, e.service(target), all)
		saw := sights[backup.Partition(target)]
		s.Know(saw.facts)
		s.Proof = e.proof(plan.Plan, target, stated)
		if err := cmp.Or(saw.err, s.Unread); err != nil { // an event that comes too early would name the wrong point
			unread = append(unread, fmt.Errorf("evaluate %s: %w", target, err))
			continue // the others are evaluated all the same
		}
		if outcomes[i] = s.Evaluate(e.Now); outcomes[i].Status == health.Unprotected && !was.Alarmed(backup.Partition(target)) {
			s.Returns = e.returns().of(plan.Plan.Name, target) // only now: that may cost requests
			outcomes[i] = s.Evaluate(e.Now)
		}
	}
	err := untold
	if n := len(unread); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the %d targets of plan %s could not be evaluated: %w", n, len(targets), plan.Plan.Name, unread[0]))
	}
	var events []backup.Event
	is, begun, over := was.After(e.Now, outcomes, err == nil)
	for _, alarm := range begun {
		report.Unprotected = append(report.Unprotected, alarm.TargetHealth)
		events = append(events, event.TargetUnprotected(alarm.TargetHealth, alarm.ID))
	}
	for _, alarm := range over {
		events = append(events, event.TargetProtected(alarm.TargetHealth, alarm.ID, e.since(alarm.TargetHealth, was)))
	}
	if err == nil {
		is.Known = was.Text
	}
	rows, found, unsearched := e.Finder.Evaluated(ctx, plan.Plan, was, &is, outcomes, err == nil, e.Now)
	if err != nil && len(events)+len(found) == 0 && maps.Equal(is.Searched, was.Searched) {
		return errors.Join(err, unsearched)
	}
	unsaved := e.save(ctx, is, events, report, rows...)
	if unsaved == nil {
		report.Events = append(report.Events, found...) // rows has them
	}
	if errors.Is(unsaved, errRaced) {
		unsaved = e.markAgain(ctx, targets) // that one may have looked before this one
	}
	return errors.Join(err, unsearched, unsaved)
}

// markAgain marks the targets whose marks this timer run may have deleted, so that the next one looks at them.
func (e Evaluator) markAgain(ctx context.Context, targets []string) error {
	var marks []backup.Write
	for _, target := range targets {
		if _, marked := e.marks[backup.Partition(target)]; marked {
			marks = append(marks, health.Mark(target))
		}
	}
	for page := range slices.Chunk(marks, backup.MostWrites) {
		if _, err := e.Catalog.Apply(ctx, page...); err != nil {
			return fmt.Errorf("mark the targets of a plan that another timer run evaluated: %w", err)
		}
	}
	return nil
}

// since returns the time since which the target is no longer unprotected: its newest recovery point was made then. It is now if the target
// had that point at the last evaluation. Then the point was accepted, or the plan was edited.
func (e Evaluator) since(h health.TargetHealth, was health.Evaluation) time.Time {
	if h.Point != nil && h.Point.Created.After(was.At) {
		return h.Point.Created
	}
	return e.Now
}

// endAlarms publishes which alarms of these plans are over by the sights; the plans are not evaluated now. It returns the partitions of the
// targets whose alarms could not be ended: their marks stay, so that the next timer run looks again.
func (e Evaluator) endAlarms(
	ctx context.Context, others []planned, all []backup.Plan, sights map[string]sight, report *Report,
) (unsaved map[string]bool, err error) {
	unsaved = map[string]bool{}
	var errs []error
	for _, plan := range others {
		is := plan.was
		var ended []string
		var events []backup.Event
		for _, target := range plan.Plan.Targets {
			here := backup.Partition(target)
			saw, looked := sights[here]
			if !looked || saw.err != nil || !is.Alarmed(here) {
				continue
			}
			s := plan.Snapshot
			s.Of(target, e.service(target), all)
			s.Know(saw.facts)
			h := s.Evaluate(e.Now)
			if h.Status == health.Unprotected {
				continue
			}
			var id string
			is, id = is.End(h, e.Now)
			ended, events = append(ended, here), append(events, event.TargetProtected(h, id, e.since(h, plan.was)))
		}
		if len(events) == 0 {
			continue
		}
		if err := e.save(ctx, is, events, report); err != nil {
			for _, here := range ended {
				unsaved[here] = true
			}
			if !errors.Is(err, errRaced) {
				errs = append(errs, err)
			}
		}
	}
	return unsaved, errors.Join(errs...)
}

// errRaced: another timer run has saved the evaluation since it was read.
var errRaced = errors.New("another timer run evaluated the targets")

// save saves the row with its events, behind other writes in pairs, which no transaction splits. The row comes last: a repeat
// writes the same events. It returns errRaced if another timer run was faster.
func (e Evaluator) save(
	ctx context.Context, is health.Evaluation, events []backup.Event, report *Report, pairs ...backup.Write,
) error {
	writes := append(slices.Concat(pairs, event.OutboxWrites(backup.SchedulePartition, events)), is.Write())
	var etags []string
	for page := range slices.Chunk(writes, backup.MostWrites) {
		var err error
		if etags, err = e.Catalog.Apply(ctx, page...); err != nil {
			if _, raced := errors.AsType[*backup.WriteError](err); raced {
				err = errRaced
			}
			return fmt.Errorf("save that the targets of plan %s were evaluated: %w", is.Plan, err)
		}
	}
	is.ETag = etags[len(etags)-1]
	e.evaluated[is.Plan] = is
	report.Events = append(report.Events, events...)
	return nil
}

// takeBack publishes that the alarms about targets that have left a plan are over. It looks once for each text of plan.yaml, and only if
// an alarm of the plan holds; a repeat publishes the same. It returns the plans with alarms that have another text by now, each with the text
// that the evaluation of its targets is to note. If a target that has left cannot be read, unread says so: its alarm holds until a later
// timer run reads it, for which the noted text stays the old one.
func (e Evaluator) takeBack(
	ctx context.Context, head plans.Head, all []backup.Plan, report *Report,
) (edited map[string]string, unread, err error) {
	edited = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(e.evaluated)) {
		is := e.evaluated[name]
		if len(is.Published) == 0 || is.Text == head.Hash || all == nil || e.Left == nil {
			continue
		}
		left, err := e.Left(ctx, head, all, e.Now)
		if err != nil {
			return nil, unread, err
		}
		text, stay := head.Hash, []string(nil)
		var events []backup.Event
		for _, d := range e.readDeparted(ctx, left, is) {
			var alarm string
			if d.Err != nil {
				text, stay = is.Text, append(stay, d.Target)
				unread = errors.Join(unread, fmt.Errorf("take the alarm about %s back, which has left the plan %s: %w", d.Target, name, d.Err))
			} else if is, alarm = is.TakeBack(d, e.Now); alarm != "" {
				events = append(events, event.TargetLeft(d, alarm))
			}
		}
		i := slices.IndexFunc(all, func(p backup.Plan) bool { return p.Name == name })
		if i >= 0 {
			edited[name], stay = text, slices.Concat(stay, all[i].Targets)
		} else {
			is.Text = text
		}
		is = is.Only(stay)
		if e.evaluated[name] = is; len(events) == 0 && (i >= 0 || text != head.Hash) {
			continue
		}
		switch err := e.save(ctx, is, events, report); {
		case errors.Is(err, errRaced):
			e.unevaluated[name] = err // the next timer run looks again
		case err != nil:
			return nil, unread, err
		}
	}
	return edited, unread, nil
}

// readDeparted looks at the targets with an alarm that have left the plan, in its order.
func (e Evaluator) readDeparted(ctx context.Context, left []plans.Left, is health.Evaluation) []health.Departed {
	left = slices.DeleteFunc(left, func(l plans.Left) bool {
		return l.Plan != is.Plan || !l.Back.IsZero() || !is.MayAlarm(backup.Partition(l.Target))
	})
	gone := make([]health.Departed, len(left))
	_ = e.Finder.ForEach(len(left), func(i int) error {
		saw := e.lookAt(ctx, left[i].Target, health.Facts{})
		saw.facts.Unread = "" // the other rows tell enough
		gone[i] = health.NewDeparted(left[i].Plan, left[i].Target, left[i].At, saw.facts, saw.err)
		return nil // the alarms about the others are taken back all the same
	})
	return gone
}
