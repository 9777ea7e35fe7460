package templates_test

import (
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	grants "lifeboat/internal/roles"
	"lifeboat/internal/services"
)

// planFolder has a plan.yaml, and the template of its grants: as text, since its modules are elsewhere, and what it deploys.
const planFolder = root + "/infra/testdata/plan/"

const app = "0c0ffee0-0000-4000-8000-000000000003"

// needed are the assignments of the plan.
func needed(t *testing.T) []grants.Assignment {
	t.Helper()
	known := services.All().Known()
	plans, _, err := config.NewReader(known).Parse("plan.yaml", []byte(read(t, planFolder+"plan.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	return grants.Of(plans, known)
}

// planTemplate is the template that lifeboat plan roles prints.
func planTemplate(t *testing.T) string {
	t.Helper()
	return grants.Bicep(needed(t), app)
}

// TestPlanTemplate checks the template of a plan against the kept one. TestTemplates compiles the same.
func TestPlanTemplate(t *testing.T) {
	path := planFolder + "grants.bicep.txt"
	if *update {
		write(t, path, planTemplate(t))
	}
	if planTemplate(t) != read(t, path) {
		t.Errorf("infra/testdata/plan/grants.bicep.txt is not the template of the plan (go test ./internal/testing/templates -run TestPlanTemplate -update)")
	}
}

// TestPlanGrants checks that the template of the plan deploys its assignments and no others, each with the role and at the scope that the
// script for Azure CLI gives, and the roles of Lifeboat's own with the same IDs, names and actions.
func TestPlanGrants(t *testing.T) {
	var want, got []string
	all := needed(t)
	for _, a := range all {
		if !a.Role.Local {
			subscription := grants.Scope(backup.OnSubscription, a.Scope, backup.Storage{})
			want = append(want, strings.ToLower(a.Scope+" "+grants.ID(a.Role, subscription)))
		}
	}
	resources := predicted(t, "plan/grants")
	for _, r := range of(resources, "Microsoft.Authorization/roleAssignments") {
		p := properties[struct{ RoleDefinitionID, PrincipalType string }](t, r)
		scope, _, _ := strings.Cut(r.ID, "/providers/Microsoft.Authorization/roleAssignments/")
		got = append(got, strings.ToLower(scope+" "+p.RoleDefinitionID[strings.LastIndex(p.RoleDefinitionID, "/")+1:]))
		if p.PrincipalType != "ServicePrincipal" {
			t.Errorf("%s is for a %s", r.ID, p.PrincipalType)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the template gives\n%s\nand the plan needs\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	roles := 0
	for _, d := range grants.Custom(all) {
		roles += len(d.Subscriptions)
	}
	if made := of(resources, "Microsoft.Authorization/roleDefinitions"); len(made) != roles {
		t.Errorf("the template makes %d roles, and the plan needs %d", len(made), roles)
	}
}

// ours are the roles that the descriptors of the services name.
func ours() map[string]backup.Role {
	byName := map[string]backup.Role{}
	for _, s := range services.All().Known() {
		for _, g := range s.Grants {
			byName[g.Role.Name] = g.Role
			byName[g.InVault().Role.Name] = g.InVault().Role
		}
	}
	return byName
}

// templatesOnly are roles that no service needs: the app needs them on its own account, or people, or a vault.
var templatesOnly = []string{
	"EventGrid Data Sender", "Lifeboat Vault Block Writer", "Monitoring Metrics Publisher",
	"Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Queue Data Message Processor",
	"Storage Queue Data Message Sender", "Storage Table Data Contributor",
}

// TestRolesOfServices holds roles.json and the descriptors together: the same names, IDs and actions, and no role too many.
func TestRolesOfServices(t *testing.T) {
	if err := sameRoles(roles(t), ours()); len(err) > 0 {
		t.Error(strings.Join(err, "\n"))
	}
	// Each of these must be seen.
	for name, change := range map[string]func(map[string]role){
		"no role":        func(all map[string]role) { delete(all, "Lifeboat Ledger Restore") },
		"a role of none": func(all map[string]role) { all["Lifeboat Ledger Operator"] = role{Name: "Lifeboat Ledger Operator"} },
		"another GUID":   func(all map[string]role) { all["Reader"] = role{Name: "Reader", ID: all["Reader and Data Access"].ID} },
		"not local":      func(all map[string]role) { all["Managed HSM Backup"] = role{ID: all["Managed HSM Backup"].ID} },
		"fewer actions": func(all map[string]role) {
			r := all["Lifeboat Ledger Backup"]
			r.Actions = r.Actions[1:]
			all[r.Name] = r
		},
		"data": func(all map[string]role) {
			r := all["Lifeboat Ledger Backup"]
			r.DataActions = []string{"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"}
			all[r.Name] = r
		},
	} {
		all := roles(t)
		change(all)
		if err := sameRoles(all, ours()); len(err) != 1 {
			t.Errorf("%s: %q", name, err)
		}
	}
}

// sameRoles says how the roles of the templates and the roles of the services differ.
func sameRoles(listed map[string]role, known map[string]backup.Role) (differences []string) {
	for name, want := range known {
		is, ok := listed[name]
		switch {
		case !ok:
			differences = append(differences, "roles.json has not got "+name)
		case is.ID != want.ID || is.Local != want.Local:
			differences = append(differences, name+" has another ID in roles.json, or another access control: "+is.ID)
		case !want.BuiltIn() && (!slices.Equal(is.Actions, want.Actions) || !slices.Equal(is.DataActions, want.DataActions)):
			differences = append(differences, name+" has other actions in roles.json: "+strings.Join(slices.Concat(is.Actions, is.DataActions), ", "))
		}
	}
	for name := range listed {
		if _, ok := known[name]; !ok && !slices.Contains(templatesOnly, name) {
			differences = append(differences, "roles.json has "+name+", which nothing needs")
		}
	}
	return differences
}

// TestCustomRoles checks the roles that the templates make: each has the ID, the name and the actions that Lifeboat gives it too, so that a
// role that a template has made and one that the script has made are one.
func TestCustomRoles(t *testing.T) {
	made := map[string]int{}
	for _, option := range append(options(t), "plan/grants") {
		for _, r := range of(predicted(t, option), "Microsoft.Authorization/roleDefinitions") {
			p := properties[struct {
				RoleName, Description string
				Permissions           []struct{ Actions, NotActions, DataActions, NotDataActions []string }
				AssignableScopes      []string
			}](t, r)
			name, _, _ := strings.Cut(p.RoleName, " (")
			want, known := ours()[name]
			if !known {
				v := roles(t)[name] // the role is for a vault, and not for plans
				want = backup.Role{Name: name, Actions: v.Actions, DataActions: v.DataActions}
			}
			if len(p.AssignableScopes) != 1 || len(p.Permissions) != 1 {
				t.Fatalf("%s: %+v", option, p)
			}
			scope := p.AssignableScopes[0]
			if r.Name != grants.ID(want, scope) || p.RoleName != grants.CustomName(want, scope) || !slices.Equal(p.Permissions[0].Actions, want.Actions) ||
				!slices.Equal(p.Permissions[0].DataActions, want.DataActions) {
				t.Errorf("%s: %s is %s: %+v", option, r.Name, p.RoleName, p.Permissions)
			}
			made[option]++
		}
	}
	if made["grants-roles"] != 6 || made["grants-roles-before20260223"] != 8 || made["grants-roles-no-restores"] != 4 || made["vault-blocks"] != 2 || made["plan/grants"] < 7 {
		t.Error(made)
	}
}
