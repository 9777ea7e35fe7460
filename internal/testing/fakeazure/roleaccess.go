package fakeazure

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// These are the versions of Microsoft.Authorization: Azure CLI 2.91 asks in the last of each.
var (
	permissionVersions = []string{"2015-07-01", "2018-07-01", "2022-04-01"}
	assignmentVersions = []string{"2018-07-01", "2020-04-01-preview", "2022-04-01"}
	definitionVersions = []string{"2018-07-01", "2022-04-01", "2022-05-01-preview"}
)

// servicePrincipal is the type of every identity in the tenant: a managed identity is a service principal.
const servicePrincipal = "ServicePrincipal"

// rolePath matches the addresses of role definitions and role assignments; its groups are scope, kind and name. A scope may be
// one of those itself, and so the last provider counts.
var rolePath = regexp.MustCompile(`(?i)^(.*)/providers/Microsoft\.Authorization/(roleDefinitions|roleAssignments|permissions)(?:/([^/]+))?/?$`)

// definitionPath matches the full ID of a role definition; its group is the GUID.
var definitionPath = regexp.MustCompile(`(?i)^(?:/subscriptions/.+)?/providers/Microsoft\.Authorization/roleDefinitions/([^/]+)$`)

// accessScope is a scope of role assignments: text is its ID without a final slash, "" for the tenant. The parts that it lacks
// are "" in id.
type accessScope struct {
	text string
	id   resourceID
	// tail is the part after a top-level resource.
	tail []string
}

// accessCall is an authenticated request about role definitions or role assignments.
type accessCall struct {
	request *http.Request
	caller  claims
	scope   accessScope
	// kind is "roleDefinitions", "roleAssignments" or "permissions"; name is "" for the list.
	kind, name string
}

// shownScope returns the ID of a scope as answers show it.
func shownScope(scope string) string { return cmp.Or(scope, "/") }

// parseScope parses the ID of a scope: the tenant, a subscription, a group, a resource, or anything below a resource.
func parseScope(text string) (s accessScope, ok bool) {
	s.text = strings.TrimRight(text, "/")
	if s.text == "" {
		return s, true
	}
	parts := strings.Split(s.text, "/")
	switch {
	case slices.Contains(parts[1:], "") || parts[0] != "" || !strings.EqualFold(parts[1], "subscriptions") || len(parts) < 3:
		return s, false
	case len(parts) == 3:
		s.id = resourceID{subscription: parts[2]}
		return s, true
	case len(parts) == 5 && strings.EqualFold(parts[3], "resourceGroups"):
		s.id = resourceID{subscription: parts[2], group: parts[4]}
		return s, true
	}
	id, tail, err := parseResourcePath(s.text)
	s.id, s.tail = id, tail
	return s, err == nil && len(tail)%2 == 0
}

// answerAccess answers a request about role definitions or role assignments; ok is false for any other request.
func (f *frontEnd) answerAccess(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	parts := rolePath.FindStringSubmatch("/" + strings.TrimLeft(r.URL.Path, "/"))
	if parts == nil {
		return nil, false
	}
	c := accessCall{request: r, caller: caller, kind: "roleDefinitions", name: parts[3]}
	versions := definitionVersions
	switch {
	case strings.EqualFold(parts[2], "roleAssignments"):
		c.kind, versions = "roleAssignments", assignmentVersions
	case strings.EqualFold(parts[2], "permissions"):
		c.kind, versions = "permissions", permissionVersions
	}
	var valid bool
	if c.scope, valid = parseScope(parts[1]); !valid {
		return armError(http.StatusNotFound, "NotFound", "No HTTP resource was found that matches the request URI '"+r.URL.Path+"'."), true
	}
	version := strings.ToLower(r.URL.Query().Get("api-version"))
	id := resourceID{c.scope.id.subscription, c.scope.id.group, "Microsoft.Authorization", c.kind, c.name}
	switch {
	case version == "":
		return missingVersion(), true
	case !apiVersionForm.MatchString(version):
		return invalidVersion(version, versions), true
	case !slices.Contains(versions, version):
		return noSuchVersion(id, version, versions), true
	}
	work, action := c.route()
	if work == nil {
		return armError(http.StatusMethodNotAllowed, "MethodNotAllowed", "The requested resource does not support http method '"+
			r.Method+"'."), true
	}
	if refusal := f.refuseScope(c.scope); refusal != nil && c.scope.id.subscription != "" && !validSubscription(c.scope.id.subscription) {
		return refusal, true
	}
	own := c.scope.text + "/providers/Microsoft.Authorization/" + c.kind
	if c.name != "" {
		own += "/" + c.name
	}
	if !f.roles.allow(caller.ObjectID, c.scope.text, action) {
		return f.unauthorized(caller, action, own), true
	}
	if refusal := f.refuseScope(c.scope); refusal != nil {
		return refusal, true
	}
	if denial := f.barredAt(r.Method, c.scope); denial != nil {
		return denial, true
	}
	resp = work(f, c)
	f.activity.note(armCall{request: r, id: id}, caller, action, resp)
	return resp, true
}

