package fakeazure_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
)

const authorization = "/providers/Microsoft.Authorization/"

func roleURL(scope, kind, name, filter string) string {
	url := "https://management.azure.com" + scope + authorization + kind
	if name != "" {
		url += "/" + name
	}
	url += "?api-version=2022-04-01"
	if filter != "" {
		url += "&$filter=" + strings.ReplaceAll(filter, " ", "%20")
	}
	return url
}

func grant(role, principal, kind string) string {
	return fmt.Sprintf(`{"properties":{"roleDefinitionId":"/subscriptions/%s%sroleDefinitions/%s","principalId":"%s","principalType":%q}}`,
		subscription, authorization, role, principal, kind)
}

// startWithOwner runs a Sim with the storage account and its owner, who may grant everything and read no blob.
func startWithOwner(t *testing.T) *fakeazure.Sim {
	t.Helper()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("owner"), "/subscriptions/"+subscription, fakeazure.Owner)
	return s
}

func TestRoleAssignments(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	s.Assign(s.ObjectID("contributor"), "/", fakeazure.Contributor)
	s.Assign(s.ObjectID("reader"), accountID, fakeazure.Reader)
	app := s.ObjectID("app")
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: fort}))
	taken := uuid.NewString()
	if r := send(t, s, "PUT", roleURL(accountID, "roleAssignments", taken, ""), "owner",
		grant(fakeazure.ReaderAndDataAccess.ID, app, "ServicePrincipal")); r.StatusCode != 201 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	reader := grant(fakeazure.Reader.ID, app, "ServicePrincipal")
	for name, tt := range map[string]struct {
		method, scope, name, identity, body string
		status                              int
		code                                string
	}{
		"on a subscription": {"PUT", "/subscriptions/" + subscription, "", "owner", reader, 201, ""},
		"on a group":        {"PUT", group, "", "owner", reader, 201, ""},
		"on a resource":     {"PUT", fort, "", "owner", reader, 201, ""},
		"on a container":    {"PUT", accountID + "/blobServices/default/containers/a", "", "owner", reader, 201, ""},
		"on a queue":        {"PUT", accountID + "/queueServices/default/queues/a", "", "owner", reader, 201, ""},
		"no part of it":     {"PUT", accountID + "/containers/a", "", "owner", reader, 404, "InvalidResourceType"},
		"no such service":   {"PUT", contoso + "2", "", "owner", reader, 404, "ResourceNotFound"},
		"no such group":     {"PUT", group + "2", "", "owner", reader, 404, "ResourceGroupNotFound"},
		"again": {
			"PUT", accountID, taken, "owner", grant(fakeazure.ReaderAndDataAccess.ID, app, "ServicePrincipal"), 200, "",
		},
		"again by another name": {
			"PUT", strings.ToUpper(accountID[:20]) + accountID[20:], "", "owner",
			grant(strings.ToUpper(fakeazure.ReaderAndDataAccess.ID), app, "ServicePrincipal"), 409, "RoleAssignmentExists",
		},
		"another by its name": {"PUT", accountID, taken, "owner", reader, 400, "RoleAssignmentUpdateNotPermitted"},
		"elsewhere by its name": {
			"PUT", contoso, taken, "owner", grant(fakeazure.ReaderAndDataAccess.ID, app, ""), 400, "RoleAssignmentUpdateNotPermitted",
		},
		"unknown identity": {
			"PUT", contoso, "", "owner", grant(fakeazure.Reader.ID, uuid.NewString(), ""), 400, "PrincipalNotFound",
		},
		"unknown identity with its type": {
			"PUT", contoso, "", "owner", grant(fakeazure.Reader.ID, uuid.NewString(), "ServicePrincipal"), 201, "",
		},
		"of another type": {"PUT", contoso, "", "owner", grant(fakeazure.Reader.ID, app, "User"), 400, "UnmatchedPrincipalType"},
		"unknown role":    {"PUT", contoso, "", "owner", grant(uuid.NewString(), app, ""), 400, "RoleDefinitionDoesNotExist"},
		"role without its path": {
			"PUT", contoso, "", "owner", `{"properties":{"roleDefinitionId":"` + fakeazure.Reader.ID + `","principalId":"` + app + `"}}`,
			400, "BadRequestFormat",
		},
		"role by its name": {"PUT", contoso, "", "owner", grant("Reader", app, ""), 400, "InvalidRoleDefinitionId"},
		"a client ID's place": {
			"PUT", contoso, "", "owner", grant(fakeazure.Reader.ID, "app", ""), 400, "InvalidPrincipalId",
		},
		"a name that is no GUID":      {"PUT", contoso, "mine", "owner", reader, 400, "InvalidRoleAssignmentId"},
		"an unknown member":           {"PUT", contoso, "", "owner", `{"properties":{"role":"Reader"}}`, 400, "BadRequestFormat"},
		"contributors grant nothing":  {"PUT", contoso, "", "contributor", reader, 403, "AuthorizationFailed"},
		"nor do readers":              {"PUT", accountID, "", "reader", reader, 403, "AuthorizationFailed"},
		"nor take away":               {"DELETE", accountID, taken, "contributor", "", 403, "AuthorizationFailed"},
		"readers see":                 {"GET", accountID, taken, "reader", "", 200, ""},
		"but not above":               {"GET", group, taken, "reader", "", 403, "AuthorizationFailed"},
		"it is not elsewhere":         {"GET", group, taken, "owner", "", 404, "RoleAssignmentNotFound"},
		"what is not there is gone":   {"DELETE", accountID, uuid.NewString(), "owner", "", 204, ""},
		"what is elsewhere stays":     {"DELETE", group, taken, "owner", "", 204, ""},
		"no management groups":        {"GET", "/providers/Microsoft.Management/managementGroups/x", taken, "owner", "", 404, "NotFound"},
		"there is no POST":            {"POST", accountID, taken, "owner", "", 405, "MethodNotAllowed"},
		"the other role needs a type": {"PUT", contoso, "", "owner", grant(fakeazure.Reader.ID, app, "Robot"), 400, "BadRequestFormat"},
	} {
		if tt.name == "" {
			tt.name = uuid.NewString()
		}
		r := send(t, s, tt.method, roleURL(tt.scope, "roleAssignments", tt.name, ""), tt.identity, tt.body)
		if r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s, want %d %s", name, r.StatusCode, r.body, tt.status, tt.code)
		}
	}
	if r := send(t, s, "DELETE", roleURL(accountID, "roleAssignments", taken, ""), "owner", ""); r.StatusCode != 200 ||
		!strings.Contains(string(r.body), taken) {
		t.Errorf("taken away: got %d %s", r.StatusCode, r.body)
	}
	for _, a := range s.Assignments(app) {
		if a.Name == taken {
			t.Errorf("%+v was taken away", a)
		}
	}
	before := len(s.Assignments(app))
	s.Unassign(app, accountID, fakeazure.StorageQueueDataContributor)
	if all := s.Assignments(app); len(all) != before-1 || slices.ContainsFunc(all, func(a fakeazure.Assignment) bool {
		return a.Role == fakeazure.StorageQueueDataContributor.ID
	}) {
		t.Errorf("one role less than %d are %d: %+v", before, len(all), all)
	}
}

