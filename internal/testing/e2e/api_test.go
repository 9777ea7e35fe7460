package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// backupRun is a run as a client of the API declares it.
type backupRun struct {
	ID            string `json:"id"`
	Status        string `json:"status"`
	State         string `json:"state"`
	RecoveryPoint *struct {
		SHA256 string `json:"sha256"`
		SKU    string `json:"sku"`
		Size   int64  `json:"sizeInBytes"`
	} `json:"recoveryPoint"`
	Error *struct{ Code, Message string } `json:"error"`
}

// backupBatch is a batch as a client of the API declares it.
type backupBatch struct {
	ID     string         `json:"id"`
	Status string         `json:"status"`
	Counts map[string]int `json:"counts"`
	Runs   []backupRun    `json:"runs"`
}

// keyedPipeline returns azcore's pipeline, with the API's key.
func keyedPipeline(a *app) runtime.Pipeline {
	return runtime.NewPipeline("e2e", "v1", runtime.PipelineOptions{PerCall: []policy.Policy{a.keyed()}}, nil)
}

// ask starts an operation, or repeats the request for it, and gives it to azcore's own poller, as any Azure SDK would.
func ask[T any](ctx context.Context, a *app, path, id string, body map[string]string) (*runtime.Poller[T], error) {
	request, err := runtime.NewRequest(ctx, http.MethodPost, a.URL()+path)
	if err != nil {
		return nil, err
	}
	if id != "" {
		request.Raw().Header.Set("Repeatability-Request-ID", id)
	}
	if err := runtime.MarshalAsJSON(request, body); err != nil {
		return nil, err
	}
	response, err := keyedPipeline(a).Do(request)
	if err != nil {
		return nil, err
	}
	if !runtime.HasStatusCode(response, http.StatusAccepted) {
		return nil, runtime.NewResponseError(response)
	}
	return runtime.NewPoller[T](response, keyedPipeline(a), nil)
}

// follow requests a backup and follows it to its end.
func follow[T any](ctx context.Context, a *app, body map[string]string) (T, error) {
	poller, err := ask[T](ctx, a, "/api/backups", "", body)
	if err != nil {
		var none T
		return none, err
	}
	return poller.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
}

// TestAzurePollerIsToldTheSameEndTwice: a poller gets the same end twice for a success, a failure, a batch with a failed part
// and a canceled restore. It gets the same after a repetition of the request, and if it continues where another one stopped.
func TestAzurePollerIsToldTheSameEndTwice(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	good, bad := map[string]string{"target": stack.Service(services[0])}, map[string]string{"target": stack.Service(services[1])}
	a := newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", services...) + "    restore: {into: [itself], safetyBackup: false}\n",
	})
	inject(t, services[1], fakeazure.Fault{Kind: fakeazure.FailOperation, Count: 100, Code: "BackupFailed", Message: "Azure's own words about it"})
	end := func(poller *runtime.Poller[backupRun], err error) string {
		t.Helper()
		if err != nil {
			return err.Error()
		}
		run, err := poller.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
		if failed, ok := errors.AsType[*azcore.ResponseError](err); ok {
			return failed.ErrorCode
		}
		if err != nil {
			return err.Error()
		}
		return run.Status
	}
	restore := map[string]string{"target": good["target"], "recoveryPoint": "latest"}
	for _, c := range []struct {
		path, id string
		body     map[string]string
		cancel   bool
		end      string
	}{
		{"/api/backups", "good", good, false, "Succeeded"},
		{"/api/backups", "bad", bad, false, "BackupFailed"},
		{"/api/backups", "batch", map[string]string{"plan": "test"}, false, "BatchIncomplete"},
		{"/api/restores", "restore", restore, false, "Succeeded"},
		{"/api/restores", "canceled", restore, true, "Canceled"},
	} {
		if c.cancel {
			tune(t, services[0], func(k *fakeazure.Options) { k.Shortest = 20 * time.Minute })
			if _, err := a.backup(ctx, services[0], "busy"); err != nil { // the restore waits for it
				t.Fatal(err)
			}
			response, text, err := a.request(ctx, "POST", c.path, `{"target":"`+restore["target"]+`","recoveryPoint":"latest"}`,
				map[string]string{"Repeatability-Request-ID": c.id})
			if err != nil || response.StatusCode != http.StatusAccepted {
				t.Fatalf("%v, %s", err, text)
			}
			path := strings.TrimPrefix(response.Header.Get("Location"), a.URL())
			if response, text, err := a.request(ctx, "POST", path+"/cancel", "", nil); err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("canceled: %v, %s", err, text)
			}
		}
		if got := end(ask[backupRun](ctx, a, c.path, c.id, c.body)); got != c.end {
			t.Errorf("%s: ended with %s, want %s", c.id, got, c.end)
		}
		again, err := ask[backupRun](ctx, a, c.path, c.id, c.body)
		if err != nil {
			t.Errorf("%s: a repeat: %v", c.id, err)
			continue
		}
		token, err := again.ResumeToken()
		if err != nil {
			t.Errorf("%s: a repeat has ended before it was asked about: %v", c.id, err)
			continue
		}
		if got := end(again, nil); got != c.end {
			t.Errorf("%s: a repeat ended with %s, want %s", c.id, got, c.end)
		}
		if got := end(runtime.NewPollerFromResumeToken[backupRun](token, keyedPipeline(a), nil)); got != c.end {
			t.Errorf("%s: resumed, it ended with %s, want %s", c.id, got, c.end)
		}
	}
}

