package ledger_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	azfile "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	azshare "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

const (
	ccfs    = groups + "/apps/providers/Microsoft.ConfidentialLedger/managedCCFs/"
	ledgers = groups + "/apps/providers/Microsoft.ConfidentialLedger/ledgers/"
	app     = "app"
)

// world runs the fake of Azure's side, the simulator.
type world struct{ *fakeazure.Sim }

// newWorld starts the simulator with one storage account; the function app may read the account's keys.
func newWorld(t *testing.T) world {
	t.Helper()
	s, err := fakeazure.Start(fakeazure.Config{Dir: filepath.Join(t.TempDir(), "sim"), TimeScale: 0.01, Seed: 1})
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, s.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: key}))
	s.Assign(s.ObjectID(app), account, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)
	return world{s}
}

// add adds a Managed CCF or a ledger whose backups take a tenth of a second.
func (w world) add(t *testing.T, id string, tune func(*fakeazure.LedgerOptions)) string {
	t.Helper()
	must(t, w.AddLedger(fakeazure.Ledger{ResourceID: id, Entries: []string{"one", "two", "three", "four", "five", "six", "seven", "eight"}}))
	must(t, w.TuneLedger(id, func(k *fakeazure.LedgerOptions) {
		k.Backup, k.Restore = fakeazure.Range{Shortest: 10 * time.Second, Longest: 10 * time.Second}, fakeazure.Range{Shortest: 10 * time.Second}
		if tune != nil {
			tune(k)
		}
	}))
	w.Assign(w.ObjectID(app), id, fakeazure.LedgerOperator)
	return id
}

// provider makes the provider of a new process, with the options of the app.
func (w world) provider() *ledger.Provider {
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	return ledger.New(w.Credential(app), options)
}

