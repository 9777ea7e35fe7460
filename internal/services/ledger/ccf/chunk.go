package ccf

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// reading is a file of the ledger while it is read.
type reading struct {
	chunk
	in        *input
	table     int64  // the offset of the table of positions, as the file says
	end       int64  // the entries end here at the latest
	positions *input // the rest of the table, or nil if it does not fit
	wrong     string // why the table does not fit
}

// readChunk reads the rest of a file.
func (v *Verifier) readChunk(ctx context.Context, c chunk, pause func() bool) (paused bool, err error) {
	offset := int64(headerBytes)
	if v.inside != 0 {
		offset = v.offset
	}
	v.inside = 0
	r, err := v.openChunk(ctx, c, offset)
	if err != nil {
		return false, err
	}
	if r == nil { // the file was told to be no good
		v.skip(c)
		return false, nil
	}
	defer func() { r.close() }()
	if r.wrong == "" {
		r.wrong = v.wrong
	}
	v.wrong = ""
	for r.last == 0 || v.next <= r.last {
		more, signed, err := v.readEntry(ctx, r)
		if err != nil {
			return false, err
		}
		if !more {
			v.skip(r.chunk)
			return false, nil
		}
		if err := v.passSnapshots(ctx); err != nil {
			return false, err
		}
		if signed && pause() {
			v.catchUp()
			v.inside, v.offset, v.wrong = c.first, r.in.pos, r.wrong
			return true, nil
		}
	}
	if r.in.pos != r.table && r.wrong == "" {
		r.wrong = "it says that its transactions end elsewhere"
	}
	if r.wrong != "" {
		v.tellFile(fault, PositionsWrong, r.file, "", "the table of positions: "+r.wrong+"; the transactions are whole")
	}
	return false, nil
}

// skip goes on after a file, of which some transactions are lost.
func (v *Verifier) skip(c chunk) {
	if c.last >= v.next {
		v.lose(c.last + 1)
		v.doubtFrom(c.last)
		v.next = c.last + 1
	}
}

// openChunk opens a file at an offset of an entry. It returns nothing if the file has been told to have none.
func (v *Verifier) openChunk(ctx context.Context, c chunk, offset int64) (*reading, error) {
	if c.file.Size < headerBytes {
		switch {
		case !c.committed && c.file.Size == 0:
			v.tellFile(note, OpenFileEmpty, c.file, "", "the file was just begun: 0 bytes")
		case !c.committed:
			v.tellFile(note, OpenFileCut, c.file, "", "the file was copied while it was written: "+counted(int(c.file.Size), "byte"))
		case c.file.Size == 0:
			v.tellFile(fault, FileEmpty, c.file, "", "a committed file of 0 bytes")
		default:
			v.tellFile(fault, FileCut, c.file, "", "a committed file of "+counted(int(c.file.Size), "byte"))
		}
		return nil, nil
	}
	r := &reading{chunk: c, end: c.file.Size}
	size := v.size(c.file)
	if offset != headerBytes {
		size = headerBytes // the rest of this buffer is of no use
	}
	in, err := v.open(ctx, c.file, 0, size)
	if err != nil {
		return nil, err
	}
	var start [headerBytes]byte
	if _, err := io.ReadFull(in, start[:]); err != nil {
		in.close()
		return nil, unexpected(err)
	}
	at := binary.LittleEndian.Uint64(start[:])
	r.table = int64(min(at, 1<<62))
	if c.committed && at == 0 {
		in.close()
		v.tellFile(unfinished, CopyUnfinished, c.file, "", "a committed file that begins with zeros is still being copied: verify it later")
		return nil, nil
	}
	r.in = in
	if offset != headerBytes {
		in.close()
		if r.in, err = v.open(ctx, c.file, offset, v.size(c.file)); err != nil {
			return nil, err
		}
	}
	return r, v.openTable(ctx, r)
}

func (v *Verifier) size(f File) int { return int(min(int64(v.bufferSize), max(f.Size, 512))) }

