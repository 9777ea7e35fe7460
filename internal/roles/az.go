package roles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lifeboat/internal/backup"
)

// ID returns the GUID of the role in the subscription. A role of Lifeboat's own is another one in each subscription, so that no
// deployment takes scopes away from another one.
func ID(r backup.Role, subscription string) string {
	if r.BuiltIn() {
		return r.ID
	}
	return GUID(strings.ToLower(subscription), r.Name)
}

// CustomName returns the name of a role of Lifeboat's own in the subscription: names are unique in a tenant.
func CustomName(r backup.Role, subscription string) string {
	return fmt.Sprintf("%s (%s)", r.Name, strings.ToLower(last(subscription)))
}

// Quote returns the text as one word of a shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// azStart begins each script: the functions make a step that was made before no mistake. A step that Azure refuses ends nothing but itself:
// one role of which Azure does not know an action would else keep all others away. A role that was just made may not be known everywhere
// yet, so the script tries its assignment for a minute, unless the person may not assign. Azure CLI 2.91 takes it for a mistake to take
// away what is not there, and to give a role of an HSM's own access control twice.
const azStart = `set -eu
app=%s
failed='' unmade='' ungiven=''

trap '[ -z "$failed" ] || { echo "not all was done: see above, and run this again" >&2; exit 1; }' EXIT

fails() { # says which step was not made; the rest goes on
  failed=1
  echo "$1" >&2
}
define() { # a role of Lifeboat's own: its ID, its definition
  az rest --method put --url "$1?api-version=2022-04-01" --body "$2" --only-show-errors -o none || {
    unmade="$unmade ${1##*/}"
    fails "this role was not made: $1"
  }
}
container() { # its resource ID
  az rest --method get --url "$1?api-version=2024-01-01" --only-show-errors -o none 2>/dev/null ||
    az rest --method put --url "$1?api-version=2024-01-01" --body '{}' --only-show-errors -o none ||
    fails "this container was not made: $1"
}
identity() { # of the service with the resource ID, in the api-version, at the path of its answer; gone if there is no such service
  if id=$(az rest --method get --url "$1?api-version=$2" --query "$3" -o tsv --only-show-errors); then
    [ -n "$id" ] || { echo "$1 does not have that identity" >&2; id=none; }
    echo "$id"
  else
    case $(az rest --method get --url "$1?api-version=$2" --only-show-errors -o none 2>&1) in
      *ResourceNotFound*) echo gone ;;
      *) ;;
    esac
  fi
}
give() { # to whom, the role, the scope
  said=''
  case $1 in
    none | gone) said="attach that identity to the service, and run this again" ;;
    '') said="its identity is not known" ;;
    *) ;;
  esac
  case " $unmade " in
    *" ${2##*/} "*) said="the role was not made" ;;
    *) ;;
  esac
  [ -z "$said" ] || { ungiven="$ungiven $3"; fails "not given at $3: $said"; return 0; }
  for try in 1 2 3 4 5 6; do
    [ "$try" = 1 ] || sleep 10
    said=$(az role assignment create --assignee-object-id "$1" --assignee-principal-type ServicePrincipal --role "$2" --scope "$3" \
      --only-show-errors -o none 2>&1) && return
    case $said in
      *AuthorizationFailed*) break ;;
      *) ;;
    esac
  done
  ungiven="$ungiven $3"
  fails "not given at $3: $said"
}
take() { # from whom, the role, the scope
  case " $ungiven " in
    *" $3 "*) fails "not taken away at $3: a role there was not given, perhaps the one in its place"; return ;;
    *) ;;
  esac
  case $1 in
    none | gone) echo "so nothing is taken from it at $3" >&2; return ;;
    '') fails "not taken away at $3: its identity is not known"; return ;;
    *) ;;
  esac
  said=$(az role assignment delete --assignee-object-id "$1" --role "$2" --scope "$3" --only-show-errors -o none 2>&1) && return
  case $said in
    *'No matched assignments'* | *ResourceNotFound*) ;;
    *) fails "not taken away at $3: $said" ;;
  esac
}
local_give() { # the HSM, the role
  [ -n "$(az keyvault role assignment list --hsm-name "$1" --role "$2" --scope / --assignee-object-id "$app" \
    --query '[].name' -o tsv --only-show-errors)" ] ||
    az keyvault role assignment create --hsm-name "$1" --role "$2" --scope / --assignee-object-id "$app" \
      --assignee-principal-type ServicePrincipal --only-show-errors -o none || fails "not given on $1"
}
local_take() { # the HSM, the role
  az keyvault role assignment delete --hsm-name "$1" --role "$2" --scope / --assignee-object-id "$app" --only-show-errors -o none ||
    fails "not taken away on $1"
}
`

