package simulation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/schedule"
)

// Violation is a promise that was broken.
type Violation struct {
	// Invariant is the name of the promise, and What says in words what happened.
	Invariant, What string
	At              time.Time
}

func (v *Violation) String() string { return v.Invariant + ": " + v.What }

// Invariant is a promise that is checked at every moment.
type Invariant struct {
	// Name says what holds. Promise is its number in the design's list, or "" if it is not in the list.
	Name, Promise string
	// check returns the error that it finds at the moment, or "".
	check func(w *World, moment any) string
}

// These are the moments at which the invariants are checked.
type (
	// saved is the moment at which a run's row was written. twin is another run of the same scheduled time or request.
	saved struct {
		v       *invocation
		facts   *facts
		was, is *backup.Run
		insert  bool
		twin    *facts
	}
	// kept is the moment at which a recovery point's row was written. others are the live points of its target.
	kept struct {
		v       *invocation
		was, is *backup.Point
		others  []*backup.Point
		// other is the ID of another point that names the same artifact.
		other string
	}
	// missed is the moment at which missed scheduled times were recorded.
	missed struct {
		v          *invocation
		missedRuns schedule.MissedRuns
	}
	// asking is the moment before a start is sent.
	asking struct {
		facts   *facts
		attempt backup.Attempt
	}
	// began is the moment at which the service accepts an operation.
	began struct {
		service   *service
		operation *operation
		attempt   backup.Attempt
	}
	// stepped is the moment at which an invocation goes on with a run.
	stepped struct {
		v    *invocation
		call string
	}
	// worked is the moment at which an invocation for the run has ended, and its message was settled.
	worked struct{ run string }
	// removed is the moment at which an artifact was deleted.
	removed struct {
		v     *invocation
		run   string
		blob  *blob
		extra bool
	}
	// noted is the moment at which a timer run noted that it came. was is the time in its note before.
	noted struct {
		timer   string
		was, is time.Time
	}
	// passing is the moment at which a permit was acquired or released; anew tells that another run, or none, had it before.
	passing struct {
		row  string
		anew bool
	}
	// told is the moment at which an event was sent.
	told struct{ event backup.Event }
	// answered is the moment at which a request by hand was answered with a run.
	answered struct {
		request *manual
		run     string
	}
	// vouched is the moment at which the acceptance of a recovery point was answered with the point.
	vouched struct{ point backup.Point }
	// holding is the moment at which the hold of a recovery point was answered.
	holding struct {
		point string
		hold  backup.PersonHold
	}
	// erasing is the moment at which the deletion of a recovery point by a person was answered; id is the one of the deletion.
	erasing struct{ point, id string }
	// forgot is the moment at which a page of points that a person had Lifeboat forget was answered; id is the one of the deletions.
	forgot struct {
		target, id string
		page       engine.Forgotten
	}
	// restoreAsking is the moment before the start of a restore is sent.
	restoreAsking struct {
		v       *invocation
		facts   *facts
		restore backup.Restore
	}
	// restoreBegan is the moment at which the service accepts a restore.
	restoreBegan struct {
		run       string
		service   *service
		operation *operation
	}
	// ordered is the moment at which a request for a restore was handled. Without a run it was rejected.
	ordered struct {
		order *order
		run   string
	}
	// canceled is the moment at which the cancellation of a restore was answered.
	canceled struct{ run string }
	// abandoned is the moment at which the abandonment of a run was answered.
	abandoned struct{ run string }
	// timerRan is the moment at which a timer run has ended. stopped says that it had to make no runs, and alone says that no
	// other was under way meanwhile.
	timerRan struct {
		v              *invocation
		began          time.Time
		stopped, alone bool
		plans          []backup.Plan
		report         engine.ScheduleReport
	}
	// manifested is the moment before a manifest is written.
	manifested struct{ name string }
	// cleaned is the moment at which a cleanup has ended.
	cleaned struct{ v *invocation }
	// passed is the moment at which something has happened, and time goes on.
	passed struct{}
	// over is the moment at which everything has come to its end.
	over struct{}
)

// check has all invariants check the moment.
func (w *World) check(moment any) {
	if w.violation != nil {
		return
	}
	for i := range Invariants {
		if what := Invariants[i].check(w, moment); what != "" {
			w.violate(Invariants[i].Name, "%s", what)
			return
		}
	}
}

func (w *World) violate(invariant, format string, args ...any) {
	if w.violation == nil {
		w.violation = &Violation{Invariant: invariant, What: fmt.Sprintf(format, args...), At: w.now}
	}
}

const (
	// strandedAfter is the longest time for which a run may wait without a message. The rescuer looks five minutes after the
	// run's step message was due, and sends a step message again that is two minutes late; a timer run comes each minute; the
	// rest is for slow steps.
	strandedAfter = 15 * time.Minute
	// longestRun is the longest time that a run can take: a day to wait, a day to look for each of three starts, a day to
	// run, a day to be verified, and the outages of the app.
	longestRun = 9 * day
	// leastRetryWindow is the time that must pass without a trace of a lost start before the next start, less the time of an
	// invocation.
	leastRetryWindow = 40 * time.Minute
	// clockTolerance is the largest difference between a process's clock and the storage's clock at which the process may
	// schedule and delete, and a second more, because the storage's clock has whole seconds only.
	clockTolerance = 2*time.Minute + time.Second
)

// holdsLock reports whether a run in the state has its target for itself.
func holdsLock(s backup.State) bool {
	return s == backup.Starting || s == backup.Running || s == backup.Verifying
}

