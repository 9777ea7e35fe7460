package ledger

import (
	"fmt"
	"path"
	"sort"
	"strconv"

	"lifeboat/internal/azure"
	"lifeboat/internal/pattern"
)

// chunkName and snapshotName match CCF's names of complete ledger files and of snapshots, by its documentation of how
// operators back up a ledger. The name of a ledger file has the sequence numbers of its first and its last transaction.
// The name of a snapshot has the number of its transaction, and the number of the transaction with its evidence.
var (
	chunkName    = pattern.New(`^ledger_([0-9]{1,18})-([0-9]{1,18})\.committed$`)
	snapshotName = pattern.New(`^snapshot_([0-9]{1,18})(_[0-9]+)?\.committed(_[0-9]+)?$`)
)

// chain is the state of the ledger in a share, by the names of the share's files.
type chain struct {
	// end is the last transaction up to which no ledger file is missing, 0 if there is none.
	end int64
	// hole names the missing part, and is "" if nothing is missing.
	hole string
	// snapshot is the last transaction of the newest snapshot, 0 if there is none.
	snapshot int64
}

// chainOf reads the names of the files. An empty file does not count.
func chainOf(files []azure.File) chain {
	type chunk struct{ from, to int64 }
	var chunks []chunk
	var c chain
	for _, f := range files {
		name := path.Base(f.Name)
		if m := chunkName.FindStringSubmatch(name); m != nil && f.Size > 0 {
			chunks = append(chunks, chunk{number(m[1]), number(m[2])})
		}
		if m := snapshotName.FindStringSubmatch(name); m != nil && f.Size > 0 {
			c.snapshot = max(c.snapshot, number(m[1]))
		}
	}
	sort.Slice(chunks, func(i, j int) bool {
		a, b := chunks[i], chunks[j]
		return a.from < b.from || a.from == b.from && a.to < b.to
	})
	for _, next := range chunks {
		if next.from > c.end+1 {
			c.hole = fmt.Sprintf("the transactions %d to %d", c.end+1, next.from-1)
			return c
		}
		c.end = max(c.end, next.to)
	}
	if c.end == 0 {
		c.hole = "all ledger files"
	} else if c.end < c.snapshot {
		c.hole = fmt.Sprintf("the transactions %d to %d, up to the snapshot", c.end+1, c.snapshot)
	}
	return c
}

// number returns the number that a few digits stand for.
func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		panic(err) // at most 18 digits
	}
	return n
}

// whole reports whether the files can be all of a backup: they have no hole, and a snapshot shows how far the ledger
// files go. An export needs no snapshot: the documentation says that it holds the service's certificate beside the ledger
// files.
func (i instance) whole(c chain) bool { return c.hole == "" && (c.snapshot > 0 || i.exports) }
