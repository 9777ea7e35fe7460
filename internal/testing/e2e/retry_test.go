package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// changeAPI changes an API of the service as its owner does, through Resource Manager.
func changeAPI(ctx context.Context, t *testing.T, service string) {
	t.Helper()
	const owner = "owner"
	world.Sim.Assign(world.Sim.ObjectID(owner), service, fakeazure.APIManagementServiceContributor)
	token, err := world.Sim.Credential(owner).GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://management.azure.com"+service+"/apis/echo?api-version=2024-05-01",
		strings.NewReader(`{"properties":{"displayName":"Echo","path":"echo","protocols":["https"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := world.Sim.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 400 {
		t.Fatalf("change the API: %s", answer.Status)
	}
}

// TestAPassingFailure: Azure fails a backup for a passing reason, and leaves a torn blob. The run waits, and says so; the further attempt
// succeeds, under a name of its own, and the torn blob goes. The owner changes the service during that attempt: the point and the
// event say so; where the log shows a change only after the end, the late look finds it. A definite no is not tried again.
func TestAPassingFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	services := newServices(t, 2)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...)})
	subscription, _, _ := strings.Cut(stack.Service(services[0]), "/resourceGroups/")
	world.Sim.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = time.Nanosecond })
	world.Sim.Assign(a.ObjectID, subscription, fakeazure.Reader)
	inject(t, services[0], fakeazure.Fault{Kind: fakeazure.FailHalfway, Code: "InternalServerError", Message: "Something went wrong."})
	inject(t, services[1], fakeazure.Fault{Kind: fakeazure.FailOperation, Code: "AuthorizationFailed", Message: "No role."})
	id, err := a.backup(ctx, services[0], uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	refused, err := a.backup(ctx, services[1], uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	var shown api.Run
	for shown.State != backup.Waiting && ctx.Err() == nil {
		pause(ctx)
		_, text, err := a.request(ctx, http.MethodGet, "/api/runs/"+id, "", nil)
		if err != nil || json.Unmarshal(text, &shown) != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if len(shown.Failed) != 1 || shown.Failed[0].Error.Code != "InternalServerError" || !shown.RetryAt.After(shown.Failed[0].Ended) ||
		shown.Waiting == nil || !strings.Contains(shown.Waiting.Message, "attempt 2 of 4") || shown.Status != "NotStarted" {
		t.Errorf("while it waits it shows %+v, waiting for %+v", shown, shown.Waiting)
	}
	for len(posts(services[0])) < 2 && ctx.Err() == nil {
		pause(ctx)
	}
	changeAPI(ctx, t, stack.Service(services[0]))

	status, err := a.await(ctx, id)
	if err != nil || status.Run.State != backup.Succeeded || len(status.Run.Failed) != 1 {
		t.Fatalf("%s, %v: %+v, %+v", status.Run.State, err, status.Run.Reason, status.Run.Failed)
	}
	sent := posts(services[0])
	if len(sent) != 2 || sent[0].BackupName != id+".1" || sent[1].BackupName != id+".2" {
		t.Errorf("the starts are %+v", sent)
	}
	if p := status.Point; p == nil || p.Artifact != id+".2" || p.Changed.Resource != stack.Service(services[0])+"/apis/echo" {
		t.Errorf("the recovery point is %+v", p)
	}
	var told []string
	for _, text := range a.events(ctx, t) {
		if strings.Contains(text, id) {
			told = append(told, text)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], `"changedDuringBackup":{"dateTime"`) || !strings.Contains(told[0], `"code":"InternalServerError"`) {
		t.Errorf("told %q", told)
	}
	if _, text, err := a.request(ctx, http.MethodGet, "/api/recovery-points/"+id, "", nil); err != nil || !strings.Contains(string(text), `"changedDuringBackup":{"dateTime"`) {
		t.Errorf("%v: %s", err, text)
	}

	a.seesAChangeLate(ctx, t, services[0])

	status, err = a.await(ctx, refused)
	if err != nil || status.Run.State != backup.Failed || status.Run.Reason.Code != "AuthorizationFailed" || len(posts(services[1])) != 1 {
		t.Errorf("%s, %v: %+v after %d starts", status.Run.State, err, status.Run.Reason, len(posts(services[1])))
	}
}

// seesAChangeLate makes a further backup of the service, and changes the service meanwhile. The activity log shows that behind the end of
// the run: then the point says so, and an event tells it.
func (a *app) seesAChangeLate(ctx context.Context, t *testing.T, service string) {
	t.Helper()
	world.Sim.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = 1000 * time.Hour })
	begun := len(posts(service))
	id, err := a.backup(ctx, service, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	for len(posts(service)) == begun && ctx.Err() == nil {
		pause(ctx)
	}
	changeAPI(ctx, t, stack.Service(service))
	status, err := a.await(ctx, id)
	if err != nil || status.Run.State != backup.Succeeded || status.Point.Changed != (backup.Change{}) || status.Run.Looked.IsZero() {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Point)
	}
	world.Sim.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = time.Nanosecond })
	var shown api.Run
	for (shown.Point == nil || shown.Point.Changed == nil) && ctx.Err() == nil {
		pause(ctx)
		_, text, err := a.request(ctx, http.MethodGet, "/api/runs/"+id, "", nil)
		if err != nil || json.Unmarshal(text, &shown) != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if c := shown.Point.Changed; c == nil || c.Resource != stack.Service(service)+"/apis/echo" || !shown.Looked.After(status.Run.Looked) {
		t.Fatalf("it looked at %s and %s, and saw %+v", status.Run.Looked, shown.Looked, c)
	}
	told := func() (n int) {
		for _, text := range a.events(ctx, t) {
			if strings.Contains(text, `"`+id+`.changed"`) && strings.Contains(text, "lifeboat.recovery-point.changed") && strings.Contains(text, "/apis/echo") {
				n++
			}
		}
		return n
	}
	n := told()
	for n == 0 && ctx.Err() == nil {
		pause(ctx)
		n = told()
	}
	if n != 1 {
		t.Errorf("told %d times of the change", n)
	}
}
