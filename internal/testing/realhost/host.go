// Package realhost runs Azure's own Functions host on an app's folder: Microsoft.Azure.WebJobs.Script.WebHost, with the
// command functions-host or with Core Tools. It has the same methods as the local host in fakehost, so that a test can drive
// either.
package realhost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"lifeboat/internal/testing/fakehost"
)

// Config describes a host to run.
type Config struct {
	Program Program
	// App is the folder of the deployed app: host.json, each function's folder, the handler's program.
	App string
	// Dir receives the files of host and program; each process of the host removes its own. "" means the system's.
	Dir string
	// Settings are the app settings. Ready requires WEBSITE_SITE_NAME, because the path of the keys contains it.
	Settings map[string]string
	// Env is the environment besides Settings, as NAME=value. The host and the handler get nothing else from this process's
	// environment.
	Env []string
	// Secret reads a blob of the container azure-webjobs-secrets. Ready needs it.
	Secret func(ctx context.Context, name string) ([]byte, error)
	// Log receives each line of the host and the handler, one at a time. It may be nil.
	Log func(fakehost.Entry)
	// RestartHost starts the host again after it has ended, as the platform would.
	RestartHost bool
}

const (
	// platformPause is the time after which a host that has ended is started again.
	platformPause = time.Second
	// stopTimeout is longer than a host needs to stop: 12 s were measured with invocations in progress.
	stopTimeout = 20 * time.Second
	// lookPause is the time between two checks of a host that is not up yet.
	lookPause = 50 * time.Millisecond
)

// guard runs the host in a separate process group. It ends the group, the handler included, when the host has ended, or when
// guard's standard input is closed. This process closes it, or its death does, however it dies. The exit code is the host's.
const guard = `set -m
dir=$1; shift
"$@" </dev/null 3>&- & host=$!
exec 2>/dev/null
echo $host >&3; exec 3>&-
{ cat; kill -KILL -$host; } >/dev/null &
wait $host; code=$?
kill -KILL -$host
rm -rf "$dir"
exit $code`

// Host is a running Functions host. Its methods may be called from any goroutine.
type Host struct {
	config Config
	port   int
	stop   context.CancelFunc // prevents another process of the host
	done   chan struct{}

	mu      sync.Mutex
	life    *life
	handler int // the last process that PID found
	reason  error
	version string
	keys    map[string]string // by function; the name "" has the master key, hostKey has the host key
}

// hostKey is a name that no function can have.
const hostKey = " host"

// life is one process of the host.
type life struct {
	command *exec.Cmd
	stdin   io.Closer
	pid     int           // the host's, and its group's
	said    chan struct{} // closed when all of their output was read
}

// Start runs the host and returns as soon as there is a process. The Host runs until Stop or Kill; without RestartHost it may
// end by itself.
func Start(ctx context.Context, c Config) (*Host, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &Host{config: c, port: port, done: make(chan struct{}), keys: map[string]string{}}
	if h.config.App, err = filepath.Abs(c.App); err != nil {
		return nil, err
	}
	if err := h.begin(); err != nil {
		return nil, fmt.Errorf("start Azure's Functions host: %w", err)
	}
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go h.live(ctx)
	return h, nil
}

// begin starts a process.
func (h *Host) begin() error {
	dir, err := os.MkdirTemp(h.config.Dir, "host-")
	if err != nil {
		return err
	}
	tell, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer tell.Close()
	command := exec.Command("bash", append([]string{"-c", guard, "guard", dir}, h.arguments()...)...) //nolint:noctx // its standard input bounds it
	command.Dir = h.config.App
	command.Env = h.environment(dir)
	command.ExtraFiles = []*os.File{told}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of this process lets it clean up
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return errors.Join(err, told.Close(), os.RemoveAll(dir))
	}
	_ = told.Close()
	l := &life{command: command, stdin: stdin, said: make(chan struct{})}
	if _, err := fmt.Fscan(tell, &l.pid); err != nil {
		return errors.Join(fmt.Errorf("the host's process ID: %w", err), stdin.Close(), command.Wait())
	}
	h.mu.Lock()
	h.life = l
	h.mu.Unlock()
	each := h.config.Log
	if each == nil {
		each = func(fakehost.Entry) {}
	}
	go func() {
		defer close(l.said)
		read(out, each)
	}()
	return nil
}

