package azure_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"
	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/azure"
)

// TestTopicAddresses checks which addresses are of topics of a cloud: no other host gets a token for Event Grid, and no error shows a key.
func TestTopicAddresses(t *testing.T) {
	const public = "https://contoso.westeurope-1.eventgrid.azure.net"
	for _, c := range []struct {
		cloud   azure.Cloud
		address string
		want    string // "" for a good one
	}{
		{azure.Public, public + "/api/events", ""},
		{azure.Public, "https://CONTOSO.westeurope-1.EventGrid.azure.net:443/api/events", ""},
		{azure.Public, public + "/topics/lifeboat", ""},
		{azure.Public, public + "/topics/lifeboat:publish", ""},
		{azure.Government, "https://contoso.usgovvirginia-1.eventgrid.azure.us/api/events", ""},
		{azure.China, "https://contoso.chinaeast2-1.eventgrid.azure.cn/api/events", ""},
		{azure.Public, "https://contoso.chinaeast2-1.eventgrid.azure.cn/api/events", "set the app setting LIFEBOAT_CLOUD to china"},
		{azure.Government, public + "/api/events", "set the app setting LIFEBOAT_CLOUD to public"},
		{azure.Public, "http" + strings.TrimPrefix(public, "https") + "/api/events", "must be the https address"},
		{azure.Public, "contoso.westeurope-1.eventgrid.azure.net/api/events", "must be the https address"},
		{azure.Public, "https://[::1", "must be the https address"},
		{azure.Public, public + "/api/events?api-version=2018-01-01&aeg-sas-key=secret", "without a query"},
		{azure.Public, public + "/api/events?", "without a query"},
		{azure.Public, public + "/api/events#secret", "without a query"},
		{azure.Public, "https://name:secret@contoso.westeurope-1.eventgrid.azure.net/api/events", "without a query"},
		{azure.Public, public, `its path is ""`},
		{azure.Public, public + "/api/events/", "its path is"},
		{azure.Public, public + "/topics/", "its path is"},
		{azure.Public, public + "/topics/a/eventsubscriptions/b:receive", "its path is"},
		{azure.Public, public + ":8443/api/events", "is no host of a topic"},
		{azure.Public, "https://eventgrid.azure.net/api/events", "is no host of a topic"},
		{azure.Public, "https://contosoeventgrid.azure.net/api/events", "is no host of a topic"},
		{azure.Public, "https://contoso.westeurope-1.eventgrid.azure.net.example/api/events", "is no host of a topic"},
		{azure.Public, "https://contoso.example/api/events", "is no host of a topic"},
	} {
		_, err := c.cloud.TopicAt(c.address)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s in %s: %v, want %q", c.address, c.cloud.Name, err, c.want)
		}
	}
}

// event is a CloudEvent in the form that Lifeboat sends.
const event = `{"specversion":"1.0","id":"i","source":"/contoso","type":"lifeboat.t","subject":"s","datacontenttype":"application/json",` +
	`"time":"2026-03-01T02:00:00Z","data":{"a":1}}`

// request returns what a request says, with its body as a value.
func request(t *testing.T, r *http.Request) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	header := r.Header.Get
	return fmt.Sprintf("%s %s\nContent-Type: %s\nAuthorization: %s\n%v", r.Method, r.URL, header("Content-Type"), header("Authorization"), body)
}

func topicOn(t *testing.T, w *wire, identity azcore.TokenCredential, cloud azure.Cloud, address string) *azure.Topic {
	t.Helper()
	at, err := cloud.TopicAt(address)
	if err != nil {
		t.Fatal(err)
	}
	return azure.New(identity, azcore.ClientOptions{Transport: w, Cloud: cloud.Configuration}).Topic(at)
}

