package azurite

import "syscall"

// endWithParent makes the kernel end the child when this process dies, however it dies. The child's own process group keeps a
// Ctrl-C at the terminal from ending the storage before its users.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