// arguments returns the command line of the host.
func (h *Host) arguments() []string {
	if h.config.Program.coreTools {
		return []string{h.config.Program.path, "start", "--port", strconv.Itoa(h.port), "--enableAuth"}
	}
	arguments := []string{h.config.Program.path, h.config.App, strconv.Itoa(h.port)}
	for _, variable := range h.variables() {
		name, _, _ := strings.Cut(variable, "=")
		if name != "PATH" && name != "HOME" && name != "TMPDIR" { // the process has its own
			arguments = append(arguments, variable)
		}
	}
	return arguments
}

// variables returns the settings, and the environment besides them.
func (h *Host) variables() []string {
	variables := append([]string{"AzureWebJobsSecretStorageType=blob"}, h.config.Env...)
	for name, value := range h.config.Settings {
		variables = append(variables, name+"="+value)
	}
	return variables
}

// environment returns the environment of the command. functions-host takes the folder that it unpacks itself to from it, and
// its temporary folder.
func (h *Host) environment(dir string) []string {
	var environment []string
	if h.config.Program.coreTools {
		environment = h.variables()
	}
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME"} {
		if value, ok := os.LookupEnv(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return append(environment, "TMPDIR="+dir)
}

// live runs one process of the host after another.
func (h *Host) live(ctx context.Context) {
	defer close(h.done)
	for {
		h.mu.Lock()
		l := h.life
		h.mu.Unlock()
		<-l.said // Wait throws the rest away
		err := l.command.Wait()
		h.mu.Lock()
		h.life = nil
		h.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if h.config.RestartHost && pause(ctx, platformPause) {
			if err = h.begin(); err == nil {
				if ctx.Err() != nil { // a Stop in between saw no process
					h.cut()
				}
				continue
			}
		}
		if ctx.Err() == nil {
			h.mu.Lock()
			h.reason = fmt.Errorf("the Functions host of Azure has ended: %w", errors.Join(err, errEnded))
			h.mu.Unlock()
		}
		return
	}
}

var errEnded = errors.New("nobody had stopped it")

// Ready returns when the host runs and its keys are known.
func (h *Host) Ready(ctx context.Context) error {
	for {
		err := h.look(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-h.done:
			return errors.Join(h.Err(), err)
		default:
		}
		if !pause(ctx, lookPause) {
			return fmt.Errorf("the Functions host of Azure did not start: %w: %w", context.Cause(ctx), err)
		}
	}
}

// look reads the master key, asks the host whether it runs, and then for the other keys.
func (h *Host) look(ctx context.Context) error {
	if h.MasterKey() == "" {
		if _, err := h.administer(ctx, http.MethodGet, "host/status", nil); err == nil {
			return errors.New("the administration is open to everybody: keys are off")
		}
		// The host has created its keys by now: it does so when it first receives one.
		text, err := h.config.Secret(ctx, strings.ToLower(h.config.Settings["WEBSITE_SITE_NAME"])+"/host.json")
		if err != nil {
			return err
		}
		var secret struct{ MasterKey struct{ Value string } }
		if err := json.Unmarshal(text, &secret); err != nil {
			return fmt.Errorf("the host's keys: %w", err)
		}
		h.know("", secret.MasterKey.Value)
	}
	var status struct{ State, Version string }
	if err := h.ask(ctx, "host/status", &status); err != nil {
		return err
	}
	if status.State != "Running" {
		return fmt.Errorf("the host's state is %s", status.State)
	}
	h.mu.Lock()
	h.version = status.Version
	h.mu.Unlock()
	folders, err := filepath.Glob(filepath.Join(h.config.App, "*", "function.json"))
	if err != nil {
		return err
	}
	of := map[string]string{hostKey: "host/keys"}
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		of[name] = "functions/" + name + "/keys"
	}
	for name, path := range of {
		var answer struct {
			Keys []struct{ Name, Value string }
		}
		if err := h.ask(ctx, path, &answer); err != nil {
			return err
		}
		for _, key := range answer.Keys {
			if key.Name == "default" {
				h.know(name, key.Value)
			}
		}
	}
	return nil
}

