package ccf_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// source gives files in memory.
func source(files []ccfwriter.File) ccf.Source {
	s := ccf.Source{}
	for _, f := range files {
		s.Files = append(s.Files, ccf.File{Name: f.Name, Size: int64(len(f.Content))})
	}
	s.Open = func(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
		i := slices.IndexFunc(files, func(f ccfwriter.File) bool { return f.Name == name })
		if i < 0 {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader(files[i].Content[offset:])), nil
	}
	return s
}

func never() bool { return false }

// verify verifies files to the end.
func verify(t *testing.T, files []ccfwriter.File, options ccf.Options) ccf.Report {
	t.Helper()
	v, err := ccf.New(source(files), options, nil)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := v.Run(t.Context(), never); !done || err != nil {
		t.Fatal(done, err)
	}
	return v.Report()
}

// life is a ledger with chunks, an election, a snapshot and a recovery.
func life(form, later ccfwriter.Form, seed uint64) *ccfwriter.Ledger {
	l := ccfwriter.New(form, seed)
	l.Open()
	l.Close()
	for i := range 5 {
		l.Transact(30*(i%2), ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: []byte("one")})
	}
	l.Sign()
	l.Elect()
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "3", Remove: true}, ccfwriter.Write{Table: "public:records", Key: "4", Value: []byte("two")})
	l.Close()
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "9", Value: []byte("lost")})
	l.Recover(later)
	l.Transact(100)
	l.Sign()
	l.Open()
	l.Close()
	l.Snapshot(50)
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "0", Value: []byte("after")})
	l.Sign()
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "0", Value: []byte("tail")})
	return l
}

var forms = []ccfwriter.Form{ccfwriter.V1, ccfwriter.V2, ccfwriter.V5, ccfwriter.V6, ccfwriter.V7}

func TestMadeLedgersAreProven(t *testing.T) {
	for i, form := range forms {
		for _, later := range forms[max(i, 1):] {
			l := life(form, later, uint64(i))
			for _, every := range []bool{false, true} {
				r := verify(t, l.Files(), ccf.Options{EverySignature: every})
				if !r.Proven() || r.Signed != l.SignedID() || r.Root != l.Root() || r.Service != l.Service() || r.Last != l.LastID() || r.Unsigned != 1 || len(r.Identities) != 2 ||
					len(r.Snapshots) != 1 || !r.Snapshots[0].InLedger {
					t.Errorf("%d, %d: %+v", form, later, r)
				}
			}
		}
	}
}
