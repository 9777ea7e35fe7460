package fakeazure_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/testing/fakeazure"
)

// startWithConfiguration adds to startWithStorage an owner who may change the configuration. Its operations end at once.
func startWithConfiguration(t *testing.T, change ...func(*fakeazure.Config)) *fakeazure.Sim {
	t.Helper()
	s := startWithStorage(t, change...)
	s.Assign(s.ObjectID("owner"), group, fakeazure.APIManagementServiceContributor)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.Shortest = 1 }))
	return s
}

// restored posts a raw restore.
func restored(t *testing.T, s *fakeazure.Sim, service, container, name string) reply {
	t.Helper()
	return send(t, s, "POST", armURL(service+"/restore"), "app", body(container, name, ""))
}

// configure puts an API and a secret.
func configure(t *testing.T, s *fakeazure.Sim, service, path, secret string) {
	t.Helper()
	for name, properties := range map[string]string{
		"/apis/orders":       `{"displayName":"Orders","path":"` + path + `","protocols":["https"]}`,
		"/namedValues/Token": `{"displayName":"token","value":"` + secret + `","secret":true,"tags":["a"]}`,
	} {
		r := send(t, s, "PUT", armURL(service+name), "owner", `{"properties":`+properties+`}`)
		if r.StatusCode != 200 && r.StatusCode != 201 {
			t.Fatalf("put %s: %d %s", name, r.StatusCode, r.body)
		}
	}
}

// configured returns the whole configuration, including the secret.
func configured(t *testing.T, s *fakeazure.Sim, service string) string {
	t.Helper()
	var all strings.Builder
	for _, what := range []string{"/apis", "/namedValues"} {
		r := send(t, s, "GET", armURL(service+what), "owner", "")
		if r.StatusCode != 200 {
			t.Fatalf("list %s: %d %s", what, r.StatusCode, r.body)
		}
		all.Write(r.body)
	}
	r := send(t, s, "POST", armURL(service+"/namedValues/token/listValue"), "owner", "")
	all.Write(r.body)
	return all.String()
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	const orders, token = contoso + "/apis/orders", contoso + "/namedValues/token"
	good := `{"properties":{"displayName":"Orders","path":"orders","protocols":["https"]}}`
	secret := `{"properties":{"displayName":"token","value":"hush","secret":true}}`
	for _, tt := range []struct {
		name, method, path, identity, body string
		status                             int
		code, says                         string
	}{
		{"reader writes", "PUT", orders, "app", good, 403, "AuthorizationFailed", "service/apis/write"},
		{"missing", "GET", orders, "app", "", 404, "ResourceNotFound", "orders"},
		{"no path", "PUT", orders, "owner", strings.Replace(good, `"path":"orders",`, "", 1), 400, "ValidationError", "path"},
		{"a protocol", "PUT", orders, "owner", strings.Replace(good, "https", "ftp", 1), 400, "ValidationError", "protocols"},
		{"no name", "PUT", orders, "owner", strings.Replace(good, "Orders", "", 1), 400, "ValidationError", "displayName"},
		{"unknown", "PUT", orders, "owner", strings.Replace(good, "path", "road", 1), 400, "InvalidRequestContent", "road"},
		{"no properties", "PUT", orders, "owner", "{}", 400, "InvalidRequestContent", ""},
		{"ID", "PUT", contoso + "/apis/a*b", "owner", good, 400, "ValidationError", "characters"},
		{"value", "PUT", token, "owner", strings.Replace(secret, "hush", "", 1), 400, "ValidationError", "value"},
		{"its name", "PUT", token, "owner", strings.Replace(secret, "token", "to ken", 1), 400, "ValidationError", "displayName"},
		{"created", "PUT", orders, "owner", good, 201, "", "/apis/orders"},
		{"replaced", "PUT", orders, "owner", good, 200, "", "/apis/orders"},
		{"read", "GET", contoso + "/APIs/Orders", "app", "", 200, "", `"path":"orders"`},
		{"secret", "PUT", token, "owner", secret, 201, "", `"secret":true`},
		{"told", "POST", token + "/listValue", "owner", "", 200, "", "hush"},
		{"not told", "POST", token + "/listValue", "app", "", 403, "AuthorizationFailed", "listValue/action"},
		{"no If-Match", "DELETE", orders, "owner", "", 400, "ValidationError", "If-Match"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := send(t, s, tt.method, armURL(tt.path), tt.identity, tt.body)
			if r.StatusCode != tt.status || r.code() != tt.code || !strings.Contains(string(r.body), tt.says) {
				t.Errorf("got %d %s", r.StatusCode, r.body)
			}
			if tt.method != "POST" && strings.Contains(string(r.body), "hush") {
				t.Errorf("a secret is told: %s", r.body)
			}
		})
	}
	client, err := apim.NewAPIClient(subscription, s.Credential("owner"), &arm.ClientOptions{
		ClientOptions: clientOptions(s), DisableRPRegistration: true,
	})
	must(t, err)
	got, err := client.Get(t.Context(), "backup", "contoso", "orders", nil)
	must(t, err)
	_, err = client.BeginDelete(t.Context(), "backup", "contoso", "orders", `"0"`, nil)
	if status, _ := errorCode(err); status != 412 {
		t.Errorf("delete under another ETag: %v", err)
	}
	for _, etag := range []string{*got.ETag, "*"} { // the second removes nothing
		deleted, err := client.BeginDelete(t.Context(), "backup", "contoso", "orders", etag, nil)
		must(t, err)
		_, err = deleted.PollUntilDone(t.Context(), nil)
		must(t, err)
	}
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.ProvisioningState = "Updating" }))
	if r := send(t, s, "PUT", armURL(orders), "owner", good); r.StatusCode != 409 {
		t.Errorf("a change of a busy service: %d", r.StatusCode)
	}
}

