package ledger_test

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

// TestATokenLeadsNowhereElse checks an attacker who can change a run's row, or answer in Azure's place. The attacker does
// not get the app's token, and cannot report the end of a backup or restore.
func TestATokenLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	id := w.add(t, ccfs+"foreign", nil)
	a, p := w.attempt(id), w.provider()
	followed := func(what string, begun backup.Operation, err error, poll func(token string) (backup.Operation, error)) (end backup.Operation) {
		t.Helper()
		must(t, err)
		changed := strings.ReplaceAll(begun.Token, "https://management.azure.com/", "https://"+attacker+"/")
		if changed == begun.Token {
			t.Fatalf("%s: the token names no host: %s", what, begun.Token)
		}
		wanted := fault{kind: backup.Unobservable, code: "ForeignAddress", message: attacker, hint: "who changed it"}
		before := len(w.Calls())
		_, err = poll(changed)
		wanted.check(t, err)
		if n := len(w.Calls()) - before; n != 0 {
			t.Errorf("%s: %d requests were sent", what, n)
		}
		w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Phase == fakeazure.Before && strings.Contains(x.Path, "/operationStatuses/") {
				return fakeazure.Answer(http.StatusTemporaryRedirect, http.Header{"Location": {"https://" + attacker + "/done"}}, nil)
			}
			return fakeazure.Pass
		})
		_, err = poll(begun.Token)
		w.Intercept(nil)
		wanted.check(t, err)
		for end = begun; !end.Done; { // the operation itself was not touched
			end, err = poll(end.Token)
			must(t, err)
		}
		return end
	}
	poller := w.provider() // the provider of another process
	o, err := p.Begin(t.Context(), a)
	o = followed("backup", o, err, func(token string) (backup.Operation, error) { return poller.Poll(t.Context(), a, token) })
	must(t, w.DeleteLedger(id))
	r := backup.Restore{
		Target: id, Storage: a.Storage, Artifact: o.Artifact, Kind: backup.RestoreFull, Region: "westeurope",
	}
	begin := func() (backup.Operation, error) {
		for {
			o, err := p.BeginRestore(t.Context(), r)
			if f := backup.AsFault(err); f == nil || f.Code != "OriginalExists" { // as long as it is being deleted
				return o, err
			}
		}
	}
	o, err = begin()
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
	id := w.add(t, ccfs+"asks", nil)
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
	a := w.attempt(id)
	if err := p.Preflight(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_, err := p.Prepare(t.Context(), a, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"management.azure.com", "contosobackups.file.core.windows.net"} {
		if !hosts[host] {
			t.Errorf("%s was not asked: %v", host, hosts)
		}
	}
	w.Unassign(w.ObjectID(app), id)
	_, err = p.Begin(t.Context(), a)
	if f := backup.AsFault(err); f == nil || f.RequestID == "" || !ids[f.RequestID] {
		t.Errorf("the refusal names no request: %+v", f)
	}
}
