package azurite_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/testing/azurite"
)

const (
	account  = "contosobackups"
	key      = "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="
	tenant   = "11111111-1111-1111-1111-111111111111"
	objectID = "22222222-2222-2222-2222-222222222222"
)

func TestServer(t *testing.T) {
	server, transport := start(t)
	options := azcore.ClientOptions{Transport: transport, Retry: policy.RetryOptions{MaxRetries: -1}}

	t.Run("bearer on each service", func(t *testing.T) {
		ctx := t.Context()
		seen := count(t, server)

		blobs, err := azblob.NewClient("https://"+account+".blob.core.windows.net", identity{},
			&azblob.ClientOptions{ClientOptions: options})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := blobs.CreateContainer(ctx, "backups", nil); err != nil {
			t.Fatal(err)
		}
		queues, err := azqueue.NewServiceClient("https://"+account+".queue.core.windows.net", identity{},
			&azqueue.ClientOptions{ClientOptions: options})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := queues.CreateQueue(ctx, "execute", nil); err != nil {
			t.Fatal(err)
		}
		table := newTable(t, options, "Catalog")
		if _, err := table.GetEntity(ctx, "p", "r", nil); statusOf(err) != http.StatusNotFound {
			t.Fatalf("get of a missing row: %v, want 404", err)
		}

		want := []azurite.Request{
			{
				Service: "blob", Method: "PUT", Path: "/backups", Query: "restype=container",
				Operation: "Container_Create", Status: 201,
			},
			{Service: "queue", Method: "PUT", Path: "/execute", Operation: "Queue_Create", Status: 201},
			{Service: "table", Method: "POST", Path: "/Tables", Operation: "Table_Create", Status: 201},
			{
				Service: "table", Method: "GET", Path: "/Catalog(PartitionKey='p',RowKey='r')",
				Operation: "Table_QueryEntitiesWithPartitionAndRowKey", Status: 404,
			},
		}
		got := requests(t, server)[seen:]
		if len(got) != len(want) {
			t.Fatalf("got %d requests, want %d: %+v", len(got), len(want), got)
		}
		for i, w := range want {
			w.Host = fmt.Sprintf("%s.%s.core.windows.net", account, w.Service)
			w.AuthScheme, w.ObjectID = "Bearer", objectID
			g := got[i]
			if g.ID == "" || time.Since(g.Time).Abs() > time.Hour {
				t.Errorf("request %d: ID %q, time %s", i, g.ID, g.Time)
			}
			g.ID, g.Time = "", time.Time{}
			if w.Service == "table" && w.Method == "GET" { // the SDK adds its own query parameters
				g.Query = ""
			}
			if g != w {
				t.Errorf("request %d:\n got %+v\nwant %+v", i, g, w)
			}
		}
	})

	t.Run("a table batch is one request", func(t *testing.T) {
		table := newTable(t, options, "Batches")
		seen := count(t, server)
		actions := []aztables.TransactionAction{
			{ActionType: aztables.TransactionTypeAdd, Entity: []byte(`{"PartitionKey":"p","RowKey":"a"}`)},
			{ActionType: aztables.TransactionTypeInsertMerge, Entity: []byte(`{"PartitionKey":"p","RowKey":"b"}`)},
			{ActionType: aztables.TransactionTypeInsertReplace, Entity: []byte(`{"PartitionKey":"p","RowKey":"c"}`)},
		}
		if _, err := table.SubmitTransaction(t.Context(), actions, nil); err != nil {
			t.Fatal(err)
		}
		got := requests(t, server)[seen:]
		if len(got) != 1 || got[0].Operation != "Table_Batch" || got[0].Status != http.StatusAccepted {
			t.Errorf("got %+v, want one Table_Batch with 202", got)
		}

		actions = []aztables.TransactionAction{
			{ActionType: aztables.TransactionTypeDelete, Entity: []byte(`{"PartitionKey":"p","RowKey":"a"}`)},
			{ActionType: aztables.TransactionTypeAdd, Entity: []byte(`{"PartitionKey":"p","RowKey":"b"}`)},
		}
		if _, err := table.SubmitTransaction(t.Context(), actions, nil); err == nil {
			t.Error("a transaction with a duplicate row succeeded")
		}
		if _, err := table.GetEntity(t.Context(), "p", "a", nil); err != nil {
			t.Errorf("the refused transaction was not rolled back: %v", err)
		}
	})

	t.Run("a blob batch is one request", func(t *testing.T) {
		ctx := t.Context()
		containers, err := container.NewClient("https://"+account+".blob.core.windows.net/batches", identity{},
			&container.ClientOptions{ClientOptions: options})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := containers.Create(ctx, nil); err != nil {
			t.Fatal(err)
		}
		batch, err := containers.NewBatchBuilder()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			body := readSeekCloser{strings.NewReader("x")}
			if _, err := containers.NewBlockBlobClient(name).Upload(ctx, body, nil); err != nil {
				t.Fatal(err)
			}
			if err := batch.Delete(name, nil); err != nil {
				t.Fatal(err)
			}
		}
		seen := count(t, server)
		if _, err := containers.SubmitBatch(ctx, batch, nil); err != nil {
			t.Fatal(err)
		}
		got := requests(t, server)[seen:]
		if len(got) != 1 || got[0].Operation != "Container_SubmitBatch" {
			t.Errorf("got %+v, want one Container_SubmitBatch", got)
		}
	})

	t.Run("anonymous requests are refused and seen", func(t *testing.T) {
		seen := count(t, server)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"https://"+account+".table.core.windows.net/Tables", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		got := requests(t, server)[seen:]
		if len(got) != 1 || got[0].AuthScheme != "" || got[0].Status != http.StatusForbidden {
			t.Errorf("got %+v, want one anonymous request with 403", got)
		}
	})

	t.Run("after Stop", func(t *testing.T) {
		seen := count(t, server)
		for range 2 {
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if got := count(t, server); got != seen {
			t.Errorf("%d requests after Stop, %d before", got, seen)
		}
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.BlobPort)); err == nil {
			_ = conn.Close()
			t.Error("the blob port still answers after Stop")
		}
		if _, err := os.Stat(server.DebugLog()); err != nil {
			t.Errorf("the debug log is gone after Stop: %v", err)
		}
	})
}

