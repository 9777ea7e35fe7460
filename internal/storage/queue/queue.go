// Package queue sends wake-ups and events through Azure Queue Storage.
package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/storage/message"
)

// Queue is a [backup.Queue] on two queues of a storage account, as plain text: the host must be set to messageEncoding
// none. It makes a queue when it is missing. Its methods may be called from any goroutine.
type Queue struct {
	service *azqueue.ServiceClient
	source  string
}

// New returns a queue whose events have the source: a URI reference that says which Lifeboat they come from.
func New(service *azqueue.ServiceClient, source string) *Queue {
	return &Queue{service: service, source: source}
}

// Wake implements [backup.Queue].
func (q *Queue) Wake(ctx context.Context, w backup.Wakeup, delay time.Duration) error {
	seconds, err := message.Seconds(delay)
	if err != nil {
		return fmt.Errorf("wake run %s: %w", w.Run, err)
	}
	text, err := message.Wakeup(w)
	if err != nil {
		return fmt.Errorf("wake run %s: %w", w.Run, err)
	}
	return q.send(ctx, message.Execute, text, seconds)
}

// Publish implements [backup.Queue].
func (q *Queue) Publish(ctx context.Context, e backup.Event) error {
	text, err := message.Event(q.source, e)
	if err != nil {
		return fmt.Errorf("%w: %w", backup.ErrUndeliverable, err)
	}
	err = q.send(ctx, cmp.Or(e.To, message.Events), text, 0)
	// A role may be given yet, and a queue made again; a message or a name that is wrong stays so.
	if no, ok := errors.AsType[refusal](err); ok && slices.Contains(hopeless, no.status) {
		return fmt.Errorf("%w: %w", backup.ErrUndeliverable, err)
	}
	return err
}

// Requeue implements [backup.Queue].
func (q *Queue) Requeue(ctx context.Context, queue string, text []byte, delay time.Duration) error {
	seconds, err := message.Seconds(delay)
	if err != nil {
		return fmt.Errorf("send to queue %s: %w", queue, err)
	}
	return q.send(ctx, queue, text, seconds)
}

// Poison says how many messages are in a queue, none if there is no such queue, and when Azure deletes the first of those that
// nobody has taken for the moment; zero if all are taken, since then Azure shows none of them. It changes nothing, and costs one
// request, and one more if there are any.
func (q *Queue) Poison(ctx context.Context, name string) (n int, first time.Time, err error) {
	client := q.service.NewQueueClient(name)
	properties, err := client.GetProperties(ctx, nil)
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		return 0, first, nil
	}
	if err != nil {
		return 0, first, fmt.Errorf("count the messages of queue %s: %w", name, plain(err))
	}
	if properties.ApproximateMessagesCount == nil || *properties.ApproximateMessagesCount == 0 {
		return 0, first, nil
	}
	most := int32(32)
	seen, err := client.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: &most})
	if err != nil {
		return 0, first, fmt.Errorf("look at the messages of queue %s: %w", name, plain(err))
	}
	for _, m := range seen.Messages {
		if m.ExpirationTime != nil && (first.IsZero() || m.ExpirationTime.Before(first)) {
			first = *m.ExpirationTime
		}
	}
	return int(*properties.ApproximateMessagesCount), first, nil
}

// hopeless are the answers that a repeat of the same message gets as well.
var hopeless = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}

// forever is the time to live of a message that waits until it is received; the default would be 7 days.
const forever int32 = -1

// send makes the queue and sends again if there is none.
func (q *Queue) send(ctx context.Context, name string, text []byte, seconds int32) error {
	client, expires := q.service.NewQueueClient(name), forever
	options := &azqueue.EnqueueMessageOptions{TimeToLive: &expires, VisibilityTimeout: &seconds}
	_, err := client.EnqueueMessage(ctx, string(text), options)
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		// Two that make it at once both succeed: Azure answers 204 where it exists already.
		if _, err := client.Create(ctx, nil); err != nil && !queueerror.HasCode(err, queueerror.QueueAlreadyExists) {
			return fmt.Errorf("create queue %s: %w", name, plain(err))
		}
		_, err = client.EnqueueMessage(ctx, string(text), options)
	}
	if err != nil {
		return fmt.Errorf("send to queue %s: %w", name, plain(err))
	}
	return nil
}

// plain says in one line what Azure answered. The SDK's own text is a page, with URLs in it.
func plain(err error) error {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	no := refusal{status: response.StatusCode, code: response.ErrorCode}
	if response.RawResponse != nil { // else the code must do
		said := azure.ReadBody(response.RawResponse)
		no.words, no.request = said.Message, said.RequestID
	}
	return no
}

// refusal is what Azure answered.
type refusal struct {
	status               int
	code, words, request string
}

func (r refusal) Error() string {
	return fmt.Sprintf("answer %d %s of Azure Queue Storage: %s", r.status, r.code, r.words) + azure.Asked(r.request)
}
