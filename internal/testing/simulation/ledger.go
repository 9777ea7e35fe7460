package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

// ledger holds the world's observations: the rows as they are, read by their documented keys, and what really happened.
type ledger struct {
	// evaluated are the plans of the last timer run that ended well.
	evaluated []backup.Plan
	runs      map[string]*facts
	// all lists the runs in the order of their creation. open lists the runs that have not ended, or have an unpublished event.
	// stopped is the time at which the switch was set, zero if it is not set. stopsRuns says that plans make no runs by it.
	// runStops counts how often it was set so.
	stopped   time.Time
	stopsRuns bool
	runStops  int
	all, open []*facts
	// byScheduledTime has the runs by plan, target and scheduled time.
	byScheduledTime map[string]*facts
	points          map[string]*backup.Point
	// live has the points of a target that can be restored, by the target's partition.
	live map[string][]*backup.Point
	// history has the IDs of all points of a target but safety backups, in the order of their creation, by the target's
	// partition.
	history map[string][]string
	// byTarget has the IDs of all recovery points of a target, safety backups among them.
	byTarget map[string][]string
	// byRequest has the runs that restore, by the ID of the request.
	byRequest map[string]*facts
	// pruned has the IDs of the runs that were pruned.
	pruned map[string]bool
	// accepted has the IDs of the points that were suspect and became live.
	accepted map[string]bool
	// holds has the IDs of the holds that a point ever had, in their order.
	holds map[string][]string
	// erased has the IDs of the deletions by people that a point ever had.
	erased map[string][]string
	// went has the points of each target that cleanup let go.
	went map[string][]departure
	// successes has the verified backups of each plan and target, also of points that are gone.
	successes  map[string]successes
	missedRuns map[string][]schedule.MissedRuns
	locks      map[string]string
	// told has the types of the events that were sent, by their IDs.
	told map[string]string
	// alarms are the alarms about targets, by the IDs of their events.
	alarms map[string]*alarm
	// evaluations has the times at which the targets of plans are to be evaluated again. permits and queue have the rows of the
	// gate.
	evaluations map[string]time.Time
	// marks are the marks of targets that changed since their facts were written.
	marks map[string]bool
	// noted has the times at which the timers last noted that they ran, by the row.
	noted   map[string]time.Time
	permits map[string]string
	queue   map[string]place
	// outbox has the times at which the unsent events were written, by their rows.
	outbox   map[backup.Key]time.Time
	poisoned []string
	// claims has the recovery points by the artifacts that they name.
	claims      map[string]string
	deadLetters map[string]bool
	owner       ownership
	// dealt has, for each plan, the time up to which its scheduled times were found dealt with, and the plan at that time.
	dealt map[string]dealt
}

// place is a place in the wait queue. Most is the plan's own limit, 0 without a limit.
type place struct {
	Run, Plan string
	Most      int

	since time.Time // the place is taken
}

// unpublishedByPeople reports whether acceptances, holds and releases of the run's recovery point are the only unpublished events of the
// run.
func (l *ledger) unpublishedByPeople(run string) bool {
	unpublished := false
	for key := range l.outbox {
		if !strings.Contains(key.Row, run) {
			continue
		}
		if !strings.HasSuffix(key.Row, run+".accepted") && !slices.ContainsFunc([]string{"held", "released", "softdeleted", "recovered"},
			func(word string) bool { return strings.Contains(key.Row, run+"."+word+".") }) {
			return false
		}
		unpublished = true
	}
	return unpublished
}

// held counts the permits of a bound, by the prefix of their rows.
func (l *ledger) held(prefix string) (n int) {
	for row := range l.permits {
		if strings.HasPrefix(row, prefix) {
			n++
		}
	}
	return n
}

const ofAll = "permit-all."

func ofPlan(plan string) string { return "permit-plan-" + plan + "." }

// room reports whether a run in the wait queue could begin.
func (l *ledger) room(ofAllPlans int) bool {
	for _, p := range l.queue {
		if l.roomFor(p, ofAllPlans) {
			return true
		}
	}
	return false
}

type dealt struct {
	until time.Time
	plan  backup.Plan
}

