package apim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// token is the token of a started backup, in the form of the SDK's poller.
const token = `{"type":"ServiceClientBackupResponse","token":{"type":"loc","pollURL":"` + operation +
	`","state":"InProgress"}}`

func TestPollAsksOnceAndGoesByTheStatus(t *testing.T) {
	running := backup.Operation{Token: token}
	for name, test := range map[string]struct {
		reply reply
		want  backup.Operation
		fault fault
	}{
		"still at it": {
			reply: answers(202, "", "Location: "+operation, "Retry-After: 60"),
			want:  backup.Operation{Token: token, RetryAfter: time.Minute},
		},
		"still at it, no headers": {reply: answers(202, ""), want: running},
		"still at it, and says so": {
			reply: answers(202, `{"properties":{"provisioningState":"Updating"}}`),
			want:  backup.Operation{Token: strings.Replace(token, "InProgress", "Updating", 1)},
		},
		"still at it, while the service is settled": {
			reply: answers(202, `{"properties":{"provisioningState":"Succeeded"}}`), want: running,
		},
		"done": {
			reply: answers(200, `{"id":"x","properties":{"provisioningState":"Succeeded"}}`), want: backup.Operation{Done: true},
		},
		"done, with its tier": {reply: settledService, want: backup.Operation{Done: true, SKU: "Developer"}},
		"done, no content":    {reply: answers(204, ""), want: backup.Operation{Done: true}},
		"done, in no known form": {
			reply: answers(200, "<html>fine</html>"), want: backup.Operation{Done: true},
		},
		"200, but still at it": {
			reply: answers(200, `{"properties":{"provisioningState":"Updating"}}`, "Retry-After: 9"),
			want: backup.Operation{
				Token: strings.Replace(token, "InProgress", "Updating", 1), RetryAfter: 9 * time.Second,
			},
		},
		"200, but failed": {
			reply: answers(200, `{"properties":{"provisioningState":"Failed"}}`),
			fault: fault{kind: backup.Refused, code: "BackupFailed", message: target, hint: "trusted Azure services"},
		},
		"200, but canceled, with the reason": {
			reply: answers(200, `{"status":"Canceled","error":{"code":"OperationPreempted","message":"Another one came."}}`),
			fault: fault{kind: backup.Refused, code: "OperationPreempted", message: "Another one came."},
		},
		"400": {
			reply: armSays(400, "InvalidParameters", "Cannot write the blob."),
			fault: fault{
				kind: backup.Refused, code: "InvalidParameters", message: "Cannot write the blob.", hint: "Storage Blob Data",
			},
		},
		"409": {
			reply: armSays(409, "Conflict", "It was stopped by another change."),
			fault: fault{kind: backup.Passing, code: "Conflict"},
		},
		"422": {reply: armSays(422, "Unprocessable", "No."), fault: fault{kind: backup.Refused, code: "Unprocessable"}},
		"401": {
			reply: armSays(401, "InvalidAuthenticationToken", "The access token is invalid."),
			fault: fault{kind: backup.Unobservable, code: "InvalidAuthenticationToken"},
		},
		"403": {
			reply: armSays(403, "AuthorizationFailed", "The client does not have authorization."),
			fault: fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "service/operationresults/read on " + target},
		},
		"404": {
			reply: armSays(404, "ResourceNotFound", "Not found."),
			fault: fault{kind: backup.Unobservable, code: "ResourceNotFound", hint: "files named " + run},
		},
		"410": {reply: armSays(410, "Gone", "Too late."), fault: fault{kind: backup.Unobservable, code: "Gone"}},
		"408": {reply: answers(408, ""), fault: fault{kind: backup.Retryable, code: "RequestTimeout"}},
		"429, in seconds": {
			reply: answers(429, "", "Retry-After: 17"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 17 * time.Second},
		},
		"429, in milliseconds": {
			reply: answers(429, "", "Retry-After-Ms: 1500", "Retry-After: 17"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 1500 * time.Millisecond},
		},
		"429, with a date, by the clock of the answer": {
			reply: answers(429, "", "Date: Tue, 03 Nov 2020 02:30:00 GMT", "Retry-After: Tue, 03 Nov 2020 02:32:00 GMT"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 2 * time.Minute},
		},
		"429, with a date that has passed": {
			reply: answers(429, "", "Date: Tue, 03 Nov 2020 02:30:00 GMT", "Retry-After: Tue, 03 Nov 2020 02:29:00 GMT"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests"},
		},
		"429, with nonsense": {
			reply: answers(429, "", "Retry-After: soon", "Retry-After-Ms: -3"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests"},
		},
		"500": {
			reply: armSays(500, "InternalServerError", "Oops."),
			fault: fault{kind: backup.Retryable, code: "InternalServerError"},
		},
		"503": {
			reply: answers(503, "", "Retry-After: 5"),
			fault: fault{kind: backup.Throttled, code: "ServiceUnavailable", after: 5 * time.Second},
		},
		"cut":           {reply: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"no connection": {reply: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{poll: test.reply}}
			got, err := w.provider().Poll(t.Context(), attempt(), token)
			w.expect(t, poll)
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("operation %+v and error %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestPollFollowsTheOperationAsItMoves(t *testing.T) {
	moved := strings.Replace(operation, "d2VzdGV1cm9wZQ", "bm9ydGhldXJvcGU", 1)
	replies := map[string]reply{operation: answers(202, "", "Location: "+moved), moved: answers(200, "")}
	w := &wire{replies: map[step]reply{start: accepted}}
	w.replies[poll] = func(r *http.Request) (*http.Response, error) { return replies[r.URL.String()](r) }

	got, err := w.provider().Begin(t.Context(), attempt())
	for polls := 0; err == nil && !got.Done && polls < 3; polls++ {
		got, err = w.provider().Poll(t.Context(), attempt(), got.Token) // each poll in a new process
	}
	if err != nil || !got.Done {
		t.Errorf("operation %+v and error %v, want done", got, err)
	}
	w.expect(t, start, poll, poll)
}

func TestPollDeniesATokenThatLeadsNowhere(t *testing.T) {
	for name, token := range map[string]string{
		"empty":         "",
		"cut off":       token[:60],
		"of a restore":  strings.Replace(token, "Backup", "Restore", 1),
		"already ended": strings.Replace(token, "InProgress", "Succeeded", 1),
		"of no poller":  `{"type":"ServiceClientBackupResponse","token":{"type":"other"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{start: accepted}}
			_, err := w.provider().Poll(t.Context(), attempt(), token)
			fault{kind: backup.Unobservable, code: "UnusableToken", message: target, hint: "files named " + run}.check(t, err)
			w.expect(t) // above all, it must not start a second backup
		})
	}
}
