package fakeazure_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/testing/fakeazure"
)

func newServiceClient(t *testing.T, s *fakeazure.Sim, c azcore.TokenCredential) *apim.ServiceClient {
	t.Helper()
	client, err := apim.NewServiceClient(subscription, c, &arm.ClientOptions{
		ClientOptions: clientOptions(s), DisableRPRegistration: true,
	})
	must(t, err)
	return client
}

// setIdentity gives this process the app's identity.
func setIdentity(t *testing.T, s *fakeazure.Sim) {
	t.Helper()
	for _, variable := range s.Env() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "IDENTITY_") {
			t.Setenv(name, value)
		}
	}
}

func systemAssigned(container, name string) apim.ServiceBackupRestoreParameters {
	return apim.ServiceBackupRestoreParameters{
		StorageAccount: to.Ptr(accountName), ContainerName: &container, BackupName: &name,
		AccessType: to.Ptr(apim.AccessTypeSystemAssignedManagedIdentity),
	}
}

func TestBackupThroughOfficialClients(t *testing.T) {
	s := startWithStorage(t)
	setIdentity(t, s)
	container := createContainer(t, s)
	credential, err := azidentity.NewManagedIdentityCredential(nil)
	must(t, err)

	poller, err := newServiceClient(t, s, credential).BeginBackup(t.Context(), "backup", "contoso",
		systemAssigned(container, "a/b.apimbackup"), nil)
	must(t, err)
	polls := 0
	for !poller.Done() {
		token, err := poller.ResumeToken()
		must(t, err)
		fresh, err := azidentity.NewManagedIdentityCredential(nil)
		must(t, err)
		poller, err = newServiceClient(t, s, fresh).BeginBackup(t.Context(), "", "",
			apim.ServiceBackupRestoreParameters{}, &apim.ServiceClientBeginBackupOptions{ResumeToken: token})
		must(t, err)
		_, err = poller.Poll(t.Context())
		must(t, err)
		polls++
	}
	result, err := poller.Result(t.Context())
	must(t, err)
	if *result.ID != contoso || *result.Properties.ProvisioningState != "Succeeded" || polls < 2 {
		t.Errorf("got %s %s after %d polls", *result.ID, *result.Properties.ProvisioningState, polls)
	}

	blob, err := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(container).
		NewBlobClient("a/b.apimbackup").GetProperties(t.Context(), nil)
	must(t, err)
	operations := s.Operations()
	if *blob.ContentLength != 256<<10 || blob.ContentMD5 != nil || len(operations) != 1 {
		t.Fatalf("blob of %d bytes, MD5 %x, %d operations", *blob.ContentLength, blob.ContentMD5, len(operations))
	}
	if o := operations[0]; o.State != fakeazure.Succeeded || o.BackupName != "a/b.apimbackup" || o.Service != contoso ||
		o.Ended.Sub(o.Started) < 480*time.Millisecond {
		t.Errorf("operation %+v", o)
	}
	if r := s.BackupRequests(); len(r) != 1 || r[0].Status != 202 || r[0].BackupName != "a/b.apimbackup" ||
		r[0].Operation != operations[0].ID || r[0].At.IsZero() {
		t.Errorf("requests %+v", r)
	}
	for _, c := range s.Calls() {
		if strings.HasPrefix(c.Path, contoso) && (c.ObjectID != s.ObjectID("app") || c.AuthScheme != "Bearer") {
			t.Errorf("call %+v", c)
		}
	}
}

// post sends a raw POST for a backup with the system-assigned identity.
func post(t *testing.T, s *fakeazure.Sim, container, name string) reply {
	t.Helper()
	return send(t, s, "POST", armURL(contoso+"/backup"), "app", body(container, name, ""))
}

func body(container, name, more string) string {
	return `{"storageAccount":"` + accountName + `","containerName":"` + container + `","backupName":"` + name +
		`","accessType":"SystemAssignedManagedIdentity"` + more + `}`
}

// finish polls an accepted backup until it ends.
func finish(t *testing.T, s *fakeazure.Sim, accepted reply) (last reply) {
	t.Helper()
	if accepted.StatusCode != http.StatusAccepted {
		t.Fatalf("backup: got %d %s", accepted.StatusCode, accepted.body)
	}
	eventually(t, "backup ended", func() bool {
		last = send(t, s, "GET", accepted.Header.Get("Location"), "app", "")
		return last.StatusCode != http.StatusAccepted
	})
	return last
}

