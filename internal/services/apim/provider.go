package apim

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
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
// …/backup/action and …/operationresults/read on the services, …/restore/action for restores, and Storage Blob Data Contributor on the storage
// accounts; for access keys also Microsoft.Storage/storageAccounts/listkeys/action. The preflight sees more with
// Microsoft.ApiManagement/service/workspaces/read and with Microsoft.Storage/storageAccounts/read and
// …/blobServices/read, and goes without. The retry options of opts are overruled: nothing is sent twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, azure: azure.New(cred, opts)}
}

// Begin sends the one request that starts a backup.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	return start(ctx, p, task{a, backing}, beginBackup)
}

// Poll asks once how the backup behind the token is getting on.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	return follow(ctx, p, task{a, backing}, token, beginBackup)
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
