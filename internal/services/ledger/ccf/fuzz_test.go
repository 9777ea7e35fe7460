package ccf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// bounded fails if reading n bytes takes more memory than they deserve, whatever lengths they claim.
func bounded(t *testing.T, n int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(16<<20+200*n) {
		t.Errorf("%d bytes took %d bytes of memory", n, used)
	}
}

func made(form ccfwriter.Form) []ccfwriter.File {
	l := ccfwriter.New(form, 1)
	l.Open()
	l.Close()
	l.Snapshot(3)
	l.Transact(5, ccfwriter.Write{Table: "public:r", Key: "k", Remove: true})
	l.Sign()
	return l.Files()
}

// FuzzFiles reads anything as each kind of file.
func FuzzFiles(f *testing.F) {
	for _, form := range []ccfwriter.Form{ccfwriter.V1, ccfwriter.V6, ccfwriter.V7} {
		for _, file := range made(form) {
			f.Add(file.Content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, name := range []string{"ledger_1-4.committed", "ledger_1", "snapshot_4_5.committed"} {
			source := Source{Files: []File{{name, int64(len(content))}}, Open: func(_ context.Context, _ string, offset int64) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(content[offset:])), nil
			}}
			bounded(t, len(content), func() {
				v, err := New(source, Options{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if done, err := v.Run(t.Context(), func() bool { return false }); !done || err != nil {
					t.Fatal(done, err)
				}
				if r := v.Report(); r.Proven() && !strings.HasPrefix(name, "ledger") {
					t.Fatalf("a snapshot alone is proven: %+v", r)
				}
			})
		}
	})
}

// FuzzCOSE reads anything as a COSE_Sign1 and as a receipt.
func FuzzCOSE(f *testing.F) {
	for _, form := range []ccfwriter.Form{ccfwriter.V6, ccfwriter.V7} {
		for _, file := range made(form) {
			_, receipt, ok := bytes.Cut(file.Content, []byte(`{"cert"`))
			if strings.Contains(file.Name, "snapshot") {
				if at := bytes.LastIndexByte(file.Content, 0xd2); form == ccfwriter.V7 && at > 0 {
					f.Add(file.Content[at:])
				} else if ok {
					f.Add(append([]byte(`{"cert"`), receipt...))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		bounded(t, len(encoded), func() {
			if m, err := parseSign1(encoded); err == nil {
				_ = m.at
			}
			if len(encoded) == 0 {
				return
			}
			if r, err := parseReceipt(encoded); err == nil && r.root == (hash{}) {
				t.Error("a receipt without a root")
			}
		})
	})
}

// FuzzTables reads anything as the tables of a transaction, and as the tree and the JSON of a signature.
func FuzzTables(f *testing.F) {
	f.Add(tableSeed(), uint64(2))
	f.Fuzz(func(t *testing.T, content []byte, seqno uint64) {
		bounded(t, len(content), func() {
			size := 0
			tx := transaction{tables: content}
			if err := tx.writes(func(w write) { size += len(w.table) + len(w.key) + len(w.value) }); err == nil && size > 100*len(content) {
				t.Errorf("%d bytes of tables in %d", size, len(content))
			}
			if table, ok := parseTree(content, seqno); ok {
				if whole := table.whole(); whole.count != seqno {
					t.Errorf("a tree of %d leaves, not %d", whole.count, seqno)
				}
			}
			v := &Verifier{certificates: map[hash]*nodeCertificate{}, nodes: map[string][]byte{}, told: map[uint64]bool{}}
			s := v.signed(&transaction{seqno: seqno}, &signatureWrites{node: content, cose: content})
			v.verify(s, hash{})
			v.identify(&identityWrites{info: content, previous: content, lastRoot: content, endorsement: content, nodes: [][]byte{content}})
		})
	})
}

func tableSeed() []byte {
	tree := append(make([]byte, 7), 2)
	return append(append(tree, make([]byte, 8)...), make([]byte, 2*sha256.Size)...)
}

// FuzzCheckpoint goes on from anything.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(`{"LastSignature":4,"Leaf":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Known":true,"Count":4,"Peaks":"AAAA"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if !json.Valid(content) {
			return
		}
		packed, err := pack(content, 1)
		if err != nil {
			t.Fatal(err)
		}
		bounded(t, len(content), func() {
			v, err := New(Source{}, Options{}, packed)
			if err != nil {
				return
			}
			_, _ = v.Run(t.Context(), func() bool { return true })
		})
	})
}