// Az returns a script for a POSIX shell with Azure CLI. It gives the roles to the app's identity, by the object ID principal, and to the
// services' identities, and takes the roles to revoke away. It can be run again.
func Az(give, revoke []Assignment, principal string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# Gives the roles that plan.yaml needs: %d. Run it as a person who may assign roles at these scopes.\n", len(give))
	fmt.Fprintf(&b, azStart, Quote(principal))
	if own := Custom(give); len(own) > 0 {
		fmt.Fprint(&b, "\n# roles of Lifeboat's own, which permit nothing else\n")
		for _, d := range own {
			for _, s := range d.Subscriptions {
				fmt.Fprintf(&b, "define %s %s\n", Quote(s+definitions+ID(d.Role, s)), Quote(definition(d.Role, s)))
			}
		}
	}
	if containers := containersOf(give); len(containers) > 0 {
		fmt.Fprint(&b, "\n# containers, for the roles to stand on\n")
		for _, c := range containers {
			fmt.Fprintf(&b, "container %s\n", Quote(c))
		}
	}
	parts := []string{"the app", "the services' own identities", "the HSMs' own access control: run this part as an administrator of each"}
	for part, words := range parts {
		lines(&b, words, give, part, func(a Assignment) string { return command("give", a) })
	}
	for part, words := range parts {
		lines(&b, "no longer needed: "+words, revoke, part, func(a Assignment) string {
			if a.Keeps() {
				return "# when its last recovery point is gone: " + command("take", a)
			}
			return command("take", a)
		})
	}
	return b.String()
}

// lines writes the part of the assignments.
func lines(b *strings.Builder, words string, all []Assignment, part int, line func(Assignment) string) {
	first := true
	for _, a := range all {
		if order(a) != part {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n# %s\n", words)
			first = false
		}
		fmt.Fprintf(b, "%s # %s: %s\n", line(a), a.Role.Name, strings.Join(a.For, "; "))
	}
}

const definitions = "/providers/Microsoft.Authorization/roleDefinitions/"

// definitionID returns the resource ID of the role's definition. By a GUID alone azure-cli 2.91 looks in the current subscription if the
// scope is a subscription.
func definitionID(a Assignment) string {
	subscription := Scope(backup.OnSubscription, a.Scope, backup.Storage{})
	return subscription + definitions + ID(a.Role, subscription)
}

// definition returns the body of the request that makes the role in the subscription.
func definition(r backup.Role, subscription string) string {
	type permission struct {
		Actions     []string `json:"actions,omitempty"`
		DataActions []string `json:"dataActions,omitempty"`
	}
	text, _ := json.Marshal(map[string]any{"properties": map[string]any{ // texts only: cannot fail
		"roleName": CustomName(r, subscription), "type": "customRole", "description": "Made for Lifeboat, which needs nothing more.",
		"permissions": []permission{{r.Actions, r.DataActions}}, "assignableScopes": []string{subscription},
	}})
	return string(text)
}

func containersOf(all []Assignment) (found []string) {
	for _, a := range all {
		if strings.Contains(a.Scope, "/blobServices/default/containers/") && !slices.Contains(found, a.Scope) {
			found = append(found, a.Scope)
		}
	}
	return found
}

// command returns the line of a script that gives the role, or takes it away.
func command(verb string, a Assignment) string {
	if a.Role.Local {
		return fmt.Sprintf("local_%s %s %s", verb, Quote(last(a.Scope)), Quote(a.Role.ID))
	}
	whom := `"$app"`
	if a.Service != "" {
		whom = fmt.Sprintf(`"$(identity %s %s %s)"`, Quote(a.Service), a.Version, Quote(path(a.Identity)))
	}
	return fmt.Sprintf("%s %s %s %s", verb, whom, Quote(definitionID(a)), Quote(a.Scope))
}

// local returns the command that gives a role of a Managed HSM's own access control.
func local(a Assignment, whom string) string {
	return fmt.Sprintf("az keyvault role assignment create --hsm-name %s --role %s --scope / --assignee-object-id %s "+
		"--assignee-principal-type ServicePrincipal --only-show-errors -o none", Quote(last(a.Scope)), Quote(a.Role.ID), whom)
}

// path returns the JMESPath of the identity's object ID in the answer about its service.
func path(i backup.Identity) string {
	switch i {
	case backup.SystemAssigned:
		return "identity.principalId"
	case backup.UserAssigned:
		return "identity.userAssignedIdentities.*.principalId | [0]"
	}
	return fmt.Sprintf("identity.userAssignedIdentities.* | [?clientId=='%s'].principalId | [0]", strings.ToLower(string(i)))
}

// Commands returns the commands that give the role alone, with the object ID of the app's identity as $app.
func (a Assignment) Commands() []string {
	if a.Role.Local {
		return []string{local(a, `"$app"`)}
	}
	subscription := Scope(backup.OnSubscription, a.Scope, backup.Storage{})
	whom := `"$app"`
	if a.Service != "" {
		whom = fmt.Sprintf(`"$(az rest --method get --url %s --query %s -o tsv)"`, Quote(a.Service+"?api-version="+a.Version), Quote(path(a.Identity)))
	}
	var commands []string
	if !a.Role.BuiltIn() {
		commands = append(commands, fmt.Sprintf("az rest --method put --url %s --body %s",
			Quote(subscription+definitions+ID(a.Role, subscription)+"?api-version=2022-04-01"), Quote(definition(a.Role, subscription))))
	}
	return append(commands, fmt.Sprintf("az role assignment create --assignee-object-id %s --assignee-principal-type ServicePrincipal --role %s --scope %s",
		whom, Quote(definitionID(a)), Quote(a.Scope)))
}

// Words name the assignment: "the role Reader on account copies, for the app". A service has its resource ID there.
func (a Assignment) Words() string {
	whole := func(id string) string { return id }
	return fmt.Sprintf("the role %s on %s, for %s", a.Role.Name, a.Place(whole), a.Whom(whole))
}
