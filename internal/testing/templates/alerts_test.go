package templates_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// severities has the severity of each rule, by its runbook: 1 is an error that puts backups at risk, 2 a warning, 3 a note.
var severities = map[string]int{
	"target-unprotected": 1, "schedule-silent": 1,
	"run-failed": 2, "run-unknown": 2, "run-refused": 2, "restore-failed": 2, "restore-unknown": 2, "restore-refused": 2, "backup-refused": 2,
	"schedule-missed": 2, "evaluation-silent": 2, "plan-refused": 2, "plan-checked": 2, "dead-letter": 2, "events-undeliverable": 2,
	"app-refused": 2, "catalog-incomplete": 2, "point-undeleted": 2, "deletions-wait": 2, "custody-late": 2,
	"point-suspect": 3, "clock-jumped": 3, "plan-changed": 3, "stopped": 3, "restore-waiting": 3,
}

// absences are the runbooks whose query finds what is well: their rule asks for no row.
var absences = map[string]bool{"schedule-silent": true}

// tiles are the runbooks that the workbook has, below the events of the index.
var tiles = []string{"target-unprotected", "run-failed", "run-refused", "run-unknown", "restore-failed", "schedule-missed", "dead-letter"}

// alertRule is a rule of infra/alerts.json.
type alertRule struct {
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Description  string   `json:"description"`
	Runbook      string   `json:"runbook"`
	Severity     int      `json:"severity"`
	Query        string   `json:"query"`
	Operator     string   `json:"operator"`
	Threshold    int      `json:"threshold"`
	AutoMitigate bool     `json:"autoMitigate"`
	Dimensions   []string `json:"dimensions"`
}

var (
	kqlBlock   = regexp.MustCompile("(?ms)^```kql\n(.*?)\n```$") // a query of a step is indented
	timeFilter = regexp.MustCompile(`timestamp > ago\(\d+[mhd]\) and `)
	eventNames = regexp.MustCompile(`"(lifeboat\.[a-z.-]+)"`)
	indexRow   = regexp.MustCompile(`(?m)^\| \[[^]]+\]\(([a-z-]+)\.md\) \| .+ \| (.+) \| (.+) \|$`)
)

// runbooks are the pages of docs/runbooks, by their names.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(root + "/docs/runbooks/*.md")
	if err != nil || len(paths) < 20 {
		t.Fatal(paths, err)
	}
	pages := map[string]string{}
	for _, path := range paths {
		pages[strings.TrimSuffix(filepath.Base(path), ".md")] = read(t, path)
	}
	return pages
}

