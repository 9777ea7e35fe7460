package ccf

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestLargestCheckpoint fills each part of a checkpoint with as much as there can be, none of which can be packed.
func TestLargestCheckpoint(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	noise := func(n int) []byte {
		b := make([]byte, n)
		if _, err := random.Read(b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := &Verifier{next: math.MaxUint32, nodes: map[string][]byte{}, sums: make([]uint64, words)}
	at := time.Unix(math.MaxInt32, 0)
	v.report.SignedAt = &at
	v.base.count = math.MaxUint32 // a tree of four thousand million transactions, with each bit
	for i := range 32 {
		v.base.peaks[i] = hash(noise(32))
	}
	v.leaves = []hash{hash(noise(32))}
	for i := range v.sums {
		v.sums[i] = random.Uint64()
	}
	for i := range mostNodes {
		v.order = append(v.order, fmt.Sprint(i))
		v.nodes[fmt.Sprint(i)] = noise(97)
	}
	for range 2 {
		v.pending = append(v.pending, &signature{Seqno: v.next, Root: noise(32), Key: noise(97), Node: noise(104), COSE: noise(400), At: at.Unix()})
		v.shots = append(v.shots, &shot{Name: "ledger/snapshot_4294967290_4294967291.committed", Seqno: v.next, Digest: noise(32), Leaf: noise(32), Root: noise(32), Doubt: "its receipt is for another transaction than 4294967295.4294967291"})
	}
	for range 3 * mostIdentities {
		v.report.identify(Identity{KeySHA256: fmt.Sprintf("%x", noise(32)), From: txID(v.next, v.next)})
		v.report.snapshot(Snapshot{Name: "ledger/snapshot_4294967290_4294967291.committed", Seqno: v.next, SHA256: fmt.Sprintf("%x", noise(32))})
	}
	for i := range 3 * mostFindings {
		for s := range note + 1 {
			v.tellFile(s, SignatureEntryDamaged, File{Name: fmt.Sprintf("ledger/ledger_%d-%d.committed", random.Uint64(), i)}, txID(v.next, random.Uint64()), strings.Repeat("text ", 99))
		}
	}
	checkpoint, err := v.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	if len(checkpoint) > 8<<10 {
		t.Errorf("%d bytes", len(checkpoint))
	}
	if bytes.Count(checkpoint, []byte("\n")) > 0 {
		t.Error("it has more than one line")
	}
}

// TestACheckpointWithFewSums would have keys whose bits are nowhere.
func TestACheckpointWithFewSums(t *testing.T) {
	for n, good := range map[int]bool{0: true, 8: false, 8 * mostSums: false, 8 * words: true, 8*words + 8: false} {
		packed, err := pack(fmt.Appendf(nil, `{"Leaf":%q,"Sums":%q}`, base64.StdEncoding.EncodeToString(make([]byte, 32)), base64.StdEncoding.EncodeToString(make([]byte, n))), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Source{}, Options{}, packed); (err == nil) != good {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
