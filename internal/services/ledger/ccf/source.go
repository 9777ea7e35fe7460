package ccf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// File names one file of a copy, with slashes between folders, and its size.
type File struct {
	Name string
	Size int64
}

// Unread names something in a copy that is not read although it may be meant as a file of it.
type Unread struct{ Name, Why string }

// Source gives the files of a copy.
type Source struct {
	Files  []File
	Unread []Unread
	// Open reads a file from an offset on. The verifier closes each reader before its end, if it needs no more.
	Open func(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
}

// Folder makes a source of a file system. It follows a link to a file, as far as the file system does, and no link to a folder.
func Folder(fsys fs.FS) (Source, error) {
	var s Source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(File{Name: name}, err)
		}
		if entry.IsDir() && !chunkName.MatchString(path.Base(name)) && !snapshotName.MatchString(path.Base(name)) {
			return nil
		}
		info, err := entry.Info()
		linked := err == nil && info.Mode()&fs.ModeSymlink != 0
		if linked {
			info, err = fs.Stat(fsys, name)
		}
		switch {
		case linked && err != nil:
			s.Unread = append(s.Unread, Unread{name, "a link that leads to nothing in this folder"})
		case err != nil:
			return unreadable(File{Name: name}, err)
		case info.Mode().IsRegular():
			s.Files = append(s.Files, File{Name: name, Size: info.Size()})
		case linked:
			s.Unread = append(s.Unread, Unread{name, "a link to no file: it is not followed"})
		case info.IsDir():
			s.Unread = append(s.Unread, Unread{name, "a folder, where a file of the ledger should be"})
		default:
			s.Unread = append(s.Unread, Unread{name, "no file, but a pipe, a socket or a device"})
		}
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
	s.Open = open
	return s, err
}

// unreadable says which file cannot be read. The errors of a file system name it too.
func unreadable(file File, err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		err = of.Err
	}
	return fmt.Errorf("%s cannot be read: %w", file.Name, err)
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
		return nil, unreadable(file, err)
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
		return n, unreadable(in.file, err)
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
