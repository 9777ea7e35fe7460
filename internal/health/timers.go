package health

import (
	"cmp"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// A timer that the host no longer calls fails nothing and logs nothing: without a role on the storage account's blobs the
// host runs, answers HTTP, and never fires one (measured with the host 4.1045, 2026-11). So a timer's ticks tell that they
// come, in a row that health reads.

// Tick is how often the host calls a timer's function.
type Tick struct {
	// Setting is the name of the app setting that says it, such as LIFEBOAT_SCHEDULE_TICK.
	Setting string
	// Schedule is what the setting says, in UTC; nil if that cannot be read.
	Schedule *schedule.Schedule
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
	Reason backup.Reason
}

// Clockwork is what time it is by the catalog's clock, and how the timers stand.
type Clockwork struct {
	Now    time.Time
	Timers []TimerHealth
}

// Timers are the functions that the host calls by time. One counts as silent after three of its ticks, but not before the
// time has passed.
var Timers = []struct {
	Name     string
	Patience time.Duration
}{{"schedule", 15 * time.Minute}, {"cleanup", time.Hour}}

// NoteEvery is the least time between two notes of a timer: they are all that an idle tick writes.
const NoteEvery = 5 * time.Minute

// Judge says how the timer stands that gave a sign at the instant since; last is its last tick that was noted, and unread
// why the row of its ticks cannot be read, nil if it can.
func (t Tick) Judge(timer string, last, since time.Time, patience time.Duration, now time.Time, unread error) TimerHealth {
	h := TimerHealth{Timer: timer, Last: last}
	if unread != nil {
		h.Reason = backup.UnreadableRow(unread)
		return h
	}
	h.Deadline = since.Add(patience)
	if t.Schedule != nil {
		// A tick within noteEvery of a note writes none. So what counts are the ticks behind that, or the last one before a
		// night without any would be missed all night.
		third := since.Add(NoteEvery - backup.Resolution)
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
		h.Reason = backup.NewReason("TickUnreadable", t.wrong(), "The timer counts as silent "+patience.String()+" after its last tick.")
	}
	return h
}

// silent is why the timer counts as silent, and where to look first.
func (t Tick) silent(timer string, last, since time.Time) backup.Reason {
	message := fmt.Sprintf("no tick of the timer %s has come to its end since %s", timer, since.UTC().Format(time.RFC3339))
	if last.IsZero() {
		message = fmt.Sprintf("no tick of the timer %s has ever come to its end; it has been waited for since %s", timer,
			since.UTC().Format(time.RFC3339))
	}
	if t.Wrong != nil {
		message += "; " + t.wrong()
	}
	return backup.NewReason("TimerSilent", message, "First "+blobRoleFirst+" Then see in the log whether the function "+timer+
		" runs, and what it says; "+cmp.Or(t.Setting, "its app setting")+" must be there, and AzureWebJobs."+timer+
		".Disabled must not.")
}

func (t Tick) wrong() string {
	return fmt.Sprintf("the app setting %s cannot be read: %v", t.Setting, t.Wrong)
}

// blobRoleFirst is what to look at first where a timer is silent, as nothing else tells of it.
const blobRoleFirst = "see that the app has the role Storage Blob Data Owner on its own storage account: without a role on " +
	"its blobs the Functions host fires no timer, and logs nothing about it."
