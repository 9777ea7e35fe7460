//go:build !unix

package azurite

import "context"

// lock does nothing, because advisory file locks are missing here: let one first use finish before the next.
func lock(context.Context, string, func(string)) (unlock func(), err error) {
	return func() {}, nil
}
