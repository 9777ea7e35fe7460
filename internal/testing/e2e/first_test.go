package e2e

import (
	"context"
	"fmt"
	"os"
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

// TestARestoreBeginsWhile500BackupsWait: one backup has the one permit that backups may have, and never ends; 500 more wait for it.
// A restore begins at its first step, by the permit that is kept for restores, and they still wait.
func TestARestoreBeginsWhile500BackupsWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	names := newServices(t, 2)
	patient, hangs := names[0], names[1]
	plan := planFor(yearly, "1d", patient, hangs) + "    restore: {into: [itself], safetyBackup: never}\n" +
		fmt.Sprintf("  - name: crowd\n    schedule: %q\n    keep: {within: 1d}\n    targets:\n", yearly)
	crowd := map[string]bool{}
	for n := range 500 {
		one := stack.Service(fmt.Sprintf("crowd-%d", n))
		plan, crowd[backup.Partition(one)] = plan+"      - "+one+"\n", true
	}
	a := newApp(t, stack.AppConfig{
		Plan: plan, ScheduleTimer: "*/2 * * * * *", Settings: map[string]string{"LIFEBOAT_CONCURRENCY": "2"},
	})
	point := a.recoverable(ctx, t, stack.Service(patient))
	tune(t, hangs, endless)
	id, err := a.backup(ctx, hangs, "hangs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.reaches(ctx, id, backup.Running); err != nil {
		t.Fatal(err)
	}
	for status := 0; status != 202; { // a call that ran out of time is repeated under its ID
		response, text, err := a.request(ctx, "POST", "/api/backups", `{"plan":"crowd"}`, map[string]string{"Repeatability-Request-ID": "crowd"})
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		status = response.StatusCode
	}
	waiting := func() int {
		rows, _, err := a.engine.Catalog.List(ctx, backup.SchedulePartition, backup.QueuePrefix, backup.Behind(backup.QueuePrefix), 1000)
		if err != nil {
			t.Fatal(err)
		}
		runs := map[string]bool{} // a run may have a row too many, which is dropped when its turn comes
		for _, row := range rows {
			_, run, _ := strings.Cut(strings.TrimPrefix(row.Row, backup.QueuePrefix), "-")
			if partition, _, _ := strings.Cut(run, "-"); crowd[partition] {
				runs[run] = true
			}
		}
		return len(runs)
	}
	for n := waiting(); n < 500; n = waiting() {
		if ctx.Err() != nil {
			t.Fatalf("%d runs wait", n)
		}
		a.written().wait(ctx)
	}
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", stack.Service(patient), "--point", point.ID, "--yes")
	if code != 0 {
		t.Fatal(errs)
	}
	status, err := a.await(ctx, strings.TrimSpace(out))
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%v: %s %+v", err, status.Run.State, status.Run.Reason)
	}
	if status.Run.Restore.WaitPublished || waiting() != 500 {
		t.Errorf("the restore waited: %t; %d backups wait now", status.Run.Restore.WaitPublished, waiting())
	}
}

// TestARestoreOfNoKeyVersionFails: the key is there, so the HSM restores nothing, whatever it calls that; and no backup has another
// key.
func TestARestoreOfNoKeyVersionFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	p, _ := newPatientHSM(ctx, t, a)
	if err := a.edit(planOf(yearly, "1d", p.target) + "    restore: {into: [itself]}\n"); err != nil {
		t.Fatal(err)
	}
	tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
	point := a.recoverable(ctx, t, p.target)
	before := p.state()
	for _, c := range []struct {
		key  string
		does fakeazure.KeyInTheWay
		lack fakeazure.MissingKey
		code string
	}{
		{"rsa1", fakeazure.KeyInTheWaySucceeds, fakeazure.MissingKeySucceeds, "NothingRestored"},
		{"rsa1", fakeazure.KeyInTheWayFails, fakeazure.MissingKeySucceeds, "NothingRestored"},
		{"unknown", fakeazure.KeyInTheWaySucceeds, fakeazure.MissingKeySucceeds, "NothingRestored"},
		{"unknown", fakeazure.KeyInTheWaySucceeds, fakeazure.MissingKeyFails, "KeyNotInBackup"},
	} {
		tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.KeyInTheWay, k.MissingKey = c.does, c.lack })
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", p.target, "--point", point.ID, "--key", c.key, "--yes", "--wait")
		if code != 1 || !strings.Contains(errs, c.code) {
			t.Errorf("%+v: %d, %s%s", c, code, out, errs)
		}
		status, err := a.await(ctx, strings.TrimSpace(out))
		if err != nil || status.Run.State != backup.Failed || status.Run.Reason.Code != c.code || !strings.Contains(status.Run.Reason.Hint, c.key) {
			t.Errorf("%+v: %v, %s %+v", c, err, status.Run.State, status.Run.Reason)
		}
	}
	if p.state() != before {
		t.Error("the keys are others now")
	}
}

