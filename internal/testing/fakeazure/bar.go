package fakeazure

import (
	"fmt"
	"net/http"
	"strings"
)

// Bar is a reason for which Resource Manager denies every change in a scope. Reads go on, and so does what does not pass Resource
// Manager: blobs, files, and the calls to a Managed HSM.
type Bar int

const (
	// NoBar lets changes pass.
	NoBar Bar = iota
	// DisabledSubscription answers 409 ReadOnlyDisabledSubscription (words recorded 2018 to 2026).
	DisabledSubscription
	// UnregisteredProvider answers 409 MissingSubscriptionRegistration (recorded 2019 to 2025).
	UnregisteredProvider
	// ReadOnlyLock answers 409 ScopeLocked, to listKeys too (recorded 2018, 2019).
	ReadOnlyLock
	// DenyingPolicy answers 403 RequestDisallowedByPolicy (recorded 2025 of a PUT).
	DenyingPolicy
	// ExceededQuota answers 429 QuotaExceeded with Retry-After, which looks like throttling. The status was never recorded for a
	// backup or a restore: this is the reading that is worse for the client.
	ExceededQuota
	// ExceededQuotaConflict answers 409 QuotaExceeded: the other reading.
	ExceededQuotaConflict
)

// Bar makes Resource Manager deny the changes in the scope and below, for the reason, from now on; NoBar ends that. The scope is the
// ID of a subscription, a group or a resource.
func (s *Sim) Bar(scope string, why Bar) {
	f := s.front
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bars[strings.ToLower(strings.TrimSuffix(scope, "/"))] = why
}

// barred returns the denial of a request, or nil.
func (f *frontEnd) barred(method string, id resourceID) *http.Response {
	if method == http.MethodGet {
		return nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for scope, why := range f.bars {
		if why != NoBar && strings.HasPrefix(id.key()+"/", scope+"/") {
			return why.denial(scope, id)
		}
	}
	return nil
}

func (b Bar) denial(scope string, id resourceID) *http.Response {
	switch b {
	case DisabledSubscription:
		return armError(http.StatusConflict, "ReadOnlyDisabledSubscription", fmt.Sprintf("The subscription '%s' is disabled and "+
			"therefore marked as read only. You cannot perform any write actions on this subscription until it is re-enabled.",
			id.subscription))
	case UnregisteredProvider:
		return armError(http.StatusConflict, "MissingSubscriptionRegistration", fmt.Sprintf("The subscription is not registered to use "+
			"namespace '%s'. See https://aka.ms/rps-not-found for how to register subscriptions.", id.provider))
	case ReadOnlyLock:
		return armError(http.StatusConflict, "ScopeLocked", fmt.Sprintf("The scope '%s' cannot perform write operation because "+
			"following scope(s) are locked: '%s'. Please remove the lock and try again.", id, scope))
	case DenyingPolicy:
		return armError(http.StatusForbidden, "RequestDisallowedByPolicy", fmt.Sprintf("Resource '%s' was disallowed by policy. "+
			"Reasons: 'Backups are not allowed here.'. See error details for policy resource IDs.", id.name))
	case ExceededQuota:
		resp := armError(http.StatusTooManyRequests, "QuotaExceeded", "The operation exceeds the quota of the subscription.")
		resp.Header.Set("Retry-After", "1")
		return resp
	}
	return armError(http.StatusConflict, "QuotaExceeded", "The operation exceeds the quota of the subscription.")
}
