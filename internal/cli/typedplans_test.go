package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// typed is a plan whose edits are as people type them.
const typed = `version: 1
defaults:
  timeZone: Europe/Vienna
  storage:
    account: /subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/store/providers/Microsoft.Storage/storageAccounts/fabrikambackups
    container: copies
plans:
  - name: gateways
    targets:
      - /subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam
    schedule: "45 3 * * *"
    keep: {within: 14d}
`

// TestTypedPlans checks the exact words, the line and the exit code of plan check for each kind of text that people type: first a
// case of a public bug report, in a plan of our own, then its siblings.
func TestTypedPlans(t *testing.T) {
	const (
		id       = "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam"
		schedule = `schedule: "45 3 * * *"`
		good     = "plan.yaml: good: 1 plan, 1 target\n  gateways: "
		nightly  = "every day at 03:45 in Europe/Vienna, 1 run a day, keeps 14 of each target\n"
	)
	for _, c := range []struct {
		name, old, new string
		code           int
		want           string // stdout and stderr
	}{
		{"kept for longer than a number holds", "within: 14d", "within: 20000w", 1, `plan.yaml:12: "20000w" is longer than 36500 days: nothing is kept for more than a hundred years` + "\n"},
		{"kept for longer than API Management restores", "within: 14d", "within: 5w", 1, "plan.yaml:12: within 5w is longer than Microsoft.ApiManagement/service can restore a backup: 30 days\n"},
		{"AWS, each day", schedule, `schedule: "45 3 * * ? *"`, 1, `plan.yaml:11: "45 3 * * ? *" is a form of AWS, with the minutes first and the year last: write "45 3 * * *"` + "\n"},
		{"AWS, each month", schedule, `schedule: "15 9 2 * ? *"`, 1, `plan.yaml:11: "15 9 2 * ? *" is a form of AWS, with the minutes first and the year last: write "15 9 2 * *"` + "\n"},
		{"AWS, with its word around it", schedule, `schedule: "cron(45 3 * * ? *)"`, 1, `plan.yaml:11: "cron(45 3 * * ? *)" is a form of AWS, with the minutes first and the year last: write "45 3 * * *"` + "\n"},
		{"a good plan", "45 3", "45 3", 0, good + nightly},
		{"a good plan after an edit", "45 3", "0 11", 0, good +
			"every day at 11:00 in Europe/Vienna, 1 run a day, keeps 14 of each target\n"},
		{"a star among the seconds", schedule, `schedule: "* 45 3 * * *"`, 0, good +
			"every second from 03:45:00 to 03:45:59 in Europe/Vienna, 60 runs a day, keeps 840 of each target\n" +
			`plan.yaml:11: warning: "* 45 3 * * *" comes due 60 times in a row, 1s apart at the least, and has several scheduled times within a minute: the timer looks once a minute, and calls all but the newest missed` + "\n"},
		{"a star among the minutes", schedule, `schedule: "* 3 * * *"`, 0, good +
			"every minute from 03:00 to 03:59 in Europe/Vienna, 60 runs a day, keeps 840 of each target\n" +
			`plan.yaml:11: warning: "* 3 * * *" comes due 60 times in a row, 1m apart at the least, but a backup of Microsoft.ApiManagement/service may take 30m: a run that still waits when the next scheduled time comes is superseded` + "\n"},
		{"kept for minutes, or months", "within: 14d", "within: 6m", 1, "plan.yaml:12: within 6m: keep has no unit m, which may be minutes or months: write 186d for months, or 360s for minutes\n"},
		{"kept for minutes, by hand", "keep: {within: 14d}", "keep: {within: 14d}\n    onDemand: {keep: {within: 90m}}", 1, "plan.yaml:13: within 90m: keep has no unit m, which may be minutes or months: write 2790d for months, or 5400s for minutes\n"},
		{"kept for seconds", "within: 14d", "within: 600s", 0, good + strings.Replace(nightly, "14", "1", 1) +
			"plan.yaml:12: warning: within 600s is in seconds, which are meant for trials: write hours, days or weeks, such as 30d\n" +
			"plan.yaml:12: warning: within 600s is shorter than the 24 hours between two scheduled times: each target has one recovery point at a time\n"},
		{"kept for less than a day", "within: 14d", "within: 12h", 0, good + strings.Replace(nightly, "14", "1", 1) +
			"plan.yaml:12: warning: within 12h is shorter than the 24 hours between two scheduled times: each target has one recovery point at a time\n"},
		{"a zero width space in the group", "resourceGroups/live", "resourceGroups/live\u200b", 1, `plan.yaml:10: targets: "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live\u200b/providers/Microsoft.ApiManagement/service/fabrikam" is not a resource ID: the resource group "live\u200b" has an invisible character, U+200B, at character 72` + "\n"},
		{"a no-break space in the account", "fabrikambackups", "fabrikambackups\u00a0", 1, `plan.yaml:5: storage.account: "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/store/providers/Microsoft.Storage/storageAccounts/fabrikambackups\u00a0" is not a resource ID: the name "fabrikambackups\u00a0" has an invisible character, U+00A0, at character 133` + "\n"},
		{"a Cyrillic letter in the name", "fabrikam\n", "fabrikаm\n", 1, `plan.yaml:10: targets: "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikаm" is not a resource ID: the name "fabrik\u0430m" has the character U+0430, which only looks like 'a', at character 121` + "\n"},
		{"curly quotation marks", "- " + id, "- “" + id + "”", 1, `plan.yaml:10: targets: "“/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam”" is not a resource ID: it has a quotation mark, U+201C '\u201c', at character 1` + "\n"},
		{"an address of the portal", "- " + id, "- https://portal.azure.com/#@fabrikam.example/resource" + id + "/overview", 1, `plan.yaml:10: targets: "https://portal.azure.com/#@fabrikam.example/resource/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam/overview" is not a resource ID: it is the address of a page of the Azure portal; write "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam"` + "\n"},
		{"the folder of Git Bash", "- " + id, "- C:/Program Files/Git" + id, 1, `plan.yaml:10: targets: "C:/Program Files/Git/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam" is not a resource ID: it is a path of Windows; a shell such as Git Bash puts its own folder before an argument that begins with a slash, unless MSYS_NO_PATHCONV=1 is set; write "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam"` + "\n"},
		{"a child of the target", "service/fabrikam", "service/fabrikam/apis/echo", 1, `plan.yaml:10: targets: "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam/apis/echo" is not a resource ID: it goes on behind the name of the resource: write "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/live/providers/Microsoft.ApiManagement/service/fabrikam"` + "\n"},
		{"the first Monday", schedule, `schedule: "45 3 1-7 * MON"`, 1, `plan.yaml:11: "45 3 1-7 * MON" restricts both the day of the month and the day of the week: NCRONTAB wants both to match, Kubernetes and croniter one of them; for either, write two plans: write "45 3 1-7 * *" and "45 3 * * MON"` + "\n"},
		{"the last day of the month", schedule, `schedule: "45 3 28-31 * SUN"`, 1, `plan.yaml:11: "45 3 28-31 * SUN" restricts both the day of the month and the day of the week: NCRONTAB wants both to match, Kubernetes and croniter one of them; for either, write two plans: write "45 3 28-31 * *" and "45 3 * * SUN"` + "\n"},
		{"a star without quotation marks", schedule, "schedule: */20 * * * *", 1, `plan.yaml:11: put the schedule in quotes, since * has a meaning of its own in YAML: schedule: "*/20 * * * *"` + "\n"},
		{"the same, and other mistakes", "schedule: \"45 3 * * *\"\n    keep: {within: 14d}", "schedule: * 3 * * * # each minute of an hour\n    keep: {within: 2 weeks}", 1, `plan.yaml:11: put the schedule in quotes, since * has a meaning of its own in YAML: schedule: "* 3 * * *"` + "\n" +
			`plan.yaml:12: "2 weeks" is not a time such as 30d: a whole number and one of w, d, h` + "\n"},
		{"a macro without quotation marks", schedule, "schedule: @daily", 1, `plan.yaml:11: put the schedule in quotes, since @ has a meaning of its own in YAML: schedule: "@daily"` + "\n" +
			`plan.yaml:11: "@daily" is a form of Vixie cron and Kubernetes: write "0 0 * * *"` + "\n"},
		{"a tab", "    schedule", "\tschedule", 1, "plan.yaml:11: a tab stands at the beginning of the line: YAML takes spaces alone there\n"},
		{"quotation marks around a number", "version: 1", `version: "1"`, 1, `plan.yaml:1: version is the text "1", and must be the number 1; take the quotes off` + "\n"},
		{"a number for a name", "name: gateways", "name: 2026", 1, "plan.yaml:8: name is the number 2026, and must be text; put it in quotes\n"},
		{"quotation marks around a boolean", "keep: {within: 14d}", "keep: {within: 14d}\n    paused: \"false\"\n    concurrency: \"8\"", 1, `plan.yaml:13: paused is the text "false", and must be true or false; take the quotes off` + "\n" +
			`plan.yaml:14: concurrency is the text "8", and must be a whole number from 1 to 500; take the quotes off` + "\n"},
		{"a word for a boolean", "keep: {within: 14d}", "keep: {within: 14d}\n    paused: off", 1, `plan.yaml:13: paused is the text "off", and must be true or false` + "\n"},
		{"a slash behind the account", "fabrikambackups", "fabrikambackups/", 0, good + nightly},
		{"two slashes behind the account", "fabrikambackups", "fabrikambackups//", 1, `plan.yaml:5: storage.account: "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/store/providers/Microsoft.Storage/storageAccounts/fabrikambackups/" is not a resource ID: a slash stands at its end` + "\n"},
		{"a slash behind the target", "service/fabrikam", "service/fabrikam/", 0, good + nightly},
		{"an account's name alone", "/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/store/providers/Microsoft.Storage/storageAccounts/fabrikambackups", "fabrikambackups", 1, `plan.yaml:5: storage.account: "fabrikambackups" is not a resource ID of the form /subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}` + "\n"},
		{"a zone that never changes its clocks", "Europe/Vienna", "EST", 0, good +
			"every day at 03:45 in EST, 1 run a day, keeps 14 of each target\n" +
			"plan.yaml:3: warning: EST is -05:00 all year: write America/New_York, unless that is what you mean\n"},
		{"another one", "Europe/Vienna", "MST", 0, good +
			"every day at 03:45 in MST, 1 run a day, keeps 14 of each target\n" +
			"plan.yaml:3: warning: MST is -07:00 all year: write America/Denver, unless that is what you mean\n"},
		{"an offset that is the other way round", "Europe/Vienna", "Etc/GMT+1", 0, good +
			"every day at 03:45 in Etc/GMT+1, 1 run a day, keeps 14 of each target\n" +
			"plan.yaml:3: warning: Etc/GMT+1 is -01:00, since its sign is the other way round: for +01:00 write Etc/GMT-1, or better a place\n"},
		{
			"one holder of a security domain", typed[strings.Index(typed, "Microsoft.ApiManagement"):],
			"Microsoft.KeyVault/managedHSMs/fabrikam\n    schedule: \"45 3 * * *\"\n    hsm: {securityDomain: {every: 180d, holders: [" + strings.Repeat("a", 64) + "]}}\n", 1,
			"plan.yaml:12: holders has fewer than two holders\n",
		},
		{"no plans", typed[strings.Index(typed, "plans:"):], "plans: []\n", 0, "plan.yaml: good: 0 plans, 0 targets\n"},
		{"no plans, said with nothing", typed[strings.Index(typed, "plans:"):], "plans:\n", 1, "plan.yaml:7: plans has no value, and must be a list, which may be empty: []\n"},
		{"UTF-16", "version: 1", "\xff\xfeversion: 1", 1, "plan.yaml: the file is in UTF-16, as PowerShell writes it with >: save it as UTF-8\n"},
		{"Latin-1", "live", "l\xefve", 1, "plan.yaml:10: this line is not UTF-8: save the file as UTF-8\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(typed, c.old, c.new, 1)
			if text == typed && c.old != c.new {
				t.Fatal("the edit changes nothing")
			}
			path := filepath.Join(t.TempDir(), "plan.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := run("plan", "check", path)
			if got := strings.ReplaceAll(out+errs, path, "plan.yaml"); code != c.code || got != c.want {
				t.Errorf("exit code %d, want %d\ngot  %s\nwant %s", code, c.code, got, c.want)
			}
		})
	}
}
