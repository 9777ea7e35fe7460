package handler

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"lifeboat/internal/backup"
)

const standby = target + "-standby"

// restoring is a service that restores at once, or as the test sets it.
type restoring struct {
	backup.Provider
	backup.Restorer
	can   func() error
	begin func() (backup.Operation, error)
	poll  func() (backup.Operation, error)
}

func (r *restoring) PollRestore(context.Context, backup.Restore, string) (backup.Operation, error) {
	if r.poll == nil {
		return backup.Operation{Done: true}, nil
	}
	return r.poll()
}

func (r *restoring) Preflight(context.Context, backup.Attempt) error { return nil }

func (r *restoring) Prepare(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *restoring) Begin(context.Context, backup.Attempt) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *restoring) Hash(context.Context, backup.Attempt, backup.Hashing) (backup.Verification, error) {
	return backup.Verification{Done: true, Size: 7, SHA256: "c0de", Modified: time.Now()}, nil
}

func (r *restoring) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *restoring) Delete(context.Context, backup.Attempt, string, bool) error { return nil }

func (r *restoring) PreflightRestore(context.Context, backup.Restore) error {
	if r.can == nil {
		return nil
	}
	return r.can()
}

func (r *restoring) PrepareRestore(context.Context, backup.Restore, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (r *restoring) BeginRestore(context.Context, backup.Restore) (backup.Operation, error) {
	if r.begin == nil {
		return backup.Operation{Done: true}, nil
	}
	return r.begin()
}

// restoreHandler returns the handler over a target with one recovery point, of seven bytes, and the point's ID. Its plan allows
// the target to be restored into itself and the standby, with a safety backup or without.
func restoreHandler(t *testing.T, safety bool, changes ...func(*Config)) (*app, *restoring, string) {
	t.Helper()
	service := &restoring{}
	d := newApp(func(c *Config) {
		c.Engine.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": service}
		for _, change := range changes {
			change(c)
		}
	})
	plans := d.plans
	d.plans = func() ([]backup.Plan, error) {
		all, err := plans()
		policy := map[bool]backup.SafetyPolicy{true: backup.SafetyRequired, false: backup.SafetyNever}[safety]
		all[0].Restore = backup.RestorePolicy{Into: []string{backup.Itself, standby}, ReplyTo: []string{"answers"}, Safety: policy}
		return all, err
	}
	const row = "8000000000-000000000000"
	w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`)
	var run struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.drop()
	id := run.ID[:17] + row
	body, err := json.Marshal(backup.Point{
		ID: id, State: backup.Live, Target: target, Plan: "nightly", Size: 7, SHA256: "c0de", Artifact: "a",
		Created: time.Now().Add(-3 * time.Hour).UTC().Truncate(time.Second), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: id[:16], Row: "point-" + row}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	d.log.Reset()
	return d, service, id
}

// drop removes the messages from the queue of step messages.
func (d *app) drop() { d.queue.Receive("execute", 32, 7*24*time.Hour) }

// step delivers the step messages in the queue.
func (d *app) step(t *testing.T) {
	t.Helper()
	for _, m := range d.queue.Receive("execute", 32, 7*24*time.Hour) {
		if w := d.send("execute", m.Body); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// send delivers a queue message as the host does.
func (d *app) send(function string, message []byte) *httptest.ResponseRecorder {
	text, err := json.Marshal(map[string]any{"Data": map[string][]byte{"message": message}, "Metadata": map[string]string{}})
	if err != nil {
		panic(err) // only text
	}
	return d.call("POST", "/"+function, string(text))
}

// giveUp acts as the host, and gives a message up each time that it is delivered. It returns how often it was put off.
func (d *app) giveUp(t *testing.T, message []byte) (rounds int) {
	t.Helper()
	for before := len(d.queue.Messages("restore-requests")); ; rounds++ {
		if w := d.send("deadletter-restore", message); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		messages := d.queue.Messages("restore-requests")
		if len(messages) == before+rounds {
			return rounds
		}
		message = messages[len(messages)-1].Body
	}
}

// told returns the events since its last call, and their data.
func (d *app) told(t *testing.T) (types []string, data []map[string]any) {
	t.Helper()
	for _, m := range d.queue.Receive("lifeboat-events", 32, 7*24*time.Hour) {
		var e struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(m.Body, &e); err != nil {
			t.Fatalf("%s: %v", m.Body, err)
		}
		types, data = append(types, strings.TrimPrefix(e.Type, "lifeboat.")), append(data, e.Data)
	}
	return types, data
}

// answered is a body of the API, as far as these tests read it.
type answered struct {
	ID, State, Kind, RequestID, Hash string
	Destination                      string
	Restore                          struct{ RecoveryPoint, RequestedBy, Reason string }
	Guards                           []struct{ Name, Outcome string }
	Error                            struct {
		Code, Message, Target string
		Details               []struct{ Code, Message string }
	}
}

func read(t *testing.T, w *httptest.ResponseRecorder) answered {
	t.Helper()
	var v answered
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

const orderText = `{"id":"i","target":"` + target + `","recoveryPoint":"latest"}`

// utf16le returns the text as PowerShell's [Text.Encoding]::Unicode encodes it.
func utf16le(text string) (encoded []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		encoded = append(encoded, byte(unit), byte(unit>>8))
	}
	return encoded
}

// TestRestoreMessage checks that a message, in any encoding, becomes a run once, and that any other message is kept and answered,
// and never delivered again.
func TestRestoreMessage(t *testing.T) {
	answered := orderText[:len(orderText)-1] + `,"replyTo":"answers"}`
	const noObject = "it is not a JSON object: send one in UTF-8 or UTF-16, as it is or in base64, or as the data of a CloudEvent"
	const noUTF8 = "the request is not text in UTF-8: encode it so, or leave out all letters beyond ASCII"
	gridEvent := `{"id":"i","topic":"/subscriptions/s/topic","subject":"s","eventType":"t","eventTime":"2026-01-31T02:30:00.1234567Z",` +
		`"data":{"target":"` + target + `","recoveryPoint":"latest","replyTo":"answers"},"dataVersion":"1","metadataVersion":"1"}`
	event := `{"specversion":"1.0","id":"i","source":"/sentinel","type":"t","data":{"target":"` + target + `","recoveryPoint":"latest"}}`
	for _, test := range []struct {
		name, text, queue string // queue of answers
		told, note        string
		state             string // the run's, "" if there is none
		code              string // in the last event's reason
	}{
		{"plain", orderText, "", "restore.accepted", "", "queued", ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte(orderText)), "", "restore.accepted", "", "queued", ""},
		{"a CloudEvent", event, "", "restore.accepted", "", "queued", ""},
		{"with answers", answered, "answers", "restore.accepted", "", "queued", ""},
		{"a byte order mark", mark + answered, "answers", "restore.accepted", "", "queued", ""},
		{"one in base64", base64.StdEncoding.EncodeToString([]byte(mark + answered)), "answers", "restore.accepted", "", "queued", ""},
		{"one before base64", mark + base64.StdEncoding.EncodeToString([]byte(mark+answered)), "answers", "restore.accepted", "", "queued", ""},
		{
			"one in the data of a CloudEvent", `{"specversion":"1.0","id":"e","source":"s","data_base64":"` +
				base64.StdEncoding.EncodeToString([]byte(mark+answered)) + `"}`, "answers", "restore.accepted", "", "queued", "",
		},
		{"UTF-16 in base64", base64.StdEncoding.EncodeToString(utf16le("\ufeff" + answered)), "answers", "restore.accepted", "", "queued", ""},
		{
			"torn UTF-16", base64.StdEncoding.EncodeToString(utf16le("\ufeff" + answered)[1:]), "", "message.deadlettered restore.refused",
			noObject, "", "InvalidRequest",
		},
		{"base64 for URLs", base64.RawURLEncoding.EncodeToString([]byte(answered)), "answers", "restore.accepted", "", "queued", ""},
		{"Event Grid's schema", gridEvent, "answers", "restore.accepted", "", "queued", ""},
		{
			"Latin-1", answered[:len(answered)-1] + ",\"reason\":\"\xfc\"}", "answers", "message.deadlettered restore.refused", noUTF8, "",
			"InvalidRequest",
		},
		{
			"a name twice", `{"id":"i",` + answered[1:], "answers", "message.deadlettered restore.refused",
			`the field "id" stands there twice`, "", "InvalidRequest",
		},
		{
			"more behind it", answered + answered, "answers", "message.deadlettered restore.refused",
			"there is more behind the JSON object", "", "InvalidRequest",
		},
		{
			"an event of another version", strings.Replace(event[:len(event)-2], "1.0", "0.3", 1) + `,"replyTo":"answers"}}`, "answers",
			"message.deadlettered restore.refused", `"specversion": "0.3" is not the version 1.0 of CloudEvents`, "", "InvalidRequest",
		},
		{
			"text in quotes in an event", strings.Replace(event, `{"target"`, `"{`, 1)[:strings.Index(event, `{"target"`)+1] + `}"}`, "",
			"message.deadlettered restore.refused", `"data": it is JSON text in quotes: send the JSON object itself`, "", "InvalidRequest",
		},
		{"refused", strings.Replace(orderText, target, target+"-other", 1), "", "restore.refused", "", "refused", "UnknownTarget"},
		{"answers elsewhere", orderText[:len(orderText)-1] + `,"replyTo":"elsewhere"}`, "", "restore.refused", "", "refused", "ReplyToNotAllowed"},
		{"a dry run", orderText[:len(orderText)-1] + `,"dryRun":true,"replyTo":"answers"}`, "answers", "restore.previewed", "dry run", "", ""},
		{"no JSON", "restore it, please", "", "message.deadlettered restore.refused", noObject, "", "InvalidRequest"},
		{"nothing", "", "", "message.deadlettered restore.refused", noObject, "", "InvalidRequest"},
		{
			"a mistake", strings.Replace(orderText, "target", "Target", 1), "", "message.deadlettered restore.refused",
			`"Target": the field is not known`, "", "InvalidRequest",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _, _ := restoreHandler(t, false)
			for range 2 {
				if w := d.send("restore", []byte(test.text)); w.Code != 200 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			lines := d.lines(t)
			last := lines[len(lines)-1]
			if last["function"] != "restore" || fmt.Sprint(last["to"]) != cmp.Or(test.state, "<nil>") || last["note"] != nil && last["note"] != test.note {
				t.Errorf("logs %v", last)
			}
			if runs := d.rows(t, "run-"); test.state == "" && len(runs) > 0 || test.state != "" && len(runs) != 1 {
				t.Errorf("%d runs: %s", len(runs), runs)
			}
			dead := strings.Contains(test.told, "dead")
			if letters := d.rows(t, "deadletter"); dead != (len(letters) == 1) || dead && !strings.Contains(letters[0], test.code+": ") {
				t.Errorf("dead letters: %s", letters)
			}
			types, data := d.told(t)
			if got := strings.Join(types, " "); got != test.told && got != test.told+" "+test.told { // a repeat publishes the same again
				t.Fatalf("told %s, want %s", got, test.told)
			}
			final := data[len(data)-1]
			reason, _ := final["reason"].(map[string]any)
			if (test.code != "") != (reason != nil) || reason != nil && (reason["code"] != test.code || reason["message"] == "") ||
				!dead && final["request"] != "i" {
				t.Errorf("told %v", final)
			}
			if test.queue == "" {
				test.queue = "elsewhere"
				types = nil
			}
			types = slices.DeleteFunc(types, func(kind string) bool { return !strings.HasPrefix(kind, "restore.") })
			if n := len(d.queue.Messages(test.queue)); n != len(types) {
				t.Errorf("%d answers in %s, of %d", n, test.queue, len(types))
			}
		})
	}
}

