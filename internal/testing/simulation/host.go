package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
)

const (
	executeQueue = "execute"
	// poison ends the names of the queues for the messages that the host gave up.
	poison     = "-poison"
	eventQueue = "lifeboat-events"

	// maxDequeueCount, afterFailure, lease and batchSize are the rules of host.json and the Functions host for queue
	// triggers: the number of deliveries of a message, the time until it comes back after a failure, the time for which
	// it is hidden while it is handled, and the number of messages taken at once.
	maxDequeueCount = 5
	afterFailure    = 30 * time.Second
	lease           = 10 * time.Minute
	batchSize       = 16
	// reclaims is the longest time between two timer runs while a run waits for a permit. In truth a timer run comes each minute.
	reclaims = 20 * time.Minute
	// timerPeriod and cleanupPeriod are the periods of the timers.
	timerPeriod   = time.Minute
	cleanupPeriod = 5 * time.Minute
)

// host is the Functions host: it invokes the handler, on one of its instances.
type host struct {
	w *World
	// down is the time at which the app comes back, zero if it is there.
	down time.Time
	// late is the time at which the host looks at the queues again, if that comes late.
	late time.Time
	// stopped is LIFEBOAT_STOPPED, and stoppedAt the time at which it was changed.
	stopped   string
	stoppedAt time.Time

	// lastRun and lastCleanup are the times at which the timers came last. clean says that the last timer run ended well and
	// alone. running counts the timer runs under way.
	lastRun, lastCleanup time.Time
	clean                bool
	running              int
	// scheduledTime is the first scheduled time after the last timer run, zero if it must be computed again.
	scheduledTime time.Time
	// ambush waits for the next timer run that finds a scheduled time.
	ambush *ambush
	// fatal is the call at which the next invocation dies, if it is not 0.
	fatal int
	// delayed is the time until which the next timer run is held back, and skipped says that this was decided.
	delayed time.Time
	skipped bool
}

// ambush is an accident at the worst moment: the timer run that finds a scheduled time dies after so many calls, and then
// something keeps the next timer run from going on there.
type ambush struct {
	calls int
	then  func()
}

// consider offers the host's next actions.
func (h *host) consider(offer func(time.Time, func())) {
	up := func(t time.Time) time.Time {
		if t.Before(h.down) {
			return h.down
		}
		return t
	}
	taken := up // the time at which an app takes messages
	if a := h.w.visitor(); a != nil {
		offer(a.next, a.timer)
		if h.w.serves() {
			taken = func(t time.Time) time.Time { return t }
		}
	}
	if at, ok := h.w.queue.Next(executeQueue); ok {
		if at.Before(h.late) {
			at = h.late
		}
		offer(taken(at), h.deliver)
	}
	if at, ok := h.w.queue.Next(restoreQueue); ok {
		offer(taken(at), h.deliverRequests)
	}
	for _, queue := range []string{executeQueue, restoreQueue} {
		if at, ok := h.w.queue.Next(queue + poison); ok {
			offer(taken(at), func() { h.deliverPoison(queue) })
		}
	}
	offer(up(h.nextTimer()), h.timer)
	if at := h.nextCleanup(); !at.IsZero() {
		offer(up(at), h.cleanup)
	}
}

