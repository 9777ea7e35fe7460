package ccf

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// shot is a snapshot whose receipt is good, while the ledger has not reached the signature after its evidence.
type shot struct {
	Name     string `json:"n"`
	Seqno    uint64 `json:"s"`
	Evidence uint64 `json:"e"`
	Digest   []byte `json:"d"`
	Leaf     []byte `json:"l,omitempty"` // the leaf of the evidence
	Root     []byte `json:"r,omitempty"` // the receipt signs it
	Tables   int    `json:"t,omitempty"`
	Receipt  bool   `json:"v,omitempty"`
	Seen     bool   `json:"f,omitempty"` // the evidence is in the ledger
	// Differs says that it holds another hash of its transaction than the ledger, and Doubt speaks of its evidence. The signature after
	// them says whether the ledger is damaged there.
	Differs bool   `json:"h,omitempty"`
	Doubt   string `json:"w,omitempty"`
	Wrong   bool   `json:"x,omitempty"` // it was told to be wrong
}

func (s *shot) file() File { return File{Name: s.Name} }

// takeSnapshot reads the snapshot of the transaction that was just read, and holds it against the ledger so far.
func (v *Verifier) takeSnapshot(ctx context.Context, f snapshotFile) error {
	var s *snapshot
	var err error
	if v.index != nil && v.index.seqno == f.seqno {
		s = v.index.read
	} else if s, err = v.readSnapshot(ctx, f, nil); err != nil {
		return err
	}
	taken := v.judge(f, s, v.vouching(s, true))
	if taken == nil {
		return nil
	}
	n := len(v.leaves)
	taken.Differs = n > 0 && v.next == f.seqno+1 && v.leaves[n-1] != s.leaf
	if v.index != nil && v.index.seqno == f.seqno {
		var different []string
		if taken.Tables, different = v.index.compare(v.sums); len(different) > 0 {
			v.wrongState(f, different)
			taken.Wrong = true
		}
		switch {
		case !v.index.few() && !v.index.dated:
			v.tellFile(note, StateNotHeld, f.file, "", "it names no transaction before its own: its public state was not compared")
		case v.index.partial:
			v.tellFile(note, StateNotHeld, f.file, "", "it has more keys than are held in memory: only CCF's own tables were compared")
		}
		v.index, v.sums = nil, nil
	}
	v.shots = append(v.shots, taken)
	return nil
}

// judge checks a snapshot by itself. It returns nothing if it is wrong, and has told so.
func (v *Verifier) judge(f snapshotFile, s *snapshot, service *ecdsa.PublicKey) *shot {
	taken := &shot{Name: f.file.Name, Seqno: f.seqno, Evidence: f.evidence, Digest: s.digest[:]}
	if f.receiptless && len(s.receipt) == 0 && s.problem == "" {
		v.tellFile(note, NoReceipt, f.file, "", "a snapshot of CCF 1 has no receipt: its evidence in the ledger vouches for it")
		return taken
	}
	leaf, root, err := f.vouch(s, service)
	if err != nil {
		text := err.Error()
		if v.index != nil && v.index.seqno == f.seqno && v.whole {
			if _, different := v.index.compare(v.sums); len(different) > 0 {
				text = "its table " + different[0] + " is not that of the ledger; " + text
			}
		}
		v.tellFile(fault, SnapshotWrong, f.file, "", text)
		v.report.snapshot(Snapshot{Name: f.file.Name, Seqno: f.seqno, Wrong: true})
		return nil
	}
	taken.Leaf, taken.Root, taken.Receipt = leaf[:], root[:], true
	return taken
}

// evidence holds the snapshots against their evidence in the ledger.
func (v *Verifier) evidence(t *transaction, leaf hash, value []byte) {
	for _, s := range v.shots {
		if s.Evidence != t.seqno {
			continue
		}
		var e struct {
			Hash    string `json:"hash"`
			Version uint64 `json:"version"`
		}
		if json.Unmarshal(value, &e) != nil || e.Version != s.Seqno || e.Hash != hex.EncodeToString(s.Digest) {
			s.Doubt = "transaction " + t.id() + " is evidence of another snapshot, or of none"
			continue
		}
		if s.Receipt && !bytes.Equal(s.Leaf, leaf[:]) {
			s.Doubt = "its receipt is for another transaction than " + t.id()
			continue
		}
		s.Seen = true
	}
}

// held ends the snapshots whose evidence a signature covers.
func (v *Verifier) held(sig *signature) {
	kept := v.shots[:0]
	for _, s := range v.shots {
		if s.Evidence >= sig.Seqno {
			kept = append(kept, s)
			continue
		}
		if s.Seen && s.Receipt && sig.Root != nil && !bytes.Equal(s.Root, sig.Root) {
			v.tellFile(fault, SnapshotWrong, s.file(), sig.id(), "its receipt signs another root than this signature")
			s.Seen, s.Wrong = false, true
		}
		s.Differs = s.Differs && !slices.Contains(v.named, s.Seqno)
		if slices.Contains(v.named, s.Evidence) {
			s.Doubt = ""
		}
		v.conclude(s)
	}
	v.shots = kept
}

