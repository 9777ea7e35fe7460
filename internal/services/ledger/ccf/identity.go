package ccf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// serviceInfo is the value of the table of the service.
type serviceInfo struct {
	Cert   string `json:"cert"`
	Status string `json:"status"`
}

// serviceKey reads the key of a service from its certificate.
func serviceKey(text string) (*ecdsa.PublicKey, string, error) {
	cert, err := parseCertificate(text)
	if err != nil {
		return nil, "", err
	}
	if _, err := pointOf(cert.PublicKey); err != nil {
		return nil, "", err
	}
	return cert.PublicKey.(*ecdsa.PublicKey), nodeID(cert), nil
}

// identityWrites are the values of one transaction that are about the service and its nodes.
type identityWrites struct {
	seqno, view                           uint64
	info, previous, lastRoot, endorsement []byte
	nodes                                 [][]byte
}

func (w *identityWrites) id() string { return txID(w.view, w.seqno) }

// take copies a value that is about the service or a node.
func (w *identityWrites) take(table string, value []byte) {
	value = bytes.Clone(value)
	switch table {
	case serviceTable:
		w.info = value
	case previousTable:
		w.previous = value
	case lastRootTable:
		w.lastRoot = value
	case endorsementTable:
		w.endorsement = value
	case nodesTable:
		w.nodes = append(w.nodes, value)
	}
}

// identify follows the service through a transaction: its creation, a renewed certificate, or a recovery.
func (v *Verifier) identify(w *identityWrites) {
	if w.info != nil {
		var info serviceInfo
		err := json.Unmarshal(w.info, &info)
		if err == nil {
			var key *ecdsa.PublicKey
			var id string
			if key, id, err = serviceKey(info.Cert); err == nil && (v.service == nil || v.doubts(w.seqno)) {
				v.continued(w, info.Status, key, id)
			} else if err == nil && !sameKey(v.service, key) {
				v.succeed(w, key, id)
			}
		}
		if err != nil {
			v.tell(fault, IdentityWrong, w.id(), "the service's certificate cannot be read")
		}
	}
	for _, node := range w.nodes {
		v.joined(node, v.doubts(w.seqno))
	}
	if w.endorsement != nil && !v.doubts(w.seqno) {
		v.endorsed(w.id(), w.endorsement)
	}
}

// succeed takes the key of a new service, and checks what it says of the one before.
func (v *Verifier) succeed(w *identityWrites, key *ecdsa.PublicKey, id string) {
	before := v.service
	if before != nil {
		v.settlePending()
		if err := v.recovered(w); err != nil {
			v.tell(fault, IdentityWrong, w.id(), "a recovery: "+err.Error())
		}
		if w.previous == nil {
			v.tell(note, IdentityAlone, w.id(), "a recovery does not name the service before it")
			v.report.Alone = w.id()
		}
	}
	v.serve(key, Identity{KeySHA256: id, From: w.id()})
}

// serve goes on with another service.
func (v *Verifier) serve(key *ecdsa.PublicKey, identity Identity) {
	v.service = key
	clear(v.certificates)
	v.report.identify(identity)
}

// recovered checks that a recovery names the service before, and begins right after its last signature.
func (v *Verifier) recovered(w *identityWrites) error {
	if w.previous != nil {
		var text string
		if json.Unmarshal(w.previous, &text) != nil {
			return errors.New("the certificate of the service before cannot be read")
		}
		key, _, err := serviceKey(text)
		if err != nil {
			return fmt.Errorf("the service before: %w", err)
		}
		if !sameKey(key, v.service) {
			return errors.New("it names another service before it")
		}
	}
	if before := w.seqno - 1; !v.known || v.told[before] || slices.Contains(v.named, before) {
		return nil // a gap lies between, or the signature before is damaged
	}
	if w.lastRoot != nil && v.lastRoot != nil {
		var text string
		root, err := hash{}, json.Unmarshal(w.lastRoot, &text)
		if n, bad := hex.Decode(root[:], []byte(text[:min(len(text), 2*sha256.Size)])); err != nil || bad != nil || n != sha256.Size || !bytes.Equal(root[:], v.lastRoot) {
			return errors.New("it names another last root")
		}
	}
	if w.seqno != v.lastSignature+1 {
		return fmt.Errorf("it does not follow the signature %d", v.lastSignature)
	}
	return nil
}

// endorsement is the service's word for a service before it, or for itself.
type endorsement struct {
	Endorsement  []byte `json:"endorsement"`
	EndorsingKey []byte `json:"endorsing_key"`
	Begin        string `json:"endorsement_epoch_begin"`
	End          string `json:"endorsement_epoch_end"`
}

