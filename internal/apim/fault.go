package apim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// errNoToken: the backup was accepted without a word about where to ask for it.
var errNoToken = errors.New("the service took the backup on but did not say where to ask about it")

// The calls to the service; those to the storage account are azure's.

func checking(a backup.Attempt) azure.Call {
	return call(a, "look at "+a.Target, "/read", azure.Before)
}

// starting is the only request that must not be repeated. The code of a service busy with another change has never been
// recorded.
func starting(a backup.Attempt) azure.Call {
	c := call(a, "start the backup of "+a.Target, "/backup/action", azure.Before)
	c.Start = true
	return c
}

func polling(a backup.Attempt) azure.Call {
	c := call(a, "ask about the backup of "+a.Target, "/operationresults/read", azure.Following)
	other := c.Hint
	c.Hint = func(status int, code, message string) string {
		switch status {
		case http.StatusNotFound, http.StatusGone:
			return hintContainer(a)
		case http.StatusConflict:
			return hintReason(a, code, message)
		}
		return other(status, code, message)
	}
	return c
}

// inspecting looks at the service after a start.
func inspecting(a backup.Attempt) azure.Call {
	return call(a, "look at "+a.Target, "/read", func(status int, _ string) backup.FaultKind {
		if status == http.StatusConflict {
			return backup.Deferred
		}
		return backup.Denied
	})
}

// call is one to the service; action is what the identity must be allowed for it.
func call(a backup.Attempt, what, action string, means func(int, string) backup.FaultKind) azure.Call {
	return azure.Call{What: what, Host: azure.ManagementHost, Means: means, Hint: func(status int, code, message string) string {
		return hintService(a, resourceType+action, status, code, message)
	}}
}

// unusable is the fault of a token that leads nowhere; err may be nil.
func unusable(a backup.Attempt, err error) *backup.Fault {
	message := polling(a).What + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + err.Error()
	}
	return &backup.Fault{Kind: backup.Denied, Code: "UnusableToken", Message: message, Hint: hintContainer(a)}
}

// ended is the fault of an operation that the service itself says has failed.
func ended(a backup.Attempt, said azure.Body) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused,
		Code: cmp.Or(said.Code, "Backup"+said.State),
		Message: fmt.Sprintf("back up %s: %s", a.Target,
			cmp.Or(said.Message, "the service says "+said.State+", without a reason")),
		Hint: hintStorage(a),
	}
}