// facts holds the facts of a run.
type facts struct {
	// canceled says that a person was answered that the restore is canceled.
	canceled bool
	name     string
	run      *backup.Run
	// asked has the artifacts for which a start was requested.
	asked map[string]bool
	// start is the state of the run's starts, and before is that state before the last start. open says that the answer to a
	// start is missing. clear is the time since which every look saw nothing. over says that this has been so for long enough.
	// clean says that the last look saw nothing.
	start, before starting
	// failed lists the operations of the run of which a poll told that they failed, and when it first did.
	failed []failure
	// restores lists the restores that the service began for the run. restoreOpen says that the answer to the start of a
	// restore is missing, and nothing has shown since that it had no effect. restoreBefore is the value of restoreOpen
	// before the last request.
	restores                   []*operation
	restoreOpen, restoreBefore bool
	// refused says that a guard refused the restore at once.
	refused bool
	// shown is the time of the newest look for a change of the service; zero if it had no answer.
	shown time.Time
	// touched is the time at which the step message that the run expects was last delivered.
	touched time.Time
	// lost says that the expected step message was taken away, so that only the rescuer can send it.
	lost bool
}

// look is the answer to a look for a lost start.
type look struct {
	run, found string
	err        error
}

// failure is the end of an operation that failed, as a poll told it first.
type failure struct {
	of   *operation
	told time.Time
}

// toldFailed notes that the service told of the end of a failed operation.
func (f *facts) toldFailed(o *operation, now time.Time) {
	if !slices.ContainsFunc(f.failed, func(old failure) bool { return old.of == o }) {
		f.failed = append(f.failed, failure{o, now})
	}
}

type starting struct {
	open        bool
	clear       time.Time
	over, clean bool
}

func newLedger() ledger {
	return ledger{
		owner: newOwnership(),
		runs:  map[string]*facts{}, byScheduledTime: map[string]*facts{}, points: map[string]*backup.Point{},
		live: map[string][]*backup.Point{}, missedRuns: map[string][]schedule.MissedRuns{}, locks: map[string]string{},
		outbox: map[backup.Key]time.Time{}, claims: map[string]string{},
		told: map[string]string{}, alarms: map[string]*alarm{}, deadLetters: map[string]bool{}, dealt: map[string]dealt{},
		byTarget: map[string][]string{}, byRequest: map[string]*facts{}, pruned: map[string]bool{},
		evaluations: map[string]time.Time{}, marks: map[string]bool{}, noted: map[string]time.Time{}, permits: map[string]string{}, queue: map[string]place{}, history: map[string][]string{}, accepted: map[string]bool{}, holds: map[string][]string{}, erased: map[string][]string{}, went: map[string][]departure{}, successes: map[string]successes{},
	}
}

func scheduledTimeKey(plan, target string, scheduledTime time.Time) string {
	return plan + "|" + target + "|" + scheduledTime.UTC().Format(time.RFC3339)
}

