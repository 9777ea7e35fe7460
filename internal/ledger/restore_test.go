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
		CCF: backup.CCF{RestoreRegion: "westeurope"},
	}
}

var notThere = refuses(404, "ResourceNotFound", "not found")

// deleted is a wire with a backup of a service that is gone.
func deleted() *wire {
	w := newWire()
	w.backUp(share, started)
	w.replies[get], w.replies[restore] = notThere, accepted()
	return w
}

// TestRestore follows the operation, and then what was made anew.
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
		{nil, answers(200, `{"properties":{"provisioningState":"Creating"}}`), false}, // only the resource tells now
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
}

// TestRestoreRefuses before the request that changes something.
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
				w.shares[share].files["more"] = storedFile{"x", w.now.AddDate(0, 0, -90).Add(-time.Second), "9"}
			},
			fault{kind: backup.Refused, code: "BackupExpired", message: "90 days", hint: "newer"},
		},
		"an export": {
			func(_ *wire, r *backup.Restore) { r.Target = plain },
			fault{kind: backup.Refused, code: "OneWay", message: "no restore since the api-version 2026-02-23", hint: "CCF's own tools"},
		},
		"no region": {
			func(_ *wire, r *backup.Restore) { r.CCF.RestoreRegion = "" },
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
			fault{kind: backup.Deferred, code: "InternalServerError", hint: "by itself"},
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
	// In the previews that had it, a ledger is restored as a Managed CCF is; and 90 days are not yet too many.
	w, r := deleted(), toRestore()
	w.now = started.AddDate(0, 0, 90)
	r.Target, r.CCF.APIVersion = plain, "2025-06-10-preview"
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
		"busy":       {refuses(409, "Conflict", "no"), nil, nil, fault{kind: backup.Deferred, code: "Conflict", hint: "busy"}},
		"lost":       {cut, nil, nil, fault{kind: backup.Uncertain, code: "AnswerLost", hint: "looked for"}},
		"away":       {answers(503, ""), nil, nil, fault{kind: backup.Uncertain, code: "ServiceUnavailable", hint: "looked for"}},
		"fails":      {nil, says("Failed", `,"error":{"code":"RestoreFailed","message":"corrupt"}`), nil, fault{kind: backup.Refused, code: "RestoreFailed", message: "corrupt", hint: "portal"}},
		"untold":     {nil, refuses(403, "AuthorizationFailed", "no"), nil, fault{kind: backup.Denied, code: "AuthorizationFailed", hint: "restore/action"}},
		"not shown":  {nil, done, refuses(403, "AuthorizationFailed", "no"), fault{kind: backup.Denied, code: "AuthorizationFailed", hint: "exists"}},
		"not there":  {nil, done, notThere, fault{kind: backup.Denied, code: "NotThere", message: "does not exist", hint: "activity log"}},
		"not made":   {nil, done, answers(200, `{"properties":{"provisioningState":"Failed"}}`), fault{kind: backup.Refused, code: "ProvisioningFailed", message: "Failed", hint: "activity log"}},
		"throttled":  {nil, answers(429, "", "Retry-After: 7"), nil, fault{kind: backup.Throttled, code: "TooManyRequests", hint: "by itself", after: 7 * time.Second}},
		"look fails": {nil, done, answers(500, ""), fault{kind: backup.Deferred, code: "InternalServerError", hint: "by itself"}},
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
		fault{kind: backup.Denied, code: "UnusableToken", hint: "retired"}.check(t, err)
	}
	w.expect(t)
}

// TestFindRestore: 404 means that nothing was started, and a resource that is there is what the restore made.
func TestFindRestore(t *testing.T) {
	state := func(s string) reply { return answers(200, `{"properties":{"provisioningState":"`+s+`"}}`) }
	w := newWire()
	find := func(service reply) (backup.Operation, error) {
		w.replies[get] = service
		return w.provider().FindRestore(t.Context(), toRestore())
	}
	if o, err := find(notThere); err != nil || o.Done || o.Token != "" {
		t.Errorf("not there: %+v, %v", o, err)
	}
	if o, err := find(state("Succeeded")); err != nil || !o.Done {
		t.Errorf("there: %+v, %v", o, err)
	}
	o, err := find(state("Creating"))
	if err != nil || o.Done || o.Token == "" {
		t.Fatalf("under way: %+v, %v", o, err)
	}
	w.replies[get] = state("Succeeded")
	if o, err = w.provider().PollRestore(t.Context(), toRestore(), o.Token); err != nil || !o.Done {
		t.Errorf("at its end: %+v, %v", o, err)
	}
	_, err = find(state("Failed"))
	fault{kind: backup.Refused, code: "ProvisioningFailed", hint: "activity log"}.check(t, err)
	_, err = find(answers(500, ""))
	fault{kind: backup.Deferred, code: "InternalServerError", hint: "by itself"}.check(t, err)
	if w.count(restore) != 0 {
		t.Error("a look began a restore")
	}
}
