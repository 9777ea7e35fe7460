package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// inflight is an entry of the index of runs that have not ended, sorted by when to look at them. It is written before
// the run, and dropped after the run has ended and its event was sent.
type inflight struct {
	Run     string    `json:"Run"`
	Created time.Time `json:"Created"`
}

const inflightPartition = "inflight"

// inflightKey sorts by when to look. The mark of the run's first wake-up tells apart the entries of two processes that
// create the same run.
func inflightKey(at time.Time, run, mark string) string { return timeKey(at) + "-" + run + "-" + mark }

// sweep looks at the runs whose time to be looked at has come, and sends a wake-up that was lost again: the row's own
// number and mark, so that nothing happens if it was not lost.
func (e *Engine) sweep(ctx context.Context, now time.Time, report *ScheduleReport) error {
	rows, _, err := e.Catalog.List(ctx, inflightPartition, "", timeKey(now.Add(tick)), 1000)
	if err != nil {
		return fmt.Errorf("list the runs in flight: %w", err)
	}
	var errs []error
	for _, row := range rows {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		report.Looked++
		if err := e.sweepRun(ctx, row, now, report); err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", row.Row, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) sweepRun(ctx context.Context, row Row, now time.Time, report *ScheduleReport) error {
	entry, err := decode[inflight](row)
	if err != nil {
		return err
	}
	drop := Write{Op: Delete, Key: row.Key, ETag: row.ETag}
	read := e.Now()
	run, at, err := e.load(ctx, entry.Run)
	switch {
	case errors.Is(err, ErrNotFound):
		if now.Sub(entry.Created) < orphanAge {
			return nil // whoever wrote the entry may be about to insert the run
		}
		return e.apply(ctx, drop)
	case err != nil:
		return err
	case run.State.Final():
		if err := e.newStep(run, at, read).settle(ctx); err != nil {
			return err
		}
		return e.apply(ctx, drop)
	}
	due := run.Due
	if run.Line != "" {
		// A run that takes a permit leaves the line before that is saved. If the process died in between, nobody else comes.
		_, _, err := e.Catalog.Get(ctx, Key{schedulePartition, run.Line})
		if errors.Is(err, ErrNotFound) {
			due = entry.Created
		} else if err != nil {
			return err
		}
	}
	if run.LeaseUntil.After(due) {
		due = run.LeaseUntil
	}
	if now.Sub(due) >= e.Waits.Overdue {
		report.Resent++
		if err := e.Queue.Wake(ctx, run.wakeup(), 0); err != nil {
			return err
		}
	}
	if due.Before(now) {
		due = now
	}
	mark := row.Row[len(timeKey(now))+1+len(run.ID)+1:]
	later := Key{Partition: inflightPartition, Row: inflightKey(due.Add(max(e.Waits.Sweep, tick)), run.ID, mark)}
	return e.apply(ctx, drop, Write{Op: Insert, Key: later, Body: row.Body})
}

// apply makes writes of the index; that another sweep made them first is fine.
func (e *Engine) apply(ctx context.Context, writes ...Write) error {
	_, err := e.Catalog.Apply(ctx, writes...)
	if _, taken := errors.AsType[*WriteError](err); taken {
		return nil
	}
	return err
}
