package fakehost

import "syscall"

// endWithParent lets the kernel end the handler when this process dies, however it dies. A process group of its own keeps
// a Ctrl-C at the terminal from it: in Azure there is no signal before SIGKILL either.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
