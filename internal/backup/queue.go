package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Queue returns the event's destination.
func (e Event) Queue() string { return cmp.Or(e.To, EventsQueue) }

// These are the queues. The host keeps messages that it gave up in a queue of the same name with "-poison" behind it.
const (
	// ExecuteQueue holds the step messages of runs.
	ExecuteQueue = "execute"
	// RestoreQueue holds other systems' requests for restores.
	RestoreQueue = "restore-requests"
	// BackupQueue holds other systems' requests for backups.
	BackupQueue = "backup-requests"
	// EventsQueue holds the events that name no other queue.
	EventsQueue = "lifeboat-events"
	// Poison is the end of the names of queues with messages that the host gave up.
	Poison = "-poison"
)

// OwnQueues are the queues of the app itself: there an answer to a request would be taken for another message.
var OwnQueues = []string{
	ExecuteQueue, ExecuteQueue + Poison, RestoreQueue, RestoreQueue + Poison, EventsQueue, EventsQueue + Poison, BackupQueue,
	BackupQueue + Poison, ManifestFolder,
}

// Queue sends. The host receives: it invokes the function of the queue with each message, at least once.
type Queue interface {
	// SendStep sends the step message to the queue "execute", where it becomes visible after the delay (0 to 7 days, rounded up
	// to whole seconds). An error leaves open whether it was sent.
	SendStep(ctx context.Context, m StepMessage, delay time.Duration) error
	// Publish sends the event to its queue. An error leaves open whether it was sent, unless it is ErrUndeliverable.
	Publish(ctx context.Context, e Event) error
	// Requeue sends a message to the queue of that name once more, visible after the delay, as in SendStep. An error leaves open
	// whether it was sent.
	Requeue(ctx context.Context, queue string, message []byte, delay time.Duration) error
}

// ErrUndeliverable: the event was not sent, and no repeat can change that.
var ErrUndeliverable = errors.New("the event can never be sent")

// StepMessage is the message that says "look at this run". It carries the sequence number and the nonce that the run's row
// expects, so that a duplicate, a late one, or one from a step that died before its save changes nothing.
type StepMessage struct {
	Run      string `json:"run"`
	Sequence int    `json:"sequence"`
	Nonce    string `json:"nonce"`
}

// ParseStepMessage reads a message of the queue "execute". The error says what is wrong with it; such a message is hopeless.
func ParseStepMessage(message []byte) (StepMessage, error) {
	var m StepMessage
	d := json.NewDecoder(strings.NewReader(string(message)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("not a step message: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("not a step message: there is more behind the JSON object")
	}
	if _, err := RunKey(m.Run); err != nil {
		return m, fmt.Errorf("not a step message: %w", err)
	}
	if m.Sequence < 1 || m.Nonce == "" {
		return m, fmt.Errorf("not a step message: it needs a sequence number of 1 or more and a nonce")
	}
	return m, nil
}

// Event is a message to other systems. They get it at least once, as a CloudEvent 1.0.
type Event struct {
	// ID is stable: an event sent twice has the same one.
	ID string
	// Type is the type, such as "lifeboat.run.succeeded".
	Type string
	// Subject is the resource ID of the target, or "" if the event is about Lifeboat itself.
	Subject string
	Time    time.Time
	// Data is a JSON object.
	Data json.RawMessage
	// To is the queue that it goes to; "" is [EventsQueue]. A manifest waits in the outbox like an event, for [ManifestFolder].
	To string
	// Content is the content of a manifest, if this invocation has it; no row keeps it.
	Content []byte
}

// AndTo returns the event, and the same for a queue of answers; "" for none.
func (e Event) AndTo(queue string) []Event {
	if queue == "" {
		return []Event{e}
	}
	answer := e
	answer.To = queue
	return []Event{e, answer}
}

// LongestDelay is the longest delay of a queue message: a limit of Azure Queue Storage (Azure's documentation "Put Message").
const LongestDelay = 7 * 24 * time.Hour