// Invariants lists everything that is checked. To add an invariant is to add a line.
var Invariants = []Invariant{
	{"one run per scheduled time", "1", oneRunPerScheduledTime},
	{"every scheduled time is a run or in a missed period", "1", everyScheduledTime},
	{"no scheduled time is a run and in a missed period", "1", noScheduledTimeTwice},
	{"one run holds the target", "2", oneHolder},
	{"operations overlap only after a lost start", "2", overlaps},
	{"only the expected step message steps a run", "4", expectedStepMessage},
	{"the fence holds", "4", fence},
	{"no more operations than may be at once", "", bounded},
	{"restores come before backups", "", restoresFirst},
	{"restores into one service begin in their order", "", oldestFirst},
	{"one start an attempt", "4", oneStart},
	{"a new attempt only after a look", "3", lookFirst},
	{"a failure that may pass is tried again, in time, and no other", "", triedAgain},
	{"the step message that a run expects is there", "3", stepMessageThere},
	{"messages do not pile up", "4", noPile},
	{"no run is stranded", "3", notStranded},
	{"an ended run stays ended", "3", finalStays},
	{"succeeded is earned", "5", earned},
	{"no two points name one artifact", "5", oneArtifact},
	{"an artifact's place outlives a move of its account", "5", placeStays},
	{"a far smaller point is suspect", "5", suspectIsSmall},
	{"the newest recovery point stays", "6", newestStays},
	{"the newest scheduled recovery points stay, as many as the plan says", "6", minimumStays},
	{"what a count holds stays", "6", countsHold},
	{"every deletion has its reason", "6", deletionReason},
	{"what storage keeps can be restored", "6", keptStays},
	{"nothing is done by a clock that jumped", "6", saneClock},
	{"every end is published, as it is", "3", toldTruly},
	{"events wait for nothing but their queue", "3", eventsLeave},
	{"nothing waits for an event to be sent", "", eventsGateNothing},
	{"every message is processed", "4", messagesEnd},
	{"a timer notes that it runs once in five minutes at most", "", notedSeldom},
	{"a request always means the same run", "1", sameRun},
	{"retention goes on", "", retentionGoesOn},
	{"a restore is begun once", "4", restoredOnce},
	{"no restore begins against a guard", "8", guarded},
	{"a stop stops deletions and restores", "", stops},
	{"nothing is pruned that is needed, and all that is history is", "", neededStays},
	{"a canceled restore never begins", "", canceledStays},
	{"no artifact is deleted while a restore reads it", "7", readerKeeps},
	{"what a person holds stays", "6", heldStays},
	{"a recovery point is soft-deleted for its time, and then deleted", "6", softDeleted},
	{"no more than a tenth of a target's points go in a day", "6", pace},
	{"a safety backup comes first, and is held", "7", secured},
	{"each kept artifact has its manifests, and no other has", "", manifestsKept},
	{"the catalog knows every artifact", "", catalogComplete},
	{"latest is the newest that protects", "5", latestProtects},
	{"a restore ends as it did", "3", endsTruly},
	{"a run that is given up frees its target, and may be given up", "", givenUpWell},
	{"every request for a restore is answered", "3", requestAnswered},
	{"only the app that owns the catalog works", "", obeyed},
	{"a takeover takes every run over", "", takenOver},
	{"a meeting of two apps has one event", "", toldOfApps},
	{"health names the other app while it is there", "", healthOfApps},
	{"health never says better than a look at the target", "", healthIsTrue},
	{"an alarm is over once, and when its target is unprotected no longer", "", alarmsEnd},
}

func notedSeldom(_ *World, moment any) string {
	m, ok := moment.(noted)
	if apart := m.is.Sub(m.was); ok && apart < 5*time.Minute {
		return fmt.Sprintf("%s is written %s after it was", m.timer, apart)
	}
	return ""
}

func oneRunPerScheduledTime(_ *World, moment any) string {
	m, ok := moment.(saved)
	switch {
	case !ok:
	case m.twin != nil && m.is.Restore != nil:
		return fmt.Sprintf("%s and %s are of the same request", m.twin.name, m.facts.name)
	case m.twin != nil:
		return fmt.Sprintf("%s and %s are of the same scheduled time", m.twin.name, m.facts.name)
	case m.insert && m.was != nil:
		return m.facts.name + " was created a second time"
	case !m.insert && m.was == nil:
		return m.facts.name + " was written before it was created"
	}
	return ""
}

func everyScheduledTime(w *World, moment any) string {
	m, ok := moment.(timerRan)
	if !ok || !m.alone || m.v.died || m.v.err != nil || m.stopped {
		return ""
	}
	for _, p := range m.plans {
		if p.Paused {
			continue
		}
		last, known := w.ledger.dealt[p.Name]
		w.ledger.dealt[p.Name] = dealt{m.began, p}
		if !known || w.file.edited[p.Name].After(last.until) {
			continue // scheduled times of another schedule
		}
		for scheduledTime := range p.Schedule.After(last.until) {
			if scheduledTime.After(m.began) {
				break
			}
			if w.ledger.missedRunsOf(p.Name, scheduledTime) {
				continue
			}
			for _, target := range p.Targets {
				// A target that was taken out and put back needs neither a run nor a missed period if a timer run looked in
				// between, at a plan.yaml up to two days old.
				left, ok := w.file.left[[2]string{p.Name, target}]
				gone := ok && left.After(last.until.Add(-2*day))
				if !gone && slices.Contains(last.plan.Targets, target) && w.ledger.byScheduledTime[scheduledTimeKey(p.Name, target, scheduledTime)] == nil {
					return fmt.Sprintf("the scheduled time %s of plan %s has neither a run of %s nor a missed period, and the timer run ended well",
						scheduledTime.Format(time.RFC3339), p.Name, w.service(target).name)
				}
			}
		}
	}
	return ""
}

func (l *ledger) missedRunsOf(plan string, scheduledTime time.Time) bool {
	return slices.ContainsFunc(l.missedRuns[plan], func(g schedule.MissedRuns) bool {
		return !scheduledTime.Before(g.First) && !scheduledTime.After(g.Last)
	})
}

