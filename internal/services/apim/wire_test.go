package apim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
)

// These are the names and addresses in the tests on the wire.
const (
	groups    = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups"
	target    = groups + "/gateway/providers/Microsoft.ApiManagement/service/contoso"
	account   = groups + "/backup/providers/Microsoft.Storage/storageAccounts/contosobackups"
	operation = "https://management.azure.com" + target + "/operationresults/d2VzdGV1cm9wZQ==?api-version=2024-05-01"
	run       = "0123456789abcdef-8234567890-0123456789ab"
	etag      = `"0x8DC0FFEE"`
)

var started = time.Date(2026, 11, 3, 2, 30, 0, 0, time.UTC)

// attempt returns the second attempt of the run.
func attempt() backup.Attempt {
	return backup.Attempt{
		Target: target, Storage: backup.Storage{Account: account, Container: "lifeboat"},
		Run: run, Artifact: run + ".2", NotBefore: started,
	}
}

// step names a request by what it asks for.
type step string

const (
	create     step = "create container"
	start      step = "start backup"
	back       step = "start restore"
	poll       step = "poll"
	result     step = "ask for the result"
	get        step = "get service"
	list       step = "list blobs"
	read       step = "read blob"
	remove     step = "delete blob"
	properties step = "blob properties"
	spaces     step = "list workspaces"
	inspect    step = "get account"
	rules      step = "get blob service"
	policies   step = "get container"
	keys       step = "list keys"
	look       step = "read activity log"
)

func stepOf(r *http.Request) step {
	blobs := strings.HasSuffix(r.URL.Host, ".blob.core.windows.net")
	switch {
	case blobs && r.Method == http.MethodPut && r.URL.Query().Get("restype") == "container":
		return create
	case blobs && r.URL.Query().Get("comp") == "list":
		return list
	case blobs && r.Method == http.MethodGet:
		return read
	case blobs && r.Method == http.MethodDelete:
		return remove
	case blobs && r.Method == http.MethodHead:
		return properties
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/workspaces"):
		return spaces
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/storageAccounts/contosobackups"):
		return inspect
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobServices/default"):
		return rules
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobServices/default/containers/lifeboat"):
		return policies
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/listKeys"):
		return keys
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/backup"):
		return start
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/restore"):
		return back
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/operationresults/"):
		return poll
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/operationsStatuses/"):
		return poll
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/operationResults/"):
		return result
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/eventtypes/management/values"):
		return look
	case r.Method == http.MethodGet:
		return get
	}
	return step(r.Method + " " + r.URL.String())
}

// reply answers a request, or fails as the network does.
type reply func(*http.Request) (*http.Response, error)

// wire is a transport that plays Azure's side. It gives a reply to each step, and keeps the requests.
type wire struct {
	replies map[step]reply

	mu   sync.Mutex
	sent []*http.Request
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	header := http.Header{}
	for name, values := range r.Header {
		header[http.CanonicalHeaderKey(name)] = values // as a server reads them
	}
	r.Header = header
	w.mu.Lock()
	w.sent = append(w.sent, r)
	reply := w.replies[stepOf(r)]
	w.mu.Unlock()
	if reply == nil {
		return nil, fmt.Errorf("the test has no reply to %s %s", r.Method, r.URL)
	}
	answer, err := reply(r)
	if answer != nil {
		answer.Request = r
	}
	return answer, err
}

// count returns the number of requests of the step.
func (w *wire) count(s step) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.sent {
		if stepOf(r) == s {
			n++
		}
	}
	return n
}

