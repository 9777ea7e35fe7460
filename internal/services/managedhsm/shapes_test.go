package managedhsm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
)

// asked is an operation of the HSM, with the requests for its start and for its status.
type asked struct {
	start, poll step
	kind, body  string
	begin       func(p *managedhsm.Provider) (backup.Operation, error)
	follow      func(p *managedhsm.Provider, token string) (backup.Operation, error)
}

// everyOperation returns all operations that Managed HSM has for backups.
func everyOperation(t *testing.T) []asked {
	const into = `"storageResourceUri":"https://contosobackups.blob.core.windows.net/lifeboat","useManagedIdentity":true`
	const from = `"sasTokenParameters":{` + into + `}`
	full := backup.Restore{Target: target, Storage: attempt().Storage, Artifact: folder, Kind: backup.RestoreFull}
	single := full
	single.Kind, single.Key = backup.RestoreKey, "rsa1"
	back := func(start step, body string, r backup.Restore) asked {
		return asked{
			start, pollBack, "restore", body,
			func(p *managedhsm.Provider) (backup.Operation, error) { return p.BeginRestore(t.Context(), r) },
			func(p *managedhsm.Provider, token string) (backup.Operation, error) {
				return p.PollRestore(t.Context(), r, token)
			},
		}
	}
	return []asked{
		{
			start, poll, "backup", "{" + into + "}",
			func(p *managedhsm.Provider) (backup.Operation, error) { return p.Begin(t.Context(), attempt()) },
			func(p *managedhsm.Provider, token string) (backup.Operation, error) {
				return p.Poll(t.Context(), attempt(), token)
			},
		},
		{
			check, poll, "backup", "{" + into + "}",
			func(p *managedhsm.Provider) (backup.Operation, error) { return p.Prepare(t.Context(), attempt(), "") },
			func(p *managedhsm.Provider, token string) (backup.Operation, error) {
				return p.Prepare(t.Context(), attempt(), token)
			},
		},
		{
			prove, pollBack, "restore", `{"folderToRestore":"` + folder + `",` + from + `}`,
			func(p *managedhsm.Provider) (backup.Operation, error) { return p.PrepareRestore(t.Context(), full, "") },
			func(p *managedhsm.Provider, token string) (backup.Operation, error) {
				return p.PrepareRestore(t.Context(), full, token)
			},
		},
		back(restore, `{"folderToRestore":"`+folder+`",`+from+`}`, full),
		back(restoreKey, `{"folder":"`+folder+`",`+from+`}`, single),
	}
}