func noScheduledTimeTwice(w *World, moment any) string {
	switch m := moment.(type) {
	case missed:
		if edited, ok := w.file.edited[m.missedRuns.Plan]; ok && !edited.Before(m.missedRuns.First.Add(-2*day)) {
			return "" // the scheduled times of a run may lie between the scheduled times of the missed period
		}
		for _, f := range w.ledger.all {
			r := f.run
			if r.Plan == m.missedRuns.Plan && !r.ScheduledTime.Before(m.missedRuns.First) && !r.ScheduledTime.After(m.missedRuns.Last) && w.file.wants(r.Plan, r.Target) {
				return fmt.Sprintf("%s is of the scheduled time %s, which the missed period from %s to %s calls missed", f.name,
					r.ScheduledTime.Format(time.RFC3339), m.missedRuns.First.Format(time.RFC3339), m.missedRuns.Last.Format(time.RFC3339))
			}
		}
	case saved:
		if r := m.is; m.was == nil && !r.ScheduledTime.IsZero() && w.ledger.missedRunsOf(r.Plan, r.ScheduledTime) && w.file.edited[r.Plan].IsZero() {
			return fmt.Sprintf("%s was made for the scheduled time %s, which a missed period calls missed", m.facts.name, r.ScheduledTime.Format(time.RFC3339))
		}
	}
	return ""
}

func oneHolder(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if !holdsLock(m.is.State) {
			return ""
		}
		for _, o := range w.ledger.open {
			if o != m.facts && o.run.Target == m.is.Target && holdsLock(o.run.State) {
				return fmt.Sprintf("%s is %s and %s is %s, of the same target", m.facts.name, m.is.State, o.name, o.run.State)
			}
		}
	case over:
		for _, partition := range slices.Sorted(maps.Keys(w.ledger.locks)) {
			return w.ledger.runName(w.ledger.locks[partition]) + " still holds its target"
		}
	}
	return ""
}

func overlaps(w *World, moment any) string {
	m, ok := moment.(began)
	if !ok {
		return ""
	}
	for _, o := range m.service.ops {
		if !o.ends.After(w.now) || o.run == "" || o.restore != nil {
			continue
		}
		w.figures.Overlaps++
		if f := w.ledger.runs[o.run]; f.run.State == backup.Running && f.run.Artifact == o.attempt {
			return fmt.Sprintf("%s is begun while %s is polled", w.ledger.artifactName(m.attempt.Artifact),
				w.ledger.artifactName(o.attempt))
		}
	}
	return ""
}

func expectedStepMessage(_ *World, moment any) string {
	m, ok := moment.(stepped)
	if !ok || m.v.loaded == nil {
		return ""
	}
	if u, r := m.v.stepMessage, m.v.loaded; u.Run == r.ID && (u.Sequence != r.Sequence || u.Nonce != r.Nonce) {
		return fmt.Sprintf("%s on step message %d %s, where the run expects %d %s", m.call, u.Sequence, u.Nonce, r.Sequence, r.Nonce)
	}
	return ""
}

func fence(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if m.was != nil && m.was.LeaseUntil.After(w.now) && m.was.Owner != m.v.owner && !onlyCancels(m) {
			return fmt.Sprintf("%s was written by %s before the lease of %s ended", m.facts.name, m.v.owner, m.was.Owner)
		}
	case began:
		f := w.ledger.runs[m.attempt.Run]
		if f.run.Artifact == m.attempt.Artifact && f.run.State == backup.Starting && f.run.Owner != "" && w.now.After(f.run.LeaseUntil) {
			return fmt.Sprintf("%s is begun %s after the lease of the attempt", w.ledger.artifactName(m.attempt.Artifact),
				w.now.Sub(f.run.LeaseUntil))
		}
	}
	return ""
}

// onlyCancels reports whether the write only notes a cancellation.
func onlyCancels(m saved) bool {
	if m.is.Restore == nil || m.is.Restore.CanceledBy == m.was.Restore.CanceledBy {
		return false
	}
	is, was := *m.is, *m.was
	noted := *was.Restore
	noted.CanceledBy, noted.CanceledOver = is.Restore.CanceledBy, is.Restore.CanceledOver
	was.Restore, was.Updated = &noted, is.Updated
	return string(backup.Encode(is)) == string(backup.Encode(was))
}

func oneStart(w *World, moment any) string {
	switch m := moment.(type) {
	case asking:
		if m.facts.asked[m.attempt.Artifact] {
			return w.ledger.artifactName(m.attempt.Artifact) + " is asked for a second time"
		}
	case began:
		if m.service.starts[m.attempt.Artifact] > 1 {
			return w.ledger.artifactName(m.attempt.Artifact) + " is begun a second time"
		}
	}
	return ""
}

func lookFirst(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if m.v.look != nil && m.v.look.run == m.is.ID {
			m.facts.looked(w.now, *m.v.look) // a look that died with its invocation does not count
		}
	case asking:
		if s := m.facts.start; s.open && (!s.over || !s.clean) {
			return fmt.Sprintf("%s is asked for although the answer to an earlier start is missing, and was not looked for "+
				"long enough", w.ledger.artifactName(m.attempt.Artifact))
		}
	}
	return ""
}

// retryWaits are the least waits before a further attempt, after each failure that may pass.
var retryWaits = []time.Duration{5 * time.Minute, 15 * time.Minute, 45 * time.Minute}

// triedAgain holds each start, and each end as failed, against the failures that the service has told.
func triedAgain(w *World, moment any) string {
	var f *facts
	switch m := moment.(type) {
	case asking:
		f = m.facts
	case saved:
		f = m.facts
	}
	if f == nil || len(f.failed) == 0 {
		return ""
	}
	n, last := len(f.failed), f.failed[len(f.failed)-1]
	switch m := moment.(type) {
	case asking:
		r := f.run
		switch name := w.ledger.artifactName(m.attempt.Artifact) + " is asked for "; {
		case slices.ContainsFunc(f.failed, func(of failure) bool { return !of.of.passes }):
			return name + "although the service has said no for good"
		case n > len(retryWaits):
			return fmt.Sprintf("%safter %d failures", name, n)
		case w.now.Sub(last.told) < retryWaits[n-1]-2*time.Second:
			return fmt.Sprintf("%s%s after failure %d", name, w.now.Sub(last.told), n)
		case !r.Until.IsZero() && w.now.After(r.Until.Add(functionTimeout)):
			return name + "after the window of its scheduled time"
		case !r.NextScheduledTime.IsZero() && w.now.After(r.NextScheduledTime.Add(functionTimeout)):
			return name + "after the plan's next scheduled time"
		}
	case saved:
		if m.is.State != backup.Failed || m.was == nil || m.was.State != backup.Running || m.is.Restore != nil || n > len(retryWaits) ||
			slices.ContainsFunc(f.failed, func(of failure) bool { return !of.of.passes }) {
			return ""
		}
		end := backup.Later(m.is.Created, m.is.Start).Add(day)
		for _, t := range []time.Time{m.is.Until, m.is.NextScheduledTime} {
			if !t.IsZero() && t.Before(end) {
				end = t
			}
		}
		if room := end.Sub(w.now) - retryWaits[n-1]; room > functionTimeout {
			return fmt.Sprintf("%s ends failed after failure %d that may pass, and its time ends %s later", f.name, n, end.Sub(w.now))
		}
	}
	return ""
}

