package fakeazure_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/testing/fakeazure"
)

// newcomer is the body of PUT of a service, as Azure CLI sends it.
const newcomer = `{"sku":{"name":"Developer","capacity":1},"identity":{"type":"SystemAssigned"},"location":"westeurope",` +
	`"properties":{"publisherEmail":"publisher@contoso.com","publisherName":"Contoso","notificationSenderEmail":"publisher@contoso.com",` +
	`"virtualNetworkType":"None","restore":false},"tags":{"a":"b"}}`

// startWithGroup starts a Sim whose group has the service contoso, and an owner of all.
func startWithGroup(t *testing.T, change ...func(*fakeazure.Config)) *fakeazure.Sim {
	t.Helper()
	s := start(t, change...)
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso}))
	s.Assign(s.ObjectID("owner"), "/subscriptions/"+subscription, fakeazure.Contributor)
	return s
}

// sibling is another service of the group.
func sibling(name string) string { return strings.Replace(contoso, "/contoso", "/"+name, 1) }

func TestAServiceIsRefused(t *testing.T) {
	t.Parallel()
	s := startWithGroup(t)
	fresh := sibling("fresh")
	for _, tt := range []struct {
		name, method, path, identity, body string
		status                             int
		code, says                         string
	}{
		{"a reader makes one", "PUT", fresh, "nobody", newcomer, 403, "AuthorizationFailed", "service/write"},
		{"a reader deletes one", "DELETE", contoso, "nobody", "", 403, "AuthorizationFailed", "service/delete"},
		{"no region", "PUT", fresh, "owner", strings.Replace(newcomer, `"location":"westeurope",`, "", 1), 400, "ValidationError", "location"},
		{"no tier", "PUT", fresh, "owner", strings.Replace(newcomer, "Developer", "Small", 1), 400, "ValidationError", "sku.name"},
		{"two units", "PUT", fresh, "owner", strings.Replace(newcomer, `"capacity":1`, `"capacity":2`, 1), 400, "ValidationError", "sku.capacity"},
		{"no mail", "PUT", fresh, "owner", strings.Replace(newcomer, `"publisherEmail":"publisher@contoso.com",`, "", 1), 400, "ValidationError", "publisherEmail"},
		{"no publisher", "PUT", fresh, "owner", strings.Replace(newcomer, `"publisherName":"Contoso",`, "", 1), 400, "ValidationError", "publisherName"},
		{"unknown", "PUT", fresh, "owner", strings.Replace(newcomer, "publisherName", "publisher", 1), 400, "InvalidRequestContent", "publisher"},
		{"a name", "PUT", sibling("fresh-"), "owner", newcomer, 400, "ValidationError", "serviceName"},
		{"a group", "PUT", strings.Replace(fresh, "/backup/", "/elsewhere/", 1), "owner", newcomer, 404, "ResourceGroupNotFound", "elsewhere"},
		{"a name in use", "PUT", strings.Replace(fresh, "/fresh", "/CONTOSO", 1), "owner", strings.Replace(newcomer, "Developer", "Premium", 1), 400, "ValidationError", "tier"},
		{"none to delete", "DELETE", fresh, "owner", "", 204, "", ""},
		{"none to purge", "DELETE", "/subscriptions/" + subscription + "/providers/Microsoft.ApiManagement/locations/westeurope/deletedservices/fresh", "owner", "", 204, "", ""},
		{"none deleted", "GET", "/subscriptions/" + subscription + "/providers/Microsoft.ApiManagement/locations/westeurope/deletedservices/fresh", "owner", "", 404, "ServiceNotFound", "fresh"},
		{"the list", "GET", "/subscriptions/" + subscription + "/providers/Microsoft.ApiManagement/deletedservices", "nobody", "", 403, "AuthorizationFailed", "deletedservices/read"},
		{"a group seen", "GET", group, "owner", "", 200, "", `"location":"westeurope"`},
		{"a group unseen", "GET", group, "nobody", "", 403, "AuthorizationFailed", "resourceGroups/read"},
	} {
		r := send(t, s, tt.method, strings.Replace(armURL(tt.path), "2024-05-01", map[bool]string{true: "2024-11-01", false: "2024-05-01"}[tt.path == group], 1), tt.identity, tt.body)
		if r.StatusCode != tt.status || r.code() != tt.code || !strings.Contains(string(r.body), tt.says) {
			t.Errorf("%s: %d %s", tt.name, r.StatusCode, r.body)
		}
	}
}