// TestAPartialRestoreWarns: the key has two of three versions, and the HSM leaves these as they are. The restore succeeds, with a warning to the person who
// waits, in the event and in the log; health knows that it restored a part.
func TestAPartialRestoreWarns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var lines []string
	show := logTo(t)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), Log: func(e fakehost.Entry) {
		mu.Lock()
		lines = append(lines, e.String())
		mu.Unlock()
		show(e)
	}})
	p, keys := newPatientHSM(ctx, t, a)
	if err := a.edit(planOf(yearly, "1d", p.target) + "    restore: {into: [itself]}\n"); err != nil {
		t.Fatal(err)
	}
	tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) {
		k.BackupFirst, k.KeyInTheWay = fakeazure.BackupUnchecked, fakeazure.KeyInTheWayAddsVersions
	})
	restore := func(point backup.Point) (id, errs string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", p.target, "--point", point.ID, "--key", "rsa1", "--yes", "--wait")
		if code != 0 {
			t.Fatalf("%d %s%s", code, out, errs)
		}
		return strings.TrimSpace(out), errs
	}
	first := a.recoverable(ctx, t, p.target)
	keys.create("rsa1")
	second, both := a.recoverable(ctx, t, p.target), p.state()
	keys.purge("rsa1")
	if _, errs := restore(first); strings.Contains(errs, "warning") {
		t.Errorf("a whole restore warns: %s", errs)
	}
	id, errs := restore(second)
	const words = "restored: 1, Number of key versions could not overwrite: 2"
	if p.state() != both || !strings.Contains(errs, words) {
		t.Errorf("the key has another state, or no person hears of it: %s", errs)
	}
	for told, logged := false, false; !told || !logged; pause(ctx) { // both come behind the save that the command has seen
		told = told || slices.ContainsFunc(a.events(ctx, t), func(text string) bool {
			return strings.Contains(text, id) && strings.Contains(text, `"lifeboat.restore.succeeded"`) && strings.Contains(text, words)
		})
		mu.Lock()
		logged = slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, id) && strings.Contains(line, words) })
		mu.Unlock()
		if ctx.Err() != nil {
			t.Fatalf("event %t, log %t", told, logged)
		}
	}
	_, text, err := a.request(ctx, "GET", "/api/metrics", "", map[string]string{"x-functions-key": a.Key("metrics")})
	if err != nil || !strings.Contains(string(text), `lifeboat_restore_incomplete_timestamp_seconds{target="`+p.target+`",restored="part"} `) {
		t.Errorf("%v: the metrics do not know: %s", err, text)
	}
}

// TestLiveCheckSaysWhereItCouldNotLook: Resource Manager does not show the storage account to the identity.
func TestLiveCheckSaysWhereItCouldNotLook(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	who := "half-blind-" + uuid.NewString()
	service := newServices(t, 1)[0]
	world.Sim.Assign(world.Sim.ObjectID(who), stack.Service(service), fakeazure.APIManagementServiceOperator)
	file := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte(planFor(yearly, "1d", service)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := commandIn(ctx, t, world.Environment(who), "", "plan", "check", "--live", file)
	if code != 1 || strings.Contains(out, "  ok") || !strings.Contains(out, "could not look") || !strings.Contains(out, stack.Account(stack.Backups)) ||
		errs != "0 of 1 target cannot be backed up, and 1 could not be checked\n" {
		t.Errorf("%d, %s\n%s", code, errs, out)
	}
}
