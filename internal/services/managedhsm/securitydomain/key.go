package securitydomain

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// MaxKeySize is the size of the largest key file that is read, with its certificates.
const MaxKeySize = 64 << 10

// The bounds of a key, since the work of reading one grows with the cube of its size.
const (
	maxKeyDER = 10 << 10
	minBits   = 2048
	maxBits   = 8 * maxWrapped
)

// These errors say that a key file is good, and cannot be opened without its password.
var (
	ErrPasswordMissing = errors.New("it is protected by a password, and none was given")
	ErrPasswordWrong   = errors.New("no password that was given opens it")
)

// ReadKey reads the private key of a PEM file: PKCS #1, PKCS #8, PKCS #8 under PBES2, or the older encryption of OpenSSL. It clears the
// copies that it makes, and the caller clears the file and the passwords.
func ReadKey(file []byte, passwords [][]byte) (*rsa.PrivateKey, error) {
	if len(file) > MaxKeySize {
		return nil, fmt.Errorf("it has more than %d bytes: it is no key", MaxKeySize)
	}
	rest := bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	seen := ""
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			seen = block.Type
			continue
		}
		key, err := readBlock(block, passwords)
		clear(block.Bytes)
		return key, err
	}
	return nil, noKey(file, seen)
}

// noKey says what a file without a private key is.
func noKey(file []byte, seen string) error {
	switch {
	case seen != "":
		return fmt.Errorf("it holds no private key, only a %s", strings.ToLower(short(seen)))
	case bytes.Contains(file, []byte("PRIVATE KEY-----")):
		return errors.New("its private key is cut off, or is no PEM any more")
	case bytes.HasPrefix(file, []byte("\xff\xfe")), bytes.HasPrefix(file, []byte("\xfe\xff")):
		return errors.New("it is UTF-16: PEM is plain text")
	case bytes.HasPrefix(file, []byte{0x30}):
		return errors.New("it is DER or PFX, which azure-cli does not read either: make PEM of it with openssl")
	case len(bytes.TrimSpace(file)) == 0:
		return errors.New("it is empty")
	}
	return errors.New("it is no PEM file")
}

func readBlock(block *pem.Block, passwords [][]byte) (*rsa.PrivateKey, error) {
	if len(block.Bytes) > maxKeyDER {
		return nil, fmt.Errorf("its private key has %d bytes, and at most %d are read", len(block.Bytes), maxKeyDER)
	}
	switch {
	case block.Type == "RSA PRIVATE KEY" && block.Headers["DEK-Info"] != "":
		return unlocked(passwords, func(password []byte) ([]byte, error) { return openLegacy(block, password) }, parsePKCS1)
	case block.Type == "RSA PRIVATE KEY":
		return parsePKCS1(block.Bytes)
	case block.Type == "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		scheme, err := readScheme(block.Bytes)
		if err != nil {
			return nil, err
		}
		return unlocked(passwords, scheme.open, parsePKCS8)
	}
	return nil, fmt.Errorf("its private key is a %s, and holders have RSA keys", short(block.Type))
}

// unlocked tries the passwords in turn. A wrong password seldom gives a right padding, and then no key.
func unlocked(passwords [][]byte, open func([]byte) ([]byte, error), parse func([]byte) (*rsa.PrivateKey, error)) (*rsa.PrivateKey, error) {
	if len(passwords) == 0 {
		return nil, ErrPasswordMissing
	}
	for _, password := range passwords {
		der, err := open(password)
		if errors.Is(err, errUnknownCipher) {
			return nil, err
		}
		if err != nil {
			continue
		}
		key, err := parse(der)
		clear(der[:cap(der)])
		if err == nil || errors.Is(err, errNotRSA) {
			return key, err
		}
	}
	return nil, ErrPasswordWrong
}

var errNotRSA = errors.New("its private key is not RSA")

func parsePKCS1(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, errors.New("its private key cannot be read: it is damaged")
	}
	return sized(key)
}

// pkcs8 is the frame of a key in PKCS #8; the last member has what may stand behind the key.
type pkcs8 struct {
	Version   int
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
	More      asn1.RawValue `asn1:"optional"`
}

var oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		var frame pkcs8
		defer func() { clear(frame.Key) }()
		if _, err := asn1.Unmarshal(der, &frame); err == nil && !frame.Algorithm.Algorithm.Equal(oidRSA) {
			return nil, fmt.Errorf("%w, or of a kind that is not read: %s", errNotRSA, frame.Algorithm.Algorithm)
		}
		return nil, errors.New("its private key cannot be read: it is damaged")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: holders have RSA keys", errNotRSA)
	}
	return sized(key)
}

func sized(key *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if bits := key.N.BitLen(); bits < minBits || bits > maxBits {
		clearKey(key)
		return nil, fmt.Errorf("%w of %d to %d bits, but of %d", errNotRSA, minBits, maxBits, bits)
	}
	return key, nil
}

// clearKey overwrites the numbers of a key that can be reached. The standard library keeps copies of its own.
func clearKey(key *rsa.PrivateKey) {
	numbers := append([]*big.Int{key.D, key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv}, key.Primes...)
	for _, number := range numbers {
		if number != nil {
			clear(number.Bits())
		}
	}
	*key = rsa.PrivateKey{}
}
