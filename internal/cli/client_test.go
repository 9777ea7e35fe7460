package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/handler"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

const (
	target  = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
	account = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups"
	key     = "s3cret"
)

// app is the real API over an engine in memory, behind a network that the test may break.
type app struct {
	*httptest.Server
	catalog  *memory.Catalog
	queue    *memory.Queue
	mu       sync.Mutex
	requests []string // method, path and request ID of each
	keys     map[string]int
}

// newApp returns an app with a network that the test controls, for the nth request, from 1; ok means that the API answers it.
// The API uses host as its own name; if that is empty, it uses the name in the request.
func newApp(t *testing.T, host string, network func(n int, w http.ResponseWriter, r *http.Request) (ok bool)) *app {
	t.Helper()
	catalog, queue := memory.NewCatalog(time.Now), memory.NewQueue(time.Now)
	var ids atomic.Int32
	api := handler.New(handler.Config{
		Engine: &engine.Engine{
			Catalog: catalog, Queue: queue, Manifests: &memory.Manifests{}, Timings: engine.DefaultTimings(), Now: time.Now,
			NewID:    func() string { return fmt.Sprintf("id%d", ids.Add(1)) },
			Services: services.All().Known(), Providers: map[string]backup.Provider{"microsoft.apimanagement/service": restorable{}},
		},
		Plans: &plans.Store{
			Catalog: catalog,
			Read:    func(context.Context) ([]byte, error) { return []byte("plan.yaml"), nil },
			Parse: func([]byte) ([]backup.Plan, error) {
				plan := func(name string, targets ...string) backup.Plan {
					return backup.Plan{
						Name: name, Targets: targets, Schedule: schedule.Schedule{Zone: time.UTC},
						Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, KeepWithin: time.Hour},
					}
				}
				nightly := plan("nightly", target)
				nightly.Restore.Into = []string{backup.Itself}
				return []backup.Plan{nightly, plan("fleet", target+"-a", target+"-b")}, nil
			},
		},
		Log: zerolog.Nop(), Now: time.Now,
	})
	return listen(t, &app{catalog: catalog, queue: queue}, api, host, network)
}

// listen serves the app's API behind a network that the test controls; see newApp.
func listen(t *testing.T, a *app, api http.Handler, host string, network func(n int, w http.ResponseWriter, r *http.Request) (ok bool)) *app {
	t.Helper()
	a.keys = map[string]int{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.requests = append(a.requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Repeatability-Request-ID"))
		a.keys[r.Header.Get("x-functions-key")]++
		if host != "" {
			r.Header.Set("X-Forwarded-Host", host)
		}
		if network == nil || network(len(a.requests), w, r) {
			api.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("answer") == "lost" {
			api.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
	}))
	a.Config.SetKeepAlivesEnabled(false) // Go itself repeats a GET on a connection that served before
	t.Cleanup(a.Close)
	return a
}

// lose lets the API handle the request, and loses the answer.
func lose(r *http.Request) bool {
	r.Header.Set("answer", "lost")
	return false
}

func (a *app) run(ctx context.Context, requestID string, args ...string) (code int, out, errs string) {
	return against(ctx, a.URL, requestID, args...)
}

func against(ctx context.Context, url, requestID string, args ...string) (code int, out, errs string) {
	environment := map[string]string{"LIFEBOAT_URL": url, "LIFEBOAT_KEY": key + "\n"}
	return within(ctx, cli.Shell{Getenv: func(name string) string { return environment[name] }, RequestID: requestID}, args...)
}

// TestOneBackup checks that a command asks for one backup, also if requests fail, and two commands for two.
func TestOneBackup(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1: // before the API sees it
			panic(http.ErrAbortHandler)
		case 2: // after it has done its work
			return lose(r)
		case 3:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		}
		return true
	})
	code, first, errs := a.run(t.Context(), "one", "backup", target)
	if code != 0 || strings.Count(errs, "trying again in ") != 3 || !strings.Contains(errs, "503 Service Unavailable") {
		t.Errorf("%d, %q, %s", code, first, errs)
	}
	if want := strings.Repeat("POST /api/backups one,", 4); strings.Join(a.requests, ",")+"," != want {
		t.Errorf("the requests were %v", a.requests)
	}
	_, second, _ := a.run(t.Context(), "two", "backup", target)
	code, out, errs := a.run(t.Context(), "", "runs", target, "--json")
	var page struct{ Value []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &page); err != nil || code != 0 || errs != "" || len(page.Value) != 2 || first == second {
		t.Errorf("the runs %s and %s are, in %d: %s%s", first, second, code, out, errs)
	}
}

// TestGivesUp checks that a command asks five times if there is no answer.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusBadGateway)
		return false
	})
	code, out, errs := a.run(t.Context(), "one", "backup", target)
	if code != 1 || out != "" || len(a.requests) != 5 || !strings.HasSuffix(errs, "POST "+a.URL+"/api/backups: 502 Bad Gateway\n") {
		t.Errorf("%d, %q, %d requests, %s", code, out, len(a.requests), errs)
	}
}

// TestWaitSurvives checks that a broken connection and a restart of the app do not end the waiting, and that Ctrl-C does, with
// the state.
func TestWaitSurvives(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := newApp(t, "", func(n int, w http.ResponseWriter, _ *http.Request) bool {
		switch n {
		case 3: // the second asks how long a backup usually takes
			panic(http.ErrAbortHandler)
		case 4:
			w.WriteHeader(http.StatusInternalServerError)
			return false
		case 6:
			cancel()
		}
		return true
	})
	code, out, errs := a.run(ctx, "one", "backup", target, "--wait")
	id := strings.TrimSpace(out)
	if code != 1 || strings.Count(errs, "trying again in ") != 2 || strings.Count(errs, "  queued\n") != 1 ||
		!strings.HasSuffix(errs, "stopped; the backup goes on without this command: lifeboat run "+id+"\n") {
		t.Errorf("%d, %q, %s", code, out, errs)
	}
	if code, out, _ := a.run(t.Context(), "", "run", id); code != 0 || !strings.Contains(out, "queued") {
		t.Errorf("afterwards: %d, %s", code, out)
	}
}