func stepMessageThere(w *World, moment any) string {
	m, ok := moment.(worked)
	if !ok {
		return ""
	}
	f := w.ledger.runs[m.run]
	if f == nil || f.lost || f.run.State.Final() && !f.run.Unpublished || w.busy() || w.awaited(f) {
		return ""
	}
	if f.run.State.Final() && w.ledger.unpublishedByPeople(f.run.ID) {
		return "" // the rescuer brings that, by an entry of its own
	}
	return fmt.Sprintf("%s is %s and expects step message %d, which is nowhere, and nobody took it away", f.name, f.run.State,
		f.run.Sequence)
}

// mostMessages is more than ever wait, whatever goes wrong, as long as the host takes messages.
const mostMessages = 300

func noPile(w *World, moment any) string {
	if _, ok := moment.(timerRan); !ok {
		return ""
	}
	if w.now.Sub(w.host.late) < strandedAfter || w.now.Sub(w.host.down) < strandedAfter {
		return "" // while the host takes no messages, the rescuer sends each again
	}
	most := mostMessages
	if w.now.Sub(w.disturbed) > strandedAfter {
		most = 40 + 10*len(w.ledger.open)
	}
	if n := len(w.queue.Messages(executeQueue)); n > most {
		return fmt.Sprintf("%d messages for %d runs", n, len(w.ledger.open))
	}
	return ""
}

func notStranded(w *World, moment any) string {
	switch moment.(type) {
	case passed:
		if !w.now.After(w.host.down) || !w.now.After(w.host.late) || w.host.skipped {
			return ""
		}
		for _, f := range w.ledger.open {
			r := f.run
			last := w.disturbed
			for _, t := range []time.Time{r.Due, r.LeaseUntil, f.touched, r.Updated} {
				if t.After(last) {
					last = t
				}
			}
			if w.now.Sub(last) > strandedAfter && !w.busy() {
				return fmt.Sprintf("%s is %s, expects step message %d since %s, and nobody comes", f.name, r.State, r.Sequence,
					r.Due.Format(time.RFC3339))
			}
			if w.now.Sub(r.Created) > longestRun+7*day {
				return fmt.Sprintf("%s is %s since %s", f.name, r.State, r.Created.Format(time.RFC3339))
			}
		}
	case over:
		for _, f := range w.ledger.open {
			return fmt.Sprintf("%s is still %s at the end", f.name, f.run.State)
		}
	}
	return ""
}

// busy reports whether an invocation is under way. It may be the expected one.
func (w *World) busy() bool {
	return slices.ContainsFunc(w.instances, func(i *instance) bool { return len(i.running) > 0 })
}

func finalStays(_ *World, moment any) string {
	m, ok := moment.(saved)
	switch {
	case !ok || m.was == nil:
	case m.was.State.Final() && m.is.State != m.was.State:
		return fmt.Sprintf("%s had ended %s, and is %s", m.facts.name, m.was.State, m.is.State)
	case m.is.Attempt < m.was.Attempt && (m.is.Restore == nil || m.is.Restore.SafetyBackedUp.Equal(m.was.Restore.SafetyBackedUp)),
		m.is.Sequence < m.was.Sequence || m.is.Sequence > m.was.Sequence+1:
		return fmt.Sprintf("%s goes from attempt %d and step message %d to %d and %d", m.facts.name, m.was.Attempt, m.was.Sequence,
			m.is.Attempt, m.is.Sequence)
	}
	return ""
}

func earned(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if m.is.State == backup.Succeeded && m.is.Restore == nil && w.ledger.points[m.is.ID] == nil {
			return m.facts.name + " succeeded without a recovery point"
		}
	case kept:
		if m.was != nil {
			return ""
		}
		s, r := w.service(m.is.Target), w.ledger.runs[m.is.ID].run
		b := s.blob(m.is.Artifact)
		switch {
		case m.is.Storage.Container != "own-"+strings.ToLower(s.name):
			return "the recovery point of " + w.ledger.runName(r.ID) + " is in the container " + m.is.Storage.Container + ", which is not its target's own"
		case r.State != backup.Succeeded && !m.is.Safety, m.is.Safety && (r.Restore == nil || r.Restore.Step != backup.StepPreCheck && r.State != backup.Canceled):
			return fmt.Sprintf("a recovery point of %s, which is %s", w.ledger.runName(r.ID), r.State)
		case b == nil:
			return "the artifact of " + w.ledger.runName(r.ID) + " does not exist"
		case slices.ContainsFunc(w.ledger.runs[r.ID].failed, func(of failure) bool {
			// A process that died between the answer and its save left no trace of it, and the service has forgotten it since.
			return of.of.token == b.content && w.now.Sub(of.of.ends) <= s.behaviour.Forgets
		}):
			return "the artifact of " + w.ledger.runName(r.ID) + " was left by an attempt that the service has failed"
		case b.broken:
			return "the artifact of " + w.ledger.runName(r.ID) + " cannot be restored, and the service would have said so"
		case b.run == "" && b.begun.Before(r.Started.Add(-5*time.Second)):
			return "the artifact of " + w.ledger.runName(r.ID) + " is that of a stranger, begun before the run"
		case b.size == 0 || b.run != r.ID && b.run != "" || b.modified.Before(r.Started.Add(-5*time.Second)):
			return "the artifact of " + w.ledger.runName(r.ID) + " is empty, or not of this run"
		case r.Settings.KeepWithin == 0 && !m.is.Expires.IsZero(),
			r.Settings.KeepWithin > 0 && !m.is.Expires.Equal(b.modified.Add(r.Settings.KeepWithin)):
			return "the recovery point of " + w.ledger.runName(r.ID) + " does not expire when its plan says"
		case m.is.SHA256 != digestOf(b) || m.is.Size != b.size || m.is.ETag != b.etag:
			return "what is recorded of the artifact of " + w.ledger.runName(r.ID) + " is not what is there"
		case s.behaviour.Names && !w.listed(r.ID):
			return "of what the artifact of " + w.ledger.runName(r.ID) + " consists is not recorded"
		case s.behaviour.Blind && m.is.Note == "":
			return "the recovery point of " + w.ledger.runName(r.ID) + " does not say that it was verified by its hashes only"
		}
	}
	return ""
}

