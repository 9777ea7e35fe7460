package e2e

import (
	"context"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// TestADryRunTellsWhatARestoreBringsAlong: a person looks at the restore of one API Management into another, which differs in all
// that Azure leaves alone. The program reads either service once. Then the source is gone, and the dry run says so.
func TestADryRunTellsWhatARestoreBringsAlong(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	add := func(s fakeazure.Service) string {
		s.ResourceID, s.SystemAssigned = stack.Service("s"+strings.ReplaceAll(uuid.NewString(), "-", "")[:20]), true
		if err := world.Sim.AddService(s); err != nil {
			t.Fatal(err)
		}
		world.Sim.Assign(world.Sim.ObjectID(s.ResourceID), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
		return s.ResourceID
	}
	from := add(fakeazure.Service{Hostname: "api.contoso.com", UserAssigned: []string{"reader"}, Subnet: "/subscriptions/x/subnets/apim"})
	into := add(fakeazure.Service{Location: "North Europe"})
	plan := planOf(yearly, "1d", from) + "    restore: {into: [itself, " + into + "]}\n"
	a := newApp(t, stack.AppConfig{Plan: plan})
	a.recoverable(ctx, t, from)
	dry := func(args ...string) (out string, reads int) {
		t.Helper()
		before := len(world.Sim.Calls())
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), append([]string{"restore", from, "--dry-run"}, args...)...)
		if code != 0 {
			t.Fatalf("%d, %s%s", code, out, errs)
		}
		for _, c := range world.Sim.Calls()[before:] {
			if c.ObjectID == a.ObjectID && c.Method == http.MethodGet && slices.Contains([]string{from, into}, c.Path) {
				reads++
			}
		}
		return out, reads
	}
	codes := []string{"BringsAccess", "HostnamesDiffer", "IdentitiesMissing", "RegionsDiffer", "NetworkDiffers"}
	out, reads := dry("--into", into)
	for _, want := range append(codes, "api.contoso.com (Proxy)", "userAssignedIdentities/reader", "northeurope", "subnets/apim", "keys of "+from) {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, out)
		}
	}
	if reads != 2 {
		t.Errorf("the services were read %d times", reads)
	}
	out, reads = dry()
	if reads != 1 || slices.ContainsFunc(codes, func(c string) bool { return strings.Contains(out, c) }) {
		t.Errorf("into itself, after %d reads:\n%s", reads, out)
	}
	if err := world.Sim.DeleteService(from); err != nil {
		t.Fatal(err)
	}
	if out, _ = dry("--into", into); !strings.Contains(out, "SourceNotCompared") || !strings.Contains(out, "ResourceNotFound") {
		t.Errorf("the source is gone:\n%s", out)
	}
}

// TestAFullRestoreOfAnHSMNamesTheGrants: the roles of the app may be gone behind it. The dry run, the command that waits, the run and
// the log have the commands of an administrator. TestRestore looks at the event.
func TestAFullRestoreOfAnHSMNamesTheGrants(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var log strings.Builder
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), Log: func(e fakehost.Entry) {
		mu.Lock()
		defer mu.Unlock()
		log.WriteString(e.String() + "\n")
	}})
	hsm := newHSM(t, a)
	tuneHSM(t, hsm, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
	if err := a.edit(planOf(yearly, "1d", hsm) + "    restore: {into: [itself]}\n"); err != nil {
		t.Fatal(err)
	}
	a.recoverable(ctx, t, hsm)
	grant := "az keyvault role assignment create --hsm-name " + path.Base(hsm) + ` --role "Managed HSM Backup" --scope /`
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", hsm, "--dry-run")
	if code != 0 || !strings.Contains(out, "RolesReplaced") || !strings.Contains(out, grant) {
		t.Errorf("the dry run: %d, %s%s", code, out, errs)
	}
	code, out, errs = command(ctx, t, a.URL(), a.Key("api"), "restore", hsm, "--dry-run", "--key", "rsa1")
	if strings.Contains(out, "RolesReplaced") {
		t.Errorf("a single key: %d, %s%s", code, out, errs)
	}
	code, out, errs = command(ctx, t, a.URL(), a.Key("api"), "restore", hsm, "--yes", "--wait")
	if code != 0 || !strings.Contains(errs, "warning: all role assignments") || !strings.Contains(errs, grant) {
		t.Errorf("the restore: %d, %s%s", code, out, errs)
	}
	if code, out, errs = command(ctx, t, a.URL(), a.Key("api"), "run", strings.TrimSpace(out)); code != 0 || !strings.Contains(out, grant) {
		t.Errorf("the run: %d, %s%s", code, out, errs)
	}
	for warned := false; !warned; pause(ctx) { // the line comes behind the save that the command has seen
		mu.Lock()
		lines := log.String()
		mu.Unlock()
		warned = strings.Contains(lines, `"event":"lifeboat.restore.succeeded"`) && strings.Contains(lines, "--hsm-name "+path.Base(hsm))
		if !warned && ctx.Err() != nil {
			t.Fatalf("the log has no warning:\n%s", lines)
		}
	}
}

