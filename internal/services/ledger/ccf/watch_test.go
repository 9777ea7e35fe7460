package ccf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/services/ledger/ccf"
)

// TestWatch compares what a watcher sees of a ledger, and of damaged ones, with its transactions. The signature before a gap, and the transactions
// behind it, are in the tree of a signature that is missing.
func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name           string
		damage         func(*damaged)
		seen, settled  int
		first, damaged []uint64 // where the first range begins, and all damaged transactions
	}{
		{"whole", func(*damaged) {}, 53, 52, []uint64{1}, nil},
		{"a damaged one", func(d *damaged) { d.flip(third, 2, 8) }, 53, 51, []uint64{1}, []uint64{15}},
		{"one that cannot be read", func(d *damaged) { d.flip(third, 2, 2) }, 52, 51, []uint64{1}, []uint64{15}},
		{"a gap", func(d *damaged) { d.remove(third) }, 45, 43, []uint64{1}, nil},
		{"a gap, and a damaged signature behind it", func(d *damaged) {
			d.remove(third)
			d.flipIn("ledger_21-28", 5, "internal.signatures", 0)
			d.flipIn("ledger_21-28", 5, "internal.cose", 0)
		}, 45, 37, []uint64{1}, []uint64{26}},
		{"the rest of a cut file", func(d *damaged) { _, to := d.entry(third, 5); d.cut(third, to) }, 51, 49, []uint64{1}, nil},
		{"no beginning", func(d *damaged) { d.remove("ledger_1-4", shot) }, 49, 48, []uint64{5}, nil},
	} {
		d := base()
		c.damage(d)
		seen, settled := 0, map[uint64]bool{}
		var first, damaged []uint64
		watched(t, d.files, ccf.Watcher{
			Seen: func(tx *ccf.Transaction) {
				seen++
				if tx.ID != fmt.Sprintf("2.%d", tx.Seqno) || tx.Size < 44 || !strings.HasPrefix(tx.File, "ledger/ledger_") {
					t.Errorf("%s: %+v", c.name, tx)
				}
			},
			Settled: func(s ccf.Settled) {
				if first == nil {
					first = []uint64{s.From}
				}
				for n := s.From; n <= s.To; n++ {
					settled[n] = !slices.Contains(s.Damaged, n)
				}
				damaged = append(damaged, s.Damaged...)
			},
		})
		for n, ok := range settled {
			if !ok {
				delete(settled, n)
			}
		}
		if seen != c.seen || len(settled) != c.settled || !cmp.Equal(first, c.first) || !slices.Equal(damaged, c.damaged) {
			t.Errorf("%s: %d seen, %d settled, from %d, damaged %d", c.name, seen, len(settled), first, damaged)
		}
	}
}

// TestTransactionHasItsWrites looks at one transaction.
func TestTransactionHasItsWrites(t *testing.T) {
	var got []string
	watched(t, whole(), ccf.Watcher{Seen: func(tx *ccf.Transaction) {
		if tx.Seqno != 6 {
			return
		}
		got = append(got, fmt.Sprintf("%s %s %d", tx.ID, tx.File, tx.Private))
		if err := tx.Writes(func(w ccf.Write) { got = append(got, fmt.Sprintf("%s %s %s %v", w.Table, w.Key, w.Value, w.Removed)) }); err != nil {
			t.Error(err)
		}
	}})
	if want := []string{"2.6 ledger/ledger_5-12.committed 20", "public:records 1 value 5 false"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
