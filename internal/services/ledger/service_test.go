package ledger

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestAnUnreadableBlockIsRefused checks that Lifeboat asks Azure nothing under an unintended api-version.
func TestAnUnreadableBlockIsRefused(t *testing.T) {
	for _, blocks := range []backup.Blocks{`{"ccf":7}`, `{`} {
		_, err := parse("/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.ConfidentialLedger/managedCCFs/c", blocks)
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Refused || f.Code != "InvalidSettings" {
			t.Errorf("%s: %v", blocks, err)
		}
		if s := ConfidentialLedger(); !s.CopyOnly(blocks) {
			t.Errorf("%s: a ledger's export is called a backup", blocks)
		}
	}
}
