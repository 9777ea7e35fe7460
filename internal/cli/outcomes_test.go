package cli_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/rs/zerolog"

	"lifeboat/handler"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

// These are the targets of the outcomes, and the commands of people.
const (
	outcomeGroup = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/"
	outcomeHSM   = outcomeGroup + "Microsoft.KeyVault/managedHSMs/contoso-hsm"
	outcomeBlob  = "the backup of an API Management"
	outcomeKeys  = "the backup of a Managed HSM"
	hsmFolder    = "mhsm-contoso-hsm-2026032802300012"
	hsmJob       = "8d1a4bdcff0c43f0a8a5ea0b4a17f6e1"
)

var outcomeNow = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// wired is a transport that plays Azure's side: the first rule that a request fits answers it.
type wired struct {
	mu    sync.Mutex
	rules []wireRule
	// now is the time at which each blob was written.
	now func() time.Time
}

// wireRule answers the requests whose "METHOD host/path?query" has all words of when, for times requests; 0: all.
type wireRule struct {
	when  string
	reply wireReply
	times int
}

type wireReply func(r *http.Request) (*http.Response, error)

func (w *wired) Do(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.String()
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if strings.Contains(r.URL.Host, "managedhsm") && r.Header.Get("Authorization") == "" {
		return w.answer(r, status(401, "", `Www-Authenticate: Bearer authorization="https://login.microsoftonline.com/x", resource="https://managedhsm.azure.net"`))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, rule := range w.rules {
		fits := true
		for _, word := range strings.Fields(rule.when) {
			fits = fits && strings.Contains(line, word)
		}
		if !fits {
			continue
		}
		if rule.times == 1 {
			w.rules = slices.Delete(w.rules, i, i+1)
		} else if rule.times > 1 {
			w.rules[i].times--
		}
		return w.answer(r, rule.reply)
	}
	return nil, fmt.Errorf("the test has no reply to %s", line)
}

func (w *wired) answer(r *http.Request, reply wireReply) (*http.Response, error) {
	answer, err := reply(r)
	if answer != nil {
		answer.Request = r
		if answer.Header.Get("Last-Modified") != "" && w.now != nil {
			answer.Header.Set("Last-Modified", w.now().Format(http.TimeFormat))
		}
	}
	return answer, err
}

// status makes a reply with a status, a body and "Name: value" headers.
func status(code int, body string, headers ...string) wireReply {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			h.Set(name, value)
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
	}
}

// refusing makes a reply with an error of Resource Manager, or of an HSM.
func refusing(code int, name, message string, headers ...string) wireReply {
	return status(code, fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, name, message), headers...)
}

// blobRefusing makes a reply with an error of the Blob service.
func blobRefusing(code int, name, message string) wireReply {
	return status(code, `<?xml version="1.0" encoding="utf-8"?><Error><Code>`+name+`</Code><Message>`+message+`</Message></Error>`,
		"X-Ms-Error-Code: "+name, "Content-Type: application/xml")
}

// lostAnswer makes a reply that never comes.
func lostAnswer(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("read tcp 127.0.0.1:443: %w", io.ErrUnexpectedEOF)
}

// blobOf answers a look at a blob, or a part of it.
func blobOf(content string) wireReply {
	return func(r *http.Request) (*http.Response, error) {
		headers := []string{`Etag: "0x8DC0FFEE"`, "Last-Modified: " + outcomeNow.Add(24*time.Hour).Format(http.TimeFormat), "Content-Type: application/octet-stream"}
		var from, to int
		part := ""
		for name, values := range r.Header { // the SDK writes it in lower case
			if strings.EqualFold(name, "X-Ms-Range") {
				part = strings.Join(values, "")
			}
		}
		if _, err := fmt.Sscanf(part, "bytes=%d-%d", &from, &to); err == nil && len(content) > 0 {
			part := content[from:min(to+1, len(content))]
			return status(206, part, append(headers, fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, from+len(part)-1, len(content)),
				fmt.Sprintf("Content-Length: %d", len(part)))...)(r)
		}
		return status(200, content, append(headers, fmt.Sprintf("Content-Length: %d", len(content)))...)(r)
	}
}

