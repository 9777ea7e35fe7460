package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Protection says how well a target can be restored at an instant, measured by its own plan.
type Protection string

// From good to bad. Only Unprotected is an alarm.
const (
	// Protected: the newest verified recovery point is no older than one interval of the plan.
	Protected Protection = "protected"
	// Copied: the newest verified copy is no older than one interval of the plan, and Azure restores nothing from copies.
	Copied Protection = "copyOnly"
	// Pending: there is no recovery point yet, and two intervals have not passed since the plan began.
	Pending Protection = "pending"
	// Late: the newest recovery point is older than one interval, but no older than two.
	Late Protection = "late"
	// Unprotected: no recovery point was verified within two intervals.
	Unprotected Protection = "unprotected"
)

// Severity orders protections: the worse, the higher.
func (p Protection) Severity() int {
	switch p {
	case Protected:
		return 0
	case Copied:
		return 1
	case Pending:
		return 2
	case Late:
		return 3
	default:
		return 4
	}
}

// TargetHealth is how one target of one plan stands.
type TargetHealth struct {
	Target string
	Plan   string
	Status Protection
	// Reason is why the target is not Protected; it has no code if it is, unless a row of it cannot be read.
	Reason Reason
	// Point is the newest live recovery point, of whichever plan; nil if there is none.
	Point *Point
	// Age of Point; zero without one.
	Age time.Duration
	// Interval is the time between the plan's slots around Point, or around the plan's beginning without one. It is zero
	// where the schedule has no slots there.
	Interval time.Duration
	// Deadline is when it turns Unprotected unless a newer point comes, or when it did; zero if it never will.
	Deadline time.Time
	// NextSlot is when the plan wants the next run; zero while it makes none.
	NextSlot time.Time
	// LastRun is the newest run of the target, of whichever plan, under way or ended; nil if there is none.
	LastRun *Run
}

// Sight is what is known of one target of one plan, for Judge.
type Sight struct {
	Plan   Plan
	Target string
	// Since is when the text that holds the plan came into force: a target cannot have been backed up before.
	Since time.Time
	// Dealt is how far the plan's slots are dealt with; zero if no tick has seen the plan.
	Dealt time.Time
	// Halted is why the plan makes no runs, "" if it does.
	Halted string
	// Gap are the slots that were missed last; its Count is zero if none ever were.
	Gap Gap
	// Unread is why a row of the plan or the target cannot be read, nil if all that were looked at can.
	Unread error
	// Refused is why plan.yaml as it is now is not in force, nil if it is.
	Refused error
	// Points and Runs are the newest of the target, newest first.
	Points []Point
	Runs   []Run
}

// Judge says how the target stands now.
//
// Two intervals are those of the slots around the point: from the slot before it to the second one after it. So a plan
// of working days is not late on a Sunday, and the next run has as long after its slot as the last one had.
func (s Sight) Judge(now time.Time) TargetHealth {
	h := TargetHealth{Target: s.Target, Plan: s.Plan.Name}
	for i, p := range s.Points {
		if p.live() && (h.Point == nil || p.Created.After(h.Point.Created)) {
			h.Point = &s.Points[i]
		}
	}
	if len(s.Runs) > 0 {
		h.LastRun = &s.Runs[0]
	}
	if s.Halted == "" {
		h.NextSlot = s.Plan.Schedule.Next(now)
	}
	from := s.began()
	if h.Point != nil {
		from, h.Age = h.Point.Created, max(now.Sub(h.Point.Created), 0)
	}
	one, two := s.Plan.Schedule.intervals(from)
	h.Interval = one
	if two > 0 {
		h.Deadline = from.Add(two)
	}
	switch passed := now.Sub(from); {
	case two > 0 && passed > two:
		h.Status = Unprotected
	case h.Point == nil:
		h.Status = Pending
	case two > 0 && passed > one:
		h.Status = Late
	case h.Point.CopyOnly():
		h.Status, h.Reason = Copied, copied
	default:
		h.Status = Protected
	}
	if h.Status != Protected && h.Status != Copied || s.Unread != nil {
		h.Reason = s.why(h, now)
	}
	return h
}

// copied is why a target is not protected whose newest point is a copy.
var copied = reason("CopyOnly", "Azure restores no Confidential Ledger from what is exported of it: the newest copy can be read, and "+
	"that is all", "Nothing need be done. Should the ledger be lost, its data are in the copy, and it must be set up anew.")

// began is since when the target can be expected to have been backed up: since the text came into force that holds it,
// but an edit does not make forget the runs that were made before.
func (s Sight) began() time.Time {
	began := s.Since
	if n := len(s.Runs); n > 0 && s.Runs[n-1].Created.Before(began) {
		began = s.Runs[n-1].Created
	}
	return began
}

