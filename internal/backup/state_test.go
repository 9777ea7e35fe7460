package backup

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	allStates = []State{
		Waiting, Queued, Starting, Running, Verifying, Succeeded, Failed, Superseded, StateRefused, Missed, Unknown, Canceled,
	}
	allCauses = []cause{
		begins, takesOver, accepts, postpones, finds, finishes, succeeds, fails, supersedes, refuses, misses, loses, secures,
		restores, cancels,
	}
)

// TestMove holds every state against every cause: what is not listed here is refused and changes nothing.
func TestMove(t *testing.T) {
	allowed := map[State]map[cause]State{
		Queued: {
			begins: Starting, postpones: Waiting, fails: Failed, supersedes: Superseded, refuses: StateRefused, misses: Missed,
			cancels: Canceled,
		},
		Waiting: {
			begins: Starting, postpones: Waiting, finds: Verifying, fails: Failed, supersedes: Superseded, refuses: StateRefused,
			misses: Missed,
			loses:  Unknown, cancels: Canceled,
		},
		Starting: {
			begins: Starting, takesOver: Starting, accepts: Running, postpones: Waiting, finds: Verifying, finishes: Verifying,
			fails: Failed, loses: Unknown, refuses: StateRefused, restores: Succeeded,
		},
		Running: {
			begins: Starting, finds: Verifying, finishes: Verifying, fails: Failed, loses: Unknown, restores: Succeeded,
		},
		Verifying: {succeeds: Succeeded, fails: Failed, loses: Unknown, secures: Starting},
	}
	for _, from := range allStates {
		for _, c := range allCauses {
			r := Run{ID: "r", State: from}
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
		if from.Final() && from.holdsLock() {
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
	if want := "```mermaid\n" + Diagram() + "```\n"; !strings.Contains(string(doc), want) {
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
		"state.go: r.State = t.to": 1,
		"schedule.go: run.State, run.Created, run.Updated = cmp.Or(run.State, Queued), now, now": 1,
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
