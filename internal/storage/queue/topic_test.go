package queue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/testing/azurite/azuritetest"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

const eventGrid = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/local/providers/Microsoft.EventGrid/"

// startSim starts Azure's side with Event Grid.
func startSim(t *testing.T) *fakeazure.Sim {
	t.Helper()
	sim, err := fakeazure.Start(fakeazure.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// topicOf adds a topic, and returns the app's client of it.
func topicOf(t *testing.T, sim *fakeazure.Sim, topic fakeazure.Topic) *azure.Topic {
	t.Helper()
	address, err := sim.AddTopic(topic)
	if err != nil {
		t.Fatal(err)
	}
	at, err := azure.Public.TopicAt(address)
	if err != nil {
		t.Fatal(err)
	}
	return azure.New(sim.Credential("app"), azcore.ClientOptions{Transport: sim.Client()}).Topic(at)
}

// TestQueueWithTopic: with a topic of either kind, everything else about queues stays as it is.
func TestQueueWithTopic(t *testing.T) {
	for _, kind := range []string{"topics/contoso", "namespaces/contoso/topics/lifeboat"} {
		t.Run(kind, func(t *testing.T) {
			conformance.TestQueue(t, func(t *testing.T) conformance.QueueHarness {
				account, sim := azuritetest.NewAccount(t), startSim(t)
				client := service(t, account, account.Options())
				q := queue.New(client, "https://contoso.example/lifeboat")
				q.Topic = topicOf(t, sim, fakeazure.Topic{ResourceID: eventGrid + kind})
				sim.Assign(sim.ObjectID("app"), eventGrid+kind, fakeazure.EventGridDataSender)
				seen := 0
				return conformance.QueueHarness{
					Queue: q, Now: time.Now, Pass: func() { time.Sleep(50 * time.Millisecond) },
					Receive: func(t *testing.T, name string) (texts []string) {
						if name != backup.EventsQueue {
							return receive(t, client.NewQueueClient(name))
						}
						for _, event := range sim.Published(eventGrid + kind)[seen:] {
							texts = append(texts, string(event))
						}
						seen += len(texts)
						return texts
					},
				}
			})
		})
	}
}

// TestTopicTakesTheEventsAlone: events go to the topic and not to their queue; answers and step messages go to queues, in the encoding of
// queues.
func TestTopicTakesTheEventsAlone(t *testing.T) {
	const id = eventGrid + "topics/contoso"
	account, sim := azuritetest.NewAccount(t), startSim(t)
	client := service(t, account, account.Options())
	q := queue.New(client, "/contoso")
	q.Base64, q.Topic = true, topicOf(t, sim, fakeazure.Topic{ResourceID: id})
	sim.Assign(sim.ObjectID("app"), id, fakeazure.EventGridDataSender)
	e := backup.Event{ID: "e", Type: "lifeboat.of.a.test", Time: time.Now(), Data: []byte(`{}`)}
	for range 2 {
		for _, one := range e.AndTo("answers") {
			if err := q.Publish(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
	}
	if found := q.Look(t.Context()); len(found) != 0 {
		t.Errorf("a look found %v", found)
	}
	published := sim.Published(id)
	for _, text := range published {
		var got struct{ ID, Source, Type string }
		if err := json.Unmarshal(text, &got); err != nil || got.ID != "e" || got.Source != "/contoso" || got.Type != e.Type {
			t.Errorf("%s, %v", text, err)
		}
	}
	if answers := receive(t, client.NewQueueClient("answers")); len(answers) != 2 || strings.HasPrefix(answers[0], "{") || len(published) != 2 {
		t.Errorf("%d events, answers %q", len(published), answers)
	}
	for _, r := range account.Requests(t) {
		if strings.HasPrefix(r.Path, "/"+backup.EventsQueue) {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// place is the host of the topic that [answering] makes.
const place = "contoso.westeurope-1.eventgrid.azure.net"

// answering is a topic that answers each request with the status.
func answering(t *testing.T, status int) *azure.Topic {
	t.Helper()
	at, err := azure.Public.TopicAt("https://" + place + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	transport := roundTrip(func(request *http.Request) (*http.Response, error) {
		body := fmt.Sprintf(`{"error":{"code":"Status%d","message":"Words."}}`, status)
		return &http.Response{
			StatusCode: status, Request: request, Header: http.Header{"Retry-After-Ms": {"1"}}, Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	})
	return azure.New(azuritetest.Identity, azcore.ClientOptions{Transport: &http.Client{Transport: transport}}).Topic(at)
}

// TestTopicRefuses: each refusal says where and why, and only a wrong event is given up.
func TestTopicRefuses(t *testing.T) {
	sim := startSim(t)
	q := queue.New(nil, "urn:test")
	e := backup.Event{ID: "e", Type: "t", Time: time.Now(), Data: []byte(`{}`)}
	q.Topic = topicOf(t, sim, fakeazure.Topic{ResourceID: eventGrid + "topics/contoso"})
	const want = "publish to the topic " + place + ": answer 401 Unauthorized of Event Grid: The principal associated with access token presented " +
		"with the incoming request does not have permission to send data to " + eventGrid + "topics/contoso. Report "
	if err := q.Publish(t.Context(), e); err == nil || errors.Is(err, backup.ErrUndeliverable) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without a role: %v", err)
	}
	q.Topic = topicOf(t, sim, fakeazure.Topic{ResourceID: eventGrid + "topics/grid", EventGridSchema: true})
	sim.Assign(sim.ObjectID("app"), eventGrid+"topics/grid", fakeazure.EventGridDataSender)
	if err := q.Publish(t.Context(), e); err == nil || errors.Is(err, backup.ErrUndeliverable) || !strings.Contains(err.Error(), "'EventGridEvent'") {
		t.Errorf("a topic of another schema: %v", err)
	}
	for status, undeliverable := range map[int]bool{
		400: true, 413: true, 401: false, 403: false, 404: false, 409: false, 415: false, 429: false, 500: false, 503: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			q := queue.New(nil, "urn:test")
			q.Topic = answering(t, status)
			err := q.Publish(t.Context(), e)
			want := fmt.Sprintf("publish to the topic %s: answer %d Status%d of Event Grid: Words.", place, status, status)
			if err == nil || errors.Is(err, backup.ErrUndeliverable) != undeliverable || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestALookAtTheTopic: a look sends no event, and finds a role that is missing and a topic of another schema. Any other answer about the
// empty batch is none about the role.
func TestALookAtTheTopic(t *testing.T) {
	sim := startSim(t)
	if found := queue.New(nil, "urn:test").LookAtTopic(t.Context()); len(found) != 0 {
		t.Errorf("without a topic: %v", found[0])
	}
	for _, kind := range []string{"topics/contoso", "namespaces/contoso/topics/lifeboat"} {
		q := queue.New(nil, "urn:test")
		q.Topic = topicOf(t, sim, fakeazure.Topic{ResourceID: eventGrid + kind})
		found := q.LookAtTopic(t.Context())
		if len(found) != 1 || found[0].Kind != backup.Refused || found[0].Code != "RoleMissing" || !strings.Contains(found[0].Message, eventGrid+kind) {
			t.Errorf("%s without the role: %+v", kind, found)
		}
		sim.Assign(sim.ObjectID("app"), eventGrid+kind, fakeazure.EventGridDataSender)
		if found := q.LookAtTopic(t.Context()); len(found) != 0 {
			t.Errorf("%s with the role: %v", kind, found[0])
		}
		if events := sim.Published(eventGrid + kind); len(events) != 0 {
			t.Errorf("%s took %s", kind, events)
		}
	}
	q := queue.New(nil, "urn:test")
	q.Topic = topicOf(t, sim, fakeazure.Topic{ResourceID: eventGrid + "topics/grid", EventGridSchema: true})
	sim.Assign(sim.ObjectID("app"), eventGrid+"topics/grid", fakeazure.EventGridDataSender)
	if found := q.LookAtTopic(t.Context()); len(found) != 1 || found[0].Kind != backup.Refused || found[0].Code != "OtherSchema" {
		t.Errorf("a topic of another schema: %+v", found)
	}
	for status, want := range map[int]backup.FaultKind{
		200: "", 400: "", 401: backup.Refused, 403: backup.Unobservable, 404: backup.Refused, 415: backup.Unobservable,
		429: backup.Unobservable, 500: backup.Unobservable, 503: backup.Unobservable,
	} {
		q.Topic = answering(t, status)
		found := q.LookAtTopic(t.Context())
		if want == "" && len(found) != 0 || want != "" && (len(found) != 1 || found[0].Kind != want || !strings.Contains(found[0].Message, fmt.Sprint(status))) {
			t.Errorf("%d: %+v", status, found)
		}
	}
}
