package fakeazure

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// These are the versions of Resource Manager's own lists: Azure CLI 2.91 asks in them.
const (
	subscriptionsVersion = "2022-12-01"
	groupsVersion        = "2024-11-01"
)

var (
	subscriptionsPath = regexp.MustCompile(`(?i)^/subscriptions/?$`)
	groupsPath        = regexp.MustCompile(`(?i)^/subscriptions/([^/]+)/resourcegroups/?$`)
	groupPath         = regexp.MustCompile(`(?i)^/subscriptions/([^/]+)/resourcegroups/([^/]+)/?$`)
	resourcesPath     = regexp.MustCompile(
		`(?i)^/subscriptions/([^/]+)(?:/resourcegroups/([^/]+))?/providers/([^/]+)/([^/]+)/?$`)
)

// readGroup is the action whose role a group needs to be in a list.
const readGroup = "Microsoft.Resources/subscriptions/resourceGroups/read"

// armResource is a resource, and makes the body that a list shows of it.
type armResource struct {
	id   resourceID
	body func() map[string]any
}

// list answers a request for a list of subscriptions, of groups, or of the resources of one type; ok is false for any other
// request. A list has only entries that the caller may read. It is in one page.
func (f *frontEnd) list(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	version, path := r.URL.Query().Get("api-version"), r.URL.Path
	switch {
	case r.Method != http.MethodGet:
		return nil, false
	case subscriptionsPath.MatchString(path):
		refusal := f.refuseList(resourceID{}, []string{subscriptionsVersion}, version)
		return cmp.Or(refusal, f.subscriptions(caller)), true
	case groupsPath.MatchString(path):
		of := resourceID{subscription: groupsPath.FindStringSubmatch(path)[1]}
		refusal := f.refuseList(of, []string{groupsVersion}, version)
		return cmp.Or(refusal, f.resourceGroups(caller, of)), true
	case resourcesPath.MatchString(path):
		parts := resourcesPath.FindStringSubmatch(path)
		of := resourceID{subscription: parts[1], group: parts[2], provider: parts[3], kind: parts[4]}
		t := f.types[strings.ToLower(of.provider+"/"+of.kind)]
		if refusal := f.refuseList(of, t.versions, version); refusal != nil {
			return refusal, true
		}
		return f.resources(caller, of, t.list(version)), true
	}
	return nil, false
}

// refuseList returns the reason why there is no such list, or nil. The list exists in these versions; nil stands for an unknown
// type.
func (f *frontEnd) refuseList(of resourceID, versions []string, version string) *http.Response {
	switch {
	case version == "":
		return missingVersion()
	case of.subscription != "" && !validSubscription(of.subscription):
		return invalidSubscription(of.subscription)
	case versions == nil:
		return unknownType(of, version)
	case !apiVersionForm.MatchString(strings.ToLower(version)):
		return invalidVersion(version, versions)
	case of.subscription != "" && !f.has(of.subscription):
		return subscriptionNotFound(of.subscription)
	case of.group != "" && !f.has(of.subscription+"/"+of.group):
		return groupNotFound(of.group)
	case slices.Contains(versions, strings.ToLower(version)):
		return nil
	case of.kind == "":
		return invalidVersion(version, versions)
	}
	return noSuchVersion(of, version, versions)
}

// subscriptions answers with the subscriptions in which the caller has any role.
func (f *frontEnd) subscriptions(caller claims) *http.Response {
	value := []any{}
	for _, scope := range f.scopes() {
		id := "/subscriptions/" + scope.subscription
		if scope.group != "" || !f.roles.any(caller.ObjectID, id) {
			continue
		}
		value = append(value, map[string]any{
			"id": id, "subscriptionId": scope.subscription, "tenantId": f.directory.tenant(), "displayName": "Contoso",
			"state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": []any{},
			"subscriptionPolicies": map[string]any{
				"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off",
			},
		})
	}
	count := map[string]any{"type": "Total", "value": len(value)}
	return armJSON(http.StatusOK, map[string]any{"value": value, "count": count})
}

