package health

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/schedule"
)

// Protection says how well a target can be restored at an instant, measured by its own plan.
type Protection string

// The protections go from good to bad. Only Unprotected is an alarm.
const (
	// Protected: the newest verified recovery point is no older than one interval of the plan.
	Protected Protection = "protected"
	// Copied: the newest verified copy is no older than one interval of the plan, and Azure restores nothing from copies.
	Copied Protection = "copyOnly"
	// Pending: there is no recovery point yet, and two intervals have not passed since the plan began.
	Pending Protection = "pending"
	// Late: the newest recovery point is older than one interval, but no older than two; or people have not proven the thing in their custody.
	Late Protection = "late"
	// Unprotected: no recovery point was verified within two intervals.
	Unprotected Protection = "unprotected"
)

// Protections are all of them, from good to bad.
var Protections = []Protection{Protected, Copied, Pending, Late, Unprotected}

// Severity orders protections: the worse, the higher. An unknown one is as bad as the worst.
func (p Protection) Severity() int {
	if i := slices.Index(Protections, p); i >= 0 {
		return i
	}
	return len(Protections) - 1
}

// TargetHealth is the protection of one target by one plan, and the reason for it.
type TargetHealth struct {
	Target string
	Plan   string
	Status Protection
	// Reason says why the target is not Protected. It is empty for a protected target whose rows are all readable.
	Reason backup.Reason
	// Point is the newest live recovery point, of any plan; nil if there is none.
	Point *Verified
	// Age is the age of the state that Point has; zero without one.
	Age time.Duration
	// Interval is the time between the plan's scheduled times around Point, or around the plan's beginning without one. It is
	// zero where the schedule has no scheduled times there.
	Interval time.Duration
	// Deadline is the time at which the target turns Unprotected unless a newer point comes, or did so; zero if it never will.
	Deadline time.Time
	// NextScheduledTime is the time of the plan's next run; zero while it makes none.
	NextScheduledTime time.Time
	// LastRun is the newest run of the target, of any plan, under way or ended; nil if there is none.
	LastRun *Ran
	// LastEnded is the newest run that has ended; nil if none has.
	LastEnded *Ran
	// Err says why the target could not be looked at, for the log; nil if it could.
	Err error
	// Blank: the catalog has no recovery point of the target, in any state.
	Blank bool
	// Incomplete: the storage has artifacts of the target that the catalog does not know. That is an alarm, whatever the status.
	Incomplete bool
	// Proof says whether people have proven the thing in their custody; nil if the plan does not ask.
	Proof *backup.Proof
}

// Verified is a live recovery point, as far as health tells of it: ten thousand of them are held at once.
type Verified struct {
	ID string
	// Created is the time of its writing, and AsOf the time whose state of the service it has.
	Created, AsOf time.Time
	CopyOnly      bool
}

func newVerified(p *backup.Point) *Verified {
	if p == nil {
		return nil
	}
	return &Verified{ID: p.ID, Created: p.Created, AsOf: p.StateTime(), CopyOnly: p.CopyOnly}
}

// Age is the time since the state that it has; zero for a point of the future.
func (v Verified) Age(now time.Time) time.Duration { return max(now.Sub(v.AsOf), 0) }

// Ran is a run, as far as health tells of it.
type Ran struct {
	ID    string
	State backup.State
	// Ended is zero for a run under way.
	Ended time.Time
}

func newRan(r backup.Run) *Ran { return &Ran{ID: r.ID, State: r.State, Ended: r.Ended} }