// TestRestoreBatch checks that each request of an array is one by itself, however often the array comes: it is read, or refused
// with an answer. An array that is no batch is refused as a whole.
func TestRestoreBatch(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	one := orderText[:len(orderText)-1] + `,"replyTo":"answers"}`
	batch := "[" + one + ",\n" + strings.NewReplacer(`"i"`, `"j"`, "latest", "Latest").Replace(one) + `,{"eventType":"t","data":1}]`
	for _, function := range []string{"restore", "deadletter-restore"} {
		if w := d.send(function, []byte(batch)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		wants(t, d.lastLine(t), map[string]any{"queue": "restore-requests", "note": "a batch of 3: each is sent as a message of its own"})
	}
	messages := d.queue.Receive("restore-requests", 32, time.Hour)
	if len(messages) != 6 {
		t.Fatalf("%d messages of two times three requests", len(messages))
	}
	for _, m := range messages {
		if w := d.send("restore", m.Body); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if runs, letters := d.rows(t, "run-"), d.rows(t, "deadletter"); len(runs) != 1 || len(letters) != 2 {
		t.Errorf("%d runs, dead letters: %s", len(runs), letters)
	}
	var answers []string
	for _, m := range d.queue.Messages("answers") {
		var e struct {
			Type string
			Data struct{ Request string }
		}
		if err := json.Unmarshal(m.Body, &e); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, e.Data.Request+" "+e.Type)
	}
	slices.Sort(answers)
	if got := strings.Join(slices.Compact(answers), ", "); got != "i lifeboat.restore.accepted, j lifeboat.restore.refused" {
		t.Errorf("answered %s", got)
	}
	for name, text := range map[string]string{
		"empty": "[]", "not of objects": "[" + one + ",1]", "too many": "[{}" + strings.Repeat(",{}", 500) + "]",
		"one too long": `[{"id":"` + strings.Repeat("x", 40_000) + `"}]`, "torn": "[" + one,
	} {
		d, _, _ := restoreHandler(t, false)
		if w := d.send("restore", []byte(text)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		note := fmt.Sprint(d.lastLine(t)["note"])
		if types, _ := d.told(t); strings.Join(types, " ") != "message.deadlettered restore.refused" || !strings.HasPrefix(note, "it is a JSON array: send one request") {
			t.Errorf("%s: told %s: %s", name, types, note)
		}
	}
}

// TestRestoreEventInHeaders checks that a CloudEvent over HTTP may have its attributes in headers, and the request as its body.
func TestRestoreEventInHeaders(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	noID := `{"target":"` + target + `","recoveryPoint":"latest"}`
	headers := []string{
		"ce-specversion", "1.0", "ce-id", "incident%204711", "ce-source", "/sentinel", "ce-type", "t", "Repeatability-Request-ID", "another",
	}
	v := read(t, d.call("POST", "/api/restores", noID, headers...))
	if v.RequestID != "incident 4711" || v.Restore.RequestedBy != "/sentinel" || v.State != "queued" {
		t.Errorf("%+v", v)
	}
	if again := read(t, d.call("POST", "/api/restores", noID, headers...)); again.ID != v.ID {
		t.Errorf("a repeat is %s, and was %s", again.ID, v.ID)
	}
	for _, c := range []struct{ name, body, header, value, field, message string }{
		{"no version", noID, "ce-specversion", "", "specversion", `"" is not the version 1.0 of CloudEvents`},
		{"no ID", noID, "ce-id", "", "", "a CloudEvent has an id and a source"},
		{"a body with an attribute", noID[:len(noID)-1] + `},"id":"j"}`, "ce-id", "k", "data", "there is more behind the JSON object"},
	} {
		w := d.call("POST", "/api/restores", c.body, append(slices.Clone(headers), c.header, c.value)...)
		if v := read(t, w); w.Code != 400 || v.Error.Code != "InvalidRequest" || v.Error.Target != c.field || v.Error.Message != c.message {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// rows returns the bodies of the catalog's rows whose partition or row begins so: only of runs that restore, or all.
func (d *app) rows(t *testing.T, begin string) []string {
	t.Helper()
	var bodies []string
	for _, row := range d.catalog.Rows() {
		restores := begin != "run-" || strings.Contains(string(row.Body), `"Restore":`)
		if (strings.HasPrefix(row.Partition, begin) || strings.HasPrefix(row.Row, begin)) && restores {
			bodies = append(bodies, string(row.Body))
		}
	}
	return bodies
}

// TestRestoreRequestReused checks that the ID of another request is refused, whichever way it comes, and that a dry run does not
// use an ID up.
func TestRestoreRequestReused(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	other := strings.Replace(orderText, `"latest"`, `"latest","into":"`+standby+`"`, 1)
	for _, text := range []string{other[:len(other)-1] + `,"dryRun":true}`, orderText, other} {
		if w := d.send("restore", []byte(text)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	types, data := d.told(t)
	if got := strings.Join(types, " "); got != "restore.previewed restore.accepted message.deadlettered restore.refused" ||
		!strings.Contains(fmt.Sprint(data[3]), "RequestIdReused") || data[3]["target"] != standby || data[3]["source"] != target {
		t.Errorf("told %s: %v", got, data)
	}
	w := d.call("POST", "/api/restores", other[:len(other)-1]+`,"dryRun":true}`)
	if v := read(t, w); w.Code != 200 || v.Guards[len(v.Guards)-1].Outcome != "refused" || !strings.Contains(w.Body.String(), "RequestIdReused") {
		t.Errorf("a dry run: %d %s", w.Code, w.Body)
	}
	if w := d.call("POST", "/api/restores", other); w.Code != 409 || read(t, w).Error.Code != "RequestIdReused" || read(t, w).Error.Target != "id" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestRestoreRefusalIsAnswered checks that a request that is refused before it is a run gets an answer, on a queue that a plan
// of the target allows; without a plan the answer still goes to lifeboat-events.
func TestRestoreRefusalIsAnswered(t *testing.T) {
	reused := orderText[:len(orderText)-1] + `,"reason":"another","replyTo":"QUEUE"}`
	for text, code := range map[string]string{
		reused: "RequestIdReused", strings.Replace(reused, "latest", "Latest", 1): "InvalidRequest",
	} {
		d, _, _ := restoreHandler(t, false)
		for _, message := range []string{
			orderText, strings.Replace(text, "QUEUE", "elsewhere", 1), strings.Replace(text, "QUEUE", "answers", 1),
		} {
			if w := d.send("restore", []byte(message)); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		answers := d.queue.Messages("answers")
		if len(answers) != 1 || !strings.Contains(string(answers[0].Body), code) || len(d.queue.Messages("elsewhere")) != 0 {
			t.Errorf("%s: answered %v", code, answers)
		}
	}
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	if w := d.send("restore", []byte("restore it")); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if types, _ := d.told(t); strings.Join(types, " ") != "message.deadlettered restore.refused" {
		t.Errorf("told %s", types)
	}
}

// TestRestoreMessageIsOld checks that the age of a message counts from when it was sent, also if the app was down meanwhile.
func TestRestoreMessageIsOld(t *testing.T) {
	for age, want := range map[time.Duration]string{23 * time.Hour: "queued", 24 * time.Hour: "refused", -time.Hour: "queued"} {
		d, _, _ := restoreHandler(t, false)
		sent := time.Now().Add(-age).UTC().Truncate(time.Second)
		d.call("POST", "/restore", fmt.Sprintf(`{"Data":{"message":%q},"Metadata":{"InsertionTime":%q}}`, orderText, sent.Format(time.RFC3339)))
		var run struct {
			State   string
			Reason  backup.Reason
			Restore struct{ Expires time.Time }
		}
		if err := json.Unmarshal([]byte(d.rows(t, "run-")[0]), &run); err != nil {
			t.Fatal(err)
		}
		left := run.Restore.Expires.Sub(sent.Add(24 * time.Hour))
		if run.State != want || (want == "refused") != (run.Reason.Code == "RequestExpired") || age > 0 && left != 0 || age < 0 && left > -59*time.Minute {
			t.Errorf("sent %s ago: %+v", age, run)
		}
	}
}

// TestDryRunIsToldAnew checks that a repeated dry run is the same event as long as the guards say the same.
func TestDryRunIsToldAnew(t *testing.T) {
	d, service, _ := restoreHandler(t, false)
	var ids []string
	for i := range 4 {
		if i == 2 {
			service.can = func() error { return &backup.Fault{Kind: backup.Refused, Code: "SkuMismatch", Message: "another tier"} }
		}
		d.send("restore", []byte(orderText[:len(orderText)-1]+`,"dryRun":true}`))
		messages := d.queue.Messages("lifeboat-events")
		var e struct{ ID string }
		if err := json.Unmarshal(messages[len(messages)-1].Body, &e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	if ids[0] != ids[1] || ids[1] == ids[2] || ids[2] != ids[3] {
		t.Errorf("the events are %q", ids)
	}
}

// mute is a queue whose queues for answers take nothing.
type mute struct{ backup.Queue }

func (q mute) Publish(ctx context.Context, e backup.Event) error {
	if e.To != "" {
		return fmt.Errorf("send to queue %s: answer 403", e.To)
	}
	return q.Queue.Publish(ctx, e)
}

// TestRestoreWithoutReplies checks that the restore goes on if a queue for answers takes none, and that lifeboat-events gets each
// event once.
func TestRestoreWithoutReplies(t *testing.T) {
	d, _, _ := restoreHandler(t, false, func(c *Config) { c.Engine.Queue = mute{c.Engine.Queue} })
	for _, text := range []string{orderText, strings.Replace(orderText, `"i"`, `"j","dryRun":true`, 1)} {
		if w := d.send("restore", []byte(text[:len(text)-1]+`,"replyTo":"answers"}`)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	d.step(t)
	types, _ := d.told(t)
	if got := strings.Join(types, " "); got != "restore.accepted restore.previewed restore.started restore.succeeded" {
		t.Errorf("told %s", got)
	}
	sent, refused := map[any]bool{}, map[any]bool{}
	for _, line := range d.lines(t) {
		switch {
		case line["event"] == nil:
		case line["queue"] == nil && line["level"] == "info" && line["error"] == nil:
			sent[line["event"]] = true
		case line["queue"] == "answers" && line["level"] == "warn" && line["error"] != nil: // its owner must act
			refused[line["event"]] = true
		default:
			t.Errorf("%v", line)
		}
	}
	// Later answers wait behind the first.
	if len(sent) != 4 || len(refused) != 2 || !refused["lifeboat.restore.accepted"] || !refused["lifeboat.restore.previewed"] {
		t.Errorf("sent %v, refused %v", sent, refused)
	}
}

// TestRestoreMessageWaits checks that the message comes again if storage or the plan cannot be read, and that it is kept and
// answered in the end.
func TestRestoreMessageWaits(t *testing.T) {
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	if w := d.send("restore", []byte(orderText)); w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if rounds := d.giveUp(t, []byte(orderText)); rounds != 3 {
		t.Errorf("put off %d times", rounds)
	}
	if letters := d.rows(t, "deadletter"); len(letters) != 1 || !strings.Contains(letters[0], `"restore-requests-poison"`) {
		t.Errorf("dead letters: %s", letters)
	}
	types, data := d.told(t)
	if strings.Join(types, " ") != "message.deadlettered restore.refused" || !strings.Contains(fmt.Sprint(data[1]), "RequestGivenUp") {
		t.Errorf("told %s %v", types, data)
	}
}

// TestRestoreRequestGivenUp checks that a message that the host gave up is answered, on the queue of the request too. If it
// became a run, the run goes on; if not, it never becomes one.
func TestRestoreRequestGivenUp(t *testing.T) {
	with := func(more string) string { return orderText[:len(orderText)-1] + more + `,"replyTo":"answers"}` }
	for _, test := range []struct{ name, before, text, told, code, after string }{
		{"nothing was made", "", with(""), "restore.refused", "RequestGivenUp", "refused"},
		{"it is a run", with(""), with(""), "", "", "queued"},
		{"its ID is taken", orderText, with(`,"reason":"another"`), "restore.refused", "RequestIdReused", ""},
		{"a dry run", "", with(`,"dryRun":true`), "restore.refused", "RequestGivenUp", "previewed"},
		{"it cannot be read", "", with(`,"x":1`), "restore.refused", "InvalidRequest", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _, _ := restoreHandler(t, false)
			if test.before != "" {
				d.send("restore", []byte(test.before))
				d.told(t)
				d.queue.Receive("answers", 32, time.Hour)
			}
			for range 2 {
				d.giveUp(t, []byte(test.text))
			}
			if letters := d.rows(t, "deadletter"); len(letters) != 1 {
				t.Errorf("%d dead letters: %s", len(letters), letters)
			}
			types, data := d.told(t)
			answers := d.queue.Receive("answers", 32, time.Hour)
			told, final := "", map[string]any{}
			for i, word := range types {
				if word != "message.deadlettered" {
					told, final = word, data[i]
				}
			}
			if told != test.told || !strings.Contains(fmt.Sprint(final), test.code) || (len(answers) > 0) != (told != "") {
				t.Errorf("told %s %v, %d answers", types, data, len(answers))
			}
			if test.after == "" {
				return
			}
			d.lines(t)
			d.send("restore", []byte(test.text))
			if lines := d.lines(t); test.after == "previewed" && lines[len(lines)-1]["note"] != "dry run" ||
				test.after != "previewed" && lines[len(lines)-1]["to"] != test.after {
				t.Errorf("sent again: %v", lines)
			}
		})
	}
}

// TestPostRestore checks for a 202 with the address of the operation, a 409 in the words of the guard, and a 200 for a dry run;
// the same request is the same restore.
func TestPostRestore(t *testing.T) {
	const noID = `{"target":"` + target + `","recoveryPoint":"latest","requestedBy":"me","reason":"a test"}`
	d, _, point := restoreHandler(t, false)
	first := d.call("POST", "/api/restores", orderText, "Repeatability-Request-ID", "not this one")
	v := read(t, first)
	operation := first.Header().Get("Operation-Location")
	if first.Code != 202 || operation != "http://127.0.0.1:8080/api/restores/"+v.ID || operation != first.Header().Get("Location") ||
		first.Header().Get("Retry-After") == "" || v.Kind != "restore" || v.RequestID != "i" || v.Restore.RecoveryPoint != point {
		t.Fatalf("%d %v %s", first.Code, first.Header(), first.Body)
	}
	if again := read(t, d.call("POST", "/api/restores", orderText)); again.ID != v.ID {
		t.Errorf("a repeat is another restore: %+v", again)
	}
	ids := map[string]string{}
	for _, header := range [][]string{
		{"Repeatability-Request-ID", "of the header"}, {invocationHeader, "invocation-2"}, {invocationHeader, ""},
	} {
		w := d.call("POST", "/api/restores", noID, header...)
		again := d.call("POST", "/api/restores", noID, header...)
		a, b := read(t, w), read(t, again)
		if w.Code != 202 || (a.ID == b.ID) != (header[1] != "") || a.Restore.RequestedBy != "me" || a.Restore.Reason != "a test" {
			t.Errorf("%v: %d %+v, then %+v", header, w.Code, a, b)
		}
		ids[header[1]] = a.RequestID
	}
	if ids["of the header"] != "of the header" || ids["invocation-2"] != "invocation invocation-2" || !strings.HasPrefix(ids[""], "invocation id") {
		t.Errorf("the IDs are %v", ids)
	}

	refusedText := strings.Replace(strings.Replace(orderText, `"i"`, `"r"`, 1), `"latest"`, `"latest","into":"`+standby+`2"`, 1)
	for range 2 {
		w := d.call("POST", "/api/restores", refusedText)
		v = read(t, w)
		if w.Code != 409 || v.Error.Code != "DestinationNotAllowed" || v.Error.Message == "" || len(v.Error.Details) != 1 ||
			!strings.HasPrefix(w.Header().Get("Location"), "http://127.0.0.1:8080/api/restores/") {
			t.Errorf("refused: %d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	d.lines(t)
	event := `{"specversion":"1.0","id":"e","source":"/sentinel","type":"t","data":` + noID + `}`
	if w := d.call("POST", "/api/restores", event, "Content-Type", "application/cloudevents+json; charset=utf-8"); w.Code != 202 ||
		read(t, w).RequestID != "e" {
		t.Errorf("a CloudEvent: %d %s", w.Code, w.Body)
	}
	d.lines(t)
	w := d.call("POST", "/api/restores", refusedText[:len(refusedText)-1]+`,"dryRun":true}`)
	v = read(t, w)
	if w.Code != 200 || len(v.Hash) != 64 || len(v.Guards) == 0 || v.Guards[len(v.Guards)-1].Outcome != "refused" || v.Destination != standby+"2" {
		t.Errorf("a dry run: %d %s", w.Code, w.Body)
	}
	if lines := d.lines(t); len(lines) != 1 || lines[0]["status"] != float64(200) {
		t.Errorf("a dry run is told to nobody else: %v", lines)
	}
	for _, c := range []struct {
		name, body, media string
		status            int
		code, target      string
	}{
		{"a mistake", strings.Replace(orderText, "latest", "Latest", 1), "", 400, "InvalidRequest", "recoveryPoint"},
		{"no object", "[]", "", 400, "InvalidRequest", ""},
		{"twice", strings.Replace(orderText, `{`, `{"id":"j",`, 1), "", 400, "InvalidRequest", ""},
		{"empty", " ", "", 400, "InvalidBody", ""},
		{"too long", orderText + strings.Repeat(" ", 64<<10), "", 413, "RequestBodyTooLarge", ""},
		{"no JSON", orderText, "text/plain", 415, "UnsupportedMediaType", "Content-Type"},
	} {
		w := d.call("POST", "/api/restores", c.body, "Content-Type", cmp.Or(c.media, "application/json"))
		if v := read(t, w); w.Code != c.status || v.Error.Code != c.code || v.Error.Target != c.target {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
	if w := d.call("POST", "/api/restores", noID, "Repeatability-Request-ID", strings.Repeat("x", 129)); w.Code != 400 ||
		read(t, w).Error.Target != "id" {
		t.Errorf("a long ID: %d %s", w.Code, w.Body)
	}
	if w := d.call("GET", "/api/restores", ""); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	fresh := newApp(nil)
	fresh.plans = d.plans
	if w := fresh.call("POST", "/api/restores", orderText); w.Code != 503 || read(t, w).Error.Code != "PlanInvalid" {
		t.Errorf("without a plan: %d %s", w.Code, w.Body)
	}
}

// TestRestoreOverHTTP reads a restore, cancels one while it waits, and confirms one once it has ended.
func TestRestoreOverHTTP(t *testing.T) {
	d, service, point := restoreHandler(t, false)
	service.can = func() error {
		return &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "it is updating"}
	}
	one := "/api/restores/" + read(t, d.call("POST", "/api/restores", orderText)).ID
	d.step(t)
	if w := d.call("GET", one, ""); w.Code != 202 || w.Header().Get("Retry-After") == "" || read(t, w).State != "waiting" {
		t.Errorf("while it waits: %d %s", w.Code, w.Body)
	}
	if w := d.call("POST", one+"/confirm", ""); w.Code != 409 || read(t, w).Error.Code != "RestoreNotEnded" {
		t.Errorf("confirmed while it waits: %d %s", w.Code, w.Body)
	}
	for range 2 {
		if w := d.call("POST", one+"/cancel", ""); w.Code != 200 || read(t, w).State != "canceled" || !strings.Contains(w.Body.String(), "invocation-1") {
			t.Errorf("canceled: %d %s", w.Code, w.Body)
		}
	}
	if w := d.call("GET", one, ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"Canceled"`) {
		t.Errorf("then: %d %s", w.Code, w.Body)
	}
	service.can = nil
	service.begin = func() (backup.Operation, error) { return backup.Operation{Token: "t"}, nil }
	two := "/api/restores/" + read(t, d.call("POST", "/api/restores", strings.Replace(orderText, `"i"`, `"j"`, 1))).ID
	d.step(t)
	if w := d.call("POST", two+"/cancel", ""); w.Code != 409 || read(t, w).Error.Code != "RestoreNotWaiting" {
		t.Errorf("canceled too late: %d %s", w.Code, w.Body)
	}
	service.begin = nil
	three := "/api/restores/" + read(t, d.call("POST", "/api/restores", `{"id":"k","target":"`+target+`","recoveryPoint":"`+point+`","into":"`+standby+`"}`)).ID
	d.step(t)
	for range 2 {
		if w := d.call("POST", three+"/confirm", ""); w.Code != 200 || read(t, w).State != "succeeded" {
			t.Errorf("confirmed: %d %s", w.Code, w.Body)
		}
	}
	if types, _ := d.told(t); strings.Join(types, " ") !=
		"restore.accepted restore.waiting restore.canceled restore.accepted restore.started restore.accepted restore.started restore.succeeded" {
		t.Errorf("told %s", types)
	}
	for _, line := range d.lines(t) {
		if line["event"] != nil && line["level"] != "info" {
			t.Errorf("%v", line)
		}
	}
	backupRun := read(t, d.call("POST", "/api/backups", `{"target":"`+target+`"}`)).ID
	for _, id := range []string{"x", point, backupRun} {
		for _, call := range [][2]string{{"GET", ""}, {"POST", "/cancel"}, {"POST", "/confirm"}} {
			if w := d.call(call[0], "/api/restores/"+id+call[1], ""); w.Code != 404 || read(t, w).Error.Code != "RestoreNotFound" {
				t.Errorf("%s %s%s: %d %s", call[0], id, call[1], w.Code, w.Body)
			}
		}
	}
}

// TestRestoreMessagesOfTheCorpus checks that each message of the fuzzer's corpus ends as a run, an answer or a dead letter with
// a reason, that the host never has to deliver it again, and that every event fits into a message of a queue.
func TestRestoreMessagesOfTheCorpus(t *testing.T) {
	files, err := filepath.Glob("../internal/restore/testdata/fuzz/FuzzRestoreRequest/*")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seen := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		quoted := strings.TrimSuffix(strings.TrimPrefix(string(text), "go test fuzz v1\n[]byte("), ")\n")
		message, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		d, _, _ := restoreHandler(t, false)
		if w := d.send("restore", []byte(message)); w.Code != 200 {
			t.Errorf("%s: %d %s", file, w.Code, w.Body)
		}
		for _, m := range d.queue.Receive("restore-requests", 32, time.Hour) { // a batch is taken apart
			if w := d.send("restore", m.Body); w.Code != 200 {
				t.Errorf("%s: %d %s", file, w.Code, w.Body)
			}
		}
		for _, m := range d.queue.Messages("lifeboat-events") {
			if len(m.Body) > 48<<10 { // 64 KiB in base64
				t.Errorf("%s: an event of %d bytes", file, len(m.Body))
			}
		}
		types, data := d.told(t)
		end := strings.Join(types, " ")
		seen[end]++
		reason, _ := data[len(data)-1]["reason"].(map[string]any)
		letters, runs := d.rows(t, "deadletter"), d.rows(t, "run-")
		switch end {
		case "restore.accepted", "restore.previewed":
		case "restore.refused":
			if len(runs) != 1 || reason["code"] == "" {
				t.Errorf("%s: %d runs, %v", file, len(runs), data)
			}
		case "message.deadlettered restore.refused":
			if len(letters) != 1 || len(runs) > 0 || reason["code"] != "InvalidRequest" || reason["message"] == "" {
				t.Errorf("%s: %s, %d runs, %v", file, letters, len(runs), data)
			}
		default:
			t.Errorf("%s: told %q", file, end)
		}
	}
	if len(seen) != 4 {
		t.Errorf("the corpus has only %v", seen)
	}
}
