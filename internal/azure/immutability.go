package azure

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"lifeboat/internal/backup"
)

// HasImmutability tells whether the account as a whole has an immutability policy that is in force.
func HasImmutability(account armstorage.AccountProperties) bool {
	policy := Deref(account.ImmutableStorageWithVersioning).ImmutabilityPolicy
	return policy != nil && Deref(policy.State) != armstorage.AccountImmutabilityPolicyStateDisabled
}

// ContainerSettings returns the settings of the container as Resource Manager shows them. It returns nil if the app's identity
// may not read them, or if the container does not exist yet.
func (c Client) ContainerSettings(ctx context.Context, s backup.Storage) (*armstorage.ContainerProperties, error) {
	id, err := AccountID(s)
	if err != nil {
		return nil, err
	}
	containers, err := armstorage.NewBlobContainersClient(id.Subscription, c.Credential, c.Management())
	if err != nil {
		return nil, invalidStorage(s, err)
	}
	container, err := containers.Get(ctx, id.Group, id.Name, s.Container, nil)
	switch {
	case HasStatus(err, http.StatusForbidden, http.StatusNotFound):
		return nil, nil //nolint:nilnil // there are no settings to show
	case err != nil:
		return nil, account("look at "+Place(s), s, "").Fault(err)
	}
	return container.ContainerProperties, nil
}