func TestStartRefusesBadConfig(t *testing.T) {
	dir := t.TempDir()
	cert, certKey := certificate(t, dir)
	good := azurite.Config{Dir: dir, CertFile: cert, KeyFile: certKey, Accounts: map[string]string{account: key}}
	for name, spoil := range map[string]func(*azurite.Config){
		"no directory":     func(c *azurite.Config) { c.Dir = "" },
		"no certificate":   func(c *azurite.Config) { c.CertFile = "" },
		"no key":           func(c *azurite.Config) { c.KeyFile = "" },
		"no account":       func(c *azurite.Config) { c.Accounts = nil },
		"bad account name": func(c *azurite.Config) { c.Accounts = map[string]string{"Not-Valid": key} },
		"bad account key":  func(c *azurite.Config) { c.Accounts = map[string]string{account: "not base64"} },
		"not a certificate": func(c *azurite.Config) {
			c.CertFile = filepath.Join(dir, "empty.pem")
			if err := os.WriteFile(c.CertFile, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			spoil(&config)
			if server, err := azurite.Start(t.Context(), config); err == nil {
				_ = server.Stop()
				t.Error("Start succeeded")
			}
		})
	}
}

func TestStartReportsAzuritesOwnWords(t *testing.T) {
	dir := t.TempDir()
	cert, _ := certificate(t, dir)
	_, otherKey := certificate(t, t.TempDir())
	_, err := azurite.Start(t.Context(), azurite.Config{
		Dir: dir, CertFile: cert, KeyFile: otherKey, Accounts: map[string]string{account: key}, Progress: progress(t),
	})
	if err == nil || !strings.Contains(err.Error(), "key values mismatch") {
		t.Errorf("Start with a foreign key = %v, want OpenSSL's words", err)
	}
}

// start runs Azurite and returns a client that reaches it under Azure's host names.
func start(t *testing.T) (*azurite.Server, *http.Client) {
	t.Helper()
	dir := t.TempDir()
	cert, certKey := certificate(t, dir)
	server, err := azurite.Start(t.Context(), azurite.Config{
		Dir: dir, CertFile: cert, KeyFile: certKey, Accounts: map[string]string{account: key}, Progress: progress(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server, client(t, cert, server.BlobPort, server.QueuePort, server.TablePort)
}

// client returns a client that reaches an Azurite on these ports by Azure's host names.
func client(t *testing.T, cert string, blob, queue, table int) *http.Client {
	t.Helper()
	ports := map[string]int{"blob": blob, "queue": queue, "table": table}
	roots := x509.NewCertPool()
	data, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(data)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			service := strings.Split(address, ".")[1]
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", ports[service]))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newTable(t *testing.T, options azcore.ClientOptions, name string) *aztables.Client {
	t.Helper()
	service, err := aztables.NewServiceClient("https://"+account+".table.core.windows.net", identity{},
		&aztables.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.CreateTable(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	return service.NewClient(name)
}

func requests(t *testing.T, server *azurite.Server) []azurite.Request {
	t.Helper()
	all, err := server.Requests()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func count(t *testing.T, server *azurite.Server) int {
	t.Helper()
	return len(requests(t, server))
}

func progress(t *testing.T) func(string) {
	return func(line string) { t.Log(line) }
}

func statusOf(err error) int {
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		return response.StatusCode
	}
	return 0
}

// identity returns unsigned tokens with the claims that Azurite checks.
type identity struct{}

func (identity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/" + tenant + "/",
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		"oid": objectID, "tid": tenant,
	})
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(claims) + "."
	return azcore.AccessToken{Token: token, ExpiresOn: now.Add(time.Hour)}, err
}

// certificate writes a self-signed certificate for loopback and the host names of the test's account.
func certificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "azurite"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{
			account + ".blob.core.windows.net", account + ".queue.core.windows.net",
			account + ".table.core.windows.net",
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

type readSeekCloser struct{ *strings.Reader }

func (readSeekCloser) Close() error { return nil }
