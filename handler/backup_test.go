package handler

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// ordering returns the handler over a plan with three targets, whose requests may have their answers sent to a queue.
func ordering(t *testing.T) (*app, []backup.Plan) {
	t.Helper()
	d, plans := fleetHandler(t)
	plans[0].OnDemandReplyTo = []string{"answers"}
	return d, plans
}

// answers returns the types of the answers in the queue, sorted, each with the ID of its request, and each once.
func (d *app) answers(t *testing.T, queue string) string {
	t.Helper()
	var all []string
	for _, m := range d.queue.Messages(queue) {
		var e struct {
			Type string
			Data struct{ Request string }
		}
		if err := json.Unmarshal(m.Body, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimPrefix(e.Type, "lifeboat.")+" "+e.Data.Request)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// TestBackupMessage checks that a message becomes its runs once, however often it comes, and that any other message is answered
// and kept, and never delivered again.
func TestBackupMessage(t *testing.T) {
	one := `{"id":"i","target":"` + target + `-a","replyTo":"answers","requestedBy":"a pipeline","reason":"a deployment"}`
	event := `{"specversion":"1.0","id":"e","source":"/pipeline","type":"t","data":{"plan":"nightly","replyTo":"answers"}}`
	for _, test := range []struct {
		name, text string
		runs       int
		told       string // to lifeboat-events
		answers    string
		note       string
	}{
		{"one target", one, 1, "backup.accepted i", "backup.accepted i", ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte(one)), 1, "backup.accepted i", "backup.accepted i", ""},
		{"with its plan", one[:len(one)-1] + `,"plan":"nightly"}`, 1, "backup.accepted i", "backup.accepted i", ""},
		{"all targets, as a CloudEvent", event, 3, "backup.accepted e", "backup.accepted e", ""},
		{"without an answer", strings.Replace(one, `"answers"`, `""`, 1), 1, "backup.accepted i", "", ""},
		{"another target", strings.Replace(one, "-a", "-x", 1), 0, "backup.refused i", "", "UnknownTarget"},
		{"another target of the plan", strings.Replace(one[:len(one)-1], "-a", "-x", 1) + `,"plan":"nightly"}`, 0, "backup.refused i", "backup.refused i", "UnknownTarget"},
		{"another plan", strings.Replace(event, "nightly", "weekly", 1), 0, "backup.refused e", "", "UnknownPlan"},
		{"answers elsewhere", strings.Replace(one, "answers", "elsewhere", 1), 0, "backup.refused i", "", "ReplyToNotAllowed"},
		{
			"a name twice", strings.Replace(one, `"id"`, `"reason":"x","id"`, 1), 0, "backup.refused i, message.deadlettered ", "backup.refused i",
			`the field "reason" stands there twice`,
		},
		{"a field that is not known", one[:len(one)-1] + `,"dryRun":true}`, 0, "backup.refused i, message.deadlettered ", "backup.refused i", `"dryRun": the field is not known`},
		{
			"neither target nor plan", `{"id":"i"}`, 0, "backup.refused i, message.deadlettered ", "",
			`"target": the request names neither a target, by its resource ID, nor a plan, all of whose targets are meant`,
		},
		{"no ID", one[:1] + one[10:], 0, "backup.refused , message.deadlettered ", "backup.refused ", `"id": a request needs an ID of 1 to 128 characters, none of them unreadable`},
		{"no JSON", "back it up", 0, "backup.refused , message.deadlettered ", "", "it is not a JSON object: send one in UTF-8 or UTF-16, as it is or in base64, or as the data of a CloudEvent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _ := ordering(t)
			for range 2 {
				if w := d.send("backup", []byte(test.text)); w.Code != 200 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			line := d.lastLine(t)
			if got := fmt.Sprint(line["note"]); test.note == "" != (line["note"] == nil && line["code"] == nil) || got != test.note && fmt.Sprint(line["code"]) != test.note && test.note != "" {
				t.Errorf("logs %v", line)
			}
			if n := len(d.queue.Messages("execute")); n != test.runs {
				t.Errorf("%d runs", n)
			}
			if got := d.answers(t, "lifeboat-events"); got != test.told {
				t.Errorf("told %s", got)
			}
			if got := d.answers(t, "answers"); got != test.answers || len(d.queue.Messages("elsewhere")) > 0 {
				t.Errorf("answered %s", got)
			}
		})
	}
}

// TestBackupMessageOfAnotherRequest checks that the ID of another request is refused, over HTTP and by a message.
func TestBackupMessageOfAnotherRequest(t *testing.T) {
	d, _ := ordering(t)
	one := `{"id":"i","target":"` + target + `-a","replyTo":"answers"}`
	for _, text := range []string{one, strings.Replace(one, "-a", "-b", 1)} {
		if w := d.send("backup", []byte(text)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if got := d.answers(t, "answers"); got != "backup.accepted i, backup.refused i" {
		t.Errorf("answered %s", got)
	}
	if w := d.call("POST", "/api/backups", one); w.Code != 202 {
		t.Errorf("the same over HTTP: %d %s", w.Code, w.Body)
	}
	if w := d.call("POST", "/api/backups", one[:len(one)-1]+`,"reason":"x"}`); w.Code != 409 || !strings.Contains(w.Body.String(), "RequestIdReused") {
		t.Errorf("another over HTTP: %d %s", w.Code, w.Body)
	}
	if n := len(d.queue.Messages("execute")); n != 1 {
		t.Errorf("%d runs", n)
	}
}

// TestBackupAnswers checks that the end of each backup goes to the queue of the request too, and what the answers say.
func TestBackupAnswers(t *testing.T) {
	d, _ := ordering(t)
	d.send("backup", []byte(`{"id":"i","plan":"nightly","replyTo":"answers","requestedBy":"me","reason":"why"}`))
	d.step(t) // there is no provider here: each step ends its run
	if got := d.answers(t, "answers"); got != "backup.accepted i, run.failed i" || len(d.queue.Messages("answers")) != 4 {
		t.Errorf("answered %s by %d messages", got, len(d.queue.Messages("answers")))
	}
	var e struct {
		Subject string
		Data    struct {
			Request, Plan, Batch, RequestedBy, RequestReason string
			Runs                                             []string
		}
	}
	if err := json.Unmarshal(d.queue.Messages("answers")[0].Body, &e); err != nil {
		t.Fatal(err)
	}
	if e.Data.Plan != "nightly" || len(e.Data.Batch) != 32 || len(e.Data.Runs) != 3 || e.Data.RequestedBy != "me" || e.Data.RequestReason != "why" {
		t.Errorf("%+v", e)
	}
}

// TestBackupRefusedForGood checks that a request by a message stays refused when the plan allows it later, and that over HTTP it
// may then be made.
func TestBackupRefusedForGood(t *testing.T) {
	d, plans := ordering(t)
	text := `{"id":"i","target":"` + target + `-x","plan":"nightly","replyTo":"answers"}`
	if w := d.call("POST", "/api/backups", strings.Replace(text, `"i"`, `"h"`, 1)); w.Code != 400 || !strings.Contains(w.Body.String(), "UnknownTarget") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	d.send("backup", []byte(text))
	plans[0].Targets = append(plans[0].Targets, target+"-x") // the app has this very slice, so the edit has an effect at once
	d.send("backup", []byte(text))
	if got := d.answers(t, "answers"); got != "backup.refused i" {
		t.Errorf("answered %s", got)
	}
	if w := d.call("POST", "/api/backups", text); w.Code != 400 || !strings.Contains(w.Body.String(), "UnknownTarget") {
		t.Errorf("the refused request over HTTP: %d %s", w.Code, w.Body)
	}
	if w := d.call("GET", "/api/batches/i", ""); w.Code != 404 || !strings.Contains(w.Body.String(), "there is no batch i: the request was refused: UnknownTarget") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := d.call("POST", "/api/backups", strings.Replace(text, `"i"`, `"h"`, 1)); w.Code != 202 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestBackupGivenUp checks that a request that the host gives up is tried again for an hour, and is then refused for good, unless
// it was accepted before.
func TestBackupGivenUp(t *testing.T) {
	text := []byte(`{"id":"i","target":"` + target + `-a","replyTo":"answers"}`)
	d, _ := ordering(t)
	good := d.plans
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("the table does not answer") }
	message, waited := text, time.Duration(0)
	for round := range 3 {
		if w := d.send("backup", message); w.Code != 500 {
			t.Fatalf("round %d: %d %s", round, w.Code, w.Body)
		}
		if w := d.send("deadletter-backup", message); w.Code != 200 {
			t.Fatalf("round %d: %d %s", round, w.Code, w.Body)
		}
		messages := d.queue.Messages("backup-requests")
		last := messages[len(messages)-1]
		message, waited = last.Body, waited+time.Until(last.Visible)
	}
	if waited < time.Hour-time.Minute || waited > time.Hour || len(d.rows(t, "deadletter")) > 0 {
		t.Errorf("it was put off for %s", waited)
	}
	d.plans = good
	if w := d.send("deadletter-backup", message); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.send("backup", text) // a late delivery
	if got := d.answers(t, "answers"); got != "backup.refused i" || len(d.rows(t, "deadletter")) != 1 || len(d.queue.Messages("execute")) > 0 {
		t.Errorf("answered %s", got)
	}
	accepted, _ := ordering(t)
	accepted.send("backup", text)
	accepted.send("deadletter-backup", message)
	if got := accepted.answers(t, "answers"); got != "backup.accepted i" || len(accepted.queue.Messages("execute")) != 1 {
		t.Errorf("a request that was accepted is answered %s", got)
	}
	unread, _ := ordering(t)
	unread.send("deadletter-backup", []byte(`{"id":"i","plan":"nightly","replyTo":"answers","x":1}`))
	if got := unread.answers(t, "answers"); got != "backup.refused i" {
		t.Errorf("a request that cannot be read is answered %s", got)
	}
}

// TestRequestsByTheirIDs checks that each call takes the ID of a request for the ID of its run, batch or restore.
func TestRequestsByTheirIDs(t *testing.T) {
	d, _, point := restoreHandler(t, false)
	const id, restoreID = "deploy 4711/é", "incident/1"
	one := read(t, d.call("POST", "/api/backups", `{"id":"`+id+`","target":"`+target+`"}`))
	all := read(t, d.call("POST", "/api/backups", `{"id":"0123456789abcdef0123456789abcdef","plan":"nightly"}`))
	restore := read(t, d.call("POST", "/api/restores", strings.Replace(orderText, `"i"`, `"`+restoreID+`"`, 1)))
	escaped := url.PathEscape(id)
	twice := strings.ReplaceAll(escaped, "%2F", "%252F") // as the host passes it on
	for _, c := range []struct {
		method, path string
		status       int
		id           string // in the answer
	}{
		{"GET", "/api/runs/" + escaped, 202, one.ID},
		{"GET", "/api/runs/" + twice, 202, one.ID},
		{"GET", "/api/runs/" + url.PathEscape(restoreID), 202, restore.ID},
		{"GET", "/api/runs/0123456789abcdef0123456789abcdef", 202, all.ID},
		{"GET", "/api/batches/" + escaped, 202, ""},
		{"GET", "/api/batches/" + twice, 202, ""},
		{"GET", "/api/batches/0123456789abcdef0123456789abcdef", 202, all.ID},
		{"GET", "/api/batches/" + all.ID, 202, all.ID},
		{"GET", "/api/restores/" + url.PathEscape(restoreID), 202, restore.ID},
		{"GET", "/api/restores/" + escaped, 404, ""},
		{"GET", "/api/recovery-points/" + escaped, 404, ""},
		{"POST", "/api/restores/" + url.PathEscape(restoreID) + "/confirm", 409, ""},
		{"POST", "/api/restores/" + url.PathEscape(restoreID) + "/cancel", 200, restore.ID},
		{"GET", "/api/runs/deploy", 404, ""},
		{"GET", "/api/recovery-points/" + point, 200, point},
	} {
		w := d.call(c.method, c.path, "")
		if got := read(t, w).ID; w.Code != c.status || c.id != "" && got != c.id && got != d.batchRun(t, c.id) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if where := w.Header().Get("Location"); where != "" && strings.ContainsAny(where, " é%") {
			t.Errorf("%s: the operation is at %s", c.path, where)
		}
	}
	several, _ := fleetHandler(t)
	several.askAll(t, "three")
	if w := several.call("GET", "/api/runs/three", ""); w.Code != 404 || !strings.Contains(w.Body.String(), "there is no run three: the request asked for 3 backups, as the batch ") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// batchRun is the ID of the only run of the batch, "" if there is no such batch.
func (d *app) batchRun(t *testing.T, id string) string {
	t.Helper()
	var b struct{ Runs []struct{ ID string } }
	if err := json.Unmarshal(d.call("GET", "/api/batches/"+id, "").Body.Bytes(), &b); err != nil || len(b.Runs) != 1 {
		return ""
	}
	return b.Runs[0].ID
}

// TestChangeMessage checks that Event Grid's events about a service are noted for the plans that want that, and that others are
// ignored, and say so in the log.
func TestChangeMessage(t *testing.T) {
	d, plans := ordering(t)
	event := `{"id":"e","topic":"` + target + `-a","subject":"/apis/orders","eventType":"Microsoft.ApiManagement.APIUpdated",` +
		`"eventTime":"2026-01-31T02:30:00Z","data":{"resourceUri":"` + target + `-a/apis/orders"},"dataVersion":"1","metadataVersion":"1"}`
	for _, function := range []string{"backup", "deadletter-backup"} {
		if w := d.send(function, []byte(base64.StdEncoding.EncodeToString([]byte(event)))); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	lines := d.lines(t)
	wants(t, lines[0], map[string]any{
		"level": "info", "change": "Microsoft.ApiManagement.APIUpdated", "target": target + "-a", "note": "ignored: no plan with onChange has the target",
	})
	wants(t, lines[1], map[string]any{"note": "put off: it is tried again later"})
	d.send("backup", []byte(strings.Replace(event, "APIUpdated", "CircuitBreaker.Opened", 1)))
	wants(t, d.lastLine(t), map[string]any{"level": "info", "note": "ignored: the event tells of no change of a service that a backup has"})
	if len(d.rows(t, "deadletter")) != 0 || len(d.queue.Events()) != 0 {
		t.Errorf("an event of another kind is a dead letter: %v, %v", d.rows(t, "deadletter"), d.queue.Events())
	}
	plans[0].Quiet = 10 * time.Minute
	d.send("backup", []byte(event))
	d.send("backup", []byte("["+event+"]"))
	for _, m := range d.queue.Receive("backup-requests", 32, time.Hour) {
		d.send("backup", m.Body)
	}
	if line := d.lastLine(t); line["plan"] != "nightly" || line["note"] != nil || len(d.rows(t, "changes-")) != 1 || len(d.rows(t, "deadletter")) != 0 {
		t.Errorf("logs %v, rows %v", line, d.rows(t, "changes-"))
	}
	d.call("POST", "/schedule", envelope(t, "timer.json"))
	if got := d.queue.Messages("execute"); len(got) != 1 {
		t.Errorf("%d step messages", len(got))
	}
}
