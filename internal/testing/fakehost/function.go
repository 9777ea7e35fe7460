package fakehost

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// function is a folder with a function.json, checked, with its settings resolved.
type function struct {
	name     string
	disabled bool
	trigger  binding
	outputs  []binding

	schedule schedule // for a timerTrigger
	route    route    // for an httpTrigger
}

// binding is one entry of function.json; which members count depends on its type.
type binding struct {
	Type      string `json:"type"`
	Direction string `json:"direction"`
	Name      string `json:"name"`
	DataType  string `json:"dataType"`

	Schedule     string `json:"schedule"`
	RunOnStartup bool   `json:"runOnStartup"`
	UseMonitor   *bool  `json:"useMonitor"`

	QueueName  string `json:"queueName"`
	Connection string `json:"connection"`

	Route     *string  `json:"route"`
	Methods   []string `json:"methods"`
	AuthLevel string   `json:"authLevel"`
}

// The types of bindings that this host knows.
const (
	timerTrigger = "timerTrigger"
	queueTrigger = "queueTrigger"
	httpTrigger  = "httpTrigger"
	httpOutput   = "http"
	queueOutput  = "queue"
)

// These are the authLevels: they decide which keys an HTTP function accepts.
const (
	authFunction  = "function"
	authAnonymous = "anonymous"
	authAdmin     = "admin"
)

var (
	functionName = regexp.MustCompile(`^(?i)[a-z][a-z0-9_-]{0,127}$`)
	bindingName  = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]{0,127}|\$return)$`)
	queueName    = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)
)

// defaultConnection is the storage account of the host itself.
const defaultConnection = "AzureWebJobsStorage"

// shortestQueueName and longestQueueName are lengths of queue names (Storage REST API, Naming Queues and Metadata).
const shortestQueueName, longestQueueName = 3, 63

// readFunctions reads function.json in the immediate sub-folders, as HostFunctionMetadataProvider does: it ignores folders
// without one, and never reads deeper ones. The functions are sorted by name, in any case.
func readFunctions(dir string, app settings, hasStorage bool, routePrefix string) ([]*function, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the functions: %w", err)
	}
	var functions []*function
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name(), "function.json")
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || !entry.IsDir() && err != nil {
			continue
		}
		var f *function
		if err == nil {
			f, err = parseFunction(entry.Name(), text, app, routePrefix)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("function %q: %s: %w", entry.Name(), path, err))
			continue
		}
		functions = append(functions, f)
	}
	slices.SortStableFunc(functions, func(a, b *function) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	errs = append(errs, checkTogether(functions, hasStorage)...)
	return functions, errors.Join(errs...)
}

// checkTogether finds conflicts between functions that are each valid.
func checkTogether(functions []*function, hasStorage bool) (errs []error) {
	for i, f := range functions {
		if f.trigger.Type != httpTrigger && !hasStorage {
			errs = append(errs, fmt.Errorf("function %q: the app setting AzureWebJobsStorage is missing: "+
				"every trigger but HTTP needs it", f.name))
		}
		for _, other := range functions[:i] {
			if strings.EqualFold(f.name, other.name) {
				errs = append(errs, fmt.Errorf("functions %q and %q differ in case only", other.name, f.name))
			}
		}
	}
	return errs
}

func parseFunction(name string, text []byte, app settings, routePrefix string) (*function, error) {
	if !functionName.MatchString(name) || strings.EqualFold(name, "host") {
		return nil, fmt.Errorf("%q is not a name for a function: want %s, and not host", name, functionName)
	}
	var document struct {
		Bindings []binding `json:"bindings"`
		Disabled any       `json:"disabled"`
		Retry    any       `json:"retry"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("not the JSON of a function: %w", err)
	}
	if document.Retry != nil {
		return nil, errors.New("retry policies are not supported by this host")
	}
	f := &function{name: name}
	f.disabled = app.enabled("AzureWebJobs."+name+".Disabled") || app.enabled("AzureWebJobs_"+name+"_Disabled")
	switch disabled := document.Disabled.(type) {
	case bool:
		f.disabled = f.disabled || disabled
	case string: // the name of a setting
		f.disabled = f.disabled || app.enabled(strings.Trim(disabled, "%"))
	}
	seen := map[string]bool{}
	for _, b := range document.Bindings {
		if !bindingName.MatchString(b.Name) {
			return nil, fmt.Errorf("binding %q: want a name like %s", b.Name, bindingName)
		}
		if seen[b.Name] {
			return nil, fmt.Errorf("two bindings are named %q", b.Name)
		}
		seen[b.Name] = true
		if err := f.add(b, app, routePrefix); err != nil {
			return nil, fmt.Errorf("binding %q: %w", b.Name, err)
		}
	}
	if f.trigger.Type == "" {
		return nil, errors.New("there is no trigger among the bindings")
	}
	return f, nil
}

