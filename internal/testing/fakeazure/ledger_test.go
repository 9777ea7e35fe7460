package fakeazure_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"

	"lifeboat/internal/testing/fakeazure"
)

const (
	ccfID    = group + "/providers/Microsoft.ConfidentialLedger/managedCCFs/Votes"
	ledgerID = group + "/providers/Microsoft.ConfidentialLedger/ledgers/audit"
	ccfAPI   = "2025-06-10-preview"
)

// never is longer than any test.
var never = fakeazure.Range{Shortest: 10_000 * time.Hour, Longest: 10_000 * time.Hour}

var votes = []string{"one", "two", "three", "four", "five", "six", "seven"}

// startWithLedgers also adds a Managed CCF application and a Confidential Ledger. The app may do everything with them.
func startWithLedgers(t *testing.T) *fakeazure.Sim {
	t.Helper()
	s := startWithFiles(t)
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ccfID, Entries: votes}))
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ledgerID, Location: "North Europe", Entries: votes[:2]}))
	s.Assign(s.ObjectID("app"), group, fakeazure.LedgerOperator)
	return s
}

// ledgerMessage is the final answer of a backup; pollers need a type with a name.
type ledgerMessage struct{ Message *string }

// ledgerClient sends requests to Resource Manager as generated clients do.
type ledgerClient struct{ *arm.Client }

func newLedgerClient(t *testing.T, s *fakeazure.Sim) ledgerClient {
	t.Helper()
	client, err := arm.NewClient("ledger", "v1.0.0", s.Credential("app"),
		&arm.ClientOptions{ClientOptions: clientOptions(s), DisableRPRegistration: true})
	must(t, err)
	return ledgerClient{client}
}

func (c ledgerClient) send(ctx context.Context, method, id, version string, body any) (*http.Response, error) {
	req, err := runtime.NewRequest(ctx, method, c.Endpoint()+id+"?api-version="+version)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if err := runtime.MarshalAsJSON(req, body); err != nil {
			return nil, err
		}
	}
	resp, err := c.Pipeline().Do(req)
	if err == nil && !runtime.HasStatusCode(resp, 200, 201, 202, 204) {
		return nil, runtime.NewResponseError(resp)
	}
	return resp, err
}

// begin starts an operation.
func (c ledgerClient) begin(ctx context.Context, method, id, version string, body any) (
	*runtime.Poller[ledgerMessage], error,
) {
	resp, err := c.send(ctx, method, id, version, body)
	if err != nil {
		return nil, err
	}
	return runtime.NewPoller[ledgerMessage](resp, c.Pipeline(), nil)
}

// do calls begin, and follows the operation to its end.
func (c ledgerClient) do(t *testing.T, method, id, version string, body any) error {
	t.Helper()
	poller, err := c.begin(t.Context(), method, id, version, body)
	if err != nil {
		return err
	}
	_, err = poller.PollUntilDone(t.Context(), &runtime.PollUntilDoneOptions{Frequency: 10 * time.Millisecond})
	return err
}

// toFiles returns the body of a backup.
func toFiles(token string) map[string]string { return map[string]string{"uri": filesURL + "?" + token} }

// fromFiles returns the body of a restore.
func fromFiles(token, name, region string) map[string]string {
	return map[string]string{"uri": filesURL + "?" + token, "fileShareName": name, "restoreRegion": region}
}

// wantFailure checks the error of an accepted operation.
func wantFailure(t *testing.T, what string, err error, code, words string) {
	t.Helper()
	var failed *azcore.ResponseError
	if !errors.As(err, &failed) || failed.StatusCode != 200 || failed.ErrorCode != code || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %s %s", what, err, code, words)
	}
}

