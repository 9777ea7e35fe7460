package fakeazure

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const managementHost = "management.azure.com"

// managementAudiences are the valid audiences of a token for Resource Manager; Go's SDK uses the first, others the second. The
// final slash may be missing.
var managementAudiences = []string{"https://management.core.windows.net/", "https://management.azure.com/"}

var apiVersionForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-[a-z]+)?$`)

// armCall is an authenticated, authorized request for one resource.
type armCall struct {
	request    *http.Request
	id         resourceID
	apiVersion string
}

// armRoute describes a resource type's reaction to one method and path: the action whose role it requires, and the work.
type armRoute struct {
	action string
	handle func(armCall) (*http.Response, error)
}

// armType is a resource type behind Resource Manager.
type armType struct {
	versions []string
	// list returns all resources, in the form of the api-version and in any order.
	list func(version string) []armResource
	// route returns false for a method or path that the type does not have; tail is the part after the resource ID.
	route func(method string, tail []string) (armRoute, bool)
}

// frontEnd is Azure Resource Manager: it checks the callers' permissions on each resource and leaves the rest to the type.
type frontEnd struct {
	directory *directory
	roles     *roles
	types     map[string]armType // lower-case provider/type
	// operations answers requests for operations of a provider (lower case) that are followed by region.
	operations map[string]func(*http.Request, regionalOperation) (*http.Response, error)
	activity   *activityLog
	graph      *resourceGraph
	apim       *apiManagement

	mu sync.RWMutex
	// scope holds the subscriptions, without a group, and the groups of all added resources, as first written; by their names in
	// lower case, subscription or subscription/group.
	scope map[string]resourceID
	// bars has the reasons for which changes in a scope are denied, by the scope's ID in lower case.
	bars map[string]Bar
	// identities has the user-assigned identities that were added by themselves.
	identities map[string]resourceID
}

func newFrontEnd(d *directory, r *roles, p *pace) *frontEnd {
	return &frontEnd{
		directory: d, roles: r, activity: &activityLog{pace: p}, graph: &resourceGraph{}, types: make(map[string]armType), scope: make(map[string]resourceID), bars: make(map[string]Bar),
		operations: make(map[string]func(*http.Request, regionalOperation) (*http.Response, error)),
		identities: make(map[string]resourceID),
	}
}

// provide adds a resource type. It may only be called before the first request.
func (f *frontEnd) provide(provider, kind string, t armType) {
	f.types[strings.ToLower(provider+"/"+kind)] = t
}

// exists makes a resource's subscription and group known.
func (f *frontEnd) exists(id resourceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, scope := range map[string]resourceID{
		id.subscription:                  {subscription: id.subscription},
		id.subscription + "/" + id.group: {subscription: id.subscription, group: id.group},
	} {
		if _, ok := f.scope[strings.ToLower(name)]; !ok {
			f.scope[strings.ToLower(name)] = scope
		}
	}
}

func (f *frontEnd) has(scope string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.scope[strings.ToLower(scope)]
	return ok
}

// answer handles the requests to management.azure.com. Every answer carries Resource Manager's tracing headers.
func (f *frontEnd) answer(r *http.Request) (*http.Response, error) {
	resp, err := f.dispatch(r)
	if resp != nil {
		id := uuid.NewString()
		resp.Header.Set("X-Ms-Request-Id", id)
		resp.Header.Set("X-Ms-Correlation-Request-Id", uuid.NewString())
		resp.Header.Set("X-Ms-Routing-Request-Id",
			"WESTEUROPE:"+time.Now().UTC().Format("20060102T150405Z")+":"+id)
		resp.Header.Set("Cache-Control", "no-cache")
		resp.Header.Set("Pragma", "no-cache")
		resp.Header.Set("Expires", "-1")
		resp.Header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		resp.Header.Set("X-Content-Type-Options", "nosniff")
		if r.Header.Get("X-Ms-Return-Client-Request-Id") == "true" {
			resp.Header.Set("X-Ms-Client-Request-Id", r.Header.Get("X-Ms-Client-Request-Id"))
		}
	}
	return resp, err
}

// dispatch checks a request in Resource Manager's order: caller, type, version, permission, existence.
func (f *frontEnd) dispatch(r *http.Request) (*http.Response, error) {
	caller, refusal := f.authenticate(r)
	if refusal != nil {
		return refusal, nil
	}
	if operation, ok := parseRegionalOperation(r.URL.Path); ok {
		if answer, ok := f.operations[strings.ToLower(operation.provider)]; ok && r.Method == http.MethodGet {
			return answer(r, operation) // this address requires no role: a resource's roles do not apply to it
		}
	}
	for _, answer := range []func(*http.Request, claims) (*http.Response, bool){f.answerAccess, f.answerGraph, f.answerDeleted, f.answerGroup, f.list, f.answerActivity} {
		if resp, ok := answer(r, caller); ok {
			return resp, nil
		}
	}
	// API Management's own addresses have a redundant slash (recorded 2016 to 2019).
	id, tail, err := parseResourcePath(strings.Replace(r.URL.Path, "//operationresults/", "/operationresults/", 1))
	if err != nil {
		return armError(http.StatusNotFound, "NotFound", "No HTTP resource was found that matches the request URI '"+
			r.URL.Path+"'."), nil
	}
	version := r.URL.Query().Get("api-version")
	if version == "" {
		return missingVersion(), nil
	}
	if !validSubscription(id.subscription) {
		return invalidSubscription(id.subscription), nil
	}
	t, route, refusal := f.find(r.Method, id, tail, version)
	if refusal != nil {
		return refusal, nil
	}
	scope := id.String()
	if strings.Contains(route.action, "/blobServices/containers/") { // a container is a scope of its own
		scope += "/" + strings.Join(tail, "/")
	}
	if !f.roles.allow(caller.ObjectID, scope, route.action) {
		return f.unauthorized(caller, route.action, scope), nil
	}
	switch {
	case !f.has(id.subscription):
		return subscriptionNotFound(id.subscription), nil
	case !f.has(id.subscription + "/" + id.group):
		return groupNotFound(id.group), nil
	case !slices.Contains(t.versions, strings.ToLower(version)):
		return noSuchVersion(id, version, t.versions), nil
	}
	if denial := f.barred(r.Method, id); denial != nil {
		return denial, nil
	}
	c := armCall{request: r, id: id, apiVersion: version}
	resp, err := route.handle(c)
	f.activity.note(c, caller, route.action, resp)
	return resp, err
}

// find returns the resource type and its route for this request.
func (f *frontEnd) find(method string, id resourceID, tail []string, version string) (
	armType, armRoute, *http.Response,
) {
	t, ok := f.types[strings.ToLower(id.provider+"/"+id.kind)]
	if !ok {
		return t, armRoute{}, unknownType(id, version)
	}
	if !apiVersionForm.MatchString(strings.ToLower(version)) {
		return t, armRoute{}, invalidVersion(version, t.versions)
	}
	route, ok := t.route(method, tail)
	if !ok {
		return t, route, armError(http.StatusNotFound, "NotFound", fmt.Sprintf(
			"The resource type '%s/%s' has no %s %s.", id.provider, id.kind, method, strings.Join(tail, "/")))
	}
	return t, route, nil
}

// authenticate returns the caller of a request, or the 401 for it.
func (f *frontEnd) authenticate(r *http.Request) (claims, *http.Response) {
	token, ok := bearer(r)
	if !ok {
		return claims{}, f.challenge("AuthenticationFailed",
			"Authentication failed. The 'Authorization' header is missing.")
	}
	c, err := f.directory.verify(token)
	switch {
	case errors.Is(err, errExpiredToken):
		return c, f.challenge("ExpiredAuthenticationToken", fmt.Sprintf(
			"The access token expiry UTC time '%s' is earlier than current UTC time '%s'.",
			time.Unix(c.Expires, 0).UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339)))
	case err != nil:
		return c, f.challenge("InvalidAuthenticationToken", "The access token is invalid.")
	case !slices.ContainsFunc(managementAudiences, func(audience string) bool {
		return strings.TrimSuffix(c.Audience, "/") == strings.TrimSuffix(audience, "/")
	}):
		return c, f.challenge("InvalidAuthenticationTokenAudience", fmt.Sprintf(
			"The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one "+
				"of the allowed audiences '%s'.", c.Audience, strings.Join(managementAudiences, "','")))
	}
	return c, nil
}

func (f *frontEnd) challenge(code, message string) *http.Response {
	resp := armError(http.StatusUnauthorized, code, message)
	resp.Header.Set("Www-Authenticate", fmt.Sprintf(
		`Bearer authorization_uri="https://login.microsoftonline.com/%s", error="invalid_token", error_description="%s"`,
		f.directory.tenant(), message))
	return resp
}

// armError returns a refusal in Resource Manager's own form.
func armError(status int, code, message string) *http.Response {
	return armJSON(status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func armJSON(status int, body any) *http.Response {
	header := http.Header{}
	header.Set("Content-Type", "application/json; charset=utf-8")
	return newResponse(status, header, encodeJSON(body))
}

// encodeJSON encodes a body of plain values. It cannot fail.
func encodeJSON(body any) []byte {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("fakeazure: encode answer: %v", err))
	}
	return encoded
}