// TestRestore: the configuration of the backup's start is there again, whatever happened since. A restore does not touch
// settings outside of a backup.
func TestRestore(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	container := createContainer(t, s)
	configure(t, s, contoso, "orders", "one")
	before := configured(t, s, contoso)

	accepted := post(t, s, container, "name")
	configure(t, s, contoso, "too-late", "two")
	finish(t, s, accepted)
	if blob := download(t, s, container, "name"); strings.Contains(string(blob), "orders") || len(blob) != 256<<10 {
		t.Errorf("a blob of %d bytes, not opaque", len(blob))
	}
	send(t, s, "PUT", armURL(contoso+"/apis/new"), "owner", `{"properties":{"displayName":"N","path":"n","protocols":["http"]}}`)
	after := configured(t, s, contoso)

	accepted = restored(t, s, contoso, container, "name")
	id, err := base64.StdEncoding.DecodeString(s.Operations()[1].ID)
	must(t, err)
	if !strings.HasPrefix(string(id), "westeurope:contoso_Restore_") || accepted.Header.Get("Retry-After") == "" {
		t.Errorf("operation %s, headers %v", id, accepted.Header)
	}
	last := finish(t, s, accepted)
	if last.StatusCode != 200 || !strings.Contains(string(last.body), `"provisioningState":"Succeeded"`) {
		t.Errorf("the end: %d %s", last.StatusCode, last.body)
	}
	if got := configured(t, s, contoso); got != before || got == after {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}

	// The backup is restored into another service of the tier: its name, identity and custom domain stay.
	const other = contoso + "-2"
	must(t, s.AddService(fakeazure.Service{ResourceID: other, SystemAssigned: true, Hostname: "api.contoso.com"}))
	s.Assign(s.ObjectID("app"), other, fakeazure.APIManagementServiceOperator)
	s.Assign(s.ObjectID(other), accountID, fakeazure.StorageBlobDataReader)
	shown := string(send(t, s, "GET", armURL(other), "app", "").body)
	if last := finish(t, s, restored(t, s, other, container, "name")); last.StatusCode != 200 {
		t.Fatalf("into another service: %d %s", last.StatusCode, last.body)
	}
	if got := strings.ReplaceAll(configured(t, s, other), other, contoso); got != before {
		t.Errorf("in another service:\n%s\nwant\n%s", got, before)
	}
	now := string(send(t, s, "GET", armURL(other), "app", "").body)
	if shown != now || !strings.Contains(now, "api.contoso.com") {
		t.Errorf("the service was\n%s\nis\n%s", shown, now)
	}
	if b, r := s.BackupRequests(), s.RestoreRequests(); len(b) != 1 || len(r) != 2 || r[1].Service != other || r[0].Status != 202 {
		t.Errorf("backups %+v, restores %+v", b, r)
	}
}

