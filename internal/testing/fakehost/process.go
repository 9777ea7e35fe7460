package fakehost

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// pipeTimeout is the time for which output is still read after the handler's end: a grandchild may hold the pipes open.
const pipeTimeout = time.Second

// rememberedLines is the number of lines of stderr in the report of a crash.
const rememberedLines = 3

// process is one life of the handler.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone and its output was read

	outlets []*os.File // this process's ends of its stdout and stderr
	reading sync.WaitGroup

	mu    sync.Mutex
	words []string // the last lines of stderr
}

// startProcess runs the handler: its own environment, output read line by line, stdin not connected. When this process
// dies, the handler dies with it.
func startProcess(ctx context.Context, h customHandler, environment []string, log *journal) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), h.executable, h.arguments...)
	cmd.Dir, cmd.Env = h.workingDirectory, environment
	cmd.SysProcAttr = endWithParent()

	p := &process{cmd: cmd, ended: make(chan struct{})}
	stdout, err := p.outlet(func(line string) { log.say(Information, CategoryConsole, "%s", line) })
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	cmd.Stdout = stdout
	stderr, err := p.outlet(func(line string) {
		p.remember(line)
		log.say(errorLevel(line, h.stderrIsErrors), CategoryConsole, "%s", line)
	})
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stderr = stderr

	started := make(chan error)
	go func() {
		// Linux ties the parent-death signal to the thread that forked: it must live as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // cmd.ProcessState has the exit
			for _, outlet := range p.outlets {
				_ = outlet.SetReadDeadline(time.Now().Add(pipeTimeout))
			}
			p.reading.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// outlet returns the handler's end of a pipe, and passes on the lines from it.
func (p *process) outlet(each func(line string)) (*os.File, error) {
	ours, its, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.outlets = append(p.outlets, ours)
	p.reading.Go(func() {
		defer ours.Close()
		lines := &console{each: each}
		_, _ = io.Copy(lines, ours) // until the handler's end, or this process's
		lines.flush()
	})
	return its, nil
}

// abandon leaves the process running, as a dying host does: it ends by itself when it writes its next line.
func (p *process) abandon() {
	for _, outlet := range p.outlets {
		_ = outlet.Close()
	}
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
	_ = p.cmd.Process.Kill() // it fails only if the process is gone already
	<-p.ended
}

// pid returns the process ID, or 0 when the process is gone.
func (p *process) pid() int {
	select {
	case <-p.ended:
		return 0
	default:
		return p.cmd.Process.Pid
	}
}

// exitCode returns the exit code as .NET does: 128 and the signal if a signal ended the process. It is valid when ended is
// closed.
func (p *process) exitCode() int {
	if signal, ok := deadlySignal(p.cmd.ProcessState); ok {
		return 128 + signal
	}
	return p.cmd.ProcessState.ExitCode()
}
