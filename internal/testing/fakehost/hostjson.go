package fakehost

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// hostJSON holds the values that this host reads from host.json, with their defaults, after the overrides by app settings.
type hostJSON struct {
	root string // script root: the folder of host.json

	functionTimeout time.Duration // 0 means unbounded
	routePrefix     string
	handler         customHandler
	queues          queueOptions
}

// customHandler is the section of the same name (azure-functions-host, HttpWorkerOptions and HttpWorkerDescription).
type customHandler struct {
	executable            string
	arguments             []string
	workingDirectory      string // the working directory of the process
	workerDirectory       string // the start of a relative path of the executable
	initializationTimeout time.Duration
	port                  int // 0 means a free one
	proxying, forwarding  bool
	stderrIsErrors        bool
}

// queueOptions is the section extensions.queues (azure-sdk-for-net, QueuesOptions).
type queueOptions struct {
	batchSize          int
	newBatchThreshold  int
	maxPollingInterval time.Duration
	visibilityTimeout  time.Duration // before a failed message is visible again; whole seconds
	maxDequeueCount    int64
	base64             bool
}

// overridePrefix begins the names of app settings that override a value of host.json.
const overridePrefix = "AzureFunctionsJobHost__"

// readHostJSON reads and checks host.json. The handler's path and arguments are not expanded yet.
func readHostJSON(path string, app settings, executable string) (hostJSON, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return hostJSON{}, fmt.Errorf("host.json at %s: %w", path, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return hostJSON{}, fmt.Errorf("read host.json: %w", err)
	}
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return hostJSON{}, fmt.Errorf("%s is not JSON: %w", path, err)
	}
	if document["version"] != "2.0" {
		return hostJSON{}, fmt.Errorf(`%s: the property "version" must be "2.0", not %v`, path, document["version"])
	}
	v := values{flat: map[string]string{}}
	v.flatten("", document)
	for name, value := range app {
		if len(name) > len(overridePrefix) && strings.EqualFold(name[:len(overridePrefix)], overridePrefix) {
			v.flat[strings.ToLower(strings.ReplaceAll(name[len(overridePrefix):], "__", ":"))] = value
		}
	}
	h := hostJSON{root: filepath.Dir(path)}
	h.functionTimeout = v.timeout("functionTimeout", 30*time.Minute)
	h.routePrefix = strings.Trim(v.text("extensions:http:routePrefix", "api"), "/")
	h.handler = v.customHandler(h.root, executable)
	h.queues = v.queues()
	if err := errors.Join(v.errs...); err != nil {
		return hostJSON{}, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

func (v *values) customHandler(root, executable string) customHandler {
	const description = "customHandler:description:"
	under := func(key string) string {
		dir := v.text(description+key, "")
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		return dir
	}
	c := customHandler{
		executable:            executable,
		workingDirectory:      under("workingDirectory"),
		workerDirectory:       under("workerDirectory"),
		initializationTimeout: v.duration("customHandler:initializationTimeout", 30*time.Second, time.Millisecond),
		port:                  v.number("customHandler:port", 0, 0, 65535),
		proxying:              v.flag("customHandler:enableProxyingHttpRequest", false),
		forwarding:            v.flag("customHandler:enableForwardingHttpRequest", false),
		stderrIsErrors:        v.flag(description+"useStdErrorStreamForErrorsOnly", true),
	}
	if c.executable == "" {
		if c.executable = v.text(description+"defaultExecutablePath", ""); c.executable == "" {
			v.fail("customHandler.description.defaultExecutablePath is required")
		}
	}
	for i := 0; ; i++ {
		argument, ok := v.get(fmt.Sprintf("%sarguments:%d", description, i))
		if !ok {
			break
		}
		c.arguments = append(c.arguments, argument)
	}
	if kind := v.text("customHandler:type", "http"); !strings.EqualFold(kind, "http") {
		v.fail(`customHandler.type must be "http", not %q`, kind)
	}
	for _, unsupported := range []string{"customHandler:http:", description + "defaultWorkerPath", description + "workerArguments"} {
		for key := range v.flat {
			if strings.HasPrefix(key, strings.ToLower(unsupported)) {
				v.fail("%s is not supported by this host", strings.ReplaceAll(unsupported, ":", "."))
			}
		}
	}
	return c
}

// resolve expands the variables in path and arguments. A relative path that exists under workerDirectory becomes absolute; any
// other is searched on PATH. An argument with an unset variable is dropped; the others are one string in the host, so spaces
// split them.
func (c *customHandler) resolve(variables func(string) (string, bool)) {
	c.executable, _ = expand(c.executable, variables)
	absolute := filepath.Join(c.workerDirectory, c.executable)
	if _, err := os.Stat(absolute); err == nil && !filepath.IsAbs(c.executable) {
		c.executable = absolute
	}
	var words []string
	for _, argument := range c.arguments {
		if expanded, complete := expand(argument, variables); complete {
			words = append(words, strings.Fields(expanded)...)
		}
	}
	c.arguments = words
}

func (v *values) queues() queueOptions {
	const section = "extensions:queues:"
	q := queueOptions{
		batchSize:          v.number(section+"batchSize", 16, 1, 32),
		maxPollingInterval: v.duration(section+"maxPollingInterval", 2*time.Second, 100*time.Millisecond),
		visibilityTimeout:  v.duration(section+"visibilityTimeout", 0, 0),
		maxDequeueCount:    int64(v.number(section+"maxDequeueCount", 5, 1, 1<<30)),
	}
	q.newBatchThreshold = v.number(section+"newBatchThreshold", q.batchSize/2*runtime.NumCPU(), 0, 1<<30)
	switch encoding := v.text(section+"messageEncoding", "base64"); strings.ToLower(encoding) {
	case "base64":
		q.base64 = true
	case "none":
	default:
		v.fail("extensions.queues.messageEncoding must be base64 or none, not %q", encoding)
	}
	return q
}

// values is a JSON document in the form of .NET's configuration: one flat list of texts by lower-case path, colons between.
type values struct {
	flat map[string]string
	errs []error
}

func (v *values) flatten(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			v.flatten(path+":"+name, child)
		}
	case []any:
		for i, child := range value {
			v.flatten(path+":"+strconv.Itoa(i), child)
		}
	case nil:
	default:
		v.flat[strings.ToLower(strings.TrimPrefix(path, ":"))] = fmt.Sprint(value)
	}
}

