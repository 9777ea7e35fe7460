package cli_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/retention"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

var update = flag.Bool("update", false, "write the golden files")

// shown are the commands of the golden files. No line of a table is wider than the terminal.
var shown = []struct {
	line  string
	table bool
}{
	{"health", true},
	{"health -o wide", false},
	{"health -o name", false},
	{"health --utc", true},
	{"coverage", true},
	{"selection", true},
	{"runs contoso-eu", true},
	{"runs dev/payments", true},
	{"runs contoso-eu --top 1 -o yaml", false},
	{"run " + goodRun, false},
	{"run " + failedRun, false},
	{"run " + restored, false},
	{"points contoso-eu", true},
	{"points prod/audit", true},
	{"points contoso-eu --utc", true},
	{"retention preview contoso-eu", true},
	{"retention preview contoso-eu --at 40d", true},
	{"retention preview contoso-eu --at yesterday", false},
	{"retention preview prod/audit --at 28d -o wide", false},
	{"retention preview contoso-eu -o name", false},
	{"retention preview contoso-standby", false},
	{"retention preview", true},
	{"retention preview --at 40d -o name", false},
	{"explain " + goodRun, false},
	{"explain " + goodRun + " --at 40d", false},
	{"explain " + olderRun + " --at 40d", false},
	{"explain " + suspectRun, false},
	{"explain " + restored + " --utc", false},
	{"explain " + failedRun, false},
	{"explain " + goodRun + " -o json", false},
	{"batch " + batchID, true},
	{"backup contoso-us", false},
	{"backup --plan keys", false},
	{"accept " + suspectRun, false},
	{"run " + olderRun, false},
	{"hold " + goodRun + " --reason case-4711", false},
	{"hold " + olderRun + " --reason case-4711 --until 30d", false},
	{"hold " + goodRun, false},
	{"release " + olderRun, false},
	{"release " + olderRun + " --hold " + heldBy + " -o json", false},
	{"release " + goodRun, false},
	{"release " + restored, false},
	{"delete " + suspectRun + " --reason case-4711 --yes", false},
	{"delete " + goodRun + " --reason case-4711 --yes", false},
	{"delete " + olderRun + " --reason case-4711 --yes", false},
	{"delete " + suspectRun + " --reason case-4711", false},
	{"delete " + suspectRun + " --yes", false},
	{"forget contoso-eu --reason retired --yes", true},
	{"forget contoso-eu --reason retired", false},
	{"undelete " + goodRun + " --reason case-4711", false},
	{"undelete " + softRun + " --reason case-4711 --until 30d", false},
	{"run " + softRun, false},
	{"restore contoso-eu --dry-run", false},
	{"restore contoso-eu --into contoso-standby --before yesterday --dry-run", false},
	{"restore contoso-us --into partners --dry-run", false},
	{"restore contoso-eu", false},
	{"restore contoso-us --yes --reason test", false},
	{"cancel " + queued, false},
	{"abandon " + queued, false},
	{"confirm " + restored, false},
	{"stop", false},
	{"resume", false},
	{"takeover contoso-old --yes", false},
	{"runs payments", false},
	{"runs contoso-uk", false},
	{"plan check plan.yaml", false},
	{"plan check plan.yaml --live", false},
	{"plan next plan.yaml -n 1", true},
	{"plan diff old.yaml plan.yaml", false},
	{"init -o first.yaml --plan plan.yaml", false},
	{"init", false},
	{"plan push plan.yaml --yes", false},
	{"plan push old.yaml --yes", false},
	{"plan push plan.yaml", false},
	{"plan pull -o plan.yaml", false},
	{"plan roles plan.yaml", true},
	{"plan roles plan.yaml --was old.yaml", true},
	{"check", false},
	{"ledger verify copy", false},
	{"ledger verify damaged", false},
	{"ledger verify damaged -o json", false},
	{"ledger verify empty", false},
	{"ledger log copy", true},
	{"ledger log copy --summary", true},
	{"ledger log damaged --table public:records", true},
	{"ledger log copy --from 2.10 -o json", false},
	{"ledger show copy 2.10", false},
	{"ledger show damaged 10 -o json", false},
	{"ledger show copy 99", false},
	{"ledger governance copy", true},
	{"ledger diff copy newer", false},
	{"ledger diff copy damaged", false},
	{"ledger diff copy recovered", false},
	{"ledger diff copy nothing", false},
	{"ledger verify " + ledgerPoint, false},
	{"ledger verify " + changedPoint, false},
	{"ledger verify " + gonePoint, false},
	{"ledger verify " + goodRun, false},
	{"ledger log " + ledgerPoint + " --summary", true},
	{"ledger show " + changedPoint + " 2.10", false},
	{"ledger governance " + ledgerPoint, true},
	{"ledger diff " + ledgerPoint + " newer", false},
	{"ledger diff " + changedPoint + " " + ledgerPoint, false},
	{"security-domain check blob.json", false},
	{"security-domain check", false},
	{"security-domain attest contoso-hsm", false},
	{"security-domain attest contoso-hsm meeting.json", false},
	{"security-domain attest contoso-hsm meeting.json alice.json", false},
	{"security-domain attest contoso-hsm meeting.json -o json", false},
	{"security-domain attest contoso-hsm carol.json", false},
	{"security-domain attest contoso-hsm domain.json", false},
	{"security-domain attest contoso-hsm alice.key", false},
	{"security-domain attest contoso-hsm none.json", false},
	{"security-domain attest contoso-eu meeting.json", false},
	{"restore contoso-hsm --point latest --dry-run", false},
	{"prove -g sandbox --service " + sandbox, false},
	{"prove -g prod --service " + sandbox, false},
	{"prove -g sandbox --make-apim", false},
	{"prove -g sandbox --make-apim --subscription 0c0ffee0-0000-4000-8000-000000000001", false},
	{"prove -g sandbox --clean-up --id first --subscription 0c0ffee0-0000-4000-8000-000000000001", false},
	{"help", false},
	{"restore --help", false},
}

