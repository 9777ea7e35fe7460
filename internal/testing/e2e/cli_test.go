package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// command runs the real program with arguments, as a person would.
func command(ctx context.Context, t *testing.T, url, key string, args ...string) (code int, out, errs string) {
	t.Helper()
	return commandIn(ctx, t, []string{"PATH=" + os.Getenv("PATH"), "LIFEBOAT_URL=" + url, "LIFEBOAT_KEY=" + key}, key, args...)
}

// commandIn runs the program with this environment, and checks that it keeps the secret.
func commandIn(ctx context.Context, t *testing.T, env []string, secret string, args ...string) (code int, out, errs string) {
	t.Helper()
	c := exec.CommandContext(ctx, world.Binary, args...)
	c.Env = env
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !ended.Exited()) {
		t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	if secret != "" && strings.Contains(stdout.String()+stderr.String(), secret) {
		t.Errorf("%v prints the key:\n%s%s", args, &stdout, &stderr)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	good, bad := stack.Service(services[0]), stack.Service(services[1])
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...)})
	lifeboat := func(args ...string) (code int, out, errs string) {
		t.Helper()
		return command(ctx, t, a.URL(), a.Key("api"), args...)
	}

	// The backup succeeds: its ID is on stdout, its progress on stderr.
	code, out, errs := lifeboat("backup", good, "--wait")
	id := strings.TrimSpace(out)
	if code != 0 || strings.ContainsAny(id, " \n") || !strings.Contains(errs, "  running") ||
		!strings.Contains(errs, "  succeeded: ") || !strings.Contains(errs, ", kept until ") {
		t.Fatalf("a good backup: %d, %q, %s", code, out, errs)
	}
	t.Logf("backup --wait\n%s%s", out, errs)

	// The backup fails: Azure's own words, and exit code 1; as JSON the run is on stdout all the same.
	fault := fakeazure.Fault{
		Kind: fakeazure.FailOperation, Status: http.StatusBadRequest, Code: "InvalidParameters",
		Message: "Azure's own words about it",
	}
	inject(t, services[1], fault)
	code, out, errs = lifeboat("backup", "--wait", "--json", bad)
	var failed backupRun
	if err := json.Unmarshal([]byte(out), &failed); err != nil || code != 1 || failed.State != "failed" ||
		!strings.Contains(errs, "run "+failed.ID+" of "+bad+" ended failed: InvalidParameters: ") ||
		!strings.Contains(errs, fault.Message) {
		t.Errorf("a failing backup: %d, %v, %s, %s", code, err, out, errs)
	}

	// This command does not wait for its backup.
	code, out, errs = lifeboat("backup", good, "--plan", "test")
	if code != 0 || errs != "" {
		t.Fatalf("a backup without --wait: %d, %s", code, errs)
	}
	second := strings.TrimSpace(out)
	if _, err := a.await(ctx, second); err != nil {
		t.Fatal(err)
	}

	// The command prints the history, newest first.
	code, out, errs = lifeboat("runs", services[0]) // by its name
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || len(lines) != 3 || !strings.HasPrefix(lines[0], "RUN ") ||
		!strings.HasPrefix(lines[1], second+"  succeeded  test  by hand ") || !strings.HasPrefix(lines[2], id+"  succeeded ") {
		t.Errorf("the table: %d, %s\n%s", code, errs, out)
	}
	t.Logf("runs\n%s", out)
	for _, c := range []struct {
		args []string
		runs []string
		more bool
	}{
		{[]string{"runs", good, "--json"}, []string{second, id}, false},
		{[]string{"runs", good, "--json", "--top", "1"}, []string{second}, true},
		{[]string{"runs", good, "--json", "--all", "--top=1"}, []string{second, id}, false},
	} {
		var page struct {
			Value    []backupRun
			NextLink string
		}
		code, out, errs := lifeboat(c.args...)
		if err := json.Unmarshal([]byte(out), &page); err != nil || code != 0 || errs != "" ||
			len(page.Value) != len(c.runs) || (page.NextLink != "") != c.more {
			t.Errorf("%v: %d, %v, %s\n%s", c.args, code, err, errs, out)
			continue
		}
		for i, run := range page.Value {
			if run.ID != c.runs[i] {
				t.Errorf("%v: run %d is %s, want %s", c.args, i, run.ID, c.runs[i])
			}
		}
	}
	if code, out, errs := lifeboat("runs", good, "--top", "1"); code != 0 || !strings.Contains(errs, "--all") ||
		strings.Contains(out, id) {
		t.Errorf("a part of the history: %d, %s\n%s", code, errs, out)
	}

	// The command prints one run in detail.
	if code, out, errs := lifeboat("run", id); code != 0 || errs != "" || !strings.Contains(out, good) ||
		!strings.Contains(out, "sha256 ") || !strings.Contains(out, "not included ") || !strings.Contains(out, "kept until ") {
		t.Errorf("a run: %d, %s\n%s", code, errs, out)
	} else {
		t.Logf("run\n%s", out)
	}
	if code, out, _ := lifeboat("run", failed.ID); code != 0 || !strings.Contains(out, "InvalidParameters: ") {
		t.Errorf("a failed run: %d\n%s", code, out)
	}
	var detail backupRun
	code, out, _ = lifeboat("run", id, "--json")
	if err := json.Unmarshal([]byte(out), &detail); err != nil || code != 0 || detail.ID != id {
		t.Errorf("a run as JSON: %d\n%s", code, out)
	}

	// The command backs up all targets of the plan: the batch succeeds, and then it does not.
	code, out, errs = lifeboat("backup", "--plan", "test", "--wait")
	batch := strings.TrimSpace(out)
	if code != 0 || strings.ContainsAny(batch, " \n") || !strings.Contains(errs, "2 runs: 2 succeeded; took ") {
		t.Errorf("a good batch: %d, %q, %s", code, out, errs)
	}
	t.Logf("backup --plan --wait\n%s%s", out, errs)
	inject(t, services[1], fault)
	code, out, errs = lifeboat("backup", "--plan", "test", "--wait", "--json")
	var whole backupBatch
	if err := json.Unmarshal([]byte(out), &whole); err != nil || code != 1 || whole.Status != "Failed" || whole.ID == batch ||
		!strings.Contains(errs, "batch "+whole.ID+" of plan test is incomplete:\n  "+services[1]+" failed, run ") ||
		!strings.Contains(errs, fault.Message) || strings.Contains(errs, services[0]) {
		t.Errorf("a batch with a failing backup: %d, %v, %s, %s", code, err, out, errs)
	}
	code, out, errs = lifeboat("batch", whole.ID)
	lines = strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 || !strings.Contains(lines[1], "  "+services[0]+"  succeeded") ||
		!strings.HasSuffix(lines[2], "  "+services[1]+"  failed     InvalidParameters") {
		t.Errorf("a batch: %d, %s\n%s", code, errs, out)
	}
	t.Logf("batch\n%s%s", out, errs)

	// The command prints the health of all targets: the key of the function api does not open the function health.
	code, out, errs = command(ctx, t, a.URL(), a.Key("health"), "health")
	lines = strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || len(lines) != 3 || !strings.HasPrefix(lines[1], services[0]) && !strings.HasPrefix(lines[1], services[1]) || !strings.Contains(lines[1], "  protected  ") {
		t.Errorf("health: %d, %s\n%s", code, errs, out)
	}
	t.Logf("health\n%s", out)
	if code, out, errs := lifeboat("health"); code != 1 || out != "" || !strings.Contains(errs, "is not a key of this app's function health") {
		t.Errorf("health with another key: %d, %s%s", code, out, errs)
	}

	// An error says where it happened and why.
	url, key := a.URL(), a.Key("api")
	for name, c := range map[string]struct {
		url, key string
		args     []string
		code     int
		says     string
	}{
		"wrong key":      {url, "wrong-key", []string{"runs", good}, 1, "401 Unauthorized: LIFEBOAT_KEY is not a key"},
		"wrong URL":      {"http://127.0.0.1:1", "k3y", []string{"runs", good}, 1, "GET http://127.0.0.1:1/api/runs: dial tcp"},
		"no settings":    {"", "", []string{"runs", good}, 2, "set LIFEBOAT_URL"},
		"unknown target": {url, key, []string{"backup", good + "x"}, 1, "UnknownTarget: no plan has the target " + good + "x"},
		"no such name":   {url, key, []string{"runs", "nothing-like-it"}, 1, `no target is called "nothing-like-it": lifeboat health lists the targets`},
		"no resource ID": {url, key, []string{"runs", "/contoso"}, 1, "InvalidTarget: "},
		"unknown plan":   {url, key, []string{"backup", good, "--plan", "x"}, 1, `UnknownPlan: there is no plan "x"`},
		"unknown batch":  {url, key, []string{"batch", "x"}, 1, "BatchNotFound: there is no batch x"},
		"no such plan":   {url, key, []string{"backup", "--plan", "x"}, 1, `UnknownPlan: there is no plan "x"`},
		"unknown run":    {url, key, []string{"run", id + "0"}, 1, "RunNotFound: there is no run " + id + "0"},
		"no target":      {url, key, []string{"backup", "--wait"}, 2, "usage:"},
		"unknown flag":   {url, key, []string{"runs", good, "--key", "x"}, 2, "usage:"},
	} {
		code, out, errs := command(ctx, t, c.url, c.key, c.args...)
		if code != c.code || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d, %q, %s", name, code, out, errs)
		}
	}
}
