package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// endless is longer than any test: such an operation of Azure's never ends.
func endless(k *fakeazure.Options) { k.Shortest, k.Longest = 1000*time.Hour, 1000*time.Hour }

// reaches waits until the run has the state.
func (a *app) reaches(ctx context.Context, id string, state backup.State) (backup.Run, error) {
	for {
		written := a.written()
		status, _, err := a.engine.Status(ctx, id)
		if err == nil && status.Run.State == state {
			return status.Run, nil
		}
		if ctx.Err() != nil {
			return status.Run, fmt.Errorf("run %s is %s, and not %s: %w", id, status.Run.State, state, errors.Join(err, ctx.Err()))
		}
		written.wait(ctx)
	}
}

// TestAbandonABackupThatNeverEnds: the operation of a backup never ends at Azure. A person abandons its run. A restore, which
// waited for it, then begins, and a further backup succeeds.
func TestAbandonABackupThatNeverEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	tune(t, service, func(k *fakeazure.Options) { k.Shortest = time.Minute })
	a := newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", service) + "    restore: {into: [itself], safetyBackup: false}\n", ScheduleTimer: "*/2 * * * * *",
		Settings: map[string]string{"LIFEBOAT_CONCURRENCY": "2"},
	})
	box := a.mailbox(ctx, t, "lifeboat-events")
	point := a.recoverable(ctx, t, target)
	lifeboat := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), args...)
		if code != want {
			t.Fatalf("lifeboat %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out, errs
	}

	tune(t, service, endless)
	hangs, err := a.backupOf(ctx, target, "hangs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.reaches(ctx, hangs, backup.Running); err != nil {
		t.Fatal(err)
	}
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	out, _ := lifeboat(0, "restore", target, "--point", point.ID, "--yes")
	restore := strings.TrimSpace(out)
	waits, err := a.reaches(ctx, restore, backup.Waiting)
	if err != nil || waits.Reason.Code != "TargetBusy" || !strings.Contains(waits.Reason.Message, hangs) {
		t.Fatalf("the restore does not say that it waits for the backup: %v: %+v", err, waits.Reason)
	}

	for range 2 {
		out, _ = lifeboat(0, "abandon", hangs)
		if !strings.Contains(out, "unknown") {
			t.Errorf("abandoned: %s", out)
		}
	}
	ended, err := a.await(ctx, hangs)
	if err != nil || ended.Run.State != backup.Unknown || ended.Run.Reason.Code != "Abandoned" || !strings.Contains(ended.Run.Reason.Message, "invocation ") {
		t.Fatalf("%v: %+v", err, ended.Run)
	}
	status, err := a.await(ctx, restore)
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("the restore: %v: %s %+v", err, status.Run.State, status.Run.Reason)
	}
	if n := restoresSent(target); n != 1 {
		t.Errorf("%d requests for a restore", n)
	}
	if _, errs := lifeboat(1, "abandon", restore); !strings.Contains(errs, "RunEnded") {
		t.Errorf("a restore that has ended: %s", errs)
	}
	again, err := a.backupOf(ctx, target, "again")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := a.await(ctx, again); err != nil || status.Run.State != backup.Succeeded {
		t.Errorf("the next backup: %v: %s %+v", err, status.Run.State, status.Run.Reason)
	}
	box.collect(ctx, t)
	if all := strings.Join(box.texts, "\n"); !strings.Contains(all, hangs+".unknown") || !strings.Contains(all, "Abandoned") {
		t.Error("nobody was told that the run was abandoned")
	}
}

// TestAbandonARestoreThatRuns: Azure says that it runs, so its run stays, with the lock.
func TestAbandonARestoreThatRuns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	tune(t, service, func(k *fakeazure.Options) { k.Shortest = time.Minute })
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service) + "    restore: {into: [itself], safetyBackup: false}\n"})
	point := a.recoverable(ctx, t, target)
	tune(t, service, endless)
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", target, "--point", point.ID, "--yes")
	if code != 0 {
		t.Fatal(errs)
	}
	restore := strings.TrimSpace(out)
	if _, err := a.reaches(ctx, restore, backup.Running); err != nil {
		t.Fatal(err)
	}
	code, _, errs = command(ctx, t, a.URL(), a.Key("api"), "abandon", restore)
	if code != 1 || !strings.Contains(errs, "RestoreBegun") || !strings.Contains(errs, "Azure says that it runs") {
		t.Errorf("%d: %s", code, errs)
	}
	if now, err := a.reaches(ctx, restore, backup.Running); err != nil || !now.Ended.IsZero() {
		t.Errorf("%+v, %v", now, err)
	}
	if _, _, err := a.catalog.Get(ctx, backup.Key{Partition: restore[:16], Row: "lock"}); err != nil {
		t.Errorf("the lock of a restore that runs: %v", err)
	}
}

