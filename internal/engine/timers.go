package engine

import (
	"context"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/history"
	"lifeboat/internal/stop"
)

// note writes that the timer has run, unless a note of the last NoteEvery says so. If two timer runs come at once, one of them
// writes it; if a timer run dies before, the next one does.
func (e *Engine) note(ctx context.Context, timer string, was health.TimerRecord, now time.Time) error {
	if !was.At.IsZero() && was.Last(now, clockTolerance).After(now.Add(-health.NoteEvery)) || was.Unread != nil {
		return was.Unread
	}
	if err := e.saveTimer(ctx, timer, was, health.TimerRecord{At: now, Carried: was.Carried}); err != nil {
		return fmt.Errorf("note that the timer %s has run: %w", timer, err)
	}
	return nil
}

// saveTimer replaces the row as it was read. If another process was faster, that is fine.
func (e *Engine) saveTimer(ctx context.Context, timer string, was, is health.TimerRecord) error {
	return e.apply(ctx, backup.InsertOrReplace(backup.TimerKey(timer), was.ETag, backup.Encode(is)))
}

// noteTime is the time that a cleanup has for its note if it ran out of time.
const noteTime = 10 * time.Second

// cleanupRows are rows that cleanup writes once in a while.
type cleanupRows struct {
	stock    health.Stock
	coverage health.Coverage
	pruned   history.Pruned
}

// beginCleanup makes sure that this app owns the catalog, and returns the row of the timer, the rows of cleanup, and why the app is stopped. The rows stand side by side, so that it costs one request.
func (e *Engine) beginCleanup(ctx context.Context) (was health.TimerRecord, rows cleanupRows, stopped stop.State, err error) {
	cleanup := backup.TimerKey("cleanup")
	all, stopped, err := e.Ownership().Enter(ctx, cleanup.Row+"!")
	for _, row := range all {
		switch row.Key {
		case cleanup:
			was = health.DecodeTimer(row)
		case backup.StockKey:
			rows.stock = health.DecodeStock(row)
		case backup.CoverageKey:
			rows.coverage = health.DecodeCoverage(row)
		case backup.PrunedKey:
			rows.pruned = history.DecodePruned(row)
		}
	}
	return was, rows, stopped, err
}

// noteCleanup is note for cleanup. A cleanup that ran out of time notes all the same that it came. It did its part, the next one
// goes on, and its timer is not silent.
func (e *Engine) noteCleanup(ctx context.Context, was health.TimerRecord, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	return e.note(ctx, "cleanup", was, now)
}

// timersHealth evaluates the timers by their rows. If a timer has never run, it writes since when one is waited for: nothing else
// would tell a new app from one whose timers never fire, since processes come and go. That is one write in an app's life.
func (e *Engine) timersHealth(ctx context.Context, rows map[string]health.TimerRecord, there health.Apps, now time.Time) health.TimersHealth {
	c := health.TimersHealth{Now: now, Apps: there}
	for _, timer := range health.Timers {
		row, fires := rows[timer.Name], e.Timers[timer.Name]
		since := row.Last(now, clockTolerance)
		if since.IsZero() && row.Unread == nil && c.Apps.Owns() {
			since, row.At = now, time.Time{}
			// If it fails, the next look does it.
			_ = e.saveTimer(ctx, timer.Name, row, health.TimerRecord{Since: now, Carried: row.Carried})
		}
		c.Timers = append(c.Timers, fires.Evaluate(timer.Name, row.At, since, timer.Limit, now, row.Unread))
	}
	return c
}
