package fakeazure

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Role is a role definition, built-in or custom; "*" in an action stands for any text. Azure evaluates actions and data actions
// apart: "*" in Actions grants no data action.
type Role struct {
	// ID is the GUID of the definition. A Role without one gets an ID of its content when it is assigned.
	ID, Name                                         string
	Actions, NotActions, DataActions, NotDataActions []string
}

// readAccess is in most built-in roles.
const readAccess = "Microsoft.Authorization/*/read"

// These are Azure's built-in roles, as far as the simulator checks their actions.
var (
	// Owner may do everything but read and write data.
	Owner = Role{ID: "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", Name: "Owner", Actions: []string{"*"}}
	// Contributor may do everything but grant roles, and read and write data.
	Contributor = Role{
		ID: "b24988ac-6180-42a0-ab88-20f7382dd24c", Name: "Contributor", Actions: []string{"*"}, NotActions: []string{
			"Microsoft.Authorization/*/Delete",
			"Microsoft.Authorization/*/Write",
			"Microsoft.Authorization/elevateAccess/Action",
		},
	}
	// UserAccessAdministrator grants roles, and defines them.
	UserAccessAdministrator = Role{ID: "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", Name: "User Access Administrator", Actions: []string{
		"*/read",
		"Microsoft.Authorization/*",
	}}
	// RoleBasedAccessControlAdministrator grants roles, and defines none.
	RoleBasedAccessControlAdministrator = Role{
		ID: "f58310d9-a9f6-439a-9e8d-f62e7b41a168", Name: "Role Based Access Control Administrator", Actions: []string{
			"Microsoft.Authorization/roleAssignments/write",
			"Microsoft.Authorization/roleAssignments/delete",
			"*/read",
		},
	}
	// APIManagementServiceOperator may delete a service too.
	APIManagementServiceOperator = Role{
		ID: "e022efe7-f5ba-4159-bbe4-b44f577e9b61", Name: "API Management Service Operator Role", Actions: []string{
			"Microsoft.ApiManagement/service/*/read",
			"Microsoft.ApiManagement/service/read",
			"Microsoft.ApiManagement/service/backup/action",
			"Microsoft.ApiManagement/service/restore/action",
			"Microsoft.ApiManagement/service/delete",
			readAccess,
			readGroup,
		},
	}
	// APIManagementServiceContributor can change the configuration too.
	APIManagementServiceContributor = Role{
		ID: "312a565d-c81f-4fd8-895a-4e21e48d571c", Name: "API Management Service Contributor", Actions: []string{
			"Microsoft.ApiManagement/service/*",
			readAccess,
			readGroup,
		},
	}
	// Reader reads resources, and no data. Azure's has "*/read". This one lacks the names of containers, because a call to the
	// data reads them with the same action, and it is not known whether that is enough.
	Reader = Role{ID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Name: "Reader", Actions: []string{
		"Microsoft.ApiManagement/service/*/read",
		"Microsoft.ApiManagement/service/read",
		"Microsoft.ConfidentialLedger/ledgers/read",
		"Microsoft.ConfidentialLedger/managedCCFs/read",
		"Microsoft.KeyVault/managedHSMs/read",
		"Microsoft.ManagedIdentity/userAssignedIdentities/read",
		readAccess,
		readActivity,
		readGroup,
		"Microsoft.Resources/subscriptions/read",
		"Microsoft.Storage/storageAccounts/read",
		"Microsoft.Storage/storageAccounts/blobServices/read",
		fileServices + "/shares/read",
	}}
	// ManagedIdentityOperator reads identities, and attaches them.
	ManagedIdentityOperator = Role{
		ID: "f1a07417-d97a-45cb-824c-7a7467783830", Name: "Managed Identity Operator", Actions: []string{
			"Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
			readAccess,
			readGroup,
		},
	}
	// MonitoringMetricsPublisher sends telemetry.
	MonitoringMetricsPublisher = Role{
		ID: "3913510d-42f4-4e42-8a64-420c390055eb", Name: "Monitoring Metrics Publisher", Actions: []string{
			"Microsoft.Insights/Register/Action",
			readGroup,
		},
		DataActions: []string{"Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"},
	}
	// EventGridDataSender sends events to a topic.
	EventGridDataSender = Role{
		ID: "d5a91429-5739-47e2-a06b-3470a27159e7", Name: "EventGrid Data Sender", Actions: []string{
			readAccess,
			"Microsoft.EventGrid/topics/read",
			"Microsoft.EventGrid/domains/read",
			"Microsoft.EventGrid/partnerNamespaces/read",
			readGroup,
			"Microsoft.EventGrid/namespaces/read",
		},
		DataActions: []string{"Microsoft.EventGrid/events/send/action"},
	}
	// LedgerOperator is a custom role: there is no built-in one between Reader and Contributor. The names of the actions
	// follow from the API's description; no list of them is public.
	LedgerOperator = Role{Name: "Ledger Operator", Actions: []string{
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
	// StorageAccountKeyOperator reads an account's keys, and makes new ones.
	StorageAccountKeyOperator = Role{
		ID: "81a9662b-bebf-436f-a333-f67b29880f12", Name: "Storage Account Key Operator Service Role", Actions: []string{
			"Microsoft.Storage/storageAccounts/listkeys/action",
			"Microsoft.Storage/storageAccounts/regeneratekey/action",
		},
	}
	// ReaderAndDataAccess reads an account and its keys, and cannot make new ones.
	ReaderAndDataAccess = Role{ID: "c12c1c16-33a1-487b-954d-41c89c60f349", Name: "Reader and Data Access", Actions: []string{
		"Microsoft.Storage/storageAccounts/listKeys/action",
		"Microsoft.Storage/storageAccounts/ListAccountSas/action",
		"Microsoft.Storage/storageAccounts/read",
	}}
	// StorageAccountContributor manages accounts, keys included.
	StorageAccountContributor = Role{
		ID: "17d1049b-9a84-46fb-8f53-869881c3d3ab", Name: "Storage Account Contributor", Actions: []string{
			readAccess,
			readGroup,
			"Microsoft.Storage/storageAccounts/*",
		},
	}
	// StorageBlobDataOwner reads, writes and deletes containers and blobs.
	StorageBlobDataOwner = Role{
		ID: "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", Name: "Storage Blob Data Owner", Actions: []string{
			blobServices + "/containers/*",
			blobServices + "/generateUserDelegationKey/action",
		},
		DataActions: []string{blobServices + "/containers/blobs/*"},
	}
	// StorageBlobDataContributor reads, writes and deletes containers and blobs.
	StorageBlobDataContributor = Role{
		ID: "ba92f5b4-2d11-453d-a403-e96b0029c9fe", Name: "Storage Blob Data Contributor", Actions: []string{
			blobServices + "/containers/delete",
			blobServices + "/containers/read",
			blobServices + "/containers/write",
			blobServices + "/generateUserDelegationKey/action",
		},
		DataActions: []string{
			blobServices + "/containers/blobs/delete",
			blobServices + "/containers/blobs/read",
			blobServices + "/containers/blobs/write",
			blobServices + "/containers/blobs/move/action",
			blobServices + "/containers/blobs/add/action",
		},
	}
	// StorageBlobDataReader reads and lists containers and blobs.
	StorageBlobDataReader = Role{
		ID: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", Name: "Storage Blob Data Reader", Actions: []string{
			blobServices + "/containers/read",
			blobServices + "/generateUserDelegationKey/action",
		},
		DataActions: []string{blobServices + "/containers/blobs/read"},
	}
	// StorageBlobDelegator gets user delegation keys.
	StorageBlobDelegator = Role{
		ID: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a", Name: "Storage Blob Delegator", Actions: []string{
			blobServices + "/generateUserDelegationKey/action",
		},
	}
	// StorageFileDataPrivilegedContributor reads, writes and deletes directories and files whatever their own permissions say,
	// and no shares.
	StorageFileDataPrivilegedContributor = Role{
		ID: "69566ab7-960f-475b-8e7c-b3118f30c6bd", Name: "Storage File Data Privileged Contributor", DataActions: []string{
			fileServices + "/fileshares/files/read",
			fileServices + "/fileshares/files/write",
			fileServices + "/fileshares/files/delete",
			fileServices + "/readFileBackupSemantics/action",
			fileServices + "/writeFileBackupSemantics/action",
		},
	}
	// StorageFileDataPrivilegedReader reads directories and files whatever their own permissions say, and no shares.
	StorageFileDataPrivilegedReader = Role{
		ID: "b8eda974-7b85-4f76-af95-65846b26df6d", Name: "Storage File Data Privileged Reader", DataActions: []string{
			fileServices + "/fileshares/files/read",
			fileServices + "/readFileBackupSemantics/action",
		},
	}
	// StorageQueueDataContributor reads, writes and deletes queues and messages.
	StorageQueueDataContributor = Role{
		ID: "974c5e8b-45b9-4653-ba55-5f855dd0fb88", Name: "Storage Queue Data Contributor", Actions: []string{
			queueServices + "/queues/delete",
			queueServices + "/queues/read",
			queueServices + "/queues/write",
		},
		DataActions: []string{queueServices + "/queues/messages/*"},
	}
	// StorageQueueDataReader peeks at messages.
	StorageQueueDataReader = Role{
		ID: "19e7f393-937e-4f77-808e-94535e297925", Name: "Storage Queue Data Reader", Actions: []string{queueServices + "/queues/read"},
		DataActions: []string{queueServices + "/queues/messages/read"},
	}
	// StorageQueueDataMessageProcessor peeks at messages, gets and deletes them.
	StorageQueueDataMessageProcessor = Role{
		ID: "8a0f0c08-91a1-4084-bc3d-661d67233fed", Name: "Storage Queue Data Message Processor", DataActions: []string{
			queueServices + "/queues/messages/read",
			queueServices + "/queues/messages/process/action",
		},
	}
	// StorageQueueDataMessageSender adds messages and nothing else.
	StorageQueueDataMessageSender = Role{
		ID: "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a", Name: "Storage Queue Data Message Sender", DataActions: []string{
			queueServices + "/queues/messages/add/action",
		},
	}
	// StorageTableDataReader reads tables and entities.
	StorageTableDataReader = Role{
		ID: "76199698-9eea-4c19-bc75-cec21354c6b6", Name: "Storage Table Data Reader", Actions: []string{tableServices + "/tables/read"},
		DataActions: []string{tableServices + "/tables/entities/read"},
	}
	// StorageTableDataContributor reads, writes and deletes tables and entities.
	StorageTableDataContributor = Role{
		ID: "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", Name: "Storage Table Data Contributor", Actions: []string{
			tableServices + "/tables/read",
			tableServices + "/tables/write",
			tableServices + "/tables/delete",
		},
		DataActions: []string{tableServices + "/tables/entities/*"},
	}
)

