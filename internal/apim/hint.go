package apim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/backup"
)

const hintTiers = "API Management backs up the tiers Developer, Basic, Standard and Premium only, without workspaces. " +
	"Take other services out of plan.yaml."

// hintService says what a person can do about an answer of the service that is no success.
func hintService(a backup.Attempt, action string, status int, code, message string) string {
	switch status {
	case http.StatusUnauthorized:
		return "See that the function app's identity belongs to the tenant of the service's subscription."
	case http.StatusForbidden:
		return fmt.Sprintf("Give the function app's identity a role with %s on %s, such as API Management Service "+
			"Operator Role. A new assignment takes some minutes.", action, a.Target)
	case http.StatusNotFound, http.StatusGone:
		return fmt.Sprintf("See whether %s still exists. If not, take it out of plan.yaml.", a.Target)
	case http.StatusConflict:
		if strings.Contains(strings.ToLower(code+" "+message), "lock") {
			return fmt.Sprintf("A read-only lock on %s or above it keeps it from being backed up.", a.Target)
		}
		return "The service is busy with another change; it is asked again by itself."
	}
	return hintReason(a, code, message)
}

// hintReason is about a refusal with a reason in words.
func hintReason(a backup.Attempt, code, message string) string {
	switch text := strings.ToLower(code + " " + message); {
	case strings.Contains(text, "patch") || strings.Contains(text, "cors"):
		return fmt.Sprintf("Remove the CORS rules of the Blob service of the storage account %s: API Management cannot "+
			"write a backup to an account whose rules allow PATCH.", a.Storage.AccountName())
	case strings.Contains(text, "sku") || strings.Contains(text, "tier") || strings.Contains(text, "workspace"):
		return hintTiers
	}
	return hintStorage(a)
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
