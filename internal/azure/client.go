package azure

import (
	"context"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Client is what the SDK's clients are made of: the app's identity, and options by which nothing is sent twice, nor to a
// host that it does not belong to.
type Client struct {
	Credential azcore.TokenCredential
	options    azcore.ClientOptions
}

// New makes a Client that acts with the identity behind cred. The retry options of opts are overruled, and redirects
// are not followed.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) Client {
	opts.Retry = policy.RetryOptions{MaxRetries: -1}
	opts.Transport = transport(opts.Transport)
	return Client{Credential: credential{cred}, options: opts}
}

// At are the options of clients of the one host, with policies of the caller's own behind authentication.
func (c Client) At(host string, policies ...policy.Policy) azcore.ClientOptions {
	return c.within(hosts{own: host}, policies)
}

// Management are the options of clients of Resource Manager, with policies of the caller's own behind authentication.
func (c Client) Management(policies ...policy.Policy) *arm.ClientOptions {
	return &arm.ClientOptions{ClientOptions: c.within(management, policies), DisableRPRegistration: true}
}

func (c Client) within(own hosts, policies []policy.Policy) azcore.ClientOptions {
	options := c.options
	options.PerCallPolicies = slices.Concat([]policy.Policy{own}, options.PerCallPolicies)
	options.PerRetryPolicies = slices.Concat(options.PerRetryPolicies, policies)
	return options
}

// Departure is the last policy before the wire: what has not passed it was certainly never sent.
type Departure struct {
	// Passed: a request that proves who sends it went out. One that does not, by which a Key Vault is asked whose tokens
	// it takes, starts nothing.
	Passed bool
}

// Do lets a request out unless its time is over.
func (d *Departure) Do(request *policy.Request) (*http.Response, error) {
	if err := request.Raw().Context().Err(); err != nil {
		return nil, err
	}
	d.Passed = d.Passed || request.Raw().Header.Get("Authorization") != ""
	return request.Next()
}

// credential marks the errors of the one that it wraps: they are the identity's, not those of the service asked.
type credential struct{ azcore.TokenCredential }

type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

// GetToken is that of the credential inside.
func (c credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.TokenCredential.GetToken(ctx, options)
	if err != nil {
		return token, tokenError{err}
	}
	return token, nil
}

// Deref is what the pointer points at, or the zero value: every property of the SDK's models may be missing.
func Deref[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}
