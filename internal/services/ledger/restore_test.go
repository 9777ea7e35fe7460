package ledger_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

func toRestore() backup.Restore {
	return backup.Restore{
		Target: target, Storage: backup.Storage{Account: account}, Artifact: share, Kind: backup.RestoreFull,
		Region: "westeurope",
	}
}

var notThere = refuses(404, "ResourceNotFound", "not found")

// These are the recorded answers to a GET of a finished resource: in 2021 and 2023 without any state, since then with a
// runningState alone.
const (
	older = `{"id":"` + target + `","name":"Contoso","type":"Microsoft.ConfidentialLedger/ManagedCCFs","location":"southcentralus",` +
		`"tags":{"dept":"finance"},"properties":{"appName":"Contoso","appUri":"https://contoso.confidential-ledger.azure.com",` +
		`"identityServiceUri":"https://identity.confidential-ledger.core.azure.com/ledgerIdentity/contoso",` +
		`"deploymentType":{"languageRuntime":"JS","appSourceUri":"sample"},"memberIdentityCertificates":[],"nodeCount":3}}`
	newer = `{"id":"` + target + `","name":"Contoso","location":"eastus","properties":{"appName":"Contoso",` +
		`"appUri":"https://contoso.confidential-ledger.azure.com","runningState":"Active","nodeCount":3}}`
)

// deleted makes a wire with a backup of a service that is gone.
func deleted() *wire {
	w := newWire()
	w.backUp(share, started)
	w.replies[get], w.replies[restore] = notThere, accepted()
	return w
}

// TestRestoreAsRecorded checks a restore with the words and the addresses that were recorded of a create. Azure shows
// only the operation's own end and the resource's presence.
func TestRestoreAsRecorded(t *testing.T) {
	const tenants = "https://management.azure.com/providers/Microsoft.ConfidentialLedger/locations/SOUTHCENTRALUS/operationStatuses/" +
		"6d3bf4a5*024B35?api-version=2020-12-01-preview"
	recorded := func(status, more string) reply {
		return answers(200, `{"id":"/providers/Microsoft.ConfidentialLedger/locations/SOUTHCENTRALUS/operationStatuses/6d3bf4a5*024B35",`+
			`"name":"6d3bf4a5*024B35","resourceId":"`+target+`","status":"`+status+`","startTime":"2023-03-19T02:46:31.1488064Z"`+more+`}`)
	}
	for name, resource := range map[string]string{"without a state": older, "that runs": newer, "of nothing else": `{"properties":{}}`} {
		t.Run(name, func(t *testing.T) {
			w := deleted()
			w.replies[restore] = answers(202, "null", "Azure-AsyncOperation: "+tenants)
			operation, err := w.provider().BeginRestore(t.Context(), toRestore())
			must(t, err)
			for _, status := range []reply{recorded("Accepted", ""), recorded("Accepted", "")} {
				w.replies[poll] = status
				if operation, err = w.provider().PollRestore(t.Context(), toRestore(), operation.Token); err != nil || operation.Done {
					t.Fatalf("%+v, %v", operation, err)
				}
			}
			if last := w.urls[len(w.urls)-1]; last != tenants {
				t.Errorf("asked at %s", last)
			}
			w.replies[poll] = recorded("Succeeded", `,"endTime":"2023-03-19T02:47:49.0417419Z","properties":null`)
			w.replies[get] = answers(200, resource)
			operation, err = w.provider().PollRestore(t.Context(), toRestore(), operation.Token)
			if err != nil || !operation.Done || operation.Warning != "" {
				t.Errorf("%+v, %v", operation, err)
			}
		})
	}
}

