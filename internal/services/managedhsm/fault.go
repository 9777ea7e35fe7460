package managedhsm

import (
	"fmt"
	"net/http"
	"strings"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// These are the HSM's own roles that the function app's identity needs.
const (
	roleBackup  = "Managed HSM Backup"
	roleRestore = "Managed HSM Restore"
)

// The functions below describe the calls to the HSM. Package azure describes the calls to the storage account.

// looking describes the request that reads the HSM through Resource Manager.
func looking(target string) azure.Call {
	return azure.Call{
		What: "look at " + target, Host: azure.ManagementHost, Means: azure.Before,
		Hint: func(int, string, string) string {
			return fmt.Sprintf("See whether %s still exists. If not, take it out of plan.yaml.", target)
		},
	}
}

// checking describes the request that asks whether a backup could be made.
func checking(target string, s backup.Storage, identity string) azure.Call {
	return call("ask whether "+target+" can be backed up", target, s, identity, roleBackup, azure.Before)
}

// starting describes the one request that starts a backup. It must not be repeated.
func starting(target string, s backup.Storage, identity string) azure.Call {
	c := call("start the backup of "+target, target, s, identity, roleBackup, azure.Before)
	c.Start = true
	return c
}

// polling describes the request for the state of the backup under way.
func polling(target string, s backup.Storage, identity string) azure.Call {
	return call("ask about the backup of "+target, target, s, identity, roleBackup, azure.Following)
}

// proving describes the request that asks whether a backup could be restored. A fault that keeps the app from asking says
// nothing about the backup.
func proving(folder, target string, s backup.Storage, identity string) azure.Call {
	return call("ask whether "+target+" can restore "+folder, target, s, identity, roleRestore,
		func(status int, _ string) backup.FaultKind {
			switch status {
			case http.StatusConflict:
				return backup.Deferred
			case http.StatusBadRequest, http.StatusUnprocessableEntity:
				return backup.Refused
			}
			return backup.Denied
		})
}

// restoring describes the one request that starts a restore. It must not be repeated.
func restoring(r backup.Restore) azure.Call {
	c := call(words(r), r.Target, r.Storage, identity(r.Blocks), roleRestore, azure.Before)
	c.Start = true
	return c
}

// awaiting describes the request for the state of the restore under way. While a full restore runs, the HSM's data plane
// is not available, and afterwards the app's role may be gone for good.
func awaiting(r backup.Restore) azure.Call {
	return call("ask whether it was done to "+words(r), r.Target, r.Storage, identity(r.Blocks), roleRestore, azure.Following)
}

// words describes a restore in words.
func words(r backup.Restore) string {
	if r.Kind == backup.RestoreKey {
		return "restore the key " + r.Key + " of " + r.Target + " from " + r.Artifact
	}
	return "restore " + r.Target + " from " + r.Artifact
}

// call describes a call to the HSM. The app's identity needs the role for it.
func call(what, target string, s backup.Storage, identity, role string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Host: host(target), Means: means, Hint: func(status int, _, message string) string {
		switch status {
		case http.StatusUnauthorized:
			return "See that the function app's identity belongs to the tenant of the HSM."
		case http.StatusForbidden:
			return fmt.Sprintf("Give the function app's identity the role %s at the scope / of the HSM %s (az keyvault role "+
				"assignment create), and see that the HSM's firewall admits the function app.", role, name(target))
		case http.StatusNotFound, http.StatusGone:
			return hintContainer(target, s)
		case http.StatusConflict:
			return "The HSM is busy with another backup or restore; it is asked again by itself."
		}
		return hintStorage(target, s, identity, message)
	}}
}

// invalidBackup recognizes the HSM's words about a folder that it cannot restore (recorded 2021).
var invalidBackup = azure.Sentences("Invalid backup provided")

// hintStorage names the access to the storage account that the HSM itself needs.
func hintStorage(target string, s backup.Storage, identity, message string) string {
	switch {
	case invalidBackup(message):
		return "The HSM does not take the folder for a backup that it can restore: see that nothing deletes or changes its " +
			"blobs, and that the HSM has the security domain that the backup was made with."
	case identity == bySAS:
		return fmt.Sprintf("See that %s exists, and that the account admits its access keys and public network access.",
			azure.Place(s))
	}
	return fmt.Sprintf("See that %s exists, that the HSM %s has a user-assigned identity with the role Storage Blob Data "+
		"Contributor on the account, and that the account's firewall, if it has one, admits trusted Azure services.",
		azure.Place(s), name(target))
}

// hintContainer advises about an operation whose state can no longer be learned from the HSM.
func hintContainer(target string, s backup.Storage) string {
	return fmt.Sprintf("See whether %s holds a folder mhsm-%s-… of that time.", azure.Place(s), strings.ToLower(name(target)))
}
