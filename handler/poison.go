package handler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	// poisonTime is the time limit for the requests about the queues.
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

// mostReaders is the number of readers' poison queues that health asks about at most: plan.yaml may name any number of queues.
const mostReaders = 20

// poisoned are the poison queues with messages in them: beside Lifeboat's own queues, and beside the queues that others read. It
// asks about all of them at once, within poisonTime.
func (h *handler) poisoned(ctx context.Context, plans []backup.Plan) (all []api.Poison) {
	ctx, cancel := context.WithTimeout(ctx, poisonTime)
	defer cancel()
	read := readQueues(plans)
	functions := slices.Sorted(maps.Keys(poisonQueues))
	found := make([]api.Poison, len(functions)+min(len(read), mostReaders))
	var group sync.WaitGroup
	for i := range found {
		group.Go(func() {
			if i < len(functions) {
				found[i] = h.poisonedIn(ctx, poisonQueues[functions[i]], ownPoison(functions[i]))
			} else if h.Poison != nil {
				queue := read[i-len(functions)]
				found[i] = h.poisonedIn(ctx, queue+backup.Poison, readersPoison(queue))
			}
		})
	}
	group.Wait()
	if len(read) > mostReaders {
		left := read[mostReaders] + backup.Poison
		found = append(found, api.Poison{Queue: left, Reason: api.Problem{Code: "PoisonUnseen", Message: fmt.Sprintf(
			"plan.yaml names %d queues for answers: health does not look at %s, nor at those after it by name", len(read)-1, left)}})
	}
	return slices.DeleteFunc(found, func(p api.Poison) bool { return p.Reason.Code == "" })
}

// readQueues are the queues that other programs read, and that can have a poison queue: first the one of the events, then those for
// answers, by name.
func readQueues(plans []backup.Plan) []string {
	var answers []string
	for _, p := range plans {
		answers = slices.Concat(answers, p.OnDemandReplyTo, p.Restore.ReplyTo)
	}
	slices.Sort(answers)
	answers = slices.Compact(answers)
	const longest = 63 - len(backup.Poison) // a queue has at most 63 characters (Azure's "Naming Queues and Metadata")
	without := func(name string) bool { return len(name) > longest || strings.HasSuffix(name, backup.Poison) }
	return append([]string{backup.EventsQueue}, slices.DeleteFunc(answers, without)...)
}

// ownPoison is the reason for messages in the poison queue of a function of Lifeboat's own, without their number and end.
func ownPoison(function string) api.Problem {
	return api.Problem{
		Code: "MessagesPoisoned", Message: "messages that failed five times wait in the queue " + poisonQueues[function],
		Details: []api.Problem{{Code: "Hint", Message: "See in the log why the function " + function + " fails, and fix the error. The host delivers " +
			"each of them five times within an hour, and never again. Send the remaining messages again; the runbook of dead letters says how."}},
	}
}

// readersPoison is the reason for messages in the poison queue beside a queue that another program reads.
func readersPoison(queue string) api.Problem {
	return api.Problem{
		Code: "EventsPoisoned", Message: "messages that the reader of " + queue + " could not take lie in the queue " + queue + backup.Poison,
		Details: []api.Problem{{Code: "Hint", Message: "A Functions app that reads " + queue + " needs \"messageEncoding\": \"none\" under extensions.queues " +
			"of its host.json: events are plain JSON. If you cannot change the readers, set LIFEBOAT_EVENTS_ENCODING to base64 in Lifeboat's app. " +
			"The messages are as Lifeboat sent them: put them back once the reader takes such messages."}},
	}
}

// poisonedIn checks one of them; why says what its messages mean. There is no reason if it is empty.
func (h *handler) poisonedIn(ctx context.Context, queue string, why api.Problem) api.Poison {
	v, first := api.Poison{Queue: queue}, time.Time{}
	now := h.Now().UTC()
	if h.Poison != nil {
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
	v.Deleted, v.Reason = first, why
	switch {
	case first.IsZero() && h.Poison == nil:
		return api.Poison{} // nothing is known of any
	case first.IsZero():
		v.Reason.Message += ", and Azure deletes each of them seven days after it came, the last by " + now.Add(poisonLife).Format(time.DateOnly)
	case first.After(now.AddDate(1000, 0, 0)): // Azure's word for never
		v.Deleted = time.Time{}
	default:
		v.Reason.Message += ", and Azure deletes the first of them on " + first.UTC().Format(time.DateOnly)
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
