package ccf

import (
	"fmt"
	"slices"
	"time"
)

// Code says what was found: a program may go by it.
type Code string

// The faults: the copy does not prove what it should.
const (
	BeginningMissing         Code = "BeginningMissing"         // no transaction 1, and no snapshot just before the first one
	Gap                      Code = "Gap"                      // transactions between two files are missing
	Overlap                  Code = "Overlap"                  // two committed files claim the same transactions
	FileEmpty                Code = "FileEmpty"                // a committed file of no bytes
	FileCut                  Code = "FileCut"                  // a committed file ends early
	PositionsWrong           Code = "PositionsWrong"           // the table of positions does not fit; the transactions are whole
	EntryMalformed           Code = "EntryMalformed"           // a transaction cannot be read
	WrongSeqno               Code = "WrongSeqno"               // another transaction stands where this one should
	TransactionDamaged       Code = "TransactionDamaged"       // its bytes are not those that were signed
	RootWrong                Code = "RootWrong"                // a signed root is another one, and nothing names the transaction
	SignatureWrong           Code = "SignatureWrong"           // a signature is not one of the root
	SignatureEntryDamaged    Code = "SignatureEntryDamaged"    // a transaction with a signature contradicts itself
	NodeCertificateWrong     Code = "NodeCertificateWrong"     // the service of the time did not certify the node that signed
	IdentityWrong            Code = "IdentityWrong"            // a service does not follow from the one before
	SnapshotWrong            Code = "SnapshotWrong"            // a snapshot contradicts its receipt or the ledger
	LedgerEndsBeforeSnapshot Code = "LedgerEndsBeforeSnapshot" // a snapshot is newer than the ledger
	NoLedger                 Code = "NoLedger"                 // there is no file of a ledger
	NoSignature              Code = "NoSignature"              // nothing is proven
)

// The file is not all there yet, which is no damage.
const (
	CopyUnfinished Code = "CopyUnfinished" // a committed file whose first bytes have not been written
)

// The notes: what a person should know of a good copy.
const (
	LeftOut         Code = "LeftOut"         // a file that is not read
	OtherFile       Code = "OtherFile"       // a file of neither a ledger nor a snapshot
	Misnamed        Code = "Misnamed"        // a file whose name begins like that of a ledger file or a snapshot
	NotRead         Code = "NotRead"         // a link that leads nowhere, or no file where one should be
	OpenFileEmpty   Code = "OpenFileEmpty"   // a file that was just begun
	OpenFileCut     Code = "OpenFileCut"     // a file that was copied while it was written
	UnsignedTail    Code = "UnsignedTail"    // transactions after the last signature
	EvidenceMissing Code = "EvidenceMissing" // a snapshot whose evidence is in no file: its receipt alone vouches for it
	NoReceipt       Code = "NoReceipt"       // a snapshot of 1.x, which has none
	StateNotHeld    Code = "StateNotHeld"    // the snapshot's public state was compared in part
	IdentityUnknown Code = "IdentityUnknown" // no file tells the service's certificate
	IdentityAlone   Code = "IdentityAlone"   // a recovery that does not name the service before
)

// Finding is one thing that was found.
type Finding struct {
	Code        Code   `json:"code"`
	File        string `json:"file,omitempty"`
	Transaction string `json:"transaction,omitempty"`
	Text        string `json:"text"`
}

// Identity is a service, by the SHA-256 of its public key, and the transaction that created it: "" if no file has that one.
type Identity struct {
	KeySHA256 string `json:"keySha256"` // "" if no file tells it
	From      string `json:"from"`
	// Over is the transaction from which on another service than the one before has the ledger. It was created in a gap before that.
	Over string `json:"overGap,omitempty"`
}

// Snapshot is a snapshot, with the parts of it that were held against others.
type Snapshot struct {
	Name     string `json:"name"`
	Seqno    uint64 `json:"seqno"`
	SHA256   string `json:"sha256,omitempty"` // all bytes before the receipt
	Receipt  bool   `json:"receipt"`          // the service signed the digest
	InLedger bool   `json:"inLedger"`         // the ledger has the same evidence, under the same signature
	Tables   int    `json:"tables,omitempty"` // the public tables that are equal to those of the ledger
	Wrong    bool   `json:"wrong,omitempty"`  // an error says so
}

