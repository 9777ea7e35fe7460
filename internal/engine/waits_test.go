package engine_test

import (
	"testing"
	"time"

	"lifeboat/internal/engine"
)

func TestScaled(t *testing.T) {
	w := engine.DefaultTimings().Scaled(0.01)
	if w.Lease != 6*time.Second || w.LeaseMargin != 2*time.Second || w.Recheck != 216*time.Second || w.Poll != 600*time.Millisecond {
		t.Errorf("got %+v", w)
	}
	if engine.DefaultTimings().Lease != 3*time.Minute {
		t.Error("scaling changed the defaults")
	}
}
