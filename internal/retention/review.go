package retention

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Decision says whether a recovery point is kept, and why.
type Decision struct {
	Point  backup.Point
	Keep   bool
	Reason string
	// Rests says that only a new recovery point, or a person, can change it. Next is the time from which on the point may expire;
	// zero if that is not known.
	Rests bool
	Next  time.Time
	// Mark says that the point is soft-deleted first, instead of deleted. Unmark says that a kept point is soft-deleted, and is to be no
	// longer: the policy never deletes it, as it is now.
	Mark, Unmark bool
	// Why is the reason for which a point that waits goes. From is the time at which a point goes by the pace, and zero if that is not asked.
	Why  string
	From time.Time
	// Paced says that the target's [Pace] counts the point from now on. Waits says that the point stays for the sake of that.
	Paced, Waits bool
}

// Review decides which recovery points of one target expire. It takes them page by page, the newest run's first, and holds only the points
// past their time, however long the history is.
type Review struct {
	now time.Time
	// past are the points past their time, and those whose deletion was begun.
	past []backup.Point
	// within counts the points within their time; their artifacts are held.
	within int
	// artifacts has a point for each place of an artifact that is kept.
	artifacts map[string]string
	// restorable is the time for which the service can restore a backup; 0 for any time.
	restorable time.Duration
	// newest is the newest live point. good has the newest ones that a schedule made and that the service can still restore, the newest
	// first.
	newest backup.Point
	// services has the newest live point of each service that the target was, by the time of its creation, and service is the latest of these.
	services map[time.Time]backup.Point
	service  time.Time
	good     []backup.Point
	// unread says why a point, or the row of a plan's counts, cannot be read.
	unread string
	// counted has the rows of the plans with counts.
	counted map[string]*countedIn
	// clocks has the rows of all plans.
	clocks map[string]Counted
	// pace is the target's, and asked the time from which on cleanups let points go. waits is the outcome.
	pace  Pace
	asked time.Time
	waits Waiting
	// seen counts the points that are there, and places has that number for each of past. made counts the points that were made
	// in a day.
	seen, made int
	places     []int
	// edited are rules that are not active yet: see [Review.Edit].
	edited map[string]*edited
}

type countedIn struct {
	Counted
	zone *time.Location
	// changed says that the row took a point again, and out are the points that it let go for that.
	changed bool
	out     []string
}

// NewReview begins a review at an instant, of a target whose service can restore a backup for a time; 0 for any time.
func NewReview(now time.Time, restorable time.Duration) *Review {
	return &Review{
		now: now, asked: now, restorable: restorable,
		artifacts: map[string]string{}, counted: map[string]*countedIn{}, clocks: map[string]Counted{}, services: map[time.Time]backup.Point{},
	}
}

// Count takes the row of a plan, with the time zone of its days. An error says why it cannot be read.
func (r *Review) Count(c Counted, zone *time.Location, err error) {
	if err == nil {
		r.clocks[c.Plan] = c
	}
	if edit := r.edited[c.Plan]; edit != nil && err == nil {
		edit.was = c
		return
	}
	if err != nil {
		r.unread = "nothing of the target is deleted: " + err.Error()
		return
	}
	if c.Judges() {
		r.counted[c.Plan] = &countedIn{Counted: c, zone: zone}
	}
}

// Past says whether the point may have to go: it is past its time, or its deletion was begun.
func (r *Review) Past(p backup.Point) bool {
	return p.State == backup.Deleting || p.State != backup.Expired && p.State != backup.Unreadable &&
		(!r.now.Before(p.Expires) || p.IsSoftDeleted())
}

// Add takes a point.
func (r *Review) Add(p backup.Point) {
	p = r.under(p)
	if p.State == backup.Unreadable {
		r.unread = "nothing of the target is deleted: " + p.Reason.Message
	}
	if stays(p) && !p.Created.After(r.now) {
		if r.newest.ID == "" || newestFirst(p, r.newest) < 0 {
			r.newest = p
		}
		r.service = backup.Later(r.service, p.ServiceCreated)
		if o, there := r.services[p.ServiceCreated]; !there || newestFirst(p, o) < 0 {
			r.services[p.ServiceCreated] = p
		}
		if !p.OnDemand && r.restores(p) {
			at, _ := slices.BinarySearchFunc(r.good, p, newestFirst)
			good := slices.Insert(r.good, at, p)
			r.good = good[:min(len(good), backup.MostMinimum)]
		}
	}
	r.Pass(p)
	switch {
	case p.State == backup.Expired:
	case r.Past(p):
		r.past, r.places = append(r.past, p), append(r.places, r.seen)
	default:
		r.within++
		r.keep(p)
	}
}

