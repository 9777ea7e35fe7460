package fakeazure

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

const (
	identityProvider = "Microsoft.ManagedIdentity"
	identityKind     = "userAssignedIdentities"
)

// identityVersions are versions of user-assigned identities: Azure CLI 2.91 asks in the last.
var identityVersions = []string{"2022-01-31-preview", "2023-01-31", "2024-11-30", "2025-05-31-preview"}

// AddIdentity adds a user-assigned identity as a resource. Its object ID is ObjectID of the resource's name. The identities of
// HSMs and of services of API Management are there without it, each in the group of the HSM or service.
func (s *Sim) AddIdentity(resourceID string) error {
	id, err := parseResourceID(resourceID)
	if err != nil {
		return fmt.Errorf("add identity: %w", err)
	}
	if !strings.EqualFold(id.provider+"/"+id.kind, identityProvider+"/"+identityKind) {
		return fmt.Errorf("add identity: %s is of another type", resourceID)
	}
	s.front.mu.Lock()
	s.front.identities[id.key()] = id
	s.front.mu.Unlock()
	s.front.exists(id)
	return nil
}

// identities returns all user-assigned identities by the keys of their IDs.
func (s *Sim) identities() map[string]resourceID {
	s.front.mu.RLock()
	all := maps.Clone(s.front.identities)
	s.front.mu.RUnlock()
	add := func(user resourceID, names ...string) {
		for _, name := range names {
			if id := (resourceID{user.subscription, user.group, identityProvider, identityKind, name}); name != "" {
				all[id.key()] = id
			}
		}
	}
	s.management.mu.Lock()
	for _, svc := range s.management.services {
		add(svc.id, svc.UserAssigned...)
	}
	s.management.mu.Unlock()
	s.hsms.mu.Lock()
	for _, h := range s.hsms.hsms {
		add(h.id, h.Identity)
	}
	s.hsms.mu.Unlock()
	return all
}

// identityType returns the description of user-assigned identities for Resource Manager.
func (s *Sim) identityType() armType {
	return armType{
		versions: identityVersions,
		list: func(string) (all []armResource) {
			for _, id := range s.identities() {
				all = append(all, armResource{id, func() map[string]any { return s.identityResource(id) }})
			}
			return all
		},
		route: func(method string, tail []string) (armRoute, bool) {
			return armRoute{identityProvider + "/" + identityKind + "/read", func(c armCall) (*http.Response, error) {
				id, ok := s.identities()[c.id.key()]
				if !ok {
					return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf("The Resource '%s/%s/%s' under resource group '%s' "+
						"was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
						identityProvider, identityKind, c.id.name, c.id.group)), nil
				}
				return armJSON(http.StatusOK, s.identityResource(id)), nil
			}}, method == http.MethodGet && len(tail) == 0
		},
	}
}

// identityResource returns the identity as Resource Manager shows it: "resourcegroups" in its ID is in lower case (recorded 2025-04).
func (s *Sim) identityResource(id resourceID) map[string]any {
	return map[string]any{
		"id": strings.Replace(id.String(), "/resourceGroups/", "/resourcegroups/", 1), "name": id.name,
		"type": identityProvider + "/" + identityKind, "location": "westeurope", "tags": map[string]any{},
		"properties": map[string]any{
			"tenantId": s.directory.tenant(), "principalId": s.directory.objectID(id.name), "clientId": s.directory.clientID(id.name),
		},
	}
}

const graphHost = "graph.microsoft.com"

// refuseGraph answers every request to Microsoft Graph as it answers an identity without any permission there: a managed identity
// has none unless an administrator gave it one. Azure CLI asks it for names after it has assigned a role, and does without.
func refuseGraph(*http.Request) (*http.Response, error) {
	return armError(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."), nil
}