// TestCrashAtEveryRequestOfAbandon kills the real program with SIGKILL at each of its requests while it abandons a backup that never
// ends. The person asks again. The run ends unknown and is told so, its target is free, and the next backup of it succeeds.
func TestCrashAtEveryRequestOfAbandon(t *testing.T) {
	t.Parallel()
	points := make(chan kill)
	var done atomic.Bool
	go func() {
		defer close(points)
		points <- kill{1, fakeazure.Before}
		for n := int64(1); !done.Load(); n++ {
			points <- kill{n, fakeazure.After}
		}
	}()
	var killed atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		w := newWalker(t)
		wait.Go(func() {
			for k := range points {
				fired, err := w.abandonOne(k)
				if err != nil {
					t.Errorf("killed %s: %v", k, err)
				}
				if !fired {
					done.Store(true)
				} else {
					killed.Add(1)
				}
			}
			w.settled(t.Context())
		})
	}
	wait.Wait()
	figures.Report(t, "%d abandonments killed: each run ended unknown, and the next backup of its target succeeded", killed.Load())
	if killed.Load() < 6 {
		t.Errorf("only %d instants were killed at: the walk does not see the program's requests", killed.Load())
	}
}

// abandonOne abandons a backup of a new service, and kills the program once. It returns false if the answer came before the kill.
func (w *walker) abandonOne(k kill) (fired bool, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(w.t, 1)[0]
	tune(w.t, service, endless)
	w.targets = append(w.targets, stack.Service(service))
	if err := w.edit(planOf(yearly, "1d", w.targets...)); err != nil {
		return false, err
	}
	id, err := w.backup(ctx, service, uuid.NewString())
	if err != nil {
		return false, err
	}
	if _, err := w.reaches(ctx, id, backup.Running); err != nil {
		return false, err
	}
	w.requests.Store(0)
	w.fired.Store(false)
	w.armed.Store(&k)
	for {
		response, text, err := w.request(ctx, http.MethodPost, "/api/runs/"+id+"/abandon", "", nil)
		if err == nil && response.StatusCode == http.StatusOK {
			break
		}
		if ctx.Err() != nil {
			return false, fmt.Errorf("no answer to the abandonment: %w, %s", err, text)
		}
		pause(ctx)
	}
	w.armed.Store(nil)
	status, err := w.await(ctx, id)
	if err != nil || status.Run.State != backup.Unknown || status.Run.Reason.Code != "Abandoned" {
		return false, fmt.Errorf("the run is %s, %+v: %w", status.Run.State, status.Run.Reason, err)
	}
	if _, _, err := w.catalog.Get(ctx, backup.Key{Partition: id[:16], Row: "lock"}); !errors.Is(err, backup.ErrNotFound) {
		return false, fmt.Errorf("the target is still locked: %w", err)
	}
	w.runs = append(w.runs, id)
	tune(w.t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	again, err := w.backup(ctx, service, uuid.NewString())
	if err != nil {
		return false, err
	}
	if status, err = w.await(ctx, again); err != nil || status.Run.State != backup.Succeeded {
		return false, fmt.Errorf("the next backup ended %s, %+v: %w", status.Run.State, status.Run.Reason, err)
	}
	return w.fired.Load(), nil
}

// TestPreemptABackupThatNeverEnds: a restore with preempt ends it after the retry window, by a command and by a message. A service
// that shows its operation refuses the restore with 409 until that has ended: the restore waits, and then succeeds.
func TestPreemptABackupThatNeverEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Trace = time.Minute, fakeazure.TraceVisible })
	a := newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", service) + "    restore: {into: [itself], safetyBackup: never}\n", ScheduleTimer: "*/2 * * * * *",
		Settings: map[string]string{"LIFEBOAT_CONCURRENCY": "1"}, // the backup has the only permit
	})
	point := a.recoverable(ctx, t, target)
	// It ends at Azure long after the retry window, and long before the restore expires.
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 90*time.Minute, 90*time.Minute })
	hangs, err := a.backupOf(ctx, target, "hangs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.reaches(ctx, hangs, backup.Running); err != nil {
		t.Fatal(err)
	}
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "restore", target, "--point", point.ID, "--preempt", "--yes")
	if code != 0 {
		t.Fatal(errs)
	}
	restore := strings.TrimSpace(out)
	waits, err := a.reaches(ctx, restore, backup.Waiting)
	if err != nil || waits.Reason.Code != "TargetBusy" || !strings.Contains(waits.Reason.Message, "the backup "+hangs) {
		t.Fatalf("%v: %+v", err, waits.Reason)
	}
	ended, err := a.await(ctx, hangs)
	if err != nil || ended.Run.State != backup.Unknown || ended.Run.Reason.Code != "Preempted" || !strings.Contains(ended.Run.Reason.Message, restore) {
		t.Fatalf("%v: %s %+v", err, ended.Run.State, ended.Run.Reason)
	}
	if !busy(target) {
		t.Error("the operation has ended at Azure: the test is too slow to see that the restore waits for it")
	}
	status, err := a.await(ctx, restore)
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%v: %s %+v", err, status.Run.State, status.Run.Reason)
	}
	if n := restoresStarted(target); n != 1 {
		t.Errorf("%d restores were started", n)
	}
}

