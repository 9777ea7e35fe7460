package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// recoveryPoint is a recovery point as a client of the API declares it.
type recoveryPoint struct {
	ID, Plan, Target, Run, State string
	SizeInBytes                  int64
	Suspicion                    *struct{ Code, Message string }
	AcceptedDateTime             time.Time
	AcceptedBy, AcceptedReason   string
}

// points requests the target's recovery points, and the next page of two until there is none.
func (a *app) points(ctx context.Context, service string) (all []recoveryPoint) {
	a.t.Helper()
	for path := "/api/recovery-points?top=2&target=" + stack.Service(service); path != ""; {
		response, text, err := a.request(ctx, "GET", path, "", nil)
		var page struct {
			Value    []recoveryPoint
			NextLink string
		}
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &page) != nil || len(page.Value) > 2 {
			a.t.Fatalf("%s: %v %s", path, err, text)
		}
		all = append(all, page.Value...)
		path = strings.TrimPrefix(page.NextLink, a.URL())
	}
	return all
}

// TestSuspectRecoveryPoint: after three good backups two have a tenth of their size. They succeed, also for an official
// poller, but they do not count. One is accepted over HTTP and one from the shell, other programs get events, and from then on
// the size is normal.
func TestSuspectRecoveryPoint(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service)})
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	backup := func() string {
		t.Helper()
		run, err := follow[backupRun](ctx, a, map[string]string{"target": stack.Service(service)})
		if err != nil || run.Status != "Succeeded" || run.State != "succeeded" || run.Error != nil {
			t.Fatalf("%+v, %v", run, err)
		}
		if _, err := a.await(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
		return run.ID
	}
	var ids []string
	for range 3 {
		ids = append(ids, backup())
	}
	tune(t, service, func(k *fakeazure.Options) { k.BlobBytes = 25 << 10 })
	ids = append(ids, backup(), backup())

	points := a.points(ctx, service)
	if len(points) != 5 {
		t.Fatalf("%d points: %+v", len(points), points)
	}
	for i, p := range points {
		want, size := "live", int64(256<<10)
		if i < 2 {
			want, size = "suspect", 25<<10
		}
		if p.ID != ids[4-i] || p.State != want || p.SizeInBytes != size || p.Plan != "test" || p.Target != stack.Service(service) ||
			p.Run != a.URL()+"/api/runs/"+p.ID || (p.Suspicion != nil) != (want == "suspect") {
			t.Errorf("point %d, want %s %s: %+v", i, ids[4-i], want, p)
		}
	}
	verified := func() string {
		t.Helper()
		_, h, text := a.health(ctx)
		if len(h.Targets) != 1 {
			t.Fatal(text)
		}
		return h.Targets[0].LastVerified.ID
	}
	if got := verified(); got != ids[2] {
		t.Errorf("the last verified point is %s, want the third, %s", got, ids[2])
	}

	// The first is accepted from the shell, with a reason.
	lifeboat := func(args ...string) (int, string, string) {
		t.Helper()
		return command(ctx, t, a.URL(), a.Key("api"), args...)
	}
	code, out, errs := lifeboat("points", stack.Service(service), "--top", "3")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], ids[4]+"  suspect  ") ||
		!strings.Contains(lines[1], "  25.0 KiB  ") || !strings.HasSuffix(lines[1], "  test  hash proved  SizeSuspect") ||
		!strings.HasPrefix(lines[3], ids[2]+"  live ") || !strings.Contains(errs, "3 recovery points shown; there are older ones") {
		t.Errorf("points: %d, %s\n%s", code, errs, out)
	}
	t.Logf("points\n%s", out)
	code, out, errs = lifeboat("run", ids[4])
	if code != 0 || !strings.Contains(out, "succeeded") || !strings.Contains(out, "suspect, kept until ") ||
		!strings.Contains(out, "lifeboat accept "+ids[4]) {
		t.Errorf("run: %d, %s\n%s", code, errs, out)
	}
	code, out, errs = lifeboat("accept", ids[3], "--reason", "half of the APIs were retired")
	if code != 0 || !strings.HasPrefix(out, ids[3]+"  live, kept until ") || errs != "" {
		t.Errorf("accept: %d, %s, %s", code, out, errs)
	}

	// The second is accepted over HTTP, without a body, twice.
	var first recoveryPoint
	for range 2 {
		response, text, err := a.request(ctx, "POST", "/api/recovery-points/"+ids[4]+"/accept", "", nil)
		var p recoveryPoint
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &p) != nil || p.State != "live" ||
			p.AcceptedDateTime.IsZero() || !strings.HasPrefix(p.AcceptedBy, "invocation ") || p.Suspicion == nil {
			t.Fatalf("%v %s", err, text)
		}
		if first.ID == "" {
			first = p
		}
		if p.AcceptedBy != first.AcceptedBy {
			t.Errorf("accepted again: %+v", p)
		}
	}
	response, text, err := a.request(ctx, "GET", "/api/recovery-points/"+ids[3], "", nil)
	if err != nil || response.StatusCode != http.StatusOK ||
		!strings.Contains(string(text), `"acceptedReason":"half of the APIs were retired"`) {
		t.Errorf("the point: %v %s", err, text)
	}
	if got := verified(); got != ids[4] {
		t.Errorf("the last verified point is %s, want the accepted one, %s", got, ids[4])
	}
	ids = append(ids, backup())
	if p := a.points(ctx, service)[0]; p.ID != ids[5] || p.State != "live" || p.Suspicion != nil {
		t.Errorf("the next of that size: %+v", p)
	}

	told := map[string]string{}
	for _, text := range a.events(ctx, t) {
		var e struct {
			ID, Type, Subject string
			Data              json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Subject != stack.Service(service) {
			t.Errorf("%v %s", err, text)
		}
		told[e.ID] = e.Type + " " + string(e.Data)
	}
	for id, wants := range map[string][]string{
		ids[2] + ".succeeded": {"lifeboat.run.succeeded ", `"recoveryPointState":"live"`},
		ids[3] + ".succeeded": {"lifeboat.run.succeeded ", `"recoveryPointState":"suspect"`, `"code":"SizeSuspect"`},
		ids[3] + ".accepted":  {"lifeboat.recovery-point.accepted ", `"requestReason":"half of the APIs were retired"`},
		ids[4] + ".accepted":  {"lifeboat.recovery-point.accepted ", `"by":"` + first.AcceptedBy},
	} {
		for _, want := range wants {
			if !strings.Contains(told[id], want) {
				t.Errorf("event %s is %q, want %s in it", id, told[id], want)
			}
		}
	}
	if len(told) != 8 {
		t.Errorf("%d events: %v", len(told), told)
	}

	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"unknown point":     {"GET", "/api/recovery-points/" + ids[0] + "0", "", 404, "RecoveryPointNotFound"},
		"accept nothing":    {"POST", "/api/recovery-points/" + ids[0] + "0/accept", "", 404, "RecoveryPointNotFound"},
		"after":             {"GET", "/api/recovery-points?after=x&target=" + stack.Service(service), "", 404, "RecoveryPointNotFound"},
		"points of nothing": {"GET", "/api/recovery-points", "", 400, "InvalidTarget"},
		"top":               {"GET", "/api/recovery-points?top=101&target=" + stack.Service(service), "", 400, "InvalidTop"},
		"get of accept":     {"GET", "/api/recovery-points/" + ids[0] + "/accept", "", 405, "MethodNotAllowed"},
		"post of points":    {"POST", "/api/recovery-points", "{}", 405, "MethodNotAllowed"},
		"unknown field":     {"POST", "/api/recovery-points/" + ids[0] + "/accept", `{"raison": ""}`, 400, "InvalidRequest"},
		"long reason": {
			"POST", "/api/recovery-points/" + ids[0] + "/accept", `{"reason": "` + strings.Repeat("x", 1001) + `"}`, 400,
			"InvalidReason",
		},
	} {
		response, text, err := a.request(ctx, c.method, c.path, c.body, nil)
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(text), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %v %s; want %d %s", name, err, text, c.status, c.code)
		}
		if c.status == 405 && (response.Header.Get("Allow") == c.method || response.Header.Get("Allow") == "") {
			t.Errorf("%s: Allow: %s", name, response.Header.Get("Allow"))
		}
	}
}