// nextTimer returns the next minute at which a timer run finds something to do: a scheduled time, a run to be checked, or the
// rest of the last timer run's work. A timer run comes once a day in any case.
func (h *host) nextTimer() time.Time {
	first := h.lastRun.Add(timerPeriod)
	if h.lastRun.IsZero() {
		first = h.w.start
	}
	at := first
	if h.clean && !h.w.options.EveryMinute {
		at = first.Add(day)
		if h.scheduledTime.IsZero() {
			h.scheduledTime = h.w.file.nextScheduledTime(h.lastRun)
		}
		if h.scheduledTime.Before(at) {
			at = h.scheduledTime
		}
		if rows := h.w.rows("inflight", 1); len(rows) > 0 {
			if look := keyTime(rows[0].Row); look.Before(at) {
				at = look
			}
		}
		if again := h.w.ledger.nextEvaluation(h.lastRun); !again.IsZero() && again.Before(at) {
			at = again.Add(1) // the deadline itself is not past it
		}
		if left := h.w.ledger.nextDrain(h.w.silent); !left.IsZero() && left.Before(at) {
			at = left // a timer run sends the events that are left over
		}
		switch waiting := len(h.w.ledger.queue) > 0; {
		case waiting && h.w.ledger.room(h.w.concurrency): // the timer run dispatches the next
			at = first
		case h.w.ledger.owner.inherits, len(h.w.ledger.marks) > 0: // the timer run takes runs over, or looks at marked targets
			at = first
		case waiting && at.After(first.Add(reclaims)): // the timer run checks whether a permit was left behind
			at = first.Add(reclaims)
		}
	}
	if at.Before(first) {
		at = first
	}
	if at.Before(h.w.now) {
		at = h.w.now
	}
	if at.Before(h.delayed) {
		at = h.delayed
	}
	if at = ceil(at, timerPeriod); at.Before(h.delayed) || h.skipped {
		at = h.delayed // a late timer run is on no minute
	}
	return at
}

// nextCleanup returns the time at which the timer of cleanup finds something due; zero if nothing is due.
func (h *host) nextCleanup() time.Time {
	rows, pruning := h.w.rows("due", 1), h.nextPruning()
	if len(rows) > 0 && strings.HasPrefix(rows[0].Row, "rest-") {
		rows = nil
	}
	if len(rows) == 0 && pruning.IsZero() {
		return time.Time{}
	}
	at, first := pruning, h.lastCleanup.Add(cleanupPeriod)
	if len(rows) > 0 && (at.IsZero() || keyTime(rows[0].Row).Before(at)) {
		at = keyTime(rows[0].Row)
	}
	if at.Before(first) {
		at = first
	}
	if at.Before(h.w.now) {
		at = h.w.now
	}
	return ceil(at, cleanupPeriod)
}

// keyTime returns the time at the beginning of the key of an entry in an index.
func keyTime(row string) time.Time {
	t, err := time.Parse("20060102T150405Z", row[:16])
	if err != nil {
		panic(err)
	}
	return t
}

func ceil(t time.Time, d time.Duration) time.Time {
	if down := t.Truncate(d); down.Before(t) {
		return down.Add(d)
	}
	return t
}

// anyone picks one of the instances of the app that owns the catalog.
func (h *host) anyone() *instance { return h.w.works().anyone() }

// timer runs the timer of "schedule", perhaps late, perhaps not at all, perhaps on two instances at once.
func (h *host) timer() {
	w := h.w
	w.choices.track = ofTimers
	if !h.skipped {
		switch {
		case w.happens(w.faultProfile.timerMissing):
			h.delayed, h.skipped = w.now.Add(timerPeriod), false
			h.lastRun = w.now
			h.clean = false
			return
		case w.happens(w.faultProfile.timerLate):
			h.delayed, h.skipped = w.now.Add(oneOf(w.choices, 7*time.Second, 40*time.Second, 3*time.Minute, 20*time.Minute)), true
			return
		}
	}
	if h.skipped {
		w.disturb() // until now no timer run could look
	}
	h.delayed, h.skipped = time.Time{}, false
	h.clean = true
	found := w.file.nextScheduledTime(h.lastRun)
	h.lastRun, h.scheduledTime = w.now, time.Time{}
	if a := h.ambush; a != nil && !found.After(w.now) && w.weather > 0 {
		h.ambush, h.fatal = nil, a.calls
		h.invokeTimer()
		h.fatal = 0
		w.disturb()
		w.in(0, a.then)
		return
	}
	h.invokeTimer()
	if w.happens(w.faultProfile.timerTwice) {
		w.figures.Duplicates++
		h.invokeTimer()
	}
	if w.happens(w.faultProfile.timerExtra) {
		w.in(time.Duration(1+w.choices.pick(300))*time.Minute, h.invokeTimer)
	}
}

