package config_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/schedule"
)

const good = `version: 1
defaults:
  timeZone: Europe/Zurich
  storage:
    account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/backups/providers/Microsoft.Storage/storageAccounts/contosobackups
    container: lifeboat
plans:
  - name: nightly-apim
    targets:
      - /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso
      - /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/microsoft.apimanagement/SERVICE/other/
    schedule: "30 2 * * *"
    keep: {within: 30d}
  - name: often
    targets: [/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso]
    schedule: "*/10 * * * * *"
    timeZone: UTC
    keep: {within: 90s}
`

func TestParsePlan(t *testing.T) {
	plans, _, err := reader.Parse("plan.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) != 2 || plans[0].Name != "nightly-apim" || len(plans[0].Targets) != 2 {
		t.Fatalf("got %+v", plans)
	}
	if strings.HasSuffix(plans[0].Targets[1], "/") {
		t.Error("the slash at the end of a target is part of its ID")
	}
	want := backup.Settings{
		Storage: backup.Storage{
			Account: "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/backups/providers/" +
				"Microsoft.Storage/storageAccounts/contosobackups",
			Container: "lifeboat",
		},
		KeepWithin: 30 * 24 * time.Hour, KeepGrace: 48 * time.Hour, SoftDelete: backup.DefaultSoftDelete,
	}
	if plans[0].Settings != want {
		t.Errorf("settings: got %+v, want %+v", plans[0].Settings, want)
	}
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for i, next := range []time.Time{time.Date(2026, 7, 2, 0, 30, 0, 0, time.UTC), at.Add(10 * time.Second)} {
		if got := plans[i].Schedule.Next(at); !got.Equal(next) {
			t.Errorf("plan %s: next scheduled time %s, want %s", plans[i].Name, got, next)
		}
	}
	if plans[1].Settings.KeepWithin != 90*time.Second {
		t.Errorf("90s was read as %s", plans[1].Settings.KeepWithin)
	}
}