// Report is the outcome of a verification.
type Report struct {
	First          string     `json:"first,omitempty"`
	Last           string     `json:"last,omitempty"`
	Signed         string     `json:"signed,omitempty"` // the last signature that is valid
	Root           string     `json:"root,omitempty"`   // the root that it signs
	SignedAt       *time.Time `json:"signedAt,omitempty"`
	Service        string     `json:"service,omitempty"` // the SHA-256 of the newest service's public key
	Transactions   uint64     `json:"transactions"`
	Unsigned       uint64     `json:"unsigned,omitempty"`
	NodeSignatures uint64     `json:"nodeSignatures"`
	COSESignatures uint64     `json:"coseSignatures"`
	PrivateParts   uint64     `json:"privateParts"`
	Earlier        Contained  `json:"earlier,omitempty"` // whether it contains the earlier copy; "" if none was named
	Alone          string     `json:"alone,omitempty"`   // the newest recovery that does not name the service before it
	Identities     []Identity `json:"identities"`
	Snapshots      []Snapshot `json:"snapshots"`
	Errors         []Finding  `json:"errors"`
	Unfinished     []Finding  `json:"unfinished"`
	Notes          []Finding  `json:"notes"`
	// MoreErrors, MoreUnfinished and MoreNotes count findings that the lists have no room for; MoreIdentities and MoreSnapshots likewise.
	MoreErrors     int `json:"moreErrors,omitempty"`
	MoreUnfinished int `json:"moreUnfinished,omitempty"`
	MoreNotes      int `json:"moreNotes,omitempty"`
	MoreIdentities int `json:"moreIdentities,omitempty"`
	MoreSnapshots  int `json:"moreSnapshots,omitempty"`
}

// Proven says whether a signature proves the copy, and nothing contradicts it or is missing.
func (r *Report) Proven() bool { return len(r.Errors) == 0 && len(r.Unfinished) == 0 && r.Signed != "" }

// The lists of a report are short enough for a checkpoint.
const (
	mostFindings   = 8
	mostIdentities = 8
	mostSnapshots  = 4
	mostText       = 200
	mostName       = 80
)

type severity int

const (
	fault severity = iota
	unfinished
	note
)

// told is a finding with its severity.
type told struct {
	severity severity
	finding  Finding
}

func (r *Report) tell(t told) {
	list, more := &r.Errors, &r.MoreErrors
	switch t.severity {
	case unfinished:
		list, more = &r.Unfinished, &r.MoreUnfinished
	case note:
		list, more = &r.Notes, &r.MoreNotes
	case fault:
	}
	if len(*list) == mostFindings {
		*more++
		return
	}
	t.finding.File = shortened(t.finding.File, mostName)
	if text := []rune(t.finding.Text); len(text) > mostText {
		t.finding.Text = string(text[:mostText-1]) + "…"
	}
	*list = append(*list, t.finding)
}

// shortened keeps the end of a long name: the folders before it matter less.
func shortened(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return "…" + string(runes[len(runes)-most+1:])
}

func (r *Report) identify(identity Identity) {
	if len(r.Identities) == mostIdentities {
		r.Identities = slices.Delete(r.Identities, 1, 2)
		r.MoreIdentities++
	}
	r.Identities = append(r.Identities, identity)
}

func (r *Report) snapshot(s Snapshot) {
	if len(r.Snapshots) == mostSnapshots {
		r.Snapshots = slices.Delete(r.Snapshots, 0, 1)
		r.MoreSnapshots++
	}
	s.Name = shortened(s.Name, mostName)
	r.Snapshots = append(r.Snapshots, s)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// txID names a transaction as CCF does, but for its view if no transaction has told it.
func txID(view, seqno uint64) string {
	if view == 0 {
		return fmt.Sprint(seqno)
	}
	return fmt.Sprintf("%d.%d", view, seqno)
}
