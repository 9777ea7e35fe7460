package request_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/request"
	"lifeboat/internal/services"
)

// TestParseChange checks which messages tell of a change, in both schemas that Event Grid has for its queue.
func TestParseChange(t *testing.T) {
	const (
		service = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
		grid    = `{"id":"92c5","topic":"TOPIC","subject":"/apis/orders;Rev=1","eventType":"TYPE","eventTime":"2026-01-31T02:30:00.1234567Z",` +
			`"data":{"resourceUri":"TOPIC/apis/orders;Rev=1"},"dataVersion":"1","metadataVersion":"1"}`
		cloud = `{"specversion":"1.0","id":"92c5","source":"TOPIC","subject":"TOPIC/apis/orders;Rev=1","type":"TYPE",` +
			`"time":"2026-01-31T02:30:00.1234567Z","data":{"resourceUri":"TOPIC/apis/orders;Rev=1"}}`
	)
	at := time.Date(2026, 1, 31, 2, 30, 0, 123456700, time.UTC)
	for name, c := range map[string]struct {
		text, topic, kind string
		ok                bool // it tells of a change
	}{
		"Event Grid's schema":        {grid, service, "Microsoft.ApiManagement.APIUpdated", true},
		"CloudEvents":                {cloud, service, "Microsoft.ApiManagement.APICreated", true},
		"in another case":            {cloud, strings.ToUpper(service), "Microsoft.APIManagement.ProductDeleted", true},
		"an API of a gateway":        {grid, service, "Microsoft.ApiManagement.GatewayAPIAdded", true},
		"the subject alone":          {strings.Replace(cloud, `"source":"TOPIC"`, `"source":"x"`, 1), service, "Microsoft.ApiManagement.APIUpdated", true},
		"a token that expires":       {grid, service, "Microsoft.ApiManagement.GatewayTokenNearExpiry", false},
		"a token that has expired":   {grid, service, "Microsoft.ApiManagement.GatewayTokenExpired", false},
		"a circuit breaker":          {cloud, service, "Microsoft.ApiManagement.CircuitBreaker.Opened", false},
		"the breaker again":          {grid, service, "Microsoft.ApiManagement.CircuitBreaker.Closed", false},
		"an event of another source": {grid, service, "Microsoft.Storage.BlobCreated", false},
		"another service":            {grid, strings.Replace(service, "ApiManagement/service", "KeyVault/managedHSMs", 1), "Microsoft.ApiManagement.APIUpdated", false},
		"no service":                 {grid, "/subscriptions/x", "Microsoft.ApiManagement.APIUpdated", false},
		"a request":                  {`{"id":"i","target":"TOPIC"}`, service, "", false},
		"no JSON":                    {"TYPE", "", "Microsoft.ApiManagement.APIUpdated", false},
	} {
		text := strings.NewReplacer("TOPIC", c.topic, "TYPE", c.kind).Replace(c.text)
		change, ok := request.ParseChange([]byte(text), services.All().Known())
		azures := strings.HasPrefix(c.kind, "Microsoft.") && name != "no JSON"
		if ok != azures || (change.Target != "") != c.ok || c.ok && (change != request.Change{Target: c.topic, Type: c.kind, Time: at}) {
			t.Errorf("%s: %+v, %t", name, change, ok)
		}
	}
	bad := strings.NewReplacer("TOPIC", service, "TYPE", "Microsoft.ApiManagement.APIUpdated", "2026-01-31T02:30:00.1234567Z", "today").Replace(grid)
	if change, ok := request.ParseChange([]byte(bad), services.All().Known()); !ok || !change.Time.IsZero() {
		t.Errorf("without a time: %+v, %t", change, ok)
	}
}
