package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/outbox"
)

// key makes one key of all the worlds that behave alike. It leaves the following out, and these are the reasons why that is
// sound:
//   - Times count from now. A time that only has to have passed is cut off if it has. Created, Accepted, Finished and
//     Ended matter only against Timings.Operation: no run of the model reaches that (checkEnd sees to it). They matter to no
//     delay either, because the model's waits are flat (Poll = PollMax and so on). The model's service ignores NotBefore.
//   - Step message numbers count from the row's own. A nonce is the row's, or one that a handler in mid-step made and may yet
//     save, or none of these: then no row will ever hold it, and all such nonces are equal.
//   - An ETag is the present one of the row, or not: a stale one stays stale.
//   - Handlers are sorted; counts of polls and the texts of reasons do not matter to the engine's decisions.
//   - Dequeue counts: the budget of crashes and faults is less than five, and a lost message stands for a poisoned one.
func (m *model) key(w *world) [16]byte {
	b := m.buffer[:0]
	b = append(b, byte(w.left.Crashes), byte(w.left.Faults), byte(w.left.Copies), byte(w.left.Drops), byte(w.left.Delays),
		byte(w.left.Busy))
	b = number(b, max(w.timerAt-w.now, 0))
	order := m.order(w)
	place := func(nonce string) int64 { return maker(order, nonce) }
	for i, id := range m.runs {
		run := w.run(id)
		if run == nil {
			b = append(b, 'x')
			continue
		}
		b = appendRun(b, run, w.now)
		if w.told[i] != "" {
			b = append(b, '*')
		}
		last := w.stepped[i]
		b = number(b, max(seconds(last.Sequence-run.Sequence), -2))
		b = appendNonce(b, last.Nonce, run, place)
	}
	if w.toldMissed {
		b = append(b, '?')
	}
	for _, r := range w.rows {
		switch {
		case r.lock != nil:
			b = append(b, 'l', byte(m.index(r.lock.Run)))
		case r.entry != nil:
			b = append(b, 'e', byte(m.index(r.entry.Run)))
			b = number(b, max(r.at-w.now, 0))
			if w.run(r.entry.Run) == nil {
				b = number(b, max(since(r.entry.Created)-w.now, -seconds(orphanAge/time.Second)))
			}
		case r.key.Partition == backup.SchedulePartition:
			b = append(b, r.body...)
		case outbox.Has(r.key.Row): // the event about a run's end, or the manifest of its recovery point
			to, id, _ := strings.Cut(strings.TrimPrefix(r.key.Row, backup.OutboxPrefix), ".")
			b = append(b, 'v', to[len(to)-1], byte(m.index(id[:len(m.runs[0])])))
		}
	}
	b = m.appendOperations(b, w)
	b = m.appendMessages(b, w, order, place)
	for _, h := range order {
		b = m.appendHandler(b, w, h, place)
	}
	m.buffer = b
	hash := sha256.Sum256(b)
	return [16]byte(hash[:16])
}

// prune takes step messages away that every handler would drop after its read, because the sequence number is lower than the
// run's, or the run has ended and has no unpublished events: taking one changes nothing but the handler's time.
func (w *world) prune() {
	w.messages = slices.DeleteFunc(w.messages, func(m message) bool {
		run := w.run(m.wake.Run)
		switch {
		case m.holder != 0 || run == nil:
			return false
		case run.State.Final():
			return !run.Unpublished
		default:
			return m.wake.Sequence < run.Sequence
		}
	})
}

func number(b []byte, n seconds) []byte { return binary.AppendVarint(b, int64(n)) }

// appendTime appends a time as seen from now, cut off if it is further in the past than matters; zero times are all alike.
func appendTime(b []byte, t time.Time, now, past seconds) []byte {
	if t.IsZero() {
		return append(b, 'z')
	}
	return number(b, max(since(t)-now, -past))
}

// longest is more than any wait of the model.
const longest seconds = 300

func appendRun(b []byte, r *backup.Run, now seconds) []byte {
	b = append(b, r.State[:3]...)
	b = append(b, byte(r.Attempt), byte(r.Lost), byte(r.LostAttempt))
	b = append(b, ending(r.Artifact)...)
	b = append(b, ending(r.Token)...)
	if r.Unpublished {
		b = append(b, '!')
	}
	if r.Owner != "" {
		b = append(b, 'o')
	}
	if r.State.Final() {
		return b
	}
	b = appendTime(b, r.LostSince, now, longest)
	b = appendTime(b, r.NotFoundSince, now, longest)
	b = appendTime(b, r.UnobservableSince, now, longest)
	b = appendTime(b, r.Due, now, longest)
	b = appendTime(b, r.LeaseUntil, now, longest)
	if !r.Until.IsZero() {
		b = number(append(b, 'u'), max(min(since(r.Until)-now, 600), 0))
	}
	if !r.NextScheduledTime.IsZero() {
		b = number(b, max(min(since(r.NextScheduledTime)-now, 600), 0))
	}
	return b
}

// ending returns the end of an artifact's name: its attempt; the rest is its run's ID.
func ending(artifact string) string { return artifact[max(len(artifact)-2, 0):] }

// appendNonce tells the row's nonce from one that a handler may yet save, and from all others.
func appendNonce(b []byte, nonce string, run *backup.Run, place func(string) int64) []byte {
	if run != nil && run.Nonce == nonce {
		return append(b, 'r')
	}
	return binary.AppendVarint(append(b, 'm'), place(nonce))
}

