// Package client calls the API of a Lifeboat app for the commands.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/text"
)

// Client calls the API of one app. Its key goes only there: it follows no redirect, and uses only the path of a link.
type Client struct {
	origin string // scheme and host
	key    string
	wrong  string    // the words for a key that the app does not accept
	log    io.Writer // gets a line before each repeated call
	http   *http.Client
}

// New reads LIFEBOAT_URL and LIFEBOAT_KEY, or for the function health LIFEBOAT_HEALTH_KEY if that is set. An error says which of
// them cannot be used. No error repeats them: a URL may hold a key, too. Before the client repeats a call, it writes a line to
// log.
func New(getenv func(string) string, health bool, log io.Writer) (Client, error) {
	setting := func(name string) string { return strings.TrimSpace(getenv(name)) }
	address, key := setting("LIFEBOAT_URL"), setting("LIFEBOAT_KEY")
	name, function := "LIFEBOAT_KEY", "api"
	wanted := name
	if health {
		function, wanted = "health", "LIFEBOAT_HEALTH_KEY"
		if own := setting("LIFEBOAT_HEALTH_KEY"); own != "" || key == "" {
			name, key = "LIFEBOAT_HEALTH_KEY", own
		}
	}
	if address == "" || key == "" {
		return Client{}, errors.New("set LIFEBOAT_URL to the app's address, such as https://contoso.azurewebsites.net, and " +
			name + " to a key of its function " + function)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}) ||
		strings.Trim(u.Path, "/") != "" {
		return Client{}, errors.New("LIFEBOAT_URL must be a scheme and a host alone, such as https://contoso.azurewebsites.net")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" &&
		(u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return Client{}, errors.New("LIFEBOAT_URL must begin with https://, or the key could be read on its way")
	}
	return Client{
		origin: u.Scheme + "://" + u.Host, key: key, log: log,
		wrong: fmt.Sprintf("%s is not a key of this app's function %s, nor a host key: set %s to one that "+
			"`az functionapp function keys list -g GROUP -n APP --function-name %s` lists", name, function, wanted, function),
		http: &http.Client{
			Timeout: 2 * time.Minute,
			// Go removes Authorization from a request that is redirected to another host, but no header that it does not know.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Call is one call of the API; it can be repeated.
type Call struct {
	Method, Path string // path with its query
	Body         any
	RequestID    string // makes a repeated POST the same request; empty: none
	// Expected tells whether a refusal is an answer all the same.
	Expected func(status int, body []byte) bool
	// Following says that the address worked before, so that a connection that cannot be made is tried again, and that it is
	// tried ten times instead of five.
	Following bool
	// Once says that the call is not repeated: the answer is not worth the wait.
	Once bool
}

// Answer is an answer of the API: a status below 300 or an expected one, JSON, and the links of the header as paths of the same
// app.
type Answer struct {
	Body       []byte
	Operation  string        // path of Operation-Location; empty: none
	RetryAfter time.Duration // 0: none
}

// ErrStopped says that the person does not want to wait any longer.
var ErrStopped = errors.New("stopped")

// Do calls the API until it answers, at most five times, or ten, or once: 1, 2, 4 s and so on after one another, but never more than
// 30, or after Retry-After.
func (x Client) Do(ctx context.Context, c Call) (Answer, error) {
	tries, pause := 5, time.Second
	switch {
	case c.Following:
		tries = 10
	case c.Once:
		tries = 1
	}
	for try := 1; ; try++ {
		a, again, err := x.once(ctx, c)
		if ctx.Err() != nil {
			return Answer{}, ErrStopped
		}
		if err == nil || !again || try >= tries {
			return a, err
		}
		wait := cmp.Or(a.RetryAfter, pause)
		fmt.Fprintf(x.log, "%v; trying again in %s\n", err, wait)
		if !Sleep(ctx, wait) {
			return Answer{}, ErrStopped
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// once calls the API once, and tells whether the same call may succeed later.
func (x Client) once(ctx context.Context, c Call) (a Answer, again bool, err error) {
	path, _, _ := strings.Cut(c.Path, "?")
	fail := func(err error) error { return fmt.Errorf("%s %s%s: %w", c.Method, x.origin, path, err) }
	var body io.Reader
	if c.Body != nil {
		text, err := json.Marshal(c.Body)
		if err != nil {
			return Answer{}, false, fail(err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, c.Method, x.origin+c.Path, body)
	if err != nil {
		return Answer{}, false, fail(errors.Unwrap(err)) // it would repeat the whole URL
	}
	request.Header.Set("x-functions-key", x.key)
	if c.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.RequestID != "" {
		request.Header.Set("Repeatability-Request-ID", c.RequestID)
	}
	response, err := x.http.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the query
		}
		op, ok := errors.AsType[*net.OpError](err)
		neverSent := ok && op.Op == "dial"
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
			return Answer{}, false, fail(fmt.Errorf("%w: is there a proxy? SSL_CERT_FILE names a file of certificates to trust", err))
		}
		if neverSent && !c.Following {
			err = fmt.Errorf("%w: is LIFEBOAT_URL right, and does the app run?", err)
		}
		return Answer{}, c.Following || !neverSent, fail(err)
	}
	defer response.Body.Close()
	a.RetryAfter = retryAfter(response.Header)
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		return a, true, fail(fmt.Errorf("read the answer: %w", err))
	}
	status := response.StatusCode
	if status >= 300 && (c.Expected == nil || !c.Expected(status, a.Body)) {
		return a, status == http.StatusTooManyRequests || status >= 500, fail(x.refusal(response.Status, status, a.Body))
	}
	if !json.Valid(a.Body) {
		return a, false, fail(errors.New("the answer is no JSON: is LIFEBOAT_URL the address of a Lifeboat app?"))
	}
	a.Operation = PathOf(response.Header.Get("Operation-Location"))
	return a, false, nil
}

// refusal returns the API's error, or the host's error: that has no text.
func (x Client) refusal(text string, status int, body []byte) error {
	var answer struct {
		Error api.Problem `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Error.Code != "" {
		return errors.New(InWords(answer.Error))
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %s", text, x.wrong)
	case http.StatusNotFound:
		return fmt.Errorf("%s: is LIFEBOAT_URL the address of a Lifeboat app?", text)
	}
	return errors.New(text)
}

// PathOf returns a link's path and query, without the host that the API puts there.
func PathOf(link string) string {
	u, err := url.Parse(link)
	if err != nil || link == "" {
		return ""
	}
	return u.RequestURI()
}

// retryAfter returns the header's time in seconds, 0 if it has none, and at most a minute.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

// Sleep waits, and tells whether it waited to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Said is the code of the detail that repeats the end of the message, for programs.
const Said = "Said"

// InWords returns the code of an API's error, its message, and a line for each detail.
func InWords(p api.Problem) string {
	lines := []string{text.Plain(p.Code + ": " + p.Message)}
	for _, d := range p.Details {
		if d.Code == Said {
			continue
		}
		lines = append(lines, "  "+text.Plain(d.Code+": "+d.Message))
	}
	return strings.Join(lines, "\n")
}
