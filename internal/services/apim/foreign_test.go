package apim_test

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

// foreignAddress is the fault of an operation under way whose address is on another host: Azure can no longer be asked
// about it.
var foreignAddress = fault{kind: backup.Unobservable, code: "ForeignAddress", message: attacker, hint: "who changed it"}

// TestATokenLeadsNowhereElse checks an attacker who can change a run's row, or answer in Azure's place. The attacker does
// not get the app's token, and cannot report the end of a backup or restore.
func TestATokenLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	id := w.service(t, "foreign", nil)
	a, p := w.attempt(id, "foreign"), w.provider()
	if _, err := p.Prepare(t.Context(), a, ""); err != nil {
		t.Fatal(err)
	}
	o, err := p.Begin(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(token string) string {
		return strings.ReplaceAll(token, "https://management.azure.com/", "https://"+attacker+"/")
	}
	if changed(o.Token) == o.Token {
		t.Fatalf("the token names no host: %s", o.Token)
	}
	_, err = w.provider().Poll(t.Context(), a, changed(o.Token))
	foreignAddress.check(t, err)

	w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
		if x.Phase == fakeazure.Before && strings.Contains(x.Path, "/operation") {
			return fakeazure.Answer(http.StatusTemporaryRedirect, http.Header{"Location": {"https://" + attacker + "/done"}}, nil)
		}
		return fakeazure.Pass
	})
	_, err = w.provider().Poll(t.Context(), a, o.Token)
	foreignAddress.check(t, err)
	w.Intercept(nil)

	for !o.Done { // the operation itself was not touched
		if o, err = w.provider().Poll(t.Context(), a, o.Token); err != nil {
			t.Fatal(err)
		}
	}
	r := backup.Restore{Target: id, Storage: a.Storage, Artifact: a.Artifact, Kind: backup.RestoreFull}
	if o, err = p.BeginRestore(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err = w.provider().PollRestore(t.Context(), r, changed(o.Token))
	foreignAddress.check(t, err)
	for _, c := range w.Calls() {
		if strings.Contains(c.Host, attacker) {
			t.Errorf("asked: %s %s", c.Method, c.Host)
		}
	}
}

// TestALocationLeadsNowhereElse checks an answer to a start that names another host. The start was accepted, and its end
// stays unknown. The provider does ask a regional host of Azure's own.
func TestALocationLeadsNowhereElse(t *testing.T) {
	for _, header := range []string{"Location", "Azure-AsyncOperation", "Operation-Location"} {
		w := &wire{replies: map[step]reply{start: answers(202, "", header+": https://"+attacker+"/1")}}
		o, err := w.provider().Begin(t.Context(), attempt())
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.provider().Poll(t.Context(), attempt(), o.Token)
		foreignAddress.check(t, err)
		w.expect(t, start)
	}
	regional := strings.Replace(operation, "https://", "https://centraluseuap.", 1)
	w := &wire{replies: map[step]reply{start: answers(202, "", "Location: "+regional), poll: settledService}}
	o, err := w.provider().Begin(t.Context(), attempt())
	if err != nil {
		t.Fatal(err)
	}
	if o, err = w.provider().Poll(t.Context(), attempt(), o.Token); err != nil || !o.Done {
		t.Errorf("%+v, %v", o, err)
	}
	if host := w.sent[len(w.sent)-1].URL.Host; host != "centraluseuap.management.azure.com" {
		t.Errorf("asked %s", host)
	}
}

// TestEachRequestSaysWhoAsks checks the requests to every service of Azure. Each request names the program's build, and
// has a unique ID that an error names.
func TestEachRequestSaysWhoAsks(t *testing.T) {
	w := newWorld(t)
	id := w.service(t, "asks", nil)
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
	for _, host := range []string{"management.azure.com", "contosobackups.blob.core.windows.net"} {
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
