package apim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// errNoToken says that the service accepted the start without an address at which to ask about it.
var errNoToken = errors.New("the service took it on but did not say where to ask about it")

// The functions below describe the calls to the service. Package azure describes the calls to the storage account.

func checking(t task) azure.Call {
	return call(t, "look at "+t.Target, "/read", azure.Before)
}

// starting describes the only request that must not be repeated. The error code of a service that is busy with another
// change has never been recorded.
func starting(t task) azure.Call {
	return call(t, "start the "+t.noun+" of "+t.Target, t.action, azure.Before).Once()
}

func polling(t task) azure.Call {
	c := call(t, "ask about the "+t.noun+" of "+t.Target, "/operationresults/read", azure.Following)
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		switch status {
		case http.StatusNotFound, http.StatusGone:
			return hintUnobservable(t)
		case http.StatusConflict:
			return hintReason(t, code, message)
		}
		return other(status, code, message)
	}
	return c
}

// inspecting describes the request that reads the service after a start.
func inspecting(t task) azure.Call {
	return call(t, "look at "+t.Target, "/read", func(status int, _ string) backup.FaultKind {
		if status == http.StatusConflict {
			return backup.Retryable
		}
		return backup.Unobservable
	})
}

// call describes a call to the service. The identity needs the permission that action names.
func call(t task, what, action string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Means: means, Hint: func(status int, code, message string) string {
		return hintService(t, resourceType+action, status, code, message)
	}}
}

// noStatus returns the fault of an answer without a status from the address of an operation's status. It adds to the fault of
// the SDK's error.
func noStatus(t task, answer *http.Response, f *backup.Fault) *backup.Fault {
	f.Code, f.RetryAfter = "NoStatus", azure.RetryAfter(answer)
	f.Message += fmt.Sprintf(" (the answer, %d %s, does not say how it is getting on)", answer.StatusCode,
		http.StatusText(answer.StatusCode))
	f.Hint = "Lifeboat asks again. If it goes on for hours, see in the resource's activity log how the " + t.noun + " ended."
	return f
}

// ended returns the fault of an operation that has failed, as the service itself says.
func ended(t task, said azure.Body) *backup.Fault {
	return polling(t).Ended(t.verb+" "+t.Target, said, strings.ToUpper(t.noun[:1])+t.noun[1:]+said.State, "the service says "+said.State)
}

// unsettled returns the fault of a service that is still working on a change.
func unsettled(t task, state string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Retryable, Code: "ServiceNotSettled",
		Message: fmt.Sprintf("%s: its state is %q", inspecting(t).What, state),
		Hint:    "The service is working on a change, which may be the " + t.noun + "; Lifeboat looks again.",
	}
}
