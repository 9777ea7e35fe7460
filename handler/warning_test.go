package handler

import (
	"fmt"
	"slices"
	"testing"
)

// TestTheTimerRunLogsWarningsOnce checks that each warning about plan.yaml is a line, once a process for every change of it.
func TestTheTimerRunLogsWarningsOnce(t *testing.T) {
	var warnings []string
	d := newApp(func(c *Config) { c.Warnings = func() []string { return warnings } })
	timer := func() (told []string) {
		t.Helper()
		d.call("POST", "/schedule", envelope(t, "timer.json"))
		for _, line := range d.lines(t) {
			if line["level"] == "warn" && line["function"] == "schedule" {
				told = append(told, fmt.Sprint(line["reason"]))
			}
		}
		return told
	}
	for i, step := range []struct{ are, told []string }{
		{nil, nil},
		{[]string{"plan.yaml:3: warning: a", "plan.yaml:7: warning: b"}, []string{"plan.yaml:3: warning: a", "plan.yaml:7: warning: b"}},
		{[]string{"plan.yaml:3: warning: a", "plan.yaml:7: warning: b"}, nil},
		{[]string{"plan.yaml:3: warning: a"}, []string{"plan.yaml:3: warning: a"}},
		{nil, nil},
		{[]string{"plan.yaml:3: warning: a"}, []string{"plan.yaml:3: warning: a"}},
	} {
		warnings = step.are
		if told := timer(); !slices.Equal(told, step.told) {
			t.Errorf("timer run %d logs %q, want %q", i, told, step.told)
		}
	}
}
