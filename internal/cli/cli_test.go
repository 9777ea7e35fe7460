package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli"
	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

// now is a time on the day before the clocks of Zurich go forward: 02:30 does not exist on the 29th.
var now = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

func run(args ...string) (code int, out, errs string) {
	return within(context.Background(), cli.Shell{}, args...)
}

// reader is the program's reader.
var reader = config.NewReader(services.All().Known())

// within runs a command in a shell.
func within(ctx context.Context, sh cli.Shell, args ...string) (code int, out, errs string) {
	sh.Plans = reader
	var stdout, stderr bytes.Buffer
	if sh.Getenv == nil {
		sh.Getenv = func(string) string { return "" }
	}
	if sh.Now.IsZero() {
		sh.Now = now
	}
	sh.Stdout, sh.Stderr = &stdout, &stderr
	code = cli.Run(ctx, args, sh)
	return code, stdout.String(), stderr.String()
}

// edited returns a file with the first plan of the example after the replacements.
func edited(t *testing.T, replacements ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "  - name: weekly-ledgers")
	after := strings.NewReplacer(replacements...).Replace(first)
	if len(replacements) > 0 && after == first {
		t.Fatal("the edit changes nothing")
	}
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVersion checks that the command prints the version, and needs no settings for it.
func TestVersion(t *testing.T) {
	for _, ask := range []string{"version", "--version"} {
		sh := cli.Shell{Version: "f69029140-dirty", Getenv: func(string) string { return "" }}
		code, out, errs := within(t.Context(), sh, ask)
		if code != 0 || !strings.HasPrefix(out, "lifeboat f69029140-dirty go1.") || strings.Count(out, "\n") != 1 || errs != "" {
			t.Errorf("%s: %d %q %q", ask, code, out, errs)
		}
	}
}

func TestCheck(t *testing.T) {
	if code, out, errs := run("plan", "check", edited(t)); code != 0 || !strings.Contains(out, "good: 1 plan, 1 target") || errs != "" {
		t.Errorf("a good plan: %d, %q, %q", code, out, errs)
	}
	path := edited(t, "30 2 * * *", "30 33 * * *", "30d", "a month")
	code, out, errs := run("plan", "check", path)
	if code != 1 || out != "" || !strings.Contains(errs, path+`:13: "30 33 * * *"`) || !strings.Contains(errs, path+`:14: "a month"`) {
		t.Errorf("a broken plan: %d, %q, %q", code, out, errs)
	}
	if code, _, errs := run("plan", "check", "nowhere.yaml"); code != 1 || !strings.Contains(errs, "nowhere.yaml") {
		t.Errorf("no file: %d, %q", code, errs)
	}
}

