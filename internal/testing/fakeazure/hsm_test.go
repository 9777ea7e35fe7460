package fakeazure_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"lifeboat/internal/testing/fakeazure"
)

const (
	fort       = group + "/providers/Microsoft.KeyVault/managedHSMs/fort"
	fortURL    = "https://fort.managedhsm.azure.net"
	hsmVersion = "?api-version=2025-07-01"
)

// startWithHSM attaches storage and the HSM fort with the keys rsa1 and rsa2, whose identity may write there. The app may make
// and restore backups, "officer" may work with keys. Time is slower than elsewhere: a restore requires a backup within the
// last 30 minutes. Here these are 18 seconds.
func startWithHSM(t *testing.T) *fakeazure.Sim {
	t.Helper()
	s := startWithStorage(t, func(c *fakeazure.Config) { c.TimeScale = 0.01 })
	addHSM(t, s, "fort", "")
	return s
}

func addHSM(t *testing.T, s *fakeazure.Sim, name, domain string) {
	t.Helper()
	id := strings.TrimSuffix(fort, "fort") + name
	must(t, s.AddHSM(fakeazure.HSM{
		ResourceID: id, SecurityDomain: domain, Identity: "hsm-writer", Keys: []string{"rsa1", "rsa2"},
	}))
	must(t, s.AssignHSM(id, s.ObjectID("app"), fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore))
	must(t, s.AssignHSM(id, s.ObjectID("officer"), fakeazure.ManagedHSMCryptoOfficer, fakeazure.ManagedHSMCryptoUser))
	s.Assign(s.ObjectID("hsm-writer"), accountID, fakeazure.StorageBlobDataContributor)
}

