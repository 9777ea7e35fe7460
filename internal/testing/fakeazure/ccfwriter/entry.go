package ccfwriter

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

type hash = [sha256.Size]byte

// entry is a transaction before it is written.
type entry struct {
	writes  []Write
	private []byte
	claims  *hash
	flags   byte
}

func number(b []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(b, n) }

func sized(b []byte, s string) []byte { return append(number(b, uint64(len(s))), s...) }

// tables writes the tables in the order of their names, as CCF does.
func tables(b []byte, writes []Write) []byte {
	writes = slices.Clone(writes)
	slices.SortStableFunc(writes, func(x, y Write) int { return strings.Compare(x.Table, y.Table) })
	for len(writes) > 0 {
		n := 1
		for n < len(writes) && writes[n].Table == writes[0].Table {
			n++
		}
		b = number(number(sized(b, writes[0].Table), 0), 0)
		removed := slices.DeleteFunc(slices.Clone(writes[:n]), func(w Write) bool { return !w.Remove })
		b = number(b, uint64(n-len(removed)))
		for _, w := range writes[:n] {
			if !w.Remove {
				b = sized(sized(b, w.Key), string(w.Value))
			}
		}
		b = number(b, uint64(len(removed)))
		for _, w := range removed {
			b = sized(b, w.Key)
		}
		writes = writes[n:]
	}
	return b
}

// commitEvidence is the secret of a transaction that its receipt discloses.
func (l *Ledger) commitEvidence(seqno uint64) string {
	secret := sha256.Sum256(fmt.Appendf(nil, "secret of %s %d", l.service.id, seqno))
	return fmt.Sprintf("ce:%d.%d:%x", l.view, seqno, secret)
}

// append writes a transaction into the chunk, and its leaf into the tree.
func (l *Ledger) append(e entry) {
	l.seqno++
	l.lastID = txID(l.view, l.seqno)
	kind := byte(4)
	switch {
	case l.form == V1:
		kind = 0
	case l.form == V2 && e.claims == nil:
		kind = 3
	}
	public := number([]byte{kind}, l.seqno)
	evidence := sha256.Sum256([]byte(l.commitEvidence(l.seqno)))
	var claims hash
	if e.claims != nil {
		claims = *e.claims
	}
	if kind == 4 {
		public = append(public, claims[:]...)
	}
	if kind >= 3 {
		public = append(public, evidence[:]...)
	}
	unused := uint64(0)
	if l.form == V1 {
		unused = l.seqno / 2
	}
	public = tables(number(public, unused), e.writes)
	content := l.frame(public, e.private, e.flags, l.view)
	written := sha256.Sum256(content)
	leaf := written
	switch kind {
	case 3:
		leaf = sha256.Sum256(slices.Concat(written[:], evidence[:]))
	case 4:
		leaf = sha256.Sum256(slices.Concat(written[:], evidence[:], claims[:]))
	}
	for _, s := range l.snapshots {
		if s.evidence == l.seqno {
			s.written, s.disclosed = written, l.commitEvidence(l.seqno)
		}
	}
	l.leaves, l.private = append(l.leaves, leaf), append(l.private, len(e.private) > 0)
	l.tree.append(leaf)
	if l.chunk == nil {
		l.chunk = &chunk{first: l.seqno, content: make([]byte, 8)}
	}
	l.chunk.positions = append(l.chunk.positions, uint32(len(l.chunk.content)))
	l.chunk.content = append(l.chunk.content, content...)
	for _, w := range e.writes {
		l.keep(w)
	}
}

func (l *Ledger) keep(w Write) {
	if l.state[w.Table] == nil {
		l.state[w.Table] = map[string]value{}
	}
	before, had := l.state[w.Table][w.Key]
	l.undo = append(l.undo, undo{w.Table, w.Key, before, had})
	if w.Remove {
		delete(l.state[w.Table], w.Key)
		return
	}
	l.state[w.Table][w.Key] = value{l.seqno, w.Value}
}

// frame puts the header and the GCM header before the parts of an entry.
func (l *Ledger) frame(public, private []byte, flags byte, view uint64) []byte {
	size := uint64(16 + 12 + 8 + len(public) + len(private))
	b := number(make([]byte, 0, 8+size), size<<16|uint64(flags)<<8|1)
	b = number(append(b, l.bytes(16)...), l.seqno)
	b = binary.LittleEndian.AppendUint32(b, uint32(view))
	return append(append(number(b, uint64(len(public))), public...), private...)
}

// closeChunk writes the table of positions, and commits the file.
func (l *Ledger) closeChunk() {
	c := l.chunk
	binary.LittleEndian.PutUint64(c.content, uint64(len(c.content)))
	for _, p := range c.positions {
		c.content = binary.LittleEndian.AppendUint32(c.content, p)
	}
	l.files = append(l.files, File{fmt.Sprintf("ledger/ledger_%d-%d.committed", c.first, l.seqno), c.content})
	l.chunk = nil
}

// peaks is the tree of all leaves: one hash for each bit of their number, the lowest first.
type peaks struct {
	count  uint64
	hashes [64]hash
}

func pair(left, right hash) hash { return sha256.Sum256(slices.Concat(left[:], right[:])) }

func (p *peaks) append(leaf hash) {
	level := 0
	for ; p.count>>level&1 == 1; level++ {
		leaf = pair(p.hashes[level], leaf)
	}
	p.hashes[level] = leaf
	p.count++
}

func (p *peaks) root() hash {
	level := bits.TrailingZeros64(p.count)
	root := p.hashes[level]
	for level++; p.count>>level > 0; level++ {
		if p.count>>level&1 == 1 {
			root = pair(p.hashes[level], root)
		}
	}
	return root
}

// proof is the way from a leaf to the root of all leaves.
func proof(leaves []hash, index int) []step {
	if len(leaves) == 1 {
		return nil
	}
	half := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if index < half {
		return append(proof(leaves[:half], index), step{false, rootOf(leaves[half:])})
	}
	return append(proof(leaves[half:], index-half), step{true, rootOf(leaves[:half])})
}

type step struct {
	left bool
	hash hash
}

func rootOf(leaves []hash) hash {
	var p peaks
	for _, leaf := range leaves {
		p.append(leaf)
	}
	return p.root()
}
