package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// elsewhere is the resource ID of a storage account after a move.
func elsewhere(name string) string {
	return strings.Replace(stack.Account(name), "/resourceGroups/local/", "/resourceGroups/backup-"+name+"/", 1)
}

// restore asks for a restore by HTTP, and returns its ID.
func (a *app) restore(ctx context.Context, t *testing.T, request map[string]any) (id string) {
	t.Helper()
	response, said, err := a.request(ctx, http.MethodPost, "/api/restores", text(request), nil)
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("%v, %v, %s", response, err, said)
	}
	var run struct{ ID string }
	if err := json.Unmarshal(said, &run); err != nil {
		t.Fatal(err)
	}
	return run.ID
}

// restored asks for a restore, and returns its end.
func (a *app) restored(ctx context.Context, t *testing.T, request map[string]any) engine.Status {
	t.Helper()
	status, err := a.await(ctx, a.restore(ctx, t, request))
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// expired cleans up until the recovery point has expired.
func (a *app) expired(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	for {
		failed := a.Invoke(ctx, "cleanup")
		p, err := a.engine.RecoveryPoint(ctx, id)
		switch {
		case err != nil:
			t.Fatal(err)
		case p.State == backup.Expired:
			return
		case ctx.Err() != nil:
			t.Fatalf("it is %s (%+v): %v", p.State, p.Reason, failed)
		}
		pause(ctx)
	}
}

// TestAMovedStorageAccount: `az resource move` changes the resource ID of the storage account, and plan.yaml gets the new one. Earlier
// recovery points, which have the old ID, are restored and deleted as before, by every way into the account; a backup whose plan has
// the old ID still goes on where Lifeboat needs no key.
func TestAMovedStorageAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patient func(context.Context, *testing.T, *app) patient
		// more is a part of the plan; keyed says that Lifeboat reads the account's key; blind says that it has no role at the old
		// group, so that the old ID is a 403 and not a 404.
		more         string
		keyed, blind bool
	}{
		"API Management":                       {newPatientService, "    restore: {into: [itself], safetyBackup: true}\n", false, true},
		"API Management, by the account's key": {newPatientService, "    identity: accessKey\n    restore: {into: [itself], safetyBackup: true}\n", true, false},
		"Managed HSM": {func(ctx context.Context, t *testing.T, a *app) patient {
			return newMovedHSM(ctx, t, a)
		}, "    restore: {into: [itself]}\n", false, false},
		"Managed HSM, by SAS": {func(ctx context.Context, t *testing.T, a *app) patient {
			return newMovedHSM(ctx, t, a)
		}, "    hsm: {access: sas}\n    restore: {into: [itself]}\n", true, true},
		"Managed CCF": {newPatientCCF, "    ccf: {restoreRegion: westeurope}\n    restore: {into: [itself]}\n", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
			account := newAccount(t, a)
			p := c.patient(ctx, t, a)
			writers := []string{world.Sim.ObjectID(p.target), world.Sim.ObjectID(path.Base(p.target) + "-backups")}
			for _, writer := range writers {
				world.Sim.Assign(writer, stack.Account(account), fakeazure.StorageBlobDataContributor)
			}
			plan := func(at, keep string) {
				t.Helper()
				if err := a.edit(strings.Replace(planOf(yearly, keep, p.target), stack.Account(stack.Backups), at, 1) + c.more); err != nil {
					t.Fatal(err)
				}
			}
			plan(stack.Account(account), "1s")
			short := a.recoverable(ctx, t, p.target)
			plan(stack.Account(account), "1d")
			point := a.recoverable(ctx, t, p.target)
			healthy := p.state()

			if err := world.Sim.MoveStorage(account, elsewhere(account)); err != nil {
				t.Fatal(err)
			}
			// Azure leaves the roles at the account behind.
			world.Sim.Assign(a.ObjectID, elsewhere(account), fakeazure.StorageBlobDataContributor, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)
			for _, writer := range writers {
				world.Sim.Assign(writer, elsewhere(account), fakeazure.StorageBlobDataContributor)
			}
			if !c.blind {
				world.Sim.Assign(a.ObjectID, strings.TrimSuffix(stack.Account(account), account), fakeazure.Reader)
			}
			id, err := a.backupOf(ctx, p.target, uuid.NewString())
			if err != nil {
				t.Fatal(err)
			}
			status, err := a.await(ctx, id)
			switch why := status.Run.Reason; {
			case err != nil:
				t.Fatal(err)
			case !c.keyed && status.Run.State != backup.Succeeded:
				t.Errorf("with the old ID in plan.yaml the backup is %s: %+v", status.Run.State, why)
			case c.keyed && (status.Run.State != backup.StateRefused || !strings.Contains(why.Hint, "write its new ID into plan.yaml")):
				t.Errorf("with the old ID in plan.yaml the backup is %s: %+v", status.Run.State, why)
			}

			plan(elsewhere(account), "1d")
			a.expired(ctx, t, short.ID)
			a.recoverable(ctx, t, p.target)
			p.damage()
			if p.state() == healthy {
				t.Fatal("the damage cannot be seen")
			}
			ask := map[string]any{"id": "dry", "target": p.target, "recoveryPoint": point.ID, "dryRun": true}
			response, said, err := a.request(ctx, http.MethodPost, "/api/restores", text(ask), nil)
			if err != nil || response.StatusCode != http.StatusOK || strings.Contains(string(said), `"refusal"`) {
				t.Errorf("the dry run: %v, %v, %s", response, err, said)
			}
			end := a.restored(ctx, t, map[string]any{"id": "incident", "target": p.target, "recoveryPoint": point.ID, "reason": "damage"})
			if now := p.state(); end.Run.State != backup.Succeeded || now != healthy {
				t.Errorf("the restore is %s: %+v\nbefore the damage\n%s\nnow\n%s", end.Run.State, end.Run.Reason, healthy, now)
			}
			if now, err := a.engine.RecoveryPoint(ctx, point.ID); err != nil || now.Storage != point.Storage || now.Storage.Account != stack.Account(account) {
				t.Errorf("the recovery point was rewritten: %+v, %v", now.Storage, err)
			}
		})
	}
}