// TestLiveCheckWarnsOfTheStorage: the newest share of a ledger is nearly full. The check needs a role to read, and no key. Where it may
// not even read shares, it says that it could not look.
func TestLiveCheckWarnsOfTheStorage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	world.Sim.Assign(a.ObjectID, stack.Account(stack.Backups), fakeazure.StorageAccountKeyOperator)
	ledger := newLedger(t, a, stack.Ledger, (*stack.Stack).AddLedger)
	plan := planOf(yearly, "1d", ledger)
	if err := a.edit(plan); err != nil {
		t.Fatal(err)
	}
	var shares []string
	for range 3 {
		run, err := a.backupOf(ctx, ledger, uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		status, err := a.await(ctx, run)
		if err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%v: %+v", err, status.Run)
		}
		shares = append(shares, status.Run.Artifact)
	}
	who := "reader-" + uuid.NewString()
	id := world.Sim.ObjectID(who)
	world.Sim.Assign(id, stack.Scope, fakeazure.Reader)
	file := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(want int) string {
		t.Helper()
		code, out, errs := commandIn(ctx, t, world.Environment(who), "", "plan", "check", "--live", file)
		if code != want {
			t.Errorf("%d, %s%s", code, out, errs)
		}
		return out
	}
	const tebibyte = 1 << 40
	for i, used := range []int64{5 * tebibyte, 0, 4*tebibyte - (1 << 31)} { // the quota is 5
		if err := world.Sim.FillShare(stack.Backups, shares[i], used); err != nil {
			t.Fatal(err)
		}
	}
	if out := check(0); strings.Contains(out, "ShareFills") || !strings.Contains(out, "SameRegion") {
		t.Errorf("a share with room:\n%s", out)
	}
	if err := world.Sim.FillShare(stack.Backups, shares[2], 4*tebibyte+1); err != nil {
		t.Fatal(err)
	}
	if out := check(0); !strings.Contains(out, "ShareFills") || !strings.Contains(out, "4096 of the 5120 GiB that its share "+shares[2]) {
		t.Errorf("a share that fills:\n%s", out)
	}
	world.Sim.Unassign(id, stack.Scope)
	blind := fakeazure.Reader
	blind.ID, blind.Name = "", "Reader of all but shares"
	blind.Actions = slices.DeleteFunc(slices.Clone(blind.Actions), func(action string) bool { return strings.Contains(action, "/fileServices/") })
	world.Sim.Assign(id, stack.Scope, blind)
	if out := check(1); !strings.Contains(out, "could not look") || !strings.Contains(out, "/fileServices/default/shares") {
		t.Errorf("without the right to read shares:\n%s", out)
	}
	for _, c := range world.Sim.Calls() {
		if c.ObjectID == id && c.Method != http.MethodGet {
			t.Errorf("it sent %s %s", c.Method, c.Path)
		}
	}
}
