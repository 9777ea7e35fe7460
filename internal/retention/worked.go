package retention

import (
	"cmp"
	"math"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// epoch is the time from which the clocks of plans count. A point and a plan of a version without clocks have lost no time since.
var epoch = time.Unix(0, 0).UTC()

// Settle gives a new point of the plan its Idle, and lowers the one of accepted points: the time between them worked after all. The clock
// goes on with the ones behind the newest success. For an older one it is the time lost since the success before it, and none of the time
// counts that was lost until the success after it: both are among the known points. The grace is the one of the schedule as it is now.
func (c Counted) Settle(grace time.Duration, now time.Time, known []backup.Point, fresh *backup.Point, accepted ...*backup.Point) {
	known = slices.Clip(known)
	slices.SortFunc(accepted, func(a, b *backup.Point) int { return a.Created.Compare(b.Created) })
	for _, p := range accepted {
		if p.Plan != c.Plan {
			continue
		}
		at := success(*p, now)
		p.Idle = min(p.Idle, c.idle(backup.Later(at, c.Clock.Began)))
		if o, ok := before(known, *p); ok && !at.After(c.Clock.Began) {
			p.Idle = min(p.Idle, o.Idle+lost(at.Sub(o.Created), grace, c.Grace))
		}
		p.Idle = min(p.Idle, until(known, *p, at, grace))
		c, known = c.Advance(grace, now, *p), append(known, *p)
	}
	if fresh != nil {
		at := success(*fresh, now)
		fresh.Idle = min(c.idle(at), until(known, *fresh, at, grace))
	}
}

// until returns the Idle of a point by the one of the success after it: less by the time that was lost between them, also below zero where
// the clock began with the later one. It is the greatest number if there is none.
func until(known []backup.Point, p backup.Point, at time.Time, grace time.Duration) time.Duration {
	var next backup.Point
	for _, o := range known {
		if o.Plan == p.Plan && o.InBaseline() && o.Created.After(p.Created) && (next.ID == "" || o.Created.Before(next.Created)) {
			next = o
		}
	}
	if next.ID == "" {
		return math.MaxInt64
	}
	return next.Idle - lost(next.Created.Sub(at), grace, grace)
}

// before returns the newest success of the point's plan before it.
func before(known []backup.Point, p backup.Point) (newest backup.Point, found bool) {
	for _, o := range known {
		if o.Plan == p.Plan && o.InBaseline() && o.Created.Before(p.Created) && o.Created.After(newest.Created) {
			newest, found = o, true
		}
	}
	return newest, found
}

// HasBefore says whether the points have a success of the point's plan before it.
func HasBefore(points []backup.Point, p backup.Point) bool {
	_, found := before(points, p)
	return found
}

// lost returns how much of the time behind a success no backup worked in: by the longer grace, the schedule's of then or of now.
func lost(since, grace, other time.Duration) time.Duration {
	if grace == 0 || other == 0 {
		return 0
	}
	return max(since-max(grace, other), 0)
}

// idle returns the time up to an instant in which no backup worked.
func (c Counted) idle(at time.Time) time.Duration {
	if c.Clock.Began.IsZero() {
		return 0
	}
	return at.Sub(epoch) - c.Clock.At(at, c.Grace)
}

// success returns the time of a point by its plan's clock. Storage has a clock of its own, which may be ahead.
func success(p backup.Point, now time.Time) time.Time {
	if p.Created.After(now) {
		return now
	}
	return p.Created
}

// Works says whether the point is a success of the plan: a verified backup, by its schedule or by hand, whatever became of it since.
func Works(p backup.Point, plan string) bool {
	return p.Plan == plan && p.State == backup.Live && !p.Safety
}

// Advance has the plan's clock go on with successes, each with its Idle. The grace is the one behind the newest of them: the time before has
// the one that held then, so that no point gets older or younger at once.
func (c Counted) Advance(grace time.Duration, now time.Time, points ...backup.Point) Counted {
	points = slices.SortedFunc(slices.Values(points), func(a, b backup.Point) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	for _, p := range points {
		at := success(p, now)
		if was := c.Clock; was.Began.IsZero() {
			c.Clock = Clock{Began: at, Worked: at.Sub(epoch) - p.Idle}
		} else if c.Clock = was.Advance(Point{Began: at, Worked: at.Sub(epoch) - p.Idle}, c.Grace, now); c.Clock == was {
			continue
		}
		c.Grace = grace
	}
	return c
}

// age says how long the clock of a point's plan has stood still since the point, and since when it stands still now; zero if it does not.
// A review at a later time takes backups to work from now on: else a preview would hide what goes. The time of a safety backup goes on, as
// it is about a restore.
func (r *Review) age(p backup.Point) (lost time.Duration, since time.Time) {
	c, ok := r.clocks[p.Plan]
	if !ok || p.Safety || c.Clock.Began.IsZero() {
		return 0, time.Time{}
	}
	if stop := c.Clock.Began.Add(c.Grace); c.Grace > 0 && r.asked.After(stop) {
		since = c.Clock.Began
	}
	return max(c.idle(r.asked)-p.Idle, 0), since
}

// aged returns the day on which a time ends that is counted by the clock of the point's plan: never one beyond the service's limit of age,
// unless the time itself ends there.
func (r *Review) aged(p backup.Point, day time.Time) time.Time {
	lost, _ := r.age(p)
	aged := day.Add(lost)
	if limit := p.Created.Add(r.restorable + 1); r.restorable > 0 && aged.After(limit) {
		return backup.Later(day, limit)
	}
	return aged
}
