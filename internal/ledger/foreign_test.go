package ledger_test

import (
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/sim"
)

const attacker = "attacker.example"

// TestATokenLeadsNowhereElse: whoever can change a run's row, or answer in Azure's place, does not get the app's token, nor its
// word for the end of a backup or restore.
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
		wanted := fault{kind: backup.Denied, code: "ForeignAddress", message: attacker, hint: "who changed it"}
		before := len(w.Calls())
		_, err = poll(changed)
		wanted.check(t, err)
		if n := len(w.Calls()) - before; n != 0 {
			t.Errorf("%s: %d requests were sent", what, n)
		}
		w.Intercept(func(x sim.Exchange) sim.Verdict {
			if x.Phase == sim.Before && strings.Contains(x.Path, "/operationStatuses/") {
				return sim.Answer(http.StatusTemporaryRedirect, http.Header{"Location": {"https://" + attacker + "/done"}}, nil)
			}
			return sim.Pass
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
	poller := w.provider() // of another process
	o, err := p.Begin(t.Context(), a)
	o = followed("backup", o, err, func(token string) (backup.Operation, error) { return poller.Poll(t.Context(), a, token) })
	must(t, w.DeleteLedger(id))
	r := backup.Restore{
		Target: id, Storage: a.Storage, Artifact: o.Artifact, Kind: backup.RestoreFull, CCF: backup.CCF{RestoreRegion: "westeurope"},
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
