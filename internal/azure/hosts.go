package azure

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/pattern"
)

// hosts are the hosts that a credential is for. It is the first policy of every client: it sends no request to another host,
// and so no token. It does not matter where the address came from: a Location header, the next page of a list, or the token of
// a run. Any program with access to the table can change such a token.
type hosts struct {
	own string
	// below says that hosts below own are the credential's too.
	below bool
}

// Do sends a request only to a host of the credential, and returns only a response of such a host.
func (h hosts) Do(request *policy.Request) (*http.Response, error) {
	if err := h.admit(request.Raw().URL); err != nil {
		return nil, err
	}
	answer, err := request.Next()
	if err != nil {
		return answer, unreached{err, request.Raw().URL.Hostname()}
	}
	if to := redirected(answer); to != nil {
		if err := h.admit(to); err != nil {
			runtime.Drain(answer)
			return nil, err
		}
	}
	return answer, nil
}

// unreached is the error of a request without a response, with the host that it was for.
type unreached struct {
	error
	host string
}

func (e unreached) Unwrap() error { return e.error }

// below matches the part of a host's name before own.
var below = pattern.New(`^([a-z0-9-]+\.)+$`)

// admit returns nil for an address of the credential's hosts, over HTTPS at its port.
func (h hosts) admit(address *url.URL) error {
	host, isBelow := strings.CutSuffix(strings.ToLower(address.Hostname()), h.own)
	own := isBelow && (host == "" || h.below && below.MatchString(host))
	port := address.Port()
	if own && address.Scheme == "https" && address.User == nil && address.Opaque == "" && (port == "" || port == "443") {
		return nil
	}
	return foreignError{Scrub((&url.URL{Scheme: address.Scheme, Host: address.Host}).String()), h.own}
}

// redirected returns the address to which a response redirects, or from which it came if the transport followed a redirect. It
// returns nil if there was no redirect.
func redirected(answer *http.Response) *url.URL {
	if answer.StatusCode/100 == 3 {
		if to, err := answer.Location(); err == nil {
			return to
		}
	}
	if answer.Request != nil {
		return answer.Request.URL
	}
	return nil
}

// foreignError is the error for an address that the credential is not for.
type foreignError struct{ address, own string }

func (e foreignError) Error() string {
	return fmt.Sprintf("the address %s is not a host of %s; Lifeboat sent nothing there", e.address, e.own)
}
