package apim

import (
	_ "embed"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// field is the service's own part of plan.yaml: whom it acts as when it writes to the storage account. "" or "system" is its
// system-assigned identity, a client ID that of a user-assigned one, and "accessKey" means the account's key.
const field = "identity"

//go:embed plan.schema.json
var schema string

// Service is Azure API Management.
//
// Sources: the rule for names is that of the specification of Microsoft.ApiManagement. How long a backup can be restored, how
// long one takes, and what it does not contain are those of Azure's documentation of its disaster recovery; 2 to 16 minutes
// were recorded of small services.
func Service() azure.Service {
	return azure.Service{
		Service: backup.Service{
			Type: "Microsoft.ApiManagement/service", Title: "API Management",
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
			Block: &backup.Block{Field: field, Schema: schema, Default: map[string]string{field: "system"}},
			Restore: backup.RestoreTraits{
				Overwrites: []string{
					"the whole configuration of the service: APIs, operations, policies, products, users, groups, subscriptions, named " +
						"values, certificates of backends. What was changed since the backup is lost",
					"during the restore the service cannot be changed; custom host names stay as they are",
				},
				Calls: []string{"POST {destination}/restore"}, BackupCalls: []string{"POST {destination}/backup"},
			},
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, _ float64) backup.Provider {
			return New(cred, opts)
		},
	}
}

// identity reads the block. One that cannot be read is taken for the client ID of an identity that no service has.
func identity(blocks backup.Blocks) string {
	var text string
	if err := blocks.Read(field, &text); err != nil {
		return "unreadable: " + err.Error()
	}
	return text
}
