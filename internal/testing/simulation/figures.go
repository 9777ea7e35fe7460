package simulation

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"lifeboat/internal/backup"
)

// Figures counts what happened in worlds.
type Figures struct {
	Worlds, Days int

	Runs  int
	Ended map[backup.State]int

	Starts, LostStarts, Operations, Overlaps, Polls, Looks, Deletions, Touched        int
	MissedRuns, Requests, Events, Happenings, Suspects, Acceptances, Holds, Ambiguous int
	SoftDeletions, Undeletes                                                          int

	Invocations, Interleaved, Calls, Writes, TimerRuns, Cleanups, Deliveries, StepMessages int

	Crashes, Duplicates, Redeliveries, Dropped, Poisoned, DeadLetters, Requeued int

	Faults, ServiceFaults int

	Visits, PutBack, Takeovers int

	// Changes counts the looks that found a change during a backup.
	Changes int

	// CanceledLater counts restores that were canceled behind their safety backups.
	Stops, CanceledLater int

	// Pruned counts runs, and Repeated the requests for restores that came again after that.
	Pruned, Repeated int

	RestoreRequests, RestoreRuns, Restores, LostRestores, Restored, Unrestored, SafetyPoints int
}

func (f *Figures) ended(s backup.State) {
	if f.Ended == nil {
		f.Ended = map[backup.State]int{}
	}
	f.Ended[s]++
}

// Add adds the figures of other worlds.
func (f *Figures) Add(o Figures) {
	f.Worlds += max(o.Worlds, 1)
	for _, n := range []struct {
		to   *int
		from int
	}{
		{&f.Days, o.Days},
		{&f.Runs, o.Runs},
		{&f.Starts, o.Starts},
		{&f.LostStarts, o.LostStarts},
		{&f.Operations, o.Operations},
		{&f.Overlaps, o.Overlaps},
		{&f.Polls, o.Polls},
		{&f.Looks, o.Looks},
		{&f.Deletions, o.Deletions},
		{&f.Stops, o.Stops},
		{&f.Pruned, o.Pruned},
		{&f.Repeated, o.Repeated},
		{&f.CanceledLater, o.CanceledLater},
		{&f.Touched, o.Touched},
		{&f.MissedRuns, o.MissedRuns},
		{&f.Requests, o.Requests},
		{&f.Events, o.Events},
		{&f.Happenings, o.Happenings},
		{&f.Suspects, o.Suspects},
		{&f.Acceptances, o.Acceptances},
		{&f.Holds, o.Holds},
		{&f.SoftDeletions, o.SoftDeletions},
		{&f.Undeletes, o.Undeletes},
		{&f.Ambiguous, o.Ambiguous},
		{&f.Invocations, o.Invocations},
		{&f.Interleaved, o.Interleaved},
		{&f.Calls, o.Calls},
		{&f.Writes, o.Writes},
		{&f.TimerRuns, o.TimerRuns},
		{&f.Cleanups, o.Cleanups},
		{&f.Deliveries, o.Deliveries},
		{&f.StepMessages, o.StepMessages},
		{&f.Crashes, o.Crashes},
		{&f.Duplicates, o.Duplicates},
		{&f.Redeliveries, o.Redeliveries},
		{&f.Dropped, o.Dropped},
		{&f.Poisoned, o.Poisoned},
		{&f.DeadLetters, o.DeadLetters},
		{&f.Requeued, o.Requeued},
		{&f.Faults, o.Faults},
		{&f.ServiceFaults, o.ServiceFaults},
		{&f.RestoreRequests, o.RestoreRequests},
		{&f.RestoreRuns, o.RestoreRuns},
		{&f.Restores, o.Restores},
		{&f.LostRestores, o.LostRestores},
		{&f.Restored, o.Restored},
		{&f.Unrestored, o.Unrestored},
		{&f.SafetyPoints, o.SafetyPoints},
		{&f.Visits, o.Visits},
		{&f.PutBack, o.PutBack},
		{&f.Takeovers, o.Takeovers},
		{&f.Changes, o.Changes},
	} {
		*n.to += n.from
	}
	for s, n := range o.Ended {
		if f.Ended == nil {
			f.Ended = map[backup.State]int{}
		}
		f.Ended[s] += n
	}
}

// Print writes the figures as a table.
func (f *Figures) Print(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what string, n int, more string) { fmt.Fprintf(t, "  %s\t%12s\t%s\n", what, grouped(n), more) }
	line("worlds", f.Worlds, grouped(f.Days)+" days")
	var ends []string
	for _, s := range slices.Sorted(maps.Keys(f.Ended)) {
		ends = append(ends, fmt.Sprintf("%s %s", grouped(f.Ended[s]), s))
	}
	line("runs", f.Runs, strings.Join(ends, ", "))
	line("requests by hand", f.Requests, "")
	line("restores", f.Restores, fmt.Sprintf("begun, %s answers lost; of %s runs by %s requests %s succeeded, %s are unknown; %s safety backups",
		grouped(f.LostRestores), grouped(f.RestoreRuns), grouped(f.RestoreRequests), grouped(f.Restored), grouped(f.Unrestored),
		grouped(f.SafetyPoints)))
	line("missed periods", f.MissedRuns, "records of missed scheduled times")
	line("starts", f.Starts, fmt.Sprintf("%s answers lost; %s operations, %s of them beside another", grouped(f.LostStarts),
		grouped(f.Operations), grouped(f.Overlaps)))
	line("polls", f.Polls, fmt.Sprintf("%s looks for a lost start, %s of them with more than one candidate",
		grouped(f.Looks), grouped(f.Ambiguous)))
	line("deletions", f.Deletions, "of artifacts; "+grouped(f.Touched)+" times one was touched")
	line("pruned", f.Pruned, "runs; "+grouped(f.Repeated)+" requests for restores came again after that")
	line("suspect points", f.Suspects, grouped(f.Acceptances)+" accepted")
	line("holds", f.Holds, fmt.Sprintf("of recovery points by people; %s deletions by people, %s undone deletions", grouped(f.SoftDeletions),
		grouped(f.Undeletes)))
	line("events", f.Events, grouped(f.Changes)+" looks found a change during a backup")
	line("invocations", f.Invocations, fmt.Sprintf("%s of them interleaved; %s timer runs, %s cleanups", grouped(f.Interleaved),
		grouped(f.TimerRuns), grouped(f.Cleanups)))
	line("outside calls", f.Calls, grouped(f.Writes)+" writes made")
	line("crashes", f.Crashes, "")
	line("storage faults", f.Faults, "")
	line("service faults", f.ServiceFaults, "")
	line("duplicates", f.Duplicates, fmt.Sprintf("%s redeliveries, %s messages lost, %s poisoned", grouped(f.Redeliveries),
		grouped(f.Dropped), grouped(f.Poisoned)))
	line("sent again", f.Requeued, "step messages, by the rescuer")
	line("stops", f.Stops, fmt.Sprintf("by a person; %s restores canceled behind their safety backups", grouped(f.CanceledLater)))
	line("second apps", f.Visits, fmt.Sprintf("visits; %s messages put back, %s takeovers", grouped(f.PutBack), grouped(f.Takeovers)))
	line("happenings", f.Happenings, "outages, edits, pauses, jumping clocks, storms")
	_ = t.Flush()
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
