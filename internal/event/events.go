// Package event makes every event that Lifeboat publishes, and keeps unsent events in the outbox. Each event has a stable ID, so
// that its reader recognizes a repeat.
package event

import (
	"fmt"
	"path"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/schedule"
	"lifeboat/internal/stop"
)

// point is the newest verified recovery point of a target.
type point struct {
	ID      string    `json:"id,omitempty"`
	Created time.Time `json:"createdDateTime,omitzero"`
	Age     int64     `json:"ageInSeconds"`
	// CopyOnly: Azure can restore nothing from it.
	CopyOnly bool `json:"copyOnly,omitempty"`
}

func pointOf(p *health.Verified, age time.Duration) *point {
	if p == nil {
		return nil
	}
	return &point{p.ID, p.Created.UTC(), int64(age.Seconds()), p.CopyOnly}
}

// unprotected begins the ID of the event about an alarm; the plan and the alarm follow.
const unprotected = "unprotected-"

// TargetLeft makes the event that the alarm about a target is over, since the plan does not have the target any more. It names the
// alarm's event, and has the time at which the plan had the target last.
func TargetLeft(d health.Departed, alarm string) backup.Event {
	var last *point
	if d.Point != nil {
		last = pointOf(d.Point, d.Point.Age(d.At))
	}
	data := encode(struct {
		Target   string `json:"target,omitempty"`
		Plan     string `json:"plan,omitempty"`
		Alarm    string `json:"alarm,omitempty"`
		Verified *point `json:"lastVerified,omitempty"`
	}{d.Target, d.Plan, unprotected + d.Plan + "." + alarm, last})
	return backup.Event{ID: "left-" + d.Plan + "." + alarm, Type: "lifeboat.target.left", Subject: d.Target, Time: d.At, Data: data}
}

// TargetUnprotected makes the event about a target that became unprotected; the alarm is the end of its ID. The event has the time at
// which the target became so, not the time at which Lifeboat found it.
func TargetUnprotected(h health.TargetHealth, alarm string) backup.Event {
	last := pointOf(h.Point, h.Age)
	data := encode(struct {
		Target            string            `json:"target,omitempty"`
		Plan              string            `json:"plan,omitempty"`
		Status            health.Protection `json:"status,omitempty"`
		Since             time.Time         `json:"sinceDateTime,omitzero"`
		Reason            backup.Reason     `json:"reason,omitzero"`
		Verified          *point            `json:"lastVerified,omitempty"`
		Interval          int64             `json:"intervalInSeconds"`
		NextScheduledTime time.Time         `json:"nextScheduledTime,omitzero"`
	}{h.Target, h.Plan, h.Status, h.Deadline.UTC(), h.Reason, last, int64(h.Interval.Seconds()), h.NextScheduledTime.UTC()})
	return backup.Event{
		ID: unprotected + h.Plan + "." + alarm, Type: "lifeboat.target.unprotected", Subject: h.Target,
		Time: h.Deadline, Data: data,
	}
}

// TargetProtected makes the event that the alarm about a target is over, since the target is no longer unprotected. It names the alarm's
// event, and has the time since which the target is so.
func TargetProtected(h health.TargetHealth, alarm string, since time.Time) backup.Event {
	data := encode(struct {
		Target   string            `json:"target,omitempty"`
		Plan     string            `json:"plan,omitempty"`
		Status   health.Protection `json:"status,omitempty"`
		Alarm    string            `json:"alarm,omitempty"`
		Since    time.Time         `json:"sinceDateTime,omitzero"`
		Verified *point            `json:"lastVerified,omitempty"`
	}{h.Target, h.Plan, h.Status, unprotected + h.Plan + "." + alarm, since.UTC(), pointOf(h.Point, h.Age)})
	return backup.Event{ID: "protected-" + h.Plan + "." + alarm, Type: "lifeboat.target.protected", Subject: h.Target, Time: since, Data: data}
}

// runPrefix begins the type of each event about the end of a run. The run's state follows it.
const runPrefix = "lifeboat.run."

