package azure_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

const target = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"

// answer returns a response of Azure, with "Name: value" headers.
func answer(status int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		h.Set(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// TestASignatureIsShownInNoSpelling: only the signature of a SAS is secret, and it is removed in every spelling.
func TestASignatureIsShownInNoSpelling(t *testing.T) {
	for _, name := range []string{"sig=", "SIG=", "Sig=", "sig%3D", "sig%3d", "SIG%3d"} {
		for _, end := range []string{"", "&se=2026", `"`, "'", "<br>", "\n", " is wrong"} {
			said := "https://a.blob.core.windows.net/c?sv=1&" + name + "aB%2b/=" + end
			want := "https://a.blob.core.windows.net/c?sv=1&" + name + "(secret)" + end
			if got := azure.Scrub(said); got != want {
				t.Errorf("%q became %q", said, got)
			}
		}
	}
	twice := "sig=one and sig=two"
	if got := azure.Scrub(twice); got != "sig=(secret) and sig=(secret)" {
		t.Errorf("of two only one was taken out: %q", got)
	}
}

// TestASecretIsStrippedInEveryForm: a secret is removed in every form in which a response might repeat it.
func TestASecretIsStrippedInEveryForm(t *testing.T) {
	s := azure.NewSecret("k+y/==", "other")
	f := s.Strip(&backup.Fault{Message: "k+y/== k%2By%2F%3D%3D ayt5Lz09 other b3RoZXI=", Hint: "see k+y/=="})
	if f.Message != "(secret) (secret) (secret) (secret) (secret)" || f.Hint != "see (secret)" {
		t.Errorf("%q, %q", f.Message, f.Hint)
	}
	if text := fmt.Sprint(s); text != "(secret)" || s.Reveal() != "k+y/==" || (azure.Secret{}).Reveal() != "" {
		t.Errorf("%q reveals %q", text, s.Reveal())
	}
	f = azure.NewSecret("").Strip(&backup.Fault{Message: "as it was"})
	if f.Message != "as it was" {
		t.Errorf("%q", f.Message)
	}
}

// TestRetryAfterInEveryForm: the wait is read in every form that Azure writes, and is never negative.
func TestRetryAfterInEveryForm(t *testing.T) {
	const date = "Date: Tue, 03 Nov 2026 02:30:00 GMT"
	for _, c := range []struct {
		headers []string
		want    time.Duration
	}{
		{nil, 0},
		{[]string{"Retry-After: 17"}, 17 * time.Second},
		{[]string{"Retry-After: 300"}, 300 * time.Second},
		{[]string{"Retry-After: 0"}, 0},
		{[]string{"Retry-After: -5"}, 0},
		{[]string{"Retry-After: soon"}, 0},
		{[]string{"Retry-After-Ms: 250"}, 250 * time.Millisecond},
		{[]string{"X-Ms-Retry-After-Ms: 250"}, 250 * time.Millisecond},
		{[]string{"X-Ms-Retry-After-Ms: 250", "Retry-After: 17"}, 250 * time.Millisecond},
		{[]string{"Retry-After-Ms: 0", "Retry-After: 17"}, 17 * time.Second},
		{[]string{"Retry-After: Tue, 03 Nov 2026 02:30:42 GMT", date}, 42 * time.Second},
		{[]string{"Retry-After: Tue, 03 Nov 2026 02:29:42 GMT", date}, 0},
		{[]string{"Retry-After: Tue, 03 Nov 2026 02:30:42 GMT"}, 0}, // the local clock is no measure of Azure's
	} {
		if got := azure.RetryAfter(answer(429, "", c.headers...)); got != c.want {
			t.Errorf("%q: %s, want %s", c.headers, got, c.want)
		}
	}
}

// TestAnAnswersWordsAreFound: the words of a response are found in each of Azure's forms.
func TestAnAnswersWordsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want azure.Body
	}{
		"an error":                  {`{"error":{"code":"C","message":"words"}}`, azure.Body{Code: "C", Message: "words"}},
		"an error without an outer": {`{"code":"C","message":"words"}`, azure.Body{Code: "C", Message: "words"}},
		"behind a mark of order":    {"\ufeff{\"code\":\"C\",\"message\":\"words\"}", azure.Body{Code: "C", Message: "words"}},
		"details": {
			`{"error":{"code":"C","message":"words","details":[{"message":"more"},{"message":"words"},{"message":"","details":[{"message":"inner"}]}]}}`,
			azure.Body{Code: "C", Message: "words more inner"},
		},
		"details alone":      {`{"error":{"code":"C","details":[{"message":"one"},{"message":"two"}]}}`, azure.Body{Code: "C", Message: "one two"}},
		"a status":           {`{"status":"Failed","error":{"code":"C","message":"words"}}`, azure.Body{State: "Failed", Status: "Failed", Code: "C", Message: "words"}},
		"a status in digits": {`{"status":404,"message":"words"}`, azure.Body{Message: "words"}},
		"a service":          {`{"sku":{"name":"Developer"},"properties":{"provisioningState":"Updating"}}`, azure.Body{State: "Updating", SKU: "Developer"}},
		"both states":        {`{"status":"Running","properties":{"provisioningState":"Updating"}}`, azure.Body{State: "Running", Status: "Running"}},
		"of storage": {
			`<?xml version="1.0"?><Error><Code>C</Code><Message>words` + "\nRequestId:1\nTime:2</Message></Error>", azure.Body{Code: "C", Message: "words"},
		},
		"nothing":     {"", azure.Body{}},
		"white space": {" \n", azure.Body{}},
		"a text":      {"words", azure.Body{Message: "words"}},
	} {
		if got := azure.ReadBody(answer(400, c.body)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	long := azure.ReadBody(answer(400, strings.Repeat("é", 600))).Message
	if long != strings.Repeat("é", 512)+" …" {
		t.Errorf("a long text is kept as %d bytes", len(long))
	}
}

// TestWhatAnAnswerMeans: a response means different things to a start, to a request that can be repeated before a start, and
// about an operation in progress.
func TestWhatAnAnswerMeans(t *testing.T) {
	hint := func(status int, code, _ string) string { return fmt.Sprintf("hint about %d %s", status, code) }
	asking := azure.Call{What: "ask", Means: azure.Before, Hint: hint}
	following := azure.Call{What: "follow", Means: azure.Following, Hint: hint}
	starting := asking
	starting.Start = true
	const throttled, uncertain, deferred, refused, denied = backup.Throttled, backup.Ambiguous, backup.Retryable, backup.Refused, backup.Unobservable
	for status, want := range map[int][3]backup.FaultKind{ // asking, starting, following
		302: {deferred, uncertain, deferred},
		400: {refused, refused, refused},
		401: {refused, refused, denied},
		403: {refused, refused, denied},
		404: {refused, refused, denied},
		408: {deferred, uncertain, deferred},
		409: {deferred, deferred, refused},
		410: {refused, refused, denied},
		412: {refused, refused, refused},
		429: {throttled, throttled, throttled},
		500: {deferred, uncertain, deferred},
		502: {deferred, uncertain, deferred},
		503: {throttled, uncertain, throttled},
		504: {deferred, uncertain, deferred},
	} {
		for i, call := range []azure.Call{asking, starting, following} {
			err := runtime.NewResponseError(answer(status, `{"error":{"code":"C","message":"see ?sig=hidden"}}`, "Retry-After: 7"))
			f := call.Fault(fmt.Errorf("wrapped: %w", err))
			if f.Kind != want[i] || f.Code != "C" || f.RetryAfter != 7*time.Second || f.Message != call.What+": see ?sig=(secret)" || f.Hint == "" {
				t.Errorf("%d to %s: %+v, want %s", status, call.What, f, want[i])
			}
		}
	}
	f := asking.Fault(runtime.NewResponseError(answer(404, "", "X-Ms-Error-Code: Header")))
	if f.Code != "Header" || f.Message != "ask: 404 Not Found" {
		t.Errorf("without a body: %+v", f)
	}
	if f := asking.Fault(runtime.NewResponseError(answer(404, ""))); f.Code != "NotFound" {
		t.Errorf("without a word: %+v", f)
	}
	dial := &net.OpError{Op: "dial", Err: errors.New("no route")}
	for _, c := range []struct {
		name string
		call azure.Call
		err  error
		kind backup.FaultKind
		code string
	}{
		{"no connection to ask", asking, dial, deferred, "Unreachable"},
		{"no connection to start", starting, dial, deferred, "Unreachable"},
		{"no proxy to start", starting, &net.OpError{Op: "proxyconnect", Err: errors.New("no")}, deferred, "Unreachable"},
		{"cut while asking", asking, io.ErrUnexpectedEOF, deferred, "Unreachable"},
		{"cut while starting", starting, io.ErrUnexpectedEOF, uncertain, "AnswerLost"},
		{"cut while it was sent", starting, &net.OpError{Op: "write", Err: errors.New("reset")}, uncertain, "AnswerLost"},
	} {
		if f := c.call.Fault(c.err); f.Kind != c.kind || f.Code != c.code || f.Hint == "" {
			t.Errorf("%s: %+v, want %s %s", c.name, f, c.kind, c.code)
		}
	}
	if f := starting.NotSent(io.ErrUnexpectedEOF); f.Kind != deferred || f.Code != "NotSent" {
		t.Errorf("what never left: %+v", f)
	}
	own := &backup.Fault{Kind: denied, Code: "Own"}
	if f := starting.Fault(fmt.Errorf("wrapped: %w", own)); f != own {
		t.Errorf("a fault of ours became %+v", f)
	}
}

// TestWhatStorageMeans: the test lists, reads and deletes artifacts. A protected blob is kept, and a changed one is refused.
func TestWhatStorageMeans(t *testing.T) {
	s := backup.Storage{Account: "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups", Container: "c"}
	for _, c := range []struct {
		status int
		code   string
		// These are the kinds for listing, reading and deleting.
		list, read, remove backup.FaultKind
		hint               string // for deleting
	}{
		{403, "AuthorizationFailure", backup.Unobservable, backup.Retryable, backup.Unobservable, "firewall"},
		{403, "AuthorizationPermissionMismatch", backup.Unobservable, backup.Retryable, backup.Unobservable, "Storage Blob Data Contributor"},
		{401, "InvalidAuthenticationInfo", backup.Unobservable, backup.Retryable, backup.Unobservable, "Storage Blob Data Contributor"},
		{404, "ContainerNotFound", backup.Retryable, backup.Retryable, backup.Retryable, "was deleted"},
		{409, "ContainerBeingDeleted", backup.Retryable, backup.Retryable, backup.Retryable, "was deleted"},
		{409, "BlobArchived", backup.Retryable, backup.Retryable, backup.Retryable, "online access tier"},
		{409, "BlobBeingRehydrated", backup.Retryable, backup.Retryable, backup.Retryable, "online access tier"},
		{412, "LeaseIdMissing", backup.Unobservable, backup.Retryable, backup.Kept, "lease"},
	} {
		err := runtime.NewResponseError(answer(c.status, "", "X-Ms-Error-Code: "+c.code))
		list, read, remove := azure.Listing(s).Fault(err), azure.Reading(s, "a").Fault(err), azure.Deleting(s, "a").Fault(err)
		if list.Kind != c.list || read.Kind != c.read || remove.Kind != c.remove || !strings.Contains(remove.Hint, c.hint) || remove.Hint == "" {
			t.Errorf("%d %s: listing %s, reading %s, deleting %s: %s", c.status, c.code, list.Kind, read.Kind, remove.Kind, remove.Hint)
		}
	}
	for _, c := range []struct {
		status int
		code   string
		kind   backup.FaultKind
	}{
		{409, "BlobImmutableDueToPolicy", backup.Kept},
		{409, "BLOBIMMUTABLEDUETOPOLICY", backup.Kept},
		{409, "BlobImmutableDueToLegalHold", backup.Kept},
		{409, "OperationNotAllowedOnBlobWithLegalHold", backup.Kept},
	} {
		f := azure.Undeleted(azure.Deleting(s, "a"), runtime.NewResponseError(answer(c.status, "", "X-Ms-Error-Code: "+c.code)))
		if f.Kind != c.kind || !strings.Contains(f.Hint, "kept") {
			t.Errorf("%d %s: %+v", c.status, c.code, f)
		}
	}
	for status, kind := range map[int]backup.FaultKind{412: backup.Touched, 500: backup.Ambiguous, 503: backup.Ambiguous, 408: backup.Ambiguous, 429: backup.Throttled} {
		f := azure.Undeleted(azure.Deleting(s, "a"), runtime.NewResponseError(answer(status, "")))
		if f.Kind != kind || kind == backup.Ambiguous && !strings.Contains(f.Hint, "tries the deletion again") {
			t.Errorf("%d: %+v", status, f)
		}
	}
}

// shown returns the properties of an account with the text in JSON.
func shown(t *testing.T, text string) (properties azure.AccountProperties) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &properties); err != nil {
		t.Fatal(err)
	}
	return properties
}

