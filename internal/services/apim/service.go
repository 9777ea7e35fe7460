package apim

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// field is the service's own field in plan.yaml: the identity with which the service accesses the storage account. "" or
// "system" is the system-assigned identity, a client ID is a user-assigned identity, and "accessKey" is the account's
// key.
const field = "identity"

//go:embed plan.schema.json
var schema string

// Service describes Azure API Management.
//
// Sources: the specification of Microsoft.ApiManagement has the rule for names. Azure's documentation of API Management's
// disaster recovery says how long a backup can be restored, how long a backup takes, and what a backup does not contain;
// 2 to 16 minutes were recorded of small services.
func Service() azure.Service {
	return azure.Service{
		Service: backup.Service{
			Type: resourceType, Title: "API Management",
			Name:       regexp.MustCompile(`^[a-zA-Z]([a-zA-Z0-9-]{0,48}[a-zA-Z0-9])?$`),
			NameRule:   "1 to 50 letters, digits and dashes, a letter first, no dash last",
			Restorable: 30 * 24 * time.Hour, Usual: 30 * time.Minute,
			NotIncluded: []string{
				"usage data for analytics",
				"custom domain TLS certificates",
				"custom CA certificates",
				"virtual network settings",
				"managed identity configuration",
				"Azure Monitor diagnostics settings",
				"protocol and cipher settings",
				"developer portal content",
			},
			Changes: isChange, Unfit: unfit,
			Block:  &backup.Block{Field: field, Schema: schema, Default: map[string]string{field: "system"}},
			Grants: roles(),
			Restore: backup.RestoreTraits{
				Overwrites: []string{
					"the whole configuration of the service: APIs, operations, policies, products, users, groups, subscriptions, named " +
						"values, certificates of backends. Changes since the backup are lost",
					"during the restore the service cannot be changed; custom host names stay as they are",
				},
				Calls: []string{"POST {destination}/restore"}, BackupCalls: []string{"POST {destination}/backup"},
				Traces: "See in the activity log of {destination} whether there was a restore, and whether the APIs are those of the backup.",
			},
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, _ float64) backup.Provider {
			return New(cred, opts)
		},
		Marker: func(client azure.Client) backup.Marker { return NewMarker(client) },
		Maker:  func(client azure.Client) backup.Maker { return NewMaker(client) },
	}
}

// roles are the roles for backups and restores. The built-in role API Management Service Operator Role would do too; but its holder
// may delete the service. Each role of Lifeboat's own may read what it permits, so that the app can say what it lacks. Source: the
// resource provider operations of Microsoft.ApiManagement.
func roles() []backup.Grant {
	const service = "Microsoft.ApiManagement/service/"
	return []backup.Grant{
		{
			Role: backup.Role{Name: "Lifeboat API Management Backup", Actions: []string{
				service + "read", service + "backup/action", service + "operationresults/read", service + "workspaces/read", azure.ReadPermissions,
			}},
			On: backup.OnService, For: "makes backups",
		},
		{
			Role: backup.Role{Name: "Lifeboat API Management Restore", Actions: []string{
				service + "read", service + "restore/action", service + "operationresults/read", azure.ReadPermissions,
			}},
			On: backup.OnService, For: "restores", Restores: true,
		},
		{Role: backup.BlobDataContributor, On: backup.OnContainer, For: "reads, proves and deletes backups", Vault: &backup.VaultWriter},
		{
			Role: backup.BlobDataContributor, On: backup.OnContainer, For: "writes and reads backups", Vault: &backup.VaultWriter,
			Writer: writer, Version: "2024-05-01", If: func(b backup.Blocks) bool { return identity(b) != byKey }, When: "without `identity: accessKey`",
		},
		{
			Role: backup.AccountKeyReader, On: backup.OnAccount, For: "hands the key to the service",
			If: func(b backup.Blocks) bool { return identity(b) == byKey }, When: "with `identity: accessKey`",
		},
		backup.SeesAccount(),
		{
			Role: backup.Role{Name: "Lifeboat Activity Log Reader", Actions: []string{"Microsoft.Insights/eventtypes/values/read", azure.ReadPermissions}},
			On:   backup.OnSubscription, For: "tells of changes during a backup", Optional: true,
		},
	}
}

// byKey is the block of a service that writes with the account's key.
const byKey = "accessKey"

// writer is the identity that the service writes as.
func writer(blocks backup.Blocks) backup.Identity {
	if text := identity(blocks); text != "" {
		return backup.Identity(text)
	}
	return backup.SystemAssigned
}

// isChange knows the types of the service's events, by Azure's documentation "Azure API Management as an Event Grid source". Others
// of its events are about tokens that expire and circuit breakers.
func isChange(eventType string) bool {
	name, ok := strings.CutPrefix(strings.ToLower(eventType), "microsoft.apimanagement.")
	return ok && slices.ContainsFunc([]string{"created", "updated", "deleted", "added", "removed"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}

// identity reads the block. It returns an unreadable block as the client ID of an identity that no service has.
func identity(blocks backup.Blocks) string {
	var text string
	if err := blocks.Read(field, &text); err != nil {
		return "unreadable: " + err.Error()
	}
	return text
}