// RunEnded makes the event about the end of a run, one for each destination. Its ID is stable, so that its reader recognizes a
// repeat. CopyOnly has the meaning of [backup.Services.CopyOnly].
func RunEnded(r backup.Run, copyOnly bool) []backup.Event {
	var point string
	var state backup.PointState
	if r.State == backup.Succeeded {
		point, state = r.ID, backup.Live
		switch {
		case r.Reason.Code != "":
			state = backup.Suspect
		case copyOnly:
			state = backup.CopyOnly
		}
	}
	data := encode(struct {
		Run           string       `json:"run,omitempty"`
		State         backup.State `json:"state,omitempty"`
		Plan          string       `json:"plan,omitempty"`
		Target        string       `json:"target,omitempty"`
		ScheduledTime time.Time    `json:"scheduledTime,omitzero"`
		Request       string       `json:"request,omitempty"`
		Created       time.Time    `json:"createdDateTime,omitzero"`
		Ended         time.Time    `json:"endedDateTime,omitzero"`
		Point         string       `json:"recoveryPoint,omitempty"`
		// PointState is the state in which the run left the recovery point. Reason says why the point is suspect.
		PointState backup.PointState `json:"recoveryPointState,omitempty"`
		// CopyOnly: Azure can restore nothing from it.
		CopyOnly bool   `json:"copyOnly,omitempty"`
		Changed  change `json:"changedDuringBackup,omitzero"`
		// Failed lists the attempts that Azure has failed for a reason that may pass.
		Failed []failedAttempt `json:"failedAttempts,omitempty"`
		Reason backup.Reason   `json:"reason,omitzero"`
	}{
		r.ID, r.State, r.Plan, r.Target, r.ScheduledTime.UTC(), r.Request, r.Created.UTC(), r.Ended.UTC(), point, state,
		point != "" && copyOnly,
		changeOf(r.Changed),
		failedAttempts(r), r.Reason,
	})
	return backup.Event{
		ID: r.ID + "." + string(r.State), Type: runPrefix + string(r.State), Subject: r.Target, Time: r.Ended, Data: data,
	}.AndTo(r.ReplyTo)
}

// change is a [backup.Change] by the names of events.
type change struct {
	Time      time.Time `json:"dateTime,omitzero"`
	Resource  string    `json:"resource,omitempty"`
	Operation string    `json:"operation,omitempty"`
}

func changeOf(c backup.Change) change { return change{c.Time.UTC(), c.Resource, c.Operation} }

// IsZero tells whether no change is known.
func (c change) IsZero() bool { return c.Time.IsZero() && c.Resource == "" && c.Operation == "" }

// failedAttempt is a [backup.FailedAttempt] without its message: the reason of the run has room for one.
type failedAttempt struct {
	Attempt int       `json:"attempt"`
	Time    time.Time `json:"dateTime,omitzero"`
	Code    string    `json:"code,omitempty"`
}

func failedAttempts(r backup.Run) (all []failedAttempt) {
	for _, f := range r.Failed {
		all = append(all, failedAttempt{f.Attempt, f.Time.UTC(), f.Code})
	}
	return all
}

// These are the types of the events about a restore. The type of the last one is "lifeboat.restore." with the final state.
const (
	restorePrefix    = "lifeboat.restore."
	RestoreAccepted  = restorePrefix + "accepted"
	RestoreWaiting   = restorePrefix + "waiting"
	RestoreStarted   = restorePrefix + "started"
	restoreRefused   = restorePrefix + string(backup.StateRefused)
	restorePreviewed = restorePrefix + "previewed"
)

// RestoreEnded returns the type of the event about the end of a restore.
func RestoreEnded(r backup.Run) string { return restorePrefix + string(r.State) }

