package ledger_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// verify verifies to the end, each call as another process, and returns the number of calls.
func verify(t *testing.T, w *wire, a backup.Attempt, part int64) (v backup.Verification, calls int, err error) {
	t.Helper()
	for !v.Done && err == nil && calls < 1000 {
		p := w.provider()
		p.HashPart = part
		v, err = p.Hash(t.Context(), a, v.Hashing)
		if calls++; len(v.Hashing.State) > 22<<10 {
			t.Fatalf("a state of %d bytes", len(v.Hashing.State))
		}
	}
	return v, calls, err
}

// digest computes the SHA-256 of the list of the named files of a share.
func (s stored) digest(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256([]byte(s.files[name].content)), name)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

var names = []string{
	"ledger/ledger_1-10.committed", "ledger/ledger_11-20.committed", "snapshots/old/notes", "snapshots/snapshot_20_21.committed",
}

func TestVerify(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	want, size := w.shares[share].digest(names...), int64(0)
	for _, f := range small() {
		size += int64(len(f.Content))
	}
	facts := []backup.Fact{
		{Name: "lastTransaction", Value: "2.20"},
		{Name: "lastSignedTransaction", Value: "2.20"},
		{Name: "root", Value: "ROOT"},
		{Name: "signedAt", Value: "2025-01-01T00:00:03Z"},
		{Name: "serviceKeySha256", Value: "SERVICE"},
		{Name: "transactions", Value: "20"},
		{Name: "nodeSignatures", Value: "3"},
		{Name: "serviceSignatures", Value: "3"},
		{Name: "snapshot", Value: "snapshots/snapshot_20_21.committed"},
	}
	l := twenty()
	facts[2].Value, facts[4].Value = l.Root(), l.Service()
	for _, part := range []int64{1, size / 2, 1 << 30} {
		clear(w.fetched)
		v, calls, err := verify(t, w, attempt(), part)
		must(t, err)
		if v.SHA256 != want || v.Size != size || v.Hashing.Offset != size || !v.Modified.Equal(started.Add(3*time.Second)) || v.Note != "" ||
			len(v.Files) != 4 || v.Doubt.Code != "" {
			t.Errorf("in parts of %d: %+v", part, v)
		}
		if diff := cmp.Diff(facts, v.Facts); diff != "" {
			t.Error(diff)
		}
		// A step ends at each of the three signatures, and behind each of the four files.
		if most := int(size/part) + 2; calls > min(most, 7) {
			t.Errorf("in parts of %d: %d calls", part, calls)
		}
		for i, f := range v.Files {
			sum := sha256.Sum256([]byte(w.shares[share].files[names[i]].content))
			if f.Name != names[i] || f.SHA256 != hex.EncodeToString(sum[:]) || f.ETag == "" || f.Size != int64(len(w.shares[share].files[names[i]].content)) {
				t.Errorf("%+v", f)
			}
		}
		if n := w.bytes(); part == 1<<30 && n != int(size) {
			t.Errorf("%d of %d bytes were fetched", n, size)
		}
	}
	a := attempt()
	a.Target = plain
	v, _, err := verify(t, w, a, 1<<30)
	if err != nil || !strings.Contains(v.Note, "restores no ledger") || strings.Contains(v.Note, "snapshot") {
		t.Errorf("note %q, %v", v.Note, err)
	}
	w.torn(share, names[3])
	v, _, err = verify(t, w, attempt(), 1<<30)
	if err != nil || !strings.Contains(v.Note, "no snapshot") {
		t.Errorf("note %q, %v", v.Note, err)
	}
}

// bytes is the number of bytes that were fetched.
func (w *wire) bytes() (n int) {
	for _, ranges := range w.fetched {
		for _, r := range ranges {
			n += r[1] + 1 - r[0]
		}
	}
	return n
}

// TestVerifyAgain reads an artifact again whose ledger was verified before: only its hash counts.
func TestVerifyAgain(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	v, _, err := verify(t, w, attempt(), 1<<30)
	must(t, err)
	changed := w.shares[share].files[names[1]]
	changed.content = changed.content[:300] + "?" + changed.content[301:]
	w.shares[share].files[names[1]] = changed
	a := attempt()
	_, _, err = verify(t, w, a, 1<<30)
	fault{kind: backup.Refused, code: "LedgerNotProven", message: names[1], hint: "again"}.check(t, err)
	a.SHA256 = v.SHA256
	again, calls, err := verify(t, w, a, 1)
	must(t, err)
	if again.SHA256 == v.SHA256 || again.SHA256 != w.shares[share].digest(names...) || calls != 4 || again.Facts != nil {
		t.Errorf("%+v in %d calls", again, calls)
	}
}

