package ledger

import (
	"testing"
	"time"

	"lifeboat/internal/engine"
)

// TestASASOutlivesItsOperation, and by no more than a day: whoever gets hold of it can do with it what the service can.
func TestASASOutlivesItsOperation(t *testing.T) {
	waits := engine.DefaultWaits()
	if least := waits.Operation + waits.Lease; sasTime < least || sasTime > least+24*time.Hour {
		t.Errorf("a SAS is valid for %s, and an operation takes up to %s", sasTime, least)
	}
}