// newMovedHSM returns an HSM whose damage is a purged key.
func newMovedHSM(ctx context.Context, t *testing.T, a *app) patient {
	p, keys := newPatientHSM(ctx, t, a)
	tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked }) // see TestRestore
	p.damage = func() { keys.purge("rsa1") }
	return p
}

// TestTheAppsOwnAccountIsMoved: Lifeboat knows its own storage account by the name in the app settings, so a move needs nothing but the
// roles at the new place.
func TestTheAppsOwnAccountIsMoved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service)})
	target := stack.Service(service)
	own := a.config.Account
	// The app's own account has its backups too.
	world.Sim.Assign(world.Sim.ObjectID(target), stack.Account(own), fakeazure.StorageBlobDataContributor)
	plan := strings.Replace(planOf(yearly, "1d", target), stack.Account(stack.Backups), stack.Account(own), 1) + "    restore: {into: [itself]}\n"
	if err := a.edit(plan); err != nil {
		t.Fatal(err)
	}
	point := a.recoverable(ctx, t, target)
	if err := world.Sim.MoveStorage(own, elsewhere(own)); err != nil {
		t.Fatal(err)
	}
	for _, identity := range []string{a.config.Name, stack.HostIdentity(a.config.Name), probe} {
		world.Sim.Assign(world.Sim.ObjectID(identity), elsewhere(own), fakeazure.StorageBlobDataContributor,
			fakeazure.StorageQueueDataContributor, fakeazure.StorageTableDataContributor)
	}
	world.Sim.Assign(world.Sim.ObjectID(target), elsewhere(own), fakeazure.StorageBlobDataContributor)
	if err := a.edit(strings.Replace(plan, stack.Account(own), elsewhere(own), 1)); err != nil {
		t.Fatal(err)
	}
	if err := a.Invoke(ctx, "schedule"); err != nil {
		t.Error(err)
	}
	a.recoverable(ctx, t, target)
	end := a.restored(ctx, t, map[string]any{"id": "incident", "target": target, "recoveryPoint": point.ID, "reason": "a drill"})
	if end.Run.State != backup.Succeeded {
		t.Errorf("the restore is %s: %+v", end.Run.State, end.Run.Reason)
	}
}
