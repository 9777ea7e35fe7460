package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
	"lifeboat/internal/testing/stack"
)

// TestBackupByMessage asks for a backup by messages of a sender without any other right: several forms of one request make one
// backup, whose end is an answer on the sender's queue, and which the API finds by the ID of the request. Then Event Grid's events
// about changes of the service make one backup more, however often they come.
func TestBackupByMessage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{
		ScheduleTimer: "* * * * * *",
		Plan:          planFor(yearly, "1d", service) + "    onDemand: {replyTo: [deploy]}\n    onChange: {quiet: 1s}\n",
	})
	if _, err := a.queue("deploy").Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	send := a.senderTo(ctx, t, "backup-requests")
	for _, form := range formsOf(map[string]any{"id": "deploy-1", "target": target, "replyTo": "deploy", "requestedBy": "a pipeline", "reason": "a deployment"}) {
		send(form)
	}
	id := a.deployAnswers(ctx, t, "deploy-1")
	response, body, err := a.request(ctx, http.MethodGet, "/api/runs/deploy-1", "", nil)
	var run struct{ ID, State, RequestID string }
	if err != nil || json.Unmarshal(body, &run) != nil || response.StatusCode != http.StatusOK || run.ID != id || run.State != "succeeded" {
		t.Errorf("the run of the request: %v %s", err, body)
	}

	change, err := json.Marshal(map[string]any{
		"id": "e", "topic": target, "subject": "/apis/orders;Rev=1", "eventType": "Microsoft.ApiManagement.APIUpdated",
		"eventTime": time.Now().UTC(), "data": map[string]string{"resourceUri": target + "/apis/orders;Rev=1"}, "dataVersion": "1", "metadataVersion": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	send(base64.StdEncoding.EncodeToString(change))
	send("[" + string(change) + "]")
	changed := a.changed(ctx, t, target, id)
	if changed.Settings.KeepWithin != 30*24*time.Hour { // without onDemand.keep it is the time for which the service can restore it
		t.Errorf("the backup of the changes is kept for %s", changed.Settings.KeepWithin)
	}
	before, err := row[request.Changes](ctx, a, backup.ChangesKey("test", target))
	if err != nil {
		t.Fatal(err)
	}
	send(string(change)) // late
	a.empty(ctx, t, "backup-requests")
	if after, err := row[request.Changes](ctx, a, backup.ChangesKey("test", target)); err != nil || !after.First.IsZero() || !after.Covered.Equal(before.Covered) {
		t.Errorf("after an event that came late: %+v, %v; before: %+v", after, err, before)
	}
	if runs, _, err := a.engine.History(ctx, target, "", 10); err != nil || len(runs) != 2 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if n := a.count(ctx, "backup-requests-poison"); n != 0 {
		t.Errorf("%d messages were given up", n)
	}
}

// deployAnswers waits on the queue "deploy" for the news that the request is accepted and that its backup has succeeded, and
// returns the run.
func (a *app) deployAnswers(ctx context.Context, t *testing.T, request string) string {
	t.Helper()
	accepted, run := false, ""
	for {
		written := a.written()
		for _, text := range a.receive(ctx, t, "deploy") {
			var e struct {
				Source, Type string
				Data         struct {
					Request, Run string
					Runs         []string
				}
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil || e.Data.Request != request {
				t.Fatalf("%s: %v", text, err)
			}
			if want := "//" + a.config.Account + ".queue.core.windows.net/" + strings.ToLower(a.config.Name); e.Source != want {
				t.Errorf("it comes from %s, want %s", e.Source, want)
			}
			switch e.Type {
			case "lifeboat.backup.accepted":
				accepted = len(e.Data.Runs) == 1
			case "lifeboat.run.succeeded":
				run = e.Data.Run
			default:
				t.Fatalf("answered %s", text)
			}
		}
		if accepted && run != "" {
			return run
		}
		if ctx.Err() != nil {
			t.Fatalf("no answer to %s; accepted: %t, succeeded: %q", request, accepted, run)
		}
		written.wait(ctx)
	}
}

// changed waits until a run of the target besides the other one has succeeded.
func (a *app) changed(ctx context.Context, t *testing.T, target, other string) backup.Run {
	t.Helper()
	for {
		written := a.written()
		runs, _, err := a.engine.History(ctx, target, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range runs {
			if one.Run.ID != other && one.Run.State == backup.Succeeded {
				return one.Run
			}
		}
		written.wait(ctx)
	}
}
