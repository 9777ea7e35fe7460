package managedhsm_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// asyncHeader makes the header with the address of the status of an operation of the kind.
func asyncHeader(kind string) string {
	return "Azure-AsyncOperation: " + vault + "/" + kind + "/" + job + "/pending"
}

// TestEveryPollIsSurvived checks the statuses that neither the HSM nor another service of Azure was seen to mean as an
// end. They do not end the operation. The next poll, of another process with the same token, finds the end.
func TestEveryPollIsSurvived(t *testing.T) {
	status := func(word string) reply { return says(`"status":` + word) }
	in := func(code int, body string, headers ...string) reply { return answers(code, body, headers...) }
	for _, test := range []struct {
		name string
		poll reply
		kind backup.FaultKind // "" if the operation is reported as under way
		wait time.Duration
	}{
		{"odd case", status(`"INPROGRESS"`), "", 0},
		{"Running", status(`"Running"`), "", 0},
		{"FailoverInProgress", status(`"FailoverInProgress"`), "", 0},
		{"PartiallySucceeded", status(`"PartiallySucceeded"`), "", 0},
		{"an unknown word", status(`"Gelungen"`), "", 0},
		{"202", in(202, `{"status":"InProgress"}`, "Retry-After: 7"), "", 7 * time.Second},
		{"201", in(201, `{"status":"InProgress"}`), "", 0},
		{"an address that moves", in(200, `{"status":"InProgress"}`, "Azure-AsyncOperation: "+vault+"/backup/elsewhere/pending"), "", 0},
		{"a Location beside it", in(200, `{"status":"InProgress"}`, "Location: "+vault+"/backup/elsewhere"), "", 0},
		{"no status", status(`null`), backup.Retryable, 0},
		{"an empty status", status(`""`), backup.Retryable, 0},
		{"a status that is a number", status(`7`), backup.Retryable, 0},
		{"null", in(200, "null"), backup.Retryable, 0},
		{"an empty body", in(200, ""), backup.Retryable, 0},
		{"202 and nothing", in(202, ""), backup.Retryable, 0},
		{"204", in(204, ""), backup.Retryable, 0},
		{"a list", in(200, "[]"), backup.Retryable, 0},
		{"a page", in(200, "<!DOCTYPE html><html><title>Sign in</title></html>"), backup.Retryable, 0},
		{"302", in(302, "", "Location: "+vault+"/elsewhere"), backup.Retryable, 0},
		{"408", refuses(408, "RequestTimeout", "x"), backup.Retryable, 0},
		{"429", refuses(429, "TooManyRequests", "x"), backup.Throttled, 0},
		{"429 for five minutes", refuses(429, "TooManyRequests", "x", "Retry-After: 300"), backup.Throttled, 5 * time.Minute},
		{"429 until a date", refuses(429, "TooManyRequests", "x", "Date: Tue, 03 Nov 2026 02:30:00 GMT", "Retry-After: Tue, 03 Nov 2026 02:35:00 GMT"), backup.Throttled, 5 * time.Minute},
		{"a wait that is a word", in(200, `{"status":"InProgress"}`, "Retry-After: soon"), "", 0},
		{"500", refuses(500, "InternalServerError", "x"), backup.Retryable, 0},
		{"503", in(503, "<html>busy</html>"), backup.Throttled, 0},
		{"504", refuses(504, "GatewayTimeout", "x"), backup.Retryable, 0},
		{"cut", cut, backup.Retryable, 0},
		{"401", refuses(401, "Unauthorized", "x"), backup.Unobservable, 0},
		{"403", refuses(403, "Forbidden", "x"), backup.Unobservable, 0},
		{"404 with a wait", refuses(404, "NotFound", "x", "Retry-After: 9"), backup.Unobservable, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, o := range everyOperation(t) {
				w := &wire{replies: map[step]reply{create: answers(201, ""), o.start: accepted(o.kind), o.poll: test.poll}}
				operation, err := o.begin(w.provider())
				must(t, err)
				token := operation.Token
				for range 2 {
					operation, err = o.follow(w.provider(), token)
					wait := operation.RetryAfter
					if f := backup.AsFault(err); f != nil {
						wait = f.RetryAfter
						if f.Kind != test.kind || f.Message == "" || f.Hint == "" {
							t.Errorf("%s: %+v, want one that is %q", o.start, *f, test.kind)
						}
					} else if test.kind != "" || operation.Done {
						t.Errorf("%s: %+v, want a fault that is %q", o.start, operation, test.kind)
					} else {
						token = operation.Token
					}
					if wait != test.wait {
						t.Errorf("%s: asked again after %s, want %s", o.start, wait, test.wait)
					}
				}
				w.replies[o.poll] = says(success)
				if operation, err = o.follow(w.provider(), token); err != nil || !operation.Done {
					t.Errorf("%s: at its end %+v, %v", o.start, operation, err)
				}
				w.expect(t, append(before(o.start), o.start, o.poll, o.poll, o.poll)...)
			}
		})
	}
}