// backedUp makes a backup of the application and returns its share.
func backedUp(t *testing.T, s *fakeazure.Sim) string {
	t.Helper()
	must(t, newLedgerClient(t, s).do(t, "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil))))
	operations := s.LedgerOperations()
	return operations[len(operations)-1].Share
}

// filesOf returns the names of the files in a share, and their sizes in bytes.
func filesOf(t *testing.T, s *fakeazure.Sim, name string) (names []string) {
	t.Helper()
	in := newFileService(t, s).NewShareClient(name)
	for _, where := range []string{"", "ledger", "snapshots"} {
		d := in.NewRootDirectoryClient()
		if where != "" {
			d = in.NewDirectoryClient(where)
		}
		page, err := d.NewListFilesAndDirectoriesPager(nil).NextPage(t.Context())
		if err != nil {
			wantCode(t, "list "+where, err, 404, "ResourceNotFound")
			continue
		}
		for _, f := range page.Segment.Files {
			names = append(names, strings.TrimPrefix(where+"/"+*f.Name, "/"))
		}
	}
	return names
}

func TestLedgerBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	before, err := s.LedgerState(ccfID)
	must(t, err)
	name := backedUp(t, s)
	if !strings.HasPrefix(name, "votes-") {
		t.Errorf("share %s", name)
	}
	want := []string{
		"ledger/ledger_1-5.committed", "ledger/ledger_16", "ledger/ledger_6-15.committed", "snapshots/snapshot_15_16.committed",
	}
	if got := filesOf(t, s, name); !slices.Equal(got, want) {
		t.Errorf("files %q", got)
	}
	must(t, s.AppendToLedger(ccfID, "after the backup"))
	token := accountSAS(t, nil)
	restore := func() error { return c.do(t, "POST", ccfID+"/restore", ccfAPI, fromFiles(token, name, "westeurope")) }
	wantCode(t, "it is still there", restore(), 409, "ResourceAlreadyExists")
	must(t, c.do(t, "DELETE", ccfID, ccfAPI, nil))
	if _, err := s.LedgerState(ccfID); err == nil {
		t.Error("deleted, and still there")
	}
	_, err = c.send(t.Context(), "GET", ccfID, ccfAPI, nil)
	wantCode(t, "deleted", err, 404, "ResourceNotFound")
	_, err = c.send(t.Context(), "DELETE", ccfID, ccfAPI, nil)
	must(t, err)

	poller, err := c.begin(t.Context(), "POST", ccfID+"/restore", ccfAPI, fromFiles(token, name, "West Europe"))
	must(t, err)
	resume, err := poller.ResumeToken()
	must(t, err)
	if len(resume) < 3200 || len(resume) > 5000 || strings.Contains(resume, "sig=") {
		t.Errorf("token of %d characters: %s", len(resume), resume)
	}
	poller, err = runtime.NewPollerFromResumeToken[ledgerMessage](resume, c.Pipeline(), nil)
	must(t, err)
	_, err = poller.PollUntilDone(t.Context(), &runtime.PollUntilDoneOptions{Frequency: 10 * time.Millisecond})
	must(t, err)
	after, err := s.LedgerState(ccfID)
	must(t, err)
	if !slices.Equal(after.Entries, before.Entries) || after.Transaction != before.Transaction || after.Transaction != "2.22" ||
		after.ProvisioningState != "Succeeded" {
		t.Errorf("restored %+v, was %+v", after, before)
	}
	var kinds []fakeazure.LedgerOperationKind
	for _, r := range s.LedgerRequests() {
		kinds = append(kinds, r.Kind)
		if (r.Operation == "") == (r.Status == 202) || r.APIVersion != ccfAPI || r.Ledger != ccfID {
			t.Errorf("request %+v", r)
		}
	}
	if !slices.Equal(kinds, []fakeazure.LedgerOperationKind{"backup", "restore", "delete", "delete", "restore"}) {
		t.Errorf("requests %v", kinds)
	}
	for _, o := range s.LedgerOperations() {
		if o.State != fakeazure.Succeeded || o.Ended.IsZero() || (o.Share == "") != (o.Kind == "delete") {
			t.Errorf("operation %+v", o)
		}
	}
}

// states are the states of the resource in the answer to GET.
type states struct{ ProvisioningState, RunningState string }

func shown(t *testing.T, c ledgerClient, id, version string) states {
	t.Helper()
	resp, err := c.send(t.Context(), "GET", id, version, nil)
	must(t, err)
	var body struct {
		ID         string
		Properties states
	}
	must(t, runtime.UnmarshalAsJSON(resp, &body))
	if body.ID != id {
		t.Errorf("the resource is %s", body.ID)
	}
	return body.Properties
}

// TestLedgerShowsNoProvisioningState: GET shows no state, as recorded from 2021 to 2025, unless the option selects the reading
// of the description.
func TestLedgerShowsNoProvisioningState(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	for _, tt := range []struct {
		id, version string
		provisioned fakeazure.ProvisioningSeen
		want        states
	}{
		{ledgerID, "2021-05-13-preview", fakeazure.ProvisioningHidden, states{}},
		{ccfID, "2023-01-26-preview", fakeazure.ProvisioningHidden, states{}},
		{ccfID, "2023-06-28-preview", fakeazure.ProvisioningHidden, states{"", "Active"}},
		{ccfID, ccfAPI, fakeazure.ProvisioningHidden, states{"", "Active"}},
		{ledgerID, "2026-02-23", fakeazure.ProvisioningHidden, states{"", "Active"}},
		{ccfID, "2023-01-26-preview", fakeazure.ProvisioningShown, states{"Succeeded", ""}},
		{ccfID, ccfAPI, fakeazure.ProvisioningShown, states{"Succeeded", "Active"}},
	} {
		must(t, s.TuneLedger(tt.id, func(k *fakeazure.LedgerOptions) { k.Provisioning = tt.provisioned }))
		if got := shown(t, c, tt.id, tt.version); got != tt.want {
			t.Errorf("%s in %s shows %+v, want %+v", tt.id, tt.version, got, tt.want)
		}
	}
}

func TestLedgerWire(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Backup = never }))
	body, _ := json.Marshal(toFiles(accountSAS(t, nil)))
	start := func() reply {
		return send(t, s, "POST", "https://management.azure.com"+ccfID+"/backup?api-version="+ccfAPI, "app", string(body))
	}
	got := start()
	status := got.Header.Get("Azure-AsyncOperation")
	const tenants = "https://management.azure.com/providers/Microsoft.ConfidentialLedger/locations/WESTEUROPE/operationStatuses/"
	if got.StatusCode != 202 || string(got.body) != "null" || got.Header.Get("Location") != "" || got.Header.Get("Retry-After") != "" ||
		!strings.HasPrefix(status, tenants) || !strings.Contains(status, "?api-version="+ccfAPI+"&") || len(status) < 3200 || len(status) > 3300 {
		t.Errorf("start: %d %v %s", got.StatusCode, got.Header, got.body)
	}
	var operation struct{ ID, Name, ResourceID, Status, StartTime, EndTime string }
	poll := send(t, s, "GET", status, "anybody", "")
	must(t, json.Unmarshal(poll.body, &operation))
	if poll.StatusCode != 200 || operation.Status != "Accepted" || operation.EndTime != "" || operation.StartTime == "" ||
		operation.ID != "/providers/Microsoft.ConfidentialLedger/locations/WESTEUROPE/operationStatuses/"+operation.Name ||
		operation.ResourceID != ccfID || bytes.Contains(poll.body, []byte("properties")) || poll.Header.Get("Retry-After") != "" {
		t.Errorf("poll: %d %s", poll.StatusCode, poll.body)
	}
	if poll := send(t, s, "GET", status, "", ""); poll.StatusCode != 401 {
		t.Errorf("poll without a token: %d", poll.StatusCode)
	}
	plain, _, _ := strings.Cut(status, "&")
	if poll := send(t, s, "GET", plain, "app", ""); poll.StatusCode != 400 {
		t.Errorf("poll without the signature: %d %s", poll.StatusCode, poll.body)
	}
	u, err := url.Parse(status)
	must(t, err)
	u.Path += "0"
	if poll := send(t, s, "GET", u.String(), "app", ""); poll.StatusCode != 404 {
		t.Errorf("poll of nothing: %d %s", poll.StatusCode, poll.body)
	}

	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) {
		k.Backup, k.PollURL, k.PollWords = never, fakeazure.SubscriptionPollURL, fakeazure.CommonWords
	}))
	got = start()
	status = got.Header.Get("Azure-AsyncOperation")
	below := strings.Split(ccfID, "/resourceGroups/")[0] + "/providers/Microsoft.ConfidentialLedger/locations/westeurope/operationStatuses/"
	poll = send(t, s, "GET", status, "app", "")
	must(t, json.Unmarshal(poll.body, &operation))
	if !strings.HasPrefix(status, "https://management.azure.com"+below) || operation.ID != below+operation.Name || operation.Status != "InProgress" {
		t.Errorf("below the subscription: %s, %s", status, poll.body)
	}
	elsewhere := strings.Replace(status, "/providers/", "x/providers/", 1)
	if poll := send(t, s, "GET", elsewhere, "app", ""); poll.StatusCode != 404 {
		t.Errorf("poll below another subscription: %d %s", poll.StatusCode, poll.body)
	}

	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) {
		k.Backup, k.PollURL = fakeazure.Range{}, fakeazure.PlainPollURL
		k.PollLocation, k.PollRetryAfter = fakeazure.WithPollLocation, fakeazure.WithPollRetryAfter
		k.Provisioning = fakeazure.ProvisioningShown
	}))
	got = start()
	location, status := got.Header.Get("Location"), got.Header.Get("Azure-AsyncOperation")
	if got.StatusCode != 202 || !strings.Contains(location, "/operationResults/") || got.Header.Get("Retry-After") != "1" ||
		!strings.HasPrefix(status, tenants) || !strings.HasSuffix(status, "?api-version=2020-12-01-preview") {
		t.Errorf("start: %d %v", got.StatusCode, got.Header)
	}
	if got := shown(t, newLedgerClient(t, s), ccfID, ccfAPI); got.ProvisioningState != "Updating" {
		t.Errorf("visible, and %+v", got)
	}
	eventually(t, "done", func() bool {
		poll = send(t, s, "GET", status, "app", "")
		must(t, json.Unmarshal(poll.body, &operation))
		return operation.Status == "Succeeded" && operation.EndTime != ""
	})
	if !bytes.Contains(poll.body, []byte(`"properties":null`)) {
		t.Errorf("at the end: %s", poll.body)
	}
	if got := send(t, s, "GET", location, "app", ""); got.StatusCode != 200 ||
		string(got.body) != `{"message":"Backup Created for ManagedCCF App : Votes."}` {
		t.Errorf("result: %d %s", got.StatusCode, got.body)
	}
}

