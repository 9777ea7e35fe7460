package fakeazure

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

// restorableAge is the greatest age of the files of a backup, before the time scale.
const restorableAge = 90 * 24 * time.Hour

var (
	chunkName    = regexp.MustCompile(`^ledger_\d+-\d+\.committed$`)
	snapshotName = regexp.MustCompile(`^snapshot_\d+_\d+\.committed$`)
)

// invalidLedgerBackup returns the reason why a share cannot be restored. Codes and words are guesses, except for the rules
// themselves: the same name, and no file older than 90 days.
func invalidLedgerBackup(message string) error { return ledgerFailure{"RestoreFailed", message} }

// readBackup reads the share and returns its ledger.
func (m *ledgers) readBackup(o *ledgerOperation, takes time.Duration) (h history, err error) {
	if err := m.wait(takes / 2); err != nil {
		return h, err
	}
	files, err := m.open(o).read(m.life, o.Share)
	if err != nil {
		return h, err
	}
	if h, err = m.join(o, files); err != nil {
		return h, err
	}
	return h, m.wait(takes - takes/2)
}

// join builds the ledger from its files.
func (m *ledgers) join(o *ledgerOperation, files []storedFile) (h history, err error) {
	limit := m.pace.scale(restorableAge)
	var chunks, snapshots []ledgerFile
	for _, stored := range files {
		var f ledgerFile
		chunk := chunkName.MatchString(stored.name)
		if !chunk && !snapshotName.MatchString(stored.name) {
			continue // a file from another source
		}
		switch err := json.Unmarshal(firstLine(stored.content), &f); {
		case err != nil:
			return h, invalidLedgerBackup("The backup file " + stored.name + " is corrupt.")
		case time.Since(stored.modified) > limit:
			return h, invalidLedgerBackup("The backup files are older than 90 days.")
		case !strings.EqualFold(f.Resource, o.ledger.id.name):
			return h, invalidLedgerBackup("The backup is of " + f.Resource + ": the name must be the same.")
		case f.RestoreRegion != region(o.storage.RestoreRegion):
			return h, invalidLedgerBackup("The backup was made to be restored in " + f.RestoreRegion + ".")
		}
		if chunk {
			chunks = append(chunks, f)
		} else {
			snapshots = append(snapshots, f)
		}
	}
	if len(chunks) == 0 {
		return h, invalidLedgerBackup("The file share holds no ledger files.")
	}
	slices.SortFunc(chunks, func(a, b ledgerFile) int { return a.From - b.From })
	next := 1
	for _, f := range chunks {
		entries := f.To - max(f.From, 2) + 1
		if f.From != next || f.To < f.From || len(f.Entries) != entries {
			return h, invalidLedgerBackup("The ledger files do not join up.")
		}
		h.View, next = f.View, f.To+1
		h.Entries = append(h.Entries, f.Entries...)
	}
	for _, f := range snapshots {
		if f.To >= h.last() || f.Digest != h.digest(f.To) {
			return h, invalidLedgerBackup("The snapshot is not one of the ledger.")
		}
	}
	return h, nil
}
