package diff_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/diff"
)

// TestContainers: a name with {name} in place of another one changes where backups go, unless it stands for the same containers.
func TestContainers(t *testing.T) {
	const (
		one     = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/One"
		two     = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/two"
		account = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/copies"
	)
	for name, c := range map[string]struct {
		was, is string
		targets []string
		want    string
	}{
		"from one to one for each": {"apim-one", "apim-{name}", []string{one, two}, "copies/apim-{name}, for runs from now on: recovery points stay where they are"},
		"and back":                 {"apim-{name}", "apim-one", []string{one, two}, "copies/apim-one, for runs from now on: recovery points stay where they are"},
		"another name for each":    {"apim-{name}", "a-{name}", []string{one}, "copies/a-{name}, for runs from now on: recovery points stay where they are"},
		"the same, in other words": {"apim-one", "apim-{name}", []string{one}, "copies/apim-{name}: that is the same container for each target"},
		"nothing":                  {"apim-{name}", "apim-{name}", []string{one, two}, ""},
	} {
		plan := func(container string) []backup.Plan {
			p := backup.Plan{Name: "p", Targets: c.targets}
			p.Schedule.Zone = time.UTC
			p.Settings.Storage = backup.Storage{Account: account, Container: container}
			return []backup.Plan{p}
		}
		got := strings.Join(diff.Edit{Old: plan(c.was), New: plan(c.is)}.Lines(diff.Basis{}), "\n")
		if !strings.HasSuffix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s:\n%s\nwant %s", name, got, c.want)
		}
	}
}

// TestVaults: a storage that becomes a vault, or is none any more, is one line, and no move of its backups.
func TestVaults(t *testing.T) {
	const account = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/copies"
	plan := func(vault bool) []backup.Plan {
		p := backup.Plan{Name: "p"}
		p.Schedule.Zone = time.UTC
		p.Settings.Storage = backup.Storage{Account: account, Container: "c", Vault: vault}
		return []backup.Plan{p}
	}
	for vault, want := range map[bool]string{true: "storage is a vault: ", false: "storage is no vault: "} {
		got := strings.Join(diff.Edit{Old: plan(!vault), New: plan(vault)}.Lines(diff.Basis{}), "\n")
		if !strings.Contains(got, want) || strings.Contains(got, "becomes") || len(diff.Edit{Old: plan(vault), New: plan(vault)}.Lines(diff.Basis{})) != 0 {
			t.Errorf("%v: %s", vault, got)
		}
	}
}
