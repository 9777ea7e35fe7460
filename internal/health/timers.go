package health

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/schedule"
	"lifeboat/internal/stop"
)

// A timer that the host no longer calls causes no error and no log line: without a role on the storage account's blobs the host
// runs, answers HTTP, and never fires a timer (measured with the host 4.1045, 2026-11). So each function of a timer notes that it
// ran, in a row that health reads.

// TimerSchedule is the schedule by which the host calls a timer's function.
type TimerSchedule struct {
	// Setting is the name of the app setting with the schedule, such as LIFEBOAT_SCHEDULE_TIMER.
	Setting string
	// Schedule is the schedule in the setting, in UTC; nil if that cannot be read.
	Schedule *schedule.Schedule
	// Wrong says why it cannot be read.
	Wrong error
}

// Looked returns the time up to which runs of the timer schedule came all along, by its row as it was before the present run. The
// times of the row may be later than now by the tolerance, as clocks differ.
func (t TimerSchedule) Looked(row TimerRecord, now time.Time, tolerance time.Duration) time.Time {
	last := row.Last(now, tolerance)
	if !t.Evaluate(Timers[0].Name, last, last, Timers[0].Limit, now, row.Unread).Silent {
		return now
	}
	return last
}

// TimerHealth says whether the host still calls a timer.
type TimerHealth struct {
	// Timer is the name of its function.
	Timer string
	// Last is the time of the newest noted run, zero if there never was one. The last run may be up to NoteEvery newer.
	Last time.Time
	// Deadline is the time at which the timer counts as silent unless it runs before, or since which it does; zero if never.
	Deadline time.Time
	// Silent tells that the timer has not run for so long that no run is to be expected any more.
	Silent bool
	// Reason says why the timer is silent, or cannot be evaluated; otherwise it has no code.
	Reason backup.Reason
}

// TimersHealth has the time by the catalog's clock, the apps, the health of the timers, and the traces that timer runs have left: the
// checkpoints of every plan that ever was, in the order of their names, and the targets with recovery points that cleanup could not
// delete.
type TimersHealth struct {
	Undeleted   []Undeleted
	Stopped     stop.State
	Now         time.Time
	Apps        Apps
	Timers      []TimerHealth
	Checkpoints []checkpoint.Checkpoint
	// Departed are the targets that left the plans in the last seven days, newest first, at most MostDeparted; Omitted counts more of
	// them, by the plan that had them.
	Departed []Departed
	Omitted  map[string]int
	// Evaluations say when the targets of the active plans were evaluated last, in the order of the plans; a plan whose targets never
	// were has none.
	Evaluations []Evaluation
	// Restores are the restores into targets, and into other services that a plan allows: of each destination those under way, and the
	// newest that has ended, newest first.
	Restores []Restored
	// Stock says which recovery points there are, as of the last whole count; its time is zero if there was none.
	Stock Stock
	// Coverage says which services no plan has, as of the last look.
	Coverage Coverage
}

// Only returns what concerns the plan, or every plan; all are the active plans. A target that has left a plan still concerns it.
func (t TimersHealth) Only(plan string, all []backup.Plan) TimersHealth {
	t.Checkpoints = slices.DeleteFunc(t.Checkpoints, func(c checkpoint.Checkpoint) bool { return c.Plan != plan })
	t.Restores = slices.DeleteFunc(t.Restores, func(r Restored) bool { return r.Plan != plan })
	t.Departed = slices.DeleteFunc(t.Departed, func(d Departed) bool { return d.Plan != plan })
	t.Omitted = map[string]int{plan: t.Omitted[plan]}
	t.Undeleted = slices.DeleteFunc(t.Undeleted, func(u Undeleted) bool {
		return !slices.ContainsFunc(all, func(p backup.Plan) bool { return p.Name == plan && p.Has(u.Target) }) &&
			!slices.ContainsFunc(t.Departed, func(d Departed) bool { return backup.Same(d.Target, u.Target) })
	})
	return t
}

// MostDeparted is the greatest number of targets that have left that health shows.
const MostDeparted = 100

