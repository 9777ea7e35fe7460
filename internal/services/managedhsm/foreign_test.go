package managedhsm_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
)

const attacker = "attacker.example"

// TestATokenLeadsNowhereElse checks an attacker who can change a run's row, or answer in the HSM's place. The attacker
// does not get the app's token, and cannot report the end of a check, a backup or a restore. An address of another HSM is
// foreign too.
func TestATokenLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	id := w.hsm(t, "foreign", nil)
	w.hsm(t, "fabrikam", nil)
	a, p := w.attempt(id, "foreign"), w.provider()
	followed := func(what string, begun backup.Operation, err error, poll func(token string) (backup.Operation, error)) {
		t.Helper()
		must(t, err)
		for _, host := range []string{attacker, "fabrikam.managedhsm.azure.net", "management.azure.com"} {
			changed := strings.ReplaceAll(begun.Token, "foreign.managedhsm.azure.net", host)
			if changed == begun.Token {
				t.Fatalf("%s: the token names no host: %s", what, begun.Token)
			}
			before := len(w.Calls())
			_, err = poll(changed)
			fault{kind: backup.Unobservable, code: "ForeignAddress", message: host, hint: "who changed it"}.check(t, err)
			if n := len(w.Calls()) - before; n != 0 {
				t.Errorf("%s: %d requests were sent with a token for %s", what, n, host)
			}
		}
		w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Phase == fakeazure.Before && strings.HasSuffix(x.Path, "/pending") {
				return fakeazure.Answer(http.StatusTemporaryRedirect, http.Header{"Location": {"https://" + attacker + "/done"}}, nil)
			}
			return fakeazure.Pass
		})
		_, err = poll(begun.Token)
		w.Intercept(nil)
		fault{kind: backup.Unobservable, code: "ForeignAddress", message: attacker, hint: "who changed it"}.check(t, err)
		for o := begun; !o.Done; { // the operation itself was not touched
			o, err = poll(o.Token)
			must(t, err)
			a.Artifact = o.Artifact
		}
	}
	poller := w.provider() // the provider of another process
	o, err := p.Prepare(t.Context(), a, "")
	followed("prepare", o, err, func(token string) (backup.Operation, error) { return poller.Prepare(t.Context(), a, token) })
	o, err = p.Begin(t.Context(), a)
	followed("backup", o, err, func(token string) (backup.Operation, error) { return poller.Poll(t.Context(), a, token) })
	r := backup.Restore{Target: id, Storage: a.Storage, Artifact: a.Artifact, Kind: backup.RestoreFull}
	o, err = p.BeginRestore(t.Context(), r)
	followed("restore", o, err, func(token string) (backup.Operation, error) { return poller.PollRestore(t.Context(), r, token) })
	for _, c := range w.Calls() {
		if strings.Contains(c.Host, attacker) {
			t.Errorf("asked: %s %s", c.Method, c.Host)
		}
	}
}

// TestEachRequestSaysWhoAsks checks the requests to every service of Azure. Each request names the program's build, and
// has a unique ID that an error names.
func TestEachRequestSaysWhoAsks(t *testing.T) {
	w := newWorld(t)
	id := w.hsm(t, "asks", nil)
	p := w.provider()
	var mu sync.Mutex
	hosts, ids := map[string]bool{}, map[string]bool{}
	w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
		if x.Phase != fakeazure.Before || x.ObjectID != w.ObjectID(app) && x.AuthScheme != "SharedKey" {
			return fakeazure.Pass
		}
		mu.Lock()
		defer mu.Unlock()
		agent, asked := x.Header.Get("User-Agent"), x.Header.Get("X-Ms-Client-Request-Id")
		if !strings.HasPrefix(agent, "lifeboat/v1 ") || uuid.Validate(asked) != nil || ids[asked] {
			t.Errorf("%s %s%s of %q with the ID %q, a repeated one: %t", x.Method, x.Host, x.Path, agent, asked, ids[asked])
		}
		hosts[x.Host], ids[asked] = true, true
		return fakeazure.Pass
	})
	a := w.attempt(id, "asks")
	if err := p.Preflight(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_, err := p.Prepare(t.Context(), a, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"management.azure.com", "contosobackups.blob.core.windows.net", "asks.managedhsm.azure.net"} {
		if !hosts[host] {
			t.Errorf("%s was not asked: %v", host, hosts)
		}
	}
	must(t, w.UnassignHSM(id, w.ObjectID(app)))
	_, err = p.Begin(t.Context(), a)
	if f := backup.AsFault(err); f == nil || f.RequestID == "" || !ids[f.RequestID] {
		t.Errorf("the refusal names no request: %+v", f)
	}
}
