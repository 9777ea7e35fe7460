package apim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// errNoToken: the start was accepted without a word about where to ask for it.
var errNoToken = errors.New("the service took it on but did not say where to ask about it")

// The calls to the service; those to the storage account are azure's.

func checking(t task) azure.Call {
	return call(t, "look at "+t.Target, "/read", azure.Before)
}

// starting is the only request that must not be repeated. The code of a service busy with another change has never been
// recorded.
func starting(t task) azure.Call {
	c := call(t, "start the "+t.noun+" of "+t.Target, t.action, azure.Before)
	c.Start = true
	return c
}

func polling(t task) azure.Call {
	c := call(t, "ask about the "+t.noun+" of "+t.Target, "/operationresults/read", azure.Following)
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		switch status {
		case http.StatusNotFound, http.StatusGone:
			return hintUntold(t)
		case http.StatusConflict:
			return hintReason(t, code, message)
		}
		return other(status, code, message)
	}
	return c
}

// inspecting looks at the service after a start.
func inspecting(t task) azure.Call {
	return call(t, "look at "+t.Target, "/read", func(status int, _ string) backup.FaultKind {
		if status == http.StatusConflict {
			return backup.Deferred
		}
		return backup.Denied
	})
}

// call is one to the service; action is what the identity must be allowed for it.
func call(t task, what, action string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Host: azure.ManagementHost, Means: means, Hint: func(status int, code, message string) string {
		return hintService(t, resourceType+action, status, code, message)
	}}
}

// unusable is the fault of a token that leads nowhere; err may be nil.
func unusable(t task, err error) *backup.Fault {
	message := polling(t).What + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + azure.Why(err)
	}
	return &backup.Fault{Kind: backup.Denied, Code: "UnusableToken", Message: message, Hint: hintUntold(t)}
}

// wordless is the fault of an answer at the address of an operation's status that has no status; err is the SDK's.
func wordless(t task, answer *http.Response, err error) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Deferred, Code: "NoStatus", RetryAfter: azure.RetryAfter(answer),
		Message: fmt.Sprintf("%s: the answer, %d %s, does not say how it is getting on: %v", polling(t).What, answer.StatusCode,
			http.StatusText(answer.StatusCode), err),
		Hint: "It is asked again by itself. If it goes on for hours, see in the resource's activity log how the " + t.noun + " ended.",
	}
}

// ended is the fault of an operation that the service itself says has failed.
func ended(t task, said azure.Body) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused,
		Code: cmp.Or(said.Code, strings.ToUpper(t.noun[:1])+t.noun[1:]+said.State),
		Message: fmt.Sprintf("%s %s: %s", t.verb, t.Target,
			cmp.Or(said.Message, "the service says "+said.State+", without a reason")),
		Said: said.Message, RequestID: said.RequestID,
		Hint: hintReason(t, said.Code, said.Message),
	}
}

// unsettled is the fault of a service that is still working on a change.
func unsettled(t task, state string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Deferred, Code: "ServiceNotSettled",
		Message: fmt.Sprintf("%s: its state is %q", inspecting(t).What, state),
		Hint:    "The service is working on a change, which may be the " + t.noun + "; it is looked at again by itself.",
	}
}
