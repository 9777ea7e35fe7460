package cli

import (
	"bytes"
	"context"
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
	"unicode"
)

// client calls the API of one app. Its key goes only there: the client follows no redirect, and uses only the path of a link.
type client struct {
	origin string // scheme and host
	key    string
	wrong  string // the words for a key that the app does not accept
	http   http.Client
	stderr io.Writer
}

// newClient reads LIFEBOAT_URL and LIFEBOAT_KEY, or for the function health LIFEBOAT_HEALTH_KEY if that is set. No error
// repeats them: a URL may hold a key, too.
func newClient(getenv func(string) string, stderr io.Writer, health bool) (*client, error) {
	address, key := strings.TrimSpace(getenv("LIFEBOAT_URL")), strings.TrimSpace(getenv("LIFEBOAT_KEY"))
	name, function := "LIFEBOAT_KEY", "api"
	wanted := name
	if health {
		function, wanted = "health", "LIFEBOAT_HEALTH_KEY"
		if own := strings.TrimSpace(getenv("LIFEBOAT_HEALTH_KEY")); own != "" || key == "" {
			name, key = "LIFEBOAT_HEALTH_KEY", own
		}
	}
	if address == "" || key == "" {
		return nil, usageError("set LIFEBOAT_URL to the app's address, such as https://contoso.azurewebsites.net, and " +
			name + " to a key of its function " + function + "\n")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}) ||
		strings.Trim(u.Path, "/") != "" {
		return nil, usageError("LIFEBOAT_URL must be a scheme and a host alone, such as https://contoso.azurewebsites.net\n")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" &&
		(u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return nil, usageError("LIFEBOAT_URL must begin with https://, or the key could be read on its way\n")
	}
	return &client{
		origin: u.Scheme + "://" + u.Host, key: key, stderr: stderr,
		wrong: fmt.Sprintf("%s is not a key of this app's function %s, nor a host key: set %s to one that "+
			"`az functionapp function keys list -g GROUP -n APP --function-name %s` lists", name, function, wanted, function),
		http: http.Client{
			Timeout: 2 * time.Minute,
			// Go removes Authorization from a request that is redirected to another host, but no header that it does not know.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// call is one call of the API; it can be repeated.
type call struct {
	method, path string // path with its query
	body         any
	requestID    string // makes a repeated POST the same request; empty: none
	tries        int
	// expected tells whether a refusal is an answer all the same.
	expected func(status int, body []byte) bool
	// following says that the address worked before, so that a connection that cannot be made is tried again.
	following bool
}

// answer is an answer of the API: a status below 300 or an expected one, JSON, and the links of the header as paths of the same
// app.
type answer struct {
	body       []byte
	operation  string        // path of Operation-Location; empty: none
	retryAfter time.Duration // 0: none
}

// errStopped says that the person does not want to wait any longer.
var errStopped = errors.New("stopped")

// do calls the API until it answers, at most c.tries times: 1, 2, 4 s and so on after one another, but never more than
// 30, or after Retry-After.
func (cl *client) do(ctx context.Context, c call) (answer, error) {
	pause := time.Second
	for try := 1; ; try++ {
		a, again, err := cl.once(ctx, c)
		if ctx.Err() != nil {
			return answer{}, errStopped
		}
		if err == nil || !again || try >= c.tries {
			return a, err
		}
		wait := pause
		if a.retryAfter > 0 {
			wait = a.retryAfter
		}
		fmt.Fprintf(cl.stderr, "%v; trying again in %s\n", err, wait)
		if !sleep(ctx, wait) {
			return answer{}, errStopped
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// once calls the API once, and tells whether the same call may succeed later.
func (cl *client) once(ctx context.Context, c call) (a answer, again bool, err error) {
	path, _, _ := strings.Cut(c.path, "?")
	fail := func(err error) error { return fmt.Errorf("%s %s%s: %w", c.method, cl.origin, path, err) }
	var body io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return answer{}, false, fail(err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, cl.origin+c.path, body)
	if err != nil {
		return answer{}, false, fail(errors.Unwrap(err)) // it would repeat the whole URL
	}
	request.Header.Set("x-functions-key", cl.key)
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.requestID != "" {
		request.Header.Set("Repeatability-Request-ID", c.requestID)
	}
	response, err := cl.http.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the query
		}
		op, ok := errors.AsType[*net.OpError](err)
		neverSent := ok && op.Op == "dial"
		return answer{}, c.following || !neverSent, fail(err)
	}
	defer response.Body.Close()
	a.retryAfter = retryAfter(response.Header)
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return a, true, fail(fmt.Errorf("read the answer: %w", err))
	}
	status := response.StatusCode
	if status >= 300 && (c.expected == nil || !c.expected(status, a.body)) {
		return a, status == http.StatusTooManyRequests || status >= 500, fail(cl.refusal(response.Status, status, a.body))
	}
	if !json.Valid(a.body) {
		return a, false, fail(errors.New("the answer is no JSON: is LIFEBOAT_URL the address of a Lifeboat app?"))
	}
	a.operation = pathOf(response.Header.Get("Operation-Location"))
	return a, false, nil
}

// refusal returns the API's error, or the host's error: that has no text.
func (cl *client) refusal(text string, status int, body []byte) error {
	var said struct {
		Error problem `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error.Code != "" {
		return said.Error
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %s", text, cl.wrong)
	case http.StatusNotFound:
		return fmt.Errorf("%s: is LIFEBOAT_URL the address of a Lifeboat app?", text)
	}
	return errors.New(text)
}

// pathOf returns a link's path and query, without the host that the API puts there.
func pathOf(link string) string {
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

// sleep waits, and tells whether it waited to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// problem is an error of the API.
type problem struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Target  string    `json:"target"`
	Details []problem `json:"details"`
}

// said is the code of the detail that repeats the end of the message, for programs.
const said = "Said"

// Error returns the code, the message, and a line for each detail.
func (p problem) Error() string {
	lines := []string{plain(p.Code + ": " + p.Message)}
	for _, d := range p.Details {
		if d.Code == said {
			continue
		}
		lines = append(lines, "  "+plain(d.Code+": "+d.Message))
	}
	return strings.Join(lines, "\n")
}

// code returns "" if there is no problem.
func (p *problem) code() string {
	if p == nil {
		return ""
	}
	return plain(p.Code)
}

// plain returns a text from outside, on one line and without control characters.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
