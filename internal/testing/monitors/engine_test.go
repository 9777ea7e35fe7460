package monitors

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"
)

const rulesFile = "../../../docs/lifeboat.rules.yml"

var promtool = flag.String("promtool", "", "the promtool that runs the same states; none if empty")

// series is one series, with a value for each minute; absent without one.
type series struct {
	labels labels.Labels
	values []*float64
}

// series returns the series of the state that a rule reads, as Prometheus stores them.
func (s state) series(t *testing.T) []*series {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	return s.seriesOf(t, func(name string) bool { return bytes.Contains(text, []byte(name)) })
}

// seriesOf returns the series of the state with such names.
func (s state) seriesOf(t *testing.T, named func(string) bool) []*series {
	t.Helper()
	told, all := storyOf(t, s.story), map[string]*series{}
	put := func(l labels.Labels, minute int, v float64) {
		if !named(l.Get("__name__")) {
			return
		}
		key := l.String()
		if all[key] == nil {
			all[key] = &series{l, make([]*float64, s.minutes+1)}
		}
		all[key].values[minute] = &v
	}
	for minute := range s.minutes + 1 {
		if s.forgotten > 0 && minute >= s.forgotten {
			break
		}
		said := told.at(minute)
		if s.blind.has(minute) || s.asleep && minute%10 != 0 {
			said = nil
		}
		instance := "contoso.azurewebsites.net"
		if s.replaced > 0 && minute >= s.replaced {
			instance = "contoso-2.azurewebsites.net"
		}
		for scraper := range max(s.scrapers, 1) {
			own := []string{"job", "lifeboat", "instance", instance}
			if s.scrapers > 1 {
				own = append(own, "replica", strconv.Itoa(scraper))
			}
			with := func(l labels.Labels) labels.Labels {
				b := labels.NewBuilder(l)
				for i := 0; i < len(own); i += 2 {
					b.Set(own[i], own[i+1])
				}
				return b.Labels()
			}
			up := 0.0
			if len(said) > 0 {
				up = 1
			}
			put(with(labels.FromStrings("__name__", "up")), minute, up)
			for _, sample := range said {
				put(with(sample.labels), minute, sample.value)
			}
		}
	}
	sorted := slices.Collect(maps.Values(all))
	slices.SortFunc(sorted, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return sorted
}

// fired is an alert as the engine has it.
type fired struct {
	rule                string
	labels, annotations labels.Labels
}

// key is the rule and the labels that tell alerts apart.
func (f fired) key() string {
	l := labels.NewBuilder(f.labels).Del("alertname", "severity").Labels()
	return f.rule + l.String()
}

// parsed is the grammar of expressions without experiments, as Prometheus has it by default.
var parsed = parser.NewParser(parser.Options{})

// store fills a new storage with the series, with a mark of staleness where one ends.
func store(t *testing.T, all []*series) *teststorage.TestStorage {
	t.Helper()
	db := teststorage.New(t, func(o *tsdb.Options) { // a recording rule writes behind the newest sample
		o.MinBlockDuration, o.MaxBlockDuration = int64(30*24*time.Hour/time.Millisecond), int64(30*24*time.Hour/time.Millisecond)
	})
	app := db.Appender(t.Context())
	for minute := range all[0].values {
		for _, s := range all {
			v := s.values[minute]
			if v == nil && minute > 0 && s.values[minute-1] != nil {
				v = &stale
			}
			if v != nil {
				if _, err := app.Append(0, s.labels, int64(minute)*60_000, *v); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: 2 * time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser:                   parsed,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
}

// evaluate returns the alerts of the file that fire in Prometheus 3, by minutes.
func (s state) evaluate(t *testing.T, rulesFile string) map[int][]fired {
	t.Helper()
	db, engine := store(t, s.series(t)), newEngine()
	defer engine.Close()
	m := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(engine, db), AppendableV2: db, Queryable: db, Context: t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: promslog.NewNopLogger(),
		NameValidationScheme: model.UTF8Validation, Parser: parsed,
	})
	groups, errs := m.LoadGroups(time.Duration(s.every())*time.Minute, labels.EmptyLabels(), "", nil, false, rulesFile)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	firing := map[int][]fired{}
	for minute := 0; minute <= s.minutes; minute += s.every() {
		at := time.Unix(int64(minute)*60, 0).UTC()
		firing[minute] = []fired{}
		for _, g := range groups {
			g.Eval(t.Context(), at)
			for _, r := range g.AlertingRules() {
				if err := r.LastError(); err != nil {
					t.Fatalf("%s: %v", r.Name(), err)
				}
				for _, a := range r.ActiveAlerts() {
					if a.State == rules.StateFiring {
						firing[minute] = append(firing[minute], fired{r.Name(), a.Labels.Copy(), a.Annotations.Copy()})
					}
				}
			}
		}
	}
	return firing
}

// open tells whether the table leaves open if an alert fires in the minute.
func (a alert) open(minute int) bool {
	return minute >= a.begins.from && minute < a.begins.to || a.ends.to > 0 && minute >= a.ends.from && minute < a.ends.to
}

// key is the same of the table's alert as of one of the engine.
func (a alert) key() string { return a.rule + "{" + a.labels + "}" }

func (a alert) fires(minute int) bool {
	return minute >= a.begins.to && (a.ends.to == 0 || minute < a.ends.from)
}

// differences compares the alerts that fire with the table. A table in steps has the minutes of the steps.
func (s state) differences(firing map[int][]fired) (all []string) {
	for _, minute := range slices.Sorted(maps.Keys(firing)) {
		got := map[string]bool{}
		for _, f := range firing[minute] {
			if got[f.key()] {
				all = append(all, fmt.Sprintf("minute %d: %s fires twice", minute, f.key()))
			}
			got[f.key()] = true
		}
		for _, a := range s.alerts {
			if a.fires(minute) && !got[a.key()] {
				all = append(all, fmt.Sprintf("minute %d: %s does not fire", minute, a.key()))
			}
		}
		for _, a := range s.alerts {
			if a.fires(minute) || a.open(minute) {
				delete(got, a.key())
			}
		}
		for key := range got {
			all = append(all, fmt.Sprintf("minute %d: %s fires", minute, key))
		}
	}
	return all
}

// TestRules runs each state through Prometheus 3, and through promtool if there is one.
func TestRules(t *testing.T) {
	covered := map[string]bool{}
	for _, s := range states {
		for _, a := range s.alerts {
			covered[a.rule] = true
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			firing := s.evaluate(t, rulesFile)
			if wrong := s.differences(firing); len(wrong) > 0 {
				t.Errorf("%d differences: %s", len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
			} else if *promtool != "" {
				s.promtool(t, firing)
			}
		})
	}
	for _, rule := range ruleNames(t) {
		if !covered[rule] {
			t.Errorf("%s fires in no state", rule)
		}
	}
}

// promtool asks promtool whether the same alerts fire, with the same labels and texts, in the minutes around each change.
func (s state) promtool(t *testing.T, firing map[int][]fired) {
	t.Helper()
	path, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%q]\nevaluation_interval: %dm\ntests:\n  - interval: 1m\n    input_series:\n", path, s.every())
	for _, series := range s.series(t) {
		fmt.Fprintf(&text, "      - series: '%s'\n        values: '%s'\n", notation(series.labels), strings.Join(series.notation(), " "))
	}
	text.WriteString("    alert_rule_test:\n")
	for _, minute := range s.checked(firing) {
		for _, rule := range ruleNames(t) {
			fmt.Fprintf(&text, "      - {eval_time: %dm, alertname: %s, exp_alerts: [", minute, rule)
			for i, f := range slices.DeleteFunc(slices.Clone(firing[minute]), func(f fired) bool { return f.rule != rule }) {
				if i > 0 {
					text.WriteString(", ")
				}
				fmt.Fprintf(&text, "{exp_labels: {%s}, exp_annotations: {%s}}", pairs(f.labels), pairs(f.annotations))
			}
			text.WriteString("]}\n")
		}
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), *promtool, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// checked are the minutes around each change in the table that it does not leave open, and the last one.
func (s state) checked(firing map[int][]fired) []int {
	step, minutes := s.every(), map[int]bool{s.minutes / s.every() * s.every(): true, 0: true}
	for _, a := range s.alerts {
		for _, at := range []int{a.begins.from - step, a.begins.to, a.ends.from - step, a.ends.to} {
			minutes[(at+step-1)/step*step] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(minutes)), func(minute int) bool {
		_, known := firing[minute]
		return !known || slices.ContainsFunc(s.alerts, func(a alert) bool { return a.open(minute) })
	})
}

func ruleNames(t *testing.T) []string {
	t.Helper()
	groups, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, parsed, promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var names []string
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				names = append(names, r.Alert)
			}
		}
	}
	return names
}

