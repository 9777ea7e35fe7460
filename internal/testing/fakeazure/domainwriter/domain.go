package domainwriter

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// The tags of the three parts, in their order.
const (
	HSM       = "hsm_backup"
	Enclave   = "base_enclave_backup"
	Partition = "partition_enclave_backup"
)

// Part is an enclosed part before it is encrypted.
type Part struct {
	Tag     string
	Content []byte
}

// Domain is a security domain in clear, as no client ever sees it.
type Domain struct {
	Name      string // the HSM's
	ID        string
	Quorum    int
	Holders   []Holder
	Master    [32]byte
	Shares    [][]byte // by holder
	Parts     []Part
	anchor    *x509.Certificate
	anchorKey *rsa.PrivateKey
}

// Holder is a person with a key and its certificate.
type Holder struct {
	Name string
	Key  *rsa.PrivateKey
	Cert *x509.Certificate
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err) // nothing here depends on an input
	}
	return value
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

// NewHolder makes a key and a certificate for a year, which has long expired as real ones have.
func NewHolder(name string, bits int) Holder {
	return Holder{Name: name, Key: NewKey(bits)}.Renewed(2021)
}

// Renewed returns the holder with another certificate on the same key.
func (h Holder) Renewed(year int) Holder {
	from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(random(16)), Subject: pkix.Name{CommonName: h.Name}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
	}
	h.Cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, &h.Key.PublicKey, h.Key))))
	return h
}

// PEM returns the certificate.
func (h Holder) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Cert.Raw})
}

// KeyPEM returns the key in PKCS #1.
func (h Holder) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(h.Key)})
}

// New makes the security domain of an HSM with that name, which was activated in 2023, for the holders. AnchorKey signs for the HSM.
func New(name string, quorum int, anchorKey *rsa.PrivateKey, holders ...Holder) *Domain {
	return Activate(name, time.Date(2023, 4, 5, 6, 7, 8, 0, time.UTC), quorum, anchorKey, holders...)
}

// Activate makes the security domain of an HSM that is activated at the time. The keys of the holders may be missing.
func Activate(name string, activated time.Time, quorum int, anchorKey *rsa.PrivateKey, holders ...Holder) *Domain {
	d := &Domain{Name: name, Quorum: quorum, Holders: holders, Master: [32]byte(random(32)), anchorKey: anchorKey}
	guid := random(16)
	d.ID = fmt.Sprintf("1:M-HSM:%x-%x-%x-%x-%x:%x", guid[:4], guid[4:6], guid[6:8], guid[8:10], guid[10:], random(3))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: activated, NotAfter: activated.AddDate(25, 0, 0), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{
			Country: []string{"US"}, Province: []string{"Washington"}, Locality: []string{"Redmond"},
			Organization: []string{"Microsoft Corporation"}, CommonName: name,
		},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	d.anchor = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, &anchorKey.PublicKey, anchorKey))))
	d.Shares = Split(d.Master, quorum, len(holders))
	d.Parts = []Part{{HSM, random(8520)}, {Enclave, d.enclave()}, {Partition, d.partition()}}
	return d
}

// Anchor returns the certificate that the HSM made for itself.
func (d *Domain) Anchor() *x509.Certificate { return d.anchor }

func (d *Domain) enclave() []byte {
	key := document(element{"kty", "oct"}, element{"kid", "pool-protection-key/" + d.ID[8:44]}, element{"k", base64.RawURLEncoding.EncodeToString(random(64))})
	return document(element{"sdid", d.ID}, element{"pool_protection_key", key}, element{"hsm_context", base64.StdEncoding.EncodeToString(random(512))})
}

func (d *Domain) partition() []byte {
	key := document(element{"kty", "oct"}, element{"kid", "backup-protection-key"}, element{"k", base64.RawURLEncoding.EncodeToString(random(64))})
	return document(element{"pota_certificate", base64.StdEncoding.EncodeToString(d.anchor.Raw)},
		element{"pota_key", base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(d.anchorKey))}, element{"backup_protection_key", key})
}

// Attestation returns the attestation of a key of the HSM, as the service answers.
func (d *Domain) Attestation() []byte {
	return must(json.Marshal(map[string]any{"attributes": map[string]any{"attestation": map[string]any{"certificatePemFile": d.Certificates()}}}))
}

// Certificates returns the certificates of an attestation: two that tell nothing of the security domain, the trust anchor, and the
// partition's, which it has signed.
func (d *Domain) Certificates() (chain []byte) {
	others := d.Holders
	if len(others) == 0 {
		others = []Holder{NewHolder("vendor", 2048)}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: d.Name + " partition"}, NotBefore: d.anchor.NotBefore, NotAfter: d.anchor.NotAfter,
	}
	partition := must(x509.CreateCertificate(rand.Reader, template, d.anchor, &d.anchorKey.PublicKey, d.anchorKey))
	for _, der := range [][]byte{others[0].Cert.Raw, others[len(others)-1].Cert.Raw, d.anchor.Raw, partition} {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return chain
}

// Split splits a secret into shares: Shamir over GF(257), a word of 16 bits for each byte, little-endian.
func Split(master [32]byte, quorum, holders int) [][]byte {
	shares := make([][]byte, holders)
	for _, b := range master {
		coefficients := []int{int(b)}
		for len(coefficients) < quorum {
			coefficients = append(coefficients, int(must(rand.Int(rand.Reader, big.NewInt(257))).Int64()))
		}
		for n := range shares {
			y, power := 0, 1
			for _, c := range coefficients {
				y = (y + c*power) % 257
				power = power * (n + 1) % 257
			}
			shares[n] = binary.LittleEndian.AppendUint16(shares[n], uint16((n+1)<<9|y))
		}
	}
	return shares
}

// PartKey derives the key of a part.
func PartKey(master [32]byte, tag string) []byte {
	mac := hmac.New(sha512.New, master[:])
	fmt.Fprintf(mac, "\x00\x00\x00\x01%s\x00\x00\x00\x02\x00", tag)
	return mac.Sum(nil)
}

// X5T returns the thumbprint of a certificate as the file has it.
func X5T(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// element is a text or a document of BSON, with its name.
type element struct {
	name  string
	value any
}

func document(elements ...element) []byte {
	var b []byte
	for _, e := range elements {
		switch v := e.value.(type) {
		case string:
			b = append(append(append(b, 2), e.name...), 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(v)+1))
			b = append(append(b, v...), 0)
		case []byte:
			b = append(append(append(b, 3), e.name...), 0)
			b = append(b, v...)
		}
	}
	return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b)+5)), b...), 0)
}
