// Package event makes every event that others are told, and keeps those that are still to be sent in the outbox. Each has a
// stable ID: one that is told twice is known as the same.
package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/restore"
	"lifeboat/internal/schedule"
)

// body is an event's data, which consists of texts, numbers and times alone.
func body(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("an event that cannot be written: %v", err))
	}
	return data
}

// TargetUnprotected is the event about a target that turned so. Its time is when that was, not when it was found.
func TargetUnprotected(h health.TargetHealth) backup.Event {
	type point struct {
		ID      string    `json:"id"`
		Created time.Time `json:"created"`
		Age     int64     `json:"ageInSeconds"`
		// CopyOnly: Azure can restore nothing from it.
		CopyOnly bool `json:"copyOnly,omitempty"`
	}
	var last *point
	if p := h.Point; p != nil {
		last = &point{p.ID, p.Created, int64(h.Age.Seconds()), p.CopyOnly()}
	}
	data := body(struct {
		Target   string            `json:"target"`
		Plan     string            `json:"plan"`
		Status   health.Protection `json:"status"`
		Since    time.Time         `json:"since"`
		Reason   backup.Reason     `json:"reason"`
		Verified *point            `json:"lastVerified,omitempty"`
		Interval int64             `json:"intervalInSeconds"`
		NextSlot time.Time         `json:"nextSlot,omitzero"`
	}{h.Target, h.Plan, h.Status, h.Deadline, h.Reason, last, int64(h.Interval.Seconds()), h.NextSlot})
	return backup.Event{
		ID: "unprotected-" + h.Plan + "." + h.AlertKey(), Type: "lifeboat.target.unprotected", Subject: h.Target,
		Time: h.Deadline, Data: data,
	}
}

// runPrefix is that of the types of events about the end of a run, which go on with its state.
const runPrefix = "lifeboat.run."

// RunEnded is the event about the end of a run. Its ID is stable, so that one sent twice is known as the same. CopyOnly as in
// [backup.Services.CopyOnly].
func RunEnded(r backup.Run, copyOnly bool) backup.Event {
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
	data := body(struct {
		Run     string       `json:"run"`
		State   backup.State `json:"state"`
		Plan    string       `json:"plan"`
		Target  string       `json:"target"`
		Slot    time.Time    `json:"slot,omitzero"`
		Request string       `json:"request,omitempty"`
		Created time.Time    `json:"created"`
		Ended   time.Time    `json:"ended"`
		Point   string       `json:"recoveryPoint,omitempty"`
		// PointState is that of the recovery point as the run left it. Reason says why it is suspect.
		PointState backup.PointState `json:"recoveryPointState,omitempty"`
		// CopyOnly: Azure can restore nothing from it.
		CopyOnly bool          `json:"copyOnly,omitempty"`
		Reason   backup.Reason `json:"reason,omitzero"`
	}{
		r.ID, r.State, r.Plan, r.Target, r.Slot, r.Request, r.Created, r.Ended, point, state, point != "" && copyOnly,
		r.Reason,
	})
	return backup.Event{
		ID: r.ID + "." + string(r.State), Type: runPrefix + string(r.State), Subject: r.Target, Time: r.Ended, Data: data,
	}
}

// The events of a restore before its end, whose type is "lifeboat.restore." with the final state.
const (
	restorePrefix   = "lifeboat.restore."
	RestoreAccepted = restorePrefix + "accepted"
	RestoreWaiting  = restorePrefix + "waiting"
	RestoreStarted  = restorePrefix + "started"
	RestoreRefused  = restorePrefix + string(backup.StateRefused)
	restorePlanned  = restorePrefix + "planned"
)

// RestoreEnded is the type of the event about the end of a restore.
func RestoreEnded(r backup.Run) string { return restorePrefix + string(r.State) }

// Restore are what others are told of the restore as it is, once for each destination. Their IDs are stable.
func Restore(r backup.Run, kind string, at time.Time) []backup.Event {
	q := r.Restore
	safety := ""
	if !q.Secured.IsZero() {
		safety = r.ID
	}
	data := body(struct {
		Request     string             `json:"request"`
		Run         string             `json:"run"`
		State       backup.State       `json:"state"`
		Plan        string             `json:"plan"`
		Source      string             `json:"source"`
		Target      string             `json:"target"`
		Point       string             `json:"recoveryPoint,omitempty"`
		Kind        backup.RestoreKind `json:"kind"`
		Key         string             `json:"key,omitempty"`
		RequestedBy string             `json:"requestedBy,omitempty"`
		Asked       string             `json:"requestReason,omitempty"`
		Hash        string             `json:"planHash"`
		// Safety is the recovery point of the destination as it was before; it is held until the restore is confirmed.
		Safety  string        `json:"safetyBackup,omitempty"`
		Created time.Time     `json:"created"`
		Ended   time.Time     `json:"ended,omitzero"`
		Warning string        `json:"warning,omitempty"`
		Reason  backup.Reason `json:"reason,omitzero"`
	}{
		r.Request, r.ID, r.State, r.Plan, q.Source, r.Target, q.Point, q.Kind, q.Key, q.RequestedBy, q.Reason, q.Plan, safety,
		r.Created, r.Ended, q.Warning, r.Reason,
	})
	return backup.Event{
		ID: r.ID + "." + strings.TrimPrefix(kind, restorePrefix), Type: kind, Subject: r.Target, Time: at, Data: data,
	}.AndTo(q.ReplyTo)
}

