package retention

import (
	"time"

	"lifeboat/internal/backup"
)

// Decision says whether a recovery point is kept, and why.
type Decision struct {
	Point  backup.Point
	Keep   bool
	Reason string
}

// Review decides which recovery points of one target expire. It takes them page by page, in any order, and holds only the points
// past their time, however long the history is.
type Review struct {
	now time.Time
	// past are the points past their time, and those whose deletion was begun.
	past []backup.Point
	// within counts the points within their time; their artifacts are held.
	within int
	// artifacts has a point for each place of an artifact that is kept.
	artifacts map[string]string
	// newest is the newest live point.
	newest backup.Point
	// unread says why a point cannot be read.
	unread string
}

// NewReview begins a review at an instant.
func NewReview(now time.Time) *Review { return &Review{now: now, artifacts: map[string]string{}} }

// Past says whether the point may have to go: it is past its time, or its deletion was begun.
func (r *Review) Past(p backup.Point) bool {
	return p.State == backup.Deleting || p.State != backup.Expired && p.State != backup.Unreadable && !r.now.Before(p.Expires)
}

// Add takes a point.
func (r *Review) Add(p backup.Point) {
	if p.State == backup.Unreadable {
		r.unread = "nothing of the target is deleted: " + p.Reason.Message
	}
	if p.Live() && (r.newest.ID == "" || p.Created.After(r.newest.Created)) {
		r.newest = p
	}
	switch {
	case p.State == backup.Expired:
	case r.Past(p):
		r.past = append(r.past, p)
	default:
		r.within++
		r.keep(p)
	}
}

// keep notes that the point's artifact stays.
func (r *Review) keep(p backup.Point) {
	if p.Artifact != "" {
		r.artifacts[p.Location()] = p.ID
	}
}

// Decide decides about the points past their time, in the order in which they came, and counts the others. A point past its time
// expires, except the newest live one, whatever its age: it is the best point to restore from. A suspect point or a safety backup is
// kept for its time, but does not replace a live one. A held point stays, and so does a point with Readers: they are the restores
// that have not ended. A point kept by storage is left alone until its deletion is to be tried again. A point that expired before
// or at the time of its writing stays for good: its expiry is a mistake. A point whose artifact is also named by a kept point stays. If
// one point cannot be read, all stay: its purpose is unknown.
func (r *Review) Decide() (decisions []Decision, others int) {
	decisions = make([]Decision, len(r.past))
	for i, p := range r.past {
		decisions[i] = r.decide(p)
		if decisions[i].Keep {
			r.keep(p)
		}
	}
	for i, d := range decisions {
		if other := r.artifacts[d.Point.Location()]; !d.Keep && other != "" {
			decisions[i].Keep, decisions[i].Reason = true, "the recovery point "+other+" names the same artifact"
		}
	}
	return decisions, r.within
}

func (r *Review) decide(p backup.Point) Decision {
	ended := "keep.within ended at " + p.Expires.UTC().Format(time.RFC3339)
	kept := func(reason string) Decision { return Decision{Point: p, Keep: true, Reason: reason} }
	switch {
	case r.unread != "":
		return kept(r.unread)
	case !p.Expires.After(p.Created):
		return kept("it expired at " + p.Expires.UTC().Format(time.RFC3339) + ", not after it was written. That is a mistake, " +
			"so cleanup keeps it")
	case p.State == backup.Deleting:
		return Decision{Point: p, Reason: "its deletion was begun"}
	case p.ID == r.newest.ID:
		return kept("the newest verified recovery point of the target")
	case r.now.Before(p.Held.Until):
		return kept("held until " + p.Held.Until.UTC().Format(time.RFC3339) + ": " + p.Held.Reason)
	case len(p.Readers) > 0:
		return kept("the restore " + p.Readers[0] + " reads it")
	case r.now.Before(p.KeptByStorage.Again):
		return kept(p.KeptByStorage.String())
	case p.State == backup.Suspect:
		return Decision{Point: p, Reason: ended + ", and no person accepted it"}
	case p.Safety:
		return Decision{Point: p, Reason: "keep.within of a safety backup ended at " + p.Expires.UTC().Format(time.RFC3339)}
	}
	return Decision{Point: p, Reason: ended + ", and there is a newer one"}
}