// files makes a client of the account's file service.
func (w world) files(t *testing.T) *service.Client {
	t.Helper()
	credential, err := service.NewSharedKeyCredential("contosobackups", key)
	must(t, err)
	client, err := service.NewClientWithSharedKeyCredential("https://contosobackups.file.core.windows.net/", credential,
		&service.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	must(t, err)
	return client
}

// contents reads the files of a share, by their paths.
func (w world) contents(t *testing.T, share string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	root := w.files(t).NewShareClient(share)
	var walk func(string, *directory.Client)
	walk = func(in string, d *directory.Client) {
		for pages := d.NewListFilesAndDirectoriesPager(nil); pages.More(); {
			page, err := pages.NextPage(t.Context())
			must(t, err)
			for _, sub := range page.Segment.Directories {
				walk(path.Join(in, *sub.Name), root.NewDirectoryClient(path.Join(in, *sub.Name)))
			}
			for _, f := range page.Segment.Files {
				content := make([]byte, *f.Properties.ContentLength)
				_, err := d.NewFileClient(*f.Name).DownloadBuffer(t.Context(), content, nil)
				must(t, err)
				found[path.Join(in, *f.Name)] = content
			}
		}
	}
	walk("", root.NewRootDirectoryClient())
	return found
}

// digest computes the SHA-256 of the list of a share's files from the stored files.
func (w world) digest(t *testing.T, share string) string {
	t.Helper()
	contents := w.contents(t, share)
	var names []string
	for name := range contents {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(contents[name]), name)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// touch sets metadata of a file of the share.
func (w world) touch(t *testing.T, share string) {
	t.Helper()
	names := slices.Sorted(maps.Keys(w.contents(t, share)))
	_, err := w.files(t).NewShareClient(share).NewRootDirectoryClient().NewFileClient(names[0]).SetMetadata(t.Context(),
		&azfile.SetMetadataOptions{Metadata: map[string]*string{"scanned": to.Ptr("yes")}})
	must(t, err)
}

// faults maps the faults of the conformance suites to the faults of the simulator.
var faults = map[any]fakeazure.Fault{
	conformance.LookThrottled:  {Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor},
	conformance.LookRefused:    {Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 404},
	conformance.StartBusy:      {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 409, Message: "Another operation is in progress"},
	conformance.StartRefused:   {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 400, Code: "BadRequest"},
	conformance.StartLost:      {Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer},
	conformance.PollThrottled:  {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor},
	conformance.PollDenied:     {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.OperationFails: {Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Code: "BackupFailed", Message: "The disk is full"},
	conformance.OperationPasses: {
		Kind: fakeazure.FailHalfway, Code: "ServiceUnavailable", Message: "Try again",
	},
	// A missing share does not end an operation: that has a test of its own.
	conformance.ArtifactEmpty:   {Kind: fakeazure.EmptyShare},
	conformance.ArtifactMissing: {Kind: fakeazure.EmptyShare},

	conformance.RestoreBusy:    {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 409, Message: "Another operation is in progress"},
	conformance.RestoreRefused: {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 400, Code: "BadRequest"},
	conformance.RestoreLost:    {Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer},
	conformance.RestoreFails:   {Kind: fakeazure.FailOperation, Step: fakeazure.OnRestore, Message: "The backup is corrupt"},
	conformance.RestoreUntold:  {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.RestoreAway:    {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 503},
}

func (w world) inject(t *testing.T, id string, f any) {
	t.Helper()
	fault, ok := faults[f]
	if !ok {
		t.Fatalf("the simulator has no fault for %q", f)
	}
	must(t, w.Inject(id, fault))
}

// starts returns the number of requests of the kinds that reached the service.
func (w world) starts(id string, kinds ...fakeazure.LedgerOperationKind) (n int) {
	for _, r := range w.LedgerRequests() {
		if r.Ledger == id && slices.Contains(kinds, r.Kind) {
			n++
		}
	}
	return n
}

func (w world) harness(id string) conformance.ProviderHarness {
	return conformance.ProviderHarness{
		Target: id, Storage: backup.Storage{Account: account},
		Provider: func() backup.Provider { return w.provider() },
		Inject:   func(t *testing.T, f conformance.ProviderFault) { t.Helper(); w.inject(t, id, f) },
		Starts:   func() int { return w.starts(id, fakeazure.LedgerBackup, fakeazure.LedgerExport) },
		Changes: func() (n int) {
			for _, c := range w.Calls() {
				here := c.Host == "management.azure.com" || c.Host == "contosobackups.file.core.windows.net"
				if here && c.Method != http.MethodGet && c.Method != http.MethodHead && c.Method != http.MethodConnect {
					n++
				}
			}
			return n
		},
		Digest:  w.digest,
		Touch:   w.touch,
		Stamped: true,
	}
}

// TestAgainstTheSimulator makes a world for each test, because most of the time is waiting.
func TestAgainstTheSimulator(t *testing.T) {
	suite := func(id string, tune func(*fakeazure.LedgerOptions)) func(world, *testing.T) {
		return func(w world, t *testing.T) { t.Helper(); conformance.TestProvider(t, w.harness(w.add(t, id, tune))) }
	}
	restores := func(tune func(*fakeazure.LedgerOptions)) func(world, *testing.T) {
		return func(w world, t *testing.T) {
			t.Helper()
			conformance.TestRestorer(t, w.restores(t, w.add(t, ccfs+"back", tune)))
		}
	}
	for name, test := range map[string]func(world, *testing.T){
		"conformance of Managed CCF": suite(ccfs+"Plain", nil),
		"conformance of an export":   suite(ledgers+"export", nil),
		"conformance, the other readings": suite(ccfs+"other", func(k *fakeazure.LedgerOptions) {
			k.Provisioning, k.Share, k.ShareStamp, k.ShareLayout = fakeazure.ProvisioningShown, fakeazure.ShareAtEnd, fakeazure.StampDate, fakeazure.LayoutFlat
			k.SASChecked, k.FailedPoll, k.PollURL, k.PollWords = fakeazure.SASCheckedAtStart, fakeazure.FailedAsStatus, fakeazure.PlainPollURL, fakeazure.CommonWords
			k.PollLocation, k.PollRetryAfter, k.SecondStart = fakeazure.WithPollLocation, fakeazure.WithPollRetryAfter, fakeazure.SecondStartRefused
		}),
		"failures that may pass": func(w world, t *testing.T) {
			t.Helper()
			conformance.TestPassing(t, w.harness(w.add(t, ccfs+"passing", nil)))
		},
		"restores": restores(nil),
		"restores, the other readings": restores(func(k *fakeazure.LedgerOptions) {
			k.Restored, k.FailedRestore, k.FailedPoll = fakeazure.RestoredAtEnd, fakeazure.FailedRestoreVanishes, fakeazure.FailedAsStatus
			k.PollURL, k.PollWords, k.PollLocation = fakeazure.SubscriptionPollURL, fakeazure.CommonWords, fakeazure.WithPollLocation
		}),
		"restores, as described": restores(func(k *fakeazure.LedgerOptions) {
			k.Provisioning, k.Restored, k.PollURL = fakeazure.ProvisioningShown, fakeazure.RestoredUnready, fakeazure.PlainPollURL
		}),
		"a lost restore":   world.testLostRestore,
		"refused restores": world.testRefusedRestores,
		"torn shares":      world.testTorn,
		"continuity":       world.testContinuity,
		"deletion":         world.testDeletion,
		"a rotated key":    world.testRotatedKey,
		"refusals":         world.testRefusals,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t), t)
		})
	}
}

