package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/restore"
)

// restorable is a service that accepts a restore.
type restorable struct {
	backup.Provider
	backup.Restorer
}

func (restorable) Hash(context.Context, backup.Attempt, backup.Hashing) (backup.Verification, error) {
	return backup.Verification{Done: true, Size: 3 << 20, SHA256: "c0de"}, nil
}

func (restorable) PreflightRestore(context.Context, backup.Restore) error {
	return &backup.Fault{Kind: backup.Retryable, Code: "Updating", Message: "it is\x1b updating"}
}

// restoreApp returns the API over a target with one recovery point, and the point's ID.
func restoreApp(t *testing.T, network func(n int, w http.ResponseWriter, r *http.Request) bool) (*app, string) {
	t.Helper()
	a := newApp(t, "", network)
	_, id, _ := a.run(t.Context(), "first", "backup", target)
	id = id[:17] + "8000000000-000000000000"
	body, err := json.Marshal(backup.Point{
		ID: id, State: backup.Live, Target: target, Plan: "nightly", Size: 3 << 20, SHA256: "c0de",
		Created: time.Now().Add(-27*time.Hour - 5*time.Minute), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: id[:16], Row: "point-" + id[17:]}
	if _, err := a.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	return a, id
}

// TestDryRun checks that a plan first says what is lost, and names the recovery point, and that the exit code says whether a
// restore is allowed.
func TestDryRun(t *testing.T) {
	t.Parallel()
	a, point := restoreApp(t, nil)
	code, out, errs := a.run(t.Context(), "one", "restore", target, "--dry-run")
	at := -1
	for _, want := range []string{
		"restores into    " + target + "\noverwrites       the whole configuration", "\nrecovery point   " + point + ", live\n", ", 1d3h ago\n",
		"\nsize             3.0 MiB\n", "\nallowed by plan  nightly\n", "\nsafety backup    first, and held for 7 days unless confirmed\n", "POST " + target + "/restore\n", "\nGUARD ",
		"\nthe artifact is there, and is the verified one  passed\n", "\nthe destination can take it                     later\n",
		"\nthe destination can take it: Updating: it is  updating\n",
	} {
		i := strings.Index(out, want)
		if i <= at {
			t.Errorf("no %q, or not in its place", want)
		}
		at = i
	}
	if code != 0 || errs != "" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	code, out, errs = a.run(t.Context(), "one", "restore", target, "--into", target+"-b", "--dry-run")
	if code != 1 || errs != "this restore would be refused: DestinationNotAllowed\n" || !strings.Contains(out, "\n\na plan allows it: DestinationNotAllowed: ") ||
		!strings.Contains(out, "  Add it to restore.into of the plan") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	var p restore.Preview
	code, out, _ = a.run(t.Context(), "one", "restore", target, "--dry-run", "--json", "--point", point)
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || p.Point.ID != point {
		t.Errorf("%d, %s", code, out)
	}
	if len(a.queue.Messages("execute")) != 1 { // the backup's
		t.Error("a dry run has made something")
	}
}

// TestOneRestore checks that a command asks for one restore, also if requests fail, and that people can show, cancel and confirm
// it.
func TestOneRestore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, point := restoreApp(t, func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if n == 6 {
			cancel()
		}
		return n != 2 || lose(r)
	})
	environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
	code, out, errs := within(ctx, cli.Shell{Getenv: func(name string) string { return environment[name] }, RequestID: "one", Now: time.Now()},
		"restore", target, "--before", time.Now().UTC().Format(time.RFC3339), "--reason", "a bad\ndeployment",
		"--expires", "2099-01-31T02:30:00Z", "--yes", "--wait")
	id := strings.TrimSpace(out)
	if code != 1 || strings.Count(errs, "trying again in ") != 1 ||
		!strings.HasSuffix(errs, "stopped; the restore goes on without this command: lifeboat run "+id+"\n") {
		t.Errorf("%d, %q, %s", code, out, errs)
	}
	code, out, _ = a.run(t.Context(), "", "run", id)
	for _, want := range []string{
		"scheduled      restore\n", "restores       " + target + "\n", "from           " + point + "\n", "kind           full\n",
		"asked why      a bad deployment\n", "begins until   2099-01-31T02:30:00Z, in 26606d14h\n", "safety backup  none yet: it comes before the restore\n",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d, no %q in\n%s", code, want, out)
		}
	}
	if code, out, _ := a.run(t.Context(), "", "runs", target); code != 0 || strings.Count(out, "  restore  ") != 1 {
		t.Errorf("%d, %s", code, out)
	}
	if code, _, errs := a.run(t.Context(), "", "confirm", id); code != 1 || !strings.Contains(errs, "RestoreNotEnded") {
		t.Errorf("%d, %s", code, errs)
	}
	for range 2 {
		if code, out, errs := a.run(t.Context(), "", "cancel", id); code != 0 || out != id+"  canceled\n" {
			t.Errorf("%d, %s%s", code, out, errs)
		}
	}
	if code, out, _ := a.run(t.Context(), "", "confirm", id, "--json"); code != 0 || !strings.Contains(out, `"canceled"`) {
		t.Errorf("%d, %s", code, out)
	}
	code, out, errs = a.run(t.Context(), "two", "restore", target, "--yes", "--key", "k", "--region", "westeurope", "--reply-to", "answers")
	if code != 1 || out != "" || !strings.Contains(errs, "ReplyToNotAllowed") || !strings.Contains(errs, "Hint: ") {
		t.Errorf("refused: %d, %s%s", code, out, errs)
	}
	// An empty argument, from a variable that is not set, is a mistake, and does not mean the newest, or the target itself.
	for flag, want := range map[string]int{"--point": 1, "--into": 1, "--key": 1, "--before": 2, "--expires": 2} {
		code, out, errs := a.run(t.Context(), "three", "restore", target, "--yes", flag, "")
		if code != want || out != "" || !strings.Contains(errs, map[int]string{1: "InvalidRequest", 2: `lifeboat restore: ` + flag + `: "" is no time: `}[want]) {
			t.Errorf("an empty %s: %d, %s%s", flag, code, out, errs)
		}
	}
	for flag, words := range map[string]string{"--before=tomorrow": "is still to come: ", "--expires=today": "which has passed: "} {
		code, out, errs := a.run(t.Context(), "four", "restore", target, "--yes", flag)
		if code != 2 || out != "" || !strings.Contains(errs, words) {
			t.Errorf("%s: %d, %s%s", flag, code, out, errs)
		}
	}
	for _, args := range [][]string{
		{"restore"},
		{"restore", ""},
		{"restore", target, target},
		{"restore", target, "--point", "a", "--before", "b"},
		{"restore", target, "--dry-run", "--wait"},
		{"restore", target, "--requested-by", "me"},
		{"cancel"},
		{"cancel", ""},
		{"confirm", "a", "b"},
	} {
		if code, out, errs := a.run(t.Context(), "", args...); code != 2 || out != "" || !strings.Contains(errs, "\nusage: lifeboat ") {
			t.Errorf("%v: %d, %q, %q", args, code, out, errs)
		}
	}
}

