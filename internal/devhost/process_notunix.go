//go:build !unix

package devhost

import "os"

// deadlySignal has no counterpart here: the exit code says it all.
func deadlySignal(*os.ProcessState) (int, bool) { return 0, false }
