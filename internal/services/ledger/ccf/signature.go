package ccf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The tables that prove something.
const (
	signaturesTable  = "public:ccf.internal.signatures"
	coseTable        = "public:ccf.internal.cose_signatures"
	treeName         = "public:ccf.internal.tree"
	serviceTable     = "public:ccf.gov.service.info"
	previousTable    = "public:ccf.gov.service.previous_service_identity"
	lastRootTable    = "public:ccf.internal.previous_service_last_signed_root"
	endorsementTable = "public:ccf.internal.previous_service_identity_endorsement"
	nodesTable       = "public:ccf.gov.nodes.info"
	evidenceTable    = "public:ccf.internal.snapshot_evidence"
)

// signature is the word of a transaction for the root of all transactions before it.
type signature struct {
	Seqno uint64 `json:"s"`
	View  uint64 `json:"v"`
	Root  []byte `json:"r,omitempty"` // the root as it is settled
	Key   []byte `json:"k,omitempty"` // the node's key
	Node  []byte `json:"n,omitempty"` // the node's signature
	COSE  []byte `json:"c,omitempty"` // the service's signature
	At    int64  `json:"a,omitempty"` // the time in the service's signature
	// Checked says that the signatures were verified, and Valid that one of them is.
	Checked bool `json:"d,omitempty"`
	Valid   bool `json:"w,omitempty"`
	Foreign bool `json:"f,omitempty"` // the service did not sign the node's certificate

	written     *hash            // the root as the node wrote it
	faults      []string         // wrong, whatever the root is
	certificate *nodeCertificate // nil if Foreign is known
	message     *sign1           // COSE as parsed, or nil
	begun       bool             // its verification is under way
}

func (s *signature) id() string { return txID(s.View, s.Seqno) }

// nodeSignature is the value of the table of a node's signature.
type nodeSignature struct {
	Node  string `json:"node"`
	Seqno uint64 `json:"seqno"`
	View  uint64 `json:"view"`
	Root  string `json:"root"`
	Sig   []byte `json:"sig"`
	Cert  string `json:"cert"`
}

// signed reads the values of the tables that a transaction with a signature writes. A value is nil if it is not there.
func (v *Verifier) signed(t *transaction, w *signatureWrites) *signature {
	s := &signature{Seqno: t.seqno, View: t.view}
	if w.node != nil {
		v.report.NodeSignatures++
		if err := v.readNode(s, w.parsed()); err != nil {
			s.faults = append(s.faults, "the node's signature: "+err.Error())
		}
	}
	if w.cose != nil {
		v.report.COSESignatures++
		if err := v.readCOSE(s, w.cose); err != nil {
			s.faults = append(s.faults, "the service's signature: "+err.Error())
		}
	}
	return s
}

func (v *Verifier) readNode(s *signature, n *nodeSignature) error {
	if n == nil {
		return errors.New("its JSON cannot be read")
	}
	root, err := hex.DecodeString(n.Root)
	if err != nil || len(root) != sha256.Size {
		return errors.New("its root is no SHA-256")
	}
	s.written = (*hash)(root)
	if n.Seqno != s.Seqno || n.View != s.View {
		return fmt.Errorf("it says that it is %s", txID(n.View, n.Seqno))
	}
	s.Node = n.Sig
	if n.Cert == "" {
		if s.Key = v.nodes[n.Node]; s.Key == nil && (!v.whole || v.broken) {
			return nil // the transaction with its key may be missing
		}
		if s.Key == nil {
			return fmt.Errorf("the node %.12s is not in the ledger", n.Node)
		}
		v.order = append(slices.DeleteFunc(v.order, func(id string) bool { return id == n.Node }), n.Node) // it is the last to be forgotten
		return nil
	}
	known, err := v.certified(n.Cert)
	if err != nil {
		return err
	}
	s.Key, s.certificate = known.key, known
	if known.id != n.Node {
		return errors.New("its certificate is that of another node")
	}
	return nil
}

// readCOSE reads the service's signature: a JSON string, whose base64 is a COSE_Sign1 without payload.
func (v *Verifier) readCOSE(s *signature, value []byte) error {
	var message []byte
	if err := json.Unmarshal(value, &message); err != nil {
		return errors.New("its base64 cannot be read")
	}
	s.COSE = message
	m, err := parseSign1(message)
	if err != nil {
		s.COSE = nil
		return err
	}
	s.At, s.message = m.at, m
	if m.id != s.id() {
		return fmt.Errorf("it says that it is %s", m.id)
	}
	return nil
}

// nodeCertificate holds the key in a node's certificate.
type nodeCertificate struct {
	key     []byte
	id      string
	cert    *x509.Certificate
	service *ecdsa.PublicKey // the service of the time, or nil
	once    sync.Once
	wrong   bool
}

// foreign says whether the service did not sign the certificate. That is verified once.
func (c *nodeCertificate) foreign() bool {
	c.once.Do(func() { c.wrong = c.service != nil && !signedBy(c.cert, c.service) })
	return c.wrong
}

