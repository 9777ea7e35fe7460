package domainwriter

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

// File is the file of a security domain, member by member in the service's order.
type File struct {
	EncData    EncData
	SharedKeys SharedKeys
	Version    int `json:"version"`
}

// EncData has the enclosed parts.
type EncData struct {
	Data []Enclosed `json:"data"`
	KDF  string     `json:"kdf"`
}

// Enclosed is an encrypted part.
type Enclosed struct {
	JWE string `json:"compact_jwe"`
	Tag string `json:"tag"`
}

// SharedKeys has the shares.
type SharedKeys struct {
	Shares    []Share `json:"enc_shares"`
	Algorithm string  `json:"key_algorithm"`
	Required  int     `json:"required"`
}

// Share is an encrypted share, with the thumbprint of its holder's certificate.
type Share struct {
	Key string `json:"enc_key"`
	X5T string `json:"x5t_256"`
}

// JSON returns the bytes of the file.
func (f File) JSON() []byte { return must(json.Marshal(f)) }

// File encrypts the security domain.
func (d *Domain) File() File {
	f := File{EncData: EncData{KDF: "sp108_kdf"}, SharedKeys: SharedKeys{Algorithm: "shamir_share", Required: d.Quorum}, Version: 2}
	for _, p := range d.Parts {
		f.EncData.Data = append(f.EncData.Data, Enclosed{Enclose(d.Master, p), p.Tag})
	}
	for n, h := range d.Holders {
		f.SharedKeys.Shares = append(f.SharedKeys.Shares, Share{Wrap(h.Cert.PublicKey.(*rsa.PublicKey), d.Shares[n]), X5T(h.Cert)})
	}
	return f
}

// Enclose encrypts a part.
func Enclose(master [32]byte, p Part) string {
	return Seal(map[string]string{"alg": "dir", "enc": "A256CBC-HS512", "kid": p.Tag}, nil, PartKey(master, p.Tag), p.Content)
}

// Wrap encrypts a share for a key.
func Wrap(key *rsa.PublicKey, content []byte) string {
	contentKey := random(64)
	wrapped := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, key, contentKey, nil))
	return Seal(map[string]string{"alg": "RSA-OAEP-256", "enc": "A256CBC-HS512", "kid": "not used"}, wrapped, contentKey, content)
}

// Seal makes a compact JWE with A256CBC-HS512.
func Seal(header map[string]string, wrapped, key, content []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	aad := encode(must(json.Marshal(header)))
	pad := aes.BlockSize - len(content)%aes.BlockSize
	sealed := append([]byte{}, content...)
	for range pad {
		sealed = append(sealed, byte(pad))
	}
	iv := random(aes.BlockSize)
	cipher.NewCBCEncrypter(must(aes.NewCipher(key[32:])), iv).CryptBlocks(sealed, sealed)
	mac := hmac.New(sha512.New, key[:32])
	for _, piece := range [][]byte{[]byte(aad), iv, sealed, binary.BigEndian.AppendUint64(nil, uint64(8*len(aad)))} {
		mac.Write(piece)
	}
	return aad + "." + encode(wrapped) + "." + encode(iv) + "." + encode(sealed) + "." + encode(mac.Sum(nil)[:32])
}
