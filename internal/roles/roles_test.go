package roles_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
	"lifeboat/internal/services"
)

const (
	subscription = "/subscriptions/0c0ffee0-0000-4000-8000-00000000000"
	account      = subscription + "9/resourceGroups/store/providers/Microsoft.Storage/storageAccounts/copies"
	gateway      = subscription + "1/resourceGroups/live/providers/Microsoft.ApiManagement/service/gateway"
	standby      = subscription + "2/resourceGroups/live/providers/Microsoft.ApiManagement/service/standby"
	vault        = subscription + "2/resourceGroups/live/providers/Microsoft.KeyVault/managedHSMs/vault"
	ledger       = subscription + "3/resourceGroups/live/providers/Microsoft.ConfidentialLedger/ledgers/book"
	ccf          = subscription + "3/resourceGroups/live/providers/Microsoft.ConfidentialLedger/managedCCFs/net"
)

func plan(blocks string, into []string, targets ...string) backup.Plan {
	return backup.Plan{
		Name: "p", Targets: targets, Restore: backup.RestorePolicy{Into: into},
		Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, Blocks: backup.Blocks(blocks)},
	}
}

// TestOf checks the roles of plans of each kind, and that each stands once.
func TestOf(t *testing.T) {
	const (
		apimBackup = "the app: Lifeboat API Management Backup on "
		contained  = "the app: Storage Blob Data Contributor on container copies/c"
		reader     = "the app: Reader on account copies (optional)"
		log        = "the app: Lifeboat Activity Log Reader on subscription 0c0ffee0-0000-4000-8000-00000000000"
	)
	for name, c := range map[string]struct {
		plans []backup.Plan
		want  []string
	}{
		"none": {},
		"an API Management": {[]backup.Plan{plan("", nil, gateway)}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway",
			"gateway, its own: Storage Blob Data Contributor on container copies/c",
		}},
		"the same in two plans, in other letters": {[]backup.Plan{plan("", nil, gateway), plan("", nil, strings.ToUpper(gateway))}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway",
			"gateway, its own: Storage Blob Data Contributor on container copies/c",
		}},
		"restores into another one": {[]backup.Plan{plan("", []string{standby}, gateway)}, []string{
			log + "1 (optional)", log + "2 (optional)", reader, contained, apimBackup + "gateway", apimBackup + "standby",
			"the app: Lifeboat API Management Restore on standby",
			"gateway, its own: Storage Blob Data Contributor on container copies/c",
			"standby, its own: Storage Blob Data Contributor on container copies/c",
		}},
		"restores into itself": {[]backup.Plan{plan("", []string{backup.Itself}, gateway)}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway", "the app: Lifeboat API Management Restore on gateway",
			"gateway, its own: Storage Blob Data Contributor on container copies/c",
		}},
		"by the account's key": {[]backup.Plan{plan(`{"identity":"accessKey"}`, nil, gateway)}, []string{
			log + "1 (optional)", reader, "the app: Reader and Data Access on account copies", contained, apimBackup + "gateway",
		}},
		"by a user-assigned identity": {[]backup.Plan{plan(`{"identity":"0c0ffee0-0000-4000-8000-0000000000AA"}`, nil, gateway)}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway",
			"gateway, 0c0ffee0-0000-4000-8000-0000000000AA: Storage Blob Data Contributor on container copies/c",
		}},
		"a Managed HSM": {[]backup.Plan{plan("", nil, vault)}, []string{
			reader, contained, "the app: Reader on vault (optional)",
			"vault, user-assigned: Storage Blob Data Contributor on container copies/c",
			"the app: Managed HSM Restore on vault, its own access control", "the app: Managed HSM Backup on vault, its own access control",
		}},
		"a Managed HSM by a SAS": {[]backup.Plan{plan(`{"hsm":{"access":"sas"}}`, nil, vault)}, []string{
			reader, "the app: Reader and Data Access on account copies", contained, "the app: Reader on vault (optional)",
			"the app: Managed HSM Restore on vault, its own access control", "the app: Managed HSM Backup on vault, its own access control",
		}},
		"a ledger, whose restore does not exist": {[]backup.Plan{plan("", []string{backup.Itself}, ledger)}, []string{
			"the app: Reader and Data Access on account copies", "the app: Storage Blob Data Contributor on container copies/lifeboat-manifests (optional)",
			"the app: Lifeboat Ledger Backup on book",
		}},
		"a Managed CCF, which a restore makes anew": {[]backup.Plan{plan("", []string{backup.Itself}, ccf)}, []string{
			"the app: Lifeboat Managed CCF Restore on resource group live",
			"the app: Reader and Data Access on account copies", "the app: Storage Blob Data Contributor on container copies/lifeboat-manifests (optional)",
			"the app: Lifeboat Managed CCF Backup on net",
		}},
	} {
		var got []string
		for _, a := range roles.Of(c.plans, services.All().Known()) {
			optional := ""
			if a.Optional {
				optional = " (optional)"
			}
			got = append(got, fmt.Sprintf("%s: %s on %s%s", a.Whom(), a.Role.Name, a.Place(), optional))
		}
		slices.Sort(got) // TestOrder checks the order
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestOrder: the roles of the app come first, and those of an HSM's own access control last, whatever the order of the plans.
func TestOrder(t *testing.T) {
	known := services.All().Known()
	plans := []backup.Plan{plan("", []string{standby}, gateway), plan("", nil, vault), plan("", nil, ledger)}
	all := roles.Of(plans, known)
	kinds := ""
	for _, a := range all {
		kinds += map[bool]string{true: "l", false: map[bool]string{true: "a", false: "s"}[a.Service == ""]}[a.Role.Local]
	}
	if strings.Trim(strings.TrimLeft(strings.TrimLeft(kinds, "a"), "s"), "l") != "" || !strings.Contains(kinds, "asssll") {
		t.Errorf("the order is %s", kinds)
	}
	slices.Reverse(plans)
	if again := roles.Of(plans, known); roles.Az(again, nil, "x") != roles.Az(all, nil, "x") {
		t.Errorf("the order of the plans changes the script:\n%s\n%s", roles.Az(all, nil, "x"), roles.Az(again, nil, "x"))
	}
}

// TestCompare: an edit needs what is new, and leaves over what nothing needs, though the order and the letters changed.
func TestCompare(t *testing.T) {
	known := services.All().Known()
	old := roles.Of([]backup.Plan{plan("", nil, gateway), plan("", nil, vault)}, known)
	edited := roles.Of([]backup.Plan{plan(`{"hsm":{"access":"sas"}}`, nil, vault), plan("", nil, strings.ToUpper(gateway))}, known)
	give, revoke := roles.Compare(old, edited)
	if len(give) != 1 || give[0].Role.Name != "Reader and Data Access" || len(revoke) != 1 || revoke[0].Service != vault {
		t.Errorf("gives %v, takes %v", give, revoke)
	}
	if give, revoke := roles.Compare(old, old); len(give)+len(revoke) != 0 {
		t.Errorf("nothing changed: gives %v, takes %v", give, revoke)
	}
}
