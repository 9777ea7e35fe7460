package fakeazure

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	topicProvider = "Microsoft.EventGrid"
	topicDomain   = ".eventgrid.azure.net"
	// topicAudience is the audience of tokens for all topics; a final slash does not matter.
	topicAudience = "https://eventgrid.azure.net"
	sendEvents    = "Microsoft.EventGrid/events/send/action"
	// cloudEvents and gridEvents are values of inputSchema. A topic keeps its own for its life.
	cloudEvents = "CloudEventSchemaV1_0"
	gridEvents  = "EventGridSchema"
	// mostEvents is the greatest length of a request, and longestEvent of an event, in bytes.
	mostEvents   = 1_536_000
	longestEvent = 1_049_600
)

var topicVersions = []string{"2022-06-15", "2025-02-15"}

// The api-versions in which custom topics and topics of namespaces take events.
const (
	customTopicVersion    = "2018-01-01"
	namespaceTopicVersion = "2024-06-01"
)

// Topic is a topic of Event Grid.
type Topic struct {
	// ResourceID is the ID of a custom topic (topics/x), or of a topic of a namespace (namespaces/x/topics/y).
	ResourceID string
	// Location is the region, such as "westeurope", and empty means that.
	Location string
	// EventGridSchema says that a custom topic takes events in Event Grid's own schema, which is Azure's default, and no CloudEvents.
	EventGridSchema bool
}

type topic struct {
	Topic
	id resourceID
	// namespaced is the name of a namespace's topic, "" for a custom topic.
	namespaced string
	taken      []json.RawMessage
}

// topics is Event Grid's side of publishing.
type topics struct {
	directory *directory
	roles     *roles
	added     func(resourceID)

	mu  sync.Mutex
	all []*topic
}

func newTopics(d *directory, r *roles) *topics { return &topics{directory: d, roles: r} }

// AddTopic adds a topic, and returns the address at which it takes events.
func (s *Sim) AddTopic(t Topic) (address string, err error) {
	id, tail, err := parseResourcePath(t.ResourceID)
	one := &topic{Topic: t, id: id}
	kind := strings.ToLower(id.provider + "/" + id.kind)
	switch {
	case err != nil:
		return "", fmt.Errorf("add topic: %w", err)
	case kind == "microsoft.eventgrid/topics" && len(tail) == 0:
	case kind == "microsoft.eventgrid/namespaces" && len(tail) == 2 && strings.EqualFold(tail[0], "topics") && !t.EventGridSchema:
		one.namespaced = tail[1]
	default:
		return "", fmt.Errorf("add topic: %s is of another type", t.ResourceID)
	}
	s.topics.mu.Lock()
	s.topics.all = append(s.topics.all, one)
	s.topics.mu.Unlock()
	s.topics.added(id)
	return one.address(), nil
}

// Published returns the events that a topic took, in their order. An event that came twice is there twice.
func (s *Sim) Published(resourceID string) []json.RawMessage {
	s.topics.mu.Lock()
	defer s.topics.mu.Unlock()
	for _, t := range s.topics.all {
		if strings.EqualFold(t.ResourceID, resourceID) {
			return slices.Clone(t.taken)
		}
	}
	return nil
}

func (t *topic) host() string {
	location := "westeurope"
	if t.Location != "" {
		location = region(t.Location)
	}
	return strings.ToLower(t.id.name) + "." + location + "-1" + topicDomain
}

func (t *topic) path() string {
	if t.namespaced != "" {
		return "/topics/" + t.namespaced + ":publish"
	}
	return "/api/events"
}

func (t *topic) address() string { return "https://" + t.host() + t.path() }

func (s *topics) find(host, path string) *topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		if t.host() == host && t.path() == path {
			return t
		}
	}
	return nil
}

