package fakeazure

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fileHost matches the host names of file services; its group is the account.
var fileHost = regexp.MustCompile(`^([a-z0-9]{3,24})\.file\.core\.windows\.net$`)

// files simulates the file service of every storage account: the emulator has none.
type files struct {
	storage *storage

	mu       sync.Mutex
	accounts map[string]*fileAccount
	// changes counts all writes ever made, for ETags and IDs.
	changes uint64
}

// fileAccount holds the shares of one account.
type fileAccount struct {
	shares map[string]*share
}

// share is a share, or a snapshot of one.
type share struct {
	name     string
	metadata map[string]string
	quota    int // GiB
	// filled is a number of bytes that it uses besides its files.
	filled int64
	stamp  stamp
	root   *node
	// snapshot is the time in a snapshot's name; snapshots are the share's own, oldest first.
	snapshot  string
	snapshots []*share
}

// node is a directory or a file. Azure keeps the case of a name and ignores it otherwise.
type node struct {
	name     string
	children map[string]*node // by lower-case name; nil for a file
	content  []byte
	media    string
	metadata map[string]string
	stamp    stamp
	id       uint64
}

// stamp holds the times of creation and of the last change, and the version.
type stamp struct {
	created, modified time.Time
	etag              string
}

func newFiles(s *storage) *files { return &files{storage: s, accounts: make(map[string]*fileAccount)} }

// account returns the shares of the account. It is called under the lock.
func (f *files) account(name string) *fileAccount {
	a, ok := f.accounts[name]
	if !ok {
		a = &fileAccount{shares: make(map[string]*share)}
		f.accounts[name] = a
	}
	return a
}

// touch records a change. It is called under the lock.
func (f *files) touch(s *stamp) {
	f.changes++
	s.modified = time.Now().UTC()
	s.etag = fmt.Sprintf(`"0x%015X"`, 0x8D0000000000000+f.changes)
	if s.created.IsZero() {
		s.created = s.modified
	}
}

// newNode makes a directory or a file of the name. It is called under the lock.
func (f *files) newNode(name string, directory bool) *node {
	n := &node{name: name}
	if directory {
		n.children = make(map[string]*node)
	}
	f.touch(&n.stamp)
	n.id = f.changes << 32
	return n
}

// clone returns a copy of a share as it is, for a snapshot.
func (s *share) clone() *share {
	c := *s
	c.metadata, c.root, c.snapshots = maps.Clone(s.metadata), s.root.clone(), nil
	return &c
}

func (n *node) clone() *node {
	c := *n
	c.content, c.metadata = slices.Clone(n.content), maps.Clone(n.metadata)
	if n.children != nil {
		c.children = make(map[string]*node, len(n.children))
		for key, child := range n.children {
			c.children[key] = child.clone()
		}
	}
	return &c
}

// walk visits a directory and everything below it.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, child := range n.children {
		child.walk(visit)
	}
}

// usage returns the size of the files below, in bytes.
func (n *node) usage() (bytes int64) {
	n.walk(func(n *node) { bytes += int64(len(n.content)) })
	return bytes
}

// find returns the node at the path below the root, and its parent; either is nil when it does not exist.
func (s *share) find(path []string) (parent, found *node) {
	found = s.root
	for _, name := range path {
		if found == nil {
			return nil, nil
		}
		parent = found
		found = parent.children[strings.ToLower(name)]
	}
	return parent, found
}

// AgeShare makes a share of the account, with its files and snapshots, older than it is: it moves back every time in it.
func (s *Sim) AgeShare(account, name string, by time.Duration) error {
	f := s.files
	f.mu.Lock()
	defer f.mu.Unlock()
	live, ok := f.account(account).shares[name]
	if !ok {
		return fmt.Errorf("age share: none is named %s in %s", name, account)
	}
	for _, sh := range append([]*share{live}, live.snapshots...) {
		sh.stamp.created, sh.stamp.modified = sh.stamp.created.Add(-by), sh.stamp.modified.Add(-by)
		sh.root.walk(func(n *node) {
			n.stamp.created, n.stamp.modified = n.stamp.created.Add(-by), n.stamp.modified.Add(-by)
		})
	}
	return nil
}

func (f *files) knows(host string) bool {
	parts := fileHost.FindStringSubmatch(host)
	if parts == nil {
		return false
	}
	_, ok := f.storage.account(parts[1])
	return ok
}

// These patterns match the names that the file service accepts.
var (
	shareName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)
	badInName = regexp.MustCompile(`["\\/:|<>*?\x00-\x1f\x7f]`)
	metaName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

func validShareName(name string) bool {
	return len(name) >= 3 && len(name) <= 63 && shareName.MatchString(name)
}

// validPath tells whether every part of a path is a name that a file or directory may have.
func validPath(path []string) bool {
	return !slices.ContainsFunc(path, func(name string) bool {
		return name == "" || len([]rune(name)) > 255 || badInName.MatchString(name) || strings.Trim(name, ". ") == "" ||
			strings.HasSuffix(name, ".")
	})
}

// metadata reads the x-ms-meta-* headers; false when one is malformed.
func metadata(h http.Header) (map[string]string, bool) {
	found := make(map[string]string)
	for name, values := range h {
		key, ok := strings.CutPrefix(strings.ToLower(name), "x-ms-meta-")
		if !ok {
			continue
		}
		if !metaName.MatchString(key) || len(values) != 1 {
			return nil, false
		}
		found[key] = values[0]
	}
	return found, true
}

// headers returns the headers of a written or shown node or share.
func (s stamp) headers() http.Header {
	h := http.Header{}
	h.Set("Etag", s.etag)
	h.Set("Last-Modified", s.modified.Format(http.TimeFormat))
	return h
}

// headers returns the headers of a directory or file; there is always a parent except for the root.
func (n *node) headers(parent uint64) http.Header {
	h := n.stamp.headers()
	for name, at := range map[string]time.Time{
		"Creation": n.stamp.created, "Last-Write": n.stamp.modified, "Change": n.stamp.modified,
	} {
		h.Set("X-Ms-File-"+name+"-Time", at.Format(fileTime))
	}
	h.Set("X-Ms-File-Id", strconv.FormatUint(n.id, 10))
	h.Set("X-Ms-File-Parent-Id", strconv.FormatUint(parent, 10))
	h.Set("X-Ms-File-Permission-Key", "10761449611457319216*1871445747569276785")
	attributes := "Archive"
	if n.children != nil {
		attributes = "Directory"
	}
	h.Set("X-Ms-File-Attributes", attributes)
	return h
}

// fileTime is the format of the file service for times other than HTTP's own.
const fileTime = "2006-01-02T15:04:05.0000000Z"
