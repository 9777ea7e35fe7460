package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// restoreQueue is the queue through which other systems ask for restores.
const restoreQueue = "restore-requests"

// order is a message that asks for a restore, as it stands in the queue.
type order struct {
	body []byte
	// id is the ID of the request. fake says that the request must be rejected: it cannot be read, or its ID is
	// another's.
	id   string
	fake bool
	// run is the run in its answer. heard says that its handling ended well.
	run   string
	heard bool
}

// order perhaps asks for a restore today, in one of the ways in which that can go wrong.
func (w *World) order() {
	c := w.choices
	c.track = ofRestores
	often := w.faultProfile.restores
	if w.options.Calm {
		often = 60
	}
	if !c.chance(often) {
		return
	}
	s := w.services[c.pick(len(w.services))]
	at := time.Duration(c.pick(24*60)) * time.Minute
	into, which, delay := c.pick(4), c.pick(8), oneOf(c, 0, time.Minute, 20*time.Minute)
	w.in(at, func() {
		if w.ending {
			return
		}
		c.track = ofRestores
		fields := map[string]any{
			"id": "restore-" + w.newID(), "target": s.target, "recoveryPoint": "latest", "requestedBy": "a person", "reason": "a test",
		}
		if into == 3 && !w.options.Calm {
			fields["into"] = w.services[c.pick(len(w.services))].target
		}
		points := w.ledger.byTarget[s.target]
		switch {
		case w.options.Calm && (s.behaviour.Remade || !w.canAsk(s.target)):
			return
		case w.options.Calm:
		case which == 4 && len(points) > 0: // any, whatever became of it
			fields["recoveryPoint"] = points[c.pick(len(points))]
		case which == 5:
			fields["recoveryPoint"] = "latest before " + w.now.Add(-time.Duration(c.pick(20*24))*time.Hour).UTC().Format(time.RFC3339)
		case which >= 6:
			// This takes the point that cleanup deletes next, at about that time.
			if p := w.nextToGo(s.target); p != nil {
				fields["recoveryPoint"] = p.ID
				w.at(p.Expires.Add(-5*time.Minute+delay/2), func() { w.prepare(s, fields) })
				return
			}
		}
		w.prepare(s, fields)
	})
}

// canAsk reports whether nothing speaks against restoring the newest recovery point of the target into itself.
func (w *World) canAsk(target string) bool {
	return slices.ContainsFunc(w.file.specs, func(p planSpec) bool { return slices.Contains(p.Targets, target) }) &&
		slices.ContainsFunc(w.ledger.byTarget[target], func(id string) bool {
			p := w.ledger.points[id]
			return lives(p) && w.now.Sub(p.Created) < 20*day
		})
}

// nextToGo returns the recovery point of the target that expires next.
func (w *World) nextToGo(target string) (next *backup.Point) {
	for _, id := range w.ledger.byTarget[target] {
		p := w.ledger.points[id]
		if canRestore(p) && p.Expires.After(w.now.Add(10*time.Minute)) && (next == nil || p.Expires.Before(next.Expires)) {
			next = p
		}
	}
	return next
}

// prepare sends the request, and draws the accidents around it.
func (w *World) prepare(s *service, fields map[string]any) {
	if w.ending {
		return
	}
	c := w.choices
	c.track = ofRestores
	w.figures.RestoreRequests++
	o := &order{id: fields["id"].(string)}
	if w.weather == 0 {
		o.body = encode(fields)
		w.remove(s)
		w.dispatch(o, 0)
		return
	}
	if c.pick(4) > 0 {
		w.remove(s)
	}
	if c.pick(6) == 5 {
		fields["expires"] = w.now.Add(oneOf(c, time.Hour, 20*time.Minute, -time.Minute)).UTC().Format(time.RFC3339)
	}
	if c.pick(4) == 3 {
		fields["preempt"] = true
	}
	if c.pick(6) == 5 {
		fields["noSafetyBackup"] = true
	}
	o.body = encode(fields)
	w.dispatch(o, oneOf(c, 0, 0, time.Minute, 3*time.Hour))
	switch c.pick(8) {
	case 4: // sent twice
		w.dispatch(o, oneOf(c, 0, time.Second, 10*time.Minute))
	case 5: // again when it must be over, or cannot even be
		w.dispatch(o, oneOf(c, 5*time.Hour, 3*day, 40*day))
	case 6: // the same ID for something else
		fields["reason"] = "another one"
		w.dispatch(&order{body: encode(fields), id: o.id, fake: true}, oneOf(c, 0, time.Minute, 5*time.Hour))
	case 7: // an unreadable request
		fields["target"] = "no resource"
		w.dispatch(&order{body: encode(fields), fake: true}, 0)
	}
	switch c.pick(6) {
	case 3:
		w.in(oneOf(c, time.Minute, 0, 10*time.Minute, 2*time.Hour), func() { w.cancel(o, 1) })
	case 4:
		w.in(oneOf(c, 10*time.Minute, 40*time.Minute, 3*time.Hour), func() {
			if o.run != "" && w.ledger.points[o.run] != nil { // a person takes its safety backup for one to be accepted
				w.accept(o.run, 1)
			}
		})
	case 5:
		w.in(oneOf(c, 2*time.Hour, 20*time.Minute, day, 8*day), func() { w.confirm(o, 1) })
	}
	if c.pick(10) == 9 {
		w.in(oneOf(c, 0, 20*time.Minute), func() { w.tamper(s) })
	}
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings
	}
	return text
}

