package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/outbox"
	"lifeboat/internal/schedule"
)

// successor gets each world that one action leads to. Free actions cost nothing of the budget: they are the ones that remain when
// nothing goes wrong any more. The text describes the action for traces, and is empty unless the model makes one.
type successor func(next *world, free bool, what string)

// expand hands on all the worlds that the next action may lead to.
func (m *model) expand(w *world, yield successor) {
	say := func(format string, args ...any) string {
		if !m.tracing {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	if len(w.messages) > mostMessages {
		m.fail("%d messages pile up", len(w.messages))
	}
	if m.returns(w, yield, say) {
		return
	}
	executing, timers := 0, 0
	for _, h := range w.handlers {
		if h.timer {
			timers++
		} else {
			executing++
		}
	}
	ready := len(w.handlers) > 0
	for i := range w.messages {
		msg := &w.messages[i]
		if msg.holder == 0 && msg.visible <= w.now {
			ready = true
			if executing < m.handlers {
				n := w.clone()
				serial := n.nextSerial()
				n.messages[i].holder = serial
				n.handlers = append(n.handlers, &handler{serial: serial, wake: msg.wake, message: msg.id, begun: w.now})
				yield(n, true, say("i%d takes step message %d %s", serial, msg.wake.Sequence, msg.wake.Nonce))
			}
		}
		if msg.holder != 0 && w.left.Copies > 0 {
			n := w.clone()
			n.left.Copies--
			n.messages[i].holder, n.messages[i].visible = 0, w.now
			yield(n, false, say("i%d loses its hold on the message", msg.holder))
		}
		if msg.holder == 0 && w.left.Drops > 0 {
			n := w.clone()
			n.left.Drops--
			n.messages = slices.Delete(n.messages, i, i+1)
			yield(n, false, say("step message %d %s is lost", msg.wake.Sequence, msg.wake.Nonce))
		}
	}
	for _, h := range w.handlers {
		m.proceed(w, h, yield, say)
		if w.left.Crashes > 0 {
			n := w.clone()
			n.left.Crashes--
			n.remove(h)
			n.release(h, w.now+redelivery)
			yield(n, false, say("i%d dies before: %v", h.serial, h.asks))
		}
	}
	if m.timerDue(w) && w.timerAt <= w.now && timers < m.rescuers {
		ready = true
		n := w.clone()
		serial := n.nextSerial()
		n.handlers = append(n.handlers, &handler{serial: serial, timer: true, begun: w.now})
		if timers+1 == m.rescuers {
			n.timerAt = w.now + timerPeriod
		}
		yield(n, true, say("i%d is a timer run", serial))
	}
	instants := m.instants(w)
	switch {
	case !ready && len(instants) > 0:
		n := w.clone()
		n.now = instants[0]
		yield(n, true, say("time goes on to %d s", n.now))
	case ready && w.left.Delays > 0:
		for _, at := range instants {
			n := w.clone()
			n.now = at
			n.left.Delays--
			yield(n, false, say("nobody acts until %d s", at))
		}
	}
}

// mostMessages is more than the budgets of accidents can leave in the queue at a time.
const mostMessages = 8

// returns lets a handler whose only next action is to return do so before anything else happens. Nothing is lost by that: its
// return only takes away a message that no other handler can touch, so it may as well come first; and dying, or losing its hold
// on the message, can as well happen here as later.
func (m *model) returns(w *world, yield successor, say func(string, ...any) string) bool {
	for _, h := range w.handlers {
		c := m.nextCall(h)
		if c.op != "return" {
			continue
		}
		m.proceed(w, h, yield, say)
		if h.timer {
			return true
		}
		if w.left.Crashes > 0 {
			n := w.clone()
			n.left.Crashes--
			n.remove(h)
			n.release(h, w.now+redelivery)
			yield(n, false, say("i%d dies before it returns", h.serial))
		}
		if i := slices.IndexFunc(w.messages, func(x message) bool { return x.holder == h.serial }); i >= 0 && w.left.Copies > 0 {
			n := w.clone()
			n.left.Copies--
			n.messages[i].holder, n.messages[i].visible = 0, w.now
			yield(n, false, say("i%d loses its hold on the message", h.serial))
		}
		return true
	}
	return false
}

// timerDue says that a timer run would find something to do.
func (m *model) timerDue(w *world) bool {
	if m.rescuers == 0 {
		return false
	}
	for _, r := range w.rows {
		if r.entry != nil && r.at <= w.now {
			return true
		}
	}
	return m.scheduledTimeDue(w)
}

// scheduledTimeDue says that a plan's scheduled time was not yet passed by its checkpoint.
func (m *model) scheduledTimeDue(w *world) bool {
	for _, p := range m.plans {
		r := w.row(backup.Key{Partition: backup.SchedulePartition, Row: "plan-" + p.Name})
		progress, err := backup.Decode[checkpoint.Checkpoint](backup.Row{Body: r.body})
		if err != nil {
			panic(err)
		}
		if !p.Schedule.Next(progress.At).After(m.instant(w.now)) {
			return true
		}
	}
	return len(w.list(backup.SchedulePartition, backup.OutboxPrefix, "pending.")) > 0
}

// instants returns the next ones at which something changes by itself; reach bounds the length of one delay.
func (m *model) instants(w *world) []seconds {
	var all []seconds
	add := func(at seconds) {
		if at > w.now {
			all = append(all, at)
		}
	}
	for _, msg := range w.messages {
		if msg.holder == 0 {
			add(msg.visible)
		}
	}
	for _, o := range w.ops {
		add(o.ends)
	}
	for _, r := range w.rows {
		if r.entry != nil && m.rescuers > 0 {
			add(max(r.at, w.timerAt))
		}
		if r.run != nil && len(w.handlers) > 0 && !r.run.LeaseUntil.IsZero() {
			add(since(r.run.LeaseUntil))
		}
	}
	if m.scheduledTimeDue(w) {
		add(w.timerAt)
	}
	for _, h := range w.handlers {
		if h.asks != nil && h.asks.op == "begin" {
			add(h.asks.deadline)
			add(h.asks.deadline - 1)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), m.reach)]
}

// proceed lets the handler's next outside call happen, in every way that it may.
func (m *model) proceed(w *world, h *handler, yield successor, say func(string, ...any) string) {
	c := m.nextCall(h)
	steps := m.steps(w, h, c)
	answer := func(a answer, change func(*world)) {
		n := w.clone()
		a.op, a.at = c.op, w.now
		if a.clock == 0 {
			a.clock = w.now
		}
		if steps {
			if last := &n.stepped[m.index(h.wake.Run)]; h.wake.Sequence > last.Sequence {
				*last = h.wake
			}
		}
		if change != nil {
			change(n)
		}
		if a.fault {
			n.left.Faults--
		}
		n.answered(h, a)
		if m.tracing {
			note := ""
			if a.fault {
				note = " GOES WRONG"
			}
			yield(n, !a.fault, fmt.Sprintf("i%d: %s%s (%v)", h.serial, c, note, a.err))
			return
		}
		yield(n, !a.fault, "")
	}
	fails := func(change func(*world)) {
		if w.left.Faults > 0 {
			answer(wrong(errInjected), change)
		}
	}
	switch c.op {
	case "get":
		a := reply(nil)
		a.key = c.key
		if a.row = w.row(c.key); a.row == nil {
			a.err = backup.ErrNotFound
		}
		answer(a, nil)
		fails(nil)
		if w.left.Delays > 0 && !h.timer {
			// A slow answer, so slow that it eats up the lease's margin.
			n := w.clone()
			n.left.Delays--
			n.now += seconds(m.waits.LeaseMargin/time.Second) + 5
			slow := a
			slow.op, slow.at, slow.clock = c.op, n.now, w.now
			n.answered(h, slow)
			yield(n, false, say("i%d: %v, and sees the answer at %d s", h.serial, c, n.now))
		}
	case "list":
		a := reply(nil)
		a.rows = w.list(c.partition, c.from, c.to)
		answer(a, nil)
		if c.partition != backup.SchedulePartition {
			fails(nil)
		}
	case "apply":
		trial := w.clone()
		etags, err := m.apply(trial, c.writes)
		m.checkApply(w, trial, h, c)
		a := reply(err)
		a.etags = etags
		a.key = c.writes[0].Key
		answer(a, func(n *world) { n.rows, n.serial = trial.rows, trial.serial })
		fails(nil)
		if err == nil {
			fails(func(n *world) { n.rows, n.serial = trial.rows, trial.serial })
		}
	case "wake":
		answer(reply(nil), func(n *world) { n.send(c.wake, c.delay) })
		fails(nil)
		fails(func(n *world) { n.send(c.wake, c.delay) })
		if w.left.Faults > 0 {
			twice := reply(nil)
			twice.fault = true
			answer(twice, func(n *world) { n.send(c.wake, c.delay); n.send(c.wake, c.delay) })
		}
	case "publish":
		m.checkPublish(w, c)
		answer(reply(nil), func(n *world) { m.publish(n, c.event) })
		fails(nil)
		fails(func(n *world) { m.publish(n, c.event) })
	case "begin":
		m.begin(w, h, c, answer, fails)
	case "poll":
		a := reply(nil)
		switch o := w.operation(c.token); {
		case o == nil:
			a.err = &backup.Fault{Kind: backup.Unobservable, Code: "NotFound"}
		case o.ends > w.now:
			a.operation = backup.Operation{Token: c.token}
		case o.fails:
			a.err = &backup.Fault{Kind: backup.Refused, Code: "Failed"}
		default:
			a.operation = backup.Operation{Done: true}
		}
		answer(a, nil)
		fails(nil)
		if w.left.Faults > 0 {
			answer(wrong(&backup.Fault{Kind: backup.Unobservable, Code: "AuthorizationFailed"}), nil)
		}
	case "find":
		a := reply(nil)
		a.found = w.blob(c.attempt.Run)
		answer(a, nil)
		fails(nil)
	case "verify":
		a := reply(nil)
		if o := w.operation(c.attempt.Artifact); o == nil || o.fails || o.ends > w.now {
			a.err = &backup.Fault{Kind: backup.Refused, Code: "BlobNotFound"}
		} else {
			a.verify = backup.Verification{Done: true, Size: 1, Modified: m.instant(o.ends), Hashing: backup.Hashing{ETag: "e"}}
		}
		answer(a, nil)
		fails(nil)
	case "delete":
		answer(reply(nil), nil)
		fails(nil)
	case "return":
		m.checkReturn(h, c)
		n := w.clone()
		n.remove(h)
		if c.err == nil {
			n.acknowledge(h)
		} else {
			n.release(h, w.now+redelivery)
		}
		yield(n, true, say("i%d: %v", h.serial, c))
	}
}

// reply returns an answer as the world gives it; wrong returns one that the model spoils.
func reply(err error) answer { return answer{err: err} }
func wrong(err error) answer { return answer{err: err, fault: true} }

// begin is the request that starts the operation. It is only sent while its context lasts.
func (m *model) begin(w *world, h *handler, c *call, answer func(answer, func(*world)), fails func(func(*world))) {
	if w.now >= c.deadline {
		answer(reply(fmt.Errorf("not sent: %w", context.DeadlineExceeded)), nil)
		return
	}
	m.checkBegin(w, h, c)
	fails(nil)
	// Every request that reaches the service is remembered, a rejected one as an operation that failed at once.
	turnedAway := func(told bool) func(*world) {
		return func(n *world) {
			n.left.Busy = max(n.left.Busy-1, 0)
			n.ops = append(n.ops, azureOperation{
				run: c.attempt.Run, artifact: c.attempt.Artifact, began: w.now, ends: w.now, fails: true, told: told, sender: h.serial,
			})
		}
	}
	if w.busy() || w.left.Busy > 0 {
		answer(reply(&backup.Fault{Kind: backup.Retryable, Code: "ServiceBusy"}), turnedAway(true))
		fails(turnedAway(false))
		return
	}
	m.checkAccepted(w, h, c)
	outcomes := []bool{false}
	if m.mayFail {
		outcomes = []bool{false, true}
	}
	for _, failing := range outcomes {
		accepted := func(told bool) func(*world) {
			return func(n *world) {
				n.ops = append(n.ops, azureOperation{
					run: c.attempt.Run, artifact: c.attempt.Artifact, began: w.now, ends: w.now + m.takes, fails: failing, told: told,
					sender: h.serial,
				})
			}
		}
		a := reply(nil)
		a.operation = backup.Operation{Token: c.attempt.Artifact}
		answer(a, accepted(true))
		fails(accepted(false))
	}
}

func (m *model) publish(w *world, e backup.Event) {
	for i, id := range m.runs {
		if e.ID == id+"."+e.Type[len("lifeboat.run."):] {
			w.told[i] = e.Type
			return
		}
	}
	if g := m.missedRuns(w); g != nil && e.ID == "missed-nightly."+backup.TimeKey(g.First) && e.Type == "lifeboat.schedule.missed" {
		w.toldMissed = true
		return
	}
	m.fail("an event about no run: %s", e.ID)
}

// These things must hold in every world.

// steps says that the call is the first by which a step message is stepped: the run was read, and the engine took the step
// message for the one that it expects. Among the step messages with one sequence number that may happen to one alone.
func (m *model) steps(w *world, h *handler, c *call) bool {
	if h.timer || len(h.log) != 1 || h.log[0].row == nil {
		return false
	}
	read := h.log[0].row.run
	if read.State.Final() || c.op == "return" || c.op == "wake" && c.wake == h.wake {
		return false
	}
	if last := w.stepped[m.index(read.ID)]; last.Sequence == h.wake.Sequence && last.Nonce != h.wake.Nonce {
		m.fail("two chains: step messages %d %s and %d %s are both stepped", last.Sequence, last.Nonce, h.wake.Sequence, h.wake.Nonce)
	}
	return true
}

// checkApply compares the catalog before and after.
func (m *model) checkApply(before, after *world, h *handler, c *call) {
	holders := 0
	var holder string
	for _, id := range m.runs {
		was, is := before.run(id), after.run(id)
		if was != nil && was.State.Final() && (is == nil || is.State != was.State) {
			m.fail("run %s was %s, which is final, and becomes %s", id, was.State, is.State)
		}
		if is == nil {
			continue
		}
		if was != nil && is.Attempt < was.Attempt {
			m.fail("attempt %d after %d", is.Attempt, was.Attempt)
		}
		if is.State.HoldsLock() {
			holders++
			holder = id
		}
		if is.State == backup.Succeeded && after.blob(id) == "" && (was == nil || was.State != backup.Succeeded) && !after.busy() {
			m.fail("run %s succeeds, and there is nothing", id)
		}
		if is.State.Final() && !is.Unpublished && before.told[m.index(id)] == "" && !after.waits(id) {
			m.fail("run %s is %s, and nobody was told", id, is.State)
		}
		if was != nil && was.LeaseUntil.After(m.instant(before.now)) && was.Owner != owner(h.serial) && is.State != was.State {
			m.fail("i%d moves a run that is leased to %s", h.serial, was.Owner)
		}
	}
	l := after.row(backup.Key{Partition: backup.Partition(modelTarget), Row: "lock"})
	switch {
	case holders > 1:
		m.fail("%d runs hold the lock", holders)
	case (l != nil) != (holders == 1):
		m.fail("%d runs hold the lock, and its row is there: %v", holders, l != nil)
	case l != nil && l.lock.Run != holder:
		m.fail("the lock's row names %s, and %s holds it", l.lock.Run, holder)
	}
}

// waits says that an event about the run is in the outbox, in a place that a timer run reads.
func (w *world) waits(id string) bool {
	run := w.run(id)
	partition := run.Key().Partition
	prefix := backup.OutboxPrefix + backup.EventsQueue + "." + id
	return len(w.list(partition, prefix+".", prefix+"/")) > 0 &&
		(run.Unpublished || w.row(backup.Key{Partition: backup.SchedulePartition, Row: backup.UnpublishedPrefix + partition}) != nil)
}

func (m *model) checkPublish(w *world, c *call) {
	for i, id := range m.runs {
		run := w.run(id)
		if run == nil || !strings.HasPrefix(c.event.ID, id) {
			continue
		}
		if c.event.Type != "lifeboat.run."+string(run.State) {
			m.fail("%s is published, and the run is %s", c.event.Type, run.State)
		}
		if w.told[i] != "" && w.told[i] != c.event.Type {
			m.fail("%s is published after %s", c.event.Type, w.told[i])
		}
	}
}

// checkBegin: a request is sent by the owner of the lease while that lasts, and once per attempt.
func (m *model) checkBegin(w *world, h *handler, c *call) {
	run := w.run(c.attempt.Run)
	if w.operation(c.attempt.Artifact) != nil {
		m.fail("a second request for %s", c.attempt.Artifact)
	}
	if run.Owner != owner(h.serial) || run.State != backup.Starting {
		m.fail("i%d sends a request, and the run is %s and its owner %q", h.serial, run.State, run.Owner)
	}
	if since(run.LeaseUntil) <= w.now {
		m.fail("i%d sends a request at %d s, after its lease ended at %d s", h.serial, w.now, since(run.LeaseUntil))
	}
}

// checkAccepted: the service accepts a further attempt only if the answer to the one before was lost, after RetryWindow, and with
// nothing to be found when the invocation began.
func (m *model) checkAccepted(w *world, h *handler, c *call) {
	m.starts++
	for _, o := range w.ops {
		if o.run != c.attempt.Run || o.began == o.ends {
			continue
		}
		m.again++
		switch window := seconds(m.retryWindow / time.Second); {
		case w.now < o.began+window:
			m.fail("%s is started %d s after %s", c.attempt.Artifact, w.now-o.began, o.artifact)
		case !o.fails && o.ends <= h.begun:
			m.fail("%s is started although %s was there", c.attempt.Artifact, o.artifact)
		}
		if o.told && slices.ContainsFunc(w.handlers, func(x *handler) bool { return x.serial == o.sender }) {
			m.fail("%s is started while i%d knows that %s was", c.attempt.Artifact, o.sender, o.artifact)
		}
	}
}

// checkReturn: an invocation fails only if something outside went wrong.
func (m *model) checkReturn(h *handler, c *call) {
	if c.err == nil || slices.ContainsFunc(h.log, func(a answer) bool { return a.fault }) {
		return
	}
	m.fail("i%d fails although nothing went wrong: %v", h.serial, c.err)
}

// checkEnd checks a world in which nothing can happen any more.
func (m *model) checkEnd(w *world) {
	if len(w.handlers) > 0 || len(w.messages) > 0 {
		m.fail("at the end there are %d handlers and %d messages", len(w.handlers), len(w.messages))
	}
	for i, id := range m.runs {
		run := w.run(id)
		switch {
		case run == nil:
			m.fail("run %s was never made", id)
		case !run.State.Final():
			m.fail("run %s is stranded: %s", id, run.State)
		case m.rescuers == 0 && w.waits(id): // only a timer run sends the events that are left
		case run.Unpublished || w.told[i] != "lifeboat.run."+string(run.State):
			m.fail("run %s is %s; unpublished: %t, told: %q", id, run.State, run.Unpublished, w.told[i])
		case run.Reason.Code == "WaitedTooLong" || run.Reason.Code == "OperationTooLong":
			m.fail("the model ran for a day, which its reductions do not allow")
		}
		m.ends[run.State]++
	}
	if m.scheduled {
		m.checkMissed(w)
	}
	for _, r := range w.rows {
		if r.lock != nil || m.rescuers > 0 && (r.entry != nil || outbox.Has(r.key.Row) || strings.HasPrefix(r.key.Row, backup.UnpublishedPrefix)) {
			m.fail("at the end there is still the row %s", r.key.Row)
		}
	}
}

// missedRuns returns the only one that the catalog may hold, nil if it holds none.
func (m *model) missedRuns(w *world) (missedRuns *schedule.MissedRuns) {
	for _, r := range w.rows {
		if !strings.HasPrefix(r.key.Row, "schedule-missed-") {
			continue
		}
		if missedRuns != nil {
			m.fail("two missed periods, and one was wanted")
		}
		missedRuns = read[schedule.MissedRuns](r.body)
	}
	return missedRuns
}

// checkMissed: the checkpoint is at the last scheduled time; the scheduled times before it make one missed period, and that was
// published.
func (m *model) checkMissed(w *world) {
	progress := read[checkpoint.Checkpoint](w.row(backup.CheckpointKey("nightly")).body)
	missedRuns := m.missedRuns(w)
	switch {
	case !progress.At.Equal(epoch):
		m.fail("the checkpoint is %+v", progress)
	case m.missed == 0 && missedRuns != nil || m.missed > 0 && (missedRuns == nil || missedRuns.Count != m.missed):
		m.fail("%d scheduled times were missed, and the missed period is %+v", m.missed, missedRuns)
	case missedRuns != nil && !w.toldMissed:
		m.fail("nobody was told of the missed period")
	}
}
