// Package e2e holds the tests of the whole: the real program under the local Functions host, on Azurite and the simulator,
// with bearer tokens over TLS.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/storage/table"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// factor makes a minute of Azure pass in half a second, for the program's waits as for Azure's side.
const factor = 1.0 / 120

// world is shared by all tests: every app has its own storage account and services.
var world *stack.Stack

// logged is an account of the Azurite that records its requests.
const logged = "lifeboatlogged"

// accounts are enough for every app of every test; Azurite must know them when it starts.
var (
	accounts []string
	taken    atomic.Int32
)

func TestMain(m *testing.M) {
	if file := os.Getenv(readerFile); file != "" {
		fmt.Fprintln(os.Stderr, serveReader(file))
		os.Exit(1)
	}
	flag.Parse()
	// By default go test runs as many tests in parallel as there are processors. Here more run, because a test waits for most
	// of its time. With eight, storage answered too late for waits that are shortened. The cases of two crash tests run beside them
	// from the beginning (see beside).
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6")
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "lifeboat-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		for i := range 200 {
			accounts = append(accounts, fmt.Sprintf("lifeboatapp%02d", i))
		}
		config := stack.Config{
			Dir: dir, Accounts: append([]string{logged}, accounts...), Azurites: 3, TimeScale: factor, Seed: 1, Notified: true,
			Progress: func(s string) { fmt.Println("#", s) },
		}
		if err := choose(&config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		world, err = stack.Start(context.Background(), config)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := world.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
		world.Sim.Intercept(dispatch)
		return m.Run()
	}())
}

// app is an app under test, with the test's own access to its table and queues.
type app struct {
	*stack.App
	t       testing.TB
	config  stack.AppConfig
	catalog backup.Catalog
	engine  *engine.Engine // reads only
	// early counts step messages that came before their step was saved: waits are shortened, and storage is not faster for it.
	early *atomic.Int32
}

// newApp starts an app with its own storage account.
func newApp(t testing.TB, c stack.AppConfig) *app {
	t.Helper()
	a := prepare(t, c)
	a.start(t)
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Errorf("stop the host: %v", err)
		}
	})
	return a
}

// start starts a prepared app; the caller stops it.
func (a *app) start(t testing.TB) {
	t.Helper()
	var err error
	if a.App, err = world.App(t.Context(), a.config); err != nil {
		t.Fatal(err)
	}
	if host, ok := a.Host.(*fakehost.Host); ok {
		hosts.Store(host, a.config.Account)
		t.Cleanup(func() { hosts.Delete(host) })
	}
}

// prepare gives an app its name and account without starting it.
func prepare(t testing.TB, c stack.AppConfig) *app {
	t.Helper()
	n := taken.Add(1) - 1
	if int(n) >= len(accounts) {
		t.Fatal("more apps than storage accounts")
	}
	if c.Account == "" {
		c.Account = accounts[n]
	}
	if c.Name == "" {
		c.Name = c.Account
	}
	if c.WaitFactor == 0 {
		c.WaitFactor = factor
	}
	if c.Log == nil {
		c.Log = logTo(t)
	}
	show, early := c.Log, new(atomic.Int32)
	c.Log = func(e fakehost.Entry) {
		if strings.Contains(e.Text, `"note":"too early: put back"`) {
			early.Add(1)
		}
		show(e)
	}
	catalog := table.New(tables(t, c.Account), "lifeboat", uuid.NewString)
	return &app{t: t, config: c, early: early, catalog: catalog, engine: &engine.Engine{Catalog: catalog}}
}

// logTo prints the log of host and program if the test fails.
func logTo(t testing.TB) func(fakehost.Entry) {
	var mu sync.Mutex
	var lines []string
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Log(strings.Join(lines, "\n"))
		}
	})
	return func(e fakehost.Entry) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, e.String())
	}
}

// probe is the identity with which the tests read, so that their requests can be told from the program's.
const probe = "probe"

// transport is shared, because each client of the simulator keeps its own connections.
var transport = sync.OnceValue(func() *http.Client { return world.Sim.Client() })

func options() azcore.ClientOptions { return azcore.ClientOptions{Transport: transport()} }

