package ccf

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	gohash "hash"
	"io"
	"strings"
)

// snapshot is a snapshot as read: the digest of all bytes before its receipt, and what the receipt says.
type snapshot struct {
	digest  hash
	leaf    hash // the transaction whose state it holds
	receipt []byte
	service []byte // the values that a ledger can begin with
	tree    []byte
	nodes   [][]byte
	tables  []string
	entries int
	problem string
}

// Bounds of a snapshot's parts that are held in memory.
const (
	mostReceipt = 1 << 20
	mostValue   = mostPublic
	mostTables  = 1 << 16
	mostTable   = 4096 // bytes of a name
)

// stateVisit is called for each key of a snapshot's public tables, by the number of the table. A version below 0 says removed.
type stateVisit func(table int, name string, key []byte, version int64, value []byte)

// readSnapshot reads a snapshot to its end. An error says that the file could not be read; a problem, that it is none.
func (v *Verifier) readSnapshot(ctx context.Context, f snapshotFile, visit stateVisit) (*snapshot, error) {
	in, err := v.open(ctx, f.file, 0, v.bufferSize)
	if err != nil {
		return nil, err
	}
	defer in.close()
	s := &snapshot{}
	if in.left() < headerBytes+gcmBytes+sizeBytes {
		s.problem = counted(int(in.left()), "byte") + " are fewer than a snapshot has"
		return s, nil
	}
	sum := sha256.New()
	r := &stateReader{in: in, sum: sum, end: in.file.Size}
	size := int64(r.uint64() >> 16)
	r.skip(gcmBytes)
	r.buffer = nil
	public := r.uint64()
	end := int64(headerBytes) + size
	switch {
	case r.err != nil:
		return nil, unexpected(r.err)
	case size < gcmBytes+sizeBytes || end > in.file.Size:
		s.problem = "it ends before its state does"
		return s, nil
	case public > uint64(end-in.pos):
		s.problem = "its public part is larger than the file"
		return s, nil
	}
	r.end = in.pos + int64(public)
	if err := s.state(r, f.seqno, visit); err != nil {
		if r.err != nil {
			return nil, unexpected(r.err)
		}
		s.problem = err.Error()
	}
	r.skip(uint64(end - in.pos)) // the rest of the state, and the private part
	if r.err != nil {
		return nil, unexpected(r.err)
	}
	sum.Sum(s.digest[:0])
	if in.left() > mostReceipt {
		s.problem = "its receipt is larger than 1 MiB"
		return s, nil
	}
	if s.receipt, err = fill(nil, in, in.left()); err != nil {
		return nil, unexpected(err)
	}
	return s, nil
}

// stateReader reads the state of a snapshot, and hashes it. After a failure it gives zeros.
type stateReader struct {
	in     *input
	sum    gohash.Hash
	end    int64 // the end of the public part
	buffer []byte
	err    error // the file cannot be read
	bad    bool  // a length does not fit
}

func (r *stateReader) failed() bool { return r.err != nil || r.bad }

func (r *stateReader) skip(n uint64) {
	if r.err == nil {
		_, r.err = io.CopyN(onlyWriter{r.sum}, r.in, int64(n))
	}
}

// take reads n bytes into the buffer, after its content.
func (r *stateReader) take(n uint64) []byte {
	if n > mostValue || int64(n) > r.end-r.in.pos {
		r.bad = true
	}
	if r.failed() {
		return nil
	}
	at := len(r.buffer)
	if r.buffer, r.err = fill(r.buffer, r.in, int64(n)); r.err != nil {
		return nil
	}
	r.sum.Write(r.buffer[at:])
	return r.buffer[at:]
}

func (r *stateReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// padded reads a length, so many bytes, and those that fill up to a multiple of 8.
func (r *stateReader) padded() []byte {
	n := r.uint64()
	if n > mostValue {
		r.bad = true
	}
	if b := r.take((n + 7) &^ 7); b != nil {
		return b[:n]
	}
	return nil
}

var errState = errors.New("its public state cannot be read")

// state reads the public part.
func (s *snapshot) state(r *stateReader, seqno uint64, visit stateVisit) error {
	r.buffer = r.buffer[:0]
	start := r.take(1 + 8 + 8)
	if start != nil && (start[0] != snapshotType || binary.LittleEndian.Uint64(start[1:]) != seqno) {
		return fmt.Errorf("its state is not that of transaction %d", seqno)
	}
	leaf := r.padded()
	if copy(s.leaf[:], leaf) != len(leaf) || len(leaf) != sha256.Size {
		r.bad = true
	}
	views := r.uint64()
	if views > uint64(r.end-r.in.pos) {
		r.bad = true
	}
	if !r.failed() {
		r.skip(views)
	}
	for !r.failed() && r.end > r.in.pos {
		s.table(r, visit)
	}
	if r.failed() {
		return errState
	}
	return nil
}

func (s *snapshot) table(r *stateReader, visit stateVisit) {
	r.buffer = r.buffer[:0]
	length := r.uint64()
	if length > mostTable {
		r.bad = true
	}
	name := string(r.take(length))
	r.uint64() // the version
	size := r.uint64()
	if size > uint64(r.end-r.in.pos) || len(s.tables) == mostTables {
		r.bad = true
	}
	number, end := len(s.tables), r.in.pos+int64(size)
	s.tables = append(s.tables, name)
	for !r.failed() && r.in.pos < end {
		r.buffer = r.buffer[:0]
		key := r.padded()
		value := r.padded()
		if r.in.pos > end || len(value) < 8 {
			r.bad = true
		}
		if r.failed() {
			return
		}
		version := int64(binary.LittleEndian.Uint64(value))
		s.keep(name, version, value[8:])
		s.entries++
		if visit != nil {
			visit(number, name, key, version, value[8:])
		}
	}
}

// keep holds the values that a ledger can begin with.
func (s *snapshot) keep(table string, version int64, value []byte) {
	switch {
	case version < 0:
	case table == serviceTable:
		s.service = bytes.Clone(value)
	case table == treeName:
		s.tree = bytes.Clone(value)
	case table == nodesTable && len(s.nodes) < mostNodes:
		s.nodes = append(s.nodes, bytes.Clone(value))
	}
}

// vouch checks the receipt: that it is for these bytes, and that the service of the time signed it. It returns the leaf of the evidence
// and the root that was signed.
func (f snapshotFile) vouch(s *snapshot, service *ecdsa.PublicKey) (leaf, root hash, err error) {
	if s.problem != "" {
		return leaf, root, errors.New(s.problem)
	}
	if len(s.receipt) == 0 {
		return leaf, root, errors.New("it has no receipt")
	}
	r, err := parseReceipt(s.receipt)
	switch {
	case err != nil:
	case r.claims != s.digest:
		err = fmt.Errorf("it is for other bytes, of SHA-256 %x…", r.claims[:6])
	case !strings.Contains(r.evidence, fmt.Sprintf(".%d:", f.evidence)):
		err = fmt.Errorf("it is not that of transaction %d", f.evidence)
	default:
		err = r.verify(service)
	}
	if err != nil {
		return leaf, root, fmt.Errorf("its receipt: %w", err)
	}
	return r.leaf, r.root, nil
}
