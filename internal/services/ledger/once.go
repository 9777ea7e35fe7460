package ledger

import (
	"cmp"
	"context"
	"io"
	"slices"

	"lifeboat/internal/azure"
	"lifeboat/internal/services/ledger/ccf"
)

// These are sizes of requests. A reader of few bytes behind the hashed ones reads the table at the end of a ledger file, so that it is
// fetched to its end. The readers of a file look back by less than behind.
const (
	fetchBytes = 4 << 20
	tableBytes = 1 << 20
	behind     = 512 << 10
	fewBytes   = 64 << 10
)

// once reads the files of a share for a verifier, and hashes them on the way, so that each byte is fetched once.
type once struct {
	fetch func(ctx context.Context, file azure.File, offset, count int64) ([]byte, error)
	sums  *sums
	place map[string]int
	// chunks is the number of the ledger's own files. They come first, in the order of reading.
	chunks  int
	current int
	kept    map[int]*kept
	fetched int64
}

// kept are bytes of a file for a second reader: the last ones that were read, and its end.
type kept struct{ window, end piece }

type piece struct {
	offset  int64
	content []byte
}

// from returns the bytes from the offset on, nil if it does not have them.
func (p piece) from(offset int64) []byte {
	if offset < p.offset || offset >= p.offset+int64(len(p.content)) {
		return nil
	}
	return p.content[offset-p.offset:]
}

// ordered makes the files of a share ready for a verifier: the ledger's own in the order of its reading, unless all have the order of
// their names.
func ordered(c content, at saved, byName bool, fetch func(ctx context.Context, file azure.File, offset, count int64) ([]byte, error)) (*once, ccf.Source) {
	var listed []ccf.File
	for _, file := range c.Files {
		listed = append(listed, ccf.File{Name: file.Name, Size: file.Size})
	}
	ledger := ccf.Order(listed)
	files, place := slices.Clone(c.Files), map[string]int{}
	if byName {
		ledger = nil
	}
	for n, name := range ledger {
		place[name] = n
	}
	rank := func(f azure.File) int {
		if n, ok := place[f.Name]; ok {
			return n
		}
		return len(ledger)
	}
	slices.SortStableFunc(files, func(a, b azure.File) int { return cmp.Compare(rank(a), rank(b)) })
	for n, file := range files {
		place[file.Name] = n
	}
	o := &once{fetch: fetch, sums: openSums(files, at), place: place, chunks: len(ledger), kept: map[int]*kept{}}
	return o, ccf.Source{Files: listed, Open: o.open}
}

// open opens a file for the verifier.
func (o *once) open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	file := o.place[name]
	if file < o.chunks && file != o.current {
		if err := o.leave(ctx); err != nil {
			return nil, err
		}
		o.current = file
	}
	return &reader{ctx, o, file, offset}, nil
}

// leave forgets the present file, once the end of it that is still kept is hashed.
func (o *once) leave(ctx context.Context) error {
	if k := o.kept[o.current]; k != nil {
		for at := o.sums.at(o.current); k.window.from(at) != nil || k.end.from(at) != nil; at = o.sums.at(o.current) {
			content, err := o.at(ctx, o.current, at, fewBytes)
			if err != nil {
				return err
			}
			o.sums.add(o.current, at, content)
		}
	}
	delete(o.kept, o.current)
	return nil
}

// at returns bytes of the file from the offset on: at least one.
func (o *once) at(ctx context.Context, file int, offset, want int64) ([]byte, error) {
	k := o.kept[file]
	if k == nil {
		k = &kept{}
		o.kept[file] = k
	}
	if found := k.window.from(offset); found != nil {
		return found, nil
	}
	if found := k.end.from(offset); found != nil {
		return found, nil
	}
	of, hashed := o.sums.files[file], o.sums.at(file)
	switch rest := of.Size - offset; {
	case want < fewBytes && offset > hashed:
		content, err := o.get(ctx, of, offset, min(rest, tableBytes))
		if err == nil && int64(len(content)) == rest {
			k.end = piece{offset, content}
		}
		return content, err
	case want < fewBytes && offset < hashed: // the start of a file that is partly read
		return o.get(ctx, of, offset, min(rest, want))
	default:
		count := min(rest, fetchBytes)
		if k.end.content != nil && k.end.offset > offset {
			count = min(count, k.end.offset-offset)
		}
		content, err := o.get(ctx, of, offset, count)
		if err != nil {
			return nil, err
		}
		k.window = k.window.followed(offset, content)
		return content, nil
	}
}

// followed is the piece with more content behind it, and without most of its own.
func (p piece) followed(offset int64, content []byte) piece {
	if end := p.offset + int64(len(p.content)); end != offset {
		return piece{offset, content}
	}
	last := p.content[max(0, len(p.content)-behind):]
	return piece{offset - int64(len(last)), append(append(make([]byte, 0, len(last)+len(content)), last...), content...)}
}

func (o *once) get(ctx context.Context, of azure.File, offset, count int64) ([]byte, error) {
	content, err := o.fetch(ctx, of, offset, count)
	o.fetched += int64(len(content))
	return content, err
}

// hashNext hashes some of the next file that is not hashed; false if all are.
func (o *once) hashNext(ctx context.Context) (more bool, err error) {
	file, more := o.sums.next()
	if !more {
		return false, nil
	}
	var content []byte
	at := o.sums.at(file)
	if o.sums.files[file].Size > 0 {
		if content, err = o.at(ctx, file, at, fetchBytes); err != nil {
			return true, err
		}
	}
	if o.sums.add(file, at, content); o.sums.at(file) == o.sums.files[file].Size {
		delete(o.kept, file)
	}
	return true, nil
}

// reader reads a file for the verifier from an offset on.
type reader struct {
	ctx    context.Context
	once   *once
	file   int
	offset int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.offset >= r.once.sums.files[r.file].Size {
		return 0, io.EOF
	}
	content, err := r.once.at(r.ctx, r.file, r.offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n := copy(p, content)
	r.once.sums.add(r.file, r.offset, content[:n])
	r.offset += int64(n)
	return n, nil
}

// Close forgets a snapshot. Other readers may need a file of the ledger.
func (r *reader) Close() error {
	if r.file >= r.once.chunks {
		delete(r.once.kept, r.file)
	}
	return nil
}
