package config_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestBackupsByHandHaveTheirOwnTime checks that no rule of keep shortens the time of a backup by hand or of a safety backup. The time is 90 days, or as long as the service can restore, unless onDemand.keep says it.
func TestBackupsByHandHaveTheirOwnTime(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		target, keep   string
		byHand, safety time.Duration
	}{
		{anHSM, "keep: {within: 1d, minimum: 2}", 90 * day, 90 * day},
		{anHSM, "keep: {within: 1h, last: 2}", 90 * day, 90 * day},
		{anHSM, "keep: {daily: 7}", 90 * day, 90 * day},
		{anHSM, "keep: {within: 400d}", 90 * day, 400 * day},
		{anHSM, "keep: {within: 30d}\n    onDemand: {keep: {within: 7d}}", 7 * day, 30 * day},
		{anAPIM, "keep: {within: 2d}", 30 * day, 30 * day},
	} {
		plans, _, err := reader.Parse("plan.yaml", planOf(test.target, append([]string{nightly}, strings.Split(test.keep, "\n    ")...)...))
		if err != nil {
			t.Fatal(err)
		}
		if got := plans[0].OnDemand().KeepWithin; got != test.byHand {
			t.Errorf("%s: a backup by hand goes after %s", test.keep, got)
		}
		if got := plans[0].Safety().KeepWithin; got != test.safety {
			t.Errorf("%s: the safety backup of a restore goes after %s", test.keep, got)
		}
	}
}

// TestASelectedTypeHasAHorizon checks that a plan that selects API Management services alone is judged before one is found as it is with
// one: else the app refuses the plan.yaml that was good for plan check.
func TestASelectedTypeHasAHorizon(t *testing.T) {
	for _, keep := range []string{"{within: 52w}", "{monthly: 12}", "{within: 30d}"} {
		text := strings.Replace(strings.Replace(selecting, "keep: {within: 20d}\n    hsm: {access: sas}", "keep: "+keep, 1), "    targets:", "    # targets:", 1)
		text = strings.Replace(text, "select: {", "select: {types: [Microsoft.ApiManagement/service], ", 1)
		pick := backup.Pick{
			Plan:    "nightly",
			Key:     backup.Select{Types: []string{"Microsoft.ApiManagement/service"}, Subscriptions: []string{"0c0ffee0-0000-4000-8000-000000000001"}}.Key(),
			Targets: []string{"/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.ApiManagement/service/one"},
		}
		_, warned, checked := reader.Parse("plan.yaml", []byte(text))
		_, warnedLater, active := reader.Parse("plan.yaml", backup.WithPicks([]byte(text), []backup.Pick{pick}))
		if (checked == nil) != (active == nil) || (len(warned) == 0) != (len(warnedLater) == 0) {
			t.Errorf("keep: %s: plan check says %q, %v, and the app with one service %q, %v", keep, warned, checked, warnedLater, active)
		}
		if good := keep == "{within: 30d}"; good != (checked == nil && len(warned) == 0) {
			t.Errorf("keep: %s: %q, %v", keep, warned, checked)
		}
	}
}
