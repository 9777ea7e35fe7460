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
	// URI of the file service, with a SAS.
	URI           string `json:"uri"`
	RestoreRegion string `json:"restoreRegion,omitempty"`
	// FileShareName is what is to be restored.
	FileShareName string `json:"fileShareName,omitempty"`
}

// The results of operations have no content that matters; the SDK's tokens carry the names of their types.
type (
	backedUp struct{}
	restored struct{}
)

// token is what continues an operation in any process.
type token struct {
	// Poller is the SDK's own; "" for a restore that only the resource itself tells of.
	Poller string `json:"poller,omitempty"`
	// Since is when the backup was about to be asked for, by Azure's clock, and There are those shares of the target that
	// were there already and are too young to be told from its own by their time.
	Since time.Time `json:"since,omitzero"`
	There []string  `json:"there,omitempty"`
	// Follow: the resource itself tells how its restore is getting on. Lost: it alone does, since the answer to the start
	// was lost; otherwise the operation has ended well.
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

// operation is one that Azure takes its time over, with a result of the type T.
type operation[T any] struct {
	provider *Provider
	// what it does, in words; starting and polling are its requests.
	what              string
	starting, polling azure.Call
}

// failed are Azure's words for an end that is no success, in lower case, and how codes have them. Some services write the
// second their own way, which the SDK knows too.
var failed = map[string]string{"failed": "Failed", "canceled": "Canceled", "cancelled": "Canceled"}

// status is how an operation is getting on.
type status struct {
	// token continues it, unless it is done.
	token token
	done  bool
	after time.Duration
	// ended is when it did, by Azure's clock; zero if Azure did not say.
	ended time.Time
}

func (s status) operation() backup.Operation {
	if s.done {
		return backup.Operation{Done: true}
	}
	return backup.Operation{Token: s.token.text(), RetryAfter: s.after}
}

// arm is a client of Resource Manager.
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

// start sends the request that starts the operation, which continues with the token. The secret in it is taken out of
// whatever the answer says.
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
		// Its body may be the resource, whose state of the moment is no end of the operation: the SDK would take it for one.
		answer.Body = http.NoBody
	}
	poller, err := runtime.NewPoller[T](answer, client.Pipeline(), nil)
	if err != nil { // taken on without a word about where to ask for it
		return status{}, secret.Strip(o.starting.Fault(err))
	}
	s, err := o.read(o.starting, poller, answer, t)
	if err != nil {
		return s, secret.Strip(backup.AsFault(err))
	}
	return s, nil
}

// followed tells whether the answer to a start says where to ask about the operation.
func followed(answer *http.Response) bool {
	return slices.ContainsFunc([]string{"Azure-AsyncOperation", "Operation-Location", "Location"}, func(name string) bool {
		return answer.Header.Get(name) != ""
	})
}

// poll sends one GET to where the token points. The status has the token also where there is an error.
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
	var own struct { // what only an operation's own status has
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
		// At a Location the SDK goes by the code of the answer, or by the state of the resource that is in it: a word of
		// Azure's that is no end counts more, and the resource in a 202 is not yet what was asked for.
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

// unusable is the fault of a token that leads nowhere; err may be nil.
func (o operation[T]) unusable(err error) *backup.Fault {
	message := o.polling.What + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + azure.Why(err)
	}
	return &backup.Fault{
		Kind: backup.Denied, Code: "UnusableToken", Message: message, Hint: o.polling.Hint(http.StatusNotFound, "", ""),
	}
}

// shown is what Resource Manager shows of an instance.
type shown struct {
	// provisioning is its provisioningState. The API's description has it in every answer; in 30 of 30 recorded GETs, of
	// 2021 to 2025, it was missing, whatever the operation before.
	provisioning string
	// running is its runningState, which newer api-versions show: "Active" in all that was recorded.
	running string
}

// look reads the instance as Resource Manager shows it. An answer that is no resource is an error.
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

// hasStatus tells whether an error is an answer with one of the codes.
func hasStatus(err error, codes ...int) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && slices.Contains(codes, answer.StatusCode)
}