// Pass takes a point of which nothing is decided: it only counts. Its place is behind the points that were taken before.
func (r *Review) Pass(p backup.Point) {
	if !p.Created.Before(PaceFrom(r.now)) && !p.Created.After(r.now) {
		r.made++
	}
	if p.State != backup.Expired {
		r.seen++
	}
}

// Settled says whether the review knows the points that the policy keeps for being the newest, whatever else is added: the newest live
// one, and as many as keep.minimum says. An older run's point may be newer all the same. Then the review keeps one too many.
func (r *Review) Settled() bool {
	return r.newest.ID != "" && len(r.good) > 0 && len(r.good) >= r.least()
}

// newestFirst orders points by the times at which they were written, and those of one time by their IDs.
func newestFirst(a, b backup.Point) int {
	return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
}

// keep notes that the point's artifact stays.
func (r *Review) keep(p backup.Point) {
	if p.Artifact != "" {
		r.artifacts[p.Location()] = p.ID
	}
}

// Decide decides about the points past their time, in the order in which they came, and counts the others. A point past its time
// expires, except the newest live one, whatever its age: it is the best point to restore from. So stay the newest live ones that
// a schedule made, as many as keep.minimum says, while the service can restore them. A point of the future is none of these: it
// stays until its time. A suspect point or a safety backup is kept for its time, but does not replace a live one. A held point stays,
// and so does a point with Readers: they are the restores that have not ended. A point kept by storage is left alone until its deletion is to be tried again. A point that expired before
// or at the time of its writing stays for good: its expiry is a mistake. A point whose artifact is also named by a kept point stays. If
// one point cannot be read, all stay: its purpose is unknown.
//
// A point that expires is soft-deleted first, for its own time. At the end of that all of this is decided again, except that a person's
// deletion takes the newest ones too.
//
// If more expire than the target's [Pace] allows, some of them wait.
func (r *Review) Decide() (decisions []Decision, others int) {
	r.judge()
	decisions = make([]Decision, len(r.past))
	for i, p := range r.past {
		decisions[i] = r.soften(r.decide(p))
		if decisions[i].Keep || decisions[i].Mark {
			r.keep(p)
		}
	}
	r.share(decisions)
	r.slow(decisions)
	for _, d := range decisions {
		if d.Waits {
			r.keep(d.Point)
		}
	}
	r.share(decisions)
	return decisions, r.within
}

// share has each point stay whose artifact another one names that stays.
func (r *Review) share(decisions []Decision) {
	for i, d := range decisions {
		if other := r.artifacts[d.Point.Location()]; !d.Keep && !d.Mark && other != "" {
			decisions[i].Keep, decisions[i].Reason = true, "the recovery point "+other+" names the same artifact"
		}
	}
}

// least returns the greatest keep.minimum of the plans that the target is in, or was in: a row has the one of its plan's newest verified
// point. So an edit counts from the next point on, no plan's backup ends the minimum of another one, and a target that no plan has any more
// keeps its last minimum. A point says itself what no row says yet: another plan's backup may have made it live.
func (r *Review) least() (n int) {
	n = DefaultMinimum
	for plan, c := range r.clocks {
		if e := r.edited[plan]; e != nil {
			c.Minimum = e.Settings.KeepMinimum
		}
		n = max(n, c.Minimum)
	}
	said := map[string]bool{}
	for _, p := range r.good { // the newest of each plan
		if !said[p.Plan] && r.clocks[p.Plan].Ruled.IsZero() {
			n = max(n, p.Minimum)
		}
		said[p.Plan] = true
	}
	return n
}

