package securitydomain

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Key is a private key that a person gave, or why it could not be read.
type Key struct {
	Name    string
	Private *rsa.PrivateKey
	Err     error
	// Beside is the content of the file AzureCertificate(Name), or nil if there is none.
	Beside []byte
}

// Clear overwrites the numbers of the key that can be reached.
func (k *Key) Clear() {
	if k.Private != nil {
		clearKey(k.Private)
		k.Private = nil
	}
}

// Options say what to check, and against what.
type Options struct {
	// Alone says that keys must not meet: each opens its own share, and no shares are put together.
	Alone bool
	// Certificates of holders give names to thumbprints.
	Certificates []*x509.Certificate
	// Attestation has the certificates of a key's attestation, or nothing.
	Attestation []*x509.Certificate
}

// check is a check under way.
type check struct {
	*File
	keys   []Key
	opens  [][]int // by key, the shares that it opens
	points []*point
	report Report
}

// Check tries every key on every share, and what they open on the parts. Name is the file's name for the report.
func (f *File) Check(name string, keys []Key, o Options) Report {
	c := check{File: f, keys: keys, opens: make([][]int, len(keys)), points: make([]*point, len(f.shares))}
	c.report = Report{Name: name, SHA256: f.sha256, Size: f.size, Quorum: f.quorum, Keys: []KeyReport{}}
	before := len(f.found)
	certificates := c.certificates(o.Certificates)
	c.openShares(certificates)
	usable := c.usable()
	c.report.Opened = len(usable)
	var s solution
	if !o.Alone {
		s = f.solve(usable)
	}
	c.reportParts(s)
	whole := s.parts == len(tags) && len(f.parts) == len(tags)
	if s.parts > 0 {
		c.compareQuorum(s)
		c.compareShares(s)
	} else if !o.Alone && len(usable) >= f.quorum && f.quorum >= minQuorum && f.readable() > 0 {
		c.disagree(usable)
	}
	c.comparePositions(s)
	c.attest(o.Attestation)
	c.reportHolders(certificates)
	c.report.sort(f.found)
	c.report.Outcome = c.outcome(whole && s.quorum <= f.quorum && f.quorum <= len(f.shares))
	f.found = f.found[:before] // a second check begins anew
	for _, p := range c.points {
		if p != nil {
			*p = point{}
		}
	}
	clear(usable)
	clear(s.chosen)
	clear(s.master[:])
	return c.report
}

func (c *check) outcome(recoverable bool) Outcome {
	switch {
	case recoverable:
		return Recoverable
	case slices.ContainsFunc(c.report.Errors, func(f Finding) bool { return !f.ofKey }):
		return Damaged
	}
	return QuorumNotReached
}

// wrongKey notes a fault that is none of the file.
func (c *check) wrongKey(code Code, format string, args ...any) {
	c.found = append(c.found, Finding{Code: code, Text: fmt.Sprintf(format, args...), ofKey: true})
}

// certificates returns the given ones, and the ones beside the keys.
func (c *check) certificates(given []*x509.Certificate) []*x509.Certificate {
	all := slices.Clone(given)
	for _, key := range c.keys {
		if found, _, err := Certificates(key.Beside); err == nil {
			all = append(all, found...)
		}
	}
	return all
}

// openShares tries every key on every share.
func (c *check) openShares(certificates []*x509.Certificate) {
	for k, key := range c.keys {
		if key.Private == nil {
			c.wrongKey(KeyUnreadable, "%s: %v", key.Name, key.Err)
			continue
		}
		if first := c.sameAs(k); first >= 0 {
			c.note(KeyTwice, fmt.Sprintf("%s is the same key as %s, and counts once", key.Name, c.keys[first].Name))
			c.opens[k] = c.opens[first]
			continue
		}
		fits, damaged := false, false
		for s := range c.shares {
			fits = fits || c.shares[s].err == nil && len(c.shares[s].jwe.wrapped) == key.Private.Size()
			p, unwrapped, err := c.shares[s].open(key.Private)
			switch {
			case unwrapped && err != nil:
				c.wrong(ShareDamaged, "share %d is damaged: %s is its key, and %v", s+1, key.Name, err)
				damaged = true
			case unwrapped:
				c.points[s] = &p
				c.opens[k] = append(c.opens[k], s)
			}
		}
		if len(c.opens[k]) == 0 && !damaged {
			c.opensNothing(key, fits, certificates)
		}
	}
}

// sameAs returns the first key before k with the same number, or -1.
func (c *check) sameAs(k int) int {
	for i, other := range c.keys[:k] {
		if other.Private != nil && other.Private.PublicKey.Equal(&c.keys[k].Private.PublicKey) {
			return i
		}
	}
	return -1
}

