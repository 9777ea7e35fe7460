package azure_test

import (
	"errors"
	"strings"
	"testing"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// TestPassingCodes: each code of the table makes the end of a backup a passing one, in any case of its letters, and no other code does.
// A code is never both a denial and passing, and other faults stay as they are.
func TestPassingCodes(t *testing.T) {
	ended := func(kind backup.FaultKind, code string) *backup.Fault {
		return backup.AsFault(azure.MayPass(&backup.Fault{Kind: kind, Code: code, Message: "back up x: no", Hint: "the call's own"}))
	}
	seen := map[string]bool{}
	for _, p := range azure.PassingCodes {
		if p.Reason == "" || len(p.Codes) == 0 {
			t.Errorf("%+v lacks something", p)
		}
		for _, code := range p.Codes {
			if seen[strings.ToLower(code)] || azure.Denies(code) {
				t.Errorf("%s stands there twice, or denies a request", code)
			}
			seen[strings.ToLower(code)] = true
			for _, code := range []string{code, strings.ToUpper(code)} {
				if f := ended(backup.Refused, code); f.Kind != backup.Passing || f.Code != code || !strings.Contains(f.Hint, "service health") {
					t.Errorf("%s: %+v", code, f)
				}
				for _, kind := range []backup.FaultKind{backup.Retryable, backup.Throttled, backup.Unobservable, backup.Ambiguous} {
					if f := ended(kind, code); f.Kind != kind || f.Hint != "the call's own" {
						t.Errorf("%s, %s: %+v", kind, code, f)
					}
				}
			}
		}
	}
	codes := []string{"", "OperationFailed", "BackupFailed", "OperationCanceled", "AuthorizationFailed", "InvalidParameters", "BadRequest", "400", "403", "InternalServerErrorX"}
	for _, d := range azure.Denials {
		codes = append(codes, d.Codes...)
	}
	for _, code := range codes {
		if f := ended(backup.Refused, code); f.Kind != backup.Refused || f.Hint != "the call's own" {
			t.Errorf("%s: %+v", code, f)
		}
	}
	if err := errors.New("broken"); azure.MayPass(err) != err || azure.MayPass(nil) != nil { //nolint:errorlint // the error itself
		t.Error("another error is changed")
	}
}
