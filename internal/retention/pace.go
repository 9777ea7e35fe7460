package retention

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// LeastPace is the number of recovery points of a target that may always go in a day.
const LeastPace = 2

// Pace is the row of a target that says how many of its recovery points cleanup has let go in the last day. A point is counted once: at its
// soft deletion, or at its deletion where it is not soft-deleted first.
type Pace struct {
	// Begun counts the points by hours, the oldest hour first.
	Begun []BegunIn `json:"Begun"`
	// Told counts the events about points that wait. Until Quiet no other one comes, unless none waits in between.
	Told  int       `json:"Told,omitempty"`
	Quiet time.Time `json:"Quiet,omitzero"`

	backup.Carried
	etag string
}

// BegunIn says how many points cleanup let go in an hour.
type BegunIn struct {
	Hour   time.Time `json:"hour"`
	Points int       `json:"points"`
}

// ReadPace reads the row; the zero row is none. The error is an [backup.ErrUnreadable].
func ReadPace(row backup.Row) (Pace, error) {
	if row.Row == "" {
		return Pace{}, nil
	}
	p, err := backup.Decode[Pace](row)
	p.etag = row.ETag
	return p, err
}

// PaceFrom returns the time from which on a point that was made, or let go, counts for the pace. A day is the present hour of the clock and
// the 23 before it: so a cleanup that comes at about the same time each day has room.
func PaceFrom(now time.Time) time.Time { return now.UTC().Truncate(time.Hour).Add(-23 * time.Hour) }

// freed returns the time from which on a point that goes now counts no longer.
func freed(now time.Time) time.Time { return now.UTC().Truncate(time.Hour).Add(24 * time.Hour) }

// frees returns the times at which the counted points count no longer, the earliest first.
func (p Pace) frees() (all []time.Time) {
	for _, b := range p.Begun {
		for range b.Points {
			all = append(all, freed(b.Hour))
		}
	}
	return all
}

// With returns the row with one more point.
func (p Pace) With(now time.Time) Pace {
	hour := now.UTC().Truncate(time.Hour)
	p.Begun = slices.DeleteFunc(slices.Clone(p.Begun), func(b BegunIn) bool { return b.Hour.Before(PaceFrom(now)) })
	if n := len(p.Begun); n > 0 && !p.Begun[n-1].Hour.Before(hour) {
		p.Begun[n-1].Points++
		return p
	}
	p.Begun = append(p.Begun, BegunIn{Hour: hour, Points: 1})
	return p
}

// Saved returns the row under the ETag of its last write.
func (p Pace) Saved(etag string) Pace {
	p.etag = etag
	return p
}

// Write returns the write of the row.
func (p Pace) Write(target string) backup.Write {
	return backup.InsertOrReplace(backup.PaceKey(target), p.etag, backup.Encode(p))
}

// Waiting says which points wait for the sake of the pace.
type Waiting struct {
	// Points are those that wait, in the order in which they go. Until is the time at which the last of them may go.
	Points []backup.Point
	Until  time.Time
	// Limit is the number of points of the target that may go in a day.
	Limit int
}

// News returns the row after an event about the points that wait, and says whether there is to be one: if as many wait as may go in a day,
// and no event has told of that. It may last longer than the event says, since more come.
func (p Pace) News(w Waiting, now time.Time) (told Pace, news bool) {
	if len(w.Points) < w.Limit || len(w.Points) == 0 || now.Before(p.Quiet) {
		return p, false
	}
	p.Told, p.Quiet = p.Told+1, now.Add(4*w.Until.Sub(now))
	return p, true
}

// After returns the row as it goes on where these wait.
func (p Pace) After(w Waiting) Pace {
	if len(w.Points) == 0 {
		p.Quiet = time.Time{}
	}
	return p
}

