package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

func itoa(n int) string { return strconv.Itoa(n) }

// spent returns the storage requests of the app's program so far: their number, and the number of each by service, method and,
// without names, purpose.
func spent(a *app) (int, map[string]int) {
	n, by := 0, map[string]int{}
	for _, c := range world.Sim.Calls() {
		_, service, _ := strings.Cut(strings.TrimSuffix(c.Host, ".core.windows.net"), ".")
		if c.ObjectID != a.ObjectID || service != "blob" && service != "queue" && service != "table" {
			continue
		}
		what := ""
		switch _, row, keyed := strings.Cut(c.Path, "("); {
		case strings.HasSuffix(c.Path, "/$batch"):
			what = " transaction"
		case service == "table" && keyed && row != ")":
			what = " row"
		case service == "table":
			what = " rows"
		case service == "queue" && strings.HasSuffix(c.Path, "/messages"):
			what = " message"
		case c.Query().Get("comp") == "list":
			what = " list"
		}
		n++
		by[service+" "+c.Method+what]++
	}
	return n, by
}

// TestCost checks the contract: at most 22 storage requests of the program for a backup by hand, plus 3 a poll, 2 each time the rescue
// checks it and 2 for each step message that comes before its step is saved; and 2 for an idle timer run of either timer, whatever the number of plans and targets, and one more each five
// minutes.
func TestCost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()

	// There are a hundred plans with a thousand targets, none due.
	plan := strings.Builder{}
	fmt.Fprintf(&plan, "version: 1\ndefaults:\n  storage: {account: %s, container: %s}\nplans:\n", stack.Account(stack.Backups),
		stack.Container)
	for p := range 100 {
		fmt.Fprintf(&plan, "  - name: plan-%d\n    schedule: %q\n    keep: {within: 1d}\n    targets:\n", p, yearly)
		for n := range 10 {
			fmt.Fprintf(&plan, "      - %s\n", stack.Service(fmt.Sprintf("idle-%d-%d", p, n)))
		}
	}
	service := newServices(t, 1)[0]
	fmt.Fprintf(&plan, "  - name: due\n    schedule: %q\n    keep: {within: 1d}\n    targets:\n      - %s\n", yearly, stack.Service(service))
	a := newApp(t, stack.AppConfig{Plan: plan.String()})
	// The run makes about ten polls: 22 minutes are 11 seconds here, and a poll comes each second.
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 22*time.Minute, 22*time.Minute })

	timer := func(function string) {
		t.Helper()
		if err := a.Invoke(ctx, function); err != nil {
			t.Fatal(err)
		}
	}
	for _, function := range []string{"schedule", "cleanup"} {
		timer(function) // creates the table and the checkpoints, and writes the note that it came
		before, _ := spent(a)
		timer(function)
		idle, _ := spent(a)
		a.noted(ctx, function, 5*time.Minute)
		timer(function)
		noting, _ := spent(a)
		figures.Report(t, "an idle timer run of %s with 101 plans and 1001 targets: %d requests, %d once in five minutes", function, idle-before,
			noting-idle)
		if idle-before != 2 || noting-idle != 3 {
			t.Errorf("an idle timer run of %s costs %d requests, want 2, and one that notes that it came %d, want 3", function, idle-before, noting-idle)
		}
	}

	// An earlier backup has created the queues and the container.
	for i, what := range []string{"the first backup, which makes queues and container", "a backup"} {
		_, earlier := spent(a)
		start, _ := spent(a)
		early := int(a.early.Load())
		id, err := a.backup(ctx, service, "cost"+itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		status, err := a.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
		}
		end, by := spent(a)
		for op, n := range earlier {
			if by[op] -= n; by[op] == 0 {
				delete(by, op)
			}
		}
		n, polls := end-start-2*(int(a.early.Load())-early), status.Run.Polls
		figures.Report(t, "%s with %d polls: %d requests, %d without the polls' 3 each: %v", what, polls, n, n-3*polls, by)
		if i == 0 {
			continue
		}
		if polls < 8 {
			t.Errorf("only %d polls: the test wants about ten", polls)
		}
		if n > 22+3*polls {
			t.Errorf("a backup cost %d requests, more than 22 and 3 for each of %d polls", n, polls)
		}
		timer("schedule") // the rescuer's time has not come: it checks nothing, or once
		rescued, _ := spent(a)
		figures.Report(t, "the timer run after it: %d requests", rescued-end)
		if rescued-end > 3+2*2+4 { // 4: the facts of its target
			t.Errorf("a timer run with two ended runs to look at cost %d requests", rescued-end)
		}
	}
}
