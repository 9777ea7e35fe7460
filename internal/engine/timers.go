package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// timerRecord is the row in which the runs of one timer note that they come. It stands between the row of the active plan and the
// checkpoints, because each timer run of the schedule and health read them anyway. Older versions take it for the checkpoint of a
// plan without a name, and that changes nothing.
type timerRecord struct {
	// At is the time at which a timer run came to its end, if it was noted; zero if none ever was.
	At time.Time `json:"At,omitzero"`
	// Since is the time at which health first looked for a timer run, while none had ever been noted.
	Since time.Time `json:"Since,omitzero"`

	backup.Carried
	etag string
	// unread says why the row cannot be read, nil if it can.
	unread error
}

func decodeTimer(row backup.Row) timerRecord {
	t, err := backup.Decode[timerRecord](row)
	t.etag, t.unread = row.ETag, err
	return t
}

// at returns the last recorded run of the timer, or else the time at which health began to wait for one; zero if neither is
// known. A time in the future comes from a clock that was wrong.
func (t timerRecord) at(now time.Time) time.Time {
	at := cmp.Or(t.At, t.Since)
	if at.After(now.Add(clockTolerance)) {
		return time.Time{}
	}
	return at
}

// note writes that the timer has run, unless a note of the last NoteEvery says so. If two timer runs come at once, one of them
// writes it; if a timer run dies before, the next one does.
func (e *Engine) note(ctx context.Context, timer string, was timerRecord, now time.Time) error {
	if !was.At.IsZero() && was.at(now).After(now.Add(-health.NoteEvery)) || was.unread != nil {
		return was.unread
	}
	if err := e.saveTimer(ctx, timer, was, timerRecord{At: now, Carried: was.Carried}); err != nil {
		return fmt.Errorf("note that the timer %s has run: %w", timer, err)
	}
	return nil
}

// saveTimer replaces the row as it was read. If another process was faster, that is fine.
func (e *Engine) saveTimer(ctx context.Context, timer string, was, is timerRecord) error {
	return e.apply(ctx, backup.InsertOrReplace(backup.TimerKey(timer), was.etag, backup.Encode(is)))
}

// noteTime is the time that a cleanup has for its note if it ran out of time.
const noteTime = 10 * time.Second

// noteCleanup is note for cleanup, which reads no other row beside it. A cleanup that ran out of time notes all the same that it
// came. It did its part, the next one goes on, and its timer is not silent.
func (e *Engine) noteCleanup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	row, now, err := e.Catalog.Get(ctx, backup.TimerKey("cleanup"))
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return fmt.Errorf("read when cleanup last ran: %w", err)
	}
	was := timerRecord{}
	if err == nil {
		was = decodeTimer(row)
	}
	return e.note(ctx, "cleanup", was, now)
}

// timersHealth evaluates the timers by their rows. If a timer has never run, it writes since when one is waited for: nothing else
// would tell a new app from one whose timers never fire, since processes come and go. That is one write in an app's life.
func (e *Engine) timersHealth(ctx context.Context, rows map[string]timerRecord, now time.Time) health.TimersHealth {
	c := health.TimersHealth{Now: now}
	for _, timer := range health.Timers {
		row, fires := rows[timer.Name], e.Timers[timer.Name]
		since := row.at(now)
		if since.IsZero() && row.unread == nil {
			since, row.At = now, time.Time{}
			// If it fails, the next look does it.
			_ = e.saveTimer(ctx, timer.Name, row, timerRecord{Since: now, Carried: row.Carried})
		}
		c.Timers = append(c.Timers, fires.Evaluate(timer.Name, row.At, since, timer.Limit, now, row.unread))
	}
	return c
}
