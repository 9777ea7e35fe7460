//go:build unix

package azurite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := lock(t.Context(), path, func() {})
	if err != nil {
		t.Fatal(err)
	}

	// A second process waits, reports that, and gives up when its context ends.
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	if _, err := lock(ctx, path, func() { told++; cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("second lock = %v, want %v", err, context.Canceled)
	}
	if told != 1 {
		t.Errorf("told %d times that it waits, want once", told)
	}

	// A waiting process gets the lock when the first is done.
	again, err := lock(t.Context(), path, func() { _ = held.Close() })
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
