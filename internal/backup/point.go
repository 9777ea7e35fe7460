package backup

import (
	"fmt"
	"strings"
	"time"
)

// PointState says whether a recovery point can be used.
type PointState string

const (
	// Live: it can be restored.
	Live PointState = "live"
	// Suspect: it can be restored, but is far smaller than the points before it, or its provider has a doubt. It protects nothing until
	// it is accepted.
	Suspect PointState = "suspect"
	// Altered: it is past its time, and cleanup left it alone, because its content is no longer the verified content.
	Altered PointState = "altered"
	// Deleting: cleanup decided to delete it, and may have done so.
	Deleting PointState = "deleting"
	// Expired: its artifact is gone.
	Expired PointState = "expired"
	// SoftDeleted is the name in answers for a live or suspect point that is soft-deleted. No row has this state.
	SoftDeleted PointState = "softDeleted"
	// CopyOnly is the name in events and answers for a live point from which Azure can restore nothing. No row has this state.
	CopyOnly PointState = "copyOnly"
	// Unreadable: this version cannot read the row, for the given reason, and knows only the point's ID. As long as a target has
	// such a row, nothing of the target is deleted or restored. No row has this state.
	Unreadable PointState = "unreadable"
)

// PointStates are the states of the recovery points that there are, in answers: an expired one is gone.
var PointStates = []PointState{Live, CopyOnly, Suspect, SoftDeleted, Altered, Deleting, Unreadable}

