package managedhsm_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
	"lifeboat/internal/testing/azurite"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

const (
	hsms   = groups + "/keys/providers/Microsoft.KeyVault/managedHSMs/"
	app    = "app"
	writer = "hsm-writer"
	// pace makes a backup of 10 seconds take a tenth of one.
	pace       = 0.01
	accountKey = "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="
)

// world runs the fakes of Azure's side: the simulator for Managed HSMs, and Azurite for the storage.
type world struct {
	*fakeazure.Sim
	// storage is the account with all backups.
	storage fakeazure.StorageAccount
}

// immutable gives the account a policy, or a hold, or takes it away.
func (w world) immutable(t *testing.T, kept fakeazure.Immutability) {
	t.Helper()
	w.storage.Immutability = kept
	must(t, w.Storage(w.storage))
}

// newWorld starts the fakes with one storage account, to which the function app and the HSMs' identity have access.
func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	s, err := fakeazure.Start(fakeazure.Config{Dir: filepath.Join(dir, "sim"), TimeScale: pace, Seed: 1})
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cert, key, err := s.Certificate("127.0.0.1")
	must(t, err)
	storage, err := azurite.Start(t.Context(), azurite.Config{
		Dir: filepath.Join(dir, "azurite"), CertFile: cert, KeyFile: key,
		Accounts: map[string]string{"contosobackups": accountKey},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := storage.Stop(); err != nil {
			t.Error(err)
		}
	})
	backups := fakeazure.StorageAccount{
		Name: "contosobackups", ResourceID: account, Key: accountKey, BlobAddr: fmt.Sprintf("127.0.0.1:%d", storage.BlobPort),
	}
	must(t, s.Storage(backups))
	s.Assign(s.ObjectID(app), account, fakeazure.StorageBlobDataContributor, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)
	s.Assign(s.ObjectID(writer), account, fakeazure.StorageBlobDataContributor)
	return world{s, backups}
}

// hsm adds a Managed HSM with the key rsa1 and the settings that a backup needs.
func (w world) hsm(t *testing.T, name string, tune func(*fakeazure.HSMOptions)) (resourceID string) {
	t.Helper()
	id := hsms + name
	must(t, w.AddHSM(fakeazure.HSM{ResourceID: id, Identity: writer, Keys: []string{"rsa1"}}))
	must(t, w.TuneHSM(id, func(k *fakeazure.HSMOptions) {
		k.BackupFirst = fakeazure.BackupUnchecked // its words have a test of their own
		if tune != nil {
			tune(k)
		}
	}))
	must(t, w.AssignHSM(id, w.ObjectID(app), fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore))
	must(t, w.AssignHSM(id, w.ObjectID("officer"), fakeazure.ManagedHSMCryptoOfficer, fakeazure.ManagedHSMCryptoUser))
	w.Assign(w.ObjectID(app), id, fakeazure.Reader)
	return id
}

// provider makes the provider of a new process, with the options of the app.
func (w world) provider() *managedhsm.Provider {
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	return managedhsm.New(w.Credential(app), options)
}

// attempt returns the first attempt of a run against the HSM. It writes into a container of that name.
func (w world) attempt(hsm, container string) backup.Attempt {
	return backup.Attempt{
		Target: hsm, Storage: backup.Storage{Account: account, Container: container}, Run: run, Artifact: run + ".1",
		NotBefore: time.Now(),
	}
}

func (w world) container(t *testing.T, name string) *container.Client {
	t.Helper()
	client, err := container.NewClient("https://contosobackups.blob.core.windows.net/"+name, w.Credential(app),
		&container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	must(t, err)
	return client
}

// digest computes the SHA-256 of the list of a folder's files from the stored blobs.
func (w world) digest(t *testing.T, in, folder string) string {
	t.Helper()
	var list strings.Builder
	client := w.container(t, in)
	pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(folder + "/")})
	for pages.More() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, item := range page.Segment.BlobItems {
			buffer := make([]byte, *item.Properties.ContentLength)
			_, err := client.NewBlobClient(*item.Name).DownloadBuffer(t.Context(), buffer, nil)
			must(t, err)
			fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(buffer), strings.TrimPrefix(*item.Name, folder+"/"))
		}
	}
	sum := sha256.Sum256([]byte(list.String()))
	return hex.EncodeToString(sum[:])
}

