package apim_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// These are the addresses of operations of API Management since 2022-08-01, as recorded of changes to services. Some
// 3,000 more characters of signature are left out here.
const (
	regional = "https://management.azure.com/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/providers/" +
		"Microsoft.ApiManagement/locations/westeurope"
	statusAt = regional + "/operationsStatuses/one?api-version=2024-05-01&t=1&c=MII&s=sig&h=hash"
	resultAt = regional + "/operationResults/one?api-version=2024-05-01&t=1&c=MII&s=sig&h=hash"
)

// both holds the headers of a start that names a status as well as a result.
var both = []string{"Azure-AsyncOperation: " + statusAt, "Location: " + resultAt, "Retry-After: 60"}

// follow starts a backup, and then polls until its end, each time in a new process, at most as often as there are
// replies. It returns how the provider took each answer.
func follow(t *testing.T, w *wire, polls ...reply) (told []string) {
	asked := 0
	answer := func(r *http.Request) (*http.Response, error) {
		asked++
		return polls[asked-1](r)
	}
	w.replies[poll] = answer
	tell := func(o backup.Operation, err error) bool {
		fault, failed := errors.AsType[*backup.Fault](err)
		switch {
		case failed && fault.RetryAfter > 0:
			told = append(told, fmt.Sprintf("%s %s after %s", fault.Kind, fault.Code, fault.RetryAfter))
		case failed:
			told = append(told, fmt.Sprintf("%s %s", fault.Kind, fault.Code))
		case o.Done:
			told = append(told, strings.TrimSpace("done "+o.SKU))
		default:
			told = append(told, "goes on")
		}
		return !o.Done && (!failed || fault.Kind != backup.Refused)
	}
	o, err := w.provider().Begin(t.Context(), attempt())
	token := o.Token
	for more := tell(o, err); more && token != "" && asked < len(polls); {
		o, err = w.provider().Poll(t.Context(), attempt(), token)
		if err == nil && o.Token != "" {
			token = o.Token
		}
		more = tell(o, err)
	}
	return told
}

