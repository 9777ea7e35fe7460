package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// devSwitch makes the test binary the command dev.
const devSwitch = "LIFEBOAT_TEST_DEV"

func TestMain(m *testing.M) {
	if os.Getenv(devSwitch) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is far more than anything here takes on a busy machine.
const patience = 5 * time.Minute

// dev is a running command.
type dev struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	said strings.Builder
}

// startRun starts dev run on the folder; under a shell of its own if orphan is true.
func startRun(t *testing.T, dir string, orphan bool) *dev {
	t.Helper()
	d := &dev{cmd: exec.CommandContext(t.Context(), os.Args[0], "run", dir)}
	if orphan {
		d.cmd = exec.CommandContext(t.Context(), "sh", "-c", `"$0" run "$1"; exit $?`, os.Args[0], dir)
	}
	d.cmd.Env = append(os.Environ(), devSwitch+"=1")
	d.cmd.Stdout, d.cmd.Stderr = d, d
	d.cmd.WaitDelay = patience
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // a failed test leaves it
		_ = d.cmd.Wait()
		if t.Failed() {
			t.Logf("dev run said:\n%s", d.text())
		}
	})
	return d
}

func (d *dev) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.Write(b)
}

func (d *dev) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.String()
}

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// ready waits until the commands are printed and each target has a backup, which the events tell.
func (d *dev) ready(t *testing.T) {
	t.Helper()
	for _, target := range targets {
		backedUp := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  ` + target.name + ` +run\.succeeded$`)
		await(t, "a backup of "+target.name, func() bool { return backedUp.MatchString(d.text()) })
	}
}

// family returns the processes below this one, but for zombies.
func family(of int) (found []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if parent, _ := strconv.Atoi(fields[1]); parent == of && fields[0] != "Z" {
			found = append(append(found, pid), family(pid)...)
		}
	}
	return found
}

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// ends waits until all these processes are gone.
func ends(t *testing.T, what string, all []int) {
	t.Helper()
	if len(all) < 3 {
		t.Fatalf("%s: %d processes, want dev, Azurite and the program", what, len(all))
	}
	await(t, what+": the end of all processes", func() bool { return !slices.ContainsFunc(all, alive) })
}

// terminal is a shell that a person types commands in.
type terminal struct {
	*testing.T
	shell string
	in    io.Writer
	out   *bufio.Scanner
	lines int
}

// open starts the shell as the owner of the services.
func open(t *testing.T, shell, owner string) *terminal {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), shell) // it ends with its input
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", shell, err)
		}
	})
	x := &terminal{T: t, shell: shell, in: in, out: bufio.NewScanner(out)}
	x.out.Buffer(nil, 1<<20)
	x.types(". '" + owner + "'")
	return x
}

// types runs the command, and returns what it prints; it must end with 0.
func (x *terminal) types(command string) string {
	x.Helper()
	x.lines++
	if _, err := fmt.Fprintf(x.in, "%s\nprintf '\\n@%d %%s\\n' $?\n", command, x.lines); err != nil {
		x.Fatal(err)
	}
	var said strings.Builder
	for x.out.Scan() {
		end, ok := strings.CutPrefix(x.out.Text(), fmt.Sprintf("@%d ", x.lines))
		if !ok {
			said.WriteString(x.out.Text() + "\n")
			continue
		}
		if end != "0" {
			x.Errorf("%s: %s: exit code %s\n%s", x.shell, command, end, said.String())
		}
		return strings.TrimSuffix(said.String(), "\n") // printf's own
	}
	x.Fatalf("%s: %s: the shell ended\n%s", x.shell, command, said.String())
	return ""
}

// restored tells whether the newest restore of the target has succeeded; it fails if that ended otherwise.
func (x *terminal) restored(variable, since string) bool {
	x.Helper()
	var list struct {
		Value []struct {
			ID, Kind, State, Status string
			Created                 time.Time `json:"createdDateTime"`
		}
	}
	text := x.types(`lifeboat runs "$` + variable + `" --json`)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		x.Fatalf("%v: %s", err, text)
	}
	begin, err := time.Parse(time.RFC3339, since)
	if err != nil {
		x.Fatal(err)
	}
	for _, r := range list.Value {
		if r.Kind == "restore" && !r.Created.Before(begin) {
			if r.Status == "Failed" {
				x.Fatalf("%s: the restore of %s: %s", x.shell, variable, text)
			}
			return r.Status == "Succeeded"
		}
	}
	return false
}

// follows types all of the guide, like a person who waits for what it does.
func (x *terminal) follows(guide []chapter) {
	x.Helper()
	wants := map[string]string{ // by the beginning of the command
		"lifeboat health": "contoso-eu", "lifeboat points": "live", "lifeboat backup": "succeeded", "events": "lifeboat.run.succeeded",
		"deadletters": `"value":[`, "metrics": "lifeboat_target_unprotected", "azure": "\n20", "ask": "\n201\n", "answers": "", "BEFORE=": "",
		"lifeboat restore $APIM": "a plan allows it", "lifeboat restore $HSM": "succeeded",
		`curl -sS -H "x-functions-key: $LIFEBOAT_KEY" "$LIFEBOAT_URL/api/runs`: `"value":[{`,
		`curl -sS -H "x-functions-key: $LIFEBOAT_KEY" -H 'Content-Type`:        `"http-`,
	}
	before := ""
	for _, c := range guide {
		for _, command := range c.commands {
			said := x.types(command)
			deletesCCF := strings.Contains(command, "DELETE") && strings.Contains(command, "$CCF")
			if deletesCCF { // Azure refuses to delete it during its scheduled backup
				await(x.T, "the deletion of the application", func() bool {
					refused := strings.HasSuffix(said, "\n409\n")
					if refused {
						said = x.types(command)
					}
					return !refused
				})
			}
			known := false
			for begin, want := range wants {
				if strings.HasPrefix(command, begin) {
					known = true
					if !strings.Contains(said, want) {
						x.Errorf("%s: %s printed %q, which does not contain %q", x.shell, command, said, want)
					}
				}
			}
			switch {
			case !known:
				x.Errorf("%s: %s: the test knows no such command", x.shell, command)
			case strings.HasPrefix(command, "BEFORE="):
				before = strings.TrimSpace(x.types(`echo "$BEFORE"`))
			case command == "answers": // the first may not be there yet
				await(x.T, "an answer", func() bool { return strings.Contains(x.types(command), `"lifeboat.restore.`) })
			case deletesCCF:
				get := strings.Replace(command, "DELETE", "GET", 1)
				await(x.T, "the end of the application", func() bool { return strings.HasSuffix(x.types(get), "\n404\n") })
			}
		}
	}
	for _, variable := range []string{"HSM", "CCF", "APIM"} {
		await(x.T, "the restore of "+variable, func() bool { return x.restored(variable, before) })
	}
}

// TestRun checks dev run as a person uses it: the printed commands work in each shell of this machine; a run on the same folder goes
// on from there, after SIGKILL too, with the same keys; it ends with its terminal and with its parent, and leaves no process behind.
func TestRun(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // under nohup the child would ignore it, too
	dir := filepath.Join(t.TempDir(), "kept here")
	owner := filepath.Join(dir, "owner.sh")
	d := startRun(t, dir, false)
	d.ready(t)
	var shells []string
	for _, shell := range []string{"bash", "dash", "zsh"} {
		if _, err := exec.LookPath(shell); err == nil {
			shells = append(shells, shell)
		}
	}
	if len(shells) == 0 {
		t.Fatal("this machine has none of bash, dash, zsh")
	}
	guide := new(scene).guide()
	for _, c := range guide {
		for _, command := range c.commands {
			if !strings.Contains(d.text(), "    "+strings.ReplaceAll(command, "\n", "\n    ")+"\n") {
				t.Errorf("not printed: %s", command)
			}
		}
	}
	for _, shell := range shells {
		open(t, shell, owner).follows(guide)
	}
	x := open(t, shells[0], owner)
	x.types(`azure PUT "https://management.azure.com$APIM/apis/orders` + apimVersion + `" ` +
		`'{"properties": {"displayName": "orders", "path": "changed", "protocols": ["https"]}}'`)
	points, shell := x.types("lifeboat points $LEDGER --json"), fileOf(t, dir, "owner.sh")
	edited, err := os.ReadFile(filepath.Join(dir, appName+"-plan.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	edited = append(edited, "# edited\n"...)
	if err := os.WriteFile(filepath.Join(dir, appName+"-plan.yaml"), edited, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "a save of Azure's side", func() bool { return strings.Contains(fileOf(t, dir, "azure.json"), "changed") })

	all := append(family(d.cmd.Process.Pid), d.cmd.Process.Pid)
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.cmd.Wait()
	ends(t, "after SIGKILL", all)

	d = startRun(t, dir, false)
	await(t, "a second run", func() bool { return strings.Contains(d.text(), "running until Ctrl-C") })
	if !strings.Contains(d.text(), "goes on from "+dir) {
		t.Error("it does not say that it goes on")
	}
	var was, is struct{ Value []struct{ ID string } }
	if err := json.Unmarshal([]byte(points), &was); err != nil || len(was.Value) == 0 {
		t.Fatalf("%v: %s", err, points)
	}
	x = open(t, shells[0], owner)
	if err := json.Unmarshal([]byte(x.types("lifeboat points $LEDGER --json")), &is); err != nil {
		t.Fatal(err)
	}
	oldest := was.Value[len(was.Value)-1]
	if !slices.Contains(is.Value, oldest) {
		t.Errorf("the recovery point %s is missing: %v", oldest, is.Value)
	}
	if said := x.types(`azure GET "https://management.azure.com$APIM/apis/orders` + apimVersion + `"`); !strings.Contains(said, `"path":"changed"`) {
		t.Errorf("the service has lost a change: %s", said)
	}
	key := regexp.MustCompile("export LIFEBOAT_KEY=.*")
	if now := fileOf(t, dir, "owner.sh"); key.FindString(now) == "" || key.FindString(now) != key.FindString(shell) {
		t.Error("the key has changed")
	}
	if text := fileOf(t, dir, appName+"-plan.yaml"); text != string(edited) {
		t.Errorf("the plan has lost an edit: %s", text)
	}
	all = append(family(d.cmd.Process.Pid), d.cmd.Process.Pid)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil { // as the end of a terminal does
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("after SIGHUP: %v", err)
	}
	ends(t, "after SIGHUP", all)

	d = startRun(t, dir, true)
	await(t, "a third run", func() bool { return strings.Contains(d.text(), "running until Ctrl-C") })
	all = family(d.cmd.Process.Pid)
	if err := d.cmd.Process.Kill(); err != nil { // the shell alone
		t.Fatal(err)
	}
	ends(t, "after the end of its parent", all)
	_ = d.cmd.Wait()
}

func fileOf(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
