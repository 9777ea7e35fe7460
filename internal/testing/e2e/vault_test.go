package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/roles"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestAVault: with the roles of plan roles alone the real program backs up into a vault and keeps its manifests there, and its identity can
// neither delete nor overwrite what it wrote. A recovery point past its time is kept, calmly, for as long as the policy lasts: no event, nothing
// in health, no failed cleanup. Where the vault's own rule has deleted the backup, the point has expired. Where Azure wants more of a service that
// writes in blocks, a refused backup says so, and the role that vault.bicep gives with blocks=true is enough.
func TestAVault(t *testing.T) {
	t.Parallel()
	for _, blocks := range []bool{false, true} {
		t.Run(fmt.Sprint("blocks=", blocks), func(t *testing.T) { testVault(t, blocks) })
	}
}

func testVault(t *testing.T, blocks bool) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	const kept = "kept"
	name := newServices(t, 1)[0]
	tune(t, name, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	target, store := stack.Service(name), accounts[taken.Add(1)-1]
	plan := strings.Replace(planOf(yearly, "1s", target), "storage: {account: "+stack.Account(stack.Backups)+", container: "+stack.Container+"}",
		"storage: {account: "+stack.Account(store)+", container: "+kept+", vault: true}", 1)
	a := newApp(t, stack.AppConfig{Plan: plan})
	makeContainers(t, store, kept)
	plans, _, err := config.NewReader(services.All().Known()).File(a.PlanFile, factor)
	if err != nil {
		t.Fatal(err)
	}
	var ofService roles.Assignment
	for _, r := range roles.Of(plans, services.All().Known()) {
		if set(t, a, r, true); r.Service != "" {
			ofService = r
		}
	}
	if v := a.check(""); len(v.Findings) != 1 || v.Findings[0].Error.Code != "NoVault" {
		t.Errorf("without a policy: %+v", v.Findings)
	}
	vault := func(until time.Time) {
		t.Helper()
		setAccount(t, store, func(s *fakeazure.StorageAccount) {
			s.Immutability, s.BlocksByAdd = fakeazure.Immutability{Container: kept, Until: until}, !blocks
		})
	}
	vault(time.Now().Add(time.Hour))
	if v := a.check(""); len(v.Findings) != 0 {
		t.Errorf("with exactly the roles of the plan: %+v", v.Findings)
	}
	if blocks {
		id, err := a.backupOf(ctx, target, uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		denied, err := a.await(ctx, id)
		if err != nil || denied.Run.State != backup.Failed || !strings.Contains(denied.Run.Reason.Hint, "blocks=true") {
			t.Fatalf("without the role for blocks: %v, %s: %+v", err, denied.Run.State, denied.Run.Reason)
		}
		set(t, a, ofService, false)
		ofService.Role.Name = "Lifeboat Vault Block Writer"
		ofService.Role.DataActions = append(slices.Clone(ofService.Role.DataActions), "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write")
		set(t, a, ofService, true)
		if v := a.check(""); len(v.Findings) != 0 {
			t.Errorf("with the role for blocks: %+v", v.Findings)
		}
	}
	first := a.recoverable(ctx, t, target)
	second := a.recoverable(ctx, t, target)

	// The identity of the app, from another program.
	as := func(identity string) *container.Client {
		t.Helper()
		client, err := azblob.NewClient("https://"+store+".blob.core.windows.net", world.Sim.Credential(identity), &azblob.ClientOptions{ClientOptions: options()})
		if err != nil {
			t.Fatal(err)
		}
		return client.ServiceClient().NewContainerClient(kept)
	}
	own := as(a.config.Name)
	blobsOf := func(p backup.Point) (names []string) {
		t.Helper()
		for pages := own.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{}); pages.More(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Segment.BlobItems {
				if strings.Contains(*item.Name, p.ID) {
					names = append(names, *item.Name)
				}
			}
		}
		return names
	}
	harms := func(when string) {
		t.Helper()
		names := blobsOf(second)
		if len(names) != 2 {
			t.Errorf("%s: %q are there: a backup, and its manifest", when, names)
		}
		for _, name := range names {
			_, deleted := own.NewBlobClient(name).Delete(ctx, nil)
			_, written := own.NewBlockBlobClient(name).UploadBuffer(ctx, []byte("forged"), nil)
			_, marked := own.NewBlobClient(name).SetMetadata(ctx, map[string]*string{"a": to.Ptr("b")}, nil)
			for what, err := range map[string]error{"deleted": deleted, "overwritten": written, "marked": marked} {
				if !bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) {
					t.Errorf("%s the app's identity has %s %s: %v", when, what, name, err)
				}
			}
		}
	}
	harms("under the policy")

	point := func() backup.Point {
		t.Helper()
		p, err := a.engine.RecoveryPoint(ctx, first.ID)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for point().KeptByStorage.Again.IsZero() {
		if err := a.Invoke(ctx, "cleanup"); err != nil {
			t.Fatal(err)
		}
		pause(ctx)
	}
	p := point()
	if p.State != backup.Live || p.KeptByStorage.Reason.Code != "KeptByVault" || p.Undeleted.Published != "" || !p.KeptByStorage.Until.After(time.Now()) {
		t.Errorf("it is %s: %+v, %+v", p.State, p.KeptByStorage, p.Undeleted)
	}
	if answer, text, err := a.request(ctx, http.MethodGet, "/api/recovery-points/"+first.ID, "", nil); err != nil || answer.StatusCode != 200 ||
		!strings.Contains(string(text), `"keptByStorage":{"untilDateTime":"`+p.KeptByStorage.Until.UTC().Format("2006-01-02T15:04:05")) {
		t.Errorf("%v: %s", err, text)
	}
	calm := func(when string) {
		t.Helper()
		for _, event := range a.events(ctx, t) {
			if strings.Contains(event, "undeleted") {
				t.Errorf("%s an event is told: %s", when, event)
			}
		}
		if _, _, text := a.health(ctx); strings.Contains(text, "undeleted") {
			t.Errorf("%s health is %s", when, text)
		}
	}
	calm("under the policy")

	// The policy is over. The app deletes nothing all the same; the vault's rule does.
	vault(time.Time{})
	harms("after the policy")
	a.recoverable(ctx, t, target)
	for _, name := range blobsOf(second) {
		if _, err := as(probe).NewBlobClient(name).Delete(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	a.expired(ctx, t, second.ID)
	calm("after the policy")
	if err := a.Invoke(ctx, "cleanup"); err != nil {
		t.Error(err)
	}
}
