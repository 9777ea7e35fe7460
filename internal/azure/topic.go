package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"lifeboat/internal/pattern"
)

// TopicAddress is the address at which a topic of Event Grid takes events: of a custom topic, or of a namespace's topic.
type TopicAddress struct {
	host string
	// topic is the name of a namespace's topic, "" for a custom topic, whose host is its own.
	topic string
}

// customTopic is the path of a custom topic.
const customTopic = "/api/events"

// namespaceTopic matches the path of a namespace's topic, with the operation behind it or without.
var namespaceTopic = pattern.New(`^/topics/([A-Za-z0-9-]{3,50})(?::publish)?$`)

// TopicAt reads the address of a topic in the cloud. It refuses any other host, since the host gets tokens, and an address with a
// query, which may be a key; no error shows one.
func (c Cloud) TopicAt(address string) (TopicAddress, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return TopicAddress{}, errors.New("it must be the https address of a topic of Event Grid, such as " + c.topicExample())
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return TopicAddress{}, errors.New("it must be the address alone, such as " + c.topicExample() + ", without a query: Lifeboat signs " +
			"in by the app's identity, and takes no key")
	}
	at := TopicAddress{host: strings.ToLower(u.Hostname())}
	if err := c.checkTopicHost(at.host, u.Port()); err != nil {
		return TopicAddress{}, err
	}
	if named := namespaceTopic.FindStringSubmatch(u.Path); named != nil {
		at.topic = named[1]
	} else if u.Path != customTopic {
		return TopicAddress{}, fmt.Errorf("its path is %q: it must be %s for a custom topic, or /topics/NAME for a topic of a namespace", u.Path,
			customTopic)
	}
	return at, nil
}

func (c Cloud) topicExample() string {
	return "https://contoso.westeurope-1." + c.EventGrid + customTopic
}

func (c Cloud) checkTopicHost(host, port string) error {
	for _, one := range clouds {
		name, ok := strings.CutSuffix(host, one.EventGrid)
		switch {
		case !ok || !below.MatchString(name) || port != "" && port != "443":
		case one.Name == c.Name:
			return nil
		default:
			return fmt.Errorf("%s is a host of the cloud %s, and the app is in the cloud %s: set the app setting %s to %s", host, one.Name, c.Name,
				CloudSetting, one.Name)
		}
	}
	return fmt.Errorf("%q is no host of a topic of Event Grid, such as in %s", host, c.topicExample())
}

// Topic sends events to a topic of Event Grid. Its methods may be called from any goroutine.
type Topic struct {
	at       TopicAddress
	pipeline runtime.Pipeline
}

// topicScopes are the scopes of tokens for Event Grid. The SDKs have one for all clouds (azeventgrid 1.0.0, aznamespaces 1.0.0).
var topicScopes = []string{"https://eventgrid.azure.net/.default"}

// Topic returns the topic at the address, nil for the zero value. Unlike other clients of c its client repeats a request a few times within seconds: an event
// may come twice.
func (c Client) Topic(at TopicAddress) *Topic {
	if at == (TopicAddress{}) {
		return nil
	}
	options := c.At(at.host)
	options.Retry = policy.RetryOptions{
		MaxRetries: 3, TryTimeout: 10 * time.Second, RetryDelay: 300 * time.Millisecond, MaxRetryDelay: 3 * time.Second,
	}
	token := runtime.NewBearerTokenPolicy(c.Credential, topicScopes, nil)
	return &Topic{at, runtime.NewPipeline("eventgrid", "2018-01-01", runtime.PipelineOptions{PerRetry: []policy.Policy{token}}, &options)}
}

// String returns the place of the topic.
func (t *Topic) String() string {
	if t.at.topic != "" {
		return t.at.host + "/" + t.at.topic
	}
	return t.at.host
}

// Send sends a CloudEvent in the structured JSON form. It asks as the SDK's clients do: a custom topic takes a batch, a namespace's topic
// a single event (azeventgrid 1.0.0, aznamespaces 1.0.0).
func (t *Topic) Send(ctx context.Context, event []byte) error {
	if t.at.topic != "" {
		return t.post(ctx, "application/cloudevents+json", string(event))
	}
	return t.post(ctx, batchOfEvents, "["+string(event)+"]")
}

// Ask asks the topic to take no event at all: an empty batch. Whatever it answers, it has got nothing. A topic that looks at the caller
// first says what it would say of an event too.
func (t *Topic) Ask(ctx context.Context) error { return t.post(ctx, batchOfEvents, "[]") }

// batchOfEvents is the media type of several CloudEvents, which both kinds of topics take.
const batchOfEvents = "application/cloudevents-batch+json"

// post sends the body to the topic.
func (t *Topic) post(ctx context.Context, media, body string) error {
	path, version := customTopic, "2018-01-01"
	if t.at.topic != "" {
		path, version = "/topics/"+t.at.topic+":publish", "2024-06-01"
	}
	request, err := runtime.NewRequest(ctx, http.MethodPost, "https://"+t.at.host+path+"?api-version="+version)
	if err != nil {
		return err
	}
	request.Raw().Header.Set("Accept", "application/json")
	if err := request.SetBody(streaming.NopCloser(bytes.NewReader([]byte(body))), media+"; charset=utf-8"); err != nil {
		return err
	}
	answer, err := t.pipeline.Do(request)
	if err != nil {
		return errors.New(Why(err))
	}
	defer answer.Body.Close()
	if !runtime.HasStatusCode(answer, http.StatusOK) {
		return runtime.NewResponseError(answer)
	}
	return nil
}

// otherSchema matches the words of Event Grid about events that are not in the schema of the topic, with 400. The words come
// from the public AzureEventGridSimulator, which has them from Azure.
var otherSchema = pattern.New(`This resource is configured (?:for|to receive event in) '([A-Za-z0-9]+)' schema`)

// OtherSchema tells whether Event Grid refuses an event, in these words, because the topic takes events in another schema than
// CloudEvents: no event is wrong then, but the topic.
func OtherSchema(words string) bool {
	schema := otherSchema.FindStringSubmatch(words)
	return schema != nil && !strings.HasPrefix(schema[1], "CloudEvent")
}
