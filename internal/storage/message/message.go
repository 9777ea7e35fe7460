// Package message is the form that wake-ups and events have in Azure Queue Storage, and the limits they must keep
// there. It talks to nobody, so that queues in memory can keep messages in the same form and refuse the same ones.
package message

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"lifeboat/internal/backup"
)

// The queues.
const (
	Execute = "execute"         // wake-ups
	Events  = "lifeboat-events" // events
)

// Limits of Azure Queue Storage (Azure's documentation "Put Message").
const (
	maxBytes = 64 << 10
	maxDelay = 7 * 24 * time.Hour
)

// Wakeup is the wake-up as plain JSON text.
func Wakeup(w backup.Wakeup) ([]byte, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("wake-up %d of run %s: %w", w.Number, w.Run, err)
	}
	return checked(text, fmt.Sprintf("wake-up %d of run %s", w.Number, w.Run))
}

// Event is the event as a CloudEvent 1.0 in the structured JSON form. The source says which Lifeboat it comes from.
func Event(source string, e backup.Event) ([]byte, error) {
	what := fmt.Sprintf("event %s (%s)", e.ID, e.Type)
	var data map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &data); err != nil || data == nil {
		return nil, fmt.Errorf("%s: its data is not a JSON object: %.80s", what, e.Data)
	}
	if e.Time.IsZero() {
		return nil, fmt.Errorf("%s has no time", what)
	}
	c := event.New(event.CloudEventsVersionV1)
	c.SetSource(source)
	c.SetID(e.ID)
	c.SetType(e.Type)
	c.SetTime(e.Time.UTC())
	if e.Subject != "" {
		c.SetSubject(e.Subject)
	}
	if err := c.SetData(event.ApplicationJSON, e.Data); err != nil {
		return nil, fmt.Errorf("%s: its data: %w", what, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s is not a CloudEvent: %w", what, err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return checked(text, what)
}

func checked(text []byte, what string) ([]byte, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s has %d bytes: a message has at most %d", what, len(text), maxBytes)
	}
	return text, nil
}

// Seconds is the delay in whole seconds, rounded up, as Azure Queue Storage counts it: 0 to 604,800.
func Seconds(delay time.Duration) (int32, error) {
	if delay < 0 || delay > maxDelay {
		return 0, fmt.Errorf("a delay of %s: it must be 0 to 7 days", delay)
	}
	return int32((delay + time.Second - 1) / time.Second), nil
}
