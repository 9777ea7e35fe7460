// Command flaky runs tests again and again, each time in new processes and in another order, and prints which of them failed,
// and how often.
//
//	flaky [-n TIMES] [-run PATTERN] [-race] [-timeout DURATION] [PACKAGE...]
//
// It exits with 1 if a test failed, if a package did not build, crashed, or ran out of time, and if there was nothing to run.
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(flaky(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func flaky(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("flaky", flag.ContinueOnError)
	flags.SetOutput(stderr)
	times := flags.Int("n", 10, "how often")
	pattern := flags.String("run", ".", "tests to run, as go test -run takes them")
	race := flags.Bool("race", false, "with the race detector")
	timeout := flags.Duration("timeout", 30*time.Minute, "of one run of a package")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *times < 1 {
		fmt.Fprintf(stderr, "flaky: -n %d is no number of runs: at least 1\n", *times)
		return 2
	}
	command := []string{"test", "-json", "-count=1", "-shuffle=on", "-run", *pattern, "-timeout", timeout.String()}
	if *race {
		command = append(command, "-race")
	}
	t := tally{tests: map[test]*record{}}
	packages := flags.Args()
	for t.runs < *times {
		seen, err := t.run(ctx, append(command[:len(command):len(command)], packages...))
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "stopped: the run that was under way does not count")
			break
		}
		if err != nil {
			fmt.Fprintf(stderr, "flaky: run the tests: %v\n", err)
			return 1
		}
		if t.runs == 1 {
			packages = seen // the other packages have no test that matches the pattern
		}
		if len(seen) == 0 {
			fmt.Fprintf(stderr, "flaky: there is no test %s in %s\n", *pattern, cmp.Or(strings.Join(flags.Args(), " "), "this folder"))
			return 1
		}
		fmt.Fprintf(stderr, "run %d of %d: %d tests ran, %d failed so far\n", t.runs, *times, len(t.tests), t.failed())
	}
	t.report(stdout)
	if t.failed() > 0 || t.runs < *times {
		return 1
	}
	return 0
}

// test is a test by its package and name. A test without a name stands for the package itself, for failures outside of its
// tests.
type test struct{ pkg, name string }

func (t test) String() string {
	return t.pkg + ": " + cmp.Or(t.name, "the package itself (build, crash, time-out or TestMain)")
}

// record counts the runs and failures of a test.
type record struct {
	runs, failed int
	seed, said   string // from the first failure
}

type tally struct {
	runs  int
	tests map[test]*record
}

// of returns the record of the test.
func (t *tally) of(which test) *record {
	if t.tests[which] == nil {
		t.tests[which] = &record{}
	}
	return t.tests[which]
}

// event is a line of go test -json (go doc test2json). A package that does not build has lines with its own ImportPath and
// Output, and FailedBuild refers to them.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
}

// run runs the tests once and counts their results. It returns the packages that have something to run.
func (t *tally) run(ctx context.Context, command []string) (packages []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := exec.CommandContext(ctx, "go", command...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // go test ends its tests, and they end their processes
	c.WaitDelay = time.Minute
	var aside strings.Builder
	c.Stderr = &aside
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	said := map[test]*strings.Builder{}
	seeds := map[string]string{}
	open := map[test]bool{}        // started and not ended
	failures := map[test]bool{}    // themselves, or by a subtest
	beneath := map[test]bool{}     // by a subtest
	explained := map[string]bool{} // packages that failed by a test of theirs
	note := func(which test, text string) {
		if said[which] == nil {
			said[which] = &strings.Builder{}
		}
		said[which].WriteString(text)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // the exit of go test reports the cause
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			aside.Write(line)
			continue
		}
		which := test{e.Package, e.Test}
		switch e.Action {
		case "run":
			open[which] = true
		case "build-output":
			note(test{e.ImportPath, ""}, e.Output)
		case "output":
			note(which, e.Output)
			if seed, ok := strings.CutPrefix(e.Output, "-test.shuffle "); ok {
				seeds[e.Package] = strings.TrimSpace(seed)
			}
		case "pass", "skip", "fail":
			delete(open, which)
			if e.Test != "" {
				t.of(which).runs++
			}
			if e.Action == "fail" {
				failures[which] = true
				if e.FailedBuild != "" {
					note(which, said[test{e.FailedBuild, ""}].String())
				}
			}
			if e.Test != "" || e.Action == "fail" {
				packages = append(packages, e.Package)
			}
		}
	}
	ended := c.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if _, failed := errors.AsType[*exec.ExitError](ended); ended != nil && (!failed || len(failures) == 0) {
		return nil, fmt.Errorf("%w: %s", ended, strings.TrimSpace(aside.String()))
	}
	t.runs++
	for which := range failures {
		if which.name != "" {
			explained[which.pkg] = true
		}
		for i, c := range which.name {
			if c == '/' {
				beneath[test{which.pkg, which.name[:i]}] = true
			}
		}
	}
	for which := range failures {
		if beneath[which] || which.name == "" && explained[which.pkg] {
			continue // the failed subtest explains it
		}
		r := t.of(which)
		if r.failed++; r.failed > 1 {
			continue
		}
		r.seed = seeds[which.pkg]
		if text := said[which]; text != nil {
			r.said = text.String()
		}
		for other := range open { // one of these crashed, or took too long
			if which.name == "" && other.pkg == which.pkg {
				r.said += other.name + " had not ended: " + said[other].String()
			}
		}
	}
	slices.Sort(packages)
	return slices.Compact(packages), nil
}

// failed returns the number of tests that failed at least once.
func (t *tally) failed() (n int) {
	for _, r := range t.tests {
		if r.failed > 0 {
			n++
		}
	}
	return n
}

// longest is the number of bytes that are shown of a failure's text.
const longest = 4000

// report prints how often each failed test failed, and the text of its first failure.
func (t *tally) report(w io.Writer) {
	var failed []test
	packages := map[string]bool{}
	for which, r := range t.tests {
		packages[which.pkg] = true
		if r.failed > 0 {
			failed = append(failed, which)
		}
		if which.name == "" {
			r.runs = t.runs
		}
	}
	slices.SortFunc(failed, func(a, b test) int {
		return cmp.Or(-cmp.Compare(t.tests[a].failed, t.tests[b].failed), cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name))
	})
	for _, which := range failed {
		r := t.tests[which]
		said := strings.TrimSpace(r.said)
		if len(said) > longest {
			said = said[:longest/2] + "\n…\n" + said[len(said)-longest/2:]
		}
		fmt.Fprintf(w, "\n%s, first with -shuffle=%s, and said:\n%s\n", which, cmp.Or(r.seed, "on"), said)
	}
	fmt.Fprintln(w)
	for _, which := range failed {
		r := t.tests[which]
		fmt.Fprintf(w, "%s failed %d of %d\n", which, r.failed, r.runs)
	}
	fmt.Fprintf(w, "%d of %d tests in %d packages failed in %d runs\n", len(failed), len(t.tests), len(packages), t.runs)
}
