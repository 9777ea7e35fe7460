package fakehost

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHandlerIsStartedAsInAzure(t *testing.T) {
	t.Parallel()
	a := newApp(t, `, "initializationTimeout": "00:01:00"`, "", map[string]string{"tick": idleTimer})
	a.write("host.json", `{"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler",
		"workingDirectory": "work", "arguments": ["--port=%FUNCTIONS_CUSTOMHANDLER_PORT%", "%UNSET%", "--name %Who%", "plain"]}}}`)
	a.write("work/file", "")
	a.config.Env = []string{"BASE=1", "Who=nobody"}
	a.config.Settings["Who"] = "me"
	a.start()
	if err := a.invoke("tick"); err != nil {
		t.Fatal(err)
	}
	b := a.started()[0]
	port := b.environment["FUNCTIONS_CUSTOMHANDLER_PORT"]
	root := filepath.Dir(a.config.HostJSON)
	for name, want := range map[string]string{
		"BASE": "1", "Who": "me", "FUNCTIONS_APP_ROOT_PATH": root, "FUNCTIONS_HTTPWORKER_PORT": port,
		"FUNCTIONS_HTTPWORKER_ID": b.environment["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"],
		sinkVariable:              a.config.Settings[sinkVariable], "AzureWebJobsStorage__accountName": account,
	} {
		if got := b.environment[name]; got != want || got == "" {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	for name := range b.environment {
		if name == "PATH" || name == "HOME" {
			t.Errorf("the host's own %s came through", name)
		}
	}
	if want := fmt.Sprintf("%q", []string{"--port=" + port, "--name", "me", "plain"}); b.args != want {
		t.Errorf("arguments %s, want %s", b.args, want)
	}
	if want := filepath.Join(root, "work"); b.wd != want {
		t.Errorf("working directory %s, want %s", b.wd, want)
	}
	if pid := fmt.Sprint(a.PID()); pid != b.pid {
		t.Errorf("PID() = %s, want %s", pid, b.pid)
	}
}

func TestInvocationsWaitForASlowHandler(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.born = func(w http.ResponseWriter, _ int) { w.Header().Set(doHeader, "sleep 500ms") }
	a.start()
	if err := a.invoke("tick"); err != nil {
		t.Error(err)
	}
	if a.Restarts() != 0 {
		t.Errorf("%d restarts", a.Restarts())
	}
}

func TestThirdCrashStopsTheHost(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) {
		w.Header().Add(doHeader, "err something broke")
		w.Header().Add(doHeader, "exit 3")
	}
	a.start()
	for i := range mostErrors {
		if err := a.invoke("tick"); err == nil {
			t.Error("an invocation that killed the handler succeeded")
		}
		if i < mostErrors-1 {
			a.await("a restart", func() bool { return a.Restarts() == i+1 })
		}
	}
	err := a.awaitDown()
	if !errors.Is(err, errTooManyErrors) || !strings.Contains(err.Error(), "code 3") ||
		!strings.Contains(err.Error(), "something broke") {
		t.Errorf("the host went down for %v", err)
	}
	if n := len(a.started()); n != mostErrors {
		t.Errorf("the handler was started %d times", n)
	}
	ports := map[string]bool{}
	for _, b := range a.started() {
		ports[b.environment["FUNCTIONS_CUSTOMHANDLER_PORT"]] = true
	}
	if len(ports) != 1 {
		t.Errorf("the port changed over restarts: %v", ports)
	}
	if a.PID() != 0 {
		t.Error("there still is a handler")
	}
	if err := a.Stop(); !errors.Is(err, errTooManyErrors) {
		t.Errorf("Stop() = %v", err)
	}
}

func TestSignalsAreCrashes(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.start()
	for i := range mostErrors {
		if err := a.invoke("tick"); err != nil {
			t.Fatal(err)
		}
		pid := a.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if i < mostErrors-1 {
			a.await("another handler", func() bool { return a.PID() != pid && a.PID() != 0 })
		}
	}
	if err := a.awaitDown(); !errors.Is(err, errTooManyErrors) || !strings.Contains(err.Error(), "code 137") {
		t.Errorf("the host went down for %v", err)
	}
	if a.Restarts() != mostErrors-1 {
		t.Errorf("%d restarts", a.Restarts())
	}
}

func TestPlatformStartsTheHostAgain(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer, "api": httpFunction})
	a.config.RestartHost = true
	a.born = func(w http.ResponseWriter, n int) {
		if n > 1 && n <= mostErrors {
			w.Header().Set(doHeader, "exit 1")
		}
	}
	a.start()
	address, key := a.URL(), a.Key("api")
	if err := a.invoke("tick"); err != nil {
		t.Fatal(err)
	}
	a.write("late/function.json", idleTimer) // read when the host starts again
	if err := syscall.Kill(a.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.await("the handler of the next host", func() bool { return len(a.started()) > mostErrors && a.PID() != 0 })
	if err := a.invoke("late"); err != nil {
		t.Error(err)
	}
	if a.URL() != address || a.Key("api") != key {
		t.Error("address or key changed")
	}
	if a.Restarts() != mostErrors {
		t.Errorf("%d restarts, want %d", a.Restarts(), mostErrors)
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

func TestExit0IsNeverRestarted(t *testing.T) {
	t.Parallel()
	a := newApp(t, `, "initializationTimeout": "00:00:00.3"`, "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "exit 0") }
	a.start()
	if err := a.invoke("tick"); err == nil {
		t.Error("an invocation that ended the handler succeeded")
	}
	// The host notices the end after PID does: until then it calls a handler that is gone.
	a.await("the end of the handler", func() bool { return a.said(Warning, categoryWorker, "code 0") })
	began := time.Now()
	if err := a.invoke("tick"); !errors.Is(err, errInitialization) {
		t.Errorf("an invocation without a handler: %v", err)
	}
	if waited := time.Since(began); waited < invocationTimeout*300*time.Millisecond {
		t.Errorf("an invocation waited for %s only", waited)
	}
	if err := a.awaitDown(); !errors.Is(err, errInitialization) {
		t.Errorf("the host went down for %v", err)
	}
	if n := len(a.started()); n != 1 || a.Restarts() != 0 {
		t.Errorf("the handler was started %d times", n)
	}
}

func TestExit200IsAlwaysRestarted(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "exit 200") }
	a.start()
	const often = mostErrors + 2
	for i := range often {
		if err := a.invoke("tick"); err == nil {
			t.Error("an invocation that ended the handler succeeded")
		}
		a.await("a restart", func() bool { return a.Restarts() == i+1 })
	}
	a.await("the handler", func() bool { return a.PID() != 0 })
	if a.Err() != nil {
		t.Error(a.Err())
	}
}

func TestHandlerThatIsNeverReady(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{"hangs": "hang", "exits with 0": "exit 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, `, "initializationTimeout": "00:00:00.5"`, "", map[string]string{"tick": idleTimer})
			a.born = func(w http.ResponseWriter, _ int) { w.Header().Set(doHeader, command) }
			a.start()
			if err := a.awaitDown(); !errors.Is(err, errTooManyErrors) || !strings.Contains(err.Error(), "did not listen") {
				t.Errorf("the host went down for %v", err)
			}
			if n := len(a.started()); n > mostErrors {
				t.Errorf("the handler was started %d times", n)
			}
		})
	}
}

func TestHandlerThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	a := newApp(t, `, "initializationTimeout": "00:00:00.3"`, "", map[string]string{"tick": idleTimer})
	a.config.Executable = ""
	a.start()
	a.await("the error", func() bool { return a.said(Error, categoryWorker, "Failed to start worker process") })
	if a.Err() != nil {
		t.Errorf("the host went down before the first invocation: %v", a.Err())
	}
	began := time.Now()
	if err := a.invoke("tick"); !errors.Is(err, errInitialization) {
		t.Errorf("an invocation without a handler: %v", err)
	}
	if waited := time.Since(began); waited < invocationTimeout*300*time.Millisecond {
		t.Errorf("an invocation waited for %s only", waited)
	}
	if err := a.awaitDown(); !errors.Is(err, errInitialization) {
		t.Errorf("the host went down for %v", err)
	}
}

func TestNoFunctionsNoHandler(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", nil)
	a.start()
	if response, _ := a.request("GET", "/api/x", ""); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", response.Status)
	}
	if err := a.Stop(); err != nil || len(a.started()) != 0 {
		t.Errorf("%d handlers, %v", len(a.started()), err)
	}
}

// TestFunctionTimeoutKillsEverythingInFlight: the kill comes two seconds after the invocation has failed.
func TestFunctionTimeoutKillsEverythingInFlight(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", `, "functionTimeout": "00:00:03"`, map[string]string{"slow": idleTimer, "other": idleTimer})
	a.answer = func(w http.ResponseWriter, c call) {
		if c.pid == a.received()[0].pid {
			w.Header().Set(doHeader, "hang")
			return
		}
		succeed(w)
	}
	a.start()
	if err := a.invoke("slow"); !errors.Is(err, errFunctionTimeout) || a.Restarts() != 0 {
		t.Errorf("the slow invocation ended with %v, after %d restarts", err, a.Restarts())
	}
	began := time.Now()
	err := a.invoke("other") // its own time limit is not reached when the handler is killed
	if took := time.Since(began); err == nil || errors.Is(err, errFunctionTimeout) || took < timeoutPause/2 {
		t.Errorf("the other invocation ended with %v after %s, want a broken connection", err, took)
	}
	if err := a.invoke("slow"); err != nil || a.Restarts() != 1 {
		t.Errorf("after %d restarts: %v", a.Restarts(), err)
	}
}

