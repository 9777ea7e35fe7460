package health

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Evaluation is the row that says when the targets of a plan were evaluated last, and which alarms about them hold. It stands between
// the row of the active plan and the checkpoints, so that a timer run reads all of them at once.
type Evaluation struct {
	Plan string    `json:"Plan"`
	At   time.Time `json:"At"`
	// Again is the first deadline of a target that was not unprotected; zero if there is none.
	Again time.Time `json:"Again,omitzero"`
	// Published lists the alarms that were published and still hold: each is the last part of its event's ID, a space, and the partition of
	// its target. The row has them in pages, since a column holds 32 Ki characters; Page2 goes on with Published.
	Published []string `json:"Published,omitempty"`
	Page2     []string `json:"Page2,omitempty"`
	Page3     []string `json:"Page3,omitempty"`
	Page4     []string `json:"Page4,omitempty"`
	Page5     []string `json:"Page5,omitempty"`
	Page6     []string `json:"Page6,omitempty"`
	Page7     []string `json:"Page7,omitempty"`
	Page8     []string `json:"Page8,omitempty"`
	Page9     []string `json:"Page9,omitempty"`
	Page10    []string `json:"Page10,omitempty"`
	// Text is the hash of the text of plan.yaml by which it was looked what has left the plan, and whose alarms were taken back.
	Text string `json:"Text,omitempty"`
	// Back has the times at which alarms ended without a newer recovery point, by their keys: the next alarm at the same point is another
	// one.
	Back map[string]time.Time `json:"Back,omitempty"`
	// Known is the hash of the text of plan.yaml by which each target of the plan was found to have its facts.
	Known string `json:"Known,omitempty"`
	// Searched says for which targets the storage was searched for artifacts that the catalog does not know.
	Searched Searched `json:"Searched,omitempty"`

	backup.Carried
	// ETag is the one that the row was read with.
	ETag string `json:"-"`
}

const (
	// reevaluate is the least time between two evaluations without a scheduled time in between: each reads a row of every target.
	reevaluate = 10 * time.Minute
	// mostBack is the greatest number of entries of Back, which is a column of 32 Ki characters.
	mostBack = 500
	// perPage is the greatest number of alarms in a page. More than fit into ten pages are not known to be published: they are published
	// again, under the same IDs, and nothing says that they are over.
	perPage = 600
)

// pages are the pages of Published.
func (v *Evaluation) pages() []*[]string {
	return []*[]string{&v.Published, &v.Page2, &v.Page3, &v.Page4, &v.Page5, &v.Page6, &v.Page7, &v.Page8, &v.Page9, &v.Page10}
}

// DecodeEvaluation reads the row.
func DecodeEvaluation(row backup.Row) (Evaluation, error) {
	v, err := backup.Decode[Evaluation](row)
	v.ETag = row.ETag
	for _, page := range v.pages()[1:] {
		v.Published, *page = append(v.Published, *page...), nil
	}
	return v, err
}

// Write returns the write of the row, under the ETag that it was read with.
func (v Evaluation) Write() backup.Write {
	key, etag, all := backup.EvaluatedKey(v.Plan), v.ETag, v.Published
	for _, page := range v.pages() {
		n := min(len(all), perPage)
		*page, all = all[:n:n], all[n:]
	}
	return backup.InsertOrReplace(key, etag, backup.Encode(v))
}

// Due says that a scheduled time of the plan, or a target's deadline, has passed since. A time later than latest comes from a clock that
// was wrong.
func (v Evaluation) Due(plan backup.Plan, now, latest time.Time) bool {
	next := plan.Schedule.Next(v.At)
	return v.At.After(latest) || !next.IsZero() && !next.After(now) || !v.Again.IsZero() && now.After(v.Again)
}

// DueAt returns the time at which the targets of the plan are to be evaluated next: its next scheduled time, or the first deadline of a
// target. It is zero if that never comes, or if they were never evaluated.
func (v Evaluation) DueAt(plan backup.Plan) time.Time {
	if v.At.IsZero() {
		return time.Time{}
	}
	next := plan.Schedule.Next(v.At)
	if !v.Again.IsZero() && (next.IsZero() || v.Again.Before(next)) {
		return v.Again
	}
	return next
}

// Alarm is an alarm about a target, as it was when the alarm began or ended. ID is the last part of the ID of the event about it.
type Alarm struct {
	TargetHealth
	ID string
}

// alarm returns the ID of a new alarm about the target: its alert, and when an alarm at the same recovery point ended before.
func (v Evaluation) alarm(h TargetHealth) string {
	key := h.AlertKey()
	if at, ok := v.Back[key]; ok {
		return key + "." + backup.TimeKey(at)
	}
	return key
}

// holding returns the IDs of the alarms in Published by the partitions of their targets. An older version kept no partition: such an alarm
// stands by its ID.
func (v Evaluation) holding() map[string]string {
	all := make(map[string]string, len(v.Published))
	for _, one := range v.Published {
		id, here, ok := strings.Cut(one, " ")
		if !ok {
			here = id
		}
		all[here] = id
	}
	return all
}

// about returns the ID of the alarm about the target, of the alarms that hold; "" if none does.
func (v Evaluation) about(h TargetHealth, holding map[string]string) string {
	return cmp.Or(holding[backup.Partition(h.Target)], holding[v.alarm(h)])
}

// Alarmed says that an alarm about the target with the partition was published, and still holds.
func (v Evaluation) Alarmed(here string) bool {
	return slices.ContainsFunc(v.Published, func(one string) bool { return strings.HasSuffix(one, " "+here) })
}

