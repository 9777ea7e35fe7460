package fakeazure

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	azshare "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// ledgerFiles returns the files of a backup: the ledger and its newest snapshot, and beside an export the certificate of the service.
func (o *ledgerOperation) ledgerFiles() []ccfwriter.File {
	g := o.history.grow(o.ledger.id.name, o.options.ChunkEntries)
	files := g.files()
	if o.Kind == LedgerExport {
		files = append(files, ccfwriter.File{Name: "service_cert.pem", Content: []byte(g.Certificate())})
	}
	if o.options.ShareLayout == LayoutFlat {
		for i, f := range files {
			files[i].Name = path.Base(f.Name)
		}
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
	files := o.ledgerFiles()
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
	if _, err := target.CreateShare(m.life, name, &azshare.CreateOptions{Metadata: map[string]*string{madeFor: to.Ptr(o.restoreRegion())}}); err != nil {
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
		if err := target.put(m.life, name, f.Name, f.Content); err != nil {
			return err
		}
	}
	return m.wait(takes / time.Duration(len(files)+1))
}

// madeFor is the share's metadata with the region that its backup is to be restored in. In Azure it is not known where that stands.
const madeFor = "Restoreregion"

// restoreRegion is the region that a backup is to be restored in: the ledger's own unless the request names another.
func (o *ledgerOperation) restoreRegion() string {
	return cmp.Or(region(o.storage.RestoreRegion), o.location)
}
