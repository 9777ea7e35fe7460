package securitydomain_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

type keyForm struct {
	name    string
	content []byte
	err     string // that a password does not help against
}

// keyForms are the forms of key files, protected by the password "password" or not at all.
func keyForms() []keyForm {
	h := holders()[0]
	crlf := func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) }
	pbes2 := func(p domainwriter.Protection) []byte { return h.PBES2("password", 1000, p) }
	ec := must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	return []keyForm{
		{"PKCS #1", h.KeyPEM(), ""},
		{"PKCS #8", h.PKCS8(), ""},
		{"CRLF", crlf(h.KeyPEM()), ""},
		{"a byte order mark", append([]byte("\xef\xbb\xbf"), h.PKCS8()...), ""},
		{"spaces at the ends of lines", bytes.ReplaceAll(h.KeyPEM(), []byte("\n"), []byte(" \n")), ""},
		{"the certificate first", append(h.PEM(), h.KeyPEM()...), ""},
		{"the certificate last", append(h.KeyPEM(), h.PEM()...), ""},
		{"PBES2, AES-256, SHA-256", pbes2(domainwriter.Protection{Cipher: "AES-256-CBC", PRF: "SHA256"}), ""},
		{"PBES2, AES-192, SHA-512", pbes2(domainwriter.Protection{Cipher: "AES-192-CBC", PRF: "SHA512", Length: true}), ""},
		{"PBES2, AES-128, SHA-1", pbes2(domainwriter.Protection{Cipher: "AES-128-CBC", PRF: "SHA1"}), ""},
		{"PBES2, 3DES, no PRF", pbes2(domainwriter.Protection{Cipher: "DES-EDE3-CBC"}), ""},
		{"DEK-Info, AES-256", h.Legacy("password", "AES-256-CBC"), ""},
		{"DEK-Info, AES-128, CRLF", crlf(h.Legacy("password", "AES-128-CBC")), ""},
		{"DEK-Info, 3DES", h.Legacy("password", "DES-EDE3-CBC"), ""},
		{"scrypt", pbes2(domainwriter.Protection{Cipher: "AES-256-CBC", KDF: domainwriter.Scrypt}), "scrypt"},
		{"PBES1", pbes2(domainwriter.Protection{Cipher: "AES-256-CBC", Scheme: domainwriter.PBES1}), "PBES1 or PKCS #12"},
		{"too many iterations", pbes2(domainwriter.Protection{Cipher: "AES-256-CBC", PRF: "SHA256", Claim: 1 << 30}), "at most 10000000 are done"},
		{"EC", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ec}), "not RSA"},
		{"RSA-PSS", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: unknownKey()}), "not RSA, or of a kind that is not read: 1.2.840.113549.1.1.10"},
		{"EC by its name", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte{0x30, 0}}), "EC PRIVATE KEY"},
		{"OpenSSH", pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("openssh")}), "OPENSSH PRIVATE KEY"},
		{"RSA 1024", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}), "but of 1024"},
		{"a certificate alone", h.PEM(), "only a certificate"},
		{"DER", x509.MarshalPKCS1PrivateKey(h.Key), "DER or PFX"},
		{"empty", []byte(" \n"), "it is empty"},
		{"no PEM", []byte("password"), "it is no PEM"},
		{"UTF-16", []byte("\xff\xfe-\x00-\x00"), "UTF-16"},
		{"cut off", h.KeyPEM()[:900], "cut off"},
		{"damaged", damaged(h), "damaged"},
		{"too large", bytes.Repeat([]byte(" "), securitydomain.MaxKeySize+1), "more than 65536 bytes"},
		{"a large key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: make([]byte, 11<<10)}), "at most 10240 are read"},
	}
}

// unknownKey is a key of RSA-PSS in PKCS #8, which the standard library does not read.
func unknownKey() []byte {
	return must(asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}}, x509.MarshalPKCS1PrivateKey(holders()[0].Key)}))
}

// damaged is a key one of whose primes is another number.
func damaged(h domainwriter.Holder) []byte {
	der := x509.MarshalPKCS1PrivateKey(h.Key)
	der[len(der)/2] ^= 1
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})
}

func TestFormsOfKeys(t *testing.T) {
	passwords := [][]byte{[]byte("wrong"), []byte("password")}
	for _, c := range keyForms() {
		key, err := securitydomain.ReadKey(bytes.Clone(c.content), passwords)
		switch {
		case c.err == "" && (err != nil || !key.Equal(holders()[0].Key)):
			t.Errorf("%s: %v", c.name, err)
		case c.err != "" && (key != nil || err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v", c.name, err)
		}
		protected := c.err == "" && bytes.Contains(c.content, []byte("ENCRYPTED"))
		if _, err := securitydomain.ReadKey(c.content, nil); protected != errors.Is(err, securitydomain.ErrPasswordMissing) {
			t.Errorf("%s, without a password: %v", c.name, err)
		}
		if _, err := securitydomain.ReadKey(c.content, passwords[:1]); protected != errors.Is(err, securitydomain.ErrPasswordWrong) {
			t.Errorf("%s, with a wrong password: %v", c.name, err)
		}
	}
}

func TestAzureCertificate(t *testing.T) {
	for key, want := range map[string]string{
		"alice.key": "alice.cer", "A.KEY": "A.cer", "alice": "alice.cer", "./alice": ".cer", "safe.d/alice": "safe.cer", "a.b.pem": "a.b.cer",
	} {
		if got := securitydomain.AzureCertificate(key); got != want {
			t.Errorf("%s: %s, not %s", key, got, want)
		}
	}
}
