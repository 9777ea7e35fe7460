package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// A timer that the host no longer calls fails nothing and logs nothing: without a role on the storage account's blobs the
// host runs, answers HTTP, and never fires one (measured with the host 4.1045, 2026-11). So a timer's ticks tell that they
// come, in a row that health reads.

// Tick is how often the host calls a timer's function.
type Tick struct {
	// Setting is the name of the app setting that says it, such as LIFEBOAT_SCHEDULE_TICK.
	Setting string
	// Schedule is what the setting says, in UTC; nil if that cannot be read.
	Schedule *Schedule
	// Wrong is why it cannot.
	Wrong error
}

// TimerHealth is how a timer stands.
type TimerHealth struct {
	// Timer is the name of its function.
	Timer string
	// Last is when one of its ticks noted that it came, zero if none ever did: up to noteEvery before the last tick.
	Last time.Time
	// Deadline is when it counts as silent unless a tick comes, or since when it does; zero if never.
	Deadline time.Time
	// Silent: so long no tick has come that none is to be expected any more.
	Silent bool
	// Reason is why it is silent, or cannot be judged; it has no code otherwise.
	Reason Reason
}

// Clockwork is what time it is by the catalog's clock, and how the timers stand.
type Clockwork struct {
	Now    time.Time
	Timers []TimerHealth
}

// timers are the functions that the host calls by time. One counts as silent after three of its ticks, but not before the
// time has passed.
var timers = []struct {
	name     string
	patience time.Duration
}{{"schedule", 15 * time.Minute}, {"cleanup", time.Hour}}

// noteEvery is the least time between two notes of a timer: they are all that an idle tick writes.
const noteEvery = 5 * time.Minute

// ticked is the row by which the ticks of a timer tell that they come. It stands between the row of the plan in force and
// the watermarks, which each tick of the schedule and health read anyway. Versions before it take it for the watermark of a
// plan without a name, which changes nothing.
type ticked struct {
	// At is when a tick came to its end, as far as it was noted; zero if none ever was.
	At time.Time `json:"At,omitzero"`
	// Since is when somebody first looked for a tick, while none had ever been noted.
	Since time.Time `json:"Since,omitzero"`

	carried
	etag string
	// unread is why the row cannot be read, nil if it can.
	unread error
}

const tickedPrefix = "last-tick-"

func tickedKey(timer string) Key { return Key{Partition: schedulePartition, Row: tickedPrefix + timer} }

func decodeTicked(row Row) ticked {
	t, err := decode[ticked](row)
	t.etag, t.unread = row.ETag, err
	return t
}

// at is when the timer last gave a sign, or was first waited for; zero if neither is known. A time in the future is that of a
// clock that was wrong.
func (t ticked) at(now time.Time) time.Time {
	at := t.At
	if at.IsZero() {
		at = t.Since
	}
	if at.After(now.Add(clockTolerance)) {
		return time.Time{}
	}
	return at
}

// note writes down that a tick of the timer has come, unless one has within noteEvery. One of two ticks at once does it; one
// that dies before leaves it to the next.
func (e *Engine) note(ctx context.Context, timer string, was ticked, now time.Time) error {
	if !was.At.IsZero() && was.at(now).After(now.Add(-noteEvery)) || was.unread != nil {
		return was.unread
	}
	if err := e.saveTicked(ctx, timer, was, ticked{At: now, carried: was.carried}); err != nil {
		return fmt.Errorf("note that the timer %s has ticked: %w", timer, err)
	}
	return nil
}

// saveTicked replaces the row as it was read. That somebody else was faster is fine.
func (e *Engine) saveTicked(ctx context.Context, timer string, was, is ticked) error {
	write := Write{Op: Insert, Key: tickedKey(timer), Body: encode(is)}
	if was.etag != "" {
		write.Op, write.ETag = Replace, was.etag
	}
	return e.apply(ctx, write)
}