// Snapshot has the known facts about one target of one plan, for Evaluate.
type Snapshot struct {
	Plan   backup.Plan
	Target string
	// Since is the time at which the text that holds the plan became active: the plan cannot have backed up a target before.
	Since time.Time
	// Scheduled is the time since which the plan has its schedule; zero if that is not known. Before is the schedule until then, nil
	// if there was none.
	Scheduled time.Time
	Before    *schedule.Schedule
	// First is the first of several edits in quick succession, the last of which was at Scheduled; nil if that one stands alone.
	First *Edit
	// Returns are the times at which the target came back into the plan in the last days, newest first.
	Returns []Return
	// Shared tells whether another plan has the target too.
	Shared bool
	// Restorable is the time for which the service can restore a backup; 0 if no limit is documented.
	Restorable time.Duration
	// ProcessedUntil is the time up to which timer runs have processed the plan's scheduled times; zero if no timer run has seen the
	// plan.
	ProcessedUntil time.Time
	// Paused says why the plan makes no runs, "" if it does.
	Paused string
	// MissedRuns has the scheduled times that were missed last; its Count is zero if none ever were.
	MissedRuns schedule.MissedRuns
	// RowError says why a row of the plan cannot be read, nil if every row can be.
	RowError error
	// Unread says why a row of the target cannot be read, or why it could not be looked at: nil if all was read. Lifeboat restores
	// nothing of such a target, so it is Unprotected.
	Unread error
	// Refused says why the present plan.yaml is not active, nil if it is.
	Refused error
	// Incomplete says which artifacts of the target the catalog does not know; nil if it was found to know all.
	Incomplete *Incomplete
	// Proof says whether people have proven the thing in their custody; nil if the plan does not ask.
	Proof *backup.Proof
	// Points and Runs are the newest of the target, newest first.
	Points []backup.Point
	Runs   []backup.Run
	// Restores are the newest restores into the target, newest first.
	Restores []Restored
}

// Evaluate says how well the target is protected now.
//
// It takes the two intervals of the scheduled times around the point: from the scheduled time before it to the second scheduled
// time after it. So a plan for working days is not late on a Sunday, and the next run has as long after its scheduled time as
// the last one had. After an edit, or when it comes back into the plan, it has the same time from then on, unless it was unprotected already. A point beyond the time for
// which the service can restore it protects nothing.
func (s Snapshot) Evaluate(now time.Time) TargetHealth {
	point := s.newest(backup.Point.Live)
	h := TargetHealth{Target: s.Target, Plan: s.Plan.Name, Point: newVerified(point), Blank: len(s.Points) == 0, Incomplete: s.Incomplete != nil, Proof: s.Proof}
	if len(s.Runs) > 0 {
		h.LastRun = newRan(s.Runs[0])
	}
	if i := slices.IndexFunc(s.Runs, func(r backup.Run) bool { return r.State.Final() }); i >= 0 {
		if h.LastEnded = h.LastRun; i > 0 {
			h.LastEnded = newRan(s.Runs[i])
		}
	}
	if s.Paused == "" {
		h.NextScheduledTime = s.Plan.Schedule.Next(now)
	}
	from := s.began()
	if h.Point != nil {
		from, h.Age = h.Point.AsOf, h.Point.Age(now)
	}
	one, two := s.Plan.Schedule.Intervals(from)
	h.Interval = one
	if two > 0 {
		h.Deadline = backup.Later(from.Add(two), s.grace(h.Point != nil, from))
	}
	if end := s.horizon(h.Point); !end.IsZero() && (h.Deadline.IsZero() || end.Before(h.Deadline)) {
		h.Deadline = end
	}
	switch passed := now.Sub(from); {
	case !h.Deadline.IsZero() && now.After(h.Deadline):
		h.Status = Unprotected
	case h.Point == nil:
		h.Status = Pending
	case two > 0 && passed > one:
		h.Status = Late
	case h.Point.CopyOnly:
		h.Status, h.Reason = Copied, copied
	default:
		h.Status = Protected
	}
	if s.Unread != nil {
		h.Status, h.Err = Unprotected, s.Unread
	}
	if h.Status != Protected && h.Status != Copied || s.RowError != nil {
		h.Reason = s.why(h, now)
	}
	if p := s.Proof; p != nil && p.Status.Alarms() && h.Status == Protected {
		h.Status, h.Reason = Late, p.Reason
	}
	if h.Incomplete && s.RowError == nil && s.Unread == nil {
		h.Reason = s.Incomplete.Reason()
	}
	return h
}

// oldest returns the times of the oldest known run or point of the target by this plan, and by others; zero if there is none. A run by
// hand counts once it has ended: the facts know of it no earlier, and no schedule has had the target because of it. If there may be older runs than the known ones, points of others say nothing
// of who had the target before.
func (s Snapshot) oldest() (own, others time.Time) {
	note := func(plan string, at time.Time) {
		seen := &others
		if plan == s.Plan.Name {
			seen = &own
		}
		if seen.IsZero() || at.Before(*seen) {
			*seen = at
		}
	}
	for _, r := range s.Runs {
		if r.State.Final() || !r.ScheduledTime.IsZero() {
			note(r.Plan, cmp.Or(r.ScheduledTime, r.Created))
		}
	}
	for _, p := range s.Points {
		if p.Plan == s.Plan.Name || !s.full() {
			note(p.Plan, p.Created)
		}
	}
	return own, others
}

