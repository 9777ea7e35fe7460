package config_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestTwoTargetsNeverShareANameOfArtifacts checks that such plans are refused: Azure names the backup of an HSM or a ledger after
// the service's name alone.
func TestTwoTargetsNeverShareANameOfArtifacts(t *testing.T) {
	const (
		ccf, ledger, hsm = "Microsoft.ConfidentialLedger/managedCCFs/", "Microsoft.ConfidentialLedger/ledgers/", "Microsoft.KeyVault/managedHSMs/"
		apim             = "Microsoft.ApiManagement/service/"
		one, two         = "contosobackups, container: box-a", "contosobackups, container: box-b"
		elsewhere        = "otherbackups, container: box-a"
	)
	// Each target has a plan of its own, in a resource group of its own.
	parse := func(groups [2]string, targets, stores [2]string) error {
		text := "version: 1\nplans:\n"
		for i := range targets {
			text += fmt.Sprintf(`  - name: p%d
    targets: [/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/%s/providers/%s]
    schedule: "0 1 * * *"
    keep: {within: 20d}
    storage: {account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/%s}
`, i, groups[i], targets[i], stores[i])
		}
		_, _, err := reader.Parse("plan.yaml", []byte(text))
		return err
	}
	apart := [2]string{"g1", "g2"}
	for _, c := range []struct {
		name    string
		groups  [2]string
		targets [2]string
		stores  [2]string
		refused bool
	}{
		{"a ledger and a Managed CCF of one name", apart, [2]string{ledger + "contoso", ccf + "Contoso"}, [2]string{one, one}, true},
		{"in two containers: shares are the account's", apart, [2]string{ledger + "contoso", ccf + "contoso"}, [2]string{one, two}, true},
		{"in two accounts", apart, [2]string{ledger + "contoso", ccf + "contoso"}, [2]string{one, elsewhere}, false},
		{"two names", apart, [2]string{ledger + "contoso", ccf + "contoso-2"}, [2]string{one, one}, false},
		{"a name and the same with a date", apart, [2]string{ledger + "contoso", ccf + "contoso-20260131"}, [2]string{one, one}, true},
		{"the date first, with dashes", apart, [2]string{ccf + "contoso-2026-01-31-b", ledger + "contoso"}, [2]string{one, one}, true},
		{"dates of two names", apart, [2]string{ccf + "contoso-20260131", ledger + "contoso-20260201"}, [2]string{one, one}, false},
		{"one ledger in two groups: it was moved", apart, [2]string{ledger + "contoso", ledger + "contoso"}, [2]string{one, one}, true},
		{"one ledger in two plans", [2]string{"g1", "G1"}, [2]string{ledger + "contoso", strings.ToLower(ledger) + "Contoso"}, [2]string{one, one}, false},
		{"an HSM in two groups", apart, [2]string{hsm + "contoso", hsm + "Contoso"}, [2]string{one, one}, true},
		{"folders are the container's", apart, [2]string{hsm + "contoso", hsm + "contoso"}, [2]string{one, two}, false},
		{"an HSM and one with a date: its folder tells", apart, [2]string{hsm + "contoso", hsm + "contoso-20260131"}, [2]string{one, one}, false},
		{"an HSM and a ledger of one name", apart, [2]string{hsm + "contoso", ledger + "contoso"}, [2]string{one, one}, false},
		{"API Management: each blob has the name of its run", apart, [2]string{apim + "contoso", apim + "contoso"}, [2]string{one, one}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := parse(c.groups, c.targets, c.stores)
			if (err != nil) != c.refused {
				t.Fatalf("%v, want refused: %t", err, c.refused)
			}
			if err != nil && (strings.Count(err.Error(), "could get the same name") != 1 || !strings.HasPrefix(err.Error(), "plan.yaml:") ||
				!strings.Contains(err.Error(), "(line ")) {
				t.Errorf("%v", err)
			}
		})
	}
}
