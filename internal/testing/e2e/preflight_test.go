package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/services"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// blocksOf returns the blocks of a plan with one block, or none if its value is "".
func blocksOf(field, value string) backup.Blocks {
	if value == "" {
		return ""
	}
	return backup.NewBlocks(map[string]any{field: value})
}

// ask creates a run of the target with these settings, as the API would for a plan with them.
func (a *app) ask(ctx context.Context, target string, s backup.Settings) string {
	a.t.Helper()
	queues, err := azqueue.NewServiceClient("https://"+a.config.Account+".queue.core.windows.net",
		world.Sim.Credential(probe), &azqueue.ClientOptions{ClientOptions: options()})
	if err != nil {
		a.t.Fatal(err)
	}
	e := &engine.Engine{
		Catalog: a.catalog, Queue: queue.New(queues, "e2e"), Services: services.All().Known(), Timings: engine.DefaultTimings().Scaled(factor), Now: time.Now,
		NewID: func() string { return strings.ReplaceAll(uuid.NewString(), "-", "") },
	}
	s.KeepWithin = 24 * time.Hour
	plans := []backup.Plan{{Name: "preflight", Targets: []string{target}, Settings: s}}
	b, _, err := e.Backup(ctx, request.Backup{ID: uuid.NewString(), Target: target}, plans)
	if err != nil {
		a.t.Fatal(err)
	}
	return b.Runs[0].ID
}

// newAccount attaches a storage account for backups alone. The program has the roles of docs/services.md on it, including the
// roles for its key.
func newAccount(t *testing.T, a *app) (name string) {
	t.Helper()
	n := taken.Add(1) - 1
	if int(n) >= len(accounts) {
		t.Fatal("more storage accounts in use than there are")
	}
	name = accounts[n]
	world.Sim.Assign(a.ObjectID, stack.Account(name), fakeazure.StorageBlobDataContributor, fakeazure.Reader,
		fakeazure.StorageAccountKeyOperator)
	return name
}