// sandbox is a service that may be lost.
const sandbox = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/sandbox/providers/Microsoft.ApiManagement/service/contoso-try"

// TestGolden compares every command, over a fleet of 17 targets, with a golden file for terminals of 80 and 120 columns. To write
// the files: go test ./internal/cli -run 'TestGolden|TestRetention' -update.
func TestGolden(t *testing.T) {
	planFolder(t)
	domainFiles(t)
	ledgerFolders(t)
	if err := os.WriteFile("blob.json", []byte(`{"EncData":{"data":[],"kdf":"sp108_kdf"},"WrappedKey":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{80, 120} {
		var all strings.Builder
		commands := map[string]bool{}
		for _, c := range shown {
			args := strings.Fields(c.line)
			commands[args[0]] = true
			code, out, errs := inFleet(t, newFleet(t), width, args...)
			out, errs = anyPort.ReplaceAllString(out, "http://127.0.0.1:7071"), anyPort.ReplaceAllString(errs, "http://127.0.0.1:7071")
			fmt.Fprintf(&all, "$ lifeboat %s\n%s%s", c.line, out, errs)
			if code != 0 {
				fmt.Fprintf(&all, "exit code %d\n", code)
			}
			all.WriteString("\n")
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); c.table && n > width && !strings.HasPrefix(line, "  ") {
					t.Errorf("lifeboat %s at %d columns has a line of %d: %s", c.line, width, n, line)
				}
			}
		}
		for _, c := range cli.Commands(cli.Shell{}).Commands() {
			if name := c.Name(); !commands[name] && !slices.Contains([]string{"version", "completion", "support"}, name) { // they have tests of their own
				t.Errorf("there is no golden output of lifeboat %s", name)
			}
		}
		golden(t, fmt.Sprintf("commands.%d.txt", width), all.String())
	}
}

// golden compares a text with the golden file of that name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(home, "testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the commands print, %v:\n%s", path, err, firstDifference(string(want), got))
	}
}

// domainFiles makes a security domain of three holders in domain.json, their key files, and statements about it.
func domainFiles(t *testing.T) {
	t.Helper()
	alice, bob, carol := domainwriter.NewHolder("alice", 2048), domainwriter.NewHolder("bob", 2048), domainwriter.NewHolder("carol", 2048)
	d := domainwriter.New("contoso-hsm", 2, alice.Key, alice, bob, carol)
	for name, content := range map[string][]byte{
		"domain.json": d.File().JSON(), "alice.key": alice.KeyPEM(), "alice.cer": alice.PEM(), "bob.key": bob.KeyPEM(), "bob.cer": bob.PEM(),
		"carol.key": carol.KeyPEM(), "carol.cer": carol.PEM(),
		"locked.key": alice.Legacy("correct horse", "AES-256-CBC"),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for statement, flags := range map[string][]string{
		"meeting.json": {"--key", "alice.key", "--key", "bob.key"}, "alice.json": {"--key", "alice.key", "--holder"}, "carol.json": {"--key", "carol.key", "--holder"},
	} {
		args := append([]string{"security-domain", "check", "domain.json", "--statement", statement}, flags...)
		if code := cli.Run(t.Context(), args, cli.Shell{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: os.Stderr, Now: fleetNow.Add(-24 * time.Hour)}); code != 0 {
			t.Fatalf("%s: exit code %d", statement, code)
		}
	}
}

// ledgerFolders makes a copy of a ledger in copy, another one with a changed value in damaged, and a folder without a ledger. In newer the
// ledger goes on, and in recovered a recovery has dropped its end.
func ledgerFolders(t *testing.T) {
	t.Helper()
	l := fleetLedger()
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	ledgerFolder(t, l, "copy", "a value")
	ledgerFolder(t, l, "damaged", "b value")
	l.Sign()
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "1", Remove: true})
	l.Sign()
	ledgerFolder(t, l, "newer", "a value")
	l = ccfwriter.New(ccfwriter.V6, 1)
	l.Transact(0)
	l.Recover(ccfwriter.V6)
	ledgerFolder(t, l, "recovered", "a value")
}

// ledgerFolder writes a ledger into a new folder, with a value in place of another one.
func ledgerFolder(t *testing.T, l *ccfwriter.Ledger, folder, value string) {
	t.Helper()
	for _, f := range l.Files() {
		path := filepath.Join(folder, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Replace(f.Content, []byte("a value"), []byte(value), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// anyPort matches the address of the app, whose port differs from run to run.
var anyPort = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// home is the folder of the test.
var home, _ = os.Getwd()

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	command := ""
	for i, line := range g {
		if strings.HasPrefix(line, "$ ") {
			command = line
		}
		if i >= len(w) || w[i] != line {
			return fmt.Sprintf("%s\n got %q\nwant %q", command, line, strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return "it has more lines"
}

// words matches a word of an example, or a quoted text.
var words = regexp.MustCompile(`"([^"]*)"|(\S+)`)

// TestExamples runs every example of the help.
func TestExamples(t *testing.T) {
	planFolder(t)
	ledgerFolders(t)
	domainFiles(t)
	var visit func(c *cobra.Command)
	n := 0
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		for line := range strings.Lines(c.Example) {
			n++
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, c.CommandPath()+" ") && line != c.CommandPath() && c.HasParent() {
				t.Errorf("an example of %s is %s", c.CommandPath(), line)
			}
			var args []string
			for _, m := range words.FindAllStringSubmatch(strings.TrimPrefix(line, "lifeboat"), -1) {
				args = append(args, m[1]+m[2])
			}
			ctx, cancel := context.WithCancel(t.Context())
			fleet := newFleet(t)
			if args[0] == "takeover" {
				owner := backup.Write{Op: backup.Put, Key: backup.OwnerKey, Body: backup.Encode(map[string]string{"App": args[1]})}
				if _, err := fleet.catalog.Apply(ctx, owner); err != nil {
					t.Fatal(err)
				}
			}
			code, out, errs := inFleetUntil(ctx, t, fleet, 0, "queued", cancel, args...)
			cancel()
			want := map[string]int{"coverage": 1, "selection": 1, "prove": 2}[args[0]] // the fleet has a service that no plan has, a look waits, and there is no terminal to ask at
			if waits := strings.Contains(line, "--wait"); waits && !strings.Contains(errs, " goes on without this command: ") || !waits && code != want {
				t.Errorf("%s: %d\n%s%s", line, code, out, errs)
			}
		}
	}
	visit(cli.Commands(cli.Shell{}))
	if n < 25 {
		t.Errorf("only %d examples", n)
	}
}

