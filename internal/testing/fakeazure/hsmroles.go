package fakeazure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// HSMRole is the ID of a role definition of Managed HSM's own access control. Roles of Resource Manager grant nothing on an
// HSM's keys, backups and restores.
type HSMRole string

// These are built-in roles.
const (
	ManagedHSMAdministrator       HSMRole = "a290e904-7015-4bba-90c8-60543313cdb4"
	ManagedHSMPolicyAdministrator HSMRole = "4bd23610-cdcf-4971-bdee-bdc562cc28e4"
	ManagedHSMBackup              HSMRole = "7b127d3c-77bd-4e3e-bbe0-dbb8971fa7f8"
	ManagedHSMRestore             HSMRole = "6efe6056-5259-49d2-8b3d-d3d73544b20b"
	ManagedHSMCryptoOfficer       HSMRole = "515eb02d-2335-4d2d-92f2-b1cbdf9c3778"
	ManagedHSMCryptoUser          HSMRole = "21dbd100-6940-42c2-9190-5d6cb909625b"
)

// These are the data actions that the simulator checks.
const (
	hsmActions        = "Microsoft.KeyVault/managedHsm"
	startBackup       = hsmActions + "/backup/start/action"
	backupStatus      = hsmActions + "/backup/status/action"
	startRestore      = hsmActions + "/restore/start/action"
	restoreStatus     = hsmActions + "/restore/status/action"
	createKey         = hsmActions + "/keys/create"
	readKey           = hsmActions + "/keys/read/action"
	deleteKey         = hsmActions + "/keys/delete"
	readDeletedKey    = hsmActions + "/keys/deletedKeys/read/action"
	recoverDeletedKey = hsmActions + "/keys/deletedKeys/recover/action"
	purgeDeletedKey   = hsmActions + "/keys/deletedKeys/delete"
	readHSMRole       = hsmActions + "/roleDefinitions/read/action"
	readHSMGrant      = hsmActions + "/roleAssignments/read/action"
	writeHSMGrant     = hsmActions + "/roleAssignments/write/action"
	deleteHSMGrant    = hsmActions + "/roleAssignments/delete/action"
	downloadDomain    = hsmActions + "/securitydomain/download/action"
	readDownload      = hsmActions + "/securitydomain/download/read"
	uploadDomain      = hsmActions + "/securitydomain/upload/action"
	readUpload        = hsmActions + "/securitydomain/upload/read"
	readTransferKey   = hsmActions + "/securitydomain/transferkey/read"
)

// hsmRoleNames are the names of the roles.
var hsmRoleNames = map[HSMRole]string{
	ManagedHSMAdministrator: "Managed HSM Administrator", ManagedHSMPolicyAdministrator: "Managed HSM Policy Administrator",
	ManagedHSMBackup: "Managed HSM Backup", ManagedHSMRestore: "Managed HSM Restore",
	ManagedHSMCryptoOfficer: "Managed HSM Crypto Officer", ManagedHSMCryptoUser: "Managed HSM Crypto User",
}

var hsmRoles = map[HSMRole][]string{
	ManagedHSMAdministrator: {
		startBackup, backupStatus, startRestore, restoreStatus, readHSMRole, readHSMGrant, writeHSMGrant, deleteHSMGrant,
		downloadDomain, readDownload, uploadDomain, readUpload, readTransferKey,
	},
	ManagedHSMPolicyAdministrator: {readHSMRole, readHSMGrant, writeHSMGrant, deleteHSMGrant},
	ManagedHSMBackup:              {startBackup, backupStatus},
	ManagedHSMRestore:             {startRestore, restoreStatus},
	ManagedHSMCryptoOfficer:       {readDeletedKey, recoverDeletedKey, purgeDeletedKey},
	ManagedHSMCryptoUser:          {createKey, readKey, deleteKey, readDeletedKey},
}

// hsmAssignment is a role assignment of an HSM. An empty Scope is "/", and an empty Name was never given: see id.
type hsmAssignment struct {
	PrincipalID string  `json:"principalId"`
	Role        HSMRole `json:"roleDefinitionId"`
	Scope       string  `json:"scope,omitempty"`
	Name        string  `json:"name,omitempty"`
}

func (a hsmAssignment) scope() string { return cmp.Or(a.Scope, "/") }

// id returns the assignment's name: a GUID.
func (a hsmAssignment) id() string {
	if a.Name != "" {
		return a.Name
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(a.PrincipalID+" "+string(a.Role)+" "+a.scope())).String()
}

// same tells whether both give the same role to the same identity at the same scope.
func (a hsmAssignment) same(b hsmAssignment) bool {
	return strings.EqualFold(a.PrincipalID, b.PrincipalID) && a.Role == b.Role && a.scope() == b.scope()
}

// HSMAssignments returns the role assignments of an identity on an HSM, in the order in which they were made. A full restore
// replaces all.
func (s *Sim) HSMAssignments(resourceID, objectID string) (all []Assignment, err error) {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return nil, fmt.Errorf("role assignments: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	for _, a := range h.vault.Assignments {
		if strings.EqualFold(a.PrincipalID, objectID) {
			all = append(all, Assignment{a.id(), a.PrincipalID, a.scope(), string(a.Role)})
		}
	}
	return all, nil
}

// AssignHSM gives the identity with this object ID roles on an HSM, at scope "/". They are valid at once. A full restore
// replaces all assignments by the assignments in the backup.
func (s *Sim) AssignHSM(resourceID, objectID string, roles ...HSMRole) error {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return fmt.Errorf("assign role: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	for _, role := range roles {
		if _, ok := hsmRoles[role]; !ok {
			return fmt.Errorf("assign role: Managed HSM has no role %s", role)
		}
		given := hsmAssignment{PrincipalID: objectID, Role: role}
		if !slices.ContainsFunc(h.vault.Assignments, given.same) {
			h.vault.Assignments = append(h.vault.Assignments, given)
		}
	}
	return nil
}

// UnassignHSM removes roles of the identity on an HSM, at every scope: only those named, or all if none is.
func (s *Sim) UnassignHSM(resourceID, objectID string, only ...HSMRole) error {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return fmt.Errorf("take role away: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	h.vault.Assignments = slices.DeleteFunc(slices.Clone(h.vault.Assignments), func(a hsmAssignment) bool {
		return strings.EqualFold(a.PrincipalID, objectID) && (len(only) == 0 || slices.Contains(only, a.Role))
	})
	return nil
}

// allows tells whether the vault's role assignments grant the action at the scope.
func (v vault) allows(objectID, action, scope string) bool {
	return slices.ContainsFunc(v.Assignments, func(a hsmAssignment) bool {
		return strings.EqualFold(a.PrincipalID, objectID) && slices.Contains(hsmRoles[a.Role], action) && within(scope, a.scope())
	})
}
