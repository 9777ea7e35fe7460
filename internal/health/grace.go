package health

import (
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// Edit is an edit of a schedule: its time, the schedule before, and the end of its first interval.
type Edit struct {
	At     time.Time
	Before schedule.Schedule
	Until  time.Time
}

// Return says that a target left its plan and came back. The time at which it left is zero if that is not known.
type Return struct{ Left, Back time.Time }

// grace returns the time until which a target that was protected at the last edit has had its first scheduled time since: the second
// scheduled time after the edit. It is zero if nothing was edited, or if the target was unprotected then.
func (s Snapshot) grace(backedUp bool, from time.Time) (until time.Time) {
	since := s.Scheduled
	own, others := s.oldest()
	switch {
	case s.Before != nil:
		if !s.wasProtected(from) {
			since = time.Time{}
		}
	case !backedUp, !own.IsZero() && own.Before(since): // its first interval counts from the text anyway, or the plan is not new
		since = time.Time{}
	}
	switch {
	case !backedUp:
	case own.IsZero() && (!s.Shared || !s.full()): // the plan has not had the target yet
		since = backup.Later(since, s.Since)
	case !s.Shared && !others.IsZero() && others.Before(own): // it got the target from another plan, just before its first run
		since = backup.Later(since, own.Add(-time.Nanosecond))
	}
	until = s.Plan.Schedule.FirstInterval(since)
	if backedUp {
		until = backup.Later(until, s.back(from))
	}
	return until
}

// editing is the time for which each of several edits in quick succession has its first interval.
const editing = 24 * time.Hour

// wasProtected tells whether the target was protected at the last edit, or in the first interval of one before. The first of several edits in
// quick succession counts: a target that was unprotected then stays so, whatever the later ones say. Nor do they go on for ever.
func (s Snapshot) wasProtected(from time.Time) bool {
	if s.First == nil {
		return protectedAt(s.Scheduled, *s.Before, from)
	}
	end := backup.Later(s.First.Until, s.First.At.Add(editing))
	return protectedAt(s.First.At, s.First.Before, from) && (!s.Scheduled.After(end) ||
		protectedAt(s.Scheduled, s.First.Before, from) || protectedAt(s.Scheduled, *s.Before, from))
}

// protectedAt tells whether a point of the time from protects a target at an instant, by the schedule.
func protectedAt(at time.Time, by schedule.Schedule, from time.Time) bool {
	_, two := by.Intervals(from)
	return two == 0 || !from.Add(two).Before(at)
}

// back returns the time until which a target that came back into the plan has had its first interval since; zero if it did not come back,
// or was unprotected when it left.
func (s Snapshot) back(from time.Time) (until time.Time) {
	for _, r := range slices.Backward(s.Returns) {
		by := s.Plan.Schedule
		if s.Before != nil && r.Left.Before(s.Scheduled) {
			by = *s.Before
		}
		if r.Left.IsZero() || !r.Left.After(until) || protectedAt(r.Left, by, from) {
			until = s.Plan.Schedule.FirstInterval(r.Back)
		} else {
			until = time.Time{}
		}
	}
	return until
}
