package fakehost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"
)

const (
	plainQueues  = `"messageEncoding": "none", "maxPollingInterval": "00:00:00.2"`
	base64Queues = `"maxPollingInterval": "00:00:00.2"`
)

// queueApp is an app with the function work behind a new queue.
type queueApp struct {
	*app
	queue, poison *azqueue.QueueClient
	name          string

	mu     sync.Mutex
	broken func(*http.Request) int // if the status is not 0, storage answers with it
}

func newQueueApp(t *testing.T, options, members string) *queueApp {
	t.Helper()
	q := &queueApp{name: "q" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	client := storageClient(t)
	q.app = newApp(t, "", `, "functionTimeout": "00:00:30", "extensions": {"queues": {`+options+`}}`, map[string]string{
		"work": `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "item",
			"queueName": "` + q.name + `"` + members + `}]}`,
	})
	q.config.Credential = identity{}
	q.config.Client = &http.Client{Transport: faulty{q, client.Transport}}
	q.queue = newTestQueue(t, q.name)
	q.poison = newTestQueue(t, q.name+poisonSuffix)
	return q
}

// faulty answers instead of storage when the test wants it.
type faulty struct {
	app  *queueApp
	next http.RoundTripper
}

func (f faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	f.app.mu.Lock()
	broken := f.app.broken
	f.app.mu.Unlock()
	if broken != nil {
		if status := broken(r); status != 0 {
			return &http.Response{
				StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Request: r,
				Header: http.Header{"X-Ms-Error-Code": {"AuthorizationPermissionMismatch"}},
			}, nil
		}
	}
	return f.next.RoundTrip(r)
}

func (q *queueApp) breakStorage(f func(*http.Request) int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broken = f
}

func (q *queueApp) send(text string) {
	q.t.Helper()
	if _, err := q.queue.EnqueueMessage(q.t.Context(), text, nil); err != nil {
		q.t.Fatal(err)
	}
}

// count returns the number of messages in a queue, including invisible ones.
func count(t *testing.T, c *azqueue.QueueClient) int {
	t.Helper()
	p, err := c.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return int(*p.ApproximateMessagesCount)
}

func (q *queueApp) awaitCount(c *azqueue.QueueClient, n int) {
	q.t.Helper()
	q.await(fmt.Sprintf("%d messages", n), func() bool { return count(q.t, c) == n })
}

// item returns the value of the queue trigger in a call, and its metadata.
func item(t *testing.T, c call) (value string, metadata map[string]any) {
	t.Helper()
	var body struct {
		Data     map[string]string
		Metadata map[string]any
	}
	if err := json.Unmarshal([]byte(c.body), &body); err != nil {
		t.Fatalf("%s: %v", c.body, err)
	}
	return body.Data["item"], body.Metadata
}

func TestQueueDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ options, members, text, want string }{
		"text":          {plainQueues, "", `{"a":1}`, `"{\"a\":1}"`},
		"bytes":         {plainQueues, `, "dataType": "binary"`, "a<b&\r\nü", "YTxiJg0Kw7w="},
		"base64, text":  {base64Queues, "", "aGk=", `"hi"`},
		"base64, bytes": {base64Queues, `, "dataType": "binary"`, "aGk=", "aGk="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueueApp(t, c.options, c.members)
			q.send(c.text)
			q.start()
			got, metadata := item(t, q.awaitCalls(1)[0])
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if metadata["DequeueCount"] != "1" || metadata["Id"] == "" || len(metadata["InsertionTime"].(string)) != 25 {
				t.Errorf("metadata %v", metadata)
			}
			q.awaitCount(q.queue, 0)
			if n := len(q.received()); n != 1 {
				t.Errorf("%d deliveries", n)
			}
		})
	}
}

