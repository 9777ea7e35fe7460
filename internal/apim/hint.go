package apim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/backup"
)

const (
	hintToken = "See that the function app's managed identity is switched on and not deleted."
	hintTiers = "API Management backs up the tiers Developer, Basic, Standard and Premium only, without workspaces. " +
		"Take other services out of plan.yaml."
	hintLost = "Nothing needs to be done: it is looked for before it is started again."
)

// hint says what a person can do about an answer that is no success.
func hint(c call, a backup.Attempt, status int, code, message string) string {
	switch {
	case c == starting && meaning(c, status, code) == backup.Uncertain:
		return hintLost
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		return "This is Azure's side; it is asked again by itself. If it goes on for hours, see Azure's service health."
	case c == checking || c == starting || c == polling || c == inspecting:
		return hintService(c, a, status, code, message)
	case c == checkingStorage || c == keying:
		return hintAccount(a, status)
	default:
		return hintBlobs(c, a, status, code)
	}
}

func hintService(c call, a backup.Attempt, status int, code, message string) string {
	text := strings.ToLower(code + " " + message)
	switch status {
	case http.StatusUnauthorized:
		return "See that the function app's identity belongs to the tenant of the service's subscription."
	case http.StatusForbidden:
		return fmt.Sprintf("Give the function app's identity a role with %s on %s, such as API Management Service "+
			"Operator Role. A new assignment takes some minutes.", c.action(), a.Target)
	case http.StatusNotFound, http.StatusGone:
		if c == polling {
			return hintContainer(a)
		}
		return fmt.Sprintf("See whether %s still exists. If not, take it out of plan.yaml.", a.Target)
	case http.StatusConflict:
		if c == polling {
			break
		}
		if strings.Contains(text, "lock") {
			return fmt.Sprintf("A read-only lock on %s or above it keeps it from being backed up.", a.Target)
		}
		return "The service is busy with another change; it is asked again by itself."
	}
	switch {
	case strings.Contains(text, "patch") || strings.Contains(text, "cors"):
		return fmt.Sprintf("Remove the CORS rules of the Blob service of the storage account %s: API Management cannot "+
			"write a backup to an account whose rules allow PATCH.", a.Storage.AccountName())
	case strings.Contains(text, "sku") || strings.Contains(text, "tier") || strings.Contains(text, "workspace"):
		return hintTiers
	}
	return hintStorage(a)
}

// hintAccount is about the storage account behind Resource Manager.
func hintAccount(a backup.Attempt, status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "See that the function app's identity belongs to the tenant of the storage account's subscription."
	case http.StatusForbidden:
		return fmt.Sprintf("Give the function app's identity a role with Microsoft.Storage/storageAccounts/listkeys/action "+
			"on %s, such as Storage Account Key Operator Service Role; or set identity: system in plan.yaml.", a.Storage.Account)
	case http.StatusConflict:
		return fmt.Sprintf("A read-only lock on %s or above it keeps its keys from being read.", a.Storage.Account)
	}
	return fmt.Sprintf("See whether %s still exists. If not, correct plan.yaml.", a.Storage.Account)
}

// action is what the identity must be allowed for the call.
func (c call) action() string {
	switch c {
	case starting:
		return resourceType + "/backup/action"
	case polling:
		return resourceType + "/operationresults/read"
	default:
		return resourceType + "/read"
	}
}

// hintStorage is about what API Management itself needs to write a backup.
func hintStorage(a backup.Attempt) string {
	switch access, client := accessOf(a.Identity); access {
	case armapimanagement.AccessTypeAccessKey:
		return fmt.Sprintf("See that %s admits its access keys, and that its firewall, if it has one, admits API "+
			"Management's control plane.", a.Storage.Account)
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		return fmt.Sprintf("See that the user-assigned identity with the client ID %s has the role Storage Blob Data "+
			"Contributor on %s, and that the account has no firewall.", client, a.Storage.Account)
	}
	return fmt.Sprintf("See that the service has a system-assigned identity with the role Storage Blob Data Contributor "+
		"on %s, and that the account's firewall admits trusted Azure services.", a.Storage.Account)
}

// hintContainer is about an operation of which nothing is known any more.
func hintContainer(a backup.Attempt) string {
	return fmt.Sprintf("See whether the container %s of the storage account %s holds files named %s.",
		a.Storage.Container, a.Storage.AccountName(), a.Run)
}

func hintBlobs(c call, a backup.Attempt, status int, code string) string {
	switch {
	case status == http.StatusForbidden && code == string(bloberror.AuthorizationFailure):
		return fmt.Sprintf("The firewall of the storage account %s does not admit the function app: give it a network path "+
			"or allow its addresses.", a.Storage.AccountName())
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Sprintf("Give the function app's identity the role Storage Blob Data Contributor on %s. A new assignment "+
			"takes some minutes.", a.Storage.Account)
	case code == string(bloberror.ContainerNotFound) || code == string(bloberror.ContainerBeingDeleted):
		return fmt.Sprintf("The container %s of the storage account %s was deleted. If the account keeps deleted "+
			"containers, restore it in the Azure portal.", a.Storage.Container, a.Storage.AccountName())
	case c == deleting && (status == http.StatusPreconditionFailed || protected(status, code)):
		return "It is kept. If nobody needs it, delete it in the Azure portal once its protection is gone."
	case code == string(bloberror.BlobArchived) || code == string(bloberror.BlobBeingRehydrated):
		return "Move it back to an online access tier, and see which lifecycle rule archives new backups."
	}
	return fmt.Sprintf("See whether the storage account %s and its container %s are as plan.yaml has them.",
		a.Storage.AccountName(), a.Storage.Container)
}

// hintSilence is about a request without an answer.
func hintSilence(c call, a backup.Attempt) string {
	host := managementHost
	switch c {
	case creating, listing, reading, deleting:
		host = blobHost(a.Storage)
	}
	return fmt.Sprintf("See that the function app can reach %s, and that this name exists. It is asked again by itself.",
		host)
}