// wrote notes the writes that were made, and has the invariants check each.
func (l *ledger) wrote(w *World, v *invocation, writes []backup.Write) {
	var moments []any
	for _, write := range writes {
		wrote := writing{v: v, write: write}
		switch {
		case write.Row == backup.StopKey.Row:
			l.wroteStop(w, write)
		case strings.HasPrefix(write.Row, "known-"):
			moments = append(moments, l.wroteApps(w, write)...)
		case write.Op == backup.Delete && strings.HasPrefix(write.Row, "run-"):
			moments = append(moments, l.wrotePruning(w, write))
		case write.Op == backup.Delete && (strings.HasPrefix(write.Row, "point-") || strings.HasPrefix(write.Row, "schedule-missed-") ||
			write.Partition == "deadletter"): // pruned
		case strings.HasPrefix(write.Row, "run-"):
			m := l.wroteRun(w, v, write)
			wrote.was = m.was
			moments = append(moments, m)
		case strings.HasPrefix(write.Row, "point-"):
			moments = append(moments, l.wrotePoint(w, v, write))
		case strings.HasPrefix(write.Row, "schedule-missed-"):
			g := read[schedule.MissedRuns](write)
			l.missedRuns[g.Plan] = append(slices.DeleteFunc(l.missedRuns[g.Plan], func(o schedule.MissedRuns) bool { return o.First.Equal(g.First) }), *g)
			w.figures.MissedRuns++
			moments = append(moments, missed{v: v, missedRuns: *g})
		case write.Row == "lock":
			if write.Op == backup.Delete {
				delete(l.locks, write.Partition)
			} else {
				l.locks[write.Partition] = read[struct{ Run string }](write).Run
			}
		case strings.HasPrefix(write.Row, "outbox-"), strings.HasPrefix(write.Row, "pending-"):
			if write.Op == backup.Delete {
				delete(l.outbox, write.Key)
			} else if l.outbox[write.Key].IsZero() {
				l.outbox[write.Key] = w.now
			}
		case strings.HasPrefix(write.Row, "evaluated-"):
			j := read[struct {
				Plan  string
				Again time.Time
			}](write)
			l.evaluations[j.Plan] = j.Again
		case isNote(write.Row):
			at := read[struct{ At time.Time }](write).At
			moments = append(moments, noted{timer: write.Row, was: l.noted[write.Row], is: at})
			l.noted[write.Row] = at
		case strings.HasPrefix(write.Row, "evaluate-"):
			delete(l.marks, write.Row)
			if write.Op != backup.Delete {
				l.marks[write.Row] = true
			}
		case strings.HasPrefix(write.Row, "permit-"):
			had := l.permits[write.Row]
			delete(l.permits, write.Row)
			if write.Op != backup.Delete {
				l.permits[write.Row] = read[struct{ Run string }](write).Run
			}
			moments = append(moments, passing{row: write.Row, anew: l.permits[write.Row] != had})
		case strings.HasPrefix(write.Row, "enqueued-"):
			taken := l.queue[write.Row].since
			delete(l.queue, write.Row)
			if write.Op != backup.Delete {
				p := *read[place](write)
				if p.since = taken; taken.IsZero() {
					p.since = w.now
				}
				l.queue[write.Row] = p
			}
		case write.Partition == "deadletter":
			w.figures.DeadLetters++
			l.deadLetters[write.Row] = true
		}
		if len(w.apps) > 1 {
			moments = append(moments, wrote)
		}
	}
	for _, m := range moments {
		w.check(m)
	}
}

// nextEvaluation returns the time at which a target may turn unprotected between two scheduled times; zero if no target will. A
// time before the last timer run belongs to a plan that no longer exists.
func (l *ledger) nextEvaluation(lastRun time.Time) (next time.Time) {
	for _, again := range l.evaluations {
		if !again.IsZero() && !again.Before(lastRun) && (next.IsZero() || again.Before(next)) {
			next = again
		}
	}
	return next
}

// nextDrain returns the time at which a timer run can send an event that is left over; zero if there is none.
func (l *ledger) nextDrain(silent time.Time) (next time.Time) {
	for key, since := range l.outbox {
		// The outbox of a run belongs to its own steps, until a timer run is told of it.
		if mine := key.Partition == "schedule"; mine && (next.IsZero() || since.Before(next)) {
			next = since
		}
	}
	if !next.IsZero() && next.Before(silent) {
		return silent
	}
	return next
}

// stored reads a row as it was just written. Its next reader in the world need not parse it again.
func stored[T any](w *World, write backup.Write) *T {
	row, _, err := w.catalog.Get(context.Background(), write.Key)
	if err != nil {
		panic(err) // it is there
	}
	v, err := backup.Decode[T](row)
	if err != nil {
		panic(err) // the engine has just written it
	}
	return &v
}

func read[T any](write backup.Write) *T {
	var v T
	if err := json.Unmarshal(write.Body, &v); err != nil {
		panic(err) // the engine has just written it
	}
	return &v
}

