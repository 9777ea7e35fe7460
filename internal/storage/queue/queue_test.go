package queue_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/testing/azurite/azuritetest"
	"lifeboat/internal/testing/conformance"
)

func TestMain(m *testing.M) { os.Exit(azuritetest.Main(m)) }

func TestQueue(t *testing.T) {
	conformance.TestQueue(t, func(t *testing.T) conformance.QueueHarness {
		account := azuritetest.NewAccount(t)
		client := service(t, account, account.Options())
		return conformance.QueueHarness{
			Queue: queue.New(client, "https://contoso.example/lifeboat"),
			Now:   time.Now, Pass: func() { time.Sleep(50 * time.Millisecond) },
			Receive: func(t *testing.T, queue string) []string { return receive(t, client.NewQueueClient(queue)) },
		}
	})
}

func service(t *testing.T, a *azuritetest.Account, options azcore.ClientOptions) *azqueue.ServiceClient {
	t.Helper()
	client, err := azqueue.NewServiceClient("https://"+a.Name+".queue.core.windows.net", azuritetest.Identity,
		&azqueue.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// receive removes all visible messages from the queue, at most 32.
func receive(t *testing.T, queue *azqueue.QueueClient) (texts []string) {
	t.Helper()
	most := int32(32)
	messages, err := queue.DequeueMessages(t.Context(), &azqueue.DequeueMessagesOptions{NumberOfMessages: &most})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages.Messages {
		texts = append(texts, *m.MessageText)
		if _, err := queue.DeleteMessage(t.Context(), *m.MessageID, *m.PopReceipt, nil); err != nil {
			t.Error(err)
		}
	}
	return texts
}

// TestRequests: the program creates a missing queue and never checks whether there is one; delays are whole seconds, rounded
// up.
func TestRequests(t *testing.T) {
	account := azuritetest.NewAccount(t)
	q := queue.New(service(t, account, account.Options()), "urn:test")
	for _, delay := range []time.Duration{0, 1, 59*time.Second + 1, 7 * 24 * time.Hour} {
		if err := q.SendStep(t.Context(), backup.StepMessage{Run: "r", Sequence: 1, Nonce: "m"}, delay); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"POST 404 messagettl=-1&visibilitytimeout=0", "PUT 201 ", "POST 201 messagettl=-1&visibilitytimeout=0",
		"POST 201 messagettl=-1&visibilitytimeout=1", "POST 201 messagettl=-1&visibilitytimeout=60",
		"POST 201 messagettl=-1&visibilitytimeout=604800",
	}
	var got []string
	for _, r := range account.Requests(t) {
		got = append(got, fmt.Sprintf("%s %d %s", r.Method, r.Status, r.Query))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPoison: it counts all messages, including those in progress, and returns the time when the first visible one is deleted.
func TestPoison(t *testing.T) {
	account := azuritetest.NewAccount(t)
	client := service(t, account, account.Options())
	q := queue.New(client, "urn:test")
	look := func(want int, seen bool, least, most time.Duration) {
		t.Helper()
		n, first, err := q.Poison(t.Context(), "execute-poison")
		if left := time.Until(first); err != nil || n != want || first.IsZero() == seen || seen && (left < least || left > most) {
			t.Errorf("%d messages, the first goes %s: %v", n, first, err)
		}
	}
	look(0, false, 0, 0)
	poison := client.NewQueueClient("execute-poison")
	if _, err := poison.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	look(0, false, 0, 0)
	day := int32(24 * 60 * 60)
	for _, options := range []*azqueue.EnqueueMessageOptions{nil, {TimeToLive: &day}} { // Azure's default is 7 days
		if _, err := poison.EnqueueMessage(t.Context(), "{}", options); err != nil {
			t.Fatal(err)
		}
	}
	look(2, true, 23*time.Hour, 25*time.Hour)
	most := int32(32)
	if _, err := poison.DequeueMessages(t.Context(), &azqueue.DequeueMessagesOptions{NumberOfMessages: &most}); err != nil {
		t.Fatal(err)
	}
	look(2, false, 0, 0)
	want := "GET 404, GET 200, GET 200, GET 200, GET 200, GET 200"
	var got []string
	for _, r := range account.Requests(t) {
		if r.Method == "GET" && (r.Query == "comp=metadata" || strings.Contains(r.Query, "peekonly")) {
			got = append(got, fmt.Sprint(r.Method, " ", r.Status))
		}
	}
	if strings.Join(got, ", ") != want {
		t.Errorf("requests %s, want %s", strings.Join(got, ", "), want)
	}
}

// TestErrors: an error names the queue and has Azure's words, but neither URL nor token.
func TestErrors(t *testing.T) {
	account := azuritetest.NewAccount(t)
	options := account.Options()
	options.Transport = &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusForbidden, Request: request,
			Header: http.Header{"X-Ms-Error-Code": {"AuthorizationFailure"}},
			Body: io.NopCloser(strings.NewReader("\ufeff" + `<?xml version="1.0" encoding="utf-8"?><Error>` +
				"<Code>AuthorizationFailure</Code><Message>Not authorized.\nRequestId:1\nTime:2</Message></Error>")),
		}, nil
	})}
	q := queue.New(service(t, account, options), "urn:test")
	err := q.SendStep(t.Context(), backup.StepMessage{Run: "r", Sequence: 1, Nonce: "m"}, 0)
	const want = "send to queue execute: answer 403 AuthorizationFailure of Azure Queue Storage: Not authorized."
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestUndeliverable: the error tells an event that its queue can never accept from one that it may accept later.
func TestUndeliverable(t *testing.T) {
	for _, test := range []struct {
		to            string
		status        int
		undeliverable bool
	}{
		{"answers", 400, true},
		{"answers", 413, true},
		{"answers", 403, false},
		{"answers", 503, false},
		{"answers", 409, false},
		{"", 400, true},
		{"", 413, true},
		{"", 403, false},
		{"", 404, false},
		{"", 500, false},
	} {
		name := cmp.Or(test.to, "lifeboat-events")
		client, err := azqueue.NewServiceClientWithNoCredential("https://contoso.example", &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
			Retry: policy.RetryOptions{MaxRetries: -1},
			Transport: &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
				status := 201
				if strings.HasPrefix(request.URL.Path, "/"+name+"/") {
					status = test.status
				}
				return &http.Response{StatusCode: status, Request: request, Body: io.NopCloser(strings.NewReader("<QueueMessagesList/>"))}, nil
			})},
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = queue.New(client, "urn:test").Publish(t.Context(), backup.Event{
			ID: "e", Type: "t", Time: time.Now(), Data: []byte("{}"), To: test.to,
		})
		if err == nil || errors.Is(err, backup.ErrUndeliverable) != test.undeliverable {
			t.Errorf("%s answers %d: %v", name, test.status, err)
		}
	}
}

