package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// An invocation uses storage through the methods below. The catalog and the queues in memory behave as Azure's do, and
// these methods add the accidents on the way.

var (
	_ backup.Catalog  = (*invocation)(nil)
	_ backup.Queue    = (*invocation)(nil)
	_ backup.Provider = (*invocation)(nil)

	errBroken = errors.New("503 ServerBusy: the simulation lets this request fail")
	errGone   = errors.New("404 QueueNotFound: the simulation has no queues of events at present")
	errLost   = errors.New("the connection broke before the answer came")
)

// Get implements [backup.Catalog].
func (v *invocation) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	what := ""
	if v.w.trace.on {
		what = "get " + v.w.ledger.keyName(key)
	}
	if err := v.read(what); err != nil {
		return backup.Row{}, time.Time{}, err
	}
	row, clock, err := v.w.catalog.Get(ctx, key)
	if key == backup.StopKey {
		v.looked, v.removes = v.w.now, ""
	}
	if v.loaded == nil && v.stepMessage.Run != "" && strings.HasPrefix(key.Row, "run-") {
		if f := v.w.ledger.runs[v.stepMessage.Run]; f != nil {
			v.loaded, v.unclaimed = f.run, v.w.ledger.owner.inherits
		}
	}
	v.answer(what, err)
	return row, clock, err
}

// List implements [backup.Catalog].
func (v *invocation) List(
	ctx context.Context, partition, from, to string, limit int,
) ([]backup.Row, time.Time, error) {
	what := "list " + partition
	if err := v.read(what); err != nil {
		return nil, time.Time{}, err
	}
	rows, clock, err := v.w.catalog.List(ctx, partition, from, to, limit)
	v.answer(what, err)
	return rows, clock, err
}

// Count implements [backup.Catalog]. No invocation of a world counts rows.
func (v *invocation) Count(ctx context.Context, partition, from, to string, limit int) (int, error) {
	rows, _, err := v.List(ctx, partition, from, to, limit)
	return len(rows), err
}

// read draws the accidents of a request that changes nothing.
func (v *invocation) read(what string) error {
	if err := v.before(what); err != nil {
		return err
	}
	if v.w.happens(v.w.faultProfile.readFails) {
		v.w.figures.Faults++
		v.say("%s: FAILS", what)
		v.after(what)
		return errBroken
	}
	return nil
}

func (v *invocation) answer(what string, err error) {
	if v.w.trace.on {
		if err != nil {
			what += ": " + err.Error()
		}
		v.hum("%s", what)
	}
	v.after(what)
}

// Apply implements [backup.Catalog].
func (v *invocation) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	what := v.describe(writes)
	if err := v.before(what); err != nil {
		return nil, err
	}
	v.writes++
	c := &v.w.faultProfile
	switch {
	case v.w.happens(c.writeFails):
		v.w.figures.Faults++
		v.say("%s: FAILS, not made", what)
		v.after(what)
		return nil, errBroken
	case v.w.happens(c.writeLost):
		v.w.figures.Faults++
		_, err := v.apply(writes)
		v.say("%s: %s, and the ANSWER IS LOST", what, made(err))
		v.after(what)
		return nil, errLost
	case v.w.happens(c.writeLate):
		v.w.figures.Faults++
		late := oneOf(v.w.choices, time.Second, 10*time.Second, 45*time.Second, 2*time.Minute)
		v.say("%s: FAILS for the caller, and is made %s LATER", what, late)
		v.w.in(late, func() {
			_, err := v.apply(writes)
			v.w.note(nil, "the late write of #%d: %s: %s", v.id, what, made(err))
		})
		v.after(what)
		return nil, errLost
	case v.w.happens(c.writeAgain):
		v.w.figures.Faults++
		return v.applyAgain(what, writes)
	}
	etags, err := v.apply(writes)
	v.answer(what, err)
	return etags, err
}

// applyAgain makes writes whose answer is lost, so that the SDK sends them again. It believes a refusal of the second
// request only after it has read the rows back, as storage/table does; anything may happen in between.
func (v *invocation) applyAgain(what string, writes []backup.Write) ([]string, error) {
	first, err := v.apply(writes)
	v.say("%s: %s, the answer is lost, and it is SENT AGAIN", what, made(err))
	v.wait(v.delay())
	again, err := v.apply(writes)
	v.say("%s, the second time: %s", what, made(err))
	if err == nil || first == nil {
		v.after(what)
		return again, err
	}
	mine := false
	for i, w := range writes {
		if w.Op == backup.Delete {
			continue
		}
		row, _, missing := v.w.catalog.Get(context.Background(), w.Key)
		if missing == nil && row.ETag == first[i] {
			mine = true
			continue
		}
		v.after(what)
		if mine {
			return nil, fmt.Errorf("the writes were made, but row %s was written again since", w.Row)
		}
		return nil, err
	}
	v.after(what)
	if !mine { // deletes alone leave nothing to read back
		return nil, err
	}
	return first, nil
}

