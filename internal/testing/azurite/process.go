package azurite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// errPortTaken means that Azurite ended because another program listens on one of its ports.
var errPortTaken = errors.New("port taken by another program")

// command is the environment of a run of Node.js.
type command struct {
	dir    string // working directory
	env    string // one NAME=value on top of this process's own environment
	output string // file for stdout and stderr
	// held is the lock of the child's data, nil if it keeps none. A child with data gets the time to write them.
	held *os.File
}

// process is a child process that ends with this process.
type process struct {
	cmd    *exec.Cmd
	output string
	ended  chan struct{} // closed when the child is gone; cmd.ProcessState is set then

	stopOnce sync.Once
	stopErr  error
}

// run starts Node.js. The context's cancellation does not reach the child: it ends at Stop, or with this process.
func run(ctx context.Context, args []string, c command) (*process, error) {
	output, err := os.Create(c.output)
	if err != nil {
		return nil, fmt.Errorf("file for Azurite's output: %w", err)
	}
	defer output.Close() // the child has its own descriptor
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "node", args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = endWithParent(c.held != nil)
	if c.held != nil {
		cmd.ExtraFiles = []*os.File{c.held}
	}

	p := &process{cmd: cmd, output: c.output, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends, not the process: keep the thread.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the caller reads the exit from cmd.ProcessState
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run node: %w", err)
	}
	return p, nil
}

// stop ends the child and waits for it. An end that came before the first stop is an error.
func (p *process) stop(timeout time.Duration) error {
	p.stopOnce.Do(func() {
		select {
		case <-p.ended:
			p.stopErr = p.failure()
			return
		default:
		}
		if p.cmd.Process.Signal(syscall.SIGTERM) == nil { // not every system can
			select {
			case <-p.ended:
				return
			case <-time.After(timeout):
			}
		}
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.stopErr = fmt.Errorf("kill process %d: %w", p.cmd.Process.Pid, err)
			return
		}
		<-p.ended
	})
	return p.stopErr
}

// failure returns an error for an unexpected end, with the last output of the child.
func (p *process) failure() error {
	written, err := os.ReadFile(p.output)
	if err != nil {
		return fmt.Errorf("node ended (%s) and its output cannot be read: %w", p.cmd.ProcessState, err)
	}
	if bytes.Contains(written, []byte("EADDRINUSE")) {
		return errPortTaken
	}
	const enough = 2000
	written = bytes.TrimSpace(written[max(0, len(written)-enough):])
	return fmt.Errorf("node ended (%s): %s", p.cmd.ProcessState, written)
}
