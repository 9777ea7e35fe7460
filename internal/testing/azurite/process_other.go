//go:build !linux

package azurite

import "syscall"

// endWithParent does nothing on this system: a child is left behind if this process is killed before Stop.
func endWithParent() *syscall.SysProcAttr { return nil }
