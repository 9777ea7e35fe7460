// Package queue sends step messages and events through Azure Queue Storage, and events to a topic of Event Grid if there is one.
package queue

import (
	"context"
	"encoding/base64"
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

// Queue is a [backup.Queue] on the queues of a storage account, as plain text: the host must be set to messageEncoding none.
// It creates a missing queue. Its methods may be called from any goroutine.
type Queue struct {
	// Base64 says that events and answers are sent in base64, for readers that expect that. Step messages are not.
	Base64 bool
	// Topic takes the events that name no queue, as plain JSON, in place of [backup.EventsQueue]; nil if that queue has readers.
	Topic *azure.Topic

	service *azqueue.ServiceClient
	source  string
}

// New returns a queue whose events have the source: a URI reference that says which Lifeboat sends them.
func New(service *azqueue.ServiceClient, source string) *Queue {
	return &Queue{service: service, source: source}
}

// SendStep implements [backup.Queue].
func (q *Queue) SendStep(ctx context.Context, m backup.StepMessage, delay time.Duration) error {
	seconds, err := message.Seconds(delay)
	if err != nil {
		return fmt.Errorf("wake run %s: %w", m.Run, err)
	}
	text, err := message.StepMessage(m)
	if err != nil {
		return fmt.Errorf("wake run %s: %w", m.Run, err)
	}
	return q.send(ctx, backup.ExecuteQueue, text, seconds)
}

// Publish implements [backup.Queue].
func (q *Queue) Publish(ctx context.Context, e backup.Event) error {
	text, err := message.Event(q.source, e)
	if err != nil {
		return fmt.Errorf("%w: %w", backup.ErrUndeliverable, err)
	}
	switch {
	case q.Topic != nil && e.Queue() == backup.EventsQueue:
		err = q.publish(ctx, text)
	case q.Base64:
		err = q.send(ctx, e.Queue(), base64.StdEncoding.AppendEncode(nil, text), 0)
	default:
		err = q.send(ctx, e.Queue(), text, 0)
	}
	// Other failures may end: an operator may still assign a role, a queue may be created again, and another topic may be named. A
	// wrong message or name stays wrong.
	if no, ok := errors.AsType[refusal](err); ok && slices.Contains(hopeless, no.status) && !azure.OtherSchema(no.words) {
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

// Poison returns the number of messages in a queue, 0 if the queue does not exist, and the time when Azure deletes the first
// visible one. The time is zero if all messages are being processed, since Azure then shows none of them. Poison changes
// nothing; it costs one request, and a second if there are messages.
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

// Look reads, changes and deletes in the queues that the app reads and sends to, in a way that does nothing: there is no such message. It
// returns a fault for each queue that the app may not use.
func (q *Queue) Look(ctx context.Context) (found []*backup.Fault) {
	names := []string{backup.ExecuteQueue, backup.RestoreQueue, backup.BackupQueue}
	if q.Topic == nil {
		names = append(names, backup.EventsQueue)
	}
	for _, name := range names {
		client := q.service.NewQueueClient(name)
		const message, receipt = "00000000-0000-4000-8000-000000000000", "AgAAAAMAAAAAAAAAAAAAAAAAAAA="
		_, err := client.PeekMessages(ctx, nil)
		if err == nil {
			_, err = client.UpdateMessage(ctx, message, receipt, "", nil)
		}
		if queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch, queueerror.QueueNotFound) {
			_, err = client.DeleteMessage(ctx, message, receipt, nil)
		}
		if err == nil || queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch, queueerror.QueueNotFound) {
			continue
		}
		f := &backup.Fault{Kind: backup.Unobservable, Code: "Unreachable", Message: fmt.Sprintf("look at queue %s: %v", name, plain(err))}
		// A firewall answers 403 as well, with a code of its own.
		if azure.LacksRole(err) && !azure.ShutOut(err) {
			f.Kind, f.Code = backup.Refused, "RoleMissing"
			f.Hint = "Give the app's identity the role Storage Queue Data Contributor on its storage account, or on the queue."
		}
		found = append(found, f)
	}
	return found
}

// LookAtTopic asks the topic of Event Grid to take no events, if there is a topic, and returns a fault if the app may send it none. The
// topic says 401 to an identity without the role; any answer about the batch says that it let the question pass.
func (q *Queue) LookAtTopic(ctx context.Context) []*backup.Fault {
	if q.Topic == nil {
		return nil
	}
	err := q.Topic.Ask(ctx)
	if err == nil {
		return nil
	}
	err = refused(err, "Event Grid")
	no, _ := errors.AsType[refusal](err)
	f := &backup.Fault{Kind: backup.Refused, Message: fmt.Sprintf("look at the topic %s: %v", q.Topic, err)}
	switch {
	case no.status == http.StatusUnauthorized:
		f.Code, f.Hint = "RoleMissing", "Give the app's identity the role EventGrid Data Sender on the topic."
	case no.status == http.StatusNotFound:
		f.Code, f.Hint = "TopicNotFound", "Correct the app setting LIFEBOAT_EVENTS_TOPIC: there is no topic at that address."
	case azure.OtherSchema(no.words):
		f.Code, f.Hint = "OtherSchema", "Make a topic for CloudEvents (inputSchema CloudEventSchemaV1_0): a topic keeps its schema for its life."
	case no.status == http.StatusBadRequest:
		return nil
	default: // no answer, or one of a firewall: that says nothing of the role
		f.Kind, f.Code = backup.Unobservable, "Unreachable"
	}
	return []*backup.Fault{f}
}

// hopeless lists the statuses that every repetition of the same message would get too.
var hopeless = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}

// forever is the time to live of a message that waits until it is received. The default would be 7 days.
const forever int32 = -1

// publish sends an event to the topic.
func (q *Queue) publish(ctx context.Context, text []byte) error {
	if err := q.Topic.Send(ctx, text); err != nil {
		return fmt.Errorf("publish to the topic %s: %w", q.Topic, refused(err, "Event Grid"))
	}
	return nil
}

// send sends a message. If there is no queue it creates it and sends again.
func (q *Queue) send(ctx context.Context, name string, text []byte, seconds int32) error {
	client, expires := q.service.NewQueueClient(name), forever
	options := &azqueue.EnqueueMessageOptions{TimeToLive: &expires, VisibilityTimeout: &seconds}
	_, err := client.EnqueueMessage(ctx, string(text), options)
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		// Two processes may create it at once, and both succeed: Azure answers 204 if it exists already.
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

// plain returns the storage's answer in one line.
func plain(err error) error { return refused(err, "Azure Queue Storage") }

// refused returns a service's answer in one line. The SDK's own text is a page, with URLs in it.
func refused(err error, service string) error {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	no := refusal{service: service, status: response.StatusCode, code: response.ErrorCode}
	if response.RawResponse != nil { // otherwise there is only the code
		said := azure.ReadBody(response.RawResponse)
		no.words, no.request = said.Message, said.RequestID
	}
	return no
}

// refusal is Azure's answer to a request that it refused.
type refusal struct {
	service              string
	status               int
	code, words, request string
}

func (r refusal) Error() string {
	return r.Answer() + ": " + r.words + azure.Asked(r.request)
}

// Answer returns Azure's answer without its words, for anybody.
func (r refusal) Answer() string {
	return fmt.Sprintf("answer %d %s of %s", r.status, r.code, r.service)
}
