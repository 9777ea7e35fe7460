package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestDenials: a backup that Azure denies for good ends refused at once, with Azure's code and a hint that fits, and so does a restore;
// a quota is recognized with either status. Clean-up says why it cannot delete, and deletes once it can.
func TestDenials(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service) + "    restore: {into: [itself]}\n"})
	target := stack.Service(service)
	account := newAccount(t, a)
	world.Sim.Assign(world.Sim.ObjectID(target), stack.Account(account), fakeazure.StorageBlobDataContributor)
	point := a.recoverable(ctx, t, target)
	began := startsSent(target)
	for _, c := range []struct {
		scope      string
		why        fakeazure.Bar
		identity   string
		code, hint string
		starts     int
	}{
		{target, fakeazure.DisabledSubscription, "", "ReadOnlyDisabledSubscription", "enable it again", 1},
		{target, fakeazure.UnregisteredProvider, "", "MissingSubscriptionRegistration", "az provider register", 1},
		{target, fakeazure.ReadOnlyLock, "", "ScopeLocked", "az lock list", 1},
		{target, fakeazure.DenyingPolicy, "", "RequestDisallowedByPolicy", "owner of the policy", 1},
		{target, fakeazure.ExceededQuota, "", "QuotaExceeded", "quota raised", 1},
		{target, fakeazure.ExceededQuotaConflict, "", "QuotaExceeded", "quota raised", 1},
		{stack.Account(account), fakeazure.ReadOnlyLock, "accessKey", "ScopeLocked", "keys from being read", 0},
		{stack.Account(account), fakeazure.ExceededQuota, "accessKey", "QuotaExceeded", "quota raised", 0},
	} {
		world.Sim.Bar(c.scope, c.why)
		id := a.ask(ctx, target, backup.Settings{
			Blocks: blocksOf("identity", c.identity), Storage: backup.Storage{Account: stack.Account(account), Container: stack.Container},
		})
		status, err := a.await(ctx, id)
		if why := status.Run.Reason; err != nil || status.Run.State != backup.StateRefused || why.Code != c.code || !strings.Contains(why.Hint, c.hint) {
			t.Errorf("%s by %q: %s, %v: %+v", c.code, c.identity, status.Run.State, err, why)
		}
		if n := startsSent(target) - began; n != c.starts {
			t.Errorf("%s by %q: %d requests for a backup", c.code, c.identity, n)
		}
		began = startsSent(target)
		if c.scope == target {
			end := a.restored(ctx, t, map[string]any{"id": c.code + itoa(int(c.why)), "target": target, "recoveryPoint": point.ID})
			if why := end.Run.Reason; end.Run.State != backup.StateRefused || why.Code != c.code || !strings.Contains(why.Hint, c.hint) {
				t.Errorf("restore, %s: %s: %+v", c.code, end.Run.State, why)
			}
			began = startsSent(target)
		}
		world.Sim.Bar(c.scope, fakeazure.NoBar)
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
	if first.State != backup.Deleting || first.Reason.Code != "ScopeLocked" || !strings.Contains(first.Reason.Hint, "az lock list") {
		t.Errorf("under a lock it is %s: %+v", first.State, first.Reason)
	}
	world.Sim.Bar(stack.Account(account), fakeazure.NoBar)
	a.expired(ctx, t, first.ID)
}
