package apim_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
)

// bringBack returns a restore of the artifact that attempt left.
func bringBack() backup.Restore {
	return backup.Restore{
		Target: target, Storage: attempt().Storage, Artifact: run + ".2", Kind: backup.RestoreFull,
		Size: 7, SHA256: "beef", ETag: etag, SKU: "Developer",
	}
}

// restoreToken is the token of a started restore.
var restoreToken = strings.Replace(token, "Backup", "Restore", 1)

// settledService answers with a service that has finished its last change.
var settledService = answers(200, `{"name":"contoso","sku":{"name":"Developer","capacity":1},`+
	`"properties":{"provisioningState":"Succeeded"}}`)

// updating answers with a service that is working on a change.
var updating = answers(200, `{"name":"contoso","properties":{"provisioningState":"Updating"}}`)

func TestBeginRestoreSendsOneRequestThatNamesTheArtifact(t *testing.T) {
	const client = "9d0c1f5e-53a4-4b1c-8e4b-0f6a1a0e2c11"
	for identity, access := range map[string]map[string]string{
		"":          {"accessType": "SystemAssignedManagedIdentity"},
		client:      {"accessType": "UserAssignedManagedIdentity", "clientId": client},
		"accessKey": {"accessType": "AccessKey", "accessKey": accountKey},
	} {
		var sent []string
		var body map[string]string
		w := &wire{replies: map[step]reply{
			keys: keysAre(`{"keyName":"key1","permissions":"FULL","value":"` + accountKey + `"}`),
			back: func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r.Method+" "+r.URL.String())
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					return nil, err
				}
				return accepted(r)
			},
		}}
		r := bringBack()
		r.Blocks = as(identity)
		got, err := w.provider().BeginRestore(t.Context(), r)
		if err != nil || got.Done || !strings.Contains(got.Token, "RestoreResponse") || got.RetryAfter != time.Minute {
			t.Errorf("%q: operation %+v and error %v", identity, got, err)
		}
		if strings.Contains(got.Token, accountKey) {
			t.Errorf("%q: the token holds the key", identity)
		}
		if !slices.Equal(sent, []string{"POST https://management.azure.com" + target + "/restore?api-version=2024-05-01"}) {
			t.Errorf("%q: sent %q", identity, sent)
		}
		want := map[string]string{"storageAccount": "contosobackups", "containerName": "lifeboat", "backupName": run + ".2"}
		for name, value := range access {
			want[name] = value
		}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("%q: body (-want +got):\n%s", identity, diff)
		}
	}
}

func TestBeginRestoreUnderstandsEveryAnswer(t *testing.T) {
	lost := func(code, message string) fault {
		return fault{kind: backup.Ambiguous, code: code, message: message, hint: "Lifeboat does not send it again"}
	}
	for name, test := range map[string]struct {
		reply, service reply
		fault          fault
	}{
		"done at once":                    {reply: settledService, service: settledService},
		"done at once, but still at it":   {reply: answers(200, ""), service: updating, fault: lost("ServiceNotSettled", "Updating")},
		"done at once, and nothing tells": {reply: answers(200, ""), service: answers(403, ""), fault: lost("Forbidden", "")},
		"failed at once": {
			reply: answers(200, `{"properties":{"provisioningState":"Failed"}}`),
			fault: fault{kind: backup.Refused, code: "RestoreFailed", message: "restore " + target, hint: "Storage Blob Data"},
		},
		"202 that leads nowhere": {reply: answers(202, ""), fault: lost("AnswerLost", "")},
		"busy": {
			reply: armSays(409, "ServiceUpdating", "The service is updating.", "Retry-After: 30"),
			fault: fault{
				kind: backup.Retryable, code: "ServiceUpdating", message: "updating", hint: "busy", after: 30 * time.Second,
			},
		},
		"locked": {
			reply: armSays(409, "ScopeLocked", "It is locked."),
			fault: fault{kind: backup.Refused, code: "ScopeLocked", hint: "az lock list"},
		},
		"throttled": {
			reply: armSays(429, "TooManyRequests", "Slow down.", "Retry-After: 17"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 17 * time.Second},
		},
		"no role": {
			reply: armSays(403, "AuthorizationFailed", "No."),
			fault: fault{kind: backup.Refused, code: "AuthorizationFailed", hint: "service/restore/action on " + target},
		},
		"another tier": {
			reply: armSays(400, "RestoreFailed", "Cannot restore: current SKU is 'StandardV2', backup SKU is 'Standard'"),
			fault: fault{
				kind: backup.Refused, code: "RestoreFailed", message: "current SKU is 'StandardV2', backup SKU is 'Standard'",
				hint: "its own tier only",
			},
		},
		"408": {reply: answers(408, ""), fault: lost("RequestTimeout", "")},
		"500": {reply: armSays(500, "InternalServerError", "Oops."), fault: lost("InternalServerError", "Oops.")},
		"503": {reply: answers(503, ""), fault: lost("ServiceUnavailable", "")},
		"cut": {reply: cut, fault: lost("AnswerLost", "unexpected EOF")},
		"no connection": {
			reply: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "management.azure.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{back: test.reply, get: test.service}}
			got, err := w.provider().BeginRestore(t.Context(), bringBack())
			if n := w.count(back); n != 1 {
				t.Errorf("%d starts were sent, want exactly 1", n)
			}
			if test.fault.kind == "" {
				if err != nil || !got.Done {
					t.Errorf("operation %+v and error %v, want it done", got, err)
				}
				return
			}
			test.fault.check(t, err)
		})
	}
}

