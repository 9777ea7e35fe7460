package apim

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestABlockThatCannotBeReadIsNobody checks that an unreadable block stands for no identity that a service can have.
func TestABlockThatCannotBeReadIsNobody(t *testing.T) {
	for blocks, want := range map[backup.Blocks]bool{`{"identity":"system"}`: true, "": true, `{"identity":7}`: false, `{`: false} {
		got := identity(blocks)
		if known := got == "" || got == "system"; known != want {
			t.Errorf("%s is %q", blocks, got)
		}
	}
}
