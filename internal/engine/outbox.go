package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
)

// unpublished says that the outbox of a partition holds events that a timer run must send. The row stands among the checkpoints,
// because a timer run reads them anyway.
type unpublished struct {
	Partition string `json:"Partition"`
}

// undeliverable counts the events that their destinations never took.
type undeliverable struct {
	Count int `json:"Count"`
	// The other fields are about the last one.
	Time time.Time `json:"Time"`
	To   string    `json:"To"`
	ID   string    `json:"ID"`
	Type string    `json:"Type"`
	Why  string    `json:"Why"`

	backup.Carried
}

const (
	// publishTime is the time limit for sending one event.
	publishTime = 20 * time.Second
	// answerTime is the time for which Lifeboat tries to send an answer that its queue does not take: the life of a message
	// that is sent with Azure's default time to live (Azure's documentation "Put Message").
	answerTime = 7 * 24 * time.Hour
	// drainTargets is the greatest number of partitions whose left events a timer run sends.
	drainTargets = 100
)

// post sends events. It returns the events that are done with as done, and the others as left. The destinations in refused took
// nothing, and are not tried again. If an event can never be delivered, it is counted, and done with.
func (e *Engine) post(ctx context.Context, events []backup.Event, refused map[string]error) (done, left []backup.Event) {
	for _, event := range events {
		if refused[event.Queue()] == nil {
			refused[event.Queue()] = e.postOne(ctx, event)
		}
		if refused[event.Queue()] == nil {
			done = append(done, event)
		} else {
			left = append(left, event)
		}
	}
	return done, left
}

func (e *Engine) postOne(ctx context.Context, event backup.Event) error {
	within, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	err := e.Queue.Publish(within, event)
	old := event.Queue() != backup.EventsQueue && e.Now().Sub(event.Time) > answerTime
	if err == nil || !old && !errors.Is(err, backup.ErrUndeliverable) {
		return err
	}
	return e.countUndeliverable(ctx, event, err)
}

// countUndeliverable notes that an event was given up. If the process dies behind it, the event is counted twice.
func (e *Engine) countUndeliverable(ctx context.Context, event backup.Event, why error) error {
	for range 3 {
		var count undeliverable
		row, _, err := e.Catalog.Get(ctx, backup.UndeliverableKey)
		if err == nil {
			count, err = backup.Decode[undeliverable](row)
		}
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		count = undeliverable{
			Count: count.Count + 1, Time: e.Now().UTC(), To: event.Queue(), ID: event.ID, Type: event.Type,
			Why: backup.NewReason("", why.Error(), "").Message, Carried: count.Carried,
		}
		_, err = e.Catalog.Apply(ctx, backup.InsertOrReplace(backup.UndeliverableKey, row.ETag, backup.Encode(count)))
		if _, raced := errors.AsType[*backup.WriteError](err); !raced {
			return err
		}
	}
	return fmt.Errorf("count the event %s, which cannot be sent: other invocations change the count again and again", event.ID)
}

// announce sends events that no row stands for. An event that cannot be sent is kept for the next timer run.
func (e *Engine) announce(ctx context.Context, events ...backup.Event) error {
	_, left := e.post(ctx, events, map[string]error{})
	if len(left) == 0 {
		return nil
	}
	if _, err := e.Catalog.Apply(ctx, event.OutboxWrites(backup.SchedulePartition, left)...); err != nil {
		return fmt.Errorf("keep the event %s for the next timer run: %w", left[0].ID, err)
	}
	return nil
}

// handOver has timer runs send the events in the outbox of a partition.
func (e *Engine) handOver(ctx context.Context, partition string) error {
	key := backup.UnpublishedKey(partition)
	if _, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(unpublished{partition})}); err != nil {
		return fmt.Errorf("note that events of %s wait: %w", partition, err)
	}
	return nil
}

// outbox has the unsent events that a timer run read: own are the events in its own partition, and others are the rows of other
// partitions with events.
type outbox struct{ own, others []backup.Row }

