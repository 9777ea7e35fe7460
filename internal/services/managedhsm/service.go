package managedhsm

import (
	_ "embed"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// field is the service's own field in plan.yaml.
const field = "hsm"

//go:embed plan.schema.json
var schema string

// block holds the HSM's access to the storage account: "" or "identity" for its user-assigned identity, bySAS for a SAS
// that is made for each request. Without SecurityDomain no person has to prove that the security domain opens.
type block struct {
	Access         string       `json:"access"`
	SecurityDomain *domainBlock `json:"securityDomain"`
}

// roles are the roles for backups and restores. The HSM has the roles of its own access control built in (Azure's page "Managed HSM local RBAC
// built-in roles").
func roles() []backup.Grant {
	const backUp, restore = "7b127d3c-77bd-4e3e-bbe0-dbb8971fa7f8", "6efe6056-5259-49d2-8b3d-d3d73544b20b"
	return []backup.Grant{
		{Role: backup.Role{Name: "Managed HSM Backup", ID: backUp, Local: true}, On: backup.OnService, For: "makes backups"},
		{
			Role: backup.Role{Name: "Managed HSM Restore", ID: restore, Local: true}, On: backup.OnService,
			For: "has the HSM prove each backup, and restores",
		},
		{Role: backup.BlobDataContributor, On: backup.OnContainer, For: "reads, proves and deletes backups"},
		{
			Role: backup.BlobDataContributor, On: backup.OnContainer, For: "writes and reads backups",
			Writer: func(backup.Blocks) backup.Identity { return backup.UserAssigned }, Version: managementVersion,
			If: func(b backup.Blocks) bool { return identity(b) != bySAS }, When: "with `hsm.access: identity`",
		},
		{
			Role: backup.AccountKeyReader, On: backup.OnAccount, For: "signs the SAS that the HSM writes with",
			If: func(b backup.Blocks) bool { return identity(b) == bySAS }, When: "with `hsm.access: sas`",
		},
		backup.SeesAccount(),
		{
			Role: backup.ReaderOf("Microsoft.KeyVault/managedHSMs/read"), On: backup.OnService,
			For: "sees whether the HSM is activated, and its identity", Optional: true, Version: managementVersion,
		},
	}
}

// identity reads the block. An unreadable block is neither of the two.
func identity(blocks backup.Blocks) string {
	var b block
	if err := blocks.Read(field, &b); err != nil {
		return "unreadable: " + err.Error()
	}
	return b.Access
}

// Service describes Azure Key Vault Managed HSM.
//
// Sources: the name is the first part of a host name, with the rule of the data plane's specification. Azure documents no
// limit for how long a backup can be restored; a restore depends on the security domain. A backup holds all keys,
// versions, attributes, tags and local role assignments, says Azure's documentation. Little was recorded about how long a
// backup takes: 5 minutes are on the long side. The HSM makes the folder mhsm-{name}-{time} in the container.
func Service() azure.Service {
	return azure.Service{
		Service: backup.Service{
			Type: resourceType, Title: "Managed HSM",
			Name:     regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$`),
			NameRule: "3 to 24 letters, digits and dashes, a letter first, no dash last",
			Usual:    5 * time.Minute,
			NotIncluded: []string{
				"the security domain, without which no backup can be restored",
				"network settings, private endpoints and diagnostics settings",
				"the managed identity that the HSM reaches storage with",
			},
			ArtifactNames: func(s backup.Storage, r backup.Resource) string {
				return strings.ToLower("folder " + s.AccountName() + "/" + s.Container + "/mhsm-" + r.Name)
			},
			Unfit:   unfit,
			Custody: custody(),
			Block: &backup.Block{Field: field, Schema: schema, Check: checkBlock, Default: map[string]string{
				field + ".access": "identity", field + ".securityDomain.every": "never asked",
				field + ".securityDomain.quorum": "the security domain's own", field + ".securityDomain.holders": "any",
			}},
			Grants: roles(),
			Restore: backup.RestoreTraits{
				Overwrites: []string{
					"all keys of the HSM with all their versions, and all role assignments, this app's own among them",
					"during the restore the HSM answers nothing but the question how the restore is getting on",
				},
				Calls:       []string{"PUT " + hostName + "/prerestore", "PUT " + hostName + "/restore"},
				BackupCalls: []string{"POST " + hostName + "/prebackup", "POST " + hostName + "/backup"},
				KeyCalls:    []string{"PUT " + hostName + "/prerestore", "PUT " + hostName + "/keys/{key}/restore"},
				Look:        "PreFullRestore", Safety: backup.SafetyAlways,
				Traces: "See whether the keys are there (az keyvault key list --hsm-name {name}), and whether their versions are those " +
					"of the backup.",
			},
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, factor float64) backup.Provider {
			p := New(cred, opts)
			p.Recent = time.Duration(float64(p.Recent) * factor)
			return p
		},
		Marker: func(client azure.Client) backup.Marker { return NewMarker(client) },
	}
}

// hostName is the address of an HSM; {name} stands for the HSM's name.
const hostName = "https://{name}.managedhsm.azure.net"
