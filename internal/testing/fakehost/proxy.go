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

// How often and how fast a proxied request is sent again after its connection failed (azure-functions-host,
// RetryProxyHandler): that takes two seconds. In each of these tries, .NET itself sends one without a body again whose
// connection was made and broke (HttpConnectionPool): to a handler that hangs up on it, some 40 times in all, as seen.
const (
	proxyRetries      = 10
	brokenRetries     = 3
	firstProxyPause   = 50 * time.Millisecond
	longestProxyPause = 250 * time.Millisecond
	streamAsItComes   = -1 // FlushInterval of httputil.ReverseProxy
)

// errAborted stands for an answer that broke off: the reverse proxy leaves by a panic then, for the server to hang up.
var errAborted = errors.New("the answer broke off")

// proxy streams a request to the handler and the answer back. The handler sees X-Forwarded-For, -Host and -Proto, its own
// address as Host, the host's headers in place of the caller's, and of other headers a line each. A caller that goes away takes the request along.
// Whatever the status, the invocation counts as a success.
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

// retrying sends a request again while its connection fails, for two seconds. One with a body is not sent again once
// something of that was read, but it takes as long. A request without one may run more than once: also a connection that
// breaks after the work began counts.
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

// watchedBody notes whether it was read, and leaves closing to the server it came from.
type watchedBody struct {
	io.ReadCloser
	read atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

func (b *watchedBody) Close() error { return nil }
