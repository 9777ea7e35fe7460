package apim

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// accessOf returns how the service gets access to the storage account, and the client ID if it uses a user-assigned
// identity for that.
func accessOf(identity string) (access armapimanagement.AccessType, client string) {
	switch identity {
	case "", "system":
		return armapimanagement.AccessTypeSystemAssignedManagedIdentity, ""
	case byKey:
		return armapimanagement.AccessTypeAccessKey, ""
	default:
		return armapimanagement.AccessTypeUserAssignedManagedIdentity, identity
	}
}

// parameters returns the parameters of the request that starts the backup or restore, and the secret among them.
func (p *Provider) parameters(ctx context.Context, a backup.Attempt) (
	armapimanagement.ServiceBackupRestoreParameters, azure.Secret, error,
) {
	id, err := azure.AccountID(a.Storage)
	if err != nil {
		return armapimanagement.ServiceBackupRestoreParameters{}, azure.Secret{}, err
	}
	access, client := accessOf(identity(a.Blocks))
	parameters := armapimanagement.ServiceBackupRestoreParameters{
		StorageAccount: to.Ptr(id.Name),
		ContainerName:  to.Ptr(a.Storage.Container),
		BackupName:     to.Ptr(a.Artifact),
		AccessType:     to.Ptr(access),
	}
	var key azure.Secret
	switch access {
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		parameters.ClientID = to.Ptr(client)
	case armapimanagement.AccessTypeAccessKey:
		if key, _, err = p.azure.AccountKey(ctx, a.Storage, "identity: system"); err != nil {
			return parameters, key, err
		}
		parameters.AccessKey = to.Ptr(key.Reveal())
	}
	return parameters, key, nil
}
