package templates_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	grants "lifeboat/internal/roles"
	"lifeboat/internal/services"
	"lifeboat/internal/storage"
)

// resource is a resource that a template deploys, as bicep predicts it.
type resource struct {
	ID, Type, Name, Location string
	Condition                string
	Tags                     map[string]string
	Properties               json.RawMessage
}

// predicted are the resources of an option: of a file in infra/testdata.
func predicted(t *testing.T, option string) []resource {
	t.Helper()
	var parts struct{ PredictedResources []resource }
	if err := json.Unmarshal([]byte(read(t, root+"/infra/testdata/"+option+".snapshot.json")), &parts); err != nil {
		t.Fatal(option, err)
	}
	if len(parts.PredictedResources) == 0 {
		t.Fatal(option, "deploys nothing")
	}
	return parts.PredictedResources
}

// options are the names of all predictions.
func options(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(root + "/infra/testdata/*.snapshot.json")
	if err != nil || len(paths) < 15 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".snapshot.json"))
	}
	return names
}

// of are the resources of a type.
func of(resources []resource, kind string) (some []resource) {
	for _, r := range resources {
		if r.Type == kind {
			some = append(some, r)
		}
	}
	return some
}

// properties reads what a resource is.
func properties[T any](t *testing.T, r resource) (p T) {
	t.Helper()
	if err := json.Unmarshal(r.Properties, &p); err != nil {
		t.Fatal(r.ID, err)
	}
	return p
}

// settings are the app settings of an option.
func settings(t *testing.T, option string) map[string]string {
	t.Helper()
	for _, r := range of(predicted(t, option), "Microsoft.Web/sites/config") {
		if strings.HasSuffix(r.Name, "/appsettings") {
			return properties[map[string]string](t, r)
		}
	}
	t.Fatal(option, "has no settings")
	return nil
}

// hosts are settings that the Functions host reads, and the program does not, where it has the name of the account.
var hosts = []string{
	"APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING", "AzureWebJobsStorage__blobServiceUri",
	"AzureWebJobsStorage__queueServiceUri", "AzureWebJobsStorage__tableServiceUri",
}

// elsewhere are settings of the table in docs/get-started.md that no template gives, and why.
var elsewhere = map[string]string{
	"AzureWebJobsStorage":                            "a connection string has a key, and the account takes none",
	"AzureWebJobsStorage__serviceUri":                "another name of the address of the queues",
	"AzureWebJobsStorage__managedIdentityResourceId": "not every host reads it",
	"LIFEBOAT_APP":                                   "Azure gives the site its name",
}

