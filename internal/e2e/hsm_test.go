package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/devhost"
	"lifeboat/internal/figures"
	"lifeboat/internal/sim"
	"lifeboat/internal/stack"
)

// newHSM puts a fresh Managed HSM into Azure's side, which the app may back up.
func newHSM(t testing.TB, a *app) (target string) {
	t.Helper()
	name := "h" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	if err := world.AddHSM(name, a.config.Name); err != nil {
		t.Fatal(err)
	}
	return stack.HSM(name)
}

// folders are those of the HSM in the container of all backups, with the number of their blobs.
func folders(t testing.TB, hsm string) map[string]int {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(stack.Backups), sim.StorageBlobDataContributor)
	client, err := container.NewClient("https://"+stack.Backups+".blob.core.windows.net/"+stack.Container,
		world.Sim.Credential(probe), &container.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	prefix := "mhsm-" + hsm[strings.LastIndex(hsm, "/")+1:] + "-"
	for pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(prefix)}); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Segment.BlobItems {
			folder, _, _ := strings.Cut(*item.Name, "/")
			found[folder]++
		}
	}
	return found
}

// TestHSM takes a Managed HSM from its backup to the expiry of that, by its identity and by SAS, and looks for secrets in
// all that the program left and said.
func TestHSM(t *testing.T) {
	for _, access := range []string{"identity", "sas"} {
		t.Run(access, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			var mu sync.Mutex
			var said strings.Builder
			show := logTo(t)
			a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1s", newServices(t, 1)...), Log: func(e devhost.Entry) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(&said, e.String())
				show(e)
			}})
			world.Sim.Assign(world.Sim.ObjectID(a.config.Name), stack.Account(stack.Backups), sim.StorageAccountKeyOperator)
			hsm := newHSM(t, a)
			if err := a.edit(planOf(yearly, "1s", hsm) + "    hsm: {access: " + access + "}\n"); err != nil {
				t.Fatal(err)
			}
			var points []backup.Point
			for i := range 2 {
				before, _ := spent(t, a)
				id, err := a.backupOf(ctx, hsm, access+itoa(i))
				if err != nil {
					t.Fatal(err)
				}
				status, err := a.await(ctx, id)
				if err != nil || status.Run.State != backup.Succeeded {
					t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
				}
				after, _ := spent(t, a)
				figures.Report(t, "a backup of a Managed HSM by %s with %d polls: %d requests", access, status.Run.Polls, after-before)
				p, err := a.engine.RecoveryPoint(ctx, id)
				if err != nil || p.State != backup.Live || p.Note != "" || folders(t, hsm)[p.Artifact] != 4 {
					t.Fatalf("%+v, %v; the container holds %v", p, err, folders(t, hsm))
				}
				if files, err := a.engine.Files(ctx, p); err != nil || len(files) != 4 {
					t.Errorf("%+v, %v", files, err)
				}
				points = append(points, p)
			}
			for first := points[0]; first.State != backup.Expired; {
				if err := a.Invoke(ctx, "cleanup"); err != nil {
					t.Fatal(err)
				}
				var err error
				if first, err = a.engine.RecoveryPoint(ctx, first.ID); err != nil {
					t.Fatal(err)
				}
				pause(ctx)
			}
			if left := folders(t, hsm); len(left) != 1 || left[points[1].Artifact] != 4 {
				t.Errorf("after the first expired the container holds %v", left)
			}
			response, text, err := a.request(ctx, http.MethodGet, "/api/runs/"+points[1].ID, "", nil)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%v, %s", err, text)
			}
			mu.Lock()
			all := said.String() + string(text)
			mu.Unlock()
			wantNoSecrets(t, ctx, a, all)
		})
	}
}

// wantNoSecrets looks for account keys and signatures in the text, and in all rows and events of the app.
func wantNoSecrets(t *testing.T, ctx context.Context, a *app, text string) {
	t.Helper()
	var all strings.Builder
	all.WriteString(text)
	rows := tables(t, a.config.Account).NewClient("lifeboat").NewListEntitiesPager(nil)
	n := 0
	for rows.More() {
		page, err := rows.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Entities {
			all.Write(row)
			n++
		}
	}
	for _, queue := range []string{"execute", "lifeboat-events"} {
		answer, err := a.queue(queue).PeekMessages(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range answer.Messages {
			all.WriteString(*m.MessageText)
		}
	}
	if n < 10 {
		t.Errorf("only %d rows were looked at", n)
	}
	for _, secret := range append(slices.Clone(world.Keys()), "sig=", "sig%3D") {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q is in what the program left or said", secret)
		}
	}
}
