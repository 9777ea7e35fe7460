package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/schedule"
)

// ErrClock is the error of a tick that did nothing because this process's clock and the catalog's are too far apart.
var ErrClock = errors.New("the clocks disagree: nothing is scheduled or deleted")

// watermark says up to when a plan's slots have been dealt with, and which gap is still to be published.
type watermark struct {
	Plan string    `json:"Plan"`
	At   time.Time `json:"At"`
	// By is the schedule that was used up to At.
	By by `json:"By,omitzero"`
	// Begun is the slot after At whose runs are being made; zero if none is. It is saved before the first of them, so that no tick
	// calls the slot missed, and At moves to it behind the last.
	Begun time.Time `json:"Begun,omitzero"`
	// BegunBy is the schedule that Begun is a slot of.
	BegunBy by `json:"BegunBy,omitzero"`
	// Halted says why the plan makes no runs since At; "" if it does. At stays where it is until that changes, so that a plan at
	// rest writes nothing.
	Halted string `json:"Halted,omitempty"`
	// LastGap is the gap that was noted last; its Count is zero if there never was one.
	LastGap schedule.Gap `json:"LastGap,omitzero"`

	backup.Carried
	etag string
}

// by is a schedule in its time zone, and the zone's offset from UTC at an instant, in seconds: other data of the zone may have
// another offset.
type by struct {
	Expression string `json:"expression"`
	Zone       string `json:"zone"`
	Ahead      int    `json:"ahead"`
}

// byOf returns the schedule by which the plan deals with an instant.
func byOf(p backup.Plan, at time.Time) by {
	b := by{Expression: p.Expression}
	if p.Schedule.Zone != nil {
		b.Zone = p.Schedule.Zone.String()
		_, b.Ahead = at.In(p.Schedule.Zone).Zone()
	}
	return b
}

// since returns the instant after which the next slots lie. If a region has changed its rules, and the program learnt of it, a
// local time that was dealt with may lie ahead once more: it is no slot again.
func (m *watermark) since(plan backup.Plan) time.Time {
	is := byOf(plan, m.At)
	if is.Ahead == m.By.Ahead || is.Expression != m.By.Expression || is.Zone != m.By.Zone || plan.Schedule.Hour == schedule.EveryHour {
		return m.At
	}
	shown := m.At.UTC().Add(time.Duration(m.By.Ahead) * time.Second)
	y, month, d := shown.Date()
	again := schedule.Instant(y, month, d, shown.Hour(), shown.Minute(), shown.Second(), plan.Schedule.Zone)
	if again.After(m.At) {
		return again
	}
	return m.At
}

// unattended is the reason of a gap that was not intended.
const unattended = "nobody looked at the plan: the app did not run, or plan.yaml did not hold it or could not be read"

// ScheduleReport says what one tick did.
type ScheduleReport struct {
	// Created are the IDs of the runs of the slots that came due.
	Created []string
	// Missed are the gaps that this tick found.
	Missed []schedule.Gap
	// Unprotected are the targets that turned so since they were judged last.
	Unprotected []health.TargetHealth
	// Looked counts the runs in flight that the sweep checked, Resent the wake-ups that it sent again.
	Looked, Resent int
	// Called counts the runs that were woken because there was room for their operations.
	Called int
	// Unsent counts events that wait for their queues to take them, and unread resources with such events.
	Unsent int
	// ActivePlan is the row of the plan in force, as the tick read it: for [plans.Store.Observe]. It has no ETag if there is none.
	ActivePlan backup.Row

	// events are the events that this tick put into the outbox of its own partition.
	events []backup.Event
}