// certified reads a node's certificate. It keeps the last ones: nodes are few.
func (v *Verifier) certified(text string) (*nodeCertificate, error) {
	digest := sha256.Sum256([]byte(text))
	if known, ok := v.certificates[digest]; ok {
		return known, nil
	}
	cert, err := parseCertificate(text)
	if err != nil {
		return nil, err
	}
	key, err := pointOf(cert.PublicKey)
	if err != nil {
		return nil, err
	}
	known := &nodeCertificate{key: key, id: nodeID(cert), cert: cert, service: v.service}
	if len(v.certificates) >= 64 {
		clear(v.certificates)
	}
	v.certificates[digest] = known
	return known, nil
}

func nodeID(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("its certificate is no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	return cert, nil
}

// curves are the curves of keys, by the bytes of a point.
var curves = map[int]elliptic.Curve{65: elliptic.P256(), 97: elliptic.P384(), 133: elliptic.P521()}

// pointOf is the form in which the verifier keeps a public key.
func pointOf(key any) ([]byte, error) {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("its key is no ECDSA key")
	}
	point, err := public.Bytes()
	if err != nil || curves[len(point)] != public.Curve {
		return nil, errors.New("its key is none of P-256, P-384 or P-521")
	}
	return point, nil
}

// compressed is the short form of a point, for checkpoints.
func compressed(point []byte) []byte {
	half := len(point) / 2
	return append([]byte{2 | point[len(point)-1]&1}, point[1:half+1]...)
}

func uncompressed(short []byte) ([]byte, error) {
	curve, ok := curves[2*len(short)-1]
	if !ok {
		return nil, errors.New("its key is none of P-256, P-384 or P-521")
	}
	x, y := elliptic.UnmarshalCompressed(curve, short)
	if x == nil {
		return nil, errors.New("its key is no point of the curve")
	}
	point := make([]byte, 2*len(short)-1)
	point[0] = 4
	x.FillBytes(point[1:len(short)])
	y.FillBytes(point[len(short):])
	return point, nil
}

func keyOfPoint(point []byte) (*ecdsa.PublicKey, error) {
	curve, ok := curves[len(point)]
	if !ok {
		return nil, errors.New("its key is none of P-256, P-384 or P-521")
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

// verification verifies the signatures of one transaction against a root.
type verification struct {
	s             *signature
	root          hash
	service       *ecdsa.PublicKey
	node, message error
}

func (v *Verifier) verification(s *signature, root hash) *verification {
	return &verification{s: s, root: root, service: v.service}
}

// work is all that takes time. The service's signature is left out while no file has told the service's key.
func (f *verification) work() (work []func()) {
	s := f.s
	if s.Key != nil {
		work = append(work, func() {
			if key, err := keyOfPoint(s.Key); err != nil || !verifiesASN1(key, f.root[:], s.Node) {
				f.node = errors.New("the node's signature is not one of the root")
			}
		})
	}
	if c := s.certificate; c != nil {
		work = append(work, func() { c.foreign() })
	}
	if s.COSE != nil && f.service != nil {
		work = append(work, func() {
			m, err := s.message, error(nil)
			if m == nil {
				m, err = parseSign1(s.COSE)
			}
			if err == nil {
				err = m.verify(f.service, f.root[:])
			}
			if err != nil {
				f.message = fmt.Errorf("the service's signature: %w", err)
			}
		})
	}
	return work
}

// outcome is the number of valid signatures, and the fault of each other one, once the work is done.
func (f *verification) outcome() (valid int, wrong []string) {
	for _, part := range []struct {
		there bool
		err   error
	}{{f.s.Key != nil, f.node}, {f.s.COSE != nil && f.service != nil, f.message}} {
		switch {
		case !part.there:
		case part.err == nil:
			valid++
		default:
			wrong = append(wrong, part.err.Error())
		}
	}
	return valid, wrong
}

// verify checks the signatures against a root now.
func (v *Verifier) verify(s *signature, root hash) (valid int, wrong []string) {
	f := v.verification(s, root)
	for _, work := range f.work() {
		work()
	}
	return f.outcome()
}

// verified tells the outcome for a signature against its own root, once.
func (v *Verifier) verified(f *verification) {
	s := f.s
	if s.Checked {
		return
	}
	s.Checked = true
	valid, wrong := f.outcome()
	s.Valid = valid > 0
	v.foreign(s)
	for _, text := range wrong {
		v.signatureWrong(s, text)
	}
}

// isForeign says whether the service did not sign the node's certificate.
func (s *signature) isForeign() bool {
	if s.certificate != nil {
		s.Foreign, s.certificate = s.certificate.foreign(), nil
	}
	return s.Foreign
}

func (v *Verifier) foreign(s *signature) {
	if s.isForeign() {
		v.tell(fault, NodeCertificateWrong, s.id(), "the service of the time did not certify the node")
	}
}

func (v *Verifier) signatureWrong(s *signature, text string) {
	v.tell(fault, SignatureWrong, s.id(), text)
}

// signedAt is the time in the service's signature.
func signedAt(seconds int64) *time.Time {
	if seconds == 0 {
		return nil
	}
	at := time.Unix(seconds, 0).UTC()
	return &at
}

func sameKey(a, b *ecdsa.PublicKey) bool {
	return a != nil && b != nil && a.Equal(b)
}

func isRoot(written *hash, root hash) bool { return written == nil || *written == root }
