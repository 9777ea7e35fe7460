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

// Call is a kind of request to Azure, with the facts that decide the meaning of its failure.
type Call struct {
	// What names the request and the resource: "read x in the container y". Every message begins with it.
	What string
	// Start says that the request starts an operation that must not be started twice.
	Start bool
	// Means returns the meaning of a response of 4xx, other than 408 and 429. A code of [Denials] means what a 403 means, whatever
	// its status, unless the call asks about an operation in progress.
	Means func(status int, code string) backup.FaultKind
	// Hint returns advice for a person who reads such a response; message is Azure's text, for [Sentences] to search.
	Hint func(status int, code, message string) string
}

// These are Lifeboat's own codes, for failures without one of Azure's.
const (
	codeUnreachable = "Unreachable"     // no answer
	codeAnswerLost  = "AnswerLost"      // no answer to a start; Azure may have received it
	codeNotSent     = "NotSent"         // the time was over before the request left
	codeNoToken     = "NoIdentityToken" // the identity could not prove itself, so nothing was sent
	codeForeign     = "ForeignAddress"  // the address is not one of the service's
)

// HintTenant advises about an answer 401 of Resource Manager for a service.
const HintTenant = "See that the function app's identity belongs to the tenant of the service's subscription."

const (
	hintToken   = "See that the function app's managed identity is switched on and not deleted."
	hintForeign = "Find out who changed it: the app's table, where runs are kept, or what answers in Azure's place, such as a proxy. " +
		"Azure's own addresses lie at its own hosts."
	hintLost  = "You need not act: Lifeboat looks for the operation before it starts another."
	hintAzure = "The cause is in Azure; Lifeboat asks again. If it goes on for hours, see Azure's service health."
)

// Fault translates an error of Azure's clients. It returns a [backup.Fault] unchanged.
func (c Call) Fault(err error) *backup.Fault {
	if fault, ok := errors.AsType[*backup.Fault](err); ok {
		return fault
	}
	var answer *http.Response
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok && response.RawResponse != nil {
		answer = response.RawResponse
	}
	if answer == nil {
		return c.noResponse(err)
	}
	said := ReadBody(answer)
	code := cmp.Or(Scrub(answer.Header.Get("X-Ms-Error-Code")), said.Code,
		strings.ReplaceAll(http.StatusText(answer.StatusCode), " ", ""))
	f := &backup.Fault{
		Gone: (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone) && !Denies(code),
		Code: code, Message: c.What + ": " + cmp.Or(said.Message, status(answer)), Said: said.Message, RequestID: said.RequestID,
		RetryAfter: RetryAfter(answer),
	}
	switch s := answer.StatusCode; {
	case Denies(code) && !c.follows(): // as final as a missing permission
		f.Kind, f.Hint = c.Means(http.StatusForbidden, code), c.hint(s, code, said.Message)
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable && !c.Start:
		f.Kind, f.Hint = backup.Throttled, hintAzure
	case (s == http.StatusRequestTimeout || s < 400 || s >= 500) && c.Start:
		// Azure gave up on the request, or gave a response that its documentation does not have. It may still be working on it.
		f.Kind, f.Hint = backup.Ambiguous, hintLost
	case s == http.StatusRequestTimeout || s >= 500:
		f.Kind, f.Hint = backup.Retryable, hintAzure
	case s < 400:
		f.Kind, f.Hint = backup.Retryable, c.Hint(s, code, said.Message)
	default:
		f.Kind, f.Hint = c.Means(s, code), c.hint(s, code, said.Message)
	}
	return f
}

// Once returns the call as a start, which must not be repeated.
func (c Call) Once() Call {
	c.Start = true
	return c
}