// TestSettings compares the settings that the template gives with the table of docs/get-started.md, in both directions.
func TestSettings(t *testing.T) {
	table := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:LIFEBOAT|AzureWebJobs)[A-Za-z_]+)` \\|").FindAllStringSubmatch(read(t, root+"/docs/get-started.md"), -1) {
		table[m[1]] = true
	}
	if len(table) < 15 {
		t.Fatal(table)
	}
	given := map[string]bool{}
	for name := range settings(t, "government") { // has the settings of the public cloud, and more
		given[name] = true
	}
	for name := range settings(t, "plain") {
		if !given[name] {
			t.Errorf("only the public cloud has %s", name)
		}
	}
	if err := compareSettings(given, table); err != nil {
		t.Error(err)
	}
	for name, wrong := range map[string]func(given, table map[string]bool){
		"the template gives LIFEBOAT_PLANS":     func(g, _ map[string]bool) { g["LIFEBOAT_PLANS"] = true },
		"no template gives LIFEBOAT_CLOUD":      func(g, _ map[string]bool) { delete(g, "LIFEBOAT_CLOUD") },
		"no template gives LIFEBOAT_NEW":        func(_, table map[string]bool) { table["LIFEBOAT_NEW"] = true },
		"the template gives LIFEBOAT_STOPPED":   func(_, table map[string]bool) { delete(table, "LIFEBOAT_STOPPED") },
		"the template gives LIFEBOAT_APP, thou": func(g, _ map[string]bool) { g["LIFEBOAT_APP"] = true },
	} {
		g, table := maps.Clone(given), maps.Clone(table)
		wrong(g, table)
		if err := compareSettings(g, table); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s was not seen: %v", name, err)
		}
	}
}

func compareSettings(given, table map[string]bool) error {
	var errs []error
	for name, is := range given {
		switch {
		case is && elsewhere[name] != "":
			errs = append(errs, fmt.Errorf("the template gives %s, though %s", name, elsewhere[name]))
		case is && !table[name] && !slices.Contains(hosts, name):
			errs = append(errs, fmt.Errorf("the template gives %s, which the table has not got", name))
		}
	}
	for name := range table {
		if !given[name] && elsewhere[name] == "" {
			errs = append(errs, fmt.Errorf("no template gives %s", name))
		}
	}
	return errors.Join(errs...)
}

// TestSettingsAreRead gives the settings of each option to the program, which must take them, ask for each, and understand them as
// they were meant.
func TestSettingsAreRead(t *testing.T) {
	for _, option := range []string{"plain", "settings", "network-new", "network-existing", "network-policy", "sign-in", "no-roles", "azd", "government"} {
		asked := map[string]bool{}
		given := settings(t, option)
		getenv := func(name string) string {
			asked[name] = true
			if name == "AzureWebJobsStorage__clientId" {
				return "0c0ffee0-0000-4000-8000-00000000000f" // known only to Azure
			}
			return evaluate(given[name], map[bool]string{true: azure.Government.Storage, false: azure.Public.Storage}[option == "government"])
		}
		var environ []string
		for name, value := range given {
			environ = append(environ, name+"="+value)
			if value == "" {
				t.Errorf("%s: %s is empty", option, name)
			}
		}
		got, err := config.FromEnvironment(getenv)
		_, noCredential := storage.Credential(getenv, azcore.ClientOptions{})
		clients, noStorage := storage.Open(getenv, nil, azcore.ClientOptions{Cloud: got.Cloud.Configuration})
		_, noPlan := got.PlanSource(config.NewReader(services.All().Known()), nil, azcore.ClientOptions{Cloud: got.Cloud.Configuration})
		if err := errors.Join(config.CheckEnvironment(environ), err, noCredential, noStorage, noPlan); err != nil {
			t.Errorf("%s: %v", option, err)
		}
		if account := of(predicted(t, option), "Microsoft.Storage/storageAccounts")[0].Name; clients.AccountName != account {
			t.Errorf("%s: the program takes the account %s, and not %s", option, clients.AccountName, account)
		}
		for name := range given {
			if !asked[name] && !slices.Contains(hosts, name) {
				t.Errorf("%s: the program does not read %s", option, name)
			}
		}
		for timer, s := range got.Timers {
			if s.Wrong != nil {
				t.Errorf("%s: timer %s: %v", option, timer, s.Wrong)
			}
		}
		if option == "settings" && (got.Concurrency != 500 || !got.EventsBase64 || got.Stopped != "stopped by LIFEBOAT_STOPPED: incident 42" ||
			got.EventsTopic == (azure.TopicAddress{}) || got.Plan != "https://contosoplans.blob.core.windows.net/plans/plan.yaml") {
			t.Errorf("settings: %+v", got)
		}
		if option == "plain" && (got.Concurrency != 50 || got.EventsBase64 || got.Stopped != "" || got.Cloud.Name != azure.Public.Name) {
			t.Errorf("plain: %+v", got)
		}
	}
	for name, wrong := range map[string]string{"LIFEBOAT_CONCURRENCY": "501", "LIFEBOAT_CLOUD": "AzurePublic", "LIFEBOAT_EVENTS_ENCODING": "plain"} {
		_, err := config.FromEnvironment(func(setting string) string {
			return map[bool]string{true: wrong, false: settings(t, "plain")[setting]}[setting == name]
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, wrong, err)
		}
	}
}

// evaluate returns the value of a setting in a cloud, of which a prediction knows no more than an expression.
func evaluate(value, suffix string) string {
	m := regexp.MustCompile(`^\[format\('(.*)', '([^']*)', environment\(\)\.suffixes\.storage\)\]$`).FindStringSubmatch(value)
	if m == nil {
		return value
	}
	return strings.NewReplacer("{0}", m[2], "{1}", suffix).Replace(m[1])
}