func newBackupClient(t *testing.T, s *fakeazure.Sim, url string, c azcore.TokenCredential) *backup.Client {
	t.Helper()
	client, err := backup.NewClient(url, c, &backup.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

func newKeyClient(t *testing.T, s *fakeazure.Sim, url string) *azkeys.Client {
	t.Helper()
	client, err := azkeys.NewClient(url, s.Credential("officer"), &azkeys.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

func containerURL(name string) string {
	return "https://" + accountName + ".blob.core.windows.net/" + name
}

// byIdentity makes the HSM use its own identity.
func byIdentity(name string) backup.SASTokenParameters {
	return backup.SASTokenParameters{StorageResourceURI: to.Ptr(containerURL(name)), UseManagedIdentity: to.Ptr(true)}
}

// bySAS signs with the account key.
func bySAS(t *testing.T, name, permissions string, valid time.Duration) backup.SASTokenParameters {
	t.Helper()
	key, err := container.NewSharedKeyCredential(accountName, accountKey)
	must(t, err)
	values, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: time.Now().UTC().Add(valid), ContainerName: name, Permissions: permissions,
	}.SignWithSharedKey(key)
	must(t, err)
	return backup.SASTokenParameters{StorageResourceURI: to.Ptr(containerURL(name)), Token: to.Ptr(values.Encode())}
}

// settle polls an operation until it ends and returns its result.
func settle[T any](t *testing.T, poller *runtime.Poller[T], err error) (T, error) {
	t.Helper()
	must(t, err)
	eventually(t, "operation ended", func() bool {
		_, err := poller.Poll(t.Context())
		must(t, err)
		return poller.Done()
	})
	return poller.Result(t.Context())
}

// fullBackup makes a backup of fort and returns its folder.
func fullBackup(t *testing.T, s *fakeazure.Sim, name string) string {
	t.Helper()
	poller, err := newBackupClient(t, s, fortURL, s.Credential("app")).BeginFullBackup(t.Context(), byIdentity(name), nil)
	result, err := settle(t, poller, err)
	must(t, err)
	return path.Base(*result.AzureStorageBlobContainerURI)
}

// details returns the statusDetails of a failed operation.
func details(t *testing.T, err error) string {
	t.Helper()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != 200 || refused.ErrorCode != "" {
		t.Fatalf("want a failure with status 200 and no code, got %v", err)
	}
	var body struct{ Status, StatusDetails string }
	must(t, json.NewDecoder(refused.RawResponse.Body).Decode(&body))
	if body.Status != "Failed" {
		t.Errorf("status %s", body.Status)
	}
	return body.StatusDetails
}

// folderBlobs returns the names and sizes of a folder's blobs.
func folderBlobs(t *testing.T, s *fakeazure.Sim, name, folder string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	pager := newBlobClient(t, s, "app").NewListBlobsFlatPager(name,
		&container.ListBlobsFlatOptions{Prefix: to.Ptr(folder + "/")})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		for _, blob := range page.Segment.BlobItems {
			found[path.Base(*blob.Name)] = *blob.Properties.ContentLength
		}
	}
	return found
}

// modulus returns the public part of a key's newest version, "" if there is no such key.
func modulus(t *testing.T, s *fakeazure.Sim, name string) string {
	t.Helper()
	key, err := newKeyClient(t, s, fortURL).GetKey(t.Context(), name, "", nil)
	if status, code := errorCode(err); status == 404 && code == "KeyNotFound" {
		return ""
	}
	must(t, err)
	return string(key.Key.N)
}

func TestHSMBackupThroughOfficialClient(t *testing.T) {
	s := startWithHSM(t)
	setIdentity(t, s)
	name := createContainer(t, s)
	fresh := func() *backup.Client {
		credential, err := azidentity.NewManagedIdentityCredential(nil)
		must(t, err)
		return newBackupClient(t, s, fortURL, credential)
	}
	check, err := fresh().BeginPreFullBackup(t.Context(), backup.PreBackupOperationParameters(byIdentity(name)), nil)
	checked, err := settle(t, check, err)
	must(t, err)
	if *checked.Status != "Succeeded" || checked.Error != nil || len(folderBlobs(t, s, name, "mhsm-fort")) != 0 {
		t.Errorf("prebackup %+v", checked)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Backup.Shortest = 30 * time.Second }))
	poller, err := fresh().BeginFullBackup(t.Context(), byIdentity(name), nil)
	must(t, err)
	polls := 0
	for ; !poller.Done(); polls++ {
		token, err := poller.ResumeToken()
		must(t, err)
		poller, err = fresh().BeginFullBackup(t.Context(), backup.SASTokenParameters{},
			&backup.BeginFullBackupOptions{ResumeToken: token})
		must(t, err)
		resp, err := poller.Poll(t.Context())
		must(t, err)
		if resp.Header.Get("Retry-After") != "" {
			t.Errorf("poll with Retry-After %s", resp.Header.Get("Retry-After"))
		}
	}
	result, err := poller.Result(t.Context())
	must(t, err)
	operation := s.HSMOperations()[1]
	stamp := operation.Started.UTC().Format("20060102150405.00")
	folder := "mhsm-fort-" + strings.Replace(stamp, ".", "", 1)
	if *result.AzureStorageBlobContainerURI != containerURL(name)+"/"+folder || *result.JobID != operation.JobID ||
		result.StartTime.Unix() != operation.Started.Unix() || result.EndTime.Unix() != operation.Ended.Unix() ||
		result.Error != nil || operation.Folder != folder || operation.HSM != fort || operation.State != fakeazure.Succeeded ||
		operation.Ended.Sub(operation.Started) < 290*time.Millisecond || polls < 2 {
		t.Errorf("got %+v, operation %+v after %d polls", result, operation, polls)
	}
	blobs := folderBlobs(t, s, name, folder)
	if len(blobs) != 4 || blobs["part-00"] != 32<<10 || blobs["archive.json"] == 0 {
		t.Errorf("folder %v", blobs)
	}
	requests := s.HSMRequests()
	if len(requests) != 2 || requests[1].Status != 202 || requests[1].Kind != fakeazure.FullBackup ||
		requests[1].JobID != *result.JobID {
		t.Errorf("requests %+v", requests)
	}
}

