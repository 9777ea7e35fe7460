package azure

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
)

// ReadPermissions is the action with which an identity may read its own permissions on a resource.
const ReadPermissions = "Microsoft.Authorization/permissions/read"

// authorization is the api-version of Microsoft.Authorization.
const authorization = "2022-04-01"

// operations is the api-version of a Managed HSM's backups and restores, in which the client of the SDK asks too (azadmin v1.5.0).
const operations = "2025-07-01"

// Access looks whether identities have their roles. Its requests change nothing, and Azure lets them through only with the role. Where there is
// no such request, it reads the permissions on the scope.
type Access struct {
	Client
	// NewName makes names of blobs and jobs that do not exist.
	NewName func() string
}

// Granted returns nil if the assignment is there. The error is a *backup.Fault: Refused, it is not; any other kind, Granted could
// not look.
func (a Access) Granted(ctx context.Context, r roles.Assignment) error {
	var err error
	switch {
	case r.Role.Local:
		err = a.local(ctx, r)
	case r.Service != "":
		err = a.ofService(ctx, r)
	case len(r.Role.DataActions) > 0:
		err = a.blobs(ctx, r)
	case slices.Contains(r.Role.Actions, "Microsoft.Storage/storageAccounts/listKeys/action"):
		_, _, err = a.AccountKey(ctx, backup.Storage{Account: r.Scope}, "")
	case slices.Contains(r.Role.Actions, ReadPermissions):
		err = a.permitted(ctx, r)
	default: // Reader
		err = a.Show(ctx, r.Scope, r.Version, new(struct{}))
		if err == nil && slices.Contains(r.Role.Actions, "Microsoft.Authorization/roleAssignments/read") {
			_, err = a.assignments(ctx, r.Scope, a.NewName())
		}
	}
	return answerAbout(r, err)
}

// Principal returns the object ID of the identity, by its own token for Resource Manager; "" if that does not say it. Nothing is decided by
// it: people see it.
func (a Access) Principal(ctx context.Context) string {
	token, err := a.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{a.options.Cloud.Services[cloud.ResourceManager].Audience + "/.default"}})
	if err != nil {
		return ""
	}
	return ObjectID(token.Token)
}