// TestFunctionTimeoutKillsOnceForEachInvocation: if two invocations time out, the second kill hits the next handler.
func TestFunctionTimeoutKillsOnceForEachInvocation(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", `, "functionTimeout": "00:00:01"`, map[string]string{"slow": idleTimer, "other": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "hang") }
	a.start()
	failures := make(chan error, 2)
	for _, name := range []string{"slow", "other"} {
		go func() { failures <- a.invoke(name) }()
	}
	for range 2 {
		if err := <-failures; !errors.Is(err, errFunctionTimeout) {
			t.Errorf("an invocation ended with %v", err)
		}
	}
	a.await("two restarts", func() bool { return a.Restarts() == 2 })
}

func TestEmptyAnswerHangsUntilFunctionTimeout(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter){
		"empty 200": func(http.ResponseWriter) {},
		"204":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"null":      func(w http.ResponseWriter) { reply200(w, "null") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, "", `, "functionTimeout": "00:00:01"`, map[string]string{"tick": idleTimer})
			a.answer = func(w http.ResponseWriter, _ call) { answer(w) }
			a.start()
			if err := a.invoke("tick"); !errors.Is(err, errFunctionTimeout) || !errors.Is(err, errNoResult) {
				t.Errorf("the invocation ended with %v", err)
			}
			a.await("the restart", func() bool { return a.Restarts() == 1 })
		})
	}
}

func TestStopKillsWithoutASignal(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	release := make(chan struct{})
	a.answer = func(w http.ResponseWriter, c call) {
		select {
		case <-release:
		case <-c.Context().Done():
		}
		succeed(w)
	}
	a.start()
	failure := make(chan error, 1)
	go func() { failure <- a.invoke("tick") }()
	a.awaitCalls(1)
	pid := a.PID()
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	select { // Stop waits for running work
	case err := <-stopped:
		t.Errorf("Stop did not wait for the running invocation: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(release)
	if err := <-failure; err != nil {
		t.Errorf("the running invocation ended with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the handler is still there: %v", err)
	}
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "hang") }
	a.start()
	failure := make(chan error, 1)
	go func() { failure <- a.invoke("tick") }()
	a.awaitCalls(1)
	began := time.Now()
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < grace || took > grace+10*time.Second {
		t.Errorf("Stop took %s", took)
	}
	if err := <-failure; err == nil {
		t.Error("an invocation that was given up succeeded")
	}
	endOrphan(t, a.started()[0].pid)
}

// endOrphan checks that the handler was left behind, and ends it.
func endOrphan(t *testing.T, pid string) {
	t.Helper()
	id, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
		t.Errorf("the handler was not left behind: %v", err)
	}
}

