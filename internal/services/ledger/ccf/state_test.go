package ccf_test

import (
	"fmt"
	"strings"
	"testing"

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