// noteTime is how long a cleanup that ran out of time has for its note.
const noteTime = 10 * time.Second

// noteCleanup is note for cleanup, which reads no other row that stands beside it. A cleanup that ran out of time notes that it
// came all the same: it did what it could, the next one goes on, and its timer is not silent.
func (e *Engine) noteCleanup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	row, now, err := e.Catalog.Get(ctx, tickedKey("cleanup"))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read when cleanup last ticked: %w", err)
	}
	was := ticked{}
	if err == nil {
		was = decodeTicked(row)
	}
	return e.note(ctx, "cleanup", was, now)
}

// clockwork judges the timers by their rows. Where none has ever ticked it writes down since when one is waited for: nothing
// else would tell a new app from one whose timers never fire, since processes come and go. That is one write in an app's life.
func (e *Engine) clockwork(ctx context.Context, rows map[string]ticked, now time.Time) Clockwork {
	c := Clockwork{Now: now}
	for _, timer := range timers {
		row, tick := rows[timer.name], e.Ticks[timer.name]
		since := row.at(now)
		if since.IsZero() && row.unread == nil {
			since, row.At = now, time.Time{}
			// Should it fail, the next look does it.
			_ = e.saveTicked(ctx, timer.name, row, ticked{Since: now, carried: row.carried})
		}
		c.Timers = append(c.Timers, tick.judge(timer.name, row.At, since, timer.patience, now, row.unread))
	}
	return c
}

// judge says how the timer stands that gave a sign at the instant since; last is its last tick that was noted, and unread
// why the row of its ticks cannot be read, nil if it can.
func (t Tick) judge(timer string, last, since time.Time, patience time.Duration, now time.Time, unread error) TimerHealth {
	h := TimerHealth{Timer: timer, Last: last}
	if unread != nil {
		h.Reason = unreadableRow(unread)
		return h
	}
	h.Deadline = since.Add(patience)
	if t.Schedule != nil {
		// A tick within noteEvery of a note writes none. So what counts are the ticks behind that, or the last one before a
		// night without any would be missed all night.
		third := since.Add(noteEvery - tick)
		for range 3 {
			if third = t.Schedule.Next(third); third.IsZero() {
				h.Deadline = third // there are no three ticks to wait for
				return h
			}
		}
		if third.After(h.Deadline) {
			h.Deadline = third
		}
	}
	h.Silent = now.After(h.Deadline)
	switch {
	case h.Silent:
		h.Reason = t.silent(timer, last, since)
	case t.Wrong != nil:
		h.Reason = reason("TickUnreadable", t.wrong(), "The timer counts as silent "+patience.String()+" after its last tick.")
	}
	return h
}

// silent is why the timer counts as silent, and where to look first.
func (t Tick) silent(timer string, last, since time.Time) Reason {
	message := fmt.Sprintf("no tick of the timer %s has come to its end since %s", timer, since.UTC().Format(time.RFC3339))
	if last.IsZero() {
		message = fmt.Sprintf("no tick of the timer %s has ever come to its end; it has been waited for since %s", timer,
			since.UTC().Format(time.RFC3339))
	}
	if t.Wrong != nil {
		message += "; " + t.wrong()
	}
	return reason("TimerSilent", message, "First "+blobRoleFirst+" Then see in the log whether the function "+timer+
		" runs, and what it says; "+cmp.Or(t.Setting, "its app setting")+" must be there, and AzureWebJobs."+timer+
		".Disabled must not.")
}

func (t Tick) wrong() string {
	return fmt.Sprintf("the app setting %s cannot be read: %v", t.Setting, t.Wrong)
}

// blobRoleFirst is what to look at first where a timer is silent, as nothing else tells of it.
const blobRoleFirst = "see that the app has the role Storage Blob Data Owner on its own storage account: without a role on " +
	"its blobs the Functions host fires no timer, and logs nothing about it."