// listed reports whether rows hold the list of the files in the run's artifact.
func (w *World) listed(run string) bool {
	partition, row, _ := strings.Cut(run, "-")
	rows, _, err := w.catalog.List(context.Background(), partition, "files-"+row+"-", "files-"+row+".", 1)
	return err == nil && len(rows) == 1
}

// canRestore reports whether the artifact must be there.
func canRestore(p *backup.Point) bool { return p.State == backup.Live || p.State == backup.Suspect }

// suspectIsSmall checks the rule in outline: a clearly small point must be suspect, and a point that is clearly not small
// must not be. A suspect point stays suspect until a person, or the third point like it, vouches for it.
func suspectIsSmall(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		name := "the recovery point of " + w.ledger.runName(m.is.ID)
		vouched := !m.is.Accepted.Time.IsZero()
		switch {
		case m.is.State == backup.Live && m.is.Suspicion.Code != "" && !vouched:
			return name + " is live, although it was suspect and nobody accepted it"
		case m.was != nil && m.was.State == backup.Live && m.is.State == backup.Suspect:
			return name + " was live, and is suspect"
		case m.is.Safety && m.is.State == backup.Suspect:
			return name + " is suspect, and a safety backup"
		case m.was != nil, m.is.Safety:
			return ""
		}
		least, most, n := w.ledger.normal(m.is)
		switch {
		case vouched && !w.ledger.thirdAlike(m.is):
			return name + " is taken for good because of its like, and is not the third on end"
		case n >= 3 && 2*m.is.Size < least && m.is.State == backup.Live && !vouched:
			return fmt.Sprintf("%s has %d bytes, and is not suspect: the newest trusted ones have %d or more", name, m.is.Size, least)
		case m.is.State == backup.Suspect && (n < 3 || 2*m.is.Size >= most):
			return fmt.Sprintf("%s has %d bytes, and is suspect: the %d newest trusted ones have %d at the most", name, m.is.Size, n, most)
		}
	case vouched:
		p := w.ledger.points[m.point.ID]
		if p.Suspicion.Code != "" && p.Accepted.Time.IsZero() {
			return "the acceptance of " + w.ledger.runName(p.ID) + " was answered, and it is " + string(p.State)
		}
	}
	return ""
}

// thirdAlike reports whether the two points before the new one were suspect, too, and about as large.
func (l *ledger) thirdAlike(p *backup.Point) bool {
	partition, _, _ := strings.Cut(p.ID, "-")
	var before []*backup.Point
	for _, id := range slices.Backward(l.history[partition]) {
		if id != p.ID {
			if before = append(before, l.points[id]); len(before) == 5 {
				break
			}
		}
	}
	slices.SortFunc(before, func(a, b *backup.Point) int { return b.Created.Compare(a.Created) })
	least, most := p.Size, p.Size
	for _, b := range before[:min(len(before), 2)] {
		if b.Suspicion.Code == "" || b.Accepted.By != "" && b.Accepted.By != p.Accepted.By {
			return false
		}
		least, most = min(least, b.Size), max(most, b.Size)
	}
	return len(before) >= 2 && most <= 2*least
}

// normal returns the smallest and the largest size of the ten newest trusted points of the target, without the new one,
// and the number of these points.
func (l *ledger) normal(of *backup.Point) (least, most int64, n int) {
	partition, _, _ := strings.Cut(of.ID, "-")
	var trusted []*backup.Point
	for _, id := range slices.Backward(l.history[partition]) {
		p := l.points[id]
		if id != of.ID && (p.Suspicion.Code == "" || !p.Accepted.Time.IsZero()) {
			if trusted = append(trusted, p); len(trusted) == 15 { // in the order of their runs, nearly the order of the points
				break
			}
		}
	}
	slices.SortFunc(trusted, func(a, b *backup.Point) int { return b.Created.Compare(a.Created) })
	trusted = trusted[:min(len(trusted), 10)]
	for _, p := range trusted {
		if n++; n == 1 || p.Size < least {
			least = p.Size
		}
		most = max(most, p.Size)
	}
	return least, most, n
}

func newestStays(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if !m.leaves() {
			return ""
		}
		if !slices.ContainsFunc(m.others, func(o *backup.Point) bool { return !o.Created.Before(m.is.Created) }) {
			return w.ledger.runName(m.is.ID) + " left the newest recovery point of its target, and it is given up"
		}
	case removed:
		if p := w.ledger.points[m.run]; p != nil && canRestore(p) && p.Artifact == m.blob.name {
			return fmt.Sprintf("the artifact of the recovery point of %s is deleted, which is %s", w.ledger.runName(p.ID), p.State)
		}
	}
	return ""
}

func minimumStays(w *World, moment any) string {
	m, ok := moment.(kept)
	if !ok || !m.leaves() {
		return ""
	}
	if n, rank := w.minimum(m.was, append(slices.Clone(m.others), m.was), -clockTolerance); 0 <= rank && rank < n {
		return fmt.Sprintf("%s left the newest %d scheduled recovery points of its target, and it is given up", w.ledger.runName(m.is.ID), n)
	}
	return ""
}

