package apim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

// apis makes the client of the people who configure the service's APIs.
func (w world) apis(t *testing.T) *armapimanagement.APIClient {
	t.Helper()
	client, err := armapimanagement.NewAPIClient(strings.Split(groups, "/")[2], w.Credential("owner"), &arm.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: w.Client()}, DisableRPRegistration: true,
	})
	must(t, err)
	return client
}

// configure gives the service one API, which has the path.
func (w world) configure(t *testing.T, service, path string) {
	t.Helper()
	w.Assign(w.ObjectID("owner"), service, fakeazure.APIManagementServiceContributor)
	_, err := w.apis(t).BeginCreateOrUpdate(t.Context(), "gateway", name(service), "orders",
		armapimanagement.APICreateOrUpdateParameter{Properties: &armapimanagement.APICreateOrUpdateProperties{
			DisplayName: to.Ptr("Orders"), Path: &path, Protocols: []*armapimanagement.Protocol{to.Ptr(armapimanagement.ProtocolHTTPS)},
		}}, nil)
	must(t, err)
}

// path reads the path of the service's API.
func (w world) path(t *testing.T, service string) string {
	t.Helper()
	got, err := w.apis(t).Get(t.Context(), "gateway", name(service), "orders", nil)
	must(t, err)
	return *got.Properties.Path
}

func name(service string) string { return service[strings.LastIndex(service, "/")+1:] }

// backedUp configures the service, backs it up, and returns a restore with the data of its recovery point.
func (w world) backedUp(t *testing.T, a backup.Attempt) backup.Restore {
	t.Helper()
	w.configure(t, a.Target, "as-backed-up")
	w.finish(t, a)
	v, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
	must(t, err)
	if !v.Done {
		t.Fatalf("verified %+v", v)
	}
	return backup.Restore{
		Target: a.Target, Storage: a.Storage, Artifact: a.Artifact, Blocks: a.Blocks, Kind: backup.RestoreFull,
		Size: v.Size, SHA256: v.SHA256, ETag: v.Hashing.ETag, SKU: "Developer",
	}
}

// idle waits until the service is not working on a change.
func (w world) idle(t *testing.T, service string) {
	t.Helper()
	client, err := armapimanagement.NewServiceClient(strings.Split(groups, "/")[2], w.Credential(app), &arm.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: w.Client()}, DisableRPRegistration: true,
	})
	must(t, err)
	eventually(t, "the service is idle", func() bool {
		if slices.ContainsFunc(w.Operations(), func(o fakeazure.Operation) bool {
			return o.Service == service && o.State == fakeazure.InProgress
		}) {
			return false
		}
		got, err := client.Get(t.Context(), "gateway", name(service), nil)
		must(t, err)
		return *got.Properties.ProvisioningState == "Succeeded"
	})
}

var restoreFaults = map[conformance.RestoreFault]fakeazure.Fault{
	conformance.RestoreBusy:    {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 409, Code: "ServiceUpdating"},
	conformance.RestoreRefused: {Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 400, Message: "Invalid parameter"},
	conformance.RestoreLost:    {Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer},
	conformance.RestoreFails:   {Step: fakeazure.OnRestore, Kind: fakeazure.FailOperation, Message: "Cannot restore"},
	conformance.RestoreUntold:  {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 403},
	conformance.RestoreAway:    {Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: 503},
}

