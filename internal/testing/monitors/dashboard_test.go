package monitors

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const dashboardFile = "../../../docs/lifeboat.dashboard.json"

var update = flag.Bool("update", false, "write docs/lifeboat.dashboard.json")

// query is an expression of a panel, for the job $job, and the name of its series.
type query struct{ expr, legend string }

// panel is one panel of the dashboard: 24 columns are a row.
type panel struct {
	title, kind, unit string
	width, height     int
	queries           []query
}

// panels are the dashboard. Several instances and scrapers are one app.
var panels = []panel{
	{"Targets by protection", "bargauge", "short", 8, 8, []query{{`sum by (status) (max by (plan, status) (lifeboat_plan_targets{job=~"$job"}))`, "{{status}}"}}},
	{"Protection by plan", "timeseries", "short", 16, 8, []query{{`max by (plan, status) (lifeboat_plan_targets{job=~"$job"})`, "{{plan}} {{status}}"}}},
	{"Time until a target is unprotected, the first 20: below 0 it is overdue", "table", "s", 12, 10, []query{
		{`bottomk(20, max by (target, plan) (lifeboat_target_deadline_timestamp_seconds{job=~"$job"}) - time())`, ""},
	}},
	{"Age of the newest recovery point or copy, the oldest 20", "table", "s", 12, 10, []query{
		{`topk(20, time() - max by (target, plan) ({__name__=~"lifeboat_(recovery_point|copy)_timestamp_seconds", job=~"$job"}))`, ""},
	}},
	{"Time since the timers ran", "timeseries", "s", 8, 8, []query{{`time() - max by (timer) (lifeboat_timer_last_run_timestamp_seconds{job=~"$job"})`, "{{timer}}"}}},
	{"Time until the next runs, and until an evaluation is due", "timeseries", "s", 8, 8, []query{
		{`max by (plan) (lifeboat_plan_next_scheduled_timestamp_seconds{job=~"$job"}) - time()`, "{{plan}} runs"},
		{`max by (plan) (lifeboat_plan_evaluation_due_timestamp_seconds{job=~"$job"}) - time()`, "{{plan}} evaluation"},
	}},
	{"Newest runs by state", "timeseries", "short", 8, 8, []query{{`sum by (state) (max by (plan, state) (lifeboat_plan_last_runs{job=~"$job"}))`, "{{state}}"}}},
	{"Restores by state", "timeseries", "short", 8, 8, []query{{`max by (state) (lifeboat_restores{job=~"$job"})`, "{{state}}"}}},
	{"Recovery points by state", "timeseries", "short", 8, 8, []query{{`sum by (state) (max by (plan, state) (lifeboat_recovery_points{job=~"$job"}))`, "{{state}}"}}},
	{"Bytes of recovery points by plan", "timeseries", "bytes", 8, 8, []query{
		{`sum by (plan) (max by (plan, state) (lifeboat_recovery_points_bytes{job=~"$job"}))`, "{{plan}}"},
	}},
	{"Events, dead letters, and the state of the app", "stat", "short", 16, 6, []query{
		{`max(lifeboat_events_waiting{job=~"$job"})`, "events waiting"},
		{`max(lifeboat_events_undeliverable{job=~"$job"})`, "events given up"},
		{`max(lifeboat_dead_letters{job=~"$job"})`, "dead letters"},
		{`max(lifeboat_plan_refused{job=~"$job"})`, "plan refused"},
		{`max(lifeboat_stopped{job=~"$job"})`, "stopped"},
		{`max(lifeboat_other_apps{job=~"$job"})`, "other apps"},
	}},
	{"Build", "table", "short", 8, 6, []query{{`group by (job, version, goversion) (lifeboat_build_info{job=~"$job"})`, ""}}},
}

// dashboard is the text for Grafana 10 and later: schema 38 is of 10.0.
func dashboard(t *testing.T) []byte {
	t.Helper()
	type object = map[string]any
	source := object{"type": "prometheus", "uid": "${datasource}"}
	var all []object
	x, y, row := 0, 0, 0
	for i, p := range panels {
		if x+p.width > 24 {
			x, y, row = 0, y+row, 0
		}
		var targets []object
		for j, q := range p.queries {
			target := object{"refId": string(rune('A' + j)), "expr": q.expr, "datasource": source, "legendFormat": q.legend, "editorMode": "code"}
			if p.kind != "timeseries" {
				target["instant"], target["range"] = true, false
			}
			if p.kind == "table" {
				target["format"] = "table"
			}
			targets = append(targets, target)
		}
		one := object{
			"id": i + 1, "title": p.title, "type": p.kind, "datasource": source, "targets": targets,
			"gridPos":     object{"x": x, "y": y, "w": p.width, "h": p.height},
			"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": []object{}}, "options": object{},
		}
		if p.kind == "table" {
			one["transformations"] = []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true}}}}
		}
		all = append(all, one)
		x, row = x+p.width, max(row, p.height)
	}
	variables := []object{
		{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": object{}, "hide": 0},
		{
			"name": "job", "label": "Job", "type": "query", "datasource": source, "refresh": 2, "multi": true, "includeAll": true, "allValue": ".*",
			"definition": "label_values(lifeboat_build_info, job)", "current": object{"text": "All", "value": "$__all"}, "hide": 0, "sort": 1,
			"query": object{"query": "label_values(lifeboat_build_info, job)", "refId": "jobs"},
		},
	}
	text, err := json.MarshalIndent(object{
		"title": "Lifeboat", "uid": "lifeboat", "tags": []string{"lifeboat"}, "schemaVersion": 38, "version": 1, "editable": true, "timezone": "browser",
		"refresh": "1m", "time": object{"from": "now-24h", "to": "now"}, "panels": all, "templating": object{"list": variables},
		"annotations": object{"list": []object{}},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// TestDashboard checks that the file is the table, that each expression gives data of an app that is well, and that such an app tells each
// metric of a panel.
func TestDashboard(t *testing.T) {
	want := dashboard(t)
	if *update {
		if err := os.WriteFile(dashboardFile, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(dashboardFile); err != nil || !bytes.Equal(text, want) {
		t.Errorf("docs/lifeboat.dashboard.json is not as the table says (go test -run TestDashboard -update): %v", err)
	}
	var parsedAgain struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(want, &parsedAgain); err != nil || len(parsedAgain.Panels) != len(panels) {
		t.Fatal(err)
	}
	s := state{story: "well", minutes: 60}
	db, engine := store(t, s.seriesOf(t, func(string) bool { return true })), newEngine()
	defer engine.Close()
	shown := ""
	for _, p := range parsedAgain.Panels {
		for _, target := range p.Targets {
			shown += target.Expr
			q, err := engine.NewInstantQuery(t.Context(), db, nil, strings.ReplaceAll(target.Expr, "$job", "lifeboat"), time.Unix(3600, 0))
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
				continue
			}
			vector, err := q.Exec(t.Context()).Vector()
			if err != nil || len(vector) == 0 {
				t.Errorf("%s: %s has no data: %v", p.Title, target.Expr, err)
			}
			q.Close()
		}
	}
	told := map[string]bool{}
	for _, sample := range storyOf(t, "well").at(60) {
		told[sample.labels.Get("__name__")] = true
	}
	for _, name := range regexp.MustCompile(`lifeboat_[a-z_]+`).FindAllString(shown, -1) {
		if !told[name] && name != "lifeboat_" {
			t.Errorf("nothing tells %s", name)
		}
	}
}
