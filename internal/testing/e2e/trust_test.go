package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// TestAChangedRowLeadsNowhere: an attacker with write access to the app's table points a run's operation at another host. The
// program sends no request there. It cannot find out the run's result any more, so the run ends unknown, and its event gives
// the reason. Throughout, the program reports its build: in the first line of its log, and in each request, which has its own
// ID.
func TestAChangedRowLeadsNowhere(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const attacker = "attacker.example"
	service := newServices(t, 1)[0]
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 20*time.Hour, 20*time.Hour })

	var mu sync.Mutex
	first := ""
	show := logTo(t)
	a := prepare(t, stack.AppConfig{Plan: planFor(yearly, "20d", service), Log: func(e fakehost.Entry) {
		show(e)
		mu.Lock()
		defer mu.Unlock()
		if first == "" && strings.HasPrefix(e.Text, "{") {
			first = e.Text
		}
	}})
	ids := map[string]bool{}
	intercept(t, world.Sim.ObjectID(a.config.Name), func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase != fakeazure.Before || !strings.Contains(e.Header.Get("User-Agent"), "azsdk-go-") { // a request of the host itself
			return fakeazure.Pass
		}
		mu.Lock()
		defer mu.Unlock()
		agent, id := e.Header.Get("User-Agent"), e.Header.Get("X-Ms-Client-Request-Id")
		if !strings.HasPrefix(agent, "lifeboat/"+stack.Version+" ") || id == "" {
			t.Errorf("%s %s%s of %q with the ID %q", e.Method, e.Host, e.Path, agent, id)
		}
		ids[id] = true
		return fakeazure.Pass
	})
	a.start(t)
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	run, err := a.backup(ctx, service, "trust")
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: run[:16], Row: "run-" + run[17:]}
	for changed := false; !changed; pause(ctx) {
		if ctx.Err() != nil {
			t.Fatal("the run never had a token")
		}
		row, _, err := a.catalog.Get(ctx, key)
		var body map[string]any
		if err != nil || json.Unmarshal(row.Body, &body) != nil {
			t.Fatalf("%s, %v", row.Body, err)
		}
		token, _ := body["Token"].(string)
		if !strings.Contains(token, "https://management.azure.com/") {
			continue
		}
		body["Token"] = strings.ReplaceAll(token, "https://management.azure.com/", "https://"+attacker+"/")
		_, err = a.catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: []byte(text(body))})
		changed = err == nil // otherwise the program was faster
	}
	status, err := a.await(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	if why := status.Run.Reason; status.Run.State != backup.Unknown || why.Code != "ForeignAddress" ||
		!strings.Contains(why.Message, "https://"+attacker) || why.Hint == "" {
		t.Errorf("the run is %s: %+v", status.Run.State, why)
	}
	told := false
	for _, text := range a.events(ctx, t) {
		told = told || strings.Contains(text, "lifeboat.run.unknown") && strings.Contains(text, "ForeignAddress")
	}
	if !told {
		t.Error("no event says so")
	}
	for _, c := range world.Sim.Calls() {
		if strings.Contains(c.Host, attacker) {
			t.Errorf("asked: %s %s", c.Method, c.Host)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(first, `"version":"`+stack.Version+`"`) {
		t.Errorf("the first line of the log is %s", first)
	}
	if len(ids) < 20 {
		t.Errorf("%d IDs of requests were seen", len(ids))
	}
}
