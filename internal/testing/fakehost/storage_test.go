package fakehost

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
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/testing/azurite"
)

// account is the storage account of all tests here; each has its own queues.
const account = "devhosttests"

const (
	queueHost = account + ".queue.core.windows.net"
	blobHost  = account + ".blob.core.windows.net"
)

// emulator is the one Azurite of this test binary, started by the first test with storage.
var emulator struct {
	once   sync.Once
	server *azurite.Server
	dir    string
	client *http.Client
	err    error
}

// storageClient returns a client that reaches the emulator under Azure's host names.
func storageClient(t *testing.T) *http.Client {
	t.Helper()
	emulator.once.Do(func() { emulator.err = startStorage(t) })
	if emulator.err != nil {
		t.Fatal(emulator.err)
	}
	return emulator.client
}

func startStorage(t *testing.T) (err error) {
	if emulator.dir, err = os.MkdirTemp("", "fakehost"); err != nil {
		return err
	}
	cert, key, err := writeCertificate(emulator.dir)
	if err != nil {
		return err
	}
	emulator.server, err = azurite.Start(t.Context(), azurite.Config{
		Dir: emulator.dir, CertFile: cert, KeyFile: key, Progress: func(line string) { t.Log(line) },
		Accounts: map[string]string{account: "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="},
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	emulator.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			port := emulator.server.QueuePort
			if strings.HasPrefix(address, blobHost) {
				port = emulator.server.BlobPort
			}
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		},
	}}
	return nil
}

func stopStorage() error {
	if emulator.server == nil {
		return nil
	}
	return errors.Join(emulator.server.Stop(), os.RemoveAll(emulator.dir))
}

// identity returns unsigned tokens with the claims that Azurite checks.
type identity struct{}

func (identity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	const tenant = "11111111-1111-1111-1111-111111111111"
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/" + tenant + "/",
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		"oid": "22222222-2222-2222-2222-222222222222", "tid": tenant,
	})
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(claims) + "."
	return azcore.AccessToken{Token: token, ExpiresOn: now.Add(time.Hour)}, err
}

// newTestQueue creates a queue and returns its client.
func newTestQueue(t *testing.T, name string) *azqueue.QueueClient {
	t.Helper()
	c, err := azqueue.NewQueueClient("https://"+queueHost+"/"+name, identity{},
		&azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: storageClient(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func writeCertificate(dir string) (certFile, keyFile string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "fakehost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{queueHost, blobHost},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certFile, keyFile, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}
