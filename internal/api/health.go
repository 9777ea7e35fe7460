package api

import (
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// Health is the answer to a monitor. Status is the worst target's status, or unprotected if a timer is silent: then no target
// will stay protected.
type Health struct {
	Status  health.Protection `json:"status"`
	Checked time.Time         `json:"checkedDateTime,omitzero"`
	Plan    PlanHealth        `json:"plan"`
	// Version is the version of the program's source.
	Version string `json:"version"`
	// TimeZones is the version of the time zones of schedules, such as 2026f.
	TimeZones string         `json:"timeZones"`
	Timers    []TimerHealth  `json:"timers,omitempty"`
	Targets   []TargetHealth `json:"targets"`
	// Poison are the queues with messages that the host gave up and that Lifeboat has not handled yet.
	Poison []Poison `json:"poison,omitempty"`
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

// Poison is a poison queue that is not empty, or cannot be seen.
type Poison struct {
	Queue string `json:"queue"`
	// Messages is the number of messages in it, if storage answers.
	Messages int `json:"messages,omitempty"`
	// Deleted is the time at which Azure deletes the first of them; missing if that is not known.
	Deleted time.Time `json:"firstDeletedDateTime,omitzero"`
	Reason  Problem   `json:"reason"`
}
