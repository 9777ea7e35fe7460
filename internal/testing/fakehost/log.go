package fakehost

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Level is the severity of an Entry, as .NET names it.
type Level string

// The levels that this host uses.
const (
	Information Level = "Information"
	Warning     Level = "Warning"
	Error       Level = "Error"
)

// These are categories of entries, as in the logs of the real host. The category of a function's own lines is
// Function.<Name>.User; the category of the host's lines about its invocations is Function.<Name>.
const (
	// CategoryConsole has the lines that the handler wrote to stdout and stderr. They have no invocation.
	CategoryConsole  = "Host.Function.Console"
	categoryStartup  = "Host.Startup"
	categoryWorker   = "Host.Worker"
	categoryTriggers = "Host.Triggers"
)

// Entry is one line of the host's log.
type Entry struct {
	Time     time.Time
	Level    Level
	Category string
	// Invocation is the invocation's ID; "" if there is none.
	Invocation string
	// Text is the message, without a line end.
	Text string
}

// String returns the entry as one line of JSON. A text that is a JSON object itself stays one.
func (e Entry) String() string {
	var message any = e.Text
	if raw := json.RawMessage(e.Text); strings.HasPrefix(e.Text, "{") && json.Valid(raw) {
		message = raw
	}
	line, err := marshal(struct {
		Time       time.Time `json:"time"`
		Level      Level     `json:"level"`
		Category   string    `json:"category"`
		Invocation string    `json:"invocation,omitempty"`
		Message    any       `json:"message"`
	}{e.Time, e.Level, e.Category, e.Invocation, message})
	if err != nil {
		return e.Text
	}
	return string(line)
}

// journal passes entries to its receiver, one at a time, and none after its end.
type journal struct {
	mu   sync.Mutex
	sink func(Entry)
}

func (j *journal) add(e Entry) {
	e.Time = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sink != nil {
		j.sink(e)
	}
}

func (j *journal) say(level Level, category, format string, args ...any) {
	j.add(Entry{Level: level, Category: category, Text: fmt.Sprintf(format, args...)})
}

// close waits until no entry is being passed on.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sink = nil
}

// console reads a handler's output line by line.
type console struct {
	each func(line string)
	rest []byte
}

func (c *console) Write(b []byte) (int, error) {
	c.rest = append(c.rest, b...)
	for {
		line, rest, found := strings.Cut(string(c.rest), "\n")
		if !found {
			return len(b), nil
		}
		c.rest = []byte(rest)
		c.each(strings.TrimSuffix(line, "\r"))
	}
}

// flush passes on a last line without an end.
func (c *console) flush() {
	if len(c.rest) > 0 {
		c.each(string(c.rest))
		c.rest = nil
	}
}

// errorLevel returns the level of a line on stderr. By default all lines are errors, except those with the word warning; with
// allErrors false only lines with a telling word are errors (azure-functions-host, WorkerProcess and WorkerProcessUtilities).
func errorLevel(line string, allErrors bool) Level {
	line = strings.ToLower(line)
	if allErrors {
		if strings.Contains(line, "warn") {
			return Warning
		}
		return Error
	}
	for _, word := range []string{"error", "fail", "severe", "unhandled exception"} {
		if strings.Contains(line, word) {
			return Error
		}
	}
	return Information
}