// Restore makes the events about the present state of a restore, one for each destination. Their IDs are stable.
func Restore(r backup.Run, kind string, at time.Time) []backup.Event {
	q := r.Restore
	safety := ""
	if !q.SafetyBackedUp.IsZero() {
		safety = r.ID
	}
	data := encode(struct {
		Request     string             `json:"request,omitempty"`
		Run         string             `json:"run,omitempty"`
		State       backup.State       `json:"state,omitempty"`
		Plan        string             `json:"plan,omitempty"`
		Source      string             `json:"source,omitempty"`
		Target      string             `json:"target,omitempty"`
		Point       string             `json:"recoveryPoint,omitempty"`
		Kind        backup.RestoreKind `json:"kind,omitempty"`
		Key         string             `json:"key,omitempty"`
		RequestedBy string             `json:"requestedBy,omitempty"`
		Asked       string             `json:"requestReason,omitempty"`
		Hash        string             `json:"previewHash,omitempty"`
		// Safety is the recovery point of the destination from before the restore; it is held until the restore is confirmed.
		Safety string `json:"safetyBackup,omitempty"`
		// NoSafety: the request wanted none, for Asked.
		NoSafety bool          `json:"noSafetyBackup,omitempty"`
		Created  time.Time     `json:"createdDateTime,omitzero"`
		Ended    time.Time     `json:"endedDateTime,omitzero"`
		Warning  string        `json:"warning,omitempty"`
		Reason   backup.Reason `json:"reason,omitzero"`
	}{
		r.Request, r.ID, r.State, r.Plan, q.Source, r.Target, q.Point, q.Kind, q.Key, q.RequestedBy, q.Reason, q.Preview, safety, q.NoSafety,
		r.Created.UTC(), r.Ended.UTC(), q.Warning, r.Reason,
	})
	return backup.Event{
		ID: r.ID + "." + strings.TrimPrefix(kind, restorePrefix), Type: kind, Subject: r.Target, Time: at, Data: data,
	}.AndTo(q.ReplyTo)
}

// reason makes the reason of a text for people; the zero value of none.
func reason(code, message, hint string) backup.Reason {
	if message == "" {
		return backup.Reason{}
	}
	return backup.Reason{Code: code, Message: message, Hint: hint}
}

// ScheduleMissed makes the event about a missed period. Its ID is stable: it consists of the plan and the first scheduled time.
func ScheduleMissed(m schedule.MissedRuns) backup.Event {
	data := encode(struct {
		Plan   string        `json:"plan,omitempty"`
		First  time.Time     `json:"firstScheduledTime,omitzero"`
		Last   time.Time     `json:"lastScheduledTime,omitzero"`
		Count  int           `json:"count"`
		Reason backup.Reason `json:"reason,omitzero"`
	}{m.Plan, m.First.UTC(), m.Last.UTC(), m.Count, reason("ScheduleMissed", m.Why, "")})
	return backup.Event{
		ID: "missed-" + m.Plan + "." + backup.TimeKey(m.First), Type: "lifeboat.schedule.missed", Time: m.Found, Data: data,
	}
}

// PointAccepted makes the event about the acceptance of a recovery point. Its ID is stable: a point is accepted once at most.
func PointAccepted(p backup.Point) backup.Event {
	data := encode(struct {
		Point    string    `json:"recoveryPoint,omitempty"`
		Plan     string    `json:"plan,omitempty"`
		Target   string    `json:"target,omitempty"`
		Size     int64     `json:"sizeInBytes"`
		CopyOnly bool      `json:"copyOnly,omitempty"`
		Accepted time.Time `json:"acceptedDateTime,omitzero"`
		By       string    `json:"by,omitempty"`
		Asked    string    `json:"requestReason,omitempty"`
	}{p.ID, p.Plan, p.Target, p.Size, p.CopyOnly, p.Accepted.Time.UTC(), p.Accepted.By, p.Accepted.Reason})
	return backup.Event{
		ID: p.ID + ".accepted", Type: "lifeboat.recovery-point.accepted", Subject: p.Target, Time: p.Accepted.Time, Data: data,
	}
}

