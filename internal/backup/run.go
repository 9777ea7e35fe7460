package backup

import (
	"fmt"
	"strings"
	"time"
)

// Run is one backup of one target, or one restore into it, and its state. It is a row of the catalog, in the target's partition.
type Run struct {
	ID     string `json:"ID"`
	State  State  `json:"State"`
	Target string `json:"Target"`
	Plan   string `json:"Plan"`
	// ScheduledTime is the nominal time of a scheduled run; zero for a manual one.
	ScheduledTime time.Time `json:"ScheduledTime,omitzero"`
	// NextScheduledTime is the time at which the plan wants the next backup of the target: a run that still waits then is
	// superseded.
	NextScheduledTime time.Time `json:"NextScheduledTime,omitzero"`
	// Until is the end of the window of its scheduled time, if that is before NextScheduledTime: a run that still waits then is
	// missed.
	Until time.Time `json:"Until,omitzero"`
	// Start is the time at which the target's share of the plan's jitter is over and the run begins; zero: at once.
	Start time.Time `json:"Start,omitzero"`
	// Request is the ID of the request that asked for the run; empty for a scheduled one.
	Request  string   `json:"Request,omitempty"`
	Settings Settings `json:"Settings"`
	// ReplyTo is the queue that the event about the end of a backup also goes to, "" for none.
	ReplyTo string `json:"ReplyTo,omitempty"`
	// App is the app that works the run: an app that finds another name, or none, asks first which app owns the catalog.
	App string `json:"App,omitempty"`
	// Restore describes the restore that the run makes; nil for a backup.
	Restore *Restoring `json:"Restore,omitempty"`

	Created time.Time `json:"Created"`
	Updated time.Time `json:"Updated"`
	Ended   time.Time `json:"Ended,omitzero"`

	// Sequence and Nonce belong to the step message that the run expects. It becomes visible at Due.
	Sequence int       `json:"Sequence"`
	Nonce    string    `json:"Nonce"`
	Due      time.Time `json:"Due"`

	// Progress is the progress in the run's present phase.
	Progress
	// LockETag is the ETag of the target's lock row. The first save after the lock was acquired stores it.
	LockETag string `json:"LockETag,omitempty"`
	// Started is the time at which the first attempt was meant to start: no artifact of the run is older.
	Started time.Time `json:"Started,omitzero"`
	// CheckSince is the time at which the service was last asked to check whether the backup or restore can be made.
	CheckSince time.Time `json:"CheckSince,omitzero"`
	// CredentialExpired: an operation failed because its credential expired, and a further attempt was made.
	CredentialExpired bool `json:"CredentialExpired,omitempty"`
	// Failed lists the attempts that the service has failed for a reason that may pass, the oldest first.
	Failed []FailedAttempt `json:"Failed,omitempty"`
	// SKU is the tier of the backed-up service, as the service told at the end; "" if it did not.
	SKU string `json:"SKU,omitempty"`
	// ServiceCreated is the time at which the backed-up service itself was created, as it told at the end; zero if it did not.
	ServiceCreated time.Time `json:"ServiceCreated,omitzero"`
	// Changed is a change of the resource while the backup was made; zero if none is known.
	Changed Change `json:"ChangedDuringBackup,omitzero"`
	// Look is the time of the backup for which Azure is to be asked once more for a change, after the end of the run: it shows changes
	// late. It is zero if that is not to be done, or done. Looked is the time of the last answer; zero if there was none.
	Look   Window    `json:"LookForChanges,omitzero"`
	Looked time.Time `json:"LookedForChanges,omitzero"`

	// Reason says why the run waits, or how it ended, in the service's own words if it has some. A run that succeeded has a
	// reason if it left a suspect recovery point.
	Reason Reason `json:"Reason,omitzero"`
	// Permits are the permits that the run holds to operate. QueueRow is its row in the wait queue for a permit.
	Permits  []Permit `json:"Permits,omitempty"`
	QueueRow string   `json:"QueueRow,omitempty"`
	// Rejections counts how many times in a row the service had too much to do.
	Rejections int `json:"Rejections,omitempty"`
	// Unpublished: the outbox holds events about the run that its last step may not have sent, and a run that has ended may not
	// have released what it held.
	Unpublished bool `json:"Unpublished,omitempty"`

	Carried
	// RowETag is the ETag of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// Progress is the progress of a run with one operation of the service: a restore has first its safety backup, then the restore
// itself. It is reset as a whole when the next phase begins.
type Progress struct {
	// Attempt counts the saved intents. No more requests than that can have been sent.
	Attempt int `json:"Attempt,omitempty"`
	// Owner is the invocation that may start the service's operation until LeaseUntil; zero: there is none.
	Owner      string    `json:"Owner,omitempty"`
	LeaseUntil time.Time `json:"LeaseUntil,omitzero"`
	// LostSince is the time at which the run found that the answer to its latest start is lost; it now looks before it starts
	// again.
	LostSince time.Time `json:"LostSince,omitzero"`
	// NotFoundSince is the time since which every look showed an idle service without a trace of the lost start.
	NotFoundSince time.Time `json:"NotFoundSince,omitzero"`
	// LostStarts are the times in which requests of lost attempts can have been sent: from the intent to the end of its lease.
	LostStarts []Window `json:"LostStarts,omitempty"`
	// LostAttempt is the attempt that LostSince is about, and Lost counts all lost attempts.
	LostAttempt int `json:"LostAttempt,omitempty"`
	Lost        int `json:"Lost,omitempty"`
	// Intent is the time at which the latest attempt's intent was saved.
	Intent time.Time `json:"Intent,omitzero"`
	// Check continues the service's own check whether the backup can be made, or restored; "" if none is under way.
	Check string `json:"Check,omitempty"`
	// Accepted is the time at which the service accepted the operation; Token continues it, and Polls counts the questions.
	Accepted time.Time `json:"Accepted,omitzero"`
	Token    string    `json:"Token,omitempty"`
	Polls    int       `json:"Polls,omitempty"`
	// UnobservableSince is the time since which the service refuses to tell about an operation that it had accepted.
	UnobservableSince time.Time `json:"UnobservableSince,omitzero"`
	// Finished is the time at which the service said that it was done, or its artifact was found.
	Finished time.Time `json:"Finished,omitzero"`
	// RetryAt is the time of the next attempt, if the service has failed the one before for a reason that may pass; zero otherwise.
	RetryAt time.Time `json:"RetryAt,omitzero"`
	// Artifact is the name of the artifact that the run left, or is about to leave.
	Artifact string  `json:"Artifact,omitempty"`
	Hashing  Hashing `json:"Hashing,omitzero"`
}

// sent is the earliest time at which the request that made the run's artifact can have been sent; zero if none was.
func (p Progress) sent() time.Time {
	if len(p.LostStarts) > 0 {
		return p.LostStarts[0].From
	}
	return p.Intent
}

// Permit names a permit row and its ETag when the run acquired it. With another ETag the row belongs to another invocation or
// run.
type Permit struct {
	Row  string `json:"row"`
	ETag string `json:"etag"`
}

// Reason is an error for the person who must act: a code, the words of the service, the next thing to do.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Said has the words of the service itself, with which Message ends, and RequestID is the x-ms-client-request-id of the
	// request that it answered; as in a [Fault].
	Said      string `json:"said,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// longestText is the greatest length of a stored text with a service's words in it, in bytes: the service may send a page.
const longestText = 4096

// Bounded returns the text, cut off behind a whole character.
func Bounded(text string) string {
	if len(text) <= longestText {
		return text
	}
	return strings.ToValidUTF8(text[:longestText], "") + " …"
}

// NewReason makes a reason, each part of it bounded.
func NewReason(code, message, hint string) Reason {
	return Reason{Code: Bounded(code), Message: Bounded(message), Hint: Bounded(hint)}
}

// Refuse makes the reason of a refusal.
func Refuse(code, hint, format string, args ...any) *Reason {
	r := NewReason(code, fmt.Sprintf(format, args...), hint)
	return &r
}

// Reason returns the fault as it is kept.
func (f *Fault) Reason() Reason {
	r := NewReason(f.Code, f.Message, f.Hint)
	r.Said, r.RequestID = Bounded(f.Said), Bounded(f.RequestID)
	return r
}

// Reword says it in other words, and keeps the service's own words and the ID of the request that they answered.
func (r Reason) Reword(code, message, hint string) Reason {
	why := NewReason(code, message, hint)
	why.Said, why.RequestID = r.Said, r.RequestID
	return why
}

// These are the codes of the reasons of runs that were given up: by a person, and for a restore.
const (
	Abandoned = "Abandoned"
	Preempted = "Preempted"
)

// MayRun says whether the service may be at work on something that the run started.
func (r Run) MayRun() bool {
	return r.Lost > 0 || r.State.HoldsLock() && (r.Restore == nil || r.Restore.Step != StepPreCheck)
}

// MayRestore says whether the restore itself was begun, or may have been.
func (r Run) MayRestore() bool {
	return r.Restore != nil && r.MayRun() && (r.Restore.Step == StepRestoring || r.Restore.Step == StepPreCheck)
}

// StartingUntil returns the time until which the request that starts the operation may still arrive: the end of the lease. For a
// restore it is also the end of its lost start, since a restore must not begin once its destination is free.
func (r Run) StartingUntil() time.Time {
	if n := len(r.LostStarts); n > 0 && r.MayRestore() {
		return Later(r.LeaseUntil, r.LostStarts[n-1].To)
	}
	return r.LeaseUntil
}

// GivenUp says whether the run was given up while the service may have been at work on a backup.
func (r Run) GivenUp() bool {
	return r.State == Unknown && (r.Reason.Code == Abandoned || r.Reason.Code == Preempted) &&
		(r.Restore == nil || r.Restore.Step == StepSafetyBackup)
}

// ProviderAttempt describes the run's attempt with this artifact to a provider.
func (r Run) ProviderAttempt(artifact string) Attempt {
	return Attempt{
		Target: r.Target, Storage: r.Settings.Storage, Blocks: r.Settings.Blocks, Run: r.ID,
		Artifact: artifact, NotBefore: r.Started, Lost: r.LostStarts, Torn: r.torn(),
	}
}

// ProviderRestore describes the run's restore to a provider.
func (r Run) ProviderRestore() Restore {
	q := r.Restore
	return Restore{
		Target: r.Target, Source: q.Source, Storage: q.Storage, Artifact: q.Artifact, Written: q.Written,
		Size: q.Size, SHA256: q.SHA256, ETag: q.ETag, SKU: q.SKU,
		Blocks: r.Settings.Blocks, Kind: q.Kind, Key: q.Key, Region: q.Region,
	}
}

// ArtifactName returns the name for attempt n: no two attempts share one, so that a late first attempt cannot overwrite the
// second's artifact.
func (r Run) ArtifactName(n int) string { return fmt.Sprintf("%s.%d", r.ID, n) }

// Waited returns the time for which the run has waited for its target: the delay by the jitter does not count.
func (r Run) Waited(now time.Time) time.Duration {
	return now.Sub(Later(r.Created, r.Start))
}

// SettleCancel drops the ETag of a cancellation's note from a row that is not the note itself, so that no reader takes a later row for
// the note. Every writer of a run calls it before its save.
func (r *Run) SettleCancel() {
	if r.Restore != nil && r.Restore.CanceledOver != r.RowETag {
		r.Restore.CanceledOver = ""
	}
}

// StepMessage returns the message that the run expects.
func (r Run) StepMessage() StepMessage {
	return StepMessage{Run: r.ID, Sequence: r.Sequence, Nonce: r.Nonce}
}