// wrong are edits of the good plan, each with one mistake, and the reason for which it is refused.
var wrong = map[string]struct{ old, new, want string }{
	"unknown field":         {`name: often`, `nam: often`, `plan.yaml:14: a plan has no field "nam"; it has ccf, concurrency, hsm, identity, jitter, keep, name,`},
	"missing field":         {"    schedule: \"30 2 * * *\"\n", "", `plan.yaml:8: a plan needs the field "schedule"`},
	"empty schedule":        {`schedule: "30 2 * * *"`, `schedule: ""`, `plan.yaml:12: "" is not a cron expression with five fields, or six with the seconds first: nothing`},
	"no version":            {"version: 1\n", "", `the file needs the field "version"`},
	"a later version":       {"version: 1", "version: 2", "version 2 is not one that this program reads"},
	"field twice":           {`timeZone: UTC`, "timeZone: UTC\n    timeZone: UTC", `timeZone`},
	"name with a capital":   {"nightly-apim", "Nightly", `plan.yaml:8: "Nightly" is no name for a plan: it may have lower-case`},
	"two of a name":         {"nightly-apim", "often", `there are two plans with the name "often"`},
	"no resource ID":        {"resourceGroups/prod/providers/Microsoft.Api", "resourceGroups/providers/Microsoft.Api", "plan.yaml:10:"},
	"subscription":          {"0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod", "prod/resourceGroups/prod", `the subscription "prod" is not a UUID`},
	"another service":       {"Microsoft.ApiManagement/service/contoso\n", "Microsoft.Sql/servers/contoso\n", "resources of the type Microsoft.Sql/servers cannot be backed up"},
	"target twice":          {"SERVICE/other/", "service/CONTOSO", "stands here twice"},
	"storage is no account": {"Microsoft.Storage/storageAccounts", "Microsoft.Storage/other", "plan.yaml:5:"},
	"container name":        {"container: lifeboat", "container: Life_Boat", `plan.yaml:6: "Life_Boat" is no name for a container`},
	"time zone":             {"Europe/Zurich", "Europe/Zuerich", `plan.yaml:3: "Europe/Zuerich" is not a time zone`},
	"time zone of machine":  {"Europe/Zurich", "Local", `"Local" is not a time zone`},
	"cron":                  {"30 2 * * *", "30 25 * * *", `plan.yaml:12: "30 25 * * *" is not a cron expression`},
	"cron, hours round":     {"30 2 * * *", "30 22-2 * * *", `plan.yaml:12: "30 22-2 * * *" is not a cron expression`},
	"cron, days round":      {"30 2 * * *", "30 2 * * FRI-MON", `a range must go upwards`},
	"a second document":     {"plans:", "plans: []\n---\nplans:", `plan.yaml:8: a second document begins here`},
	"storage account name":  {"storageAccounts/contosobackups", "storageAccounts/Contoso-Backups", `"Contoso-Backups" is no name of a storage account`},
	"service name":          {"service/contoso\n", "service/1contoso_x\n", `"1contoso_x" is no name of API Management`},
	"cron of four fields":   {"30 2 * * *", "30 2 * *", `plan.yaml:12:`},
	"cron with a zone":      {"30 2 * * *", "TZ=UTC 30 2 * * *", `plan.yaml:12:`},
	"both kinds of day":     {"30 2 * * *", "30 2 1 * 1", "restricts both the day of the month and the day of the week"},
	"never due":             {"30 2 * * *", "30 2 30 2 *", "never comes due"},
	"keep is no time":       {"within: 30d", "within: a month", `plan.yaml:13: "a month" is not a time such as 30d`},
	"keep past the horizon": {"within: 30d", "within: 31d", "longer than Microsoft.ApiManagement/service can restore a backup: 30 days"},
	"no targets":            {"targets: [/sub", "targets: []\n    x: [/sub", "targets must be a list of one or more"},
	"a list for a plan":     {"  - name: often", "  - often\n  - name: often", `plan.yaml:14: a plan is the text "often", and must be a mapping of ccf, concurrency,`},
	"no storage":            {"  storage:\n", "  storages:\n", `plan.yaml:8: a plan needs the field "storage", or the defaults do`},
	"field without value":   {"keep: {within: 30d}", "keep:", `plan.yaml:13: keep has no value, and must be a mapping of daily, hourly, last, minimum, monthly, weekly, within, yearly`},
	"text without value":    {"timeZone: UTC", "timeZone:", `plan.yaml:17: timeZone has no value, and must be text`},
	"list for a text":       {"timeZone: UTC", "timeZone: [UTC]", `plan.yaml:17: timeZone is a list, and must be text`},
	"alias of a wrong kind": {"timeZone: UTC", "timeZone: &k UTC\n    onDemand: *k", `plan.yaml:17: onDemand is the text "UTC", and must be a mapping of keep`},
	"alias inside itself":   {"timeZone: UTC", "onDemand: &k {keep: *k}", `plan.yaml:17: the alias *k refers to a node that contains it`},
	"aliases of aliases": {"timeZone: UTC", "x: &a [1,1,1,1,1,1,1,1,1,1]\n    b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
		"    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n    e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n    f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]", `the plan is too long`},
	"jitter is no time":             {"timeZone: UTC", "jitter: 20", `plan.yaml:17: jitter is the number 20, and must be text: 20 is not a time such as 30d`},
	"jitter past window":            {"timeZone: UTC", "window: 10m\n    jitter: 20m", `plan.yaml:18: jitter must be shorter than window`},
	"window is no time":             {"timeZone: UTC", "window: 3 hours", `plan.yaml:17: "3 hours" is not a time such as 30d`},
	"softDelete, too long":          {"timeZone: UTC", "softDelete: 366d", `plan.yaml:17: "366d" is neither off nor a time such as 7d, of 365 days at the most`},
	"softDelete, in hours":          {"timeZone: UTC", "softDelete: 8761h", `plan.yaml:17: "8761h" is neither off nor a time such as 7d`},
	"softDelete, in months":         {"timeZone: UTC", "softDelete: 1m", `plan.yaml:17: "1m" is neither off nor a time such as 7d`},
	"softDelete, in words":          {"timeZone: UTC", "softDelete: never", `plan.yaml:17: "never" is neither off nor a time such as 7d`},
	"concurrency":                   {"timeZone: UTC", "concurrency: 0", `plan.yaml:17: concurrency 0 is not a whole number from 1 to 500`},
	"concurrency, in words":         {"timeZone: UTC", "concurrency: few", `plan.yaml:17: concurrency is the text "few", and must be a whole number from 1 to 500`},
	"identity":                      {"timeZone: UTC", "identity: contoso", `plan.yaml:17: "contoso" is neither system nor accessKey nor the client ID`},
	"HSM name":                      {"Microsoft.ApiManagement/service/contoso\n", "Microsoft.KeyVault/managedHSMs/c-\n", `"c-" is no name of Managed HSM`},
	"hsm without an HSM":            {"timeZone: UTC", "hsm: {access: sas}", `plan.yaml:17: hsm is for Managed HSM, and the plan has no such target`},
	"ledger name":                   {"Microsoft.ApiManagement/service/contoso\n", "Microsoft.ConfidentialLedger/ledgers/c-\n", `"c-" is no name of Confidential Ledger`},
	"ccf without a ledger":          {"timeZone: UTC", "ccf: {restoreRegion: westeurope}", `plan.yaml:17: ccf is for Managed CCF and Confidential Ledger, and the plan has no such target`},
	"ccf.serviceCertificate":        {"timeZone: UTC", "ccf: {serviceCertificate: abc}", `plan.yaml:17: "abc" is neither a certificate in PEM nor the SHA-256 of a public key, in 64 hexadecimal digits`},
	"ccf.restoreRegion":             {"timeZone: UTC", "ccf: {restoreRegion: West Europe}", `plan.yaml:17: "West Europe" is not the name of a region`},
	"ccf.apiVersion":                {"timeZone: UTC", "ccf: {apiVersion: newest}", `plan.yaml:17: "newest" is not an api-version in quotes`},
	"ccf of nothing":                {"timeZone: UTC", "ccf: {}", `plan.yaml:17: ccf`},
	"hsm.access":                    {"timeZone: UTC", "hsm: {access: key}", `plan.yaml:17: "key" is neither identity nor sas`},
	"paused":                        {"timeZone: UTC", "paused: yes", `plan.yaml:17: paused is the text "yes", and must be true or false`},
	"on demand too long":            {"timeZone: UTC", "onDemand: {keep: {within: 31d}}", "plan.yaml:17: within 31d is longer than Microsoft.ApiManagement/service can restore a backup: 30 days"},
	"on demand, unknown":            {"timeZone: UTC", "onDemand: {window: 1h}", `plan.yaml:17: onDemand has no field "window"; it has keep`},
	"restore into nothing":          {"timeZone: UTC", "restore: {safetyBackup: true}", `plan.yaml:17: restore needs the field "into"`},
	"restore into a word":           {"timeZone: UTC", "restore: {into: [x]}", `plan.yaml:17: restore.into: "x" is not a resource ID`},
	"restore into another":          {"timeZone: UTC", "restore: {into: [/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/r/providers/Microsoft.KeyVault/managedHSMs/hsm]}", `the plan has no target of the type Microsoft.KeyVault/managedHSMs`},
	"restore, approval":             {"timeZone: UTC", "restore: {into: [itself], approval: yes}", `plan.yaml:17: "yes" is neither none nor required`},
	"restore, approvers":            {"timeZone: UTC", "restore: {into: [itself], approvers: [a]}", `restore has no field "approvers"; it has approval, from, into, replyTo, safetyBackup`},
	"restore, queue":                {"timeZone: UTC", "restore: {into: [itself], replyTo: [A_B]}", `"A_B" is no name of a queue`},
	"the container of manifests":    {"container: lifeboat\n", "container: lifeboat-manifests\n", "lifeboat-manifests has the manifests of file shares"},
	"restore, our queue":            {"timeZone: UTC", "restore: {into: [itself], replyTo: [execute]}", `execute is a queue of Lifeboat's own`},
	"restore, CCF safety":           {"Microsoft.ApiManagement/service/contoso]\n    schedule: \"*/10 * * * * *\"\n    timeZone: UTC", "Microsoft.ConfidentialLedger/managedCCFs/contoso]\n    schedule: \"*/10 * * * * *\"\n    restore: {into: [itself], safetyBackup: true}", `there is nothing left for a safetyBackup`},
	"restore, safety":               {"timeZone: UTC", "restore: {into: [itself], safetyBackup: often}", `plan.yaml:17: "often" is none of required, default and never`},
	"minimum 0":                     {"within: 90s", "within: 90s, minimum: 0", "plan.yaml:18: minimum 0 is not a whole number from 1 to 100"},
	"minimum beyond what is held":   {"within: 90s", "within: 90s, minimum: 101", "plan.yaml:18: minimum 101 is not a whole number from 1 to 100"},
	"minimum alone":                 {"within: 90s", "minimum: 3", "plan.yaml:18: keep: every rule is off, and minimum is none: write last: 3"},
	"every rule off":                {"within: 90s", "daily: 0, minimum: 1", "plan.yaml:18: keep: every rule is off: write at least one of last, hourly, daily"},
	"no end of a count":             {"within: 90s", "daily: unlimited", "plan.yaml:18: daily unlimited: to delete nothing that the schedule made leave keep out, to switch the rule off leave daily out"},
	"no end of keep.within":         {"within: 90s", "within: unlimited", "plan.yaml:18: within unlimited: to delete nothing that the schedule made leave keep out, to switch"},
	"no end of a backup by hand":    {"timeZone: UTC", "onDemand: {keep: {within: forever}}", "plan.yaml:17: within forever: write 36500d, the longest time"},
	"a year":                        {"within: 90s", "within: 1y", "plan.yaml:18: within 1y: keep has no months and years, which have no fixed length: write 366d"},
	"months of other programs":      {"within: 90s", "within: 2mo", "plan.yaml:18: within 2mo: keep has no months and years, which have no fixed length: write 62d"},
	"more years than there are":     {"within: 90s", "within: 100y", `plan.yaml:18: "100y" is not a time such as 30d`},
	"a negative count":              {"within: 90s", "daily: -1", "plan.yaml:18: daily -1 is not a whole number from 0 to 400"},
	"half a day":                    {"within: 90s", "daily: 1.5", "plan.yaml:18: daily"},
	"more than a row holds":         {"within: 90s", "daily: 300, hourly: 200", "plan.yaml:18: keep: the counts and minimum are more than 400 in sum"},
	"minimum by hand":               {"timeZone: UTC", "onDemand: {keep: {within: 7d, minimum: 2}}", `plan.yaml:17: keep has no field "minimum"; it has within`},
	"not UTF-8":                     {"often", "oft\xffen", `UTF-8`},
	"not YAML":                      {"plans:", "plans: {", "plan.yaml"},
	"a tab":                         {"  - name: often", "\t- name: often", "plan.yaml:14: a tab stands at the beginning of the line: YAML takes spaces alone there"},
	"no DNS zone":                   {"container: lifeboat", "container: lifeboat\n    zone: z1", `plan.yaml:7: "z1" is not the DNS zone of a storage account, such as z12`},
	"m in keep":                     {"within: 90s", "within: 6m", "plan.yaml:18: within 6m: keep has no unit m, which may be minutes or months: write 186d for months, or 360s for minutes"},
	"m in keep, of many digits":     {"within: 90s", "within: 16681m", "plan.yaml:18: within 16681m: keep has no unit m, which may be minutes or months: write 279h for minutes"},
	"m in onDemand.keep":            {"timeZone: UTC", "onDemand: {keep: {within: 6m}}", "plan.yaml:17: within 6m: keep has no unit m, which may be minutes or months: write 186d for months, or 360s for minutes"},
	"account with a slash too many": {"contosobackups\n", "contosobackups//\n", `plan.yaml:5: storage.account: "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/backups/providers/Microsoft.Storage/storageAccounts/contosobackups/" is not a resource ID: a slash stands at its end`},
	"no plans, said with nothing":   {good[strings.Index(good, "plans:"):], "plans:\n", "plan.yaml:7: plans has no value, and must be a list, which may be empty: []"},
}

