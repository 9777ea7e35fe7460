package securitydomain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxSize is the size of the largest file that is read; a real one of ten holders has 25 kB.
const MaxSize = 1 << 20

const (
	minQuorum  = 2
	minHolders = 3
	maxHolders = 10
)

// tags are the tags of the parts that a security domain encloses, in the order of a download.
var tags = []string{"hsm_backup", "base_enclave_backup", "partition_enclave_backup"}

// File is a security domain as it lies there, with what can be seen of it without a key.
type File struct {
	sha256  string
	size    int
	version string // as it is written, or empty
	quorum  int
	shares  []share
	parts   []part
	found   []Finding
}

// share is the piece of one holder: the text of its JWE, or why it cannot be read.
type share struct {
	thumbprint []byte // the certificate's; nil if none can be read
	label      string // the thumbprint as it is written
	jwe        jwe
	err        error
}

type part struct {
	tag string
	jwe jwe
	err error
}

// Parse reads a security domain. The error says why it is none; damage to one share or part is no error.
func Parse(content []byte) (*File, error) {
	sum := sha256.Sum256(content)
	f := &File{sha256: hex.EncodeToString(sum[:]), size: len(content)}
	if len(content) > MaxSize {
		return nil, tooLarge(int64(len(content)))
	}
	text, err := f.inner(content)
	if err != nil {
		return nil, err
	}
	top, err := members(text)
	if err != nil {
		return nil, errors.New("it is no JSON object: " + short(err.Error()))
	}
	switch {
	case top["SplitKeys"] != nil:
		return nil, errors.New("it is a security domain of version 1 (SplitKeys), which azure-cli never read")
	case top["WrappedKey"] != nil && top["SharedKeys"] == nil:
		return nil, errors.New("it is a restore blob, which one HSM's exchange key wraps: look for the file that the activation downloaded")
	case top["SharedKeys"] == nil || top["EncData"] == nil:
		return nil, errors.New("it has no SharedKeys and EncData: it is no security domain")
	}
	f.version = strings.TrimSpace(string(top["version"]))
	if f.version != "2" {
		f.note(OtherVersion, "its version is "+written(f.version)+", and 2 is known; azure-cli does not look at it")
	}
	if err := f.readShares(top["SharedKeys"]); err != nil {
		return nil, err
	}
	return f, f.readParts(top["EncData"])
}

// tooLarge is the error of a file of that size.
func tooLarge(size int64) error {
	return fmt.Errorf("it has %d bytes, and at most %d are read: a security domain of ten holders has about 25,000", size, MaxSize)
}

// inner returns the text of the security domain, without what may stand around it.
func (f *File) inner(content []byte) ([]byte, error) {
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, errors.New("it is UTF-16, as > of PowerShell writes it, and azure-cli reads UTF-8 alone: convert a copy of it")
	}
	text, marked := bytes.CutPrefix(content, []byte("\xef\xbb\xbf"))
	if marked {
		f.warn(ByteOrderMark, "it begins with a byte order mark, with which azure-cli refuses it: take the first three bytes from a copy")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("it is no UTF-8 text")
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty")
	}
	top, err := members(text)
	if err != nil || top["value"] == nil || top["SharedKeys"] != nil {
		return text, nil
	}
	var value string
	if json.Unmarshal(top["value"], &value) != nil {
		return text, nil
	}
	f.warn(OuterForm, "it is the answer of the service around the file, {\"value\": …}, which azure-cli refuses: "+
		"keep a second copy of the text inside")
	return []byte(value), nil
}