func (l *ledger) wroteRun(w *World, v *invocation, write backup.Write) saved {
	is := stored[backup.Run](w, write)
	f := l.runs[is.ID]
	if f == nil {
		f = &facts{name: fmt.Sprintf("r%d", len(l.runs)+1), asked: map[string]bool{}}
		l.runs[is.ID] = f
		l.all, l.open = append(l.all, f), append(l.open, f)
		w.figures.Runs++
		w.explain(f, is)
	}
	m := saved{v: v, facts: f, was: f.run, is: is, insert: write.Op == backup.Insert}
	f.run = is
	if is.Restore != nil {
		m.twin = l.wroteRestore(w, f, m)
	}
	if !is.ScheduledTime.IsZero() && m.was == nil {
		key := scheduledTimeKey(is.Plan, is.Target, is.ScheduledTime)
		m.twin = l.byScheduledTime[key]
		l.byScheduledTime[key] = f
	}
	if is.State == backup.Running || is.State == backup.Verifying {
		f.start.open = false
	}
	if a := w.eager; a != nil && is.LeaseUntil.After(w.now) && v.on.app == w.works() {
		w.eager = nil
		w.in(oneOf(w.choices, 0, time.Second, 20*time.Second), func() { w.takeOver(a, w.works().name, 1) })
	}
	if is.State.Final() && (m.was == nil || !m.was.State.Final()) {
		w.figures.ended(is.State)
	}
	if is.State.Final() && !is.Unpublished {
		l.open = slices.DeleteFunc(l.open, func(o *facts) bool { return o == f })
	}
	return m
}

func (l *ledger) wrotePoint(w *World, v *invocation, write backup.Write) any {
	is := stored[backup.Point](w, write)
	was := l.points[is.ID]
	l.points[is.ID] = is
	if was == nil {
		l.byTarget[is.Target] = append(l.byTarget[is.Target], is.ID)
	}
	other := ""
	if was == nil {
		other, l.claims[is.Target+" "+is.Artifact] = l.claims[is.Target+" "+is.Artifact], is.ID
	}
	if was == nil && is.Safety {
		w.figures.SafetyPoints++
	}
	if was == nil && !is.Safety {
		l.history[write.Partition] = append(l.history[write.Partition], is.ID)
	}
	if was == nil && is.State == backup.Suspect {
		w.figures.Suspects++
		w.suspected(is)
	}
	if was == nil {
		w.wished(is)
		w.unwanted(is)
	}
	if id := is.SoftDeletion.ID; id != "" && !slices.Contains(l.erased[is.ID], id) {
		l.erased[is.ID] = append(l.erased[is.ID], id)
	}
	for _, h := range is.Holds {
		if !slices.Contains(l.holds[is.ID], h.ID) {
			l.holds[is.ID] = append(l.holds[is.ID], h.ID)
		}
	}
	if !is.Accepted.Time.IsZero() && (was == nil || was.Accepted.Time.IsZero()) {
		w.figures.Acceptances++
		l.accepted[is.ID] = was != nil
	}
	if is.State == backup.Live && !is.Safety && (was == nil || was.State == backup.Suspect && !is.Accepted.Time.IsZero()) {
		l.worked(w, is)
	}
	live := slices.DeleteFunc(l.live[write.Partition], func(p *backup.Point) bool { return p.ID == is.ID })
	if lives(is) {
		live = append(live, is)
	}
	l.live[write.Partition] = live
	return kept{v: v, was: was, is: is, others: live, other: other}
}

// wroteRestore returns the other run of the same request, if there is one.
func (l *ledger) wroteRestore(w *World, f *facts, m saved) (twin *facts) {
	begun := m.is.Restore.Step == backup.StepSafetyBackup && m.is.LeaseUntil.After(w.now)
	if begun && !w.ending && !w.options.Calm && m.is.Restore.CanceledBy == "" && w.choices.chance(200) {
		o := &order{run: m.is.ID}
		w.in(oneOf(w.choices, 0, time.Second, 20*time.Second, 3*time.Minute, 20*time.Minute), func() { w.cancel(o, 1) })
	}
	if m.was == nil {
		w.figures.RestoreRuns++
		f.refused = m.is.State == backup.StateRefused
		twin, l.byRequest[m.is.Request] = l.byRequest[m.is.Request], f
	}
	if m.was == nil || !m.was.State.Final() {
		switch m.is.State {
		case backup.Succeeded:
			w.figures.Restored++
		case backup.Unknown:
			w.figures.Unrestored++
		}
	}
	return twin
}

// restoreAsked notes that a request to restore was sent.
func (l *ledger) restoreAsked(v *invocation, run string, r backup.Restore) {
	f := l.runs[run]
	v.w.check(restoreAsking{v: v, facts: f, restore: r})
	f.restoreBefore, f.restoreOpen = f.restoreOpen, true
}

