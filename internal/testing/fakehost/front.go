package fakehost

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// frontLimit is the time after which Azure's load balancer stops waiting for an answer, in every plan.
	frontLimit = 230 * time.Second
	// largestBody is the size limit of a request's body (azure-functions-host, Program.cs).
	largestBody = 104857600
)

// reply is a complete answer to a caller.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func plainReply(status int) reply { return reply{status: status} }

func (r reply) write(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // the caller may be gone
}

// These are Kestrel's limits, as seen with the host 4.1045: 414 and 431 beyond them.
const (
	longestRequestLine = 8 << 10
	longestHeaders     = 32 << 10
)

// serve is the host's HTTP front.
func (h *Host) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := cleanPath(r)
	switch {
	case len(r.Method+" "+r.RequestURI+" "+r.Proto+"\r\n") > longestRequestLine:
		hangUp(w, http.StatusRequestURITooLong)
		return
	case headerSize(r) > longestHeaders:
		hangUp(w, http.StatusRequestHeaderFieldsTooLarge)
		return
	case !ok:
		hangUp(w, http.StatusBadRequest)
		return
	}
	r.URL.Path, r.URL.RawPath = path, ""
	l := h.current()
	if l == nil {
		plainReply(http.StatusServiceUnavailable).write(w)
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/admin/functions/"); ok {
		h.serveAdmin(w, r, l, name)
		return
	}
	f, parameters := l.find(r)
	switch {
	case f == nil && r.URL.Path == "/":
		plainReply(http.StatusOK).write(w) // the landing page
	case f == nil:
		plainReply(http.StatusNotFound).write(w)
	case !h.keys.admit(r, f):
		plainReply(http.StatusUnauthorized).write(w)
	case r.ContentLength > largestBody: // Kestrel does not wait for a body with a declared length over the limit
		hangUp(w, http.StatusInternalServerError)
	case !l.enterCall():
		plainReply(http.StatusServiceUnavailable).write(w)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, largestBody)
		l.serveFunction(w, r, f, parameters)
	}
}

// hangUp answers a request that Kestrel refuses before any function is searched.
func hangUp(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close")
	plainReply(status).write(w)
}

// headerSize returns the approximate size of the headers in bytes.
func headerSize(r *http.Request) int {
	n := len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": \r\n") + len(value)
		}
	}
	return n
}

// find returns the first function whose route matches, in the order of their names: a more specific one does not go before
// (azure-functions-host issues 3153 and 9876, and as seen with 4.1045). Disabled functions have no route.
func (l *life) find(r *http.Request) (*function, map[string]string) {
	for _, f := range l.functions {
		if f.trigger.Type != httpTrigger || f.disabled {
			continue
		}
		if parameters, ok := f.route.match(r.Method, r.URL.Path); ok {
			return f, parameters
		}
	}
	return nil, nil
}

// serveFunction answers in one of the three ways. Proxying comes before forwarding; the Data and Metadata protocol serves
// functions with other bindings, or with both switched off. The request is already counted.
func (l *life) serveFunction(w http.ResponseWriter, r *http.Request, f *function, parameters map[string]string) {
	connection := http.NewResponseController(w)
	release := context.AfterFunc(l.broken, func() { // a slow caller does not delay the end; answers until then go out
		_ = connection.SetReadDeadline(time.Now())
		_ = connection.SetWriteDeadline(time.Now().Add(time.Second))
	})
	defer release()
	switch {
	case f.plainHTTP() && l.handler.proxying:
		defer l.leaveCall()
		l.proxy(w, r, f)
	case f.plainHTTP() && l.handler.forwarding && r.ContentLength < 0: // the host cannot read it, and does not call the handler
		l.leaveCall()
		plainReply(http.StatusInternalServerError).write(w)
	case f.plainHTTP() && l.handler.forwarding:
		l.detached(w, r, func(body []byte) reply { return l.forward(r, f, body) })
	default:
		l.detached(w, r, func(body []byte) reply { return l.invokeHTTP(r, f, parameters, body) })
	}
}

// detached reads a body with a declared length, as these two ways do, and answers with the func's result. The func runs to its
// end even if the caller is gone, or got its answer from the load balancer after 230 seconds.
func (l *life) detached(w http.ResponseWriter, r *http.Request, answer func(body []byte) reply) {
	var body []byte
	if r.ContentLength > 0 {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil { // the caller broke off: the length was checked before
			l.leaveCall()
			plainReply(http.StatusBadRequest).write(w)
			return
		}
	}
	done, written := make(chan reply, 1), make(chan struct{})
	defer close(written)
	go func() {
		defer l.leaveCall()
		done <- answer(body)
		<-written
	}()
	limit := time.NewTimer(frontLimit)
	defer limit.Stop()
	select {
	case a := <-done:
		a.write(w)
	case <-limit.C:
		plainReply(http.StatusBadGateway).write(w)
	case <-r.Context().Done():
	}
}

// serveAdmin runs a function, now and in the background. For a queue function the body's input is the message's text. A
// function with an HTTP trigger is accepted too, and fails in the log.
func (h *Host) serveAdmin(w http.ResponseWriter, r *http.Request, l *life, name string) {
	f := l.function(name)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var body struct{ Input string }
	switch {
	case !equal(presented(r), h.keys.master):
		plainReply(http.StatusUnauthorized).write(w)
	case f == nil || f.disabled:
		plainReply(http.StatusNotFound).write(w)
	case r.Method != http.MethodPost:
		plainReply(http.StatusMethodNotAllowed).write(w)
	case r.ContentLength != 0 && media != "application/json":
		plainReply(http.StatusUnsupportedMediaType).write(w)
	case json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&body) != nil: // an empty body too
		plainReply(http.StatusBadRequest).write(w)
	case !l.enter():
		plainReply(http.StatusServiceUnavailable).write(w)
	default:
		go func() {
			defer l.running.Done()
			if f.trigger.Type == httpTrigger {
				l.report(uuid.NewString(), f, 0, errors.New("the function has an HTTP trigger, and got no request"))
				return
			}
			_ = l.runOnce(f, body.Input) // the log has the error
		}()
		plainReply(http.StatusAccepted).write(w)
	}
}

// runOnce runs a timer or queue function besides its trigger. The input does not come from a message.
func (l *life) runOnce(f *function, input string) error {
	metadata := sys(f)
	var value any
	if f.trigger.Type == timerTrigger {
		value = timerInfo(f, timerStatus{}, false)
	} else {
		metadata["DequeueCount"] = 0
		value = messageValue(f, []byte(input), metadata)
	}
	_, err := l.invoke(f, value, metadata)
	return err
}

// errFrontLimit is the cause of the end of a proxied request that took too long for Azure's load balancer.
var errFrontLimit = errors.New("no answer within 230 seconds")

// whileCalled returns a context that also ends with the caller's request, and after the time limit of the load balancer.
func whileCalled(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.Context(), func() { cancel(context.Cause(r.Context())) })
	limit := time.AfterFunc(frontLimit, func() { cancel(errFrontLimit) })
	return ctx, func() {
		stop()
		limit.Stop()
		cancel(context.Canceled)
	}
}
