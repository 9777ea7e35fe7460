package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// brokenStart is an app with one fault from the start, and the expected results: a row of the table in docs/reliability.md.
type brokenStart struct {
	what string
	// app breaks settings or plan; refused are the requests that Azure refuses, of the program or of its host.
	app           func(*stack.AppConfig)
	program, host func(fakeazure.Exchange) bool
	// gone says that those requests of the program get no answer, instead of a refusal.
	gone bool
	// silent says that the host fires no timer. The local host cannot show that; the notes of the timers are as old as they
	// would be.
	silent bool

	// These are the columns: what the host does, what health answers and says, how a timer run ends, and the final places of two
	// requests for a restore: a new one, and one that has failed for an hour.
	runs, health, says, timer, fresh, old string
}

// These are the final places of a request for a restore.
const (
	answered = "answered"
	pending  = "answered; the answer waits in the table"
	putOff   = "tried again, for an hour"
	kept     = "answered `refused`, and a dead letter"
	circles  = "in `restore-requests-poison`"
	waits    = "in `restore-requests`"
)

func setting(name, value string) func(*stack.AppConfig) {
	return func(c *stack.AppConfig) { c.Settings = map[string]string{name: value} }
}

func of(service string) func(fakeazure.Exchange) bool {
	return func(e fakeazure.Exchange) bool { return strings.Contains(e.Host, "."+service+".") }
}

