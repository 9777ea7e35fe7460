// Package handler turns the calls of the Functions host into calls of the engine, and their results into answers and log
// lines. Each function of the folder functions/ has a file of its name here, except for dead letters: their functions stand in
// deadletter.go and backup.go.
package handler

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
)

// Config has the parts of a handler.
type Config struct {
	Engine *engine.Engine
	// Plans reads plan.yaml each time: an edit has an effect from the next timer run or request on.
	Plans *plans.Store
	// Warnings are about probable mistakes in plan.yaml, as it was read last, each with its line; nil for none.
	Warnings func() []string
	// Poison returns the number of messages in a queue, and the time at which the first visible one is deleted, zero if none is
	// visible; it is nil if storage cannot be asked.
	Poison func(ctx context.Context, queue string) (n int, first time.Time, err error)
	// Broken is the mistake in the app settings, nil if they can be used. The process serves all the same: if it ended, the
	// host would start it three times and then stop for good, and no caller would get the reason.
	Broken error
	Log    zerolog.Logger
	// Version is the version of the program's source.
	Version string
	// TimeZones is the version of the time zones of schedules.
	TimeZones string
	// Now measures the time of an invocation.
	Now func() time.Time
	// Host is the app's public host name, for URLs in answers if the Functions host does not give it; Secure means HTTPS.
	Host   string
	Secure bool
}

// Deadline is the time limit of an invocation. It is below host.json's functionTimeout: after that the host kills the process
// with all its invocations.
const Deadline = 4 * time.Minute

// function serves the timer and queue triggers: it handles one invocation, and returns its results for the log line. After
// an error the host delivers a queue message again.
type function func(ctx context.Context, in invocation) (did fields, err error)

// messageHandler handles the message of one invocation of a queue trigger.
type messageHandler func(ctx context.Context, in invocation, message []byte) (did fields, err error)

// queued returns the function of a queue trigger, which handles the message of the invocation.
func queued(handle messageHandler) function {
	return func(ctx context.Context, in invocation) (fields, error) {
		message, err := in.message("message")
		if err != nil {
			return nil, err
		}
		return handle(ctx, in, message)
	}
}

// single takes a batch of requests apart: each of them goes to the queue of requests as a message of its own. It leaves any other
// message to handle.
func (h *handler) single(queue string, handle messageHandler) messageHandler {
	return func(ctx context.Context, in invocation, message []byte) (fields, error) {
		first := request.Original(message, in.Inserted)
		original, sent := first.Message, first.Sent
		batch := request.Batch(original)
		if batch == nil {
			return handle(ctx, in, message)
		}
		note := fmt.Sprintf("a batch of %d: each is sent as a message of its own", len(batch))
		return fields{"queue": queue, "note": note}, h.Engine.TakeApart(ctx, queue, batch, sent)
	}
}

// fields of a log line, at its top level so that they can be queried: run, target, …
type fields map[string]any

// say adds a reason, if there is one.
func (f fields) say(why backup.Reason) {
	if why.Code != "" {
		f["code"], f["reason"] = why.Code, why.Message
	}
	if why.RequestID != "" {
		f["x-ms-client-request-id"] = why.RequestID
	}
}

// handler is the HTTP handler with its routes.
type handler struct {
	Config
	functions map[string]function

	warning sync.Mutex
	// warned are the last warnings that this process has logged.
	warned   []string
	poison   poison
	standing standing
}

// New returns the HTTP handler for the port that the Functions host gives the process. It copies the engine, so that the events
// of the engine are logged too.
func New(c Config) http.Handler {
	if c.Engine != nil {
		engine := *c.Engine
		engine.Queue = logged{engine.Queue, c.Log}
		engine.Manifests = loggedManifests{engine.Manifests, c.Log}
		c.Engine = &engine
	}
	h := &handler{Config: c}
	h.functions = map[string]function{
		"schedule":           h.schedule,
		"execute":            queued(h.execute),
		"cleanup":            h.cleanup,
		"deadletter-execute": queued(h.owned(backup.ExecuteQueue+backup.Poison, h.deadletter)),
		"restore":            queued(h.owned(backup.RestoreQueue, h.single(backup.RestoreQueue, h.restore))),
		"deadletter-restore": queued(h.owned(backup.RestoreQueue+backup.Poison, h.single(backup.RestoreQueue, h.deadletterRestore))),
		"backup":             queued(h.owned(backup.BackupQueue, h.single(backup.BackupQueue, h.backup))),
		"deadletter-backup":  queued(h.owned(backup.BackupQueue+backup.Poison, h.single(backup.BackupQueue, h.deadletterBackup))),
	}
	return h
}

// ServeHTTP distinguishes the host's three kinds of request: a probe, the invocation of a function, a caller's request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		// The host asks every 25 ms until it gets any answer, and now and then later on.
		w.WriteHeader(http.StatusOK)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), Deadline)
	defer cancel()
	r = r.WithContext(ctx)
	name := strings.TrimPrefix(r.URL.Path, "/")
	if f, ok := h.functions[name]; ok && r.Method == http.MethodPost {
		h.invoke(w, r, name, f)
		return
	}
	h.call(w, r)
}

// invoke runs a function, logs one line about it, and answers the host.
func (h *handler) invoke(w http.ResponseWriter, r *http.Request, name string, f function) {
	started := h.Now()
	in, err := readInvocation(r)
	var did fields
	if err == nil {
		err = h.recovered(name, func() (err error) {
			did, err = f(r.Context(), in)
			return err
		})
	}
	h.poison.failed(name, in.Inserted, err)
	line := h.Log.Err(err).Str("function", name).Str("invocation", in.ID).Dur("ms", h.Now().Sub(started))
	if in.DequeueCount != "" && in.DequeueCount != "1" {
		line.Str("delivery", in.DequeueCount)
	}
	line.Fields(map[string]any(did)).Msg(name)
	answer(w, err)
}

// recovered turns a panic into an error, so that one bad message does not take the other invocations down with it.
func (h *handler) recovered(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			h.Log.Error().Str("function", what).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("panic")
			err = fmt.Errorf("%w in %s: %v", errPanic, what, p)
		}
	}()
	// A message that the host gave up is kept even so: that needs only storage, and the host delivers it five times, and never
	// again.
	if keeps := h.Engine != nil && poisonQueues[what] != ""; h.Broken != nil && !keeps && what != "live" {
		return h.Broken
	}
	return f()
}