// TestKillLeavesTheHandlerBehind: the handler serves on, and dies when it writes its next line.
func TestKillLeavesTheHandlerBehind(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, c call) {
		if c.URL.Path == "/line" {
			w.Header().Set(doHeader, "out a line")
		}
		succeed(w)
	}
	a.start()
	if err := a.invoke("tick"); err != nil {
		t.Fatal(err)
	}
	pid := a.PID()
	a.Kill()
	if err := a.Err(); err != nil || a.PID() != 0 {
		t.Errorf("after a kill: %v, pid %d", err, a.PID())
	}
	handler := "http://127.0.0.1:" + a.started()[0].environment["FUNCTIONS_CUSTOMHANDLER_PORT"]
	get := func(path string) error {
		r, err := http.NewRequestWithContext(t.Context(), "GET", handler+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	if err := get("/still"); err != nil {
		t.Errorf("the handler went with its host: %v", err)
	}
	if err := get("/line"); err == nil {
		t.Error("the handler wrote a line and lives")
	}
	a.await("its end", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func TestConsole(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	a.answer = func(w http.ResponseWriter, _ call) {
		for _, command := range []string{"out to stdout: an error", "err a plain line", "err a WARNing"} {
			w.Header().Add(doHeader, command)
		}
		reply200(w, `{"Logs": ["said by the function"]}`)
	}
	a.start()
	if err := a.invoke("tick"); err != nil {
		t.Fatal(err)
	}
	a.await("the lines", func() bool {
		return a.said(Information, CategoryConsole, "to stdout: an error") &&
			a.said(Error, CategoryConsole, "a plain line") && a.said(Warning, CategoryConsole, "a WARNing")
	})
	if !a.said(Information, "Function.tick.User", "said by the function") {
		t.Error("Logs are lost")
	}
}

func TestErrorLevel(t *testing.T) {
	for _, c := range []struct {
		line      string
		allErrors bool
		want      Level
	}{
		{"hello", true, Error},
		{"Warning: low", true, Warning},
		{"error, be warned", true, Warning},
		{"hello", false, Information},
		{"warning", false, Information},
		{"it FAILED", false, Error},
		{"Unhandled Exception", false, Error},
		{"severe", false, Error},
	} {
		if got := errorLevel(c.line, c.allErrors); got != c.want {
			t.Errorf("%q, %t: %s, want %s", c.line, c.allErrors, got, c.want)
		}
	}
}

// TestWhatADyingHostTakesIsLocked: after the third crash, an HTTP call in progress keeps the host alive, and the host goes on
// taking messages. No handler processes them, and they are locked until their lease ends.
func TestWhatADyingHostTakesIsLocked(t *testing.T) {
	t.Parallel()
	q := newQueueApp(t, plainQueues, `, "dataType": "binary"`)
	q.write("api/function.json", httpFunction)
	q.config.Settings["AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest"] = "true"
	q.config.Lease, q.config.Grace = 5*time.Second, 3*time.Second
	q.answer = func(w http.ResponseWriter, _ call) { w.Header().Set(doHeader, "exit 3") }
	q.start()
	var crashed time.Time
	for i := range mostErrors {
		q.await("a handler", func() bool { return len(q.started()) == i+1 && q.PID() != 0 })
		answered := make(chan int, 1)
		go func() {
			response, _ := q.request("POST", "/api/x", "body")
			answered <- response.StatusCode
		}()
		q.awaitCalls(i + 1)
		crashed = time.Now()
		if i == mostErrors-1 {
			q.await("the third crash", func() bool { return q.saidOften(Error, categoryWorker, "code 3") == mostErrors })
			q.send("in vain")
		}
		if status := <-answered; status != http.StatusInternalServerError {
			t.Errorf("the call got %d", status)
		}
	}
	if err := q.awaitDown(); !errors.Is(err, errTooManyErrors) {
		t.Errorf("the host went down for %v", err)
	}
	if took := time.Since(crashed); took < q.config.Grace || took > grace {
		t.Errorf("the host went down after %s, with a message in hand", took)
	}
	if n := len(q.received()); n != mostErrors {
		t.Errorf("the handler got %d calls", n)
	}
	peeked, err := q.queue.PeekMessage(t.Context(), nil)
	if err != nil || len(peeked.Messages) != 0 {
		t.Errorf("the message is not locked: %v, %v", peeked.Messages, err)
	}
	q.await("the message again", func() bool {
		again, err := q.queue.DequeueMessage(t.Context(), nil)
		return err == nil && len(again.Messages) == 1 && *again.Messages[0].DequeueCount == 2
	})
}