// TestRestoresAsRecorded follows the shapes of the public recordings, of 2014 to 2023. It makes a new provider for every
// poll, and passes the saved token.
func TestRestoresAsRecorded(t *testing.T) {
	const (
		at     = "Location: " + operation
		minute = "Retry-After: 60"
	)
	slashes := strings.Replace(operation, "/operationresults", "//operationresults", 1)
	moved := strings.Replace(operation, "d2VzdGV1cm9wZQ", "bm9ydGhldXJvcGU", 1)
	whole := `{"id":"` + target + `","sku":{"name":"Developer","capacity":1},"properties":{"provisioningState":"Succeeded",` +
		`"gatewayUrl":"https://contoso.azure-api.net"}}`
	hours := slices.Repeat([]reply{answers(202, "", at, minute)}, 300) // one restore took more than four hours (2023-07)
	for name, test := range map[string]struct {
		start reply
		polls []reply
		urls  []string
		fault fault
	}{
		"2019, API 2019-01-01": {
			start: answers(202, "", at, minute),
			polls: []reply{answers(202, "", at, minute), answers(202, "", at, minute), answers(200, whole)},
		},
		"without Retry-After": {
			start: answers(202, "", at), polls: []reply{answers(202, "", at), answers(200, whole)},
		},
		"2015 to 2021, a slash too many": {
			start: answers(202, "", "Location: "+slashes, minute),
			polls: []reply{answers(202, "", "Location: "+slashes, minute), answers(200, whole)}, urls: []string{slashes, slashes},
		},
		"moving": {
			start: answers(202, "", at, minute),
			polls: []reply{answers(202, "", "Location: "+moved, minute), answers(200, whole)}, urls: []string{operation, moved},
		},
		"API 2014-02-14, with Azure-AsyncOperation": {
			start: answers(202, "", at, minute, "Azure-AsyncOperation: "+moved),
			polls: []reply{answers(200, `{"status":"InProgress"}`, minute), answers(200, `{"status":"Succeeded"}`)},
			urls:  []string{moved, moved},
		},
		"more than four hours": {start: answers(202, "", at, minute), polls: append(hours, answers(200, whole))},
		"asked once more": {
			start: answers(202, "", at, minute), polls: []reply{answers(200, whole), answers(200, whole)},
		},
		"interrupted": {
			start: answers(202, "", at, minute),
			polls: []reply{cut, answers(503, ""), answers(429, "", "Retry-After: 1"), answers(403, ""), answers(200, whole)},
		},
		"another tier": {
			start: answers(202, "", at, minute),
			polls: []reply{
				answers(202, "", at, minute),
				armSays(400, "RestoreFailed", "Cannot restore: current SKU is 'StandardV2', backup SKU is 'Standard'"),
			},
			fault: fault{
				kind: backup.Refused, code: "RestoreFailed", hint: "its own tier only",
				message: "Cannot restore: current SKU is 'StandardV2', backup SKU is 'Standard'",
			},
		},
		"expired": {
			start: answers(202, "", at, minute),
			polls: []reply{armSays(400, "RestoreFailed", "Cannot restore: backup expired")},
			fault: fault{
				kind: backup.Refused, code: "RestoreFailed", message: "Cannot restore: backup expired", hint: "newer recovery point",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var urls []string
			w := &wire{replies: map[step]reply{back: test.start, get: settledService}}
			w.replies[poll] = func(r *http.Request) (*http.Response, error) {
				urls = append(urls, r.URL.String())
				return test.polls[len(urls)-1](r)
			}
			o, err := w.provider().BeginRestore(t.Context(), bringBack())
			token, done := o.Token, 0
			for range test.polls {
				if f := backup.AsFault(err); f != nil && f.Kind == backup.Refused {
					break
				}
				var next backup.Operation
				if next, err = w.provider().PollRestore(t.Context(), bringBack(), token); err == nil && !next.Done {
					token = next.Token
				} else if err == nil {
					done++
				}
			}
			switch {
			case test.fault.kind != "":
				test.fault.check(t, err)
			case err != nil || done == 0:
				t.Errorf("error %v, done %d times", err, done)
			}
			if test.urls != nil && !slices.Equal(urls, test.urls) {
				t.Errorf("asked %q, want %q", urls, test.urls)
			}
			if w.count(back) != 1 || w.count(poll) != len(test.polls) {
				t.Errorf("%d starts, %d polls", w.count(back), w.count(poll))
			}
		})
	}
}