// TestBase64: events and answers are sent in base64 if readers expect that; step messages and requests are for Lifeboat itself.
func TestBase64(t *testing.T) {
	account := azuritetest.NewAccount(t)
	client := service(t, account, account.Options())
	q := queue.New(client, "urn:test")
	q.Base64 = true
	e := backup.Event{ID: "e", Type: "lifeboat.of.a.test", Time: time.Now(), Data: []byte(`{"text":"` + strings.Repeat("x", 48<<10-300) + `"}`)}
	for _, e := range e.AndTo("answers") {
		if err := q.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		text, err := base64.StdEncoding.DecodeString(receive(t, client.NewQueueClient(e.Queue()))[0])
		if err != nil || !strings.Contains(string(text), `"id":"e"`) || !json.Valid(text) {
			t.Errorf("%.200s, %v", text, err)
		}
	}
	e.Data = []byte(`{"text":"` + strings.Repeat("x", 48<<10) + `"}`)
	if err := q.Publish(t.Context(), e); !errors.Is(err, backup.ErrUndeliverable) {
		t.Errorf("an event that is too long in base64: %v", err)
	}
	step := backup.StepMessage{Run: "r", Sequence: 7, Nonce: "m"}
	if err := errors.Join(q.SendStep(t.Context(), step, 0), q.Requeue(t.Context(), "backup-requests", []byte("{}"), 0)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"execute": `{"run":"r","sequence":7,"nonce":"m"}`, "backup-requests": "{}"} {
		if got := receive(t, client.NewQueueClient(name)); len(got) != 1 || got[0] != want {
			t.Errorf("%s has %q", name, got)
		}
	}
}
