package backup

import (
	"fmt"
	"strings"
	"time"
)

// PointState is where a recovery point stands.
type PointState string

const (
	// Live: it can be restored.
	Live PointState = "live"
	// Suspect: it can be restored, but is far smaller than those before it. It protects nothing until it is accepted.
	Suspect PointState = "suspect"
	// Deleting: cleanup decided to delete it, and may have done so.
	Deleting PointState = "deleting"
	// Expired: its artifact is gone.
	Expired PointState = "expired"
	// CopyOnly is what a live one is called outside of which Azure can restore nothing. No row has this state.
	CopyOnly PointState = "copyOnly"
	// Unreadable is that of a row which this version cannot read, with the reason: it says nothing of the point but its ID. As
	// long as a target has one, nothing of the target is deleted or restored. No row has this state.
	Unreadable PointState = "unreadable"
)

// Point is a recovery point: what a succeeded, verified run left. Its row stands beside that of the run.
type Point struct {
	// ID is that of the run.
	ID     string     `json:"ID"`
	State  PointState `json:"State"`
	Target string     `json:"Target"`
	Plan   string     `json:"Plan"`
	// Storage and Artifact say where it is.
	Storage  Storage `json:"Storage"`
	Artifact string  `json:"Artifact"`
	// SKU is the tier of the service that it is of: API Management restores into a service of the same tier only. "" if it
	// is not known.
	SKU  string `json:"SKU,omitempty"`
	ETag string `json:"ArtifactETag"`
	// Size in bytes, and the SHA-256 of the content in hex.
	Size   int64  `json:"Size"`
	SHA256 string `json:"SHA256"`
	// Created is when the artifact was written, by the storage's clock; Expires is when it may be deleted.
	Created time.Time `json:"Created"`
	Expires time.Time `json:"Expires"`
	Deleted time.Time `json:"Deleted,omitzero"`
	// Reason is why it was deleted, or why that did not succeed.
	Reason Reason `json:"Reason,omitzero"`
	// Note says what of it could not be checked, and why.
	Note string `json:"Note,omitempty"`
	// Suspicion is why it is suspect, or was until it was accepted.
	Suspicion Reason `json:"Suspicion,omitzero"`
	// Readers are the IDs of restores that read it. One that has ended counts for nothing.
	Readers []string `json:"Readers,omitempty"`
	// Safety: it is what a restore was about to overwrite. It can be restored by its ID, but is not what the target should be
	// like: it protects nothing, and nothing else is measured by it.
	Safety bool `json:"Safety,omitempty"`
	// Held keeps it from being deleted, whatever its time.
	Held Hold `json:"Held,omitzero"`
	// Accepted says who took it for good all the same; zero if nobody did, or had to.
	Accepted Acceptance `json:"Accepted,omitzero"`
	// Storage keeps it past its time; zero if it does not, as far as is known.
	KeptByStorage KeptByStorage `json:"KeptByStorage,omitzero"`
	// LedgerBackup: it is of a Confidential Ledger, and was written while Azure could restore one. Any other
	// point of a ledger is a copy.
	LedgerBackup bool `json:"LedgerBackup,omitempty"`

	Carried
	// RowETag is that of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// Hold is why a recovery point must stay, and until when.
type Hold struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// KeptByStorage is that storage refused to delete an artifact, which can be restored as before.
type KeptByStorage struct {
	// Until is when storage lets go of it; zero where it does not say, as of a lease or a legal hold.
	Until time.Time `json:"until,omitzero"`
	// Again is when its deletion is tried again: somebody may end the protection before.
	Again time.Time `json:"again"`
	// Reason has storage's code and words, and what to do.
	Reason Reason `json:"reason"`
}

func (k KeptByStorage) String() string {
	until := ", which does not say until when"
	if !k.Until.IsZero() {
		until = " until " + k.Until.UTC().Format(time.RFC3339)
	}
	return "kept by storage" + until + ": " + k.Reason.Message
}

// Acceptance is why a suspect recovery point counts as verified.
type Acceptance struct {
	Time time.Time `json:"time"`
	// By is "invocation <ID>" for a person's request, whose log line has the same ID, or "run <ID>" for the run whose
	// recovery point was the third like it.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// NewPoint is the live recovery point of the run whose artifact was verified; copyOnly as in [Services.CopyOnly].
func NewPoint(r Run, v Verification, copyOnly bool) Point {
	return Point{
		ID: r.ID, State: Live, Target: r.Target, Plan: r.Plan, Storage: r.Settings.Storage, Artifact: r.Artifact, SKU: r.SKU,
		ETag: v.Hashing.ETag, Size: v.Size, SHA256: v.SHA256, Note: NewReason("", v.Note, "").Message,
		Created: v.Modified, Expires: v.Modified.Add(r.Settings.KeepWithin),
		LedgerBackup: isLedger(r.Target) && !copyOnly,
	}
}

func isLedger(target string) bool {
	r, err := ParseResource(target)
	return err == nil && strings.EqualFold(r.Type, "microsoft.confidentialledger/ledgers")
}

// CopyOnly says that Azure can restore nothing from it: it is a copy that can be read, and no backup.
func (p Point) CopyOnly() bool { return isLedger(p.Target) && !p.LedgerBackup }

// Called is its state as people and other systems are told it.
func (p Point) Called() PointState {
	if p.State == Live && p.CopyOnly() {
		return CopyOnly
	}
	return p.State
}

// UnreadablePoint stands for a row that this version cannot read.
func UnreadablePoint(row Row, target string, err error) Point {
	return Point{
		ID: row.Partition + "-" + strings.TrimPrefix(row.Row, PointPrefix), State: Unreadable, Target: target, Reason: UnreadableRow(err),
	}
}

// UnreadableRow says why nothing is deleted or restored.
func UnreadableRow(err error) Reason {
	return NewReason("RowUnreadable", err.Error(), "Deploy the version of Lifeboat that wrote it again. If it is nobody's, delete it from the table.")
}

// Live says that the point can be restored, and counts as verified.
func (p Point) Live() bool { return p.State == Live && !p.Safety }

// Unaccepted says that the point was suspect, and nobody took it for good.
func (p Point) Unaccepted() bool { return p.Suspicion.Code != "" && p.Accepted.Time.IsZero() }

// Trusted says that the point's size tells what is normal for the target, whether or not the artifact is still there.
func (p Point) Trusted() bool {
	return !p.Safety && p.State != Unreadable && !p.Unaccepted()
}

// Replace is the write of the point as it is now, under the ETag that was read.
func (p Point) Replace() Write {
	return Write{Op: Replace, Key: p.Key(), ETag: p.RowETag, Body: Encode(p)}
}

// claim is the row that says whose an artifact is. It is only ever inserted, in the transaction that makes the recovery
// point: so no two points of a target name one artifact, whatever a provider found.
type claim struct {
	Artifact string `json:"Artifact"`
	Point    string `json:"Point"`
}

// Place is where the artifact is, as one text.
func (p Point) Place() string {
	return strings.ToLower(p.Storage.Account) + "\n" + p.Storage.Container + "\n" + p.Artifact
}

// Insert are the writes that make the point, with its claim and the list of its files.
func (p Point) Insert(files []File) []Write {
	return append([]Write{
		{Op: Insert, Key: p.Key(), Body: Encode(p)},
		{Op: Insert, Key: p.claimKey(), Body: Encode(claim{Artifact: p.Artifact, Point: p.ID})},
	}, p.FileRows(files)...)
}

// ProviderAttempt is what a provider is told about the artifact of the point.
func (p Point) ProviderAttempt() Attempt {
	return Attempt{Target: p.Target, Storage: p.Storage, Run: p.ID, Artifact: p.Artifact}
}

// FileRows are the writes that keep what the point's artifact consists of: rows beside its own.
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
