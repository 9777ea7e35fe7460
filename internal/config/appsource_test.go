package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/types"

	"lifeboat/internal/config"
)

// TestSourceOfEvents: events come from the resource of the app with its slot or, where Azure does not say all of it, from the app at its queues.
// Each source is a reference to a URI, as the SDK of CloudEvents reads one.
func TestSourceOfEvents(t *testing.T) {
	const subscription, queues = "0c0ffee0-0000-4000-8000-000000000001", "https://contoso.queue.core.windows.net/"
	azures := map[string]string{
		"LIFEBOAT_PLAN": "p", "WEBSITE_SITE_NAME": "contoso", "WEBSITE_RESOURCE_GROUP": "prod", "WEBSITE_OWNER_NAME": subscription + "+plans-WestEuropewebspace-Linux",
	}
	const site = "/subscriptions/" + subscription + "/resourceGroups/prod/providers/Microsoft.Web/sites/contoso"
	for name, c := range map[string]struct {
		change       map[string]string
		queues, want string
	}{
		"a site":                          {nil, queues, site},
		"its slot":                        {map[string]string{"WEBSITE_SLOT_NAME": "staging"}, queues, site + "/slots/staging"},
		"its slot production":             {map[string]string{"WEBSITE_SLOT_NAME": "Production"}, queues, site},
		"a group with other characters":   {map[string]string{"WEBSITE_RESOURCE_GROUP": "prod_(eu).1"}, queues, strings.Replace(site, "prod", "prod_(eu).1", 1)},
		"a group with letters of others":  {map[string]string{"WEBSITE_RESOURCE_GROUP": "größe"}, queues, strings.Replace(site, "prod", "gr%C3%B6%C3%9Fe", 1)},
		"Azure does not say the group":    {map[string]string{"WEBSITE_RESOURCE_GROUP": ""}, queues, "//contoso.queue.core.windows.net/contoso"},
		"nor the subscription":            {map[string]string{"WEBSITE_OWNER_NAME": ""}, queues, "//contoso.queue.core.windows.net/contoso"},
		"an owner that is none":           {map[string]string{"WEBSITE_OWNER_NAME": "instana+123"}, queues, "//contoso.queue.core.windows.net/contoso"},
		"a slot, and Azure does not say":  {map[string]string{"WEBSITE_OWNER_NAME": "", "WEBSITE_SLOT_NAME": "staging"}, queues, "//contoso.queue.core.windows.net/contoso%2Fstaging"},
		"another machine":                 {map[string]string{"WEBSITE_SITE_NAME": "", "LIFEBOAT_APP": "Anna's Mac"}, queues, "//contoso.queue.core.windows.net/anna%27s%20mac"},
		"another machine, beside Azurite": {map[string]string{"WEBSITE_SITE_NAME": "", "LIFEBOAT_APP": "mac"}, "https://127.0.0.1:10001/devstoreaccount1", "//127.0.0.1:10001/devstoreaccount1/mac"},
	} {
		env := maps.Clone(azures)
		maps.Copy(env, c.change)
		s, err := config.FromEnvironment(func(k string) string { return env[k] })
		if got := s.Source(c.queues); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
		if types.ParseURIRef(c.want) == nil {
			t.Errorf("%s: %s is no reference to a URI", name, c.want)
		}
	}
}