// full tells whether there may be older runs than the known ones.
func (s Snapshot) full() bool { return len(s.Runs) >= RecentRows }

// horizon returns the time from which the service restores the point no more; zero if that never comes.
func (s Snapshot) horizon(p *Verified) time.Time {
	if p == nil || p.CopyOnly || s.Restorable == 0 {
		return time.Time{}
	}
	return p.Created.Add(s.Restorable)
}

// copied says why a target is not protected if its newest point is a copy.
var copied = backup.NewReason("CopyOnly", "Azure restores nothing from the copies of this service: you can only read the newest copy",
	"You need not act. If the service is lost, its data are in the copy, and you must set it up anew.")

// began returns the time since which the target can be expected to have backups: the time at which its text became active.
// Earlier runs count as well, so that an edit of the plan does not hide them.
func (s Snapshot) began() time.Time {
	began := s.Since
	if n := len(s.Runs); n > 0 && s.Runs[n-1].Created.Before(began) {
		began = s.Runs[n-1].Created
	}
	return began
}

// why finds the most telling reason: first a person's act, then Azure's answer, then a fault of the schedule.
func (s Snapshot) why(h TargetHealth, now time.Time) backup.Reason {
	if s.Unread != nil {
		return unread(s.Unread)
	}
	if s.Paused != "" {
		return backup.NewReason("PlanPaused", "the plan makes no runs: it is "+s.Paused,
			"Let it run again, or ask for a backup by hand.")
	}
	if s.RowError != nil {
		return backup.UnreadableRow(s.RowError)
	}
	suspect := s.newest(func(p backup.Point) bool {
		return suspect(p) && (h.Point == nil || p.Created.After(h.Point.Created))
	})
	without := 0
	var last *backup.Run
	for i, r := range s.Runs {
		if h.Point != nil && r.ID == h.Point.ID || suspect != nil && r.ID == suspect.ID {
			break
		}
		if r.State.Final() && r.State != backup.Succeeded {
			without++
			if last == nil {
				last = &s.Runs[i]
			}
		}
	}
	scheduledTime := s.Plan.Schedule.Next(s.ProcessedUntil)
	switch {
	case s.ProcessedUntil.IsZero():
		return backup.NewReason("PlanNotSeen", "no timer run of the schedule has seen the plan yet",
			"If this lasts longer than LIFEBOAT_SCHEDULE_TIMER, "+blobRoleFirst+" Then see in the log whether the function schedule runs.")
	case !scheduledTime.IsZero() && now.Sub(scheduledTime) > silence:
		return backup.NewReason("ScheduleSilent", "the scheduled time of "+scheduledTime.Format(time.RFC3339)+" came due, and no timer run "+
			"of the schedule has dealt with it", "First "+blobRoleFirst+" Then see in the log whether the function schedule runs, and what it says of the plan.")
	case last != nil:
		return last.Reason.Reword(last.Reason.Code, fmt.Sprintf("%s ended without a recovery point: %s (%s)",
			runs(without, len(s.Runs)), last.Reason.Message, last.State), last.Reason.Hint)
	case suspect != nil:
		return backup.NewReason("SuspectRecoveryPoint", fmt.Sprintf("the newest recovery point %s is suspect: %s", suspect.ID,
			suspect.Suspicion.Message), suspect.Suspicion.Hint)
	case h.LastRun != nil && !h.LastRun.State.Final():
		run := s.Runs[0]
		message := fmt.Sprintf("run %s is %s since %s", run.ID, run.State, run.Created.UTC().Format(time.RFC3339))
		if run.Reason.Message != "" {
			message += ": " + run.Reason.Message
		}
		return run.Reason.Reword("RunUnderWay", message, cmp.Or(run.Reason.Hint, "See its steps: lifeboat run "+run.ID))
	case s.MissedRuns.Count > 0 && (h.Point == nil || s.MissedRuns.Last.After(h.Point.Created)):
		return backup.NewReason("ScheduleMissed", fmt.Sprintf("no runs were made of %d scheduled times from %s to %s: %s", s.MissedRuns.Count,
			s.MissedRuns.First.UTC().Format(time.RFC3339), s.MissedRuns.Last.UTC().Format(time.RFC3339), s.MissedRuns.Why), byHand)
	case s.Refused != nil:
		return backup.NewReason("PlanRefused", "plan.yaml is refused, and the last good plan is active: "+s.Refused.Error(),
			"Mend plan.yaml; lifeboat plan check says what is wrong.")
	case h.Point != nil && h.Status == Unprotected && now.After(s.horizon(h.Point)) && !s.horizon(h.Point).IsZero():
		return backup.NewReason("BeyondHorizon", fmt.Sprintf("the newest recovery point is of %s, and its service restores none that is older than "+
			"%d days", h.Point.Created.UTC().Format(time.RFC3339), int(s.Restorable.Hours()/24)), "Ask for a backup by hand, and let the plan run more often.")
	case h.Point == nil:
		return backup.NewReason("NeverBackedUp", "the target has not been backed up yet", "Its plan makes the first backup. "+byHand)
	}
	return backup.NewReason("NoRecoveryPoint", "no newer recovery point has been verified", "See what its last runs did. "+byHand)
}