func TestListOfRoleAssignments(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	inner := accountID + "/blobServices/default/containers/a"
	s.Assign(s.ObjectID("one"), group, fakeazure.Reader)
	s.Assign(s.ObjectID("one"), accountID, fakeazure.ReaderAndDataAccess)
	s.Assign(s.ObjectID("one"), inner, fakeazure.StorageBlobDataReader)
	s.Assign(s.ObjectID("two"), inner, fakeazure.StorageBlobDataReader)
	one := s.ObjectID("one")
	for name, tt := range map[string]struct {
		scope, filter string
		status        int
		want          []string
	}{
		"all of one":     {accountID, "principalId eq '" + one + "'", 200, []string{group, accountID, inner}},
		"in the other":   {contoso, "principalId eq '" + one + "'", 200, []string{group}},
		"at and above":   {accountID, "atScope() and assignedTo('" + one + "')", 200, []string{group, accountID}},
		"only one of it": {accountID, "atScope() and principalId eq '" + one + "'", 400, nil},
		"no such words":  {accountID, "scope eq 'x'", 400, nil},
	} {
		r := send(t, s, "GET", roleURL(tt.scope, "roleAssignments", "", tt.filter), "owner", "")
		var list struct {
			Value []struct {
				ID         string
				Properties struct{ Scope, RoleDefinitionID, PrincipalID, PrincipalType string }
			}
		}
		must(t, json.Unmarshal(r.body, &list))
		var got []string
		for _, a := range list.Value {
			got = append(got, a.Properties.Scope)
			if a.Properties.PrincipalID != one || a.Properties.PrincipalType != "ServicePrincipal" ||
				!strings.HasPrefix(a.ID, a.Properties.Scope+authorization+"roleAssignments/") ||
				!strings.HasPrefix(a.Properties.RoleDefinitionID, "/subscriptions/"+subscription+authorization+"roleDefinitions/") {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if r.StatusCode != tt.status || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %d %q, want %d %q", name, r.StatusCode, got, tt.status, tt.want)
		}
	}
	if r := send(t, s, "GET", roleURL(group, "roleAssignments", "", "atScope()"), "two", ""); r.StatusCode != 403 {
		t.Errorf("without a role: got %d %s", r.StatusCode, r.body)
	}
}

func custom(name, permissions, scope string) string {
	return fmt.Sprintf(`{"properties":{"roleName":%q,"description":"","permissions":[%s],"assignableScopes":[%q]}}`, name, permissions, scope)
}

func TestRoleDefinitions(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	s.Assign(s.ObjectID("granter"), "/subscriptions/"+subscription, fakeazure.RoleBasedAccessControlAdministrator)
	whole := "/subscriptions/" + subscription
	id := uuid.NewString()
	const taken, mixed = "RoleDefinitionWithSameNameExists", "InvalidActionOrNotAction"
	all := func(name, scope string) string { return custom(name, `{"actions":["*"]}`, scope) }
	own := custom("Keeper", `{"actions":["Microsoft.ApiManagement/service/read"]}`, group)
	for _, step := range []struct {
		name, method, id, identity, body string
		status                           int
		code                             string
	}{
		{"nobody else defines", "PUT", id, "granter", own, 403, "AuthorizationFailed"},
		{"define", "PUT", id, "owner", own, 201, ""},
		{"the name in other letters", "PUT", uuid.NewString(), "owner", strings.Replace(own, "Keeper", "keeper", 1), 409, taken},
		{"the name again", "PUT", uuid.NewString(), "owner", own, 409, taken},
		{"a built-in name", "PUT", uuid.NewString(), "owner", all("Reader", whole), 409, taken},
		{"a built-in role", "PUT", fakeazure.Reader.ID, "owner", all("Mine", whole), 400, "RoleDefinitionUpdateNotPermitted"},
		{"for everything", "PUT", uuid.NewString(), "owner", all("All", "/"), 400, "InvalidAssignableScope"},
		{"for a stranger's", "PUT", uuid.NewString(), "owner", all("All", "/subscriptions/"+id), 404, "SubscriptionNotFound"},
		{
			"data among actions", "PUT", uuid.NewString(), "owner",
			custom("All", `{"actions":["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]}`, whole), 400, mixed,
		},
		{
			"actions among data", "PUT", uuid.NewString(), "owner",
			custom("All", `{"dataActions":["Microsoft.Storage/storageAccounts/listKeys/action"]}`, whole), 400, mixed,
		},
		{"no GUID", "PUT", "keeper", "owner", own, 400, "BadRequestFormat"},
		{"change", "PUT", id, "owner", strings.Replace(own, "service/read", "service/*", 1), 201, ""},
		{"read", "GET", id, "granter", "", 200, ""},
		{"read none", "GET", uuid.NewString(), "owner", "", 404, "RoleDefinitionDoesNotExist"},
		{"delete a built-in", "DELETE", fakeazure.Reader.ID, "owner", "", 400, "RoleDefinitionUpdateNotPermitted"},
		{"delete none", "DELETE", uuid.NewString(), "owner", "", 204, ""},
	} {
		r := send(t, s, step.method, roleURL(whole, "roleDefinitions", step.id, ""), step.identity, step.body)
		if r.StatusCode != step.status || r.code() != step.code {
			t.Errorf("%s: got %d %s, want %d %s", step.name, r.StatusCode, r.body, step.status, step.code)
		}
	}
	count := func(scope, filter string) (names []string) {
		var list struct {
			Value []struct {
				Properties struct{ RoleName, Type string }
			}
		}
		r := send(t, s, "GET", roleURL(scope, "roleDefinitions", "", filter), "owner", "")
		must(t, json.Unmarshal(r.body, &list))
		for _, d := range list.Value {
			names = append(names, d.Properties.RoleName)
		}
		return names
	}
	for _, tt := range []struct{ scope, filter, want string }{
		{contoso, "roleName eq 'Keeper' and type eq 'CustomRole'", "[Keeper]"},
		{whole, "roleName eq 'Keeper'", "[]"}, // it is for the group alone
		{whole, "atScopeAndBelow() and roleName eq 'Keeper'", "[Keeper]"},
		{whole, "roleName eq 'Reader'", "[Reader]"},
		{whole, "type eq 'BuiltInRole' and roleName eq 'Reader and Data Access'", "[Reader and Data Access]"},
		{whole, "roleName eq 'It''s mine'", "[]"},
		{whole, "roleName eq 'Reader' and type eq 'CustomRole'", "[]"},
	} {
		if got := fmt.Sprint(count(tt.scope, tt.filter)); got != tt.want {
			t.Errorf("%s at %s: got %s, want %s", tt.filter, tt.scope, got, tt.want)
		}
	}
	put := func(scope string) int {
		return send(t, s, "PUT", roleURL(scope, "roleAssignments", uuid.NewString(), ""), "owner", grant(id, s.ObjectID("app"), "")).StatusCode
	}
	if above, at := put(whole), put(group); above != 400 || at != 201 {
		t.Errorf("assigned above the role's scope: %d, at it: %d", above, at)
	}
	if r := send(t, s, "DELETE", roleURL(whole, "roleDefinitions", id, ""), "owner", ""); r.code() != "RoleDefinitionHasAssignments" {
		t.Errorf("deleted while it is assigned: %d %s", r.StatusCode, r.body)
	}
}

// TestRolesTakeEffectAtOnce checks each grant by a call that needs it, before, during and after; and that a changed role changes what
// its owners may do.
func TestRolesTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	own, role := uuid.NewString(), uuid.NewString()
	status := func() int {
		return send(t, s, "POST", armURL(contoso+"/backup"), "guest", "{}").StatusCode // 400 is behind the permission
	}
	define := func(permissions string) {
		t.Helper()
		url := roleURL("/subscriptions/"+subscription, "roleDefinitions", own, "")
		if r := send(t, s, "PUT", url, "owner", custom("Backup", permissions, "/subscriptions/"+subscription)); r.StatusCode != 201 {
			t.Fatalf("got %d %s", r.StatusCode, r.body)
		}
	}
	want := func(what string, want int) {
		t.Helper()
		if got := status(); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	define(`{"actions":["Microsoft.ApiManagement/service/backup/action"]}`)
	want("before", 403)
	url := roleURL(contoso, "roleAssignments", role, "")
	if r := send(t, s, "PUT", url, "owner", grant(own, s.ObjectID("guest"), "ServicePrincipal")); r.StatusCode != 201 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	want("granted", 400)
	define(`{"actions":["*"],"notActions":["Microsoft.ApiManagement/service/backup/*"]}`)
	want("excluded", 403)
	define(`{"dataActions":["*"]}`)
	want("data only", 403)
	define(`{"actions":["*"]}`)
	want("everything", 400)
	if r := send(t, s, "DELETE", url, "owner", ""); r.StatusCode != 200 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	want("after", 403)
}

// blobCalls makes one call of each kind on a blob of the container and returns what was let through.
func blobCalls(t *testing.T, client *azblob.Client, name string) (allowed []string) {
	t.Helper()
	blobs := client.ServiceClient().NewContainerClient(name)
	blob := blobs.NewBlockBlobClient("backup")
	for _, call := range []struct {
		name string
		make func() error
	}{
		{"write", func() error { _, err := blob.UploadBuffer(t.Context(), []byte("x"), nil); return err }},
		{"read", func() error { _, err := blob.DownloadStream(t.Context(), nil); return err }},
		{"properties", func() error { _, err := blob.GetProperties(t.Context(), nil); return err }},
		{"list", func() error { _, err := blobs.NewListBlobsFlatPager(nil).NextPage(t.Context()); return err }},
		{"container", func() error { _, err := blobs.GetProperties(t.Context(), nil); return err }},
		{"delete", func() error { _, err := blob.Delete(t.Context(), nil); return err }},
	} {
		err := call.make()
		if status, _ := errorCode(err); err != nil && status != 403 {
			t.Errorf("%s of %s: %v", call.name, name, err)
		}
		if err == nil {
			allowed = append(allowed, call.name)
		}
	}
	return allowed
}

// TestPolicyAuthorReachesOneContainer plays a person who may edit the policies of one API Management: a policy can get tokens of the
// service's identity, for any audience, and send any request with them.
func TestPolicyAuthorReachesOneContainer(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	a, b := unique("apim-a"), unique("apim-b")
	for _, name := range []string{a, b} {
		_, err := newBlobClient(t, s, "app").CreateContainer(t.Context(), name, nil)
		must(t, err)
		_, err = newBlobClient(t, s, "app").UploadBuffer(t.Context(), name, "kept", []byte("secret"), nil)
		must(t, err)
	}
	owner := group + "/providers/Microsoft.ApiManagement/service/service-a"
	must(t, s.AddService(fakeazure.Service{ResourceID: owner, SystemAssigned: true}))
	scope := accountID + "/blobServices/default/containers/" + a
	if r := send(t, s, "PUT", roleURL(scope, "roleAssignments", uuid.NewString(), ""), "owner",
		grant(fakeazure.StorageBlobDataContributor.ID, s.ObjectID(owner), "ServicePrincipal")); r.StatusCode != 201 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	client := newBlobClient(t, s, owner)
	if got := blobCalls(t, client, a); len(got) != 6 {
		t.Errorf("in its own container it may only %q", got)
	}
	if got := blobCalls(t, client, b); len(got) != 0 {
		t.Errorf("in the other container it may %q", got)
	}
	if _, err := client.NewListContainersPager(nil).NextPage(t.Context()); err == nil {
		t.Error("it lists the account's containers")
	}
	if _, err := client.ServiceClient().GetUserDelegationCredential(t.Context(), service.KeyInfo{
		Start: to.Ptr(time.Now().UTC().Format(sas.TimeFormat)), Expiry: to.Ptr(time.Now().UTC().Add(time.Hour).Format(sas.TimeFormat)),
	}, nil); err == nil {
		t.Error("it gets a key that signs for the whole account")
	}
	if _, err := client.DeleteContainer(t.Context(), b, nil); err == nil {
		t.Error("it deletes the other container")
	}
	host := "https://" + accountName + ".blob.core.windows.net/"
	token := "Bearer " + tokenOf(t, s, owner, "https://storage.azure.com")
	for name, tt := range map[string]struct{ method, path, source string }{
		"copy out":            {"PUT", a + "/stolen", host + b + "/kept"},
		"copy out upwards":    {"PUT", a + "/stolen", host + a + "/../" + b + "/kept"},
		"copy in":             {"PUT", b + "/planted", host + a + "/kept"},
		"read upwards":        {"GET", a + "/../" + b + "/kept", ""},
		"read upwards hidden": {"GET", a + "/%2e%2e/" + b + "/kept", ""},
		"delete upwards":      {"DELETE", a + "/..%2f" + b + "/kept", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, host+tt.path, nil)
		must(t, err)
		req.Header.Set("Authorization", token)
		req.Header.Set("X-Ms-Version", "2024-11-04")
		if tt.source != "" {
			req.Header.Set("X-Ms-Copy-Source", tt.source)
		}
		resp, err := s.Client().Do(req)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s: got %d", name, resp.StatusCode)
		}
	}
	if content := download(t, s, b, "kept"); string(content) != "secret" {
		t.Errorf("the other's backup is %q", content)
	}
	// Its own copies go on, and it has no power over Resource Manager.
	copied := client.ServiceClient().NewContainerClient(a).NewBlobClient("copy")
	if _, err := copied.StartCopyFromURL(t.Context(), host+a+"/kept", nil); err != nil {
		t.Errorf("a copy within the container: %v", err)
	}
	if r := send(t, s, "POST", storageURL("/listKeys"), owner, ""); r.StatusCode != 403 {
		t.Errorf("it reads the account's keys: %d", r.StatusCode)
	}
}