// minimum returns how many scheduled points of the point's target stay by the run of the newest, and how many of these are newer than
// the point, -1 if it is none. A point that the service cannot restore any more, and for a while longer, is none.
func (w *World) minimum(p *backup.Point, live []*backup.Point, longer time.Duration) (n, rank int) {
	horizon := horizons[w.service(p.Target).behaviour.Type]
	good := slices.DeleteFunc(slices.Clone(live), func(o *backup.Point) bool {
		return w.ledger.runs[o.ID].run.ScheduledTime.IsZero() || horizon > 0 && w.now.Sub(o.Created) > horizon+longer
	})
	slices.SortFunc(good, func(a, b *backup.Point) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID)) })
	if rank = slices.IndexFunc(good, func(o *backup.Point) bool { return o.ID == p.ID }); rank < 0 {
		return 0, rank
	}
	return w.least(p.Target), rank
}

// least returns the greatest minimum of the plans that have made a verified point of the target by their schedules: each by its newest one.
func (w *World) least(target string) (n int) {
	newest, least := map[string]time.Time{}, map[string]int{}
	for _, id := range w.ledger.history[backup.Partition(target)] {
		f, p := w.ledger.runs[id], w.ledger.points[id]
		if f != nil && p != nil && !p.OnDemand && !p.Unaccepted() && f.run.ScheduledTime.After(newest[p.Plan]) {
			newest[p.Plan], least[p.Plan] = f.run.ScheduledTime, f.run.Settings.KeepMinimum
		}
	}
	n = 1
	for _, one := range least {
		n = max(n, one)
	}
	return n
}

func deletionReason(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if m.was != nil && canRestore(m.was) && !canRestore(m.is) &&
			m.is.SoftDeletion.ID == "" && !m.is.Expires.IsZero() {
			if day := w.firstDay(m.was, m.is.Expires); w.now.Before(day.Add(-clockTolerance)) {
				return fmt.Sprintf("the recovery point of %s is given up %s before its time", w.ledger.runName(m.is.ID), day.Sub(w.now))
			}
		}
		if m.was != nil && m.was.State == backup.Expired && m.is.State != backup.Expired {
			return "the recovery point of " + w.ledger.runName(m.is.ID) + " comes back"
		}
	case removed:
		p, r := w.ledger.points[m.run], w.ledger.runs[m.run].run
		switch {
		case p != nil && m.blob.name == p.Artifact && digestOf(m.blob) != p.SHA256:
			return w.ledger.artifactName(m.blob.name) + " is deleted, and its content is another one than was verified"
		case p != nil && p.State == backup.Deleting, p != nil && m.blob.name != p.Artifact:
			return ""
		case p == nil && m.extra && r.State == backup.Verifying && m.blob.name != r.Artifact:
			return ""
		case p == nil && m.extra && givenUp(r) && r.State == backup.Unknown:
			return ""
		}
		return fmt.Sprintf("%s is deleted while its run is %s", w.ledger.artifactName(m.blob.name), r.State)
	}
	return ""
}

// keptStays checks that the artifact of a point that comes back is complete. It also checks that a point whose artifact
// storage kept has come back when the cleanup has ended well. A suspect point comes back as suspect.
func keptStays(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if m.was == nil || canRestore(m.was) || !canRestore(m.is) {
			return ""
		}
		name := w.ledger.runName(m.is.ID)
		switch b := w.service(m.is.Target).blob(m.is.Artifact); {
		case b == nil:
			return "the recovery point of " + name + " comes back, and its artifact is gone"
		case m.is.State == backup.Live && m.is.Suspicion.Code != "" && m.is.Accepted.Time.IsZero():
			return "the recovery point of " + name + " was suspect, and comes back live"
		case m.is.KeptByStorage.Reason.Code == "" && m.is.Reason.Code != "ArtifactTouched":
			return "the recovery point of " + name + " comes back without a reason"
		}
	case cleaned:
		if m.v.died || m.v.err != nil {
			return ""
		}
		for _, run := range m.v.keeps {
			if p := w.ledger.points[run]; p != nil && p.State == backup.Deleting {
				return "storage keeps the artifact of " + w.ledger.runName(run) + ", and nobody can restore it"
			}
		}
	}
	return ""
}

func saneClock(_ *World, moment any) string {
	var v *invocation
	what := ""
	switch m := moment.(type) {
	case saved:
		if m.was == nil && !m.is.ScheduledTime.IsZero() {
			v, what = m.v, "a run is made"
		}
	case missed:
		v, what = m.v, "a missed period is recorded"
	case kept:
		if m.was != nil && canRestore(m.was) && !canRestore(m.is) {
			v, what = m.v, "a recovery point is given up"
		}
	case removed:
		if !m.extra {
			v, what = m.v, "an artifact is deleted"
		}
	}
	if v != nil && v.offset.Abs() > clockTolerance {
		return fmt.Sprintf("%s by a process whose clock is off by %s", what, v.offset)
	}
	return ""
}

// mostOf returns the greatest bound of a plan by which runs hold its permits: a run has the bound of the plan as it was when the run was made.
func (w *World) mostOf(prefix string) (most int) {
	for row, id := range w.ledger.permits {
		if f := w.ledger.runs[id]; f != nil && strings.HasPrefix(row, prefix) {
			most = max(most, f.run.Settings.Concurrency)
		}
	}
	return most
}

func bounded(w *World, moment any) string {
	switch m := moment.(type) {
	case passing:
		most, held := w.concurrency, w.ledger.held(ofAll)
		if plan, _, ok := strings.Cut(m.row, "."); ok && m.row[:len(plan)+1] != ofAll {
			most, held = w.mostOf(plan+"."), w.ledger.held(plan+".")
		}
		if most > 0 && held > most {
			return fmt.Sprintf("%d permits like %s are held, and %d may be", held, m.row, most)
		}
	case asking:
		r := m.facts.run
		bounds := map[string]bool{ofAll: w.concurrency > 0, ofPlan(r.Plan): r.Settings.Concurrency > 0}
		for _, p := range r.Permits {
			if w.ledger.permits[p.Row] != r.ID {
				return fmt.Sprintf("%s starts an operation on the permit %s, which %s holds", m.facts.name, p.Row,
					w.ledger.runName(w.ledger.permits[p.Row]))
			}
			bounds[p.Row[:strings.LastIndexByte(p.Row, '.')+1]] = false
		}
		for prefix, missing := range bounds {
			if missing {
				return fmt.Sprintf("%s starts an operation without a permit %s", m.facts.name, prefix)
			}
		}
	case over:
		if len(w.ledger.queue) > 0 {
			return fmt.Sprintf("%d runs still wait for a permit", len(w.ledger.queue))
		}
	}
	return ""
}

