package ccfwriter

import (
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// pending is a snapshot whose receipt is made at the signature after its evidence.
type pending struct {
	seqno, evidence uint64
	state           []byte
	written         hash
	disclosed       string
	file            *File
}

func txID(view, seqno uint64) string { return fmt.Sprintf("%d.%d", view, seqno) }

// Snapshot ends the chunk, writes the state so far, and its evidence into the next chunk. The next signature makes its receipt.
func (l *Ledger) Snapshot(private int) {
	if l.chunk != nil {
		l.Close()
	}
	leaf := l.leaves[l.seqno]
	public := number(number([]byte{1}, l.seqno), 0)
	public = append(number(public, uint64(len(leaf))), leaf[:]...)
	public = number(public, 8*l.view)
	for range l.view {
		public = number(public, 1)
	}
	for _, table := range slices.Sorted(maps.Keys(l.state)) {
		public = l.table(public, table)
	}
	state := l.frame(public, l.bytes(private), 0, 1<<31)
	sum := sha256.Sum256(state)
	s := &pending{seqno: l.seqno, evidence: l.seqno + 1, state: state}
	l.snapshots = append(l.snapshots, s)
	evidence := object(map[string]any{"hash": hex.EncodeToString(sum[:]), "version": l.seqno})
	e := entry{writes: []Write{one("public:ccf.internal.snapshot_evidence", evidence)}}
	if l.form > V1 {
		e.claims = &sum
	}
	l.append(e)
}

// table writes the keys of a table with the transaction that wrote each, padded to multiples of 8.
func (l *Ledger) table(b []byte, table string) []byte {
	var rows []byte
	newest := uint64(0)
	for _, key := range slices.Sorted(maps.Keys(l.state[table])) {
		v := l.state[table][key]
		newest = max(newest, v.version)
		rows = padded(sized(rows, key))
		rows = number(number(rows, uint64(8+len(v.bytes))), v.version)
		rows = padded(append(rows, v.bytes...))
	}
	b = number(sized(b, table), newest)
	return append(number(b, uint64(len(rows))), rows...)
}

func padded(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// finishSnapshots makes the receipts that the last signature covers.
func (l *Ledger) finishSnapshots() {
	for _, s := range l.snapshots {
		if s.file != nil || s.evidence >= l.signed {
			continue
		}
		name := fmt.Sprintf("snapshots/snapshot_%d_%d.committed", s.seqno, s.evidence)
		steps := proof(l.leaves[:l.signed], int(s.evidence))
		var receipt []byte
		switch l.form {
		case V1:
			name += fmt.Sprintf("_%d", l.signed)
		case V7:
			receipt = l.coseReceipt(s, steps)
		default:
			receipt = l.jsonReceipt(s, steps)
		}
		s.file = &File{name, slices.Concat(s.state, receipt)}
	}
}

func (l *Ledger) jsonReceipt(s *pending, steps []step) []byte {
	path := make([]map[string]string, len(steps))
	for i, p := range steps {
		side := "right"
		if p.left {
			side = "left"
		}
		path[i] = map[string]string{side: hex.EncodeToString(p.hash[:])}
	}
	claims := sha256.Sum256(s.state)
	return object(map[string]any{
		"cert": l.node.pem, "node_id": l.node.id, "proof": path, "signature": must(l.node.key.Sign(nil, l.root[:], crypto.SHA256)),
		"leaf_components": map[string]string{
			"claims_digest": hex.EncodeToString(claims[:]), "commit_evidence": s.disclosed, "write_set_digest": hex.EncodeToString(s.written[:]),
		},
	})
}

func (l *Ledger) coseReceipt(s *pending, steps []step) []byte {
	path := make([]any, len(steps))
	for i, p := range steps {
		path[i] = []any{p.left, p.hash[:]}
	}
	claims := sha256.Sum256(s.state)
	proof := encode(map[any]any{1: []any{s.written[:], s.disclosed, claims[:]}, 2: path})
	return l.sign1(l.signatureHeaders(l.signed), map[any]any{396: map[any]any{-1: []any{proof}}}, l.root[:], nil)
}

// Uncommitted gives a closed chunk the name that it has before it is committed.
func Uncommitted(f File) File {
	var first, last uint64
	if n, err := fmt.Sscanf(f.Name, "ledger/ledger_%d-%d.committed", &first, &last); n != 2 || err != nil {
		panic(fmt.Sprint(f.Name, " is no committed chunk"))
	}
	f.Name = fmt.Sprintf("ledger/ledger_%d", first)
	return f
}

// Table is the offset of the table of positions in a chunk, or 0 while it is open.
func (f File) Table() int { return int(binary.LittleEndian.Uint64(f.Content)) }