func TestActionsAndDataActions(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	name := createContainer(t, s)
	s.Assign(s.ObjectID("data"), accountID, fakeazure.Role{DataActions: []string{"*"}})
	if got := blobCalls(t, newBlobClient(t, s, "owner"), name); !slices.Equal(got, []string{"container"}) {
		t.Errorf("an owner may %q", got)
	}
	if r := send(t, s, "POST", storageURL("/listKeys"), "owner", ""); r.StatusCode != 200 {
		t.Errorf("an owner reads no keys: %d", r.StatusCode)
	}
	if got := blobCalls(t, newBlobClient(t, s, "data"), name); len(got) != 5 || slices.Contains(got, "container") {
		t.Errorf("a reader of data may %q", got)
	}
	if r := send(t, s, "POST", storageURL("/listKeys"), "data", ""); r.StatusCode != 403 {
		t.Errorf("a reader of data reads keys: %d", r.StatusCode)
	}
}

// TestVault checks a role that adds blobs and neither overwrites nor deletes any, for a client and for a service's backup, by both readings of
// what a blob in blocks takes.
func TestVault(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	name, service := createContainer(t, s), group+"/providers/Microsoft.ApiManagement/service/vaulted"
	must(t, s.AddService(fakeazure.Service{ResourceID: service, SystemAssigned: true}))
	s.Assign(s.ObjectID("app"), service, fakeazure.APIManagementServiceOperator)
	id, whole := uuid.NewString(), "/subscriptions/"+subscription
	const permissions = `{"actions":["Microsoft.Storage/storageAccounts/blobServices/containers/read"],"dataActions":[` +
		`"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",` +
		`"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action"]}`
	r := send(t, s, "PUT", roleURL(whole, "roleDefinitions", id, ""), "owner", custom("Vault writer", permissions, whole))
	if r.StatusCode != 201 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	for _, identity := range []string{"keeper", service} {
		scope := accountID + "/blobServices/default/containers/" + name
		r := send(t, s, "PUT", roleURL(scope, "roleAssignments", uuid.NewString(), ""), "owner", grant(id, s.ObjectID(identity), "ServicePrincipal"))
		if r.StatusCode != 201 {
			t.Fatalf("got %d %s", r.StatusCode, r.body)
		}
	}
	for container, want := range map[string]int{name: 200, "another": 403} { // the role at a container is one on it alone
		if r := send(t, s, "GET", storageURL("/blobServices/default/containers/"+container), "keeper", ""); r.StatusCode != want {
			t.Errorf("its policy: %d %s, want %d", r.StatusCode, r.body, want)
		}
	}
	client := newBlobClient(t, s, "keeper")
	blob := client.ServiceClient().NewContainerClient(name).NewBlockBlobClient("kept")
	_, err := client.UploadBuffer(t.Context(), name, "kept", []byte("first"), nil)
	must(t, err)
	inBlocks := func() error {
		_, err := client.UploadStream(t.Context(), name, "blocks", strings.NewReader(strings.Repeat("x", 3<<20)), nil)
		return err
	}
	url := strings.Replace(armURL(contoso+"/backup"), contoso, service, 1)
	if status, code := errorCode(inBlocks()); status != 403 || code != "AuthorizationPermissionMismatch" {
		t.Errorf("in blocks: %d %s", status, code)
	}
	if last := finish(t, s, send(t, s, "POST", url, "app", body(name, "vault-1", ""))); !strings.Contains(string(last.body), "AuthorizationPermissionMismatch") {
		t.Errorf("a backup in blocks: got %d %s", last.StatusCode, last.body)
	}
	account := shared.account
	account.BlocksByAdd = true
	must(t, s.Storage(account))
	must(t, inBlocks())
	for what, change := range map[string]func() error{
		"overwritten": func() error {
			_, err := client.UploadBuffer(t.Context(), name, "kept", []byte("second"), nil)
			return err
		},
		"deleted": func() error { _, err := blob.Delete(t.Context(), nil); return err },
		"given a label": func() error {
			_, err := blob.SetMetadata(t.Context(), map[string]*string{"a": to.Ptr("b")}, nil)
			return err
		},
		"copied over": func() error {
			_, err := blob.StartCopyFromURL(t.Context(), containerURL(name)+"/blocks", nil)
			return err
		},
		"replaced by blocks": func() error {
			_, err := client.UploadStream(t.Context(), name, "kept", strings.NewReader(strings.Repeat("y", 3<<20)), nil)
			return err
		},
	} {
		if status, code := errorCode(change()); status != 403 || code != "AuthorizationPermissionMismatch" {
			t.Errorf("%s: %d %s", what, status, code)
		}
	}
	if content := download(t, s, name, "kept"); string(content) != "first" {
		t.Errorf("the blob is %q", content)
	}
	if last := finish(t, s, send(t, s, "POST", url, "app", body(name, "vault-1", ""))); last.StatusCode != 200 {
		t.Errorf("a backup: got %d %s", last.StatusCode, last.body)
	}
	last := finish(t, s, send(t, s, "POST", url, "app", body(name, "vault-1", "")))
	if last.StatusCode != 400 || !strings.Contains(string(last.body), "AuthorizationPermissionMismatch") {
		t.Errorf("a backup over it: got %d %s", last.StatusCode, last.body)
	}
}

