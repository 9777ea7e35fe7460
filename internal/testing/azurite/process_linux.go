package azurite

import "syscall"

// endWithParent makes the kernel end the child when this process dies, however it dies: with SIGTERM if the child has data to
// write. The child's own process group keeps a Ctrl-C at the terminal from ending the storage before its users.
func endWithParent(writes bool) *syscall.SysProcAttr {
	signal := syscall.SIGKILL
	if writes {
		signal = syscall.SIGTERM
	}
	return &syscall.SysProcAttr{Pdeathsig: signal, Setpgid: true}
}