// SetPace takes the row of the target's pace. An error says why it cannot be read.
func (r *Review) SetPace(p Pace, err error) {
	if err != nil {
		r.unread = "nothing of the target is deleted: " + err.Error()
		return
	}
	r.pace = p
}

// AskedAt says that the review at a later time is asked for now: cleanups come in between, and let points go, and points get older, as if
// backups worked.
func (r *Review) AskedAt(now time.Time) { r.asked = now }

// Waiting returns what the decisions have wait.
func (r *Review) Waiting() Waiting { return r.waits }

// limit lets at most a tenth of so many points of the target go in a day, at least LeastPace, and as many as were made in a day, of
// any kind, where that is more.
func (r *Review) limit(points int) int { return max(LeastPace, points/10, r.made) }

// leaving is a decision that lets a point go, and the time since which the point is past its day.
type leaving struct {
	at    int
	since time.Time
	point backup.Point
}

// slow has points wait that are more than the pace allows. A point that was let go before passes: its deletion has begun, it is
// soft-deleted, or its deletion was tried. The point that is past its day for the longest goes first.
func (r *Review) slow(decisions []Decision) {
	var all []leaving
	for i, d := range decisions {
		p := d.Point
		if d.Keep || p.State == backup.Deleting || p.IsSoftDeleted() || p.Reason.Code != "" {
			continue
		}
		since, _ := r.day(p)
		if since.IsZero() {
			since = p.Created
		}
		all = append(all, leaving{i, since, p})
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return cmp.Or(a.since.Compare(b.since), a.point.Created.Compare(b.point.Created), strings.Compare(a.point.ID, b.point.ID)) < 0
	})
	t := r.timetable(all)
	for _, l := range all {
		at, counts := t.next(l)
		d := &decisions[l.at]
		if !at.After(r.now) {
			d.Paced, d.From = counts, at
			continue
		}
		*d = Decision{Point: l.point, Keep: true, Waits: true, Reason: slowed(r.waits.Limit), Why: d.Reason, Next: at}
		r.waits.Points, r.waits.Until = append(r.waits.Points, l.point), later(r.waits.Until, at)
	}
}

// timetable says when each of the leaving points may go.
type timetable struct {
	*Review
	// points counts the target's points, of which a tenth may go. It leaves out the ones older than all that go: so cleanup need not read these.
	points int
	// limit is the one of the day that began last, and began is that time.
	limit int
	began time.Time
	// frees are the times at which the points that go count no longer.
	frees []time.Time
	// artifacts has the time for each place of an artifact: points of one artifact go as one.
	artifacts map[string]time.Time
}

func (r *Review) timetable(all []leaving) *timetable {
	t := &timetable{Review: r, began: r.asked, frees: r.pace.frees(), artifacts: map[string]time.Time{}}
	for _, l := range all {
		t.points = max(t.points, r.places[l.at])
	}
	t.limit = r.limit(t.points)
	r.waits = Waiting{Limit: t.limit}
	return t
}

// next returns the time at which the next one may go, and whether it counts.
func (t *timetable) next(l leaving) (at time.Time, counts bool) {
	place := cmp.Or(l.point.Artifact, l.point.ID) + "\n" + l.point.Location()
	if at, shared := t.artifacts[place]; shared {
		return at, false
	}
	at = later(l.since, t.asked)
	if at = later(at, t.free()); at.After(t.began) { // by then fewer points are there
		t.limit = t.Review.limit(t.points - len(t.artifacts))
		t.began = later(at, t.free())
		at = t.began
	}
	t.frees, t.artifacts[place] = append(t.frees, freed(at)), at
	return at, true
}

// free returns the time from which on another point may go; zero if one may at any time.
func (t *timetable) free() time.Time {
	if n := len(t.frees) - t.limit; n >= 0 {
		return t.frees[n]
	}
	return time.Time{}
}

func slowed(limit int) string {
	return fmt.Sprintf("waits: at most %d of the target's recovery points are deleted a day", limit)
}
