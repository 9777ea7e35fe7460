package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// told are the IDs of the events of a type that a topic took, and that are about the subject.
func told(t *testing.T, topic, kind, subject string) (ids []string) {
	t.Helper()
	for _, text := range world.Sim.Published(topic) {
		var e struct{ ID, Source, Type, Subject, SpecVersion string }
		if err := json.Unmarshal(text, &e); err != nil || e.Source == "" || e.SpecVersion != "1.0" {
			t.Errorf("%s: %v", text, err)
		}
		if e.Type == kind && e.Subject == subject {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// TestEventsGoToATopic: with a topic, the end of a backup is told there and not on the queue. While the app lacks its role on the topic the
// event waits, as the metrics say, and the backup is none the worse; once it has the role, the next timer run sends it.
func TestEventsGoToATopic(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	topic := stack.Scope + "/providers/Microsoft.EventGrid/topics/e" + uuid.NewString()[:8]
	address, err := world.Sim.AddTopic(fakeazure.Topic{ResourceID: topic})
	if err != nil {
		t.Fatal(err)
	}
	services := newServices(t, 2)
	a := newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", services...), ScheduleTimer: "* * * * * *", Settings: map[string]string{"LIFEBOAT_EVENTS_TOPIC": address},
	})
	waiting := func() string {
		t.Helper()
		_, text, err := a.request(ctx, "GET", "/api/metrics", "", map[string]string{"x-functions-key": a.Key("metrics")})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "lifeboat_events_waiting "); ok {
				return strings.TrimSpace(n)
			}
		}
		t.Fatalf("the metrics do not say how many events wait: %s", text)
		return ""
	}

	first, err := a.backup(ctx, services[0], uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.await(ctx, first)
	if err != nil || status.Run.State != "succeeded" || status.Point == nil {
		t.Fatalf("%+v, %v", status, err)
	}
	if n := waiting(); n == "0" {
		t.Error("no event waits")
	}
	if code, h, text := a.health(ctx); code != 200 || h.Targets[0].LastVerified.ID != first && h.Targets[1].LastVerified.ID != first {
		t.Errorf("health: %d %s", code, text)
	}
	if events := world.Sim.Published(topic); len(events) != 0 {
		t.Errorf("without a role: %s", events)
	}

	world.Sim.Assign(a.ObjectID, topic, fakeazure.EventGridDataSender)
	second, err := a.backup(ctx, services[1], uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.await(ctx, second); err != nil {
		t.Fatal(err)
	}
	for waiting() != "0" {
		if pause(ctx); ctx.Err() != nil {
			t.Fatal("events wait for ever")
		}
	}
	for i, id := range []string{first, second} {
		ids := told(t, topic, "lifeboat.run.succeeded", stack.Service(services[i]))
		if len(ids) == 0 || len(slices.Compact(ids)) != 1 || !strings.HasPrefix(ids[0], id) {
			t.Errorf("of the run %s: %q", id, ids)
		}
	}
	for _, call := range world.Sim.Calls() {
		if strings.HasPrefix(call.Host, a.config.Account+".queue.") && strings.HasPrefix(call.Path+"/", "/lifeboat-events/") {
			t.Errorf("%s %s%s", call.Method, call.Host, call.Path)
		}
	}
}
