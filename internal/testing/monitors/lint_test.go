package monitors

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLint: promtool has nothing to say against the names and the form of what the program says at the end of each story.
func TestLint(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(stories, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d stories, %v: make rules writes them", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text[strings.LastIndex(string(text), "\n# minute ")+1:]), "\n")
		lint := exec.CommandContext(t.Context(), *promtool, "check", "metrics")
		lint.Stdin = strings.NewReader(body)
		if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 || !strings.Contains(body, "\nlifeboat_plan_refused ") {
			t.Errorf("%s: %v %s", filepath.Base(file), err, out)
		}
	}
}