// Schedule is one tick. It sweeps. Then for every plan it makes the runs of the newest slot since the plan's watermark, one for
// each target, and notes the slots before that as missed. Rows come before the watermark, and a run's ID comes from its slot: a
// tick that is killed, repeated, or runs twice at once makes one run per slot and target. Ticks without a slot or a late run
// write nothing but a note that they came, once in NoteEvery.
func (e *Engine) Schedule(ctx context.Context, plans []backup.Plan) (ScheduleReport, error) {
	var report ScheduleReport
	state, err := e.standing(ctx)
	own := e.Now() // at once: the sweep may take its time
	now := state.clock
	if now.IsZero() {
		return report, err
	}
	report.ActivePlan = state.book
	// Runs under way come first: a tick that has much to do may not get to its end.
	errs := []error{err, e.sweep(ctx, now, &report)}
	waiting := admission.Dispatcher{Queue: e.Queue, Load: e.load, Apply: e.apply, Most: e.Concurrency}
	report.Called, err = waiting.Dispatch(ctx, state.admission, now)
	apart := e.checkClock(ctx, own, now)
	errs = append(errs, err, apart)
	if apart == nil {
		for _, plan := range plans {
			if state.unread[plan.Name] != nil {
				continue // it stands still; the error names the row
			}
			if err := e.schedulePlan(ctx, plan, state.marks[plan.Name], now, &report); err != nil {
				errs = append(errs, fmt.Errorf("schedule plan %s: %w", plan.Name, err))
			}
		}
	}
	if apart == nil {
		errs = append(errs, e.judge(ctx, plans, state, &report))
		errs = append(errs, e.note(ctx, "schedule", state.ticked["schedule"], now)) // a tick that does nothing does not count
	}
	errs = append(errs, e.drain(ctx, state.outbox, now, &report)) // last: it may take its time, and changes nothing
	return report, errors.Join(errs...)
}

// standing has the rows that a tick must know before anything else: they stand side by side, so that one request reads them.
type standing struct {
	// book is the row of the plan in force.
	book backup.Row
	// judged says when the targets of a plan were judged last, and marks up to when its slots are dealt with, by the plan's name.
	// They have all plans that ever were.
	judged map[string]judged
	marks  map[string]*watermark
	// unread says why a plan's watermark cannot be read, by the plan's name: the plan stands still. unjudged says why the row of its
	// last judging cannot be read.
	unread, unjudged map[string]error
	// ticked are the notes of timers, by the name of the function.
	ticked    map[string]ticked
	admission admission.Rows
	outbox    outbox
	// clock is the catalog's; zero if the rows could not be listed.
	clock time.Time
}