// builtInRoles are the roles that every tenant has.
var builtInRoles = []Role{
	Owner, Contributor, UserAccessAdministrator, RoleBasedAccessControlAdministrator, APIManagementServiceOperator,
	APIManagementServiceContributor, Reader, ManagedIdentityOperator, MonitoringMetricsPublisher, EventGridDataSender,
	StorageAccountKeyOperator, ReaderAndDataAccess, StorageAccountContributor, StorageBlobDataOwner, StorageBlobDataContributor,
	StorageBlobDataReader, StorageBlobDelegator, StorageFileDataPrivilegedContributor, StorageFileDataPrivilegedReader,
	StorageQueueDataContributor, StorageQueueDataReader, StorageQueueDataMessageProcessor, StorageQueueDataMessageSender, StorageTableDataReader,
	StorageTableDataContributor,
}

// dataActions are the beginnings of the data actions that the simulator checks, in lower case; all others are actions. So Azure's
// lists of operations tell them apart: calls to the data of an account need actions for its containers, queues and tables.
var dataActions = []string{
	strings.ToLower(blobServices) + "/containers/blobs/",
	strings.ToLower(queueServices) + "/queues/messages/",
	strings.ToLower(tableServices) + "/tables/entities/",
	strings.ToLower(fileServices) + "/fileshares/",
	strings.ToLower(fileServices) + "/readfilebackupsemantics/",
	strings.ToLower(fileServices) + "/writefilebackupsemantics/",
	"microsoft.eventgrid/events/send/",
	"microsoft.insights/metrics/",
	"microsoft.insights/telemetry/",
	"microsoft.keyvault/managedhsm/", // managedHsm; managedHSMs is the resource
}

