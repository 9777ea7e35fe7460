package apim

import (
	"context"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// beginner is the SDK's method for a work, by the names of a resource group and a service: without a token it starts an
// operation, with one it continues that.
type beginner[T any] func(ctx context.Context, client *armapimanagement.ServiceClient, group, name string,
	parameters armapimanagement.ServiceBackupRestoreParameters, token string) (*runtime.Poller[T], error)

func beginBackup(ctx context.Context, client *armapimanagement.ServiceClient, group, name string,
	parameters armapimanagement.ServiceBackupRestoreParameters, token string,
) (*runtime.Poller[armapimanagement.ServiceClientBackupResponse], error) {
	return client.BeginBackup(ctx, group, name, parameters,
		&armapimanagement.ServiceClientBeginBackupOptions{ResumeToken: token})
}

func beginRestore(ctx context.Context, client *armapimanagement.ServiceClient, group, name string,
	parameters armapimanagement.ServiceBackupRestoreParameters, token string,
) (*runtime.Poller[armapimanagement.ServiceClientRestoreResponse], error) {
	return client.BeginRestore(ctx, group, name, parameters,
		&armapimanagement.ServiceClientBeginRestoreOptions{ResumeToken: token})
}

// start sends the one request that starts the task. With an access key it reads that first, and forgets it afterwards.
// Whatever goes wrong up to that request is certainly not a start; without an answer to it, nobody knows.
func start[T any](ctx context.Context, p *Provider, t task, begin beginner[T]) (backup.Operation, error) {
	departure := &azure.Departure{}
	client, target, err := p.service(t.Attempt, departure)
	if err != nil {
		return backup.Operation{}, err
	}
	parameters, key, err := p.parameters(ctx, t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	var answer *http.Response
	poller, err := begin(policy.WithCaptureResponse(ctx, &answer), client, target.Group, target.Name, parameters, "")
	switch {
	case err != nil && !departure.Passed:
		return backup.Operation{}, key.Strip(starting(t).Unsent(err))
	case err != nil:
		return backup.Operation{}, key.Strip(starting(t).Fault(err))
	}
	token, err := poller.ResumeToken()
	if err != nil {
		token = "" // a poller whose operation ended at once has none
	}
	return progress(answer, t, token)
}

// follow sends one GET to where the token points. The answer's status decides and not the poller, which takes every
// refusal, a 403 as well as a 400, for the end of the operation and then has no token any more. Without a token the SDK
// would start an operation; it cannot, as it is told no service.
func follow[T any](ctx context.Context, p *Provider, t task, token string, begin beginner[T]) (backup.Operation, error) {
	client, _, err := p.service(t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	poller, err := begin(ctx, client, "", "", armapimanagement.ServiceBackupRestoreParameters{}, token)
	if err != nil {
		return backup.Operation{}, unusable(t, err)
	}
	answer, err := poller.Poll(ctx) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return backup.Operation{}, unusable(t, nil)
	case err == nil && !runtime.HasStatusCode(answer, accepted...):
		err = runtime.NewResponseError(answer)
	}
	if err != nil {
		return backup.Operation{}, polling(t).Fault(err)
	}
	if next, err := poller.ResumeToken(); err == nil {
		token = next // Azure may move the operation to another Location with every answer
	}
	return progress(answer, t, token)
}

// accepted are the statuses that say how an operation is getting on.
var accepted = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// progress reads such an answer; token continues the operation if it goes on. While it does the status is 202, at the
// end 200 with the whole service (recorded 2015 to 2023). A 200 whose body says that the service is still at it has not
// been seen; it is taken at its word, since asking once more does no harm.
func progress(answer *http.Response, t task, token string) (backup.Operation, error) {
	if answer.StatusCode != http.StatusAccepted {
		said := azure.ReadBody(answer)
		switch strings.ToLower(said.State) {
		case "", "succeeded", "completed":
			return backup.Operation{Done: true, SKU: said.SKU}, nil
		case "failed", "canceled", "cancelled":
			return backup.Operation{}, ended(t, said)
		}
	}
	if token == "" {
		return backup.Operation{}, starting(t).Fault(errNoToken)
	}
	return backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer)}, nil
}
