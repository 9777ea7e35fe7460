package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/evaluation"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/history"
	"lifeboat/internal/outbox"
	"lifeboat/internal/request"
	"lifeboat/internal/schedule"
)

// ErrClock is the error of a timer run that did nothing because this process's clock and the catalog's are too far apart.
var ErrClock = errors.New("the clocks disagree: nothing is scheduled or deleted")

// ScheduleReport says what one timer run did.
type ScheduleReport struct {
	// Created are the IDs of the runs of the scheduled times that came due, and of changes that became quiet. A timer run that
	// goes on for one that died names the runs of the other too.
	Created []string
	// Missed are the missed periods that this timer run found.
	Missed []schedule.MissedRuns
	// Unprotected are the targets that turned so since they were evaluated last.
	Unprotected []health.TargetHealth
	// Scanned counts the runs in flight that the rescuer checked, Requeued the step messages that it sent again.
	Scanned, Requeued int

	// Unsent counts events that wait for their queues to take them, and unread resources with such events.
	Unsent int
	// ActivePlan is the row of the active plan, as the timer run read it: for [plans.Store.Observe]. It has no ETag if there is
	// none.
	ActivePlan backup.Row
	// Owns tells that this app owns the catalog, and that the rows below are of this timer run, whatever else failed.
	Owns bool
	// Check is the row of the newest check, as the timer run read it: for [Engine.CheckPlans]. It has no ETag if there is none.
	Check backup.Row
	// Selection is the row about the targets that plans select, in the same way: for [Engine.Select].
	Selection backup.Row

	// events are the events that this timer run put into the outbox of its own partition.
	events []backup.Event
}

// Schedule is one timer run. First it rescues runs whose step messages were lost. Then for every plan it makes the runs of the
// newest scheduled time since the plan's checkpoint, one for each target, and notes the scheduled times before that as missed.
// Rows come before the checkpoint, and a run's ID comes from its scheduled time: a timer run that is killed, repeated, or runs
// twice at once makes one run per scheduled time and target. Timer runs without a scheduled time or a late run write nothing but
// a note that they came, once in NoteEvery. It returns an [apps.NotOwner] if another app owns the catalog, and does nothing. The plans are nil if it is not known which are active.
func (e *Engine) Schedule(ctx context.Context, plans []backup.Plan) (ScheduleReport, error) {
	var report ScheduleReport
	state, err := e.schedulerState(ctx)
	own := e.Now() // at once: the rescuer may take its time
	now := state.clock
	if now.IsZero() {
		return report, err
	}
	report.ActivePlan, report.Check, report.Selection = state.ActivePlan, state.check, state.selection
	if err := e.Ownership().Settle(ctx, state.apps, now); err != nil {
		return report, err
	}
	report.Owns = true
	inherited := e.Ownership().Inherit(ctx, state.apps)
	// Runs under way come first: a timer run that has much to do may not get to its end.
	stopped := state.apps.Stopped(e.Stopped)
	errs := []error{err, inherited, stopped.Unread, e.rescue(ctx, now, &report)}
	waiting := admission.Dispatcher{Queue: e.Queue, Load: e.load, Apply: e.apply, Most: e.Concurrency}
	_, err = waiting.Dispatch(ctx, state.admission, now)
	apart := e.checkClock(ctx, own, now)
	errs = append(errs, err, apart)
	look := checkpoint.Look{Now: now, Looked: e.Timers["schedule"].Looked(state.timers["schedule"], now, clockTolerance), Stopped: stopped.Backups()}
	if apart == nil {
		for _, plan := range plans {
			errs = append(errs, e.backUpChanges(ctx, plan, look, state.changes, &report))
			if state.Unread[plan.Name] != nil {
				continue // it stands still; the error names the row
			}
			if err := e.schedulePlan(ctx, plan, state.Checkpoints[plan.Name], look, &report); err != nil {
				errs = append(errs, fmt.Errorf("schedule plan %s: %w", plan.Name, err))
			}
		}
		if plans != nil {
			errs = append(errs, e.noteLeft(ctx, plans, state, look, &report))
		}
		found, err := e.evaluator(state).Evaluate(ctx, plans)
		report.Unprotected, report.events = found.Unprotected, append(report.events, found.Events...)
		errs = append(errs, err)
		errs = append(errs, e.note(ctx, "schedule", state.timers["schedule"], now)) // a timer run that does nothing does not count
	}
	unsent, err := e.Outbox().Drain(ctx, state.unsent, report.events, now) // last: it may take its time, and changes nothing
	report.Unsent += unsent
	errs = append(errs, err)
	return report, errors.Join(errs...)
}

