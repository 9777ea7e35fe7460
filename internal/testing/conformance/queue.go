package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
)

// QueueHarness is a queue to be tested, and its receiver.
type QueueHarness struct {
	Queue backup.Queue
	// Receive removes the visible messages from the queue, and returns their texts.
	Receive func(t *testing.T, queue string) []string
	// Now returns the time that decides visibility, and Pass lets a moment of it pass.
	Now  func() time.Time
	Pass func()
}

// TestQueue checks that the queues that open returns keep every promise of [backup.Queue]. Each must be empty.
func TestQueue(t *testing.T, open func(*testing.T) QueueHarness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, QueueHarness)
	}{
		{"Step", testStep},
		{"StepTwice", testStepTwice},
		{"StepLater", testStepLater},
		{"StepRefused", testStepRefused},
		{"Publish", testPublish},
		{"PublishRefused", testPublishRefused},
		{"ContextEnds", testQueueContextEnds},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// executeQueue and eventsQueue are the names of the queues, as host and other systems know them.
const executeQueue, eventsQueue = "execute", "lifeboat-events"

// timeout bounds the wait for a message.
const timeout = 30 * time.Second

// receive waits for n messages.
func (h QueueHarness) receive(t *testing.T, queue string, n int) []string {
	t.Helper()
	var messages []string
	for start := h.Now(); len(messages) < n; h.Pass() {
		if h.Now().Sub(start) > timeout {
			t.Fatalf("%d messages in queue %s after %v, want %d", len(messages), queue, timeout, n)
		}
		messages = append(messages, h.Receive(t, queue)...)
	}
	if more := h.Receive(t, queue); len(messages) > n || len(more) > 0 {
		t.Fatalf("messages %q and %q in queue %s, want %d", messages, more, queue, n)
	}
	return messages
}

func stepMessage(sequence int) backup.StepMessage {
	return backup.StepMessage{Run: "0123456789abcdef-8232054400-0123456789ab", Sequence: sequence, Nonce: "a nonce <&> \"ü\""}
}

func testStep(t *testing.T, h QueueHarness) {
	want := stepMessage(7)
	if err := h.Queue.SendStep(t.Context(), want, 0); err != nil {
		t.Fatal(err)
	}
	text := h.receive(t, executeQueue, 1)[0]
	got, err := backup.ParseStepMessage([]byte(text)) // plain text, not base64
	if err != nil || got != want {
		t.Errorf("message %s reads as %+v, %v; want %+v", text, got, err, want)
	}
}

func testStepTwice(t *testing.T, h QueueHarness) {
	for range 2 {
		if err := h.Queue.SendStep(t.Context(), stepMessage(1), 0); err != nil {
			t.Fatal(err)
		}
	}
	if messages := h.receive(t, executeQueue, 2); messages[0] != messages[1] {
		t.Errorf("messages %q, want the same twice", messages)
	}
}

func testStepLater(t *testing.T, h QueueHarness) {
	const delay = 2500 * time.Millisecond // rounded up to 3 seconds
	start := h.Now()
	if err := h.Queue.SendStep(t.Context(), stepMessage(1), delay); err != nil {
		t.Fatal(err)
	}
	if err := h.Queue.SendStep(t.Context(), stepMessage(2), 7*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	text := h.receive(t, executeQueue, 1)[0]
	if passed := h.Now().Sub(start); passed < 2*time.Second { // the service may keep whole seconds
		t.Errorf("the message was visible after %v, want 3 s", passed)
	}
	if got, err := backup.ParseStepMessage([]byte(text)); err != nil || got.Sequence != 1 {
		t.Errorf("message %s reads as %+v, %v; want number 1", text, got, err)
	}
}

func testStepRefused(t *testing.T, h QueueHarness) {
	for _, delay := range []time.Duration{-1, -time.Hour, 7*24*time.Hour + 1} {
		if err := h.Queue.SendStep(t.Context(), stepMessage(1), delay); err == nil {
			t.Errorf("a delay of %v is accepted", delay)
		}
	}
	large := stepMessage(1)
	large.Nonce = strings.Repeat("x", 64<<10)
	if err := h.Queue.SendStep(t.Context(), large, 0); err == nil || !strings.Contains(err.Error(), "at most 65536") {
		t.Errorf("a message beyond 64 KiB = %v, want the limit named", err)
	}
	if err := h.Queue.SendStep(t.Context(), stepMessage(2), 0); err != nil {
		t.Fatal(err)
	}
	h.receive(t, executeQueue, 1)
}

func event() backup.Event {
	return backup.Event{
		ID: "run-1-succeeded", Type: "lifeboat.run.succeeded",
		Subject: "/subscriptions/x/providers/Microsoft.ApiManagement/service/y",
		Time:    time.Date(2026, 2, 3, 4, 5, 6, 700_000_000, time.FixedZone("CET", 3600)),
		Data:    json.RawMessage(`{"run":"1","size":9007199254740993,"text":"Zürich <&> \"🛟\""}`),
	}
}

func testPublish(t *testing.T, h QueueHarness) {
	about, itself := event(), event()
	itself.Subject, itself.ID = "", "clock-1"
	answer := about
	answer.To = "answers"
	for _, e := range []backup.Event{about, itself, answer} {
		if err := h.Queue.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	messages := h.receive(t, eventsQueue, 2)
	if text := h.receive(t, "answers", 1)[0]; !slices.Contains(messages, text) {
		t.Errorf("answered %s, which is none of the events", text)
	}
	slices.SortFunc(messages, func(a, b string) int { return strings.Index(a, "clock-1") - strings.Index(b, "clock-1") })
	for i, e := range []backup.Event{about, itself} {
		got := value(t, messages[i]).(map[string]any)
		if source, _ := got["source"].(string); source == "" {
			t.Errorf("event %s has no source", messages[i])
		}
		delete(got, "source")
		want := value(t, fmt.Sprintf(`{"specversion":"1.0","id":%q,"type":%q,"time":"2026-02-03T03:05:06.7Z",
			"datacontenttype":"application/json","subject":%q,"data":%s}`, e.ID, e.Type, e.Subject, e.Data)).(map[string]any)
		if e.Subject == "" {
			delete(want, "subject")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("CloudEvent (-want +got):\n%s", diff)
		}
	}
}

func testPublishRefused(t *testing.T, h QueueHarness) {
	for name, spoil := range map[string]func(*backup.Event){
		"no ID":           func(e *backup.Event) { e.ID = "" },
		"no type":         func(e *backup.Event) { e.Type = "" },
		"data not JSON":   func(e *backup.Event) { e.Data = json.RawMessage(`{`) },
		"no data":         func(e *backup.Event) { e.Data = nil },
		"not an object":   func(e *backup.Event) { e.Data = json.RawMessage(`[1]`) },
		"beyond 64 KiB":   func(e *backup.Event) { e.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`) },
		"no time at all":  func(e *backup.Event) { e.Time = time.Time{} },
		"two JSON values": func(e *backup.Event) { e.Data = json.RawMessage(`{}{}`) },
	} {
		e := event()
		spoil(&e)
		if err := h.Queue.Publish(t.Context(), e); !errors.Is(err, backup.ErrUndeliverable) {
			t.Errorf("%s: %v, want that it can never be sent", name, err)
		}
	}
	if err := h.Queue.Publish(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	h.receive(t, eventsQueue, 1)
}

func testQueueContextEnds(t *testing.T, h QueueHarness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Queue.SendStep(ctx, stepMessage(1), 0); err == nil {
		t.Error("SendStep with an ended context succeeds")
	}
	if err := h.Queue.Publish(ctx, event()); err == nil {
		t.Error("Publish with an ended context succeeds")
	}
	if err := h.Queue.SendStep(t.Context(), stepMessage(2), 0); err != nil {
		t.Fatal(err)
	}
	h.receive(t, executeQueue, 1)
}
