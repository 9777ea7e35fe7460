package event_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/testing/memory"
)

// TestTheOutboxKeepsEvents: events that were put into it come back as they were, oldest first, one for each destination; a repeat
// adds none, and none is left when all were sent.
func TestTheOutboxKeepsEvents(t *testing.T) {
	made := func(n int) (events []backup.Event) {
		for i := range n {
			events = append(events, backup.Event{
				ID: fmt.Sprint("event-", i), Type: "lifeboat.of.a.test", Subject: "service", Time: at.Add(-time.Duration(i) * time.Second), Data: []byte(`{"n":1}`),
			})
		}
		return events
	}
	if pending, sent := event.OutboxWrites("partition", nil), event.Sent("partition", nil); len(pending)+len(sent) != 0 {
		t.Errorf("of no event: %+v, %+v", pending, sent)
	}
	for name, events := range map[string][]backup.Event{
		"one":                  made(1),
		"as many as a batch":   made(100),
		"without a subject":    {{ID: "clock", Type: "t", Time: at, Data: []byte(`{}`)}},
		"to two queues":        made(1)[0].AndTo("answers"),
		"of the zero time":     {{ID: "zero", Type: "t", Data: []byte(`{}`)}},
		"of the far future":    {{ID: "late", Type: "t", Time: at.AddDate(7000, 0, 0), Data: []byte(`{}`)}},
		"of the same time":     {{ID: "a", Type: "t", Time: at, Data: []byte(`{}`)}, {ID: "b", Type: "t", Time: at, Data: []byte(`{}`)}},
		"to the app's by name": {{ID: "named", Type: "t", Time: at, Data: []byte(`{}`), To: backup.EventsQueue}},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory.NewCatalog(func() time.Time { return at })
			for range 2 {
				if _, err := c.Apply(t.Context(), event.OutboxWrites("partition", events)...); err != nil {
					t.Fatal(err)
				}
			}
			got, err := event.ReadOutbox(c.Rows())
			if err != nil || len(got) != len(events) {
				t.Fatalf("%d events of %d, %v", len(got), len(events), err)
			}
			for i, e := range got {
				if i > 0 && e.Time.Before(got[i-1].Time) {
					t.Errorf("%s comes behind %s", e.ID, got[i-1].ID)
				}
				found := false
				for _, was := range events {
					found = found || is(e) == strings.TrimSuffix(is(was), " to "+backup.EventsQueue)
				}
				if !found {
					t.Errorf("it has become %s", is(e))
				}
			}
			if _, err := c.Apply(t.Context(), event.Sent("partition", events)...); err != nil || len(c.Rows()) != 0 {
				t.Errorf("%d rows are left, %v", len(c.Rows()), err)
			}
		})
	}
}

// TestAnOutboxRowThatCannotBeRead: it is named, and stops no other.
func TestAnOutboxRowThatCannotBeRead(t *testing.T) {
	row := func(name, body string) backup.Row {
		return backup.Row{Key: backup.Key{Partition: "p", Row: "outbox-lifeboat-events." + name}, Body: []byte(body)}
	}
	events, err := event.ReadOutbox([]backup.Row{
		row("a", `{"ID":7}`), row("b", `{"To":"lifeboat-events","ID":"b","Time":"2026-01-15T02:30:00Z"}`), row("c", `{`), row("d", `{"To":"answers","ID":"d"}`),
	})
	if len(events) != 2 || events[0].ID != "d" || events[0].To != "answers" || events[1].ID != "b" || events[1].To != "" {
		t.Errorf("%+v", events)
	}
	if !errors.Is(err, backup.ErrUnreadable) || strings.Count(err.Error(), "outbox-lifeboat-events.a ") != 1 || strings.Count(err.Error(), "outbox-lifeboat-events.c ") != 1 {
		t.Errorf("%v", err)
	}
}