// TestHSMLooksAtOnce: a check may be done in its 202, and a failed one reports that only when it is polled.
func TestHSMLooksAtOnce(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Looking = fakeazure.LookingAtOnce }))
	for container, word := range map[string]string{name: "Succeeded", "missing": "InProgress"} {
		body := `{"storageResourceUri":"` + containerURL(container) + `","useManagedIdentity":true}`
		r := hsmSend(t, s, "POST", "/prebackup"+hsmVersion, "app", body)
		if r.StatusCode != 202 || !strings.Contains(string(r.body), `"status":"`+word+`"`) || r.Header.Get("Azure-AsyncOperation") == "" {
			t.Errorf("%s: %d %s", container, r.StatusCode, r.body)
		}
	}
	poller, err := newBackupClient(t, s, fortURL, s.Credential("app")).BeginPreFullBackup(t.Context(),
		backup.PreBackupOperationParameters(byIdentity(name)), nil)
	if _, err := settle(t, poller, err); err != nil {
		t.Error(err)
	}
}

// hsmSend sends a raw call to fort. The identity may be empty.
func hsmSend(t *testing.T, s *fakeazure.Sim, method, path, identity, body string) reply {
	t.Helper()
	var token string
	if identity != "" {
		token = "Bearer " + tokenOf(t, s, identity, "https://managedhsm.azure.net")
	}
	r, err := sendAs(t, s, method, fortURL+path, token, "application/json", body)
	must(t, err)
	return r
}

func TestHSMOnTheWire(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Backup.Shortest = 50 * time.Second }))
	body := `{"storageResourceUri":"` + containerURL(name) + `","useManagedIdentity":true}`
	first := hsmSend(t, s, "POST", "/backup"+hsmVersion, "", "")
	want := `Bearer authorization="https://login.microsoftonline.com/` + s.TenantID() +
		`", resource="https://managedhsm.azure.net"`
	if first.StatusCode != 401 || len(first.body) != 0 || first.Header.Get("WWW-Authenticate") != want {
		t.Errorf("first request: %d %q %s", first.StatusCode, first.body, first.Header.Get("WWW-Authenticate"))
	}
	accepted := hsmSend(t, s, "POST", "/backup"+hsmVersion, "app", body)
	form := regexp.MustCompile(`^{"azureStorageBlobContainerUri":null,"endTime":null,"error":null,` +
		`"jobId":"([0-9a-f]{32})","startTime":\d{10},"status":"InProgress","statusDetails":null}$`)
	parts := form.FindSubmatch(accepted.body)
	if parts == nil || accepted.StatusCode != 202 || accepted.Header.Get("Retry-After") != "1" ||
		accepted.Header.Get("Azure-AsyncOperation") != fortURL+"/backup/"+string(parts[1])+"/pending" {
		t.Fatalf("accepted: %d %s %v", accepted.StatusCode, accepted.body, accepted.Header)
	}
	pending := "/backup/" + string(parts[1]) + "/pending"
	if r := hsmSend(t, s, "GET", pending, "app", ""); r.StatusCode != 200 || !form.Match(r.body) ||
		r.Header.Get("Retry-After") != "" {
		t.Errorf("running: %d %s %v", r.StatusCode, r.body, r.Header)
	}
	busy := hsmSend(t, s, "POST", "/backup"+hsmVersion, "app", body)
	if busy.StatusCode != 409 || busy.code() != "409" || len(busy.body) < 3000 || !strings.Contains(string(busy.body),
		`"message":"Another backup operation is in progress. Please try again after sometime."`) {
		t.Errorf("second backup: %d %s", busy.StatusCode, busy.body)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Busy = fakeazure.BusyByName }))
	busy = hsmSend(t, s, "POST", "/backup"+hsmVersion, "app", body)
	if busy.StatusCode != 409 || busy.code() != "Conflict" ||
		!strings.Contains(string(busy.body), `"message":"Another backup operation is in progress"`) {
		t.Errorf("second backup, by name: %d %s", busy.StatusCode, busy.body)
	}
	restore := `{"sasTokenParameters":` + body + `,"folderToRestore":"mhsm-fort-2020091408443492"}`
	if r := hsmSend(t, s, "PUT", "/restore"+hsmVersion, "app", restore); r.StatusCode != 409 {
		t.Errorf("restore beside it: %d %s", r.StatusCode, r.body)
	}
	var last reply
	eventually(t, "backup ended", func() bool {
		last = hsmSend(t, s, "GET", pending, "app", "")
		return !form.Match(last.body)
	})
	done := regexp.MustCompile(`^{"azureStorageBlobContainerUri":"` + regexp.QuoteMeta(containerURL(name)) +
		`/mhsm-fort-\d{16}","endTime":\d{10},"error":null,"jobId":"` + string(parts[1]) +
		`","startTime":\d{10},"status":"Succeeded","statusDetails":null}$`)
	if last.StatusCode != 200 || !done.Match(last.body) {
		t.Errorf("end: %d %s", last.StatusCode, last.body)
	}
	if r := hsmSend(t, s, "GET", strings.Replace(pending, "backup", "restore", 1), "app", ""); r.StatusCode != 404 {
		t.Errorf("backup asked for as restore: %d", r.StatusCode)
	}
}

