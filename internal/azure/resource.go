package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/backup"
)

// Resources makes a client of Resource Manager for any resource. The SDK's module for a service can be larger than all that
// Lifeboat has for that service.
func (c Client) Resources() (*arm.Client, error) {
	return arm.NewClient("lifeboat/azure", "v1.0.0", c.Credential, c.Management(Unread{}))
}

// Send sends a request about a resource, or about a path below it, which may have a query. Any response but one of the statuses is an error. The content,
// unless it is nil, becomes the body.
func Send(ctx context.Context, client *arm.Client, method, path, version string, content any, statuses ...int) (*http.Response, error) {
	return Plain{client.Pipeline(), client.Endpoint(), version}.send(ctx, method, runtime.JoinPaths(client.Endpoint(), path), content, statuses...)
}

// Show reads a resource as Resource Manager shows it.
func (c Client) Show(ctx context.Context, id, version string, resource any) error {
	return c.resource(ctx, http.MethodGet, id, version, resource)
}

// resource sends a request without a body about a resource, and reads the answer's.
func (c Client) resource(ctx context.Context, method, path, version string, into any) error {
	client, err := c.Resources()
	if err != nil {
		return err
	}
	answer, err := Send(ctx, client, method, path, version, nil, http.StatusOK) //nolint:bodyclose // azcore has read and closed it
	if LacksRole(err) {
		seen, _, _ := strings.Cut(path, "?")
		backup.NotSeen(ctx, seen)
	}
	if err != nil {
		return err
	}
	if err := runtime.UnmarshalAsJSON(answer, into); err != nil {
		return fmt.Errorf("the answer shows no resource: %w", err)
	}
	return nil
}

// Looking returns the call that reads a target through Resource Manager.
func Looking(target string) Call {
	return Call{What: "look at " + target, Means: Before, Hint: func(int, string, string) string {
		return Gone(target)
	}}
}

// Gone advises about a target that Azure does not know. Its recovery points may be all that is left of it.
func Gone(target string) string {
	return fmt.Sprintf("See whether %s still exists. If not, undelete it, or leave it in plan.yaml for as long as its recovery points may be "+
		"needed: they are restored only while a plan names it, as a target or in restore.from.", target)
}

// HasStatus tells whether an error is a response with one of the statuses.
func HasStatus(err error, statuses ...int) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && slices.Contains(statuses, answer.StatusCode)
}

// LacksRole tells whether an error says that the identity has no role for the request: a 403 with a code of [Denials] says more.
func LacksRole(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && answer.StatusCode == http.StatusForbidden && !Denies(answer.ErrorCode)
}