// add checks a binding and stores it in the right field.
func (f *function) add(b binding, app settings, routePrefix string) error {
	direction := "in"
	if b.Type == httpOutput || b.Type == queueOutput {
		direction = "out"
	}
	if b.Direction != direction {
		return fmt.Errorf("the direction of %s must be %q, not %q", b.Type, direction, b.Direction)
	}
	if !slices.Contains([]string{"", "string", "binary", "stream"}, strings.ToLower(b.DataType)) {
		return fmt.Errorf("unknown dataType %q", b.DataType)
	}
	var err error
	switch b.Type {
	case timerTrigger:
		f.schedule, err = b.timer(app)
	case httpTrigger:
		f.route, err = b.http(f.name, routePrefix)
	case queueTrigger, queueOutput:
		err = b.queue(app)
	case httpOutput:
	default:
		err = fmt.Errorf("unknown type %q", b.Type)
	}
	if err != nil {
		return err
	}
	if direction == "out" {
		f.outputs = append(f.outputs, b)
		return nil
	}
	if f.trigger.Type != "" {
		return fmt.Errorf("a function has one trigger, and %q is one already", f.trigger.Name)
	}
	f.trigger = b
	return nil
}

func (b *binding) timer(app settings) (schedule, error) {
	if b.Schedule == "" {
		return nil, errors.New("a timerTrigger needs a schedule")
	}
	text, err := app.resolve(b.Schedule)
	if err != nil {
		return nil, err
	}
	b.Schedule = text
	return parseSchedule(text)
}

func (b *binding) queue(app settings) (err error) {
	if b.QueueName == "" {
		return fmt.Errorf("a %s needs a queueName", b.Type)
	}
	if b.QueueName, err = app.resolve(b.QueueName); err != nil {
		return err
	}
	b.QueueName = strings.ToLower(b.QueueName)
	if !validQueueName(b.QueueName) {
		return fmt.Errorf("%q is not a name for a queue: want 3 to 63 lower-case letters, digits and single hyphens", b.QueueName)
	}
	if b.Connection == "" {
		b.Connection = defaultConnection
	}
	b.Connection, err = app.resolve(b.Connection)
	return err
}

func (b *binding) http(name, routePrefix string) (route, error) {
	template := name
	if b.Route != nil {
		template = *b.Route
	}
	switch b.AuthLevel = strings.ToLower(b.AuthLevel); b.AuthLevel {
	case "":
		b.AuthLevel = authFunction
	case authFunction, authAnonymous, authAdmin:
	default:
		return route{}, fmt.Errorf("unknown authLevel %q", b.AuthLevel)
	}
	return parseRoute(routePrefix, template, b.Methods)
}

func validQueueName(name string) bool {
	return len(name) >= shortestQueueName && len(name) <= longestQueueName && queueName.MatchString(name)
}

// binary tells whether values are bytes: base64 to the handler, and never guessed to be base64 from it.
func (b binding) binary() bool { return strings.EqualFold(b.DataType, "binary") }

// monitored tells whether the timer's last run is remembered.
func (f *function) monitored() bool {
	return (f.trigger.UseMonitor == nil || *f.trigger.UseMonitor) && !everyMinute(f.schedule)
}

// plainHTTP tells whether the function has exactly one input, an httpTrigger, and exactly one output, http: only then can
// requests be proxied or forwarded (FunctionMetadataExtensions, IsHttpInAndOutFunction).
func (f *function) plainHTTP() bool {
	return f.trigger.Type == httpTrigger && len(f.outputs) == 1 && f.outputs[0].Type == httpOutput
}
