package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkNext prints the next scheduled times of 8,000 targets, whose schedules come at the end of a year.
func BenchmarkNext(b *testing.B) {
	var plan strings.Builder
	plan.WriteString("version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/" +
		"resourceGroups/b/providers/Microsoft.Storage/storageAccounts/backups, container: backups}\nplans:\n")
	for p := range 8 {
		fmt.Fprintf(&plan, "  - {name: p%d, schedule: \"%d 23 31 12 *\", keep: {within: 30d}, targets: [\n", p, p)
		for t := range 1000 {
			fmt.Fprintf(&plan, "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/s%d,\n", p*1000+t)
		}
		plan.WriteString("]}\n")
	}
	path := filepath.Join(b.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(plan.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if code, out, errs := run("plan", "next", path); code != 0 || strings.Count(out, "-12-31 23:") != 3*8000 {
			b.Fatalf("%d %s", code, errs)
		}
	}
}