// TestParsePlanRefuses checks that each edit of the good plan is refused with its line and a reason that names the mistake.
func TestParsePlanRefuses(t *testing.T) {
	for name, c := range wrong {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("the edit changes nothing")
			}
			_, _, err := reader.Parse("plan.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
	if _, _, err := reader.Parse("plan.yaml", nil); err == nil {
		t.Error("an empty file was read as a plan")
	}
}

// TestParsePlanReadsNumbersAsEditorsDo checks the notations of YAML 1.2, and no others.
func TestParsePlanReadsNumbersAsEditorsDo(t *testing.T) {
	for text, want := range map[string]int{
		"10": 10, "+10": 10, "010": 10, "089": 89, "0o12": 10, "0x1F": 31, "10.0": 10, "1e1": 10, "1.": 1,
		"0o8": 0, "0x": 0, "0x-1": 0, "0b11": 0, "1_0": 0, "10.5": 0, "1e-1": 0, "1e400": 0, ".inf": 0, "1:30": 0, "'10'": 0,
	} {
		plans, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(good, "timeZone: UTC", "concurrency: "+text, 1)))
		if want == 0 && (err == nil || !strings.Contains(err.Error(), "plan.yaml:17: ") || !strings.Contains(err.Error(), "a whole number from 1 to 500")) {
			t.Errorf("%s: %v", text, err)
		}
		if want > 0 && (err != nil || plans[1].Settings.Concurrency != want) {
			t.Errorf("%s: %v, want %d", text, err, want)
		}
	}
	for _, text := range []string{"1.0", "0x1", "01", "1e0"} {
		if _, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(good, "version: 1", "version: "+text, 1))); err != nil {
			t.Errorf("version %s: %v", text, err)
		}
	}
}