// schedulerState has the rows that a timer run must know before anything else: they stand side by side, so that one request
// reads them.
type schedulerState struct {
	evaluation.Rows
	// undeleted are the targets with recovery points that could not be deleted.
	undeleted []health.Undeleted
	// stock says how many recovery points there are.
	stock health.Stock
	// check is the row of the newest check, as it was read.
	check backup.Row
	// selection is the row about the targets that plans select, as it was read.
	selection backup.Row
	// coverage says which services no plan has.
	coverage health.Coverage
	// changes are the changes of targets that make backups.
	changes map[backup.Key]request.Changes
	// timers say when the timers ran last, by the names of their functions.
	timers    map[string]health.TimerRecord
	apps      apps.State
	admission admission.Rows
	unsent    outbox.Unsent
	// clock is the catalog's; zero if the rows could not be listed.
	clock time.Time
}

// schedulerState reads these rows. The error also names rows that cannot be read: they stop only their own plan.
func (e *Engine) schedulerState(ctx context.Context) (schedulerState, error) {
	state := schedulerState{
		Rows: evaluation.NewRows(), timers: map[string]health.TimerRecord{}, changes: map[backup.Key]request.Changes{},
	}
	var errs []error
	for from := backup.ActivePlanKey.Row; ; {
		rows, now, err := e.Catalog.List(ctx, backup.SchedulePartition, from, backup.Behind(backup.CheckpointPrefix), 1000)
		if err != nil {
			return schedulerState{}, fmt.Errorf("list the checkpoints: %w", err)
		}
		if state.clock.IsZero() {
			state.clock = now
		}
		for _, row := range rows {
			errs = append(errs, state.add(row))
		}
		if len(rows) < 1000 {
			return state, errors.Join(errs...)
		}
		from = rows[len(rows)-1].Row + "!"
	}
}

func (s *schedulerState) add(row backup.Row) error {
	switch {
	case s.apps.Add(row):
	case strings.HasPrefix(row.Row, backup.ChangesPrefix):
		return s.addChanges(row)
	case strings.HasPrefix(row.Row, backup.DeletionPrefix):
		u, err := backup.Decode[health.Undeleted](row)
		if err == nil {
			s.undeleted = append(s.undeleted, u)
		}
		return err
	case strings.HasPrefix(row.Row, backup.TimerPrefix):
		s.timers[strings.TrimPrefix(row.Row, backup.TimerPrefix)] = health.DecodeTimer(row)
	case row.Key == backup.StockKey:
		s.stock = health.DecodeStock(row)
	case row.Key == backup.CheckKey:
		s.check = row
	case row.Key == backup.PrunedKey: // cleanup reads it
	case row.Key == backup.SelectionKey:
		s.selection = row
	case row.Key == backup.CoverageKey:
		s.coverage = health.DecodeCoverage(row)
	case s.admission.Add(row):
	case outbox.Has(row.Row):
		s.unsent.Own = append(s.unsent.Own, row)
	case strings.HasPrefix(row.Row, backup.UnpublishedPrefix):
		s.unsent.Others = append(s.unsent.Others, row)
	case row.Key == backup.UndeliverableKey:
	default:
		return s.Add(row)
	}
	return nil
}

// errOtherTimerRuns: another timer run has saved the checkpoint since it was read.
var errOtherTimerRuns = errors.New("other timer runs save the checkpoint first, again and again")

// schedulePlan deals with one plan. If another timer run was faster, it reads again: that one may have died since.
func (e *Engine) schedulePlan(
	ctx context.Context, plan backup.Plan, c *checkpoint.Checkpoint, look checkpoint.Look, report *ScheduleReport,
) error {
	for range 3 {
		if err := e.scheduleDue(ctx, plan, c, look, report); !errors.Is(err, errOtherTimerRuns) {
			return err
		}
		row, _, err := e.Catalog.Get(ctx, backup.CheckpointKey(plan.Name))
		if err != nil {
			return fmt.Errorf("read the checkpoint again: %w", err)
		}
		if *c, err = backup.Decode[checkpoint.Checkpoint](row); err != nil {
			return err
		}
		c.ETag = row.ETag
	}
	return errOtherTimerRuns
}

