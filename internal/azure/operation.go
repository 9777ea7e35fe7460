package azure

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/backup"
)

// Operation is an operation that takes a service some time.
type Operation struct {
	// Starting and Polling describe its requests.
	Starting, Polling Call
	// Begin sends the request that starts the operation if the token is "". With a token it makes a poller of that, and sends
	// nothing.
	Begin func(ctx context.Context, token string) (Poller, error)
}

// Poller is the SDK's poller of an operation, whatever the type of the result.
type Poller interface {
	Poll(ctx context.Context) (*http.Response, error)
	ResumeToken() (string, error)
}

// Answer is a response about an operation, of one of the statuses 200, 201, 202 and 204.
type Answer struct {
	*http.Response
	// Poller has taken in the response.
	Poller Poller
	// Token continues the operation in any process. It is "" if the SDK's poller takes the operation for ended. The service's
	// own words decide about that.
	Token string
}

// accepted lists the HTTP statuses of a response that shows the state of an operation.
var accepted = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// Start sends the one request that starts the operation. It strips the secret in that request from its faults. If it fails
// before that request is sent, the operation was certainly not started. If the request gets no response, it is unknown whether
// the operation was started.
func (o Operation) Start(ctx context.Context, secret Secret) (Answer, error) {
	ctx, sent := TrackSent(ctx)
	var answer *http.Response
	poller, err := o.Begin(policy.WithCaptureResponse(ctx, &answer), "")
	switch {
	case err != nil && !sent.Passed:
		return Answer{}, secret.Strip(o.Starting.NotSent(err))
	case err != nil:
		return Answer{}, secret.Strip(o.Starting.Fault(err))
	}
	return Answer{answer, poller, resumeToken(poller)}, nil
}

// Poll sends one GET to the address in the token. The response's status decides and not the poller: the poller takes every
// refusal, a 403 as well as a 400, for the end of the operation and then has no token any more. If the poller finds no state in
// an accepted response, Poll returns that response with the fault.
func (o Operation) Poll(ctx context.Context, token string) (Answer, error) {
	if token == "" { // the SDK would start the operation
		return Answer{}, o.Polling.Unusable(nil)
	}
	poller, err := o.Begin(ctx, token)
	if err != nil {
		return Answer{}, o.Polling.Unusable(err)
	}
	var answer *http.Response
	_, err = poller.Poll(policy.WithCaptureResponse(ctx, &answer)) //nolint:bodyclose // azcore has read and closed it
	switch {
	case err == nil && answer == nil: // the token claims that the operation has ended, so nothing was sent
		return Answer{}, o.Polling.Unusable(nil)
	case answer == nil:
		return Answer{}, o.Polling.Fault(err)
	case !runtime.HasStatusCode(answer, accepted...):
		return Answer{}, o.Polling.Fault(runtime.NewResponseError(answer))
	case err != nil:
		return Answer{answer, poller, token}, o.Polling.Fault(err)
	}
	return Answer{answer, poller, resumeToken(poller)}, nil
}

// resumeToken returns the token of a poller, "" if the poller takes the operation for ended.
func resumeToken(p Poller) string {
	token, err := p.ResumeToken()
	if err != nil {
		return ""
	}
	return token
}

// These are the ends of an operation.
const (
	Succeeded = "Succeeded"
	Failed    = "Failed"
	Canceled  = "Canceled"
)

// End returns the end of an operation for which a service's word stands, "" for any other word. It knows every word for an end
// that the SDK's pollers know.
func End(word string) string {
	switch strings.ToLower(word) {
	case "succeeded", "completed":
		return Succeeded
	case "failed":
		return Failed
	case "canceled", "cancelled":
		return Canceled
	}
	return ""
}

// Ended returns the fault of an operation that has failed, as the service itself says. The parameter what describes the
// operation. If the service gives no code or no reason, the code and the silence stand in for them. The call asks for the
// operation's state.
func (c Call) Ended(what string, said Body, code, silence string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: cmp.Or(said.Code, code), Said: said.Message, RequestID: said.RequestID,
		Message: what + ": " + cmp.Or(said.Message, silence+", without a reason"),
		Hint:    c.hint(http.StatusOK, said.Code, said.Message),
	}
}

// Unusable returns the fault of a token that does not continue an operation; err may be nil.
func (c Call) Unusable(err error) *backup.Fault {
	message := c.What + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + Why(err)
	}
	return &backup.Fault{
		Kind: backup.Unobservable, Code: "UnusableToken", Message: message, Hint: c.Hint(http.StatusNotFound, "", ""),
	}
}

// Unread empties the body of a response to a start that says where to ask about the operation. The body may be the resource. If
// that shows a settled state, the SDK would take it for the end of the operation, and forget where to ask.
type Unread struct{}

// Do empties such a body.
func (Unread) Do(request *policy.Request) (*http.Response, error) {
	answer, err := request.Next()
	if err == nil && request.Raw().Method == http.MethodPost && runtime.HasStatusCode(answer, accepted...) &&
		slices.ContainsFunc([]string{"Azure-AsyncOperation", "Operation-Location", "Location"}, func(name string) bool {
			return answer.Header.Get(name) != ""
		}) {
		runtime.Drain(answer)
		answer.Body = http.NoBody
	}
	return answer, err
}