// TestRestore checks that the provider follows the operation, and then the new resource if that shows its state.
func TestRestore(t *testing.T) {
	w := deleted()
	operation, err := w.provider().BeginRestore(t.Context(), toRestore())
	must(t, err)
	var body struct{ URI, FileShareName, RestoreRegion string }
	for i, s := range w.sent {
		if s == restore {
			must(t, json.Unmarshal([]byte(w.bodies[i]), &body))
			if w.urls[i] != "https://management.azure.com"+target+"/restore?api-version=2025-06-10-preview" {
				t.Error(w.urls[i])
			}
		}
	}
	if !strings.Contains(body.URI, "sig=") || body.FileShareName != share || body.RestoreRegion != "westeurope" || w.count(restore) != 1 {
		t.Errorf("sent %+v", body)
	}
	if strings.Contains(operation.Token, "sig=") || strings.Contains(operation.Token, key) {
		t.Errorf("the token is %s", operation.Token)
	}
	for _, test := range []struct {
		status, service reply
		done            bool
	}{
		{says("InProgress", ""), notThere, false},
		{done, answers(200, `{"properties":{"provisioningState":"Creating"}}`), false},
		{nil, answers(200, `{"properties":{"provisioningState":"Creating"}}`), false}, // only the resource shows the state now
		{nil, answers(200, `{"properties":{"provisioningState":"Succeeded"}}`), true},
	} {
		w.replies[poll], w.replies[get] = test.status, test.service
		operation, err = w.provider().PollRestore(t.Context(), toRestore(), operation.Token)
		if err != nil || operation.Done != test.done || (operation.Token == "") != test.done {
			t.Fatalf("%+v, %v", operation, err)
		}
	}
	if n := w.count(restore); n != 1 {
		t.Errorf("%d starts", n)
	}
	// An operation with this token, which earlier versions have saved, has ended well: the running resource is its work.
	for _, properties := range []string{`{}`, `{"runningState":"Active"}`, `{"runningState":"Unknown"}`} {
		w.replies[get] = answers(200, `{"properties":`+properties+`}`)
		operation, err = w.provider().PollRestore(t.Context(), toRestore(), `{"follow":true}`)
		if err != nil || !operation.Done || operation.Warning != "" {
			t.Errorf("%s: %+v, %v", properties, operation, err)
		}
	}
}

// TestRestoreRefuses checks the refusals before the request that changes something.
func TestRestoreRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *wire, r *backup.Restore)
		fault  fault
	}{
		"the original exists": {
			func(w *wire, _ *backup.Restore) {
				w.replies[get] = answers(200, `{"properties":{"provisioningState":"Succeeded"}}`)
			},
			fault{kind: backup.Refused, code: "OriginalExists", message: "still exists", hint: "Delete it"},
		},
		"another name": {
			func(_ *wire, r *backup.Restore) { r.Target = target + "-2" },
			fault{kind: backup.Refused, code: "NameDiffers", message: share, hint: "name"},
		},
		"past 90 days": {
			func(w *wire, _ *backup.Restore) { w.now = started.AddDate(0, 0, 91) },
			fault{kind: backup.Refused, code: "BackupExpired", message: "90 days", hint: "newer"},
		},
		"one file past 90 days": {
			func(w *wire, _ *backup.Restore) {
				w.shares[share].files["more"] = storedFile{content: "x", written: w.now.AddDate(0, 0, -90).Add(-time.Second), etag: "9"}
			},
			fault{kind: backup.Refused, code: "BackupExpired", message: "90 days", hint: "newer"},
		},
		"an export": {
			func(_ *wire, r *backup.Restore) { r.Target = plain },
			fault{kind: backup.Refused, code: "OneWay", message: "Since the api-version 2026-02-23 Azure restores no Confidential Ledger", hint: "CCF's own tools"},
		},
		"no region": {
			func(_ *wire, r *backup.Restore) { r.Region = "" },
			fault{kind: backup.Refused, code: "NoRegion", message: "region", hint: "ccf.restoreRegion"},
		},
		"a part": {
			func(_ *wire, r *backup.Restore) { r.Kind, r.Key = backup.RestoreKey, "x" },
			fault{kind: backup.Refused, code: "InvalidRestore", message: "the whole", hint: "Nothing was done"},
		},
		"the share is gone": {
			func(w *wire, _ *backup.Restore) { delete(w.shares, share) },
			fault{kind: backup.Refused, code: "ArtifactMissing", message: "does not exist", hint: "deleted shares"},
		},
		"the share is empty": {
			func(w *wire, _ *backup.Restore) { w.shares[share] = stored{made: started} },
			fault{kind: backup.Refused, code: "ArtifactEmpty", hint: "another recovery point"},
		},
		"the share is torn": {
			func(w *wire, _ *backup.Restore) { w.torn(share, "ledger/ledger_1-10.committed") },
			fault{kind: backup.Refused, code: "LedgerIncomplete", message: "1 to 10", hint: "another recovery point"},
		},
		"no look": {
			func(w *wire, _ *backup.Restore) { w.replies[get] = refuses(403, "AuthorizationFailed", "no") },
			fault{kind: backup.Refused, code: "AuthorizationFailed", message: "no", hint: "exists"},
		},
		"no share to be seen": {
			func(w *wire, _ *backup.Restore) { w.replies[open] = answers(500, "") },
			fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := deleted(), toRestore()
			test.change(w, &r)
			_, err := w.provider().BeginRestore(t.Context(), r)
			test.fault.check(t, err)
			if n := w.count(restore); n != 0 {
				t.Errorf("%d starts", n)
			}
		})
	}
	// In the previews with that operation, a ledger is restored as a Managed CCF is; and 90 days are not yet too many.
	w, r := deleted(), toRestore()
	w.now = started.AddDate(0, 0, 90)
	r.Target, r.Blocks = plain, with(block{APIVersion: "2025-06-10-preview"})
	if _, err := w.provider().BeginRestore(t.Context(), r); err != nil || w.count(restore) != 1 {
		t.Errorf("sent %q, %v", w.sent, err)
	}
}

