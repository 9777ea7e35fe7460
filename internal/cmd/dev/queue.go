package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// These are the queues for other systems: the last one receives the answers about restores.
const (
	requestsQueue = "restore-requests"
	eventsQueue   = "lifeboat-events"
	answersQueue  = "answers"
)

// event is a CloudEvent, as far as the demo reads it.
type event struct {
	ID, Type, Subject string
	Data              struct {
		Request, Run string
		Created      time.Time `json:"createdDateTime"`
		Ended        time.Time `json:"endedDateTime"`
		SafetyBackup string
		Reason       struct{ Code, Message, Hint string }
	}

	text string
}

// word returns the last word of the type: the result.
func (e event) word() string { return e.Type[strings.LastIndex(e.Type, ".")+1:] }

// last tells whether no other answer follows.
func (e event) last() bool {
	switch e.word() {
	case "accepted", "waiting", "started":
		return false
	}
	return true
}

func (s *scene) options() azcore.ClientOptions {
	return azcore.ClientOptions{Transport: s.Sim.Client()}
}

// queue returns a client of one of the app's queues, for one of the identities.
func (s *scene) queue(identity, name string) (*azqueue.QueueClient, error) {
	return azqueue.NewQueueClient("https://"+appAccount+".queue.core.windows.net/"+name, s.Sim.Credential(identity),
		&azqueue.ClientOptions{ClientOptions: s.options()})
}

// receive removes all events from a queue. The queue need not exist yet.
func (s *scene) receive(ctx context.Context, name string) (events []event, err error) {
	queue, err := s.queue(reader, name)
	if err != nil {
		return nil, err
	}
	for {
		page, err := queue.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: to.Ptr(int32(32))})
		if queueerror.HasCode(err, queueerror.QueueNotFound) {
			return nil, nil
		}
		if err != nil || len(page.Messages) == 0 {
			return events, err
		}
		for _, m := range page.Messages {
			var e event
			if err := json.Unmarshal([]byte(*m.MessageText), &e); err != nil {
				return events, fmt.Errorf("a message of %s: %w", name, err)
			}
			e.text = *m.MessageText
			events = append(events, e)
			if _, err := queue.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil {
				return events, err
			}
		}
	}
}

// hear removes the events from lifeboat-events and records them.
func (s *scene) hear(ctx context.Context) error {
	events, err := s.receive(ctx, eventsQueue)
	for _, e := range events {
		s.events[e.ID] = e
	}
	return err
}
