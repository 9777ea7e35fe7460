package ledger_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger"
)

// work is one of the two long operations, as the engine sees it.
type work struct {
	start step
	begin func(*testing.T, *ledger.Provider) (backup.Operation, error)
	poll  func(*testing.T, *ledger.Provider, string) (backup.Operation, error)
	// world makes a wire on which it can begin, and made is called when Azure has done it.
	world func() *wire
	made  func(*wire)
}

// works holds both operations, because one rule reads Azure's answers to both.
var works = map[string]work{
	"backup": {
		start: start,
		begin: func(t *testing.T, p *ledger.Provider) (backup.Operation, error) {
			t.Helper()
			return p.Begin(t.Context(), attempt())
		},
		poll: func(t *testing.T, p *ledger.Provider, token string) (backup.Operation, error) {
			t.Helper()
			return p.Poll(t.Context(), attempt(), token)
		},
		world: newWire,
		made:  func(w *wire) { w.backUp(share, started.Add(time.Minute)) },
	},
	"restore": {
		start: restore,
		begin: func(t *testing.T, p *ledger.Provider) (backup.Operation, error) {
			t.Helper()
			return p.BeginRestore(t.Context(), toRestore())
		},
		poll: func(t *testing.T, p *ledger.Provider, token string) (backup.Operation, error) {
			t.Helper()
			return p.PollRestore(t.Context(), toRestore(), token)
		},
		world: deleted,
		made:  func(w *wire) { w.replies[get] = answers(200, newer) },
	},
}

const (
	atStatus = "Azure-AsyncOperation: " + at
	atResult = "Location: https://management.azure.com" + subscription +
		"/providers/Microsoft.ConfidentialLedger/locations/westeurope/operationResults/8d1a4bdc?api-version=1"
	page = "<!DOCTYPE html><html><head><title>Error</title></head><body><h2>Our services aren't available right now</h2></body></html>"
)

// TestAStartThatSaysWhereIsFollowed checks the answers to a start with an address, whatever else they say: an end in the
// body may be the resource's, or too early. The provider asks for the operation's own status, and believes it.
func TestAStartThatSaysWhereIsFollowed(t *testing.T) {
	const broken = `,"error":{"code":"X","message":"broken"}`
	for name, reply := range map[string]reply{
		"null":                      answers(202, "null", atStatus),
		"nothing":                   answers(202, "", atStatus),
		"a page":                    answers(202, page, atStatus),
		"its end":                   answers(202, `{"status":"Succeeded"}`, atStatus),
		"its failure":               answers(202, `{"status":"Failed"`+broken+`}`, atStatus),
		"its being canceled":        answers(202, `{"status":"Canceled"}`, atStatus),
		"an end of the resource":    answers(202, `{"properties":{"provisioningState":"Succeeded"}}`, atStatus),
		"a failure of the resource": answers(202, `{"properties":{"provisioningState":"Failed"}}`, atStatus),
		"an end, with 200":          answers(200, `{"properties":{"provisioningState":"Succeeded"}}`, atStatus),
		"an unknown word":           answers(200, `{"status":"Wobbling"}`, atStatus),
		"two addresses":             answers(202, `{"status":"Succeeded"}`, atStatus, atResult),
		"Operation-Location":        answers(202, `{"status":"Succeeded"}`, "Operation-Location: "+at),
	} {
		for what, o := range works {
			t.Run(what+", "+name, func(t *testing.T) {
				w := o.world()
				w.replies[o.start] = reply
				operation, err := o.begin(t, w.provider())
				if err != nil || operation.Done || operation.Token == "" {
					t.Fatalf("%+v, %v", operation, err)
				}
				w.replies[poll] = says("Failed", broken)
				_, err = o.poll(t, w.provider(), operation.Token)
				fault{kind: backup.Refused, code: "X", message: "broken", hint: "portal"}.check(t, err)
				o.made(w)
				w.replies[poll] = done
				operation, err = o.poll(t, w.provider(), operation.Token)
				if err != nil || !operation.Done {
					t.Errorf("%+v, %v", operation, err)
				}
			})
		}
	}
	for name, reply := range map[string]reply{
		"an end":         answers(200, `{"properties":{"provisioningState":"Succeeded"}}`, atResult),
		"a failure":      answers(202, `{"status":"Failed"}`, atResult),
		"not even words": answers(202, "null", atResult),
	} {
		for what, o := range works {
			t.Run(what+" at a Location, "+name, func(t *testing.T) {
				w := o.world()
				w.replies[o.start] = reply
				operation, err := o.begin(t, w.provider())
				if err != nil || operation.Done || operation.Token == "" {
					t.Fatalf("%+v, %v", operation, err)
				}
				w.replies[result] = refuses(400, "X", "broken")
				_, err = o.poll(t, w.provider(), operation.Token)
				fault{kind: backup.Refused, code: "X", message: "broken", hint: "portal"}.check(t, err)
			})
		}
	}
}

