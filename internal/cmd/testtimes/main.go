// Command testtimes prints where the time of the tests goes. For each package it prints the wall clock and the processor's
// time, without and with the race detector, and for the slowest tests the wall clock.
//
//	testtimes [-longest N] [-norace] [PACKAGE...]
//
// Packages run one after the other, so that none waits for another. The processor's time covers the test program and all
// processes that it started and waited for; a test in parallel with others has no processor's time of its own.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// meter is the environment variable that makes go test run this command in front of each test program. It names the file for
// the measurements.
const meter = "LIFEBOAT_TEST_METER"

func main() {
	if file := os.Getenv(meter); file != "" {
		os.Exit(measure(context.Background(), file, os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	longest := flag.Int("longest", 25, "how many tests to list")
	noRace := flag.Bool("norace", false, "without the race detector alone")
	flag.Parse()
	ways := []bool{false, true}
	if *noRace {
		ways = ways[:1]
	}
	t := times{packages: map[string]*[2]spent{}, tests: map[string]*[2]time.Duration{}}
	for _, race := range ways {
		if err := t.run(ctx, race, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "testtimes:", err)
			os.Exit(1)
		}
	}
	t.report(os.Stdout, *longest)
}

// measured is a line of the meter's file.
type measured struct {
	Dir       string
	CPU, Wall time.Duration
}

// measure runs the test program, and writes its times to the file.
func measure(ctx context.Context, file string, command []string) int {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, meter+"=") })
	began := time.Now()
	err := c.Run()
	dir, _ := os.Getwd()
	if state := c.ProcessState; state != nil {
		line, _ := json.Marshal(measured{Dir: dir, CPU: state.UserTime() + state.SystemTime(), Wall: time.Since(began)}) // never fails
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(append(line, '\n'))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return state.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// spent is the time that a package took.
type spent struct{ wall, cpu time.Duration }

// times are the times by package and by test; the second of each pair is with the race detector.
type times struct {
	packages map[string]*[2]spent
	tests    map[string]*[2]time.Duration
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test string
	Elapsed               float64
}

// run runs the tests of the packages once.
func (t *times) run(ctx context.Context, race bool, packages []string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "lifeboat-meter-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	which, args := 0, []string{"test", "-json", "-count=1", "-p=1", "-timeout=60m", "-exec", self}
	if race {
		which, args = 1, append(args, "-race")
	}
	c := exec.CommandContext(ctx, "go", append(args, packages...)...)
	c.Env, c.Stderr = append(os.Environ(), meter+"="+file.Name()), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	folders, failed := map[string]string{}, []string{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action != "pass" && e.Action != "fail" {
			continue
		}
		if e.Action == "fail" {
			failed = append(failed, e.Package+" "+e.Test)
		}
		if e.Test == "" {
			fmt.Fprintf(os.Stderr, "%-8.1f %s\n", e.Elapsed, e.Package)
			folders["/"+strings.TrimPrefix(e.Package, "lifeboat/")] = e.Package
			continue
		}
		name := strings.TrimPrefix(e.Package, "lifeboat/") + " " + e.Test
		if t.tests[name] == nil {
			t.tests[name] = &[2]time.Duration{}
		}
		t.tests[name][which] = time.Duration(e.Elapsed * float64(time.Second))
	}
	if err := errors.Join(lines.Err(), c.Wait()); err != nil {
		return fmt.Errorf("%w; failed: %q", err, failed)
	}
	measuredLines := json.NewDecoder(file)
	for {
		var m measured
		if err := measuredLines.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name := "." // the longest folder that fits is the package's own
		for folder := range folders {
			if short := strings.TrimPrefix(folder, "/"); strings.HasSuffix(m.Dir, folder) && len(short) > len(name) {
				name = short
			}
		}
		if t.packages[name] == nil {
			t.packages[name] = &[2]spent{}
		}
		t.packages[name][which] = spent{m.Wall, m.CPU}
	}
}

func (t *times) report(w io.Writer, longest int) {
	names := make([]string, 0, len(t.packages))
	var sum [2]spent
	for name, p := range t.packages {
		names = append(names, name)
		for i := range p {
			sum[i].wall += p[i].wall
			sum[i].cpu += p[i].cpu
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.packages[b][1].wall+t.packages[b][0].wall, t.packages[a][1].wall+t.packages[a][0].wall), cmp.Compare(a, b))
	})
	fmt.Fprintln(w, "| package | wall, s | CPU, s | wall under -race, s | CPU under -race, s |\n|---|---:|---:|---:|---:|")
	row := func(name string, p [2]spent) {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %.1f |\n", name, p[0].wall.Seconds(), p[0].cpu.Seconds(), p[1].wall.Seconds(), p[1].cpu.Seconds())
	}
	for _, name := range names {
		row("`"+name+"`", *t.packages[name])
	}
	row("all", sum)
	tests := make([]string, 0, len(t.tests))
	for name := range t.tests {
		tests = append(tests, name)
	}
	slices.SortFunc(tests, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.tests[b][0], t.tests[a][0]), cmp.Compare(a, b))
	})
	fmt.Fprintln(w, "\n| test | wall, s | wall under -race, s |\n|---|---:|---:|")
	for _, name := range tests[:min(longest, len(tests))] {
		fmt.Fprintf(w, "| `%s` | %.1f | %.1f |\n", name, t.tests[name][0].Seconds(), t.tests[name][1].Seconds())
	}
}