// TestVerifyOfManyFiles checks that Verify keeps no list of too many files, but hashes them all.
func TestVerifyOfManyFiles(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V7, 1)
	for len(l.Files()) < 400 {
		l.Transact(10)
		l.Close()
	}
	l.Snapshot(1)
	l.Sign()
	all := l.Files()
	all = slices.Delete(all, len(all)-2, len(all)-1)
	snapshot := all[len(all)-1]
	for _, files := range []int{300, 301, 401} {
		w := newWire()
		some, order := slices.Clone(all[:files]), []string{}
		if files < 401 {
			some[files-1] = ccfwriter.File{Name: "ledger/readme", Content: []byte("read me")}
		}
		w.put(share, started, some)
		for _, f := range some {
			order = append(order, f.Name)
		}
		size := 0
		for _, f := range some {
			size += len(f.Content)
		}
		v, calls, err := verify(t, w, attempt(), 20_000)
		must(t, err)
		if listed := len(v.Files) == files; listed != (files <= 300) || strings.Contains(v.Note, "but not the list") == listed || calls < 5 {
			t.Errorf("%d files: %d listed, note %q", files, len(v.Files), v.Note)
		}
		byName := slices.Sorted(slices.Values(order))
		long, short := w.shares[share].digest(order...), w.shares[share].digest(byName...)
		if files <= 300 {
			long = short
		}
		if v.SHA256 != long {
			t.Errorf("%d files: %s, want %s", files, v.SHA256, long)
		}
		// An older version hashed the list in the order of the names.
		for _, before := range []string{long, short} {
			a := attempt()
			a.SHA256 = before
			if v, _, err := verify(t, w, a, 20_000); err != nil || v.SHA256 != before {
				t.Errorf("%d files, again: %s, want %s, %v", files, v.SHA256, before, err)
			}
		}
		if again := w.bytes(); again < size {
			t.Errorf("%d of %d bytes were fetched", again, size)
		}
	}
	if !strings.HasPrefix(snapshot.Name, "snapshots/") {
		t.Error(snapshot.Name)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		world func(w *wire)
		fault fault
	}{
		"missing":   {func(w *wire) { delete(w.shares, share) }, fault{kind: backup.Refused, code: "ArtifactMissing", message: "does not exist", hint: "again"}},
		"no files":  {func(w *wire) { w.shares[share] = stored{made: started} }, fault{kind: backup.Refused, code: "ArtifactEmpty", message: share, hint: "again"}},
		"a hole":    {func(w *wire) { w.torn(share, "ledger/ledger_1-10.committed") }, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "lacks the transactions 1 to 10", hint: "again"}},
		"too short": {func(w *wire) { w.torn(share, "ledger/ledger_11-20.committed") }, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "11 to 20, up to the snapshot", hint: "again"}},
		"no ledger": {func(w *wire) {
			w.shares[share] = stored{started, map[string]storedFile{"readme": {content: "hello", written: started, etag: "1"}}}
		}, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "all ledger files", hint: "again"}},
		"too old": {func(w *wire) {
			w.shares[share].files["more"] = storedFile{content: "x", written: started.Add(-6 * time.Second), etag: "9"}
		}, fault{kind: backup.Refused, code: "ArtifactTooOld", message: "2026-11-03T02:29:54Z", hint: "again"}},
		"a byte is another one": {func(w *wire) {
			f := w.shares[share].files[names[1]]
			f.content = f.content[:100] + "??" + f.content[102:]
			w.shares[share].files[names[1]] = f
		}, fault{kind: backup.Refused, code: "LedgerNotProven", message: "TransactionDamaged in ledger/ledger_11-20.committed at transaction 2.11: its bytes are not", hint: "docs/ledger.md"}},
		"still copied": {func(w *wire) {
			f := w.shares[share].files[names[1]]
			f.content = strings.Repeat("\x00", len(f.content))
			w.shares[share].files[names[1]] = f
		}, fault{kind: backup.Retryable, code: "StillBeingWritten", message: "CopyUnfinished in " + names[1], hint: "looks again", after: time.Minute}},
		"no key":  {func(w *wire) { w.replies[keys] = refuses(403, "AuthorizationFailed", "no") }, fault{kind: backup.Retryable, code: "AuthorizationFailed", hint: "Reader and Data Access"}},
		"no list": {func(w *wire) { w.replies[open] = storageError(403, "AuthenticationFailed") }, fault{kind: backup.Retryable, code: "AuthenticationFailed", hint: "rotated"}},
		"no read": {func(w *wire) { w.replies[read] = answers(503, "") }, fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again"}},
		"cut off": {func(w *wire) { w.replies[read] = cut }, fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.file"}},
		"deleted": {func(w *wire) { w.replies[read] = storageError(404, "ShareNotFound") }, fault{kind: backup.Refused, code: "ArtifactMissing", message: "while it was read", hint: "again"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.backUp(share, started)
			test.world(w)
			_, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
			test.fault.check(t, err)
		})
	}
	a := attempt()
	a.Artifact = run + ".1"
	_, err := newWire().provider().Hash(t.Context(), a, backup.Hashing{})
	fault{kind: backup.Refused, code: "NotAnArtifact", hint: "again"}.check(t, err)
}

