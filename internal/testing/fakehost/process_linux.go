package fakehost

import "syscall"

// endWithParent makes the kernel end the handler when this process dies, however it dies. The handler's own process group
// keeps a Ctrl-C at the terminal from it: in Azure there is no signal before SIGKILL either.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
