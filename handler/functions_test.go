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

// binding is a binding of a function.json, with the members that the host reads.
type binding struct {
	Type, Direction, Name, DataType, QueueName, Connection, AuthLevel, Route, Schedule string

	Methods []string
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

// hostRoute is the route that function.json must have. The host takes the first route that matches, in the order of the names
// of functions (seen with 4.1045). So the route for all other paths excludes the routes of the others: then no order counts.
func hostRoute(f HTTPFunction) string {
	if f.Template != "" {
		return f.Template
	}
	var others []string
	for _, other := range HTTPFunctions() {
		if other.Template != "" {
			others = append(others, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(other.Template, "[^/]+"))
		}
	}
	return "{*path:regex(^(?!(" + strings.Join(others, "|") + ")/?$))}"
}

// httpFunction is nil for a name that the table does not have.
func httpFunction(name string) *HTTPFunction {
	for _, f := range HTTPFunctions() {
		if f.Name == name {
			return &f
		}
	}
	return nil
}

// TestHTTPFunctions checks that each route belongs to the function that the host calls for it, and to no other.
func TestHTTPFunctions(t *testing.T) {
	rest := 0
	for _, f := range HTTPFunctions() {
		if f.Template == "" {
			rest++
		}
		if len(f.Routes) == 0 {
			t.Errorf("%s has no routes", f.Name)
		}
		for _, route := range f.Routes {
			if !slices.Contains(f.Methods, route.Method) {
				t.Errorf("%s: the host lets no %s through to %s", f.Name, route.Method, route.Path)
			}
			if f.Template != "" && route.Path != "/api/"+f.Template {
				t.Errorf("%s: %s is not below the route %s", f.Name, route.Path, f.Template)
			}
			for _, other := range HTTPFunctions() {
				if _, ok := (Route{Path: "/api/" + other.Template}).match(strings.NewReplacer("{", "", "}", "").Replace(route.Path)); ok && other.Name != f.Name {
					t.Errorf("%s: the host takes %s for %s", f.Name, route.Path, other.Name)
				}
			}
		}
	}
	if rest != 1 {
		t.Errorf("%d functions have all the rest", rest)
	}
}

// TestFunctionsAreThoseOfTheFolders checks that every folder has a function of its name here, and the other way round, with the
// bindings that the code relies on.
func TestFunctionsAreThoseOfTheFolders(t *testing.T) {
	h := New(Config{}).(*handler)
	folders := readFunctions(t)
	for name := range h.functions {
		if folders[name] == nil {
			t.Errorf("functions/%s/function.json is missing: the host would never call %s", name, name)
		}
	}
	for _, f := range HTTPFunctions() {
		if folders[f.Name] == nil {
			t.Errorf("functions/%s/function.json is missing: its routes would not exist", f.Name)
		}
	}
	for name, bindings := range folders {
		if !hostName.MatchString(name) || strings.EqualFold(name, "host") {
			t.Errorf("the host refuses the name %q", name)
		}
		if h.functions[name] == nil && httpFunction(name) == nil {
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
			if want == "restore" || want == "backup" {
				want += "-requests" // other systems send to it: it has the name of their messages
			}
			if dead {
				want += "-poison"
			}
			if b.QueueName != want {
				t.Errorf("functions/%s listens to the queue %s", name, b.QueueName)
			}
		case "timerTrigger":
			if !regexp.MustCompile(`^%LIFEBOAT_[A-Z]+_TIMER%$`).MatchString(b.Schedule) {
				t.Errorf("functions/%s: the schedule %q is no app setting", name, b.Schedule)
			}
		case "httpTrigger":
			// One trigger and one output, or the host sends no forwarded request (azure-functions-host, IsHttpInAndOutFunction).
			if len(bindings) != 2 || bindings[1].Type != "http" {
				t.Errorf("functions/%s: %+v", name, bindings)
			}
			f := httpFunction(name)
			if f == nil {
				t.Errorf("functions/%s is not in the table of HTTP functions", name)
				continue
			}
			if b.AuthLevel != f.AuthLevel || b.Route != hostRoute(*f) || !slices.Equal(b.Methods, lower(f.Methods)) {
				t.Errorf("functions/%s has %q, %q, %v; the table says %q, %q, %v", name, b.AuthLevel, b.Route, b.Methods,
					f.AuthLevel, hostRoute(*f), lower(f.Methods))
			}
		default:
			t.Errorf("functions/%s has a %s", name, b.Type)
		}
	}
}

func lower(words []string) (all []string) {
	for _, word := range words {
		all = append(all, strings.ToLower(word))
	}
	return all
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
		Logging struct {
			ApplicationInsights struct{ EnableDependencyTracking *bool }
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
	if tracked := host.Logging.ApplicationInsights.EnableDependencyTracking; tracked == nil || *tracked {
		t.Error("the host would write each URL that it calls into Application Insights, with the key that a caller put there")
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
