package fakehost

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.json")
	read := func(text string, app settings) (hostJSON, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return readHostJSON(path, app, "")
	}
	const head = `{"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "x"}}`

	h, err := read(head+`}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if h.functionTimeout != 30*time.Minute || h.routePrefix != "api" || h.handler.initializationTimeout != 30*time.Second ||
		h.handler.proxying || h.handler.forwarding || !h.handler.stderrIsErrors {
		t.Errorf("the defaults are %+v", h)
	}
	if q := h.queues; q.batchSize != 16 || q.maxPollingInterval != 2*time.Second || q.visibilityTimeout != 0 ||
		q.maxDequeueCount != 5 || !q.base64 {
		t.Errorf("the defaults of queues are %+v", q)
	}

	h, err = read(head+`, "functionTimeout": "00:05:00", "extensions": {"http": {"routePrefix": "/a/b/"},
		"queues": {"batchSize": 4, "newBatchThreshold": 0, "messageEncoding": "None", "visibilityTimeout": "00:00:30"}}}`, settings{
		"AzureFunctionsJobHost__functionTimeout":                            "-1",
		"azurefunctionsjobhost__extensions__Queues__BatchSize":              "1",
		"AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest":   "True",
		"AzureFunctionsJobHost__customHandler__description__arguments__0":   "a",
		"AzureFunctionsJobHost__extensions__queues__maxPollingInterval":     "00:00:00.500",
		"AzureFunctionsJobHost__customHandler__description__stdErr_unknown": "ignored",
	})
	if err != nil {
		t.Fatal(err)
	}
	if q := h.queues; h.functionTimeout != 0 || h.routePrefix != "a/b" || !h.handler.proxying || q.batchSize != 1 ||
		q.newBatchThreshold != 0 || q.maxPollingInterval != time.Second/2 || q.visibilityTimeout != 30*time.Second || q.base64 ||
		len(h.handler.arguments) != 1 {
		t.Errorf("got %+v", h)
	}

	for text, names := range map[string]string{
		`{`:                  "not JSON",
		`{}`:                 "version",
		`{"version": 2.0}`:   "version",
		`{"version": "2.0"}`: "defaultExecutablePath",
		head + `, "a": 1]`:   "not JSON",
		head + `, "customHandler": {"http": {"routes": [{"route": "x"}]}}}`:         "customHandler.http",
		head + `, "functionTimeout": "00:00:00.5"}`:                                 "functionTimeout",
		head + `, "functionTimeout": "soon"}`:                                       "functionTimeout",
		head + `, "extensions": {"queues": {"batchSize": 33}}}`:                     "batchSize",
		head + `, "extensions": {"queues": {"maxDequeueCount": 0}}}`:                "maxDequeueCount",
		head + `, "extensions": {"queues": {"messageEncoding": "utf8"}}}`:           "messageEncoding",
		head + `, "extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}}`: "maxPollingInterval",
	} {
		if _, err := read(text, nil); err == nil || !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error about %s in %s", text, err, names, path)
		}
	}
}

