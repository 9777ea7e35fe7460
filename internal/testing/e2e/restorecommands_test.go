package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestRestoreFromAShell: a person uses the API and the commands for restores. They make a dry run first, request a restore
// while a backup holds the service, cancel it, restore, and confirm.
func TestRestoreFromAShell(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	target, closed := stack.Service(services[0]), stack.Service(services[1])
	tune(t, services[0], func(k *fakeazure.Options) { k.Shortest = time.Minute })
	plan := planFor(yearly, "1d", services[0]) + "    restore: {into: [itself], safetyBackup: true}\n" +
		"  - name: closed\n    schedule: \"" + yearly + "\"\n    keep: {within: 1d}\n    targets: [" + closed + "]\n"
	a := newApp(t, stack.AppConfig{Plan: plan})
	point := a.recoverable(ctx, t, target)
	lifeboat := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), args...)
		t.Logf("lifeboat %s\n%s%s", strings.Join(args, " "), out, errs)
		if code != want {
			t.Fatalf("exit code %d, want %d", code, want)
		}
		return out, errs
	}
	wants := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%q is not in %s", w, text)
			}
		}
	}
	type restore struct {
		ID, State, Status, Hash string
		Error                   struct{ Code string }
		Restore                 struct{ RecoveryPoint, Reason string }
	}
	call := func(want int, method, path, body string, header map[string]string) (r restore, response *http.Response) {
		t.Helper()
		response, said, err := a.request(ctx, method, path, body, header)
		if err != nil || response.StatusCode != want || json.Unmarshal(said, &r) != nil {
			t.Fatalf("%s %s: %v, %v\n%s", method, path, response, err, said)
		}
		return r, response
	}

	// The first command is a dry run.
	out, _ := lifeboat(0, "restore", target, "--dry-run")
	wants(out, "overwrites", target+"/restore", target+"/backup", point.ID, "first, and held for 7 days", "passed")
	dry := `{"id":"look","target":"` + target + `","recoveryPoint":"latest","dryRun":true}`
	if looked, _ := call(200, "POST", "/api/restores", dry, nil); looked.Hash == "" {
		t.Errorf("the dry run says %+v", looked)
	}
	lifeboat(1, "restore", closed, "--dry-run")
	_, errs := lifeboat(1, "restore", closed, "--yes")
	wants(errs, "DestinationNotAllowed")
	ask := `{"target":"` + target + `","recoveryPoint":"` + point.ID + `","reason":"a bad deployment"}`
	header := map[string]string{"Repeatability-Request-ID": "incident-1"}
	call(409, "POST", "/api/restores", strings.Replace(ask, target, closed, 1), nil)

	// A backup holds the service: the restore waits for it, and is canceled.
	tune(t, services[0], func(k *fakeazure.Options) { k.Shortest = 20 * time.Minute })
	held, err := a.backupOf(ctx, target, "held")
	if err != nil {
		t.Fatal(err)
	}
	for !busy(target) && ctx.Err() == nil {
		pause(ctx)
	}
	asked, response := call(202, "POST", "/api/restores", ask, header)
	operation := strings.TrimPrefix(response.Header.Get("Operation-Location"), a.URL())
	if operation != "/api/restores/"+asked.ID || asked.Restore.RecoveryPoint != point.ID {
		t.Fatalf("%v: %+v", response.Header, asked)
	}
	if again, _ := call(202, "POST", "/api/restores", ask, header); again.ID != asked.ID {
		t.Errorf("the same request made %s and %s", asked.ID, again.ID)
	}
	other, _ := call(409, "POST", "/api/restores", strings.Replace(ask, "bad", "worse", 1), header)
	if other.Error.Code == "" {
		t.Errorf("another request under the same ID: %+v", other)
	}
	for {
		if now, _ := call(202, "GET", operation, "", nil); now.State == string(backup.Waiting) {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the restore does not wait for the backup")
		}
		pause(ctx)
	}
	call(409, "POST", operation+"/confirm", "", nil)
	for range 2 {
		if canceled, _ := call(200, "POST", operation+"/cancel", "", nil); canceled.State != string(backup.Canceled) {
			t.Errorf("canceled: %+v", canceled)
		}
	}
	if now, _ := call(200, "GET", operation, "", nil); now.Status != "Canceled" {
		t.Errorf("after it was canceled: %+v", now)
	}
	tune(t, services[0], func(k *fakeazure.Options) { k.Shortest = time.Minute })
	if status, err := a.await(ctx, held); err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
	}
	if n := restoresSent(target); n != 0 {
		t.Fatalf("%d requests for a restore before one was wanted", n)
	}

	// The restore runs for good, and is confirmed.
	out, errs = lifeboat(0, "restore", target, "--point", point.ID, "--reason", "a bad deployment", "--yes", "--wait")
	id := strings.TrimSpace(out)
	wants(errs, "  safety backup ", "  restore running", "succeeded", "; took ")
	if n := restoresSent(target); n != 1 {
		t.Errorf("%d requests for a restore", n)
	}
	out, _ = lifeboat(0, "run", id)
	wants(out, point.ID, "a bad deployment")
	_, errs = lifeboat(1, "cancel", id)
	wants(errs, "RestoreNotWaiting")
	for confirmed := range 2 {
		safety, err := a.engine.RecoveryPoint(ctx, id)
		if err != nil || !safety.Safety || (confirmed == 0) == safety.Held.Until.IsZero() {
			t.Errorf("the safety backup is %+v, %v", safety, err)
		}
		out, _ = lifeboat(0, "confirm", id)
		wants(out, "safety backup")
	}
	call(404, "GET", "/api/restores/"+point.ID, "", nil)

	// The next restore brings back the overwritten state, by the ID of its safety backup.
	lifeboat(0, "restore", target, "--point", id, "--yes", "--wait")
	if n := restoresSent(target); n != 2 {
		t.Errorf("%d requests for a restore", n)
	}
}