// why finds the most telling reason: what a person did, then what Azure said, then what the schedule did not do.
func (s Sight) why(h TargetHealth, now time.Time) Reason {
	if s.Halted != "" {
		return reason("PlanHalted", "the plan makes no runs: it is "+s.Halted,
			"Let it run again, or ask for a backup by hand.")
	}
	if s.Unread != nil {
		return unreadableRow(s.Unread)
	}
	suspect := s.suspect(h.Point)
	without := 0
	var last *Run
	for i, r := range s.Runs {
		if h.Point != nil && r.ID == h.Point.ID || suspect != nil && r.ID == suspect.ID {
			break
		}
		if r.State.Final() && r.State != Succeeded {
			without++
			if last == nil {
				last = &s.Runs[i]
			}
		}
	}
	slot := s.Plan.Schedule.Next(s.Dealt)
	switch {
	case s.Dealt.IsZero():
		return reason("PlanNotSeen", "no tick of the schedule has seen the plan yet",
			"If this lasts longer than LIFEBOAT_SCHEDULE_TICK, "+blobRoleFirst+" Then see in the log whether the function schedule runs.")
	case !slot.IsZero() && now.Sub(slot) > silence:
		return reason("ScheduleSilent", "the slot of "+slot.Format(time.RFC3339)+" came due, and no tick of the schedule "+
			"has dealt with it", "First "+blobRoleFirst+" Then see in the log whether the function schedule runs, and what it says of the plan.")
	case last != nil:
		return last.Reason.as(last.Reason.Code, fmt.Sprintf("%s ended without a recovery point: %s (%s)",
			runs(without, len(s.Runs)), last.Reason.Message, last.State), last.Reason.Hint)
	case suspect != nil:
		return reason("SuspectRecoveryPoint", fmt.Sprintf("the newest recovery point %s is suspect: %s", suspect.ID,
			suspect.Suspicion.Message), suspect.Suspicion.Hint)
	case h.LastRun != nil && !h.LastRun.State.Final():
		message := fmt.Sprintf("run %s is %s since %s", h.LastRun.ID, h.LastRun.State,
			h.LastRun.Created.UTC().Format(time.RFC3339))
		if h.LastRun.Reason.Message != "" {
			message += ": " + h.LastRun.Reason.Message
		}
		return h.LastRun.Reason.as("RunUnderWay", message, h.LastRun.Reason.Hint)
	case s.Gap.Count > 0 && (h.Point == nil || s.Gap.Last.After(h.Point.Created)):
		return reason("SlotsMissed", fmt.Sprintf("no runs were made of %d slots from %s to %s: %s", s.Gap.Count,
			s.Gap.First.UTC().Format(time.RFC3339), s.Gap.Last.UTC().Format(time.RFC3339), s.Gap.Why), "")
	case s.Refused != nil:
		return reason("PlanRefused", "plan.yaml is refused, and the last good plan is in force: "+s.Refused.Error(),
			"Mend plan.yaml; lifeboat plan check says what is wrong.")
	case h.Point == nil:
		return reason("NeverBackedUp", "the target has not been backed up yet", "")
	}
	return reason("NoRecoveryPoint", "no newer recovery point has been verified", "")
}

// suspect is the newest suspect recovery point, if it is newer than the newest live one; else nil.
func (s Sight) suspect(live *Point) *Point {
	var newest *Point
	for i, p := range s.Points {
		newer := newest == nil || p.Created.After(newest.Created)
		if p.State == Suspect && newer && (live == nil || p.Created.After(live.Created)) {
			newest = &s.Points[i]
		}
	}
	return newest
}

// runs says how many in words, of the seen ones that were looked at.
func runs(n, seen int) string {
	switch {
	case n == 1:
		return "the last run"
	case n == seen && seen == recentRows:
		return fmt.Sprintf("the last %d runs, or more,", n)
	}
	return fmt.Sprintf("the last %d runs", n)
}

// intervals are the time from the newest slot at the instant or before it to the first one after it, and to the second
// one. Both are zero if the schedule does not have these slots.
func (s Schedule) intervals(at time.Time) (one, two time.Duration) {
	first := s.Next(at)
	if first.IsZero() {
		return 0, 0
	}
	second := s.Next(first)
	if second.IsZero() {
		return 0, 0
	}
	// Search back by twice as much each time, so that few slots are counted.
	var before time.Time
	for back := second.Sub(first); before.IsZero() && back < horizon*24*time.Hour; back *= 2 {
		for slot := range s.After(at.Add(-back)) {
			if slot.After(at) {
				break
			}
			before = slot
		}
	}
	if before.IsZero() {
		before = first.Add(-second.Sub(first))
	}
	return first.Sub(before), second.Sub(before)
}

