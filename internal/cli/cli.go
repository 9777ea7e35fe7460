// Package cli is the program at a person's hands: what it does when it is started with arguments, without a host.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

const usage = `usage:
  lifeboat plan check FILE        is plan.yaml one that this program takes? Says everything that is wrong, with its line
  lifeboat plan next FILE [-n 3]  the next slots of every plan and target, local and UTC
  lifeboat plan diff OLD NEW      what an edit changes: plans, targets, slots, how long is kept

against the app at LIFEBOAT_URL (such as https://contoso.azurewebsites.net), with the function's key in LIFEBOAT_KEY:
  lifeboat runs TARGET [--top N] [--all] [--json]
                                  the target's runs, newest first: 20, N up to 100, or all
  lifeboat run ID [--json]        one run: where it stands, why, and what it left
  lifeboat backup TARGET [--plan NAME] [--wait] [--json]
                                  asks for a backup now and prints the run's ID; with --wait until it has ended

TARGET is a full resource ID. Exit codes: 0 done, 1 it failed, 2 the arguments or settings cannot be used.
`

// usageError: the arguments or settings cannot be used. Its text is printed as it is.
type usageError string

func (e usageError) Error() string { return string(e) }

// errUsage: the arguments are none of ours.
var errUsage error = usageError(usage)

// Run does what the arguments say and returns the exit code: 0, 1 where the answer is no, 2 where the arguments or
// settings cannot be used. The context ends all waiting. A backup that is asked for goes by requestID: give another one
// each time. Now is the instant that "next" counts from.
func Run(
	ctx context.Context, args []string, getenv func(string) string, requestID string, stdout, stderr io.Writer,
	now time.Time,
) int {
	err := errUsage
	if len(args) > 1 && args[0] == "plan" {
		switch args[1] {
		case "check":
			err = check(args[2:], stdout)
		case "next":
			err = next(args[2:], stdout, now)
		case "diff":
			err = diff(args[2:], stdout, now)
		}
	}
	if len(args) > 0 {
		remotes := map[string]func(remote, context.Context, []string) error{
			"runs": remote.runs, "run": remote.show, "backup": remote.backup,
		}
		if slices.Contains([]string{"help", "--help", "-h"}, args[0]) {
			_, err = fmt.Fprint(stdout, usage)
		} else if command := remotes[args[0]]; command != nil {
			var c *client
			if c, err = newClient(getenv, stderr); err == nil {
				err = command(remote{c, requestID, stdout, stderr}, ctx, args[1:])
			}
		}
	}
	wrong, notUnderstood := errors.AsType[usageError](err)
	switch {
	case notUnderstood:
		fmt.Fprint(stderr, wrong)
		return 2
	case err != nil:
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// files takes n paths out of the arguments, wherever the flags stand among them.
func files(flags *flag.FlagSet, args []string, n int) ([]string, error) {
	flags.SetOutput(io.Discard)
	var paths []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, errUsage
		}
		if args = flags.Args(); len(args) > 0 {
			paths, args = append(paths, args[0]), args[1:]
		}
	}
	if len(paths) != n {
		return nil, errUsage
	}
	return paths, nil
}

// check prints what the file is good for; the error lists everything that is wrong.
func check(args []string, stdout io.Writer) error {
	paths, err := files(flag.NewFlagSet("check", flag.ContinueOnError), args, 1)
	if err != nil {
		return err
	}
	plans, err := config.PlanFile(paths[0])
	if err != nil {
		return err
	}
	targets := 0
	for _, p := range plans {
		targets += len(p.Targets)
	}
	fmt.Fprintf(stdout, "%s: good: %s, %s\n", paths[0], count(len(plans), "plan"), count(targets, "target"))
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// slots are the next n slots of the plan; none while it is paused.
func slots(p backup.Plan, after time.Time, n int) []time.Time {
	var found []time.Time
	for t := p.Schedule.Next(after); !p.Paused && !t.IsZero() && len(found) < n; t = p.Schedule.Next(t) {
		found = append(found, t)
	}
	return found
}
