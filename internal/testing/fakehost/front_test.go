package fakehost

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	proxying   = `, "enableProxyingHttpRequest": true, "enableForwardingHttpRequest": true`
	forwarding = `, "enableForwardingHttpRequest": true`
)

func TestProxying(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction})
	a.answer = func(w http.ResponseWriter, _ call) {
		w.Header().Set("Location", "/elsewhere")
		w.Header()["X-Two"] = []string{"1", "2"}
		w.WriteHeader(http.StatusFound) // any status passes
		_, _ = io.WriteString(w, "go on")
	}
	a.start()
	a.twice = map[string][]string{"X-Twice": {"1", "2"}}
	response, body := a.request("PUT", "/api/x/../a%2Fb/%63?x=1&x=2&code=k", "the body", "Host", "contoso.example",
		invocationHeader, "forged", "X-Forwarded-For", "10.0.0.1", "X-Own", "kept", "Forwarded", "for=10.0.0.1")
	if response.StatusCode != http.StatusFound || body != "go on" || response.Header.Get("Location") != "/elsewhere" ||
		len(response.Header["X-Two"]) != 2 {
		t.Errorf("got %s %v %q", response.Status, response.Header, body)
	}
	c := a.received()[0]
	if c.Method != "PUT" || c.RequestURI != "/api/a%252Fb/c?x=1&x=2&code=k" || c.body != "the body" {
		t.Errorf("the handler got %s %s %q", c.Method, c.RequestURI, c.body)
	}
	for name, want := range map[string]string{
		"X-Own": "kept", "X-Twice": "1, 2", "X-Forwarded-Host": "contoso.example", "X-Forwarded-Proto": "http", "X-Forwarded-For": "127.0.0.1",
		"x-functions-key": a.Key("api"), hostVersionHeader: hostVersion,
		"X-Seen-Host": "127.0.0.1:" + a.started()[0].environment["FUNCTIONS_CUSTOMHANDLER_PORT"],
	} {
		if got := c.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if ids := c.Header.Values(invocationHeader); len(ids) != 1 || ids[0] == "forged" {
		t.Errorf("invocation IDs %q", ids)
	}
	if c.Header.Get("Forwarded") != "" || c.Header.Get("traceparent") == "" {
		t.Errorf("the handler got %v", c.Header)
	}
	a.await("the report", func() bool { return a.said(Information, "Function.api", "Succeeded") })
}

func TestProxyingStreams(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction})
	gone := make(chan struct{})
	a.answer = func(w http.ResponseWriter, c call) {
		// The answer begins before the body of the request has ended: lines come back one by one.
		controller := http.NewResponseController(w)
		if err := controller.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/plain")
		lines := bufio.NewScanner(c.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "echo "+lines.Text())
			if err := controller.Flush(); err != nil {
				t.Error(err)
			}
		}
		<-c.Context().Done()
		close(gone)
	}
	a.start()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	read, write := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "POST", a.URL()+"/api/x", read)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-functions-key", a.Key("api"))
	r.Header.Set("X-Stream", "1")
	go func() { _, _ = io.WriteString(write, "one\n") }()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for _, want := range []string{"one", "two"} {
		if want != "one" {
			if _, err := io.WriteString(write, want+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		if !lines.Scan() || lines.Text() != "echo "+want {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	cancel() // the caller goes away, and the handler sees it
	select {
	case <-gone:
	case <-time.After(timeout):
		t.Error("the handler did not see the caller go")
	}
}

func TestProxyingRepeatsBodylessRequests(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction})
	a.answer = func(w http.ResponseWriter, c call) {
		if c.pid == a.received()[0].pid {
			w.Header().Set(doHeader, "exit 200")
		}
		_, _ = io.WriteString(w, "done")
	}
	a.start()
	response, body := a.request("GET", "/api/x", "")
	if response.StatusCode != http.StatusOK || body != "done" || len(a.received()) < 2 {
		t.Errorf("got %s %q after %d calls", response.Status, body, len(a.received()))
	}
}

// TestProxyingToAHandlerThatHangsUp: the caller gets an empty 500 after two seconds. Meanwhile a request without a body
// reaches the handler some 40 times, one with a body once.
func TestProxyingToAHandlerThatHangsUp(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction})
	a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "drop") }
	a.start()
	for _, c := range []struct {
		method, body string
		calls        int
	}{{"POST", "body", 1}, {"GET", "", (proxyRetries + 1) * (brokenRetries + 1)}} {
		before, began := len(a.received()), time.Now()
		response, body := a.request(c.method, "/api/x", c.body)
		took := time.Since(began)
		if response.StatusCode != http.StatusInternalServerError || body != "" || took < 1900*time.Millisecond {
			t.Errorf("%s: %s %q after %s", c.method, response.Status, body, took)
		}
		if n := len(a.received()) - before; n != c.calls {
			t.Errorf("%s: the handler got it %d times, want %d", c.method, n, c.calls)
		}
	}
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	a := newApp(t, forwarding, "", map[string]string{"api": httpFunction})
	a.answer = func(w http.ResponseWriter, _ call) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "broken")
	}
	a.start()
	response, body := a.request("POST", "/api/x/y?b=1&a=2&b=3", "the body", "Host", "contoso.example",
		invocationHeader, "forged", "User-Agent", "test")
	if response.StatusCode != http.StatusInternalServerError || body != "broken" || response.Header.Get("Location") != "/elsewhere" {
		t.Errorf("got %s %v %q", response.Status, response.Header, body)
	}
	c := a.received()[0]
	if c.Method != "POST" || c.RequestURI != "/api/x/y?a=2&b=1%2C3" || c.body != "the body" {
		t.Errorf("the handler got %s %s %q", c.Method, c.RequestURI, c.body)
	}
	if got := c.Header.Get("X-Seen-Host"); got != "contoso.example" {
		t.Errorf("Host %q", got)
	}
	if ids := c.Header.Values(invocationHeader); len(ids) != 1 || !strings.HasPrefix(ids[0], "forged, ") {
		t.Errorf("invocation IDs %q", ids)
	}
	if got := c.Header.Get("User-Agent"); got != "test "+userAgent {
		t.Errorf("User-Agent %q", got)
	}
	if c.Header.Get("X-Forwarded-Host") != "" {
		t.Error("forwarding sets no X-Forwarded-Host")
	}
	a.await("the report", func() bool { return a.said(Information, "Function.api", "Succeeded") })
}

