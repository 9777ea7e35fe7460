package handler

import (
	"errors"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"lifeboat/internal/backup"
)

// parsed are the samples by name and labels, as Prometheus itself reads them.
func parsed(t *testing.T, p textparse.Parser) map[string]float64 {
	t.Helper()
	samples := map[string]float64{}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return samples
		case err != nil:
			t.Fatal(err)
		case entry == textparse.EntryType:
			if _, kind := p.Type(); kind != "gauge" {
				t.Errorf("a family is a %s", kind)
			}
		case entry == textparse.EntrySeries:
			var l labels.Labels
			p.Metric(&l)
			_, _, value := p.Series()
			if _, twice := samples[l.String()]; twice {
				t.Errorf("%s comes twice", l)
			}
			samples[l.String()] = value
		}
	}
}

// scrape asks in both formats, and checks that the samples are the same.
func (d *app) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	w := d.call("GET", "/api/metrics", "", "Accept", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2")
	if kind := w.Header().Get("Content-Type"); w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" ||
		kind != "application/openmetrics-text; version=1.0.0; charset=utf-8" || !strings.HasSuffix(w.Body.String(), "\n# EOF\n") {
		t.Errorf("%d %s %s", w.Code, kind, w.Body)
	}
	open := parsed(t, textparse.NewOpenMetricsParser(w.Body.Bytes(), labels.NewSymbolTable()))
	w = d.call("GET", "/api/metrics", "")
	if kind := w.Header().Get("Content-Type"); w.Code != 200 || kind != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%d %s %s", w.Code, kind, w.Body)
	}
	plain := parsed(t, textparse.NewPromParser(w.Body.Bytes(), labels.NewSymbolTable()))
	if len(plain) != len(open) {
		t.Errorf("%d samples in one format, %d in the other", len(plain), len(open))
	}
	return open
}

func TestMetrics(t *testing.T) {
	d := healthHandler(t)
	of := func(name string, more ...string) string {
		l := append([]string{"__name__", "lifeboat_" + name, "target", target, "plan", "nightly"}, more...)
		return labels.FromStrings(l...).String()
	}
	m := d.scrape(t)
	if built := `{__name__="lifeboat_build_info", goversion="` + runtime.Version() + `", version="v1"}`; m[built] != 1 {
		t.Errorf("no %s: %v", built, m)
	}
	if m[of("target_status", "status", "pending")] != 1 || m[of("target_interval_seconds")] != 24*60*60 {
		t.Errorf("a new plan: %v", m)
	}
	if lines := d.lines(t); len(lines) != 2 || lines[0]["function"] != "metrics" {
		t.Errorf("logs %v", lines)
	}
	written := time.Now().AddDate(0, 0, -3).Truncate(time.Second)
	d.put(t, "point-8000000000-000000000000", backup.Point{ID: "p", State: backup.Live, Target: target, Plan: "nightly", Created: written})
	m = d.scrape(t)
	age := m[of("recovery_point_age_seconds")]
	for name, want := range map[string]float64{
		of("target_status", "status", "unprotected"):   1,
		of("target_status", "status", "protected"):     0,
		of("target_status", "status", "pending"):       0,
		of("target_status", "status", "late"):          0,
		of("recovery_point_created_timestamp_seconds"): float64(written.Unix()),
		of("run_last_state", "state", "queued"):        1,
		`{__name__="lifeboat_runs_in_flight"}`:         1,
		`{__name__="lifeboat_plan_refused"}`:           0,
	} {
		if got, ok := m[name]; got != want || !ok {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if age < 3*86400-10 || age > 3*86400+60 || m[of("target_deadline_timestamp_seconds")] >= float64(time.Now().Unix()) ||
		m[`{__name__="lifeboat_plan_next_scheduled_timestamp_seconds", plan="nightly"}`] < float64(time.Now().Unix()) {
		t.Errorf("unprotected: %v", m)
	}
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
	if m := d.scrape(t); m[`{__name__="lifeboat_plan_refused"}`] != 1 {
		t.Errorf("a refused plan: %v", m)
	}
	broken := newApp(func(c *Config) { c.Engine, c.Broken = nil, errors.New("the app setting LIFEBOAT_PLAN is missing") })
	if w := broken.call("GET", "/api/metrics", ""); w.Code != 503 {
		t.Errorf("settings that cannot be used: %d", w.Code)
	}
}

// TestMetricsSurviveAnyLabel checks that the value of a label comes out unchanged.
func TestMetricsSurviveAnyLabel(t *testing.T) {
	for _, value := range []string{`a"b`, `a\`, `a\n`, "a\nb", "ä𝄞", "{}", `",x="`} {
		var m metrics
		m.family("lifeboat_x", "Words.")
		m.sample(1.5, "plan", value, "status", "s")
		want := labels.FromStrings("__name__", "lifeboat_x", "plan", value, "status", "s").String()
		table := labels.NewSymbolTable()
		for name, p := range map[string]textparse.Parser{
			"plain": textparse.NewPromParser([]byte(m.text.String()), table),
			"open":  textparse.NewOpenMetricsParser([]byte(m.text.String()+"# EOF\n"), table),
		} {
			if got := parsed(t, p); got[want] != 1.5 || len(got) != 1 {
				t.Errorf("%s: %q became %v", name, value, got)
			}
		}
	}
}

// TestMetricsAreDocumented checks that the page has all metrics and no others.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, text string) []string {
		var found []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	w := healthHandler(t).call("GET", "/api/metrics", "")
	written, wanted := names("(?m)^# TYPE (lifeboat_[a-z_]+)", w.Body.String()), names("`(lifeboat_[a-z_]+)", string(text))
	if !slices.Equal(written, wanted) || len(written) < 8 {
		t.Errorf("written %q\n documented %q", written, wanted)
	}
}