// PointChanged makes the event that Azure has shown late, after the end of the run, that the resource was changed during the backup. Its ID
// is stable: that is told of a point once at most.
func PointChanged(p backup.Point) backup.Event {
	data := encode(struct {
		Point   string `json:"recoveryPoint,omitempty"`
		Plan    string `json:"plan,omitempty"`
		Target  string `json:"target,omitempty"`
		Changed change `json:"changedDuringBackup,omitzero"`
	}{p.ID, p.Plan, p.Target, changeOf(p.Changed)})
	return backup.Event{ID: p.ID + ".changed", Type: "lifeboat.recovery-point.changed", Subject: p.Target, Time: p.Changed.Found, Data: data}
}

// PointHeld makes the event about a hold of a recovery point by a person. Its ID is stable: a request holds once at most.
func PointHeld(p backup.Point, h backup.PersonHold) backup.Event {
	data := encode(struct {
		Point  string    `json:"recoveryPoint,omitempty"`
		Plan   string    `json:"plan,omitempty"`
		Target string    `json:"target,omitempty"`
		Hold   string    `json:"hold,omitempty"`
		Since  time.Time `json:"sinceDateTime,omitzero"`
		Until  time.Time `json:"untilDateTime,omitzero"`
		By     string    `json:"by,omitempty"`
		Asked  string    `json:"requestReason,omitempty"`
	}{p.ID, p.Plan, p.Target, h.ID, h.Since.UTC(), h.Until.UTC(), h.By, h.Reason})
	return backup.Event{ID: p.ID + ".held." + h.ID, Type: "lifeboat.recovery-point.held", Subject: p.Target, Time: h.Since, Data: data}
}

// PointReleased makes the event about the end of a hold by a person. Its ID is stable: a hold is released once at most.
func PointReleased(p backup.Point, h backup.PersonHold, r backup.HoldRelease) backup.Event {
	data := encode(struct {
		Point    string    `json:"recoveryPoint,omitempty"`
		Plan     string    `json:"plan,omitempty"`
		Target   string    `json:"target,omitempty"`
		Hold     string    `json:"hold,omitempty"`
		Since    time.Time `json:"sinceDateTime,omitzero"`
		Released time.Time `json:"releasedDateTime,omitzero"`
		By       string    `json:"by,omitempty"`
	}{p.ID, p.Plan, p.Target, h.ID, h.Since.UTC(), r.Time.UTC(), r.By})
	return backup.Event{ID: p.ID + ".released." + h.ID, Type: "lifeboat.recovery-point.released", Subject: p.Target, Time: r.Time, Data: data}
}

// PointSoftDeleted makes the event about a recovery point that a person deletes. Its ID is stable: a request deletes once at most.
func PointSoftDeleted(p backup.Point) backup.Event {
	d := p.SoftDeletion
	data := encode(struct {
		Point  string    `json:"recoveryPoint,omitempty"`
		Plan   string    `json:"plan,omitempty"`
		Target string    `json:"target,omitempty"`
		Since  time.Time `json:"sinceDateTime,omitzero"`
		Until  time.Time `json:"untilDateTime,omitzero"`
		By     string    `json:"by,omitempty"`
		Asked  string    `json:"requestReason,omitempty"`
	}{p.ID, p.Plan, p.Target, d.Since.UTC(), d.Until.UTC(), d.By, d.Reason})
	return backup.Event{
		ID: p.ID + ".softdeleted." + d.ID, Type: "lifeboat.recovery-point.softdeleted", Subject: p.Target, Time: d.Since, Data: data,
	}
}

// PointRecovered makes the event that a person has undone the soft deletion of a recovery point, and holds it. Its ID is stable: a request
// undoes once at most.
func PointRecovered(p backup.Point, h backup.PersonHold, was backup.SoftDeletion, at time.Time) backup.Event {
	data := encode(struct {
		Point     string    `json:"recoveryPoint,omitempty"`
		Plan      string    `json:"plan,omitempty"`
		Target    string    `json:"target,omitempty"`
		Since     time.Time `json:"sinceDateTime,omitzero"`
		Recovered time.Time `json:"recoveredDateTime,omitzero"`
		By        string    `json:"by,omitempty"`
		Asked     string    `json:"requestReason,omitempty"`
	}{p.ID, p.Plan, p.Target, was.Since.UTC(), at.UTC(), h.By, h.Reason})
	return backup.Event{ID: p.ID + ".recovered." + h.ID, Type: "lifeboat.recovery-point.recovered", Subject: p.Target, Time: at, Data: data}
}