// drain sends the events that are left over. A destination that takes nothing is asked once a timer run.
func (e *Engine) drain(ctx context.Context, o outbox, now time.Time, report *ScheduleReport) error {
	refused := map[string]error{}
	events, err := event.ReadOutbox(o.own)
	errs := []error{err}
	for _, own := range report.events { // after a death this timer run may have made an event again that waited
		if !slices.ContainsFunc(events, func(e backup.Event) bool { return e.ID == own.ID && e.Queue() == own.Queue() }) {
			events = append(events, own)
		}
	}
	done, left := e.post(ctx, events, refused)
	report.Unsent += len(left)
	errs = append(errs, e.discard(ctx, event.Sent(backup.SchedulePartition, done)))
	n := len(o.others)
	for i := range min(n, drainTargets) {
		if refused[backup.EventsQueue] != nil || ctx.Err() != nil {
			report.Unsent += n - i // at least one of each
			break
		}
		// The start rotates, so that the first partitions cannot block the others.
		errs = append(errs, e.drainPartition(ctx, o.others[(int(now.Unix()/60)*drainTargets+i)%n], refused, report))
	}
	return errors.Join(errs...)
}

// drainPartition sends the events that the row names. It deletes the row once none is left, under the ETag of the last handOver:
// a later handOver keeps the row there.
func (e *Engine) drainPartition(ctx context.Context, row backup.Row, refused map[string]error, report *ScheduleReport) error {
	o, err := backup.Decode[unpublished](row)
	if err != nil {
		return err
	}
	events, err := e.waiting(ctx, o.Partition)
	done, left := e.post(ctx, events, refused)
	report.Unsent += len(left)
	if err := errors.Join(err, e.discard(ctx, event.Sent(o.Partition, done))); err != nil || len(left) > 0 || len(events) == mostWaiting {
		return err
	}
	return e.apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}

// mostWaiting is the number of events of one partition that are sent at once.
const mostWaiting = 1000

// waiting returns the events in the outbox of a partition, oldest first.
func (e *Engine) waiting(ctx context.Context, partition string) ([]backup.Event, error) {
	rows, _, err := e.Catalog.List(ctx, partition, backup.OutboxPrefix, backup.Behind(backup.OutboxPrefix), mostWaiting)
	if err != nil {
		return nil, fmt.Errorf("list the events of %s that wait: %w", partition, err)
	}
	return event.ReadOutbox(rows)
}

// discard makes deletes of one partition. A row that is gone, or was written again since, stays as it is.
func (e *Engine) discard(ctx context.Context, deletes []backup.Write) error {
	for len(deletes) > 0 {
		now := deletes[:min(len(deletes), backup.MostWrites)]
		_, err := e.Catalog.Apply(ctx, now...)
		if failed, ok := errors.AsType[*backup.WriteError](err); ok {
			deletes = append(deletes[:failed.Index:failed.Index], deletes[failed.Index+1:]...)
			continue
		}
		if err != nil {
			return err
		}
		deletes = deletes[len(now):]
	}
	return nil
}

// EventReport says which events have not reached their queues.
type EventReport struct {
	// Waiting counts events, and resources with events, that wait for a queue to take them: at most 1,000.
	Waiting int
	// Undeliverable counts the events that were given up since the beginning, and Last names the last one, with the reason; "" if
	// there was none.
	Undeliverable int
	Last          string
}

// Events says which events wait, and how many were given up. It costs one request.
func (e *Engine) Events(ctx context.Context) (EventReport, error) {
	rows, _, err := e.Catalog.List(ctx, backup.SchedulePartition, backup.UndeliverableKey.Row, backup.Behind(backup.UnpublishedPrefix), 1000)
	if err != nil {
		return EventReport{}, fmt.Errorf("list the events that wait: %w", err)
	}
	var report EventReport
	for _, row := range rows {
		if row.Key != backup.UndeliverableKey {
			report.Waiting++
			continue
		}
		count, err := backup.Decode[undeliverable](row)
		if err != nil {
			return EventReport{}, err
		}
		report.Undeliverable = count.Count
		report.Last = fmt.Sprintf("%s of %s to the queue %s: %s", count.ID, count.Time.Format(time.RFC3339), count.To, count.Why)
	}
	return report, nil
}

// isOutbox tells the rows of events from the other rows that a timer run reads.
func isOutbox(row string) bool { return strings.HasPrefix(row, backup.OutboxPrefix) }
