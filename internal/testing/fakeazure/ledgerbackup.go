package fakeazure

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	defaultChunkEntries    = 4
	defaultLedgerFileBytes = 8 << 10
)

// ledgerFile is the first line of a file of a backup; the rest of the file is opaque. In Azure all of it is.
type ledgerFile struct {
	Resource      string `json:"resource"`
	Region        string `json:"region"`
	RestoreRegion string `json:"restoreRegion"`
	View          int    `json:"view"`
	// From and To are sequence numbers; a snapshot has To alone.
	From int `json:"from,omitempty"`
	To   int `json:"to"`
	// Entries are the entries of the transactions; Digest is a snapshot's, over all transactions up to it.
	Entries []string `json:"entries,omitempty"`
	Digest  string   `json:"digest,omitempty"`
}

// namedFile is a file that a backup writes.
type namedFile struct {
	name    string
	content []byte
}

// digest returns the digest over the entries of the transactions up to a sequence number.
func (h history) digest(to int) string {
	sum := sha256.New()
	for _, entry := range h.upTo(1, to) {
		fmt.Fprintf(sum, "%d:%s", len(entry), entry)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// upTo returns the entries of the transactions with these sequence numbers; the first of all transactions has none.
func (h history) upTo(from, to int) []string { return h.Entries[max(from, 2)-2 : max(to, 1)-1] }

// last returns the sequence number of the last transaction.
func (h history) last() int { return len(h.Entries) + 1 }

// ledgerFiles returns the files of a backup: the ledger in files that join up, and a snapshot of it, with names like CCF's
// own.
func (m *ledgers) ledgerFiles(o *ledgerOperation) []namedFile {
	chunk, size := o.options.ChunkEntries, o.options.FileBytes
	if chunk < 1 {
		chunk = defaultChunkEntries
	}
	if size == 0 {
		size = defaultLedgerFileBytes
	}
	about := ledgerFile{
		Resource: o.ledger.id.name, Region: o.location, RestoreRegion: region(o.storage.RestoreRegion), View: o.history.View,
	}
	if about.RestoreRegion == "" {
		about.RestoreRegion = o.location
	}
	var files []namedFile
	add := func(directory, name string, f ledgerFile) {
		if o.options.ShareLayout == LayoutDirectories {
			name = directory + "/" + name
		}
		line := append(encodeJSON(f), '\n')
		m.mu.Lock()
		defer m.mu.Unlock()
		files = append(files, namedFile{name, append(line, m.bytes(max(0, size-len(line)))...)})
	}
	last := o.history.last()
	for from := 1; from <= last; from += chunk {
		f := about
		f.From, f.To = from, min(from+chunk-1, last)
		f.Entries = o.history.upTo(f.From, f.To)
		add("ledger", fmt.Sprintf("ledger_%d-%d.committed", f.From, f.To), f)
	}
	if last > 1 { // the transaction after a snapshot proves it
		f := about
		f.To, f.Digest = last-1, o.history.digest(last-1)
		add("snapshots", fmt.Sprintf("snapshot_%d_%d.committed", last-1, last), f)
	}
	return files
}

// stamp returns the name of a share of the ledger; no two have the same. It is called under the lock.
func (m *ledgers) stamp(o *ledgerOperation) string {
	at, tick := o.Started.UTC().UnixMilli(), int64(1)
	if o.options.ShareStamp == StampDate {
		tick = 1000
	}
	at = max(at, m.lastStamp+tick)
	m.lastStamp = at
	text := fmt.Sprint(at)
	if o.options.ShareStamp == StampDate {
		text = time.UnixMilli(at).UTC().Format("20060102150405")
	}
	return strings.ToLower(o.ledger.id.name) + "-" + text
}

// writeBackup makes the share and fills it.
func (m *ledgers) writeBackup(o *ledgerOperation, takes time.Duration) error {
	if o.fault.Kind == NoShare {
		return m.wait(takes)
	}
	files := m.ledgerFiles(o)
	if o.options.Share == ShareAtEnd {
		if err := m.wait(takes); err != nil {
			return err
		}
		takes = 0
	}
	target := m.open(o)
	if err := target.look(m.life, o); err != nil {
		return err
	}
	m.mu.Lock()
	name := m.stamp(o)
	m.mu.Unlock()
	if _, err := target.CreateShare(m.life, name, nil); err != nil {
		return storageFailure(err)
	}
	m.mu.Lock()
	o.Share = name
	m.mu.Unlock()
	if o.options.ShareLayout == LayoutDirectories {
		for _, directory := range []string{"ledger", "snapshots"} {
			if _, err := target.NewShareClient(name).NewDirectoryClient(directory).Create(m.life, nil); err != nil {
				return storageFailure(err)
			}
		}
	}
	for i, f := range files {
		if err := m.wait(takes / time.Duration(len(files)+1)); err != nil {
			return err
		}
		switch {
		case o.fault.Kind == FailHalfway && i >= len(files)/2:
			return o.fault.ledgerFailure()
		case o.fault.Kind == EmptyShare, o.fault.Kind == MissingFile && i == min(1, len(files)-1):
			continue
		}
		if err := target.put(m.life, name, f.name, f.content); err != nil {
			return err
		}
	}
	return m.wait(takes / time.Duration(len(files)+1))
}

// firstLine returns the only part of a file that the simulator understands.
func firstLine(content []byte) []byte {
	line, _, _ := bytes.Cut(content, []byte{'\n'})
	return line
}
