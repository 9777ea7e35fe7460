package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"lifeboat/internal/azure"
)

// These limits keep progress small. In a share of more files than mostListed, the list of their hashes is hashed as it grows, in the order
// of reading, and is not kept.
const (
	mostListed = 300
	mostEarly  = 32
	mostBegun  = 4
)

// sums hashes the files of a share, each from its beginning to its end, while they are read in any order.
type sums struct {
	files []azure.File // in the order of the list
	done  map[int][]byte
	begun map[int]*begun
	// long: there are more files than mostListed. Then list has the first files, and done the others.
	long   bool
	list   hash.Hash
	listed int
}

// begun is a file of which a part is hashed.
type begun struct {
	hash   hash.Hash
	offset int64
}

// saved is the state of sums.
type saved struct {
	// Sums has the hashes of all files, of 32 bytes each: zeros for a file that is not hashed.
	Sums []byte `json:"sums,omitempty"`
	// List is the state of the hash of the list of the first Listed files, and Early has hashes of later files.
	List   []byte         `json:"list,omitempty"`
	Listed int            `json:"listed,omitempty"`
	Early  map[int][]byte `json:"early,omitempty"`
	Begun  []savedFile    `json:"begun,omitempty"`
}

type savedFile struct {
	File   int    `json:"file"`
	Offset int64  `json:"offset"`
	State  []byte `json:"state"`
}

// openSums goes on with the saved hashes. Without usable ones it begins anew.
func openSums(files []azure.File, from saved) *sums {
	s := &sums{files: files, done: map[int][]byte{}, begun: map[int]*begun{}, long: len(files) > mostListed, list: sha256.New()}
	for i := range len(from.Sums) / sha256.Size {
		if sum := from.Sums[i*sha256.Size : (i+1)*sha256.Size]; !bytes.Equal(sum, make([]byte, sha256.Size)) {
			s.done[i] = sum
		}
	}
	if list, ok := azure.Sum(from.List); ok {
		s.list, s.listed = list, from.Listed
	}
	maps.Copy(s.done, from.Early)
	for _, f := range from.Begun {
		if sum, ok := azure.Sum(f.State); ok {
			s.begun[f.File] = &begun{sum, f.Offset}
		}
	}
	return s
}

// save returns the state. It forgets hashes that it has no room for: their files are read again.
func (s *sums) save() (to saved, err error) {
	if !s.long {
		to.Sums = make([]byte, len(s.files)*sha256.Size)
		for i, sum := range s.done {
			copy(to.Sums[i*sha256.Size:], sum)
		}
	} else {
		to.List, err = azure.State(s.list)
		to.Listed, to.Early = s.listed, map[int][]byte{}
		for _, i := range slices.Sorted(maps.Keys(s.done))[:min(len(s.done), mostEarly)] {
			to.Early[i] = s.done[i]
		}
	}
	for _, i := range slices.Sorted(maps.Keys(s.begun)) {
		if err == nil && len(to.Begun) < mostBegun {
			var state []byte
			state, err = azure.State(s.begun[i].hash)
			to.Begun = append(to.Begun, savedFile{i, s.begun[i].offset, state})
		}
	}
	return to, err
}

// at is the number of bytes of the file that are hashed.
func (s *sums) at(file int) int64 {
	if s.done[file] != nil || file < s.listed {
		return s.files[file].Size
	}
	if b := s.begun[file]; b != nil {
		return b.offset
	}
	return 0
}

// read is the number of bytes of all files that are hashed.
func (s *sums) read() (n int64) {
	for i := range s.files {
		n += s.at(i)
	}
	return n
}

// add hashes the new part of the content, if it follows on the hashed part of the file.
func (s *sums) add(file int, offset int64, content []byte) {
	at := s.at(file)
	if offset > at || at >= offset+int64(len(content)) && s.files[file].Size > 0 || s.done[file] != nil || file < s.listed {
		return
	}
	b := s.begun[file]
	if b == nil {
		b = &begun{hash: sha256.New()}
		s.begun[file] = b
	}
	n, _ := b.hash.Write(content[at-offset:]) // never fails
	if b.offset += int64(n); b.offset < s.files[file].Size {
		return
	}
	delete(s.begun, file)
	s.done[file] = b.hash.Sum(nil)
	for s.long && s.done[s.listed] != nil {
		s.line(s.list, s.listed)
		delete(s.done, s.listed)
		s.listed++
	}
}

// line adds a file to a list, as sha256sum writes it.
func (s *sums) line(list hash.Hash, file int) {
	fmt.Fprintf(list, "%x  %s\n", s.done[file], s.files[file].Name)
}

// next is the first file that is not hashed; false if all are.
func (s *sums) next() (int, bool) {
	for i := s.listed; i < len(s.files); i++ {
		if s.done[i] == nil {
			return i, true
		}
	}
	return 0, false
}

// all returns the hash of the list of all files, and each hash in the order of the names; nil for a long list.
func (s *sums) all() (list string, files []azure.File, each []byte) {
	if s.long {
		return hex.EncodeToString(s.list.Sum(nil)), nil, nil
	}
	byName := slices.Sorted(maps.Keys(s.done))
	slices.SortFunc(byName, func(a, b int) int { return bytes.Compare([]byte(s.files[a].Name), []byte(s.files[b].Name)) })
	sum := sha256.New()
	for _, i := range byName {
		s.line(sum, i)
		files, each = append(files, s.files[i]), append(each, s.done[i]...)
	}
	return hex.EncodeToString(sum.Sum(nil)), files, each
}
