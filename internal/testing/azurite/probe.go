package azurite

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// probe connects to Azurite's ports. It accepts only the certificate of this Azurite, so it cannot mistake another program on
// the port for Azurite.
type probe struct {
	client *http.Client
	dialer *tls.Dialer
}

func newProbe(certFile string) (*probe, error) {
	data, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("certificate %s holds no PEM block", certFile)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certFile, err)
	}
	config := &tls.Config{
		InsecureSkipVerify: true, // replaced by the stricter comparison below
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes) {
				return errors.New("the port answers with another certificate than Azurite's")
			}
			return nil
		},
	}
	return &probe{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 10 * time.Second},
		dialer: &tls.Dialer{Config: config},
	}, nil
}

func (p *probe) close() { p.client.CloseIdleConnections() }

// await returns when the port answers with that certificate.
func (p *probe) await(ctx context.Context, port int, child *process) error {
	for {
		conn, err := p.dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-child.ended:
			return child.failure()
		case <-ctx.Done():
			return fmt.Errorf("port %d does not answer: %w: %w", port, ctx.Err(), err)
		case <-time.After(pollInterval):
		}
	}
}

// get sends a request, waits for the response and ignores it.
func (p *probe) get(ctx context.Context, port int, path string) error {
	url := fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
