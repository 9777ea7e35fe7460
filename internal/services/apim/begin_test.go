package apim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
)

// accepted is the answer to a start as recorded 2019 to 2023.
var accepted = answers(202, "", "Location: "+operation, "Retry-After: 60")

func TestBeginSendsOneRequestThatNamesTheArtifact(t *testing.T) {
	var sent http.Request
	var body map[string]string
	w := &wire{replies: map[step]reply{start: func(r *http.Request) (*http.Response, error) {
		sent = *r
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		return accepted(r)
	}}}

	got, err := w.provider().Begin(t.Context(), attempt())
	if err != nil {
		t.Fatal(err)
	}
	if got.Done || got.Token == "" || got.RetryAfter != time.Minute {
		t.Errorf("operation %+v, want one that goes on with a token, and asks for a minute", got)
	}
	if want := "https://management.azure.com" + target + "/backup?api-version=2024-05-01"; sent.URL.String() != want {
		t.Errorf("sent to %s, want %s", sent.URL, want)
	}
	want := map[string]string{
		"storageAccount": "contosobackups", "containerName": "lifeboat", "backupName": run + ".2",
		"accessType": "SystemAssignedManagedIdentity",
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	w.expect(t, start)
}

func TestBeginUnderstandsEveryAnswer(t *testing.T) {
	const resource = `{"name":"contoso","properties":{"provisioningState":%q}}`
	says := func(state string) string { return strings.ReplaceAll(resource, "%q", `"`+state+`"`) }
	for name, test := range map[string]struct {
		reply reply
		done  bool
		fault fault
	}{
		"done at once":     {reply: answers(200, says("Succeeded")), done: true},
		"done, no content": {reply: answers(200, ""), done: true},
		"failed at once": {
			reply: answers(200, says("Failed")),
			fault: fault{kind: backup.Refused, code: "BackupFailed", message: "Failed", hint: "system-assigned identity"},
		},
		"200 that is not the end and leads nowhere": {
			reply: answers(200, says("Updating")),
			fault: fault{kind: backup.Ambiguous, code: "AnswerLost", message: "where to ask"},
		},
		"202 that leads nowhere": {
			reply: answers(202, ""), fault: fault{kind: backup.Ambiguous, code: "AnswerLost", message: "polling URL"},
		},
		"202 that says the service is settled": {
			reply: answers(202, says("Succeeded"), "Location: "+operation),
		},
		"200 that shows the service, and where to ask": {
			reply: answers(200, says("Succeeded"), "Location: "+operation),
		},
		"200 in another language": {
			reply: answers(200, "<html>"), fault: fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"},
		},
		"204, not documented": {
			reply: answers(204, ""), fault: fault{kind: backup.Ambiguous, code: "NoContent", hint: "Lifeboat looks for the operation"},
		},
		"302, not followed": {
			reply: answers(302, ""), fault: fault{kind: backup.Ambiguous, code: "Found", hint: "Lifeboat looks for the operation"},
		},
		"busy": {
			reply: armSays(409, "ServiceUpdating", "The service is updating.", "Retry-After: 30"),
			fault: fault{
				kind: backup.Retryable, code: "ServiceUpdating", message: "The service is updating.", hint: "busy",
				after: 30 * time.Second,
			},
		},
		"locked": {
			reply: armSays(409, "ScopeLocked", "The scope cannot perform write operation because it is locked."),
			fault: fault{kind: backup.Refused, code: "ScopeLocked", hint: "az lock list"},
		},
		"throttled": {
			reply: armSays(429, "TooManyRequests", "Slow down.", "Retry-After: 17"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 17 * time.Second},
		},
		"no role": {
			reply: armSays(403, "AuthorizationFailed", "The client does not have authorization."),
			fault: fault{
				kind: backup.Refused, code: "AuthorizationFailed", message: "The client does not have authorization.",
				hint: "Microsoft.ApiManagement/service/backup/action on " + target,
			},
		},
		"token not accepted": {
			reply: armSays(401, "InvalidAuthenticationToken", "The access token is invalid."),
			fault: fault{kind: backup.Refused, code: "InvalidAuthenticationToken", hint: "tenant"},
		},
		"no such service": {
			reply: armSays(404, "ResourceNotFound", "The Resource was not found."),
			fault: fault{kind: backup.Refused, code: "ResourceNotFound", message: target, hint: "plan.yaml"},
		},
		"CORS rules with PATCH (reported 2023-11)": {
			reply: answers(400, `{"error":{"code":"InvalidParameters","message":"Invalid parameter: Requested value `+
				`'GET,PATCH' was not found.\r\nParameter name: backupStorageAccount","details":null,"innerError":null}}`),
			fault: fault{
				kind: backup.Refused, code: "InvalidParameters", message: "backupStorageAccount",
				hint: "CORS rules of the Blob service of the storage account contosobackups",
			},
		},
		"a tier without backup": {
			reply: armSays(400, "InvalidOperation", "Backup is not supported for SKU Consumption."),
			fault: fault{kind: backup.Refused, code: "InvalidOperation", hint: "Developer, Basic, Standard and Premium"},
		},
		"storage denied": {
			reply: armSays(400, "InvalidParameters", "Invalid parameter: access to the storage was denied."),
			fault: fault{kind: backup.Refused, code: "InvalidParameters", hint: "Storage Blob Data Contributor on the storage account contosobackups"},
		},
		"reasons in the details": {
			reply: answers(400, `{"error":{"code":"ValidationError","message":"Incorrect values:","details":[`+
				`{"code":"ValidationError","target":"containerName","message":"The name is too short."}]}}`),
			fault: fault{
				kind: backup.Refused, code: "ValidationError", message: "Incorrect values: The name is too short.",
			},
		},
		"408": {
			reply: armSays(408, "RequestTimeout", "Timed out."),
			fault: fault{kind: backup.Ambiguous, code: "RequestTimeout", hint: "Lifeboat looks for the operation"},
		},
		"500": {
			reply: armSays(500, "InternalServerError", "An error occurred."),
			fault: fault{kind: backup.Ambiguous, code: "InternalServerError", hint: "Lifeboat looks for the operation"},
		},
		"502 of a gateway, in HTML": {
			reply: answers(502, "<html><head><title>No &amp; never</title></head><body>Bad gateway</body></html>"),
			fault: fault{kind: backup.Ambiguous, code: "BadGateway", message: ": 502 Bad Gateway: No & never"},
		},
		"503 with Retry-After": {
			reply: answers(503, "", "Retry-After: 5"),
			fault: fault{
				kind: backup.Ambiguous, code: "ServiceUnavailable", message: "503 Service Unavailable", after: 5 * time.Second,
			},
		},
		"504": {
			reply: armSays(504, "GatewayTimeout", "The gateway did not receive a response."),
			fault: fault{kind: backup.Ambiguous, code: "GatewayTimeout"},
		},
		"connection cut": {reply: cut, fault: fault{kind: backup.Ambiguous, code: "AnswerLost", message: "unexpected EOF"}},
		"no connection": {
			reply: unknown,
			fault: fault{kind: backup.Retryable, code: "Unreachable", message: "no such host", hint: "management.azure.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{start: test.reply}}
			got, err := w.provider().Begin(t.Context(), attempt())
			if n := w.count(start); n != 1 {
				t.Errorf("%d starts were sent, want exactly 1", n)
			}
			if test.fault.kind == "" {
				if err != nil || got.Done != test.done || (got.Token == "") != test.done {
					t.Errorf("operation %+v and error %v, want done %t", got, err, test.done)
				}
				return
			}
			test.fault.check(t, err)
		})
	}
}

func TestBeginKnowsWhenNothingWasSent(t *testing.T) {
	t.Run("the time is over", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &wire{replies: map[step]reply{start: accepted}}
		p := apim.New(endsAt{"management", cancel}, azcore.ClientOptions{Transport: w})
		_, err := p.Begin(ctx, attempt())
		fault{kind: backup.Retryable, code: "NotSent", message: "context canceled"}.check(t, err)
		w.expect(t)
	})
	t.Run("no token for Resource Manager", func(t *testing.T) {
		w := &wire{replies: map[step]reply{start: accepted}}
		p := apim.New(identity{failsFor: "management"}, azcore.ClientOptions{Transport: w})
		_, err := p.Begin(t.Context(), attempt())
		fault{kind: backup.Retryable, code: "NoIdentityToken", message: "no managed identity", hint: "identity"}.check(t, err)
		w.expect(t)
	})
	t.Run("no token at all", func(t *testing.T) {
		w := &wire{}
		p := apim.New(identity{failsFor: "https"}, azcore.ClientOptions{Transport: w})
		_, err := p.Begin(t.Context(), attempt())
		fault{kind: backup.Retryable, code: "NoIdentityToken"}.check(t, err)
		w.expect(t)
	})
	t.Run("the time ends while the answer is awaited", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &wire{replies: map[step]reply{start: func(r *http.Request) (*http.Response, error) {
			cancel()
			return nil, r.Context().Err()
		}}}
		_, err := w.provider().Begin(ctx, attempt())
		fault{kind: backup.Ambiguous, code: "AnswerLost", message: "context canceled"}.check(t, err)
	})
}