// folderList lists the blobs of an HSM's folder.
func folderList(*http.Request) (*http.Response, error) {
	var items strings.Builder
	for _, name := range []string{"/a", "/b"} {
		fmt.Fprintf(&items, "<Blob><Name>%s%s</Name><Properties><Last-Modified>%s</Last-Modified><Etag>0x8DC0FFEE</Etag><Content-Length>%d"+
			"</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>", hsmFolder, name, outcomeNow.Add(time.Hour).Format(http.TimeFormat), len(outcomeKeys))
	}
	return status(200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs>`+items.String()+
		`</Blobs><NextMarker/></EnumerationResults>`, "Content-Type: application/xml", "Date: "+outcomeNow.Add(time.Hour).Format(http.TimeFormat))(nil)
}

const apimState = `{"name":"contoso","location":"West Europe","sku":{"name":"Developer"},"identity":{"type":"SystemAssigned"},` +
	`"properties":{"provisioningState":"Succeeded"}}`

// hsmSays makes the answer about an operation of an HSM.
func hsmSays(state, more string) wireReply {
	return status(200, `{"status":"`+state+`","startTime":1774699200,"endTime":1774699210,"jobId":"`+hsmJob+`"`+more+`}`)
}

func hsmAccepts(kind string) wireReply {
	return status(202, `{"status":"InProgress","jobId":"`+hsmJob+`"}`, "Retry-After: 10",
		"Azure-AsyncOperation: https://contoso-hsm.managedhsm.azure.net/"+kind+"/"+hsmJob+"/pending")
}

// hsmChecks makes the answer to a check that is over at once (recorded 2025).
func hsmChecks(kind string) wireReply {
	return status(202, `{"status":"Succeeded","jobId":"`+hsmJob+`"}`, "Azure-AsyncOperation: https://contoso-hsm.managedhsm.azure.net/"+kind+
		"/"+hsmJob+"/pending")
}

// wellBehaved are the answers of services and storage where nothing goes wrong.
func wellBehaved() []wireRule {
	const where = "Location: https://management.azure.com" + target + "/operationresults/b3A=?api-version=2024-05-01"
	return []wireRule{
		{"GET /service/contoso/workspaces", status(200, `{"value":[]}`), 0},
		{"GET /operationresults/", status(200, apimState), 0},
		{"GET /service/contoso?", status(200, apimState), 0},
		{"POST /service/contoso/", status(202, "", where, "Retry-After: 60"), 0},
		{"GET /managedHSMs/contoso-hsm?", status(200, `{"location":"westeurope","identity":{"userAssignedIdentities":{"/subscriptions/x":{}}},`+
			`"properties":{"provisioningState":"Succeeded"}}`), 0},
		{"POST /prebackup", hsmChecks("backup"), 0},
		{"PUT /prerestore", hsmChecks("restore"), 0},
		{"POST managedhsm /backup", hsmAccepts("backup"), 0},
		{"PUT managedhsm /restore", hsmAccepts("restore"), 0},
		{"GET /backup/" + hsmJob, hsmSays("Succeeded", `,"azureStorageBlobContainerUri":"https://backups.blob.core.windows.net/c/`+hsmFolder+`"`), 0},
		{"GET /restore/" + hsmJob, hsmSays("Succeeded", ""), 0},
		{"GET /blobServices/default/containers/", status(404, `{"error":{"code":"ContainerNotFound","message":"none"}}`), 0},
		{"GET /blobServices/default", status(200, `{"properties":{"cors":{"corsRules":[]}}}`), 0},
		{"GET /storageAccounts/backups?", status(200, `{"location":"northeurope","kind":"StorageV2","properties":{}}`), 0},
		{"PUT .blob. restype=container", status(201, ""), 0},
		{"GET .blob. comp=list prefix=mhsm", folderList, 0},
		{"GET .blob. comp=list", status(200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs></Blobs><NextMarker/></EnumerationResults>`, "Content-Type: application/xml"), 0},
		{".blob. /c/mhsm", blobOf(outcomeKeys), 0},
		{"GET .blob.", blobOf(outcomeBlob), 0},
		{"HEAD .blob.", blobOf(outcomeBlob), 0},
		{"DELETE .blob.", status(202, ""), 0},
	}
}

