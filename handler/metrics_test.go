package handler

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
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
	targets := func(status string) string {
		return labels.FromStrings("__name__", "lifeboat_plan_targets", "plan", "nightly", "status", status).String()
	}
	if m[targets("pending")] != 1 || m[of("target_unprotected")] != 0 {
		t.Errorf("a new plan: %v", m)
	}
	if lines := d.lines(t); len(lines) != 2 || lines[0]["function"] != "metrics" {
		t.Errorf("logs %v", lines)
	}
	written := time.Now().AddDate(0, 0, -3).Truncate(time.Second)
	d.put(t, "point-8000000000-000000000000", backup.Point{ID: "p", State: backup.Live, Target: target, Plan: "nightly", Created: written})
	m = d.scrape(t)
	for name, want := range map[string]float64{
		of("target_unprotected"):               1,
		targets("unprotected"):                 1,
		targets("protected"):                   0,
		targets("pending"):                     0,
		targets("late"):                        0,
		of("recovery_point_timestamp_seconds"): float64(written.Unix()),
		`{__name__="lifeboat_plan_last_runs", plan="nightly", state="queued"}`:    1,
		`{__name__="lifeboat_plan_last_runs", plan="nightly", state="succeeded"}`: 0,
		`{__name__="lifeboat_plan_refused"}`:                                      0,
	} {
		if got, ok := m[name]; got != want || !ok {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if m[of("target_deadline_timestamp_seconds")] >= float64(time.Now().Unix()) ||
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

// TestMetricsOfAPart: each team may scrape its own plan, and a brief body has no sample of a target.
func TestMetricsOfAPart(t *testing.T) {
	d := planned(t, daily("one", target), daily("two", target+"-b"))
	facts := health.Facts{
		Target: target + "-b", Restores: []health.Restored{{ID: "r", Plan: "two", State: backup.Waiting, Created: time.Now()}},
	}
	rows := []backup.Write{{Op: backup.Put, Key: facts.Key(), Body: backup.Encode(facts)}}
	for _, of := range []string{target, target + "-b", target + "-c"} {
		key := backup.ScheduleKey(backup.DeletionPrefix + backup.Partition(of))
		rows = append(rows, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(health.Undeleted{Target: of, Points: 1})})
	}
	if _, err := d.catalog.Apply(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
	get := func(query string, status int) string {
		w := d.call("GET", "/api/metrics"+query, "")
		if w.Code != status {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
		return w.Body.String()
	}
	for query, want := range map[string][3]bool{
		"": {true, true, true}, "?targets=true": {true, true, true}, "?plan=one": {true, false, true}, "?plan=two": {false, true, true},
		"?targets=false": {true, true, false}, "?plan=two&targets=false": {false, true, false},
	} {
		text := get(query, 200)
		for i, part := range []string{`{plan="one"`, `{plan="two"`, `{target="`} {
			if strings.Contains(text, part) != want[i] {
				t.Errorf("%s: a sample with %s is %t", query, part, !want[i])
			}
		}
		if !strings.Contains(text, "\nlifeboat_plan_refused 0\n") {
			t.Errorf("%s has nothing of the app", query)
		}
		undeleted, waiting := map[string]int{"": 3, "?targets=true": 3, "?plan=one": 1, "?plan=two": 1}[query], 1
		if strings.Contains(query, "plan=one") {
			waiting = 0
		}
		if n := strings.Count(text, "\nlifeboat_recovery_points_undeleted{"); n != undeleted ||
			!strings.Contains(text, fmt.Sprintf("\nlifeboat_restores{state=\"waiting\"} %d\n", waiting)) {
			t.Errorf("%s: %d services with recovery points past their time, want %d; %d waiting restores: %s", query, n, undeleted, waiting, text)
		}
	}
	for query, words := range map[string]string{"?plan=three": "there are one, two", "?targets=no": "neither true nor false"} {
		status := map[bool]int{true: 404, false: 400}[query == "?plan=three"]
		if text := get(query, status); !strings.Contains(text, words) {
			t.Errorf("%s: %s", query, text)
		}
	}
}

// TestAnswersOfMonitorsAreCompressed: if the monitor accepts gzip; the headers say what the answer depends on.
func TestAnswersOfMonitorsAreCompressed(t *testing.T) {
	var targets []string
	for i := range 9 { // a short body is not worth it
		targets = append(targets, fmt.Sprint(target, i))
	}
	d := planned(t, daily("nightly", targets...))
	for path, vary := range map[string]string{"/api/metrics": "Accept", "/api/health": "Accept-Encoding"} {
		first := d.call("GET", path, "")
		plain := first.Body.String()
		for encoding, want := range map[string]string{
			"": "", "gzip": "gzip", "GZIP;q=0.5, br": "gzip", "gzip;q=0": "", "identity": "", "deflate, br": "", "gzip, zstd": "gzip", "zstd": "",
			"br, gzip ; Q=0.001": "gzip", "gzip;q=0.000": "", "gzip;q=NaN": "", "gzip;q=none": "", "*": "", ", gzip": "gzip",
		} {
			w := d.call("GET", path, "", "Accept-Encoding", encoding)
			if w.Code != first.Code || w.Header().Get("Content-Type") != first.Header().Get("Content-Type") {
				t.Errorf("%s, %q: %d, %v; without compression %d, %v", path, encoding, w.Code, w.Header(), first.Code, first.Header())
			}
			if got := w.Header().Get("Content-Encoding"); got != want || !slices.Contains(w.Header().Values("Vary"), vary) ||
				!slices.Contains(w.Header().Values("Vary"), "Accept-Encoding") {
				t.Errorf("%s, %q: %v", path, encoding, w.Header())
			}
			text := w.Body.String()
			if want != "" {
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				whole, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				text = string(whole)
			}
			if len(text) != len(plain) { // a time may have passed meanwhile
				t.Errorf("%s, %q: %d bytes, %d without compression", path, encoding, len(text), len(plain))
			}
		}
		if w := d.call("GET", path+"?plan=none", "", "Accept-Encoding", "gzip"); w.Code != 404 || !strings.Contains(w.Body.String(), "PlanNotFound") {
			t.Errorf("%s: a refusal is %d %s", path, w.Code, w.Body)
		}
		if w := d.call("HEAD", path, "", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: the answer to HEAD, which has no body, is compressed: %v", path, w.Header())
		}
	}
}

// TestAShortAnswerIsNotCompressed: it takes one packet anyway.
func TestAShortAnswerIsNotCompressed(t *testing.T) {
	d := newApp(nil)
	plain := d.call("GET", "/api/health", "")
	w := d.call("GET", "/api/health", "", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "" || w.Code != plain.Code || w.Body.Len() != plain.Body.Len() || w.Body.Len() >= 1024 {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

// TestLive: the platform's own check has no key. Settings that cannot be used are no reason to begin the process anew.
func TestLive(t *testing.T) {
	broken := newApp(func(c *Config) { c.Engine, c.Broken = nil, errors.New("the app setting LIFEBOAT_PLAN is missing") })
	for name, d := range map[string]*app{"well": newApp(nil), "broken": broken} {
		for _, method := range []string{"GET", "HEAD"} {
			w := d.call(method, "/api/live", "")
			if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" || method == "GET" && w.Body.String() != `{"live":true}`+"\n" {
				t.Errorf("%s, %s: %d %v %s", name, method, w.Code, w.Header(), w.Body)
			}
		}
	}
}

// TestHealthWithoutTargets: it has the numbers of the targets, and the same status.
func TestHealthWithoutTargets(t *testing.T) {
	d := planned(t, daily("one", target, target+"-b"), daily("two", target+"-c"))
	d.backedUp(t, target, time.Hour)
	for query, want := range map[string]map[health.Protection]int{
		"?targets=false": {"protected": 1, "pending": 2}, "?targets=false&plan=two": {"pending": 1},
	} {
		var v api.Health
		w := d.call("GET", "/api/health"+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if w.Code != 200 || v.OverallStatus != health.Pending || len(v.Targets) != 0 || !maps.Equal(v.Counts, want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}