// TestTheLifeOfAService: Microsoft's own client makes a service, deletes it and purges it. While it is made or deleted it is locked.
func TestTheLifeOfAService(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{true, false} {
		s := startWithGroup(t)
		must(t, s.Tune("", func(k *fakeazure.Options) {
			if !hidden {
				k.Deletion = fakeazure.DeletionShown
			}
		}))
		fresh := sibling("fresh")
		options := &arm.ClientOptions{ClientOptions: clientOptions(s)}
		client, err := apim.NewServiceClient(subscription, s.Credential("owner"), options)
		must(t, err)
		deleted, err := apim.NewDeletedServicesClient(subscription, s.Credential("owner"), options)
		must(t, err)
		var wanted apim.ServiceResource
		must(t, json.Unmarshal([]byte(newcomer), &wanted))
		poll := &runtime.PollUntilDoneOptions{Frequency: 10 * time.Millisecond}
		state := func() string {
			t.Helper()
			var shown struct {
				Properties struct{ ProvisioningState string }
			}
			r := send(t, s, "GET", armURL(fresh), "owner", "")
			if r.StatusCode != 200 {
				return r.code()
			}
			must(t, json.Unmarshal(r.body, &shown))
			return shown.Properties.ProvisioningState
		}
		making, err := client.BeginCreateOrUpdate(t.Context(), "backup", "fresh", wanted, nil)
		must(t, err)
		if got := state(); got != "Activating" {
			t.Errorf("made: %s", got)
		}
		for method, body := range map[string]string{"PUT": newcomer, "DELETE": ""} {
			if r := send(t, s, method, armURL(fresh), "owner", body); r.StatusCode != 409 || r.code() != "ServiceLocked" {
				t.Errorf("%s: %d %s", method, r.StatusCode, r.body)
			}
		}
		made, err := making.PollUntilDone(t.Context(), poll)
		must(t, err)
		if got := state(); got != "Succeeded" || *made.Tags["a"] != "b" || *made.Identity.PrincipalID != s.ObjectID(fresh) {
			t.Errorf("made: %s %+v", got, made)
		}
		deleting, err := client.BeginDelete(t.Context(), "backup", "fresh", nil)
		must(t, err)
		if got := state(); got != map[bool]string{true: "ResourceNotFound", false: "Deleting"}[hidden] {
			t.Errorf("deleted: %s", got)
		}
		if r := send(t, s, "DELETE", armURL(fresh), "owner", ""); r.code() != "ServiceLocked" || len(s.DeletedServices()) > 0 {
			t.Errorf("%d %s %v", r.StatusCode, r.body, s.DeletedServices())
		}
		if _, err = deleting.PollUntilDone(t.Context(), poll); err != nil && !hidden {
			t.Error(err)
		}
		eventually(t, "gone", func() bool { return !s.HasService(fresh) })
		if got := s.DeletedServices(); !slices.Equal(got, []string{fresh}) || state() != "ResourceNotFound" {
			t.Errorf("Azure keeps %v", got)
		}
		if r := send(t, s, "PUT", armURL(fresh), "owner", newcomer); r.code() != "ServiceAlreadyExistsInSoftDeletedState" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		kept, err := deleted.GetByName(t.Context(), "fresh", "West Europe", nil)
		must(t, err)
		if *kept.Properties.ServiceID != fresh || kept.Properties.ScheduledPurgeDate.Before(time.Now()) {
			t.Errorf("%+v", kept.Properties)
		}
		gone, err := deleted.BeginPurge(t.Context(), "fresh", "westeurope", nil)
		must(t, err)
		if r := send(t, s, "DELETE", armURL(*kept.ID), "owner", ""); r.code() != "ServiceLocked" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		_, err = gone.PollUntilDone(t.Context(), poll)
		must(t, err)
		if got := s.DeletedServices(); len(got) > 0 || !s.HasService(contoso) {
			t.Errorf("Azure keeps %v", got)
		}
	}
}

// TestAServiceIsStillborn: it ends Failed, and can be deleted.
func TestAServiceIsStillborn(t *testing.T) {
	t.Parallel()
	s := startWithGroup(t)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.Stillborn, k.Making, k.Removing = true, 1, 1 }))
	fresh := sibling("fresh")
	if r := send(t, s, "PUT", armURL(fresh), "owner", newcomer); r.StatusCode != 201 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	eventually(t, "Failed", func() bool {
		return strings.Contains(string(send(t, s, "GET", armURL(fresh), "owner", "").body), `"provisioningState":"Failed"`)
	})
	if r := send(t, s, "DELETE", armURL(fresh), "owner", ""); r.StatusCode != 202 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	eventually(t, "gone", func() bool { return !s.HasService(fresh) })
}