// accessRoutes are the requests about role definitions and role assignments: of all in a scope, and of one by its name.
var accessRoutes = map[string]func(*frontEnd, accessCall) *http.Response{
	"GET roleDefinitions":         (*frontEnd).listDefinitions,
	"GET roleDefinitions/name":    (*frontEnd).getDefinition,
	"PUT roleDefinitions/name":    (*frontEnd).putDefinition,
	"DELETE roleDefinitions/name": (*frontEnd).deleteDefinition,
	"GET roleAssignments":         (*frontEnd).listAssignments,
	"GET permissions":             (*frontEnd).listPermissions,
	"GET roleAssignments/name":    (*frontEnd).getAssignment,
	"PUT roleAssignments/name":    (*frontEnd).putAssignment,
	"DELETE roleAssignments/name": (*frontEnd).deleteAssignment,
}

// route returns what a request asks for, nil for a method without meaning, and the action that it needs.
func (c accessCall) route() (work func(*frontEnd, accessCall) *http.Response, action string) {
	route := c.request.Method + " " + c.kind
	if c.name != "" {
		route += "/name"
	}
	verbs := map[string]string{http.MethodGet: "read", http.MethodPut: "write", http.MethodDelete: "delete"}
	return accessRoutes[route], "Microsoft.Authorization/" + c.kind + "/" + verbs[c.request.Method]
}

func (f *frontEnd) unauthorized(caller claims, action, scope string) *http.Response {
	return armError(http.StatusForbidden, "AuthorizationFailed", fmt.Sprintf(
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' "+
			"or the scope is invalid. If access was recently granted, please refresh your credentials.",
		caller.AppID, caller.ObjectID, action, scope))
}

// barredAt returns the denial of a change at a scope, or nil.
func (f *frontEnd) barredAt(method string, s accessScope) *http.Response {
	if s.id.name != "" {
		return f.barred(method, s.id)
	}
	if method == http.MethodGet || s.text == "" {
		return nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for scope, why := range f.bars {
		if why != NoBar && within(s.text, scope) {
			return why.denial(scope, s.id)
		}
	}
	return nil
}

// refuseScope returns the reason why there is no such scope, or nil. Anything below a resource exists, but for a storage account
// whose parts are known by kind; a resource of a type that the simulator lacks is taken for granted.
func (f *frontEnd) refuseScope(s accessScope) *http.Response {
	switch id := s.id; {
	case s.text == "":
		return nil
	case !validSubscription(id.subscription):
		return invalidSubscription(id.subscription)
	case !f.has(id.subscription):
		return subscriptionNotFound(id.subscription)
	case id.group != "" && !f.has(id.subscription+"/"+id.group):
		return groupNotFound(id.group)
	case id.name == "":
		return nil
	}
	t, ok := f.types[strings.ToLower(s.id.provider+"/"+s.id.kind)]
	if !ok {
		return nil
	}
	all := t.list(t.versions[len(t.versions)-1])
	if !slices.ContainsFunc(all, func(r armResource) bool { return r.id.key() == s.id.key() }) {
		return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf("The Resource '%s/%s/%s' under resource group '%s' was not "+
			"found. For more details please go to https://aka.ms/ARMResourceNotFoundFix", s.id.provider, s.id.kind, s.id.name, s.id.group))
	}
	if len(s.tail) > 0 && strings.EqualFold(s.id.kind, "storageAccounts") && !storagePart.MatchString(strings.Join(s.tail, "/")) {
		return armError(http.StatusNotFound, "InvalidResourceType", fmt.Sprintf("The resource type '%s' could not be found in the "+
			"namespace 'Microsoft.Storage'.", strings.Join(s.tail, "/")))
	}
	return nil
}