// TestForwardingRefusesChunkedBodies: the host itself refuses the request and does not call the handler.
func TestForwardingRefusesChunkedBodies(t *testing.T) {
	t.Parallel()
	a := newApp(t, forwarding, "", map[string]string{"api": httpFunction})
	a.start()
	r, err := http.NewRequestWithContext(t.Context(), "POST", a.URL()+"/api/x", io.MultiReader(strings.NewReader("lost")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-functions-key", a.Key("api"))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusInternalServerError || len(a.received()) != 0 {
		t.Errorf("got %s, and the handler %d requests", response.Status, len(a.received()))
	}
}

// TestADeadHandlerAnswersNobody: after exit code 0 a call waits until the host ends, and does not delay the end.
func TestADeadHandlerAnswersNobody(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]string{"proxying": proxying, "forwarding": forwarding} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, way+`, "initializationTimeout": "00:00:00.5"`, "", map[string]string{"api": httpFunction})
			a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "exit 0") }
			a.start()
			if response, _ := a.request("POST", "/api/x", "body"); response.StatusCode != http.StatusInternalServerError {
				t.Errorf("got %s", response.Status)
			}
			a.await("the exit", func() bool { return a.said(Warning, categoryWorker, "code 0") })
			began := time.Now()
			response, _ := a.request("POST", "/api/x", "body")
			if took := time.Since(began); response.StatusCode < 500 || took < invocationTimeout*time.Second/2 {
				t.Errorf("got %s after %s", response.Status, took)
			}
			if err := a.awaitDown(); !errors.Is(err, errInitialization) || len(a.received()) != 1 {
				t.Errorf("the host went down for %v, after %d calls", err, len(a.received()))
			}
		})
	}
}

// dataFunction has bindings that allow forwarding, but its app switches on neither way.
const dataFunction = `{"bindings": [
	{"type": "httpTrigger", "direction": "in", "name": "req", "route": "items/{id}", "authLevel": "anonymous"},
	{"type": "http", "direction": "out", "name": "res"}]}`