// maker returns the place of the handler that made the nonce, with the nonce's number among those it made; 0 if it is gone.
func maker(order []*handler, nonce string) int64 {
	serial, n, ok := strings.Cut(strings.TrimPrefix(nonce, "m"), "-")
	if !ok {
		return 0
	}
	for i, h := range order {
		if strconv.Itoa(h.serial) == serial {
			k, err := strconv.Atoi(n)
			if err != nil {
				panic(err)
			}
			return int64(i+1)*100 + int64(k)
		}
	}
	return 0
}

// order sorts the handlers by the answers that they have seen.
func (m *model) order(w *world) []*handler {
	if len(w.handlers) < 2 {
		return w.handlers
	}
	type keyed struct {
		h *handler
		k string
	}
	all := make([]keyed, len(w.handlers))
	for i, h := range w.handlers {
		all[i] = keyed{h, string(m.appendHandler(nil, w, h, func(string) int64 { return 0 }))}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return cmp.Compare(a.k, b.k) })
	order := make([]*handler, len(all))
	for i, k := range all {
		order[i] = k.h
	}
	return order
}

func (m *model) appendOperations(b []byte, w *world) []byte {
	for i := range w.ops {
		o := &w.ops[i]
		b = append(b, 'p')
		b = append(b, byte(m.index(o.run)))
		b = append(b, ending(o.artifact)...)
		b = number(b, max(o.ends-w.now, -longest))
		b = number(b, max(o.began-w.now, -longest))
		flags := byte(0)
		if o.fails {
			flags |= 1
		}
		if o.told && slices.ContainsFunc(w.handlers, func(h *handler) bool { return h.serial == o.sender }) {
			flags |= 2
		}
		b = append(b, flags)
	}
	return b
}

func (m *model) appendMessages(b []byte, w *world, order []*handler, place func(string) int64) []byte {
	all := make([]string, 0, 8)
	for i := range w.messages {
		msg := &w.messages[i]
		run := w.run(msg.wake.Run)
		k := []byte{'w', byte(m.index(msg.wake.Run))}
		if run != nil {
			k = number(k, seconds(msg.wake.Sequence-run.Sequence))
		}
		k = appendNonce(k, msg.wake.Nonce, run, place)
		if msg.holder == 0 {
			k = number(k, max(msg.visible-w.now, 0))
		} else {
			k = append(k, 'h', byte(slices.IndexFunc(order, func(h *handler) bool { return h.serial == msg.holder })))
		}
		all = append(all, string(k))
	}
	slices.Sort(all)
	for _, k := range all {
		b = append(b, k...)
	}
	return b
}

func (m *model) appendHandler(b []byte, w *world, h *handler, place func(string) int64) []byte {
	b = append(b, 'H')
	var run *backup.Run
	if !h.timer {
		run = w.run(h.wake.Run)
		b = append(b, byte(m.index(h.wake.Run)))
		if run != nil {
			b = number(b, seconds(h.wake.Sequence-run.Sequence))
		}
		b = appendNonce(b, h.wake.Nonce, run, place)
	} else {
		b = append(b, 't')
	}
	b = number(b, h.begun-w.now)
	for i := range h.log {
		a := &h.log[i]
		b = append(b, a.op[:2]...)
		b = number(b, a.at-w.now)
		if a.err != nil {
			b = append(b, a.err.Error()...)
		}
		if a.fault {
			b = append(b, '!')
		}
		switch a.op {
		case "get":
			b = number(b, a.clock-w.now)
			switch {
			case a.row == nil:
			case a.row.run != nil:
				b = m.appendRead(b, w, h, a.row, a.clock, place)
			case a.row.lock != nil:
				b = current(append(b, byte(m.index(a.row.lock.Run))), w, a.row.key, a.row.etag)
			}
		case "list":
			for _, r := range a.rows {
				b = current(b, w, r.key, r.etag)
				if r.entry != nil {
					b = append(b, byte(m.index(r.entry.Run)))
					b = number(b, r.at-w.now)
				} else {
					b = append(b, r.body...)
				}
			}
		case "apply":
			if len(a.etags) > 0 {
				b = current(b, w, a.key, a.etags[0])
			}
		default:
			b = append(b, ending(a.operation.Token)...)
			b = append(b, ending(a.found)...)
			if a.operation.Done || a.verify.Done {
				b = append(b, 'd')
			}
		}
	}
	return b
}

// appendRead appends the run as a handler read it.
func (m *model) appendRead(b []byte, w *world, h *handler, r *row, clock seconds, place func(string) int64) []byte {
	b = appendRun(b, r.run, clock)
	b = current(b, w, r.key, r.etag)
	b = append(b, byte(m.index(r.run.ID)))
	b = number(b, seconds(r.run.Sequence-w.run(r.run.ID).Sequence))
	b = appendNonce(b, r.run.Nonce, w.run(r.run.ID), place)
	if r.run.Nonce == h.wake.Nonce {
		b = append(b, '=')
	}
	return b
}

func current(b []byte, w *world, key backup.Key, etag string) []byte {
	if r := w.row(key); r != nil && r.etag == etag {
		return append(b, 'c')
	}
	return append(b, 's')
}
