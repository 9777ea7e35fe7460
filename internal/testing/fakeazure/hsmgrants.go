package fakeazure

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// hsmRolePath begins the addresses of an HSM's own access control. Clients put the scope "/" before it as one, two or three slashes.
const hsmRolePath = `/+(?:(?P<scope>keys(?:/[0-9a-zA-Z-]{1,127})?)/+)?(?i:providers/Microsoft\.Authorization)`

// hsmDefinition matches the ID of a role definition in a request; its group is the GUID, which alone is no ID.
var hsmDefinition = regexp.MustCompile(`(?i)^/?Microsoft\.KeyVault/providers/Microsoft\.Authorization/roleDefinitions/([^/]+)$`)

// hsmDefinitionID returns the ID of a role definition (recorded 2020 to 2022).
func hsmDefinitionID(role HSMRole) string {
	return "Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/" + string(role)
}

// listHSMRoles answers with the built-in roles.
func (m *managedHSMs) listHSMRoles(*hsmCall) *http.Response {
	value := []any{}
	for _, role := range slices.Sorted(maps.Keys(hsmRoles)) {
		value = append(value, map[string]any{
			"id": hsmDefinitionID(role), "name": string(role), "type": "Microsoft.Authorization/roleDefinitions",
			"properties": map[string]any{
				"assignableScopes": []string{"/"}, "description": "", "roleName": hsmRoleNames[role], "type": "AKVBuiltInRole",
				"permissions": []any{map[string]any{
					"actions": []any{}, "notActions": []any{}, "dataActions": hsmRoles[role], "notDataActions": []any{},
				}},
			},
		})
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

func (a hsmAssignment) resource() map[string]any {
	return map[string]any{
		"id":   strings.TrimSuffix(a.scope(), "/") + "/providers/Microsoft.Authorization/roleAssignments/" + a.id(),
		"name": a.id(), "type": "Microsoft.Authorization/roleAssignments",
		"properties": map[string]any{"principalId": a.PrincipalID, "roleDefinitionId": hsmDefinitionID(a.Role), "scope": a.scope()},
	}
}

// listGrants answers with the assignments at the scope, above and below.
func (m *managedHSMs) listGrants(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := []any{}
	for _, a := range c.hsm.vault.Assignments {
		if within(c.scope, a.scope()) || within(a.scope(), c.scope) {
			value = append(value, a.resource())
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

// granted returns the index of the call's assignment, -1 if there is none. It is called under the lock.
func (c *hsmCall) granted() int {
	return slices.IndexFunc(c.hsm.vault.Assignments, func(a hsmAssignment) bool {
		return strings.EqualFold(a.id(), c.grant) && a.scope() == c.scope
	})
}

func (m *managedHSMs) getGrant(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := c.granted()
	if i < 0 {
		return hsmError(http.StatusNotFound, "RoleAssignmentNotFound", "Requested role assignment not found")
	}
	return armJSON(http.StatusOK, c.hsm.vault.Assignments[i].resource())
}

// putGrant gives an identity a role. It asks no directory: any GUID is taken.
func (m *managedHSMs) putGrant(c *hsmCall) *http.Response {
	var body struct {
		Properties struct{ RoleDefinitionID, PrincipalID string }
	}
	if err := readJSON(c.request, &body); err != nil {
		return hsmError(http.StatusBadRequest, "BadParameter", err.Error())
	}
	match := hsmDefinition.FindStringSubmatch(body.Properties.RoleDefinitionID)
	switch {
	case uuid.Validate(c.grant) != nil:
		return hsmError(http.StatusBadRequest, "BadParameter", "The name of the role assignment is no GUID")
	case uuid.Validate(body.Properties.PrincipalID) != nil:
		return hsmError(http.StatusBadRequest, "BadParameter", "principalId is no GUID")
	case match == nil:
		return hsmError(http.StatusBadRequest, "BadParameter", "roleDefinitionId is not of the form "+hsmDefinitionID("{guid}"))
	}
	given := hsmAssignment{
		PrincipalID: body.Properties.PrincipalID, Role: HSMRole(strings.ToLower(match[1])), Scope: c.scope, Name: c.grant,
	}
	if _, ok := hsmRoles[given.Role]; !ok {
		return hsmError(http.StatusNotFound, "RoleDefinitionNotFound", "Requested role definition not found")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := func(a hsmAssignment) bool { return strings.EqualFold(a.id(), c.grant) || a.same(given) }
	if slices.ContainsFunc(c.hsm.vault.Assignments, taken) {
		return hsmError(http.StatusConflict, "RoleAssignmentExists", "The role assignment already exists")
	}
	c.hsm.vault.Assignments = append(slices.Clone(c.hsm.vault.Assignments), given)
	return armJSON(http.StatusCreated, given.resource())
}

func (m *managedHSMs) deleteGrant(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := c.granted()
	if i < 0 {
		return hsmError(http.StatusNotFound, "RoleAssignmentNotFound", "Requested role assignment not found")
	}
	gone := c.hsm.vault.Assignments[i]
	c.hsm.vault.Assignments = slices.Delete(slices.Clone(c.hsm.vault.Assignments), i, i+1)
	return armJSON(http.StatusOK, gone.resource())
}