func TestHTTPByData(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"Items": dataFunction})
	answers := map[string]struct {
		handler string
		status  int
		body    string
		kind    string
	}{
		"object": {
			`{"Outputs": {"res": {"statusCode": 201, "body": {"a":1}, "headers": {"Content-Type": "application/json"}}}}`,
			201, "{\n  \"a\": 1\n}", "application/json",
		},
		"text": {
			`{"Outputs": {"res": "{\"status\": \"404\", \"body\": \"gone\"}"}}`, 404, "gone",
			"text/plain; charset=utf-8",
		},
		"no outputs":  {`{}`, 200, "", ""},
		"no res":      {`{"Outputs": {}}`, 200, "{}", "text/plain; charset=utf-8"},
		"bare string": {`{"Outputs": {"res": "hello"}}`, 500, "", ""},
		"bad status":  {`{"Outputs": {"res": {"status": "x"}}}`, 500, "", ""},
		"failed":      {"", 500, "", ""},
	}
	a.answer = func(w http.ResponseWriter, c call) {
		var body struct {
			Metadata struct{ ID string }
		}
		_ = json.Unmarshal([]byte(c.body), &body)
		var id string
		_ = json.Unmarshal([]byte(body.Metadata.ID), &id)
		if answers[id].handler == "" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		reply200(w, answers[id].handler)
	}
	a.start()
	for id, want := range answers {
		response, body := a.request("POST", "/api/items/"+strings.ReplaceAll(id, " ", "%20")+"?q=1&q=2", "raw text")
		if response.StatusCode != want.status || body != want.body || response.Header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %s %q %v, want %+v", id, response.Status, body, response.Header, want)
		}
	}

	a.request("PUT", "/api/items/object?q=1&q=2", "raw text", "Host", "contoso.example", "X-Own", "1")
	calls := a.received()
	c := calls[len(calls)-1]
	if c.Method != "POST" || c.RequestURI != "/Items" {
		t.Errorf("the handler got %s %s", c.Method, c.RequestURI)
	}
	var got struct{ Data, Metadata map[string]any }
	if err := json.Unmarshal([]byte(c.body), &got); err != nil {
		t.Fatal(err)
	}
	req := got.Data["req"].(map[string]any)
	headers := req["Headers"].(map[string]any)
	if diff := cmp.Diff([]any{"1"}, headers["X-Own"]); diff != "" {
		t.Error(diff)
	}
	delete(req, "Headers")
	if diff := cmp.Diff(map[string]any{
		"Url": "http://contoso.example/api/items/object?q=1&q=2", "Method": "PUT", "Query": map[string]any{"q": "1,2"},
		"Params": map[string]any{"id": "object"}, "Identities": []any{}, "Body": "raw text",
	}, req); diff != "" {
		t.Error(diff)
	}
	if got.Metadata["q"] != `"1,2"` || got.Metadata["id"] != `"object"` {
		t.Errorf("Metadata %v", got.Metadata)
	}
}

func TestKeysAndRoutes(t *testing.T) {
	t.Parallel()
	function := func(members string) string {
		return `{"bindings": [{"type": "httpTrigger", "direction": "in", "name": "req"` + members +
			`}, {"type": "http", "direction": "out", "name": "res"}]}`
	}
	a := newApp(t, proxying, "", map[string]string{
		"api":    function(`, "methods": ["get"]`),
		"Early":  function(`, "route": "late/{id}", "methods": ["get"]`),
		"late":   function(`, "route": "late/open", "authLevel": "anonymous"`),
		"open":   function(`, "authLevel": "anonymous"`),
		"closed": function(`, "authLevel": "admin"`),
		"off":    function(``),
		"tick":   idleTimer,
	})
	a.config.Settings["AzureWebJobs.off.Disabled"] = "true"
	a.start()
	for _, c := range []struct {
		request, header string
		want            int
	}{
		{"GET /api/api", a.Key("api"), 200},
		{"GET /api/API", a.MasterKey(), 200},
		{"GET /api/api?code=" + a.Key("api"), "", 200},
		{"GET /api/api?code=" + a.Key("api"), "wrong", 401}, // the header wins
		{"GET /api/api", "", 401},
		{"GET /api/api", a.HostKey(), 200},
		{"GET /api/late/open", "", 401}, // the first function by name gets it, not the more literal route
		{"GET /api/late/open", a.Key("Early"), 200},
		{"POST /api/late/open", "", 200}, // the first function does not accept it, so the next one gets it
		{"GET /api/Late/Open/", a.Key("late"), 401},
		{"GET /api/x/../api", a.Key("api"), 200},
		{"GET /api/open/%2e%2e/api", "wrong", 401}, // dots are resolved before keys are checked
		{"GET /api//api", a.Key("api"), 404},
		{"GET //api/api", a.Key("api"), 404},
		{"GET /api/open%2Fapi", "wrong", 404},
		{"GET /api/api%00", a.Key("api"), 400},
		{"GET /api/closed", a.HostKey(), 401},
		{"GET /api/api", a.Key("open"), 401},
		{"POST /api/api", a.Key("api"), 404}, // not among its methods
		{"GET /api", a.Key("api"), 404},
		{"GET /api/off", a.Key("off"), 404},
		{"GET /api/tick", a.Key("tick"), 404},
		{"GET /api/open", "wrong", 200},
		{"GET /api/closed", a.Key("closed"), 401},
		{"GET /api/closed", a.MasterKey(), 200},
		{"GET /", "", 200},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		response, body := a.request(method, path, "", "x-functions-key", c.header)
		if response.StatusCode != c.want || c.want > 200 && body != "" {
			t.Errorf("%s with %q: %s %q, want %d", c.request, c.header, response.Status, body, c.want)
		}
	}
}