// TestLedgerDeletionMoves: its answers are 202 with Deleting, and each has a new address. The old one stays valid.
func TestLedgerDeletionMoves(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Change = never }))
	got := send(t, s, "DELETE", "https://management.azure.com"+ccfID+"?api-version="+ccfAPI, "app", "")
	first := got.Header.Get("Azure-AsyncOperation")
	if got.StatusCode != 202 || string(got.body) != "null" || got.Header.Get("Location") != first {
		t.Errorf("start: %d %v %s", got.StatusCode, got.Header, got.body)
	}
	poll := send(t, s, "GET", first, "app", "")
	moved := poll.Header.Get("Azure-AsyncOperation")
	if poll.StatusCode != 202 || !bytes.Contains(poll.body, []byte(`"status":"Deleting"`)) || moved == "" || moved == first {
		t.Errorf("poll: %d %v %s", poll.StatusCode, poll.Header, poll.body)
	}
	for _, address := range []string{first, moved} {
		if poll := send(t, s, "GET", address, "app", ""); poll.StatusCode != 202 {
			t.Errorf("poll of %s: %d %s", address, poll.StatusCode, poll.body)
		}
	}
}

func TestLedgerVersionsAndBodies(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	s.Assign(s.ObjectID("reader"), group, fakeazure.Reader)
	good := toFiles(accountSAS(t, nil))
	another := func(name, value string) map[string]string {
		m := fromFiles(accountSAS(t, nil), "votes-1", "westeurope")
		if m[name] = value; value == "" {
			delete(m, name)
		}
		return m
	}
	for name, tt := range map[string]struct {
		identity, method, path, version string
		body                            any
		status                          int
		code                            string
	}{
		"get":                     {"reader", "GET", ccfID, ccfAPI, nil, 200, ""},
		"get a ledger":            {"reader", "GET", ledgerID, "2026-02-23", nil, 200, ""},
		"retired":                 {"app", "GET", ccfID, "2026-02-23", nil, 400, "NoRegisteredProviderFound"},
		"before backups":          {"app", "POST", ccfID + "/backup", "2023-01-26-preview", good, 404, "NotFound"},
		"stable without":          {"app", "POST", ledgerID + "/backup", "2022-05-13", good, 404, "NotFound"},
		"renamed":                 {"app", "POST", ledgerID + "/backup", "2026-02-23", good, 404, "NotFound"},
		"no restore any more":     {"app", "POST", ledgerID + "/restore", "2026-05-22-preview", good, 404, "NotFound"},
		"export of CCF":           {"app", "POST", ccfID + "/filesExport", ccfAPI, good, 404, "NotFound"},
		"export before its time":  {"app", "POST", ledgerID + "/filesExport", ccfAPI, good, 404, "NotFound"},
		"nobody":                  {"app", "POST", ccfID + "x/backup", ccfAPI, good, 404, "ResourceNotFound"},
		"role":                    {"reader", "POST", ccfID + "/backup", ccfAPI, good, 403, "AuthorizationFailed"},
		"role of a restore":       {"reader", "POST", ccfID + "/restore", ccfAPI, good, 403, "AuthorizationFailed"},
		"role of delete":          {"reader", "DELETE", ccfID, ccfAPI, nil, 403, "AuthorizationFailed"},
		"role of put":             {"app", "PUT", ccfID, ccfAPI, map[string]string{"location": "x"}, 403, "AuthorizationFailed"},
		"no uri":                  {"app", "POST", ccfID + "/backup", ccfAPI, another("uri", ""), 400, "BadRequest"},
		"no body":                 {"app", "POST", ccfID + "/backup", ccfAPI, nil, 400, "InvalidRequestContent"},
		"member":                  {"app", "POST", ccfID + "/backup", ccfAPI, map[string]string{"URL": "x"}, 400, "InvalidRequestContent"},
		"of a blob service":       {"app", "POST", ccfID + "/backup", ccfAPI, toBlobs(), 400, "BadRequest"},
		"a share":                 {"app", "POST", ccfID + "/backup", ccfAPI, inShare(t), 400, "BadRequest"},
		"no SAS":                  {"app", "POST", ccfID + "/backup", ccfAPI, toFiles("sv=1"), 400, "BadRequest"},
		"region":                  {"app", "POST", ccfID + "/backup", ccfAPI, map[string]string{"uri": good["uri"], "restoreRegion": "-"}, 400, "BadRequest"},
		"backup with a share":     {"app", "POST", ccfID + "/backup", ccfAPI, another("x", ""), 400, "BadRequest"},
		"restore without region":  {"app", "POST", ccfID + "/restore", ccfAPI, another("restoreRegion", ""), 400, "BadRequest"},
		"restore without a share": {"app", "POST", ccfID + "/restore", ccfAPI, another("fileShareName", ""), 400, "BadRequest"},
		"restore of no share":     {"app", "POST", ccfID + "/restore", ccfAPI, another("fileShareName", "A"), 400, "BadRequest"},
	} {
		var body []byte
		if tt.body != nil {
			body, _ = json.Marshal(tt.body)
		}
		got := send(t, s, tt.method, "https://management.azure.com"+tt.path+"?api-version="+tt.version, tt.identity, string(body))
		if got.StatusCode != tt.status || got.code() != tt.code || bytes.Contains(got.body, []byte("sig=")) {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	if n := len(s.LedgerOperations()); n != 0 {
		t.Errorf("%d operations", n)
	}
}

func toBlobs() map[string]string {
	return map[string]string{"uri": "https://" + accountName + ".blob.core.windows.net/?sig=x"}
}

func inShare(t *testing.T) map[string]string {
	return map[string]string{"uri": filesURL + "share?" + accountSAS(t, nil)}
}

func TestLedgerExportAndVersions(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	must(t, s.TuneLedger("", func(k *fakeazure.LedgerOptions) {
		k.ShareLayout, k.ShareStamp = fakeazure.LayoutFlat, fakeazure.StampDate
	}))
	for _, version := range []string{"2026-02-23", "2026-05-22-preview"} {
		must(t, c.do(t, "POST", ledgerID+"/filesExport", version, toFiles(accountSAS(t, nil))))
	}
	for _, version := range []string{"2023-06-28-preview", "2024-07-09-preview", "2024-09-19-preview", ccfAPI} {
		must(t, c.do(t, "POST", ledgerID+"/backup", version, toFiles(accountSAS(t, nil))))
		must(t, c.do(t, "POST", ccfID+"/backup", version, toFiles(accountSAS(t, nil))))
	}
	shares := make(map[string]bool)
	for _, o := range s.LedgerOperations() {
		shares[o.Share] = true
		want := []string{"ledger_1-5.committed", "ledger_6", "snapshot_5_6.committed"}
		if o.Kind == fakeazure.LedgerExport {
			want = slices.Insert(want, 2, "service_cert.pem")
		}
		if o.Ledger == ccfID {
			want = []string{"ledger_1-5.committed", "ledger_16", "ledger_6-15.committed", "snapshot_15_16.committed"}
		}
		if got := filesOf(t, s, o.Share); !slices.Equal(got, want) || o.Account != accountName {
			t.Errorf("%s of %s: %q", o.Share, o.Ledger, got)
		}
		_, stamp, _ := strings.Cut(o.Share, "-")
		if _, err := time.Parse("20060102150405", stamp); err != nil {
			t.Error(err)
		}
	}
	if len(shares) != 10 {
		t.Errorf("shares %v", shares)
	}
}

func TestLedgerSASIsTheOnlyRight(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	backup := func(token string) error { return c.do(t, "POST", ccfID+"/backup", ccfAPI, toFiles(token)) }
	change := func(f func(*sas.AccountSignatureValues)) string { return accountSAS(t, f) }
	for name, tt := range map[string]struct{ token, words string }{
		"expired": {
			change(func(v *sas.AccountSignatureValues) { v.ExpiryTime = time.Now().Add(-time.Minute) }),
			"403 AuthenticationFailed",
		},
		"no create":       {change(func(v *sas.AccountSignatureValues) { v.Permissions = "rdl" }), "403 AuthorizationPermissionMismatch"},
		"no list":         {change(func(v *sas.AccountSignatureValues) { v.Permissions = "rwdc" }), "403 AuthorizationPermissionMismatch"},
		"no shares":       {change(func(v *sas.AccountSignatureValues) { v.ResourceTypes = "so" }), "403 AuthorizationResourceTypeMismatch"},
		"no files":        {change(func(v *sas.AccountSignatureValues) { v.ResourceTypes = "sc" }), "403 AuthorizationResourceTypeMismatch"},
		"another service": {signAccountSAS("b", "sco", "rwdlc", time.Now().Add(time.Hour)), "403 AuthorizationServiceMismatch"},
		"for the test's address": {
			change(func(v *sas.AccountSignatureValues) { v.IPRange.Start = []byte{127, 0, 0, 1} }),
			"403 AuthorizationSourceIPMismatch",
		},
	} {
		err := backup(tt.token)
		wantFailure(t, name, err, "StorageAccessFailed", tt.words)
		if err != nil && strings.Contains(err.Error(), "sig=") {
			t.Errorf("%s: the SAS is told: %v", name, err)
		}
	}
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.SASChecked = fakeazure.SASCheckedAtStart }))
	wantCode(t, "found out at the start", backup(change(func(v *sas.AccountSignatureValues) { v.Permissions = "r" })),
		400, "BadRequest")

	// The SAS is valid at the start, but expires before the end.
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) {
		k.SASChecked, k.Backup = fakeazure.SASCheckedAtWork, fakeazure.Range{Shortest: time.Hour, Longest: time.Hour} // 3.6 s here
	}))
	ends := time.Now().Add(2 * time.Second)
	wantFailure(t, "expires meanwhile", backup(change(func(v *sas.AccountSignatureValues) { v.ExpiryTime = ends })),
		"StorageAccessFailed", "403 AuthenticationFailed")
	operations := s.LedgerOperations()
	if left := operations[len(operations)-1].Share; left != "" && len(filesOf(t, s, left)) == 3 {
		t.Errorf("all files were written: %s", left)
	}
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { *k = fakeazure.LedgerOptions{} }))
	account := fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey}
	account.NoSharedKey = true
	must(t, s.Storage(account))
	wantFailure(t, "no shared keys", backup(accountSAS(t, nil)), "StorageAccessFailed", "403 KeyBasedAuthenticationNotPermitted")
	account.NoSharedKey, account.Firewall.Deny = false, true
	must(t, s.Storage(account))
	wantFailure(t, "firewall", backup(accountSAS(t, nil)), "StorageAccessFailed", "403 AuthorizationFailure")
	account.Firewall.Deny = false
	must(t, s.Storage(account))
	must(t, backup(accountSAS(t, nil)))
	nowhere := map[string]string{"uri": "https://nobody.file.core.windows.net/?" + accountSAS(t, nil)}
	wantFailure(t, "no account", c.do(t, "POST", ccfID+"/backup", ccfAPI, nowhere), "StorageAccessFailed", "could not be reached")
}