// attempt returns the first attempt of a run.
func (w world) attempt(id string) backup.Attempt {
	return backup.Attempt{
		Target: id, Storage: backup.Storage{Account: account}, Run: run, Artifact: run + ".1", NotBefore: time.Now(), QuietPeriod: time.Second,
	}
}

// backUp makes a backup, each call as another process, and returns the attempt with its share.
func (w world) backUp(t *testing.T, a backup.Attempt) backup.Attempt {
	t.Helper()
	operation, err := w.provider().Begin(t.Context(), a)
	must(t, err)
	eventually(t, "the backup ends", func() bool {
		if !operation.Done {
			operation, err = w.provider().Poll(t.Context(), a, operation.Token)
			must(t, err)
		}
		return operation.Done
	})
	a.Artifact = operation.Artifact
	return a
}

// restores returns the harness for restores of the service.
func (w world) restores(t *testing.T, id string) conformance.RestoreHarness {
	t.Helper()
	before, err := w.LedgerState(id)
	must(t, err)
	a := w.backUp(t, w.attempt(id))
	idle := func(t *testing.T) {
		t.Helper()
		eventually(t, "nothing is restored", func() bool {
			return !slices.ContainsFunc(w.LedgerOperations(), func(o fakeazure.LedgerOperation) bool {
				return o.Ledger == id && o.State == fakeazure.InProgress
			})
		})
	}
	return conformance.RestoreHarness{
		Restorer: func() backup.Restorer { return w.provider() },
		Ready: func(t *testing.T) backup.Restore {
			t.Helper()
			idle(t)
			if _, err := w.LedgerState(id); err == nil {
				must(t, w.DeleteLedger(id))
			}
			return backup.Restore{
				Target: id, Storage: a.Storage, Artifact: a.Artifact, Kind: backup.RestoreFull,
				Region: "westeurope",
			}
		},
		Restored: func(t *testing.T, _ backup.Restore) {
			t.Helper()
			if after, err := w.LedgerState(id); err != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("%+v came back, %v; want %+v", after, err, before)
			}
		},
		Inject: func(t *testing.T, f conformance.RestoreFault) { t.Helper(); w.inject(t, id, f) },
		Starts: func() int { return w.starts(id, fakeazure.LedgerRestore) },
		Idle:   idle,
	}
}

