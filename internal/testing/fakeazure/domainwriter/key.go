package domainwriter

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"hash"
	"strings"
)

// Protection says how a key file is protected.
type Protection struct {
	Cipher string // AES-128-CBC, AES-192-CBC, AES-256-CBC or DES-EDE3-CBC
	PRF    string // SHA1, SHA256 or SHA512; empty: SHA1, which is not said
	Length bool   // PBKDF2 says the length of its key
	Claim  int    // the iterations that are written, if they are others
	KDF    asn1.ObjectIdentifier
	Scheme asn1.ObjectIdentifier
}

// These are schemes that are seldom seen.
var (
	PBES1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	Scrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

var cipherIDs = map[string]asn1.ObjectIdentifier{
	"AES-128-CBC": {2, 16, 840, 1, 101, 3, 4, 1, 2}, "AES-192-CBC": {2, 16, 840, 1, 101, 3, 4, 1, 22},
	"AES-256-CBC": {2, 16, 840, 1, 101, 3, 4, 1, 42}, "DES-EDE3-CBC": {1, 2, 840, 113549, 3, 7},
}

var keySizes = map[string]int{"AES-128-CBC": 16, "AES-192-CBC": 24, "AES-256-CBC": 32, "DES-EDE3-CBC": 24}

func encrypt(name string, key, iv, content []byte) []byte {
	var block cipher.Block
	if name == "DES-EDE3-CBC" {
		block = must(des.NewTripleDESCipher(key))
	} else {
		block = must(aes.NewCipher(key))
	}
	sealed := append([]byte{}, content...)
	for pad, i := block.BlockSize()-len(content)%block.BlockSize(), 0; i < pad; i++ {
		sealed = append(sealed, byte(pad))
	}
	cipher.NewCBCEncrypter(block, iv[:block.BlockSize()]).CryptBlocks(sealed, sealed)
	return sealed
}

// PKCS8 returns the key in PKCS #8.
func (h Holder) PKCS8() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(h.Key))})
}

type algorithm struct {
	ID         asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

func raw(value any) asn1.RawValue { return asn1.RawValue{FullBytes: must(asn1.Marshal(value))} }

// PBES2 returns the key in PKCS #8 under a password.
func (h Holder) PBES2(password string, iterations int, p Protection) []byte {
	prf, id := func() hash.Hash { return sha1.New() }, asn1.ObjectIdentifier(nil)
	switch p.PRF {
	case "SHA1":
		id = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	case "SHA256":
		prf, id = sha256.New, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	case "SHA512":
		prf, id = sha512.New, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	}
	salt, iv := random(16), random(8)
	if p.Cipher != "DES-EDE3-CBC" {
		iv = random(16)
	}
	parameters := []asn1.RawValue{raw(salt), raw(cmp.Or(p.Claim, iterations))}
	if p.Length {
		parameters = append(parameters, raw(keySizes[p.Cipher]))
	}
	if id != nil {
		parameters = append(parameters, raw(algorithm{id, asn1.NullRawValue}))
	}
	kdf, scheme := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	if p.KDF != nil {
		kdf = p.KDF
	}
	if p.Scheme != nil {
		scheme = p.Scheme
	}
	key := must(pbkdf2.Key(prf, password, salt, iterations, keySizes[p.Cipher]))
	both := []algorithm{{kdf, raw(parameters)}, {cipherIDs[p.Cipher], raw(iv)}}
	sealed := encrypt(p.Cipher, key, iv, must(x509.MarshalPKCS8PrivateKey(h.Key)))
	der := must(asn1.Marshal([]asn1.RawValue{raw(algorithm{scheme, raw(both)}), raw(sealed)}))
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
}

// Legacy returns the key in PKCS #1 under a password, as OpenSSL wrote it before PKCS #8.
func (h Holder) Legacy(password, name string) []byte {
	iv := random(16)
	if name == "DES-EDE3-CBC" {
		iv = random(8)
	}
	var key, sum []byte
	for len(key) < keySizes[name] {
		next := md5.Sum(append(append(append([]byte{}, sum...), password...), iv[:8]...))
		sum = next[:]
		key = append(key, sum...)
	}
	return pem.EncodeToMemory(&pem.Block{
		Type:    "RSA PRIVATE KEY",
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": name + "," + strings.ToUpper(hex.EncodeToString(iv))},
		Bytes:   encrypt(name, key[:keySizes[name]], iv, x509.MarshalPKCS1PrivateKey(h.Key)),
	})
}
