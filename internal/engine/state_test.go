package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

var (
	allStates = []backup.State{
		backup.Waiting, backup.Queued, backup.Starting, backup.Running, backup.Verifying, backup.Succeeded, backup.Failed, backup.Superseded, backup.StateRefused, backup.Missed, backup.Unknown, backup.Canceled,
	}
	allCauses = []cause{
		begins, takesOver, accepts, postpones, finds, finishes, succeeds, fails, supersedes, refuses, misses, loses, keepsSafetyBackup,
		restores, cancels, abandons, retries,
	}
)

// TestMove holds every state against every cause: a pair that is not listed here is refused and changes nothing.
func TestMove(t *testing.T) {
	allowed := map[backup.State]map[cause]backup.State{
		backup.Queued: {
			begins: backup.Starting, postpones: backup.Waiting, fails: backup.Failed, supersedes: backup.Superseded, refuses: backup.StateRefused, misses: backup.Missed,
			cancels: backup.Canceled,
		},
		backup.Waiting: {
			begins: backup.Starting, postpones: backup.Waiting, finds: backup.Verifying, fails: backup.Failed, supersedes: backup.Superseded, refuses: backup.StateRefused,
			misses: backup.Missed,
			loses:  backup.Unknown, cancels: backup.Canceled, abandons: backup.Unknown,
		},
		backup.Starting: {
			begins: backup.Starting, takesOver: backup.Starting, accepts: backup.Running, postpones: backup.Waiting, retries: backup.Waiting, finds: backup.Verifying, finishes: backup.Verifying,
			fails: backup.Failed, loses: backup.Unknown, refuses: backup.StateRefused, restores: backup.Succeeded,
			cancels: backup.Canceled, abandons: backup.Unknown,
		},
		backup.Running: {
			begins: backup.Starting, retries: backup.Waiting, finds: backup.Verifying, finishes: backup.Verifying, fails: backup.Failed, loses: backup.Unknown, restores: backup.Succeeded,
			cancels: backup.Canceled, abandons: backup.Unknown,
		},
		backup.Verifying: {
			succeeds: backup.Succeeded, fails: backup.Failed, loses: backup.Unknown, keepsSafetyBackup: backup.Starting, cancels: backup.Canceled,
			abandons: backup.Unknown,
		},
	}
	for _, from := range allStates {
		for _, c := range allCauses {
			r := backup.Run{ID: "r", State: from}
			err := move(&r, c)
			want, ok := allowed[from][c]
			switch {
			case ok && (err != nil || r.State != want):
				t.Errorf("%s, %s: got %s, %v; want %s", from, c, r.State, err, want)
			case !ok && (err == nil || r.State != from):
				t.Errorf("%s, %s: got %s, %v; want a refusal", from, c, r.State, err)
			}
		}
		if from.Final() != (len(allowed[from]) == 0) {
			t.Errorf("%s is final: %v, and has %d ways out", from, from.Final(), len(allowed[from]))
		}
		if from.Final() && from.HoldsLock() {
			t.Errorf("%s is final and holds the lock", from)
		}
	}
	for _, tr := range transitions {
		if !slices.Contains(allCauses, tr.cause) || !slices.Contains(allStates, tr.to) {
			t.Errorf("the test does not know %s or %s", tr.cause, tr.to)
		}
	}
}

// TestDiagram keeps docs/states.md true: the diagram word for word, and a line of its table for every state.
func TestDiagram(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "states.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "```mermaid\n" + diagram() + "```\n"; !strings.Contains(string(doc), want) {
		t.Errorf("docs/states.md does not hold this diagram:\n%s", want)
	}
	for _, s := range allStates {
		if !strings.Contains(string(doc), "| `"+string(s)+"` |") {
			t.Errorf("docs/states.md has no line about %s", s)
		}
	}
}

// TestStateIsSetInOnePlace reads the sources: a run's state is set where it is created, and by move.
func TestStateIsSetInOnePlace(t *testing.T) {
	allowed := map[string]int{
		"states.go: r.State = t.to": 1,
		"schedule.go: run.State, run.Created, run.Updated = cmp.Or(run.State, backup.Queued), now, now": 1,
	}
	sets := regexp.MustCompile(`(?m)^\s*((?:r|run|s\.run)\.State(?:, [\w., ]+)? = .*)$`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range sets.FindAllStringSubmatch(string(source), -1) {
			allowed[file+": "+m[1]]--
		}
	}
	for place, n := range allowed {
		if n != 0 {
			t.Errorf("%s: %d times fewer than allowed", place, n)
		}
	}
}

// diagram returns the state machine as a Mermaid state diagram; docs/states.md holds it word for word.
func diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued\n")
	for _, t := range transitions {
		for _, from := range t.from {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", from, t.to, t.cause)
		}
	}
	for _, s := range []backup.State{backup.Succeeded, backup.Failed, backup.Superseded, backup.StateRefused, backup.Canceled, backup.Missed, backup.Unknown} {
		fmt.Fprintf(&b, "    %s --> [*]\n", s)
	}
	return b.String()
}