// These are the types of the events about a recovery point that is past its time: it could not be deleted, it is altered, or it is
// deleted after one of these. Where storage turns out to keep it for a time, the first of them is taken back.
const (
	PointUndeleted = "lifeboat.recovery-point.undeleted"
	PointAltered   = "lifeboat.recovery-point.altered"
	pointKept      = "lifeboat.recovery-point.kept"
	pointDeleted   = "lifeboat.recovery-point.deleted"
)

// PointNotDeleted makes the event about a recovery point that could not be deleted; kind is PointUndeleted or PointAltered. Its ID
// is stable, so that one event tells of all tries.
func PointNotDeleted(p backup.Point, kind string, why backup.Reason, at time.Time) backup.Event {
	data := backup.Encode(struct {
		Point    string            `json:"recoveryPoint,omitempty"`
		State    backup.PointState `json:"state,omitempty"`
		Plan     string            `json:"plan,omitempty"`
		Target   string            `json:"target,omitempty"`
		Account  string            `json:"account,omitempty"`
		Artifact string            `json:"artifact,omitempty"`
		Expires  time.Time         `json:"expiresDateTime,omitzero"`
		Reason   backup.Reason     `json:"reason,omitzero"`
	}{p.ID, p.Called(), p.Plan, p.Target, p.Storage.AccountName(), p.Storage.Container + "/" + p.Artifact, p.Expires.UTC(), why})
	return backup.Event{ID: idOf(p, kind), Type: kind, Subject: p.Target, Time: at, Data: data}
}

// PointKept makes the event that storage says until when it keeps a recovery point that [PointNotDeleted] told of; why has that time.
func PointKept(p backup.Point, why backup.Reason, at time.Time) backup.Event {
	data := backup.Encode(struct {
		Point  string        `json:"recoveryPoint,omitempty"`
		Plan   string        `json:"plan,omitempty"`
		Target string        `json:"target,omitempty"`
		Reason backup.Reason `json:"reason,omitzero"`
	}{p.ID, p.Plan, p.Target, why})
	return backup.Event{ID: idOf(p, pointKept), Type: pointKept, Subject: p.Target, Time: at, Data: data}
}

// idOf returns the ID of an event about the deletion of the point. An event that is told again, after it was taken back, has another one.
func idOf(p backup.Point, kind string) string {
	if n := p.Undeleted.TakenBack; n > 0 {
		return fmt.Sprintf("%s%s.%d", p.ID, path.Ext(kind), n)
	}
	return p.ID + path.Ext(kind)
}

// PointDeleted makes the event about a recovery point that is deleted after an event of [PointNotDeleted].
func PointDeleted(p backup.Point) backup.Event {
	data := backup.Encode(struct {
		Point   string    `json:"recoveryPoint,omitempty"`
		Plan    string    `json:"plan,omitempty"`
		Target  string    `json:"target,omitempty"`
		Deleted time.Time `json:"deletedDateTime,omitzero"`
	}{p.ID, p.Plan, p.Target, p.Deleted.UTC()})
	return backup.Event{ID: p.ID + path.Ext(pointDeleted), Type: pointDeleted, Subject: p.Target, Time: p.Deleted, Data: data}
}

// incomplete begins the ID of the event about artifacts that the catalog does not know; the alarm follows.
const incomplete = "incomplete-"

// CatalogIncomplete makes the event that storage holds artifacts of a target that the catalog does not know.
func CatalogIncomplete(i health.Incomplete) backup.Event {
	data := backup.Encode(struct {
		Target    string        `json:"target,omitempty"`
		Plan      string        `json:"plan,omitempty"`
		Account   string        `json:"account,omitempty"`
		Container string        `json:"container,omitempty"`
		Artifacts int           `json:"artifacts"`
		Manifests int           `json:"manifests"`
		First     string        `json:"first,omitempty"`
		Reason    backup.Reason `json:"reason,omitzero"`
	}{i.Target, i.Plan, i.Storage.AccountName(), i.Storage.Container, i.Artifacts, i.Manifests, i.First, i.Reason()})
	return backup.Event{ID: incomplete + i.Alarm, Type: "lifeboat.catalog.incomplete", Subject: i.Target, Time: i.Found, Data: data}
}

