package engine

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/outbox"
)

// A handler of the model is one invocation of the real engine, stopped in front of its next outside call. The engine is
// deterministic once the answers of those calls are given, so the invocation is nothing but the log of its answers. To find its
// next call, the model runs the engine's own method with the answers from the log, and stops it at the first call that the log
// does not answer. The first successor of a handler goes on from there; for any other the engine runs from the start again.
type handler struct {
	// serial tells handlers, and the IDs that they make, apart.
	serial int
	timer  bool
	// wake and message are the step message and the message that it was invoked with, if it is no timer run.
	wake    backup.StepMessage
	message int
	begun   seconds
	log     []answer
	// asks is the next outside call; nil until it is needed.
	asks *call
	// before is the handler that had one answer less, nil without an answer; running is the engine, stopped in front of asks, until
	// a successor goes on with it.
	before  *handler
	running *replay
	// next are the handlers that it became, each by another answer.
	next []*handler
}

// after returns the handler with one more answer. All worlds that give it the same answer share the handler, so that the engine
// runs once to find the call that follows.
func (h *handler) after(a answer) *handler {
	for _, next := range h.next {
		if a.same(&next.log[len(h.log)]) {
			return next
		}
	}
	next := *h
	next.log, next.asks, next.next = append(h.log[:len(h.log):len(h.log)], a), nil, nil
	next.before, next.running = h, nil
	h.next = append(h.next, &next)
	return &next
}

// call is one outside call, or the end of the invocation.
type call struct {
	op        string // get, list, apply, wake, publish, begin, poll, find, verify, delete or return
	key       backup.Key
	partition string
	from, to  string
	writes    []backup.Write
	wake      backup.StepMessage
	delay     seconds
	event     backup.Event
	attempt   backup.Attempt
	token     string
	// deadline is the end of the context of a begin.
	deadline seconds
	err      error
}

// answer is the result of an outside call, with the time at which the handler saw it.
type answer struct {
	op string
	at seconds
	// clock is the catalog's; it differs from at if the answer was slow.
	clock     seconds
	row       *row
	rows      []*row
	etags     []string
	key       backup.Key
	operation backup.Operation
	found     string
	verify    backup.Verification
	err       error
	// fault tells that the model made this answer go wrong.
	fault bool
}

// same says whether two answers tell a handler the same.
func (a *answer) same(b *answer) bool {
	return a.at == b.at && a.row == b.row && a.op == b.op && a.clock == b.clock && a.fault == b.fault && a.key == b.key && a.found == b.found &&
		a.operation == b.operation && slices.Equal(a.etags, b.etags) && slices.Equal(a.rows, b.rows) &&
		(a.err == nil && b.err == nil || reflect.DeepEqual(a.err, b.err)) && (a.op != "verify" || reflect.DeepEqual(a.verify, b.verify))
}

// stopped is thrown through an engine that nothing goes on with.
type stopped struct{}

// replay is the outside world of one invocation: the answers so far, and then the answers of the handler that goes on with it.
type replay struct {
	m   *model
	h   *handler
	at  int
	own seconds
	ids int
	// next runs the engine up to its next call; stop ends it in front of that.
	next  func() (*call, bool)
	stop  func()
	yield func(*call) bool
	// held is a step message that a mutant keeps back until after the save.
	held *backup.StepMessage
	wait time.Duration
}

// ask answers from the log. If that has no answer, the engine stops until it has.
func (r *replay) ask(c call) answer {
	if r.at == len(r.h.log) && !r.yield(&c) {
		panic(stopped{})
	}
	a := r.h.log[r.at]
	if a.op != c.op {
		panic(fmt.Sprintf("the engine is not deterministic: it asked for %s where it had asked for %s", c.op, a.op))
	}
	r.at++
	r.own = a.at
	return a
}

// mostRunning is the most engines that are stopped at a time: each keeps its stack.
const mostRunning = 1024

// nextCall runs the engine up to its next outside call.
func (m *model) nextCall(h *handler) *call {
	if h.asks != nil {
		return h.asks
	}
	var r *replay
	if h.before != nil && h.before.running != nil {
		r, h.before.running = h.before.running, nil
		r.h = h
	} else {
		r = m.invoke(h)
	}
	h.before = nil
	var more bool
	if h.asks, more = r.next(); !more {
		panic("the engine asked for nothing, and did not return")
	}
	h.running = r
	if h.asks.op == "return" {
		r.stop()
		h.running = nil
	}
	return h.asks
}