// restores returns the harness for restores of the service. A restore must bring back the path of the service's API.
func (w world) restores(t *testing.T, service string) conformance.RestoreHarness {
	t.Helper()
	r := w.backedUp(t, w.attempt(service, name(service)))
	return conformance.RestoreHarness{
		Restorer: func() backup.Restorer { return w.provider() },
		Ready: func(t *testing.T) backup.Restore {
			t.Helper()
			w.idle(t, service)
			w.configure(t, service, "changed-since")
			return r
		},
		Restored: func(t *testing.T, _ backup.Restore) {
			t.Helper()
			if path := w.path(t, service); path != "as-backed-up" {
				t.Errorf("the path is %q", path)
			}
		},
		Inject: func(t *testing.T, f conformance.RestoreFault) {
			t.Helper()
			fault, ok := restoreFaults[f]
			if !ok {
				t.Fatalf("the simulator has no fault for %q", f)
			}
			must(t, w.Inject(service, fault))
		},
		Starts: func() (n int) {
			for _, r := range w.RestoreRequests() {
				if r.Service == service {
					n++
				}
			}
			return n
		},
		Idle: func(t *testing.T) { t.Helper(); w.idle(t, service) },
	}
}

func TestRestoresAgainstTheStandIns(t *testing.T) {
	w := newWorld(t)
	t.Run("conformance, as little to be seen as possible", func(t *testing.T) {
		conformance.TestRestorer(t, w.restores(t, w.service(t, "back-hidden", nil)))
	})
	t.Run("conformance, the other readings", func(t *testing.T) {
		conformance.TestRestorer(t, w.restores(t, w.service(t, "back-visible", func(k *fakeazure.Options) {
			k.Trace, k.Unrestorable, k.Denied = fakeazure.TraceVisible, fakeazure.UnrestorableAtStart, fakeazure.DeniedAtStart
			k.StartHeaders, k.Settles = fakeazure.LocationAlone, 4*time.Minute
		})))
	})
	t.Run("identities", w.testIdentities)
	t.Run("artifacts", w.testArtifacts)
	t.Run("refusals", w.testRestoreRefusals)
	t.Run("settling", w.testSettling)
}

// bringBack restores to the end, each call as another process, and returns the tokens and the codes of the faults on the
// way.
func (w world) bringBack(t *testing.T, r backup.Restore) (said []string, err error) {
	t.Helper()
	operation, err := w.provider().BeginRestore(t.Context(), r)
	eventually(t, "the restore ends", func() bool {
		if err != nil || operation.Done {
			return true
		}
		said = append(said, operation.Token)
		var next backup.Operation
		next, err = w.provider().PollRestore(t.Context(), r, operation.Token)
		if f := backup.AsFault(err); f != nil && f.Kind == backup.Retryable {
			said, err = append(said, f.Code), nil
			return false
		}
		operation = next
		return err != nil || operation.Done
	})
	return said, err
}

// testIdentities checks that a restore reads the backup with the identity that wrote it, and that no key is kept.
func (w world) testIdentities(t *testing.T) {
	w.Assign(w.ObjectID(app), account, fakeazure.StorageAccountKeyOperator)
	defer func() {
		w.Unassign(w.ObjectID(app), account)
		w.Assign(w.ObjectID(app), account, fakeazure.StorageBlobDataContributor, fakeazure.Reader)
	}()
	for _, identity := range []string{"system", "accessKey", w.ClientID("restorer")} {
		container := "as-" + identity[:6]
		id := standbys + container
		must(t, w.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: identity == "system", UserAssigned: []string{"restorer"}}))
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		w.Assign(w.ObjectID(id), account, fakeazure.StorageBlobDataContributor)
		w.Assign(w.ObjectID("restorer"), account, fakeazure.StorageBlobDataContributor)
		a := w.attempt(id, strings.ToLower(container))
		a.Blocks = as(identity)
		r := w.backedUp(t, a)
		w.configure(t, id, "changed-since")
		if _, err := w.provider().PrepareRestore(t.Context(), r, ""); err != nil {
			t.Fatalf("%s: %v", identity, err)
		}
		said, err := w.bringBack(t, r)
		must(t, err)
		if path := w.path(t, id); path != "as-backed-up" || len(said) == 0 || strings.Contains(strings.Join(said, " "), accountKey) {
			t.Errorf("%s: the path is %q, said %q", identity, path, said)
		}
	}
	r := w.backedUp(t, w.attempt(w.service(t, "wrong-key", nil), "wrong-key"))
	r.Blocks = as("accessKey")
	must(t, w.Inject(r.Target, fakeazure.Fault{Step: fakeazure.OnRestore, Kind: fakeazure.Refuse, Status: 400, Message: "the key " + accountKey + " is wrong"}))
	_, err := w.provider().BeginRestore(t.Context(), r)
	fault{kind: backup.Refused, code: "InvalidParameters", message: "the key (secret) is wrong", hint: "access keys"}.check(t, err)
}