// TestRestoreByAnotherSim: the blob contains the whole backup.
func TestRestoreByAnotherSim(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.BlobBytes = 1 })) // too small for the configuration
	container := createContainer(t, s)
	configure(t, s, contoso, "orders", strings.Repeat("long", 1024))
	before := configured(t, s, contoso)
	finish(t, s, post(t, s, container, "name"))
	other := startWithConfiguration(t, func(c *fakeazure.Config) { c.Seed = 9 })
	if last := finish(t, other, restored(t, other, contoso, container, "name")); last.StatusCode != 200 {
		t.Fatalf("got %d %s", last.StatusCode, last.body)
	}
	if got := configured(t, other, contoso); got != before {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
}

// refused expects the restore to fail in both readings, and to change nothing.
func refused(t *testing.T, s *fakeazure.Sim, container, name, says string) {
	t.Helper()
	before := configured(t, s, contoso)
	for _, when := range []fakeazure.Unrestorable{fakeazure.UnrestorableAtEnd, fakeazure.UnrestorableAtStart} {
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Unrestorable = when }))
		r := restored(t, s, contoso, container, name)
		if when == fakeazure.UnrestorableAtEnd {
			r = finish(t, s, r)
		}
		if r.StatusCode != 400 || r.code() != "RestoreFailed" || !strings.Contains(string(r.body), says) {
			t.Errorf("at %v: got %d %s, want %q", when, r.StatusCode, r.body, says)
		}
	}
	if after := configured(t, s, contoso); after != before {
		t.Errorf("a failed restore left\n%s", after)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	container := createContainer(t, s)
	configure(t, s, contoso, "orders", "one")
	finish(t, s, post(t, s, container, "name"))
	configure(t, s, contoso, "changed", "two")
	whole := download(t, s, container, "name")

	t.Run("blob missing", func(t *testing.T) {
		refused(t, s, container, "nothing", "Cannot restore: the specified blob does not exist")
	})
	t.Run("container missing", func(t *testing.T) {
		refused(t, s, "absent", "name", "Cannot restore: the specified container does not exist")
	})
	t.Run("broken blob", func(t *testing.T) {
		flip := func(at int) []byte {
			changed := append([]byte(nil), whole...)
			changed[at] ^= 1
			return changed
		}
		for _, content := range [][]byte{
			{},
			whole[:20], whole[:100], whole[:len(whole)-1], append(whole[:len(whole):len(whole)], 0),
			flip(0), flip(17), flip(60), flip(70), flip(len(whole) - 1), make([]byte, 1000),
		} {
			_, err := newBlobClient(t, s, "app").UploadBuffer(t.Context(), container, "broken", content, nil)
			must(t, err)
			refused(t, s, container, "broken", "Cannot restore: the backup is broken")
		}
	})
	t.Run("expired", func(t *testing.T) {
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.RestorableFor = 1 }))
		refused(t, s, container, "name", `"Cannot restore: backup expired"`)
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.RestorableFor = 0 }))
	})
	t.Run("storage denied", func(t *testing.T) {
		s.Unassign(s.ObjectID(contoso), accountID)
		defer s.Assign(s.ObjectID(contoso), accountID, fakeazure.StorageBlobDataReader)
		late := finish(t, s, restored(t, s, contoso, container, "nothing"))
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Denied = fakeazure.DeniedAtStart }))
		early := restored(t, s, contoso, container, "nothing")
		for r, code := range map[*reply]string{&late: "RestoreFailed", &early: "InvalidParameters"} {
			if r.StatusCode != 400 || r.code() != code || !strings.Contains(string(r.body), "the storage account denies access") {
				t.Errorf("got %d %s, want %s", r.StatusCode, r.body, code)
			}
		}
	})
	t.Run("no permission", func(t *testing.T) {
		s.Assign(s.ObjectID("backer"), contoso, fakeazure.Role{Actions: []string{"Microsoft.ApiManagement/service/backup/action"}})
		r := send(t, s, "POST", armURL(contoso+"/restore"), "backer", body(container, "name", ""))
		if r.StatusCode != 403 || !strings.Contains(string(r.body), "service/restore/action") {
			t.Errorf("got %d %s", r.StatusCode, r.body)
		}
	})
	t.Run("body", func(t *testing.T) {
		r := send(t, s, "POST", armURL(contoso+"/restore"), "app", body("ab", "name", ""))
		if r.StatusCode != 400 || r.code() != "ValidationError" {
			t.Errorf("got %d %s", r.StatusCode, r.body)
		}
	})
	t.Run("identity", func(t *testing.T) {
		stranger := strings.Replace(body(container, "name", `,"clientId":"`+s.ClientID("stranger")+`"`), "SystemA", "UserA", 1)
		r := send(t, s, "POST", armURL(contoso+"/restore"), "app", stranger)
		if r.StatusCode != 400 || r.code() != "InvalidParameters" {
			t.Errorf("got %d %s", r.StatusCode, r.body)
		}
	})
	t.Run("fault", func(t *testing.T) {
		must(t, s.Inject(contoso, fakeazure.Fault{Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Message: "not this"},
			fakeazure.Fault{Kind: fakeazure.FailOperation, Step: fakeazure.OnRestore, Message: "on purpose"}, fakeazure.Fault{Kind: fakeazure.NoBlob}))
		refusedOnce := finish(t, s, restored(t, s, contoso, container, "name"))
		if refusedOnce.code() != "RestoreFailed" || !strings.Contains(string(refusedOnce.body), "on purpose") {
			t.Errorf("got %d %s", refusedOnce.StatusCode, refusedOnce.body)
		}
	})
	// The refused restores left the backup intact.
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Unrestorable = fakeazure.UnrestorableAtEnd }))
	if last := finish(t, s, restored(t, s, contoso, container, "name")); last.StatusCode != 200 {
		t.Errorf("got %d %s", last.StatusCode, last.body)
	}
	if got := configured(t, s, contoso); !strings.Contains(got, "orders") || strings.Contains(got, "changed") {
		t.Errorf("restored %s", got)
	}
}