func TestLedgerRestoreIsRefused(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	name := backedUp(t, s)
	other := group + "/providers/Microsoft.ConfidentialLedger/managedCCFs/other"
	restore := func(id, share, region string) error {
		return c.do(t, "POST", id+"/restore", ccfAPI, fromFiles(accountSAS(t, nil), share, region))
	}
	must(t, s.DeleteLedger(ccfID))
	must(t, s.TuneLedger("", func(k *fakeazure.LedgerOptions) { k.FailedRestore = fakeazure.FailedRestoreVanishes }))
	wantFailure(t, "another name", restore(other, name, "westeurope"), "RestoreFailed", "the name must be the same")
	wantFailure(t, "another region", restore(ccfID, name, "eastus"), "RestoreFailed", "to be restored in westeurope")
	wantFailure(t, "no share", restore(ccfID, "votes-none", "westeurope"), "StorageAccessFailed", "404 ShareNotFound")
	shares := newFileService(t, s)
	_, err := shares.CreateShare(t.Context(), "votes-empty", nil)
	must(t, err)
	wantFailure(t, "empty", restore(ccfID, "votes-empty", "westeurope"), "RestoreFailed", "holds no ledger files")
	if _, err := s.LedgerState(ccfID); err == nil {
		t.Error("a failed restore left something")
	}

	must(t, s.TuneLedger("", func(k *fakeazure.LedgerOptions) {
		k.FailedRestore, k.Provisioning = fakeazure.FailedRestoreStays, fakeazure.ProvisioningShown
	}))
	must(t, s.AgeShare(accountName, name, 89*24*time.Hour))
	s.SetTimeScale(0.001) // 90 days are 130 minutes here
	wantFailure(t, "old", restore(ccfID, name, "westeurope"), "RestoreFailed", "older than 90 days")
	if got := shown(t, c, ccfID, ccfAPI); got.ProvisioningState != "Failed" {
		t.Errorf("after a failed restore: %+v", got)
	}
	wantCode(t, "what failed is in the way", restore(ccfID, name, "westeurope"), 409, "ResourceAlreadyExists")
	must(t, c.do(t, "DELETE", ccfID, ccfAPI, nil))
	must(t, s.AgeShare(accountName, name, -89*24*time.Hour))

	ledger := shares.NewShareClient(name).NewDirectoryClient("ledger")
	refused := func(what, words string) {
		t.Helper()
		wantFailure(t, what, restore(ccfID, name, "westeurope"), "RestoreFailed", words)
		must(t, s.DeleteLedger(ccfID))
	}
	file := ledger.NewFileClient("ledger_16")
	_, err = file.UploadRange(t.Context(), 20, streaming.NopCloser(strings.NewReader("!")), nil)
	must(t, err)
	refused("a byte is changed", "ledger_16 does not verify")
	for _, deleted := range []struct{ name, words string }{
		{"ledger_16", ""}, {"ledger_6-15.committed", "do not join up"}, {"ledger_1-5.committed", "holds no ledger files"},
	} {
		_, err = ledger.NewFileClient(deleted.name).Delete(t.Context(), nil)
		must(t, err)
		if deleted.words != "" {
			refused(deleted.name+" is missing", deleted.words)
		}
	}
}