// faults maps the faults of the conformance suites to the faults of the simulator.
var faults = map[any]fakeazure.Fault{
	conformance.LookThrottled:  {Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor},
	conformance.LookRefused:    {Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 404},
	conformance.StartBusy:      {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 409, Message: "Another backup operation is in progress"},
	conformance.StartRefused:   {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 400, Code: "BadRequest"},
	conformance.StartLost:      {Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer},
	conformance.PollThrottled:  {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor},
	conformance.PollDenied:     {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.OperationFails: {Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Message: "ResourceNotFound"},
	conformance.OperationPasses: {
		Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Code: "InternalServerError", Message: "Try again",
	},
	// A folder without blobs does not exist, whether the suite calls it empty or missing.
	conformance.ArtifactEmpty:   {Kind: fakeazure.EmptyFolder},
	conformance.ArtifactMissing: {Kind: fakeazure.EmptyFolder},

	conformance.RestoreBusy:    {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 409, Message: "Another restore operation is in progress"},
	conformance.RestoreRefused: {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 400, Code: "BadRequest"},
	conformance.RestoreLost:    {Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer},
	conformance.RestoreFails:   {Kind: fakeazure.FailOperation, Step: fakeazure.OnRestore, Message: "Invalid backup provided"},
	conformance.RestoreUntold:  {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.RestoreAway:    {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 503},
}

func (w world) inject(t *testing.T, hsm string, f any) {
	t.Helper()
	fault, ok := faults[f]
	if !ok {
		t.Fatalf("the simulator has no fault for %q", f)
	}
	must(t, w.Inject(hsm, fault))
}

// starts returns the number of requests of the kinds that reached the HSM.
func (w world) starts(hsm string, kinds ...fakeazure.HSMOperationKind) (n int) {
	for _, r := range w.HSMRequests() {
		for _, kind := range kinds {
			if r.HSM == hsm && r.Kind == kind {
				n++
			}
		}
	}
	return n
}

func (w world) harness(hsm, container string) conformance.ProviderHarness {
	name := hsm[strings.LastIndex(hsm, "/")+1:]
	return conformance.ProviderHarness{
		Target:   hsm,
		Storage:  backup.Storage{Account: account, Container: container},
		Provider: func() backup.Provider { return w.provider() },
		Inject:   func(t *testing.T, f conformance.ProviderFault) { t.Helper(); w.inject(t, hsm, f) },
		Starts:   func() int { return w.starts(hsm, fakeazure.FullBackup) },
		Changes: func() (n int) {
			for _, c := range w.Calls() {
				here := c.Host == "management.azure.com" && strings.HasPrefix(c.Path, hsm) || c.Host == name+".managedhsm.azure.net" ||
					c.Host == "contosobackups.blob.core.windows.net" && strings.HasPrefix(c.Path, "/"+container)
				if here && c.Method != http.MethodGet && c.Method != http.MethodHead && c.Method != http.MethodConnect {
					n++
				}
			}
			return n
		},
		Digest: func(t *testing.T, artifact string) string { t.Helper(); return w.digest(t, container, artifact) },
		Touch: func(t *testing.T, artifact string) {
			t.Helper()
			touch(t, w.container(t, container), artifact+"/part-01")
		},
		Stamped: true,
	}
}

func TestAgainstTheStandIns(t *testing.T) {
	w := newWorld(t)
	t.Run("conformance, by identity", func(t *testing.T) {
		conformance.TestProvider(t, w.harness(w.hsm(t, "plain", nil), "plain"))
	})
	t.Run("conformance, by SAS", func(t *testing.T) {
		h := w.harness(w.hsm(t, "signed", nil), "signed")
		h.Blocks = by("sas")
		conformance.TestProvider(t, h)
	})
	t.Run("conformance, the other readings", func(t *testing.T) {
		hsm := w.hsm(t, "other", func(k *fakeazure.HSMOptions) { k.NullError, k.Folder, k.Blobs = true, fakeazure.FolderAtEnd, 6 })
		conformance.TestProvider(t, w.harness(hsm, "other"))
	})
	t.Run("failures that may pass", func(t *testing.T) {
		conformance.TestPassing(t, w.harness(w.hsm(t, "passing", nil), "passing"))
	})
	t.Run("restores of one key", func(t *testing.T) {
		conformance.TestRestorer(t, w.restores(t, w.hsm(t, "single", nil), backup.RestoreKey))
	})
	t.Run("full restores", func(t *testing.T) {
		conformance.TestRestorer(t, w.restores(t, w.hsm(t, "whole", nil), backup.RestoreFull))
	})
	t.Run("a full restore that turns polls away", w.testAway)
	t.Run("verification", w.testVerification)
	t.Run("parts", w.testParts)
	t.Run("deletion", w.testDeletion)
	t.Run("kept by storage", w.testKept)
	t.Run("two folders", w.testTwo)
	t.Run("hours", w.testHours)
	t.Run("refusals", w.testRefusals)
}

// testAway checks that two things are no failure: the HSM's answers while it is restored, and the loss of the app's role
// for good.
func (w world) testAway(t *testing.T) {
	hsm := w.hsm(t, "away", func(k *fakeazure.HSMOptions) {
		k.RestoringPolls, k.RestoredRoles = fakeazure.RestoringRefusesPolls, fakeazure.RestoreAdministrators
	})
	h := w.restores(t, hsm, backup.RestoreFull)
	r := h.Ready(t)
	operation, err := w.provider().BeginRestore(t.Context(), r)
	must(t, err)
	seen := map[backup.FaultKind]int{}
	poll := func() bool {
		_, err := w.provider().PollRestore(t.Context(), r, operation.Token)
		seen[kindOf(err)]++
		return len(w.HSMOperations()) > 0 && w.HSMOperations()[len(w.HSMOperations())-1].State != fakeazure.InProgress
	}
	eventually(t, "the restore ends", poll)
	poll()
	if seen[backup.Unobservable] < 2 || seen[backup.Refused] != 0 {
		t.Errorf("the polls met %v", seen)
	}
}

// verify hashes to the end, and has the HSM check the backup, each call as another process. It returns the number of calls
// that hash; the verification's note is the check's warning.
func (w world) verify(t *testing.T, a backup.Attempt, part int64) (v backup.Verification, calls int, err error) {
	t.Helper()
	eventually(t, "verified", func() bool {
		p := w.provider()
		p.HashPart = part
		v, err = p.Hash(t.Context(), a, v.Hashing)
		calls++
		return err != nil || v.Done
	})
	var proof backup.Operation
	eventually(t, "proven", func() bool {
		if err == nil || backup.AsFault(err).Kind != backup.Refused {
			proof, err = w.provider().Prove(t.Context(), a, proof.Token)
		}
		return proof.Done || backup.AsFault(err) != nil && backup.AsFault(err).Kind == backup.Refused
	})
	v.Note = proof.Warning
	return v, calls, err
}

// testVerification checks that the HSM's own check decides about a backup, if the HSM makes the check.
func (w world) testVerification(t *testing.T) {
	t.Run("a blob is missing", func(t *testing.T) {
		hsm := w.hsm(t, "torn", nil)
		must(t, w.Inject(hsm, fakeazure.Fault{Kind: fakeazure.MissingBlob}))
		_, _, err := w.verify(t, w.finish(t, w.attempt(hsm, "torn")), 1<<30)
		fault{kind: backup.Refused, code: "OperationFailed", message: "Invalid backup provided", hint: "security domain"}.check(t, err)
	})
	for name, test := range map[string]struct {
		prepare func(hsm string)
		note    string
	}{
		"all was checked": {func(string) {}, ""},
		"a backup of its own is wanted": {func(hsm string) {
			_ = w.TuneHSM(hsm, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupWithin })
		}, ""},
		"no role": {func(hsm string) {
			_ = w.UnassignHSM(hsm, w.ObjectID(app))
			_ = w.AssignHSM(hsm, w.ObjectID(app), fakeazure.ManagedHSMBackup)
		}, "Not authorized"},
		"busy at first": {func(hsm string) {
			_ = w.Inject(hsm, fakeazure.Fault{Step: fakeazure.OnCheck, Kind: fakeazure.Refuse, Status: 409, Message: "Another backup operation is in progress"})
		}, ""},
		"the look is lost": {func(hsm string) {
			_ = w.Inject(hsm, fakeazure.Fault{Step: fakeazure.OnCheck, Kind: fakeazure.LoseAnswer})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			container := "v" + strings.ReplaceAll(name, " ", "")
			hsm := w.hsm(t, container, nil)
			a := w.finish(t, w.attempt(hsm, container))
			test.prepare(hsm)
			v, _, err := w.verify(t, a, 1<<30)
			must(t, err)
			if (v.Note == "") != (test.note == "") || !strings.Contains(v.Note, test.note) {
				t.Errorf("note %q, want %q", v.Note, test.note)
			}
			if len(v.Files) != 4 || v.SHA256 != w.digest(t, container, a.Artifact) {
				t.Errorf("%+v", v)
			}
		})
	}
}

// testParts reads a backup in parts that are no multiple of its blobs.
func (w world) testParts(t *testing.T) {
	hsm := w.hsm(t, "parts", func(k *fakeazure.HSMOptions) { k.BlobBytes = 100_001 })
	a := w.finish(t, w.attempt(hsm, "parts"))
	v, calls, err := w.verify(t, a, 40_000)
	must(t, err)
	if want := w.digest(t, "parts", a.Artifact); v.SHA256 != want || calls < 8 || v.Hashing.Offset != v.Size {
		t.Errorf("after %d calls %+v, want the hash %s", calls, v, want)
	}
	// If a blob changes in between, the folder is read from the start.
	p := w.provider()
	p.HashPart = 40_000
	first, err := p.Hash(t.Context(), a, backup.Hashing{})
	must(t, err)
	upload(t, w.container(t, "parts"), a.Artifact+"/part-00", "changed")
	second, err := p.Hash(t.Context(), a, first.Hashing)
	must(t, err)
	if second.Hashing.ETag == first.Hashing.ETag || second.Done {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

// touch sets metadata of a blob.
func touch(t *testing.T, in *container.Client, name string) {
	t.Helper()
	_, err := in.NewBlobClient(name).SetMetadata(t.Context(), map[string]*string{"scanned": to.Ptr("yes")}, nil)
	must(t, err)
}

func upload(t *testing.T, in *container.Client, name, content string) {
	t.Helper()
	_, err := in.NewBlockBlobClient(name).UploadBuffer(t.Context(), []byte(content), nil)
	must(t, err)
}

// testDeletion checks that an interrupted deletion continues, and that changed files and foreign files stay.
func (w world) testDeletion(t *testing.T) {
	hsm := w.hsm(t, "deletion", nil)
	a := w.finish(t, w.attempt(hsm, "deletion"))
	v, _, err := w.verify(t, a, 1<<30)
	must(t, err)
	in := w.container(t, "deletion")
	upload(t, in, "mhsm-deletion-2020010101010101/part-00", "a neighbour")
	upload(t, in, a.Artifact+"-more/part-00", "another neighbour")
	left := func() (names []string) {
		for pages := in.NewListBlobsFlatPager(nil); pages.More(); {
			page, err := pages.NextPage(t.Context())
			must(t, err)
			for _, item := range page.Segment.BlobItems {
				names = append(names, *item.Name)
			}
		}
		return names
	}
	for _, name := range []string{"", run + ".1", "mhsm-deletion/..", a.Artifact + "/part-00"} {
		b := a
		b.Artifact = name
		fault{kind: backup.Kept, code: "NotAnArtifact", hint: "Nothing was deleted"}.check(t, w.provider().Delete(t.Context(), b, "", false))
	}
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, true)) // extras: no folder can be proven to be one
	if n := len(left()); n != 6 {
		t.Fatalf("%d blobs are left", n)
	}
	_, err = in.NewBlobClient(a.Artifact+"/part-01").Delete(t.Context(), nil) // the deletion that was cut off
	must(t, err)
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	if names := left(); len(names) != 2 {
		t.Errorf("left: %q", names)
	}

	b := w.finish(t, w.attempt(hsm, "deletion"))
	v, _, err = w.verify(t, b, 1<<30)
	must(t, err)
	time.Sleep(1100 * time.Millisecond) // dates of blobs are of whole seconds
	upload(t, in, b.Artifact+"/part-00", "changed")
	fault{kind: backup.Touched, code: "ArtifactTouched", hint: "reads it again"}.check(t, w.provider().Delete(t.Context(), b, v.Hashing.ETag, false))
	if names := left(); len(names) != 6 {
		t.Errorf("left: %q", names)
	}
	cutWhen := func(phase fakeazure.Phase) {
		w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Method == http.MethodPost && x.Phase == phase && x.ObjectID == w.ObjectID(app) {
				return fakeazure.Drop
			}
			return fakeazure.Pass
		})
	}
	defer w.Intercept(nil)
	for _, phase := range []fakeazure.Phase{fakeazure.Before, fakeazure.After} {
		cutWhen(phase)
		fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "tries the deletion again"}.check(t, w.provider().Delete(t.Context(), b, "", false))
	}
	if names := left(); len(names) != 2 {
		t.Errorf("left: %q", names)
	}
}

