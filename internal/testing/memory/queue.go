package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/message"
)

// source is the source of the events that are published in memory.
const source = "urn:lifeboat:memory"

// These are the errors of Delete. Azure Queue Storage has MessageNotFound and PopReceiptMismatch for them.
var (
	ErrNoMessage    = errors.New("no such message")
	ErrStaleReceipt = errors.New("the pop receipt is stale: the message was received again")
)

// Message is a message of a queue.
type Message struct {
	// ID is unique in the queues.
	ID string
	// Receipt is the pop receipt of the latest Receive; Delete needs it.
	Receipt string
	// Body is the text, as storage/queue sends it.
	Body []byte
	// DequeueCount is the number of times that the message was received.
	DequeueCount int
	// Visible is the time from which it can be received.
	Visible time.Time
}

// Queue is a [backup.Queue] in memory, with the methods of a receiver. Its methods may be called from any goroutine.
type Queue struct {
	now    func() time.Time
	mu     sync.Mutex
	issued int // IDs and receipts so far
	queues map[string][]Message
	events []backup.Event
}

// NewQueue returns empty queues on the clock.
func NewQueue(now func() time.Time) *Queue {
	return &Queue{now: now, queues: map[string][]Message{}}
}

// Clone returns separate queues with the same messages, on the clock.
func (q *Queue) Clone(now func() time.Time) *Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := &Queue{now: now, issued: q.issued, queues: maps.Clone(q.queues), events: slices.Clone(q.events)}
	for name, messages := range c.queues {
		c.queues[name] = slices.Clone(messages)
	}
	return c
}

// SendStep implements [backup.Queue].
func (q *Queue) SendStep(ctx context.Context, w backup.StepMessage, delay time.Duration) error {
	text, err := message.StepMessage(w)
	if err != nil {
		return fmt.Errorf("wake a run: %w", err)
	}
	return q.Send(ctx, backup.ExecuteQueue, text, delay)
}

// Publish implements [backup.Queue].
func (q *Queue) Publish(ctx context.Context, e backup.Event) error {
	text, err := message.Event(source, e)
	if err != nil {
		return fmt.Errorf("%w: %w", backup.ErrUndeliverable, err)
	}
	to := e.Queue()
	if err := q.Send(ctx, to, text, 0); err != nil || to != backup.EventsQueue {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, e)
	return nil
}

// Requeue implements [backup.Queue].
func (q *Queue) Requeue(ctx context.Context, queue string, text []byte, delay time.Duration) error {
	return q.Send(ctx, queue, text, delay)
}

// Send puts the text into the queue, visible after the delay (0 to 7 days, rounded up to whole seconds).
func (q *Queue) Send(ctx context.Context, queue string, text []byte, delay time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("send to queue %s: %w", queue, err)
	}
	seconds, err := message.Seconds(delay)
	if err != nil {
		return fmt.Errorf("send to queue %s: %w", queue, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues[queue] = append(q.queues[queue], Message{
		ID: q.issue(), Body: slices.Clone(text), Visible: q.now().Add(time.Duration(seconds) * time.Second),
	})
	return nil
}

// Receive returns up to n visible messages, in the order in which they became visible, and hides them for the time given. A
// message that is not deleted by then is received again.
func (q *Queue) Receive(queue string, n int, visibility time.Duration) []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, messages := q.now(), q.queues[queue]
	var order []int
	for i, m := range messages {
		if !m.Visible.After(now) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return messages[a].Visible.Compare(messages[b].Visible) })
	var received []Message
	for _, i := range order[:min(n, len(order))] {
		m := &messages[i]
		m.Receipt, m.Visible = q.issue(), now.Add(visibility)
		m.DequeueCount++
		received = append(received, m.clone())
	}
	return received
}

// Delete removes a received message. The error is ErrNoMessage or ErrStaleReceipt.
func (q *Queue) Delete(queue, id, receipt string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, err := q.held(queue, id, receipt)
	if err != nil {
		return fmt.Errorf("delete message %s of queue %s: %w", id, queue, err)
	}
	q.queues[queue] = slices.Delete(q.queues[queue], i, i+1)
	return nil
}

// Hide makes a received message visible again after the time given: Azure's Update Message. It returns the same errors as
// Delete.
func (q *Queue) Hide(queue, id, receipt string, visibility time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, err := q.held(queue, id, receipt)
	if err != nil {
		return fmt.Errorf("update message %s of queue %s: %w", id, queue, err)
	}
	q.queues[queue][i].Visible, q.queues[queue][i].Receipt = q.now().Add(visibility), q.issue()
	return nil
}

// Next returns the time at which the first message of the queue can be received; false if the queue is empty.
func (q *Queue) Next(queue string) (first time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.queues[queue] {
		if i == 0 || m.Visible.Before(first) {
			first, ok = m.Visible, true
		}
	}
	return first, ok
}

// held returns the index of the message with the ID, if the receipt is valid.
func (q *Queue) held(queue, id, receipt string) (int, error) {
	i := slices.IndexFunc(q.queues[queue], func(m Message) bool { return m.ID == id })
	if i < 0 {
		return 0, ErrNoMessage
	}
	if q.queues[queue][i].Receipt != receipt {
		return 0, ErrStaleReceipt
	}
	return i, nil
}

// Messages returns all messages of the queue, visible or not, in the order they were sent, without changing them.
func (q *Queue) Messages(queue string) []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []Message
	for _, m := range q.queues[queue] {
		all = append(all, m.clone())
	}
	return all
}

// Events returns the events in the queue of events, in the order they were published.
func (q *Queue) Events() []backup.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.events)
}

func (q *Queue) issue() string {
	q.issued++
	return strconv.Itoa(q.issued)
}

func (m Message) clone() Message {
	m.Body = slices.Clone(m.Body)
	return m
}