// toldOfPoint checks an event about the deletion of a recovery point.
func (w *World) toldOfPoint(id, kind string, at time.Time) string {
	p := w.ledger.points[id]
	switch name := w.ledger.runName(id); {
	case p == nil:
		return "told of the recovery point of " + name + ", which has none"
	case kind == "altered" && w.service(p.Target).blob(p.Artifact) != nil && !w.tampered(p):
		return "told that the recovery point of " + name + " is altered, and it is not"
	case strings.HasPrefix(kind, "kept") && w.service(p.Target).blob(p.Artifact) == nil && !p.Deleted.After(at): // else its queue took it late
		return "told that storage keeps the recovery point of " + name + ", and its artifact is gone"
	case kind == "deleted" && w.service(p.Target).blob(p.Artifact) != nil:
		return "told that the recovery point of " + name + " is deleted, and its artifact is there"
	}
	return ""
}

func toldTruly(w *World, moment any) string {
	switch m := moment.(type) {
	case told:
		w.ledger.told[m.event.ID] = m.event.Type
		if id, ok := strings.CutSuffix(m.event.ID, ".accepted"); ok && m.event.Type == "lifeboat.recovery-point.accepted" {
			if p := w.ledger.points[id]; p == nil || p.Accepted.Time.IsZero() {
				return "told that the recovery point of " + w.ledger.runName(id) + " was accepted, which nobody did"
			}
			return ""
		}
		if m.event.Type == "lifeboat.recovery-point.changed" {
			return w.toldOfChange(m.event)
		}
		if id, hold, ok := strings.Cut(m.event.ID, ".held."); ok {
			if !slices.Contains(w.ledger.holds[id], hold) {
				return "told that the recovery point of " + w.ledger.runName(id) + " is held, which nobody did"
			}
			return ""
		}
		if id, kind, _ := strings.Cut(m.event.ID, "."); strings.HasPrefix(m.event.Type, "lifeboat.recovery-point.") {
			return w.toldOfPoint(id, kind, m.event.Time)
		}
		for suffix := len(m.event.ID) - 1; suffix > 0; suffix-- {
			if m.event.ID[suffix] != '.' {
				continue
			}
			f := w.ledger.runs[m.event.ID[:suffix]]
			if f != nil && f.run.Restore != nil {
				return f.toldOfRestore(m.event)
			}
			if f != nil && m.event.Type != "lifeboat.run."+string(f.run.State) {
				return fmt.Sprintf("told %s of %s, which is %s", m.event.Type, f.name, f.run.State)
			}
			break
		}
	case worked:
		return w.missedChange(w.ledger.runs[m.run])
	case over:
		for _, f := range w.ledger.all {
			if why := w.untoldChange(f); why != "" {
				return why
			}
			for _, hold := range w.ledger.holds[f.run.ID] {
				if w.ledger.told[f.run.ID+".held."+hold] == "" {
					return "nobody was told that the recovery point of " + f.name + " is held"
				}
			}
			for _, id := range w.ledger.erased[f.run.ID] {
				if w.ledger.told[f.run.ID+".softdeleted."+id] == "" {
					return "nobody was told that a person has deleted the recovery point of " + f.name
				}
			}
			if w.ledger.told[f.run.ID+"."+string(f.run.State)] == "" {
				return fmt.Sprintf("nobody was told that %s is %s", f.name, f.run.State)
			}
			if w.ledger.accepted[f.run.ID] && w.ledger.told[f.run.ID+".accepted"] == "" {
				return "nobody was told that the recovery point of " + f.name + " was accepted"
			}
			if f.run.Restore != nil && !f.refused && w.ledger.told[f.run.ID+".accepted"] == "" {
				return "nobody was told that " + f.name + " was accepted"
			}
		}
		for _, plan := range slices.Sorted(maps.Keys(w.ledger.missedRuns)) {
			for _, g := range w.ledger.missedRuns[plan] {
				if w.ledger.told["missed-"+plan+"."+g.First.UTC().Format("20060102T150405Z")] == "" {
					return fmt.Sprintf("nobody was told of the missed period of plan %s from %s", plan, g.First.Format(time.RFC3339))
				}
			}
		}
	}
	return ""
}

func oneArtifact(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if m.other != "" {
			return fmt.Sprintf("the recovery points of %s and %s both name %s", w.ledger.runName(m.other),
				w.ledger.runName(m.is.ID), w.ledger.artifactName(m.is.Artifact))
		}
	case saved:
		if m.is.Reason.Code == "ArtifactTaken" {
			return m.facts.name + " found an artifact that belongs to another run"
		}
	}
	return ""
}

// placeStays compares the place of each recovery point's artifact with the one that it has by the account's first ID.
func placeStays(w *World, moment any) string {
	if m, ok := moment.(kept); ok {
		first := *m.is
		if first.Storage.Account = account; first.Location() != m.is.Location() {
			return "the place of " + w.ledger.artifactName(m.is.Artifact) + " is another one since the account was moved"
		}
	}
	return ""
}

// undisturbed reports whether nothing has gone wrong for so long that all expected work is done, and whether as much time
// has passed since the given time.
func (w *World) undisturbed(since time.Time) bool {
	if w.busy() || !w.now.After(w.host.down) || !w.now.After(w.host.late) || w.host.skipped {
		return false
	}
	return w.now.Sub(w.disturbed) > strandedAfter && w.now.Sub(since) > strandedAfter
}

func eventsLeave(w *World, moment any) string {
	// Once the queues take events again, a timer run needs its time to send them.
	if _, ok := moment.(passed); !ok || w.now.Sub(w.silent) <= strandedAfter {
		return ""
	}
	for key, since := range w.ledger.outbox {
		f := w.ledger.runs[key.Partition]
		if w.deletes(strings.TrimPrefix(key.Row, "pending-")) {
			w.ledger.outbox[key] = w.now
		} else if f == nil && key.Partition == "schedule" && w.undisturbed(since) {
			return fmt.Sprintf("%s is not sent since %s", key.Row, since.Format(time.RFC3339))
		}
	}
	return ""
}

