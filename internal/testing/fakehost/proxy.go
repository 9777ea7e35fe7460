package fakehost

import (
	"errors"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// These constants are the number and the pauses of repetitions after a proxied request's connection failed
// (azure-functions-host, RetryProxyHandler): two seconds in all. In each of these tries, .NET itself repeats a request without
// a body if its connection was made and broke (HttpConnectionPool): a handler that closes the connection gets it some 40 times
// in all, as seen.
const (
	proxyRetries      = 10
	brokenRetries     = 3
	firstProxyPause   = 50 * time.Millisecond
	longestProxyPause = 250 * time.Millisecond
	streamAsItComes   = -1 // FlushInterval of httputil.ReverseProxy
)

// errAborted stands for an answer that broke off: the reverse proxy panics then, so that the server closes the connection.
var errAborted = errors.New("the answer broke off")

// proxy streams a request to the handler and the answer back. The handler sees X-Forwarded-For, -Host and -Proto, its own
// address as Host, the host's headers in place of the caller's, and one line for each other header. If the caller goes away,
// the request ends. The invocation counts as a success, whatever the status.
func (l *life) proxy(w http.ResponseWriter, r *http.Request, f *function) {
	id := uuid.NewString()
	started := time.Now()
	failure := errAborted
	defer func() { l.report(id, f, time.Since(started), failure) }()
	if failure = l.await(l.failing); failure != nil {
		plainReply(http.StatusServiceUnavailable).write(w)
		return
	}
	limited, cancel := l.limited(l.broken)
	defer cancel()
	ctx, cancel := whileCalled(limited, r)
	defer cancel()
	target, err := url.Parse(l.worker.url())
	if err != nil {
		failure = err
		plainReply(http.StatusInternalServerError).write(w)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target) // sets Host as well
			p.SetXForwarded()
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.Out.Header = oneLineEach(p.Out.Header)
			p.Out.Header.Set(invocationHeader, id)
			p.Out.Header.Set("x-ms-invocation-id", id)
			trace := strings.ReplaceAll(uuid.NewString(), "-", "")
			p.Out.Header.Set("traceparent", "00-"+trace+"-"+trace[:16]+"-00")
			p.Out.Header.Set(hostVersionHeader, hostVersion)
		},
		Transport:     retrying{l.client.Transport},
		FlushInterval: streamAsItComes,
		ErrorLog:      stdlog.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			failure = because(ctx, err)
			plainReply(http.StatusInternalServerError).write(w)
		},
	}
	_ = http.NewResponseController(w).EnableFullDuplex() // an answer may begin before the request ends; HTTP/1.1 can
	proxy.ServeHTTP(w, r.WithContext(ctx))
	if errors.Is(failure, errAborted) {
		failure = nil
	}
}

// retrying sends a request again while its connection fails, for two seconds. It does not repeat a request if a part of its
// body was read, but it takes as long. A request without a body may run more than once, because a connection that breaks after
// the work began counts too.
type retrying struct{ next http.RoundTripper }

func (t retrying) RoundTrip(r *http.Request) (response *http.Response, err error) {
	body := &watchedBody{ReadCloser: r.Body}
	again := brokenRetries
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = body
		again = 0
	}
	delay := firstProxyPause
	for retry := 0; ; retry++ {
		for i := 0; i <= again && !body.read.Load(); i++ {
			response, err = t.next.RoundTrip(r)
			if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
		}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err == nil || tooLarge || retry == proxyRetries || !pause(r.Context(), delay) {
			return response, err
		}
		delay = min(delay+firstProxyPause, longestProxyPause)
	}
}

// watchedBody records whether it was read, and leaves closing to its server.
type watchedBody struct {
	io.ReadCloser
	read atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

func (b *watchedBody) Close() error { return nil }