func TestAzurePollerFollowsABackup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	good, bad := services[0], services[1]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...)})
	of := func(service string) map[string]string { return map[string]string{"target": stack.Service(service)} }
	all := map[string]string{"plan": "test"}

	run, err := follow[backupRun](ctx, a, of(good))
	if err != nil {
		t.Fatal(err)
	}
	if run.Status != "Succeeded" || run.State != "succeeded" || run.RecoveryPoint == nil || len(run.RecoveryPoint.SHA256) != 64 ||
		run.RecoveryPoint.SKU != "Developer" {
		t.Errorf("the poller ended with %+v", run)
	}
	batch, err := follow[backupBatch](ctx, a, all)
	if err != nil {
		t.Fatal(err)
	}
	if batch.Status != "Succeeded" || batch.Counts["succeeded"] != 2 || len(batch.Runs) != 2 {
		t.Errorf("the poller of a batch ended with %+v", batch)
	}
	for _, run := range batch.Runs {
		if s, _, err := a.engine.Status(ctx, run.ID); err != nil || s.Point == nil {
			t.Errorf("run %s of the batch: %+v, %v", run.ID, s, err)
		}
	}

	fault := fakeazure.Fault{
		Kind: fakeazure.FailOperation, Status: http.StatusBadRequest, Code: "InvalidParameters", Message: "Azure's own words about it",
	}
	inject(t, bad, fault)
	_, err = follow[backupRun](ctx, a, of(bad))
	failed, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || failed.ErrorCode != "InvalidParameters" || !strings.Contains(err.Error(), "Azure's own words about it") {
		t.Errorf("the poller of a failed backup ended with %v", err)
	}
	inject(t, bad, fault)
	_, err = follow[backupBatch](ctx, a, all)
	failed, ok = errors.AsType[*azcore.ResponseError](err)
	if !ok || failed.ErrorCode != "BatchIncomplete" || !strings.Contains(err.Error(), "1 of 2 backups did not succeed") ||
		!strings.Contains(err.Error(), "Azure's own words about it") || !strings.Contains(err.Error(), stack.Service(bad)) {
		t.Errorf("the poller of a batch with a failed backup ended with %v", err)
	}
}

