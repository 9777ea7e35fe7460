package history

import (
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// Kept is the number of a target's newest runs, and of its newest recovery points, that stay at any age. Health goes by the newest ten
// runs, and the normal size by the newest ten points that are trusted.
const Kept = 20

// since returns the time from which on the history of an ended run and its recovery point counts, the zero value if it has none. It is
// not before now if the point is still there: its deletion is still to come.
func since(r backup.Run, p backup.Point, now time.Time) time.Time {
	switch p.State {
	case "":
		return r.Ended
	case backup.Expired:
		return backup.Later(r.Ended, p.Deleted)
	}
	return backup.Later(now, p.Expires)
}

// floor has the keys of a target's oldest rows that stay at any age: of its newest runs, of its newest recovery points, and of the points
// of the normal size.
type floor struct{ run, point, trusted string }

// keeps says whether the run or its recovery point is one of these.
func (f floor) keeps(r backup.Run, p backup.Point) bool {
	if r.Key().Row <= f.run {
		return true
	}
	return p.State != "" && (p.Key().Row <= f.point || p.InBaseline() && p.Key().Row <= f.trusted)
}

// behindAll is a key behind all rows of a target.
const behindAll = "~"

// add takes the newest points, in their order, and tells whether these are enough.
func (f *floor) add(points []backup.Point) (enough bool) {
	f.point, f.trusted = behindAll, behindAll
	if len(points) >= Kept {
		f.point = points[Kept-1].Key().Row
	}
	n := 0
	for _, p := range points {
		if p.InBaseline() {
			n++
		}
		if n == retention.Trailing {
			f.trusted = p.Key().Row
			break
		}
	}
	return f.point != behindAll && f.trusted != behindAll
}