// resourceGroups answers with the groups of a subscription.
func (f *frontEnd) resourceGroups(caller claims, of resourceID) *http.Response {
	value := []any{}
	for _, scope := range f.scopes() {
		id := "/subscriptions/" + scope.subscription + "/resourceGroups/" + scope.group
		if scope.group != "" && strings.EqualFold(scope.subscription, of.subscription) && f.roles.allow(caller.ObjectID, id, readGroup) {
			value = append(value, shownGroup(scope))
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

func shownGroup(scope resourceID) map[string]any {
	return map[string]any{
		"id": "/subscriptions/" + scope.subscription + "/resourceGroups/" + scope.group, "name": scope.group, "type": "Microsoft.Resources/resourceGroups",
		"location": "westeurope", "properties": map[string]any{"provisioningState": "Succeeded"},
	}
}

// answerGroup answers GET of a resource group; ok is false for any other request.
func (f *frontEnd) answerGroup(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	parts := groupPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodGet || parts == nil {
		return nil, false
	}
	of := resourceID{subscription: parts[1], group: parts[2]}
	if refusal := f.refuseList(of, []string{groupsVersion}, r.URL.Query().Get("api-version")); refusal != nil {
		return refusal, true
	}
	id := "/subscriptions/" + of.subscription + "/resourceGroups/" + of.group
	if !f.roles.allow(caller.ObjectID, id, readGroup) {
		return f.unauthorized(caller, readGroup, id), true
	}
	f.mu.RLock()
	scope := f.scope[strings.ToLower(of.subscription+"/"+of.group)]
	f.mu.RUnlock()
	return armJSON(http.StatusOK, shownGroup(scope)), true
}

// resources answers with those of a type's resources that are in the subscription, and in the group if there is one.
func (f *frontEnd) resources(caller claims, of resourceID, all []armResource) *http.Response {
	slices.SortFunc(all, func(a, b armResource) int { return cmp.Compare(a.id.key(), b.id.key()) })
	value := []any{}
	for _, resource := range all {
		id := resource.id
		if strings.EqualFold(id.subscription, of.subscription) && (of.group == "" || strings.EqualFold(id.group, of.group)) &&
			f.roles.allow(caller.ObjectID, id.String(), id.provider+"/"+id.kind+"/read") {
			value = append(value, resource.body())
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

// scopes returns the subscriptions and groups of all resources, each subscription before its groups; it has no group.
func (f *frontEnd) scopes() []resourceID {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.SortedFunc(maps.Values(f.scope), func(a, b resourceID) int {
		return cmp.Or(cmp.Compare(a.subscription, b.subscription), cmp.Compare(a.group, b.group))
	})
}

func validSubscription(id string) bool { return uuid.Validate(id) == nil && len(id) == 36 }

func missingVersion() *http.Response {
	return armError(http.StatusBadRequest, "MissingApiVersionParameter",
		"The api-version query parameter (?api-version=) is required for all requests.")
}

func invalidSubscription(id string) *http.Response {
	return armError(http.StatusBadRequest, "InvalidSubscriptionId", fmt.Sprintf(
		"The provided subscription identifier '%s' is malformed or invalid.", id))
}

func unknownType(id resourceID, version string) *http.Response {
	return armError(http.StatusNotFound, "InvalidResourceType", fmt.Sprintf(
		"The resource type '%s' could not be found in the namespace '%s' for api version '%s'.", id.kind, id.provider, version))
}

func invalidVersion(version string, versions []string) *http.Response {
	return armError(http.StatusBadRequest, "InvalidApiVersionParameter", fmt.Sprintf(
		"The api-version '%s' is invalid. The supported versions are '%s'.", version, strings.Join(versions, ",")))
}

func noSuchVersion(id resourceID, version string, versions []string) *http.Response {
	return armError(http.StatusBadRequest, "NoRegisteredProviderFound", fmt.Sprintf(
		"No registered resource provider found for location 'westeurope' and API version '%s' for type '%s'. "+
			"The supported api-versions are '%s'.", version, id.kind, strings.Join(versions, ", ")))
}

func subscriptionNotFound(id string) *http.Response {
	return armError(http.StatusNotFound, "SubscriptionNotFound", fmt.Sprintf("The subscription '%s' could not be found.", id))
}

func groupNotFound(name string) *http.Response {
	return armError(http.StatusNotFound, "ResourceGroupNotFound", fmt.Sprintf("Resource group '%s' could not be found.", name))
}
