package config_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

// planOf returns a file with one plan: its target begins at line 9, its fields stand one a line from line 10 on.
func planOf(target string, fields ...string) []byte {
	return []byte(`version: 1
defaults:
  storage:
    account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/contosobackups
    container: lifeboat
plans:
  - name: p
    targets:
      - /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/` + target + "\n    " + strings.Join(fields, "\n    ") + "\n")
}

const (
	anHSM     = "Microsoft.KeyVault/managedHSMs/contoso-hsm"
	anAPIM    = "Microsoft.ApiManagement/service/contoso"
	aCCF      = "Microsoft.ConfidentialLedger/managedCCFs/contoso-ccf"
	aLedger   = "Microsoft.ConfidentialLedger/ledgers/contoso-ledger"
	aDay      = 24 * time.Hour
	nightly   = `schedule: "0 1 * * *"`
	forAMonth = "keep: {within: 30d}"
)

// TestNoTimeOverflows checks that each time is read exactly, or refused with its line and the bound.
func TestNoTimeOverflows(t *testing.T) {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"w", 7 * aDay}, {"d", aDay}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		for _, count := range []int64{
			1, 52, 366, 367, 5214, 5215, 9999, 10_000, 15_250, 20_000, 36_500, 36_501, 40_000, 99_999, 106_752, 200_000, 876_000, 876_001, 999_999,
		} {
			written := new(big.Int).Mul(big.NewInt(count), big.NewInt(int64(unit.length)))
			for _, field := range []struct {
				line string
				at   int
				most time.Duration
				read func(backup.Plan) time.Duration
			}{
				{"keep: {within: %s}", 11, backup.LongestKeep, func(p backup.Plan) time.Duration { return p.Settings.KeepWithin }},
				{"onDemand: {keep: {within: %s}}", 12, backup.LongestKeep, func(p backup.Plan) time.Duration { return p.OnDemandKeepWithin }},
				{"window: %s", 12, backup.LongestWindow, func(p backup.Plan) time.Duration { return p.Window }},
				{"jitter: %s", 12, backup.LongestWindow, func(p backup.Plan) time.Duration { return p.Jitter }},
			} {
				text := fmt.Sprintf(field.line, fmt.Sprint(count, unit.name))
				fields := []string{nightly, forAMonth, text}
				if field.at == 11 {
					fields = []string{nightly, text}
				}
				plans, _, err := reader.Parse("plan.yaml", planOf(anHSM, fields...))
				if unit.name == "m" && strings.Contains(field.line, "keep") {
					if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("plan.yaml:%d: within %s: keep has no unit m", field.at, fmt.Sprint(count, "m"))) {
						t.Errorf("%s: %v", text, err)
					}
					continue
				}
				if written.Cmp(big.NewInt(int64(field.most))) <= 0 {
					if err != nil || big.NewInt(int64(field.read(plans[0]))).Cmp(written) != 0 {
						t.Errorf("%s: %+v, %v", text, plans, err)
					}
					continue
				}
				want := fmt.Sprintf("longer than %d days: ", int(field.most.Hours()/24))
				if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("plan.yaml:%d: ", field.at)) || strings.Count(err.Error(), want) != 1 {
					t.Errorf("%s: %v, want line %d and %q once", text, err, field.at, want)
				}
			}
		}
	}
}

