package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/figures"
)

// mostStates is the number of states at which an exploration gives up: a budget that is too large must not fill the memory.
const mostStates = 3_000_000

// explore runs in a bubble, where the clock of the engine's contexts stands still.
func explore(t *testing.T, m *model) (found explored) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { found = m.explore(mostStates) })
	return found
}

// TestModel explores the real engine: every order of two handlers and the rescuer, with every accident of the budget. Under
// the race detector the cases marked as large are left to the run without it; there is no concurrency in them to detect.
func TestModel(t *testing.T) {
	for _, test := range []struct {
		name string
		m    *model
		// least is a floor for the number of states: a model that has become empty proves nothing.
		least int
		large bool
		// ends are the final states that must be among the outcomes.
		ends []backup.State
	}{
		{name: "nothing goes wrong", m: &model{handlers: 2, rescuers: 1, takes: 40}, least: 50, ends: []backup.State{backup.Succeeded}},
		{
			name: "two crashes", m: &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Crashes: 2}},
			least: 8000, ends: []backup.State{backup.Succeeded},
		},
		{
			name: "a crash, and a copy of a message", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Crashes: 1, Copies: 1}}, least: 25_000,
		},
		{
			name: "a crash and a failed call", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Crashes: 1, Faults: 1}}, least: 30_000,
		},
		{
			name: "a failed call and a lost message",
			m:    &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Faults: 1, Drops: 1}}, least: 5000,
		},
		{
			name: "two failed calls", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Faults: 2}}, least: 50_000,
		},
		{
			name: "no rescuer, two delays and a copy", large: true,
			m: &model{handlers: 2, takes: 40, reach: 3, left: budget{Delays: 2, Copies: 1}}, least: 50_000,
		},
		{
			name: "a delay and a crash", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, reach: 2, left: budget{Delays: 1, Crashes: 1}}, least: 50_000,
		},
		{
			name: "no rescuer, crashes and a copy", large: true,
			m: &model{handlers: 2, takes: 40, left: budget{Crashes: 2, Copies: 1}}, least: 40_000,
		},
		{
			name: "no rescuer, a crash", m: &model{handlers: 2, takes: 40, left: budget{Crashes: 1, Copies: 1}}, least: 5000,
		},
		{
			name: "the operation outlasts the retry window", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 200, left: budget{Crashes: 1, Faults: 1}}, least: 60_000,
		},
		{
			name: "the operation can fail", large: true,
			m:     &model{handlers: 2, rescuers: 1, takes: 40, mayFail: true, left: budget{Crashes: 1, Faults: 1}},
			least: 50_000, ends: []backup.State{backup.Succeeded, backup.Failed},
		},
		{
			name: "the service is busy twice, and a crash",
			m:    &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Crashes: 1, Busy: 2}}, least: 5000,
		},
		{
			name: "the service is busy, a crash and a failed call", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, left: budget{Crashes: 1, Faults: 1, Busy: 1}}, least: 60_000,
		},
		{
			name: "two runs of one target", m: &model{handlers: 2, rescuers: 1, takes: 40, second: true}, least: 4000,
		},
		{
			name: "two runs of one target, one of them superseded, and a crash", large: true,
			m:     &model{handlers: 2, rescuers: 1, takes: 40, second: true, superseded: 100, left: budget{Crashes: 1}},
			least: 30_000, ends: []backup.State{backup.Succeeded, backup.Superseded},
		},
		{
			name: "two runs of one target, the window of one ends, and a crash", large: true,
			m:     &model{handlers: 2, rescuers: 1, takes: 40, second: true, until: 100, left: budget{Crashes: 1}},
			least: 30_000, ends: []backup.State{backup.Succeeded, backup.Missed},
		},
		{
			name: "two runs of one target, and a failed call", large: true,
			m: &model{handlers: 2, rescuers: 1, takes: 40, second: true, left: budget{Faults: 1}}, least: 60_000,
		},
		{
			name: "created by two timer runs at once, and a crash",
			m:    &model{handlers: 1, rescuers: 2, takes: 40, scheduled: true, left: budget{Crashes: 1}}, least: 8000,
		},
		{
			name: "created by two timer runs at once, and a failed call", large: true,
			m: &model{handlers: 1, rescuers: 2, takes: 40, scheduled: true, left: budget{Faults: 1}}, least: 8000,
		},
		{
			name: "two timer runs at once after scheduled times were missed, and a crash",
			m:    &model{handlers: 1, rescuers: 2, takes: 40, scheduled: true, missed: 3, left: budget{Crashes: 1}}, least: 8000,
		},
		{
			name: "two timer runs at once after scheduled times were missed, and a failed call", large: true,
			m: &model{handlers: 1, rescuers: 2, takes: 40, scheduled: true, missed: 3, left: budget{Faults: 1}}, least: 8000,
		},
	} {
		if test.large && raceDetector {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			found := explore(t, test.m)
			figures.Report(t, "%d states, %d transitions, %d ends %v, %d operations started, %d of them again, %v", found.states,
				found.transitions, found.terminal, test.m.ends, test.m.starts, test.m.again,
				time.Since(began).Round(time.Millisecond))
			if found.violation != "" {
				t.Fatalf("%s\n%s", found.violation, strings.Join(found.trace, "\n"))
			}
			if found.states < test.least || found.terminal == 0 {
				t.Errorf("only %d states and %d ends: the model has become empty", found.states, found.terminal)
			}
			for _, s := range test.ends {
				if test.m.ends[s] == 0 {
					t.Errorf("no run ended %s", s)
				}
			}
		})
	}
}
