package ledger_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger"
)

// begin starts a backup on the wire, and returns its token.
func begin(t *testing.T, w *wire, a backup.Attempt) string {
	t.Helper()
	if w.replies[start] == nil {
		w.replies[start] = accepted()
	}
	operation, err := w.provider().Begin(t.Context(), a)
	must(t, err)
	if operation.Token == "" || operation.Done {
		t.Fatalf("%+v", operation)
	}
	return operation.Token
}

// TestStart checks that a start is one request. The plan and the kind of service decide its operation and its
// api-version.
func TestStart(t *testing.T) {
	for name, test := range map[string]struct {
		target   string
		settings block
		url      string
		body     string
	}{
		"Managed CCF": {target, block{}, target + "/backup?api-version=2025-06-10-preview", `"}`},
		"a region": {
			target,
			block{RestoreRegion: "westeurope", APIVersion: "2023-06-28-preview"},
			target + "/backup?api-version=2023-06-28-preview", `","restoreRegion":"westeurope"}`,
		},
		"Confidential Ledger":            {plain, block{}, plain + "/filesExport?api-version=2026-05-22-preview", `"}`},
		"Confidential Ledger, a preview": {plain, block{APIVersion: "2025-06-10-preview"}, plain + "/backup?api-version=2025-06-10-preview", `"}`},
		"Confidential Ledger, the first": {plain, block{APIVersion: "2026-02-23"}, plain + "/filesExport?api-version=2026-02-23", `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[start], w.replies[export] = accepted(), accepted()
			a := attempt()
			a.Target, a.Blocks = test.target, with(test.settings)
			operation, err := w.provider().Begin(t.Context(), a)
			must(t, err)
			last := len(w.urls) - 1
			if w.urls[last] != "https://management.azure.com"+test.url || !strings.HasSuffix(w.bodies[last], test.body) || len(w.sent) != 3 {
				t.Errorf("sent %q: %s %s", w.sent, w.urls[last], w.bodies[last])
			}
			if operation.Token == "" || operation.Done || operation.Artifact != "" {
				t.Errorf("%+v", operation)
			}
		})
	}
}

// TestSAS checks that a SAS is for the whole file service and for 48 hours of Azure's own time, and that neither the
// token nor an error holds it.
func TestSAS(t *testing.T) {
	w := newWire()
	token := begin(t, w, attempt())
	var body struct{ URI string }
	must(t, json.Unmarshal([]byte(w.bodies[len(w.bodies)-1]), &body))
	where, sas, _ := strings.Cut(body.URI, "?")
	values, err := url.ParseQuery(sas)
	must(t, err)
	if where != "https://contosobackups.file.core.windows.net/" || values.Get("ss") != "f" || values.Get("srt") != "sco" ||
		values.Get("sp") != "rwlc" || values.Get("spr") != "https" || values.Get("se") != "2026-11-05T02:30:00Z" {
		t.Errorf("the SAS is %s %v", where, values)
	}
	for _, secret := range []string{key, sas, values.Get("sig"), url.QueryEscape(values.Get("sig"))} {
		if strings.Contains(token, secret) {
			t.Errorf("the token holds %q", secret)
		}
		w.replies[start] = refuses(400, "BadRequest", "I was given "+secret+" and nothing else")
		_, err := w.provider().Begin(t.Context(), attempt())
		if f := backup.AsFault(err); f == nil || strings.Contains(f.Message, secret) || !strings.Contains(f.Message, "nothing else") {
			t.Error(err)
		}
	}
	w.replies[poll] = says("Failed", `,"error":{"code":"X","message":"no access with `+body.URI+`"}`)
	_, err = w.provider().Poll(t.Context(), attempt(), token)
	if f := backup.AsFault(err); strings.Contains(f.Message, values.Get("sig")) || strings.Contains(f.Message, url.QueryEscape(values.Get("sig"))) {
		t.Error(err)
	}
}

func TestStartUnderstandsEveryAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		step  step
		reply reply
		fault fault
	}{
		"bad request":     {start, refuses(400, "InvalidParameter", "The uri is invalid"), fault{kind: backup.Refused, code: "InvalidParameter", message: "The uri is invalid", hint: "storage account"}},
		"no role":         {start, refuses(403, "AuthorizationFailed", "The client has no authorization"), fault{kind: backup.Refused, code: "AuthorizationFailed", message: "no authorization", hint: "managedCCFs/backup/action"}},
		"gone":            {start, refuses(404, "ResourceNotFound", "not found"), fault{kind: backup.Refused, code: "ResourceNotFound", hint: "still exists"}},
		"retired":         {start, refuses(400, "InvalidApiVersionParameter", "The api-version is invalid"), fault{kind: backup.Refused, code: "InvalidApiVersionParameter", hint: "ccf.apiVersion"}},
		"busy":            {start, refuses(409, "Conflict", "Another operation is in progress"), fault{kind: backup.Retryable, code: "Conflict", hint: "busy"}},
		"throttled":       {start, refuses(429, "TooManyRequests", "slow", "Retry-After: 17"), fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 17 * time.Second}},
		"away":            {start, answers(503, ""), fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "Lifeboat looks for the operation"}},
		"broken":          {start, answers(500, ""), fault{kind: backup.Ambiguous, code: "InternalServerError", hint: "Lifeboat looks for the operation"}},
		"cut off":         {start, cut, fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"no connection":   {start, unknown, fault{kind: backup.Retryable, code: "Unreachable", hint: "management.azure.com"}},
		"nowhere to ask":  {start, answers(202, ""), fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"created":         {start, answers(201, "{}"), fault{kind: backup.Ambiguous, code: "Created", hint: "Lifeboat looks for the operation"}},
		"no keys":         {keys, refuses(403, "AuthorizationFailed", "no listKeys"), fault{kind: backup.Refused, code: "AuthorizationFailed", message: "no listKeys", hint: "Reader and Data Access."}},
		"no full key":     {keys, answers(200, `{"keys":[]}`), fault{kind: backup.Refused, code: "NoAccountKey", hint: "access keys"}},
		"no date":         {keys, answers(200, `{"keys":[{"keyName":"key1","value":"`+key+`","permissions":"FULL"}]}`), fault{kind: backup.Refused, code: "NoSAS", message: "no date", hint: "access keys"}},
		"no such key":     {keys, answers(200, `{"keys":[{"value":"%%%","permissions":"FULL"}]}`, "Date: Tue, 03 Nov 2026 02:30:00 GMT"), fault{kind: backup.Refused, code: "NoSAS", hint: "access keys"}},
		"keys throttled":  {keys, answers(429, "", "Retry-After: 3"), fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 3 * time.Second}},
		"no shares":       {list, storageError(403, "KeyBasedAuthenticationNotPermitted"), fault{kind: backup.Retryable, code: "KeyBasedAuthenticationNotPermitted", hint: "allowSharedKeyAccess"}},
		"no file service": {list, unknown, fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.file.core.windows.net"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[start] = accepted()
			w.replies[test.step] = test.reply
			_, err := w.provider().Begin(t.Context(), attempt())
			test.fault.check(t, err)
			if n := w.count(start); n > 1 || test.step != start && n > 0 {
				t.Errorf("%d starts", n)
			}
		})
	}
	w := newWire()
	_, err := ledger.New(identity{fails: true}, azcore.ClientOptions{Transport: w}).Begin(t.Context(), attempt())
	fault{kind: backup.Retryable, code: "NoIdentityToken", hint: "managed identity"}.check(t, err)
	w.expect(t)
	a := attempt()
	a.Target = account
	_, err = w.provider().Begin(t.Context(), a)
	fault{kind: backup.Refused, code: "InvalidTarget", hint: "plan.yaml"}.check(t, err)
}

// TestAStartThatIsDoneAtOnce checks that a start without a token is done if the share is there.
func TestAStartThatIsDoneAtOnce(t *testing.T) {
	w := newWire()
	w.replies[start] = func(r *http.Request) (*http.Response, error) {
		w.backUp(share, started)
		return answers(200, `{"message":"Backup created for ManagedCCF App : Contoso"}`)(r)
	}
	operation, err := w.provider().Begin(t.Context(), attempt())
	if err != nil || !operation.Done || operation.Artifact != share || operation.Token != "" {
		t.Errorf("%+v, %v", operation, err)
	}
}

// TestPollsUnderstandEveryAnswer checks each poll as another process, with the saved token.
func TestPollsUnderstandEveryAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		after time.Duration // the wait before the next poll, if the operation goes on
		fault fault
	}{
		"in progress":    {reply: says("InProgress", "")},
		"running":        {reply: says("Running", `,"percentComplete":50`)},
		"accepted":       {reply: answers(202, `{"status":"Accepted"}`, "Retry-After: 15"), after: 15 * time.Second},
		"another place":  {reply: answers(200, `{"status":"InProgress"}`, "Azure-AsyncOperation: "+at, "Location: https://elsewhere.invalid/")},
		"failed":         {says("Failed", `,"error":{"code":"BackupFailed","message":"It failed","details":[{"code":"Disk","message":"disk full"}]}`), 0, fault{kind: backup.Refused, code: "BackupFailed", message: "It failed disk full", hint: "storage account"}},
		"without reason": {says("Failed", ""), 0, fault{kind: backup.Refused, code: "OperationFailed", message: "without a reason", hint: "storage account"}},
		"canceled":       {says("Canceled", ""), 0, fault{kind: backup.Refused, code: "OperationCanceled", hint: "storage account"}},
		"bad request":    {refuses(400, "BackupFailed", "no"), 0, fault{kind: backup.Refused, code: "BackupFailed", message: "no", hint: "storage account"}},
		"conflict":       {refuses(409, "Conflict", "no"), 0, fault{kind: backup.Passing, code: "Conflict", hint: "may pass"}},
		"a passing end":  {says("Failed", `,"error":{"code":"internalServerError","message":"Oops"}`), 0, fault{kind: backup.Passing, code: "internalServerError", message: "Oops", hint: "may pass"}},
		"unprocessable":  {refuses(422, "Unprocessable", "no"), 0, fault{kind: backup.Refused, code: "Unprocessable", hint: "storage account"}},
		"no token taken": {refuses(401, "InvalidAuthenticationToken", "no"), 0, fault{kind: backup.Unobservable, code: "InvalidAuthenticationToken", hint: "tenant"}},
		"no role":        {refuses(403, "AuthorizationFailed", "no"), 0, fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "backup/action"}},
		"not found":      {refuses(404, "NotFound", "no"), 0, fault{kind: backup.Unobservable, code: "NotFound", hint: "retired"}},
		"gone":           {answers(410, ""), 0, fault{kind: backup.Unobservable, code: "Gone", hint: "retired"}},
		"timeout":        {answers(408, ""), 0, fault{kind: backup.Retryable, code: "RequestTimeout", hint: "Lifeboat asks again"}},
		"throttled":      {answers(429, "", "Retry-After: 9"), 0, fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 9 * time.Second}},
		"broken":         {answers(500, ""), 0, fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}},
		"bad gateway":    {answers(502, "<html>"), 0, fault{kind: backup.Retryable, code: "BadGateway", hint: "Lifeboat asks again"}},
		"away":           {answers(503, ""), 0, fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again"}},
		"cut off":        {cut, 0, fault{kind: backup.Retryable, code: "Unreachable", hint: "management.azure.com"}},
		"nonsense":       {answers(200, "hello"), 0, fault{kind: backup.Retryable, code: "Unreachable", hint: "answers in Azure's place"}},
		"no status":      {answers(200, `{"id":"x"}`), 0, fault{kind: backup.Retryable, code: "Unreachable", hint: "answers in Azure's place"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.backUp("contoso-20260101", started.AddDate(0, -10, 0))
			token := begin(t, w, attempt())
			w.replies[poll] = test.reply
			operation, err := w.provider().Poll(t.Context(), attempt(), token)
			if test.fault.kind != "" {
				test.fault.check(t, err)
			} else {
				must(t, err)
				if operation.Done || operation.Token == "" || operation.RetryAfter != test.after {
					t.Errorf("%+v", operation)
				}
				token = operation.Token
			}
			if n := w.count(start); n != 1 {
				t.Errorf("%d starts", n)
			}
			// The same token, or the new one, leads to the end.
			w.backUp(share, started.Add(time.Minute))
			w.replies[poll] = done
			operation, err = w.provider().Poll(t.Context(), attempt(), token)
			if err != nil || !operation.Done || operation.Artifact != share {
				t.Errorf("%+v, %v", operation, err)
			}
		})
	}
}

// TestOtherWaysToTell checks an operation with a Location beside the status, or with a Location alone.
func TestOtherWaysToTell(t *testing.T) {
	const where = "Location: https://management.azure.com" + subscription + "/providers/Microsoft.ConfidentialLedger/locations/westeurope/operationResults/8d1a4bdc?api-version=1"
	for name, test := range map[string]struct {
		accepted reply
		step     step
		waiting  reply
		done     reply
	}{
		"both":     {accepted(where, "Retry-After: 15"), poll, says("InProgress", ""), done},
		"location": {answers(202, "", where), result, answers(202, ""), answers(200, `{"message":"Backup created"}`)},
		"empty":    {answers(202, "", where), result, answers(202, "", where), answers(204, "")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[start] = test.accepted
			token := begin(t, w, attempt())
			w.replies[test.step] = test.waiting
			operation, err := w.provider().Poll(t.Context(), attempt(), token)
			must(t, err)
			if operation.Done {
				t.Fatalf("%+v", operation)
			}
			w.backUp(share, started)
			w.replies[test.step] = test.done
			operation, err = w.provider().Poll(t.Context(), attempt(), operation.Token)
			if err != nil || !operation.Done || operation.Artifact != share {
				t.Errorf("%+v, %v", operation, err)
			}
		})
	}
}

func TestTokensOfNothing(t *testing.T) {
	w := newWire()
	for _, token := range []string{"", "{}", "null", "not a token", `{"poller":"x"}`, `{"poller":"{}"}`, `{"follow":true}`} {
		_, err := w.provider().Poll(t.Context(), attempt(), token)
		fault{kind: backup.Unobservable, code: "UnusableToken", hint: "retired"}.check(t, err)
	}
	w.expect(t)
}

// TestTheShareIsFound checks that the provider finds the backup's share among others, because it did not exist before.
func TestTheShareIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		before, after map[string]time.Duration // shares, with the times after the start at which they were made
		found         string
		message       string
	}{
		"alone":        {nil, map[string]time.Duration{share: time.Minute}, share, ""},
		"among old":    {map[string]time.Duration{"contoso-1": -time.Hour}, map[string]time.Duration{share: 0}, share, ""},
		"just before":  {map[string]time.Duration{"contoso-1": -time.Second}, map[string]time.Duration{share: 0}, share, ""},
		"another's":    {nil, map[string]time.Duration{share: 0, "contoso-2-20261103023001": 0, "fabrikam-20261103023001": 0}, share, ""},
		"after it":     {nil, map[string]time.Duration{share: 0, "contoso-9": 10 * time.Minute}, share, ""},
		"none":         {map[string]time.Duration{"contoso-1": -time.Hour}, nil, "", "none can"},
		"two":          {nil, map[string]time.Duration{share: 0, "contoso-20261103023301": time.Minute}, "", "2 can: contoso-20261103023001, contoso-20261103023301"},
		"only another": {nil, map[string]time.Duration{"contoso-2-20261103023001": 0}, "", "none can"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			for share, at := range test.before {
				w.backUp(share, started.Add(at))
			}
			token := begin(t, w, attempt())
			for share, at := range test.after {
				w.backUp(share, started.Add(at))
			}
			w.replies[poll] = done
			operation, err := w.provider().Poll(t.Context(), attempt(), token)
			if test.found == "" {
				fault{kind: backup.Unobservable, code: "NoShare", message: test.message, hint: "contoso-…"}.check(t, err)
			} else if err != nil || !operation.Done || operation.Artifact != test.found {
				t.Errorf("%+v, %v", operation, err)
			}
		})
	}
	w := newWire()
	token := begin(t, w, attempt())
	w.replies[poll] = done
	w.replies[keys] = refuses(403, "AuthorizationFailed", "no listKeys")
	_, err := w.provider().Poll(t.Context(), attempt(), token)
	fault{kind: backup.Retryable, code: "AuthorizationFailed", hint: "Reader and Data Access"}.check(t, err)
	w = newWire()
	token = begin(t, w, attempt())
	w.replies[poll], w.replies[list] = done, answers(500, "")
	_, err = w.provider().Poll(t.Context(), attempt(), token)
	fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}.check(t, err)
}

// TestASASThatRunsOut checks that Poll removes the share of a backup whose SAS has expired, if exactly one share can be
// meant.
func TestASASThatRunsOut(t *testing.T) {
	for name, reply := range map[string]reply{
		"the file service's words": says("Failed", `,"error":{"code":"AuthenticationFailed","message":"Signature not valid in the specified time frame"}`),
		"a rotated key":            says("Failed", `,"error":{"code":"X","message":"The storage account answered 403 AuthenticationFailed."}`),
		"plain words":              says("Failed", `,"error":{"code":"BackupFailed","message":"The SAS token has expired."}`),
		"a code":                   says("Failed", `,"error":{"code":"ExpiredSas","message":"no"}`),
		"a status":                 refuses(400, "BackupFailed", "the SAS expired"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.backUp("contoso-20260101", started.AddDate(0, -10, 0))
			token := begin(t, w, attempt())
			w.backUp(share, started.Add(time.Minute))
			w.replies[poll] = reply
			w.replies[remove] = answers(503, "")
			_, err := w.provider().Poll(t.Context(), attempt(), token)
			if f := backup.AsFault(err); f == nil || f.Kind != backup.Retryable {
				t.Errorf("before the share is deleted: %v", err)
			}
			delete(w.replies, remove)
			for range 2 { // the second time the share is gone
				_, err = w.provider().Poll(t.Context(), attempt(), token)
				if f := backup.AsFault(err); f == nil || f.Kind != backup.CredentialExpired || !strings.Contains(f.Hint, "once") {
					t.Errorf("%+v", f)
				}
			}
			if len(w.shares) != 1 || w.shares[share].files != nil {
				t.Errorf("left: %v", w.shares)
			}
			w.backUp(share, started)
			w.backUp("contoso-20261103023301", started)
			_, err = w.provider().Poll(t.Context(), attempt(), token)
			if f := backup.AsFault(err); f == nil || f.Kind != backup.CredentialExpired || len(w.shares) != 3 {
				t.Errorf("%v; left: %v", err, w.shares)
			}
		})
	}
}

// TestANameIsNoReason checks that the names of people's resources in Azure's messages decide nothing; no share is
// deleted.
func TestANameIsNoReason(t *testing.T) {
	for _, words := range []string{
		"inexperienced",
		"back up /subscriptions/s/resourceGroups/expiring-certs/providers/Microsoft.ConfidentialLedger/ledgers/contoso: disk full",
		"/resourceGroups/AuthenticationFailed/providers: disk full",
		"the share expired. is full", "the region The.SAS.expired is full", "AuthenticationFailed", "SAS-token-has-expired",
		"No vault 'The SAS expired' was found",
	} {
		w := newWire()
		token := begin(t, w, attempt())
		w.backUp(share, started.Add(time.Minute))
		w.replies[poll] = says("Failed", `,"error":{"code":"X","message":"`+words+`"}`)
		_, err := w.provider().Poll(t.Context(), attempt(), token)
		fault{kind: backup.Refused, code: "X", message: words, hint: "See that the storage account exists"}.check(t, err)
		if f := backup.AsFault(err); f.Said != words {
			t.Errorf("Azure's words are %q, want %q", f.Said, words)
		}
		if w.shares[share].files == nil {
			t.Errorf("%s: the share was deleted", words)
		}
	}
	w := newWire() // a name says nothing about an api-version either
	w.replies[start] = refuses(400, "BadRequest", "back up /resourceGroups/api-version-test/x: no")
	_, err := w.provider().Begin(t.Context(), attempt())
	fault{kind: backup.Refused, code: "BadRequest", message: "api-version-test", hint: "See that the storage account exists"}.check(t, err)
}
