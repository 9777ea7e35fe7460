package fakeazure

import "net/http"

// firstWithWorkspaces is the first stable version that knows workspaces.
const firstWithWorkspaces = "2024-05-01"

// workspaces answers GET of the list of workspaces.
func (m *apiManagement) workspaces(c armCall) (*http.Response, error) {
	svc, refusal := m.find(c.id)
	if refusal != nil {
		return refusal, nil
	}
	if c.apiVersion < firstWithWorkspaces {
		return armError(http.StatusNotFound, "InvalidResourceType", "The resource type 'service/workspaces' could not be "+
			"found in the namespace 'Microsoft.ApiManagement' for api version '"+c.apiVersion+"'."), nil
	}
	m.mu.Lock()
	reading := svc.options.WorkspaceList
	m.mu.Unlock()
	if svc.SKU != "Premium" && reading == RefuseWorkspaceList {
		return serviceError(http.StatusBadRequest, "MethodNotAllowedInPricingTier",
			"Method not allowed in "+svc.SKU+" pricing tier"), nil
	}
	list := []any{}
	if svc.Workspaces {
		list = append(list, map[string]any{
			"id": svc.id.String() + "/workspaces/team", "name": "team", "type": "Microsoft.ApiManagement/service/workspaces",
			"properties": map[string]any{"displayName": "team", "description": "one team's APIs"},
		})
	}
	return armJSON(http.StatusOK, map[string]any{"value": list, "count": len(list)}), nil
}