func TestUserAssignedIdentities(t *testing.T) {
	t.Parallel()
	s := startWithOwner(t)
	const kind = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
	must(t, s.AddIdentity(group+kind+"/lifeboat"))
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: fort, Identity: "hsm-writer"}))
	url := func(path string) string { return "https://management.azure.com" + path + "?api-version=2024-11-30" }
	var one struct {
		ID         string
		Properties struct{ PrincipalID, ClientID, TenantID string }
	}
	r := send(t, s, "GET", url(group+kind+"/lifeboat"), "owner", "")
	must(t, json.Unmarshal(r.body, &one))
	if !strings.EqualFold(one.ID, group+kind+"/lifeboat") || one.Properties.PrincipalID != s.ObjectID("lifeboat") ||
		one.Properties.ClientID != s.ClientID("lifeboat") || one.Properties.TenantID != s.TenantID() {
		t.Errorf("got %d %s", r.StatusCode, r.body)
	}
	var list struct{ Value []struct{ Name string } }
	must(t, json.Unmarshal(send(t, s, "GET", url("/subscriptions/"+subscription+kind), "owner", "").body, &list))
	if fmt.Sprint(list.Value) != "[{backup-writer} {hsm-writer} {lifeboat}]" {
		t.Errorf("the list is %v", list.Value)
	}
	if r := send(t, s, "GET", url(group+kind+"/nobody"), "owner", ""); r.code() != "ResourceNotFound" {
		t.Errorf("an unknown one: %d %s", r.StatusCode, r.body)
	}
}
