package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// HostBlobs are the blobs of the Functions host, in the app's own account. The app uses none of them; but without its role there no timer
// ever fires, and nothing says so. The zero value has none to look at: a host with the account's key needs no role.
type HostBlobs struct {
	connection
	// secrets says where the host keeps its keys: "" or "blob", or somewhere else.
	secrets    string
	credential azcore.TokenCredential
	options    azcore.ClientOptions
}

// These are the host's containers (azure-functions-host, ScriptConstants and BlobStorageSecretsRepository). It makes them itself.
const (
	hostLocks   = "azure-webjobs-hosts"
	hostSecrets = "azure-webjobs-secrets"
)

// Look reads, writes and deletes in the host's containers in a way that does nothing, and returns a fault for each in which the app's
// identity may not do that. The app's identity is the host's: [Credential] reads the same settings.
func (b HostBlobs) Look(ctx context.Context) (found []*backup.Fault) {
	if b.badBlobs != nil {
		return []*backup.Fault{{Kind: backup.Unobservable, Code: "InvalidSetting", Message: b.badBlobs.Error()}}
	}
	if b.blobs == "" {
		return nil
	}
	names := []string{hostLocks}
	if b.secrets == "" || strings.EqualFold(b.secrets, "blob") {
		names = append(names, hostSecrets)
	}
	for _, name := range names {
		what := fmt.Sprintf("look into the container %s of the storage account %s", name, b.account)
		client, err := container.NewClient(strings.TrimSuffix(b.blobs, "/")+"/"+name, b.credential, &container.ClientOptions{ClientOptions: b.options})
		if err == nil {
			err = azure.TryBlobs(ctx, client, "host", true)
		}
		switch {
		case err == nil || azure.NoContainer(err): // the host makes it when it needs it
		case azure.LacksRole(err) && !azure.ShutOut(err):
			found = append(found, &backup.Fault{
				Kind: backup.Refused, Code: "RoleMissing", Message: what + ": storage answers 403 to a request that the role permits",
				Hint: "Give the app's identity the role Storage Blob Data Owner on its storage account: without it no timer fires.",
			})
		default:
			found = append(found, &backup.Fault{Kind: backup.Unobservable, Code: "Unreachable", Message: what + ": " + azure.Why(err)})
		}
	}
	return found
}