// TestWhereNobodyListens checks that a command that waits for a run goes on asking, and that a first call says at once that the
// address is wrong.
func TestWhereNobodyListens(t *testing.T) {
	t.Parallel()
	var a *app
	a = newApp(t, "", func(int, http.ResponseWriter, *http.Request) bool {
		_ = a.Listener.Close()
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	code, _, errs := a.run(ctx, "one", "backup", target, "--wait")
	if code != 1 || !strings.Contains(errs, "connection refused; trying again in 1s\n") || !strings.Contains(errs, "stopped; ") {
		t.Errorf("while it waits: %d, %s", code, errs)
	}
	code, out, errs := a.run(t.Context(), "two", "backup", target)
	if code != 1 || out != "" || strings.Contains(errs, "again") || !strings.Contains(errs, "POST "+a.URL+"/api/backups: dial tcp") ||
		!strings.HasSuffix(errs, "connection refused: is LIFEBOAT_URL right, and does the app run?\n") {
		t.Errorf("at first: %d, %q, %s", code, out, errs)
	}
}

// TestStoppedBeforeTheAnswer checks that the command says that the request may have got through.
func TestStoppedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := newApp(t, "", func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		cancel()
		return lose(r)
	})
	code, out, errs := a.run(ctx, "one", "backup", target)
	if code != 1 || out != "" || !strings.Contains(errs, "lifeboat runs "+target+" shows whether") {
		t.Errorf("%d, %q, %s", code, out, errs)
	}
}

// TestTheKeyStaysHome checks that neither a link nor a redirect to another host gets the key, and that it is never printed.
func TestTheKeyStaysHome(t *testing.T) {
	t.Parallel()
	var others int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { others++ }))
	t.Cleanup(other.Close)
	a := newApp(t, strings.TrimPrefix(other.URL, "http://"), nil) // all its links name the other host
	for _, id := range []string{"one", "two", "three"} {
		if code, _, errs := a.run(t.Context(), id, "backup", target); code != 0 {
			t.Fatal(errs)
		}
	}
	code, out, errs := a.run(t.Context(), "", "runs", target, "--all", "--top", "1")
	if code != 0 || errs != "" || strings.Count(out, "queued") != 3 {
		t.Errorf("links to another host: %d, %s%s", code, out, errs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if code, _, errs := a.run(ctx, "one", "backup", target, "--wait"); code != 1 || !strings.Contains(errs, "stopped; ") {
		t.Errorf("an operation at another host: %d, %s", code, errs)
	}
	if a.keys[key] != len(a.requests) {
		t.Errorf("%d requests with the keys %v", len(a.requests), a.keys)
	}

	moved := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+"/?code="+key, http.StatusTemporaryRedirect)
		return false
	})
	code, out, errs = moved.run(t.Context(), "", "runs", target)
	if code != 1 || strings.Contains(out+errs, key) || !strings.Contains(errs, "307 Temporary Redirect") {
		t.Errorf("a redirect: %d, %s%s", code, out, errs)
	}
	if others != 0 {
		t.Errorf("%d requests went to the other host", others)
	}

	for _, address := range []string{
		"contoso.azurewebsites.net", "http://contoso.azurewebsites.net", "https://contoso.azurewebsites.net/api",
		"https://contoso.azurewebsites.net?code=" + key, "https://me:" + key + "@contoso.azurewebsites.net",
		"https://contoso.azurewebsites.net/%zz" + key, "ftp://127.0.0.1",
	} {
		code, out, errs := against(t.Context(), address, "", "runs", target)
		if code != 2 || out != "" || !strings.HasPrefix(errs, "LIFEBOAT_URL must ") || strings.Contains(errs, key) {
			t.Errorf("%s: %d, %q, %s", address, code, out, errs)
		}
	}
}

// TestOddAnswers checks answers of another app, and answers with text that a terminal must not get.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"a page":        {200, "<html>Welcome</html>", "the answer is no JSON: is LIFEBOAT_URL"},
		"other JSON":    {200, "{}", "the answer is no run: is LIFEBOAT_URL"},
		"another app":   {404, "", "404 Not Found: is LIFEBOAT_URL"},
		"no such key":   {401, "", "401 Unauthorized: LIFEBOAT_KEY is not a key"},
		"the API's no":  {400, `{"error":{"code":"A","message":"b","details":[{"code":"Hint","message":"c"},{"code":"Said","message":"b"},{"code":"RequestId","message":"1"}]}}`, "A: b\n  Hint: c\n  RequestId: 1\n"},
		"control codes": {400, `{"error":{"code":"A","message":"b\u001b[31m\nc"}}`, "A: b [31m c\n"},
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
			return false
		})
		code, out, errs := a.run(t.Context(), "", "run", "x?y")
		if code != 1 || out != "" || !strings.Contains(errs, "GET "+a.URL+"/api/runs/x%3Fy: ") && !strings.Contains(errs, "no run") ||
			!strings.Contains(errs, c.says) {
			t.Errorf("%s: %d, %q, %s", name, code, out, errs)
		}
		if code, out, _ := a.run(t.Context(), "", "runs", target); code != 1 || out != "" {
			t.Errorf("%s, as a list: %d, %q", name, code, out)
		}
	}
}
