package fakeazure_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"lifeboat/internal/testing/azurite"
	"lifeboat/internal/testing/fakeazure"
)

const (
	subscription = "5b2c4f6e-1f0a-4d3e-9c7b-2a1d0e9f8c7b"
	group        = "/subscriptions/" + subscription + "/resourceGroups/backup"
	contoso      = group + "/providers/Microsoft.ApiManagement/service/contoso"
	accountName  = "contosobackups"
	accountID    = group + "/providers/Microsoft.Storage/storageAccounts/" + accountName
	managementID = "https://management.core.windows.net/"
	timeout      = 30 * time.Second
)

var accountKey = base64.StdEncoding.EncodeToString([]byte("a key that only tests use, as long as others...."))

// shared is the common state of all tests: one authority and, once a test needs it, one storage emulator.
var shared struct {
	dir     string
	once    sync.Once
	account fakeazure.StorageAccount
	server  *azurite.Server
	err     error
	names   atomic.Int64
}

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fakeazure")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		shared.dir = dir
		// The first Sim makes the authority; otherwise tests that start at once would each make one.
		first, err := fakeazure.Start(fakeazure.Config{Dir: dir})
		if err == nil {
			err = first.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if shared.server != nil {
			if err := shared.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return code
	}())
}

// startAzurite runs once; it needs a Sim for its certificate.
func startAzurite(s *fakeazure.Sim) (fakeazure.StorageAccount, error) {
	shared.once.Do(func() {
		certFile, keyFile, err := s.Certificate("127.0.0.1")
		if err != nil {
			shared.err = err
			return
		}
		shared.server, shared.err = azurite.Start(context.Background(), azurite.Config{
			Dir:      filepath.Join(shared.dir, "azurite"),
			CertFile: certFile, KeyFile: keyFile,
			Accounts: map[string]string{accountName: accountKey},
		})
		if shared.err != nil {
			return
		}
		address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
		shared.account = fakeazure.StorageAccount{
			Name: accountName, ResourceID: accountID, Key: accountKey,
			BlobAddr:  address(shared.server.BlobPort),
			QueueAddr: address(shared.server.QueuePort),
			TableAddr: address(shared.server.TablePort),
		}
	})
	return shared.account, shared.err
}

// start runs a Sim at a thousandth of real time, so that a backup takes about half a second.
func start(t *testing.T, change ...func(*fakeazure.Config)) *fakeazure.Sim {
	t.Helper()
	c := fakeazure.Config{Dir: shared.dir, TimeScale: 0.001}
	for _, f := range change {
		f(&c)
	}
	s, err := fakeazure.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// startWithStorage also attaches the storage account, and the API Management service contoso, which may write there. The app
// has all roles that it needs.
func startWithStorage(t *testing.T, change ...func(*fakeazure.Config)) *fakeazure.Sim {
	t.Helper()
	s := start(t, change...)
	account, err := startAzurite(s)
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Storage(account))
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SystemAssigned: true, UserAssigned: []string{"backup-writer"}}))
	s.Assign(s.ObjectID("app"), contoso, fakeazure.APIManagementServiceOperator)
	s.Assign(s.ObjectID("app"), accountID, fakeazure.StorageBlobDataContributor, fakeazure.StorageQueueDataContributor,
		fakeazure.StorageTableDataContributor)
	s.Assign(s.ObjectID(contoso), accountID, fakeazure.StorageBlobDataContributor)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unique returns a name that no other test uses.
func unique(prefix string) string { return fmt.Sprintf("%s%d", prefix, shared.names.Add(1)) }

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// clientOptions returns options that lead an SDK client through the proxy, without retries.
func clientOptions(s *fakeazure.Sim) azcore.ClientOptions {
	return azcore.ClientOptions{Transport: s.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}
}

func newBlobClient(t *testing.T, s *fakeazure.Sim, identity string) *azblob.Client {
	t.Helper()
	client, err := azblob.NewClient("https://"+accountName+".blob.core.windows.net/", s.Credential(identity),
		&azblob.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

// createContainer makes a container that no other test uses.
func createContainer(t *testing.T, s *fakeazure.Sim) string {
	t.Helper()
	name := unique("container")
	_, err := newBlobClient(t, s, "app").CreateContainer(t.Context(), name, nil)
	must(t, err)
	return name
}

// reply is a complete HTTP answer.
type reply struct {
	*http.Response
	body []byte
}

// code returns the error code in the body.
func (r reply) code() string {
	var body struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(r.body, &body)
	return body.Error.Code
}

// send makes one plain request through the proxy. The identity may be empty.
func send(t *testing.T, s *fakeazure.Sim, method, url, identity, body string) reply {
	t.Helper()
	r, err := trySend(t, s, method, url, identity, body)
	must(t, err)
	return r
}

func trySend(t *testing.T, s *fakeazure.Sim, method, url, identity, body string) (reply, error) {
	t.Helper()
	var token string
	if identity != "" {
		token = "Bearer " + tokenOf(t, s, identity, managementID)
	}
	return sendAs(t, s, method, url, token, "application/json", body)
}

func sendAs(t *testing.T, s *fakeazure.Sim, method, url, authorization, contentType, body string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	client := s.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	var buffer bytes.Buffer
	if _, err := io.Copy(&buffer, resp.Body); err != nil {
		return reply{}, err
	}
	return reply{resp, buffer.Bytes()}, nil
}

func tokenOf(t *testing.T, s *fakeazure.Sim, identity, resource string) string {
	t.Helper()
	token, err := s.Credential(identity).GetToken(t.Context(),
		policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	must(t, err)
	return token.Token
}

// armURL returns the address of a resource, or of something below it.
func armURL(path string) string {
	return "https://management.azure.com" + path + "?api-version=2024-05-01"
}
