package ccf

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"slices"
)

// Options change what is verified.
type Options struct {
	// EverySignature verifies each signature, and not only the last one of each service: the signatures before it prove nothing more.
	EverySignature bool
	// Earlier is the last signature of an earlier copy: the report says whether this copy contains what it signs.
	Earlier Earlier
}

// Verifier verifies one copy. It is for one goroutine.
type Verifier struct {
	source     Source
	options    Options
	layout     layout
	entries    *entryReader
	bufferSize int
	read       int64

	report  Report
	started bool
	ended   bool
	next    uint64 // the transaction to read
	last    string // the last one that was read
	view    uint64
	// lastSeqno is the number of the last one.
	lastSeqno uint64
	inside    uint64 // the first transaction of the file to go on with, or 0
	offset    int64
	wrong     string // why the table of positions of that file does not fit
	past      uint64 // the first transaction of the last file

	// The tree: base was signed last; leaves come after it, the first of transaction from.
	known  bool
	base   tree
	tree   tree
	from   uint64
	leaves []hash
	views  []viewChange
	named  []uint64        // the damaged ones before the signature that is being settled
	told   map[uint64]bool // transactions after base that were told to be damaged

	queue         []*identityWrites
	pending       []*signature
	lastSignature uint64
	lastRoot      []byte

	service *ecdsa.PublicKey
	// doubt is a transaction that is missing or damaged: another service may have begun there. A table or a signature after it tells.
	doubt        uint64
	certificates map[hash]*nodeCertificate
	nodes        map[string][]byte
	order        []string

	whole   bool // nothing is missing so far, from the beginning or a snapshot
	shots   []*shot
	shotsAt int // the first snapshot that was not read
	index   *stateIndex
	broken  bool // a transaction is damaged: the replayed state is of no use
	sums    []uint64

	observe   func(*transaction) // each transaction, once it is taken
	later     []*later           // the work that is under way, the oldest first
	finishing bool

	watcher  Watcher
	compared uint64 // from this transaction on, the next signature has each leaf
}

// viewChange says from which transaction on a view is.
type viewChange struct{ seqno, view uint64 }

// New begins to verify a copy, or goes on from a checkpoint of an earlier verification of the same one.
func New(source Source, options Options, checkpoint []byte) (*Verifier, error) {
	v := &Verifier{
		source: source, options: options, layout: arrange(source), entries: newEntryReader(), bufferSize: 256 << 10,
		next: 1, certificates: map[hash]*nodeCertificate{}, nodes: map[string][]byte{}, told: map[uint64]bool{},
	}
	if checkpoint == nil {
		return v, nil
	}
	return v, v.restore(checkpoint)
}

// Read is the number of bytes that this verifier has read.
func (v *Verifier) Read() int64 { return v.read }

// Report is the outcome so far. It is complete once Run has said so.
func (v *Verifier) Report() Report {
	v.catchUp()
	r := v.report
	r.Identities, r.Snapshots = append([]Identity{}, r.Identities...), append([]Snapshot{}, r.Snapshots...)
	r.Errors, r.Unfinished, r.Notes = append([]Finding{}, r.Errors...), append([]Finding{}, r.Unfinished...), append([]Finding{}, r.Notes...)
	return r
}

func (v *Verifier) tell(s severity, code Code, transaction, text string) {
	v.catchUp()
	v.report.tell(told{s, Finding{Code: code, Transaction: transaction, Text: text}})
}

func (v *Verifier) tellFile(s severity, code Code, file File, transaction, text string) {
	v.catchUp()
	v.report.tell(told{s, Finding{Code: code, File: file.Name, Transaction: transaction, Text: text}})
}

// Run verifies until it is done, or until pause says so at a signature: then Checkpoint has all that a later process needs. An error
// says that a file could not be read; it is no finding, and a later Run may begin again at the last checkpoint.
func (v *Verifier) Run(ctx context.Context, pause func() bool) (done bool, err error) {
	if v.ended {
		return true, nil
	}
	if err := v.begin(ctx); err != nil {
		return false, err
	}
	for {
		c, ok := v.choose()
		if !ok {
			break
		}
		paused, err := v.readChunk(ctx, c, pause)
		if err != nil || paused {
			return false, err
		}
	}
	if err := v.end(ctx); err != nil {
		return false, err
	}
	v.ended = true
	return true, nil
}

