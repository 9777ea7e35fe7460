package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

const (
	target  = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
	account = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups"
)

// watched is the catalog in memory, and records the contexts of the calls.
type watched struct {
	*memory.Catalog
	longest time.Duration
	// requests counts the reads.
	requests atomic.Int64
}

func (w *watched) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	w.requests.Add(1)
	return w.Catalog.Get(ctx, key)
}

func (w *watched) Count(ctx context.Context, p, from, to string, limit int) (int, error) {
	w.requests.Add(1)
	return w.Catalog.Count(ctx, p, from, to, limit)
}

func (w *watched) List(ctx context.Context, p, from, to string, limit int) ([]backup.Row, time.Time, error) {
	w.requests.Add(1)
	deadline, ok := ctx.Deadline()
	if !ok {
		w.longest = 1 << 62
	} else if left := time.Until(deadline); left > w.longest {
		w.longest = left
	}
	return w.Catalog.List(ctx, p, from, to, limit)
}

// app is the handler over an engine in memory, with its log.
type app struct {
	http.Handler
	catalog *watched
	queue   *memory.Queue
	log     bytes.Buffer
	plans   func() ([]backup.Plan, error)
}

func newApp(change func(*Config)) *app {
	d := &app{catalog: &watched{Catalog: memory.NewCatalog(time.Now)}, queue: memory.NewQueue(time.Now)}
	d.plans = func() ([]backup.Plan, error) {
		return []backup.Plan{{
			Name: "nightly", Targets: []string{target}, Schedule: schedule.Schedule{Zone: time.UTC},
			Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, KeepWithin: time.Hour},
		}}, nil
	}
	var ids atomic.Int32
	c := Config{
		Engine: &engine.Engine{
			Zone:     config.Zone,
			Services: services.All().Known(),
			Catalog:  d.catalog, Queue: d.queue, Manifests: &memory.Manifests{}, Timings: engine.DefaultTimings(), Now: time.Now,
			NewID: func() string { return fmt.Sprintf("id%d", ids.Add(1)) },
		},
		Plans: &plans.Store{
			Catalog: d.catalog,
			Read: func(context.Context) ([]byte, error) {
				_, err := d.plans()
				return []byte("plan.yaml"), err
			},
			Parse: func([]byte) ([]backup.Plan, error) { return d.plans() },
		},
		Log: zerolog.New(&d.log), Now: time.Now, Version: "v1",
	}
	if change != nil {
		change(&c)
	}
	d.Handler = New(c)
	return d
}