// notation is a series' name as promtool reads it.
func notation(l labels.Labels) string {
	return l.Get("__name__") + labels.NewBuilder(l).Del("__name__").Labels().String()
}

// notation is the values as promtool reads them.
func (s *series) notation() []string {
	var words []string
	write := func(v *float64, n int, ended bool) {
		switch {
		case v != nil:
			words = append(words, fmt.Sprintf("%s+0x%d", strconv.FormatFloat(*v, 'f', -1, 64), n-1))
		case ended:
			words = append(words, "stale")
			if n > 1 {
				words = append(words, fmt.Sprintf("_x%d", n-1))
			}
		default:
			words = append(words, fmt.Sprintf("_x%d", n))
		}
	}
	same := func(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	for from := 0; from < len(s.values); {
		to := from + 1
		for to < len(s.values) && same(s.values[from], s.values[to]) {
			to++
		}
		write(s.values[from], to-from, from > 0)
		from = to
	}
	return words
}

func pairs(l labels.Labels) string {
	var all []string
	l.Range(func(l labels.Label) {
		if l.Name != "alertname" {
			all = append(all, l.Name+": "+strconv.Quote(l.Value))
		}
	})
	return strings.Join(all, ", ")
}

// stale is the value with which Prometheus ends a series.
var stale = math.Float64frombits(value.StaleNaN)

// TestMistakes checks that each of these mistakes in the rules shows in a state. The text is the alert's; an empty mistake leaves it out.
func TestMistakes(t *testing.T) {
	const answered = ` unless on (job) last_over_time(lifeboat_build_info[30m])`
	for _, m := range []struct{ alert, text, mistake, state string }{
		{"LifeboatDown", `or absent_over_time(up{job=~"lifeboat.*"}[3d])`, ``, "forgotten, after three days"},
		{"LifeboatDown", `unless group by (job) (max_over_time(up{job=~"lifeboat.*"}[15m]) == 1)`, `unless group by (job) (up{job=~"lifeboat.*"})`, "killed"},
		{
			"LifeboatTargetUnprotected", `or last_over_time(lifeboat_target_deadline_timestamp_seconds[3d])` + answered, ``,
			"killed",
		},
		{"LifeboatTargetUnprotected", `deadline_timestamp_seconds[3d])` + answered, `deadline_timestamp_seconds[3d])`, "target removed from the plan"},
		{"LifeboatTargetUnprotected", `or last_over_time(lifeboat_target_unprotected[3d])` + answered, ``, "rows that cannot be read, then killed"},
		{"LifeboatTargetUnprotected", `max by (target, plan)`, `max by (target, plan, replica)`, "backups failing, two scrapers"},
		{"LifeboatTargetUnprotected", `max by (target, plan)`, `max by (target, plan, instance)`, "backups failing, instance replaced"},
		{"LifeboatTargetUnprotected", `[30m]`, `[5m]`, "target removed, asleep nine minutes of ten"},
		{"LifeboatTargetGone", `and on (job) last_over_time(lifeboat_build_info[30m])`, ``, "killed"},
		{"LifeboatTargetGone", `unless on (target) last_over_time(lifeboat_target_unprotected[30m])`, `unless on (target) lifeboat_target_unprotected`, "asleep nine minutes of ten"},
		{"LifeboatScheduleSilent", `[3d]`, `[31m]`, "killed"},
		{"LifeboatEvaluationSilent", `1800`, `18000`, "evaluation dead"},
		{"LifeboatCleanupFailing", `timer="cleanup"`, `timer="schedule"`, "cleanup silent"},
		{"LifeboatCleanupFailing", `+ 300`, `+ 300000`, "points undeleted"},
		{"LifeboatCleanupFailing", `[1d`, `[10m`, "points undeleted, then killed"},
		{"LifeboatRestoreWaiting", `[1d`, `[10m`, "restore waiting, then killed"},
		{"LifeboatRestoreIncomplete", `86400`, `864000`, "restore of nothing, a day later"},
		{"LifeboatDeadLetters", `[3d]`, `[31m]`, "dead letter, then killed"},
		{"LifeboatPlanRefused", `[3d]`, `[31m]`, "plan refused, then killed"},
		{"LifeboatCustodyLate", `late|conflict`, `conflict`, "security domain not proven"},
		{"LifeboatCustodyLate", `[3d]`, `[31m]`, "security domain not proven, then killed"},
		{"LifeboatEventsUndeliverable", `min_over_time(lifeboat_events_undeliverable[1d])`, `min_over_time(lifeboat_events_undeliverable[3d])`, "event undeliverable"},
		{"LifeboatSecondApp", `for: 90m`, `for: 10m`, "slots swapped"},
		{"LifeboatRunsMissed", `86400`, `60`, "restart with a gap"},
	} {
		t.Run(m.alert+" "+m.text, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(rulesFile)
			if err != nil {
				t.Fatal(err)
			}
			before, rest, found := strings.Cut(string(text), "- alert: "+m.alert+"\n")
			rule, after, _ := strings.Cut(rest, "- alert: ")
			if !found || !strings.Contains(rule, m.text) {
				t.Fatalf("%s has no %s", m.alert, m.text)
			}
			file := filepath.Join(t.TempDir(), "rules.yml")
			changed := before + "- alert: " + m.alert + "\n" + strings.ReplaceAll(rule, m.text, m.mistake)
			if after != "" {
				changed += "- alert: " + after
			}
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(states, func(s state) bool { return s.name == m.state })
			if i < 0 {
				t.Fatalf("there is no state %s", m.state)
			}
			if len(states[i].differences(states[i].evaluate(t, file))) == 0 {
				t.Errorf("nothing shows in the state %s that %q is %q", m.state, m.text, m.mistake)
			}
		})
	}
}
