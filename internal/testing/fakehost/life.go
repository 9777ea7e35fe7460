package fakehost

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// life is one life of the script host, from reading host.json to its stop. The web host around it (Host) has the address, the
// keys and the log, and outlives it.
type life struct {
	hostJSON
	functions []*function
	worker    *worker
	client    *http.Client // to the handler
	log       *journal
	timers    *timerStore
	opened    map[string]*queue // by connection and name
	lease     time.Duration
	told      bool
	grace     time.Duration // the grace for an end by itself
	locks     *locks

	// failing ends when this life has to end by itself, or is stopped: then HTTP calls do not wait for the handler. stopping
	// ends when the host stops taking new work; broken ends when it abandons running work. Each ends the one before.
	failing  context.Context
	stopping context.Context
	stop     context.CancelFunc
	broken   context.Context
	giveUp   context.CancelCauseFunc
	fails    context.CancelFunc

	failed    chan error // reasons for the host to stop; the first counts
	listeners sync.WaitGroup
	child     chan struct{} // closed when the worker is gone

	mu      sync.Mutex
	closing bool
	running sync.WaitGroup // all work
	calls   sync.WaitGroup // the HTTP calls in running
}

const (
	// grace is the time for which a stop waits for running work (azure-functions-host, WebJobsScriptHostService.StopAsync).
	grace = 10 * time.Second
	// longestCalls is the time for which a host that ends by itself waits for HTTP calls before that; mostly they take two
	// seconds. For as long it takes messages, but no handler processes them. Seen with the host 4.1045.
	longestCalls = 30 * time.Second
	// timeoutPause is the time between the failure of an invocation after functionTimeout and the end of the handler. Seen with
	// 4.1045.
	timeoutPause = 2 * time.Second
)

// begin starts the worker and the listeners: the listeners do not wait for the worker.
func (l *life) begin(ctx context.Context) {
	l.broken, l.giveUp = context.WithCancelCause(ctx)
	l.stopping, l.stop = context.WithCancel(l.broken)
	l.failing, l.fails = context.WithCancel(l.stopping)
	l.failed = make(chan error, 1)
	l.child = make(chan struct{})
	go func() {
		defer close(l.child)
		if len(l.functions) == 0 {
			return
		}
		if err := l.worker.run(l.broken); err != nil {
			l.fail(err)
		}
	}()
	for _, f := range l.functions {
		switch {
		case f.disabled:
			l.log.say(Information, categoryStartup, "Function %s is disabled", f.name)
		case f.trigger.Type == timerTrigger:
			l.listeners.Go(func() {
				l.locks.whileHeld(l.stopping, l.broken, f.name, func(held context.Context) { l.runTimer(held, f) })
			})
		case f.trigger.Type == queueTrigger:
			l.listeners.Go(func() { newQueueListener(l, f).run() })
		}
	}
}

// end stops the listeners, waits for running work for at most the grace, and kills the handler. If the grace was not enough,
// the handler is left behind. A life that ends by itself first lets HTTP calls end.
func (l *life) end() {
	timeout := grace
	if l.stopping.Err() == nil && l.failing.Err() != nil {
		timeout = l.grace
		await(&l.calls, longestCalls)
	}
	l.stop()
	var listeners sync.WaitGroup
	listeners.Go(func() {
		l.listeners.Wait()
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.running.Wait()
	})
	var cause error
	if !await(&listeners, timeout) {
		l.log.say(Warning, categoryStartup, "Host did not shut down within its allotted time: running work is given up")
		cause = errLeftBehind
	}
	l.giveUp(cause)
	<-l.child
	listeners.Wait()
	l.client.CloseIdleConnections()
}

// await waits for the work, and returns false if it has not ended by then.
func await(work *sync.WaitGroup, timeout time.Duration) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.Wait()
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// fail starts the end of this life.
func (l *life) fail(err error) {
	l.mu.Lock()
	l.fails() // no HTTP call can enter any more
	l.mu.Unlock()
	select {
	case l.failed <- err:
	default:
	}
}

// enter counts a piece of work in; false means that the host is closing. Every enter that returns true needs a running.Done.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.running.Add(1)
	return true
}

// enterCall is enter for an HTTP call. A host that is about to end does not accept one. It needs leaveCall.
func (l *life) enterCall() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing.Err() != nil {
		return false
	}
	l.running.Add(1)
	l.calls.Add(1)
	return true
}

func (l *life) leaveCall() {
	l.calls.Done()
	l.running.Done()
}

func (l *life) function(name string) *function {
	for _, f := range l.functions {
		if strings.EqualFold(f.name, name) {
			return f
		}
	}
	return nil
}

// errFunctionTimeout is the cause of an invocation's end after functionTimeout.
var errFunctionTimeout = errors.New("timeout value was exceeded by function")

// limited returns a context that ends after functionTimeout, with errFunctionTimeout as its cause. Two seconds later the
// handler is killed with all its other work, once for each timeout (FunctionTimeoutException,
// RestartWorkerWithInvocationIdAsync).
func (l *life) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if l.functionTimeout == 0 {
		return ctx, func() { cancel(context.Canceled) }
	}
	timer := time.AfterFunc(l.functionTimeout, func() {
		cancel(errFunctionTimeout)
		if pause(l.broken, timeoutPause) {
			l.worker.kill(l.broken)
		}
	})
	return ctx, func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}