// Timers lists the functions that the host calls by time. One counts as silent after it missed three runs, but not before Limit
// has passed.
var Timers = []struct {
	Name  string
	Limit time.Duration
}{{"schedule", 15 * time.Minute}, {"cleanup", time.Hour}}

// NoteEvery is the least time between two notes of a timer. An idle timer run writes nothing else.
const NoteEvery = 5 * time.Minute

// Evaluate says whether the timer is silent. The timer gave its last sign at the instant since, last is the time of its last
// noted run, and unread says why its row cannot be read, nil if it can.
func (t TimerSchedule) Evaluate(timer string, last, since time.Time, timeout time.Duration, now time.Time, unread error) TimerHealth {
	h := TimerHealth{Timer: timer, Last: last}
	if unread != nil {
		h.Reason = backup.UnreadableRow(unread)
		return h
	}
	h.Deadline = since.Add(timeout)
	if t.Schedule != nil {
		// A run within NoteEvery of a note writes none, so three runs count from that time on. Otherwise, if the last run before
		// a night without runs wrote no note, the timer would count as silent all night.
		third := since.Add(NoteEvery - backup.Resolution)
		for range 3 {
			if third = t.Schedule.Next(third); third.IsZero() {
				h.Deadline = third // there are no three runs to wait for
				return h
			}
		}
		h.Deadline = backup.Later(h.Deadline, third)
	}
	h.Silent = now.After(h.Deadline)
	switch {
	case h.Silent:
		h.Reason = t.silent(timer, last, since)
	case t.Wrong != nil:
		h.Reason = backup.NewReason("TimerUnreadable", t.wrong(), "The timer counts as silent "+timeout.String()+" after its last run.")
	}
	return h
}

// silent says why the timer counts as silent, and where to look first.
func (t TimerSchedule) silent(timer string, last, since time.Time) backup.Reason {
	message := fmt.Sprintf("the timer %s has not run to its end since %s", timer, since.UTC().Format(time.RFC3339))
	if last.IsZero() {
		message = fmt.Sprintf("the timer %s has never run to its end; health has waited for its first run since %s", timer,
			since.UTC().Format(time.RFC3339))
	}
	if t.Wrong != nil {
		message += "; " + t.wrong()
	}
	return backup.NewReason("TimerSilent", message, "First "+blobRoleFirst+" Then see in the log whether the function "+timer+
		" runs, and what it says; "+cmp.Or(t.Setting, "its app setting")+" must be there, and AzureWebJobs."+timer+
		".Disabled must not.")
}

func (t TimerSchedule) wrong() string {
	return fmt.Sprintf("the app setting %s cannot be read: %v", t.Setting, t.Wrong)
}

// blobRoleFirst is the first advice for a silent timer, because nothing else shows this cause.
const blobRoleFirst = "see that the app has the role Storage Blob Data Owner on its own storage account: without a role on " +
	"its blobs the Functions host fires no timer, and logs nothing about it."

// TimerRecord is the row in which the runs of one timer note that they come. It stands between the row of the active plan and the
// checkpoints, because each timer run of the schedule and health read them anyway. Older versions take it for the checkpoint of a
// plan without a name, and that changes nothing.
type TimerRecord struct {
	// At is the time at which a timer run came to its end, if it was noted; zero if none ever was.
	At time.Time `json:"At,omitzero"`
	// Since is the time at which health first looked for a timer run, while none had ever been noted.
	Since time.Time `json:"Since,omitzero"`

	backup.Carried
	// ETag is the one that the row was read with.
	ETag string `json:"-"`
	// Unread says why the row cannot be read, nil if it can.
	Unread error `json:"-"`
}

// DecodeTimer reads the row.
func DecodeTimer(row backup.Row) TimerRecord {
	t, err := backup.Decode[TimerRecord](row)
	t.ETag, t.Unread = row.ETag, err
	return t
}

// Last returns the last recorded run of the timer, or else the time at which health began to wait for one; zero if neither is
// known. A time further in the future than the tolerance comes from a clock that was wrong.
func (t TimerRecord) Last(now time.Time, tolerance time.Duration) time.Time {
	last := cmp.Or(t.At, t.Since)
	if last.After(now.Add(tolerance)) {
		return time.Time{}
	}
	return last
}