// testArtifacts checks that a restore is refused unless the blob equals the record of the recovery point.
func (w world) testArtifacts(t *testing.T) {
	r := w.backedUp(t, w.attempt(w.service(t, "artifacts", nil), "artifacts"))
	whole := w.content(t, "artifacts", r.Artifact)
	client, err := azblob.NewClient("https://contosobackups.blob.core.windows.net", w.Credential(app),
		&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.Client()}})
	must(t, err)
	upload := func(content []byte) {
		t.Helper()
		_, err := client.UploadBuffer(t.Context(), "artifacts", r.Artifact, content, nil)
		must(t, err)
	}
	prepare := func(p *apim.Provider, r backup.Restore) (calls int, err error) {
		operation := backup.Operation{}
		for err == nil && !operation.Done && calls < 10 {
			operation, err = p.PrepareRestore(t.Context(), r, operation.Token)
			calls++
		}
		return calls, err
	}
	if calls, err := prepare(w.provider(), r); err != nil || calls != 1 {
		t.Errorf("unchanged: %v after %d calls", err, calls)
	}
	upload(whole) // the same content under another ETag, as after a copy
	p := w.provider()
	p.HashPart = int64(len(whole)/3 + 1)
	before := len(w.Calls())
	if calls, err := prepare(p, r); err != nil || calls != 3 {
		t.Errorf("copied: %v after %d calls", err, calls)
	}
	if slices.ContainsFunc(w.Calls()[before:], func(c fakeazure.Call) bool { return c.Method == http.MethodPost || c.Method == http.MethodPut }) {
		t.Error("the preparation changed something")
	}
	whole[5] ^= 1
	upload(whole)
	_, err = prepare(w.provider(), r)
	fault{kind: backup.Refused, code: "ArtifactChanged", message: "and the recovery point " + r.SHA256, hint: "another recovery point"}.check(t, err)
	upload(whole[1:])
	_, err = prepare(w.provider(), r)
	fault{kind: backup.Refused, code: "ArtifactChanged", message: "262143 bytes, and the recovery point 262144"}.check(t, err)
	_, err = client.DeleteBlob(t.Context(), "artifacts", r.Artifact, nil)
	must(t, err)
	_, err = prepare(w.provider(), r)
	fault{kind: backup.Refused, code: "ArtifactMissing", message: r.Target + " cannot be restored", hint: "keeps deleted blobs"}.check(t, err)
	r.Storage.Container = "artifacts-gone"
	_, err = prepare(w.provider(), r)
	fault{kind: backup.Refused, code: "ArtifactMissing", message: "artifacts-gone"}.check(t, err)

	upload(whole)
	r.Storage.Container = "artifacts"
	w.Unassign(w.ObjectID(app), account)
	defer w.Assign(w.ObjectID(app), account, fakeazure.StorageBlobDataContributor, fakeazure.Reader)
	_, err = prepare(w.provider(), r)
	fault{kind: backup.Retryable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data Contributor"}.check(t, err)
}

