package azurite

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// node runs a script in place of Azurite.
func node(t *testing.T, script string) *process {
	t.Helper()
	dir := t.TempDir()
	p, err := run(t.Context(), []string{"-e", script}, command{dir: dir, env: "X=y", output: dir + "/output.log"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	p := node(t, "require('net').createServer().listen("+port+", '127.0.0.1')")
	<-p.ended
	if err := p.stop(time.Minute); !errors.Is(err, errPortTaken) {
		t.Errorf("stop = %v, want %v", err, errPortTaken)
	}
}

func TestProcessEndedOnItsOwn(t *testing.T) {
	p := node(t, "console.error('out of luck'); process.exit(3)")
	<-p.ended
	err := p.stop(time.Minute)
	if err == nil || !strings.Contains(err.Error(), "exit status 3): out of luck") {
		t.Errorf("stop = %v, want the exit status and the output", err)
	}
	if again := p.stop(time.Minute); !errors.Is(again, err) {
		t.Errorf("second stop = %v, want %v", again, err)
	}
}

func TestProcessThatIgnoresSIGTERM(t *testing.T) {
	p := node(t, "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)")
	if err := p.stop(100 * time.Millisecond); err != nil {
		t.Errorf("stop = %v", err)
	}
	select {
	case <-p.ended:
	default:
		t.Error("stop returned before the process ended")
	}
}
