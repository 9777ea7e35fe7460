package event

import (
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// These are the types of the answers to a request for backups. The end of each backup has the event of its run.
const (
	backupAccepted = "lifeboat.backup.accepted"
	backupRefused  = "lifeboat.backup.refused"
)

// BackupAnswer is the outcome of a request for backups.
type BackupAnswer struct {
	Request request.Backup
	// Batch is the ID of the batch, Plan the name of the plan, Runs are the IDs of the runs; empty after a refusal.
	Batch, Plan string
	Runs        []string
	// Refused says why there are none, nil if there are.
	Refused *backup.Reason
	Time    time.Time
	// Message is the message of a request that cannot be read, or whose ID stands for another; nil for others.
	Message []byte
}

// mostNamed is the largest number of runs that an answer names: an event must fit into one column of its outbox, which has room for
// 32 Ki characters (Azure's documentation of the table service's data model). The batch finds the runs of a larger one.
const mostNamed = 500

// BackupAnswered makes the answer to a request for backups, one for each destination; replyTo is "" for none. Its ID is stable. It
// repeats only the checked parts of an invalid request: the rest may be anything, of any length.
func BackupAnswered(a BackupAnswer, replyTo string) []backup.Event {
	q := a.Request
	said := struct {
		Request     string         `json:"request,omitempty"`
		Plan        string         `json:"plan,omitempty"`
		Target      string         `json:"target,omitempty"`
		Batch       string         `json:"batch,omitempty"`
		Runs        []string       `json:"runs,omitempty"`
		RequestedBy string         `json:"requestedBy,omitempty"`
		Asked       string         `json:"requestReason,omitempty"`
		Reason      *backup.Reason `json:"reason,omitempty"`
	}{Request: q.ID, Reason: a.Refused}
	e := backup.Event{Type: backupAccepted, Time: a.Time, ID: "backup-request-" + backup.Digest(q.ID, 32) + ".accepted"}
	if a.Refused != nil {
		e.Type, e.ID = backupRefused, "backup-request-"+backup.Digest(q.ID, 32)+".refused"
	}
	if a.Message != nil {
		e.ID = "backup-request-" + backup.Digest("message\n"+string(a.Message), 32) + ".refused"
	}
	if a.Refused == nil || a.Refused.Code != request.InvalidRequest {
		said.Plan, said.Target, said.RequestedBy, said.Asked = q.Plan, q.Target, q.RequestedBy, q.Reason
		e.Subject = q.Target
	}
	if a.Refused == nil {
		said.Plan, said.Batch = a.Plan, a.Batch
		if len(a.Runs) <= mostNamed {
			said.Runs = a.Runs
		}
	}
	e.Data = encode(said)
	return e.AndTo(replyTo)
}
