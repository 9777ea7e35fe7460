package handler

import (
	"time"

	"lifeboat/internal/backup"
)

// runView is a run as callers see it. Status is Azure's word for a long-running operation, so that Azure's own pollers
// end on it; state is Lifeboat's.
type runView struct {
	ID          string       `json:"id"`
	Status      string       `json:"status"`
	State       backup.State `json:"state"`
	Kind        string       `json:"kind"`
	Plan        string       `json:"plan"`
	Target      string       `json:"target"`
	Slot        *time.Time   `json:"slot,omitempty"`
	Request     string       `json:"requestId,omitempty"`
	Created     time.Time    `json:"createdDateTime"`
	LastUpdated time.Time    `json:"lastUpdatedDateTime"`
	Ended       *time.Time   `json:"endedDateTime,omitempty"`
	Attempts    int          `json:"attempts"`
	Polls       int          `json:"polls"`
	// Waiting says why a run under way does not get on; Error why one ended without a recovery point.
	Waiting *apiError  `json:"waiting,omitempty"`
	Error   *apiError  `json:"error,omitempty"`
	Point   *pointView `json:"recoveryPoint,omitempty"`
	// NotIncluded lists what the recovery point does not contain.
	NotIncluded []string `json:"notIncluded,omitempty"`
}

// pointView is a recovery point as callers see it.
type pointView struct {
	State    backup.PointState `json:"state"`
	Account  string            `json:"storageAccount"`
	Blob     string            `json:"blob"`
	Size     int64             `json:"sizeInBytes"`
	SHA256   string            `json:"sha256"`
	Created  time.Time         `json:"createdDateTime"`
	Expires  time.Time         `json:"expiresDateTime"`
	Deleted  *time.Time        `json:"deletedDateTime,omitempty"`
	Decision string            `json:"decision,omitempty"`
}

// statuses are Azure's words for our states.
var statuses = map[backup.State]string{
	backup.Queued: "NotStarted", backup.Waiting: "NotStarted",
	backup.Starting: "Running", backup.Running: "Running", backup.Verifying: "Running",
	backup.Succeeded: "Succeeded",
	backup.Failed:    "Failed", backup.Superseded: "Failed", backup.Missed: "Failed", backup.StateRefused: "Failed",
	backup.Unknown: "Failed",
}

func view(s backup.Status) runView {
	r := s.Run
	v := runView{
		ID: r.ID, Status: statuses[r.State], State: r.State, Kind: "backup", Plan: r.Plan, Target: r.Target, Slot: when(r.Slot),
		Request: r.Request, Created: r.Created, LastUpdated: r.Updated, Ended: when(r.Ended), Attempts: r.Attempt, Polls: r.Polls,
	}
	if r.Reason.Code != "" {
		e := &apiError{Code: r.Reason.Code, Message: r.Reason.Message, Target: r.Target}
		if r.Reason.Hint != "" {
			e.Details = []apiError{{Code: "Hint", Message: r.Reason.Hint}}
		}
		if r.State.Final() {
			v.Error = e
		} else {
			v.Waiting = e
		}
	}
	if p := s.Point; p != nil {
		v.NotIncluded = backup.NotIncluded(r.Target)
		v.Point = &pointView{
			State: p.State, Account: p.Storage.AccountName(), Blob: p.Storage.Container + "/" + p.Artifact, Size: p.Size,
			SHA256: p.SHA256, Created: p.Created, Expires: p.Expires, Deleted: when(p.Deleted), Decision: p.Reason.Message,
		}
	}
	return v
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
