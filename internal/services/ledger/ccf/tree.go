package ccf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// hash is a SHA-256.
type hash [sha256.Size]byte

func pair(left, right hash) hash {
	var both [2 * sha256.Size]byte
	copy(both[:], left[:])
	copy(both[sha256.Size:], right[:])
	return sha256.Sum256(both[:])
}

// tree is the Merkle tree of the first leaves: one hash for each bit of their number, the hash of bit n over 2^n leaves.
type tree struct {
	count uint64
	peaks [64]hash
}

func (t *tree) append(leaf hash) {
	level := bits.TrailingZeros64(^t.count)
	for i := range level {
		leaf = pair(t.peaks[i], leaf)
	}
	t.peaks[level] = leaf
	t.count++
}

// root joins the peaks, the lowest first. A tree without leaves has no root.
func (t *tree) root() hash {
	var root hash
	have := false
	for level := range bits.Len64(t.count) {
		switch {
		case t.count>>level&1 == 0:
		case !have:
			root, have = t.peaks[level], true
		default:
			root = pair(t.peaks[level], root)
		}
	}
	return root
}

func (t *tree) equal(other *tree) bool {
	return t.count == other.count && bytes.Equal(t.bytes(), other.bytes())
}

// bytes is the list of the peaks, the lowest first.
func (t *tree) bytes() []byte {
	var out []byte
	for level := range bits.Len64(t.count) {
		if t.count>>level&1 == 1 {
			out = append(out, t.peaks[level][:]...)
		}
	}
	return out
}

// treeOf is the tree of a number of leaves with the peaks of bytes.
func treeOf(count uint64, peaks []byte) (tree, bool) {
	t := tree{count: count}
	if len(peaks) != bits.OnesCount64(count)*sha256.Size {
		return t, false
	}
	for level := range bits.Len64(count) {
		if count>>level&1 == 1 {
			peaks = peaks[copy(t.peaks[level][:], peaks):]
		}
	}
	return t, true
}

// treeTable is the tree that a signature writes beside itself: all leaves since the signature before, and the tree before them.
type treeTable struct {
	before tree
	leaves []hash
}

// parseTree reads the table of the signature of a transaction, whose tree has the leaves of all transactions before it.
func parseTree(value []byte, seqno uint64) (*treeTable, bool) {
	if len(value) < 16 {
		return nil, false
	}
	count, before := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	rest := value[16:]
	if before > seqno || count != seqno-before || count > uint64(len(rest)/sha256.Size) {
		return nil, false
	}
	t := &treeTable{leaves: make([]hash, count)}
	for i := range t.leaves {
		rest = rest[copy(t.leaves[i][:], rest):]
	}
	edge, ok := treeOf(before, rest)
	t.before = edge
	return t, ok
}

// whole is the tree that was signed.
func (t *treeTable) whole() tree {
	whole := t.before
	for _, leaf := range t.leaves {
		whole.append(leaf)
	}
	return whole
}

// differs compares the table with our own leaves after the tree of base: it names the transactions whose leaf is another one, and says
// whether the tree of those before differs. Without a known base only the leaves are compared.
func (t *treeTable) differs(base *tree, from uint64, leaves []hash) (seqnos []uint64, earlier bool) {
	reached := t.before
	for i, leaf := range t.leaves {
		seqno := t.before.count + uint64(i)
		if base != nil && seqno == base.count {
			earlier = !reached.equal(base)
		}
		if base != nil && seqno < base.count {
			reached.append(leaf)
		}
		if seqno >= from && seqno-from < uint64(len(leaves)) && leaf != leaves[seqno-from] {
			seqnos = append(seqnos, seqno)
		}
	}
	if base != nil && t.before.count > base.count {
		ours := *base
		for i := base.count; i < t.before.count && i-from < uint64(len(leaves)); i++ {
			ours.append(leaves[i-from])
		}
		earlier = !ours.equal(&t.before)
	}
	return seqnos, earlier
}
