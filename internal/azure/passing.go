package azure

import (
	"errors"
	"slices"
	"strings"

	"lifeboat/internal/backup"
)

// Passing is a reason for which Azure fails a backup that may succeed at the next attempt.
type Passing struct {
	// Reason says it in words; docs/services.md has the same.
	Reason string
	// Codes are Azure's codes for it.
	Codes []string
}

// PassingCodes has the codes with which a backup that Azure itself calls failed is tried again. No failed backup of API Management was
// ever recorded, so these are the codes of Azure's common services: Resource Manager (its pages "Throttling", "Troubleshoot common
// Azure deployment errors" and the guidelines of its providers) and storage (its page "Common REST API error codes").
//
// Any other code is a definite no, and so is a failure without a code: to repeat a no keeps its event back for an hour and more, and
// has the service work in vain; a failure that is not repeated is told at once, and costs one backup.
var PassingCodes = []Passing{
	{"an error inside Azure", []string{"InternalServerError", "InternalError", "InternalFailure", "ServerError", "500", "BadGateway", "502"}},
	{"Azure was not available for the moment", []string{"ServiceUnavailable", "ServerUnavailable", "TemporarilyUnavailable", "503", "RetryableError"}},
	{"a time-out", []string{
		"Timeout", "RequestTimeout", "408", "GatewayTimeout", "504", "ServiceTimeout", "ServerTimeout", "OperationTimedOut", "OperationTimeout",
	}},
	{"Azure had too much to do", []string{
		"ServerBusy", "TooManyRequests", "429", "Throttled", "RequestThrottled", "SubscriptionRequestsThrottled", "ResourceRequestsThrottled",
		"ResourceCollectionRequestsThrottled",
	}},
	{"the service or the account was busy with something else", []string{
		// 409 is a Managed HSM's own code for a second backup (recorded 2026); ServiceUpdating is API Management's, as far as is known.
		"Conflict", "409", "AnotherOperationInProgress", "OperationInProgress", "RetryableErrorDueToAnotherOperation", "ServiceUpdating",
		"StorageAccountOperationInProgress",
	}},
}

const hintPassing = "The cause is in Azure, and may pass. If it comes again, see Azure's service health, and the resource's activity log."

// MayPass returns the error of a backup that was started. If Azure itself has ended that with a code of [PassingCodes], the kind of
// its fault is [backup.Passing].
func MayPass(err error) error {
	if f, ok := errors.AsType[*backup.Fault](err); ok && f.Kind == backup.Refused && passes(f.Code) {
		f.Kind, f.Hint = backup.Passing, hintPassing
	}
	return err
}

func passes(code string) bool {
	return slices.ContainsFunc(PassingCodes, func(p Passing) bool {
		return slices.ContainsFunc(p.Codes, func(known string) bool { return strings.EqualFold(known, code) })
	})
}
