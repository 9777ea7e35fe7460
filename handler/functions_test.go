package handler

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// binding is what the host reads of a function.json.
type binding struct {
	Type, Direction, Name, DataType, QueueName, Connection, AuthLevel, Route, Schedule string
}

func readFunctions(t *testing.T) map[string][]binding {
	t.Helper()
	files, err := filepath.Glob("../functions/*/*")
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string][]binding{}
	for _, file := range files {
		if filepath.Base(file) != "function.json" {
			t.Errorf("%s would be deployed: a function's folder holds function.json and nothing else", file)
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Bindings []binding }
		if err := json.Unmarshal(text, &f); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		functions[filepath.Base(filepath.Dir(file))] = f.Bindings
	}
	return functions
}

// hostName is the host's own rule for names of functions (azure-functions-host, Utility.cs).
var hostName = regexp.MustCompile(`(?i)^[a-z][a-z0-9_-]{0,127}$`)

// httpRoutes are those of the HTTP functions, which the mux serves. The more literal route wins in the host.
var httpRoutes = map[string]string{"api": "{*path}", "health": "health", "metrics": "metrics"}

// Every folder has a function of its name here, and the other way round, with the bindings that the code relies on.
func TestFunctionsAreThoseOfTheFolders(t *testing.T) {
	h := New(Config{}).(*handler)
	folders := readFunctions(t)
	for name := range h.functions {
		if folders[name] == nil {
			t.Errorf("functions/%s/function.json is missing: the host would never call %s", name, name)
		}
	}
	for name := range httpRoutes {
		if folders[name] == nil {
			t.Errorf("functions/%s/function.json is missing: its route would not exist", name)
		}
	}
	for name, bindings := range folders {
		if !hostName.MatchString(name) || strings.EqualFold(name, "host") {
			t.Errorf("the host refuses the name %q", name)
		}
		if h.functions[name] == nil && httpRoutes[name] == "" {
			t.Errorf("functions/%s has no function in this package", name)
		}
		triggers := slices.DeleteFunc(slices.Clone(bindings), func(b binding) bool { return !strings.HasSuffix(b.Type, "Trigger") })
		if len(triggers) != 1 {
			t.Errorf("functions/%s has %d triggers: the host wants one", name, len(triggers))
			continue
		}
		switch b := triggers[0]; b.Type {
		case "queueTrigger":
			// Without dataType binary a message could overwrite its own metadata.
			if b.DataType != "binary" || b.Name != "message" || b.Connection != "AzureWebJobsStorage" {
				t.Errorf("functions/%s: %+v", name, b)
			}
			want, dead := strings.CutPrefix(name, "deadletter-")
			if want == "restore" {
				want = "restore-requests" // other systems send to it: it is named for what they send
			}
			if dead {
				want += "-poison"
			}
			if b.QueueName != want {
				t.Errorf("functions/%s listens to the queue %s", name, b.QueueName)
			}
		case "timerTrigger":
			if !regexp.MustCompile(`^%LIFEBOAT_[A-Z]+_TICK%$`).MatchString(b.Schedule) {
				t.Errorf("functions/%s: the schedule %q is no app setting", name, b.Schedule)
			}
		case "httpTrigger":
			// One trigger and one output, or the host sends no forwarded request (azure-functions-host, IsHttpInAndOutFunction).
			if b.AuthLevel != "function" || b.Route != httpRoutes[name] || len(bindings) != 2 || bindings[1].Type != "http" {
				t.Errorf("functions/%s: %+v", name, bindings)
			}
		default:
			t.Errorf("functions/%s has a %s", name, b.Type)
		}
	}
}

func TestHostSettings(t *testing.T) {
	text, err := os.ReadFile("../host.json")
	if err != nil {
		t.Fatal(err)
	}
	var host struct {
		FunctionTimeout string
		CustomHandler   struct {
			Description                                            struct{ DefaultExecutablePath string }
			EnableForwardingHTTPRequest, EnableProxyingHTTPRequest bool
		}
		Extensions struct {
			Queues struct{ MessageEncoding string }
		}
	}
	if err := json.Unmarshal(text, &host); err != nil {
		t.Fatal(err)
	}
	if host.FunctionTimeout != "00:05:00" || Deadline.Minutes() >= 5 {
		t.Errorf("the handler's deadline of %s must end before the host's %s", Deadline, host.FunctionTimeout)
	}
	if !host.CustomHandler.EnableForwardingHTTPRequest || !host.CustomHandler.EnableProxyingHTTPRequest {
		t.Error("HTTP requests must come as they are, from newer and older hosts")
	}
	if host.Extensions.Queues.MessageEncoding != "none" {
		t.Error("any other encoding sends messages to poison before the handler sees them")
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if binary := host.CustomHandler.Description.DefaultExecutablePath; !strings.Contains(string(makefile), "build/app/"+binary+" .") {
		t.Errorf("host.json starts %q, which is not what the Makefile builds", binary)
	}
	var local struct{ Values map[string]string }
	text, err = os.ReadFile("../local.settings.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &local); err != nil {
		t.Fatal(err)
	}
	for name, bindings := range readFunctions(t) {
		for _, b := range bindings {
			if setting := strings.Trim(b.Schedule, "%"); setting != "" && local.Values[setting] == "" {
				t.Errorf("functions/%s needs the setting %s, which local.settings.json does not have", name, setting)
			}
		}
	}
}
