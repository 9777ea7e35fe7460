package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// trailing is how many of a target's newest trusted recovery points tell what size is normal, and leastTrailing how
	// few tell nothing.
	trailing, leastTrailing = 10, 3
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
func Weigh(p Point, before []Point, now time.Time) (Point, []Point) {
	before = slices.SortedFunc(slices.Values(before), func(a, b Point) int { return b.Created.Compare(a.Created) })
	before = slices.DeleteFunc(before, func(p Point) bool { return p.Safety || p.State == Unreadable })
	normal := normalSize(before)
	if 2*p.Size >= normal {
		return p, nil
	}
	p.State, p.Suspicion = Suspect, reason("SizeSuspect",
		fmt.Sprintf("the artifact has %d bytes, less than half of the %d that are normal for the target", p.Size, normal),
		"See whether the service has lost something, or restore the backup into another service; if it is right, accept it: "+
			"lifeboat accept "+p.ID)
	if len(before) < alike-1 {
		return p, nil
	}
	last := before[:alike-1]
	bySize := func(a, b Point) int { return cmp.Compare(a.Size, b.Size) }
	three := append([]Point{p}, last...)
	if slices.ContainsFunc(last, Point.trusted) || slices.MaxFunc(three, bySize).Size > 2*slices.MinFunc(three, bySize).Size {
		return p, nil
	}
	accepted := Acceptance{Time: now, By: "run " + p.ID, Reason: "three backups on end have about this size"}
	p.State, p.Accepted = Live, accepted
	var made []Point
	for _, b := range last {
		if b.State == Suspect {
			b.State, b.Accepted = Live, accepted
			made = append(made, b)
		}
	}
	return p, made
}

// normalSize is that of a target's recovery points, in bytes; 0 if there are too few to tell. The newest come first.
func normalSize(points []Point) int64 {
	var sizes []int64
	var accepted int64
	for _, p := range points {
		if !p.trusted() {
			continue
		}
		if accepted == 0 && !p.Accepted.Time.IsZero() {
			accepted = p.Size
		}
		if sizes = append(sizes, p.Size); len(sizes) == trailing {
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

// succeed ends the run with its recovery point, live or suspect, and with the acceptance of those that it makes live. If
// cleanup or a person changed one of these meanwhile, nothing is saved, and the step is made again.
func (s *step) succeed(ctx context.Context, p Point, files []File) error {
	if s.run.Restore != nil {
		return s.secured(ctx, p, files)
	}
	points, err := s.recentPoints(ctx, p.Target, func(points []Point) bool {
		trusted := 0
		for _, p := range points {
			if p.trusted() {
				trusted++
			}
		}
		return trusted >= trailing
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(points, func(b Point) bool { return b.ID == p.ID }) {
		return errLost // another invocation was faster, and its recovery point is no measure for itself
	}
	p, made := Weigh(p, points, s.clock())
	if err := s.putDue(ctx, p.Expires, p); err != nil {
		return err
	}
	writes := p.insert(files)
	for _, m := range made {
		writes = append(writes, m.replace())
		s.owe(accepted(m))
	}
	var why Reason
	if p.State == Suspect {
		why = p.Suspicion
	}
	before := s.run
	err = s.end(ctx, succeeds, why, writes...)
	if errors.Is(err, errTaken) {
		s.run, s.owed = before, nil
		return s.end(ctx, loses, artifactTaken(p))
	}
	return err
}

// artifactTaken is why a run is lost that found what belongs to another.
func artifactTaken(p Point) Reason {
	return reason("ArtifactTaken", "what the run found, "+p.Artifact+", belongs to another recovery point of the target; what "+
		"became of its own operation cannot be told", "Ask for the backup again.")
}

// ErrPointGone: the recovery point is being deleted, or expired.
var ErrPointGone = errors.New("there is nothing left to accept")

// Accept makes a suspect recovery point a live one, because a person vouches for it, and says so in an event. By names
// the request. One that is live stays as it is. It returns ErrNotFound if there is no recovery point with the ID, and
// ErrPointGone if cleanup was faster.
//
// The run owes the event, as it did that of its end. The index entry comes first, so that the sweep sends it if this
// process dies; the sweep must not look before the save, or it would drop the entry.
func (e *Engine) Accept(ctx context.Context, id, by, why string) (Point, error) {
	for {
		read := e.Now()
		run, now, err := e.load(ctx, id)
		if err != nil {
			return Point{}, err
		}
		p, err := e.RecoveryPoint(ctx, id)
		if err != nil {
			return Point{}, err
		}
		s := e.newStep(run, now, read)
		switch p.State {
		case Live:
			if run.State.Final() { // that of a safety backup may be under way
				_ = s.settle(ctx) // if it still owes the event, this is one more chance
			}
			return p, nil
		case Suspect:
		default:
			return p, fmt.Errorf("%w: the recovery point %s is %s: %s", ErrPointGone, id, p.State, p.Reason.Message)
		}
		entry := Key{Partition: inflightPartition, Row: inflightKey(now.Add(orphanAge), id, e.NewID())}
		body := encode(inflight{Run: id, Created: now})
		if _, err := e.Catalog.Apply(ctx, Write{Op: Put, Key: entry, Body: body}); err != nil {
			return Point{}, fmt.Errorf("index the acceptance of recovery point %s: %w", id, err)
		}
		p.State, p.Accepted = Live, Acceptance{Time: now, By: by, Reason: why}
		s.owe(accepted(p))
		err = s.save(ctx, p.replace())
		if errors.Is(err, errLost) {
			continue // cleanup, another acceptance or the run's own event: see what it is now
		}
		if err != nil {
			return Point{}, err
		}
		_ = s.settle(ctx) // what cannot be sent now, the sweep sends
		return p, nil
	}
}

// accepted is the event about the acceptance of a recovery point. Its ID is stable: a point is accepted once at the most.
func accepted(p Point) Event {
	data, err := json.Marshal(struct {
		Point    string    `json:"recoveryPoint"`
		Plan     string    `json:"plan"`
		Target   string    `json:"target"`
		Size     int64     `json:"sizeInBytes"`
		CopyOnly bool      `json:"copyOnly,omitempty"`
		Accepted time.Time `json:"accepted"`
		By       string    `json:"by"`
		Reason   string    `json:"reason,omitempty"`
	}{p.ID, p.Plan, p.Target, p.Size, p.CopyOnly(), p.Accepted.Time, p.Accepted.By, p.Accepted.Reason})
	if err != nil {
		panic(err) // only strings, a time and a number
	}
	return Event{
		ID: p.ID + ".accepted", Type: "lifeboat.recovery-point.accepted", Subject: p.Target, Time: p.Accepted.Time, Data: data,
	}
}
