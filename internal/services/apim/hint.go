package apim

import (
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
)

const hintTiers = "API Management backs up the tiers Developer, Basic, Standard and Premium only, without workspaces. " +
	"Take other services out of plan.yaml."

const hintSameTier = "A backup can be restored into a service of its own tier only. Restore it into one of that tier; " +
	"the tier of a service can be changed in the Azure portal, but not between v1 and v2."

// hintService advises a person about an answer in which the service reports an error.
func hintService(t task, action string, status int, code, message string) string {
	switch status {
	case http.StatusUnauthorized:
		return azure.HintTenant
	case http.StatusForbidden:
		return fmt.Sprintf("Give the function app's identity a role with %s on %s, such as API Management Service "+
			"Operator Role. A new assignment takes some minutes.", action, t.Target)
	case http.StatusNotFound, http.StatusGone:
		if t.work == restoring {
			return fmt.Sprintf("See whether %s still exists. A backup is restored into a service that is there.", t.Target)
		}
		return azure.Gone(t.Target)
	case http.StatusConflict:
		return "The service is busy with another change; Lifeboat asks again."
	}
	return hintReason(t, code, message)
}

// These functions recognize the sentences in which API Management gives a reason that has a hint of its own: CORS
// (reported 2023-11; the rule itself is documented), another tier (reported 2024), age (documented). Its sentences about
// tiers and workspaces were never recorded.
var (
	saysCORS = azure.Sentences("Requested value '…PATCH…' was not found",
		"CORS must not be enabled on the Blob service of the storage account")
	saysExpired   = azure.Sentences("Cannot restore: backup expired")
	saysOtherTier = azure.Sentences("Cannot restore: current SKU is '…', backup SKU is '…'")
	saysTier      = azure.Sentences("Method not allowed in … pricing tier", "Backup is not supported for SKU …",
		"… is not supported for services with workspaces")
)

// hintReason advises about a refusal that gives its reason in words.
func hintReason(t task, code, message string) string {
	switch {
	case saysCORS(message):
		return fmt.Sprintf("Remove the CORS rules of the Blob service of the storage account %s: API Management cannot "+
			"write a backup to an account whose rules allow PATCH.", t.Storage.AccountName())
	case t.work == restoring && saysExpired(message):
		return "API Management restores a backup for 30 days. Take a newer recovery point."
	case t.work == restoring && saysOtherTier(message):
		return hintSameTier
	case code == "MethodNotAllowedInPricingTier" || saysTier(message):
		return hintTiers
	}
	return hintStorage(t)
}

// hintStorage names the access to the storage account that API Management itself needs to write or read a backup.
func hintStorage(t task) string {
	blocks := ""
	if t.Storage.Vault && t.work != restoring {
		blocks = " If it has that role, deploy infra/vault.bicep again with blocks=true: API Management may write in blocks, which takes more."
	}
	switch access, client := accessOf(identity(t.Blocks)); access {
	case armapimanagement.AccessTypeAccessKey:
		return fmt.Sprintf("See that the storage account %s admits its access keys, and that its firewall, if it has one, admits "+
			"API Management's control plane.", t.Storage.AccountName())
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		return fmt.Sprintf("See that the user-assigned identity with the client ID %s has the role %s on the storage account %s, and that the "+
			"account has no firewall.", client, azure.BlobRole(t.Storage), t.Storage.AccountName()) + blocks
	}
	return fmt.Sprintf("See that the service has a system-assigned identity with the role %s on the storage account %s, and that the "+
		"account's firewall admits trusted Azure services.", azure.BlobRole(t.Storage), t.Storage.AccountName()) + blocks
}

// hintUnobservable advises about an operation whose state can no longer be learned from Azure.
func hintUnobservable(t task) string {
	if t.work == restoring {
		return fmt.Sprintf("It may be under way, or done; Lifeboat does not send it again. See the activity log of %s for "+
			"%s%s, and whether it has the configuration of the recovery point.", t.Target, resourceType, t.action)
	}
	return fmt.Sprintf("See whether the container %s of the storage account %s holds files named %s.",
		t.Storage.Container, t.Storage.AccountName(), t.Run)
}
