package domainwriter

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// JWK is a certificate in the form of requests and answers.
type JWK struct {
	Kid     string   `json:"kid,omitempty"`
	Kty     string   `json:"kty"`
	KeyOps  []string `json:"key_ops"`
	N       string   `json:"n"`
	E       string   `json:"e"`
	X5c     []string `json:"x5c"`
	X5t     string   `json:"x5t"`
	X5tS256 string   `json:"x5t#S256"`
	Alg     string   `json:"alg,omitempty"`
	Use     string   `json:"use,omitempty"`
}

// NewJWK returns the certificate as a JWK.
func NewJWK(cert *x509.Certificate) JWK {
	encode, key, sum := base64.RawURLEncoding.EncodeToString, cert.PublicKey.(*rsa.PublicKey), sha1.Sum(cert.Raw)
	return JWK{
		Kty: "RSA", KeyOps: []string{"wrapKey", "verify", "encrypt"}, N: encode(key.N.Bytes()), E: encode(big.NewInt(int64(key.E)).Bytes()),
		X5c: []string{base64.StdEncoding.EncodeToString(cert.Raw)}, X5t: encode(sum[:]), X5tS256: X5T(cert),
	}
}

// Certificate returns the certificate, if all members are about the same one.
func (k JWK) Certificate() (*x509.Certificate, error) {
	if len(k.X5c) != 1 {
		return nil, errors.New("x5c has other than one certificate")
	}
	der, err := base64.StdEncoding.DecodeString(k.X5c[0])
	if err != nil {
		return nil, errors.New("x5c is not in base64")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("x5c has no certificate")
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 || k.Kty != "RSA" {
		return nil, errors.New("it is no certificate of RSA with 2048 bits or more")
	}
	if want := NewJWK(cert); k.N != want.N || k.E != want.E || k.X5t != want.X5t || k.X5tS256 != want.X5tS256 {
		return nil, errors.New("n, e, x5t or x5t#S256 is not the certificate's")
	}
	return cert, nil
}

// CertificateInfo is the body of a download.
type CertificateInfo struct {
	Certificates []JWK `json:"certificates"`
	Required     int   `json:"required"`
}

// NewCertificateInfo returns the body of a download, as a client sends it.
func NewCertificateInfo(quorum int, holders ...Holder) CertificateInfo {
	info := CertificateInfo{Required: quorum}
	for _, h := range holders {
		key := NewJWK(h.Cert)
		key.Alg = "RSA-OAEP-256"
		info.Certificates = append(info.Certificates, key)
	}
	return info
}

// Value is the body of an upload, and the answer to a download.
type Value struct {
	Value string `json:"value"`
}

// TransferKey is the answer to a request for the exchange key: a JWK, as text.
type TransferKey struct {
	Format string `json:"key_format"`
	Key    string `json:"transfer_key"`
}

// Certificate returns the certificate of the exchange key.
func (k TransferKey) Certificate() (*x509.Certificate, error) {
	var key JWK
	decoder := json.NewDecoder(bytes.NewReader([]byte(k.Key)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&key); err != nil || k.Format != "jwk" {
		return nil, errors.New("the exchange key is no JWK")
	}
	return key.Certificate()
}