// TestSoftDelete: the time is as it was written, and seconds get a warning.
func TestSoftDelete(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"off": 0, "0d": 0, "0s": 0, "365d": backup.LongestSoftDelete, "8760h": backup.LongestSoftDelete, "52w": 364 * 24 * time.Hour, "90s": 90 * time.Second,
	} {
		plans, warnings, err := reader.Parse("plan.yaml", []byte(strings.Replace(good, "timeZone: UTC", "softDelete: "+text, 1)))
		if err != nil || plans[1].Settings.SoftDelete != want || plans[0].Settings.SoftDelete != backup.DefaultSoftDelete {
			t.Errorf("softDelete %s: %v, %v", text, plans, err)
			continue
		}
		warned := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "softDelete 90s is in seconds") })
		if warned != (text == "90s") {
			t.Errorf("softDelete %s: %q", text, warnings)
		}
	}
}

// TestParsePlanTakesAliases checks that an alias counts as its text.
func TestParsePlanTakesAliases(t *testing.T) {
	text := strings.NewReplacer("timeZone: Europe/Zurich", "timeZone: &zone Europe/Zurich", "timeZone: UTC", "timeZone: *zone",
		"keep: {within: 30d}", "keep: &keep {within: 30d}", "keep: {within: 90s}", "keep: *keep").Replace(good)
	plans, _, err := reader.Parse("plan.yaml", []byte(text))
	if err != nil || plans[1].Schedule.Zone.String() != "Europe/Zurich" || plans[1].Settings.KeepWithin != 30*24*time.Hour {
		t.Errorf("%+v, %v", plans, err)
	}
}

