package apim

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// resourceType is what this package backs up.
const resourceType = "Microsoft.ApiManagement/service"

// clockTolerance is how much older than backup.Attempt.NotBefore an artifact may look: NotBefore is told by the clock
// of the catalog, LastModified by that of another storage account.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of API Management in Azure's public cloud. It keeps nothing between two calls, so
// that any process can go on where another stopped. Its methods may be called from any goroutine.
type Provider struct {
	// HashPart is the most bytes that one Verify reads and hashes. New sets it to 1 GiB; it is changed, if at all,
	// before the first use.
	HashPart int64

	azure azure.Client
}

var _ backup.Provider = (*Provider)(nil)

// New makes a Provider that acts with the identity behind cred. It needs Microsoft.ApiManagement/service/read,
// …/backup/action and …/operationresults/read on the services, and Storage Blob Data Contributor on the storage
// accounts; for access keys also Microsoft.Storage/storageAccounts/listkeys/action. The preflight sees more with
// Microsoft.ApiManagement/service/workspaces/read and with Microsoft.Storage/storageAccounts/read and
// …/blobServices/read, and goes without. Of opts, the retry options are overruled: nothing is sent twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, azure: azure.New(cred, opts)}
}

// Begin sends the one request that starts a backup. With an access key it reads that first, and forgets it afterwards.
// Whatever goes wrong up to that request is certainly not a start; without an answer to it, nobody knows.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	departure := &azure.Departure{}
	client, target, err := p.service(a, departure)
	if err != nil {
		return backup.Operation{}, err
	}
	parameters, key, err := p.parameters(ctx, a)
	if err != nil {
		return backup.Operation{}, err
	}
	var answer *http.Response
	poller, err := client.BeginBackup(policy.WithCaptureResponse(ctx, &answer), target.Group, target.Name, parameters, nil)
	switch {
	case err != nil && !departure.Passed:
		return backup.Operation{}, key.Strip(starting(a).Unsent(err))
	case err != nil:
		return backup.Operation{}, key.Strip(starting(a).Fault(err))
	}
	token, err := poller.ResumeToken()
	if err != nil {
		token = "" // a poller whose operation ended at once has none
	}
	return progress(answer, a, token)
}

// Poll sends one GET to where the token points. The answer's status decides and not the poller, which takes every
// refusal, a 403 as well as a 400, for the end of the operation and then has no token any more. Without a token the SDK
// would start a backup; it cannot, as it is told no service.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	client, _, err := p.service(a)
	if err != nil {
		return backup.Operation{}, err
	}
	poller, err := client.BeginBackup(ctx, "", "", armapimanagement.ServiceBackupRestoreParameters{},
		&armapimanagement.ServiceClientBeginBackupOptions{ResumeToken: token})
	if err != nil {
		return backup.Operation{}, unusable(a, err)
	}
	answer, err := poller.Poll(ctx) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return backup.Operation{}, unusable(a, nil)
	case err == nil && !runtime.HasStatusCode(answer, accepted...):
		err = runtime.NewResponseError(answer)
	}
	if err != nil {
		return backup.Operation{}, polling(a).Fault(err)
	}
	if next, err := poller.ResumeToken(); err == nil {
		token = next // Azure may move the operation to another Location with every answer
	}
	return progress(answer, a, token)
}

// accepted are the statuses that say how an operation is getting on.
var accepted = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// progress reads such an answer; token continues the operation if it goes on. While it does the status is 202, at the
// end 200 with the whole service (recorded 2015 to 2023). A 200 whose body says that the service is still at it has not
// been seen; it is taken at its word, since asking once more does no harm.
func progress(answer *http.Response, a backup.Attempt, token string) (backup.Operation, error) {
	if answer.StatusCode != http.StatusAccepted {
		said := azure.ReadBody(answer)
		switch strings.ToLower(said.State) {
		case "", "succeeded", "completed":
			return backup.Operation{Done: true}, nil
		case "failed", "canceled", "cancelled":
			return backup.Operation{}, ended(a, said)
		}
	}
	if token == "" {
		return backup.Operation{}, starting(a).Fault(errNoToken)
	}
	return backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer)}, nil
}

// service makes the client of the target's subscription, with policies of its own behind authentication.
func (p *Provider) service(a backup.Attempt, policies ...policy.Policy) (
	*armapimanagement.ServiceClient, backup.Resource, error,
) {
	target, err := backup.ParseResource(a.Target)
	if err != nil || !strings.EqualFold(target.Type, resourceType) {
		return nil, target, azure.Invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	client, err := armapimanagement.NewServiceClient(target.Subscription, p.azure.Credential, p.azure.Management(policies...))
	if err != nil {
		return nil, target, azure.Invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	return client, target, nil
}