// testTwo checks two folders that were begun while an answer was awaited: either may be the run's folder. A folder of
// another HSM, or of another time, does not count.
func (w world) testTwo(t *testing.T) {
	hsm := w.hsm(t, "two", nil)
	a := w.attempt(hsm, "two")
	begun := time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)
	a.Lost = []backup.Window{{From: begun, To: begun.Add(3 * time.Minute)}}
	_, err := w.provider().Prepare(t.Context(), a, "")
	must(t, err)
	in := w.container(t, "two")
	for _, folder := range []string{
		"mhsm-two-2026112102295499", "mhsm-two-2026112102330501", "mhsm-two-1-2026112102310000", "mhsm-tw-2026112102310000",
		"mhsm-two-202611210231", "mhsm-two-2026112102310000x", "mhsm-two-2026139902310000",
	} {
		upload(t, in, folder+"/part-00", "none of this run")
	}
	if found, err := w.provider().Find(t.Context(), a); err != nil || found != "" {
		t.Errorf("found %q, %v", found, err)
	}
	upload(t, in, "mhsm-TWO-20261121023305/part-00", "one") // 14 digits, and 5 seconds after the end
	a.QuietPeriod = time.Hour
	_, err = w.provider().Find(t.Context(), a)
	fault{kind: backup.Retryable, code: "StillBeingWritten", message: "mhsm-TWO-20261121023305", hint: "Lifeboat looks again"}.check(t, err)
	a.QuietPeriod = time.Second
	eventually(t, "the folder settles", func() bool {
		found, err := w.provider().Find(t.Context(), a)
		return err == nil && found == "mhsm-TWO-20261121023305"
	})
	upload(t, in, "mhsm-two-20261121022955000/part-00", "two") // 17 digits, and 5 seconds before
	_, err = w.provider().Find(t.Context(), a)
	fault{kind: backup.Refused, code: "Ambiguous", message: "2 backups", hint: "container of its own"}.check(t, err)
	// A folder that another run holds makes nothing ambiguous.
	a.Taken = []string{"mhsm-TWO-20261121023305"}
	eventually(t, "the other folder settles", func() bool {
		found, err := w.provider().Find(t.Context(), a)
		return err == nil && found == "mhsm-two-20261121022955000"
	})
	a.Taken = append(a.Taken, "mhsm-two-20261121022955000")
	if found, err := w.provider().Find(t.Context(), a); err != nil || found != "" {
		t.Errorf("found %q, %v, although other runs hold both", found, err)
	}
}

