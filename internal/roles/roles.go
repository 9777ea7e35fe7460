// Package roles derives from plans which roles Lifeboat's identity and those of the services need, and where. It asks Azure nothing.
package roles

import (
	"slices"
	"sort"
	"strings"

	"lifeboat/internal/backup"
)

// Assignment is a role that an identity needs at one scope.
type Assignment struct {
	Role backup.Role
	// Scope is a resource ID, which may be of a container, a group or a subscription. A local role has the scope / of the resource.
	Scope string
	// Zone is the DNS zone in the names of the hosts of the account for the backups; see [backup.Storage].
	Zone string
	// Identity and Service say whom it is for: the app, or that identity of the service with the resource ID.
	Identity backup.Identity
	Service  string
	// Version is the api-version in which Resource Manager shows the service and that identity, or the resource that the role lets be seen.
	Version string
	// For are the reasons, and Targets the services that need it; none if the app needs it to find them.
	For, Targets []string
	// Optional: backups and restores succeed without it, and Lifeboat sees less.
	Optional bool
	// Earlier: the identity has the role elsewhere now, and restores its earlier backups by this one.
	Earlier bool
}

// Hidden is the code of a look at the role of a service's identity that the app may not make, because it lacks a role of its own.
const Hidden = "RolesNotShown"

// key identifies the assignment.
func (a Assignment) key() string {
	return strings.ToLower(strings.Join([]string{a.Service, string(a.Identity), a.Scope, a.Role.Name}, "\n"))
}

// Of returns the assignments that the plans need, each once, and the app's first.
func Of(plans []backup.Plan, services backup.Services) []Assignment {
	found := list{at: map[string]int{}}
	for _, p := range plans {
		if p.Select != nil {
			for _, subscription := range p.Select.Subscriptions {
				found.put(Assignment{
					Role: backup.ReaderOfAll(services.Types()), Scope: "/subscriptions/" + subscription, For: []string{"finds the services that the plan selects"},
				})
			}
		}
		for _, target := range p.Targets {
			found.add(p, services, target, target, backs)
			if slices.Contains(p.Restore.Into, backup.Itself) {
				found.add(p, services, target, target, restores)
			}
		}
		for _, into := range p.Restore.Into {
			if into == backup.Itself {
				continue
			}
			found.add(p, services, into, into, backs)
			found.add(p, services, into, into, restores)
			service, _ := services.Of(into)
			for _, source := range slices.Concat(p.Targets, p.Restore.From) {
				if from, _ := services.Of(source); from.Type == service.Type {
					found.add(p, services, into, source, reads)
				}
			}
		}
	}
	sort.SliceStable(found.all, func(i, j int) bool {
		a, b := found.all[i], found.all[j]
		return order(a) < order(b) || order(a) == order(b) && a.key() < b.key()
	})
	return found.all
}

// order puts the app's roles first, then the services', and local ones last: other people may give them.
func order(a Assignment) int {
	switch {
	case a.Role.Local:
		return 2
	case a.Service != "":
		return 1
	}
	return 0
}

// backs tells whether backups of a service need the grant.
func backs(g backup.Grant) bool { return !g.Restores }

// restores tells whether restores into it need the grant.
func restores(g backup.Grant) bool { return g.Restores }

// reads tells whether a restore of another service's backups needs the grant where these are.
func reads(g backup.Grant) bool { return g.On == backup.OnContainer }

// list is a list in which each assignment stands once.
type list struct {
	all []Assignment
	at  map[string]int
}

// add adds the grants that the service with the ID needs where the backups of the source are.
func (l *list) add(p backup.Plan, services backup.Services, id, source string, needs func(backup.Grant) bool) {
	service, _ := services.Of(id)
	for _, g := range service.Grants {
		if !needs(g) || g.If != nil && !g.If(p.Settings.Blocks) {
			continue
		}
		if p.Settings.Storage.Vault {
			g.Role = g.InVault().Role
		}
		a := Assignment{Role: g.Role, Scope: Scope(g.On, id, p.Settings.Storage.For(source)), For: []string{g.For}, Targets: []string{id}, Optional: g.Optional, Zone: p.Settings.Storage.Zone, Version: g.Version}
		if g.Writer != nil {
			a.Identity, a.Service = g.Writer(p.Settings.Blocks), id
		}
		l.put(a)
	}
}

