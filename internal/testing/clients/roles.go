package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// away returns the resource ID in one of the subscriptions of the plan whose roles a script gives.
func away(subscription, resource string) string {
	return "/subscriptions/0c0ffee0-0000-4000-8000-0000000000" + subscription + "/resourceGroups/live/providers/" + resource
}

// rolesOf starts an app with none of the roles that its plan needs. The plan has services in three subscriptions, and their backups in
// a fourth one; so has the edited plan, with fewer of them. The giver may assign roles there, and make containers. It returns what a
// test needs to know of all that, as JSON.
func rolesOf(ctx context.Context, s *stack.Stack, dir string) (text string, app *stack.App, err error) {
	account := away("14", "Microsoft.Storage/storageAccounts/"+copies)
	gateway, standby := away("11", "Microsoft.ApiManagement/service/contoso-gateway"), away("12", "Microsoft.ApiManagement/service/contoso-standby")
	keys, book := away("12", "Microsoft.KeyVault/managedHSMs/contoso-keys"), away("13", "Microsoft.ConfidentialLedger/ledgers/contoso-book")
	without := away("11", "Microsoft.ApiManagement/service/contoso-without")
	const holder = "contoso-keys-backups"
	err = errors.Join(
		s.Sim.MoveStorage(copies, account),
		s.Sim.AddService(fakeazure.Service{ResourceID: gateway, Location: "North Europe", SystemAssigned: true}),
		s.Sim.AddService(fakeazure.Service{ResourceID: standby, Location: "North Europe", SystemAssigned: true}),
		s.Sim.AddService(fakeazure.Service{ResourceID: without, Location: "North Europe"}),
		s.Sim.AddHSM(fakeazure.HSM{ResourceID: keys, Location: "North Europe", Identity: holder, Keys: []string{"rsa1"}}),
		s.Sim.AddLedger(fakeazure.Ledger{ResourceID: book, Location: "North Europe", Entries: []string{"one"}}),
		s.Sim.AssignHSM(keys, s.Sim.ObjectID(giver), fakeazure.ManagedHSMPolicyAdministrator),
	)
	if err != nil {
		return "", nil, err
	}
	subscriptions := []string{}
	for _, one := range []string{"11", "12", "13", "14"} {
		subscription, _, _ := strings.Cut(away(one, ""), "/resourceGroups/")
		subscriptions = append(subscriptions, subscription)
		s.Sim.Assign(s.Sim.ObjectID(giver), subscription, fakeazure.UserAccessAdministrator)
	}
	s.Sim.Assign(s.Sim.ObjectID(giver), account, fakeazure.Contributor)
	begin := func(into string) string {
		return "version: 1\ndefaults:\n  storage: {account: " + account + ", container: copies}\nplans:\n  - name: gateways\n" +
			"    schedule: \"0 0 29 2 *\"\n    keep: {within: 20d}\n    targets: [" + gateway + "]\n" + into
	}
	old := begin("    restore: {into: ["+standby+"]}\n") + "  - name: others\n    schedule: \"0 0 29 2 *\"\n    keep: {within: 20d}\n" +
		"    targets: [" + keys + ", " + book + "]\n"
	files := map[string]string{"plan": old, "edited": begin(""), "without": strings.ReplaceAll(begin(""), gateway, without)}
	for name, text := range files {
		files[name] = filepath.Join(dir, "roles-"+name+".yaml")
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			return "", nil, err
		}
	}
	app, err = s.App(ctx, stack.AppConfig{Name: bare, Account: bareAccount, Plan: old, WaitFactor: timeScale, Log: complain})
	if err != nil {
		return "", nil, err
	}
	identities := map[string]string{"app": app.ObjectID, "keys": s.Sim.ObjectID(holder)}
	for name, id := range map[string]string{"gateway": gateway, "standby": standby} {
		identities[name] = s.Sim.ObjectID(id)
	}
	environment := map[string]string{}
	for _, variable := range s.Sim.EnvFor(giver) {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	known, err := json.Marshal(map[string]any{
		"program": s.Binary, "url": app.URL(), "key": app.Key("api"), "giver": environment, "files": files,
		"identities": identities, "subscriptions": subscriptions, "hsm": "contoso-keys", "account": account, "without": without,
	})
	return string(known), app, err
}