// TestADestinationThatCannotBeBackedUp: each backup of the service fails. A restore ends before it overwrites anything, and says what
// to do: without a safety backup, for a reason, it succeeds. A plan may require one. A service that says that it has failed ends the
// restore at once.
func TestADestinationThatCannotBeBackedUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	tune(t, service, func(k *fakeazure.Options) { k.Shortest = time.Minute })
	plan := planFor(yearly, "1d", service)
	a := newApp(t, stack.AppConfig{Plan: plan + "    restore: {into: [itself]}\n"})
	box := a.mailbox(ctx, t, "lifeboat-events")
	point := a.recoverable(ctx, t, target)
	lifeboat := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), append(args, "--point", point.ID)...)
		if code != want {
			t.Fatalf("lifeboat %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out, errs
	}
	wants := func(text string, words ...string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%q is not in %s", word, text)
			}
		}
	}
	without := []string{"restore", target, "--yes", "--wait", "--no-safety-backup", "--reason", "it cannot be backed up"}

	inject(t, service, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.FailOperation, Code: "BackupFailed", Message: "Internal error."})
	_, errs := lifeboat(1, "restore", target, "--yes", "--wait")
	wants(errs, "SafetyBackupFailed", "nothing was restored", "Internal error.", "--no-safety-backup")
	tune(t, service, func(k *fakeazure.Options) { k.ProvisioningState = "Failed" })
	_, errs = lifeboat(1, "restore", target, "--yes", "--wait")
	wants(errs, "ServiceFailed", "nothing was restored", "--no-safety-backup")
	tune(t, service, func(k *fakeazure.Options) { k.ProvisioningState = "" })

	if n := restoresSent(target); n != 0 {
		t.Fatalf("%d requests for a restore before one was wanted", n)
	}
	_, errs = lifeboat(2, "restore", target, "--yes", "--no-safety-backup")
	wants(errs, "--reason")
	body := `{"target":"` + target + `","recoveryPoint":"` + point.ID + `","noSafetyBackup":true}`
	response, text, err := a.request(ctx, http.MethodPost, "/api/restores", body, map[string]string{"Repeatability-Request-ID": "no-reason"})
	if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "InvalidRequest") {
		t.Errorf("without a reason: %v, %v, %s", err, response, text)
	}
	if err := a.edit(plan + "    restore: {into: [itself], safetyBackup: required}\n"); err != nil {
		t.Fatal(err)
	}
	_, errs = lifeboat(1, without...)
	wants(errs, "SafetyBackupRequired", "restore.safetyBackup")
	if err := a.edit(plan + "    restore: {into: [itself], safetyBackup: default}\n"); err != nil {
		t.Fatal(err)
	}
	out, _ := lifeboat(0, "restore", target, "--dry-run", "--no-safety-backup", "--reason", "it cannot be backed up")
	wants(out, "NoSafetyBackup", "nothing brings back", "none, as the request wants")
	backups := len(posts(service))
	out, _ = lifeboat(0, without...)
	id := strings.TrimSpace(out)
	if n := restoresSent(target); n != 1 || len(posts(service)) != backups {
		t.Errorf("%d requests for a restore, %d for a backup before it", n, len(posts(service))-backups)
	}
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "run", id)
	if code != 0 {
		t.Fatal(errs)
	}
	wants(out, "none, as the request wants", "it cannot be backed up")
	box.collect(ctx, t)
	wants(strings.Join(box.texts, "\n"), `"noSafetyBackup":true`, `"requestReason":"it cannot be backed up"`)
}

// TestAnHSMRestoredWithoutASafetyBackup: the preview says what is lost for good, and the HSM is restored as it was.
func TestAnHSMRestoredWithoutASafetyBackup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	p, keys := newPatientHSM(ctx, t, a)
	tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
	if err := a.edit(planOf(yearly, "1d", p.target) + "    restore: {into: [itself]}\n"); err != nil {
		t.Fatal(err)
	}
	point := a.recoverable(ctx, t, p.target)
	healthy := p.state()
	keys.purge("rsa1")
	args := []string{"restore", p.target, "--point", point.ID, "--no-safety-backup", "--reason", "its backups fail"}
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), append(args, "--dry-run")...)
	if code != 0 || !strings.Contains(out, "all keys of the HSM") || !strings.Contains(out, "NoSafetyBackup") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	code, out, errs = command(ctx, t, a.URL(), a.Key("api"), append(args, "--yes", "--wait")...)
	if code != 0 || p.state() != healthy {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if _, err := a.engine.RecoveryPoint(ctx, strings.TrimSpace(out)); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("there is a safety backup: %v", err)
	}
}
