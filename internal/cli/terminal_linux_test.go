package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lifeboat/internal/cli"
	"lifeboat/internal/tzdata"
)

// console is a real terminal of the kernel's. A person types at it and reads from it.
type console struct {
	*os.File // the program's side

	// columns is the variable COLUMNS.
	columns string

	person *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	more   chan struct{}
}

// newConsole makes a terminal of that width, which notes all that it shows.
func newConsole(t *testing.T, width uint16) *console {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: width}); err != nil {
		t.Fatal(err)
	}
	c := &console{File: program, person: person, more: make(chan struct{}, 1)}
	go func() {
		chunk := make([]byte, 4096)
		for {
			n, err := person.Read(chunk)
			if err != nil {
				return
			}
			c.mu.Lock()
			c.seen.Write(chunk[:n])
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ReplaceAll(c.seen.String(), "\r\n", "\n")
}

// clear forgets what it has shown.
func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Reset()
}

// wait waits until the terminal shows the text, n times.
func (c *console) wait(t *testing.T, text string, n int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for strings.Count(c.text(), text) < n {
		select {
		case <-c.more:
		case <-deadline:
			t.Fatalf("no %q in\n%s", text, c.text())
		}
	}
}

// at runs a command at the terminal; stdout goes to out if that is not nil.
func (c *console) at(ctx context.Context, t *testing.T, url string, out *bytes.Buffer, args ...string) int {
	t.Helper()
	zone, err := tzdata.Embedded().Load("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"LIFEBOAT_URL": url, "LIFEBOAT_KEY": key, "COLUMNS": c.columns}
	sh := cli.Shell{
		Getenv: func(name string) string { return environment[name] }, Stdin: c.File, Stdout: c.File, Stderr: c.File, Now: fleetNow, Local: zone,
		RequestID: "at-the-terminal", Plans: reader, CompletionTime: 5 * time.Minute,
	}
	if out != nil {
		sh.Stdout = out
	}
	return cli.Run(ctx, args, sh)
}

// TestARestoreAsks checks that a restore on a terminal shows what is lost, begins only if the person types the name of the
// destination, and restores the recovery point that the person has seen.
func TestARestoreAsks(t *testing.T) {
	t.Parallel()
	const prompt = " to go on: "
	for name, c := range map[string]struct {
		args  []string
		types string // "": nothing is asked
		says  string
		code  int
	}{
		"the name":        {[]string{"contoso-eu"}, "contoso-eu\n", "", 0},
		"in other case":   {[]string{"contoso-eu"}, "  Contoso-EU \n", "", 0},
		"the resource ID": {[]string{"contoso-eu"}, eu + "\n", "", 0},
		"a destination":   {[]string{"contoso-eu", "--into", "contoso-standby"}, "contoso-standby\n", "", 0},
		"the source":      {[]string{"contoso-eu", "--into", "contoso-standby"}, "contoso-eu\n", "that is not its name: nothing was restored\n", 1},
		"yes":             {[]string{"contoso-eu"}, "yes\n", "that is not its name: nothing was restored\n", 1},
		"nothing":         {[]string{"contoso-eu"}, "\n", "that is not its name: nothing was restored\n", 1},
		"the end":         {[]string{"contoso-eu"}, "\x04", "that is not its name: nothing was restored\n", 1},
		"Ctrl-C":          {[]string{"contoso-eu"}, "\x03", "stopped: nothing was restored\n", 1},
		"a refused one":   {[]string{"contoso-eu", "--into", "contoso-us"}, "", "this restore would be refused: DestinationNotAllowed\n", 1},
		"--yes":           {[]string{"contoso-eu", "--yes"}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, terminal := newFleet(t), newConsole(t, 80)
			before := len(a.queue.Messages("execute"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan int, 1)
			var out bytes.Buffer
			go func() { ended <- terminal.at(ctx, t, a.URL, &out, append([]string{"restore"}, c.args...)...) }()
			switch c.types {
			case "":
			case "\x03": // the program's signal handler cancels the context
				terminal.wait(t, prompt, 1)
				cancel()
			default:
				terminal.wait(t, prompt, 1)
				if _, err := terminal.person.WriteString(c.types); err != nil {
					t.Fatal(err)
				}
			}
			code := <-ended
			if c.says != "" {
				terminal.wait(t, c.says, 1)
			}
			seen := terminal.text()
			if c.types != "" && !strings.Contains(seen, " since 2026-03-28 03:25 CET, 9h35m ago, is LOST. Type ") {
				t.Errorf("it does not say what is lost:\n%s", seen)
			}
			made := len(a.queue.Messages("execute")) - before
			if code != c.code || made != 1-c.code || strings.Contains(seen, prompt) != (c.types != "") {
				t.Errorf("%d, %d restores\n%s%s", code, made, &out, seen)
			}
			if c.code == 0 {
				if _, run, _ := inFleet(t, a, 0, "run", strings.TrimSpace(out.String())); !strings.Contains(run, "\nfrom           "+goodRun+"\n") {
					t.Errorf("it restores another recovery point:\n%s", run)
				}
			}
		})
	}
}

// TestATakeoverAsks checks that a takeover on a terminal is asked for only if the person types the name of the app that loses, and
// never without a terminal.
func TestATakeoverAsks(t *testing.T) {
	t.Parallel()
	for types, want := range map[string]struct {
		code, requests int
		says           string
	}{
		"Contoso-Old\n": {1, 1, "NotTakenOver: the catalog cannot be taken over from that app: "},
		"yes\n":         {1, 0, "that is not its name: nothing was taken over\n"},
		"\x04":          {1, 0, "that is not its name: nothing was taken over\n"},
	} {
		a, terminal := newFleet(t), newConsole(t, 80)
		ended := make(chan int, 1)
		go func() { ended <- terminal.at(t.Context(), t, a.URL, nil, "takeover", "contoso-old") }()
		terminal.wait(t, "The app contoso-old stops working. Type contoso-old to go on: ", 1)
		if _, err := terminal.person.WriteString(types); err != nil {
			t.Fatal(err)
		}
		code := <-ended
		terminal.wait(t, want.says, 1)
		if code != want.code || len(a.requests) != want.requests {
			t.Errorf("%q: %d, %v", types, code, a.requests)
		}
	}
	a := newFleet(t)
	if code, out, errs := inFleet(t, a, 0, "takeover", "contoso-old"); code != 2 || out != "" || !strings.Contains(errs, "say --yes") || len(a.requests) != 0 {
		t.Errorf("%d, %s%s, %v", code, out, errs, a.requests)
	}
}

// TestARestoreDoesNotAskWhereNobodyIs checks that a restore without a terminal and without --yes is refused, and that the app is
// not asked for anything.
func TestARestoreDoesNotAskWhereNobodyIs(t *testing.T) {
	t.Parallel()
	a, terminal := newFleet(t), newConsole(t, 80)
	for name, stdin := range map[string]bool{"no terminal at all": false, "a terminal to type at alone": true} {
		environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
		var out, errs bytes.Buffer
		sh := cli.Shell{
			Getenv: func(name string) string { return environment[name] }, Stdin: strings.NewReader("contoso-eu\n"), Stdout: &out, Stderr: &errs,
			Now: fleetNow,
		}
		if stdin {
			sh.Stdin = terminal.File
		}
		code := cli.Run(t.Context(), []string{"restore", "contoso-eu"}, sh)
		if code != 2 || out.String() != "" || !strings.Contains(errs.String(), "say --yes") || len(a.requests) != 0 {
			t.Errorf("%s: %d, %s%s, %v", name, code, &out, &errs, a.requests)
		}
	}
}

// TestTablesFitTheTerminal checks that the width of a real terminal counts.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	a := newFleet(t)
	for _, c := range []struct {
		columns string // COLUMNS, which a shell may set to nothing of use
		is      uint16
		width   int
	}{{"", 80, 80}, {"", 120, 120}, {"80", 120, 80}, {"0", 120, 120}, {"-1", 80, 80}, {"many", 120, 120}} {
		terminal, width := newConsole(t, c.is), c.width
		terminal.columns = c.columns
		if code := terminal.at(t.Context(), t, a.URL, nil, "health"); code != 0 {
			t.Fatal(code)
		}
		terminal.wait(t, "\ndev/audit ", 1)
		_, want, _ := inFleet(t, a, width, "health")
		if got := terminal.text(); got != want {
			t.Errorf("at %d columns\n%s\nwant\n%s", width, got, want)
		}
	}
}

