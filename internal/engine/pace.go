package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/event"
	"lifeboat/internal/retention"
)

// reach returns the row key up to which cleanup reads the points of a target for the sake of the due ones. It reads what was made in the
// last day in any case, since the pace goes by that.
func (e *Engine) reach(entries []deletion.Due, now time.Time) string {
	last := backup.PointPrefix + backup.Countdown(retention.PaceFrom(now))
	for _, d := range entries {
		last = max(last, d.Reach(e.Timings.Operation))
	}
	return last
}

// wait has cleanup come back to the points that wait, and tells of them once. Each has its own entry, which moves to the time at which the
// point may go. A counted one among the newest, which cleanup reads in any case, may be looked at while its entry is at rest: so one
// entry more stands for all of these.
func (e *Engine) wait(ctx context.Context, target string, w retention.Waiting, entries []deletion.Due, pace retention.Pace, now time.Time) error {
	oldest := ""
	for _, p := range w.Points {
		there := slices.ContainsFunc(entries, func(due deletion.Due) bool { return due.Point == p.ID })
		if !there && (p.Counted || p.Expires.IsZero()) {
			oldest = max(oldest, p.ID)
		}
	}
	if oldest != "" {
		if err := deletion.PutOut(ctx, e.Catalog, target, []string{oldest}, w.Until, now); err != nil {
			return err
		}
	}
	told, news := pace.News(w, now)
	if !news {
		return nil
	}
	if err := e.Outbox().Announce(ctx, event.DeletionsWait(target, w, told.Told, now)); err != nil {
		return err
	}
	_, err := e.Catalog.Apply(ctx, told.Write(target))
	if _, raced := errors.AsType[*backup.WriteError](err); raced {
		return errConflict
	}
	if err != nil {
		return fmt.Errorf("save that the recovery points of %s wait: %w", target, err)
	}
	return nil
}