// TestRetentionOfCounts shows a year of nights of which counts hold some, as operate.md does, and compares it with a golden file.
func TestRetentionOfCounts(t *testing.T) {
	planFolder(t)
	edited := strings.Replace(fleetPlan(), "keep: {within: 30d}", "keep: {within: 5d, daily: 3, weekly: 2, monthly: 6}", 1)
	if err := os.WriteFile("edited.yaml", []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newFleet(t)
	target := fleetTargets[1].id
	row, _ := retention.Counted{}.Renew("nightly", backup.Settings{
		KeepCounts: backup.Counts{Daily: 7, Weekly: 4, Monthly: 12, Zone: "UTC"}, KeepWithin: 10 * 24 * time.Hour,
	}, 0, time.UTC)
	var points []backup.Point
	for night := 370; night >= 0; night-- {
		began := fleetNow.Add(-10*time.Hour - time.Duration(night)*24*time.Hour)
		p := backup.Point{
			ID: backup.NewRunID(target, began, "nightly"), State: backup.Live, Target: target, Plan: "nightly", Artifact: began.String(), Size: artifactSize,
			Began: began, Created: began.Add(25 * time.Minute), Counted: true,
		}
		if night == 20 {
			p.Holds = []backup.PersonHold{{ID: heldBy, Since: began, By: "invocation 6c0b", Reason: "audit"}}
		}
		p.Expires = p.Created.Add(row.Within)
		row, _ = row.Add(time.UTC, fleetNow, p)
		points = append(points, p)
	}
	writes := []backup.Write{row.Write(target)}
	for _, p := range points {
		if row.Holds(p.ID) || len(p.Holds) > 0 || fleetNow.Before(p.Expires) { // the others are gone
			writes = append(writes, backup.Write{Op: backup.Put, Key: p.Key(), Body: backup.Encode(p)})
		}
	}
	if _, err := a.catalog.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, c := range []struct {
		line  string
		width int
	}{
		{"retention preview contoso-us", 120},
		{"retention preview contoso-us --at 5d", 80},
		{"retention preview contoso-us --plan edited.yaml", 80},
		{"explain " + points[370-6].ID, 80},
		{"explain " + points[370-9].ID + " --at 5d", 80},
		{"explain " + points[370-20].ID + " --at 5d", 80},
	} {
		code, out, errs := inFleet(t, a, c.width, strings.Fields(c.line)...)
		if code != 0 {
			t.Fatalf("%s: %d %s", c.line, code, errs)
		}
		fmt.Fprintf(&all, "$ lifeboat %s\n%s\n", c.line, out)
		for row := range strings.Lines(out) {
			if utf8.RuneCountInString(row) > c.width+1 && !strings.HasPrefix(row, "target ") {
				t.Errorf("at %d columns: %s", c.width, row)
			}
		}
	}
	golden(t, "retention.txt", all.String())
}