// testLostRestore checks that a lost restore is found without the operation, as far as each reading of the API permits.
// If the resource looks ready during the restore, the provider cannot see that the restore is still running.
func (w world) testLostRestore(t *testing.T) {
	for i, test := range []struct {
		tune    func(*fakeazure.LedgerOptions)
		version string
		early   bool // the restore is reported as done too early
	}{
		{nil, "", true},
		{nil, "2023-06-28-preview", true},
		{func(k *fakeazure.LedgerOptions) { k.Restored = fakeazure.RestoredUnready }, "", false},
		{func(k *fakeazure.LedgerOptions) { k.Restored = fakeazure.RestoredAtEnd }, "", false},
		{func(k *fakeazure.LedgerOptions) { k.Provisioning = fakeazure.ProvisioningShown }, "", false},
	} {
		id := w.add(t, fmt.Sprintf("%slost%d", ccfs, i), test.tune)
		must(t, w.TuneLedger(id, func(k *fakeazure.LedgerOptions) {
			k.Restore = fakeazure.Range{Shortest: time.Minute, Longest: time.Minute}
		}))
		h := w.restores(t, id)
		r := h.Ready(t)
		r.Blocks = with(block{APIVersion: test.version})
		if o, err := w.provider().FindRestore(t.Context(), r); err != nil || o.Done || o.Token != "" {
			t.Fatalf("%s before: %+v, %v", id, o, err)
		}
		h.Inject(t, conformance.RestoreLost)
		_, err := w.provider().BeginRestore(t.Context(), r)
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Ambiguous {
			t.Fatal(err)
		}
		operation := backup.Operation{}
		eventually(t, "the restore is done", func() bool {
			if operation.Token == "" {
				operation, err = w.provider().FindRestore(t.Context(), r)
			} else {
				operation, err = w.provider().PollRestore(t.Context(), r, operation.Token)
			}
			must(t, err)
			return operation.Done
		})
		if test.early {
			h.Idle(t)
		}
		h.Restored(t, r)
		if operation.Warning != "" {
			t.Errorf("%s: warned of %q", id, operation.Warning)
		}
		_, err = w.provider().BeginRestore(t.Context(), r)
		fault{kind: backup.Refused, code: "OriginalExists", hint: "Delete it"}.check(t, err)
		if n := w.starts(id, fakeazure.LedgerRestore); n != 1 {
			t.Errorf("%s: %d starts", id, n)
		}
	}
}

func (w world) testRefusedRestores(t *testing.T) {
	h := w.restores(t, w.add(t, ccfs+"aged", nil))
	r := h.Ready(t)
	must(t, w.AgeShare("contosobackups", r.Artifact, 91*24*time.Hour))
	_, err := w.provider().BeginRestore(t.Context(), r)
	fault{kind: backup.Refused, code: "BackupExpired", message: "90 days", hint: "newer"}.check(t, err)
	r.Target = ccfs + "other-name"
	_, err = w.provider().BeginRestore(t.Context(), r)
	fault{kind: backup.Refused, code: "NameDiffers", hint: "name"}.check(t, err)
	if n := h.Starts(); n != 0 {
		t.Errorf("%d starts", n)
	}
}

// testTorn checks that a share without one of its files is no backup, even if Azure reports a success.
func (w world) testTorn(t *testing.T) {
	id := w.add(t, ccfs+"torn", func(k *fakeazure.LedgerOptions) { k.ChunkEntries = 2 })
	must(t, w.Inject(id, fakeazure.Fault{Kind: fakeazure.MissingFile}))
	a := w.backUp(t, w.attempt(id))
	_, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
	fault{kind: backup.Refused, code: "LedgerIncomplete", message: "the transactions 6 to 11", hint: "again"}.check(t, err)

	// A share that was never made is no end of a backup: nothing shows its result.
	must(t, w.Inject(id, fakeazure.Fault{Kind: fakeazure.NoShare}))
	a = w.attempt(id)
	operation, err := w.provider().Begin(t.Context(), a)
	must(t, err)
	eventually(t, "the operation ends", func() bool {
		if err == nil {
			operation, err = w.provider().Poll(t.Context(), a, operation.Token)
		}
		return err != nil
	})
	fault{kind: backup.Unobservable, code: "NoShare", message: "none can", hint: "torn-…"}.check(t, err)
}

