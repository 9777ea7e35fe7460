package handler

import (
	"cmp"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// statuses are Azure's words for our states.
var statuses = map[backup.State]string{
	backup.Queued: "NotStarted", backup.Waiting: "NotStarted",
	backup.Starting: "Running", backup.Running: "Running", backup.Verifying: "Running",
	backup.Succeeded: "Succeeded",
	backup.Failed:    "Failed", backup.Superseded: "Failed", backup.Missed: "Failed", backup.StateRefused: "Failed",
	backup.Unknown: "Failed", backup.Canceled: "Canceled",
}

func (h *handler) view(s engine.Status) api.Run {
	r := s.Run
	v := api.Run{
		ID: r.ID, Status: statuses[r.State], State: r.State, Kind: "backup", Plan: r.Plan, Target: r.Target, ScheduledTime: r.ScheduledTime,
		Request: r.Request, Created: r.Created, LastUpdated: r.Updated, Ended: r.Ended, Attempts: r.Attempt, Polls: r.Polls, Looked: r.Looked,
	}
	if !r.State.Final() {
		v.RetryAt = r.RetryAt
	}
	for _, f := range r.Failed {
		v.Failed = append(v.Failed, api.FailedAttempt{Attempt: f.Attempt, Ended: f.Time, Error: api.Problem{Code: f.Code, Message: f.Message}})
	}
	if q := r.Restore; q != nil {
		v.Kind = "restore"
		v.Restore = &api.Restore{
			Point: q.Point, Source: q.Source, Kind: q.Kind, Key: q.Key, Region: q.Region, Expires: q.Expires,
			RequestedBy: q.RequestedBy, Reason: q.Reason, PreviewHash: q.Preview, Safety: q.Safety, NoSafety: q.NoSafety, Preempt: q.Preempt, CanceledBy: q.CanceledBy,
			Warning: q.Warning,
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
		point := h.viewPoint(*p)
		v.Point = &point
	}
	return v
}

func (h *handler) viewPoint(p backup.Point) api.Point {
	var holds []api.Hold
	for _, hold := range p.HeldBy(h.Now()) {
		holds = append(holds, api.Hold{ID: hold.ID, Since: hold.Since, By: hold.By, Reason: hold.Reason, Until: hold.Until})
	}
	var soft *api.SoftDeletion
	if d := p.SoftDeletion; p.IsSoftDeleted() {
		soft = &api.SoftDeletion{Since: d.Since, Until: d.Until, Reason: d.Reason, By: d.By}
	}
	var kept *api.Kept
	if k := p.KeptByStorage; !k.Again.IsZero() {
		kept = &api.Kept{Until: k.Until, Again: k.Again, Reason: viewReason(k.Reason, p.Target)}
	}
	var changed *api.Change
	if c := p.Changed; !c.Time.IsZero() {
		changed = &api.Change{Time: c.Time, Resource: c.Resource, Operation: c.Operation}
	}
	var share *api.FileShare
	if service, _ := h.Engine.Services.Of(p.Target); service.Shares {
		share = &api.FileShare{Account: p.Storage.Account, Zone: p.Storage.Zone, Name: p.Artifact}
	}
	return api.Point{
		State: p.Called(), CopyOnly: p.CopyOnly, Account: p.Storage.AccountName(), Blob: p.Storage.Container + "/" + p.Artifact, Share: share, Size: p.Size,
		SHA256: p.SHA256, SKU: p.SKU, Created: p.Created, Expires: p.Expires, Deleted: p.Deleted, Decision: p.Reason.Message,
		Evidence: p.Evidence(), Restored: p.Restored, Note: p.Note,
		Facts: p.Facts, Changed: changed,
		Suspicion: viewReason(p.Suspicion, p.Target), Accepted: p.Accepted.Time, AcceptedBy: p.Accepted.By,
		AcceptReason: p.Accepted.Reason, Safety: p.Safety, Held: p.Held.Until, Holds: holds,
		Kept: kept, SoftDelete: int64(p.SoftDelete.Seconds()), SoftDeletion: soft,
	}
}

// viewEnd is the error of a run that did not succeed. It always has a code and a message: without them JavaScript's pollers
// report the failure without a text.
func viewEnd(r backup.Run) *api.Problem {
	e := viewReason(r.Reason, r.Target)
	if e == nil {
		e = &api.Problem{Code: "NoReason", Message: r.Reason.Message, Target: r.Target}
	}
	e.Message = cmp.Or(e.Message, "the run ended "+string(r.State))
	return e
}

// viewReason returns nil if there is no reason.
func viewReason(r backup.Reason, target string) *api.Problem {
	if r.Code == "" {
		return nil
	}
	return &api.Problem{Code: r.Code, Message: r.Message, Target: target, Details: details(r)}
}

// details returns the details of a reason: the hint, Azure's own words, and the ID of the request that Azure answered so.
func details(r backup.Reason) (all []api.Problem) {
	for _, d := range []api.Problem{{Code: "Hint", Message: r.Hint}, {Code: "Said", Message: r.Said}, {Code: "RequestId", Message: r.RequestID}} {
		if d.Message != "" {
			all = append(all, d)
		}
	}
	return all
}
