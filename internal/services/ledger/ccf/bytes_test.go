package ccf_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// small is a ledger of few bytes: a committed file, an open one, and a snapshot.
func small() []ccfwriter.File {
	l := ccfwriter.New(ccfwriter.V7, 5)
	l.Transact(3, ccfwriter.Write{Table: "public:r", Key: "k", Value: []byte("v")})
	l.Close()
	l.Snapshot(3)
	l.Sign()
	return l.Files()
}

// TestEveryByteCounts changes each byte of a ledger and its snapshot. The certificates and signatures in the committed file take the
// time of a signature each: make test changes a third of their bytes, and make soak all. The last entry alone can change without a finding, but for the
// signature in it and the tree: the next signature would be the first to cover the rest.
func TestEveryByteCounts(t *testing.T) {
	files := small()
	last := func(name string, at int) bool {
		d := &damaged{files}
		from, _ := d.entry("ledger_5", 1)
		return strings.HasSuffix(name, "ledger_5") && at >= from
	}
	silent, few := 0, os.Getenv("LIFEBOAT_LEDGERS") == ""
	for i, f := range files {
		for at, b := range f.Content {
			if few && i == 0 && at%3 > 0 && b >= '+' && b <= 'z' { // a letter of base64
				continue
			}
			changed, finding := slices.Clone(files[:2]), ""
			if i == 2 {
				changed, finding = slices.Clone(files[2:]), "error SnapshotWrong snapshot_4_5.committed"
			}
			changed[i%2].Content = bytes.Clone(f.Content)
			changed[i%2].Content[at] ^= 1
			if all := found(verify(t, changed, ccf.Options{})); len(all) > 0 && (finding == "" || slices.Contains(all, finding)) {
				continue
			}
			if silent++; !last(f.Name, at) {
				t.Errorf("%s: byte %d can change without a finding", f.Name, at)
			}
		}
	}
	// The GCM tag, both digests, the unused number, and the two numbers at the beginning of each table.
	if want := 1 + 16 + 2*32 + 8 + 2*(8+8); silent > want {
		t.Errorf("%d bytes of the last entry can change without a finding, more than %d", silent, want)
	}
}
