package managedhsm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// operation is an operation that takes the HSM some time. The attempt names the HSM and the container.
type operation struct {
	backup.Attempt
	// what describes it in words. starting and polling describe its requests.
	what              string
	starting, polling azure.Call
	// permissions are those that it needs on the container.
	permissions permissions
	// begin is the SDK's method for it.
	begin func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error)
}

// status is the state of an operation.
type status struct {
	backup.Operation
	said said
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

// start sends the request that starts the operation. If the HSM needs a SAS, start makes it first, and forgets it afterwards.
func (p *Provider) start(ctx context.Context, o operation) (status, error) {
	client, err := p.client(o.Target)
	if err != nil {
		return status{}, err
	}
	access, secret, err := p.access(ctx, o.Storage, identity(o.Blocks), o.permissions)
	if err != nil {
		return status{}, err
	}
	answer, err := o.with(client, access).Start(ctx, secret)
	if err != nil {
		return status{}, err
	}
	s, err := o.read(o.starting, answer, answer.Token)
	return s, secret.StripFrom(err)
}

// poll sends one GET to the address in the token.
func (p *Provider) poll(ctx context.Context, o operation, token string) (status, error) {
	client, err := p.client(o.Target)
	if err != nil {
		return status{}, err
	}
	answer, err := o.with(client, hsm.SASTokenParameters{}).Poll(ctx, token)
	if err != nil {
		return status{}, err
	}
	return o.read(o.polling, answer, cmp.Or(answer.Token, token))
}

func (o operation) with(client *hsm.Client, access hsm.SASTokenParameters) azure.Operation {
	return azure.Operation{
		Starting: o.starting, Polling: o.polling,
		Begin: func(ctx context.Context, token string) (azure.Poller, error) {
			return o.begin(ctx, client, access, token)
		},
	}
}

// read reads an answer to the call; token continues the operation if it goes on. The answer to a start may already have the
// end (recorded 2025).
func (o operation) read(call azure.Call, answer azure.Answer, token string) (status, error) {
	s := status{Operation: backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer.Response)}}
	if raw, err := runtime.Payload(answer.Response); err == nil && len(raw) > 0 {
		if err := json.Unmarshal(raw, &s.said); err != nil {
			return status{}, call.Fault(err) // the answer may have said anything
		}
	}
	switch end := azure.End(s.said.Status); {
	case end == azure.Succeeded:
		return status{backup.Operation{Done: true}, s.said}, nil
	case end != "":
		return status{said: s.said}, o.ended(s.said, azure.RequestID(answer.Response))
	case token == "":
		return status{}, call.Fault(errNoToken)
	}
	return s, nil
}

// ended returns the fault of an operation that has failed, as the HSM itself says. Mostly only the details have the
// reason.
func (o operation) ended(said said, requestID string) *backup.Fault {
	words := said.Details
	if m := said.Error.Message; m != "" && !strings.Contains(words, m) {
		words = strings.TrimPrefix(words+": "+m, ": ")
	}
	state := azure.Scrub(said.Status)
	body := azure.Body{Code: azure.Scrub(said.Error.Code), Message: azure.Scrub(words), RequestID: requestID}
	return o.polling.Ended(o.what, body, "Operation"+state, "the HSM says "+state)
}
