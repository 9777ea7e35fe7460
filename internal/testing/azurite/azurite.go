// Package azurite runs Azurite, Microsoft's storage emulator, as the storage of tests, demo and local runs.
//
// The embedded package.json and package-lock.json pin the version. The first Start on a machine installs it with npm into the
// user's cache directory; later ones only start it. Azurite listens on loopback with HTTPS and checks bearer tokens, so the
// product's own clients and credentials work against it unchanged.
package azurite

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// startTimeout is the time limit for Azurite's ports to answer: 2 to 5 s were measured on a busy machine.
	startTimeout = 90 * time.Second
	// stopTimeout is the time limit after SIGTERM before SIGKILL: 1 to 2 s were measured.
	stopTimeout = 10 * time.Second
	// startAttempts bounds the retries after another program took one of the chosen ports.
	startAttempts = 5
	// pollInterval is the pause between two checks of a state without notifications.
	pollInterval = 25 * time.Millisecond
)

// preload fixes the parts of Azurite that do not work with Azure's own host names; see the file.
//
//go:embed preload.js
var preload []byte

// Config describes one Azurite.
type Config struct {
	// Dir receives the debug log, Azurite's own output and a start script. Start creates it if it is missing.
	Dir string
	// Keep keeps the stored data in the folder data of Dir, for the next Start; without it Azurite has them in memory. Azurite
	// writes them at its end and every five seconds: after its SIGKILL the last seconds of each service are missing. The death
	// of this process is no SIGKILL for it: then Azurite ends as after Stop.
	Keep bool
	// CertFile and KeyFile are PEM files. Both are required: Azurite accepts bearer tokens over HTTPS only.
	CertFile, KeyFile string
	// Accounts maps each storage account's name to its base64 key. At least one is required. Clients reach an
	// account by Azure's host name (NAME.blob.core.windows.net) in the Host header.
	Accounts map[string]string
	// NoLog turns off Azurite's debug log, which took a seventh of the processor's time of a test. Without the log, Requests
	// has nothing to read.
	NoLog bool
	// AnyVersion has Azurite take requests of any x-ms-version. Else it refuses versions that are newer than itself.
	AnyVersion bool
	// Progress receives a line about each slow step, such as the installation on first use. It may be nil.
	Progress func(string)
}

// Server is a running Azurite. Its methods may be called from any goroutine.
type Server struct {
	// BlobPort, QueuePort and TablePort are the HTTPS ports of the three services on 127.0.0.1.
	BlobPort, QueuePort, TablePort int

	debugLog string
	journal  journal
	process  *process
	probe    *probe
}

// Start installs Azurite if this is its first use on the machine, runs it on free ports, and returns when all
// three services answer. The context bounds the start only; the Server runs until Stop, or until this process ends.
// It fails with a plain sentence when Node.js or npm is missing or too old.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("start Azurite: %w", err)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	probe, err := newProbe(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("start Azurite: %w", err)
	}
	program, err := install(ctx, c.Progress)
	if err != nil {
		return nil, fmt.Errorf("start Azurite: %w", err)
	}
	for attempt := 1; ; attempt++ {
		ports, err := freePorts()
		if err != nil {
			return nil, fmt.Errorf("start Azurite: %w", err)
		}
		server, err := start(ctx, c, program, ports, probe)
		if err == nil {
			return server, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return nil, fmt.Errorf("start Azurite: %w", err)
		}
	}
}

// DebugLog returns the path of the log for Requests. The log contains the tokens of every request.
func (s *Server) DebugLog() string { return s.debugLog }

// Stop ends Azurite and waits until it is gone: SIGTERM first, SIGKILL after ten seconds. Later calls do nothing. It returns
// an error if Azurite had ended on its own before.
func (s *Server) Stop() error {
	s.probe.close()
	if err := s.process.stop(stopTimeout); err != nil {
		return fmt.Errorf("stop Azurite: %w", err)
	}
	return nil
}

