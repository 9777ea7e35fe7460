package ledger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// long puts a ledger of about that many bytes into a share on the wire, in files of 5 MB on the disk, and returns their size.
func (w *wire) long(t *testing.T, bytes int) (l *ccfwriter.Ledger, size int) {
	t.Helper()
	folder := t.TempDir()
	w.shares[share] = stored{started, map[string]storedFile{}}
	keep := func(f ccfwriter.File) {
		disk := filepath.Join(folder, fmt.Sprint(len(w.shares[share].files)))
		must(t, os.WriteFile(disk, f.Content, 0o600))
		w.shares[share].files[f.Name] = storedFile{written: started, etag: fmt.Sprint(len(w.shares[share].files)), disk: disk, size: len(f.Content)}
		size += len(f.Content)
	}
	l = ccfwriter.New(ccfwriter.V6, 5)
	l.Open()
	for size < bytes {
		for range 5 {
			l.Transact(1000_000)
			l.Sign()
		}
		l.Close()
		for _, f := range l.Take() {
			keep(f)
		}
	}
	l.Snapshot(1000)
	l.Sign()
	for _, f := range l.Files() {
		keep(f)
	}
	return l, size
}

// TestLongLedgerIsReadOnce: one step fetches each byte of files that are larger than its requests once.
func TestLongLedgerIsReadOnce(t *testing.T) {
	w := newWire()
	l, size := w.long(t, 12_000_000)
	v, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
	if err != nil || !v.Done || backup.FactOf(v.Facts, "root") != l.Root() || w.bytes() != size {
		t.Errorf("%d of %d bytes were fetched: %+v, %v", w.bytes(), size, v, err)
	}
}

// TestLongLedgerInSteps verifies a ledger in steps, each in another process, and counts the bytes that are read. It has 64 MB, and in
// "make soak" as many as LIFEBOAT_LEDGER_MB says.
func TestLongLedgerInSteps(t *testing.T) {
	megabytes, part := 64, int64(7<<20)
	if set, err := strconv.Atoi(os.Getenv("LIFEBOAT_LEDGER_MB")); err == nil {
		megabytes, part = set, 1<<30
	}
	w := newWire()
	l, size := w.long(t, megabytes*1000_000)
	runtime.GC()
	w.measured = true
	var v backup.Verification
	steps, slowest := 0, time.Duration(0)
	for !v.Done {
		p := w.provider()
		p.HashPart = part
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second) // the engine's
		began, before := time.Now(), w.bytes()
		next, err := p.Hash(ctx, attempt(), v.Hashing)
		cancel()
		must(t, err)
		// It ends at the next signature after its part; until then it fetches up to one more piece of 4 MiB.
		if n := int64(w.bytes() - before); n > part+8<<20 || next.Hashing.Offset <= v.Hashing.Offset {
			t.Fatalf("a step read %d bytes, from %d on to %d", n, v.Hashing.Offset, next.Hashing.Offset)
		}
		v, steps, slowest = next, steps+1, max(slowest, time.Since(began))
	}
	if backup.FactOf(v.Facts, "root") != l.Root() || backup.FactOf(v.Facts, "lastSignedTransaction") != l.SignedID() || v.Hashing.Offset != int64(size) {
		t.Errorf("%+v", v)
	}
	again := 0
	for name, ranges := range w.fetched {
		slices.SortFunc(ranges, func(a, b [2]int) int { return a[0] - b[0] })
		end := 0
		for _, r := range ranges {
			if r[0] > end {
				t.Fatalf("the bytes %d to %d of %s were not read", end, r[0]-1, name)
			}
			again += max(0, min(end, r[1]+1)-r[0])
			end = max(end, r[1]+1)
		}
		if end != w.shares[share].files[name].length() {
			t.Errorf("%s was read up to %d", name, end)
		}
	}
	t.Logf("%d bytes in %d steps, the slowest %s, %d bytes read again, %d bytes of heap", size, steps, slowest, again, w.heap)
	// Each new process reads the piece again in which the one before has ended, the start of that file, and the newest snapshot.
	if snapshot := 8 << 10; again > (steps-1)*(4<<20+512<<10+snapshot) || steps < 4 {
		t.Errorf("%d bytes were read again in %d steps", again, steps)
	}
	if slowest > 2*time.Minute || w.heap > 64<<20 {
		t.Errorf("the slowest step took %s, and the heap had %d bytes", slowest, w.heap)
	}
}