func isDataAction(action string) bool {
	action = strings.ToLower(action)
	return slices.ContainsFunc(dataActions, func(start string) bool { return strings.HasPrefix(action, start) })
}

// definition is a role definition as Resource Manager keeps it.
type definition struct {
	Role
	description string
	custom      bool
	// assignable are the scopes at which, and below which, the role can be assigned; "/" is everywhere.
	assignable       []string
	created, updated time.Time
	by               string
}

// assignableAt tells whether the role can be assigned at the scope.
func (d *definition) assignableAt(scope string) bool {
	return slices.ContainsFunc(d.assignable, func(at string) bool { return within(scope, at) })
}

// assignment is a role assignment. Its scope is "" for the whole tenant, and has no final slash.
type assignment struct {
	name, objectID, scope, role string
	principalType, description  string
	created                     time.Time
	by                          string
	// condition is "" for none.
	condition string
}

// roles holds the role definitions, by ID in lower case, and the role assignments: all in their order, and the places of each identity's, by
// its object ID in lower case.
type roles struct {
	mu          sync.RWMutex
	definitions map[string]*definition
	assignments []assignment
	held        map[string][]int
}

func newRoles() *roles {
	r := &roles{definitions: make(map[string]*definition), held: make(map[string][]int)}
	for _, role := range builtInRoles {
		r.define(role, false)
	}
	return r
}

// define adds a role that can be assigned everywhere, unless it is there, and returns its ID. It is called under the lock.
func (r *roles) define(role Role, custom bool) (id string) {
	if role.ID == "" {
		role.ID = uuid.NewSHA1(uuid.NameSpaceOID, encodeJSON(role)).String()
	}
	id = strings.ToLower(role.ID)
	if _, ok := r.definitions[id]; !ok {
		now := time.Now()
		r.definitions[id] = &definition{Role: role, custom: custom, assignable: []string{"/"}, created: now, updated: now}
	}
	return id
}

