package roles

import (
	"fmt"
	"slices"
	"strings"

	"lifeboat/internal/backup"
)

// Bicep returns a template that gives the roles. A person with the right to assign roles at all these scopes deploys it, in any
// subscription. It stands in the folder infra, beside the modules that it uses. A Managed HSM's own roles are not Resource Manager's: it names
// the commands for them. Azure refuses a grant that is there under another name: one by az, or a writer of infra/backups.bicep.
func Bicep(give []Assignment, principal string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Gives the roles that plan.yaml needs: %d. Deploy it from the folder infra: az deployment sub create -l REGION -f FILE\n",
		len(give))
	fmt.Fprintf(&b, "targetScope = 'subscription'\n\n@description('The object ID of the identity of the app.')\nparam principalId string = '%s'\n",
		principal)
	for _, d := range Custom(give) {
		for _, s := range d.Subscriptions {
			fmt.Fprintf(&b, "\nmodule %s 'grants/role.bicep' = {\n  scope: subscription('%s')\n  params: {\n    name: %s\n    actions: %s\n",
				symbol("role", s, d.Role.Name), last(s), text(d.Role.Name), texts(d.Role.Actions))
			if len(d.Role.DataActions) > 0 {
				fmt.Fprintf(&b, "    dataActions: %s\n", texts(d.Role.DataActions))
			}
			fmt.Fprint(&b, "  }\n}\n")
		}
	}
	for _, c := range containersOf(give) {
		p := strings.Split(c, "/")
		fmt.Fprintf(&b, "\nmodule %s 'grants/container.bicep' = {\n  scope: %s\n  params: {\n    account: %s\n    name: %s\n  }\n}\n",
			symbol("container", c), groupOf(p), text(p[8]), text(p[12]))
	}
	for _, s := range services(give) {
		r, _ := backup.ParseResource(s.Service)
		fmt.Fprintf(&b, "\nresource %s '%s@%s' existing = {\n  scope: %s\n  name: %s\n}\n",
			symbol("service", s.Service), r.Type, s.Version, groupOf(strings.Split(s.Service, "/")), text(r.Name))
	}
	for _, a := range give {
		if a.Role.Local {
			continue
		}
		b.WriteString("\n" + module(a))
	}
	for i, a := range slices.DeleteFunc(slices.Clone(give), func(a Assignment) bool { return !a.Role.Local }) {
		if i == 0 {
			fmt.Fprint(&b, "\n// An administrator of each HSM gives these:\n")
		}
		fmt.Fprintf(&b, "// %s\n", local(a, principal))
	}
	return b.String()
}

// groupOf returns the expression for the group of the resource ID, by its segments.
func groupOf(p []string) string { return fmt.Sprintf("resourceGroup('%s', %s)", p[2], text(p[4])) }

// module returns the module of one assignment.
func module(a Assignment) string {
	p := strings.Split(a.Scope, "/")
	subscription := Scope(backup.OnSubscription, a.Scope, backup.Storage{})
	file, scope := "grants/assignment.json", ""
	switch {
	case len(p) <= 3:
		file, scope = "grants/subscription.bicep", fmt.Sprintf("subscription('%s')", p[2])
	case len(p) <= 5:
		file, scope = "grants/group.bicep", groupOf(p)
	default:
		scope = groupOf(p)
	}
	whom := "principalId"
	if a.Service != "" {
		whom = bicepIdentity(symbol("service", a.Service), a.Identity)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// %s: %s, on %s\nmodule %s '%s' = {\n  scope: %s\n  params: {\n    principalId: %s\n    role: '%s'\n", a.Whom(last), a.Role.Name,
		a.Place(last), symbol("give", a.key()), file, scope, whom, ID(a.Role, subscription))
	if len(p) > 5 {
		who := "principalId"
		if a.Service != "" { // a name that only the deployment knows hides the grant from what-if
			who = text(a.Service + "/" + string(a.Identity))
		}
		fmt.Fprintf(&b, "    who: %s\n    scope: %s\n", who, text(a.Scope))
	}
	b.WriteString("  }\n")
	switch {
	case !a.Role.BuiltIn():
		fmt.Fprintf(&b, "  dependsOn: [%s]\n", symbol("role", subscription, a.Role.Name))
	case len(p) > 12:
		fmt.Fprintf(&b, "  dependsOn: [%s]\n", symbol("container", a.Scope))
	}
	return b.String() + "}\n"
}

// bicepIdentity returns the expression for the object ID of the service's identity.
func bicepIdentity(service string, i backup.Identity) string {
	assigned := "items(" + service + ".identity.userAssignedIdentities)"
	switch i {
	case backup.SystemAssigned:
		return service + ".identity.principalId"
	case backup.UserAssigned:
		return assigned + "[0].value.principalId"
	}
	return fmt.Sprintf("filter(\n      %s,\n      one => toLower(one.value.clientId) == %s\n    )[0].value.principalId", assigned, text(strings.ToLower(string(i))))
}

// services returns an assignment of each service whose identity gets a role.
func services(all []Assignment) (found []Assignment) {
	for _, a := range all {
		if a.Service != "" && !slices.ContainsFunc(found, func(f Assignment) bool { return backup.Same(f.Service, a.Service) }) {
			found = append(found, a)
		}
	}
	return found
}

// symbol returns a name within the template.
func symbol(kind string, of ...string) string {
	return kind + "_" + backup.Digest(strings.ToLower(strings.Join(of, "\n")), 10)
}

// texts returns a list of strings of Bicep, a line for each, within parameters of a module.
func texts(all []string) string {
	if len(all) == 0 {
		return "[]"
	}
	var b strings.Builder
	for _, one := range all {
		fmt.Fprintf(&b, "      %s\n", text(one))
	}
	return "[\n" + b.String() + "    ]"
}

// text returns a string of Bicep.
func text(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "${", `\${`).Replace(s) + "'"
}