// noResponse returns the fault for a request without a response.
func (c Call) noResponse(err error) *backup.Fault {
	f := &backup.Fault{
		Kind: backup.Retryable, Code: codeUnreachable, Message: c.What + ": " + Why(err), Hint: hintSilence(err),
	}
	if asked, ok := errors.AsType[unanswered](err); ok {
		f.RequestID = asked.id
	}
	_, untold := errors.AsType[tokenError](err)
	_, foreign := errors.AsType[foreignError](err)
	switch {
	case foreign && c.Start: // the response to the start redirects there
		f.Kind, f.Code, f.Hint = backup.Ambiguous, codeForeign, hintForeign
	case foreign:
		f.Code, f.Hint = codeForeign, hintForeign
		if c.Means(http.StatusForbidden, codeForeign) == backup.Unobservable {
			f.Kind = backup.Unobservable // an operation in progress whose state cannot be read any more
		}
	case untold:
		f.Code, f.Hint = codeNoToken, hintToken
	case c.Start && !neverDialled(err):
		f.Kind, f.Code, f.Hint = backup.Ambiguous, codeAnswerLost, hintLost
	}
	return f
}

// Why returns an error's text in one line. If there was a response, Why gives Azure's words, not all of it. If there was none,
// Why leaves out the address, since the address of an operation is signed, and pages long.
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

// hintSilence returns the hint for a request without a response, or with one that cannot be read.
func hintSilence(err error) string {
	if silent, ok := errors.AsType[unreached](err); ok {
		return fmt.Sprintf("See that the function app can reach %s, and that this name exists. Lifeboat asks again.", silent.host)
	}
	return "See whether something answers in Azure's place, such as a proxy. Lifeboat asks again."
}

// neverDialled tells whether the error came before there was a connection, so that no request can have been sent.
func neverDialled(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && (network.Op == "dial" || network.Op == "proxyconnect")
}

// NotSent returns the fault for a start that never left this process.
func (c Call) NotSent(err error) *backup.Fault {
	f := c.noResponse(err)
	if f.Kind == backup.Ambiguous {
		f.Kind, f.Code, f.Hint = backup.Retryable, codeNotSent, hintSilence(err)
	}
	return f
}

// Before returns the meaning of a response before an operation is started, or to the request that starts it.
func Before(status int, _ string) backup.FaultKind {
	if status == http.StatusConflict { // busy with another change
		return backup.Retryable
	}
	return backup.Refused
}

// Following returns the meaning of a response about an operation in progress.
func Following(status int, _ string) backup.FaultKind {
	if slices.Contains([]int{401, 403, 404, 410}, status) {
		return backup.Unobservable
	}
	return backup.Refused
}

// Invalid returns the fault for a wrong name in the plan; err may be nil.
func Invalid(code, what, wanted string, err error) *backup.Fault {
	message := fmt.Sprintf("%q is not the resource ID of %s", what, wanted)
	if err != nil {
		message += ": " + Why(err)
	}
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: message, Hint: "Correct it in plan.yaml."}
}

// No returns the fault for a target that cannot be backed up as things are.
func No(target, code, why, hint string) *backup.Fault {
	return Cannot(target, "backed up", code, why, hint)
}

// Cannot returns the fault for a target to which something cannot be done as things are, such as "backed up".
func Cannot(target, done, code, why, hint string) *backup.Fault {
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: target + " cannot be " + done + ": " + why, Hint: hint}
}

// NotAnArtifact returns the fault for the deletion of something that has not the name of an artifact: it stays.
func NotAnArtifact(name, what string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Kept, Code: "NotAnArtifact", Message: fmt.Sprintf("%q is not the name of %s", name, what),
		Hint: "Nothing was deleted. See the row of the run in the catalog.",
	}
}

// NotReady returns the fault for a target that is at work on something else. The message ends with its state.
func NotReady(target, code, purpose, state, thing string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Retryable, Code: code, Message: target + " is not ready for a " + purpose + ": " + state,
		Hint: "Lifeboat asks again. If it goes on for hours, look at the " + thing + " in the Azure portal.",
	}
}

// Broken returns the fault of a backup's preflight for a target whose own state is Failed. A backup may yet wait for a person to mend
// it.
func Broken(target, why string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Retryable, Code: backup.ServiceFailed, Message: strings.TrimSuffix(target+" cannot be backed up: its provisioningState is "+
			"Failed: "+why, ": "),
		Hint: "Look at it in the Azure portal: a change of it has failed. Make that change again, or open a case with Azure's support.",
	}
}
