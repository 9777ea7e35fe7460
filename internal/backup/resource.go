package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// notIncluded are what backups of a type of resource, in lower case, do not contain. API Management: Azure's
// documentation of its backup and restore. Managed HSM: a backup holds all keys, versions, attributes, tags and local role
// assignments, says the documentation, and a restore needs the same security domain. Managed CCF and Confidential Ledger:
// ledger files and snapshots, and of an export the service's certificate.
var notIncluded = map[string][]string{
	"microsoft.apimanagement/service": {
		"usage data for analytics",
		"custom domain TLS certificates",
		"custom CA certificates",
		"virtual network settings",
		"managed identity configuration",
		"Azure Monitor diagnostics settings",
		"protocol and cipher settings",
		"developer portal content",
	},
	ManagedHSM: {
		"the security domain, without which no backup can be restored",
		"network settings, private endpoints and diagnostics settings",
		"the managed identity that the HSM reaches storage with",
	},
	ManagedCCF: {
		"transactions that were not committed when the backup was made",
		"private keys of members and users",
		"role assignments, locks, tags and diagnostics settings of the resource",
	},
	ConfidentialLedger: {
		"a way back: Azure restores no ledger from exported files",
		"transactions that were not committed when the files were copied",
		"the ledger's users and roles, and the settings of the resource",
	},
}

// NotIncluded lists what a backup of the target does not contain, in words for people: after a restore it has to come
// from elsewhere. It is empty for what Lifeboat does not back up.
func NotIncluded(target string) []string {
	r, err := ParseResource(target)
	if err != nil {
		return nil
	}
	return notIncluded[strings.ToLower(r.Type)]
}

// Resource is an Azure resource ID taken apart.
type Resource struct {
	// Subscription is a UUID.
	Subscription, Group, Name string
	// Type such as "Microsoft.ApiManagement/service", as it was written; compare without regard to case.
	Type string
}

// ParseResource takes a full resource ID apart:
// /subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}.
func ParseResource(id string) (Resource, error) {
	p := strings.Split(id, "/")
	if len(p) != 9 || p[0] != "" || !strings.EqualFold(p[1], "subscriptions") ||
		!strings.EqualFold(p[3], "resourceGroups") || !strings.EqualFold(p[5], "providers") {
		return Resource{}, fmt.Errorf("%q is not a resource ID of the form "+
			"/subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}", id)
	}
	for _, part := range p[1:] {
		if part == "" || strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || strings.ContainsRune(`\#?%'"`, c) }) {
			return Resource{}, fmt.Errorf("%q is not a resource ID: the part %q is empty or has a character not allowed", id, part)
		}
	}
	if !isUUID(p[2]) {
		return Resource{}, fmt.Errorf("%q is not a resource ID: the subscription %q is not a UUID", id, p[2])
	}
	return Resource{Subscription: p[2], Group: p[4], Type: p[6] + "/" + p[7], Name: p[8]}, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range strings.ToLower(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

// Digest is the first n hex digits of the SHA-256 of s.
func Digest(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}

// Same says whether the resource IDs are of one resource, as partition does. [strings.EqualFold] takes more letters for
// equal, such as ſ and s: what a plan allows by one name would be locked under another.
func Same(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b
}

// services are the types of resource that Lifeboat backs up, in lower case, with how long the service can restore what
// it wrote. API Management: 30 days, then "Cannot restore: backup expired" (Azure's documentation of its disaster
// recovery). Managed HSM: no end is documented; what a backup depends on is the security domain. Managed CCF: files older
// than 90 days are not restored (Azure's documentation of its backup). Confidential Ledger: nothing is restored, however
// young; see [Settings.CopyOnly].
var services = map[string]time.Duration{
	"microsoft.apimanagement/service": 30 * 24 * time.Hour,
	ManagedHSM:                        0,
	ManagedCCF:                        90 * 24 * time.Hour,
	ConfidentialLedger:                0,
}

// The types of the services that differ from others, in lower case.
const (
	ManagedHSM         = "microsoft.keyvault/managedhsms"
	ManagedCCF         = "microsoft.confidentialledger/managedccfs"
	ConfidentialLedger = "microsoft.confidentialledger/ledgers"
)

// ArtifactNames says what Azure calls what it writes of the target: the kind of thing, where it is, and the name that a time
// is added to, all in lower case. It is "" where Lifeboat gives each artifact a name of its own. A Managed HSM makes the folder
// mhsm-{name}-{time} in the container, a Managed CCF or Confidential Ledger the share {name}-{time} in the account.
func (s Storage) ArtifactNames(target string) string {
	r, err := ParseResource(target)
	if err != nil {
		return ""
	}
	switch strings.ToLower(r.Type) {
	case ManagedHSM:
		return strings.ToLower("folder " + s.AccountName() + "/" + s.Container + "/mhsm-" + r.Name)
	case ManagedCCF, ConfidentialLedger:
		return strings.ToLower("share " + s.AccountName() + "/" + r.Name)
	}
	return ""
}

// usual is how long a backup of the service takes at the most, as a rule. API Management: "up to 30 or more minutes" (Azure's
// documentation of its disaster recovery); 2 to 16 were recorded of small ones. Little was recorded of the others; theirs
// are on the long side.
var usual = map[string]time.Duration{
	"microsoft.apimanagement/service": 30 * time.Minute,
	ManagedHSM:                        5 * time.Minute,
	ManagedCCF:                        5 * time.Minute,
	ConfidentialLedger:                5 * time.Minute,
}

// Usual is how long a backup of this resource type takes at the most, as a rule; 0 if Lifeboat does not back such resources up.
func Usual(resourceType string) time.Duration { return usual[strings.ToLower(resourceType)] }

// Access is whom the target acts as towards the storage account.
func (s Settings) Access(target string) string {
	if r, err := ParseResource(target); err == nil && strings.EqualFold(r.Type, ManagedHSM) {
		return s.HSMAccess
	}
	return s.Identity
}

// NoLedgerRestoreSince is the first api-version in which a Confidential Ledger is exported instead of backed up, and without
// any restore of one (the specification of Microsoft.ConfidentialLedger, 2026-02-23).
const NoLedgerRestoreSince = "2026-02-23"

// CopyOnly says that Azure can never restore what is written of the target: no service reads what is exported of a
// Confidential Ledger.
func (s Settings) CopyOnly(target string) bool {
	return isLedger(target) && (s.CCF.APIVersion == "" || s.CCF.APIVersion >= NoLedgerRestoreSince)
}

func isLedger(target string) bool {
	r, err := ParseResource(target)
	return err == nil && strings.EqualFold(r.Type, ConfidentialLedger)
}

// Horizon is how long the service of this resource type can restore one of its backups; 0 where that does not depend on its
// age; false if Lifeboat does not back such resources up.
func Horizon(resourceType string) (time.Duration, bool) {
	h, ok := services[strings.ToLower(resourceType)]
	return h, ok
}
