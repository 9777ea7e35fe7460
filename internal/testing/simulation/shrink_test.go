package simulation

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestShrink breaks an invented promise, and expects a short trace of a world that breaks the same promise.
func TestShrink(t *testing.T) {
	given := Invariants
	defer func() { Invariants = given }()
	Invariants = append(given[:len(given):len(given)], Invariant{
		Name: "no second attempt is made after a lost start",
		check: func(_ *World, moment any) string {
			if m, ok := moment.(saved); ok && m.is.Attempt == 2 && m.is.State == backup.Starting {
				return m.facts.name + " has a second attempt"
			}
			return ""
		},
	})
	for seed := uint64(4); ; seed++ { // the first seed that breaks it soon; seed 3 takes six days of ordinary runs
		found := Run(seed, Options{Days: 20, Trace: true})
		if found.Violation == nil {
			continue
		}
		small := Shrink(found, 200)
		if small.Violation == nil || small.Violation.Invariant != found.Violation.Invariant {
			t.Fatalf("seed %d: the shrunk world breaks %v, the whole one %v", seed, small.Violation, found.Violation)
		}
		before, after := Story(found.Trace), Story(small.Trace)
		if weight(small.ChoiceLog) >= weight(found.ChoiceLog) || len(after) > 60 {
			t.Errorf("seed %d: %d days and %d lines became %d days and %d lines", seed, found.Days, len(before), small.Days, len(after))
		}
		if last := after[len(after)-1]; !strings.Contains(last, "has a second attempt") {
			t.Errorf("the trace ends with %s", last)
		}
		if again := Shrink(found, 200); again.Digest != small.Digest {
			t.Error("shrinking it again gives another world")
		}
		t.Log("\n" + strings.Join(after, "\n"))
		return
	}
}
