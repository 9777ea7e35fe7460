package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestHSMFromAShell: a person uses the commands for a Managed HSM and an API Management service of the same plan. They check
// whether it can be backed up, make a batch of both, and read its history, the reason of a failed backup, the missing proof,
// and its health.
func TestHSMFromAShell(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service)})
	hsm, faceless := newHSM(t, a), newHSM(t, a)
	if err := world.Sim.AddHSM(fakeazure.HSM{ResourceID: faceless}); err != nil { // no identity that could write the backup
		t.Fatal(err)
	}
	world.Sim.Assign(world.Sim.ObjectID(a.config.Name), stack.Scope, fakeazure.Reader)
	both := planOf(yearly, "1d", stack.Service(service), hsm)
	if err := a.edit(both); err != nil {
		t.Fatal(err)
	}
	name := func(target string) string { return target[strings.LastIndex(target, "/")+1:] }
	lifeboat := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), args...)
		t.Logf("lifeboat %s\n%s%s", strings.Join(args, " "), out, errs)
		if code != want {
			t.Fatalf("exit code %d, want %d", code, want)
		}
		return out, errs
	}
	wants := func(what, text string, words ...string) {
		t.Helper()
		squeezed := strings.Join(strings.Fields(text), " ")
		for _, w := range words {
			if !strings.Contains(squeezed, w) {
				t.Errorf("%s lacks %q", what, w)
			}
		}
	}

	// The command checks whether they could be backed up.
	file := filepath.Join(t.TempDir(), "plan.yaml")
	for _, c := range []struct {
		plan  string
		code  int
		words []string
	}{
		{both, 0, []string{service + " test warning SameRegion", name(hsm) + " test warning SameRegion"}},
		{planOf(yearly, "1d", hsm, faceless), 1, []string{
			name(hsm) + " test warning SameRegion", name(faceless) + " test refused NoUserIdentity", "az keyvault update-hsm",
		}},
	} {
		if err := os.WriteFile(file, []byte(c.plan), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := commandIn(ctx, t, world.Environment(a.config.Name), "", "plan", "check", "--live", file)
		t.Logf("plan check --live\n%s%s", out, errs)
		if code != c.code {
			t.Errorf("plan check --live: exit code %d, want %d", code, c.code)
		}
		wants("plan check --live", out, c.words...)
	}

	// The command backs up both in one batch, and prints the history of the HSM.
	batch, errs := lifeboat(0, "backup", "--plan", "test", "--wait")
	wants("the batch", errs, "2 runs: 2 succeeded")
	out, _ := lifeboat(0, "batch", strings.TrimSpace(batch))
	wants("the batch", out, service+" succeeded", name(hsm)+" succeeded")
	out, _ = lifeboat(0, "points", hsm)
	wants("points", out, " live ", " KiB ", " test")
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	out, _ = lifeboat(0, "run", id)
	wants("the run", out, hsm, "mhsm-"+name(hsm)+"-", "sha256 ", "the security domain, without which no backup can be restored")
	if strings.Contains(out, "hashes only") {
		t.Error("the HSM could have proven the backup, and it does not count")
	}

	// A failed backup has its reason only in statusDetails.
	if err := world.Sim.Inject(hsm, fakeazure.Fault{Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Message: "ResourceNotFound"}); err != nil {
		t.Fatal(err)
	}
	_, errs = lifeboat(1, "backup", hsm, "--wait")
	wants("a failing backup", errs, "ended failed: OperationFailed: back up "+hsm+": ResourceNotFound", "user-assigned identity")

	// Without the role Managed HSM Restore only the hashes prove a backup.
	app := world.Sim.ObjectID(a.config.Name)
	if err := world.Sim.UnassignHSM(hsm, app); err != nil {
		t.Fatal(err)
	}
	if err := world.Sim.AssignHSM(hsm, app, fakeazure.ManagedHSMBackup); err != nil {
		t.Fatal(err)
	}
	out, _ = lifeboat(0, "backup", hsm, "--wait")
	out, _ = lifeboat(0, "run", strings.TrimSpace(out))
	wants("the run", out, "succeeded", "Verified by its hashes only: ", "Not authorized", "the role Managed HSM Restore at the scope /")
	out, _ = lifeboat(0, "runs", hsm)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 4 || !strings.Contains(lines[2], "  failed ") {
		t.Errorf("runs:\n%s", out)
	}

	code, out, errs := command(ctx, t, a.URL(), a.Key("health"), "health")
	t.Logf("health\n%s%s", out, errs)
	if code != 0 {
		t.Errorf("health: %d", code)
	}
	wants("health", out, service+" test protected", name(hsm)+" test protected")

	// Without a role no backup is possible, and the program finds that before a start.
	if err := world.Sim.UnassignHSM(hsm, app); err != nil {
		t.Fatal(err)
	}
	_, errs = lifeboat(1, "backup", hsm, "--wait")
	wants("a refused backup", errs, "ended refused: AccessDenied", "Not authorized", "Managed HSM Backup")
}
