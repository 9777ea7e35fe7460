package handler

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// followable checks an answer about the operation at the path against the rules that all of Azure's pollers read alike.
func followable(t *testing.T, what, operation string, w *httptest.ResponseRecorder, status string) {
	t.Helper()
	var said struct {
		Status string
		Error  *struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
		t.Fatalf("%s: %d %s", what, w.Code, w.Body)
	}
	under := map[bool]int{true: 200, false: 202}[status == "Succeeded" || status == "Failed" || status == "Canceled"]
	if w.Code != under || said.Status != status {
		t.Errorf("%s: %d %s, want %d %s", what, w.Code, said.Status, under, status)
	}
	for _, name := range []string{"Operation-Location", "Azure-AsyncOperation", "Location"} {
		want := map[bool]string{true: "http://127.0.0.1:8080" + operation}[w.Code == 202]
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %d with %s %q, want %q", what, w.Code, name, got, want)
		}
	}
	after, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if (err == nil && after >= 1 && after <= 60) != (w.Code == 202) {
		t.Errorf("%s: %d with Retry-After %q", what, w.Code, w.Header().Get("Retry-After"))
	}
	if failed := status == "Failed" || status == "Canceled"; failed && (said.Error == nil || said.Error.Code == "" || said.Error.Message == "") {
		t.Errorf("%s: %s without code and message: %s", what, status, w.Body)
	}
}

// TestOperationsAreReadAlikeByAllPollers checks for a 202 with all three headers while the operation runs, and for a 200 with the
// final status at the end. A repeated request gets a 202 without the final status even if the operation has ended.
func TestOperationsAreReadAlikeByAllPollers(t *testing.T) {
	body := `{"target":"` + target + `"}`
	busy := func() error {
		return &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "it is updating"}
	}
	for _, c := range []struct {
		name, collection, body string
		provider               bool
		can                    func() error
		cancel                 bool
		end                    string
	}{
		{name: "a backup that fails", collection: "runs", body: body, end: "Failed"},
		{name: "a backup that succeeds", collection: "runs", body: body, provider: true, end: "Succeeded"},
		{name: "a batch that fails", collection: "batches", body: `{"plan":"nightly"}`, end: "Failed"},
		{name: "a batch that succeeds", collection: "batches", body: `{"plan":"nightly"}`, provider: true, end: "Succeeded"},
		{name: "a restore that succeeds", collection: "restores", body: orderText, provider: true, end: "Succeeded"},
		{name: "a restore that is canceled", collection: "restores", body: orderText, provider: true, can: busy, cancel: true, end: "Canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newApp(nil)
			if c.provider {
				var service *restoring
				d, service, _ = restoreHandler(t, false)
				service.can = c.can
			}
			path := "/api/backups"
			if c.collection == "restores" {
				path = "/api/restores"
			}
			ask := func() *httptest.ResponseRecorder {
				return d.call("POST", path, c.body, "Repeatability-Request-ID", "one")
			}
			first := ask()
			operation := "/api/" + c.collection + "/" + read(t, first).ID
			followable(t, "asked", operation, first, "NotStarted")
			followable(t, "under way", operation, d.call("GET", operation, ""), "NotStarted")
			followable(t, "repeated while under way", operation, ask(), "NotStarted")
			if c.cancel {
				d.call("POST", operation+"/cancel", "")
			}
			for range 10 { // one step an invocation
				d.step(t)
			}
			followable(t, "ended", operation, d.call("GET", operation, ""), c.end)
			followable(t, "repeated after the end", operation, ask(), "Running")
			followable(t, "ended, asked again", operation, d.call("GET", operation, ""), c.end)
		})
	}
}

// TestEveryFailureHasWords checks code and message of each error: JavaScript's pollers report nothing if one of them is missing.
func TestEveryFailureHasWords(t *testing.T) {
	for _, state := range slices.Sorted(maps.Keys(statuses)) {
		for _, why := range []backup.Reason{{}, {Code: "C"}, {Message: "m"}, {Code: "C", Message: "m"}} {
			run := backup.Run{State: state, Reason: why, Ended: time.Now()}
			bad := state.Final() && state != backup.Succeeded
			v := (&handler{Config: Config{Engine: &engine.Engine{}}}).view(engine.Status{Run: run})
			if (v.Error != nil) != bad || bad && (v.Error.Code == "" || v.Error.Message == "" || !strings.Contains(v.Error.Message, why.Message)) {
				t.Errorf("a run that is %s for %+v: %+v", state, why, v.Error)
			}
			b := viewBatch(engine.Batch{Plan: "p", Runs: []backup.Run{run, {State: backup.Succeeded, Ended: run.Ended}}}, "")
			if (b.Error != nil) != bad || (b.Status == "Failed") != bad || bad && (len(b.Error.Details) != 1 || b.Error.Details[0].Message == "") {
				t.Errorf("a batch with one that is %s for %+v: %+v", state, why, b)
			}
		}
	}
}

// TestRetryAfterIsWithinWhatPollersTake checks that it is at least a second, as some take 0 for none, and at most a minute, as
// others end on more.
func TestRetryAfterIsWithinWhatPollersTake(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{-time.Hour, "1"},
		{0, "1"},
		{999 * time.Millisecond, "1"},
		{1900 * time.Millisecond, "1"},
		{59 * time.Second, "59"},
		{time.Minute, "60"},
		{61 * time.Second, "60"},
		{7 * 24 * time.Hour, "60"},
	} {
		w := httptest.NewRecorder()
		new(handler).underWay(w, httptest.NewRequest("GET", "/api/runs/x", nil), "/api/runs/x", c.after, struct{}{})
		if got := w.Header().Get("Retry-After"); got != c.want {
			t.Errorf("%s: %q, want %q", c.after, got, c.want)
		}
	}
}
