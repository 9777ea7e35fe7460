package fakeazure

import (
	"slices"
	"strings"
	"sync"
)

// Role is a role definition, built-in or custom. Actions holds actions and data actions alike, with "*" for any text;
// the simulator does not tell the two apart.
type Role struct {
	Name    string
	Actions []string
}

// These are Azure's built-in roles, as far as the simulator checks their actions.
var (
	// APIManagementServiceOperator is role e022efe7-f5ba-4159-bbe4-b44f577e9b61.
	APIManagementServiceOperator = Role{"API Management Service Operator Role", []string{
		"Microsoft.ApiManagement/service/*/read",
		"Microsoft.ApiManagement/service/read",
		"Microsoft.ApiManagement/service/backup/action",
		"Microsoft.ApiManagement/service/restore/action",
		"Microsoft.ApiManagement/service/delete",
		readGroup,
	}}
	// APIManagementServiceContributor is role 312a565d-c81f-4fd8-895a-4e21e48d571c: it can change the configuration too.
	APIManagementServiceContributor = Role{"API Management Service Contributor", []string{
		"Microsoft.ApiManagement/service/*",
		readGroup,
	}}
	// Reader is role acdd72a7-3385-48ef-bd42-f606fba81ae7: it reads resources, and no data.
	Reader = Role{"Reader", []string{
		"Microsoft.ApiManagement/service/*/read",
		"Microsoft.ApiManagement/service/read",
		"Microsoft.ConfidentialLedger/ledgers/read",
		"Microsoft.ConfidentialLedger/managedCCFs/read",
		"Microsoft.KeyVault/managedHSMs/read",
		readActivity,
		readGroup,
		"Microsoft.Storage/storageAccounts/read",
		"Microsoft.Storage/storageAccounts/blobServices/read",
		fileServices + "/shares/read",
	}}
	// LedgerOperator is a custom role: there is no built-in one between Reader and Contributor. The names of the actions
	// follow from the API's description; no list of them is public.
	LedgerOperator = Role{"Ledger Operator", []string{
		"Microsoft.ConfidentialLedger/ledgers/read",
		"Microsoft.ConfidentialLedger/ledgers/backup/action",
		"Microsoft.ConfidentialLedger/ledgers/filesExport/action",
		"Microsoft.ConfidentialLedger/ledgers/restore/action",
		"Microsoft.ConfidentialLedger/ledgers/delete",
		"Microsoft.ConfidentialLedger/managedCCFs/read",
		"Microsoft.ConfidentialLedger/managedCCFs/backup/action",
		"Microsoft.ConfidentialLedger/managedCCFs/restore/action",
		"Microsoft.ConfidentialLedger/managedCCFs/delete",
	}}
	// StorageAccountKeyOperator is role 81a9662b-bebf-436f-a333-f67b29880f12.
	StorageAccountKeyOperator = Role{"Storage Account Key Operator Service Role", []string{
		"Microsoft.Storage/storageAccounts/listkeys/action",
		"Microsoft.Storage/storageAccounts/regeneratekey/action",
	}}
	// StorageBlobDataContributor reads, writes and deletes containers and blobs.
	StorageBlobDataContributor = Role{"Storage Blob Data Contributor", []string{
		blobServices + "/containers/read",
		blobServices + "/containers/write",
		blobServices + "/containers/delete",
		blobServices + "/generateUserDelegationKey/action",
		blobServices + "/containers/blobs/*",
	}}
	// StorageBlobDataReader reads and lists containers and blobs.
	StorageBlobDataReader = Role{"Storage Blob Data Reader", []string{
		blobServices + "/containers/read",
		blobServices + "/generateUserDelegationKey/action",
		blobServices + "/containers/blobs/read",
	}}
	// StorageFileDataPrivilegedContributor is role 69566ab7-960f-475b-8e7c-b3118f30c6bd: it reads, writes and deletes
	// directories and files whatever their own permissions say, and no shares.
	StorageFileDataPrivilegedContributor = Role{"Storage File Data Privileged Contributor", []string{
		fileServices + "/fileshares/files/read",
		fileServices + "/fileshares/files/write",
		fileServices + "/fileshares/files/delete",
		fileServices + "/readFileBackupSemantics/action",
		fileServices + "/writeFileBackupSemantics/action",
	}}
	// StorageQueueDataContributor reads, writes and deletes queues and messages.
	StorageQueueDataContributor = Role{"Storage Queue Data Contributor", []string{
		queueServices + "/queues/read",
		queueServices + "/queues/write",
		queueServices + "/queues/delete",
		queueServices + "/queues/messages/*",
	}}
	// StorageQueueDataMessageSender adds messages and nothing else.
	StorageQueueDataMessageSender = Role{"Storage Queue Data Message Sender", []string{
		queueServices + "/queues/messages/add/action",
	}}
	// StorageTableDataReader reads tables and entities.
	StorageTableDataReader = Role{"Storage Table Data Reader", []string{
		tableServices + "/tables/read",
		tableServices + "/tables/entities/read",
	}}
	// StorageTableDataContributor reads, writes and deletes tables and entities.
	StorageTableDataContributor = Role{"Storage Table Data Contributor", []string{
		tableServices + "/tables/read",
		tableServices + "/tables/write",
		tableServices + "/tables/delete",
		tableServices + "/tables/entities/*",
	}}
)

// roles holds the role assignments.
type roles struct {
	mu          sync.RWMutex
	assignments []assignment
}

type assignment struct {
	objectID, scope string
	role            Role
}

// Assign gives the identity with this object ID roles at a scope: a resource ID, or the ID of a group, subscription or child
// above or below it. They are valid at once; in Azure it may take minutes.
func (s *Sim) Assign(objectID, scope string, roles ...Role) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	for _, role := range roles {
		s.roles.assignments = append(s.roles.assignments, assignment{objectID, scope, role})
	}
}

// Unassign removes every role that the identity was given at exactly this scope.
func (s *Sim) Unassign(objectID, scope string) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	var rest []assignment
	for _, a := range s.roles.assignments {
		if a.objectID != objectID || !strings.EqualFold(a.scope, scope) {
			rest = append(rest, a)
		}
	}
	s.roles.assignments = rest
}

// allow tells whether a role at the scope or above grants the action.
func (r *roles) allow(objectID, scope, action string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, a := range r.assignments {
		if a.objectID == objectID && within(scope, a.scope) && a.role.grants(action) {
			return true
		}
	}
	return false
}

// any tells whether the identity has a role at the scope, above or below it.
func (r *roles) any(objectID, scope string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(r.assignments, func(a assignment) bool {
		return a.objectID == objectID && (within(scope, a.scope) || within(a.scope, scope))
	})
}

// within tells whether the scope is the ancestor or below it.
func within(scope, ancestor string) bool {
	scope, ancestor = strings.ToLower(scope), strings.ToLower(strings.TrimRight(ancestor, "/"))
	rest, ok := strings.CutPrefix(scope, ancestor)
	return ok && (rest == "" || rest[0] == '/')
}

func (r Role) grants(action string) bool {
	for _, pattern := range r.Actions {
		if matches(strings.ToLower(pattern), strings.ToLower(action)) {
			return true
		}
	}
	return false
}

// matches compares text with a pattern in which "*" stands for any text, slashes included.
func matches(pattern, text string) bool {
	head, tail, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, head)
	for ; ok && !matches(tail, rest); rest = rest[1:] {
		if rest == "" {
			return false
		}
	}
	return ok
}