// CatalogComplete makes the event that storage holds no such artifacts any more. It names the event of the alarm.
func CatalogComplete(i health.Incomplete, at time.Time) backup.Event {
	data := backup.Encode(struct {
		Target string `json:"target,omitempty"`
		Plan   string `json:"plan,omitempty"`
		Alarm  string `json:"alarm,omitempty"`
	}{i.Target, i.Plan, incomplete + i.Alarm})
	return backup.Event{ID: "complete-" + i.Alarm, Type: "lifeboat.catalog.complete", Subject: i.Target, Time: at, Data: data}
}

// CustodyChanged makes the event that the proof about a target has another status, by the plan, from now on.
func CustodyChanged(target, plan string, p backup.Proof, now time.Time) backup.Event {
	data := encode(struct {
		Target  string             `json:"target,omitempty"`
		Plan    string             `json:"plan,omitempty"`
		Status  backup.ProofStatus `json:"status,omitempty"`
		Reason  backup.Reason      `json:"reason,omitzero"`
		Holders int                `json:"holders"`
		Quorum  int                `json:"quorum,omitempty"`
		Of      int                `json:"of,omitempty"`
		Proven  time.Time          `json:"provenDateTime,omitzero"`
		Until   time.Time          `json:"untilDateTime,omitzero"`
	}{target, plan, p.Status, p.Reason, p.Holders, p.Quorum, p.Of, p.Proven.UTC(), p.Until.UTC()})
	return backup.Event{
		ID:   "custody-" + backup.Partition(target) + "." + string(p.Status) + "." + backup.TimeKey(now),
		Type: "lifeboat.custody.changed", Subject: target, Time: now, Data: data,
	}
}

// PlanTurn is a text of plan.yaml that is refused, or is accepted after the text before it was refused.
type PlanTurn struct {
	// Hash is the hash of the text. Refused tells whether the text is refused.
	Hash    string
	Refused bool
	// Reason says why the text is refused; "" if it is not.
	Reason string
	// LastGood and ActiveSince are times at which Lifeboat found a text: the one that was active before, and the present one.
	LastGood, ActiveSince time.Time
	Found                 time.Time
}

// PlanTurned makes the event about the text. Its ID comes from the text and from the time of the last good text: the same broken
// text is published again only if a good one came in between.
func PlanTurned(t PlanTurn) backup.Event {
	kind := "accepted"
	if t.Refused {
		kind = "refused"
	}
	return backup.Event{
		ID:   "plan-" + backup.Digest(t.Hash+"\n"+t.LastGood.UTC().Format(time.RFC3339), 16) + "." + kind,
		Type: "lifeboat.plan." + kind, Time: t.Found,
		Data: encode(struct {
			Reason      backup.Reason `json:"reason,omitzero"`
			ActiveSince time.Time     `json:"activeSinceDateTime,omitzero"`
		}{reason("PlanRefused", t.Reason, "Mend plan.yaml; lifeboat plan check says what is wrong."), t.ActiveSince.UTC()}),
	}
}

// PlanEdit is a text of plan.yaml that is active in place of another one.
type PlanEdit struct {
	// Old and New are the hashes of the texts. OldSince is the time at which Lifeboat found the old one.
	Old, New        string
	OldSince, Found time.Time
	// Changes are the lines of plan diff, and Attention says which kinds of changes a person should look at.
	Changes, Attention []string
}

