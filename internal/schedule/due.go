package schedule

import (
	"time"
)

// MissedRuns has scheduled times of one plan that came due without runs, and will never have any. It is a row of the catalog.
type MissedRuns struct {
	Plan  string    `json:"Plan"`
	First time.Time `json:"First"`
	Last  time.Time `json:"Last"`
	Count int       `json:"Count"`
	// Why is for people: that the plan was paused, or that no timer run read it.
	Why string `json:"Why"`
	// Found is the time at which the missed period was noted, by the catalog's clock.
	Found time.Time `json:"Found"`
}

// add counts a scheduled time, later than those before.
func (m *MissedRuns) add(scheduledTime time.Time) {
	if m.Count++; m.Count == 1 {
		m.First = scheduledTime
	}
	m.Last = scheduledTime
}

// Because returns the missed period with its reason; a period without scheduled times has none.
func (m MissedRuns) Because(why string) MissedRuns {
	if m.Count > 0 {
		m.Why = why
	}
	return m
}

// Due divides the scheduled times after the checkpoint up to now: the newest is to become runs if its window is still open (or
// the zero time), and the others were missed. A window of zero lasts until the next scheduled time.
func (s Schedule) Due(checkpoint, now time.Time, window time.Duration) (newest time.Time, missed MissedRuns) {
	for scheduledTime := range s.After(checkpoint) {
		if scheduledTime.After(now) {
			break
		}
		if !newest.IsZero() {
			missed.add(newest)
		}
		newest = scheduledTime
	}
	if !newest.IsZero() && window > 0 && !now.Before(newest.Add(window)) {
		missed.add(newest)
		newest = time.Time{}
	}
	return newest, missed
}

// Missed returns all the scheduled times after the checkpoint up to now.
func (s Schedule) Missed(checkpoint, now time.Time) (missed MissedRuns) {
	for scheduledTime := range s.After(checkpoint) {
		if scheduledTime.After(now) {
			break
		}
		missed.add(scheduledTime)
	}
	return missed
}