// outcomeWorld is the real app for one outcome: commands, API, engine and the services' providers, in memory and in virtual time.
type outcomeWorld struct {
	*app
	azure *wired
	now   time.Time
	log   bytes.Buffer
	api   http.Handler
}

func newOutcomeWorld(t *testing.T) *outcomeWorld {
	t.Helper()
	w := &outcomeWorld{azure: &wired{rules: wellBehaved()}, now: outcomeNow}
	clock := func() time.Time { return w.now }
	w.azure.now = clock
	catalog, queue := memory.NewCatalog(clock), memory.NewQueue(clock)
	ids := 0
	w.api = handler.New(handler.Config{
		Engine: &engine.Engine{
			Catalog: catalog, Queue: queue, Manifests: &memory.Manifests{}, Timings: engine.DefaultTimings(), Now: clock,
			NewID:     func() string { ids++; return fmt.Sprintf("id%d", ids) },
			Services:  services.All().Known(),
			Providers: services.All().Providers(anyToken{}, azcore.ClientOptions{Transport: w.azure}, 1),
		},
		Plans: &plans.Store{
			Catalog: catalog, Read: func(context.Context) ([]byte, error) { return []byte("plan.yaml"), nil },
			Parse: func([]byte) ([]backup.Plan, error) {
				p := backup.Plan{
					Name: "nightly", Targets: []string{target, outcomeHSM}, Schedule: schedule.Schedule{Zone: time.UTC},
					Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, KeepWithin: 30 * 24 * time.Hour},
				}
				p.Restore.Into = []string{backup.Itself}
				return []backup.Plan{p}, nil
			},
		},
		Log: zerolog.New(&w.log), Now: clock,
	})
	w.app = listen(t, &app{catalog: catalog, queue: queue}, w.api, "contoso.azurewebsites.net", nil)
	return w
}

// anyToken is the identity of the app.
type anyToken struct{}

func (anyToken) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, ctx.Err()
}

// deliver calls a function of the app with a message, as the host does.
func (w *outcomeWorld) deliver(function string, message []byte) error {
	text, err := json.Marshal(map[string]any{"Data": map[string][]byte{"message": message}, "Metadata": map[string]string{}})
	if err != nil {
		return err
	}
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/"+function, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Azure-Functions-InvocationId", "invocation-1")
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		return fmt.Errorf("%s answers %d %s", function, answer.Code, answer.Body)
	}
	return nil
}

// cleanUp makes two backups, a month apart, and lets three timer runs delete the older one, which is past its time. It returns the ID of
// its run.
func (w *outcomeWorld) cleanUp(ctx context.Context) (id string, err error) {
	for _, request := range []string{"request-1", "request-2"} {
		code, out, errs := against(ctx, w.URL, request, "backup", "contoso")
		if code != 0 {
			return "", errors.New(errs)
		}
		if err := w.workOff(); err != nil {
			return "", err
		}
		if id == "" {
			id = strings.TrimSpace(out)
			w.now = w.now.Add(30 * 24 * time.Hour)
		}
	}
	for range 3 {
		w.now = w.now.Add(48 * time.Hour)
		_ = w.deliver("cleanup", []byte("{}")) // it answers 500 if a deletion fails, so that the host tries again
	}
	return id, nil
}