// TestVerifyOfAShareThatChanges checks that Verify starts again after a change.
func TestVerifyOfAShareThatChanges(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	p := w.provider()
	p.HashPart = 1
	v, err := p.Hash(t.Context(), attempt(), backup.Hashing{})
	must(t, err)
	before := w.shares[share].files[names[0]]
	w.shares[share].files[names[0]] = storedFile{content: before.content, written: started.Add(time.Minute), etag: "8"}
	next, err := p.Hash(t.Context(), attempt(), v.Hashing)
	must(t, err)
	if v.Hashing.Offset < 1 || next.Hashing.Offset != v.Hashing.Offset || next.Hashing.ETag == v.Hashing.ETag {
		t.Errorf("%+v, then %+v", v, next)
	}
	for name, reply := range map[string]reply{
		"another file": answers(206, "ONE TO TEN", `Etag: "other"`),
		"shorter":      storageError(416, "InvalidRange"),
		"deleted":      storageError(404, "ResourceNotFound"),
	} {
		w.replies[read] = reply
		if v, err := w.provider().Hash(t.Context(), attempt(), next.Hashing); err != nil || v.Done || v.Hashing.ETag != "" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	// The part whose stream is cut is read again, and nothing else.
	w.replies[read] = func(r *http.Request) (*http.Response, error) {
		answer, err := w.files(r)
		answer.Body = io.NopCloser(io.MultiReader(strings.NewReader("ONE"), failing{}))
		return answer, err
	}
	_, err = w.provider().Hash(t.Context(), attempt(), next.Hashing)
	fault{kind: backup.Retryable, code: "Unreachable", message: "3 bytes came instead of", hint: "asks again"}.check(t, err)
	delete(w.replies, read)
	clear(w.fetched)
	if v, err = w.provider().Hash(t.Context(), attempt(), next.Hashing); err != nil || !v.Done {
		t.Errorf("%+v, %v", v, err)
	}
	if n := len(w.fetched[names[1]]); n != 1 {
		t.Errorf("the second file was fetched in %d parts", n)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("reset by peer") }

// TestDoubts holds a good ledger against the backup before it, and against the certificate in the plan.
func TestDoubts(t *testing.T) {
	l := twenty()
	recovered := func(form ccfwriter.Form, named bool) *ccfwriter.Ledger {
		l := twenty()
		if named {
			l.Recover(form)
		} else {
			l.RecoverUnnamed(form)
		}
		l.Open()
		l.Close()
		return l
	}
	later := func(form ccfwriter.Form, named bool) []ccfwriter.File { return recovered(form, named).Files() }
	again := recovered(ccfwriter.V5, false)
	other := ccfwriter.New(ccfwriter.V6, 9)
	fact := func(signed, root string) []backup.Fact {
		return []backup.Fact{{Name: "lastSignedTransaction", Value: signed}, {Name: "root", Value: root}}
	}
	for name, test := range map[string]struct {
		earlier []backup.Fact
		pin     string
		code    string
		words   []string
		files   []ccfwriter.File
	}{
		"it was recovered": {earlier: fact("2.20", l.Root()), files: later(ccfwriter.V6, true)},
		"it was recovered, and the service names none before it": {
			earlier: fact("2.20", l.Root()), files: later(ccfwriter.V5, false), code: "LedgerNotContinued", words: []string{"2.20", "recovered at 4.21", "before-1"},
		},
		"it was recovered so before": {earlier: fact(again.SignedID(), again.Root()), files: again.Files()},
		"the first":                  {},
		"the same":                   {earlier: fact("2.20", l.Root())},
		"an older one":               {earlier: fact("2.22", l.Root()), code: "LedgerNotContinued", words: []string{"2.20", "does not contain", "2.22", "before-1"}},
		"another":                    {earlier: fact("2.20", other.Root()), code: "LedgerNotContinued", words: []string{"2.20", "another history", "before-1"}},
		"its certificate":            {pin: l.Certificate()},
		"its key":                    {pin: strings.ToUpper(l.Service())},
		"another key":                {pin: other.Service(), code: "ServiceIdentityDiffers", words: []string{l.Service(), other.Service()}},
		"another certificate, and an older one": {
			earlier: fact("2.22", l.Root()), pin: other.Certificate(), code: "ServiceIdentityDiffers", words: []string{other.Service()},
		},
	} {
		w := newWire()
		w.put(share, started, small())
		if test.files != nil {
			w.put(share, started, test.files)
		}
		for _, part := range []int64{1, 1 << 30} {
			a := attempt()
			a.Earlier, a.EarlierID = test.earlier, "before-1"
			if test.pin != "" {
				a.Blocks = with(block{ServiceCertificate: test.pin})
			}
			v, _, err := verify(t, w, a, part)
			must(t, err)
			if v.Doubt.Code != test.code || (v.Doubt.Hint == "") != (test.code == "") {
				t.Errorf("%s: %+v", name, v.Doubt)
			}
			for _, word := range test.words {
				if !strings.Contains(v.Doubt.Message, word) {
					t.Errorf("%s: %q lacks %q", name, v.Doubt.Message, word)
				}
			}
		}
	}
}