func TestPollRestoreAsksOnceAndGoesByTheStatus(t *testing.T) {
	running := backup.Operation{Token: restoreToken}
	for name, test := range map[string]struct {
		reply, service reply
		want           backup.Operation
		fault          fault
	}{
		"still at it": {reply: answers(202, "", "Location: "+operation, "Retry-After: 60"), want: backup.Operation{
			Token: restoreToken, RetryAfter: time.Minute,
		}},
		"still at it, no headers": {reply: answers(202, ""), want: running},
		"done":                    {reply: settledService, service: settledService, want: backup.Operation{Done: true, SKU: "Developer"}},
		"done, no content":        {reply: answers(204, ""), service: settledService, want: backup.Operation{Done: true}},
		"done, but not settled":   {reply: answers(200, ""), service: updating, fault: fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Updating", hint: "the restore"}},
		"done, but its target differs": {
			reply:   answers(200, ""),
			service: answers(200, `{"properties":{"provisioningState":"Succeeded","targetProvisioningState":"Updating"}}`),
			fault:   fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Updating"},
		},
		"done, and so is its target": {
			reply:   answers(200, ""),
			service: answers(200, `{"properties":{"provisioningState":"Succeeded","targetProvisioningState":""}}`),
			want:    backup.Operation{Done: true},
		},
		"done, but not shown":      {reply: answers(200, ""), service: answers(403, ""), fault: fault{kind: backup.Unobservable, code: "Forbidden", hint: "service/read on " + target}},
		"done, but the look fails": {reply: answers(200, ""), service: answers(503, ""), fault: fault{kind: backup.Throttled, code: "ServiceUnavailable"}},
		"done, but the look is cut": {
			reply: answers(200, ""), service: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"},
		},
		"done, but failed": {
			reply: answers(200, ""), service: answers(200, `{"properties":{"provisioningState":"Failed"}}`),
			fault: fault{kind: backup.Refused, code: "RestoreFailed", message: "restore " + target + ": the service says Failed"},
		},
		"200, but still at it": {
			reply: updating, want: backup.Operation{Token: strings.Replace(restoreToken, "InProgress", "Updating", 1)},
		},
		"200, but failed": {
			reply: answers(200, `{"properties":{"provisioningState":"Failed"}}`),
			fault: fault{kind: backup.Refused, code: "RestoreFailed", message: target},
		},
		"400":           {reply: armSays(400, "RestoreFailed", "No."), fault: fault{kind: backup.Refused, code: "RestoreFailed", message: "No."}},
		"409":           {reply: armSays(409, "Conflict", "No."), fault: fault{kind: backup.Refused, code: "Conflict", message: "No."}},
		"422":           {reply: armSays(422, "Unprocessable", "No."), fault: fault{kind: backup.Refused, code: "Unprocessable"}},
		"401":           {reply: answers(401, ""), fault: fault{kind: backup.Unobservable, code: "Unauthorized", hint: "tenant"}},
		"403":           {reply: answers(403, ""), fault: fault{kind: backup.Unobservable, code: "Forbidden", hint: "operationresults/read on " + target}},
		"404":           {reply: answers(404, ""), fault: fault{kind: backup.Unobservable, code: "NotFound", hint: "activity log"}},
		"410":           {reply: answers(410, ""), fault: fault{kind: backup.Unobservable, code: "Gone", hint: "does not send it again"}},
		"408":           {reply: answers(408, ""), fault: fault{kind: backup.Retryable, code: "RequestTimeout"}},
		"429":           {reply: answers(429, "", "Retry-After: 17"), fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 17 * time.Second}},
		"500":           {reply: answers(500, ""), fault: fault{kind: backup.Retryable, code: "InternalServerError"}},
		"503":           {reply: answers(503, ""), fault: fault{kind: backup.Throttled, code: "ServiceUnavailable"}},
		"cut":           {reply: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"no connection": {reply: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{poll: test.reply, get: test.service}}
			got, err := w.provider().PollRestore(t.Context(), bringBack(), restoreToken)
			want := []step{poll}
			if test.service != nil {
				want = append(want, get)
			}
			w.expect(t, want...)
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("operation %+v and error %v, want %+v", got, err, test.want)
			}
		})
	}
	for _, token := range map[string]string{
		"empty": "", "cut off": restoreToken[:60], "of a backup": token,
		"already ended": strings.Replace(restoreToken, "InProgress", "Succeeded", 1),
	} {
		w := &wire{replies: map[step]reply{back: accepted}}
		_, err := w.provider().PollRestore(t.Context(), bringBack(), token)
		fault{kind: backup.Unobservable, code: "UnusableToken", message: "saved token", hint: "does not send it again"}.check(t, err)
		w.expect(t) // above all, the provider must not start a second restore
	}
}

