package devhost

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// life is one life of the script host: from reading host.json to its stop. The web host around it (Host) has the address,
// the keys and the log, and outlives it.
type life struct {
	hostJSON
	functions []*function
	worker    *worker
	client    *http.Client // to the handler
	log       *journal
	timers    *timerStore
	opened    map[string]*queue // by connection and name
	lease     time.Duration

	// stopping ends when no new work is to be taken; broken ends when running work is given up.
	stopping context.Context
	stop     context.CancelFunc
	broken   context.Context
	giveUp   context.CancelFunc

	failed    chan error // why the host has to stop; the first counts
	listeners sync.WaitGroup
	child     chan struct{} // closed when the worker is gone

	mu      sync.Mutex
	closing bool
	running sync.WaitGroup
}

// grace is how long a stop waits for running work (azure-functions-host, WebJobsScriptHostService.StopAsync).
const grace = 10 * time.Second

// begin starts the worker and the listeners: the listeners do not wait for the worker.
func (l *life) begin(ctx context.Context) {
	l.stopping, l.stop = context.WithCancel(ctx)
	l.broken, l.giveUp = context.WithCancel(ctx)
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
			l.listeners.Go(func() { l.runTimer(f) })
		case f.trigger.Type == queueTrigger:
			l.listeners.Go(func() { newQueueListener(l, f).run() })
		}
	}
}

// end stops the listeners, waits for what runs, but not longer than the grace, and kills the handler.
func (l *life) end() {
	l.stop()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		l.listeners.Wait()
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.running.Wait()
	}()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-drained:
	case <-patience.C:
		l.log.say(Warning, categoryStartup, "Host did not shut down within its allotted time: running work is given up")
	}
	l.giveUp()
	<-l.child
	<-drained
	l.client.CloseIdleConnections()
}

// fail asks for the end of this life.
func (l *life) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// enter counts a piece of work in; false means that the host is closing. Every enter that is true needs a running.Done.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.running.Add(1)
	return true
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

// limited is a context that ends after functionTimeout, with that as its cause, and then has the handler killed with
// everything that it is doing (FunctionTimeoutException, RestartWorkerWithInvocationIdAsync).
func (l *life) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if l.functionTimeout == 0 {
		return ctx, func() { cancel(context.Canceled) }
	}
	timer := time.AfterFunc(l.functionTimeout, func() {
		l.worker.gone() // nothing more is sent to it
		cancel(errFunctionTimeout)
		l.worker.kill(l.broken)
	})
	return ctx, func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}
