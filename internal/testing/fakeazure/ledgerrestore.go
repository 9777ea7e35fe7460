package fakeazure

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// restorableAge is the greatest age of the files of a backup, before the time scale.
const restorableAge = 90 * 24 * time.Hour

var (
	chunkName    = regexp.MustCompile(`^ledger_(\d+)(-\d+\.committed)?$`)
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
	files, madeFor, err := m.open(o).read(m.life, o.Share)
	if err != nil {
		return h, err
	}
	if h, err = m.join(o, files, madeFor); err != nil {
		return h, err
	}
	return h, m.wait(takes - takes/2)
}

// join reads the entries out of the files, and lets them grow again. Every byte of the backup must be one of that ledger, so that no file
// may be changed or missing; only the last file, which was not closed, need not be there.
func (m *ledgers) join(o *ledgerOperation, stored []storedFile, madeFor string) (h history, err error) {
	limit := m.pace.scale(restorableAge)
	var chunks, snapshots []storedFile
	for _, f := range stored {
		switch chunk := chunkName.MatchString(f.name); {
		case !chunk && !snapshotName.MatchString(f.name):
			continue // a file from another source
		case time.Since(f.modified) > limit:
			return h, invalidLedgerBackup("The backup files are older than 90 days.")
		case chunk:
			chunks = append(chunks, f)
		default:
			snapshots = append(snapshots, f)
		}
	}
	if len(chunks) == 0 {
		return h, invalidLedgerBackup("The file share holds no ledger files.")
	}
	slices.SortFunc(chunks, func(a, b storedFile) int { return cmp.Compare(firstOf(a.name), firstOf(b.name)) })
	h, of, err := entriesOf(chunks)
	switch {
	case err != nil:
		return h, invalidLedgerBackup("A backup file is corrupt: " + err.Error() + ".")
	case !strings.EqualFold(of.Name, o.ledger.id.name):
		return h, invalidLedgerBackup("The backup is of " + of.Name + ": the name must be the same.")
	case madeFor != region(o.storage.RestoreRegion):
		return h, invalidLedgerBackup("The backup was made to be restored in " + madeFor + ".")
	}
	rest := slices.Concat(chunks, snapshots)
	for _, f := range h.grow(of.Name, of.Chunk).files() {
		f.Name = f.Name[strings.Index(f.Name, "/")+1:]
		i := slices.IndexFunc(rest, func(s storedFile) bool { return s.name == f.Name })
		switch {
		case i < 0 && f.Table() == 0:
			continue
		case i < 0:
			return h, invalidLedgerBackup("The ledger files do not join up: " + f.Name + " is missing.")
		case !bytes.Equal(rest[i].content, f.Content):
			return h, invalidLedgerBackup("The file " + f.Name + " does not verify.")
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		return h, invalidLedgerBackup("The file " + rest[0].name + " is not one of the ledger.")
	}
	h.Recoveries = append(h.Recoveries, len(h.Entries))
	return h, nil
}

// firstOf is the first transaction of a ledger file.
func firstOf(name string) uint64 {
	n, _ := strconv.ParseUint(chunkName.FindStringSubmatch(name)[1], 10, 64)
	return n
}

// entriesOf reads what the application has written.
func entriesOf(chunks []storedFile) (h history, of about, err error) {
	for _, f := range chunks {
		writes, err := ccfwriter.File{Name: f.name, Content: f.content}.Writes()
		if err != nil {
			return h, of, err
		}
		for _, w := range writes {
			switch {
			case w.Table == entriesTable:
				h.Entries = append(h.Entries, string(w.Value))
			case w.Table == serviceTable && of.Name != "":
				h.Recoveries = append(h.Recoveries, len(h.Entries))
			case w.Table == serviceTable:
				if err := json.Unmarshal(w.Value, &of); err != nil {
					return h, of, err
				}
				h.Seed, h.Began = of.Seed, of.Began
			}
		}
	}
	return h, of, nil
}
