package ccf

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// signatureWrites are the values of a transaction with a signature.
type signatureWrites struct {
	node, cose, tree []byte
	read             *nodeSignature
}

// parsed is the node's signature, or nil if it cannot be read.
func (w *signatureWrites) parsed() *nodeSignature {
	var n nodeSignature
	if w.read == nil && w.node != nil && json.Unmarshal(w.node, &n) == nil {
		w.read = &n
	}
	return w.read
}

// writtenRoot is the root in the node's signature, if it can be read.
func (w *signatureWrites) writtenRoot() *hash {
	n, root := w.parsed(), new(hash)
	if n == nil || !unhex(root, n.Root) {
		return nil
	}
	return root
}

// settle holds a signature against the tree of the transactions before it, and goes on with the tree that it proves.
func (v *Verifier) settle(t *transaction, w *signatureWrites) {
	table, ok := parseTree(w.tree, t.seqno)
	written := w.writtenRoot()
	var base *tree
	if v.known {
		base = &v.base
	}
	var named []uint64
	earlier := false
	var theirs tree
	if ok {
		named, earlier = table.differs(base, v.from, v.leaves)
		if !v.known || len(named) > 0 || earlier {
			theirs = table.whole()
		}
	}
	var ours hash
	if v.known {
		ours = v.tree.root()
	}
	v.named = named
	v.compared = v.from
	if !v.known || earlier {
		v.compared = t.seqno
		if ok {
			v.compared = max(v.from, table.before.count)
		}
	}
	trusted := ok && (written == nil || *written == theirs.root())
	if trusted {
		for _, seqno := range named {
			v.doubtFrom(seqno)
		}
	}
	v.applyQueue(named, trusted)
	s := v.signed(t, w)
	v.decide(s)
	if v.known && ok && len(named) == 0 && !earlier && isRoot(written, ours) && len(s.faults) == 0 {
		v.accept(s, v.tree)
		return
	}
	v.contradicted(s, ok, &theirs, named, earlier)
}

// applyQueue follows the service through the transactions since the signature before.
func (v *Verifier) applyQueue(named []uint64, trusted bool) {
	for _, w := range v.queue {
		if trusted && slices.Contains(named, w.seqno) {
			v.salvage(w)
		} else {
			v.identify(w)
		}
	}
	v.queue = nil
}

// candidate is a root that a signature may be of.
type candidate struct {
	root  hash
	tree  *tree // nil if only the root is known
	valid int
	wrong []string
}

// contradicted decides which root the signature proves, where our tree, the tree beside the signature and the root in it disagree.
func (v *Verifier) contradicted(s *signature, table bool, theirs *tree, named []uint64, earlier bool) {
	var all []candidate
	add := func(root hash, t *tree) {
		if !slices.ContainsFunc(all, func(c candidate) bool { return c.root == root }) {
			all = append(all, candidate{root: root, tree: t})
		}
	}
	if v.known {
		ours := v.tree
		add(ours.root(), &ours)
	}
	if table && theirs.count > 0 {
		add(theirs.root(), theirs)
	}
	if s.written != nil {
		add(*s.written, nil)
	}
	proven := -1
	for i := 0; i < len(all) && proven < 0; i++ {
		if all[i].valid, all[i].wrong = v.verify(s, all[i].root); all[i].valid > 0 {
			proven = i
		}
	}
	chosen := proven
	if chosen < 0 {
		chosen = v.likely(all, s)
	}
	if chosen < 0 {
		v.tell(fault, SignatureEntryDamaged, s.id(), "neither its tree nor its root can be read")
		v.lose(s.Seqno)
		return
	}
	c := all[chosen]
	if len(s.faults) > 0 && !v.known {
		v.tell(fault, SignatureEntryDamaged, s.id(), s.faults[0])
	}
	if v.known {
		v.explain(s, c, table, named, earlier, all[0].root)
	} else {
		v.name(named)
		if !table || s.written != nil && *s.written != c.root {
			v.tell(fault, SignatureEntryDamaged, s.id(), "its tree and its root differ")
		}
	}
	s.Checked, s.Valid = true, proven >= 0
	for _, text := range c.wrong {
		v.signatureWrong(s, text)
	}
	if c.tree == nil {
		v.forget(s)
		return
	}
	s.Root = c.root[:]
	v.accept(s, *c.tree)
}

// likely picks a root where no signature proves one: of the tree that the written root agrees with, else of our own tree, else of
// the tree beside the signature. Where the service is not known because a transaction is damaged, that one is the tree without the damage.
func (v *Verifier) likely(all []candidate, s *signature) int {
	if s.written != nil {
		if i := slices.IndexFunc(all, func(c candidate) bool { return c.tree != nil && c.root == *s.written }); i >= 0 {
			return i
		}
	}
	if n := len(all); n == 2 && v.service == nil && s.Key == nil && all[1].tree != nil {
		return 1
	}
	return slices.IndexFunc(all, func(c candidate) bool { return c.tree != nil })
}