// TestWarnings checks that a probable mistake in a valid plan gets a warning with its line, and that the plan is accepted.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, target string
		fields       []string
		line         int
		want         string // "" for none
	}{
		{"nightly", anAPIM, []string{nightly, forAMonth}, 0, ""},
		{"monthly, which is up to 31 days", anAPIM, []string{`schedule: "0 1 1 * *"`, forAMonth}, 10, "up to 31 days between two scheduled times, and"},
		{"each fourth week would do, cron has none", anAPIM, []string{`schedule: "0 1 1,15 * *"`, "keep: {within: 20d}"}, 0, ""},
		{"as rarely as API Management restores", anAPIM, []string{`schedule: "0 1 1,31 * *"`, forAMonth}, 11, "within 30d is no longer than the 30 days"},
		{"quarterly", anAPIM, []string{`schedule: "0 1 1 */3 *"`, forAMonth}, 10, "up to 92 days between two scheduled times"},
		{"in one hour of one day a year", anAPIM, []string{`schedule: "*/30 1 1 1 *"`, forAMonth}, 10, "can restore no backup that is older than 30 days"},
		{"quarterly, of a service that restores for 90 days", aCCF, []string{`schedule: "0 1 1 */3 *"`, "keep: {within: 90d}"}, 10, "older than 90 days"},
		{"monthly, of a service that restores for 90 days", aCCF, []string{`schedule: "0 1 1 * *"`, "keep: {within: 90d}"}, 0, ""},
		{"yearly, of a service that restores for good", anHSM, []string{`schedule: "0 1 1 1 *"`, "keep: {within: 520w}"}, 0, ""},
		{"more of them than can be restored", anAPIM, []string{`schedule: "0 1 * * SUN"`, "keep: {within: 30d, minimum: 6}"}, 11, "up to 7 days between two scheduled times, and"},
		{"more of them than can be restored, in a few words", anAPIM, []string{`schedule: "0 1 * * SUN"`, "keep: {within: 30d, minimum: 6}"}, 11, "fewer than 6 may be left"},
		{"counts within what can be restored", anAPIM, []string{nightly, "keep: {daily: 7, weekly: 4}"}, 0, ""},
		{"counts beyond what can be restored", anAPIM, []string{nightly, "keep: {daily: 7, monthly: 3}"}, 11, "monthly: 3 reaches further back than"},
		{"months that may be too long for it", anAPIM, []string{nightly, "keep: {daily: 7, monthly: 2}"}, 11, "monthly: 2 reaches further back than"},
		{"months that may be too long for 90 days", aCCF, []string{nightly, "keep: {daily: 7, monthly: 4}"}, 11, "monthly: 4 reaches further back than"},
		{"months that are never too long", aCCF, []string{nightly, "keep: {daily: 7, monthly: 3}"}, 0, ""},
		{"weeks that are never too long", anAPIM, []string{nightly, "keep: {daily: 7, weekly: 5}"}, 0, ""},
		{"the last ones beyond it", anAPIM, []string{`schedule: "0 1 * * SUN"`, "keep: {last: 6}"}, 11, "last: 6 reaches further back than"},
		{"years of a service that restores for good", anHSM, []string{nightly, "keep: {daily: 7, yearly: 10}"}, 0, ""},
		{"one at a time", anHSM, []string{nightly, "keep: {daily: 1}"}, 11, "keep holds one recovery point of each target at a time"},
		{"one at a time, and another by minimum", anHSM, []string{nightly, "keep: {daily: 1, minimum: 2}"}, 0, ""},
		{"one at a time, and all of some days", anHSM, []string{nightly, "keep: {yearly: 1, within: 7d}"}, 0, ""},
		{"a time that is short beside counts", anHSM, []string{nightly, "keep: {daily: 7, within: 5h}"}, 0, ""},
		{"no keep", anHSM, []string{nightly}, 7, "without keep nothing of the plan's schedule is ever deleted"},
		{"as many as can be restored", anAPIM, []string{`schedule: "0 1 * * SUN"`, "keep: {within: 30d, minimum: 5}"}, 0, ""},
		{"each second", anAPIM, []string{`schedule: "* 30 2 * * *"`, forAMonth}, 10, "several scheduled times within a minute"},
		{"each second", anAPIM, []string{`schedule: "* 30 2 * * *"`, forAMonth}, 10, `"* 30 2 * * *" comes due 60 times in a row, 1s apart at the least`},
		{"each minute", anHSM, []string{`schedule: "* * * * *"`, forAMonth}, 10, `"* * * * *" comes due 1440 times in a row, 1m apart at the least, but a ` +
			"backup of Microsoft.KeyVault/managedHSMs may take 5m: a run that still waits when the next scheduled time comes is superseded"},
		{"as fast as API Management is", anAPIM, []string{`schedule: "*/30 * * * *"`, forAMonth}, 0, ""},
		{"faster than that", anAPIM, []string{`schedule: "0,29 8-10 * * *"`, forAMonth}, 10, "comes due 2 times in a row, 29m apart at the least, but a backup of Microsoft.ApiManagement/service may take 30m"},
		{"as fast as a Managed HSM is", anHSM, []string{`schedule: "*/5 * * * *"`, forAMonth}, 0, ""},
		{"closer than the jitter", anAPIM, []string{`schedule: "0 1,2 * * *"`, forAMonth, "jitter: 90m"}, 10, "2 times in a row, 1h apart at the least, but jitter spreads the runs over 1h30m"},
		{"closer than a backup and the jitter", anAPIM, []string{`schedule: "0,29 8-10 * * *"`, forAMonth, "jitter: 45m"}, 10, "29m apart at the least, but a backup of Microsoft.ApiManagement/service may take 30m"},
		{"closer than the window", anAPIM, []string{`schedule: "0 1-3 * * *"`, forAMonth, "window: 2h"}, 10, "3 times in a row, 1h apart at the least, but window lets runs wait for 2h"},
		{"a lone 7", anAPIM, []string{`schedule: "0 1 * * 7"`, "keep: {within: 8d}"}, 10, `7 among the days of the week is Sunday here, Saturday in Quartz and AWS, and refused by NCRONTAB and Kubernetes: write SUN ("0 1 * * SUN")`},
		{"seconds that are one instant", anAPIM, []string{`schedule: "7 30 2 * * *"`, forAMonth}, 0, ""},
		{"kept for less than a day", anAPIM, []string{nightly, "keep: {within: 23h}"}, 11, "within 23h is shorter than the 24 hours"},
		{"kept for seconds", anAPIM, []string{nightly, "keep: {within: 604800s}"}, 11, "within 604800s is in seconds, which are meant for trials: write hours, days or weeks, such as 30d"},
		{"kept for seconds, by hand", anAPIM, []string{nightly, forAMonth, "onDemand: {keep: {within: 600s}}"}, 12, "within 600s is in seconds"},
		{"kept for a day", anAPIM, []string{nightly, "keep: {within: 24h}"}, 11, "within 24h is no longer than the 24 hours"},
		{"kept for more than a day", anAPIM, []string{nightly, "keep: {within: 25h}"}, 0, ""},
		{"kept for a day, and two at least", anAPIM, []string{nightly, "keep: {within: 24h, minimum: 2}"}, 0, ""},
		{"kept for a day or as one of a day", anAPIM, []string{nightly, "keep: {within: 1d, daily: 1}"}, 11, "keep holds one recovery point"},
		{"kept from Friday to Monday", anAPIM, []string{`schedule: "0 1 * * MON-FRI"`, "keep: {within: 2d}"}, 11, "shorter than the 3 days"},
		{"a window of seconds", anAPIM, []string{nightly, forAMonth, "window: 59s"}, 12, "the timer looks once a minute, and would miss"},
		{"a window of a minute", anAPIM, []string{nightly, forAMonth, "window: 1m"}, 0, ""},
		{"a window of a day", anAPIM, []string{nightly, forAMonth, "window: 1d"}, 12, "window 1d changes nothing"},
		{"a jitter that no message waits for", anHSM, []string{`schedule: "0 1 1 1 *"`, "keep: {within: 520w}", "jitter: 8d"}, 12, "jitter 8d counts as 7 days"},
		{"a jitter beyond the next scheduled time", anAPIM, []string{nightly, forAMonth, "jitter: 25h"}, 12, "counts as 24 hours at the most"},
		{"a jitter of an hour", anAPIM, []string{nightly, forAMonth, "jitter: 1h"}, 0, ""},
		{"restores that nobody can agree to", anAPIM, []string{nightly, forAMonth, "restore: {into: [itself], approval: required}"}, 12, "cannot ask a person"},
		{"a ledger", aLedger, []string{nightly, forAMonth}, 9, "a copy, no backup, and its target is never protected"},
		{"a ledger, while Azure backs it up", aLedger, []string{nightly, forAMonth, `ccf: {apiVersion: "2025-06-10-preview"}`}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			plans, warnings, err := reader.Parse("plan.yaml", planOf(c.target, c.fields...))
			if err != nil || len(plans) != 1 {
				t.Fatalf("the plan is refused: %v", err)
			}
			if c.want == "" {
				if len(warnings) > 0 {
					t.Errorf("warned of %q", warnings)
				}
				return
			}
			if len(warnings) != 1 || !strings.HasPrefix(warnings[0], fmt.Sprintf("plan.yaml:%d: warning: ", c.line)) || !strings.Contains(warnings[0], c.want) {
				t.Errorf("warned of %q, want line %d and %q", warnings, c.line, c.want)
			}
		})
	}
}

