package fakehost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// These constants are the restart policy (azure-functions-host, HttpFunctionInvocationDispatcher and WorkerProcess).
const (
	// exitWanted is the exit code by which a handler asks for a restart.
	exitWanted = 200
	// mostErrors is the number of errors in a row that stops the host, if each came within errorWindow of the one before.
	mostErrors  = 3
	errorWindow = 30 * time.Minute
	// readinessPause is the time between two checks of a handler that does not listen yet.
	readinessPause = 25 * time.Millisecond
	// invocationTimeout is the number of initializationTimeouts for which an invocation waits for the handler: a start and 3
	// restarts.
	invocationTimeout = 4
)

var (
	errTooManyErrors  = errors.New("exceeded http worker restart retry count, shutting down Functions host")
	errInitialization = errors.New("initialization timed out and host is shutting down")
	errShuttingDown   = errors.New("the Functions host is shutting down")
	// errLeftBehind is the cause of the end of a host that leaves its handler running.
	errLeftBehind = errors.New("the Functions host is gone, and its handler is left behind")
)

// worker keeps the handler running.
type worker struct {
	handler     customHandler
	environment []string
	client      *http.Client
	port        int // the same for every start
	log         *journal

	restart chan struct{} // a function timed out: kill and start again

	mu      sync.Mutex
	process *process
	ready   chan struct{} // closed when the handler has answered; replaced after each end
	starts  int
}

// newWorker prepares the handler's environment: the base, the app settings, and the host's own variables on top.
func newWorker(h hostJSON, client *http.Client, log *journal, base []string, app settings) (*worker, error) {
	port := h.handler.port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	w := &worker{
		handler: h.handler, client: client, port: port, log: log, restart: make(chan struct{}), ready: make(chan struct{}),
	}
	own, id := strconv.Itoa(port), uuid.NewString()
	w.environment = slices.Clone(base)
	for name, value := range app {
		w.environment = append(w.environment, name+"="+value)
	}
	w.environment = append(w.environment,
		"FUNCTIONS_CUSTOMHANDLER_PORT="+own, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id,
		"FUNCTIONS_HTTPWORKER_PORT="+own, "FUNCTIONS_HTTPWORKER_ID="+id,
		"FUNCTIONS_APP_ROOT_PATH="+h.root)
	w.handler.resolve(w.variable)
	return w, nil
}

// variable finds a name in the handler's environment; the last entry counts.
func (w *worker) variable(name string) (string, bool) {
	for _, variable := range slices.Backward(w.environment) {
		if key, value, _ := strings.Cut(variable, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// url returns the handler's address, without a path.
func (w *worker) url() string { return "http://127.0.0.1:" + strconv.Itoa(w.port) }

// run starts the handler and starts it again as the policy says, until the context ends. After an error the host has to stop.
func (w *worker) run(ctx context.Context) error {
	var last time.Time
	for count := 0; ; {
		p, err := w.start(ctx)
		if err != nil {
			// There is no retry: the first invocation finds out that the handler never comes.
			w.log.say(Error, categoryWorker, "Failed to start worker process %s: %v", w.handler.executable, err)
			<-ctx.Done()
			return nil
		}
		err = w.supervise(ctx, p)
		w.gone()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			continue
		}
		w.log.say(Error, categoryWorker, "%v", err)
		if now := time.Now(); now.Sub(last) < errorWindow {
			count++
			last = now
		} else {
			count, last = 1, now
		}
		if count == mostErrors {
			return fmt.Errorf("%w: %w", errTooManyErrors, err)
		}
	}
}

func (w *worker) start(ctx context.Context) (*process, error) {
	p, err := startProcess(ctx, w.handler, w.environment, w.log)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.process = p
	w.starts++
	n := w.starts
	w.mu.Unlock()
	w.log.say(Information, categoryWorker, "Worker process started, pid %d, port %d, start %d", p.cmd.Process.Pid, w.port, n)
	return p, nil
}

// gone makes invocations wait for the next process.
func (w *worker) gone() {
	w.client.CloseIdleConnections()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = make(chan struct{})
}

// supervise watches one process. It returns when the process is gone and another one is wanted: nil if a call requested it, an
// error if the process crashed or was not ready in time. After exit code 0 it waits forever, and so does every invocation
// until its time limit. A dying host leaves the process behind.
func (w *worker) supervise(ctx context.Context, p *process) error {
	defer func() {
		if errors.Is(context.Cause(ctx), errLeftBehind) {
			p.abandon()
		} else {
			p.kill()
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- w.awaitReady(ctx) }()
	ended := p.ended
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.restart:
			w.gone()
			w.log.say(Warning, categoryWorker, "Killing worker process %d and all that it is doing", p.cmd.Process.Pid)
			return nil
		case err := <-ready:
			if err != nil {
				return err
			}
			if ended == nil {
				continue // the process exited with 0 just after
			}
			w.mu.Lock()
			close(w.ready)
			w.mu.Unlock()
			w.log.say(Information, categoryWorker, "Worker process initialized")
		case <-ended:
			switch code := p.exitCode(); code {
			case 0:
				ended = nil
				w.gone()
				w.log.say(Warning, categoryWorker, "Worker process exited with code 0: it is not started again")
			case exitWanted:
				return nil
			default:
				return fmt.Errorf("worker process exited with code %d; its last words: %q", code, p.lastWords())
			}
		}
	}
}

// awaitReady sends requests until there is an answer, with any content. Only a refused connection means that the handler is
// not ready; only the pauses count (DefaultHttpWorkerService.IsWorkerReady, Utility.DelayAsync).
func (w *worker) awaitReady(ctx context.Context) error {
	for waited := time.Duration(0); waited < w.handler.initializationTimeout; waited += readinessPause {
		err := w.ping(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("worker process did not answer GET /: %w", err)
		}
		if !pause(ctx, readinessPause) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("worker process did not listen on port %d within %s", w.port, w.handler.initializationTimeout)
}

func (w *worker) ping(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url()+"/", nil)
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close()
}

// await returns when the handler has answered. Its error is errInitialization after the time limit, or errShuttingDown when
// the context ends.
func (w *worker) await(ctx context.Context) error {
	timeout := time.NewTimer(invocationTimeout * w.handler.initializationTimeout)
	defer timeout.Stop()
	for {
		w.mu.Lock()
		ready := w.ready
		w.mu.Unlock()
		select {
		case <-ready:
			return nil
		default:
		}
		look := time.NewTimer(readinessPause) // a restart puts another channel there
		select {
		case <-ready:
			look.Stop()
			return nil
		case <-look.C:
		case <-timeout.C:
			return errInitialization
		case <-ctx.Done():
			return errShuttingDown
		}
	}
}

// kill makes the worker kill the handler with all its work and start it again.
func (w *worker) kill(ctx context.Context) {
	select {
	case w.restart <- struct{}{}:
	case <-ctx.Done():
	}
}

func (w *worker) pid() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil {
		return 0
	}
	return w.process.pid()
}

// restarts returns the number of times that the handler was started again.
func (w *worker) restarts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(0, w.starts-1)
}

// The random start keeps processes apart; counting keeps the hosts of one process apart.
var (
	portOffset = rand.Uint32N(1 << 16)
	portCount  atomic.Uint32
)

// freePort searches below the ports that systems assign themselves, so that no outgoing connection takes the port while the
// handler is down.
func freePort() (int, error) {
	const first, count, attempts = 20000, 10000, 100
	var err error
	for range attempts {
		port := first + (portOffset+portCount.Add(1))%count
		var listener net.Listener
		if listener, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(int(port))); err == nil {
			return int(port), listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// pause waits, and returns false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
