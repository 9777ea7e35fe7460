package fakeazure

import (
	"fmt"
	"slices"
	"time"
)

const (
	defaultHSMBlobs     = 4
	defaultHSMBlobBytes = 32 << 10
)

// These are the permissions of a SAS that the operations need.
const (
	backupPermissions  = "crdw"
	restorePermissions = "rl"
)

// clone returns a copy of a vault, so that later changes do not change a backup.
func (v vault) clone() vault {
	keys := make(map[string]*hsmKey, len(v.Keys))
	for name, key := range v.Keys {
		keys[name] = &hsmKey{Versions: slices.Clone(key.Versions), Deleted: key.Deleted}
	}
	return vault{Keys: keys, Assignments: slices.Clone(v.Assignments)}
}

// writeBackup fills the folder: opaque blobs, and last the archive that makes it complete.
func (m *managedHSMs) writeBackup(o *hsmOperation, takes time.Duration) (func() string, error) {
	count, size := max(o.options.Blobs, 2), o.options.BlobBytes
	if o.options.Blobs == 0 {
		count = defaultHSMBlobs
	}
	if size == 0 {
		size = defaultHSMBlobBytes
	}
	if o.options.Folder == FolderAtEnd {
		if err := m.wait(o, takes); err != nil {
			return nil, err
		}
		takes = 0
	}
	target, err := m.open(o, backupPermissions)
	if err != nil {
		return nil, err
	}
	content := archive{
		HSM: o.hsm.id.String(), SecurityDomain: o.hsm.SecurityDomain, Vault: o.vault, Blobs: make(map[string]int64),
	}
	for i := range count {
		if err := m.wait(o, takes/time.Duration(count)); err != nil {
			return nil, err
		}
		name, blob := archiveName, []byte(nil)
		if i < count-1 {
			name = fmt.Sprintf("part-%02d", i)
			content.Blobs[name] = size
			m.mu.Lock()
			blob = m.bytes(int(size))
			m.mu.Unlock()
		} else {
			blob = encodeJSON(content)
		}
		if o.fault.Kind == EmptyFolder || (o.fault.Kind == MissingBlob && i == 0) {
			continue
		}
		if err := target.put(m.life, o.Folder, name, blob); err != nil {
			return nil, err
		}
	}
	return func() string { o.hsm.lastBackup = o.Ended; return "" }, nil
}

// checkBackup checks whether a backup could be written, and writes nothing.
func (m *managedHSMs) checkBackup(o *hsmOperation, takes time.Duration) (func() string, error) {
	if err := m.wait(o, takes); err != nil {
		return nil, err
	}
	target, err := m.open(o, backupPermissions)
	if err != nil {
		return nil, err
	}
	return func() string { return "" }, target.check(m.life)
}