// invoke starts the engine for the handler.
func (m *model) invoke(h *handler) *replay {
	if len(m.running) == mostRunning {
		m.stop()
	}
	r := &replay{m: m, h: h, own: h.begun}
	m.running = append(m.running, r)
	r.next, r.stop = iter.Pull(func(yield func(*call) bool) {
		r.yield = yield
		defer func() {
			if p := recover(); p != nil && p != any(stopped{}) {
				panic(p)
			}
		}()
		yield(&call{op: "return", err: r.run()})
	})
	return r
}

// stop ends all engines that are stopped in front of a call.
func (m *model) stop() {
	for _, r := range m.running {
		r.stop()
		r.h.running = nil
	}
	m.running = m.running[:0]
}

// run is the invocation.
func (r *replay) run() error {
	m, h := r.m, r.h
	e := &Engine{
		Catalog: r, Queue: r, Manifests: unmodeled{}, Providers: map[string]backup.Provider{"microsoft.apimanagement/service": r}, Timings: m.waits,
		Now: func() time.Time { return m.instant(r.own).Add(skew) },
		NewID: func() string {
			r.ids++
			return nonce(h.serial, r.ids)
		},
	}
	if h.timer {
		_, err := e.Schedule(context.Background(), m.plans)
		return err
	}
	message := fmt.Sprintf(`{"run":%q,"sequence":%d,"nonce":%q}`, h.wake.Run, h.wake.Sequence, h.wake.Nonce)
	_, err := e.Execute(context.Background(), owner(h.serial), []byte(message))
	return err
}

// nonce and owner make IDs that name the handler that made them.
func nonce(serial, n int) string { return fmt.Sprintf("m%d-%d", serial, n) }
func owner(serial int) string    { return fmt.Sprintf("i%d", serial) }

func (r *replay) Get(_ context.Context, key backup.Key) (backup.Row, time.Time, error) {
	a := r.ask(call{op: "get", key: key})
	if a.err != nil {
		return backup.Row{}, r.m.instant(a.clock), a.err
	}
	body := a.row.body
	if run := a.row.run; run != nil && !r.h.timer {
		changed := *run
		switch r.m.mutant {
		case noncesIgnored:
			changed.Nonce = r.h.wake.Nonce
			body = backup.Encode(changed)
		case leaseIgnored:
			changed.LeaseUntil = time.Time{}
			body = backup.Encode(changed)
		}
	}
	return backup.Row{Key: key, ETag: a.row.etag, Body: body, Parsed: a.row.parsed}, r.m.instant(a.clock), nil
}

func (r *replay) List(_ context.Context, partition, from, to string, _ int) ([]backup.Row, time.Time, error) {
	a := r.ask(call{op: "list", partition: partition, from: from, to: to})
	rows := make([]backup.Row, 0, len(a.rows))
	for _, row := range a.rows {
		rows = append(rows, backup.Row{Key: row.key, ETag: row.etag, Body: row.body, Parsed: row.parsed})
	}
	return rows, r.m.instant(a.clock), a.err
}

func (r *replay) Count(context.Context, string, string, string, int) (int, error) {
	panic("no handler of the model counts rows")
}

func (r *replay) Apply(_ context.Context, writes ...backup.Write) ([]string, error) {
	if strings.HasPrefix(writes[0].Row, backup.TimerPrefix) || strings.HasPrefix(writes[0].Row, backup.MarkPrefix) {
		return []string{""}, nil // that a timer run came, or is to evaluate a target, is no call of the model: no step depends on it
	}
	if r.m.mutant == lockIgnored {
		for i := 1; i < len(writes); i++ {
			if writes[i].Op == backup.Insert && writes[i].Row == "lock" {
				writes = append(writes[:i:i], writes[i+1:]...)
			}
		}
	}
	writes = r.m.breakCheckpoint(writes)
	a := r.ask(call{op: "apply", writes: writes})
	if r.held != nil && a.err == nil {
		w := *r.held
		r.held = nil
		if late := r.ask(call{op: "wake", wake: w, delay: whole(r.wait)}); late.err != nil {
			return nil, late.err
		}
	}
	return a.etags, a.err
}

// breakCheckpoint does the harm of two mutants to a checkpoint that is written together with a missed period.
func (m *model) breakCheckpoint(writes []backup.Write) []backup.Write {
	if m.mutant != outboxForgotten && m.mutant != checkpointBeforeRuns || len(writes) != 4 || !outbox.Has(writes[0].Row) {
		return writes
	}
	if m.mutant == outboxForgotten {
		return writes[1:]
	}
	moved := read[checkpoint.Checkpoint](writes[3].Body)
	moved.At, moved.InProgress = epoch, time.Time{}
	broken := writes[3]
	broken.Body = backup.Encode(moved)
	return append(writes[:3:3], broken)
}