func TestLedgerRestoreInAnotherRegion(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	body := toFiles(accountSAS(t, nil))
	body["restoreRegion"] = "East US"
	must(t, c.do(t, "POST", ccfID+"/backup", ccfAPI, body))
	name := s.LedgerOperations()[0].Share
	must(t, s.DeleteLedger(ccfID))
	must(t, c.do(t, "POST", ccfID+"/restore", ccfAPI, fromFiles(accountSAS(t, nil), name, "eastus")))
	if state, err := s.LedgerState(ccfID); err != nil || state.Location != "eastus" || !slices.Equal(state.Entries, votes) {
		t.Errorf("restored %+v, %v", state, err)
	}
}

func TestLedgerWhileItIsRestored(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	name := backedUp(t, s)
	restore := func() error {
		_, err := c.begin(t.Context(), "POST", ccfID+"/restore", ccfAPI, fromFiles(accountSAS(t, nil), name, "westeurope"))
		return err
	}
	must(t, s.DeleteLedger(ccfID))
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Restore = never }))
	must(t, restore())
	for _, tt := range []struct {
		restored    fakeazure.RestoredSeen
		provisioned fakeazure.ProvisioningSeen
		want        states
	}{
		{fakeazure.RestoredAtOnce, fakeazure.ProvisioningHidden, states{"", "Active"}},
		{fakeazure.RestoredUnready, fakeazure.ProvisioningHidden, states{"", "Unknown"}},
		{fakeazure.RestoredAtOnce, fakeazure.ProvisioningShown, states{"Creating", "Active"}},
	} {
		must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Restored, k.Provisioning = tt.restored, tt.provisioned }))
		if got := shown(t, c, ccfID, ccfAPI); got != tt.want {
			t.Errorf("it shows %+v, want %+v", got, tt.want)
		}
	}
	wantCode(t, "twice", restore(), 409, "ResourceAlreadyExists")
	wantCode(t, "backup", c.do(t, "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil))), 409, "Conflict")

	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ccfID}))
	must(t, s.DeleteLedger(ccfID))
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Restore, k.Restored = never, fakeazure.RestoredAtEnd }))
	must(t, restore())
	_, err := c.send(t.Context(), "GET", ccfID, ccfAPI, nil)
	wantCode(t, "not yet to be seen", err, 404, "ResourceNotFound")
	wantCode(t, "twice, unseen", restore(), 409, "Conflict")
}