// remove deletes a service that Azure restores only after its deletion: a restore makes no sense otherwise. A person
// makes the service again if no restore does.
func (w *World) remove(s *service) {
	if !s.behaviour.Remade || s.gone || s.restoring() != nil || w.restoresInto(s.target) {
		return
	}
	w.disturb()
	w.note(nil, "SOMEBODY DELETES %s", s.name)
	s.settle()
	s.gone, s.wreck = true, false
	for _, o := range s.ops {
		o.fails = o.fails || !o.settled
	}
	w.in(4*day, func() { w.makeAnew(s) })
}

func (w *World) makeAnew(s *service) {
	if s.settle(); s.restoring() != nil || w.restoresInto(s.target) {
		w.in(day, func() { w.makeAnew(s) })
		return
	}
	s.gone, s.wreck = false, false
}

// restoresInto reports whether a restore into the target is under way.
func (w *World) restoresInto(target string) bool {
	return slices.ContainsFunc(w.ledger.open, func(f *facts) bool { return f.run.Restore != nil && f.run.Target == target })
}

// tamper overwrites the newest artifact that has become a recovery point.
func (w *World) tamper(s *service) {
	for _, b := range slices.Backward(s.blobs) {
		if p := w.ledger.points[b.run]; p != nil && canRestore(p) && p.Artifact == b.name {
			w.note(nil, "SOMEBODY OVERWRITES %s", w.ledger.artifactName(b.name))
			b.etag, b.content, b.tampered = "tampered-"+b.etag, "tampered", w.now
			w.in(month, func() { w.clear(s, b) })
			return
		}
	}
}

// touch changes the metadata of one of the artifacts that have become recovery points.
func (w *World) touch(s *service) {
	if len(s.blobs) == 0 {
		return
	}
	b := s.blobs[w.choices.pick(len(s.blobs))]
	if p := w.ledger.points[b.run]; p != nil && p.Artifact == b.name {
		w.figures.Touched++
		w.note(nil, "SOMEBODY TOUCHES %s", w.ledger.artifactName(b.name))
		b.etag = "touched-" + b.etag
	}
}

// clear lets a person delete the overwritten artifact, once cleanup has told of it.
func (w *World) clear(s *service, b *blob) {
	switch p := w.ledger.points[b.run]; {
	case w.ending || !slices.Contains(s.blobs, b):
	case p.State == backup.Altered:
		w.note(nil, "SOMEBODY DELETES %s", w.ledger.artifactName(b.name))
		s.blobs = slices.DeleteFunc(s.blobs, func(o *blob) bool { return o == b })
	default:
		w.in(month, func() { w.clear(s, b) })
	}
}

// dispatch puts the message into the queue.
func (w *World) dispatch(o *order, after time.Duration) {
	w.in(after, func() {
		if w.ending {
			return
		}
		if err := w.queue.Send(context.Background(), restoreQueue, o.body, 0); err != nil {
			panic(err) // it is short
		}
		if !slices.Contains(w.orders, o) {
			w.orders = append(w.orders, o)
		}
	})
}

