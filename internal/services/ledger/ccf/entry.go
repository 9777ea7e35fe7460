package ccf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	gohash "hash"
	"io"
)

// mostPublic is the largest public part that is held in memory. The largest real ones are trees of signatures and constitutions.
const mostPublic = 64 << 20

// The types of an entry. The digest that makes its leaf depends on them.
const (
	plain        = 0 // 1.x
	snapshotType = 1
	withClaims   = 2
	withEvidence = 3
	withBoth     = 4
)

// The bytes of an entry before its public part: the header, the GCM tag and IV, and the size of the public part.
const (
	headerBytes = 8
	gcmBytes    = 28
	sizeBytes   = 8
)

// transaction is one entry, as read.
type transaction struct {
	seqno, view uint64
	kind        byte
	private     bool
	size        int64 // the bytes of the entry
	privateSize int64
	leaf        hash
	tables      []byte // valid until the next one is read
	problem     string // why it cannot be understood; its leaf is right all the same if the type is
}

func (t *transaction) id() string { return txID(t.view, t.seqno) }

// header is the start of an entry.
type header struct {
	bytes [headerBytes]byte
	size  int64
}

func readHeader(in *input) (header, error) {
	var h header
	if _, err := io.ReadFull(in, h.bytes[:]); err != nil {
		return h, err
	}
	h.size = int64(binary.LittleEndian.Uint64(h.bytes[:]) >> 16)
	return h, nil
}

// fault says why a header cannot be one, or "".
func (h *header) fault() string {
	switch {
	case h.size < gcmBytes+sizeBytes:
		return counted(int(h.size), "byte") + " are fewer than an entry has"
	case h.bytes[0] != 1:
		return "the version of the entry is not 1"
	case h.bytes[1] > 3:
		return "the flags of the entry are unknown"
	}
	return ""
}

// entryReader keeps what reading an entry needs from one to the next.
type entryReader struct {
	sum    gohash.Hash
	public []byte
	copied []byte
}

func newEntryReader() *entryReader {
	return &entryReader{sum: sha256.New(), copied: make([]byte, 64<<10)}
}

// read reads an entry whose size fits into the file, to its end.
func (r *entryReader) read(in *input, h header) (transaction, error) {
	var t transaction
	r.sum.Reset()
	r.sum.Write(h.bytes[:])
	var start [gcmBytes + sizeBytes]byte
	if _, err := io.ReadFull(in, start[:]); err != nil {
		return t, unexpected(err)
	}
	r.sum.Write(start[:])
	rest := h.size - int64(len(start))
	public := binary.LittleEndian.Uint64(start[gcmBytes:])
	t.seqno, t.view = binary.LittleEndian.Uint64(start[16:]), uint64(binary.LittleEndian.Uint32(start[24:])&^(1<<31))
	switch {
	case public > uint64(rest):
		t.problem = "its public part is larger than the entry"
		public = 0
	case public > mostPublic:
		t.problem = "its public part is larger than 64 MiB"
		public = 0
	}
	if cap(r.public) > 4<<20 && public < 1<<20 {
		r.public = nil
	}
	var err error
	if r.public, err = fill(r.public[:0], in, int64(public)); err != nil {
		return t, unexpected(err)
	}
	r.sum.Write(r.public)
	rest -= int64(public)
	t.private = rest > 0 && t.problem == ""
	t.size, t.privateSize = headerBytes+h.size, rest
	if _, err = io.CopyBuffer(onlyWriter{r.sum}, io.LimitReader(onlyReader{in}, rest), r.copied); err != nil {
		return t, err
	}
	if t.problem == "" {
		r.understand(&t)
	}
	return t, nil
}

// onlyReader and onlyWriter hide all other methods, so that io.CopyBuffer takes the buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// unexpected is the error for an input that ended although its file has more bytes.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// understand reads the start of the public part, and makes the leaf.
func (r *entryReader) understand(t *transaction) {
	p := parser{rest: r.public}
	t.kind = p.byte()
	seqno := p.uint64()
	var claims, evidence []byte
	if t.kind == withClaims || t.kind == withBoth {
		claims = p.bytes(sha256.Size)
	}
	if t.kind == withEvidence || t.kind == withBoth {
		evidence = p.bytes(sha256.Size)
	}
	p.uint64()
	t.tables = p.rest
	var written [sha256.Size]byte
	r.sum.Sum(written[:0])
	switch {
	case p.failed:
		t.problem = "its public part is too short"
		return
	case t.kind == plain:
		t.leaf = written
	case t.kind == withClaims || t.kind == withEvidence || t.kind == withBoth:
		var all [3 * sha256.Size]byte
		n := copy(all[:], written[:])
		n += copy(all[n:], evidence)
		n += copy(all[n:], claims)
		t.leaf = sha256.Sum256(all[:n])
	default:
		t.problem = "its type is unknown"
		return
	}
	if seqno != t.seqno {
		t.problem = "its two numbers differ: " + txID(t.view, t.seqno) + " and " + txID(t.view, seqno)
	}
}

// write is one key of a table that a transaction writes or removes. Its bytes are valid until the next transaction.
type write struct {
	table      []byte
	key, value []byte
	removed    bool
}

// writes calls visit for each key that the transaction writes or removes.
func (t *transaction) writes(visit func(write)) error {
	p := parser{rest: t.tables}
	for len(p.rest) > 0 && !p.failed {
		w := write{table: p.sized()}
		p.uint64()
		for n := p.count(16); n > 0 && !p.failed; n-- { // reads: there are none in practice
			p.sized()
			p.uint64()
		}
		for n := p.count(16); n > 0 && !p.failed; n-- {
			w.key, w.value = p.sized(), p.sized()
			if !p.failed {
				visit(w)
			}
		}
		w.value, w.removed = nil, true
		for n := p.count(8); n > 0 && !p.failed; n-- {
			if w.key = p.sized(); !p.failed {
				visit(w)
			}
		}
	}
	if p.failed {
		return errors.New("its tables cannot be read")
	}
	return nil
}

// parser reads little-endian values from bytes. After a failure it gives zeros.
type parser struct {
	rest   []byte
	failed bool
}

func (p *parser) bytes(n uint64) []byte {
	if p.failed || n > uint64(len(p.rest)) {
		p.failed = true
		return nil
	}
	out := p.rest[:n]
	p.rest = p.rest[n:]
	return out
}

func (p *parser) byte() byte {
	if b := p.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if b := p.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (p *parser) sized() []byte { return p.bytes(p.uint64()) }

// count reads a number of things that have at least size bytes each.
func (p *parser) count(size uint64) uint64 {
	n := p.uint64()
	if n > uint64(len(p.rest))/size {
		p.failed = true
		return 0
	}
	return n
}
