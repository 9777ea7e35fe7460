package api

import (
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/health"
)

// Health is the answer to a monitor. OverallStatus is the worst target's status, or unprotected if a timer is silent, or several apps
// have the same storage account: then no target may stay protected. No target has a member of this name, so a monitor that looks for
// the text "overallStatus":"unprotected" finds nothing else.
type Health struct {
	OverallStatus health.Protection `json:"overallStatus"`
	Checked       time.Time         `json:"checkedDateTime,omitzero"`
	// Counts has the numbers of the targets by their status.
	Counts map[health.Protection]int `json:"counts"`
	Plan   PlanHealth                `json:"plan"`
	// Version is the version of the program's source.
	Version string `json:"version"`
	// TimeZones is the version of the time zones of schedules, such as 2026f.
	TimeZones string        `json:"timeZones"`
	Apps      Apps          `json:"apps"`
	Timers    []TimerHealth `json:"timers,omitempty"`
	// Stop says why nothing is deleted and no restore begins; missing if they go on.
	Stop *Stop `json:"stop,omitempty"`
	// Stopped says why no plan makes runs; "" if plans make runs.
	Stopped string `json:"stopped,omitempty"`
	// Checkpoints has one for every plan that ever was, in the order of the plans' names.
	Checkpoints []Checkpoint   `json:"checkpoints,omitempty"`
	Targets     []TargetHealth `json:"targets"`
	// Undeleted are the targets with recovery points that are past their time and could not be deleted, or are altered.
	Undeleted []Undeleted `json:"undeleted,omitempty"`
	// Poison are the queues with messages that a host gave up and no function or person has handled yet.
	Poison []Poison `json:"poison,omitempty"`
	// Departed are the targets that no plan has any more, for seven days, newest first; DepartedOmitted counts further ones.
	Departed        []Departed `json:"departed,omitempty"`
	DepartedOmitted int        `json:"departedOmitted,omitempty"`
}

// Departed is a target that no plan has any more.
type Departed struct {
	Target string `json:"target"`
	// Plan is the plan that had it last, until Left at the latest.
	Plan string    `json:"plan"`
	Left time.Time `json:"leftDateTime"`
	// Verified is its newest verified recovery point; missing if there is none.
	Verified *Verified `json:"lastVerified,omitempty"`
	// Reason says why its recovery points could not be read; missing if they could.
	Reason *Problem `json:"reason,omitempty"`
}

// Apps says which apps have the storage account. Reason says why they need a person; missing if there is one app alone.
type Apps struct {
	// App is the app that answers. Owner is the app that works; missing if none does yet.
	App   string    `json:"app"`
	Owner string    `json:"owner,omitempty"`
	Since time.Time `json:"ownerSinceDateTime,omitzero"`
	// Others are the other apps, besides the owner, that were seen in the last hour.
	Others []OtherApp `json:"others,omitempty"`
	Reason *Problem   `json:"reason,omitempty"`
}

// OtherApp is an app that does nothing, because another one owns the catalog.
type OtherApp struct {
	App      string    `json:"app"`
	LastSeen time.Time `json:"lastSeenDateTime"`
}

// PlanHealth says whether plan.yaml as it is now is active. Error has its mistakes if it is not.
type PlanHealth struct {
	// Hash is the hash of the active plan.yaml; missing if none is active.
	Hash    string `json:"hash,omitempty"`
	Refused bool   `json:"refused"`
	// RefusedSince is missing until a timer run of the schedule has seen the text.
	RefusedSince time.Time `json:"refusedSinceDateTime,omitzero"`
	// ActiveSince is the time since when the last good plan is active, while plan.yaml is refused.
	ActiveSince time.Time `json:"activeSinceDateTime,omitzero"`
	Error       *Problem  `json:"error,omitempty"`
}

// TimerHealth says whether the host still calls a timer's function.
type TimerHealth struct {
	Timer  string `json:"timer"`
	Silent bool   `json:"silent"`
	// LastRun is up to five minutes before the last timer run; it is missing if none has ever come.
	LastRun time.Time `json:"lastRunDateTime,omitzero"`
	Reason  *Problem  `json:"reason,omitempty"`
}

