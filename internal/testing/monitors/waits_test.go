package monitors

import (
	"os"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
)

// TestAFormerWaitIsOver: a restore waited for ten minutes by one instance of the app. Hours later another restore into the same service
// waits, by another instance. Its own wait counts.
func TestAFormerWaitIsOver(t *testing.T) {
	values := func(v float64, from, to int) []*float64 {
		all := make([]*float64, 241)
		for i := from; i < to; i++ {
			all[i] = &v
		}
		return all
	}
	of := func(name, instance string, more ...string) labels.Labels {
		return labels.FromStrings(append([]string{"__name__", name, "job", "lifeboat", "instance", instance}, more...)...)
	}
	const info, waits = "lifeboat_build_info", "lifeboat_restore_waiting_since_timestamp_seconds"
	for name, last := range map[string]float64{"short": 180, "long": 150} {
		db, engine := store(t, []*series{
			{of(info, "one"), values(1, 0, 60)},
			{of(waits, "one", "target", "t"), values(10*60, 10, 20)},
			{of(info, "two"), values(1, 60, 241)},
			{of(waits, "two", "target", "t"), values(last*60, int(last), 241)},
		}), newEngine()
		defer engine.Close()
		text, err := os.ReadFile(rulesFile)
		if err != nil {
			t.Fatal(err)
		}
		groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parsed, promslog.NewNopLogger())
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, r := range groups.Groups[0].Rules {
			if r.Alert != "LifeboatRestoreWaiting" {
				continue
			}
			for minute := 0; minute <= 240; minute++ {
				q, err := engine.NewInstantQuery(t.Context(), db, nil, r.Expr, time.Unix(int64(minute)*60, 0))
				if err != nil {
					t.Fatal(err)
				}
				v, err := q.Exec(t.Context()).Vector()
				if err != nil {
					t.Fatal(err)
				}
				if fires := len(v) > 0; fires != (minute > int(last)+60) {
					t.Errorf("%s, minute %d: %s", name, minute, v)
					break
				}
			}
		}
	}
}
