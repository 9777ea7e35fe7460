package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestOneBatch checks that a command asks for one batch, also if requests fail, and that Ctrl-C ends only the waiting.
func TestOneBatch(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := newApp(t, "", func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			return lose(r)
		case 4:
			cancel()
		}
		return true
	})
	code, out, errs := a.run(ctx, "one", "backup", "--plan", "fleet", "--wait")
	id := strings.TrimSpace(out)
	if code != 1 || strings.Count(errs, "trying again in ") != 1 || strings.Count(errs, "2 runs: 2 queued\n") != 1 ||
		!strings.HasSuffix(errs, "stopped; the backup goes on without this command: lifeboat batch "+id+"\n") {
		t.Errorf("%d, %q, %s", code, out, errs)
	}
	code, out, errs = a.run(t.Context(), "", "batch", id)
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "RUN ") || !strings.Contains(lines[2], "  contoso-b  queued") ||
		errs != "plan fleet, NotStarted; 2 runs: 2 queued\n" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	var b struct {
		ID   string
		Runs []struct{ ID string }
	}
	code, out, _ = a.run(t.Context(), "", "batch", id, "--json")
	if err := json.Unmarshal([]byte(out), &b); err != nil || code != 0 || b.ID != id || len(b.Runs) != 2 {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := a.run(t.Context(), "", "runs", target+"-a"); code != 0 || strings.Count(out, "queued") != 1 ||
		!strings.Contains(out, b.Runs[0].ID) {
		t.Errorf("the runs of a target: %d, %s", code, out)
	}
	for _, args := range [][]string{{"backup"}, {"backup", "a", "b"}, {"backup", "--wait"}, {"batch"}, {"batch", ""}, {"health", "x"}} {
		if code, out, errs := a.run(t.Context(), "", args...); code != 2 || out != "" || !strings.Contains(errs, "\nusage: lifeboat ") {
			t.Errorf("%v: %d, %q, %q", args, code, out, errs)
		}
	}
	// An empty name, from a variable that is not set, does not mean all targets.
	if code, out, errs := a.run(t.Context(), "two", "backup", "", "--plan", "fleet"); code != 1 || out != "" ||
		!strings.Contains(errs, "InvalidRequest: \"\" is not a resource ID") {
		t.Errorf("an empty target: %d, %q, %s", code, out, errs)
	}
}

// TestBatchEnds checks that unsuccessful runs are listed with their reasons, and that the exit code is for the whole batch.
func TestBatchEnds(t *testing.T) {
	t.Parallel()
	const runs = `"runs":[{"id":"r1","target":"` + target + `-a","status":"Succeeded","state":"succeeded"},` +
		`{"id":"r2","target":"` + target + `-b","status":"%s","state":"%[2]s"}]`
	for name, c := range map[string]struct {
		code       int
		body, says string
	}{
		"well": {0, `{"id":"b","status":"Succeeded","plan":"p","counts":{"succeeded":2},` + fmt.Sprintf(runs, "Succeeded", "succeeded") + `}`, "2 runs: 2 succeeded\n"},
		"not all": {
			1, `{"id":"b","status":"Failed","plan":"p","counts":{"refused":1,"succeeded":1},"error":{"code":"BatchIncomplete","message":"m",` +
				`"details":[{"code":"HasCORS","message":"Azure's\u001b words","target":"` + target + `-b","details":[{"code":"Hint","message":"Mend it."}]}]},` +
				fmt.Sprintf(runs, "Failed", "refused") + `}`,
			"batch b of plan p is incomplete:\n  contoso-b refused, run r2: HasCORS: Azure's  words   Hint: Mend it.\n",
		},
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, c.body)
			return false
		})
		code, out, errs := a.run(t.Context(), "one", "backup", "--plan", "p", "--wait")
		if code != c.code || out != "b\n" || !strings.HasSuffix(errs, c.says) || strings.Contains(errs, "r1") {
			t.Errorf("%s: %d, %q, %s", name, code, out, errs)
		}
		if code, out, _ := a.run(t.Context(), "one", "backup", "--plan", "p", "--wait", "--json"); code != c.code || strings.TrimSpace(out) != c.body {
			t.Errorf("%s, as JSON: %d, %s", name, code, out)
		}
		if code, out, _ := a.run(t.Context(), "", "batch", "b"); code != 0 || strings.Contains(out, "HasCORS") != (c.code == 1) {
			t.Errorf("%s, afterwards: %d, %s", name, code, out)
		}
	}
}
