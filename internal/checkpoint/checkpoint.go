// Package checkpoint says what a timer run of the schedule does with a plan: from the plan, its checkpoint and the time alone. It
// reads and writes nothing. The engine acts by it, and plan diff tells of it.
package checkpoint

import (
	"cmp"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// Checkpoint says up to when a plan's scheduled times have been dealt with, and which missed period was found last. It is a row of
// the catalog.
type Checkpoint struct {
	Plan string    `json:"Plan"`
	At   time.Time `json:"At"`
	// By is the schedule that was used up to At.
	By By `json:"By,omitzero"`
	// InProgress is the scheduled time after At whose runs are being made; zero if none is. It is saved before the first of
	// them, so that no timer run calls the scheduled time missed, and At moves to it behind the last.
	InProgress time.Time `json:"InProgress,omitzero"`
	// InProgressBy is the schedule that InProgress is a scheduled time of.
	InProgressBy By `json:"InProgressBy,omitzero"`
	// Paused says why the plan makes no runs since At; "" if it does. At stays where it is until that changes, so that a paused
	// plan writes nothing.
	Paused string `json:"Paused,omitempty"`
	// Edited is the time at which a timer run first saw the plan with its schedule, and EditedFrom the schedule before; the zero
	// value if there was none.
	Edited     time.Time `json:"Edited,omitzero"`
	EditedFrom By        `json:"EditedFrom,omitzero"`
	// Series has the first of several edits in quick succession; the zero value if the last one stands alone.
	Series Series `json:"Series,omitzero"`
	// LastMissedRuns is the missed period that was noted last; its Count is zero if there never was one.
	LastMissedRuns schedule.MissedRuns `json:"LastMissedRuns,omitzero"`

	backup.Carried
	// ETag is the one that the row was read with.
	ETag string `json:"-"`
}

// By is a schedule in its time zone, and the zone's offset from UTC at an instant, in seconds: other data of the zone may have
// another offset.
type By struct {
	Expression string `json:"expression"`
	Zone       string `json:"zone"`
	Ahead      int    `json:"ahead"`
}

// Series is the first of several edits of a schedule, each made before the first interval of the one before was over: the time at which a
// timer run first saw it, the schedule before, and the end of its first interval.
type Series struct {
	Since time.Time `json:"since"`
	From  By        `json:"from"`
	Until time.Time `json:"until"`
}

// byOf returns the schedule by which the plan deals with an instant.
func byOf(p backup.Plan, at time.Time) By {
	b := By{Expression: p.Expression}
	if p.Schedule.Zone != nil {
		b.Zone = p.Schedule.Zone.String()
		_, b.Ahead = at.In(p.Schedule.Zone).Zone()
	}
	return b
}

// schedule returns the schedule itself. If the plan is in another zone by now, the old one counts by its last known offset.
func (b By) schedule(plan backup.Plan) schedule.Schedule {
	e, err := schedule.Parse(b.Expression)
	if err != nil { // an older version wrote the row
		return plan.Schedule
	}
	zone := plan.Schedule.Zone
	if zone.String() != b.Zone {
		zone = time.FixedZone(b.Zone, b.Ahead)
	}
	return e.In(zone)
}

// Left is [Checkpoint.Paused] of a plan that is in plan.yaml no more.
const Left = "plan.yaml does not hold the plan"

// downtime is the reason of a missed period that was not intended.
const downtime = "no timer run read the plan: the app was down, or plan.yaml could not be read"

// vanished is the reason of a missed period of a plan that has left plan.yaml.
const vanished = "no timer run had dealt with them before plan.yaml was edited, and it does not hold the plan any more"

// Since returns the instant after which the next scheduled times lie. If a region has changed its rules, and the program learnt
// of it, a local time that was dealt with may lie ahead once more: it is no scheduled time again.
func (c Checkpoint) Since(plan backup.Plan) time.Time {
	is := byOf(plan, c.At)
	if is.Ahead == c.By.Ahead || is.Expression != c.By.Expression || is.Zone != c.By.Zone || plan.Schedule.Hour == schedule.EveryHour {
		return c.At
	}
	shown := c.At.UTC().Add(time.Duration(c.By.Ahead) * time.Second)
	y, month, d := shown.Date()
	return backup.Later(c.At, schedule.Instant(y, month, d, shown.Hour(), shown.Minute(), shown.Second(), plan.Schedule.Zone))
}

// edited says that the plan has another schedule than the one that was used last, or was not in plan.yaml meanwhile.
func (c Checkpoint) edited(plan backup.Plan) bool {
	is := byOf(plan, c.At)
	return c.Paused == Left || c.By.Expression != "" && (is.Expression != c.By.Expression || is.Zone != c.By.Zone)
}

// Began returns the time since which the plan has its schedule, and the schedule before; false if there was none. It is now if no timer
// run has seen the plan with its schedule yet.
func (c Checkpoint) Began(plan backup.Plan, now time.Time) (since time.Time, before schedule.Schedule, edited bool) {
	from := c.EditedFrom
	if since = c.Edited; c.edited(plan) {
		since, from = now, c.By
	}
	if from.Expression == "" {
		return since, schedule.Schedule{}, false
	}
	return since, from.schedule(plan), true
}

// Edits returns the first edit of the series that the last one belongs to, and the schedule before it; false if that one stands alone.
func (c Checkpoint) Edits(plan backup.Plan, now time.Time) (first Series, before schedule.Schedule, several bool) {
	if first = c.Series; c.edited(plan) {
		first = c.series(plan, now)
	}
	if first.Since.IsZero() {
		return first, schedule.Schedule{}, false
	}
	return first, first.From.schedule(plan), true
}

// series returns the series that goes on with an edit now; the zero value if the first interval of the edit before is over.
func (c Checkpoint) series(plan backup.Plan, now time.Time) Series {
	if c.EditedFrom.Expression == "" {
		return Series{}
	}
	until := c.By.schedule(plan).FirstInterval(c.Edited)
	switch {
	case until.IsZero() || now.After(until):
		return Series{}
	case c.Series.Since.IsZero():
		return Series{Since: c.Edited, From: c.EditedFrom, Until: until}
	}
	return c.Series
}

// Made returns the checkpoint after the runs of the scheduled time in progress were made.
func (c Checkpoint) Made() Checkpoint {
	c.At, c.By = c.InProgress, c.InProgressBy
	c.InProgress, c.InProgressBy = time.Time{}, By{}
	return c
}

// Look is a timer run: when it comes, and what it knows beside the plan and its checkpoint.
type Look struct {
	// Now is the time of the timer run, by the catalog's clock.
	Now time.Time
	// Looked is the time up to which timer runs came all along: Now if the timer is not silent; zero if that is not known.
	Looked time.Time
	// Stopped says why no plan makes runs, "" if plans make runs.
	Stopped string
}

// Paused says why the plan makes no runs, "" if it does.
func (l Look) Paused(plan backup.Plan) string {
	if plan.Paused {
		return "paused by " + plan.Name + " in plan.yaml"
	}
	return l.Stopped
}

// New returns the checkpoint of a plan that has none. It begins now, and does not count the scheduled times before.
func (l Look) New(plan backup.Plan) Checkpoint {
	return Checkpoint{Plan: plan.Name, At: l.Now, By: byOf(plan, l.Now), Edited: l.Now, Paused: l.Paused(plan)}
}

// Step returns the checkpoint to be saved, and the missed period to be saved with it; its Count is zero if there is none. The runs
// of the scheduled time in progress are to be made after that. It returns false if there is nothing to save. The checkpoint that
// it steps from has no scheduled time in progress.
//
// After an edit of the schedule, the newest scheduled time of the new one since the checkpoint becomes runs, so that an edit loses
// none. But while timer runs came, the new schedule held at none of them: it has missed nothing. A plan that comes back into
// plan.yaml goes on in the same way, and has missed nothing at all.
func (l Look) Step(c Checkpoint, plan backup.Plan) (next Checkpoint, missed schedule.MissedRuns, changed bool) {
	paused, since, edited := l.Paused(plan), c.Since(plan), c.edited(plan)
	next = c
	if next.Paused = paused; edited {
		next.Edited, next.EditedFrom, next.Series = l.Now, c.By, c.series(plan, l.Now)
	}
	switch {
	case c.Paused != "" && c.Paused == paused:
		return c, missed, false
	case c.Paused != "" && c.Paused != Left:
		// Scheduled times that came due meanwhile are not caught up on. The old schedule was the one that was paused.
		was := plan.Schedule
		if edited {
			was = c.By.schedule(plan)
		}
		missed = was.Missed(since, l.Now).Because(c.Paused)
		next.At, next.By = l.Now, byOf(plan, l.Now)
		return next, missed, true
	}
	scheduledTime, missed := plan.Schedule.Due(since, l.Now, plan.Window)
	switch {
	case c.Paused == Left:
		missed = schedule.MissedRuns{}
	case edited:
		_, missed = plan.Schedule.Due(backup.Later(since, l.Looked), l.Now, plan.Window)
	}
	missed = missed.Because(downtime)
	if missed.Count > 0 {
		next.At, next.By = missed.Last, byOf(plan, missed.Last)
	}
	switch {
	case paused == "" && !scheduledTime.IsZero():
		next.InProgress, next.InProgressBy = scheduledTime, byOf(plan, scheduledTime)
	case edited: // the new schedule counts from now on
		next.At, next.By = l.Now, byOf(plan, l.Now)
	case paused == "" && missed.Count == 0:
		return c, missed, false
	}
	return next, missed, true
}

// Leave returns the checkpoint of a plan that plan.yaml does not hold any more, and the missed period of the scheduled times that have
// come due since its checkpoint: nothing makes their runs now. They are the times of the schedule that was used last, in the zone of the
// plans if one of them has it.
func (l Look) Leave(c Checkpoint, plans []backup.Plan) (Checkpoint, schedule.MissedRuns) {
	why := cmp.Or(c.Paused, vanished)
	c.Paused = Left
	if _, err := schedule.Parse(c.By.Expression); err != nil { // an older version wrote the row
		return c, schedule.MissedRuns{}
	}
	same := backup.Plan{Schedule: schedule.Schedule{Zone: time.UTC}}
	if i := slices.IndexFunc(plans, func(p backup.Plan) bool { return p.Schedule.Zone != nil && p.Schedule.Zone.String() == c.By.Zone }); i >= 0 {
		same = plans[i]
	}
	if !c.InProgress.IsZero() {
		why += "; some runs of " + c.InProgress.UTC().Format(time.RFC3339) + " may have been made"
	}
	missed := c.By.schedule(same).Missed(c.At, l.Now).Because(why)
	if missed.Count > 0 { // if the plan comes back, it does not make these runs
		c.At, c.InProgress, c.InProgressBy = l.Now, time.Time{}, By{}
	}
	return c, missed
}

// Outcome is the outcome of a timer run for one plan.
type Outcome struct {
	// Made are the scheduled times whose runs it makes, oldest first: none, one, or two if an earlier timer run died.
	Made []time.Time
	// Missed is the missed period that it notes; its Count is zero if it notes none.
	Missed schedule.MissedRuns
	// Next is the first scheduled time after the timer run; zero if the plan makes no runs.
	Next time.Time
	// Checkpoint is the one that it leaves.
	Checkpoint Checkpoint
}

// Run says what the timer run does with the plan; c is the plan's checkpoint, nil if there is none.
func (l Look) Run(c *Checkpoint, plan backup.Plan) Outcome {
	if c == nil {
		return Outcome{Checkpoint: l.New(plan)}.then(plan)
	}
	o := Outcome{Checkpoint: *c}
	o.make()
	o.Checkpoint, o.Missed, _ = l.Step(o.Checkpoint, plan)
	o.make()
	return o.then(plan)
}

func (o *Outcome) make() {
	if at := o.Checkpoint.InProgress; !at.IsZero() {
		o.Made, o.Checkpoint = append(o.Made, at), o.Checkpoint.Made()
	}
}

func (o Outcome) then(plan backup.Plan) Outcome {
	if o.Checkpoint.Paused == "" {
		o.Next = plan.Schedule.Next(o.Checkpoint.Since(plan))
	}
	return o
}

// Assume returns the checkpoint that timer runs have left if they have come all along, and the last one comes now.
func (l Look) Assume(plan backup.Plan) Checkpoint {
	c := l.New(plan)
	if at := plan.Schedule.Newest(l.Now); !at.IsZero() && c.Paused == "" {
		c.At, c.By = at, byOf(plan, at)
	}
	return c
}