// PlanChanged makes the event about the edit. Its ID comes from both texts, and from the time of the old one: the same edit at another
// time is another event. It leaves lines out that do not fit, the lines without a mark first.
func PlanChanged(e PlanEdit) backup.Event {
	changes := fitting(e.Changes)
	return backup.Event{
		ID:   "plan-" + backup.Digest(strings.Join([]string{e.Old, e.New, e.OldSince.UTC().Format(time.RFC3339)}, "\n"), 16) + ".changed",
		Type: "lifeboat.plan.changed", Time: e.Found,
		Data: encode(struct {
			Changes   []string `json:"changes,omitempty"`
			Omitted   int      `json:"omitted,omitempty"`
			Attention []string `json:"attention,omitempty"`
			Old       string   `json:"oldHash,omitempty"`
			New       string   `json:"newHash,omitempty"`
		}{changes, len(e.Changes) - len(changes), e.Attention, e.Old, e.New}),
	}
}

// Checked makes the event about the check of a new text of plan.yaml. It has the first findings.
func Checked(r check.Report) backup.Event {
	type finding struct {
		Result check.Result  `json:"result"`
		What   string        `json:"what"`
		Target string        `json:"target,omitempty"`
		Reason backup.Reason `json:"reason"`
	}
	var first []finding
	for _, f := range r.Findings[:min(mostFindings, len(r.Findings))] {
		first = append(first, finding{f.Result, f.What, f.Target, f.Reason})
	}
	return backup.Event{
		ID:   "plan-" + backup.Digest(strings.Join([]string{r.Plans, backup.TimeKey(r.Began)}, "\n"), 16) + ".checked",
		Type: "lifeboat.plan.checked", Time: r.Ended,
		Data: encode(struct {
			Hash     string    `json:"newHash,omitempty"`
			Findings []finding `json:"findings,omitempty"`
			Omitted  int       `json:"omitted,omitempty"`
		}{r.Plans, first, r.Omitted + len(r.Findings) - len(first)}),
	}
}

// mostFindings is the number of findings in an event.
const mostFindings = 8

// DeadLetter is a message that was put among the dead letters.
type DeadLetter struct {
	Queue  string
	Reason backup.Reason
	// Bytes is the length of the message, and Row is the place where it is kept.
	Bytes int
	Row   backup.Key
	Time  time.Time
}

// DeadLettered makes the event about the message. Its ID comes from the row.
func DeadLettered(l DeadLetter) backup.Event {
	return backup.Event{
		ID: "deadletter-" + l.Row.Row, Type: "lifeboat.message.deadlettered", Time: l.Time,
		Data: encode(struct {
			Queue  string        `json:"queue,omitempty"`
			Row    string        `json:"row,omitempty"`
			Bytes  int           `json:"bytes"`
			Reason backup.Reason `json:"reason,omitzero"`
		}{l.Queue, l.Row.Row, l.Bytes, l.Reason}),
	}
}

// ClockJumped makes the event about the clocks of the storage account and of this process when they are too far apart. It has one
// ID an hour.
func ClockJumped(storage, process time.Time) backup.Event {
	return backup.Event{
		ID: "clock-" + storage.UTC().Format("2006010215"), Type: "lifeboat.clock.jumped", Time: storage,
		Data: encode(struct {
			Storage time.Time `json:"storageDateTime,omitzero"`
			Process time.Time `json:"processDateTime,omitzero"`
		}{storage.UTC().Truncate(time.Second), process.UTC().Truncate(time.Second)}),
	}
}

// AppTurn is the coming of an app that found another owner of the catalog.
type AppTurn struct {
	App, Owner string
	// Since is the time since when the owner owns the catalog, and Seen the time at which the app was seen first.
	Since, Seen time.Time
}

// AppRefused makes the event about an app that does nothing, because another one owns the catalog. Its ID is the same
// for all instances of the app, and another one when the app comes back.
func AppRefused(t AppTurn) backup.Event {
	return backup.Event{
		ID: "app-" + backup.Digest(strings.Join([]string{t.Owner, backup.TimeKey(t.Since), t.App, backup.TimeKey(t.Seen)}, "\n"), 16) +
			".refused",
		Type: "lifeboat.app.refused", Time: t.Seen,
		Data: backup.Encode(struct {
			App   string    `json:"app,omitempty"`
			Owner string    `json:"owner,omitempty"`
			Since time.Time `json:"ownerSinceDateTime,omitzero"`
		}{t.App, t.Owner, t.Since.UTC()}),
	}
}

