package apim

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// beginner is the SDK's method for a work. It takes the names of a resource group and a service. Without a token it
// starts an operation, and with a token it continues the operation behind the token.
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

// start sends the one request that starts the task. With an access key it reads that first, and forgets it afterwards. If
// it fails before that request is sent, the task was certainly not started. If the request gets no answer, it is unknown
// whether the task was started.
func start[T any](ctx context.Context, p *Provider, t task, begin beginner[T]) (backup.Operation, error) {
	departure := &azure.Departure{}
	client, target, err := p.service(t.Attempt, departure, unread{})
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
	if token, err := poller.ResumeToken(); err == nil {
		return backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer)}, nil
	}
	return progress(answer, t, "") // the answer names no address to ask at: the operation has ended, or this is a fault
}

// unread empties the body of an answer to a start that says where to ask about the operation. If the body of a 202 shows
// the service as settled, the SDK would take that for the end of the operation, and forget where to ask.
type unread struct{}

// Do empties such a body.
func (unread) Do(request *policy.Request) (*http.Response, error) {
	answer, err := request.Next()
	if err == nil && request.Raw().Method == http.MethodPost && runtime.HasStatusCode(answer, accepted...) &&
		cmp.Or(answer.Header.Get("Azure-AsyncOperation"), answer.Header.Get("Location")) != "" {
		runtime.Drain(answer)
		answer.Body = http.NoBody
	}
	return answer, err
}

// follow sends one GET to the address in the token, and at the end of a backup asks for the tier if that answer has none.
// The answer's status decides and not the poller: the poller takes every refusal, a 403 as well as a 400, for the end of
// the operation and then has no token any more. Without a token the SDK would start an operation. It cannot, because
// follow gives it no service.
func follow[T any](ctx context.Context, p *Provider, t task, token string, begin beginner[T]) (backup.Operation, error) {
	client, target, err := p.service(t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	poller, err := begin(ctx, client, "", "", armapimanagement.ServiceBackupRestoreParameters{}, token)
	if err != nil {
		return backup.Operation{}, unusable(t, err)
	}
	var answer *http.Response
	_, err = poller.Poll(policy.WithCaptureResponse(ctx, &answer)) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return backup.Operation{}, unusable(t, nil)
	case err != nil && answer == nil:
		return backup.Operation{}, polling(t).Fault(err)
	case !runtime.HasStatusCode(answer, accepted...):
		return backup.Operation{}, polling(t).Fault(runtime.NewResponseError(answer))
	case err != nil && answer.StatusCode != http.StatusNoContent: // the address of a status answered without a status
		return backup.Operation{}, wordless(t, answer, err)
	}
	if next, err := poller.ResumeToken(); err == nil {
		token = next // Azure may move the operation to another Location with every answer
	}
	o, failed := progress(answer, t, token)
	if o.Done && t.noun == backing.noun && (err != nil || azure.ReadBody(answer).Status != "") {
		o.SKU = tier(ctx, client, target, poller)
	}
	return o, failed
}

// tier asks for the tier of the service at the end of an operation that was followed by its status, because the status
// does not show the tier. It first asks at the start's Location, as all of Azure's pollers do, and otherwise asks the
// service. It returns "" if neither shows the tier: that is no reason to lose the backup.
func tier[T any](ctx context.Context, client *armapimanagement.ServiceClient, target backup.Resource, poller *runtime.Poller[T]) string {
	var answer *http.Response
	_, err := poller.Result(policy.WithCaptureResponse(ctx, &answer)) //nolint:bodyclose // azcore has read and closed it
	if err == nil && answer != nil {
		if sku := azure.ReadBody(answer).SKU; sku != "" {
			return sku
		}
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return ""
	}
	return string(skuOf(service.ServiceResource))
}

// accepted lists the HTTP statuses of an answer that shows the state of an operation.
var accepted = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// progress reads such an answer; token continues the operation if it goes on. The Location answers 202 while the
// operation goes on, and at its end 200 with the whole service (recorded 2015 to 2023). The Azure-AsyncOperation address
// answers 200 with a word for the state (recorded of changes to services, 2022-08-01 and 2024-05-01). progress takes an
// unknown word for "not yet", and also a 200 whose body says that the service is still working, since asking once more
// does no harm. In a 202 the service's own state says nothing: it may date from before the operation.
func progress(answer *http.Response, t task, token string) (backup.Operation, error) {
	said := azure.ReadBody(answer)
	under := answer.StatusCode == http.StatusAccepted
	if under {
		said.State = said.Status
	}
	switch strings.ToLower(said.State) {
	case "succeeded", "completed":
		return backup.Operation{Done: true, SKU: said.SKU}, nil
	case "failed":
		said.State = "Failed"
		return backup.Operation{}, ended(t, said)
	case "canceled", "cancelled":
		said.State = "Canceled"
		return backup.Operation{}, ended(t, said)
	case "":
		if !under {
			return backup.Operation{Done: true, SKU: said.SKU}, nil
		}
	}
	if token == "" {
		return backup.Operation{}, starting(t).Fault(errNoToken)
	}
	return backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer)}, nil
}
