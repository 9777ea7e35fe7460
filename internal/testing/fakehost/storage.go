package fakehost

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// queue is a queue of a storage account, with the encoding of host.json.
type queue struct {
	name   string
	client *azqueue.QueueClient
	base64 bool
	// wake tells the listener in this host about a sent message: it need not wait for its next poll.
	wake chan struct{}
}

// message is one delivery of a message.
type message struct {
	id, popReceipt, text       string
	dequeueCount               int64
	inserted, expires, visible time.Time
	invalidEncoding            bool
	body                       []byte // decoded
}

func openQueue(service, name string, base64 bool, credential azcore.TokenCredential, client *http.Client) (*queue, error) {
	if credential == nil {
		return nil, fmt.Errorf("queue %s: there is no credential for the host's own access to it", name)
	}
	options := &azqueue.ClientOptions{}
	if client != nil {
		options.Transport = client
	}
	c, err := azqueue.NewQueueClient(service+"/"+name, credential, options)
	if err != nil {
		return nil, fmt.Errorf("queue %s at %s: %w", name, service, err)
	}
	return &queue{name: name, client: c, base64: base64, wake: make(chan struct{}, 1)}, nil
}

// exists asks storage for the queue itself, as the listener does before it receives.
func (q *queue) exists(ctx context.Context) (bool, error) {
	_, err := q.client.GetProperties(ctx, nil)
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// receive receives up to n messages and hides them for the time of the lease.
func (q *queue) receive(ctx context.Context, n int, lease time.Duration) ([]*message, error) {
	response, err := q.client.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{
		NumberOfMessages: new(int32(n)), VisibilityTimeout: new(seconds(lease)),
	})
	if err != nil {
		return nil, err
	}
	messages := make([]*message, 0, len(response.Messages))
	for _, m := range response.Messages {
		received := &message{
			id: value(m.MessageID), popReceipt: value(m.PopReceipt), text: value(m.MessageText),
			dequeueCount: value(m.DequeueCount),
			inserted:     value(m.InsertionTime), expires: value(m.ExpirationTime), visible: value(m.TimeNextVisible),
		}
		received.body = []byte(received.text)
		if q.base64 {
			received.body, err = base64.StdEncoding.DecodeString(received.text)
			received.invalidEncoding = err != nil
		}
		messages = append(messages, received)
	}
	return messages, nil
}

// hide makes a message invisible for the time from now on, and saves its new pop receipt. The Go SDK always sends the text
// along; it is the same.
func (q *queue) hide(ctx context.Context, m *message, d time.Duration) error {
	response, err := q.client.UpdateMessage(ctx, m.id, m.popReceipt, m.text,
		&azqueue.UpdateMessageOptions{VisibilityTimeout: new(seconds(d))})
	if err != nil {
		return err
	}
	m.popReceipt = value(response.PopReceipt)
	return nil
}

func (q *queue) delete(ctx context.Context, m *message) error {
	_, err := q.client.DeleteMessage(ctx, m.id, m.popReceipt, nil)
	return err
}

// send adds a message in the encoding of host.json.
func (q *queue) send(ctx context.Context, body []byte) error {
	text := string(body)
	if q.base64 {
		text = base64.StdEncoding.EncodeToString(body)
	}
	return q.sendRaw(ctx, text)
}

// sendRaw adds a message as it is. It creates a missing queue: message first, then queue, then message again.
func (q *queue) sendRaw(ctx context.Context, text string) error {
	_, err := q.client.EnqueueMessage(ctx, text, nil)
	if isMissing(err) {
		if _, err := q.client.Create(ctx, nil); err != nil {
			return fmt.Errorf("create queue %s: %w", q.name, err)
		}
		_, err = q.client.EnqueueMessage(ctx, text, nil)
	}
	if err != nil {
		return fmt.Errorf("send to queue %s: %w", q.name, err)
	}
	q.tell()
	return nil
}

// tell ends the listener's wait for its next poll.
func (q *queue) tell() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// isMissing tells whether there is no such queue, or not any more.
func isMissing(err error) bool {
	return queueerror.HasCode(err, queueerror.QueueNotFound, queueerror.QueueBeingDeleted, queueerror.QueueDisabled)
}

// isTaken tells whether another receiver has the message by now, or it is gone: nothing is left to do with it.
func isTaken(err error) bool {
	return queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch) || isMissing(err)
}

// isServerSide tells whether storage itself has a problem.
func isServerSide(err error) bool {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && response.StatusCode >= http.StatusInternalServerError
}

// seconds returns a visibility timeout as the SDK for .NET sends it, without fractions.
func seconds(d time.Duration) int32 { return int32(d / time.Second) }

// value returns the value of a pointer in the SDK's models; the zero value for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
