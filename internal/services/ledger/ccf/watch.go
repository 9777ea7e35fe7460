package ccf

import "slices"

// Transaction is a transaction as the verifier reads it. Its writes are valid until the next one is read.
type Transaction struct {
	ID    string
	Seqno uint64
	View  uint64
	File  string
	// Size counts all of its bytes, and Private the bytes of its private part.
	Size, Private int64
	Leaf          [32]byte

	tables []byte
	unread bool // its tables cannot be read
}

// Watcher sees what a verifier reads. Each of its functions may be nil.
type Watcher struct {
	// Held is called for each public key of the snapshot with which the ledger begins, before the first transaction.
	Held func(table string, key, value []byte)
	// Known is called for each public key of the newest snapshot, before the first transaction. Nothing has proven it yet.
	Known func(table string, key, value []byte)
	// Seen is called for each transaction.
	Seen func(*Transaction)
	// Settled is called at each signature whose tree is known: the tree has the leaf of each transaction seen from one number to
	// another, but for the damaged ones. That proves them once a signature at or after this one is valid.
	Settled func(s Settled)
}

// Settled says which transactions a signature has compared.
type Settled struct {
	By       string // the signature
	Root     [32]byte
	From, To uint64
	Damaged  []uint64 // in no order
}

// Watch lets a watcher see what the verifier reads. It must be called before Run.
func (v *Verifier) Watch(w Watcher) {
	v.watcher = w
	if w.Seen == nil {
		return
	}
	v.observe = func(t *transaction) {
		seen := Transaction{ID: t.id(), Seqno: t.seqno, View: t.view, File: v.fileOf(t.seqno), Size: t.size, Leaf: t.leaf, tables: t.tables, unread: t.problem != ""}
		if t.private {
			seen.Private = t.privateSize
		}
		w.Seen(&seen)
	}
}

// fileOf is the file that has a transaction.
func (v *Verifier) fileOf(seqno uint64) string {
	n, found := slices.BinarySearchFunc(v.layout.chunks, seqno, func(c chunk, seqno uint64) int {
		if c.first <= seqno {
			return -1
		}
		return 1
	})
	if !found && n == 0 {
		return ""
	}
	return v.layout.chunks[n-1].file.Name
}

// settled tells the watcher what a signature has compared.
func (v *Verifier) settled(s *signature) {
	if v.watcher.Settled == nil {
		return
	}
	damaged := slices.Clone(v.named)
	for seqno := range v.told {
		if !slices.Contains(damaged, seqno) {
			damaged = append(damaged, seqno)
		}
	}
	v.watcher.Settled(Settled{By: s.id(), Root: hash(s.Root), From: v.compared, To: s.Seqno - 1, Damaged: damaged})
}

// Write is a key that a transaction writes or removes.
type Write struct {
	Table      string
	Key, Value []byte
	Removed    bool
}

// Writes calls visit for each key that the transaction writes or removes.
func (t *Transaction) Writes(visit func(Write)) error {
	read := transaction{tables: t.tables}
	return read.writes(func(w write) {
		visit(Write{Table: string(w.table), Key: w.key, Value: w.value, Removed: w.removed})
	})
}
