package azurite

import "syscall"

// endWithParent lets the kernel end the child when this process dies, however it dies. The process group of its own
// keeps a Ctrl-C at the terminal from ending the storage before its users.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
