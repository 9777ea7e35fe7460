package ledger

import (
	"testing"

	"lifeboat/internal/azure"
)

// TestChain reads the names of files as CCF gives them.
func TestChain(t *testing.T) {
	for name, test := range map[string]struct {
		files     []string
		end, snap int64
		hole      string
	}{
		"whole":               {[]string{"ledger_1-10.committed", "ledger_11-20.committed", "snapshot_20_22.committed"}, 20, 20, ""},
		"in any order":        {[]string{"b/ledger_11-20.committed", "a/ledger_1-10.committed"}, 20, 0, ""},
		"an old snapshot":     {[]string{"ledger_1-30.committed", "snapshot_10_12.committed_14", "snapshot_20_22.committed"}, 30, 20, ""},
		"twice":               {[]string{"1/ledger_1-10.committed", "2/ledger_1-10.committed", "ledger_11-12.committed"}, 12, 0, ""},
		"the first is gone":   {[]string{"ledger_11-20.committed"}, 0, 0, "the transactions 1 to 10"},
		"a hole":              {[]string{"ledger_1-10.committed", "ledger_12-20.committed"}, 10, 0, "the transactions 11 to 11"},
		"short of a snapshot": {[]string{"ledger_1-10.committed", "snapshot_15_17.committed"}, 10, 15, "the transactions 11 to 15, up to the snapshot"},
		"not committed":       {[]string{"ledger_1-10.committed", "ledger_11-20", "ledger_11", "snapshot_20_22"}, 10, 0, ""},
		"nothing":             {[]string{"service_cert.pem"}, 0, 0, "all ledger files"},
		"none at all":         {nil, 0, 0, "all ledger files"},
		"other names":         {[]string{"xledger_1-10.committed", "ledger_1-10.committed.ignored"}, 0, 0, "all ledger files"},
	} {
		var files []azure.File
		for _, f := range test.files {
			files = append(files, azure.File{Name: f, Size: 1})
		}
		if c := chainOf(files); c.end != test.end || c.snapshot != test.snap && test.hole == "" || c.hole != test.hole {
			t.Errorf("%s: %+v, want %+v", name, c, test)
		}
	}
	if c := chainOf([]azure.File{{Name: "ledger_1-10.committed"}}); c.hole == "" {
		t.Error("an empty ledger file counts")
	}
}

func TestNamesOfShares(t *testing.T) {
	for _, test := range []struct {
		name, share string
		is          bool
	}{
		{"Contoso", "contoso-20261103023000", true},
		{"contoso", "contoso-2026-11-03-02-30-00", true},
		{"contoso", "contoso-2026-11-03t02-30-00z", true},
		{"contoso", "contoso-20261103-20110312", true},
		{"contoso", "contoso-03-11-2026", true},
		{"contoso", "contoso-1793673000", true},
		{"contoso", "contoso-1793673000123", true},
		{"contoso-2", "contoso-2-1793673000123", true},
		{"contoso", "contoso-2-1793673000123", false},
		{"contoso", "contoso-2-20261103023000", false},
		{"contoso", "contoso-prod-2026-11-03-02-30-00", false},
		{"contoso", "contoso-20-1793673000", false},
		{"contoso", "contoso-", false},
		{"contoso", "contoso", false},
		{"contoso", "contoso-backups", false},
		{"contoso", "contosox-20261103023000", false},
		{"contoso", "contoso-2026/..", false},
		{"contoso", "", false},
	} {
		if is := isShare(test.name, test.share); is != test.is {
			t.Errorf("%s is of %s: %v", test.share, test.name, is)
		}
	}
}