// conclude reports a snapshot, and why it is wrong.
func (v *Verifier) conclude(s *shot) {
	if s.Differs {
		v.tellFile(fault, SnapshotWrong, s.file(), "", fmt.Sprintf("it holds another hash of transaction %d than the ledger", s.Seqno))
	}
	if s.Doubt != "" {
		v.tellFile(fault, SnapshotWrong, s.file(), "", s.Doubt)
	}
	v.report.snapshot(Snapshot{
		Name: s.Name, Seqno: s.Seqno, SHA256: hex.EncodeToString(s.Digest), Receipt: s.Receipt, InLedger: s.Seen, Tables: s.Tables,
		Wrong: s.Wrong || s.Differs || s.Doubt != "",
	})
}

// beginLater begins a ledger without its first transactions: at a snapshot just before it, or at the tree of its first signature.
func (v *Verifier) beginLater(ctx context.Context) error {
	first := v.layout.chunks[0]
	v.next = first.first
	v.lose(first.first)
	index := v.index
	for i, f := range v.layout.snapshots {
		if f.seqno != first.first-1 {
			continue
		}
		visit := func(_ int, name string, key []byte, version int64, value []byte) {
			if v.watcher.Held != nil && version >= 0 {
				v.watcher.Held(name, key, value)
			}
			if index != nil {
				index.add(v.sums, uint64(max(version, -version)), write{table: []byte(name), key: key, value: value, removed: version < 0})
			}
		}
		s, err := v.readSnapshot(ctx, f, visit)
		if err != nil {
			return err
		}
		v.shotsAt = i + 1
		if v.beginAt(f, s) {
			v.index = index
			return nil
		}
	}
	v.tellFile(fault, BeginningMissing, first.file, "", missing(1, first.first-1)+", and no snapshot has their state")
	return nil
}

// beginAt begins with the state of a snapshot, if it is good.
func (v *Verifier) beginAt(f snapshotFile, s *snapshot) bool {
	var info serviceInfo
	service, id, err := (*ecdsa.PublicKey)(nil), "", json.Unmarshal(s.service, &info)
	if err == nil {
		service, id, err = serviceKey(info.Cert)
	}
	if err != nil && s.problem == "" {
		s.problem = "it does not have the service's certificate"
	}
	taken := v.judge(f, s, service)
	if taken == nil {
		return false
	}
	v.shots = append(v.shots, taken)
	table, ok := parseTree(s.tree, f.seqno)
	if !ok {
		v.tellFile(fault, SnapshotWrong, f.file, "", fmt.Sprintf("it does not have the tree of transaction %d", f.seqno))
		return false
	}
	v.service = service
	v.report.identify(Identity{KeySHA256: id, From: ""})
	v.base, v.known, v.whole = table.whole(), true, true
	root := v.base.root()
	v.lastSignature, v.lastRoot = f.seqno, root[:]
	v.tree, v.from, v.leaves = v.base, f.seqno, append(v.leaves[:0], s.leaf)
	v.tree.append(s.leaf)
	for _, node := range s.nodes {
		v.joined(node, false)
	}
	return true
}

// end tells what only the end shows.
func (v *Verifier) end(ctx context.Context) error {
	if v.service != nil || len(v.pending) > 0 {
		v.settlePending()
	}
	v.catchUp()
	if n := len(v.report.Identities); n > 0 {
		v.report.Service = v.report.Identities[n-1].KeySHA256
	}
	switch {
	case len(v.layout.chunks) == 0:
		v.tell(fault, NoLedger, "", "there is no file of a ledger")
	case v.report.Signed == "":
		v.tell(fault, NoSignature, "", "no signature proves anything of this ledger")
	case v.service == nil:
		after := ""
		if len(v.report.Identities) > 0 {
			after = " after what is missing before " + v.over(0, "")
		}
		v.tell(note, IdentityUnknown, "", "no file tells the service's certificate"+after)
	}
	if v.lastSeqno > v.lastSignature {
		v.report.Unsigned = v.lastSeqno - v.lastSignature
		v.tell(note, UnsignedTail, v.last, counted(int(v.report.Unsigned), "transaction")+" after the last signature: no signature proves them yet")
	}
	for _, s := range v.shots {
		v.tellFile(note, EvidenceMissing, s.file(), "", fmt.Sprintf("transaction %d, its evidence, and the signature after it are in no file: its receipt vouches for it", s.Evidence))
		v.conclude(s)
	}
	v.shots = nil
	if v.options.Earlier.Transaction != "" && v.report.Earlier == "" {
		v.report.Earlier = EarlierMissing
	}
	return v.endSnapshots(ctx)
}

// endSnapshots checks the snapshots that are newer than the ledger.
func (v *Verifier) endSnapshots(ctx context.Context) error {
	for ; v.shotsAt < len(v.layout.snapshots); v.shotsAt++ {
		f := v.layout.snapshots[v.shotsAt]
		s, err := v.readSnapshot(ctx, f, nil)
		if err != nil {
			return err
		}
		if taken := v.judge(f, s, v.vouching(s, len(v.layout.chunks) > 0 && f.seqno < v.next)); taken != nil {
			v.conclude(taken)
		}
		if len(v.layout.chunks) > 0 {
			v.tellFile(fault, LedgerEndsBeforeSnapshot, f.file, "", fmt.Sprintf("the ledger ends at %s: transactions up to %d are missing", v.last, f.seqno))
		}
	}
	return nil
}
