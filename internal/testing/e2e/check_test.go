package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/google/uuid"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/config"
	"lifeboat/internal/roles"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// check asks the app to check what it may do, and returns what it found.
func (a *app) check(plan string) api.Check {
	a.t.Helper()
	body := "{}"
	if plan != "" {
		body = `{"plan": "` + plan + `"}`
	}
	answer, text, err := a.request(a.t.Context(), http.MethodPost, "/api/check", body, map[string]string{"Repeatability-Request-ID": uuid.NewString()})
	var v api.Check
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, &v) != nil || v.Ended.IsZero() {
		a.t.Fatalf("check: %v, %s", err, text)
	}
	// The services stand in the region of their backups, which has nothing to do with roles.
	v.Findings = slices.DeleteFunc(v.Findings, func(f api.Finding) bool { return f.Result == check.Warning && f.Error.Code == "SameRegion" })
	return v
}

// principal returns the object ID of the identity that the assignment is for.
func principal(a *app, r roles.Assignment) string {
	switch r.Identity {
	case backup.TheApp:
		return a.ObjectID
	case backup.SystemAssigned:
		return world.Sim.ObjectID(r.Service)
	}
	return world.Sim.ObjectID(r.Service[strings.LastIndex(r.Service, "/")+1:] + "-backups")
}

// set gives the role of the assignment, or takes it away.
func set(t *testing.T, a *app, r roles.Assignment, on bool) {
	t.Helper()
	if r.Role.Local {
		id := fakeazure.HSMRole(r.Role.ID)
		var err error
		if on {
			err = world.Sim.AssignHSM(r.Scope, a.ObjectID, id)
		} else {
			err = world.Sim.UnassignHSM(r.Scope, a.ObjectID, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	role := fakeazure.Role{Name: r.Role.Name, Actions: r.Role.Actions, DataActions: r.Role.DataActions}
	for _, known := range []fakeazure.Role{fakeazure.Reader, fakeazure.ReaderAndDataAccess, fakeazure.StorageBlobDataContributor} {
		if known.ID == r.Role.ID {
			role = known
		}
	}
	if on {
		world.Sim.Assign(principal(a, r), r.Scope, role)
	} else {
		world.Sim.Unassign(principal(a, r), r.Scope, role)
	}
}

// TestCheckNamesTheRole: with exactly the roles that plan roles lists, the real program finds nothing amiss. With any one of them missing
// it names that one, with the command that gives it, and nothing else.
func TestCheckNamesTheRole(t *testing.T) {
	t.Parallel()
	names := newServices(t, 2)
	hsm, ledger := "h"+names[0][:20], "l"+names[0][:20]
	if err := world.Sim.AddHSM(fakeazure.HSM{ResourceID: stack.HSM(hsm), Identity: hsm + "-backups", Keys: []string{"rsa1"}}); err != nil {
		t.Fatal(err)
	}
	if err := world.Sim.AddLedger(fakeazure.Ledger{ResourceID: stack.Ledger(ledger), Entries: []string{"one"}}); err != nil {
		t.Fatal(err)
	}
	store := accounts[taken.Add(1)-1]
	plan := strings.ReplaceAll(planOf(yearly, "20d", stack.Service(names[0])), stack.Account(stack.Backups), stack.Account(store)) +
		"    restore: {into: [" + stack.Service(names[1]) + "]}\n" + strings.ReplaceAll(`  - name: others
    schedule: "`+yearly+`"
    keep: {within: 20d}
    targets: [HSM, LEDGER]
`, "HSM, LEDGER", stack.HSM(hsm)+", "+stack.Ledger(ledger))
	topic := stack.Scope + "/providers/Microsoft.EventGrid/topics/e" + uuid.NewString()[:8]
	address, err := world.Sim.AddTopic(fakeazure.Topic{ResourceID: topic})
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, stack.AppConfig{Plan: plan, Settings: map[string]string{"LIFEBOAT_EVENTS_TOPIC": address}})
	world.Sim.Assign(a.ObjectID, topic, fakeazure.EventGridDataSender)
	world.Sim.Unassign(a.ObjectID, stack.Scope)
	world.Sim.Unassign(a.ObjectID, stack.Account(stack.Backups))
	for _, name := range names {
		world.Sim.Unassign(world.Sim.ObjectID(stack.Service(name)), stack.Account(stack.Backups))
	}
	makeContainers(t, store, stack.Container, backup.ManifestFolder)
	plans, _, err := config.NewReader(services.All().Known()).File(a.PlanFile, 1)
	if err != nil {
		t.Fatal(err)
	}
	needed := roles.Of(plans, services.All().Known())
	if len(needed) < 15 {
		t.Fatalf("the plan needs only %d roles", len(needed))
	}
	before := a.check("")
	ofApp := 0
	for _, r := range needed {
		if r.Service == "" {
			ofApp++
		}
	}
	// Without a role of its own the app does not see the roles of the services.
	if n := len(before.Findings); n != ofApp || before.Ok != 1 {
		t.Errorf("without any role: %d findings of %d, %d ok: %+v", n, ofApp, before.Ok, before)
	}
	for _, r := range needed {
		set(t, a, r, true)
	}
	if v := a.check(""); len(v.Findings) != 0 || v.Total != 5 || v.Principal != a.ObjectID {
		t.Fatalf("with all roles: %+v", v)
	}
	for _, r := range needed {
		set(t, a, r, false)
		v := a.check("")
		set(t, a, r, true)
		if len(v.Findings) != 1 || v.Findings[0].What != r.Words() {
			t.Errorf("without %s: %+v", r.Words(), v.Findings)
			continue
		}
		f, want := v.Findings[0], check.Refused
		if r.Optional {
			want = check.Unseen
		}
		if f.Result != want || !slices.Equal(f.Commands, r.Commands()) {
			t.Errorf("without %s: %s, %q", r.Words(), f.Result, f.Commands)
		}
	}
	for what, own := range map[string]struct {
		scope string
		role  fakeazure.Role
	}{
		"the topic of the events":         {topic, fakeazure.EventGridDataSender},
		"the app's own queues":            {stack.Account(a.config.Account), fakeazure.StorageQueueDataContributor},
		"the blobs of the Functions host": {stack.Account(a.config.Account), fakeazure.StorageBlobDataContributor},
	} {
		world.Sim.Unassign(a.ObjectID, own.scope, own.role)
		v := a.check("")
		world.Sim.Assign(a.ObjectID, own.scope, own.role)
		if len(v.Findings) == 0 || slices.ContainsFunc(v.Findings, func(f api.Finding) bool {
			return f.What != what || f.Result != check.Refused || f.Error.Code != "RoleMissing"
		}) {
			t.Errorf("without %s: %+v", what, v.Findings)
		}
	}
	if events := world.Sim.Published(topic); len(events) != 0 {
		t.Errorf("the checks sent %s", events)
	}
	if v := a.check("others"); len(v.Findings) != 0 || v.Total != 3 || v.Plan != "others" {
		t.Errorf("of one plan: %+v", v)
	}
}

// makeContainers makes containers in the account.
func makeContainers(t *testing.T, account string, names ...string) {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(account), fakeazure.StorageBlobDataContributor)
	client, err := azblob.NewClient("https://"+account+".blob.core.windows.net", world.Sim.Credential(probe), &azblob.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := client.CreateContainer(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
}
