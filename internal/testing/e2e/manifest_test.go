package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/manifest"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// manifestsOf reads the manifests of a recovery point, by their names: of a file share from the container of the account.
func manifestsOf(t testing.TB, target, point string) map[string]manifest.Manifest {
	t.Helper()
	in, folder := blobs(t), backup.ManifestFolder+"/"
	if strings.Contains(target, "Microsoft.ConfidentialLedger") {
		world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
		client, err := container.NewClient("https://"+stack.Backups+".blob.core.windows.net/"+backup.ManifestFolder, world.Sim.Credential(probe),
			&container.ClientOptions{ClientOptions: options()})
		if err != nil {
			t.Fatal(err)
		}
		in, folder = client, ""
	}
	found := map[string]manifest.Manifest{}
	for pages := in.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(folder + point + ".")}); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Segment.BlobItems {
			answer, err := in.NewBlobClient(*item.Name).DownloadStream(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var m manifest.Manifest
			err = json.NewDecoder(answer.Body).Decode(&m)
			_ = answer.Body.Close()
			if err != nil {
				t.Errorf("the manifest %s: %v", *item.Name, err)
			}
			found[strings.TrimPrefix(*item.Name, folder)] = m
		}
	}
	return found
}

// wantManifest checks that the point has the one manifest of its making, which says what its row and its rows of files say.
func (a *app) wantManifest(ctx context.Context, when, id string) {
	a.t.Helper()
	p, err := a.engine.RecoveryPoint(ctx, id)
	if err != nil {
		a.t.Errorf("%s: %v", when, err)
		return
	}
	found := manifestsOf(a.t, p.Target, id)
	made, ok := found[id+".made.json"]
	if !ok || len(found) != 1 {
		a.t.Errorf("%s: the manifests of %s are %v", when, id, found)
		return
	}
	var said backup.Point
	if err := json.Unmarshal(made.Point, &said); err != nil {
		a.t.Errorf("%s: %v", when, err)
	}
	files, err := backup.ReadFiles(ctx, a.catalog, p)
	said.RowETag = p.RowETag
	if err != nil || string(backup.Encode(said)) != string(backup.Encode(p)) || !slices.Equal(made.Files, files) || made.Version != manifest.Version {
		a.t.Errorf("%s: %v: the manifest %+v does not say %s, %v", when, err, made, backup.Encode(p), files)
	}
}

