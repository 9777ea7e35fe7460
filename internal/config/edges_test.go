package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

const (
	resources = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
	gateways  = resources + "Microsoft.ApiManagement/service/"
	hsms      = resources + "Microsoft.KeyVault/managedHSMs/"
	ccfs      = resources + "Microsoft.ConfidentialLedger/managedCCFs/"
	ledgers   = resources + "Microsoft.ConfidentialLedger/ledgers/"
	accounts  = resources + "Microsoft.Storage/storageAccounts/"
)

// onePlan returns a good file with one plan, with the targets and these lines; it adds the missing required lines.
func onePlan(targets []string, lines ...string) string {
	text := "version: 1\nplans:\n  - name: one\n    targets:\n"
	for _, target := range targets {
		text += "      - " + target + "\n"
	}
	given := "\n" + strings.Join(lines, "\n")
	for _, needed := range []string{
		`schedule: "30 2 * * *"`, "keep: {within: 20d}", "storage: {account: " + accounts + "backups, container: lifeboat}",
	} {
		if field, _, _ := strings.Cut(needed, " "); !strings.Contains(given, "\n"+field) {
			lines = append(lines, needed)
		}
	}
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

// parseOne reads a file with one plan.
func parseOne(t *testing.T, targets []string, lines ...string) backup.Plan {
	t.Helper()
	plans, _, err := reader.Parse("plan.yaml", []byte(onePlan(targets, lines...)))
	if err != nil || len(plans) != 1 {
		t.Fatalf("%q of %q is refused: %v", lines, targets, err)
	}
	if err := inAnEditor(onePlan(targets, lines...)); err != nil {
		t.Errorf("%q of %q: an editor refuses it: %v", lines, targets, err)
	}
	return plans[0]
}

// refused checks that the file with one plan is refused with the words, each mistake once.
func refused(t *testing.T, want string, targets []string, lines ...string) {
	t.Helper()
	text := onePlan(targets, lines...)
	_, _, err := reader.Parse("plan.yaml", []byte(text))
	if err == nil || strings.Count(err.Error(), want) != 1 {
		t.Errorf("%q of %q: %v\nwant %q once", lines, targets, err, want)
	}
	if err != nil && inAnEditor(text) == nil && !onlyTheProgram(err.Error()) {
		t.Errorf("%q of %q: an editor takes it, although the program says: %v", lines, targets, err)
	}
}

// TestYesIsSpelledAsYAMLSpellsIt checks that every spelling of YAML's true is true in each boolean of a plan.
func TestYesIsSpelledAsYAMLSpellsIt(t *testing.T) {
	for _, c := range []struct {
		written string
		yes     bool
	}{{"true", true}, {"True", true}, {"TRUE", true}, {"false", false}, {"False", false}, {"FALSE", false}} {
		p := parseOne(t, []string{gateways + "a"}, "paused: "+c.written, "restore: {into: [itself], safetyBackup: "+c.written+"}")
		if want := map[bool]backup.SafetyPolicy{true: backup.SafetyRequired, false: backup.SafetyNever}[c.yes]; p.Paused != c.yes || p.Restore.Safety != want {
			t.Errorf("%s: paused is %t, safetyBackup %q", c.written, p.Paused, p.Restore.Safety)
		}
	}
	if p := parseOne(t, []string{gateways + "a"}, "restore: {into: [itself]}"); p.Paused || p.Restore.Safety != backup.SafetyByRequest {
		t.Errorf("what is not written is no yes: %+v", p)
	}
}

// TestSafetyBackupIsAWord checks the words of safetyBackup, beside the booleans that earlier versions knew.
func TestSafetyBackupIsAWord(t *testing.T) {
	for line, want := range map[string]backup.SafetyPolicy{
		"required": backup.SafetyRequired, "default": backup.SafetyByRequest, "never": backup.SafetyNever,
	} {
		if p := parseOne(t, []string{gateways + "a"}, "restore: {into: [itself], safetyBackup: "+line+"}"); p.Restore.Safety != want {
			t.Errorf("%s: %q", line, p.Restore.Safety)
		}
	}
	for _, line := range []string{"Required", `"true"`, "1", "[required]", "{}"} {
		refused(t, "is none of required, default and never", []string{gateways + "a"}, "restore: {into: [itself], safetyBackup: "+line+"}")
	}
	refused(t, "a Managed HSM is always backed up before", []string{hsms + "hsm"}, "restore: {into: [itself], safetyBackup: never}")
	refused(t, "there is nothing left for a safetyBackup", []string{ccfs + "ccf"}, "restore: {into: [itself], safetyBackup: required}")
}

// TestAMissingFieldHidesNoOtherMistake: a person mends both at once.
func TestAMissingFieldHidesNoOtherMistake(t *testing.T) {
	for _, want := range []string{`onChange needs the field "quiet"`, "onChange is for API Management, of which the plan has no target"} {
		refused(t, want, []string{hsms + "hsm"}, "onChange: {}")
	}
}

// TestApprovalIsAskedForOnlyIfRequired checks both words of approval.
func TestApprovalIsAskedForOnlyIfRequired(t *testing.T) {
	for line, want := range map[string]bool{"required": true, "none": false} {
		if p := parseOne(t, []string{gateways + "a"}, "restore: {into: [itself], approval: "+line+"}"); p.Restore.Approval != want {
			t.Errorf("%s: %t", line, p.Restore.Approval)
		}
	}
}

// TestASlashAtTheEndIsNoPartOfAnID checks each place of a plan that names a service.
func TestASlashAtTheEndIsNoPartOfAnID(t *testing.T) {
	p := parseOne(t, []string{gateways + "a/", gateways + "b"}, "restore: {into: ["+gateways+"c/, itself, "+gateways+"d]}")
	if got := strings.Join(p.Targets, " "); got != gateways+"a "+gateways+"b" {
		t.Errorf("targets %s", got)
	}
	if got := strings.Join(p.Restore.Into, " "); got != gateways+"c itself "+gateways+"d" {
		t.Errorf("restore.into %s", got)
	}
	slashed := parseOne(t, []string{gateways + "a"}, "storage: {account: "+accounts+"backups/, container: lifeboat}")
	if got := slashed.Settings.Storage.Account; got != accounts+"backups" {
		t.Errorf("storage.account %s", got)
	}
	refused(t, "stands here twice", []string{gateways + "a", gateways + "A/"})
}

// TestAnotherFormOfALetterIsAnotherTarget checks two groups that strings.EqualFold takes for one: Azure does not fold ς to σ.
func TestAnotherFormOfALetterIsAnotherTarget(t *testing.T) {
	in := func(group string) string { return strings.Replace(gateways+"a", "/prod/", "/"+group+"/", 1) }
	if p := parseOne(t, []string{in("πσ"), in("πς")}); len(p.Targets) != 2 {
		t.Errorf("targets %s", p.Targets)
	}
	refused(t, "stands here twice", []string{in("πσ"), in("ΠΣ")})
}

// TestAnswersNeverGoToAQueueOfTheApp checks each queue that a function reads, its poison queue, and the queue of events.
func TestAnswersNeverGoToAQueueOfTheApp(t *testing.T) {
	own := []string{"lifeboat-events", "lifeboat-events-poison"}
	files, err := filepath.Glob("../../functions/*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		var f struct{ Bindings []struct{ QueueName string } }
		if err = errors.Join(err, json.Unmarshal(text, &f)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, b := range f.Bindings {
			if b.QueueName != "" {
				own = append(own, b.QueueName)
			}
		}
	}
	if len(own) != 8 {
		t.Fatalf("the app's queues are %q", own)
	}
	for _, queue := range own {
		refused(t, queue+" is a queue of Lifeboat's own", []string{gateways + "a"}, "restore: {into: [itself], replyTo: [answers, "+queue+"]}")
		refused(t, queue+" is a queue of Lifeboat's own", []string{gateways + "a"}, "onDemand: {replyTo: [answers, "+queue+"]}")
	}
	p := parseOne(t, []string{gateways + "a"}, "restore: {into: [itself], replyTo: [answers, execute-2]}")
	if got := strings.Join(p.Restore.ReplyTo, " "); got != "answers execute-2" {
		t.Errorf("replyTo %s", got)
	}
}

// TestATypeIsReadInAnyCase checks the case of types, since Azure's portal, its CLI and Resource Manager spell them differently.
func TestATypeIsReadInAnyCase(t *testing.T) {
	for _, spelled := range []func(string) string{strings.ToLower, strings.ToUpper} {
		id := func(all, name string) string { return resources + spelled(strings.TrimPrefix(all, resources)) + name }
		gateway, hsm, ccf, ledger := id(gateways, "a"), id(hsms, "hsm-a"), id(ccfs, "ccf-a"), id(ledgers, "ledger-a")

		parseOne(t, []string{gateway}, "identity: accessKey")
		parseOne(t, []string{hsm}, "hsm: {access: sas}")
		parseOne(t, []string{ledger}, "ccf: {restoreRegion: westeurope}")
		parseOne(t, []string{ccf}, "ccf: {restoreRegion: westeurope}")
		parseOne(t, []string{gateways + "a"}, "restore: {into: ["+gateway+"]}")
		if p := parseOne(t, []string{gateways + "a"}, "storage: {account: "+id(accounts, "backups")+", container: lifeboat}"); p.Name != "one" {
			t.Errorf("%+v", p)
		}

		refused(t, "is no name of API Management", []string{gateway + "_"})
		refused(t, "is no name of Managed HSM", []string{hsm + "_"})
		refused(t, "is no name of Managed CCF", []string{ccf + "_"})
		refused(t, "is no name of Confidential Ledger", []string{ledger + "_"})
		refused(t, "a Managed HSM is always backed up before", []string{hsm}, "restore: {into: [itself], safetyBackup: false}")
		refused(t, "there is nothing left for a safetyBackup", []string{ccf}, "restore: {into: [itself], safetyBackup: true}")
		refused(t, "has no Managed CCF", []string{ccf}, `ccf: {apiVersion: "2026-02-23"}`)
		refused(t, "can restore a backup: 30 days", []string{gateway}, "keep: {within: 31d}")
		refused(t, "can restore a backup: 90 days", []string{ccf}, "keep: {within: 91d}")
	}
}

// TestEveryMemberOfAListCounts checks that the reader uses every member, not the first one alone.
func TestEveryMemberOfAListCounts(t *testing.T) {
	mixed := func(second string) []string { return []string{gateways + "a", second} }
	parseOne(t, mixed(hsms+"hsm"), "hsm: {access: sas}", "identity: accessKey")
	parseOne(t, []string{hsms + "hsm", gateways + "a"}, "hsm: {access: sas}", "identity: accessKey")
	parseOne(t, mixed(ledgers+"ledger"), "ccf: {restoreRegion: westeurope}")
	parseOne(t, mixed(hsms+"hsm"), "restore: {into: [itself, "+hsms+"other]}")

	refused(t, `"-" is no name of API Management`, mixed(gateways+"-"))
	refused(t, "can restore a backup: 30 days", []string{hsms + "hsm", gateways + "a"}, "keep: {within: 31d}")
	refused(t, "can restore a backup: 90 days", []string{ledgers + "ledger", ccfs + "ccf"}, "keep: {within: 91d}")
	refused(t, "a Managed HSM is always backed up before", mixed(hsms+"hsm"), "restore: {into: [itself], safetyBackup: false}")
	refused(t, "there is nothing left for a safetyBackup", mixed(ccfs+"ccf"), "restore: {into: [itself], safetyBackup: true}")
	refused(t, "has no Managed CCF", []string{ledgers + "ledger", ccfs + "ccf"}, `ccf: {apiVersion: "2026-05-22-preview"}`)
	refused(t, "the plan has no target of the type Microsoft.KeyVault/managedHSMs", mixed(gateways+"b"), "restore: {into: [itself, "+hsms+"h-1]}")
	refused(t, `"elsewhere" is not a resource ID`, mixed(gateways+"b"), "restore: {into: [itself, elsewhere]}")
	refused(t, `"A" is no name of a queue`, mixed(gateways+"b"), "restore: {into: [itself], replyTo: [answers, A]}")
}

// TestNamesAreAsLongAsAzureLetsThemBe checks the longest names, and refuses longer ones.
func TestNamesAreAsLongAsAzureLetsThemBe(t *testing.T) {
	for _, c := range []struct {
		of              string
		least, most     int
		startsWithDigit bool
	}{{gateways, 1, 50, false}, {hsms, 3, 24, false}, {ccfs, 3, 32, true}, {ledgers, 3, 32, true}} {
		named := func(n int) []string { return []string{c.of + strings.Repeat("a", n)} }
		parseOne(t, named(c.least))
		parseOne(t, named(c.most))
		parseOne(t, []string{c.of + "A-1-b9"})
		refused(t, "is no name of", named(c.most+1))
		if c.least > 1 {
			refused(t, "is no name of", named(c.least-1))
		}
		for _, bad := range []string{"abc-", "-abc", "a_bc", "ab.c"} {
			refused(t, "is no name of", []string{c.of + bad})
		}
		if c.startsWithDigit {
			parseOne(t, []string{c.of + "1abc"})
		} else {
			refused(t, "is no name of", []string{c.of + "1abc"})
		}
	}
	for name, good := range map[string]bool{
		"abc": true, strings.Repeat("a", 24): true, "123": true,
		"ab": false, strings.Repeat("a", 25): false, "Abc": false, "a-bc": false,
	} {
		text := onePlan([]string{gateways + "a"}, "storage: {account: "+accounts+name+", container: lifeboat}")
		if _, _, err := reader.Parse("plan.yaml", []byte(text)); (err == nil) != good {
			t.Errorf("the storage account %s: %v", name, err)
		}
	}
}

// TestNamesOfQueuesAndContainers checks for 3 to 63 lower-case letters, digits and single dashes inside.
func TestNamesOfQueuesAndContainers(t *testing.T) {
	for name, good := range map[string]bool{
		"abc": true, "a-b": true, "1-2-3": true, "a-b-c-d": true, strings.Repeat("a", 63): true, strings.Repeat("a-", 31) + "a": true,
		"ab": false, "a-": false, "-ab": false, "ab-": false, "a--b": false, "aBc": false, "a_b": false, strings.Repeat("a", 64): false,
		strings.Repeat("a-", 32) + "a": false,
	} {
		for _, line := range []string{"restore: {into: [itself], replyTo: [" + name + "]}", "storage: {account: " + accounts + "backups, container: " + name + "}"} {
			if _, _, err := reader.Parse("plan.yaml", []byte(onePlan([]string{gateways + "a"}, line))); (err == nil) != good {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// TestAPlanHasAsManyTargetsAsATimerRunCanMakeRunsOf checks the greatest number of targets, and one more.
func TestAPlanHasAsManyTargetsAsATimerRunCanMakeRunsOf(t *testing.T) {
	targets := make([]string, backup.MostTargets+1)
	for i := range targets {
		targets[i] = fmt.Sprintf("%sa%d", gateways, i)
	}
	if p := parseOne(t, targets[1:]); len(p.Targets) != backup.MostTargets {
		t.Errorf("%d targets", len(p.Targets))
	}
	refused(t, "the plan has 1001 targets; write several plans with 1000 at the most", targets)
}

// TestATextOfAMiBIsAPlan checks the longest text, and one byte more.
func TestATextOfAMiBIsAPlan(t *testing.T) {
	text := onePlan([]string{gateways + "a"})
	text += "#" + strings.Repeat("x", 1<<20-len(text)-2) + "\n"
	if plans, _, err := reader.Parse("plan.yaml", []byte(text)); err != nil || len(plans) != 1 {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	if _, _, err := reader.Parse("plan.yaml", []byte(text+"\n")); err == nil || !strings.Contains(err.Error(), "at most 1048576 bytes") {
		t.Errorf("one byte more: %v", err)
	}
}

// TestAPlanHasItsOwnSettings checks that a plan has its own settings, or else the defaults, and never another plan's settings.
func TestAPlanHasItsOwnSettings(t *testing.T) {
	plans, _, err := reader.Parse("plan.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	const usual, own = "contosobackups/lifeboat", "other/others"
	for keep, want := range map[string]string{"30d": own + " " + usual, "90s": usual + " " + own} {
		line := "keep: {within: " + keep + "}"
		edited := strings.Replace(good, line, line+"\n    storage: {account: "+accounts+"other, container: others}", 1)
		two, _, err := reader.Parse("plan.yaml", []byte(edited))
		if err != nil {
			t.Fatal(err)
		}
		a, b := two[0].Settings.Storage, two[1].Settings.Storage
		if got := a.AccountName() + "/" + a.Container + " " + b.AccountName() + "/" + b.Container; got != want {
			t.Errorf("storage %s, want %s", got, want)
		}
	}
	if a, b := plans[0].Schedule.Zone.String(), plans[1].Schedule.Zone.String(); a != "Europe/Zurich" || b != "UTC" {
		t.Errorf("zones %s and %s", a, b)
	}
	if p := parseOne(t, []string{gateways + "a"}); p.Schedule.Zone.String() != "UTC" {
		t.Errorf("without any zone it is %s", p.Schedule.Zone)
	}
}

// TestATimeIsReadInEveryUnit checks each unit of a time.
func TestATimeIsReadInEveryUnit(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"45s": 45 * time.Second, "5h": 5 * time.Hour, "5d": 120 * time.Hour, "2w": 336 * time.Hour,
	} {
		p := parseOne(t, []string{gateways + "a"}, "jitter: 1s", "window: "+text, "keep: {within: "+text+"}", "onDemand: {keep: {within: "+text+"}}")
		if p.Window != want || p.Settings.KeepWithin != want || p.OnDemandKeepWithin != want || p.Jitter != time.Second {
			t.Errorf("%s: window %s, keep %s, on demand %s, jitter %s", text, p.Window, p.Settings.KeepWithin, p.OnDemandKeepWithin, p.Jitter)
		}
	}
	// These times are exactly as long as the service restores, and exactly as long as the window.
	parseOne(t, []string{gateways + "a"}, "keep: {within: 30d}", "onDemand: {keep: {within: 30d}}")
	parseOne(t, []string{ccfs + "ccf"}, "keep: {within: 90d}")
	refused(t, "jitter must be shorter than window", []string{gateways + "a"}, "jitter: 1h", "window: 60m")
	parseOne(t, []string{gateways + "a"}, "jitter: 1h") // without a window it ends with the next scheduled time
}

// TestConcurrencyHasItsBounds checks the bounds in the plan and in the app setting.
func TestConcurrencyHasItsBounds(t *testing.T) {
	for text, good := range map[string]bool{"0": false, "1": true, "500": true, "501": false, "-1": false, "1.5": false} {
		plans, _, err := reader.Parse("plan.yaml", []byte(onePlan([]string{gateways + "a"}, "concurrency: "+text)))
		if (err == nil) != good || good && fmt.Sprint(plans[0].Settings.Concurrency) != text {
			t.Errorf("concurrency %s: %+v, %v", text, plans, err)
		}
		s, err := config.FromEnvironment(environment("LIFEBOAT_CONCURRENCY", text))
		if (err == nil) != good || good && fmt.Sprint(s.Concurrency) != text {
			t.Errorf("LIFEBOAT_CONCURRENCY %s: %+v, %v", text, s, err)
		}
	}
}

// TestEveryFieldOfCron checks that each field decides when the plan comes due.
func TestEveryFieldOfCron(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) // a Thursday
	for text, next := range map[string]string{
		"30 2 * * *":       "2026-01-02T02:30:00Z",
		"15 30 2 * * *":    "2026-01-02T02:30:15Z",
		"0 0 1 * *":        "2026-02-01T00:00:00Z",
		"0 0 31 * *":       "2026-01-31T00:00:00Z",
		"0 0 * 12 *":       "2026-12-01T00:00:00Z",
		"0 0 * DEC *":      "2026-12-01T00:00:00Z",
		"0 0 * JAN-FEB *":  "2026-01-02T00:00:00Z",
		"0 0 * * SUN":      "2026-01-04T00:00:00Z",
		"0 0 * * 0":        "2026-01-04T00:00:00Z",
		"0 0 * * 7":        "2026-01-04T00:00:00Z",
		"0 0 * * 6":        "2026-01-03T00:00:00Z",
		"0 0 * * MON-FRI":  "2026-01-02T00:00:00Z",
		"59 23 * * *":      "2026-01-01T23:59:00Z",
		"59 59 23 * * *":   "2026-01-01T23:59:59Z",
		"*/20 * * * *":     "2026-01-01T12:20:00Z",
		"*/20 * * * * *":   "2026-01-01T12:00:20Z",
		"0 13,14 * * *":    "2026-01-01T13:00:00Z",
		"0 5-6 * * *":      "2026-01-02T05:00:00Z",
		"0 0 29 2 *":       "2028-02-29T00:00:00Z",
		"0 9-10,20 * * *":  "2026-01-01T20:00:00Z",
		"0 12 1-2 * *":     "2026-01-02T12:00:00Z",
		"0 0 1,15 * *":     "2026-01-15T00:00:00Z",
		"0 0 * JUN,NOV *":  "2026-06-01T00:00:00Z",
		"0 0 * * sat,wed":  "2026-01-03T00:00:00Z",
		"0 0 * * TUE":      "2026-01-06T00:00:00Z",
		"0 0 */10 * *":     "2026-01-11T00:00:00Z",
		"30 0 12 1 1 *":    "2026-01-01T12:00:30Z",
		"0 0 * MAR-APR *":  "2026-03-01T00:00:00Z",
		"0 0 30 APR,MAR *": "2026-03-30T00:00:00Z",
	} {
		if got := parseOne(t, []string{gateways + "a"}, "schedule: \""+text+"\"").Schedule.Next(now); got.Format(time.RFC3339) != next {
			t.Errorf("%q comes due at %s, want %s", text, got.Format(time.RFC3339), next)
		}
	}
	for text, want := range map[string]string{
		"0 22-2 * * *": "a range must go upwards", "0 0 * NOV-FEB *": "a range must go upwards", "0 0 * * fri-mon": "a range must go upwards",
		"0 1-2,9-8 * * *": "a range must go upwards", "@daily": "is a form of", "@every 1h": "is a form of",
		"CRON_TZ=UTC 0 0 * * *": "is a form of", "0 0 30 2 *": "never comes due", "0 0 1-15 * MON": "restricts both",
		"60 * * * *": "cron expression", "0 24 * * *": "cron expression", "0 0 32 * *": "cron expression", "0 0 * 13 *": "cron expression",
	} {
		refused(t, want, []string{gateways + "a"}, "schedule: \""+text+"\"")
	}
}

// environment has the plan's path, and one more setting.
func environment(name, value string) func(string) string {
	return func(asked string) string {
		switch asked {
		case name:
			return value
		case "LIFEBOAT_PLAN":
			return "plan.yaml"
		}
		return ""
	}
}

// TestSecureWhereverAzureRunsIt checks the variable of each kind of hosting.
func TestSecureWhereverAzureRunsIt(t *testing.T) {
	for name, want := range map[string]bool{
		"WEBSITE_INSTANCE_ID": true,                         // Premium, Dedicated
		"CONTAINER_NAME":      true,                         // Flex Consumption
		"WEBSITE_HOSTNAME":    false, "COMPUTERNAME": false, // Core Tools on a developer's machine
	} {
		if s, err := config.FromEnvironment(environment(name, "x")); err != nil || s.Secure != want {
			t.Errorf("%s: secure is %t, %v", name, s.Secure, err)
		}
	}
}

// TestEachSettingIsTakenOver checks that each setting comes from the variable with its name.
func TestEachSettingIsTakenOver(t *testing.T) {
	for name, is := range map[string]func(config.Settings) bool{
		"LIFEBOAT_PLAN":        func(s config.Settings) bool { return s.Plan == "1" },
		"LIFEBOAT_WAIT_FACTOR": func(s config.Settings) bool { return s.WaitFactor == 1 },
		"LIFEBOAT_CONCURRENCY": func(s config.Settings) bool { return s.Concurrency == 1 },
		"LIFEBOAT_CLOUD":       func(s config.Settings) bool { return s.Cloud.Name == "china" },
		"LIFEBOAT_STOPPED":     func(s config.Settings) bool { return s.Stopped == "stopped by LIFEBOAT_STOPPED" },
		"LIFEBOAT_HISTORY":     func(s config.Settings) bool { return s.History == 31*24*time.Hour },
		"WEBSITE_SITE_NAME":    func(s config.Settings) bool { return s.App == "1" },
		"WEBSITE_HOSTNAME":     func(s config.Settings) bool { return s.Host == "1" },

		"LIFEBOAT_EVENTS_ENCODING": func(s config.Settings) bool { return s.EventsBase64 },
		"LIFEBOAT_EVENTS_TOPIC":    func(s config.Settings) bool { return s.EventsTopic != (azure.TopicAddress{}) },
	} {
		value := "1"
		switch name {
		case "LIFEBOAT_CLOUD":
			value = "China"
		case "LIFEBOAT_HISTORY":
			value = "31d"
		case "LIFEBOAT_EVENTS_ENCODING":
			value = "base64"
		case "LIFEBOAT_EVENTS_TOPIC":
			value = "https://contoso.westeurope-1.eventgrid.azure.net/api/events"
		}
		if s, err := config.FromEnvironment(environment(name, value)); err != nil || !is(s) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	wrong := map[string]string{"LIFEBOAT_CONCURRENCY": "many", "LIFEBOAT_EVENTS_TOPIC": "https://contoso.westeurope-1.eventgrid.azure.net/api/events"}
	if s, err := config.FromEnvironment(func(name string) string { return wrong[name] }); err == nil || s.EventsTopic == (azure.TopicAddress{}) {
		t.Errorf("what goes wrong is not told to the topic: %+v, %v", s, err)
	}
	if s, err := config.FromEnvironment(environment("LIFEBOAT_HISTORY", "")); err != nil || s.History != 400*24*time.Hour {
		t.Errorf("without a setting a history lasts %s, %v", s.History, err)
	}
	reason := strings.Repeat("é", 150) // two bytes each
	s, err := config.FromEnvironment(environment("LIFEBOAT_STOPPED", reason))
	if err != nil || s.Stopped != "stopped by LIFEBOAT_STOPPED: "+reason[:200] {
		t.Errorf("a long reason is not cut after 200 bytes: %q, %v", s.Stopped, err)
	}
}

// TestAPlansBlobIsReadWithItsFaults checks the fault of each answer of storage, and its hint.
func TestAPlansBlobIsReadWithItsFaults(t *testing.T) {
	for status, want := range map[int]string{
		400: "check the URL", 401: "Storage Blob Data Reader", 403: "Storage Blob Data Reader", 404: "check the URL", 409: "check the URL",
		408: "", 429: "", 500: "", 502: "", 503: "",
	} {
		_, err := sourceOn(t, func(*http.Request) (int, map[string]string, string, error) {
			return status, map[string]string{"X-Ms-Error-Code": "Code"}, "", nil
		}).Read(t.Context())
		f, passes := errors.AsType[*backup.Fault](err)
		if err == nil || passes != (want == "") || passes && f.Kind != backup.Retryable || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", status, err, want)
		}
	}
}

// TestAURLOfABlobIsNothingButThat checks that any other URL is refused.
func TestAURLOfABlobIsNothingButThat(t *testing.T) {
	for _, more := range []string{"#secret", "?secret"} {
		settings := config.Settings{Plan: planBlob + more, WaitFactor: 1}
		if _, err := settings.PlanSource(reader, anybody{}, azcore.ClientOptions{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// TestALongBlobIsNoPlan checks that a long blob is not read to its end, and not cut to a text that parses.
func TestALongBlobIsNoPlan(t *testing.T) {
	text := onePlan([]string{gateways + "a"}) + strings.Repeat("#\n", 1<<20)
	s := sourceOn(t, func(*http.Request) (int, map[string]string, string, error) {
		return http.StatusOK, map[string]string{"ETag": `"1"`}, text, nil
	})
	read, err := s.Read(t.Context())
	if err != nil || len(read) != 1<<20+1 {
		t.Fatalf("%d bytes, %v", len(read), err)
	}
	if _, err := s.Parse(read); err == nil || !strings.HasPrefix(err.Error(), planBlob) || !strings.Contains(err.Error(), "at most 1048576 bytes") {
		t.Errorf("%v", err)
	}
}

// TestASecretIsShownInNoSpelling checks that no error shows a secret in plan.yaml.
func TestASecretIsShownInNoSpelling(t *testing.T) {
	for _, text := range []string{
		"https://contoso.blob.core.windows.net/x?sv=1&sig=hidden", "https://contoso.blob.core.windows.net/x?SIG=hidden&sv=1",
		"SharedAccessSignature=hidden", "AccountName=contoso;accountkey=hidden", "Password=hidden", "clientSecret=hidden",
	} {
		_, _, err := reader.Parse("plan.yaml", []byte(onePlan([]string{gateways + "a"}, "identity: "+text)))
		if err == nil || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "(not shown)") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