func tables(t testing.TB, account string) *aztables.ServiceClient {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(account), fakeazure.StorageTableDataContributor,
		fakeazure.StorageQueueDataContributor)
	c, err := aztables.NewServiceClient("https://"+account+".table.core.windows.net", world.Sim.Credential(probe),
		&aztables.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *app) queue(name string) *azqueue.QueueClient {
	a.t.Helper()
	c, err := azqueue.NewQueueClient("https://"+a.config.Account+".queue.core.windows.net/"+name, world.Sim.Credential(probe),
		&azqueue.ClientOptions{ClientOptions: options()})
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// planFor returns a plan of the services, with a schedule, kept for the time.
func planFor(schedule, keep string, services ...string) string {
	var targets []string
	for _, s := range services {
		targets = append(targets, stack.Service(s))
	}
	return planOf(schedule, keep, targets...)
}

// planOf returns a plan of the targets by their resource IDs. Its recovery points are deleted at once.
func planOf(schedule, keep string, targets ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\ndefaults:\n  storage: {account: %s, container: %s}\nplans:\n  - name: test\n", stack.Account(stack.Backups),
		stack.Container)
	fmt.Fprintf(&b, "    schedule: %q\n    keep: {within: %s}\n", schedule, keep)
	if strings.HasSuffix(keep, "s") { // backups by hand are to expire in the test too
		fmt.Fprintf(&b, "    onDemand: {keep: {within: %s}}\n", keep)
	}
	b.WriteString("    softDelete: off\n    targets:\n")
	for _, target := range targets {
		fmt.Fprintf(&b, "      - %s\n", target)
	}
	return b.String()
}

// yearly is a schedule with no scheduled time during a test.
const yearly = "0 0 29 2 *"

// newServices adds new services to Azure's side.
func newServices(t testing.TB, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = "s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
		if err := world.AddService(names[i]); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// request calls the API through the host.
func (a *app) request(ctx context.Context, method, path, body string, header map[string]string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.URL()+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("x-functions-key", a.Key("api"))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}

// backup requests a backup until the program answers, and returns the run's ID.
func (a *app) backup(ctx context.Context, service, id string) (string, error) {
	return a.backupOf(ctx, stack.Service(service), id)
}

// backupOf does the same for a target by its resource ID.
func (a *app) backupOf(ctx context.Context, target, id string) (string, error) {
	var last string
	for ctx.Err() == nil {
		response, text, err := a.request(ctx, "POST", "/api/backups", `{"target": "`+target+`"}`,
			map[string]string{"Repeatability-Request-ID": id})
		switch {
		case err != nil:
			last = err.Error()
		case response.StatusCode == http.StatusAccepted:
			var run struct{ ID string }
			return run.ID, json.Unmarshal(text, &run)
		default:
			last = response.Status + ": " + string(text)
		}
		pause(ctx)
	}
	return "", fmt.Errorf("no answer to the request for a backup: %s", last)
}

// await reads the run from the table, without the program's help, until it has ended and its event was sent.
func (a *app) await(ctx context.Context, id string) (engine.Status, error) {
	var last engine.Status
	for {
		written := a.written()
		status, _, err := a.engine.Status(ctx, id)
		if err == nil {
			last = status
			if status.Run.State.Final() && !status.Run.Unpublished {
				return status, nil
			}
		}
		if ctx.Err() != nil {
			return last, fmt.Errorf("run %s is still %s: %w", id, last.Run.State, ctx.Err())
		}
		written.wait(ctx)
	}
}

// writes holds, for each account, a channel for the next write into its tables and queues.
var writes = struct {
	sync.Mutex
	next map[string]chan struct{}
}{next: map[string]chan struct{}{}}

// write is a channel that a write closes.
type write <-chan struct{}

// written returns the next write into the app's tables and queues. Take it before checking for a change.
func (a *app) written() write {
	writes.Lock()
	defer writes.Unlock()
	if writes.next[a.config.Account] == nil {
		writes.next[a.config.Account] = make(chan struct{})
	}
	return writes.next[a.config.Account]
}

// wait waits for the write and those directly after it, or for a second, because the write of a killed program may not have
// been seen.
func (w write) wait(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w:
		pause(ctx)
	case <-timer.C:
	}
}