// lostCatalog backs up an API Management and a Managed HSM, twice, and has the table lost. Health must not be well, an event must say
// it once, also after a new backup, and the manifests say what the blobs are of. It ends once the artifacts are gone.
func lostCatalog(t *testing.T, lose func(ctx context.Context, t *testing.T, a *app) *app) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "20d", service)})
	hsm, fresh := newHSM(t, a), newServices(t, 1)[0]
	targets := []string{stack.Service(service), hsm, stack.Service(fresh)} // the last one is never backed up
	if err := a.edit(planOf(yearly, "20d", targets...)); err != nil {
		t.Fatal(err)
	}
	var points []string
	for _, target := range targets[:2] {
		id, err := a.backupOf(ctx, target, "before"+target[strings.LastIndex(target, "/")+1:])
		if err != nil {
			t.Fatal(err)
		}
		if status, err := a.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%v: %+v", err, status.Run)
		}
		a.wantManifest(ctx, "after its backup", id)
		points = append(points, id)
	}
	if err := a.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	if status, h, text := a.health(ctx); status != http.StatusOK || h.Targets[2].Status != "pending" {
		t.Fatalf("health before the loss: %d %s", status, text)
	}
	a.events(ctx, t)

	b := lose(ctx, t, a)
	ill := func(when string) {
		t.Helper()
		status, h, text := b.health(ctx)
		if status != http.StatusServiceUnavailable || len(h.Targets) != 3 {
			t.Fatalf("%s: health %d %s", when, status, text)
		}
		for i, want := range []string{"CatalogIncomplete", "CatalogIncomplete", "NeverBackedUp"} {
			if got := h.Targets[i].Reason.Code; got != want && (got != "" || i != 2) {
				t.Errorf("%s: the reason of %s is %s, want %s: %s", when, h.Targets[i].Target, got, want, text)
			}
		}
		if code, out, _ := command(ctx, t, b.URL(), b.Key("health"), "health"); code == 0 || strings.Count(out, "CatalogIncomplete") != 2 {
			t.Errorf("%s: lifeboat health: %d, %s", when, code, out)
		}
	}
	if err := b.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	ill("after the loss")
	told := map[string]string{}
	hear := func() {
		t.Helper()
		for _, text := range b.events(ctx, t) {
			var e struct{ ID, Type, Subject string }
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(e.Type, "lifeboat.catalog.") {
				told[e.ID] = e.Type + " " + e.Subject
			}
		}
	}
	hear()
	if len(told) != 2 {
		t.Errorf("after the loss these events were sent: %v", told)
	}
	// A new backup hides nothing, and an idle timer run does not search again.
	id, err := b.backupOf(ctx, targets[0], "after")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := b.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%v: %+v", err, status.Run)
	}
	before := len(world.Sim.Calls())
	for range 2 {
		if err := b.Invoke(ctx, "schedule"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range world.Sim.Calls()[before:] {
		if c.ObjectID == b.ObjectID && strings.HasPrefix(c.Host, stack.Backups+".") {
			t.Errorf("an idle timer run requests %s %s", c.Method, c.Path)
		}
	}
	ill("after a new backup")

	// The artifacts and manifests are deleted by hand. A day later Lifeboat sees it.
	in := blobs(t)
	for i, p := range points {
		if len(manifestsOf(t, targets[i], p)) != 1 {
			t.Errorf("the manifest of %s is gone", p)
		}
		for _, prefix := range []string{p, backup.ManifestFolder + "/" + p, "mhsm-" + hsm[strings.LastIndex(hsm, "/")+1:] + "-"} {
			for _, name := range blobsNamed(t, prefix) {
				if _, err := in.NewBlobClient(name).Delete(ctx, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, target := range targets[:2] {
		key := backup.IncompleteKey(target, backup.Storage{Account: stack.Account(stack.Backups), Container: stack.Container})
		row, _, err := b.catalog.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(row.Body, &body); err != nil {
			t.Fatal(err)
		}
		body["Checked"] = time.Now().Add(-25 * time.Hour).UTC().Format(time.RFC3339)
		if _, err := b.catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: backup.Encode(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Invoke(ctx, "schedule"); err != nil {
		t.Fatal(err)
	}
	if status, _, text := b.health(ctx); status != http.StatusOK || strings.Contains(text, "CatalogIncomplete") {
		t.Errorf("health at the end: %d %s", status, text)
	}
	hear()
	complete := 0
	for _, what := range told {
		if strings.HasPrefix(what, "lifeboat.catalog.complete ") {
			complete++
		}
	}
	if len(told) != 4 || complete != 2 {
		t.Errorf("at the end these events were sent: %v", told)
	}
}

// TestTheTableIsGone: a person deletes the table.
func TestTheTableIsGone(t *testing.T) {
	t.Parallel()
	lostCatalog(t, func(ctx context.Context, t *testing.T, a *app) *app {
		if _, err := tables(t, a.config.Account).DeleteTable(ctx, "lifeboat", nil); err != nil {
			t.Fatal(err)
		}
		return a
	})
}

// TestAnotherStorageAccount: the app gets another storage account, with an empty table.
func TestAnotherStorageAccount(t *testing.T) {
	t.Parallel()
	lostCatalog(t, func(ctx context.Context, t *testing.T, a *app) *app {
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		c := a.config
		plan, err := os.ReadFile(a.PlanFile)
		if err != nil {
			t.Fatal(err)
		}
		c.Account, c.Log, c.Plan = "", nil, string(plan)
		return newApp(t, c)
	})
}

// TestCrashAtEveryRequestOfCleanup kills the program after each request of a cleanup that deletes a recovery point. The next cleanups
// delete its artifact and its manifests, and those of the newer point stay.
func TestCrashAtEveryRequestOfCleanup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	w := newWalker(t)
	point := func(service string) backup.Point {
		t.Helper()
		id, err := w.backup(ctx, service, uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		if status, err := w.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%v: %+v", err, status.Run)
		}
		p, err := w.engine.RecoveryPoint(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var services []string
	killed := 0
	for n := int64(1); ; n++ {
		// Each time another service: cleanup comes back to a point that was the newest after hours only.
		service := newServices(t, 1)[0]
		tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
		services = append(services, service)
		if err := w.edit(planFor(yearly, "1s", services...)); err != nil {
			t.Fatal(err)
		}
		old, newest := point(service), point(service)
		for time.Now().Before(old.Expires.Add(time.Second)) {
			pause(ctx)
		}
		w.requests.Store(0)
		w.fired.Store(false)
		w.armed.Store(&kill{n, fakeazure.After})
		_ = w.Invoke(ctx, "cleanup") // it may die of that
		w.armed.Store(nil)
		gone := func() bool {
			p, err := w.engine.RecoveryPoint(ctx, old.ID)
			rows, _, listed := w.catalog.List(ctx, backup.DuePartition, "", "~", 1000)
			return err == nil && listed == nil && p.State == backup.Expired &&
				!slices.ContainsFunc(rows, func(r backup.Row) bool { return strings.Contains(r.Row, old.ID) })
		}
		for !gone() {
			if ctx.Err() != nil {
				t.Fatalf("killed after request %d: %s is never deleted", n, old.ID)
			}
			_ = w.Invoke(ctx, "cleanup") // the program may not be there yet
			pause(ctx)
		}
		if left := append(blobsNamed(t, old.ID), blobsNamed(t, backup.ManifestFolder+"/"+old.ID)...); len(left) > 0 {
			t.Errorf("killed after request %d: %q are left", n, left)
		}
		w.wantManifest(ctx, "killed after request "+strconv.FormatInt(n, 10)+" of a cleanup", newest.ID)
		if !w.fired.Load() {
			break
		}
		killed++
	}
	figures.Report(t, "%d cleanups killed", killed)
	if killed < 8 {
		t.Errorf("only %d instants were killed at", killed)
	}
}
