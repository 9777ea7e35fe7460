package ledger

import (
	"testing"
	"time"

	"lifeboat/internal/engine"
)

// TestASASOutlivesItsOperation checks that a SAS outlives its operation by no more than a day: anyone with the SAS can do
// with it all that the service can.
func TestASASOutlivesItsOperation(t *testing.T) {
	waits := engine.DefaultTimings()
	if least := waits.Operation + waits.Lease; sasTime < least || sasTime > least+24*time.Hour {
		t.Errorf("a SAS is valid for %s, and an operation takes up to %s", sasTime, least)
	}
}
