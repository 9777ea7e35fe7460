package metrics_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/health"
	"lifeboat/internal/metrics"
	"lifeboat/internal/schedule"
)

var now = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

// state is the state of an app with so many targets, each backed up an hour ago.
func state(targets int) metrics.State {
	s := metrics.State{Version: "v1", GoVersion: "go1", TimeZones: "2026f", Plans: []backup.Plan{{Name: "nightly"}, {Name: "weekly"}}}
	for i := range targets {
		s.Targets = append(s.Targets, health.TargetHealth{
			Target: fmt.Sprintf("/subscriptions/%08x-0000-4000-8000-%012x/resourceGroups/production-%03d/providers/Microsoft.ApiManagement/service/contoso-%05d",
				i/100*2654435761%4294967296, i/100*40503, i/10, i),
			Plan: "nightly", Status: health.Protected, Point: &health.Verified{ID: "p", Created: now.Add(-time.Hour), AsOf: now.Add(-time.Hour - time.Duration(i)*time.Second)},
			Deadline: now.Add(time.Duration(i) * time.Second), Interval: 24 * time.Hour, LastRun: &health.Ran{State: backup.Succeeded},
		})
	}
	return s
}

// read returns the samples by name and labels, as Prometheus itself reads them.
func read(t *testing.T, text []byte, f metrics.Format) map[string]float64 {
	t.Helper()
	p := textparse.NewPromParser(text, labels.NewSymbolTable())
	if f == metrics.OpenMetrics {
		p = textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	}
	samples := map[string]float64{}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return samples
		case err != nil:
			t.Fatal(err)
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

// TestAnyLabelSurvives checks that the value of a label comes out unchanged in both formats.
func TestAnyLabelSurvives(t *testing.T) {
	for _, value := range []string{`a"b`, `a\`, `a\n`, "a\nb", "ä𝄞", "{}", `",x="`, "a\rb", " "} {
		s := state(1)
		s.Targets[0].Target, s.Targets[0].Plan, s.Plans = value, value, []backup.Plan{{Name: value}}
		want := labels.FromStrings("__name__", "lifeboat_target_unprotected", "plan", value, "target", value).String()
		for _, f := range []metrics.Format{metrics.Text, metrics.OpenMetrics} {
			var text bytes.Buffer
			if err := metrics.Write(&text, f, s); err != nil {
				t.Fatal(err)
			}
			if got, ok := read(t, text.Bytes(), f)[want]; !ok || got != 0 {
				t.Errorf("%s: %q is lost in %s", f, value, text.String())
			}
		}
	}
}

// TestStateOfTheWhole holds the families that are of no single target, sample by sample.
func TestStateOfTheWhole(t *testing.T) {
	s := state(3)
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	s.Plans[0].Schedule, s.Plans[1].Schedule = schedule.Schedule{Zone: time.UTC}, schedule.Schedule{Zone: time.UTC}
	s.Plans = append(s.Plans, backup.Plan{Name: "new"})
	s.DeadLetters, s.EventsWaiting, s.EventsUndeliverable, s.Refused, s.All = 3, 4, 5, true, true
	s.Targets[1].Status, s.Targets[1].LastRun = health.Unprotected, &health.Ran{State: backup.Running}
	s.Targets[1].LastEnded, s.Targets[2].LastEnded = &health.Ran{State: backup.Failed, Ended: hour(-1)}, &health.Ran{State: backup.Succeeded, Ended: hour(-1)}
	s.Targets[2].Incomplete, s.Targets[2].Point = true, nil
	s.Targets[1].Proof, s.Targets[2].Proof = &backup.Proof{Status: backup.Proven, Until: hour(5)}, &backup.Proof{Status: backup.ProofLate}
	s.Timers = health.TimersHealth{
		Apps: health.Apps{App: "a", Owner: "b", Others: []health.OtherApp{{App: "c"}}},
		Timers: []health.TimerHealth{
			{Timer: "schedule", Last: hour(-1), Deadline: hour(1)}, {Timer: "cleanup"},
		},
		Checkpoints: []checkpoint.Checkpoint{
			{Plan: "nightly", LastMissedRuns: schedule.MissedRuns{Count: 2, First: hour(-9), Last: hour(-8)}},
			{Plan: "weekly"},
			{Plan: "new", Edited: hour(-5)},
			{Plan: "former", LastMissedRuns: schedule.MissedRuns{Count: 2, First: hour(-9), Last: hour(-8)}},
		},
		Evaluations: []health.Evaluation{{Plan: "nightly", At: hour(-2), Again: hour(3)}, {Plan: "weekly", At: hour(-3)}},
		Stock: health.Stock{At: hour(-4), Points: []health.Stocked{
			{Plan: "nightly", State: backup.Live, Points: 7, Bytes: 1 << 40}, {Plan: "former", State: backup.Suspect, Points: 1, Bytes: 2},
		}},
		Restores: []health.Restored{
			{Target: "/x", State: backup.Waiting, Created: hour(-1)},
			{Target: "/X", State: backup.Queued, Created: hour(-2)},
			{Target: "/x", State: backup.Failed, Ended: hour(-3), Extent: backup.RestoredNothing},
			{Target: "/y", State: backup.Succeeded, Ended: hour(-4), Extent: backup.RestoredPart},
			{Target: "/z", State: backup.Succeeded, Ended: hour(-4), Extent: backup.RestoredAll},
			{Target: "/w", State: backup.Canceled, Ended: hour(-4), Extent: backup.RestoredNothing},
		},
		Undeleted: []health.Undeleted{{Target: "/x", Points: 6}},
	}
	body := func(s metrics.State) map[string]float64 {
		var text bytes.Buffer
		if err := metrics.Write(&text, metrics.OpenMetrics, s); err != nil {
			t.Fatal(err)
		}
		return read(t, text.Bytes(), metrics.OpenMetrics)
	}
	at := func(n int) float64 { return float64(hour(n).Unix()) }
	got, counts := body(s), map[string]int{}
	for name := range got {
		family, _, _ := strings.Cut(strings.TrimPrefix(name, `{__name__="`), `"`)
		counts[family]++
	}
	target := s.Targets[1].Target
	for name, want := range map[string]float64{
		`lifeboat_dead_letters"`: 3, `lifeboat_events_waiting"`: 4, `lifeboat_events_undeliverable"`: 5, `lifeboat_plan_refused"`: 1, `lifeboat_other_apps"`: 2,
		`lifeboat_timer_last_run_timestamp_seconds", timer="schedule"`:                                           at(-1),
		`lifeboat_timer_deadline_timestamp_seconds", timer="schedule"`:                                           at(1),
		`lifeboat_plan_last_missed_timestamp_seconds", plan="nightly"`:                                           at(-8),
		`lifeboat_plan_evaluated_timestamp_seconds", plan="nightly"`:                                             at(-2),
		`lifeboat_plan_evaluated_timestamp_seconds", plan="weekly"`:                                              at(-3),
		`lifeboat_plan_evaluation_due_timestamp_seconds", plan="new"`:                                            at(-5),
		`lifeboat_plan_evaluation_due_timestamp_seconds", plan="nightly"`:                                        at(3),
		`lifeboat_plan_targets", plan="nightly", status="protected"`:                                             2,
		`lifeboat_plan_targets", plan="nightly", status="unprotected"`:                                           1,
		`lifeboat_plan_targets", plan="weekly", status="unprotected"`:                                            0,
		`lifeboat_plan_last_runs", plan="nightly", state="running"`:                                              1,
		`lifeboat_plan_last_runs", plan="nightly", state="succeeded"`:                                            2,
		`lifeboat_plan_last_runs", plan="nightly", state="failed"`:                                               0,
		`lifeboat_recovery_points", plan="nightly", state="live"`:                                                7,
		`lifeboat_recovery_points", plan="weekly", state="live"`:                                                 0,
		`lifeboat_recovery_points", plan="former", state="suspect"`:                                              1,
		`lifeboat_recovery_points_bytes", plan="nightly", state="live"`:                                          1 << 40,
		`lifeboat_recovery_points_counted_timestamp_seconds"`:                                                    at(-4),
		`lifeboat_restores", state="waiting"`:                                                                    1,
		`lifeboat_restores", state="succeeded"`:                                                                  2,
		`lifeboat_restores", state="running"`:                                                                    0,
		`lifeboat_restore_waiting_since_timestamp_seconds", target="/X"`:                                         at(-2),
		`lifeboat_restore_incomplete_timestamp_seconds", restored="nothing", target="/x"`:                        at(-3),
		`lifeboat_restore_incomplete_timestamp_seconds", restored="part", target="/y"`:                           at(-4),
		`lifeboat_recovery_points_undeleted", target="/x"`:                                                       6,
		`lifeboat_target_failed_run_timestamp_seconds", plan="nightly", state="failed", target="` + target + `"`: at(-1),
		`lifeboat_target_unprotected", plan="nightly", target="` + target + `"`:                                  1,
		`lifeboat_plan_custody", plan="nightly", status="proven"`:                                                1,
		`lifeboat_plan_custody", plan="nightly", status="late"`:                                                  1,
		`lifeboat_plan_custody", plan="nightly", status="conflict"`:                                              0,
		`lifeboat_custody_deadline_timestamp_seconds", plan="nightly", target="` + target + `"`:                  at(5),
		`lifeboat_catalog_incomplete", plan="nightly", target="` + s.Targets[2].Target + `"`:                     1,
	} {
		if value, ok := got[`{__name__="`+name+`}`]; !ok || value != want {
			t.Errorf("%s is %v, %t, want %v", name, value, ok, want)
		}
	}
	for family, want := range map[string]int{
		"lifeboat_timer_last_run_timestamp_seconds": 1, "lifeboat_timer_deadline_timestamp_seconds": 1, "lifeboat_plan_last_missed_timestamp_seconds": 1,
		"lifeboat_plan_evaluation_due_timestamp_seconds": 2, "lifeboat_plan_targets": 3 * 5, "lifeboat_plan_last_runs": 3 * 12, "lifeboat_restores": 12,
		"lifeboat_recovery_points": 3*7 + 1, "lifeboat_restore_waiting_since_timestamp_seconds": 1, "lifeboat_restore_incomplete_timestamp_seconds": 2,
		"lifeboat_target_failed_run_timestamp_seconds": 1, "lifeboat_catalog_incomplete": 1, "lifeboat_custody_deadline_timestamp_seconds": 1, "lifeboat_recovery_point_timestamp_seconds": 2,
		"lifeboat_target_unprotected": 3, "lifeboat_plan_custody": 4, // one plan asks
	} {
		if counts[family] != want {
			t.Errorf("%d samples of %s, want %d", counts[family], family, want)
		}
	}
	s.Timers.Evaluations[1] = health.Evaluation{Plan: "weekly"}
	s.Timers.Stock.Points = append(s.Timers.Stock.Points, health.Stocked{State: backup.Live, Points: 9})
	for name := range body(s) {
		if strings.Contains(name, `"weekly"`) && (strings.Contains(name, "evaluated") || strings.Contains(name, "recovery_points")) {
			t.Errorf("%s of a plan that was never evaluated, and may be in the sum", name)
		}
	}
	s.All, s.Brief, s.Timers.Stock.At = false, true, time.Time{}
	for name := range body(s) {
		if strings.Contains(name, `target="`) || strings.Contains(name, "recovery_points") || strings.Contains(name, "former") {
			t.Errorf("a brief body without a count has %s", name)
		}
	}
}

// TestSizeOfTheBody: vmagent takes 16 MiB of a body, so 10,000 targets take half of that at the most. A body is compressed to a
// sixteenth, since the names of the targets are alike.
func TestSizeOfTheBody(t *testing.T) {
	for _, f := range []metrics.Format{metrics.Text, metrics.OpenMetrics} {
		var plain, packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if err := metrics.Write(io.MultiWriter(&plain, z), f, state(10_000)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if plain.Len() > 8_000_000 || packed.Len() > 500_000 {
			t.Errorf("%s: %d bytes for 10,000 targets, %d compressed", f, plain.Len(), packed.Len())
		}
		t.Logf("%d bytes for 10,000 targets, %d compressed", plain.Len(), packed.Len())
	}
}

// TestABodyIsWrittenAsAStream: its memory does not grow with the number of the targets, in any of its parts.
func TestABodyIsWrittenAsAStream(t *testing.T) {
	parts, longest := 0, 0
	w := writerFunc(func(p []byte) (int, error) {
		parts, longest = parts+1, max(longest, len(p))
		return len(p), nil
	})
	s := state(1000)
	if err := metrics.Write(w, metrics.Text, s); err != nil || parts < 10 || longest > 64<<10 {
		t.Errorf("%v: %d parts, the longest of %d bytes", err, parts, longest)
	}
	if err := metrics.Write(writerFunc(func([]byte) (int, error) { return 0, os.ErrClosed }), metrics.Text, s); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a scraper that is gone: %v", err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// BenchmarkWrite says what a body costs: its bytes, plain and compressed, and the memory that it takes while it is written.
func BenchmarkWrite(b *testing.B) {
	for _, targets := range []int{10, 1000, 10_000} {
		s := state(targets)
		b.Run(fmt.Sprint(targets), func(b *testing.B) {
			b.ReportAllocs()
			var plain, packed bytes.Buffer
			for b.Loop() {
				plain.Reset()
				packed.Reset()
				z := gzip.NewWriter(&packed)
				_ = metrics.Write(io.MultiWriter(&plain, z), metrics.Text, s)
				_ = z.Close()
			}
			b.ReportMetric(float64(plain.Len()), "plain-bytes")
			b.ReportMetric(float64(packed.Len()), "gzip-bytes")
		})
	}
	runtime.KeepAlive(b)
}

// TestPage: docs/metrics.md has the families as a table.
func TestPage(t *testing.T) {
	var table strings.Builder
	table.WriteString("| metric | labels | value | missing if | rows |\n|---|---|---|---|---|\n")
	for _, f := range metrics.Families {
		names := ""
		if len(f.Labels) > 0 {
			names = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		says := strings.ToLower(f.Help[:1]) + strings.TrimSuffix(f.Help[1:], ".")
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", f.Name, names, says, f.Missing, f.Reads)
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/metrics.md lacks this table:\n%s", table.String())
	}
}

// TestFamilies holds the names by the conventions of Prometheus: base units, and no words for what a label says.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range metrics.Families {
		if seen[f.Name] || !strings.HasPrefix(f.Name, "lifeboat_") || strings.HasSuffix(f.Name, "_total") || f.Reads == "" || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
	}
}
