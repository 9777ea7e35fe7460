package apim_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/testing/azurite"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

const (
	standbys = groups + "/gateway/providers/Microsoft.ApiManagement/service/"
	app      = "app"
	// pace makes a backup of 8 minutes take a quarter of a second.
	pace = 0.0005
)

// world runs the fakes of Azure's side: the simulator for API Management, and Azurite for the storage.
type world struct{ *fakeazure.Sim }

// newWorld starts the fakes with one storage account, to which the function app has access.
func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	s, err := fakeazure.Start(fakeazure.Config{Dir: filepath.Join(dir, "sim"), TimeScale: pace, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cert, key, err := s.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	storage, err := azurite.Start(t.Context(), azurite.Config{
		Dir: filepath.Join(dir, "azurite"), CertFile: cert, KeyFile: key,
		Accounts: map[string]string{"contosobackups": accountKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := storage.Stop(); err != nil {
			t.Error(err)
		}
	})
	err = s.Storage(fakeazure.StorageAccount{
		Name: "contosobackups", ResourceID: account, Key: accountKey,
		BlobAddr: fmt.Sprintf("127.0.0.1:%d", storage.BlobPort),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Assign(s.ObjectID(app), account, fakeazure.StorageBlobDataContributor, fakeazure.Reader)
	return world{s}
}

// service adds an API Management service with the settings that a backup needs.
func (w world) service(t *testing.T, name string, tune func(*fakeazure.Options)) (resourceID string) {
	t.Helper()
	id := standbys + name
	if err := w.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: true}); err != nil {
		t.Fatal(err)
	}
	if tune != nil {
		if err := w.Tune(id, tune); err != nil {
			t.Fatal(err)
		}
	}
	w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
	w.Assign(w.ObjectID(id), account, fakeazure.StorageBlobDataContributor)
	return id
}

// provider makes the provider of a new process, with the options of the app.
func (w world) provider() *apim.Provider {
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	return apim.New(w.Credential(app), options)
}

// attempt returns the first attempt of a run against the service. It writes into a container of that name.
func (w world) attempt(service, container string) backup.Attempt {
	return backup.Attempt{
		Target: service, Storage: backup.Storage{Account: account, Container: container},
		Run: run, Artifact: run + ".1", NotBefore: time.Now(),
	}
}

// content reads a blob as it is stored.
func (w world) content(t *testing.T, container, name string) []byte {
	t.Helper()
	client, err := azblob.NewClient("https://contosobackups.blob.core.windows.net", w.Credential(app),
		&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16<<20)
	n, err := client.DownloadBuffer(context.Background(), container, name, buffer, nil)
	if err != nil {
		t.Fatal(err)
	}
	return buffer[:n]
}

// faults maps the faults of the conformance suite to the faults of the simulator.
var faults = map[conformance.ProviderFault]fakeazure.Fault{
	conformance.LookThrottled: {
		Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor,
	},
	conformance.LookRefused:  {Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 404},
	conformance.StartBusy:    {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 409, Code: "ServiceUpdating"},
	conformance.StartRefused: {Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 400, Message: "Invalid parameter"},
	conformance.StartLost:    {Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer},
	conformance.PollThrottled: {
		Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 429, RetryAfter: conformance.ThrottledFor,
	},
	conformance.PollDenied:      {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.OperationFails:  {Kind: fakeazure.FailOperation, Message: "Cannot backup"},
	conformance.OperationPasses: {Kind: fakeazure.FailHalfway, Code: "InternalServerError", Message: "Try again"},
	conformance.ArtifactEmpty:   {Kind: fakeazure.EmptyBlob},
	conformance.ArtifactMissing: {Kind: fakeazure.NoBlob},
}

func (w world) harness(service, container string) conformance.ProviderHarness {
	return conformance.ProviderHarness{
		Target:   service,
		Storage:  backup.Storage{Account: account, Container: container},
		Provider: func() backup.Provider { return w.provider() },
		Inject: func(t *testing.T, f conformance.ProviderFault) {
			t.Helper()
			fault, ok := faults[f]
			if !ok {
				t.Fatalf("the simulator has no fault for %q", f)
			}
			if err := w.Inject(service, fault); err != nil {
				t.Fatal(err)
			}
		},
		Starts: func() (n int) {
			for _, r := range w.BackupRequests() {
				if r.Service == service {
					n++
				}
			}
			return n
		},
		Changes: func() (n int) {
			for _, c := range w.Calls() {
				here := strings.EqualFold(c.Host, "management.azure.com") && strings.HasPrefix(c.Path, service) ||
					c.Host == "contosobackups.blob.core.windows.net" && strings.HasPrefix(c.Path, "/"+container)
				if here && c.Method != http.MethodGet && c.Method != http.MethodHead {
					n++
				}
			}
			return n
		},
		Digest: func(t *testing.T, artifact string) string {
			t.Helper()
			sum := sha256.Sum256(w.content(t, container, artifact))
			return hex.EncodeToString(sum[:])
		},
		Touch: func(t *testing.T, artifact string) { t.Helper(); w.touch(t, container, artifact) },
	}
}

// touch sets metadata of a blob in real storage.
func (w world) touch(t *testing.T, container, name string) {
	t.Helper()
	client, err := azblob.NewClient("https://contosobackups.blob.core.windows.net", w.Credential(app),
		&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	scanned := "yes"
	_, err = client.ServiceClient().NewContainerClient(container).NewBlobClient(name).SetMetadata(t.Context(), map[string]*string{"scanned": &scanned}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestAgainstTheStandIns(t *testing.T) {
	w := newWorld(t)
	t.Run("conformance, as little to be seen as possible", func(t *testing.T) {
		service := w.service(t, "hidden", nil)
		conformance.TestProvider(t, w.harness(service, "hidden"))
	})
	t.Run("conformance, the other readings", func(t *testing.T) {
		service := w.service(t, "visible", func(k *fakeazure.Options) {
			k.Trace, k.MissingContainer = fakeazure.TraceVisible, fakeazure.CreateMissingContainer
			k.ExistingBlob, k.Denied, k.StartHeaders = fakeazure.RefuseExistingBlob, fakeazure.DeniedAtStart, fakeazure.LocationAlone
		})
		conformance.TestProvider(t, w.harness(service, "visible"))
	})
	t.Run("failures that may pass", func(t *testing.T) {
		for name, tune := range map[string]func(*fakeazure.Options){"status": nil, "location": func(k *fakeazure.Options) { k.StartHeaders = fakeazure.LocationAlone }} {
			conformance.TestPassing(t, w.harness(w.service(t, "passing"+name, tune), "passing"))
		}
	})
	t.Run("parts", w.testParts)
	t.Run("requests", w.testRequests)
	t.Run("connections", w.testConnections)
	t.Run("refusals", w.testRefusals)
	t.Run("deletion without the container", w.testNoContainer)
}

// finish makes a backup and polls it to its end, each time as another process.
func (w world) finish(t *testing.T, a backup.Attempt) {
	t.Helper()
	if _, err := w.provider().Prepare(t.Context(), a, ""); err != nil {
		t.Fatal(err)
	}
	operation, err := w.provider().Begin(t.Context(), a)
	for deadline := time.Now().Add(30 * time.Second); err == nil && !operation.Done; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the backup does not end")
		}
		operation, err = w.provider().Poll(t.Context(), a, operation.Token)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w world) testParts(t *testing.T) {
	a := w.attempt(w.service(t, "parts", func(k *fakeazure.Options) { k.BlobBytes = 9<<20 + 1 }), "parts")
	w.finish(t, a)
	var v backup.Verification
	calls := 0
	for !v.Done && calls < 10 {
		p := w.provider()
		p.HashPart = 4 << 20
		var err error
		if v, err = p.Hash(t.Context(), a, v.Hashing); err != nil {
			t.Fatal(err)
		}
		calls++
	}
	sum := sha256.Sum256(w.content(t, "parts", a.Artifact))
	if calls != 3 || v.Size != 9<<20+1 || v.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("after %d calls %+v, want 3 calls and the hash %x", calls, v, sum)
	}
}

// testRequests counts the requests of one backup.
func (w world) testRequests(t *testing.T) {
	a := w.attempt(w.service(t, "requests", nil), "requests")
	p := w.provider()
	cost := func(what string, do func() error, want ...string) {
		t.Helper()
		before := len(w.Calls())
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var got []string
		for _, c := range w.Calls()[before:] {
			if c.ObjectID == w.ObjectID(app) && c.Method != http.MethodConnect {
				service, _, _ := strings.Cut(strings.TrimPrefix(c.Host, "contosobackups."), ".")
				got = append(got, c.Method+" "+service)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s sent %q, want %q", what, got, want)
		}
	}
	var operation backup.Operation
	begin := func() (err error) {
		operation, err = p.Begin(t.Context(), a)
		return err
	}
	cost("preflight", func() error { return p.Preflight(t.Context(), a) }, "GET management", "GET management",
		"GET management", "GET management")
	cost("prepare", func() error { _, err := p.Prepare(t.Context(), a, ""); return err }, "PUT blob")
	cost("begin", begin, "POST management")
	cost("poll", func() error { _, err := p.Poll(t.Context(), a, operation.Token); return err }, "GET management")
	for deadline := time.Now().Add(30 * time.Second); !operation.Done && time.Now().Before(deadline); {
		var err error
		if operation, err = p.Poll(t.Context(), a, operation.Token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cost("find", func() error { _, err := p.Find(t.Context(), a); return err }, "GET management", "GET blob")
	cost("verify", func() error { _, err := p.Hash(t.Context(), a, backup.Hashing{}); return err }, "GET blob")
	cost("delete", func() error { return p.Delete(t.Context(), a, "", false) }, "DELETE blob", "GET blob")
}

// testConnections cuts real connections.
func (w world) testConnections(t *testing.T) {
	service := w.service(t, "connections", nil)
	a := w.attempt(service, "connections")
	cutWhen := func(method string, phase fakeazure.Phase) {
		w.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Method == method && x.Phase == phase && x.ObjectID == w.ObjectID(app) {
				return fakeazure.Drop
			}
			return fakeazure.Pass
		})
	}
	defer w.Intercept(nil)

	cutWhen(http.MethodPost, fakeazure.Before)
	_, err := w.provider().Begin(t.Context(), a)
	fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}.check(t, err)
	if n := w.harness(service, "").Starts(); n != 0 {
		t.Errorf("%d starts reached the service, want the one sent to be cut off and not repeated", n)
	}
	cutWhen(http.MethodPut, fakeazure.Before)
	_, err = w.provider().Prepare(t.Context(), a, "")
	fault{kind: backup.Retryable, code: "Unreachable"}.check(t, err)
	cutWhen(http.MethodGet, fakeazure.After)
	_, err = w.provider().Find(t.Context(), a)
	fault{kind: backup.Retryable, code: "Unreachable"}.check(t, err)
	w.Intercept(nil)

	w.finish(t, a)
	cutWhen(http.MethodGet, fakeazure.After)
	_, err = w.provider().Hash(t.Context(), a, backup.Hashing{})
	fault{kind: backup.Retryable, code: "Unreachable"}.check(t, err)
	cutWhen(http.MethodDelete, fakeazure.After)
	err = w.provider().Delete(t.Context(), a, "", false)
	fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "tries the deletion again"}.check(t, err)
	w.Intercept(nil)
	if err := w.provider().Delete(t.Context(), a, `"0x1"`, false); err != nil {
		t.Errorf("delete what a lost deletion had deleted: %v", err)
	}
}

// testRefusals checks that Azure's reasons reach the person who must act.
func (w world) testRefusals(t *testing.T) {
	begin := func(a backup.Attempt) error {
		_, err := w.provider().Begin(t.Context(), a)
		return err
	}
	t.Run("no role on the service", func(t *testing.T) {
		id := w.service(t, "norole", nil)
		w.Unassign(w.ObjectID(app), id)
		fault{
			kind: backup.Refused, code: "AuthorizationFailed", message: "does not have authorization to perform action",
			hint: "backup/action on " + id,
		}.check(t, begin(w.attempt(id, "refusals")))
	})
	t.Run("no role on the storage account", func(t *testing.T) {
		a := w.attempt(w.service(t, "nostorage", nil), "refusals")
		w.Unassign(w.ObjectID(app), account)
		defer w.Assign(w.ObjectID(app), account, fakeazure.StorageBlobDataContributor, fakeazure.Reader)
		_, err := w.provider().Prepare(t.Context(), a, "")
		fault{
			kind: backup.Refused, code: "AuthorizationPermissionMismatch", message: "not authorized to perform this operation",
			hint: "Storage Blob Data Contributor on the storage account contosobackups",
		}.check(t, err)
	})
	t.Run("no such service", func(t *testing.T) {
		id := standbys + "nowhere"
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		fault{kind: backup.Refused, code: "ResourceNotFound", hint: "plan.yaml"}.check(t, begin(w.attempt(id, "refusals")))
	})
	t.Run("a tier without backup", func(t *testing.T) {
		id := standbys + "consumption"
		if err := w.AddService(fakeazure.Service{ResourceID: id, SKU: "Consumption", SystemAssigned: true}); err != nil {
			t.Fatal(err)
		}
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		fault{
			kind: backup.Refused, code: "MethodNotAllowedInPricingTier", message: "Consumption", hint: "Developer, Basic",
		}.check(t, begin(w.attempt(id, "refusals")))
	})
	t.Run("the service may not write", func(t *testing.T) {
		id := w.service(t, "nowrite", nil)
		w.Unassign(w.ObjectID(id), account)
		if err := w.provider().Preflight(t.Context(), w.attempt(id, "refusals")); err != nil {
			t.Fatal(err)
		}
		operation, err := w.provider().Begin(t.Context(), w.attempt(id, "refusals"))
		for deadline := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(deadline); {
			operation, err = w.provider().Poll(t.Context(), w.attempt(id, "refusals"), operation.Token)
			time.Sleep(20 * time.Millisecond)
		}
		fault{
			kind: backup.Refused, code: "BackupFailed", message: "denies access",
			hint: "Storage Blob Data Contributor on the storage account contosobackups",
		}.check(t, err)
	})
}

func (w world) testNoContainer(t *testing.T) {
	a := w.attempt(w.service(t, "nocontainer", nil), "nocontainer")
	fault{kind: backup.Retryable, code: "ContainerNotFound", hint: "was deleted"}.check(t,
		w.provider().Delete(t.Context(), a, "", false))
	fault{kind: backup.Retryable, code: "ContainerNotFound"}.check(t, w.provider().Delete(t.Context(), a, "", true))
	_, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
	fault{kind: backup.Retryable, code: "ContainerNotFound"}.check(t, err)
	if found, err := w.provider().Find(t.Context(), a); err != nil || found != "" {
		t.Errorf("found %q (%v) in no container", found, err)
	}
	a.Storage.Account = groups + "/backup/providers/Microsoft.Storage/storageAccounts/contosogone"
	err = w.provider().Delete(t.Context(), a, "", false)
	if f, ok := errors.AsType[*backup.Fault](err); !ok || f.Kind != backup.Retryable && f.Kind != backup.Ambiguous {
		t.Errorf("delete in an account that does not exist: %v, want it deferred", err)
	}
}