// openTable opens the table of positions, if its place and its size fit. A file that is closed and not committed has one too.
func (v *Verifier) openTable(ctx context.Context, r *reading) error {
	if r.table == 0 {
		return nil
	}
	fits := r.table > headerBytes && r.table < r.file.Size && (r.file.Size-r.table)%4 == 0
	if !r.committed && r.last == 0 {
		if !fits {
			if v.next == r.first {
				v.tellFile(note, OpenFileCut, r.file, "", "the file was copied while it was closed: its table of positions is not all there")
			}
			r.table = 0 // it is read as far as it goes
			return nil
		}
		r.last = r.first + uint64(r.file.Size-r.table)/4 - 1
	}
	if !fits || r.last+1 < v.next || uint64(r.file.Size-r.table)/4 != r.last-r.first+1 {
		r.wrong = fmt.Sprintf("it does not have %d entries from byte %d on", r.last-r.first+1, r.table)
		return nil
	}
	r.end = r.table
	var err error
	r.positions, err = v.open(ctx, r.file, r.table+4*int64(v.next-r.first), min(v.size(r.file), 16<<10))
	return err
}

func (r *reading) close() {
	r.in.close()
	if r.positions != nil {
		r.positions.close()
	}
}

// position is the next one of the table.
func (r *reading) position() (int64, error) {
	var b [4]byte
	if _, err := io.ReadFull(r.positions, b[:]); err != nil {
		return 0, unexpected(err)
	}
	return int64(binary.LittleEndian.Uint32(b[:])), nil
}

// following is the position of the entry after the next one: by the table, or its end.
func (r *reading) following(seqno uint64) (int64, error) {
	if seqno == r.last {
		return r.table, nil
	}
	b, err := r.positions.buffer.Peek(4)
	if err != nil {
		return 0, unexpected(err)
	}
	return int64(binary.LittleEndian.Uint32(b)), nil
}

// readEntry reads the next entry. There are no more if the rest of the file is lost, or at the end of an open file.
func (v *Verifier) readEntry(ctx context.Context, r *reading) (more, signed bool, err error) {
	at := r.in.pos
	if left := r.end - at; left < headerBytes {
		v.ends(r, left, "")
		return false, false, nil
	}
	following := int64(0)
	if r.positions != nil {
		position, err := r.position()
		if err != nil {
			return false, false, err
		}
		if position != at {
			r.wrong = fmt.Sprintf("it has another position for transaction %d", v.next)
		}
		if following, err = r.following(v.next); err != nil {
			return false, false, err
		}
	}
	h, err := readHeader(r.in)
	if err != nil {
		return false, false, unexpected(err)
	}
	text := h.fault()
	beyond := text == "" && h.size > r.end-r.in.pos
	if following > 0 && (text != "" || beyond || r.in.pos+h.size != following) {
		jumped, err := v.jump(ctx, r, h, following, text != "" || beyond)
		if jumped || err != nil {
			return jumped, false, err
		}
	}
	if text != "" || beyond {
		found := false
		if r.positions == nil && h.bytes != [headerBytes]byte{} {
			found, err = v.resync(ctx, r, h)
		}
		if !found && err == nil {
			if h.bytes == [headerBytes]byte{} && !r.committed {
				text = "" // zeros to be written over
			}
			v.ends(r, r.end-at, text)
		}
		return found, false, err
	}
	t, err := v.entries.read(r.in, h)
	if err != nil {
		return false, false, err
	}
	return v.taken(r, &t)
}

// taken goes on with an entry that was read.
func (v *Verifier) taken(r *reading, t *transaction) (more, signed bool, err error) {
	if t.problem == "" && t.seqno != v.next {
		v.tellFile(fault, WrongSeqno, r.file, t.id(), fmt.Sprintf("this transaction stands where %d should", v.next))
		return false, false, nil
	}
	if t.problem != "" {
		if !r.committed && r.table == 0 && r.in.left() == 0 { // as far as it was written
			v.ends(r, 0, "")
			return false, false, nil
		}
		t.seqno, t.tables = v.next, nil
		v.malformed(r.file, t, t.problem)
	}
	v.next++
	return true, v.take(t), nil
}

