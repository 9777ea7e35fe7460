package engine

import (
	"cmp"
	"strings"
	"testing"

	"lifeboat/internal/testing/figures"
)

// mutant is a way to break the engine on purpose, from outside.
type mutant string

const (
	etagsIgnored         mutant = "etags ignored"
	noncesIgnored        mutant = "nonces ignored"
	leaseIgnored         mutant = "lease ignored"
	deadlineIgnored      mutant = "the request goes out whatever the time"
	lockIgnored          mutant = "lock not taken"
	savedBeforeSent      mutant = "saved before the step message is sent"
	rescueRaises         mutant = "the rescuer raises the sequence number"
	loserAcknowledges    mutant = "the loser of a race only acknowledges"
	eventForgotten       mutant = "the event is forgotten"
	namesRepeated        mutant = "attempts share a name"
	lostTakenForDeferred mutant = "a lost answer counts as a no"
	neverFound           mutant = "nobody looks"
	impatient            mutant = "no retry window"
	outboxForgotten      mutant = "the event about a missed period is not put into the outbox"
	checkpointBeforeRuns mutant = "the checkpoint moves before the runs are made"
)

// TestMutants breaks each rule of the engine once, and expects the model to see it.
func TestMutants(t *testing.T) {
	for _, test := range []struct {
		mutant mutant
		m      *model
		want   string
	}{
		{etagsIgnored, &model{handlers: 2, rescuers: 1, left: budget{Copies: 1}}, "attempt 0 after 1"},
		{noncesIgnored, &model{handlers: 2, rescuers: 1, left: budget{Crashes: 1, Copies: 1}}, "two chains"},
		{leaseIgnored, &model{handlers: 2, rescuers: 1, left: budget{Copies: 1}}, "its owner"},
		{deadlineIgnored, &model{handlers: 2, rescuers: 1, left: budget{Delays: 1}}, "after its lease ended"},
		{lockIgnored, &model{handlers: 2, rescuers: 1, second: true}, "hold the lock"},
		{savedBeforeSent, &model{handlers: 2, left: budget{Crashes: 1}}, "stranded"},
		{rescueRaises, &model{handlers: 2, rescuers: 1, left: budget{Drops: 1}}, "pile up"},
		{loserAcknowledges, &model{handlers: 2, left: budget{Crashes: 1, Copies: 1}}, "stranded"},
		{eventForgotten, &model{handlers: 2, rescuers: 1}, "nobody was told"},
		{namesRepeated, &model{handlers: 2, rescuers: 1, left: budget{Busy: 1}}, "second request"},
		{lostTakenForDeferred, &model{handlers: 2, rescuers: 1, takes: 20, left: budget{Faults: 1}}, "is started"},
		{neverFound, &model{handlers: 2, rescuers: 1, left: budget{Crashes: 1}}, "although"},
		{impatient, &model{handlers: 2, rescuers: 1, mayFail: true, left: budget{Crashes: 1}}, "is started"},
		{
			outboxForgotten, &model{handlers: 1, rescuers: 1, scheduled: true, missed: 2, left: budget{Crashes: 1}},
			"nobody was told of the missed period",
		},
		{
			checkpointBeforeRuns, &model{handlers: 1, rescuers: 1, scheduled: true, missed: 2, left: budget{Crashes: 1}},
			"was never made",
		},
	} {
		t.Run(string(test.mutant), func(t *testing.T) {
			test.m.mutant, test.m.takes = test.mutant, cmp.Or(test.m.takes, 40)
			found := explore(t, test.m)
			if !strings.Contains(found.violation, test.want) {
				t.Errorf("seen: %q in %d states; want %q", found.violation, found.states, test.want)
			}
			figures.Report(t, "%s, after %d actions, in %d states", found.violation, len(found.trace), found.states)
		})
	}
}
