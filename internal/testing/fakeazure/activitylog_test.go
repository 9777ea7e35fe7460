package fakeazure_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
)

// TestActivityLog: it takes the documented filters and no others, wants a role, shows changes by the group and only its own events by the
// resource, in pages, and tells of a change late.
func TestActivityLog(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	s.Assign(s.ObjectID("app"), contoso, fakeazure.APIManagementServiceContributor)
	subscription, rest, _ := strings.Cut(contoso, "/resourceGroups/")
	group, _, _ := strings.Cut(rest, "/")
	for _, name := range []string{"one", "two"} {
		body := `{"properties":{"displayName":"Echo","path":"` + name + `","protocols":["https"]}}`
		if r := send(t, s, http.MethodPut, armURL(contoso+"/apis/"+name), "app", body); r.StatusCode >= 300 {
			t.Fatalf("%s: %s", r.Status, r.body)
		}
	}
	times := "eventTimestamp ge '" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + "' and eventTimestamp le '" +
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + "'"
	read := func(version, filter string) (status int, shown struct {
		Value    []struct{ ResourceID string }
		NextLink string
	},
	) {
		t.Helper()
		address := "https://management.azure.com" + subscription + "/providers/microsoft.insights/eventtypes/management/values?" +
			url.Values{"api-version": {version}, "$filter": {filter}}.Encode()
		r := send(t, s, http.MethodGet, address, "app", "")
		if r.StatusCode == http.StatusOK {
			must(t, json.Unmarshal(r.body, &shown))
		}
		return r.StatusCode, shown
	}
	inGroup := times + " and resourceGroupName eq '" + strings.ToUpper(group) + "'"
	if status, _ := read("2015-04-01", inGroup); status != http.StatusForbidden {
		t.Errorf("without a role: %d", status)
	}
	s.Assign(s.ObjectID("app"), subscription, fakeazure.Reader)
	for _, filter := range []string{"", "resourceGroupName eq 'x'", inGroup + " and status eq 'Succeeded'", strings.Replace(inGroup, "ge '2", "ge 'x", 1), times + " or resourceUri eq 'x'"} {
		if status, _ := read("2015-04-01", filter); status != http.StatusBadRequest {
			t.Errorf("%s: %d", filter, status)
		}
	}
	if status, _ := read("2024-05-01", inGroup); status != http.StatusBadRequest {
		t.Errorf("in another version: %d", status)
	}
	s.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = 1000 * time.Hour })
	if status, shown := read("2015-04-01", inGroup); status != http.StatusOK || len(shown.Value) != 0 {
		t.Errorf("before its time: %d, %+v", status, shown)
	}
	s.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = time.Nanosecond })
	if status, shown := read("2015-04-01", inGroup); status != http.StatusOK || len(shown.Value) != 2 || shown.NextLink != "" ||
		shown.Value[0].ResourceID != contoso+"/apis/two" {
		t.Errorf("of the group: %d, %+v", status, shown)
	}
	if status, shown := read("2015-04-01", times+" and resourceUri eq '"+contoso+"'"); status != http.StatusOK || len(shown.Value) != 0 {
		t.Errorf("of the resource alone: %d, %+v", status, shown)
	}
	s.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Page = 1 })
	if _, shown := read("2015-04-01", inGroup); len(shown.Value) != 1 || shown.NextLink == "" {
		t.Errorf("a page: %+v", shown)
	}
}
