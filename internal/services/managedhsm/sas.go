package managedhsm

import (
	"context"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// bySAS is the access of an HSM that gets a SAS.
const bySAS = "sas"

// permissions holds the permissions of a SAS for the container, in Azure's letters.
type permissions string

const (
	toBackUp  permissions = "crdw"
	toRestore permissions = "rl"
)

// sasTime is the time for which a SAS is valid. Managed HSM's specification wants at least 24 hours from the call.
const sasTime = 25 * time.Hour

// sas makes a SAS for the container. It reads the account's key, signs the SAS with it, and forgets it. Azure does not
// document whether the HSM takes a SAS that is signed with a user delegation key. The SAS's time counts from Azure's
// answer with the key.
func (p *Provider) sas(ctx context.Context, s backup.Storage, permissions permissions) (azure.Secret, error) {
	key, now, err := p.azure.AccountKey(ctx, s, "hsm.access: identity")
	if err != nil {
		return azure.Secret{}, err
	}
	cannot := func(err error) error {
		return key.Strip(&backup.Fault{
			Kind: backup.Refused, Code: "NoSAS", Message: "make a SAS for " + azure.Place(s) + ": " + err.Error(),
			Hint: "Set hsm.access: identity in plan.yaml.",
		})
	}
	if now.IsZero() {
		return azure.Secret{}, cannot(azure.ErrNoDate)
	}
	credential, err := azblob.NewSharedKeyCredential(s.AccountName(), key.Reveal())
	if err != nil {
		return azure.Secret{}, cannot(err)
	}
	signed, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: now.Add(sasTime), Permissions: string(permissions), ContainerName: s.Container,
	}.SignWithSharedKey(credential)
	if err != nil {
		return azure.Secret{}, cannot(err)
	}
	return azure.NewSecret(signed.Encode(), key.Reveal(), signed.Signature(), url.QueryEscape(signed.Signature())), nil
}
