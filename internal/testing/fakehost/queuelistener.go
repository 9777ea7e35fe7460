package fakehost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// poisonSuffix ends the name of a poison queue.
const poisonSuffix = "-poison"

// queueListener passes the messages of a queue to a function (azure-sdk-for-net, QueueListener and QueueProcessor).
type queueListener struct {
	*life
	function *function
	queue    *queue
	// poison receives the messages that failed too often. A poison queue has none itself, nor has a queue with a name that is
	// too long.
	poison *queue

	mu     sync.Mutex
	active int
	less   chan struct{} // receives when a message is done
}

func newQueueListener(l *life, f *function) *queueListener {
	return &queueListener{
		life: l, function: f, less: make(chan struct{}, 1),
		queue:  l.opened[queueKey(f.trigger.Connection, f.trigger.QueueName)],
		poison: l.opened[queueKey(f.trigger.Connection, poisonName(f.trigger.QueueName))],
	}
}

// poisonName returns the name of the poison queue, or "" if there can be none.
func poisonName(name string) string {
	poison := name + poisonSuffix
	if strings.HasSuffix(name, poisonSuffix) || !validQueueName(poison) {
		return ""
	}
	return poison
}

// run polls until the host stops: at once after a batch, else with a growing delay. A storage error other than a missing
// queue or a problem of storage itself stops the host.
func (q *queueListener) run() {
	delay := backoff{most: q.queues.maxPollingInterval, longest: q.told}
	exists := false
	for q.awaitThreshold() {
		found, err := q.poll(&exists)
		switch {
		case q.broken.Err() != nil:
			return
		case err != nil && !isMissing(err) && !isServerSide(err):
			q.fail(fmt.Errorf("function %s: receive from queue %s: %w", q.function.name, q.queue.name, err))
			return
		case err != nil:
			exists = false
			q.log.say(Warning, categoryTriggers, "Function %s: receive from queue %s: %v", q.function.name, q.queue.name, err)
		case found:
			if !q.told {
				delay.reset()
			}
			continue
		}
		timer := time.NewTimer(delay.next())
		select {
		case <-timer.C:
		case <-q.queue.wake:
		case <-q.stopping.Done():
		}
		timer.Stop()
	}
}

// poll receives a batch and starts its work. A stop does not interrupt it: received messages would be lost and invisible until
// the lease ends.
func (q *queueListener) poll(exists *bool) (found bool, err error) {
	if !*exists {
		if *exists, err = q.queue.exists(q.broken); err != nil || !*exists {
			return false, err
		}
	}
	batch, err := q.queue.receive(q.broken, q.queues.batchSize, q.lease)
	if err != nil {
		return false, err
	}
	for _, m := range batch {
		if !q.enter() {
			continue // cannot be: the host closes after its listeners
		}
		q.count(1)
		go func() {
			defer q.running.Done()
			defer q.count(-1)
			err := q.process(m)
			if err != nil && q.broken.Err() == nil {
				q.fail(fmt.Errorf("function %s: message %s of queue %s: %w", q.function.name, m.id, q.queue.name, err))
			}
		}()
	}
	return len(batch) > 0, nil
}

func (q *queueListener) count(n int) {
	q.mu.Lock()
	q.active += n
	q.mu.Unlock()
	select {
	case q.less <- struct{}{}:
	default:
	}
}

// awaitThreshold waits until at most newBatchThreshold messages are being worked on; false means that the host stops.
func (q *queueListener) awaitThreshold() bool {
	for q.stopping.Err() == nil {
		q.mu.Lock()
		enough := q.active <= q.queues.newBatchThreshold
		q.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-q.less:
		case <-q.stopping.Done():
		}
	}
	return false
}

// process handles one delivery of a message. Its error comes from storage, and stops the host.
func (q *queueListener) process(m *message) error {
	if m.dequeueCount > q.queues.maxDequeueCount || m.invalidEncoding {
		return q.bury(m)
	}
	stopRenewing := q.renew(m)
	data := metadata(q.function, m)
	_, failure := q.invoke(q.function, messageValue(q.function, m.body, data), data)
	if err := stopRenewing(); err != nil {
		return err
	}
	switch {
	case q.broken.Err() != nil:
		return nil // the host is dead: the message comes back when its lease ends
	case failure == nil:
		return ignore(q.queue.delete(q.broken, m), isTaken)
	case q.poison == nil:
		return nil // neither released nor deleted: it comes back when its lease ends
	case m.dequeueCount >= q.queues.maxDequeueCount && !errors.Is(failure, errShuttingDown):
		return q.bury(m)
	default:
		return ignore(q.queue.hide(q.broken, m, q.queues.visibilityTimeout), isTaken)
	}
}