func TestLedgerSecondStart(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	begin := func() (*runtime.Poller[ledgerMessage], error) {
		return c.begin(t.Context(), "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil)))
	}
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Backup = never }))
	_, err := begin()
	must(t, err)
	wantCode(t, "delete meanwhile", c.do(t, "DELETE", ccfID, ccfAPI, nil), 409, "Conflict")
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Backup = fakeazure.Range{} }))
	must(t, c.do(t, "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil))))
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.SecondStart = fakeazure.SecondStartRefused }))
	_, err = begin()
	wantCode(t, "refused", err, 409, "Conflict")
	eventually(t, "two shares", func() bool { return s.LedgerOperations()[0].Share != "" })
	if made := s.LedgerOperations(); len(made) != 2 || made[0].Share == made[1].Share {
		t.Errorf("operations %+v", made)
	}
	must(t, s.TuneLedger(ledgerID, func(k *fakeazure.LedgerOptions) { k.ProvisioningState = "Deleting" }))
	_, err = c.begin(t.Context(), "POST", ledgerID+"/backup", ccfAPI, toFiles(accountSAS(t, nil)))
	wantCode(t, "deleting", err, 409, "Conflict")
}

func TestLedgerShareIsSeen(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	files := newFileService(t, s)
	for id, want := range map[string]fakeazure.ShareSeen{ccfID: fakeazure.ShareGrows, ledgerID: fakeazure.ShareAtEnd} {
		must(t, s.TuneLedger(id, func(k *fakeazure.LedgerOptions) { k.Backup, k.Share = never, want }))
		_, err := c.begin(t.Context(), "POST", id+"/backup", ccfAPI, toFiles(accountSAS(t, nil)))
		must(t, err)
	}
	eventually(t, "a share without all of its files", func() bool {
		names, _ := listShares(t, files, nil)
		return len(names) == 1 && strings.HasPrefix(names[0], "votes-") && len(filesOf(t, s, names[0])) == 0
	})
	must(t, s.TuneLedger(ledgerID, func(k *fakeazure.LedgerOptions) { k.Backup = fakeazure.Range{} }))
	must(t, c.do(t, "POST", ledgerID+"/backup", ccfAPI, toFiles(accountSAS(t, nil))))
	names, _ := listShares(t, files, nil)
	if len(names) != 2 || !strings.HasPrefix(names[0], "audit-") || len(filesOf(t, s, names[0])) != 3 {
		t.Errorf("shares %v", names)
	}
}