// TestWatch checks that a watched list takes the place of the last one, and that Ctrl-C is its good end.
func TestWatch(t *testing.T) {
	t.Parallel()
	const clear = "\x1b[H\x1b[2J\x1b[3J"
	for _, args := range [][]string{{"health"}, {"runs", "contoso-eu"}, {"points", "contoso-eu"}, {"batch", batchID}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			a, terminal := newFleet(t), newConsole(t, 120)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan int, 1)
			go func() { ended <- terminal.at(ctx, t, a.URL, nil, append(args, "--watch")...) }()
			terminal.wait(t, clear, 2)
			cancel()
			if code := <-ended; code != 0 {
				t.Errorf("%d\n%s", code, terminal.text())
			}
			pages := strings.Split(terminal.text(), clear)
			if len(pages) < 3 || pages[0] != "" || !strings.HasPrefix(pages[1], strings.SplitN(pages[2], " ", 2)[0]) {
				t.Errorf("%q", pages)
			}
		})
	}
}

// TestProgressTellsTheTime checks that the line of a run under way goes on telling its time at a terminal, beside the usual one, and
// that a restore tells its phase. Without an earlier one that succeeded there is no usual time.
func TestProgressTellsTheTime(t *testing.T) {
	t.Parallel()
	const earlier = `{"id":"a","kind":"restore","status":"Succeeded","createdDateTime":"2026-03-27T12:00:00Z","endedDateTime":"2026-03-27T12:07:00Z"},`
	for usually, before := range map[string]string{", usually 7m0s": earlier, "": ""} {
		t.Run("so far"+usually, func(t *testing.T) {
			t.Parallel()
			tellsTheTime(t, usually, before)
		})
	}
}

