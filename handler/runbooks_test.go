package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/retention"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

// ends are the final states of a backup: the ends of the types of its events.
var ends = []string{"succeeded", "failed", "superseded", "refused", "missed", "unknown", "canceled"}

// restoreEnds are the ends of the types of the events of a restore.
var restoreEnds = []string{"accepted", "waiting", "started", "previewed", "succeeded", "failed", "refused", "unknown", "canceled"}

// family is the type of an event, without its end if all types with the same beginning share a runbook.
func family(kind string) string {
	for _, begin := range []string{"lifeboat.run.", "lifeboat.backup.", "lifeboat.restore."} {
		if strings.HasPrefix(kind, begin) {
			return begin
		}
	}
	return kind
}

// eventTypes are all types that the domain publishes, read from its source.
func eventTypes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../internal/event/*.go")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`"(lifeboat\.[a-z-]+\.[a-z]*)"`).FindAllStringSubmatch(string(text), -1) {
			switch kind := found[1]; kind {
			case "lifeboat.run.":
				for _, end := range ends {
					if !backup.State(end).Final() {
						t.Errorf("%s is no final state", end)
					}
					types[kind+end] = true
				}
			case "lifeboat.restore.":
				for _, end := range restoreEnds {
					types[kind+end] = true
				}
			case "lifeboat.plan.":
				types[kind+"refused"], types[kind+"accepted"], types[kind+"changed"] = true, true, true
			default:
				if strings.HasSuffix(kind, ".") {
					t.Errorf("%s: which events begin with %s?", file, kind)
				}
				types[kind] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(types))
}

// refusing is a service of which no backup can succeed.
type refusing struct{ backup.Provider }

func (refusing) Preflight(context.Context, backup.Attempt) error {
	return &backup.Fault{Kind: backup.Refused, Code: "TierNotSupported", Message: "not this tier", Hint: "Take another."}
}

// scheduleRow writes a row of the partition of the schedule.
func (d *app) scheduleRow(t *testing.T, name string, value any) {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	w := backup.Write{Op: backup.Put, Key: backup.Key{Partition: "schedule", Row: name}, Body: body}
	if _, err := d.catalog.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// linesOf makes each event happen, behind the handler, and returns the fields of each kind of line: by the event's type, and
// by the function's name for lines of functions. The runs' events have one form.
func linesOf(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	note := func(d *app) {
		t.Helper()
		for _, line := range d.lines(t) {
			kind, ok := line["event"].(string)
			if !ok {
				kind = fmt.Sprint(line["function"])
			} else if line["id"] == nil || line["level"] == "warn" != (!good[kind] || line["attention"] != nil || line["findings"] != nil || line["status"] == "late") {
				t.Errorf("an event's line: %v", line)
			}
			kind = family(kind)
			if all[kind] == nil {
				all[kind] = map[string]bool{}
			}
			for name := range line {
				all[kind][name] = true
			}
		}
	}
	timer, message := envelope(t, "timer.json"), envelope(t, "queue-binary.json")

	d := healthHandler(t)
	d.put(t, "run-8000000000-000000000000", backup.Run{
		ID: "r", Target: target, State: backup.Failed, Reason: backup.Reason{Code: "C", Message: "words", Hint: "do"},
	})
	d.put(t, "point-8000000000-000000000000", backup.Point{
		ID: "p", State: backup.Live, Target: target, Plan: "nightly", Created: time.Now().AddDate(0, 0, -3),
	})
	d.scheduleRow(t, "plan-nightly", map[string]any{"Plan": "nightly", "At": time.Now().AddDate(0, 0, -4)})
	d.scheduleRow(t, "evaluated-nightly", map[string]any{"Plan": "nightly", "At": time.Now().AddDate(0, 0, -4)})
	d.call("POST", "/schedule", timer) // scheduled times missed, unprotected, runs
	d.call("POST", "/execute", message)
	d.call("POST", "/deadletter-execute", message)
	good := d.plans
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	d.call("POST", "/schedule", timer)
	d.plans = good
	d.call("POST", "/schedule", timer)
	d.call("POST", "/execute", "{") // fails
	note(d)

	text := target
	d = newApp(func(c *Config) {
		daily := schedule.Schedule{Second: 1, Minute: 1, Hour: 1, Day: 1<<32 - 1, Month: 1<<32 - 1, Weekday: 1<<32 - 1, Zone: time.UTC}
		c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(text), nil }
		c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
			return []backup.Plan{{Name: "nightly", Targets: []string{string(text)}, Schedule: daily}}, nil
		}
		c.Engine.Left = c.Plans.Left
	})
	d.call("POST", "/schedule", timer)
	d.put(t, "point-8000000000-000000000000", backup.Point{ID: "p", State: backup.Live, Target: target, Plan: "nightly", Created: time.Now().AddDate(0, 0, -3)})
	for _, row := range []string{"plan-nightly", "evaluated-nightly"} {
		d.scheduleRow(t, row, map[string]any{"Plan": "nightly", "At": time.Now().AddDate(0, 0, -4)})
	}
	d.call("POST", "/schedule", timer) // unprotected
	text = standby
	d.call("POST", "/schedule", timer) // an edit, and the alarm is over
	note(d)

	d = newApp(func(c *Config) {
		c.Engine.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": refusing{}}
	})
	d.call("POST", "/api/backups", `{"target":"`+target+`"}`)
	for _, m := range d.queue.Receive("execute", 32, time.Minute) {
		text, err := json.Marshal(map[string]any{"Data": map[string][]byte{"message": m.Body}})
		if err != nil {
			t.Fatal(err)
		}
		d.call("POST", "/execute", string(text))
	}
	note(d)
	for _, name := range []string{"run", "target", "plan", "from", "to", "code", "reason"} {
		if !all["execute"][name] {
			t.Errorf("the line of a step has no field %s", name)
		}
	}

	d, service, _ := restoreHandler(t, true)
	service.begin = func() (backup.Operation, error) {
		return backup.Operation{}, &backup.Fault{Kind: backup.Refused, Code: "C", Message: "words", Hint: "do"}
	}
	d.send("restore", []byte(orderText[:len(orderText)-1]+`,"requestedBy":"a person","reason":"a bad deployment"}`))
	for range 5 {
		d.step(t)
	}
	note(d)
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	d.catalog.Catalog = memory.NewCatalog(time.Now)
	d.send("restore", []byte(orderText))
	d.send("backup", []byte(`{"id":"i","target":"`+target+`"}`))
	note(d)

	d, _, _ = restoreHandler(t, false)
	for _, text := range []string{orderText, orderText[:len(orderText)-1] + `,"dryRun":true}`, strings.Replace(orderText, target, standby, 1), "{"} {
		d.send("restore", []byte(text))
	}
	note(d)

	for _, f := range []*backup.Fault{
		{Kind: backup.Kept, Code: "LeaseIdMissing", Message: "words", Hint: "do"}, {Kind: backup.Touched, Code: "ConditionNotMet", Message: "words", Hint: "do"},
	} {
		d, _, _ = expiredPoint(t, f)
		note(d)
	}

	d = newApp(nil)
	id := d.point(t, backup.Suspect)
	d.call("POST", "/api/recovery-points/"+id+"/accept", "")
	d.ended(t, id)
	bad := newApp(nil)
	unwanted := bad.point(t, backup.Suspect)
	bad.ended(t, unwanted)
	for _, call := range []string{"delete", "undelete"} {
		if w := bad.call("POST", "/api/recovery-points/"+unwanted+"/"+call, `{"reason":"case 4711"}`); w.Code != 200 {
			t.Errorf("%s: %d %s", call, w.Code, w.Body)
		}
	}
	d.log.Write(bad.log.Bytes())
	d.call("POST", "/api/recovery-points/"+id+"/hold", `{"reason":"case 4711"}`, "Repeatability-Request-ID", "h")
	d.call("POST", "/api/recovery-points/"+id+"/release", `{"hold":"`+backup.HoldID("h")+`"}`)
	for _, text := range []string{`{"id":"i","target":"` + target + `","requestedBy":"a pipeline","reason":"a deployment"}`, `{"id":"j","plan":"weekly"}`} {
		d.send("backup", []byte(text))
	}
	note(d)

	d = newApp(nil)
	lost := health.Incomplete{
		Target: target, Plan: "nightly", Storage: backup.Storage{Account: account, Container: "c"}, Manifests: 1, First: "m", Found: time.Now(), Alarm: "1",
	}
	well := health.TargetHealth{Target: target, Plan: "nightly", Status: health.Protected}
	for _, e := range []backup.Event{
		event.CatalogIncomplete(lost), event.CatalogComplete(lost, time.Now()), event.PointKept(backup.Point{}, backup.Reason{Code: "KeptByVault", Message: "words"}, time.Now()),
		event.PointChanged(backup.Point{ID: id, Target: target, Changed: backup.Change{Time: time.Now(), Found: time.Now(), Resource: target, Operation: "write"}}), event.TargetProtected(well, "1", time.Now()),
		event.TargetForgotten(target, backup.SoftDeletion{Reason: "words"}, 1, 0, time.Now()),
		event.ManyExpire(backup.Run{Target: target, Plan: "p"}, []backup.Point{{ID: "p"}}, 1, time.Now()),
		event.DeletionsWait(target, retention.Waiting{Points: []backup.Point{{ID: "p"}}, Limit: 1, Until: time.Now()}, 1, time.Now()),
		event.CustodyChanged(target, "nightly", backup.Proof{Status: backup.Proven, Holders: 2, Quorum: 2, Of: 3}, time.Now()),
		event.CustodyChanged(target, "nightly", backup.Proof{
			Status: backup.ProofLate, Holders: 1, Quorum: 2, Of: 3, Reason: backup.NewReason("Late", "words", "a hint"),
		}, time.Now()),
		event.Checked(check.Report{Plans: "h", Began: time.Now(), Ended: time.Now()}),
		event.Checked(check.Report{Plans: "h", Began: time.Now(), Ended: time.Now(), Findings: []check.Finding{{Result: check.Refused, What: "a role"}}}),
	} {
		if err := (logged{d.queue, zerolog.New(&d.log)}).Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	note(d)

	_, d = pair(t)
	d.call("POST", "/api/takeover", `{"from":"contoso-app"}`)
	d.call("POST", "/api/stop", `{"reason":"an incident"}`)
	d.call("POST", "/api/resume", "{}")
	d.call("POST", "/schedule", timer)
	note(d)

	d = newApp(func(c *Config) { c.Engine.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	d.call("POST", "/schedule", timer)
	note(d)
	return all
}

var (
	field = regexp.MustCompile(`\bline\.([A-Za-z]+)`)
	asked = regexp.MustCompile(`line\.(?:event|function) (?:== ("[^"]+")|in \(([^)]+)\))`)
	word  = regexp.MustCompile(`"([^"]+)"`)
	named = regexp.MustCompile(`lifeboat\.(?:target|catalog|custody|run|backup|restore|recovery-point|plan|app|schedule|clock|message)\.[a-z]+`)
)

// TestRunbooks checks that every event has a runbook, each is in the index, and each query asks for fields that the lines have.
func TestRunbooks(t *testing.T) {
	lines, types := linesOf(t), eventTypes(t)
	for _, kind := range types {
		if lines[family(kind)] == nil {
			t.Errorf("no line of %s was seen", kind)
		}
	}
	files, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(files) < 11 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	queried := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range named.FindAllString(string(text), -1) {
			if !slices.Contains(types, kind) {
				t.Errorf("%s: nobody publishes %s", file, kind)
			}
		}
		parts := strings.Split(string(text), "```")
		for i := 1; i < len(parts); i += 2 {
			checkQuery(t, file, parts[i], lines, queried)
		}
		if filepath.Base(file) == "README.md" {
			for _, kind := range types {
				if !strings.Contains(string(text), kind) {
					t.Errorf("%s is not in the index", kind)
				}
			}
			for _, page := range files {
				if name := filepath.Base(page); name != "README.md" && !strings.Contains(string(text), "]("+name+")") {
					t.Errorf("%s is not in the index", name)
				}
			}
		} else {
			for _, part := range []string{"```kql", "**Impact.**", "**Look, in this order**", "**Mend.**", "**It is over when**"} {
				if !strings.Contains(string(text), part) {
					t.Errorf("%s has no %s", file, part)
				}
			}
		}
	}
	for _, kind := range types {
		if !queried[kind] && (!good[kind] || kind == "lifeboat.run.succeeded") {
			t.Errorf("no query asks for %s", kind)
		}
	}
}

// needsPerson are events that are warnings only with some data.
var needsPerson = []string{"lifeboat.run.succeeded", "lifeboat.plan.changed", "lifeboat.plan.checked", "lifeboat.custody.changed"}

// TestAlertRules checks that a rule of infra/alerts.json asks for each event that the log has as a warning, and for the silence of the
// schedule, and that no rule asks for an event which is not published.
func TestAlertRules(t *testing.T) {
	text, err := os.ReadFile("../infra/alerts.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules []struct{ Name, Query string }
	if err := json.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	types, alerted := append(eventTypes(t), "lifeboat.stopped"), map[string]bool{}
	for _, rule := range rules {
		for _, m := range asked.FindAllStringSubmatch(rule.Query, -1) {
			for _, kind := range word.FindAllStringSubmatch(m[1]+m[2], -1) {
				if alerted[kind[1]] = true; kind[1] != "schedule" && !slices.Contains(types, kind[1]) {
					t.Errorf("the rule %s asks for %s, which nobody publishes", rule.Name, kind[1])
				}
			}
		}
	}
	for _, kind := range append(types, "schedule") {
		if !alerted[kind] && (!good[kind] || slices.Contains(needsPerson, kind)) {
			t.Errorf("no rule asks for %s", kind)
		}
	}
}

// checkQuery compares the fields of a query with the fields of the lines that it asks for, or of all lines.
func checkQuery(t *testing.T, file, query string, lines map[string]map[string]bool, queried map[string]bool) {
	t.Helper()
	var kinds []string
	for _, m := range asked.FindAllStringSubmatch(query, -1) {
		for _, kind := range word.FindAllStringSubmatch(m[1]+m[2], -1) {
			queried[kind[1]] = true
			kind[1] = family(kind[1])
			if lines[kind[1]] == nil {
				t.Errorf("%s asks for lines of %s, which there are none of", file, kind[1])
			}
			kinds = append(kinds, kind[1])
		}
	}
	for _, m := range field.FindAllStringSubmatch(query, -1) {
		if len(kinds) == 0 {
			if !slices.ContainsFunc(slices.Collect(maps.Values(lines)), func(l map[string]bool) bool { return l[m[1]] }) {
				t.Errorf("%s: no line has the field %s", file, m[1])
			}
		}
		for _, kind := range kinds {
			if !lines[kind][m[1]] {
				t.Errorf("%s: lines of %s have no field %s, only %v", file, kind, m[1], slices.Sorted(maps.Keys(lines[kind])))
			}
		}
	}
}
