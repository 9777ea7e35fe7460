package fakeazure_test

import (
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/rbac"
	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
)

const hsmRoleID = "Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/"

func newAccessClient(t *testing.T, s *fakeazure.Sim, identity string) *rbac.Client {
	t.Helper()
	client, err := rbac.NewClient(fortURL, s.Credential(identity), &rbac.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

func hsmGrant(role fakeazure.HSMRole, principal string) rbac.RoleAssignmentCreateParameters {
	return rbac.RoleAssignmentCreateParameters{Properties: &rbac.RoleAssignmentProperties{
		RoleDefinitionID: to.Ptr(hsmRoleID + string(role)), PrincipalID: to.Ptr(principal),
	}}
}

// TestHSMGrantsThroughTheOfficialClient checks a grant by the call that needs it.
func TestHSMGrantsThroughTheOfficialClient(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.AssignHSM(fort, s.ObjectID("admin"), fakeazure.ManagedHSMAdministrator))
	admin := newAccessClient(t, s, "admin")
	var names []string
	for pager := admin.NewListRoleDefinitionsPager(rbac.RoleScopeGlobal, nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		for _, d := range page.Value {
			names = append(names, *d.Properties.RoleName)
		}
	}
	if len(names) != 6 {
		t.Errorf("role definitions %q", names)
	}
	guest := s.ObjectID("guest")
	start := func() int {
		r, err := sendAs(t, s, "POST", fortURL+"/backup"+hsmVersion, "Bearer "+tokenOf(t, s, "guest", "https://managedhsm.azure.net"),
			"application/json", "{}")
		must(t, err)
		return r.StatusCode // 400 is behind the permission
	}
	if got := start(); got != 403 {
		t.Errorf("before: got %d", got)
	}
	name := uuid.NewString()
	made, err := admin.CreateRoleAssignment(t.Context(), rbac.RoleScopeGlobal, name, hsmGrant(fakeazure.ManagedHSMBackup, guest), nil)
	must(t, err)
	if *made.Name != name || *made.Properties.PrincipalID != guest || *made.Properties.Scope != rbac.RoleScopeGlobal {
		t.Errorf("made %+v", made.Properties)
	}
	if got := start(); got != 400 {
		t.Errorf("granted: got %d", got)
	}
	if all, err := s.HSMAssignments(fort, guest); err != nil || len(all) != 1 || all[0].Name != name || all[0].Scope != "/" {
		t.Errorf("assignments %+v, %v", all, err)
	}
	if _, err := admin.CreateRoleAssignment(t.Context(), rbac.RoleScopeGlobal, uuid.NewString(),
		hsmGrant(fakeazure.ManagedHSMBackup, guest), nil); err == nil {
		t.Error("the same grant was made twice")
	}
	if _, err := newAccessClient(t, s, "app").DeleteRoleAssignment(t.Context(), rbac.RoleScopeGlobal, name, nil); err == nil {
		t.Error("who may back up may take roles away")
	}
	_, err = admin.DeleteRoleAssignment(t.Context(), rbac.RoleScopeGlobal, name, nil)
	must(t, err)
	if got := start(); got != 403 {
		t.Errorf("after: got %d", got)
	}
	if _, err := admin.GetRoleAssignment(t.Context(), rbac.RoleScopeGlobal, name, nil); err == nil {
		t.Error("the grant is still there")
	}
}

func TestHSMGrantChecks(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.AssignHSM(fort, s.ObjectID("admin"), fakeazure.ManagedHSMAdministrator))
	guest := s.ObjectID("guest")
	body := func(role, principal string) string {
		return fmt.Sprintf(`{"properties":{"roleDefinitionId":%q,"principalId":%q}}`, role, principal)
	}
	backup := body(hsmRoleID+string(fakeazure.ManagedHSMBackup), guest)
	const path = "/providers/Microsoft.Authorization/roleAssignments/"
	for _, tt := range []struct {
		name, identity, method, path, body string
		status                             int
		code                               string
	}{
		{
			"a key's", "admin", "PUT", "/keys/rsa1" + path + uuid.NewString(),
			body(hsmRoleID+string(fakeazure.ManagedHSMCryptoUser), guest), 201, "",
		},
		{"with two slashes", "admin", "PUT", "//" + path[1:] + uuid.NewString(), backup, 201, ""},
		{"with three slashes", "admin", "GET", "//" + path[:len(path)-1], "", 200, ""},
		{"a GUID alone", "admin", "PUT", path + uuid.NewString(), body(string(fakeazure.ManagedHSMRestore), guest), 400, "BadParameter"},
		{"a name for a role", "admin", "PUT", path + uuid.NewString(), body("Managed HSM Restore", guest), 400, "BadParameter"},
		{
			"a role of Resource Manager", "admin", "PUT", path + uuid.NewString(),
			body("/subscriptions/"+subscription+authorization+"roleDefinitions/"+fakeazure.Reader.ID, guest), 400, "BadParameter",
		},
		{
			"an unknown role", "admin", "PUT", path + uuid.NewString(),
			body(hsmRoleID+uuid.NewString(), guest), 404, "RoleDefinitionNotFound",
		},
		{
			"a name for an identity", "admin", "PUT", path + uuid.NewString(),
			body(hsmRoleID+string(fakeazure.ManagedHSMRestore), "guest"), 400, "BadParameter",
		},
		{"a name for the assignment", "admin", "PUT", path + "mine", backup, 400, "BadParameter"},
		{"twice", "admin", "PUT", path + uuid.NewString(), backup, 409, "RoleAssignmentExists"},
		{"without the role", "app", "PUT", path + uuid.NewString(), backup, 403, "AccessDenied"},
		{"read without the role", "app", "GET", path[:len(path)-1], "", 403, "AccessDenied"},
		{"nothing to delete", "admin", "DELETE", path + uuid.NewString(), "", 404, "RoleAssignmentNotFound"},
	} {
		r, err := sendAs(t, s, tt.method, fortURL+tt.path+hsmVersion, "Bearer "+tokenOf(t, s, tt.identity, "https://managedhsm.azure.net"),
			"application/json", tt.body)
		must(t, err)
		if r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, r.StatusCode, r.body, tt.status, tt.code)
		}
	}
	key := func(name string) int {
		r, err := sendAs(t, s, "GET", fortURL+"/keys/"+name+hsmVersion, "Bearer "+tokenOf(t, s, "guest", "https://managedhsm.azure.net"), "", "")
		must(t, err)
		return r.StatusCode
	}
	if own, other := key("rsa1"), key("rsa2"); own != 200 || other != 403 {
		t.Errorf("a role on one key: %d there, %d elsewhere", own, other)
	}
	must(t, s.UnassignHSM(fort, guest, fakeazure.ManagedHSMCryptoUser))
	if all, err := s.HSMAssignments(fort, guest); err != nil || len(all) != 1 || all[0].Role != string(fakeazure.ManagedHSMBackup) {
		t.Errorf("left are %+v, %v", all, err)
	}
}
