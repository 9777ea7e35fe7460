package managedhsm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// looked makes the wire of a folder with one blob, which was written at 02:30:09. The storage's clock says now, begun
// answers the start of the HSM's check, and said answers the poll.
func looked(now string, begun, said reply) *wire {
	w := &wire{replies: map[step]reply{
		list: func(r *http.Request) (*http.Response, error) {
			answer, err := listing(folder + "/a")(r)
			answer.Header.Set("Date", "Tue, 03 Nov 2026 "+now+" GMT")
			return answer, err
		},
		prove: begun, pollBack: said, keys: keyed,
	}}
	blob := answers(206, "content", "ETag: 0x1", "Last-Modified: Tue, 03 Nov 2026 02:30:09 GMT", "Content-Range: bytes 0-6/7",
		"Content-Length: 7")
	for _, name := range []string{folder + "/a", folder + "%2Fa"} {
		w.replies[step("GET https://contosobackups.blob.core.windows.net/lifeboat/"+name)] = blob
	}
	return w
}

// TestWhatIsEvidence checks whether a failed check says something about the backup, or only about the SAS, the app's role
// or the time of the check. The names of resources never decide that.
func TestWhatIsEvidence(t *testing.T) {
	const (
		soon, late = "02:59:00", "03:00:09" // the rule is 30 minutes after the folder was written
		malformed  = "The customer provided SAS token is malformed. The SAS token does not contain the expiry field"
	)
	failed := func(details, code, message string) reply {
		return says(`"status":"Failed","statusDetails":"` + details + `","error":{"code":"` + code + `","message":"` + message +
			`","innererror":null}`)
	}
	named := strings.Replace(target, "/resourceGroups/keys/", "/resourceGroups/rpo-30-min/", 1)
	for _, test := range []struct {
		name, target, now string
		begun, said       reply
		note              string // if the backup is good, by its hashes alone
		fault             fault  // if it is not
	}{
		{
			name: "a malformed SAS, recorded 2026", said: failed("Invalid Request", "BadRequest", malformed),
			note: "Invalid Request: " + malformed,
		},
		{name: "a malformed SAS, recorded 2021", said: refuses(400, "BadRequest", malformed), note: malformed},
		{name: "a malformed SAS, at once", begun: refuses(400, "BadRequest", malformed), note: malformed},
		{name: "a bad request without more words", said: failed("Invalid Request", "BadRequest", ""), note: "Invalid Request"},
		{
			name: "a bad request for another reason", said: failed("Invalid Request", "BadRequest", "No such folder"),
			fault: fault{kind: backup.Refused, code: "BadRequest", message: "Invalid Request: No such folder", hint: "exists"},
		},
		{
			name: "no backup, recorded 2021", said: failed("Invalid backup provided", "", ""),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "Invalid backup provided", hint: "security domain"},
		},
		{
			name: "no backup, in the new form", said: failed("Invalid Request", "BadRequest", "Invalid backup provided"),
			fault: fault{kind: backup.Refused, code: "BadRequest", message: "Invalid backup provided", hint: "security domain"},
		},
		{
			name: "no backup, of an HSM in rpo-30-min", target: named, said: failed("Invalid backup provided", "", ""),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "rpo-30-min", hint: "security domain"},
		},
		{
			name: "words that nobody knows", said: failed("It must be within the last 30 minutes", "", ""),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "30 minutes", hint: "exists"},
		},
		{
			name: "words that nobody knows, after half an hour", now: late, said: failed("It must be a fresh one", "", ""),
			note: "It must be a fresh one",
		},
		{
			name: "words that nobody knows, as the half hour ends, by a list of some seconds before", now: "03:00:04",
			said: failed("It must be a fresh one", "", ""), note: "It must be a fresh one",
		},
		{
			name: "no backup, after half an hour", now: late, said: failed("Invalid backup provided", "", ""),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "Invalid backup provided", hint: "security domain"},
		},
		{name: "our role is gone", said: refuses(403, "AccessDenied", "Not authorized"), note: "Managed HSM Restore"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.now == "" {
				test.now = soon
			}
			if test.begun == nil {
				test.begun = accepted("restore")
			}
			w := looked(test.now, test.begun, test.said)
			a := attempt()
			a.Artifact = folder
			if test.target != "" {
				a.Target = test.target
			}
			proof, err := w.provider().Prove(t.Context(), a, "")
			if err == nil && !proof.Done {
				proof, err = w.provider().Prove(t.Context(), a, proof.Token)
			}
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			must(t, err)
			if !proof.Done || !strings.HasPrefix(proof.Warning, "Verified by its hashes only: ") || !strings.Contains(proof.Warning, test.note) {
				t.Errorf("done %v, warning %q, want %q", proof.Done, proof.Warning, test.note)
			}
		})
	}
}

// TestARestoreReadsByItself checks that a folder is hashed without a request to the HSM.
func TestARestoreReadsByItself(t *testing.T) {
	for _, identity := range []string{"", "sas"} {
		w := looked("09:00:00", nil, nil)
		a := attempt()
		a.Artifact, a.Blocks, a.NotBefore = folder, by(identity), time.Time{}
		v, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
		must(t, err)
		if !v.Done || v.Note != "" || v.SHA256 == "" || len(w.sent) != 2 || w.challenged != 0 {
			t.Errorf("%+v, sent %q", v, w.sent)
		}
	}
}