func TestBackupOnTheWire(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.StartHeaders = fakeazure.LocationAlone }))
	accepted := post(t, s, container, "wire")
	running := send(t, s, "GET", accepted.Header.Get("Location"), "app", "")
	for name, c := range map[string]struct {
		reply
		form string
	}{
		"accepted": {accepted, `//operationresults/([A-Za-z0-9+]+=*)`}, "running": {running, `/operationresults/([A-Za-z0-9+]+(?:%3D)*)`},
	} {
		r := c.reply
		if r.StatusCode != 202 || len(r.body) != 0 || r.Header.Get("Content-Length") != "0" ||
			r.Header.Get("Retry-After") != "1" || r.Header.Get("Azure-AsyncOperation") != "" {
			t.Errorf("%s: %d %q %v", name, r.StatusCode, r.body, r.Header)
		}
		form := regexp.MustCompile(`^https://management\.azure\.com` + contoso + c.form + `\?api-version=2024-05-01$`)
		location := form.FindStringSubmatch(r.Header.Get("Location"))
		if location == nil {
			t.Fatalf("%s: location %s", name, r.Header.Get("Location"))
		}
		id, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(location[1], "%3D", "="))
		must(t, err)
		if !regexp.MustCompile(`^westeurope:contoso_Backup_[0-9a-f]{8}$`).Match(id) {
			t.Errorf("%s: operation %s", name, id)
		}
	}
	if last := finish(t, s, running); last.StatusCode != 200 {
		t.Errorf("where it moved to: %d", last.StatusCode)
	}
	last := finish(t, s, accepted)
	again := send(t, s, "GET", accepted.Header.Get("Location"), "app", "")
	for name, r := range map[string]reply{"last": last, "again": again} {
		if r.StatusCode != 200 || r.Header.Get("Location") != "" || r.Header.Get("Retry-After") != "" ||
			len(r.body) < 2000 || len(r.body) > 3200 {
			t.Errorf("%s: %d, %d bytes, %v", name, r.StatusCode, len(r.body), r.Header)
		}
		var service struct {
			Properties struct{ ProvisioningState string }
		}
		must(t, json.Unmarshal(r.body, &service))
		if service.Properties.ProvisioningState != "Succeeded" {
			t.Errorf("%s: %s", name, service.Properties.ProvisioningState)
		}
	}
}

