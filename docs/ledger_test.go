package docs_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestLedgerCodes compares the codes of findings in docs/ledger.md with the code.
func TestLedgerCodes(t *testing.T) {
	want := map[string]bool{}
	for _, file := range []string{"ccf/report.go", "recorded.go"} {
		source, err := os.ReadFile("../internal/services/ledger/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Code += "(\w+)"`).FindAllSubmatch(source, -1) {
			want[string(m[1])] = true
		}
	}
	got := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\|").FindAllStringSubmatch(page(t, "ledger.md"), -1) {
		got[m[1]] = true
	}
	if a, b := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); len(a) < 20 || !slices.Equal(a, b) {
		t.Errorf("the code has %q, and the page %q", a, b)
	}
}
