package handler

import (
	"cmp"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
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
	// Waiting says why a run under way makes no progress; Error says why a run ended without a recovery point.
	Waiting *apiError `json:"waiting,omitempty"`
	// Restore describes a restore; then the recovery point is its safety backup.
	Restore *restoreView `json:"restore,omitempty"`
	Error   *apiError    `json:"error,omitempty"`
	Point   *pointView   `json:"recoveryPoint,omitempty"`
	// NotIncluded lists what the recovery point does not contain.
	NotIncluded []string `json:"notIncluded,omitempty"`
}

// restoreView describes a restore: its recovery point, its sender and the reason.
type restoreView struct {
	Point       string             `json:"recoveryPoint"`
	Source      string             `json:"source"`
	Kind        backup.RestoreKind `json:"kind"`
	Key         string             `json:"key,omitempty"`
	Region      string             `json:"restoreRegion,omitempty"`
	Expires     *time.Time         `json:"expires,omitempty"`
	RequestedBy string             `json:"requestedBy,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	PlanHash    string             `json:"planHash"`
	// Safety says that the destination is backed up first.
	Safety  bool   `json:"safetyBackup"`
	Warning string `json:"warning,omitempty"`
}

// pointView is a recovery point within its run.
type pointView struct {
	State backup.PointState `json:"state"`
	// CopyOnly says that Azure can restore nothing from it, in any state.
	CopyOnly bool   `json:"copyOnly,omitempty"`
	Account  string `json:"storageAccount"`
	Blob     string `json:"blob"`
	Size     int64  `json:"sizeInBytes"`
	SHA256   string `json:"sha256"`
	// SKU is the tier of the service at that time, if it is known: the backup can be restored into that tier only.
	SKU      string     `json:"sku,omitempty"`
	Created  time.Time  `json:"createdDateTime"`
	Expires  time.Time  `json:"expiresDateTime"`
	Deleted  *time.Time `json:"deletedDateTime,omitempty"`
	Decision string     `json:"decision,omitempty"`
	// Note says which check of it was not possible, and why.
	Note string `json:"note,omitempty"`
	// Suspicion says why it is suspect, or was until it was accepted.
	Suspicion *apiError `json:"suspicion,omitempty"`
	// Accepted has the time of the acceptance of a suspect point, the request ("invocation …") or the third similar point
	// ("run …") that accepted it, and the reason.
	Accepted     *time.Time `json:"acceptedDateTime,omitempty"`
	AcceptedBy   string     `json:"acceptedBy,omitempty"`
	AcceptReason string     `json:"acceptedReason,omitempty"`
	// Safety says that it is the safety backup of the restore with the same ID. Until Held it stays in any case, unless that
	// restore is confirmed before.
	Safety bool       `json:"safetyBackup,omitempty"`
	Held   *time.Time `json:"heldUntilDateTime,omitempty"`
	// Kept says that it is past its time and can be restored all the same, since storage does not let it be deleted.
	Kept *keptView `json:"keptByStorage,omitempty"`
}

// keptView describes the protection of a point that storage keeps. Until is missing if storage does not say it; Again is the time
// of the next try to delete the point.
type keptView struct {
	Until  *time.Time `json:"untilDateTime,omitempty"`
	Again  time.Time  `json:"nextTryDateTime"`
	Reason *apiError  `json:"error"`
}

// statuses are Azure's words for our states.
var statuses = map[backup.State]string{
	backup.Queued: "NotStarted", backup.Waiting: "NotStarted",
	backup.Starting: "Running", backup.Running: "Running", backup.Verifying: "Running",
	backup.Succeeded: "Succeeded",
	backup.Failed:    "Failed", backup.Superseded: "Failed", backup.Missed: "Failed", backup.StateRefused: "Failed",
	backup.Unknown: "Failed", backup.Canceled: "Canceled",
}

func (h *handler) view(s engine.Status) runView {
	r := s.Run
	v := runView{
		ID: r.ID, Status: statuses[r.State], State: r.State, Kind: "backup", Plan: r.Plan, Target: r.Target, Slot: when(r.Slot),
		Request: r.Request, Created: r.Created, LastUpdated: r.Updated, Ended: when(r.Ended), Attempts: r.Attempt, Polls: r.Polls,
	}
	if q := r.Restore; q != nil {
		v.Kind = "restore"
		v.Restore = &restoreView{
			Point: q.Point, Source: q.Source, Kind: q.Kind, Key: q.Key, Region: q.Region, Expires: when(q.Expires),
			RequestedBy: q.RequestedBy, Reason: q.Reason, PlanHash: q.Plan, Safety: q.Safety, Warning: q.Warning,
		}
	}
	switch {
	case !r.State.Final():
		v.Waiting = viewReason(r.Reason, r.Target)
	case r.State != backup.Succeeded: // else the recovery point says why it is suspect
		v.Error = viewEnd(r)
	}
	if p := s.Point; p != nil {
		v.NotIncluded = h.notIncluded(r.Target)
		point := viewPoint(*p)
		v.Point = &point
	}
	return v
}

func viewPoint(p backup.Point) pointView {
	var kept *keptView
	if k := p.KeptByStorage; !k.Again.IsZero() {
		kept = &keptView{Until: when(k.Until), Again: k.Again, Reason: viewReason(k.Reason, p.Target)}
	}
	return pointView{
		State: p.Called(), CopyOnly: p.CopyOnly, Account: p.Storage.AccountName(), Blob: p.Storage.Container + "/" + p.Artifact, Size: p.Size,
		SHA256: p.SHA256, SKU: p.SKU, Created: p.Created, Expires: p.Expires, Deleted: when(p.Deleted), Decision: p.Reason.Message,
		Note:      p.Note,
		Suspicion: viewReason(p.Suspicion, p.Target), Accepted: when(p.Accepted.Time), AcceptedBy: p.Accepted.By,
		AcceptReason: p.Accepted.Reason, Safety: p.Safety, Held: when(p.Held.Until),
		Kept: kept,
	}
}

// viewEnd is the error of a run that did not succeed. It always has a code and a message: without them JavaScript's pollers
// report the failure without a text.
func viewEnd(r backup.Run) *apiError {
	e := viewReason(r.Reason, r.Target)
	if e == nil {
		e = &apiError{Code: "NoReason", Message: r.Reason.Message, Target: r.Target}
	}
	e.Message = cmp.Or(e.Message, "the run ended "+string(r.State))
	return e
}

// viewReason returns nil if there is no reason.
func viewReason(r backup.Reason, target string) *apiError {
	if r.Code == "" {
		return nil
	}
	return &apiError{Code: r.Code, Message: r.Message, Target: target, Details: details(r)}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// details returns the details of a reason: the hint, Azure's own words, and the ID of the request that Azure answered so.
func details(r backup.Reason) (all []apiError) {
	for _, d := range []apiError{{Code: "Hint", Message: r.Hint}, {Code: "Said", Message: r.Said}, {Code: "RequestId", Message: r.RequestID}} {
		if d.Message != "" {
			all = append(all, d)
		}
	}
	return all
}
