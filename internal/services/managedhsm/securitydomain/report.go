package securitydomain

import (
	"fmt"
	"time"
)

// Outcome says whether the file and the keys can bring the HSM back.
type Outcome string

// The outcomes.
const (
	Recoverable      Outcome = "recoverable"
	QuorumNotReached Outcome = "quorum-not-reached" // too few of the keys open a share
	Damaged          Outcome = "damaged"
	Unreadable       Outcome = "unreadable" // the file is no security domain
)

// Code says what was found: a program may go by it.
type Code string

// The faults of the file, or of a key.
const (
	NotRead            Code = "NotRead"            // the file is no security domain
	ShareMissing       Code = "ShareMissing"       // there are fewer holders than a download has
	ShareDamaged       Code = "ShareDamaged"       // a share cannot be read, or does not authenticate
	ShareOfAnother     Code = "ShareOfAnother"     // a share opens, and does not fit the others: it is of another download
	SharesDisagree     Code = "SharesDisagree"     // a quorum of shares opens, and opens no part
	QuorumWrong        Code = "QuorumWrong"        // the quorum is not the one that the shares were made for
	PartDamaged        Code = "PartDamaged"        // a part does not authenticate under the secret that the shares give
	PartMissing        Code = "PartMissing"        // one of the three parts is not there
	PartTwice          Code = "PartTwice"          // a part is there twice
	KeyUnreadable      Code = "KeyUnreadable"      // a key file holds no key that can be read
	KeyOpensNothing    Code = "KeyOpensNothing"    // a key is no holder's, or its share is damaged
	AttestationDiffers Code = "AttestationDiffers" // the file is the security domain of another HSM
)

// The warnings: the file can be used, and a person should do something.
const (
	FewerPeople     Code = "FewerPeople"     // one person has several shares
	NotForAzureCLI  Code = "NotForAzureCLI"  // azure-cli would not find the share of a key
	ThumbprintWrong Code = "ThumbprintWrong" // the label of a share is not written as azure-cli writes it
	ByteOrderMark   Code = "ByteOrderMark"   // azure-cli refuses the file for its first bytes
	OuterForm       Code = "OuterForm"       // azure-cli refuses the file for the object around it
	KeyExposed      Code = "KeyExposed"      // others may read a key file
)

// The notes.
const (
	OtherVersion   Code = "OtherVersion"   // the version is not 2
	OtherKDF       Code = "OtherKDF"       // the key derivation has another name
	KeyTwice       Code = "KeyTwice"       // a key was given twice
	NoIdentity     Code = "NoIdentity"     // the parts do not name their HSM in the known form
	NothingToCheck Code = "NothingToCheck" // the attestation could not be compared
)

// severity says in which list a finding is.
type severity int

const (
	asError severity = iota
	asWarning
	asNote
)

// Finding is one thing that was found. It has no secret.
type Finding struct {
	Code Code   `json:"code"`
	Text string `json:"text"`

	severity severity
	ofKey    bool // the file may be good
}

func (f *File) wrong(code Code, format string, args ...any) {
	f.found = append(f.found, Finding{Code: code, Text: fmt.Sprintf(format, args...)})
}

func (f *File) warn(code Code, text string) {
	f.found = append(f.found, Finding{Code: code, Text: text, severity: asWarning})
}

func (f *File) note(code Code, text string) {
	f.found = append(f.found, Finding{Code: code, Text: text, severity: asNote})
}

// Holder is a share of the file, with the known facts about the person who holds its key.
type Holder struct {
	Number     int        `json:"number"` // in the order of the file, from 1
	Thumbprint string     `json:"thumbprint,omitempty"`
	X5T        string     `json:"x5t256,omitempty"` // the thumbprint in base64url, as the file has it
	Subject    string     `json:"subject,omitempty"`
	Expires    *time.Time `json:"expires,omitempty"`
	OpenedBy   []string   `json:"openedBy"` // the names of the keys
}

// KeyReport is a key that was given.
type KeyReport struct {
	Name     string `json:"name"`
	Opens    []int  `json:"opens"`              // the numbers of shares
	AzureCLI string `json:"azureCli,omitempty"` // why azure-cli would not find the share; empty if it would, or opens none
}

// The states of a part.
const (
	Authentic    = "authentic"
	NotTried     = "not tried"
	NotAuthentic = "damaged"
	Missing      = "missing"
)

// PartReport is one of the three parts.
type PartReport struct {
	Tag   string `json:"tag"`
	State string `json:"state"`
}

// Report is the outcome of a check. It holds no share, key or part.
type Report struct {
	Outcome     Outcome      `json:"outcome"`
	Name        string       `json:"file"`
	SHA256      string       `json:"sha256,omitempty"`
	Size        int          `json:"size,omitempty"`
	Quorum      int          `json:"quorum,omitempty"`
	Opened      int          `json:"opened"` // different shares
	Holders     []Holder     `json:"holders"`
	Keys        []KeyReport  `json:"keys"`
	Parts       []PartReport `json:"parts"`
	Identity    *Identity    `json:"identity,omitempty"`
	Attestation string       `json:"attestation,omitempty"` // "same", "differs" or "not compared"
	Errors      []Finding    `json:"errors"`
	Warnings    []Finding    `json:"warnings"`
	Notes       []Finding    `json:"notes"`
}

// sort puts the findings into their lists, which are never nil.
func (r *Report) sort(found []Finding) {
	r.Errors, r.Warnings, r.Notes = []Finding{}, []Finding{}, []Finding{}
	for _, f := range found {
		switch f.severity {
		case asError:
			r.Errors = append(r.Errors, f)
		case asWarning:
			r.Warnings = append(r.Warnings, f)
		case asNote:
			r.Notes = append(r.Notes, f)
		}
	}
}

// Warn adds a warning that the caller found, such as the mode of a key file.
func (r *Report) Warn(code Code, text string) {
	r.Warnings = append(r.Warnings, Finding{Code: code, Text: text})
}

// Refused is the report about a file that is no security domain.
func Refused(name, sha256 string, size int, why error) Report {
	r := Report{Outcome: Unreadable, Name: name, SHA256: sha256, Size: size, Holders: []Holder{}, Keys: []KeyReport{}, Parts: []PartReport{}}
	r.sort([]Finding{{Code: NotRead, Text: why.Error()}})
	return r
}