func (h *Host) know(name, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[name] = key
}

// ask makes a GET of the host's admin API.
func (h *Host) ask(ctx context.Context, path string, answer any) error {
	text, err := h.administer(ctx, http.MethodGet, path, nil)
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("/admin/%s: %w", path, err)
	}
	return nil
}

func (h *Host) administer(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, h.URL()+"/admin/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-functions-key", cmp.Or(h.MasterKey(), "unknown"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return text, err
}

// URL returns the host's address, without a slash at the end; it stays the same in all its processes.
func (h *Host) URL() string { return "http://127.0.0.1:" + strconv.Itoa(h.port) }

// Key returns the key that opens the HTTP function. It is known when Ready has returned, as are the others.
func (h *Host) Key(function string) string { return h.key(function) }

// MasterKey returns the key that opens all HTTP functions and the admin endpoints.
func (h *Host) MasterKey() string { return h.key("") }

// HostKey returns the key that opens all HTTP functions.
func (h *Host) HostKey() string { return h.key(hostKey) }

func (h *Host) key(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys[name]
}

// Version returns the host's own version, such as 4.1045.200.
func (h *Host) Version() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version
}

// Invoke runs the function now, besides its trigger. It returns when the host has accepted the call, and does not know the
// outcome.
func (h *Host) Invoke(ctx context.Context, function string) error {
	if _, err := h.administer(ctx, http.MethodPost, "functions/"+function, []byte("{}")); err != nil {
		return fmt.Errorf("invoke %s: %w", function, err)
	}
	return nil
}

// HostPID returns the process ID of the host, which changes with each start; 0 between two.
func (h *Host) HostPID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life == nil {
		return 0
	}
	return h.life.pid
}

// PID returns the process ID of the handler as it runs now, 0 if it does not run. It works only on Linux.
func (h *Host) PID() int {
	host := h.HostPID()
	if host == 0 {
		return 0
	}
	h.mu.Lock()
	last := h.handler
	h.mu.Unlock()
	if last != 0 && parent(last) == host {
		return last
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(filepath.Base(process))
		if err == nil && parent(pid) == host {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.handler = pid
			return pid
		}
	}
	return 0
}

// parent returns the process ID of the parent of a running process, else 0.
func parent(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0 // it has ended
	}
	// pid (name) state parent …; a name may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return 0
	}
	of, _ := strconv.Atoi(fields[1])
	return of
}

// Done returns a channel that is closed when the host is down for good. Then Err returns the reason, nil after Stop.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err returns the reason why the host is down without a call of Stop.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason
}

// Stop ends the host with SIGTERM, after which it gives running work 10 seconds; then with SIGKILL, and the handler with it.
// Later calls wait for the first.
func (h *Host) Stop() error {
	h.stop()
	h.signal(syscall.SIGTERM)
	select {
	case <-h.done:
	case <-time.After(stopTimeout):
		h.cut()
	}
	<-h.done
	return h.Err()
}

// Kill ends the host with SIGKILL, and then the processes that it leaves behind, for good.
func (h *Host) Kill() {
	h.stop()
	h.cut()
	<-h.done
}

// signal sends a signal to the current process of the host.
func (h *Host) signal(s syscall.Signal) {
	if pid := h.HostPID(); pid != 0 {
		_ = syscall.Kill(pid, s) // the process may be gone
	}
}

// cut makes the guard end host and handler.
func (h *Host) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life != nil {
		_ = h.life.stdin.Close()
	}
}

// freePort searches below the ports that systems assign themselves, so that no outgoing connection takes the port between two
// processes of the host. The random choice keeps test processes apart.
func freePort() (int, error) {
	const first, count, attempts = 10000, 10000, 100
	var err error
	for range attempts {
		port := first + rand.IntN(count)
		var listener net.Listener
		if listener, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// pause waits, and returns false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
