package roles_test

import (
	"testing"

	"lifeboat/internal/roles"
)

// TestGUID: the function guid makes the same values in a snapshot of the Bicep compiler 0.49.2.
func TestGUID(t *testing.T) {
	for want, texts := range map[string][]string{
		"2d796349-8c7e-55ec-9624-54ece82ed031": {"a", "b"},
		"95e3f9cf-ef1b-5809-8ee4-98c77cea936f": {"/subscriptions/0c0ffee0-0000-4000-8000-000000000001", "Lifeboat API Management Backup"},
	} {
		if got := roles.GUID(texts...); got != want {
			t.Errorf("%q: %s, want %s", texts, got, want)
		}
	}
}
