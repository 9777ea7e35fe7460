package e2e

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/realhost"
	"lifeboat/internal/testing/stack"
)

// packaged is the variable with the zip that "make package" has made, for Azure's own host to run.
const packaged = "LIFEBOAT_PACKAGE"

// choose makes the apps run under Azure's own host if there is a package. It unpacks the zip, as the platform does, with the
// bits that the zip gives its files.
func choose(c *stack.Config) error {
	made := os.Getenv(packaged)
	if made == "" {
		return nil
	}
	program, err := realhost.Find()
	if err != nil {
		return err
	}
	z, err := zip.OpenReader(made)
	if err != nil {
		return err
	}
	defer z.Close()
	c.Real, c.Package = &program, filepath.Join(c.Dir, "package")
	return os.CopyFS(c.Package, z)
}

// hosted is an app under a local host or Azure's own, with the same checks for each host.
type hosted struct {
	*app
	telemetry *telemetry
	patients  []patient
	ledger    string
	scheduled string        // a service with scheduled times
	missing   string        // a service with scheduled times that does not exist
	started   time.Duration // from the host's start to the first answer

	mu    sync.Mutex
	said  []fakehost.Entry
	shown secrets // tokens and SAS in all requests and answers
}

// TestHost drives one app with all services through everything that a host does for it. It is the same for the local host and
// for Azure's own ("make host-test"), so that the local one cannot imitate a wrong belief.
func TestHost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	h := newHosted(ctx, t)
	for _, part := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"all functions load", h.load},
		{"keys open what they are for", h.openEndpoints},
		{"metrics come as the scraper asks", h.scrape},
		{"paths help no key", h.trickPaths},
		{"the administration runs a timer", h.administer},
		{"timers fire", h.timer},
		{"services are backed up and restored", h.serve},
		{"messages that mean nothing are kept", h.confuse},
		{"a message that fails is kept", h.poison},
		{"messages with a byte order mark are read", h.mark},
		{"logs can be queried, and have no secret", h.log},
		{"how long it takes", h.measure},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(ctx, t) })
	}
}

