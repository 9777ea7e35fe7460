package securitydomain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"

	"lifeboat/internal/pattern"
)

// Identity is the HSM whose security domain a file is, by the two names in its parts.
type Identity struct {
	ID     string  `json:"sdid,omitempty"`
	Anchor *Anchor `json:"trustAnchor,omitempty"`
}

// Anchor is the certificate that the HSM made for itself when it was activated.
type Anchor struct {
	Name      string    `json:"name"` // the HSM that was activated
	Activated time.Time `json:"activated"`
	SHA256    string    `json:"sha256"`
	cert      *x509.Certificate
}

// domainID is the form of the ID. A part holds keys, so that no other text of it may get out.
var domainID = pattern.New(`^[0-9]{1,4}:M-HSM:[0-9A-Fa-f-]{36}:[0-9A-Fa-f]{1,16}$`)

// name reads what an opened part says about its HSM, and nothing else of it.
func (i *Identity) name(tag string, content []byte) {
	switch tag {
	case "base_enclave_backup":
		if id := textOf(content, "sdid"); domainID.Match(id) {
			i.ID = string(id)
		}
	case "partition_enclave_backup":
		encoded := textOf(content, "pota_certificate")
		der := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
		n, err := base64.StdEncoding.Decode(der, encoded)
		if err != nil {
			return
		}
		cert, err := x509.ParseCertificate(der[:n])
		if err != nil {
			return
		}
		sum := sha256.Sum256(cert.Raw)
		i.Anchor = &Anchor{Name: short(cert.Subject.CommonName), Activated: cert.NotBefore.UTC(), SHA256: hex.EncodeToString(sum[:]), cert: cert}
	}
}

// sizes are the lengths of the values of BSON whose types have one.
var sizes = map[byte]int{0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0a: 0, 0x10: 4, 0x11: 8, 0x12: 8}

// textOf returns a text of a BSON document by its name, or nil if the document has none. It is a piece of the document.
func textOf(document []byte, name string) []byte {
	if len(document) < 5 || uint64(binary.LittleEndian.Uint32(document)) != uint64(len(document)) {
		return nil
	}
	for rest := document[4:]; len(rest) > 1; {
		kind := rest[0]
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return nil
		}
		key := rest[1 : 1+end]
		rest = rest[2+end:]
		size, known := sizes[kind]
		if !known {
			if len(rest) < 4 {
				return nil
			}
			n := uint64(binary.LittleEndian.Uint32(rest))
			switch kind {
			case 0x02: // a text, with its length before it
				n += 4
			case 0x03, 0x04: // a document or a list, whose length counts itself
			case 0x05: // bytes, with their length and type before them
				n += 5
			default:
				return nil
			}
			if n < 5 || n > uint64(len(rest)) {
				return nil
			}
			size = int(n)
		}
		if size > len(rest) {
			return nil
		}
		if kind == 0x02 && string(key) == name {
			return rest[4 : size-1]
		}
		rest = rest[size:]
	}
	return nil
}
