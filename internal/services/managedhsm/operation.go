package managedhsm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

type poller[T any] = *runtime.Poller[T]

// operation is an operation that takes the HSM some time. Its result has the SDK's type T.
type operation[T any] struct {
	// what describes it in words. starting and polling describe its requests.
	what              string
	starting, polling azure.Call
	// departure has seen the request that starts it.
	departure *azure.Departure
	// begin starts it, or continues it with a token.
	begin func(ctx context.Context, token string) (poller[T], error)
}

// status is the state of an operation.
type status struct {
	// token continues the operation; it is "" once the operation is done.
	token string
	done  bool
	said  said
	after time.Duration
}

func (s status) operation() backup.Operation {
	return backup.Operation{Token: s.token, Done: s.done, RetryAfter: s.after}
}

// said is the body of an operation's status. Until 2021 an error whose members are null was in the body as long as the
// operation had none (recorded).
type said struct {
	Status  string `json:"status"`
	Details string `json:"statusDetails"`
	URI     string `json:"azureStorageBlobContainerUri"`
	Error   struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// errNoToken says that the HSM accepted the operation without an address at which to ask about it.
var errNoToken = errors.New("the HSM took the operation on but did not say where to ask about it")

// start sends the request that starts the operation. It strips the secret in that request from the faults that the answer
// leads to.
func (o operation[T]) start(ctx context.Context, secret azure.Secret) (status, error) {
	var answer *http.Response
	p, err := o.begin(policy.WithCaptureResponse(ctx, &answer), "")
	switch {
	case err != nil && !o.departure.Passed:
		return status{}, secret.Strip(o.starting.Unsent(err))
	case err != nil:
		return status{}, secret.Strip(o.starting.Fault(err))
	}
	token, err := p.ResumeToken()
	if err != nil {
		token = "" // a poller whose operation ended at once has none
	}
	s, err := o.read(o.starting, answer, token)
	if err != nil {
		return s, secret.Strip(backup.AsFault(err))
	}
	return s, nil
}

// poll sends one GET to the address in the token. Without a token the SDK would start the operation.
func (o operation[T]) poll(ctx context.Context, token string) (status, error) {
	if token == "" {
		return status{}, o.unusable(nil)
	}
	p, err := o.begin(ctx, token)
	if err != nil {
		return status{}, o.unusable(err)
	}
	answer, err := p.Poll(ctx) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return status{}, o.unusable(nil)
	case err == nil && !runtime.HasStatusCode(answer, http.StatusOK, http.StatusCreated, http.StatusAccepted):
		err = runtime.NewResponseError(answer)
	}
	if err != nil {
		return status{}, o.polling.Fault(err)
	}
	if next, err := p.ResumeToken(); err == nil {
		token = next
	}
	return o.read(o.polling, answer, token)
}

// read reads an answer of 200, 201 or 202 to the call; token continues the operation if it goes on. It knows every word
// for an end that the SDK's pollers know. At such a word the pollers take the operation for ended, and would ask no more.
func (o operation[T]) read(call azure.Call, answer *http.Response, token string) (status, error) {
	s := status{token: token, after: azure.RetryAfter(answer)}
	if raw, err := runtime.Payload(answer); err == nil && len(raw) > 0 {
		if err := json.Unmarshal(raw, &s.said); err != nil {
			return status{}, call.Fault(err) // the answer may have said anything
		}
	}
	switch strings.ToLower(s.said.Status) {
	case "succeeded", "completed":
		return status{done: true, said: s.said}, nil
	case "failed", "canceled", "cancelled":
		fault := o.ended(s.said)
		fault.RequestID = azure.RequestID(answer)
		return status{}, fault
	}
	if token == "" {
		return status{}, call.Fault(errNoToken)
	}
	return s, nil
}

// ended returns the fault of an operation that has failed, as the HSM itself says. Mostly only the details have the
// reason.
func (o operation[T]) ended(said said) *backup.Fault {
	words := said.Details
	if m := said.Error.Message; m != "" && !strings.Contains(words, m) {
		words = strings.TrimPrefix(words+": "+m, ": ")
	}
	words = azure.Scrub(words)
	code := azure.Scrub(cmp.Or(said.Error.Code, "Operation"+said.Status))
	return &backup.Fault{
		Kind: backup.Refused, Code: code, Said: words, Hint: o.polling.Hint(http.StatusOK, code, words),
		Message: o.what + ": " + cmp.Or(words, "the HSM says "+azure.Scrub(said.Status)+", without a reason"),
	}
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