// deliverRequests does what the function "restore" does, with each message that is visible.
func (h *host) deliverRequests() {
	w := h.w
	again := w.copies(w.faultProfile.deliverTwice)
	hidden := lease
	if again {
		hidden = oneOf(w.choices, 10*time.Minute, time.Second)
	}
	for _, m := range w.queue.Receive(restoreQueue, batchSize, hidden) {
		d := delivery{queue: restoreQueue, id: m.ID, receipt: m.Receipt, body: m.Body, count: m.DequeueCount, again: again}
		o := w.orderOf(m.Body)
		w.figures.Deliveries++
		var run backup.Run
		w.invoke(h.taker(), ofRestores, "restore "+o.id, func(ctx context.Context, v *invocation, e *engine.Engine) error {
			if done, err := v.leaves(ctx, e, restoreQueue, d); done {
				return err
			}
			v.order = o
			first := request.Original(d.body, w.now)
			body, sent := first.Message, first.Sent
			q, err := restore.ParseRequest(body, "")
			if q.Sent = sent; err != nil {
				return e.RefuseRequest(ctx, body, q, nil, request.InvalidRequest, err)
			}
			active, err := v.on.book.Current(ctx)
			if err != nil {
				return err
			}
			v.plans = active.Plans
			run, err = e.Restore(ctx, q, active.Plans)
			if errors.Is(err, engine.ErrRequestReused) {
				return e.RefuseRequest(ctx, body, q, active.Plans, "RequestIdReused", err)
			}
			if errors.Is(err, engine.ErrCarriedOut) {
				w.figures.Repeated++
				return e.AnswerRepeat(ctx, body, q, active.Plans, err)
			}
			return err
		}, func(v *invocation) {
			v.returned("%s %s %s", w.ledger.runName(run.ID), run.State, run.Reason.Code)
			if !v.died && v.err == nil && !v.putBack {
				w.answered(o, run.ID)
			}
			h.settle(d, v)
		})
	}
}

// answered notes that the request's message was handled: it has a run, or was rejected.
func (w *World) answered(o *order, run string) {
	w.check(ordered{order: o, run: run})
	o.run, o.heard = run, true
}

func (w *World) orderOf(body []byte) *order {
	body = request.Original(body, w.now).Message
	i := slices.IndexFunc(w.orders, func(o *order) bool { return string(o.body) == string(body) })
	return w.orders[i]
}

// refusal returns the ID of the event that rejects the message.
func (o *order) refusal() string {
	sum := sha256.Sum256(o.body)
	return "restore-request-" + hex.EncodeToString(sum[:])[:32] + ".refused"
}

// cancel lets a person cancel the restore, again and again until there is an answer.
func (w *World) cancel(o *order, try int) {
	if o.run == "" && try < mostTries { // it was not answered yet
		w.in(time.Minute, func() { w.cancel(o, try+1) })
		return
	}
	if o.run == "" || w.now.Before(w.host.down) || w.ending {
		return
	}
	w.choices.track = ofRestores
	w.request(ofRestores, "cancel "+w.ledger.runName(o.run), func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		_, err := e.CancelRestore(ctx, o.run, "a person")
		return err
	}, func(v *invocation) {
		v.returned("")
		switch {
		case errors.Is(v.err, engine.ErrNotWaiting):
		case v.died || v.err != nil:
			if try < mostTries {
				w.in(time.Minute, func() { w.cancel(o, try+1) })
			}
		default:
			w.check(canceled{o.run})
		}
	})
}

// confirm lets a person say that the restored service is as it should be.
func (w *World) confirm(o *order, try int) {
	if o.run == "" || w.now.Before(w.host.down) || w.ending {
		return
	}
	w.choices.track = ofRestores
	w.request(ofRestores, "confirm "+w.ledger.runName(o.run), func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		_, err := e.ConfirmRestore(ctx, o.run)
		return err
	}, func(v *invocation) {
		v.returned("")
		if (v.died || v.err != nil) && !errors.Is(v.err, engine.ErrNotEnded) && try < mostTries {
			w.in(time.Minute, func() { w.confirm(o, try+1) })
		}
	})
}

// policy returns the plan's rules for restores.
func (p planSpec) policy() backup.RestorePolicy {
	r := backup.RestorePolicy{Approval: p.Approval, Safety: p.Safety}
	if p.Itself {
		r.Into = append(r.Into, backup.Itself)
	}
	r.Into = append(r.Into, p.Into...)
	return r
}

func (f *planFile) drawPolicy(p *planSpec) string {
	c := f.w.choices
	p.Itself, p.Approval = c.pick(6) < 5, c.pick(12) == 11
	p.Safety = oneOf(c, backup.SafetyNever, backup.SafetyByRequest, backup.SafetyRequired)
	if f.w.options.Calm {
		p.Itself, p.Approval = true, false
	}
	p.Into = nil
	for _, s := range f.w.services {
		if c.pick(2) == 1 {
			p.Into = append(p.Into, s.target)
		}
	}
	return fmt.Sprintf("into itself %t and %d, approval %t, safety %q", p.Itself, len(p.Into), p.Approval, p.Safety)
}