// testRefusals checks that Azure's reasons reach the person who must act.
func (w world) testRefusals(t *testing.T) {
	prepare := func(hsm string, identity string) error {
		a := w.attempt(hsm, "refusals")
		a.Blocks = by(identity)
		operation, err := w.provider().Prepare(t.Context(), a, "")
		for deadline := time.Now().Add(30 * time.Second); err == nil && !operation.Done && time.Now().Before(deadline); {
			operation, err = w.provider().Prepare(t.Context(), a, operation.Token)
		}
		return err
	}
	t.Run("no role on the HSM", func(t *testing.T) {
		hsm := w.hsm(t, "norole", nil)
		must(t, w.UnassignHSM(hsm, w.ObjectID(app)))
		fault{kind: backup.Refused, code: "AccessDenied", message: "Not authorized", hint: "Managed HSM Backup"}.check(t, prepare(hsm, ""))
	})
	t.Run("the HSM may not write", func(t *testing.T) {
		hsm := w.hsm(t, "nowrite", nil)
		w.Unassign(w.ObjectID(writer), account)
		defer w.Assign(w.ObjectID(writer), account, fakeazure.StorageBlobDataContributor)
		fault{
			kind: backup.Refused, code: "OperationFailed", message: "ResourceNotFound", hint: "Storage Blob Data Contributor",
		}.check(t, prepare(hsm, ""))
	})
	t.Run("no such HSM", func(t *testing.T) {
		id := hsms + "nowhere"
		w.Assign(w.ObjectID(app), id, fakeazure.Reader)
		fault{kind: backup.Refused, code: "ResourceNotFound", hint: "plan.yaml"}.check(t,
			w.provider().Preflight(t.Context(), w.attempt(id, "refusals")))
		if err := prepare(id, ""); kindOf(err) != backup.Retryable {
			t.Errorf("a name that does not exist: %v", err)
		}
	})
	t.Run("not activated", func(t *testing.T) {
		hsm := w.hsm(t, "dormant", func(k *fakeazure.HSMOptions) { k.Activation = fakeazure.NotActivated })
		r := backup.Restore{Target: hsm, Storage: w.attempt(hsm, "refusals").Storage, Artifact: folder, Kind: backup.RestoreFull}
		for _, err := range []error{
			w.provider().Preflight(t.Context(), w.attempt(hsm, "refusals")), w.provider().PreflightRestore(t.Context(), r),
		} {
			fault{
				kind: backup.Refused, code: "NotActivated", message: "To activate the HSM, download the security domain.",
				hint: "az keyvault security-domain",
			}.check(t, err)
		}
		if n := w.starts(hsm, fakeazure.BackupCheck, fakeazure.RestoreCheck, fakeazure.FullBackup); n != 0 {
			t.Errorf("the HSM was asked %d times", n)
		}
	})
	t.Run("immutable storage", func(t *testing.T) {
		hsm := w.hsm(t, "worm", nil)
		for _, kept := range []fakeazure.Immutability{
			{Container: "refusals", Until: time.Now().Add(time.Hour)}, {Container: "refusals", Hold: true}, {Until: time.Now().Add(time.Hour)},
		} {
			w.immutable(t, kept)
			fault{kind: backup.Refused, code: "ImmutableStorage", message: "April 2026", hint: "plan.yaml"}.check(t,
				w.provider().Preflight(t.Context(), w.attempt(hsm, "refusals")))
		}
		w.immutable(t, fakeazure.Immutability{})
		must(t, w.provider().Preflight(t.Context(), w.attempt(hsm, "refusals")))
	})
	t.Run("the account's key may not be read", func(t *testing.T) {
		hsm := w.hsm(t, "nokey", nil)
		w.Unassign(w.ObjectID(app), account)
		w.Assign(w.ObjectID(app), account, fakeazure.StorageBlobDataContributor)
		defer w.Assign(w.ObjectID(app), account, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)
		fault{kind: backup.Refused, code: "AuthorizationFailed", hint: "hsm.access: identity"}.check(t, prepare(hsm, "sas"))
	})
}