func (f *File) readShares(text []byte) error {
	keys, err := members(text)
	if err != nil {
		return errors.New("its SharedKeys are no object")
	}
	var algorithm string
	if json.Unmarshal(keys["key_algorithm"], &algorithm) != nil || algorithm != "shamir_share" {
		return errors.New("its key_algorithm is " + written(string(keys["key_algorithm"])) + ", and only shamir_share is known")
	}
	if json.Unmarshal(keys["required"], &f.quorum) != nil || keys["required"][0] == 'n' {
		return errors.New("its quorum (required) is " + written(string(keys["required"])) + ", which is no number")
	}
	var list []json.RawMessage
	if json.Unmarshal(keys["enc_shares"], &list) != nil {
		return errors.New("its enc_shares are no list")
	}
	if len(list) == 0 || len(list) > maxHolders {
		return fmt.Errorf("it lists %d shares, and a security domain has 3 to %d", len(list), maxHolders)
	}
	if f.quorum < minQuorum || f.quorum > len(list) {
		f.wrong(QuorumWrong, "its quorum (required) is %d of %d holders, which no download has", f.quorum, len(list))
	}
	if len(list) < minHolders {
		f.wrong(ShareMissing, "it lists %d shares, and each download has %d to %d: some were taken out", len(list), minHolders, maxHolders)
	}
	for n, text := range list {
		s := readShare(text)
		f.shares = append(f.shares, s)
		if s.err != nil {
			f.wrong(ShareDamaged, "share %d cannot be read: %v", n+1, s.err)
		}
		if s.thumbprint == nil {
			f.warn(ThumbprintWrong, fmt.Sprintf("the thumbprint of share %d is none (%s): azure-cli would not find the share", n+1, written(s.label)))
		} else if s.label != base64.RawURLEncoding.EncodeToString(s.thumbprint) {
			f.warn(ThumbprintWrong, fmt.Sprintf("the thumbprint of share %d is not written in base64url: azure-cli would not find the share", n+1))
		}
	}
	return nil
}

func readShare(text []byte) (s share) {
	entry, err := members(text)
	if err != nil {
		s.err = errors.New("it is no object")
		return s
	}
	_ = json.Unmarshal(entry["x5t_256"], &s.label) // a label that is no text stays empty
	s.thumbprint = readThumbprint(s.label)
	var compact string
	if json.Unmarshal(entry["enc_key"], &compact) != nil {
		s.err = errors.New("it has no enc_key")
		return s
	}
	s.jwe, s.err = parseJWE(compact, "RSA-OAEP-256", nil)
	return s
}

// readThumbprint reads the SHA-256 of a certificate, in base64url as the service writes it, or in hex as people do.
func readThumbprint(label string) []byte {
	for _, decode := range []func(string) ([]byte, error){decode64, hex.DecodeString} {
		if sum, err := decode(label); err == nil && len(sum) == sha256.Size {
			return sum
		}
	}
	return nil
}

func (f *File) readParts(text []byte) error {
	enclosed, err := members(text)
	if err != nil {
		return errors.New("its EncData are no object")
	}
	var kdf string
	if json.Unmarshal(enclosed["kdf"], &kdf) != nil || kdf != "sp108_kdf" {
		f.note(OtherKDF, "its kdf is "+written(string(enclosed["kdf"]))+", and sp108_kdf is known")
	}
	var list []json.RawMessage
	if json.Unmarshal(enclosed["data"], &list) != nil {
		return errors.New("its EncData have no list of parts")
	}
	if len(list) > 2*len(tags) {
		return fmt.Errorf("it lists %d parts, and a security domain has %d", len(list), len(tags))
	}
	for _, text := range list {
		p := readPart(text)
		if p.err != nil {
			f.wrong(PartDamaged, "the part %s cannot be read: %v", written(p.tag), p.err)
		}
		if f.part(p.tag) != nil {
			f.wrong(PartTwice, "the part %s is there twice", p.tag)
			continue
		}
		f.parts = append(f.parts, p)
	}
	for _, tag := range tags {
		if f.part(tag) == nil {
			f.wrong(PartMissing, "the part %s is missing; azure-cli does not look for it", tag)
		}
	}
	return nil
}

func (f *File) part(tag string) *part {
	for i := range f.parts {
		if f.parts[i].tag == tag {
			return &f.parts[i]
		}
	}
	return nil
}

func readPart(text []byte) (p part) {
	entry, err := members(text)
	if err != nil {
		p.err = errors.New("it is no object")
		return p
	}
	_ = json.Unmarshal(entry["tag"], &p.tag) // a tag that is no text stays empty
	known := false
	for _, tag := range tags {
		known = known || tag == p.tag
	}
	var compact string
	switch {
	case !known:
		p.err = errors.New("its tag is unknown")
	case json.Unmarshal(entry["compact_jwe"], &compact) != nil:
		p.err = errors.New("it has no compact_jwe")
	default:
		p.jwe, p.err = parseJWE(compact, "dir", &p.tag)
	}
	return p
}

// members returns the members of a JSON object by their exact names; encoding/json would take Version for version.
func members(text []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("it is null")
	}
	return m, nil
}

// written returns a text of the file for a message: short, on one line.
func written(text string) string {
	if text == "" {
		return "missing"
	}
	return fmt.Sprintf("%q", short(text))
}

func short(text string) string {
	const most = 60
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
