package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	azshare "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// ownShare is the client of a share for the owner of the account.
func ownShare(t *testing.T, name string) *azshare.Client {
	t.Helper()
	keys := world.Keys()
	credential, err := service.NewSharedKeyCredential(stack.Backups, keys[len(keys)-1])
	if err != nil {
		t.Fatal(err)
	}
	client, err := service.NewClientWithSharedKeyCredential("https://"+stack.Backups+".file.core.windows.net/", credential,
		&service.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	return client.NewShareClient(name)
}

// downloadShare copies the files of a share into a new folder.
func downloadShare(t *testing.T, share *azshare.Client) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var walk func(in string, d *directory.Client)
	walk = func(in string, d *directory.Client) {
		for pages := d.NewListFilesAndDirectoriesPager(nil); pages.More(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, sub := range page.Segment.Directories {
				walk(path.Join(in, *sub.Name), d.NewSubdirectoryClient(*sub.Name))
			}
			for _, f := range page.Segment.Files {
				content := make([]byte, *f.Properties.ContentLength)
				if _, err := d.NewFileClient(*f.Name).DownloadBuffer(t.Context(), content, nil); err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Join(folder, in), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, in, *f.Name), content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	walk("", share.NewRootDirectoryClient())
	return folder
}

// TestLedgerFromItsShare: a person verifies and reads a backup in its share with the real program, and with no role on the app or the
// ledger. Then a file is changed, and the share deleted.
func TestLedgerFromItsShare(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), Log: logTo(t)})
	target := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	if err := a.edit(planOf(yearly, "1d", target)); err != nil {
		t.Fatal(err)
	}
	id, err := a.backupOf(ctx, target, "read")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := a.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%v: %+v", err, status.Run)
	}
	point, err := a.engine.RecoveryPoint(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	share := ownShare(t, point.Artifact)
	folder := downloadShare(t, share)
	who := "auditor-" + uuid.NewString()
	env := append(world.Environment(who), "LIFEBOAT_URL="+a.URL(), "LIFEBOAT_KEY="+a.Key("api"))
	lifeboat := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := commandIn(ctx, t, env, a.Key("api"), append([]string{"ledger"}, args...)...)
		if code != want {
			t.Errorf("%q: exit code %d, want %d\n%s%s", args, code, want, out, errs)
		}
		return out, errs
	}

	// The person has no role yet.
	role := `az role assignment create --assignee ` + world.Sim.ObjectID(who) + ` --role "Storage File Data Privileged Reader"`
	if _, errs := lifeboat(1, "verify", id); !strings.Contains(errs, role) {
		t.Errorf("%q is not in\n%s", role, errs)
	}
	world.Sim.Assign(world.Sim.ObjectID(who), stack.Account(stack.Backups), fakeazure.StorageFileDataPrivilegedReader)

	// Each command says the same of the share as of the folder.
	for _, args := range [][]string{
		{"log", id}, {"log", id, "-o", "json"}, {"show", id, "2.10"}, {"governance", id}, {"governance", id, "-o", "json"}, {"diff", id, folder},
	} {
		there, errs := lifeboat(0, args...)
		if errs != "" {
			t.Errorf("%q: %s", args, errs)
		}
		local := append([]string{}, args...)
		local[1] = folder
		here, _ := lifeboat(0, local...)
		if strings.ReplaceAll(there, id, folder) != here {
			t.Errorf("%q: from the share\n%s\nfrom the folder\n%s", args, there, here)
		}
	}
	var r, local map[string]any
	out, _ := lifeboat(0, "verify", id, "-o", "json")
	here, _ := lifeboat(0, "verify", folder, "-o", "json")
	if json.Unmarshal([]byte(out), &r) != nil || json.Unmarshal([]byte(here), &local) != nil || r["root"] != local["root"] ||
		r["proven"] != true || len(r["errors"].([]any)) > 0 || r["signed"] != "2.19" {
		t.Errorf("%s\n%s", out, here)
	}

	// A bit of a file is changed that no verifier misses, and the manifest names the file.
	world.Sim.Assign(world.Sim.ObjectID(who), stack.Account(stack.Backups), fakeazure.StorageBlobDataReader)
	names, err := filepath.Glob(filepath.Join(folder, "ledger", "*.committed"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	content, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	name := "ledger/" + filepath.Base(names[0])
	if _, err := share.NewRootDirectoryClient().NewFileClient(name).UploadRange(ctx, 100, streaming.NopCloser(bytes.NewReader([]byte{content[100] ^ 1})),
		&file.UploadRangeOptions{}); err != nil {
		t.Fatal(err)
	}
	out, errs := lifeboat(3, "verify", id)
	words := strings.Join(strings.Fields(out), " ")
	if !strings.Contains(words, "error FileDiffers "+name+": its SHA-256 is ") || !strings.Contains(words, "error TransactionDamaged ") || !strings.Contains(errs, id+" is not proven: ") {
		t.Errorf("%s%s", out, errs)
	}
	lifeboat(3, "diff", folder, id)

	// The share is gone.
	if _, err := share.Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, errs := lifeboat(1, "show", id, "2.10"); !strings.Contains(errs, "ShareGone: the share "+point.Artifact+" ") {
		t.Error(errs)
	}
	for _, c := range world.Sim.Calls() {
		if c.ObjectID == world.Sim.ObjectID(who) && c.Host != stack.Backups+".file.core.windows.net" && c.Host != stack.Backups+".blob.core.windows.net" {
			t.Errorf("the sign-in was sent to %s", c.Host)
		}
	}
}