// scheduleDue records missed scheduled times and makes the runs of the newest due one, as [checkpoint.Look.Run] says. It writes in
// an order that survives a crash or a slow timer run: (1) the missed period, with its event in the outbox and a checkpoint that has
// the due scheduled time as InProgress, in one transaction; (2) the runs; (3) the checkpoint moved to that scheduled time.
func (e *Engine) scheduleDue(
	ctx context.Context, plan backup.Plan, c *checkpoint.Checkpoint, look checkpoint.Look, report *ScheduleReport,
) error {
	if c == nil {
		return e.apply(ctx, backup.Write{
			Op: backup.Insert, Key: backup.CheckpointKey(plan.Name), Body: backup.Encode(look.New(plan)),
		})
	}
	if c.At.After(look.Now.Add(clockTolerance)) {
		return fmt.Errorf("its checkpoint is in the future, at %s, and the storage account's clock says %s: no scheduled time before "+
			"that would make runs; if the clock is right, delete the row %s in the partition %s of the table",
			c.At.Format(time.RFC3339), look.Now.Format(time.RFC3339), backup.CheckpointKey(plan.Name).Row, backup.SchedulePartition)
	}
	if !c.InProgress.IsZero() {
		// A timer run died among the scheduled time's runs, or is still at it. The scheduled time was not missed, neither by
		// downtime nor by a pause: its other runs are made, and end in their own time.
		if err := e.makeInProgress(ctx, plan, c, look.Now, true, report); err != nil {
			return err
		}
	}
	next, missedRuns, changed := look.Step(*c, plan)
	if !changed {
		return nil
	}
	if err := e.saveCheckpoint(ctx, c, next, missedRuns, look.Now, report); err != nil || c.InProgress.IsZero() {
		return err
	}
	return e.makeInProgress(ctx, plan, c, look.Now, false, report)
}

