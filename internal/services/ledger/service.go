package ledger

import (
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// field is the field in plan.yaml that both services share.
const field = "ccf"

//go:embed plan.schema.json
var schema string

// block holds the settings for the backups and restores of a ledger.
type block struct {
	// RestoreRegion is the region, such as "westeurope", into which backups are to be restored; "" for the service's own.
	// A restore needs a region.
	RestoreRegion string `json:"restoreRegion,omitempty"`
	// APIVersion is the api-version of the requests to the service, such as "2025-06-10-preview"; "" for Lifeboat's own.
	APIVersion string `json:"apiVersion,omitempty"`
	// ServiceCertificate identifies the ledger that backups must be of: the certificate of the service in PEM, or the SHA-256 of its
	// public key in hex; "" for any.
	ServiceCertificate string `json:"serviceCertificate,omitempty"`
}

// Pin returns the SHA-256 of a service's public key, in hex, for its certificate or for itself.
func Pin(text string) (string, error) {
	if hash, err := hex.DecodeString(text); err == nil && (len(hash) == sha256.Size || text == "") {
		return strings.ToLower(text), nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return "", errors.New("serviceCertificate is neither one certificate in PEM nor the SHA-256 of a public key, in 64 hexadecimal digits")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("serviceCertificate cannot be read: %w", err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// checkBlock checks the settings of a service that Azure takes out of the API with the api-version; "" if it does not.
func checkBlock(blocks backup.Blocks, until string) (string, error) {
	b, err := read(blocks)
	if err != nil {
		return "", err
	}
	if until != "" && b.APIVersion >= until {
		return "apiVersion", fmt.Errorf("apiVersion %s has no Managed CCF: Azure took it out with %s", b.APIVersion, until)
	}
	_, err = Pin(b.ServiceCertificate)
	return "serviceCertificate", err
}

// defaults names the values that hold if a plan sets none.
var defaults = map[string]string{
	field + ".restoreRegion": "the service's own", field + ".apiVersion": "Lifeboat's own", field + ".serviceCertificate": "any",
}

// read reads the block. The error is a *Fault.
func read(blocks backup.Blocks) (b block, err error) {
	err = blocks.Read(field, &b)
	return b, err
}

// name and nameRule are the rule for the names of both services. The shares of their backups begin with the name (the
// specification of Microsoft.ConfidentialLedger).
var name = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$`)

const nameRule = "3 to 32 letters, digits and dashes, a letter or digit first and last"

// artifactNames identifies the shares of a service: {name}-{time} in the account.
func artifactNames(s backup.Storage, r backup.Resource) string {
	return strings.ToLower("share " + s.AccountName() + "/" + r.Name)
}

// recreated returns the traits of both services: a restore makes the original again.
func recreated(safety backup.Safety) backup.RestoreTraits {
	return backup.RestoreTraits{
		Overwrites: []string{"nothing: the original must have been deleted, and is made anew under its name"},
		Calls:      []string{"POST {destination}/restore"}, BackupCalls: []string{"POST {destination}/backup"},
		Safety: safety, Recreates: true,
		Region: func(blocks backup.Blocks) string {
			b, _ := read(blocks) // the restore reports the error
			return b.RestoreRegion
		},
	}
}

// restorable is the highest age of files that a Managed CCF restores.
const restorable = 90 * 24 * time.Hour

// roles are the roles for backups and restores of a service, of which the first grants are its own. A role for restores stands on the
// resource group, since a restore makes the service anew. The names of the actions follow from the API's description; no list of them is
// public. Azure refuses a role of which it does not know one action: so none has an action that its plan does not need.
func roles(own ...backup.Grant) []backup.Grant {
	return append(
		own,
		backup.Grant{Role: backup.AccountKeyReader, On: backup.OnAccount, For: "signs a SAS, reads and deletes shares"},
		backup.Grant{Role: backup.BlobDataContributor, On: backup.OnManifests, For: "writes manifests", Optional: true},
	)
}

// role is a role of Lifeboat's own that may read a service of the kind and do the one action.
func role(name, kind, action string) backup.Role {
	return backup.Role{Name: name, Actions: []string{namespace + kind + "/read", namespace + kind + "/" + action + "/action", azure.ReadPermissions}}
}

// usual is the longest time that a backup usually takes: little was recorded, and this is on the long side.
const usual = 5 * time.Minute

// ManagedCCF describes Azure Managed CCF. Azure does not restore files older than 90 days, and a backup holds ledger
// files and snapshots (Azure's documentation of its backup).
func ManagedCCF() azure.Service {
	return azure.Service{
		Service: backup.Service{
			Type: "Microsoft.ConfidentialLedger/managedCCFs", Title: "Managed CCF",
			Name: name, NameRule: nameRule, Restorable: restorable, Usual: usual,
			NotIncluded: []string{
				"transactions that were not committed when the backup was made",
				"private keys of members and users",
				"role assignments, locks, tags and diagnostics settings of the resource",
			},
			ArtifactNames: artifactNames, Shares: true, Contains: true,
			Block: &backup.Block{Field: field, Schema: schema, Default: defaults, Check: func(blocks backup.Blocks, _ backup.Resource) (string, error) {
				return checkBlock(blocks, exportsSince)
			}},
			Grants: roles(
				backup.Grant{Role: role("Lifeboat Managed CCF Backup", "managedCCFs", "backup"), On: backup.OnService, For: "makes backups"},
				backup.Grant{Role: role("Lifeboat Managed CCF Restore", "managedCCFs", "restore"), On: backup.OnGroup, For: "restores", Restores: true},
			),
			Restore: recreated(backup.SafetyImpossible),
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, _ float64) backup.Provider {
			return New(cred, opts)
		},
	}
}

// exports says whether Azure exports a ledger's files, and does not back it up. So it does if the block cannot be read.
func exports(blocks backup.Blocks) bool {
	b, err := read(blocks)
	return err != nil || b.APIVersion == "" || b.APIVersion >= exportsSince
}

// backsUp says whether Azure backs a ledger up, as it did before the api-version exportsSince.
func backsUp(blocks backup.Blocks) bool { return !exports(blocks) }

// before says so in words.
const before = "with a `ccf.apiVersion` before " + exportsSince

// namespace begins the names of the actions.
const namespace = "Microsoft.ConfidentialLedger/"

// ConfidentialLedger describes Azure Confidential Ledger. Since the api-version 2026-02-23 Azure exports its files, with
// the service's certificate, instead of backing them up. No service reads an export: it is a copy. Before, a backup could
// be restored.
func ConfidentialLedger() azure.Service {
	s := azure.Service{
		Service: backup.Service{
			Type: "Microsoft.ConfidentialLedger/ledgers", Title: "Confidential Ledger",
			Name: name, NameRule: nameRule, Usual: usual,
			NotIncluded: []string{
				"a way back: Azure restores no ledger from exported files",
				"transactions that were not committed when the files were copied",
				"the ledger's users and roles, and the settings of the resource",
			},
			ArtifactNames: artifactNames, Shares: true, Contains: true,
			CopyOnly: exports,
			Block: &backup.Block{Field: field, Schema: schema, Default: defaults, Check: func(blocks backup.Blocks, _ backup.Resource) (string, error) {
				return checkBlock(blocks, "")
			}},
			Grants: roles(
				backup.Grant{
					Role: role("Lifeboat Ledger Backup", "ledgers", "filesExport"), On: backup.OnService, For: "makes backups",
					If: exports, When: "without a `ccf.apiVersion` before " + exportsSince,
				},
				backup.Grant{
					Role: role("Lifeboat Ledger Backup before "+exportsSince, "ledgers", "backup"), On: backup.OnService, For: "makes backups",
					If: backsUp, When: before,
				},
				backup.Grant{
					Role: role("Lifeboat Ledger Restore", "ledgers", "restore"), On: backup.OnGroup, For: "restores", Restores: true,
					If: backsUp, When: before,
				},
			),
			Restore: recreated(backup.SafetyOptional),
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, _ float64) backup.Provider {
			return New(cred, opts)
		},
	}
	s.Restore.NotRestorable = "Azure restores no Confidential Ledger from exported files, and restores none since the api-version " +
		exportsSince
	return s
}
