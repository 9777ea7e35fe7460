package securitydomain

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Statement says what one check proved. It has no secret, and each key that opened a share signs it.
type Statement struct {
	FileSHA256  string    `json:"fileSha256"`
	Holders     []string  `json:"holders"` // the thumbprints of all holders, in the order of the file
	Quorum      int       `json:"quorum"`
	Opened      []string  `json:"opened"` // the thumbprints of the holders who sign
	Parts       string    `json:"parts"`  // Authentic or NotTried
	ID          string    `json:"sdid,omitempty"`
	TrustAnchor string    `json:"trustAnchor,omitempty"`
	Checked     time.Time `json:"checked"`
	Tool        string    `json:"tool"`

	// Keys are the SHA-256 of the signers' public keys, in the order of Opened. [ReadStatement] has them from the certificates: one key may
	// have several.
	Keys []string `json:"-"`
}

// statementType keeps a signature from meaning anything else.
const statementType = "lifeboat-security-domain-statement"

// signedStatement is a JWS in JSON (RFC 7515, 7.2.1).
type signedStatement struct {
	Payload    string               `json:"payload"`
	Signatures []statementSignature `json:"signatures"`
}

type statementSignature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

type statementHeader struct {
	Algorithm   string   `json:"alg"`
	Type        string   `json:"typ"`
	Certificate [][]byte `json:"x5c"` // in base64, as encoding/json writes bytes
}