// setAccount attaches an account again, with the change.
func setAccount(t *testing.T, name string, change func(*fakeazure.StorageAccount)) fakeazure.StorageAccount {
	t.Helper()
	account, err := world.SetAccount(name, change)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// startsSent counts the POSTs of backups of the target, from any sender and with any answer, in the simulator's log.
func startsSent(target string) (n int) {
	for _, c := range world.Sim.Calls() {
		if c.Method == http.MethodPost && strings.EqualFold(c.Path, target+"/backup") {
			n++
		}
	}
	return n
}

// TestPreflightRefusals: each makes the run end refused, with Azure's reason and a hint in its history and its event, and no
// POST of a backup is ever sent.
func TestPreflightRefusals(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	if err := a.Invoke(ctx, "schedule"); err != nil { // makes the table
		t.Fatal(err)
	}
	account := newAccount(t, a)
	world.Sim.Assign(a.ObjectID, stack.Account("lifeboatnowhere"), fakeazure.Reader)
	elsewhere := "/subscriptions/0c0ffee0-0000-4000-8000-0000000000ff/resourceGroups/local/providers/" +
		"Microsoft.ApiManagement/service/"
	closed := func(f fakeazure.Firewall) func(*fakeazure.StorageAccount) {
		f.Deny = true
		return func(a *fakeazure.StorageAccount) { a.Firewall = f }
	}
	well := fakeazure.Service{SystemAssigned: true, UserAssigned: []string{"backup-writer"}}
	writer := world.Sim.ClientID("backup-writer")

	for _, c := range []struct {
		name     string
		service  fakeazure.Service
		scope    string // the scope of the service, if not the group of the program's role
		account  func(*fakeazure.StorageAccount)
		identity string
		storage  string // the account's resource ID, if it is not the variable account
		code     string
		message  string
		hint     string
	}{
		{
			name: "Consumption", service: fakeazure.Service{SKU: "Consumption", SystemAssigned: true},
			code: "TierWithoutBackup", message: "Consumption", hint: "Developer, Basic, Standard and Premium",
		},
		{
			name: "a v2 tier", service: fakeazure.Service{SKU: "StandardV2", SystemAssigned: true},
			code: "TierWithoutBackup", message: "StandardV2", hint: "Developer, Basic, Standard and Premium",
		},
		{
			name: "workspaces", service: fakeazure.Service{SKU: "Premium", SystemAssigned: true, Workspaces: true},
			code: "HasWorkspaces", message: "workspaces", hint: "plan.yaml",
		},
		{
			name: "no system-assigned identity", service: fakeazure.Service{UserAssigned: []string{"backup-writer"}},
			code: "NoSystemIdentity", message: "system-assigned identity", hint: "Switch",
		},
		{
			name: "user-assigned identity not attached", service: fakeazure.Service{SystemAssigned: true}, identity: writer,
			code: "NoUserIdentity", message: writer, hint: "Attach",
		},
		{
			name: "no role on the service", service: well, scope: elsewhere,
			code: "AuthorizationFailed", message: "does not have authorization to perform action", hint: "service/read",
		},
		{
			name: "no such storage account", service: well, storage: stack.Account("lifeboatnowhere"),
			code: "ResourceNotFound", message: "lifeboatnowhere", hint: "plan.yaml",
		},
		{
			name: "no role on the container", service: well, storage: stack.Account(accounts[0]),
			code: "AuthorizationPermissionMismatch", message: "not authorized", hint: "Storage Blob Data Contributor",
		},
		{
			name: "CORS with PATCH", service: well,
			account: func(a *fakeazure.StorageAccount) { a.CORS = []string{"GET", "PATCH"} },
			code:    "StorageHasCORS", message: "GET, PATCH", hint: "Remove the CORS rules",
		},
		{
			name: "CORS without PATCH", service: well, account: func(a *fakeazure.StorageAccount) { a.CORS = []string{"GET"} },
			code: "StorageHasCORS", message: "GET", hint: "Remove the CORS rules",
		},
		{
			name: "keys switched off", service: well, identity: "accessKey",
			account: func(a *fakeazure.StorageAccount) { a.NoSharedKey = true },
			code:    "KeyAccessDisabled", message: "allowSharedKeyAccess", hint: "identity: system",
		},
		{
			name: "firewall, key, same region", service: well, identity: "accessKey",
			account: closed(fakeazure.Firewall{ControlPlane: true}),
			code:    "FirewallInSameRegion", message: "own region", hint: "another region",
		},
		{
			name: "firewall, user-assigned identity", service: well, identity: writer, account: closed(fakeazure.Firewall{}),
			code: "FirewallWithUserIdentity", message: "system-assigned identity only", hint: "identity: system",
		},
		{
			name: "firewall without trusted services", service: well, account: closed(fakeazure.Firewall{Bypass: "Logging"}),
			code: "FirewallWithoutTrustedServices", message: "trusted Azure services", hint: "AzureServices",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
			c.service.ResourceID = stack.Service(name)
			if c.scope != "" {
				c.service.ResourceID = c.scope + name
			}
			if err := world.Sim.AddService(c.service); err != nil {
				t.Fatal(err)
			}
			if c.account == nil {
				c.account = func(*fakeazure.StorageAccount) {}
			}
			if c.storage == "" {
				c.storage = setAccount(t, account, c.account).ResourceID
			}
			id := a.ask(ctx, c.service.ResourceID, backup.Settings{
				Blocks: blocksOf("identity", c.identity), Storage: backup.Storage{Account: c.storage, Container: stack.Container},
			})
			status, err := a.await(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			why := status.Run.Reason
			if status.Run.State != backup.StateRefused || status.Run.Attempt != 0 || why.Code != c.code ||
				!strings.Contains(why.Message, c.message) || !strings.Contains(why.Hint, c.hint) || why.Hint == "" {
				t.Errorf("the run is %s after %d attempts: %+v", status.Run.State, status.Run.Attempt, why)
			}
			if n := startsSent(c.service.ResourceID); n != 0 {
				t.Errorf("%d POSTs of a backup were sent", n)
			}
			a.wantRefusalShown(ctx, t, id, why)
		})
	}
}

// TestLiveCheck: plan check --live reports the same about each target as a run's preflight, in the same words. An identity
// with read access is enough for it, since it starts nothing and makes nothing.
func TestLiveCheck(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	who := "checker-" + uuid.NewString()
	id := world.Sim.ObjectID(who)
	world.Sim.Assign(id, stack.Scope, fakeazure.APIManagementServiceOperator, fakeazure.Reader)
	names := newServices(t, 2)
	good, busy := names[0], names[1]
	inject(t, busy, fakeazure.Fault{Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 429, Count: 1000, Code: "TooManyRequests"})
	add := func(s fakeazure.Service) string {
		name := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
		s.ResourceID += name
		if err := world.Sim.AddService(s); err != nil {
			t.Fatal(err)
		}
		return name
	}
	consumption := add(fakeazure.Service{ResourceID: stack.Service(""), SKU: "Consumption", SystemAssigned: true})
	faceless := add(fakeazure.Service{ResourceID: stack.Service("")})
	const elsewhere = "/subscriptions/0c0ffee0-0000-4000-8000-0000000000fe/resourceGroups/other/providers/" +
		"Microsoft.ApiManagement/service/"
	foreign := add(fakeazure.Service{ResourceID: elsewhere, SystemAssigned: true})
	container := "live-" + uuid.NewString()
	plan := strings.Replace(planFor(yearly, "1d", good, busy, consumption, faceless), stack.Container+"}", container+"}", 1) +
		"      - " + elsewhere + foreign + "\n"
	check := func(plan string) (code int, out, errs string) {
		file := filepath.Join(t.TempDir(), "plan.yaml")
		if err := os.WriteFile(file, []byte(plan), 0o600); err != nil {
			t.Fatal(err)
		}
		return commandIn(ctx, t, world.Environment(who), "", "plan", "check", "--live", file)
	}
	code, out, errs := check(plan)
	t.Logf("plan check --live\n%s%s", out, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	head := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "TARGET ") })
	if code != 1 || head < 0 || len(lines) < head+6 || errs != "3 of 5 targets cannot be backed up, and 1 could not be checked\n" {
		t.Fatalf("%d, %s\n%s", code, errs, out)
	}
	for i, want := range []struct{ target, result, code, words, hint string }{
		{good, "warning", "SameRegion", "are both in westeurope: nothing outside of that region has a copy (Standard_LRS)", "in another region"},
		{busy, "not now", "TooManyRequests", "Too Many Requests", "Lifeboat asks again"},
		{consumption, "refused", "TierWithoutBackup", "tier Consumption", "Developer, Basic, Standard and Premium"},
		{faceless, "refused", "NoSystemIdentity", "to write the backup with", "Switch"},
		{foreign, "refused", "AuthorizationFailed", "does not have authorization to perform", "service/read"},
	} {
		if got := strings.Join(strings.Fields(lines[head+1+i]), " "); got != strings.TrimSpace(want.target+" test "+want.result+" "+want.code) {
			t.Errorf("%q, want %+v", got, want)
		}
		_, below, told := strings.Cut(out, "\n"+want.target+": "+want.code+": ")
		said, below, _ := strings.Cut(below, "\n  ")
		hint, _, _ := strings.Cut(below, "\n")
		if told != (want.code != "") || !strings.Contains(said, want.words) || !strings.Contains(hint, want.hint) {
			t.Errorf("%q and %q, want %+v", said, hint, want)
		}
	}
	distant := add(fakeazure.Service{ResourceID: stack.Service(""), Location: "North Europe", SystemAssigned: true})
	code, out, errs = check(strings.Replace(planFor(yearly, "1d", distant), stack.Container+"}", container+"}", 1))
	if code != 0 || errs != "" || !strings.Contains(out, "  ok") || strings.Contains(out, "SameRegion") {
		t.Errorf("a good plan: %d, %s\n%s", code, errs, out)
	}
	reads := 0
	for _, c := range world.Sim.Calls() {
		switch {
		case c.ObjectID == id && (c.Method != http.MethodGet || strings.Contains(c.Host, ".blob.")):
			t.Errorf("it sent %s %s%s", c.Method, c.Host, c.Path)
		case c.ObjectID == id:
			reads++
		case strings.HasPrefix(c.Path, "/"+container):
			t.Errorf("somebody sent %s %s%s", c.Method, c.Host, c.Path)
		}
	}
	if reads < 9 {
		t.Errorf("%d reads: the test looks in the wrong place", reads)
	}
}