// standing reads these rows. The error also names rows that cannot be read: they stop only their own plan.
func (e *Engine) standing(ctx context.Context) (standing, error) {
	state := standing{judged: map[string]judged{}, marks: map[string]*watermark{}, unread: map[string]error{}, unjudged: map[string]error{}, ticked: map[string]ticked{}}
	var errs []error
	for from := backup.ActivePlanKey.Row; ; {
		rows, now, err := e.Catalog.List(ctx, backup.SchedulePartition, from, backup.Behind(backup.WatermarkPrefix), 1000)
		if err != nil {
			return standing{}, fmt.Errorf("list the watermarks: %w", err)
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

func (s *standing) add(row backup.Row) error {
	switch {
	case row.Key == backup.ActivePlanKey:
		s.book = row
	case strings.HasPrefix(row.Row, backup.TickedPrefix):
		s.ticked[strings.TrimPrefix(row.Row, backup.TickedPrefix)] = decodeTicked(row)
	case strings.HasPrefix(row.Row, backup.LinePrefix):
		s.admission.Queue = append(s.admission.Queue, row)
	case strings.HasPrefix(row.Row, backup.PermitPrefix):
		s.admission.Permits = append(s.admission.Permits, row)
	case isOutbox(row.Row):
		s.outbox.own = append(s.outbox.own, row)
	case strings.HasPrefix(row.Row, backup.OwingPrefix):
		s.outbox.others = append(s.outbox.others, row)
	case row.Key == backup.UndeliverableKey:
	case strings.HasPrefix(row.Row, backup.JudgedPrefix):
		j, err := backup.Decode[judged](row)
		if err != nil {
			s.unjudged[strings.TrimPrefix(row.Row, backup.JudgedPrefix)] = err
			return err
		}
		s.judged[j.Plan] = j
	default:
		m, err := backup.Decode[watermark](row)
		if err != nil {
			s.unread[strings.TrimPrefix(row.Row, backup.WatermarkPrefix)] = err
			return err
		}
		m.etag = row.ETag
		s.marks[m.Plan] = &m
	}
	return nil
}

// halted says why the plan makes no runs at present, "" if it does.
func (e *Engine) halted(plan backup.Plan) string {
	if plan.Paused {
		return "paused by " + plan.Name + " in plan.yaml"
	}
	return e.Stopped
}

// errOvertaken: another tick has saved the watermark since it was read.
var errOvertaken = errors.New("other ticks are faster, again and again")

// schedulePlan deals with one plan. If another tick was faster, it reads again: that one may have died since.
func (e *Engine) schedulePlan(
	ctx context.Context, plan backup.Plan, mark *watermark, now time.Time, report *ScheduleReport,
) error {
	for range 3 {
		if err := e.makeSlot(ctx, plan, mark, now, report); !errors.Is(err, errOvertaken) {
			return err
		}
		row, _, err := e.Catalog.Get(ctx, backup.WatermarkKey(plan.Name))
		if err != nil {
			return fmt.Errorf("read the watermark again: %w", err)
		}
		if *mark, err = backup.Decode[watermark](row); err != nil {
			return err
		}
		mark.etag = row.ETag
	}
	return errOvertaken
}

// makeSlot records missed slots and makes the runs of the newest due slot. It writes in an order that survives a crash or a slow
// tick: (1) the gap, with a watermark that owes its event and has that slot as Begun, in one transaction; (2) the runs; (3) the
// watermark moved to that slot.
func (e *Engine) makeSlot(
	ctx context.Context, plan backup.Plan, mark *watermark, now time.Time, report *ScheduleReport,
) error {
	halted := e.halted(plan)
	if mark == nil {
		// A new plan begins now: it does not count the slots before.
		body := backup.Encode(watermark{Plan: plan.Name, At: now, By: byOf(plan, now), Halted: halted})
		_, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Insert, Key: backup.WatermarkKey(plan.Name), Body: body})
		if errors.Is(err, backup.ErrExists) {
			return nil
		}
		return err
	}
	if mark.At.After(now.Add(clockTolerance)) {
		return fmt.Errorf("its watermark is in the future, at %s, and the storage account's clock says %s: no slot before "+
			"that would make runs; if the clock is right, delete the row %s in the partition %s of the table",
			mark.At.Format(time.RFC3339), now.Format(time.RFC3339), backup.WatermarkKey(plan.Name).Row, backup.SchedulePartition)
	}
	if mark.Halted != "" && mark.Halted == halted {
		return nil
	}
	if !mark.Begun.IsZero() {
		// A tick died among the slot's runs, or is still at it. The slot was not missed, neither by downtime nor by a pause: its other
		// runs are made, and end in their own time.
		if err := e.finish(ctx, plan, mark, now, report); err != nil {
			return err
		}
	}
	if mark.Halted != "" {
		// Slots that came due meanwhile are not caught up on.
		gap := plan.Schedule.Missed(mark.since(plan), now)
		gap.Why = mark.Halted
		mark.At, mark.By, mark.Halted = now, byOf(plan, now), halted
		return e.saveMark(ctx, mark, gap, now, report)
	}
	slot, gap := plan.Schedule.Due(mark.since(plan), now, plan.Window)
	if slot.IsZero() && gap.Count == 0 && halted == "" {
		return nil
	}
	gap.Why = unattended
	if gap.Count > 0 {
		mark.At, mark.By = gap.Last, byOf(plan, gap.Last)
	}
	if mark.Halted = halted; halted == "" && !slot.IsZero() {
		mark.Begun, mark.BegunBy = slot, byOf(plan, slot)
	}
	if err := e.saveMark(ctx, mark, gap, now, report); err != nil || mark.Begun.IsZero() {
		return err
	}
	return e.finish(ctx, plan, mark, now, report)
}

// finish makes the runs of the slot that was begun, and moves the watermark to it.
func (e *Engine) finish(ctx context.Context, plan backup.Plan, mark *watermark, now time.Time, report *ScheduleReport) error {
	if err := e.makeRuns(ctx, plan, mark.Begun, now, report); err != nil {
		return err
	}
	mark.At, mark.By = mark.Begun, mark.BegunBy
	mark.Begun, mark.BegunBy = time.Time{}, by{}
	return e.saveMark(ctx, mark, schedule.Gap{}, now, report)
}

func (e *Engine) makeRuns(ctx context.Context, plan backup.Plan, slot, now time.Time, report *ScheduleReport) error {
	for _, run := range slotRuns(plan, slot, now) {
		fresh, err := e.create(ctx, &run, now)
		if fresh {
			report.Created = append(report.Created, run.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// saveMark saves the watermark, and the gap with it if there is one: both or none.
func (e *Engine) saveMark(ctx context.Context, mark *watermark, gap schedule.Gap, now time.Time, report *ScheduleReport) error {
	var writes []backup.Write
	var events []backup.Event
	if gap.Count > 0 {
		gap.Plan, gap.Found = mark.Plan, now
		mark.LastGap = gap
		events = []backup.Event{event.SlotsMissed(gap)}
		writes = append(event.Owed(backup.SchedulePartition, events), backup.Write{Op: backup.Put, Key: backup.GapKey(gap), Body: backup.Encode(gap)})
	}
	writes = append(writes, backup.Write{Op: backup.Replace, Key: backup.WatermarkKey(mark.Plan), ETag: mark.etag, Body: backup.Encode(mark)})
	etags, err := e.Catalog.Apply(ctx, writes...)
	switch {
	case errors.Is(err, backup.ErrChanged):
		return errOvertaken // the faster tick publishes it
	case err != nil:
		return fmt.Errorf("save the watermark: %w", err) // perhaps it was saved: then the next tick publishes it
	}
	mark.etag = etags[len(etags)-1]
	if gap.Count > 0 {
		report.Missed, report.events = append(report.Missed, gap), append(report.events, events...)
	}
	return nil
}

// create claims the run's ID by inserting its row. It returns false if the row was there before: another process made the run,
// and wakes it. The index entry comes first, so that the sweep finds the run if the first wake-up is never sent. Events go into
// the outbox with the row.
func (e *Engine) create(ctx context.Context, run *backup.Run, now time.Time, events ...backup.Event) (bool, error) {
	run.State, run.Created, run.Updated = cmp.Or(run.State, backup.Queued), now, now
	run.Wake, run.Mark, run.Due = 1, e.NewID(), now
	if run.Start.After(now) {
		run.Due = run.Start
	}
	entry := backup.InflightKey(run.Due.Add(e.Waits.Sweep), run.ID, run.Mark)
	body := backup.Encode(inflight{Run: run.ID, Created: now})
	if _, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: entry, Body: body}); err != nil {
		return false, fmt.Errorf("index run %s: %w", run.ID, err)
	}
	writes := append([]backup.Write{{Op: backup.Insert, Key: run.Key(), Body: backup.Encode(run)}}, event.Owed(run.Key().Partition, events)...)
	etags, err := e.Catalog.Apply(ctx, writes...)
	if errors.Is(err, backup.ErrExists) {
		// The entry is ours alone, since its key has our mark in it. If it stays, the sweep drops it.
		_, _ = e.Catalog.Apply(ctx, backup.Write{Op: backup.Delete, Key: entry, ETag: "*"})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create run %s: %w", run.ID, err)
	}
	run.RowETag = etags[0]
	if run.State.Final() { // refused at once: it only owes its event
		return true, nil
	}
	if err := e.Queue.Wake(ctx, run.Wakeup(), run.Due.Sub(now)); err != nil {
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
		e.announce(ctx, event.ClockJumped(now, own)))
}
