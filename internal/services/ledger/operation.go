package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// request is the body of a start.
type request struct {
	// URI is the address of the file service, with a SAS.
	URI           string `json:"uri"`
	RestoreRegion string `json:"restoreRegion,omitempty"`
	// FileShareName is the share to be restored.
	FileShareName string `json:"fileShareName,omitempty"`
}

// These are the types of the results of operations. A result has no content that matters; the SDK's tokens carry the
// names of the types.
type (
	backedUp struct{}
	restored struct{}
)

// token continues an operation in any process.
type token struct {
	// Poller is the SDK's own token. It is "" for a restore whose state only the resource itself shows.
	Poller string `json:"poller,omitempty"`
	// Since is the time at which the backup was about to be requested, by Azure's clock. There lists the shares of the
	// target that existed already and are too young to be told from the backup's own share by their time.
	Since time.Time `json:"since,omitzero"`
	There []string  `json:"there,omitempty"`
	// Follow says that the resource itself shows the state of its restore. Lost says that only the resource shows it,
	// because the answer to the start was lost; otherwise the operation has ended well.
	Follow bool `json:"follow,omitempty"`
	Lost   bool `json:"lost,omitempty"`
}

func (t token) text() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // only strings and a time
	}
	return string(text)
}

// operation is an operation that takes Azure some time. Its result has the type T.
type operation[T any] struct {
	provider *Provider
	// what describes it in words. starting and polling describe its requests.
	what              string
	starting, polling azure.Call
}

// failed maps Azure's words for an end without success, in lower case, to the words in codes. Some services write the
// second word in their own way, which the SDK knows too.
var failed = map[string]string{"failed": "Failed", "canceled": "Canceled", "cancelled": "Canceled"}

// status is the state of an operation.
type status struct {
	// token continues the operation, unless it is done.
	token token
	done  bool
	after time.Duration
	// ended is the time at which the operation ended, by Azure's clock; zero if Azure did not say.
	ended time.Time
}

func (s status) operation() backup.Operation {
	if s.done {
		return backup.Operation{Done: true}
	}
	return backup.Operation{Token: s.token.text(), RetryAfter: s.after}
}

// arm makes a client of Resource Manager.
func (p *Provider) arm(policies ...policy.Policy) (*arm.Client, error) {
	return arm.NewClient("lifeboat/ledger", "v1.0.0", p.azure.Credential, p.azure.Management(policies...))
}

// call makes a request about the instance, or about a path below it.
func call(ctx context.Context, client *arm.Client, method string, i instance, below ...string) (*policy.Request, error) {
	r, err := runtime.NewRequest(ctx, method, runtime.JoinPaths(client.Endpoint(), append([]string{i.id}, below...)...))
	if err != nil {
		return nil, err
	}
	r.Raw().URL.RawQuery = url.Values{"api-version": {i.version}}.Encode()
	r.Raw().Header.Set("Accept", "application/json")
	return r, nil
}

// start sends the request that starts the operation. The operation continues with the token. start strips the secret in
// the request from the faults that the answer leads to.
func (o operation[T]) start(ctx context.Context, i instance, action string, body request, t token, secret azure.Secret) (
	status, error,
) {
	departure := &azure.Departure{}
	client, err := o.provider.arm(departure)
	if err != nil {
		return status{}, o.starting.Unsent(err)
	}
	r, err := call(ctx, client, http.MethodPost, i, action)
	if err == nil {
		err = runtime.MarshalAsJSON(r, body)
	}
	if err != nil {
		return status{}, secret.Strip(o.starting.Unsent(err))
	}
	answer, err := client.Pipeline().Do(r) //nolint:bodyclose // azcore has read and closed it
	if err == nil && !runtime.HasStatusCode(answer, http.StatusOK, http.StatusAccepted) {
		err = runtime.NewResponseError(answer)
	}
	if err != nil && !departure.Passed {
		return status{}, secret.Strip(o.starting.Unsent(err))
	}
	if err != nil {
		return status{}, secret.Strip(o.starting.Fault(err))
	}
	if followed(answer) {
		// The body may be the resource. Its present state is no end of the operation, and the SDK would take it for one.
		answer.Body = http.NoBody
	}
	poller, err := runtime.NewPoller[T](answer, client.Pipeline(), nil)
	if err != nil { // accepted, without an address at which to ask about it
		return status{}, secret.Strip(o.starting.Fault(err))
	}
	s, err := o.read(o.starting, poller, answer, t)
	if err != nil {
		return s, secret.Strip(backup.AsFault(err))
	}
	return s, nil
}

// followed reports whether the answer to a start says where to ask about the operation.
func followed(answer *http.Response) bool {
	return slices.ContainsFunc([]string{"Azure-AsyncOperation", "Operation-Location", "Location"}, func(name string) bool {
		return answer.Header.Get(name) != ""
	})
}

