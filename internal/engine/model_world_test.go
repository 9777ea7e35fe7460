package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

// seconds is an instant of the model, or a span: whole seconds since the model began.
type seconds int64

const (
	// skew is the difference between the process's own clock and the catalog's: only differences of it may matter.
	skew = 45 * time.Second
	// redelivery is the time after which a message comes back if its handler died or failed.
	redelivery seconds = 20
	// timerPeriod is the least time between two rescuers.
	timerPeriod seconds = 60
)

var epoch = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

func (m *model) instant(at seconds) time.Time { return epoch.Add(time.Duration(at) * time.Second) }

func since(t time.Time) seconds { return seconds(t.Sub(epoch) / time.Second) }

// row is one row of the catalog; it never changes, a write makes another.
type row struct {
	key  backup.Key
	etag string
	body json.RawMessage
	// parsed remembers the body for the engine.
	parsed *memory.Parsed
	// One of these is the body, taken apart.
	run   *backup.Run
	lock  *lock
	entry *inflight
	// at is the time at which an entry of the index is due.
	at seconds
}

// message is one copy of a step message in the queue.
type message struct {
	id   int
	wake backup.StepMessage
	// visible is the time from which it can be taken, unless a handler holds it.
	visible seconds
	holder  int
}

// azureOperation is a backup that Azure accepted, or a refusal that it gave.
type azureOperation struct {
	run, artifact string
	began, ends   seconds
	fails         bool
	// told tells that the handler that asked for it got the answer.
	told bool
	// sender is the serial of the handler that sent it.
	sender int
}

// budget says how much may still go wrong.
type budget struct {
	// Crashes of a handler; Faults: outside calls that fail, made or not; Copies: deliveries of a message that is being handled;
	// Drops: messages lost; Delays: time passes although a handler could have acted.
	Crashes, Faults, Copies, Drops, Delays int8
	// Busy is the number of starts that the service rejects.
	Busy int8
}

// world is one state of everything.
type world struct {
	now      seconds
	timerAt  seconds
	rows     []*row
	messages []message
	ops      []azureOperation
	handlers []*handler
	left     budget
	// told is the last event published about each run, by the run's place in model.runs.
	told [2]string
	// toldMissed: the event about the plan's missed period was published.
	toldMissed bool
	// stepped is the last step message that was stepped, by run.
	stepped [2]backup.StepMessage
	serial  int
}

func (w *world) clone() *world {
	c := *w
	c.rows = slices.Clone(w.rows)
	c.messages = slices.Clone(w.messages)
	c.ops = slices.Clone(w.ops)
	c.handlers = slices.Clone(w.handlers)
	return &c
}

func (w *world) nextSerial() int {
	w.serial++
	return w.serial
}

func (w *world) find(key backup.Key) (int, bool) {
	return slices.BinarySearchFunc(w.rows, key, func(r *row, k backup.Key) int {
		return cmp.Or(cmp.Compare(r.key.Partition, k.Partition), cmp.Compare(r.key.Row, k.Row))
	})
}

func (w *world) row(key backup.Key) *row {
	if i, ok := w.find(key); ok {
		return w.rows[i]
	}
	return nil
}

func (w *world) run(id string) *backup.Run {
	for _, r := range w.rows {
		if r.run != nil && r.run.ID == id {
			return r.run
		}
	}
	return nil
}

func (w *world) list(partition, from, to string) []*row {
	var rows []*row
	for _, r := range w.rows {
		if r.key.Partition == partition && from <= r.key.Row && r.key.Row < to {
			rows = append(rows, r)
		}
	}
	return rows
}