// TestRestoreRefusesTiers: the refusal has Azure's own words if another tier can restore at all.
func TestRestoreRefusesTiers(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	container := createContainer(t, s)
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SKU: "Standard", SystemAssigned: true}))
	finish(t, s, post(t, s, container, "name"))
	for _, sku := range []string{"StandardV2", "Premium"} {
		must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SKU: sku, SystemAssigned: true}))
		configure(t, s, contoso, "changed", "two")
		refused(t, s, container, "name", `"Cannot restore: current SKU is '`+sku+`', backup SKU is 'Standard'"`)
	}
	for code, service := range map[string]fakeazure.Service{
		"MethodNotAllowedInPricingTier": {SKU: "Consumption", SystemAssigned: true},
		"ValidationError":               {SKU: "Premium", SystemAssigned: true, Workspaces: true},
		"InvalidParameters":             {SKU: "Standard"},
	} {
		service.ResourceID = contoso
		must(t, s.AddService(service))
		if r := restored(t, s, contoso, container, "name"); r.StatusCode != 400 || r.code() != code {
			t.Errorf("%+v: got %d %s", service, r.StatusCode, r.body)
		}
	}
}

// TestBackupExpiresByTheClock: a backup expires after 30 days to the second.
func TestBackupExpiresByTheClock(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t, func(c *fakeazure.Config) { c.TimeScale = 0 })
	container := createContainer(t, s)
	finish(t, s, post(t, s, container, "name"))
	s.SkewDate(30*24*time.Hour - timeout)
	if last := finish(t, s, restored(t, s, contoso, container, "name")); last.StatusCode != 200 {
		t.Errorf("before: %d %s", last.StatusCode, last.body)
	}
	s.SkewDate(30*24*time.Hour + time.Second)
	last := finish(t, s, restored(t, s, contoso, container, "name"))
	if last.StatusCode != 400 || !strings.Contains(string(last.body), "backup expired") {
		t.Errorf("after: %d %s", last.StatusCode, last.body)
	}
}

