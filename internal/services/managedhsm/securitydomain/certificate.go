package securitydomain

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxCertificates is more than a key attestation has.
const maxCertificates = 20

// Certificates reads the certificates of a file, in PEM or DER; PEM may hold a private key too. isPEM tells which it was.
func Certificates(file []byte) (found []*x509.Certificate, isPEM bool, err error) {
	rest := bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	for block := (*pem.Block)(nil); len(found) < maxCertificates; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		isPEM = true
		if block.Type != "CERTIFICATE" {
			clear(block.Bytes)
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, true, errors.New("it holds a certificate that cannot be read")
		}
		found = append(found, cert)
	}
	if !isPEM {
		cert, err := x509.ParseCertificate(bytes.Clone(file)) // which the caller may clear
		if err != nil {
			return nil, false, errors.New("it is no certificate, in PEM or DER")
		}
		found = append(found, cert)
	}
	return found, isPEM, nil
}

// AzureCertificate returns the file in which azure-cli looks for the certificate of a key: it cuts the whole path at its last dot.
func AzureCertificate(key string) string {
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
		key = key[:dot]
	}
	return key + ".cer"
}

func thumbprintOf(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.Raw)
	return sum[:]
}

// sameKey tells whether the certificate is of that key.
func sameKey(cert *x509.Certificate, key *rsa.PrivateKey) bool {
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && public.Equal(&key.PublicKey)
}

// Attestation reads the attestation of a key: the answer of the service, or the PEM inside.
func Attestation(file []byte) ([]*x509.Certificate, error) {
	if len(file) > MaxSize {
		return nil, errors.New("it is too large for the attestation of a key")
	}
	if answer, err := members(file); err == nil {
		for _, name := range []string{"attributes", "attestation"} {
			if inner, err := members(answer[name]); err == nil {
				answer = inner
			}
		}
		var encoded string
		if json.Unmarshal(answer["certificatePemFile"], &encoded) != nil {
			return nil, errors.New("it has no attributes.attestation.certificatePemFile: it is no attestation of a key")
		}
		if file, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			if file, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "=")); err != nil {
				return nil, errors.New("its certificatePemFile is not written in base64")
			}
		}
	}
	found, isPEM, err := Certificates(file)
	if err != nil || !isPEM || len(found) < 2 {
		return nil, fmt.Errorf("it has no two certificates in PEM: it is no attestation of a key")
	}
	return found, nil
}

// attests tells whether the trust anchor is among the certificates, and has signed another one of them: the HSM's partition.
func (a *Anchor) attests(certificates []*x509.Certificate) bool {
	there, signed := false, false
	for _, cert := range certificates {
		if cert.Equal(a.cert) {
			there = true
		} else if cert.CheckSignatureFrom(a.cert) == nil {
			signed = true
		}
	}
	return there && signed
}
