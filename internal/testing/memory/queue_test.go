package memory_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/memory"
)

// clock is a clock that a test sets.
type clock struct{ time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time       { return c.Time }
func (c *clock) pass(d time.Duration) { c.Time = c.Add(d) }

func TestQueue(t *testing.T) {
	conformance.TestQueue(t, func(*testing.T) conformance.QueueHarness {
		clock := newClock()
		queue := memory.NewQueue(clock.now)
		return conformance.QueueHarness{
			Queue: queue, Now: clock.now, Pass: func() { clock.pass(100 * time.Millisecond) },
			Receive: func(t *testing.T, name string) (texts []string) {
				for _, m := range queue.Receive(name, 32, time.Minute) {
					texts = append(texts, string(m.Body))
					if err := queue.Delete(name, m.ID, m.Receipt); err != nil {
						t.Error(err)
					}
				}
				return texts
			},
		}
	})
}

func stepMessage(number int) backup.StepMessage {
	return backup.StepMessage{Run: "run", Sequence: number, Nonce: "m"}
}

func wake(t *testing.T, q *memory.Queue, number int, delay time.Duration) {
	t.Helper()
	if err := q.SendStep(t.Context(), stepMessage(number), delay); err != nil {
		t.Fatal(err)
	}
}

func TestQueueRedelivers(t *testing.T) {
	clock := newClock()
	q := memory.NewQueue(clock.now)
	wake(t, q, 1, 0)

	first := q.Receive("execute", 32, 30*time.Second)
	if len(first) != 1 || first[0].DequeueCount != 1 {
		t.Fatalf("received %+v, want one message for the first time", first)
	}
	clock.pass(30*time.Second - 1)
	if hidden := q.Receive("execute", 32, time.Second); len(hidden) != 0 {
		t.Fatalf("received %+v while it was hidden", hidden)
	}
	clock.pass(1)
	second := q.Receive("execute", 32, 30*time.Second)
	if len(second) != 1 || second[0].ID != first[0].ID || second[0].DequeueCount != 2 {
		t.Fatalf("received %+v, want the same message for the second time", second)
	}
	if err := q.Delete("execute", first[0].ID, first[0].Receipt); !errors.Is(err, memory.ErrStaleReceipt) {
		t.Errorf("Delete with the first receipt = %v", err)
	}
	if err := q.Delete("execute", second[0].ID, second[0].Receipt); err != nil {
		t.Error(err)
	}
	if err := q.Delete("execute", second[0].ID, second[0].Receipt); !errors.Is(err, memory.ErrNoMessage) {
		t.Errorf("the second Delete = %v", err)
	}
}

func TestQueueOrder(t *testing.T) {
	clock := newClock()
	q := memory.NewQueue(clock.now)
	wake(t, q, 1, 2500*time.Millisecond) // visible after 3 s
	wake(t, q, 2, time.Second)
	wake(t, q, 3, 3*time.Second)

	numbers := func(messages []memory.Message) (numbers []int) {
		for _, m := range messages {
			var w backup.StepMessage
			if err := json.Unmarshal(m.Body, &w); err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, w.Sequence)
		}
		return numbers
	}
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(q.Messages("execute"))); diff != "" {
		t.Errorf("Messages (-want +got):\n%s", diff)
	}
	clock.pass(3*time.Second - 1)
	if diff := cmp.Diff([]int{2}, numbers(q.Receive("execute", 32, time.Second))); diff != "" {
		t.Errorf("Receive just before 3 s (-want +got):\n%s", diff)
	}
	clock.pass(time.Second)
	if diff := cmp.Diff([]int{1, 3}, numbers(q.Receive("execute", 2, time.Minute))); diff != "" {
		t.Errorf("Receive of 2 at 4 s (-want +got):\n%s", diff)
	}
}

func TestQueueHide(t *testing.T) {
	clock := newClock()
	q := memory.NewQueue(clock.now)
	if _, ok := q.Next("execute"); ok {
		t.Error("an empty queue has a next message")
	}
	wake(t, q, 1, 10*time.Second)
	if next, ok := q.Next("execute"); !ok || !next.Equal(clock.now().Add(10*time.Second)) {
		t.Errorf("next at %s, want in 10 s", next)
	}
	clock.pass(10 * time.Second)
	m := q.Receive("execute", 1, time.Minute)[0]
	if err := q.Hide("execute", m.ID, m.Receipt, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := q.Hide("execute", m.ID, m.Receipt, 0); !errors.Is(err, memory.ErrStaleReceipt) {
		t.Errorf("with the receipt of before: %v", err)
	}
	if next, _ := q.Next("execute"); !next.Equal(clock.now().Add(3 * time.Second)) {
		t.Errorf("next at %s, want in 3 s", next)
	}
	if err := q.Hide("execute", "none", "", 0); !errors.Is(err, memory.ErrNoMessage) {
		t.Errorf("a message that does not exist: %v", err)
	}
}

func TestQueueClone(t *testing.T) {
	clock := newClock()
	q := memory.NewQueue(clock.now)
	wake(t, q, 1, 0)
	event := backup.Event{ID: "1", Type: "x", Time: clock.Time, Data: []byte(`{}`)}
	if err := q.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	clone := q.Clone(clock.now)
	same := func() string {
		return cmp.Diff(q.Messages("execute"), clone.Messages("execute")) + cmp.Diff(q.Events(), clone.Events())
	}
	if diff := same(); diff != "" {
		t.Fatalf("the clone differs:\n%s", diff)
	}
	q.Receive("execute", 1, time.Minute)
	if same() == "" {
		t.Error("receiving from the original received from the clone")
	}
	clone.Receive("execute", 1, time.Minute)
	if diff := same(); diff != "" {
		t.Errorf("the same steps on both differ:\n%s", diff)
	}
}
