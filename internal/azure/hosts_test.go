package azure_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// identity counts the tokens that it gives.
type identity struct{ tokens int }

func (i *identity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	i.tokens++
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// wire records the requests, and answers them.
type wire struct {
	sent   []*http.Request
	answer http.Response
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.sent = append(w.sent, r)
	answer := w.answer
	answer.Body = io.NopCloser(strings.NewReader("{}"))
	if answer.Request == nil {
		answer.Request = r
	}
	return &answer, nil
}

// ask sends one GET to the address, as an SDK's client with the options does.
func ask(t *testing.T, options azcore.ClientOptions, cred azcore.TokenCredential, address string) error {
	t.Helper()
	authenticate := runtime.NewBearerTokenPolicy(cred, []string{"scope"}, nil)
	pipeline := runtime.NewPipeline("test", "v1", runtime.PipelineOptions{PerRetry: []policy.Policy{authenticate}}, &options)
	r, err := runtime.NewRequest(t.Context(), http.MethodGet, address)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Do(r) //nolint:bodyclose // azcore has read and closed it
	return err
}

const hsm = "contoso.managedhsm.azure.net"

// clients returns the options for each credential.
func clients(c azure.Client) map[string]azcore.ClientOptions {
	return map[string]azcore.ClientOptions{"Resource Manager": c.Management().ClientOptions, "HSM": c.At(hsm)}
}

// TestACredentialStaysAtItsHosts: another address gets no request and no token, however much it looks like the right one.
func TestACredentialStaysAtItsHosts(t *testing.T) {
	for _, test := range []struct {
		client, address string
		own             bool
	}{
		{"Resource Manager", "https://management.azure.com/subscriptions?x=1", true},
		{"Resource Manager", "https://management.azure.com:443/x", true},
		{"Resource Manager", "https://MANAGEMENT.Azure.com/x", true},
		{"Resource Manager", "https://centraluseuap.management.azure.com/x", true},
		{"Resource Manager", "https://a.b-2.management.azure.com/x", true},
		{"HSM", "https://contoso.managedhsm.azure.net/backup/1/pending", true},
		{"HSM", "https://Contoso.ManagedHSM.azure.net:443/backup/1/pending", true},

		{"Resource Manager", "https://attacker.example/management.azure.com", false},
		{"Resource Manager", "https://management.azure.com.attacker.example/x", false},
		{"Resource Manager", "https://attackermanagement.azure.com/x", false},
		{"Resource Manager", "https://.management.azure.com/x", false},
		{"Resource Manager", "https://a..management.azure.com/x", false},
		{"Resource Manager", "https://management.azure.com@attacker.example/x", false},
		{"Resource Manager", "https://me@management.azure.com/x", false},
		{"Resource Manager", "https://me:secret@management.azure.com/x", false},
		{"Resource Manager", "https://management.azure.com:8443/x", false},
		{"Resource Manager", "https://management.azure.com:80/x", false},
		{"Resource Manager", "https://management.azure.com./x", false},
		{"Resource Manager", "http://management.azure.com/x", false},
		{"Resource Manager", "http://management.azure.com:443/x", false},
		{"Resource Manager", "https://azure.com/x", false},
		{"Resource Manager", "https://20.31.4.9/x", false},
		{"Resource Manager", "https://[::1]/x", false},
		{"Resource Manager", "https://contoso.managedhsm.azure.net/x", false},
		{"Resource Manager", "https://contosobackups.blob.core.windows.net/x", false},
		{"HSM", "https://fabrikam.managedhsm.azure.net/x", false},
		{"HSM", "https://managedhsm.azure.net/x", false},
		{"HSM", "https://x.contoso.managedhsm.azure.net/x", false},
		{"HSM", "https://management.azure.com/x", false},
		{"HSM", "http://contoso.managedhsm.azure.net/x", false},
	} {
		cred, w := &identity{}, &wire{answer: http.Response{StatusCode: 200}}
		err := ask(t, clients(azure.New(cred, azcore.ClientOptions{Transport: w}))[test.client], cred, test.address)
		if own := err == nil; own != test.own || len(w.sent) > 0 != test.own || cred.tokens > 0 != test.own {
			t.Errorf("%s, %s: %v, with %d requests and %d tokens", test.client, test.address, err, len(w.sent), cred.tokens)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", test.address, err)
		}
	}
}

// TestARedirectIsNoAnswer: a redirect is an error, whether a host of the credential or another one sends it, even if a
// transport has followed it.
func TestARedirectIsNoAnswer(t *testing.T) {
	elsewhere := httptest.NewRequest(http.MethodGet, "https://attacker.example/x", nil)
	redirect := func(to string) http.Response {
		return http.Response{StatusCode: 307, Header: http.Header{"Location": {to}}}
	}
	for _, test := range []struct {
		name    string
		answer  http.Response
		foreign bool
	}{
		{"to another host", redirect("https://attacker.example/x"), true},
		{"to HTTP", redirect("http://management.azure.com/x"), true},
		{"to itself", redirect("https://management.azure.com/y"), false},
		{"to a path", redirect("/y"), false},
		{"followed", http.Response{StatusCode: 200, Request: elsewhere}, true},
		{"a Location of another kind", http.Response{StatusCode: 202, Header: http.Header{"Location": {"https://attacker.example"}}}, false},
	} {
		cred, w := &identity{}, &wire{answer: test.answer}
		c := azure.New(cred, azcore.ClientOptions{Transport: w})
		err := ask(t, c.Management().ClientOptions, cred, "https://management.azure.com/x")
		if (err != nil) != test.foreign || len(w.sent) != 1 {
			t.Errorf("%s: %v, with %d requests", test.name, err, len(w.sent))
		}
		if err == nil {
			continue
		}
		for _, call := range []struct {
			call azure.Call
			want backup.FaultKind
		}{
			{azure.Call{Means: azure.Following}, backup.Unobservable},
			{azure.Call{Means: azure.Before}, backup.Retryable},
			{azure.Call{Means: azure.Before, Start: true}, backup.Ambiguous},
		} {
			if f := call.call.Fault(err); f.Kind != call.want || f.Code != "ForeignAddress" || f.Hint == "" {
				t.Errorf("%s: %+v, want %s", test.name, f, call.want)
			}
		}
	}
}

// TestRedirectsAreNotFollowed: redirects are not followed, whatever client is given. Following one would send a start again.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/again", http.StatusPermanentRedirect)
	}))
	defer server.Close()
	through := server.Client()
	through.Transport = pointed{server, through.Transport}
	cred := &identity{}
	c := azure.New(cred, azcore.ClientOptions{Transport: through})
	if err := ask(t, c.At(hsm), cred, "https://"+hsm+"/x"); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("%d requests, want 1", asked)
	}
}

// pointed sends every request to the server.
type pointed struct {
	server *httptest.Server
	inner  http.RoundTripper
}

func (p pointed) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	to.URL.Host = p.server.Listener.Addr().String()
	answer, err := p.inner.RoundTrip(to)
	if answer != nil {
		answer.Request = r
	}
	return answer, err
}
