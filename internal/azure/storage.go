package azure

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// StorageHost returns the host of a service of the account, such as "blob".
func (c Client) StorageHost(s backup.Storage, service string) string {
	return c.cloud.storageHost(s, service)
}

// ContainerURL returns the address of the container.
func (c Client) ContainerURL(s backup.Storage) string {
	return "https://" + c.StorageHost(s, "blob") + "/" + url.PathEscape(s.Container)
}

// Place returns the container in words.
func Place(s backup.Storage) string {
	return fmt.Sprintf("the container %s of the storage account %s", s.Container, s.AccountName())
}

// Container returns the client of the artifacts' container.
func (c Client) Container(s backup.Storage) (*container.Client, error) {
	if _, err := AccountID(s); err != nil {
		return nil, err
	}
	client, err := container.NewClient(c.ContainerURL(s), c.Credential, &container.ClientOptions{ClientOptions: c.At(c.StorageHost(s, "blob"))})
	if err != nil {
		return nil, invalidStorage(s, err)
	}
	return client, nil
}

// AccountType is the resource type of storage accounts.
const AccountType = "Microsoft.Storage/storageAccounts"

// AccountNames is the pattern of names of storage accounts, by Azure's rule.
const AccountNames = "[a-z0-9]{3,24}"

var accountName = pattern.New("^" + AccountNames + "$")

// IsAccountName tells whether a storage account can have the name.
func IsAccountName(name string) bool { return accountName.MatchString(name) }

var containerName = pattern.New("^[a-z0-9](-?[a-z0-9])+$")

// IsContainerName tells whether a blob container can have the name, by Azure's rule.
func IsContainerName(name string) bool {
	return len(name) >= 3 && len(name) <= 63 && containerName.MatchString(name)
}

// AccountID returns the account's resource ID, parsed.
func AccountID(s backup.Storage) (backup.Resource, error) {
	id, err := backup.ParseResource(s.Account)
	if err != nil || !strings.EqualFold(id.Type, AccountType) {
		return id, invalidStorage(s, err)
	}
	return id, nil
}

func invalidStorage(s backup.Storage, err error) *backup.Fault {
	return Invalid("InvalidStorage", s.Account, "a storage account", err)
}

// MakeContainer makes sure that the container exists.
func (c Client) MakeContainer(ctx context.Context, s backup.Storage) error {
	client, err := c.Container(s)
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, nil)
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		if LacksRole(err) && !ShutOut(err) && hasContainer(ctx, client) {
			return nil // in a vault people make it
		}
		return blobs("create "+Place(s), s, Before).Fault(err)
	}
	return nil
}

// Listing returns the call that lists artifacts. A missing container may be created again.
func Listing(s backup.Storage) Call {
	return blobs("look into "+Place(s), s, func(status int, code string) backup.FaultKind {
		if status == http.StatusConflict || code == string(bloberror.ContainerNotFound) {
			return backup.Retryable
		}
		return backup.Unobservable
	})
}

// Reading returns the call that reads an artifact. Only a response about the artifact itself is evidence against it, and the
// caller must recognize it.
func Reading(s backup.Storage, artifact string) Call {
	return blobs("read "+artifact+" in "+Place(s), s, func(int, string) backup.FaultKind { return backup.Retryable })
}

// Deleting returns the call that deletes an artifact; [Undeleted] translates its error.
func Deleting(s backup.Storage, artifact string) Call {
	c := blobs("delete "+artifact+" in "+Place(s), s, func(status int, code string) backup.FaultKind {
		switch {
		case protected(status, code):
			return backup.Kept
		case status == http.StatusPreconditionFailed:
			return backup.Touched
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			return backup.Unobservable
		}
		return backup.Retryable
	})
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		switch {
		case protected(status, code):
			return HintKept
		case status == http.StatusPreconditionFailed:
			return hintTouched
		}
		return other(status, code, message)
	}
	return c
}

// Undeleted returns the fault of a request that deletes something. It is Ambiguous if the request may have been carried out.
func Undeleted(deleting Call, err error) *backup.Fault {
	f := deleting.Once().Fault(err)
	if f.Kind == backup.Ambiguous {
		f.Hint = "Lifeboat tries the deletion again."
	}
	return f
}

// HintKept is the hint about an artifact that storage keeps.
const HintKept = "It is kept, and can be restored as before; Lifeboat tries its deletion again. If you do not need it, end the " +
	"immutability policy, the legal hold or the lease in the Azure portal."

// protected tells whether storage keeps the blob because of an immutability policy, a legal hold or a lease. Azure has several
// codes for the first two, but the SDK only has BlobImmutableDueToPolicy.
func protected(status int, code string) bool {
	if code == string(bloberror.LeaseIDMissing) {
		return true
	}
	code = strings.ToLower(code)
	return status == http.StatusConflict && (strings.Contains(code, "immutab") || strings.Contains(code, "legalhold"))
}

// HintFirewall advises about an account whose firewall shuts the app out.
func HintFirewall(s backup.Storage) string {
	return fmt.Sprintf("The firewall of the storage account %s does not admit the function app: give it a network path "+
		"or allow its addresses.", s.AccountName())
}

// HintTrusted advises about an account whose firewall shuts the service out.
const HintTrusted = "Allow trusted Azure services in the account's network settings (bypass: AzureServices)."

// BlobRole names the role that the app, and a service that writes its backup itself, need for the blobs.
func BlobRole(s backup.Storage) string {
	if s.Vault {
		return backup.VaultWriter.Name
	}
	return backup.BlobDataContributor.Name
}

// blobs returns a call to the Blob service.
func blobs(what string, s backup.Storage, means func(int, string) backup.FaultKind) Call {
	return Call{What: what, Means: means, Hint: func(status int, code, _ string) string {
		switch {
		case status == http.StatusForbidden && code == string(bloberror.AuthorizationFailure):
			return HintFirewall(s)
		case status == http.StatusForbidden || status == http.StatusUnauthorized:
			return fmt.Sprintf("Give the function app's identity the role %s on the storage account %s. A new assignment takes some minutes; "+
				"roles at an account do not move with it.", BlobRole(s), s.AccountName())
		case code == string(bloberror.ContainerNotFound) || code == string(bloberror.ContainerBeingDeleted):
			return fmt.Sprintf("The container %s of the storage account %s was deleted. If the account keeps deleted "+
				"containers, restore it in the Azure portal.", s.Container, s.AccountName())
		case code == string(bloberror.BlobArchived) || code == string(bloberror.BlobBeingRehydrated):
			return "Move it back to an online access tier, and see which lifecycle rule archives new backups."
		}
		return fmt.Sprintf("See whether the storage account %s and its container %s are as plan.yaml has them.",
			s.AccountName(), s.Container)
	}}
}
