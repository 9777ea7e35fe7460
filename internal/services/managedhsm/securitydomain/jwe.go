package securitydomain

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jwe is a compact JWE with A256CBC-HS512.
type jwe struct {
	aad                      string // the header as it is written
	wrapped, iv, sealed, tag []byte
}

const (
	contentKeySize = 64 // 32 bytes for the MAC, and 32 for the cipher
	tagSize        = 32
	// maxWrapped is the size of a key wrapped for RSA 8192.
	maxWrapped = 1024
)

// parseJWE reads a compact JWE of that algorithm, and of that key ID unless it is nil. It takes only what the service writes: a
// library that takes more would open a file here that an HSM refuses.
func parseJWE(text, algorithm string, kid *string) (j jwe, err error) {
	fields := strings.Split(text, ".")
	if len(fields) != 5 {
		return j, fmt.Errorf("it has %d parts, and a compact JWE has 5", len(fields))
	}
	decoded := make([][]byte, len(fields))
	for i, field := range fields {
		if decoded[i], err = decode64(field); err != nil {
			return j, fmt.Errorf("part %d of its JWE is not written in base64url: %w", i+1, err)
		}
	}
	j = jwe{aad: fields[0], wrapped: decoded[1], iv: decoded[2], sealed: decoded[3], tag: decoded[4]}
	if err := checkHeader(decoded[0], algorithm, kid); err != nil {
		return j, err
	}
	switch {
	case algorithm == "dir" && len(j.wrapped) > 0:
		return j, errors.New("it has a wrapped key beside alg dir")
	case algorithm != "dir" && (len(j.wrapped) < 256 || len(j.wrapped) > maxWrapped):
		return j, fmt.Errorf("its wrapped key has %d bytes, and one of RSA 2048 has 256", len(j.wrapped))
	case len(j.iv) != aes.BlockSize:
		return j, fmt.Errorf("its initialization vector has %d bytes, not %d", len(j.iv), aes.BlockSize)
	case len(j.tag) != tagSize:
		return j, fmt.Errorf("its authentication tag has %d bytes, not %d", len(j.tag), tagSize)
	case len(j.sealed) == 0 || len(j.sealed)%aes.BlockSize != 0:
		return j, fmt.Errorf("its ciphertext has %d bytes, which are no whole blocks", len(j.sealed))
	}
	return j, nil
}

func checkHeader(text []byte, algorithm string, kid *string) error {
	header, err := members(text)
	if err != nil {
		return errors.New("the header of its JWE is no JSON object")
	}
	value := func(name string) (s string) {
		_ = json.Unmarshal(header[name], &s) // another type is as wrong as another text
		return s
	}
	switch {
	case value("alg") != algorithm:
		return fmt.Errorf("its alg is %s, not %s", written(value("alg")), algorithm)
	case value("enc") != "A256CBC-HS512":
		return fmt.Errorf("its enc is %s, not A256CBC-HS512", written(value("enc")))
	case header["zip"] != nil:
		return errors.New("it is compressed (zip), which no security domain is")
	case header["crit"] != nil:
		return errors.New("it has a critical header (crit), which no security domain has")
	case kid != nil && value("kid") != *kid:
		return fmt.Errorf("its kid is %s, not its tag", written(value("kid")))
	}
	return nil
}

// decode64 reads base64url without padding. The decoder of the standard library would skip line breaks.
func decode64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line break is in it")
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

var errTag = errors.New("its authentication tag does not fit its content")

// authentic tells whether the tag fits the content under the key.
func (j jwe) authentic(key []byte) bool {
	mac := hmac.New(sha512.New, key[:contentKeySize/2])
	mac.Write([]byte(j.aad))
	mac.Write(j.iv)
	mac.Write(j.sealed)
	mac.Write(binary.BigEndian.AppendUint64(nil, 8*uint64(len(j.aad))))
	return hmac.Equal(mac.Sum(nil)[:tagSize], j.tag)
}

// open returns the content, which the caller clears.
func (j jwe) open(key []byte) ([]byte, error) {
	if len(key) != contentKeySize {
		return nil, fmt.Errorf("its content key has %d bytes, not %d", len(key), contentKeySize)
	}
	if !j.authentic(key) {
		return nil, errTag
	}
	block, err := aes.NewCipher(key[contentKeySize/2:])
	if err != nil {
		return nil, err
	}
	content := make([]byte, len(j.sealed))
	cipher.NewCBCDecrypter(block, j.iv).CryptBlocks(content, j.sealed)
	return unpadded(content, aes.BlockSize)
}

// unpadded takes the padding of PKCS #7 away. It clears what it refuses.
func unpadded(content []byte, block int) ([]byte, error) {
	n := 0
	if len(content) > 0 {
		n = int(content[len(content)-1])
	}
	good := n >= 1 && n <= block && n <= len(content)
	for i := 1; good && i <= n; i++ {
		good = content[len(content)-i] == byte(n)
	}
	if !good {
		clear(content)
		return nil, errors.New("its padding is wrong")
	}
	return content[:len(content)-n], nil
}
