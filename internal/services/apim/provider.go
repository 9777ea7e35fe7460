package apim

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// resourceType is the type of the resources that this package backs up.
const resourceType = "Microsoft.ApiManagement/service"

// clockTolerance is the longest time by which an artifact may look older than backup.Attempt.NotBefore. The clock of the
// catalog sets NotBefore, and the clock of another storage account sets LastModified.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of API Management. It keeps nothing between two calls, so
// that any process can continue the work of another. Its methods may be called from any goroutine.
type Provider struct {
	// HashPart is the largest number of bytes that one Verify reads and hashes. New sets it to 1 GiB; a caller may change
	// it only before the first use.
	HashPart int64

	azure azure.Client
}

var (
	_ backup.Provider = (*Provider)(nil)
	_ backup.Lister   = (*Provider)(nil)
)

// New makes a Provider that acts with the identity behind cred. The identity needs Microsoft.ApiManagement/service/read,
// …/backup/action and …/operationresults/read on the services, …/restore/action for restores, and Storage Blob Data
// Contributor on the storage accounts; for access keys also Microsoft.Storage/storageAccounts/listkeys/action. With
// Microsoft.ApiManagement/service/workspaces/read, and with Microsoft.Storage/storageAccounts/read and
// …/blobServices/read, the preflight checks more; it also works without them. New overrules the retry options of opts:
// the Provider sends nothing twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, azure: azure.New(cred, opts)}
}

// Begin sends the one request that starts a backup.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	o, err := p.start(ctx, task{a, backing})
	return o, azure.MayPass(err)
}

// Poll asks once for the state of the backup behind the token.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	o, err := p.follow(ctx, task{a, backing}, token)
	return o, azure.MayPass(err)
}

// service makes the client of the target's subscription.
func (p *Provider) service(a backup.Attempt) (*armapimanagement.ServiceClient, backup.Resource, error) {
	target, err := backup.ParseResource(a.Target)
	if err != nil || !strings.EqualFold(target.Type, resourceType) {
		return nil, target, azure.Invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	client, err := armapimanagement.NewServiceClient(target.Subscription, p.azure.Credential, p.azure.Management(azure.Unread{}))
	if err != nil {
		return nil, target, azure.Invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	return client, target, nil
}