// Assignment is a role assignment of Resource Manager. Role is the ID of the definition.
type Assignment struct{ Name, ObjectID, Scope, Role string }

// Assignments returns the role assignments of an identity, in the order in which they were made.
func (s *Sim) Assignments(objectID string) (all []Assignment) {
	s.roles.mu.RLock()
	defer s.roles.mu.RUnlock()
	for _, a := range s.roles.assignments {
		if strings.EqualFold(a.objectID, objectID) {
			all = append(all, Assignment{a.name, a.objectID, shownScope(a.scope), a.role})
		}
	}
	return all
}

// Assign gives the identity with this object ID roles at a scope: a resource ID, or the ID of a group, subscription or child
// above or below it. They are valid at once; in Azure it may take minutes.
func (s *Sim) Assign(objectID, scope string, roles ...Role) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	scope = strings.TrimRight(scope, "/")
	for _, role := range roles {
		id := s.roles.define(role, true)
		if s.roles.same(objectID, scope, id) == nil {
			name := uuid.NewSHA1(uuid.NameSpaceOID, []byte(objectID+"\n"+strings.ToLower(scope)+"\n"+id)).String()
			s.roles.add(assignment{
				name: name, objectID: objectID, scope: scope, role: id, principalType: servicePrincipal, created: time.Now(),
			})
		}
	}
}

// add adds an assignment. It is called under the lock.
func (r *roles) add(a assignment) {
	holder := strings.ToLower(a.objectID)
	r.held[holder] = append(r.held[holder], len(r.assignments))
	r.assignments = append(r.assignments, a)
}

// remove removes the assignments that are gone. It is called under the lock.
func (r *roles) remove(gone func(assignment) bool) {
	all := r.assignments
	r.assignments, r.held = nil, make(map[string][]int)
	for _, a := range all {
		if !gone(a) {
			r.add(a)
		}
	}
}

// same returns the assignment of the role to the identity at exactly the scope, nil if there is none. It is called under the lock.
func (r *roles) same(objectID, scope, role string) *assignment {
	for _, i := range r.held[strings.ToLower(objectID)] {
		if a := &r.assignments[i]; strings.EqualFold(a.scope, scope) && a.role == role {
			return a
		}
	}
	return nil
}

// Unassign removes the roles that the identity was given at exactly this scope: only those named, or all if none is.
func (s *Sim) Unassign(objectID, scope string, only ...Role) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	scope = strings.TrimRight(scope, "/")
	named := make([]string, 0, len(only))
	for _, role := range only {
		named = append(named, s.roles.define(role, true))
	}
	s.roles.remove(func(a assignment) bool {
		return strings.EqualFold(a.objectID, objectID) && strings.EqualFold(a.scope, scope) &&
			(len(only) == 0 || slices.Contains(named, a.role))
	})
}

// SetCondition gives the assignment of the role at exactly this scope a condition, or takes it away: "". No condition is evaluated: the role
// permits nothing as long as there is one.
func (s *Sim) SetCondition(objectID, scope string, role Role, condition string) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	if a := s.roles.same(objectID, strings.TrimRight(scope, "/"), s.roles.define(role, true)); a != nil {
		a.condition = condition
	}
}

// allow tells whether a role at the scope or above grants the action, or the data action.
func (r *roles) allow(objectID, scope, action string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, i := range r.held[strings.ToLower(objectID)] {
		if a := r.assignments[i]; within(scope, a.scope) && a.condition == "" && r.definitions[a.role].grants(action) {
			return true
		}
	}
	return false
}

// any tells whether the identity has a role at the scope, above or below it.
func (r *roles) any(objectID, scope string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(r.held[strings.ToLower(objectID)], func(i int) bool {
		at := r.assignments[i].scope
		return within(scope, at) || within(at, scope)
	})
}

// within tells whether the scope is the ancestor or below it.
func within(scope, ancestor string) bool {
	scope, ancestor = strings.ToLower(scope), strings.ToLower(strings.TrimRight(ancestor, "/"))
	rest, ok := strings.CutPrefix(scope, ancestor)
	return ok && (rest == "" || rest[0] == '/')
}

// grants tells whether a single role definition grants the action. Another role may grant what this one excludes.
func (r Role) grants(action string) bool {
	granted, excluded := r.Actions, r.NotActions
	if isDataAction(action) {
		granted, excluded = r.DataActions, r.NotDataActions
	}
	action = strings.ToLower(action)
	covers := func(pattern string) bool { return matches(strings.ToLower(pattern), action) }
	return slices.ContainsFunc(granted, covers) && !slices.ContainsFunc(excluded, covers)
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