// ends tells that a file ends early: an error in a committed file, and a matter of course in one that was copied while it was written.
func (v *Verifier) ends(r *reading, left int64, text string) {
	id := txID(v.view, v.next)
	switch {
	case !r.committed && left == 0 && r.last == 0:
		// The end of an open file.
	case !r.committed && text == "":
		v.tellFile(note, OpenFileCut, r.file, id, "the file was copied while it was written: "+counted(int(left), "byte")+" of this transaction")
	case text != "":
		v.tellFile(fault, EntryMalformed, r.file, id, text)
	default:
		v.tellFile(fault, FileCut, r.file, id, fmt.Sprintf("the file ends before transaction %d does: its name says %s", v.next, span(r.first, r.last)))
	}
}

// jump goes to the next entry by the table of positions, where the size of this one cannot be right.
func (v *Verifier) jump(ctx context.Context, r *reading, h header, following int64, broken bool) (bool, error) {
	start := r.in.pos
	if !broken {
		fits, err := v.startsAt(ctx, r, start+h.size)
		if err != nil {
			return false, err
		}
		if fits {
			r.wrong = fmt.Sprintf("it has another position for transaction %d", v.next+1)
			return false, nil
		}
	}
	if following <= start {
		return false, nil
	}
	fits, err := v.startsAt(ctx, r, following)
	if err != nil || !fits {
		return false, err
	}
	return true, v.skipTo(ctx, r, following)
}

// resync looks for the next entry without a table of positions: behind the entry, or behind its public part if its size is damaged.
func (v *Verifier) resync(ctx context.Context, r *reading, h header) (bool, error) {
	start := r.in.pos
	var head [gcmBytes + sizeBytes]byte
	if v.next == r.last || r.in.left() < int64(len(head)) {
		return false, nil
	}
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return false, unexpected(err)
	}
	public := int64(min(binary.LittleEndian.Uint64(head[gcmBytes:]), 1<<62))
	for _, offset := range []int64{start + h.size, r.in.pos + min(public, r.in.left())} {
		if fits, err := v.startsAt(ctx, r, offset); err != nil || fits {
			if err == nil {
				err = v.skipTo(ctx, r, offset)
			}
			return err == nil, err
		}
	}
	return false, nil
}

// skipTo goes on at the next entry. The tree beside the next signature has the leaf of this one.
func (v *Verifier) skipTo(ctx context.Context, r *reading, offset int64) error {
	r.in.close()
	var err error
	if r.in, err = v.open(ctx, r.file, offset, v.size(r.file)); err != nil {
		return err
	}
	t := transaction{seqno: v.next, view: v.view}
	v.malformed(r.file, &t, "its header is damaged; the transactions after it are read")
	v.next++
	v.append(&t, hash{})
	return nil
}

// startsAt says whether the entry after the next one begins at an offset, or all entries end there.
func (v *Verifier) startsAt(ctx context.Context, r *reading, offset int64) (bool, error) {
	if v.next == r.last {
		return offset == r.table, nil
	}
	if offset < headerBytes || offset+headerBytes+gcmBytes > r.end {
		return false, nil
	}
	in, err := v.open(ctx, r.file, offset, 512)
	if err != nil {
		return false, err
	}
	defer in.close()
	h, err := readHeader(in)
	if err != nil {
		return false, unexpected(err)
	}
	var gcm [gcmBytes]byte
	if _, err := io.ReadFull(in, gcm[:]); err != nil {
		return false, unexpected(err)
	}
	return h.fault() == "" && binary.LittleEndian.Uint64(gcm[16:]) == v.next+1, nil
}

// missing says which transactions are missing before a file.
func missing(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("transaction %d before this file is missing", from)
	}
	return fmt.Sprintf("transactions %s before this file are missing", span(from, to))
}

func span(from, to uint64) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}