// noteLeft saves which plans are in plan.yaml no more, once for each, and the missed period of what came due before. So, if one comes
// back, nothing of the time without it counts as missed, and no plan that has another name now loses a scheduled time silently.
func (e *Engine) noteLeft(
	ctx context.Context, plans []backup.Plan, state schedulerState, look checkpoint.Look, report *ScheduleReport,
) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(state.Checkpoints)) {
		c := state.Checkpoints[name]
		if name == "" || c.Paused == checkpoint.Left || slices.ContainsFunc(plans, func(p backup.Plan) bool { return p.Name == name }) {
			continue
		}
		left, missed := look.Leave(*c, plans)
		err := e.saveCheckpoint(ctx, c, left, missed, state.clock, report)
		if err != nil && !errors.Is(err, errOtherTimerRuns) { // the next timer run looks again
			errs = append(errs, fmt.Errorf("note that plan.yaml does not hold the plan %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// makeInProgress makes the runs of the scheduled time in c, and moves the checkpoint to it. If an earlier timer run began with them, it
// may have evaluated the targets without them: so they are marked.
func (e *Engine) makeInProgress(
	ctx context.Context, plan backup.Plan, c *checkpoint.Checkpoint, now time.Time, begun bool, report *ScheduleReport,
) error {
	if err := e.makeRuns(ctx, plan, c.InProgress, now, begun, report); err != nil {
		return err
	}
	return e.saveCheckpoint(ctx, c, c.Made(), schedule.MissedRuns{}, now, report)
}

// makeRuns makes the runs of a scheduled time that are not there yet. The entries of as many as fit into a transaction go into the index
// first, by one request; then the runs are made, Parallelism at a time. A death in between leaves entries without runs: the rescuer drops them.
func (e *Engine) makeRuns(ctx context.Context, plan backup.Plan, scheduledTime, now time.Time, marked bool, report *ScheduleReport) error {
	for runs := range slices.Chunk(checkpoint.Runs(plan, scheduledTime, now), backup.MostWrites) {
		entries := make([]backup.Write, len(runs))
		for i := range runs {
			entries[i] = e.entry(&runs[i], now)
		}
		if _, err := e.Catalog.Apply(ctx, entries...); err != nil {
			return fmt.Errorf("index %d runs from %s on: %w", len(runs), runs[0].ID, err)
		}
		fresh := make([]bool, len(runs))
		err := e.forEach(len(runs), func(i int) (err error) {
			fresh[i], err = e.insert(ctx, &runs[i], now)
			return err
		})
		if err == nil && marked {
			err = e.mark(ctx, targetsOf(runs)...)
		}
		var made []backup.Write // by others
		for i, run := range runs {
			if fresh[i] {
				report.Created = append(report.Created, run.ID)
			} else {
				made = append(made, entries[i])
			}
		}
		if err != nil {
			return err // some of the others are perhaps not there yet
		}
		e.unindex(ctx, made...)
	}
	return nil
}

func targetsOf(runs []backup.Run) (targets []string) {
	for _, run := range runs {
		targets = append(targets, run.Target)
	}
	return targets
}

// saveCheckpoint saves the next checkpoint in place of c, and the missed period with it if there is one: both or none.
func (e *Engine) saveCheckpoint(
	ctx context.Context, c *checkpoint.Checkpoint, next checkpoint.Checkpoint, missedRuns schedule.MissedRuns, now time.Time,
	report *ScheduleReport,
) error {
	var writes []backup.Write
	var events []backup.Event
	if missedRuns.Count > 0 {
		missedRuns.Plan, missedRuns.Found = c.Plan, now
		next.LastMissedRuns = missedRuns
		events = []backup.Event{event.ScheduleMissed(missedRuns)}
		writes = append(event.OutboxWrites(backup.SchedulePartition, events), backup.Write{
			Op: backup.Put, Key: backup.MissedRunsKey(missedRuns), Body: backup.Encode(missedRuns),
		}, history.Missed(missedRuns))
	}
	writes = append(writes, backup.Write{
		Op: backup.Replace, Key: backup.CheckpointKey(c.Plan), ETag: c.ETag, Body: backup.Encode(next),
	})
	etags, err := e.Catalog.Apply(ctx, writes...)
	switch {
	case errors.Is(err, backup.ErrChanged):
		return errOtherTimerRuns // the faster timer run publishes it
	case err != nil:
		return fmt.Errorf("save the checkpoint: %w", err) // perhaps it was saved: then the next timer run publishes it
	}
	*c = next
	c.ETag = etags[len(etags)-1]
	if missedRuns.Count > 0 {
		report.Missed, report.events = append(report.Missed, missedRuns), append(report.events, events...)
	}
	return nil
}

// create makes the run. The index entry comes first, so that the rescuer finds the run if the first step message is never sent.
func (e *Engine) create(ctx context.Context, run *backup.Run, now time.Time, events ...backup.Event) (bool, error) {
	entry := e.entry(run, now)
	if _, err := e.Catalog.Apply(ctx, entry); err != nil {
		return false, fmt.Errorf("index run %s: %w", run.ID, err)
	}
	fresh, err := e.insert(ctx, run, now, events...)
	if !fresh && err == nil {
		e.unindex(ctx, entry)
	}
	return fresh, err
}

// unindex deletes entries of runs that other processes made. The entries are ours alone, since their keys have our nonces in them. If they
// stay, the rescuer drops them.
func (e *Engine) unindex(ctx context.Context, entries ...backup.Write) {
	var deletes []backup.Write
	for _, entry := range entries {
		deletes = append(deletes, backup.Write{Op: backup.Delete, Key: entry.Key, ETag: "*"})
	}
	if len(deletes) > 0 {
		_, _ = e.Catalog.Apply(ctx, deletes...)
	}
}

// entry completes a new run, and returns the write of its entry in the index of runs in flight.
func (e *Engine) entry(run *backup.Run, now time.Time) backup.Write {
	run.State, run.Created, run.Updated = cmp.Or(run.State, backup.Queued), now, now
	run.Sequence, run.Nonce, run.Due = 1, e.NewID(), backup.Later(now, run.Start)
	return indexed(backup.InflightKey(run.Due.Add(e.Timings.Rescue), run.ID, run.Nonce), run.ID, now)
}

// insert claims the run's ID by inserting its row. It returns false if the row was there before: another process made the run, and wakes
// it. Events go into the outbox with the row.
func (e *Engine) insert(ctx context.Context, run *backup.Run, now time.Time, events ...backup.Event) (bool, error) {
	insert := backup.Write{Op: backup.Insert, Key: run.Key(), Body: backup.Encode(run)}
	writes := append([]backup.Write{insert}, event.OutboxWrites(run.Key().Partition, events)...)
	etags, err := e.Catalog.Apply(ctx, writes...)
	if errors.Is(err, backup.ErrExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create run %s: %w", run.ID, err)
	}
	run.RowETag = etags[0]
	if run.State.Final() { // refused at once: only its event is left
		return true, e.mark(ctx, run.Target)
	}
	if err := e.Queue.SendStep(ctx, run.StepMessage(), run.Due.Sub(now)); err != nil {
		return true, fmt.Errorf("wake run %s for the first time: %w", run.ID, err)
	}
	return true, nil
}

// checkClock compares our own clock with the catalog's at the same time, and publishes an event if they are too far apart: one of
// them would delete points too early.
func (e *Engine) checkClock(ctx context.Context, own, now time.Time) error {
	apart := own.Sub(now)
	if apart.Abs() <= clockTolerance {
		return nil
	}
	return errors.Join(
		fmt.Errorf("%w: the storage account says %s, this process %s", ErrClock, now.UTC().Format(time.RFC3339),
			own.UTC().Format(time.RFC3339)),
		e.Outbox().Announce(ctx, event.ClockJumped(now, own)))
}
