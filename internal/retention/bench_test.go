package retention_test

import (
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/retention"
)

// hourly returns a history with a point an hour, the newest first.
func hourly(n int) (points []retention.Point) {
	for i := range n {
		at := begin.Add(-time.Duration(i) * time.Hour)
		points = append(points, retention.Point{ID: fmt.Sprintf("5bfba3ce1fe045f1-%010d-0ad2c6423cab", 9_999_999_999-at.Unix()), Began: at, Worked: time.Duration(1e6-i) * time.Hour})
	}
	return points
}

// BenchmarkEvaluate measures the specification on 10,000 points: at most 10 ms.
func BenchmarkEvaluate(b *testing.B) {
	for name, policy := range benchmarked {
		b.Run(name, func(b *testing.B) {
			r := retention.Rules{Policy: policy, Zone: zone(b, "Europe/Zurich"), Grace: 48 * time.Hour}
			points := hourly(10_000)
			clock := retention.Clock{Began: points[0].Began, Worked: points[0].Worked}
			b.ReportAllocs()
			for b.Loop() {
				r.Evaluate(points, clock, begin)
			}
		})
	}
}

var benchmarked = map[string]retention.Policy{
	"usual":    {Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3, Minimum: 1},
	"within":   {Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3, Minimum: 1, Within: 366 * 24 * time.Hour},
	"greatest": {Hourly: 133, Daily: 133, Weekly: 133, Minimum: 1},
}

// BenchmarkAdd measures one new point: at most 50 µs.
func BenchmarkAdd(b *testing.B) {
	for name, policy := range benchmarked {
		b.Run(name, func(b *testing.B) {
			r := retention.Rules{Policy: policy, Zone: zone(b, "Europe/Zurich"), Grace: 48 * time.Hour}
			points := hourly(30_000)
			clock := retention.Clock{Began: points[1].Began, Worked: points[1].Worked}
			row, _ := r.Add(r.Begin(clock), begin, points[1:]...)
			b.ReportAllocs()
			for b.Loop() {
				r.Add(row, begin, points[0])
			}
		})
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}
