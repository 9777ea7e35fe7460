package managedhsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm/securitydomain"
)

// domainBlock is the member of the block about the security domain.
type domainBlock struct {
	Every   string   `json:"every"`
	Quorum  int      `json:"quorum"`
	Holders []string `json:"holders"`
}

// custody is the trait of an HSM: its security domain lies with people.
func custody() *backup.Custody {
	return &backup.Custody{
		Title: "security domain",
		Asks:  func(b backup.Blocks) bool { return domainOf(b) != nil },
		Add:   addStatement,
		Judge: func(b backup.Blocks, record json.RawMessage, now time.Time) backup.Proof {
			return domainOf(b).judge(record, now)
		},
	}
}

// domainOf returns the member; nil if the block has none, or cannot be read.
func domainOf(blocks backup.Blocks) *domainBlock {
	var b block
	if err := blocks.Read(field, &b); err != nil {
		return nil
	}
	return b.SecurityDomain
}

// checkBlock finds what the schema cannot say.
func checkBlock(blocks backup.Blocks, _ backup.Resource) (string, error) {
	const member = "securityDomain"
	d := domainOf(blocks)
	if d == nil || d.Holders == nil {
		return member, nil
	}
	listed := slices.Compact(slices.Sorted(slices.Values(d.thumbprints())))
	switch {
	case len(listed) < len(d.Holders):
		return member, errors.New("securityDomain.holders has one holder twice")
	case len(listed) > mostHolders:
		return member, fmt.Errorf("securityDomain.holders has %d holders, and a security domain has at most %d", len(listed), mostHolders)
	case d.Quorum > len(listed):
		return member, fmt.Errorf("securityDomain.quorum is %d, and only %d holders are listed", d.Quorum, len(listed))
	}
	return member, nil
}

// mostHolders is the greatest number of holders of a security domain (azure-cli 2.91 checks it before a request).
const mostHolders = 10

func (d *domainBlock) thumbprints() []string {
	upper := make([]string, len(d.Holders))
	for i, one := range d.Holders {
		upper[i] = strings.ToUpper(one)
	}
	return upper
}

// every returns the age at which a statement is too old. The schema has checked its form.
func (d *domainBlock) every() time.Duration {
	last := max(len(d.Every)-1, 0)
	n, _ := strconv.Atoi(d.Every[:last])
	if strings.HasSuffix(d.Every, "w") {
		n *= 7
	}
	return time.Duration(n) * 24 * time.Hour
}

// domainRecord is all that statements about the security domain of an HSM said.
type domainRecord struct {
	// Opened has the newest statement of each key.
	Opened []openedShare `json:"opened"`
	// Whole has the newest statement of a quorum about each file: its parts are undamaged.
	Whole []wholeFile `json:"whole"`
}

type openedShare struct {
	Key     string    `json:"key"`    // the SHA-256 of the public key
	Holder  string    `json:"holder"` // the thumbprint of its certificate
	File    string    `json:"file"`   // the SHA-256 of the file
	Quorum  int       `json:"quorum"`
	Of      int       `json:"of"`
	Checked time.Time `json:"checked"`
}

type wholeFile struct {
	File    string    `json:"file"`
	Holders []string  `json:"holders"`
	Signers []string  `json:"signers"`
	Quorum  int       `json:"quorum"`
	Anchor  string    `json:"anchor,omitempty"` // the SHA-256 of the trust anchor
	Checked time.Time `json:"checked"`
}

const (
	// mostKeys and mostWhole bound the record: a change of all holders, and three new downloads, leave room for strangers.
	mostKeys, mostWhole = 30, 4
	// ahead is the most that the clock of a holder's computer may be ahead: it has no network.
	ahead = 24 * time.Hour
)