// opensNothing says why a key opens no share. Only a certificate tells a foreign key from a damaged share.
func (c *check) opensNothing(key Key, fits bool, certificates []*x509.Certificate) {
	certified := false
	for _, cert := range certificates {
		certified = certified || sameKey(cert, key.Private)
		for n, s := range c.shares {
			if sameKey(cert, key.Private) && slices.Equal(s.thumbprint, thumbprintOf(cert)) {
				if s.err != nil {
					return // and Parse has said so
				}
				c.wrong(ShareDamaged, "share %d is damaged: %s is its key by the certificate, and does not unwrap it", n+1, key.Name)
				return
			}
		}
	}
	if !fits {
		c.wrongKey(KeyOpensNothing, "%s opens no share: no share is wrapped for RSA %d", key.Name, key.Private.N.BitLen())
		return
	}
	if certified {
		c.wrongKey(KeyOpensNothing, "%s opens no share: no share has the thumbprint of its certificate, so that it is no holder's key, or was "+
			"renewed and its share is damaged", key.Name)
		return
	}
	c.wrongKey(KeyOpensNothing, "%s opens no share: it is no holder's key, or its share is damaged; its certificate would tell", key.Name)
}

// open opens the share. unwrapped tells whether the key is its key; then the error says what is damaged.
func (s share) open(key *rsa.PrivateKey) (p point, unwrapped bool, err error) {
	if s.err != nil || len(s.jwe.wrapped) != key.Size() {
		return p, false, nil
	}
	contentKey, err := rsa.DecryptOAEP(sha256.New(), nil, key, s.jwe.wrapped, nil)
	if err != nil {
		return p, false, nil
	}
	defer clear(contentKey)
	content, err := s.jwe.open(contentKey)
	if err != nil {
		return p, true, err
	}
	defer clear(content)
	p, err = readPoint(content)
	return p, true, err
}

// usable returns the opened shares, each once, and warns of shares that one person has.
func (c *check) usable() (points []point) {
	for k, opens := range c.opens {
		if len(opens) > 1 && c.keys[k].Private != nil && c.sameAs(k) < 0 {
			c.warn(FewerPeople, fmt.Sprintf("%s opens %s: fewer people than the quorum says can open the file", c.keys[k].Name, shareNumbers(opens)))
		}
	}
	for n, s := range c.shares {
		for m := range n {
			if s.thumbprint != nil && slices.Equal(s.thumbprint, c.shares[m].thumbprint) {
				c.warn(FewerPeople, fmt.Sprintf("shares %d and %d are of one certificate: fewer people than the quorum says can open the file", m+1, n+1))
			}
		}
		if c.points[n] == nil {
			continue
		}
		if slices.Contains(points, *c.points[n]) {
			c.warn(FewerPeople, fmt.Sprintf("share %d is the same as one before it, and counts once", n+1))
			continue
		}
		points = append(points, *c.points[n])
	}
	return points
}