// TestTopicAsksAsTheSDK: a custom topic gets the same request as from Azure's own client, with a token for the same audience.
func TestTopicAsksAsTheSDK(t *testing.T) {
	const address = "https://contoso.westeurope-1.eventgrid.azure.net/api/events"
	ours, theirs := &wire{answer: http.Response{StatusCode: 200}}, &wire{answer: http.Response{StatusCode: 200}}
	us, them := &scopes{}, &scopes{}
	if err := topicOn(t, ours, us, azure.Public, address).Send(t.Context(), []byte(event)); err != nil {
		t.Fatal(err)
	}
	client, err := azeventgrid.NewClient(address, them, &azeventgrid.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: theirs}})
	if err != nil {
		t.Fatal(err)
	}
	var known messaging.CloudEvent
	if err := json.Unmarshal([]byte(event), &known); err != nil {
		t.Fatal(err)
	}
	known.Data = map[string]int{"a": 1} // it has read bytes, and would send them in base64
	if _, err := client.PublishCloudEvents(t.Context(), []messaging.CloudEvent{known}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(request(t, theirs.sent[0]), request(t, ours.sent[0])); diff != "" {
		t.Errorf("the SDK's request (-) and ours (+):\n%s", diff)
	}
	if !slices.Equal(us.asked, them.asked) {
		t.Errorf("tokens for %q, the SDK has them for %q", us.asked, them.asked)
	}
}

// TestTopicOfANamespace: it gets one event at its own address, in each cloud.
func TestTopicOfANamespace(t *testing.T) {
	for _, cloud := range []azure.Cloud{azure.Public, azure.Government, azure.China} {
		w := &wire{answer: http.Response{StatusCode: 200}}
		topic := topicOn(t, w, &scopes{}, cloud, "https://contoso.somewhere-1."+cloud.EventGrid+"/topics/lifeboat")
		if err := topic.Send(t.Context(), []byte(event)); err != nil {
			t.Fatal(err)
		}
		want := "POST https://contoso.somewhere-1." + cloud.EventGrid + "/topics/lifeboat:publish?api-version=2024-06-01\n" +
			"Content-Type: application/cloudevents+json; charset=utf-8\nAuthorization: Bearer token\nmap["
		if got := request(t, w.sent[0]); !strings.HasPrefix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestTopicRepeats: a request is repeated while Event Grid is busy, and no longer once it refuses the event; a redirect gets nothing.
func TestTopicRepeats(t *testing.T) {
	const address = "https://contoso.westeurope-1.eventgrid.azure.net/api/events"
	for status, want := range map[int]int{200: 1, 400: 1, 401: 1, 403: 1, 404: 1, 413: 1, 415: 1, 307: 1, 429: 4, 500: 4, 503: 4} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Location": {"https://contoso.example/api/events"}, "Retry-After-Ms": {"1"}}
			w := &wire{answer: http.Response{StatusCode: status, Header: header}}
			err := topicOn(t, w, &scopes{}, azure.Public, address).Send(t.Context(), []byte(event))
			if (err == nil) != (status == 200) || len(w.sent) != want {
				t.Errorf("%d requests, %v", len(w.sent), err)
			}
			for _, r := range w.sent {
				if r.URL.Host != "contoso.westeurope-1.eventgrid.azure.net" {
					t.Errorf("%s was asked", r.URL)
				}
			}
		})
	}
}

// TestNoTopic: without an address there is no topic.
func TestNoTopic(t *testing.T) {
	if topic := azure.New(&scopes{}, azcore.ClientOptions{}).Topic(azure.TopicAddress{}); topic != nil {
		t.Errorf("it is at %s", topic)
	}
}

// TestOtherSchema: a topic of another schema is told from an event that is wrong.
func TestOtherSchema(t *testing.T) {
	for words, want := range map[string]bool{
		"This resource is configured to receive event in 'EventGridEvent' schema. The JSON received does not conform to the expected schema.": true,
		"This resource is configured for 'EventGridEvent' schema and requires 'dataVersion' property to be set.":                              true,
		"This resource is configured to receive event in 'CustomInputEvent' schema.":                                                          true,
		"This resource is configured to receive event in 'CloudEventV10' schema. The JSON received does not conform to the expected schema.":  false,
		"This resource is configured for 'CloudEventV10' schema and requires 'id' property to be set.":                                        false,
		"Unexpected end when reading JSON.": false,
		"":                                  false,
	} {
		if got := azure.OtherSchema(words); got != want {
			t.Errorf("%q: %t", words, got)
		}
	}
}
