package fakehost

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Config describes a host to run.
type Config struct {
	// HostJSON is the path of host.json; its folder is the script root. Required.
	HostJSON string
	// Functions is the folder whose immediate sub-folders hold function.json; "" means the script root.
	Functions string
	// Executable is the handler's program; "" means the one in host.json.
	Executable string

	// Settings are the app settings. They replace %NAME% in bindings, override host.json (AzureFunctionsJobHost__a__b), disable
	// functions (AzureWebJobs.NAME.Disabled), name the storage account, and are variables of the handler.
	Settings map[string]string
	// Env is the handler's environment besides Settings and the host's own variables, as NAME=value. The handler gets nothing
	// else.
	Env []string

	// Client and Credential are for the host's own access to queues, and to the blobs that select one host of several for the
	// timers: a bearer token with each request. Client may be nil. A queue function requires Credential; without it, timers
	// fire in every host.
	Client     *http.Client
	Credential azcore.TokenCredential
	// QueueURL is the queue service behind the connection AzureWebJobsStorage, such as https://ACCOUNT.queue.core.windows.net;
	// "" means the one in Settings.
	QueueURL string
	// Lease is the time for which a message is invisible while it is processed; the host renews it after half of that time. 0
	// means 10 minutes, which are fixed in Azure.
	Lease time.Duration

	// Grace is the time limit of a host that ends by itself: until then it waits for unfinished work, although no handler
	// processes it any more. 0 means the fixed 10 seconds of Azure. Stop always waits 10 seconds.
	Grace time.Duration
	// Notified says that the caller calls Look whenever a message becomes visible; Azure has no such call. Each queue is then
	// polled at the longest interval only, and not sooner after a message.
	Notified bool
	// TimerLease is the time for which a timer belongs to a dead host, 15 to 60 seconds; another host checks at the same
	// interval. 0 means a minute, which is fixed in Azure.
	TimerLease time.Duration

	// Log receives each entry of the host and the handler, one at a time, and none after Stop has returned. It may be nil.
	Log func(Entry)
	// Addr is the address on which the host listens; it must be on loopback. "" means 127.0.0.1 and a free port.
	Addr string
	// Secret is the text of which the access keys are made: hosts of one secret have the same keys. "" means other keys at each
	// Start.
	Secret string
	// RestartHost starts the host again after it shut itself down, as the platform would: it reads the files again and counts
	// crashes from 0; address and keys stay.
	RestartHost bool
}

const (
	// defaultLease is fixed in azure-sdk-for-net, QueueListener.
	defaultLease = 10 * time.Minute
	// platformPause is the time after which a host that shut itself down is started again.
	platformPause = time.Second
)

// Host is a running Functions host. Its methods may be called from any goroutine.
type Host struct {
	config  Config
	journal *journal
	timers  *timerStore
	server  *http.Server
	address string
	keys    keys

	stopped context.Context // ends when Stop or Kill is called
	stop    context.CancelCauseFunc
	done    chan struct{}

	mu       sync.Mutex
	life     *life // nil between two lives
	restarts int   // counts the restarts in earlier lives
	reason   error
}

// Start checks host.json and every function.json, starts the handler and the listeners, and returns without waiting for the
// handler, as the real host does. The context bounds the start only: the Host runs until Stop, or until it shuts itself down.
// The error names each file and its problem.
func Start(ctx context.Context, c Config) (*Host, error) {
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.Grace == 0 {
		c.Grace = grace
	}
	if c.TimerLease == 0 {
		c.TimerLease = defaultTimerLease
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	h := &Host{config: c, journal: &journal{sink: c.Log}, timers: &timerStore{}, done: make(chan struct{})}
	first, err := h.assemble()
	if err != nil {
		return nil, fmt.Errorf("start the Functions host: %w", err)
	}
	h.keys = newKeys(c.Secret)
	listener, err := listenOnLoopback(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("start the Functions host: %w", err)
	}
	h.address = listener.Addr().String()
	h.stopped, h.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	h.server = &http.Server{
		Handler:           http.HandlerFunc(h.serve),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          stdlog.New(io.Discard, "", 0), // the code for a request reports its errors
	}
	go func() { _ = h.server.Serve(listener) }() // ends with Close
	h.begin(first)
	go h.live(first)
	return h, nil
}

// URL returns the host's address, without a slash at the end: http://127.0.0.1:PORT.
func (h *Host) URL() string { return "http://" + h.address }

// Key returns the key that opens the HTTP function; other functions have a key too, but it opens nothing.
func (h *Host) Key(function string) string { return h.keys.function(function) }

// HostKey returns the key that opens all HTTP functions whose authLevel is function.
func (h *Host) HostKey() string { return h.keys.host }

// MasterKey returns the key that opens all HTTP functions and the admin endpoints.
func (h *Host) MasterKey() string { return h.keys.master }

// PID returns the process ID of the handler as it runs now, 0 if it does not run. It changes with each restart.
func (h *Host) PID() int {
	if l := h.current(); l != nil {
		return l.worker.pid()
	}
	return 0
}

// Restarts returns the number of restarts of the handler since Start, for whatever reason.
func (h *Host) Restarts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.restarts
	if h.life != nil {
		n += h.life.worker.restarts()
	}
	return n
}