// TestParsePlanWhole checks that each field of a plan is read as it was written, and that a missing field stays empty. A new
// field must be added here too.
func TestParsePlanWhole(t *testing.T) {
	const (
		scope = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
		one   = scope + "Microsoft.ApiManagement/service/contoso"
		two   = scope + "Microsoft.KeyVault/managedHSMs/contoso-1"
		three = scope + "Microsoft.ConfidentialLedger/ledgers/contoso-2"
	)
	text := strings.NewReplacer("*/10 * * * * *", "*/10 * * L * *", "targets: ["+one+"]", "targets: ["+one+", "+two+", "+three+"]", "within: 90s", "within: 90s, minimum: 3, last: 2, hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3", "timeZone: UTC", `timeZone: UTC
    jitter: 20m
    window: 3h
    softDelete: 2w
    concurrency: 12
    identity: 0c0ffee0-0000-4000-8000-0000000000aa
    hsm: {access: sas}
    ccf: {restoreRegion: westeurope, apiVersion: "2026-05-22-preview"}
    onDemand: {keep: {within: 2w}, replyTo: [deploy-answers]}
    onChange: {quiet: 10m}
    restore: {into: [itself, `+one+`-2], from: [`+one+`-3/], approval: required, replyTo: [soar-answers], safetyBackup: true}
    paused: true
    select: {subscriptions: [0C0FFEE0-0000-4000-8000-000000000002], types: [microsoft.apimanagement/service], resourceGroups: [Prod], tags: {Backup: "yes"}}
    storage: {account: `+scope+`Microsoft.Storage/storageAccounts/other, container: others, zone: z12}`).Replace(good)
	plans, _, err := reader.Parse("plan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := backup.Plan{
		Name: "often", Targets: []string{one, two, three},
		Schedule: schedule.Schedule{
			Second: 1 | 1<<10 | 1<<20 | 1<<30 | 1<<40 | 1<<50, Minute: 1<<60 - 1, Hour: 1<<24 - 1, Day: 1<<32 - 2,
			Month: 1<<13 - 2, Weekday: 1<<7 - 1, Last: 1, Zone: time.UTC,
		},
		Expression: "*/10 * * L * *", Jitter: 20 * time.Minute, Window: 3 * time.Hour, Paused: true,
		Settings: backup.Settings{
			Storage:    backup.Storage{Account: scope + "Microsoft.Storage/storageAccounts/other", Container: "others", Zone: "z12"},
			KeepWithin: 90 * time.Second, KeepGrace: 60*24*time.Hour + 20*time.Second, KeepMinimum: 3, SoftDelete: 14 * 24 * time.Hour, Concurrency: 12,
			KeepCounts: backup.Counts{Last: 2, Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3, Zone: "UTC"},
			Blocks:     `{"ccf":{"apiVersion":"2026-05-22-preview","restoreRegion":"westeurope"},"hsm":{"access":"sas"},"identity":"0c0ffee0-0000-4000-8000-0000000000aa"}`,
		},
		Select: &backup.Select{
			Subscriptions: []string{"0c0ffee0-0000-4000-8000-000000000002"}, Types: []string{"Microsoft.ApiManagement/service"}, ResourceGroups: []string{"prod"},
			Tags: map[string]string{"Backup": "yes"},
		},
		OnDemandKeepWithin: 14 * 24 * time.Hour, OnDemandReplyTo: []string{"deploy-answers"},
		Quiet: 10 * time.Minute,
		Restore: backup.RestorePolicy{
			Into: []string{backup.Itself, one + "-2"}, From: []string{one + "-3"}, Approval: true, ReplyTo: []string{"soar-answers"}, Safety: backup.SafetyRequired,
		},
	}
	if zone := plans[1].Schedule.Zone; zone.String() == "UTC" {
		want.Schedule.Zone = zone // the program's own, of no other address
	}
	for _, field := range empty(reflect.ValueOf(want), "Plan") {
		if field != "Plan.Settings.Storage.Vault" { // TestVault: there is none for three services
			t.Errorf("%s is not covered: write it into the plan here", field)
		}
	}
	if !reflect.DeepEqual(plans[1], want) {
		t.Errorf("got  %+v\nwant %+v", plans[1], want)
	}
	// The first plan has no other values.
	bare := plans[0]
	bare.Name, bare.Targets, bare.Schedule, bare.Expression = "", nil, schedule.Schedule{}, ""
	bare.Settings.Storage, bare.Settings.KeepWithin, bare.Settings.SoftDelete = backup.Storage{}, 0, 0
	bare.Settings.KeepGrace, bare.OnDemandKeepWithin = 0, 0 // one comes from the schedule, the other from the service
	if !reflect.DeepEqual(bare, backup.Plan{}) {
		t.Errorf("what was not written was read: %+v", bare)
	}
}