func (w *wire) expect(t *testing.T, want ...step) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []step
	for _, r := range w.sent {
		got = append(got, stepOf(r))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// provider makes a provider with this wire, as a new process would make it.
func (w *wire) provider() *apim.Provider {
	return apim.New(identity{}, azcore.ClientOptions{Transport: w})
}

// tokenOptions are the options of a request for a token.
type tokenOptions = policy.TokenRequestOptions

// identity is a credential that fails for the scopes that contain a text.
type identity struct{ failsFor string }

func (i identity) GetToken(ctx context.Context, o tokenOptions) (azcore.AccessToken, error) {
	if i.failsFor != "" && strings.Contains(fmt.Sprint(o.Scopes), i.failsFor) {
		return azcore.AccessToken{}, errors.New("no managed identity endpoint found")
	}
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, ctx.Err()
}

// answers makes a reply with a status, "Name: value" headers and a body.
func answers(status int, body string, headers ...string) reply {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			h.Set(name, value)
		}
		return &http.Response{
			StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

// fails makes a reply that is the error, without an answer.
func fails(err error) reply { return func(*http.Request) (*http.Response, error) { return nil, err } }

// armSays makes a reply with an error of Resource Manager.
func armSays(status int, code, message string, headers ...string) reply {
	return answers(status, fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message), headers...)
}

// blobSays makes a reply with an error of the Blob service.
func blobSays(status int, code, message string, headers ...string) reply {
	return answers(status, `<?xml version="1.0" encoding="utf-8"?><Error><Code>`+code+`</Code><Message>`+message+
		"\nRequestId:8f0c0f4e-301e-0056-0d4b\nTime:2026-11-03T02:30:00.0000000Z</Message></Error>",
		append(headers, "X-Ms-Error-Code: "+code)...)
}

var (
	created = answers(201, "")
	cut     = fails(fmt.Errorf("read tcp 127.0.0.1:443: %w", io.ErrUnexpectedEOF))
	unknown = fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}})
)

// held is a blob in the fake storage.
type held struct {
	content  []byte
	etag     string
	modified time.Time
}

// reply answers a GET of the blob, with x-ms-range and If-Match.
func (b held) reply(r *http.Request) (*http.Response, error) {
	if want := r.Header.Get("If-Match"); want != "" && want != b.etag {
		return blobSays(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")(r)
	}
	var from, to int
	if _, err := fmt.Sscanf(r.Header.Get("X-Ms-Range"), "bytes=%d-%d", &from, &to); err != nil {
		return nil, fmt.Errorf("range %q: %w", r.Header.Get("X-Ms-Range"), err)
	}
	if from >= len(b.content) {
		return blobSays(416, "InvalidRange", "The range specified is invalid for the current size of the resource.",
			fmt.Sprintf("Content-Range: bytes */%d", len(b.content)))(r)
	}
	part := b.content[from:min(to+1, len(b.content))]
	return &http.Response{
		StatusCode: 206, Body: io.NopCloser(bytes.NewReader(part)), ContentLength: int64(len(part)),
		Header: http.Header{
			"Content-Length": {strconv.Itoa(len(part))},
			"Content-Range":  {fmt.Sprintf("bytes %d-%d/%d", from, from+len(part)-1, len(b.content))},
			"Etag":           {b.etag},
			"Last-Modified":  {b.modified.UTC().Format(http.TimeFormat)},
		},
	}, nil
}

// listing makes the answer to a listing of blobs: "name size age", the age in seconds after the run's start.
func listing(blobs ...string) reply {
	var items strings.Builder
	for _, b := range blobs {
		var name string
		var size, age int
		if _, err := fmt.Sscan(b, &name, &size, &age); err != nil {
			panic(err)
		}
		fmt.Fprintf(&items, "<Blob><Name>%s</Name><Properties><Last-Modified>%s</Last-Modified><Etag>0x1</Etag>"+
			"<Content-Length>%d</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>",
			name, started.Add(time.Duration(age)*time.Second).Format(http.TimeFormat), size)
	}
	return answers(200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="lifeboat"><Blobs>`+
		items.String()+`</Blobs><NextMarker/></EnumerationResults>`, "Content-Type: application/xml")
}

// fault is the error that a test expects: the kind, the code, and words of the message and the hint.
type fault struct {
	kind          backup.FaultKind
	code          string
	message, hint string
	after         time.Duration
}

func (want fault) check(t *testing.T, err error) {
	t.Helper()
	got, ok := errors.AsType[*backup.Fault](err)
	if !ok {
		t.Fatalf("error %v is no *backup.Fault, want %+v", err, want)
	}
	if got.Kind != want.kind || got.Code != want.code || got.RetryAfter != want.after {
		t.Errorf("fault %s %s after %s, want %s %s after %s\n%s",
			got.Kind, got.Code, got.RetryAfter, want.kind, want.code, want.after, got.Message)
	}
	if !strings.Contains(got.Message, want.message) {
		t.Errorf("message %q lacks %q", got.Message, want.message)
	}
	if !strings.Contains(got.Hint, want.hint) || got.Hint == "" {
		t.Errorf("hint %q lacks %q", got.Hint, want.hint)
	}
}
