package api

import (
	"time"

	"lifeboat/internal/backup"
)

// Retention says which recovery points of a target a cleanup at a time would delete, if until then nothing but time changes.
type Retention struct {
	Target string    `json:"target"`
	At     time.Time `json:"dateTime"`
	// Stopped says why the app deletes nothing now; missing if it deletes.
	Stopped string `json:"stopped,omitempty"`
	// Value has the points that are not expired, the newest first; or one of them, if the question named it.
	Value []Retained `json:"value"`
}

// Retained says whether a recovery point stays, and why.
type Retained struct {
	ID      string            `json:"id"`
	Plan    string            `json:"plan"`
	State   backup.PointState `json:"state"`
	Size    int64             `json:"sizeInBytes"`
	Created time.Time         `json:"createdDateTime,omitzero"`
	Stays   bool              `json:"stays"`
	// Waits says that it stays only because no more of its target may be deleted in a day.
	Waits bool `json:"waits,omitempty"`
	// Reasons are all reasons for which it stays; if it goes, the first one says why.
	Reasons []RetentionReason `json:"reasons"`
	// Next is the time from which on the answer may be another one; missing if only a new backup or a person changes it.
	Next time.Time `json:"nextDateTime,omitzero"`
}

// RetentionReason is a reason in words. Until is the time at which it ends by itself; missing if it does not.
type RetentionReason struct {
	Message string    `json:"message"`
	Until   time.Time `json:"untilDateTime,omitzero"`
}

// Keep are rules of a plan that are not active yet, for a question under an edit. A rule of 0 is off.
type Keep struct {
	Plan     string `json:"plan"`
	TimeZone string `json:"timeZone,omitempty"`
	Last     int    `json:"last,omitempty"`
	Hourly   int    `json:"hourly,omitempty"`
	Daily    int    `json:"daily,omitempty"`
	Weekly   int    `json:"weekly,omitempty"`
	Monthly  int    `json:"monthly,omitempty"`
	Yearly   int    `json:"yearly,omitempty"`
	Minimum  int    `json:"minimum,omitempty"`
	// Within is 0 without keep.within.
	Within int64 `json:"withinInSeconds,omitempty"`
}

// KeepOf returns the rules of a plan.
func KeepOf(p backup.Plan) Keep {
	c := p.Settings.KeepCounts
	return Keep{
		Plan: p.Name, TimeZone: c.Zone, Last: c.Last, Hourly: c.Hourly, Daily: c.Daily, Weekly: c.Weekly, Monthly: c.Monthly, Yearly: c.Yearly,
		Minimum: p.Settings.KeepMinimum, Within: int64(p.Settings.KeepWithin / time.Second),
	}
}

// Settings returns the settings with the rules.
func (k Keep) Settings() backup.Settings {
	return backup.Settings{
		KeepCounts: backup.Counts{
			Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Yearly: k.Yearly, Zone: k.TimeZone,
		},
		KeepMinimum: k.Minimum, KeepWithin: time.Duration(k.Within) * time.Second,
	}
}

// Forgotten is a page of the recovery points of a target that a person has Lifeboat forget.
type Forgotten struct {
	Target string `json:"target"`
	// DryRun says that nothing was deleted.
	DryRun bool             `json:"dryRun,omitempty"`
	Value  []ForgottenPoint `json:"value"`
	// Next is the after of the request for the next page; missing at the end.
	Next string `json:"after,omitempty"`
}

// ForgottenPoint is one of them. Stays says why it stays; missing if it is soft-deleted, or would be.
type ForgottenPoint struct {
	ID      string            `json:"id"`
	State   backup.PointState `json:"state"`
	Size    int64             `json:"sizeInBytes"`
	Created time.Time         `json:"createdDateTime,omitzero"`
	// Until is the time until which a soft-deleted one is there.
	Until time.Time `json:"untilDateTime,omitzero"`
	Stays string    `json:"stays,omitempty"`
}