// AppReplaced makes the event about a takeover of the catalog.
func AppReplaced(app, from, by string, at time.Time) backup.Event {
	return backup.Event{
		ID:   "app-" + backup.Digest(strings.Join([]string{from, app, backup.TimeKey(at)}, "\n"), 16) + ".replaced",
		Type: "lifeboat.app.replaced", Time: at,
		Data: backup.Encode(struct {
			App      string `json:"app,omitempty"`
			Replaced string `json:"replaced,omitempty"`
			By       string `json:"by,omitempty"`
		}{app, from, by}),
	}
}

// Stop makes the event that the app was stopped, or goes on. Its ID comes from the request.
func Stop(s stop.Switch, app string, at time.Time) backup.Event {
	id, by, kind := s.Request, s.By, "stopped"
	if !s.On() {
		id, by, kind = s.ResumeRequest, s.ResumedBy, "resumed"
	}
	return backup.Event{
		ID: "app-" + backup.Digest(strings.Join([]string{app, backup.TimeKey(s.Since), id}, "\n"), 16) + "." + kind, Type: "lifeboat." + kind, Time: at,
		Data: encode(struct {
			App     string    `json:"app,omitempty"`
			Since   time.Time `json:"stoppedSinceDateTime,omitzero"`
			Asked   string    `json:"requestReason,omitempty"`
			Backups bool      `json:"backups"`
			By      string    `json:"by,omitempty"`
		}{app, s.Since.UTC(), s.Reason, s.Backups, by}),
	}
}

// RestorePreviewed makes the answer to a request for a dry run. If the same request is sent again and has another outcome, that
// is another event, with another ID: a reader that drops repeats must not drop it.
func RestorePreviewed(q restore.Request, p restore.Preview) []backup.Event {
	said := []string{q.ID, p.Hash}
	for _, g := range p.Guards {
		said = append(said, g.Name, string(g.Outcome))
		if g.Reason != nil {
			said = append(said, g.Reason.Code)
		}
	}
	shown := p
	if shown.Made = p.Made.UTC(); p.Point != nil {
		point := *p.Point
		point.Written = point.Written.UTC()
		shown.Point = &point
	}
	return backup.Event{
		ID: "restore-preview-" + backup.Digest(strings.Join(said, "\n"), 32), Type: restorePreviewed, Subject: p.Destination, Time: p.Made,
		Data: encode(struct {
			Request string          `json:"request,omitempty"`
			Preview restore.Preview `json:"preview"`
			Reason  *backup.Reason  `json:"reason,omitempty"`
		}{q.ID, shown, p.Refusal()}),
	}.AndTo(p.ReplyTo(q))
}

// RequestRefused makes the answer to a message that becomes no run. The answer goes also to the queue replyTo, unless that is "".
// The event repeats only the checked parts of an invalid request: the rest may be anything, of any length.
func RequestRefused(message []byte, q restore.Request, why backup.Reason, replyTo string, at time.Time) []backup.Event {
	e := backup.Event{
		ID: "restore-request-" + backup.Digest(string(message), 32) + ".refused", Type: restoreRefused, Time: at,
	}
	said := struct {
		Request     string        `json:"request,omitempty"`
		Source      string        `json:"source,omitempty"`
		Target      string        `json:"target,omitempty"`
		RequestedBy string        `json:"requestedBy,omitempty"`
		Asked       string        `json:"requestReason,omitempty"`
		Reason      backup.Reason `json:"reason,omitzero"`
	}{Request: q.ID, Reason: why}
	if why.Code != request.InvalidRequest {
		said.Source, said.Target, said.RequestedBy, said.Asked = q.Target, q.Destination(), q.RequestedBy, q.Reason
		e.Subject = q.Destination()
	}
	e.Data = encode(said)
	return e.AndTo(replyTo)
}
