package simulation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/simulation"
)

// TestSimulation runs the worlds of some seeds, each for sixty days. "make simulate" runs as many worlds as it is told
// to.
func TestSimulation(t *testing.T) {
	seeds := uint64(100)
	if raceDetector {
		seeds = 6 // there is no concurrency in a world to detect
	}
	var all simulation.Figures
	began := time.Now()
	for seed := range seeds {
		r := simulation.Run(seed+1, simulation.Options{Days: 60})
		if all.Add(r.Figures); r.Violation != nil {
			t.Fatalf("seed %d: %s; see make simulate SEED=%d DAYS=60", seed+1, r.Violation, seed+1)
		}
	}
	var table strings.Builder
	all.Print(&table)
	t.Logf("\n%s", table.String())
	figures.Report(t, "%d worlds of 60 days, %d runs, %d crashes, %d storage faults, %d deletions, no promise broken, %v", seeds,
		all.Runs, all.Crashes, all.Faults, all.Deletions, time.Since(began).Round(time.Millisecond))
	if all.Crashes == 0 || all.Faults == 0 || all.Duplicates == 0 || all.Deletions == 0 || all.LostStarts == 0 || all.MissedRuns == 0 ||
		all.Interleaved == 0 {
		t.Error("nothing goes wrong any more: the simulation has become empty")
	}
}

// TestCalmWorldsSucceed checks that every run succeeds if nothing goes wrong.
func TestCalmWorldsSucceed(t *testing.T) {
	for seed := range uint64(10) {
		r := simulation.Run(seed+1, simulation.Options{Days: 30, Calm: true})
		if r.Violation != nil {
			t.Fatalf("seed %d: %s", seed+1, r.Violation)
		}
		for state, n := range r.Figures.Ended {
			if state != "succeeded" && state != "superseded" && state != "missed" {
				t.Errorf("seed %d: %d runs ended %s", seed+1, n, state)
			}
		}
		if r.Figures.Runs < 5 {
			t.Errorf("seed %d: only %d runs", seed+1, r.Figures.Runs)
		}
	}
}

// TestSeedsReplay checks that a seed decides everything, and that its choices can be replayed.
func TestSeedsReplay(t *testing.T) {
	for seed := range uint64(8) {
		once := simulation.Run(seed+1, simulation.Options{Days: 20})
		for name, o := range map[string]simulation.Options{
			"drawn again": {Days: 20}, "replayed": {Days: 20, ChoiceLog: once.ChoiceLog}, "traced": {Days: 20, ChoiceLog: once.ChoiceLog, Trace: true},
		} {
			again := simulation.Run(seed+1, o)
			if again.Digest != once.Digest || fmt.Sprint(again.Figures) != fmt.Sprint(once.Figures) {
				t.Errorf("seed %d, %s: another world came of it", seed+1, name)
			}
		}
	}
}

// TestIdleTimerRunsWriteNothingButANote checks that the clock may jump over the timer runs at which nothing is due. Delivering
// each of them leaves the same rows with the same ETags, but for notes and facts. So an idle timer run writes only
// that note, once in five minutes.
func TestIdleTimerRunsWriteNothingButANote(t *testing.T) {
	days := 5
	if raceDetector {
		days = 2
	}
	for seed := range uint64(6) {
		jumping := simulation.Run(seed+1, simulation.Options{Days: days, Calm: true})
		walking := simulation.Run(seed+1, simulation.Options{Days: days, Calm: true, EveryMinute: true, ChoiceLog: jumping.ChoiceLog})
		if jumping.Digest != walking.Digest {
			t.Errorf("seed %d: the timer runs in between changed something", seed+1)
		}
		if jumping.Violation != nil || walking.Violation != nil {
			t.Errorf("seed %d: %v, %v", seed+1, jumping.Violation, walking.Violation)
		}
		// A timer run comes each minute. One in five of the additional timer runs wrote a note.
		if n := walking.Figures.Writes - jumping.Figures.Writes; n > walking.Figures.TimerRuns/5+1 || n < walking.Figures.TimerRuns/5-jumping.Figures.TimerRuns-1 {
			t.Errorf("seed %d: %d more writes in %d timer runs", seed+1, n, walking.Figures.TimerRuns)
		}
		if walking.Figures.TimerRuns < days*24*60 || jumping.Figures.TimerRuns > walking.Figures.TimerRuns/10 {
			t.Errorf("seed %d: %d timer runs, and %d with a clock that jumps", seed+1, walking.Figures.TimerRuns, jumping.Figures.TimerRuns)
		}
		figures.Report(t, "seed %d: %d timer runs in place of %d, the same rows but for notes", seed+1, jumping.Figures.TimerRuns, walking.Figures.TimerRuns)
	}
}
