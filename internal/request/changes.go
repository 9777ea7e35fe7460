package request

import (
	"time"

	"lifeboat/internal/backup"
)

// Changes is the row of a target whose changes make backups by a plan. A timer run reads it with the checkpoints. All times of
// changes are of Azure's clock: events come late, twice, and in any order.
type Changes struct {
	// ForPlan is the plan's name. It is not called Plan: an older version would take the row for the checkpoint of the plan.
	ForPlan string `json:"ForPlan"`
	Target  string `json:"Target"`
	// First and Last are the times of the changes that no backup has yet; zero if there are none.
	First time.Time `json:"First,omitzero"`
	Last  time.Time `json:"Last,omitzero"`
	// Making is First of the changes whose backup is being made; zero if none is. It gives the request for the backup its ID.
	Making time.Time `json:"Making,omitzero"`
	// Covered is the time up to which changes are in a backup that was made or is being made.
	Covered time.Time `json:"Covered,omitzero"`

	backup.Carried
	// RowETag is the ETag of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// DecodeChanges reads the row. The error is an ErrUnreadable.
func DecodeChanges(row backup.Row) (Changes, error) {
	c, err := backup.Decode[Changes](row)
	c.RowETag = row.ETag
	return c, err
}

// Due returns the time of the backup: when there were no changes for the plan's time, but not long after the first. Zero: there
// is nothing to back up.
func (c Changes) Due(plan backup.Plan) time.Time {
	quiet, latest := c.Last.Add(plan.Quiet), c.First.Add(backup.LongestQuiet)
	switch {
	case c.First.IsZero():
		return time.Time{}
	case latest.Before(quiet):
		return latest
	}
	return quiet
}

// With adds a change; it returns false if the change is noted already. A time further in the future than two clocks differ counts
// as now, since it would put the backup off. A nearer one is kept, so that the same event has the same time whenever it comes: now
// has whole seconds, and its clock may be behind.
func (c Changes) With(at, now time.Time, tolerance time.Duration) (Changes, bool) {
	if at.IsZero() || at.After(now.Add(tolerance)) {
		at = now
	}
	if !at.After(c.Covered) || !c.First.IsZero() && !at.Before(c.First) && !at.After(c.Last) {
		return c, false
	}
	if c.First.IsZero() || at.Before(c.First) {
		c.First = at
	}
	c.Last = backup.Later(c.Last, at)
	return c, true
}

// Make marks the changes as those of the backup that is about to be made. A change before the time covered is in the backup
// also if its event comes later.
func (c Changes) Make(covered time.Time) Changes {
	c.Making, c.Covered = c.First, backup.Later(c.Last, covered)
	c.First, c.Last = time.Time{}, time.Time{}
	return c
}

// OnChange is the beginning of the IDs of requests for backups after changes. No other request may have such an ID: it would
// take a change for backed up, or keep its backup from being made.
const OnChange = "onChange."

// RequestID is the ID of the request for the backup that is being made.
func (c Changes) RequestID(target string) string {
	return OnChange + c.ForPlan + "." + backup.Partition(target) + "." + c.Making.UTC().Format("20060102T150405.000000000Z")
}