// apply makes the writes, and shows them to the ledger.
func (v *invocation) apply(writes []backup.Write) ([]string, error) {
	etags, err := v.w.catalog.Apply(context.Background(), writes...)
	if err != nil {
		if _, ok := errors.AsType[*backup.WriteError](err); !ok {
			v.w.violate("storage accepts what is written", "%s: %v", v.describe(writes), err)
		}
		return nil, err
	}
	v.w.figures.Writes++
	for i, w := range writes {
		if w.Op != backup.Delete && (isNote(w.Row) || isCount(w.Row) || isFacts(w.Row) || notesFacts(w)) {
			v.w.aside = append(v.w.aside, written(etags[i]))
		}
	}
	v.w.ledger.wrote(v.w, v, writes)
	return etags, nil
}

func made(err error) string {
	if err == nil {
		return "made"
	}
	return err.Error()
}

// describe names the written rows.
func (v *invocation) describe(writes []backup.Write) string {
	if !v.w.trace.on {
		return ""
	}
	names := make([]string, len(writes))
	for i, w := range writes {
		names[i] = [...]string{"insert", "replace", "put", "delete"}[w.Op] + " " + v.w.ledger.rowName(w)
	}
	return strings.Join(names, ", ")
}

// SendStep implements [backup.Queue].
func (v *invocation) SendStep(_ context.Context, u backup.StepMessage, delay time.Duration) error {
	what := ""
	if v.w.trace.on {
		what = fmt.Sprintf("wake %s, number %d, in %s", v.w.ledger.runName(u.Run), u.Sequence, delay)
	}
	return v.send(what, func() error {
		v.w.figures.StepMessages++
		return v.w.queue.SendStep(context.Background(), u, delay)
	})
}

// Requeue implements [backup.Queue].
func (v *invocation) Requeue(_ context.Context, queue string, message []byte, delay time.Duration) error {
	return v.send("requeue a message of "+queue, func() error { return v.w.queue.Send(context.Background(), queue, message, delay) })
}

// Publish implements [backup.Queue].
func (v *invocation) Publish(_ context.Context, e backup.Event) error {
	what := ""
	if v.w.trace.on {
		what = "publish " + e.Type
	}
	if v.w.silent.After(v.w.now) {
		if err := v.before(what); err != nil {
			return err
		}
		v.hum("%s: the queue is GONE", what)
		v.after(what)
		return errGone
	}
	return v.send(what, func() error {
		if err := v.w.queue.Publish(context.Background(), e); err != nil {
			return err
		}
		v.w.figures.Events++
		v.w.hear()
		v.w.check(told{e})
		return nil
	})
}

// send draws the accidents of a message on its way into a queue.
func (v *invocation) send(what string, effect func() error) error {
	if err := v.before(what); err != nil {
		return err
	}
	v.writes++
	c := &v.w.faultProfile
	var err error
	switch {
	case v.w.happens(c.sendFails):
		v.w.figures.Faults++
		v.say("%s: FAILS, not sent", what)
		err = errBroken
	case v.w.happens(c.sendLost):
		v.w.figures.Faults++
		v.say("%s: sent, and the ANSWER IS LOST", what)
		v.must(effect())
		err = errLost
	case v.w.copies(c.sendTwice):
		v.w.figures.Faults++
		v.say("%s: sent TWICE", what)
		v.must(effect())
		v.must(effect())
	case v.w.happens(c.sendLate):
		v.w.figures.Faults++
		late := oneOf(v.w.choices, time.Second, 30*time.Second, 5*time.Minute)
		v.say("%s: FAILS for the caller, and is sent %s LATER", what, late)
		v.w.in(late, func() { v.must(effect()) })
		err = errLost
	default:
		v.must(effect())
		v.hum("%s", what)
	}
	v.after(what)
	return err
}

// must requires that storage takes every message that the engine sends.
func (v *invocation) must(err error) {
	if err != nil {
		v.w.violate("storage accepts what is sent", "%v", err)
	}
}

// hear takes the events out of their queue, as other systems do.
func (w *World) hear() {
	for _, m := range w.queue.Receive(eventQueue, 32, time.Minute) {
		if err := w.queue.Delete(eventQueue, m.ID, m.Receipt); err != nil {
			panic(err) // nothing else takes them
		}
	}
}