// restores returns the harness for restores of the HSM. A restore must bring back the key rsa1.
func (w world) restores(t *testing.T, hsm string, kind backup.RestoreKind) conformance.RestoreHarness {
	t.Helper()
	name := hsm[strings.LastIndex(hsm, "/")+1:]
	a := w.finish(t, w.attempt(hsm, name))
	keys, err := azkeys.NewClient("https://"+name+".managedhsm.azure.net", w.Credential("officer"),
		&azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	must(t, err)
	key, err := keys.GetKey(t.Context(), "rsa1", "", nil)
	must(t, err)
	idle := func(t *testing.T) {
		t.Helper()
		eventually(t, "the HSM is idle", func() bool {
			for _, o := range w.HSMOperations() {
				if o.HSM == hsm && o.State == fakeazure.InProgress {
					return false
				}
			}
			return true
		})
	}
	return conformance.RestoreHarness{
		Restorer: func() backup.Restorer { return w.provider() },
		Warning: map[backup.RestoreKind]string{
			backup.RestoreFull: "az keyvault role assignment create --hsm-name " + name,
		}[kind],
		Ready: func(t *testing.T) backup.Restore {
			t.Helper()
			idle(t)
			if _, err := keys.DeleteKey(t.Context(), "rsa1", nil); err == nil {
				_, err = keys.PurgeDeletedKey(t.Context(), "rsa1", nil)
				must(t, err)
			}
			r := backup.Restore{Target: hsm, Storage: a.Storage, Artifact: a.Artifact, Kind: kind}
			if kind == backup.RestoreKey {
				r.Key = "rsa1"
			}
			return r
		},
		Restored: func(t *testing.T, _ backup.Restore) {
			t.Helper()
			back, err := keys.GetKey(t.Context(), "rsa1", "", nil)
			must(t, err)
			if string(back.Key.N) != string(key.Key.N) || *back.Key.KID != *key.Key.KID {
				t.Errorf("another key came back: %s", *back.Key.KID)
			}
		},
		Inject: func(t *testing.T, f conformance.RestoreFault) { t.Helper(); w.inject(t, hsm, f) },
		Starts: func() int { return w.starts(hsm, fakeazure.FullRestore, fakeazure.KeyRestore) },
		Idle:   idle,
	}
}

// finish makes a backup, with its preparation, each call as another process, and returns the attempt with its folder.
func (w world) finish(t *testing.T, a backup.Attempt) backup.Attempt {
	t.Helper()
	operation := backup.Operation{}
	var err error
	eventually(t, "the preparation ends", func() bool {
		operation, err = w.provider().Prepare(t.Context(), a, operation.Token)
		must(t, err)
		return operation.Done
	})
	operation, err = w.provider().Begin(t.Context(), a)
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

func kindOf(err error) backup.FaultKind {
	f, ok := errors.AsType[*backup.Fault](err)
	if !ok {
		return ""
	}
	return f.Kind
}