func TestLedgerFaults(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	backup := func() error { return c.do(t, "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil))) }
	count := func() int { names, _ := listShares(t, newFileService(t, s), nil); return len(names) }

	must(t, s.Inject(ccfID, fakeazure.Fault{Kind: fakeazure.FailOperation, Code: "NodeDown", Message: "A node is down."}))
	wantFailure(t, "in the body", backup(), "NodeDown", "A node is down.")
	must(t, s.Inject(ccfID, fakeazure.Fault{Kind: fakeazure.FailOperation, Step: fakeazure.OnBackup, Status: 400, Code: "NodeDown"}))
	poller, err := c.begin(t.Context(), "POST", ccfID+"/backup", ccfAPI, toFiles(accountSAS(t, nil)))
	must(t, err)
	for err == nil { // azcore treats such an answer as one to this poll
		_, err = poller.Poll(t.Context())
	}
	wantCode(t, "as a status", err, 400, "NodeDown")
	must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.FailedPoll = fakeazure.FailedAsStatus }))
	must(t, s.Inject(ccfID, fakeazure.Fault{Kind: fakeazure.FailHalfway, Code: "Halfway"}))
	wantCode(t, "as a status by option", backup(), 400, "Halfway")
	operations := s.LedgerOperations()
	if got := filesOf(t, s, operations[2].Share); !slices.Equal(got, []string{"ledger/ledger_1-5.committed", "ledger/ledger_6-15.committed"}) {
		t.Errorf("halfway there are %q", got)
	}
	if operations[2].State != fakeazure.Failed || operations[2].Code != "Halfway" || count() != 1 {
		t.Errorf("operation %+v, %d shares", operations[2], count())
	}
	must(t, s.Inject(ccfID, fakeazure.Fault{Kind: fakeazure.NoShare}, fakeazure.Fault{Kind: fakeazure.EmptyShare}, fakeazure.Fault{Kind: fakeazure.MissingFile}))
	for range 3 {
		must(t, backup())
	}
	operations = s.LedgerOperations()
	if operations[3].Share != "" || len(filesOf(t, s, operations[4].Share)) != 0 {
		t.Errorf("no share %+v, empty one %+v", operations[3], operations[4])
	}
	want := []string{"ledger/ledger_1-5.committed", "ledger/ledger_16", "snapshots/snapshot_15_16.committed"}
	if got := filesOf(t, s, operations[5].Share); !slices.Equal(got, want) {
		t.Errorf("without a file: %q", got)
	}

	n := len(s.LedgerOperations())
	must(t, s.Inject(ccfID, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseRequest}, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer},
		fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 429, RetryAfter: time.Minute}))
	for range 2 {
		if err := backup(); err == nil {
			t.Error("an answer came")
		}
	}
	err = backup()
	var busy *azcore.ResponseError
	if !errors.As(err, &busy) || busy.StatusCode != 429 || busy.RawResponse.Header.Get("Retry-After") != "60" {
		t.Errorf("refused: %v", err)
	}
	if got := len(s.LedgerOperations()); got != n+1 {
		t.Errorf("%d operations began", got-n)
	}
	requests := s.LedgerRequests()
	last := requests[len(requests)-3:]
	if last[0].Status != 0 || last[0].Operation != "" || last[1].Status != 202 || last[1].Operation == "" || last[2].Status != 429 {
		t.Errorf("requests %+v", last)
	}
	must(t, s.Inject(ccfID, fakeazure.Fault{Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 503}))
	_, err = c.send(t.Context(), "GET", ccfID, ccfAPI, nil)
	wantCode(t, "get", err, 503, "ServiceUnavailable")
	if err := s.Inject(ccfID, fakeazure.Fault{Kind: fakeazure.EmptyBlob}); err == nil {
		t.Error("a ledger has no blob")
	}
}