func TestRestoreUnderstandsEveryAnswer(t *testing.T) {
	expired := refuses(400, "RestoreFailed", "The files are older than 90 days")
	for name, test := range map[string]struct {
		start, status, service reply
		fault                  fault
	}{
		"refused":    {expired, nil, nil, fault{kind: backup.Refused, code: "RestoreFailed", message: "older than 90 days", hint: "portal"}},
		"no role":    {refuses(403, "AuthorizationFailed", "no"), nil, nil, fault{kind: backup.Refused, code: "AuthorizationFailed", hint: "managedCCFs/restore/action"}},
		"busy":       {refuses(409, "Conflict", "no"), nil, nil, fault{kind: backup.Retryable, code: "Conflict", hint: "busy"}},
		"lost":       {cut, nil, nil, fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"away":       {answers(503, ""), nil, nil, fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "Lifeboat looks for the operation"}},
		"fails":      {nil, says("Failed", `,"error":{"code":"RestoreFailed","message":"corrupt"}`), nil, fault{kind: backup.Refused, code: "RestoreFailed", message: "corrupt", hint: "portal"}},
		"untold":     {nil, refuses(403, "AuthorizationFailed", "no"), nil, fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "restore/action"}},
		"not shown":  {nil, done, refuses(403, "AuthorizationFailed", "no"), fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "exists"}},
		"not there":  {nil, done, notThere, fault{kind: backup.Unobservable, code: "NotThere", message: "does not exist", hint: "activity log"}},
		"not made":   {nil, done, answers(200, `{"properties":{"provisioningState":"Failed"}}`), fault{kind: backup.Refused, code: "ProvisioningFailed", message: "Failed", hint: "activity log"}},
		"throttled":  {nil, answers(429, "", "Retry-After: 7"), nil, fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 7 * time.Second}},
		"look fails": {nil, done, answers(500, ""), fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := deleted()
			if test.start != nil {
				w.replies[restore] = test.start
			}
			operation, err := w.provider().BeginRestore(t.Context(), toRestore())
			if test.start == nil {
				must(t, err)
				w.replies[poll] = test.status
				if test.service != nil {
					w.replies[get] = test.service
				}
				_, err = w.provider().PollRestore(t.Context(), toRestore(), operation.Token)
			}
			test.fault.check(t, err)
			if n := w.count(restore); n != 1 {
				t.Errorf("%d starts", n)
			}
		})
	}
	w := deleted()
	for _, token := range []string{"", "{}", "not a token"} {
		_, err := w.provider().PollRestore(t.Context(), toRestore(), token)
		fault{kind: backup.Unobservable, code: "UnusableToken", hint: "retired"}.check(t, err)
	}
	w.expect(t)
}

