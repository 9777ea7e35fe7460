package fakeazure

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const httpsPort = "443"

// errLoseAnswer, returned with an answer, cuts the connection instead of sending the answer.
var errLoseAnswer = errors.New("answer lost on purpose")

// endpoint answers the requests for its host names. An error cuts the client's connection.
type endpoint func(*http.Request) (*http.Response, error)

// site is an endpoint and its host names.
type site struct {
	knows  func(host string) bool
	answer endpoint
}

// proxy is an HTTP proxy for CONNECT that ends TLS itself. The outer server opens tunnels; the inner one serves the
// requests that come out of them.
type proxy struct {
	authority *authority
	sites     []site
	log       *exchangeLog
	// skew is added to the Date of every answer, in nanoseconds.
	skew atomic.Int64

	listener     net.Listener
	tunnels      *tunnels
	outer, inner *http.Server
}

func newProxy(a *authority) *proxy {
	p := &proxy{authority: a, log: &exchangeLog{}}
	// TLS errors of clients that are killed on purpose are not logged.
	silent := log.New(io.Discard, "", 0)
	p.outer = &http.Server{Handler: http.HandlerFunc(p.connect), ReadHeaderTimeout: readHeaderTimeout, ErrorLog: silent}
	p.inner = &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          silent,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, tunnelKey{}, c.(*tls.Conn).NetConn())
		},
	}
	return p
}

// host adds an endpoint. It may only be called before listen.
func (p *proxy) host(knows func(string) bool, answer endpoint) {
	p.sites = append(p.sites, site{knows, answer})
}

func (p *proxy) find(host string) endpoint {
	for _, s := range p.sites {
		if s.knows(host) {
			return s.answer
		}
	}
	return nil
}

func (p *proxy) listen(port int) error {
	listener, err := listenOn(port)
	if err != nil {
		return err
	}
	p.listener = listener
	p.tunnels = &tunnels{address: listener.Addr(), opened: make(chan net.Conn), closed: make(chan struct{})}
	go func() { _ = p.outer.Serve(listener) }() // both always end with ErrServerClosed
	go func() { _ = p.inner.Serve(p.tunnels) }()
	return nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close ends all connections at once. A request in a hook or at an endpoint ends by itself; its client has gone.
func (p *proxy) close() error { return errors.Join(p.outer.Close(), p.inner.Close()) }

// connect opens a tunnel to a simulated host. Any other host is refused as if its name did not resolve.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(strings.ToLower(r.Host))
	if r.Method != http.MethodConnect || err != nil || port != httpsPort || p.find(host) == nil {
		x := observe(p.log.next(), strings.ToLower(r.Host), r)
		x.Path = ""
		if err == nil {
			x.Host = host
		}
		call := x.call()
		call.Status = http.StatusBadGateway
		p.log.record(call)
		http.Error(w, "simulator: no such host: "+r.Host, http.StatusBadGateway)
		return
	}
	leaf, err := p.authority.leaf(host)
	if err != nil {
		http.Error(w, "simulator: "+err.Error(), http.StatusInternalServerError)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "simulator: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close() // the client has gone
		return
	}
	p.tunnels.hand(tls.Server(&tunnel{Conn: conn, reader: buffered.Reader, host: host}, &tls.Config{
		Certificates: []tls.Certificate{*leaf},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}))
}

// serve handles one request from a tunnel, from its arrival to its answer.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request) {
	host := r.Context().Value(tunnelKey{}).(*tunnel).host
	if name := strings.TrimSuffix(strings.ToLower(r.Host), ":"+httpsPort); name != host {
		http.Error(w, "simulator: this connection is for "+host, http.StatusMisdirectedRequest)
		return
	}
	answer := p.find(host)
	if answer == nil { // the account was detached after CONNECT
		cut()
	}
	body, stream, err := hold(r.Body)
	if err != nil { // the client went away while sending
		cut()
	}
	r.Body = stream
	x := observe(p.log.next(), host, r)
	x.Body = body
	call := x.call()

	resp, replaced := p.act(r, x, answer, &call)
	if resp == nil {
		p.log.record(call)
		cut()
	}
	call.Status, call.Replaced = resp.StatusCode, replaced
	p.log.record(call)
	p.send(w, r, resp)
}

// act lets the hook decide, does the work and lets the hook decide again. If it returns no answer, the connection must be cut,
// and the call has the reason.
func (p *proxy) act(r *http.Request, x Exchange, answer endpoint, call *Call) (resp *http.Response, replaced bool) {
	decision := p.log.decide(x)
	if decision.drop {
		call.Dropped = true
		return nil, false
	}
	if decision.status != 0 {
		return decision.response(), true
	}
	// A request that has arrived is handled even if its client is gone by now.
	resp, err := answer(r.WithContext(context.WithoutCancel(r.Context())))
	if resp == nil {
		call.Dropped = true
		return nil, false
	}
	call.Status = resp.StatusCode
	body, stream, bodyErr := hold(resp.Body)
	if bodyErr != nil {
		call.Dropped = true
		_ = resp.Body.Close() // already failed
		return nil, false
	}
	resp.Body = stream
	x.Phase, x.Status, x.Answer = After, resp.StatusCode, body
	decision = p.log.decide(x)
	if decision.drop || err != nil {
		call.Dropped = true
		_ = resp.Body.Close() // its body is not read
		return nil, false
	}
	if decision.status != 0 {
		_ = resp.Body.Close() // its body is not read
		return decision.response(), true
	}
	return resp, false
}

// send sends the client its answer. A body that breaks off breaks the connection, so that no client treats it as complete.
func (p *proxy) send(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	defer resp.Body.Close()
	header := w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	if r.Method != http.MethodHead && resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent {
		header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	header.Set("Date", p.date(header.Get("Date")))
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		cut()
	}
}

// date applies the skew to an answer's own date, or to the time now.
func (p *proxy) date(own string) string {
	at, err := http.ParseTime(own)
	if err != nil {
		at = time.Now()
	}
	return at.Add(time.Duration(p.skew.Load())).UTC().Format(http.TimeFormat)
}

// cut ends the request's connection without an answer.
func cut() { panic(http.ErrAbortHandler) }

// tunnelKey is the key of a request's tunnel in its context.
type tunnelKey struct{}

// tunnel is a client's connection after CONNECT.
type tunnel struct {
	net.Conn
	reader *bufio.Reader // may hold bytes that the client sent directly after CONNECT
	host   string
}

func (t *tunnel) Read(p []byte) (int, error) { return t.reader.Read(p) }

// tunnels is the inner server's listener: it accepts what connect hands over.
type tunnels struct {
	address net.Addr
	opened  chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (t *tunnels) hand(c net.Conn) {
	select {
	case t.opened <- c:
	case <-t.closed:
		_ = c.Close() // no server will accept it
	}
}

// Accept waits for the next tunnel.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.opened:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// Addr returns the proxy's own address.
func (t *tunnels) Addr() net.Addr { return t.address }
