package domainwriter

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Blob is the restore blob of a security domain: its parts under a new secret, and that secret for the exchange key of one HSM.
type Blob struct {
	EncData    EncData
	WrappedKey Share
}

// JSON returns the bytes of the blob.
func (b Blob) JSON() []byte { return must(json.Marshal(b)) }

// ForExchange opens the file with the keys of holders, and encrypts its parts for the exchange key, as a client does before an upload.
func (f File) ForExchange(exchange *x509.Certificate, holders ...Holder) (Blob, error) {
	var shares [][]byte
	for _, h := range holders {
		n := slices.IndexFunc(f.SharedKeys.Shares, func(s Share) bool { return s.X5T == X5T(h.Cert) })
		if n < 0 {
			return Blob{}, fmt.Errorf("%s is no holder", h.Name)
		}
		share, err := Unwrap(h.Key, f.SharedKeys.Shares[n].Key)
		if err != nil || len(share) != 64 {
			return Blob{}, errors.Join(fmt.Errorf("%s has no share", h.Name), err)
		}
		shares = append(shares, share)
	}
	if len(shares) < f.SharedKeys.Required {
		return Blob{}, fmt.Errorf("%d shares are no quorum of %d", len(shares), f.SharedKeys.Required)
	}
	master, fresh := Combine(shares[:f.SharedKeys.Required]), [32]byte(random(32))
	b := Blob{EncData: EncData{KDF: f.EncData.KDF}}
	for _, enclosed := range f.EncData.Data {
		part, err := Disclose(master, enclosed)
		if err != nil {
			return Blob{}, err
		}
		b.EncData.Data = append(b.EncData.Data, Enclosed{Enclose(fresh, part), part.Tag})
	}
	b.WrappedKey = Share{Wrap(exchange.PublicKey.(*rsa.PublicKey), fresh[:]), X5T(exchange)}
	return b, nil
}

// OpenBlob opens a restore blob with the exchange key, and returns the security domain in it. The HSM that takes it has the name.
func OpenBlob(text []byte, name string, exchange Holder) (*Domain, error) {
	var b Blob
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return nil, fmt.Errorf("it is no restore blob: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("it has text behind the restore blob")
	}
	if b.EncData.KDF != "sp108_kdf" || len(b.EncData.Data) != 3 || b.WrappedKey.X5T != X5T(exchange.Cert) {
		return nil, errors.New("it is not for this exchange key, or lacks a part")
	}
	master, err := Unwrap(exchange.Key, b.WrappedKey.Key)
	if err != nil || len(master) != 32 {
		return nil, errors.Join(errors.New("it does not open with the exchange key"), err)
	}
	d := &Domain{Name: name, Master: [32]byte(master)}
	for i, tag := range []string{HSM, Enclave, Partition} {
		part, err := Disclose(d.Master, b.EncData.Data[i])
		if err != nil {
			return nil, err
		}
		if part.Tag != tag {
			return nil, fmt.Errorf("%s is in the place of %s", part.Tag, tag)
		}
		d.Parts = append(d.Parts, part)
	}
	return d, d.read()
}

// read reads the ID and the trust anchor out of the parts.
func (d *Domain) read() error {
	enclave, err := texts(d.Parts[1].Content)
	if err != nil {
		return err
	}
	partition, err := texts(d.Parts[2].Content)
	if err != nil {
		return err
	}
	certificate, err := base64.StdEncoding.DecodeString(partition["pota_certificate"])
	if err == nil {
		d.anchor, err = x509.ParseCertificate(certificate)
	}
	if err != nil {
		return fmt.Errorf("the trust anchor cannot be read: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(partition["pota_key"])
	if err == nil {
		d.anchorKey, err = x509.ParsePKCS1PrivateKey(key)
	}
	if err != nil || !d.anchorKey.PublicKey.Equal(d.anchor.PublicKey) {
		return errors.New("the trust anchor has no key")
	}
	if d.ID = enclave["sdid"]; d.ID == "" {
		return errors.New("the security domain has no ID")
	}
	return nil
}

// NewKey makes a key of RSA.
func NewKey(bits int) *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }
