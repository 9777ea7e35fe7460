package azure

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/backup"
)

// Call is a kind of request to Azure, as far as its failure is concerned: what it means depends on what was asked.
type Call struct {
	// What says what was asked of which resource: "read x in the container y". Every message begins with it.
	What string
	// Host is who was to answer.
	Host string
	// Start: the request starts something that must not be started twice.
	Start bool
	// Means says what an answer of 4xx means, other than 408 and 429.
	Means func(status int, code string) backup.FaultKind
	// Hint says what a person can do about such an answer; message is what Azure said, for [Sentences] to look at.
	Hint func(status int, code, message string) string
}

// Codes of ours, where Azure gave none.
const (
	codeUnreachable = "Unreachable"     // no answer
	codeAnswerLost  = "AnswerLost"      // no answer to a start, which may have been received
	codeNotSent     = "NotSent"         // the time was over before the request left
	codeNoToken     = "NoIdentityToken" // the identity could not prove itself, so nothing was sent
	codeForeign     = "ForeignAddress"  // the address is not one of the service's
)

const (
	hintToken   = "See that the function app's managed identity is switched on and not deleted."
	hintForeign = "Find out who changed it: the app's table, where runs are kept, or what answers in Azure's place, such as a proxy. " +
		"Azure's own addresses lie at its own hosts."
	hintLost  = "Nothing needs to be done: it is looked for before it is started again."
	hintAzure = "This is Azure's side; it is asked again by itself. If it goes on for hours, see Azure's service health."
)

// Fault translates an error of Azure's clients. A [backup.Fault] stays what it is.
func (c Call) Fault(err error) *backup.Fault {
	if fault, ok := errors.AsType[*backup.Fault](err); ok {
		return fault
	}
	var answer *http.Response
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok && response.RawResponse != nil {
		answer = response.RawResponse
	}
	if answer == nil {
		return c.silence(err)
	}
	said := ReadBody(answer)
	code := cmp.Or(Scrub(answer.Header.Get("X-Ms-Error-Code")), said.Code,
		strings.ReplaceAll(http.StatusText(answer.StatusCode), " ", ""))
	f := &backup.Fault{
		Code: code, Message: c.What + ": " + cmp.Or(said.Message, status(answer)), Said: said.Message, RequestID: said.RequestID,
		RetryAfter: RetryAfter(answer),
	}
	switch s := answer.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable && !c.Start:
		f.Kind, f.Hint = backup.Throttled, hintAzure
	case (s == http.StatusRequestTimeout || s < 400 || s >= 500) && c.Start:
		// Azure gave up on the request, or answered what its documentation does not know. It may still be at it.
		f.Kind, f.Hint = backup.Uncertain, hintLost
	case s == http.StatusRequestTimeout || s >= 500:
		f.Kind, f.Hint = backup.Deferred, hintAzure
	case s < 400:
		f.Kind, f.Hint = backup.Deferred, c.Hint(s, code, said.Message)
	default:
		f.Kind, f.Hint = c.Means(s, code), c.Hint(s, code, said.Message)
	}
	return f
}

// silence is the fault of a request without an answer.
func (c Call) silence(err error) *backup.Fault {
	f := &backup.Fault{
		Kind: backup.Deferred, Code: codeUnreachable, Message: c.What + ": " + Why(err), Hint: c.hintSilence(),
	}
	if asked, ok := errors.AsType[unanswered](err); ok {
		f.RequestID = asked.id
	}
	_, untold := errors.AsType[tokenError](err)
	_, foreign := errors.AsType[foreignError](err)
	switch {
	case foreign && c.Start: // the answer to it sends us there
		f.Kind, f.Code, f.Hint = backup.Uncertain, codeForeign, hintForeign
	case foreign:
		f.Code, f.Hint = codeForeign, hintForeign
		if c.Means(http.StatusForbidden, codeForeign) == backup.Denied {
			f.Kind = backup.Denied // an operation under way, of which nobody tells any more
		}
	case untold:
		f.Code, f.Hint = codeNoToken, hintToken
	case c.Start && !undialled(err):
		f.Kind, f.Code, f.Hint = backup.Uncertain, codeAnswerLost, hintLost
	}
	return f
}

// Why is what an error says, in a line: of an answer Azure's words and not the whole of it, and of a request without one not
// the address, since one of an operation is signed, and pages long.
func Why(err error) string {
	if refused, ok := errors.AsType[*azcore.ResponseError](err); ok && refused.RawResponse != nil {
		said := ReadBody(refused.RawResponse)
		words := status(refused.RawResponse) + " " + cmp.Or(Scrub(refused.ErrorCode), said.Code) + " " + said.Message
		return strings.Join(strings.Fields(words), " ") + Asked(said.RequestID)
	}
	text := err.Error()
	if asked, ok := errors.AsType[*url.Error](err); ok {
		text = strings.Replace(text, asked.Error(), asked.Err.Error(), 1)
	}
	return Scrub(text)
}

// hintSilence is about a request without an answer.
func (c Call) hintSilence() string {
	return fmt.Sprintf("See that the function app can reach %s, and that this name exists. It is asked again by itself.",
		c.Host)
}

// undialled tells whether there was not even a connection that a request could have been sent on.
func undialled(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && (network.Op == "dial" || network.Op == "proxyconnect")
}

// Unsent is the fault of a start that never left this process.
func (c Call) Unsent(err error) *backup.Fault {
	f := c.silence(err)
	if f.Kind == backup.Uncertain {
		f.Kind, f.Code, f.Hint = backup.Deferred, codeNotSent, c.hintSilence()
	}
	return f
}

// Before is what an answer means before something is begun, and to the request that begins it.
func Before(status int, _ string) backup.FaultKind {
	if status == http.StatusConflict { // busy with another change
		return backup.Deferred
	}
	return backup.Refused
}

// Following is what an answer means about an operation under way.
func Following(status int, _ string) backup.FaultKind {
	if slices.Contains([]int{401, 403, 404, 410}, status) {
		return backup.Denied
	}
	return backup.Refused
}

// Invalid is the fault of a name in the plan that is not what it should be; err may be nil.
func Invalid(code, what, wanted string, err error) *backup.Fault {
	message := fmt.Sprintf("%q is not the resource ID of %s", what, wanted)
	if err != nil {
		message += ": " + Why(err)
	}
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: message, Hint: "Correct it in plan.yaml."}
}

// No is the fault of a target that no backup of can succeed as things are.
func No(target, code, why, hint string) *backup.Fault {
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: target + " cannot be backed up: " + why, Hint: hint}
}