// workOff delivers all step messages, each at its time.
func (w *outcomeWorld) workOff() error {
	for range 2000 {
		at, ok := w.queue.Next("execute")
		if !ok {
			return nil
		}
		w.now = backup.Later(w.now, at)
		for _, m := range w.queue.Receive("execute", 1, time.Hour) {
			if err := w.deliver("execute", m.Body); err != nil {
				return err
			}
			if err := w.queue.Delete("execute", m.ID, m.Receipt); err != nil {
				return err
			}
		}
	}
	return errors.New("the run does not end")
}

// anyHint stands for a hint in any words.
const anyHint = "\x00"

// outcome is the end of a backup, a restore, a deletion or a request, as people and other systems are told.
type outcome struct {
	name string
	// ask is the command; azure are the answers that differ from the good ones.
	ask   string
	azure []wireRule
	// point changes the recovery point of the target that a restore finds; nil: there is none.
	point func(*backup.Point)
	// then makes more happen before the end is looked at.
	then func(w *outcomeWorld, id string) error
	// message is a request in the queue restore-requests, in place of a command.
	message string
	// past: the recovery point is past its time, and cleanup deletes it.
	past bool
	// step has words of what Lifeboat was doing, said the words of Azure; "" where Azure said nothing. todo has words of the hint.
	step, said, todo string
}

// keptPoint is a recovery point of the target that can be restored.
func keptPoint(change func(*backup.Point)) func(*backup.Point) {
	return func(p *backup.Point) {
		if change != nil {
			change(p)
		}
	}
}

// recoverable puts a recovery point of the target into the catalog.
func (w *outcomeWorld) recoverable(t *testing.T, target string, change func(*backup.Point)) error {
	t.Helper()
	p := backup.Point{
		ID: backup.Partition(target) + "-8000000000-000000000000", State: backup.Live, Target: target, Plan: "nightly",
		Storage: backup.Storage{Account: account, Container: "c"}, Artifact: backup.Partition(target) + "-8000000000-000000000000.1",
		Size: int64(len(outcomeBlob)), SHA256: sha(outcomeBlob), ETag: `"0x8DC0FFEE"`, Created: outcomeNow.Add(-10 * time.Hour),
		Expires: outcomeNow.Add(20 * 24 * time.Hour), SKU: "Developer",
	}
	change(&p)
	_, err := w.catalog.Apply(t.Context(), p.Insert(nil)...)
	return err
}