// TestAStartThatTellsNothing checks the answers to a start without a usable address: the operation may have started,
// unless Azure refused it.
func TestAStartThatTellsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		fault fault
	}{
		"nowhere":            {answers(202, "null"), fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"a relative address": {answers(202, "null", "Azure-AsyncOperation: "+status), fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"no content":         {answers(204, ""), fault{kind: backup.Ambiguous, code: "NoContent", hint: "Lifeboat looks for the operation"}},
		"created":            {answers(201, "{}", atStatus), fault{kind: backup.Ambiguous, code: "Created", hint: "Lifeboat looks for the operation"}},
		"a page with 200":    {answers(200, page), fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"a page with 502":    {answers(502, page), fault{kind: backup.Ambiguous, code: "BadGateway", hint: "Lifeboat looks for the operation"}},
		"a page with 503":    {answers(503, page), fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "Lifeboat looks for the operation"}},
		"a page with 504":    {answers(504, page), fault{kind: backup.Ambiguous, code: "GatewayTimeout", hint: "Lifeboat looks for the operation"}},
		// This was recorded of a change whose first request had been answered 504, and had begun all the same.
		"locked":              {refuses(429, "TooManyRequests", "Cannot acquire exclusive lock"), fault{kind: backup.Throttled, code: "TooManyRequests", message: "exclusive lock", hint: "Lifeboat asks again"}},
		"throttled for long":  {answers(429, "", "Retry-After: 300"), fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 300 * time.Second}},
		"throttled by a page": {answers(429, page, "Retry-After: 300"), fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 300 * time.Second}},
	} {
		for what, o := range works {
			t.Run(what+", "+name, func(t *testing.T) {
				w := o.world()
				w.replies[o.start] = test.reply
				_, err := o.begin(t, w.provider())
				test.fault.check(t, err)
				if n := w.count(o.start); n != 1 {
					t.Errorf("%d starts", n)
				}
			})
		}
	}
}