func TestAdminRunsFunctions(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction, "tick": idleTimer})
	a.start()
	for _, c := range []struct {
		request, key, media, body string
		want                      int
	}{
		{"POST /admin/functions/tick", "", "application/json", "{}", 401},
		{"POST /admin/functions/tick", a.Key("tick"), "application/json", "{}", 401},
		{"POST /admin/functions/tick", a.HostKey(), "application/json", "{}", 401},
		{"POST /admin/functions/none", a.MasterKey(), "application/json", "{}", 404},
		{"GET /admin/functions/tick", a.MasterKey(), "", "", 405},
		{"POST /admin/functions/tick", a.MasterKey(), "application/json", "", 400},
		{"POST /admin/functions/tick", a.MasterKey(), "", "", 400},
		{"POST /admin/functions/tick", a.MasterKey(), "text/plain", "{}", 415},
		{"POST /admin/functions/tick", a.MasterKey(), "", "{}", 415},
		{"POST /admin/functions/Tick", a.MasterKey(), "application/json; charset=utf-8", "{}", 202},
		{"POST /admin/functions/api", a.MasterKey(), "application/json", "{}", 202},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		response, _ := a.request(method, path, c.body, "x-functions-key", c.key, "Content-Type", c.media)
		if response.StatusCode != c.want {
			t.Errorf("%s with %q, %q %q: %s, want %d", c.request, c.key, c.media, c.body, response.Status, c.want)
		}
	}
	a.await("the timer's run", func() bool { return a.said(Information, "Function.tick", "Succeeded") })
	a.await("the HTTP function's failure", func() bool { return a.said(Error, "Function.api", "Failed") })
	if n := len(a.received()); n != 1 {
		t.Errorf("the handler got %d calls, want the timer's", n)
	}
}

// TestLimitsOfARequest: Kestrel refuses a longer request before any key is checked.
func TestLimitsOfARequest(t *testing.T) {
	t.Parallel()
	a := newApp(t, proxying, "", map[string]string{"api": httpFunction})
	a.start()
	line := len("GET /api/? HTTP/1.1\r\n")
	for _, c := range []struct {
		query, header int
		want          int
	}{
		{longestRequestLine - line, 10, 200},
		{longestRequestLine - line + 1, 10, 414},
		{1, longestHeaders - 2000, 200},
		{1, longestHeaders, 431},
	} {
		response, _ := a.request("GET", "/api/?"+strings.Repeat("q", c.query), "", "X-Own", strings.Repeat("h", c.header))
		if response.StatusCode != c.want {
			t.Errorf("%d, %d: %s, want %d", c.query, c.header, response.Status, c.want)
		}
	}
	if n := len(a.received()); n != 2 {
		t.Errorf("the handler got %d requests", n)
	}
}

// TestDeclaredTooLarge: the handler sees nothing of a request with a declared length over the limit, and the caller need not
// send it.
func TestDeclaredTooLarge(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]string{"proxying": proxying, "forwarding": forwarding, "by data": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, way, "", map[string]string{"api": httpFunction})
			a.start()
			conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /api/api HTTP/1.1\r\nHost: x\r\nx-functions-key: %s\r\nContent-Length: %d\r\n\r\n",
				a.Key("api"), largestBody+1)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusInternalServerError || len(a.received()) != 0 {
				t.Errorf("got %s, and the handler %d requests", response.Status, len(a.received()))
			}
		})
	}
}

func TestAdminRunsAQueueFunction(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{
		"work": `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "m", "queueName": "admin-runs",
			"dataType": "binary"}]}`,
	})
	a.config.Client, a.config.Credential = storageClient(t), identity{}
	a.start()
	response, _ := a.request("POST", "/admin/functions/work", `{"input": "hello"}`, "x-functions-key", a.MasterKey(),
		"Content-Type", "application/json")
	if response.StatusCode != http.StatusAccepted {
		t.Errorf("got %s", response.Status)
	}
	if c := a.awaitCalls(1)[0]; !strings.Contains(c.body, `{"Data":{"m":"aGVsbG8="}`) {
		t.Errorf("the handler got %s", c.body)
	}
}
