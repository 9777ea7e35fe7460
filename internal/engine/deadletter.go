package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/history"
)

// These are the codes of dead letters; a refused request has the code of its refusal.
const (
	unreadableStep = "InvalidStepMessage"
	unknownRun     = "RunNotFound"
	givenUp        = "MessageGivenUp"
)

// GivenUp is the reason of a dead letter that the host gave up.
func GivenUp(why string) backup.Reason { return backup.NewReason(givenUp, why, "") }

// deadLetter is a message that Lifeboat can do nothing with, kept for people with the reason.
type deadLetter struct {
	Queue  string    `json:"Queue"`
	Reason string    `json:"Reason"`
	Time   time.Time `json:"Time"`
	// Encoding is "text", or "base64" if the body is no readable text.
	Encoding string `json:"Encoding"`
	// A column holds 32,768 UTF-16 units, a message 64 KiB: the body goes over as many as it needs, in this order.
	Body1 string `json:"Body1"`
	Body2 string `json:"Body2,omitempty"`
	Body3 string `json:"Body3,omitempty"`
	Body4 string `json:"Body4,omitempty"`
	Body5 string `json:"Body5,omitempty"`
	Body6 string `json:"Body6,omitempty"`
}

// mostDeadLetters is the greatest number of dead letters that are counted.
const mostDeadLetters = 1000

// DeadLetters counts the messages that are kept among the dead letters, up to 1,000. It costs one request.
func (e *Engine) DeadLetters(ctx context.Context) (int, error) {
	n, err := e.Catalog.Count(ctx, backup.DeadLetterPartition, "", "~", mostDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("count the dead letters: %w", err)
	}
	return n, nil
}

// DeadLetter keeps a hopeless message of the queue, and then publishes where. Once it returns without an error the message may
// go: the same message again changes only the time, and is the same event. Messages have at most 64 KiB.
func (e *Engine) DeadLetter(ctx context.Context, queue string, body []byte, why backup.Reason) error {
	l := deadLetter{Queue: queue, Reason: why.Code + ": " + why.Message, Encoding: "text"}
	text := string(body)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, backup.IsUnreadable) {
		l.Encoding, text = "base64", base64.StdEncoding.EncodeToString(body)
	}
	runes := []rune(text)
	for _, column := range []*string{&l.Body1, &l.Body2, &l.Body3, &l.Body4, &l.Body5, &l.Body6} {
		n := min(len(runes), backup.ColumnRunes)
		*column, runes = string(runes[:n]), runes[n:]
	}
	key := backup.DeadLetterKey(queue, body)
	_, now, err := e.Catalog.Get(ctx, key) // for the catalog's clock: by this process's own one its history could be over at once
	if err != nil && !errors.Is(err, backup.ErrNotFound) && !errors.Is(err, backup.ErrUnreadable) {
		return fmt.Errorf("keep a dead letter of the queue %s: %w", queue, err)
	}
	l.Time = now
	if err := history.PutLetter(ctx, e.Catalog, key, now); err != nil {
		return err
	}
	if _, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(l)}); err != nil {
		return fmt.Errorf("keep a dead letter of the queue %s: %w", queue, err)
	}
	return e.Outbox().Announce(ctx, event.DeadLettered(event.DeadLetter{Queue: queue, Reason: why, Bytes: len(body), Row: key, Time: l.Time}))
}
