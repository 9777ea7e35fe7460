package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogIsBounded checks that the log and the older one have the newest lines in their order, that neither is larger than the limit,
// and that a log goes on where an earlier process left it.
func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	for _, lines := range []string{"abcd", "efg"} { // two processes
		l, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		l.limit = 4
		for _, line := range strings.Split(lines, "") {
			l.say(line) // two bytes each
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{path: "g\n", path + ".1": "e\nf\n"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", file, text, err, want)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 2 {
		t.Errorf("%q, %v", files, err)
	}
}

// TestALineAboveTheLimitIsWritten checks that a log has it all the same, alone.
func TestALineAboveTheLimitIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l.limit = 4
	for _, line := range []string{"a", "larger", "b"} {
		l.say(line)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path: "b\n", path + ".1": "larger\n"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", file, text, err, want)
		}
	}
}