// empty returns the fields without a value, also the fields of structs in it.
func empty(v reflect.Value, name string) []string {
	if v.Kind() != reflect.Struct {
		if v.IsZero() {
			return []string{name}
		}
		return nil
	}
	var fields []string
	for field, value := range v.Fields() {
		fields = append(fields, empty(value, name+"."+field.Name)...)
	}
	return fields
}

// TestParsePlanOfLedgers checks that a Managed CCF is restored for 90 days, in the plan's region, and that an export of a ledger
// may be kept for any time.
func TestParsePlanOfLedgers(t *testing.T) {
	ccf := strings.NewReplacer("Microsoft.ApiManagement/service/contoso]", "Microsoft.ConfidentialLedger/managedCCFs/Contoso-1]",
		"timeZone: UTC", `ccf: {restoreRegion: westeurope, apiVersion: "2024-09-19-preview"}`, "90s", "90d").Replace(good)
	plans, _, err := reader.Parse("plan.yaml", []byte(ccf))
	if err != nil {
		t.Fatal(err)
	}
	if p := plans[1]; p.Settings.Blocks != `{"ccf":{"apiVersion":"2024-09-19-preview","restoreRegion":"westeurope"}}` {
		t.Errorf("%+v", p.Settings)
	}
	for change, want := range map[string]string{
		"90d|91d": "within 91d is longer than Microsoft.ConfidentialLedger/managedCCFs can restore a backup: 90 days",
		`restoreRegion: westeurope|serviceCertificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"`: "serviceCertificate cannot be read: x509",
		"2024-09-19-preview|2026-02-23": "apiVersion 2026-02-23 has no Managed CCF: Azure took it out with 2026-02-23",
	} {
		from, to, _ := strings.Cut(change, "|")
		if _, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(ccf, from, to, 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
	plain := strings.NewReplacer("managedCCFs", "ledgers", "90d", "520w", "2024-09-19-preview", "2026-05-22-preview").Replace(ccf)
	if _, _, err := reader.Parse("plan.yaml", []byte(plain)); err != nil {
		t.Error(err)
	}
}

// TestParsePlanOfAnHSM checks that a Managed HSM has its own kind of access to the storage account, and no horizon.
func TestParsePlanOfAnHSM(t *testing.T) {
	hsm := strings.NewReplacer("Microsoft.ApiManagement/service/contoso]", "Microsoft.KeyVault/managedHSMs/Contoso-1]",
		"timeZone: UTC", "hsm: {access: sas}", "90s", "520w").Replace(good)
	plans, _, err := reader.Parse("plan.yaml", []byte(hsm))
	if err != nil {
		t.Fatal(err)
	}
	if s := plans[1].Settings; s.Blocks != `{"hsm":{"access":"sas"}}` || s.KeepWithin != 3640*24*time.Hour {
		t.Errorf("got %+v", s)
	}
	_, _, err = reader.Parse("plan.yaml", []byte(strings.Replace(hsm, "hsm: {access: sas}", "identity: accessKey", 1)))
	if err == nil || !strings.Contains(err.Error(), "plan.yaml:17: identity is for API Management") {
		t.Errorf("got %v", err)
	}
}

// TestParsePlanShowsNoSecret checks that a secret in the wrong place is refused like any mistake, and never shown.
func TestParsePlanShowsNoSecret(t *testing.T) {
	const key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtMQ=="
	for _, text := range []string{
		"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=" + key, "https://contoso.blob.core.windows.net/x?sv=1&sig=" + key, key,
	} {
		_, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(good, "name: often", "name: "+text, 1)))
		if err == nil || strings.Contains(err.Error(), key[:20]) || !strings.Contains(err.Error(), "plan.yaml:14:") {
			t.Errorf("got %v", err)
		}
	}
}

