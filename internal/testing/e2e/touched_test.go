package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/stack"
)

// TestTouchedArtifacts: after their backups a person, or a program that scans blobs, sets metadata of a blob, tags of another one,
// overwrites a third, leases a fourth, and puts a file into the folder of a Managed HSM beside setting metadata there. On their day
// the touched ones are deleted. The overwritten one is left alone, and the leased one until its lease ends: the points, one event
// each and health say so; once the lease has ended, that is taken back.
func TestTouchedArtifacts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 4)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...), WaitFactor: factor / 6})
	hsm := newHSM(t, a)
	targets := []string{hsm}
	for _, s := range services {
		targets = append(targets, stack.Service(s))
	}
	if err := a.edit(planOf(yearly, "1s", targets...) + "    restore: {into: [itself]}\n    hsm: {access: identity}\n"); err != nil {
		t.Fatal(err)
	}
	point := func(target, id string) backup.Point {
		t.Helper()
		run, err := a.backupOf(ctx, target, id+target[strings.LastIndex(target, "/")+1:])
		if err != nil {
			t.Fatal(err)
		}
		if status, err := a.await(ctx, run); err != nil || status.Point == nil {
			t.Fatalf("%v: %+v", err, status.Run)
		}
		p, err := a.engine.RecoveryPoint(ctx, run)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var first []backup.Point
	for _, target := range targets {
		first = append(first, point(target, "first"))
	}
	folder, metadata, tagged, overwritten, leased := first[0], first[1], first[2], first[3], first[4]
	in := blobs(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	scanned := map[string]*string{"scanned": to.Ptr("yes")}
	must(in.NewBlobClient(folder.Artifact+"/part-01").SetMetadata(ctx, scanned, nil))
	must(in.NewBlockBlobClient(folder.Artifact+"/README.md").UploadBuffer(ctx, []byte("Ask Kim before you delete this."), nil))
	must(in.NewBlobClient(metadata.Artifact).SetMetadata(ctx, scanned, nil))
	must(in.NewBlobClient(tagged.Artifact).SetTags(ctx, map[string]string{"cost": "4711"}, nil))
	must(in.NewBlockBlobClient(overwritten.Artifact).UploadBuffer(ctx, []byte(strings.Repeat("x", int(overwritten.Size))), nil))
	held, err := lease.NewBlobClient(in.NewBlobClient(leased.Artifact), nil)
	must(held, err)
	must(held.AcquireLease(ctx, -1, nil))

	// Each touched one can be restored, and the overwritten one cannot.
	for _, p := range first {
		response, text, err := a.request(ctx, http.MethodPost, "/api/restores",
			`{"id": "`+p.ID+`", "target": "`+p.Target+`", "recoveryPoint": "`+p.ID+`", "kind": "full", "dryRun": true}`, nil)
		changed := strings.Contains(string(text), "ArtifactChanged")
		if err != nil || response.StatusCode != http.StatusOK || changed != (p.ID == overwritten.ID) {
			t.Errorf("the dry run of %s: %v, %s", p.Artifact, err, text)
		}
	}

	var second []backup.Point
	for _, target := range targets {
		second = append(second, point(target, "second"))
	}
	cleanUntil := func(what string, wanted func() bool) {
		t.Helper()
		for !wanted() {
			if ctx.Err() != nil {
				t.Fatalf("never %s", what)
			}
			if err := a.Invoke(ctx, "cleanup"); err != nil {
				t.Fatal(err)
			}
			pause(ctx)
		}
	}
	states := func() (all []string) {
		for _, p := range first {
			p, err := a.engine.RecoveryPoint(ctx, p.ID)
			must(p, err)
			all = append(all, string(p.State))
		}
		return all
	}
	cleanUntil("deleted", func() bool {
		return slices.Equal(states(), []string{"expired", "expired", "expired", "altered", "live"})
	})
	if left := folders(t, hsm); left[folder.Artifact] != 1 || left[second[0].Artifact] != 4 {
		t.Errorf("of the HSM's folders these are left: %v", left)
	}
	for _, p := range []backup.Point{metadata, tagged} {
		if left := blobsNamed(t, p.Artifact); len(left) > 0 {
			t.Errorf("%q are left", left)
		}
	}
	if content := download(ctx, t, stack.Backups, overwritten.Artifact); !strings.HasPrefix(content, "xxx") {
		t.Error("the overwritten blob is not as it was")
	}
	for range 3 {
		if err := a.Invoke(ctx, "cleanup"); err != nil {
			t.Fatal(err)
		}
	}
	status, _, text := a.health(ctx)
	if status != http.StatusOK || !strings.Contains(text, `"recoveryPoint":"`+overwritten.ID) || !strings.Contains(text, `"recoveryPoint":"`+leased.ID) ||
		strings.Count(text, `"recoveryPoints":1`) != 2 {
		t.Errorf("health: %d %s", status, text)
	}
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "points", overwritten.Target)
	if code != 0 || !strings.Contains(out, "altered") {
		t.Errorf("points: %d, %s\n%s", code, errs, out)
	}

	// The lease ends.
	must(held.BreakLease(ctx, &lease.BlobBreakOptions{BreakPeriod: to.Ptr(int32(0))}))
	cleanUntil("deleted at last", func() bool {
		return slices.Equal(states(), []string{"expired", "expired", "expired", "altered", "expired"})
	})
	if _, _, text := a.health(ctx); strings.Contains(text, leased.ID) || !strings.Contains(text, `"recoveryPoint":"`+overwritten.ID) {
		t.Errorf("health: %s", text)
	}
	told := map[string][]string{}
	for _, text := range a.events(ctx, t) {
		var e struct{ ID, Type string }
		must(nil, json.Unmarshal([]byte(text), &e))
		if name, ok := strings.CutPrefix(e.Type, "lifeboat.recovery-point."); ok {
			id, _, _ := strings.Cut(e.ID, ".")
			told[id] = append(told[id], name)
		}
	}
	if len(told) != 2 || !slices.Equal(told[overwritten.ID], []string{"altered"}) || !slices.Equal(told[leased.ID], []string{"undeleted", "deleted"}) {
		t.Errorf("told %v", told)
	}
}
