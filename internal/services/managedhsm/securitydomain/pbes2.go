package securitydomain

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// errUnknownCipher says that no password helps.
var errUnknownCipher = errors.New("it is protected in a way that is not read")

// unread says so, and how a person makes a copy that is read.
func unread(way string) error {
	return fmt.Errorf("%w (%s): make a copy with openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256", errUnknownCipher, way)
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA1   = "1.2.840.113549.2.7"
)

// prfs are the pseudorandom functions of PBKDF2, by their IDs: HMAC with one of these hashes.
var prfs = map[string]func() hash.Hash{
	oidSHA1: sha1.New, "1.2.840.113549.2.8": sha256.New224, "1.2.840.113549.2.9": sha256.New,
	"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
}

// blockCipher is a cipher in CBC mode.
type blockCipher struct {
	key int
	new func([]byte) (cipher.Block, error)
}

// ciphers are the ciphers of PBES2 by their IDs, and the ones of OpenSSL's older encryption by their names.
var ciphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2": {16, aes.NewCipher}, "AES-128-CBC": {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher}, "AES-192-CBC": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher}, "AES-256-CBC": {32, aes.NewCipher},
	"1.2.840.113549.3.7": {24, des.NewTripleDESCipher}, "DES-EDE3-CBC": {24, des.NewTripleDESCipher},
}

func (c blockCipher) open(key, iv, sealed []byte) ([]byte, error) {
	defer clear(key)
	block, err := c.new(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() || len(sealed) == 0 || len(sealed)%block.BlockSize() != 0 {
		return nil, errors.New("its encryption is damaged")
	}
	content := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(content, sealed)
	return unpadded(content, block.BlockSize())
}

// scheme is a private key under PBES2.
type scheme struct {
	prf        func() hash.Hash
	cipher     blockCipher
	salt, iv   []byte
	iterations int
	sealed     []byte
}

// maxIterations is some seconds of work; OpenSSL takes 2,048 unless it is told more, and people a million.
const maxIterations = 10_000_000

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Sealed    []byte
}

type pbes2 struct{ KDF, Cipher pkix.AlgorithmIdentifier }

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

func readScheme(der []byte) (s scheme, err error) {
	damaged := errors.New("its encryption is damaged")
	var sealed encryptedKey
	if rest, err := asn1.Unmarshal(der, &sealed); err != nil || len(rest) > 0 {
		return s, damaged
	}
	s.sealed = sealed.Sealed
	if !sealed.Algorithm.Algorithm.Equal(oidPBES2) {
		return s, unread("PBES1 or PKCS #12")
	}
	var parameters pbes2
	if rest, err := asn1.Unmarshal(sealed.Algorithm.Parameters.FullBytes, &parameters); err != nil || len(rest) > 0 {
		return s, damaged
	}
	if parameters.KDF.Algorithm.Equal(oidScrypt) {
		return s, unread("scrypt")
	}
	if !parameters.KDF.Algorithm.Equal(oidPBKDF2) {
		return s, unread("another key derivation than PBKDF2")
	}
	var kdf pbkdf2Parameters
	if rest, err := asn1.Unmarshal(parameters.KDF.Parameters.FullBytes, &kdf); err != nil || len(rest) > 0 {
		return s, damaged
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return s, fmt.Errorf("its password was stretched %d times, and at most %d are done", kdf.Iterations, maxIterations)
	}
	prf := oidSHA1
	if len(kdf.PRF.Algorithm) > 0 {
		prf = kdf.PRF.Algorithm.String()
	}
	var known bool
	if s.prf, known = prfs[prf]; !known {
		return s, unread("the pseudorandom function " + prf)
	}
	if s.cipher, known = ciphers[parameters.Cipher.Algorithm.String()]; !known {
		return s, unread("the cipher " + parameters.Cipher.Algorithm.String())
	}
	if rest, err := asn1.Unmarshal(parameters.Cipher.Parameters.FullBytes, &s.iv); err != nil || len(rest) > 0 {
		return s, damaged
	}
	s.salt, s.iterations = kdf.Salt, kdf.Iterations
	return s, nil
}

func (s scheme) open(password []byte) ([]byte, error) {
	key, err := pbkdf2.Key(s.prf, string(password), s.salt, s.iterations, s.cipher.key)
	if err != nil {
		return nil, err
	}
	return s.cipher.open(key, s.iv, s.sealed)
}

// openLegacy opens a PEM block with DEK-Info, as OpenSSL wrote it before PKCS #8: MD5 makes the key.
func openLegacy(block *pem.Block, password []byte) ([]byte, error) {
	name, text, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	c, known := ciphers[name]
	if !known {
		return nil, unread("DEK-Info " + short(name))
	}
	iv, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(iv) < 8 {
		return nil, errors.New("its encryption is damaged")
	}
	var key, sum []byte
	for len(key) < c.key {
		h := md5.New()
		h.Write(sum)
		h.Write(password)
		h.Write(iv[:8])
		sum = h.Sum(nil)
		key = append(key, sum...)
	}
	return c.open(key[:c.key], iv, block.Bytes)
}