// newHosted starts an app with a plan for each kind of service.
func newHosted(ctx context.Context, t *testing.T) *hosted {
	h := &hosted{telemetry: newTelemetry(t)}
	show := logTo(t)
	config := prepare(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", newServices(t, 1)...), ScheduleTimer: "*/2 * * * * *", CleanupTimer: "*/5 * * * * *",
		Settings: map[string]string{
			"APPLICATIONINSIGHTS_CONNECTION_STRING": h.telemetry.connection,
			// The host sends all of its telemetry, not a sample.
			"AzureFunctionsJobHost__logging__applicationInsights__samplingSettings__isEnabled": "false",
		},
		Log: func(e fakehost.Entry) {
			show(e)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said = append(h.said, e)
		},
	}).config
	begun := time.Now()
	h.app = newApp(t, config)
	h.until(ctx, t, "an answer of health", func() bool {
		_, status := h.knock(ctx, t, "GET", "/api/health", h.MasterKey())
		return status == http.StatusOK
	})
	h.started = time.Since(begun)
	intercept(t, h.ObjectID, h.meet)

	service := newPatientService(ctx, t, h.app)
	hsm, keys := newPatientHSM(ctx, t, h.app)
	// The 30 minutes after the safety backup are 15 seconds here, and a slow machine may need more.
	tuneHSM(t, hsm.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
	hsm.plan = "    hsm: {access: sas}\n"
	intruders := 0
	hsm.damage = func() {
		keys.purge("rsa1")
		intruders++
		keys.create(fmt.Sprintf("intruder%d", intruders))
	}
	h.patients = []patient{service, hsm, newPatientCCF(ctx, t, h.app)}
	h.ledger = newLedger(t, h.app, stack.Ledger, (*stack.Stack).AddLedger)
	h.scheduled, h.missing = stack.Service(newServices(t, 1)[0]), stack.Service("missing"+uuid.NewString()[:8])
	world.Sim.Assign(h.ObjectID, stack.Account(stack.Backups), fakeazure.StorageAccountKeyOperator)
	if err := h.edit(h.plan()); err != nil {
		t.Fatal(err)
	}
	for _, queue := range []string{"execute", "restore-requests", "soar"} {
		if _, err := h.queue(queue).Create(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// interval is the time between two scheduled times.
const interval = 15 * time.Second

// plan is the text of plan.yaml, with a plan for each service.
func (h *hosted) plan() string {
	text := planOf(fmt.Sprintf("*/%d * * * * *", int(interval.Seconds())), "1d", h.scheduled)
	add := func(name, target, lines string) {
		schedule := yearly
		if target == h.missing {
			schedule = "*/10 * * * * *"
		}
		one := planOf(schedule, "1d", target)
		text += strings.Replace(one[strings.Index(one, "  - name: test"):], "name: test", "name: "+name, 1) + lines
	}
	for i, p := range h.patients {
		safety := ""
		if i == 0 { // a Managed HSM always has one, a Managed CCF never
			safety = ", safetyBackup: true"
		}
		add(fmt.Sprintf("patient%d", i), p.target, p.plan+"    restore: {into: [itself]"+safety+", replyTo: [soar]}\n")
	}
	add("ledger", h.ledger, "    ccf: {restoreRegion: westeurope}\n    restore: {into: [itself]}\n")
	add("missing", h.missing, "")
	return text
}

func (h *hosted) name() string {
	if real, ok := h.Host.(*realhost.Host); ok {
		return "Azure's Functions host " + real.Version()
	}
	return "the local host"
}

// meet records the secrets in requests of host and program, and in their answers.
func (h *hosted) meet(x fakeazure.Exchange) fakeazure.Decision {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, token, ok := strings.Cut(x.Header.Get("Authorization"), "Bearer "); ok && !slices.Contains(h.shown, token) {
		h.shown = append(h.shown, token)
	}
	if token := sasOf(x); token != "" && !slices.Contains(h.shown, token) {
		h.shown = append(h.shown, token)
		if sas, err := url.ParseQuery(token); err == nil {
			h.shown = append(h.shown, sas.Get("sig"))
		}
	}
	return fakeazure.Pass
}

// entries returns the log entries of host and program so far.
func (h *hosted) entries() []fakehost.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.said)
}

// lines returns the program's own lines so far.
func (h *hosted) lines() (all []map[string]any) {
	for _, e := range h.entries() {
		var line map[string]any
		if e.Category == fakehost.CategoryConsole && json.Unmarshal([]byte(e.Text), &line) == nil {
			all = append(all, line)
		}
	}
	return all
}

// load: the host has found each function, and warns of nothing. The host's ID is a setting only because an operator may run
// several on one machine.
func (h *hosted) load(_ context.Context, t *testing.T) {
	for _, e := range h.entries() {
		if e.Level != fakehost.Information && e.Level != "Debug" && e.Level != "Trace" && !strings.HasPrefix(e.Text, "Host id explicitly set") {
			t.Errorf("%s", e)
		}
	}
	if len(h.entries()) == 0 {
		t.Error("the host says nothing")
	}
	for _, f := range functions(t) {
		if h.Key(f.name) == "" {
			t.Errorf("%s has no key: it is not loaded", f.name)
		}
	}
}

// function is a function.json, as far as the tests read it.
type function struct {
	name, route, level string
	methods            []string
	http               bool
}

// functions returns the functions of the package, sorted by name.
func functions(t *testing.T) (all []function) {
	t.Helper()
	folder := os.DirFS(filepath.Join(world.Root, "functions"))
	if made := os.Getenv(packaged); made != "" {
		z, err := zip.OpenReader(made)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		folder = z
	}
	files, err := fs.Glob(folder, "*/function.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d functions, %v", len(files), err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Bindings []struct {
				Type, Route, AuthLevel string
				Methods                []string
			}
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		f := function{name: path.Dir(file)}
		for _, b := range document.Bindings {
			if b.Type == "httpTrigger" {
				f.route, f.level, f.methods, f.http = b.Route, b.AuthLevel, b.Methods, true
			}
		}
		all = append(all, f)
	}
	return all
}

// keys returns all keys of a caller, by the name of their function.
func (h *hosted) keys(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{"no key": "", "a wrong key": "d3Jvbmc=", "the master key": h.MasterKey(), "the host's key": h.HostKey()}
	for _, f := range functions(t) {
		if f.http {
			keys[f.name] = h.Key(f.name)
		}
	}
	return keys
}

// knock sends a request with its path unchanged, and returns the host's reaction: "401"; "none" for an empty 400 or 404 of the
// host's own; or "open", with the status, if a function answered.
func (h *hosted) knock(ctx context.Context, t *testing.T, method, path, key string) (how string, status int) {
	t.Helper()
	at, err := url.Parse(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	at.Opaque = path
	r := (&http.Request{Method: method, URL: at, Header: http.Header{}, Host: at.Host}).WithContext(ctx)
	if key != "" {
		r.Header.Set("x-functions-key", key)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch status = response.StatusCode; {
	case status == http.StatusUnauthorized:
		return "401", status
	case len(text) == 0 && (status == http.StatusNotFound || status == http.StatusBadRequest):
		return "none", status
	}
	return "open", status
}

// openEndpoints tries every function, key, method and route. A method that function.json does not have gets the host's 404,
// whatever the key. Any key but the function's own, the host's and the master's gets 401. With these the function answers. The function
// live answers everybody.
func (h *hosted) openEndpoints(ctx context.Context, t *testing.T) {
	keys := h.keys(t)
	of := map[string][]string{"api": {"/api/runs/x", "/API/Runs/x", "/api/backups", "/api/healthy", "/api/metrics/x", "/api/health/x"}}
	for _, f := range functions(t) {
		if !f.http {
			continue
		}
		routes := of[f.name]
		if routes == nil {
			if strings.Contains(f.route, "{") {
				t.Fatalf("%s: which paths lie below %s?", f.name, f.route)
			}
			routes = []string{"/api/" + f.route, "/api/" + f.route + "/", "/API/" + strings.ToUpper(f.route)}
		}
		for _, route := range routes {
			for _, method := range []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"} {
				for whose, key := range keys {
					want := "401"
					if !slices.Contains(f.methods, strings.ToLower(method)) {
						want = "none"
					} else if whose == f.name || strings.HasPrefix(whose, "the ") || f.level == "anonymous" {
						want = "open"
					}
					if got, status := h.knock(ctx, t, method, route, key); got != want {
						t.Errorf("%s %s with %s: %s (%d), want %s, as of %s", method, route, whose, got, status, want, f.name)
					}
				}
			}
		}
	}
}

// scrape: the host passes on what a scraper accepts, and what it gets.
func (h *hosted) scrape(ctx context.Context, t *testing.T) {
	for _, c := range []struct{ accept, encoding, kind, end string }{
		{"application/openmetrics-text;version=1.0.0;q=0.7,text/plain;version=0.0.4;q=0.4", "gzip", "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF\n"},
		{"text/plain;version=0.0.4;q=1,*/*;q=0.1", "identity", "text/plain; version=0.0.4; charset=utf-8", "\n"},
	} {
		response, text, err := h.request(ctx, http.MethodGet, "/api/metrics", "", map[string]string{
			"x-functions-key": h.Key("metrics"), "Accept": c.accept, "Accept-Encoding": c.encoding,
		})
		if err != nil {
			t.Fatal(err)
		}
		if response.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if (response.Header.Get("Content-Encoding") == "gzip") != (c.encoding == "gzip") || response.Header.Get("Content-Type") != c.kind ||
			!strings.HasSuffix(string(text), c.end) || !strings.Contains(string(text), "\nlifeboat_plan_refused 0\n") {
			t.Errorf("%s, %s: %v %s", c.accept, c.encoding, response.Header, text)
		}
	}
}

// trickPaths: a disguised path opens nothing with the key of health except the function health itself.
func (h *hosted) trickPaths(ctx context.Context, t *testing.T) {
	for _, c := range []struct{ path, weak, strong string }{
		{"/api/health/../runs/x", "401", "open"},
		{"/api/health/%2e%2e/runs/x", "401", "open"},
		{"/api/health/.%2E/runs/x", "401", "open"},
		{"/api/health/..%2fruns/x", "401", "open"},
		{"/api/health/%252e%252e/runs/x", "401", "open"},
		{`/api/health/..\runs/x`, "401", "open"},
		{"/api/health;/../runs/x", "401", "open"},
		{"/api/health;/x", "401", "open"},
		{"/api/health%3b", "401", "open"},
		{"/api/health%20", "401", "open"},
		{"/api/runs/../health", "open", "401"},
		{"/api/%2e/health", "open", "401"},
		{"/api//health", "none", "none"},
		{"//api/health", "none", "none"},
		{"/api/health//", "401", "open"},
		{"/api/he%00alth", "none", "none"},
		{"/api/../api/health", "open", "401"},
		{"/health", "none", "none"},
	} {
		for _, k := range []struct{ whose, want string }{{"health", c.weak}, {"api", c.strong}, {"metrics", "401"}} {
			if c.weak == "none" {
				k.want = "none"
			}
			if got, status := h.knock(ctx, t, "GET", c.path, h.Key(k.whose)); got != k.want {
				t.Errorf("%s with the key of %s: %s (%d), want %s", c.path, k.whose, got, status, k.want)
			}
		}
	}
}

// administer: only the master key runs a timer, and the host requires JSON.
func (h *hosted) administer(ctx context.Context, t *testing.T) {
	for _, c := range []struct {
		what, key, body, media string
		want                   []int
	}{
		{"as it should be", h.MasterKey(), "{}", "application/json", []int{http.StatusAccepted}},
		{"no body", h.MasterKey(), "", "application/json", []int{http.StatusBadRequest}},
		{"another type", h.MasterKey(), "{}", "text/plain", []int{http.StatusUnsupportedMediaType}},
		{"no key", "", "{}", "application/json", []int{http.StatusUnauthorized}},
		{"the key of a function", h.Key("api"), "{}", "application/json", []int{http.StatusUnauthorized, http.StatusForbidden}},
	} {
		response, text, err := h.request(ctx, "POST", "/admin/functions/schedule", c.body,
			map[string]string{"x-functions-key": c.key, "Content-Type": c.media})
		if err != nil || !slices.Contains(c.want, response.StatusCode) {
			t.Errorf("%s: %v, %v %s, want %v", c.what, err, response, text, c.want)
		}
	}
}

// until waits for a state without notifications.
func (h *hosted) until(ctx context.Context, t *testing.T, what string, seen func() bool) {
	t.Helper()
	for ; !seen(); pause(ctx) {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

// timer: both timers fire more than once, and a scheduled time becomes a backup.
func (h *hosted) timer(ctx context.Context, t *testing.T) {
	for _, function := range []string{"schedule", "cleanup"} {
		h.until(ctx, t, "two timer runs of "+function, func() bool {
			n := 0
			for _, line := range h.lines() {
				if line["function"] == function && line["level"] == "info" {
					n++
				}
			}
			return n >= 2
		})
	}
	h.until(ctx, t, "a backup by schedule", func() bool {
		runs, _, err := h.engine.History(ctx, h.scheduled, "", 10)
		return err == nil && slices.ContainsFunc(runs, func(s engine.Status) bool { return s.Run.State == backup.Succeeded })
	})
}

// serve backs up each service, and restores it twice: after a request to the API, and after a message. It backs up a
// Confidential Ledger, and its restore is refused.
func (h *hosted) serve(ctx context.Context, t *testing.T) {
	send := h.sender(ctx, t)
	var wait sync.WaitGroup
	for _, p := range h.patients {
		wait.Go(func() {
			point := h.recoverable(ctx, t, p.target)
			healthy := p.state()
			for _, way := range []string{"HTTP", "queue"} {
				p.damage()
				if p.state() == healthy {
					t.Errorf("%s: the damage cannot be seen", p.target)
				}
				id := uuid.NewString()
				body := text(map[string]any{
					"id": id, "target": p.target, "recoveryPoint": point.ID, "requestedBy": "a playbook", "reason": id, "replyTo": "soar",
				})
				if way == "queue" {
					send(body)
				} else if response, said, err := h.request(ctx, "POST", "/api/restores", body, nil); err != nil || response.StatusCode != http.StatusAccepted {
					t.Errorf("%s: %v, %v %s", p.target, err, response, said)
					return
				}
				run := h.restored(ctx, t, p.target, id)
				if run.State != backup.Succeeded || p.state() != healthy {
					t.Errorf("%s by %s: %s, %+v; before the damage\n%s\nafter the restore\n%s", p.target, way, run.State, run.Reason, healthy, p.state())
				}
			}
		})
	}
	copied := h.recoverable(ctx, t, h.ledger)
	request := map[string]any{"id": "copy", "target": h.ledger, "recoveryPoint": copied.ID, "requestedBy": "a playbook", "reason": "a test"}
	response, said, err := h.request(ctx, "POST", "/api/restores", text(request), nil)
	if err != nil || response.StatusCode != http.StatusConflict {
		t.Errorf("the restore of a copy: %v, %v %s", err, response, said)
	}
	request["id"], request["reason"] = "copy-by-message", "copy-by-message"
	send(text(request))
	if run := h.restored(ctx, t, h.ledger, "copy-by-message"); run.State != backup.StateRefused {
		t.Errorf("the restore of a copy: %+v", run)
	}
	wait.Wait()
	h.empty(ctx, t, "restore-requests")
	soar := h.mailbox(ctx, t, "soar")
	for done := 0; done < 2*len(h.patients); pause(ctx) {
		soar.collect(ctx, t)
		done = 0
		for _, a := range soar.answers {
			if a.word() == "succeeded" {
				done++
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("%d restores were answered as succeeded: %+v", done, soar.answers)
		}
	}
}

// restored returns the run of the request for a restore at its end. The run's reason is the ID of the request.
func (h *hosted) restored(ctx context.Context, t *testing.T, target, request string) backup.Run {
	t.Helper()
	for {
		runs, _, err := h.engine.History(ctx, target, "", 100)
		for _, s := range runs {
			if r := s.Run; err == nil && r.Restore != nil && r.Restore.Reason == request && r.State.Final() {
				return r
			}
		}
		if ctx.Err() != nil {
			t.Errorf("the restore %s of %s has not ended: %+v, %v", request, target, runs, err)
			return backup.Run{}
		}
		pause(ctx)
	}
}

// confuse: an unreadable message is kept, whole, and blocks no other.
func (h *hosted) confuse(ctx context.Context, t *testing.T) {
	messages := []string{
		"{", "[]", `{"run":7}`, "null", "", " ", "plain words", "ünïcödé \U0001f6a3",
		base64.StdEncoding.EncodeToString([]byte{0, 1, 2, 254, 255}),
		strings.Repeat("x", 64<<10), "{" + strings.Repeat(" ", 64<<10-2) + "}",
	}
	for _, queue := range []string{"execute", "restore-requests"} {
		for _, message := range messages {
			if _, err := h.queue(queue).EnqueueMessage(ctx, message, nil); err != nil {
				t.Fatalf("%q: %v", message[:min(20, len(message))], err)
			}
		}
	}
	for _, queue := range []string{"execute", "restore-requests"} {
		for _, message := range messages {
			h.until(ctx, t, fmt.Sprintf("%s: a dead letter of %q", queue, message[:min(20, len(message))]), func() bool {
				return slices.Contains(h.letters(ctx, t, queue), message)
			})
		}
	}
	h.empty(ctx, t, "restore-requests")
}

// letters returns the dead letters of the queue.
func (h *hosted) letters(ctx context.Context, t *testing.T, queue string) (bodies []string) {
	t.Helper()
	rows, _, err := h.catalog.List(ctx, "deadletter", "", "~", 1000)
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		var l struct{ Queue, Body1, Body2, Body3, Body4, Body5, Body6 string }
		if err := json.Unmarshal(row.Body, &l); err != nil {
			t.Fatal(err)
		}
		if strings.TrimSuffix(l.Queue, "-poison") == queue {
			bodies = append(bodies, l.Body1+l.Body2+l.Body3+l.Body4+l.Body5+l.Body6)
		}
	}
	return bodies
}

// poison: after five failures a message is in the poison queue, and is kept from there.
func (h *hosted) poison(ctx context.Context, t *testing.T) {
	intercept(t, h.ObjectID, func(x fakeazure.Exchange) fakeazure.Decision {
		if strings.Contains(x.Host, ".table.") && strings.Contains(x.Path, "0123456789abcdef") {
			return fakeazure.Answer(http.StatusForbidden, nil, nil)
		}
		return h.meet(x)
	})
	defer intercept(t, h.ObjectID, h.meet)
	message := `{"run":"0123456789abcdef-8234567890-0123456789ab","sequence":1,"nonce":"m"}`
	if _, err := h.queue("execute").EnqueueMessage(ctx, message, nil); err != nil {
		t.Fatal(err)
	}
	l := awaitLetter(t, ctx, h.app, message)
	if l.Queue != "execute-poison" || !strings.Contains(l.Reason, "five failed deliveries") {
		t.Errorf("%+v", l)
	}
	failed := 0
	for _, line := range h.lines() {
		if line["function"] == "execute" && line["level"] == "error" && strings.Contains(fmt.Sprint(line["error"]), "0123456789abcdef") {
			failed++
		}
	}
	if failed != 5 {
		t.Errorf("%d deliveries failed, want 5", failed)
	}
	h.empty(ctx, t, "execute-poison")
}

// mark: a request that begins with a byte order mark is valid, plain and in base64, and gets an answer.
func (h *hosted) mark(ctx context.Context, t *testing.T) {
	send := h.sender(ctx, t)
	soar := h.mailbox(ctx, t, "soar")
	for _, encode := range []func(string) string{
		func(s string) string { return s },
		func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	} {
		id := uuid.NewString()
		send(encode("\ufeff" + text(map[string]any{
			"id": id, "target": h.patients[0].target, "recoveryPoint": "latest", "requestedBy": "a playbook", "reason": "a test", "replyTo": "soar",
			"dryRun": true,
		})))
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		soar.await(ctx, t, id, "previewed")
		cancel()
	}
}