// resourceType returns the description of custom topics for Resource Manager.
func (s *topics) resourceType() armType {
	return armType{versions: topicVersions, list: s.resources, route: func(method string, tail []string) (armRoute, bool) {
		return armRoute{topicProvider + "/topics/read", func(c armCall) (*http.Response, error) {
			for _, one := range s.resources(c.apiVersion) {
				if one.id.key() == c.id.key() {
					return armJSON(http.StatusOK, one.body()), nil
				}
			}
			return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf("The Resource '%s/topics/%s' under resource group '%s' was "+
				"not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix", topicProvider, c.id.name, c.id.group)), nil
		}}, method == http.MethodGet && len(tail) == 0
	}}
}

func (s *topics) resources(string) (all []armResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		if t.namespaced != "" {
			continue
		}
		all = append(all, armResource{t.id, t.resource})
	}
	return all
}

// resource is the topic as a list shows it.
func (t *topic) resource() map[string]any {
	schema := cloudEvents
	if t.EventGridSchema {
		schema = gridEvents
	}
	location, _, _ := strings.Cut(strings.TrimPrefix(t.host(), strings.ToLower(t.id.name)+"."), "-1.")
	return map[string]any{
		"id": t.id.String(), "name": t.id.name, "type": topicProvider + "/topics", "location": location, "kind": "Azure", "tags": nil,
		"properties": map[string]any{
			"provisioningState": "Succeeded", "endpoint": t.address(), "inputSchema": schema, "publicNetworkAccess": "Enabled",
			"disableLocalAuth": true,
		},
	}
}

func (s *topics) knows(host string) bool { return strings.HasSuffix(host, topicDomain) }

// topicError returns a refusal in Event Grid's form: the details repeat the message, with a code of their own.
func topicError(status int, code, detail, message string) *http.Response {
	message += fmt.Sprintf(" Report '%s:0:%s (UTC)' to our forums for assistance or raise a support ticket.", uuid.NewString(),
		time.Now().UTC().Format("1/2/2006 3:04:05 PM"))
	return armJSON(status, map[string]any{"error": map[string]any{
		"code": code, "message": message, "details": []any{map[string]any{"code": detail, "message": message}},
	}})
}

func unauthorizedTopic(message string) *http.Response {
	return topicError(http.StatusUnauthorized, "Unauthorized", "Unauthorized", message)
}

func badEvents(message string) *http.Response {
	return topicError(http.StatusBadRequest, "BadRequest", "InputJsonInvalid", message)
}

// answer handles the requests to all topics.
func (s *topics) answer(r *http.Request) (*http.Response, error) {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":"+httpsPort)
	resp := s.publish(r, s.find(host, r.URL.Path), host)
	resp.Header.Set("X-Ms-Request-Id", uuid.NewString())
	resp.Header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	return resp, nil
}