// bury moves a message to the poison queue as it is. If there is none, it does nothing.
func (q *queueListener) bury(m *message) error {
	if q.poison == nil {
		return nil
	}
	q.log.say(Warning, categoryTriggers, "Message %s of queue %s has reached MaxDequeueCount of %d or cannot be decoded: "+
		"moving it to %s", m.id, q.queue.name, q.queues.maxDequeueCount, q.poison.name)
	if err := q.poison.sendRaw(q.broken, m.text); err != nil {
		return err
	}
	return ignore(q.queue.delete(q.broken, m), isTaken)
}

// renew keeps a message invisible while it is processed: every half of the lease, sooner after a problem of storage. The
// returned func ends that, and returns an error if the host has to stop.
func (q *queueListener) renew(m *message) (end func() error) {
	ctx, cancel := context.WithCancel(q.broken)
	done := make(chan error, 1)
	go func() {
		interval := q.lease / 2
		for pause(ctx, interval) {
			interval = q.lease / 2
			// A stop does not interrupt the request: the new pop receipt would be lost.
			switch err := q.queue.hide(q.broken, m, q.lease); {
			case err == nil:
			case isTaken(err):
				done <- nil
				return
			case isServerSide(err):
				interval = q.lease / 10
			default:
				if q.broken.Err() == nil {
					err = fmt.Errorf("renew the lease: %w", err)
					q.fail(err)
				}
				done <- err
				return
			}
		}
		done <- nil
	}()
	return func() error {
		cancel()
		return <-done
	}
}

// messageValue returns a body as bytes if the binding says so, or else as text, and adds the text's own members to the binding
// data.
func messageValue(f *function, body []byte, metadata bindingData) any {
	if f.trigger.binary() {
		return body
	}
	metadata.merge(body)
	return string(body)
}

// metadata returns the host's facts about a message.
func metadata(f *function, m *message) bindingData {
	d := sys(f)
	d["DequeueCount"] = m.dequeueCount
	d["ExpirationTime"] = m.expires
	d["Id"] = m.id
	d["InsertionTime"] = m.inserted
	d["NextVisibleTime"] = m.visible
	d["PopReceipt"] = m.popReceipt
	return d
}

// sendOutputs writes the queue bindings, all at once and not atomically, before the invocation counts as done.
func (l *life) sendOutputs(f *function, r result) error {
	var group sync.WaitGroup
	errs := make([]error, len(f.outputs))
	for i, b := range f.outputs {
		if b.Type != queueOutput {
			continue
		}
		messages, err := queueMessages(b, r.output(f, b.Name))
		if err != nil {
			return fmt.Errorf("output binding %q: %w", b.Name, err)
		}
		group.Go(func() {
			for _, body := range messages {
				errs[i] = errors.Join(errs[i], l.opened[queueKey(b.Connection, b.QueueName)].send(l.broken, body))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// backoff computes the randomised exponential delay between empty polls (RandomizedExponentialBackoffStrategy).
type backoff struct {
	most     time.Duration
	exponent int
	longest  bool // the delay is the longest and, whatever the random value, stays so
}

const shortestPollingInterval = 100 * time.Millisecond

func (b *backoff) reset() { b.exponent, b.longest = 0, false }

func (b *backoff) next() time.Duration {
	if b.longest {
		return b.most
	}
	delay := shortestPollingInterval
	if b.exponent > 0 {
		spread := 0.8 + 0.4*rand.Float64()
		delay += time.Duration(spread * float64(shortestPollingInterval<<(b.exponent-1)))
	}
	if delay >= b.most {
		b.longest = true
		return b.most
	}
	b.exponent++
	return delay
}

// ignore returns the error, or nil if it is harmless.
func ignore(err error, harmless func(error) bool) error {
	if harmless(err) {
		return nil
	}
	return err
}