func TestLedgerCreateAndDelete(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	s.Assign(s.ObjectID("app"), group, fakeazure.Role{Actions: []string{"Microsoft.ConfidentialLedger/*"}})
	c := newLedgerClient(t, s)
	id := group + "/providers/Microsoft.ConfidentialLedger/managedCCFs/fresh"
	resource := map[string]any{"location": "East US", "properties": map[string]any{"nodeCount": 3}}
	resp, err := c.send(t.Context(), "PUT", id, ccfAPI, resource)
	must(t, err)
	created, err := runtime.Payload(resp)
	must(t, err)
	if resp.StatusCode != 201 || resp.Header.Get("Azure-AsyncOperation") == "" ||
		!bytes.Contains(created, []byte(`"provisioningState":"Accepted"`)) {
		t.Errorf("put: %d %v %s", resp.StatusCode, resp.Header, created)
	}
	if bytes.Contains(created, []byte("appUri")) {
		t.Errorf("it has an address before it is made: %s", created)
	}
	eventually(t, "created", func() bool {
		state, err := s.LedgerState(id)
		must(t, err)
		return state.ProvisioningState == "Succeeded"
	})
	if state, err := s.LedgerState(id); err != nil || state.Location != "eastus" || state.Transaction != "2.7" {
		t.Errorf("created %+v, %v", state, err)
	}
	resp, err = c.send(t.Context(), "PUT", id, ccfAPI, resource)
	must(t, err)
	again, err := runtime.Payload(resp)
	must(t, err)
	if resp.StatusCode != 200 || !bytes.Contains(again, []byte(`"provisioningState":"Succeeded"`)) {
		t.Errorf("put again: %d %s", resp.StatusCode, again)
	}
	must(t, c.do(t, "DELETE", id, ccfAPI, nil))
	_, err = c.send(t.Context(), "PUT", id, ccfAPI, map[string]any{"properties": map[string]any{}})
	wantCode(t, "no location", err, 400, "LocationRequired")
	for name, add := range map[string]fakeazure.Ledger{
		"type": {ResourceID: contoso}, "name": {ResourceID: ccfID + "_"}, "short": {ResourceID: ccfID[:len(ccfID)-3]},
	} {
		if err := s.AddLedger(add); err == nil {
			t.Errorf("%s: added", name)
		}
	}
}

// TestLedgerSizes begins with a ledger that has only its first transaction.
func TestLedgerSizes(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	c := newLedgerClient(t, s)
	short := fakeazure.Range{Shortest: time.Millisecond, Longest: time.Millisecond}
	for n := range 12 {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = strings.Repeat("x", i)
		}
		must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ccfID, Entries: entries}))
		must(t, s.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) {
			k.ChunkEntries, k.Backup, k.Restore = n%5, short, short
		}))
		name := backedUp(t, s)
		must(t, s.DeleteLedger(ccfID))
		must(t, c.do(t, "POST", ccfID+"/restore", ccfAPI, fromFiles(accountSAS(t, nil), name, "westeurope")))
		if state, err := s.LedgerState(ccfID); err != nil || !slices.Equal(state.Entries, entries) {
			t.Errorf("%d entries: %+v, %v", n, state, err)
		}
		_, err := newFileService(t, s).DeleteShare(t.Context(), name, &service.DeleteShareOptions{})
		must(t, err)
	}
}