// hosts are the running local hosts, with their accounts.
var hosts sync.Map

// note reports an exchange: a write to a waiting test, and a message to the host, which hardly polls.
func note(e fakeazure.Exchange) {
	account, host, _ := strings.Cut(e.Host, ".")
	if e.Phase != fakeazure.After {
		return
	}
	if strings.HasPrefix(host, "queue.") {
		tell(account, e)
	}
	wrote := e.Method != "GET" && strings.HasPrefix(host, "table.") || e.Method == "POST" && strings.HasPrefix(host, "queue.")
	if !wrote {
		return
	}
	writes.Lock()
	defer writes.Unlock()
	if next := writes.next[account]; next != nil {
		close(next)
		delete(writes.next, account)
	}
}

// tell makes the host poll for a message once it is visible: after a send, a requeue, or the end of a lease.
func tell(account string, e fakeazure.Exchange) {
	messages := strings.TrimSuffix(e.Path, "/")
	switch {
	case e.Method == "PUT": // a requeued message, or one with a renewed lease, has an ID
		messages = path.Dir(messages)
	case e.Method == "DELETE", e.Method == "GET" && !bytes.Contains(e.Answer, []byte("<QueueMessage>")):
		return
	}
	name, isMessage := strings.CutSuffix(messages, "/messages")
	if !isMessage {
		return
	}
	invisible, _ := strconv.Atoi(e.Query.Get("visibilitytimeout")) // in seconds; without it there is none
	time.AfterFunc(time.Duration(invisible)*time.Second+10*time.Millisecond, func() {
		for host, of := range hosts.Range {
			if of == account {
				host.(*fakehost.Host).Look(strings.TrimPrefix(name, "/"))
			}
		}
	})
}

// pause waits between two checks of a state without notifications.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}

// keyed returns the policy that adds the function's key to azcore's own pipeline, the one that every Azure SDK has.
func (a *app) keyed() policy.Policy { return keyPolicy(a.Key("api")) }

type keyPolicy string

func (k keyPolicy) Do(r *policy.Request) (*http.Response, error) {
	r.Raw().Header.Set("x-functions-key", string(k))
	return r.Next()
}

// posts returns the requests for a backup of the service that reached Azure's side, accepted or not.
func posts(service string) []fakeazure.BackupRequest {
	var of []fakeazure.BackupRequest
	for _, r := range world.Sim.BackupRequests() {
		if strings.EqualFold(r.Service, stack.Service(service)) {
			of = append(of, r)
		}
	}
	return of
}

// edit replaces the plan at once: the program never sees half of it.
func (a *app) edit(plan string) error {
	if err := os.WriteFile(a.PlanFile+".new", []byte(plan), 0o600); err != nil {
		return err
	}
	return os.Rename(a.PlanFile+".new", a.PlanFile)
}

// hooks are the tests' hooks for the requests of their apps, by the app's object ID: the simulator has one hook for all.
var hooks sync.Map

// intercept calls the hook for each request of the app.
func intercept(t testing.TB, objectID string, hook func(fakeazure.Exchange) fakeazure.Decision) {
	t.Helper()
	hooks.Store(objectID, hook)
	t.Cleanup(func() { hooks.Delete(objectID) })
}

// dispatch is the simulator's only hook.
func dispatch(e fakeazure.Exchange) fakeazure.Decision {
	note(e)
	if hook, ok := hooks.Load(e.ObjectID); ok {
		return hook.(func(fakeazure.Exchange) fakeazure.Decision)(e)
	}
	return fakeazure.Pass
}

// tune changes the options of a service.
func tune(t testing.TB, service string, change func(*fakeazure.Options)) {
	t.Helper()
	if err := world.Sim.Tune(stack.Service(service), change); err != nil {
		t.Fatal(err)
	}
}

// inject makes the next calls to a service fail.
func inject(t testing.TB, service string, faults ...fakeazure.Fault) {
	t.Helper()
	if err := world.Sim.Inject(stack.Service(service), faults...); err != nil {
		t.Fatal(err)
	}
}