var brokenStarts = []brokenStart{
	{what: "nothing", runs: "runs", health: "200 `pending`", timer: "ends well", fresh: answered, old: answered},
	{
		what: "`LIFEBOAT_PLAN` is missing", app: setting("LIFEBOAT_PLAN", ""),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_PLAN is missing", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_PLAN` is the URL of no blob", app: setting("LIFEBOAT_PLAN", "https://contoso.example/plan.yaml"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_PLAN", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_PLAN` is a reference that Azure has not resolved", app: setting("LIFEBOAT_PLAN", "@Microsoft.KeyVault(VaultName=v;SecretName=s)"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_PLAN is a reference to Key Vault that Azure has not resolved", timer: "fails",
		fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_CLOUD` is the name of no cloud", app: setting("LIFEBOAT_CLOUD", "mars"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_CLOUD is \"mars\"", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_CONCURRENCY` is no number", app: setting("LIFEBOAT_CONCURRENCY", "many"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_CONCURRENCY is \"many\"", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_EVENTS_ENCODING` is no encoding", app: setting("LIFEBOAT_EVENTS_ENCODING", "utf8"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_EVENTS_ENCODING is \"utf8\"", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_EVENTS_TOPIC` is the address of no topic", app: setting("LIFEBOAT_EVENTS_TOPIC", "https://contoso.example/api/events"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_EVENTS_TOPIC: \"contoso.example\" is no host of a topic", timer: "fails", fresh: putOff,
		old: kept,
	},
	{
		what: "`LIFEBOAT_WAIT_FACTOR` is no number", app: setting("LIFEBOAT_WAIT_FACTOR", "soon"),
		runs: "runs", health: "503 `NotConfigured`", says: "LIFEBOAT_WAIT_FACTOR is \"soon\"", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`LIFEBOAT_SCHEDULE_TIMER` is read by the host alone", app: func(c *stack.AppConfig) { c.ScheduleTimer = "23:59:59" },
		runs: "runs", health: "200 `pending`", says: "LIFEBOAT_SCHEDULE_TIMER cannot be read", timer: "ends well", fresh: answered, old: answered,
	},
	{
		what: "a setting of the storage is refused by the program", app: setting("AzureWebJobsStorage__credential", "workloadidentity"),
		runs: "runs", health: "503 `NotConfigured`", says: "AzureWebJobsStorage__credential is \"workloadidentity\"", timer: "fails", fresh: circles, old: circles,
	},
	{
		what: "`plan.yaml` is missing", app: func(c *stack.AppConfig) { c.Settings = map[string]string{"LIFEBOAT_PLAN": "/no/such/plan.yaml"} },
		runs: "runs", health: "503 `unprotected`", says: "/no/such/plan.yaml", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "`plan.yaml` is refused, and no good one was before", app: func(c *stack.AppConfig) { c.Plan = "version: 7\n" },
		runs: "runs", health: "503 `unprotected`", says: "plan.yaml:1:", timer: "fails", fresh: putOff, old: kept,
	},
	{
		what: "the program's role on tables is missing", program: of("table"),
		runs: "runs", health: "500 `InternalError`", says: "answer 403 AuthorizationPermissionMismatch", timer: "fails", fresh: putOff, old: circles,
	},
	{
		what: "the tables do not answer", program: of("table"), gone: true,
		runs: "runs", health: "500 `InternalError`", says: "", timer: "fails", fresh: putOff, old: circles,
	},
	{
		what: "the program's role on queues is missing", program: of("queue"),
		runs: "runs", health: "200 `pending`", says: "answer 403 AuthorizationPermissionMismatch", timer: "ends well", fresh: pending, old: pending,
	},
	{
		what: "the host's role on queues is missing", host: of("queue"),
		runs: "ends, again and again", health: "none", timer: "never comes", fresh: waits, old: waits,
	},
	{
		what: "the role on blobs is missing", host: of("blob"), program: of("blob"), silent: true,
		runs: "runs", health: "503 `unprotected`", says: "Storage Blob Data Owner", timer: "never comes", fresh: answered, old: answered,
	},
}

// TestBrokenStarts starts the real program with one fault, and requests for restores in its queue. Health reports the fault;
// no request is lost in silence; and docs/reliability.md has the table of the results.
func TestBrokenStarts(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| wrong at the start | the host | `/api/health` | a timer run of the schedule | a request for a restore | one that has failed for an hour |\n" +
		"|---|---|---|---|---|---|\n")
	for _, b := range brokenStarts {
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s |\n", b.what, b.runs, b.health, b.timer, b.fresh, b.old)
		t.Run(b.what, func(t *testing.T) {
			t.Parallel()
			b.see(t)
		})
	}
	text, err := os.ReadFile(world.Root + "/docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n"+table.String()+"\n") {
		t.Errorf("docs/reliability.md has another table than\n%s", &table)
	}
}

func (b brokenStart) see(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	services := newServices(t, 2) // a service for each request
	c := stack.AppConfig{Plan: planFor(yearly, "1d", services...)}
	if b.app != nil {
		b.app(&c)
	}
	if c.Settings == nil {
		c.Settings = map[string]string{}
	}
	c.Settings["AzureFunctionsJobHost__extensions__queues__visibilityTimeout"] = "00:00:00" // five deliveries take no time
	var mu sync.Mutex
	var said []string // results by the function of the poison queue
	log := logTo(t)
	c.Log = func(e fakehost.Entry) {
		log(e)
		mu.Lock()
		defer mu.Unlock()
		if line := e.String(); strings.Contains(line, `"function":"deadletter-restore"`) {
			said = append(said, line)
		}
	}
	a := prepare(t, c)
	for _, side := range []struct {
		identity string
		refused  func(fakeazure.Exchange) bool
	}{{a.config.Name, b.program}, {stack.HostIdentity(a.config.Name), b.host}} {
		intercept(t, world.Sim.ObjectID(side.identity), func(e fakeazure.Exchange) fakeazure.Decision {
			switch {
			case side.refused == nil || e.Phase != fakeazure.Before || !side.refused(e):
				return fakeazure.Pass
			case b.gone:
				return fakeazure.Drop
			}
			return fakeazure.Answer(http.StatusForbidden, http.Header{"X-Ms-Error-Code": {"AuthorizationPermissionMismatch"}}, nil)
		})
	}
	send := a.sender(ctx, t)
	request := func(service string) string {
		return fmt.Sprintf(`{"id": "of-%s", "target": %q, "recoveryPoint": "latest"}`, service, stack.Service(service))
	}
	send(request(services[0]))
	send(fmt.Sprintf(`{"lifeboatPostponed":{"sent":%q,"rounds":3,"message":%q}}`, time.Now().UTC().Add(-time.Hour).Format(time.RFC3339),
		base64.StdEncoding.EncodeToString([]byte(request(services[1])))))
	a.start(t)
	t.Cleanup(func() { _ = a.Stop() })

	// where returns the place of the request about the service.
	where := func(service string) string {
		mu.Lock()
		defer mu.Unlock()
		runs, _, err := a.engine.History(ctx, stack.Service(service), "", 1)
		switch {
		case err != nil:
			return err.Error()
		case len(runs) > 0 && a.rows(ctx, runs[0].Run.ID[:16], "outbox-") > 0:
			return pending
		case len(runs) > 0 && a.rows(ctx, "deadletter", "") > 0:
			return kept
		case len(runs) > 0:
			return answered
		case slices.ContainsFunc(said, func(line string) bool {
			return strings.Contains(line, "of-"+service) && strings.Contains(line, "put off: it is tried again later")
		}):
			return putOff
		case a.count(ctx, "restore-requests-poison") > 0 && slices.ContainsFunc(said, func(line string) bool {
			return strings.Contains(line, `"level":"error"`)
		}):
			return circles
		}
		return waits
	}
	if b.runs != "runs" {
		for ; a.Host.(*fakehost.Host).Restarts() < 2; pause(ctx) {
			if ctx.Err() != nil {
				t.Fatal("the host does not end")
			}
		}
		if where(services[0]) != b.fresh || where(services[1]) != b.old || a.count(ctx, "restore-requests") != 2 {
			t.Errorf("the requests are %s and %s", where(services[0]), where(services[1]))
		}
		return // there is an answer only now and then
	}
	for fresh, old := "", ""; fresh != b.fresh || old != b.old; pause(ctx) {
		if ctx.Err() != nil {
			t.Fatalf("the requests are %s and %s, want %s and %s", fresh, old, b.fresh, b.old)
		}
		fresh, old = where(services[0]), where(services[1])
	}
	if b.silent {
		a.noted(ctx, "schedule", 20*365*24*time.Hour)
	} else if err := a.Invoke(ctx, "schedule"); (err == nil) != (b.timer == "ends well") {
		t.Errorf("a timer run: %v", err)
	}
	status, h, text := a.health(ctx)
	word := h.Error.Code
	if word == "" {
		word = h.OverallStatus
	}
	if seen := fmt.Sprintf("%d `%s`", status, word); seen != b.health || !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), b.says) {
		t.Errorf("health: %s %s, want %s %s", seen, text, b.health, b.says)
	}
	told := false
	for _, day := range []time.Time{began, time.Now()} { // midnight may lie between
		told = told || strings.Contains(text, "restore-requests-poison, and Azure deletes the first of them on "+
			day.UTC().Add(7*24*time.Hour).Format(time.DateOnly))
	}
	if told != (b.old == circles) {
		t.Errorf("the day on which the request is deleted: %s", text)
	}
}

// rows counts the rows of the partition whose keys begin with the prefix.
func (a *app) rows(ctx context.Context, partition, prefix string) int {
	rows, _, err := a.catalog.List(ctx, partition, prefix, prefix+"~", 1000)
	if err != nil && ctx.Err() == nil {
		a.t.Error(err)
	}
	return len(rows)
}

// count returns the number of messages in the queue, 0 if there is no such queue.
func (a *app) count(ctx context.Context, queue string) int {
	p, err := a.queue(queue).GetProperties(ctx, nil)
	if err != nil {
		return 0
	}
	return int(*p.ApproximateMessagesCount)
}