// storagePart matches the part of a storage account that a scope may name, after the account's ID.
var storagePart = regexp.MustCompile(`(?i)^(?:blobServices/default(?:/containers/[^/]+)?|queueServices/default(?:/queues/[^/]+)?|` +
	`tableServices/default(?:/tables/[^/]+)?|fileServices/default(?:/(?:fileshares|shares)/[^/]+)?)$`)

// accessFilter is a parsed $filter.
type accessFilter struct {
	atScope, below                        bool
	roleName, kind, principal, assignedTo string
}

// filterTerm matches the first term of a filter; a value may have an "and" of its own.
var filterTerm = regexp.MustCompile(`(?i)^(?:(atScope|atScopeAndBelow)\(\)|(roleName|type|principalId) eq '((?:[^']|'')*)'|` +
	`assignedTo\('([^']*)'\))(?: and |$)`)

// parseFilter parses a $filter. A list of role assignments has either atScope() or principalId.
func parseFilter(text, kind string) (f accessFilter, ok bool) {
	for text != "" {
		parts := filterTerm.FindStringSubmatch(text)
		if parts == nil {
			return f, false
		}
		text = text[len(parts[0]):]
		value := strings.ReplaceAll(parts[3], "''", "'")
		switch strings.ToLower(parts[1] + parts[2]) {
		case "atscope":
			f.atScope = true
		case "atscopeandbelow":
			f.below = true
		case "rolename":
			f.roleName = value
		case "type":
			f.kind = value
		case "principalid":
			f.principal = value
		default:
			f.assignedTo = parts[4]
		}
	}
	if kind == "roleDefinitions" {
		return f, f.principal+f.assignedTo == ""
	}
	return f, f.roleName+f.kind == "" && !f.below && (!f.atScope || f.principal == "")
}

func (c accessCall) filter() (accessFilter, *http.Response) {
	f, ok := parseFilter(c.request.URL.Query().Get("$filter"), c.kind)
	if !ok {
		return f, armError(http.StatusBadRequest, "UnsupportedQuery", "The query is not supported.")
	}
	return f, nil
}

// undashed returns a GUID as the texts of Microsoft.Authorization write it.
func undashed(guid string) string { return strings.ReplaceAll(guid, "-", "") }

func malformed() *http.Response {
	return armError(http.StatusBadRequest, "BadRequestFormat", "The request was incorrectly formatted.")
}

// definitionID returns the ID of a role definition as Azure shows it in the scope: below the subscription, if there is one.
func (s accessScope) definitionID(guid string) string {
	var place string
	if s.id.subscription != "" {
		place = "/subscriptions/" + s.id.subscription
	}
	return place + "/providers/Microsoft.Authorization/roleDefinitions/" + guid
}

