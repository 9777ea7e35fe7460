package realhost

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lifeboat/internal/testing/fakehost"
)

// victim is the variable that makes this program start a host, and wait to be killed.
const victim = "LIFEBOAT_VICTIM"

func TestMain(m *testing.M) {
	dir := os.Getenv(victim)
	if dir == "" {
		os.Exit(m.Run())
	}
	_, err := Start(context.Background(), Config{
		Program: Program{path: filepath.Join(dir, "functions-host")}, App: dir, Dir: dir,
		Log: func(e fakehost.Entry) { fmt.Println(e.Text) },
	})
	fmt.Println(err)
	select {}
}

// TestNothingOutlivesUs: a process that runs a host is killed with SIGKILL. Then neither the host nor the handler is left, nor
// the files that they wrote.
func TestNothingOutlivesUs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The script is a host with a handler below it. Only SIGKILL ends them.
	script := "#!/bin/sh\ntrap '' TERM HUP\nsleep 1000 &\necho 'info: Host[0]'\necho \"      $$ $! $TMPDIR\"\nwait\nsleep 1000\n"
	if err := os.WriteFile(filepath.Join(dir, "functions-host"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), victim+"="+dir)
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pids [2]int
	var left string
	lines := bufio.NewScanner(out)
	for left == "" && lines.Scan() {
		if n, _ := fmt.Sscan(lines.Text(), &pids[0], &pids[1], &left); n != 3 {
			left = ""
		}
	}
	if left == "" || parent(pids[1]) != pids[0] {
		t.Fatalf("no host: %v, %q", pids, left)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // killed
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := os.Stat(left)
		alive := slices.ContainsFunc(pids[:], func(pid int) bool {
			state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			return syscall.Kill(pid, 0) == nil && !strings.Contains(string(state), ") Z ")
		})
		if os.IsNotExist(err) && !alive {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the processes %v live: %t; %s: %v", pids, alive, left, err)
		}
	}
}
