package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

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
	return string(backup.Encode(t))
}

// operation is an operation that takes Azure some time, and what describes it in words.
type operation struct {
	azure.Operation
	what string
}

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

// begin starts an action of the instance, or continues it with a token. Its result has the type T.
func begin[T any](p *Provider, i instance, action string, body request) func(context.Context, string) (azure.Poller, error) {
	return func(ctx context.Context, token string) (azure.Poller, error) {
		client, err := p.azure.Resources()
		if err != nil {
			return nil, err
		}
		if token != "" {
			return runtime.NewPollerFromResumeToken[T](token, client.Pipeline(), nil)
		}
		answer, err := azure.Send(ctx, client, http.MethodPost, i.id+"/"+action, i.version, body, //nolint:bodyclose // NewPoller closes it
			http.StatusOK, http.StatusAccepted)
		if err != nil {
			return nil, err
		}
		return runtime.NewPoller[T](answer, client.Pipeline(), nil)
	}
}

// start sends the request that starts the operation. The operation continues with the token. start strips the secret in
// the request from the faults that the answer leads to.
func (o operation) start(ctx context.Context, t token, secret azure.Secret) (status, error) {
	answer, err := o.Start(ctx, secret)
	if err != nil {
		return status{}, err
	}
	s, err := o.read(answer, t)
	return s, secret.StripFrom(err)
}

// poll sends one GET to the address in the token. The status has the token even if there is an error.
func (o operation) poll(ctx context.Context, saved string) (status, error) {
	var t token
	if err := json.Unmarshal([]byte(saved), &t); err != nil {
		return status{}, o.Polling.Unusable(err)
	}
	answer, err := o.Poll(ctx, t.Poller)
	if err != nil {
		return status{token: t}, err
	}
	return o.read(answer, t)
}

// read reads an answer.
func (o operation) read(answer azure.Answer, t token) (status, error) {
	s := status{token: t, after: azure.RetryAfter(answer.Response)}
	said := azure.ReadBody(answer.Response)
	var own struct { // the fields that only an operation's own status has
		Status any    `json:"status"`
		End    string `json:"endTime"`
	}
	if raw, err := runtime.Payload(answer.Response); err == nil && json.Unmarshal(raw, &own) == nil {
		s.ended, _ = time.Parse(time.RFC3339, own.End)
	}
	end, over := azure.End(said.State), answer.Token == ""
	if over && t.Poller != "" {
		// At a Location the SDK goes by the code of the answer, or by the state of the resource in the answer. A word of
		// Azure's that means no end counts more, and the resource in a 202 is not yet the result.
		over = (said.State == "" || end != "") && (answer.StatusCode != http.StatusAccepted || own.Status != nil)
	}
	switch {
	case over && isFailure(end):
		return s, o.Polling.Ended(o.what, said, "Operation"+end, "Azure says "+said.State)
	case over:
		s.done = true
	case answer.Token != "":
		s.token.Poller = answer.Token
	}
	return s, nil
}

// isFailure reports whether the end of an operation is one without success.
func isFailure(end string) bool { return end == azure.Failed || end == azure.Canceled }

// shown is the state of an instance as Resource Manager shows it.
type shown struct {
	// Location is the region, which the answer has beside its properties.
	Location string `json:"-"`
	// Provisioning is in no answer of 30 recorded GETs, of 2021 to 2025, whatever the operation before. The API's description
	// has it in every answer.
	Provisioning string `json:"provisioningState"`
	// Running is in the answers of newer api-versions. It is "Active" in all recordings.
	Running string `json:"runningState"`
}

// look reads the instance as Resource Manager shows it. An answer without a resource is an error.
func (p *Provider) look(ctx context.Context, i instance) (shown, error) {
	var resource struct {
		Location   string `json:"location"`
		Properties *shown `json:"properties"`
	}
	if err := p.azure.Show(ctx, i.id, i.version, &resource); err != nil {
		return shown{}, err
	}
	if resource.Properties == nil {
		return shown{}, errors.New("the answer shows no resource: it has no properties")
	}
	resource.Properties.Location = resource.Location
	return *resource.Properties, nil
}