// ObjectID returns the object ID of the identity that the token is for, a JSON web token with the claim oid; "" if it has none.
func ObjectID(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		ObjectID string `json:"oid"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || !backup.IsUUID(claims.ObjectID) {
		return ""
	}
	return claims.ObjectID
}

// looking is the call that looks for the assignment.
func looking(r roles.Assignment) Call {
	return Call{What: "look for " + r.Words(), Means: ofRole, Hint: func(int, string, string) string { return "" }}
}

// ofRole is the meaning of an answer to a look: a 401 or 403 says that the role is not there, and any other refusal nothing of it.
func ofRole(status int, _ string) backup.FaultKind {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return backup.Refused
	}
	return backup.Unobservable
}

// answerAbout makes the fault of an error.
func answerAbout(r roles.Assignment, err error) error {
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*backup.Fault](err)
	if !ok {
		f = looking(r).Fault(err)
	}
	if f.Kind == backup.Refused {
		return f
	}
	unseen := *f
	unseen.Kind = backup.Unobservable
	return &unseen
}

// missing is the fault of a role that is not there.
func missing(r roles.Assignment, why string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: "RoleMissing", Message: r.Words() + ": " + why,
		Hint: "Give it the role. A role that was given in the last half hour may have no effect yet.",
	}
}

// permissions list the actions of an identity on a scope.
type permissions []struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

// permit says whether they permit the action, by Azure's rule: one of the assignments has it, and does not take it away itself.
func (p permissions) permit(action string, data bool) bool {
	for _, one := range p {
		has, not := one.Actions, one.NotActions
		if data {
			has, not = one.DataActions, one.NotDataActions
		}
		if covers(has, action) && !covers(not, action) {
			return true
		}
	}
	return false
}

// covers says whether one of the patterns, in which "*" stands for any text, has the action; letters count in any case.
func covers(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		parts, rest := strings.Split(strings.ToLower(pattern), "*"), strings.ToLower(action)
		if len(parts) == 1 {
			return rest == parts[0]
		}
		rest, ok := strings.CutPrefix(rest, parts[0])
		for _, part := range parts[1 : len(parts)-1] {
			i := strings.Index(rest, part)
			if i < 0 {
				return false
			}
			rest = rest[i+len(part):]
		}
		return ok && strings.HasSuffix(rest, parts[len(parts)-1])
	})
}

// permissions reads what the identity itself may do on the scope.
func (c Client) permissions(ctx context.Context, scope string) (permissions, error) {
	var shown struct {
		Value permissions `json:"value"`
	}
	err := c.resource(ctx, http.MethodGet, scope+"/providers/Microsoft.Authorization/permissions", authorization, &shown)
	return shown.Value, err
}

// permitted compares the role with the identity's permissions on the scope. The role of Lifeboat's own permits that too: without it, none is there.
func (a Access) permitted(ctx context.Context, r roles.Assignment) error {
	own, err := a.permissions(ctx, r.Scope)
	if LacksRole(err) {
		return missing(r, "the app may not read its permissions there, which that role permits")
	}
	if err != nil {
		return err
	}
	for _, action := range r.Role.Actions {
		if action != ReadPermissions && !own.permit(action, false) {
			return missing(r, "the app has no permission for "+action)
		}
	}
	return nil
}

// local asks the HSM about an operation that does not exist. It answers that it does not know it, once the role lets the question pass.
func (a Access) local(ctx context.Context, r roles.Assignment) error {
	kind := "backup"
	if strings.HasSuffix(r.Role.Name, "Restore") {
		kind = "restore"
	}
	job := strings.ReplaceAll(a.NewName(), "-", "")
	err := a.HSM(r.Scope[strings.LastIndex(r.Scope, "/")+1:], operations).Do(ctx, http.MethodGet, "/"+kind+"/"+job+"/pending", nil)
	switch {
	case HasStatus(err, http.StatusNotFound):
		return nil
	case HasStatus(err, http.StatusForbidden):
		f := missing(r, "the HSM answers 403 to a question that the role permits")
		f.Hint += " See also that the HSM's firewall admits the app."
		return f
	}
	return err
}

// blobs does in the container what the role permits, in a way that does nothing.
func (a Access) blobs(ctx context.Context, r roles.Assignment) error {
	account, name, ok := strings.Cut(r.Scope, "/blobServices/default/containers/")
	if !ok {
		return fmt.Errorf("%s is no container", r.Scope)
	}
	storage := backup.Storage{Account: account, Container: name, Zone: r.Zone}
	client, err := a.Container(storage)
	if err != nil {
		return err
	}
	err = TryBlobs(ctx, client, a.NewName(), slices.ContainsFunc(r.Role.DataActions, func(action string) bool { return strings.HasSuffix(action, "/delete") }))
	says := "storage"
	if err == nil && len(r.Role.Actions) > 0 { // the role of a vault lets the app see the container's policy too
		_, err = a.containerSettings(ctx, storage)
		says = "Resource Manager"
	}
	switch {
	case NoContainer(err):
		return &backup.Fault{
			Kind: backup.Refused, Code: "ContainerNotFound", Message: r.Words() + ": there is no container",
			Hint: "Make the container: az rest --method put --url '" + r.Scope + "?api-version=2024-01-01' --body '{}'.",
		}
	case ShutOut(err): // that says nothing of the role
		return blobs("look into "+Place(storage), storage, Before).Fault(err)
	case LacksRole(err):
		return missing(r, says+" answers 403 to a request that the role permits")
	}
	return err
}

// TryBlobs lists and writes in the container in a way that does nothing, and deletes too if the role permits it: no blob has the name, or the
// ETag of these requests. Storage looks for the role first. An error is storage's.
func TryBlobs(ctx context.Context, client *container.Client, name string, deletes bool) error {
	name = "lifeboat-check/" + name
	pager := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(name), MaxResults: to.Ptr[int32](1)})
	_, none := pager.NextPage(ctx)
	if none != nil && !NoContainer(none) {
		return none
	}
	never := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(`"0x0"`))}}
	_, err := client.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(nil)), &blockblob.UploadOptions{AccessConditions: never})
	if err != nil && !HasStatus(err, http.StatusPreconditionFailed, http.StatusNotFound) {
		return err
	}
	if deletes {
		_, err = client.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: never})
		if err != nil && !HasStatus(err, http.StatusPreconditionFailed, http.StatusNotFound) {
			return err
		}
	}
	return none
}

// NoContainer tells whether storage says that there is no such container.
func NoContainer(err error) bool { return bloberror.HasCode(err, bloberror.ContainerNotFound) }

// ShutOut tells whether a firewall refuses the request.
func ShutOut(err error) bool { return bloberror.HasCode(err, bloberror.AuthorizationFailure) }

// ofService reads the service's identities that the assignment may be for, and whether one of them has the role on the scope.
func (a Access) ofService(ctx context.Context, r roles.Assignment) error {
	principals, err := a.identitiesOf(ctx, r)
	if err != nil {
		return err
	}
	var blind error
	for _, principal := range principals {
		if err = a.assigned(ctx, r, principal); err == nil {
			return nil
		}
		if backup.AsFault(err).Kind != backup.Refused {
			blind = err // that one may have it
		}
	}
	if blind != nil {
		return blind
	}
	return err
}

// given is a role that an identity has.
type given struct {
	Properties struct {
		Role string `json:"roleDefinitionId"`
		// Condition restricts it (Azure's attribute-based access control); "" if nothing does.
		Condition string `json:"condition"`
	} `json:"properties"`
}

// role is the GUID of the role.
func (g given) role() string { return g.Properties.Role[strings.LastIndex(g.Properties.Role, "/")+1:] }

// assignments reads the roles that the principal has on the scope or above it, itself or through a group.
func (a Access) assignments(ctx context.Context, scope, principal string) ([]given, error) {
	var shown struct {
		Value []given `json:"value"`
	}
	filter := "?$filter=" + url.QueryEscape("assignedTo('"+principal+"')")
	err := a.resource(ctx, http.MethodGet, scope+"/providers/Microsoft.Authorization/roleAssignments"+filter, authorization, &shown)
	return shown.Value, err
}

// assigned looks among the roles that the principal has on the scope. It reads the definition of another role at the account, where the
// app's Reader permits that.
func (a Access) assigned(ctx context.Context, r roles.Assignment, principal string) error {
	all, err := a.assignments(ctx, r.Scope, principal)
	if err != nil {
		return unseen(r, err)
	}
	conditional := false
	has := func(g given) bool { // with a condition it may not hold for these blobs, which cannot be seen from here
		conditional = conditional || g.Properties.Condition != ""
		return g.Properties.Condition == ""
	}
	var others []given
	for _, g := range all {
		switch {
		case !strings.EqualFold(g.role(), r.Role.ID):
			others = append(others, g)
		case has(g):
			return nil
		}
	}
	account, _, _ := strings.Cut(r.Scope, "/blobServices/")
	for _, g := range others {
		var definition struct {
			Properties struct {
				Permissions permissions `json:"permissions"`
			} `json:"properties"`
		}
		if err := a.resource(ctx, http.MethodGet, account+"/providers/Microsoft.Authorization/roleDefinitions/"+g.role(), authorization, &definition); err != nil {
			f := looking(r).Fault(err)
			f.Kind, f.Hint = backup.Unobservable, "The service has another role there, which the app cannot read. Give the service the role itself, to be sure."
			return f
		}
		lacks := func(action string) bool { return !definition.Properties.Permissions.permit(action, true) }
		if !slices.ContainsFunc(r.Role.DataActions, lacks) && has(g) {
			return nil
		}
	}
	if conditional {
		return &backup.Fault{
			Kind: backup.Unobservable, Code: "RoleHasCondition", Message: r.Words() + ": its assignment has a condition, which Lifeboat cannot judge",
			Hint: "See that the condition admits the container.",
		}
	}
	return missing(r, "the identity has no role there that permits it")
}

// unseen is the fault of an error that says nothing of the role. If the app may not see the service or the roles of others, it is
// [roles.Hidden]: the app's own role for that is an assignment too.
func unseen(r roles.Assignment, err error) error {
	f := looking(r).Fault(err)
	if f.Kind = backup.Unobservable; LacksRole(err) {
		f.Code = roles.Hidden
	}
	return f
}

// identitiesOf reads the object IDs of the service's identities that the assignment may be for.
func (a Access) identitiesOf(ctx context.Context, r roles.Assignment) (found []string, err error) {
	var shown struct {
		Identity struct {
			Principal string `json:"principalId"`
			Assigned  map[string]struct {
				Principal string `json:"principalId"`
				Client    string `json:"clientId"`
			} `json:"userAssignedIdentities"`
		} `json:"identity"`
	}
	if err := a.resource(ctx, http.MethodGet, r.Service, r.Version, &shown); err != nil {
		return nil, unseen(r, err)
	}
	if r.Identity == backup.SystemAssigned && shown.Identity.Principal != "" {
		found = append(found, shown.Identity.Principal)
	}
	for _, one := range shown.Identity.Assigned {
		if r.Identity == backup.UserAssigned || strings.EqualFold(one.Client, string(r.Identity)) {
			found = append(found, one.Principal)
		}
	}
	if len(found) == 0 {
		f := missing(r, "the service has no such identity")
		f.Code, f.Hint = "NoIdentity", "Give the service that identity, and then run the commands."
		return nil, f
	}
	slices.Sort(found) // the order of a map is any
	return found, nil
}
