package handler

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestARestoreOfThePast checks the answers to a request whose run was pruned, and to questions about it: nothing is restored.
func TestARestoreOfThePast(t *testing.T) {
	d, service, _ := restoreHandler(t, false)
	begun := 0
	service.begin = func() (backup.Operation, error) {
		begun++
		return backup.Operation{Done: true}, nil
	}
	d.send("restore", []byte(orderText))
	for range 5 {
		d.step(t)
	}
	var q struct{ ID string }
	if err := json.Unmarshal([]byte(orderText), &q); err != nil || begun != 1 {
		t.Fatal(err, begun)
	}
	run := read(t, d.call("GET", "/api/restores/"+q.ID, "")).ID
	d.forget(t, q.ID, run)
	d.told(t)
	const words = "the request was carried out, and its run is history: the restore "
	if w := d.send("restore", []byte(orderText)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, want := range []string{"", "message.deadlettered "} { // by the message, and once the host has given it up
		types, data := d.told(t)
		if got := strings.Join(types, " "); got != want+"restore.refused" || !strings.Contains(fmt.Sprint(data[len(data)-1]["reason"]), "code:RequestCarriedOut") ||
			!strings.Contains(fmt.Sprint(data[len(data)-1]["reason"]), words+run) {
			t.Errorf("told %s: %v", got, data)
		}
		if want == "" {
			d.giveUp(t, []byte(orderText))
		}
	}
	for _, text := range []string{orderText, orderText[:len(orderText)-1] + `,"dryRun":true}`} {
		if w := d.call("POST", "/api/restores", text); !strings.Contains(w.Body.String(), "RequestCarriedOut") || !strings.Contains(w.Body.String(), words+run) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	for _, path := range []string{"/api/restores/" + q.ID, "/api/runs/" + q.ID} {
		if w := d.call("GET", path, ""); w.Code != 404 || !strings.Contains(w.Body.String(), words+run) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if d.step(t); begun != 1 {
		t.Errorf("it was restored %d times", begun)
	}
}

// forget leaves the catalog as pruning does, for the restore's run.
func (d *app) forget(t *testing.T, request, run string) {
	t.Helper()
	claim, _, err := d.catalog.Get(t.Context(), backup.RestoreClaimKey(request))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(string(claim.Body), "}") + `,"State":"succeeded","Ended":"2026-01-15T02:30:00Z"}`
	key, err := backup.RunKey(run)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []backup.Write{
		{Op: backup.Replace, Key: claim.Key, ETag: claim.ETag, Body: []byte(text)}, {Op: backup.Delete, Key: key, ETag: "*"},
	} {
		if _, err := d.catalog.Apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheLastPageSaysThatOlderRunsWerePruned, and no other page does.
func TestTheLastPageSaysThatOlderRunsWerePruned(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	d.call("POST", "/api/backups", `{"target":"`+target+`"}`, "Repeatability-Request-ID", "another")
	for _, path := range []string{"/api/runs", "/api/recovery-points"} {
		if w := d.call("GET", path+"?target="+target, ""); w.Code != 200 || strings.Contains(w.Body.String(), "pruned") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	body := backup.Encode(backup.History{Runs: 12, Last: time.Date(2025, 1, 15, 2, 30, 0, 0, time.UTC)})
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: backup.HistoryKey(target), Body: body}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/api/runs": true, "/api/runs?top=1": false, "/api/recovery-points": true} {
		path, query, _ := strings.Cut(path, "?")
		w := d.call("GET", path+"?target="+target+"&"+query, "")
		if got := strings.Contains(w.Body.String(), `"pruned":{"runs":12,"newestCreatedDateTime":"2025-01-15T02:30:00Z"}`); w.Code != 200 || got != want {
			t.Errorf("%s?%s: %d %s", path, query, w.Code, w.Body)
		}
	}
}
