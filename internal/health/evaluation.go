package health

import (
	"slices"
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
	// Published lists the alarms that were published and still held, as the last parts of their events' IDs.
	Published []string `json:"Published,omitempty"`
	// Text is the hash of the text of plan.yaml by which it was looked what has left the plan, and whose alarms were taken back.
	Text string `json:"Text,omitempty"`
	// Back has the times at which alarms were taken back, by their keys: if such a target comes back, its alarm is another one.
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
)

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

// Alarm returns the last part of the ID of the event about the target: its alert, and when that was taken back before.
func (v Evaluation) Alarm(h TargetHealth) string {
	key := h.AlertKey()
	if at, ok := v.Back[key]; ok {
		return key + "." + backup.TimeKey(at)
	}
	return key
}

// Told says that the alarm about the target was published, and still holds.
func (v Evaluation) Told(h TargetHealth) bool { return slices.Contains(v.Published, v.Alarm(h)) }

// After returns the row after an evaluation of these targets, whose alarms are fresh or not. If it is incomplete, since some could not be
// evaluated, the next timer run evaluates again.
func (v Evaluation) After(now time.Time, outcomes []TargetHealth, fresh []bool, complete bool) Evaluation {
	is := v
	if complete {
		is.At, is.Again, is.Published = now, time.Time{}, nil
	}
	is.Published = slices.Clone(is.Published)
	for i, h := range outcomes {
		switch {
		case fresh[i] || complete && h.Status == Unprotected:
			is.Published = append(is.Published, v.Alarm(h))
		case complete && !h.Deadline.IsZero() && (is.Again.IsZero() || h.Deadline.Before(is.Again)):
			is.Again = h.Deadline
		}
	}
	if complete && !is.Again.IsZero() {
		is.Again = backup.Later(is.Again, now.Add(reevaluate))
	}
	return is
}

// TakeBack returns the row after the alarm about a target that has left the plan was taken back, and the alarm; "" if none holds.
func (v Evaluation) TakeBack(d Departed, now time.Time) (Evaluation, string) {
	h := TargetHealth{Plan: d.Plan, Target: d.Target, Point: d.Point}
	if d.Plan != v.Plan || !v.Told(h) {
		return v, ""
	}
	alarm, is := v.Alarm(h), v
	is.Published = slices.DeleteFunc(slices.Clone(v.Published), func(one string) bool { return one == alarm })
	is.Back = map[string]time.Time{h.AlertKey(): now}
	for key, at := range v.Back {
		if _, again := is.Back[key]; !again && len(is.Back) < mostBack && now.Sub(at) < forgotten {
			is.Back[key] = at
		}
	}
	return is, alarm
}

// forgotten is the time after which a target that comes back may have the alarm that it had before: its readers have long dealt with it.
const forgotten = 90 * 24 * time.Hour

// Departed is a target that a plan had in the last days, and has no more.
type Departed struct {
	Plan, Target string
	// At is the time at which plan.yaml had it last, as far as Lifeboat knows.
	At time.Time
	// Point is the newest live recovery point, of any plan; nil if there is none.
	Point *backup.Point
}

// NewDeparted makes what is known of a target that has left with these recovery points.
func NewDeparted(plan, target string, at time.Time, points []backup.Point) Departed {
	return Departed{Plan: plan, Target: target, At: at, Point: Snapshot{Points: points}.newest(backup.Point.Live)}
}