// TestFindRestore checks that 404 means that nothing was started, and that an existing resource comes from the restore.
// FindRestore follows the resource while it says that it is not ready. The restore is done without a warning only if the
// resource says that it is ready.
func TestFindRestore(t *testing.T) {
	properties := func(p string) reply { return answers(200, `{"properties":{`+p+`}}`) }
	for name, test := range map[string]struct {
		service reply
		want    backup.Operation // with any token for a restore under way
		warned  bool
		fault   fault
	}{
		"not there":                {service: notThere},
		"as recorded, older":       {service: answers(200, older), want: backup.Operation{Done: true}, warned: true},
		"as recorded, newer":       {service: answers(200, newer), want: backup.Operation{Done: true}},
		"runs, in small letters":   {service: properties(`"runningState":"active"`), want: backup.Operation{Done: true}},
		"a state of null":          {service: properties(`"provisioningState":null,"runningState":null`), want: backup.Operation{Done: true}, warned: true},
		"an empty state":           {service: properties(`"provisioningState":"","runningState":""`), want: backup.Operation{Done: true}, warned: true},
		"does not run yet":         {service: properties(`"runningState":"Unknown"`), want: backup.Operation{Token: "any"}},
		"as described, made":       {service: properties(`"provisioningState":"Succeeded"`), want: backup.Operation{Done: true}},
		"as described, being made": {service: properties(`"provisioningState":"Creating","runningState":"Active"`), want: backup.Operation{Token: "any"}},
		"accepted":                 {service: properties(`"provisioningState":"Accepted"`), want: backup.Operation{Token: "any"}},
		"as described, failed":     {service: properties(`"provisioningState":"Failed","runningState":"Active"`), fault: fault{kind: backup.Refused, code: "ProvisioningFailed", hint: "activity log"}},
		"as described, canceled":   {service: properties(`"provisioningState":"Canceled"`), fault: fault{kind: backup.Refused, code: "ProvisioningCanceled", hint: "activity log"}},
		"as described, cancelled":  {service: properties(`"provisioningState":"Cancelled"`), fault: fault{kind: backup.Refused, code: "ProvisioningCanceled", hint: "activity log"}},
		"no resource":              {service: answers(200, "null"), fault: fault{kind: backup.Retryable, code: "Unreachable", message: "no resource", hint: "Lifeboat asks again"}},
		"a page":                   {service: answers(200, "<html><body>Please sign in</body></html>"), fault: fault{kind: backup.Retryable, code: "Unreachable", message: "no resource", hint: "Lifeboat asks again"}},
		"nothing":                  {service: answers(200, ""), fault: fault{kind: backup.Retryable, code: "Unreachable", message: "no resource", hint: "Lifeboat asks again"}},
		"away":                     {service: answers(503, "<html><body>Service unavailable</body></html>"), fault: fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again"}},
		"broken":                   {service: answers(500, ""), fault: fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}},
		"not to be seen":           {service: refuses(403, "AuthorizationFailed", "no"), fault: fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[get] = test.service
			o, err := w.provider().FindRestore(t.Context(), toRestore())
			if w.expect(t, get); test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			must(t, err)
			if o.Done != test.want.Done || (o.Token != "") != (test.want.Token != "") || test.warned != strings.Contains(o.Warning, "was lost") {
				t.Fatalf("%+v", o)
			}
			if o.Token == "" {
				return
			}
			// Another process follows a restore under way by the same rule.
			if o, err = w.provider().PollRestore(t.Context(), toRestore(), o.Token); err != nil || o.Done || o.Token == "" {
				t.Fatalf("once more: %+v, %v", o, err)
			}
			for _, end := range []string{newer, older} {
				w.replies[get] = answers(200, end)
				done, err := w.provider().PollRestore(t.Context(), toRestore(), o.Token)
				if err != nil || !done.Done || (done.Warning != "") != (end == older) {
					t.Errorf("at its end: %+v, %v", done, err)
				}
			}
		})
	}
}

// TestWhatIsNoResourceIsNoOriginal checks an answer without a resource: it proves neither that the original exists nor
// that it is gone.
func TestWhatIsNoResourceIsNoOriginal(t *testing.T) {
	for name, service := range map[string]reply{
		"null": answers(200, "null"), "a page": answers(200, "<html></html>"), "nothing": answers(200, ""), "a list": answers(200, "[]"),
		"another state": answers(200, `{"properties":{"provisioningState":7}}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := deleted()
			w.replies[get] = service
			_, err := w.provider().BeginRestore(t.Context(), toRestore())
			fault{kind: backup.Retryable, code: "Unreachable", message: "no resource", hint: "Lifeboat asks again"}.check(t, err)
			if n := w.count(restore); n != 0 {
				t.Errorf("%d starts", n)
			}
		})
	}
}
