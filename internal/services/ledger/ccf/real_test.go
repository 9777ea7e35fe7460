//go:build ledgers

package ccf

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// expected is the part of expected.json that this verifier knows too.
type expected struct {
	Last, Signed, LastRoot string
	UnsignedTail           uint64
	LastSignedAt           *time.Time
	Transactions           uint64
	WithPrivatePart        uint64
	NodeSignatures         uint64
	COSESignatures         uint64
	TransactionsByTable    map[string]int
	WritesByTable          map[string]int
	ServiceIdentities      []string
	Roots                  []string
	EntryTypes             map[string]int
	Snapshots              []struct {
		Name, Digest, PublicState string
		Seqno                     uint64
	}
}

// TestRealLedgers compares every root, count, table and identity of real ledgers with what two other readers found in them.
func TestRealLedgers(t *testing.T) {
	root := os.Getenv("LEDGERS")
	if root == "" {
		t.Fatal("LEDGERS must be the folder of the ledgers: make ledgers LEDGERS=folder")
	}
	paths, err := filepath.Glob(filepath.Join(root, "*", "expected.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no folder with an expected.json: %v", root, err)
	}
	for _, path := range paths {
		folder := filepath.Dir(path)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			var want expected
			var messages struct{ MemberMessages int }
			content, err := os.ReadFile(path)
			if err == nil {
				err = errors.Join(json.Unmarshal(content, &want), json.Unmarshal(content, &messages))
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, every := range []bool{false, true} {
				compareReal(t, folder, want, every)
			}
			compareGovernance(t, folder, messages.MemberMessages)
		})
	}
}

func compareReal(t *testing.T, folder string, want expected, every bool) {
	t.Helper()
	source, err := Folder(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(source, Options{EverySignature: every}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := expected{TransactionsByTable: map[string]int{}, WritesByTable: map[string]int{}, EntryTypes: map[string]int{}}
	v.observe = func(tx *transaction) {
		seen := map[string]bool{}
		if err := tx.writes(func(w write) {
			seen[string(w.table)] = true
			got.WritesByTable[string(w.table)]++
		}); err != nil {
			t.Error(err)
		}
		for table := range maps.Keys(seen) {
			got.TransactionsByTable[table]++
		}
		if v.lastSignature == tx.seqno && want.Roots != nil {
			got.Roots = append(got.Roots, tx.id()+" "+hex.EncodeToString(v.lastRoot))
		}
		got.EntryTypes[[]string{"WRITE_SET", "", "", "WRITE_SET_WITH_COMMIT_EVIDENCE", "WRITE_SET_WITH_COMMIT_EVIDENCE_AND_CLAIMS"}[tx.kind]]++
	}
	if done, err := v.Run(t.Context(), func() bool { return false }); !done || err != nil {
		t.Fatal(done, err)
	}
	r := v.Report()
	for _, f := range append(append(r.Errors, r.Unfinished...), r.Notes...) {
		t.Logf("%+v", f)
	}
	if !r.Proven() {
		t.Error("not proven")
	}
	if again := pausing(t, source, every); !cmp.Equal(r, again) {
		t.Errorf("paused at each signature: %s", cmp.Diff(r, again))
	}
	got.Last, got.Signed, got.LastRoot, got.UnsignedTail, got.LastSignedAt = r.Last, r.Signed, r.Root, r.Unsigned, r.SignedAt
	got.Transactions, got.WithPrivatePart, got.NodeSignatures, got.COSESignatures = r.Transactions, r.PrivateParts, r.NodeSignatures, r.COSESignatures
	for _, i := range r.Identities {
		got.ServiceIdentities = append(got.ServiceIdentities, i.KeySHA256)
	}
	for i, s := range r.Snapshots {
		if !s.Receipt || !s.InLedger {
			t.Errorf("%+v", s)
		}
		shot := want.Snapshots[i]
		shot.Name, shot.Digest, shot.Seqno = s.Name, s.SHA256, s.Seqno
		got.Snapshots = append(got.Snapshots, shot)
		if i == len(r.Snapshots)-1 && !strings.HasPrefix(shot.PublicState, "equal in ") {
			t.Error(shot.PublicState, s.Tables)
		}
		t.Logf("%+v, %s", s, shot.PublicState)
		got.Snapshots[i].Name = filepath.Base(s.Name)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

// pausing verifies in a new process from each signature to the next.
func pausing(t *testing.T, source Source, every bool) Report {
	t.Helper()
	var saved []byte
	for {
		v, err := New(source, Options{EverySignature: every}, saved)
		if err != nil {
			t.Fatal(err)
		}
		done, err := v.Run(t.Context(), func() bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return v.Report()
		}
		if saved, err = v.Checkpoint(); err != nil || len(saved) > 8<<10 {
			t.Fatal(len(saved), err)
		}
	}
}
