package apim

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestABlockThatCannotBeReadIsNobody checks that an unreadable block stands for no identity that a service can have, and that the
// checks before each task refuse it before they send a request.
func TestABlockThatCannotBeReadIsNobody(t *testing.T) {
	for blocks, want := range map[backup.Blocks]bool{`{"identity":"system"}`: true, "": true, `{"identity":7}`: false, `{`: false} {
		got := identity(blocks)
		if known := got == "" || got == "system"; known != want {
			t.Errorf("%s is %q", blocks, got)
		}
		if want {
			continue
		}
		_, err := (&Provider{}).look(t.Context(), task{backup.Attempt{Blocks: blocks}, backing})
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Refused || f.Code != "InvalidSettings" || f.Hint == "" {
			t.Errorf("%s: %v", blocks, err)
		}
	}
}