func TestPrepareRestoreOnTheWire(t *testing.T) {
	found := func(headers ...string) reply {
		return answers(200, "", append([]string{"Content-Length: 7", "Etag: " + etag}, headers...)...)
	}
	for name, test := range map[string]struct {
		blob  reply
		sku   string
		fault fault
	}{
		"well":             {blob: found()},
		"tier not known":   {blob: found(), sku: "none"},
		"in other letters": {blob: found(), sku: "DEVELOPER"},
		"another tier": {
			blob: found(), sku: "Premium",
			fault: fault{kind: backup.Refused, code: "TierDiffers", message: "Developer, and the backup is of the tier Premium", hint: "its own tier"},
		},
		"archived": {
			blob:  found("X-Ms-Access-Tier: Archive"),
			fault: fault{kind: backup.Refused, code: "ArtifactArchived", hint: "online access tier"},
		},
		"gone": {
			blob:  answers(404, "", "X-Ms-Error-Code: BlobNotFound"),
			fault: fault{kind: backup.Refused, code: "ArtifactMissing", message: run + ".2 in the container lifeboat", hint: "another recovery point"},
		},
		"throttled": {blob: answers(503, "", "X-Ms-Error-Code: ServerBusy"), fault: fault{kind: backup.Throttled, code: "ServerBusy"}},
		"denied": {
			blob:  answers(403, "", "X-Ms-Error-Code: AuthorizationPermissionMismatch"),
			fault: fault{kind: backup.Retryable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data Contributor"},
		},
		"cut": {blob: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{
				get:    answers(200, `{"sku":{"name":"Developer"},"identity":{"type":"SystemAssigned"},"properties":{"provisioningState":"Succeeded"}}`),
				spaces: answers(200, `{"value":[]}`), inspect: answers(200, `{}`), rules: answers(200, `{}`), properties: test.blob,
			}}
			r := bringBack()
			switch test.sku {
			case "":
			case "none":
				r.SKU = ""
			default:
				r.SKU = test.sku
			}
			got, err := w.provider().PrepareRestore(t.Context(), r, "")
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			if err != nil || !got.Done {
				t.Errorf("operation %+v and error %v", got, err)
			}
			w.expect(t, get, spaces, inspect, rules, properties)
		})
	}
}

func TestRestoresOfOtherThingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*backup.Restore){
		"InvalidTarget":  func(r *backup.Restore) { r.Target = account },
		"InvalidStorage": func(r *backup.Restore) { r.Storage.Account = "contosobackups" },
		"InvalidRestore": func(r *backup.Restore) { r.Kind = backup.RestoreKey },
	} {
		r, w := bringBack(), &wire{}
		change(&r)
		_, err := w.provider().BeginRestore(t.Context(), r)
		fault{kind: backup.Refused, code: name}.check(t, err)
		w.expect(t)
	}
	for _, change := range []func(*backup.Restore){
		func(r *backup.Restore) { r.Kind = "" },
		func(r *backup.Restore) { r.Key = "rsa1" },
		func(r *backup.Restore) { r.Artifact = "" },
	} {
		r, w := bringBack(), &wire{}
		change(&r)
		_, err := w.provider().PrepareRestore(t.Context(), r, "")
		fault{kind: backup.Refused, code: "InvalidRestore", hint: "as a whole"}.check(t, err)
		_, err = w.provider().PollRestore(t.Context(), r, restoreToken)
		fault{kind: backup.Refused, code: "InvalidRestore", hint: "Nothing was done"}.check(t, err)
		w.expect(t)
	}
}