// invokeTimer does what the function "schedule" does.
func (h *host) invokeTimer() {
	w := h.w
	w.figures.TimerRuns++
	w.choices.track = ofTimers
	nth, began, stopped, stops, alone := w.figures.TimerRuns, w.now, h.makesNoRuns(), w.ledger.runStops, h.running == 0
	h.running++
	var active plans.Active
	var report engine.ScheduleReport
	w.invoke(h.anyone(), ofTimers, "schedule", func(ctx context.Context, v *invocation, e *engine.Engine) error {
		var unsettled error
		active, unsettled = v.on.book.Reconcile(ctx)
		var err error
		report, err = e.Schedule(ctx, w.atDusk(active.Plans))
		if err == nil {
			v.on.book.Observe(report.ActivePlan)
		}
		if err == nil {
			err = unsettled
		}
		return err
	}, func(v *invocation) {
		h.running--
		w.figures.Requeued += report.Requeued
		v.returned("%d runs made, %d missed periods, %d looked at, %d step messages sent again", len(report.Created), len(report.Missed),
			report.Scanned, report.Requeued)
		// A process that finds another plan active than its own makes its own active in the next timer run.
		if head, err := plans.ReadHead(report.ActivePlan); v.died || v.err != nil || err == nil && head.Hash != active.Hash {
			h.clean = false
		}
		alone = alone && w.figures.TimerRuns == nth && v.on.app == w.works() && v.id > w.ledger.owner.before // no other has begun meanwhile: the loser of a race leaves the rest to the winner
		stopped = stopped || h.makesNoRuns() || w.ledger.runStops > stops                                    // also if the switch was set for a moment of it
		w.check(timerRan{v: v, began: began, stopped: stopped, alone: alone, plans: active.Plans, report: report})
	})
}

// cleanup runs the timer of "cleanup".
func (h *host) cleanup() {
	w := h.w
	w.choices.track = ofCleanup
	h.lastCleanup = w.now
	w.figures.Cleanups++
	w.invoke(h.anyone(), ofCleanup, "cleanup", func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		report, err := e.Cleanup(ctx)
		return errors.Join(append(report.Failed, err)...)
	}, func(v *invocation) {
		w.check(cleaned{v})
		v.returned("")
	})
}

// deliver hands the visible messages to the handler: up to a batch, each to any instance, in any order.
func (h *host) deliver() {
	w := h.w
	if h.late.Before(w.now) && w.happens(w.faultProfile.deliverLate) {
		h.late = w.now.Add(oneOf(w.choices, 5*time.Second, time.Minute, 10*time.Minute, 2*time.Hour))
		w.at(h.late, w.disturb)
		w.note(nil, "the host looks at the queues again only at %s", clockTime(h.late))
		return
	}
	hidden := lease
	lost := w.copies(w.faultProfile.deliverTwice)
	if lost {
		// The host cannot renew its lease, or the message cannot be deleted: another invocation gets it too.
		hidden = oneOf(w.choices, 10*time.Minute, time.Second, time.Minute)
	}
	messages := w.queue.Receive(executeQueue, batchSize, hidden)
	for len(messages) > 0 && w.violation == nil {
		i := 0
		if len(messages) > 1 && w.weather > 0 {
			i = w.choices.pick(len(messages))
		}
		m := messages[i]
		messages = append(messages[:i:i], messages[i+1:]...)
		u := stepMessageIn(m.Body)
		h.deliverOne(delivery{
			queue: executeQueue, id: m.ID, receipt: m.Receipt, body: m.Body, count: m.DequeueCount, stepMessage: u, again: lost,
		})
	}
}

// stepMessageIn reads the step message in a message. The engine itself decides whether the message is one.
func stepMessageIn(body []byte) (u backup.StepMessage) {
	if err := json.Unmarshal(body, &u); err != nil {
		panic(err) // the world sends only JSON
	}
	return u
}

// delivery is the delivery of a message to the handler.
type delivery struct {
	queue, id, receipt string
	body               []byte
	count              int
	// stepMessage is the step message in the body.
	stepMessage backup.StepMessage
	// again says that the message comes again in any case.
	again bool
}

