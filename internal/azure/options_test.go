package azure_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
)

// counted returns a function that gives the IDs 1, 2, ….
func counted() func() string {
	n := 0
	return func() string { n++; return fmt.Sprint(n) }
}

// TestOptionsTellBuildsApart: the SDK cuts the application off at 24 characters; the part that tells one build from the next
// is left.
func TestOptionsTellBuildsApart(t *testing.T) {
	for _, test := range []struct{ version, want string }{
		{"dev", "lifeboat/dev"},
		{"f69029140", "lifeboat/f69029140"},
		{"f69029140-dirty", "lifeboat/f69029140-dirty"},
		{"v1.12.3-114-gf6902914-dirty", "lifeboat/gf6902914-dirty"},
		{"", "lifeboat/"},
	} {
		options := azure.Options(test.version, counted())
		w := &wire{answer: http.Response{StatusCode: 200}}
		options.Transport = w
		if err := ask(t, options, &identity{}, "https://management.azure.com/x"); err != nil {
			t.Fatal(err)
		}
		agent := w.sent[0].Header.Get("User-Agent")
		if name, _, _ := strings.Cut(agent, " "); name != test.want || len(name) > 24 {
			t.Errorf("%s: the User-Agent is %q", test.version, agent)
		}
	}
}

// TestEachCallHasAnID: each call has an ID, and its error names it, with or without a response.
func TestEachCallHasAnID(t *testing.T) {
	options := azure.Options("dev", counted())
	w := &wire{answer: http.Response{StatusCode: 403, Header: http.Header{}}}
	options.Transport = w
	c := azure.New(&identity{}, options)
	call := azure.Call{What: "look", Means: azure.Before, Hint: func(int, string, string) string { return "" }}
	for i, want := range []string{"1", "2"} {
		err := ask(t, c.Management().ClientOptions, &identity{}, "https://management.azure.com/x")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.sent[i].Header.Get("X-Ms-Client-Request-Id"); got != want {
			t.Errorf("call %s has the ID %q", want, got)
		}
	}
	refused := &azcore.ResponseError{StatusCode: 403, RawResponse: &http.Response{
		StatusCode: 403, Header: http.Header{}, Body: http.NoBody, Request: w.sent[1],
	}}
	if f := call.Fault(refused); f.RequestID != "2" || f.Said != "" {
		t.Errorf("%+v", f)
	}
	if why := azure.Why(fmt.Errorf("read: %w", refused)); why != "403 Forbidden (x-ms-client-request-id 2)" {
		t.Error(why)
	}

	options.Transport = dead{}
	c = azure.New(&identity{}, options)
	err := ask(t, c.Management().ClientOptions, &identity{}, "https://management.azure.com/x?c=signed")
	if f := call.Fault(err); f.RequestID != "3" || !strings.Contains(f.Message, "no route (x-ms-client-request-id 3)") {
		t.Errorf("%+v", f)
	}
}

// dead is a network that leads nowhere.
type dead struct{}

func (dead) Do(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// TestAnAddressIsNoError: the error for a request without a response gives the reason, but not the address, which is signed
// and long.
func TestAnAddressIsNoError(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := http.Get(server.URL + "/x?s=secret")
	if why := azure.Why(fmt.Errorf("poll: %w", err)); strings.Contains(why, "secret") || !strings.Contains(why, "poll: ") ||
		!strings.Contains(why, "connection refused") {
		t.Error(why)
	}
}

// TestTheTransportFollowsNoRedirect: the default transport does not follow redirects either.
func TestTheTransportFollowsNoRedirect(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := azure.Options("dev", counted()).Transport.Do(r)
	if err != nil || answer.StatusCode != http.StatusFound || asked != 1 {
		t.Fatalf("%v, %v, %d requests", answer, err, asked)
	}
	_ = answer.Body.Close()
}
