package managedhsm

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// resourceType is the type of the resources that this package backs up.
const resourceType = "Microsoft.KeyVault/managedHSMs"

// clockTolerance is the largest expected difference between the clocks of the catalog, the HSM and the storage account.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of Managed HSM. It keeps nothing between two calls, so that
// any process can continue the work of another. Its methods may be called from any goroutine.
type Provider struct {
	// HashPart is the largest number of bytes that one Verify reads and hashes. New sets it to 1 GiB; a caller may change
	// it only before the first use.
	HashPart int64
	// Recent is the documented age limit of the last full backup of an HSM for a restore into that HSM. The HSM's check
	// whether a backup can be restored may have the same limit. New sets Recent to 30 minutes, as documented. Where the
	// waits on Azure are shortened, [Service] shortens Recent as well, because Azure's side has the shorter limit too.
	Recent time.Duration

	azure azure.Client
}

var (
	_ backup.Provider = (*Provider)(nil)
	_ backup.Lister   = (*Provider)(nil)
)

// New makes a Provider that acts with the identity behind cred. The identity needs the roles Managed HSM Backup and
// Managed HSM Restore on the HSMs, the latter for restores and for the proof that a backup can be restored, and Storage
// Blob Data Contributor on the storage accounts; for a SAS also Microsoft.Storage/storageAccounts/listkeys/action. With
// Microsoft.KeyVault/managedHSMs/read and Microsoft.Storage/storageAccounts/read, the preflight checks more; it also
// works without them. New overrules the retry options of opts: the Provider sends nothing twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, Recent: 30 * time.Minute, azure: azure.New(cred, opts)}
}

// Begin sends the one request that starts a backup. If it fails before that request is sent, the backup was certainly not
// started. If the request gets no answer, it is unknown whether the backup was started.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	s, err := p.start(ctx, fullBackup(a))
	return finished(a, s, azure.MayPass(err))
}

// Poll sends one GET to the address in the token.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	s, err := p.poll(ctx, fullBackup(a), token)
	return finished(a, s, azure.MayPass(err))
}

// finished reads the folder's name from an operation that has succeeded, and never guesses it. An operation without the
// name has the same fault as an operation that is gone: Unobservable.
func finished(a backup.Attempt, s status, err error) (backup.Operation, error) {
	if err != nil || !s.Done {
		return s.Operation, err
	}
	if s.Artifact = folderOf(s.said.URI); s.Artifact == "" {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Unobservable, Code: "NoFolder",
			Message: "back up " + a.Target + ": the HSM says that it succeeded, but not where the backup is",
			Hint:    hintContainer(a),
		}
	}
	return s.Operation, nil
}

// fullBackup returns the backup as an operation.
func fullBackup(a backup.Attempt) operation {
	return operation{
		Attempt: a, what: "back up " + a.Target, starting: starting(a), polling: polling(a), permissions: toBackUp,
		begin: func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error) {
			return client.BeginFullBackup(ctx, access, &hsm.BeginFullBackupOptions{ResumeToken: token})
		},
	}
}

// client makes the client of the HSM.
func (p *Provider) client(target string) (*hsm.Client, error) {
	if _, err := parseTarget(target); err != nil {
		return nil, err
	}
	host := p.azure.HSMHost(name(target))
	client, err := hsm.NewClient("https://"+host, p.azure.Credential, &hsm.ClientOptions{ClientOptions: p.azure.At(host)})
	if err != nil {
		return nil, azure.Invalid("InvalidTarget", target, "a Managed HSM", err)
	}
	return client, nil
}

func parseTarget(target string) (backup.Resource, error) {
	r, err := backup.ParseResource(target)
	if err != nil || !strings.EqualFold(r.Type, resourceType) {
		return r, azure.Invalid("InvalidTarget", target, "a Managed HSM", err)
	}
	return r, nil
}

// name returns the HSM's name from its resource ID, "" if the target is no resource ID.
func name(target string) string {
	r, _ := backup.ParseResource(target)
	return r.Name
}

// access returns the HSM's access to the container: its user-assigned identity, or a SAS and the secrets in it.
func (p *Provider) access(ctx context.Context, s backup.Storage, identity string, permissions permissions) (
	hsm.SASTokenParameters, azure.Secret, error,
) {
	parameters := hsm.SASTokenParameters{StorageResourceURI: to.Ptr(p.azure.ContainerURL(s))}
	if _, err := azure.AccountID(s); err != nil {
		return parameters, azure.Secret{}, err
	}
	switch identity {
	case "", "identity":
		parameters.UseManagedIdentity = to.Ptr(true)
		return parameters, azure.Secret{}, nil
	case bySAS:
	default:
		return parameters, azure.Secret{}, &backup.Fault{
			Kind: backup.Refused, Code: "InvalidSettings", Message: "hsm.access of the run is neither identity nor sas: " + identity,
			Hint: backup.HintSettings,
		}
	}
	token, err := p.sas(ctx, s, permissions)
	if err == nil {
		parameters.Token = to.Ptr(token.Reveal())
	}
	return parameters, token, err
}
