//go:build !unix

package fakehost

import "os"

// deadlySignal has no counterpart here: the exit code says it all.
func deadlySignal(*os.ProcessState) (int, bool) { return 0, false }
