package azurite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parentSwitch makes the test binary the parent in TestChildDiesWithItsParent, keeperSwitch in TestKeep.
const (
	parentSwitch = "AZURITE_TEST_PARENT"
	keeperSwitch = "AZURITE_TEST_KEEPER"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(parentSwitch) != "":
		parent()
	case os.Getenv(keeperSwitch) != "":
		keeper()
	}
	os.Exit(m.Run())
}

// parent starts a child, prints the child's ID, and waits to be killed.
func parent() {
	dir := os.Getenv(parentSwitch)
	p, err := run(context.Background(), []string{"-e", "setInterval(() => {}, 1000)"},
		command{dir: dir, env: "X=y", output: dir + "/output.log"})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.cmd.Process.Pid)
	select {}
}

// keeper runs Azurite on a folder that it keeps, prints the ports, and waits to be killed.
func keeper() {
	var c Config
	if err := json.Unmarshal([]byte(os.Getenv(keeperSwitch)), &c); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	server, err := Start(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.BlobPort, server.QueuePort, server.TablePort)
	select {}
}

func TestChildDiesWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), parentSwitch+"="+t.TempDir())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); alive(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("child %d outlives its parent", child)
		}
	}
}

// alive reports whether the process runs. A zombie that its new parent has not reaped does not run.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
