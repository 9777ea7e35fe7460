package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
)

// inflight is an entry of the index of runs that have not ended, sorted by the time of the next check. It is written before the
// run, and dropped after the run has ended, its events were sent or left to timer runs, and its late look was made.
type inflight struct {
	Run     string    `json:"Run"`
	Created time.Time `json:"Created"`
}

// index puts an entry for the run into the index of runs in flight.
func (e *Engine) index(ctx context.Context, entry backup.Key, run string, now time.Time) error {
	if _, err := e.Catalog.Apply(ctx, indexed(entry, run, now)); err != nil {
		return fmt.Errorf("index run %s: %w", run, err)
	}
	return nil
}

// indexed returns the write of an entry.
func indexed(entry backup.Key, run string, now time.Time) backup.Write {
	return backup.Write{Op: backup.Put, Key: entry, Body: backup.Encode(inflight{Run: run, Created: now})}
}

// rescue checks the runs that are due for it, and sends a lost step message again: with the row's own sequence number and
// nonce, so that nothing happens if it was not lost.
func (e *Engine) rescue(ctx context.Context, now time.Time, report *ScheduleReport) error {
	rows, _, err := e.Catalog.List(ctx, backup.InflightPartition, "", backup.TimeKey(now.Add(backup.Resolution)), 1000)
	if err != nil {
		return fmt.Errorf("list the runs in flight: %w", err)
	}
	var errs []error
	for _, row := range rows {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		report.Scanned++
		if err := e.rescueRun(ctx, row, now, report); err != nil {
			errs = append(errs, fmt.Errorf("rescue %s: %w", row.Row, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) rescueRun(ctx context.Context, row backup.Row, now time.Time, report *ScheduleReport) error {
	entry, err := backup.Decode[inflight](row)
	if err != nil {
		return err
	}
	drop := backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag}
	read := e.Now()
	run, at, err := e.load(ctx, entry.Run)
	due := run.Due
	switch {
	case errors.Is(err, backup.ErrNotFound):
		if now.Sub(entry.Created) < orphanAge {
			return nil // the writer of the entry may be about to insert the run
		}
		return e.apply(ctx, drop)
	case err != nil:
		return err
	case run.State.Final():
		s := e.newStep(run, at, read)
		if err := s.releaseAndPublish(ctx); err != nil {
			return err
		}
		if run, due = s.run, lookDue(run, e.Timings); due.IsZero() {
			return e.apply(ctx, drop)
		}
	}
	if run.QueueRow != "" {
		// A run leaves the wait queue before its row is saved. If the process dies in between, only the rescuer finds it.
		_, _, err := e.Catalog.Get(ctx, backup.ScheduleKey(run.QueueRow))
		if errors.Is(err, backup.ErrNotFound) {
			due = entry.Created
		} else if err != nil {
			return err
		}
	}
	due = backup.Later(due, run.LeaseUntil)
	if now.Sub(due) >= e.Timings.Overdue {
		report.Requeued++
		if err := e.Queue.SendStep(ctx, run.StepMessage(), 0); err != nil {
			return err
		}
	}
	later := backup.InflightKey(backup.Later(due, now).Add(max(e.Timings.Rescue, backup.Resolution)), run.ID, backup.InflightNonce(row.Key, run.ID))
	return e.apply(ctx, drop, backup.Write{Op: backup.Insert, Key: later, Body: row.Body})
}

// apply makes writes that another process may make at the same time; if it was faster, that is fine.
func (e *Engine) apply(ctx context.Context, writes ...backup.Write) error {
	_, err := e.Catalog.Apply(ctx, writes...)
	if _, taken := errors.AsType[*backup.WriteError](err); taken {
		return nil
	}
	return err
}