// TestQueueFailures: each failure uses up one delivery; after the fifth the message is in the poison queue, unchanged.
func TestQueueFailures(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, base64Queues, "")
	q.answer = func(w http.ResponseWriter, c call) {
		switch len(q.received()) {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			_, _ = w.Write([]byte("text/plain"))
		case 3:
			w.Header().Set(doHeader, "exit 200") // the handler dies, and the message is free at once
		default:
			reply200(w, "not JSON")
		}
	}
	q.send("aGk=")
	q.start()
	q.awaitCount(q.poison, 1)
	q.awaitCount(q.queue, 0)
	calls := q.received()
	if len(calls) != 5 {
		t.Errorf("%d deliveries", len(calls))
	}
	for i, c := range calls {
		if _, metadata := item(t, c); metadata["DequeueCount"] != fmt.Sprint(i+1) {
			t.Errorf("delivery %d has DequeueCount %v", i+1, metadata["DequeueCount"])
		}
	}
	m, err := q.poison.DequeueMessage(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Messages[0]; *got.MessageText != "aGk=" || *got.DequeueCount != 1 {
		t.Errorf("the poison queue has %q, delivered %d times", *got.MessageText, *got.DequeueCount)
	}
}

func TestQueueVisibilityTimeoutAfterFailure(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues+`, "visibilityTimeout": "00:00:02"`, "")
	q.answer = func(w http.ResponseWriter, c call) {
		if len(q.received()) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		succeed(w)
	}
	q.send("x")
	q.start()
	calls := q.awaitCalls(2)
	if between := calls[1].at.Sub(calls[0].at); between < time.Second { // storage counts in whole seconds
		t.Errorf("delivered again after %s", between)
	}
	q.awaitCount(q.queue, 0)
}

func TestQueueUndecodableMessageIsPoison(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, base64Queues, "")
	q.send(`{"not": "base64"}`)
	q.start()
	q.awaitCount(q.poison, 1)
	q.awaitCount(q.queue, 0)
	if n := len(q.received()); n != 0 {
		t.Errorf("the handler saw it %d times", n)
	}
}

// TestQueueTooManyDeliveries: a message is never invoked if others received it too often already.
func TestQueueTooManyDeliveries(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues+`, "maxDequeueCount": 1`, "")
	q.send("x")
	if _, err := q.queue.DequeueMessage(t.Context(), &azqueue.DequeueMessageOptions{VisibilityTimeout: new(int32(1))}); err != nil {
		t.Fatal(err)
	}
	q.start()
	q.awaitCount(q.poison, 1)
	q.awaitCount(q.queue, 0)
	if n := len(q.received()); n != 0 {
		t.Errorf("the handler saw it %d times", n)
	}
}

func TestPoisonQueueIsMadeOnDemand(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues+`, "maxDequeueCount": 1`, "")
	if _, err := q.poison.Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	q.answer = func(w http.ResponseWriter, _ call) { w.WriteHeader(http.StatusInternalServerError) }
	q.send("x")
	q.start()
	q.awaitCount(q.queue, 0)
	if n := count(t, q.poison); n != 1 {
		t.Errorf("%d messages in the poison queue", n)
	}
}

// TestPoisonQueueHasNone: a failed message of a poison queue comes back when its lease ends, whatever visibilityTimeout says.
// After its last delivery it circles without being invoked, deleted or moved.
func TestPoisonQueueHasNone(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues+`, "maxDequeueCount": 2`, "")
	q.write("work/function.json", `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "item",
		"queueName": "`+q.name+poisonSuffix+`"}]}`)
	q.config.Lease = 2 * time.Second
	q.answer = func(w http.ResponseWriter, _ call) { w.WriteHeader(http.StatusInternalServerError) }
	if _, err := q.poison.EnqueueMessage(t.Context(), "x", nil); err != nil {
		t.Fatal(err)
	}
	q.start()
	calls := q.awaitCalls(2)
	if between := calls[1].at.Sub(calls[0].at); between < time.Second {
		t.Errorf("delivered again after %s, before the lease ended", between)
	}
	q.await("deliveries that nobody sees", func() bool {
		m, err := q.poison.PeekMessage(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(m.Messages) == 1 && *m.Messages[0].DequeueCount > 3
	})
	if n := len(q.received()); n != 2 {
		t.Errorf("%d invocations", n)
	}
}

// TestQueueLeaseIsRenewed: work may last longer than the lease.
func TestQueueLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	q.config.Lease = 2 * time.Second
	q.answer = func(w http.ResponseWriter, _ call) {
		time.Sleep(5 * time.Second)
		succeed(w)
	}
	q.send("x")
	q.start()
	q.awaitCount(q.queue, 0)
	if n := len(q.received()); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

