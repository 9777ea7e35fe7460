package azure

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// direct is the transport of all clients, as the SDK has it (azcore 1.24.0), but for redirects. Azure was never seen to send
// one. Go would follow it, repeat a start, and believe what another host says.
var direct = straight(http.Client{Transport: connections()})

func connections() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 10
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Renegotiation: tls.RenegotiateFreelyAsClient}
	// A connection that died in silence is found out by a ping, before a request waits for it in vain.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return t
}

// straight is the client without following redirects.
func straight(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// transport is the one given, or that of all clients, without following redirects.
func transport(given policy.Transporter) policy.Transporter {
	switch client := given.(type) {
	case nil:
		return direct
	case *http.Client:
		return straight(*client)
	}
	return given
}
