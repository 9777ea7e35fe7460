//go:build !linux

package azurite

import "syscall"

// endWithParent has nothing to set on this system: the preload script sees that this process is gone.
func endWithParent(bool) *syscall.SysProcAttr { return nil }
