package fakeazure

import (
	"fmt"
	"slices"
)

// HSMRole is the ID of a role definition of Managed HSM's own access control. Roles of Resource Manager grant nothing on an
// HSM's keys, backups and restores.
type HSMRole string

// These are the built-in roles, all at scope "/".
const (
	ManagedHSMAdministrator HSMRole = "a290e904-7015-4bba-90c8-60543313cdb4"
	ManagedHSMBackup        HSMRole = "7b127d3c-77bd-4e3e-bbe0-dbb8971fa7f8"
	ManagedHSMRestore       HSMRole = "6efe6056-5259-49d2-8b3d-d3d73544b20b"
	ManagedHSMCryptoOfficer HSMRole = "515eb02d-2335-4d2d-92f2-b1cbdf9c3778"
	ManagedHSMCryptoUser    HSMRole = "21dbd100-6940-42c2-9190-5d6cb909625b"
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
)

var hsmRoles = map[HSMRole][]string{
	ManagedHSMAdministrator: {startBackup, backupStatus, startRestore, restoreStatus},
	ManagedHSMBackup:        {startBackup, backupStatus},
	ManagedHSMRestore:       {startRestore, restoreStatus},
	ManagedHSMCryptoOfficer: {readDeletedKey, recoverDeletedKey, purgeDeletedKey},
	ManagedHSMCryptoUser:    {createKey, readKey, deleteKey, readDeletedKey},
}

// hsmAssignment is a role assignment at scope "/".
type hsmAssignment struct {
	PrincipalID string  `json:"principalId"`
	Role        HSMRole `json:"roleDefinitionId"`
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
		if given := (hsmAssignment{objectID, role}); !slices.Contains(h.vault.Assignments, given) {
			h.vault.Assignments = append(h.vault.Assignments, given)
		}
	}
	return nil
}

// UnassignHSM removes every role of the identity on an HSM.
func (s *Sim) UnassignHSM(resourceID, objectID string) error {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return fmt.Errorf("take role away: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	h.vault.Assignments = slices.DeleteFunc(slices.Clone(h.vault.Assignments), func(a hsmAssignment) bool {
		return a.PrincipalID == objectID
	})
	return nil
}

// allows tells whether the vault's role assignments grant the action.
func (v vault) allows(objectID, action string) bool {
	return slices.ContainsFunc(v.Assignments, func(a hsmAssignment) bool {
		return a.PrincipalID == objectID && slices.Contains(hsmRoles[a.Role], action)
	})
}
