package storage

import (
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// Credential returns the app's identity, by the app settings that getenv looks up. It is a managed identity if
// AzureWebJobsStorage__credential says managedidentity, or if the platform offers one (IDENTITY_ENDPOINT, or MSI_ENDPOINT on
// older platforms). On a developer's machine it is the signed-in user.
//
// The managed identity is the system-assigned one, or the user-assigned one with the client ID AzureWebJobsStorage__clientId,
// or the resource ID AzureWebJobsStorage__managedIdentityResourceId.
func Credential(getenv func(string) string, options azcore.ClientOptions) (azcore.TokenCredential, error) {
	kind := getenv(prefix + "__credential")
	switch {
	case strings.EqualFold(kind, "managedidentity"):
		return managedIdentity(getenv, options)
	case kind != "":
		return nil, fmt.Errorf("app setting %s__credential is %q: it must be managedidentity, or absent", prefix, kind)
	case getenv("IDENTITY_ENDPOINT") != "" || getenv("MSI_ENDPOINT") != "":
		return managedIdentity(getenv, options)
	}
	credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options})
	if err != nil {
		return nil, fmt.Errorf("find a developer's credential: %w", err)
	}
	return credential, nil
}

func managedIdentity(getenv func(string) string, options azcore.ClientOptions) (azcore.TokenCredential, error) {
	id, err := identityID(getenv)
	if err != nil {
		return nil, err
	}
	credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options, ID: id})
	if err != nil {
		return nil, fmt.Errorf("use the managed identity: %w", err)
	}
	return credential, nil
}

// guid matches a client ID.
var guid = pattern.New(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// identityID returns the user-assigned identity, or nil for the system-assigned one.
func identityID(getenv func(string) string) (azidentity.ManagedIDKind, error) {
	client, resource := getenv(prefix+"__clientId"), getenv(prefix+"__managedIdentityResourceId")
	id, notID := backup.ParseResource(backup.ResourceID(client))
	switch {
	case client != "" && resource != "":
		return nil, fmt.Errorf("app settings %[1]s__clientId and %[1]s__managedIdentityResourceId exclude each other", prefix)
	case client != "" && notID == nil:
		return nil, fmt.Errorf("app setting %s__clientId is a resource ID, of %s: it must be the client ID of the user-assigned identity, "+
			"a GUID, which the identity's page in the Azure portal shows", prefix, id.Name)
	case client != "" && !guid.MatchString(client):
		return nil, fmt.Errorf("app setting %s__clientId is no GUID: it must be the client ID of a user-assigned identity", prefix)
	case client != "":
		return azidentity.ClientID(client), nil
	case resource != "":
		id, err := backup.ParseResource(backup.ResourceID(resource))
		if err == nil && !strings.EqualFold(id.Type, "Microsoft.ManagedIdentity/userAssignedIdentities") {
			err = fmt.Errorf("it is of a %s, and not of a user-assigned identity", id.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("app setting %s__managedIdentityResourceId: %w", prefix, err)
		}
		return azidentity.ResourceID(backup.ResourceID(resource)), nil
	}
	return nil, nil
}
