package fakeazure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	authorityCertFile = "ca.pem"
	authorityKeyFile  = "ca-key.pem"
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 365 * 24 * time.Hour
	// backdate tolerates a client whose clock is a little behind.
	backdate = time.Hour
)

// authority issues the certificates of every host that the Sim simulates.
type authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// openAuthority opens the authority in dir, or makes one.
func openAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir, file: filepath.Join(dir, authorityCertFile), leaves: make(map[string]*tls.Certificate)}
	pair, err := tls.LoadX509KeyPair(a.file, filepath.Join(dir, authorityKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create()
	}
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no ECDSA key", authorityKeyFile)
	}
	a.cert, a.key = pair.Leaf, key
	return a, nil
}

func (a *authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := newTemplate(authorityLifetime)
	if err != nil {
		return err
	}
	template.Subject = pkix.Name{CommonName: "Lifeboat simulator authority"}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	return writePair(a.file, filepath.Join(a.dir, authorityKeyFile), key, der)
}

// leaf returns the certificate of one host. It issues it at its first use.
func (a *authority) leaf(host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf, ok := a.leaves[host]; ok {
		return leaf, nil
	}
	leaf, err := a.issue(host)
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", host, err)
	}
	a.leaves[host] = leaf
	return leaf, nil
}

func (a *authority) issue(hosts ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(leafLifetime)
	if err != nil {
		return nil, err
	}
	template.Subject = pkix.Name{CommonName: hosts[0]}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, nil
}

func (a *authority) write(hosts ...string) (certFile, keyFile string, err error) {
	if len(hosts) == 0 {
		return "", "", errors.New("write certificate: no host named")
	}
	leaf, err := a.issue(hosts...)
	if err != nil {
		return "", "", fmt.Errorf("certificate for %s: %w", strings.Join(hosts, ", "), err)
	}
	stem := filepath.Join(a.dir, strings.NewReplacer(":", "-", "*", "any").Replace(hosts[0]))
	certFile, keyFile = stem+".pem", stem+"-key.pem"
	if err := writePair(certFile, keyFile, leaf.PrivateKey.(*ecdsa.PrivateKey), leaf.Certificate...); err != nil {
		return "", "", fmt.Errorf("write certificate for %s: %w", strings.Join(hosts, ", "), err)
	}
	return certFile, keyFile, nil
}

// clientConfig returns a configuration that trusts this authority and no other.
func (a *authority) clientConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func newTemplate(lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime)}, nil
}

// writePair writes the key first: when the certificate file exists, so does its key.
func writePair(certFile, keyFile string, key *ecdsa.PrivateKey, chain ...[]byte) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(keyFile, keyPEM, 0o600); err != nil {
		return err
	}
	var certPEM []byte
	for _, cert := range chain {
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	return os.WriteFile(certFile, certPEM, 0o644)
}
