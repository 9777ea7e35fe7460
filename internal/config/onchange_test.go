package config_test

import (
	"testing"
	"time"
)

// TestOnChange checks the time without changes: up to an hour, and only of services that tell of their changes.
func TestOnChange(t *testing.T) {
	for text, want := range map[string]time.Duration{"1s": time.Second, "10m": 10 * time.Minute, "60m": time.Hour, "1h": time.Hour, "3600s": time.Hour} {
		if p := parseOne(t, []string{gateways + "a"}, "onChange: {quiet: "+text+"}"); p.Quiet != want {
			t.Errorf("%s is %s", text, p.Quiet)
		}
	}
	for _, text := range []string{"61m", "2h", "3601s", "1d", "1w", "999999m"} {
		refused(t, "is longer than an hour: a backup comes an hour after the first change at the latest", []string{gateways + "a"}, "onChange: {quiet: "+text+"}")
	}
	refused(t, "is not a time such as 30d", []string{gateways + "a"}, "onChange: {quiet: 0m}")
	refused(t, "quiet", []string{gateways + "a"}, "onChange: {}")
	const hsm = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.KeyVault/managedHSMs/hsm-a"
	refused(t, "onChange is for API Management, of which the plan has no target", []string{hsm}, "onChange: {quiet: 10m}")
}