// asked notes that a request to start was sent.
func (l *ledger) asked(w *World, a backup.Attempt) {
	w.figures.Starts++
	f := l.runs[a.Run]
	if f == nil {
		w.violate("one start an attempt", "a start for %s, of which there is no run", a.Artifact)
		return
	}
	w.check(asking{facts: f, attempt: a})
	f.asked[a.Artifact] = true
	f.before = f.start
	f.start = starting{open: true}
}

// answered notes the engine's answer to a start. A request that certainly started nothing needs no look.
func (v *invocation) answered(a backup.Attempt, kind backup.FaultKind) {
	if f := v.w.ledger.runs[a.Run]; f != nil && (kind == backup.Retryable || kind == backup.Throttled || kind == backup.Refused) {
		f.start = f.before
	}
}

// looked notes a look for a lost start.
func (f *facts) looked(now time.Time, l look) {
	s := &f.start
	s.clean = l.err == nil && l.found == ""
	switch {
	case !s.clean && !s.over:
		s.clear = time.Time{}
	case s.clear.IsZero():
		s.clear = now
	case now.Sub(s.clear) >= leastRetryWindow:
		s.over = true
	}
}

// delivered notes that a message was handed to the engine.
func (l *ledger) delivered(w *World, u backup.StepMessage) {
	if f := l.runs[u.Run]; f != nil && f.run.Sequence == u.Sequence && f.run.Nonce == u.Nonce {
		f.touched = w.now
	}
}

// lose notes that a message is gone for good.
func (l *ledger) lose(u backup.StepMessage) {
	if f := l.runs[u.Run]; f != nil {
		f.lost = true
	}
}

// awaited reports whether the queue holds the step message that the run expects.
func (w *World) awaited(f *facts) bool {
	return slices.ContainsFunc(w.queue.Messages(executeQueue), func(m memory.Message) bool {
		if !bytes.Contains(m.Body, []byte(f.run.Nonce)) {
			return false
		}
		u := stepMessageIn(m.Body)
		return u.Run == f.run.ID && u.Sequence == f.run.Sequence && u.Nonce == f.run.Nonce
	})
}

// track returns the track from which an invocation for the message chooses.
func (l *ledger) track(w *World, u backup.StepMessage) int {
	if l.runs[u.Run] != nil {
		return ofTargets + slices.Index(w.services, w.service(l.runs[u.Run].run.Target))
	}
	return ofCleanup
}

// The functions below make names for people.

func (l *ledger) runName(id string) string {
	if f := l.runs[id]; f != nil {
		return f.name
	}
	return "a new run"
}

func (l *ledger) artifactName(artifact string) string {
	if strings.HasPrefix(artifact, folderPrefix) {
		return artifact
	}
	run, n, _ := strings.Cut(artifact, ".")
	return l.runName(run) + "." + n
}

func (l *ledger) messageName(body []byte) string {
	u := stepMessageIn(body)
	if u.Run == "" {
		return "a request for a restore"
	}
	return fmt.Sprintf("%s, step message %d", l.runName(u.Run), u.Sequence)
}

func (l *ledger) keyName(k backup.Key) string {
	if run, ok := strings.CutPrefix(k.Row, "run-"); ok {
		return l.runName(k.Partition + "-" + run)
	}
	if run, ok := strings.CutPrefix(k.Row, "point-"); ok {
		return "point " + l.runName(k.Partition+"-"+run)
	}
	if point, ok := strings.CutPrefix(k.Row, "rest-"); ok {
		return "due entry at rest of " + l.runName(point)
	}
	if k.Partition == "inflight" || k.Partition == "due" {
		return k.Partition + " entry of " + keyTime(k.Row).Format("2 January 15:04:05")
	}
	return k.Row
}

func (l *ledger) rowName(w backup.Write) string {
	name := l.keyName(w.Key)
	switch {
	case w.Op == backup.Delete:
	case strings.HasPrefix(w.Row, "run-"):
		r := read[backup.Run](w)
		return fmt.Sprintf("%s (%s, wake %d, attempt %d)", name, r.State, r.Sequence, r.Attempt)
	case strings.HasPrefix(w.Row, "point-"):
		return name + " (" + string(read[backup.Point](w).State) + ")"
	}
	return name
}
