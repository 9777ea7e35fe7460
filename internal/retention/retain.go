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

// Retain decides about all the recovery points of one target at an instant. A point past its time expires, except the newest live
// one, whatever its age: it is the best point to restore from. A suspect point or a safety backup is kept for its time, but does
// not replace a live one. A held point stays, and so does a point with Readers: they are the restores that have not ended. A
// point kept by storage is left alone until its deletion is to be tried again. A point that expired before or at the time of its
// writing stays for good: its expiry is a mistake. If one point cannot be read, all stay: its purpose is unknown.
func Retain(points []backup.Point, now time.Time) []Decision {
	newest, unread := -1, ""
	for i, p := range points {
		if p.State == backup.Unreadable {
			unread = "nothing of the target is deleted: " + p.Reason.Message
		}
		if p.Live() && (newest < 0 || p.Created.After(points[newest].Created)) {
			newest = i
		}
	}
	decisions := make([]Decision, 0, len(points))
	for i, p := range points {
		d := Decision{Point: p}
		switch {
		case p.State == backup.Expired:
			continue
		case unread != "":
			d.Keep, d.Reason = true, unread
		case !p.Expires.After(p.Created):
			d.Keep, d.Reason = true, "it expired at "+p.Expires.UTC().Format(time.RFC3339)+", not after it was written. That is a mistake, "+
				"so cleanup keeps it"
		case p.State == backup.Deleting:
			d.Reason = "its deletion was begun"
		case i == newest:
			d.Keep, d.Reason = true, "the newest verified recovery point of the target"
		case now.Before(p.Expires):
			d.Keep, d.Reason = true, "keep.within lasts until "+p.Expires.UTC().Format(time.RFC3339)
		case now.Before(p.Held.Until):
			d.Keep, d.Reason = true, "held until "+p.Held.Until.UTC().Format(time.RFC3339)+": "+p.Held.Reason
		case len(p.Readers) > 0:
			d.Keep, d.Reason = true, "the restore "+p.Readers[0]+" reads it"
		case now.Before(p.KeptByStorage.Again):
			d.Keep, d.Reason = true, p.KeptByStorage.String()
		case p.State == backup.Suspect:
			d.Reason = "keep.within ended at " + p.Expires.UTC().Format(time.RFC3339) + ", and no person accepted it"
		default:
			d.Reason = "keep.within ended at " + p.Expires.UTC().Format(time.RFC3339) + ", and there is a newer one"
			if p.Safety {
				d.Reason = "keep.within of a safety backup ended at " + p.Expires.UTC().Format(time.RFC3339)
			}
		}
		decisions = append(decisions, d)
	}
	return spare(decisions)
}

// spare keeps a point whose artifact is also named by a kept point.
func spare(decisions []Decision) []Decision {
	keeper := map[string]string{}
	for _, d := range decisions {
		if d.Keep && d.Point.Artifact != "" {
			keeper[d.Point.Location()] = d.Point.ID
		}
	}
	for i, d := range decisions {
		if other := keeper[d.Point.Location()]; !d.Keep && other != "" {
			decisions[i].Keep, decisions[i].Reason = true, "the recovery point "+other+" names the same artifact"
		}
	}
	return decisions
}