func TestQueueBatches(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues+`, "batchSize": 2, "newBatchThreshold": 1`, "")
	var running, most atomic.Int32
	q.answer = func(w http.ResponseWriter, _ call) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(100 * time.Millisecond)
		running.Add(-1)
		succeed(w)
	}
	const messages = 12
	for i := range messages {
		q.send(fmt.Sprint(i))
	}
	q.start()
	q.awaitCount(q.queue, 0)
	if n := most.Load(); n > 3 || n < 2 {
		t.Errorf("%d messages at once, want up to batchSize + newBatchThreshold", n)
	}
	if n := len(q.received()); n != messages {
		t.Errorf("%d deliveries", n)
	}
}

func TestQueueMayBeMissing(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	if _, err := q.queue.Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	q.start()
	if _, err := q.queue.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	q.send("x")
	q.awaitCalls(1)
	q.awaitCount(q.queue, 0)
}

func TestStorageErrorsStopTheHost(t *testing.T) {
	t.Parallel()
	on := func(method, part string) func(q *queueApp, r *http.Request) bool {
		return func(q *queueApp, r *http.Request) bool {
			return r.Method == method && strings.Contains(r.URL.Path, strings.ReplaceAll(part, "QUEUE", q.name))
		}
	}
	for name, c := range map[string]struct {
		where func(q *queueApp, r *http.Request) bool
		fails bool // the invocation
	}{
		"exists":  {on("GET", "/QUEUE"), false},
		"receive": {on("GET", "/QUEUE/messages"), false},
		"delete":  {on("DELETE", "/QUEUE/messages/"), false},
		"release": {on("PUT", "/QUEUE/messages/"), true},
		"poison":  {on("POST", "/QUEUE-poison/messages"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueueApp(t, plainQueues+`, "maxDequeueCount": 2`, "")
			q.breakStorage(func(r *http.Request) int {
				if c.where(q, r) {
					return http.StatusForbidden
				}
				return 0
			})
			if c.fails {
				q.answer = func(w http.ResponseWriter, _ call) { w.WriteHeader(http.StatusInternalServerError) }
			}
			q.send("x")
			q.start()
			if err := q.awaitDown(); err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("the host went down for %v", err)
			}
			if n := count(t, q.queue); n != 1 {
				t.Errorf("%d messages in the queue", n)
			}
		})
	}
}

func TestServerErrorsOnReceiveAreWaitedOut(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	var failures atomic.Int32
	q.breakStorage(func(r *http.Request) int {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/messages") && failures.Add(1) <= 5 { // more than the SDK's retries
			return http.StatusServiceUnavailable
		}
		return 0
	})
	q.send("x")
	q.start()
	q.awaitCount(q.queue, 0)
	if q.Err() != nil || len(q.received()) != 1 {
		t.Errorf("%d deliveries, %v", len(q.received()), q.Err())
	}
}

func TestStopLetsMessagesFinish(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	release := make(chan struct{})
	q.answer = func(w http.ResponseWriter, c call) {
		select {
		case <-release:
		case <-c.Context().Done():
		}
		succeed(w)
	}
	q.send("x")
	q.start()
	q.awaitCalls(1)
	stopped := make(chan error, 1)
	go func() { stopped <- q.Stop() }()
	select {
	case err := <-stopped:
		t.Errorf("Stop did not wait for the message: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(release)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := count(t, q.queue); n != 0 {
		t.Errorf("%d messages left", n)
	}
}

// TestMessageOfADeadHostComesBackLate: a message that is still in the handler when the grace is over is not released.
func TestMessageOfADeadHostComesBackLate(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	q.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "hang") }
	q.send("x")
	q.start()
	q.awaitCalls(1)
	if err := q.Stop(); err != nil {
		t.Error(err)
	}
	m, err := q.queue.PeekMessage(t.Context(), nil)
	if err != nil || len(m.Messages) != 0 {
		t.Errorf("the message is visible: %v, %v", m.Messages, err)
	}
	if n := count(t, q.queue); n != 1 {
		t.Errorf("%d messages in the queue", n)
	}
}

func TestQueueOutputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options, want string
	}{"plain": {plainQueues, "hello"}, "base64": {base64Queues, "aGVsbG8="}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueueApp(t, c.options, "")
			q.write("work/function.json", `{"bindings": [
				{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 0 29 2 *"},
				{"type": "queue", "direction": "out", "name": "first", "queueName": "`+q.name+`"},
				{"type": "queue", "direction": "out", "name": "second", "queueName": "`+q.name+`new"}]}`)
			q.answer = func(w http.ResponseWriter, _ call) {
				reply200(w, `{"Outputs": {"first": ["hello", "hello"], "second": ["hello"], "unknown": 1}}`)
			}
			q.start()
			if err := q.invoke("work"); err != nil {
				t.Fatal(err)
			}
			if n := count(t, q.queue); n != 2 {
				t.Errorf("%d messages in the first queue", n)
			}
			m, err := newTestQueue(t, q.name+"new").PeekMessage(t.Context(), nil) // the host has created the missing queue
			if err != nil || len(m.Messages) != 1 || *m.Messages[0].MessageText != c.want {
				t.Errorf("the second queue has %v, %v", m.Messages, err)
			}
		})
	}
}

func TestQueueOutputFailureFailsTheInvocation(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, "")
	q.write("work/function.json", `{"bindings": [
		{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 0 29 2 *"},
		{"type": "queue", "direction": "out", "name": "out", "queueName": "`+q.name+`"}]}`)
	var answer atomic.Value
	q.answer = func(w http.ResponseWriter, _ call) { reply200(w, answer.Load().(string)) }
	q.start()
	large, err := json.Marshal(string(bytes.Repeat([]byte("-"), 64<<10+1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"Outputs": {"out": [` + string(large) + `]}}`, `{"Outputs": {"out": "{a}"}}`} {
		answer.Store(text)
		if err := q.invoke("work"); err == nil {
			t.Errorf("%.40s: the invocation succeeded", text)
		}
	}
	if n := count(t, q.queue); n != 0 || q.Err() != nil {
		t.Errorf("%d messages, %v", n, q.Err())
	}
}

func TestQueueOutputWakesTheListener(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, `"messageEncoding": "none", "maxPollingInterval": "01:00:00"`, "")
	q.write("feed/function.json", `{"bindings": [
		{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 0 29 2 *"},
		{"type": "queue", "direction": "out", "name": "out", "queueName": "`+q.name+`"}]}`)
	q.answer = func(w http.ResponseWriter, c call) {
		if c.URL.Path == "/feed" {
			reply200(w, `{"Outputs": {"out": ["x"]}}`)
			return
		}
		succeed(w)
	}
	q.start()
	if err := q.invoke("feed"); err != nil {
		t.Fatal(err)
	}
	q.awaitCalls(2)
	q.awaitCount(q.queue, 0)
}

// TestToldOfMessages: a host that Look tells about messages polls at the longest interval only, directly after a message too.
func TestToldOfMessages(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, `"messageEncoding": "none", "maxPollingInterval": "01:00:00"`, "")
	q.config.Notified = true
	var polls atomic.Int64
	q.breakStorage(func(r *http.Request) int {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/messages") {
			polls.Add(1)
		}
		return 0
	})
	q.start()
	q.await("the first poll", func() bool { return polls.Load() == 1 })
	q.send("x")
	q.Look(q.name)
	q.awaitCalls(1)
	q.awaitCount(q.queue, 0)
	time.Sleep(time.Second) // without Told the host polls three times in it
	if n := polls.Load(); n != 3 {
		t.Errorf("%d polls, want one at the start, one that finds the message, and one that finds no other", n)
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{most: 2 * time.Second}
	for range 10_000 { // the delays are random: each reset rolls them anew
		last := time.Duration(0)
		for i := range 10 {
			d := b.next()
			if i == 0 && d != shortestPollingInterval || d < last || d > b.most {
				t.Fatalf("delay %d is %s after %s", i, d, last)
			}
			last = d
		}
		if last != b.most {
			t.Fatalf("the delay ends at %s", last)
		}
		b.reset()
	}
}

func TestPoisonName(t *testing.T) {
	for name, want := range map[string]string{
		"execute": "execute-poison", "execute-poison": "", strings.Repeat("a", 56): strings.Repeat("a", 56) + "-poison",
		strings.Repeat("a", 57): "",
	} {
		if got := poisonName(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
