package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrClock is the error of a tick that did nothing because this process's clock and the catalog's are too far apart.
var ErrClock = errors.New("the clocks disagree: nothing is scheduled or deleted")

// watermark is how far a plan's slots have been made into runs.
type watermark struct {
	Plan string    `json:"Plan"`
	At   time.Time `json:"At"`
}

const schedulePartition = "schedule"

// mostSlots bounds what one tick makes of one plan; the next goes on from there.
const mostSlots = 100

// ScheduleReport says what one tick did.
type ScheduleReport struct {
	// Created are the IDs of the runs of the slots that came due.
	Created []string
	// Looked counts the runs in flight that the sweep looked at, Resent the wake-ups that it sent again.
	Looked, Resent int
	// Book is the row of the plan in force, as the tick read it: for [Book.Saw]. It has no ETag if there is none.
	Book Row
}

// Schedule is one tick: it makes a run of every slot due since the plan's watermark, for every target, and then sweeps.
// Rows come before the watermark, and a run's ID comes from its slot: a tick that is killed, repeated, or runs twice at
// once makes one run per slot and target. Ticks without a slot or a late run write nothing.
func (e *Engine) Schedule(ctx context.Context, plans []Plan) (ScheduleReport, error) {
	var report ScheduleReport
	rows, now, err := e.Catalog.List(ctx, schedulePartition, "", "~", 1000)
	if err != nil {
		return report, fmt.Errorf("list the watermarks: %w", err)
	}
	marks := map[string]Row{}
	for _, row := range rows {
		marks[row.Row] = row
	}
	report.Book = marks[bookKey.Row]
	errs := []error{e.checkClock(ctx, now)}
	if errs[0] == nil {
		for _, plan := range plans {
			created, err := e.schedulePlan(ctx, plan, marks, now)
			report.Created = append(report.Created, created...)
			if err != nil {
				errs = append(errs, fmt.Errorf("schedule plan %s: %w", plan.Name, err))
			}
		}
	}
	errs = append(errs, e.sweep(ctx, now, &report))
	return report, errors.Join(errs...)
}

func (e *Engine) schedulePlan(ctx context.Context, plan Plan, marks map[string]Row, now time.Time) ([]string, error) {
	key := Key{Partition: schedulePartition, Row: "plan-" + plan.Name}
	row, known := marks[key.Row]
	if !known {
		// A new plan begins now: slots before it are nobody's.
		_, err := e.Catalog.Apply(ctx, Write{Op: Insert, Key: key, Body: encode(watermark{Plan: plan.Name, At: now})})
		if errors.Is(err, ErrExists) {
			return nil, nil
		}
		return nil, err
	}
	mark, err := decode[watermark](row)
	if err != nil {
		return nil, err
	}
	slots := plan.Schedule.Due(mark.At, now, mostSlots)
	if len(slots) == 0 {
		return nil, nil
	}
	var created []string
	for _, slot := range slots {
		next := plan.Schedule.Next(slot)
		for _, target := range plan.Targets {
			run := Run{
				ID: newRunID(target, slot, "plan "+plan.Name), Target: target, Plan: plan.Name, Slot: slot, NextSlot: next,
				Settings: plan.Settings,
			}
			fresh, err := e.create(ctx, &run, now)
			if err != nil {
				return created, err
			}
			if fresh {
				created = append(created, run.ID)
			}
		}
	}
	mark.At = slots[len(slots)-1]
	_, err = e.Catalog.Apply(ctx, Write{Op: Replace, Key: key, ETag: row.ETag, Body: encode(mark)})
	if errors.Is(err, ErrChanged) {
		return created, nil // another tick did the same
	}
	return created, err
}

// create claims the run's ID by inserting its row. It is false if the row was there before: somebody else made the run,
// and wakes it. The index entry comes first, so that the sweep finds the run if the first wake-up is never sent.
func (e *Engine) create(ctx context.Context, run *Run, now time.Time) (bool, error) {
	run.State, run.Created, run.Updated = Queued, now, now
	run.Wake, run.Mark, run.Due = 1, e.NewID(), now
	entry := Key{Partition: inflightPartition, Row: inflightKey(now.Add(e.Waits.Sweep), run.ID, run.Mark)}
	body := encode(inflight{Run: run.ID, Created: now})
	if _, err := e.Catalog.Apply(ctx, Write{Op: Put, Key: entry, Body: body}); err != nil {
		return false, fmt.Errorf("index run %s: %w", run.ID, err)
	}
	etags, err := e.Catalog.Apply(ctx, Write{Op: Insert, Key: run.key(), Body: encode(run)})
	if errors.Is(err, ErrExists) {
		// The entry is ours alone, since its key has our mark in it. If it stays, the sweep drops it.
		_, _ = e.Catalog.Apply(ctx, Write{Op: Delete, Key: entry, ETag: "*"})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create run %s: %w", run.ID, err)
	}
	run.etag = etags[0]
	if err := e.Queue.Wake(ctx, run.wakeup(), 0); err != nil {
		return true, fmt.Errorf("wake run %s for the first time: %w", run.ID, err)
	}
	return true, nil
}

// checkClock compares our own clock with the catalog's, and tells others if they are too far apart: one of them would
// delete what is not past its time.
func (e *Engine) checkClock(ctx context.Context, now time.Time) error {
	own := e.Now()
	apart := own.Sub(now)
	if apart.Abs() <= clockTolerance {
		return nil
	}
	data, err := json.Marshal(map[string]string{
		"storage": now.UTC().Format(time.RFC3339), "process": own.UTC().Format(time.RFC3339),
	})
	if err != nil {
		panic(err) // only strings
	}
	return errors.Join(
		fmt.Errorf("%w: the storage account says %s, this process %s", ErrClock, now.UTC().Format(time.RFC3339),
			own.UTC().Format(time.RFC3339)),
		e.Queue.Publish(ctx, Event{
			// One event an hour for those who count IDs.
			ID: "clock-" + now.UTC().Format("2006010215"), Type: "lifeboat.clock.jumped", Time: now, Data: data,
		}))
}