func TestHSMRefuses(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.AssignHSM(fort, s.ObjectID("backer"), fakeazure.ManagedHSMBackup))
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	uri := `"storageResourceUri":"` + containerURL("anything") + `"`
	good := "{" + uri + `,"useManagedIdentity":true}`
	restore := `{"sasTokenParameters":` + good + `,"folderToRestore":"mhsm-fort-1"}`
	for name, tt := range map[string]struct {
		method, path, identity, body string
		status                       int
		code                         string
	}{
		"stranger":            {"POST", "/backup" + hsmVersion, "stranger", good, 403, "AccessDenied"},
		"Azure role only":     {"POST", "/backup" + hsmVersion, "owner", good, 403, "AccessDenied"},
		"restore by backer":   {"PUT", "/restore" + hsmVersion, "backer", restore, 403, "AccessDenied"},
		"keys by app":         {"GET", "/keys" + hsmVersion, "app", "", 403, "AccessDenied"},
		"purge by backer":     {"DELETE", "/deletedkeys/rsa1" + hsmVersion, "backer", "", 403, "AccessDenied"},
		"no version":          {"POST", "/backup", "app", good, 400, "BadParameter"},
		"version":             {"POST", "/backup?api-version=7.9", "app", good, 400, "BadParameter"},
		"identity too early":  {"POST", "/backup?api-version=7.4", "app", good, 400, "BadRequest"},
		"check too early":     {"POST", "/prebackup?api-version=7.5", "app", good, 404, "NotFound"},
		"no body":             {"POST", "/backup" + hsmVersion, "app", "", 400, "BadRequest"},
		"unknown member":      {"POST", "/backup" + hsmVersion, "app", `{"uri":"x",` + good[1:], 400, "BadRequest"},
		"no storage":          {"POST", "/backup" + hsmVersion, "app", `{"useManagedIdentity":true}`, 400, "BadRequest"},
		"two ways":            {"POST", "/backup" + hsmVersion, "app", `{"token":"se=x",` + good[1:], 400, "BadRequest"},
		"no way":              {"POST", "/backup" + hsmVersion, "app", "{" + uri + "}", 400, "BadRequest"},
		"no folder":           {"PUT", "/restore" + hsmVersion, "app", `{"sasTokenParameters":` + good + `}`, 400, "BadRequest"},
		"no parameters":       {"PUT", "/restore" + hsmVersion, "app", `{"folderToRestore":"f"}`, 400, "BadRequest"},
		"folder of a key":     {"PUT", "/keys/rsa1/restore" + hsmVersion, "app", restore, 400, "BadRequest"},
		"folder with slashes": {"PUT", "/restore" + hsmVersion, "app", strings.Replace(restore, "-1", "/", 1), 400, "BadRequest"},
		"method":              {"PUT", "/backup" + hsmVersion, "app", good, 404, "NotFound"},
		"unknown job":         {"GET", "/backup/0123/pending", "app", "", 404, "ResourceNotFound"},
	} {
		if r := hsmSend(t, s, tt.method, tt.path, tt.identity, tt.body); r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s", name, r.StatusCode, r.body)
		}
	}
	for name, authorization := range map[string]string{
		"audience": "Bearer " + tokenOf(t, s, "app", "https://vault.azure.net"), "foreign token": "Bearer x.y.z",
	} {
		r, err := sendAs(t, s, "POST", fortURL+"/backup"+hsmVersion, authorization, "application/json", good)
		must(t, err)
		if r.StatusCode != 401 || r.code() != "Unauthorized" || r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: got %d %s", name, r.StatusCode, r.body)
		}
	}
	r, err := sendAs(t, s, "POST", fortURL+"/backup"+hsmVersion,
		"Bearer "+tokenOf(t, s, "app", "https://managedhsm.azure.net"), "text/plain", good)
	must(t, err)
	if r.StatusCode != 400 {
		t.Errorf("content type: %d", r.StatusCode)
	}
	if n := len(s.HSMOperations()); n != 0 {
		t.Errorf("%d operations", n)
	}
}