// TestRestoreTrace: the test checks the state that a running restore shows, in both readings, and the state of a service that
// still settles.
func TestRestoreTrace(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	container := createContainer(t, s)
	configure(t, s, contoso, "orders", "one")
	finish(t, s, post(t, s, container, "name"))
	before := configured(t, s, contoso)
	state := func() string {
		var service struct {
			Properties struct{ ProvisioningState string }
		}
		must(t, json.Unmarshal(send(t, s, "GET", armURL(contoso), "app", "").body, &service))
		return service.Properties.ProvisioningState
	}
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Shortest = 0 })) // half a second
	t.Run("hidden", func(t *testing.T) {
		first := restored(t, s, contoso, container, "name")
		configure(t, s, contoso, "lost", "lost")
		during, second := state(), restored(t, s, contoso, container, "name")
		if during != "Succeeded" || second.StatusCode != 202 {
			t.Errorf("state %s, a second restore %d", during, second.StatusCode)
		}
		finish(t, s, first)
		finish(t, s, second)
		if got := configured(t, s, contoso); got != before {
			t.Errorf("left\n%s", got)
		}
	})
	t.Run("visible", func(t *testing.T) {
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Trace = fakeazure.TraceVisible }))
		first := restored(t, s, contoso, container, "name")
		during := state()
		for what, r := range map[string]reply{
			"restore": restored(t, s, contoso, container, "name"),
			"backup":  post(t, s, container, "beside"),
			"change": send(t, s, "PUT", armURL(contoso+"/apis/orders"), "owner",
				`{"properties":{"displayName":"Orders","path":"o","protocols":["https"]}}`),
		} {
			if r.StatusCode != http.StatusConflict {
				t.Errorf("%s: %d %s", what, r.StatusCode, r.body)
			}
		}
		finish(t, s, first)
		if after := state(); during != "Updating" || after != "Succeeded" {
			t.Errorf("state %s, then %s", during, after)
		}
	})
	t.Run("settling", func(t *testing.T) {
		must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.Settles = 8 * time.Minute }))
		last := finish(t, s, restored(t, s, contoso, container, "name"))
		if last.StatusCode != 200 || !strings.Contains(string(last.body), `"provisioningState":"Updating"`) {
			t.Errorf("the end: %d %s", last.StatusCode, last.body)
		}
		eventually(t, "the service settles", func() bool { return state() == "Succeeded" })
	})
}

func TestRestoreThroughTheOfficialClient(t *testing.T) {
	t.Parallel()
	s := startWithConfiguration(t)
	must(t, s.Tune("", func(k *fakeazure.Options) { k.Shortest = 0 }))
	container := createContainer(t, s)
	configure(t, s, contoso, "orders", "one")
	before := configured(t, s, contoso)
	finish(t, s, post(t, s, container, "name"))
	configure(t, s, contoso, "changed", "two")
	poller, err := newServiceClient(t, s, s.Credential("app")).BeginRestore(t.Context(), "backup", "contoso",
		systemAssigned(container, "name"), nil)
	must(t, err)
	for !poller.Done() {
		token, err := poller.ResumeToken()
		must(t, err)
		poller, err = newServiceClient(t, s, s.Credential("app")).BeginRestore(t.Context(), "", "",
			apim.ServiceBackupRestoreParameters{}, &apim.ServiceClientBeginRestoreOptions{ResumeToken: token})
		must(t, err)
		_, err = poller.Poll(t.Context())
		must(t, err)
	}
	result, err := poller.Result(t.Context())
	must(t, err)
	if *result.ID != contoso || configured(t, s, contoso) != before {
		t.Errorf("%s: %s", *result.ID, configured(t, s, contoso))
	}
	if o := s.Operations()[1]; o.Kind != fakeazure.ServiceRestore || o.State != fakeazure.Succeeded || o.BackupName != "name" {
		t.Errorf("operation %+v", o)
	}

	must(t, s.Inject(contoso, fakeazure.Fault{Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer}))
	_, err = newServiceClient(t, s, s.Credential("app")).BeginRestore(t.Context(), "backup", "contoso",
		systemAssigned(container, "name"), nil)
	if status, _ := errorCode(err); err == nil || status != 0 || len(s.RestoreRequests()) != 2 || len(s.Operations()) != 3 {
		t.Errorf("a lost answer: %v, %d requests, %d operations", err, len(s.RestoreRequests()), len(s.Operations()))
	}
	_, err = newServiceClient(t, s, s.Credential("app")).BeginRestore(t.Context(), "backup", "contoso",
		apim.ServiceBackupRestoreParameters{StorageAccount: to.Ptr(accountName)}, nil)
	if status, code := errorCode(err); status != 400 || code != "ValidationError" {
		t.Errorf("an incomplete request: %v", err)
	}
}
