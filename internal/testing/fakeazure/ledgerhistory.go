package fakeazure

import (
	"path"
	"slices"
	"strconv"
	"time"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

const defaultChunkEntries = 4

// history is the content of a ledger, from which all its files follow: the same ones at each backup, and more as it grows.
type history struct {
	Entries []string
	// Seed gives the keys of the service and of its nodes, and Began the time of its first signature.
	Seed  uint64
	Began time.Time
	// Recoveries has, for each restore of the ledger, the number of entries that it came back with.
	Recoveries []int
}

// newHistory starts a ledger. It is called under the lock.
func (m *ledgers) newHistory(entries []string) history {
	return history{Entries: slices.Clone(entries), Seed: m.random.Uint64(), Began: time.Now().UTC().Truncate(time.Second)}
}

func (h history) clone() history {
	h.Entries, h.Recoveries = slices.Clone(h.Entries), slices.Clone(h.Recoveries)
	return h
}

// These are tables of the application.
const (
	serviceTable = "public:service"
	entriesTable = "public:entries"
)

// about has the facts that the application writes when a service begins: all that a restore needs to know, beside the entries.
type about struct {
	Name  string    `json:"name"`
	Chunk int       `json:"chunk"`
	Seed  uint64    `json:"seed"`
	Began time.Time `json:"began"`
}

// grown is the ledger that a history makes.
type grown struct {
	*ccfwriter.Ledger
	about about
	// last is the ID of the transaction of the last entry, or of the first one of the application.
	last string
	open int // the number of entries since the last file was closed
}

// grow makes the ledger. A signature comes after each entry, so that no entry is without one.
func (h history) grow(name string, chunk int) *grown {
	if chunk < 1 {
		chunk = defaultChunkEntries
	}
	g := &grown{Ledger: ccfwriter.NewAt(ccfwriter.V6, h.Seed, h.Began), about: about{name, chunk, h.Seed, h.Began}}
	g.begin()
	g.last = g.LastID()
	for n := range len(h.Entries) + 1 {
		for _, at := range h.Recoveries {
			if at == n {
				g.Recover(ccfwriter.V6)
				g.begin()
			}
		}
		if n < len(h.Entries) {
			g.add(n, h.Entries[n])
		}
	}
	return g
}

// begin opens the service, with a file of its own.
func (g *grown) begin() {
	g.Transact(0, ccfwriter.Write{Table: serviceTable, Key: "service", Value: encodeJSON(g.about)})
	g.Open()
	g.close()
}

// close ends the file, and takes a snapshot, whose evidence begins the next one.
func (g *grown) close() {
	g.Snapshot(64)
	g.Sign()
	g.open = 0
}

func (g *grown) add(n int, entry string) {
	g.Transact(32, ccfwriter.Write{Table: entriesTable, Key: strconv.Itoa(n), Value: []byte(entry)})
	g.last = g.LastID()
	if g.open++; g.open == g.about.Chunk {
		g.close()
	} else {
		g.Sign()
	}
}

// files are all the files of the ledger, and the newest of its snapshots.
func (g *grown) files() []ccfwriter.File {
	all := g.Files()
	newest := len(all) - 1
	return slices.Concat(slices.DeleteFunc(all[:newest:newest], func(f ccfwriter.File) bool { return path.Dir(f.Name) == "snapshots" }), all[newest:])
}
