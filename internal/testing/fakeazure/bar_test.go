package fakeazure_test

import (
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakeazure"
)

// TestBarsDenyChangesAndNoReads: in the barred scope and below, changes get the code of the reason, and reads go on; elsewhere, and
// once the bar is gone, all is as before.
func TestBarsDenyChangesAndNoReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	must(t, s.Storage(fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey}))
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SystemAssigned: true}))
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	read := func(url string) reply { return send(t, s, http.MethodGet, url, "owner", "") }
	keys := func() reply { return send(t, s, http.MethodPost, storageURL("/listKeys"), "owner", "") }
	backup := func() reply { return send(t, s, http.MethodPost, armURL(contoso+"/backup"), "owner", "{}") }
	for why, want := range map[fakeazure.Bar]struct {
		status int
		code   string
	}{
		fakeazure.DisabledSubscription:  {409, "ReadOnlyDisabledSubscription"},
		fakeazure.UnregisteredProvider:  {409, "MissingSubscriptionRegistration"},
		fakeazure.ReadOnlyLock:          {409, "ScopeLocked"},
		fakeazure.DenyingPolicy:         {403, "RequestDisallowedByPolicy"},
		fakeazure.ExceededQuota:         {429, "QuotaExceeded"},
		fakeazure.ExceededQuotaConflict: {409, "QuotaExceeded"},
	} {
		for _, scope := range []string{"/subscriptions/" + subscription, strings.ToUpper(group), accountID, contoso} {
			s.Bar(scope, why)
			for at, got := range map[string]reply{accountID: keys(), contoso: backup()} {
				barred := scope != accountID && scope != contoso || scope == at
				if is := got.StatusCode == want.status && got.code() == want.code; is != barred {
					t.Errorf("%s at %s, %s: %d %s", want.code, scope, at, got.StatusCode, got.code())
				}
			}
			for _, url := range []string{storageURL(""), armURL(contoso)} {
				if got := read(url); got.StatusCode != http.StatusOK {
					t.Errorf("%s at %s: reading answers %d %s", want.code, scope, got.StatusCode, got.code())
				}
			}
			s.Bar(scope, fakeazure.NoBar)
		}
	}
	if got := keys(); got.StatusCode != http.StatusOK {
		t.Errorf("without a bar: %d %s", got.StatusCode, got.code())
	}
}

// TestAMovedAccountKeepsItsName: after a move the old ID answers 404, the new ID has the same keys, the hosts answer as before, and
// roles that were assigned at the account itself are gone.
func TestAMovedAccountKeepsItsName(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	moved := strings.Replace(accountID, "/backup/", "/elsewhere/", 1)
	if err := s.MoveStorage(accountName, accountID); err == nil {
		t.Error("a move to the same place is no move")
	}
	if err := s.MoveStorage("nobody", moved); err == nil {
		t.Error("an account that is not there was moved")
	}
	must(t, s.MoveStorage(accountName, moved))
	for url, want := range map[string]string{storageURL(""): "ResourceNotFound", storageURL("/blobServices/default"): "ResourceNotFound"} {
		if got := send(t, s, http.MethodGet, url, "owner", ""); got.StatusCode != 404 || got.code() != want {
			t.Errorf("the old ID answers %d %s", got.StatusCode, got.code())
		}
	}
	there := strings.Replace(storageURL("/listKeys"), "/backup/", "/elsewhere/", 1)
	if got := send(t, s, http.MethodPost, there, "owner", ""); got.StatusCode != 200 || !strings.Contains(string(got.body), accountKey) {
		t.Errorf("the new ID answers %d", got.StatusCode)
	}
	if _, err := newBlobClient(t, s, "owner").ServiceClient().NewContainerClient(container).GetProperties(t.Context(), nil); err != nil {
		t.Errorf("the container: %v", err)
	}
	if _, err := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(container).GetProperties(t.Context(), nil); err == nil ||
		!strings.Contains(err.Error(), "403") {
		t.Errorf("with a role at the old ID: %v", err)
	}
	s.Assign(s.ObjectID("app"), moved, fakeazure.StorageBlobDataContributor)
	if _, err := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(container).GetProperties(t.Context(), nil); err != nil {
		t.Errorf("with a role at the new ID: %v", err)
	}
}
