package ledger

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// The functions below describe the calls to the service.

// starting describes the one request that starts a backup. It must not be repeated.
func starting(i instance) azure.Call {
	return about("start the backup of "+i.id, i, i.action(), azure.Before).Once()
}

// polling describes the request for the state of the backup under way.
func polling(i instance) azure.Call {
	return about("ask about the backup of "+i.id, i, i.action(), azure.Following)
}

// restoring describes the one request that starts a restore. It must not be repeated.
func restoring(i instance, share string) azure.Call {
	return about("restore "+i.id+" from "+share, i, "restore", azure.Before).Once()
}

// awaiting describes the request for the state of the restore under way.
func awaiting(i instance, share string) azure.Call {
	return about("ask whether "+i.id+" was restored from "+share, i, "restore", azure.Following)
}

// about describes a call to the service for an action.
func about(what string, i instance, action string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Means: means, Hint: func(status int, code, _ string) string {
		switch {
		case status == http.StatusUnauthorized:
			return azure.HintTenant
		case status == http.StatusForbidden:
			return fmt.Sprintf("Give the function app's identity a role with Microsoft.ConfidentialLedger/%s/%s/action on %s, "+
				"such as Contributor.", i.kind, action, i.id)
		case slices.Contains(versionCodes, code):
			return fmt.Sprintf("Azure may have retired the api-version %s: see which it has, and set ccf.apiVersion in plan.yaml.",
				i.version)
		case status == http.StatusNotFound || status == http.StatusGone:
			return fmt.Sprintf("See whether %s still exists, and whether Azure still offers this operation: Managed CCF is retired.",
				i.id)
		case status == http.StatusConflict:
			return "The service is busy with something else; Lifeboat asks again."
		}
		return "See that the storage account exists and admits its access keys and public network access, and look at the service " +
			"in the Azure portal."
	}}
}

// versionCodes lists the codes with which Resource Manager refuses an api-version that a resource type does not have.
var versionCodes = []string{"InvalidApiVersionParameter", "InvalidResourceType", "NoRegisteredProviderFound", "UnsupportedApiVersion"}

// hintShare advises about an operation whose share is unknown.
func hintShare(i instance, s backup.Storage) string {
	return fmt.Sprintf("See whether the storage account %s holds a share %s-… of that time.", s.AccountName(),
		strings.ToLower(i.name))
}

// The functions below describe the calls to the file service.

// place names a share in words.
func place(s backup.Storage, share string) string {
	return fmt.Sprintf("the share %s of the storage account %s", share, s.AccountName())
}

// reaching describes the check whether the file service can be reached, before anything is begun.
func reaching(s backup.Storage) azure.Call {
	return shares("list the shares of "+s.Account, s, func(int, string) backup.FaultKind { return backup.Refused })
}

// listing describes the search for shares. A fault that keeps the app from it may pass.
func listing(s backup.Storage) azure.Call {
	return shares("look for shares in "+s.Account, s, func(int, string) backup.FaultKind { return backup.Retryable })
}

// reading describes the requests that read a share. Only an answer about the share itself is evidence against the share,
// and the caller recognizes such an answer.
func reading(s backup.Storage, share string) azure.Call {
	return shares("read "+place(s, share), s, func(int, string) backup.FaultKind { return backup.Retryable })
}

// deleting describes the deletion of a share. A lease protects a share from it.
func deleting(s backup.Storage, share string) azure.Call {
	leased := func(code string) bool { return strings.Contains(code, "Lease") }
	c := shares("delete "+place(s, share), s, func(status int, code string) backup.FaultKind {
		switch {
		case leased(code):
			return backup.Kept
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			return backup.Unobservable
		}
		return backup.Retryable
	})
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		if leased(code) {
			return "It is kept, and can be restored as before; Lifeboat tries its deletion again. Another program, perhaps Azure Backup, " +
				"holds a lease on it or on a snapshot of it. If you do not need it, break the lease in the Azure portal."
		}
		return other(status, code, message)
	}
	return c
}

// shares describes a call to the file service.
func shares(what string, s backup.Storage, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Means: means, Hint: func(_ int, code, _ string) string {
		switch code {
		case "KeyBasedAuthenticationNotPermitted":
			return fmt.Sprintf("Allow the access keys of the storage account %s (allowSharedKeyAccess): shares take nothing else.",
				s.AccountName())
		case string(fileerror.AuthorizationFailure):
			return azure.HintFirewall(s)
		case string(fileerror.AuthenticationFailed):
			return fmt.Sprintf("The keys of the storage account %s may just have been rotated; Lifeboat asks again.",
				s.AccountName())
		}
		return fmt.Sprintf("See whether the storage account %s is as plan.yaml has it.", s.AccountName())
	}}
}

// noKey returns the fault of a key that no SAS can be made with.
func noKey(s backup.Storage, err error) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: "NoSAS", Message: "make a SAS for the storage account " + s.AccountName() + ": " + err.Error(),
		Hint: "See the account's access keys in the Azure portal.",
	}
}