// apply makes all the writes or none.
func (m *model) apply(w *world, writes []backup.Write) ([]string, error) {
	for i, write := range writes {
		there := w.row(write.Key)
		var err error
		switch {
		case write.Op == backup.Insert && there != nil:
			err = backup.ErrExists
		case (write.Op == backup.Replace || write.Op == backup.Delete) && there == nil:
			err = backup.ErrNotFound
		case (write.Op == backup.Replace || write.Op == backup.Delete) && write.ETag != there.etag && write.ETag != "*" &&
			m.mutant != etagsIgnored:
			err = backup.ErrChanged
		}
		if err != nil {
			return nil, &backup.WriteError{Index: i, Err: err}
		}
	}
	etags := make([]string, len(writes))
	for i, write := range writes {
		at, there := w.find(write.Key)
		if there {
			w.rows = slices.Delete(w.rows, at, at+1)
		}
		if write.Op == backup.Delete {
			continue
		}
		etags[i] = strconv.Itoa(w.nextSerial())
		w.rows = slices.Insert(w.rows, at, m.newRow(write.Key, etags[i], write.Body))
	}
	return etags, nil
}

// newRow returns a row with its body taken apart. Most worlds write what others wrote, so each body is read once.
func (m *model) newRow(key backup.Key, etag string, body json.RawMessage) *row {
	content := rowContent{key, string(body)}
	if m.written[content] == nil {
		m.written[content] = readRow(key, body)
	}
	r := *m.written[content]
	r.etag = etag
	return &r
}

// rowContent is all of a row but its ETag.
type rowContent struct {
	key  backup.Key
	body string
}

func readRow(key backup.Key, body json.RawMessage) *row {
	r := &row{key: key, body: body, parsed: memory.NewParsed(body)}
	switch {
	case strings.HasPrefix(key.Row, "run-"):
		r.run = read[backup.Run](body)
	case key.Row == "lock":
		r.lock = read[lock](body)
	case key.Partition == backup.InflightPartition:
		r.entry = read[inflight](body)
		at, err := time.Parse("20060102T150405Z", key.Row[:16])
		if err != nil {
			panic(err)
		}
		r.at = since(at)
	}
	return r
}

func read[T any](body json.RawMessage) *T {
	v, err := backup.Decode[T](backup.Row{Body: body})
	if err != nil {
		panic(err)
	}
	return &v
}

// send puts a step message into the queue.
func (w *world) send(wake backup.StepMessage, delay seconds) {
	w.messages = append(w.messages, message{id: w.nextSerial(), wake: wake, visible: w.now + max(delay, 0)})
}

// release gives a message back to the queue, if the handler still holds it.
func (w *world) release(h *handler, visible seconds) {
	for i := range w.messages {
		if w.messages[i].id == h.message && w.messages[i].holder == h.serial {
			w.messages[i].holder, w.messages[i].visible = 0, visible
		}
	}
}

// acknowledge deletes the handler's message, if it still holds it.
func (w *world) acknowledge(h *handler) {
	w.messages = slices.DeleteFunc(w.messages, func(m message) bool { return m.id == h.message && m.holder == h.serial })
}

func (w *world) remove(h *handler) {
	w.handlers = slices.DeleteFunc(w.handlers, func(o *handler) bool { return o.serial == h.serial })
}

// answered gives the handler the answer to its call.
func (w *world) answered(h *handler, a answer) {
	next := h.after(a)
	for i, o := range w.handlers {
		if o.serial == h.serial {
			w.handlers[i] = next
		}
	}
}

// busy says that the service is at work.
func (w *world) busy() bool {
	return slices.ContainsFunc(w.ops, func(o azureOperation) bool { return o.ends > w.now })
}

// blob returns the newest artifact of the run that the service wrote, once it has settled.
func (w *world) blob(run string) string {
	if w.busy() {
		return ""
	}
	for _, o := range slices.Backward(w.ops) {
		if o.run == run && !o.fails {
			return o.artifact
		}
	}
	return ""
}

// operation returns the operation by the name of its artifact.
func (w *world) operation(artifact string) *azureOperation {
	for i := range w.ops {
		if w.ops[i].artifact == artifact {
			return &w.ops[i]
		}
	}
	return nil
}

var errInjected = errors.New("the model lets this call fail")

// index returns the run's place in the model.
func (m *model) index(run string) int {
	i := slices.Index(m.runs, run)
	if i < 0 {
		panic(fmt.Sprintf("no run %s in the model", run))
	}
	return i
}
