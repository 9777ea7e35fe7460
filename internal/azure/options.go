package azure

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Options returns the options of all clients of Azure: the User-Agent names this program and its version, newID gives each
// call its own ID, and no redirect is followed.
func Options(version string, newID func() string) azcore.ClientOptions {
	return azcore.ClientOptions{
		Telemetry:       policy.TelemetryOptions{ApplicationID: application(version)},
		PerCallPolicies: []policy.Policy{requestIDs(newID)},
		Transport:       direct,
	}
}

// application returns the name by which the SDK's clients present this program. They cut it off at 24 characters (azcore
// 1.24.0); the part that tells one version from the next stands at its end.
func application(version string) string {
	const name, longest = "lifeboat/", 24
	return name + version[max(0, len(version)-longest+len(name)):]
}

// requestIDs gives each call the ID by which Azure's support finds it. The policy stands before authentication, since storage
// requires that the ID is signed, so all requests of one call have the same ID.
type requestIDs func() string

const requestIDHeader = "X-Ms-Client-Request-Id"

// Do sets the header, and adds the ID to the error of a request without a response.
func (newID requestIDs) Do(request *policy.Request) (*http.Response, error) {
	id := newID()
	request.Raw().Header.Set(requestIDHeader, id)
	answer, err := request.Next()
	if err != nil {
		return answer, unanswered{err, id}
	}
	return answer, nil
}

// unanswered is the error of a request without a response, with its ID.
type unanswered struct {
	error
	id string
}

func (e unanswered) Error() string { return e.error.Error() + Asked(e.id) }

func (e unanswered) Unwrap() error { return e.error }

// Asked returns text that names the ID of a request, to stand at the end of a message; "" if it had none.
func Asked(requestID string) string {
	if requestID == "" {
		return ""
	}
	return " (x-ms-client-request-id " + requestID + ")"
}

// RequestID returns the x-ms-client-request-id of the response's request; "" if it had none.
func RequestID(answer *http.Response) string {
	if answer == nil || answer.Request == nil {
		return ""
	}
	return answer.Request.Header.Get(requestIDHeader)
}

// direct is the transport of all clients. It is the SDK's (azcore 1.24.0), except that it does not follow redirects. Azure was
// never seen to send one. Go would follow it, repeat a start, and believe the other host's response.
var direct = straight(http.Client{Transport: connections()})

func connections() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 10
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Renegotiation: tls.RenegotiateFreelyAsClient}
	// A ping finds a connection that died in silence before a request waits on it in vain.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return t
}

// straight returns the client without following redirects.
func straight(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// transport returns the given transport, or else direct; in both cases without following redirects.
func transport(given policy.Transporter) policy.Transporter {
	switch client := given.(type) {
	case nil:
		return direct
	case *http.Client:
		return straight(*client)
	}
	return given
}
