package ccf

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// checkpointVersion numbers the form below. A checkpoint of another form is refused: the verification begins again.
const checkpointVersion = 2

// mostCheckpoint is more than a checkpoint has before it is packed.
const mostCheckpoint = 1 << 20

// checkpoint is the JSON of a checkpoint. It has at most 8 KiB, so the state in it is packed.
type checkpoint struct {
	Version int    `json:"version"`
	Next    uint64 `json:"next"` // for people: the transaction to read next
	Packed  []byte `json:"packed"`
}

// state is all that a later process needs, at a signature.
type state struct {
	Report        Report
	Ended         bool
	Next, Inside  uint64
	Offset        int64
	Wrong         string
	Last          string
	View          uint64
	Known, Whole  bool
	Broken        bool
	Count         uint64 // leaves in the tree
	Peaks         []byte
	Leaf          []byte // the leaf of the signature
	Pending       []*signature
	LastSignature uint64
	LastRoot      []byte
	Service       []byte
	Nodes         [][]byte // their keys
	Shots         []*shot
	ShotsAt       int
	Sums          []byte
	Every         bool
	Doubt         uint64
}

// Checkpoint is the state after Run has paused or ended: JSON of at most 8 KiB.
func (v *Verifier) Checkpoint() ([]byte, error) {
	s := state{
		Report: v.report, Ended: v.ended, Next: v.next, Inside: v.inside, Offset: v.offset, Wrong: v.wrong, Last: v.last, View: v.view, Known: v.known, Whole: v.whole, Broken: v.broken,
		Count: v.base.count, Peaks: v.base.bytes(), Pending: v.pending, LastSignature: v.lastSignature, LastRoot: v.lastRoot,
		Shots: v.shots, ShotsAt: v.shotsAt, Every: v.options.EverySignature, Doubt: v.doubt,
	}
	if n := len(v.leaves); n > 0 && !v.ended {
		s.Leaf = v.leaves[n-1][:]
	}
	if v.service != nil {
		point, err := pointOf(v.service)
		if err != nil {
			return nil, err
		}
		s.Service = point
	}
	for _, p := range v.pending {
		p.isForeign()
	}
	for _, id := range v.order {
		s.Nodes = append(s.Nodes, compressed(v.nodes[id]))
	}
	for _, sum := range v.sums {
		s.Sums = binary.LittleEndian.AppendUint64(s.Sums, sum)
	}
	content, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return pack(content, v.next)
}

// pack makes a checkpoint of the JSON of its state.
func pack(content []byte, next uint64) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(checkpoint{Version: checkpointVersion, Next: next, Packed: packed.Bytes()})
}

// restore goes on from a checkpoint.
func (v *Verifier) restore(encoded []byte) error {
	var c checkpoint
	if err := json.Unmarshal(encoded, &c); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if c.Version != checkpointVersion {
		return fmt.Errorf("the checkpoint has version %d, not %d: verify from the beginning", c.Version, checkpointVersion)
	}
	content, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(c.Packed)), mostCheckpoint))
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	base, ok := treeOf(s.Count, s.Peaks)
	if !ok || s.Ended == (len(s.Leaf) == len(hash{})) || len(s.Sums) != 0 && len(s.Sums) != 8*words {
		return errors.New("the checkpoint contradicts itself")
	}
	if s.Every != v.options.EverySignature {
		return errors.New("the checkpoint is of a verification with other options")
	}
	v.started, v.ended, v.report = true, s.Ended, s.Report
	v.next, v.inside, v.offset, v.wrong, v.last, v.view = s.Next, s.Inside, s.Offset, s.Wrong, s.Last, s.View
	v.known, v.whole, v.broken, v.base, v.tree, v.from = s.Known, s.Whole, s.Broken, base, base, s.LastSignature
	if !s.Ended {
		leaf := hash(s.Leaf)
		v.leaves = append(v.leaves, leaf)
		if s.Known {
			v.tree.append(leaf)
		}
	}
	v.views = []viewChange{{v.from, s.View}}
	v.pending, v.lastSignature, v.lastSeqno, v.lastRoot = s.Pending, s.LastSignature, s.LastSignature, s.LastRoot
	v.shots, v.shotsAt, v.doubt = s.Shots, s.ShotsAt, s.Doubt
	if s.Service != nil {
		key, err := keyOfPoint(s.Service)
		if err != nil {
			return fmt.Errorf("the checkpoint: the service: %w", err)
		}
		v.service = key
	}
	for _, short := range s.Nodes {
		point, err := uncompressed(short)
		if err != nil {
			return fmt.Errorf("the checkpoint: a node: %w", err)
		}
		key, err := keyOfPoint(point)
		if err != nil {
			return fmt.Errorf("the checkpoint: a node: %w", err)
		}
		id, err := keyID(key)
		if err != nil {
			return err
		}
		v.nodes[id], v.order = point, append(v.order, id)
	}
	for rest := s.Sums; len(rest) > 0; rest = rest[8:] {
		v.sums = append(v.sums, binary.LittleEndian.Uint64(rest))
	}
	return nil
}