const (
	// recentRows is how many of a target's newest runs health looks at.
	recentRows = 10
	// silence is how long after a slot a tick must have dealt with it: ten ticks of the default.
	silence = 10 * time.Minute
)

// Health says how every target of the plans in force stands, in the order of the plans, and how the timers do. It
// costs one request and two for each target, whatever the history; more only for one whose newest recovery points are all
// suspect. It changes nothing, but that it notes once since when a timer is waited for that has never ticked.
func (e *Engine) Health(ctx context.Context, force InForce) ([]TargetHealth, Clockwork, error) {
	state, err := e.standing(ctx)
	now := state.clock
	if now.IsZero() {
		return nil, Clockwork{}, err
	}
	clockwork := e.clockwork(ctx, state.ticked, now)
	since := now // no tick has seen the text yet
	// A row that cannot be read tells as little as none; the tick says so.
	if head, err := readHead(state.book); err == nil && state.book.ETag != "" && head.Hash == force.hash {
		since = head.Since
	}
	var sights []Sight
	for _, plan := range force.Plans {
		for _, target := range plan.Targets {
			s := Sight{Plan: plan, Target: target, Since: since, Halted: e.halted(plan), Refused: force.Refused, Unread: state.unread[plan.Name]}
			if mark := state.marks[plan.Name]; mark != nil {
				s.Dealt, s.Gap = mark.since(s.Plan), mark.LastGap
			}
			sights = append(sights, s)
		}
	}
	err = e.together(len(sights), func(i int) error { return e.recent(ctx, &sights[i]) })
	if err != nil {
		return nil, clockwork, err
	}
	health := make([]TargetHealth, 0, len(sights))
	for _, s := range sights {
		health = append(health, s.Judge(now))
	}
	return health, clockwork, nil
}

// recent reads the newest runs and recovery points of the target. Retention deletes the oldest first, so the newest live
// point is among the newest of all, unless many are suspect.
func (e *Engine) recent(ctx context.Context, s *Sight) error {
	var err error
	s.Points, err = e.recentPoints(ctx, s.Target, func(points []Point) bool {
		return slices.ContainsFunc(points, Point.live)
	})
	if err != nil {
		return fmt.Errorf("health of %s: %w", s.Target, err)
	}
	for _, p := range s.Points {
		if p.State == Unreadable && s.Unread == nil {
			s.Unread = errors.New(p.Reason.Message)
		}
	}
	if err := e.recentRuns(ctx, s); err != nil {
		return fmt.Errorf("health of %s: %w", s.Target, err)
	}
	return nil
}

// recentRuns reads those of the target's newest runs that are backups, newest first. One that cannot be read is left out.
func (e *Engine) recentRuns(ctx context.Context, s *Sight) error {
	rows, _, err := e.Catalog.List(ctx, partition(s.Target), "run-", "run.", recentRows)
	if err != nil {
		return fmt.Errorf("list the newest runs: %w", err)
	}
	s.Runs = nil
	for _, row := range rows {
		s.addRun(row)
	}
	return nil
}

// addRun adds a run that is a backup.
func (s *Sight) addRun(row Row) {
	switch run, err := decode[Run](row); {
	case err != nil:
		s.Unread = cmp.Or(s.Unread, err)
	case run.Restore == nil:
		s.Runs = append(s.Runs, run)
	}
}

// addPoint adds a recovery point, also one that cannot be read.
func (s *Sight) addPoint(row Row) {
	p, err := decodePoint(row)
	if err != nil {
		p, s.Unread = unreadablePoint(row, s.Target, err), cmp.Or(s.Unread, err)
	}
	s.Points = append(s.Points, p)
}

// newestRuns are so many runs of a target, backups and restores, newest first.
func (e *Engine) newestRuns(ctx context.Context, target string, n int) ([]Run, error) {
	return e.listRuns(ctx, target, "run-", "run.", n)
}

// runs are the runs of a target, newest first, up to the row key.
func (e *Engine) runs(ctx context.Context, target, to string) ([]Run, error) {
	var all []Run
	for from := "run-"; ; {
		runs, err := e.listRuns(ctx, target, from, to, 1000)
		all = append(all, runs...)
		if err != nil || len(runs) < 1000 {
			return all, err
		}
		from = runs[999].key().Row + "!"
	}
}

func (e *Engine) listRuns(ctx context.Context, target, from, to string, n int) ([]Run, error) {
	rows, _, err := e.Catalog.List(ctx, partition(target), from, to, n)
	if err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", target, err)
	}
	runs := make([]Run, 0, len(rows))
	for _, row := range rows {
		run, err := decode[Run](row)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}
