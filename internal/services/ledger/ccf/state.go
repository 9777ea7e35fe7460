package ccf

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of the index of a snapshot's public state: a key takes 40 bytes of memory. If the keys are few, each takes a bit of the
// checkpoint; else a table takes 8 bytes.
const (
	mostKeys = 1 << 18
	mostSums = 48
	words    = 64
	fewKeys  = 64 * words
)

// stateIndex has the keys of the newest snapshot. The ledger is held against few keys by a bit for each: its last write has the value of
// the snapshot. It is held against more by one sum for each table: of the digests of the writes that the snapshot still has, by the
// transactions that it names. A key that the snapshot lacks is not looked for.
type stateIndex struct {
	seqno   uint64
	keys    map[uint64]keyState
	values  []uint64 // the digests of few keys
	tables  []string
	sums    []uint64
	partial bool // there are too many keys: only CCF's own tables are in here
	dated   bool // the snapshot names an earlier transaction for a key, as each of a service does
	read    *snapshot
}

type keyState struct {
	version      int64
	table, place int32
}

func (s keyState) sum() int { return min(int(s.table), mostSums-1) }

func (x *stateIndex) few() bool { return len(x.keys) <= fewKeys }

func keyOf(table, key []byte) uint64 {
	h := make([]byte, 0, 128)
	h = append(append(append(h, table...), 0), key...)
	sum := sha256.Sum256(h)
	return binary.LittleEndian.Uint64(sum[:])
}

func digestOf(key uint64, version int64, value []byte) uint64 {
	h := sha256.New()
	var start [16]byte
	binary.LittleEndian.PutUint64(start[:], key)
	binary.LittleEndian.PutUint64(start[8:], uint64(version))
	h.Write(start[:])
	h.Write(value)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// add counts a write of the ledger, if the snapshot still has the key. A later write than the one in the snapshot makes the sums differ.
func (x *stateIndex) add(sums []uint64, seqno uint64, w write) {
	if seqno > x.seqno {
		return
	}
	key := keyOf(w.table, w.key)
	state, ok := x.keys[key]
	if !ok {
		return
	}
	if x.few() {
		bit := uint64(1) << (state.place % 64)
		sums[state.place/64] &^= bit
		if w.removed == (state.version < 0) && digestOf(key, 0, w.value) == x.values[state.place] {
			sums[state.place/64] |= bit
		}
		return
	}
	version := int64(seqno)
	if w.removed {
		version = -version
	}
	if at := state.version; at == version || int64(seqno) > max(at, -at) {
		sums[state.sum()] += digestOf(key, version, w.value)
	}
}

// hold takes a key of the snapshot. A file that was changed may have one twice.
func (x *stateIndex) hold(id uint64, state keyState, value []byte) {
	state.place = int32(len(x.keys))
	if was, twice := x.keys[id]; twice {
		state.place = was.place
	}
	x.keys[id] = state
	x.dated = x.dated || max(state.version, -state.version) < int64(x.seqno)
	x.sums[state.sum()] += digestOf(id, state.version, value)
	switch place := int(state.place); {
	case place < len(x.values):
		x.values[place] = digestOf(id, 0, value)
	case place < fewKeys:
		x.values = append(x.values, digestOf(id, 0, value))
	}
}

// indexNewest reads the newest snapshot, if the ledger has not reached it yet.
func (v *Verifier) indexNewest(ctx context.Context) error {
	n := len(v.layout.snapshots)
	if n == 0 || v.started && !v.whole || v.broken || v.index != nil {
		return nil
	}
	f := v.layout.snapshots[n-1]
	if f.seqno < v.next || len(v.layout.chunks) == 0 || v.layout.chunks[0].first > f.seqno {
		return nil
	}
	x := &stateIndex{seqno: f.seqno, keys: map[uint64]keyState{}, sums: make([]uint64, mostSums)}
	visit := func(table int, name string, key []byte, version int64, value []byte) {
		v.knows(name, key, version, value)
		if len(x.keys) >= mostKeys && !strings.HasPrefix(name, "public:ccf.") {
			x.partial = true
			return
		}
		x.hold(keyOf([]byte(name), key), keyState{version: version, table: int32(table)}, value)
	}
	s, err := v.readSnapshot(ctx, f, visit)
	if err != nil {
		return err
	}
	x.tables, x.read = s.tables, s
	if s.problem != "" {
		return nil // it is told when the ledger reaches it
	}
	if x.partial { // the tables of an app come last, so that only the sums of theirs are without some keys
		for sum := range x.sums {
			if sum == mostSums-1 || sum < len(x.tables) && !strings.HasPrefix(x.tables[sum], "public:ccf.") {
				x.sums[sum] = 0
			}
		}
	}
	v.index = x
	if v.sums == nil {
		v.sums = make([]uint64, words)
	}
	return nil
}

// knows tells the watcher a row of the newest snapshot.
func (v *Verifier) knows(table string, key []byte, version int64, value []byte) {
	if v.watcher.Known != nil && version >= 0 {
		v.watcher.Known(table, key, value)
	}
}

// tellKnown reads the newest snapshot for the watcher, if nothing else does.
func (v *Verifier) tellKnown(ctx context.Context) error {
	n := len(v.layout.snapshots)
	if n == 0 || v.index != nil || v.watcher.Known == nil {
		return nil
	}
	_, err := v.readSnapshot(ctx, v.layout.snapshots[n-1], func(_ int, name string, key []byte, version int64, value []byte) {
		v.knows(name, key, version, value)
	})
	return err
}

// compare says which tables differ from those of the ledger, and how many are equal.
func (x *stateIndex) compare(sums []uint64) (equal int, different []string) {
	switch {
	case x.few():
		return x.compareFew(sums)
	case !x.dated:
		return 0, nil
	}
	for table, name := range x.tables {
		sum := min(table, mostSums-1)
		switch {
		case x.partial && (sum == mostSums-1 || !strings.HasPrefix(name, "public:ccf.")):
		case sums[sum] == x.sums[sum]:
			equal++
		default:
			different = append(different, name)
		}
	}
	return equal, different
}

// compareFew compares each key.
func (x *stateIndex) compareFew(bits []uint64) (equal int, different []string) {
	differs := make([]bool, len(x.tables))
	for _, state := range x.keys {
		if bits[state.place/64]>>(state.place%64)&1 == 0 {
			differs[state.table] = true
		}
	}
	for table, name := range x.tables {
		if differs[table] {
			different = append(different, name)
		} else {
			equal++
		}
	}
	return equal, different
}

// passSnapshots reads the snapshots of the transactions that were just passed.
func (v *Verifier) passSnapshots(ctx context.Context) error {
	for v.shotsAt < len(v.layout.snapshots) && v.layout.snapshots[v.shotsAt].seqno < v.next {
		f := v.layout.snapshots[v.shotsAt]
		v.shotsAt++
		if err := v.takeSnapshot(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// wrongState tells the tables of a snapshot that are not those of the ledger.
func (v *Verifier) wrongState(f snapshotFile, different []string) {
	text := "its public state is not that of the ledger: " + different[0]
	for n, table := range different[1:] {
		rest := fmt.Sprintf(" and %d more", len(different)-1-n)
		if utf8.RuneCountInString(text+", "+table+rest) > mostText {
			text += rest
			break
		}
		text += ", " + table
	}
	v.tellFile(fault, SnapshotWrong, f.file, "", text)
}
