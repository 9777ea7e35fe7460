package azure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// File is a file of an artifact that has several.
type File struct {
	// Name is the blob's name in the container, or the file's path in the share.
	Name     string
	Size     int64
	ETag     string
	Modified time.Time
	// Until is the end of a blob's own immutability policy. Held and Leased say whether a legal hold or a lease keeps the blob.
	Until        time.Time
	Held, Leased bool
}

// Listed has the files of an artifact as they were listed.
type Listed struct {
	// Files has them in the order of their names.
	Files []File
	// Size is the size of all files, in bytes.
	Size           int64
	Oldest, Newest time.Time
	// Now is the storage's own clock.
	Now time.Time
}

// Add adds a file to the end.
func (l *Listed) Add(f File) {
	l.Files = append(l.Files, f)
	l.Size += f.Size
	if l.Oldest.IsZero() || f.Modified.Before(l.Oldest) {
		l.Oldest = f.Modified
	}
	l.Newest = backup.Later(l.Newest, f.Modified)
}

// HashFiles continues the hashes of the files, one after the other, with the next file. The offset counts the bytes of all files
// that are hashed, and sum is the state of the next file's hash. HashFiles reads most bytes at the most, and returns the number
// of bytes read. The bytes before an error count. It passes the hash of each file that it has read to done.
func HashFiles(ctx context.Context, files []File, next int, offset int64, sum *[]byte, most int64,
	read func(file File, offset, count int64) (Part, error), done func(file File, hash []byte) error,
) (n int64, err error) {
	for _, file := range files[:next] {
		offset -= file.Size // now within the next file
	}
	for next < len(files) {
		file := files[next]
		hash, ok := Sum(*sum)
		if !ok {
			hash, offset = sha256.New(), 0
		}
		if count := min(most-n, file.Size-offset); count > 0 {
			part, err := read(file, offset, count)
			if err != nil {
				return n, err
			}
			hashed, err := part.Hash(hash, count)
			_ = part.Content.Close()
			if err != nil {
				return n, err
			}
			n, offset = n+hashed, offset+hashed
		}
		if offset < file.Size {
			*sum, err = State(hash)
			if err != nil || n >= most || ctx.Err() != nil {
				return n, err
			}
			continue
		}
		if err := done(file, hash.Sum(nil)); err != nil {
			return n, err
		}
		next, *sum, offset = next+1, nil, 0
	}
	return n, nil
}

// Hashed returns the files with their hashes, of 32 bytes each, named within the folder.
func Hashed(files []File, hashes []byte, folder string) []backup.File {
	var hashed []backup.File
	for i, f := range files {
		hashed = append(hashed, backup.File{
			Name: strings.TrimPrefix(f.Name, folder), Size: f.Size, ETag: f.ETag,
			SHA256: hex.EncodeToString(hashes[i*sha256.Size : (i+1)*sha256.Size]),
		})
	}
	return hashed
}
