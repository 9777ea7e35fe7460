package ccf

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// The labels of headers that CCF sets.
const (
	cwtClaims   = int64(15)
	issuedAt    = int64(6)
	proofsLabel = int64(396)
	ccfClaims   = "ccf.v1"
)

// mostMessage bounds a COSE message before it is decoded. Real ones have less than 4 KiB.
const mostMessage = 1 << 20

// sign1 is a COSE_Sign1 of CCF.
type sign1 struct {
	message cose.Sign1Message
	at      int64
	id      string // the transaction that it is in
	claims  map[any]any
}

func parseSign1(encoded []byte) (*sign1, error) {
	if len(encoded) > mostMessage {
		return nil, errors.New("it is larger than 1 MiB")
	}
	var m sign1
	if err := m.message.UnmarshalCBOR(encoded); err != nil {
		return nil, errors.New("it is no COSE_Sign1")
	}
	if claims, ok := m.message.Headers.Protected[cwtClaims].(map[any]any); ok {
		m.at, _ = claims[issuedAt].(int64)
	}
	if claims, ok := m.message.Headers.Protected[ccfClaims].(map[any]any); ok {
		m.claims = claims
		m.id, _ = claims["txid"].(string)
	}
	return &m, nil
}

// verify checks the signature over a payload that is not in the message.
func (m *sign1) verify(key *ecdsa.PublicKey, payload []byte) error {
	if m.message.Payload != nil {
		return errors.New("it has a payload")
	}
	if id, ok := m.message.Headers.Protected[cose.HeaderLabelKeyID].([]byte); ok {
		if known, err := keyID(key); err != nil || known != string(id) {
			return errors.New("it names another key")
		}
	}
	detached := m.message
	detached.Payload = payload
	return verifySign1(&detached, key)
}

// keyID is the SHA-256 by which CCF names a key.
func keyID(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), err
}

func verifySign1(message *cose.Sign1Message, key *ecdsa.PublicKey) error {
	if message.Verify(nil, coseKeyOf(key)) != nil {
		return errors.New("it is not one of the root by the service's key")
	}
	return nil
}

// decoder bounds what a receipt can make the decoder build.
var decoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxArrayElements: 1024, MaxMapPairs: 64, MaxNestedLevels: 8}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()
