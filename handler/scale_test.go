package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// scaled is the handler of a plan with so many targets, all of them backed up and evaluated.
func scaled(t testing.TB, n int) *app {
	targets := make([]string, n)
	d := newApp(nil)
	now := time.Now()
	for i := range targets {
		targets[i] = fmt.Sprintf("/subscriptions/%08x-0000-4000-8000-%012x/resourceGroups/production-%03d/providers/Microsoft.ApiManagement/service/contoso-%05d",
			i/100*40503, i/100, i/10, i)
		p := backup.Point{ID: "p", State: backup.Live, Target: targets[i], Plan: "nightly", Created: now.Add(-time.Hour)}
		key := backup.Key{Partition: backup.Partition(targets[i]), Row: "point-8000000000-000000000000"}
		if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: backup.Encode(p)}); err != nil {
			t.Fatal(err)
		}
	}
	plans := []backup.Plan{daily("nightly", targets...)}
	d.plans = func() ([]backup.Plan, error) { return plans, nil }
	for range 2 {
		if w := d.call("POST", "/schedule", `{"Data":{"timer":{}},"Metadata":{"sys":{"MethodName":"schedule"}}}`); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	d.log.Reset()
	return d
}

// counted is an answer that counts its bytes.
type counted struct {
	header http.Header
	bytes  int
}

func (w *counted) Header() http.Header { return w.header }
func (w *counted) WriteHeader(int)     {}
func (w *counted) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

func (d *app) get(path, encoding string) int {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := &counted{header: http.Header{}}
	d.ServeHTTP(w, r)
	return w.bytes
}

// TestRequestsOfMonitors: docs/metrics.md says what a scrape costs. A page of facts that is full asks for one more.
func TestRequestsOfMonitors(t *testing.T) {
	for n, facts := range map[int]int64{10: 1, 999: 1, 1000: 2, 2500: 3} {
		d := scaled(t, n)
		for path, more := range map[string]int64{"/api/metrics": 3, "/api/metrics?targets=false": 3, "/api/health": 1, "/api/live": -facts} {
			before := d.catalog.requests.Load()
			d.get(path, "")
			if cost := d.catalog.requests.Load() - before; cost != facts+more {
				t.Errorf("%s of %d targets costs %d requests, want %d", path, n, cost, facts+more)
			}
		}
	}
}

// heap returns the bytes of the heap's objects, dead ones that were not collected among them.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// BenchmarkMonitors says what the answers to monitors cost: bytes, bytes compressed, requests to the catalog, and the heap above
// idle at the highest. Garbage is collected at once, so that the heap has what is needed; so the time is longer than elsewhere.
func BenchmarkMonitors(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	for _, n := range []int{10, 1000, 10_000} {
		d := scaled(b, n)
		for _, path := range []string{"/api/metrics", "/api/metrics?targets=false", "/api/health"} {
			b.Run(fmt.Sprintf("%s of %d targets", path, n), func(b *testing.B) {
				plain, packed := d.get(path, ""), d.get(path, "gzip")
				runtime.GC()
				idle, most, before := heap(), uint64(0), d.catalog.requests.Load()
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					for tick := time.NewTicker(time.Millisecond); ; {
						select {
						case <-tick.C:
							most = max(most, heap())
						case <-stop:
							return
						}
					}
				}()
				rounds := 0
				for b.Loop() {
					b.StopTimer()
					runtime.GC() // else the heap has what the round before has left
					b.StartTimer()
					d.get(path, "gzip")
					rounds++
				}
				close(stop)
				<-stopped
				b.ReportMetric(float64(plain), "bytes")
				b.ReportMetric(float64(packed), "gzip-bytes")
				b.ReportMetric(float64(d.catalog.requests.Load()-before)/float64(rounds), "requests")
				b.ReportMetric(float64(max(most, idle)-idle)/(1<<20), "MiB-above-idle")
			})
		}
	}
}
