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
	// Slot is the nominal time that a scheduled run stands for; zero for one asked for by hand.
	Slot time.Time `json:"Slot,omitzero"`
	// NextSlot is when the plan wants the target backed up again: a run that still waits then is superseded.
	NextSlot time.Time `json:"NextSlot,omitzero"`
	// Until is when the window of its slot ends, if that is before NextSlot: a run that still waits then is missed.
	Until time.Time `json:"Until,omitzero"`
	// Start is when the target's share of the plan's jitter is over and the run begins; zero: at once.
	Start time.Time `json:"Start,omitzero"`
	// Request is the ID of the request that asked for the run; empty for a scheduled one.
	Request  string   `json:"Request,omitempty"`
	Settings Settings `json:"Settings"`
	// Restore is what the run restores; nil for a backup.
	Restore *Restoring `json:"Restore,omitempty"`

	Created time.Time `json:"Created"`
	Updated time.Time `json:"Updated"`
	Ended   time.Time `json:"Ended,omitzero"`

	// Wake and Mark are those of the wake-up that the run expects, Due is when that becomes visible.
	Wake int       `json:"Wake"`
	Mark string    `json:"Mark"`
	Due  time.Time `json:"Due"`

	// Progress is how far the run is with its present phase.
	Progress
	// LockETag is that of the target's lock row, once a save came after the one that took it.
	LockETag string `json:"LockETag,omitempty"`
	// Started is when the first attempt was meant to start: no artifact of the run is older.
	Started time.Time `json:"Started,omitzero"`
	// CheckSince is when the service was asked for it last.
	CheckSince time.Time `json:"CheckSince,omitzero"`
	// Lapsed: an operation failed because what it had been given to act with ran out, and a further attempt was made.
	Lapsed bool `json:"Lapsed,omitempty"`
	// SKU is the tier of the service that the artifact is of, as the service told at the end; "" if it did not.
	SKU string `json:"SKU,omitempty"`

	// Reason says why the run waits, or how it ended, in the service's own words where it has some. One that succeeded has
	// a reason if it left a suspect recovery point.
	Reason Reason `json:"Reason,omitzero"`
	// Permits are those that the run holds to operate, Line is its place among those that wait for one.
	Permits []Permit `json:"Permits,omitempty"`
	Line    string   `json:"Line,omitempty"`
	// TurnedAway counts how often on end the service had too much to do.
	TurnedAway int `json:"TurnedAway,omitempty"`
	// Owes: the outbox holds events about the run that its last step may not have sent, and a run that has ended may not
	// have given back what it held.
	Owes bool `json:"Owes,omitempty"`

	Carried
	// RowETag is that of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// Progress is how far a run is with one operation of the service: of a restore first with its safety backup, then with the
// restore itself. It is reset as a whole when the next phase begins.
type Progress struct {
	// Attempt counts the intents saved, and so the most requests that can have been sent.
	Attempt int `json:"Attempt,omitempty"`
	// Owner is the invocation that may start the service's operation until LeaseUntil; zero: nobody is at it.
	Owner      string    `json:"Owner,omitempty"`
	LeaseUntil time.Time `json:"LeaseUntil,omitzero"`
	// LostSince is when the answer to the latest lost start was found missing; the run now looks before it starts again.
	LostSince time.Time `json:"LostSince,omitzero"`
	// ClearSince is since when every look showed a settled service without a trace of the lost start.
	ClearSince time.Time `json:"ClearSince,omitzero"`
	// LostStarts are when the requests of lost attempts can have been sent: from the intent to the end of its lease.
	LostStarts []Window `json:"LostStarts,omitempty"`
	// LostAttempt is the attempt that LostSince is about, and Lost counts all those lost.
	LostAttempt int `json:"LostAttempt,omitempty"`
	Lost        int `json:"Lost,omitempty"`
	// Intent is when the latest attempt's intent was saved.
	Intent time.Time `json:"Intent,omitzero"`
	// Check continues the service's own look at whether the backup can be made; "" where none is under way.
	Check string `json:"Check,omitempty"`
	// Accepted is when the service took the operation on; Token continues it, and Polls counts the questions.
	Accepted time.Time `json:"Accepted,omitzero"`
	Token    string    `json:"Token,omitempty"`
	Polls    int       `json:"Polls,omitempty"`
	// DeniedSince is since when the service refuses to tell about an operation that it had accepted.
	DeniedSince time.Time `json:"DeniedSince,omitzero"`
	// Finished is when the service said that it was done, or its artifact was found.
	Finished time.Time `json:"Finished,omitzero"`
	// Artifact is the name of what the run left, or is about to leave.
	Artifact string  `json:"Artifact,omitempty"`
	Hashing  Hashing `json:"Hashing,omitzero"`
}

// Permit is one that a run holds, as the run remembers it: a row that has another ETag is somebody else's by now.
type Permit struct {
	Row  string `json:"row"`
	ETag string `json:"etag"`
}

// Reason is an error for the person who must act: a code, what was said, what to do next.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Said is what the service itself said, which Message ends with, and RequestID is the x-ms-client-request-id that it
	// answered; as in a [Fault].
	Said      string `json:"said,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// longestText is how much is kept of a text that has a service's words in it, in bytes: it may send a page.
const longestText = 4096

// Bounded is the text, cut off behind a whole character.
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

// Reason is the fault as it is kept.
func (f *Fault) Reason() Reason {
	r := NewReason(f.Code, f.Message, f.Hint)
	r.Said, r.RequestID = Bounded(f.Said), Bounded(f.RequestID)
	return r
}

// Reword says it in other words, and keeps what the service itself said and in answer to which request.
func (r Reason) Reword(code, message, hint string) Reason {
	why := NewReason(code, message, hint)
	why.Said, why.RequestID = r.Said, r.RequestID
	return why
}

// ProviderAttempt is what a provider is told about the run's attempt n.
func (r Run) ProviderAttempt(artifact string) Attempt {
	return Attempt{
		Target: r.Target, Storage: r.Settings.Storage, Blocks: r.Settings.Blocks, Run: r.ID,
		Artifact: artifact, NotBefore: r.Started, Lost: r.LostStarts,
	}
}

// ProviderRestore is what the provider is asked for.
func (r Run) ProviderRestore() Restore {
	q := r.Restore
	return Restore{
		Target: r.Target, Source: q.Source, Storage: q.Storage, Artifact: q.Artifact, Written: q.Written,
		Size: q.Size, SHA256: q.SHA256, ETag: q.ETag, SKU: q.SKU,
		Blocks: r.Settings.Blocks, Kind: q.Kind, Key: q.Key, Region: q.Region,
	}
}

// ArtifactName of attempt n: no two attempts share one, so that a late first cannot overwrite what a second wrote.
func (r Run) ArtifactName(n int) string { return fmt.Sprintf("%s.%d", r.ID, n) }

// Waited is how long the run waits for its target: what the jitter holds it back does not count.
func (r Run) Waited(now time.Time) time.Duration {
	if r.Start.After(r.Created) {
		return now.Sub(r.Start)
	}
	return now.Sub(r.Created)
}

// Wakeup is the message that the run expects.
func (r Run) Wakeup() Wakeup { return Wakeup{Run: r.ID, Number: r.Wake, Mark: r.Mark} }
