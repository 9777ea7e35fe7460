package managedhsm

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestABlockThatCannotBeReadIsRefused checks that an unreadable block is refused, and that no request is sent for it.
func TestABlockThatCannotBeReadIsRefused(t *testing.T) {
	for blocks, known := range map[backup.Blocks]bool{`{"hsm":{"access":"sas"}}`: true, `{"hsm":{"access":"identity"}}`: true, "": true, `{"hsm":7}`: false, `{`: false, `{"hsm":{"access":"other"}}`: false} {
		access := identity(blocks)
		if (access == "" || access == "identity" || access == bySAS) != known {
			t.Errorf("%s is %q", blocks, access)
		}
		if known {
			continue
		}
		_, _, err := (&Provider{}).access(t.Context(), backup.Storage{
			Account: "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contoso", Container: "c",
		}, access, toBackUp)
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Refused || f.Code != "InvalidSettings" {
			t.Errorf("%s: %v", blocks, err)
		}
	}
}