// unread says why the rows of a target could not be read.
func unread(err error) backup.Reason {
	if errors.Is(err, backup.ErrUnreadable) {
		return backup.UnreadableRow(err)
	}
	return backup.NewReason("TargetUnread", "the recovery points and runs of the target could not be read: storage does not answer for it",
		"Ask again. If this lasts, look at the storage account of AzureWebJobsStorage in the Azure portal; the log of the app has storage's words.")
}

// byHand says how a target is backed up before its next scheduled time.
const byHand = "If it must not wait for the next scheduled time, ask for a backup by hand."

// suspect says whether the point is suspect, and is to stay.
func suspect(p backup.Point) bool { return p.State == backup.Suspect && !p.IsSoftDeleted() }

// newest returns the newest of such recovery points; nil if there is none.
func (s Snapshot) newest(such func(backup.Point) bool) *backup.Point {
	var newest *backup.Point
	for i, p := range s.Points {
		if such(p) && (newest == nil || p.Created.After(newest.Created)) {
			newest = &s.Points[i]
		}
	}
	return newest
}

// runs says in words that n of the seen runs are meant.
func runs(n, seen int) string {
	switch {
	case n == 1:
		return "the last run"
	case n == seen && seen == RecentRows:
		return fmt.Sprintf("the last %d runs, or more,", n)
	}
	return fmt.Sprintf("the last %d runs", n)
}

const (
	// RecentRows is the number of a target's newest runs that health reads.
	RecentRows = 10
	// silence is the time after a scheduled time within which a timer run must have dealt with it: ten runs at the default
	// interval.
	silence = 10 * time.Minute
)

// Of sets the target of the plan; all are the active plans.
func (s *Snapshot) Of(target string, service backup.Service, all []backup.Plan) {
	s.Target, s.Restorable = target, service.Restorable
	s.Shared = slices.ContainsFunc(all, func(p backup.Plan) bool { return p.Name != s.Plan.Name && p.Has(target) })
}

// AddCheckpoint adds the checkpoint of the plan.
func (s *Snapshot) AddCheckpoint(c checkpoint.Checkpoint, now time.Time) {
	s.ProcessedUntil, s.MissedRuns = c.Since(s.Plan), c.LastMissedRuns
	since, before, edited := c.Began(s.Plan, now)
	if s.Scheduled = since; edited {
		s.Before = &before
	}
	if first, before, several := c.Edits(s.Plan, now); several {
		s.First = &Edit{first.Since, before, first.Until}
	}
}

// AddRun adds a backup or a restore.
func (s *Snapshot) AddRun(row backup.Row) {
	switch run, err := backup.Decode[backup.Run](row); {
	case err != nil:
		s.Unread = cmp.Or(s.Unread, err)
	case run.Restore == nil:
		s.Runs = append(s.Runs, run)
	default:
		s.Restores = append(s.Restores, newRestored(run))
	}
}

// AddPoint adds a recovery point, also one that cannot be read.
func (s *Snapshot) AddPoint(row backup.Row) {
	p, err := backup.DecodePoint(row)
	if err != nil {
		p, s.Unread = backup.UnreadablePoint(row, s.Target, err), cmp.Or(s.Unread, err)
	}
	s.Points = append(s.Points, p)
}

// AlertKey returns a name for this alert: the target of the plan was left with its newest point. If the target gets another point
// and then becomes unprotected again, that alert has another name.
func (h TargetHealth) AlertKey() string {
	point := "none"
	if h.Point != nil {
		point = h.Point.ID
	}
	return backup.Digest(h.Plan+"\n"+strings.ToLower(h.Target)+"\n"+point, 16)
}