// TestPollsSurviveWhatAzureAnswers checks that a poll ends an operation only by a word for an end at the operation's
// status, or by the code of an answer at its Location with no word against it. After any other answer the saved token
// still leads to the end.
func TestPollsSurviveWhatAzureAnswers(t *testing.T) {
	silent := fault{kind: backup.Retryable, code: "Unreachable", hint: "Lifeboat asks again"}
	refused := func(code string) fault { return fault{kind: backup.Refused, code: code, hint: "portal"} }
	throttled := func(code string, after time.Duration) fault {
		return fault{kind: backup.Throttled, code: code, hint: "Lifeboat asks again", after: after}
	}
	type row struct {
		reply reply
		done  bool
		fault fault
	}
	status := map[string]row{
		"no content":             {reply: answers(204, ""), fault: silent},
		"nothing":                {reply: answers(200, ""), fault: silent},
		"nothing yet":            {reply: answers(202, ""), fault: silent},
		"null":                   {reply: answers(200, "null"), fault: silent},
		"a page":                 {reply: answers(200, page), fault: silent},
		"no status":              {reply: answers(200, `{"name":"x"}`), fault: silent},
		"a status of null":       {reply: answers(200, `{"status":null}`), fault: silent},
		"an empty status":        {reply: answers(200, `{"status":""}`), fault: silent},
		"a number":               {reply: answers(200, `{"status":200}`), fault: silent},
		"the resource's state":   {reply: answers(200, `{"properties":{"provisioningState":"Succeeded"}}`), fault: silent},
		"Accepted":               {reply: answers(200, `{"status":"Accepted","properties":null}`)},
		"Deleting":               {reply: answers(202, `{"status":"Deleting"}`, atStatus)},
		"a capital InProgress":   {reply: answers(200, `{"status":"INPROGRESS"}`)},
		"FailoverInProgress":     {reply: answers(200, `{"status":"FailoverInProgress"}`)},
		"PartiallySucceeded":     {reply: answers(200, `{"status":"PartiallySucceeded"}`)},
		"an unknown word":        {reply: answers(200, `{"status":"Wobbling"}`)},
		"goes on for a resource": {reply: answers(200, `{"status":"Running","properties":{"provisioningState":"Succeeded"}}`)},
		"an address that moves":  {reply: answers(202, `{"status":"Accepted"}`, strings.Replace(atStatus, "s=3", "s=33", 1))},
		"small letters":          {reply: answers(200, `{"status":"succeeded"}`), done: true},
		"capitals":               {reply: answers(200, `{"status":"SUCCEEDED"}`), done: true},
		"an end with 202":        {reply: answers(202, `{"status":"Succeeded"}`), done: true},
		"an end with 201":        {reply: answers(201, `{"status":"Succeeded"}`), done: true},
		"Completed":              {reply: answers(200, `{"status":"Completed"}`), done: true},
		"failed":                 {reply: answers(200, `{"status":"FAILED"}`), fault: refused("OperationFailed")},
		"failed, with 202":       {reply: answers(202, `{"status":"Failed"}`), fault: refused("OperationFailed")},
		"Canceled":               {reply: answers(200, `{"status":"canceled"}`), fault: refused("OperationCanceled")},
		"Cancelled":              {reply: answers(200, `{"status":"Cancelled"}`), fault: refused("OperationCanceled")},
		"an error in vain":       {reply: answers(200, `{"status":"Failed","error":null}`), fault: refused("OperationFailed")},
		"throttled":              {reply: answers(429, ""), fault: throttled("TooManyRequests", 0)},
		"throttled for long":     {reply: answers(429, "", "Retry-After: 300"), fault: throttled("TooManyRequests", 300*time.Second)},
		"a page with 503":        {reply: answers(503, page, "Retry-After: 300"), fault: throttled("ServiceUnavailable", 300*time.Second)},
		"a page with 502":        {reply: answers(502, page), fault: fault{kind: backup.Retryable, code: "BadGateway", hint: "Lifeboat asks again"}},
		"a page with 504":        {reply: answers(504, page), fault: fault{kind: backup.Retryable, code: "GatewayTimeout", hint: "Lifeboat asks again"}},
		"not found, for now":     {reply: answers(404, "", "Retry-After: 5"), fault: fault{kind: backup.Unobservable, code: "NotFound", hint: "retired", after: 5 * time.Second}},
	}
	location := map[string]row{
		"under way":            {reply: answers(202, "null", atResult)},
		"under way, for long":  {reply: answers(202, "", "Retry-After: 300")},
		"an end too early":     {reply: answers(202, `{"status":"Succeeded"}`)},
		"a failure too early":  {reply: answers(202, `{"status":"Failed"}`)},
		"made too early":       {reply: answers(202, `{"properties":{"provisioningState":"Succeeded"}}`)},
		"not made, too early":  {reply: answers(202, `{"properties":{"provisioningState":"Failed"}}`)},
		"200, and goes on":     {reply: answers(200, `{"status":"InProgress"}`)},
		"200, and Accepted":    {reply: answers(200, `{"status":"Accepted"}`)},
		"200, and a part":      {reply: answers(200, `{"status":"PartiallySucceeded"}`)},
		"being updated":        {reply: answers(200, `{"properties":{"provisioningState":"Updating"}}`)},
		"200":                  {reply: answers(200, ""), done: true},
		"null":                 {reply: answers(200, "null"), done: true},
		"a message":            {reply: answers(200, `{"message":"Restore Created"}`), done: true},
		"created":              {reply: answers(201, ""), done: true},
		"no content":           {reply: answers(204, ""), done: true},
		"an end in a word":     {reply: answers(200, `{"status":"Completed"}`), done: true},
		"failed in a word":     {reply: answers(200, `{"status":"Failed"}`), fault: refused("OperationFailed")},
		"cancelled in a word":  {reply: answers(200, `{"status":"Cancelled"}`), fault: refused("OperationCanceled")},
		"failed as a resource": {reply: answers(200, `{"properties":{"provisioningState":"Failed"}}`), fault: refused("OperationFailed")},
		"throttled for long":   {reply: answers(429, "", "Retry-After: 300"), fault: throttled("TooManyRequests", 300*time.Second)},
		"a page with 503":      {reply: answers(503, page), fault: throttled("ServiceUnavailable", 0)},
		"a page with 504":      {reply: answers(504, page), fault: fault{kind: backup.Retryable, code: "GatewayTimeout", hint: "Lifeboat asks again"}},
	}
	for where, rows := range map[string]map[string]row{atStatus: status, atResult: location} {
		asked, end := poll, done
		if where == atResult {
			asked, end = result, answers(200, `{"message":"done"}`)
		}
		for name, test := range rows {
			for what, o := range works {
				t.Run(what+", "+string(asked)+", "+name, func(t *testing.T) {
					w := o.world()
					w.replies[o.start] = answers(202, "null", where)
					operation, err := o.begin(t, w.provider())
					must(t, err)
					if test.done {
						o.made(w)
					}
					w.replies[asked] = test.reply
					next, err := o.poll(t, w.provider(), operation.Token)
					switch {
					case test.fault.kind != "":
						test.fault.check(t, err)
					case err != nil || next.Done != test.done || (next.Token == "") != test.done:
						t.Fatalf("%+v, %v", next, err)
					case !test.done:
						operation.Token = next.Token
					}
					o.made(w)
					w.replies[asked] = end
					next, err = o.poll(t, w.provider(), operation.Token)
					if err != nil || !next.Done {
						t.Errorf("at its end: %+v, %v", next, err)
					}
					if n := w.count(o.start); n != 1 {
						t.Errorf("%d starts", n)
					}
				})
			}
		}
	}
}