// TestParsePlanTellsEverything checks that the error has all mistakes at once, in the order of the lines, and each once.
func TestParsePlanTellsEverything(t *testing.T) {
	text := strings.NewReplacer("30 2 * * *", "x", "90s", "y", "Europe/Zurich", "z").Replace(good)
	_, _, err := reader.Parse("plan.yaml", []byte(text))
	if err == nil {
		t.Fatal("it was read as a plan")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{"plan.yaml:3:", "plan.yaml:12:", "plan.yaml:18:"}
	if len(lines) != len(want) {
		t.Fatalf("want a line for each of %v, got: %v", want, err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("line %d is %q, want %s", i, line, want[i])
		}
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _, _ = reader.Parse("plan.yaml", text) })
}

func TestFromEnvironment(t *testing.T) {
	read := func(env map[string]string) (config.Settings, error) {
		return config.FromEnvironment(func(k string) string { return env[k] })
	}
	s, err := read(map[string]string{"LIFEBOAT_PLAN": "plan.yaml"})
	if err != nil || s.WaitFactor != 1 || s.Concurrency != 50 || s.Resource != "" || s.Secure {
		t.Errorf("defaults: %+v, %v", s, err)
	}
	if s.Timers["schedule"].Wrong == nil || s.Timers["cleanup"].Wrong == nil || !strings.Contains(s.Timers["cleanup"].Wrong.Error(), "missing") {
		t.Errorf("timers without settings: %+v", s.Timers)
	}
	s, err = read(map[string]string{"LIFEBOAT_PLAN": "p", "LIFEBOAT_SCHEDULE_TIMER": "0 */2 * * * *", "LIFEBOAT_CLEANUP_TIMER": "00:05:00"})
	timer, at := s.Timers["schedule"], time.Date(2026, 3, 28, 10, 1, 0, 0, time.UTC)
	if err != nil || timer.Setting != "LIFEBOAT_SCHEDULE_TIMER" || timer.Wrong != nil || !timer.Schedule.Next(at).Equal(at.Add(time.Minute)) {
		t.Errorf("a timer run each two minutes: %+v, %v", timer, err)
	}
	timer = s.Timers["cleanup"]
	if timer.Setting != "LIFEBOAT_CLEANUP_TIMER" || timer.Schedule != nil || timer.Wrong == nil || !strings.Contains(timer.Wrong.Error(), `"00:05:00"`) {
		t.Errorf("a timer run that the host alone can read: %+v", timer)
	}
	s, err = read(map[string]string{
		"LIFEBOAT_PLAN": "p", "LIFEBOAT_WAIT_FACTOR": "0.01", "LIFEBOAT_CONCURRENCY": "500", "WEBSITE_SITE_NAME": "contoso", "WEBSITE_INSTANCE_ID": "1",
	})
	if err != nil || s.WaitFactor != 0.01 || s.Concurrency != 500 || s.App != "contoso" || s.Resource != "" || !s.Secure {
		t.Errorf("set: %+v, %v", s, err)
	}
	for _, env := range []map[string]string{
		{},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_WAIT_FACTOR": "0"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_WAIT_FACTOR": "2"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_WAIT_FACTOR": "NaN"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_WAIT_FACTOR": "soon"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_CONCURRENCY": "0"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_CONCURRENCY": "501"},
		{"LIFEBOAT_PLAN": "p", "LIFEBOAT_CONCURRENCY": "many"},
	} {
		if s, err := read(env); err == nil {
			t.Errorf("%v was taken: %+v", env, s)
		}
	}
}

// TestExamplePlan checks that the example that people copy works.
func TestExamplePlan(t *testing.T) {
	if plans, _, err := reader.File("../../docs/plan.yaml", 1); err != nil || len(plans) != 2 {
		t.Errorf("%v, %v", plans, err)
	}
	text, err := os.ReadFile("../../docs/plan.yaml")
	if err != nil || !strings.HasPrefix(string(text), "# yaml-language-server: $schema=plan.schema.json\n") {
		t.Errorf("editors are not told where the schema is: %v", err)
	}
}
