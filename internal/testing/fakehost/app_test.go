package fakehost

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeout is the longest time that a test waits for an expected result: far longer than it takes on a busy machine.
const timeout = 60 * time.Second

// call is a request that reached the handler.
type call struct {
	*http.Request
	body string
	pid  int
	at   time.Time
}

// app is a function app of a test: files, the handler behind the host, and the output of both.
type app struct {
	*Host
	t      *testing.T
	config Config

	// answer handles a request in the handler; nil answers {}. Like born it is set before start.
	answer func(w http.ResponseWriter, c call)
	// born runs in the handler when it is started for the n-th time, before it listens.
	born func(w http.ResponseWriter, n int)
	// twice are headers of each request of the test.
	twice map[string][]string

	mu      sync.Mutex
	calls   []call
	births  []birth
	entries []Entry
}

const httpFunction = `{"bindings": [{"type": "httpTrigger", "direction": "in", "name": "req", "route": "{*path}"},
	{"type": "http", "direction": "out", "name": "res"}]}`

// newApp writes the files of an app. hostJSON is the text after version and customHandler.description.
func newApp(t *testing.T, customHandler, hostJSON string, functions map[string]string) *app {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sink := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(sink.Close)
	a.config = Config{
		HostJSON: filepath.Join(root, "host.json"), Executable: program,
		Settings: map[string]string{sinkVariable: sink.URL, "AzureWebJobsStorage__accountName": account},
		Log: func(e Entry) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.entries = append(a.entries, e)
		},
	}
	a.write("host.json", `{"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler"}`+
		customHandler+`}`+hostJSON+`}`)
	for name, text := range functions {
		a.write(name+"/function.json", text)
	}
	return a
}

func (a *app) write(name, text string) {
	a.t.Helper()
	path := filepath.Join(filepath.Dir(a.config.HostJSON), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// start runs the app until the test ends, and then prints its output if the test failed.
func (a *app) start() *app {
	a.t.Helper()
	// The handler is another process, so no memory order comes through it. With the lock, the goroutines that lock later see
	// the fields that the test has set.
	a.mu.Lock()
	a.mu.Unlock() //nolint:staticcheck // nothing to do in between
	var err error
	if a.Host, err = Start(a.t.Context(), a.config); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		_ = a.Stop()
		if a.t.Failed() {
			for _, e := range a.log() {
				a.t.Log(e)
			}
		}
	})
	return a
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/birth" {
		a.mu.Lock()
		a.births = append(a.births, readBirth(r.Body))
		n := len(a.births)
		a.mu.Unlock()
		if a.born != nil {
			a.born(w, n)
		}
		return
	}
	c := call{Request: r, at: time.Now()}
	c.pid, _ = strconv.Atoi(r.Header.Get("X-Seen-Pid"))
	if r.Header.Get("X-Stream") == "" { // else the test reads the body
		body, _ := io.ReadAll(r.Body)
		c.body = string(body)
	}
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.mu.Unlock()
	if a.answer != nil {
		a.answer(w, c)
		return
	}
	succeed(w)
}

func succeed(w http.ResponseWriter) { reply200(w, "{}") }

func reply200(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func (a *app) received() []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]call(nil), a.calls...)
}

func (a *app) started() []birth {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]birth(nil), a.births...)
}

func (a *app) log() []Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Entry(nil), a.entries...)
}

// said tells whether there is an entry with the level, the category and a part of its text.
func (a *app) said(level Level, category, part string) bool {
	return a.saidOften(level, category, part) > 0
}

// saidOften returns the number of such entries.
func (a *app) saidOften(level Level, category, part string) int {
	n := 0
	for _, e := range a.log() {
		if e.Level == level && e.Category == category && strings.Contains(e.Text, part) {
			n++
		}
	}
	return n
}

// await waits for a condition that must become true.
func (a *app) await(what string, is func() bool) {
	a.t.Helper()
	for deadline := time.Now().Add(timeout); !is(); {
		if time.Now().After(deadline) {
			a.t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitCalls waits for n requests to the handler and returns them.
func (a *app) awaitCalls(n int) []call {
	a.t.Helper()
	a.await(strconv.Itoa(n)+" calls", func() bool { return len(a.received()) >= n })
	return a.received()
}

// awaitDown waits until the host shut itself down.
func (a *app) awaitDown() error {
	a.t.Helper()
	select {
	case <-a.Done():
	case <-time.After(timeout):
		a.t.Fatal("the host did not shut itself down")
	}
	return a.Err()
}

// request calls the host with the key of the function api.
func (a *app) request(method, path, body string, header ...string) (*http.Response, string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, a.URL()+path, bytes.NewBufferString(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("x-functions-key", a.Key("api"))
	for name, values := range a.twice {
		r.Header[name] = values
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response, string(text)
}

// idleTimer is a timer that only the test starts.
const idleTimer = `{"bindings": [{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 0 29 2 *",
	"useMonitor": false}]}`

func (a *app) invoke(function string) error {
	ctx, cancel := context.WithTimeout(a.t.Context(), timeout)
	defer cancel()
	return a.Invoke(ctx, function)
}
