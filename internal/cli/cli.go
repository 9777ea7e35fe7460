// Package cli has the commands: the program runs one of them if it is started with arguments, without a host.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
)

const usage = `usage:
  lifeboat plan check FILE        checks plan.yaml: lists every mistake with its line, and probable mistakes as warnings; exit code 0
                                  if there are only warnings
  lifeboat plan check FILE --live and asks Azure for every target whether it can be backed up, as every run does first;
                                  changes nothing. It asks as the identity here (az login): the app's roles are its own
  lifeboat plan next FILE [-n 3]  the next scheduled times of every plan and target, local and UTC
  lifeboat plan diff OLD NEW      lists the changes of an edit: plans, targets, scheduled times, how long recovery points are kept

against the app at LIFEBOAT_URL (such as https://contoso.azurewebsites.net), with a key of its function api in LIFEBOAT_KEY:
  lifeboat health [--json]        how well every target is protected, the worst first; exit code 1 if one is unprotected.
                                  With a key of the function health in LIFEBOAT_HEALTH_KEY: one of api does not open it
  lifeboat runs TARGET [--top N] [--all] [--json]
                                  the target's runs, newest first: 20, N up to 100, or all
  lifeboat run ID [--json]        one run: where it stands, why, and what it left
  lifeboat backup TARGET [--plan NAME] [--wait] [--json]
                                  asks for a backup now and prints the run's ID; with --wait until it has ended
  lifeboat backup --plan NAME [--wait] [--json]
                                  asks for one of every target of the plan, and prints the batch's ID
  lifeboat batch ID [--json]      the runs of a batch, and where they stand
  lifeboat points TARGET [--top N] [--all] [--json]
                                  the target's recovery points, newest first, in the same way
  lifeboat accept ID [--reason TEXT] [--json]
                                  a suspect recovery point is good all the same: counts it as verified
  lifeboat restore TARGET [--point ID | --before TIME] [--into ID] [--key NAME] [--region REGION] [--reason TEXT]
                   [--reply-to QUEUE] [--expires TIME] [--wait] [--json]
                                  restores the target from its newest verified recovery point, or the one given, into
                                  itself, or the service given, and prints the restore's ID: its present content is LOST.
                                  With --key it restores only that key of a Managed HSM
  lifeboat restore TARGET … --dry-run
                                  says what that would overwrite, from what, and whether it may; changes nothing
  lifeboat cancel ID [--json]     takes back a restore that has not begun yet
  lifeboat confirm ID [--json]    says that the restore is right: its safety backup is held no longer

  lifeboat version                prints the version of this program

TIME is such as 2026-01-31T02:30:00Z. TARGET is a full resource ID. Exit codes: 0 done, 1 it failed, 2 the arguments or settings cannot be used.
`

// usageError says that the arguments or settings cannot be used. Its text is printed as it is.
type usageError string

func (e usageError) Error() string { return string(e) }

// errUsage says that the arguments are no command.
var errUsage error = usageError(usage)

// Shell is the environment of a command.
type Shell struct {
	Getenv         func(string) string
	Stdout, Stderr io.Writer
	// Now is the time at which "next" begins.
	Now time.Time
	// RequestID is the ID of the request for a backup: give another one each time.
	RequestID string
	// Version is the version of the program's source.
	Version string
	// Zone loads a time zone from this machine's own data; nil if the command does not use them.
	Zone func(name string) (*time.Location, error)
	// Plans reads plan.yaml.
	Plans *config.Reader
	// Look makes an engine that can check Azure's services, with the identity of the environment.
	Look func(getenv func(string) string) (*engine.Engine, error)
}

// Run runs the command in the arguments and returns the exit code: 0, 1 if the answer is no, 2 if the arguments or settings
// cannot be used. The context ends all waiting.
func Run(ctx context.Context, args []string, sh Shell) int {
	err := errUsage
	if len(args) > 1 && args[0] == "plan" {
		switch args[1] {
		case "check":
			err = sh.check(ctx, args[2:])
		case "next":
			err = sh.next(args[2:])
		case "diff":
			err = sh.diff(args[2:])
		}
	}
	if len(args) > 0 {
		remotes := map[string]func(remote, context.Context, []string) error{
			"runs": remote.runs, "run": remote.show, "backup": remote.backup, "batch": remote.batch, "points": remote.points,
			"accept": remote.accept, "health": remote.health, "restore": remote.restore, "cancel": change("cancel"),
			"confirm": change("confirm"),
		}
		if slices.Contains([]string{"help", "--help", "-h"}, args[0]) {
			_, err = fmt.Fprint(sh.Stdout, usage)
		} else if slices.Contains([]string{"version", "--version"}, args[0]) {
			_, err = fmt.Fprintf(sh.Stdout, "lifeboat %s %s %s/%s, time zones %s\n", sh.Version, runtime.Version(), runtime.GOOS,
				runtime.GOARCH, config.TimeZones())
		} else if command := remotes[args[0]]; command != nil {
			var r remote
			if r, err = newRemote(sh, args[0] == "health"); err == nil {
				err = command(r, ctx, args[1:])
			}
		}
	}
	wrong, notUnderstood := errors.AsType[usageError](err)
	switch {
	case notUnderstood:
		fmt.Fprint(sh.Stderr, wrong)
		return 2
	case err != nil:
		fmt.Fprintln(sh.Stderr, err)
		return 1
	}
	return 0
}

// files takes n paths out of the arguments; the flags may stand anywhere among them.
func files(flags *flag.FlagSet, args []string, n int) ([]string, error) {
	names, err := names(flags, args)
	if err == nil && len(names) != n {
		err = errUsage
	}
	return names, err
}

// names takes the arguments that are no flags.
func names(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	var names []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, errUsage
		}
		if args = flags.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	return names, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// scheduledTimes returns the next n scheduled times of the plan; none while it is paused.
func scheduledTimes(p backup.Plan, after time.Time, n int) []time.Time {
	var found []time.Time
	for t := p.Schedule.Next(after); !p.Paused && !t.IsZero() && len(found) < n; t = p.Schedule.Next(t) {
		found = append(found, t)
	}
	return found
}