// addStatement checks a statement and adds it to the record. An older statement of the same key, or about the same file, changes nothing: so
// no repeat takes a newer one's place.
func addStatement(record json.RawMessage, statement []byte, now time.Time) (json.RawMessage, error) {
	s, err := securitydomain.ReadStatement(statement)
	if err != nil {
		return nil, err
	}
	if s.Checked.After(now.Add(ahead)) {
		return nil, fmt.Errorf("it is of %s, which is to come: set the clock of that computer, and check again", s.Checked.UTC().Format(time.RFC3339))
	}
	r, err := readDomain(record)
	if err != nil {
		return nil, err
	}
	news := false
	for i, key := range s.Keys {
		is := openedShare{Key: key, Holder: s.Opened[i], File: s.FileSHA256, Quorum: s.Quorum, Of: len(s.Holders), Checked: s.Checked}
		at := slices.IndexFunc(r.Opened, func(was openedShare) bool { return was.Key == key })
		if at < 0 {
			at, r.Opened = len(r.Opened), append(r.Opened, openedShare{})
		}
		if is.Checked.After(r.Opened[at].Checked) {
			r.Opened[at], news = is, true
		}
	}
	if s.Parts == securitydomain.Authentic {
		is := wholeFile{File: s.FileSHA256, Holders: s.Holders, Signers: s.Opened, Quorum: s.Quorum, Anchor: s.TrustAnchor, Checked: s.Checked}
		at := slices.IndexFunc(r.Whole, func(was wholeFile) bool { return was.File == is.File })
		if at < 0 {
			at, r.Whole = len(r.Whole), append(r.Whole, wholeFile{})
		}
		if is.Checked.After(r.Whole[at].Checked) {
			r.Whole[at], news = is, true
		}
	}
	switch {
	case !news:
		return record, nil
	case len(r.Opened) > mostKeys || len(r.Whole) > mostWhole:
		return nil, fmt.Errorf("more than %d keys or %d files have statements: begin anew with the right ones, by --anew", mostKeys, mostWhole)
	}
	return backup.Encode(r), nil
}

func readDomain(record json.RawMessage) (r domainRecord, err error) {
	if record != nil {
		if err := json.Unmarshal(record, &r); err != nil {
			return r, fmt.Errorf("the former statements cannot be read: %w", err)
		}
	}
	return r, nil
}

// judge says what the record proves. The file is the one of the newest statement that counts.
func (d *domainBlock) judge(record json.RawMessage, now time.Time) backup.Proof {
	r, err := readDomain(record)
	if d == nil || err != nil {
		return backup.Proof{Status: backup.ProofUnknown, Reason: unknownDomain}
	}
	whole := slices.DeleteFunc(r.Whole, func(w wholeFile) bool { return !d.trusts(w) })
	var counted, elsewhere []openedShare
	for _, o := range r.Opened {
		if d.counts(o, whole) {
			counted = append(counted, o)
		} else if isHolder(o, whole) {
			elsewhere = append(elsewhere, o)
		}
	}
	if len(counted) == 0 {
		p := backup.Proof{Status: backup.ProofUnknown, Reason: unknownDomain, Quorum: d.Quorum, Of: len(d.Holders)}
		if stored := len(r.Opened); stored > 0 {
			p.Reason.Message = fmt.Sprintf("the statements of %d keys are stored, and none counts: the plan does not list their holders, and no "+
				"full check of the file that counts is stored", stored)
		}
		return p
	}
	sort.Slice(counted, func(i, j int) bool { // without a copy of the sort for the type
		if n := counted[i].Checked.Compare(counted[j].Checked); n != 0 {
			return n > 0
		}
		return counted[i].Holder < counted[j].Holder
	})
	file, recent := counted[0].File, func(o openedShare) bool { return now.Sub(o.Checked) < d.every() }
	p := backup.Proof{Status: backup.ProofLate, Quorum: d.Quorum}
	var mine, others []openedShare
	for _, o := range slices.Concat(counted, elsewhere) {
		switch {
		case o.File == file && d.counts(o, whole):
			mine = append(mine, o)
			p.Quorum, p.Of = max(p.Quorum, o.Quorum), max(p.Of, o.Of)
			if recent(o) {
				p.Holders++
			}
		case o.File != file && recent(o):
			others = append(others, o)
		}
	}
	authentic := false
	for _, w := range whole {
		if w.File == file {
			authentic, p.Quorum, p.Of = true, max(p.Quorum, w.Quorum), max(p.Of, len(w.Holders))
		}
	}
	if authentic && len(mine) >= p.Quorum {
		p.Proven = mine[p.Quorum-1].Checked
	}
	switch conflict := anotherAnchor(whole, file); {
	case conflict != "":
		p.Status, p.Reason = backup.ProofConflict, backup.NewReason("SecurityDomainChanged", conflict,
			"Run lifeboat security-domain check FILE --attestation to see which one the HSM has today, and keep that file. Then say so: "+
				"lifeboat security-domain attest TARGET STATEMENT --anew.")
	case len(others) > 0:
		p.Reason = backup.NewReason("SecurityDomainFilesDiffer", fmt.Sprintf("holder %s opened the file %s, and holder %s another one, %s",
			short(counted[0].Holder), short(file), short(others[0].Holder), short(others[0].File)),
			"Give each holder a copy of the right file, and have those who checked another one check again. If all have a new file, say so: "+
				"lifeboat security-domain attest TARGET STATEMENT --anew.")
	case !authentic:
		p.Reason = backup.NewReason("SecurityDomainPartsUnproven", "no statement says that the three parts of the file "+short(file)+" are undamaged",
			"A quorum of holders meets once for each file: lifeboat security-domain check FILE --key KEY --key KEY --statement NEW.")
	case p.Holders < p.Quorum:
		p.Reason = backup.NewReason("SecurityDomainHoldersLate", fmt.Sprintf("%d of %d holders opened their shares within %s, and the quorum is %d",
			p.Holders, p.Of, d.Every, p.Quorum),
			"Have more holders check their keys: lifeboat security-domain check FILE --key KEY --holder --statement NEW; then "+
				"lifeboat security-domain attest TARGET NEW.")
	default:
		p.Status, p.Until = backup.Proven, p.Proven.Add(d.every())
	}
	return p
}

