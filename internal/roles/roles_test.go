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
	parted       = subscription + "2/resourceGroups/live/providers/Microsoft.ApiManagement/service/parted"
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

// inContainer returns a plan whose storage has the container, and which restores the backups of the departed as well.
func inContainer(container string, into, departed []string, targets ...string) backup.Plan {
	p := plan("", into, targets...)
	p.Settings.Storage.Container, p.Restore.From = container, departed
	return p
}

// selecting returns a plan that selects all services of the subscriptions.
func selecting(subscriptions ...string) backup.Plan {
	p := plan("", nil)
	p.Select = &backup.Select{}
	for _, one := range subscriptions {
		p.Select.Subscriptions = append(p.Select.Subscriptions, name(one))
	}
	return p
}

// inVault returns the plan with a vault.
func inVault(p backup.Plan) backup.Plan {
	p.Settings.Storage.Vault = true
	return p
}

// name returns the name in a resource ID.
func name(id string) string { return id[strings.LastIndex(id, "/")+1:] }

// TestOf checks the roles of plans of each kind, and that each stands once.
func TestOf(t *testing.T) {
	const (
		apimBackup = "the app: Lifeboat API Management Backup on "
		contained  = "the app: Storage Blob Data Contributor on container copies/c"
		reader     = "the app: Reader on account copies (optional)"
		log        = "the app: Lifeboat Activity Log Reader on subscription 0c0ffee0-0000-4000-8000-00000000000"
	)
	for kind, c := range map[string]struct {
		plans []backup.Plan
		want  []string
	}{
		"none": {},
		"two plans that select, and know no service yet": {[]backup.Plan{selecting(subscription+"1", subscription+"2"), selecting(subscription + "2")}, []string{
			"the app: Reader on subscription 0c0ffee0-0000-4000-8000-000000000001",
			"the app: Reader on subscription 0c0ffee0-0000-4000-8000-000000000002",
		}},
		"an API Management": {[]backup.Plan{plan("", nil, gateway)}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway",
			"gateway: Storage Blob Data Contributor on container copies/c",
		}},
		"an API Management into a vault, and out of it into another": {[]backup.Plan{inVault(plan("", []string{standby}, gateway))}, []string{
			log + "1 (optional)", log + "2 (optional)", reader, "the app: Lifeboat Vault Writer on container copies/c",
			apimBackup + "gateway", apimBackup + "standby", "the app: Lifeboat API Management Restore on standby",
			"gateway: Lifeboat Vault Writer on container copies/c", "standby: Lifeboat Vault Writer on container copies/c",
		}},
		"the same in two plans, in other letters": {[]backup.Plan{plan("", nil, gateway), plan("", nil, strings.ToUpper(gateway))}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway",
			"gateway: Storage Blob Data Contributor on container copies/c",
		}},
		"restores into another one": {[]backup.Plan{plan("", []string{standby}, gateway)}, []string{
			log + "1 (optional)", log + "2 (optional)", reader, contained, apimBackup + "gateway", apimBackup + "standby",
			"the app: Lifeboat API Management Restore on standby",
			"gateway: Storage Blob Data Contributor on container copies/c",
			"standby: Storage Blob Data Contributor on container copies/c",
		}},
		"restores into itself": {[]backup.Plan{plan("", []string{backup.Itself}, gateway)}, []string{
			log + "1 (optional)", reader, contained, apimBackup + "gateway", "the app: Lifeboat API Management Restore on gateway",
			"gateway: Storage Blob Data Contributor on container copies/c",
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
		"a container for each target, and restores into another one": {[]backup.Plan{inContainer("c-{name}", []string{standby}, []string{parted}, gateway)}, []string{
			log + "1 (optional)", log + "2 (optional)", reader, apimBackup + "gateway", apimBackup + "standby",
			"the app: Lifeboat API Management Restore on standby",
			"the app: Storage Blob Data Contributor on container copies/c-gateway",
			"the app: Storage Blob Data Contributor on container copies/c-parted",
			"the app: Storage Blob Data Contributor on container copies/c-standby",
			"gateway: Storage Blob Data Contributor on container copies/c-gateway",
			"standby: Storage Blob Data Contributor on container copies/c-gateway",
			"standby: Storage Blob Data Contributor on container copies/c-parted",
			"standby: Storage Blob Data Contributor on container copies/c-standby",
		}},
		"a container for each target of two types": {[]backup.Plan{inContainer("c-{name}", []string{backup.Itself, standby}, nil, strings.ToUpper(vault), ledger)}, []string{
			log + "2 (optional)", reader, apimBackup + "standby", "the app: Lifeboat API Management Restore on standby",
			"the app: Reader on VAULT (optional)", "the app: Reader and Data Access on account copies",
			"the app: Lifeboat Ledger Backup on book",
			"the app: Managed HSM Backup on VAULT, its own access control", "the app: Managed HSM Restore on VAULT, its own access control",
			"the app: Storage Blob Data Contributor on container copies/c-standby",
			"the app: Storage Blob Data Contributor on container copies/c-vault",
			"the app: Storage Blob Data Contributor on container copies/lifeboat-manifests (optional)",
			"VAULT, user-assigned: Storage Blob Data Contributor on container copies/c-vault",
			"standby: Storage Blob Data Contributor on container copies/c-standby",
		}},
		"a ledger, whose restore does not exist": {[]backup.Plan{plan("", []string{backup.Itself}, ledger)}, []string{
			"the app: Reader and Data Access on account copies", "the app: Storage Blob Data Contributor on container copies/lifeboat-manifests (optional)",
			"the app: Lifeboat Ledger Backup on book",
		}},
		"a ledger in an old preview, whose restore exists": {[]backup.Plan{plan(`{"ccf":{"apiVersion":"2025-06-10-preview"}}`, []string{backup.Itself}, ledger)}, []string{
			"the app: Lifeboat Ledger Restore on resource group live of subscription 0c0ffee0-0000-4000-8000-000000000003",
			"the app: Reader and Data Access on account copies", "the app: Storage Blob Data Contributor on container copies/lifeboat-manifests (optional)",
			"the app: Lifeboat Ledger Backup before 2026-02-23 on book",
		}},
		"a Managed CCF, which a restore makes anew": {[]backup.Plan{plan("", []string{backup.Itself}, ccf)}, []string{
			"the app: Lifeboat Managed CCF Restore on resource group live of subscription 0c0ffee0-0000-4000-8000-000000000003",
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
			got = append(got, fmt.Sprintf("%s: %s on %s%s", a.Whom(name), a.Role.Name, a.Place(name), optional))
		}
		slices.Sort(got) // TestOrder checks the order
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", kind, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestOneActionOfALedger: Azure refuses a role with an action that it does not know, so no role has an action of both kinds.
func TestOneActionOfALedger(t *testing.T) {
	of := 0
	for _, blocks := range []string{"", `{"ccf":{"apiVersion":"2025-06-10-preview"}}`} {
		for _, d := range roles.Custom(roles.Of([]backup.Plan{plan(blocks, []string{backup.Itself}, ledger, ccf)}, services.All().Known())) {
			if acts := strings.Count(strings.Join(d.Role.Actions, " "), "/action"); acts != 1 {
				t.Errorf("%s has %d actions: %v", d.Role.Name, acts, d.Role.Actions)
			}
			of++
		}
	}
	if of != 7 {
		t.Errorf("%d roles", of)
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

// TestCompareOfContainers: a service that gets a container of its own restores its earlier backups out of the old one, and one that
// leaves does not.
func TestCompareOfContainers(t *testing.T) {
	known := services.All().Known()
	old := roles.Of([]backup.Plan{inContainer("c", nil, nil, gateway, standby)}, known)
	give, revoke := roles.Compare(old, roles.Of([]backup.Plan{inContainer("c-{name}", nil, nil, strings.ToUpper(gateway))}, known))
	var got []string
	for _, a := range give {
		got = append(got, "+ "+a.Whom(name)+" on "+a.Place(name))
	}
	for _, a := range revoke {
		if a.Role.Name == backup.BlobDataContributor.Name {
			got = append(got, fmt.Sprintf("- %s on %s, keeps: %t", a.Whom(name), a.Place(name), a.Keeps()))
		}
	}
	want := []string{
		"+ the app on container copies/c-gateway", "+ GATEWAY on container copies/c-gateway",
		"- the app on container copies/c, keeps: true", "- gateway on container copies/c, keeps: true",
		"- standby on container copies/c, keeps: false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
