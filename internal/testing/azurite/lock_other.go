//go:build !unix

package azurite

import (
	"context"
	"os"
)

// lock does nothing, because advisory file locks are missing here: let one first use finish before the next.
func lock(_ context.Context, path string, _ func()) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
}
