package cli

import (
	"bytes"
	"cmp"
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

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
)

// remote is a command's environment, and the app whose API it calls. Its key goes only there: it follows no redirect, and uses
// only the path of a link.
type remote struct {
	Shell

	origin string // scheme and host
	key    string
	wrong  string // the words for a key that the app does not accept
	http   *http.Client
}

// newRemote reads LIFEBOAT_URL and LIFEBOAT_KEY, or for the function health LIFEBOAT_HEALTH_KEY if that is set. No error
// repeats them: a URL may hold a key, too.
func newRemote(sh Shell, health bool) (remote, error) {
	setting := func(name string) string { return strings.TrimSpace(sh.Getenv(name)) }
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
		return remote{}, usageError("set LIFEBOAT_URL to the app's address, such as https://contoso.azurewebsites.net, and " +
			name + " to a key of its function " + function + "\n")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}) ||
		strings.Trim(u.Path, "/") != "" {
		return remote{}, usageError("LIFEBOAT_URL must be a scheme and a host alone, such as https://contoso.azurewebsites.net\n")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" &&
		(u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return remote{}, usageError("LIFEBOAT_URL must begin with https://, or the key could be read on its way\n")
	}
	return remote{
		Shell: sh, origin: u.Scheme + "://" + u.Host, key: key,
		wrong: fmt.Sprintf("%s is not a key of this app's function %s, nor a host key: set %s to one that "+
			"`az functionapp function keys list -g GROUP -n APP --function-name %s` lists", name, function, wanted, function),
		http: &http.Client{
			Timeout: 2 * time.Minute,
			// Go removes Authorization from a request that is redirected to another host, but no header that it does not know.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// calling returns the function of a command that calls the API.
func (sh Shell) calling(run func(ctx context.Context, r remote, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		r, err := newRemote(sh, c.Name() == "health")
		if err != nil {
			return err
		}
		return run(c.Context(), r, args)
	}
}

// call is one call of the API; it can be repeated.
type call struct {
	method, path string // path with its query
	body         any
	requestID    string // makes a repeated POST the same request; empty: none
	// expected tells whether a refusal is an answer all the same.
	expected func(status int, body []byte) bool
	// following says that the address worked before, so that a connection that cannot be made is tried again, and that it is
	// tried ten times instead of five.
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

// do calls the API until it answers, at most five times, or ten: 1, 2, 4 s and so on after one another, but never more than
// 30, or after Retry-After.
func (r remote) do(ctx context.Context, c call) (answer, error) {
	tries, pause := 5, time.Second
	if c.following {
		tries = 10
	}
	for try := 1; ; try++ {
		a, again, err := r.once(ctx, c)
		if ctx.Err() != nil {
			return answer{}, errStopped
		}
		if err == nil || !again || try >= tries {
			return a, err
		}
		wait := cmp.Or(a.retryAfter, pause)
		fmt.Fprintf(r.Stderr, "%v; trying again in %s\n", err, wait)
		if !sleep(ctx, wait) {
			return answer{}, errStopped
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// once calls the API once, and tells whether the same call may succeed later.
func (r remote) once(ctx context.Context, c call) (a answer, again bool, err error) {
	path, _, _ := strings.Cut(c.path, "?")
	fail := func(err error) error { return fmt.Errorf("%s %s%s: %w", c.method, r.origin, path, err) }
	var body io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return answer{}, false, fail(err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, r.origin+c.path, body)
	if err != nil {
		return answer{}, false, fail(errors.Unwrap(err)) // it would repeat the whole URL
	}
	request.Header.Set("x-functions-key", r.key)
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.requestID != "" {
		request.Header.Set("Repeatability-Request-ID", c.requestID)
	}
	response, err := r.http.Do(request)
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
		return a, status == http.StatusTooManyRequests || status >= 500, fail(r.refusal(response.Status, status, a.body))
	}
	if !json.Valid(a.body) {
		return a, false, fail(errors.New("the answer is no JSON: is LIFEBOAT_URL the address of a Lifeboat app?"))
	}
	a.operation = pathOf(response.Header.Get("Operation-Location"))
	return a, false, nil
}

// refusal returns the API's error, or the host's error: that has no text.
func (r remote) refusal(text string, status int, body []byte) error {
	var said struct {
		Error api.Problem `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error.Code != "" {
		return errors.New(inWords(said.Error))
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %s", text, r.wrong)
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

// said is the code of the detail that repeats the end of the message, for programs.
const said = "Said"

// inWords returns the code of an API's error, its message, and a line for each detail.
func inWords(p api.Problem) string {
	lines := []string{plain(p.Code + ": " + p.Message)}
	for _, d := range p.Details {
		if d.Code == said {
			continue
		}
		lines = append(lines, "  "+plain(d.Code+": "+d.Message))
	}
	return strings.Join(lines, "\n")
}

// code returns the code of an API's error; "" if there is none.
func code(p *api.Problem) string {
	if p == nil {
		return ""
	}
	return plain(p.Code)
}

// plain returns a text from outside, on one line and without control characters.
func plain[T ~string](text T) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, string(text))
}