// begin finds the start of the ledger, and indexes the newest snapshot.
func (v *Verifier) begin(ctx context.Context) error {
	if !v.started {
		for _, t := range v.layout.findings {
			v.report.tell(t)
		}
		v.whole = len(v.layout.chunks) > 0 && v.layout.chunks[0].first == 1
		if v.whole {
			v.known = true
			v.base.append(hash{})
			v.tree, v.from = v.base, 1
		}
	}
	if err := v.indexNewest(ctx); err != nil {
		return err
	}
	if err := v.tellKnown(ctx); err != nil {
		return err
	}
	if !v.started && !v.whole && len(v.layout.chunks) > 0 {
		if err := v.beginLater(ctx); err != nil {
			return err
		}
	}
	v.started = true
	return nil
}

// choose picks the file with the next transaction, and tells of a gap before it.
func (v *Verifier) choose() (chunk, bool) {
	var later *chunk
	for i := range v.layout.chunks {
		c := &v.layout.chunks[i]
		if v.inside != 0 && c.first == v.inside || v.inside == 0 && c.first == v.next && c.first > v.past {
			v.past = c.first
			return *c, true
		}
		if c.first >= v.next && c.first > v.past && later == nil {
			later = c
		}
	}
	v.inside = 0
	if later == nil {
		return chunk{}, false
	}
	if v.next > 1 || v.last != "" {
		v.tellFile(fault, Gap, later.file, "", missing(v.next, later.first-1))
	}
	v.lose(later.first)
	v.doubtFrom(later.first - 1)
	v.next, v.past = later.first, later.first
	return *later, true
}

// take follows the ledger through one transaction, whose leaf is appended already.
func (v *Verifier) take(t *transaction) (signed bool) {
	var s signatureWrites
	var evidence []byte
	var w *identityWrites
	err := t.writes(func(p write) {
		if v.index != nil {
			v.index.add(v.sums, t.seqno, p)
		}
		if p.removed || !bytes.HasPrefix(p.table, []byte("public:ccf.")) {
			return
		}
		switch table := string(p.table); table {
		case signaturesTable:
			s.node = p.value
		case coseTable:
			s.cose = p.value
		case treeName:
			s.tree = p.value
		case evidenceTable:
			evidence = p.value
		case serviceTable, previousTable, lastRootTable, endorsementTable, nodesTable:
			if w == nil {
				w = &identityWrites{seqno: t.seqno, view: t.view}
			}
			w.take(table, p.value)
		}
	})
	if err != nil {
		v.malformed(File{}, t, err.Error())
	}
	if w != nil {
		v.queue = append(v.queue, w)
	}
	leaf := t.leaf
	if t.id() == v.options.Earlier.Transaction {
		v.meet()
	}
	if signed = s.node != nil || s.cose != nil; signed {
		v.settle(t, &s)
	}
	if !signed && s.tree != nil {
		v.tell(fault, SignatureEntryDamaged, t.id(), "it has the tree of a signature, and no signature")
	}
	v.append(t, leaf)
	if len(v.shots) > 0 {
		v.evidence(t, leaf, evidence)
	}
	if v.observe != nil {
		v.observe(t)
	}
	return signed
}

// append adds the leaf of a transaction to the tree.
func (v *Verifier) append(t *transaction, leaf hash) {
	if v.known {
		v.tree.append(leaf)
	}
	v.leaves = append(v.leaves, leaf)
	if n := len(v.views); n == 0 || v.views[n-1].view != t.view {
		v.views = append(v.views, viewChange{t.seqno, t.view})
	}
	v.last, v.view, v.lastSeqno = t.id(), t.view, t.seqno
	if v.report.First == "" {
		v.report.First = v.last
	}
	v.report.Last = v.last
	v.report.Transactions++
	if t.private {
		v.report.PrivateParts++
	}
}

// seen is the ID of a transaction after the last signature.
func (v *Verifier) seen(seqno uint64) string {
	n, found := slices.BinarySearchFunc(v.views, seqno, func(c viewChange, seqno uint64) int { return cmp.Compare(c.seqno, seqno) })
	switch {
	case found:
		return txID(v.views[n].view, seqno)
	case n > 0:
		return txID(v.views[n-1].view, seqno)
	}
	return txID(v.view, seqno)
}

// malformed tells of a transaction that cannot be read.
func (v *Verifier) malformed(file File, t *transaction, text string) {
	v.tellFile(fault, EntryMalformed, file, t.id(), text)
	v.told[t.seqno] = true
	v.broken, v.index = true, nil
	v.doubtFrom(t.seqno)
}
