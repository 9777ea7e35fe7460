package azure

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Options are what all clients of Azure have in common: their User-Agent names this program and its version, each call has
// an ID of its own, by newID, and no redirect is followed.
func Options(version string, newID func() string) azcore.ClientOptions {
	return azcore.ClientOptions{
		Telemetry:       policy.TelemetryOptions{ApplicationID: application(version)},
		PerCallPolicies: []policy.Policy{requestIDs(newID)},
		Transport:       direct,
	}
}

// application is how the SDK's clients name this program. They cut it off at 24 characters (azcore 1.24.0); what tells one
// version from the next stands at its end.
func application(version string) string {
	const name, longest = "lifeboat/", 24
	return name + version[max(0, len(version)-longest+len(name)):]
}

// requestIDs give each call the ID by which Azure's support finds it. It stands before authentication, since storage wants
// it signed, so the requests that one call takes have the same.
type requestIDs func() string

const requestIDHeader = "X-Ms-Client-Request-Id"

// Do sets the header, and keeps the ID with the error of a request without an answer.
func (newID requestIDs) Do(request *policy.Request) (*http.Response, error) {
	id := newID()
	request.Raw().Header.Set(requestIDHeader, id)
	answer, err := request.Next()
	if err != nil {
		return answer, unanswered{err, id}
	}
	return answer, nil
}

// unanswered is the error of a request without an answer, with its ID.
type unanswered struct {
	error
	id string
}

func (e unanswered) Error() string { return e.error.Error() + Asked(e.id) }

func (e unanswered) Unwrap() error { return e.error }

// Asked names the ID of a request behind what is said of it; "" where it had none.
func Asked(requestID string) string {
	if requestID == "" {
		return ""
	}
	return " (x-ms-client-request-id " + requestID + ")"
}

// RequestID is the x-ms-client-request-id of the request that was answered so; "" if it had none.
func RequestID(answer *http.Response) string {
	if answer == nil || answer.Request == nil {
		return ""
	}
	return answer.Request.Header.Get(requestIDHeader)
}

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