func TestNext(t *testing.T) {
	for _, args := range [][]string{{"-n", "2", "FILE"}, {"FILE", "-n", "2"}} {
		path := edited(t)
		for i := range args {
			args[i] = strings.Replace(args[i], "FILE", path, 1)
		}
		code, out, errs := run(append([]string{"plan", "next"}, args...)...)
		want := `nightly-apim: every day at 02:30 in Europe/Zurich, 1 run a day
  2026-03-29: the clocks of Europe/Zurich go from 02:00 to 03:00 at 01:00Z: the scheduled time in between comes as much later

PLAN          TARGET   LOCAL                           ZONE           UTC
nightly-apim  contoso  Sun 2026-03-29 03:30:00 +02:00  Europe/Zurich  2026-03-29T01:30:00Z
nightly-apim  contoso  Mon 2026-03-30 02:30:00 +02:00  Europe/Zurich  2026-03-30T00:30:00Z

by the time zones ` + config.TimeZones() + "\n"
		if code != 0 || out != want || errs != "" {
			t.Errorf("%v: %d %s\n%s\nwant\n%s", args, code, errs, out, want)
		}
	}
	if _, out, _ := run("plan", "next", edited(t)); strings.Count(out, "\n") != 9 {
		t.Errorf("without -n: %s", out)
	}
	if _, out, _ := run("plan", "next", edited(t, "keep:", "paused: true\n    keep:")); !strings.Contains(out, "paused") {
		t.Errorf("a paused plan: %s", out)
	}
}

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		replacements []string
		want         []string
	}{
		"nothing": {nil, []string{"nothing changes"}},
		"target": {[]string{"service/contoso", "service/other"}, []string{
			"- target /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso",
			"+ target /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/other",
			"service/contoso any more: it is not backed up",
		}},
		"name": {[]string{"nightly-apim", "daily-apim"}, []string{
			"- plan nightly-apim vanishes with its 1 target", "+ plan daily-apim is new, with 1 target", "the next scheduled time is Sun 2026-03-29 03:30:00",
		}},
		"schedule": {[]string{"30 2 * * *", "0 4 * * *"}, []string{
			`schedule "30 2 * * *" in Europe/Zurich becomes "0 4 * * *" in Europe/Zurich`, "the last one made", "04:00:00 +02:00",
		}},
		"zone":    {[]string{"Europe/Zurich", "UTC"}, []string{`in Europe/Zurich becomes "30 2 * * *" in UTC`}},
		"keep":    {[]string{"30d", "2w"}, []string{"keep.within 30d becomes 14d", "recovery points that are there keep their day"}},
		"storage": {[]string{"container: lifeboat", "container: other"}, []string{"recovery points stay where they are"}},
		"a container for each target": {[]string{"container: lifeboat", "container: apim-{name}"}, []string{
			"contosobackups/lifeboat becomes /subscriptions/", "contosobackups/apim-{name}, for runs from now on: recovery points stay where they are",
		}},
		"a storage account that was moved": {[]string{"/providers/Microsoft.Storage/", "-moved/providers/Microsoft.Storage/"}, []string{
			"-moved/providers/Microsoft.Storage/storageAccounts/", "it is the same account, and its recovery points stay restorable",
		}},
		"settings": {[]string{
			"keep: {", "jitter: 20m\n    window: 3h\n    concurrency: 3\n    paused: true\n    identity: accessKey\n    onDemand: {keep: {within: 90s}}\n    keep: {",
		}, []string{
			"jitter none becomes 20m", "window until the next scheduled time becomes 3h", "paused: no scheduled times until", "concurrency not set becomes 3", "identity system becomes accessKey",
			"onDemand.keep.within 30d becomes 90s",
		}},
		"restore": {[]string{"/contoso-standby", "/contoso-2\n        - itself\n      replyTo: [answers]\n      approval: required", "safetyBackup: required", "safetyBackup: never"}, []string{
			"~ plan nightly-apim: - restore.into /sub", "/contoso-standby: no more restores into it", "! plan nightly-apim: + restore.into /sub", "/contoso-2 may be OVERWRITTEN",
			"+ restore.into itself: each target may be OVERWRITTEN", "+ restore.replyTo answers", "approval is required", "! plan nightly-apim: restore.safetyBackup is never",
		}},
		"no restore": {[]string{
			"restore: #", "# ", "      into:\n", "", "        - /sub", "# ", "      safetyBackup: required", "",
		}, []string{"- restore.into /sub"}},
		"the default, written out": {[]string{"keep: {", "identity: system\n    keep: {"}, []string{"nothing changes"}},
	} {
		code, out, errs := run("plan", "diff", edited(t), edited(t, c.replacements...))
		if code != 0 || errs != "" || name == "nothing" && out != "nothing changes\n" {
			t.Errorf("%s: %d, %s%s", name, code, out, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
	}
	hsm := []string{"Microsoft.ApiManagement/service/contoso", "Microsoft.KeyVault/managedHSMs/contoso"}
	signed := edited(t, append(hsm, "keep: {", "hsm: {access: sas}\n    keep: {")...)
	_, out, errs := run("plan", "diff", edited(t, hsm...), signed)
	if !strings.Contains(out, "hsm.access identity becomes sas, for runs from now on") {
		t.Errorf("%s%s", out, errs)
	}
	ccf := []string{"Microsoft.ApiManagement/service/contoso", "Microsoft.ConfidentialLedger/managedCCFs/contoso", "      safetyBackup: required", ""}
	moved := edited(t, append(ccf, "keep: {", "ccf: {restoreRegion: westeurope, apiVersion: 2024-09-19-preview}\n    keep: {")...)
	_, out, errs = run("plan", "diff", edited(t, ccf...), moved)
	for _, want := range []string{
		"ccf.restoreRegion the service's own becomes westeurope, for runs from now on",
		"ccf.apiVersion Lifeboat's own becomes 2024-09-19-preview, for runs from now on",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s%s", want, out, errs)
		}
	}
	path := edited(t, "30d", "x")
	if code, _, errs := run("plan", "diff", edited(t), path); code != 1 || !strings.Contains(errs, path+":14") {
		t.Errorf("a broken plan: %d, %q", code, errs)
	}
}

// TestHelp checks that each command has a help of its own on stdout, by the flag and by the command help.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		if code, out, errs := run(args...); code != 0 || !strings.Contains(out, "\n  backup          Asks for a backup now") || errs != "" {
			t.Errorf("%s: %d, %q, %q", args, code, out, errs)
		}
	}
	var visit func(c *cobra.Command, path ...string)
	visit = func(c *cobra.Command, path ...string) {
		code, out, errs := run(append(path, "--help")...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage:\n  "+c.CommandPath()) || !strings.Contains(out, "\nExamples:\n  lifeboat ") {
			t.Errorf("%q --help: %d\n%s%s", path, code, out, errs)
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(line) - 1; n > 80 && !strings.HasPrefix(line, "  lifeboat ") && !strings.HasPrefix(line, "Use \"lifeboat ") {
				t.Errorf("%q --help has a line of %d characters: %s", path, n, line)
			}
		}
		if code, same, errs := run(append([]string{"help"}, path...)...); code != 0 || same != out || errs != "" {
			t.Errorf("help %q: %d\n%s%s", path, code, same, errs)
		}
		for _, sub := range c.Commands() {
			visit(sub, append(slices.Clone(path), sub.Name())...)
		}
	}
	root := cli.Commands(cli.Shell{})
	visit(root)
	if len(root.Commands()) < 14 {
		t.Errorf("only %d commands", len(root.Commands()))
	}
}

