package ccf_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// TestIdentityChain signs, in order, things that no service would: the tree is right, and the chain of identities is not.
func TestIdentityChain(t *testing.T) {
	other := ccfwriter.New(ccfwriter.V6, 99)
	for _, c := range []struct {
		name string
		do   func(*ccfwriter.Ledger)
		want []string
	}{
		{"another service, from nowhere", func(l *ccfwriter.Ledger) { l.Transact(0, other.ServiceRow()) }, []string{"note IdentityAlone 2.5"}},
		{"a service that does not follow a signature", func(l *ccfwriter.Ledger) { l.Transact(0); l.Transact(0, other.ServiceRow()) }, []string{"error IdentityWrong 2.6"}},
		{"a service that follows another one", func(l *ccfwriter.Ledger) {
			l.Transact(0, other.ServiceRow(), other.PreviousRow(), l.LastRootRow())
		}, []string{"error IdentityWrong 2.5"}},
		{"a service that follows another root", func(l *ccfwriter.Ledger) {
			l.Transact(0, other.ServiceRow(), l.PreviousRow(), other.LastRootRow())
		}, []string{"error IdentityWrong 2.5"}},
		{"an endorsement by another service", func(l *ccfwriter.Ledger) { l.Transact(0, other.EndorsementRow()) }, []string{"error IdentityWrong 2.5"}},
		{"an endorsement that another service signed", func(l *ccfwriter.Ledger) {
			l.Recover(ccfwriter.V6)
			l.Transact(0, l.ForgedEndorsementRow(other))
		}, []string{"error IdentityWrong 4.7"}},
		{"a node of another service, before a recovery", func(l *ccfwriter.Ledger) {
			l.Usurp(other)
			l.Sign()
			l.Recover(ccfwriter.V5)
		}, []string{"error NodeCertificateWrong 2.5"}},
		{"a node of another service", func(l *ccfwriter.Ledger) { l.Usurp(other) }, []string{"error NodeCertificateWrong 2.5"}},
	} {
		l := ccfwriter.New(ccfwriter.V5, 8)
		l.Open()
		l.Sign()
		c.do(l)
		l.Sign()
		if got := found(verify(t, l.Files(), ccf.Options{})); !slices.ContainsFunc(got, func(line string) bool { return slices.Contains(c.want, line) }) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestARecoveryAfterADamagedSignature blames the signature alone.
func TestARecoveryAfterADamagedSignature(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V6, 8)
	l.Open()
	l.Close()
	l.Recover(ccfwriter.V6)
	d := &damaged{l.Files()}
	d.file("ledger_1-4").Content = bytes.Clone(d.file("ledger_1-4").Content)
	d.flipIn("ledger_1-4", 3, "internal.signatures", 0)
	d.flipIn("ledger_1-4", 3, "internal.cose", 0)
	want := []string{"error SignatureEntryDamaged 2.4", "error TransactionDamaged ledger_1-4.committed 2.4"}
	if got := found(verify(t, d.files, ccf.Options{})); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	a, b := life(ccfwriter.V6, ccfwriter.V7, 4).Files(), life(ccfwriter.V6, ccfwriter.V7, 4).Files()
	for i := range a {
		if a[i].Name != b[i].Name || !bytes.Equal(a[i].Content, b[i].Content) {
			t.Error(a[i].Name)
		}
	}
}

// TestAFileIsNamedOnce: the error of a file that cannot be opened has its name, as the error of a file system does.
func TestAFileIsNamedOnce(t *testing.T) {
	files := whole()
	s := source(files)
	s.Open = func(_ context.Context, name string, _ int64) (io.ReadCloser, error) {
		return nil, &fs.PathError{Op: "openat", Path: name, Err: fs.ErrPermission}
	}
	v, err := ccf.New(s, ccf.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Run(t.Context(), never); !errors.Is(err, fs.ErrPermission) || err.Error() != "snapshots/snapshot_47_48.committed cannot be read: permission denied" {
		t.Error(err)
	}
}

// TestReadingFails: a file that cannot be read is an error of the run, and no finding. A later run goes on from the last checkpoint.
func TestReadingFails(t *testing.T) {
	files := whole()
	for _, name := range []string{"ledger_13-20.committed", "snapshot_47_48.committed", "ledger_48"} {
		broken := source(files)
		read := broken.Open
		failing := errors.New("the network is gone")
		var saved []byte
		broken.Open = func(ctx context.Context, file string, offset int64) (io.ReadCloser, error) {
			r, err := read(ctx, file, offset)
			if strings.HasSuffix(file, name) {
				return io.NopCloser(io.MultiReader(io.LimitReader(r, 700), failingReader{failing})), err
			}
			return r, err
		}
		v, err := ccf.New(broken, ccf.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for done := false; !done && err == nil; {
			if done, err = v.Run(t.Context(), func() bool { return true }); err == nil {
				if saved, err = v.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
			if done {
				t.Error(name, "was not read")
			}
		}
		if !errors.Is(err, failing) || !strings.Contains(err.Error(), name) {
			t.Error(name, err)
		}
		again, err := ccf.New(source(files), ccf.Options{}, saved)
		if err != nil {
			t.Fatal(err)
		}
		if done, err := again.Run(t.Context(), never); !done || err != nil {
			t.Fatal(done, err)
		}
		if r := again.Report(); !r.Proven() || r.Signed != "2.53" {
			t.Errorf("%+v", r)
		}
	}
	short := source(files)
	short.Files[slices.IndexFunc(short.Files, func(f ccf.File) bool { return strings.HasSuffix(f.Name, open) })].Size += 50
	v, err := ccf.New(short, ccf.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Run(t.Context(), never); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Error(err)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
