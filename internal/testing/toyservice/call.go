package toyservice

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// host answers for all boxes and shelves. A service that has a client in the Azure SDK is called by that, and needs nothing of
// this file but the meanings and the hints.
const (
	host   = "toys.example.com"
	origin = "https://" + host
)

// meaning says what an answer of 4xx means. Most calls have azure.Before or azure.Following.
type meaning func(status int, code string) backup.FaultKind

// unclear is the meaning for a look: an answer of 4xx proves only that the look failed.
func unclear(int, string) backup.FaultKind { return backup.Retryable }

// unlessTouched is the meaning for a deletion: it is tried again. A file with another ETag is read again first.
func unlessTouched(status int, _ string) backup.FaultKind {
	if status == http.StatusPreconditionFailed {
		return backup.Touched
	}
	return backup.Retryable
}

// hint says what a person can do.
func hint(status int, _, _ string) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "Give the function app's identity the role Toy Box Operator on the box and on the shelf."
	case http.StatusNotFound:
		return "See whether the box still exists. If not, leave it in plan.yaml for as long as its recovery points may be needed."
	case http.StatusConflict:
		return "The box is busy with another change; Lifeboat asks again."
	case http.StatusPreconditionFailed:
		return "Another program changed the file since it was verified."
	}
	return "See what the box says."
}

// call is one request: to the target, or where that is "" to the shelf.
type call struct {
	what, target, path, method, etag string
	body                             any
	start                            bool
	means                            meaning
}

// as gives the failures of the call their meaning.
func (c call) as() azure.Call {
	return azure.Call{What: c.what, Start: c.start, Means: c.means, Hint: hint}
}

func (c call) fault(err error) error { return c.as().Fault(err) }

// answer holds the parts of an answer that the provider reads.
type answer struct {
	status  int
	header  http.Header
	content []byte
	said    azure.Body
	wait    time.Duration
}

// into reads the content as JSON.
func (a answer) into(v any) error { return json.Unmarshal(a.content, v) }

// send sends the request once. Its errors are faults; with one of a status the answer comes too. A request that the policy of
// [azure.TrackSent] has not seen was certainly not sent.
func (p *Provider) send(ctx context.Context, c call) (answer, error) {
	at := origin + c.path
	if c.target != "" {
		box, err := backup.ParseResource(c.target)
		if err != nil || !strings.EqualFold(box.Type, resourceType) {
			return answer{}, azure.Invalid("InvalidTarget", c.target, "a toy box", err)
		}
		at = origin + "/boxes/" + box.Name + c.path
	}
	ctx, sent := azure.TrackSent(ctx)
	request, err := runtime.NewRequest(ctx, cmp.Or(c.method, http.MethodGet), at)
	if err == nil && c.body != nil {
		err = runtime.MarshalAsJSON(request, c.body)
	}
	if err != nil {
		return answer{}, c.as().NotSent(err)
	}
	if c.etag != "" {
		request.Raw().Header.Set("If-Match", c.etag)
	}
	options := p.azure.At(host)
	token := runtime.NewBearerTokenPolicy(p.azure.Credential, []string{origin + "/.default"}, nil)
	raw, err := runtime.NewPipeline("toys", "v1", runtime.PipelineOptions{PerRetry: []policy.Policy{token}}, &options).Do(request)
	switch {
	case err != nil && !sent.Passed:
		return answer{}, c.as().NotSent(err)
	case err != nil:
		return answer{}, c.fault(err)
	}
	defer raw.Body.Close()
	came := answer{status: raw.StatusCode, header: raw.Header, said: azure.ReadBody(raw), wait: azure.RetryAfter(raw)}
	if came.status >= http.StatusMultipleChoices {
		return came, c.fault(runtime.NewResponseError(raw))
	}
	if came.content, err = runtime.Payload(raw); err != nil {
		return came, c.fault(err)
	}
	return came, nil
}