// TestAddressesThatMove checks that the provider follows a Location to the address in the last answer, also in another
// process. The address of a status stays the start's address, at which Azure continues to answer.
func TestAddressesThatMove(t *testing.T) {
	for what, o := range works {
		t.Run(what, func(t *testing.T) {
			w := o.world()
			w.replies[o.start] = answers(202, "null", atResult)
			operation, err := o.begin(t, w.provider())
			must(t, err)
			for _, at := range []string{"2", "3"} {
				w.replies[result] = answers(202, "null", strings.Replace(atResult, "api-version=1", "api-version="+at, 1))
				operation, err = o.poll(t, w.provider(), operation.Token)
				must(t, err)
			}
			w.replies[result] = answers(202, "null")
			_, err = o.poll(t, w.provider(), operation.Token)
			must(t, err)
			if last := w.urls[len(w.urls)-1]; !strings.HasSuffix(last, "api-version=3") {
				t.Errorf("asked at %s", last)
			}

			w = o.world()
			w.replies[o.start] = answers(202, "null", atStatus)
			operation, err = o.begin(t, w.provider())
			must(t, err)
			w.replies[poll] = answers(202, `{"status":"Deleting"}`, strings.Replace(atStatus, "s=3", "s=33", 1))
			for range 2 {
				operation, err = o.poll(t, w.provider(), operation.Token)
				must(t, err)
			}
			if last := w.urls[len(w.urls)-1]; last != at {
				t.Errorf("asked at %s", last)
			}
		})
	}
}
