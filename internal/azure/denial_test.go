package azure_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// TestADenialIsFinalWhateverItsStatus: a code that denies a request for good is refused at once, before a start and by a start, with
// advice of its own; asking about an operation in progress, its status counts as before.
func TestADenialIsFinalWhateverItsStatus(t *testing.T) {
	hint := func(int, string, string) string { return "the call's own hint" }
	before := azure.Call{What: "ask", Means: azure.Before, Hint: hint}
	following := azure.Call{What: "follow", Means: azure.Following, Hint: hint}
	fault := func(c azure.Call, status int, code string) *backup.Fault {
		return c.Fault(runtime.NewResponseError(answer(status, fmt.Sprintf(`{"error":{"code":%q,"message":"no"}}`, code))))
	}
	seen := map[string]bool{}
	for _, d := range azure.Denials {
		if d.Reason == "" || len(d.Codes) == 0 || d.Hint == "" {
			t.Errorf("%+v lacks something", d)
		}
		for _, code := range d.Codes {
			if seen[strings.ToLower(code)] {
				t.Errorf("%s stands there twice", code)
			}
			seen[strings.ToLower(code)] = true
			for _, code := range []string{code, strings.ToUpper(code)} {
				for _, status := range []int{400, 403, 404, 409, 429, 500, 503} {
					for _, call := range []azure.Call{before, before.Once()} {
						if f := fault(call, status, code); f.Kind != backup.Refused || f.Code != code || f.Hint != d.Hint || !strings.Contains(f.Message, "no") {
							t.Errorf("%d %s: %+v", status, code, f)
						}
					}
				}
				for status, want := range map[int]backup.FaultKind{
					403: backup.Unobservable, 404: backup.Unobservable, 409: backup.Refused, 429: backup.Throttled, 500: backup.Retryable,
				} {
					if f := fault(following, status, code); f.Kind != want || f.Gone {
						t.Errorf("%d %s about an operation in progress: %+v, want %s", status, code, f, want)
					}
				}
			}
		}
	}
	for status, gone := range map[int]bool{401: false, 403: false, 404: true, 410: true, 429: false, 500: false} {
		if f := fault(following, status, "NotThere"); f.Gone != gone {
			t.Errorf("%d: the operation is gone: %t", status, f.Gone)
		}
	}
	for _, code := range []string{"SubscriptionIsOverQuotaForSku", "exceededquota"} {
		if f := fault(before, 429, code); f.Kind != backup.Refused || !strings.Contains(f.Hint, "quota") {
			t.Errorf("%s: %+v", code, f)
		}
	}
	for code, want := range map[string]backup.FaultKind{
		"Conflict": backup.Retryable, "ServiceUpdating": backup.Retryable, "StorageAccountOperationInProgress": backup.Retryable,
		"AnotherOperationInProgress": backup.Retryable, "ScopeLockedX": backup.Retryable, "OperationNotAllowed": backup.Retryable,
	} {
		if f := fault(before, 409, code); f.Kind != want || f.Hint != "the call's own hint" {
			t.Errorf("%s: %+v, want %s", code, f, want)
		}
	}
	if f := fault(before, 429, "TooManyRequests"); f.Kind != backup.Throttled {
		t.Errorf("throttled: %+v", f)
	}
}

// TestADenialOfStorageIsNoEvidence: storage that is shut because of its subscription says nothing about an artifact, and the advice
// says why it is shut.
func TestADenialOfStorageIsNoEvidence(t *testing.T) {
	s := backup.Storage{Account: "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups", Container: "c"}
	for code, status := range map[string]int{"AccountIsDisabled": 403, "ReadOnlyDisabledSubscription": 409} {
		err := runtime.NewResponseError(answer(status, "", "X-Ms-Error-Code: "+code))
		for _, c := range []struct {
			call azure.Call
			want backup.FaultKind
		}{
			{azure.Listing(s), backup.Unobservable}, {azure.Reading(s, "a"), backup.Retryable}, {azure.Deleting(s, "a"), backup.Unobservable},
		} {
			if f := c.call.Fault(err); f.Kind != c.want || !strings.Contains(f.Hint, "disabled subscription") {
				t.Errorf("%s, %s: %+v, want %s", code, c.call.What, f, c.want)
			}
		}
	}
}

// TestALackOfARoleIsNoDenial: only a 403 that says nothing more means that the identity lacks a role.
func TestALackOfARoleIsNoDenial(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   bool
	}{
		{http.StatusForbidden, "AuthorizationFailed", true},
		{http.StatusForbidden, "RequestDisallowedByPolicy", false},
		{http.StatusForbidden, "SubscriptionDisabled", false},
		{http.StatusNotFound, "ResourceNotFound", false},
		{http.StatusConflict, "ScopeLocked", false},
	} {
		err := runtime.NewResponseError(answer(c.status, "", "X-Ms-Error-Code: "+c.code))
		if got := azure.LacksRole(fmt.Errorf("wrapped: %w", err)); got != c.want {
			t.Errorf("%d %s: %t", c.status, c.code, got)
		}
	}
}