// trusts says whether the statement of a quorum counts: without a list, any does; else a quorum of listed holders must have signed it.
func (d *domainBlock) trusts(w wholeFile) bool {
	if d.Holders == nil {
		return true
	}
	listed := d.thumbprints()
	n := 0
	for _, signer := range w.Signers {
		if slices.Contains(listed, signer) {
			n++
		}
	}
	return n >= w.Quorum
}

// counts says whether the statement of one key counts: it is a holder's, by the plan or by a full check of the same file.
func (d *domainBlock) counts(o openedShare, whole []wholeFile) bool {
	return slices.Contains(d.thumbprints(), o.Holder) || slices.ContainsFunc(whole, func(w wholeFile) bool {
		return w.File == o.File && slices.Contains(w.Holders, o.Holder)
	})
}

// isHolder says whether a full check of any file reported the holder.
func isHolder(o openedShare, whole []wholeFile) bool {
	return slices.ContainsFunc(whole, func(w wholeFile) bool { return slices.Contains(w.Holders, o.Holder) })
}

// anotherAnchor says which files are security domains of different HSMs; "" if none are.
func anotherAnchor(whole []wholeFile, file string) string {
	i := slices.IndexFunc(whole, func(w wholeFile) bool { return w.File == file && w.Anchor != "" })
	if i < 0 {
		i = slices.IndexFunc(whole, func(w wholeFile) bool { return w.Anchor != "" })
	}
	for _, w := range whole {
		if w.Anchor != "" && w.Anchor != whole[i].Anchor {
			return fmt.Sprintf("the file %s has the trust anchor %s, and the file %s another one, %s: they are the security domains of different HSMs",
				short(whole[i].File), short(whole[i].Anchor), short(w.File), short(w.Anchor))
		}
	}
	return ""
}

// short is enough of a hash for people to tell two apart.
func short(hash string) string { return hash[:min(16, len(hash))] }

// unknownDomain is the reason until the first statement that counts.
var unknownDomain = backup.NewReason("SecurityDomainUnknown", "no holder has stated yet that the security domain opens",
	"A quorum of holders checks the file: lifeboat security-domain check FILE --key KEY --key KEY --statement NEW; then "+
		"lifeboat security-domain attest TARGET NEW.")