// explain names what is damaged, given the root that holds.
func (v *Verifier) explain(s *signature, c candidate, table bool, named []uint64, earlier bool, ours hash) {
	if c.root == ours {
		v.named = nil // the tree beside the signature is wrong, and no transaction
		text := "its tree is not that of the transactions before it"
		switch {
		case len(s.faults) > 0:
			text = s.faults[0]
		case !table:
			text = "its tree cannot be read"
		case s.written != nil && *s.written != ours:
			text = "the root in it is not that of the transactions before it"
		}
		v.tell(fault, SignatureEntryDamaged, s.id(), text)
		return
	}
	if c.tree != nil && len(named) > 0 {
		v.name(named)
	}
	if c.tree == nil || earlier || len(named) == 0 {
		v.tell(fault, RootWrong, s.id(), fmt.Sprintf("a transaction from %d to %d is not the signed one", v.from, s.Seqno-1))
	}
	if len(s.faults) > 0 || s.written != nil && *s.written != c.root {
		v.tell(fault, SignatureEntryDamaged, s.id(), "it contradicts its own tree")
	}
}

// name tells the damaged transactions, each once.
func (v *Verifier) name(named []uint64) {
	for _, seqno := range named {
		if !v.told[seqno] {
			v.tellFile(fault, TransactionDamaged, File{Name: v.fileOf(seqno)}, v.seen(seqno), "its bytes are not those that were signed")
			v.broken, v.index = true, nil
		}
	}
}

// accept goes on from a signature, whose own leaf is the first of the next ones.
func (v *Verifier) accept(s *signature, t tree) {
	root := t.root()
	s.Root = root[:]
	v.settled(s)
	v.base, v.known = t, true
	v.tree, v.from, v.leaves, v.views, v.told = t, s.Seqno, v.leaves[:0], nil, map[uint64]bool{}
	v.signedNow(s)
}

// forget goes on from a signature whose root is known, and not its tree.
func (v *Verifier) forget(s *signature) {
	v.lose(s.Seqno)
	v.signedNow(s)
}

// lose gives up the tree: the next signature's own brings it back.
func (v *Verifier) lose(next uint64) {
	v.applyQueue(nil, false)
	v.known, v.whole, v.index = false, false, nil
	v.base, v.tree = tree{}, tree{}
	v.from, v.leaves, v.views, v.told = next, v.leaves[:0], nil, map[uint64]bool{}
}

// mostKept bounds a signature that waits for its verification in a checkpoint. Real ones have about 300 bytes.
const mostKept = 400

// signedNow keeps the signature as the last one, and checks it now if all are to be checked.
func (v *Verifier) signedNow(s *signature) {
	v.lastSignature, v.lastRoot = s.Seqno, s.Root
	if s.Checked { // a contradiction has verified it
		v.foreign(s)
	}
	if s.Root != nil && !s.Checked && (v.options.EverySignature || len(s.COSE) > mostKept || len(s.Node) > mostKept) {
		f := v.verification(s, hash(s.Root))
		s.begun = true
		v.after(func() {
			v.verified(f)
			s.Key, s.Node, s.COSE = nil, nil, nil
		}, f.work()...)
	}
	if len(v.pending) == 2 {
		if at := v.pending[0].At; at != 0 {
			v.after(func() { v.report.SignedAt = signedAt(at) })
		}
		v.pending = v.pending[1:]
	}
	v.pending = append(v.pending, s)
	v.held(s)
}

// settlePending verifies the last signature, and the one before it where the last one is wrong.
func (v *Verifier) settlePending() {
	pending := v.pending
	v.pending = nil
	var all []*verification
	for _, s := range pending {
		if s.Root != nil {
			all = append(all, v.verification(s, hash(s.Root)))
		}
	}
	var work []func()
	if n := len(all); n > 0 {
		work = all[n-1].begin()
	}
	v.after(func() { v.lastSigned(pending, all) }, work...)
}

// begin is the work of a verification that has not begun.
func (f *verification) begin() []func() {
	if f.s.Checked || f.s.begun {
		return nil
	}
	f.s.begun = true
	return f.work()
}

// lastSigned reports the last signature that is valid.
func (v *Verifier) lastSigned(pending []*signature, all []*verification) {
	for _, f := range slices.Backward(all) {
		for _, work := range f.begin() {
			work()
		}
		if v.verified(f); f.s.Valid {
			v.report.Signed, v.report.Root = f.s.id(), hex.EncodeToString(f.s.Root)
			break
		}
	}
	for _, s := range pending {
		if s.At != 0 && (!s.Checked || s.Valid) {
			v.report.SignedAt = signedAt(s.At)
		}
	}
}