// Point is a recovery point: the result of a run that succeeded and was verified. Its row stands beside the run's row.
type Point struct {
	// ID is the ID of the run.
	ID     string     `json:"ID"`
	State  PointState `json:"State"`
	Target string     `json:"Target"`
	Plan   string     `json:"Plan"`
	// Storage and Artifact say where the backup is.
	Storage  Storage `json:"Storage"`
	Artifact string  `json:"Artifact"`
	// SKU is the tier of the backed-up service: API Management restores into a service of the same tier only. "" if it is not
	// known.
	SKU string `json:"SKU,omitempty"`
	// ServiceCreated is the time at which the backed-up service itself was created; zero if it is not known. Two times tell apart services that
	// had the same resource ID one after the other.
	ServiceCreated time.Time `json:"ServiceCreated,omitzero"`
	ETag           string    `json:"ArtifactETag"`
	// Size is in bytes, and SHA256 is the hash of the content in hex.
	Size   int64  `json:"Size"`
	SHA256 string `json:"SHA256"`
	// Created is the time at which the artifact was written, by the storage's clock; from Expires on it may be deleted. AsOf is
	// the time whose state of the resource it has, as [Service.PointTime] says: the restore loses what was changed later. Without
	// Expires it has no such day.
	Created time.Time `json:"Created"`
	AsOf    time.Time `json:"AsOf,omitzero"`
	Expires time.Time `json:"Expires,omitzero"`
	// Idle is the time before Created in which no backup of its plan and target worked, in sum: the age of the point counts none of it.
	Idle time.Duration `json:"Idle,omitempty"`
	// Began is the scheduled time for which it was made, by which keep's counts go; zero if no schedule made it.
	Began time.Time `json:"Began,omitzero"`
	// Counted says that its plan had counts when it was made, so that a row says which of them hold it.
	Counted bool `json:"Counted,omitempty"`
	// OnDemand: it was asked for, and no schedule made it. It has a time of its own, and counts for no Minimum.
	OnDemand bool `json:"OnDemand,omitempty"`
	// Minimum is the number of newest verified points of its plan and target that stay, while this is the newest of them; 0 means 1.
	Minimum int `json:"KeepMinimum,omitempty"`
	// SoftDelete is the time for which it stays soft-deleted; 0: none. SoftDeletion says that it is, and Undone is the newest undo.
	SoftDelete   time.Duration `json:"SoftDelete,omitempty"`
	SoftDeletion SoftDeletion  `json:"SoftDeletion,omitzero"`
	Undone       Undo          `json:"Undone,omitzero"`
	Deleted      time.Time     `json:"Deleted,omitzero"`
	// Reason says why it was deleted, or why that did not succeed.
	Reason Reason `json:"Reason,omitzero"`
	// Note says which part of it could not be checked, and why.
	Note string `json:"Note,omitempty"`
	// Facts were found in the artifact itself by the provider, under names of its own.
	Facts []Fact `json:"Facts,omitempty"`
	// Changed is a change of the resource while the backup was made; zero if none is known, which does not prove that there was none.
	Changed Change `json:"ChangedDuringBackup,omitzero"`
	// Suspicion says why it is suspect, or was until it was accepted.
	Suspicion Reason `json:"Suspicion,omitzero"`
	// Readers are the IDs of restores that read it. A restore that has ended does not count.
	Readers []string `json:"Readers,omitempty"`
	// Safety: it is the state of a service just before a restore. It can be restored by its ID, but is not the desired state of
	// the target: it protects nothing, and no other point is measured by it.
	Safety bool `json:"Safety,omitempty"`
	// Held keeps the safety backup of a restore from being deleted, at any age, until a person confirms the restore.
	Held Hold `json:"Held,omitzero"`
	// Holds are the holds by people, oldest first, and Released is the newest release of one.
	Holds    []PersonHold `json:"Holds,omitempty"`
	Released HoldRelease  `json:"Released,omitzero"`
	// Accepted says who accepted it although it was suspect; zero if it was not accepted, or never suspect.
	Accepted Acceptance `json:"Accepted,omitzero"`
	// KeptByStorage says why storage keeps it past its time; zero if it does not, as far as is known.
	KeptByStorage KeptByStorage `json:"KeptByStorage,omitzero"`
	// Undeleted is about its deletion, if that was tried and did not succeed.
	Undeleted Undeleted `json:"Undeleted,omitzero"`
	// CopyOnly says that Azure can restore nothing from it: it is a copy that can be read, and no backup.
	CopyOnly bool `json:"CopyOnly,omitempty"`
	// Asked says that the service was asked whether it could restore it, and answered that it could. Restored is the end of the newest
	// restore from it that succeeded; zero if there was none.
	Asked    bool      `json:"Asked,omitempty"`
	Restored time.Time `json:"Restored,omitzero"`

	Carried
	// RowETag is the ETag of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// Hold says why a recovery point must stay, and until when.
type Hold struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// KeptByStorage says that storage did not delete an artifact, or that cleanup left it alone because it is altered. Nothing of it
// is missing.
type KeptByStorage struct {
	// Until is the time at which storage ends the protection; zero if it does not say, as for a lease or a legal hold.
	Until time.Time `json:"until,omitzero"`
	// Again is the time at which the deletion is tried again: a person may end the protection before Until.
	Again time.Time `json:"again"`
	// Reason has storage's code and words, and the advice.
	Reason Reason `json:"reason"`
}

func (k KeptByStorage) String() string {
	if k.Reason.Code == CodeAltered {
		return "left alone: " + k.Reason.Message
	}
	until := ", which does not say until when"
	if !k.Until.IsZero() {
		until = " until " + k.Until.UTC().Format(time.RFC3339)
	}
	return "kept by storage" + until + ": " + k.Reason.Message
}

// CodeAltered is the code of an artifact whose content is no longer the verified content.
const CodeAltered = "ArtifactChanged"

// Undeleted is the state of a deletion that has not succeeded.
type Undeleted struct {
	// Since is the time of the first failure; zero if there was none.
	Since time.Time `json:"since,omitzero"`
	// Published is the type of the newest event about it; "" if there was none.
	Published string `json:"published,omitempty"`
	// Unsent tells that this event may not have been sent yet.
	Unsent bool `json:"unsent,omitempty"`
	// TakenBack counts how often an event took that back because storage turned out to keep it for a time.
	TakenBack int `json:"takenBack,omitempty"`
	// Hashing is the progress with reading a touched artifact again.
	Hashing Hashing `json:"hashing,omitzero"`
}

// Acceptance says why a suspect recovery point counts as verified.
type Acceptance struct {
	Time time.Time `json:"time"`
	// By is "invocation <ID>" for a person's request, whose log line has the same ID. It is "run <ID>" if the recovery point of
	// that run was the third with a similar size.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// NewPoint makes the live recovery point of the run whose artifact of the service was verified.
func NewPoint(r Run, v Verification, of Service) Point {
	asOf := v.Modified
	if sent := r.sent(); of.PointTime == AtStart && !sent.IsZero() && sent.Before(asOf) {
		asOf = sent
	}
	p := Point{
		ID: r.ID, State: Live, Target: r.Target, Plan: r.Plan, Storage: r.Settings.Storage, Artifact: r.Artifact, SKU: r.SKU,
		ServiceCreated: r.ServiceCreated, ETag: v.Hashing.ETag, Size: v.Size, SHA256: v.SHA256, Note: NewReason("", v.Note, "").Message, Changed: r.Changed,
		Created: v.Modified, AsOf: asOf, Minimum: r.Settings.KeepMinimum, SoftDelete: r.Settings.SoftDelete,
		OnDemand: r.ScheduledTime.IsZero(), Began: r.ScheduledTime, Counted: r.Settings.KeepCounts.Any(),
		CopyOnly: of.CopyOnly != nil && of.CopyOnly(r.Settings.Blocks), Facts: v.Facts,
	}
	if v.Doubt.Code != "" && r.Restore != nil { // a restore does not wait for a person: its safety backup has a note
		p.Note = NewReason("", strings.TrimSpace(v.Note+" "+v.Doubt.Message), "").Message
	} else if v.Doubt.Code != "" {
		p.State, p.Suspicion = Suspect, v.Doubt
		p.Suspicion.Hint = strings.TrimSpace(p.Suspicion.Hint + " If it is right, accept it: lifeboat accept " + p.ID)
	}
	if r.Settings.KeepWithin > 0 {
		p.Expires = p.Created.Add(r.Settings.KeepWithin)
	}
	return p
}

// Age is the time since the state that it has; zero for a point of the future.
func (p Point) Age(now time.Time) time.Duration { return max(now.Sub(p.StateTime()), 0) }

// StateTime is AsOf, or Created if the version that made the point kept no AsOf.
func (p Point) StateTime() time.Time {
	if p.AsOf.IsZero() {
		return p.Created
	}
	return p.AsOf
}

// Called returns its state by the name that people and other systems see.
func (p Point) Called() PointState {
	switch {
	case p.IsSoftDeleted() && (p.State == Live || p.State == Suspect):
		return SoftDeleted
	case p.State == Live && p.CopyOnly:
		return CopyOnly
	}
	return p.State
}

// UnreadablePoint makes a point for a row that this version cannot read.
func UnreadablePoint(row Row, target string, err error) Point {
	return Point{
		ID: row.Partition + "-" + strings.TrimPrefix(row.Row, PointPrefix), State: Unreadable, Target: target, Reason: UnreadableRow(err),
	}
}

// UnreadableRow says why nothing is deleted or restored.
func UnreadableRow(err error) Reason {
	return NewReason("RowUnreadable", err.Error(), "Deploy the version of Lifeboat that wrote it again. If no version of Lifeboat wrote it, delete it from the table.")
}

// Live says that the point can be restored, counts as verified, and is to stay.
func (p Point) Live() bool { return p.State == Live && !p.Safety && !p.IsSoftDeleted() }

// LastChange returns the time of the newest change by a person, or by a look at the changes of its resource; zero if there was none.
func (p Point) LastChange() time.Time {
	newest := Later(Later(p.Accepted.Time, p.Released.Time), Later(p.Undone.Time, p.Changed.Found))
	if p.SoftDeletion.Person() {
		newest = Later(newest, p.SoftDeletion.Since)
	}
	for _, h := range p.Holds {
		newest = Later(newest, h.Since)
	}
	return newest
}

// Unaccepted says that the point was suspect, and was not accepted.
func (p Point) Unaccepted() bool { return p.Suspicion.Code != "" && p.Accepted.Time.IsZero() }

// InBaseline says that the point's size counts for the normal size of the target, whether or not the artifact is still there.
func (p Point) InBaseline() bool {
	return !p.Safety && p.State != Unreadable && !p.Unaccepted()
}

// Evidence says how sure it is that a recovery point can be restored.
type Evidence string

// The evidence goes from the least to the best. A point that is gone, or cannot be read, has none: "".
const (
	// Stored: an artifact is there, and it is not known to have the verified content.
	Stored Evidence = "stored"
	// HashProved: all of it was read, and is unchanged as far as its ETag tells.
	HashProved Evidence = "hashProved"
	// AzureAsked: the service also answered that it could restore it.
	AzureAsked Evidence = "azureAsked"
	// RestoredBefore: a restore from it has succeeded.
	RestoredBefore Evidence = "restored"
)

// Evidence returns the best evidence for the point. An earlier restore says nothing of an artifact that was written again since.
func (p Point) Evidence() Evidence {
	switch {
	case p.State == Expired, p.State == Deleting, p.State == Unreadable:
		return ""
	case p.State == Altered, p.Reason.Code == CodeTouched, p.SHA256 == "":
		return Stored
	case !p.Restored.IsZero():
		return RestoredBefore
	case p.Asked:
		return AzureAsked
	}
	return HashProved
}

// CodeTouched is the code of a point whose touched artifact is being read again.
const CodeTouched = "ArtifactTouched"

// Replace makes the write of the point as it is now, under the ETag that was read.
func (p Point) Replace() Write {
	return Write{Op: Replace, Key: p.Key(), ETag: p.RowETag, Body: Encode(p)}
}

// claim is the row that says which recovery point an artifact belongs to. Lifeboat only inserts it, in the transaction that makes
// the recovery point. So no two points of a target name one artifact, even if a provider found the wrong one.
type claim struct {
	Artifact string `json:"Artifact"`
	Point    string `json:"Point"`
}

// Location is the place of the artifact, as one text. It stays the same when the account is moved.
func (p Point) Location() string {
	return p.Storage.account() + "\n" + p.Storage.Container + "\n" + p.Artifact
}

// Insert returns the writes that make the point, with its claim and the list of its files.
func (p Point) Insert(files []File) []Write {
	return append([]Write{
		{Op: Insert, Key: p.Key(), Body: Encode(p)},
		{Op: Insert, Key: p.claimKey(), Body: Encode(claim{Artifact: p.Artifact, Point: p.ID})},
	}, p.FileRows(files)...)
}

// ProviderAttempt describes the artifact of the point to a provider.
func (p Point) ProviderAttempt() Attempt {
	return Attempt{Target: p.Target, Storage: p.Storage, Run: p.ID, Artifact: p.Artifact, SHA256: p.SHA256}
}

// FileRows returns the writes that keep the list of the artifact's files: rows beside its own.
func (p Point) FileRows(files []File) []Write {
	if len(files) == 0 {
		return nil
	}
	var writes []Write
	for i, page := range Pages(string(Encode(files))) {
		key := Key{Partition: p.Key().Partition, Row: fmt.Sprintf("%s%03d", p.FilesPrefix(), i)}
		writes = append(writes, Write{Op: Put, Key: key, Body: page})
	}
	return writes
}

// DecodePoint reads the row of a recovery point. The error is an ErrUnreadable.
func DecodePoint(row Row) (Point, error) {
	p, err := Decode[Point](row)
	p.RowETag = row.ETag
	return p, err
}