// TestPollingSurvivesWhatAzureMaySay checks the answers on which Azure's own pollers disagree. No answer makes a success
// of a failure, ends a running backup, or leaves an ended backup without its end.
func TestPollingSurvivesWhatAzureMaySay(t *testing.T) {
	const (
		succeeded = `{"status":"Succeeded"}`
		failed    = `{"status":"Failed","error":{"code":"BackupFailed","message":"Cannot backup: the container is gone."}}`
		bare      = `{"status":"Failed"}`
		service   = `{"name":"contoso","sku":{"name":"Developer"},"properties":{"provisioningState":"Succeeded"}}`
	)
	says := func(state string) reply { return answers(200, `{"status":"`+state+`"}`) }
	done := answers(200, succeeded)
	moved := strings.Replace(operation, "d2VzdGV1cm9wZQ", "bm9ydGhldXJvcGU", 1)
	byLocation := answers(202, "", "Location: "+operation, "Retry-After: 60")
	for _, c := range []struct {
		name  string
		start reply
		polls []reply
		want  string
	}{
		{"the start's 202 says Failed", answers(202, failed, both...), []reply{answers(200, failed)}, "goes on, refused BackupFailed"},
		{"the start's 202 says Canceled", answers(202, `{"status":"Canceled"}`, both...), []reply{says("Canceled")}, "goes on, refused BackupCanceled"},
		{"the start's 202 shows a settled service, and the status fails later", answers(202, service, both...), []reply{says("InProgress"), answers(200, failed)}, "goes on, goes on, refused BackupFailed"},
		{"the start's 201 does", answers(201, service, both...), []reply{answers(200, failed)}, "ambiguous Created after 1m0s"},
		{"the start's 200 shows a settled service, and where to ask", answers(200, service, both...), []reply{answers(200, failed)}, "goes on, refused BackupFailed"},
		{"… and the Location alone", answers(200, service, "Location: "+operation), []reply{answers(202, ""), answers(200, service)}, "goes on, goes on, done Developer"},
		{"a status alone", answers(202, "", both[0]), []reply{says("InProgress"), done}, "goes on, goes on, done Developer"},

		{"a 202 that has succeeded", answers(202, "", both...), []reply{answers(202, succeeded)}, "goes on, done Developer"},
		{"a 202 that has failed", answers(202, "", both...), []reply{answers(202, failed)}, "goes on, refused BackupFailed"},
		{"a 202 that has failed, at the Location", byLocation, []reply{answers(202, failed)}, "goes on, refused BackupFailed"},
		{"a failure without words", answers(202, "", both...), []reply{answers(200, bare)}, "goes on, refused BackupFailed"},
		{"no content", answers(202, "", both...), []reply{answers(204, "")}, "goes on, done Developer"},
		{"no content at the Location", byLocation, []reply{answers(204, "")}, "goes on, done"},
		{"201 at the Location", byLocation, []reply{answers(201, "")}, "goes on, done"},

		{"an empty body", answers(202, "", both...), []reply{answers(200, ""), done}, "goes on, retryable NoStatus, done Developer"},
		{"null", answers(202, "", both...), []reply{answers(200, "null"), done}, "goes on, retryable NoStatus, done Developer"},
		{"null with 202", answers(202, "null", both...), []reply{answers(202, "null"), done}, "goes on, retryable NoStatus, done Developer"},
		{"null at the Location", byLocation, []reply{answers(200, "null")}, "goes on, done"},
		{"no status", answers(202, "", both...), []reply{answers(200, `{}`), done}, "goes on, retryable NoStatus, done Developer"},
		{"a status that is null", answers(202, "", both...), []reply{answers(200, `{"status":null}`), done}, "goes on, retryable NoStatus, done Developer"},
		{"an empty status", answers(202, "", both...), []reply{says(""), done}, "goes on, retryable NoStatus, done Developer"},
		{"a status that is a number", answers(202, "", both...), []reply{answers(200, `{"status":200}`), done}, "goes on, retryable NoStatus, done Developer"},
		{"a page of HTML", answers(202, "", both...), []reply{answers(200, "<html>fine</html>"), done}, "goes on, retryable NoStatus, done Developer"},
		{"a page of HTML with 503", answers(202, "", both...), []reply{answers(503, "<html>503</html>"), done}, "goes on, throttled ServiceUnavailable, done Developer"},

		{"SUCCEEDED", answers(202, "", both...), []reply{says("SUCCEEDED")}, "goes on, done Developer"},
		{"succeeded", answers(202, "", both...), []reply{says("succeeded")}, "goes on, done Developer"},
		{"Completed", answers(202, "", both...), []reply{says("Completed")}, "goes on, done Developer"},
		{"fAILED", answers(202, "", both...), []reply{says("fAILED")}, "goes on, refused BackupFailed"},
		{"Cancelled, with two l", answers(202, "", both...), []reply{says("Cancelled")}, "goes on, refused BackupCanceled"},
		{"canceled", answers(202, "", both...), []reply{says("canceled")}, "goes on, refused BackupCanceled"},
		{"words that nobody knows", answers(202, "", both...), []reply{says("FailoverInProgress"), says("PartiallySucceeded"), says("Succeeding"), done}, "goes on, goes on, goes on, goes on, done Developer"},

		{"429 with 300 s", answers(202, "", both...), []reply{answers(429, "", "Retry-After: 300"), done}, "goes on, throttled TooManyRequests after 5m0s, done Developer"},
		{"429 with 300 s at the Location", byLocation, []reply{answers(429, "", "Retry-After: 300"), answers(200, service)}, "goes on, throttled TooManyRequests after 5m0s, done Developer"},
		{"429 without", answers(202, "", both...), []reply{answers(429, ""), done}, "goes on, throttled TooManyRequests, done Developer"},
		{"5xx again and again", answers(202, "", both...), append(slices.Repeat([]reply{answers(500, "")}, 9), done), "goes on, " + strings.Repeat("retryable InternalServerError, ", 9) + "done Developer"},
		{"408", answers(202, "", both...), []reply{answers(408, ""), done}, "goes on, retryable RequestTimeout, done Developer"},
		{"404, and then it is there", answers(202, "", both...), []reply{answers(404, "", "Retry-After: 5"), done}, "goes on, unobservable NotFound after 5s, done Developer"},
		{"403", answers(202, "", both...), []reply{answers(403, ""), done}, "goes on, unobservable Forbidden, done Developer"},
		{"401", answers(202, "", both...), []reply{answers(401, ""), done}, "goes on, unobservable Unauthorized, done Developer"},
		{"409", answers(202, "", both...), []reply{armSays(409, "Conflict", "No.")}, "goes on, passing Conflict"},
		{"cut", answers(202, "", both...), []reply{cut, done}, "goes on, retryable Unreachable, done Developer"},
		{"a Retry-After that is none", answers(202, "", both[0], both[1], "Retry-After: soon"), []reply{answers(200, `{"status":"InProgress"}`, "Retry-After: 1.5"), done}, "goes on, goes on, done Developer"},
		{"a Location that moves", byLocation, []reply{answers(202, "", "Location: "+moved), answers(200, service)}, "goes on, goes on, done Developer"},
		{"a status that moves", answers(202, "", both...), []reply{answers(200, `{"status":"InProgress"}`, "Azure-AsyncOperation: "+moved, "Location: "+moved), done}, "goes on, goes on, done Developer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{start: c.start, result: answers(200, service), get: answers(200, service)}}
			if told := strings.Join(follow(t, w, c.polls...), ", "); told != c.want {
				t.Errorf("told %q, want %q", told, c.want)
			}
			if n := w.count(start); n != 1 {
				t.Errorf("%d starts", n)
			}
		})
	}
}

