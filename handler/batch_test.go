package handler

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// fleetHandler is a handler whose plan has three targets, and its plans, which a test can edit.
func fleetHandler(t *testing.T) (*app, []backup.Plan) {
	t.Helper()
	d := newApp(nil)
	plans, err := d.plans()
	if err != nil {
		t.Fatal(err)
	}
	plans[0].Targets = []string{target + "-a", target + "-b", target + "-c"}
	d.plans = func() ([]backup.Plan, error) { return plans, nil }
	return d, plans
}

// askAll asks for a batch, and checks the headers of the answer.
func (d *app) askAll(t *testing.T, id string) (api.Batch, *httptest.ResponseRecorder) {
	t.Helper()
	w := d.call("POST", "/api/backups", `{"plan":"nightly"}`, "Repeatability-Request-ID", id)
	var b api.Batch
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || w.Code != 202 || strings.Contains(w.Body.String(), `"0001-01-01`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if where := w.Header().Get("Operation-Location"); where != "http://127.0.0.1:8080/api/batches/"+b.ID ||
		where != w.Header().Get("Location") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%v of batch %s", w.Header(), b.ID)
	}
	return b, w
}

func TestBatch(t *testing.T) {
	d, _ := fleetHandler(t)
	b, _ := d.askAll(t, "one")
	if b.Status != "NotStarted" || b.Plan != "nightly" || b.Request != "one" || b.Counts[backup.Queued] != 3 || len(b.Runs) != 3 {
		t.Errorf("%+v", b)
	}
	lines := d.lines(t)
	if len(lines) != 1 || lines[0]["batch"] != b.ID || lines[0]["plan"] != "nightly" || lines[0]["runs"] != 3.0 {
		t.Errorf("logs %v", lines)
	}
	where := "/api/batches/" + b.ID
	if w := d.call("GET", where, ""); w.Code != 202 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("under way: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for i, r := range b.Runs {
		w := d.call("GET", strings.TrimPrefix(r.Href, "http://127.0.0.1:8080"), "")
		if w.Code != 202 || !strings.Contains(w.Body.String(), `"target":"`+target+"-"+string(rune('a'+i))+`"`) {
			t.Errorf("run %+v: %d %s", r, w.Code, w.Body)
		}
	}
	// There is no provider here: each step ends its run, and says so.
	for i, m := range d.queue.Messages("execute") {
		data := `{"Data":{"message":"` + base64.StdEncoding.EncodeToString(m.Body) + `"},"Metadata":{}}`
		if w := d.call("POST", "/execute", data); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w := d.call("GET", where, ""); (w.Code == 200) != (i == 2) {
			t.Errorf("with %d runs ended: %d", i+1, w.Code)
		}
	}
	w := d.call("GET", where, "")
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if b.Status != "Failed" || b.Ended.IsZero() || b.Error == nil || b.Error.Code != "BatchIncomplete" || len(b.Error.Details) != 3 ||
		b.Error.Details[2].Code != "NoProvider" || b.Error.Details[2].Target != target+"-c" || w.Header().Get("Retry-After") != "" {
		t.Errorf("ended: %s", w.Body)
	}
	if _, w := d.askAll(t, "one"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("a repeat after the end is told to wait %s s", w.Header().Get("Retry-After"))
	}
}

