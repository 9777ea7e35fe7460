package azure

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Plain sends requests without the SDK's client for them, which would make the program larger by more than all that uses it.
type Plain struct {
	pipeline          runtime.Pipeline
	endpoint, version string
}

// Managing returns the Plain for resources of Resource Manager.
func (c Client) Managing(version string) (Plain, error) {
	client, err := c.Resources()
	if err != nil {
		return Plain{}, err
	}
	return Plain{client.Pipeline(), client.Endpoint(), version}, nil
}

// HSM returns the Plain for the Managed HSM with the name.
func (c Client) HSM(name, version string) Plain {
	host := c.HSMHost(name)
	options := c.At(host)
	token := runtime.NewBearerTokenPolicy(c.Credential, []string{"https://" + c.cloud.HSM + "/.default"}, nil)
	return Plain{
		runtime.NewPipeline("lifeboat/azure", "v1.0.0", runtime.PipelineOptions{PerRetry: []policy.Policy{token}}, &options), "https://" + host, version,
	}
}

// Do sends a request, with the content as its body unless that is nil. A response beyond the 200s is an error.
func (p Plain) Do(ctx context.Context, method, path string, content any) error {
	return p.do(ctx, method, runtime.JoinPaths(p.endpoint, path), content, nil)
}

// Pages reads all pages of a list, and calls each for every entry.
func Pages[T any](ctx context.Context, p Plain, path string, each func(T)) error {
	for next := runtime.JoinPaths(p.endpoint, path); next != ""; {
		var page struct {
			Value []T    `json:"value"`
			Next  string `json:"nextLink"`
		}
		if err := p.do(ctx, http.MethodGet, next, nil, &page); err != nil {
			return err
		}
		for _, one := range page.Value {
			each(one)
		}
		next = page.Next
	}
	return nil
}

// send sends a request to the address, with the content as its body unless that is nil. Any response but one of the statuses is an error.
func (p Plain) send(ctx context.Context, method, address string, content any, statuses ...int) (*http.Response, error) {
	r, err := runtime.NewRequest(ctx, method, address)
	if err == nil && content != nil {
		err = runtime.MarshalAsJSON(r, content)
	}
	if err != nil {
		return nil, err
	}
	query := r.Raw().URL.Query()
	if !query.Has("api-version") { // the address of a next page has it
		query.Set("api-version", p.version)
		r.Raw().URL.RawQuery = query.Encode()
	}
	r.Raw().Header.Set("Accept", "application/json")
	if method == http.MethodDelete {
		r.Raw().Header.Set("If-Match", "*") // API Management wants it, whatever the entity is
	}
	answer, err := p.pipeline.Do(r)
	if err == nil && !runtime.HasStatusCode(answer, statuses...) {
		err = runtime.NewResponseError(answer)
	}
	return answer, err
}

// do is send for a response of the 200s, the body of which goes into a value unless that is nil.
func (p Plain) do(ctx context.Context, method, address string, content, into any) error {
	answer, err := p.send(ctx, method, address, content, //nolint:bodyclose // azcore has read and closed it
		http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent)
	if err != nil || into == nil {
		return err
	}
	return runtime.UnmarshalAsJSON(answer, into)
}