// TestBadInput: each gets a clear answer that names the thing, or is in the run's history; nothing is lost, and nothing is
// tried forever.
func TestBadInput(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 3)
	known, forbidden, goes := services[0], services[1], services[2]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...), ScheduleTimer: "* * * * * *"})
	target := func(name string) string { return `{"target": "` + stack.Service(name) + `"}` }

	for name, c := range map[string]struct {
		method, path, body string
		header             map[string]string
		status             int
		code, names        string
	}{
		"unknown target":     {"POST", "/api/backups", target("nobody"), nil, 400, "UnknownTarget", stack.Service("nobody")},
		"no resource ID":     {"POST", "/api/backups", `{"target": "contoso"}`, nil, 400, "InvalidRequest", `contoso`},
		"no target":          {"POST", "/api/backups", `{}`, nil, 400, "InvalidRequest", `resource ID`},
		"unknown plan":       {"POST", "/api/backups", `{"plan": "x", "target": "` + stack.Service(known) + `"}`, nil, 400, "UnknownPlan", `"x"`},
		"unknown field":      {"POST", "/api/backups", `{"tarket": "x"}`, nil, 400, "InvalidRequest", "tarket"},
		"body is no JSON":    {"POST", "/api/backups", `backup, please`, nil, 400, "InvalidRequest", "not a JSON object"},
		"body of two values": {"POST", "/api/backups", target(known) + "{}", nil, 400, "InvalidRequest", "more behind"},
		"body of a form":     {"POST", "/api/backups", "a=b", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, "UnsupportedMediaType", "application/json"},
		"long body":          {"POST", "/api/backups", `{"plan": "` + strings.Repeat("x", 4<<20) + `"}`, nil, 413, "RequestBodyTooLarge", "longer than"},
		"long body of text":  {"POST", "/api/backups", strings.Repeat("x", 4<<20), map[string]string{"Content-Type": "text/plain"}, 415, "UnsupportedMediaType", "text/plain"},
		"no body":            {"POST", "/api/backups", "", map[string]string{"Content-Type": "application/json"}, 400, "InvalidBody", "empty"},
		"unknown plan, all":  {"POST", "/api/backups", `{"plan": "x"}`, nil, 400, "UnknownPlan", `"x"`},
		"unknown batch":      {"GET", "/api/batches/0123456789abcdef0123456789abcdef", "", nil, 404, "BatchNotFound", "0123456789abcdef"},
		"wrong route":        {"GET", "/api/backup", "", nil, 404, "RouteNotFound", "/api/backup"},
		"wrong method":       {"GET", "/api/backups", "", nil, 405, "MethodNotAllowed", "POST"},
		"unknown run":        {"GET", "/api/runs/0123456789abcdef-8234567890-0123456789ab", "", nil, 404, "RunNotFound", "0123456789abcdef"},
		"no ID of a run":     {"GET", "/api/runs/x%27y", "", nil, 404, "RunNotFound", "x'y"},
		"runs of nothing":    {"GET", "/api/runs", "", nil, 400, "InvalidTarget", "resource ID"},
		"top":                {"GET", "/api/runs?top=0&target=" + stack.Service(known), "", nil, 400, "InvalidTop", `"0"`},
		"after":              {"GET", "/api/runs?after=x&target=" + stack.Service(known), "", nil, 404, "RunNotFound", "x"},
	} {
		response, text, err := a.request(ctx, c.method, c.path, c.body, c.header)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var answer struct {
			Error struct{ Code, Message, Target string }
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Errorf("%s: the answer is no JSON: %s", name, text)
		}
		names := strings.Contains(answer.Error.Message, c.names) || answer.Error.Target == c.names
		if response.StatusCode != c.status || answer.Error.Code != c.code || !names {
			t.Errorf("%s: got %d %s; want %d %s that names %s", name, response.StatusCode, text, c.status, c.code, c.names)
		}
	}

	// This is the same request ID for another target.
	again := map[string]string{"Repeatability-Request-ID": "one"}
	if response, text, err := a.request(ctx, "POST", "/api/backups", target(known), again); err != nil || response.StatusCode != 202 {
		t.Fatalf("%v %s", err, text)
	}
	if response, text, err := a.request(ctx, "POST", "/api/backups", target(goes), again); err != nil || response.StatusCode != 409 ||
		!strings.Contains(string(text), "RequestIdReused") {
		t.Errorf("the same request ID for another target: %v %s", err, text)
	}

	// The API refuses a request without the key.
	if response, _, err := a.request(ctx, "GET", "/api/runs", "", map[string]string{"x-functions-key": "wrong"}); err != nil ||
		response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong key: %v, %v", response, err)
	}

	// Messages that no function can process are kept, once, and leave the queue.
	q := a.queue("execute")
	for text, why := range map[string]string{
		"hello":       "not a step message",
		`{"run":"x"}`: "is not the ID of a run",
		`{"run":"0123456789abcdef-` + backup.Countdown(time.Now()) + `-0123456789ab","sequence":1,"nonce":"m"}`: "there is no run",
	} {
		if _, err := q.EnqueueMessage(ctx, text, nil); err != nil {
			t.Fatal(err)
		}
		if l := awaitLetter(t, ctx, a, text); !strings.Contains(l.Reason, why) {
			t.Errorf("the dead letter for %q says %q, want %q", text, l.Reason, why)
		}
	}

	// Azure refuses the identity: Azure's words are in the run's history, and nothing is started.
	world.Sim.Unassign(a.ObjectID, stack.Scope)
	t.Cleanup(func() { world.Grant(a.config.Name, a.config.Account) })
	id, err := a.backup(ctx, forbidden, "forbidden")
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.await(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if status.Run.State != backup.StateRefused || status.Run.Reason.Code != "AuthorizationFailed" ||
		!strings.Contains(status.Run.Reason.Message, "service/read") || status.Run.Reason.Hint == "" {
		t.Errorf("a 403 ended the run %s: %+v", status.Run.State, status.Run.Reason)
	}
	if n := len(posts(forbidden)); n != 0 {
		t.Errorf("%d operations were started without a role", n)
	}
	world.Grant(a.config.Name, a.config.Account)
}

