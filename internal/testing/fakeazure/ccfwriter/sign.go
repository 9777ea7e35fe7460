package ccfwriter

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// identity is a key with its certificate.
type identity struct {
	key  *ecdsa.PrivateKey
	der  []byte // the public key
	id   string // SHA-256 of it
	pem  string
	cert *x509.Certificate
	from string // the transaction that created a service
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err) // nothing here depends on an input
	}
	return value
}

func (l *Ledger) newKey() *identity {
	scalar := l.bytes(48)
	scalar[0] = 0 // below the order of the curve
	key := must(ecdsa.ParseRawPrivateKey(elliptic.P384(), scalar))
	der := must(x509.MarshalPKIXPublicKey(&key.PublicKey))
	sum := sha256.Sum256(der)
	return &identity{key: key, der: der, id: hex.EncodeToString(sum[:])}
}

func (l *Ledger) newService() *identity { return l.certify(l.newKey(), "CCF Service", nil) }

func (l *Ledger) newNode() *identity { return l.certify(l.newKey(), "CCF Node", l.service) }

// certify makes the certificate of a key, by an issuer or by itself. Signatures without randomness are the same each time.
func (l *Ledger) certify(i *identity, name string, issuer *identity) *identity {
	serial := l.bytes(8)
	serial[0] &= 0x7f
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: l.now, NotAfter: l.now.Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: issuer == nil,
	}
	parent, signer := template, i.key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der := must(x509.CreateCertificate(nil, template, parent, &i.key.PublicKey, signer))
	made := *i
	made.cert = must(x509.ParseCertificate(der))
	made.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return &made
}

// Sign appends a signature of all transactions before it.
func (l *Ledger) Sign() { l.sign(0) }

// Close appends a signature, and ends the chunk with it.
func (l *Ledger) Close() {
	l.sign(1)
	l.closeChunk()
}

func (l *Ledger) sign(flags byte) {
	l.now = l.now.Add(time.Second)
	seqno, root := l.seqno+1, l.tree.root()
	tree := binary.BigEndian.AppendUint64(nil, seqno-l.signed)
	tree = binary.BigEndian.AppendUint64(tree, l.signed)
	for _, leaf := range l.leaves[l.signed:] {
		tree = append(tree, leaf[:]...)
	}
	for level := 0; l.edge.count>>level > 0; level++ {
		if l.edge.count>>level&1 == 1 {
			tree = append(tree, l.edge.hashes[level][:]...)
		}
	}
	edge := l.tree
	writes := []Write{one("public:ccf.internal.tree", tree)}
	if l.form < V7 {
		l.nodes++
		writes = append(writes, one("public:ccf.internal.signatures", l.nodeSignature(seqno, root)))
	}
	if l.form >= V6 {
		l.coses++
		message := l.sign1(l.signatureHeaders(seqno), nil, root[:], nil)
		writes = append(writes, one("public:ccf.internal.cose_signatures", text(base64.StdEncoding.EncodeToString(message))))
	}
	l.append(entry{writes: writes, flags: flags})
	l.signed, l.signedID, l.root, l.edge, l.undo = seqno, l.LastID(), root, edge, nil
	l.finishSnapshots()
}

func (l *Ledger) nodeSignature(seqno uint64, root hash) []byte {
	signature := must(l.node.key.Sign(nil, root[:], crypto.SHA256))
	value := map[string]any{
		"node": l.node.id, "seqno": seqno, "view": l.view, "root": hex.EncodeToString(root[:]), "sig": signature,
		"hashed_nonce": hex.EncodeToString(make([]byte, 32)), "commit_seqno": 0, "commit_view": 0,
	}
	if l.form > V1 {
		value["cert"] = l.node.pem
	}
	return object(value)
}

var canonical = must(cbor.CanonicalEncOptions().EncMode())

func encode(value any) []byte { return must(canonical.Marshal(value)) }

func (l *Ledger) signatureHeaders(seqno uint64) map[any]any {
	return map[any]any{
		1: -35, 4: []byte(l.service.id), 395: 2, 15: map[any]any{1: "service.example.com", 2: "ledger.signature", 6: l.now.Unix()},
		"ccf.v1": map[any]any{"txid": txID(l.view, seqno)},
	}
}

// sign1 makes a COSE_Sign1 by the service over the payload, which it has only if attached.
func (l *Ledger) sign1(protected, unprotected map[any]any, payload, attached []byte) []byte {
	return l.service.sign1(protected, unprotected, payload, attached)
}

// sign1 makes a COSE_Sign1 by the key.
func (i *identity) sign1(protected, unprotected map[any]any, payload, attached []byte) []byte {
	headers := encode(protected)
	sum := sha512.Sum384(encode([]any{"Signature1", headers, []byte{}, payload}))
	var parts struct{ R, S *big.Int }
	must(asn1.Unmarshal(must(i.key.Sign(nil, sum[:], crypto.SHA384)), &parts))
	signature := slices.Concat(parts.R.FillBytes(make([]byte, 48)), parts.S.FillBytes(make([]byte, 48)))
	if unprotected == nil {
		unprotected = map[any]any{}
	}
	content := []any{headers, unprotected, nil, signature}
	if attached != nil {
		content[2] = attached
	}
	return encode(cbor.Tag{Number: 18, Content: content})
}

// endorse is the service's word for the one before it, or for itself if no service before it gave one.
func (l *Ledger) endorse() Write {
	claims := map[any]any{"epoch.start.txid": l.begun}
	value := map[string]any{"endorsing_key": l.service.der, "endorsement_epoch_begin": l.begun}
	of := l.service
	if l.endorsed > 0 {
		of = l.previous
		claims = map[any]any{"epoch.start.txid": of.from, "epoch.end.txid": l.before, "epoch.end.merkle.root": l.endRoot[:]}
		value["endorsement_epoch_begin"], value["endorsement_epoch_end"] = of.from, l.before
		value["previous_version"] = l.endorsed
	}
	value["endorsement"] = l.sign1(map[any]any{1: -35, 15: map[any]any{6: l.now.Unix()}, "ccf.v1": claims}, nil, of.der, of.der)
	l.endorsedBefore, l.endorsed = l.endorsed, l.seqno+1
	return one("public:ccf.internal.previous_service_identity_endorsement", object(value))
}
