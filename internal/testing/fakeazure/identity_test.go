package fakeazure_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"lifeboat/internal/testing/fakeazure"
)

// environment returns EnvFor as a map.
func environment(s *fakeazure.Sim, app string) map[string]string {
	variables := make(map[string]string)
	for _, variable := range s.EnvFor(app) {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	return variables
}

func TestIdentityEndpoint(t *testing.T) {
	t.Parallel()
	s := start(t)
	clientID := s.Attach("app", "writer")
	s.Attach("other", "others")
	env := environment(s, "app")
	const good = "?api-version=2019-08-01&resource=https://storage.azure.com"
	for name, tt := range map[string]struct {
		secret, query string
		status        int
		identity      string
	}{
		"system-assigned":  {env["IDENTITY_HEADER"], good, 200, "app"},
		"other app":        {environment(s, "other")["IDENTITY_HEADER"], good, 200, "other"},
		"user-assigned":    {env["IDENTITY_HEADER"], good + "&client_id=" + clientID, 200, "writer"},
		"unknown client":   {env["IDENTITY_HEADER"], good + "&client_id=" + s.ClientID("nobody"), 400, ""},
		"other's client":   {env["IDENTITY_HEADER"], good + "&client_id=" + s.ClientID("others"), 400, ""},
		"other selector":   {env["IDENTITY_HEADER"], good + "&mi_res_id=x", 400, ""},
		"no secret":        {"", good, 400, ""},
		"wrong secret":     {"guess", good, 403, ""},
		"no version":       {env["IDENTITY_HEADER"], "?resource=https://storage.azure.com", 400, ""},
		"old version":      {env["IDENTITY_HEADER"], strings.Replace(good, "2019-08-01", "2017-09-01", 1), 400, ""},
		"no resource":      {env["IDENTITY_HEADER"], "?api-version=2019-08-01", 400, ""},
		"strange resource": {env["IDENTITY_HEADER"], "?api-version=2019-08-01&resource=storage", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env["IDENTITY_ENDPOINT"]+tt.query, nil)
			must(t, err)
			req.Header.Set("X-IDENTITY-HEADER", tt.secret)
			resp, err := http.DefaultClient.Do(req)
			must(t, err)
			defer resp.Body.Close()
			var answer struct {
				Token    string `json:"access_token"`
				Expires  string `json:"expires_on"`
				Resource string `json:"resource"`
				Type     string `json:"token_type"`
				ClientID string `json:"client_id"`
				Message  string `json:"message"`
			}
			must(t, json.NewDecoder(resp.Body).Decode(&answer))
			if resp.StatusCode != tt.status {
				t.Fatalf("got %d %+v, want %d", resp.StatusCode, answer, tt.status)
			}
			if tt.status != 200 {
				if answer.Message == "" || answer.Token != "" {
					t.Errorf("refusal %+v", answer)
				}
				return
			}
			expires, err := strconv.ParseInt(answer.Expires, 10, 64)
			must(t, err)
			if answer.Resource != "https://storage.azure.com" || answer.Type != "Bearer" ||
				answer.ClientID != s.ClientID(tt.identity) || time.Until(time.Unix(expires, 0)) < 23*time.Hour {
				t.Errorf("answer %+v", answer)
			}
			if want := tokenOf(t, s, tt.identity, "https://storage.azure.com"); len(answer.Token) != len(want) {
				t.Errorf("token %s, want one like %s", answer.Token, want)
			}
		})
	}
}

func TestCredentialRefusesScopes(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, scopes := range [][]string{
		nil, {"https://storage.azure.com"}, {"storage/.default"}, {"https://a/.default", "https://b/.default"},
	} {
		if _, err := s.Credential("app").GetToken(t.Context(), policy.TokenRequestOptions{Scopes: scopes}); err == nil {
			t.Errorf("%q: got a token", scopes)
		}
	}
}

// childVariable makes the test binary the child of TestEnvironmentOfChildren; its value is a container.
const childVariable = "SIM_TEST_CONTAINER"

// child is a program that does not know the simulator: it has only its environment.
func child() int {
	credential, err := azidentity.NewManagedIdentityCredential(nil)
	if err == nil {
		var client *azblob.Client
		client, err = azblob.NewClient("https://"+accountName+".blob.core.windows.net/", credential,
			&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}})
		if err == nil {
			_, err = client.UploadBuffer(context.Background(), os.Getenv(childVariable), "from-child", []byte("hello"), nil)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestEnvironmentOfChildren(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	run := func(app string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(append(os.Environ(), s.EnvFor(app)...), childVariable+"="+container)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	if output, err := run("app"); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if content := download(t, s, container, "from-child"); string(content) != "hello" {
		t.Errorf("the child wrote %q", content)
	}
	if output, err := run("guest"); err == nil || !strings.Contains(output, "AuthorizationPermissionMismatch") {
		t.Errorf("an app without role: %v: %s", err, output)
	}
	seen := make(map[string]bool)
	for _, c := range s.Calls() {
		if strings.HasSuffix(c.Path, "/from-child") {
			seen[c.ObjectID] = true
		}
	}
	if !seen[s.ObjectID("app")] || !seen[s.ObjectID("guest")] {
		t.Errorf("identities seen: %v", seen)
	}
}