// TestStorageSeesBearerTokensOnly: there is no key to leak.
func TestStorageSeesBearerTokensOnly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Account: logged, Plan: planFor(yearly, "1d", service)})
	id, err := a.backup(ctx, service, uuid.NewString()) // the account stays when the test is repeated
	if err != nil {
		t.Fatal(err)
	}
	if status, err := a.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%s, %v", status.Run.State, err)
	}
	environment, err := os.ReadFile("/proc/" + itoa(a.PID()) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range world.Keys() {
		if strings.Contains(string(environment), key) {
			t.Error("an account key stands in the program's environment")
		}
	}
	for _, word := range []string{"AccountKey", "SharedAccessSignature", "sig="} {
		if strings.Contains(string(environment), word) {
			t.Errorf("%q stands in the program's environment", word)
		}
	}
	requests, err := world.Azurite.Requests()
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, r := range requests {
		if r.ObjectID == a.ObjectID {
			own++
		}
		account, _, _ := strings.Cut(r.Host, ".")
		if r.AuthScheme != "Bearer" && account == stack.Backups {
			continue // a service of Azure's side, with the access that it got; the calls below show the programs' requests
		}
		if _, byKey := keyed.Load(account); r.AuthScheme != "Bearer" && !byKey {
			t.Errorf("%s %s%s came with %q", r.Method, r.Host, r.Path, r.AuthScheme)
		}
	}
	if own == 0 {
		t.Error("none of the requests was the program's")
	}
	for _, c := range world.Sim.Calls() { // every request of a program passes through the simulator
		byKey := c.AuthScheme == "SharedKey" && !strings.Contains(c.Host, ".file.") // file shares accept nothing else
		account, host, _ := strings.Cut(c.Host, ".")
		service, _, isStorage := strings.Cut(host, ".core.windows.net")
		_, keyedAccount := keyed.Load(account)
		if c.AuthScheme == "SAS" || byKey && account == stack.Backups ||
			isStorage && service != "file" && c.Method != http.MethodConnect && c.AuthScheme != "Bearer" && !keyedAccount {
			t.Errorf("a program sent %s %s%s with %q", c.Method, c.Host, c.Path, c.AuthScheme)
		}
	}
	figures.Report(t, "%d requests, all with bearer tokens, %d of them from this program", len(requests), own)
}