// TestStatusAndLocation: there are two signed addresses below the region. The status is 200 throughout, and shows no service;
// the Location has it at the end, and moves until then.
func TestStatusAndLocation(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	form := func(kind string) *regexp.Regexp {
		return regexp.MustCompile(`^https://management\.azure\.com/subscriptions/` + subscription +
			`/providers/Microsoft\.ApiManagement/locations/westeurope/` + kind +
			`/[A-Za-z0-9+]+=*\?api-version=2024-05-01&t=\d{18}&c=[\w-]+&s=[\w-]{342}&h=[\w-]{43}$`)
	}
	accepted := post(t, s, container, "name")
	status, location := accepted.Header.Get("Azure-AsyncOperation"), accepted.Header.Get("Location")
	if accepted.StatusCode != 202 || len(accepted.body) != 0 || accepted.Header.Get("Retry-After") != "1" ||
		!form("operationsStatuses").MatchString(status) || !form("operationResults").MatchString(location) || len(status) < 3200 {
		t.Fatalf("%d %q, at %s and %s", accepted.StatusCode, accepted.body, status, location)
	}
	nobody := send(t, s, "GET", status, "nobody", "")
	if nobody.StatusCode != 200 || string(nobody.body) != `{"status":"InProgress"}` || nobody.Header.Get("Location") != "" {
		t.Errorf("under way: %d %s %v", nobody.StatusCode, nobody.body, nobody.Header)
	}
	moved := send(t, s, "GET", location, "app", "")
	if next := moved.Header.Get("Location"); moved.StatusCode != 202 || next == location || !form("operationResults").MatchString(next) ||
		moved.Header.Get("Azure-AsyncOperation") != "" {
		t.Errorf("the result under way: %d %v", moved.StatusCode, moved.Header)
	}
	for _, address := range []string{location, moved.Header.Get("Location")} {
		if last := finish(t, s, reply{&http.Response{StatusCode: 202, Header: http.Header{"Location": {address}}}, nil}); last.StatusCode != 200 ||
			!strings.Contains(string(last.body), `"sku":{"capacity":1,"name":"Developer"}`) {
			t.Errorf("the result: %d %s", last.StatusCode, last.body)
		}
	}
	if last := send(t, s, "GET", status, "app", ""); last.StatusCode != 200 || string(last.body) != `{"status":"Succeeded"}` {
		t.Errorf("the end: %d %s", last.StatusCode, last.body)
	}
	for name, wrong := range map[string]string{
		"cut off": status[:len(status)-1], "another time": strings.Replace(status, "&t=6", "&t=7", 1),
		"another version": strings.Replace(status, "2024-05-01", "2031-01-01", 1),
	} {
		if r := send(t, s, "GET", wrong, "app", ""); r.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	for name, wrong := range map[string]string{
		"another region": strings.Replace(status, "westeurope", "northeurope", 1),
		"another":        strings.Replace(status, "operationsStatuses/", "operationsStatuses/eA", 1),
	} {
		if r := send(t, s, "GET", wrong, "app", ""); r.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	if r := send(t, s, "GET", status, "", ""); r.StatusCode != 401 {
		t.Errorf("without a token: %d", r.StatusCode)
	}

	must(t, s.Inject(contoso, fakeazure.Fault{Kind: fakeazure.FailOperation, Code: "C", Message: "m"}))
	failing := post(t, s, container, "failing")
	if last := finish(t, s, failing); last.StatusCode != 400 || last.code() != "C" {
		t.Errorf("the result of a failure: %d %s", last.StatusCode, last.body)
	}
	if r := send(t, s, "GET", failing.Header.Get("Azure-AsyncOperation"), "app", ""); r.StatusCode != 200 ||
		string(r.body) != `{"error":{"code":"C","message":"m"},"status":"Failed"}` {
		t.Errorf("the status of a failure: %d %s", r.StatusCode, r.body)
	}
	before := strings.Replace(armURL(contoso+"/backup"), "2024-05-01", "2022-08-01", 1)
	if r := send(t, s, "POST", before, "app", body(container, "before", "")); r.StatusCode != 202 ||
		r.Header.Get("Azure-AsyncOperation") != "" || !strings.Contains(r.Header.Get("Location"), "//operationresults/") {
		t.Errorf("2022-08-01: %d %v", r.StatusCode, r.Header)
	}
}

// TestBusyServiceByVersion: before 2022-08-01 only targetProvisioningState shows that a service is busy.
func TestBusyServiceByVersion(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	for _, c := range []struct{ state, version, provisioning, target string }{
		{"Succeeded", "2021-08-01", "Succeeded", ""},
		{"Succeeded", "2024-05-01", "Succeeded", ""},
		{"Updating", "2021-08-01", "Succeeded", "Updating"},
		{"Updating", "2022-08-01", "Updating", "Updating"},
		{"Updating", "2024-05-01", "Updating", "Updating"},
		{"Deleting", "2021-08-01", "Succeeded", "Deleting"},
		{"Failed", "2021-08-01", "Failed", ""},
	} {
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.ProvisioningState = c.state }))
		r := send(t, s, "GET", strings.Replace(armURL(contoso), "2024-05-01", c.version, 1), "app", "")
		var shown struct{ Properties map[string]any }
		must(t, json.Unmarshal(r.body, &shown))
		_, api := shown.Properties["dataApiUrl"]
		if shown.Properties["provisioningState"] != c.provisioning || shown.Properties["targetProvisioningState"] != c.target ||
			api != (c.version == "2024-05-01") {
			t.Errorf("%+v: %v", c, shown.Properties)
		}
	}
}

// TestLateRefusal: an unsuitable storage account is refused 24 s after the request, in the words of 2025.
func TestLateRefusal(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	begun := time.Now()
	r := post(t, s, "absent", "name")
	const words = `\r\nParameter name: backupContainerName (value: [absent])"`
	if took := time.Since(begun); r.StatusCode != 400 || r.code() != "InvalidParameters" || !strings.Contains(string(r.body), words) ||
		took < 24*time.Millisecond {
		t.Errorf("%d %s after %s", r.StatusCode, r.body, took)
	}
}