// TestBoundsOfSettings checks that the template takes no number that the program refuses, and the other way round.
func TestBoundsOfSettings(t *testing.T) {
	var template struct {
		Parameters map[string]struct {
			MinValue, MaxValue int
			AllowedValues      []any
		}
	}
	if err := json.Unmarshal([]byte(read(t, root+"/azuredeploy.json")), &template); err != nil {
		t.Fatal(err)
	}
	if c := template.Parameters["concurrency"]; c.MinValue != 1 || c.MaxValue != backup.MostConcurrency {
		t.Errorf("concurrency is %d to %d, and not 1 to %d", c.MinValue, c.MaxValue, backup.MostConcurrency)
	}
	for parameter, setting := range map[string]string{"cloud": azure.CloudSetting, "eventsEncoding": "LIFEBOAT_EVENTS_ENCODING"} {
		for _, value := range template.Parameters[parameter].AllowedValues {
			_, err := config.FromEnvironment(func(name string) string {
				return map[string]string{"LIFEBOAT_PLAN": "plan.yaml", setting: fmt.Sprint(value)}[name]
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	if clouds := template.Parameters["cloud"].AllowedValues; len(clouds) != 3 {
		t.Errorf("the clouds are %v", clouds)
	}
}

// TestQueues compares the queues and the table of the template with the program, in both directions.
func TestQueues(t *testing.T) {
	want := map[string]bool{backup.EventsQueue: true}
	paths, err := filepath.Glob(root + "/functions/*/function.json")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		var f struct {
			Bindings []struct{ Type, QueueName string }
		}
		if err := json.Unmarshal([]byte(read(t, path)), &f); err != nil {
			t.Fatal(path, err)
		}
		for _, b := range f.Bindings {
			if b.Type == "queueTrigger" {
				want[b.QueueName] = true
			}
		}
	}
	names := func(kind string) map[string]bool {
		found := map[string]bool{}
		for _, r := range of(predicted(t, "plain"), kind) {
			found[r.Name[strings.LastIndex(r.Name, "/")+1:]] = true
		}
		return found
	}
	got := names("Microsoft.Storage/storageAccounts/queueServices/queues")
	if err := compareQueues(got, want); err != nil {
		t.Error(err)
	}
	for reason, wrong := range map[string]func(got, want map[string]bool){
		"and the program needs":         func(got, _ map[string]bool) { delete(got, "backup-requests") },
		"makes the queues [a ":          func(got, _ map[string]bool) { got["a"] = true },
		"does not know the queue other": func(got, want map[string]bool) { got["other"], want["other"] = true, true },
	} {
		g, w := maps.Clone(got), maps.Clone(want)
		wrong(g, w)
		if err := compareQueues(g, w); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if tables := names("Microsoft.Storage/storageAccounts/tableServices/tables"); !maps.Equal(tables, map[string]bool{"lifeboat": true}) {
		t.Errorf("the tables are %v", tables)
	}
	if !strings.Contains(read(t, root+"/main.go"), `table.New(clients.Tables, "lifeboat",`) {
		t.Error("the program keeps its rows in a table of another name")
	}
}

// TestTopic checks the topic of Event Grid: it takes no key, the app may send to it and to nothing else, and no option has one unasked.
func TestTopic(t *testing.T) {
	resources := predicted(t, "events")
	topics := of(resources, "Microsoft.EventGrid/topics")
	if len(topics) != 1 {
		t.Fatal(topics)
	}
	p := properties[struct {
		InputSchema      string
		DisableLocalAuth bool
	}](t, topics[0])
	if p.InputSchema != "CloudEventSchemaV1_0" || !p.DisableLocalAuth {
		t.Errorf("%+v", p)
	}
	grants := 0
	for _, r := range of(resources, "Microsoft.Authorization/roleAssignments") {
		sends := strings.Contains(string(r.Properties), roles(t)["EventGrid Data Sender"].ID)
		if strings.Contains(r.ID, topics[0].ID) != sends {
			t.Errorf("a grant: %s %s", r.ID, r.Properties)
		}
		if sends {
			grants++
		}
	}
	subscriptions := of(resources, "Microsoft.EventGrid/topics/eventSubscriptions")
	if address := settings(t, "events")["LIFEBOAT_EVENTS_TOPIC"]; grants != 1 || len(subscriptions) != 1 || !strings.Contains(address, topics[0].ID) {
		t.Errorf("%d grants, %d subscriptions, and the app publishes to %s", grants, len(subscriptions), address)
	}
	for _, option := range options(t) {
		if topics := of(predicted(t, option), "Microsoft.EventGrid/topics"); !strings.HasPrefix(option, "events") && len(topics) != 0 {
			t.Errorf("%s makes %v", option, topics)
		}
	}
}

// TestEventsForPeople checks what brings events to people: a queue for each address, into which the topic alone may put the events that a
// person must know and out of which one Logic App takes them, without a key, and no option has that unasked.
func TestEventsForPeople(t *testing.T) {
	path := root + "/infra/events.json"
	var want, kept []string
	cells := regexp.MustCompile("(?m)^\\| \\[[^]]+\\]\\([a-z-]+\\.md\\) \\| (`lifeboat\\.[a-z.-]+`(?:, `lifeboat\\.[a-z.-]+`)*) \\|") // others say more than a type
	for _, cell := range cells.FindAllStringSubmatch(read(t, root+"/docs/runbooks/README.md"), -1) {
		want = append(want, strings.Split(strings.ReplaceAll(cell[1], "`", ""), ", ")...)
	}
	slices.Sort(want)
	if *update {
		write(t, path, encoded(t, want))
	}
	if err := json.Unmarshal([]byte(read(t, path)), &kept); err != nil || !slices.Equal(kept, want) || len(want) < 15 {
		t.Errorf("infra/events.json has %q, and the index of the runbooks %q: %v", kept, want, err)
	}
	resources := predicted(t, "events-people")
	subscriptions, grants := map[string]bool{}, map[string]string{}
	for _, r := range of(resources, "Microsoft.EventGrid/topics/eventSubscriptions") {
		if strings.HasSuffix(r.Name, "/webhook") { // its address is a secret, so whether it is there is not predicted
			continue
		}
		p := properties[struct {
			Filter                       struct{ IncludedEventTypes []string }
			DeliveryWithResourceIdentity struct {
				Identity    struct{ Type string }
				Destination struct {
					EndpointType string
					Properties   struct{ QueueName string }
				}
			}
		}](t, r)
		to := p.DeliveryWithResourceIdentity
		if !slices.Equal(p.Filter.IncludedEventTypes, want) || to.Identity.Type != "SystemAssigned" || to.Destination.EndpointType != "StorageQueue" {
			t.Errorf("%s: %+v", r.Name, p)
		}
		subscriptions[to.Destination.Properties.QueueName] = true
	}
	if !maps.Equal(subscriptions, map[string]bool{"lifeboat-teams": true, "lifeboat-tickets": true}) {
		t.Errorf("the subscriptions fill %v", subscriptions)
	}
	for _, r := range of(resources, "Microsoft.Authorization/roleAssignments") {
		for queue := range subscriptions {
			if strings.Contains(r.ID, "/queues/"+queue+"/") {
				p := properties[struct{ RoleDefinitionID string }](t, r)
				for name, role := range roles(t) {
					if role.ID != "" && strings.HasSuffix(p.RoleDefinitionID, role.ID) {
						grants[queue+" "+name] = r.ID
					}
				}
			}
		}
	}
	if len(grants) != 4 || grants["lifeboat-teams Storage Queue Data Message Sender"] == "" || grants["lifeboat-tickets Storage Queue Data Message Processor"] == "" {
		t.Errorf("the roles are %v", slices.Sorted(maps.Keys(grants)))
	}
	flows := of(resources, "Microsoft.Logic/workflows")
	for _, r := range flows {
		p := properties[struct{ Definition json.RawMessage }](t, r)
		if text := string(p.Definition); strings.Contains(text, "contoso.example") || strings.Contains(text, "of-the-ticket-system") {
			t.Errorf("%s shows its address or its key to its readers: %s", r.Name, text)
		}
		if !regexp.MustCompile(`"operationOptions":\s*"DisableAsyncPattern"`).Match(p.Definition) {
			t.Errorf("%s asks on after a 202", r.Name)
		}
	}
	if len(flows) != 2 {
		t.Errorf("%d Logic Apps", len(flows))
	}
	for _, option := range options(t) {
		if flows := of(predicted(t, option), "Microsoft.Logic/workflows"); option != "events-people" && len(flows) != 0 {
			t.Errorf("%s makes %v", option, flows)
		}
	}
}

func compareQueues(got, want map[string]bool) error {
	for queue := range want {
		if !slices.Contains(backup.OwnQueues, queue) {
			return fmt.Errorf("the program does not know the queue %s as its own", queue)
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the template makes the queues %v, and the program needs %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	return nil
}

// TestStarterPlan checks that the first plan is valid, and backs up nothing.
func TestStarterPlan(t *testing.T) {
	plans, warnings, err := config.NewReader(services.All().Known()).Parse("starter.yaml", []byte(read(t, root+"/infra/starter.yaml")))
	if err != nil || len(plans) != 0 || len(warnings) != 0 {
		t.Errorf("%v, %v, %v", plans, warnings, err)
	}
}

// role is a row of infra/roles.json. A role of ours has no ID: each subscription gives it another.
type role struct {
	Name, ID             string
	Local                bool
	Actions, DataActions []string
}

func roles(t *testing.T) map[string]role {
	t.Helper()
	var list []role
	if err := json.Unmarshal([]byte(read(t, root+"/infra/roles.json")), &list); err != nil {
		t.Fatal(err)
	}
	byName := map[string]role{}
	for _, r := range list {
		byName[r.Name] = r
	}
	if len(byName) != len(list) || len(list) < 10 {
		t.Fatal("names", list)
	}
	return byName
}

// TestRoles checks roles.json: roles of Azure have an ID, ours have actions, and none of ours may do harm.
func TestRoles(t *testing.T) {
	ids := map[string]bool{}
	guid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for name, r := range roles(t) {
		ours := strings.HasPrefix(name, "Lifeboat ")
		if ours != (r.ID == "") || ours != (len(r.Actions)+len(r.DataActions) > 0) || !ours && !guid.MatchString(r.ID) || ids[r.ID] && !ours {
			t.Errorf("%+v", r)
		}
		ids[r.ID] = true
		if name == "Lifeboat Vault Block Writer" { // Azure has no smaller action for blocks
			r.DataActions = slices.DeleteFunc(r.DataActions, func(action string) bool { return strings.HasSuffix(action, "/blobs/write") })
		}
		if harm := harm(r); harm != "" {
			t.Errorf("%s may %s", name, harm)
		}
	}
	for _, action := range []string{
		"*", "Microsoft.ApiManagement/service/*", "Microsoft.ApiManagement/service/delete", "Microsoft.ApiManagement/service/write",
		"Microsoft.Storage/storageAccounts/regenerateKey/action", "Microsoft.Storage/storageAccounts/listKeys/action",
		"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write", "Microsoft.ApiManagement/service/getssotoken/action",
		"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
	} {
		if harm(role{Actions: []string{action}}) == "" || harm(role{DataActions: []string{action}}) == "" {
			t.Errorf("%s would be no harm", action)
		}
	}
	// No GUID stands in a template: each is of roles.json.
	literal := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	named := regexp.MustCompile(`'((?:Storage|Monitoring|Reader|EventGrid|Managed HSM|Lifeboat [AVLM])[A-Za-z ]*)'`)
	for _, path := range bicepFiles(t) {
		text := read(t, path)
		if found := literal.FindString(text); found != "" {
			t.Errorf("%s has the ID %s", path, found)
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if _, ok := roles(t)[m[1]]; !ok && strings.Contains(m[1], " ") {
				t.Errorf("%s names the role %q, which roles.json has not got", path, m[1])
			}
		}
	}
}

// harm says what a role may do that no role of ours should: everything but looking, backing up, restoring, and adding blobs.
func harm(r role) string {
	allowed := regexp.MustCompile(`^Microsoft\.[A-Za-z/]+/(read|backup/action|restore/action|filesExport/action|blobs/add/action)$`)
	for _, action := range append(slices.Clone(r.Actions), r.DataActions...) {
		if !allowed.MatchString(action) {
			return action
		}
	}
	return ""
}

// TestLeastPower checks the grants and accounts of each option, and that no network is there without being asked for.
func TestLeastPower(t *testing.T) {
	byID := map[string]string{}
	for _, r := range roles(t) {
		byID[r.ID] = r.Name
		for _, n := range []string{"1", "2", "3"} {
			if r.ID == "" {
				byID[grants.GUID("/subscriptions/"+subscription[:len(subscription)-1]+n, r.Name)] = r.Name
			}
		}
	}
	delete(byID, "")
	for _, option := range append(options(t), "plan/grants") {
		resources := predicted(t, option)
		for _, r := range resources {
			if err := powerless(t, option, r, byID); err != nil {
				t.Errorf("%s: %s: %v", option, r.ID, err)
			}
		}
		account := strings.HasPrefix(option, "grants-") || strings.HasPrefix(option, "plan/") || strings.HasPrefix(option, "vault") ||
			strings.HasPrefix(option, "backups")
		network := of(resources, "Microsoft.Network/virtualNetworks")
		zones := of(resources, "Microsoft.Network/privateDnsZones")
		if !account && (len(network) > 0 || len(zones) > 0) != (option == "network-new") {
			t.Errorf("%s makes %d networks and %d zones", option, len(network), len(zones))
		}
		if workspaces := of(resources, "Microsoft.OperationalInsights/workspaces"); !account && (len(workspaces) == 0) != (option == "network-existing") {
			t.Errorf("%s makes %d workspaces", option, len(workspaces))
		}
	}
	if given := of(predicted(t, "no-roles"), "Microsoft.Authorization/roleAssignments"); len(given) != 0 {
		t.Errorf("no-roles: %v", given)
	}
	// Each of these must be seen.
	for name, wrong := range map[string]resource{
		"keys":      {Type: "Microsoft.Storage/storageAccounts", Name: "stlifeboat", Properties: json.RawMessage(`{"allowSharedKeyAccess": true}`)},
		"anonymous": {Type: "Microsoft.Storage/storageAccounts", Name: "stlifeboat", Properties: json.RawMessage(`{"allowBlobPublicAccess": true}`)},
		"on a whole account": {
			ID: "/subscriptions/x/providers/Microsoft.Storage/storageAccounts/stbackups/providers/y", Type: "Microsoft.Authorization/roleAssignments",
			Properties: json.RawMessage(`{"roleDefinitionId": "/x/ba92f5b4-2d11-453d-a403-e96b0029c9fe", "principalType": "ServicePrincipal"}`),
		},
		"unknown role": {
			ID: "/x", Type: "Microsoft.Authorization/roleAssignments",
			Properties: json.RawMessage(`{"roleDefinitionId": "/x/8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "principalType": "ServicePrincipal"}`),
		},
		"outside the group": {ID: "/subscriptions/x/resourceGroups/other/providers/y", Type: "Microsoft.Web/sites"},
	} {
		option := map[bool]string{true: "azd", false: "backups"}[name == "outside the group"]
		if err := powerless(t, option, wrong, byID); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s was not seen: %v", name, err)
		}
	}
}

// powerless refuses a resource of an option that gives more than it should.
func powerless(t *testing.T, option string, r resource, roles map[string]string) error {
	t.Helper()
	switch r.Type {
	case "Microsoft.Storage/storageAccounts":
		p := properties[struct{ AllowSharedKeyAccess, AllowBlobPublicAccess bool }](t, r)
		if p.AllowSharedKeyAccess != strings.HasPrefix(r.Name, "stledgers") {
			return fmt.Errorf("its keys are let in: %v", p.AllowSharedKeyAccess)
		}
		if p.AllowBlobPublicAccess {
			return errors.New("anonymous readers are let in")
		}
	case "Microsoft.Authorization/roleAssignments":
		p := properties[struct{ RoleDefinitionID, PrincipalID, PrincipalType string }](t, r)
		name, known := roles[p.RoleDefinitionID[strings.LastIndex(p.RoleDefinitionID, "/")+1:]]
		switch {
		case !known:
			return errors.New("unknown role " + p.RoleDefinitionID)
		case name == "Storage Blob Data Contributor" && !strings.Contains(r.ID, "/containers/"):
			return errors.New("it is on a whole account")
		case strings.HasPrefix(option, "vault") && name != "Reader" && !strings.HasPrefix(name, "Lifeboat Vault "):
			return errors.New("a vault has grants to read and to add alone")
		}
	}
	if option == "azd" && !strings.Contains(r.ID, "/resourceGroups/rg-lifeboat-prod") {
		return errors.New("outside the group that azd down deletes")
	}
	return nil
}

// TestVault checks the grants in a vault: the app may read and add, also where a service writes in blocks, and no identity may delete.
func TestVault(t *testing.T) {
	for option, want := range map[string][2]string{
		"vault":        {"Lifeboat Vault Writer", "Lifeboat Vault Writer"},
		"vault-blocks": {"Lifeboat Vault Writer", "Lifeboat Vault Block Writer"},
	} {
		resources, defined := predicted(t, option), map[string]string{}
		for _, r := range of(resources, "Microsoft.Authorization/roleDefinitions") {
			p := properties[struct {
				RoleName    string
				Permissions []struct{ Actions, NotActions, DataActions, NotDataActions []string }
			}](t, r)
			name := strings.TrimSuffix(p.RoleName, " ("+subscription+")")
			if is := roles(t)[name]; len(p.Permissions) != 1 || !slices.Equal(p.Permissions[0].DataActions, is.DataActions) || !slices.Equal(p.Permissions[0].Actions, is.Actions) {
				t.Errorf("%s: %s: %+v", option, name, p)
			}
			defined[r.Name] = name
		}
		given := map[string]string{}
		for _, r := range of(resources, "Microsoft.Authorization/roleAssignments") {
			p := properties[struct{ RoleDefinitionID, PrincipalID string }](t, r)
			if scope, _, _ := strings.Cut(r.ID, "/providers/Microsoft.Authorization/"); strings.Contains(scope, "/containers/") {
				id := p.RoleDefinitionID[strings.LastIndex(p.RoleDefinitionID, "/")+1:]
				if name := grants.GUID(strings.ToLower(scope), app, id); p.PrincipalID == app && r.Name != name {
					t.Errorf("%s: the app's grant is %s, and plan roles would name it %s", option, r.Name, name)
				}
				given[p.PrincipalID] = defined[p.RoleDefinitionID[strings.LastIndex(p.RoleDefinitionID, "/")+1:]]
			}
		}
		if got := [2]string{given[app], given["0c0ffee0-0000-4000-8000-000000000004"]}; got != want || len(given) != 2 {
			t.Errorf("%s: %v", option, given)
		}
		// A rule deletes what the app may not, never before the policy is over, or while Azure could restore it.
		rules := of(resources, "Microsoft.Storage/storageAccounts/managementPolicies")
		if len(rules) != 1 || !strings.Contains(string(rules[0].Properties), `"daysAfterCreationGreaterThan": 31`) {
			t.Errorf("%s has %d rules, or none that deletes after 31 days", option, len(rules))
		}
		policies := of(resources, "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies")
		if len(policies) != len(of(resources, "Microsoft.Storage/storageAccounts/blobServices/containers")) {
			t.Errorf("%s: %d containers are immutable", option, len(policies))
		}
	}
}

// TestOtherResourcesStay checks that azd's template names neither the deployments of backups nor those of grants.
func TestOtherResourcesStay(t *testing.T) {
	used := regexp.MustCompile(`(?m)^module \w+ '([^']+)'`)
	for _, path := range []string{root + "/infra/main.bicep", root + "/infra/app.bicep"} {
		for _, m := range used.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], "backups") || strings.Contains(m[1], "vault") || strings.Contains(m[1], "grants") {
				t.Errorf("%s deploys %s, which azd down would delete", path, m[1])
			}
		}
	}
}

// untaggable are the types of the templates that have no tags in Azure: parts of other resources, and settings and grants on them.
var untaggable = []string{
	"Microsoft.Authorization/roleAssignments", "Microsoft.EventGrid/topics/eventSubscriptions", "Microsoft.Insights/diagnosticSettings",
	"Microsoft.Network/privateEndpoints/privateDnsZoneGroups", "Microsoft.Storage/storageAccounts/blobServices",
	"Microsoft.Storage/storageAccounts/blobServices/containers", "Microsoft.Storage/storageAccounts/managementPolicies",
	"Microsoft.Storage/storageAccounts/queueServices", "Microsoft.Storage/storageAccounts/queueServices/queues",
	"Microsoft.Storage/storageAccounts/tableServices", "Microsoft.Storage/storageAccounts/tableServices/tables",
	"Microsoft.Web/sites/basicPublishingCredentialsPolicies", "Microsoft.Web/sites/config", "Microsoft.Web/sites/extensions",
}

// TestAzdKnowsWhatIsLifeboats checks that each resource that comes with an app has the tag of its environment: azd down is refused
// where one has not.
func TestAzdKnowsWhatIsLifeboats(t *testing.T) {
	apps, seen := 0, map[string]bool{}
	for _, option := range options(t) {
		resources := predicted(t, option)
		if sites := of(resources, "Microsoft.Web/sites"); len(sites) == 0 {
			continue // it makes no app
		}
		apps++
		if foreign := foreign(resources); len(foreign) > 0 {
			t.Errorf("%s: azd down would be refused for %q", option, foreign)
		}
		for n, r := range resources {
			if seen[r.Type] = true; slices.Contains(untaggable, r.Type) {
				continue
			}
			for _, tags := range []map[string]string{nil, {"azd-env-name": "other"}} {
				wrong := slices.Clone(resources)
				if wrong[n].Tags = tags; len(foreign(wrong)) == 0 {
					t.Errorf("%s: azd down would not be seen to be refused for %s with the tags %v", option, r.ID, tags)
				}
			}
		}
	}
	if apps < 10 {
		t.Errorf("only %d options make an app", apps)
	}
	for _, kind := range untaggable {
		if !seen[kind] {
			t.Errorf("no option makes a %s", kind)
		}
	}
}

// foreign are the IDs of the resources without the tag that the app has.
func foreign(resources []resource) (ids []string) {
	environment := of(resources, "Microsoft.Web/sites")[0].Tags["azd-env-name"]
	for _, r := range resources {
		if !slices.Contains(untaggable, r.Type) && (environment == "" || r.Tags["azd-env-name"] != environment) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// TestLintRules checks that each rule is an error, but for the one that fails by the calendar.
func TestLintRules(t *testing.T) {
	text := regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(read(t, root+"/bicepconfig.json"), "")
	var c struct {
		Analyzers struct {
			Core struct {
				Enabled bool
				Rules   map[string]struct{ Level string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if !c.Analyzers.Core.Enabled || len(c.Analyzers.Core.Rules) < 40 {
		t.Error(c)
	}
	for rule, r := range c.Analyzers.Core.Rules {
		if want := map[bool]string{true: "off", false: "error"}[rule == "use-recent-api-versions"]; r.Level != want {
			t.Errorf("%s is %s", rule, r.Level)
		}
	}
	err := fs.WalkDir(os.DirFS(root), "infra", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".bicep") {
			for _, m := range regexp.MustCompile(`#disable-\S+ (\S+)(.*)`).FindAllStringSubmatch(read(t, root+"/"+path), -1) {
				if m[1] != "BCP187" || !strings.Contains(m[2], "//") {
					t.Errorf("%s switches off %s without a reason", path, m[1])
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
