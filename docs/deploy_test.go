package docs_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli"
)

// program is the fake of each program of deploy.md. It writes down its words and the settings that it sees, one a line; it names a file
// among its words that is not there, and makes the one that it would write.
const program = `#!/bin/sh
{
  echo "call ${0##*/}"
  printf 'word %s\n' "$@"
  env | grep '^LIFEBOAT_[A-Z_]*=.' | sed 's/^/env /'
} >>"$FAKE_LOG"
before=
for word do
  case $before$word in
    -o*.yaml) : >"$word" ;;
    *.yaml | *.json | *.bicep | *.sh | *.zip) [ -f "${word#*@}" ] || echo "missing $word" >>"$FAKE_LOG" ;;
  esac
  before=$word
done
case "${0##*/} $*" in
  'azd env get-values') cat "$FAKE_OUTPUTS" ;;
  'make package') mkdir build && : >build/app.zip ;;
  'az functionapp function keys list '*) echo key ;;
esac
`

// call is a command that deploy.md has a person give.
type call struct {
	words    []string
	settings map[string]bool
}

// given runs the blocks of deploy.md one after the other in one shell, in a folder with the files of the project, and returns the calls
// of each program. The shell says which words it cannot read and which variable nothing has set.
func given(t *testing.T, text string, programs ...string) map[string][]call {
	t.Helper()
	folder := t.TempDir()
	bin, log, outputs := filepath.Join(folder, "bin"), filepath.Join(folder, "log"), filepath.Join(folder, "outputs")
	clone := filepath.Join(folder, "clone")
	for _, made := range []string{bin, clone} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, kept := range []string{"infra", "Makefile", "azuredeploy.json"} {
		path, err := filepath.Abs("../" + kept)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(clone, kept)); err != nil {
			t.Fatal(err)
		}
	}
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range programs {
		put(filepath.Join(bin, name), program)
	}
	var values strings.Builder
	values.WriteString("AZURE_SUBSCRIPTION_ID=\"the subscription\"\n") // azd's own
	for name := range set(`(?m)^output (\w+) `, page(t, "../infra/main.bicep")) {
		values.WriteString(name + `="the ` + name + "\"\n")
	}
	put(outputs, values.String())
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		script.WriteString(block[1])
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script.String())
	cmd.Dir = clone
	cmd.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "FAKE_LOG=" + log, "FAKE_OUTPUTS=" + outputs}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	calls := map[string][]call{}
	var name string
	for line := range strings.Lines(page(t, log)) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		last := len(calls[name]) - 1
		switch kind {
		case "call":
			name = rest
			calls[name] = append(calls[name], call{settings: map[string]bool{}})
		case "word":
			calls[name][last].words = append(calls[name][last].words, rest)
		case "env":
			setting, _, _ := strings.Cut(rest, "=")
			calls[name][last].settings[setting] = true
		default:
			t.Errorf("%s %q: there is no file %s", name, calls[name][last].words, rest)
		}
	}
	return calls
}