func (v *values) fail(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *values) get(key string) (string, bool) {
	value, ok := v.flat[strings.ToLower(key)]
	return value, ok
}

func (v *values) text(key, fallback string) string {
	if value, ok := v.get(key); ok {
		return value
	}
	return fallback
}

func (v *values) flag(key string, fallback bool) bool {
	switch value, ok := v.get(key); {
	case !ok:
		return fallback
	case strings.EqualFold(value, "true"):
		return true
	case strings.EqualFold(value, "false"):
		return false
	default:
		v.fail("%s must be true or false, not %q", strings.ReplaceAll(key, ":", "."), value)
		return fallback
	}
}

func (v *values) number(key string, fallback, least, most int) int {
	value, ok := v.get(key)
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		v.fail("%s must be a number from %d to %d, not %q", strings.ReplaceAll(key, ":", "."), least, most, value)
	}
	return n
}

func (v *values) duration(key string, fallback, least time.Duration) time.Duration {
	value, ok := v.get(key)
	if !ok {
		return fallback
	}
	d, err := parseTimeSpan(value)
	if err == nil && d < least {
		err = fmt.Errorf("%q is less than %s", value, least)
	}
	if err != nil {
		v.fail("%s: %w", strings.ReplaceAll(key, ":", "."), err)
	}
	return d
}

// timeout returns a duration of at least a second; -1 means no limit.
func (v *values) timeout(key string, fallback time.Duration) time.Duration {
	if v.text(key, "") == "-1" {
		return 0
	}
	return v.duration(key, fallback, time.Second)
}
