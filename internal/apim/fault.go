package apim

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/backup"
)

// call is a kind of request to Azure. What a refusal means depends on it.
type call int

const (
	checking        call = iota // the service, before the start
	checkingStorage             // the storage account, before the start
	creating                    // the container, before the start
	keying                      // the storage account's key, before the start
	starting                    // the backup: the only request that must not be repeated
	polling                     // the operation
	inspecting                  // the service
	listing                     // the run's artifacts
	reading                     // an artifact
	deleting                    // an artifact
)

// Our own codes, where Azure gave none.
const (
	codeUnreachable = "Unreachable"     // no answer
	codeAnswerLost  = "AnswerLost"      // no answer to a start, which may have been received
	codeNotSent     = "NotSent"         // the time was over before the request left
	codeNoToken     = "NoIdentityToken" // the identity could not prove itself, so nothing was sent
)

// errNoToken: the backup was accepted without a word about where to ask for it.
var errNoToken = errors.New("the service took the backup on but did not say where to ask about it")

// interpretError translates an error of Azure's clients. It is the one place that decides what an error means.
func interpretError(c call, a backup.Attempt, err error) *backup.Fault {
	if fault, ok := errors.AsType[*backup.Fault](err); ok {
		return fault
	}
	var answer *http.Response
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok && response.RawResponse != nil {
		answer = response.RawResponse
	}
	if answer == nil {
		return silence(c, a, err)
	}
	said := readBody(answer)
	code := cmp.Or(answer.Header.Get("X-Ms-Error-Code"), said.code,
		strings.ReplaceAll(http.StatusText(answer.StatusCode), " ", ""))
	return &backup.Fault{
		Kind:       meaning(c, answer.StatusCode, code),
		Code:       code,
		Message:    c.sentence(a) + ": " + cmp.Or(said.message, status(answer)),
		Hint:       hint(c, a, answer.StatusCode, code, said.message),
		RetryAfter: retryAfter(answer),
	}
}

// meaning of an answer that is no success.
func meaning(c call, status int, code string) backup.FaultKind {
	switch {
	case status == http.StatusTooManyRequests:
		return backup.Deferred
	case status == http.StatusRequestTimeout || status < 400 || status >= 500:
		// Azure gave up on the request, or answered what its documentation does not know. It may still be at it.
		if c == starting {
			return backup.Uncertain
		}
		return backup.Deferred
	}
	switch c {
	case checking, checkingStorage, creating, keying, starting:
		if status == http.StatusConflict { // busy with another change; its code for that has never been recorded
			return backup.Deferred
		}
		return backup.Refused
	case polling:
		if slices.Contains([]int{401, 403, 404, 410}, status) {
			return backup.Denied
		}
		return backup.Refused
	case inspecting, listing:
		if status == http.StatusConflict || code == string(bloberror.ContainerNotFound) {
			return backup.Deferred
		}
		return backup.Denied
	case deleting:
		switch {
		case status == http.StatusPreconditionFailed || protected(status, code):
			return backup.Refused
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			return backup.Denied
		}
	}
	return backup.Deferred // a request to the storage that says nothing about the artifact
}

// protected tells whether storage keeps the blob by an immutability policy or a legal hold. Of Azure's codes for that
// only BlobImmutableDueToPolicy is in the SDK.
func protected(status int, code string) bool {
	code = strings.ToLower(code)
	return status == http.StatusConflict && (strings.Contains(code, "immutab") || strings.Contains(code, "legalhold"))
}

// silence is the fault of a request without an answer.
func silence(c call, a backup.Attempt, err error) *backup.Fault {
	f := &backup.Fault{
		Kind: backup.Deferred, Code: codeUnreachable, Message: c.sentence(a) + ": " + err.Error(), Hint: hintSilence(c, a),
	}
	_, untold := errors.AsType[tokenError](err)
	switch {
	case untold:
		f.Code, f.Hint = codeNoToken, hintToken
	case c == starting && !undialled(err):
		f.Kind, f.Code, f.Hint = backup.Uncertain, codeAnswerLost, hintLost
	}
	return f
}

// undialled tells whether there was not even a connection that a request could have been sent on.
func undialled(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && (network.Op == "dial" || network.Op == "proxyconnect")
}

// unsent is the fault of a start that never left this process.
func unsent(a backup.Attempt, err error) *backup.Fault {
	f := silence(starting, a, err)
	if f.Kind == backup.Uncertain {
		f.Kind, f.Code, f.Hint = backup.Deferred, codeNotSent, hintSilence(starting, a)
	}
	return f
}

// unusable is the fault of a token that leads nowhere; err may be nil.
func unusable(a backup.Attempt, err error) *backup.Fault {
	message := polling.sentence(a) + ": the saved token does not continue an operation"
	if err != nil {
		message += ": " + err.Error()
	}
	return &backup.Fault{Kind: backup.Denied, Code: "UnusableToken", Message: message, Hint: hintContainer(a)}
}

// ended is the fault of an operation that the service itself says has failed.
func ended(a backup.Attempt, said body) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused,
		Code: cmp.Or(said.code, "Backup"+said.state),
		Message: fmt.Sprintf("back up %s: %s", a.Target,
			cmp.Or(said.message, "the service says "+said.state+", without a reason")),
		Hint: hintStorage(a),
	}
}

// invalid is the fault of a name in the plan that is not what it should be; err may be nil.
func invalid(code, what, wanted string, err error) *backup.Fault {
	message := fmt.Sprintf("%q is not the resource ID of %s", what, wanted)
	if err != nil {
		message += ": " + err.Error()
	}
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: message, Hint: "Correct it in plan.yaml."}
}

// sentence says what was asked of which resource.
func (c call) sentence(a backup.Attempt) string {
	place := fmt.Sprintf("the container %s of the storage account %s", a.Storage.Container, a.Storage.AccountName())
	switch c {
	case creating:
		return "create " + place
	case starting:
		return "start the backup of " + a.Target
	case polling:
		return "ask about the backup of " + a.Target
	case checking, inspecting:
		return "look at " + a.Target
	case checkingStorage:
		return "look at " + a.Storage.Account
	case keying:
		return "read the key of " + a.Storage.Account
	case listing:
		return "look into " + place
	case reading:
		return "read " + a.Artifact + " in " + place
	default:
		return "delete " + a.Artifact + " in " + place
	}
}

// is tells whether an error of the storage has one of the codes.
func is(err error, codes ...bloberror.Code) bool { return bloberror.HasCode(err, codes...) }
