package ccf

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"strings"

	"github.com/veraison/go-cose"
)

// doubtFrom says that a transaction is missing or damaged, in which another service may have begun.
func (v *Verifier) doubtFrom(seqno uint64) {
	if v.doubt == 0 {
		v.doubt = max(seqno, 1)
	}
}

// doubts says whether the service of a transaction is not known.
func (v *Verifier) doubts(seqno uint64) bool { return v.doubt > 0 && seqno > v.doubt }

// continued follows the service where a table names it, while the one before is not known for sure.
func (v *Verifier) continued(w *identityWrites, status string, key *ecdsa.PublicKey, id string) {
	over := v.over(w.seqno, w.id())
	v.doubt = 0
	if sameKey(v.service, key) {
		return
	}
	created := w.seqno == 1 || w.previous != nil || strings.EqualFold(status, "Opening") || strings.EqualFold(status, "Recovering")
	previous := w.predecessor()
	switch {
	case v.service != nil && created && (w.previous == nil || sameKey(previous, v.service)):
		v.succeed(w, key, id)
		return
	case v.service != nil || len(v.pending) > 0 && created:
		v.settlePending()
	}
	if n := len(v.report.Identities); n > 0 && v.report.Identities[n-1].KeySHA256 == "" {
		v.report.Identities = v.report.Identities[:n-1] // it is known now
	}
	if !created {
		v.serve(key, Identity{KeySHA256: id, Over: over})
		return
	}
	if known, err := keyIDOf(previous); err == nil {
		v.report.identify(Identity{KeySHA256: known, Over: over})
	}
	v.serve(key, Identity{KeySHA256: id, From: w.id()})
}

// over is the first transaction behind the gap in which the present service may have begun. The transaction in hand has no place in the views yet.
func (v *Verifier) over(seqno uint64, id string) string {
	n := len(v.report.Identities)
	switch {
	case v.service == nil && n > 0:
		return v.report.Identities[n-1].Over
	case v.doubt+1 == seqno:
		return id
	case v.doubt > 0:
		return v.seen(v.doubt + 1)
	}
	return v.report.First
}

// predecessor is the key of the service that a recovery names as the one before; nil if it names none.
func (w *identityWrites) predecessor() *ecdsa.PublicKey {
	var text string
	if json.Unmarshal(w.previous, &text) != nil {
		return nil
	}
	key, _, _ := serviceKey(text)
	return key
}

// keyIDOf is the ID of a key that may be unknown.
func keyIDOf(key *ecdsa.PublicKey) (string, error) {
	if key == nil {
		return "", errors.New("unknown")
	}
	return keyID(key)
}

// decide follows the service where a signature tells after a gap whether it is still the one before. Else no key verifies what the
// service says, until a table names it.
func (v *Verifier) decide(s *signature) {
	if !v.doubts(s.Seqno) {
		return
	}
	named := ""
	if s.message != nil {
		id, _ := s.message.message.Headers.Protected[cose.HeaderLabelKeyID].([]byte)
		named = string(id)
	}
	known, _ := keyIDOf(v.service)
	certified := s.certificate != nil && !s.certificate.foreign()
	switch {
	case v.service == nil && len(v.report.Identities) == 0:
		v.report.identify(Identity{Over: v.over(s.Seqno, s.id())})
	case v.service == nil, certified, named == known, s.certificate == nil && named == "" && s.Key != nil:
	case s.certificate == nil && named == "":
		return // it tells nothing
	default:
		v.settlePending()
		over := v.over(s.Seqno, s.id())
		v.serve(nil, Identity{Over: over})
		s.certificate = nil
	}
	v.doubt = 0
}

// vouching is the service that vouches for a snapshot: the one of the time, or the one that the snapshot itself names if that is not known.
func (v *Verifier) vouching(s *snapshot, known bool) *ecdsa.PublicKey {
	var info serviceInfo
	if known && v.service != nil && v.doubt == 0 || json.Unmarshal(s.service, &info) != nil {
		return v.service
	}
	if key, _, err := serviceKey(info.Cert); err == nil {
		return key
	}
	return v.service
}
