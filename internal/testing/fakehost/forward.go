package fakehost

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// hopByHop are the headers that belong to one connection.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forward sends a copy of the request to the handler. Method, path, Host and headers stay, the host's headers come after the
// caller's of the same name in one line, and repeated query parameters are joined by commas. The caller gets the answer when
// it is complete. The invocation counts as a success, whatever the status.
func (l *life) forward(r *http.Request, f *function, body []byte) reply {
	id := uuid.NewString()
	started := time.Now()
	a, err := l.forwardAs(id, r, body)
	l.report(id, f, time.Since(started), err)
	if err != nil {
		return plainReply(http.StatusInternalServerError)
	}
	return a
}

func (l *life) forwardAs(id string, r *http.Request, body []byte) (reply, error) {
	if err := l.await(l.failing); err != nil {
		return reply{}, err
	}
	ctx, cancel := l.limited(l.broken)
	defer cancel()
	target := l.worker.url() + r.URL.EscapedPath()
	if query := joinedQuery(r.URL.Query()); query != "" {
		target += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.GetBody = nil // prevents a repetition after the connection broke
	request.Host = r.Host
	request.Header = withoutHops(r.Header)
	request.Header.Add(invocationHeader, id)
	request.Header.Add(hostVersionHeader, hostVersion)
	request.Header = oneLineEach(request.Header)
	request.Header.Set("User-Agent", strings.TrimSpace(r.UserAgent()+" "+userAgent))
	response, err := l.client.Do(request)
	if err != nil {
		return reply{}, because(ctx, err)
	}
	defer response.Body.Close()
	a := reply{status: response.StatusCode, header: withoutHops(response.Header)}
	a.body, err = io.ReadAll(response.Body)
	return a, because(ctx, err)
}

func withoutHops(header http.Header) http.Header {
	header = header.Clone()
	for _, line := range header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		header.Del(name)
	}
	return header
}

// oneLineEach joins the values under each name, as .NET's client sends them.
func oneLineEach(header http.Header) http.Header {
	joined := http.Header{}
	for name, values := range header {
		joined[name] = []string{strings.Join(values, ", ")}
	}
	return joined
}

// joinedQuery returns a query with one value for each name.
func joinedQuery(query url.Values) string {
	joined := url.Values{}
	for name, values := range query {
		joined.Set(name, strings.Join(values, ","))
	}
	return joined.Encode()
}
