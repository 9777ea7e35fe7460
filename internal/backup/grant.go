package backup

import "strings"

// Role is a role of Azure, as far as Lifeboat needs it.
type Role struct {
	// Name is the name that Azure shows, unique in a tenant.
	Name string
	// ID is the GUID of a built-in role; "" for a role that people make for Lifeboat, which can do nothing but Actions and DataActions.
	ID string
	// Lifeboat needs Actions and DataActions of the role. A built-in role may have more.
	Actions, DataActions []string
	// Local: it is a role of the service's own access control, such as a Managed HSM's, and not of Resource Manager.
	Local bool
}

// BuiltIn says whether the role is in each tenant from the start.
func (r Role) BuiltIn() bool { return r.ID != "" }

// Place says on which resource a role is given.
type Place int

const (
	// OnService is the service: the target of backups, or the destination of restores.
	OnService Place = iota
	// OnGroup is the resource group of the service. A service that a restore makes anew has no roles of its own before that.
	OnGroup
	// OnSubscription is the subscription of the service.
	OnSubscription
	// OnContainer is the container for the backups.
	OnContainer
	// OnManifests is the container for the manifests of artifacts that stand in no container.
	OnManifests
	// OnAccount is the account for the backups.
	OnAccount
)

// Words name the place for people.
func (p Place) Words() string {
	return [...]string{
		"the service", "the group of the service", "the subscription of the service", "the container",
		"the container `" + ManifestFolder + "`", "the account",
	}[p]
}

// Identity says whom a role is given to.
type Identity string

const (
	// TheApp is the identity that Lifeboat acts as.
	TheApp Identity = ""
	// SystemAssigned is the service's own identity.
	SystemAssigned Identity = "system"
	// UserAssigned is the one that people gave to the service. Any other Identity is the client ID of such a one.
	UserAssigned Identity = "user"
)

// Grant is a role that an identity needs.
type Grant struct {
	Role Role
	On   Place
	// For says what the role is for: "makes backups".
	For string
	// Writer returns the service's identity that the role is for, by the plan's blocks; nil: it is for the app.
	Writer func(Blocks) Identity
	// Version is the api-version in which Resource Manager shows the service and that identity, or the resource that a role lets be seen.
	Version string
	// If says whether a plan with these blocks needs it, and When says so in words: "with `identity: accessKey`". Nil: each does.
	If   func(Blocks) bool
	When string
	// Restores: only destinations of restores need it.
	Restores bool
	// Optional: backups and restores succeed without it, and Lifeboat sees less.
	Optional bool
	// Vault is the role in its place where the storage is a vault: it adds blobs, and neither changes nor deletes any. Nil: there is none.
	Vault *Role
}

// InVault returns the grant as it is for storage that is a vault.
func (g Grant) InVault() Grant {
	if g.Vault != nil {
		g.For, g.When, g.Role = "in a vault, in place of "+g.Role.Name, "", *g.Vault
	}
	return g
}

// Vaults says whether the artifacts of the service can stand in a vault, with these blocks: each role on storage that its backups need has
// one in its place that only adds.
func (s Service) Vaults(b Blocks) bool {
	for _, g := range s.Grants {
		stored := g.On == OnContainer || g.On == OnManifests || g.On == OnAccount && !g.Optional
		if stored && g.Vault == nil && (g.If == nil || g.If(b)) {
			return false
		}
	}
	return true
}

// IdentityWords name the identity for people.
func (g Grant) IdentityWords() string {
	words := "the app"
	if g.Writer != nil {
		words = "the service itself"
	}
	if g.When != "" {
		words += ", " + g.When
	}
	return words
}

// PlaceWords name the place for people.
func (g Grant) PlaceWords() string {
	words := g.On.Words()
	if g.Restores {
		words = strings.Replace(words, "the service", "each destination", 1)
	}
	if g.Role.Local {
		words += ", in its own access control at `/`"
	}
	return words
}

// PurposeWords say what the role is for.
func (g Grant) PurposeWords() string {
	if g.Optional {
		return "optional: " + g.For
	}
	return g.For
}

// These are Azure's built-in roles for storage, with what Lifeboat needs of them. Source: Azure's list of built-in roles.
var (
	BlobDataContributor = Role{
		Name: "Storage Blob Data Contributor", ID: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
		DataActions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
		},
	}
	// VaultWriter adds blobs, and sees the policy of their container. Azure has no built-in role that can do that and cannot change or delete
	// what is there. Whether it is enough for a service's backup is an open question (docs/design.md).
	VaultWriter = Role{
		Name:    "Lifeboat Vault Writer",
		Actions: []string{"Microsoft.Storage/storageAccounts/blobServices/containers/read"},
		DataActions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
		},
	}
	// AccountKeyReader reads the keys of an account, and cannot make new ones.
	AccountKeyReader = Role{
		Name: "Reader and Data Access", ID: "c12c1c16-33a1-487b-954d-41c89c60f349",
		Actions: []string{"Microsoft.Storage/storageAccounts/listKeys/action"},
	}
	AccountReader = Role{
		Name: "Reader", ID: readerID,
		Actions: []string{
			"Microsoft.Storage/storageAccounts/read",
			"Microsoft.Storage/storageAccounts/blobServices/containers/read",
			"Microsoft.Authorization/roleAssignments/read",
		},
	}
)

const readerID = "acdd72a7-3385-48ef-bd42-f606fba81ae7"

// ReaderOf is the built-in role Reader, for the one action.
func ReaderOf(action string) Role {
	return Role{Name: "Reader", ID: readerID, Actions: []string{action}}
}

// ReaderOfAll is the built-in role Reader, for all resources of the types, and the identity's own permissions.
func ReaderOfAll(types []string) Role {
	r := ReaderOf("Microsoft.Authorization/permissions/read")
	for _, one := range types {
		r.Actions = append(r.Actions, one+"/read")
	}
	return r
}

// SeesAccount is the grant with which the preflight sees the account for the backups.
func SeesAccount() Grant {
	return Grant{
		Role: AccountReader, On: OnAccount, For: "sees a firewall, rules and roles that would fail a backup", Optional: true, Version: "2024-01-01",
	}
}
