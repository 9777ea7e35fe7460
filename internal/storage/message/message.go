// Package message converts step messages and events to their form in Azure Queue Storage, and checks the limits there. It makes
// no requests, so that queues in memory can keep messages in the same form and refuse the same messages.
package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"lifeboat/internal/backup"
)

// maxBytes is a limit of Azure Queue Storage (Azure's documentation "Put Message").
const maxBytes = 64 << 10

// StepMessage returns the step message as plain JSON text.
func StepMessage(m backup.StepMessage) ([]byte, error) {
	return checked(backup.Encode(m), fmt.Sprintf("step message %d of run %s", m.Sequence, m.Run))
}

// cloudEvent is a CloudEvent 1.0 in the structured JSON form.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	Time            time.Time       `json:"time"`
	Data            json.RawMessage `json:"data"`
}

// Event returns the event as a CloudEvent 1.0 in the structured JSON form. The source says which Lifeboat sends it: a URI
// reference, as CloudEvents requires.
func Event(source string, e backup.Event) ([]byte, error) {
	what := fmt.Sprintf("event %s (%s)", e.ID, e.Type)
	var data map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &data); err != nil || data == nil {
		return nil, fmt.Errorf("%s: its data is not a JSON object: %.80s", what, e.Data)
	}
	if _, err := url.Parse(source); err != nil || source == "" || e.ID == "" || e.Type == "" || e.Time.IsZero() {
		return nil, fmt.Errorf("%s is no CloudEvent: it needs an ID, a type, a time, and a URI reference as its source, not %q", what, source)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // escaping makes the data longer than their measured size
	err := encoder.Encode(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: source, Type: e.Type, Subject: e.Subject, DataContentType: "application/json",
		Time: e.Time.UTC(), Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return checked(bytes.TrimSpace(text.Bytes()), what)
}

func checked(text []byte, what string) ([]byte, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s has %d bytes: a message has at most %d", what, len(text), maxBytes)
	}
	return text, nil
}

// Seconds returns the delay in whole seconds, rounded up, as Azure Queue Storage counts it: 0 to 604,800.
func Seconds(delay time.Duration) (int32, error) {
	if delay < 0 || delay > backup.LongestDelay {
		return 0, fmt.Errorf("a delay of %s: it must be 0 to 7 days", delay)
	}
	return int32((delay + time.Second - 1) / time.Second), nil
}