// Sign returns the statement about a check without errors, signed by each key that opened a share. Every one of them needs its
// certificate: a thumbprint is the hash of that, so that no person can state anything for another.
func Sign(random io.Reader, r Report, keys []Key, given []*x509.Certificate, checked time.Time, tool string) ([]byte, error) {
	s := Statement{FileSHA256: r.SHA256, Quorum: r.Quorum, Parts: NotTried, Checked: checked.UTC().Truncate(time.Second), Tool: tool}
	if r.Outcome == Recoverable {
		s.Parts = Authentic
	}
	if r.Identity != nil {
		s.ID = r.Identity.ID
		if r.Identity.Anchor != nil {
			s.TrustAnchor = r.Identity.Anchor.SHA256
		}
	}
	for _, h := range r.Holders {
		s.Holders = append(s.Holders, h.Thumbprint)
	}
	signers := map[string]signer{}
	for i, key := range r.Keys {
		for _, n := range key.Opens {
			thumbprint := r.Holders[n-1].Thumbprint
			if _, twice := signers[thumbprint]; twice {
				continue
			}
			cert := certificateOf(keys[i], given, thumbprint)
			if cert == nil {
				return nil, fmt.Errorf("%s cannot sign without the certificate of share %d, with the thumbprint %s: give it with --certificate",
					key.Name, n, thumbprint)
			}
			signers[thumbprint] = signer{keys[i].Private, cert}
			s.Opened = append(s.Opened, thumbprint)
		}
	}
	if len(s.Opened) == 0 {
		return nil, errors.New("no key opened a share: there is nothing to state")
	}
	if s.Parts == Authentic && len(s.Opened) < r.Quorum {
		return nil, errors.New("fewer people than the quorum opened the file: nothing can be stated for a quorum")
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	signed := signedStatement{Payload: base64.RawURLEncoding.EncodeToString(payload)}
	for _, thumbprint := range s.Opened {
		signature, err := signers[thumbprint].sign(random, signed.Payload)
		if err != nil {
			return nil, err
		}
		signed.Signatures = append(signed.Signatures, signature)
	}
	content, err := json.MarshalIndent(signed, "", "  ")
	return append(content, '\n'), err
}

type signer struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func (s signer) sign(random io.Reader, payload string) (signature statementSignature, err error) {
	header, err := json.Marshal(statementHeader{"PS256", statementType, [][]byte{s.cert.Raw}})
	if err != nil {
		return signature, err
	}
	signature.Protected = base64.RawURLEncoding.EncodeToString(header)
	sum := sha256.Sum256([]byte(signature.Protected + "." + payload))
	made, err := rsa.SignPSS(random, s.key, crypto.SHA256, sum[:], pss)
	signature.Signature = base64.RawURLEncoding.EncodeToString(made)
	return signature, err
}

// certificateOf returns the certificate with the thumbprint, if it is at hand and of that key.
func certificateOf(key Key, given []*x509.Certificate, thumbprint string) *x509.Certificate {
	beside, _, err := Certificates(key.Beside)
	if err == nil {
		given = append(beside, given...)
	}
	for _, cert := range given {
		if hexThumbprint(cert) == thumbprint && sameKey(cert, key.Private) {
			return cert
		}
	}
	return nil
}

func hexThumbprint(cert *x509.Certificate) string {
	return strings.ToUpper(hex.EncodeToString(thumbprintOf(cert)))
}

// maxStatement is more than ten signatures of RSA 8192 need, each with its certificate.
const maxStatement = 256 << 10

// ReadStatement reads a statement, and checks that each holder in it who opened a share signed it. Whether these are the holders of a
// file can be told by that file alone.
func ReadStatement(content []byte) (s Statement, err error) {
	if len(content) > maxStatement {
		return s, fmt.Errorf("it has %d bytes, and at most %d are read", len(content), maxStatement)
	}
	var signed signedStatement
	if err := strictly(content, &signed); err != nil {
		return s, errors.New("it is no statement about a security domain: " + short(err.Error()))
	}
	payload, err := decode64(signed.Payload)
	if err != nil {
		return s, errors.New("its payload is not written in base64url")
	}
	var read Statement
	if err := strictly(payload, &read); err != nil {
		return s, errors.New("its payload is no statement: " + short(err.Error()))
	}
	if len(signed.Signatures) == 0 || len(signed.Signatures) > maxHolders {
		return s, fmt.Errorf("it has %d signatures, and a statement has 1 to %d", len(signed.Signatures), maxHolders)
	}
	var by []string
	for n, signature := range signed.Signatures {
		cert, err := signature.check(signed.Payload)
		if err != nil {
			return s, fmt.Errorf("its signature %d is wrong: %w", n+1, err)
		}
		thumbprint := hexThumbprint(cert)
		if slices.Contains(by, thumbprint) || !slices.Contains(read.Holders, thumbprint) {
			return s, fmt.Errorf("its signature %d is by no further holder of the file", n+1)
		}
		key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		by, read.Keys = append(by, thumbprint), append(read.Keys, hex.EncodeToString(key[:]))
	}
	if !slices.Equal(by, read.Opened) {
		return s, errors.New("its signatures are not by the holders who opened their shares")
	}
	people := len(slices.Compact(slices.Sorted(slices.Values(read.Keys))))
	if read.Parts != NotTried && (read.Parts != Authentic || people < max(read.Quorum, minQuorum)) {
		return s, errors.New("it says more about the parts than so many holders can know")
	}
	return read, read.check()
}

// check finds what no check of a file writes.
func (s Statement) check() error {
	isHash := func(text, digits string) bool { return len(text) == 2*sha256.Size && strings.Trim(text, digits) == "" }
	const lower, upper = "0123456789abcdef", "0123456789ABCDEF"
	switch {
	case !isHash(s.FileSHA256, lower) || s.TrustAnchor != "" && !isHash(s.TrustAnchor, lower):
		return errors.New("it has a hash that is no SHA-256")
	case slices.ContainsFunc(s.Holders, func(one string) bool { return !isHash(one, upper) }):
		return errors.New("it has a holder without a thumbprint")
	case len(s.Holders) < minQuorum || len(s.Holders) > maxHolders || s.Quorum < minQuorum || s.Quorum > maxHolders:
		return fmt.Errorf("it is about %d holders and a quorum of %d, which no security domain has", len(s.Holders), s.Quorum)
	case s.Checked.IsZero():
		return errors.New("it has no time")
	}
	return nil
}

// check returns the certificate of the holder who made the signature.
func (s statementSignature) check(payload string) (*x509.Certificate, error) {
	header, err := decode64(s.Protected)
	if err != nil {
		return nil, errors.New("its header is not written in base64url")
	}
	var h statementHeader
	if err := strictly(header, &h); err != nil || h.Algorithm != "PS256" || h.Type != statementType || len(h.Certificate) != 1 {
		return nil, errors.New("its header is none of a statement")
	}
	cert, err := x509.ParseCertificate(h.Certificate[0])
	if err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minBits || key.N.BitLen() > maxBits {
		return nil, errors.New("its certificate has no RSA key of a holder")
	}
	signature, err := decode64(s.Signature)
	if err != nil {
		return nil, errors.New("it is not written in base64url")
	}
	sum := sha256.Sum256([]byte(s.Protected + "." + payload))
	if err := rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, pss); err != nil {
		return nil, errors.New("the key of its certificate did not make it")
	}
	return cert, nil
}

// strictly reads JSON that has known members alone, and nothing behind it.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more stands behind it")
	}
	return nil
}
