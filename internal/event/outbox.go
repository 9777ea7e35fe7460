package event

import (
	"encoding/json"
	"errors"
	"sort"
	"time"

	"lifeboat/internal/backup"
)

// outgoing is a row of the outbox: an event that is still to be sent to one destination. Lifeboat writes it in the partition of
// its subject, in the transaction that changes the subject. So no crash loses an event, and a queue that accepts none delays
// nothing: the writer of the row tries to send once, and a timer run sends the events that are left.
type outgoing struct {
	// To is the destination: the name of a queue.
	To      string          `json:"To"`
	ID      string          `json:"ID"`
	Type    string          `json:"Type"`
	Subject string          `json:"Subject,omitempty"`
	Time    time.Time       `json:"Time"`
	Data    json.RawMessage `json:"Data"`
}

// OutboxWrites returns the writes that put events into the outbox of a partition; a repeat writes the same.
func OutboxWrites(partition string, events []backup.Event) []backup.Write {
	writes := make([]backup.Write, 0, len(events))
	for _, e := range events {
		body := backup.Encode(outgoing{To: e.Queue(), ID: e.ID, Type: e.Type, Subject: e.Subject, Time: e.Time, Data: e.Data})
		writes = append(writes, backup.Write{Op: backup.Put, Key: e.OutboxKey(partition), Body: body})
	}
	return writes
}

// Sent returns the writes that take events out of the outbox of a partition.
func Sent(partition string, events []backup.Event) []backup.Write {
	writes := make([]backup.Write, 0, len(events))
	for _, e := range events {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: e.OutboxKey(partition), ETag: "*"})
	}
	return writes
}

// ReadOutbox returns the events of rows, oldest first. A row that cannot be read does not stop the others.
func ReadOutbox(rows []backup.Row) (events []backup.Event, err error) {
	for _, row := range rows {
		o, broken := backup.Decode[outgoing](row)
		if broken != nil {
			err = errors.Join(err, broken)
			continue
		}
		event := backup.Event{ID: o.ID, Type: o.Type, Subject: o.Subject, Time: o.Time, Data: o.Data}
		if o.To != backup.EventsQueue {
			event.To = o.To
		}
		events = append(events, event)
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].Time.Before(events[j].Time) })
	return events, err
}