// wantRefusalShown checks that the refusal is in the API and among the events, for people and other programs.
func (a *app) wantRefusalShown(ctx context.Context, t *testing.T, id string, why backup.Reason) {
	t.Helper()
	response, text, err := a.request(ctx, "GET", "/api/runs/"+id, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var shown backupRun
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || shown.Status != "Failed" || shown.State != "refused" ||
		shown.Error == nil || shown.Error.Code != why.Code || !strings.Contains(string(text), "Hint") {
		t.Errorf("the API says %d %s", response.StatusCode, text)
	}
	for _, text := range a.events(ctx, t) {
		if strings.Contains(text, "lifeboat.run.refused") && strings.Contains(text, id) && strings.Contains(text, why.Code) {
			return
		}
	}
	t.Errorf("no event tells of the refusal of %s", id)
}

// download reads a blob of the backups' container.
func download(ctx context.Context, t *testing.T, account, name string) string {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(account), fakeazure.StorageBlobDataReader)
	client, err := azblob.NewClient("https://"+account+".blob.core.windows.net", world.Sim.Credential(probe),
		&azblob.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.DownloadStream(ctx, stack.Container, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// events removes all messages from the queue lifeboat-events and returns them.
func (a *app) events(ctx context.Context, t *testing.T) []string {
	t.Helper()
	return a.receive(ctx, t, "lifeboat-events")
}

// receive removes all messages from a queue and returns them.
func (a *app) receive(ctx context.Context, t testing.TB, queue string) []string {
	t.Helper()
	q := a.queue(queue)
	var all []string
	for {
		answer, err := q.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: ptr(int32(32))})
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Messages) == 0 {
			return all
		}
		for _, m := range answer.Messages {
			text := *m.MessageText
			if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
				text = string(plain)
			}
			all = append(all, text)
			if _, err := q.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// TestIdentityModes backs up with each identity, to an account that admits only that one if there is a choice.
func TestIdentityModes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	if err := a.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	writer := "writer-" + uuid.NewString()
	add := func(change func(*fakeazure.Options)) string {
		id := stack.Service("s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20])
		service := fakeazure.Service{ResourceID: id, SystemAssigned: true, UserAssigned: []string{writer}}
		if err := world.Sim.AddService(service); err != nil {
			t.Fatal(err)
		}
		if err := world.Sim.Tune(id, change); err != nil {
			t.Fatal(err)
		}
		return id
	}
	allowed := newAccount(t, a)
	for name, c := range map[string]struct {
		identity string
		account  func(*fakeazure.StorageAccount)
		options  func(*fakeazure.Options)
		who      func(target string) string
		state    backup.State
		words    string
	}{
		"system-assigned, through a firewall that trusts": {
			account: func(a *fakeazure.StorageAccount) { a.Firewall.Deny = true },
			options: func(k *fakeazure.Options) { k.TrustedServices = fakeazure.AdmitTrustedServices },
			who:     world.Sim.ObjectID, state: backup.Succeeded,
		},
		// Azure does not show this fault beforehand: the run's reason has Azure's own words, and a hint.
		"system-assigned, through a firewall that trusts no longer": {
			account: func(a *fakeazure.StorageAccount) { a.Firewall.Deny = true }, options: func(*fakeazure.Options) {},
			who: world.Sim.ObjectID, state: backup.Failed, words: "AuthorizationFailure",
		},
		"user-assigned": {
			identity: world.Sim.ClientID(writer), account: func(*fakeazure.StorageAccount) {}, options: func(*fakeazure.Options) {},
			who: func(string) string { return world.Sim.ObjectID(writer) }, state: backup.Succeeded,
		},
	} {
		target := add(c.options)
		account := setAccount(t, allowed, c.account)
		world.Sim.Assign(c.who(target), account.ResourceID, fakeazure.StorageBlobDataContributor)
		id := a.ask(ctx, target, backup.Settings{
			Blocks: blocksOf("identity", c.identity), Storage: backup.Storage{Account: account.ResourceID, Container: stack.Container},
		})
		status, err := a.await(ctx, id)
		if err != nil || status.Run.State != c.state || !strings.Contains(status.Run.Reason.Message, c.words) {
			t.Errorf("%s: %s, %v: %+v", name, status.Run.State, err, status.Run.Reason)
		}
	}
}

// keyed holds the storage accounts to which a service writes with their key, because the plan says so.
var keyed sync.Map

// TestTheAccessKeyIsNeverKept: the program makes a backup with the account's key, which it reads through Resource Manager.
// Only Azure's answer with the key and the request to the service contain it. It is in nothing else that the program sends or
// receives, nor in any row, queue, blob, answer of the API or line of the log: as it is, in URLs, or in base64.
func TestTheAccessKeyIsNeverKept(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	var mu sync.Mutex
	seen := map[string][]string{} // texts by the place where they were seen
	see := func(where string, texts ...string) {
		mu.Lock()
		defer mu.Unlock()
		seen[where] = append(seen[where], texts...)
	}
	shown := logTo(t)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service), Log: func(e fakehost.Entry) {
		see("log", e.String())
		shown(e)
	}})
	name := newAccount(t, a)
	account := setAccount(t, name, func(*fakeazure.StorageAccount) {})
	keyed.Store(name, true)
	// The service has only the key.
	world.Sim.Unassign(world.Sim.ObjectID(stack.Service(service)), stack.Account(stack.Backups))
	listed, handed := 0, 0
	intercept(t, a.ObjectID, func(x fakeazure.Exchange) fakeazure.Decision {
		texts := []string{x.Path, x.Query.Encode(), fmt.Sprint(x.Header), string(x.Body)}
		switch {
		case strings.HasSuffix(x.Path, "/listKeys") && x.Phase == fakeazure.After:
			mu.Lock()
			listed++
			mu.Unlock()
		case strings.HasSuffix(x.Path, "/backup") && strings.Contains(string(x.Body), account.Key):
			mu.Lock()
			handed++
			mu.Unlock()
		default:
			see("requests", append(texts, string(x.Answer))...)
		}
		return fakeazure.Pass
	})
	if err := a.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	target := stack.Service(service)
	settings := backup.Settings{
		Blocks: blocksOf("identity", "accessKey"), Storage: backup.Storage{Account: account.ResourceID, Container: stack.Container},
	}
	good := a.ask(ctx, target, settings)
	status, err := a.await(ctx, good)
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
	}
	// The service of this backup repeats its request's body.
	inject(t, service, fakeazure.Fault{
		Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 400, Code: "InvalidParameters",
		Message: "The key " + account.Key + " (" + url.QueryEscape(account.Key) + ") is not to our liking",
	})
	bad := a.ask(ctx, target, settings)
	status, err = a.await(ctx, bad)
	if err != nil || status.Run.State != backup.Failed ||
		!strings.Contains(status.Run.Reason.Message, "not to our liking") {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
	}

	for _, id := range []string{good, bad} {
		_, text, err := a.request(ctx, "GET", "/api/runs/"+id, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		see("API", string(text))
		if strings.Contains(string(text), "developer portal content") != (id == good) {
			t.Errorf("what the backup does not contain belongs to a backup: %s", text)
		}
	}
	for pages := tables(t, a.config.Account).NewClient("lifeboat").NewListEntitiesPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Entities {
			see("table", string(row))
		}
	}
	see("events", a.events(ctx, t)...)
	see("blob", download(ctx, t, name, good+".1"))

	mu.Lock()
	defer mu.Unlock()
	if listed != 2 || handed != 4 { // each request counts Before and After
		t.Errorf("the key was read %d times and handed on %d times, want twice, seen before and after", listed, handed/2)
	}
	for _, where := range []string{"log", "requests", "API", "table", "events", "blob"} {
		if len(seen[where]) == 0 {
			t.Errorf("nothing was seen in %s: the test looks in the wrong place", where)
		}
		if found := (secrets{account.Key}).in(strings.Join(seen[where], "\n")); found != "" {
			t.Errorf("%s is in %s", found, where)
		}
	}
}