// put adds an assignment, or its purpose and target to the one that is there.
func (l *list) put(a Assignment) {
	i, known := l.at[a.key()]
	if !known {
		l.at[a.key()] = len(l.all)
		l.all = append(l.all, a)
		return
	}
	one := &l.all[i]
	one.Optional = one.Optional && a.Optional
	if !slices.Contains(one.For, a.For[0]) {
		one.For = append(one.For, a.For[0])
	}
	for _, id := range a.Targets {
		if !slices.ContainsFunc(one.Targets, func(t string) bool { return backup.Same(t, id) }) {
			one.Targets = append(one.Targets, id)
		}
	}
}

// Scope returns the resource ID of the place for backups of the service into the storage.
func Scope(on backup.Place, service string, s backup.Storage) string {
	p := strings.Split(service, "/")
	switch on {
	case backup.OnGroup:
		return strings.Join(p[:min(5, len(p))], "/")
	case backup.OnSubscription:
		return strings.Join(p[:min(3, len(p))], "/")
	case backup.OnContainer:
		return Container(s.Account, s.Container)
	case backup.OnManifests:
		return Container(s.Account, backup.ManifestFolder)
	case backup.OnAccount:
		return s.Account
	}
	return service
}

// Container returns the resource ID of the container.
func Container(account, name string) string {
	return account + "/blobServices/default/containers/" + name
}

// Compare returns the assignments that only the edited plans need, and those that only the old ones needed.
func Compare(old, edited []Assignment) (give, revoke []Assignment) {
	give, revoke = without(edited, old), without(old, edited)
	for i, a := range revoke {
		revoke[i].Earlier = inStorage(a) && slices.ContainsFunc(edited, func(b Assignment) bool {
			a.Scope = b.Scope
			return a.key() == b.key()
		})
	}
	return give, revoke
}

func inStorage(a Assignment) bool {
	return strings.Contains(strings.ToLower(a.Scope), "/providers/microsoft.storage/")
}

func without(all, others []Assignment) (rest []Assignment) {
	known := map[string]bool{}
	for _, a := range others {
		known[a.key()] = true
	}
	for _, a := range all {
		if !known[a.key()] {
			rest = append(rest, a)
		}
	}
	return rest
}

// Custom returns the roles of Lifeboat's own among the assignments, by name, each with the subscriptions that it is needed in.
func Custom(all []Assignment) []Definition {
	at, found := map[string]int{}, []Definition{}
	for _, a := range all {
		if a.Role.BuiltIn() {
			continue
		}
		i, known := at[a.Role.Name]
		if !known {
			i, at[a.Role.Name] = len(found), len(found)
			found = append(found, Definition{Role: a.Role})
		}
		subscription := Scope(backup.OnSubscription, a.Scope, backup.Storage{})
		if !slices.ContainsFunc(found[i].Subscriptions, func(s string) bool { return backup.Same(s, subscription) }) {
			found[i].Subscriptions = append(found[i].Subscriptions, subscription)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Role.Name < found[j].Role.Name })
	return found
}

// Definition is a role that people make for Lifeboat, and the scopes in which it can be given: subscriptions.
type Definition struct {
	Role          backup.Role
	Subscriptions []string
}

// Keeps says whether the identity needs the role for as long as there are recovery points of earlier backups there: the app to delete
// them and to restore, and a service to restore.
func (a Assignment) Keeps() bool {
	return !a.Optional && inStorage(a) && (a.Service == "" || a.Earlier)
}

// Whom names the identity for people, with the label of its service's resource ID.
func (a Assignment) Whom(label func(id string) string) string {
	switch {
	case a.Service == "":
		return "the app"
	case a.Identity == backup.SystemAssigned:
		return label(a.Service)
	case a.Identity == backup.UserAssigned:
		return label(a.Service) + ", user-assigned"
	}
	return label(a.Service) + ", " + string(a.Identity)
}

// Place names the scope for people: a service by the label of its resource ID. The name of an account is the only one in Azure.
func (a Assignment) Place(label func(id string) string) string {
	p := strings.Split(a.Scope, "/")
	switch {
	case len(p) <= 3:
		return "subscription " + last(a.Scope)
	case len(p) <= 5:
		return "resource group " + p[4] + " of subscription " + p[2]
	case len(p) > 12:
		return "container " + p[8] + "/" + p[12]
	case a.Role.Local:
		return label(a.Scope) + ", its own access control"
	case strings.EqualFold(p[6], "Microsoft.Storage"):
		return "account " + p[8]
	}
	return label(a.Scope)
}

func last(id string) string { return id[strings.LastIndex(id, "/")+1:] }
