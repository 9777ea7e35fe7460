package ccf_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// TestASnapshotOfAnotherState has a valid receipt, and tables that are not in the ledger. The finding cuts none of their names.
func TestASnapshotOfAnotherState(t *testing.T) {
	for tables := 1; tables < 12; tables++ {
		l := ccfwriter.New(ccfwriter.V6, 5)
		l.Open()
		table := func(n int) string { return fmt.Sprintf("public:records.of.the.%dth.table", n) }
		for n := range tables {
			l.Pretend(ccfwriter.Write{Table: table(n + 10), Key: "key", Value: []byte("value")})
		}
		l.Snapshot(0)
		l.Sign()
		r := verify(t, l.Files(), ccf.Options{})
		if len(r.Errors) != 1 || r.Errors[0].Code != ccf.SnapshotWrong || len(r.Snapshots) != 1 || !r.Snapshots[0].Wrong {
			t.Fatalf("%+v", r)
		}
		text, told := r.Errors[0].Text, 0
		for n := range tables {
			if strings.Contains(text, table(n+10)) {
				told++
			}
		}
		rest := strings.HasSuffix(text, fmt.Sprintf(" and %d more", tables-told))
		if told == 0 || rest != (told < tables) || strings.Contains(text, "…") || strings.Count(text, "public:") != told {
			t.Errorf("%d tables: %s", tables, text)
		}
	}
}

// TestASnapshotWithAKeyTwice has one key ten thousand times, as only a file that was changed has it.
func TestASnapshotWithAKeyTwice(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V6, 5)
	l.Open()
	l.Snapshot(0)
	l.Sign()
	files := l.Files()
	shot := &files[slices.IndexFunc(files, func(f ccfwriter.File) bool { return strings.Contains(f.Name, "snapshot_") })]
	number := binary.LittleEndian.AppendUint64
	row := number(append(number(nil, 1), "k\x00\x00\x00\x00\x00\x00\x00"...), 8)
	rows := bytes.Repeat(number(row, 1), 10_000)
	table := append(number(number(append(number(nil, 1), 't'), 1), uint64(len(rows))), rows...)
	const sizeAt, publicAt = 0, 8 + 28
	c := bytes.Clone(shot.Content)
	header, public := binary.LittleEndian.Uint64(c[sizeAt:]), binary.LittleEndian.Uint64(c[publicAt:])
	binary.LittleEndian.PutUint64(c[sizeAt:], header+uint64(len(table))<<16)
	binary.LittleEndian.PutUint64(c[publicAt:], public+uint64(len(table)))
	shot.Content = slices.Insert(c, publicAt+8+int(public), table...)
	r := verify(t, files, ccf.Options{})
	if len(r.Errors) != 1 || r.Errors[0].Code != ccf.SnapshotWrong || !strings.Contains(r.Errors[0].Text, "its table t is not that of the ledger; its receipt: it is for other bytes") {
		t.Errorf("%+v", r)
	}
}

// TestManyKeysWithoutTransactions has a snapshot that names itself for each of many keys. No service writes one, and nothing is called wrong.
func TestManyKeysWithoutTransactions(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V7, 5)
	l.Open()
	for i := range 4200 {
		l.Transact(0, ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: []byte("value")})
	}
	l.Close()
	l.Undate()
	l.Snapshot(0)
	l.Sign()
	r := verify(t, l.Files(), ccf.Options{})
	if got := found(r); !r.Proven() || len(got) != 1 || !strings.HasPrefix(got[0], "note StateNotHeld") {
		t.Errorf("%v, %+v", got, r)
	}
}

// TestFewKeysAndMany compares the keys of a snapshot in both ways, in one step and in many. The last write of a key counts: for few keys
// whatever transaction the snapshot says it was.
func TestFewKeysAndMany(t *testing.T) {
	const table = "public:records"
	for _, c := range []struct {
		name    string
		keys    int
		pretend ccfwriter.Write
		proven  bool
	}{
		{"few", 40, ccfwriter.Write{}, true},
		{"few, one by another transaction", 40, ccfwriter.Write{Key: "7", Value: []byte("7 new")}, true},
		{"few, one with its former value", 40, ccfwriter.Write{Key: "7", Value: []byte("7")}, false},
		{"few, one that was removed", 40, ccfwriter.Write{Key: "removed", Value: []byte("removed")}, false},
		{"many", 5000, ccfwriter.Write{}, true},
		{"many, one with its former value", 5000, ccfwriter.Write{Key: "7", Value: []byte("7")}, false},
		{"many, one that was removed", 5000, ccfwriter.Write{Key: "removed", Value: []byte("removed")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ccfwriter.New(ccfwriter.V7, 5)
			l.Open()
			for i := range c.keys {
				l.Transact(0, ccfwriter.Write{Table: table, Key: fmt.Sprint(i), Value: fmt.Append(nil, i)})
				if i%1000 == 9 {
					l.Sign()
				}
			}
			l.Transact(0, ccfwriter.Write{Table: table, Key: "7", Value: []byte("7 new")}, ccfwriter.Write{Table: table, Key: "removed", Value: []byte("removed")})
			l.Transact(0, ccfwriter.Write{Table: table, Key: "removed", Remove: true})
			l.Sign()
			if c.pretend.Table = table; c.pretend.Key != "" {
				l.Pretend(c.pretend)
			}
			l.Snapshot(0)
			l.Sign()
			r := verify(t, l.Files(), ccf.Options{})
			if r.Proven() != c.proven || !c.proven && (len(r.Errors) != 1 || r.Errors[0].Code != ccf.SnapshotWrong || !strings.HasSuffix(r.Errors[0].Text, ": "+table)) {
				t.Errorf("%+v", r)
			}
			if again, _ := resumed(t, l.Files(), ccf.Options{}, func(int) bool { return true }); !cmp.Equal(r, again) {
				t.Error(cmp.Diff(r, again))
			}
		})
	}
}