func TestHSMResource(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	s.Assign(s.ObjectID("app"), group, fakeazure.Reader)
	url := func(id string) string { return "https://management.azure.com" + id + "?api-version=2023-07-01" }
	r := send(t, s, "GET", url(fort), "app", "")
	var body struct {
		SKU      struct{ Family, Name string }
		Identity struct {
			UserAssignedIdentities map[string]struct{ PrincipalID string }
		}
		Properties struct{ HSMURI, ProvisioningState, StatusMessage string }
	}
	must(t, json.Unmarshal(r.body, &body))
	writer := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hsm-writer"
	if r.StatusCode != 200 || body.SKU.Name != "Standard_B1" || body.Properties.HSMURI != fortURL+"/" ||
		body.Properties.ProvisioningState != "Succeeded" || body.Properties.StatusMessage == "" ||
		body.Identity.UserAssignedIdentities[writer].PrincipalID != s.ObjectID("hsm-writer") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: strings.TrimSuffix(fort, "fort") + "bare"}))
	bare := send(t, s, "GET", url(strings.TrimSuffix(fort, "fort")+"bare"), "app", "")
	if bare.StatusCode != 200 || strings.Contains(string(bare.body), "identity") {
		t.Errorf("without identity: %d %s", bare.StatusCode, bare.body)
	}
	if r := send(t, s, "GET", url(fort+"x"), "app", ""); r.StatusCode != 404 || r.code() != "ResourceNotFound" {
		t.Errorf("unknown: %d %s", r.StatusCode, r.body)
	}
	for _, tt := range []struct {
		activation fakeazure.Activation
		word       string
	}{{fakeazure.Activated, "Active"}, {fakeazure.NotActivated, "NotActivated"}, {fakeazure.ActivationUnknown, "Unknown"}} {
		must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Activation = tt.activation }))
		r := send(t, s, "GET", url(fort), "app", "")
		if !strings.Contains(string(r.body), `"activationStatus":"`+tt.word+`"`) || !strings.Contains(string(r.body), `"Succeeded"`) {
			t.Errorf("%s: %s", tt.word, r.body)
		}
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.ProvisioningState = "Restoring" }))
	must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: http.StatusServiceUnavailable}))
	if r := send(t, s, "GET", url(fort), "app", ""); r.StatusCode != 503 {
		t.Errorf("fault: %d", r.StatusCode)
	}
	if r := send(t, s, "GET", url(fort), "app", ""); !strings.Contains(string(r.body), `"provisioningState":"Restoring"`) {
		t.Errorf("state: %s", r.body)
	}
	for what, id := range map[string]string{"type": contoso, "name": fort + "_", "no ID": "fort"} {
		if err := s.AddHSM(fakeazure.HSM{ResourceID: id}); err == nil {
			t.Errorf("%s: added", what)
		}
	}
	for what, err := range map[string]error{
		"role":          s.AssignHSM(fort, s.ObjectID("app"), "reader"),
		"assign":        s.AssignHSM(fort+"x", s.ObjectID("app")),
		"unassign":      s.UnassignHSM(fort+"x", s.ObjectID("app")),
		"tune":          s.TuneHSM(fort+"x", func(*fakeazure.HSMOptions) {}),
		"service fault": s.Inject(fort, fakeazure.Fault{Kind: fakeazure.NoBlob}),
		"hsm fault":     s.Inject(contoso, fakeazure.Fault{Kind: fakeazure.EmptyFolder}),
		"service step":  s.Inject(contoso, fakeazure.Fault{Kind: fakeazure.LoseAnswer, Step: fakeazure.OnKey}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestHSMFaults(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	begin := func() (*runtime.Poller[backup.FullBackupResponse], error) {
		return client.BeginFullBackup(t.Context(), byIdentity(name), nil)
	}
	must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 429, RetryAfter: 7 * time.Second}))
	_, err := begin()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != 429 || refused.RawResponse.Header.Get("Retry-After") != "7" {
		t.Errorf("refused: %v", err)
	}
	must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseRequest}))
	if _, err := begin(); err == nil || len(s.HSMOperations()) != 0 {
		t.Errorf("lost request: %v, %d operations", err, len(s.HSMOperations()))
	}
	must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer}))
	if _, err := begin(); err == nil {
		t.Error("lost answer arrived")
	}
	eventually(t, "the backup that nobody knows of ends", func() bool {
		o := s.HSMOperations()
		return len(o) == 1 && o[0].State == fakeazure.Succeeded
	})
	if requests := s.HSMRequests(); len(requests) != 3 || requests[1].Status != 0 || requests[2].Status != 202 {
		t.Errorf("requests %+v", requests)
	}
	must(t, s.Inject(fort,
		fakeazure.Fault{Kind: fakeazure.FailOperation, Message: "as told"},
		fakeazure.Fault{Kind: fakeazure.EmptyFolder},
		fakeazure.Fault{Kind: fakeazure.MissingBlob},
	))
	poller, err := begin()
	_, err = settle(t, poller, err)
	if got := details(t, err); got != "as told" {
		t.Errorf("failed operation: %q", got)
	}
	for _, want := range []int{0, 3} {
		folder := fullBackup(t, s, name)
		if got := folderBlobs(t, s, name, folder); len(got) != want {
			t.Errorf("want %d blobs, got %v", want, got)
		}
		parameters := byIdentity(name)
		check, err := client.BeginPreFullRestore(t.Context(),
			backup.PreRestoreOperationParameters{FolderToRestore: &folder, SASTokenParameters: &parameters}, nil)
		_, err = settle(t, check, err)
		if got := details(t, err); got != "Invalid backup provided" {
			t.Errorf("folder of %d blobs: %q", want, got)
		}
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Backup.Shortest = 50 * time.Second }))
	poller, err = begin()
	must(t, err)
	for _, status := range []int{401, 403, 404, 503} {
		must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: status}))
		if _, err := poller.Poll(t.Context()); err == nil || poller.Done() {
			t.Errorf("poll refused with %d: %v", status, err)
		}
	}
	_, err = settle(t, poller, nil)
	must(t, err)
}

func TestHSMFolderGrows(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	for reading, want := range map[fakeazure.Folder]bool{fakeazure.FolderGrows: true, fakeazure.FolderAtEnd: false} {
		must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) {
			k.Backup.Shortest, k.Blobs, k.BlobBytes, k.Folder = 120*time.Second, 6, 100, reading
		}))
		poller, err := newBackupClient(t, s, fortURL, s.Credential("app")).BeginFullBackup(t.Context(), byIdentity(name), nil)
		must(t, err)
		operations := s.HSMOperations()
		operation, partial := operations[len(operations)-1], false
		eventually(t, "backup ended", func() bool {
			n := len(folderBlobs(t, s, name, operation.Folder))
			partial = partial || (n > 0 && time.Since(operation.Started) < time.Second)
			_, err := poller.Poll(t.Context())
			must(t, err)
			return poller.Done()
		})
		if blobs := folderBlobs(t, s, name, operation.Folder); partial != want || len(blobs) != 6 || blobs["part-00"] != 100 {
			t.Errorf("reading %d: seen growing %v, in the end %v", reading, partial, blobs)
		}
	}
}