func stamped(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// orNull returns nil for "".
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// listed returns a list that is never null.
func listed(all []string) []string { return append([]string{}, all...) }

// resource returns the definition as a request in the scope shows it; by is createdBy, which the answer to PUT lacks (recorded).
func (d *definition) resource(s accessScope, by string) map[string]any {
	kind := "BuiltInRole"
	if d.custom {
		kind = "CustomRole"
	}
	return map[string]any{
		"id": s.definitionID(d.ID), "name": d.ID, "type": "Microsoft.Authorization/roleDefinitions",
		"properties": map[string]any{
			"roleName": d.Name, "type": kind, "description": d.description, "assignableScopes": d.assignable,
			"permissions": []any{map[string]any{
				"actions": listed(d.Actions), "notActions": listed(d.NotActions),
				"dataActions": listed(d.DataActions), "notDataActions": listed(d.NotDataActions),
			}},
			"createdOn": stamped(d.created), "updatedOn": stamped(d.updated), "createdBy": orNull(by), "updatedBy": orNull(d.by),
		},
	}
}

// listDefinitions answers with the roles that can be assigned at the scope, and with atScopeAndBelow() below it.
func (f *frontEnd) listDefinitions(c accessCall) *http.Response {
	filter, refusal := c.filter()
	if refusal != nil {
		return refusal
	}
	f.roles.mu.RLock()
	defer f.roles.mu.RUnlock()
	var found []*definition
	for _, d := range f.roles.definitions {
		below := filter.below && slices.ContainsFunc(d.assignable, func(at string) bool { return within(at, c.scope.text) })
		kind := filter.kind == "" || strings.EqualFold(filter.kind, "CustomRole") == d.custom
		if d.Name != "" && kind && (filter.roleName == "" || filter.roleName == d.Name) && (d.assignableAt(c.scope.text) || below) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b *definition) int { return cmp.Compare(a.ID, b.ID) })
	value := []any{}
	for _, d := range found {
		value = append(value, d.resource(c.scope, d.by))
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

func noDefinition(status int, guid string) *http.Response {
	return armError(status, "RoleDefinitionDoesNotExist", "The specified role definition with ID '"+undashed(guid)+"' does not exist.")
}

func (f *frontEnd) getDefinition(c accessCall) *http.Response {
	f.roles.mu.RLock()
	defer f.roles.mu.RUnlock()
	d, ok := f.roles.definitions[strings.ToLower(c.name)]
	if !ok {
		return noDefinition(http.StatusNotFound, c.name)
	}
	return armJSON(http.StatusOK, d.resource(c.scope, d.by))
}

// definitionBody is the body of PUT of a role definition. Azure CLI's update sends what it has read.
type definitionBody struct {
	ID, Name, Type string
	Properties     struct {
		RoleName, Description, Type string
		Permissions                 []permission
		AssignableScopes            []string
		CreatedOn, UpdatedOn        string
		CreatedBy, UpdatedBy        string
	}
}

type permission struct {
	Actions, NotActions, DataActions, NotDataActions []string
	Condition, ConditionVersion                      *string
}

// check returns the reason why Azure would refuse the definition, or nil.
func (b definitionBody) check() *http.Response {
	p := b.Properties
	if p.RoleName == "" || len(p.Permissions) != 1 || len(p.AssignableScopes) == 0 {
		return malformed()
	}
	own := p.Permissions[0]
	for data, lists := range map[bool][]string{
		false: append(slices.Clone(own.Actions), own.NotActions...), true: append(slices.Clone(own.DataActions), own.NotDataActions...),
	} {
		for _, action := range lists {
			if !strings.Contains(action, "*") && isDataAction(action) != data {
				return armError(http.StatusBadRequest, "InvalidActionOrNotAction", "'"+action+
					"' does not match any of the actions supported by the providers.")
			}
		}
	}
	for _, scope := range p.AssignableScopes {
		if s, ok := parseScope(scope); !ok || s.text == "" || s.id.name != "" {
			return armError(http.StatusBadRequest, "InvalidAssignableScope", "The assignable scope '"+scope+"' is not valid.")
		}
	}
	return nil
}

// putDefinition makes or changes a custom role. Both are answered with 201 (recorded 2025-01).
func (f *frontEnd) putDefinition(c accessCall) *http.Response {
	var body definitionBody
	if uuid.Validate(c.name) != nil || readJSON(c.request, &body) != nil {
		return malformed()
	}
	if refusal := body.check(); refusal != nil {
		return refusal
	}
	p := body.Properties
	for _, scope := range p.AssignableScopes {
		s, _ := parseScope(scope) // checked
		if refusal := f.refuseScope(s); refusal != nil {
			return refusal
		}
		if action := "Microsoft.Authorization/roleDefinitions/write"; !f.roles.allow(c.caller.ObjectID, s.text, action) {
			return f.unauthorized(c.caller, action, scope)
		}
	}
	f.roles.mu.Lock()
	defer f.roles.mu.Unlock()
	id := strings.ToLower(c.name)
	for other, d := range f.roles.definitions {
		if other != id && strings.EqualFold(d.Name, p.RoleName) {
			return armError(http.StatusConflict, "RoleDefinitionWithSameNameExists",
				"A role definition cannot be updated with a name that already exists.")
		}
	}
	now := time.Now()
	old, there := f.roles.definitions[id]
	switch {
	case there && !old.custom:
		return armError(http.StatusBadRequest, "RoleDefinitionUpdateNotPermitted", "A built-in role definition cannot be changed.")
	case !there:
		old = &definition{created: now}
	}
	own := p.Permissions[0]
	d := &definition{
		Role:        Role{c.name, p.RoleName, own.Actions, own.NotActions, own.DataActions, own.NotDataActions},
		description: p.Description, custom: true, assignable: p.AssignableScopes, created: old.created, updated: now, by: c.caller.ObjectID,
	}
	f.roles.definitions[id] = d
	return armJSON(http.StatusCreated, d.resource(c.scope, ""))
}

// deleteDefinition deletes a custom role that is not assigned.
func (f *frontEnd) deleteDefinition(c accessCall) *http.Response {
	f.roles.mu.Lock()
	defer f.roles.mu.Unlock()
	id := strings.ToLower(c.name)
	d, ok := f.roles.definitions[id]
	switch {
	case !ok:
		return newResponse(http.StatusNoContent, http.Header{}, nil)
	case !d.custom:
		return armError(http.StatusBadRequest, "RoleDefinitionUpdateNotPermitted", "A built-in role definition cannot be deleted.")
	case slices.ContainsFunc(f.roles.assignments, func(a assignment) bool { return a.role == id }):
		return armError(http.StatusBadRequest, "RoleDefinitionHasAssignments",
			"There are existing role assignments referencing role (code: RoleDefinitionHasAssignments).")
	}
	delete(f.roles.definitions, id)
	return armJSON(http.StatusOK, d.resource(c.scope, d.by))
}

// resource returns the assignment as Azure shows it in its own scope; by as for definition.resource.
func (a assignment) resource(in accessScope, by string) map[string]any {
	var version any
	if a.condition != "" {
		version = "2.0"
	}
	return map[string]any{
		"id":   a.scope + "/providers/Microsoft.Authorization/roleAssignments/" + a.name,
		"name": a.name, "type": "Microsoft.Authorization/roleAssignments",
		"properties": map[string]any{
			"roleDefinitionId": in.definitionID(a.role), "principalId": a.objectID, "principalType": a.principalType,
			"scope": shownScope(a.scope), "condition": orNull(a.condition), "conditionVersion": version, "createdOn": stamped(a.created),
			"updatedOn": stamped(a.created), "createdBy": orNull(by), "updatedBy": orNull(a.by),
			"delegatedManagedIdentityResourceId": nil, "description": orNull(a.description),
		},
	}
}

// listAssignments answers with the assignments at the scope and above, and below it unless the filter has atScope().
func (f *frontEnd) listAssignments(c accessCall) *http.Response {
	filter, refusal := c.filter()
	if refusal != nil {
		return refusal
	}
	principal := cmp.Or(filter.principal, filter.assignedTo)
	f.roles.mu.RLock()
	defer f.roles.mu.RUnlock()
	value := []any{}
	for _, a := range f.roles.assignments {
		reaches := within(c.scope.text, a.scope) || !filter.atScope && within(a.scope, c.scope.text)
		if reaches && (principal == "" || strings.EqualFold(principal, a.objectID)) {
			value = append(value, a.resource(c.scope, a.by))
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

// listPermissions answers with the caller's own permissions at the scope: one entry for each assignment there and above (the API's
// description "Permissions - List For Resource"). A caller without Microsoft.Authorization/permissions/read is refused: whether Azure
// refuses it is not documented.
func (f *frontEnd) listPermissions(c accessCall) *http.Response {
	f.roles.mu.RLock()
	defer f.roles.mu.RUnlock()
	value := []any{}
	for _, a := range f.roles.assignments {
		if strings.EqualFold(a.objectID, c.caller.ObjectID) && within(c.scope.text, a.scope) {
			d := f.roles.definitions[a.role]
			value = append(value, map[string]any{
				"actions": listed(d.Actions), "notActions": listed(d.NotActions),
				"dataActions": listed(d.DataActions), "notDataActions": listed(d.NotDataActions),
			})
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value})
}

// assigned returns the index of the assignment with the call's name, -1 if there is none. It is called under the lock.
func (r *roles) assigned(name string) int {
	return slices.IndexFunc(r.assignments, func(a assignment) bool { return strings.EqualFold(a.name, name) })
}

func (f *frontEnd) getAssignment(c accessCall) *http.Response {
	f.roles.mu.RLock()
	defer f.roles.mu.RUnlock()
	i := f.roles.assigned(c.name)
	if i < 0 || !strings.EqualFold(f.roles.assignments[i].scope, c.scope.text) {
		return armError(http.StatusNotFound, "RoleAssignmentNotFound", "The role assignment '"+undashed(c.name)+"' is not found.")
	}
	return armJSON(http.StatusOK, f.roles.assignments[i].resource(c.scope, f.roles.assignments[i].by))
}

// assignmentBody is the body of PUT of a role assignment.
type assignmentBody struct {
	Properties struct {
		RoleDefinitionID, PrincipalID, PrincipalType string
		Description                                  string
		Condition, ConditionVersion                  *string
		DelegatedManagedIdentityResourceID           *string
	}
}

// check returns the reason why Azure would refuse the assignment whatever roles and identities exist, or nil.
func (b assignmentBody) check(name string) *http.Response {
	p := b.Properties
	match := definitionPath.FindStringSubmatch(p.RoleDefinitionID)
	switch {
	case uuid.Validate(name) != nil:
		return armError(http.StatusBadRequest, "InvalidRoleAssignmentId",
			"The role assignment ID '"+name+"' is not valid. The role assignment ID must be a GUID.")
	case match == nil: // a GUID alone is refused (recorded 2021-04)
		return malformed()
	case uuid.Validate(match[1]) != nil:
		return armError(http.StatusBadRequest, "InvalidRoleDefinitionId", "The role definition ID '"+match[1]+"' is not valid.")
	case uuid.Validate(p.PrincipalID) != nil:
		return armError(http.StatusBadRequest, "InvalidPrincipalId", "A valid principal ID must be provided for role assignment.")
	case !slices.Contains([]string{"", servicePrincipal, "User", "Group", "ForeignGroup", "Device"}, p.PrincipalType):
		return malformed()
	case p.Condition != nil || p.DelegatedManagedIdentityResourceID != nil:
		return armError(http.StatusBadRequest, "BadRequestFormat", "The simulator knows no conditions and no delegation.")
	}
	return nil
}

// refusePrincipal returns the reason why the identity gets no role, or nil. A type stands for the look into the directory: with it
// an identity is accepted that the directory does not know, or not yet.
func (f *frontEnd) refusePrincipal(id, kind string) *http.Response {
	known := f.directory.knows(id)
	switch {
	case !known && kind == "":
		return armError(http.StatusBadRequest, "PrincipalNotFound", fmt.Sprintf("Principal %s does not exist in the directory %s. Check "+
			"that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error "+
			"might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as "+
			"ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype", undashed(id), f.directory.tenant()))
	case known && kind != "" && kind != servicePrincipal:
		return armError(http.StatusBadRequest, "UnmatchedPrincipalType", fmt.Sprintf("The PrincipalId '%s' has type '%s' , which is "+
			"different from specified PrinciaplType '%s'.", undashed(id), servicePrincipal, kind)) // Azure's own spelling
	}
	return nil
}

// putAssignment gives an identity a role. It is valid at once.
func (f *frontEnd) putAssignment(c accessCall) *http.Response {
	var body assignmentBody
	if readJSON(c.request, &body) != nil {
		return malformed()
	}
	if refusal := body.check(c.name); refusal != nil {
		return refusal
	}
	p := body.Properties
	if refusal := f.refusePrincipal(p.PrincipalID, p.PrincipalType); refusal != nil {
		return refusal
	}
	role := strings.ToLower(definitionPath.FindStringSubmatch(p.RoleDefinitionID)[1])
	f.roles.mu.Lock()
	defer f.roles.mu.Unlock()
	if d, ok := f.roles.definitions[role]; !ok || !d.assignableAt(c.scope.text) {
		return noDefinition(http.StatusBadRequest, role)
	}
	same := f.roles.same(p.PrincipalID, c.scope.text, role)
	i := f.roles.assigned(c.name)
	switch {
	case same != nil && strings.EqualFold(same.name, c.name):
		return armJSON(http.StatusOK, same.resource(c.scope, same.by))
	case i >= 0:
		return armError(http.StatusBadRequest, "RoleAssignmentUpdateNotPermitted",
			"Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
	case same != nil:
		return armError(http.StatusConflict, "RoleAssignmentExists",
			"The role assignment already exists. The ID of the existing role assignment is "+undashed(same.name)+".")
	}
	made := assignment{
		name: c.name, objectID: p.PrincipalID, scope: c.scope.text, role: role, principalType: cmp.Or(p.PrincipalType, servicePrincipal),
		description: p.Description, created: time.Now(), by: c.caller.ObjectID,
	}
	f.roles.add(made)
	return armJSON(http.StatusCreated, made.resource(c.scope, ""))
}

// deleteAssignment takes a role away at once.
func (f *frontEnd) deleteAssignment(c accessCall) *http.Response {
	f.roles.mu.Lock()
	defer f.roles.mu.Unlock()
	i := f.roles.assigned(c.name)
	if i < 0 || !strings.EqualFold(f.roles.assignments[i].scope, c.scope.text) {
		return newResponse(http.StatusNoContent, http.Header{}, nil)
	}
	gone := f.roles.assignments[i]
	f.roles.remove(func(a assignment) bool { return a.name == gone.name })
	return armJSON(http.StatusOK, gone.resource(c.scope, gone.by))
}