// check refuses settings that Azurite itself would ignore or report badly.
func (c Config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("Config.Dir is empty")
	case c.CertFile == "" || c.KeyFile == "":
		return errors.New("Config.CertFile and Config.KeyFile are required: bearer tokens need HTTPS")
	case len(c.Accounts) == 0:
		return errors.New("Config.Accounts names no storage account")
	}
	for name, key := range c.Accounts {
		if !isAccountName(name) {
			return fmt.Errorf("account name %q: want 3 to 24 lower-case letters and digits", name)
		}
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) == 0 {
			return fmt.Errorf("key of account %s is not base64", name)
		}
	}
	return nil
}

func isAccountName(name string) bool {
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	return len(name) >= 3 && len(name) <= 24 && !strings.ContainsFunc(name, outside)
}

// start makes one attempt on the ports of the blob, queue and table service.
func start(ctx context.Context, c Config, program string, ports [3]int, probe *probe) (*Server, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", c.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory for Azurite's logs: %w", err)
	}
	debugLog := filepath.Join(dir, "azurite-debug.log")
	if err := os.Remove(debugLog); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the log of an earlier run: %w", err)
	}
	var held *os.File
	if c.Keep {
		if held, err = hold(ctx, filepath.Join(dir, "data.lock"), c.Progress); err != nil {
			return nil, err
		}
		defer held.Close() // the child has its own descriptor
	}
	args, err := arguments(c, program, debugLog)
	if err != nil {
		return nil, err
	}
	for i, service := range []string{"blob", "queue", "table"} {
		args = append(args, "--"+service+"Host", "127.0.0.1", "--"+service+"Port", strconv.Itoa(ports[i]),
			"--"+service+"KeepAliveTimeout", "60") // in seconds, else 5: handshakes took a sixth of the processor's time of a test
	}
	process, err := run(ctx, args, command{
		dir:    dir,
		env:    "AZURITE_ACCOUNTS=" + accountList(c.Accounts),
		output: filepath.Join(dir, "azurite-output.log"),
		held:   held,
	})
	if err != nil {
		return nil, err
	}
	server := &Server{
		BlobPort: ports[0], QueuePort: ports[1], TablePort: ports[2],
		debugLog: debugLog, process: process, probe: probe,
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, port := range ports {
		if err := probe.await(ready, port, process); err != nil {
			return nil, errors.Join(err, process.stop(0))
		}
	}
	return server, nil
}

// arguments returns the command line of Node.js without hosts and ports.
func arguments(c Config, program, debugLog string) ([]string, error) {
	cert, err := filepath.Abs(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.CertFile, err)
	}
	key, err := filepath.Abs(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", c.KeyFile, err)
	}
	fix := filepath.Join(filepath.Dir(debugLog), "azurite-preload.js")
	if err := os.WriteFile(fix, preload, 0o644); err != nil {
		return nil, fmt.Errorf("write the preload script: %w", err)
	}
	args := []string{
		"--require", fix, program, "--silent", "--disableTelemetry", "--oauth", "basic", "--cert", cert, "--key", key,
	}
	if c.Keep {
		args = append(args, "--location", filepath.Join(filepath.Dir(debugLog), "data"))
	} else {
		args = append(args, "--inMemoryPersistence")
	}
	if !c.NoLog {
		args = append(args, "-d", debugLog)
	}
	if c.AnyVersion {
		args = append(args, "--skipApiVersionCheck")
	}
	return args, nil
}

// holdTimeout is the time limit for the Azurite of a killed process to write its data and end: 1 to 2 s were measured on an idle
// machine.
const holdTimeout = 30 * time.Second

// hold locks the stored data: two Azurites on the same folder would overwrite each other's. The lock is Azurite's own, since it
// may outlive this process by some seconds.
func hold(ctx context.Context, path string, progress func(string)) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	file, err := lock(ctx, path, func() { progress("waiting for the Azurite that still has this folder…") })
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("another Azurite has the folder %s: stop it, or name another folder", filepath.Dir(path))
	}
	return file, err
}

// accountList returns the accounts in the form of AZURITE_ACCOUNTS: name:key;name:key.
func accountList(accounts map[string]string) string {
	entries := make([]string, 0, len(accounts))
	for name, key := range accounts {
		entries = append(entries, name+":"+key)
	}
	slices.Sort(entries)
	return strings.Join(entries, ";")
}

// freePorts picks ports by listening on them all at once, so that they differ. Another program may take one
// before Azurite does; Start then tries again.
func freePorts() (ports [3]int, err error) {
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
