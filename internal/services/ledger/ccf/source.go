package ccf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// File names one file of a copy, with slashes between folders, and its size.
type File struct {
	Name string
	Size int64
}

// Source gives the files of a copy.
type Source struct {
	Files []File
	// Open reads a file from an offset on. The verifier closes each reader before its end, if it needs no more.
	Open func(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
}

// Folder makes a source of a file system.
func Folder(fsys fs.FS) (Source, error) {
	var files []File
	err := fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files = append(files, File{Name: path, Size: info.Size()})
		return nil
	})
	open := func(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
		file, err := fsys.Open(name)
		if err != nil {
			return nil, err
		}
		if seeker, ok := file.(io.Seeker); ok {
			_, err = seeker.Seek(offset, io.SeekStart)
		} else {
			_, err = io.CopyN(io.Discard, file, offset)
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		return file, nil
	}
	return Source{Files: files, Open: open}, err
}

// input reads one file forwards, and knows its position.
type input struct {
	file   File
	pos    int64
	read   *int64
	buffer *bufio.Reader
	closer io.Closer
}

// open opens a file at an offset. Opening at its end needs no reader.
func (v *Verifier) open(ctx context.Context, file File, offset int64, size int) (*input, error) {
	in := &input{file: file, pos: offset, read: &v.read}
	if offset >= file.Size {
		return in, nil
	}
	reader, err := v.source.Open(ctx, file.Name, offset)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file.Name, err)
	}
	in.buffer, in.closer = bufio.NewReaderSize(reader, size), reader
	return in, nil
}

func (in *input) close() {
	if in.closer != nil {
		in.closer.Close()
		in.buffer, in.closer = nil, nil
	}
}

// left is the number of bytes from here to the end of the file, as it was listed.
func (in *input) left() int64 { return in.file.Size - in.pos }

// Read reads. A file that is shorter than it was listed has changed meanwhile: an error, and no damage of the copy.
func (in *input) Read(p []byte) (int, error) {
	if in.buffer == nil {
		return 0, io.EOF
	}
	n, err := in.buffer.Read(p)
	in.pos += int64(n)
	*in.read += int64(n)
	if errors.Is(err, io.EOF) && in.left() > 0 {
		return n, fmt.Errorf("%s ended at %d of %d bytes: it changed while it was read", in.file.Name, in.pos, in.file.Size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("reading %s: %w", in.file.Name, err)
	}
	return n, err
}

// fill reads exactly n bytes to the end of the buffer. It takes memory as the bytes come, and not as a length claims.
func fill(buffer []byte, r io.Reader, n int64) ([]byte, error) {
	for n > 0 {
		step := int(min(n, max(int64(cap(buffer)-len(buffer)), 64<<10)))
		at := len(buffer)
		if cap(buffer)-at < step {
			grown := make([]byte, at, max(2*cap(buffer), at+step))
			copy(grown, buffer)
			buffer = grown
		}
		buffer = buffer[:at+step]
		if _, err := io.ReadFull(r, buffer[at:]); err != nil {
			return buffer[:at], err
		}
		n -= int64(step)
	}
	return buffer, nil
}
