// Package azuritetest gives tests storage accounts on a real Azurite: under Azure's own host names, over HTTPS, with bearer
// tokens. The tests of a package share one Azurite, and each test gets its own account.
package azuritetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/testing/azurite"
)

// Main runs the tests of a package and stops the Azurite that they started, if any. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(azuritetest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// accounts is the number of accounts that Azurite knows from its start; no test binary needs as many.
const accounts = 400

// shared is the Azurite of the test binary.
var shared struct {
	sync.Mutex
	dir       string
	server    *azurite.Server
	transport *http.Transport
	given     int // accounts handed out
}

// Account is a storage account with nothing in it.
type Account struct {
	Name string
	// Key is the base64 account key.
	Key string
	// Client sends requests to the account, and only to accounts on Azurite, under Azure's host names.
	Client *http.Client
}

// NewAccount returns an account for this test alone. The first call starts Azurite; [Main] stops it.
func NewAccount(t testing.TB) *Account {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		if err := start(t); err != nil {
			t.Fatal(err)
		}
	}
	if shared.given == accounts {
		t.Fatalf("all %d accounts of Azurite are in use", accounts)
	}
	name := accountName(shared.given)
	shared.given++
	return &Account{Name: name, Key: accountKey(name), Client: &http.Client{Transport: shared.transport}}
}

// Options returns options that make an SDK client use the account's Client, with the SDK's retries but without its seconds of
// delay.
func (a *Account) Options() azcore.ClientOptions {
	options := azcore.ClientOptions{Transport: a.Client}
	options.Retry.RetryDelay, options.Retry.MaxRetryDelay = time.Millisecond, 10*time.Millisecond
	return options
}

// Requests returns the requests to the account that Azurite has answered so far.
func (a *Account) Requests(t testing.TB) []azurite.Request {
	t.Helper()
	all, err := shared.server.Requests()
	if err != nil {
		t.Fatal(err)
	}
	var mine []azurite.Request
	for _, r := range all {
		if strings.HasPrefix(r.Host, a.Name+".") {
			mine = append(mine, r)
		}
	}
	return mine
}

func accountName(i int) string { return fmt.Sprintf("test%03d", i) }

func accountKey(name string) string {
	return base64.StdEncoding.EncodeToString([]byte("the account key of " + name))
}

// start runs Azurite in a directory that outlives the current test.
func start(t testing.TB) error {
	dir, err := os.MkdirTemp("", "azuritetest-")
	if err != nil {
		return err
	}
	shared.dir = dir
	cert, key, err := certificate(dir)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for i := range accounts {
		names[accountName(i)] = accountKey(accountName(i))
	}
	server, err := azurite.Start(t.Context(), azurite.Config{
		Dir: filepath.Join(dir, "azurite"), CertFile: cert, KeyFile: key, Accounts: names,
		Progress: func(line string) { t.Log(line) },
	})
	if err != nil {
		return err
	}
	shared.server = server
	shared.transport, err = transport(server, cert)
	return err
}

func stop() error {
	shared.Lock()
	defer shared.Unlock()
	var errs []error
	if shared.transport != nil {
		shared.transport.CloseIdleConnections()
	}
	if shared.server != nil {
		errs = append(errs, shared.server.Stop())
	}
	if shared.dir != "" {
		errs = append(errs, os.RemoveAll(shared.dir))
	}
	return errors.Join(errs...)
}

// transport sends requests for Azure's storage host names to Azurite, and refuses all others.
func transport(server *azurite.Server, certFile string) (*http.Transport, error) {
	ports := map[string]int{"blob": server.BlobPort, "queue": server.QueuePort, "table": server.TablePort}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, host, _ := strings.Cut(address, ".")
			service, suffix, _ := strings.Cut(host, ".")
			if port := ports[service]; port != 0 && suffix == "core.windows.net:443" {
				return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
			}
			return nil, fmt.Errorf("%s is not on Azurite", address)
		},
	}, nil
}