// Checkpoint says up to when the scheduled times of a plan are dealt with, and by which schedule.
type Checkpoint struct {
	Plan     string    `json:"plan"`
	At       time.Time `json:"processedUntilDateTime"`
	Schedule Schedule  `json:"schedule,omitzero"`
	// InProgress is the scheduled time whose runs are being made, by InProgressSchedule.
	InProgress         time.Time `json:"inProgressDateTime,omitzero"`
	InProgressSchedule Schedule  `json:"inProgressSchedule,omitzero"`
	// Paused says why the plan makes no runs since At; "" if it does.
	Paused string `json:"paused,omitempty"`
}

// Schedule is a cron expression in a time zone, which was so many seconds ahead of UTC.
type Schedule struct {
	Expression string `json:"expression"`
	Zone       string `json:"timeZone"`
	Ahead      int    `json:"secondsAheadOfUTC"`
}

// NewCheckpoint makes the body of a checkpoint.
func NewCheckpoint(c checkpoint.Checkpoint) Checkpoint {
	return Checkpoint{
		Plan: c.Plan, At: c.At, Schedule: Schedule(c.By), InProgress: c.InProgress, InProgressSchedule: Schedule(c.InProgressBy),
		Paused: c.Paused,
	}
}

// Checkpoint reads the body of a checkpoint.
func (c Checkpoint) Checkpoint() checkpoint.Checkpoint {
	return checkpoint.Checkpoint{
		Plan: c.Plan, At: c.At, By: checkpoint.By(c.Schedule), InProgress: c.InProgress,
		InProgressBy: checkpoint.By(c.InProgressSchedule), Paused: c.Paused,
	}
}

// TargetHealth says how well a target is protected by its plan.
type TargetHealth struct {
	Target string            `json:"target"`
	Plan   string            `json:"plan"`
	Status health.Protection `json:"status"`
	// Reason says why the target is not protected.
	Reason   *Problem  `json:"reason,omitempty"`
	Verified *Verified `json:"lastVerified,omitempty"`
	// Interval is the time between the plan's scheduled times, in seconds.
	Interval          int64     `json:"intervalInSeconds,omitempty"`
	NextScheduledTime time.Time `json:"nextScheduledTime,omitzero"`
	LastRun           *LastRun  `json:"lastRun,omitempty"`
	// Custody is missing if the plan does not ask for proofs.
	Custody *Custody `json:"custody,omitempty"`
}

// Custody says whether people have proven that they keep the thing without which no backup of the target can be restored.
type Custody struct {
	Status backup.ProofStatus `json:"status"`
	// Reason says why it is not proven.
	Reason *Problem `json:"reason,omitempty"`
	// Proven is the time of the oldest statement in the newest proof; missing before the first. Until is the time from which it is too old.
	Proven time.Time `json:"provenDateTime,omitzero"`
	Until  time.Time `json:"untilDateTime,omitzero"`
	// Holders have stated it recently, out of Of; Quorum of them are enough.
	Holders int `json:"holders"`
	Quorum  int `json:"quorum,omitempty"`
	Of      int `json:"of,omitempty"`
}

// Attested is the answer to a statement: the proof with it.
type Attested struct {
	Target  string  `json:"target"`
	Custody Custody `json:"custody"`
}

// Verified is the newest verified recovery point: its ID is also its run's.
type Verified struct {
	ID      string    `json:"id"`
	Created time.Time `json:"createdDateTime"`
	Age     int64     `json:"ageInSeconds"`
	// CopyOnly says that it is a copy: Azure can restore nothing from it.
	CopyOnly bool `json:"copyOnly,omitempty"`
}

// LastRun is the newest run of a target.
type LastRun struct {
	ID    string       `json:"id"`
	State backup.State `json:"state"`
	Ended time.Time    `json:"endedDateTime,omitzero"`
}

// Undeleted says how many recovery points of a target are past their time and were not deleted, and why the one that fails for the
// longest was not.
type Undeleted struct {
	Target string    `json:"target"`
	Points int       `json:"recoveryPoints"`
	Point  string    `json:"recoveryPoint"`
	Since  time.Time `json:"sinceDateTime"`
	Reason *Problem  `json:"reason"`
}

// Poison is a poison queue that is not empty, or cannot be seen.
type Poison struct {
	Queue string `json:"queue"`
	// Messages is the number of messages in it, if storage answers.
	Messages int `json:"messages,omitempty"`
	// Deleted is the time at which Azure deletes the first of them; missing if that is not known.
	Deleted time.Time `json:"firstDeletedDateTime,omitzero"`
	Reason  Problem   `json:"reason"`
}
