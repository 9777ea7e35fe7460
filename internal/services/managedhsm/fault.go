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

// checking describes the request that asks whether a backup could be made.
func checking(a backup.Attempt) azure.Call {
	return call("ask whether "+a.Target+" can be backed up", a, roleBackup, azure.Before)
}

// starting describes the one request that starts a backup. It must not be repeated.
func starting(a backup.Attempt) azure.Call {
	return call("start the backup of "+a.Target, a, roleBackup, azure.Before).Once()
}

// polling describes the request for the state of the backup under way.
func polling(a backup.Attempt) azure.Call {
	return call("ask about the backup of "+a.Target, a, roleBackup, azure.Following)
}

// proving describes the request that asks whether a backup could be restored. A fault that keeps the app from asking says
// nothing about the backup.
func proving(a backup.Attempt) azure.Call {
	return call("ask whether "+a.Target+" can restore "+a.Artifact, a, roleRestore, func(status int, _ string) backup.FaultKind {
		switch status {
		case http.StatusConflict:
			return backup.Retryable
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			return backup.Refused
		}
		return backup.Unobservable
	})
}

// restoring describes the one request that starts a restore. It must not be repeated.
func restoring(r backup.Restore) azure.Call {
	return call(words(r), r.ProviderAttempt(""), roleRestore, azure.Before).Once()
}

// awaiting describes the request for the state of the restore under way. While a full restore runs, the HSM's data plane
// is not available, and afterwards the app's role may be gone for good.
func awaiting(r backup.Restore) azure.Call {
	c := call("ask whether it was done to "+words(r), r.ProviderAttempt(""), roleRestore, azure.Following)
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		if status == http.StatusForbidden && r.Kind == backup.RestoreFull {
			return "The restore replaces all role assignments by the backup's. If this lasts, an administrator of the HSM gives the app its own " +
				"back: " + grants(r.Target) + ". Then see whether the keys are those of the backup."
		}
		return other(status, code, message)
	}
	return c
}

// words describes a restore in words.
func words(r backup.Restore) string {
	if r.Kind == backup.RestoreKey {
		return "restore the key " + r.Key + " of " + r.Target + " from " + r.Artifact
	}
	return "restore " + r.Target + " from " + r.Artifact
}

// call describes a call to the HSM. The app's identity needs the role for it.
func call(what string, a backup.Attempt, role string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Means: means, Hint: func(status int, _, message string) string {
		switch status {
		case http.StatusUnauthorized:
			return "See that the function app's identity belongs to the tenant of the HSM."
		case http.StatusForbidden:
			return fmt.Sprintf("Give the function app's identity the role %s at the scope / of the HSM %s (%s), and see that the HSM's "+
				"firewall admits the function app.", role, name(a.Target), grant(a.Target, role))
		case http.StatusNotFound, http.StatusGone:
			return hintContainer(a)
		case http.StatusConflict:
			return "The HSM is busy with another backup or restore; Lifeboat asks again."
		}
		return hintStorage(a, message)
	}}
}

// grant returns the command that gives the app's identity a role of the HSM's own. PRINCIPAL stands for the identity's object ID, which
// no call that Lifeboat makes shows.
func grant(target, role string) string {
	return fmt.Sprintf("az keyvault role assignment create --hsm-name %s --role %q --scope / --assignee-object-id PRINCIPAL "+
		"--assignee-principal-type ServicePrincipal", name(target), role)
}

// grants returns the commands for all roles that the app needs. A full restore brings the role assignments of the time of the backup,
// so the app's own may be gone afterwards.
func grants(target string) string {
	return grant(target, roleBackup) + "; " + grant(target, roleRestore) + " (PRINCIPAL is the object ID of the app's identity)"
}

// invalidBackup recognizes the HSM's words about a folder that it cannot restore (recorded 2021).
var invalidBackup = azure.Sentences("Invalid backup provided")

// hintStorage names the access to the storage account that the HSM itself needs.
func hintStorage(a backup.Attempt, message string) string {
	switch {
	case invalidBackup(message):
		return "The HSM does not take the folder for a backup that it can restore: see that nothing deletes or changes its " +
			"blobs, and that the HSM has the security domain that the backup was made with."
	case identity(a.Blocks) == bySAS:
		return fmt.Sprintf("See that %s exists, and that the account admits its access keys and public network access.",
			azure.Place(a.Storage))
	}
	return fmt.Sprintf("See that %s exists, that the HSM %s has a user-assigned identity with the role Storage Blob Data "+
		"Contributor on the account, and that the account's firewall, if it has one, admits trusted Azure services.",
		azure.Place(a.Storage), name(a.Target))
}

// hintContainer advises about an operation whose state can no longer be learned from the HSM.
func hintContainer(a backup.Attempt) string {
	return fmt.Sprintf("See whether %s holds a folder mhsm-%s-… of that time.", azure.Place(a.Storage), strings.ToLower(name(a.Target)))
}