func TestBeginRefusesNamesOfOtherThings(t *testing.T) {
	for name, change := range map[string]func(*backup.Attempt){
		"InvalidTarget":  func(a *backup.Attempt) { a.Target = account },
		"InvalidStorage": func(a *backup.Attempt) { a.Storage.Account = "contosobackups" },
	} {
		a, w := attempt(), &wire{}
		change(&a)
		_, err := w.provider().Begin(t.Context(), a)
		fault{kind: backup.Refused, code: name, hint: "plan.yaml"}.check(t, err)
		w.expect(t)
	}
}

// endsAt is an identity that ends the invocation when it is asked for a token for the scope; it returns the token all the
// same.
type endsAt struct {
	scope string
	end   func()
}

func (e endsAt) GetToken(ctx context.Context, o tokenOptions) (azcore.AccessToken, error) {
	if strings.Contains(o.Scopes[0], e.scope) {
		e.end()
	}
	token, err := identity{}.GetToken(ctx, o)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return token, err
}

// TestANameIsNoReason checks that no hint comes from the names of people's resources in Azure's messages.
func TestANameIsNoReason(t *testing.T) {
	for _, names := range []string{
		"/resourceGroups/cors-patch/x", "/resourceGroups/sku/x", "/resourceGroups/tier.1/x", "the API 'team workspace' of expired-skus",
		"the policy 'Cannot restore: backup expired' of cors", "Requested.value.PATCH.was.not.found",
	} {
		for _, test := range []struct {
			step  step
			begin func(*wire) error
		}{
			{start, func(w *wire) error { _, err := w.provider().Begin(t.Context(), attempt()); return err }},
			{back, func(w *wire) error {
				_, err := w.provider().BeginRestore(t.Context(), backup.Restore{
					Target: target, Storage: attempt().Storage, Artifact: run + ".1", Kind: backup.RestoreFull,
				})
				return err
			}},
		} {
			w := &wire{replies: map[step]reply{test.step: armSays(400, "InvalidParameters", names+": no")}}
			err := test.begin(w)
			fault{kind: backup.Refused, code: "InvalidParameters", message: names, hint: "system-assigned identity"}.check(t, err)
			w.replies[test.step] = armSays(409, "Conflict", "/resourceGroups/lock-step/x: no")
			err = test.begin(w)
			fault{kind: backup.Retryable, code: "Conflict", message: "lock-step", hint: "busy with another change"}.check(t, err)
		}
	}
}
