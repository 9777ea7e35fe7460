package ccf

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// receipt says that a transaction with these claims is in the tree of a signed root.
type receipt struct {
	claims, leaf, root hash
	evidence           string
	verify             func(service *ecdsa.PublicKey) error
}

// mostProof is more levels than a tree has.
const mostProof = 64

// step is one step from the leaf to the root.
type step struct {
	left bool
	hash hash
}

// made fills in the leaf and the root.
func (r *receipt) made(written hash, evidence string, steps []step) {
	digest := sha256.Sum256([]byte(evidence))
	all := append(append(append([]byte(nil), written[:]...), digest[:]...), r.claims[:]...)
	r.leaf, r.evidence = sha256.Sum256(all), evidence
	r.root = r.leaf
	for _, s := range steps {
		if s.left {
			r.root = pair(s.hash, r.root)
		} else {
			r.root = pair(r.root, s.hash)
		}
	}
}

func parseReceipt(encoded []byte) (*receipt, error) {
	if encoded[0] == '{' {
		return parseJSONReceipt(encoded)
	}
	return parseCOSEReceipt(encoded)
}

// jsonReceipt is a receipt of 2.x to 6.x.
type jsonReceipt struct {
	Cert       string `json:"cert"`
	NodeID     string `json:"node_id"`
	Signature  []byte `json:"signature"`
	Components struct {
		Claims   string `json:"claims_digest"`
		Evidence string `json:"commit_evidence"`
		Written  string `json:"write_set_digest"`
	} `json:"leaf_components"`
	Proof []struct {
		Left  string `json:"left"`
		Right string `json:"right"`
	} `json:"proof"`
}

func parseJSONReceipt(encoded []byte) (*receipt, error) {
	var j jsonReceipt
	if json.Unmarshal(encoded, &j) != nil {
		return nil, errors.New("its JSON cannot be read")
	}
	if len(j.Proof) > mostProof {
		return nil, errors.New("its proof is too long")
	}
	var r receipt
	var written hash
	if !unhex(&r.claims, j.Components.Claims) || !unhex(&written, j.Components.Written) {
		return nil, errors.New("its parts of the leaf cannot be read")
	}
	steps := make([]step, len(j.Proof))
	for i, p := range j.Proof {
		steps[i].left = p.Left != ""
		if p.Left != "" && p.Right != "" || !unhex(&steps[i].hash, p.Left+p.Right) {
			return nil, errors.New("its proof cannot be read")
		}
	}
	r.made(written, j.Components.Evidence, steps)
	cert, err := parseCertificate(j.Cert)
	if err != nil {
		return nil, err
	}
	r.verify = func(service *ecdsa.PublicKey) error {
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		switch {
		case nodeID(cert) != j.NodeID:
			return errors.New("its certificate is that of another node")
		case !ok || !verifiesASN1(key, r.root[:], j.Signature):
			return errors.New("its signature is not one of the root")
		case service != nil && !signedBy(cert, service):
			return errors.New("the service of the time did not certify its node")
		}
		return nil
	}
	return &r, nil
}

func unhex(into *hash, text string) bool {
	if len(text) != 2*sha256.Size {
		return false
	}
	_, err := hex.Decode(into[:], []byte(text))
	return err == nil
}

// proof is the proof in a receipt of 7.x.
type proof struct {
	Leaf []cbor.RawMessage   `cbor:"1,keyasint"`
	Path [][]cbor.RawMessage `cbor:"2,keyasint"`
}

func parseCOSEReceipt(encoded []byte) (*receipt, error) {
	m, err := parseSign1(encoded)
	if err != nil {
		return nil, err
	}
	proofs, _ := m.message.Headers.Unprotected[proofsLabel].(map[any]any)
	list, _ := proofs[int64(-1)].([]any)
	if len(list) != 1 {
		return nil, errors.New("it has not one proof")
	}
	raw, _ := list[0].([]byte)
	var p proof
	if decoder.Unmarshal(raw, &p) != nil || len(p.Leaf) != 3 || len(p.Path) > mostProof {
		return nil, errors.New("its proof cannot be read")
	}
	var r receipt
	var written hash
	var evidence string
	if !digest(&written, p.Leaf[0]) || decoder.Unmarshal(p.Leaf[1], &evidence) != nil || !digest(&r.claims, p.Leaf[2]) {
		return nil, errors.New("its parts of the leaf cannot be read")
	}
	steps := make([]step, len(p.Path))
	for i, s := range p.Path {
		if len(s) != 2 || decoder.Unmarshal(s[0], &steps[i].left) != nil || !digest(&steps[i].hash, s[1]) {
			return nil, errors.New("its proof cannot be read")
		}
	}
	r.made(written, evidence, steps)
	r.verify = func(service *ecdsa.PublicKey) error {
		if service == nil {
			return errors.New("no file tells the service's certificate")
		}
		return m.verify(service, r.root[:])
	}
	return &r, nil
}

func digest(into *hash, raw cbor.RawMessage) bool {
	var value []byte
	if decoder.Unmarshal(raw, &value) != nil || len(value) != sha256.Size {
		return false
	}
	return copy(into[:], value) == sha256.Size
}