// SlotsMissed is the event about a gap. Its ID is stable: the plan and the first slot.
func SlotsMissed(g schedule.Gap) backup.Event {
	data := body(struct {
		Plan  string    `json:"plan"`
		First time.Time `json:"first"`
		Last  time.Time `json:"last"`
		Count int       `json:"count"`
		Why   string    `json:"why"`
	}{g.Plan, g.First, g.Last, g.Count, g.Why})
	return backup.Event{
		ID: "missed-" + g.Plan + "." + backup.TimeKey(g.First), Type: "lifeboat.slots.missed", Time: g.Found, Data: data,
	}
}

// PointAccepted is the event about the acceptance of a recovery point. Its ID is stable: a point is accepted once at the most.
func PointAccepted(p backup.Point) backup.Event {
	data := body(struct {
		Point    string    `json:"recoveryPoint"`
		Plan     string    `json:"plan"`
		Target   string    `json:"target"`
		Size     int64     `json:"sizeInBytes"`
		CopyOnly bool      `json:"copyOnly,omitempty"`
		Accepted time.Time `json:"accepted"`
		By       string    `json:"by"`
		Reason   string    `json:"reason,omitempty"`
	}{p.ID, p.Plan, p.Target, p.Size, p.CopyOnly(), p.Accepted.Time, p.Accepted.By, p.Accepted.Reason})
	return backup.Event{
		ID: p.ID + ".accepted", Type: "lifeboat.recovery-point.accepted", Subject: p.Target, Time: p.Accepted.Time, Data: data,
	}
}

// PlanTurn is a text of plan.yaml that is refused, or that is accepted after another one was refused.
type PlanTurn struct {
	// Hash of the text; Refused says which of the two.
	Hash    string
	Refused bool
	// Reason is why it is refused; "" if it is not.
	Reason string
	// LastGood is when the text that was in force before was found, InForceSince that of the one that is now.
	LastGood, InForceSince time.Time
	Found                  time.Time
}

// PlanTurned is the event about the text. Its ID comes from the text and from when the last good one came: the same broken text
// is told of again only if it was mended in between.
func PlanTurned(t PlanTurn) backup.Event {
	kind := "accepted"
	if t.Refused {
		kind = "refused"
	}
	return backup.Event{
		ID:   "plan-" + backup.Digest(t.Hash+"\n"+t.LastGood.UTC().Format(time.RFC3339), 16) + "." + kind,
		Type: "lifeboat.plan." + kind, Time: t.Found,
		Data: body(struct {
			Reason       string    `json:"reason,omitempty"`
			InForceSince time.Time `json:"inForceSince,omitzero"`
		}{t.Reason, t.InForceSince}),
	}
}

// DeadLetter is a message that was put among the dead letters.
type DeadLetter struct {
	Queue, Reason string
	// Bytes is the length of the message, and Row where it is kept.
	Bytes int
	Row   backup.Key
	Time  time.Time
}

// DeadLettered is the event about the message. Its ID is that of the row.
func DeadLettered(l DeadLetter) backup.Event {
	return backup.Event{
		ID: "deadletter-" + l.Row.Row, Type: "lifeboat.message.deadlettered", Time: l.Time,
		Data: body(map[string]any{"queue": l.Queue, "reason": l.Reason, "bytes": l.Bytes, "row": l.Row.Row}),
	}
}

// ClockJumped is the event about the clock of the storage account and that of this process, which are too far apart. It has
// one ID an hour.
func ClockJumped(storage, process time.Time) backup.Event {
	return backup.Event{
		ID: "clock-" + storage.UTC().Format("2006010215"), Type: "lifeboat.clock.jumped", Time: storage,
		Data: body(map[string]string{
			"storage": storage.UTC().Format(time.RFC3339), "process": process.UTC().Format(time.RFC3339),
		}),
	}
}

// RestorePreviewed is the answer to a request for a dry run. Another outcome is another event, also of a request that is sent
// again: who drops repeats must not drop it.
func RestorePreviewed(q restore.Request, p restore.Preview) []backup.Event {
	said := []string{q.ID, p.Hash}
	for _, g := range p.Guards {
		said = append(said, g.Name, string(g.Outcome))
		if g.Reason != nil {
			said = append(said, g.Reason.Code)
		}
	}
	return backup.Event{
		ID: "restore-plan-" + backup.Digest(strings.Join(said, "\n"), 32), Type: restorePlanned, Subject: p.Destination, Time: p.Made,
		Data: body(struct {
			Request string          `json:"request"`
			Plan    restore.Preview `json:"restore"`
			Reason  *backup.Reason  `json:"reason,omitempty"`
		}{q.ID, p, p.Refusal()}),
	}.AndTo(p.ReplyTo(q))
}

// RequestRefused is the answer to a message that becomes no run, also to the queue replyTo unless that is "". It repeats
// nothing of an invalid one but what was checked: the rest may be anything, of any length.
func RequestRefused(message []byte, q restore.Request, why backup.Reason, replyTo string, at time.Time) []backup.Event {
	e := backup.Event{
		ID: "restore-request-" + backup.Digest(string(message), 32) + ".refused", Type: RestoreRefused, Time: at,
	}
	said := struct {
		Request     string        `json:"request,omitempty"`
		Source      string        `json:"source,omitempty"`
		Target      string        `json:"target,omitempty"`
		RequestedBy string        `json:"requestedBy,omitempty"`
		Asked       string        `json:"requestReason,omitempty"`
		Reason      backup.Reason `json:"reason"`
	}{Request: q.ID, Reason: why}
	if why.Code != restore.InvalidRequest {
		said.Source, said.Target, said.RequestedBy, said.Asked = q.Target, q.Destination(), q.RequestedBy, q.Reason
		e.Subject = q.Destination()
	}
	e.Data = body(said)
	return e.AndTo(replyTo)
}