func TestReadFunctions(t *testing.T) {
	timer := func(schedule string) string {
		return `{"bindings": [{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "` + schedule + `"}]}`
	}
	queue := func(name string) string {
		return `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "m", "queueName": "` + name + `"}]}`
	}
	http := func(members string) string {
		return `{"bindings": [{"type": "httpTrigger", "direction": "in", "name": "req"` + members + `}]}`
	}
	app := settings{"TICK": "0 0 * * * *", "Queue": "EXECUTE", "AzureWebJobs.off.Disabled": "true", "FLAG": "1"}
	read := func(t *testing.T, app settings, files map[string]string) ([]*function, error) {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return readFunctions(dir, app, true, "api")
	}

	functions, err := read(t, app, map[string]string{
		"tick/function.json":         timer("%tick%"),
		"work/function.json":         queue("%QUEUE%"),
		"off/function.json":          timer("* * * * * *"),
		"flagged/function.json":      `{"disabled": "FLAG", ` + timer("* * * * * *")[1:],
		"Web_1-x/function.json":      http(""),
		"deeper/still/function.json": "not read",
		"function.json":              "not read",
		"readme/readme.md":           "not read",
	})
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, f := range functions {
		names += f.name + " "
		if off := f.name == "off" || f.name == "flagged"; f.disabled != off {
			t.Errorf("%s: disabled %t", f.name, f.disabled)
		}
	}
	if names != "flagged off tick Web_1-x work " { // in any case, as the host tries their routes
		t.Errorf("found %s", names)
	}
	if b := functions[4].trigger; b.QueueName != "execute" || b.Connection != defaultConnection {
		t.Errorf("the queue trigger is %+v", b)
	}
	if f := functions[3]; f.trigger.AuthLevel != authFunction || f.route.template != "api/Web_1-x" || f.plainHTTP() {
		t.Errorf("the HTTP function is %+v", f)
	}

	for name, c := range map[string]struct{ folder, text, want string }{
		"unknown setting":    {"x", timer("%NONE%"), "'%NONE%' does not resolve to a value"},
		"open percent":       {"x", timer("%NONE"), "no closing"},
		"bad schedule":       {"x", timer("* * * * * 7"), "day of week"},
		"no schedule":        {"x", timer(""), "needs a schedule"},
		"folder":             {"1x", timer("* * * * * *"), "not a name for a function"},
		"host":               {"Host", timer("* * * * * *"), "not a name for a function"},
		"not JSON":           {"x", "{", "not the JSON"},
		"no binding":         {"x", `{"bindings": []}`, "no trigger"},
		"no queue":           {"x", queue(""), "needs a queueName"},
		"bad queue":          {"x", queue("a--b"), "not a name for a queue"},
		"binding expression": {"x", queue("{id}"), "not a name for a queue"},
		"binding name":       {"x", strings.Replace(queue("abc"), `"m"`, `"my_m"`, 1), `"my_m"`},
		"direction":          {"x", strings.Replace(queue("abc"), `"in"`, `"out"`, 1), "direction"},
		"type":               {"x", strings.Replace(queue("abc"), "queueTrigger", "blobTrigger", 1), `unknown type "blobTrigger"`},
		"data type":          {"x", strings.Replace(queue("abc"), `"name"`, `"dataType": "text", "name"`, 1), `dataType "text"`},
		"two triggers": {
			"x", strings.Replace(queue("abc"), "]", `, {"type": "httpTrigger", "direction": "in", "name": "req"}]`, 1),
			"one trigger",
		},
		"two of a name": {
			"x", strings.Replace(queue("abc"), "]", `, {"type": "http", "direction": "out", "name": "m"}]`, 1),
			"two bindings",
		},
		"auth level":     {"x", http(`, "authLevel": "system"`), `authLevel "system"`},
		"reserved route": {"x", http(`, "route": "Administrators/{id}"`), "reserved"},
		"constraint":     {"x", http(`, "route": "items/{id:int}"`), "no constraint but regex"},
		"retry":          {"x", `{"retry": {"strategy": "fixedDelay"}, ` + timer("* * * * * *")[1:], "retry"},
	} {
		_, err := read(t, app, map[string]string{c.folder + "/function.json": c.text})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.folder) {
			t.Errorf("%s: %v, want an error about %s", name, err, c.want)
		}
	}
}

func TestQueueService(t *testing.T) {
	for name, c := range map[string]struct {
		app        settings
		connection string
		want       string // "": an error
	}{
		"account":       {settings{"AzureWebJobsStorage__accountName": "contoso"}, "AzureWebJobsStorage", "https://contoso.queue.core.windows.net"},
		"URI":           {settings{"C__queueServiceUri": "https://q/", "C__accountName": "no"}, "C", "https://q"},
		"alias":         {settings{"C__serviceUri": "https://q"}, "C", "https://q"},
		"prefix":        {settings{"AzureWebJobsC__accountName": "contoso"}, "C", "https://contoso.queue.core.windows.net"},
		"string":        {settings{"C": "AccountKey=x"}, "C", ""},
		"string anyway": {settings{"C": "AccountKey=x", "C__accountName": "contoso"}, "C", ""},
		"nothing":       {settings{}, "C", ""},
	} {
		if got, err := c.app.service(c.connection, "queue"); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	queue := map[string]string{
		"work": `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "m", "queueName": "execute"}]}`,
	}
	for name, c := range map[string]struct {
		functions map[string]string
		spoil     func(*Config)
		want      string
	}{
		"no host.json":       {nil, func(c *Config) { c.HostJSON = "" }, "HostJSON"},
		"host.json missing":  {nil, func(c *Config) { c.HostJSON += "x" }, "read host.json"},
		"no folder":          {nil, func(c *Config) { c.Functions = c.HostJSON + "x" }, "folder of the functions"},
		"no storage":         {queue, func(c *Config) { clear(c.Settings) }, "AzureWebJobsStorage"},
		"no credential":      {queue, func(*Config) {}, "credential"},
		"not only this host": {nil, func(c *Config) { c.Addr = "0.0.0.0:0" }, "loopback"},
		"no port":            {nil, func(c *Config) { c.Addr = "127.0.0.1:x" }, "127.0.0.1:x"},
	} {
		a := newApp(t, "", "", c.functions)
		c.spoil(&a.config)
		h, err := Start(t.Context(), a.config)
		if err == nil {
			_ = h.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %s", name, err, c.want)
		}
	}
}