// TestWhatAnAccountAdmits: a setting that is missing allows access, and each way to close the account counts.
func TestWhatAnAccountAdmits(t *testing.T) {
	for name, c := range map[string]struct {
		account        string
		keys, firewall bool
	}{
		"as it is made":   {`{}`, true, false},
		"keys":            {`{"allowSharedKeyAccess": true}`, true, false},
		"no keys":         {`{"allowSharedKeyAccess": false}`, false, false},
		"open":            {`{"networkAcls": {"defaultAction": "Allow"}}`, true, false},
		"closed to some":  {`{"networkAcls": {"defaultAction": "Deny"}}`, true, true},
		"closed to all":   {`{"publicNetworkAccess": "Disabled"}`, true, true},
		"open to all":     {`{"publicNetworkAccess": "Enabled"}`, true, false},
		"in a perimeter":  {`{"publicNetworkAccess": "SecuredByPerimeter"}`, true, true},
		"closed in a way": {`{"networkAcls": {"defaultAction": "Allow"}, "publicNetworkAccess": "Disabled"}`, true, true},
	} {
		account := shown(t, c.account)
		if keys, firewall := account.AdmitsKeys(), account.HasFirewall(); keys != c.keys || firewall != c.firewall {
			t.Errorf("%s: keys %t, firewall %t", name, keys, firewall)
		}
	}
	rule := func(id string) string { return fmt.Sprintf(`{"resourceId": %q}`, id) }
	for name, c := range map[string]struct {
		rules string
		want  bool
	}{
		"nobody":             {`{"bypass": "None"}`, false},
		"nothing said":       {`{}`, false},
		"trusted services":   {`{"bypass": "AzureServices"}`, true},
		"among others":       {`{"bypass": "Logging, Metrics, AzureServices"}`, true},
		"logging alone":      {`{"bypass": "Logging"}`, false},
		"the target":         {`{"resourceAccessRules": [` + rule(target) + `]}`, true},
		"in another case":    {`{"resourceAccessRules": [` + rule(strings.ToUpper(target)) + `]}`, true},
		"as the second":      {`{"resourceAccessRules": [null, ` + rule(target+"-2") + `, ` + rule(target) + `]}`, true},
		"another one":        {`{"resourceAccessRules": [` + rule(target+"-2") + `]}`, false},
		"a rule without one": {`{"resourceAccessRules": [{}]}`, false},
	} {
		if got := shown(t, `{"networkAcls": `+c.rules+`}`).AdmitsService(target); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