func (h *host) deliverOne(d delivery) {
	w := h.w
	w.figures.Deliveries++
	if d.count > 1 {
		w.figures.Redeliveries++
	}
	if w.happens(w.faultProfile.deliverNever) {
		w.figures.Dropped++
		w.note(nil, "SOMEBODY DELETES a message from the queue: %s", w.ledger.messageName(d.body))
		w.ledger.lose(d.stepMessage)
		_ = w.queue.Delete(d.queue, d.id, d.receipt)
		return
	}
	w.ledger.delivered(w, d.stepMessage)
	name := ""
	if w.trace.on {
		name = "execute " + w.ledger.messageName(d.body)
	}
	var out engine.Outcome
	w.invoke(h.taker(), w.ledger.track(w, d.stepMessage), name, func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		v.owner = "invocation-" + w.newID()
		v.stepMessage = d.stepMessage
		out, err = e.Execute(ctx, v.owner, d.body)
		return err
	}, func(v *invocation) {
		v.returned("%s", outcome(out))
		if v.on.app != w.works() {
			w.figures.PutBack++
		}
		w.ledger.delivered(w, d.stepMessage)
		h.settle(d, v)
		w.check(worked{v.stepMessage.Run})
	})
}

func outcome(o engine.Outcome) string {
	switch {
	case o.Note != "":
		return o.Note
	case o.Reason.Code != "":
		return string(o.From) + " -> " + string(o.To) + " (" + o.Reason.Code + ")"
	}
	return string(o.From) + " -> " + string(o.To)
}

// settle deletes a handled message, brings back a message whose handling failed, and poisons it after the fifth time.
func (h *host) settle(d delivery, v *invocation) {
	w := h.w
	switch {
	case d.again:
		if v.died || v.err != nil {
			w.disturb()
		}
	case v.died:
		// The handler's process ended: its message is released at once. If the host's process ended, the message waits
		// for its lease.
		if d.count >= maxDequeueCount {
			h.poison(d)
		} else if w.choices.pick(2) == 0 {
			_ = w.queue.Hide(d.queue, d.id, d.receipt, 0)
		}
	case v.err != nil && d.count >= maxDequeueCount:
		h.poison(d)
	case v.err != nil:
		w.disturb()
		_ = w.queue.Hide(d.queue, d.id, d.receipt, afterFailure)
	default:
		_ = w.queue.Delete(d.queue, d.id, d.receipt)
	}
}

// poison copies the message into the poison queue, and deletes it.
func (h *host) poison(d delivery) {
	w := h.w
	w.disturb()
	if strings.HasSuffix(d.queue, poison) {
		_ = w.queue.Hide(d.queue, d.id, d.receipt, afterFailure) // poison queues have none of their own
		return
	}
	w.figures.Poisoned++
	w.note(nil, "the host poisons %s", w.ledger.messageName(d.body))
	if err := w.queue.Send(context.Background(), d.queue+poison, d.body, 0); err != nil {
		panic(err) // it was in a queue before
	}
	w.ledger.lose(d.stepMessage)
	w.ledger.poisoned = append(w.ledger.poisoned, string(d.body))
	_ = w.queue.Delete(d.queue, d.id, d.receipt)
}

// deliverPoison does what the functions "deadletter-execute" and "deadletter-restore" do.
func (h *host) deliverPoison(queue string) {
	w := h.w
	const why = "given up after five deliveries"
	for _, m := range w.queue.Receive(queue+poison, batchSize, lease) {
		d := delivery{queue: queue + poison, id: m.ID, receipt: m.Receipt, body: m.Body, count: m.DequeueCount}
		var run backup.Run
		var later bool
		w.invoke(h.taker(), ofCleanup, "deadletter of "+queue, func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
			if done, err := v.leaves(ctx, e, queue, d); done {
				return err
			}
			if queue == executeQueue {
				return e.DeadLetter(ctx, d.queue, d.body, engine.GivenUp(why))
			}
			if active, err := v.on.book.Current(ctx); err == nil {
				v.plans = active.Plans
			}
			run, later, err = e.GiveUpRequest(ctx, d.body, w.now, v.plans, why)
			return err
		}, func(v *invocation) {
			v.returned("%s", run.Reason.Code)
			if later { // it is a message again
				w.ledger.forgive(d.body)
			}
			if queue == restoreQueue && !v.died && v.err == nil && !later && !v.putBack {
				w.answered(w.orderOf(d.body), run.ID)
			}
			h.settle(d, v)
		})
	}
}