func (r *replay) SendStep(_ context.Context, w backup.StepMessage, delay time.Duration) error {
	switch {
	case r.m.mutant == savedBeforeSent && !r.h.timer && w.Sequence > r.h.wake.Sequence:
		r.held, r.wait = &w, delay
		return nil
	case r.m.mutant == rescueRaises && r.h.timer:
		w.Sequence++
	case r.m.mutant == loserAcknowledges && !r.h.timer && w == r.h.wake && delay == r.m.waits.PutBack:
		return nil
	}
	return r.ask(call{op: "wake", wake: w, delay: whole(delay)}).err
}

func (r *replay) Requeue(context.Context, string, []byte, time.Duration) error {
	panic("no request for a restore is in the model")
}

func (r *replay) Publish(_ context.Context, e backup.Event) error {
	if r.m.mutant == eventForgotten {
		return nil
	}
	return r.ask(call{op: "publish", event: e}).err
}

// unmodeled are manifests that are always written. That is no call of the model: to die before it or after it is the same as to die
// before the save that follows, since a manifest is never overwritten. Its row in the outbox stands for it.
type unmodeled struct{}

func (unmodeled) Write(context.Context, backup.Storage, string, []byte) error { return nil }

func (unmodeled) List(context.Context, backup.Storage, string) ([]string, error) { return nil, nil }

func (unmodeled) Delete(context.Context, backup.Storage, string) error { return nil }

// Preflight is no call of the model: it says yes. It leaves no trace, so to die before it or after it is the same as to die
// before the intent's save, and its no is like one of Begin's, without a lock to release.
func (r *replay) Preflight(context.Context, backup.Attempt) error { return nil }

// Prepare is none either, and a repeat of it changes nothing.
func (r *replay) Prepare(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *replay) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	end, ok := ctx.Deadline()
	if !ok {
		panic("Begin without a deadline")
	}
	// The bubble's clock stands still while the engine runs, so this is exactly the span that the engine allowed.
	deadline := r.own + seconds(time.Until(end)/time.Second)
	if r.m.mutant == deadlineIgnored {
		deadline = r.own + 1_000_000
	}
	if r.m.mutant == namesRepeated {
		a.Artifact = a.Run + ".1"
	}
	c := r.ask(call{op: "begin", attempt: a, deadline: deadline})
	if c.err != nil && r.m.mutant == lostTakenForDeferred {
		return backup.Operation{}, &backup.Fault{Kind: backup.Retryable}
	}
	return c.operation, c.err
}

func (r *replay) Poll(_ context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	c := r.ask(call{op: "poll", attempt: a, token: token})
	return c.operation, c.err
}

func (r *replay) Find(_ context.Context, a backup.Attempt) (string, error) {
	c := r.ask(call{op: "find", attempt: a})
	if r.m.mutant == neverFound {
		return "", c.err
	}
	return c.found, c.err
}

func (r *replay) Hash(_ context.Context, a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
	c := r.ask(call{op: "verify", attempt: a})
	return c.verify, c.err
}

func (r *replay) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *replay) Delete(_ context.Context, a backup.Attempt, _ string, _ bool) error {
	return r.ask(call{op: "delete", attempt: a}).err
}

// whole rounds a delay up to whole seconds, as the queue does.
func whole(d time.Duration) seconds { return seconds((d + time.Second - 1) / time.Second) }

// String returns the call as a trace shows it.
func (c *call) String() string {
	switch c.op {
	case "get":
		return "get " + c.key.Row
	case "list":
		return "list " + c.partition
	case "apply":
		var b strings.Builder
		for _, w := range c.writes {
			fmt.Fprintf(&b, " %s %s", []string{"insert", "replace", "put", "delete"}[w.Op], w.Row)
			if strings.HasPrefix(w.Row, "run-") {
				if run, err := backup.Decode[backup.Run](backup.Row{Body: w.Body}); err == nil {
					fmt.Fprintf(&b, " as %s (wake %d %s, attempt %d)", run.State, run.Sequence, run.Nonce, run.Attempt)
				}
			}
		}
		return "apply" + b.String()
	case "wake":
		return fmt.Sprintf("wake %d %s in %d s", c.wake.Sequence, c.wake.Nonce, c.delay)
	case "publish":
		return "publish " + c.event.Type
	case "return":
		return fmt.Sprintf("return %v", c.err)
	default:
		return c.op + " " + c.attempt.Artifact
	}
}