// TestDeploy has a shell run the commands of deploy.md in their order, with fakes of the programs. The command line must take the flags
// and the arguments of each of its commands, which it does not run, with the settings that the command needs by then. A Bicep file must
// have each parameter that az gives it, and each output that az asks its deployment for.
func TestDeploy(t *testing.T) {
	calls := given(t, page(t, "deploy.md"), "az", "azd", "lifeboat", "make")
	for _, c := range calls["lifeboat"] {
		var settings []string
		root := cli.Commands(cli.Shell{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }})
		var taken func(*cobra.Command)
		taken = func(one *cobra.Command) {
			for _, sub := range one.Commands() {
				taken(sub)
			}
			if !one.HasSubCommands() {
				one.RunE = func(one *cobra.Command, _ []string) error {
					switch {
					case one.Name() == "health":
						settings = []string{"LIFEBOAT_URL", "LIFEBOAT_HEALTH_KEY"}
					case one.GroupID == "app":
						settings = []string{"LIFEBOAT_URL", "LIFEBOAT_KEY"}
					}
					return nil
				}
			}
		}
		taken(root)
		root.SetArgs(c.words)
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Errorf("lifeboat %q: %v", c.words, err)
		}
		for _, setting := range settings {
			if !c.settings[setting] {
				t.Errorf("lifeboat %q has no %s", c.words, setting)
			}
		}
	}
	outputs, reads := map[string]map[string]bool{}, 0 // by the names of deployments
	for _, c := range calls["az"] {
		var params map[string]bool
		deploys, after := len(c.words) > 2 && c.words[0] == "deployment", map[string]string{}
		for i, word := range c.words {
			if i > 0 {
				after[c.words[i-1]] = word
			}
			if i > 0 && c.words[i-1] == "-f" {
				params = set(`(?m)^param (\w+) `, page(t, "../"+word))
			}
			if name, _, is := strings.Cut(word, "="); is && !params[name] {
				t.Errorf("az %q: there is no parameter %s", c.words, name)
			}
		}
		name := after["-n"]
		if file := after["-f"]; deploys && c.words[2] == "create" && name != "" {
			outputs[name] = set(`(?m)^output (\w+) `, page(t, "../"+file))
		}
		for output := range set(`\bproperties\.outputs\.(\w+)`, strings.Join(c.words, " ")) {
			if reads++; !deploys || !outputs[name][output] {
				t.Errorf("az %q: the deployment has no output %s", c.words, output)
			}
		}
	}
	if reads < 2 {
		t.Errorf("only %d outputs were seen", reads)
	}
	makefile := set(`(?m)^([a-z-]+):`, page(t, "../Makefile"))
	for _, c := range calls["make"] {
		if len(c.words) != 1 || !makefile[c.words[0]] {
			t.Errorf("make %q", c.words)
		}
	}
	for name, n := range map[string]int{"az": 4, "azd": 3, "lifeboat": 10, "make": 1} {
		if len(calls[name]) < n {
			t.Errorf("only %d calls of %s were seen", len(calls[name]), name)
		}
	}
}

// TestFilesOfDeploy checks that each file of the project that deploy.md names in its text is there.
func TestFilesOfDeploy(t *testing.T) {
	files := set("`(infra/[\\w./-]+|azuredeploy\\.json|createUiDefinition\\.json)`", page(t, "deploy.md"))
	for file := range files {
		page(t, "../"+file)
	}
	if len(files) < 3 {
		t.Errorf("only %d files were seen", len(files))
	}
}

// TestIdling derives the cost of idling from the template's timers and memory, and from the requests of a timer run: design.md names them,
// and internal/testing/e2e counts them.
func TestIdling(t *testing.T) {
	template, cost := page(t, "../infra/app.bicep"), strings.Join(strings.Fields(section(t, page(t, "design.md"), "Cost")), " ")
	for _, words := range []string{
		"timer run of the schedule, 3 if `plan.yaml` is a blob or an unchanged folder of blobs,", "2 for a timer run of cleanup, and one more of each once in five minutes, to save its time",
	} {
		if !strings.Contains(cost, words) {
			t.Errorf("design.md does not say %q", words)
		}
	}
	const month, megabytes = 30 * 24 * 60, 512 // an execution counts for a second
	const saves = month / 5
	if !strings.Contains(template, "param instanceMemoryMB int = 512\n") {
		t.Errorf("the template's instances have not %d MB", megabytes)
	}
	figure := func(n int) string {
		text := strconv.Itoa(n)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	}
	rows := map[string]string{}
	for _, row := range cells(section(t, page(t, "deploy.md"), "The cost of idling")) {
		rows[row[0]] = strings.Join(row[1:], " ")
	}
	for _, c := range []struct {
		row, timer        string
		minutes, requests int
	}{
		{"the schedule, each minute", "param scheduleTimer string = '0 * * * * *'\n", 1, 3},
		{"cleanup, every five minutes", "param cleanupTimer string = '0 */5 * * * *'\n", 5, 2},
	} {
		runs := month / c.minutes
		want := figure(runs) + " " + figure(runs*megabytes/1024) + " " + figure(runs*c.requests+saves)
		if rows[c.row] != want || !strings.Contains(template, c.timer) {
			t.Errorf("%s: the page has %q, and it is %q, if the template has %s", c.row, rows[c.row], want, c.timer)
		}
	}
	if len(rows) != 2 {
		t.Error(rows)
	}
}
