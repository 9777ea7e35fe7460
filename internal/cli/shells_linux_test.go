package cli_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lifeboat/internal/cli"
)

// TestMain makes the test's program be lifeboat if that is its name: a shell runs it to complete.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "lifeboat" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Shell{
			Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: fleetNow, Plans: reader,
			CompletionTime: 5 * time.Minute,
		}))
	}
	os.Exit(m.Run())
}

// shellsToTry are the shells with a completion that this machine must have: bash, and the shells in LIFEBOAT_SHELLS.
func shellsToTry() map[string][]string {
	known := map[string][]string{
		"bash": {"bash", "--norc", "--noprofile", "-i"},
		"zsh":  {"zsh", "-f", "-i"},
	}
	wanted := map[string][]string{"bash": known["bash"]}
	for _, name := range strings.Fields(os.Getenv("LIFEBOAT_SHELLS")) {
		wanted[name] = known[name]
	}
	return wanted
}

// TestCompletionInShells presses Tab in real shells that have sourced the completion.
func TestCompletionInShells(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Symlink(program, filepath.Join(folder, "lifeboat")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "nightly-plan.yaml"), []byte(fleetPlan()), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newFleet(t)
	for shell, command := range shellsToTry() {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Fatalf("%v: make shells needs it; apt-get install %s", err, shell)
			}
			terminal := newConsole(t, 200)
			c := exec.CommandContext(t.Context(), command[0], command[1:]...)
			c.Dir = folder
			c.Env = []string{"PATH=" + folder + ":" + os.Getenv("PATH"), "HOME=" + folder, "TERM=dumb", "PS1=$ ", "LIFEBOAT_URL=" + a.URL, "LIFEBOAT_KEY=" + key}
			c.Stdin, c.Stdout, c.Stderr = terminal.File, terminal.File, terminal.File
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
			enter := func(text string) {
				if _, err := terminal.person.WriteString(text); err != nil {
					t.Fatal(err)
				}
			}
			if shell == "zsh" {
				enter("unset zle_bracketed_paste; unsetopt prompt_sp; bindkey -e; autoload -U compinit; compinit -u -D\n")
			}
			enter("source <(lifeboat completion " + shell + "); echo sourced $?\n")
			terminal.wait(t, "\nsourced 0", 1)
			// A word goes before the line that Tab has completed, and the shell then prints the line.
			for _, line := range []struct{ typed, want string }{
				{"lifeboat bac", "lifeboat backup"},
				{"lifeboat plan che", "lifeboat plan check"},
				{"lifeboat plan check night", "lifeboat plan check nightly-plan.yaml"},
				{"lifeboat help plan ne", "lifeboat help plan next"},
				{"lifeboat runs contoso-e", "lifeboat runs contoso-eu"},
				{"lifeboat runs dev/p", "lifeboat runs dev/payments"},
				{"lifeboat runs 1de", "lifeboat runs 1dea5000/prod/partners"},
				{"lifeboat runs /subscriptions/1d", "lifeboat runs " + fleetTargets[7].id},
				{"lifeboat restore contoso-eu --into contoso-s", "lifeboat restore contoso-eu --into contoso-standby"},
				{"lifeboat restore contoso-eu --point " + goodRun[:25], "lifeboat restore contoso-eu --point " + goodRun},
				{"lifeboat run " + failedRun[:25], "lifeboat run " + failedRun},
				{"lifeboat accept 0", "lifeboat accept " + suspectRun},
				{"lifeboat cancel " + queued[:27], "lifeboat cancel " + queued},
				{"lifeboat confirm " + restored[:25], "lifeboat confirm " + restored},
				{"lifeboat batch 8", "lifeboat batch " + batchID},
				{"lifeboat backup --plan net", "lifeboat backup --plan networks"},
				{"lifeboat health -o js", "lifeboat health -o json"},
				{"lifeboat restore contoso-eu --dry", "lifeboat restore contoso-eu --dry-run"},
				{"lifeboat runs nothing-of-that-name", "lifeboat runs nothing-of-that-name"},
				{"lifeboat version not", "lifeboat version not"},
			} {
				enter(line.typed + "\t")
				// The shell reads the next key only when the completion is done.
				enter("\x01echo it is: \x05 END\n")
				settle(t, terminal, " END\n")
				if seen := terminal.text(); !strings.Contains(seen, "\nit is: "+line.want+" END\n") {
					t.Errorf("%s: no %q in\n%s", line.typed, line.want, seen)
				}
				if seen := terminal.text(); strings.Contains(seen, "not found") || strings.Contains(seen, "rror") {
					t.Errorf("%s: an error is shown:\n%s", line.typed, seen)
				}
				terminal.clear()
			}
		})
	}
}

// settle waits until the terminal shows a text at the end of a line that begins with "it is: ".
func settle(t *testing.T, c *console, end string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		_, after, found := strings.Cut(c.text(), "\nit is: ")
		if found && strings.Contains(after, end) {
			return
		}
		select {
		case <-c.more:
		case <-deadline:
			t.Fatalf("no end in %q", c.text())
		}
	}
}