// testDeletion checks that a deletion removes the snapshots too, and leaves other shares.
func (w world) testDeletion(t *testing.T) {
	id := w.add(t, ccfs+"deletion", nil)
	first, second := w.backUp(t, w.attempt(id)), w.backUp(t, w.attempt(id))
	v, err := w.provider().Hash(t.Context(), first, backup.Hashing{})
	must(t, err)
	if !v.Done || len(v.Files) != 5 || v.Note != "" {
		t.Fatalf("%+v", v)
	}
	_, err = w.files(t).NewShareClient(first.Artifact).CreateSnapshot(t.Context(), nil)
	must(t, err)
	must(t, w.provider().Delete(t.Context(), first, v.Hashing.ETag, false))
	if _, err := w.files(t).NewShareClient(first.Artifact).GetProperties(t.Context(), nil); err == nil {
		t.Error("the share is still there")
	}
	if _, err := w.files(t).NewShareClient(second.Artifact).GetProperties(t.Context(), nil); err != nil {
		t.Error(err)
	}
	file := w.files(t).NewShareClient(second.Artifact).NewRootDirectoryClient().NewFileClient("more")
	v, err = w.provider().Hash(t.Context(), second, backup.Hashing{})
	must(t, err)
	_, err = file.Create(t.Context(), 1, nil)
	must(t, err)
	fault{kind: backup.Touched, code: "ArtifactTouched", hint: "reads it again"}.check(t, w.provider().Delete(t.Context(), second, v.Hashing.ETag, false))
	_, err = w.files(t).NewShareClient(second.Artifact).Delete(t.Context(), &azshare.DeleteOptions{})
	must(t, err)
}

// testRotatedKey checks that a SAS becomes invalid while the service is working: its share is removed.
func (w world) testRotatedKey(t *testing.T) {
	id := w.add(t, ccfs+"rotated", func(k *fakeazure.LedgerOptions) {
		k.Backup = fakeazure.Range{Shortest: time.Minute, Longest: time.Minute}
	})
	a := w.attempt(id)
	operation, err := w.provider().Begin(t.Context(), a)
	must(t, err)
	shares := func() (names []string) {
		for pages := w.files(t).NewListSharesPager(&service.ListSharesOptions{Prefix: to.Ptr("rotated-")}); pages.More(); {
			page, err := pages.NextPage(t.Context())
			must(t, err)
			for _, s := range page.Shares {
				names = append(names, *s.Name)
			}
		}
		return names
	}
	eventually(t, "the share is there", func() bool { return len(shares()) == 1 })
	rotated := strings.Replace(key, "bm90", "bmV3", 1)
	must(t, w.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: rotated}))
	eventually(t, "the backup fails", func() bool {
		if err == nil {
			operation, err = w.provider().Poll(t.Context(), a, operation.Token)
		}
		return err != nil
	})
	must(t, w.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: key}))
	fault{kind: backup.CredentialExpired, code: "StorageAccessFailed", message: "AuthenticationFailed", hint: "once"}.check(t, err)
	if left := shares(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// testRefusals checks that Azure's reasons reach the person who must act.
func (w world) testRefusals(t *testing.T) {
	id := w.add(t, ccfs+"refusals", nil)
	a := w.attempt(id)
	w.Unassign(w.ObjectID(app), id)
	_, err := w.provider().Begin(t.Context(), a)
	fault{kind: backup.Refused, code: "AuthorizationFailed", message: "does not have authorization", hint: "managedCCFs/backup/action"}.check(t, err)
	w.Assign(w.ObjectID(app), id, fakeazure.LedgerOperator)

	w.Unassign(w.ObjectID(app), account)
	_, err = w.provider().Prepare(t.Context(), a, "")
	fault{kind: backup.Refused, code: "AuthorizationFailed", message: "does not have authorization", hint: "listkeys/action"}.check(t, err)
	w.Assign(w.ObjectID(app), account, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)

	retired := a
	retired.Blocks = with(block{APIVersion: "2023-01-26-preview"})
	_, err = w.provider().Begin(t.Context(), retired)
	fault{kind: backup.Refused, code: "NotFound", message: "has no backup", hint: "still offers"}.check(t, err)

	must(t, w.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: key, Firewall: fakeazure.Firewall{Deny: true}}))
	fault{kind: backup.Refused, code: "FirewallWithSAS", hint: "without one"}.check(t, w.provider().Preflight(t.Context(), a))
	must(t, w.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: key}))
	must(t, w.provider().Preflight(t.Context(), a))
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}