// publish checks a request in the order of Event Grid: address, caller, content type, size, events.
func (s *topics) publish(r *http.Request, t *topic, host string) *http.Response {
	if t == nil {
		return topicError(http.StatusNotFound, "NotFound", "ResourceNotFound", "No HTTP resource was found that matches the request URI '"+
			url.QueryEscape("https://"+host+r.URL.Path)+"'.")
	}
	if r.Method != http.MethodPost {
		return topicError(http.StatusMethodNotAllowed, "MethodNotAllowed", "MethodNotAllowed", ".")
	}
	version := customTopicVersion
	if t.namespaced != "" {
		version = namespaceTopicVersion
	}
	if r.URL.Query().Get("api-version") != version {
		return topicError(http.StatusBadRequest, "BadRequest", "UnsupportedApiVersion", "The specified api-version is invalid.")
	}
	if refusal := s.refuseCaller(r, t, host); refusal != nil {
		return refusal
	}
	events, refusal := t.read(r)
	if refusal != nil {
		return refusal
	}
	for _, event := range events {
		if why := checkCloudEvent(event); why != "" {
			return badEvents("This resource is configured for 'CloudEventV10' schema and " + why)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.taken = append(t.taken, events...)
	if t.namespaced != "" {
		return armJSON(http.StatusOK, map[string]any{})
	}
	return newResponse(http.StatusOK, http.Header{}, nil)
}

func (s *topics) refuseCaller(r *http.Request, t *topic, host string) *http.Response {
	token, ok := bearer(r)
	if !ok { // the sim has no keys
		return unauthorizedTopic("Request must contain one of the following authorization signature: aeg-sas-token, aeg-sas-key.")
	}
	caller, err := s.directory.verify(token)
	if err != nil || strings.TrimSuffix(caller.Audience, "/") != topicAudience {
		return unauthorizedTopic("The request authorization key is not authorized for " + strings.ToUpper(host) + ".")
	}
	if !s.roles.allow(caller.ObjectID, t.ResourceID, sendEvents) {
		return unauthorizedTopic("The principal associated with access token presented with the incoming request does not have permission to " +
			"send data to " + t.ResourceID + ".")
	}
	return nil
}

// read returns the events of a request: one, or a batch.
func (t *topic) read(r *http.Request) (events []json.RawMessage, refusal *http.Response) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	batch := media == "application/cloudevents-batch+json"
	if err != nil || !batch && media != "application/cloudevents+json" {
		return nil, topicError(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "InvalidContentType", "The Content-Type header is either "+
			"missing or it doesn't have a valid value. The content type header must either be application/cloudevents+json; charset=utf-8 or "+
			"application/cloudevents-batch+json; charset=UTF-8.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostEvents+1))
	if err != nil || len(body) > mostEvents {
		return nil, tooLarge(mostEvents)
	}
	if t.EventGridSchema {
		return nil, badEvents("This resource is configured to receive event in 'EventGridEvent' schema. The JSON received does not conform to " +
			"the expected schema.")
	}
	if batch {
		err = json.Unmarshal(body, &events)
	} else {
		events = []json.RawMessage{body}
	}
	if err != nil || len(events) == 0 {
		return nil, badEvents("This resource is configured to receive event in 'CloudEventV10' schema. The JSON received does not conform to " +
			"the expected schema.")
	}
	for _, event := range events {
		if len(event) > longestEvent {
			return nil, tooLarge(longestEvent)
		}
	}
	return events, nil
}

func tooLarge(most int) *http.Response {
	return topicError(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "PayloadTooLarge", fmt.Sprintf("The maximum size (%d) has been "+
		"exceeded.", most))
}

// attributeName matches the names of attributes of a CloudEvent.
var attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// checkCloudEvent returns the reason why the event is no CloudEvent 1.0 in JSON, "" for one.
func checkCloudEvent(event json.RawMessage) (why string) {
	var attributes map[string]json.RawMessage
	if err := json.Unmarshal(event, &attributes); err != nil {
		return "requires a JSON object."
	}
	text := func(name string) (is string) {
		_ = json.Unmarshal(attributes[name], &is) // "" is refused
		return is
	}
	for _, name := range []string{"id", "source", "type", "specversion"} {
		if text(name) == "" {
			return fmt.Sprintf("requires '%s' property to be set.", name)
		}
	}
	if version := text("specversion"); version != "1.0" {
		return fmt.Sprintf("requires 'specversion' to be '1.0', not '%s'.", version)
	}
	if _, err := url.Parse(text("source")); err != nil {
		return "requires 'source' property to be a URI reference."
	}
	if at, ok := attributes["time"]; ok {
		if _, err := time.Parse(time.RFC3339, text("time")); err != nil {
			return fmt.Sprintf("requires 'time' property to be a timestamp, not %s.", at)
		}
	}
	if attributes["data"] != nil && attributes["data_base64"] != nil {
		return "requires either 'data' or 'data_base64' to be set, not both."
	}
	for name := range attributes {
		if name != "data_base64" && !attributeName.MatchString(name) {
			return fmt.Sprintf("has an attribute of the invalid name '%s'.", name)
		}
	}
	return ""
}
