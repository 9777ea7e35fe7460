package handler

import (
	"strings"
	"testing"
)

// TestTheTimeZonesAreNamed checks that monitors see the version of the time zones: it explains the times of scheduled times.
func TestTheTimeZonesAreNamed(t *testing.T) {
	d := newApp(func(c *Config) { c.TimeZones = "2026f" })
	if w := d.call("GET", "/api/health", ""); !strings.Contains(w.Body.String(), `"timeZones":"2026f"`) {
		t.Errorf("health: %s", w.Body)
	}
	if w := d.call("GET", "/api/metrics", ""); !strings.Contains(w.Body.String(), "\nlifeboat_time_zones_info{version=\"2026f\"} 1\n") {
		t.Errorf("metrics: %s", w.Body)
	}
}