// TestAnAnswerWithoutAStatusSaysWhereToLook: such answers can go on for as long as a backup takes, and people see no end.
func TestAnAnswerWithoutAStatusSaysWhereToLook(t *testing.T) {
	w := &wire{replies: map[step]reply{start: answers(202, "", both...), poll: answers(200, "{}")}}
	o, err := w.provider().Begin(t.Context(), attempt())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.provider().Poll(t.Context(), attempt(), o.Token)
	fault{kind: backup.Retryable, code: "NoStatus", message: "200 OK, does not say how it is getting on", hint: "activity log how the backup ended"}.check(t, err)
}

// TestTierOfABackupWhicheverHeaderLeads checks the tier of a backup that was followed by its status, whose answer has no
// service in it. The last GET goes to the start's Location, else to the service. If both fail, the tier is lost and not
// the backup.
func TestTierOfABackupWhicheverHeaderLeads(t *testing.T) {
	premium := answers(200, `{"name":"contoso","sku":{"name":"Premium"},"properties":{"provisioningState":"Updating","createdAtUtc":"2025-03-04T05:06:07.8901234Z"}}`)
	created := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	anew := answers(200, `{"sku":{"name":"Premium"},"properties":{"createdAtUtc":"2025-03-04T05:06:07Z"}}`)
	developer := settledService
	for _, c := range []struct {
		name        string
		headers     []string
		result, get reply
		want        backup.Operation
		steps       []step
	}{
		{"at the Location", both, premium, developer, backup.Operation{Done: true, SKU: "Premium", ServiceCreated: created}, []step{start, poll, result}},
		{"no Location, and it says when it was created", both[:1], premium, anew, backup.Operation{Done: true, SKU: "Premium", ServiceCreated: created}, []step{start, poll, get}},
		{"no Location", both[:1], premium, developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, get}},
		{"nothing at the Location", both, answers(404, ""), developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"no content there", both, answers(204, ""), developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"still under way there", both, answers(202, "", "Location: "+resultAt), developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"failed there", both, armSays(400, "BackupFailed", "No."), developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"throttled there", both, answers(429, "", "Retry-After: 300"), developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"cut there", both, cut, developer, backup.Operation{Done: true, SKU: "Developer"}, []step{start, poll, result, get}},
		{"nobody tells", both, cut, answers(503, ""), backup.Operation{Done: true}, []step{start, poll, result, get}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{
				start: answers(202, "", c.headers...), poll: answers(200, `{"status":"Succeeded"}`), result: c.result, get: c.get,
			}}
			o, err := w.provider().Begin(t.Context(), attempt())
			if err == nil {
				o, err = w.provider().Poll(t.Context(), attempt(), o.Token)
			}
			if err != nil || o != c.want {
				t.Errorf("operation %+v and error %v, want %+v", o, err, c.want)
			}
			w.expect(t, c.steps...)
		})
	}
}

// TestTokenOfBothHeaders checks that two signed addresses make a token of some 7 KB. The run's row must hold that token.
func TestTokenOfBothHeaders(t *testing.T) {
	signed := strings.Repeat("c", 3200)
	w := &wire{replies: map[step]reply{
		start: answers(202, "", both[0]+signed, both[1]+signed, "Retry-After: 60"), poll: answers(200, `{"status":"InProgress"}`),
	}}
	o, err := w.provider().Begin(t.Context(), attempt())
	if err != nil || o.RetryAfter != time.Minute || len(o.Token) < 2*len(signed) {
		t.Fatalf("operation %+v, %v", o, err)
	}
	if _, err := w.provider().Poll(t.Context(), attempt(), o.Token); err != nil {
		t.Error(err)
	}
	w.expect(t, start, poll)
}
