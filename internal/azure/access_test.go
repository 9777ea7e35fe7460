package azure_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
	"lifeboat/internal/testing/fakeazure"
)

// TestTheRoleOfAService: another role that permits the same counts, one with a condition does not say whether it does, and a role that the
// app cannot read says nothing.
func TestTheRoleOfAService(t *testing.T) {
	s, client := graphWorld(t)
	const account = "/subscriptions/" + mine + "/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/contosobackups"
	if err := s.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: "a2V5"}); err != nil {
		t.Fatal(err)
	}
	service := "/subscriptions/" + mine + "/resourceGroups/G/providers/Microsoft.ApiManagement/service/contoso-writes"
	if err := s.AddService(fakeazure.Service{ResourceID: service, SKU: "Premium", SystemAssigned: true}); err != nil {
		t.Fatal(err)
	}
	writer := fakeazure.StorageBlobDataContributor
	needed := roles.Assignment{
		Role:    backup.Role{ID: writer.ID, Name: writer.Name, DataActions: writer.DataActions},
		Scope:   account + "/blobServices/default/containers/lifeboat",
		Service: service, Identity: backup.SystemAssigned, Version: "2024-05-01",
	}
	other := fakeazure.Role{Name: "writes blobs", DataActions: []string{"Microsoft.Storage/storageAccounts/blobServices/*"}}
	reader := fakeazure.Role{Name: "reads blobs", DataActions: []string{"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"}}
	access, identity, condition := azure.Access{Client: client, NewName: uuid.NewString}, s.ObjectID(service), "@Resource[name] StringEquals 'x'"
	for _, c := range []struct {
		name, code, says string
		kind             backup.FaultKind
		give             func()
	}{
		{"without a role", "RoleMissing", "no role there that permits it", backup.Refused, func() {}},
		{"with one that reads alone", "RoleMissing", "", backup.Refused, func() { s.Assign(identity, account, reader) }},
		{"with another that permits it", "", "", "", func() { s.Assign(identity, "/subscriptions/"+mine, other) }},
		{
			"with that on a condition", "RoleHasCondition", "has a condition", backup.Unobservable,
			func() { s.SetCondition(identity, "/subscriptions/"+mine, other, condition) },
		},
		{"with the role, too", "", "", "", func() { s.Assign(identity, needed.Scope, writer) }},
		{
			"with both on a condition", "RoleHasCondition", "", backup.Unobservable,
			func() { s.SetCondition(identity, needed.Scope, writer, condition) },
		},
		{
			"for an app that may read assignments and no role", "AuthorizationFailed", "roleDefinitions/read", backup.Unobservable,
			func() {
				me := s.ObjectID("me")
				s.Unassign(me, "/subscriptions/"+mine)
				s.Assign(me, "/subscriptions/"+mine, fakeazure.Role{Name: "assignments", Actions: []string{
					"Microsoft.Authorization/roleAssignments/read", "Microsoft.ApiManagement/service/read",
				}})
			},
		},
		{
			"for an app that may not see assignments", roles.Hidden, "", backup.Unobservable,
			func() { s.Unassign(s.ObjectID("me"), "/subscriptions/"+mine) },
		},
	} {
		c.give()
		err := access.Granted(t.Context(), needed)
		if c.kind == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if f := backup.AsFault(err); err == nil || f.Kind != c.kind || f.Code != c.code || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

// TestTheRoleOfAVault: the app has the role only if it may see the policy of the container as well. Otherwise an older role of that name is there.
func TestTheRoleOfAVault(t *testing.T) {
	scope := storageIn + "g" + accountOf + "/blobServices/default/containers/lifeboat"
	needed := roles.Assignment{Role: backup.VaultWriter, Scope: scope}
	listed := func() *http.Response { return answer(200, "<EnumerationResults/>") }
	for name, c := range map[string]struct {
		list, shown *http.Response
		kind        backup.FaultKind
		says        string
	}{
		"all of it":                {listed(), answer(200, "{}"), "", ""},
		"no policy to be seen":     {listed(), answer(403, ""), backup.Refused, "Resource Manager answers 403"},
		"no blob to be seen":       {answer(403, ""), answer(200, "{}"), backup.Refused, "storage answers 403"},
		"Resource Manager is away": {listed(), answer(503, ""), backup.Unobservable, ""},
	} {
		w := &place{answers: map[string]*http.Response{blobsAt: c.list, strings.ToLower(scope): c.shown}}
		client := azure.New(&identity{}, azcore.ClientOptions{Transport: w, Retry: policy.RetryOptions{MaxRetries: -1}})
		err := azure.Access{Client: client, NewName: uuid.NewString}.Granted(t.Context(), needed)
		f := backup.AsFault(err)
		if (err == nil) != (c.kind == "") || f != nil && (f.Kind != c.kind || !strings.Contains(f.Message, c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := &place{answers: map[string]*http.Response{blobsAt: listed()}}
	needed.Role = backup.BlobDataContributor // has no action for Resource Manager
	client := azure.New(&identity{}, azcore.ClientOptions{Transport: w})
	if err := (azure.Access{Client: client, NewName: uuid.NewString}).Granted(t.Context(), needed); err != nil {
		t.Error(err)
	}
}
