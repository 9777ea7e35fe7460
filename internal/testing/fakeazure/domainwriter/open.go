package domainwriter

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jweHeader has the members that a header may have.
type jweHeader struct {
	Alg string `json:"alg"`
	Enc string `json:"enc"`
	Kid string `json:"kid"`
}

// parseJWE returns the header and the five parts of a compact JWE with A256CBC-HS512.
func parseJWE(text, alg string) (h jweHeader, parts [5][]byte, err error) {
	pieces := strings.Split(text, ".")
	if len(pieces) != 5 {
		return h, parts, errors.New("a JWE has five parts")
	}
	for i, piece := range pieces {
		if parts[i], err = base64.RawURLEncoding.Strict().DecodeString(piece); err != nil {
			return h, parts, errors.New("a part of a JWE is not in base64url")
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(parts[0]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil || h.Alg != alg || h.Enc != "A256CBC-HS512" {
		return h, parts, fmt.Errorf("the header of a JWE is not of %s with A256CBC-HS512", alg)
	}
	parts[0] = []byte(pieces[0])
	return h, parts, nil
}

// unseal decrypts the content of a JWE with its content key.
func unseal(parts [5][]byte, key []byte) ([]byte, error) {
	aad, iv, sealed, tag := parts[0], parts[2], parts[3], parts[4]
	if len(key) != 64 || len(iv) != aes.BlockSize || len(tag) != 32 || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, errors.New("a JWE has a part of a wrong length")
	}
	mac := hmac.New(sha512.New, key[:32])
	for _, piece := range [][]byte{aad, iv, sealed, binary.BigEndian.AppendUint64(nil, uint64(8*len(aad)))} {
		mac.Write(piece)
	}
	if !hmac.Equal(mac.Sum(nil)[:32], tag) {
		return nil, errors.New("the tag of a JWE is wrong")
	}
	content := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(must(aes.NewCipher(key[32:])), iv).CryptBlocks(content, sealed)
	pad := int(content[len(content)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(content[len(content)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("the padding of a JWE is wrong")
	}
	return content[:len(content)-pad], nil
}

// Unwrap decrypts what Wrap encrypted.
func Unwrap(key *rsa.PrivateKey, text string) ([]byte, error) {
	_, parts, err := parseJWE(text, "RSA-OAEP-256")
	if err != nil {
		return nil, err
	}
	contentKey, err := rsa.DecryptOAEP(sha256.New(), nil, key, parts[1], nil)
	if err != nil {
		return nil, errors.New("the wrapped key of a JWE is for another key")
	}
	return unseal(parts, contentKey)
}

// Disclose decrypts what Enclose encrypted.
func Disclose(master [32]byte, e Enclosed) (Part, error) {
	h, parts, err := parseJWE(e.JWE, "dir")
	if err == nil && (h.Kid != e.Tag || len(parts[1]) != 0) {
		err = errors.New("the JWE is of another part")
	}
	if err != nil {
		return Part{}, fmt.Errorf("%s: %w", e.Tag, err)
	}
	content, err := unseal(parts, PartKey(master, e.Tag))
	if err != nil {
		return Part{}, fmt.Errorf("%s: %w", e.Tag, err)
	}
	return Part{e.Tag, content}, nil
}

// Combine returns the secret of exactly a quorum of shares of Split. It does not notice a wrong share.
func Combine(shares [][]byte) (master [32]byte) {
	for i := range master {
		sum := 0
		for a := range shares {
			xa, ya := word(shares[a], i)
			over, under := ya, 1
			for b := range shares {
				if xb, _ := word(shares[b], i); b != a {
					over, under = over*xb%257, under*(xb-xa+257)%257
				}
			}
			sum += over * inverse(under)
		}
		master[i] = byte(sum % 257)
	}
	return master
}

func word(share []byte, i int) (x, y int) {
	w := int(binary.LittleEndian.Uint16(share[2*i:]))
	return w >> 9, w & 511
}

// inverse returns 1/n in GF(257): n to the power of 255.
func inverse(n int) int {
	result := 1
	for range 255 {
		result = result * n % 257
	}
	return result
}

// texts returns the elements of a document that are texts.
func texts(document []byte) (map[string]string, error) {
	wrong := errors.New("a part is not in BSON")
	if len(document) < 5 || int(binary.LittleEndian.Uint32(document)) != len(document) || document[len(document)-1] != 0 {
		return nil, wrong
	}
	found := map[string]string{}
	for rest := document[4 : len(document)-1]; len(rest) > 0; {
		kind := rest[0]
		name, after, ok := bytes.Cut(rest[1:], []byte{0})
		if !ok || len(after) < 4 {
			return nil, wrong
		}
		size := uint64(binary.LittleEndian.Uint32(after))
		if kind == 2 {
			size += 4 // a text's length is without itself, a document's with
		}
		switch {
		case kind != 2 && kind != 3, size < 5, size > uint64(len(after)), after[size-1] != 0:
			return nil, wrong
		case kind == 2:
			found[string(name)] = string(after[4 : size-1])
		}
		rest = after[size:]
	}
	return found, nil
}
