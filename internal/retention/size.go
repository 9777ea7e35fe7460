package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

const (
	// trailing is how many of a target's newest trusted recovery points tell what size is normal, and leastTrailing how
	// few tell nothing.
	Trailing, leastTrailing = 10, 3
	// alike: of this many on end, sizes within a factor of two of each other are the new normal.
	alike = 3
)

// Weigh says whether a new recovery point is suspect, by its size and the points of the target before it, in any order.
// It returns the new one, and those before that it makes live.
//
// Normal is the median of the newest ten that were never suspect or were accepted, of whichever plan, expired or not;
// of fewer than three there is none. An accepted size is normal, too: where the newest acceptance among the ten is
// smaller than the median, it counts instead. Less than half of normal is suspect, unless the target's two newest points
// are so as well, and the three are within a factor of two of each other: then that is what the target's backups are like
// now, and all three are accepted.
func Weigh(p backup.Point, before []backup.Point, now time.Time) (backup.Point, []backup.Point) {
	before = slices.SortedFunc(slices.Values(before), func(a, b backup.Point) int { return b.Created.Compare(a.Created) })
	before = slices.DeleteFunc(before, func(p backup.Point) bool { return p.Safety || p.State == backup.Unreadable })
	normal := normalSize(before)
	if 2*p.Size >= normal {
		return p, nil
	}
	p.State, p.Suspicion = backup.Suspect, backup.NewReason("SizeSuspect",
		fmt.Sprintf("the artifact has %d bytes, less than half of the %d that are normal for the target", p.Size, normal),
		"See whether the service has lost something, or restore the backup into another service; if it is right, accept it: "+
			"lifeboat accept "+p.ID)
	if len(before) < alike-1 {
		return p, nil
	}
	last := before[:alike-1]
	bySize := func(a, b backup.Point) int { return cmp.Compare(a.Size, b.Size) }
	three := append([]backup.Point{p}, last...)
	if slices.ContainsFunc(last, backup.Point.Trusted) || slices.MaxFunc(three, bySize).Size > 2*slices.MinFunc(three, bySize).Size {
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

// normalSize is that of a target's recovery points, in bytes; 0 if there are too few to tell. The newest come first.
func normalSize(points []backup.Point) int64 {
	var sizes []int64
	var accepted int64
	for _, p := range points {
		if !p.Trusted() {
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