func TestRetryAfterFollowsTimeScale(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t, func(c *fakeazure.Config) { c.TimeScale = 0 })
	container := createContainer(t, s)
	if r := post(t, s, container, "a"); r.Header.Get("Retry-After") != "60" {
		t.Errorf("real time: Retry-After %s", r.Header.Get("Retry-After"))
	}
	s.SetTimeScale(0.1)
	if r := post(t, s, container, "b"); r.Header.Get("Retry-After") != "6" {
		t.Errorf("a tenth: Retry-After %s", r.Header.Get("Retry-After"))
	}
}

func TestBackupRefusesBodies(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	good := body(container, "name", "")
	withoutType := strings.Replace(good, `,"accessType":"SystemAssignedManagedIdentity"`, "", 1)
	stranger := body(container, "name", `,"clientId":"`+s.ClientID("stranger")+`"`)
	for name, tt := range map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"media type":      {"text/plain", good, 415, "UnsupportedMediaType"},
		"no JSON":         {"application/json", "backup", 400, "InvalidRequestContent"},
		"two objects":     {"application/json", good + "{}", 400, "InvalidRequestContent"},
		"unknown field":   {"application/json", body(container, "name", `,"sas":"x"`), 400, "InvalidRequestContent"},
		"wrong type":      {"application/json", strings.Replace(good, `"name"`, `7`, 1), 400, "InvalidRequestContent"},
		"nothing":         {"application/json", "{}", 400, "ValidationError"},
		"container name":  {"application/json", body("Backups", "name", ""), 400, "ValidationError"},
		"container dash":  {"application/json", body("back--ups", "name", ""), 400, "ValidationError"},
		"container short": {"application/json", body("ab", "name", ""), 400, "ValidationError"},
		"blob name":       {"application/json", body(container, "name.", ""), 400, "ValidationError"},
		"long blob name":  {"application/json", body(container, strings.Repeat("n", 1025), ""), 400, "ValidationError"},
		"access type":     {"application/json", strings.Replace(good, "SystemAssigned", "Some", 1), 400, "ValidationError"},
		"needless key":    {"application/json", body(container, "name", `,"accessKey":"eA=="`), 400, "ValidationError"},
		"needless client": {"application/json", body(container, "name", `,"clientId":"x"`), 400, "ValidationError"},
		"key by default":  {"application/json", withoutType, 400, "ValidationError"},
		"no client ID": {
			"application/json", strings.Replace(good, "SystemAssigned", "UserAssigned", 1), 400, "ValidationError",
		},
		"strange client ID": {
			"application/json",
			strings.Replace(stranger, "SystemAssigned", "UserAssigned", 1),
			400, "InvalidParameters",
		},
		"unknown account": {"application/json", strings.Replace(good, accountName, "nowhere", 1), 400, "InvalidParameters"},
		"container":       {"application/json", body("absent", "name", ""), 400, "InvalidParameters"},
		"charset":         {"application/json; charset=utf-8", good, 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := "Bearer " + tokenOf(t, s, "app", managementID)
			r, err := sendAs(t, s, "POST", armURL(contoso+"/backup"), token, tt.contentType, tt.body)
			must(t, err)
			if r.StatusCode != tt.status || r.code() != tt.code {
				t.Errorf("got %d %s, want %d %s", r.StatusCode, r.body, tt.status, tt.code)
			}
		})
	}
	if n := len(s.Operations()); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
}

func TestBackupRefusesServices(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	for name, tt := range map[string]struct {
		service fakeazure.Service
		code    string
	}{
		"Consumption": {fakeazure.Service{SKU: "Consumption", SystemAssigned: true}, "MethodNotAllowedInPricingTier"},
		"StandardV2":  {fakeazure.Service{SKU: "StandardV2", SystemAssigned: true}, "MethodNotAllowedInPricingTier"},
		"workspaces":  {fakeazure.Service{SKU: "Premium", SystemAssigned: true, Workspaces: true}, "ValidationError"},
		"no identity": {fakeazure.Service{SKU: "Premium"}, "InvalidParameters"},
	} {
		tt.service.ResourceID = contoso
		must(t, s.AddService(tt.service))
		if r := post(t, s, container, "name"); r.StatusCode != 400 || r.code() != tt.code {
			t.Errorf("%s: got %d %s", name, r.StatusCode, r.body)
		}
	}
}

