// Package outbox sends events to their queues, and keeps an event for later if its queue does not take it: nothing waits for an event, and none
// is lost.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
)

// Outbox sends events. Package event has the rows in which they wait.
type Outbox struct {
	Catalog backup.Catalog
	Queue   backup.Queue
	// Manifests writes the manifests that wait among the events.
	Manifests manifest.Keeper
	Now       func() time.Time
}

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
	// answerTime is the time for which Lifeboat tries to write a manifest, and to send an answer that its queue does not take: the life of a message
	// that is sent with Azure's default time to live (Azure's documentation "Put Message").
	answerTime = 7 * 24 * time.Hour
	// drainTargets is the greatest number of partitions whose left events a timer run sends.
	drainTargets = 100
)

// Post sends events, and then writes manifests. It returns the events that are done with as done, and the others as left. The
// destinations in refused took nothing, and are not tried again. If an event can never be delivered, it is counted, and done with.
func (o Outbox) Post(ctx context.Context, events []backup.Event, refused map[string]error) (done, left []backup.Event) {
	events = slices.Clone(events)
	sort.SliceStable(events, func(i, j int) bool { return rank(events[i]) < rank(events[j]) })
	for _, event := range events {
		to := manifest.Destination(event)
		err := refused[to]
		if err == nil {
			err = o.postOne(ctx, event)
		}
		if _, ofStore := errors.AsType[*backup.Fault](err); !manifest.Is(event) || ofStore {
			refused[to] = err // else it is about this manifest alone
		}
		if err == nil {
			done = append(done, event)
		} else {
			left = append(left, event)
		}
	}
	return done, left
}

// rank sorts manifests behind events: no event waits for a storage account that does not answer.
func rank(e backup.Event) int {
	if manifest.Is(e) {
		return 1
	}
	return 0
}

func (o Outbox) postOne(ctx context.Context, event backup.Event) error {
	within, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	send := o.Queue.Publish
	if manifest.Is(event) {
		send = o.Manifests.Write
	}
	err := send(within, event)
	old := event.Queue() != backup.EventsQueue && o.Now().Sub(event.Time) > answerTime
	if err == nil || !old && !errors.Is(err, backup.ErrUndeliverable) {
		return err
	}
	return o.countUndeliverable(ctx, event, err)
}

// countUndeliverable notes that an event was given up. If the process dies behind it, the event is counted twice.
func (o Outbox) countUndeliverable(ctx context.Context, event backup.Event, why error) error {
	for range 3 {
		var count undeliverable
		row, _, err := o.Catalog.Get(ctx, backup.UndeliverableKey)
		if err == nil {
			count, err = backup.Decode[undeliverable](row)
		}
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		count = undeliverable{
			Count: count.Count + 1, Time: o.Now().UTC(), To: event.Queue(), ID: event.ID, Type: event.Type,
			Why: backup.NewReason("", why.Error(), "").Message, Carried: count.Carried,
		}
		_, err = o.Catalog.Apply(ctx, backup.InsertOrReplace(backup.UndeliverableKey, row.ETag, backup.Encode(count)))
		if _, raced := errors.AsType[*backup.WriteError](err); !raced {
			return err
		}
	}
	return fmt.Errorf("count the event %s, which cannot be sent: other invocations change the count again and again", event.ID)
}

// Announce sends events that no row stands for. An event that cannot be sent is kept for the next timer run.
func (o Outbox) Announce(ctx context.Context, events ...backup.Event) error {
	_, left := o.Post(ctx, events, map[string]error{})
	if len(left) == 0 {
		return nil
	}
	if _, err := o.Catalog.Apply(ctx, event.OutboxWrites(backup.SchedulePartition, left)...); err != nil {
		return fmt.Errorf("keep the event %s for the next timer run: %w", left[0].ID, err)
	}
	return nil
}

// HandOver has timer runs send the events in the outbox of a partition.
func (o Outbox) HandOver(ctx context.Context, partition string) error {
	key := backup.UnpublishedKey(partition)
	if _, err := o.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(unpublished{partition})}); err != nil {
		return fmt.Errorf("note that events of %s wait: %w", partition, err)
	}
	return nil
}

// Unsent has the rows that a timer run read: Own are the events in its own partition, and Others are the rows of other partitions
// with events.
type Unsent struct{ Own, Others []backup.Row }