// outcomes are ends that a person may have to act on, or has to know of.
func outcomes() []outcome {
	const (
		backupOf, hsmBackup = "backup contoso", "backup contoso-hsm"
		restore, hsmRestore = "restore contoso --yes", "restore contoso-hsm --no-safety-backup --reason test --yes"
		key                 = "restore contoso-hsm --key rsa1 --no-safety-backup --reason test --yes"
	)
	good := keptPoint(nil)
	wish := func(more string) string {
		return `{"id":"incident-1","target":"` + target + `","recoveryPoint":"latest"` + more + `}`
	}
	start, startOver := "POST /contoso/backup", "POST /contoso/restore"
	rule := func(when string, reply wireReply) []wireRule { return []wireRule{{when, reply, 0}} }
	return []outcome{
		{
			name: "backup: the app has no role", ask: backupOf, azure: rule("GET /service/contoso?", refusing(403, "AuthorizationFailed", "The client has no authorization.")),
			step: "look at", said: "The client has no authorization.", todo: "Give the function app's identity a role",
		},
		{
			name: "backup: the service is gone", ask: backupOf, azure: rule("GET /service/contoso?", refusing(404, "ResourceNotFound", "The Resource was not found.")),
			step: "look at", said: "The Resource was not found.", todo: "undelete it",
		},
		{
			name: "backup: a tier without backup", ask: backupOf, azure: rule("GET /service/contoso?", status(200, strings.Replace(apimState, "Developer", "Consumption", 1))),
			step: "cannot be backed up", todo: "Take other services out of plan.yaml",
		},
		{
			name: "backup: workspaces", ask: backupOf, azure: rule("GET /workspaces", status(200, `{"value":[{"name":"w"}]}`)),
			step: "cannot be backed up", todo: "without workspaces",
		},
		{
			name: "backup: no identity", ask: backupOf, azure: rule("GET /service/contoso?", status(200, strings.Replace(apimState, "SystemAssigned", "None", 1))),
			step: "cannot be backed up", todo: "Switch the service's system-assigned identity on",
		},
		{
			name: "backup: CORS rules", ask: backupOf, azure: rule("GET /blobServices/default", status(200, `{"properties":{"cors":{"corsRules":[{"allowedMethods":["PATCH"]}]}}}`)),
			step: "cannot be backed up", todo: "Remove the CORS rules",
		},
		{
			name: "backup: a firewall", ask: backupOf, azure: rule("GET /storageAccounts/backups?", status(200, `{"location":"northeurope","properties":{"networkAcls":{"defaultAction":"Deny","bypass":"None"}}}`)),
			step: "cannot be backed up", todo: "trusted",
		},
		{
			name: "backup: the account is gone", ask: backupOf, azure: []wireRule{
				{"GET /storageAccounts/backups?", refusing(404, "ResourceNotFound", "The Resource was not found."), 0},
				{"GET .blob. restype=container", status(403, "", "X-Ms-Error-Code: AuthorizationFailure"), 0},
			},
			step: "look at", said: "The Resource was not found.", todo: "plan.yaml",
		},
		{
			name: "backup: no role on the container", ask: backupOf, azure: []wireRule{
				{"PUT .blob. restype=container", status(403, "", "X-Ms-Error-Code: AuthorizationPermissionMismatch"), 0},
				{"GET .blob.", status(403, "", "X-Ms-Error-Code: AuthorizationPermissionMismatch"), 0},
			},
			step: "create the container", todo: "Storage Blob Data Contributor",
		},
		{
			name: "backup: a read-only subscription", ask: backupOf, azure: rule(start, refusing(409, "ReadOnlyDisabledSubscription", "The subscription is disabled.")),
			step: "start the backup of", said: "The subscription is disabled.", todo: "subscription",
		},
		{
			name: "backup: a lock", ask: backupOf, azure: rule(start, refusing(409, "ScopeLocked", "The scope is locked.")),
			step: "start the backup of", said: "The scope is locked.", todo: "az lock list",
		},
		{
			name: "backup: a bad parameter", ask: backupOf, azure: rule(start, refusing(400, "InvalidParameters", "Invalid parameter: backupStorageAccount")),
			step: "start the backup of", said: "Invalid parameter", todo: "Storage Blob Data Contributor",
		},
		{
			name: "backup: it failed at Azure", ask: backupOf, azure: rule("GET /operationresults/", refusing(400, "BackupFailed", "Access to the storage account was denied.")),
			step: "the backup of", said: "Access to the storage account was denied.", todo: "Storage Blob Data Contributor",
		},
		{
			name: "backup: Azure no longer shows it", ask: backupOf, azure: rule("GET /operationresults/", refusing(404, "ResourceNotFound", "The operation was not found.")),
			step: "ask about the backup of", said: "The operation was not found.", todo: "See whether the container",
		},
		{
			name: "backup: it left no blob", ask: backupOf, azure: []wireRule{{"GET .blob.", status(404, "", "X-Ms-Error-Code: BlobNotFound"), 0}, {"HEAD .blob.", status(404, "", "X-Ms-Error-Code: BlobNotFound"), 0}},
			step: "although the backup ended well", todo: anyHint,
		},
		{
			name: "backup: it left an empty blob", ask: backupOf, azure: []wireRule{{"GET .blob.", blobOf(""), 0}, {"HEAD .blob.", blobOf(""), 0}},
			step: "is empty", todo: anyHint,
		},
		{
			name: "backup: the answer to its start was lost", ask: backupOf, azure: rule(start, lostAnswer),
			step: "the backup of", said: "unexpected EOF", todo: anyHint,
		},

		{
			name: "restore: no role", ask: restore, point: good, azure: rule("GET /service/contoso?", refusing(403, "AuthorizationFailed", "The client has no authorization.")),
			step: "look at", said: "The client has no authorization.", todo: "Give the function app's identity a role",
		},
		{
			name: "restore: another tier", ask: restore, point: good, azure: rule("GET /service/contoso?", status(200, strings.Replace(apimState, "Developer", "Premium", 1))),
			step: "cannot be restored", todo: "of its own tier only",
		},
		{
			name: "restore: the blob was changed", ask: restore, point: keptPoint(func(p *backup.Point) { p.Size, p.SHA256, p.ETag = 7, "beef", "0x1" }),
			step: "the recovery point", todo: anyHint,
		},
		{
			name: "restore: the blob is gone", ask: restore, point: good, azure: []wireRule{{"GET .blob.", status(404, "", "X-Ms-Error-Code: BlobNotFound"), 0}, {"HEAD .blob.", status(404, "", "X-Ms-Error-Code: BlobNotFound"), 0}},
			step: "does not exist", todo: anyHint,
		},
		{
			name: "restore: refused at its start", ask: restore, point: good, azure: rule(startOver, refusing(400, "RestoreFailed", "Cannot restore: backup expired")),
			step: "start the restore of", said: "Cannot restore: backup expired", todo: "newer recovery point",
		},
		{
			name: "restore: it failed at Azure", ask: restore + " --no-safety-backup --reason test", point: good, azure: rule("GET /operationresults/", refusing(400, "RestoreFailed", "Cannot restore: current SKU is 'Premium', backup SKU is 'Developer'")),
			step: "the restore of", said: "current SKU is 'Premium'", todo: "of its own tier only",
		},
		{
			name: "restore: the answer to its start was lost", ask: restore, point: good, azure: rule(startOver, lostAnswer),
			step: "start the restore of", said: "unexpected EOF", todo: "See in the activity log",
		},
		{
			name: "restore: the safety backup failed", ask: restore, point: good, azure: rule("GET /operationresults/", refusing(400, "BackupFailed", "Access was denied.")),
			step: "the backup of", said: "Access was denied.", todo: "noSafetyBackup",
		},
		{
			name: "restore: Azure no longer shows it", ask: restore + " --no-safety-backup --reason test", point: good, azure: rule("GET /operationresults/", refusing(404, "ResourceNotFound", "The operation was not found.")),
			step: "the restore of", said: "The operation was not found.", todo: "activity log",
		},
		{
			name: "restore: too old", ask: restore + " --point POINT", point: keptPoint(func(p *backup.Point) { p.Created = outcomeNow.Add(-31 * 24 * time.Hour) }),
			step: "restores none that is older than 30 days", todo: anyHint,
		},
		{name: "restore: no recovery point", ask: restore, step: "recovery point", todo: anyHint},
		{name: "restore: an unknown recovery point", ask: restore + " --point 0000000000000000-8000000000-000000000000", point: good, step: "no recovery point", todo: "lifeboat points"},
		{
			name: "restore: canceled", ask: restore, point: good, azure: rule("GET /service/contoso?", status(200, strings.Replace(apimState, "Succeeded", "Updating", 1))),
			step: "canceled", todo: "", then: func(w *outcomeWorld, id string) error {
				if _, _, errs := against(context.Background(), w.URL, "", "cancel", id); errs != "" {
					return errors.New(errs)
				}
				return nil
			},
		},
		{
			name: "restore: it had to wait for too long", ask: restore, point: good, azure: rule("GET /service/contoso?", status(200, strings.Replace(apimState, "Succeeded", "Updating", 1))),
			step: "the request was good until", todo: "Ask again",
		},

		{
			name: "request: answers elsewhere", message: wish(`,"replyTo":"elsewhere"`), point: good, ask: "run incident-1",
			step: "does not let answers go to the queue elsewhere", todo: "Add it to restore.replyTo",
		},
		{
			name: "request: its time is over", message: wish(`,"expires":"2026-03-28T11:00:00Z"`), point: good, ask: "run incident-1",
			step: "the request was good until 2026-03-28T11:00:00Z", todo: "Ask again",
		},
		{
			name: "request: a single key of no HSM", message: wish(`,"kind":"selective","key":"rsa1"`), point: good, ask: "run incident-1",
			step: "brings no single keys back", todo: "Leave kind and key out",
		},
		{
			name: "deletion: the app has no role", ask: "run ID", past: true,
			azure: rule("DELETE .blob.", blobRefusing(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")),
			step:  "delete", said: "This request is not authorized", todo: "Storage Blob Data Contributor",
		},
		{
			name: "deletion: storage keeps it", ask: "run ID", past: true,
			azure: rule("DELETE .blob.", blobRefusing(409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy.")),
			step:  "delete", said: "immutable due to a policy", todo: "end the immutability policy",
		},
		{
			name: "deletion: the blob was changed", ask: "run ID", past: true,
			azure: rule("DELETE .blob.", blobRefusing(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")),
			step:  "delete", said: "is not met", todo: anyHint,
		},
		{
			name: "HSM backup: it failed at Azure", ask: hsmBackup, azure: rule("GET /backup/"+hsmJob, hsmSays("Failed", `,"statusDetails":"ResourceNotFound"`)),
			step: "back up", said: "ResourceNotFound", todo: "user-assigned identity",
		},
		{
			name: "HSM backup: no role", ask: hsmBackup, azure: rule("POST /prebackup", refusing(403, "AccessDenied", "Not authorized")),
			step: "ask whether", said: "Not authorized", todo: "az keyvault role assignment create --hsm-name contoso-hsm",
		},
		{
			name: "HSM backup: not activated", ask: hsmBackup, azure: rule("GET /managedHSMs/contoso-hsm?", status(200, `{"properties":{"provisioningState":"Succeeded","securityDomainProperties":{"activationStatus":"NotActivated","activationStatusMessage":"Download the security domain."}}}`)),
			step: "cannot be backed up", said: "Download the security domain.", todo: "Activate the HSM",
		},
		{
			name: "HSM restore: all of it", ask: hsmRestore, point: good,
			step: "all role assignments", todo: "az keyvault role assignment create --hsm-name contoso-hsm",
		},
		{
			name: "HSM restore: an invalid backup", ask: hsmRestore, point: good, azure: rule("GET /restore/"+hsmJob, hsmSays("Failed", `,"statusDetails":"Invalid backup provided"`)),
			step: "restore", said: "Invalid backup provided", todo: "security domain",
		},
		{
			name: "HSM restore: the app has lost its role", ask: hsmRestore, point: good, azure: rule("GET /restore/"+hsmJob, refusing(403, "AccessDenied", "Not authorized")),
			step: "restore", said: "Not authorized", todo: "az keyvault role assignment create --hsm-name contoso-hsm",
		},
		{
			name: "HSM key: none restored", ask: key, point: good, azure: rule("GET /restore/"+hsmJob, hsmSays("Succeeded", `,"statusDetails":"Number of successful key versions restored: 0, Number of key versions could not overwrite: 2"`)),
			step: "restore the key rsa1", said: "could not overwrite: 2", todo: "purge it",
		},
		{
			name: "HSM key: some restored", ask: key, point: good, azure: rule("GET /restore/"+hsmJob, hsmSays("Succeeded", `,"statusDetails":"Number of successful key versions restored: 1, Number of key versions could not overwrite: 2"`)),
			step: "", said: "could not overwrite: 2",
		},
		{
			name: "HSM key: not in the backup", ask: key, point: good, azure: rule("GET /restore/"+hsmJob, hsmSays("Failed", `,"statusDetails":"ResourceNotFound"`)),
			step: "restore the key rsa1", said: "ResourceNotFound", todo: "Choose another recovery point",
		},
	}
}

// TestGoldenOutcomes makes every outcome with the real commands, API, engine and providers, and compares the three texts that tell of it
// with testdata/outcomes.txt: the lines of the command, the event, and the line of the log. To write it: go test ./internal/cli -run
// TestGoldenOutcomes -update.
func TestGoldenOutcomes(t *testing.T) {
	var all strings.Builder
	for _, o := range outcomes() {
		w := newOutcomeWorld(t)
		of := target
		if strings.Contains(o.ask, "contoso-hsm") {
			of = outcomeHSM
		}
		switch {
		case o.point == nil:
		case of == outcomeHSM:
			if code, _, errs := against(t.Context(), w.URL, "request-0", "backup", "contoso-hsm"); code != 0 {
				t.Fatal(errs)
			}
			if err := w.workOff(); err != nil {
				t.Fatal(err)
			}
		default:
			if err := w.recoverable(t, of, o.point); err != nil {
				t.Fatal(err)
			}
		}
		w.azure.rules = append(slices.Clone(o.azure), w.azure.rules...)
		w.log.Reset()
		ask := strings.ReplaceAll(o.ask, "POINT", backup.Partition(of)+"-8000000000-000000000000")
		shell := func(args ...string) (int, string, string) { return against(t.Context(), w.URL, "request-1", args...) }
		var code int
		var out, errs, told string
		if !o.past && o.message == "" {
			code, out, errs = shell(strings.Fields(ask)...)
			told = out + errs
		}
		if o.message != "" {
			if err := w.deliver("restore", []byte(o.message)); err != nil {
				t.Errorf("%s: %v", o.name, err)
			}
			code, out = 0, "incident-1"
		}
		if o.past {
			id, err := w.cleanUp(t.Context())
			if err != nil {
				t.Errorf("%s: %v", o.name, err)
			}
			_, told, errs = shell("run", id)
			told += errs
		} else if code == 0 {
			if o.then != nil {
				if err := o.then(w, strings.TrimSpace(out)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.workOff(); err != nil {
				t.Errorf("%s: %v", o.name, err)
			}
			_, told, errs = shell("run", strings.TrimSpace(out))
			told += errs
		}
		events := w.queue.Events()
		event, line := "", ""
		if len(events) > 0 {
			event = events[len(events)-1].Type + " " + events[len(events)-1].Subject + " " + string(events[len(events)-1].Data)
		}
		for text := range strings.Lines(w.log.String()) {
			tells := strings.Contains(text, `"event":"`) || strings.Contains(text, `"warning":`)
			if tells && (!strings.Contains(line, `"level":"warn"`) || strings.Contains(text, `"level":"warn"`)) {
				line = text
			}
		}
		texts := map[string]string{"command": told, "event": event, "log": line}
		for _, kind := range slices.Sorted(maps.Keys(texts)) {
			plain := strings.NewReplacer(`\"`, `"`, `\u003e`, ">", `\u003c`, "<", `\u0026`, "&").Replace(strings.Join(strings.Fields(texts[kind]), " "))
			for what, words := range map[string]string{"target": of, "step": o.step, "Azure's words": o.said, "hint": o.todo} {
				if words == anyHint {
					words = map[string]string{"command": "int", "event": `"hint":"`, "log": `"hint":"`}[kind] // hint, or Hint:
				}
				if !strings.Contains(plain, words) {
					t.Errorf("%s: the %s lacks the %s %q", o.name, kind, what, words)
				}
			}
		}
		fmt.Fprintf(&all, "## %s\n\n$ lifeboat %s\n%s\n%s\n\n%s\n\n", o.name, o.ask, strings.TrimSpace(told), event, strings.TrimSpace(line))
	}
	text := anyID.ReplaceAllStringFunc(anyPort.ReplaceAllString(all.String(), "http://127.0.0.1:7071"), func(id string) string {
		if strings.Contains(target, id) {
			return id
		}
		return "REQUEST"
	})
	path := filepath.Join("testdata", "outcomes.txt")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != text {
		t.Errorf("%s is not what is told, %v:\n%s", path, err, firstDifference(string(want), text))
	}
}

// anyID matches the ID of a request to Azure, which is random.
var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