// TestScenario30RoleLostForOneSubscription: the program's identity loses its role for one of two subscriptions. Only the runs
// there end, at once and with Azure's reason; the others continue, and with the role back all do.
func TestScenario30RoleLostForOneSubscription(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	const other = "/subscriptions/0c0ffee0-0000-4000-8000-000000000030/resourceGroups/local"
	here := newServices(t, 1)[0]
	there := other + "/providers/Microsoft.ApiManagement/service/" + here
	if err := world.Sim.AddService(fakeazure.Service{ResourceID: there, SystemAssigned: true}); err != nil {
		t.Fatal(err)
	}
	world.Sim.Assign(world.Sim.ObjectID(there), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	plan := strings.Replace(planFor(yearly, "1d", here), "    targets:\n", "    targets:\n      - "+there+"\n", 1)
	a := newApp(t, stack.AppConfig{Plan: plan})
	world.Sim.Assign(a.ObjectID, other, fakeazure.APIManagementServiceOperator)
	if err := a.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	storage := backup.Settings{
		Storage: backup.Storage{Account: stack.Account(stack.Backups), Container: stack.Container},
	}
	both := func(what string, thereState backup.State) backup.Run {
		t.Helper()
		ids := [2]string{a.ask(ctx, stack.Service(here), storage), a.ask(ctx, there, storage)}
		var ended [2]backup.Run
		for i, id := range ids {
			status, err := a.await(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			ended[i] = status.Run
		}
		if ended[0].State != backup.Succeeded || ended[1].State != thereState {
			t.Errorf("%s: here %s (%+v), there %s (%+v)", what, ended[0].State, ended[0].Reason, ended[1].State, ended[1].Reason)
		}
		return ended[1]
	}
	both("with both roles", backup.Succeeded)
	world.Sim.Unassign(a.ObjectID, other)
	sent, asked := startsSent(there), len(world.Sim.Calls())
	run := both("without one", backup.StateRefused)
	if why := run.Reason; why.Code != "AuthorizationFailed" || !strings.Contains(why.Message, there) ||
		!strings.Contains(why.Hint, "API Management Service Operator Role") {
		t.Errorf("the reason is %+v", why)
	}
	questions := 0
	for _, c := range world.Sim.Calls()[asked:] {
		if c.ObjectID == a.ObjectID && strings.HasPrefix(c.Path, other) {
			questions++
		}
	}
	if n := startsSent(there) - sent; n != 0 || questions != 1 {
		t.Errorf("%d starts and %d requests in all were sent without a role, want none and one", n, questions)
	}
	world.Sim.Assign(a.ObjectID, other, fakeazure.APIManagementServiceOperator)
	both("with the role back", backup.Succeeded)
}
