package ccf_test

import (
	"fmt"
	"runtime"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// TestMemoryDoesNotGrowWithFiles verifies a ledger and a snapshot that are far larger than the memory they may take.
func TestMemoryDoesNotGrowWithFiles(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V5, 1)
	l.Transact(12 << 20)
	for i := range 200 {
		l.Transact(0, ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: make([]byte, 32<<10)})
		if i%50 == 0 {
			l.Sign()
		}
	}
	l.Close()
	l.Snapshot(12 << 20)
	l.Sign()
	files := l.Files()
	size := uint64(0)
	for _, f := range files {
		size += uint64(len(f.Content))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := verify(t, files, ccf.Options{})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; !r.Proven() || used > 6<<20 || size < 36<<20 {
		t.Errorf("%d bytes of files took %d bytes of memory, all in all: %+v", size, used, r)
	}
}
