package config_test

import (
	"strings"
	"testing"
)

// TestVault: a plan may say that its storage is a vault, by itself or in the defaults; then each of its targets and destinations must be able
// to write there by a role that only adds.
func TestVault(t *testing.T) {
	const apim, hsm, ledger = "Microsoft.ApiManagement/service/", "Microsoft.KeyVault/managedHSMs/", "Microsoft.ConfidentialLedger/ledgers/"
	for name, c := range map[string]struct {
		container     string
		targets, into []string
		more          string
		vault         bool
		want          []string
	}{
		"API Management": {container: "copies\n    vault: true", targets: []string{apim + "contoso"}, into: []string{apim + "standby"}, vault: true},
		"no vault":       {container: "copies\n    vault: false", targets: []string{apim + "contoso", hsm + "fort", ledger + "book"}},
		"a text":         {container: "copies\n    vault: perhaps", targets: []string{apim + "contoso"}, want: []string{"plan.yaml:6: ", "must be true or false"}},
		"an HSM": {
			container: "copies\n    vault: true", targets: []string{apim + "contoso", hsm + "fort"},
			want: []string{"plan.yaml:13: storage.vault: a Managed HSM cannot be backed up into a vault, which is for API Management alone"},
		},
		"a ledger": {
			container: "copies\n    vault: true", targets: []string{ledger + "book"},
			want: []string{"plan.yaml:12: storage.vault: a Confidential Ledger cannot be backed up into a vault"},
		},
		"the account's key": {
			container: "copies\n    vault: true", targets: []string{apim + "contoso"}, more: "    identity: accessKey\n",
			want: []string{"plan.yaml:12: storage.vault: ", "/contoso writes its backups with the account's key, and a vault admits none: change identity"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plans, _, err := reader.Parse("plan.yaml", []byte(templated(c.container, c.targets, c.into)+c.more))
			if len(c.want) == 0 {
				if err != nil || plans[0].Settings.Storage.Vault != c.vault || plans[0].Settings.For(plans[0].Targets[0]).Storage.Vault != c.vault {
					t.Errorf("%+v, %v", plans, err)
				}
				return
			}
			for _, words := range c.want {
				if err == nil || !strings.Contains(err.Error(), words) || strings.Count(err.Error(), "plan.yaml:") != 1 {
					t.Errorf("%v lacks %q", err, words)
				}
			}
		})
	}
}
