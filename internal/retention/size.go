package retention

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"lifeboat/internal/backup"
)

const (
	// Trailing is the number of a target's newest trusted recovery points from which the normal size is computed. Fewer than
	// leastTrailing give no normal size.
	Trailing, leastTrailing = 10, 3
	// similar is the number of successive points whose sizes become the new normal if they are within a factor of two of each
	// other.
	similar = 3
)

// sizeSuspect is the code of a point that is suspect by its size.
const sizeSuspect = "SizeSuspect"

// CheckSize says whether a new recovery point is suspect, by its size and the points of the target before it, in any order. It
// returns the new point, and the earlier points that it makes live.
//
// The normal size is the median of the newest ten points that were never suspect or were accepted. They may be of any plan,
// expired or not; fewer than three give no normal size. An accepted size is normal, too: if the newest acceptance among the ten
// is smaller than the median, it counts instead. A point is suspect with less than half of the normal size, unless the target's
// two newest points are suspect as well, and the three are within a factor of two of each other: then all three are accepted,
// because the target's backups now have this size. A point that its provider doubts stays suspect, however many are like it.
func CheckSize(p backup.Point, before []backup.Point, now time.Time) (backup.Point, []backup.Point) {
	before = slices.Clone(before)
	sort.Slice(before, func(i, j int) bool { return before[i].Created.After(before[j].Created) })
	before = slices.DeleteFunc(before, func(p backup.Point) bool { return p.Safety || p.State == backup.Unreadable })
	normal := normalSize(before)
	if p.State == backup.Suspect || 2*p.Size >= normal {
		return p, nil
	}
	p.State, p.Suspicion = backup.Suspect, backup.NewReason(sizeSuspect,
		fmt.Sprintf("the artifact has %d bytes, less than half of the %d that are normal for the target", p.Size, normal),
		"See whether the service has lost something, or restore the backup into another service; if it is right, accept it: "+
			"lifeboat accept "+p.ID)
	if len(before) < similar-1 {
		return p, nil
	}
	last := before[:similar-1]
	bySize := func(a, b backup.Point) int { return cmp.Compare(a.Size, b.Size) }
	three := append([]backup.Point{p}, last...)
	another := func(b backup.Point) bool { return b.InBaseline() || b.Suspicion.Code != sizeSuspect }
	if slices.ContainsFunc(last, another) || slices.MaxFunc(three, bySize).Size > 2*slices.MinFunc(three, bySize).Size {
		return p, nil
	}
	accepted := backup.Acceptance{Time: now, By: "run " + p.ID, Reason: "three backups on end have about this size"}
	p.State, p.Accepted = backup.Live, accepted
	var made []backup.Point
	for _, b := range last {
		if b.State == backup.Suspect {
			b.State, b.Accepted = backup.Live, accepted
			made = append(made, b)
		}
	}
	return p, made
}

// normalSize returns the normal size of a target's recovery points, in bytes; 0 if there are too few. The newest come first.
func normalSize(points []backup.Point) int64 {
	var sizes []int64
	var accepted int64
	for _, p := range points {
		if !p.InBaseline() {
			continue
		}
		if accepted == 0 && !p.Accepted.Time.IsZero() {
			accepted = p.Size
		}
		if sizes = append(sizes, p.Size); len(sizes) == Trailing {
			break
		}
	}
	n := len(sizes)
	if n < leastTrailing {
		return 0
	}
	slices.Sort(sizes)
	median := (sizes[(n-1)/2] + sizes[n/2]) / 2
	return min(median, cmp.Or(accepted, median))
}