func shareNumbers(shares []int) string {
	var names []string
	for _, s := range shares {
		names = append(names, fmt.Sprint(s+1))
	}
	if len(names) == 1 {
		return "share " + names[0]
	}
	return "shares " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// reportParts says of each part whether the secret opens it, and reads the names of the HSM.
func (c *check) reportParts(s solution) {
	var found Identity
	for _, tag := range tags {
		state, p := NotTried, c.part(tag)
		switch {
		case p == nil:
			state = Missing
		case p.err != nil:
			state = NotAuthentic
		case s.parts > 0:
			key := partKey(s.master[:], tag)
			content, err := p.jwe.open(key)
			clear(key)
			if err != nil {
				state = NotAuthentic
				c.wrong(PartDamaged, "the part %s is damaged, or is of another download: %v", tag, err)
				break
			}
			state = Authentic
			found.name(tag, content)
			clear(content)
		}
		c.report.Parts = append(c.report.Parts, PartReport{tag, state})
	}
	if found != (Identity{}) {
		c.report.Identity = &found
	}
	if s.parts > 0 && (found.ID == "" || found.Anchor == nil) {
		c.note(NoIdentity, "the parts do not name their HSM in the form that is known")
	}
}

// compareQuorum compares the quorum that the file says with the one that the shares have.
func (c *check) compareQuorum(s solution) {
	if s.quorum != c.quorum {
		c.wrong(QuorumWrong, "the file asks for %d shares, and %d give the secret: its quorum (required) was changed", c.quorum, s.quorum)
	}
}

// compareShares finds opened shares that do not lie on the polynomial of the secret.
func (c *check) compareShares(s solution) {
	for n, p := range c.points {
		if p != nil && !p.fits(s.chosen[:s.quorum]) {
			c.wrong(ShareOfAnother, "share %d opens, and does not fit the others: it is of another download, or was changed", n+1)
		}
	}
}

// comparePositions finds opened shares behind the last place of the file: a download numbers its shares from 1.
func (c *check) comparePositions(s solution) {
	for n, p := range c.points {
		switch {
		case p == nil || p.x <= len(c.shares):
		case s.parts == 0:
			c.wrong(ShareMissing, "share %d is number %d of its download, and the file lists %d: some were taken out, or it is of another download",
				n+1, p.x, len(c.shares))
		case p.fits(s.chosen[:s.quorum]):
			c.wrong(ShareMissing, "share %d is number %d of its download, and the file lists %d: some were taken out", n+1, p.x, len(c.shares))
		}
	}
}

// disagree says what can be known if a quorum of shares opens no part.
func (c *check) disagree(usable []point) {
	positions := map[int]bool{}
	for _, p := range usable {
		positions[p.x] = true
	}
	const both = "%d shares open, and together they open no part: "
	switch {
	case len(positions) < c.quorum:
		c.wrong(SharesDisagree, both+"two are of one position, so that one is of another download", len(usable))
	case len(usable) == c.quorum:
		c.wrong(SharesDisagree, both+"the parts or one of the shares are of another download, or the quorum was changed; one more key would tell",
			len(usable))
	case !slices.ContainsFunc(usable[c.quorum:], func(p point) bool { return !p.fits(usable[:c.quorum]) }):
		c.wrong(SharesDisagree, both+"the shares fit each other, so that the parts are damaged, or of another download", len(usable))
	default:
		c.wrong(SharesDisagree, both+"the shares do not fit each other, so that some are of another download", len(usable))
	}
}

// attest compares the trust anchor with the attestation.
func (c *check) attest(certificates []*x509.Certificate) {
	switch {
	case len(certificates) == 0:
	case c.report.Identity == nil || c.report.Identity.Anchor == nil:
		c.report.Attestation = "not compared"
		c.note(NothingToCheck, "the attestation was not compared: the trust anchor of the file is not open")
	case c.report.Identity.Anchor.attests(certificates):
		c.report.Attestation = "same"
	default:
		c.report.Attestation = "differs"
		c.wrongKey(AttestationDiffers, "the trust anchor of the file is not the one of the attestation: it is the security domain of another HSM")
	}
}

// reportHolders says who the holders are, what each key opens, and whether azure-cli would find it.
func (c *check) reportHolders(certificates []*x509.Certificate) {
	for n, s := range c.shares {
		h := Holder{Number: n + 1, OpenedBy: []string{}}
		if s.thumbprint != nil {
			h.Thumbprint = strings.ToUpper(hex.EncodeToString(s.thumbprint))
			h.X5T = base64.RawURLEncoding.EncodeToString(s.thumbprint)
		}
		for _, cert := range certificates {
			if slices.Equal(s.thumbprint, thumbprintOf(cert)) {
				expires := cert.NotAfter.UTC()
				h.Subject, h.Expires = cert.Subject.String(), &expires
			}
		}
		for k, opens := range c.opens {
			if slices.Contains(opens, n) {
				h.OpenedBy = append(h.OpenedBy, c.keys[k].Name)
			}
		}
		c.report.Holders = append(c.report.Holders, h)
	}
	for k, key := range c.keys {
		r := KeyReport{Name: key.Name, Opens: []int{}}
		for _, s := range c.opens[k] {
			r.Opens = append(r.Opens, s+1)
		}
		if len(r.Opens) > 0 {
			if r.AzureCLI = c.azureCLI(key, c.opens[k]); r.AzureCLI != "" {
				c.warn(NotForAzureCLI, key.Name+": azure-cli would not use it: "+r.AzureCLI)
			}
		}
		c.report.Keys = append(c.report.Keys, r)
	}
}

// azureCLI says why azure-cli would not find the share of a key; it is empty if it would.
func (c *check) azureCLI(key Key, opens []int) string {
	path := AzureCertificate(key.Name)
	if key.Beside == nil {
		return "it looks for the certificate " + path + ", which is not there"
	}
	found, isPEM, err := Certificates(key.Beside)
	if err != nil || !isPEM || len(found) == 0 {
		return "it looks for the certificate " + path + ", which is no PEM"
	}
	label := base64.RawURLEncoding.EncodeToString(thumbprintOf(found[0]))
	for n, s := range c.shares {
		if s.label != label {
			continue
		}
		if !slices.Contains(opens, n) {
			return fmt.Sprintf("by %s it takes share %d, which the key does not open", path, n+1)
		}
		return ""
	}
	return "no share has the thumbprint of " + path + ", which was renewed or is another's: keep the first one"
}
