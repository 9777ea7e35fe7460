package handler

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// pair returns two apps on one storage account; the first one owns the catalog.
func pair(t *testing.T) (first, second *app) {
	t.Helper()
	first = newApp(func(c *Config) { c.Engine.App, c.Plans.App = "contoso-app", "contoso-app" })
	second = newApp(func(c *Config) {
		c.Engine.App, c.Plans.App = "contoso-app/staging", "contoso-app/staging"
		c.Engine.Catalog, c.Engine.Queue, c.Plans.Catalog = first.catalog, first.queue, first.catalog
	})
	second.catalog, second.queue = first.catalog, first.queue
	for _, d := range []*app{first, second} {
		if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	return first, second
}

func healthOf(t *testing.T, d *app) (int, api.Apps) {
	t.Helper()
	w := d.call("GET", "/api/health", "")
	var v api.Health
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return w.Code, v.Apps
}

// TestASecondAppAcceptsNoRequest checks that every call that changes something is answered with the name of the owner and the
// command, and writes nothing, while calls that read work.
func TestASecondAppAcceptsNoRequest(t *testing.T) {
	first, second := pair(t)
	point := first.point(t, backup.Suspect)
	before := len(first.catalog.Rows())
	for _, f := range HTTPFunctions() {
		for _, route := range f.Routes {
			path := strings.Replace(route.Path, "{id}", point, 1)
			if route.Method != "POST" || route.Path == "/api/takeover" {
				continue
			}
			w := second.call(route.Method, path, `{"target":"`+target+`"}`)
			var answer struct{ Error api.Problem }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			e := answer.Error
			if w.Code != 409 || e.Code != "NotOwner" || e.Target != "contoso-app" || !strings.Contains(e.Message, "contoso-app/staging") ||
				len(e.Details) != 1 || !strings.Contains(e.Details[0].Message, "lifeboat takeover contoso-app") {
				t.Errorf("%s: %d %s", route.Path, w.Code, w.Body)
			}
		}
	}
	if after := len(first.catalog.Rows()); after != before {
		t.Errorf("%d rows became %d", before, after)
	}
	if w := second.call("GET", "/api/recovery-points/"+point, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := first.call("POST", "/api/backups", `{"target":"`+target+`"}`); w.Code != 202 {
		t.Errorf("the owner answers %d %s", w.Code, w.Body)
	}
}

// TestASecondAppLeavesMessages checks that messages of every queue stay in it, with the time at which a request was sent, and that
// the owner then handles them.
func TestASecondAppLeavesMessages(t *testing.T) {
	sent := time.Now().Add(-time.Hour).Truncate(time.Second)
	text := `{"id":"i","target":"` + target + `"}`
	for function, queue := range map[string]string{
		"backup": backup.BackupQueue, "restore": backup.RestoreQueue, "deadletter-backup": backup.BackupQueue + backup.Poison,
		"deadletter-restore": backup.RestoreQueue + backup.Poison, "deadletter-execute": backup.ExecuteQueue + backup.Poison,
	} {
		first, second := pair(t)
		body, err := json.Marshal(map[string]any{
			"Data": map[string][]byte{"message": []byte(text)}, "Metadata": map[string]string{"InsertionTime": sent.Format(time.RFC3339)},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := len(first.catalog.Rows())
		if w := second.call("POST", "/"+function, string(body)); w.Code != 200 {
			t.Errorf("%s: %d %s", function, w.Code, w.Body)
		}
		left := second.queue.Messages(queue)
		if len(left) != 1 || !left[0].Visible.After(time.Now().Add(9*time.Minute)) || // for the longest time: it is an hour old
			len(first.catalog.Rows()) != before {
			t.Fatalf("%s: %d messages, %d rows of %d", function, len(left), len(first.catalog.Rows()), before)
		}
		was := request.Original(left[0].Body, time.Now())
		if string(was.Message) != text || queue != backup.ExecuteQueue+backup.Poison && !was.Sent.Equal(sent) {
			t.Errorf("%s: %s of %s was put back", function, was.Message, was.Sent)
		}
		if w := first.send(function, left[0].Body); w.Code != 200 || len(first.queue.Messages(queue)) != 1 {
			t.Errorf("%s: the owner answers %d %s", function, w.Code, w.Body)
		}
	}
}

// unasked is a catalog that does not say which app owns it.
type unasked struct{ backup.Catalog }

func (c unasked) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	if from == backup.AppsPrefix {
		return nil, time.Time{}, errors.New("503 ServerBusy")
	}
	return c.Catalog.List(ctx, partition, from, to, limit)
}

// TestASecondAppGivesNothingUp checks that an app puts given-up requests off while it cannot read the row of the owner, and refuses
// none for good: the owner may know better.
func TestASecondAppGivesNothingUp(t *testing.T) {
	for queue, point := range map[string]string{backup.BackupQueue: "", backup.RestoreQueue: `,"recoveryPoint":"latest"`} {
		for rounds, code := range map[int]int{0: 200, 3: 500} {
			first, _ := pair(t)
			second := newApp(func(c *Config) {
				c.Engine.App, c.Plans.App = "contoso-app/staging", "contoso-app/staging"
				c.Engine.Catalog, c.Engine.Queue, c.Plans.Catalog = unasked{first.catalog}, first.queue, first.catalog
			})
			given := request.Postponed{Sent: time.Now(), Rounds: rounds, Message: []byte(`{"id":"i","target":"` + target + `"` + point + `}`)}
			before, function := len(first.catalog.Rows()), map[string]string{backup.BackupQueue: "backup", backup.RestoreQueue: "restore"}[queue]
			w := second.send("deadletter-"+function, given.Encode())
			if after := len(first.catalog.Rows()); w.Code != code || after != before || len(first.queue.Messages(queue)) != map[int]int{200: 1, 500: 0}[code] {
				t.Errorf("%s, %d rounds: %d %s, %d rows became %d", queue, rounds, w.Code, w.Body, before, after)
			}
			note := map[int]any{200: "put off: it is tried again later", 500: nil}[code]
			wants(t, second.lastLine(t), map[string]any{"queue": queue + backup.Poison, "request": "i", "note": note})
		}
	}
}

// TestASecondAppSavesNoPlan checks that plan.yaml of a second app never becomes active, and that its timer runs are no failures.
func TestASecondAppSavesNoPlan(t *testing.T) {
	first, second := pair(t)
	active := func() backup.Row {
		row, _, err := first.catalog.Get(t.Context(), backup.ActivePlanKey)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	before := active()
	other := newApp(func(c *Config) {
		c.Engine.App, c.Plans.App = "laptop", "laptop"
		c.Engine.Catalog, c.Engine.Queue, c.Plans.Catalog = first.catalog, first.queue, first.catalog
		read := c.Plans.Read
		c.Plans.Read = func(ctx context.Context) ([]byte, error) {
			text, err := read(ctx)
			return append(text, "# older\n"...), err
		}
	})
	for _, d := range []*app{other, second, other} {
		for _, function := range []string{"/schedule", "/cleanup"} {
			if w := d.call("POST", function, envelope(t, "timer.json")); w.Code != 200 {
				t.Errorf("%s: %d %s", function, w.Code, w.Body)
			}
		}
	}
	if after := active(); after.ETag != before.ETag {
		t.Errorf("%s became %s", before.Body, after.Body)
	}
	lines := other.lines(t)
	if !slices.ContainsFunc(lines, func(line map[string]any) bool {
		return line["function"] == "schedule" && line["owner"] == "contoso-app" && line["app"] == "laptop"
	}) {
		t.Errorf("the log says %v", lines)
	}
	if _, apps := healthOf(t, first); len(apps.Others) != 2 {
		t.Errorf("%+v", apps)
	}
}

// TestTakeoverByTheAPI checks that a person's call makes the second app the owner, that a repeat answers the same, that another name
// is refused, and that both healths name both apps.
func TestTakeoverByTheAPI(t *testing.T) {
	first, second := pair(t)
	for _, d := range []*app{first, second} {
		if status, v := healthOf(t, d); status != 503 || v.Owner != "contoso-app" || v.Reason == nil ||
			!strings.Contains(v.Reason.Message, "contoso-app/staging") || !strings.Contains(v.Reason.Message, "the app contoso-app owns") {
			t.Errorf("%d %+v", status, v)
		}
	}
	for body, want := range map[string]int{`{}`: 400, `{"from":"contoso"}`: 409, `{"from":"contoso-app/staging"}`: 409, `{"form":"contoso-app"}`: 400} {
		if w := second.call("POST", "/api/takeover", body); w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	var answers []string
	for range 2 {
		w := second.call("POST", "/api/takeover", `{"from":"Contoso-App"}`)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		answers = append(answers, w.Body.String())
	}
	if answers[0] != answers[1] || !strings.Contains(answers[0], `"owner":"contoso-app/staging","from":"contoso-app"`) {
		t.Errorf("%q", answers)
	}
	if w := second.call("POST", "/api/backups", `{"target":"`+target+`"}`); w.Code != 202 {
		t.Errorf("the new owner answers %d %s", w.Code, w.Body)
	}
	first.call("POST", "/schedule", envelope(t, "timer.json"))
	if w := first.call("POST", "/api/backups", `{"target":"`+target+`"}`); w.Code != 409 {
		t.Errorf("the former owner answers %d %s", w.Code, w.Body)
	}
	if w := first.call("GET", "/api/metrics", ""); !strings.Contains(w.Body.String(), "lifeboat_other_apps 1\n") {
		t.Errorf("%s", w.Body)
	}
}

// TestARequestRemembersTheOwner checks that a process asks once in a minute which app owns the catalog, and at once after it
// has lost it.
func TestARequestRemembersTheOwner(t *testing.T) {
	var s standing
	at := time.Now()
	if s.owns(at) {
		t.Error("it has never asked")
	}
	_ = s.learn(nil, at)
	if !s.owns(at.Add(59*time.Second)) || s.owns(at.Add(time.Minute)) || s.owns(at.Add(-2*time.Minute)) {
		t.Error("a minute is over too early or too late")
	}
	_ = s.learn(&apps.NotOwner{}, at)
	if s.owns(at) {
		t.Error("it has lost it")
	}
}
