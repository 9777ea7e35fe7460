package retention

import (
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Cause is a reason, in words. Until is the time at which it ends by itself; zero if only a new backup or a person ends it, and for a
// point that goes.
type Cause struct {
	Words string
	Until time.Time
}

// Explanation says whether a recovery point stays at the time of the review, with all reasons.
type Explanation struct {
	Point  backup.Point
	Stays  bool
	Causes []Cause
	// Next is the time from which on the answer may be another one; zero if only a new backup or a person changes it.
	Next time.Time
	// Waits says that it stays for the sake of the pace alone.
	Waits bool
}

// Explain decides about the added points as Decide does, and says all reasons for each of the given ones: these are the added ones without
// the expired ones.
func (r *Review) Explain(points []backup.Point) []Explanation {
	decisions, _ := r.Decide()
	decided := make(map[string]Decision, len(decisions))
	for _, d := range decisions {
		decided[d.Point.ID] = d
	}
	waiting := r.waiting(points)
	all, places := make([]Explanation, len(points)), make(map[string]int, len(points))
	var borrowed []int
	for i, p := range points {
		d, past := decided[p.ID]
		x := Explanation{Point: p, Stays: d.Keep || !past}
		if d.Waits {
			x.Causes, x.Waits = []Cause{{Words: d.Reason, Until: d.Next}, {Words: "then it goes: " + d.Why, Until: d.Next}}, true
		} else if x.Stays {
			x.Causes = r.causes(p, waiting[p.Plan])
		} else {
			x.Causes = r.goes(d)
		}
		if len(x.Causes) == 0 { // another point holds its artifact, or a later one has taken its place in the counts
			x.Causes, borrowed = []Cause{{Words: d.Reason, Until: r.now}}, append(borrowed, i)
		}
		all[i], places[p.ID] = x, i
		all[i].Next = next(x.Causes)
	}
	for _, i := range borrowed {
		if other, ok := places[r.artifacts[all[i].Point.Location()]]; ok && other != i {
			all[i].Next = all[other].Next // the artifact stays as long as the other point
			all[i].Causes[0].Until = all[i].Next
		}
	}
	r.horizons(all)
	return all
}

// horizons says of each verified point that the service cannot restore it any more. That is no reason to stay.
func (r *Review) horizons(all []Explanation) {
	for i, x := range all {
		p := x.Point
		if !p.Live() || r.restores(p) {
			continue
		}
		words := "its service restores no backup older than " + days(r.restorable)
		if c := r.counted[p.Plan]; c == nil || !c.Holds(p.ID) {
			if _, among := r.minimum(p); !among {
				words += ", so that no count or minimum holds it"
			}
		}
		all[i].Causes = append(x.Causes, Cause{Words: words})
	}
}

// restores says whether the service can still restore the point.
func (r *Review) restores(p backup.Point) bool {
	return r.restorable == 0 || r.now.Sub(p.Created) <= r.restorable
}

// goes returns the causes for which a point goes.
func (r *Review) goes(d Decision) []Cause {
	causes := []Cause{{Words: d.Reason}}
	soft := days(d.Point.SoftDelete)
	from := d.From
	if from.IsZero() { // the pace does not ask: it was let go before
		from = r.asked
	}
	switch left := from.Add(d.Point.SoftDelete).Sub(r.now); {
	case !d.Mark:
	case left > 0:
		causes = append(causes, Cause{Words: "it is soft-deleted first: its backup is there for " + days(left) + " more"})
	default:
		causes = append(causes, Cause{Words: "by then its soft deletion of " + soft + " is over, and its backup gone"})
	}
	if k := d.Point.KeptByStorage; !k.Again.IsZero() {
		causes = append(causes, Cause{Words: "cleanup tries again what it could not do before: " + k.String()})
	}
	return causes
}

// next returns the time at which the last cause ends; zero if one of them has no end.
func next(causes []Cause) (last time.Time) {
	for _, c := range causes {
		if c.Until.IsZero() {
			return time.Time{}
		}
		last = later(last, c.Until)
	}
	return last
}

// waiting says which plans have a point without a place in their counts. Such a point may take one without a new backup: cleanup adds it
// again when it looks, and the horizon may have passed over another one by then.
func (r *Review) waiting(points []backup.Point) map[string]bool {
	plans := map[string]bool{}
	for _, p := range points {
		if c := r.counted[p.Plan]; c != nil && MayCount(p, c.Plan) && !c.Holds(p.ID) {
			plans[p.Plan] = true
		}
	}
	return plans
}

// causes lists all reasons for which a point stays, in the order in which cleanup asks for them. Waiting says that another one may take
// its place in a count without a new backup.
func (r *Review) causes(p backup.Point, waiting bool) (causes []Cause) {
	add := func(holds bool, words string, until time.Time) {
		if holds {
			causes = append(causes, Cause{Words: words, Until: until})
		}
	}
	add(r.unread != "", r.unread, time.Time{})
	if !p.SoftDeletion.Person() {
		r.rules(p, waiting, add)
	}
	add(r.now.Before(p.Held.Until), heldByRestore(p), p.Held.Until)
	longest, _ := p.LongestHold(r.now)
	for _, hold := range p.HeldBy(r.now) {
		if hold.ID == longest.ID {
			causes = append(causes, Cause{Words: hold.String(), Until: hold.Until})
		}
	}
	for _, hold := range p.HeldBy(r.now) {
		add(hold.ID != longest.ID, hold.String(), hold.Until)
	}
	if len(p.Readers) > 0 {
		causes = append(causes, Cause{Words: readBy(p)})
	}
	add(r.now.Before(p.KeptByStorage.Again), p.KeptByStorage.String(), p.KeptByStorage.Again)
	add(r.now.Before(p.SoftDeletion.Until), softDeleted(p), p.SoftDeletion.Until)
	return causes
}

// rules adds the rules of the policy that hold the point. None of them holds a point that a person deletes.
func (r *Review) rules(p backup.Point, waiting bool, add func(holds bool, words string, until time.Time)) {
	day, endless := r.day(p)
	minimum, among := r.minimum(p)
	c := r.counted[p.Plan]
	add(!p.Expires.IsZero() && !p.Expires.After(p.Created), mistaken(p), time.Time{})
	if c != nil && c.Holds(p.ID) {
		cause := r.countedCause(c, p, waiting)
		add(true, cause.Words, cause.Until)
	}
	add(p.Counted && c == nil, uncounted(p), time.Time{})
	add(endless, unlimited, time.Time{})
	add(p.Began.After(r.now), future(p), p.Began)
	add(!endless && r.now.Before(day), r.withinUntil(p, day), day)
	add(p.ID == r.newest.ID, theNewest, time.Time{})
	var unrestorable time.Time
	if r.restorable > 0 {
		unrestorable = p.Created.Add(r.restorable + 1)
	}
	add(r.isFormer(p), ofFormer(p), unrestorable)
	add(among && (minimum > 1 || p.ID != r.newest.ID), amongNewest(minimum), unrestorable)
}

// countedCause says why counts hold the point, and until when. The row as it is saved may not hold a point that it took again.
func (r *Review) countedCause(c *countedIn, p backup.Point, waiting bool) Cause {
	cause := Cause{Words: c.Why(p.ID, c.zone, r.now)}
	if at := slices.IndexFunc(c.Row.Kept, func(is Kept) bool { return is.ID == p.ID }); (waiting || c.changed) && c.Horizon > 0 {
		cause.Until = c.Row.Kept[at].point().Began.Add(c.Horizon + 1)
	}
	return cause
}

// These are the words of decisions and causes.
const (
	unlimited = "no rule of keep limits its time"
	theNewest = "the newest verified recovery point of the target"
)

func mistaken(p backup.Point) string {
	return "it expired at " + p.Expires.UTC().Format(time.RFC3339) + ", not after it was written. That is a mistake, so cleanup keeps it"
}

func future(p backup.Point) string {
	return "its backup is dated " + p.Began.UTC().Format(time.RFC3339) + ", which is still to come"
}

func uncounted(p backup.Point) string {
	return "the row of the catalog that says which recovery points the counts of plan " + p.Plan + " hold is gone: the plan's next backup " +
		"of the target writes it"
}

// withinUntil says until when its time holds a point. While the plan's clock stands still, that is the earliest.
func (r *Review) withinUntil(p backup.Point, day time.Time) string {
	until, rule := "kept until "+day.UTC().Format(time.RFC3339), timeOf(p)
	lost, since := r.age(p)
	switch {
	case !since.IsZero():
		return until + " at the earliest: " + rule + " counts only time in which backups work, and none of plan " + p.Plan + " has worked since " +
			since.UTC().Format(time.RFC3339)
	case lost > 0:
		return until + ": " + rule + ", without the " + days(lost) + " in which no backup of plan " + p.Plan + " worked"
	}
	return until + ": " + rule
}

// timeOf names the rule that gives a point its day.
func timeOf(p backup.Point) string {
	switch {
	case p.Safety:
		return "the time of a safety backup"
	case p.OnDemand:
		return "the time of a backup by hand"
	}
	return "keep.within"
}

// isFormer says whether the point is the newest live one of a service that was made anew since, under the same resource ID, and can still be
// restored: no backup of the later service stands in for it.
func (r *Review) isFormer(p backup.Point) bool {
	return !p.ServiceCreated.IsZero() && p.ServiceCreated.Before(r.service) && r.services[p.ServiceCreated].ID == p.ID &&
		r.restores(p)
}

func ofFormer(p backup.Point) string {
	return "the newest verified recovery point of the service that was created at " + p.ServiceCreated.UTC().Format(time.RFC3339) +
		", and made anew since under its name"
}

func amongNewest(minimum int) string {
	if minimum == 1 {
		return theNewest + " that a schedule has made"
	}
	return fmt.Sprintf("one of the %d newest verified recovery points of the target that a schedule has made: keep.minimum", minimum)
}

func heldByRestore(p backup.Point) string {
	return "held until " + p.Held.Until.UTC().Format(time.RFC3339) + ": " + p.Held.Reason
}

func softDeleted(p backup.Point) string {
	return "soft-deleted until " + p.SoftDeletion.Until.UTC().Format(time.RFC3339) + ": " + p.SoftDeletion.Reason
}

func readBy(p backup.Point) string { return "the restore " + p.Readers[0] + " reads it" }
