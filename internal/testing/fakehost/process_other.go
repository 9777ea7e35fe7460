//go:build !linux

package fakehost

import "syscall"

// endWithParent has no counterpart here: a handler is left behind if this process is killed before Stop, as in Azure.
func endWithParent() *syscall.SysProcAttr { return nil }