// deletes says whether the deletion of a point of the target with the partition has begun, and not ended: until then the manifest of a change
// of it waits.
func (w *World) deletes(partition string) bool {
	for _, id := range w.ledger.history[partition] {
		if p := w.ledger.points[id]; p != nil && p.State == backup.Deleting {
			return true
		}
	}
	return false
}

func eventsGateNothing(w *World, moment any) string {
	if _, ok := moment.(passed); !ok || !w.silent.After(w.now) {
		return ""
	}
	waited := false // long enough for a timer run to reclaim a permit without a holder
	for _, p := range w.ledger.queue {
		waited = waited || w.undisturbed(p.since)
	}
	for _, row := range slices.Sorted(maps.Keys(w.ledger.permits)) {
		f := w.ledger.runs[w.ledger.permits[row]]
		if f != nil && f.run.State.Final() && w.undisturbed(f.run.Ended) && waited && !w.ledger.room(w.concurrency) {
			return fmt.Sprintf("%s is %s and holds the permit %s that others wait for", f.name, f.run.State, row)
		}
	}
	return ""
}

func messagesEnd(w *World, moment any) string {
	if _, ok := moment.(over); !ok {
		return ""
	}
	if len(w.ledger.deadLetters) == 0 && len(w.ledger.poisoned) > 0 {
		return fmt.Sprintf("%d messages were poisoned, and none is among the dead letters", len(w.ledger.poisoned))
	}
	distinct := map[string]bool{}
	for _, body := range w.ledger.poisoned {
		distinct[body] = true
	}
	if len(w.ledger.deadLetters) < len(distinct) {
		return fmt.Sprintf("%d messages were poisoned, and only %d are among the dead letters", len(distinct),
			len(w.ledger.deadLetters))
	}
	return ""
}

func sameRun(w *World, moment any) string {
	switch m := moment.(type) {
	case answered:
		if m.request.run != "" && m.request.run != m.run {
			return fmt.Sprintf("%s was %s, and is now %s", m.request.request.ID, w.ledger.runName(m.request.run),
				w.ledger.runName(m.run))
		}
	case over:
		for _, r := range w.requests {
			if r.run != "" && w.ledger.runs[r.run] == nil {
				return r.request.ID + " was answered with a run that does not exist"
			}
		}
	}
	return ""
}

// numbered returns the end of the ID of an event about a deletion, after as many earlier ones that were taken back.
func numbered(takenBack int) string {
	if takenBack == 0 {
		return ""
	}
	return fmt.Sprintf(".%d", takenBack)
}

func retentionGoesOn(w *World, moment any) string {
	if _, ok := moment.(over); !ok {
		return ""
	}
	for _, s := range w.services {
		for _, b := range s.blobs {
			p := w.ledger.points[b.run]
			if p != nil && p.State == backup.Expired && b.modified.Before(p.Deleted) && (!s.behaviour.Names || b.name == p.Artifact) {
				return w.ledger.artifactName(b.name) + " outlived its recovery point"
			}
			f := w.ledger.runs[b.run]
			if p == nil && f != nil && givenUp(f.run) && !s.behaviour.Names && w.end.Sub(f.run.Ended) < 6*day && w.now.Sub(b.modified) > 7*time.Hour {
				return w.ledger.artifactName(b.name) + " outlived its run, which was given up"
			}
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(w.ledger.live)) {
		points := w.ledger.live[partition]
		// Cleanup looks again at a point six hours after it kept it, so a point that came or was accepted since may not count yet.
		since := slices.DeleteFunc(slices.Clone(points), func(o *backup.Point) bool {
			return w.now.Sub(o.Created) < 7*time.Hour || w.now.Sub(o.Accepted.Time) < 7*time.Hour
		})
		for _, p := range points {
			newer := slices.ContainsFunc(points, func(o *backup.Point) bool { return o.Created.After(p.Created) })
			if n, rank := w.minimum(p, since, 7*time.Hour); 0 <= rank && rank < n {
				continue
			}
			if newer && !w.stays(p, points) && !w.waits(p) && !w.heldLately(p) && w.now.Sub(w.finalDay(p, p.Expires)) > 7*time.Hour && w.now.Sub(p.KeptByStorage.Until) > 7*time.Hour {
				return fmt.Sprintf("the recovery point of %s expired %s ago, and is still there", w.ledger.runName(p.ID),
					w.now.Sub(p.Expires))
			}
		}
	}
	for _, f := range w.ledger.all {
		switch p := w.ledger.points[f.run.ID]; {
		case p == nil:
		case w.heldLately(p):
		case p.State == backup.Altered && !w.tampered(p) && w.service(p.Target).blob(p.Artifact) != nil:
			return "the recovery point of " + f.name + " is altered, and its artifact is not"
		case p.State == backup.Altered && w.ledger.told[p.ID+".altered"+numbered(p.Undeleted.TakenBack)] == "":
			return "nobody was told that the recovery point of " + f.name + " is altered"
		case p.State == backup.Deleting:
			return "the deletion of the recovery point of " + f.name + " is never ended"
		case canRestore(p) && w.waits(p):
		case p.Safety && canRestore(p) && !p.Expires.IsZero() && w.now.Sub(dueAt(p)) > 7*time.Hour && w.now.Sub(p.Held.Until) > 7*time.Hour &&
			w.now.Sub(p.KeptByStorage.Until) > 7*time.Hour:
			return "the safety backup of " + f.name + " expired, nobody holds it, and it is still there"
		case p.State == backup.Suspect && !w.stays(p, w.ledger.live[p.ID[:16]]) && w.now.Sub(w.finalDay(p, dueAt(p))) > 7*time.Hour && w.now.Sub(p.KeptByStorage.Until) > 7*time.Hour:
			return fmt.Sprintf("the suspect recovery point of %s expired %s ago, and is still there", f.name, w.now.Sub(p.Expires))
		}
	}
	return ""
}