func (d *app) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.Header.Set(invocationHeader, "invocation-1")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// lines returns the log lines since its last call.
func (d *app) lines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for _, text := range strings.Split(strings.TrimSpace(d.log.String()), "\n") {
		if text == "" {
			continue
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	d.log.Reset()
	return lines
}

func envelope(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryFunctionAnswersTheHost checks for JSON: the host hangs on an empty answer and fails on any other content type.
func TestEveryFunctionAnswersTheHost(t *testing.T) {
	for name, file := range map[string]string{
		"schedule": "timer.json", "cleanup": "timer.json", "execute": "queue-binary.json", "deadletter-execute": "queue-binary.json", "restore": "queue-binary.json",
		"deadletter-restore": "queue-binary.json", "backup": "queue-binary.json", "deadletter-backup": "queue-binary.json",
	} {
		d := newApp(nil)
		w := d.call("POST", "/"+name, envelope(t, file))
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || strings.TrimSpace(w.Body.String()) != "{}" {
			t.Errorf("%s answers %d %s %q", name, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		lines := d.lines(t)
		last := lines[len(lines)-1] // after the lines of the events that it sent
		if last["function"] != name || last["invocation"] != "invocation-1" || last["level"] != "info" {
			t.Errorf("%s logs %v", name, lines)
		}
		if name == "execute" && last["run"] != "0123456789abcdef-8234567890-0123456789ab" {
			t.Errorf("the line does not name the run: %v", last)
		}
	}
}

func TestReadiness(t *testing.T) {
	d := newApp(nil)
	if w := d.call("GET", "/", ""); w.Code != 200 || d.log.Len() > 0 {
		t.Errorf("%d, and logs %q", w.Code, &d.log)
	}
}

func TestFailureIsTold(t *testing.T) {
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	w := d.call("POST", "/schedule", envelope(t, "timer.json"))
	if w.Code != 500 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// The host drops the body of a failure: the reason must be in the log.
	lines := d.lines(t)
	if last := lines[len(lines)-1]; last["level"] != "error" || last["error"] != "plan.yaml:7: nonsense" {
		t.Errorf("logs %v", lines)
	}
	if w := d.call("POST", "/execute", "{"); w.Code != 500 {
		t.Errorf("an envelope that is none: %d", w.Code)
	}
}

func TestPanicHarmsOneInvocation(t *testing.T) {
	d := newApp(nil)
	good := d.plans
	d.plans = func() ([]backup.Plan, error) { panic("at the disco") }
	for _, call := range []func() *httptest.ResponseRecorder{
		func() *httptest.ResponseRecorder { return d.call("POST", "/schedule", envelope(t, "timer.json")) },
		func() *httptest.ResponseRecorder { return d.call("POST", "/api/backups", `{"target":"`+target+`"}`) },
	} {
		if w := call(); w.Code != 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if log := d.log.String(); !strings.Contains(log, "at the disco") || !strings.Contains(log, "handler_test.go") {
			t.Errorf("the log tells neither what nor where: %s", log)
		}
		d.log.Reset()
	}
	d.plans = good
	if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != 200 {
		t.Errorf("the next invocation: %d %s", w.Code, w.Body)
	}
}

func TestDeadlineOfAnInvocation(t *testing.T) {
	d := newApp(nil)
	d.call("POST", "/schedule", envelope(t, "timer.json"))
	d.call("GET", "/api/runs?target="+target, "")
	if d.catalog.longest <= 0 || d.catalog.longest > 4*time.Minute {
		t.Errorf("an invocation may take %s; the host ends the process after 5 minutes", d.catalog.longest)
	}
}

// TestBrokenSettings checks that the process serves, and names the missing setting to each caller.
func TestBrokenSettings(t *testing.T) {
	d := newApp(func(c *Config) { c.Engine, c.Broken = nil, errors.New("the app setting LIFEBOAT_PLAN is missing") })
	for _, call := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/", "", 200},
		{"POST", "/schedule", envelope(t, "timer.json"), 500},
		{"POST", "/execute", envelope(t, "queue-binary.json"), 500},
		{"GET", "/api/runs?target=" + target, "", 503},
		{"POST", "/api/backups", `{"target":"` + target + `"}`, 503},
	} {
		w := d.call(call.method, call.path, call.body)
		if w.Code != call.status || call.status != 200 && !strings.Contains(w.Body.String(), "LIFEBOAT_PLAN is missing") {
			t.Errorf("%s %s: %d %s", call.method, call.path, w.Code, w.Body)
		}
	}
}

// TestOrigin checks that the caller can reach the URL of a run.
func TestOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		host    string
		secure  bool
		headers []string
		want    string
	}{
		"forwarded by the host":        {headers: []string{"Host", "x"}, want: "http://127.0.0.1:8080/"},
		"proxied by the host":          {headers: []string{"X-Forwarded-Host", "localhost:7071", "X-Forwarded-Proto", "http"}, want: "http://localhost:7071/"},
		"behind TLS":                   {headers: []string{"X-Forwarded-Host", "a.example", "X-Forwarded-Proto", "https"}, want: "https://a.example/"},
		"in Azure, TLS ends before":    {secure: true, headers: []string{"X-Forwarded-Host", "a.azurewebsites.net", "X-Forwarded-Proto", "http"}, want: "https://a.azurewebsites.net/"},
		"in Azure, nobody tells":       {secure: true, host: "a.azurewebsites.net", want: "https://a.azurewebsites.net/"},
		"a scheme that is none":        {headers: []string{"X-Forwarded-Host", "h", "X-Forwarded-Proto", "javascript"}, want: "http://h/"},
		"Core Tools, which tells both": {host: "localhost:7071", headers: []string{"X-Forwarded-Host", "localhost:7071"}, want: "http://localhost:7071/"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newApp(func(c2 *Config) { c2.Host, c2.Secure = c.host, c.secure })
			w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`, c.headers...)
			var run struct{ ID string }
			if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got := w.Header().Get("Operation-Location"); got != c.want+"api/runs/"+run.ID || got != w.Header().Get("Location") {
				t.Errorf("Operation-Location %q, Location %q, want %sapi/runs/%s", got, w.Header().Get("Location"), c.want, run.ID)
			}
			if w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			lines := d.lines(t)
			if len(lines) != 1 || lines[0]["run"] != run.ID || lines[0]["target"] != target || lines[0]["status"] != float64(202) {
				t.Errorf("logs %v", lines)
			}
		})
	}
}

// TestKeysAreNotLogged checks the log lines of requests, since a function key may come in the query.
func TestKeysAreNotLogged(t *testing.T) {
	d := newApp(nil)
	d.call("GET", "/api/runs?code=s3cret&target="+target, "", "x-functions-key", "s3cret2")
	if log := d.log.String(); !strings.Contains(log, "/api/runs") || strings.Contains(log, "s3cret") {
		t.Errorf("logs %s", log)
	}
}

// TestRepeatedRequest checks that the same ID is the same run, also the host's own ID, and that requests without one differ.
func TestRepeatedRequest(t *testing.T) {
	d := newApp(nil)
	ask := func(header ...string) string {
		t.Helper()
		w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`, header...)
		var run struct{ ID string }
		if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 || run.ID == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return run.ID
	}
	one := ask("Repeatability-Request-ID", "a")
	if ask("Repeatability-Request-ID", "a") != one || ask("Repeatability-Request-ID", "b") == one {
		t.Error("the same ID must be the same run, another ID another one")
	}
	if first, again := ask(), ask(); first != again {
		t.Error("the host repeated a request, and it made two runs")
	}
	if first, other := ask(invocationHeader, ""), ask(invocationHeader, ""); first == other {
		t.Error("two requests without any ID are one run")
	}
}

// TestRunInItsStates checks that the answer is 202 while the run is under way, and 200 at the end, in Azure's words.
func TestRunInItsStates(t *testing.T) {
	for state, status := range statuses {
		v := (&handler{Config: Config{Engine: &engine.Engine{}}}).view(engine.Status{Run: backup.Run{State: state, Reason: backup.Reason{Code: "C", Message: "m", Hint: "h"}}})
		final := status == "Succeeded" || status == "Failed" || status == "Canceled"
		if state.Final() != final || v.Status != status || (v.Error != nil) != (final && status != "Succeeded") || (v.Waiting != nil) == final {
			t.Errorf("%s: %+v", state, v)
		}
	}
	why := backup.Reason{Code: "C", Message: "back up x: no", Hint: "h", Said: "no", RequestID: "r"}
	details := (&handler{Config: Config{Engine: &engine.Engine{}}}).view(engine.Status{Run: backup.Run{State: backup.Failed, Reason: why}}).Error.Details
	if got := fmt.Sprint(details); got != fmt.Sprint([]api.Problem{{Code: "Hint", Message: "h"}, {Code: "Said", Message: "no"}, {Code: "RequestId", Message: "r"}}) {
		t.Errorf("details %s", got)
	}
	d := newApp(nil)
	w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`)
	where := strings.TrimPrefix(w.Header().Get("Location"), "http://127.0.0.1:8080")
	if w := d.call("GET", where, ""); w.Code != 202 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "NotStarted") {
		t.Errorf("a run under way: %d %v %s", w.Code, w.Header(), w.Body)
	}
	messages := d.queue.Messages("execute")
	if len(messages) != 1 {
		t.Fatalf("%d step messages", len(messages))
	}
	// There is no provider here: the step ends the run, and says so.
	data := `{"Data":{"message":"` + base64.StdEncoding.EncodeToString(messages[0].Body) + `"},"Metadata":{}}`
	if w := d.call("POST", "/execute", data); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := d.call("GET", where, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "NoProvider") {
		t.Errorf("an ended run: %d %s", w.Code, w.Body)
	}
}

// TestEveryAnswerIsJSON checks answers that a router would give by itself.
func TestEveryAnswerIsJSON(t *testing.T) {
	d := newApp(nil)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/API/runs?target=" + target, "", 200},
		{"GET", "//api//runs?target=" + target, "", 404}, // as in the host
		{"GET", "/api/../etc", "", 404},
		{"GET", "/api/runs/", "", 400},
		{"GET", "/schedule", "", 404},
		{"DELETE", "/api/runs", "", 405},
		{"GET", "/api/recovery-points/?target=" + target, "", 200},
		{"GET", "/api/recovery-points/x", "", 404},
		{"GET", "/api/recovery-points/x/accept", "", 405},
		{"POST", "/api/backups", `{"target":"` + strings.Repeat("x", 100_000) + `"}`, 413},
		{"POST", "/api/backups", `{"target":"x"}}`, 400},
		{"POST", "/api/backups", mark + `{"target":"` + target + `"}`, 202},
	} {
		w := d.call(c.method, c.path, c.body)
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s %s", c.method, c.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
}
