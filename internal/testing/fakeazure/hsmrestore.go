package fakeazure

import (
	"fmt"
	"slices"
	"time"
)

// readBackup reads the folder, refuses an invalid restore, and returns the func that replaces the content at the end. For a
// check the func replaces nothing.
func (m *managedHSMs) readBackup(o *hsmOperation, takes time.Duration) (func() string, error) {
	if err := m.wait(o, takes/2); err != nil {
		return nil, err
	}
	m.mu.Lock()
	o.halfway = true
	m.mu.Unlock()
	source, err := m.open(o, restorePermissions)
	if err != nil {
		return nil, err
	}
	content, err := source.read(m.life, o.Folder)
	foreign := content.SecurityDomain != o.hsm.SecurityDomain
	switch {
	case err != nil:
		return nil, err
	case foreign && o.options.ForeignBackup == ForeignBackupEarly:
		return nil, invalidBackup
	case o.Kind != KeyRestore && o.rule != "":
		return nil, o.rule
	case o.Kind == KeyRestore && o.options.MissingKey == MissingKeyFails && !content.Vault.Keys[o.Key].live():
		return nil, resourceNotFound
	}
	if err := m.wait(o, takes-takes/2); err != nil {
		return nil, err
	}
	if foreign && o.step() == OnRestore {
		return nil, invalidBackup
	}
	switch o.Kind {
	case FullRestore:
		return func() string { o.replace(content.Vault); return "" }, nil
	case KeyRestore:
		return func() string { return o.bringBack(content.Vault.Keys[o.Key]) }, nil
	}
	return func() string { return "" }, nil
}

// replace replaces the content of the HSM. It is called under the lock.
func (o *hsmOperation) replace(by vault) {
	if o.options.RestoredRoles == RestoreAdministrators {
		by.Assignments = slices.DeleteFunc(by.Assignments, func(a hsmAssignment) bool {
			return a.Role != ManagedHSMAdministrator
		})
	}
	o.hsm.vault = by
}

// bringBack restores a key with all its versions if there is no such key, and returns the statusDetails (recorded 2021 and
// 2022). It is called under the lock. The backup may have no such live key.
func (o *hsmOperation) bringBack(key *hsmKey) string {
	restored, kept := 0, 0
	if key.live() {
		restored = len(key.Versions)
	}
	if there, ok := o.hsm.vault.Keys[o.Key]; ok {
		restored, kept = 0, restored
		if o.options.KeyInTheWay == KeyInTheWayAddsVersions && there.live() && kept > 0 {
			for _, v := range key.Versions {
				if !slices.ContainsFunc(there.Versions, func(o keyVersion) bool { return o.ID == v.ID }) {
					there.Versions = append(there.Versions, v)
					restored, kept = restored+1, kept-1
				}
			}
		}
		if o.options.KeyInTheWay == KeyInTheWayFails {
			o.State = Failed
		}
	} else if restored > 0 {
		o.hsm.vault.Keys[o.Key] = key
	}
	return fmt.Sprintf(
		"Number of successful key versions restored: %d, Number of key versions could not overwrite: %d", restored, kept)
}