// minimum returns how many newest scheduled points stay as long as the service can restore them, and whether the point is one of them.
func (r *Review) minimum(p backup.Point) (n int, among bool) {
	if len(r.good) == 0 {
		return 0, false
	}
	n = r.least()
	return n, slices.ContainsFunc(r.good[:min(n, len(r.good))], func(o backup.Point) bool { return o.ID == p.ID })
}

// count returns the row of the point's plan, and whether there is one. A point past its day is added again: the points which took its
// place may be beyond the horizon by now.
func (r *Review) count(p backup.Point, day time.Time, endless bool) (c *countedIn, counts bool) {
	c, counts = r.counted[p.Plan]
	if !counts {
		return &countedIn{}, false
	}
	if !c.Counts.Any() || c.Holds(p.ID) || !MayCount(p, c.Plan) || endless || r.now.Before(day) {
		return c, true
	}
	if again, out := c.Add(c.zone, r.now, p); again.Holds(p.ID) {
		c.Counted, c.out, c.changed = again, append(c.out, out...), true
	}
	return c, true
}

// Changed returns the rows of counts that took a point again, and the points that lost their places for it.
func (r *Review) Changed() (rows []Counted, out []string) {
	for _, plan := range slices.Sorted(maps.Keys(r.counted)) {
		if c := r.counted[plan]; c.changed {
			rows, out = append(rows, c.Counted), append(out, c.out...)
		}
	}
	return rows, out
}

// day returns the day on which the point expires, and whether it never does. A point without one has the one of its plan's newest
// keep.within. Without that too it goes once no count holds it, but a suspect one, which no count judges, stays. A day moves on while the
// plan's backups do not work.
func (r *Review) day(p backup.Point) (day time.Time, endless bool) {
	if !p.Expires.IsZero() {
		return r.aged(p, p.Expires), false
	}
	c := r.counted[p.Plan]
	switch {
	case c != nil && c.Within > 0:
		return r.aged(p, p.Created.Add(c.Within)), false
	case p.Safety, p.OnDemand, p.State == backup.Suspect, c == nil, !c.Counts.Any():
		return time.Time{}, true
	}
	return time.Time{}, false
}

func (r *Review) decide(p backup.Point) Decision {
	day, endless := r.day(p)
	person := p.SoftDeletion.Person()
	ended := timeOf(p) + " ended at " + day.UTC().Format(time.RFC3339)
	if p.Expires.IsZero() && day.IsZero() {
		ended = "no rule of keep holds it"
	}
	counted, counts := r.count(p, day, endless)
	minimum, among := r.minimum(p)
	kept := func(reason string) Decision { return Decision{Point: p, Keep: true, Reason: reason} }
	hold, held := p.LongestHold(r.now)
	switch {
	case r.unread != "":
		return kept(r.unread)
	case !p.Expires.IsZero() && !p.Expires.After(p.Created) && !person:
		return kept(mistaken(p))
	case p.State == backup.Deleting:
		return Decision{Point: p, Reason: "its deletion was begun"}
	case p.Began.After(r.now) && !person:
		return Decision{Point: p, Keep: true, Reason: future(p), Next: p.Began}
	case counted.Holds(p.ID):
		return Decision{Point: p, Keep: true, Reason: counted.Why(p.ID, counted.zone, r.now), Rests: true}
	case p.Counted && !counts && !person:
		return kept(uncounted(p))
	case endless && !person:
		return Decision{Point: p, Keep: true, Reason: unlimited, Rests: true}
	case r.now.Before(day) && !person:
		return Decision{Point: p, Keep: true, Reason: r.withinUntil(p, day), Next: day}
	case p.ID == r.newest.ID:
		return kept(theNewest)
	case r.isFormer(p):
		return kept(ofFormer(p))
	case among:
		return kept(amongNewest(minimum))
	case r.now.Before(p.Held.Until):
		return kept(heldByRestore(p))
	case held:
		return kept(hold.String())
	case len(p.Readers) > 0:
		return kept(readBy(p))
	case r.now.Before(p.KeptByStorage.Again):
		return kept(p.KeptByStorage.String())
	case p.State == backup.Suspect:
		return Decision{Point: p, Reason: ended + ", and no person accepted it"}
	case p.Safety:
		return Decision{Point: p, Reason: ended}
	}
	return Decision{Point: p, Reason: ended + ", and there is a newer one"}
}
