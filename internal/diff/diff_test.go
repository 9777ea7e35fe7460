package diff

import (
	"testing"
	"time"
)

// TestDurationsOfAPlan checks that they are written as in plan.yaml.
func TestDurationsOfAPlan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "none", time.Second: "1s", 90 * time.Second: "90s", time.Minute: "1m", 90 * time.Minute: "90m", time.Hour: "1h", 36 * time.Hour: "36h",
		24 * time.Hour: "1d", 14 * 24 * time.Hour: "14d",
	} {
		if got := duration(d, "none"); got != want {
			t.Errorf("%s is written %s, want %s", d, got, want)
		}
	}
}
