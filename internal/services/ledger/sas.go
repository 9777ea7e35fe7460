package ledger

import (
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"

	"lifeboat/internal/azure"
)

// sasTime is the time for which a SAS is valid, by Azure's clock: twice as long as a run waits for an operation.
const sasTime = 48 * time.Hour

// permissions holds the permissions of a SAS, in Azure's letters: read, write, list, create. The service makes a share of
// its own, which only a SAS of the whole account allows. It need not delete anything.
const permissions = "rwlc"

// sas makes the address of the file service with a SAS. It signs the SAS with the account's key, because a SAS that is
// signed with a user delegation key cannot make a share.
func (f *files) sas() (access, secret azure.Secret, err error) {
	credential, err := service.NewSharedKeyCredential(f.storage.AccountName(), f.key.Reveal())
	if err != nil {
		return access, secret, f.key.Strip(noKey(f.storage, err))
	}
	all := sas.AccountResourceTypes{Service: true, Container: true, Object: true}
	signed, err := sas.AccountSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: f.now.Add(sasTime), Permissions: permissions, ResourceTypes: all.String(),
	}.SignWithSharedKey(credential)
	if err != nil {
		return access, secret, f.key.Strip(noKey(f.storage, err))
	}
	uri := strings.TrimSuffix(f.client.URL(), "/") + "/?" + signed.Encode()
	access = azure.NewSecret(uri)
	secret = azure.NewSecret(signed.Encode(), f.key.Reveal(), signed.Signature(), url.QueryEscape(signed.Signature()))
	return access, secret, nil
}