// endorsed checks an endorsement. Its range may run backwards: an election during a recovery makes one of the service's own key, from
// the beginning of this service to the end of the one before.
func (v *Verifier) endorsed(id string, value []byte) {
	m, err := v.readEndorsement(value)
	valid, service, work := true, v.service, []func(){}
	if m != nil && service != nil && (v.options.EverySignature || !m.ofItself(service)) {
		work = append(work, func() { valid = verifySign1(&m.message, service) == nil })
	}
	v.after(func() {
		if !valid {
			err = errors.New("its signature is wrong")
		}
		if err != nil {
			v.tell(fault, IdentityWrong, id, "the endorsement of the service before: "+err.Error())
		}
	}, work...)
}

// ofItself says whether a service endorses itself, as the first one does: that proves nothing more than its certificate.
func (m *sign1) ofItself(service *ecdsa.PublicKey) bool {
	der, err := x509.MarshalPKIXPublicKey(service)
	return err == nil && bytes.Equal(der, m.message.Payload)
}

// readEndorsement checks all of an endorsement but its signature. The message is nil if it is not one by the service.
func (v *Verifier) readEndorsement(value []byte) (*sign1, error) {
	var e endorsement
	if json.Unmarshal(value, &e) != nil {
		return nil, errors.New("its JSON cannot be read")
	}
	m, err := parseSign1(e.Endorsement)
	if err != nil || v.service == nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(e.EndorsingKey)
	if key, ok := public.(*ecdsa.PublicKey); err != nil || !ok || !key.Equal(v.service) {
		return nil, errors.New("it is by the key of another service")
	}
	begin, _ := m.claims["epoch.start.txid"].(string)
	end, _ := m.claims["epoch.end.txid"].(string)
	if begin != e.Begin || end != e.End {
		return m, errors.New("its range is not the signed one")
	}
	sum := sha256.Sum256(m.message.Payload)
	id := hex.EncodeToString(sum[:])
	known := slices.ContainsFunc(v.report.Identities, func(i Identity) bool { return i.KeySHA256 == id })
	if !known && v.whole && v.report.MoreIdentities == 0 {
		return m, errors.New("it endorses a service that was never in the ledger")
	}
	return m, nil
}

// nodeInfo is a part of a node's row. Only 1.x has the certificate there.
type nodeInfo struct {
	Cert   string `json:"cert"`
	Status any    `json:"status"`
}

// mostNodes bounds the nodes of 1.x that are kept: later versions put the certificate beside the signature.
const mostNodes = 16

// salvage takes the keys of a damaged transaction that are whole: a service signs its own certificate, and the hash of its key names a node.
func (v *Verifier) salvage(w *identityWrites) {
	var info serviceInfo
	if w.info != nil && json.Unmarshal(w.info, &info) == nil {
		cert, err := parseCertificate(info.Cert)
		key, id, wrong := serviceKey(info.Cert)
		if err == nil && wrong == nil && signedBy(cert, key) && !sameKey(v.service, key) {
			if v.service != nil {
				v.settlePending()
			}
			v.serve(key, Identity{KeySHA256: id, From: w.id()})
		}
		if err == nil && wrong == nil {
			v.doubt = 0
		}
	}
	for _, node := range w.nodes {
		v.joined(node, true)
	}
}

// joined keeps the key of a node of 1.x. The service of the time signs the certificate of the first node; a node that joined has one by
// itself, and the signed tree vouches for it.
func (v *Verifier) joined(value []byte, damaged bool) {
	var info nodeInfo
	if json.Unmarshal(value, &info) != nil || info.Cert == "" {
		return
	}
	cert, err := parseCertificate(info.Cert)
	if err != nil {
		return
	}
	key, err := pointOf(cert.PublicKey)
	id := nodeID(cert)
	switch {
	case err != nil:
		return
	case info.Status == "Retired" || info.Status == "RETIRED":
		delete(v.nodes, id)
		v.order = slices.DeleteFunc(v.order, func(other string) bool { return other == id })
		return
	case v.nodes[id] != nil:
		return
	}
	own, _ := cert.PublicKey.(*ecdsa.PublicKey)
	if !damaged && v.service != nil && !signedBy(cert, v.service) && !signedBy(cert, own) {
		return
	}
	if len(v.order) == mostNodes {
		delete(v.nodes, v.order[0])
		v.order = v.order[1:]
	}
	v.nodes[id], v.order = key, append(v.order, id)
}
