package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestAContainerForEachTarget: two API Managements with the roles of plan roles alone back up into two containers, and back one up again
// for a restore. The identity of one, which each author of its policies can use, can do nothing to the backup of the other.
func TestAContainerForEachTarget(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var targets []string
	for range 2 {
		id := stack.Service("S" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20])
		if err := world.Sim.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: true}); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, id)
	}
	storage := backup.Storage{Account: stack.Account(stack.Backups), Container: "own-{name}"}
	plan := backup.Plan{Targets: targets, Settings: backup.Settings{Storage: storage}}
	for _, a := range roles.Of([]backup.Plan{plan}, services.All().Known()) {
		if a.Service != "" {
			world.Sim.Assign(world.Sim.ObjectID(a.Service), a.Scope, fakeazure.StorageBlobDataContributor)
		}
	}
	a := newApp(t, stack.AppConfig{Plan: strings.Replace(planOf(yearly, "1d", targets...), "container: "+stack.Container, `container: "own-{name}"`, 1) +
		"    restore: {into: [itself]}\n"})
	var points []backup.Point
	for _, target := range targets {
		p := a.recoverable(ctx, t, target)
		if p.Storage != storage.For(target) || p.Storage.Container != "own-"+strings.ToLower(target[strings.LastIndex(target, "/")+1:]) {
			t.Errorf("%s is in %+v", target, p.Storage)
		}
		points = append(points, p)
	}
	// blobsOf returns the Blob service for the identity of the service.
	blobsOf := func(id string) *azblob.Client {
		client, err := azblob.NewClient("https://"+stack.Backups+".blob.core.windows.net", world.Sim.Credential(id),
			&azblob.ClientOptions{ClientOptions: options()})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	read := func(client *azblob.Client, p backup.Point) error {
		answer, err := client.DownloadStream(ctx, p.Storage.Container, p.Artifact, nil)
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	for i, target := range targets {
		own, other, client := points[i], points[1-i], blobsOf(target)
		if err := read(client, own); err != nil {
			t.Errorf("%s reads its own backup: %v", target, err)
		}
		_, deleted := client.DeleteBlob(ctx, other.Storage.Container, other.Artifact, nil)
		_, written := client.UploadBuffer(ctx, other.Storage.Container, other.Artifact, []byte("forged"), nil)
		_, listed := client.NewListBlobsFlatPager(other.Storage.Container, nil).NextPage(ctx)
		_, dropped := client.DeleteContainer(ctx, other.Storage.Container, nil)
		for what, err := range map[string]error{
			"read": read(client, other), "deleted": deleted, "overwritten": written, "listed": listed, "deleted with its container": dropped,
		} {
			if !bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) {
				t.Errorf("with the identity of %s the other's backup is %s: %v", target, what, err)
			}
		}
	}
	// Nothing was lost: each is restored, after a safety backup in the same container.
	for i, target := range targets {
		status := a.restored(ctx, t, map[string]any{
			"id": uuid.NewString(), "target": target, "recoveryPoint": points[i].ID, "requestedBy": "e2e", "reason": "a trial",
		})
		if status.Run.State != backup.Succeeded || status.Point == nil || status.Point.Storage != points[i].Storage {
			t.Errorf("the restore of %s: %+v", target, status)
		}
	}
}
