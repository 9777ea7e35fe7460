//go:build !linux

package fakehost

import "syscall"

// endWithParent does nothing on this system: a handler is left behind if this process is killed before Stop, as in Azure.
func endWithParent() *syscall.SysProcAttr { return nil }
