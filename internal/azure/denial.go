package azure

import (
	"slices"
	"strings"

	"lifeboat/internal/backup"
)

// Denial is a reason for which Azure denies a request until a person acts. Its status tells little: many of these codes come with
// 409, and so does the answer of a service that is only busy.
type Denial struct {
	// Reason says it in words; docs/services.md has the same.
	Reason string
	// Codes are Azure's codes for it. A code without a source beside it is from Azure's page "Troubleshoot common Azure deployment
	// errors".
	Codes []string
	// Word, unless it is "", makes each further code one of these that has the word in it, in any case.
	Word string
	// Hint says what a person can do.
	Hint string
}

// Denials has Azure's codes that deny a request for good, whatever the status. Any other code counts by its status: 409 is "not now".
var Denials = []Denial{
	{
		Reason: "the subscription is disabled, and so read-only",
		Codes: []string{
			"ReadOnlyDisabledSubscription", // with 409; from Resource Manager itself (microsoft/vscode-azureappservice, issue 1646)
			"SubscriptionDisabled",         // with 403; the storage provider's page "Common Error Codes" has it, and the next
			"SubscriptionStateForbidden",   // with 404
			"SubscriptionNotEnabled",       // with 403 (microsoft/azserialconsole, issue 80)
			"AccountIsDisabled",            // with 403; from an account's own services (microsoft/AzureStorageExplorer, issue 8175)
		},
		Hint: "Azure changes nothing in a disabled subscription, and shuts its storage: have its owner enable it again, in the Azure portal " +
			"under Subscriptions.",
	},
	{
		Reason: "there is no such subscription for the app's identity",
		Codes:  []string{"SubscriptionNotFound"}, // with 404
		Hint: "See whether the subscription in the resource ID is right and was not deleted, and that the function app's identity belongs " +
			"to its tenant. Correct plan.yaml if the resource was moved.",
	},
	{
		Reason: "the subscription is not registered for the resource provider",
		Codes: []string{
			"MissingSubscriptionRegistration", // with 409 (nforgeio/neonKUBE, issue 1670)
			"SubscriptionNotRegistered", "InvalidSubscriptionRegistrationState", "MissingRegistrationForLocation",
			"MissingRegistrationForType", "MissingRegistrationForResourceProvider", // siblings of the one before
			"Subscription Not Registered", // with 404, from a provider itself (Azure/azure-sdk-for-go, issue 19900)
		},
		Hint: "Register the resource provider that Azure names here for the subscription (az provider register --namespace NAME), and wait " +
			"until it is registered.",
	},
	{
		Reason: "a lock",
		Codes:  []string{"ScopeLocked"}, // with 409 (Azure/azure-sdk-for-java, issue 2560: listKeys under a read-only lock)
		Hint: "A lock on the resource or above it forbids this; a read-only lock keeps a service from being backed up or restored, and an " +
			"account's keys from being read. See az lock list, and have its owner remove it.",
	},
	{
		Reason: "a policy, or a deny assignment",
		Codes: []string{
			"RequestDisallowedByPolicy", // with 403 (Azure-Samples/azuresandbox, issue 196)
			"RequestDisallowedByAzure",
			"DenyAssignmentAuthorizationFailed", // with 403; a role does not help (Azure/migAz, issue 266)
		},
		Hint: "No role helps here: have the owner of the policy or the deny assignment, which Azure names, exempt the resource.",
	},
	{
		Reason: "a quota is used up",
		Codes:  []string{"QuotaExceeded", "ResourceQuotaExceeded"}, // its status was never recorded for a backup or a restore
		Word:   "quota",
		Hint:   "Have the quota raised (in the Azure portal under Quotas), or delete what uses it up.",
	},
}

// denialOf returns the reason for which Azure denies a request with this code; nil if the code is none of these.
func denialOf(code string) *Denial {
	for i, d := range Denials {
		is := func(known string) bool { return strings.EqualFold(known, code) }
		if slices.ContainsFunc(d.Codes, is) || d.Word != "" && strings.Contains(strings.ToLower(code), d.Word) {
			return &Denials[i]
		}
	}
	return nil
}

// Denies tells whether Azure denies a request for good with this code, whatever its status.
func Denies(code string) bool { return denialOf(code) != nil }

// follows tells whether the call asks about an operation in progress: its refusals are that operation's own, whatever their code.
func (c Call) follows() bool { return c.Means(409, "") == backup.Refused }

// hint returns the advice for a response: a denial has the same for all calls.
func (c Call) hint(status int, code, message string) string {
	if denial := denialOf(code); denial != nil {
		return denial.Hint
	}
	return c.Hint(status, code, message)
}