// Drain sends the events that are left over, and more, perhaps the same once again: a timer run makes an event anew if an
// earlier one died. A destination that takes nothing is asked once. Drain returns how many events are left, at least.
func (o Outbox) Drain(ctx context.Context, u Unsent, more []backup.Event, now time.Time) (unsent int, err error) {
	refused := map[string]error{}
	events, err := event.ReadOutbox(u.Own)
	errs := []error{err}
	for _, own := range more {
		if !slices.ContainsFunc(events, func(e backup.Event) bool { return e.ID == own.ID && e.Queue() == own.Queue() }) {
			events = append(events, own)
		}
	}
	done, left := o.Post(ctx, events, refused)
	unsent = len(left)
	errs = append(errs, o.Discard(ctx, event.Sent(backup.SchedulePartition, done)))
	n := len(u.Others)
	for i := range min(n, drainTargets) {
		if refused[backup.EventsQueue] != nil || ctx.Err() != nil {
			unsent += n - i // at least one of each
			break
		}
		// The start rotates, so that the first partitions cannot block the others.
		left, err := o.drainPartition(ctx, u.Others[(int(now.Unix()/60)*drainTargets+i)%n], refused)
		unsent += left
		errs = append(errs, err)
	}
	return unsent, errors.Join(errs...)
}

// drainPartition sends the events that the row names, and returns how many are left. It deletes the row once none is, under the ETag
// of the last HandOver: a later one keeps the row there.
func (o Outbox) drainPartition(ctx context.Context, row backup.Row, refused map[string]error) (int, error) {
	u, err := backup.Decode[unpublished](row)
	if err != nil {
		return 0, err
	}
	events, err := o.Waiting(ctx, u.Partition)
	done, left := o.Post(ctx, events, refused)
	if err := errors.Join(err, o.Discard(ctx, event.Sent(u.Partition, done))); err != nil || len(left) > 0 || len(events) == mostWaiting {
		return len(left), err
	}
	return 0, o.Discard(ctx, []backup.Write{{Op: backup.Delete, Key: row.Key, ETag: row.ETag}})
}

// mostWaiting is the number of events of one partition that are sent at once.
const mostWaiting = 1000

// Waiting returns the events in the outbox of a partition, oldest first.
func (o Outbox) Waiting(ctx context.Context, partition string) ([]backup.Event, error) {
	rows, _, err := o.Catalog.List(ctx, partition, backup.OutboxPrefix, backup.Behind(backup.OutboxPrefix), mostWaiting)
	if err != nil {
		return nil, fmt.Errorf("list the events of %s that wait: %w", partition, err)
	}
	return event.ReadOutbox(rows)
}

// Discard makes deletes of one partition. A row that is gone, or was written again since, stays as it is.
func (o Outbox) Discard(ctx context.Context, deletes []backup.Write) error {
	for len(deletes) > 0 {
		now := deletes[:min(len(deletes), backup.MostWrites)]
		_, err := o.Catalog.Apply(ctx, now...)
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

// Report says which events have not reached their queues.
type Report struct {
	// Waiting counts events, and resources with events, that wait for a queue to take them: at most 1,000.
	Waiting int
	// Undeliverable counts the events that were given up since the beginning, and Last names the last one, with the reason; "" if
	// there was none.
	Undeliverable int
	Last          string
}

// Look says which events wait, and how many were given up. It costs one request.
func (o Outbox) Look(ctx context.Context) (Report, error) {
	rows, _, err := o.Catalog.List(ctx, backup.SchedulePartition, backup.UndeliverableKey.Row, backup.Behind(backup.UnpublishedPrefix), 1000)
	if err != nil {
		return Report{}, fmt.Errorf("list the events that wait: %w", err)
	}
	var report Report
	for _, row := range rows {
		if row.Key != backup.UndeliverableKey {
			report.Waiting++
			continue
		}
		count, err := backup.Decode[undeliverable](row)
		if err != nil {
			return Report{}, err
		}
		report.Undeliverable = count.Count
		report.Last = fmt.Sprintf("%s of %s to %s: %s", count.ID, count.Time.Format(time.RFC3339), count.To, count.Why)
	}
	return report, nil
}

// Has tells the rows of events from other rows.
func Has(row string) bool { return strings.HasPrefix(row, backup.OutboxPrefix) }
