package event

import (
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// DeletionsWait makes the event about recovery points of a target that are past their time, and stay for now, since only so many of a target
// are deleted in a day. It is the n-th such event of the target, and that makes its ID.
func DeletionsWait(target string, w retention.Waiting, n int, at time.Time) backup.Event {
	data := encode(struct {
		Target string    `json:"target,omitempty"`
		Count  int       `json:"count"`
		Limit  int       `json:"deletionsPerDay"`
		Until  time.Time `json:"untilDateTime,omitzero"`
		// Points are as many of them as fit, from the first to go on.
		Points []string `json:"recoveryPoints,omitempty"`
	}{target, len(w.Points), w.Limit, w.Until.UTC(), named(w.Points)})
	id := fmt.Sprintf("%s.deletionswait.%d", backup.Partition(target), n)
	return backup.Event{ID: id, Type: "lifeboat.target.deletionswait", Subject: target, Time: at, Data: data}
}

// mostPoints is the greatest number of recovery points that an event names, of 45 bytes each: some 18 KiB.
const mostPoints = 400

// named lists the IDs of the first points, as many as fit.
func named(points []backup.Point) (ids []string) {
	for _, p := range points[:min(len(points), mostPoints)] {
		ids = append(ids, p.ID)
	}
	return ids
}

// ManyExpire makes the event that an edit of a plan lets these recovery points expire, more than half of the ones that are there. The run
// is the first one by the edited plan, and makes its ID.
func ManyExpire(r backup.Run, points []backup.Point, there int, at time.Time) backup.Event {
	data := encode(struct {
		Target string `json:"target,omitempty"`
		Plan   string `json:"plan,omitempty"`
		Count  int    `json:"count"`
		Of     int    `json:"of"`
		// Points are as many of them as fit, the newest first.
		Points []string `json:"recoveryPoints,omitempty"`
	}{r.Target, r.Plan, len(points), there, named(points)})
	return backup.Event{ID: "manyexpire-" + r.ID, Type: "lifeboat.target.manyexpire", Subject: r.Target, Time: at, Data: data}
}

// TargetForgotten makes the event that a person has soft-deleted the recovery points of a target. The request makes its ID.
func TargetForgotten(target string, d backup.SoftDeletion, deleted, stay int, at time.Time) backup.Event {
	data := encode(struct {
		Target string `json:"target,omitempty"`
		Count  int    `json:"count"`
		Stay   int    `json:"stay"`
		By     string `json:"by,omitempty"`
		Asked  string `json:"requestReason,omitempty"`
	}{target, deleted, stay, d.By, d.Reason})
	id := fmt.Sprintf("%s.forgotten.%s", backup.Partition(target), d.ID)
	return backup.Event{ID: id, Type: "lifeboat.target.forgotten", Subject: target, Time: at, Data: data}
}