// TestBatchStatus checks Azure's word for the whole batch.
func TestBatchStatus(t *testing.T) {
	for name, c := range map[string]struct {
		states []backup.State
		status string
	}{
		"nothing has begun":     {[]backup.State{backup.Queued, backup.Waiting}, "NotStarted"},
		"one is not made yet":   {[]backup.State{"", backup.Queued}, "NotStarted"},
		"one has begun":         {[]backup.State{backup.Queued, backup.Starting}, "Running"},
		"one has ended":         {[]backup.State{backup.Queued, backup.Succeeded}, "Running"},
		"one failed, one waits": {[]backup.State{backup.Failed, backup.Waiting}, "Running"},
		"all is well":           {[]backup.State{backup.Succeeded, backup.Succeeded}, "Succeeded"},
		"one is not known":      {[]backup.State{backup.Succeeded, backup.Unknown}, "Failed"},
		"one was refused":       {[]backup.State{backup.StateRefused, backup.Succeeded}, "Failed"},
	} {
		b := engine.Batch{}
		for _, s := range c.states {
			b.Runs = append(b.Runs, backup.Run{State: s, Ended: time.Now()})
		}
		v := viewBatch(b, "")
		ended := c.status == "Succeeded" || c.status == "Failed"
		if v.Status != c.status || (!v.Ended.IsZero()) != ended || (v.Error != nil) != (c.status == "Failed") {
			t.Errorf("%s: %+v", name, v)
		}
		if v.Error != nil && (len(v.Error.Details) != 1 || v.Error.Details[0].Code == "") {
			t.Errorf("%s: %+v", name, v.Error)
		}
	}
}

// TestBatchWait checks that a caller that waits for many runs does not ask every second.
func TestBatchWait(t *testing.T) {
	now := time.Now()
	for runs, want := range map[int]time.Duration{1: 30 * time.Second, 600: 30 * time.Second, 1000: 50 * time.Second, 5000: time.Minute} {
		b := engine.Batch{Runs: make([]backup.Run, runs)}
		for i := range b.Runs {
			b.Runs[i] = backup.Run{State: backup.Running, Due: now.Add(30 * time.Second)}
		}
		if got := batchWait(b, now); got != want {
			t.Errorf("%d runs: %s, want %s", runs, got, want)
		}
	}
}

// TestRepeatedBatch checks that a repeat gets the batch of the first claim, even when the plan is gone, and that no other
// request can have its ID.
func TestRepeatedBatch(t *testing.T) {
	d, plans := fleetHandler(t)
	b, _ := d.askAll(t, "one")
	// The book has this very slice, so the edit has an effect at once.
	plans[0].Targets = plans[0].Targets[:1]
	if again, _ := d.askAll(t, "one"); again.ID != b.ID || len(again.Runs) != 3 {
		t.Errorf("after an edit: %+v", again)
	}
	plans[0].Name = "renamed"
	if again, _ := d.askAll(t, "one"); again.ID != b.ID || len(again.Runs) != 3 {
		t.Errorf("after the plan went: %+v", again)
	}
	for name, c := range map[string]struct {
		body, id string
		status   int
		code     string
	}{
		"a plan that is gone":  {`{"plan":"nightly"}`, "two", 400, "UnknownPlan"},
		"another plan":         {`{"plan":"renamed"}`, "one", 409, "RequestIdReused"},
		"one target":           {`{"plan":"renamed","target":"` + target + `-a"}`, "one", 409, "RequestIdReused"},
		"an empty target":      {`{"plan":"renamed","target":""}`, "three", 400, "InvalidRequest"},
		"neither":              {`{}`, "four", 400, "InvalidRequest"},
		"no target and a typo": {`{"plan":"renamed","tarket":"x"}`, "five", 400, "InvalidRequest"},
		"a name twice":         {`{"plan":"renamed","plan":"nightly"}`, "six", 400, "InvalidRequest"},
		"another case":         {`{"Plan":"renamed"}`, "seven", 400, "InvalidRequest"},
	} {
		w := d.call("POST", "/api/backups", c.body, "Repeatability-Request-ID", c.id)
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if n := len(d.queue.Messages("execute")); n != 3 {
		t.Errorf("%d step messages, want one for each run", n)
	}
	for _, id := range []string{"x", b.Runs[0].ID, strings.Repeat("0", 32)} {
		if w := d.call("GET", "/api/batches/"+id, ""); w.Code != 404 || !strings.Contains(w.Body.String(), "BatchNotFound") {
			t.Errorf("batch %s: %d %s", id, w.Code, w.Body)
		}
	}
	if w := d.call("POST", "/api/batches/"+b.ID, "{}"); w.Code != 405 || w.Header().Get("Allow") != "GET" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