// TestWarningsComeInTheOrderOfTheirLines checks the order, and that there is no warning beside an error: first the plan must be
// a good one.
func TestWarningsComeInTheOrderOfTheirLines(t *testing.T) {
	fields := []string{"jitter: 25h", `schedule: "30 1 * * *"`, "keep: {within: 1h}", "window: 2d"}
	_, warnings, err := reader.Parse("plan.yaml", planOf(aLedger, fields...))
	if err != nil || len(warnings) != 4 {
		t.Fatalf("%q, %v", warnings, err)
	}
	for i, line := range []string{"plan.yaml:9:", "plan.yaml:10:", "plan.yaml:12:", "plan.yaml:13:"} {
		if !strings.HasPrefix(warnings[i], line) {
			t.Errorf("warning %d is %q, want %s", i, warnings[i], line)
		}
	}
	fields[2] = "keep: {within: soon}"
	if _, warnings, err := reader.Parse("plan.yaml", planOf(aLedger, fields...)); err == nil || warnings != nil {
		t.Errorf("with an error: %q, %v", warnings, err)
	}
}

// TestSettingsHaveBounds checks that the error names the setting, the bounds and the reason.
func TestSettingsHaveBounds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"LIFEBOAT_WAIT_FACTOR", "0.001", ""},
		{"LIFEBOAT_WAIT_FACTOR", "1", ""},
		{"LIFEBOAT_WAIT_FACTOR", "1e-300", "must be a number from 0.001 to 1; it shortens waits"},
		{"LIFEBOAT_WAIT_FACTOR", "0.0009", "from 0.001 to 1"},
		{"LIFEBOAT_WAIT_FACTOR", "1.0001", "from 0.001 to 1"},
		{"LIFEBOAT_WAIT_FACTOR", "-1", "from 0.001 to 1"},
		{"LIFEBOAT_WAIT_FACTOR", "NaN", "from 0.001 to 1"},
		{"LIFEBOAT_CLOUD", "", ""},
		{"LIFEBOAT_CLOUD", "AzureUSGovernment", ""},
		{"LIFEBOAT_CLOUD", "Germany", `is "Germany": it must be public, government or china`},
		{"LIFEBOAT_EVENTS_ENCODING", "none", ""},
		{"LIFEBOAT_EVENTS_ENCODING", "Base64", ""},
		{"LIFEBOAT_EVENTS_ENCODING", "base 64", `is "base 64": it must be none, for events as plain JSON, or base64`},
		{"LIFEBOAT_EVENTS_TOPIC", " ", ""},
		{"LIFEBOAT_EVENTS_TOPIC", "https://contoso.westeurope-1.eventgrid.azure.net/api/events", ""},
		{"LIFEBOAT_EVENTS_TOPIC", "https://contoso.westeurope-1.eventgrid.azure.net/topics/lifeboat", ""},
		{"LIFEBOAT_EVENTS_TOPIC", "https://contoso.example/api/events", `: "contoso.example" is no host of a topic of Event Grid`},
		{"LIFEBOAT_EVENTS_TOPIC", "contoso", ": it must be the https address of a topic of Event Grid, such as https://contoso.westeurope-1."},
		{"LIFEBOAT_EVENTS_TOPIC", "https://contoso.westeurope-1.eventgrid.azure.us/api/events", "set the app setting LIFEBOAT_CLOUD to government"},
		{"LIFEBOAT_HISTORY", "30d", ""},
		{"LIFEBOAT_HISTORY", "36500d", ""},
		{"LIFEBOAT_HISTORY", "29d", `"29d": it must be a number of days from 30d to 36500d`},
		{"LIFEBOAT_HISTORY", "36501d", "from 30d to 36500d"},
		{"LIFEBOAT_HISTORY", "400", "such as 400d"},
		{"LIFEBOAT_HISTORY", "d", "such as 400d"},
		{"LIFEBOAT_CONCURRENCY", "1", ""},
		{"LIFEBOAT_CONCURRENCY", "500", ""},
		{"LIFEBOAT_CONCURRENCY", "-1", "a whole number from 1 to 500; each"},
		{"LIFEBOAT_CONCURRENCY", "99999999999999999999", "a whole number from 1 to 500"},
	} {
		_, err := config.FromEnvironment(func(name string) string {
			return map[string]string{"LIFEBOAT_PLAN": "plan.yaml", c.name: c.text}[name]
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.name) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s=%s: %v, want %q", c.name, c.text, err, c.want)
		}
	}
}