// TestRestoreSaysHowItEnded checks that the end has the safety backup and the time of its hold, and a failure in Azure's words.
func TestRestoreSaysHowItEnded(t *testing.T) {
	t.Parallel()
	const run = `{"id":"r","kind":"restore","target":"` + target + `","status":"%s","state":"%s","restore":{"kind":"selective","key":"k",` +
		`"recoveryPoint":"p","source":"s","safetyBackup":true,"warning":"one key was there"},` +
		`"error":%s,"recoveryPoint":{"state":"live","safetyBackup":true,"expiresDateTime":"2026-01-02T00:00:00Z","heldUntilDateTime":"2026-01-08T00:00:00Z"}}`
	body := fmt.Sprintf(run, "Failed", "failed", `{"code":"C","message":"Azure's\u001b words"}`)
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, body)
		return false
	})
	code, out, errs := a.run(t.Context(), "one", "restore", target, "--yes", "--wait")
	if code != 1 || out != "r\n" || !strings.HasSuffix(errs, "run r of "+target+" ended failed: C: Azure's  words\n") {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	body = fmt.Sprintf(run, "Succeeded", "succeeded", "null")
	if code, out, _ := a.run(t.Context(), "one", "restore", target, "--yes", "--wait", "--json"); code != 0 || strings.TrimSpace(out) != body {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := a.run(t.Context(), "", "confirm", "r"); code != 0 || out != "r  succeeded; safety backup: held until 2026-01-08T00:00:00Z\n" {
		t.Errorf("%d, %q", code, out)
	}
	// A restore that left something as it was has succeeded, and warns.
	if code, _, errs := a.run(t.Context(), "one", "restore", target, "--yes", "--wait"); code != 0 ||
		!strings.Contains(errs, "\nwarning: one key was there\n") {
		t.Errorf("%d, %s", code, errs)
	}
	live := body
	for kept, want := range map[string]string{
		`{"untilDateTime":"2026-02-01T00:00:00Z"}`: "live, kept by storage until 2026-02-01T00:00:00Z\n",
		`{}`: "live, kept by storage\n",
	} {
		body = strings.Replace(live, `"safetyBackup":true,"expires`, `"keptByStorage":`+kept+`,"safetyBackup":true,"expires`, 1)
		if code, out, _ := a.run(t.Context(), "", "confirm", "r"); code != 0 || out != "r  succeeded; safety backup: "+want {
			t.Errorf("%d, %q", code, out)
		}
	}
	body = live
	_, out, _ = a.run(t.Context(), "", "run", "r")
	for _, want := range []string{"kind           selective k\n", "warning        one key was there\n", "safety backup  held until 2026-01-08"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, body = range []string{"{}", "[]"} {
		if code, out, _ := a.run(t.Context(), "one", "restore", target, "--dry-run"); code != 1 || out != "" {
			t.Errorf("%s: %d, %s", body, code, out)
		}
	}
}

// TestARunThatIsCanceledSaysSo: a restore was canceled while its safety backup runs. Its details say so.
func TestARunThatIsCanceledSaysSo(t *testing.T) {
	const body = `{"id":"r","status":"Running","state":"running","kind":"restore","plan":"p","target":"/a/b/contoso","createdDateTime":"2026-03-28T09:00:00Z",` +
		`"restore":{"recoveryPoint":"q","source":"/a/b/contoso","kind":"full","expiresDateTime":"2026-03-29T09:00:00Z","previewHash":"h","safetyBackup":true,` +
		`"canceledBy":"a person"}}`
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, body)
		return false
	})
	if code, out, errs := a.run(t.Context(), "", "run", "r"); code != 0 || !strings.Contains(out, "cancel") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}
