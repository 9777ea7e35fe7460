package managedhsm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
)

// These are the names and addresses in the tests on the wire.
const (
	groups  = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups"
	target  = groups + "/keys/providers/Microsoft.KeyVault/managedHSMs/Contoso"
	account = groups + "/backup/providers/Microsoft.Storage/storageAccounts/contosobackups"
	vault   = "https://contoso.managedhsm.azure.net"
	run     = "0123456789abcdef-8234567890-0123456789ab"
	folder  = "mhsm-contoso-2026110302300012"
	job     = "8d1a4bdcff0c43f0a8a5ea0b4a17f6e1"
)

var started = time.Date(2026, 11, 3, 2, 30, 0, 0, time.UTC)

func attempt() backup.Attempt {
	return backup.Attempt{
		Target: target, Storage: backup.Storage{Account: account, Container: "lifeboat"}, Run: run, Artifact: run + ".2",
		NotBefore: started,
	}
}

// step names a request by what it asks for.
type step string

const (
	challenged step = "without a token"
	start      step = "POST /backup"
	check      step = "POST /prebackup"
	prove      step = "PUT /prerestore"
	restore    step = "PUT /restore"
	restoreKey step = "PUT /keys/rsa1/restore"
	poll       step = "GET /backup/" + job + "/pending"
	pollBack   step = "GET /restore/" + job + "/pending"
	get        step = "get HSM"
	inspect    step = "get account"
	vessel     step = "get container"
	keys       step = "list keys"
	create     step = "create container"
	list       step = "list blobs"
)

func stepOf(r *http.Request) step {
	switch {
	case r.URL.Host == "contoso.managedhsm.azure.net" && r.Header.Get("Authorization") == "":
		return challenged
	case r.URL.Host == "contoso.managedhsm.azure.net":
		return step(r.Method + " " + r.URL.Path)
	case strings.HasSuffix(r.URL.Path, "/managedHSMs/Contoso"):
		return get
	case strings.HasSuffix(r.URL.Path, "/storageAccounts/contosobackups"):
		return inspect
	case strings.HasSuffix(r.URL.Path, "/storageAccounts/contosobackups/blobServices/default/containers/lifeboat"):
		return vessel
	case strings.HasSuffix(r.URL.Path, "/listKeys"):
		return keys
	case r.Method == http.MethodPut && r.URL.Query().Get("restype") == "container":
		return create
	case r.URL.Query().Get("comp") == "list":
		return list
	}
	return step(r.Method + " " + r.URL.String())
}

// reply answers a request, or fails as the network does.
type reply func(*http.Request) (*http.Response, error)

// wire is a transport that plays Azure's side. It gives a reply to each step, and keeps the requests.
type wire struct {
	replies map[step]reply

	mu     sync.Mutex
	sent   []step
	bodies []string
	// challenged counts the requests without a token.
	challenged int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	w.mu.Lock()
	s := stepOf(r)
	reply := w.replies[s]
	if s == challenged {
		reply = challenge
		w.challenged++
		if len(body) > 0 {
			reply = fails(errors.New("a body went out without authorization"))
		}
	} else {
		w.sent, w.bodies = append(w.sent, s), append(w.bodies, string(body))
	}
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

func (w *wire) expect(t *testing.T, want ...step) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.sent) != fmt.Sprint(want) {
		t.Errorf("sent %q, want %q", w.sent, want)
	}
}

// provider makes a provider with this wire, as a new process would make it.
func (w *wire) provider() *managedhsm.Provider {
	return managedhsm.New(identity{}, azcore.ClientOptions{Transport: w})
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

// challenge is the answer to a request without a token, as recorded.
var challenge = answers(401, "", `Www-Authenticate: Bearer authorization="https://login.microsoftonline.com/`+
	`72f988bf-86f1-41af-91ab-2d7cd011db47", resource="https://managedhsm.azure.net"`)

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

// accepted makes the answer to a start, as recorded.
func accepted(kind string) reply {
	return answers(202, `{"status":"InProgress","statusDetails":null,"error":null,"startTime":1793673000,"endTime":null,`+
		`"jobId":"`+job+`","azureStorageBlobContainerUri":null}`,
		"Azure-AsyncOperation: "+vault+"/"+kind+"/"+job+"/pending", "Retry-After: 10")
}

// says makes a poll's answer of 200.
func says(fields string) reply {
	return answers(200, `{"startTime":1793673000,"endTime":1793673010,"jobId":"`+job+`",`+fields+`}`)
}

// refuses makes a reply with an error of the HSM.
func refuses(status int, code, message string, headers ...string) reply {
	return answers(status, fmt.Sprintf(`{"error":{"code":%q,"message":%q,"innererror":null}}`, code, message), headers...)
}

// fails makes a reply that is the error, without an answer.
func fails(err error) reply { return func(*http.Request) (*http.Response, error) { return nil, err } }

var (
	cut     = fails(fmt.Errorf("read tcp 127.0.0.1:443: %w", io.ErrUnexpectedEOF))
	unknown = fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}})
)

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