// TestEveryShapeOfEveryOperation checks the recorded and documented answers to each operation, with a fresh client and
// the saved token before each poll, as in another process.
func TestEveryShapeOfEveryOperation(t *testing.T) {
	const (
		nulls     = `"error":{"code":null,"message":null,"innererror":null}`
		empty     = `"error":{"code":"","message":"","innererror":null}`
		malformed = "The customer provided SAS token is malformed. The SAS token does not contain the expiry field"
	)
	busy := "Another backup operation is in progress"
	going := says(`"status":"InProgress","statusDetails":null,"error":null`)
	done := says(success)
	refused := func(code, message string) fault {
		return fault{kind: backup.Refused, code: code, message: message, hint: "lifeboat"}
	}
	for name, shape := range map[string]struct {
		first reply // nil: the operation is accepted
		polls []reply
		fault fault
	}{
		"at once":                 {polls: []reply{done}},
		"in a while":              {polls: []reply{going, going, done}},
		"errors of nulls (2020)":  {polls: []reply{says(`"status":"InProgress",` + nulls), says(strings.Replace(success, `"error":null`, nulls, 1))}},
		"errors of empty strings": {polls: []reply{says(`"status":"InProgress",` + empty), says(strings.Replace(success, `"error":null`, empty, 1))}},
		"details while it goes on": {
			polls: []reply{says(`"status":"InProgress","statusDetails":"Full backup is in progress","endTime":0`), done},
		},
		"the HSM is busy": {
			first: refuses(409, "Conflict", busy), fault: fault{kind: backup.Retryable, code: "Conflict", message: busy, hint: "Lifeboat asks again"},
		},
		"a malformed SAS, at once (2022)":   {first: refuses(400, "BadRequest", malformed), fault: refused("BadRequest", malformed)},
		"a malformed SAS, at a poll (2021)": {polls: []reply{refuses(400, "BadRequest", malformed)}, fault: refused("BadRequest", malformed)},
		"failed, in the details alone": {
			polls: []reply{going, says(`"status":"Failed","statusDetails":"ResourceNotFound",` + nulls)},
			fault: refused("OperationFailed", ": ResourceNotFound"),
		},
		"failed, in the error alone": {
			polls: []reply{says(`"status":"Failed","statusDetails":null,"error":{"code":"Forbidden","message":"No access"}`)},
			fault: refused("Forbidden", ": No access"),
		},
		"canceled": {
			polls: []reply{says(`"status":"Canceled","statusDetails":"by an administrator"`)},
			fault: refused("OperationCanceled", "by an administrator"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range everyOperation(t) {
				w := &wire{replies: map[step]reply{create: answers(201, ""), o.start: shape.first}}
				if shape.first == nil {
					w.replies[o.start] = accepted(o.kind)
				}
				operation, err := o.begin(w.provider())
				if got := w.bodies[len(w.bodies)-1]; got != o.body {
					t.Errorf("%s: sent %s, want %s", o.start, got, o.body)
				}
				if err == nil && (operation.Done || operation.Token == "" || operation.RetryAfter != 10*time.Second) {
					t.Errorf("%s: taken on, as %+v", o.start, operation)
				}
				for i, reply := range shape.polls {
					must(t, err)
					w.replies[o.poll] = reply
					operation, err = o.follow(w.provider(), operation.Token)
					last := i == len(shape.polls)-1
					if err == nil && (operation.Done != last || (operation.Token == "") != last || operation.RetryAfter != 0) {
						t.Errorf("%s: poll %d of %d: %+v", o.start, i+1, len(shape.polls), operation)
					}
				}
				want := append(before(o.start), o.start)
				for range shape.polls {
					want = append(want, o.poll)
				}
				w.expect(t, want...)
				// Each client sends one request without a token, to learn where to get a token; the poll's URL is the
				// HSM's own.
				if want := 1 + len(shape.polls); w.challenged != want {
					t.Errorf("%s: challenged %d times, want %d", o.start, w.challenged, want)
				}
				fault := shape.fault
				if o.start == restoreKey && strings.HasSuffix(fault.message, "ResourceNotFound") {
					fault.code = "KeyNotInBackup"
				}
				if fault.kind != "" {
					fault.check(t, err)
				} else {
					must(t, err)
				}
			}
		})
	}
}

// before lists the requests that come before the start of an operation.
func before(start step) []step {
	if start == check {
		return []step{create}
	}
	return nil
}

// TestRequestsNameTheVersion checks that each request names the version for which the SDK was made. A poll uses the URL
// that the HSM gave.
func TestRequestsNameTheVersion(t *testing.T) {
	for _, o := range everyOperation(t) {
		versions := map[step]string{}
		note := func(s step, then reply) reply {
			return func(r *http.Request) (*http.Response, error) {
				versions[s] = r.URL.Query().Get("api-version")
				return then(r)
			}
		}
		w := &wire{replies: map[step]reply{
			create: answers(201, ""), o.start: note(o.start, accepted(o.kind)), o.poll: note(o.poll, says(success)),
		}}
		operation, err := o.begin(w.provider())
		must(t, err)
		_, err = o.follow(w.provider(), operation.Token)
		must(t, err)
		if versions[o.start] != "2025-07-01" || versions[o.poll] != "" {
			t.Errorf("%s: api-versions %q", o.start, versions)
		}
	}
}
