package handler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// poisonQueues are the queues for messages that the host gives up, by the functions that handle them.
var poisonQueues = map[string]string{
	"deadletter-execute": backup.ExecuteQueue + backup.Poison, "deadletter-restore": backup.RestoreQueue + backup.Poison,
	"deadletter-backup": backup.BackupQueue + backup.Poison,
}

const (
	// poisonLife is the lifetime of a message there: the host sends it with Azure's default time to live (azure-sdk-for-net,
	// QueueProcessor; Azure's documentation "Put Message").
	poisonLife = 7 * 24 * time.Hour
	// poisonTime is the time limit for a request about one of the queues.
	poisonTime = 10 * time.Second
)

// poison remembers since when messages of the poison queues fail: while the host holds one, for ten minutes after each
// delivery, storage does not show it. When the process ends, the memory is lost, and answers are only less exact.
type poison struct {
	mu sync.Mutex
	// came has the arrival time of the oldest failed message, by queue.
	came map[string]time.Time
}

// failed records whether a message with that arrival time failed, if the function handles a poison queue.
func (p *poison) failed(function string, came time.Time, err error) {
	queue := poisonQueues[function]
	if err == nil || queue == "" || came.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if was := p.came[queue]; was.IsZero() || came.Before(was) {
		if p.came == nil {
			p.came = map[string]time.Time{}
		}
		p.came[queue] = came
	}
}

// first returns the time at which Azure deletes the first message of the queue that is known to have failed; zero if none is.
func (p *poison) first(queue string, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if deleted := p.came[queue].Add(poisonLife); deleted.After(now) {
		return deleted
	}
	return time.Time{}
}

// gone forgets the failed messages of a queue that is empty.
func (p *poison) gone(queue string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.came, queue)
}

// poisoned are the poison queues with messages in them: the host hands each message to its function five times at most, and
// Azure deletes it after a week.
func (h *handler) poisoned(ctx context.Context) (all []api.Poison) {
	for _, function := range slices.Sorted(maps.Keys(poisonQueues)) {
		if v := h.poisonedIn(ctx, function, poisonQueues[function]); v.Reason.Code != "" {
			all = append(all, v)
		}
	}
	return all
}

// poisonedIn checks one of them. There is no reason if it is empty.
func (h *handler) poisonedIn(ctx context.Context, function, queue string) api.Poison {
	v, first := api.Poison{Queue: queue}, time.Time{}
	now := h.Now().UTC()
	if h.Poison != nil {
		ctx, cancel := context.WithTimeout(ctx, poisonTime)
		defer cancel()
		var err error
		switch v.Messages, first, err = h.Poison(ctx, queue); {
		case err != nil:
			v.Reason = api.Problem{Code: "PoisonUnseen", Message: err.Error(), Details: []api.Problem{{Code: "Hint", Message: "See that the app has the " +
				"role Storage Queue Data Contributor on its own storage account, and that the account's firewall admits it."}}}
			return v
		case v.Messages == 0:
			h.poison.gone(queue)
			return v
		}
	}
	if failing := h.poison.first(queue, now); first.IsZero() || !failing.IsZero() && failing.Before(first) {
		first = failing
	}
	v.Deleted = first
	day := "the first of them on " + first.UTC().Format(time.DateOnly)
	switch {
	case first.IsZero() && h.Poison == nil:
		return v // nothing is known of any
	case first.IsZero():
		day = "each of them seven days after it came, the last by " + now.Add(poisonLife).Format(time.DateOnly)
	}
	v.Reason = api.Problem{
		Code: "MessagesPoisoned", Message: "messages that failed five times wait in the queue " + queue + ", and Azure deletes " + day,
		Details: []api.Problem{{Code: "Hint", Message: "See in the log why the function " + function + " fails, and fix the error. The host delivers " +
			"each of them five times within an hour, and never again. Send the remaining messages again; the runbook of dead letters says how."}},
	}
	if v.Messages > 0 {
		v.Reason.Message = fmt.Sprintf("%d %s", v.Messages, v.Reason.Message)
	}
	return v
}

// poisonDetails lists them as details of an error.
func poisonDetails(all []api.Poison) (details []api.Problem) {
	for _, p := range all {
		details = append(details, p.Reason)
	}
	return details
}
