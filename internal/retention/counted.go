package retention

import (
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Counted is the row of a plan in a target's partition: it names the recovery points that the plan's counts hold, and has the clock by
// which its points get older. A new recovery point changes it in its own transaction. So no step reads a history, unless a person has
// edited the rules.
type Counted struct {
	Plan   string        `json:"Plan"`
	Counts backup.Counts `json:"Counts,omitzero"`
	// Within is the plan's keep.within. It gives a day to points that have none of their own.
	Within time.Duration `json:"Within,omitempty"`
	// Minimum is the plan's keep.minimum, and Ruled the newest scheduled time for which a verified point was made: its run says the minimum.
	Minimum int       `json:"Minimum,omitempty"`
	Ruled   time.Time `json:"Ruled,omitzero"`
	// Horizon is the time for which the service can restore a backup; 0 for any time.
	Horizon time.Duration `json:"Horizon,omitempty"`
	Row     Row           `json:"Row"`
	// Clock is the one of the plan's successes, on demand or not, by which its points get older. Grace is the time that it goes on without
	// one; 0: for ever. A plan without counts has these, Minimum and Ruled alone.
	Clock Clock         `json:"Clock,omitzero"`
	Grace time.Duration `json:"Grace,omitempty"`

	backup.Carried
	etag string
}

// ReadCounted reads the row. The error is an [backup.ErrUnreadable].
func ReadCounted(row backup.Row) (Counted, error) {
	c, err := backup.Decode[Counted](row)
	c.etag = row.ETag
	return c, err
}

// Judges says whether the plan has, or had, counts. No point belongs to a row without.
func (c Counted) Judges() bool { return c.Row.Rules != "" || c.Counts.Any() || c.Within > 0 }

// Renew returns the row under the rules that now hold, and says whether its points must be judged anew, all of them.
func (c Counted) Renew(plan string, s backup.Settings, horizon time.Duration, zone *time.Location) (renewed Counted, anew bool) {
	c.Plan, c.Counts, c.Within, c.Horizon = plan, s.KeepCounts, s.KeepWithin, horizon
	if key := c.key(zone); c.Row.Rules != key {
		c.Row = Row{Rules: key, Clock: c.Row.Clock}
		return c, true
	}
	return c, false
}

// Ruling returns the row with the minimum of a run that has made a verified point, and says whether it is lower than before. The newest
// scheduled time says it.
func (c Counted) Ruling(run backup.Run) (ruled Counted, lower bool) {
	if run.ScheduledTime.Before(c.Ruled) {
		return c, false
	}
	lower = max(run.Settings.KeepMinimum, DefaultMinimum) < c.Minimum
	c.Minimum, c.Ruled = run.Settings.KeepMinimum, run.ScheduledTime
	return c, lower
}

// PolicyOf returns the policy of a plan's settings.
func PolicyOf(s backup.Settings) Policy {
	c := s.KeepCounts
	return Policy{
		Last: c.Last, Hourly: c.Hourly, Daily: c.Daily, Weekly: c.Weekly, Monthly: c.Monthly, Yearly: c.Yearly,
		Within: s.KeepWithin, Minimum: max(s.KeepMinimum, DefaultMinimum),
	}
}

// Rules returns the rules by which the row is kept: the counts alone.
func (c Counted) Rules(zone *time.Location) Rules {
	p := PolicyOf(backup.Settings{KeepCounts: c.Counts})
	p.Minimum = 0
	return Rules{Policy: p, Zone: zone, Horizon: c.Horizon}
}

// key names all that a person may edit.
func (c Counted) key(zone *time.Location) string {
	r := c.Rules(zone)
	r.Within = c.Within
	return r.Key()
}

// MayCount says whether the point is one that counts may hold: the plan's schedule made it, and it is verified.
func MayCount(p backup.Point, plan string) bool { return p.Plan == plan && p.Live() && !p.OnDemand }

// Add adds points, and returns the ones that no count holds any more.
func (c Counted) Add(zone *time.Location, now time.Time, points ...backup.Point) (Counted, []string) {
	counted := make([]Point, len(points))
	for i, p := range points {
		counted[i] = Point{ID: p.ID, Began: began(p)}
	}
	row, change := c.Rules(zone).Add(c.Row, now, counted...)
	c.Row = row
	return c, change.Out
}

// began returns the start of the point's backup.
func began(p backup.Point) time.Time {
	if p.Began.IsZero() { // no schedule made it, or a version before counts did
		return p.Created
	}
	return p.Began
}

// Holds says whether a count holds the point. The row of a plan whose counts were taken out has its newest point still, and holds none.
func (c Counted) Holds(point string) bool {
	return c.Counts.Any() && slices.ContainsFunc(c.Row.Kept, func(is Kept) bool { return is.ID == point })
}

// Write returns the write of the row.
func (c Counted) Write(target string) backup.Write {
	return backup.InsertOrReplace(backup.CountedKey(target, c.Plan), c.etag, backup.Encode(c))
}

// Why says why a point is held, with all its reasons.
func (c Counted) Why(point string, zone *time.Location, now time.Time) string {
	points := make([]Point, len(c.Row.Kept))
	for i, p := range c.Row.Kept {
		points[i] = p.point()
	}
	text := ""
	for _, v := range c.Rules(zone).Evaluate(points, c.Row.Clock, now) {
		for _, r := range v.Reasons {
			if v.ID == point && r.Keeps {
				text += ", " + r.String()
			}
		}
	}
	return fmt.Sprintf("kept by plan %s%s", c.Plan, text)
}