func tellsTheTime(t *testing.T, usually, before string) {
	t.Helper()
	states := []string{
		`"status":"NotStarted","state":"queued"`, `"status":"Running","state":"running"`, `"status":"Running","state":"running"`,
		`"status":"Running","state":"running","recoveryPoint":{"state":"live"}`,
		`"status":"Succeeded","state":"succeeded","recoveryPoint":{"state":"live","sizeInBytes":1024},"endedDateTime":"2026-03-28T12:10:00Z"`,
	}
	n := 0
	a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		if strings.HasPrefix(r.URL.RawQuery, "target=") {
			fmt.Fprint(w, `{"value":[`+before+`{"id":"b","kind":"backup","status":"Succeeded","createdDateTime":"2026-03-27T12:00:00Z","endedDateTime":"2026-03-27T14:07:00Z"},`+
				`{"id":"c","kind":"restore","status":"Failed","createdDateTime":"2026-03-27T12:00:00Z","endedDateTime":"2026-03-27T15:07:00Z"}]}`)
			return false
		}
		fmt.Fprintf(w, `{"id":"r","kind":"restore","target":"`+target+`","createdDateTime":"2026-03-28T12:00:00Z","lastUpdatedDateTime":"2026-03-28T12:01:00Z",`+
			`"restore":{"kind":"full","safetyBackup":true},%s}`, states[min(n, len(states)-1)])
		n++
		return false
	})
	terminal := newConsole(t, 120)
	var out bytes.Buffer
	minute := 0
	environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
	code := cli.Run(t.Context(), []string{"restore", target, "--yes", "--wait"}, cli.Shell{
		Getenv: func(name string) string { return environment[name] }, Stdin: terminal.File, Stdout: &out, Stderr: terminal.File, Now: now,
		CompletionTime: 5 * time.Minute,
		Clock:          func() time.Time { minute++; return now.Add(time.Duration(minute) * time.Minute) },
	})
	terminal.wait(t, "took ", 1)
	want := []string{
		"2026-03-28T12:01:00Z  queued; ", " so far" + usually + "\n2026-03-28T12:01:00Z  safety backup running; ",
		"\n\x1b[1A\x1b[2K2026-03-28T12:01:00Z  safety backup running; ", "\n2026-03-28T12:01:00Z  restore running; ",
		"\n2026-03-28T12:01:00Z  succeeded: 1.0 KiB, kept as its plan says; took 10m0s\n",
	}
	rest := terminal.text()
	for _, part := range want {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("no %q, or not in its place, in\n%q", part, terminal.text())
		}
		rest = after
	}
	if code != 0 || out.String() != "r\n" {
		t.Errorf("%d, %q", code, &out)
	}
}

// TestAPasswordIsNotShown types the password of a key at a terminal, which does not show it.
func TestAPasswordIsNotShown(t *testing.T) {
	t.Chdir(t.TempDir())
	domainFiles(t)
	c := newConsole(t, 120)
	done := make(chan int, 1)
	go func() {
		done <- c.at(t.Context(), t, "", nil, "security-domain", "check", "domain.json", "--key", "locked.key", "--holder")
	}()
	c.hides(t)
	if _, err := c.person.WriteString("correct horse\n"); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "opens share 1 of 3", 1)
	if code := <-done; code != 0 || strings.Contains(c.text(), "horse") {
		t.Errorf("%d\n%s", code, c.text())
	}

	c.clear()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		done <- c.at(ctx, t, "", nil, "security-domain", "check", "domain.json", "--key", "locked.key", "--holder")
	}()
	c.hides(t)
	stop()
	c.wait(t, "stopped: nothing was checked", 1)
	if code := <-done; code != 1 {
		t.Errorf("%d\n%s", code, c.text())
	}
	if !c.echoes(t) {
		t.Error("the terminal shows nothing of the next words that a person types")
	}
}

// echoes tells whether the terminal shows the words that a person types.
func (c *console) echoes(t *testing.T) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(c.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// hides waits until the program asks for a password.
func (c *console) hides(t *testing.T) {
	t.Helper()
	c.wait(t, "password of locked.key: ", 1)
	for deadline := time.Now().Add(time.Minute); c.echoes(t); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the terminal shows what a person types")
		}
	}
}
