package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestDenials: a backup whose start Azure denies for good ends at once, with Azure's code and a hint that fits, and so does a restore; a
// quota is recognized with either status. Clean-up says why it cannot delete.
func TestDenials(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	type denial struct {
		why        fakeazure.Bar
		code, hint string
	}
	denials := []denial{
		{fakeazure.DisabledSubscription, "ReadOnlyDisabledSubscription", "enable it again"},
		{fakeazure.UnregisteredProvider, "MissingSubscriptionRegistration", "az provider register"},
		{fakeazure.ReadOnlyLock, "ScopeLocked", "az lock list"},
		{fakeazure.DenyingPolicy, "RequestDisallowedByPolicy", "owner of the policy"},
		{fakeazure.ExceededQuota, "QuotaExceeded", "quota raised"},
		{fakeazure.ExceededQuotaConflict, "QuotaExceeded", "quota raised"},
	}
	// Each backup and each restore has a service of its own, and each read of a key an account.
	services := newServices(t, 3*len(denials))
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...) + "    restore: {into: [itself]}\n"})
	account := newAccount(t, a)
	end := func(what, id string, d denial) {
		t.Helper()
		status, err := a.await(ctx, id)
		if why := status.Run.Reason; err != nil || status.Run.State != backup.Failed || why.Code != d.code || !strings.Contains(why.Hint, d.hint) {
			t.Errorf("%s, %s: %s, %v: %+v", what, d.code, status.Run.State, err, why)
		}
	}
	var points []string
	for i := range denials {
		id, err := a.backup(ctx, services[3*i], uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, id)
	}
	for i, id := range points {
		if status, err := a.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
		}
		world.Sim.Bar(stack.Service(services[3*i]), denials[i].why)
		world.Sim.Bar(stack.Service(services[3*i+1]), denials[i].why)
	}
	var restores, backups, keyed, locked []string
	for i, d := range denials {
		restores = append(restores, a.restore(ctx, t, map[string]any{
			"id": "r" + itoa(i), "target": stack.Service(services[3*i]), "recoveryPoint": points[i],
			"noSafetyBackup": true, "reason": "its own start is denied",
		}))
		id, err := a.backup(ctx, services[3*i+1], uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		backups = append(backups, id)
		locked = append(locked, newAccount(t, a))
		world.Sim.Bar(stack.Account(locked[i]), d.why)
		keyed = append(keyed, a.ask(ctx, stack.Service(services[3*i+2]), backup.Settings{
			Blocks: blocksOf("identity", "accessKey"), Storage: backup.Storage{Account: stack.Account(locked[i]), Container: stack.Container},
		}))
	}
	for i, d := range denials {
		end("a restore", restores[i], d)
		end("a backup", backups[i], d)
		end("a backup by a key", keyed[i], d)
		for at, want := range []int{1, 1, 0} { // the first service has the backup that is restored
			if n := startsSent(stack.Service(services[3*i+at])); n != want {
				t.Errorf("%s: %d requests for a backup of service %d, want %d", d.code, n, at, want)
			}
		}
		if n := restoresSent(stack.Service(services[3*i])); n != 0 {
			t.Errorf("%s: %d restores were begun", d.code, n)
		}
	}

	ccf := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	plan := strings.Replace(planOf(yearly, "1s", ccf), stack.Account(stack.Backups), stack.Account(account), 1)
	if err := a.edit(plan + "    ccf: {restoreRegion: northeurope}\n"); err != nil {
		t.Fatal(err)
	}
	first := a.recoverable(ctx, t, ccf)
	a.recoverable(ctx, t, ccf)
	world.Sim.Bar(stack.Account(account), fakeazure.ReadOnlyLock)
	for first.Reason.Code == "" && ctx.Err() == nil {
		if err := a.Invoke(ctx, "cleanup"); err == nil {
			pause(ctx)
		}
		var err error
		if first, err = a.engine.RecoveryPoint(ctx, first.ID); err != nil {
			t.Fatal(err)
		}
	}
	if first.State != backup.Live || first.Reason.Code != "ScopeLocked" || !strings.Contains(first.Reason.Hint, "az lock list") {
		t.Errorf("under a lock it is %s: %+v", first.State, first.Reason)
	}
}
