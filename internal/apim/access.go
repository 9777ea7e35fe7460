package apim

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"lifeboat/internal/backup"
)

// accessOf reads backup.Attempt.Identity: how the service is to get at the storage account, and the client ID of the
// user-assigned identity that it takes for it.
func accessOf(identity string) (access armapimanagement.AccessType, client string) {
	switch identity {
	case "", "system":
		return armapimanagement.AccessTypeSystemAssignedManagedIdentity, ""
	case "accessKey":
		return armapimanagement.AccessTypeAccessKey, ""
	default:
		return armapimanagement.AccessTypeUserAssignedManagedIdentity, identity
	}
}

// secret is an account key on its way from Resource Manager into the request's body. It prints as nothing.
type secret struct{ key string }

// String keeps the key out of whatever is printed.
func (secret) String() string { return "(secret)" }

// strip takes the key, in the forms that an answer might repeat it in, out of the fault.
func (s secret) strip(f *backup.Fault) *backup.Fault {
	if s.key == "" {
		return f
	}
	for _, form := range []string{s.key, url.QueryEscape(s.key), base64.StdEncoding.EncodeToString([]byte(s.key))} {
		f.Message = strings.ReplaceAll(f.Message, form, s.String())
		f.Hint = strings.ReplaceAll(f.Hint, form, s.String())
	}
	return f
}

// parameters of the request that starts the backup, and the secret among them.
func (p *Provider) parameters(ctx context.Context, a backup.Attempt) (
	armapimanagement.ServiceBackupRestoreParameters, secret, error,
) {
	id, err := backup.ParseResource(a.Storage.Account)
	if err != nil {
		return armapimanagement.ServiceBackupRestoreParameters{}, secret{},
			invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	access, client := accessOf(a.Identity)
	parameters := armapimanagement.ServiceBackupRestoreParameters{
		StorageAccount: to.Ptr(id.Name),
		ContainerName:  to.Ptr(a.Storage.Container),
		BackupName:     to.Ptr(a.Artifact),
		AccessType:     to.Ptr(access),
	}
	var key secret
	switch access {
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		parameters.ClientID = to.Ptr(client)
	case armapimanagement.AccessTypeAccessKey:
		if key, err = p.accountKey(ctx, a, id); err != nil {
			return parameters, key, err
		}
		parameters.AccessKey = to.Ptr(key.key)
	}
	return parameters, key, nil
}

// accountKey reads the first of the account's keys with full permissions.
func (p *Provider) accountKey(ctx context.Context, a backup.Attempt, id backup.Resource) (secret, error) {
	accounts, err := armstorage.NewAccountsClient(id.Subscription, p.cred, p.management())
	if err != nil {
		return secret{}, invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	answer, err := accounts.ListKeys(ctx, id.Group, id.Name, nil)
	if err != nil {
		return secret{}, interpretError(keying, a, err)
	}
	for _, k := range answer.Keys {
		if k == nil || deref(k.Value) == "" {
			continue
		}
		// Azure writes FULL, the SDK's constant is Full.
		if strings.EqualFold(string(deref(k.Permissions)), string(armstorage.KeyPermissionFull)) {
			return secret{*k.Value}, nil
		}
	}
	return secret{}, &backup.Fault{
		Kind: backup.Refused, Code: "NoAccountKey",
		Message: keying.sentence(a) + ": it has no key with full permissions", Hint: "Set identity: system in plan.yaml.",
	}
}