func TestBackupRefusesCORSWithPatch(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	account := shared.account
	account.CORS = []string{"GET", "PATCH"}
	must(t, s.Storage(account))
	r := post(t, s, createContainer(t, s), "name")
	const text = `PATCH' was not found.\r\nParameter name: backupStorageAccount"`
	if r.StatusCode != 400 || r.code() != "InvalidParameters" || !strings.Contains(string(r.body), text) {
		t.Errorf("got %d %s", r.StatusCode, r.body)
	}
}

func TestBackupWithKeyOrUserAssignedIdentity(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("backup-writer"), accountID, fakeazure.StorageBlobDataContributor)
	container := createContainer(t, s)
	start := func(name, access string) reply {
		text := strings.Replace(body(container, name, ""), `,"accessType":"SystemAssignedManagedIdentity"`, access, 1)
		return send(t, s, "POST", armURL(contoso+"/backup"), "app", text)
	}
	wrong := base64.StdEncoding.EncodeToString([]byte("another key of the same length as the good one.."))
	for name, tt := range map[string]struct {
		access string
		status int
	}{
		"key":       {`,"accessKey":"` + accountKey + `"`, 200},
		"wrong key": {`,"accessType":"AccessKey","accessKey":"` + wrong + `"`, 400},
		"user-assigned": {
			`,"accessType":"UserAssignedManagedIdentity","clientId":"` + s.ClientID("backup-writer") + `"`, 200,
		},
	} {
		if last := finish(t, s, start(unique("key"), tt.access)); last.StatusCode != tt.status {
			t.Errorf("%s: got %d %s", name, last.StatusCode, last.body)
		}
	}
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Denied = fakeazure.DeniedAtStart }))
	if r := start("name", `,"accessKey":"`+wrong+`"`); r.StatusCode != 400 {
		t.Errorf("wrong key at start: got %d", r.StatusCode)
	}
}

func TestStorageDenied(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	s.Unassign(s.ObjectID(contoso), accountID)
	last := finish(t, s, post(t, s, container, "late"))
	if last.StatusCode != 400 || last.code() != "BackupFailed" || s.Operations()[0].State != fakeazure.Failed {
		t.Errorf("at the end: got %d %s", last.StatusCode, last.body)
	}
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Denied = fakeazure.DeniedAtStart }))
	if r := post(t, s, container, "early"); r.StatusCode != 400 || r.code() != "InvalidParameters" {
		t.Errorf("at the start: got %d %s", r.StatusCode, r.body)
	}
}

func TestMissingContainerCreated(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.MissingContainer = fakeazure.CreateMissingContainer }))
	container := unique("created")
	if last := finish(t, s, post(t, s, container, "name")); last.StatusCode != 200 {
		t.Fatalf("got %d %s", last.StatusCode, last.body)
	}
	download(t, s, container, "name")
}

func download(t *testing.T, s *fakeazure.Sim, container, name string) []byte {
	t.Helper()
	content := make([]byte, 1<<20)
	n, err := newBlobClient(t, s, "app").DownloadBuffer(t.Context(), container, name, content, nil)
	must(t, err)
	return content[:n]
}

