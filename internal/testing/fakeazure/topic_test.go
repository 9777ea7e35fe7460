package fakeazure_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"

	"lifeboat/internal/testing/fakeazure"
)

const (
	gridTopic      = group + "/providers/Microsoft.EventGrid/topics/contoso"
	gridNamespace  = group + "/providers/Microsoft.EventGrid/namespaces/fabrikam"
	gridInSpace    = gridNamespace + "/topics/events"
	gridAudience   = "https://eventgrid.azure.net"
	gridBatch      = "application/cloudevents-batch+json; charset=utf-8"
	gridSingle     = "application/cloudevents+json; charset=utf-8"
	gridEvent      = `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-03-01T02:00:00Z","data":{"a":1}}`
	gridAddress    = "https://contoso.westeurope-1.eventgrid.azure.net/api/events"
	gridAsked      = gridAddress + "?api-version=2018-01-01"
	gridSpaceAsked = "https://fabrikam.westeurope-1.eventgrid.azure.net/topics/events:publish?api-version=2024-06-01"
)

// TestTopicTakesEventsOfTheSDK checks with Azure's own client that a topic refuses an identity without the role, in the recorded words, and
// takes its events once it has it.
func TestTopicTakesEventsOfTheSDK(t *testing.T) {
	t.Parallel()
	s := start(t)
	address, err := s.AddTopic(fakeazure.Topic{ResourceID: gridTopic})
	must(t, err)
	if address != gridAddress {
		t.Errorf("its address is %s", address)
	}
	client, err := azeventgrid.NewClient(address, s.Credential("app"), &azeventgrid.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	event, err := messaging.NewCloudEvent("/s", "t", map[string]int{"a": 1}, nil)
	must(t, err)
	send := func() error {
		_, err := client.PublishCloudEvents(t.Context(), []messaging.CloudEvent{event, event}, nil)
		return err
	}
	refused, ok := errors.AsType[*azcore.ResponseError](send())
	if !ok || refused.StatusCode != 401 || refused.ErrorCode != "Unauthorized" ||
		!strings.Contains(refused.Error(), "does not have permission to send data to "+gridTopic+". Report '") {
		t.Errorf("without the role: %v", refused)
	}
	if got := s.Published(gridTopic); len(got) != 0 {
		t.Errorf("it took %s", got)
	}
	s.Assign(s.ObjectID("app"), gridTopic, fakeazure.EventGridDataSender)
	must(t, send())
	taken := s.Published(strings.ToUpper(gridTopic))
	if len(taken) != 2 {
		t.Fatalf("it took %s", taken)
	}
	for _, one := range taken {
		var got messaging.CloudEvent
		if err := json.Unmarshal(one, &got); err != nil || got.ID != event.ID || fmt.Sprintf("%s", got.Data) != `{"a":1}` {
			t.Errorf("%s, %v", one, err)
		}
	}
}

// TestTopicsAreStrict: each refused case has one mistake.
func TestTopicsAreStrict(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, topic := range []fakeazure.Topic{
		{ResourceID: gridTopic}, {ResourceID: gridInSpace}, {ResourceID: strings.Replace(gridTopic, "contoso", "grid", 1), EventGridSchema: true},
	} {
		_, err := s.AddTopic(topic)
		must(t, err)
	}
	s.Assign(s.ObjectID("app"), group, fakeazure.EventGridDataSender)
	s.Assign(s.ObjectID("spaced"), gridNamespace, fakeazure.EventGridDataSender)
	without := func(attribute string) string {
		return "[" + strings.Replace(gridEvent, attribute, "", 1) + "]"
	}
	batch := "[" + gridEvent + "]"
	for name, c := range map[string]struct {
		method, url, identity, audience, media, body string // "" is a good one
		status                                       int
		says                                         string
	}{
		"a batch":                    {body: "[" + gridEvent + "," + gridEvent + "]", status: 200},
		"a single event":             {media: gridSingle, body: gridEvent, status: 200},
		"of a namespace":             {url: gridSpaceAsked, media: gridSingle, body: gridEvent, status: 200},
		"a role at the namespace":    {url: gridSpaceAsked, identity: "spaced", status: 200},
		"a role elsewhere":           {identity: "spaced", status: 401, says: "does not have permission"},
		"no token":                   {identity: "-", status: 401, says: "aeg-sas-token"},
		"for another audience":       {audience: managementID, status: 401, says: "is not authorized for CONTOSO"},
		"an unknown topic":           {url: strings.Replace(gridAsked, "contoso", "nobody", 1), status: 404, says: "No HTTP resource"},
		"an unknown path":            {url: strings.Replace(gridAsked, "events", "event", 1), status: 404, says: "No HTTP resource"},
		"the other kind's path":      {url: strings.Replace(gridAsked, "/api/events", "/topics/contoso:publish", 1), status: 404},
		"another method":             {method: "PUT", status: 405},
		"no version":                 {url: gridAddress, status: 400, says: "api-version"},
		"the other kind's version":   {url: gridAddress + "?api-version=2024-06-01", status: 400, says: "api-version"},
		"JSON":                       {media: "application/json", status: 415, says: "Content-Type"},
		"a batch as an event":        {media: gridSingle, status: 400, says: "JSON object"},
		"an event as a batch":        {body: gridEvent, status: 400, says: "'CloudEventV10'"},
		"an empty batch":             {body: "[]", status: 400, says: "'CloudEventV10'"},
		"broken JSON":                {body: "[" + gridEvent, status: 400, says: "'CloudEventV10'"},
		"no ID":                      {body: without(`"id":"1",`), status: 400, says: "requires 'id'"},
		"no source":                  {body: without(`"source":"/s",`), status: 400, says: "requires 'source'"},
		"no type":                    {body: without(`"type":"t",`), status: 400, says: "requires 'type'"},
		"no version of CloudEvents":  {body: without(`"specversion":"1.0",`), status: 400, says: "requires 'specversion'"},
		"an old one":                 {body: strings.Replace(batch, `"1.0"`, `"0.3"`, 1), status: 400, says: "'0.3'"},
		"a time that is none":        {body: strings.Replace(batch, "T02", " 02", 1), status: 400, says: "'time'"},
		"two forms of data":          {body: strings.Replace(batch, `"data"`, `"data_base64":"","data"`, 1), status: 400, says: "not both"},
		"a name that is none":        {body: strings.Replace(batch, `"id"`, `"requestID":"x","id"`, 1), status: 400, says: "requestID"},
		"a topic of another schema":  {url: strings.Replace(gridAsked, "contoso", "grid", 1), status: 400, says: "'EventGridEvent'"},
		"an event that is too large": {body: strings.Replace(batch, `"t"`, `"`+strings.Repeat("t", 1_049_600)+`"`, 1), status: 413, says: "1049600"},
		"a batch that is too large":  {body: "[" + strings.Repeat(gridEvent+",", 20_000) + gridEvent + "]", status: 413, says: "1536000"},
	} {
		t.Run(name, func(t *testing.T) {
			var token string
			if c.identity != "-" {
				token = "Bearer " + tokenOf(t, s, cmp.Or(c.identity, "app"), cmp.Or(c.audience, gridAudience))
			}
			r, err := sendAs(t, s, cmp.Or(c.method, "POST"), cmp.Or(c.url, gridAsked), token, cmp.Or(c.media, gridBatch), cmp.Or(c.body, batch))
			must(t, err)
			if r.StatusCode != c.status || !strings.Contains(string(r.body), c.says) {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	if a, b := len(s.Published(gridTopic)), len(s.Published(gridInSpace)); a != 3 || b != 2 {
		t.Errorf("they took %d and %d events", a, b)
	}
}

// TestTopicsOfResourceManager: a custom topic is a resource, at which roles are assigned; others cannot be added.
func TestTopicsOfResourceManager(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := s.AddTopic(fakeazure.Topic{ResourceID: gridTopic, Location: "North Europe"})
	must(t, err)
	s.Assign(s.ObjectID("app"), group, fakeazure.EventGridDataSender)
	const version = "?api-version=2025-02-15"
	r := send(t, s, "GET", "https://management.azure.com"+gridTopic+version, "app", "")
	if r.StatusCode != 200 || !strings.Contains(string(r.body), `"endpoint":"https://contoso.northeurope-1.eventgrid.azure.net/api/events"`) ||
		!strings.Contains(string(r.body), `"inputSchema":"CloudEventSchemaV1_0"`) || !strings.Contains(string(r.body), `"location":"northeurope"`) {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	r = send(t, s, "GET", "https://management.azure.com"+gridTopic+"x"+version, "app", "")
	if r.StatusCode != 404 || r.code() != "ResourceNotFound" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	for _, id := range []string{
		"", contoso, gridNamespace, gridTopic + "/topics/x", gridInSpace + "/x", group + "/providers/Microsoft.EventGrid/domains/x",
	} {
		if _, err := s.AddTopic(fakeazure.Topic{ResourceID: id}); err == nil {
			t.Errorf("%s is added", id)
		}
	}
	if _, err := s.AddTopic(fakeazure.Topic{ResourceID: gridInSpace, EventGridSchema: true}); err == nil {
		t.Error("a topic of a namespace takes CloudEvents alone")
	}
}