// TestEveryEndIsSeen checks the words that clients of Azure know, however they are written, in the answer to a poll and
// in the answer to the start.
func TestEveryEndIsSeen(t *testing.T) {
	for word, done := range map[string]bool{
		"Succeeded": true, "succeeded": true, "SUCCEEDED": true, "Completed": true, "Failed": false, "FAILED": false,
		"Canceled": false, "Cancelled": false, "cancelled": false,
	} {
		body := `{"status":"` + word + `","jobId":"` + job + `","statusDetails":"why",` +
			`"azureStorageBlobContainerUri":"https://contosobackups.blob.core.windows.net/lifeboat/` + folder + `"}`
		for _, o := range everyOperation(t) {
			evaluate := func(where string, operation backup.Operation, err error) {
				t.Helper()
				f := backup.AsFault(err)
				switch {
				case done && (err != nil || !operation.Done || operation.Token != ""):
					t.Errorf("%s, %s of %s: %+v, %v", word, where, o.start, operation, err)
				case !done && (f == nil || f.Kind != backup.Refused || !strings.HasSuffix(f.Message, ": why")):
					t.Errorf("%s, %s of %s: %v", word, where, o.start, err)
				}
			}
			for _, code := range []int{200, 201, 202} {
				w := &wire{replies: map[step]reply{create: answers(201, ""), o.start: accepted(o.kind), o.poll: answers(code, body)}}
				operation, err := o.begin(w.provider())
				must(t, err)
				operation, err = o.follow(w.provider(), operation.Token)
				evaluate("a poll", operation, err)
			}
			w := &wire{replies: map[step]reply{create: answers(201, ""), o.start: answers(202, body, asyncHeader(o.kind), "Retry-After: 10")}}
			operation, err := o.begin(w.provider())
			evaluate("the start", operation, err)
			w.expect(t, append(before(o.start), o.start)...)
		}
	}
}

// TestEveryStartIsFollowed checks that a start is followed whatever its body says, and without a body.
func TestEveryStartIsFollowed(t *testing.T) {
	for name, headers := range map[string]func(url string) []string{
		"Azure-AsyncOperation": func(url string) []string { return []string{"Azure-AsyncOperation: " + url} },
		"with a Location beside it": func(url string) []string {
			return []string{"Azure-AsyncOperation: " + url, "Location: " + url}
		},
	} {
		for _, body := range []string{"", "null", "{}", `{"status":null}`, `{"status":"Accepted"}`} {
			for _, o := range everyOperation(t) {
				start := answers(202, body, headers(vault+"/"+o.kind+"/"+job+"/pending")...)
				w := &wire{replies: map[step]reply{create: answers(201, ""), o.start: start, o.poll: says(success)}}
				operation, err := o.begin(w.provider())
				if err != nil || operation.Done || operation.Token == "" {
					t.Errorf("%s, %q: %s: %+v, %v", name, body, o.start, operation, err)
					continue
				}
				if operation, err = o.follow(w.provider(), operation.Token); err != nil || !operation.Done {
					t.Errorf("%s, %q: the end of %s: %+v, %v", name, body, o.start, operation, err)
				}
			}
		}
	}
}