// ofTargets are the events that always have a target, by the schema of events.
func ofTargets(t *testing.T) map[string]bool {
	t.Helper()
	var schema struct {
		Defs map[string]struct{ Required []string } `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(read(t, root+"/docs/events.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for name, definition := range schema.Defs {
		found[name] = slices.Contains(definition.Required, "subject")
	}
	if !found["lifeboat.run.failed"] || found["lifeboat.backup.refused"] {
		t.Fatal(found)
	}
	return found
}

// alertsOf makes the rules of the pages: one for each query that finds the alarm, without its time filter, since a rule has a window
// of its own. An event is told once, and its alert stays until a person closes it; a state ends by itself. A rule asks for each target
// by itself only if each of its rows has one: Azure may leave out a row whose dimension is empty.
func alertsOf(pages map[string]string, ofTargets map[string]bool) (rules []alertRule, err error) {
	index := map[string]string{}
	for _, m := range indexRow.FindAllStringSubmatch(pages["README"], -1) {
		text := strings.ReplaceAll(m[2]+". First: "+m[3], "`", "")
		index[m[1]] = strings.ToUpper(text[:1]) + text[1:]
	}
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		if page == "README" {
			continue
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(pages[page], "# "), "\n")
		meaning, listed := index[page]
		if !listed || severities[page] == 0 {
			return nil, fmt.Errorf("the page %s has the severity %d, and is in the index: %v", page, severities[page], listed)
		}
		blocks := kqlBlock.FindAllStringSubmatch(pages[page], -1)
		if len(blocks) == 0 {
			return nil, fmt.Errorf("the page %s has no query", page)
		}
		for i, block := range blocks {
			query := block[1]
			if len(timeFilter.FindAllString(query, -1)) != 1 || strings.Count(query, "ago(") != 1 {
				return nil, fmt.Errorf("the page %s has another time filter than timestamp > ago(…) and", page)
			}
			events := eventNames.FindAllStringSubmatch(query, -1)
			rule := alertRule{
				Name: page, Title: title, Description: meaning, Runbook: page + ".md", Severity: severities[page],
				Query: timeFilter.ReplaceAllString(query, ""), Operator: "GreaterThan", AutoMitigate: len(events) == 0 && !strings.Contains(query, "line.event"),
				Dimensions: []string{},
			}
			if i > 0 {
				rule.Name = fmt.Sprint(page, "-", i+1)
			}
			if absences[page] {
				rule.Operator, rule.Threshold = "LessThan", 1
			}
			targeted := len(events) > 0 && strings.Contains(query, "target = tostring(line.target)")
			for _, event := range events {
				targeted = targeted && ofTargets[event[1]]
			}
			if targeted {
				rule.Dimensions = []string{"target"}
			}
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// workbookOf makes the workbook: the events of the index, then the queries of some pages. Each is as it is on its page.
func workbookOf(pages map[string]string) (map[string]any, error) {
	items := []any{map[string]any{
		"type": 1, "name": "head",
		"content": map[string]any{"json": "# Lifeboat\n\nEach table is the query of a runbook, in docs/runbooks. An empty one is good news."},
	}}
	for _, page := range append([]string{"README"}, tiles...) {
		title, _, _ := strings.Cut(strings.TrimPrefix(pages[page], "# "), "\n")
		if page == "README" {
			title = "All events that need a person"
		}
		blocks := kqlBlock.FindAllStringSubmatch(pages[page], -1)
		if len(blocks) == 0 {
			return nil, fmt.Errorf("the page %s has no query", page)
		}
		for i, block := range blocks {
			items = append(items, map[string]any{
				"type": 3, "name": fmt.Sprint(page, "-", i+1),
				"content": map[string]any{
					"version": "KqlItem/1.0", "query": block[1], "size": 1, "title": title, "noDataMessage": "None.",
					"timeContext": map[string]any{"durationMs": 7 * 24 * 3600 * 1000}, // the query asks for less
					"queryType":   0, "resourceType": "microsoft.insights/components",
				},
			})
		}
	}
	return map[string]any{
		"version": "Notebook/1.0", "items": items,
		"$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
	}, nil
}

// encoded is a value as a file of infra.
func encoded(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// compareAlerts compares rules with those of the pages, in both directions.
func compareAlerts(rules []alertRule, pages map[string]string, ofTargets map[string]bool) error {
	wanted, err := alertsOf(pages, ofTargets)
	if err != nil {
		return err
	}
	var errs []error
	byName := map[string]alertRule{}
	for _, rule := range rules {
		if _, twice := byName[rule.Name]; twice {
			errs = append(errs, fmt.Errorf("two rules are %s", rule.Name))
		}
		byName[rule.Name] = rule
	}
	for _, want := range wanted {
		rule, ok := byName[want.Name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("no rule is %s, of the page %s", want.Name, want.Runbook))
		case rule.Query != want.Query:
			errs = append(errs, fmt.Errorf("the rule %s does not have the query of its page", rule.Name))
		case fmt.Sprint(rule) != fmt.Sprint(want):
			errs = append(errs, fmt.Errorf("the rule %s is %v, and not %v", rule.Name, rule, want))
		}
		delete(byName, want.Name)
	}
	for name := range byName {
		errs = append(errs, fmt.Errorf("the rule %s has no page", name))
	}
	return errors.Join(errs...)
}

// TestAlerts holds infra/alerts.json and docs/runbooks together, in both directions; -update writes the first from the second.
// TestRunbooks of the handler checks that they ask for each event that is a warning.
func TestAlerts(t *testing.T) {
	pages, targets := runbooks(t), ofTargets(t)
	path := root + "/infra/alerts.json"
	if *update {
		rules, err := alertsOf(pages, targets)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, encoded(t, rules))
	}
	var rules []alertRule
	if err := json.Unmarshal([]byte(read(t, path)), &rules); err != nil {
		t.Fatal(err)
	}
	if err := compareAlerts(rules, pages, targets); err != nil {
		t.Errorf("go test ./internal/testing/templates -run TestAlerts -update: %v", err)
	}
	if text := encoded(t, rules); text != read(t, path) {
		t.Error("alerts.json has more than its rules")
	}
	for page := range severities {
		if pages[page] == "" {
			t.Errorf("there is no page %s, which has a severity", page)
		}
	}
	for _, rule := range rules {
		silent := rule.Runbook == "schedule-silent.md"
		if silent && (rule.Operator != "LessThan" || rule.Threshold != 1 || !rule.AutoMitigate) || !silent && (rule.Operator != "GreaterThan" || rule.Threshold != 0) {
			t.Errorf("%+v", rule)
		}
		// A dimension without rows raises nothing.
		if silent && len(rule.Dimensions) > 0 {
			t.Error("the silence of the schedule would raise no alert")
		}
	}
	for reason, change := range map[string]func(rules []alertRule, pages map[string]string) []alertRule{
		"no rule is run-failed, of the page run-failed.md": func(r []alertRule, _ map[string]string) []alertRule {
			return slices.DeleteFunc(r, func(rule alertRule) bool { return rule.Name == "run-failed" })
		},
		"the rule other has no page": func(r []alertRule, _ map[string]string) []alertRule { return append(r, alertRule{Name: "other"}) },
		"two rules are ":             func(r []alertRule, _ map[string]string) []alertRule { return append(r, r[0]) },
		"the rule run-failed does not have the query of its page": func(r []alertRule, p map[string]string) []alertRule {
			p["run-failed"] = strings.ReplaceAll(p["run-failed"], "line.hint", "line.code")
			return r
		},
		"the page run-failed has no query": func(r []alertRule, p map[string]string) []alertRule {
			p["run-failed"] = strings.ReplaceAll(p["run-failed"], "```kql", "```")
			return r
		},
		"the page run-failed has another time filter": func(r []alertRule, p map[string]string) []alertRule {
			p["run-failed"] = strings.Replace(p["run-failed"], "timestamp > ago(1d) and ", "", 1)
			return r
		},
		"the page new has the severity 0": func(r []alertRule, p map[string]string) []alertRule {
			p["new"] = p["run-failed"]
			return r
		},
		"the page stopped has the severity 3, and is in the index: false": func(r []alertRule, p map[string]string) []alertRule {
			p["README"] = strings.Replace(p["README"], "(stopped.md)", "(stop.md)", 1)
			return r
		},
		"no rule is schedule-missed-2": func(r []alertRule, _ map[string]string) []alertRule {
			return slices.DeleteFunc(r, func(rule alertRule) bool { return rule.Name == "schedule-missed-2" })
		},
		"the rule stopped is {": func(r []alertRule, _ map[string]string) []alertRule {
			for i := range r {
				r[i].AutoMitigate = true
			}
			return r
		},
	} {
		p := maps.Clone(pages)
		if err := compareAlerts(change(slices.Clone(rules), p), p, targets); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestWorkbook checks that the workbook has the queries of the pages, as they are there.
func TestWorkbook(t *testing.T) {
	pages := runbooks(t)
	book, err := workbookOf(pages)
	if err != nil {
		t.Fatal(err)
	}
	path := root + "/infra/workbook.json"
	if *update {
		write(t, path, encoded(t, book))
	}
	if read(t, path) != encoded(t, book) {
		t.Error("workbook.json is not of docs/runbooks: go test ./internal/testing/templates -run TestWorkbook -update")
	}
	pages["dead-letter"] = strings.Replace(pages["dead-letter"], "line.bytes", "line.row", 1)
	if changed, err := workbookOf(pages); err != nil || encoded(t, changed) == read(t, path) {
		t.Errorf("another query was not seen: %v", err)
	}
}

// TestAlertsAreDeployed checks the options: each rule with its query, or none; whom they tell; a call from outside if it is asked for.
func TestAlertsAreDeployed(t *testing.T) {
	var rules []alertRule
	if err := json.Unmarshal([]byte(read(t, root+"/infra/alerts.json")), &rules); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]struct {
		rules         bool
		groups, calls int
	}{"plain": {true, 0, 0}, "azd": {true, 1, 0}, "alerts": {true, 2, 1}, "government": {false, 0, 1}, "settings": {false, 0, 0}} {
		resources := predicted(t, option)
		deployed := of(resources, "Microsoft.Insights/scheduledQueryRules")
		if len(deployed) != map[bool]int{true: len(rules), false: 0}[want.rules] {
			t.Fatalf("%s: %d rules", option, len(deployed))
		}
		for i, r := range deployed {
			p := properties[struct {
				Criteria struct {
					AllOf []struct {
						Query, Operator string
						Threshold       int
						Dimensions      []struct{ Name string }
					}
				}
				AutoMitigate bool
				Actions      struct{ ActionGroups any }
			}](t, r)
			all := p.Criteria.AllOf
			if !strings.HasSuffix(r.Name, "-"+rules[i].Name) || len(all) != 1 || all[0].Query != rules[i].Query || all[0].Operator != rules[i].Operator ||
				all[0].Threshold != rules[i].Threshold || len(all[0].Dimensions) != len(rules[i].Dimensions) || p.AutoMitigate != rules[i].AutoMitigate {
				t.Errorf("%s: %s is %+v", option, r.Name, p)
			}
			// Where nothing but a secret webhook decides whom they tell, a prediction has no more than an expression.
			known, _ := p.Actions.ActionGroups.([]any)
			if secret := strings.Contains(fmt.Sprint(p.Actions.ActionGroups), "'webhook'"); len(known) != want.groups || secret == (want.groups > 0) {
				t.Errorf("%s: %s tells %v", option, r.Name, p.Actions.ActionGroups)
			}
		}
		if books := of(resources, "Microsoft.Insights/workbooks"); (len(books) == 1) != want.rules {
			t.Errorf("%s: %d workbooks", option, len(books))
		}
		calls, alerts := of(resources, "Microsoft.Insights/webtests"), of(resources, "Microsoft.Insights/metricAlerts")
		if len(calls) != want.calls || len(alerts) != want.calls {
			t.Errorf("%s: %d calls from outside, and %d alerts of them", option, len(calls), len(alerts))
		}
	}
}