// poll sends one GET to the address in the token. The status has the token even if there is an error.
func (o operation[T]) poll(ctx context.Context, saved string) (status, error) {
	var t token
	if err := json.Unmarshal([]byte(saved), &t); err != nil || t.Poller == "" {
		return status{}, o.unusable(err)
	}
	s := status{token: t}
	client, err := o.provider.arm()
	if err != nil {
		return s, o.unusable(err)
	}
	poller, err := runtime.NewPollerFromResumeToken[T](t.Poller, client.Pipeline(), nil)
	if err != nil {
		return s, o.unusable(err)
	}
	answer, err := poller.Poll(ctx) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return s, o.unusable(nil)
	case err == nil && answer.StatusCode >= http.StatusMultipleChoices:
		err = runtime.NewResponseError(answer)
	}
	if err != nil {
		return s, o.polling.Fault(err)
	}
	return o.read(o.polling, poller, answer, t)
}

// read reads an answer of 2xx to the request.
func (o operation[T]) read(request azure.Call, poller *runtime.Poller[T], answer *http.Response, t token) (status, error) {
	s := status{token: t, after: azure.RetryAfter(answer)}
	said := azure.ReadBody(answer)
	var own struct { // the fields that only an operation's own status has
		Status any    `json:"status"`
		End    string `json:"endTime"`
	}
	if raw, err := runtime.Payload(answer); err == nil && json.Unmarshal(raw, &own) == nil {
		s.ended, _ = time.Parse(time.RFC3339, own.End)
	}
	word := strings.ToLower(said.State)
	end, failure := failed[word]
	over := poller.Done()
	if over && t.Poller != "" {
		// At a Location the SDK goes by the code of the answer, or by the state of the resource in the answer. A word of
		// Azure's that means no end counts more, and the resource in a 202 is not yet the result.
		over = slices.Contains([]string{"", "succeeded", "completed"}, word) || failure
		over = over && (answer.StatusCode != http.StatusAccepted || own.Status != nil)
	}
	switch next, err := poller.ResumeToken(); {
	case over && failure:
		return s, &backup.Fault{
			Kind: backup.Refused, Code: cmp.Or(said.Code, "Operation"+end), Said: said.Message, RequestID: said.RequestID,
			Message: o.what + ": " + cmp.Or(said.Message, "Azure says "+said.State+", without a reason"),
			Hint:    o.polling.Hint(http.StatusOK, said.Code, said.Message),
		}
	case over:
		s.done = true
	case err == nil:
		s.token.Poller = next
	case t.Poller == "":
		return s, request.Fault(err)
	}
	return s, nil
}

// unusable returns the fault of a token that does not continue an operation; err may be nil.
func (o operation[T]) unusable(err error) *backup.Fault {
	message := o.polling.What + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + azure.Why(err)
	}
	return &backup.Fault{
		Kind: backup.Denied, Code: "UnusableToken", Message: message, Hint: o.polling.Hint(http.StatusNotFound, "", ""),
	}
}

// shown is the state of an instance as Resource Manager shows it.
type shown struct {
	// provisioning is its provisioningState. The API's description has it in every answer; in 30 of 30 recorded GETs, of
	// 2021 to 2025, it was missing, whatever the operation before.
	provisioning string
	// running is its runningState, which newer api-versions show. It is "Active" in all recordings.
	running string
}

// look reads the instance as Resource Manager shows it. An answer without a resource is an error.
func (p *Provider) look(ctx context.Context, i instance) (shown, error) {
	client, err := p.arm()
	if err != nil {
		return shown{}, err
	}
	r, err := call(ctx, client, http.MethodGet, i)
	if err != nil {
		return shown{}, err
	}
	answer, err := client.Pipeline().Do(r) //nolint:bodyclose // azcore has read and closed it
	if err != nil {
		return shown{}, err
	}
	if !runtime.HasStatusCode(answer, http.StatusOK) {
		return shown{}, runtime.NewResponseError(answer)
	}
	var resource struct {
		Properties *struct {
			ProvisioningState string `json:"provisioningState"`
			RunningState      string `json:"runningState"`
		} `json:"properties"`
	}
	raw, err := runtime.Payload(answer)
	if err == nil {
		err = json.Unmarshal(raw, &resource)
	}
	if err == nil && resource.Properties == nil {
		err = errors.New("it has no properties")
	}
	if err != nil {
		return shown{}, fmt.Errorf("the answer shows no resource: %w", err)
	}
	return shown{resource.Properties.ProvisioningState, resource.Properties.RunningState}, nil
}

// hasStatus reports whether an error is an answer with one of the codes.
func hasStatus(err error, codes ...int) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && slices.Contains(codes, answer.StatusCode)
}
