package e2e

import (
	"context"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// newLedger adds a new Managed CCF or Confidential Ledger to Azure's side. The app may back it up.
func newLedger(t testing.TB, a *app, id func(string) string, add func(*stack.Stack, string, string) error) (target string) {
	t.Helper()
	name := "l" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	if err := add(world, name, a.config.Name); err != nil {
		t.Fatal(err)
	}
	return id(name)
}

// shares returns the shares of the service in the account of all backups, with the number of their files.
func shares(t testing.TB, target string) map[string]int {
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
	found := map[string]int{}
	var walk func(*directory.Client) int
	walk = func(d *directory.Client) (files int) {
		for pages := d.NewListFilesAndDirectoriesPager(nil); pages.More(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			files += len(page.Segment.Files)
			for _, below := range page.Segment.Directories {
				files += walk(d.NewSubdirectoryClient(*below.Name))
			}
		}
		return files
	}
	prefix := strings.ToLower(path.Base(target)) + "-"
	for pages := client.NewListSharesPager(&service.ListSharesOptions{Prefix: to.Ptr(prefix)}); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, share := range page.Shares {
			found[*share.Name] = walk(client.NewShareClient(*share.Name).NewRootDirectoryClient())
		}
	}
	return found
}

// TestLedger follows a Managed CCF and a Confidential Ledger from their backup to the expiry of the recovery point, and looks
// for secrets in everything that the program left and logged.
func TestLedger(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]struct {
		id  func(string) string
		add func(*stack.Stack, string, string) error
		// note is the text in the recovery point's row, state the text for other programs.
		note, state string
		files       int // an export has the service's certificate too
	}{
		"Managed CCF":         {stack.CCF, (*stack.Stack).AddCCF, "", `"state":"live"`, 4},
		"Confidential Ledger": {stack.Ledger, (*stack.Stack).AddLedger, "Azure restores no ledger from exported files", `"state":"copyOnly","copyOnly":true`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			kept := &keeper{seen: map[string][]string{}}
			show := logTo(t)
			a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1s", newServices(t, 1)...), Log: func(e fakehost.Entry) {
				kept.see("log", e.String())
				show(e)
			}})
			intercept(t, a.ObjectID, kept.meet)
			target := newLedger(t, a, kind.id, kind.add)
			if err := a.edit(planOf(yearly, "1s", target) + "    ccf: {restoreRegion: northeurope}\n"); err != nil {
				t.Fatal(err)
			}
			var points []backup.Point
			for i := range 2 {
				before, _ := spent(a)
				id, err := a.backupOf(ctx, target, name+itoa(i))
				if err != nil {
					t.Fatal(err)
				}
				status, err := a.await(ctx, id)
				if err != nil || status.Run.State != backup.Succeeded {
					t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
				}
				after, _ := spent(a)
				figures.Report(t, "a backup of a %s with %d polls: %d requests", name, status.Run.Polls, after-before)
				p, err := a.engine.RecoveryPoint(ctx, id)
				if err != nil || p.State != backup.Live || !strings.Contains(p.Note, kind.note) || (p.Note == "") != (kind.note == "") ||
					shares(t, target)[p.Artifact] != kind.files {
					t.Fatalf("%+v, %v; the account holds %v", p, err, shares(t, target))
				}
				if files, err := a.engine.Files(ctx, p); err != nil || len(files) != kind.files {
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
			if left := shares(t, target); len(left) != 1 || left[points[1].Artifact] != kind.files {
				t.Errorf("after the first expired the account holds %v", left)
			}
			response, text, err := a.request(ctx, http.MethodGet, "/api/runs/"+points[1].ID, "", nil)
			if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(text), "not committed") ||
				!strings.Contains(string(text), `{"name":"lastSignedTransaction","value":"2.19"}`) ||
				!strings.Contains(string(text), kind.state) {
				t.Fatalf("%v, %s", err, text)
			}
			kept.see("API", string(text))
			kept.read(ctx, t, a)
			kept.evaluate(t, true, "log", "requests", "API", "table", "events")
		})
	}
}

// TestLedgerWhoseSASRunsOut: the backup is started once more, with a new SAS, and nothing is left from the first one.
func TestLedgerWhoseSASRunsOut(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), Log: logTo(t)})
	target := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	if err := a.edit(planOf(yearly, "1d", target)); err != nil {
		t.Fatal(err)
	}
	err := world.Sim.Inject(target, fakeazure.Fault{
		Kind: fakeazure.FailHalfway, Code: "StorageAccessFailed", Message: "The storage account answered 403 AuthenticationFailed.",
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := a.backupOf(ctx, target, "expired")
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.await(ctx, id)
	// An attempt that could not read the account's key, on a busy machine, has a number too, and starts nothing.
	if err != nil || status.Run.State != backup.Succeeded || !status.Run.CredentialExpired || status.Run.Lost != 0 {
		t.Fatalf("%v: %+v", err, status.Run)
	}
	if n := startsSent(target); n != 2 {
		t.Errorf("%d starts were sent", n)
	}
	if left := shares(t, target); len(left) != 1 || left[status.Run.Artifact] != 4 {
		t.Errorf("the account holds %v", left)
	}
}
