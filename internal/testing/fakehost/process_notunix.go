//go:build !unix

package fakehost

import "os"

// deadlySignal finds no signal on this system: there is only the exit code.
func deadlySignal(*os.ProcessState) (int, bool) { return 0, false }