func TestExistingBlob(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.BlobBytes = 1000 }))
	container := createContainer(t, s)
	finish(t, s, post(t, s, container, "name"))
	first := download(t, s, container, "name")
	finish(t, s, post(t, s, container, "name"))
	second := download(t, s, container, "name")
	if len(first) != 1000 || string(first) == string(second) {
		t.Errorf("%d bytes, overwritten by others: %v", len(first), string(first) != string(second))
	}

	must(t, s.Tune("", func(k *fakeazure.Options) { k.ExistingBlob = fakeazure.RefuseExistingBlob }))
	if r := post(t, s, container, "name"); r.StatusCode != 400 || r.code() != "InvalidParameters" {
		t.Errorf("refused at start: got %d %s", r.StatusCode, r.body)
	}
	one, two := post(t, s, container, "raced"), post(t, s, container, "raced")
	statuses := finish(t, s, one).StatusCode + finish(t, s, two).StatusCode
	if statuses != 200+400 {
		t.Errorf("two backups under one new name: statuses add up to %d", statuses)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	state := func(t *testing.T, s *fakeazure.Sim) string {
		got, err := newServiceClient(t, s, s.Credential("app")).Get(t.Context(), "backup", "contoso", nil)
		must(t, err)
		return *got.Properties.ProvisioningState
	}
	t.Run("hidden", func(t *testing.T) {
		s := startWithStorage(t)
		container := createContainer(t, s)
		first := post(t, s, container, "one")
		before := state(t, s)
		_, err := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(container).NewBlobClient("one").
			GetProperties(t.Context(), nil)
		second := post(t, s, container, "two")
		if before != "Succeeded" || !bloberror.HasCode(err, bloberror.BlobNotFound) || second.StatusCode != 202 {
			t.Errorf("while running: state %s, blob %v, second backup %d", before, err, second.StatusCode)
		}
		finish(t, s, first)
		finish(t, s, second)
		o := s.Operations()
		if len(o) != 2 || !o[1].Started.Before(o[0].Ended) {
			t.Errorf("not in parallel: %+v", o)
		}
	})
	t.Run("visible", func(t *testing.T) {
		s := startWithStorage(t)
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Trace = fakeazure.TraceVisible }))
		container := createContainer(t, s)
		first := post(t, s, container, "one")
		during := state(t, s)
		second := post(t, s, container, "two")
		if during != "Updating" || second.StatusCode != 409 || second.code() != "ServiceUpdating" {
			t.Errorf("while running: state %s, second backup %d %s", during, second.StatusCode, second.body)
		}
		finish(t, s, first)
		if after := state(t, s); after != "Succeeded" {
			t.Errorf("after: state %s", after)
		}
	})
	t.Run("other work", func(t *testing.T) {
		s := startWithStorage(t)
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.ProvisioningState, k.ConflictCode = "Activating", "Locked" }))
		if r := post(t, s, createContainer(t, s), "one"); r.StatusCode != 409 || r.code() != "Locked" {
			t.Errorf("got %d %s", r.StatusCode, r.body)
		}
	})
}

func TestParallelStartsOfVisibleBackup(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Trace = fakeazure.TraceVisible }))
	container := createContainer(t, s)
	statuses := make(chan int)
	const n = 8
	for range n {
		go func() {
			r, err := trySend(t, s, "POST", armURL(contoso+"/backup"), "app", body(container, "one", ""))
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			statuses <- r.StatusCode
		}()
	}
	count := make(map[int]int)
	for range n {
		count[<-statuses]++
	}
	if count[202] != 1 || count[409] != n-1 {
		t.Errorf("answers %v", count)
	}
}

func TestDurationOptions(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t, func(c *fakeazure.Config) { c.Options.Shortest = 50 * time.Second })
	container := createContainer(t, s)
	finish(t, s, post(t, s, container, "fixed"))
	must(t, s.Tune("", func(k *fakeazure.Options) { k.Longest = 100 * time.Second }))
	finish(t, s, post(t, s, container, "drawn"))
	for _, o := range s.Operations() {
		if took := o.Ended.Sub(o.Started); took < 50*time.Millisecond {
			t.Errorf("%s took %v", o.BackupName, took)
		}
	}
}

func TestContentComesFromTheSeed(t *testing.T) {
	t.Parallel()
	var contents []string
	for _, seed := range []uint64{3, 3, 4} {
		s := startWithStorage(t, func(c *fakeazure.Config) { c.Seed = seed })
		container := createContainer(t, s)
		finish(t, s, post(t, s, container, "name"))
		whole := download(t, s, container, "name")
		contents = append(contents, string(whole[len(whole)/2:])) // its beginning contains the time of the backup
	}
	if contents[0] != contents[1] || contents[0] == contents[2] {
		t.Errorf("seeds 3, 3 and 4: first two equal %v, last two equal %v",
			contents[0] == contents[1], contents[1] == contents[2])
	}
}

func errorCode(err error) (status int, code string) {
	var refused *azcore.ResponseError
	if errors.As(err, &refused) {
		return refused.StatusCode, refused.ErrorCode
	}
	return 0, ""
}