// Done returns a channel that is closed when the host is down: by Stop, or by itself. Then Err tells which.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err returns the reason why the host shut itself down; nil while it runs, and after Stop.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason
}

// Invoke runs the timer function now, in parallel to its schedule and all other work, and returns its failure. The context
// bounds the waiting only.
func (h *Host) Invoke(ctx context.Context, function string) error {
	l := h.current()
	if l == nil {
		return fmt.Errorf("invoke %s: %w", function, errShuttingDown)
	}
	f := l.function(function)
	if f == nil || f.trigger.Type != timerTrigger {
		return fmt.Errorf("invoke %s: there is no timer function of that name", function)
	}
	if !l.enter() {
		return fmt.Errorf("invoke %s: %w", function, errShuttingDown)
	}
	failure := make(chan error, 1)
	go func() {
		defer l.running.Done()
		failure <- l.runOnce(f, "")
	}()
	select {
	case err := <-failure:
		return err
	case <-ctx.Done():
		return fmt.Errorf("invoke %s: %w", function, context.Cause(ctx))
	}
}

// Look makes the host poll the queue now, before its next regular poll. A caller that saw a message become visible calls it.
func (h *Host) Look(queue string) {
	l := h.current()
	if l == nil {
		return
	}
	for _, q := range l.opened {
		if q.name == queue {
			q.tell()
		}
	}
}

// Stop shuts the host down: listeners stop, running work has 10 seconds, then the handler is killed without a signal before
// it, or left behind as Kill does if the work had not ended. The messages still in progress then come back when their lease
// ends. Later calls wait for the first. The error is the reason if the host had shut itself down before.
func (h *Host) Stop() error {
	h.stop(nil)
	<-h.done
	return h.Err()
}

// Kill ends the host as SIGKILL would: its messages, and the right to its timers, are free when their leases end. Its handler
// is left behind, and dies when it writes its next line, or with this process.
func (h *Host) Kill() {
	h.stop(errLeftBehind)
	<-h.done
}

// live runs one life after another.
func (h *Host) live(l *life) {
	defer close(h.done)
	defer h.journal.close()
	defer h.hangUp()
	defer h.stop(nil)
	for {
		select {
		case <-h.stopped.Done():
			if errors.Is(context.Cause(h.stopped), errLeftBehind) {
				_ = h.server.Close()
				l.giveUp(errLeftBehind)
			}
			h.finish(l)
			return
		case reason := <-l.failed:
			h.journal.say(Error, categoryStartup, "The host shuts down: %v", reason)
			h.finish(l)
			var err error
			if l, err = h.rise(reason); l == nil {
				h.mu.Lock()
				h.reason = err
				h.mu.Unlock()
				return
			}
		}
	}
}

// hangUp sends the last answers and closes the front.
func (h *Host) hangUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.stopped), time.Second)
	defer cancel()
	_ = h.server.Shutdown(ctx)
	_ = h.server.Close()
}

// begin makes a life the current one.
func (h *Host) begin(l *life) {
	l.begin(context.WithoutCancel(h.stopped))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.life = l
}

func (h *Host) finish(l *life) {
	l.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restarts += l.worker.restarts()
	h.life = nil
}

// rise starts the next life if the platform would. If there is none, the error is the reason; nil after Stop.
func (h *Host) rise(reason error) (*life, error) {
	if !h.config.RestartHost {
		return nil, reason
	}
	if !pause(h.stopped, platformPause) {
		return nil, nil
	}
	l, err := h.assemble()
	if err != nil {
		return nil, errors.Join(reason, fmt.Errorf("start the Functions host again: %w", err))
	}
	h.journal.say(Warning, categoryStartup, "The host is started again, as the platform would do")
	h.mu.Lock()
	h.restarts++ // its first process is one more than there were
	h.mu.Unlock()
	h.begin(l)
	return l, nil
}

func (h *Host) current() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

func listenOnLoopback(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on Config.Addr %s: %w", address, err)
	}
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		_ = listener.Close()
		return nil, fmt.Errorf("Config.Addr %s is not on loopback", address)
	}
	return listener, nil
}