// MayAlarm says that an alarm may hold about the target with the partition: an older version kept no partition.
func (v Evaluation) MayAlarm(here string) bool {
	return v.Alarmed(here) || slices.ContainsFunc(v.Published, func(one string) bool { return !strings.Contains(one, " ") })
}

// After returns the row after an evaluation of these targets, the alarms that begin, and those that are over. A target without a name could
// not be evaluated: then the evaluation is incomplete, and the next timer run evaluates again. An alarm holds until its target is no longer
// unprotected.
func (v Evaluation) After(now time.Time, outcomes []TargetHealth, complete bool) (is Evaluation, begun, over []Alarm) {
	is = v
	if complete {
		is.At, is.Again = now, time.Time{}
	}
	holding := v.holding()
	var holds []string
	gone, there := map[string]bool{}, map[string]bool{}
	for _, h := range outcomes {
		here := backup.Partition(h.Target)
		there[here] = true
		switch id := v.about(h, holding); {
		case h.Target == "":
		case h.Status != Unprotected:
			if id != "" {
				gone[id], over = true, append(over, Alarm{h, id})
			}
		case id == "":
			begun = append(begun, Alarm{h, v.alarm(h)})
			holds = append(holds, v.alarm(h)+" "+here)
		case complete:
			holds = append(holds, id+" "+here)
		}
		if complete {
			is.Again = h.next(is.Again)
		}
	}
	is.Published = without(v.Published, func(id, here string) bool {
		return gone[id] || complete && (here == "" || there[here]) // the alarms of targets that have left stay
	})
	is.Published = append(is.Published, holds...)
	is.Back = v.back(over, now)
	if complete && !is.Again.IsZero() {
		is.Again = backup.Later(is.Again, now.Add(reevaluate))
	}
	return is, begun, over
}

// next returns the time at which the target's status, or its proof, changes by itself, or again if that is earlier; zero is never.
func (h TargetHealth) next(again time.Time) time.Time {
	var times []time.Time
	if h.Status != Unprotected {
		times = append(times, h.Deadline)
	}
	if h.Proof != nil {
		times = append(times, h.Proof.Until)
	}
	for _, at := range times {
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return again
}

// without returns the alarms but those with such an ID and such a partition of their target.
func without(published []string, such func(id, here string) bool) []string {
	return slices.DeleteFunc(slices.Clone(published), func(one string) bool {
		id, here, _ := strings.Cut(one, " ")
		return such(id, here)
	})
}

// Only returns the row with the alarms about these targets alone: nothing tells any more which targets the others were about.
func (v Evaluation) Only(targets []string) Evaluation {
	there := map[string]bool{}
	for _, target := range targets {
		there[backup.Partition(target)] = true
	}
	v.Published = without(v.Published, func(_, here string) bool { return here != "" && !there[here] })
	return v
}

// End returns the row after the alarm about the target is over, and the alarm's ID; "" if none holds.
func (v Evaluation) End(h TargetHealth, now time.Time) (Evaluation, string) {
	over := v.about(h, v.holding())
	if over == "" {
		return v, ""
	}
	v.Published = without(v.Published, func(id, _ string) bool { return id == over })
	v.Back = v.back([]Alarm{{h, over}}, now)
	return v, over
}

// back returns Back after these alarms are over. The next alarm at a newer point has another ID in any case.
func (v Evaluation) back(over []Alarm, now time.Time) map[string]time.Time {
	ended := map[string]time.Time{}
	for _, alarm := range over {
		if key, _, _ := strings.Cut(alarm.ID, "."); key == alarm.AlertKey() && len(ended) < mostBack {
			ended[key] = now
		}
	}
	if len(ended) == 0 {
		return v.Back
	}
	for _, key := range slices.Sorted(maps.Keys(v.Back)) {
		if _, again := ended[key]; !again && len(ended) < mostBack && now.Sub(v.Back[key]) < forgotten {
			ended[key] = v.Back[key]
		}
	}
	return ended
}

// TakeBack returns the row after the alarm about a target that has left the plan was taken back, and the alarm's ID; "" if none holds.
func (v Evaluation) TakeBack(d Departed, now time.Time) (Evaluation, string) {
	if d.Plan != v.Plan {
		return v, ""
	}
	return v.End(TargetHealth{Plan: d.Plan, Target: d.Target, Point: d.Point}, now)
}

// forgotten is the time after which a target that comes back may have the alarm that it had before: its readers have long dealt with it.
const forgotten = 90 * 24 * time.Hour

// Departed is a target that a plan had in the last days, and has no more.
type Departed struct {
	Plan, Target string
	// At is the time at which plan.yaml had it last, as far as Lifeboat knows.
	At time.Time
	// Point is the newest live recovery point, of any plan; nil if there is none.
	Point *Verified
	// Err says why its recovery points could not be read; nil if they could.
	Err error
}

// NewDeparted makes what the facts tell of a target that has left; err says why there are none, nil if there are.
func NewDeparted(plan, target string, at time.Time, f Facts, err error) Departed {
	s := Snapshot{Target: target}
	s.Know(f)
	return Departed{Plan: plan, Target: target, At: at, Point: newVerified(s.newest(backup.Point.Live)), Err: cmp.Or(err, s.Unread)}
}

// Reason says why its recovery points could not be read.
func (d Departed) Reason() backup.Reason {
	if d.Err == nil {
		return backup.Reason{}
	}
	return unread(d.Err)
}
