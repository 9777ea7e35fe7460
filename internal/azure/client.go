package azure

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Client holds the app's identity and the options from which the SDK's clients are made. With them no client sends a request
// twice, or to a host that the identity's credential is not for.
type Client struct {
	Credential azcore.TokenCredential
	options    azcore.ClientOptions
	cloud      Cloud
}

// New makes a Client that acts with the identity of cred, in the cloud of opts. It overrides the retry options of opts, and its clients do not
// follow redirects.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) Client {
	opts.Retry = policy.RetryOptions{MaxRetries: -1}
	opts.Transport = transport(opts.Transport)
	return Client{Credential: credential{cred}, options: opts, cloud: CloudOf(opts.Cloud)}
}

// HSMHost returns the host of the Managed HSM with the name.
func (c Client) HSMHost(name string) string { return strings.ToLower(name) + "." + c.cloud.HSM }

// At returns the options of clients of the one host.
func (c Client) At(host string) azcore.ClientOptions {
	return c.within(hosts{own: host})
}

// Management returns the options of clients of Resource Manager, with the caller's policies after authentication.
func (c Client) Management(policies ...policy.Policy) *arm.ClientOptions {
	return &arm.ClientOptions{ClientOptions: c.within(c.cloud.management(), policies...), DisableRPRegistration: true}
}

func (c Client) within(own hosts, policies ...policy.Policy) azcore.ClientOptions {
	options := c.options
	options.PerCallPolicies = slices.Concat([]policy.Policy{own}, options.PerCallPolicies)
	options.PerRetryPolicies = slices.Concat(options.PerRetryPolicies, policies, []policy.Policy{sentPolicy{}})
	return options
}

// Sent records whether a context sent a request with proof of its sender.
type Sent struct {
	// Passed says that such a request went out. A request without proof starts nothing; it asks a Key Vault which tenant's tokens
	// the vault accepts.
	Passed bool
}

// TrackSent returns a context that records which requests are sent.
func TrackSent(ctx context.Context) (context.Context, *Sent) {
	sent := &Sent{}
	return context.WithValue(ctx, sentPolicy{}, sent), sent
}

// sentPolicy is the last policy of every client before the network. A request that has not passed it was certainly never sent.
type sentPolicy struct{}

// Do sends a request of such a context unless its time is over.
func (sentPolicy) Do(request *policy.Request) (*http.Response, error) {
	ctx := request.Raw().Context()
	if sent, ok := ctx.Value(sentPolicy{}).(*Sent); ok {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sent.Passed = sent.Passed || request.Raw().Header.Get("Authorization") != ""
	}
	return request.Next()
}

// credential marks the errors of the credential inside: the identity caused them, not the service.
type credential struct{ azcore.TokenCredential }

type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

// GetToken returns a token of the credential inside.
func (c credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.TokenCredential.GetToken(ctx, options)
	if err != nil {
		return token, tokenError{err}
	}
	return token, nil
}

// Deref returns the value of the pointer, or the zero value for nil: every property of the SDK's models may be missing.
func Deref[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}