// TestUsage checks that arguments that cannot be used get a reason, the usage of the command, and the exit code 2, and that an
// unknown word is answered by the nearest one.
func TestUsage(t *testing.T) {
	const next, runs = "usage: lifeboat plan next FILE [flags]\nlifeboat plan next --help says more\n", "usage: lifeboat runs TARGET [flags]\nlifeboat runs --help says more\n"
	for line, want := range map[string]string{
		"backups":                    `lifeboat: there is no command "backups": did you mean backup or points?` + "\nusage: lifeboat [flags]\nlifeboat --help says more\n",
		"bakup --wait":               `lifeboat: there is no command "bakup": did you mean backup?`,
		"status":                     `lifeboat: there is no command "status": did you mean health or run?`,
		"snapshots":                  `lifeboat: there is no command "snapshots": did you mean points?`,
		"frobnicate":                 `lifeboat: there is no command "frobnicate"` + "\nusage",
		"help bakup":                 `lifeboat: there is no command "bakup": did you mean backup?`,
		"help runs x":                `lifeboat runs: there is no command "x"`,
		"plan":                       "lifeboat plan: a command is missing\nusage: lifeboat plan [flags]\n",
		"plan chek x --live":         `lifeboat plan: there is no command "chek": did you mean check?`,
		"--versio":                   "lifeboat: there is no flag --versio: did you mean --version?",
		"plan chek x":                `lifeboat plan: there is no command "chek": did you mean check?`,
		"plan check":                 "lifeboat plan check: it wants FILE\nusage: lifeboat plan check FILE [flags]\n",
		"plan check a b":             `lifeboat plan check: it wants FILE, and got "b" besides`,
		"plan check --life a":        "lifeboat plan check: there is no flag --life: did you mean --live?",
		"plan check --live":          "lifeboat plan check: it wants FILE\n",
		"plan next -n x a":           `lifeboat plan next: invalid argument "x" for "-n, --number" flag`,
		"plan next -n 0 a":           "lifeboat plan next: -n is from 1 to 10000\n" + next,
		"plan diff a":                "lifeboat plan diff: it wants OLD and NEW\n",
		"plan push a":                "lifeboat plan push: the app would work by another plan.yaml, and there is no terminal to ask at: say --yes if it may\n",
		"plan push a --yes":          "lifeboat plan push: set LIFEBOAT_PLAN to the URL of the blob, as in the app's settings, or say --to URL\nusage: lifeboat plan push FILE [flags]\n",
		"plan pull --from a":         "lifeboat plan pull: --from is the path of a file, and not the URL of a blob",
		"plan pull -o a":             "lifeboat plan pull: set LIFEBOAT_PLAN to the URL of the blob, as in the app's settings, or say --from URL\n",
		"runs":                       "lifeboat runs: it wants TARGET\n" + runs,
		"runs x -all":                "lifeboat runs: there is no flag -all: did you mean --all, with two dashes?\n" + runs,
		"runs x --tpo 3":             "lifeboat runs: there is no flag --tpo: did you mean --top?\n",
		"runs x --top -1":            "lifeboat runs: --top is from 1 to 100\n",
		"runs x --top 0":             "lifeboat runs: --top is from 1 to 100\n",
		"runs x --top 101":           "lifeboat runs: --top is from 1 to 100\n",
		"runs x --top":               "lifeboat runs: flag needs an argument: --top\n",
		"version now":                `lifeboat version: it takes no arguments, and got "now"`,
		"completion":                 "lifeboat completion: it wants one of bash, zsh, fish and powershell\n",
		"completion tcsh":            "lifeboat completion: it wants one of bash, zsh, fish and powershell\n",
		"restore x --dry-run --wait": "lifeboat restore: --dry-run has nothing to --wait for\n",
	} {
		if code, out, errs := run(strings.Fields(line)...); code != 2 || out != "" || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: %d, %q, %s", line, code, out, errs)
		}
	}
	if code, out, errs := run(); code != 2 || out != "" || !strings.HasPrefix(errs, "lifeboat: a command is missing\n") {
		t.Errorf("no arguments: %d, %q, %s", code, out, errs)
	}
}
