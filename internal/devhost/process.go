package devhost

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// pipePatience is how long output is still read after the handler's end: a grandchild may hold the pipes open.
const pipePatience = time.Second

// rememberedLines of stderr go into the report of a crash.
const rememberedLines = 3

// process is one life of the handler.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone and its output was read

	mu    sync.Mutex
	words []string // the last lines of stderr
}

// startProcess runs the handler: its own environment, output read line by line, stdin not connected. A killed host takes
// the handler along.
func startProcess(ctx context.Context, h customHandler, environment []string, log *journal) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), h.executable, h.arguments...)
	cmd.Dir, cmd.Env = h.workingDirectory, environment
	cmd.WaitDelay = pipePatience
	cmd.SysProcAttr = endWithParent()

	p := &process{cmd: cmd, ended: make(chan struct{})}
	stdout := &console{each: func(line string) { log.say(Information, CategoryConsole, "%s", line) }}
	stderr := &console{each: func(line string) {
		p.remember(line)
		log.say(errorLevel(line, h.stderrIsErrors), CategoryConsole, "%s", line)
	}}
	cmd.Stdout, cmd.Stderr = stdout, stderr

	started := make(chan error)
	go func() {
		// Linux ties the parent-death signal to the thread that forked: it must live as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in cmd.ProcessState
			stdout.flush()
			stderr.flush()
			close(p.ended)
		}
	}()
	return p, <-started
}

func (p *process) remember(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.words = append(p.words, line)
	p.words = p.words[max(0, len(p.words)-rememberedLines):]
}

func (p *process) lastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.words, " | ")
}

// kill ends the process, and only it, as Process.Kill does: its children stay.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if it is gone already
	<-p.ended
}

// pid is 0 when the process is gone.
func (p *process) pid() int {
	select {
	case <-p.ended:
		return 0
	default:
		return p.cmd.Process.Pid
	}
}

// exitCode is that of .NET: 128 and the signal where one ended the process. Valid when ended is closed.
func (p *process) exitCode() int {
	if signal, ok := deadlySignal(p.cmd.ProcessState); ok {
		return 128 + signal
	}
	return p.cmd.ProcessState.ExitCode()
}