// testRestoreRefusals checks that Azure's own words reach the person who must act.
func (w world) testRestoreRefusals(t *testing.T) {
	source := w.service(t, "refusing", nil)
	r := w.backedUp(t, w.attempt(source, "refusing"))
	t.Run("another tier", func(t *testing.T) {
		id := standbys + "premium"
		must(t, w.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: true, SKU: "Premium"}))
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		w.Assign(w.ObjectID(id), account, fakeazure.StorageBlobDataReader)
		other := r
		other.Target = id
		_, err := w.provider().PrepareRestore(t.Context(), other, "")
		fault{
			kind: backup.Refused, code: "TierDiffers", message: "its tier is Premium, and the backup is of the tier Developer",
			hint: "its own tier only",
		}.check(t, err)
		_, err = w.bringBack(t, other)
		fault{
			kind: backup.Refused, code: "RestoreFailed", message: "Cannot restore: current SKU is 'Premium', backup SKU is 'Developer'",
			hint: "its own tier only",
		}.check(t, err)
	})
	t.Run("a tier without restores", func(t *testing.T) {
		id := standbys + "back-v2"
		must(t, w.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: true, SKU: "StandardV2"}))
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		other := r
		other.Target = id
		_, err := w.provider().PrepareRestore(t.Context(), other, "")
		fault{kind: backup.Refused, code: "TierWithoutBackup", message: id + " cannot be restored", hint: "Developer, Basic"}.check(t, err)
	})
	t.Run("no identity", func(t *testing.T) {
		id := standbys + "back-faceless"
		must(t, w.AddService(fakeazure.Service{ResourceID: id}))
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		other := r
		other.Target = id
		_, err := w.provider().PrepareRestore(t.Context(), other, "")
		fault{kind: backup.Refused, code: "NoSystemIdentity", message: "to read the backup with", hint: "system-assigned"}.check(t, err)
	})
	t.Run("expired", func(t *testing.T) {
		must(t, w.Tune(source, func(k *fakeazure.Options) { k.RestorableFor = 1 }))
		defer func() { must(t, w.Tune(source, func(k *fakeazure.Options) { k.RestorableFor = 0 })) }()
		_, err := w.bringBack(t, r)
		fault{kind: backup.Refused, code: "RestoreFailed", message: "Cannot restore: backup expired", hint: "30 days"}.check(t, err)
	})
	t.Run("the service may not read", func(t *testing.T) {
		w.Unassign(w.ObjectID(source), account)
		defer w.Assign(w.ObjectID(source), account, fakeazure.StorageBlobDataReader)
		_, err := w.bringBack(t, r)
		fault{
			kind: backup.Refused, code: "RestoreFailed", message: "denies access", hint: "Storage Blob Data Contributor on the storage account contosobackups",
		}.check(t, err)
	})
	t.Run("no role", func(t *testing.T) {
		w.Unassign(w.ObjectID(app), source)
		defer w.Assign(w.ObjectID(app), source, fakeazure.APIManagementServiceOperator)
		_, err := w.provider().BeginRestore(t.Context(), r)
		fault{kind: backup.Refused, code: "AuthorizationFailed", hint: "service/restore/action on " + source}.check(t, err)
	})
	t.Run("no such service", func(t *testing.T) {
		id := standbys + "nowhere"
		w.Assign(w.ObjectID(app), id, fakeazure.APIManagementServiceOperator)
		other := r
		other.Target = id
		_, err := w.provider().PrepareRestore(t.Context(), other, "")
		fault{kind: backup.Refused, code: "ResourceNotFound", hint: "a service that is there"}.check(t, err)
	})
	if path := w.path(t, source); path != "as-backed-up" {
		t.Errorf("the path is %q", path)
	}
}

// testSettling checks that a restore is not done before the service has settled.
func (w world) testSettling(t *testing.T) {
	service := w.service(t, "settling", func(k *fakeazure.Options) { k.Settles = 8 * time.Minute })
	r := w.backedUp(t, w.attempt(service, "settling"))
	w.configure(t, service, "changed-since")
	_, err := w.bringBack(t, r)
	must(t, err)
	ended := w.Operations()[len(w.Operations())-1].Ended
	if early := time.Duration(pace*float64(8*time.Minute)) - time.Since(ended); early > 0 {
		t.Errorf("the restore was called done %s before the service had settled", early)
	}
	if path := w.path(t, service); path != "as-backed-up" {
		t.Errorf("the path is %q", path)
	}
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
