package fakeazure

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"
)

// hookLimit is the number of bytes of a body that are held back for hooks; a longer body streams.
const hookLimit = 8 << 20

// Phase is the point of an exchange at which a hook is called.
type Phase string

const (
	// Before: the request has arrived whole and has had no effect yet.
	Before Phase = "Before"
	// After: the work is done and the whole answer is ready, but no part of it has been sent.
	After Phase = "After"
)

// Exchange is one request through the proxy, and its answer, as a hook sees it. Hooks must not change it.
type Exchange struct {
	// ID is the number of the request in its Sim; it is the same Before and After.
	ID    int64
	Phase Phase
	// Host is the name that the client meant, in lower case without port.
	Host   string
	Method string
	// Path is decoded.
	Path  string
	Query url.Values
	// Header is the request's header.
	Header http.Header
	// ObjectID is the caller's object ID in the bearer token, unchecked; "" without a token.
	ObjectID string
	// AuthScheme is "Bearer", "SharedKey" or the like, "SAS" for a signed URL, "" for none.
	AuthScheme string
	// Body is the request's body. If it has more than 8 MiB, Body is only the beginning, and the rest still streams Before.
	Body []byte
	// Status and Answer are the answer's status and body, only After; a body of more than 8 MiB is as in Body.
	Status int
	Answer []byte
}

// Decision is a hook's decision about an exchange.
type Decision struct {
	drop   bool
	status int
	header http.Header
	body   []byte
}

var (
	// Pass lets the exchange go on.
	Pass = Decision{}
	// Drop cuts the client's connection. Before: the request had no effect. After: it had its effect and the answer is lost.
	// (Go's HTTP client silently repeats a GET that dies on a connection it had used before.)
	Drop = Decision{drop: true}
)

// Answer sends this answer instead. Before: the request had no effect, and there is no After. After: it had its effect, but an
// intermediary answered otherwise, as a gateway that timed out.
func Answer(status int, header http.Header, body []byte) Decision {
	return Decision{status: status, header: header, body: body}
}

func (v Decision) response() *http.Response {
	header := v.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	return newResponse(v.status, header, v.body)
}

// newResponse builds an answer of known length.
func newResponse(status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		StatusCode:    status,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// Call is a finished exchange. It is recorded just before its answer is sent.
type Call struct {
	ID int64
	// Start is the time at which the request had arrived. End is the time at which its answer was ready or the connection was
	// cut.
	Start, End   time.Time
	Host, Method string
	Path         string
	RawQuery     string
	ObjectID     string
	AuthScheme   string
	// Status is the answer's status; 0 when the request was dropped before it had an effect. A refused CONNECT has 502.
	Status int
	// Dropped tells that the client never got the answer because the connection was cut on purpose or because the server behind
	// the proxy failed.
	Dropped bool
	// Replaced tells that a hook gave the answer.
	Replaced bool
}

// Intercept calls the hook for every request through the proxy, twice: Before and After. The hook runs synchronously on the
// request's own goroutine, so it may block and may be called concurrently. A new hook replaces the old one; nil removes it.
func (s *Sim) Intercept(hook func(Exchange) Decision) {
	l := s.proxy.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = hook
}

// Query returns the values of the query string.
func (c Call) Query() url.Values {
	values, _ := url.ParseQuery(c.RawQuery)
	return values
}

// Calls returns the finished exchanges in the order in which they ended. The caller does not change them: they are not copied.
func (s *Sim) Calls() []Call {
	l := s.proxy.log
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.calls)
}

// exchangeLog numbers, shows and records exchanges.
type exchangeLog struct {
	mu    sync.Mutex
	last  int64
	hook  func(Exchange) Decision
	calls []Call
}

func (l *exchangeLog) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return l.last
}

func (l *exchangeLog) decide(x Exchange) Decision {
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	if hook == nil {
		return Pass
	}
	return hook(x)
}

func (l *exchangeLog) record(c Call) {
	c.End = time.Now()
	// These are parts of the text of the whole request, which they would keep in memory.
	c.Host, c.Method, c.Path, c.AuthScheme = kept(c.Host), kept(c.Method), kept(c.Path), kept(c.AuthScheme)
	c.RawQuery, c.ObjectID = kept(c.RawQuery), kept(c.ObjectID)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

// kept returns a copy of the text, one for all that are equal.
func kept(text string) string { return unique.Make(text).Value() }

// observe reads the caller and the resource from the request.
func observe(id int64, host string, r *http.Request) Exchange {
	x := Exchange{
		ID: id, Phase: Before, Host: host, Method: r.Method, Path: r.URL.Path,
		Query: r.URL.Query(), Header: r.Header,
	}
	x.AuthScheme, _, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	if x.AuthScheme == "" && x.Query.Has("sig") {
		x.AuthScheme = "SAS"
	}
	if token, ok := bearer(r); ok {
		if c, err := decodeClaims(token); err == nil {
			x.ObjectID = c.ObjectID
		}
	}
	return x
}

func (x Exchange) call() Call {
	return Call{
		ID: x.ID, Start: time.Now(), Host: x.Host, Method: x.Method, Path: x.Path, RawQuery: x.Query.Encode(),
		ObjectID: x.ObjectID, AuthScheme: x.AuthScheme,
	}
}

// bearer returns the token of a request.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer")
}

// hold reads a body up to hookLimit and returns what it read, and a body that gives everything.
func hold(body io.ReadCloser) ([]byte, io.ReadCloser, error) {
	head, err := io.ReadAll(io.LimitReader(body, hookLimit))
	if err != nil {
		return nil, nil, err
	}
	rest := io.MultiReader(bytes.NewReader(head), body)
	return head, struct {
		io.Reader
		io.Closer
	}{rest, body}, nil
}
